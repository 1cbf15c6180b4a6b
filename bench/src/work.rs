//! The kinds of work, who does each, and how one piece of each is done.
//!
//! A name says everything: `tls-canned-prepared-16` is prepared statements of 16 clients over TLS, answered from memory. Bulk
//! reads check what they read the first time: the number of rows, and that exactly the columns that should be are masked;
//! after that only the length is looked at.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::{
    canned::BLOCK_ROWS,
    failure::{Failure, Result},
    gateway::{Audit, Recording, User, Variant},
    generator::{Latency, Mode},
    target::{Backend, Way},
    wire::{Answer, Format},
};

/// What is read in bulk, with its name in reports.
pub const READS: [(&str, &str); 4] = [
    ("people", "select * from people"),
    ("people, library", "select * from people_library"),
    ("copy", "copy people to stdout"),
    ("copy, library", "copy people_library to stdout"),
];

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Small statements.
    Statements {
        /// How they are sent.
        mode: Mode,
        /// By how many clients.
        clients: usize,
    },
    /// All of `people`, by one client.
    Bulk(Bulk),
    /// 16 clients with small statements, alone and beside one that reads in bulk.
    Mixed,
    /// Sessions that come, run one statement and go.
    Churn,
    /// Sessions that do nothing.
    Idle,
}

/// How a bulk read is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bulk {
    /// SELECT, text.
    Text,
    /// SELECT, binary.
    Binary,
    /// COPY, text.
    Copy,
}

impl Bulk {
    /// Format of the request.
    #[must_use]
    pub const fn format(self) -> Format {
        match self {
            Self::Text | Self::Copy => Format::Text,
            Self::Binary => Format::Binary,
        }
    }
}

/// Work: a kind, what answers, and whether clients use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Work {
    /// What answers.
    pub backend: Backend,
    /// Clients use TLS.
    pub tls: bool,
    /// The kind.
    pub kind: Kind,
}

/// Work of a run that names none: at most twelve minutes.
pub const USUAL: &[&str] = &[
    "prepared-1",
    "prepared-16",
    "prepared-64",
    "simple-16",
    "churn",
    "mixed",
    "canned-simple",
    "canned-extended",
    "canned-prepared",
    "canned-bulk",
    "canned-bulk-binary",
    "canned-copy",
    "canned-churn",
    "tls-canned-prepared-16",
    "tls-canned-bulk",
    "tls-canned-churn",
    "idle",
];

/// Work of `--quick`: at most two minutes.
pub const QUICK: &[&str] = &["prepared-16", "mixed", "canned-prepared-1", "canned-prepared-64", "canned-bulk", "idle"];

/// Numbers of clients that a name without one stands for.
const CLIENTS: &[usize] = &[1, 16, 64, 512];
const CLIENTS_MAX: usize = 10_000;

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tls {
            f.write_str("tls-")?;
        }
        // Idle sessions are always in front of the canned server: a database has no room for so many.
        if self.backend == Backend::Canned && self.kind != Kind::Idle {
            f.write_str("canned-")?;
        }
        match self.kind {
            Kind::Statements { mode, clients } => {
                let mode = match mode {
                    Mode::Simple => "simple",
                    Mode::Extended => "extended",
                    Mode::Prepared => "prepared",
                };
                write!(f, "{mode}-{clients}")
            }
            Kind::Bulk(Bulk::Text) => f.write_str("bulk"),
            Kind::Bulk(Bulk::Binary) => f.write_str("bulk-binary"),
            Kind::Bulk(Bulk::Copy) => f.write_str("copy"),
            Kind::Mixed => f.write_str("mixed"),
            Kind::Churn => f.write_str("churn"),
            Kind::Idle => f.write_str("idle"),
        }
    }
}

impl Serialize for Work {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Work {
    type Err = Failure;

