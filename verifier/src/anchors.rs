//! What others saw of a log, and when: cosignatures against each other, against the records' clocks and against a policy.
//!
//! A witness's time is its own; it bounds when the blocks under the checkpoint can have been written.

use std::collections::BTreeMap;

use crate::moment;
use crate::note::VerifierKey;
use crate::report::Code;
use crate::scan::Act;
use crate::tree::Signed;
use crate::trust::WitnessPolicy;

/// How far a witness's clock and a gateway's may differ, nanoseconds.
const APART: u64 = 300_000_000_000;

/// Wall clocks of the blocks between two sizes that were asked for: the earliest and the latest, nanoseconds.
pub(crate) type Walls = BTreeMap<u64, (u64, u64)>;

/// A cosignature of a tree of this size.
#[derive(Clone, Debug)]
pub(crate) struct Seen<'k> {
    pub(crate) size: u64,
    pub(crate) key: &'k VerifierKey,
    pub(crate) time_s: u64,
    pub(crate) file: &'k str,
}

/// All cosignatures by known witnesses, by size.
pub(crate) fn seen<'k>(signed: impl Iterator<Item = &'k Signed>, witnesses: &'k [VerifierKey]) -> Vec<Seen<'k>> {
    let mut seen: Vec<Seen<'_>> = Vec::new();
    for signed in signed {
        // A signature that does not hold is found where keys are checked.
        for (key, time_s) in signed.note.signers(witnesses.iter()).unwrap_or_default() {
            seen.push(Seen { size: signed.head.size, key, time_s, file: &signed.file });
        }
    }
    seen.sort_by_key(|seen| (seen.size, seen.time_s));
    seen
}

/// The newest cosignature of each witness: size and time.
pub(crate) fn newest(seen: &[Seen<'_>]) -> BTreeMap<String, (u64, u64)> {
    seen.iter().map(|seen| (seen.key.name().to_owned(), (seen.size, seen.time_s))).collect()
}

/// Checks times: each witness's own, and against the records'.
pub(crate) fn times(seen: &[Seen<'_>], walls: &Walls, find: &mut dyn FnMut(Code, &str, String)) {
    let mut last: BTreeMap<(&str, String), (u64, u64)> = BTreeMap::new();
    for one in seen {
        let id = (one.key.name(), one.key.id());
        if let Some((size, time)) = last.insert(id, (one.size, one.time_s))
            && size < one.size
            && one.time_s < time
        {
            let what = format!("{} saw {} blocks before it saw {size} blocks", one.key.name(), one.size);
            find(Code::Roll, one.file, what);
        }
        let at = one.time_s.saturating_mul(1_000_000_000);
        let words = || moment::text(at, 0);
        let latest = walls.range(..=one.size).map(|(_, (_, latest))| *latest).max();
        if let Some(latest) = latest.filter(|&latest| latest > at.saturating_add(APART)) {
            let what =
                format!("{} saw at {} what was recorded at {}", one.key.name(), words(), moment::text(latest, 0));
            find(Code::Clk, one.file, what);
        }
        let earliest = walls.range(one.size + 1..).map(|(_, (earliest, _))| *earliest).min();
        if let Some(earliest) = earliest.filter(|earliest| earliest.saturating_add(APART) < at) {
            let what = format!(
                "a block that came after {} saw the log at {} is dated {}",
                one.key.name(),
                words(),
                moment::text(earliest, 0)
            );
            find(Code::Clk, one.file, what);
        }
    }
}

/// Checks the policy: enough witnesses have seen the log, and lately.
pub(crate) fn policy(
    seen: &[Seen<'_>],
    policy: Option<&WitnessPolicy>,
    max_age_s: Option<u64>,
    acts: &[crate::meaning::Acted],
    last_wall_ns: u64,
    find: &mut dyn FnMut(Code, &str, String),
) {
    if let Some(policy) = policy.filter(|policy| policy.asks()) {
        let mut by_size: BTreeMap<u64, Vec<&Seen<'_>>> = BTreeMap::new();
        seen.iter().for_each(|one| by_size.entry(one.size).or_default().push(one));
        let newest = by_size.values().rev().find(|all| {
            let keys: Vec<&VerifierKey> = all.iter().map(|one| one.key).collect();
            policy.is_met(&keys)
        });
        if newest.is_none() {
            find(Code::Key, "tlog/checkpoint", "no checkpoint is cosigned as the policy asks".to_owned());
        }
        let time = newest.and_then(|all| all.iter().map(|one| one.time_s).max());
        age(time, max_age_s, last_wall_ns, find);
    } else {
        let anchored = acts.iter().filter(|acted| matches!(acted.act, Act::Anchor { .. }));
        let anchored = anchored.map(|acted| acted.wall_ns / 1_000_000_000);
        age(seen.iter().map(|one| one.time_s).chain(anchored).max(), max_age_s, last_wall_ns, find);
    }
}

fn age(time_s: Option<u64>, max_age_s: Option<u64>, last_wall_ns: u64, find: &mut dyn FnMut(Code, &str, String)) {
    let Some(max) = max_age_s else { return };
    let last = last_wall_ns / 1_000_000_000;
    match time_s {
        None => find(Code::Anchor, "tlog/checkpoint", "nobody elsewhere has seen the log".to_owned()),
        Some(time) if last > time.saturating_add(max) => {
            let what = format!("the log went on for {} s after somebody elsewhere saw it last", last - time);
            find(Code::Anchor, "tlog/checkpoint", what);
        }
        Some(_) => {}
    }
}
