//! A statement that waits until other people approve it.
//!
//! ```text
//!   held by a rule ─▶ Before: what came before is answered ─▶ Answer: asked ─▶ People ─▶ run | refused | withdrawn
//! ```
//!
//! Invariants: nothing of it is upstream while it waits, and nothing behind it is read; what is asked is a digest of
//! everything that decides what it does, taken when nothing before it can change that any more, and taken again when rules
//! change; it runs only behind two durable records, that the approval is used and that the statement is about to run,
//! whatever the target's mode; who leaves takes it back. Deliberately absent: who may vote, clocks, and the store.

use crate::approval::{self, Bound, HoldAnswer, HoldAsked, HoldQuestion};
use crate::host::Host;
use crate::judged::{Judged, Verdicts, word};
use crate::refused::{Refused, block};
use crate::sealed::{Moment, Parameters};
use crate::serve::{NOT_RECORDED, Session, not_recorded, text_of};
use crate::settings;
use audit::record::{Actor, Approval, Record};
use contract::{Fault, Given, Refusal, Serving, Verdict, Via};
use policy::model::{Hold, InTransaction};
use policy::{Fate, code};
use std::rc::Rc;
use zeroize::Zeroizing;

/// Longest that nobody says what becomes of a statement, in nanoseconds.
const ANSWER_MAX_NS: u64 = 15_000_000_000;
/// Names and classes of a question.
const CLASSES_MAX: usize = 64;
/// Parameters that are kept so that they can be shown: of one Bind, and of a session, in bytes.
pub(crate) const KEPT_BYTES_MAX: usize = 8 << 10;
pub(crate) const KEPT_BYTES_IN_ALL: usize = 64 << 10;

/// What a statement waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// That what came before it is answered.
    Before,
    /// To hear what becomes of it, asked then (nanoseconds of the host).
    Answer(u64),
    /// For votes.
    People,
}

/// A statement that waits.
#[derive(Debug)]
pub(crate) struct Parked {
    token: Rc<Judged>,
    via: Via,
    row_limit: u32,
    parameters: Option<Parameters>,
    waits: Waits,
    /// Number of the statement; 0 before it is asked about.
    number: u64,
    /// Which of the rules that hold it is asked about.
    rule: usize,
    digest: [u8; 32],
    /// Id that it was asked with: what answers that is about this statement, nothing else is.
    asked: String,
    id: String,
    link: String,
    until_ns: u64,
    /// When it was first asked about.
    since_ns: u64,
    notice_ns: u64,
    /// It changed since it was asked about.
    stale: bool,
    /// Why it is not wanted any more.
    unwanted: Option<&'static str>,
    answers: Vec<HoldAnswer>,
}

impl Parked {
    fn new(token: Rc<Judged>, via: Via, row_limit: u32, parameters: Option<Parameters>) -> Box<Self> {
        Box::new(Self {
            token,
            via,
            row_limit,
            parameters,
            waits: Waits::Before,
            number: 0,
            rule: 0,
            digest: [0; 32],
            asked: String::new(),
            id: String::new(),
            link: String::new(),
            until_ns: 0,
            since_ns: 0,
            notice_ns: 0,
            stale: false,
            unwanted: None,
            answers: Vec::new(),
        })
    }
}

/// How a statement that waited goes on.
enum Next {
    /// It waits.
    Wait,
    /// It runs; with this request's approval, or because it need not be held.
    Run(Option<String>),
    /// It does not run.
    Refuse(Refusal),
    /// It does not run, and the log cannot take even that.
    Unrecorded,
}

impl<S: Serving<Verdicts>> Session<S> {
    /// Holds a statement.
    pub(crate) fn park(&mut self, token: Rc<Judged>, via: Via, row_limit: u32, parameters: Option<Parameters>) {
        self.parked = Some(Parked::new(token, via, row_limit, parameters));
    }

    /// A statement waits for approval: a cancellation is for it, and the client may leave.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    /// An answer to what was asked with this id. What is not about the statement that waits now is dropped.
    pub fn answer(&mut self, asked: &str, answer: HoldAnswer) {
        if let Some(parked) = &mut self.parked
            && parked.waits != Waits::Before
            && parked.asked == asked
        {
            parked.answers.push(answer);
        }
    }

