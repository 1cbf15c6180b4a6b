//! What a session's records hide, and the moments that its recording is told of.
//!
//! Invariant: with a key, no text and no parameter of a statement is in a record as it came.

use crate::info::SessionInfo;
use sealing::field;
use std::rc::Rc;

impl SessionInfo {
    /// A statement's text for the record: as it is, or sealed. An empty text is neither.
    pub(crate) fn seal_text<'a>(&self, statement: u64, text: &'a [u8]) -> (&'a [u8], Vec<u8>) {
        match &self.key {
            Some(key) if !text.is_empty() => (&[], key.seal(statement, field::TEXT, text)),
            Some(_) => (&[], Vec::new()),
            None => (text, Vec::new()),
        }
    }

    /// Digest of a statement's parameters for the record, and the parameters sealed, where there is a key.
    pub(crate) fn seal_parameters(
        &self,
        statement: u64,
        parameters: Option<Parameters>,
    ) -> (Option<[u8; 32]>, Vec<u8>) {
        let (Some((digest, values)), Some(key)) = (&parameters, &self.key) else {
            return (parameters.map(|(digest, _)| digest), Vec::new());
        };
        let sealed = values.as_ref().map(|values| key.seal(statement, field::PARAMETERS, values));
        (Some(key.parameters_digest(digest)), sealed.unwrap_or_default())
    }
}

/// Digest of a statement's parameters, and the parameters where they were kept.
pub(crate) type Parameters = ([u8; 32], Option<Rc<[u8]>>);

/// A moment in a session, for its recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This statement is about to be forwarded.
    Started(u64),
    /// This statement was refused.
    Refused(u64),
    /// All of this statement's answer is queued.
    Ended(u64),
}

/// A moment, and how many bytes are before it on their way to the client and have not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What happened.
    pub moment: Moment,
    /// Bytes of the lane to the client.
    pub unsent: u64,
}