    fn from_str(name: &str) -> Result<Self> {
        let (tls, rest) = name.strip_prefix("tls-").map_or((false, name), |rest| (true, rest));
        let (canned, rest) = rest.strip_prefix("canned-").map_or((false, rest), |rest| (true, rest));
        let statements = |mode: &str, clients: &str| {
            let mode = match mode {
                "simple" => Mode::Simple,
                "extended" => Mode::Extended,
                "prepared" => Mode::Prepared,
                _ => return None,
            };
            let clients = clients.parse().ok().filter(|n| (1..=CLIENTS_MAX).contains(n))?;
            Some(Kind::Statements { mode, clients })
        };
        let kind = match rest {
            "bulk" => Some(Kind::Bulk(Bulk::Text)),
            "bulk-binary" => Some(Kind::Bulk(Bulk::Binary)),
            "copy" => Some(Kind::Bulk(Bulk::Copy)),
            "mixed" => Some(Kind::Mixed),
            "churn" => Some(Kind::Churn),
            "idle" => Some(Kind::Idle),
            _ => rest.split_once('-').and_then(|(mode, clients)| statements(mode, clients)),
        };
        let kind = kind.ok_or_else(|| {
            format!(
                "there is no work `{name}`; there are simple, extended and prepared (each with -1 -16 -64 -512 or any number \
                 of clients), bulk, bulk-binary, copy, mixed, churn, idle; canned- before it: answered from memory; \
                 tls- before that: clients use TLS"
            )
        })?;
        let backend = if canned || kind == Kind::Idle { Backend::Canned } else { Backend::Postgres };
        Ok(Self { backend, tls, kind })
    }
}

/// The work that the names mean; `prepared` means that of every number of clients.
///
/// # Errors
/// A name that means nothing.
pub fn named<S: AsRef<str>>(names: &[S]) -> Result<Vec<Work>> {
    let mut chosen: Vec<Work> = Vec::new();
    for name in names {
        let name = name.as_ref();
        let family: Vec<Work> = if ["simple", "extended", "prepared"].iter().any(|mode| name.ends_with(mode)) {
            CLIENTS.iter().map(|clients| format!("{name}-{clients}").parse()).collect::<Result<_>>()?
        } else {
            vec![name.parse()?]
        };
        for work in family {
            if !chosen.contains(&work) {
                chosen.push(work);
            }
        }
    }
    Ok(chosen)
}

/// What the gateway does to a bulk read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mask {
    /// Nothing.
    None,
    /// Two columns of eight are masked.
    Two,
    /// Six are.
    Six,
    /// Six are, and the note is scanned for eight classes.
    Note,
    /// Six are, and the note is scanned for all classes there are.
    Library,
}

/// All of them.
pub const MASKS: &[Mask] = &[Mask::None, Mask::Two, Mask::Six, Mask::Note, Mask::Library];

impl Mask {
    /// Who reads so.
    #[must_use]
    pub const fn user(self) -> User {
        match self {
            Self::None => User::Clear,
            Self::Two => User::Two,
            Self::Six => User::Six,
            Self::Note | Self::Library => User::Note,
        }
    }

    /// What is read so.
    #[must_use]
    pub const fn text(self, bulk: Bulk) -> &'static str {
        match (bulk, self) {
            (Bulk::Copy, Self::Library) => READS[3].1,
            (Bulk::Copy, _) => READS[2].1,
            (_, Self::Library) => READS[1].1,
            (..) => READS[0].1,
        }
    }

    /// In words, after the name of the way.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Two => ", 2 masked",
            Self::Six => ", 6 masked",
            Self::Note => ", 6 masked, note scanned",
            Self::Library => ", 6 masked, note scanned for all",
        }
    }
}

/// A way, and what it does to what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Case {
    /// The way.
    pub way: Way,
    /// What is masked.
    pub mask: Mask,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.way, self.mask.words())
    }
}

