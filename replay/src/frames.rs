//! What a PostgreSQL server sends, read from a stream that is cut anywhere (manual: Message Formats). A frame that is too
//! long to show is told of and passed over, so memory is bounded.

use std::fmt::Write as _;

/// Longest frame that is read into memory.
const FRAME_BYTES_MAX: usize = 16 << 20;
/// Most columns of a row.
const COLUMNS_MAX: usize = 1664;

/// A column of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: Vec<u8>,
    /// Type.
    pub type_oid: u32,
    /// Values come in binary, where the frame says so. For a described statement the portal decides.
    pub binary: bool,
}

/// An error or a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// Severity.
    pub severity: Vec<u8>,
    /// SQLSTATE.
    pub state: Vec<u8>,
    /// Message.
    pub message: Vec<u8>,
    /// Detail and hint, empty for none.
    pub detail: Vec<u8>,
    /// Hint.
    pub hint: Vec<u8>,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Columns of the rows that follow.
    Columns(Vec<Column>),
    /// A row; `None` is NULL.
    Row(Vec<Option<Vec<u8>>>),
    /// A statement completed.
    Complete(Vec<u8>),
    /// A portal reached its row limit.
    Suspended,
    /// The text was empty.
    Empty,
    /// An error.
    Error(Notice),
    /// A notice.
    Notice(Notice),
    /// COPY data follows, in binary or text.
    CopyOut {
        /// In binary.
        binary: bool,
    },
    /// COPY data.
    CopyData(Vec<u8>),
    /// The server is ready; transaction status.
    Ready(u8),
    /// A notification: channel and payload.
    Notification(Vec<u8>, Vec<u8>),
    /// A frame that is not shown: its type.
    Other(u8),
    /// A frame of this type and so many bytes, too long to be shown.
    TooLong(u8, usize),
    /// The stream cannot be followed from here.
    Broken,
}

/// Bytes in, messages out.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    skip: usize,
    broken: bool,
}

impl Frames {
    /// More bytes; every message that is complete now.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Message)) {
        if self.broken {
            return;
        }
        let passed = self.skip.min(bytes.len());
        self.skip -= passed;
        self.buffer.extend_from_slice(&bytes[passed..]);
        let mut at = 0;
        while let Some([tag, a, b, c, d]) = self.buffer.get(at..).and_then(|rest| rest.first_chunk::<5>()).copied() {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            if !(4..=0x3fff_ffff).contains(&length) {
                self.broken = true;
                each(Message::Broken);
                at = self.buffer.len();
                break;
            }
            let end = at + 1 + length;
            if length > FRAME_BYTES_MAX {
                each(Message::TooLong(tag, length + 1));
                let passed = end.min(self.buffer.len());
                self.skip = end - passed;
                at = passed;
                continue;
            }
            let Some(body) = self.buffer.get(at + 5..end) else { break };
            each(message(tag, body).unwrap_or(Message::Other(tag)));
            at = end;
        }
        self.buffer.drain(..at);
    }

    /// Something is missing in front of the next bytes, which begin a frame.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// No frame is open.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.buffer.is_empty() && self.skip == 0
    }
}

/// Reads fields from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        self.bytes(2)?.first_chunk().map(|b| i16::from_be_bytes(*b))
    }

    fn i32(&mut self) -> Option<i32> {
        self.bytes(4)?.first_chunk().map(|b| i32::from_be_bytes(*b))
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.bytes(end)?.to_vec();
        self.bytes(1)?;
        Some(text)
    }
}

fn message(tag: u8, body: &[u8]) -> Option<Message> {
    let mut fields = Fields(body);
    Some(match tag {
        b'T' => {
            let count = usize::try_from(fields.i16()?).ok().filter(|count| *count <= COLUMNS_MAX)?;
            let column = |fields: &mut Fields<'_>| {
                let name = fields.text()?;
                fields.bytes(6)?;
                let type_oid = fields.i32()?.cast_unsigned();
                fields.bytes(6)?;
                Some(Column { name, type_oid, binary: fields.i16()? == 1 })
            };
            Message::Columns((0..count).map(|_| column(&mut fields)).collect::<Option<_>>()?)
        }
        b'D' => {
            let count = usize::try_from(fields.i16()?).ok().filter(|count| *count <= COLUMNS_MAX)?;
            let value = |fields: &mut Fields<'_>| match fields.i32()? {
                -1 => Some(None),
                length => Some(Some(fields.bytes(usize::try_from(length).ok()?)?.to_vec())),
            };
            Message::Row((0..count).map(|_| value(&mut fields)).collect::<Option<_>>()?)
        }
        b'C' => Message::Complete(fields.text()?),
        b's' => Message::Suspended,
        b'I' => Message::Empty,
        b'E' => Message::Error(notice(&mut fields)?),
        b'N' => Message::Notice(notice(&mut fields)?),
        b'H' => Message::CopyOut { binary: *fields.bytes(1)?.first()? == 1 },
        b'd' => Message::CopyData(body.to_vec()),
        b'Z' => Message::Ready(*fields.bytes(1)?.first()?),
        b'A' => {
            fields.bytes(4)?;
            Message::Notification(fields.text()?, fields.text()?)
        }
        other => Message::Other(other),
    })
}

