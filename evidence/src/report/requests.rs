//! What people asked for, who agreed, and what became of it: roles for a time, statements that waited, emergencies.
//!
//! Facts are gathered from the whole log, whatever the period, so that a vote before midnight counts for a use after it;
//! shown is what a wanted row speaks of. A finding says what the log says, and its reader judges it: with several gateways
//! a vote stands in the log of the gateway that it came to. Memory: the requests and their votes, both bounded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use audit::record::SessionId;
use audit::{render, time};
use serde_json::Value;

use crate::row::{Decision, Place, Row, STATEMENT};
use crate::table::Table;

/// Requests that are known at a time; later ones are counted only.
const REQUESTS_MAX: usize = 100_000;
/// Votes, uses or reviews of one request.
const STEPS_MAX: usize = 64;
/// Sessions that run under what was given.
const SESSIONS_MAX: usize = 1_000_000;
/// A vote that comes this soon was hardly read.
const QUICK_NS: u64 = 3_000_000_000;
/// Approvals of a requester from which on their spread over people says something.
const SHARE_FROM: u64 = 5;
/// Largest part of a requester's approvals that one person gives, per cent.
const SHARE_MAX: u64 = 80;
/// An emergency is to be reviewed within this time.
const REVIEW_WITHIN_NS: u64 = 24 * 3600 * 1_000_000_000;
/// By so many others.
const REVIEWS: usize = 2;
/// Clocks of nodes that share approvals may differ by this much.
const USE_TOLERANCE_NS: u64 = 60_000_000_000;

/// Issuer and subject.
pub(super) type Who = (String, String);

#[derive(Clone, Debug)]
struct Vote {
    at: (u64, Place),
    who: Who,
    approve: bool,
    channel: String,
    authenticator: String,
    reason: String,
}

#[derive(Clone, Debug)]
struct Use {
    at: (u64, Place),
    session: Option<SessionId>,
    statement: u64,
    outcome: String,
    rows: u64,
}

#[derive(Clone, Debug, Default)]
struct Request {
    is_statement: bool,
    is_emergency: bool,
    /// A wanted row speaks of it.
    shown: bool,
    asked: Option<(u64, Place)>,
    who: Who,
    role: String,
    target: String,
    rule: String,
    tables: Vec<String>,
    reason: String,
    digests: BTreeSet<String>,
    votes: Vec<Vote>,
    granted: Option<(u64, Place)>,
    until_ns: u64,
    uses: Vec<Use>,
    ended: Option<(u64, String, Who)>,
    reviews: Vec<((u64, Place), Who, String)>,
    sessions: u64,
    statements: u64,
}

impl Request {
    /// What became of it, in a word or two.
    fn state(&self) -> &str {
        match &self.ended {
            _ if !self.uses.is_empty() => "used",
            Some((_, why, _)) => why.as_str(),
            None if self.granted.is_some() && self.is_statement => "approved, not used",
            None if self.granted.is_some() => "given",
            None => "waits",
        }
    }

    fn votes(&self, names: &Names) -> String {
        let word = |vote: &Vote| {
            let with = if vote.authenticator.is_empty() { "" } else { ", authenticator" };
            let what = if vote.approve { "approved" } else { "denied" };
            format!("{} {what} ({}{with})", names.of(&vote.who), vote.channel)
        };
        self.votes.iter().map(word).collect::<Vec<_>>().join("; ")
    }

    /// Reviews by different others until then.
    fn reviewed(&self, until_ns: u64) -> usize {
        let in_time = self.reviews.iter().filter(|((at, _), who, _)| *at <= until_ns && *who != self.who);
        in_time.map(|(_, who, _)| who).collect::<BTreeSet<_>>().len()
    }
}

/// Numbers of the requests that are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Statements that waited for others.
    pub asked: u64,
    /// Approved ones.
    pub approved: u64,
    /// Used approvals.
    pub used: u64,
    /// Denied ones.
    pub denied: u64,
    /// Roles asked for.
    pub roles_asked: u64,
    /// Roles given for a time, emergencies included.
    pub roles_given: u64,
    /// Emergencies.
    pub emergencies: u64,
    /// Of them, those not reviewed in time.
    pub unreviewed: u64,
}

/// Login names of people, as far as records tell them.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeMap<Who, String>);

