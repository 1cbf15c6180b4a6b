//! What happens in a conversation, in order, and how it is written in bytes.
//!
//! ```text
//! mode │ verdicts: 8 bytes │ operation, operation, …
//!        operation = code (modulo the number of codes) and its arguments; what is missing at the end reads as 0
//! ```
//!
//! Any bytes are a valid list of operations, so that every mutation means something. The same list written twice is the
//! same bytes: seeds are built as [`Op`]s.

/// Operations of one conversation; the rest of the input is ignored.
const OPS_MAX: usize = 400;
/// Length fields that have broken parsers before.
pub const LENGTHS: [u32; 12] =
    [0, 1, 3, 4, 5, 8, 0xffff, 0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/// What the session answers and what a statement needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything is allowed and nothing is looked at: the identity on bytes.
    Transparent,
    /// Everything is guarded and planned: no protected value passes.
    Policed,
    /// Needs vary from statement to statement.
    Mixed,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Mode.
    pub mode: Mode,
    /// Answers, used in turn and again from the start.
    pub verdicts: [u8; 8],
    /// What happens.
    pub ops: Vec<Op>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Query with a text of the pool.
    Query(u8),
    /// Parse: name, text.
    Parse(u8, u8),
    /// Bind: portal, statement, and what its counts and formats are made of.
    Bind(u8, u8, u8),
    /// Describe: kind and name.
    Describe(u8, u8),
    /// Execute: portal, row limit.
    Execute(u8, u8),
    /// Close: kind and name.
    Close(u8, u8),
    /// Sync.
    Sync,
    /// Flush.
    Flush,
    /// CopyData, CopyDone or CopyFail.
    Copy(u8),
    /// Terminate.
    Terminate,
    /// FunctionCall.
    Call,
    /// Bytes of the client's.
    ClientBytes(Vec<u8>),
    /// A client's frame with this tag and a length out of [`LENGTHS`].
    ClientLength(u8, u8),
    /// A Query with a text of this many KiB / 4.
    LongQuery(u8),
    /// The database answers everything it was sent, as PostgreSQL would.
    Answer(u8),
    /// The database answers the oldest thing it was sent.
    AnswerOne(u8),
    /// Bytes of the database's.
    ServerBytes(Vec<u8>),
    /// A frame of the database's with this tag and body.
    ServerFrame(u8, Vec<u8>),
    /// A database's frame with this tag and a length out of [`LENGTHS`].
    ServerLength(u8, u8),
    /// The client stops or starts to read.
    StallClient,
    /// The database stops or starts to read.
    StallServer,
    /// Rules are reloaded.
    Renew,
    /// Prepared statements or portals are forgotten.
    Forget(u8),
}

/// Number of operation codes.
const CODES: u8 = 23;

impl Script {
    /// Reads a script; any bytes are one.
    #[must_use]
    pub fn read(data: &[u8]) -> Self {
        let mut r = Bytes(data);
        let mode = match r.u8() % 3 {
            0 => Mode::Transparent,
            1 => Mode::Policed,
            _ => Mode::Mixed,
        };
        let verdicts = std::array::from_fn(|_| r.u8());
        let mut ops = Vec::new();
        while !r.0.is_empty() && ops.len() < OPS_MAX {
            ops.push(r.op());
        }
        Self { mode, verdicts, ops }
    }

    /// Writes it so that [`Script::read`] gives it back.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![match self.mode {
            Mode::Transparent => 0,
            Mode::Policed => 1,
            Mode::Mixed => 2,
        }];
        out.extend(self.verdicts);
        for op in &self.ops {
            op.write(&mut out);
        }
        out
    }
}

