use super::*;
use crate::{
    Algorithm, ClientAuth, Error, Providers, Secret, Signer,
    flow::{self, CodeAnswer, DevicePoll},
};
use serde_json::json;
use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
};

const NOW: u64 = 1_800_000_000;

/// A request: method and path, header lines, body.
type Request = (String, Vec<String>, String);
type Responder = Box<dyn Fn(&Request) -> (u16, Vec<u8>) + Send + Sync>;

/// A small provider in this process, whose answers are given by path.
struct Stand {
    url: String,
    answers: Arc<Mutex<HashMap<String, Responder>>>,
    asked: Arc<Mutex<Vec<Request>>>,
    key: Mutex<Arc<Signer>>,
    keys_asked: Arc<AtomicUsize>,
}

impl Stand {
    fn new() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stand = Arc::new(Self {
            url: url.clone(),
            answers: Arc::default(),
            asked: Arc::default(),
            key: Mutex::new(Arc::new(key("first"))),
            keys_asked: Arc::default(),
        });
        stand.answer("/.well-known/openid-configuration", move |_| {
            let document = json!({
                "issuer": url, "jwks_uri": format!("{url}/keys"), "authorization_endpoint": format!("{url}/auth"),
                "token_endpoint": format!("{url}/token"), "device_authorization_endpoint": format!("{url}/device"),
                "userinfo_endpoint": format!("{url}/me"), "authorization_response_iss_parameter_supported": true,
            });
            (200, document.to_string().into_bytes())
        });
        let (own, count) = (Arc::downgrade(&stand), Arc::clone(&stand.keys_asked));
        stand.answer("/keys", move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            let stand = own.upgrade().unwrap();
            let set = stand.key.lock().unwrap().public_set();
            (200, set.to_string().into_bytes())
        });
        let (answers, asked) = (Arc::clone(&stand.answers), Arc::clone(&stand.asked));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(mut socket) = socket else { return };
                let mut reader = BufReader::new(socket.try_clone().unwrap());
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                        break;
                    }
                    lines.push(line.trim().to_owned());
                }
                let Some(first) = lines.first().cloned() else { continue };
                let length =
                    lines.iter().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                reader.read_exact(&mut body).unwrap();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let request = (first, lines, String::from_utf8(body).unwrap());
                let (status, body) = match answers.lock().unwrap().get(&path) {
                    Some(answer) => answer(&request),
                    None => (404, b"{}".to_vec()),
                };
                asked.lock().unwrap().push(request);
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nLocation: /keys\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                // A client that has read enough closes.
                let _sent = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(&body));
            }
        });
        stand
    }

    fn answer(&self, path: &str, answer: impl Fn(&Request) -> (u16, Vec<u8>) + Send + Sync + 'static) {
        self.answers.lock().unwrap().insert(path.to_owned(), Box::new(answer));
    }

    fn say(&self, path: &str, status: u16, body: impl Into<Vec<u8>>) {
        let body = body.into();
        self.answer(path, move |_| (status, body.clone()));
    }

    fn issuer(&self) -> Issuer {
        let mut issuer = Issuer::people("stand", &self.url, "tidegate");
        issuer.client_auth = ClientAuth::Secret(Secret::new("s:cret"));
        issuer.audiences = vec!["urn:tidegate".to_owned()];
        issuer
    }

    fn provider(&self) -> Provider {
        Provider::new(self.issuer()).unwrap()
    }

    fn token(&self) -> String {
        let claims = json!({
            "iss": self.url, "sub": "svc", "aud": "urn:tidegate", "iat": NOW, "exp": NOW + 60, "groups": ["jobs"]
        });
        self.key.lock().unwrap().sign("at+jwt", &claims).unwrap().expose().to_owned()
    }

    fn asked(&self, path: &str) -> Vec<Request> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(first, ..)| first.split(' ').nth(1) == Some(path)).cloned().collect()
    }
}

