//! The compact form of a signed token (RFC 7515), taken apart strictly.
//!
//! Three parts of base64url without padding and without stray bits; a header whose members are known by name. Members that
//! would let the token bring its own key (`jwk`, `jku`, `x5u`), its own rules (`crit`, `b64`) or another form (`enc`, `zip`)
//! are refused; nothing is ever fetched for a header. Nothing here checks the signature.

use crate::{TOKEN_BYTES_MAX, algorithm::Algorithm, fault::Fault, json};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::{Map, Value};

/// Longest `kid`, in bytes.
const KID_BYTES_MAX: usize = 256;
/// Header members that are never honoured.
const REFUSED: &[&str] = &["crit", "b64", "jku", "x5u", "jwk", "enc", "zip", "epk"];

/// A token taken apart.
#[derive(Debug)]
pub(crate) struct Compact<'a> {
    /// The algorithm that the header names.
    pub(crate) algorithm: Algorithm,
    /// The name of the key.
    pub(crate) kid: Option<String>,
    /// The type in lower case without `application/`.
    pub(crate) typ: Option<String>,
    /// The claims, of which nothing is true yet.
    pub(crate) claims: Map<String, Value>,
    /// What is signed.
    pub(crate) signed: &'a [u8],
    /// The signature.
    pub(crate) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Fault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Form("not three parts"));
        };
        // An empty third part is how `none` looks.
        if header.is_empty() || payload.is_empty() {
            return Err(Fault::Form("an empty part"));
        }
        let signed = token.as_bytes().get(..header.len() + 1 + payload.len()).ok_or(Fault::Form("an empty part"))?;
        let header = json::object(&decode(header)?)?;
        if let Some(name) = REFUSED.iter().find(|name| header.contains_key(**name)) {
            return Err(Fault::Header(name));
        }
        let algorithm = match header.get("alg") {
            Some(Value::String(name)) => Algorithm::parse(name).ok_or(Fault::Algorithm)?,
            _ => return Err(Fault::Algorithm),
        };
        let kid = text(&header, "kid")?;
        if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > KID_BYTES_MAX) {
            return Err(Fault::Key);
        }
        let typ = text(&header, "typ")?.map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
        });
        let signature = decode(signature)?;
        if signature.is_empty() {
            return Err(Fault::Signature);
        }
        let claims = json::object(&decode(payload)?)?;
        Ok(Self { algorithm, kid, typ, claims, signed, signature })
    }
}

fn text(header: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Fault> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Fault::Form("a header member is not text")),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Fault> {
    BASE64.decode(part).map_err(|_| Fault::Form("not base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.{}.{}", BASE64.encode(header), BASE64.encode("{}"), BASE64.encode("s"))
    }

    #[test]
    fn headers_that_bring_their_own_key_or_rules_are_refused() {
        for (header, fault) in [
            (r#"{"alg":"none"}"#, Fault::Algorithm),
            (r#"{"alg":"None"}"#, Fault::Algorithm),
            (r#"{"alg":"HS256"}"#, Fault::Algorithm),
            (r#"{"alg":"rs256"}"#, Fault::Algorithm),
            (r#"{"alg":["RS256"]}"#, Fault::Algorithm),
            (r#"{}"#, Fault::Algorithm),
            (r#"{"alg":"RS256","alg":"RS256"}"#, Fault::Duplicate),
            (r#"{"alg":"RS256","jku":"https://evil/keys"}"#, Fault::Header("jku")),
            (r#"{"alg":"RS256","x5u":"https://evil/cert"}"#, Fault::Header("x5u")),
            (r#"{"alg":"RS256","jwk":{"kty":"oct"}}"#, Fault::Header("jwk")),
            (r#"{"alg":"RS256","crit":["exp"]}"#, Fault::Header("crit")),
            (r#"{"alg":"RS256","b64":false}"#, Fault::Header("b64")),
            (r#"{"alg":"RS256","zip":"DEF"}"#, Fault::Header("zip")),
            (r#"{"alg":"RS256","kid":7}"#, Fault::Form("a header member is not text")),
            (r#"{"alg":"RS256","kid":""}"#, Fault::Key),
            ("[]", Fault::Json),
        ] {
            assert_eq!(Compact::parse(&token(header)).err(), Some(fault), "{header}");
        }
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(257));
        assert_eq!(Compact::parse(&token(&long)).err(), Some(Fault::Key));
        let good = token(r#"{"alg":"RS256","kid":"a","typ":"application/AT+JWT","x5t":"ignored"}"#);
        let good = Compact::parse(&good).unwrap();
        assert_eq!((good.kid.as_deref(), good.typ.as_deref()), (Some("a"), Some("at+jwt")));
    }

    #[test]
    fn the_form_is_exact() {
        let good = token(r#"{"alg":"RS256"}"#);
        assert!(Compact::parse(&good).is_ok());
        for (token, fault) in [
            (String::new(), Fault::Form("not three parts")),
            ("a.b".to_owned(), Fault::Form("not three parts")),
            (format!("{good}."), Fault::Form("not three parts")),
            (format!("{good}="), Fault::Form("not base64url")),
            (format!("{good}\n"), Fault::Form("not base64url")),
            (format!(" {good}"), Fault::Form("not base64url")),
            ("..".to_owned(), Fault::Form("an empty part")),
            (good.rsplit_once('.').map(|(a, _)| format!("{a}.")).unwrap(), Fault::Signature),
            ("a".repeat(1 << 20), Fault::TooLarge),
            (".".repeat(16 << 10), Fault::Form("not three parts")),
        ] {
            assert_eq!(Compact::parse(&token).err(), Some(fault), "{token:.40}");
        }
        // "cw" and "cx" decode to the same byte where stray bits are passed over.
        let stray = good.replace(&BASE64.encode("s"), "cx");
        assert_eq!(Compact::parse(&stray).err(), Some(Fault::Form("not base64url")));
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics_and_what_is_read_is_what_was_signed(bytes in ".{0,200}") {
            if let Ok(token) = Compact::parse(&bytes) {
                assert!(bytes.as_bytes().starts_with(token.signed));
            }
        }

        #[test]
        fn any_changed_character_changes_what_is_read(at in 0_usize..60, by in 1_u8..64) {
            let good = token(r#"{"alg":"RS256","kid":"k"}"#);
            let at = at % good.len();
            let mut changed = good.clone().into_bytes();
            changed[at] = b'0' + (changed[at] ^ by) % 75;
            let changed = String::from_utf8(changed).unwrap();
            if changed != good && let (Ok(a), Ok(b)) = (Compact::parse(&good), Compact::parse(&changed)) {
                assert!(a.signed != b.signed || a.signature != b.signature);
            }
        }
    }
}
