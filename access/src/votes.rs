//! Requests, votes, and what becomes of them.
//!
//! Rules: nobody votes on what they asked for, administrators included; each person votes once; one no is final; votes count
//! only from members of the request's groups, looked at when they vote and again when the approval is used; an approved
//! statement is used once, by compare-and-set, by its requester, for exactly the digest that was approved.

use crate::cache::kind;
use crate::engine::{AccessError, Engine, actor, hex, request_id};
use crate::model::{AccessGrant, Person, Request, Requestable, Said, State, StatementWanted, Vote, Wanted, Who};
use audit::record::SessionId;
use audit::{Body, OwnedAccess, OwnedApproval};

/// A statement that a session holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Id made up by the session.
    pub id: String,
    /// Session.
    pub session: [u8; 16],
    /// Statement in it.
    pub statement: u64,
    /// Requester.
    pub who: Who,
    /// Database user name.
    pub handle: String,
    /// Role.
    pub role: String,
    /// Target.
    pub target: String,
    /// Rule.
    pub rule: String,
    /// Digest.
    pub digest: [u8; 32],
    /// Text and parameters.
    pub said: Said,
    /// Tables.
    pub tables: Vec<String>,
    /// Classes and what becomes of each.
    pub classes: Vec<(String, String)>,
    /// Byte ranges that the rule is about.
    pub marks: Vec<(usize, usize)>,
    /// Estimated rows.
    pub estimate: Option<u64>,
    /// Groups that may vote.
    pub approvers: Vec<String>,
    /// Votes needed.
    pub needed: u16,
    /// From distinct groups.
    pub distinct: bool,
    /// Purpose of the session.
    pub reason: String,
    /// Address of the requester.
    pub source: String,
}

/// What becomes of a held statement at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldOutcome {
    /// An approval was there and is spent on it: it may run now.
    Granted {
        /// Id of the request.
        id: String,
    },
    /// It waits.
    Waiting {
        /// Id of the request that it waits for.
        id: String,
        /// Until when, Unix seconds.
        until_s: u64,
    },
}

/// A vote to be cast.
#[derive(Clone, Copy, Debug)]
pub struct Ballot<'a> {
    /// Request.
    pub id: &'a str,
    /// Digest shown to the voter (statements), hexadecimal; must be the request's.
    pub digest: &'a str,
    /// Yes or no.
    pub approve: bool,
    /// Reason.
    pub reason: &'a str,
    /// `console`, `cli`, `webhook`.
    pub channel: &'a str,
    /// Address it came from.
    pub source: &'a str,
    /// What an authenticator signed over the digest, already verified.
    pub assertion: Option<&'a [u8]>,
}

/// Attempts of a change that others get in between.
const ATTEMPTS: usize = 8;

/// May these be accounts of one person at two issuers? Their names say so: the second of a name has a suffix.
pub(crate) fn same_name(person: &Person, who: &Who, handle: &str) -> bool {
    fn stem(handle: &str) -> &str {
        let parts = handle.rsplit_once('-');
        let suffix = |tail: &str| tail.len() == 6 && tail.bytes().all(|byte| byte.is_ascii_hexdigit());
        parts.filter(|(_, tail)| suffix(tail)).map_or(handle, |(stem, _)| stem)
    }
    person.who.issuer != who.issuer && stem(&person.handle) == stem(handle)
}

fn context(id: &str) -> String {
    format!("request/{id}")
}

fn session_id(text: &str) -> SessionId {
    let mut id = [0; 16];
    for (out, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *out = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or(0);
    }
    SessionId(id)
}

impl Engine {
    /// The request with this id.
    #[must_use]
    pub fn request(&self, id: &str) -> Option<Request> {
        self.cache().requests.get(id).map(|(_, request)| request.clone())
    }

