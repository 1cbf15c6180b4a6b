//! What the console asks the gateway it is part of.
//!
//! Every call is made on a thread that may wait. Texts may hold anything a client sent: pages escape them. Whoever implements
//! this records that recordings and texts were looked at before it returns them.

use serde::Serialize;
use std::collections::BTreeMap;

/// A database that people reach through the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Name.
    pub name: String,
    /// Host that clients connect to.
    pub host: String,
    /// Port there.
    pub port: u16,
    /// Database name that clients give.
    pub database: String,
    /// Clients must use TLS.
    pub tls: bool,
    /// Sessions are admitted now.
    pub ready: bool,
    /// A purpose must be given when a password is minted.
    pub purpose_required: bool,
}

/// A role that somebody has on a target without asking, by groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Target.
    pub target: String,
    /// Role.
    pub role: String,
}

/// A session that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Live {
    /// Id, hexadecimal.
    pub session: String,
    /// Core.
    pub core: usize,
    /// Issuer of the identity.
    pub issuer: String,
    /// Subject there.
    pub subject: String,
    /// Database user name.
    pub user: String,
    /// Role.
    pub role: String,
    /// Target.
    pub target: String,
    /// Peer address.
    pub source: String,
    /// Application name as sent.
    pub application: String,
    /// Id of the grant that gave the role, or empty.
    pub grant: String,
    /// Purpose, or empty.
    pub purpose: String,
    /// Since, Unix seconds.
    pub since_s: u64,
    /// Will be ended then, Unix seconds; 0 for no end.
    pub until_s: u64,
}

/// Which recorded sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Start of the id, hexadecimal; empty for all.
    pub session: String,
    /// Database user name; empty for all.
    pub user: String,
    /// Target; empty for all.
    pub target: String,
    /// Text that a statement of it must contain; empty for any.
    pub text: String,
    /// Not over before this, Unix seconds; 0 for no limit.
    pub since_s: u64,
    /// Not begun after this, Unix seconds; 0 for no limit.
    pub until_s: u64,
    /// Only sessions with a refused statement.
    pub refused: bool,
    /// At most so many, newest first.
    pub limit: usize,
}

/// A session in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Id, hexadecimal.
    pub session: String,
    /// Database user name.
    pub user: String,
    /// Role.
    pub role: String,
    /// Target.
    pub target: String,
    /// Peer address.
    pub source: String,
    /// Application name as sent.
    pub application: String,
    /// Began, Unix seconds.
    pub opened_s: u64,
    /// Ended, Unix seconds, and why; nothing while it runs, or after a crash.
    pub closed: Option<(u64, String)>,
    /// Statements forwarded.
    pub forwarded: u64,
    /// Statements refused.
    pub refused: u64,
    /// Rows returned.
    pub rows: u64,
    /// Bytes returned.
    pub bytes: u64,
    /// How its answers are recorded: `digest`, `rows`, or empty.
    pub recording: String,
}

/// Found sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Newest first.
    pub sessions: Vec<Recorded>,
    /// There are more than were asked for.
    pub more: bool,
    /// Damaged places of the log that were stepped over.
    pub damage: Vec<String>,
}

/// A statement of a recorded session, and what its client saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Number in the session.
    pub statement: u64,
    /// When, Unix nanoseconds.
    pub at_ns: u64,
    /// Its text, or why it cannot be shown in `sealed`.
    pub text: String,
    /// The text is sealed and no key here opens it.
    pub sealed: bool,
    /// Code and rule of its refusal.
    pub refused: Option<(String, String)>,
    /// Word of its end, empty while there is none.
    pub outcome: String,
    /// Rows returned.
    pub rows: u64,
    /// Microseconds it took.
    pub duration_us: u64,
    /// Columns that were masked, and how.
    pub masked: Vec<(String, String)>,
    /// What was returned, where it was recorded and can be opened.
    pub answer: Option<Answer>,
}

/// Rows as the client saw them: masked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Names of columns.
    pub columns: Vec<String>,
    /// Values as text; nothing for NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows that are not shown here.
    pub left_out: u64,
}

/// A recorded session read back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// Which.
    pub session: Recorded,
    /// Its statements in order.
    pub statements: Vec<Replayed>,
    /// There are more.
    pub more: bool,
    /// What is missing, damaged or sealed, in words.
    pub notes: Vec<String>,
}

/// Who looks at a recording, and why: for the record that is written first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Who.
    pub who: access::Who,
    /// Reason given.
    pub reason: String,
    /// Address.
    pub source: String,
}

/// How something is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Light {
    /// As it should be.
    #[default]
    Good,
    /// Somebody should look.
    Warn,
    /// Broken.
    Bad,
}

