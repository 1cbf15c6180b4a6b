//! Attacks on SAML responses, made out of a response that is accepted: the signature wrapping set (XSW 1 to 8), what parsers
//! read differently (comments, entities, namespaces, attributes), other keys and algorithms, plain forgery.
//!
//! Each is a document that must be refused and that, in some implementation, was not. The original must have prefixes
//! `samlp`, `saml` and `ds`, and a signed assertion.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use ring::{digest, hmac};

/// A key and its certificate.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    /// In DER.
    pub(crate) certificate: Vec<u8>,
}

/// How a signature is made; the default is the accepted way.
#[derive(Clone)]
pub(crate) struct Form {
    /// Of the canonicalization of `SignedInfo`.
    pub(crate) canonicalization: &'static str,
    /// Of the signature.
    pub(crate) method: &'static str,
    /// All transforms.
    pub(crate) transforms: String,
    /// Name of the digest.
    pub(crate) digest: &'static str,
    /// What the digest is of, if not of the element.
    pub(crate) digest_value: Option<String>,
    /// What `Reference` points to, if not to the element.
    pub(crate) uri: Option<String>,
    /// Put after the first reference.
    pub(crate) more: &'static str,
    /// Put after `SignatureValue`, instead of a `KeyInfo` with the certificate.
    pub(crate) after: Option<String>,
    /// Prefixes of `InclusiveNamespaces`.
    pub(crate) inclusive: Vec<String>,
}

pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// One `Transform`.
pub(crate) fn transform(algorithm: &str, inside: &str) -> String {
    format!("<ds:Transform Algorithm=\"{algorithm}\">{inside}</ds:Transform>")
}

impl Default for Form {
    fn default() -> Self {
        Self {
            canonicalization: EXCLUSIVE,
            method: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            transforms: transform(ENVELOPED, "") + &transform(EXCLUSIVE, ""),
            digest: "http://www.w3.org/2001/04/xmlenc#sha256",
            digest_value: None,
            uri: None,
            more: "",
            after: None,
            inclusive: Vec::new(),
        }
    }
}

fn b64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl Signer {
    /// A fresh key.
    pub(crate) fn new() -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["idp".to_owned()]).unwrap().self_signed(&pair).unwrap().der().to_vec();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.serialize_der(), &SystemRandom::new())
                .unwrap();
        Self { key, certificate }
    }

    /// The `Signature` of an element that stands alone, given as text with its namespaces declared.
    pub(crate) fn signature(&self, element: &str, form: &Form) -> String {
        let parsed = saml::xml::parse(element.as_bytes()).expect("what is to be signed is of the subset");
        let covered = saml::canonical(&parsed, None, &form.inclusive);
        let kind = match form.digest {
            d if d.ends_with("sha1") => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            d if d.ends_with("sha384") => &digest::SHA384,
            d if d.ends_with("sha512") => &digest::SHA512,
            _ => &digest::SHA256,
        };
        let value = form.digest_value.clone().unwrap_or_else(|| b64(digest::digest(kind, &covered).as_ref()));
        let uri =
            form.uri.clone().unwrap_or_else(|| format!("URI=\"#{}\"", parsed.attribute("ID").unwrap_or_default()));
        let Form { canonicalization, method, transforms, digest, more, .. } = form;
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:CanonicalizationMethod Algorithm=\"{canonicalization}\"/>\
             <ds:SignatureMethod Algorithm=\"{method}\"/><ds:Reference {uri}><ds:Transforms>{transforms}</ds:Transforms>\
             <ds:DigestMethod Algorithm=\"{digest}\"/><ds:DigestValue>{value}</ds:DigestValue></ds:Reference>{more}</ds:SignedInfo>"
        );
        let bytes = saml::canonical(&saml::xml::parse(info.as_bytes()).unwrap(), None, &[]);
        let signed = if method.contains("hmac") {
            // The public key as the secret of a MAC: whoever has the certificate can make one.
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.certificate), &bytes).as_ref().to_vec()
        } else {
            self.key.sign(&SystemRandom::new(), &bytes).unwrap().as_ref().to_vec()
        };
        let key = form.after.clone().unwrap_or_else(|| {
            let certificate = b64(&self.certificate);
            format!("<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>")
        });
        format!(
            "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{info}<ds:SignatureValue>{}</ds:SignatureValue>{key}</ds:Signature>",
            b64(&signed)
        )
    }

    /// Signs `element` (an assertion or a response without a signature of its own): its signature after its issuer.
    pub(crate) fn sign(&self, element: &str, form: &Form) -> String {
        element.replacen("</saml:Issuer>", &format!("</saml:Issuer>{}", self.signature(element, form)), 1)
    }
}