    /// The statement that waits is not wanted any more: `cancelled`, `disconnected`, `drain`.
    pub fn give_back(&mut self, reason: &'static str) {
        if let Some(parked) = &mut self.parked {
            parked.unwanted.get_or_insert(reason);
        }
    }

    /// What the session has to say about statements that are held, since the last call.
    pub fn questions(&mut self) -> impl Iterator<Item = HoldQuestion> {
        self.questions.drain(..)
    }

    /// When the statement that waits is to be looked after, in nanoseconds of the host.
    pub(crate) fn parked_until(&self) -> Option<u64> {
        let parked = self.parked.as_ref()?;
        match parked.waits {
            Waits::Before => None,
            Waits::Answer(since) => Some(since.saturating_add(ANSWER_MAX_NS)),
            Waits::People => Some(parked.notice_ns.min(parked.since_ns.saturating_add(self.info.hold_max_ns))),
        }
    }

    /// Takes the statement that waits as far as it goes; true when it waits no more.
    pub(crate) fn look_after<H: Host>(&mut self, host: &H) -> Result<bool, Fault> {
        let Some(mut parked) = self.parked.take() else { return Ok(true) };
        match self.next(host, &mut parked)? {
            Next::Wait => {
                self.parked = Some(parked);
                Ok(false)
            }
            Next::Run(approval) => self.run(host, parked, approval).map(|()| true),
            Next::Refuse(refusal) => self.end_parked(host, &parked, refusal).map(|()| true),
            Next::Unrecorded => self.unrecorded(host).map(|()| true),
        }
    }

    fn next<H: Host>(&mut self, host: &H, parked: &mut Parked) -> Result<Next, Fault> {
        if self.serving.is_skipping() {
            self.withdraw(parked, "changed");
            return Ok(Next::Refuse(withdrawn(&self.rule(parked), "a statement before it failed")));
        }
        if self.serving.is_left(&self.down) {
            parked.unwanted.get_or_insert("disconnected");
        }
        if let Some(reason) = parked.unwanted {
            if reason == "drain" && parked.waits == Waits::People {
                return Ok(Next::Refuse(self.later(parked, "the gateway is about to stop")));
            }
            self.withdraw(parked, reason);
            return Ok(Next::Refuse(withdrawn(&self.rule(parked), "canceling statement due to user request")));
        }
        loop {
            if parked.waits == Waits::Before {
                if !self.serving.is_settled(&mut self.down) {
                    return Ok(Next::Wait);
                }
                if self.settings.wait() && !self.serving.in_transaction() {
                    self.settings.settle(self.serving.failures());
                }
                if let Err(refusal) = self.question(host, parked) {
                    return Ok(Next::Refuse(refusal));
                }
            }
            let first = matches!(parked.waits, Waits::Answer(_));
            if parked.answers.is_empty() {
                return Ok(self.patience(host, parked));
            }
            let answer = parked.answers.remove(0);
            if first && std::mem::take(&mut parked.stale) {
                // About what it was: a request for that is taken back, an approval of it is good for nothing.
                if let HoldAnswer::Waiting { id, .. } = answer {
                    parked.id = id;
                    self.withdraw(parked, "changed");
                }
                (parked.waits, parked.rule) = (Waits::Before, 0);
                continue;
            }
            if !first && answer_id(&answer) != Some(parked.id.as_str()) {
                continue;
            }
            match answer {
                HoldAnswer::Free => {
                    parked.rule += 1;
                    parked.waits = Waits::Before;
                    if parked.rule >= parked.token.holds.len() {
                        return Ok(Next::Run(None));
                    }
                }
                HoldAnswer::Granted { id } => return Ok(Next::Run(Some(id))),
                HoldAnswer::Refused { id, why } => return Ok(Next::Refuse(self.said_no(parked, &id, why))),
                HoldAnswer::Waiting { id, link, until_ns } => {
                    let own = id == parked.id;
                    (parked.id, parked.link, parked.until_ns) = (id, link, until_ns);
                    if !first {
                        continue;
                    }
                    parked.waits = Waits::People;
                    if own && self.requested(host, parked).is_err() {
                        self.withdraw(parked, "changed");
                        return Ok(Next::Unrecorded);
                    }
                    if self.must_not_wait(parked) {
                        return Ok(Next::Refuse(self.later(parked, "it does not wait in a transaction")));
                    }
                    parked.notice_ns = host.now_ns();
                }
            }
        }
    }

