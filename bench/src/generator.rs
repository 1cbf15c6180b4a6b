//! Small statements from many sessions: one thread, closed loop, each session sends when its answer is complete.
//!
//! It costs little, so that what it drives is the limit: requests are made beforehand, answers are walked and not decoded,
//! latencies go into a histogram in nanoseconds. It says how busy it was; where it was busy all the time, rates are its
//! own. Deliberately absent: think times, open loops, anything that depends on what an answer says.

use std::{
    io::{ErrorKind, Read, Write},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hdrhistogram::Histogram;
use postgres_protocol::{IsNull, message::frontend};
use serde::Serialize;

use crate::{
    accounting,
    failure::{Doing, Failure, Result, Stop},
    poller::{Interest, Poller},
    wire::{Client, Login, Stream, Walk, error_text},
};

/// What every small statement is, but for its parameter.
pub const STATEMENT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";
/// Requests made beforehand; each asks for another row.
const REQUESTS: usize = 251;
const READ_BYTES: usize = 64 << 10;
/// Without any answer for so long, something is broken.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Longest latency told apart.
const LATENCY_NS_MAX: u64 = 600_000_000_000;
const LOGIN_THREADS: usize = 4;

/// How statements are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Simple protocol.
    Simple,
    /// Extended protocol, parsed each time.
    Extended,
    /// Extended protocol, parsed once.
    Prepared,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Statements.
    pub count: u64,
    /// In what time, seconds.
    pub seconds: f64,
    /// Latencies, nanoseconds.
    pub latency: Histogram<u64>,
    /// Part of the time that the generator's thread was on a processor.
    pub busy: f64,
}

/// Quantiles of a histogram in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Median.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// 99.9th percentile.
    pub p999_us: f64,
}

impl Outcome {
    /// Its quantiles.
    #[must_use]
    pub fn quantiles(&self) -> Latency {
        let at = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1e3;
        Latency { p50_us: at(0.5), p99_us: at(0.99), p999_us: at(0.999) }
    }
}

/// An empty histogram of latencies.
///
/// # Errors
/// None in practice: its bounds are fixed.
pub fn histogram() -> Result<Histogram<u64>> {
    // One that grows by itself would not: it clamps what is recorded saturating to what it holds already.
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).doing("make a histogram")
}

/// Sessions that are logged in and ready for one mode.
#[derive(Debug)]
pub struct Generator {
    sessions: Vec<Session>,
    poller: Poller,
    requests: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Session {
    stream: Stream,
    walk: Walk,
    sent: Instant,
    next: usize,
    /// The end of a request that the socket did not take.
    left: Vec<u8>,
}

impl Generator {
    /// Logs `clients` in and prepares what is prepared once. `scale` is the scale of pgbench's tables.
    ///
    /// # Errors
    /// A login fails.
    pub fn new(login: &Login, mode: Mode, clients: usize, scale: u32, stop: &Stop) -> Result<Self> {
        let opened = open(login, clients, None, stop, |client| match mode {
            Mode::Prepared => prepare(client),
            Mode::Simple | Mode::Extended => Ok(()),
        })?;
        let poller = Poller::new()?;
        let mut sessions = Vec::new();
        for (i, client) in opened.into_iter().enumerate() {
            client.stream.socket().set_nonblocking(true).doing("make a socket non-blocking")?;
            poller.add(client.stream.socket(), i as u64, Interest::READ)?;
            let next = i * 17 % REQUESTS;
            sessions.push(Session {
                stream: client.stream,
                walk: Walk::default(),
                sent: Instant::now(),
                next,
                left: Vec::new(),
            });
        }
        let requests = (0..REQUESTS).map(|n| request(mode, account(n, scale))).collect::<Result<_>>()?;
        Ok(Self { sessions, poller, requests })
    }

