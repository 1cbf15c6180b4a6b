//! The client's login as bytes: what is asked for, when a token is taken, and that nothing secret is asked for in clear.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use contract::{Buffers, Challenge, Chunk, Discovery, Fault, Greeted, Greeting, Lane, LoginRequest, Shows};
use postgres::scram::Verifier;
use postgres::{Greet, TlsOffer};
use std::rc::Rc;

const ROOM: usize = 256 << 10;

struct Talk {
    greet: Greet,
    down: Lane,
    up: Lane,
    buffers: Buffers,
}

fn frame(tag: Option<u8>, body: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = tag.into_iter().collect();
    out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = (3u32 << 16).to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    frame(None, &body)
}

/// SASLInitialResponse.
fn initial(mechanism: &str, message: &[u8]) -> Vec<u8> {
    let mut body = format!("{mechanism}\0").into_bytes();
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(message);
    frame(Some(b'p'), &body)
}

impl Talk {
    /// Before the start-up packet; inside TLS if there is a binding.
    fn new(tls: TlsOffer, binding: Option<&[u8]>) -> Self {
        let mut greet = Greet::new(tls, 10_000);
        if let Some(binding) = binding {
            greet.secured(binding);
        }
        Self { greet, down: Lane::new(ROOM), up: Lane::new(ROOM), buffers: Buffers::default() }
    }

    /// Until something is found, or all of it is said.
    fn say(&mut self, mut bytes: &[u8]) -> Result<Greeted, Fault> {
        loop {
            let slot = self.down.slot(&mut self.buffers);
            let n = slot.len().min(bytes.len());
            slot[..n].copy_from_slice(&bytes[..n]);
            self.down.received(n);
            bytes = &bytes[n..];
            match self.greet.step(&mut self.down, &mut self.up) {
                Ok(Greeted::NeedMore) if !bytes.is_empty() => {}
                found => return found,
            }
        }
    }

    fn heard(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while let Chunk::Bytes(bytes) = self.up.chunk() {
            let n = bytes.len();
            out.extend_from_slice(bytes);
            self.up.written(n);
        }
        out
    }

