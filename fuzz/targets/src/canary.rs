//! The protected value of every conversation: it is in each column that policy plans, and in the database's messages, and
//! must never reach the client of a policed conversation.

/// The value.
pub(crate) const CANARY: &[u8] = b"CANARY";
/// Table whose odd columns are protected.
pub(crate) const TABLE: u32 = 7;

/// Whether column `attribute` of `table` is protected.
pub(crate) const fn protected(table: u32, attribute: i16) -> bool {
    table == TABLE && attribute % 2 == 1
}

/// Whether a statement reads what is protected.
pub(crate) fn reads(text: &[u8]) -> bool {
    text.windows(6).any(|window| window == b"from t") || text.ends_with(b"to stdout")
}

/// Where it is in `bytes`, if it is.
pub(crate) fn find(bytes: &[u8]) -> Option<usize> {
    bytes.windows(CANARY.len()).position(|window| window == CANARY)
}
