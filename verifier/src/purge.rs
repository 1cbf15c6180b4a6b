//! Purges: who may destroy the keys of sessions, and when not.
//!
//! An order is a text, signed below as in a signed note by two officers. Without their keys the signatures can only be told
//! apart, not verified; the report says so.

use std::collections::{BTreeMap, BTreeSet};

use crate::hex;
use crate::meaning::Acted;
use crate::note::{Line, VerifierKey};
use crate::report::{Code, Place};
use crate::scan::{Act, Sid};

/// Judges all purges of a log. Gives the sessions that a rightful one names, and whether all signatures were verified.
pub(crate) fn judge(
    acts: &[Acted],
    officers: &[VerifierKey],
    find: &mut dyn FnMut(Code, Place, String),
) -> (BTreeSet<Sid>, bool) {
    let mut purged = BTreeSet::new();
    let mut verified = true;
    let mut holds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut in_time: Vec<&Acted> = acts.iter().collect();
    in_time.sort_by_key(|acted| (acted.wall_ns, acted.core, acted.sequence));
    for acted in in_time {
        let place = Place::core(acted.core);
        match &acted.act {
            Act::Hold { name, query } => {
                holds.insert(name, query);
            }
            Act::Release { name } => match holds.remove(name.as_str()) {
                Some(_) => {}
                None => {
                    let what = format!("record {}: the hold {name} is lifted and was not set", acted.sequence);
                    find(Code::Sem, place, what);
                }
            },
            Act::Purge { kind, order, sessions, signatures } => {
                let signers = signers(order, signatures, officers);
                verified &= !officers.is_empty();
                let mut wrong =
                    |what: String| find(Code::Purge, place.clone(), format!("record {}: {what}", acted.sequence));
                match signers {
                    Ok(signers) if signers < 2 => {
                        wrong(format!("the order to destroy {} keys has {signers} signatures of two", sessions.len()));
                        continue;
                    }
                    Err(why) => {
                        wrong(format!("the order to destroy {} keys: {why}", sessions.len()));
                        continue;
                    }
                    Ok(_) => {}
                }
                let held = holds.iter().find(|(_, query)| sessions.iter().any(|session| keeps(query, session)));
                if let Some((name, _)) = held {
                    wrong(format!("keys were destroyed ({kind}) that the hold {name} keeps"));
                }
                purged.extend(sessions);
            }
            _ => {}
        }
    }
    (purged, verified)
}

/// Distinct signers of an order.
fn signers(order: &str, signatures: &[String], officers: &[VerifierKey]) -> Result<usize, String> {
    let text = if order.ends_with('\n') { order.to_owned() } else { format!("{order}\n") };
    let mut seen = BTreeSet::new();
    for signature in signatures {
        let line = Line::parse(signature.trim_end_matches('\n')).ok_or("a signature line is malformed")?;
        if officers.is_empty() {
            seen.insert((line.name.clone(), line.id));
            continue;
        }
        for key in officers.iter().filter(|key| line.is_of(key)) {
            line.holds(&text, key).ok_or_else(|| format!("the signature of {} does not hold", key.label()))?;
            seen.insert((line.name.clone(), line.id));
        }
    }
    // One person with two keys is still one person.
    Ok(seen.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len())
}

/// Does a hold's query keep this session for certain? An empty one keeps everything; others are looked at for the session's
/// own id, since what else they say is about records that may be gone.
fn keeps(query: &str, session: &Sid) -> bool {
    query.trim().is_empty() || query.trim() == "*" || query.contains(&hex::text(session))
}