fn key(kid: &str) -> Signer {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    Signer::from_pem(pair.serialize_pem().as_bytes(), Some(kid.to_owned())).unwrap()
}

#[test]
fn keys_are_fetched_once_and_again_when_they_rotate() {
    let stand = Stand::new();
    let provider = stand.provider();
    for _ in 0..3 {
        assert_eq!(provider.validate(&stand.token(), Expect::Presented, NOW).unwrap().groups, ["jobs"]);
    }
    assert_eq!(stand.keys_asked.load(Ordering::SeqCst), 1);
    let before = stand.token();
    *stand.key.lock().unwrap() = Arc::new(key("second"));
    assert!(provider.validate(&stand.token(), Expect::Presented, NOW).is_ok());
    assert_eq!(stand.keys_asked.load(Ordering::SeqCst), 2);
    assert_eq!(provider.validate(&before, Expect::Presented, NOW), Err(Fault::Key.into()));
}

#[test]
fn invented_key_names_cost_the_provider_a_few_requests() {
    let stand = Stand::new();
    let provider = stand.provider();
    assert!(provider.validate(&stand.token(), Expect::Presented, NOW).is_ok());
    for n in 0..50 {
        let claims = json!({"iss": stand.url, "sub": "x", "aud": "urn:tidegate", "iat": NOW, "exp": NOW + 60});
        let token = key(&format!("invented-{n}")).sign("at+jwt", &claims).unwrap();
        assert_eq!(provider.validate(token.expose(), Expect::Presented, NOW), Err(Fault::Key.into()));
    }
    assert_eq!(stand.keys_asked.load(Ordering::SeqCst), 1 + 3);
    assert!(provider.validate(&stand.token(), Expect::Presented, NOW).is_ok());
}

#[test]
fn nothing_a_token_names_is_fetched() {
    let stand = Stand::new();
    let trap = Stand::new();
    let providers = Providers::new(vec![stand.issuer()], Pace::default()).unwrap();
    let url = &trap.url;
    let claims = json!({"iss": url, "sub": "x", "aud": "urn:tidegate", "iat": NOW, "exp": NOW + 60});
    let token = key("k").sign("at+jwt", &claims).unwrap();
    assert_eq!(providers.presented(token.expose(), NOW), Err(Fault::Issuer.into()));
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    for member in ["jku", "x5u"] {
        let header = json!({"alg": "ES256", "kid": format!("{url}/keys"), member: format!("{url}/keys")});
        let payload = json!({"iss": stand.url, "sub": "x", "aud": "urn:tidegate", "iat": NOW, "exp": NOW + 60});
        let token = format!(
            "{}.{}.{}",
            BASE64.encode(header.to_string()),
            BASE64.encode(payload.to_string()),
            BASE64.encode([1; 64])
        );
        assert_eq!(providers.presented(&token, NOW), Err(Fault::Header(member).into()));
    }
    assert!(trap.asked.lock().unwrap().is_empty());
    assert!(stand.asked.lock().unwrap().is_empty());
}

#[test]
fn sets_of_keys_that_are_too_large_or_not_there_are_refused() {
    let stand = Stand::new();
    let refused = |body: Vec<u8>, status: u16| {
        stand.say("/keys", status, body);
        stand.provider().validate(&stand.token(), Expect::Presented, NOW).unwrap_err().to_string()
    };
    assert!(refused(vec![b' '; 10 << 20], 200).contains("longer than"));
    assert!(refused(b"{\"keys\":[]}".to_vec(), 200).contains("none of them"));
    assert!(refused(b"<html>".to_vec(), 200).contains("json"));
    assert!(refused(b"{}".to_vec(), 302).contains("status 302"), "redirects are not followed");
    assert!(refused(b"{}".to_vec(), 500).contains("status 500"));
}

