//! The steady state of a session: what arrives is stepped, judged, recorded, forwarded.

use crate::approval::HoldQuestion;
use crate::durability::Durability;
use crate::few::Few;
use crate::held::Parked;
use crate::host::{Host, Stage};
use crate::info::SessionInfo;
use crate::judged::{Judged, Masked, Masking, Verdicts};
use crate::judging::shelf;
use crate::names::{self, Names};
use crate::refused::{Refused, block};
use crate::release::{Book, Gate};
use crate::sealed::{Mark, Moment, Parameters};
use crate::settings::Settings;
use crate::shelf::Shelf;
use audit::record::{Actor, MaskedColumn, Record, Recorded};
use contract::{Ask, Done, Fault, Lane, Outcome, Peer, Plans, Refusal, Serving, Step, Verdict, Via};
use lineage::{Effects, SessionUse};
use policy::{Grant, GrantKey, code};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// Steps of one turn before the pump looks after other sessions.
const STEPS_MAX: usize = 64;

/// Effects after which the catalog may be another one.
const CATALOG_EFFECTS: Effects = Effects::CREATE
    .with(Effects::CREATE_AS)
    .with(Effects::CREATE_VIEW)
    .with(Effects::CREATE_CODE)
    .with(Effects::ALTER)
    .with(Effects::DROP);

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Something was settled or queued.
    pub moved: bool,
    /// There is more to do at once; the turn ended to be fair.
    pub again: bool,
    /// Something that has arrived waits for more than bytes: for what is queued to leave, or for an answer. Without it
    /// another turn would do nothing before more arrives.
    pub blocked: bool,
    /// A held statement waits for this record to be durable.
    pub waits_for: Option<u64>,
    /// Output waits for this record to be durable.
    pub holds_for: Option<u64>,
    /// When (nanoseconds of the host) the wait is too long: [`Session::advance`] is to be called by then.
    pub wait_ends_ns: Option<u64>,
    /// What runs upstream is to be cancelled; then [`Session::cancelled`].
    pub cancel: bool,
}

/// A statement that is recorded and waits for its record to be durable.
#[derive(Debug)]
struct Pending {
    token: Rc<Judged>,
    number: u64,
    recorded: Recorded,
    /// Not before it is durable.
    waits: bool,
    since_ns: u64,
}

/// One conversation after login.
#[derive(Debug)]
pub struct Session<S> {
    /// Client to database.
    pub down: Lane,
    /// Database to client.
    pub up: Lane,
    pub(crate) serving: S,
    pub(crate) grant: Grant,
    pub(crate) info: SessionInfo,
    pub(crate) names: Names,
    pub(crate) settings: Settings,
    /// The grant's, as of when it was admitted.
    pub(crate) key: GrantKey,
    /// Judgements that hold for this session.
    pub(crate) shelf: Rc<Shelf>,
    /// The host's clock in this turn, 0 while nobody has asked.
    now_ns: Cell<u64>,
    pending: Option<Pending>,
    /// A statement that waits for approval.
    pub(crate) parked: Option<Box<Parked>>,
    pub(crate) questions: Vec<HoldQuestion>,
    pub(crate) book: Book,
    /// Only in strict mode.
    gate: Option<Gate>,
    pub(crate) statements: u64,
    bytes: u64,
    goodbye: bool,
    ended: Option<&'static str>,
    settled: bool,
    /// Moments since they were last taken; `None` when nobody wants them.
    marks: Option<Vec<Mark>>,
}

