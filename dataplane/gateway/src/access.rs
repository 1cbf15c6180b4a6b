//! What a core asks the control side about people, and what it is told.
//!
//! A core does no HTTP and opens no store: it posts a question and goes on with other sessions; the one that asked waits for
//! its answer, or for its own deadline. Invariants: a question carries its session's id, and an answer that comes when the
//! session is gone is dropped; a directory is read without waiting. Deliberately absent: rules about who may what, which are
//! the control side's, and their records, but for those that a session writes about itself.

use audit::record::SessionId;
use postgres::scram::Verifier;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

pub use session::{Granted, HoldAnswer, HoldAsked, Proven, Sent};

/// A question of a session's.
#[derive(Debug)]
pub struct Ask {
    /// Core that asks.
    pub core: usize,
    /// Session that waits.
    pub session: SessionId,
    /// What it asks.
    pub question: Question,
}

/// What is asked.
#[derive(Debug)]
pub enum Question {
    /// Who shows this token? Answer: [`Answer::Proven`].
    Proof(Proof),
    /// An account upstream for this session alone. Answer: [`Answer::Account`].
    Account(AccountWanted),
    /// May this statement run? Answer: [`Answer::Hold`], perhaps several times.
    Hold(Box<HoldAsked>),
    /// The statement is not wanted any more. No answer.
    Withdraw {
        /// Id of the request.
        id: String,
        /// `cancelled`, `disconnected`, `timeout`, `changed`.
        reason: &'static str,
    },
    /// The session is over: what exists for it alone can go. No answer.
    Ended,
}

/// A token, as shown.
pub struct Proof {
    /// User name given beside it, perhaps empty.
    pub user: String,
    /// Target asked for.
    pub target: String,
    /// Peer address.
    pub source: String,
    /// `token` (as password) or `oauthbearer`.
    pub how: &'static str,
    /// The token.
    pub token: Zeroizing<String>,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof").field("user", &self.user).field("how", &self.how).finish_non_exhaustive()
    }
}

/// Whose account, and for what.
#[derive(Clone, Debug)]
pub struct AccountWanted {
    /// Index of the target.
    pub target: usize,
    /// Issuer of the identity.
    pub issuer: String,
    /// Subject.
    pub subject: String,
    /// Role of the grant.
    pub role: String,
    /// Until when the session may last, Unix nanoseconds; 0 for no end.
    pub until_ns: u64,
}

/// What a session is told.
#[derive(Debug)]
pub enum Answer {
    /// Who shows the token, or why not (a stable word for the record).
    Proven(Result<Box<Proven>, &'static str>),
    /// Account upstream, or why not.
    Account(Result<Account, String>),
    /// About a statement that is held.
    Hold(HoldAnswer),
}

/// An account upstream and its password.
#[derive(Clone)]
pub struct Account {
    /// Name.
    pub name: String,
    /// Password.
    pub password: Arc<Zeroizing<String>>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the control side knows of people, read by the cores at login.
pub trait Directory: Send + Sync + std::fmt::Debug {
    /// Who may log in under this database user name, and what the proof is checked with. Does not wait.
    fn find(&self, user: &str) -> Option<(Verifier, Proven)>;
    /// Whose client certificate has this serial number (lower-case hexadecimal). Does not wait.
    fn certificate(&self, serial: &str) -> Option<Proven>;
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl Directory for Empty {
    fn find(&self, _user: &str) -> Option<(Verifier, Proven)> {
        None
    }

    fn certificate(&self, _serial: &str) -> Option<Proven> {
        None
    }
}

/// Whose sessions end. Every field that is not empty must match; a cut without any matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Issuer and subject.
    pub person: Option<(String, String)>,
    /// Id of the grant that gave the role.
    pub grant: Option<String>,
    /// Id of the credential that was shown.
    pub credential: Option<String>,
    /// Session.
    pub session: Option<SessionId>,
    /// Stable reason: `revoked`, `removed`, `killed`, ...
    pub reason: &'static str,
}

impl Cut {
    pub(crate) fn matches(&self, live: &Live) -> bool {
        let person = self.person.as_ref().is_none_or(|(i, s)| *i == live.issuer && *s == live.subject);
        let some = self.person.is_some() || self.grant.is_some() || self.credential.is_some() || self.session.is_some();
        some && person
            && self.grant.as_ref().is_none_or(|grant| *grant == live.grant)
            && self.credential.as_ref().is_none_or(|credential| *credential == live.credential)
            && self.session.is_none_or(|session| session == live.session)
    }
}

/// A session that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Id.
    pub session: SessionId,
    /// Core.
    pub core: usize,
    /// Issuer of the identity.
    pub issuer: String,
    /// Subject.
    pub subject: String,
    /// Database user name.
    pub user: String,
    /// Role.
    pub role: String,
    /// Target.
    pub target: String,
    /// Peer address.
    pub source: String,
    /// Application name.
    pub application: String,
    /// Id of the grant that gave the role, or empty.
    pub grant: String,
    /// Id of the credential that was shown, or empty.
    pub credential: String,
    /// Purpose.
    pub purpose: String,
    /// When it began, Unix nanoseconds.
    pub since_ns: u64,
    /// When it will be ended, Unix nanoseconds; 0 for no end.
    pub until_ns: u64,
}

/// The sessions that run, for people who look.
#[derive(Debug, Default)]
pub(crate) struct LiveSessions(Mutex<HashMap<SessionId, Live>>);

impl LiveSessions {
    fn map(&self) -> MutexGuard<'_, HashMap<SessionId, Live>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, live: Live) {
        self.map().insert(live.session, live);
    }

    pub(crate) fn leave(&self, session: SessionId) {
        self.map().remove(&session);
    }

    pub(crate) fn list(&self) -> Vec<Live> {
        self.map().values().cloned().collect()
    }

    /// Cores with sessions that a cut matches, and how many there are.
    pub(crate) fn matching(&self, cut: &Cut) -> Vec<(usize, SessionId)> {
        self.map().values().filter(|live| cut.matches(live)).map(|live| (live.core, live.session)).collect()
    }
}
