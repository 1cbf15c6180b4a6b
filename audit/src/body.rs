//! Records as values that own what they say: what readers get, and what the control side hands to a core.

use crate::record::{Actor, Clock, MaskedColumn, Record, SessionId};

/// Who, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedActor {
    /// Issuer of the identity.
    pub issuer: String,
    /// Subject.
    pub subject: String,
    /// Role the grant gave.
    pub role: String,
}

/// One masked column, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedMasked {
    /// Name in the result.
    pub column: String,
    /// Class name.
    pub class: String,
    /// Redaction name.
    pub method: String,
}

/// One column seen in clear, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedClear {
    /// Name in the result.
    pub column: String,
    /// Class name.
    pub class: String,
}

/// What a record says, owned; fields as in [`Record`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Body {
    EpochStart {
        build: String,
        previous: [u8; 32],
        clean: bool,
        torn_bytes: u64,
    },
    EpochEnd,
    PolicyLoad {
        bundle: [u8; 32],
        catalog_epoch: u64,
        target: String,
    },
    AuthFail {
        session: SessionId,
        source: String,
        user: String,
        reason: String,
    },
    SessionOpen {
        session: SessionId,
        actor: OwnedActor,
        source: String,
        tls: String,
        application: String,
        target: String,
        database: String,
        account: String,
        bundle: [u8; 32],
        recording: String,
        mode: String,
        key: [u8; 32],
    },
    SessionClose {
        session: SessionId,
        reason: String,
        statements: u64,
        bytes: u64,
    },
    Intent {
        session: SessionId,
        statement: u64,
        text: Vec<u8>,
        sealed_text: Vec<u8>,
        tables: Vec<String>,
        via: String,
        fingerprint: u64,
        effects: u64,
        bundle: [u8; 32],
        catalog_epoch: u64,
        parameters: Option<[u8; 32]>,
        sealed_parameters: Vec<u8>,
        row_limit: u32,
    },
    Block {
        session: SessionId,
        statement: u64,
        text: Vec<u8>,
        sealed_text: Vec<u8>,
        tables: Vec<String>,
        code: String,
        rule: String,
        bundle: [u8; 32],
    },
    Result {
        session: SessionId,
        statement: u64,
        outcome: String,
        sqlstate: [u8; 5],
        rows: u64,
        bytes: u64,
        duration_us: u64,
        masked: Vec<OwnedMasked>,
        clear: Vec<OwnedClear>,
    },
    Observe {
        session: SessionId,
        statement: u64,
        bundle: [u8; 32],
        masked: Vec<OwnedMasked>,
        code: String,
        rule: String,
    },
    Alarm {
        session: SessionId,
        kind: String,
        detail: String,
    },
    Release {
        session: SessionId,
        statement: u64,
        number: u64,
        rows: u64,
        bytes: u64,
        digest: [u8; 32],
    },
    RecordingSegment {
        session: SessionId,
        number: u64,
        chunks: u64,
        bytes: u64,
        statement: u64,
        reason: String,
        digest: [u8; 32],
    },
    Heartbeat {
        interval_s: u64,
    },
    ClockStep {
        step_ns: i64,
    },
    LogMode {
        target: String,
        mode: String,
        reason: String,
    },
    Gap {
        reason: String,
        duration_us: u64,
        lost: u64,
        sessions: u64,
        statements: u64,
    },
    Configuration {
        reason: String,
        build: String,
        configuration: [u8; 32],
        program: [u8; 32],
    },
    KeyRotate {
        key: String,
    },
    NodeEnroll {
        origin: String,
        key: String,
    },
    NodeRetire {
        origin: String,
        reason: String,
    },
    Anchor {
        kind: String,
        size: u64,
        root: [u8; 32],
        place: String,
    },
    ReplayView {
        session: SessionId,
        actor: OwnedActor,
        reason: String,
        detail: String,
    },
    Export {
        actor: OwnedActor,
        reason: String,
        kind: String,
        detail: String,
        count: u64,
    },
    Review {
        actor: OwnedActor,
        reason: String,
        detail: String,
        findings: String,
        ticket: String,
    },
    HoldSet {
        actor: OwnedActor,
        reason: String,
        name: String,
        query: String,
    },
    HoldClear {
        actor: OwnedActor,
        reason: String,
        name: String,
    },
    Purge {
        actor: OwnedActor,
        reason: String,
        kind: String,
        order: String,
        sessions: Vec<SessionId>,
        signatures: Vec<String>,
    },
}

