//! A response of a real identity provider is accepted, everything made out of it to deceive is refused; and responses made
//! here, with a key that is pinned, for what a provider could sign by mistake.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod attacks;

use attacks::{ENVELOPED, EXCLUSIVE, Form, Signer, attacks, transform};
use proptest::prelude::*;
use saml::{Certificate, Expected, check};

const CAPTURED: &str = include_str!("captured/response.xml");
const CERTIFICATE: &str = include_str!("captured/idp.crt");
const METADATA: &[u8] = include_bytes!("captured/metadata.xml");
/// 2026-11-22T18:17:10Z, three seconds after the captured response.
const NOW: i64 = 1_795_371_430;
const ISSUER: &str = "http://127.0.0.1:24031/idp";
const CONSUMER: &str = "http://127.0.0.1:21999/saml/acs";

fn expected(certificates: &[Certificate]) -> Expected<'_> {
    Expected {
        now: NOW,
        issuer: ISSUER,
        certificates,
        audience: "urn:gateway:sp",
        consumer: CONSUMER,
        request: "_5f0e",
    }
}

fn captured_key() -> Vec<Certificate> {
    Certificate::from_pem(CERTIFICATE).unwrap()
}

#[test]
fn a_real_response_is_accepted() {
    let key = captured_key();
    for document in [CAPTURED.to_owned(), attacks::assertion_signed(CAPTURED)] {
        let accepted = check(document.as_bytes(), &expected(&key)).unwrap();
        assert_eq!((accepted.issuer.as_str(), accepted.subject.as_str()), (ISSUER, "alice@example.com"));
        assert_eq!(accepted.attributes["groups"], ["analysts", "eng"]);
        assert_eq!(accepted.attributes["uid"], ["alice"]);
        assert_eq!(accepted.forget, NOW - 3 + 300 + 60);
        assert_eq!(accepted.session_until, Some(NOW - 3 + 8 * 3_600));
        assert!(!accepted.is_transient());
    }
}

#[test]
fn real_metadata_is_read() {
    let provider = saml::metadata::Provider::from_metadata(METADATA).unwrap();
    assert_eq!(provider.entity, ISSUER);
    assert_eq!(provider.sign_on, "http://127.0.0.1:24031/saml2/idp/SSOService.php");
    assert_eq!(provider.certificates, captured_key());
}

#[test]
fn every_attack_is_refused() {
    let key = captured_key();
    let all = attacks(CAPTURED);
    assert!(all.len() > 200, "{}", all.len());
    for (name, document) in all {
        if let Ok(accepted) = check(&document, &expected(&key)) {
            panic!("{name} is accepted: {accepted:?}");
        }
    }
}

#[test]
fn other_expectations_are_refused() {
    let key = captured_key();
    let good = expected(&key);
    let other = [Certificate::from_der(&Signer::new().certificate).unwrap()];
    for bad in [
        Expected { now: NOW + 360 + 60, ..good.clone() },
        Expected { now: NOW - 93, ..good.clone() },
        Expected { issuer: "http://127.0.0.1:24031/idp2", ..good.clone() },
        Expected { audience: "urn:gateway:sp2", ..good.clone() },
        Expected { consumer: "http://127.0.0.1:21999/saml/acs/", ..good.clone() },
        Expected { request: "_5f0f", ..good.clone() },
        Expected { request: "", ..good.clone() },
        Expected { certificates: &other, ..good.clone() },
        Expected { certificates: &[], ..good.clone() },
    ] {
        assert!(check(CAPTURED.as_bytes(), &bad).is_err(), "{bad:?}");
    }
    assert!(check(CAPTURED.as_bytes(), &Expected { now: NOW + 350, ..good }).is_ok());
}

