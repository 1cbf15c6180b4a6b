//! A run of the harness: start everything, then work by work, round by round, each way in turn.
//!
//! The order of the ways turns with each round, so that none is always first after the other's noise. Every piece (one
//! work, one way) is watched for what others do on the machine meanwhile, and repeated where that was too much. A peer
//! that fails is named and left out; the gateway's own failure ends the run.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, thread, time::Duration};

use crate::{
    accounting, disk,
    disturbance::{Decision, Look, Measure, Patience},
    failure::{Failure, Result, Stop},
    gateway::{Audit, Driver, Programs, Recording, Variant},
    machine::{self, Machine},
    peers::{self, Peer},
    piece::{self, Player},
    postgres::{self, Size},
    progress::Progress,
    report::{PeerFound, Report, Sample, Settings},
    syscalls,
    target::{Backend, Ground, Target, Way},
    work::{Case, Extent, Kind, Work},
};

/// From so many clients on, each piece in front of a database has sessions and a proxy of its own: pools keep what they
/// opened, and a database has no room for that of every peer.
const MANY_CLIENTS: usize = 200;
/// Before a disturbed piece is repeated.
const PAUSE: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// Work.
    pub works: Vec<Work>,
    /// Ways; none: the usual ones, and every peer that is on this machine.
    pub ways: Vec<Way>,
    /// Folder where peers are looked for first.
    pub peers: Option<PathBuf>,
    /// Rounds.
    pub rounds: usize,
    /// How long and how much.
    pub extent: Extent,
    /// Where the gateway's programs are.
    pub programs: Option<PathBuf>,
    /// System calls are counted.
    pub syscalls: bool,
    /// Others may use this part of the machine.
    pub limit: f64,
    /// Report although others used more.
    pub force: bool,
    /// This program, where it is not the running one.
    pub own: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// A server does not come up, work fails, others disturb too much, or the user interrupts.
pub fn run(plan: &Plan, stop: &Stop) -> Result<Report> {
    let machine = Machine::look();
    let files = machine::raise_open_files();
    let needed = plan.extent.sessions as u64 * 2 + 500;
    if plan.works.iter().any(|work| work.kind == Kind::Idle) && files < needed {
        return Err(format!(
            "{} idle sessions need {needed} open files and the limit is {files}: raise it (ulimit -n) or ask for fewer",
            plan.extent.sessions
        )
        .into());
    }
    if let Some(folder) = plan.peers.as_deref().filter(|folder| !folder.is_dir()) {
        return Err(format!("there is no folder {} to look for peers in", folder.display()).into());
    }
    postgres::is_installed()?;
    let (found, peers) = look_for_peers(plan);
    let wants_gateway = plan.ways.is_empty() || plan.ways.iter().any(|way| way.is_gateway());
    let programs = if wants_gateway { Some(Programs::ready(plan.programs.as_deref())?) } else { None };
    let ways = if plan.ways.is_empty() { usual(&found, programs.as_ref()) } else { plan.ways.clone() };
    if let Some(missing) = ways.iter().find(|way| matches!(way, Way::Peer(peer) if !found.contains_key(peer))) {
        return Err(format!("{missing} is not on this machine: its program is neither in --peers nor in PATH").into());
    }
    eprintln!("starting PostgreSQL with {} rows, and the canned server", plan.extent.rows);
    let size = Size { people: plan.extent.rows, scale: plan.extent.scale };
    let ground = Ground::new(size, plan.extent.rows, programs, found, stop)?;
    let settings = Settings {
        machine,
        audit_in_memory: disk::in_memory(ground.folder.path()),
        postgres: ground.postgres.version.clone(),
        peers,
        syscalls_by: plan.syscalls.then(syscalls::tool).flatten(),
        rounds: plan.rounds,
        extent: plan.extent,
        limit: plan.limit,
        forced: plan.force,
    };
    let count = |work: &Work| work.cases(&ways, !plan.ways.is_empty()).len() * piece::rounds(*work, plan.rounds);
    let pieces: usize = plan.works.iter().map(count).sum();
    let mut run = Run {
        plan,
        ground: &ground,
        patience: Patience::new(plan.limit, plan.force, pieces),
        progress: Progress::default(),
        targets: BTreeMap::new(),
        report: Report::new(settings),
        stop,
        own: std::process::id(),
    };
    for work in &plan.works {
        let cases = work.cases(&ways, !plan.ways.is_empty());
        let pieces = cases.len() * (piece::rounds(*work, plan.rounds) + usize::from(work.kind != Kind::Idle));
        run.progress.plan(piece::seconds(*work, plan.extent) * pieces as f64);
        if plan.syscalls && work.counts_syscalls() {
            run.progress.plan((piece::seconds(*work, plan.extent) + piece::COUNTING_SECONDS) * cases.len() as f64);
        }
    }
    for work in &plan.works {
        run.work(*work, work.cases(&ways, !plan.ways.is_empty()))?;
    }
    Ok(run.report)
}

