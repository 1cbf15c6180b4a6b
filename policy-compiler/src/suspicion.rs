//! What makes a column look protected: its name, its comment, what is in it.
//!
//! Suspicion is wide where the library is narrow: a false alarm here costs a line in `clear`, a miss costs a leak. Values
//! are looked at and forgotten; a finding holds a detector and a rate, never data.

use crate::library::{self, LibraryClass};
use crate::selector::glob;

/// Words that, as a part of a column's name, point to a class.
const NAME_PARTS: &[(&str, &str)] = &[
    ("ssn", "ssn"),
    ("itin", "ssn"),
    ("surname", "name"),
    ("firstname", "name"),
    ("lastname", "name"),
    ("fname", "name"),
    ("lname", "name"),
    ("patientname", "name"),
    ("street", "address"),
    ("address", "address"),
    ("addr", "address"),
    ("city", "address"),
    ("county", "address"),
    ("zip", "zip"),
    ("zipcode", "zip"),
    ("postal", "zip"),
    ("postcode", "zip"),
    ("dob", "dob"),
    ("birth", "dob"),
    ("birthdate", "dob"),
    ("birthday", "dob"),
    ("born", "dob"),
    ("deceased", "dob"),
    ("death", "dob"),
    ("admitted", "date"),
    ("admission", "date"),
    ("discharged", "date"),
    ("discharge", "date"),
    ("age", "age"),
    ("phone", "phone"),
    ("telephone", "phone"),
    ("mobile", "phone"),
    ("cell", "phone"),
    ("tel", "phone"),
    ("fax", "fax"),
    ("email", "email"),
    ("mail", "email"),
    ("mrn", "mrn"),
    ("member", "health-plan"),
    ("subscriber", "health-plan"),
    ("beneficiary", "health-plan"),
    ("insurance", "health-plan"),
    ("medicare", "health-plan"),
    ("medicaid", "health-plan"),
    ("mbi", "health-plan"),
    ("hicn", "health-plan"),
    ("iban", "account"),
    ("account", "account"),
    ("acct", "account"),
    ("card", "account"),
    ("license", "license"),
    ("licence", "license"),
    ("npi", "license"),
    ("dea", "license"),
    ("passport", "license"),
    ("vin", "vehicle"),
    ("plate", "vehicle"),
    ("imei", "device"),
    ("serial", "device"),
    ("udi", "device"),
    ("url", "url"),
    ("website", "url"),
    ("ip", "ip"),
    ("fingerprint", "biometric"),
    ("biometric", "biometric"),
    ("photo", "photo"),
    ("portrait", "photo"),
    ("note", "free-text"),
    ("notes", "free-text"),
    ("comment", "free-text"),
    ("comments", "free-text"),
    ("narrative", "free-text"),
    ("remarks", "free-text"),
    ("dictation", "free-text"),
];

/// Phrases in comments that point to a class.
const COMMENT_PHRASES: &[(&str, &str)] = &[
    ("social security", "ssn"),
    ("medical record number", "mrn"),
    ("date of birth", "dob"),
    ("birth date", "dob"),
    ("patient name", "name"),
    ("family name", "name"),
    ("given name", "name"),
    ("telephone", "phone"),
    ("phone number", "phone"),
    ("mail address", "email"),
    ("email", "email"),
    ("postal code", "zip"),
    ("zip code", "zip"),
    ("home address", "address"),
    ("street address", "address"),
    ("insurance number", "health-plan"),
    ("member number", "health-plan"),
    ("account number", "account"),
    ("credit card", "account"),
    ("free text", "free-text"),
    ("identifier of the patient", "other-id"),
    ("phi", "other-id"),
    ("pii", "other-id"),
    ("hipaa", "other-id"),
];

/// The class a column's name points to.
#[must_use]
pub fn by_name(column: &str) -> Option<&'static LibraryClass> {
    let lower = column.to_lowercase();
    if let Some(class) = library::CLASSES.iter().find(|c| c.columns.iter().any(|g| glob(g, &lower))) {
        return Some(class);
    }
    let parts = words(column);
    let whole = parts.concat();
    let found = NAME_PARTS.iter().find(|(w, _)| parts.iter().any(|p| p == w) || whole == *w);
    found.and_then(|(_, class)| library::class(class))
}

/// The class a column's comment points to.
#[must_use]
pub fn by_comment(comment: &str) -> Option<&'static LibraryClass> {
    let flat = format!(" {} ", words(comment).join(" "));
    let found = COMMENT_PHRASES.iter().find(|(phrase, _)| flat.contains(&format!(" {phrase} ")));
    found.and_then(|(_, class)| library::class(class))
}

/// Parts of a name, lower case: `patientSSN_no` is patient, ssn, no.
fn words(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = ' ';
    for c in text.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if !c.is_alphanumeric() || begins {
            parts.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(last) = parts.last_mut()
        {
            last.extend(c.to_lowercase());
        }
        before = c;
    }
    parts.retain(|p| !p.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_comments_point_to_classes() {
        for (name, class) in [
            ("ssn", Some("ssn")),
            ("patientSSN", Some("ssn")),
            ("PATIENT_FIRST_NAME", Some("name")),
            ("zip_plus4", Some("zip")),
            ("member_no", Some("health-plan")),
            ("home_tel", Some("phone")),
            ("beds", None),
            ("updated_at", None),
            ("image_size", None),
            ("description", None),
        ] {
            assert_eq!(by_name(name).map(|c| c.name), class, "{name}");
        }
        assert_eq!(by_comment("The patient's social-security number").map(|c| c.name), Some("ssn"));
        assert!(by_comment("number of beds").is_none());
    }
}
