use super::*;
use crate::{Groups, Pattern, Replay, Rule, Signer};
use serde_json::{Value, json};
use std::sync::OnceLock;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.example.com";

/// A key of each algorithm, made once. `ring` makes no RSA keys, so OpenSSL does.
pub(crate) fn signer(algorithm: Algorithm) -> &'static Signer {
    static SIGNERS: OnceLock<Vec<Signer>> = OnceLock::new();
    let all = SIGNERS.get_or_init(|| {
        let rsa = || Signer::from_pem(&openssl("RSA", "rsa_keygen_bits:2048"), Some("RS256".into())).unwrap();
        let pss = Signer::from_pem(&openssl("RSA", "rsa_keygen_bits:2048"), Some("PS256".into())).unwrap().with_pss();
        let p256 = Signer::from_pem(&openssl("EC", "ec_paramgen_curve:P-256"), Some("ES256".into())).unwrap();
        let p384 = Signer::from_pem(&openssl("EC", "ec_paramgen_curve:P-384"), Some("ES384".into())).unwrap();
        let random = ring::rand::SystemRandom::new();
        let ed = ring::signature::Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed = Signer::from_pem(pem(ed.as_ref()).as_bytes(), Some("EdDSA".into())).unwrap();
        vec![rsa(), pss, p256, p384, ed]
    });
    all.iter().find(|one| one.algorithm() == algorithm).unwrap()
}

fn openssl(kind: &str, option: &str) -> Vec<u8> {
    let made = std::process::Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", kind, "-pkeyopt", option])
        .output()
        .expect("openssl makes keys for the tests; ./test installs it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

fn pem(der: &[u8]) -> String {
    use base64::engine::general_purpose::STANDARD;
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

/// The keys of all of them in one set.
pub(crate) fn keys() -> &'static KeySet {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut all = Vec::new();
        for algorithm in Algorithm::ALL {
            all.extend(signer(algorithm).public_set()["keys"].as_array().unwrap().clone());
        }
        KeySet::parse(json!({ "keys": all }).to_string().as_bytes()).unwrap()
    })
}

fn people() -> Issuer {
    let mut issuer = Issuer::people("corp", ISSUER, "tidegate");
    issuer.algorithms = Algorithm::ALL.to_vec();
    issuer.audiences = vec!["urn:tidegate".into()];
    issuer
}

fn id_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "u-1", "aud": "tidegate", "iat": NOW, "exp": NOW + 300, "nonce": "n",
        "groups": ["analysts", "eng"], "preferred_username": "alice", "name": "Alice", "email": "alice@example.com"
    })
}

fn access_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "svc", "aud": "urn:tidegate", "iat": NOW, "exp": NOW + 300, "client_id": "svc",
        "jti": "1", "groups": ["jobs"]
    })
}

const ID: Expect<'_> = Expect::IdToken { nonce: Some("n"), access_token: None };

fn sign(typ: &str, claims: &Value) -> String {
    signer(Algorithm::Es256).sign(typ, claims).unwrap().expose().to_owned()
}

fn id(claims: &Value) -> Result<Validated, Fault> {
    validate(&people(), keys(), &sign("JWT", claims), ID, NOW)
}

fn presented(issuer: &Issuer, claims: &Value) -> Result<Validated, Fault> {
    let typ = if issuer.token_type == TokenType::AccessToken { "at+jwt" } else { "JWT" };
    validate(issuer, keys(), &sign(typ, claims), Expect::Presented, NOW)
}

/// The claims with one changed; `null` takes it away.
fn with(mut claims: Value, name: &str, value: Value) -> Value {
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

/// A token with this header and payload as they are, signed well.
fn raw(header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
    // The signer signs what it encodes itself; the signature over other bytes is made with the same key by `ring`.
    let random = ring::rand::SystemRandom::new();
    static KEY: OnceLock<ring::signature::EcdsaKeyPair> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let scheme = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = ring::signature::EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
        ring::signature::EcdsaKeyPair::from_pkcs8(scheme, der.as_ref(), &random).unwrap()
    });
    RAW_KEYS.get_or_init(|| {
        use ring::signature::KeyPair as _;
        let point = key.public_key().as_ref();
        let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "raw",
            "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..])}]});
        KeySet::parse(set.to_string().as_bytes()).unwrap()
    });
    format!("{signed}.{}", BASE64.encode(key.sign(&random, signed.as_bytes()).unwrap()))
}

