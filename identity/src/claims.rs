//! Claims read by their types. A claim of another type is a fault, not an absent claim.

use crate::fault::Fault;
use serde_json::{Map, Value};

/// Longest issuer or subject, in bytes (OpenID Connect Core, section 2, allows 255 for a subject).
pub(crate) const NAME_BYTES_MAX: usize = 255;
/// Most groups that are taken from a token.
const GROUPS_MAX: usize = 1024;

pub(crate) type Claims = Map<String, Value>;

/// A text, if there is one.
pub(crate) fn text<'a>(claims: &'a Claims, name: &'static str) -> Result<Option<&'a str>, Fault> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::Claim(name)),
    }
}

/// A time in whole seconds since 1970, if there is one (`NumericDate`, RFC 7519, section 2).
pub(crate) fn time(claims: &Claims, name: &'static str) -> Result<Option<u64>, Fault> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(whole) = value.as_u64() {
        // Sums with it must not overflow, and no calendar goes that far.
        return if whole < 1 << 53 { Ok(Some(whole)) } else { Err(Fault::Claim(name)) };
    }
    match value.as_f64() {
        Some(part) if value.is_f64() && part >= 0.0 && part < (1_u64 << 53) as f64 => Ok(Some(part as u64)),
        _ => Err(Fault::Claim(name)),
    }
}

/// One text or a list of texts; empty if absent.
pub(crate) fn texts<'a>(value: Option<&'a Value>, name: &'static str) -> Result<Vec<&'a str>, Fault> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(list)) if list.len() <= GROUPS_MAX => {
            list.iter().map(|item| item.as_str().ok_or(Fault::Claim(name))).collect()
        }
        Some(_) => Err(Fault::Claim(name)),
    }
}

/// A name of an issuer or subject: not empty, not too long, without control characters.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
}