    /// Runs statements for so long, or until `end` is set.
    ///
    /// # Errors
    /// A statement fails, or nothing is answered any more.
    pub fn run(&mut self, time: Duration, end: Option<&AtomicBool>, stop: &Stop) -> Result<Outcome> {
        let mut latency = histogram()?;
        let mut buffer = vec![0; READ_BYTES];
        let mut ready = Vec::new();
        let processor = accounting::own_thread_seconds();
        let start = Instant::now();
        let mut running = self.sessions.len();
        for (i, session) in self.sessions.iter_mut().enumerate() {
            session.send(i, &self.requests, &self.poller)?;
        }
        let mut last = start;
        let mut looked = start;
        let mut over = false;
        while running > 0 {
            self.poller.wait(Some(Duration::from_millis(50)), &mut ready)?;
            let now = Instant::now();
            if now.duration_since(looked) > Duration::from_millis(20) {
                looked = now;
                stop.check()?;
                over |= end.is_some_and(|end| end.load(Ordering::Relaxed));
            }
            over |= now.duration_since(start) >= time;
            if !ready.is_empty() {
                last = now;
            } else if now.duration_since(last) > SILENCE_MAX {
                return Err(format!("{running} statements were not answered in {SILENCE_MAX:?}").into());
            }
            for event in ready.drain(..) {
                let i = event.token as usize;
                let session = &mut self.sessions[i];
                if event.write && !session.left.is_empty() {
                    session.flush(i, &self.poller)?;
                }
                if !event.read || !session.receive(&mut buffer)? {
                    continue;
                }
                let done = Instant::now();
                let took = done.duration_since(session.sent).as_nanos();
                latency.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
                if over {
                    running -= 1;
                } else {
                    session.send(i, &self.requests, &self.poller)?;
                }
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let busy = (accounting::own_thread_seconds() - processor) / seconds;
        Ok(Outcome { count: latency.len(), seconds, latency, busy })
    }
}

impl Session {
    fn send(&mut self, token: usize, requests: &[Vec<u8>], poller: &Poller) -> Result<()> {
        self.walk = Walk::default();
        self.sent = Instant::now();
        let request = &requests[self.next];
        self.next = (self.next + 1) % requests.len();
        match self.stream.write(request) {
            Ok(n) if n == request.len() => self.stream.flush().or_else(would_block).doing("send a statement"),
            Ok(n) => {
                self.left = request[n..].to_vec();
                poller.change(self.stream.socket(), token as u64, Interest { read: true, write: true })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.left.clone_from(request);
                poller.change(self.stream.socket(), token as u64, Interest { read: true, write: true })
            }
            Err(error) => Err(error).doing("send a statement"),
        }
    }

    fn flush(&mut self, token: usize, poller: &Poller) -> Result<()> {
        match self.stream.write(&self.left) {
            Ok(n) => drop(self.left.drain(..n)),
            Err(error) => would_block(error).doing("send a statement")?,
        }
        if self.left.is_empty() {
            poller.change(self.stream.socket(), token as u64, Interest::READ)?;
        }
        Ok(())
    }

    /// Reads what is there. True: the answer is complete.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool> {
        loop {
            let n = match self.stream.read(buffer) {
                Ok(0) => return Err("a session was closed in the middle of a statement".into()),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error).doing("read an answer"),
            };
            self.walk.feed(&buffer[..n]);
            if let Some(body) = &self.walk.error {
                return Err(format!("a statement failed: {}", error_text(body)).into());
            }
            if self.walk.ready {
                if self.walk.rows() != 1 {
                    return Err(format!("a statement of one row was answered with {}", self.walk.rows()).into());
                }
                return Ok(true);
            }
            if n < buffer.len() && matches!(self.stream, Stream::Plain(_)) {
                return Ok(false);
            }
        }
    }
}

fn would_block(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::WouldBlock { Ok(()) } else { Err(error) }
}

/// An account of pgbench's tables, spread over all of them.
fn account(n: usize, scale: u32) -> u64 {
    (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % (u64::from(scale) * 100_000) + 1
}

fn request(mode: Mode, account: u64) -> Result<Vec<u8>> {
    let mut out = BytesMut::new();
    let statement = match mode {
        Mode::Simple => {
            frontend::query(&STATEMENT.replace("$1", &account.to_string()), &mut out).doing("write a statement")?;
            return Ok(out.to_vec());
        }
        Mode::Extended => {
            frontend::parse("", STATEMENT, [], &mut out).doing("write a statement")?;
            ""
        }
        Mode::Prepared => "s",
    };
    let value = |n: u64, out: &mut BytesMut| {
        out.extend_from_slice(n.to_string().as_bytes());
        Ok(IsNull::No)
    };
    frontend::bind("", statement, [], [account], value, [0], &mut out).map_err(|_| "cannot write a statement")?;
    frontend::describe(b'P', "", &mut out).doing("write a statement")?;
    frontend::execute("", 0, &mut out).doing("write a statement")?;
    frontend::sync(&mut out);
    Ok(out.to_vec())
}

fn prepare(client: &mut Client) -> Result<()> {
    let mut out = BytesMut::new();
    frontend::parse("s", STATEMENT, [], &mut out).doing("write a statement")?;
    frontend::sync(&mut out);
    client.send(&out)?;
    client.answer().map(drop)
}

/// Logs sessions in over several threads, and does something with each; as many as there is time for.
///
/// # Errors
/// A login fails.
pub fn open(
    login: &Login,
    sessions: usize,
    limit: Option<Duration>,
    stop: &Stop,
    then: impl Fn(&mut Client) -> Result<()> + Sync,
) -> Result<Vec<Client>> {
    let start = Instant::now();
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = (0..LOGIN_THREADS.min(sessions))
            .map(|i| {
                let mine = sessions / LOGIN_THREADS + usize::from(i < sessions % LOGIN_THREADS);
                let then = &then;
                scope.spawn(move || {
                    (0..mine)
                        .take_while(|_| limit.is_none_or(|limit| start.elapsed() < limit))
                        .map(|_| {
                            stop.check()?;
                            let mut client = Client::login(login)?;
                            then(&mut client)?;
                            Ok(client)
                        })
                        .collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(Failure::from("a client's thread panicked"))))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// Sessions that come, run one statement and go, `clients` at a time.
///
/// # Errors
/// A login or a statement fails.
pub fn churn(login: &Login, clients: usize, scale: u32, time: Duration, stop: &Stop) -> Result<Outcome> {
    let start = Instant::now();
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|i| {
                scope.spawn(move || {
                    let mut latency = histogram()?;
                    let mut n = i * 31;
                    while start.elapsed() < time {
                        stop.check()?;
                        let begun = Instant::now();
                        let mut client = Client::login(login)?;
                        client.send(&request(Mode::Simple, account(n, scale))?)?;
                        client.answer()?;
                        client.send(b"X\0\0\0\x04")?;
                        drop(client);
                        let took = begun.elapsed().as_nanos();
                        latency.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
                        n += 1;
                    }
                    Ok((latency, accounting::own_thread_seconds()))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(Failure::from("a client's thread panicked"))))
            .collect::<Result<Vec<_>>>()
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let mut latency = histogram()?;
    let mut used = 0.0;
    for (part, processor) in parts {
        latency.add(part).doing("add histograms")?;
        used += processor;
    }
    Ok(Outcome { count: latency.len(), seconds, latency, busy: used / seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_within_the_table_and_differ() {
        let all: std::collections::HashSet<u64> = (0..REQUESTS).map(|n| account(n, 1)).collect();
        assert!(all.iter().all(|aid| (1..=100_000).contains(aid)));
        assert!(all.len() > REQUESTS * 9 / 10);
    }

    #[test]
    fn quantiles_are_in_microseconds_and_of_any_size() {
        let mut latency = histogram().unwrap();
        for us in [5_u64, 7, 3_000, 90_000, 2_000_000] {
            latency.saturating_record(us * 1_000);
        }
        let outcome = Outcome { count: 5, seconds: 1.0, latency, busy: 0.0 };
        let Latency { p50_us, p99_us, .. } = outcome.quantiles();
        assert!((p50_us - 3_000.0).abs() < 10.0 && (p99_us - 2_000_000.0).abs() < 2_000.0);
    }

    #[test]
    fn a_request_is_what_its_mode_says() {
        assert_eq!(request(Mode::Simple, 12).unwrap()[0], b'Q');
        assert_eq!(request(Mode::Extended, 12).unwrap()[0], b'P');
        let prepared = request(Mode::Prepared, 12).unwrap();
        assert_eq!(prepared[0], b'B');
        assert_eq!(prepared[prepared.len() - 5..], *b"S\0\0\0\x04");
    }
}