impl Names {
    fn learn(&mut self, row: &Row) {
        let login = row.field("login");
        if login.is_empty() {
            return;
        }
        // A name that somebody else than the actor has stands in records about that person.
        let who = match row.act.as_str() {
            "grant" | "end" => about(row),
            _ => actor(row),
        };
        if !who.1.is_empty() && (self.0.len() < REQUESTS_MAX || self.0.contains_key(&who)) {
            self.0.insert(who, login.to_owned());
        }
    }

    /// The login name; the subject where no record tells one.
    pub(super) fn of(&self, who: &Who) -> String {
        self.0.get(who).unwrap_or(&who.1).clone()
    }
}

/// Subject and issuer in one cell: names change, this does not.
pub(super) fn identity((issuer, subject): &Who) -> String {
    if issuer.is_empty() { subject.clone() } else { format!("{subject}@{issuer}") }
}

pub(super) fn actor(row: &Row) -> Who {
    (row.field("issuer").to_owned(), row.field("by").to_owned())
}

pub(super) fn about(row: &Row) -> Who {
    (row.field("about_issuer").to_owned(), row.field("about").to_owned())
}

/// The `until` of a record, 0 if it has none.
pub(super) fn until(row: &Row) -> u64 {
    time::parse(row.field("until"), 0).unwrap_or(0)
}

pub(super) fn shown_time(ns: u64) -> String {
    if ns == 0 { String::new() } else { time::format(ns, 3) }
}

fn shown_place(place: &Place) -> String {
    format!("{}/{}", place.core, place.sequence)
}

fn seconds(from: u64, to: u64) -> String {
    format!("{:.3}", to.saturating_sub(from) as f64 / 1e9)
}

/// Id of the authenticator that signed a vote; `yes` if the record keeps it in a form that is not known here.
fn authenticator(row: &Row) -> String {
    let text = row.field("assertion");
    if text.is_empty() {
        return String::new();
    }
    let digits = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(digits).collect();
    let kept = bytes.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let id = kept.as_ref().and_then(|kept| kept["credential"].as_str());
    id.unwrap_or("yes").to_owned()
}

/// What the log says about requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    requests: BTreeMap<String, Request>,
    more: u64,
    /// Statements under way with an approval: which.
    running: HashMap<(SessionId, u64), String>,
    /// Sessions under a role that was given.
    under: HashMap<SessionId, String>,
    /// Time of the last record of the log.
    last_ns: u64,
    pub(super) names: Names,
}

impl Requests {
    /// Takes a row of the log into account, wanted or not.
    pub(super) fn know(&mut self, row: &Row) {
        self.last_ns = self.last_ns.max(row.begin_ns);
        match row.kind {
            STATEMENT => self.statement(row),
            "APPROVAL" => self.approval(row),
            "ACCESS" => self.access(row),
            _ => {}
        }
    }

    /// This row is wanted, and with it what it speaks of.
    pub(super) fn want(&mut self, row: &Row) {
        if let Some(request) = self.requests.get_mut(row.field("id")) {
            request.shown = true;
        }
    }

    fn at(&mut self, id: &str) -> Option<&mut Request> {
        if id.is_empty() || (self.requests.len() >= REQUESTS_MAX && !self.requests.contains_key(id)) {
            self.more += 1;
            return None;
        }
        Some(self.requests.entry(id.to_owned()).or_default())
    }

    fn statement(&mut self, row: &Row) {
        let Some(session) = row.session else { return };
        if let Some(id) = self.under.get(&session)
            && let Some(request) = self.requests.get_mut(id)
        {
            request.statements += 1;
        }
        let Some(id) = self.running.remove(&(session, row.statement)) else { return };
        let uses = self.requests.get_mut(&id).map(|request| &mut request.uses);
        let same = |used: &&mut Use| used.session == Some(session) && used.statement == row.statement;
        if let Some(used) = uses.and_then(|uses| uses.iter_mut().find(same)) {
            (used.outcome, used.rows) = (row.outcome.clone(), row.rows);
        }
    }