    /// Requests, newest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        let mut requests: Vec<Request> = self.cache().requests.values().map(|(_, request)| request.clone()).collect();
        requests.sort_by(|a, b| b.at_s.cmp(&a.at_s).then_with(|| a.id.cmp(&b.id)));
        requests
    }

    /// May this person vote on it? Why not, if not.
    ///
    /// # Errors
    /// Why not.
    pub fn may_vote(&self, person: &Person, request: &Request) -> Result<(), AccessError> {
        if person.who == request.who {
            return Err(AccessError::Forbidden("nobody votes on what they asked for, administrators included"));
        }
        if same_name(person, &request.who, &request.handle) {
            return Err(AccessError::Forbidden(
                "this may be the account of the same person at another provider: somebody else has to vote",
            ));
        }
        if !Self::is_member(person, &request.approvers) {
            return Err(AccessError::Forbidden("you are not in a group that votes on this"));
        }
        if request.votes.iter().any(|vote| vote.who == person.who || same_name(person, &vote.who, &vote.handle)) {
            return Err(AccessError::Forbidden("you have voted on this already"));
        }
        if request.state != State::Pending || request.until_s <= self.clock.now_s() {
            return Err(AccessError::Over("this request does not wait for votes any more".to_owned()));
        }
        Ok(())
    }

    /// May this person see it?
    #[must_use]
    pub fn may_see(&self, person: &Person, request: &Request) -> bool {
        person.who == request.who || Self::is_member(person, &request.approvers) || self.is_auditor(person)
    }

    /// What a held statement says.
    ///
    /// # Errors
    /// It is over and the text is gone, or it cannot be opened.
    pub fn said(&self, request: &Request) -> Result<Said, AccessError> {
        let Wanted::Statement(wanted) = &request.wanted else { return Err(AccessError::NotFound) };
        if wanted.sealed.is_empty() {
            return Err(AccessError::Over("the text is only in the audit log now".to_owned()));
        }
        let bytes = self.sealed.open(&context(&request.id), &wanted.sealed)?;
        serde_json::from_slice(&bytes).map_err(|_| AccessError::Sealed)
    }

    /// Roles that this person can ask for on a target.
    #[must_use]
    pub fn requestable(&self, person: &Person, target: &str) -> Vec<Requestable> {
        Self::open_to(person, target, &self.policy().requestable)
    }

    /// Those of these rules that are for this person and this target.
    pub(crate) fn open_to(person: &Person, target: &str, rules: &[Requestable]) -> Vec<Requestable> {
        let fits = |rule: &&Requestable| {
            rule.targets.iter().any(|glob| matches(glob, target)) && Self::is_member(person, &rule.groups)
        };
        rules.iter().filter(fits).cloned().collect()
    }

    /// Asks for a role on a target. A rule that needs no votes gives it at once.
    ///
    /// # Errors
    /// It cannot be asked for, the reason is too short, too many wait, or not taken.
    pub fn ask(
        &self,
        person: &Person,
        target: &str,
        role: &str,
        seconds: u64,
        reason: &str,
        source: &str,
    ) -> Result<Request, AccessError> {
        let policy = self.policy();
        let rules = self.requestable(person, target);
        let rule = rules.iter().find(|rule| rule.role == role);
        let rule = rule.ok_or(AccessError::Forbidden("this role cannot be asked for on this target by you"))?;
        if reason.trim().chars().count() < policy.reason_min {
            return Err(AccessError::Invalid(format!("give a reason of at least {} characters", policy.reason_min)));
        }
        let now_s = self.clock.now_s();
        self.may_ask_more(
            &person.who,
            now_s,
            &|other| matches!(&other.wanted, Wanted::Access { target: t, role: r, .. } if t == target && r == role),
        )?;
        let id = request_id()?;
        let request = Request {
            id: id.clone(),
            wanted: Wanted::Access {
                target: target.to_owned(),
                role: role.to_owned(),
                seconds: seconds.clamp(60, rule.max_s.max(60)),
            },
            who: person.who.clone(),
            handle: person.handle.clone(),
            reason: reason.trim().to_owned(),
            source: source.to_owned(),
            at_s: now_s,
            until_s: now_s + policy.request_s,
            approvers: rule.approvers.clone(),
            needed: rule.approvals,
            distinct: false,
            step_up: policy.step_up && rule.protected,
            votes: Vec::new(),
            state: State::Pending,
        };
        let mut about = actor(&person.who);
        about.role = role.to_owned();
        self.record(OwnedAccess {
            kind: "request".to_owned(),
            actor: actor(&person.who),
            about,
            user: person.handle.clone(),
            target: target.to_owned(),
            source: source.to_owned(),
            id: id.clone(),
            reason: request.reason.clone(),
            until_ns: request.until_s * 1_000_000_000,
            ..OwnedAccess::default()
        })?;
        self.put(kind::REQUEST, &id, 0, Some(&request))?;
        if rule.approvals == 0 {
            self.settle(&id)?;
        }
        self.request(&id).ok_or(AccessError::NotFound)
    }

    /// Guards against wearing people out.
    fn may_ask_more(&self, who: &Who, now_s: u64, same: &dyn Fn(&Request) -> bool) -> Result<(), AccessError> {
        let policy = self.policy();
        let cache = self.cache();
        let mine = || cache.requests.values().map(|(_, request)| request).filter(|request| request.who == *who);
        if mine().filter(|request| request.state == State::Pending).count() >= policy.pending_max {
            return Err(AccessError::TooMany("too many requests of yours wait already"));
        }
        let denied = |request: &Request| matches!(&request.state, State::Over { why } if why == "denied");
        let when = |request: &Request| request.votes.iter().map(|vote| vote.at_s).max().unwrap_or(0);
        if mine().any(|request| denied(request) && same(request) && when(request) + policy.cool_down_s > now_s) {
            return Err(AccessError::TooMany("this was refused a moment ago: wait before asking again"));
        }
        Ok(())
    }

    /// A session holds a statement: an approval of the same digest by the same person is spent on it; otherwise it waits,
    /// beside an identical request if there is one.
    ///
    /// # Errors
    /// Too many wait, or not taken.
    pub fn hold(&self, holding: &Holding) -> Result<HoldOutcome, AccessError> {
        let _one = self.holding.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now_s = self.clock.now_s();
        let digest = hex(&holding.digest);
        for _ in 0..8 {
            let found = self.same_statement(&holding.who, &digest, &holding.rule);
            match found {
                Some((_, request)) if matches!(request.state, State::Approved { .. }) => {
                    match self.consume(&request.id, holding.session, holding.statement, &digest) {
                        Ok(()) => return Ok(HoldOutcome::Granted { id: request.id }),
                        Err(AccessError::Over(_)) => self.pull()?,
                        Err(error) => return Err(error),
                    }
                }
                Some((_, request)) => {
                    return Ok(HoldOutcome::Waiting { id: request.id.clone(), until_s: request.until_s });
                }
                None => break,
            }
        }
        self.may_ask_more(
            &holding.who,
            now_s,
            &|other| matches!(&other.wanted, Wanted::Statement(wanted) if wanted.digest == digest),
        )?;
        let said = serde_json::to_vec(&holding.said).map_err(|_| AccessError::Sealed)?;
        let policy = self.policy();
        let request = Request {
            id: holding.id.clone(),
            wanted: Wanted::Statement(Box::new(StatementWanted {
                digest,
                session: hex(&holding.session),
                statement: holding.statement,
                node: self.node.clone(),
                target: holding.target.clone(),
                role: holding.role.clone(),
                rule: holding.rule.clone(),
                sealed: self.sealed.seal(&context(&holding.id), &said)?,
                tables: holding.tables.clone(),
                classes: holding.classes.clone(),
                marks: holding.marks.clone(),
                estimate: holding.estimate,
            })),
            who: holding.who.clone(),
            handle: holding.handle.clone(),
            reason: holding.reason.clone(),
            source: holding.source.clone(),
            at_s: now_s,
            until_s: now_s + policy.request_s,
            approvers: holding.approvers.clone(),
            needed: holding.needed.max(1),
            distinct: holding.distinct,
            step_up: policy.step_up && !holding.classes.is_empty(),
            votes: Vec::new(),
            state: State::Pending,
        };
        self.put(kind::REQUEST, &request.id, 0, Some(&request))?;
        Ok(HoldOutcome::Waiting { id: request.id.clone(), until_s: request.until_s })
    }

    /// A request of this person for this digest that waits or is approved; approved ones first.
    fn same_statement(&self, who: &Who, digest: &str, rule: &str) -> Option<(u64, Request)> {
        let now_s = self.clock.now_s();
        let cache = self.cache();
        let same = |request: &Request| {
            request.who == *who
                && matches!(&request.wanted, Wanted::Statement(wanted) if wanted.digest == digest && wanted.rule == rule)
        };
        let live = |request: &Request| match request.state {
            State::Pending => request.until_s > now_s,
            State::Approved { until_s } => until_s > now_s,
            State::Consumed { .. } | State::Over { .. } => false,
        };
        let fits = cache.requests.values().filter(|(_, request)| same(request) && live(request));
        fits.max_by_key(|(_, request)| matches!(request.state, State::Approved { .. })).cloned()
    }

    /// Spends an approval on a statement that is about to run: once, for its digest, while its voters still may vote.
    ///
    /// # Errors
    /// [`AccessError::Over`]: it is spent, over, of another digest, or its voters may not vote any more.
    pub fn consume(&self, id: &str, session: [u8; 16], statement: u64, digest: &str) -> Result<(), AccessError> {
        let (version, mut request) = self.cache().requests.get(id).cloned().ok_or(AccessError::NotFound)?;
        let over = |why: &str| Err(AccessError::Over(why.to_owned()));
        let State::Approved { until_s } = request.state else { return over("it is not approved, or was used") };
        if until_s <= self.clock.now_s() {
            return over("the approval has expired");
        }
        let Wanted::Statement(wanted) = &mut request.wanted else { return over("it is about something else") };
        if wanted.digest != digest {
            return over("it is about another statement");
        }
        wanted.sealed.clear();
        let standing = {
            let cache = self.cache();
            let may = |vote: &&Vote| {
                let person = cache.people.get(&vote.who).map(|(_, person)| person);
                vote.approve && person.is_some_and(|p| !p.suspended && Self::is_member(p, &request.approvers))
            };
            request.votes.iter().filter(may).count()
        };
        if standing < usize::from(request.needed) {
            request.state = State::Over { why: "revoked".to_owned() };
            self.put(kind::REQUEST, id, version, Some(&request))?;
            self.ended(&request, "revoked")?;
            return over("who approved it may not any more");
        }
        request.state = State::Consumed { session: hex(&session), statement };
        self.put(kind::REQUEST, id, version, Some(&request))
    }

    /// The requester, or the session, does not want it any more.
    ///
    /// # Errors
    /// There is none, or not taken.
    pub fn withdraw(&self, who: &Who, id: &str, reason: &str) -> Result<(), AccessError> {
        let (version, request) = self.cache().requests.get(id).cloned().ok_or(AccessError::NotFound)?;
        if request.who != *who {
            return Err(AccessError::NotFound);
        }
        if request.is_over() {
            return Ok(());
        }
        self.finish(version, request, "withdrawn", reason)
    }

    fn finish(&self, version: u64, mut request: Request, why: &str, reason: &str) -> Result<(), AccessError> {
        request.state = State::Over { why: why.to_owned() };
        if let Wanted::Statement(wanted) = &mut request.wanted {
            wanted.sealed.clear();
        }
        self.put(kind::REQUEST, &request.id.clone(), version, Some(&request))?;
        let why = if reason.is_empty() { why.to_owned() } else { format!("{why}: {reason}") };
        self.ended(&request, &why)
    }

    /// Records that a request is over.
    fn ended(&self, request: &Request, why: &str) -> Result<(), AccessError> {
        match &request.wanted {
            Wanted::Access { .. } => self.record(OwnedAccess {
                kind: "end".to_owned(),
                about: actor(&request.who),
                id: request.id.clone(),
                target: request.target().to_owned(),
                detail: why.to_owned(),
                ..OwnedAccess::default()
            }),
            Wanted::Statement(wanted) => {
                let mut approval = of_statement(request, wanted, "end");
                approval.reason = why.to_owned();
                self.append(Body::Approval(Box::new(approval)))
            }
        }
    }

    /// Casts a vote.
    ///
    /// # Errors
    /// The person may not, the digest is another one, it needs an authenticator, or not taken. Refused votes are recorded.
    pub fn vote(&self, person: &Person, ballot: &Ballot<'_>) -> Result<Request, AccessError> {
        let (version, mut request) = self.cache().requests.get(ballot.id).cloned().ok_or(AccessError::NotFound)?;
        if !self.may_see(person, &request) {
            return Err(AccessError::NotFound);
        }
        let checked = self.may_vote(person, &request).and_then(|()| {
            let shown = match &request.wanted {
                Wanted::Statement(wanted) => wanted.digest.as_str(),
                Wanted::Access { .. } => "",
            };
            if shown != ballot.digest {
                return Err(AccessError::Over("what you looked at is not what waits: look again".to_owned()));
            }
            if ballot.reason.trim().chars().count() < self.policy().reason_min {
                let least = self.policy().reason_min;
                return Err(AccessError::Invalid(format!("give a reason of at least {least} characters")));
            }
            // A program counts as one vote beside a person's; alone it never does.
            let beside = ballot.channel == "webhook" && request.needed > 1;
            if self.takes_key(&request) && ballot.approve && ballot.assertion.is_none() && !beside {
                return Err(AccessError::StepUp);
            }
            Ok(())
        });
        if let Err(error) = checked {
            self.refused("vote_refused", &person.who, ballot.source, format!("{}: {error}", ballot.id));
            return Err(error);
        }
        let mut groups: Vec<String> =
            request.approvers.iter().filter(|group| person.groups.contains(group)).cloned().collect();
        groups.sort();
        let vote = Vote {
            who: person.who.clone(),
            handle: person.handle.clone(),
            approve: ballot.approve,
            reason: ballot.reason.trim().to_owned(),
            at_s: self.clock.now_s(),
            channel: ballot.channel.to_owned(),
            groups,
            step_up: ballot.assertion.is_some(),
        };
        let word = if ballot.approve { "approve" } else { "deny" };
        match &request.wanted {
            Wanted::Access { target, role, .. } => {
                let mut about = actor(&request.who);
                about.role.clone_from(role);
                self.record(OwnedAccess {
                    kind: "vote".to_owned(),
                    actor: actor(&person.who),
                    about,
                    user: person.handle.clone(),
                    target: target.clone(),
                    source: ballot.source.to_owned(),
                    id: request.id.clone(),
                    reason: ballot.reason.trim().to_owned(),
                    detail: format!("{word} {}{}", ballot.channel, if vote.step_up { " with a key" } else { "" }),
                    ..OwnedAccess::default()
                })?;
            }
            Wanted::Statement(wanted) => {
                let mut approval = of_statement(&request, wanted, "vote");
                approval.actor = actor(&person.who);
                approval.reason = ballot.reason.trim().to_owned();
                approval.detail = format!("{word} {}", ballot.channel);
                approval.assertion = ballot.assertion.unwrap_or_default().to_vec();
                self.append(Body::Approval(Box::new(approval)))?;
            }
        }
        request.votes.push(vote.clone());
        let mut cast = self.put(kind::REQUEST, &request.id, version, Some(&request));
        for _ in 0..ATTEMPTS {
            if !matches!(cast, Err(AccessError::Over(_))) {
                break;
            }
            // Somebody else voted at the same time.
            self.pull()?;
            let (version, mut request) = self.cache().requests.get(ballot.id).cloned().ok_or(AccessError::NotFound)?;
            self.may_vote(person, &request)?;
            request.votes.push(vote.clone());
            cast = self.put(kind::REQUEST, ballot.id, version, Some(&request));
        }
        cast?;
        let settled = self.settle(ballot.id);
        self.if_first(settled, || Ok(()))?;
        self.request(ballot.id).ok_or(AccessError::NotFound)
    }

    /// A vote for it needs an authenticator: it did when it was asked for, or the role shows protected data by now.
    fn takes_key(&self, request: &Request) -> bool {
        let policy = self.policy();
        let protected = |role: &str| policy.requestable.iter().any(|rule| rule.role == role && rule.protected);
        request.step_up || policy.step_up && matches!(&request.wanted, Wanted::Access { role, .. } if protected(role))
    }

    /// Gives or refuses what was asked for, once the votes say so.
    fn settle(&self, id: &str) -> Result<(), AccessError> {
        let (version, mut request) = self.cache().requests.get(id).cloned().ok_or(AccessError::NotFound)?;
        if request.state != State::Pending {
            return Ok(());
        }
        if request.votes.iter().any(|vote| !vote.approve) {
            return self.finish(version, request, "denied", "");
        }
        let enough = request.votes.len() >= usize::from(request.needed)
            && (!request.distinct || distinct_groups(&request.votes) >= usize::from(request.needed))
            && (!self.takes_key(&request) || request.votes.iter().any(|vote| vote.step_up));
        if !enough {
            return Ok(());
        }
        let now_s = self.clock.now_s();
        match request.wanted.clone() {
            Wanted::Access { target, role, seconds } => {
                let until_s = now_s + seconds;
                let rule = self.policy();
                let groups = rule.requestable.iter().find(|rule| rule.role == role).map(|rule| rule.groups.clone());
                let grant = AccessGrant {
                    id: request.id.clone(),
                    who: request.who.clone(),
                    target: target.clone(),
                    role: role.clone(),
                    from_s: now_s,
                    until_s,
                    purpose: request.reason.clone(),
                    groups: groups.unwrap_or_default(),
                    break_glass: false,
                    ended: None,
                };
                request.state = State::Approved { until_s };
                // Whoever changes the request gives the grant.
                self.put(kind::REQUEST, id, version, Some(&request))?;
                let mut about = actor(&request.who);
                about.role = role;
                self.record(OwnedAccess {
                    kind: "grant".to_owned(),
                    about,
                    user: request.handle.clone(),
                    target,
                    id: request.id.clone(),
                    reason: request.reason,
                    until_ns: until_s * 1_000_000_000,
                    ..OwnedAccess::default()
                })?;
                self.put(kind::GRANT, &grant.id, 0, Some(&grant))
            }
            Wanted::Statement(wanted) => {
                let until_s = now_s + self.policy().use_s;
                let mut approval = of_statement(&request, &wanted, "grant");
                approval.until_ns = until_s * 1_000_000_000;
                self.append(Body::Approval(Box::new(approval)))?;
                request.state = State::Approved { until_s };
                self.put(kind::REQUEST, id, version, Some(&request))
            }
        }
    }

    pub(crate) fn tidy_requests(&self, now_s: u64, kept_s: u64) -> Result<(), AccessError> {
        let (late, gone) = {
            let cache = self.cache();
            let ends = |request: &Request| match request.state {
                State::Pending => request.until_s,
                State::Approved { until_s } => until_s,
                State::Consumed { .. } | State::Over { .. } => u64::MAX,
            };
            let late: Vec<_> = cache.requests.values().filter(|(_, r)| ends(r) <= now_s).cloned().collect();
            let gone = |request: &Request| request.is_over() && request.at_s + kept_s <= now_s;
            let gone: Vec<_> = cache.requests.values().filter(|(_, request)| gone(request)).cloned().collect();
            (late, gone)
        };
        for (version, request) in late {
            let done = self.finish(version, request, "expired", "");
            self.if_first(done, || Ok(()))?;
        }
        for (version, request) in gone {
            self.if_first(self.put::<Request>(kind::REQUEST, &request.id, version, None), || Ok(()))?;
        }
        Ok(())
    }
}

