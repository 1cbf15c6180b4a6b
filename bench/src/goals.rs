//! The project's goals, each beside what was measured for it.
//!
//! Every goal is a ratio within one run, or a size. What a run did not measure is said, and why, never taken as reached.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{
    peers::Peer,
    report::Line,
    statistics::{Summary, ratio},
    target::Way,
    work::{Bulk, Kind, Mask, Work},
};

/// On which side of its limit a figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// No more.
    AtMost,
    /// No less.
    AtLeast,
}

/// A goal and what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// Work.
    pub work: String,
    /// In words.
    pub what: String,
    /// Which side.
    pub bound: Bound,
    /// The limit.
    pub limit: f64,
    /// Measured; or why not.
    pub measured: Result<f64, String>,
}

/// What became of a goal.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Met.
    Met,
    /// Missed by this part of the limit.
    Missed(f64),
    /// Not measured, and why.
    Unknown(String),
}

impl Goal {
    /// What became of it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match (&self.measured, self.bound) {
            (Err(why), _) => Outcome::Unknown(why.clone()),
            (Ok(measured), Bound::AtMost) if *measured <= self.limit => Outcome::Met,
            (Ok(measured), Bound::AtLeast) if *measured >= self.limit => Outcome::Met,
            (Ok(measured), _) => Outcome::Missed((measured / self.limit - 1.0).abs()),
        }
    }

    /// What is asked for, in figures.
    #[must_use]
    pub fn asked(&self) -> String {
        let sign = if self.bound == Bound::AtMost { '≤' } else { '≥' };
        format!("{sign} {}", self.limit)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Met => f.write_str("met"),
            Self::Missed(by) => write!(f, "missed by {:.0} %", by * 100.0),
            Self::Unknown(why) => write!(f, "not measured: {why}"),
        }
    }
}

impl Serialize for Goal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            work: &'a str,
            what: &'a str,
            limit: f64,
            at_most: bool,
            measured: Option<f64>,
            met: Option<bool>,
            outcome: String,
        }
        let outcome = self.outcome();
        Flat {
            work: &self.work,
            what: &self.what,
            limit: self.limit,
            at_most: self.bound == Bound::AtMost,
            measured: self.measured.as_ref().ok().copied(),
            met: match outcome {
                Outcome::Met => Some(true),
                Outcome::Missed(_) => Some(false),
                Outcome::Unknown(_) => None,
            },
            outcome: outcome.to_string(),
        }
        .serialize(serializer)
    }
}

/// Figures of one work, to be asked about.
struct Figures<'a> {
    work: Work,
    lines: Vec<&'a Line>,
}

type Pick = fn(&Line) -> Option<Summary>;

impl<'a> Figures<'a> {
    fn of(lines: &'a [Line], work: Work) -> Self {
        Self { work, lines: lines.iter().filter(|line| line.work == work).collect() }
    }

    fn line(&self, way: &str, mask: Option<Mask>) -> Option<&'a Line> {
        let fits = |line: &&&Line| line.case.way.to_string() == way && mask.is_none_or(|mask| line.case.mask == mask);
        self.lines.iter().find(fits).copied()
    }

    fn median(&self, way: &str, mask: Option<Mask>, pick: Pick) -> Option<f64> {
        self.line(way, mask).and_then(pick).map(|summary| summary.median)
    }

    /// The best of the peers, poolers alone or all: who, and its figure.
    fn best(&self, pick: Pick, least: bool, poolers: bool) -> Option<(&'static str, f64)> {
        let figures = self.lines.iter().filter_map(|line| match line.case.way {
            Way::Peer(Peer::Floor) => None,
            Way::Peer(peer) if poolers && !peer.is_pooler() => None,
            Way::Peer(peer) => Some((peer.name(), pick(line)?.median)),
            _ => None,
        });
        let order = |a: &(&str, f64), b: &(&str, f64)| if least { a.1.total_cmp(&b.1) } else { b.1.total_cmp(&a.1) };
        figures.min_by(order)
    }

    fn goal(&self, what: String, bound: Bound, limit: f64, measured: Option<f64>) -> Option<Goal> {
        measured.map(|measured| Goal { work: self.work.to_string(), what, bound, limit, measured: Ok(measured) })
    }

    /// Against the best peer; where that only copies bytes, against the best pooler too.
    fn against_best(&self, own: &str, words: &str, pick: Pick, bound: Bound, limit: f64) -> Vec<Goal> {
        let least = bound == Bound::AtMost;
        let measured = self.median(own, None, pick);
        // Where the proxy had time left, a rate is that of what drives it.
        let limited = bound == Bound::AtLeast && self.line(own, None).is_some_and(|line| !line.was_limit());
        let remark = if limited { "; the load generator or the server was the limit" } else { "" };
        let mut best = vec![(self.best(pick, least, false), "peer"), (self.best(pick, least, true), "pooler")];
        best.dedup_by_key(|(who, _)| *who);
        let goal = |(best, kind): (Option<(&str, f64)>, &str)| {
            let (peer, figure) = best?;
            let what = format!("{words}, {own} / {peer} (the best {kind}){remark}");
            self.goal(what, bound, limit, ratio(measured, Some(figure)))
        };
        best.into_iter().filter_map(goal).collect()
    }
}

