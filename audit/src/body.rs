//! Records as values that own what they say: what readers get, and what the control side hands to a core.

use crate::record::{Access, Actor, Approval, Clock, Credential, MaskedColumn, Record, SessionId};

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

/// An act about who may do what, owned; fields as in [`crate::record::Access`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct OwnedAccess {
    pub kind: String,
    pub session: SessionId,
    pub actor: OwnedActor,
    pub about: OwnedActor,
    pub target: String,
    pub source: String,
    pub user: String,
    pub id: String,
    pub reason: String,
    pub detail: String,
    pub until_ns: u64,
}

impl OwnedAccess {
    /// The same, borrowed.
    #[must_use]
    pub fn borrow(&self) -> Access<'_> {
        Access {
            kind: &self.kind,
            session: self.session,
            actor: self.actor.borrow(),
            about: self.about.borrow(),
            target: &self.target,
            source: &self.source,
            user: &self.user,
            id: &self.id,
            reason: &self.reason,
            detail: &self.detail,
            until_ns: self.until_ns,
        }
    }
}

/// A step of a statement's approval, owned; fields as in [`crate::record::Approval`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct OwnedApproval {
    pub kind: String,
    pub session: SessionId,
    pub statement: u64,
    pub actor: OwnedActor,
    pub id: String,
    pub digest: [u8; 32],
    pub target: String,
    pub rule: String,
    pub text: Vec<u8>,
    pub sealed_text: Vec<u8>,
    pub tables: Vec<String>,
    pub reason: String,
    pub detail: String,
    pub until_ns: u64,
    pub assertion: Vec<u8>,
}

impl OwnedApproval {
    /// The same, borrowed.
    #[must_use]
    pub fn borrow(&self) -> Approval<'_> {
        Approval {
            kind: &self.kind,
            session: self.session,
            statement: self.statement,
            actor: self.actor.borrow(),
            id: &self.id,
            digest: self.digest,
            target: &self.target,
            rule: &self.rule,
            text: &self.text,
            sealed_text: &self.sealed_text,
            tables: &self.tables,
            reason: &self.reason,
            detail: &self.detail,
            until_ns: self.until_ns,
            assertion: &self.assertion,
        }
    }
}

/// A step of a credential upstream, owned; fields as in [`crate::record::Credential`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct OwnedCredential {
    pub kind: String,
    pub session: SessionId,
    pub target: String,
    pub account: String,
    pub reason: String,
    pub until_ns: u64,
    pub duration_us: u64,
}

impl OwnedCredential {
    /// The same, borrowed.
    #[must_use]
    pub fn borrow(&self) -> Credential<'_> {
        Credential {
            kind: &self.kind,
            session: self.session,
            target: &self.target,
            account: &self.account,
            reason: &self.reason,
            until_ns: self.until_ns,
            duration_us: self.duration_us,
        }
    }
}

impl OwnedActor {
    /// The same, borrowed.
    #[must_use]
    pub fn borrow(&self) -> Actor<'_> {
        Actor { issuer: &self.issuer, subject: &self.subject, role: &self.role }
    }
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
    Access(Box<OwnedAccess>),
    Approval(Box<OwnedApproval>),
    Credential(OwnedCredential),
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
            Self::Access(_) => "ACCESS",
            Self::Approval(_) => "APPROVAL",
            Self::Credential(_) => "CREDENTIAL",
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
            Self::Access(ref access) => Some(access.session).filter(|session| session.0 != [0; 16]),
            Self::Approval(ref approval) => Some(approval.session).filter(|session| session.0 != [0; 16]),
            Self::Credential(ref credential) => Some(credential.session).filter(|session| session.0 != [0; 16]),
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
pub const TYPE_NAMES: [&str; 31] = [
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
    "ACCESS",
    "APPROVAL",
    "CREDENTIAL",
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
            Record::Access(ref access) => Self::Access(Box::new(OwnedAccess {
                kind: access.kind.to_owned(),
                session: access.session,
                actor: access.actor.into(),
                about: access.about.into(),
                target: access.target.to_owned(),
                source: access.source.to_owned(),
                user: access.user.to_owned(),
                id: access.id.to_owned(),
                reason: access.reason.to_owned(),
                detail: access.detail.to_owned(),
                until_ns: access.until_ns,
            })),
            Record::Approval(ref approval) => Self::Approval(Box::new(OwnedApproval {
                kind: approval.kind.to_owned(),
                session: approval.session,
                statement: approval.statement,
                actor: approval.actor.into(),
                id: approval.id.to_owned(),
                digest: approval.digest,
                target: approval.target.to_owned(),
                rule: approval.rule.to_owned(),
                text: approval.text.to_owned(),
                sealed_text: approval.sealed_text.to_owned(),
                tables: approval.tables.to_vec(),
                reason: approval.reason.to_owned(),
                detail: approval.detail.to_owned(),
                until_ns: approval.until_ns,
                assertion: approval.assertion.to_owned(),
            })),
            Record::Credential(ref credential) => Self::Credential(OwnedCredential {
                kind: credential.kind.to_owned(),
                session: credential.session,
                target: credential.target.to_owned(),
                account: credential.account.to_owned(),
                reason: credential.reason.to_owned(),
                until_ns: credential.until_ns,
                duration_us: credential.duration_us,
            }),
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
