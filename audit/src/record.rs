//! What is recorded. Field names follow the evidence design; absent values are `None` and take no bytes.

/// 128-bit session id, unique per node and start.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 16]);

/// Time of a record, taken by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Wall clock, nanoseconds since the Unix epoch.
    pub wall_ns: u64,
    /// CLOCK_BOOTTIME, nanoseconds.
    pub mono_ns: u64,
}

/// Who.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actor<'a> {
    /// Issuer of the identity (`local` for the users file).
    pub issuer: &'a str,
    /// Subject.
    pub subject: &'a str,
    /// Role the grant gave.
    pub role: &'a str,
}

/// An act about who may do what: signing in, asking, voting, giving, ending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access<'a> {
    /// What happened: `sign_in`, `sign_in_failed`, `sign_out`, `mint`, `request`, `vote`, `grant`, `end`, `bind`, `admin`,
    /// `break_glass`, ...
    pub kind: &'a str,
    /// Session it binds or ends, if any.
    pub session: SessionId,
    /// Who acts.
    pub actor: Actor<'a>,
    /// Who it is about, and the role it is about.
    pub about: Actor<'a>,
    /// Target.
    pub target: &'a str,
    /// Address it came from.
    pub source: &'a str,
    /// Database user name it is about.
    pub user: &'a str,
    /// Id of the request, grant, sign-in or credential.
    pub id: &'a str,
    /// Reason, purpose or ticket given.
    pub reason: &'a str,
    /// How, or what exactly; never a secret.
    pub detail: &'a str,
    /// Until when, Unix nanoseconds; 0 for none.
    pub until_ns: u64,
}

/// A step in the life of a statement's approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approval<'a> {
    /// `request`, `vote`, `grant`, `consume`, `end`.
    pub kind: &'a str,
    /// Session of the requester.
    pub session: SessionId,
    /// Statement in that session.
    pub statement: u64,
    /// Who acts: the requester, or who votes.
    pub actor: Actor<'a>,
    /// Id of the request.
    pub id: &'a str,
    /// What is approved: exact text, parameters, session facts and rules.
    pub digest: [u8; 32],
    /// Target.
    pub target: &'a str,
    /// Rule that holds the statement.
    pub rule: &'a str,
    /// Exact text (requests); empty when it is sealed.
    pub text: &'a [u8],
    /// The text, sealed.
    pub sealed_text: &'a [u8],
    /// Tables it names.
    pub tables: &'a [String],
    /// Reason given, or why it ended.
    pub reason: &'a str,
    /// Vote: `approve` or `deny` and by which way; otherwise what exactly.
    pub detail: &'a str,
    /// Until when it holds, Unix nanoseconds; 0 for none.
    pub until_ns: u64,
    /// Signed assertion of an authenticator over the digest (votes), as received.
    pub assertion: &'a [u8],
}

/// A step in the life of a credential upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credential<'a> {
    /// `issue`, `drop`, `expire_kill`, `sweep`.
    pub kind: &'a str,
    /// Session it serves.
    pub session: SessionId,
    /// Target.
    pub target: &'a str,
    /// Account upstream.
    pub account: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Until when it is good, Unix nanoseconds; 0 for none.
    pub until_ns: u64,
    /// Microseconds that it took, or after the deadline.
    pub duration_us: u64,
}