/// The gateway that goals are about.
const OWN: &str = "gateway";

/// The goals that a run with these figures on so many processors says something about, and those it cannot.
#[must_use]
pub fn evaluate(lines: &[Line], processors: usize) -> Vec<Goal> {
    let mut works: Vec<Work> = Vec::new();
    for line in lines {
        if !works.contains(&line.work) {
            works.push(line.work);
        }
    }
    let mut goals: Vec<Goal> =
        works.into_iter().flat_map(|work| of_work(&Figures::of(lines, work), processors)).collect();
    for (what, limit, bench) in [
        ("masking rows in memory, 2 of 8 / memcpy", 0.8, "rows"),
        ("masking rows in memory, 6 of 8 / memcpy", 0.65, "rows"),
        ("masking rows in memory, 6 of 8 and a scanned note / memcpy", 0.35, "rows"),
        ("scan of free text with validation / Hyperscan or Vectorscan", 10.0, "scan"),
        ("dictionary of 100,000 entries, GB/s", 1.0, "scan"),
    ] {
        goals.push(Goal {
            work: "in memory".to_owned(),
            what: what.to_owned(),
            bound: Bound::AtLeast,
            limit,
            measured: Err(format!("cargo bench -p bench --bench {bench}")),
        });
    }
    goals
}

fn of_work(figures: &Figures<'_>, processors: usize) -> Vec<Goal> {
    let per_statement: Pick = |line| line.cpu_us;
    let per_gb: Pick = |line| line.cpu_s_per_gb;
    let rate: Pick = |line| line.rate;
    match figures.work.kind {
        Kind::Statements { clients, .. } => {
            let mut goals = figures.against_best(OWN, "CPU per statement", per_statement, Bound::AtMost, 1.0);
            goals.extend(figures.against_best(OWN, "throughput", rate, Bound::AtLeast, 1.0));
            goals.extend(figures.against_best(
                "gateway-strict",
                "CPU per statement",
                per_statement,
                Bound::AtMost,
                1.15,
            ));
            if clients == 1 {
                goals.extend(added(figures, "median latency added", |line| line.p50_us));
                goals.extend(added(figures, "99th percentile of latency added", |line| line.p99_us));
            }
            goals.extend(two_cores(figures, processors));
            goals
        }
        Kind::Bulk(_) if figures.work.tls => {
            figures.against_best(OWN, "CPU per GB with TLS", per_gb, Bound::AtMost, 1.0)
        }
        Kind::Bulk(bulk) => {
            let floor = figures.median(Peer::Floor.name(), None, per_gb);
            let pgbouncer = figures.median(Peer::Pgbouncer.name(), None, per_gb);
            let own = |mask| figures.median(OWN, Some(mask), per_gb);
            let mut goals = Vec::new();
            for (words, mask, limit) in [
                ("nothing masked", Mask::None, 1.08),
                ("2 of 8 columns masked", Mask::Two, 1.25),
                ("6 masked, the note scanned for eight classes", Mask::Note, 1.7),
                ("6 masked, the note scanned for all classes", Mask::Library, 2.0),
            ] {
                let what = format!("CPU per GB, {words}, gateway / copy proxy");
                goals.extend(figures.goal(what, Bound::AtMost, limit, ratio(own(mask), floor)));
            }
            if bulk == Bulk::Text {
                let what = "CPU per GB, nothing masked, gateway / pgbouncer".to_owned();
                goals.extend(figures.goal(what, Bound::AtMost, 0.5, ratio(own(Mask::None), pgbouncer)));
            }
            goals
        }
        Kind::Mixed => {
            let p99 = |line: &Line| ratio(line.beside_p99_us.map(|s| s.median), line.p99_us.map(|s| s.median));
            let direct = figures.line("direct", None).and_then(p99);
            let beside = direct.map_or_else(String::new, |direct| format!(" (without a proxy: {direct:.2})"));
            let what = format!("99th percentile of small statements beside a bulk reader / alone{beside}");
            figures.goal(what, Bound::AtMost, 2.0, figures.line(OWN, None).and_then(p99)).into_iter().collect()
        }
        Kind::Churn => {
            let measured = ratio(figures.median(OWN, None, rate), figures.median(Peer::Pgbouncer.name(), None, rate));
            figures.goal("logins, gateway / pgbouncer".to_owned(), Bound::AtLeast, 1.0, measured).into_iter().collect()
        }
        Kind::Idle => {
            let measured = figures.median(OWN, None, |line| line.resident_kib);
            figures
                .goal("resident KiB of an idle session".to_owned(), Bound::AtMost, 8.0, measured)
                .into_iter()
                .collect()
        }
    }
}