/// From the first `from` to the next `to`, with both.
pub(crate) fn part<'a>(document: &'a str, from: &str, to: &str) -> &'a str {
    let start = document.find(from).unwrap_or_else(|| panic!("no {from}"));
    let end = start + document[start..].find(to).unwrap_or_else(|| panic!("no {to}")) + to.len();
    &document[start..end]
}

/// The assertion, and the document around it.
pub(crate) fn split(document: &str) -> (&str, &str, &str) {
    let assertion = part(document, "<saml:Assertion", "</saml:Assertion>");
    let start = document.find(assertion).unwrap();
    (&document[..start], assertion, &document[start + assertion.len()..])
}

/// The first signature.
pub(crate) fn signature(document: &str) -> &str {
    part(document, "<ds:Signature ", "</ds:Signature>")
}

/// Without its first signature.
pub(crate) fn unsigned(document: &str) -> String {
    document.replacen(signature(document), "", 1)
}

/// The same document with its assertion's signature only.
pub(crate) fn assertion_signed(document: &str) -> String {
    let (head, assertion, tail) = split(document);
    let head = if head.contains("<ds:Signature ") { unsigned(head) } else { head.to_owned() };
    format!("{head}{assertion}{tail}")
}

/// Somebody else, with more rights.
fn evil(text: &str) -> String {
    text.replace("alice", "mallory").replace("analysts", "admins")
}

/// Another identifier for the first element.
fn renamed(element: &str) -> String {
    let id = part(element, " ID=\"", "\" ");
    element.replacen(id, " ID=\"_evil\" ", 1)
}

/// The first ` ID="…"`.
fn identifier(element: &str) -> &str {
    part(element, " ID=\"", "\" ").trim_end()
}

/// Assertions as they are seen alone, with the namespaces that the document declares around them.
pub(crate) fn declared(assertion: &str) -> String {
    let mut out = assertion.to_owned();
    for (prefix, uri) in [
        ("saml", "urn:oasis:names:tc:SAML:2.0:assertion"),
        ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
        ("xs", "http://www.w3.org/2001/XMLSchema"),
    ] {
        if !part(&out, "<", ">").contains(&format!("xmlns:{prefix}=")) {
            out = out.replacen("<saml:Assertion ", &format!("<saml:Assertion xmlns:{prefix}=\"{uri}\" "), 1);
        }
    }
    out
}

/// Every attack on `original`, named.
pub(crate) fn attacks(original: &str) -> Vec<(String, Vec<u8>)> {
    let mut out: Vec<(String, Vec<u8>)> = Vec::new();
    for (of, base) in [("", original.to_owned()), (" (assertion signed)", assertion_signed(original))] {
        let mut add = |name: &str, document: String| {
            assert!(document != base, "{name} changes nothing");
            out.push((format!("{name}{of}"), document.into_bytes()));
        };
        wrapping(&base, &mut add);
        reading(&base, &mut add);
        forging(&base, &mut add);
    }
    for (name, encode) in [("UTF-16 big", u16::to_be_bytes as fn(u16) -> [u8; 2]), ("UTF-16 little", u16::to_le_bytes)]
    {
        let bytes = "\u{feff}".encode_utf16().chain(original.encode_utf16()).flat_map(encode).collect();
        out.push((name.to_owned(), bytes));
    }
    out
}

