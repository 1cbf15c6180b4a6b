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
        self.lend().is_some()
    }

    /// The record, borrowed, if it is an administrative one.
    #[must_use]
    pub fn lend(&self) -> Option<Record<'_>> {
        Some(match self {
            Self::Alarm { session, kind, detail } => Record::Alarm { session: *session, kind, detail },
            Self::LogMode { target, mode, reason } => Record::LogMode { target, mode, reason },
            &Self::Gap { ref reason, duration_us, lost, sessions, statements } => {
                Record::Gap { reason, duration_us, lost, sessions, statements }
            }
            &Self::Configuration { ref reason, ref build, configuration, program } => {
                Record::Configuration { reason, build, configuration, program }
            }
            Self::KeyRotate { key } => Record::KeyRotate { key },
            Self::NodeEnroll { origin, key } => Record::NodeEnroll { origin, key },
            Self::NodeRetire { origin, reason } => Record::NodeRetire { origin, reason },
            &Self::Anchor { ref kind, size, root, ref place } => Record::Anchor { kind, size, root, place },
            Self::Access(access) => Record::Access(access.borrow()),
            Self::Approval(approval) => Record::Approval(approval.borrow()),
            Self::Credential(credential) => Record::Credential(credential.borrow()),
            _ => return None,
        })
    }
}
