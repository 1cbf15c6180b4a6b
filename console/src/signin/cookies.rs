//! Two cookies: one binds an attempt to its browser, one is a sign-in to the console.
//!
//! Over TLS both carry the `__Host-` prefix, so no other host or path can have set them. Neither is readable by scripts.

use super::Desk;
use axum::http::{HeaderMap, HeaderValue, header};

/// Name of the cookie of a sign-in, without its prefix.
const SESSION: &str = "tidegate";
/// Name of the cookie of an attempt, without its prefix.
const ATTEMPT: &str = "tidegate-attempt";
/// Before names over TLS.
const HOST: &str = "__Host-";
/// Longest cookie that is looked at.
const COOKIE_BYTES_MAX: usize = 128;

/// Token of a signed-in browser, if it sent one.
#[must_use]
pub fn session_token(headers: &HeaderMap, secure: bool) -> Option<&str> {
    find(headers, SESSION, secure)
}

/// The secret that binds an attempt.
pub(super) fn attempt(headers: &HeaderMap, secure: bool) -> Option<&str> {
    find(headers, ATTEMPT, secure)
}

fn find<'a>(headers: &'a HeaderMap, name: &str, secure: bool) -> Option<&'a str> {
    let prefix = if secure { HOST } else { "" };
    let mut found = None;
    for pair in headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';')) {
        let Some((key, value)) = pair.trim().split_once('=') else { continue };
        if key.strip_prefix(prefix) == Some(name) {
            // A second one of the name was put there by somebody.
            if found.is_some() || value.len() > COOKIE_BYTES_MAX {
                return None;
            }
            found = Some(value);
        }
    }
    found
}

impl Desk {
    fn cookie(&self, name: &str, value: &str, same_site: &str, seconds: u64) -> HeaderValue {
        let (prefix, secure) = if self.secure() { (HOST, "; Secure") } else { ("", "") };
        let text = format!("{prefix}{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}");
        // The value is base64url of our own.
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// Binds an attempt to this browser. The provider's answer is a navigation from elsewhere, so not `Strict`.
    pub(super) fn attempt_cookie(&self, value: &str) -> HeaderValue {
        self.cookie(ATTEMPT, value, "Lax", super::attempts::ATTEMPT_SECONDS)
    }

    /// Ends that.
    pub(super) fn no_attempt_cookie(&self) -> HeaderValue {
        self.cookie(ATTEMPT, "", "Lax", 0)
    }

    /// Signs this browser in.
    #[must_use]
    pub fn session_cookie(&self, token: &str, seconds: u64) -> HeaderValue {
        self.cookie(SESSION, token, "Lax", seconds)
    }

    /// Signs this browser out.
    #[must_use]
    pub fn no_session_cookie(&self) -> HeaderValue {
        self.cookie(SESSION, "", "Lax", 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cookie_of_the_exact_name_is_taken() {
        let with = |cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
            headers
        };
        assert_eq!(session_token(&with("a=b; __Host-tidegate=t; c=d"), true), Some("t"));
        assert_eq!(session_token(&with("tidegate=t"), false), Some("t"));
        assert_eq!(session_token(&with("tidegate=t"), true), None, "another host or path can set that one");
        assert_eq!(session_token(&with("__Host-tidegate=a; __Host-tidegate=b"), true), None);
        assert_eq!(session_token(&with(&format!("tidegate={}", "x".repeat(200))), false), None);
        assert_eq!(session_token(&with("tidegate-attempt=t"), false), None);
    }
}
