//! Retention: what may be destroyed, what must not be, and the orders by which it is.
//!
//! Destroying is overwriting the wrapped key of a session and removing its recording; records and hashes stay, so the log
//! verifies as before. It needs an order signed by two people, no active hold, and the time that the order names. The
//! PURGE record is durable before the first key goes; a crash in between is finished by applying the order again.

mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use audit::record::{Record, SessionId};
use audit::{Body, Filter, ShowError, render, time};
use sealing::slots;
use tlog::VerifierKey;

pub use order::{Kind, Order, SESSIONS_MAX};

use crate::join::Rows;
use crate::person::{Person, record};
use crate::query::Query;

/// A session as retention sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: SessionId,
    /// Core it ran on.
    pub core: u16,
    /// Who.
    pub person: String,
    /// Target.
    pub target: String,
    /// First and last record, nanoseconds since 1970.
    pub span: (u64, u64),
    /// It is over.
    pub closed: bool,
    /// It has a key: sealed fields or a recording.
    pub keyed: bool,
    /// Its key was destroyed before.
    pub purged: bool,
    /// Holds that keep it.
    pub holds: Vec<String>,
}

/// A hold that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Name.
    pub name: String,
    /// What it keeps, as it was written.
    pub text: String,
    /// Who set it, when, why.
    pub by: (String, u64, String),
}

/// Holds in force, by name.
///
/// # Errors
/// The log cannot be read; a damaged place is an error too, since a hold may stand there.
pub fn holds(directory: &Path) -> Result<Vec<Hold>, ShowError> {
    let mut holds: BTreeMap<String, Hold> = BTreeMap::new();
    for entry in audit::show(directory, Filter::default())? {
        let entry = entry?;
        match entry.record.body {
            Body::HoldSet { actor, reason, name, query } => {
                let by = (actor.subject, entry.record.clock.wall_ns, reason);
                holds.insert(name.clone(), Hold { name, text: query, by });
            }
            Body::HoldClear { name, .. } => {
                holds.remove(&name);
            }
            _ => {}
        }
    }
    Ok(holds.into_values().collect())
}

/// All sessions of the log, with the holds that keep them.
///
/// # Errors
/// The log cannot be read, or a hold cannot be understood (it then keeps everything, so nothing may go).
pub fn sessions(directory: &Path, holds: &[Hold]) -> Result<Vec<Kept>, String> {
    let mut queries = Vec::new();
    for hold in holds {
        let query = Query::parse(&hold.text).map_err(|error| format!("hold {}: {error}", hold.name))?;
        queries.push((hold.name.as_str(), query));
    }
    let mut found: BTreeMap<SessionId, Kept> = BTreeMap::new();
    let mut purged: BTreeSet<SessionId> = BTreeSet::new();
    for row in Rows::open(directory).map_err(|error| error.to_string())? {
        let row = row.map_err(|error| error.to_string())?;
        if row.kind == "PURGE" {
            let list = row.fields.get("sessions").and_then(|list| list.as_array()).into_iter().flatten();
            purged.extend(list.filter_map(|id| order::session(id.as_str()?)));
        }
        let Some(id) = row.session.filter(|_| row.facts.id.is_some() || row.kind == crate::row::STATEMENT) else {
            continue;
        };
        let kept = found.entry(id).or_insert_with(|| Kept {
            id,
            core: row.place.core,
            person: row.facts.person.clone(),
            target: row.facts.target.clone(),
            span: (row.begin_ns, row.end_ns),
            closed: false,
            keyed: row.facts.commitment != [0; 32],
            purged: false,
            holds: Vec::new(),
        });
        kept.span = (kept.span.0.min(row.begin_ns), kept.span.1.max(row.end_ns));
        kept.closed |= row.kind == "SESSION_CLOSE";
        for (name, query) in &queries {
            if query.wants(&row) && !kept.holds.iter().any(|held| held == name) {
                kept.holds.push((*name).to_owned());
            }
        }
    }
    for id in purged {
        if let Some(kept) = found.get_mut(&id) {
            kept.purged = true;
        }
    }
    Ok(found.into_values().collect())
}

