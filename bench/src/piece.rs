//! One piece of work: one kind, one way, about a second.
//!
//! Sessions are logged in before and stay for all rounds, so that a piece holds nothing but the work, except where logging
//! in is the work. A piece says what the proxy used, and how busy the load generator and the server were.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use postgres_protocol::{IsNull, message::frontend};

use crate::{
    accounting,
    failure::{Doing, Failure, Result, Stop},
    gateway::Recording,
    generator::{self, Generator, Mode},
    load,
    syscalls::Count,
    target::{Backend, Ground, Target, Way},
    wire::{Client, Format},
    work::{Bulk, Case, Extent, Figures, Kind, Mask, Work, check},
};

/// Clients of the mixed work that are sensitive to latency.
const SENSITIVE: usize = 16;
/// Clients that come and go at the same time.
const CHURNING: usize = 4;
/// Sessions that come and go before idle ones are counted.
const WARM_SESSIONS: usize = 20;
/// Idle sessions are as many as could log in within this time.
const LOGIN_LIMIT: Duration = Duration::from_secs(20);
/// For what the proxy does after the last statement.
const SETTLE: Duration = Duration::from_secs(1);
/// After a piece the books stay open for so long: records that nobody waited for are written within 50 ms, and belong to the piece.
const TAIL: Duration = Duration::from_millis(80);
/// The same where answers are recorded, whose chunks may be open for half a second.
const TAIL_RECORDED: Duration = Duration::from_millis(700);
/// To begin and to end a count of system calls.
pub const COUNTING_SECONDS: f64 = 0.5;
/// Of a warm-up, as a part of a piece.
const WARM_PART: f64 = 0.3;

/// Plays the pieces of one case.
#[derive(Debug)]
pub struct Player {
    /// `None`: a proxy of its own for each piece.
    target: Option<Arc<Target>>,
    statements: Option<Generator>,
    reader: Option<Reader>,
}

/// A session that reads in bulk.
#[derive(Debug)]
struct Reader {
    client: Client,
    request: Vec<u8>,
    bytes: u64,
    rows: u64,
    scratch: Vec<u8>,
}

impl Reader {
    /// Logs in and reads once, checking what comes.
    fn new(target: &Target, bulk: Bulk, mask: Mask, rows: u64) -> Result<Self> {
        let mask = if target.way.is_gateway() { mask } else { Mask::None };
        let mut client = Client::login(target.login(mask.user()))?;
        let request = bulk_request(mask.text(bulk), bulk.format())?;
        client.send(&request)?;
        let answer = client.answer()?;
        check(&answer, rows, mask)?;
        Ok(Self { client, request, bytes: answer.bytes, rows, scratch: Vec::new() })
    }

    fn read(&mut self) -> Result<()> {
        self.client.run_known(&self.request, self.bytes, &mut self.scratch)
    }
}

fn bulk_request(text: &str, format: Format) -> Result<Vec<u8>> {
    let mut out = BytesMut::new();
    match format {
        Format::Text => frontend::query(text, &mut out).doing("write a statement")?,
        Format::Binary => {
            frontend::parse("", text, [], &mut out).doing("write a statement")?;
            let none = std::iter::empty::<()>();
            frontend::bind("", "", [], none, |(), _| Ok(IsNull::Yes), [1], &mut out)
                .map_err(|_| "cannot write a statement")?;
            frontend::describe(b'P', "", &mut out).doing("write a statement")?;
            frontend::execute("", 0, &mut out).doing("write a statement")?;
            frontend::sync(&mut out);
        }
    }
    Ok(out.to_vec())
}

/// Seconds that a piece takes, about.
#[must_use]
pub fn seconds(work: Work, extent: Extent) -> f64 {
    match work.kind {
        Kind::Mixed => extent.seconds * 2.0 + 0.1,
        Kind::Idle => 3.0 + extent.sessions as f64 / 1000.0,
        Kind::Statements { clients, .. } if clients > 200 && work.backend == Backend::Postgres => extent.seconds + 4.0,
        _ => extent.seconds + 0.1 + TAIL.as_secs_f64(),
    }
}

/// Rounds of this work, of so many wanted: memory does not vary as times do, and thousands of logins take long.
#[must_use]
pub const fn rounds(work: Work, wanted: usize) -> usize {
    match work.kind {
        Kind::Idle => 1,
        _ => wanted,
    }
}

/// Name of the folder of a target.
#[must_use]
pub fn folder(work: Work, case: Case, number: Option<usize>) -> String {
    let backend = if work.backend == Backend::Canned { "canned" } else { "postgres" };
    let tls = if work.tls { "-tls" } else { "" };
    let number = number.map_or_else(String::new, |n| format!("-{n}"));
    format!("{}-{backend}{tls}{number}", case.way)
}

impl Player {
    /// On a way that is up.
    #[must_use]
    pub const fn on(target: Arc<Target>) -> Self {
        Self { target: Some(target), statements: None, reader: None }
    }

