//! The catalogue of ways out as data, one module per family, in the order of the masking specification.
//!
//! Entries for other engines' protocols are not here. A row that no probe can try (a defence by deployment, for example) is
//! absent rather than empty.

mod deeper;
mod inference;
mod laundering;
mod messages;
mod metadata;
mod protocol;
mod provenance;
mod session;
mod unseen;

use crate::{
    names::Names,
    way::{How, Way},
};
use serde_json::{Value, json};

/// All ways.
#[must_use]
pub fn all() -> Vec<Way> {
    let mut ways = [
        provenance::ways(),
        protocol::ways(),
        messages::ways(),
        unseen::ways(),
        laundering::ways(),
        metadata::ways(),
        inference::ways(),
        session::ways(),
    ]
    .concat();
    deeper::extend(&mut ways);
    ways
}

/// The ways made of statements, for drivers of other languages.
#[must_use]
pub fn as_json(names: &Names) -> Value {
    let mut list = Vec::new();
    for way in all() {
        for variant in &way.variants {
            let (How::Statements(statements) | How::Days(statements, _)) = &variant.how else { continue };
            let filled: Option<Vec<String>> = statements.iter().map(|text| names.fill(text)).collect();
            if let Some(statements) = filled {
                list.push(json!({
                    "id": way.id, "name": variant.name, "statements": statements, "wrapped": variant.wrapped,
                    "privileged": variant.privileged, "silent": variant.silent.is_some(),
                }));
            }
        }
    }
    Value::Array(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_variant_has_a_name_of_its_own_and_known_holes() {
        let mut seen = BTreeSet::new();
        for way in all() {
            assert!(!way.variants.is_empty(), "{}", way.id);
            for variant in &way.variants {
                assert!(seen.insert((way.id, variant.name)), "{} {} twice", way.id, variant.name);
                for text in variant.statements().unwrap_or_default() {
                    let text = Names::clinic().fill(text).unwrap();
                    assert!(!text.contains("{t}") && !text.contains("{c}"), "{text}");
                }
            }
        }
    }
}
