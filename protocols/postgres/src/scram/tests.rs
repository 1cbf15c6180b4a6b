//! The published example, agreement of both ends, and hostile messages.

use super::*;
use proptest::prelude::*;

const HASH: &[u8] = &[7; 32];

/// Few rounds where the number does not matter: unit tests run many exchanges.
fn verifier(password: &str) -> Verifier {
    Verifier::derive(password.as_bytes(), b"0123456789abcdef", 2)
}

fn keys(password: &str) -> ClientKeys {
    ClientKeys::new(Zeroizing::new(password.as_bytes().to_vec()))
}

/// A complete exchange; the first fault and whose it is.
fn exchange(
    verifier: Verifier,
    keys: &mut ClientKeys,
    server_binding: Option<&[u8]>,
    client_binding: Option<&[u8]>,
) -> Result<Mechanism, (&'static str, ScramFault)> {
    let mut server = Server::new(verifier, [1; NONCE_BYTES], server_binding);
    let mut client = Client::new([2; NONCE_BYTES], client_binding.map(<[u8]>::to_vec));
    let offered = Offered::parse(Mechanism::list(server_binding.is_some())).map_err(|f| ("client", f))?;
    let (mechanism, first) = client.client_first(offered).map_err(|f| ("client", f))?;
    let challenge = server.client_first(mechanism.name().as_bytes(), &first).map_err(|f| ("server", f))?;
    let proof = client.server_first(&challenge, keys).map_err(|f| ("client", f))?;
    let signature = server.client_final(&proof).map_err(|f| ("server", f))?;
    client.server_final(&signature).map_err(|f| ("client", f))?;
    Ok(mechanism)
}

