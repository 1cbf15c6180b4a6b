//! What is recorded. Field names follow the evidence design; absent values are `None` and take no bytes.

/// 128-bit session id, unique per node and start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
        reason: &'static str,
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
    },
    /// Session over.
    SessionClose {
        /// Session.
        session: SessionId,
        /// Stable reason.
        reason: &'static str,
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
        /// Exact text (what the statement refers to for EXECUTE of a prepared statement).
        text: &'a [u8],
        /// How it came: `simple`, `execute`.
        via: &'static str,
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
        /// Row limit of a portal execution, 0 for none.
        row_limit: u32,
    },
    /// A statement was refused; it was not forwarded.
    Block {
        /// Session.
        session: SessionId,
        /// Number of the statement in the session.
        statement: u64,
        /// Exact text (bounded by the statement limit).
        text: &'a [u8],
        /// Stable code.
        code: &'static str,
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
        code: &'static str,
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
        outcome: &'static str,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskedColumn<'a> {
    /// Name in the result.
    pub column: &'a str,
    /// Class name.
    pub class: &'a str,
    /// Redaction name.
    pub method: &'a str,
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
