//! The kinds of work, and one round of each.
//!
//! A round is short and complete: it opens its own sessions and returns figures of its own. Bulk reads check what they
//! read: the number of rows, and that the masked columns of the first row are masked exactly where they should be.

use std::{path::Path, time::Instant};

use serde::{Serialize, Serializer};

use crate::{
    failure::{Result, Stop},
    idle, machine,
    pgbench::{self, Mode},
    postgres::Postgres,
    syscalls::Count,
    target::{Ground, Target},
    wire::{Answer, Client, Format},
};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Small statements.
    Statements {
        /// How they are sent.
        mode: Mode,
        /// By how many clients.
        clients: usize,
    },
    /// All of `people`, by one client.
    Bulk {
        /// Text or binary.
        format: Format,
        /// The gateway masks two columns.
        masked: bool,
    },
    /// Sessions that do nothing.
    Idle,
}

const fn statements(mode: Mode, clients: usize) -> Work {
    Work::Statements { mode, clients }
}

/// Every kind, by name, and whether it runs when none is named.
pub const ALL: &[(&str, Work, bool)] = &[
    ("simple-1", statements(Mode::Simple, 1), true),
    ("simple-16", statements(Mode::Simple, 16), true),
    ("simple-64", statements(Mode::Simple, 64), false),
    ("extended-1", statements(Mode::Extended, 1), true),
    ("extended-16", statements(Mode::Extended, 16), true),
    ("extended-64", statements(Mode::Extended, 64), false),
    ("prepared-1", statements(Mode::Prepared, 1), true),
    ("prepared-16", statements(Mode::Prepared, 16), true),
    ("prepared-64", statements(Mode::Prepared, 64), true),
    ("churn", statements(Mode::Churn, 4), true),
    ("bulk", Work::Bulk { format: Format::Text, masked: false }, true),
    ("bulk-masked", Work::Bulk { format: Format::Text, masked: true }, true),
    ("bulk-binary", Work::Bulk { format: Format::Binary, masked: false }, false),
    ("bulk-binary-masked", Work::Bulk { format: Format::Binary, masked: true }, false),
    ("idle", Work::Idle, true),
];

/// Work of `--quick`.
pub const QUICK: &[&str] = &["prepared-1", "prepared-16", "bulk", "bulk-masked", "idle"];

impl Work {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(_, work, _)| *work == self).map_or("?", |(name, ..)| name)
    }
}

impl Serialize for Work {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The work that the names mean; `prepared` means all whose names begin with `prepared-`.
///
/// # Errors
/// A name that means nothing.
pub fn named(names: &[String]) -> Result<Vec<Work>> {
    let mut chosen = Vec::new();
    for name in names {
        let before = chosen.len();
        for (full, work, _) in ALL {
            let family = full.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-'));
            let exact = full == name;
            // `bulk` is itself a kind of work: an exact name is not a family.
            let is_family = family && !ALL.iter().any(|(other, ..)| other == name);
            if exact || is_family {
                chosen.push(*work);
            }
        }
        if chosen.len() == before {
            let known: Vec<&str> = ALL.iter().map(|(known, ..)| *known).collect();
            return Err(format!("there is no work `{name}`; there are {}", known.join(", ")).into());
        }
    }
    chosen.dedup();
    Ok(chosen)
}

/// Figures of one round. What a kind of work does not have is absent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Figures {
    /// Statements, or rows of a bulk read.
    pub count: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Statements, connections or bulk megabytes in a second.
    pub rate: f64,
    /// Median latency, µs.
    pub p50_us: Option<f64>,
    /// 99th percentile of the latency, µs.
    pub p99_us: Option<f64>,
    /// Bytes the client received.
    pub bytes: Option<u64>,
    /// Processor seconds of the proxy.
    pub cpu_s: Option<f64>,
    /// The same, µs for each statement.
    pub cpu_us_per_statement: Option<f64>,
    /// The same, seconds for each GB (10⁹ bytes) the client received.
    pub cpu_s_per_gb: Option<f64>,
    /// Memory of each idle session in the proxy, KiB resident.
    pub resident_kib: Option<f64>,
    /// The same, KiB proportional.
    pub proportional_kib: Option<f64>,
}

/// How long and how much.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Extent {
    /// Seconds of a round of small statements.
    pub seconds: u64,
    /// Rows of `people`.
    pub rows: u64,
    /// pgbench's scale factor.
    pub scale: u32,
    /// Idle sessions.
    pub sessions: usize,
}

/// Runs one round.
///
/// # Errors
/// The work failed or did not return what it should.
pub fn round(work: Work, target: &Target, ground: &Ground, extent: Extent, stop: &Stop) -> Result<Figures> {
    stop.check()?;
    match work {
        Work::Statements { mode, clients } => {
            small(target, mode, clients, extent.seconds, extent.scale, ground.folder.path(), stop)
        }
        Work::Bulk { format, masked } => bulk(target, format, masked, extent.rows),
        Work::Idle => idle::round(target.way, ground, extent.sessions, stop),
    }
}