fn wrapping(base: &str, add: &mut dyn FnMut(&str, String)) {
    let (head, assertion, tail) = split(base);
    let bare = unsigned(assertion);
    let forged = renamed(&evil(&bare));
    let own = signature(assertion);
    let carrying = |inside: &str| own.replacen("</ds:Signature>", &format!("{inside}</ds:Signature>"), 1);
    let forged_with = |signature: &str| forged.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1);

    if head.contains("<ds:Signature ") {
        let whole = signature(head);
        let plain = unsigned(base);
        let response = renamed(&evil(&plain));
        let carrying = whole.replacen("</ds:Signature>", &format!("{plain}</ds:Signature>"), 1);
        let place = |inside: &str| response.replacen("</saml:Issuer>", &format!("</saml:Issuer>{inside}"), 1);
        add("XSW 1: the signed response inside the signature of a forged one", place(&carrying));
        add("XSW 2: the signed response before the signature of a forged one", place(&format!("{plain}{whole}")));
        add(
            "the signature of the response at the assertion",
            format!(
                "{}{}{tail}",
                unsigned(head),
                bare.replacen("</saml:Issuer>", &format!("</saml:Issuer>{whole}"), 1)
            ),
        );
        add("a response inside of the response", format!("{head}{base}{assertion}{tail}"));
    }
    add("XSW 3: a forged assertion before the signed one", format!("{head}{forged}{assertion}{tail}"));
    add("XSW 3, after it", format!("{head}{assertion}{forged}{tail}"));
    add(
        "XSW 4: the signed assertion inside of a forged one",
        format!("{head}{}{tail}", forged.replacen("</saml:Assertion>", &format!("{assertion}</saml:Assertion>"), 1)),
    );
    add(
        "XSW 5: a forged assertion with the signature, the signed one after it",
        format!("{head}{}{bare}{tail}", forged_with(own)),
    );
    add(
        "XSW 6: the signed assertion inside the signature of a forged one",
        format!("{head}{}{tail}", forged_with(&carrying(&bare))),
    );
    let extension = |inside: &str| format!("<samlp:Extensions>{inside}</samlp:Extensions>");
    add(
        "XSW 7: a forged assertion with the same identifier in Extensions",
        format!("{head}{}{assertion}{tail}", extension(&evil(&bare))),
    );
    add("XSW 7, with another identifier", format!("{head}{}{assertion}{tail}", extension(&forged)));
    add("XSW 7, turned around", format!("{head}{}{forged}{tail}", extension(assertion)));
    add(
        "XSW 8: the signed assertion in an Object of the signature of a forged one",
        format!("{head}{}{tail}", forged_with(&carrying(&format!("<ds:Object>{bare}</ds:Object>")))),
    );
    add(
        "the signed assertion in the KeyInfo of a forged one's signature",
        format!("{head}{}{tail}", forged_with(&own.replacen("</ds:KeyInfo>", &format!("{bare}</ds:KeyInfo>"), 1))),
    );
    add("a forged assertion with the identifier of the signed one", format!("{head}{}{assertion}{tail}", evil(&bare)));
    add(
        "a forged assertion in another namespace",
        format!(
            "{head}{}{assertion}{tail}",
            forged.replace("saml:Assertion", "x:Assertion").replacen(
                "<x:Assertion ",
                "<x:Assertion xmlns:x=\"urn:x\" ",
                1
            )
        ),
    );
    add(
        "a forged assertion in a StatusDetail",
        base.replacen(
            "</samlp:Status>",
            &format!("<samlp:StatusDetail>{forged}</samlp:StatusDetail></samlp:Status>"),
            1,
        ),
    );
    add(
        "a forged assertion in an Advice",
        format!(
            "{head}{}{tail}",
            assertion.replacen(
                "</saml:Assertion>",
                &format!("<saml:Advice>{forged}</saml:Advice></saml:Assertion>"),
                1
            )
        ),
    );
    add("the assertion alone", declared(assertion));
    add("an envelope around the response", format!("<e:Envelope xmlns:e=\"urn:e\">{base}</e:Envelope>"));
    add("two responses", format!("{base}{base}"));
    add(
        "the signature of the assertion twice",
        format!("{head}{}{tail}", assertion.replacen(own, &format!("{own}{own}"), 1)),
    );
    add(
        "the signature moved into the subject",
        format!("{head}{}{tail}", bare.replacen("</saml:Subject>", &format!("{own}</saml:Subject>"), 1)),
    );
    add("the signature moved out of the assertion", format!("{head}{own}{bare}{tail}"));
}

