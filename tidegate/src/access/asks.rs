//! Questions of sessions, answered by the engine.
//!
//! A few workers; a session always has the same one. What waits for people is remembered with the sessions that wait, and
//! the engine's news are turned into answers. Invariant: an approval is spent on the session that asked for it, and told to
//! it alone; a session that is gone leaves nothing behind.

use super::credentials::Issuer;
use super::directory::granted;
use access::{AccessError, Engine, HoldOutcome, Holding, News, Request, Said, State, Wanted, Who, hex};
use audit::record::SessionId;
use gateway::Gateway;
use gateway::access::{Answer, Ask, Cut, HoldAnswer, HoldAsked, Proof, Proven, Question};
use identity::Providers;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;

/// Threads that answer; each may wait for a database or a provider.
const WORKERS: usize = 8;
/// Threads that judge tokens, which may wait for a provider: held statements do not wait behind them.
const JUDGES: usize = 4;
const SECOND_NS: u64 = 1_000_000_000;

/// A session whose statement waits.
#[derive(Clone, Debug)]
struct Waiter {
    core: usize,
    session: SessionId,
    statement: u64,
    /// Id that the session asked with.
    asked: String,
    who: Who,
    digest: String,
}

enum Job {
    Ask(Box<Ask>),
    Changed(Box<Request>),
}

/// The workers.
pub struct Asks {
    workers: Vec<Sender<Job>>,
    shared: Arc<Inner>,
}

impl std::fmt::Debug for Asks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asks")
    }
}

struct Inner {
    engine: OnceLock<Arc<Engine>>,
    providers: OnceLock<Providers>,
    issuer: OnceLock<Arc<Issuer>>,
    /// How targets are reached, in the gateway's order, to ask their planners.
    planners: OnceLock<Vec<control::Access>>,
    /// Weak: the gateway's end does not wait for questions.
    gateway: OnceLock<Weak<Gateway>>,
    targets: Vec<String>,
    url: String,
    waiting: Mutex<HashMap<String, Vec<Waiter>>>,
}

impl Asks {
    /// Starts the workers. `targets` are the names, in the gateway's order; `url` is the console's.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start(targets: Vec<String>, url: String) -> std::io::Result<Arc<Self>> {
        let shared = Arc::new(Inner {
            engine: OnceLock::new(),
            providers: OnceLock::new(),
            issuer: OnceLock::new(),
            planners: OnceLock::new(),
            gateway: OnceLock::new(),
            targets,
            url,
            waiting: Mutex::default(),
        });
        let mut workers = Vec::with_capacity(WORKERS + JUDGES);
        for number in 0..WORKERS + JUDGES {
            let (send, jobs) = mpsc::channel();
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("access-{number}")).spawn(move || shared.work(&jobs))?;
            workers.push(send);
        }
        Ok(Arc::new(Self { workers, shared }))
    }

    /// Says which engine decides.
    pub fn decide_by(&self, engine: Arc<Engine>) {
        let _twice = self.shared.engine.set(engine);
    }

    /// Says who vouches for tokens.
    pub fn trust(&self, providers: Providers) {
        let _twice = self.shared.providers.set(providers);
    }

    /// Says who makes accounts upstream.
    pub fn make_accounts_by(&self, issuer: Arc<Issuer>) {
        let _twice = self.shared.issuer.set(issuer);
    }

    /// Says how targets are reached, in the gateway's order: their planners estimate rows.
    pub fn estimate_by(&self, targets: Vec<control::Access>) {
        let _twice = self.shared.planners.set(targets);
    }

    /// Says which gateway asks.
    pub fn answer_to(&self, gateway: &Arc<Gateway>) {
        let _twice = self.shared.gateway.set(Arc::downgrade(gateway));
    }

    /// Takes a question. Returns at once.
    pub fn ask(&self, ask: Box<Ask>) {
        let session = ask.session;
        self.post(&session, Job::Ask(ask));
    }

    /// Hears of a change in the engine. Returns at once.
    pub fn hear(&self, news: &News) {
        match news {
            News::Cut { who, grant, credential, reason } => {
                let cut = Cut {
                    person: who.as_ref().map(|who| (who.issuer.clone(), who.subject.clone())),
                    grant: grant.clone(),
                    credential: credential.clone(),
                    session: None,
                    reason,
                };
                if let Some(gateway) = self.shared.gateway() {
                    let ended = gateway.cut(&cut);
                    if ended > 0 {
                        tracing::info!(sessions = ended, reason, "sessions end because access ended");
                    }
                }
            }
            News::Request(request) if matches!(request.wanted, Wanted::Statement(_)) => {
                if request.state != State::Pending {
                    self.post(&request.id, Job::Changed(request.clone()));
                }
            }
            News::Request(_) | News::Emergency(_) => {}
        }
    }

    fn post(&self, of: &impl std::hash::Hash, job: Job) {
        let mut hasher = DefaultHasher::new();
        of.hash(&mut hasher);
        let judged = matches!(&job, Job::Ask(ask) if matches!(ask.question, Question::Proof(_)));
        let (first, of) = if judged { (WORKERS, JUDGES) } else { (0, WORKERS) };
        let number = first + usize::try_from(hasher.finish() % of as u64).unwrap_or(0);
        // The workers end with the process.
        let _gone = self.workers[number].send(job);
    }
}

