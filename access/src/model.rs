//! What is kept: people, sign-ins, minted credentials, requests, votes, grants.
//!
//! Everything here is serialised as JSON into the store. Moments are Unix seconds of the engine's clock. Secrets are not
//! here: a sign-in is known by the hash of its token, a minted password by its SCRAM verifier. Statement text is sealed.

use serde::{Deserialize, Serialize};

/// Who: issuer and subject, never an e-mail address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Who {
    /// Issuer.
    pub issuer: String,
    /// Subject there.
    pub subject: String,
}

/// A person or program that signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who.
    pub who: Who,
    /// Name in databases and on pages; unique.
    pub handle: String,
    /// Name to show.
    pub name: String,
    /// Groups, as of the last sign-in.
    pub groups: Vec<String>,
    /// When that was.
    pub seen_s: u64,
    /// When the issuer said what the groups are, Unix seconds.
    #[serde(default)]
    pub groups_at_s: u64,
    /// No sign-in, credential or session until an administrator takes it back.
    pub suspended: bool,
    /// Salt of every password minted for this person (base64), so that several hold at a time under one name.
    pub salt: String,
    /// Registered authenticators, as the console keeps them.
    pub authenticators: Vec<serde_json::Value>,
}

/// A sign-in to the console or the command line; its id is the hash of the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// SHA-256 of the token, hexadecimal.
    pub id: String,
    /// Who.
    pub who: Who,
    /// `oidc`, `saml`, `device`, `token`, ...
    pub how: String,
    /// Address it came from.
    pub source: String,
    /// From.
    pub from_s: u64,
    /// Until.
    pub until_s: u64,
    /// Random, for forms of pages.
    pub csrf: String,
}

/// A password or certificate for databases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minted {
    /// Id.
    pub id: String,
    /// For whom.
    pub who: Who,
    /// Sign-in it was made by, which it does not outlive.
    pub sign_in: String,
    /// SCRAM-SHA-256 verifier as PostgreSQL writes it; empty for a certificate.
    pub verifier: String,
    /// Serial number of a certificate, lower-case hexadecimal; empty for a password.
    pub serial: String,
    /// Only for this target; empty for all.
    pub target: String,
    /// Purpose stated.
    pub purpose: String,
    /// Until.
    pub until_s: u64,
}

/// A role for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessGrant {
    /// Id of the request that led to it.
    pub id: String,
    /// Who has it.
    pub who: Who,
    /// Target.
    pub target: String,
    /// Role.
    pub role: String,
    /// From.
    pub from_s: u64,
    /// Until.
    pub until_s: u64,
    /// Purpose.
    pub purpose: String,
    /// Groups one of which one must be in to keep it; empty for no condition.
    pub groups: Vec<String>,
    /// Taken in an emergency, without votes.
    pub break_glass: bool,
    /// Why it ended, if it did.
    pub ended: Option<String>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Wanted {
    /// A role for a time.
    Access {
        /// Target.
        target: String,
        /// Role.
        role: String,
        /// How long, from approval.
        seconds: u64,
    },
    /// One run of one statement.
    Statement(Box<StatementWanted>),
}

/// One run of one statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementWanted {
    /// Everything that approval binds, SHA-256, hexadecimal.
    pub digest: String,
    /// Session, hexadecimal.
    pub session: String,
    /// Statement in it.
    pub statement: u64,
    /// Node whose session waits.
    pub node: String,
    /// Target.
    pub target: String,
    /// Role of the session.
    pub role: String,
    /// Rule that holds it.
    pub rule: String,
    /// Text and parameters, sealed (base64); empty once the request is over.
    pub sealed: String,
    /// Tables.
    pub tables: Vec<String>,
    /// Classes and what becomes of each in the answer.
    pub classes: Vec<(String, String)>,
    /// Byte ranges of the text that the rule is about.
    pub marks: Vec<(usize, usize)>,
    /// Rows that the database expects it to touch.
    pub estimate: Option<u64>,
}

/// What a statement says, for those who vote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Exact text.
    pub text: String,
    /// Parameters, as they may be shown.
    pub parameters: Vec<String>,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum State {
    /// Votes are missing.
    Pending,
    /// It may be used until then.
    Approved {
        /// Until.
        until_s: u64,
    },
    /// It was used.
    Consumed {
        /// Session that used it, hexadecimal.
        session: String,
        /// Statement there.
        statement: u64,
    },
    /// Somebody said no, or it ended: `denied`, `expired`, `withdrawn`, `revoked`.
    Over {
        /// Why.
        why: String,
    },
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Whose.
    pub who: Who,
    /// Handle, to show.
    pub handle: String,
    /// Yes or no.
    pub approve: bool,
    /// Reason.
    pub reason: String,
    /// When.
    pub at_s: u64,
    /// `console`, `cli`, `webhook`.
    pub channel: String,
    /// Groups that made it count.
    pub groups: Vec<String>,
    /// An authenticator signed it.
    pub step_up: bool,
}

