//! Cases that do not work, each with the reason why that is accepted. Anything else that fails is a fault, and so is an
//! entry here whose case works by now.

/// Id of a case and the reason.
pub const ACCEPTED: &[(&str, &str)] = &[];

/// The reason for a case, if its failure is accepted.
pub fn reason(id: &str) -> Option<&'static str> {
    ACCEPTED.iter().find(|(accepted, _)| *accepted == id).map(|(_, reason)| *reason)
}
