//! A call, read: who, on what, with what.

use crate::failure::Failure;
use crate::signin::Source;
use access::{Person, SignIn};
use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

/// Somebody signed in.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Their sign-in.
    pub sign_in: SignIn,
    /// Who.
    pub person: Person,
    /// By `Authorization`, not by cookie.
    pub bearer: bool,
}

/// A call. Its `Debug` holds no values: some are secrets.
pub struct Call {
    /// Who, if they are signed in.
    pub caller: Option<Caller>,
    pub(crate) path: Vec<(String, String)>,
    pub(crate) sent: Map<String, Value>,
    /// From where.
    pub peer: Source,
    /// Headers.
    pub headers: HeaderMap,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("path", &self.path).field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Call {
    /// Who calls.
    ///
    /// # Errors
    /// Nobody: for verbs that the table opens to everybody.
    pub fn caller(&self) -> Result<&Caller, Failure> {
        self.caller.as_ref().ok_or_else(Failure::signed_out)
    }

    /// Who calls, as a person.
    ///
    /// # Errors
    /// Nobody.
    pub fn person(&self) -> Result<&Person, Failure> {
        self.caller().map(|caller| &caller.person)
    }

    /// Address it came from, as records have it.
    #[must_use]
    pub fn source(&self) -> String {
        self.peer.0.to_string()
    }

    /// Part of the path; empty if the table does not name it.
    #[must_use]
    pub fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value.as_str())
    }

    /// A text that was sent; empty if it was not.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.sent.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A whole number that was sent.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.sent.get(name).and_then(Value::as_u64)
    }

    /// Was true sent?
    #[must_use]
    pub fn truth(&self, name: &str) -> bool {
        self.sent.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Any value that was sent.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.sent.get(name)
    }
}

/// A JSON object; nothing is an empty one. A name that comes twice is refused.
pub(crate) fn body(headers: &HeaderMap, bytes: &[u8]) -> Result<Map<String, Value>, Failure> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Failure::new(
            axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media_type",
            "the body must be application/json",
        ));
    }
    object_once(bytes).ok_or_else(|| Failure::invalid("the body is not a JSON object, or holds a name twice"))
}

/// An object whose names are all different.
pub(crate) fn object_once(bytes: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(bytes).ok().map(|Once(map)| map)
}

/// An object whose names are all different.
struct Once(Map<String, Value>);

impl<'de> serde::Deserialize<'de> for Once {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Once;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<Once, A::Error> {
                let mut map = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if map.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a name comes twice"));
                    }
                }
                Ok(Once(map))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A query as an object: texts, but for what reads as a number or a truth, which the table takes as such.
pub(crate) fn query(text: &str) -> Result<Map<String, Value>, Failure> {
    let mut map = Map::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        if map.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
            return Err(Failure::invalid("a parameter comes twice"));
        }
    }
    Ok(map)
}