    /// Nobody has said anything: how long to wait on, and what the client is told meanwhile.
    fn patience<H: Host>(&mut self, host: &H, parked: &mut Parked) -> Next {
        let now_ns = host.now_ns();
        match parked.waits {
            Waits::Before => Next::Wait,
            Waits::Answer(since) if now_ns.saturating_sub(since) < ANSWER_MAX_NS => Next::Wait,
            Waits::Answer(_) => {
                self.withdraw(parked, "changed");
                Next::Refuse(self.said_no(parked, "", "unavailable"))
            }
            Waits::People if now_ns.saturating_sub(parked.since_ns) >= self.info.hold_max_ns => {
                Next::Refuse(self.later(parked, "nobody has approved it yet"))
            }
            Waits::People => {
                if now_ns >= parked.notice_ns {
                    parked.notice_ns = now_ns.saturating_add(self.info.hold_notice_ns.max(1));
                    let rule = self.rule(parked);
                    let said = rule.as_ref().and_then(|hold| hold.rule.message.clone());
                    let what = said.unwrap_or_else(|| "the statement waits for approval".to_owned());
                    let (id, link, until) = (&parked.id, &parked.link, approval::clock(parked.until_ns));
                    let at = if link.is_empty() { String::new() } else { format!(", {link}") };
                    let message = format!("{what}: approval {id} pending until {until}{at}");
                    self.serving.notice(&mut self.up, "NOTICE", "00000", &message);
                }
                Next::Wait
            }
        }
    }

    /// The rule that is asked about.
    fn rule(&self, parked: &Parked) -> Option<Hold> {
        let index = *parked.token.holds.get(parked.rule)?;
        self.grant.epoch().bundle().model().holds.get(index).cloned()
    }

    fn must_not_wait(&self, parked: &Parked) -> bool {
        let refuses = self.rule(parked).is_none_or(|hold| hold.in_transaction == InTransaction::Refuse);
        refuses && self.serving.in_transaction()
    }

    /// Text of the statement.
    fn parked_text<'a>(&'a self, parked: &'a Parked) -> &'a [u8] {
        text_of(&self.serving, &self.down, &parked.token, parked.via)
    }

    /// Asks about the statement as it is now.
    fn question<H: Host>(&mut self, host: &H, parked: &mut Parked) -> Result<(), Refusal> {
        let Some(hold) = self.rule(parked) else { return Err(self.said_no(parked, "", "unavailable")) };
        let Some(given) = self.serving.given() else {
            let message = "the statement is held, and what it was given is not known any more".to_owned();
            let hint = Some("Bind it again.".to_owned());
            return Err(Refusal { code: code::CANNOT_WAIT, rule: hold.rule.name, message, hint, position: None });
        };
        if self.must_not_wait(parked) && !(self.settings.are_known() && self.is_sure(&parked.token)) {
            // An approval would be for this very question, and it does not wait for one.
            let message = "the statement is held, and what it means here is not known for sure".to_owned();
            let hint = "Set parameters before the transaction begins, each by a SET of its own, and do without cursors \
                        and temporary relations.";
            let hint = Some(hint.to_owned());
            return Err(Refusal { code: code::CANNOT_WAIT, rule: hold.rule.name, message, hint, position: None });
        }
        let Some(random) = host.random() else { return Err(self.said_no(parked, "", "unavailable")) };
        if parked.number == 0 {
            self.statements += 1;
            parked.number = self.statements;
            parked.since_ns = host.now_ns();
        }
        let masking = self.masking(&parked.token);
        parked.asked = approval::request_id(random);
        parked.id.clone_from(&parked.asked);
        parked.answers.clear();
        parked.digest = self.digest(parked, &given, &masking);
        let text = self.parked_text(parked);
        let readable = std::str::from_utf8(text).unwrap_or_default();
        // The core's facts may be those of another text of the same form: places are of this one.
        let index = parked.token.holds.get(parked.rule).copied().unwrap_or(usize::MAX);
        let exact = lineage::analyse(readable).map(|facts| facts.statements).unwrap_or_default();
        let marks = self.grant.marks(index, readable, &exact, &self.names);
        let info = &self.info;
        let asked = HoldAsked {
            id: parked.id.clone(),
            statement: parked.number,
            issuer: info.issuer.clone(),
            subject: info.subject.clone(),
            user: info.user.clone(),
            role: self.grant.role().to_owned(),
            target: info.target,
            database: info.database.clone(),
            rule: hold.rule.name.clone(),
            approvers: hold.approvers,
            approvals: hold.approvals,
            distinct_groups: hold.distinct_groups,
            digest: parked.digest,
            text: Zeroizing::new(text.to_vec()),
            parameters: approval::shown(&given, parked.token.guarded),
            sent: self.for_estimate(&parked.token, &given, hold.rows_over),
            tables: parked.token.tables.to_vec(),
            classes: self.classes(&parked.token, masking),
            marks,
            rows_over: hold.rows_over,
            purpose: info.purpose.clone(),
            source: info.source.clone(),
        };
        self.questions.push(HoldQuestion::Ask(Box::new(asked)));
        parked.waits = Waits::Answer(host.now_ns());
        Ok(())
    }