/// A record to append. Borrowed: the ring copies it once, encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Gateway start: first record of every core and epoch.
    EpochStart {
        /// Version of the program.
        build: &'a str,
        /// Header hash of this core's last block before this epoch, zeros for none.
        previous: [u8; 32],
        /// The previous epoch ended with a clean close.
        clean: bool,
        /// Bytes of a torn tail set aside by recovery.
        torn_bytes: u64,
    },
    /// Orderly end of an epoch on this core.
    EpochEnd,
    /// A bundle came into force on this core.
    PolicyLoad {
        /// Bundle digest.
        bundle: [u8; 32],
        /// Catalog epoch number.
        catalog_epoch: u64,
        /// Target name.
        target: &'a str,
    },
    /// Login refused (or never finished).
    AuthFail {
        /// Session.
        session: SessionId,
        /// Peer address.
        source: &'a str,
        /// User name asked for (bounded, control characters escaped by the caller).
        user: &'a str,
        /// Stable reason.
        reason: &'a str,
    },
    /// Session admitted.
    SessionOpen {
        /// Session.
        session: SessionId,
        /// Who.
        actor: Actor<'a>,
        /// Peer address.
        source: &'a str,
        /// TLS version and suite, or empty.
        tls: &'a str,
        /// `application_name` as sent (bounded).
        application: &'a str,
        /// Target name.
        target: &'a str,
        /// Database and account upstream.
        database: &'a str,
        /// Account upstream.
        account: &'a str,
        /// Bundle digest.
        bundle: [u8; 32],
        /// How answers are recorded: `digest`, `rows`, or empty for not at all.
        recording: &'a str,
        /// Mode of the target: `strict`, `intent`, `async`, `off`.
        mode: &'a str,
        /// Commitment to the key of the session's sealed fields, zeros for none.
        key: [u8; 32],
    },
    /// Session over.
    SessionClose {
        /// Session.
        session: SessionId,
        /// Stable reason.
        reason: &'a str,
        /// Statements forwarded.
        statements: u64,
        /// Bytes sent to the client.
        bytes: u64,
    },
    /// A statement is about to be forwarded.
    Intent {
        /// Session.
        session: SessionId,
        /// Number of the statement in the session, from 1.
        statement: u64,
        /// Exact text (what the statement refers to for EXECUTE of a prepared statement); empty when it is sealed.
        text: &'a [u8],
        /// The text, sealed; empty when it is plain.
        sealed_text: &'a [u8],
        /// Tables it names.
        tables: &'a [String],
        /// How it came: `simple`, `execute`.
        via: &'a str,
        /// Normalised fingerprint.
        fingerprint: u64,
        /// Effects bit set.
        effects: u64,
        /// Bundle digest.
        bundle: [u8; 32],
        /// Catalog epoch number.
        catalog_epoch: u64,
        /// SHA-256 over the Bind frame's parameter part, if the statement had parameters.
        parameters: Option<[u8; 32]>,
        /// The parameters, sealed; empty for none.
        sealed_parameters: &'a [u8],
        /// Row limit of a portal execution, 0 for none.
        row_limit: u32,
    },
    /// A statement was refused; it was not forwarded.
    Block {
        /// Session.
        session: SessionId,
        /// Number of the statement in the session.
        statement: u64,
        /// Exact text (bounded by the statement limit); empty when it is sealed.
        text: &'a [u8],
        /// The text, sealed; empty when it is plain.
        sealed_text: &'a [u8],
        /// Tables it names, where that is known.
        tables: &'a [String],
        /// Stable code.
        code: &'a str,
        /// Rule name.
        rule: &'a str,
        /// Bundle digest.
        bundle: [u8; 32],
    },
    /// What the rules would have done with a statement that was forwarded, where the role's mode lets it pass.
    Observe {
        /// Session.
        session: SessionId,
        /// Number of the statement.
        statement: u64,
        /// Bundle digest.
        bundle: [u8; 32],
        /// Columns that would have been masked.
        masked: &'a [MaskedColumn<'a>],
        /// Stable code it would have been refused with, or empty.
        code: &'a str,
        /// Rule that would have refused it, or empty.
        rule: &'a str,
    },
    /// A statement ended.
    Result {
        /// Session.
        session: SessionId,
        /// Number of the statement.
        statement: u64,
        /// `ok`, `error`, `refused` (rows withheld after the shape was known), `budget` (cut when a
        /// budget was used up), `suspended`, `lost` (upstream died), `cancelled`.
        outcome: &'a str,
        /// SQLSTATE of an error, or five zeros.
        sqlstate: [u8; 5],
        /// Rows returned to the client.
        rows: u64,
        /// Bytes of result frames returned to the client.
        bytes: u64,
        /// Microseconds from forwarding to the end.
        duration_us: u64,
        /// Masked columns as (name, class, redaction name).
        masked: &'a [MaskedColumn<'a>],
        /// Protected columns that the role sees in clear.
        clear: &'a [ClearColumn<'a>],
    },
    /// Bytes of an answer may leave: this record is durable before they do.
    Release {
        /// Session.
        session: SessionId,
        /// Number of the statement.
        statement: u64,
        /// Number of the release in its statement, from 1.
        number: u64,
        /// Rows covered, counted from the statement's beginning.
        rows: u64,
        /// Bytes covered, counted from the statement's beginning.
        bytes: u64,
        /// SHA-256 over the bytes of this release, zeros for none.
        digest: [u8; 32],
    },
    /// What a session was sent, up to here, is in a recording.
    RecordingSegment {
        /// Session.
        session: SessionId,
        /// Number of the segment, from 1.
        number: u64,
        /// Chunks in the file, cumulative.
        chunks: u64,
        /// Bytes in the file, cumulative.
        bytes: u64,
        /// Last statement in it.
        statement: u64,
        /// Why the recording ends here, or empty if it goes on: `closed`, `cap`, `disk`.
        reason: &'a str,
        /// Hash of the last chunk, which chains all before it.
        digest: [u8; 32],
    },
    /// The core is alive.
    Heartbeat {
        /// Seconds until the next.
        interval_s: u64,
    },
    /// The wall clock was set.
    ClockStep {
        /// By how much wall minus monotonic changed, nanoseconds.
        step_ns: i64,
    },
    /// How a target is recorded from here on; without a target, what the log can do.
    LogMode {
        /// Target, or empty.
        target: &'a str,
        /// `strict`, `intent`, `async`, `off`; without target `normal`, `refusing_sessions`, `stalled`.
        mode: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// Something is or was missing.
    Gap {
        /// Stable reason.
        reason: &'a str,
        /// Microseconds it lasted.
        duration_us: u64,
        /// Records lost.
        lost: u64,
        /// Sessions refused meanwhile.
        sessions: u64,
        /// Statements refused meanwhile.
        statements: u64,
    },
    /// The configuration in force.
    Configuration {
        /// `start` or `reload`.
        reason: &'a str,
        /// Version of the program.
        build: &'a str,
        /// SHA-256 of the configuration file.
        configuration: [u8; 32],
        /// SHA-256 of the program file, zeros where it cannot be read.
        program: [u8; 32],
    },
    /// The key that signs checkpoints from here on.
    KeyRotate {
        /// Verifier key.
        key: &'a str,
    },
    /// A node joined.
    NodeEnroll {
        /// Origin of its log.
        origin: &'a str,
        /// Its first verifier key.
        key: &'a str,
    },
    /// A node left.
    NodeRetire {
        /// Origin of its log.
        origin: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// A tree size is known somewhere else.
    Anchor {
        /// `witness`, `object_lock`, `timestamp`.
        kind: &'a str,
        /// Tree size.
        size: u64,
        /// Root.
        root: [u8; 32],
        /// Where.
        place: &'a str,
    },
    /// Who may do what.
    Access(Access<'a>),
    /// Approval of a statement.
    Approval(Approval<'a>),
    /// Credential upstream.
    Credential(Credential<'a>),
    /// Somebody looks at a session's recording.
    ReplayView {
        /// Session looked at.
        session: SessionId,
        /// Who.
        actor: Actor<'a>,
        /// Reason given.
        reason: &'a str,
        /// What of it.
        detail: &'a str,
    },
    /// Records leave the log.
    Export {
        /// Who.
        actor: Actor<'a>,
        /// Reason given.
        reason: &'a str,
        /// Kind of export.
        kind: &'a str,
        /// Query or range.
        detail: &'a str,
        /// Records.
        count: u64,
    },
    /// Somebody reviewed activity.
    Review {
        /// Who.
        actor: Actor<'a>,
        /// Reason given.
        reason: &'a str,
        /// What was looked at.
        detail: &'a str,
        /// Findings.
        findings: &'a str,
        /// Ticket.
        ticket: &'a str,
    },
    /// Nothing that this query matches may be destroyed.
    HoldSet {
        /// Who.
        actor: Actor<'a>,
        /// Reason given.
        reason: &'a str,
        /// Name of the hold.
        name: &'a str,
        /// What it keeps.
        query: &'a str,
    },
    /// A hold ends.
    HoldClear {
        /// Who.
        actor: Actor<'a>,
        /// Reason given.
        reason: &'a str,
        /// Name of the hold.
        name: &'a str,
    },
    /// Keys of sessions are destroyed.
    Purge {
        /// Who.
        actor: Actor<'a>,
        /// Reason given.
        reason: &'a str,
        /// `retention` or `erasure`.
        kind: &'a str,
        /// The order that was signed, exact text.
        order: &'a str,
        /// Sessions, ascending.
        sessions: &'a [SessionId],
        /// Signature lines of the order.
        signatures: &'a [String],
    },
    /// Something the operator should look at (a panic caught, upstream protocol surprise, metadata disagreement).
    Alarm {
        /// Session, zeros for none.
        session: SessionId,
        /// Stable kind.
        kind: &'a str,
        /// Numbers and constants only.
        detail: &'a str,
    },
}

/// One masked column of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaskedColumn<'a> {
    /// Name in the result.
    pub column: &'a str,
    /// Class name.
    pub class: &'a str,
    /// Redaction name.
    pub method: &'a str,
}

/// One protected column that a role sees in clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClearColumn<'a> {
    /// Name in the result.
    pub column: &'a str,
    /// Class name.
    pub class: &'a str,
}

/// Proof that a record is in the ring: minted only by the ring's append, spent by the one function that forwards.
#[derive(Debug)]
#[must_use]
pub struct Recorded {
    pub(crate) sequence: u64,
}

impl Recorded {
    /// Sequence number on this core.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}