/// Peers on this machine, and a line about each for the report.
fn look_for_peers(plan: &Plan) -> (BTreeMap<Peer, PathBuf>, Vec<PeerFound>) {
    let mut found = BTreeMap::new();
    let mut lines = Vec::new();
    for peer in peers::ALL {
        let program = match (&plan.own, peer) {
            (Some(own), Peer::Floor) => Ok(own.clone()),
            _ => peer.find(plan.peers.as_deref()),
        };
        let version = program.as_ref().ok().map(|program| peer.version(program));
        lines.push(PeerFound { peer: *peer, version });
        if let Ok(program) = program {
            found.insert(*peer, program);
        }
    }
    (found, lines)
}

/// The ways of a run that names none.
fn usual(found: &BTreeMap<Peer, PathBuf>, programs: Option<&Programs>) -> Vec<Way> {
    let gateway = Variant::USUAL;
    let mut ways = vec![Way::Direct];
    ways.extend(found.keys().map(|peer| Way::Peer(*peer)));
    ways.push(Way::Gateway(gateway));
    if programs.is_some_and(Programs::has_drivers) {
        ways.extend([Driver::Uring, Driver::Glommio].map(|d| Way::Gateway(Variant { driver: Some(d), ..gateway })));
    }
    ways.extend([Audit::Strict, Audit::Intent, Audit::Off].map(|audit| Way::Gateway(Variant { audit, ..gateway })));
    ways.push(Way::Gateway(Variant { recording: Recording::Rows, ..gateway }));
    ways.push(Way::Gateway(Variant { reuse: true, ..gateway }));
    ways.push(Way::Gateway(Variant { cores: 2, ..gateway }));
    ways
}

struct Run<'a> {
    plan: &'a Plan,
    ground: &'a Ground,
    patience: Patience,
    progress: Progress,
    /// Those that are up, by way; all for the same backend and with or without TLS.
    targets: BTreeMap<(Backend, bool, Way), Arc<Target>>,
    report: Report,
    stop: &'a Stop,
    own: u32,
}

impl Run<'_> {
    fn work(&mut self, work: Work, cases: Vec<Case>) -> Result<()> {
        self.targets.retain(|(backend, tls, _), _| *backend == work.backend && *tls == work.tls);
        let extent = self.plan.extent;
        let seconds = piece::seconds(work, extent);
        let rounds = piece::rounds(work, self.plan.rounds);
        // Players of cases that can do it.
        let mut players: Vec<(Case, Player)> = Vec::new();
        for case in cases {
            self.stop.check()?;
            self.progress.say(&format!("{work}: warming up {}", work.case_name(case)));
            let ready = self.player(work, case).and_then(|mut player| {
                player.warm(work, case, self.ground, extent, self.stop)?;
                Ok(player)
            });
            if work.kind != Kind::Idle {
                self.progress.done(seconds);
            }
            match self.tolerate(work, case, ready)? {
                Some(player) => {
                    if work.tls
                        && let Some(secured) = player.secured(case)?
                    {
                        self.report.add_tls(case.way, secured);
                    }
                    players.push((case, player));
                }
                None => self.progress.done(seconds * rounds as f64),
            }
        }
        for round in 0..rounds {
            if work.kind != Kind::Idle {
                self.report.add_commit(disk::commit_us(self.ground.folder.path())?);
            }
            let count = players.len();
            let mut failed = Vec::new();
            for i in 0..count {
                let at = (i + round) % count;
                let (case, player) = &mut players[at];
                let name = work.case_name(*case);
                self.progress.say(&format!("{work}: round {}/{rounds} {name}", round + 1));
                let case = *case;
                let played = undisturbed(&mut self.patience, &self.progress, PAUSE, || {
                    self.stop.check()?;
                    let before = Look::now();
                    let figures = player.play(work, case, self.ground, extent, self.stop)?;
                    Ok((figures, before.since(self.own)))
                });
                self.progress.done(seconds);
                match self.tolerate(work, case, played)? {
                    Some((figures, measure, disturbed)) => {
                        self.report.add(Sample { work, case, round, measure, disturbed, figures });
                    }
                    None => failed.push(at),
                }
            }
            failed.sort_unstable();
            for at in failed.into_iter().rev() {
                players.remove(at);
            }
        }
        if self.plan.syscalls && work.counts_syscalls() {
            for (case, player) in &mut players {
                self.progress.say(&format!("{work}: counting system calls of {}", work.case_name(*case)));
                let calls = player.syscalls(work, *case, self.ground, extent, self.stop)?;
                self.progress.done(seconds + piece::COUNTING_SECONDS);
                self.report.add_syscalls(work, *case, calls);
            }
        }
        Ok(())
    }

    fn player(&mut self, work: Work, case: Case) -> Result<Player> {
        let many = matches!(work.kind, Kind::Statements { clients, .. } if clients >= MANY_CLIENTS);
        if work.kind == Kind::Idle || many && work.backend == Backend::Postgres {
            return Ok(Player::fresh());
        }
        let key = (work.backend, work.tls, case.way);
        if !self.targets.contains_key(&key) {
            let name = piece::folder(work, case, None);
            // Room for the most that any work of this run asks for at once.
            let sessions = self.plan.works.iter().filter(|w| w.kind != Kind::Idle).map(|w| w.sessions(0) * 2).max();
            let sessions = sessions.unwrap_or(64).max(200);
            let target = Target::start(self.ground, case.way, work.backend, work.tls, sessions, &name, self.stop)?;
            self.targets.insert(key, target);
        }
        let target = self.targets.get(&key).ok_or("a way that was started is gone")?;
        Ok(Player::on(Arc::clone(target)))
    }

    /// A peer's failure is written down; ours, an interruption and a disturbance end the run.
    fn tolerate<T>(&mut self, work: Work, case: Case, result: Result<T>) -> Result<Option<T>> {
        match (result, case.way) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(Failure::Message(why)), Way::Peer(peer)) if peer != Peer::Floor => {
                self.progress.note(&format!("{work}: {} fails and is left out: {why}", case.way));
                self.report.add_failure(work, case, why);
                Ok(None)
            }
            (Err(Failure::Message(why)), _) => Err(format!("{work}, {}: {why}", work.case_name(case)).into()),
            (Err(other), _) => Err(other),
        }
    }
}