impl Serialize for Case {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Work {
    /// Who does it, of these ways. A variant of the gateway takes part where it differs.
    #[must_use]
    pub fn cases(self, ways: &[Way], all: bool) -> Vec<Case> {
        let fits = |way: Way| {
            if self.tls && !way.secures() || self.kind == Kind::Idle && way == Way::Direct {
                return false;
            }
            let Way::Gateway(variant) = way else { return true };
            let Variant { audit, recording, driver, reuse, cores } = variant;
            if all || variant == Variant::USUAL {
                return true;
            }
            match self.kind {
                // One of the drivers is the default and takes part in everything.
                Kind::Statements { mode, .. } if driver.is_some() => mode == Mode::Prepared,
                Kind::Bulk(bulk) if driver.is_some() => bulk == Bulk::Text && !self.tls,
                _ if driver.is_some() => matches!(self.kind, Kind::Mixed | Kind::Idle),
                Kind::Churn => reuse,
                _ if reuse => false,
                Kind::Statements { mode, clients } if cores > 1 => {
                    self.backend == Backend::Canned && mode == Mode::Prepared && clients >= 64 && !self.tls
                }
                Kind::Statements { .. } if audit == Audit::Strict => !self.tls,
                Kind::Statements { mode, clients } if recording == Recording::None => {
                    mode == Mode::Prepared && clients == 64 && !self.tls
                }
                Kind::Bulk(Bulk::Text) => !self.tls && recording != Recording::None,
                _ => false,
            }
        };
        let masks = |way: Way| -> &[Mask] {
            let Way::Gateway(variant) = way else { return &[Mask::None] };
            match self.kind {
                Kind::Bulk(_) if variant.recording != Recording::None => &MASKS[1..2],
                Kind::Bulk(_) if self.tls || variant.driver.is_some() => &MASKS[..2],
                Kind::Bulk(_) => MASKS,
                // Small statements run with masking rules loaded, as a user to whom they matter.
                _ => &MASKS[1..2],
            }
        };
        let fitting = ways.iter().copied().filter(|way| fits(*way));
        fitting.flat_map(|way| masks(way).iter().map(move |mask| Case { way, mask: *mask })).collect()
    }

    /// The name of a case in this work: only bulk reads differ in what is masked.
    #[must_use]
    pub fn case_name(self, case: Case) -> String {
        if matches!(self.kind, Kind::Bulk(_)) { case.to_string() } else { case.way.to_string() }
    }

    /// System calls are counted where answers come from memory, and most ways take part.
    #[must_use]
    pub fn counts_syscalls(self) -> bool {
        let kind = match self.kind {
            Kind::Statements { mode, clients } => mode == Mode::Prepared && clients <= 64,
            Kind::Bulk(bulk) => bulk == Bulk::Text,
            Kind::Mixed | Kind::Churn | Kind::Idle => false,
        };
        kind && self.backend == Backend::Canned && !self.tls
    }

    /// So many sessions at once, and a few.
    #[must_use]
    pub const fn sessions(self, idle: usize) -> usize {
        match self.kind {
            Kind::Statements { clients, .. } => clients,
            Kind::Idle => idle,
            Kind::Bulk(_) | Kind::Mixed | Kind::Churn => 64,
        }
    }
}

/// Figures of one piece of work. What a kind of work does not have is absent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Figures {
    /// Statements, sessions, or rows of a bulk read.
    pub count: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Statements, sessions or bulk megabytes in a second.
    pub rate: f64,
    /// Latency as the client sees it.
    pub latency: Option<Latency>,
    /// The same beside a bulk reader.
    pub beside: Option<Latency>,
    /// Bytes the client received.
    pub bytes: Option<u64>,
    /// Processor seconds of the proxy.
    pub cpu_s: Option<f64>,
    /// The same, µs for each statement or session.
    pub cpu_us_per_statement: Option<f64>,
    /// The same, seconds for each GB (10⁹ bytes) the client received.
    pub cpu_s_per_gb: Option<f64>,
    /// Part of the time that the proxy was on a processor, 1 for each whole one.
    pub proxy_busy: Option<f64>,
    /// The same of the load generator.
    pub generator_busy: Option<f64>,
    /// The same of what answered from memory.
    pub server_busy: Option<f64>,
    /// Memory of each idle session in the proxy, KiB resident.
    pub resident_kib: Option<f64>,
    /// The same, KiB proportional.
    pub proportional_kib: Option<f64>,
}

