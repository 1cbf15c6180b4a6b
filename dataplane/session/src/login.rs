//! From the first byte to a grant.
//!
//! Invariants: an unknown user and a wrong password are told apart nowhere the client can see; which targets exist is told
//! only to who proved an identity; every login that fails leaves a record.

use crate::host::{Granted, Host, Proven, User};
use crate::judged::neutral;
use audit::record::{Record, SessionId};
use contract::{Challenge, Discovery, Fault, Greeted, Greeting, Lane, LoginRequest, Refusal, Shows, Token};
use policy::Grant;
use std::rc::Rc;

/// What the login needs next.
#[derive(Debug)]
pub enum LoginNext {
    /// Bytes from or to the client.
    Io,
    /// TLS, once what is queued has been sent.
    StartTls,
    /// TLS; the client's first bytes are in the lane.
    DirectTls,
    /// This is a cancel request with this key; nothing is answered.
    Cancel(Vec<u8>),
    /// The client asks to be this user: answer with [`Login::user`], [`Login::token`] or [`Login::certified`].
    Who(String),
    /// The client shows a token: answer with [`Login::shown`].
    Shown(Shows, Token),
    /// The client is who it says: answer with [`Login::admit`].
    Proved,
    /// It is over; what is queued is still to be sent.
    End(&'static str),
}

/// Who was admitted to what.
#[derive(Debug)]
pub struct Admitted {
    /// The grant.
    pub grant: Grant,
    /// What the client asked for.
    pub request: LoginRequest,
    /// Index of the target.
    pub target: usize,
    /// Who it is, and what was shown.
    pub proven: Proven,
    /// The grant that gave the role, if the groups alone do not.
    pub granted: Option<Granted>,
}

impl Admitted {
    /// When the session ends, Unix nanoseconds; 0 for no end.
    #[must_use]
    pub fn until_ns(&self) -> u64 {
        let ends = [self.proven.until_ns, self.granted.as_ref().map_or(0, |granted| granted.until_ns)];
        ends.into_iter().filter(|&end| end > 0).min().unwrap_or(0)
    }
}

/// User names that stand for whoever the token names.
pub const WHOEVER: &[&str] = &["token", "oauth"];

/// A login in progress.
#[derive(Debug)]
pub struct Login<G: Greeting> {
    /// The protocol's part.
    pub greeting: G,
    /// Client to us.
    pub down: Lane,
    /// Us to client.
    pub up: Lane,
    session: SessionId,
    source: String,
    request: LoginRequest,
    proven: Vec<Proven>,
    by_password: bool,
    over: bool,
}

impl<G: Greeting> Login<G> {
    /// A new connection.
    pub fn new(greeting: G, session: SessionId, source: String, bytes_max: usize) -> Self {
        Self {
            greeting,
            down: Lane::new(bytes_max),
            up: Lane::new(bytes_max),
            session,
            source,
            request: LoginRequest::default(),
            proven: Vec::new(),
            by_password: false,
            over: false,
        }
    }

    /// Goes on until something is needed.
    pub fn advance<H: Host>(&mut self, host: &H) -> LoginNext {
        if self.over {
            return LoginNext::End("login");
        }
        match self.greeting.step(&mut self.down, &mut self.up) {
            Ok(Greeted::NeedMore) => LoginNext::Io,
            Ok(Greeted::StartTls) => LoginNext::StartTls,
            Ok(Greeted::DirectTls) => LoginNext::DirectTls,
            Ok(Greeted::Cancel(key)) => {
                self.over = true;
                LoginNext::Cancel(key)
            }
            Ok(Greeted::Login(request)) => {
                self.request = request;
                LoginNext::Who(self.request.user.clone())
            }
            Ok(Greeted::Authenticated) if self.greeting.matched() < self.proven.len() => LoginNext::Proved,
            Ok(Greeted::Authenticated) => self.denied(host, "unknown_user"),
            Ok(Greeted::Shown(shows, token)) => {
                // Whoever a password would have proved, it is not what was shown.
                self.by_password = false;
                self.proven = Vec::new();
                LoginNext::Shown(shows, token)
            }
            Ok(Greeted::Denied(reason)) => self.denied(host, reason),
            Err(fault) => {
                self.fail(host, &fault, "protocol");
                LoginNext::End("protocol")
            }
        }
    }

    fn denied<H: Host>(&mut self, host: &H, reason: &'static str) -> LoginNext {
        let unknown = self.by_password && self.proven.is_empty();
        let fault = if self.by_password {
            Fault::downstream("password authentication failed").with_state("28P01")
        } else {
            Fault::downstream("authentication failed").with_state("28000")
        };
        self.fail(host, &fault, if unknown { "unknown_user" } else { reason });
        LoginNext::End(reason)
    }

    /// Ends the login with a fault the client is told, and a record.
    pub fn fail<H: Host>(&mut self, host: &H, fault: &Fault, reason: &'static str) {
        self.greeting.deny(&mut self.up, fault, None);
        self.note(host, reason);
    }