/// An assertion as a provider would make it.
fn assertion() -> String {
    "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" \
     xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" ID=\"_a\" Version=\"2.0\" IssueInstant=\"2026-11-22T18:17:07Z\">\
     <saml:Issuer>http://127.0.0.1:24031/idp</saml:Issuer><saml:Subject><saml:NameID>alice</saml:NameID>\
     <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData \
     InResponseTo=\"_5f0e\" NotOnOrAfter=\"2026-11-22T18:22:07Z\" Recipient=\"http://127.0.0.1:21999/saml/acs\"/></saml:SubjectConfirmation>\
     </saml:Subject><saml:Conditions><saml:AudienceRestriction><saml:Audience>urn:gateway:sp</saml:Audience></saml:AudienceRestriction>\
     </saml:Conditions><saml:AuthnStatement/><saml:AttributeStatement><saml:Attribute Name=\"groups\"><saml:AttributeValue \
     xsi:type=\"xs:string\">eng</saml:AttributeValue><saml:AttributeValue/></saml:Attribute></saml:AttributeStatement></saml:Assertion>"
        .to_owned()
}

fn response(assertion: &str) -> String {
    format!(
        "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_r\" Version=\"2.0\" \
         Destination=\"{CONSUMER}\" InResponseTo=\"_5f0e\"><saml:Issuer>{ISSUER}</saml:Issuer><samlp:Status><samlp:StatusCode \
         Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></samlp:Status>{assertion}</samlp:Response>"
    )
}

#[test]
fn every_combination_of_signatures_is_checked() {
    let signer = Signer::new();
    let stranger = Signer::new();
    let key = [Certificate::from_der(&signer.certificate).unwrap()];
    let good = expected(&key);
    let form = Form::default();
    let part = signer.sign(&assertion(), &form);
    for document in [response(&part), signer.sign(&response(&assertion()), &form), signer.sign(&response(&part), &form)]
    {
        let accepted = check(document.as_bytes(), &good).unwrap();
        assert_eq!(
            (accepted.subject.as_str(), accepted.attributes["groups"].as_slice()),
            ("alice", &["eng".to_owned()][..])
        );
        assert!(check(document.replace(">alice<", ">bob<").as_bytes(), &good).is_err());
    }
    // A valid signature beside one that is not never counts alone.
    let foreign = stranger.sign(&assertion(), &form);
    assert!(check(signer.sign(&response(&foreign), &form).as_bytes(), &good).is_err());
    assert!(check(stranger.sign(&response(&part), &form).as_bytes(), &good).is_err());
    assert!(check(response(&assertion()).as_bytes(), &good).is_err());
}