    /// Parameters for an estimate, which another session asks for.
    fn for_estimate(&self, token: &Judged, given: &Given, rows_over: u64) -> Option<Vec<approval::Sent>> {
        let known = given.digest.is_none() || given.values.is_some();
        let sent = || if rows_over > 0 { approval::sent(given) } else { Vec::new() };
        (known && !self.names.own_path && self.is_sure(token) && self.settings.are_plain()).then(sent)
    }

    /// What becomes of the columns of the results.
    fn masking(&self, token: &Judged) -> Vec<(String, String, String)> {
        let classes = &self.grant.epoch().bundle().model().classes;
        let columns = token.allowed.iter().flat_map(|one| self.grant.plan_columns(one.source()));
        let named = columns.map(|column| {
            let class = column.class.and_then(|class| classes.get(usize::from(class)));
            let class = class.map_or("unclassified", |class| class.name.as_str()).to_owned();
            let method = match &column.fate {
                Fate::Clear => "clear",
                Fate::Refused => "refuse",
                Fate::Masked | Fate::Redacted(_) => word(self.grant.redaction(&column.fate)),
            };
            (column.output, class, method.to_owned())
        });
        named.collect()
    }

    /// Classes that the statement touches, and what becomes of each in the answer.
    fn classes(&self, token: &Judged, masking: Vec<(String, String, String)>) -> Vec<(String, String)> {
        let mut classes: Vec<(String, String)> = Vec::new();
        for (_, class, method) in masking {
            if class != "unclassified" && !classes.iter().any(|(c, m)| *c == class && *m == method) {
                classes.push((class, method));
            }
        }
        let model = self.grant.epoch().bundle().model();
        for class in self.grant.classes(&token.facts.statements, !self.names.own_path) {
            let Some(class) = model.classes.get(usize::from(class)) else { continue };
            if !classes.iter().any(|(name, _)| *name == class.name) {
                classes.push((class.name.clone(), "not returned".to_owned()));
            }
        }
        classes.truncate(CLASSES_MAX);
        classes
    }

    /// The text and what is known of the session's settings say all of what the statement does here.
    fn is_sure(&self, token: &Judged) -> bool {
        let of_cursor = token.facts.statements.iter().any(|statement| statement.of_cursor);
        self.serving.is_read_anew() && !self.names.shadows && !of_cursor && !settings::reads(&token.facts)
    }

