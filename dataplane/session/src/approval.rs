//! What is asked about a statement that a rule holds, what is answered, and the digest that an approval is bound to.
//!
//! Invariants: the digest covers everything that decides what the statement does and what of it is shown: the exact text,
//! parameters with types and formats, who asks and as what, the session's settings, transaction, rules and masking; nothing of it is
//! normalised. Equal facts give equal bytes (RFC 8949 section 4.2.1). Deliberately absent: waiting (see `held`), and who
//! may vote.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Domain of the digest.
const DOMAIN: &[u8] = b"tidegate-approval/v1";

/// A statement that a rule holds.
#[derive(Clone, Debug)]
pub struct HoldAsked {
    /// Id of the request, made up by the session: `TG-` and eight characters.
    pub id: String,
    /// Statement in the session.
    pub statement: u64,
    /// Issuer of the requester.
    pub issuer: String,
    /// Subject of the requester.
    pub subject: String,
    /// Database user name of the requester.
    pub user: String,
    /// Role.
    pub role: String,
    /// Index of the target.
    pub target: usize,
    /// Database upstream.
    pub database: String,
    /// Rule that holds.
    pub rule: String,
    /// Who may vote: groups.
    pub approvers: Vec<String>,
    /// Votes needed.
    pub approvals: u16,
    /// Votes must come from distinct groups.
    pub distinct_groups: bool,
    /// Everything that approval binds.
    pub digest: [u8; 32],
    /// Exact text.
    pub text: Zeroizing<Vec<u8>>,
    /// Parameters, shown as the session's rules allow.
    pub parameters: Vec<String>,
    /// Parameters as they came, for an estimate; empty where none is wanted. `None`: names or literals in the text may mean
    /// something else to another session, or the parameters are not known, so that there is no estimate.
    pub sent: Option<Vec<Sent>>,
    /// Tables that it names.
    pub tables: Vec<String>,
    /// Classes that it touches, and what becomes of each in the answer.
    pub classes: Vec<(String, String)>,
    /// Byte ranges of the text that the rule is about.
    pub marks: Vec<(usize, usize)>,
    /// Only if at least this many rows are estimated; 0 holds in any case.
    pub rows_over: u64,
    /// Purpose of the session.
    pub purpose: String,
    /// Address of the requester.
    pub source: String,
}

/// A parameter as it came.
#[derive(Clone)]
pub struct Sent {
    /// Type as prepared, 0 where the database decides.
    pub type_oid: u32,
    /// In the type's binary format.
    pub binary: bool,
    /// Value; `None` is NULL.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sent").field("type_oid", &self.type_oid).field("binary", &self.binary).finish_non_exhaustive()
    }
}

/// About a statement that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldAnswer {
    /// It need not be held: fewer rows than the rule is about.
    Free,
    /// It waits for people.
    Waiting {
        /// Id of the request that waits; that of an earlier, identical one if there is one.
        id: String,
        /// Where people vote.
        link: String,
        /// Until when it waits, Unix nanoseconds.
        until_ns: u64,
    },
    /// It may run once; the approval is spent.
    Granted {
        /// Id of the request.
        id: String,
    },
    /// It may not run.
    Refused {
        /// Id of the request, if there is one.
        id: String,
        /// `denied`, `expired`, `revoked`, `too_many`, `unavailable`.
        why: &'static str,
    },
}

/// What a session says about a statement that is held.
#[derive(Clone, Debug)]
pub enum HoldQuestion {
    /// May it run? The first answer says what becomes of it; others may follow.
    Ask(Box<HoldAsked>),
    /// It is not wanted any more.
    Withdraw {
        /// Id that it was asked with.
        asked: String,
        /// `cancelled`, `disconnected`, `timeout`, `changed`.
        reason: &'static str,
    },
}

/// Everything that an approval binds.
#[derive(Clone, Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) target: &'a str,
    pub(crate) database: &'a str,
    pub(crate) role: &'a str,
    /// Rule that holds it.
    pub(crate) rule: &'a str,
    /// `simple` or `execute`, and the row limit of a run.
    pub(crate) operation: (&'a str, u32),
    pub(crate) text: &'a [u8],
    pub(crate) given: &'a contract::Given,
    /// Parameters of the session, search path and date style among them.
    pub(crate) settings: &'a [u8; 32],
    pub(crate) in_transaction: bool,
    pub(crate) bundle: &'a [u8; 32],
    /// Output columns, their classes and what becomes of them.
    pub(crate) masking: &'a [(String, String, String)],
}