fn of_statement(request: &Request, wanted: &StatementWanted, what: &str) -> OwnedApproval {
    let mut digest = [0; 32];
    for (out, pair) in digest.iter_mut().zip(wanted.digest.as_bytes().chunks_exact(2)) {
        *out = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or(0);
    }
    OwnedApproval {
        kind: what.to_owned(),
        session: session_id(&wanted.session),
        statement: wanted.statement,
        actor: actor(&request.who),
        id: request.id.clone(),
        digest,
        target: wanted.target.clone(),
        rule: wanted.rule.clone(),
        ..OwnedApproval::default()
    }
}

/// Largest number of votes that come from groups all different.
fn distinct_groups(votes: &[Vote]) -> usize {
    // Few votes and few groups: augmenting paths, voter by voter.
    fn assign(voter: usize, votes: &[Vote], taken: &mut Vec<(String, usize)>, seen: &mut Vec<String>) -> bool {
        for group in &votes[voter].groups {
            if seen.contains(group) {
                continue;
            }
            seen.push(group.clone());
            let holder = taken.iter().position(|(of, _)| of == group);
            match holder {
                None => {
                    taken.push((group.clone(), voter));
                    return true;
                }
                Some(at) => {
                    let other = taken[at].1;
                    if assign(other, votes, taken, seen) {
                        if let Some(entry) = taken.iter_mut().find(|(of, holder)| of == group && *holder == other) {
                            entry.1 = voter;
                        }
                        return true;
                    }
                }
            }
        }
        false
    }
    let mut taken = Vec::new();
    (0..votes.len()).filter(|&voter| assign(voter, votes, &mut taken, &mut Vec::new())).count()
}

/// `*` stands for any run of characters.
pub(crate) fn matches(glob: &str, name: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(first) = parts.next() else { return name.is_empty() };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