    fn digest(&self, parked: &Parked, given: &Given, masking: &[(String, String, String)]) -> [u8; 32] {
        let info = &self.info;
        let rule = self.rule(parked).map(|hold| hold.rule.name).unwrap_or_default();
        let settings = self.settings.digest(&parked.asked, self.is_sure(&parked.token));
        let bound = Bound {
            issuer: &info.issuer,
            subject: &info.subject,
            target: &info.target_name,
            database: &info.database,
            role: self.grant.role(),
            rule: &rule,
            operation: (if parked.via == Via::Simple { "simple" } else { "execute" }, parked.row_limit),
            text: self.parked_text(parked),
            given,
            settings: &settings,
            in_transaction: self.serving.in_transaction(),
            bundle: self.grant.epoch().bundle().digest(),
            masking,
        };
        bound.digest()
    }

    /// Records that approval was asked for.
    fn requested<H: Host>(&self, host: &H, parked: &Parked) -> Result<(), Fault> {
        let (text, sealed_text) = self.info.seal_text(parked.number, self.parked_text(parked));
        let rule = self.rule(parked).map(|hold| hold.rule.name).unwrap_or_default();
        let record = Record::Approval(Approval {
            kind: "request",
            text,
            sealed_text: &sealed_text,
            tables: &parked.token.tables,
            reason: &self.info.purpose,
            until_ns: parked.until_ns,
            ..self.record(parked, &parked.id, &rule)
        });
        self.book.write(host, &record).map(drop).map_err(|_| NOT_RECORDED)
    }

