//! One forwarder's thread: read, send, wait for the acknowledgement, save the cursor; again.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use audit::record::Clock;

use crate::cursor::Cursor;
use crate::event::Event;
use crate::tail::Tail;
use crate::to::{SendError, Sink, s3, syslog};
use crate::window::Window;
use crate::{Forwarder, Settings, To};

/// How often the end of the log is looked at.
const POLL: Duration = Duration::from_millis(250);
/// How often a cursor that another process holds is tried.
const LOCKED: Duration = Duration::from_secs(2);
/// Waits after failures double from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// Longest wait for forwarders that are asked to end.
const STOP: Duration = Duration::from_secs(3);
/// How often the distance to the end of the log is measured.
const MEASURE: Duration = Duration::from_secs(2);

/// How a forwarder is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not begun yet.
    #[default]
    Starting,
    /// Sends, or has sent everything.
    Running,
    /// Another process works for this forwarder.
    Elsewhere,
    /// The receiver, or a file, does not do what it should; tried again.
    Retrying,
    /// Ended.
    Ended,
}

impl State {
    /// As status pages show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Elsewhere => "elsewhere",
            Self::Retrying => "retrying",
            Self::Ended => "ended",
        }
    }
}

/// What is known of one forwarder.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Name.
    pub name: String,
    /// Kind of receiver.
    pub kind: &'static str,
    /// Where it is.
    pub place: String,
    /// How it is.
    pub state: State,
    /// Events sent since the start.
    pub sent: u64,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// Records in the log that were not sent yet, when it was last measured.
    pub lag_records: u64,
    /// Age in seconds of the last event sent, while there are more.
    pub lag_seconds: u64,
    /// The last failure, while it lasts.
    pub error: Option<String>,
}

/// Status of all forwarders.
#[derive(Debug, Default)]
pub struct Board(Vec<Mutex<Status>>);

impl Board {
    /// A copy, in the order of the configuration.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        self.0.iter().map(|status| lock(status).clone()).collect()
    }

    fn at(&self, index: usize) -> MutexGuard<'_, Status> {
        lock(&self.0[index])
    }
}

fn lock(status: &Mutex<Status>) -> MutexGuard<'_, Status> {
    // A status is replaced field by field; every mixture of fields can be shown.
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Running forwarders.
#[derive(Debug)]
pub struct Running {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    /// How they are.
    pub board: Arc<Board>,
}

impl Running {
    /// Asks them to end, and waits for as long as a batch takes that a receiver is taking. One whose receiver is stuck
    /// is left behind: what it has not saved as acknowledged goes again at the next start.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let until = Instant::now() + STOP;
        while self.threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until all have ended (with `once`, when everything is sent).
    pub fn wait(self) {
        for thread in self.threads {
            // A thread that panicked has said so.
            let _panicked = thread.join();
        }
    }
}

/// Starts a thread for each forwarder.
///
/// # Errors
/// A thread cannot be made.
pub fn start(settings: Settings) -> std::io::Result<Running> {
    let status =
        |f: &Forwarder| Status { name: f.name.clone(), kind: f.to.kind(), place: f.to.place(), ..Status::default() };
    let board = Arc::new(Board(settings.forwarders.iter().map(|f| Mutex::new(status(f))).collect()));
    let stop = Arc::new(AtomicBool::new(false));
    let settings = Arc::new(settings);
    let mut threads = Vec::new();
    for index in 0..settings.forwarders.len() {
        let worker =
            Worker { settings: Arc::clone(&settings), index, board: Arc::clone(&board), stop: Arc::clone(&stop) };
        let name = format!("forward {}", settings.forwarders[index].name);
        threads.push(thread::Builder::new().name(name).spawn(move || worker.live())?);
    }
    Ok(Running { threads, stop, board })
}