impl<S: Serving<Verdicts>> Session<S> {
    /// Begins, with the record of it; the lanes may hold bytes that arrived with the login.
    ///
    /// # Errors
    /// The log cannot take the record.
    pub fn open<H: Host>(
        serving: S,
        grant: Grant,
        info: SessionInfo,
        down: Lane,
        up: Lane,
        host: &H,
    ) -> Result<Self, Fault> {
        let names = Names::new(info.startup.own_path);
        let settings = Settings::new(info.startup);
        let book = Book::new(info.mode);
        let (key, shelf) = (grant.key(), shelf(host, &grant, &names));
        let mut session = Self {
            down,
            up,
            serving,
            grant,
            info,
            names,
            settings,
            key,
            shelf,
            now_ns: Cell::new(0),
            pending: None,
            parked: None,
            questions: Vec::new(),
            book,
            gate: None,
            statements: 0,
            bytes: 0,
            goodbye: false,
            ended: None,
            settled: false,
            marks: None,
        };
        let info = &session.info;
        let record = Record::SessionOpen {
            session: info.id,
            actor: Actor { issuer: &info.issuer, subject: &info.subject, role: session.grant.role() },
            source: &info.source,
            tls: &info.tls,
            application: &info.application,
            target: &info.target_name,
            database: &info.database,
            account: &info.account,
            bundle: *session.grant.epoch().bundle().digest(),
            recording: info.recording,
            mode: info.mode.word(),
            key: info.key.as_ref().map_or([0; 32], |key| key.commitment()),
        };
        session.book.write(host, &record).map(drop).map_err(|_| NOT_RECORDED)?;
        if info.mode == Durability::Strict {
            let mut gate = Gate::new(&mut session.up);
            gate.mark(&mut session.up, &session.book, true, host.now_ns());
            session.gate = Some(gate);
        }
        session.keep_for_holds();
        Ok(session)
    }

    /// Takes what has arrived as far as it goes.
    ///
    /// # Errors
    /// The conversation cannot go on; the caller ends it with [`Session::end`].
    pub fn advance<H: Host>(&mut self, host: &H) -> Result<Progress, Fault> {
        let mut progress = Progress::default();
        let mut steps = 0;
        self.now_ns.set(0);
        if self.grant.has_budgets() {
            self.shelf.tell(self.now(host));
        }
        if let Some(gate) = &mut self.gate {
            gate.open(host, &mut self.up);
        }
        self.give_up_waiting(host)?;
        loop {
            match self.serving.upstream(&mut self.up, &mut self.down) {
                Err(fault) => return Err(fault),
                Ok(Step::NeedMore) => break,
                Ok(Step::Blocked) => {
                    progress.blocked = true;
                    break;
                }
                Ok(Step::Settled) => {}
                Ok(Step::Columns { token, part }) => self.shape(host, &token, part)?,
                Ok(Step::Done(ref done)) => self.done(host, done)?,
                Ok(Step::Ask(_) | Step::Goodbye) => debug_assert!(false, "not an upstream step"),
            }
            progress.moved = true;
            steps += 1;
            if steps >= STEPS_MAX {
                progress.again = true;
                break;
            }
        }
        if self.settings.wait() && self.serving.is_idle() {
            self.settings.settle(self.serving.failures());
        }
        let mut steps = 0;
        loop {
            if self.parked.is_some() {
                if !self.look_after(host)? {
                    break;
                }
                progress.moved = true;
            }
            if let Some(pending) = self.pending.take() {
                if pending.waits && !host.is_durable(pending.recorded.sequence()) {
                    progress.waits_for = Some(pending.recorded.sequence());
                    self.pending = Some(pending);
                    break;
                }
                if pending.waits {
                    host.measure(Stage::Durable, host.now_ns().saturating_sub(pending.since_ns));
                }
                let Pending { token, number, recorded, .. } = pending;
                self.forward(host, token, number, recorded)?;
                progress.moved = true;
                continue;
            }
            if self.goodbye {
                break;
            }
            match self.serving.downstream(&mut self.down, &mut self.up) {
                Err(fault) => return Err(fault),
                Ok(Step::NeedMore) => break,
                Ok(Step::Blocked) => {
                    progress.blocked = true;
                    break;
                }
                Ok(Step::Settled) => {}
                Ok(Step::Ask(ask)) => self.ask(host, ask)?,
                Ok(Step::Goodbye) => self.goodbye = true,
                Ok(Step::Columns { .. } | Step::Done(_)) => debug_assert!(false, "not a downstream step"),
            }
            progress.moved = true;
            steps += 1;
            if steps >= STEPS_MAX {
                progress.again = true;
                break;
            }
        }
        // What the client's frames have ended is told by the database's side.
        progress.blocked |= self.serving.has_ended();
        progress.cancel = self.serving.wants_cancel();
        self.cover(host)?;
        let held = self.gate.as_ref().and_then(Gate::waits_for);
        progress.holds_for = held.map(|(sequence, _)| sequence);
        let since = held.map(|(_, since)| since).into_iter().chain(self.pending.as_ref().map(|p| p.since_ns)).min();
        let ends = since.map(|since| since.saturating_add(self.info.wait_max_ns));
        progress.wait_ends_ns = ends.into_iter().chain(self.parked_until()).min();
        Ok(progress)
    }

