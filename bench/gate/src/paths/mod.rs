//! What is counted: the pure paths, each as something that can be repeated, with fixed seeds.
//!
//! A path is made once, warmed, and then run for its units. Deliberately absent: sockets, files, threads and clocks;
//! `bench load` measures those.

mod clinic;
mod database;
mod host;
mod talk;

use std::hint::black_box;

use audit::record::{Record, SessionId};
use contract::{Buffers, Chunk, Lane, Limits};
use postgres::frame;
use session::Durability;

use clinic::{SIX, SIX_AND_NOTE, TWO};
use database::{BEDS, Database, NOTES, PEOPLE, Table};
use talk::Talk;

/// Does one step of a path.
pub(crate) type Step = Box<dyn FnMut()>;

/// A path.
pub(crate) struct Path {
    /// Name, for the command line and the file of limits.
    pub(crate) name: &'static str,
    /// What one unit is.
    pub(crate) unit: &'static str,
    /// Units of one step.
    pub(crate) units: u64,
    /// Steps that are counted; a multiple of ten.
    pub(crate) steps: u64,
    /// Makes it.
    pub(crate) make: fn() -> Step,
}

const ROWS: usize = 200;
const READ_BYTES: usize = 64 << 10;

/// All of them.
pub(crate) const PATHS: &[Path] = &[
    Path { name: "lane", unit: "64 KiB", units: 1, steps: 200, make: lane },
    Path { name: "rows-clear", unit: "row", units: ROWS as u64, steps: 100, make: || rows(SIX, &BEDS) },
    Path { name: "rows-2-of-8", unit: "row", units: ROWS as u64, steps: 50, make: || rows(TWO, &PEOPLE) },
    Path { name: "rows-6-of-8", unit: "row", units: ROWS as u64, steps: 30, make: || rows(SIX, &PEOPLE) },
    Path { name: "rows-6-and-note", unit: "row", units: ROWS as u64, steps: 20, make: || rows(SIX_AND_NOTE, &NOTES) },
    Path { name: "scan-note", unit: "note", units: ROWS as u64, steps: 20, make: scan_notes },
    Path { name: "statement-simple", unit: "statement", units: 16, steps: 40, make: || simple(Durability::Async) },
    Path { name: "statement-extended", unit: "statement", units: 1, steps: 600, make: extended },
    Path { name: "statement-prepared", unit: "statement", units: 1, steps: 1000, make: || prepared(Durability::Async) },
    Path { name: "statement-strict", unit: "statement", units: 1, steps: 300, make: || prepared(Durability::Strict) },
    Path { name: "decide-cold", unit: "statement", units: 1, steps: 20, make: cold },
    Path { name: "audit-append", unit: "record", units: 1, steps: 5000, make: append },
    Path { name: "audit-seal", unit: "record", units: SEALED, steps: 10, make: seal },
];

/// A table, by one row of the database's key.
const POINT: &str = "SELECT id, email, ssn, full_name, phone, born, city, remark FROM clinic.people WHERE id = ";

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

fn query(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, b'Q', |b| frame::text(b, text.as_bytes()));
    out
}

/// A session that is reading this table.
fn reading(role: &str, table: &Table) -> Talk {
    let mut talk = Talk::new(role, Durability::Async);
    let text = format!("SELECT * FROM clinic.{}", table.name);
    talk.learn(&query(&text), &Database::new(*table, 1, true));
    talk
}

fn rows(role: &str, table: &Table) -> Step {
    let mut talk = reading(role, table);
    let rows = database::rows(table, ROWS);
    Box::new(move || talk.rows(black_box(&rows)))
}