    /// With a proxy of its own for each piece.
    #[must_use]
    pub const fn fresh() -> Self {
        Self { target: None, statements: None, reader: None }
    }

    /// Logs in what stays for all rounds, and does a little of the work.
    ///
    /// # Errors
    /// The work cannot be done.
    pub fn warm(&mut self, work: Work, case: Case, ground: &Ground, extent: Extent, stop: &Stop) -> Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let rows = extent.rows_of(work.backend);
        match work.kind {
            Kind::Statements { mode, clients } => {
                let login = target.login(case.mask.user());
                self.statements = Some(Generator::new(login, mode, clients, extent.scale, stop)?);
            }
            Kind::Bulk(bulk) => self.reader = Some(Reader::new(target, bulk, case.mask, rows)?),
            Kind::Mixed => {
                let login = target.login(case.mask.user());
                self.statements = Some(Generator::new(login, Mode::Prepared, SENSITIVE, extent.scale, stop)?);
                self.reader = Some(Reader::new(target, Bulk::Text, case.mask, rows)?);
            }
            Kind::Churn | Kind::Idle => {}
        }
        let short = Extent { seconds: extent.seconds * WARM_PART, ..extent };
        self.play(work, case, ground, short, stop).map(drop)
    }

    /// What clients and the proxy agreed on, where clients use TLS.
    ///
    /// # Errors
    /// A login fails.
    pub fn secured(&self, case: Case) -> Result<Option<String>> {
        let Some(target) = &self.target else { return Ok(None) };
        Ok(Client::login(target.login(case.mask.user()))?.stream.secured())
    }

    /// Plays a piece.
    ///
    /// # Errors
    /// The work fails.
    pub fn play(&mut self, work: Work, case: Case, ground: &Ground, extent: Extent, stop: &Stop) -> Result<Figures> {
        stop.check()?;
        let Some(target) = self.target.clone() else { return play_fresh(work, case, ground, extent, stop) };
        let books = Books::open(&target, ground, work.backend)?;
        let time = Duration::from_secs_f64(extent.seconds);
        match work.kind {
            Kind::Statements { .. } => {
                let generator = self.statements.as_mut().ok_or("nobody is logged in")?;
                let outcome = generator.run(time, None, stop)?;
                books.close(small(&outcome))
            }
            Kind::Churn => {
                let login = target.login(case.mask.user());
                let outcome = generator::churn(login, CHURNING, extent.scale, time, stop)?;
                books.close(small(&outcome))
            }
            Kind::Bulk(_) => {
                let reader = self.reader.as_mut().ok_or("nobody is logged in")?;
                let processor = accounting::own_thread_seconds();
                let start = Instant::now();
                let mut figures = Figures::default();
                let mut bytes = 0;
                while start.elapsed() < time {
                    stop.check()?;
                    reader.read()?;
                    bytes += reader.bytes;
                    figures.count += reader.rows;
                }
                figures.seconds = start.elapsed().as_secs_f64();
                figures.bytes = Some(bytes);
                figures.rate = bytes as f64 / 1e6 / figures.seconds;
                figures.generator_busy = Some((accounting::own_thread_seconds() - processor) / figures.seconds);
                books.close(figures)
            }
            Kind::Mixed => {
                let generator = self.statements.as_mut().ok_or("nobody is logged in")?;
                let reader = self.reader.as_mut().ok_or("nobody is logged in")?;
                let mut figures = books.close(small(&generator.run(time, None, stop)?))?;
                figures.beside = Some(beside(generator, reader, time, stop)?);
                Ok(figures)
            }
            Kind::Idle => Err("idle sessions have a proxy of their own".into()),
        }
    }

    /// System calls of the proxy for each statement, or for each megabyte of a bulk read, in a piece of their own; `None`
    /// if there is no proxy or they cannot be counted.
    ///
    /// # Errors
    /// The work fails.
    pub fn syscalls(
        &mut self,
        work: Work,
        case: Case,
        ground: &Ground,
        extent: Extent,
        stop: &Stop,
    ) -> Result<Option<f64>> {
        let Some(pid) = self.target.as_ref().and_then(|target| target.proxy()) else { return Ok(None) };
        let Some(count) = Count::begin(pid, ground.folder.path())? else { return Ok(None) };
        let figures = self.play(work, case, ground, extent, stop)?;
        let Some(calls) = count.end(stop)? else { return Ok(None) };
        // A bulk read is one statement; what matters there is the calls for each megabyte.
        let per = figures.bytes.map_or(figures.count as f64, |bytes| bytes as f64 / 1e6);
        Ok((per > 0.0).then(|| calls as f64 / per))
    }
}

/// Processor times before a piece.
struct Books<'a> {
    proxy: Option<(u32, f64)>,
    server: Option<f64>,
    ground: &'a Ground,
    backend: Backend,
    tail: Duration,
    start: Instant,
}