    fn login(&mut self, parameters: &[(&str, &str)]) -> LoginRequest {
        match self.say(&startup(parameters)).unwrap() {
            Greeted::Login(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, challenge: Challenge<Verifier>) -> Result<Vec<u8>, Fault> {
        self.greet.challenge(&mut self.up, challenge)?;
        Ok(self.heard())
    }
}

fn secret(oauth: bool) -> Challenge<Verifier> {
    let verifier = Verifier::derive(b"secret", b"0123456789abcdef", 4096);
    Challenge::Secret { verifier, nonce: [7; 18], oauth: oauth.then(discovery) }
}

fn discovery() -> Rc<Discovery> {
    let configuration = "https://idp.example/.well-known/openid-configuration".to_owned();
    Rc::new(Discovery { configuration, scope: "openid groups".to_owned() })
}

const TOKEN: &[u8] = b"n,,\x01auth=Bearer abc.def\x01\x01";

/// Authentication request of this code, with what follows it.
fn asked(code: u32, rest: &[u8]) -> Vec<u8> {
    frame(Some(b'R'), &[&code.to_be_bytes()[..], rest].concat())
}

#[test]
fn mechanisms_are_offered_strongest_first_and_oauth_only_under_tls() {
    for (binding, oauth, offered) in [
        (None, false, &b"SCRAM-SHA-256\0\0"[..]),
        (None, true, b"SCRAM-SHA-256\0\0"),
        (Some(&b"hash"[..]), false, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
        (Some(b"hash"), true, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0OAUTHBEARER\0\0"),
        // A certificate without a binding (Ed25519).
        (Some(b""), true, b"SCRAM-SHA-256\0OAUTHBEARER\0\0"),
    ] {
        let mut talk = Talk::new(TlsOffer::Offered, binding);
        talk.login(&[("user", "ana")]);
        assert_eq!(talk.ask(secret(oauth)).unwrap(), asked(10, offered));
    }
}

#[test]
fn no_token_is_asked_for_in_clear() {
    for challenge in [Challenge::Token, Challenge::Oauth(discovery())] {
        let mut talk = Talk::new(TlsOffer::Offered, None);
        talk.login(&[("user", "token")]);
        let fault = talk.ask(challenge).unwrap_err();
        assert_eq!(fault.state, "28000");
        assert!(talk.heard().is_empty());
    }
    // OAUTHBEARER is not taken either where it was not offered.
    let mut talk = Talk::new(TlsOffer::Offered, None);
    talk.login(&[("user", "ana")]);
    talk.ask(secret(true)).unwrap();
    assert_eq!(talk.say(&initial("OAUTHBEARER", TOKEN)), Ok(Greeted::Denied("scram_exchange")));
}

#[test]
fn a_token_takes_the_place_of_a_password() {
    let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
    let request = talk.login(&[("user", "ana"), ("options", "-c tidegate.auth=token -c work_mem=1MB")]);
    assert_eq!(request.shows, Some(Shows::Token));
    assert_eq!(request.parameters, [("work_mem".to_owned(), "1MB".to_owned())]);
    assert_eq!(talk.ask(Challenge::Token).unwrap(), asked(3, b""));
    let message = frame(Some(b'p'), b"abc.def\0");
    // Any cut of the input.
    for byte in &message[..message.len() - 1] {
        assert_eq!(talk.say(&[*byte]), Ok(Greeted::NeedMore));
    }
    let Ok(Greeted::Shown(Shows::Token, token)) = talk.say(&message[message.len() - 1..]) else { panic!("no token") };
    assert_eq!(token.0.as_str(), "abc.def");
    assert!(!format!("{token:?}").contains("abc"));
    // Nothing goes on before the verdict, whatever the client sends.
    assert_eq!(talk.say(&frame(Some(b'p'), b"abc.def\0")), Ok(Greeted::NeedMore));
    talk.greet.shown(&mut talk.up, Ok(()));
    assert_eq!(talk.say(b""), Ok(Greeted::Authenticated));
    talk.greet.accept(&mut talk.up, &[], 1, &[0; 32]);
    assert!(talk.heard().starts_with(&asked(0, b"")), "no SASL ends a login without SASL");
}

#[test]
fn a_token_that_is_no_good_is_denied() {
    let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
    talk.login(&[("user", "token")]);
    talk.ask(Challenge::Token).unwrap();
    assert!(matches!(talk.say(&frame(Some(b'p'), b"abc\0")), Ok(Greeted::Shown(..))));
    talk.greet.shown(&mut talk.up, Err("expired"));
    assert_eq!(talk.say(b""), Ok(Greeted::Denied("expired")));
    for bad in [&b""[..], b"\0", b"abc", b"a b\0", b"a\0b\0", b"=\0", b"\xff\0"] {
        let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
        talk.login(&[("user", "token")]);
        talk.ask(Challenge::Token).unwrap();
        assert_eq!(talk.say(&frame(Some(b'p'), bad)), Ok(Greeted::Denied("token_form")), "{bad:?}");
    }
    let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
    talk.login(&[("user", "token")]);
    talk.ask(Challenge::Token).unwrap();
    // Said by the header alone, before a megabyte is waited for.
    assert!(talk.say(&frame(Some(b'p'), &vec![b'a'; 1 << 20])[..5]).is_err());
}

#[test]
fn oauthbearer_passes_and_fails_as_the_standard_says() {
    let failure = br#"{"status":"invalid_token","openid-configuration":"https://idp.example/.well-known/openid-configuration","scope":"openid groups"}"#;
    for challenge in [secret(true), Challenge::Oauth(discovery())] {
        let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
        talk.login(&[("user", "ana")]);
        talk.ask(challenge.clone()).unwrap();
        assert!(matches!(talk.say(&initial("OAUTHBEARER", TOKEN)), Ok(Greeted::Shown(Shows::Oauth, _))));
        talk.greet.shown(&mut talk.up, Ok(()));
        assert_eq!(talk.say(b""), Ok(Greeted::Authenticated));
        assert!(talk.heard().is_empty());

        let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
        talk.login(&[("user", "ana")]);
        talk.ask(challenge.clone()).unwrap();
        assert!(matches!(talk.say(&initial("OAUTHBEARER", TOKEN)), Ok(Greeted::Shown(Shows::Oauth, _))));
        talk.greet.shown(&mut talk.up, Err("expired"));
        assert_eq!(talk.heard(), asked(11, failure));
        assert_eq!(talk.say(b""), Ok(Greeted::NeedMore));
        assert_eq!(talk.say(&frame(Some(b'p'), b"\x01")), Ok(Greeted::Denied("expired")));

        // A client without a token is told where to get one.
        let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
        talk.login(&[("user", "ana")]);
        talk.ask(challenge.clone()).unwrap();
        assert_eq!(talk.say(&initial("OAUTHBEARER", b"n,,\x01auth=\x01\x01")), Ok(Greeted::NeedMore));
        assert_eq!(talk.heard(), asked(11, failure));
        assert_eq!(talk.say(&frame(Some(b'p'), b"\x01")), Ok(Greeted::Denied("oauth_discovery")));

        // A second token after the failure is not looked at.
        let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
        talk.login(&[("user", "ana")]);
        talk.ask(challenge).unwrap();
        talk.say(&initial("OAUTHBEARER", b"n,,\x01auth=\x01\x01")).unwrap();
        assert!(talk.say(&frame(Some(b'p'), TOKEN)).is_err());
    }
}

#[test]
fn what_was_not_offered_is_not_taken() {
    let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
    talk.login(&[("user", "oauth")]);
    talk.ask(Challenge::Oauth(discovery())).unwrap();
    assert_eq!(talk.say(&initial("SCRAM-SHA-256", b"n,,n=,r=abc")), Ok(Greeted::Denied("sasl_mechanism")));
    // "y": the client could bind and believes we cannot, although PLUS was offered.
    let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
    talk.login(&[("user", "ana")]);
    talk.ask(secret(true)).unwrap();
    assert_eq!(talk.say(&initial("SCRAM-SHA-256", b"y,,n=,r=abc")), Ok(Greeted::Denied("scram_exchange")));
    // A password in clear is no answer to SCRAM.
    let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
    talk.login(&[("user", "ana")]);
    talk.ask(secret(false)).unwrap();
    assert!(talk.say(&frame(Some(b'p'), b"secret\0")).is_err());
    // Without OAUTHBEARER a long message is refused by its header.
    let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
    talk.login(&[("user", "ana")]);
    talk.ask(secret(false)).unwrap();
    assert!(talk.say(&initial("SCRAM-SHA-256", &[b'a'; 5000])[..5]).is_err());
}

#[test]
fn a_connection_that_is_proof_asks_for_nothing() {
    let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
    talk.login(&[("user", "ana")]);
    assert!(talk.ask(Challenge::Nothing).unwrap().is_empty());
    assert_eq!(talk.say(b""), Ok(Greeted::Authenticated));
    assert_eq!(talk.say(b""), Ok(Greeted::NeedMore));
}

#[test]
fn plaintext_before_or_instead_of_tls_is_refused() {
    // Bytes after the request for TLS would be plaintext inside of it.
    let mut talk = Talk::new(TlsOffer::Required, None);
    let request = frame(None, &80_877_103u32.to_be_bytes());
    let mut injected = request.clone();
    injected.extend_from_slice(&startup(&[("user", "ana")]));
    assert!(talk.say(&injected).is_err());
    assert!(talk.heard().is_empty());
    // Required and not asked for.
    let mut talk = Talk::new(TlsOffer::Required, None);
    assert_eq!(talk.say(&startup(&[("user", "ana")])).unwrap_err().state, "28000");
    // Asked for twice.
    let mut talk = Talk::new(TlsOffer::Required, Some(b"hash"));
    assert!(talk.say(&request).is_err());
}

#[test]
fn what_a_client_says_it_shows_is_one_of_two_words() {
    let mut talk = Talk::new(TlsOffer::Offered, None);
    assert!(talk.say(&startup(&[("user", "ana"), ("options", "-c tidegate.auth=password")])).is_err());
    let mut talk = Talk::new(TlsOffer::Offered, None);
    assert_eq!(talk.login(&[("user", "ana"), ("tidegate.auth", "oauth")]).shows, Some(Shows::Oauth));
}