fn notice(fields: &mut Fields<'_>) -> Option<Notice> {
    let mut notice = Notice::default();
    loop {
        let kind = *fields.bytes(1)?.first()?;
        if kind == 0 {
            return Some(notice);
        }
        let value = fields.text()?;
        match kind {
            b'S' => notice.severity = value,
            b'C' => notice.state = value,
            b'M' => notice.message = value,
            b'D' => notice.detail = value,
            b'H' => notice.hint = value,
            _ => {}
        }
    }
}

impl Notice {
    /// On one line, safe to print.
    #[must_use]
    pub fn line(&self) -> String {
        let p = audit::render::printable;
        let mut out = format!("{} {}: {}", p(&self.severity), p(&self.state), p(&self.message));
        for (word, text) in [("detail", &self.detail), ("hint", &self.hint)] {
            if !text.is_empty() {
                // Writing to a string cannot fail.
                let _ = write!(out, "; {word}: {}", p(text));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    fn stream() -> Vec<u8> {
        let mut columns = b"\0\x01name\0".to_vec();
        columns.extend_from_slice(&[0, 0, 0, 5, 0, 1, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        let mut row = b"\0\x02\0\0\0\x02ab".to_vec();
        row.extend_from_slice(&(-1i32).to_be_bytes());
        let mut out = frame(b'T', &columns);
        out.extend(frame(b'D', &row));
        out.extend(frame(b'C', b"SELECT 1\0"));
        out.extend(frame(b'E', b"SERROR\0C42501\0Mno\0Hyes\0\0"));
        out.extend(frame(b'Z', b"I"));
        out
    }

    fn messages(cuts: &[usize]) -> Vec<Message> {
        let (bytes, mut frames, mut found) = (stream(), Frames::default(), Vec::new());
        let mut at = 0;
        for cut in cuts.iter().map(|cut| cut % bytes.len()).collect::<std::collections::BTreeSet<_>>() {
            frames.push(&bytes[at..cut.max(at)], |m| found.push(m));
            at = cut.max(at);
        }
        frames.push(&bytes[at..], |m| found.push(m));
        assert!(frames.is_whole());
        found
    }

    #[test]
    fn messages_are_read() {
        let found = messages(&[]);
        let column = Column { name: b"name".to_vec(), type_oid: 25, binary: false };
        assert_eq!(found[0], Message::Columns(vec![column]));
        assert_eq!(found[1], Message::Row(vec![Some(b"ab".to_vec()), None]));
        assert_eq!(found[2], Message::Complete(b"SELECT 1".to_vec()));
        assert!(matches!(&found[3], Message::Error(n) if n.line() == "ERROR 42501: no; hint: yes"));
        assert_eq!(found[4], Message::Ready(b'I'));
    }

    #[test]
    fn a_giant_frame_is_passed_over() {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        let giant = 20 << 20;
        let mut head = vec![b'D'];
        head.extend_from_slice(&(giant as u32 + 4).to_be_bytes());
        frames.push(&head, |m| found.push(m));
        for _ in 0..20 {
            frames.push(&vec![0; 1 << 20], |m| found.push(m));
        }
        frames.push(&stream(), |m| found.push(m));
        assert_eq!(found[0], Message::TooLong(b'D', giant + 5));
        assert_eq!(found[1..], messages(&[]));
        assert!(frames.buffer.capacity() < 4 << 20);
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_messages(cuts in proptest::collection::vec(0usize..1000, 0..20)) {
            prop_assert_eq!(messages(&cuts), messages(&[]));
        }

        #[test]
        fn any_bytes_may_be_pushed(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let mut frames = Frames::default();
            pieces.iter().for_each(|piece| frames.push(piece, drop));
        }
    }
}