#[test]
fn rfc_7677_example_is_accepted_and_signed() {
    let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let verifier = Verifier::derive(b"pencil", &salt, 4096);
    let mut server = Server::with_nonce(verifier, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    let challenge = server.client_first(b"SCRAM-SHA-256", b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    assert_eq!(challenge, b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    let signature = server
        .client_final(
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        )
        .unwrap();
    assert_eq!(signature, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn verifier_survives_its_stored_form() {
    let verifier = Verifier::derive("Zürich".as_bytes(), b"0123456789abcdef", 4096);
    let text = verifier.to_string();
    assert!(text.starts_with("SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"));
    assert_eq!(Verifier::parse(&text).unwrap(), verifier);
}

#[test]
fn verifier_parts_are_each_checked() {
    let good = verifier("x").to_string();
    let (head, key) = good.rsplit_once(':').unwrap();
    for (text, error) in [
        ("md5abc".to_owned(), VerifierError::Scheme),
        ("SCRAM-SHA-256$".to_owned(), VerifierError::Iterations),
        (good.replace("$2:", "$0:"), VerifierError::Iterations),
        (good.replace("$2:", "$+2:"), VerifierError::Iterations),
        (good.replace("$2:", "$1000001:"), VerifierError::Iterations),
        (good.replace("$2:", "$99999999999:"), VerifierError::Iterations),
        (good.replace("MDEy", "M*Ey"), VerifierError::Salt),
        ("SCRAM-SHA-256$2:$a:b".to_owned(), VerifierError::Salt),
        (format!("SCRAM-SHA-256$2:{}$a:b", BASE64.encode([0; SALT_BYTES_MAX + 1])), VerifierError::Salt),
        ("SCRAM-SHA-256$2:MDEy$abc:def".to_owned(), VerifierError::StoredKey),
        (format!("{head}:{}", &key[1..]), VerifierError::ServerKey),
    ] {
        assert_eq!(Verifier::parse(&text).err(), Some(error), "{text}");
    }
    let longest = good.replace("MDEyMzQ1Njc4OWFiY2RlZg==", &BASE64.encode([0; SALT_BYTES_MAX]));
    assert!(Verifier::parse(&longest).is_ok());
}

#[test]
fn debug_shows_no_key() {
    let verifier = verifier("x");
    assert_eq!(format!("{verifier:?}"), "Verifier { iterations: 2, .. }");
    assert_eq!(format!("{:?}", keys("secret")), "ClientKeys { derived: false, .. }");
}

#[test]
fn binding_is_used_when_both_can_and_refused_when_hashes_differ() {
    let run = |server, client| exchange(verifier("pw"), &mut keys("pw"), server, client);
    assert_eq!(run(None, None), Ok(Mechanism::Plain));
    assert_eq!(run(Some(HASH), None), Ok(Mechanism::Plain));
    assert_eq!(run(None, Some(HASH)), Ok(Mechanism::Plain));
    assert_eq!(run(Some(HASH), Some(HASH)), Ok(Mechanism::Plus));
    let differs = run(Some(HASH), Some(&[8; 32]));
    assert_eq!(differs, Err(("server", ScramFault::Binding("data does not match this connection"))));
}

#[test]
fn removed_offer_is_noticed() {
    let mut server = Server::new(verifier("pw"), [1; NONCE_BYTES], Some(HASH));
    let mut client = Client::new([2; NONCE_BYTES], Some(HASH.to_vec()));
    // Somebody between the two removed PLUS from the list.
    let (mechanism, first) = client.client_first(Offered { plain: true, plus: false }).unwrap();
    assert_eq!(server.client_first(mechanism.name().as_bytes(), &first), Err(ScramFault::Downgrade));
}

#[test]
fn header_and_mechanism_must_fit() {
    const PLUS: &[u8] = b"SCRAM-SHA-256-PLUS";
    const PLAIN: &[u8] = b"SCRAM-SHA-256";
    let first = |binding: Option<&[u8]>, mechanism: &[u8], message: &[u8]| {
        Server::new(verifier("pw"), [1; NONCE_BYTES], binding).client_first(mechanism, message).err()
    };
    assert_eq!(first(Some(HASH), PLUS, b"p=tls-server-end-point,,n=,r=abc"), None);
    assert_eq!(first(Some(HASH), PLAIN, b"n,,n=,r=abc"), None);
    assert_eq!(first(None, PLAIN, b"y,,n=,r=abc"), None);
    assert_eq!(first(None, PLAIN, b"n,,n=someone,r=abc,x=extension"), None);

    assert_eq!(first(None, PLUS, b"p=tls-server-end-point,,n=,r=abc"), Some(ScramFault::Mechanism));
    assert_eq!(first(None, b"PLAIN", b"n,,n=,r=abc"), Some(ScramFault::Mechanism));
    assert_eq!(first(Some(HASH), PLAIN, b"y,,n=,r=abc"), Some(ScramFault::Downgrade));
    for (mechanism, message) in [
        (PLUS, &b"n,,n=,r=abc"[..]),
        (PLUS, b"y,,n=,r=abc"),
        (PLUS, b"p=tls-unique,,n=,r=abc"),
        (PLUS, b"p=tls-server-end-point2,,n=,r=abc"),
        (PLAIN, b"p=tls-server-end-point,,n=,r=abc"),
    ] {
        assert!(matches!(first(Some(HASH), mechanism, message), Some(ScramFault::Binding(_))), "{message:?}");
    }
    for message in [
        &b""[..],
        b"n",
        b"n,",
        b"n,,",
        b"n,,n=",
        b"n,,n=,r=",
        b"n,,r=abc",
        b"n,,n=,r=a b",
        b"n,,n=,r=a\0b",
        b"n,,n=,r=\xff",
        b"n,,m=x,n=,r=abc",
        b"n,a=admin,n=,r=abc",
        b"x,,n=,r=abc",
        b"n,,n=,r=abc,",
        b"n,,n=,r=abc,nothing",
    ] {
        assert!(matches!(first(None, PLAIN, message), Some(ScramFault::Malformed(_))), "{message:?}");
    }
}

#[test]
fn client_final_is_checked_part_by_part() {
    let attempt = |change: &dyn Fn(&str) -> String| {
        let mut server = Server::new(verifier("pw"), [1; NONCE_BYTES], None);
        let mut client = Client::new([2; NONCE_BYTES], None);
        let (mechanism, first) = client.client_first(Offered { plain: true, plus: false }).unwrap();
        let challenge = server.client_first(mechanism.name().as_bytes(), &first).unwrap();
        let proof = client.server_first(&challenge, &mut keys("pw")).unwrap();
        server.client_final(change(std::str::from_utf8(&proof).unwrap()).as_bytes()).err()
    };
    assert_eq!(attempt(&str::to_owned), None);
    assert!(matches!(attempt(&|m| m.replace("c=biws", "c=eSws")), Some(ScramFault::Binding(_))));
    assert_eq!(attempt(&|m| m.replace("r=", "r=x")), Some(ScramFault::Nonce));
    assert_eq!(attempt(&|m| m.replacen(",p=", ",x=ignored,p=", 1)), Some(ScramFault::Proof));
    assert!(matches!(attempt(&|m| m.replacen(",p=", ",m=x,p=", 1)), Some(ScramFault::Malformed(_))));
    assert!(matches!(attempt(&|m| format!("{m},x=late")), Some(ScramFault::Malformed(_))));
    assert!(matches!(attempt(&|m| m.split(",p=").next().unwrap().to_owned()), Some(ScramFault::Malformed(_))));
    assert!(matches!(attempt(&|m| m[..m.len() - 1].to_owned()), Some(ScramFault::Malformed(_))));
}

#[test]
fn unknown_user_fails_at_the_end_and_looks_the_same() {
    let mock = |user| Verifier::mock(user, b"process secret");
    assert_eq!(mock("nobody"), mock("nobody"));
    assert_ne!(mock("nobody").salt, mock("noone").salt);
    assert_ne!(mock("nobody").salt, Verifier::mock("nobody", b"another").salt);
    assert_eq!(mock("nobody").salt.len(), 16);
    assert_eq!(exchange(mock("nobody"), &mut keys("pw"), None, None), Err(("server", ScramFault::Proof)));
    let real = Verifier::derive(b"other", &[1; 16], ITERATIONS_DEFAULT);
    assert_eq!(exchange(real, &mut keys("pw"), None, None), Err(("server", ScramFault::Proof)));
    // Even one who knows the keys of the mock, hence could compute a proof, does not get in.
    let mut doomed = verifier("pw");
    doomed.doomed = true;
    assert_eq!(exchange(doomed, &mut keys("pw"), None, None), Err(("server", ScramFault::Proof)));
}

#[test]
fn impostor_is_recognised() {
    let mut client = Client::new([2; NONCE_BYTES], None);
    client.client_first(Offered { plain: true, plus: false }).unwrap();
    let challenge = format!("r={}abc,s=MDEy,i=2", BASE64.encode([2; NONCE_BYTES]));
    client.server_first(challenge.as_bytes(), &mut keys("pw")).unwrap();
    let signature = format!("v={}", BASE64.encode([0; KEY_BYTES]));
    assert_eq!(client.server_final(signature.as_bytes()), Err(ScramFault::ServerSignature));
}

#[test]
fn hostile_server_first_is_refused() {
    let attempt = |challenge: String| {
        let mut client = Client::new([2; NONCE_BYTES], None);
        client.client_first(Offered { plain: true, plus: false }).unwrap();
        client.server_first(challenge.as_bytes(), &mut keys("pw")).err()
    };
    let ours = BASE64.encode([2; NONCE_BYTES]);
    assert_eq!(attempt(format!("r={ours}abc,s=MDEy,i=2")), None);
    assert_eq!(attempt(format!("r={ours}abc,s=MDEy,i=2,x=extension")), None);
    assert_eq!(attempt(format!("r={}abc,s=MDEy,i=2", &ours[1..])), Some(ScramFault::Nonce));
    assert!(matches!(attempt(format!("r={ours},s=MDEy,i=2")), Some(ScramFault::Malformed(_))));
    for count in ["0", "-1", "1000001", "4294967297", "", "2 ", "0x2"] {
        assert_eq!(attempt(format!("r={ours}abc,s=MDEy,i={count}")), Some(ScramFault::Iterations), "{count:?}");
    }
    assert!(matches!(attempt(format!("r={ours}abc,s=,i=2")), Some(ScramFault::Malformed(_))));
    assert!(matches!(attempt(format!("r={ours}abc,s=M,i=2")), Some(ScramFault::Malformed(_))));
    assert!(matches!(attempt(format!("m=x,r={ours}abc,s=MDEy,i=2")), Some(ScramFault::Malformed(_))));

    let salt = |bytes| BASE64.encode(vec![0; bytes]);
    assert_eq!(attempt(format!("r={ours}a,s={},i=2", salt(SALT_BYTES_MAX))), None);
    let over = attempt(format!("r={ours}a,s={},i=2", salt(SALT_BYTES_MAX + 1)));
    assert_eq!(over, Some(ScramFault::TooLong { what: "salt", limit: SALT_BYTES_MAX }));
    assert_eq!(attempt(format!("r={ours}{},s=MDEy,i=2", "a".repeat(NONCE_BYTES_MAX))), None);
    let over = attempt(format!("r={ours}{},s=MDEy,i=2", "a".repeat(NONCE_BYTES_MAX + 1)));
    assert_eq!(over, Some(ScramFault::TooLong { what: "nonce", limit: NONCE_BYTES_MAX }));
    let over = attempt(format!("r={ours}a,s=MDEy,i=2,x={}", "a".repeat(MESSAGE_BYTES_MAX)));
    assert_eq!(over, Some(ScramFault::TooLong { what: "message", limit: MESSAGE_BYTES_MAX }));
}

#[test]
fn mechanism_list_is_read_and_written() {
    assert_eq!(Offered::parse(Mechanism::list(true)), Ok(Offered { plain: true, plus: true }));
    assert_eq!(Offered::parse(Mechanism::list(false)), Ok(Offered { plain: true, plus: false }));
    assert_eq!(Offered::parse(b"OAUTHBEARER\0SCRAM-SHA-256\0\0"), Ok(Offered { plain: true, plus: false }));
    assert_eq!(Offered::parse(b"OAUTHBEARER\0\0"), Ok(Offered::default()));
    for bad in [&b""[..], b"SCRAM-SHA-256", b"SCRAM-SHA-256\0", b"SCRAM-SHA-256\0\0x"] {
        assert!(matches!(Offered::parse(bad), Err(ScramFault::Malformed(_))), "{bad:?}");
    }
    let nothing = Client::new([0; NONCE_BYTES], None).client_first(Offered { plain: false, plus: true });
    assert_eq!(nothing, Err(ScramFault::Mechanism));
}

#[test]
fn kept_keys_are_used_only_for_their_salt_and_count() {
    let mut keys = keys("pw");
    let first = proof_with(&mut keys, b"salt", 2);
    assert_eq!(first, proof_with(&mut keys, b"salt", 2));
    assert_ne!(first, proof_with(&mut keys, b"salt", 3));
    assert_ne!(first, proof_with(&mut keys, b"tlas", 2));
    assert_eq!(first, proof_with(&mut keys, b"salt", 2));
}

/// The proof for a fixed conversation: a function of the keys.
fn proof_with(keys: &mut ClientKeys, salt: &[u8], iterations: u32) -> Vec<u8> {
    let mut client = Client::new([2; NONCE_BYTES], None);
    client.client_first(Offered { plain: true, plus: false }).unwrap();
    let ours = BASE64.encode([2; NONCE_BYTES]);
    let challenge = format!("r={ours}abc,s={},i={iterations}", BASE64.encode(salt));
    client.server_first(challenge.as_bytes(), keys).unwrap()
}

#[test]
fn calls_out_of_order_are_faults() {
    let mut server = Server::new(verifier("pw"), [1; NONCE_BYTES], None);
    assert_eq!(server.client_final(b"c=biws"), Err(ScramFault::Order));
    assert_eq!(server.client_first(b"SCRAM-SHA-256", b"n,,n=,r=abc"), Err(ScramFault::Order));
    let mut client = Client::new([2; NONCE_BYTES], None);
    assert_eq!(client.server_first(b"", &mut keys("pw")), Err(ScramFault::Order));
    assert_eq!(client.server_final(b""), Err(ScramFault::Order));
    assert_eq!(client.client_first(Offered { plain: true, plus: true }), Err(ScramFault::Order));
}

#[test]
fn passwords_are_prepared_as_the_server_prepares_them() {
    // RFC 4013, section 3; then what may not be prepared and what is not UTF-8.
    for (password, prepared) in [
        (&b"user"[..], &b"user"[..]),
        ("I\u{ad}X".as_bytes(), b"IX"),
        ("\u{aa}".as_bytes(), b"a"),
        ("\u{2168}".as_bytes(), b"IX"),
        ("a\u{a0}b".as_bytes(), b"a b"),
        (b"\x07", b"\x07"),
        ("\u{627}1".as_bytes(), "\u{627}1".as_bytes()),
        ("\u{ad}".as_bytes(), "\u{ad}".as_bytes()),
        (b"\xff\xfe", b"\xff\xfe"),
    ] {
        assert_eq!(&prepare(password)[..], prepared, "{password:?}");
    }
    assert!(verifier("IX").verify("I\u{ad}X".as_bytes()));
    assert!(!verifier("IX").verify(b"ix"));
}

proptest! {
    #[test]
    fn both_ends_agree_exactly_when_passwords_do(
        password in "\\PC{1,24}", other in "\\PC{1,24}", salt in proptest::collection::vec(any::<u8>(), 1..40),
        iterations in 1u32..5, bound in any::<bool>(),
    ) {
        let binding = bound.then_some(HASH);
        let made = || Verifier::derive(password.as_bytes(), &salt, iterations);
        let right = exchange(made(), &mut keys(&password), binding, binding);
        prop_assert_eq!(right, Ok(if bound { Mechanism::Plus } else { Mechanism::Plain }));
        let same = prepare(password.as_bytes()) == prepare(other.as_bytes());
        prop_assert_eq!(exchange(made(), &mut keys(&other), binding, binding).is_ok(), same);
    }

    /// One changed byte or a cut anywhere, in any message, never ends in success and never in a panic. Flips of the six
    /// spare bits at the end of base64 do not exist: the decoder demands canonical text.
    #[test]
    fn damage_is_a_fault(which in 0usize..4, at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>()) {
        let mut touched = false;
        let mut harm = |index: usize, mut message: Vec<u8>| {
            if index == which {
                let at = at.index(message.len());
                if cut {
                    message.truncate(at);
                } else {
                    touched = message[at] != to;
                    message[at] = to;
                }
                touched |= cut;
            }
            message
        };
        let mut server = Server::new(verifier("pw"), [1; NONCE_BYTES], Some(HASH));
        let mut client = Client::new([2; NONCE_BYTES], Some(HASH.to_vec()));
        let mut run = || -> Result<(), ScramFault> {
            let (mechanism, first) = client.client_first(Offered { plain: true, plus: true })?;
            let challenge = server.client_first(mechanism.name().as_bytes(), &harm(0, first))?;
            let proof = client.server_first(&harm(1, challenge), &mut keys("pw"))?;
            let signature = server.client_final(&harm(2, proof))?;
            client.server_final(&harm(3, signature))
        };
        let outcome = run();
        prop_assert_eq!(outcome.is_err(), touched);
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        let _ = Server::new(verifier("pw"), [1; NONCE_BYTES], None).client_first(b"SCRAM-SHA-256", &noise);
        let mut client = Client::new([2; NONCE_BYTES], None);
        let _ = client.client_first(Offered { plain: true, plus: false });
        prop_assert!(client.server_first(&noise, &mut keys("pw")).is_err());
        let _ = Verifier::parse(&text);
        let _ = Verifier::parse(&format!("SCRAM-SHA-256${text}"));
        let _ = Offered::parse(&noise);
        let _ = end_point_hash(&noise);
    }
}

#[test]
fn end_point_hash_follows_the_signature_algorithm() {
    // Just the frame of a certificate: an empty body and the algorithm.
    let certificate = |oid: &[u8], parameters: &[u8]| {
        let element = |tag: u8, parts: &[&[u8]]| {
            let content = parts.concat();
            [&[tag, u8::try_from(content.len()).unwrap()][..], &content].concat()
        };
        let algorithm = element(0x30, &[&element(6, &[oid]), parameters]);
        element(0x30, &[&[0x30, 0], &algorithm, &[3, 1, 0]])
    };
    let rsa = |last: u8| [&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1][..], &[last]].concat();
    let ecdsa = |last: &[u8]| [&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4][..], last].concat();
    let pss = [0x30, 15, 0xa0, 13, 0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];
    for (oid, parameters, bytes) in [
        (rsa(4), &[5, 0][..], Some(32)),
        (rsa(5), &[5, 0], Some(32)),
        (rsa(11), &[5, 0], Some(32)),
        (rsa(12), &[5, 0], Some(48)),
        (rsa(13), &[5, 0], Some(64)),
        (rsa(14), &[5, 0], Some(28)),
        (rsa(10), &pss, Some(64)),
        (rsa(10), &[0x30, 0], Some(32)),
        (rsa(99), &[], None),
        (ecdsa(&[1]), &[], Some(32)),
        (ecdsa(&[3, 2]), &[], Some(32)),
        (ecdsa(&[3, 3]), &[], Some(48)),
        (ecdsa(&[3, 4]), &[], Some(64)),
        (ecdsa(&[3, 9]), &[], None),
        (vec![0x2b, 0x65, 0x70], &[], None), // Ed25519: RFC 5929 leaves it undefined.
    ] {
        let der = certificate(&oid, parameters);
        assert_eq!(end_point_hash(&der).map(|h| h.len()), bytes, "{oid:x?}");
        for end in 0..der.len() {
            assert_eq!(end_point_hash(&der[..end]), None, "cut at {end}");
        }
    }
    let der = certificate(&rsa(11), &[5, 0]);
    assert_eq!(end_point_hash(&der).unwrap(), sha256(&[&der]).to_vec());
}

#[test]
fn each_of_several_passwords_of_a_user_fits_and_is_told_apart() {
    let mut all = Verifier::derive(b"first", b"one salt", 4096);
    assert!(all.or(&Verifier::derive(b"second", b"one salt", 4096)));
    assert!(all.or(&Verifier::derive(b"third", b"one salt", 4096)));
    assert!(!all.or(&Verifier::derive(b"fourth", b"other salt", 4096)), "one exchange has one salt");
    for (number, password) in [(0, "first"), (1, "second"), (2, "third")] {
        let mut server = Server::new(all.clone(), [1; NONCE_BYTES], None);
        let mut client = Client::new([2; NONCE_BYTES], None);
        let (mechanism, first) = client.client_first(Offered { plain: true, plus: false }).unwrap();
        let challenge = server.client_first(mechanism.name().as_bytes(), &first).unwrap();
        let proof = client.server_first(&challenge, &mut keys(password)).unwrap();
        let signature = server.client_final(&proof).unwrap();
        // The client checks that the server knows this very password.
        client.server_final(&signature).unwrap();
        assert_eq!(server.matched(), number);
    }
    assert_eq!(exchange(all, &mut keys("fourth"), None, None), Err(("server", ScramFault::Proof)));
}