    fn approval(&mut self, row: &Row) {
        let at = (row.begin_ns, row.place);
        let Some(request) = self.at(row.field("id")) else { return };
        request.is_statement = true;
        request.digests.insert(row.field("digest").to_owned());
        if request.rule.is_empty() {
            request.rule.clone_from(&row.rule);
        }
        if request.target.is_empty() {
            request.target.clone_from(&row.facts.target);
        }
        if request.who.1.is_empty() && row.act != "vote" {
            request.who = actor(row);
        }
        match row.act.as_str() {
            // Another session that waits for the same records it too; the first one counts.
            "request" if request.asked.is_none() => {
                request.asked = Some(at);
                row.field("role").clone_into(&mut request.role);
                row.field("reason").clone_into(&mut request.reason);
                request.tables.clone_from(&row.tables);
            }
            "vote" => vote(request, row),
            "grant" => {
                request.granted = request.granted.or(Some(at));
                request.until_ns = until(row);
            }
            "consume" if request.uses.len() < STEPS_MAX => {
                let (session, statement) = (row.session, row.statement);
                request.uses.push(Use { at, session, statement, outcome: String::new(), rows: 0 });
                if let Some(session) = session.filter(|_| self.running.len() < SESSIONS_MAX) {
                    self.running.insert((session, statement), row.field("id").to_owned());
                }
            }
            "end" => request.ended = Some((at.0, row.field("reason").to_owned(), Who::default())),
            _ => {}
        }
    }

    fn access(&mut self, row: &Row) {
        self.names.learn(row);
        let at = (row.begin_ns, row.place);
        let id = row.field("id");
        match row.act.as_str() {
            "request" | "vote" | "grant" | "break_glass" | "break_glass_review" => {}
            "bind" => {
                let Some(request) = self.requests.get_mut(id) else { return };
                request.sessions += 1;
                if let Some(session) = row.session.filter(|_| self.under.len() < SESSIONS_MAX) {
                    self.under.insert(session, id.to_owned());
                }
                return;
            }
            "end" => {
                if let Some(request) = self.requests.get_mut(id) {
                    request.ended = Some((at.0, row.field("detail").to_owned(), actor(row)));
                }
                return;
            }
            _ => return,
        }
        let Some(request) = self.at(id) else { return };
        if request.who.1.is_empty() {
            request.who = about(row);
        }
        for (have, said) in [(&mut request.role, row.field("about_role")), (&mut request.target, &row.facts.target)] {
            if have.is_empty() {
                said.clone_into(have);
            }
        }
        let reason = row.field("reason");
        match row.act.as_str() {
            "request" => (request.asked, request.reason) = (Some(at), reason.to_owned()),
            "vote" => vote(request, row),
            "grant" => {
                (request.granted, request.until_ns) = (Some(at), until(row));
                reason.clone_into(&mut request.reason);
            }
            "break_glass" => {
                request.is_emergency = true;
                (request.asked, request.granted, request.until_ns) = (Some(at), Some(at), until(row));
                reason.clone_into(&mut request.reason);
            }
            "break_glass_review" if request.reviews.len() < STEPS_MAX => {
                request.is_emergency = true;
                request.reviews.push((at, actor(row), reason.to_owned()));
            }
            _ => {}
        }
    }

    fn shown(&self) -> impl Iterator<Item = (&String, &Request)> {
        self.requests.iter().filter(|(_, request)| request.shown)
    }

    /// Shown requests in the order in which they began.
    fn ordered(&self, of: impl Fn(&Request) -> bool) -> Vec<(&String, &Request)> {
        let mut list: Vec<_> = self.shown().filter(|(_, request)| of(request)).collect();
        list.sort_by_key(|(id, request)| (begun(request), *id));
        list
    }

    /// Their numbers.
    pub(super) fn numbers(&self) -> Agreed {
        let mut n = Agreed::default();
        for (_, request) in self.shown() {
            let given = u64::from(request.granted.is_some());
            let is_denied = request.ended.as_ref().is_some_and(|(_, why, _)| why == "denied");
            if request.is_statement {
                n.asked += 1;
                n.approved += given;
                n.used += u64::from(!request.uses.is_empty());
                n.denied += u64::from(is_denied);
            } else {
                n.roles_asked += u64::from(request.asked.is_some() && !request.is_emergency);
                n.roles_given += given;
                n.emergencies += u64::from(request.is_emergency);
                n.unreviewed += u64::from(request.is_emergency && self.review(request) == Reviewing::Late);
            }
        }
        n
    }