#[test]
fn the_discovery_document_is_that_of_the_issuer_exactly() {
    let stand = Stand::new();
    let path = "/.well-known/openid-configuration";
    for (issuer, keys) in [
        (format!("{}/", stand.url), "/keys"),
        ("https://other.example.com".to_owned(), "/keys"),
        (stand.url.clone(), ""),
    ] {
        let keys =
            if keys.is_empty() { "http://evil.example.com/keys".to_owned() } else { format!("{}{keys}", stand.url) };
        stand.say(path, 200, json!({"issuer": issuer, "jwks_uri": keys}).to_string());
        assert!(matches!(stand.provider().metadata(), Err(Error::Provider { .. })), "{issuer} {keys}");
    }
    stand.say(path, 200, json!({"issuer": stand.url}).to_string());
    assert!(stand.provider().metadata().is_err());
    // Twice the same member: whose document it is depends on the reader.
    stand.say(path, 200, format!(r#"{{"issuer":"x","issuer":"{}","jwks_uri":"{0}/keys"}}"#, stand.url));
    assert!(stand.provider().metadata().is_err());
}

#[test]
fn old_keys_serve_while_the_provider_is_away_and_then_no_longer() {
    let stand = Stand::new();
    let pace = Pace { fresh: Duration::ZERO, interval: Duration::ZERO, ..Pace::default() };
    let mut provider = Provider::paced(stand.issuer(), pace).unwrap();
    assert!(provider.validate(&stand.token(), Expect::Presented, NOW).is_ok());
    stand.say("/keys", 500, "{}");
    assert!(provider.validate(&stand.token(), Expect::Presented, NOW).is_ok());
    provider.pace.stale_max = Duration::from_millis(5);
    std::thread::sleep(Duration::from_millis(10));
    assert!(matches!(provider.validate(&stand.token(), Expect::Presented, NOW), Err(Error::Provider { .. })));
}

/// The parameters of an address.
fn query(address: &str) -> HashMap<String, String> {
    url::Url::parse(address).unwrap().query_pairs().into_owned().collect()
}

fn form(body: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

/// Lets the token endpoint answer with an ID token that has this nonce.
fn grant(stand: &Arc<Stand>, nonce: Option<&str>, groups: Option<&str>) {
    let mut claims = json!({"iss": stand.url, "sub": "u-1", "aud": "tidegate", "iat": NOW, "exp": NOW + 60});
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    if let Some(group) = groups {
        claims["groups"] = json!([group]);
        claims["preferred_username"] = "alice".into();
    }
    let id = stand.key.lock().unwrap().sign("JWT", &claims).unwrap();
    stand.say(
        "/token",
        200,
        json!({"id_token": id.expose(), "access_token": "at", "token_type": "Bearer"}).to_string(),
    );
}

#[test]
fn a_code_is_exchanged_with_its_verifier_at_its_own_issuer() {
    let stand = Stand::new();
    let provider = stand.provider();
    let pending = flow::begin_code(&provider, "https://gate.example.com/signin/oidc/callback").unwrap();
    let sent = query(&pending.address);
    assert_eq!(sent["response_type"], "code");
    assert_eq!(sent["code_challenge_method"], "S256");
    assert_eq!(sent["redirect_uri"], "https://gate.example.com/signin/oidc/callback");
    assert_eq!(sent["scope"], "openid profile email");
    grant(&stand, Some(&sent["nonce"]), Some("analysts"));
    let answer = CodeAnswer {
        code: Some(Secret::new("c0de")),
        state: Some(Secret::new(sent["state"].as_str())),
        issuer: Some(stand.url.clone()),
        error: None,
    };
    let validated = flow::finish_code(&provider, pending, &answer, NOW).unwrap();
    assert_eq!((validated.subject.as_str(), validated.groups), ("u-1", vec!["analysts".to_owned()]));
    let (_, headers, body) = stand.asked("/token").pop().unwrap();
    let body = form(&body);
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    use sha2::Digest as _;
    assert_eq!(BASE64.encode(sha2::Sha256::digest(&body["code_verifier"])), sent["code_challenge"]);
    assert_eq!(body["code"], "c0de");
    let basic = base64::engine::general_purpose::STANDARD.encode("tidegate:s%3Acret");
    assert!(headers.iter().any(|h| h.eq_ignore_ascii_case(&format!("authorization: Basic {basic}"))));
    assert!(!body.contains_key("client_secret"));
}

#[test]
fn answers_of_another_sign_in_are_refused_before_the_code_goes_anywhere() {
    let stand = Stand::new();
    let provider = stand.provider();
    let own = |state: &str| CodeAnswer {
        code: Some(Secret::new("c0de")),
        state: Some(Secret::new(state)),
        issuer: Some(stand.url.clone()),
        error: None,
    };
    let attempt = |change: &dyn Fn(&mut CodeAnswer)| {
        let pending = flow::begin_code(&provider, "https://gate.example.com/cb").unwrap();
        let mut answer = own(pending.state.expose());
        change(&mut answer);
        flow::finish_code(&provider, pending, &answer, NOW).unwrap_err()
    };
    assert!(matches!(attempt(&|a| a.state = Some(Secret::new("other"))), Error::Answer(_)));
    assert!(matches!(attempt(&|a| a.state = None), Error::Answer(_)));
    assert!(matches!(attempt(&|a| a.issuer = None), Error::Answer(_)));
    assert!(matches!(attempt(&|a| a.issuer = Some("https://evil".into())), Error::Answer(_)));
    assert!(matches!(attempt(&|a| a.code = None), Error::Answer(_)));
    assert_eq!(attempt(&|a| a.error = Some("access_denied".into())), Error::Refused("access_denied".into()));
    let script = "<script>alert(1)</script>";
    assert_eq!(attempt(&|a| a.error = Some(script.into())), Error::Refused("unknown".into()));
    assert!(stand.asked("/token").is_empty());
    // The token of another sign-in, put in the place of this one's.
    grant(&stand, Some("nonce-of-another"), Some("analysts"));
    assert_eq!(attempt(&|_| ()), Fault::Nonce.into());
}

#[test]
fn claims_that_the_token_lacks_are_asked_for_and_belong_to_the_subject() {
    let stand = Stand::new();
    let provider = stand.provider();
    let attempt = |subject: &str| {
        let pending = flow::begin_code(&provider, "https://gate.example.com/cb").unwrap();
        let sent = query(&pending.address);
        grant(&stand, Some(&sent["nonce"]), None);
        stand.say(
            "/me",
            200,
            json!({"sub": subject, "groups": ["analysts"], "preferred_username": "alice"}).to_string(),
        );
        let answer = CodeAnswer {
            code: Some(Secret::new("c")),
            state: Some(Secret::new(sent["state"].as_str())),
            issuer: Some(stand.url.clone()),
            error: None,
        };
        flow::finish_code(&provider, pending, &answer, NOW)
    };
    let validated = attempt("u-1").unwrap();
    assert_eq!(validated.groups, ["analysts"]);
    assert_eq!(validated.names.handle.as_deref(), Some("alice"));
    let (_, headers, _) = stand.asked("/me").pop().unwrap();
    assert!(headers.iter().any(|h| h.eq_ignore_ascii_case("authorization: Bearer at")));
    assert!(matches!(attempt("u-2"), Err(Error::Answer(_))));
}

#[test]
fn a_device_sign_in_waits_and_ends() {
    let stand = Stand::new();
    let provider = stand.provider();
    stand.say(
        "/device",
        200,
        json!({"device_code": "dc", "user_code": "WDJB-MJHT", "verification_uri": format!("{}/device", stand.url),
               "expires_in": 9999, "interval": 1})
        .to_string(),
    );
    let mut pending = flow::begin_device(&provider, NOW).unwrap();
    assert_eq!((pending.user_code.as_str(), pending.expires), ("WDJB-MJHT", NOW + 600));
    assert!(!format!("{pending:?}").contains("\"dc\""));
    stand.say("/token", 400, r#"{"error":"authorization_pending"}"#);
    assert!(matches!(flow::poll_device(&provider, &mut pending, NOW), DevicePoll::Pending));
    stand.say("/token", 400, r#"{"error":"slow_down"}"#);
    assert!(matches!(flow::poll_device(&provider, &mut pending, NOW), DevicePoll::Pending));
    assert_eq!(pending.interval, 6);
    stand.say("/token", 400, r#"{"error":"access_denied"}"#);
    let denied = flow::poll_device(&provider, &mut pending, NOW);
    assert!(matches!(denied, DevicePoll::Failed(Error::Refused(code)) if code == "access_denied"));
    grant(&stand, None, Some("analysts"));
    assert!(matches!(flow::poll_device(&provider, &mut pending, NOW), DevicePoll::Done(v) if v.subject == "u-1"));
    assert!(matches!(flow::poll_device(&provider, &mut pending, NOW + 600), DevicePoll::Failed(_)));
    for (name, value) in [
        ("verification_uri", json!("http://evil.example.com/device")),
        ("verification_uri_complete", json!("javascript:alert(1)")),
        ("user_code", json!("\u{1b}[2J")),
        ("device_code", json!(7)),
    ] {
        let mut answer =
            json!({"device_code": "dc", "user_code": "WDJB-MJHT", "verification_uri": format!("{}/d", stand.url)});
        answer[name] = value;
        stand.say("/device", 200, answer.to_string());
        assert!(flow::begin_device(&provider, NOW).is_err(), "{name}");
    }
}

#[test]
fn a_service_proves_itself_with_its_key_and_presents_what_it_gets() {
    let stand = Stand::new();
    let service = Arc::new(key("svc-key"));
    stand.say("/token", 200, json!({"access_token": stand.token(), "token_type": "Bearer"}).to_string());
    let credentials = flow::ClientCredentials {
        issuer: stand.url.clone(),
        client_id: "svc".to_owned(),
        auth: ClientAuth::PrivateKey(Arc::clone(&service)),
        scope: Some("db".to_owned()),
        resource: Some("urn:tidegate".to_owned()),
        authorities: None,
    };
    let token = flow::client_credentials(&credentials, NOW).unwrap();
    let (_, _, body) = stand.asked("/token").pop().unwrap();
    let body = form(&body);
    assert_eq!(body["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    // The provider would check the assertion like this.
    let mut client = Issuer::people("svc", "svc", "x");
    client.audiences = vec![stand.url.clone()];
    client.token_type = crate::TokenType::Jwt;
    client.algorithms = vec![Algorithm::Es256];
    let keys = KeySet::parse(service.public_set().to_string().as_bytes()).unwrap();
    let assertion = crate::validate(&client, &keys, &body["client_assertion"], Expect::Presented, NOW).unwrap();
    assert_eq!((assertion.subject.as_str(), assertion.expires), ("svc", NOW + 60));
    let providers = Providers::new(vec![stand.issuer()], Pace::default()).unwrap();
    assert_eq!(providers.presented(token.expose(), NOW).unwrap().groups, ["jobs"]);
}

#[test]
fn two_issuers_are_not_mixed_up() {
    let (one, two) = (Stand::new(), Stand::new());
    let mut second = two.issuer();
    second.name = "second".to_owned();
    let providers = Providers::new(vec![one.issuer(), second], Pace::default()).unwrap();
    assert_eq!(providers.presented(&one.token(), NOW).unwrap().issuer, one.url);
    // Signed by the second, in the first one's name, with the first one's key name.
    let claims = json!({"iss": one.url, "sub": "svc", "aud": "urn:tidegate", "iat": NOW, "exp": NOW + 60});
    let forged = two.key.lock().unwrap().sign("at+jwt", &claims).unwrap();
    assert_eq!(providers.presented(forged.expose(), NOW), Err(Fault::Signature.into()));
    let again = Providers::new(vec![one.issuer(), one.issuer()], Pace::default()).unwrap_err();
    assert!(again.iter().any(|p| p.contains("twice")) && again.iter().any(|p| p.contains("another one")));
}
