//! Two conversations about the same statement, one with the server and one through the gateway, frame by frame.
//!
//! Notices and parameter reports are left out: the gateway may drop the first and owns the second. Error texts may differ,
//! SQLSTATEs may not. OIDs of objects that the case itself made differ from run to run and count as equal.

use crate::{
    case::{Case, Work},
    mask::{Encoding, Mask, Seen},
};
use std::cell::Cell;
use tests::wire::{Frame, tags};

/// Why a case does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The gateway refused it, or the server did because of the gateway.
    Refused {
        /// SQLSTATE.
        state: String,
        /// Message, detail and hint.
        text: String,
    },
    /// It was answered, otherwise than the server answers.
    Different(String),
}

/// What comparing needs to know.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The case.
    pub case: &'a Case,
    /// Larger OIDs are the case's own.
    pub last_oid: u32,
    /// Tokens and scanned texts so far.
    pub seen: &'a Seen,
    /// Protected values that were judged so far.
    pub judged: Cell<usize>,
}

struct Column {
    name: String,
    bytes: Vec<u8>,
    encoding: Encoding,
}

impl Comparison<'_> {
    /// Compares the answers to one statement.
    ///
    /// # Errors
    /// The first difference.
    pub fn frames(&self, direct: &[Frame], through: &[Frame]) -> Result<(), Fault> {
        let heard = |frames: &[Frame]| -> Vec<Frame> {
            frames.iter().filter(|frame| !matches!(frame.tag, b'N' | b'S')).cloned().collect()
        };
        let (direct, through) = (heard(direct), heard(through));
        let error = |frames: &[Frame]| frames.iter().find(|frame| frame.tag == b'E').cloned();
        match (error(&direct), error(&through)) {
            (None, Some(refusal)) => return Err(refused(&refusal)),
            (Some(one), Some(other)) if one.field(b'C') != other.field(b'C') => return Err(refused(&other)),
            _ => {}
        }
        if self.case.shape_only {
            let shape = |frames: &[Frame]| {
                let mut tags = tags(frames).into_bytes();
                tags.dedup();
                String::from_utf8(tags).unwrap()
            };
            return same("kinds of frames", &shape(&direct), &shape(&through));
        }
        same("frames", &short(&tags(&direct)), &short(&tags(&through)))?;
        let mut columns = Vec::new();
        for (one, other) in direct.iter().zip(&through) {
            match one.tag {
                b'T' => {
                    columns = self.columns(one);
                    let others = self.columns(other);
                    let names = |list: &[Column]| list.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(", ");
                    same("column names", &names(&columns), &names(&others))?;
                    for (one, other) in columns.iter().zip(&others) {
                        same(&format!("description of column {}", one.name), &one.bytes, &other.bytes)?;
                    }
                }
                b'D' => self.row(&columns, one, other)?,
                b'd' => self.copied(one, other)?,
                b'E' => {}
                _ => same(&format!("frame {}", char::from(one.tag)), one, other)?,
            }
        }
        Ok(())
    }

    fn columns(&self, description: &Frame) -> Vec<Column> {
        let mut rest = &description.body[2..];
        let mut columns = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|&b| b == 0).unwrap();
            let name = String::from_utf8_lossy(&rest[..end]).into_owned();
            let mut bytes = rest[end + 1..end + 19].to_vec();
            rest = &rest[end + 19..];
            let oid = |at: usize, bytes: &[u8]| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            let encoding = if bytes[17] == 1 { Encoding::Binary(oid(6, &bytes)) } else { Encoding::Text };
            for at in [0, 6] {
                if oid(at, &bytes) > self.last_oid {
                    bytes[at..at + 4].fill(0xFF);
                }
            }
            columns.push(Column { name, bytes, encoding });
        }
        columns
    }

    fn mask(&self, name: &str) -> Option<Mask> {
        self.case.masked.iter().find(|(column, _)| column == name).map(|(_, mask)| *mask)
    }

    fn row(&self, columns: &[Column], direct: &Frame, through: &Frame) -> Result<(), Fault> {
        let (one, other) = (direct.values(), through.values());
        for ((column, value), got) in columns.iter().zip(&one).zip(&other) {
            self.value(&column.name, column.encoding, value.as_deref(), got.as_deref())?;
        }
        same("number of values", &one.len(), &other.len())
    }

    fn value(&self, name: &str, encoding: Encoding, value: Option<&[u8]>, got: Option<&[u8]>) -> Result<(), Fault> {
        let Some(mask) = self.mask(name) else {
            return same(&format!("value of {name}"), &value.map(lossy), &got.map(lossy));
        };
        self.judged.set(self.judged.get() + usize::from(value.is_some()));
        mask.judge(value, got, encoding, self.seen)
            .map_err(|expected| Fault::Different(format!("column {name}: {:?} instead of {expected}", got.map(lossy))))
    }

    /// COPY data in text format; without masks the bytes are compared.
    fn copied(&self, direct: &Frame, through: &Frame) -> Result<(), Fault> {
        let Work::Sql { columns, .. } = &self.case.work else { return Ok(()) };
        if columns.is_empty() {
            return same("COPY data", &lossy(&direct.body), &lossy(&through.body));
        }
        let split = |frame: &Frame| -> Vec<Option<String>> {
            let line = lossy(&frame.body);
            line.trim_end_matches('\n').split('\t').map(|v| (v != "\\N").then(|| v.to_owned())).collect()
        };
        let (one, other) = (split(direct), split(through));
        for ((name, value), got) in columns.iter().zip(&one).zip(&other) {
            let bytes = |value: &Option<String>| value.clone().map(String::into_bytes);
            self.value(name, Encoding::Text, bytes(value).as_deref(), bytes(got).as_deref())?;
        }
        same("number of values", &one.len(), &other.len())
    }
}

fn refused(frame: &Frame) -> Fault {
    let field = |code: u8| frame.field(code).unwrap_or_default();
    let text = [field(b'M'), field(b'D'), field(b'H')].into_iter().filter(|part| !part.is_empty());
    Fault::Refused { state: field(b'C'), text: text.collect::<Vec<_>>().join(" / ") }
}

fn lossy(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).into_owned()
}

/// `TDDDDCZ` as `TD*4CZ`.
fn short(tags: &str) -> String {
    let mut out = String::new();
    let mut chars = tags.chars().peekable();
    while let Some(tag) = chars.next() {
        let mut count = 1;
        while chars.next_if_eq(&tag).is_some() {
            count += 1;
        }
        out.push(tag);
        if count > 1 {
            out.push_str(&format!("*{count}"));
        }
    }
    out
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, direct: &T, through: &T) -> Result<(), Fault> {
    if direct == through {
        return Ok(());
    }
    let cut = |value: &T| format!("{value:?}").chars().take(200).collect::<String>();
    Err(Fault::Different(format!("{what}: {} instead of {}", cut(through), cut(direct))))
}