    fn review(&self, request: &Request) -> Reviewing {
        let due = request.asked.map_or(0, |(at, _)| at.saturating_add(REVIEW_WITHIN_NS));
        match request.reviewed(due) >= REVIEWS {
            // Its beginning is not in this log, so neither is its time.
            _ if request.asked.is_none() => Reviewing::Due(0),
            true => Reviewing::InTime,
            false if due > self.last_ns => Reviewing::Due(due),
            false => Reviewing::Late,
        }
    }

    /// Records of approvals being used: id of the request, core, sequence, in order of time.
    pub(super) fn uses(&self) -> Vec<(String, u16, u64)> {
        let mut uses: Vec<(u64, &String, Place)> = Vec::new();
        for (id, request) in self.shown() {
            uses.extend(request.uses.iter().map(|used| (used.at.0, id, used.at.1)));
        }
        uses.sort_unstable();
        uses.into_iter().map(|(_, id, place)| (id.clone(), place.core, place.sequence)).collect()
    }

    /// Statements that waited for others.
    pub(super) fn approvals(&self) -> Table {
        let head = [
            "id",
            "asked",
            "record",
            "requester",
            "identity",
            "role",
            "target",
            "rule",
            "tables",
            "reason",
            "votes",
            "granted",
            "used",
            "used_record",
            "session",
            "statement",
            "outcome",
            "rows_returned",
            "ended",
            "elapsed_s",
            "findings",
        ];
        let mut table = Table::new("approvals", "Statements that waited for other people", &head);
        let mut findings: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for found in self.found() {
            findings.entry(found.id).or_default().push(found.name);
        }
        for (id, request) in self.ordered(|request| request.is_statement) {
            let used = request.uses.first();
            let last = used.map(|used| used.at.0).or_else(|| request.ended.as_ref().map(|(at, ..)| *at));
            let elapsed = request.asked.zip(last).map(|((asked, _), last)| seconds(asked, last));
            let session = used.and_then(|used| used.session).map(|session| render::hex(&session.0));
            table.push(vec![
                id.clone(),
                shown_time(request.asked.map_or(0, |(at, _)| at)),
                request.asked.map(|(_, place)| shown_place(&place)).unwrap_or_default(),
                self.names.of(&request.who),
                identity(&request.who),
                request.role.clone(),
                request.target.clone(),
                request.rule.clone(),
                request.tables.join(" "),
                request.reason.clone(),
                request.votes(&self.names),
                shown_time(request.granted.map_or(0, |(at, _)| at)),
                shown_time(used.map_or(0, |used| used.at.0)),
                used.map(|used| shown_place(&used.at.1)).unwrap_or_default(),
                session.unwrap_or_default(),
                used.map(|used| used.statement.to_string()).unwrap_or_default(),
                used.map(|used| used.outcome.clone()).unwrap_or_default(),
                used.map(|used| used.rows.to_string()).unwrap_or_default(),
                request.state().to_owned(),
                elapsed.unwrap_or_default(),
                findings.get(id).map(|names| names.join(" ")).unwrap_or_default(),
            ]);
        }
        table.more += self.more;
        table
    }

    /// Votes on statements and on roles.
    pub(super) fn votes(&self) -> Table {
        let head = [
            "id",
            "about",
            "time",
            "record",
            "voter",
            "identity",
            "vote",
            "channel",
            "authenticator",
            "reason",
            "seconds_after_request",
        ];
        let mut table = Table::new("votes", "Votes on statements and on roles", &head);
        for (id, request) in self.ordered(|request| !request.votes.is_empty()) {
            for vote in &request.votes {
                let about = if request.is_statement { "statement" } else { "role" };
                table.push(vec![
                    id.clone(),
                    about.to_owned(),
                    shown_time(vote.at.0),
                    shown_place(&vote.at.1),
                    self.names.of(&vote.who),
                    identity(&vote.who),
                    if vote.approve { "approve" } else { "deny" }.to_owned(),
                    vote.channel.clone(),
                    vote.authenticator.clone(),
                    vote.reason.clone(),
                    request.asked.map(|(asked, _)| seconds(asked, vote.at.0)).unwrap_or_default(),
                ]);
            }
        }
        table.with_note(
            "authenticator: the key that signed the vote over what was voted on; empty for a vote without one",
        )
    }