fn small(
    target: &Target,
    mode: Mode,
    clients: usize,
    seconds: u64,
    scale: u32,
    scratch: &Path,
    stop: &Stop,
) -> Result<Figures> {
    let before = cpu(target)?;
    let done = pgbench::run(target.login(true), mode, clients, seconds, scale, scratch, stop)?;
    let used = cpu(target)?.zip(before).map(|(after, before)| after - before);
    Ok(Figures {
        count: done.count,
        seconds: done.seconds,
        rate: done.count as f64 / done.seconds,
        p50_us: Some(done.p50_us),
        p99_us: Some(done.p99_us),
        cpu_s: used,
        cpu_us_per_statement: used.map(|s| s * 1e6 / done.count as f64),
        ..Figures::default()
    })
}

fn bulk(target: &Target, format: Format, masked: bool, rows: u64) -> Result<Figures> {
    let mut client = Client::login(target.login(masked))?;
    let before = cpu(target)?;
    let start = Instant::now();
    let answer = client.run("select * from people", format)?;
    let seconds = start.elapsed().as_secs_f64();
    let used = cpu(target)?.zip(before).map(|(after, before)| after - before);
    check(&answer, rows, masked && target.way.is_gateway())?;
    Ok(Figures {
        count: answer.rows,
        seconds,
        rate: answer.bytes as f64 / 1e6 / seconds,
        bytes: Some(answer.bytes),
        cpu_s: used,
        cpu_s_per_gb: used.map(|s| s / (answer.bytes as f64 / 1e9)),
        ..Figures::default()
    })
}

/// A bulk read must be complete, and masked where it should be and nowhere else.
fn check(answer: &Answer, rows: u64, masked: bool) -> Result<()> {
    if answer.rows != rows {
        return Err(format!("{} rows came of {rows}", answer.rows).into());
    }
    let value = |i: usize| answer.first.get(i).and_then(Option::as_deref).unwrap_or_default();
    let (ssn, email) = (value(2), value(3));
    let ssn_clear = ssn.len() == 11 && ssn[..3].iter().all(u8::is_ascii_digit);
    let email_clear = email.ends_with(b"@mail.example.org");
    match (masked, ssn_clear, email_clear) {
        (true, false, false) | (false, true, true) => Ok(()),
        (true, ..) => Err("a protected value came through unmasked".into()),
        (false, ..) => Err("a value that should be clear is not".into()),
    }
}

fn cpu(target: &Target) -> Result<Option<f64>> {
    target.proxy().map(machine::cpu_seconds).transpose()
}

/// System calls of the proxy for each statement, in a short round of their own; `None` if they cannot be counted.
///
/// # Errors
/// The work failed.
pub fn syscalls(work: Work, target: &Target, ground: &Ground, extent: Extent, stop: &Stop) -> Result<Option<f64>> {
    let (Work::Statements { .. } | Work::Bulk { .. }, Some(pid)) = (work, target.proxy()) else { return Ok(None) };
    let Some(count) = Count::begin(pid, ground.folder.path())? else { return Ok(None) };
    let figures = round(work, target, ground, Extent { seconds: 1, ..extent }, stop)?;
    let Some(calls) = count.end(stop)? else { return Ok(None) };
    // A bulk read is one statement; what matters there is the calls for each megabyte.
    let per = figures.bytes.map_or(figures.count as f64, |bytes| bytes as f64 / 1e6);
    Ok(Some(calls as f64 / per))
}

/// Reads everything once, so that the first round is no different.
///
/// # Errors
/// The database.
pub fn warm(database: &Postgres) -> Result<()> {
    let mut client = Client::login(&database.login)?;
    client.run("select count(*), sum(length(note)) from people", Format::Text)?;
    client.run("select count(*), sum(abalance) from pgbench_accounts", Format::Text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_families_choose_work() {
        let names = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(|s| (*s).to_owned()).collect();
            named(&list).map(|chosen| chosen.into_iter().map(Work::name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["prepared"]).unwrap(), ["prepared-1", "prepared-16", "prepared-64"]);
        assert_eq!(names(&["bulk", "idle"]).unwrap(), ["bulk", "idle"]);
        assert!(names(&["prep"]).unwrap_err().to_string().contains("no work `prep`"));
    }

    #[test]
    fn a_masked_read_that_is_not_masked_is_an_error() {
        let row = |ssn: &str, email: &str| Answer {
            bytes: 100,
            rows: 1,
            first: [b"1".as_slice(), b"n", ssn.as_bytes(), email.as_bytes()].map(|v| Some(v.to_vec())).to_vec(),
        };
        let clear = row("123-45-6789", "a@mail.example.org");
        assert!(check(&clear, 1, false).is_ok());
        assert!(check(&clear, 1, true).is_err());
        assert!(check(&clear, 2, false).is_err());
        let masked = row("*******6789", "******************");
        assert!(check(&masked, 1, true).is_ok());
        assert!(check(&masked, 1, false).is_err());
        assert!(check(&row("*******6789", "a@mail.example.org"), 1, true).is_err());
    }
}
