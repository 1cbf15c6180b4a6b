//! OAUTHBEARER (RFC 7628) as PostgreSQL 18 speaks it: the client's first message, and the answer to a token that is not good.
//!
//! Invariants: a token is of the form of RFC 6750 and bounded; an authorization identity and channel binding are refused, for
//! neither has a meaning here; an error holds nothing the client sent. Deliberately absent: whether a token is good.

use contract::{Discovery, Token};
use zeroize::Zeroizing;

/// The registered name.
pub const MECHANISM: &str = "OAUTHBEARER";
/// Longest token in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Longest message in bytes: a token and what stands around it.
pub(crate) const MESSAGE_BYTES_MAX: usize = TOKEN_BYTES_MAX + 1024;
/// Separates keys and values, and alone says that the client has read the failure.
const SEPARATOR: u8 = 1;
/// The client's answer to a failure.
pub(crate) const ACKNOWLEDGED: &[u8] = &[SEPARATOR];

/// What a client's first message holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// A token.
    Token(Token),
    /// None: the client asks where tokens come from.
    Discovery,
}

/// Whether `token` is a bearer token by its form (RFC 6750 2.1, `b64token`).
pub(crate) fn is_token(token: &[u8]) -> bool {
    let body = token.iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1);
    (1..=TOKEN_BYTES_MAX).contains(&token.len())
        && body > 0
        && token[..body].iter().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(b))
}

/// Reads `n,,^Akey=value^A…^A^A`.
///
/// # Errors
/// What is malformed.
pub(crate) fn first(message: &[u8]) -> Result<First, &'static str> {
    let mut parts = message.splitn(3, |b| *b == b',');
    let (Some(flag), Some(authorization), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("the header is incomplete");
    };
    // A client that could bind to the channel and believes that we cannot is right: the mechanism cannot.
    if !matches!(flag, b"n" | b"y") {
        return Err("the mechanism has no channel binding");
    }
    if !authorization.is_empty() {
        return Err("an authorization identity is not supported");
    }
    let pairs = rest.strip_prefix(&[SEPARATOR]).and_then(|r| r.strip_suffix(&[SEPARATOR]));
    let pairs = pairs.ok_or("the message is not separated as it must be")?;
    let pairs = pairs.strip_suffix(&[SEPARATOR]).ok_or("the message has no value")?;
    let mut authorization = None;
    for pair in pairs.split(|b| *b == SEPARATOR) {
        let at = pair.iter().position(|b| *b == b'=').ok_or("a key without a value")?;
        let (key, value) = (&pair[..at], &pair[at + 1..]);
        if key.is_empty() || !key.iter().all(u8::is_ascii_alphabetic) {
            return Err("a malformed key");
        }
        if !value.iter().all(|b| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n')) {
            return Err("a malformed value");
        }
        if key == b"auth" && authorization.replace(value).is_some() {
            return Err("two values of auth");
        }
    }
    let authorization = authorization.ok_or("no value of auth")?;
    if authorization.is_empty() {
        return Ok(First::Discovery);
    }
    let (scheme, token) = authorization.split_at_checked(b"Bearer ".len()).ok_or("the scheme is not Bearer")?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err("the scheme is not Bearer");
    }
    let token = token.trim_ascii_start();
    if !is_token(token) {
        return Err("the token is malformed");
    }
    let token = String::from_utf8(token.to_vec()).map_err(|_| "the token is malformed")?;
    Ok(First::Token(Token(Zeroizing::new(token))))
}

/// The failure that tells the client where to get a token.
pub(crate) fn failure(discovery: &Discovery) -> Vec<u8> {
    let mut out = String::from("{\"status\":\"invalid_token\",\"openid-configuration\":");
    quote(&discovery.configuration, &mut out);
    out.push_str(",\"scope\":");
    quote(&discovery.scope, &mut out);
    out.push('}');
    out.into_bytes()
}

/// A JSON string.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_found() {
        for message in [
            "n,,\x01auth=Bearer abc.def-_~+/==\x01\x01",
            "y,,\x01host=server\x01port=143\x01auth=bearer   abc.def-_~+/==\x01\x01",
        ] {
            let First::Token(token) = first(message.as_bytes()).unwrap() else { panic!("{message}") };
            assert_eq!(token.0.as_str(), "abc.def-_~+/==");
            assert_eq!(format!("{token:?}"), "Token(14 bytes)");
        }
        assert_eq!(first(b"n,,\x01auth=\x01\x01"), Ok(First::Discovery));
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("n,,\x01auth=Bearer {}\x01\x01", "a".repeat(TOKEN_BYTES_MAX + 1));
        for message in [
            "",
            "n",
            "n,,",
            "n,,\x01",
            "n,,\x01\x01",
            "n,,\x01\x01\x01",
            "n,,auth=Bearer a\x01\x01",
            "n,,\x01auth=Bearer a\x01",
            "n,,\x01auth=Bearer a\x01\x01x",
            "n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
            "n,,\x01auth=Bearer \x01\x01",
            "n,,\x01auth=Bearer a b\x01\x01",
            "n,,\x01auth=Bearer =\x01\x01",
            "n,,\x01auth=Bearer a=b\x01\x01",
            "n,,\x01auth=Basic abc\x01\x01",
            "n,,\x01host=a\x01\x01",
            "n,,\x01auth\x01\x01",
            "n,,\x01a1=b\x01auth=Bearer a\x01\x01",
            "n,,\x01=b\x01auth=Bearer a\x01\x01",
            "n,,\x01x=\x7f\x01auth=Bearer a\x01\x01",
            "n,a=root,\x01auth=Bearer a\x01\x01",
            "p=tls-server-end-point,,\x01auth=Bearer a\x01\x01",
            "x,,\x01auth=Bearer a\x01\x01",
            &long,
        ] {
            assert!(first(message.as_bytes()).is_err(), "{message:?}");
        }
    }

    #[test]
    fn the_failure_is_json() {
        let discovery = Discovery { configuration: "https://x/\"\\\n".to_owned(), scope: "openid a".to_owned() };
        assert_eq!(
            String::from_utf8(failure(&discovery)).unwrap(),
            r#"{"status":"invalid_token","openid-configuration":"https://x/\"\\\u000a","scope":"openid a"}"#
        );
    }

    proptest! {
        #[test]
        fn any_bytes(message in prop::collection::vec(any::<u8>(), 0..64), token in "[ -~]{0,40}") {
            let _ = first(&message);
            let said = format!("n,,\x01auth=Bearer {token}\x01\x01");
            let accepted = matches!(first(said.as_bytes()), Ok(First::Token(_)));
            prop_assert_eq!(accepted, is_token(token.trim_start().as_bytes()));
        }
    }
}