    fn refuse<H: Host>(&mut self, host: &H, state: &'static str, refusal: &Refusal) {
        let fault = Fault::downstream("refused by policy").with_state(state);
        self.greeting.deny(&mut self.up, &fault, Some(refusal));
        self.note(host, "not_admitted");
    }

    /// Records that this login failed.
    pub fn note<H: Host>(&mut self, host: &H, reason: &'static str) {
        self.over = true;
        let record = Record::AuthFail { session: self.session, source: &self.source, user: &self.request.user, reason };
        // A failed login forwards nothing, so a full log refuses nothing more.
        drop(host.record(&record));
    }

    /// The user's verifier, and fresh randomness for the exchange; where tokens come from, if one is as good.
    pub fn user<H: Host>(&mut self, host: &H, user: User<G::Verifier>, nonce: [u8; 18], oauth: Option<Rc<Discovery>>) {
        self.proven = user.proven;
        self.by_password = true;
        self.ask(host, Challenge::Secret { verifier: user.verifier, nonce, oauth });
    }

    /// A token is to be shown and nothing else: by the protocol's own mechanism, or in the place of a password.
    pub fn token<H: Host>(&mut self, host: &H, oauth: Option<Rc<Discovery>>) {
        self.ask(host, oauth.map_or(Challenge::Token, Challenge::Oauth));
    }

    /// The client's certificate is of this person, or of nobody any more.
    pub fn certified<H: Host>(&mut self, host: &H, proven: Option<Proven>) {
        match proven.filter(|proven| proven.user == self.request.user) {
            Some(proven) => {
                self.proven = vec![proven];
                self.ask(host, Challenge::Nothing);
            }
            None => {
                let fault = Fault::downstream("the client certificate is not, or no longer, of this user");
                self.fail(host, &fault.with_state("28000"), "certificate");
            }
        }
    }

    fn ask<H: Host>(&mut self, host: &H, challenge: Challenge<G::Verifier>) {
        if let Err(fault) = self.greeting.challenge(&mut self.up, challenge) {
            self.fail(host, &fault, "token_in_clear");
        }
    }

    /// Whose token it is, or why it is no good.
    pub fn shown(&mut self, verdict: Result<Proven, &'static str>) {
        let named = self.request.user.as_str();
        let verdict = verdict.and_then(|proven| {
            let fits = proven.user == named || WHOEVER.contains(&named);
            if fits { Ok(proven) } else { Err("other_user") }
        });
        self.greeting.shown(&mut self.up, verdict.as_ref().map(drop).map_err(|reason| *reason));
        if let Ok(proven) = verdict {
            self.request.user.clone_from(&proven.user);
            self.proven = vec![proven];
        }
    }

    /// What the client asked for.
    pub fn request(&self) -> &LoginRequest {
        &self.request
    }

    /// Asks policy; on a refusal the client is told and the login is over.
    pub fn admit<H: Host>(&mut self, host: &H, target: Option<usize>) -> Option<Admitted> {
        let Some(target) = target else {
            let database = self.request.database.clone();
            self.refuse(
                host,
                "3D000", // invalid_catalog_name: what the server says of a database that does not exist
                &Refusal {
                    code: policy::code::NO_TARGET,
                    rule: "default:unknown-target".to_owned(),
                    message: format!("no target named \"{database}\" is reachable through this gateway"),
                    hint: Some("Use the name of a target as the database name.".to_owned()),
                    position: None,
                },
            );
            return None;
        };
        let matched = self.greeting.matched();
        let mut proven = self.proven.get(matched).cloned().unwrap_or_default();
        let now_ns = host.unix_ns();
        if proven.until_ns > 0 && proven.until_ns <= now_ns {
            let fault = Fault::downstream("what you logged in with has expired").with_state("28000");
            self.fail(host, &fault, "expired");
            return None;
        }
        let epoch = host.epoch(target);
        let name = epoch.bundle().model().targets.get(epoch.target()).map_or("", |target| target.name.as_str());
        if !proven.only_target.is_empty() && proven.only_target != name {
            let fault = Fault::downstream("what you logged in with is for another target").with_state("28000");
            self.fail(host, &fault, "other_target");
            return None;
        }
        proven.grants.retain(|granted| granted.target == name && granted.until_ns > now_ns);
        proven.identity.granted = proven.grants.iter().map(|granted| granted.role.clone()).collect();
        match policy::admit(&epoch, &proven.identity) {
            Ok(grant) => {
                let standing = policy::Identity { granted: Vec::new(), ..proven.identity.clone() };
                let by_groups = policy::admit(&epoch, &standing).is_ok_and(|other| other.role() == grant.role());
                let granted = proven.grants.iter().filter(|granted| !by_groups && granted.role == grant.role());
                let granted = granted.max_by_key(|granted| granted.until_ns).cloned();
                Some(Admitted { grant, request: std::mem::take(&mut self.request), target, proven, granted })
            }
            Err(refusal) => {
                self.refuse(host, "42501", &neutral(refusal));
                None
            }
        }
    }

    /// Puts the request back, for the record of a failure after admission.
    pub fn restore(&mut self, request: LoginRequest) {
        self.request = request;
    }
}