impl<'a> Books<'a> {
    fn open(target: &Target, ground: &'a Ground, backend: Backend) -> Result<Self> {
        let proxy = target.proxy().map(|pid| Ok::<_, Failure>((pid, accounting::cpu_seconds(pid)?))).transpose()?;
        let server = load::server_seconds(ground, backend)?;
        let tail = match target.way {
            Way::Gateway(variant) if variant.recording != Recording::None => TAIL_RECORDED,
            Way::Direct | Way::Peer(_) | Way::Gateway(_) => TAIL,
        };
        Ok(Self { proxy, server, ground, backend, tail, start: Instant::now() })
    }

    fn close(self, mut figures: Figures) -> Result<Figures> {
        let seconds = self.start.elapsed().as_secs_f64();
        if let (Some(before), Some(after)) = (self.server, load::server_seconds(self.ground, self.backend)?) {
            figures.server_busy = Some((after - before) / seconds);
        }
        // For all ways alike.
        thread::sleep(self.tail);
        if let Some((pid, before)) = self.proxy {
            let used = accounting::cpu_seconds(pid)? - before;
            figures.cpu_s = Some(used);
            figures.proxy_busy = Some(used / seconds);
            match figures.bytes {
                Some(bytes) => figures.cpu_s_per_gb = Some(used / (bytes as f64 / 1e9)),
                None if figures.count > 0 => figures.cpu_us_per_statement = Some(used * 1e6 / figures.count as f64),
                None => {}
            }
        }
        Ok(figures)
    }
}

fn small(outcome: &generator::Outcome) -> Figures {
    Figures {
        count: outcome.count,
        seconds: outcome.seconds,
        rate: outcome.count as f64 / outcome.seconds,
        latency: Some(outcome.quantiles()),
        generator_busy: Some(outcome.busy),
        ..Figures::default()
    }
}

/// Latencies while somebody reads in bulk through the same proxy.
fn beside(generator: &mut Generator, reader: &mut Reader, time: Duration, stop: &Stop) -> Result<generator::Latency> {
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        let bulk = scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                reader.read()?;
            }
            Ok::<_, Failure>(())
        });
        let outcome = generator.run(time, None, stop);
        end.store(true, Ordering::Relaxed);
        bulk.join().unwrap_or_else(|_| Err(Failure::from("the reader's thread panicked")))?;
        Ok(outcome?.quantiles())
    })
}

/// A piece with a proxy of its own.
fn play_fresh(work: Work, case: Case, ground: &Ground, extent: Extent, stop: &Stop) -> Result<Figures> {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let name = folder(work, case, Some(NUMBER.fetch_add(1, Ordering::Relaxed)));
    let sessions = work.sessions(extent.sessions) + WARM_SESSIONS;
    let open_before = ground.postgres.sessions()?;
    let target = Target::start(ground, case.way, work.backend, work.tls, sessions, &name, stop)?;
    let figures = match work.kind {
        Kind::Idle => idle(&target, case, extent, stop),
        _ => {
            let mut player = Player::on(Arc::clone(&target));
            player.warm(work, case, ground, extent, stop)?;
            player.play(work, case, ground, extent, stop)
        }
    };
    drop(target);
    if work.backend == Backend::Postgres {
        ground.postgres.wait_for_sessions(open_before, stop)?;
    }
    figures
}

/// Memory of sessions that do nothing: what the proxy's grows by with so many, each of which has run one statement. A few
/// come and go first, so that what it allocates once is not counted.
fn idle(target: &Target, case: Case, extent: Extent, stop: &Stop) -> Result<Figures> {
    let pid = target.proxy().ok_or("there is no proxy to look at")?;
    let login = target.login(case.mask.user());
    let one = |client: &mut Client| client.run("select 1", Format::Text).map(drop);
    let open = |sessions| generator::open(login, sessions, Some(LOGIN_LIMIT), stop, one);
    drop(open(WARM_SESSIONS)?);
    thread::sleep(SETTLE);
    let before = accounting::memory(pid)?;
    let processor = accounting::cpu_seconds(pid)?;
    let start = Instant::now();
    let clients = open(extent.sessions)?;
    let seconds = start.elapsed().as_secs_f64();
    let used = accounting::cpu_seconds(pid)? - processor;
    thread::sleep(SETTLE);
    let after = accounting::memory(pid)?;
    let count = clients.len() as f64;
    drop(clients);
    Ok(Figures {
        count: count as u64,
        seconds,
        rate: count / seconds,
        cpu_s: Some(used),
        cpu_us_per_statement: Some(used * 1e6 / count),
        resident_kib: Some((after.resident_kib - before.resident_kib) / count),
        proportional_kib: Some((after.proportional_kib - before.proportional_kib) / count),
        ..Figures::default()
    })
}
