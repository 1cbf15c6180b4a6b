//! Owned administrative records, to be appended by somebody else than whoever made them.
//!
//! Only records that no session writes can be lent: what sessions do is recorded where it happens, by the code that
//! does it. Deliberately absent: everything else, so that a record of a statement cannot be made up from outside.

use crate::body::Body;
use crate::record::Record;

impl Body {
    /// May this record be posted by a part of the gateway that is no session?
    #[must_use]
    pub fn is_administrative(&self) -> bool {
        matches!(self, Self::Alarm { .. })
    }

    /// The record, borrowed, if it is an administrative one.
    #[must_use]
    pub fn lend(&self) -> Option<Record<'_>> {
        match self {
            Self::Alarm { session, kind, detail } => Some(Record::Alarm { session: *session, kind, detail }),
            _ => None,
        }
    }
}
