//! Frames of a client that means well, from small pools of names and texts so that they meet each other.

use postgres::frame;

use crate::ops::{LENGTHS, Op};

/// Names of statements and portals; the last is one byte longer than PostgreSQL keeps.
const NAMES: [&[u8]; 5] = [b"", b"a", b"b", b"c", &[b'n'; 64]];
/// Texts; the model of the database knows what each does by its first word.
const TEXTS: [&str; 12] = [
    "select x from t",
    "select x, y from tt",
    "select 1; select 22; begin",
    "insert into t values (1)",
    "begin",
    "commit",
    "",
    "copy t from stdin",
    "copy t to stdout",
    "deallocate a",
    "prepare a as select 1",
    "select x, y, z, u, v from ttt -- \u{e9}",
];

fn name(pick: u8) -> &'static [u8] {
    NAMES[usize::from(pick) % NAMES.len()]
}

const fn kind(pick: u8) -> u8 {
    if pick.is_multiple_of(2) { b'S' } else { b'P' }
}

/// The bytes of a client's operation; `None` if it is not one.
pub(crate) fn frames(op: &Op) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match op {
        Op::Query(text) => frame::write(&mut out, b'Q', |b| frame::text(b, text_of(*text).as_bytes())),
        Op::Parse(as_name, text) => frame::write(&mut out, b'P', |b| {
            frame::text(b, name(*as_name));
            frame::text(b, text_of(*text).as_bytes());
            b.extend([0, 0]);
        }),
        Op::Bind(portal, statement, rest) => frame::write(&mut out, b'B', |b| {
            frame::text(b, name(*portal));
            frame::text(b, name(*statement));
            bind_rest(b, *rest);
        }),
        Op::Describe(of, pick) => frame::write(&mut out, b'D', |b| {
            b.push(kind(*of));
            frame::text(b, name(*pick));
        }),
        Op::Close(of, pick) => frame::write(&mut out, b'C', |b| {
            b.push(kind(*of));
            frame::text(b, name(*pick));
        }),
        Op::Execute(portal, limit) => frame::write(&mut out, b'E', |b| {
            frame::text(b, name(*portal));
            b.extend(u32::from(*limit % 4).to_be_bytes());
        }),
        Op::Sync => frame::write(&mut out, b'S', |_| ()),
        Op::Flush => frame::write(&mut out, b'H', |_| ()),
        Op::Copy(pick) => match pick % 3 {
            0 => frame::write(&mut out, b'd', |b| b.extend(std::iter::repeat_n(b'x', usize::from(*pick) * 40))),
            1 => frame::write(&mut out, b'c', |_| ()),
            _ => frame::write(&mut out, b'f', |b| frame::text(b, b"changed my mind")),
        },
        Op::Terminate => frame::write(&mut out, b'X', |_| ()),
        Op::Call => frame::write(&mut out, b'F', |b| b.extend([0; 10])),
        Op::ClientBytes(bytes) => out.extend(bytes),
        Op::ClientLength(tag, length) => {
            out.push(*tag);
            out.extend(LENGTHS[usize::from(*length) % LENGTHS.len()].to_be_bytes());
        }
        Op::LongQuery(size) => frame::write(&mut out, b'Q', |b| {
            b.extend(b"select x from t --");
            b.extend(std::iter::repeat_n(b'-', usize::from(*size) * 256));
            b.push(0);
        }),
        Op::Answer(_)
        | Op::AnswerOne(_)
        | Op::ServerBytes(_)
        | Op::ServerFrame(..)
        | Op::ServerLength(..)
        | Op::StallClient
        | Op::StallServer
        | Op::Renew
        | Op::Forget(_) => return None,
    }
    Some(out)
}

fn text_of(pick: u8) -> &'static str {
    TEXTS[usize::from(pick) % TEXTS.len()]
}

/// Parameter formats, parameters and result formats of a Bind.
fn bind_rest(b: &mut Vec<u8>, pick: u8) {
    let count = |b: &mut Vec<u8>, n: u8| b.extend(u16::from(n).to_be_bytes());
    let (formats, values, results) = (pick & 1, pick >> 1 & 3, pick >> 3 & 7);
    count(b, formats);
    for _ in 0..formats {
        count(b, 1);
    }
    count(b, values);
    for value in 0..values {
        match value {
            0 => b.extend((-1_i32).to_be_bytes()),
            1 => b.extend(0_i32.to_be_bytes()),
            _ => {
                let len = u32::from(pick) * 100;
                b.extend(len.to_be_bytes());
                b.extend(std::iter::repeat_n(b'v', len as usize));
            }
        }
    }
    count(b, results);
    for result in 0..results {
        count(b, (pick >> 6 ^ result) & 1);
    }
}