/// How long and how much.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Extent {
    /// Seconds of one piece of work.
    pub seconds: f64,
    /// Rows of a bulk read.
    pub rows: u64,
    /// pgbench's scale factor.
    pub scale: u32,
    /// Idle sessions.
    pub sessions: usize,
}

impl Extent {
    /// Rows that a bulk read has: the canned server sends whole blocks.
    #[must_use]
    pub const fn rows_of(&self, backend: Backend) -> u64 {
        match backend {
            Backend::Canned if self.rows > BLOCK_ROWS => self.rows / BLOCK_ROWS * BLOCK_ROWS,
            _ => self.rows,
        }
    }
}

/// A bulk read must be complete, and masked where it should be and nowhere else.
///
/// # Errors
/// What is wrong, in words.
pub fn check(answer: &Answer, rows: u64, mask: Mask) -> Result<()> {
    if answer.rows != rows {
        return Err(format!("{} rows came of {rows}", answer.rows).into());
    }
    let starts: [(usize, &[u8]); 4] = [(1, b"Person Number "), (4, b"555-"), (5, b"19"), (6, b"City of ")];
    for row in &answer.early {
        let value = |i: usize| row.get(i).and_then(Option::as_deref).unwrap_or_default();
        let ssn_clear = value(2).len() == 11 && value(2).iter().all(|b| b.is_ascii_digit() || *b == b'-');
        let clear = |i: usize| match i {
            2 => ssn_clear,
            3 => value(3).ends_with(b"@mail.example.org"),
            _ => starts.iter().any(|(column, start)| *column == i && value(i).starts_with(start)),
        };
        for column in 1..=6 {
            match (mask.user().masked().contains(&column), clear(column)) {
                (true, true) => return Err(format!("column {column} came through unmasked").into()),
                (false, false) => return Err(format!("column {column} is masked and should be clear").into()),
                _ => {}
            }
        }
    }
    let found = |row: &Vec<Option<Vec<u8>>>| {
        let note = row.get(7).and_then(Option::as_deref).unwrap_or_default();
        note.windows(12).any(|part| part == b"@example.com")
    };
    let (scanned, found) = (matches!(mask, Mask::Note | Mask::Library), answer.early.iter().any(found));
    match (scanned, found) {
        (true, true) => Err("an address in a note came through".into()),
        (false, false) if answer.early.len() >= 20 => Err("no note is clear, and none should be scanned".into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_families_choose_work() {
        let names = |list: &[&str]| named(list).map(|works| works.iter().map(Work::to_string).collect::<Vec<_>>());
        assert_eq!(
            names(&["canned-prepared", "canned-prepared-16"]).unwrap(),
            ["canned-prepared-1", "canned-prepared-16", "canned-prepared-64", "canned-prepared-512"]
        );
        for name in ["tls-canned-bulk", "bulk-binary", "copy", "idle", "tls-churn", "simple-3", "mixed"] {
            assert_eq!(names(&[name]).unwrap(), [name]);
        }
        for wrong in ["prep", "prepared-0", "prepared-x", "canned-tls-bulk", "bulk-2"] {
            assert!(names(&[wrong]).unwrap_err().to_string().contains("no work"), "{wrong}");
        }
        assert!(named(USUAL).unwrap().len() > named(QUICK).unwrap().len());
    }

    #[test]
    fn each_way_does_the_work_that_it_differs_in() {
        let ways: Vec<Way> = [
            "direct",
            "copy-proxy",
            "pgbouncer",
            "gateway",
            "gateway-strict",
            "gateway-recorded",
            "gateway-2cores",
            "gateway-reuse",
            "gateway-uring",
        ]
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
        let cases = |name: &str, all| -> Vec<String> {
            let work: Work = name.parse().unwrap();
            work.cases(&ways, all).into_iter().map(|case| work.case_name(case)).collect()
        };
        assert_eq!(
            cases("prepared-16", false),
            ["direct", "copy-proxy", "pgbouncer", "gateway", "gateway-strict", "gateway-uring"]
        );
        assert_eq!(cases("simple-16", false).last().unwrap(), "gateway-strict");
        for many in ["canned-prepared-64", "canned-prepared-512"] {
            assert!(cases(many, false).contains(&"gateway-2cores".to_owned()));
        }
        assert_eq!(cases("tls-canned-prepared-16", false), ["pgbouncer", "gateway", "gateway-uring"]);
        assert_eq!(cases("tls-canned-bulk", false).len(), 3);
        assert_eq!(cases("idle", false), ["copy-proxy", "pgbouncer", "gateway", "gateway-uring"]);
        assert_eq!(cases("tls-canned-churn", false), ["pgbouncer", "gateway", "gateway-reuse"]);
        let bulk = cases("canned-bulk", false);
        assert_eq!(bulk[2..6], ["pgbouncer", "gateway", "gateway, 2 masked", "gateway, 6 masked"]);
        assert!(bulk.contains(&"gateway-recorded, 2 masked".to_owned()));
        assert_eq!(bulk.iter().filter(|name| name.starts_with("gateway-uring")).count(), 2);
        assert_eq!(cases("mixed", true).len(), ways.len());
    }

    fn answer(name: &str, ssn: &str, email: &str, note: &str) -> Answer {
        let values = ["1", name, ssn, email, "555-123", "1950-01-01", "City of x", note];
        let row: Vec<Option<Vec<u8>>> = values.iter().map(|v| Some(v.as_bytes().to_vec())).collect();
        Answer { bytes: 100, rows: 1, first: row.clone(), early: vec![row] }
    }

    #[test]
    fn a_read_that_is_not_masked_as_it_should_be_is_an_error() {
        let clear = answer("Person Number 1", "123-45-6789", "a@mail.example.org", "write to a@example.com");
        assert!(check(&clear, 1, Mask::None).is_ok());
        assert!(check(&clear, 1, Mask::Two).is_err());
        assert!(check(&clear, 2, Mask::None).is_err());
        let two = answer("Person Number 1", "*******6789", "******************", "write to a@example.com");
        assert!(check(&two, 1, Mask::Two).is_ok());
        assert!(check(&two, 1, Mask::None).is_err());
        assert!(check(&two, 1, Mask::Six).is_err());
        let half = answer("Person Number 1", "*******6789", "a@mail.example.org", "");
        assert!(check(&half, 1, Mask::Two).is_err());
    }

    #[test]
    fn a_note_that_should_be_scanned_and_is_not_is_an_error() {
        let mut masked = answer("*", "*", "*", "write to a@example.com");
        for column in 4..=6 {
            masked.early[0][column] = Some(b"***".to_vec());
        }
        assert!(check(&masked, 1, Mask::Six).is_ok());
        assert!(check(&masked, 1, Mask::Note).is_err());
        masked.early[0][7] = Some(b"write to *************".to_vec());
        assert!(check(&masked, 1, Mask::Library).is_ok());
    }

    #[test]
    fn system_calls_are_counted_where_a_proxy_is_all_there_is() {
        let counted = |name: &str| name.parse::<Work>().unwrap().counts_syscalls();
        assert!(counted("canned-prepared-16") && counted("canned-bulk"));
        for name in ["prepared-16", "canned-simple-16", "canned-prepared-512", "canned-copy", "tls-canned-bulk", "idle"]
        {
            assert!(!counted(name), "{name}");
        }
    }

    #[test]
    fn the_canned_server_sends_whole_blocks() {
        let extent = Extent { seconds: 1.0, rows: 50_000, scale: 1, sessions: 1 };
        assert_eq!(extent.rows_of(Backend::Canned), 40_000);
        assert_eq!(extent.rows_of(Backend::Postgres), 50_000);
        assert_eq!(Extent { rows: 5_000, ..extent }.rows_of(Backend::Canned), 5_000);
        let usual = Way::Gateway(Variant::USUAL);
        assert_eq!(Work::from_str("idle").unwrap().cases(&[usual], false).len(), 1);
    }
}