/// Something asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Id: `TG-` and eight characters.
    pub id: String,
    /// What.
    pub wanted: Wanted,
    /// Who asks.
    pub who: Who,
    /// Handle, to show.
    pub handle: String,
    /// Reason or purpose given.
    pub reason: String,
    /// Address it came from.
    pub source: String,
    /// When.
    pub at_s: u64,
    /// Waits until.
    pub until_s: u64,
    /// Groups whose members may vote.
    pub approvers: Vec<String>,
    /// Votes needed.
    pub needed: u16,
    /// From distinct groups.
    pub distinct: bool,
    /// Votes count only with an authenticator's signature.
    pub step_up: bool,
    /// Votes so far.
    pub votes: Vec<Vote>,
    /// Where it stands.
    pub state: State,
}

impl Request {
    /// Target it is about.
    #[must_use]
    pub fn target(&self) -> &str {
        match &self.wanted {
            Wanted::Access { target, .. } => target,
            Wanted::Statement(wanted) => &wanted.target,
        }
    }

    /// Nothing more will happen to it.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Consumed { .. } | State::Over { .. })
    }
}

/// An emergency, to be reviewed by two others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Id of the grant.
    pub id: String,
    /// Who took it.
    pub who: Who,
    /// Handle, to show.
    pub handle: String,
    /// Target.
    pub target: String,
    /// Role.
    pub role: String,
    /// Reason given.
    pub reason: String,
    /// When.
    pub at_s: u64,
    /// Until when it was good.
    pub until_s: u64,
    /// To be reviewed by then.
    pub due_s: u64,
    /// Reviews so far.
    pub reviews: Vec<Reviewed>,
    /// The alarm that it is overdue was raised.
    pub alarmed: bool,
}

impl Review {
    /// Enough others have looked at it.
    #[must_use]
    pub fn is_reviewed(&self) -> bool {
        self.reviews.len() >= crate::break_glass::REVIEWS
    }

    /// Too few have, and the time is over.
    #[must_use]
    pub fn is_overdue(&self, now_s: u64) -> bool {
        !self.is_reviewed() && self.due_s <= now_s
    }
}

/// What somebody found who reviewed an emergency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewed {
    /// Who.
    pub who: Who,
    /// Handle, to show.
    pub handle: String,
    /// What they found.
    pub finding: String,
    /// When.
    pub at_s: u64,
}

/// A role that can be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requestable {
    /// Role.
    pub role: String,
    /// Targets (globs).
    pub targets: Vec<String>,
    /// Who may ask: groups; `*` is everybody.
    pub groups: Vec<String>,
    /// Who may vote: groups.
    pub approvers: Vec<String>,
    /// Votes needed; 0 gives it at once.
    pub approvals: u16,
    /// Longest time, seconds.
    pub max_s: u64,
    /// It shows protected data as it is.
    pub protected: bool,
}

/// Rules that do not come with each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Roles that can be asked for.
    pub requestable: Vec<Requestable>,
    /// Groups of administrators: they end sessions, grants and credentials; they vote like everybody else.
    pub admins: Vec<String>,
    /// Groups that may look at everything.
    pub auditors: Vec<String>,
    /// Groups that may break the glass, and the roles it gives per target (globs).
    pub break_glass: Vec<Requestable>,
    /// A request for a role or statement waits this long, seconds.
    pub request_s: u64,
    /// An approved statement may be run within, seconds.
    pub use_s: u64,
    /// Requests of one person that may wait at a time.
    pub pending_max: usize,
    /// After a refusal the same person waits this long before asking for the same again, seconds.
    pub cool_down_s: u64,
    /// Shortest reason, characters.
    pub reason_min: usize,
    /// Longest life of a minted credential, seconds.
    pub minted_max_s: u64,
    /// Votes about protected data need an authenticator's signature.
    pub step_up: bool,
    /// Targets that nobody reaches without having said what for.
    pub purpose_targets: Vec<String>,
}

impl Policy {
    /// Must somebody who wants this target (or, if it is empty, all of them) say what for?
    #[must_use]
    pub fn purpose_needed(&self, target: &str) -> bool {
        if target.is_empty() {
            !self.purpose_targets.is_empty()
        } else {
            self.purpose_targets.iter().any(|one| one == target)
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            requestable: Vec::new(),
            admins: Vec::new(),
            auditors: Vec::new(),
            break_glass: Vec::new(),
            request_s: 30 * 60,
            use_s: 15 * 60,
            pending_max: 3,
            cool_down_s: 60,
            reason_min: 10,
            minted_max_s: 8 * 3600,
            step_up: true,
            purpose_targets: Vec::new(),
        }
    }
}