fn scan_notes() -> Step {
    let notes = database::notes(ROWS);
    let shapes = scan::Shapes::of(clinic::EIGHT);
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

/// Statements that differ in a literal, as clients without parameters send them.
fn simple(mode: Durability) -> Step {
    let mut talk = Talk::new(TWO, mode);
    let database = Database::new(PEOPLE, 1, false);
    let texts: Vec<_> = (0..16).map(|i| query(&format!("{POINT}{}", 73_423 + 7_919 * i))).collect();
    let cycles: Vec<_> = texts.iter().map(|text| talk.learn(text, &database)).collect();
    Box::new(move || cycles.iter().for_each(|cycle| talk.replay(cycle)))
}

fn parse(out: &mut Vec<u8>, name: &[u8]) {
    frame::write(out, b'P', |b| {
        frame::text(b, name);
        frame::text(b, format!("{POINT}$1").as_bytes());
        b.extend([0, 0]);
    });
}

fn bind_and_execute(out: &mut Vec<u8>, name: &[u8]) {
    frame::write(out, b'B', |b| {
        frame::text(b, b"");
        frame::text(b, name);
        b.extend([0, 0, 0, 1]);
        b.extend(5_u32.to_be_bytes());
        b.extend(b"73423");
        b.extend([0, 0]);
    });
    frame::write(out, b'D', |b| b.extend(b"P\0"));
    frame::write(out, b'E', |b| {
        frame::text(b, b"");
        b.extend(0_u32.to_be_bytes());
    });
    frame::write(out, b'S', |_| ());
}

/// Parse, Bind, Describe, Execute, Sync, every time.
fn extended() -> Step {
    let mut talk = Talk::new(TWO, Durability::Async);
    let database = Database::new(PEOPLE, 1, false);
    let mut request = Vec::new();
    parse(&mut request, b"");
    bind_and_execute(&mut request, b"");
    talk.learn(&request, &database);
    let cycle = talk.learn(&request, &database);
    Box::new(move || talk.replay(&cycle))
}

/// Bind, Describe, Execute, Sync of a statement that was prepared.
fn prepared(mode: Durability) -> Step {
    let mut talk = Talk::new(TWO, mode);
    let database = Database::new(PEOPLE, 1, false);
    let mut request = Vec::new();
    parse(&mut request, b"s");
    frame::write(&mut request, b'S', |_| ());
    talk.learn(&request, &database);
    request.clear();
    bind_and_execute(&mut request, b"s");
    talk.learn(&request, &database);
    let cycle = talk.learn(&request, &database);
    Box::new(move || talk.replay(&cycle))
}

/// About half a kilobyte that nobody has sent before.
const REPORT: &str = "WITH recent AS (SELECT n.id, n.ssn, n.city, row_number() OVER (PARTITION BY n.city ORDER BY n.born \
    DESC) AS place FROM clinic.notes n WHERE n.born > '1950-01-01' AND n.city IN ('a', 'b', 'c')), stays AS (SELECT r.city, \
    count(*) AS stays FROM recent r WHERE r.place <= 5 GROUP BY r.city HAVING count(*) > 1) SELECT p.id, p.ssn, \
    upper(p.full_name) AS name, p.phone, s.stays, CASE WHEN s.stays > 100 THEN 'high' ELSE 'low' END AS band, \
    coalesce(p.city, 'unknown') AS city FROM clinic.people p JOIN stays s ON s.city = p.city JOIN recent l ON l.id = p.id \
    AND l.place = 1 LEFT JOIN clinic.beds b ON b.id = p.id WHERE b.ward IS NOT NULL ORDER BY s.stays DESC, p.id LIMIT 100";

/// Grammar, lineage and rules of a statement that is in no cache.
fn cold() -> Step {
    let epoch = clinic::epoch();
    let grant = clinic::grant(&epoch, TWO);
    Box::new(move || {
        let facts = lineage::analyse(black_box(REPORT)).unwrap_or_else(|error| panic!("not understood: {error:?}"));
        let decision = grant.decide(REPORT, &facts, &());
        assert!(matches!(decision, policy::Decision::Allow(_)), "the gate's report is refused: {decision:?}");
    })
}

fn intent(statement: u64) -> Record<'static> {
    Record::Intent {
        session: SessionId([7; 16]),
        statement,
        text: b"SELECT id, name, ssn, birth_date, note FROM clinic.patients WHERE mrn = $1 ORDER BY id LIMIT 100",
        via: "execute",
        fingerprint: 0x1234_5678_9abc_def0,
        effects: 5,
        bundle: [3; 32],
        catalog_epoch: 4,
        parameters: Some([9; 32]),
        row_limit: 0,
        sealed_text: &[],
        tables: &[],
        sealed_parameters: &[],
    }
}

/// Intents into a ring that has room for all of them.
fn append() -> Step {
    let mut ring = host::ring(8 << 20);
    let mut statement = 0;
    Box::new(move || {
        statement += 1;
        assert!(ring.append(host::CLOCK, black_box(&intent(statement))).is_ok(), "the ring is full");
    })
}

/// Records of a block of the usual size or a little less.
const SEALED: u64 = 150;

/// Appended, hashed into the tree, framed as a block, released.
fn seal() -> Step {
    let mut ring = host::ring(1 << 20);
    let mut out = Vec::new();
    Box::new(move || {
        for statement in 0..SEALED {
            assert!(ring.append(host::CLOCK, black_box(&intent(statement))).is_ok(), "the ring is full");
        }
        out.clear();
        while let Some(block) = ring.seal(host::CLOCK, &mut out) {
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
