//! JSON in which every member stands once.
//!
//! Two readers of an object with a member twice may see two values, so such an object is refused wherever it comes from. The
//! depth is bounded; the size is the caller's to bound.

use crate::fault::Fault;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{cell::Cell, fmt};

/// Deepest nesting of objects and arrays.
const DEPTH_MAX: u32 = 16;

/// Reads one document, which must be all there is.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Fault> {
    let duplicate = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Once { depth: 0, duplicate: &duplicate }.deserialize(&mut reader).and_then(|value| {
        reader.end()?;
        Ok(value)
    });
    match read {
        Ok(value) => Ok(value),
        Err(_) if duplicate.get() => Err(Fault::Duplicate),
        Err(_) => Err(Fault::Json),
    }
}

/// Reads one object, which must be all there is.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    match parse(bytes)? {
        Value::Object(map) => Ok(map),
        _ => Err(Fault::Json),
    }
}

#[derive(Clone, Copy)]
struct Once<'a> {
    depth: u32,
    duplicate: &'a Cell<bool>,
}

impl Once<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if map.contains_key(&name) {
                self.duplicate.set(true);
                return Err(A::Error::custom("a member stands twice"));
            }
            let value = members.next_value_seed(inner)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"b":[{"a":1,"a":2}]}"#, r#"{"a":1,"\u0061":2}"#] {
            assert_eq!(parse(text.as_bytes()), Err(Fault::Duplicate), "{text}");
        }
        assert!(parse(br#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#).is_ok());
    }

    #[test]
    fn one_document_of_bounded_depth() {
        for text in ["", "{", "{}{}", "{} x", "nul", "\u{feff}{}"] {
            assert_eq!(parse(text.as_bytes()), Err(Fault::Json), "{text}");
        }
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(deep(16).as_bytes()).is_ok());
        assert_eq!(parse(deep(17).as_bytes()), Err(Fault::Json));
        assert_eq!(parse(deep(100_000).as_bytes()), Err(Fault::Json));
        assert_eq!(object(b"[]"), Err(Fault::Json));
    }

    proptest::proptest! {
        #[test]
        fn reads_what_the_usual_reader_reads(text in r#"[\{\}\[\],:"ab10.e\- ]{0,40}"#) {
            let usual: Result<Value, _> = serde_json::from_str(&text);
            match parse(text.as_bytes()) {
                Ok(value) => assert_eq!(value, usual.unwrap()),
                Err(Fault::Duplicate) => {}
                Err(_) => assert!(usual.is_err() || text.matches(['[', '{']).count() > 16),
            }
        }
    }
}