static RAW_KEYS: OnceLock<KeySet> = OnceLock::new();

#[test]
fn a_good_token_of_every_algorithm_is_an_identity() {
    for algorithm in Algorithm::ALL {
        let token = signer(algorithm).sign("JWT", &id_claims()).unwrap();
        let validated = validate(&people(), keys(), token.expose(), ID, NOW).unwrap();
        assert_eq!((validated.issuer.as_str(), validated.subject.as_str()), (ISSUER, "u-1"));
        assert_eq!(validated.groups, ["analysts", "eng"]);
        assert_eq!(validated.names.handle.as_deref(), Some("alice"));
        assert_eq!(validated.expires, NOW + 300);
    }
}

#[test]
fn an_algorithm_outside_of_the_list_is_refused_even_if_the_signature_holds() {
    let mut issuer = people();
    issuer.algorithms = vec![Algorithm::Rs256];
    let token = sign("JWT", &id_claims());
    assert_eq!(validate(&issuer, keys(), &token, ID, NOW), Err(Fault::Algorithm));
}

#[test]
fn forged_tokens_are_refused() {
    let good = sign("JWT", &id_claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let other = BASE64.encode(with(id_claims(), "sub", json!("root")).to_string());
    let refused = |token: &str| validate(&people(), keys(), token, ID, NOW).unwrap_err();
    assert_eq!(refused(&format!("{header}.{other}.{signature}")), Fault::Signature);
    assert_eq!(refused(&format!("{signed}.{}", BASE64.encode([0; 64]))), Fault::Signature);
    assert_eq!(refused(&format!("{signed}.{}", BASE64.encode([1; 63]))), Fault::Signature);
    assert_eq!(refused(&format!("{signed}.")), Fault::Signature);
    // `none`, in the spellings that readers have been fooled with.
    for none in ["none", "None", "NONE", "nOnE"] {
        let header = BASE64.encode(format!(r#"{{"alg":"{none}","kid":"ES256"}}"#));
        assert_eq!(refused(&format!("{header}.{payload}.{signature}")), Fault::Algorithm);
        assert!(validate(&people(), keys(), &format!("{header}.{payload}."), ID, NOW).is_err());
    }
    assert_eq!(refused(&"a".repeat(1 << 20)), Fault::TooLarge);
    let padded = with(id_claims(), "padding", json!("x".repeat(16 << 10)));
    assert_eq!(refused(&sign("JWT", &padded)), Fault::TooLarge);
}

#[test]
fn a_public_key_is_never_a_shared_secret() {
    // HS256 with the RSA public key as its secret: the confusion that fooled many.
    let public = signer(Algorithm::Rs256).public_set().to_string();
    let header = BASE64.encode(r#"{"alg":"HS256","kid":"RS256"}"#);
    let signed = format!("{header}.{}", BASE64.encode(id_claims().to_string()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes());
    let token = format!("{signed}.{}", BASE64.encode(ring::hmac::sign(&key, signed.as_bytes())));
    assert_eq!(validate(&people(), keys(), &token, ID, NOW), Err(Fault::Algorithm));
    // A key of one type cannot be used by an algorithm of another.
    for (alg, kid) in
        [("RS256", "ES256"), ("ES256", "RS256"), ("EdDSA", "ES256"), ("PS256", "RS256"), ("ES384", "ES256")]
    {
        let header = BASE64.encode(format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#));
        let token = format!("{header}.{}.{}", BASE64.encode(id_claims().to_string()), BASE64.encode([1; 64]));
        assert_eq!(validate(&people(), keys(), &token, ID, NOW), Err(Fault::Key), "{alg} {kid}");
    }
}

#[test]
fn a_kid_only_names_a_key_of_the_set() {
    for kid in ["../../../../dev/null", "https://evil.example/key", "ES256' OR '1'='1", "es256", "ES256 ", "\0"] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        let token = raw(&header, &id_claims().to_string());
        assert_eq!(validate(&people(), keys(), &token, ID, NOW), Err(Fault::Key), "{kid:?}");
    }
    // Without a name, one key must fit and not several.
    let token = raw(r#"{"alg":"ES256"}"#, &id_claims().to_string());
    assert!(validate(&people(), RAW_KEYS.get().unwrap(), &token, ID, NOW).is_ok());
    let set = |n| {
        let key = signer(Algorithm::Es256).public_set()["keys"][0].clone();
        KeySet::parse(json!({"keys": vec![key; n]}).to_string().as_bytes()).unwrap()
    };
    let twice = sign("JWT", &id_claims());
    assert!(validate(&people(), &set(1), &twice, ID, NOW).is_ok());
    assert_eq!(validate(&people(), &set(2), &twice, ID, NOW), Err(Fault::AmbiguousKey));
}

#[test]
fn a_claim_twice_is_refused_although_the_signature_holds() {
    let claims = id_claims().to_string();
    let twice = format!(r#"{{"sub":"root",{}"#, &claims[1..]);
    let token = raw(r#"{"alg":"ES256","kid":"raw"}"#, &twice);
    assert_eq!(validate(&people(), RAW_KEYS.get().unwrap(), &token, ID, NOW), Err(Fault::Duplicate));
    let token = raw(r#"{"alg":"ES256","kid":"raw","kid":"raw"}"#, &claims);
    assert_eq!(validate(&people(), RAW_KEYS.get().unwrap(), &token, ID, NOW), Err(Fault::Duplicate));
    let token = raw(r#"{"alg":"ES256","kid":"raw"}"#, &claims);
    assert!(validate(&people(), RAW_KEYS.get().unwrap(), &token, ID, NOW).is_ok());
}

#[test]
fn issuer_and_audience_are_exact() {
    for issuer in ["https://id.example.com/", "https://ID.example.com", "https://id.example.com.evil", ""] {
        assert_eq!(id(&with(id_claims(), "iss", json!(issuer))), Err(Fault::Issuer), "{issuer}");
    }
    assert_eq!(id(&with(id_claims(), "iss", Value::Null)), Err(Fault::Issuer));
    assert_eq!(id(&with(id_claims(), "iss", json!(["https://id.example.com"]))), Err(Fault::Claim("iss")));
    for audience in [json!("other"), json!(["other"]), json!([]), json!("tidegate "), json!(["tidegate", "other"])] {
        assert_eq!(id(&with(id_claims(), "aud", audience.clone())), Err(Fault::Audience), "{audience}");
    }
    assert_eq!(id(&with(id_claims(), "aud", Value::Null)), Err(Fault::Audience));
    assert_eq!(id(&with(id_claims(), "aud", json!({"tidegate": 1}))), Err(Fault::Audience));
    assert!(id(&with(id_claims(), "aud", json!(["tidegate"]))).is_ok());
    // Several audiences only where the issuer's rules say so, and then the client has to be named.
    let mut issuer = people();
    issuer.audiences_beside = vec!["account".into()];
    let several = with(id_claims(), "aud", json!(["tidegate", "account"]));
    assert_eq!(validate(&issuer, keys(), &sign("JWT", &several), ID, NOW), Err(Fault::Party));
    let named = with(several, "azp", json!("tidegate"));
    assert!(validate(&issuer, keys(), &sign("JWT", &named), ID, NOW).is_ok());
    assert_eq!(id(&with(id_claims(), "azp", json!("other"))), Err(Fault::Party));
}

#[test]
fn times_have_a_minute_of_grace_and_no_more() {
    let at = |name: &str, time: i64| id(&with(id_claims(), name, json!(NOW as i64 + time)));
    assert!(at("exp", -59).is_ok());
    assert_eq!(at("exp", -60), Err(Fault::Expired));
    assert!(at("nbf", 60).is_ok());
    assert_eq!(at("nbf", 61), Err(Fault::NotYet));
    assert_eq!(at("iat", 61), Err(Fault::NotYet));
    assert_eq!(id(&with(id_claims(), "exp", Value::Null)), Err(Fault::Claim("exp")));
    assert_eq!(id(&with(id_claims(), "iat", Value::Null)), Err(Fault::Claim("iat")));
    for odd in [json!("9999999999"), json!(-1), json!(1e300), json!(u64::MAX), json!([1]), json!(true)] {
        assert_eq!(id(&with(id_claims(), "exp", odd.clone())), Err(Fault::Claim("exp")), "{odd}");
    }
    assert!(id(&with(id_claims(), "exp", json!(NOW as f64 + 10.5))).is_ok());
}

#[test]
fn a_token_of_one_type_does_not_pass_for_another() {
    let issuer = people();
    // An ID token is not for presenting, an access token not for signing in.
    let token = sign("JWT", &with(access_claims(), "nonce", json!("n")));
    assert_eq!(validate(&issuer, keys(), &token, Expect::Presented, NOW), Err(Fault::Type));
    let token = sign("at+jwt", &id_claims());
    assert_eq!(validate(&issuer, keys(), &token, ID, NOW), Err(Fault::Type));
    for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt"] {
        assert_eq!(validate(&issuer, keys(), &sign(typ, &id_claims()), ID, NOW), Err(Fault::Type));
        let token = sign(typ, &access_claims());
        assert_eq!(validate(&issuer, keys(), &token, Expect::Presented, NOW), Err(Fault::Type));
    }
    assert!(presented(&issuer, &access_claims()).is_ok());
    let token = sign("application/at+jwt", &access_claims());
    assert!(validate(&issuer, keys(), &token, Expect::Presented, NOW).is_ok());
}

#[test]
fn a_sign_in_takes_only_its_own_answer() {
    assert_eq!(id(&with(id_claims(), "nonce", json!("m"))), Err(Fault::Nonce));
    assert_eq!(id(&with(id_claims(), "nonce", Value::Null)), Err(Fault::Nonce));
    for algorithm in Algorithm::ALL {
        let full = match algorithm {
            Algorithm::Es384 => ring::digest::digest(&ring::digest::SHA384, b"access"),
            Algorithm::EdDsa => ring::digest::digest(&ring::digest::SHA512, b"access"),
            _ => ring::digest::digest(&ring::digest::SHA256, b"access"),
        };
        let half = BASE64.encode(&full.as_ref()[..full.as_ref().len() / 2]);
        let token = signer(algorithm).sign("JWT", &with(id_claims(), "at_hash", json!(half))).unwrap();
        for (access, expected) in [("access", Ok(())), ("other", Err(Fault::AccessTokenHash))] {
            let expect = Expect::IdToken { nonce: Some("n"), access_token: Some(access) };
            assert_eq!(validate(&people(), keys(), token.expose(), expect, NOW).map(drop), expected);
        }
    }
}

#[test]
fn groups_come_from_their_claim_alone() {
    let groups =
        |issuer: &Issuer, claims: Value| validate(issuer, keys(), &sign("JWT", &claims), ID, NOW).map(|v| v.groups);
    let issuer = people();
    assert_eq!(groups(&issuer, with(id_claims(), "groups", json!("one"))), Ok(vec!["one".into()]));
    assert_eq!(groups(&issuer, with(id_claims(), "groups", Value::Null)), Ok(vec![]));
    assert_eq!(groups(&issuer, with(id_claims(), "groups", json!([7]))), Err(Fault::Claim("groups")));
    let odd = json!(["b", "a", "b", "", "*", "x\ny"]);
    assert_eq!(groups(&issuer, with(id_claims(), "groups", odd)), Ok(vec!["a".into(), "b".into()]));
    let elsewhere = json!({"groups": "src1"});
    let claims = with(with(id_claims(), "groups", Value::Null), "_claim_names", elsewhere);
    assert_eq!(groups(&issuer, claims), Err(Fault::GroupsElsewhere));
    let mut other = people();
    other.groups = Groups {
        claim: "/realm_access/roles".into(),
        prefix: "partner:".into(),
        only: Some(vec!["read".into(), "write".into()]),
    };
    let claims = with(id_claims(), "realm_access", json!({"roles": ["admin", "read"]}));
    assert_eq!(groups(&other, claims), Ok(vec!["partner:read".into()]));
}

#[test]
fn the_identity_is_the_subject_and_never_the_mail_address() {
    let moved = id(&with(id_claims(), "sub", json!("u-2"))).unwrap();
    let first = id(&id_claims()).unwrap();
    assert_eq!(moved.names.email, first.names.email);
    assert_ne!(moved.subject, first.subject);
    for subject in [Value::Null, json!(""), json!(7), json!("a\u{0}b"), json!("x".repeat(256))] {
        assert_eq!(id(&with(id_claims(), "sub", subject.clone())), Err(Fault::Claim("sub")), "{subject}");
    }
    let control = id(&with(id_claims(), "preferred_username", json!("a\u{1b}[31m"))).unwrap();
    assert_eq!(control.names.handle.as_deref(), Some("alice@example.com"));
}

#[test]
fn a_chain_of_actors_has_two_at_most() {
    let chain = |act: Value| presented(&people(), &with(access_claims(), "act", act)).map(|v| v.actors);
    let two = chain(json!({"sub": "agent", "act": {"sub": "app", "iss": "https://x"}})).unwrap();
    assert_eq!(two[0], Actor { issuer: None, subject: "agent".into() });
    assert_eq!(two[1], Actor { issuer: Some("https://x".into()), subject: "app".into() });
    for bad in [
        json!({"sub": "a", "act": {"sub": "b", "act": {"sub": "c"}}}),
        json!({"act": {"sub": "b"}}),
        json!({"sub": 7}),
        json!("a"),
        json!({"sub": "a\nb"}),
    ] {
        assert_eq!(chain(bad.clone()), Err(Fault::Actors), "{bad}");
    }
}

fn workload(url: &str, rules: Vec<Rule>) -> Issuer {
    let mut issuer = Issuer::workload("jobs", url, "tidegate.example.com");
    issuer.rules = rules;
    assert_eq!(
        issuer.problems().into_iter().filter(|p| !p.contains("keys_url")).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    issuer
}

fn rule(when: &[(&str, &str)], group: &str) -> Rule {
    let when = when.iter().map(|(claim, pattern)| ((*claim).to_owned(), Pattern::from(*pattern))).collect();
    Rule { when, groups: vec![group.to_owned()], name: Some(format!("job-{group}")) }
}

#[test]
fn a_job_of_a_pipeline_gets_groups_by_its_rules() {
    let issuer = workload(
        "https://token.actions.githubusercontent.com",
        vec![rule(
            &[
                ("repository_id", "74"),
                ("job_workflow_ref", "octo/app/.github/workflows/deploy.yml@refs/heads/main"),
                ("environment", "prod"),
            ],
            "deploy",
        )],
    );
    let claims = json!({
        "iss": issuer.url, "aud": "tidegate.example.com", "sub": "repo:octo/app:environment:prod",
        "repository": "octo/app", "repository_id": "74", "environment": "prod", "iat": NOW, "exp": NOW + 300,
        "job_workflow_ref": "octo/app/.github/workflows/deploy.yml@refs/heads/main", "groups": ["admins"]
    });
    let validated = presented(&issuer, &claims).unwrap();
    assert_eq!(validated.groups, ["deploy"], "a claim named groups gives a workload nothing");
    assert_eq!(validated.names.handle.as_deref(), Some("job-deploy"));
    // The repository was deleted and its name registered again by somebody else.
    assert_eq!(presented(&issuer, &with(claims.clone(), "repository_id", json!("75"))), Err(Fault::NoRule));
    assert_eq!(presented(&issuer, &with(claims.clone(), "environment", json!("test"))), Err(Fault::NoRule));
    assert_eq!(presented(&issuer, &with(claims, "aud", json!("other"))), Err(Fault::Audience));
}

#[test]
fn a_pod_of_kubernetes_is_its_service_account() {
    let mut issuer = workload(
        "https://kubernetes.default.svc",
        vec![rule(&[("sub", "system:serviceaccount:prod:etl"), ("/kubernetes.io/namespace", "prod")], "etl")],
    );
    issuer.lifetime_max = Some(600);
    let claims = json!({
        "iss": issuer.url, "aud": ["tidegate.example.com"], "sub": "system:serviceaccount:prod:etl",
        "iat": NOW, "nbf": NOW, "exp": NOW + 600,
        "kubernetes.io": {"namespace": "prod", "pod": {"name": "etl-1", "uid": "7"},
                          "serviceaccount": {"name": "etl", "uid": "8"}}
    });
    assert_eq!(presented(&issuer, &claims).unwrap().groups, ["etl"]);
    assert_eq!(presented(&issuer, &with(claims.clone(), "exp", json!(NOW + 601))), Err(Fault::Lifetime));
    assert_eq!(presented(&issuer, &with(claims.clone(), "iat", Value::Null)), Err(Fault::Claim("iat")));
    let other = with(claims, "aud", json!(["tidegate.example.com", "https://kubernetes.default.svc"]));
    assert_eq!(presented(&issuer, &other), Err(Fault::Audience));
}

#[test]
fn a_spiffe_identity_is_of_its_trust_domain() {
    let issuer = workload("spiffe://example.org", vec![rule(&[("sub", "spiffe://example.org/ns/prod/sa/*")], "mesh")]);
    let claims = json!({"aud": "tidegate.example.com", "sub": "spiffe://example.org/ns/prod/sa/etl", "exp": NOW + 300});
    let validated = presented(&issuer, &claims).unwrap();
    assert_eq!((validated.issuer.as_str(), validated.groups), ("spiffe://example.org", vec!["mesh".to_owned()]));
    for subject in ["spiffe://evil.org/ns/prod/sa/etl", "spiffe://example.org", "spiffe://example.org.evil/x", "etl"] {
        assert_eq!(presented(&issuer, &with(claims.clone(), "sub", json!(subject))), Err(Fault::Issuer), "{subject}");
    }
    assert_eq!(presented(&issuer, &with(claims, "iss", json!("https://other"))), Err(Fault::Issuer));
}

#[test]
fn a_token_for_one_use_is_used_once() {
    let replay = Replay::with_capacity(2);
    let first = presented(&people(), &access_claims()).unwrap();
    let same = presented(&people(), &with(access_claims(), "iat", json!(NOW - 1))).unwrap();
    assert_eq!(first.token, same.token, "the same `jti` names the same token");
    assert_eq!(replay.spend(&first, NOW), Ok(()));
    assert_eq!(replay.spend(&same, NOW), Err(Fault::Replayed));
    assert_eq!(replay.spend(&first, NOW + 359), Err(Fault::Replayed));
    let other = |id: &str| presented(&people(), &with(access_claims(), "jti", json!(id))).unwrap();
    assert_eq!(replay.spend(&other("2"), NOW), Ok(()));
    assert_eq!(replay.spend(&other("3"), NOW), Err(Fault::ReplayFull));
    assert_eq!(replay.spend(&other("3"), NOW + 361), Ok(()));
    // Without `jti` it is what was signed: ECDSA signs the same twice with other bytes.
    let bare = with(access_claims(), "jti", Value::Null);
    let (a, b) = (presented(&people(), &bare).unwrap(), presented(&people(), &bare).unwrap());
    assert_eq!(a.token, b.token);
}

#[test]
fn no_fault_holds_a_byte_of_the_token() {
    let canary = "canary-7f3k";
    for claims in [
        with(id_claims(), "sub", json!([canary])),
        with(id_claims(), "iss", json!(canary)),
        with(id_claims(), "aud", json!(canary)),
        with(id_claims(), "nonce", json!(canary)),
        with(id_claims(), canary, json!(1)).as_object().map(|m| json!({"x": m})).unwrap(),
    ] {
        let fault = id(&claims).unwrap_err();
        assert!(!format!("{fault:?} {fault}").contains(canary));
    }
}