impl Body {
    /// Stable name of the type, as filters and JSON use it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::EpochStart { .. } => "EPOCH_START",
            Self::EpochEnd => "EPOCH_END",
            Self::PolicyLoad { .. } => "POLICY_LOAD",
            Self::AuthFail { .. } => "AUTH_FAIL",
            Self::SessionOpen { .. } => "SESSION_OPEN",
            Self::SessionClose { .. } => "SESSION_CLOSE",
            Self::Intent { .. } => "STMT_INTENT",
            Self::Block { .. } => "STMT_BLOCK",
            Self::Result { .. } => "STMT_RESULT",
            Self::Observe { .. } => "STMT_OBSERVE",
            Self::Alarm { .. } => "ALARM",
            Self::Release { .. } => "RELEASE",
            Self::RecordingSegment { .. } => "REC_SEG",
            Self::Heartbeat { .. } => "HEARTBEAT",
            Self::ClockStep { .. } => "CLOCK_STEP",
            Self::LogMode { .. } => "LOG_MODE",
            Self::Gap { .. } => "GAP",
            Self::Configuration { .. } => "CONFIG",
            Self::KeyRotate { .. } => "KEY_ROTATE",
            Self::NodeEnroll { .. } => "NODE_ENROLL",
            Self::NodeRetire { .. } => "NODE_RETIRE",
            Self::Anchor { .. } => "ANCHOR",
            Self::ReplayView { .. } => "REPLAY_VIEW",
            Self::Export { .. } => "EXPORT",
            Self::Review { .. } => "REVIEW",
            Self::HoldSet { .. } => "HOLD_SET",
            Self::HoldClear { .. } => "HOLD_CLEAR",
            Self::Purge { .. } => "PURGE",
        }
    }

    /// Session the record belongs to, if any.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match *self {
            Self::EpochStart { .. }
            | Self::EpochEnd
            | Self::PolicyLoad { .. }
            | Self::Heartbeat { .. }
            | Self::ClockStep { .. }
            | Self::LogMode { .. }
            | Self::Gap { .. }
            | Self::Configuration { .. }
            | Self::KeyRotate { .. }
            | Self::NodeEnroll { .. }
            | Self::NodeRetire { .. }
            | Self::Anchor { .. }
            | Self::Export { .. }
            | Self::Review { .. }
            | Self::HoldSet { .. }
            | Self::HoldClear { .. }
            | Self::Purge { .. } => None,
            Self::Release { session, .. }
            | Self::RecordingSegment { session, .. }
            | Self::ReplayView { session, .. }
            | Self::AuthFail { session, .. }
            | Self::SessionOpen { session, .. }
            | Self::SessionClose { session, .. }
            | Self::Intent { session, .. }
            | Self::Block { session, .. }
            | Self::Result { session, .. }
            | Self::Observe { session, .. }
            | Self::Alarm { session, .. } => Some(session).filter(|session| session.0 != [0; 16]),
        }
    }
}

/// All type names, in order of their numbers.
pub const TYPE_NAMES: [&str; 28] = [
    "EPOCH_START",
    "EPOCH_END",
    "ALARM",
    "HEARTBEAT",
    "CLOCK_STEP",
    "LOG_MODE",
    "GAP",
    "POLICY_LOAD",
    "CONFIG",
    "KEY_ROTATE",
    "NODE_ENROLL",
    "NODE_RETIRE",
    "ANCHOR",
    "AUTH_FAIL",
    "SESSION_OPEN",
    "SESSION_CLOSE",
    "STMT_INTENT",
    "STMT_BLOCK",
    "STMT_RESULT",
    "STMT_OBSERVE",
    "RELEASE",
    "REC_SEG",
    "REPLAY_VIEW",
    "EXPORT",
    "REVIEW",
    "HOLD_SET",
    "HOLD_CLEAR",
    "PURGE",
];

/// A record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Position on its core, gap-free from 1 for the life of the log.
    pub sequence: u64,
    /// When.
    pub clock: Clock,
    /// What.
    pub body: Body,
    /// Fields of a later version that may be stepped over: key and encoded value.
    pub extensions: Vec<(u64, Vec<u8>)>,
}

impl From<Actor<'_>> for OwnedActor {
    fn from(actor: Actor<'_>) -> Self {
        Self { issuer: actor.issuer.to_owned(), subject: actor.subject.to_owned(), role: actor.role.to_owned() }
    }
}

impl From<&MaskedColumn<'_>> for OwnedMasked {
    fn from(column: &MaskedColumn<'_>) -> Self {
        Self { column: column.column.to_owned(), class: column.class.to_owned(), method: column.method.to_owned() }
    }
}

