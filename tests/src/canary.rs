//! The canaries: every protected value of the made-up clinic, and the search for them in what came out.
//!
//! The list is computed from the generator, not read back through anything under test. A value counts as leaked if it stands
//! anywhere in the bytes, also inside a longer text; a number not in the fraction of another: logs and reports hold hundreds of
//! times and durations, and now and then one ends like a canary.

use crate::server::CANARIES;
use clinic::Patient;
use std::sync::OnceLock;

/// A protected value and where it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Column, or `note:` and what it is inside the notes.
    pub place: &'static str,
    /// The value as text.
    pub value: String,
}

/// All canaries of the shared clinic.
pub fn all() -> &'static [Canary] {
    static ALL: OnceLock<Vec<Canary>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut list = Vec::new();
        for id in 1..=CANARIES {
            let p = Patient::canary(id);
            let phone = p.phone.replace(['(', ')'], "").replace(' ', "-");
            for (place, value) in [
                ("mrn", p.mrn),
                ("ssn", p.ssn.clone()),
                ("ssn", p.ssn.replace('-', "")),
                ("first_name", p.first_name),
                ("last_name", p.last_name),
                ("dob", p.born.to_string()),
                ("phone", p.phone),
                ("email", p.email),
                ("street", p.street),
                ("zip", p.zip),
                ("insurance_member_id", p.member),
                ("note: phone", phone),
                ("note: birth", p.born.american()),
            ] {
                list.push(Canary { place, value });
            }
        }
        list
    })
}

/// Canaries that stand in these bytes, whatever their case.
pub fn found(bytes: &[u8]) -> Vec<&'static Canary> {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let whole = without_fractions(&text);
    let stands = |value: &str| match value.bytes().all(|b| b.is_ascii_digit()) {
        true => whole.contains(value),
        false => text.contains(&value.to_lowercase()),
    };
    all().iter().filter(|canary| stands(&canary.value)).collect()
}

/// Without the digits behind a digit and a point.
fn without_fractions(text: &str) -> String {
    let (mut before, mut fraction) = ([' '; 2], false);
    let kept = text.chars().filter(|&c| {
        fraction = c.is_ascii_digit() && (fraction || before[0].is_ascii_digit() && before[1] == '.');
        before = [before[1], c];
        !fraction
    });
    kept.collect()
}

/// Panics if a canary stands in these bytes.
#[track_caller]
pub fn assert_none(what: &str, bytes: &[u8]) {
    let leaked = found(bytes);
    assert!(leaked.is_empty(), "{what}: {} canaries came out, first {:?}", leaked.len(), leaked[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_wherever_it_stands() {
        let place = |text: &str| found(text.as_bytes()).iter().map(|c| c.place).collect::<Vec<_>>();
        assert_eq!(place("x43007-1007y"), ["zip"]);
        assert_eq!(place("id=710000910"), ["mrn"]);
        assert_eq!(place("XAVQAAAH"), ["first_name"]);
        assert_eq!(place("0.43007-1007"), ["zip"]);
        assert_eq!(place("v.71000091"), ["mrn"]);
        assert!(place("nothing").is_empty());
        assert!(place("08:22:30.171000091 0.71000091").is_empty());
    }
}