/// What the gateway adds to a latency, as a part of what pgbouncer adds.
fn added(figures: &Figures<'_>, words: &str, pick: Pick) -> Option<Goal> {
    let direct = figures.median("direct", None, pick)?;
    let own = figures.median(OWN, None, pick)? - direct;
    // Where pgbouncer adds less than can be told apart, a microsecond stands for it.
    let peer = (figures.median(Peer::Pgbouncer.name(), None, pick)? - direct).max(1.0);
    figures.goal(format!("{words}, gateway / pgbouncer"), Bound::AtMost, 1.0, Some(own / peer))
}

/// Throughput of two executors, of one's.
const SCALED: f64 = 1.85;

/// Two executors against one: throughput where they were the limit and not what drives them, and everywhere what the second costs,
/// as processor time for each statement.
fn two_cores(figures: &Figures<'_>, processors: usize) -> Vec<Goal> {
    let Some(two) = figures.line("gateway-2cores", None) else { return Vec::new() };
    let mut goals = Vec::new();
    let one = figures.median(OWN, None, |line| line.cpu_us);
    goals.extend(figures.goal(
        "CPU per statement, two executors / one".to_owned(),
        Bound::AtMost,
        (200.0 / SCALED).round() / 100.0,
        ratio(two.cpu_us.map(|s| s.median), one),
    ));
    let rates = ratio(two.rate.map(|s| s.median), figures.median(OWN, None, |line| line.rate));
    let busy = two.proxy_busy.map_or(0.0, |s| s.median);
    let measured = match rates {
        _ if two.is_crowded(processors) => {
            Err(format!("the load generator and the server share {processors} processors with two executors"))
        }
        Some(measured) if two.was_limit() => Ok(measured),
        _ => Err(format!("two executors were busy for {busy:.1} of 2 processors: the load generator is the limit")),
    };
    let what = "throughput of two executors / one".to_owned();
    goals.push(Goal { work: figures.work.to_string(), what, bound: Bound::AtLeast, limit: SCALED, measured });
    goals
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(work: &str, way: &str, mask: Mask, set: impl FnOnce(&mut Line, fn(f64) -> Option<Summary>)) -> Line {
        let case = crate::work::Case { way: way.parse().unwrap(), mask };
        let mut line = Line::empty(work.parse().unwrap(), case);
        set(&mut line, |value| Summary::of([value]));
        line
    }

    fn outcomes(lines: &[Line]) -> Vec<(String, Outcome)> {
        let measured = evaluate(lines, 8).into_iter().filter(|goal| goal.work != "in memory");
        measured.map(|goal| (goal.what.clone(), goal.outcome())).collect()
    }

    fn missed(outcome: &Outcome) -> f64 {
        match outcome {
            Outcome::Missed(by) => (by * 1000.0).round() / 1000.0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn small_statements_are_held_against_the_best_peer_and_the_best_pooler() {
        let cpu = |way, cpu, rate| {
            line("prepared-16", way, Mask::Two, |line, of| (line.cpu_us, line.rate) = (of(cpu), of(rate)))
        };
        let all = [
            cpu("copy-proxy", 5.0, 900.0),
            cpu("haproxy", 8.0, 500.0),
            cpu("pgbouncer", 10.0, 400.0),
            cpu("pgcat", 20.0, 200.0),
            cpu("gateway", 12.0, 500.0),
            cpu("gateway-strict", 11.0, 300.0),
        ];
        let of_all = outcomes(&all);
        let by = |start: &str| &of_all.iter().find(|(what, _)| what.starts_with(start)).unwrap().1;
        assert_eq!(missed(by("CPU per statement, gateway / haproxy (the best peer)")), 0.5);
        assert_eq!(missed(by("CPU per statement, gateway / pgbouncer (the best pooler)")), 0.2);
        assert_eq!(*by("throughput, gateway / haproxy (the best peer); the load generator"), Outcome::Met);
        assert_eq!(*by("CPU per statement, gateway-strict / pgbouncer"), Outcome::Met);
        assert_eq!(of_all.len(), 6);
        // Where a pooler is the best of all, one row says it.
        assert_eq!(outcomes(&all[2..5]).len(), 2);
    }

    #[test]
    fn bulk_reads_are_held_against_the_floor() {
        let cost = |way, mask, cost| line("canned-bulk", way, mask, |line, of| line.cpu_s_per_gb = of(cost));
        let outcomes = outcomes(&[
            cost("copy-proxy", Mask::None, 0.3),
            cost("pgbouncer", Mask::None, 1.0),
            cost("gateway", Mask::None, 0.33),
            cost("gateway", Mask::Two, 0.36),
            cost("gateway", Mask::Library, 0.6),
        ]);
        assert_eq!(outcomes.len(), 4);
        assert_eq!(missed(&outcomes[0].1), 0.019);
        assert!(outcomes[1..].iter().all(|(_, outcome)| *outcome == Outcome::Met));
    }

    #[test]
    fn latency_counts_what_is_added() {
        let p = |way, us| {
            line("prepared-1", way, Mask::Two, |line, of| (line.p50_us, line.p99_us) = (of(us), of(us * 2.0)))
        };
        let outcomes = outcomes(&[p("direct", 50.0), p("pgbouncer", 70.0), p("gateway", 80.0)]);
        assert_eq!(outcomes.len(), 2);
        assert_eq!(missed(&outcomes[0].1), 0.5);
    }

    #[test]
    fn what_the_generator_limits_is_not_measured() {
        let of = |way, rate, busy| {
            line("canned-prepared-64", way, Mask::Two, |line, of| (line.rate, line.proxy_busy) = (of(rate), of(busy)))
        };
        let limited = outcomes(&[of("gateway", 100.0, 0.9), of("gateway-2cores", 110.0, 1.1)]);
        assert!(matches!(&limited[0].1, Outcome::Unknown(why) if why.contains("load generator")));
        let free = outcomes(&[of("gateway", 100.0, 1.0), of("gateway-2cores", 190.0, 1.9)]);
        assert_eq!(free[0].1, Outcome::Met);
    }

    #[test]
    fn on_two_processors_only_the_processor_time_of_a_second_executor_is_judged() {
        let of = |way, cpu| {
            line("canned-prepared-64", way, Mask::Two, |line, of| {
                (line.rate, line.proxy_busy, line.cpu_us) = (of(100.0), of(1.9), of(cpu));
            })
        };
        let goals = evaluate(&[of("gateway", 10.0), of("gateway-2cores", 10.5)], 2);
        let of = |what: &str| goals.iter().find(|goal| goal.what.starts_with(what)).unwrap().outcome();
        assert_eq!(of("CPU per statement, two executors"), Outcome::Met);
        assert!(
            matches!(of("throughput of two executors"), Outcome::Unknown(why) if why.contains("share 2 processors"))
        );
    }

    #[test]
    fn the_rest_of_the_table() {
        let mixed =
            line("mixed", "gateway", Mask::Two, |line, of| (line.p99_us, line.beside_p99_us) = (of(100.0), of(250.0)));
        let idle = line("idle", "gateway", Mask::Two, |line, of| line.resident_kib = of(4.0));
        let churn =
            ["gateway", "pgbouncer"].map(|way| line("tls-churn", way, Mask::Two, |line, of| line.rate = of(10.0)));
        let [a, b] = churn;
        let outcomes = outcomes(&[mixed, idle, a, b]);
        assert_eq!(missed(&outcomes[0].1), 0.25);
        assert_eq!((&outcomes[1].1, &outcomes[2].1), (&Outcome::Met, &Outcome::Met));
        assert_eq!(Outcome::Missed(0.123).to_string(), "missed by 12 %");
        assert!(evaluate(&[], 8).iter().all(|goal| matches!(goal.outcome(), Outcome::Unknown(_))));
    }
}