struct Worker {
    settings: Arc<Settings>,
    index: usize,
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps, but not through a stop.
    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.stopped() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20).min(time));
        }
    }

    fn live(self) {
        let forwarder = &self.settings.forwarders[self.index];
        let mut wait = BACKOFF.0;
        while !self.stopped() {
            match Cursor::open(&folder(&self.settings.directory), &forwarder.name) {
                Ok(Some(cursor)) => match self.work(forwarder, &cursor) {
                    Ok(()) => break,
                    Err(error) => self.failed(&error.to_string()),
                },
                Ok(None) => {
                    self.board.at(self.index).state = State::Elsewhere;
                    self.pause(LOCKED);
                    continue;
                }
                Err(error) => self.failed(&error.to_string()),
            }
            self.pause(wait);
            wait = (wait * 2).min(BACKOFF.1);
        }
        self.board.at(self.index).state = State::Ended;
    }

    fn failed(&self, error: &str) {
        let mut status = self.board.at(self.index);
        status.failures += 1;
        status.state = State::Retrying;
        if status.error.as_deref() != Some(error) {
            tracing::warn!(forwarder = status.name, "not sent, tried again: {error}");
            status.error = Some(error.to_owned());
        }
    }

    /// Works until it is stopped (or everything is sent); files that fail end it, to be begun again.
    fn work(&self, forwarder: &Forwarder, cursor: &Cursor) -> std::io::Result<()> {
        let mut sink = sink(&forwarder.to);
        let Settings { directory, origin, .. } = &*self.settings;
        let mut saved = cursor.load()?;
        let mut tail = Tail::open(directory, origin, forwarder.include_text, saved.clone());
        let mut window = Window::default();
        let mut measured: Option<Instant> = None;
        let (most, gather) = sink.gathers();
        let mut batch: Vec<Event> = Vec::new();
        let mut before = tail.positions();
        let mut since = Instant::now();
        while !self.stopped() {
            if batch.is_empty() {
                (before, since) = (tail.positions(), Instant::now());
            }
            let more = tail.batch(most - batch.len())?;
            let nothing_more = more.is_empty();
            batch.extend(more);
            if nothing_more && batch.is_empty() {
                let mut status = self.board.at(self.index);
                (status.state, status.lag_records, status.lag_seconds) = (State::Running, tail.behind()?, 0);
                drop(status);
                if self.settings.once {
                    return Ok(());
                }
                self.pause(POLL);
                continue;
            }
            if batch.len() < most && since.elapsed() < gather && !(nothing_more && self.settings.once) {
                self.pause(POLL);
                continue;
            }
            if measured.is_none_or(|at| at.elapsed() > MEASURE) {
                measured = Some(Instant::now());
                self.board.at(self.index).lag_records = tail.behind()? + batch.len() as u64;
            }
            let mut wait = BACKOFF.0;
            let sent = loop {
                match sink.send(&batch) {
                    Ok(()) => break true,
                    Err(SendError::Lost) => break false,
                    Err(error @ SendError::Retry(_)) => {
                        self.failed(&error.to_string());
                        self.board.at(self.index).lag_records = tail.behind()? + batch.len() as u64;
                        self.pause(wait);
                        wait = (wait * 2).min(BACKOFF.1);
                        if self.stopped() {
                            return Ok(());
                        }
                    }
                }
            };
            if !sent {
                tail.rewind(saved.clone());
                window.lost();
                batch.clear();
                continue;
            }
            saved = window.sent(&before, sink.taken(), sink.unacknowledged()).unwrap_or_else(|| tail.positions());
            cursor.save(&saved)?;
            let last = batch.iter().map(|event| event.wall_ns).max().unwrap_or(0);
            let mut status = self.board.at(self.index);
            (status.state, status.error) = (State::Running, None);
            status.sent += batch.len() as u64;
            status.lag_seconds = Clock::now().wall_ns.saturating_sub(last) / 1_000_000_000;
            status.lag_records = status.lag_records.saturating_sub(batch.len() as u64);
            drop(status);
            batch.clear();
        }
        Ok(())
    }
}

/// Folder of the cursors.
#[must_use]
fn folder(directory: &Path) -> std::path::PathBuf {
    directory.join("forward")
}

fn sink(to: &To) -> Box<dyn Sink> {
    match to {
        To::Syslog(to) => Box::new(syslog::Sender::new(to.clone())),
        To::Otlp(to) => Box::new(to.clone()),
        To::Hec(to) => Box::new(to.clone()),
        To::Webhook(to) => Box::new(to.clone()),
        To::S3(to) => Box::new(s3::Sender::new(to)),
    }
}