    /// The host's clock, read once a turn. What takes time in a turn is judging, which reads it again.
    fn now<H: Host>(&self, host: &H) -> u64 {
        if self.now_ns.get() == 0 {
            self.now_ns.set(host.now_ns());
        }
        self.now_ns.get()
    }

    /// Covers what is queued for the client with records.
    fn cover<H: Host>(&mut self, host: &H) -> Result<(), Fault> {
        // What has ended is covered by its result, which comes first.
        if let Some(gate) = self.gate.as_mut().filter(|_| !self.serving.has_ended()) {
            let (flow, whole) = (self.serving.flow(), self.serving.is_whole());
            gate.cover(host, &self.book, self.info.id, &mut self.up, flow, whole).map_err(|_| NOT_RECORDED)?;
        }
        Ok(())
    }

    /// Everything queued so far is covered by the last record.
    fn covered<H: Host>(&mut self, host: &H) {
        if let Some(gate) = &mut self.gate {
            gate.mark(&mut self.up, &self.book, self.serving.is_whole(), host.now_ns());
        }
    }

    /// Fails what has waited for the disk for too long: a statement that was not forwarded is refused; an answer that
    /// was not released ends the session.
    fn give_up_waiting<H: Host>(&mut self, host: &H) -> Result<(), Fault> {
        let too_long = |since: u64| host.now_ns().saturating_sub(since) > self.info.wait_max_ns;
        if self.gate.as_ref().and_then(Gate::waits_for).is_some_and(|(_, since)| too_long(since)) {
            return Err(UNAVAILABLE);
        }
        if !self.pending.as_ref().is_some_and(|pending| pending.waits && too_long(pending.since_ns)) {
            return Ok(());
        }
        let Some(pending) = self.pending.take() else { return Ok(()) };
        if host.is_durable(pending.recorded.sequence()) {
            self.pending = Some(pending);
            return Ok(());
        }
        host.given_up();
        self.skipped(host, pending)?;
        self.excuse();
        self.serving.resolve(&mut self.down, &mut self.up, Verdict::Refuse(not_recorded()))
    }