    /// Roles asked for and given for a time.
    pub(super) fn grants(&self) -> Table {
        let head = [
            "id",
            "person",
            "identity",
            "target",
            "role",
            "way",
            "asked",
            "from",
            "until",
            "purpose",
            "votes",
            "sessions",
            "statements",
            "ended",
            "how",
            "by",
        ];
        let mut table = Table::new("grants", "Roles asked for and given for a time", &head);
        for (id, request) in self.ordered(|request| !request.is_statement) {
            let way = match (request.is_emergency, request.votes.is_empty()) {
                (true, _) => "emergency",
                (false, false) => "voted on",
                (false, true) if request.granted.is_some() => "by rule",
                (false, true) => "",
            };
            let (ended, by) = request.ended.as_ref().map_or((0, None), |(at, _, by)| (*at, Some(by)));
            table.push(vec![
                id.clone(),
                self.names.of(&request.who),
                identity(&request.who),
                request.target.clone(),
                request.role.clone(),
                way.to_owned(),
                shown_time(request.asked.map_or(0, |(at, _)| at)),
                shown_time(request.granted.map_or(0, |(at, _)| at)),
                shown_time(if request.granted.is_some() { request.until_ns } else { 0 }),
                request.reason.clone(),
                request.votes(&self.names),
                request.sessions.to_string(),
                request.statements.to_string(),
                shown_time(ended),
                request.state().to_owned(),
                by.map(|by| self.names.of(by)).unwrap_or_default(),
            ]);
        }
        table.with_note("a role that comes from a person's groups alone is not given for a time and is not listed here")
    }

    /// Emergencies and their reviews.
    pub(super) fn emergencies(&self) -> Table {
        let head = [
            "id",
            "time",
            "record",
            "person",
            "identity",
            "target",
            "role",
            "until",
            "reason",
            "sessions",
            "statements",
            "ended",
            "reviews",
            "in_time",
        ];
        let mut table = Table::new("emergencies", "Roles taken in an emergency, and who reviewed it", &head);
        for (id, request) in self.ordered(|request| request.is_emergency) {
            let review = |((at, _), who, finding): &((u64, Place), Who, String)| {
                format!("{} {}: {finding}", self.names.of(who), time::format(*at, 0))
            };
            let reviews: Vec<String> = request.reviews.iter().map(review).collect();
            let in_time = match self.review(request) {
                Reviewing::InTime => "yes".to_owned(),
                Reviewing::Late => "no".to_owned(),
                Reviewing::Due(0) => String::new(),
                Reviewing::Due(due) => format!("due {}", time::format(due, 0)),
            };
            table.push(vec![
                id.clone(),
                shown_time(request.asked.map_or(0, |(at, _)| at)),
                request.asked.map(|(_, place)| shown_place(&place)).unwrap_or_default(),
                self.names.of(&request.who),
                identity(&request.who),
                request.target.clone(),
                request.role.clone(),
                shown_time(request.until_ns),
                request.reason.clone(),
                request.sessions.to_string(),
                request.statements.to_string(),
                request.state().to_owned(),
                reviews.join("; "),
                in_time,
            ]);
        }
        table.with_note("two others are to review each within 24 hours")
    }

    /// What somebody should look at.
    pub(super) fn findings(&self) -> Table {
        let head = ["id", "finding", "person", "detail"];
        let mut table = Table::new("approval-findings", "Approvals and emergencies that need an explanation", &head);
        for found in self.found() {
            let person = self.names.of(&found.who);
            table.push(vec![found.id, found.name.to_owned(), person, found.detail]);
        }
        table.with_note(
            "with several gateways, votes and grants stand in the log of the gateway that they came to: look there before \
             judging one that is missing here",
        )
    }

    fn found(&self) -> Vec<Found> {
        let mut found = Vec::new();
        for (id, request) in self.ordered(|_| true) {
            self.look(id, request, &mut found);
        }
        self.spread(&mut found);
        found
    }