impl Op {
    fn write(&self, out: &mut Vec<u8>) {
        let bytes = |out: &mut Vec<u8>, bytes: &[u8]| {
            let len = bytes.len().min(255);
            out.push(u8::try_from(len).unwrap_or(u8::MAX));
            out.extend(&bytes[..len]);
        };
        match self {
            Self::Query(text) => out.extend([0, *text]),
            Self::Parse(name, text) => out.extend([1, *name, *text]),
            Self::Bind(portal, name, rest) => out.extend([2, *portal, *name, *rest]),
            Self::Describe(kind, name) => out.extend([3, *kind, *name]),
            Self::Execute(portal, limit) => out.extend([4, *portal, *limit]),
            Self::Close(kind, name) => out.extend([5, *kind, *name]),
            Self::Sync => out.push(6),
            Self::Flush => out.push(7),
            Self::Copy(kind) => out.extend([8, *kind]),
            Self::Terminate => out.push(9),
            Self::Call => out.push(10),
            Self::ClientBytes(raw) => {
                out.push(11);
                bytes(out, raw);
            }
            Self::ClientLength(tag, length) => out.extend([12, *tag, *length]),
            Self::LongQuery(size) => out.extend([13, *size]),
            Self::Answer(choice) => out.extend([14, *choice]),
            Self::AnswerOne(choice) => out.extend([15, *choice]),
            Self::ServerBytes(raw) => {
                out.push(16);
                bytes(out, raw);
            }
            Self::ServerFrame(tag, body) => {
                out.extend([17, *tag]);
                bytes(out, body);
            }
            Self::ServerLength(tag, length) => out.extend([18, *tag, *length]),
            Self::StallClient => out.push(19),
            Self::StallServer => out.push(20),
            Self::Renew => out.push(21),
            Self::Forget(what) => out.extend([22, *what]),
        }
    }
}

/// Input that never ends: what is missing reads as 0.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn u8(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = usize::from(self.u8()).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.to_vec()
    }

    fn op(&mut self) -> Op {
        match self.u8() % CODES {
            0 => Op::Query(self.u8()),
            1 => Op::Parse(self.u8(), self.u8()),
            2 => Op::Bind(self.u8(), self.u8(), self.u8()),
            3 => Op::Describe(self.u8(), self.u8()),
            4 => Op::Execute(self.u8(), self.u8()),
            5 => Op::Close(self.u8(), self.u8()),
            6 => Op::Sync,
            7 => Op::Flush,
            8 => Op::Copy(self.u8()),
            9 => Op::Terminate,
            10 => Op::Call,
            11 => Op::ClientBytes(self.bytes()),
            12 => Op::ClientLength(self.u8(), self.u8()),
            13 => Op::LongQuery(self.u8()),
            14 => Op::Answer(self.u8()),
            15 => Op::AnswerOne(self.u8()),
            16 => Op::ServerBytes(self.bytes()),
            17 => Op::ServerFrame(self.u8(), self.bytes()),
            18 => Op::ServerLength(self.u8(), self.u8()),
            19 => Op::StallClient,
            20 => Op::StallServer,
            21 => Op::Renew,
            _ => Op::Forget(self.u8()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let script = Script {
            mode: Mode::Policed,
            verdicts: [1, 2, 3, 4, 5, 6, 7, 8],
            ops: vec![
                Op::Query(1),
                Op::Parse(2, 3),
                Op::Bind(1, 2, 3),
                Op::Describe(0, 1),
                Op::Execute(1, 2),
                Op::Close(1, 1),
                Op::Sync,
                Op::Flush,
                Op::Copy(2),
                Op::Call,
                Op::ClientBytes(b"xyz".to_vec()),
                Op::ClientLength(b'Q', 2),
                Op::LongQuery(9),
                Op::Answer(4),
                Op::AnswerOne(5),
                Op::ServerBytes(vec![0; 20]),
                Op::ServerFrame(b'T', vec![0, 1]),
                Op::ServerLength(b'D', 1),
                Op::StallClient,
                Op::StallServer,
                Op::Renew,
                Op::Forget(3),
                Op::Terminate,
            ],
        };
        assert_eq!(Script::read(&script.write()), script);
    }

    #[test]
    fn any_bytes_are_a_script() {
        let bytes: Vec<u8> = (0..=255).collect();
        for cut in 0..bytes.len() {
            let _script = Script::read(&bytes[cut..]);
            let _script = Script::read(&bytes[..cut]);
        }
    }
}