/// A part of the gateway and how it is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `Audit log`, `Checkpoints`, `Witness w1`, `Upstream crm`, `Access store`, ...
    pub name: String,
    /// How.
    pub light: Light,
    /// One sentence.
    pub says: String,
    /// Figures: name and value with unit.
    pub facts: Vec<(String, String)>,
}

/// What one core does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Core {
    /// Number.
    pub core: usize,
    /// Sessions now.
    pub sessions: u64,
    /// Statements since the start.
    pub statements: u64,
    /// Latency added by stages of the data path: name, median and 99th percentile in microseconds.
    pub stages: Vec<(String, u64, u64)>,
}

/// Health of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Version of the program.
    pub version: String,
    /// Name of this gateway.
    pub node: String,
    /// Up since, Unix seconds.
    pub since_s: u64,
    /// Worst of the parts.
    pub light: Light,
    /// Cores.
    pub cores: Vec<Core>,
    /// Parts.
    pub parts: Vec<Part>,
}

/// What becomes of a class for a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sees {
    /// Class.
    pub class: String,
    /// By role: `clear`, `masked: …`, `refused`.
    pub by_role: BTreeMap<String, String>,
}

/// What protects a target's columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Target.
    pub target: String,
    /// Columns of its catalog.
    pub columns: u64,
    /// Columns with a class.
    pub classified: u64,
    /// Columns declared clear.
    pub clear: u64,
    /// Columns that no rule speaks of.
    pub uncovered: u64,
    /// Protected columns: relation, column, class.
    pub protected: Vec<(String, String, String)>,
    /// The first of those that no rule speaks of: relation, column, and what they look like, if anything.
    pub open: Vec<(String, String, String)>,
}

/// A bundle that is or was in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bundle {
    /// Digest, hexadecimal.
    pub digest: String,
    /// In force from, Unix seconds.
    pub from_s: u64,
}

/// The rules, as people ask about them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PolicySummary {
    /// In force.
    pub bundle: Bundle,
    /// Earlier ones whose files are still there, newest first.
    pub earlier: Vec<Bundle>,
    /// Roles.
    pub roles: Vec<String>,
    /// Roles for which rules are only observed.
    pub observed: Vec<String>,
    /// Who sees what.
    pub sees: Vec<Sees>,
    /// By target.
    pub coverage: Vec<Coverage>,
}

/// Difference between two bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Somebody sees more than before.
    pub sees_more: bool,
    /// One line per change: `+`, `-` or `!`, and what.
    pub changes: Vec<(char, String)>,
}

/// Which rule decides about a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// `allowed`, `refused`, `held`.
    pub decision: String,
    /// Rule that decided.
    pub rule: String,
    /// Message that the client would see, if refused.
    pub message: String,
    /// Result columns: name, where it comes from, what becomes of it.
    pub columns: Vec<(String, String, String)>,
    /// Everything, as the compiler's `explain` prints it.
    pub text: String,
}

/// What the console asks the gateway.
pub trait World: Send + Sync + 'static {
    /// Targets in the order of the bundle.
    fn targets(&self) -> Vec<Target>;
    /// Roles that this person has now without a grant for a time, by target.
    fn standing(&self, person: &access::Person) -> Vec<Standing>;
    /// Sessions that run on this gateway.
    fn live(&self) -> Vec<Live>;
    /// Ends a session (id in hexadecimal); false if there is none. The console has checked who asks, and recorded it.
    fn kill(&self, session: &str, reason: &str) -> bool;
    /// How the gateway is doing.
    fn health(&self) -> Health;
    /// The rules in force.
    ///
    /// # Errors
    /// In words for people; as for all that follow.
    fn policy(&self) -> Result<PolicySummary, String>;
    /// What a bundle would change against another one (digests, hexadecimal).
    ///
    /// # Errors
    /// One of them is not there any more.
    fn difference(&self, from: &str, to: &str) -> Result<Difference, String>;
    /// Which rule decides about a statement of a role on a target. Nothing is sent to the database.
    ///
    /// # Errors
    /// No such target or role.
    fn explain(&self, target: &str, role: &str, statement: &str) -> Result<Explained, String>;
    /// Sessions of the log.
    ///
    /// # Errors
    /// The log cannot be read.
    fn search(&self, search: &Search) -> Result<Found, String>;
    /// A recorded session; that it was looked at is recorded first.
    ///
    /// # Errors
    /// There is none, or it cannot be recorded that it is looked at.
    fn replay(&self, session: &str, viewer: &Viewer) -> Result<Replay, String>;
}
