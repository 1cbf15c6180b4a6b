//! Approvals: each is used once, for what it was given for.
//!
//! Invariants: uses of one approval are counted over all cores and all logs given together; a use names a statement and
//! the digest that was approved. Gateways that share a store vote on each other's requests, so that a grant can be in
//! another log: that is a note. Records of different cores have no order but their clocks', so what is compared in time
//! has a tolerance. Deliberately not here: whether who voted was allowed to.

use std::collections::BTreeMap;

use crate::meaning::{Statement, name};
use crate::merkle::Hash;
use crate::registry::Facts;
use crate::report::{Code, Finding, Place, Report};
use crate::scan::Act;

/// Clocks of cores and nodes may differ by this much, nanoseconds.
const TOLERANCE_NS: u64 = 60_000_000_000;

/// A step of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Grant,
    Consume,
    End,
}

/// Where it is recorded.
#[derive(Clone, Copy, Debug)]
struct Seen {
    log: usize,
    core: u16,
    sequence: u64,
    wall_ns: u64,
    digest: Hash,
    statement: Statement,
}

#[derive(Debug, Default)]
struct Story {
    grants: Vec<Seen>,
    consumes: Vec<Seen>,
    ends: Vec<Seen>,
}

/// Judges the approvals of all logs together.
pub(crate) fn judge(logs: &[Facts], report: &mut Report) {
    let mut stories: BTreeMap<&str, Story> = BTreeMap::new();
    for (log, facts) in logs.iter().enumerate() {
        for acted in &facts.acts {
            let Act::Approval { step, id, digest, statement } = &acted.act else { continue };
            let (digest, statement) = (*digest, *statement);
            let (core, sequence, wall_ns) = (acted.core, acted.sequence, acted.wall_ns);
            let seen = Seen { log, core, sequence, wall_ns, digest, statement };
            let story = stories.entry(id).or_default();
            let list = match step {
                Step::Grant => &mut story.grants,
                Step::Consume => &mut story.consumes,
                Step::End => &mut story.ends,
            };
            list.push(seen);
        }
    }
    let mut elsewhere = 0_u64;
    for (id, story) in &stories {
        let mut wrong = |seen: &Seen, what: String| {
            let (log, place) = (seen.log, Place::core(seen.core));
            let what = format!("record {}: the approval {id} {what}", seen.sequence);
            report.add(Finding { code: Code::Sem, log, place, what });
        };
        for again in story.consumes.iter().skip(1) {
            wrong(again, format!("is used a second time, for {}", name(&again.statement)));
        }
        for used in &story.consumes {
            let of_it = |seen: &&Seen| seen.digest == used.digest;
            match story.grants.iter().filter(of_it).map(|grant| grant.wall_ns).min() {
                Some(given) if given > used.wall_ns.saturating_add(TOLERANCE_NS) => {
                    wrong(used, "is used before it is given".to_owned());
                }
                Some(_) => {}
                None if story.grants.is_empty() => elsewhere += 1,
                None => wrong(used, "is used for something else than it was given for".to_owned()),
            }
            if story.ends.iter().any(|end| end.wall_ns.saturating_add(TOLERANCE_NS) < used.wall_ns) {
                wrong(used, "is used after its end".to_owned());
            }
        }
    }
    if elsewhere > 0 {
        report
            .notes
            .push(format!("{elsewhere} approvals are used here, and who gave them is in the log of another node"));
    }
}
