//! What a core asks the control side about people, and what it is told.
//!
//! A core does no HTTP and opens no store: it posts a question and goes on with other sessions; the one that asked waits for
//! its answer, or for its own deadline. Invariants: a question carries its session's id, and an answer that comes when the
//! session is gone is dropped; a directory is read without waiting. Deliberately absent: rules about who may what, which are
//! the control side's, and their records, but for those that a session writes about itself.

use audit::record::SessionId;
use postgres::scram::{ClientKeys, Verifier};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
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
        /// Id that it was asked with.
        asked: String,
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
    Hold {
        /// Id that the session asked with.
        asked: String,
        /// What becomes of it.
        answer: HoldAnswer,
    },
}

/// An account upstream and what its password is proved with.
pub struct Account {
    /// Name.
    pub name: String,
    /// Its password, and the keys that are derived from it.
    pub keys: ClientKeys,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the control side knows of people, read by the cores at login.
pub trait Directory: Send + Sync + std::fmt::Debug {
    /// Who may log in under this database user name, and what the proof is checked with: one [`Proven`] for each
    /// password that the verifier knows, in its order. Does not wait.
    fn find(&self, user: &str) -> Option<(Verifier, Vec<Proven>)>;
    /// Whose client certificate has this serial number (lower-case hexadecimal). Does not wait.
    fn certificate(&self, serial: &str) -> Option<Proven>;
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl Directory for Empty {
    fn find(&self, _user: &str) -> Option<(Verifier, Vec<Proven>)> {
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

/// Cuts that are remembered for sessions whose login is under way: how many, and how long at least, nanoseconds.
const CUTS_MAX: usize = 10_000;
const CUTS_NS: u64 = 1_500_000_000_000;

/// The sessions that run, for people who look, and whose end was asked for lately.
#[derive(Debug, Default)]
pub(crate) struct LiveSessions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<SessionId, Live>,
    /// With the moments (core nanoseconds) at which they were asked for, oldest first.
    cuts: VecDeque<(u64, Cut)>,
}

impl LiveSessions {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session in that came at a moment (core nanoseconds); why it ends at once, if a cut since then is about it.
    pub(crate) fn enter(&self, live: Live, came_ns: u64) -> Option<&'static str> {
        let mut known = self.known();
        let since = known.cuts.iter().rev().take_while(|(at, _)| *at >= came_ns);
        let reason = since.map(|(_, cut)| cut).find(|cut| cut.matches(&live)).map(|cut| cut.reason);
        known.sessions.insert(live.session, live);
        reason
    }

    pub(crate) fn leave(&self, session: SessionId) {
        self.known().sessions.remove(&session);
    }

    pub(crate) fn list(&self) -> Vec<Live> {
        self.known().sessions.values().cloned().collect()
    }

    /// Cores with sessions that a cut matches, and those; sessions whose login is under way are met by it too.
    pub(crate) fn cut(&self, cut: &Cut, began: Instant) -> Vec<(usize, SessionId)> {
        let now_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX) + 1;
        let mut known = self.known();
        while known.cuts.len() >= CUTS_MAX || known.cuts.front().is_some_and(|(at, _)| at + CUTS_NS < now_ns) {
            known.cuts.pop_front();
        }
        known.cuts.push_back((now_ns, cut.clone()));
        known.sessions.values().filter(|live| cut.matches(live)).map(|live| (live.core, live.session)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(session: u8, subject: &str, grant: &str) -> Live {
        Live {
            session: SessionId([session; 16]),
            core: 0,
            issuer: "i".to_owned(),
            subject: subject.to_owned(),
            user: String::new(),
            role: String::new(),
            target: String::new(),
            source: String::new(),
            application: String::new(),
            grant: grant.to_owned(),
            credential: String::new(),
            purpose: String::new(),
            since_ns: 0,
            until_ns: 0,
        }
    }

    #[test]
    fn a_cut_meets_sessions_that_run_and_those_whose_login_is_under_way() {
        let began = Instant::now();
        let sessions = LiveSessions::default();
        assert_eq!(sessions.enter(live(1, "ann", "TG-1"), 1), None);
        assert_eq!(sessions.enter(live(2, "bob", ""), 1), None);
        let of_ann = Cut { person: Some(("i".into(), "ann".into())), reason: "revoked", ..Cut::default() };
        assert_eq!(sessions.cut(&of_ann, began), vec![(0, SessionId([1; 16]))]);
        // Came before the cut, is ready after it.
        assert_eq!(sessions.enter(live(3, "ann", ""), 1), Some("revoked"));
        // Came after it.
        assert_eq!(sessions.enter(live(4, "ann", ""), u64::MAX), None);
        assert_eq!(sessions.enter(live(5, "bob", ""), 1), None);
        assert_eq!(sessions.cut(&Cut::default(), began), vec![], "a cut without any matches nothing");
        sessions.leave(SessionId([1; 16]));
        assert_eq!(sessions.list().len(), 4);
    }
}
