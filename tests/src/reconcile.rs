//! Kills under load, and the account afterwards: what clients were told, what the log says, what the server did.
//!
//! A writer's row in a table is the server's own word that a statement ran; its statement log is the word about reads.
//! Every statement has a text of its own, so the three books can be compared line by line.

use crate::{
    endpoint::Endpoint,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, bind, execute, parse, query, sync},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Rules that allow everything, in strict mode.
const RULES: &str = "\
targets:
  plain: {address: \"127.0.0.1:5432\", database: plain, account: app, tls: disable, audit: strict}
roles:
  everyone: {groups: [everyone], targets: [plain], default: clear, redact: clear}
";
/// Clients at a time.
const CLIENTS: usize = 8;
/// Statements that were answered before a kill.
const WORK: usize = 60;
/// Rounds between two looks at the whole log.
const VERIFIED_EVERY: usize = 25;

/// The three books, compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Kills.
    pub rounds: usize,
    /// Statements that clients were told the end of.
    pub answered: usize,
    /// Statements with an intent in the log.
    pub intended: usize,
    /// Statements that the server ran.
    pub executed: usize,
    /// Intents whose end nobody knows, and how many of them the server ran.
    pub in_doubt: (usize, usize),
    /// Reads that ran while their record was on its way, and whose answer reached nobody.
    pub unrecorded_reads: usize,
    /// Slowest start after a kill.
    pub slowest_start: Duration,
    /// What does not fit.
    pub mistakes: Vec<String>,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kill -9 rounds              {}", self.rounds)?;
        writeln!(f, "answered to clients         {}", self.answered)?;
        writeln!(f, "intents in the log          {}", self.intended)?;
        writeln!(f, "run by the server           {}", self.executed)?;
        writeln!(f, "in doubt, of which run      {} / {}", self.in_doubt.0, self.in_doubt.1)?;
        writeln!(f, "reads run, told to nobody   {}", self.unrecorded_reads)?;
        writeln!(f, "slowest start               {} ms", self.slowest_start.as_millis())?;
        write!(f, "mistakes                    {}", self.mistakes.len())?;
        self.mistakes.iter().take(20).try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

/// What the clients of a round have done so far.
#[derive(Default)]
struct Progress {
    logins: AtomicUsize,
    answers: AtomicUsize,
}

/// Statements until the gateway is gone: the texts that were answered.
fn load(endpoint: &Endpoint, who: &str, progress: &Progress) -> Vec<String> {
    let mut answered = Vec::new();
    let mut wire = Wire::login(endpoint);
    progress.logins.fetch_add(1, Ordering::Relaxed);
    for number in 0..1_000_000 {
        let mark = format!("mark {who} {number}");
        let sql = match number % 4 {
            0 => format!("insert into book values ('{mark}')"),
            1 => format!("select '{mark}', id from book limit 3"),
            2 => format!("select '{mark}', g, repeat('x', 300) from generate_series(1, 200) g"),
            _ => format!("update book set seen = seen + 1 where id = '{mark}'"),
        };
        let bytes = match number % 3 {
            0 => query(&sql),
            _ => [parse("", &sql), bind("", "", &[], 0), execute("", 0), sync()].concat(),
        };
        if wire.try_send(&bytes).is_err() || wire.until_ready(1).last().is_none_or(|last| last.tag != b'Z') {
            break;
        }
        answered.push(sql);
        progress.answers.fetch_add(1, Ordering::Relaxed);
    }
    answered
}

/// Kills the gateway so many times under load, and reconciles. `told` hears of the progress.
pub fn rounds(rounds: usize, told: &mut dyn FnMut(usize)) -> Account {
    let server = Postgres::start("log_statement = 'all'\nlog_line_prefix = '@%u@'\nlog_min_messages = warning");
    server.sql("plain", "create table book (id text primary key, seen int default 0); alter table book owner to app");
    let bundle = Bundle::compile(&[RULES], "plain", &server);
    let gateway = Setup::new(&bundle, &server).cores(2).audit("segment_bytes: 4MiB").start();
    let mut account = Account { rounds, ..Account::default() };
    let mut answered = Vec::new();
    for round in 0..rounds {
        let (endpoint, progress) = (gateway.endpoint("app"), Progress::default());
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let (endpoint, progress) = (endpoint.clone(), &progress);
                    scope.spawn(move || load(&endpoint, &format!("{round} {client}"), progress))
                })
                .collect();
            // Times that fall everywhere: in logins, in commits, at segments' ends. On a busy machine all of it takes long.
            let begun = Instant::now();
            let under_load = || {
                progress.logins.load(Ordering::Relaxed) >= CLIENTS - round % 3
                    && progress.answers.load(Ordering::Relaxed) >= WORK
            };
            while !under_load() && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(20 + (round as u64 * 7919) % 400));
            gateway.kill();
            answered.extend(clients.into_iter().filter_map(|client| client.join().ok()).flatten());
        });
        let begun = Instant::now();
        gateway.restart();
        account.slowest_start = account.slowest_start.max(begun.elapsed());
        if round % VERIFIED_EVERY == VERIFIED_EVERY - 1 {
            verified(&gateway, &mut account);
        }
        told(round + 1);
    }
    gateway.signal("TERM");
    gateway.wait_end(2 * PATIENCE).expect("it ends");
    // A process of the server's that stood still at a kill runs what it was sent before, then notices that nobody is there.
    wait_until("the server is done", PATIENCE, || {
        let left = "select count(*) from pg_stat_activity where usename = 'app'";
        server.sql("postgres", left).trim() == "0"
    });
    verified(&gateway, &mut account);
    compare(&mut account, &answered, &gateway, &server);
    account
}