fn reading(base: &str, add: &mut dyn FnMut(&str, String)) {
    let (head, assertion, tail) = split(base);
    for (name, inside) in [
        ("a comment", "<!-- x -->"),
        ("an empty comment", "<!---->"),
        ("a processing instruction", "<?x y?>"),
        ("a CDATA section", "<![CDATA[x]]>"),
        ("an entity", "&x;"),
        ("an element", "<saml:x/>"),
    ] {
        for place in
            ["alice@example.com<", ">alice@example", ">analysts<", "</saml:AuthnStatement>", "<ds:DigestValue>"]
        {
            let at = if place.ends_with('<') { place.len() - 1 } else { place.find("@").map_or(place.len(), |_| 6) };
            let (before, after) = place.split_at(at);
            add(
                &format!("{name} at {place}"),
                format!("{head}{}{tail}", assertion.replacen(place, &format!("{before}{inside}{after}"), 1)),
            );
        }
        add(
            &format!("{name} at the end of the response"),
            base.replacen("</samlp:Response>", &format!("{inside}</samlp:Response>"), 1),
        );
        add(&format!("{name} before the document"), format!("{inside}{base}"));
        add(&format!("{name} after the document"), format!("{base}{inside}"));
    }
    let bomb: String = (1..20).map(|i| format!("<!ENTITY e{i} \"{}\">", format!("&e{};", i - 1).repeat(10))).collect();
    for (name, declaration) in [
        ("a document type", String::new()),
        ("an entity for a name", "<!ENTITY who \"mallory\">".to_owned()),
        ("an external entity", "<!ENTITY who SYSTEM \"file:///etc/passwd\">".to_owned()),
        ("a parameter entity", "<!ENTITY % who SYSTEM \"http://127.0.0.1:1/\"> %who;".to_owned()),
        ("a default attribute", "<!ATTLIST saml:Assertion ID CDATA \"_evil\" xmlns:saml CDATA \"urn:x\">".to_owned()),
        ("an entity bomb", format!("<!ENTITY e0 \"aaaaaaaaaa\">{bomb}")),
    ] {
        let used = base.replacen(">alice@", if name.contains("bomb") { ">&e19;@" } else { ">&who;@" }, 1);
        add(&format!("{name} declared"), format!("<!DOCTYPE samlp:Response [{declaration}]>{base}"));
        add(&format!("{name} declared and used"), format!("<!DOCTYPE samlp:Response [{declaration}]>{used}"));
    }
    let id = identifier(assertion).to_owned();
    add("the response has the assertion's identifier", {
        let own = identifier(head);
        base.replacen(own, &id, 1)
    });
    for (name, attribute) in [("ID", &*id), ("Id", &id.replace(" ID", " Id")), ("id", &id.replace(" ID", " id"))] {
        add(
            &format!("the status has the assertion's identifier as {name}"),
            base.replacen("<samlp:Status>", &format!("<samlp:Status{attribute}>"), 1),
        );
        add(
            &format!("the key has the assertion's identifier as {name}"),
            base.replacen("<ds:KeyInfo>", &format!("<ds:KeyInfo{attribute}>"), 1),
        );
    }
    add(
        "an xml:id with the assertion's identifier",
        base.replacen("<samlp:Status>", &format!("<samlp:Status{}>", id.replace(" ID", " xml:id")), 1),
    );
    let at_assertion = |attribute: &str| {
        format!("{head}{}{tail}", assertion.replacen("<saml:Assertion ", &format!("<saml:Assertion {attribute} "), 1))
    };
    add("a second identifier, in a namespace", at_assertion("saml:ID=\"_evil\""));
    add(
        "a second identifier, by another prefix of the namespace",
        at_assertion("xmlns:x=\"urn:oasis:names:tc:SAML:2.0:assertion\" x:ID=\"_evil\""),
    );
    add("a second identifier, in the same name", at_assertion("ID=\"_evil\""));
    add("a second identifier, in other letters", at_assertion("Id=\"_evil\""));
    add("a relative namespace", at_assertion("xmlns:x=\"1\""));
    add(
        "a relative namespace at the response",
        base.replacen("<samlp:Response ", "<samlp:Response xmlns:x=\"x/y\" ", 1),
    );
    add("an empty namespace for a prefix", at_assertion("xmlns:x=\"\""));
    add(
        "the namespace of assertions bound to another one inside",
        assertion_with(head, assertion, tail, "<saml:Subject>", "<saml:Subject xmlns:saml=\"urn:x\">"),
    );
    add(
        "the namespace of signatures bound to another one",
        base.replace("http://www.w3.org/2000/09/xmldsig#\"", "http://www.w3.org/2000/09/xmldsig\""),
    );
    add("a namespace with a reference in it", at_assertion("xmlns:x=\"urn:&#x20;\""));
    add("the prefix xml bound", at_assertion("xmlns:xml=\"urn:x\""));
    add("the prefix xmlns bound", at_assertion("xmlns:xmlns=\"urn:x\""));
    add("the namespace of xml under another prefix", at_assertion("xmlns:x=\"http://www.w3.org/XML/1998/namespace\""));
    add("an undeclared prefix", at_assertion("x:y=\"\""));
    add("a null byte", base.replacen(">alice@", ">alice\0@", 1));
    add("a reference to a null character", base.replacen(">alice@", ">alice&#0;@", 1));
    add("version 1.1", format!("<?xml version=\"1.1\"?>{base}"));
    add("UTF-7", format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{base}"));
    add("too deep", format!("{head}{}{}{assertion}{tail}", "<saml:x>".repeat(5_000), "</saml:x>".repeat(5_000)));
    add(
        "too long",
        base.replacen("<samlp:Status>", &format!("{}<samlp:Status>", " ".repeat(saml::RESPONSE_BYTES_MAX)), 1),
    );
    let many: String = (0..2_000).map(|i| format!(" a{i}=\"\"")).collect();
    add("too many attributes", base.replacen("<samlp:Status", &format!("<samlp:Status{many}"), 1));
    let many: String = (0..200).map(|i| format!(" xmlns:a{i}=\"urn:{i}\"")).collect();
    add("too many namespaces", base.replacen("<samlp:Status", &format!("<samlp:Status{many}"), 1));
}

fn assertion_with(head: &str, assertion: &str, tail: &str, from: &str, to: &str) -> String {
    format!("{head}{}{tail}", assertion.replacen(from, to, 1))
}

fn forging(base: &str, add: &mut dyn FnMut(&str, String)) {
    let (head, assertion, tail) = split(base);
    let own = signature(assertion);
    let bare = unsigned(assertion);
    let with = |signature: &str| {
        format!("{head}{}{tail}", bare.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1))
    };

    for (name, from, to) in [
        ("another subject", ">alice@", ">mallory@"),
        ("another group", ">analysts<", ">admins<"),
        ("another service", "<saml:Audience>", "<saml:Audience>x"),
        ("another address", " Recipient=\"", " Recipient=\"x"),
        ("another end", " NotOnOrAfter=\"2", " NotOnOrAfter=\"9"),
        ("another request", " InResponseTo=\"", " InResponseTo=\"x"),
        ("a changed digest", "<ds:DigestValue>", "<ds:DigestValue>AAAA"),
        (
            "a digest of nothing before the digest",
            "<ds:DigestValue>",
            "<ds:DigestValue>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ds:DigestValue><ds:DigestValue>",
        ),
        ("a changed signature", "<ds:SignatureValue>", "<ds:SignatureValue>AAAA"),
        ("an empty signature", "<ds:SignatureValue>", "<ds:SignatureValue></ds:SignatureValue><ds:SignatureValue>"),
        ("a reference to everything", "URI=\"#", "URI=\"\" Id=\""),
        ("a reference by pointer", "URI=\"#", "URI=\"#xpointer(id('"),
        (
            "inclusive canonicalization",
            "http://www.w3.org/2001/10/xml-exc-c14n#",
            "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        ),
        (
            "canonicalization with comments",
            "http://www.w3.org/2001/10/xml-exc-c14n#",
            "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        ),
        ("a digest by SHA-1", "http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"),
        (
            "one transform fewer",
            "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>",
            "",
        ),
    ] {
        add(name, assertion_with(head, assertion, tail, from, to));
    }
    add(
        "no signature of the assertion",
        format!("{}{bare}{tail}", head.replace("<ds:Signature ", "<ds:Gone ").replace("</ds:Signature>", "</ds:Gone>")),
    );
    add(
        "nothing is signed",
        format!(
            "{}{}{tail}",
            if head.contains("<ds:Signature ") { unsigned(head) } else { head.to_owned() },
            evil(&bare)
        ),
    );
    add("a second SignedInfo", with(&own.replacen("<ds:SignedInfo>", "<ds:SignedInfo/><ds:SignedInfo>", 1)));
    add(
        "a second SignedInfo after the first",
        with(&own.replacen("</ds:SignedInfo>", "</ds:SignedInfo><ds:SignedInfo/>", 1)),
    );
    let reference = part(own, "<ds:Reference ", "</ds:Reference>");
    add("two references", with(&own.replacen(reference, &format!("{reference}{reference}"), 1)));
    add("no reference", with(&own.replacen(reference, "", 1)));
    add("an Object", with(&own.replacen("</ds:Signature>", "<ds:Object/></ds:Signature>", 1)));
    add("a failure", base.replacen("status:Success", "status:AuthnFailed", 1));
    add(
        "two failures in a success",
        base.replacen(
            "<samlp:StatusCode ",
            "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\"/><samlp:StatusCode ",
            1,
        ),
    );
    add(
        "an encrypted assertion",
        format!("{head}<saml:EncryptedAssertion>{assertion}</saml:EncryptedAssertion>{tail}"),
    );
    add("an encrypted assertion beside", format!("{head}{assertion}<saml:EncryptedAssertion/>{tail}"));
    let issuer = part(assertion, "<saml:Issuer>", "</saml:Issuer>");
    for kind in ["LogoutRequest", "LogoutResponse", "ArtifactResponse", "AuthnRequest"] {
        add(
            &format!("an unsigned {kind}"),
            format!(
                "<samlp:{kind} xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_1\" Version=\"2.0\">{issuer}<saml:NameID>alice</saml:NameID></samlp:{kind}>"
            ),
        );
        add(&format!("the response as a {kind}"), base.replace("samlp:Response", &format!("samlp:{kind}")));
    }
    let stranger = Signer::new();
    let naked = declared(&bare);
    let loose = if head.contains("<ds:Signature ") { unsigned(head) } else { head.to_owned() };
    add(
        "another key, with its certificate",
        format!("{loose}{}{tail}", stranger.sign(&evil(&naked), &Form::default())),
    );
    let hmac = Form { method: "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", ..Form::default() };
    add("a MAC by the certificate", format!("{loose}{}{tail}", stranger.sign(&evil(&naked), &hmac)));
    add(
        "only the certificate of another key",
        with(&stranger.signature(&naked, &Form::default()).replacen(
            part(&stranger.signature(&naked, &Form::default()), "<ds:KeyInfo>", "</ds:KeyInfo>"),
            part(own, "<ds:KeyInfo>", "</ds:KeyInfo>"),
            1,
        )),
    );
}