    pub(crate) fn excuse(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.excuse(&self.up, &self.book);
        }
    }

    /// A statement that was recorded and then never forwarded: the log must not leave it in doubt.
    fn skipped<H: Host>(&self, host: &H, pending: Pending) -> Result<(), Fault> {
        let Pending { token, number, since_ns, .. } = pending;
        let (outcome, rows, bytes, plans) = (Outcome::Skipped, 0, 0, Plans::default());
        self.result(host, &Done { token, number, part: None, outcome, rows, bytes, started_ns: since_ns, plans }, None)
    }

    /// What of the client's output still waits for a record, when the session has ended.
    #[must_use]
    pub fn last_hold(&self) -> Option<u64> {
        self.gate.as_ref().and_then(Gate::last)
    }

    /// Lets go what is durable.
    pub fn release<H: Host>(&mut self, host: &H) {
        if let Some(gate) = &mut self.gate {
            gate.open(host, &mut self.up);
        }
    }

    /// Drops what no durable record covers, and tells the client, if it can be told.
    pub fn withhold(&mut self) {
        let Some(gate) = &mut self.gate else { return };
        if gate.shut(&mut self.up) {
            self.serving.last_word(&mut self.up, &UNAVAILABLE);
            self.up.release(self.up.queued());
        }
    }

    /// The one place where a statement goes upstream: it takes the proof that it is recorded, and the session holds the
    /// grant under which it was decided.
    fn forward<H: Host>(&mut self, host: &H, token: Rc<Judged>, number: u64, recorded: Recorded) -> Result<(), Fault> {
        drop(recorded);
        self.close_names(&token);
        self.names.follow(&token.facts.statements);
        self.follow_settings(&token, number);
        if !self.names.own_path && token.moves_path {
            // Whatever becomes of it, from here on a name without a schema may mean that of any.
            self.names.own_path = true;
            self.grant.forget();
            self.shelf = self.shelf.apart();
            self.judge_again(host);
        }
        let verdict = Verdict::Forward { token, number, now_ns: self.now(host) };
        self.serving.resolve(&mut self.down, &mut self.up, verdict)
    }

    /// What parameters of the session are after it is known only when its transaction has ended well.
    fn follow_settings(&mut self, token: &Judged, number: u64) {
        // What nobody knows, or what has become another's since it was judged, can set anything.
        let sets = token.sets || !self.names_still_stand(token);
        if !sets && !self.settings.wait() {
            return;
        }
        // What was not answered may open a transaction, end one, or take something back.
        let open = self.serving.in_transaction() || self.serving.is_behind();
        let failures = self.serving.failures();
        self.settings.before(open, failures);
        if sets {
            let text = text_of(&self.serving, &self.down, token, token.via);
            let simple = token.via == Via::Simple;
            self.settings.change(number, text, &token.facts, simple, failures, open);
        }
    }

    /// SQL-level cursors and protocol portals share their names: what may be replaced is forgotten before it is.
    fn close_names(&mut self, token: &Judged) {
        if !token.changes_names {
            return;
        }
        for statement in &token.facts.statements {
            match &statement.session {
                SessionUse::Declare(name) | SessionUse::Close(Some(name)) => {
                    self.serving.forget_portal(Some(name.as_bytes()));
                }
                SessionUse::Close(None) | SessionUse::ResetAll => self.serving.forget_portal(None),
                _ => {}
            }
        }
    }

    fn ask<H: Host>(&mut self, host: &H, ask: Ask<Verdicts>) -> Result<(), Fault> {
        match ask {
            Ask::Text(via) => {
                let began = self.now(host);
                let judged = self.judge(host, via);
                self.now_ns.set(host.now_ns());
                host.measure(Stage::Decide, self.now(host).saturating_sub(began));
                match judged {
                    Err(refusal) => self.refuse(host, via, refusal),
                    Ok(token) if via == Via::Prepare => {
                        let verdict = Verdict::Forward { token, number: 0, now_ns: began };
                        self.serving.resolve(&mut self.down, &mut self.up, verdict)
                    }
                    Ok(token) if !token.holds.is_empty() => {
                        self.park(token, via, 0, None);
                        Ok(())
                    }
                    Ok(token) => self.intend(host, token, via, 0, false, None),
                }
            }
            Ask::TextTooLong(via) => {
                let refusal = Refusal {
                    code: code::TOO_LONG,
                    rule: "limit:statement_bytes".to_owned(),
                    message: "the statement is longer than this gateway reads".to_owned(),
                    hint: Some("Raise limits.statement_bytes, or send the data with COPY or parameters.".to_owned()),
                    position: None,
                };
                self.refuse(host, via, refusal)
            }
            Ask::Execute { token, row_limit, resumed, parameters, values } => {
                if token.needs_shape && !token.observed && !self.names_still_stand(&token) {
                    let refusal = Refusal {
                        code: code::NAME_CHANGED,
                        rule: "default:name-changed".to_owned(),
                        message: "what this prepared statement runs or fetches from is not what it was".to_owned(),
                        hint: Some("Prepare it again.".to_owned()),
                        position: None,
                    };
                    return self.refuse(host, Via::Execute, refusal);
                }
                let parameters = parameters.map(|digest| (digest, values));
                if !resumed && !token.holds.is_empty() {
                    self.park(token, Via::Execute, row_limit, parameters);
                    return Ok(());
                }
                self.intend(host, token, Via::Execute, row_limit, resumed, parameters)
            }
        }
    }

    /// Records the intent; the statement is forwarded when that is enough.
    pub(crate) fn intend<H: Host>(
        &mut self,
        host: &H,
        token: Rc<Judged>,
        via: Via,
        row_limit: u32,
        resumed: bool,
        parameters: Option<Parameters>,
    ) -> Result<(), Fault> {
        self.intend_as(host, token, via, row_limit, (resumed, None), parameters)
    }

    /// The same for one that was held: it has its number, and if it was approved, it waits for the disk in any mode.
    pub(crate) fn intend_as<H: Host>(
        &mut self,
        host: &H,
        token: Rc<Judged>,
        via: Via,
        row_limit: u32,
        (resumed, held): (bool, Option<(u64, bool)>),
        parameters: Option<Parameters>,
    ) -> Result<(), Fault> {
        let unpaid = token.pay(resumed).err();
        if let Some(refusal) = &unpaid
            && !token.observed
        {
            return self.refuse_run(host, &token, via, refusal.clone());
        }
        let number = held.map_or(self.statements + 1, |(number, _)| number);
        self.statements = number;
        let approved = held.is_some_and(|(_, approved)| approved);
        for refusal in token.softened() {
            self.observe(host, number, refusal.code, &refusal.rule, &[])?;
        }
        if let Some(refusal) = unpaid {
            self.observe(host, number, refusal.code, &refusal.rule, &[])?;
        }
        let since_ns = self.now(host);
        let text = text_of(&self.serving, &self.down, &token, via);
        let (text, sealed_text) = self.info.seal_text(number, text);
        let (digest, sealed_parameters) = self.info.seal_parameters(number, parameters);
        let record = Record::Intent {
            session: self.info.id,
            statement: number,
            text,
            via: if via == Via::Simple { "simple" } else { "execute" },
            fingerprint: token.fingerprint,
            effects: token.effects.0,
            bundle: *self.grant.epoch().bundle().digest(),
            catalog_epoch: self.grant.epoch().number(),
            parameters: digest,
            row_limit,
            sealed_text: &sealed_text,
            tables: &token.tables,
            sealed_parameters: &sealed_parameters,
        };
        let written = if approved { self.book.insist(host, &record) } else { self.book.write(host, &record) };
        match written {
            Ok(recorded) => {
                self.mark(Moment::Started);
                let waits = match self.book.mode {
                    _ if approved => true,
                    Durability::Strict => !token.only_reads,
                    Durability::Intent => true,
                    Durability::Async | Durability::Off => false,
                };
                self.pending = Some(Pending { token, number, recorded, waits, since_ns });
                Ok(())
            }
            Err(_) => {
                host.given_up();
                self.excuse();
                self.serving.resolve(&mut self.down, &mut self.up, Verdict::Refuse(not_recorded()))
            }
        }
    }

    /// Moments are kept from here on, for [`Session::marks`].
    pub fn keep_marks(&mut self) {
        self.marks.get_or_insert_default();
    }

    /// Moments since the last call, in order.
    pub fn marks(&mut self) -> impl Iterator<Item = Mark> {
        self.marks.as_mut().map(|marks| marks.drain(..)).into_iter().flatten()
    }

    /// Notes a moment of the statement that was counted last.
    pub(crate) fn mark(&mut self, moment: impl FnOnce(u64) -> Moment) {
        self.mark_at(moment(self.statements));
    }

    fn mark_at(&mut self, moment: Moment) {
        if let Some(marks) = &mut self.marks {
            marks.push(Mark { moment, unsent: self.up.unsent() });
        }
    }

    /// Refuses to run what may be run otherwise.
    fn refuse_run<H: Host>(&mut self, host: &H, token: &Judged, via: Via, refusal: Refusal) -> Result<(), Fault> {
        self.statements += 1;
        let text = text_of(&self.serving, &self.down, token, via);
        let refused = Refused { statement: self.statements, text, refusal: &refusal };
        block(host, &self.book, &self.info, &refused, &self.grant, self.names.own_path)?;
        self.mark(Moment::Refused);
        self.serving.resolve(&mut self.down, &mut self.up, Verdict::Refuse(refusal))
    }

    fn refuse<H: Host>(&mut self, host: &H, _via: Via, refusal: Refusal) -> Result<(), Fault> {
        self.statements += 1;
        let text = self.serving.text(&self.down);
        let refused = Refused { statement: self.statements, text, refusal: &refusal };
        block(host, &self.book, &self.info, &refused, &self.grant, self.names.own_path)?;
        self.mark(Moment::Refused);
        let explain = refusal.code == code::NOT_UNDERSTOOD;
        let verdict = if explain { Verdict::Explain(refusal) } else { Verdict::Refuse(refusal) };
        self.serving.resolve(&mut self.down, &mut self.up, verdict)
    }

    fn done<H: Host>(&mut self, host: &H, done: &Done<Verdicts>) -> Result<(), Fault> {
        let token = &done.token;
        if let Some(part) = done.part {
            if done.outcome == Outcome::Ok
                && let Some(statement) = token.facts.statements.get(part)
            {
                self.named(&Rc::clone(token), statement);
            }
            return Ok(());
        }
        if done.outcome == Outcome::Ok {
            if token.via == Via::Prepare && token.changes_names {
                for statement in &token.facts.statements {
                    self.named(token, statement);
                }
            }
            if self.settings.wait() {
                self.settings.succeeded(done.number);
            }
            if token.effects.intersects(CATALOG_EFFECTS) {
                host.catalog_changed(self.info.target);
            }
        }
        self.bytes += done.bytes;
        if done.number > 0 {
            self.mark_at(Moment::Ended(done.number));
        }
        host.measure(Stage::Upstream, self.now(host).saturating_sub(done.started_ns));
        self.result(host, done, None)?;
        self.covered(host);
        Ok(())
    }

    fn named(&mut self, token: &Rc<Judged>, statement: &Arc<lineage::Statement>) {
        debug_assert!(token.changes_names || !names::changes(statement));
        if self.names.apply(statement, &token.text) {
            // What was decided before it was made is not for other sessions, and the other way round; and it was decided
            // about another relation of that name.
            self.grant.forget();
            self.shelf = self.shelf.apart();
        }
        match &statement.session {
            SessionUse::Prepare(name) | SessionUse::Deallocate(Some(name)) => {
                self.serving.forget_prepared(Some(name.as_bytes()));
            }
            SessionUse::Deallocate(None) | SessionUse::ResetAll => self.serving.forget_prepared(None),
            _ => {}
        }
    }

    fn result<H: Host>(&self, host: &H, done: &Done<Verdicts>, outcome: Option<&'static str>) -> Result<(), Fault> {
        let (word, sqlstate) = match done.outcome {
            Outcome::Ok => ("ok", *b"00000"),
            Outcome::Suspended => ("suspended", *b"00000"),
            Outcome::Error(state) if &state == b"57014" => ("cancelled", state),
            Outcome::Error(state) => ("error", state),
            Outcome::Skipped => ("skipped", *b"00000"),
            Outcome::Withheld => ("refused", *b"42501"),
            Outcome::Cut => ("budget", *b"53400"),
        };
        let any = !done.token.masked.is_empty() || done.plans.iter().any(|plan| !plan.masked().is_empty());
        let each = done.token.masked.iter().chain(done.plans.iter().flat_map(Masking::masked)).map(Masked::listed);
        let (mut masked, mut clear) = (None, None);
        let mut masked = Few::list(&mut masked, any, each);
        let clear = Few::list(&mut clear, done.rows > 0 && done.token.has_clear(), done.token.clear(&self.grant));
        if done.token.observed {
            let over = done.token.overdrawn(done.rows, done.bytes);
            for refusal in done.plans.iter().filter_map(Masking::unseen).chain(&over) {
                self.observe(host, done.number, refusal.code, &refusal.rule, &[])?;
            }
            if !masked.is_empty() {
                self.observe(host, done.number, "", "", std::mem::take(&mut masked))?;
            }
        }
        let record = Record::Result {
            session: self.info.id,
            statement: done.number,
            outcome: outcome.unwrap_or(word),
            sqlstate,
            rows: done.rows,
            bytes: done.bytes,
            duration_us: self.now(host).saturating_sub(done.started_ns) / 1000,
            masked,
            clear,
        };
        self.book.write(host, &record).map(drop).map_err(|_| NOT_RECORDED)
    }

    /// Records what would have happened under a role that enforces.
    fn observe<H: Host>(
        &self,
        host: &H,
        statement: u64,
        code: &'static str,
        rule: &str,
        masked: &[MaskedColumn<'_>],
    ) -> Result<(), Fault> {
        let bundle = *self.grant.epoch().bundle().digest();
        let record = Record::Observe { session: self.info.id, statement, bundle, masked, code, rule };
        self.book.write(host, &record).map(drop).map_err(|_| NOT_RECORDED)
    }

    /// The rules or the catalog changed: the grant and every prepared statement are judged again.
    ///
    /// # Errors
    /// The identity is no longer admitted; the session ends.
    pub fn renew<H: Host>(&mut self, host: &H) -> Result<(), Fault> {
        let epoch = host.epoch(self.info.target);
        let grant = self
            .grant
            .renew(&epoch)
            .map_err(|_| Fault::downstream("this identity is no longer admitted to the target").with_state("57P01"))?;
        if grant.epoch().search_path() != self.grant.epoch().search_path() {
            // The account is given another path now; this session still has the one of its login.
            self.names.own_path = true;
            self.settings.are_old();
        }
        self.grant = grant;
        self.key = self.grant.key();
        self.shelf = shelf(host, &self.grant, &self.names);
        self.keep_for_holds();
        self.judge_again(host);
        self.renew_parked(host)
    }

    /// The cancellation that [`Progress::cancel`] asked for was delivered, or cannot be.
    pub fn cancelled(&mut self) {
        self.serving.cancelled();
    }

    /// A peer closed its side.
    #[must_use]
    pub fn closed(&self, peer: Peer) -> Option<Fault> {
        let gone = peer == Peer::Upstream && !self.goodbye;
        gone.then(|| Fault::upstream("the database closed the connection").with_state("08006"))
    }

    /// The client said goodbye.
    #[must_use]
    pub fn said_goodbye(&self) -> bool {
        self.goodbye
    }

    /// Nothing is in flight.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.is_none() && self.parked.is_none() && self.serving.is_idle()
    }

    /// Something the client asked for is still running.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.pending.is_some() || self.parked.is_some() || self.serving.is_busy()
    }

    /// Tells the client something beside the answers to its statements; false if a message to it is half sent.
    pub fn notice(&mut self, severity: &'static str, state: &'static str, message: &str) -> bool {
        self.serving.notice(&mut self.up, severity, state, message)
    }

    /// Queues the last word for the client.
    pub fn farewell(&mut self, fault: &Fault) {
        self.serving.farewell(&mut self.up, fault);
    }

    /// Writes the records of what is still in flight: it is `lost`. Only the end of the session follows.
    pub fn settle<H: Host>(&mut self, host: &H) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        self.abandon(host);
        if let Some(pending) = self.pending.take() {
            let _ = self.skipped(host, pending);
        }
        for done in self.serving.unanswered() {
            let answered = !matches!(done.outcome, Outcome::Ok) || done.part.is_some();
            let _ = self.result(host, &done, (!answered).then_some("lost"));
        }
        self.covered(host);
    }

    /// Writes the last records.
    pub fn end<H: Host>(&mut self, host: &H, reason: &'static str) {
        if self.ended.replace(reason).is_some() {
            return;
        }
        self.settle(host);
        let record =
            Record::SessionClose { session: self.info.id, reason, statements: self.statements, bytes: self.bytes };
        drop(self.book.write(host, &record));
        self.covered(host);
    }

    /// Role that it was admitted with.
    #[must_use]
    pub fn role(&self) -> &str {
        self.grant.role()
    }

    /// The session may have made parameters of its own (names with a dot): `DISCARD ALL` leaves them, empty.
    #[must_use]
    pub fn made_parameters(&self) -> bool {
        self.settings.own_names()
    }

    /// What is constant.
    #[must_use]
    pub fn info(&self) -> &SessionInfo {
        &self.info
    }
}

/// The text of a statement that is held.
pub(crate) fn text_of<'a>(serving: &impl Serving<Verdicts>, down: &'a Lane, token: &'a Judged, via: Via) -> &'a [u8] {
    match via {
        Via::Simple => serving.text(down),
        Via::Prepare | Via::Execute => token.text.as_bytes(),
    }
}

/// What a session that cannot record is told before it ends.
pub(crate) const NOT_RECORDED: Fault = Fault::upstream("the audit log cannot record this session").with_state("58030");
/// What a session is told whose answer could not be recorded in time.
const UNAVAILABLE: Fault =
    Fault::upstream("audit log unavailable: what the statement returned cannot be recorded, so it is not sent")
        .with_state("58030");

pub(crate) fn not_recorded() -> Refusal {
    Refusal {
        code: code::NOT_RECORDED,
        rule: "default:audit".to_owned(),
        message: "audit log unavailable: the statement cannot be recorded now, so it is not run".to_owned(),
        hint: Some("The gateway's audit log is full or failing; its operator has been told.".to_owned()),
        position: None,
    }
}