    fn record<'a>(&'a self, parked: &Parked, id: &'a str, rule: &'a str) -> Approval<'a> {
        let info = &self.info;
        Approval {
            session: info.id,
            statement: parked.number,
            actor: Actor { issuer: &info.issuer, subject: &info.subject, role: self.grant.role() },
            id,
            digest: parked.digest,
            target: &info.target_name,
            rule,
            ..Approval::default()
        }
    }

    /// Runs it: an approval is recorded as used before the statement is recorded.
    fn run<H: Host>(&mut self, host: &H, parked: Box<Parked>, approval: Option<String>) -> Result<(), Fault> {
        if let Some(id) = &approval {
            let rule = self.rule(&parked).map(|hold| hold.rule.name).unwrap_or_default();
            let record = Record::Approval(Approval { kind: "consume", ..self.record(&parked, id, &rule) });
            if self.book.write(host, &record).is_err() {
                return self.unrecorded(host);
            }
        }
        let Parked { token, via, row_limit, parameters, number, .. } = *parked;
        self.intend_as(host, token, via, row_limit, (false, Some((number, approval.is_some()))), parameters)
    }

    fn unrecorded<H: Host>(&mut self, host: &H) -> Result<(), Fault> {
        host.given_up();
        self.excuse();
        self.serving.resolve(&mut self.down, &mut self.up, Verdict::Refuse(not_recorded()))
    }

    /// It does not run: recorded, and said in its turn.
    fn end_parked<H: Host>(&mut self, host: &H, parked: &Parked, refusal: Refusal) -> Result<(), Fault> {
        if parked.number == 0 {
            self.statements += 1;
        }
        let refused = Refused { statement: self.statements, text: self.parked_text(parked), refusal: &refusal };
        block(host, &self.book, &self.info, &refused, &self.grant, self.names.own_path)?;
        self.mark(Moment::Refused);
        self.serving.resolve(&mut self.down, &mut self.up, Verdict::Refuse(refusal))
    }

    /// Says that this session waits no more. A `timeout` leaves the request, so that it can be approved and used later.
    fn withdraw(&mut self, parked: &Parked, reason: &'static str) {
        if parked.waits != Waits::Before {
            self.questions.push(HoldQuestion::Withdraw { asked: parked.asked.clone(), reason });
        }
    }

    /// It fails now and can be run once it is approved: the request stays.
    fn later(&mut self, parked: &Parked, why: &str) -> Refusal {
        self.withdraw(parked, "timeout");
        let rule = self.rule(parked).map(|hold| hold.rule.name).unwrap_or_default();
        let (id, until) = (&parked.id, approval::clock(parked.until_ns));
        let at = if parked.link.is_empty() { String::new() } else { format!(" at {}", parked.link) };
        Refusal {
            code: code::HELD,
            message: format!("approval {id} is needed to run this: {why}"),
            hint: Some(format!("Have it approved{at}, then run the identical statement again before {until}.")),
            rule,
            position: None,
        }
    }

    fn said_no(&self, parked: &Parked, id: &str, why: &'static str) -> Refusal {
        let hold = self.rule(parked);
        let of = if id.is_empty() { String::new() } else { format!("{id}: ") };
        let (message, hint) = match why {
            "denied" => ("approval was refused", None),
            "expired" => ("approval was not given in time", Some("Run the statement again to ask once more.")),
            "revoked" => ("the approval was taken back", Some("Run the statement again to ask once more.")),
            "withdrawn" => {
                ("the request for approval was taken back", Some("Run the statement again to ask once more."))
            }
            "used" => (
                "another run of the same statement has used the approval",
                Some("Run the statement again to ask once more."),
            ),
            "too_many" => {
                ("too many requests of yours wait, or this one was refused a moment ago", Some("Wait for them."))
            }
            _ => ("approval is needed, and cannot be asked for now", Some("Try again later.")),
        };
        let own = hold.as_ref().and_then(|hold| hold.rule.hint.clone());
        Refusal {
            code: code::HELD,
            rule: hold.map(|hold| hold.rule.name).unwrap_or_default(),
            message: format!("{of}{message}"),
            hint: hint.map(str::to_owned).or(own),
            position: None,
        }
    }

    /// Rules or catalog changed: what waits is judged again, and asked about again if it became something else.
    pub(crate) fn renew_parked<H: Host>(&mut self, host: &H) -> Result<(), Fault> {
        let Some(mut parked) = self.parked.take() else { return Ok(()) };
        let judged = match self.serving.held_token() {
            Some(token) => token,
            None => self.judge(host, parked.via),
        };
        let token = match judged {
            Ok(token) => token,
            Err(refusal) => {
                self.withdraw(&parked, "changed");
                return self.end_parked(host, &parked, refusal);
            }
        };
        let before = (self.rule(&parked), parked.digest);
        parked.token = token;
        if parked.waits == Waits::Before {
            // It is about to be asked about as it is by then.
            parked.rule = 0;
        } else {
            let given = self.serving.given().unwrap_or_default();
            let masking = self.masking(&parked.token);
            if before != (self.rule(&parked), self.digest(&parked, &given, &masking)) {
                if parked.waits == Waits::People {
                    self.withdraw(&parked, "changed");
                    (parked.waits, parked.rule) = (Waits::Before, 0);
                } else {
                    parked.stale = true;
                }
            }
        }
        if parked.token.holds.is_empty() {
            self.withdraw(&parked, "changed");
            if parked.number > 0 {
                return self.run(host, parked, None);
            }
            let Parked { token, via, row_limit, parameters, .. } = *parked;
            return self.intend(host, token, via, row_limit, false, parameters);
        }
        self.parked = Some(parked);
        Ok(())
    }

    /// The session is over: what waits is taken back.
    pub(crate) fn abandon<H: Host>(&mut self, host: &H) {
        let Some(parked) = self.parked.take() else { return };
        self.withdraw(&parked, "disconnected");
        let refusal = withdrawn(&self.rule(&parked), "the session ended");
        let refused = Refused { statement: self.statements, text: self.parked_text(&parked), refusal: &refusal };
        if parked.number > 0 {
            let _ = block(host, &self.book, &self.info, &refused, &self.grant, self.names.own_path);
        }
    }

    /// Rules may hold statements from now on: what they are given is kept.
    pub(crate) fn keep_for_holds(&mut self) {
        if !self.grant.epoch().bundle().model().holds.is_empty() {
            self.serving.keep_parameters(KEPT_BYTES_MAX, KEPT_BYTES_IN_ALL);
        }
    }
}

fn withdrawn(hold: &Option<Hold>, why: &str) -> Refusal {
    Refusal {
        code: code::WITHDRAWN,
        rule: hold.as_ref().map(|hold| hold.rule.name.clone()).unwrap_or_default(),
        message: why.to_owned(),
        hint: None,
        position: None,
    }
}

/// The request that an answer is about.
fn answer_id(answer: &HoldAnswer) -> Option<&str> {
    match answer {
        HoldAnswer::Free => None,
        HoldAnswer::Waiting { id, .. } | HoldAnswer::Granted { id } | HoldAnswer::Refused { id, .. } => Some(id),
    }
}
