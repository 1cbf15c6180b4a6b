//! Logs beside each other: copies that went on by themselves, nodes without a log, logs without a node.

use std::collections::{BTreeMap, BTreeSet};

use crate::hex;
use crate::meaning::Acted;
use crate::merkle::Hash;
use crate::report::{Code, Finding, Place, Report};
use crate::scan::Act;
use crate::tree::Signed;
use crate::trust::Trust;

/// What is compared between logs.
pub(crate) struct Facts {
    /// Name in its checkpoints.
    pub(crate) origin: Option<String>,
    pub(crate) node: Option<[u8; 16]>,
    /// Blocks that begin an epoch, by core and the header they follow.
    pub(crate) parents: BTreeMap<(u16, Hash), Hash>,
    pub(crate) acts: Vec<Acted>,
}

/// Compares logs with each other and with the nodes that should exist.
pub(crate) fn compare(logs: &[Facts], kept: &[Signed], trust: Option<&Trust>, report: &mut Report) {
    for (log, facts) in logs.iter().enumerate() {
        for (other, before) in logs[..log].iter().enumerate() {
            copies((other, before), (log, facts), report);
        }
    }
    let mut known: BTreeSet<&str> =
        trust.into_iter().flat_map(|trust| &trust.nodes).map(|node| node.origin.as_str()).collect();
    for acted in logs.iter().flat_map(|facts| &facts.acts) {
        if let Act::Enroll { origin, .. } | Act::Retire { origin } = &acted.act {
            known.insert(origin);
        }
    }
    let have: BTreeSet<&str> = logs.iter().filter_map(|facts| facts.origin.as_deref()).collect();
    // One log by itself, without a list of nodes, is not claimed to be all there is.
    let all = trust.is_some_and(|trust| !trust.nodes.is_empty()) || logs.len() > 1;
    let missing: Vec<&str> = known.iter().copied().filter(|origin| !have.contains(origin)).collect();
    if !all {
        if !missing.is_empty() {
            report.notes.push(format!("other nodes have logs too: {}", missing.join(", ")));
        }
        return;
    }
    let mut find = |log, what| report.add(Finding { code: Code::Reg, log, place: Place::default(), what });
    for origin in missing {
        find(0, format!("the node {origin} is registered, and its log is not here"));
    }
    for (log, facts) in logs.iter().enumerate().filter(|_| !known.is_empty()) {
        match &facts.origin {
            Some(origin) if !known.contains(origin.as_str()) => {
                find(log, format!("the log {origin} is of no registered node"));
            }
            None => find(log, "the log is not signed, so it is of no registered node".to_owned()),
            Some(_) => {}
        }
    }
    for signed in kept.iter().filter(|signed| !have.contains(signed.head.origin.as_str())) {
        find(0, format!("a checkpoint of {} was kept, and its log is not here", signed.head.origin));
    }
}

/// Two logs of one node: is one of them a copy that went on by itself?
fn copies((other, before): (usize, &Facts), (log, facts): (usize, &Facts), report: &mut Report) {
    if before.node.is_none() || before.node != facts.node {
        return;
    }
    let node = before.node.map(|node| hex::text(&node)).unwrap_or_default();
    let there = report.logs[other].directory.display().to_string();
    report.notes.push(format!("{there} and {} are of one node, {node}", report.logs[log].directory.display()));
    for (at, hash) in &facts.parents {
        if before.parents.get(at).is_some_and(|other| other != hash) {
            let what = format!("an epoch starts here where another one starts in {there}: a copy of the log went on");
            report.add(Finding { code: Code::Fork, log, place: Place::core(at.0), what });
        }
    }
}