/// Plays a piece as often as the disturbance asks for, with a pause before each repetition: what it gave and the disturbance,
/// and whether that was too much and is kept because the run is forced.
fn undisturbed<T>(
    patience: &mut Patience,
    progress: &Progress,
    pause: Duration,
    mut play: impl FnMut() -> Result<(T, Measure)>,
) -> Result<(T, Measure, bool)> {
    for times in 0.. {
        let (figures, measure) = play()?;
        match patience.decide(&measure, times)? {
            Decision::Keep => return Ok((figures, measure, false)),
            Decision::KeepDisturbed => return Ok((figures, measure, true)),
            Decision::Repeat => progress.note(&format!("thrown away and repeated: {}", measure.words())),
        }
        thread::sleep(pause);
    }
    Err("a piece was repeated for ever".into())
}

/// Seconds of processor time that what answers has used, where that is ours.
///
/// # Errors
/// It is gone.
pub fn server_seconds(ground: &Ground, backend: Backend) -> Result<Option<f64>> {
    match backend {
        Backend::Postgres => Ok(None),
        Backend::Canned => accounting::cpu_seconds(ground.canned.id()).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disturbance::LIMIT_DEFAULT;

    /// Plays pieces of which those with these numbers are disturbed: what came of it, and how often it was played.
    fn played(force: bool, loud: &[usize]) -> (Result<(usize, Measure, bool)>, usize) {
        let mut patience = Patience::new(LIMIT_DEFAULT, force, 1);
        let mut number = 0;
        let result = undisturbed(&mut patience, &Progress::default(), Duration::ZERO, || {
            number += 1;
            let others = if loud.contains(&number) { 0.5 } else { 0.01 };
            Ok((number, Measure { others, who: vec![("cargo".to_owned(), others)], ..Measure::default() }))
        });
        (result, number)
    }

    #[test]
    fn a_disturbed_piece_is_thrown_away_and_played_again() {
        let (result, pieces) = played(false, &[1, 2]);
        let (figures, measure, disturbed) = result.unwrap();
        assert_eq!((figures, disturbed, pieces), (3, false, 3), "the figures of the quiet one count");
        assert!(!measure.disturbed(LIMIT_DEFAULT));
    }

    #[test]
    fn a_piece_that_is_always_disturbed_ends_the_run_with_who_it_was() {
        let (result, pieces) = played(false, &[1, 2, 3, 4, 5, 6, 7]);
        assert!(matches!(result.unwrap_err(), Failure::Disturbed(who) if who.contains("cargo 50 %")));
        assert_eq!(pieces, 5);
        // Unless it is forced: then it says so.
        assert!(played(true, &[1]).0.unwrap().2);
    }
}