impl From<&Record<'_>> for Body {
    fn from(record: &Record<'_>) -> Self {
        match *record {
            Record::EpochStart { build, previous, clean, torn_bytes } => {
                Self::EpochStart { build: build.to_owned(), previous, clean, torn_bytes }
            }
            Record::EpochEnd => Self::EpochEnd,
            Record::PolicyLoad { bundle, catalog_epoch, target } => {
                Self::PolicyLoad { bundle, catalog_epoch, target: target.to_owned() }
            }
            Record::AuthFail { session, source, user, reason } => {
                Self::AuthFail { session, source: source.to_owned(), user: user.to_owned(), reason: reason.to_owned() }
            }
            Record::SessionOpen {
                session,
                actor,
                source,
                tls,
                application,
                target,
                database,
                account,
                bundle,
                recording,
                mode,
                key,
            } => Self::SessionOpen {
                session,
                actor: actor.into(),
                source: source.to_owned(),
                tls: tls.to_owned(),
                application: application.to_owned(),
                target: target.to_owned(),
                database: database.to_owned(),
                account: account.to_owned(),
                bundle,
                recording: recording.to_owned(),
                mode: mode.to_owned(),
                key,
            },
            Record::SessionClose { session, reason, statements, bytes } => {
                Self::SessionClose { session, reason: reason.to_owned(), statements, bytes }
            }
            Record::Intent {
                session,
                statement,
                text,
                sealed_text,
                tables,
                via,
                fingerprint,
                effects,
                bundle,
                catalog_epoch,
                parameters,
                sealed_parameters,
                row_limit,
            } => Self::Intent {
                session,
                statement,
                text: text.to_owned(),
                sealed_text: sealed_text.to_owned(),
                tables: tables.to_vec(),
                via: via.to_owned(),
                fingerprint,
                effects,
                bundle,
                catalog_epoch,
                parameters,
                sealed_parameters: sealed_parameters.to_owned(),
                row_limit,
            },
            Record::Block { session, statement, text, sealed_text, tables, code, rule, bundle } => Self::Block {
                session,
                statement,
                text: text.to_owned(),
                sealed_text: sealed_text.to_owned(),
                tables: tables.to_vec(),
                code: code.to_owned(),
                rule: rule.to_owned(),
                bundle,
            },
            Record::Result { session, statement, outcome, sqlstate, rows, bytes, duration_us, masked, clear } => {
                Self::Result {
                    session,
                    statement,
                    outcome: outcome.to_owned(),
                    sqlstate,
                    rows,
                    bytes,
                    duration_us,
                    masked: masked.iter().map(Into::into).collect(),
                    clear: clear
                        .iter()
                        .map(|c| OwnedClear { column: c.column.to_owned(), class: c.class.to_owned() })
                        .collect(),
                }
            }
            Record::Observe { session, statement, bundle, masked, code, rule } => Self::Observe {
                session,
                statement,
                bundle,
                masked: masked.iter().map(Into::into).collect(),
                code: code.to_owned(),
                rule: rule.to_owned(),
            },
            Record::Alarm { session, kind, detail } => {
                Self::Alarm { session, kind: kind.to_owned(), detail: detail.to_owned() }
            }
            Record::Release { session, statement, number, rows, bytes, digest } => {
                Self::Release { session, statement, number, rows, bytes, digest }
            }
            Record::RecordingSegment { session, number, chunks, bytes, statement, reason, digest } => {
                Self::RecordingSegment { session, number, chunks, bytes, statement, reason: reason.to_owned(), digest }
            }
            Record::Heartbeat { interval_s } => Self::Heartbeat { interval_s },
            Record::ClockStep { step_ns } => Self::ClockStep { step_ns },
            Record::LogMode { target, mode, reason } => {
                Self::LogMode { target: target.to_owned(), mode: mode.to_owned(), reason: reason.to_owned() }
            }
            Record::Gap { reason, duration_us, lost, sessions, statements } => {
                Self::Gap { reason: reason.to_owned(), duration_us, lost, sessions, statements }
            }
            Record::Configuration { reason, build, configuration, program } => {
                Self::Configuration { reason: reason.to_owned(), build: build.to_owned(), configuration, program }
            }
            Record::KeyRotate { key } => Self::KeyRotate { key: key.to_owned() },
            Record::NodeEnroll { origin, key } => Self::NodeEnroll { origin: origin.to_owned(), key: key.to_owned() },
            Record::NodeRetire { origin, reason } => {
                Self::NodeRetire { origin: origin.to_owned(), reason: reason.to_owned() }
            }
            Record::Anchor { kind, size, root, place } => {
                Self::Anchor { kind: kind.to_owned(), size, root, place: place.to_owned() }
            }
            Record::ReplayView { session, actor, reason, detail } => {
                Self::ReplayView { session, actor: actor.into(), reason: reason.to_owned(), detail: detail.to_owned() }
            }
            Record::Export { actor, reason, kind, detail, count } => Self::Export {
                actor: actor.into(),
                reason: reason.to_owned(),
                kind: kind.to_owned(),
                detail: detail.to_owned(),
                count,
            },
            Record::Review { actor, reason, detail, findings, ticket } => Self::Review {
                actor: actor.into(),
                reason: reason.to_owned(),
                detail: detail.to_owned(),
                findings: findings.to_owned(),
                ticket: ticket.to_owned(),
            },
            Record::HoldSet { actor, reason, name, query } => Self::HoldSet {
                actor: actor.into(),
                reason: reason.to_owned(),
                name: name.to_owned(),
                query: query.to_owned(),
            },
            Record::HoldClear { actor, reason, name } => {
                Self::HoldClear { actor: actor.into(), reason: reason.to_owned(), name: name.to_owned() }
            }
            Record::Purge { actor, reason, kind, order, sessions, signatures } => Self::Purge {
                actor: actor.into(),
                reason: reason.to_owned(),
                kind: kind.to_owned(),
                order: order.to_owned(),
                sessions: sessions.to_vec(),
                signatures: signatures.to_vec(),
            },
        }
    }
}