impl Inner {
    fn gateway(&self) -> Option<Arc<Gateway>> {
        self.gateway.get().and_then(Weak::upgrade)
    }

    fn work(self: &Arc<Self>, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Ask(ask) => self.asked(*ask),
                Job::Changed(request) => self.changed(&request),
            }
        }
    }

    fn answer(&self, core: usize, session: SessionId, answer: Answer) {
        if let Some(gateway) = self.gateway()
            && !gateway.answer(core, session, answer)
        {
            tracing::error!(core, "a core does not take mail: a session waits for nothing");
        }
    }

    fn asked(self: &Arc<Self>, ask: Ask) {
        let Ask { core, session, question } = ask;
        match question {
            Question::Hold(asked) => {
                let id = asked.id.clone();
                let answer = self.hold(core, session, *asked);
                let answer = answer.unwrap_or_else(|why| HoldAnswer::Refused { id: id.clone(), why });
                self.answer(core, session, Answer::Hold { asked: id, answer });
            }
            Question::Withdraw { asked, reason } => self.withdraw(session, &asked, reason),
            Question::Proof(proof) => {
                let proven = self.proof(&proof).map(Box::new);
                self.answer(core, session, Answer::Proven(proven));
            }
            Question::Account(wanted) => match self.issuer.get() {
                Some(issuer) => {
                    let asker = Arc::clone(self);
                    issuer.issue(session, &wanted, move |made| asker.answer(core, session, Answer::Account(made)));
                }
                None => {
                    let error = "no account can be made for this target".to_owned();
                    self.answer(core, session, Answer::Account(Err(error)));
                }
            },
            Question::Ended => self.ended(session),
        }
    }

    /// Whose token it is.
    fn proof(&self, proof: &Proof) -> Result<Proven, &'static str> {
        let engine = self.engine.get().ok_or("not_configured")?;
        let providers = self.providers.get().ok_or("not_configured")?;
        let now_s = engine.clock().now_s();
        let valid = providers.presented(&proof.token, now_s).map_err(|error| {
            tracing::info!(source = proof.source, "a token is refused: {error}");
            error.name()
        })?;
        let who = Who { issuer: valid.issuer.clone(), subject: valid.subject.clone() };
        let names = &valid.names;
        let handles: Vec<String> =
            [&names.handle, &names.email].into_iter().flatten().chain([&valid.subject]).cloned().collect();
        let name = names.display.as_ref().or(names.handle.as_ref()).unwrap_or(&valid.subject);
        let (person, grants) =
            engine.shown(&who, name, &handles, &valid.groups, valid.issued).map_err(|error| match error {
                AccessError::Forbidden(_) => "suspended",
                _ => "unavailable",
            })?;
        // A token says nothing of that; a grant may.
        let stated = grants.iter().any(|grant| grant.target == proof.target && !grant.purpose.is_empty());
        if engine.policy().purpose_needed(&proof.target) && !stated {
            return Err("no_purpose");
        }
        if !proof.user.is_empty() && proof.user != person.handle {
            return Err("other_user");
        }
        let lasts = providers.of_issuer(&valid.issuer).and_then(|provider| provider.issuer().sign_in_seconds);
        let until_s = lasts.map_or(valid.expires, |seconds| now_s + seconds);
        Ok(Proven {
            identity: policy::Identity {
                issuer: who.issuer,
                subject: who.subject,
                groups: person.groups,
                granted: Vec::new(),
            },
            user: person.handle,
            grants: grants.iter().map(granted).collect(),
            until_ns: until_s * SECOND_NS,
            how: proof.how.to_owned(),
            ..Proven::default()
        })
    }

    fn hold(&self, core: usize, session: SessionId, asked: HoldAsked) -> Result<HoldAnswer, &'static str> {
        let engine = self.engine.get().ok_or("not_configured")?;
        let text = String::from_utf8_lossy(&asked.text).into_owned();
        let estimate = self.estimate(&asked, &text);
        if estimate.is_some_and(|rows| rows <= asked.rows_over) {
            return Ok(HoldAnswer::Free);
        }
        let who = Who { issuer: asked.issuer, subject: asked.subject };
        let digest = hex(&asked.digest);
        let holding = Holding {
            id: asked.id,
            session: session.0,
            statement: asked.statement,
            who: who.clone(),
            handle: asked.user,
            role: asked.role,
            target: self.targets.get(asked.target).cloned().unwrap_or_default(),
            rule: asked.rule,
            digest: asked.digest,
            said: Said { text, parameters: asked.parameters },
            tables: asked.tables,
            classes: asked.classes,
            marks: asked.marks,
            estimate,
            approvers: asked.approvers,
            needed: asked.approvals,
            distinct: asked.distinct_groups,
            reason: asked.purpose,
            source: asked.source,
        };
        let own = holding.id.clone();
        let waiter = Waiter { core, session, statement: asked.statement, asked: own, who, digest };
        match engine.hold(&holding) {
            Ok(HoldOutcome::Granted { id }) => Ok(HoldAnswer::Granted { id }),
            Ok(HoldOutcome::Waiting { id, until_s }) => {
                self.lock().entry(id.clone()).or_default().push(waiter);
                // Somebody may have voted in between; then the news came before this session waited.
                if let Some(request) = engine.request(&id).filter(|request| request.state != State::Pending) {
                    self.changed(&request);
                }
                let link = format!("{}/approvals/{id}", self.url);
                Ok(HoldAnswer::Waiting { id, link, until_ns: until_s * SECOND_NS })
            }
            Err(AccessError::TooMany(_)) => Err("too_many"),
            Err(error) => {
                tracing::error!("a held statement cannot wait: {error}");
                Err("unavailable")
            }
        }
    }

    /// Rows that the target's planner expects. Without an estimate the statement is held.
    fn estimate(&self, asked: &HoldAsked, text: &str) -> Option<u64> {
        let (sent, target) = (asked.sent.as_ref()?, self.planners.get()?.get(asked.target)?);
        if asked.rows_over == 0 {
            return None;
        }
        let parameter = |sent: &gateway::access::Sent| control::estimate::Parameter {
            type_oid: sent.type_oid,
            binary: sent.binary,
            value: sent.value.clone(),
        };
        let parameters: Vec<_> = sent.iter().map(parameter).collect();
        let rows = control::estimate::rows(target, text, &parameters);
        rows.inspect_err(|why| tracing::info!(id = asked.id, why, "a statement is held without an estimate")).ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Waiter>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is approved, used or over: whoever waits for it is told.
    fn changed(&self, request: &Request) {
        let Some(engine) = self.engine.get() else { return };
        match &request.state {
            State::Pending => {}
            State::Approved { .. } => {
                // The first that waits takes it; the others learn that it was used.
                let waiters = self.lock().remove(&request.id).unwrap_or_default();
                for waiter in waiters {
                    let spent = engine.consume(&request.id, waiter.session.0, waiter.statement, &waiter.digest);
                    let id = request.id.clone();
                    let answer = match spent {
                        Ok(()) => HoldAnswer::Granted { id },
                        Err(AccessError::Over(_)) => HoldAnswer::Refused { id, why: "revoked" },
                        Err(_) => HoldAnswer::Refused { id, why: "unavailable" },
                    };
                    self.answer(waiter.core, waiter.session, Answer::Hold { asked: waiter.asked, answer });
                }
            }
            State::Consumed { .. } => self.tell(&request.id, "used"),
            State::Over { why } => {
                let why = match why.as_str() {
                    "denied" => "denied",
                    "expired" => "expired",
                    "withdrawn" => "withdrawn",
                    _ => "revoked",
                };
                self.tell(&request.id, why);
            }
        }
    }

    fn tell(&self, id: &str, why: &'static str) {
        for waiter in self.lock().remove(id).unwrap_or_default() {
            let answer = HoldAnswer::Refused { id: id.to_owned(), why };
            self.answer(waiter.core, waiter.session, Answer::Hold { asked: waiter.asked, answer });
        }
    }

    /// A session does not want what it asked any more. The request goes when nobody else waits for it.
    fn withdraw(&self, session: SessionId, asked: &str, reason: &str) {
        let (id, who) = {
            let mut waiting = self.lock();
            let mine = |waiter: &Waiter| waiter.session == session && waiter.asked == asked;
            // What it waits for may be an identical request of before.
            let Some((id, waiters)) = waiting.iter_mut().find(|(_, waiters)| waiters.iter().any(mine)) else { return };
            let who = waiters.iter().find(|waiter| mine(waiter)).map(|waiter| waiter.who.clone());
            waiters.retain(|waiter| !mine(waiter));
            let (id, others) = (id.clone(), !waiters.is_empty());
            if others {
                return;
            }
            waiting.remove(&id);
            (id, who)
        };
        if let (Some(engine), Some(who)) = (self.engine.get(), who)
            && reason != "timeout"
            && let Err(error) = engine.withdraw(&who, &id, reason)
        {
            tracing::warn!(id, "a request cannot be withdrawn: {error}");
        }
    }

    fn ended(&self, session: SessionId) {
        if let Some(issuer) = self.issuer.get() {
            issuer.ended(session);
        }
        let asked: Vec<String> = {
            let waiting = self.lock();
            let mine = waiting.values().flatten().filter(|waiter| waiter.session == session);
            mine.map(|waiter| waiter.asked.clone()).collect()
        };
        for asked in asked {
            self.withdraw(session, &asked, "disconnected");
        }
    }
}
