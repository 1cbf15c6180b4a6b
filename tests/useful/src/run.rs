//! Runs cases against both sides and says what does not work.
//!
//! One pair of sessions per way of asking is kept for cases that leave nothing behind; any other case gets its own pair, and
//! so does the case after a failure. Nothing that the gateway sends may hold a protected value: every byte is searched.

use crate::{
    case::{ANALYST, Case, Work, reads},
    compare::{Comparison, Fault},
    mask::Seen,
    place::Place,
};
use aho_corasick::AhoCorasick;
use std::{
    cell::Cell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};
use tests::{
    canary, clients,
    wire::{self, Frame, Wire, bind, close, describe, execute, parse, query, sync},
};

/// How a statement is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Simple query.
    Simple,
    /// All statements of the case in one simple query.
    Script,
    /// Extended query, results in text.
    Text,
    /// Extended query, results in binary.
    Binary,
    /// A named statement, described once; rows in two portions, without describing the portal.
    Prepared,
    /// Typed into psql.
    Psql,
    /// By a program of a tool's users.
    Tool,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simple => "simple query",
            Self::Script => "one simple query",
            Self::Text => "extended query, text",
            Self::Binary => "extended query, binary",
            Self::Prepared => "prepared, in portions",
            Self::Psql => "psql",
            Self::Tool => "a tool",
        })
    }
}

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its id.
    pub id: String,
    /// Ways that do not work: the way, the statement, and why.
    pub faults: Vec<(Way, String, Fault)>,
}

