//! The canary property: random statements, and in whatever comes back no protected value. And its other half: where
//! everything is allowed, what comes back is the same to the byte as from the database itself.
//!
//! Several sessions work at a time; which statements are said depends on the seed alone. A session is made anew from time to
//! time and when the peer ends it.

use crate::{
    Result,
    client::{Client, Login},
    recover::{Care, Finder},
    statement::{Schema, Work, work},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tests::wire::Frame;

/// How long it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// So many statements at most.
    pub statements: u64,
    /// So long,
    pub time: Duration,
    /// or longer, until there are so many statements: on a slow machine fewer than that prove nothing in the same time.
    pub least: u64,
    /// Sessions at a time.
    pub sessions: usize,
    /// Decides the statements.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Units of work said.
    pub said: u64,
    /// Answered without an error.
    pub allowed: u64,
    /// Refused with SQLSTATE 42501.
    pub refused: u64,
    /// Any other error.
    pub failed: u64,
    /// Rows that came back.
    pub rows: u64,
    /// Characters of protected data recovered.
    pub characters: u64,
    /// Numbers of statements of which something came out, with their text, the first ones.
    pub leaks: Vec<(u64, String)>,
    /// Numbers of statements whose answers differ, with their text and the difference, the first ones.
    pub differences: Vec<(u64, String)>,
    /// Statements to which the database itself gave the other answer when it was asked again: `LIMIT` without a full order
    /// under another plan.
    pub unsteady: u64,
    /// Errors by SQLSTATE.
    pub errors: BTreeMap<String, u64>,
    /// Sessions that ended early.
    pub broken: u64,
    /// Why the first of them did.
    pub broke: Option<String>,
}

/// Leaks and differences kept with their text.
const SHOWN: usize = 40;
/// Statements of one session.
const SESSION: u64 = 400;

impl Tally {
    fn add(&mut self, other: Self) {
        self.said += other.said;
        self.allowed += other.allowed;
        self.refused += other.refused;
        self.failed += other.failed;
        self.rows += other.rows;
        self.characters += other.characters;
        self.broken += other.broken;
        self.unsteady += other.unsteady;
        self.broke = self.broke.take().or(other.broke);
        self.leaks.extend(other.leaks);
        self.differences.extend(other.differences);
        for (code, count) in other.errors {
            *self.errors.entry(code).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |count: u64| count as f64 * 100.0 / self.said.max(1) as f64;
        write!(
            f,
            "{} statements: {} allowed ({:.1} %), {} refused ({:.1} %), {} failed at the server ({:.1} %); {} rows; {} sessions ended early; \
             {} characters recovered",
            self.said,
            self.allowed,
            share(self.allowed),
            self.refused,
            share(self.refused),
            self.failed,
            share(self.failed),
            self.rows,
            self.broken,
            self.characters
        )
    }
}

/// Says random statements and searches all that comes back.
///
/// # Errors
/// There is no session at all.
pub fn canary(
    schema: &Schema,
    finder: &Finder,
    login: &Login,
    extent: Extent,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Tally> {
    drop(Client::login(login).map_err(|error| error.to_string())?);
    let one = |session: &mut Place, work: &Work, number: u64, tally: &mut Tally| {
        let frames = session.say(work, tally);
        let mut found = finder.in_frames(&frames, Care::Whole);
        found.extend(finder.in_pieces(&frames, Care::Whole));
        classify(&frames, tally);
        if !found.is_empty() {
            tally.characters += finder.characters(&found);
            if tally.leaks.len() < SHOWN {
                tally.leaks.push((number, work.text.clone()));
            }
        }
    };
    Ok(run(schema, extent, stop, &|| vec![Place::new(login)], &|places, work, number, tally| {
        one(&mut places[0], work, number, tally);
    }))
}

/// Says random reading statements to two peers and compares all that comes back. Nothing else may write to the database
/// meanwhile: a table that grows, even by rows rolled back, can get another plan, and rows come in another order.
///
/// # Errors
/// There is no session at all.
pub fn compare(
    schema: &Schema,
    direct: &Login,
    through: &Login,
    extent: Extent,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Tally> {
    for login in [direct, through] {
        drop(Client::login(login).map_err(|error| error.to_string())?);
    }
    Ok(run(schema, extent, stop, &|| vec![Place::new(direct), Place::new(through)], &|places, work, number, tally| {
        if !work.read_only {
            tally.said -= 1;
            return;
        }
        let expected = places[0].say(work, tally);
        let got = places[1].say(work, tally);
        classify(&expected, tally);
        let (expected, got) = (comparable(expected), comparable(got));
        if expected == got {
            return;
        }
        if comparable(places[0].say(work, tally)) == got {
            tally.unsteady += 1;
        } else if tally.differences.len() < SHOWN {
            let at =
                expected.iter().zip(&got).position(|(a, b)| a != b).unwrap_or_else(|| expected.len().min(got.len()));
            let text = format!("{}\n  direct : {:?}\n  through: {:?}", work.text, expected.get(at), got.get(at));
            tally.differences.push((number, text));
        }
    }))
}

/// Errors about prepared statements and portals that do not exist are the gateway's own, as its manual says: same state and
/// message, no place in the server's source.
fn comparable(mut frames: Vec<Frame>) -> Vec<Frame> {
    for frame in frames.iter_mut().filter(|frame| frame.tag == b'E') {
        if matches!(frame.field(b'C').as_deref(), Some("26000" | "34000")) {
            let fields =
                frame.body.split(|&b| b == 0).filter(|field| !matches!(field.first(), Some(b'F' | b'L' | b'R')));
            frame.body = fields.collect::<Vec<_>>().join(&0);
        }
    }
    frames
}

type Do<'a> = dyn Fn(&mut [Place], &Work, u64, &mut Tally) + Sync + 'a;

fn run(
    schema: &Schema,
    extent: Extent,
    stop: &(dyn Fn() -> bool + Sync),
    places: &(dyn Fn() -> Vec<Place> + Sync),
    one: &Do<'_>,
) -> Tally {
    let (next, enough) = (AtomicU64::new(0), AtomicBool::new(false));
    let total = Mutex::new(Tally::default());
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..extent.sessions.max(1) {
            scope.spawn(|| {
                let mut tally = Tally::default();
                let mut places = places();
                while !enough.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let over = begin.elapsed() > extent.time && number >= extent.least;
                    if number >= extent.statements || over || stop() {
                        enough.store(true, Ordering::Relaxed);
                        break;
                    }
                    tally.said += 1;
                    one(&mut places, &work(schema, extent.seed, number), number, &mut tally);
                }
                if let Ok(mut total) = total.lock() {
                    total.add(tally);
                }
            });
        }
    });
    total.into_inner().unwrap_or_default()
}

