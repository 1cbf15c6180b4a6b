//! Purges: who may destroy the keys of sessions, and when not.
//!
//! An order is a text, signed below as in a signed note by two people. Without the officers' keys the signatures can only
//! be told apart, not verified; the report says so. Holds are judged by what SESSION_OPEN says of a session; what a hold
//! asks of single statements cannot be judged here and is mentioned.

use std::collections::{BTreeMap, BTreeSet};

use crate::hex;
use crate::meaning::{About, Acted};
use crate::moment;
use crate::note::{Line, VerifierKey};
use crate::report::{Code, Place};
use crate::scan::{Act, Sid};

const TITLE: &str = "tidegate purge order v1";
const DAY: u64 = 86_400_000_000_000;

/// What came out of judging.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Sessions that a rightful purge names.
    pub(crate) purged: BTreeSet<Sid>,
    /// There are purges whose signatures could not be verified.
    pub(crate) unverified: bool,
    /// Holds of which it cannot be said whether they keep a session that was purged.
    pub(crate) undecided: BTreeSet<String>,
}

/// Judges all purges of a log.
pub(crate) fn judge(
    acts: &[Acted],
    officers: &[VerifierKey],
    sessions: &BTreeMap<Sid, About>,
    origin: Option<&str>,
    find: &mut dyn FnMut(Code, Place, String),
) -> Judged {
    let mut judged = Judged::default();
    let mut holds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut in_time: Vec<&Acted> = acts.iter().collect();
    in_time.sort_by_key(|acted| (acted.wall_ns, acted.core, acted.sequence));
    for acted in in_time {
        let mut wrong =
            |code, what: String| find(code, Place::core(acted.core), format!("record {}: {what}", acted.sequence));
        match &acted.act {
            Act::Hold { name, query } => {
                holds.insert(name, query);
            }
            Act::Release { name } => {
                let known = holds.remove(name.as_str()).is_some();
                if !known {
                    wrong(Code::Sem, format!("the hold {name} is lifted and was not set"));
                }
            }
            Act::Purge { kind, order, sessions: named, signatures } => {
                judged.unverified |= officers.is_empty();
                let outcome = signers(order, signatures, officers)
                    .and_then(|()| fits(order, kind, named, sessions, origin, acted.wall_ns));
                if let Err(why) = outcome {
                    wrong(Code::Purge, format!("the order to destroy {} keys: {why}", named.len()));
                    continue;
                }
                for (name, query) in &holds {
                    let kept = named.iter().map(|session| keeps(query, session, sessions.get(session)));
                    match kept.max() {
                        Some(Keeps::Yes) => {
                            wrong(Code::Purge, format!("keys were destroyed ({kind}) that the hold {name} keeps"));
                        }
                        Some(Keeps::Perhaps) => drop(judged.undecided.insert((*name).to_owned())),
                        _ => {}
                    }
                }
                judged.purged.extend(named);
            }
            _ => {}
        }
    }
    judged
}

/// Have two people signed the order?
fn signers(order: &str, signatures: &[String], officers: &[VerifierKey]) -> Result<(), String> {
    let text = if order.ends_with('\n') { order.to_owned() } else { format!("{order}\n") };
    let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for signature in signatures {
        let line = Line::parse(signature.trim_end_matches('\n')).ok_or("a signature line is malformed")?;
        if officers.is_empty() {
            names.insert(line.name.clone());
            keys.insert(line.id.to_vec());
            continue;
        }
        for key in officers.iter().filter(|key| line.is_of(key)) {
            line.holds(&text, key).ok_or_else(|| format!("the signature of {} does not hold", key.label()))?;
            names.insert(line.name.clone());
            keys.insert(key.bytes().to_vec());
        }
    }
    // One person with two keys is still one person, and so is one key with two names.
    match names.len().min(keys.len()) {
        0 | 1 => Err(format!("it has {} signatures of two", names.len().min(keys.len()))),
        _ => Ok(()),
    }
}

/// Is the order about what the record says, and was it time?
fn fits(
    order: &str,
    kind: &str,
    named: &[Sid],
    sessions: &BTreeMap<Sid, About>,
    origin: Option<&str>,
    wall_ns: u64,
) -> Result<(), String> {
    let mut lines = order.lines();
    if lines.next() != Some(TITLE) {
        return Err(format!("its text does not begin with {TITLE:?}"));
    }
    let mut ordered = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(' ').ok_or("its text has a line without a value")?;
        match name {
            "log" if origin.is_some_and(|origin| origin != value) => return Err(format!("it is for the log {value}")),
            "kind" if value != kind => return Err(format!("it is one of {value}, recorded as {kind}")),
            "not_before" if moment::parse(value).is_none_or(|moment| wall_ns < moment) => {
                return Err(format!("it was carried out before {value}"));
            }
            "retain_days" => {
                let days: u64 = value.parse().map_err(|_| "it has no number of days")?;
                let early = |session: &&Sid| {
                    sessions
                        .get(*session)
                        .is_some_and(|about| wall_ns < about.span.1.saturating_add(days.saturating_mul(DAY)))
                };
                if let Some(session) = named.iter().find(early) {
                    return Err(format!("session {} was not yet kept for {days} days", hex::text(session)));
                }
            }
            "session" => ordered.push(hex::array::<16>(value).ok_or("it names something that is no session")?),
            _ => {}
        }
    }
    if ordered == named { Ok(()) } else { Err("it names other sessions than the record".to_owned()) }
}

/// Does a hold keep a session?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Keeps {
    No,
    /// It asks for something of single statements.
    Perhaps,
    Yes,
}

fn keeps(query: &str, session: &Sid, about: Option<&About>) -> Keeps {
    let mut keeps = Keeps::Yes;
    for part in query.split_whitespace().filter(|part| *part != "*") {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let one_of = |have: &str| value.split(',').any(|wanted| wanted == have);
        let fits = match (name, about) {
            ("session", _) => Some(value.split(',').any(|start| hex::text(session).starts_with(start))),
            ("person", Some(about)) => Some(one_of(&about.person)),
            ("role", Some(about)) => Some(one_of(&about.role)),
            ("target", Some(about)) => Some(one_of(&about.target)),
            ("since", Some(about)) => moment::parse(value).map(|since| about.span.1 >= since),
            ("until", Some(about)) => moment::parse(value).map(|until| about.span.0 < until),
            _ => None,
        };
        match fits {
            Some(true) => {}
            Some(false) => return Keeps::No,
            None => keeps = Keeps::Perhaps,
        }
    }
    keeps
}