/// What an order did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Sessions of the order.
    pub sessions: usize,
    /// Keys that were overwritten now.
    pub keys: usize,
    /// Recordings that were removed now.
    pub recordings: usize,
    /// Names of those who signed.
    pub signers: Vec<String>,
    /// The order had been recorded before: this run finished it.
    pub again: bool,
}

/// Carries an order out.
///
/// # Errors
/// In words, why not; nothing is destroyed then, unless the error names what could not be.
pub fn apply(directory: &Path, note: &tlog::Note, signers: &[VerifierKey], now_ns: u64) -> Result<Applied, String> {
    let order = Order::parse(note.text())?;
    let names = order::signers(note, signers)?;
    if order.origin != crate::origin::origin(directory) {
        return Err(format!("the order is for the log {}", render::printable(order.origin.as_bytes())));
    }
    if now_ns < order.not_before_ns {
        return Err(format!("the order may not be carried out before {}", time::format(order.not_before_ns, 0)));
    }
    let holds = holds(directory).map_err(|error| error.to_string())?;
    let all: BTreeMap<SessionId, Kept> = sessions(directory, &holds)?.into_iter().map(|kept| (kept.id, kept)).collect();
    for id in &order.sessions {
        let name = render::hex(&id.0);
        let kept = all.get(id).ok_or_else(|| format!("the log has no session {name}"))?;
        if let Some(hold) = kept.holds.first() {
            return Err(format!("hold {} keeps session {name}", render::printable(hold.as_bytes())));
        }
        if !kept.closed && now_ns.saturating_sub(kept.span.1) < UNFINISHED_NS {
            return Err(format!("session {name} is not over"));
        }
        let until = kept.span.1.saturating_add(order.retain_ns());
        if order.kind == Kind::Retention && now_ns < until {
            return Err(format!("session {name} is kept until {}", time::format(until, 0)));
        }
    }
    let again = all.values().filter(|kept| order.sessions.contains(&kept.id)).all(|kept| kept.purged);
    if !again {
        let person = Person::of_process();
        let lines: Vec<String> = note.signatures().iter().map(ToString::to_string).collect();
        let act = Record::Purge {
            actor: person.actor(),
            reason: &order.reason,
            kind: order.kind.name(),
            order: note.text(),
            sessions: &order.sessions,
            signatures: &lines,
        };
        record(directory, &[act])?;
    }
    let wanted: BTreeSet<[u8; 16]> = order.sessions.iter().map(|id| id.0).collect();
    let cores: BTreeSet<u16> = order.sessions.iter().filter_map(|id| all.get(id)).map(|kept| kept.core).collect();
    let mut applied = Applied { sessions: wanted.len(), signers: names, again, ..Applied::default() };
    for core in cores {
        let folder = audit::segment::core_directory(directory, core);
        for path in files(&folder, "tgkeys").map_err(|error| format!("{}: {error}", folder.display()))? {
            applied.keys += erase(&path, &wanted).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    let recordings = directory.join("recordings");
    for day in files(&recordings, "").unwrap_or_default() {
        for path in files(&day, "tgrec").unwrap_or_default() {
            let id = path.file_stem().and_then(|stem| order::session(stem.to_str()?));
            if id.is_some_and(|id| wanted.contains(&id.0)) {
                fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                applied.recordings += 1;
            }
        }
        // The names are gone for good only when the folder is on the disk.
        File::open(&day).and_then(|folder| folder.sync_all()).map_err(|error| format!("{}: {error}", day.display()))?;
    }
    Ok(applied)
}

/// A session without an end whose last record is older than this was cut off by a crash.
const UNFINISHED_NS: u64 = 7 * 86_400 * 1_000_000_000;

fn erase(path: &Path, wanted: &BTreeSet<[u8; 16]>) -> io::Result<usize> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let erased = slots::erase(&mut file, &mut |session| wanted.contains(session))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    if !erased.is_empty() {
        file.sync_all()?;
    }
    Ok(erased.len())
}

/// Entries of a folder with this ending, in order; all with none.
fn files(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if ending.is_empty() || path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