fn verified(gateway: &Gateway, account: &mut Account) {
    let done = gateway.tidegate(&["audit", "verify", "audit"]);
    if done.code != 0 {
        account.mistakes.push(format!("the log does not verify: {}", done.both()));
    }
}

fn compare(account: &mut Account, answered: &[String], gateway: &Gateway, server: &Postgres) {
    // The log: text of each intent, and the outcome of its statement.
    let mut intents: BTreeMap<(String, u64), String> = BTreeMap::new();
    let mut ends: BTreeMap<(String, u64), String> = BTreeMap::new();
    for record in gateway.records() {
        let id = || Some((record["session"].as_str()?.to_owned(), record["statement"].as_u64()?));
        match record["type"].as_str() {
            Some("STMT_INTENT") => {
                if let (Some(id), Some(text)) = (id(), record["text"].as_str().filter(|t| t.contains("mark"))) {
                    intents.insert(id, text.to_owned());
                }
            }
            Some("STMT_RESULT") => {
                if let (Some(id), Some(outcome)) = (id(), record["outcome"].as_str()) {
                    ends.insert(id, outcome.to_owned());
                }
            }
            _ => {}
        }
    }
    let executed = executed(server);
    let rows: BTreeSet<String> =
        server.sql("plain", "select id from book").lines().map(|l| l.trim().to_owned()).collect();
    let mut by_text: BTreeMap<&str, &str> = BTreeMap::new();
    let mut mistake = |text: String| account.mistakes.push(text);
    for (id, text) in &intents {
        let end = ends.get(id).map(String::as_str);
        if by_text.insert(text, end.unwrap_or("none")).is_some() {
            mistake(format!("two intents for: {text}"));
        }
        match end {
            Some("ok") if !executed.contains(text) => mistake(format!("ended well and never ran: {text}")),
            None => mistake(format!("has no result: {text}")),
            _ => {}
        }
    }
    let answered: BTreeSet<&str> = answered.iter().map(String::as_str).collect();
    for text in &answered {
        match by_text.get(text) {
            None => mistake(format!("answered and not in the log: {text}")),
            Some(&"ok") => {}
            Some(end) => mistake(format!("answered, and the log says {end}: {text}")),
        }
    }
    for text in &executed {
        if by_text.contains_key(text.as_str()) {
            continue;
        }
        if text.starts_with("select") && !answered.contains(text.as_str()) {
            account.unrecorded_reads += 1;
        } else {
            mistake(format!("run by the server and not in the log: {text}"));
        }
    }
    for row in rows.iter().filter(|row| row.contains("mark")) {
        if !by_text.contains_key(format!("insert into book values ('{row}')").as_str()) {
            mistake(format!("a row that no intent explains: {row}"));
        }
    }
    for text in answered.iter().filter(|text| text.starts_with("insert")) {
        if text.split('\'').nth(1).is_some_and(|mark| !rows.contains(mark)) {
            mistake(format!("answered and not in the table: {text}"));
        }
    }
    let doubted: Vec<_> = by_text.iter().filter(|(_, end)| **end == "unknown_crash").collect();
    account.in_doubt = (doubted.len(), doubted.iter().filter(|(text, _)| executed.contains(**text)).count());
    (account.answered, account.intended, account.executed) = (answered.len(), by_text.len(), executed.len());
    if account.in_doubt.0 > account.rounds * CLIENTS {
        let text =
            format!("{} statements in doubt, {CLIENTS} clients killed {} times", account.in_doubt.0, account.rounds);
        account.mistakes.push(text);
    }
}

/// Statements that the server says it ran for the gateway's account.
fn executed(server: &Postgres) -> BTreeSet<String> {
    let log = server.log();
    let lines = log.lines().filter_map(|line| line.strip_prefix("@app@LOG:  "));
    let texts = lines.filter_map(|line| {
        line.strip_prefix("statement: ")
            .or_else(|| line.split_once(": ").filter(|(head, _)| head.starts_with("execute")).map(|(_, text)| text))
    });
    texts.filter(|text| text.contains("mark")).map(ToOwned::to_owned).collect()
}