    fn look(&self, id: &str, request: &Request, found: &mut Vec<Found>) {
        let mut say = |name: &'static str, who: &Who, detail: String| {
            found.push(Found { id: id.to_owned(), name, who: who.clone(), detail });
        };
        let own = &request.who;
        match (request.uses.as_slice(), request.granted) {
            ([], _) => {}
            ([first, ..], None) => {
                say("used-without-grant", own, format!("used {}; this log has no grant", shown_time(first.at.0)));
            }
            ([first, ..], Some(_)) => {
                let late = request.until_ns > 0 && first.at.0 > request.until_ns.saturating_add(USE_TOLERANCE_NS);
                if late {
                    let (until, used) = (shown_time(request.until_ns), shown_time(first.at.0));
                    say("used-after-end", own, format!("good until {until}, used {used}"));
                }
            }
        }
        if request.uses.len() > 1 {
            say("used-again", own, format!("{} uses of one approval", request.uses.len()));
        }
        if request.digests.len() > 1 {
            say("not-the-same", own, "records of one approval are about different statements".to_owned());
        }
        let approving = || request.votes.iter().filter(|vote| vote.approve);
        if request.is_statement && request.granted.is_some() && approving().next().is_none() {
            say("granted-without-vote", own, "this log has no vote for it".to_owned());
        }
        let denied = request.votes.iter().find(|vote| !vote.approve);
        if let Some(vote) = denied.filter(|_| request.granted.is_some()) {
            say("granted-although-denied", &vote.who, format!("denied {}", shown_time(vote.at.0)));
        }
        for vote in approving() {
            if vote.who == *own {
                say("own-vote", own, format!("approved what they asked for, {}", shown_time(vote.at.0)));
            }
            let Some((asked, _)) = request.asked else { continue };
            if vote.at.0.saturating_sub(asked) < QUICK_NS {
                let after = seconds(asked, vote.at.0);
                say("quick-vote", &vote.who, format!("approved {after} s after it was asked for"));
            }
        }
        if request.is_emergency && self.review(request) == Reviewing::Late {
            let due = request.asked.map_or(0, |(at, _)| at.saturating_add(REVIEW_WITHIN_NS));
            let count = request.reviewed(due);
            say("not-reviewed-in-time", own, format!("{count} of {REVIEWS} reviews until {}", time::format(due, 0)));
        }
        if let Some((_, who, _)) = request.reviews.iter().find(|(_, who, _)| who == own) {
            say("own-review", who, "reviewed their own emergency".to_owned());
        }
    }

    /// One person who approves nearly everything that another one asks for.
    fn spread(&self, found: &mut Vec<Found>) {
        let mut asked: BTreeMap<&Who, (u64, BTreeMap<&Who, u64>)> = BTreeMap::new();
        for (_, request) in self.shown() {
            let voters: BTreeSet<&Who> =
                request.votes.iter().filter(|vote| vote.approve).map(|vote| &vote.who).collect();
            if voters.is_empty() {
                continue;
            }
            let (count, of) = asked.entry(&request.who).or_default();
            *count += 1;
            voters.into_iter().for_each(|voter| *of.entry(voter).or_default() += 1);
        }
        for (requester, (count, voters)) in asked.iter().filter(|(_, (count, _))| *count >= SHARE_FROM) {
            for (voter, approved) in voters.iter().filter(|(_, approved)| **approved * 100 > count * SHARE_MAX) {
                let name = self.names.of(requester);
                let detail = format!("approved {approved} of the {count} approved requests of {name}");
                found.push(Found { id: String::new(), name: "one-approver", who: (*voter).clone(), detail });
            }
        }
    }
}

fn begun(request: &Request) -> u64 {
    let asked = request.asked.or(request.granted).or_else(|| request.votes.first().map(|vote| vote.at));
    asked.or_else(|| request.uses.first().map(|used| used.at)).map_or(0, |(at, _)| at)
}

fn vote(request: &mut Request, row: &Row) {
    if request.votes.len() < STEPS_MAX {
        request.votes.push(Vote {
            at: (row.begin_ns, row.place),
            who: actor(row),
            approve: row.decision == Decision::Allowed,
            channel: row.field("detail").split(' ').nth(1).unwrap_or_default().to_owned(),
            authenticator: authenticator(row),
            reason: row.field("reason").to_owned(),
        });
    }
}

struct Found {
    id: String,
    name: &'static str,
    who: Who,
    detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reviewing {
    InTime,
    Late,
    /// Not yet over; 0 if its beginning is not known.
    Due(u64),
}