impl Bound<'_> {
    /// SHA-256 over the domain and the deterministic encoding.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut masking = Vec::new();
        head(&mut masking, ARRAY, self.masking.len());
        for (output, class, method) in self.masking {
            head(&mut masking, ARRAY, 3);
            [output, class, method].into_iter().for_each(|part| text(&mut masking, part));
        }
        let mut out = DOMAIN.to_vec();
        head(&mut out, MAP, 12);
        let mut key = 0;
        let mut next = |out: &mut Vec<u8>| {
            head(out, UINT, key);
            key += 1;
        };
        next(&mut out);
        head(&mut out, ARRAY, 2);
        text(&mut out, self.issuer);
        text(&mut out, self.subject);
        for part in [self.target, self.database, self.role] {
            next(&mut out);
            text(&mut out, part);
        }
        next(&mut out);
        head(&mut out, ARRAY, 2);
        text(&mut out, self.operation.0);
        head(&mut out, UINT, self.operation.1 as usize);
        next(&mut out);
        bytes(&mut out, &Sha256::digest(self.text));
        next(&mut out);
        head(&mut out, ARRAY, 3);
        head(&mut out, ARRAY, self.given.types.len());
        self.given.types.iter().for_each(|oid| head(&mut out, UINT, *oid as usize));
        head(&mut out, ARRAY, self.given.formats.len());
        self.given.formats.iter().for_each(|f| head(&mut out, UINT, usize::from(*f == contract::Format::Binary)));
        bytes(&mut out, self.given.digest.as_ref().map_or(&[][..], |digest| digest));
        // Session facts. Encoding and standard_conforming_strings cannot be anything else.
        next(&mut out);
        head(&mut out, ARRAY, 4);
        text(&mut out, "UTF8");
        text(&mut out, "on");
        bytes(&mut out, self.settings);
        text(&mut out, if self.in_transaction { "open" } else { "idle" });
        next(&mut out);
        bytes(&mut out, self.bundle);
        next(&mut out);
        bytes(&mut out, &Sha256::digest(&masking));
        // Uses.
        next(&mut out);
        head(&mut out, UINT, 1);
        next(&mut out);
        text(&mut out, self.rule);
        Sha256::digest(&out).into()
    }
}

const UINT: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

/// The shortest head there is.
#[allow(clippy::cast_possible_truncation, reason = "each width is checked before")]
fn head(out: &mut Vec<u8>, major: u8, value: usize) {
    let major = major << 5;
    match value {
        0..24 => out.push(major | value as u8),
        24..0x100 => out.extend([major | 24, value as u8]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend((value as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend((value as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend((value as u64).to_be_bytes());
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    head(out, TEXT, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, BYTES, bytes.len());
    out.extend_from_slice(bytes);
}

/// Parameters as they came, from their frame.
pub(crate) fn sent(given: &contract::Given) -> Vec<Sent> {
    let mut rest = given.values.as_deref().unwrap_or_default();
    let mut sent = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        let value = usize::try_from(length).ok().and_then(|length| after.get(..length));
        rest = value.map_or(after, |value| &after[value.len()..]);
        let format = match given.formats.as_slice() {
            [all] => Some(all),
            each => each.get(sent.len()),
        };
        sent.push(Sent {
            type_oid: given.types.get(sent.len()).copied().unwrap_or(0),
            binary: format == Some(&contract::Format::Binary),
            value: value.map(|value| Zeroizing::new(value.to_vec())),
        });
    }
    sent
}

/// Parameters that are shown, and characters of each.
const SHOWN_MAX: usize = 32;
const SHOWN_CHARACTERS: usize = 120;

/// Parameters for who votes. `hidden` says only that they are there.
pub(crate) fn shown(given: &contract::Given, hidden: bool) -> Vec<String> {
    if given.digest.is_some() && given.values.is_none() {
        return vec!["(too long to be shown)".to_owned()];
    }
    let mut shown: Vec<String> = sent(given)
        .iter()
        .take(SHOWN_MAX + 1)
        .enumerate()
        .map(|(n, parameter)| match &parameter.value {
            _ if n == SHOWN_MAX => "(and more)".to_owned(),
            None => "NULL".to_owned(),
            Some(value) if hidden => format!("({} bytes, not shown)", value.len()),
            Some(value) if parameter.binary => {
                let digits = value.iter().take(SHOWN_CHARACTERS / 2).map(|byte| format!("{byte:02x}"));
                let more = if value.len() > SHOWN_CHARACTERS / 2 { "…" } else { "" };
                format!("\\x{}{more}", digits.collect::<String>())
            }
            Some(value) => {
                let value = String::from_utf8_lossy(value);
                let mut text: String = value.chars().take(SHOWN_CHARACTERS).collect();
                if text.len() < value.len() {
                    text.push('…');
                }
                text
            }
        })
        .collect();
    shown.shrink_to_fit();
    shown
}

/// Characters of an id: Crockford's base 32.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Id of a request: `TG-` and eight characters.
pub(crate) fn request_id(random: [u8; 5]) -> String {
    let bits = random.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let letters = (0..8).rev().map(|i| char::from(ALPHABET[usize::try_from(bits >> (5 * i) & 31).unwrap_or(0)]));
    format!("TG-{}", letters.collect::<String>())
}

/// A moment for people, `12:42:05 UTC`.
pub(crate) fn clock(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000 % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests;
