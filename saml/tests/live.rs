//! A real identity provider, started here: it takes our signed request, its response is accepted by the helper program, and
//! everything made out of that response to deceive is refused.

mod attacks;
#[path = "../../tests/src/ports.rs"]
#[allow(unreachable_pub, reason = "public in the crate that owns it")]
mod ports;
#[path = "../../tests/src/saml.rs"]
#[allow(unreachable_pub, reason = "public in the crate that owns it")]
mod provider;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provider::{SamlProvider, Service, key_pair};
use saml::helper::{Denied, Request, check};
use saml::metadata::{Provider, ours};
use saml::request::{SignOn, new_id};
use saml::{Certificate, SigningKey};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ENTITY: &str = "urn:tidegate:test";
const CONSUMER: &str = "http://127.0.0.1:9/signin/saml/acs";

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("a year")
}

#[test]
fn a_real_provider_signs_somebody_in_and_no_forgery_does() {
    let folder = tempfile::tempdir().expect("a folder");
    key_pair(folder.path(), "sp");
    key_pair(folder.path(), "other");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a file");
    let service = Service {
        entity: ENTITY,
        consumer: CONSUMER,
        certificate: &read("sp.crt"),
        people: &[("alice", &["analysts", "eng"])],
    };
    let running = SamlProvider::start(&folder.path().join("idp"), &service);
    let idp = Provider::from_metadata(running.metadata().as_bytes()).expect("its metadata");
    assert_eq!(idp.entity, running.entity());

    let key = SigningKey::from_pem(&read("sp.key")).expect("our key");
    let id = new_id().expect("randomness");
    let sign_on = SignOn {
        id: &id,
        now: now(),
        sign_on: &idp.sign_on,
        entity: ENTITY,
        consumer: CONSUMER,
        relay_state: "a state & more",
        force: true,
    };
    let fields = running.sign_in(&sign_on.url(&key).expect("a signature"), "alice");
    assert_eq!(fields["RelayState"], "a state & more");

    let request = Request {
        response: fields["SAMLResponse"].clone(),
        now: now(),
        issuer: idp.entity.clone(),
        certificates: idp.certificates.iter().map(|c| STANDARD.encode(c.der())).collect(),
        audience: ENTITY.to_owned(),
        consumer: CONSUMER.to_owned(),
        request: id.clone(),
    };
    let program = Path::new(env!("CARGO_BIN_EXE_tidegate-saml"));
    let limit = Duration::from_secs(30);
    let accepted = check(program, &request, limit).expect("accepted");
    assert_eq!(accepted.subject, "alice");
    assert_eq!(accepted.attributes["groups"], ["analysts", "eng"]);
    assert!(!accepted.is_transient());

    let document = String::from_utf8(STANDARD.decode(&fields["SAMLResponse"]).expect("base64")).expect("UTF-8");
    let all = attacks::attacks(&document);
    assert!(all.len() > 200);
    for (number, (name, forged)) in all.into_iter().enumerate() {
        // Each by the library, every tenth by the program too.
        let forged = Request { response: STANDARD.encode(forged), ..request.clone() };
        let verdict = saml::helper::answer(&serde_json::to_vec(&forged).expect("JSON"));
        assert!(verdict.starts_with("{\"refused\""), "{name}: {verdict}");
        if number % 10 == 0 {
            assert!(matches!(check(program, &forged, limit), Err(Denied::Refused(_))), "{name}");
        }
    }
    let other = Request { request: new_id().expect("randomness"), ..request };
    assert!(check(program, &other, limit).is_err(), "an answer to another request");

    // The provider believes our key and no other: the signature of the request is one.
    let stranger = SigningKey::from_pem(&read("other.key")).expect("a key");
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        running.sign_in(&sign_on.url(&stranger).expect("a signature"), "alice")
    }));
    assert!(refused.is_err());
    let certificate = &Certificate::from_pem(&read("sp.crt")).expect("our certificate")[0];
    assert!(saml::xml::parse(ours(ENTITY, CONSUMER, certificate).as_bytes()).is_ok());
}
