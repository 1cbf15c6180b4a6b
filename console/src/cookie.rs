//! The cookie of a sign-in.
//!
//! `__Host-` (RFC 6265bis) with TLS: no domain, path `/`, `Secure`; a page of a neighbouring host cannot set it. Scripts
//! never see it. `SameSite=Lax`, because people come by links from notifications; what changes something is a POST, which
//! other sites' pages cannot send with it, and which needs a token besides.

use axum::http::{HeaderMap, HeaderValue, header};

const WITH_TLS: &str = "__Host-tidegate";
const WITHOUT: &str = "tidegate";

const fn name(secure: bool) -> &'static str {
    if secure { WITH_TLS } else { WITHOUT }
}

/// `Set-Cookie` for a token (URL-safe base64) that holds for so long.
#[must_use]
pub fn signed_in(secure: bool, token: &str, seconds: u64) -> HeaderValue {
    let flag = if secure { "; Secure" } else { "" };
    let text = format!("{}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{flag}", name(secure));
    let mut value = HeaderValue::from_str(&text).unwrap_or(const { HeaderValue::from_static("") });
    value.set_sensitive(true);
    value
}

/// `Set-Cookie` that forgets it.
#[must_use]
pub fn ending(secure: bool) -> HeaderValue {
    signed_in(secure, "", 0)
}

/// The token that a request carries. Two of them are none.
pub(crate) fn token(secure: bool, headers: &HeaderMap) -> Option<&str> {
    read(name(secure), headers)
}

/// A cookie by name; several of the name are none.
pub(crate) fn read<'a>(name: &str, headers: &'a HeaderMap) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(of, value)| *of == name && !value.is_empty()).map(|(_, value)| value);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cookie_is_read_and_two_of_a_name_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("theme=dark; __Host-tidegate=abc"));
        assert_eq!(token(true, &headers), Some("abc"));
        assert_eq!(token(false, &headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-tidegate=def"));
        assert_eq!(token(true, &headers), None);
    }

    #[test]
    fn cookies_of_tls_are_bound_to_this_host() {
        let text = signed_in(true, "tok", 60);
        let text = text.to_str().unwrap();
        assert!(text.starts_with("__Host-tidegate=tok; Path=/; HttpOnly; SameSite=Lax") && text.ends_with("; Secure"));
    }
}
