//! The paths by name, each as something that can be repeated, with fixed seeds.
//!
//! A path is made once, warmed, and then run for its units. Deliberately absent: sockets, files, threads and clocks;
//! `bench load` measures those.

use std::hint::black_box;
use std::rc::Rc;

use contract::{Buffers, Chunk, Lane, Limits};
use session::Durability;

use crate::clinic::{self, REPORT, SIX, SIX_AND_NOTE, TWO};
use crate::database::{self, BEDS, Database, NOTES, PEOPLE, Table};
use crate::host::Core;
use crate::records::{self, CLOCK};
use crate::rules::{self, EIGHT};
use crate::statement::{self, Conversation, Protocol, Row, Scene};
use crate::talk::Talk;

/// Does one step of a path.
pub type Step = Box<dyn FnMut()>;

/// A path.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Name, for command lines and the file of limits.
    pub name: &'static str,
    /// What one unit is.
    pub unit: &'static str,
    /// Units of one step.
    pub units: u64,
    /// Steps that are enough to count instructions; a multiple of ten.
    pub steps: u64,
    /// Makes it.
    pub make: fn() -> Step,
}

const ROWS: usize = 200;
const READ_BYTES: usize = 64 << 10;

/// All of them.
pub const PATHS: &[Path] = &[
    Path { name: "lane", unit: "64 KiB", units: 1, steps: 200, make: lane },
    Path { name: "rows-clear", unit: "row", units: ROWS as u64, steps: 100, make: || rows(SIX, &BEDS) },
    Path { name: "rows-2-of-8", unit: "row", units: ROWS as u64, steps: 50, make: || rows(TWO, &PEOPLE) },
    Path { name: "rows-6-of-8", unit: "row", units: ROWS as u64, steps: 30, make: || rows(SIX, &PEOPLE) },
    Path { name: "rows-6-and-note", unit: "row", units: ROWS as u64, steps: 20, make: || rows(SIX_AND_NOTE, &NOTES) },
    Path { name: "scan-note", unit: "note", units: ROWS as u64, steps: 20, make: scan_notes },
    Path { name: "statement-simple", unit: "statement", units: statement::TEXTS as u64, steps: 40, make: simple },
    Path { name: "statement-extended", unit: "statement", units: 1, steps: 600, make: extended },
    Path { name: "statement-prepared", unit: "statement", units: 1, steps: 1000, make: prepared },
    Path { name: "statement-strict", unit: "statement", units: 1, steps: 300, make: strict },
    Path { name: "decide-cold", unit: "statement", units: 1, steps: 20, make: cold },
    Path { name: "audit-append", unit: "record", units: 1, steps: 5000, make: append },
    Path { name: "audit-seal", unit: "record", units: SEALED, steps: 10, make: seal },
];

/// The lanes alone: 64 KiB arrive, pass and leave.
fn lane() -> Step {
    let mut lane = Lane::new(Limits::default().buffer_bytes_max);
    let mut buffers = Buffers::default();
    let bytes = vec![b'x'; READ_BYTES];
    Box::new(move || {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let slot = lane.slot(&mut buffers);
            let n = slot.len().min(rest.len());
            slot[..n].copy_from_slice(&rest[..n]);
            lane.received(n);
            lane.pass(n);
            rest = &rest[n..];
            while let Chunk::Bytes(bytes) = lane.chunk() {
                let n = black_box(bytes).len();
                lane.written(n);
            }
        }
    })
}

/// A session that is reading this table.
fn reading(role: &str, table: &Table) -> Talk {
    let core = Rc::new(Core::new(clinic::epoch(Vec::new())));
    let mut talk = Talk::new(&core, role, Durability::Async);
    let text = format!("SELECT * FROM clinic.{}", table.name);
    talk.learn(&statement::query(&text), &Database::new(*table, 1, true));
    talk
}

fn rows(role: &str, table: &Table) -> Step {
    let mut talk = reading(role, table);
    let rows = database::rows(table, ROWS);
    Box::new(move || talk.rows(black_box(&rows)))
}

fn scan_notes() -> Step {
    let notes = database::notes(ROWS);
    let shapes = scan::Shapes::of(EIGHT);
    let mut hits = Vec::new();
    Box::new(move || {
        for note in &notes {
            hits.clear();
            scan::collect(shapes, black_box(note), &mut hits);
            scan::unite(&mut hits);
            black_box(&hits);
        }
    })
}