/// A session that is made again when it has ended.
struct Place {
    login: Login,
    client: Option<Client>,
    said: u64,
}

impl Place {
    fn new(login: &Login) -> Self {
        Self { login: login.clone(), client: None, said: 0 }
    }

    fn say(&mut self, work: &Work, tally: &mut Tally) -> Vec<Frame> {
        self.said += 1;
        if self.said.is_multiple_of(SESSION) {
            self.client = None;
        }
        let mut frames = Vec::new();
        if self.client.is_none() {
            match Client::login(&self.login) {
                Ok(client) => self.client = Some(client),
                Err(error) => {
                    tally.broken += 1;
                    tally.broke.get_or_insert_with(|| error.to_string());
                    return frames;
                }
            }
        }
        let Some(client) = &mut self.client else { return frames };
        for step in &work.steps {
            let answer = client.send(&step.bytes).and_then(|()| client.until_ready(step.ready));
            match answer {
                Ok(answer) => {
                    let ended = answer.last().is_none_or(|frame| frame.tag != b'Z');
                    frames.extend(answer);
                    if ended {
                        tally.broken += 1;
                        let said =
                            frames.iter().rev().find(|frame| frame.tag == b'E').and_then(|frame| frame.field(b'M'));
                        tally.broke.get_or_insert_with(|| {
                            format!("ended after {:?} by: {}", said.unwrap_or_default(), work.text)
                        });
                        self.client = None;
                        return frames;
                    }
                }
                Err(why) => {
                    tally.broken += 1;
                    tally.broke.get_or_insert_with(|| format!("{why} by: {}", work.text));
                    self.client = None;
                    return frames;
                }
            }
        }
        frames
    }
}

fn classify(frames: &[Frame], tally: &mut Tally) {
    tally.rows += frames.iter().filter(|frame| matches!(frame.tag, b'D' | b'd')).count() as u64;
    let code = frames.iter().find(|frame| frame.tag == b'E').map(|frame| frame.field(b'C').unwrap_or_default());
    match code.as_deref() {
        None => tally.allowed += 1,
        Some("42501") => tally.refused += 1,
        Some(_) => tally.failed += 1,
    }
    if let Some(code) = code {
        *tally.errors.entry(code).or_default() += 1;
    }
}