#[test]
fn what_a_key_signs_in_another_form_is_refused() {
    let signer = Signer::new();
    let key = [Certificate::from_der(&signer.certificate).unwrap()];
    let good = expected(&key);
    let both = transform(ENVELOPED, "") + &transform(EXCLUSIVE, "");
    let list = format!("<ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"xs #default\"/>");
    let fine = Form {
        transforms: transform(ENVELOPED, "") + &transform(EXCLUSIVE, &list),
        inclusive: vec!["xs".to_owned(), "#default".to_owned()],
        digest: "http://www.w3.org/2001/04/xmlenc#sha512",
        after: Some(String::new()),
        ..Form::default()
    };
    check(response(&signer.sign(&assertion(), &fine)).as_bytes(), &good).unwrap();

    let forms = [
        ("SHA-1", Form { digest: "http://www.w3.org/2000/09/xmldsig#sha1", ..Form::default() }),
        ("RSA with SHA-1", Form { method: "http://www.w3.org/2000/09/xmldsig#rsa-sha1", ..Form::default() }),
        ("ECDSA with SHA-1", Form { method: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1", ..Form::default() }),
        ("RSA by name", Form { method: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", ..Form::default() }),
        ("a MAC", Form { method: "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", ..Form::default() }),
        ("inclusive", Form { canonicalization: "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", ..Form::default() }),
        (
            "with comments",
            Form { canonicalization: "http://www.w3.org/2001/10/xml-exc-c14n#WithComments", ..Form::default() },
        ),
        ("no transforms", Form { transforms: String::new(), ..Form::default() }),
        ("one transform", Form { transforms: transform(EXCLUSIVE, ""), ..Form::default() }),
        (
            "transforms the other way round",
            Form { transforms: transform(EXCLUSIVE, "") + &transform(ENVELOPED, ""), ..Form::default() },
        ),
        ("three transforms", Form { transforms: both + &transform(EXCLUSIVE, ""), ..Form::default() }),
        (
            "XPath",
            Form {
                transforms: transform(ENVELOPED, "")
                    + &transform(
                        "http://www.w3.org/TR/1999/REC-xpath-19991116",
                        "<ds:XPath>not(ancestor-or-self::saml)</ds:XPath>",
                    ),
                ..Form::default()
            },
        ),
        (
            "XSLT",
            Form {
                transforms: transform("http://www.w3.org/TR/1999/REC-xslt-19991116", "") + &transform(EXCLUSIVE, ""),
                ..Form::default()
            },
        ),
        (
            "base64",
            Form {
                transforms: transform("http://www.w3.org/2000/09/xmldsig#base64", "") + &transform(EXCLUSIVE, ""),
                ..Form::default()
            },
        ),
        (
            "a list of prefixes twice",
            Form { transforms: transform(ENVELOPED, "") + &transform(EXCLUSIVE, &list.repeat(2)), ..Form::default() },
        ),
        (
            "something in enveloped",
            Form { transforms: transform(ENVELOPED, "<ds:XPath/>") + &transform(EXCLUSIVE, ""), ..Form::default() },
        ),
        ("another element", Form { uri: Some("URI=\"#_x\"".to_owned()), ..Form::default() }),
        ("the whole document", Form { uri: Some("URI=\"\"".to_owned()), ..Form::default() }),
        ("no reference to anything", Form { uri: Some(String::new()), ..Form::default() }),
        ("an outer reference", Form { uri: Some("URI=\"http://127.0.0.1:1/\"".to_owned()), ..Form::default() }),
        (
            "a typed reference",
            Form {
                uri: Some("URI=\"#_a\" Type=\"http://www.w3.org/2000/09/xmldsig#Manifest\"".to_owned()),
                ..Form::default()
            },
        ),
        ("a second reference", Form { more: "<ds:Reference URI=\"#_r\"/>", ..Form::default() }),
        ("something more in SignedInfo", Form { more: "<ds:Object/>", ..Form::default() }),
        (
            "a digest of nothing",
            Form { digest_value: Some("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned()), ..Form::default() },
        ),
        ("an empty digest", Form { digest_value: Some(String::new()), ..Form::default() }),
        ("an Object", Form { after: Some("<ds:Object/>".to_owned()), ..Form::default() }),
        ("a manifest", Form { after: Some("<ds:Object><ds:Manifest/></ds:Object>".to_owned()), ..Form::default() }),
    ];
    for (name, form) in forms {
        for document in [response(&signer.sign(&assertion(), &form)), signer.sign(&response(&assertion()), &form)] {
            assert!(check(document.as_bytes(), &good).is_err(), "{name}");
        }
    }
}

#[test]
fn what_a_provider_signs_and_should_not_is_refused() {
    let signer = Signer::new();
    let key = [Certificate::from_der(&signer.certificate).unwrap()];
    let good = expected(&key);
    let cases = [
        (" InResponseTo=\"_5f0e\"", ""),
        ("InResponseTo=\"_5f0e\"", "InResponseTo=\"_other\""),
        ("Recipient=\"http://127.0.0.1:21999/saml/acs\"", ""),
        ("Recipient=\"http://127.0.0.1:21999/saml/acs\"", "Recipient=\"http://127.0.0.1:21999/saml/acs2\""),
        ("NotOnOrAfter=\"2026-11-22T18:22:07Z\"", ""),
        ("NotOnOrAfter=\"2026-11-22T18:22:07Z\"", "NotOnOrAfter=\"2026-11-22T18:16:09Z\""),
        ("NotOnOrAfter=\"2026-11-22T18:22:07Z\"", "NotOnOrAfter=\"2027-11-22T18:16:09Z\""),
        ("NotOnOrAfter=\"2026-11-22T18:22:07Z\"", "NotOnOrAfter=\"never\""),
        (
            "NotOnOrAfter=\"2026-11-22T18:22:07Z\"",
            "NotBefore=\"2026-11-22T18:17:00Z\" NotOnOrAfter=\"2026-11-22T18:22:07Z\"",
        ),
        ("<saml:Audience>urn:gateway:sp</saml:Audience>", "<saml:Audience>urn:x</saml:Audience>"),
        ("<saml:Audience>urn:gateway:sp</saml:Audience>", ""),
        (
            "<saml:Audience>urn:gateway:sp</saml:Audience>",
            "<saml:Audience>urn:gateway:sp</saml:Audience></saml:AudienceRestriction><saml:AudienceRestriction><saml:Audience>urn:x</saml:Audience>",
        ),
        ("<saml:AudienceRestriction><saml:Audience>urn:gateway:sp</saml:Audience></saml:AudienceRestriction>", ""),
        ("<saml:Conditions>", "<saml:Conditions NotBefore=\"2026-11-22T18:19:00Z\">"),
        ("<saml:Conditions>", "<saml:Conditions NotOnOrAfter=\"2026-11-22T18:16:00Z\">"),
        ("<saml:Conditions>", "<saml:Conditions><saml:Condition/>"),
        ("<saml:AuthnStatement/>", ""),
        ("<saml:AuthnStatement/>", "<saml:AuthzDecisionStatement/>"),
        ("<saml:AuthnStatement/>", "<saml:AuthnStatement/>stray"),
        ("<saml:AuthnStatement/>", "<saml:AuthnStatement SessionNotOnOrAfter=\"2026-11-22T18:00:00Z\"/>"),
        (":cm:bearer", ":cm:sender-vouches"),
        (">alice<", "><"),
        (">alice<", ">a&#10;b<"),
        ("<saml:NameID>alice</saml:NameID>", ""),
        ("<saml:NameID>alice</saml:NameID>", "<saml:NameID>alice</saml:NameID><saml:NameID>bob</saml:NameID>"),
        ("<saml:NameID>alice</saml:NameID>", "<saml:NameID>a<saml:x/>lice</saml:NameID>"),
        ("<saml:NameID>alice</saml:NameID>", "<saml:EncryptedID/>"),
        ("<saml:Issuer>http", "<saml:Issuer Format=\"urn:x\">http"),
        ("24031/idp<", "24031/idp/<"),
        ("Version=\"2.0\"", "Version=\"1.1\""),
        ("IssueInstant=\"2026-11-22T18:17:07Z\"", "IssueInstant=\"2026-11-22T18:19:00Z\""),
        ("</saml:AttributeStatement>", "<saml:Attribute Name=\"groups\"/></saml:AttributeStatement>"),
        ("<saml:Attribute Name=\"groups\">", "<saml:Attribute>"),
    ];
    for (from, to) in cases {
        let changed = assertion().replacen(from, to, 1);
        assert_ne!(changed, assertion());
        let document = response(&signer.sign(&changed, &Form::default()));
        assert!(check(document.as_bytes(), &good).is_err(), "{from} to {to}");
    }
    let outer = [
        (&*format!(" Destination=\"{CONSUMER}\""), ""),
        (&*format!(" Destination=\"{CONSUMER}\""), " Destination=\"http://x/\""),
        ("InResponseTo=\"_5f0e\"><saml:Issuer>", "InResponseTo=\"_x\"><saml:Issuer>"),
        ("status:Success", "status:Requester"),
    ];
    for (from, to) in outer {
        let changed = response(&assertion()).replacen(from, to, 1);
        assert!(check(signer.sign(&changed, &Form::default()).as_bytes(), &good).is_err(), "{from} to {to}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// One changed byte: refused, or a change that no claim and no signature can see.
    #[test]
    fn one_changed_byte_changes_no_claim(at in 0..CAPTURED.len(), byte: u8) {
        let key = captured_key();
        let mut bytes = CAPTURED.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(accepted) = check(&bytes, &expected(&key)) {
            prop_assert_eq!(accepted, check(CAPTURED.as_bytes(), &expected(&key)).unwrap());
        }
    }

    /// Pieces of the document moved, doubled and dropped.
    #[test]
    fn shuffled_pieces_change_no_claim(from in 0..CAPTURED.len(), length in 0usize..4_000, to in 0..CAPTURED.len(), keep: bool) {
        let key = captured_key();
        let piece = CAPTURED.as_bytes()[from..(from + length).min(CAPTURED.len())].to_vec();
        let mut bytes = CAPTURED.as_bytes().to_vec();
        if !keep {
            bytes.drain(from..from + piece.len());
        }
        let to = to.min(bytes.len());
        bytes.splice(to..to, piece);
        if let Ok(accepted) = check(&bytes, &expected(&key)) {
            prop_assert_eq!(accepted, check(CAPTURED.as_bytes(), &expected(&key)).unwrap());
        }
    }
}