/// Runs cases one after the other.
pub struct Runner<'a> {
    place: &'a Place,
    seen: Seen,
    canaries: AhoCorasick,
    kept: Vec<((Way, &'static str), Pair)>,
}

struct Pair {
    direct: Wire,
    through: Wire,
}

impl<'a> Runner<'a> {
    /// A runner.
    pub fn new(place: &'a Place) -> Self {
        let values = canary::all().iter().map(|canary| canary.value.clone()).chain(place.protected_values());
        let canaries = AhoCorasick::builder().ascii_case_insensitive(true).build(values).unwrap();
        Self { place, seen: Seen::default(), canaries, kept: Vec::new() }
    }

    /// Runs one case in every way that fits it.
    pub fn run(&mut self, case: &Case) -> Outcome {
        let mut faults = Vec::new();
        match &case.work {
            Work::Psql(typed) => {
                if let Err(fault) = self.psql(typed) {
                    faults.push((Way::Psql, typed.clone(), fault));
                }
            }
            Work::Sql { statements, parameters, .. } => {
                for way in [Way::Simple, Way::Script, Way::Text, Way::Binary, Way::Prepared] {
                    let fits = match way {
                        Way::Simple => parameters.is_empty(),
                        Way::Script => parameters.is_empty() && statements.len() > 1 && case.error.is_none(),
                        _ => true,
                    };
                    if !fits {
                        continue;
                    }
                    // A side that stops answering ends this case, not the run.
                    let done = catch_unwind(AssertUnwindSafe(|| self.sql(case, way)));
                    let silent = || Fault::Different("no answer, or the connection was closed".into());
                    if let Err((statement, fault)) = done.unwrap_or_else(|_| Err((case.text(), silent()))) {
                        faults.push((way, statement, fault));
                    }
                }
            }
        }
        Outcome { id: case.id.clone(), faults }
    }

    fn sql(&mut self, case: &Case, way: Way) -> Result<(), (String, Fault)> {
        let Work::Sql { statements, parameters, .. } = &case.work else { unreachable!("checked by the caller") };
        let whole = [case.text()];
        let statements = if way == Way::Script { &whole[..] } else { statements };
        let mut pair = self.pair(way, case.user);
        let comparison = Comparison { case, last_oid: self.place.last_oid, seen: &self.seen, judged: Cell::new(0) };
        // One side after the other: both work on the same rows, and locks last until the case is over.
        let direct: Vec<Vec<Frame>> =
            statements.iter().map(|statement| answer(&mut pair.direct, way, statement, parameters)).collect();
        if !case.leaves_nothing() {
            pair.direct = Wire::open(self.place.direct().port);
        }
        let mut errors = Vec::new();
        for (statement, direct) in statements.iter().zip(&direct) {
            let through = answer(&mut pair.through, way, statement, parameters);
            let clean = if case.user == ANALYST { self.no_canary(&wire::bytes(&through)) } else { Ok(()) };
            let done = clean.and_then(|()| comparison.frames(direct, &through));
            if let Err(fault) = done {
                return Err((statement.clone(), fault));
            }
            errors.extend(wire::error(direct).and_then(|frame: &Frame| frame.field(b'C')));
        }
        let expected: Vec<String> = case.error.iter().cloned().collect();
        // Some catalog types (aclitem) have no binary format; then that the answers agree is all there is to see.
        let no_binary_format = way == Way::Binary && errors == ["42883"];
        // Several statements in one text are one transaction, in which some must not stand.
        let no_block = way == Way::Script && errors == ["25001"];
        let rows = direct.iter().flatten().any(|frame| matches!(frame.tag, b'D' | b'd'));
        if !case.masked.is_empty() && rows && comparison.judged.get() == 0 {
            let fault = Fault::Different("the case is wrong: no protected value is in its rows".into());
            return Err((case.text(), fault));
        }
        if errors != expected && !no_binary_format && !no_block {
            let fault = Fault::Different(format!("the case is wrong: the server itself says {errors:?}"));
            return Err((case.text(), fault));
        }
        if case.leaves_nothing() {
            self.kept.push(((way, case.user), pair));
        }
        Ok(())
    }

    fn pair(&mut self, way: Way, user: &'static str) -> Pair {
        if let Some(at) = self.kept.iter().position(|(kept, _)| *kept == (way, user)) {
            return self.kept.swap_remove(at).1;
        }
        Pair { direct: Wire::login(&self.place.direct()), through: Wire::login(&self.place.through(user)) }
    }

    fn psql(&self, typed: &str) -> Result<(), Fault> {
        let run = |endpoint| clients::psql(&endpoint, &["-v", "VERBOSITY=sqlstate"], typed);
        let (direct, through) = (run(self.place.direct()), run(self.place.through(ANALYST)));
        self.no_canary(through.both().as_bytes())?;
        if direct == through {
            return Ok(());
        }
        if !through.stderr.is_empty() && through.stderr != direct.stderr {
            let text = through.errors().trim().to_owned();
            return Err(Fault::Refused { state: String::new(), text });
        }
        let (direct, through) = (direct.text(), through.text());
        let lines = direct.lines().zip(through.lines()).find(|(one, other)| one != other);
        let (one, other) = lines.unwrap_or(("more or fewer lines", ""));
        Err(Fault::Different(format!("{other:?} instead of {one:?}")))
    }

    fn no_canary(&self, bytes: &[u8]) -> Result<(), Fault> {
        match self.canaries.find(bytes) {
            None => Ok(()),
            Some(found) => {
                let place = canary::all().get(found.pattern().as_usize()).map_or("outside the clinic", |c| c.place);
                Err(Fault::Different(format!("a protected value came out ({place})")))
            }
        }
    }
}

/// Asks and hears the whole answer; a peer that says nothing more for too long fails the run.
fn answer(wire: &mut Wire, way: Way, statement: &str, parameters: &[String]) -> Vec<Frame> {
    wire.send(&asked(way, statement, parameters));
    wire.until_ready(1)
}

fn asked(way: Way, statement: &str, parameters: &[String]) -> Vec<u8> {
    if matches!(way, Way::Simple | Way::Script) {
        return query(statement);
    }
    let used = (1..=parameters.len()).rev().find(|n| statement.contains(&format!("${n}"))).unwrap_or(0);
    let values: Vec<Option<&str>> = parameters[..used].iter().map(|value| Some(&**value)).collect();
    if way == Way::Prepared {
        // A portal that is not a query cannot be run again once it is done.
        let portion = if reads(statement) { execute("", 5) } else { Vec::new() };
        let bytes = [
            close(b'S', "s"),
            parse("s", statement),
            describe(b'S', "s"),
            bind("", "s", &values, 0),
            portion,
            execute("", 0),
        ];
        return [bytes.concat(), close(b'S', "s"), sync()].concat();
    }
    let format = u16::from(way == Way::Binary);
    [parse("", statement), bind("", "", &values, format), describe(b'P', ""), execute("", 0), sync()].concat()
}

impl fmt::Debug for Runner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner({} sessions kept)", self.kept.len())
    }
}