/// Every text of a protocol once.
fn statements(protocol: Protocol, mode: Durability) -> Step {
    let mut conversation = Conversation::on(&Scene::new(protocol, Row::Masked, mode, 1));
    let texts = if protocol == Protocol::Simple { statement::TEXTS } else { 1 };
    Box::new(move || (0..texts).for_each(|_| conversation.run()))
}

/// Statements that differ in a literal, as clients without parameters send them.
fn simple() -> Step {
    statements(Protocol::Simple, Durability::Async)
}

/// Parse, Bind, Describe, Execute, Sync, every time.
fn extended() -> Step {
    statements(Protocol::Extended, Durability::Async)
}

/// Bind, Describe, Execute, Sync of a statement that was prepared.
fn prepared() -> Step {
    statements(Protocol::Prepared, Durability::Async)
}

/// The same, whose answer waits for a durable record.
fn strict() -> Step {
    statements(Protocol::Prepared, Durability::Strict)
}

/// Grammar, lineage and rules of a statement that is in no cache.
fn cold() -> Step {
    let grant = rules::grant(&clinic::epoch(Vec::new()), TWO);
    Box::new(move || {
        let facts = lineage::analyse(black_box(REPORT)).unwrap_or_else(|error| panic!("not understood: {error:?}"));
        let decision = grant.decide(REPORT, &facts, &());
        assert!(matches!(decision, policy::Decision::Allow(_)), "the report is refused: {decision:?}");
    })
}

const APPENDED_BYTES: usize = 8 << 20;

/// Intents into a ring, which is exchanged for an empty one where it is full.
fn append() -> Step {
    let mut ring = records::ring(1, APPENDED_BYTES);
    let mut statement = 0;
    Box::new(move || {
        statement += 1;
        let record = records::intent(statement);
        if ring.append(CLOCK, black_box(&record)).is_err() {
            ring = records::ring(statement, APPENDED_BYTES);
            assert!(ring.append(CLOCK, &record).is_ok(), "an empty ring is full");
        }
    })
}

/// Records of a block of the usual size or a little less.
const SEALED: u64 = 150;

/// Appended, hashed into the tree, framed as a block, released.
fn seal() -> Step {
    let mut ring = records::ring(1, 1 << 20);
    let mut out = Vec::new();
    Box::new(move || {
        for statement in 0..SEALED {
            assert!(ring.append(CLOCK, black_box(&records::intent(statement))).is_ok(), "the ring is full");
        }
        out.clear();
        while let Some(block) = ring.seal(CLOCK, &mut out) {
            ring.durable(block.last_sequence);
        }
        black_box(&out);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_runs_and_names_are_unique() {
        for path in PATHS {
            let mut step = (path.make)();
            step();
            step();
            assert_eq!(path.steps % 10, 0, "{}", path.name);
            assert_eq!(PATHS.iter().filter(|other| other.name == path.name).count(), 1, "{}", path.name);
        }
    }

    #[test]
    fn a_row_is_about_three_hundred_bytes_and_is_masked_as_its_name_says() {
        let bytes = database::rows(&PEOPLE, 50);
        assert!((290..310).contains(&(bytes.len() / 50)), "{}", bytes.len() / 50);
        // What each role may see, of one row: mail addresses, names.
        for (role, mail, name) in [(TWO, false, true), (SIX, false, false)] {
            let shown = reading(role, &PEOPLE).shown(&bytes);
            let shown = String::from_utf8_lossy(&shown);
            assert_eq!(shown.contains("@example.org"), mail, "{role}");
            assert_eq!(shown.contains("Callaghan"), name, "{role}");
        }
        let beds = database::rows(&BEDS, 50);
        assert_eq!(reading(SIX, &BEDS).shown(&beds), beds);
        let notes = database::rows(&NOTES, 50);
        let identifiers = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            ["jane.doe", "123-45-6789", "00123456", "555-0132", "03/14/2021"]
                .iter()
                .filter(|id| text.contains(**id))
                .count()
        };
        assert!(identifiers(&notes) > 0);
        assert_eq!(identifiers(&reading(SIX_AND_NOTE, &NOTES).shown(&notes)), 0);
    }
}
