//! Bytes back to a record, strictly: one spelling per record, nothing unknown, nothing left over.
//!
//! Two different byte strings never decode to the same record; that is what makes a hash over the bytes a hash over
//! the meaning. A record of a type or with a field that this version does not know is an error that says so, except
//! extension fields (key 128 and up), which are kept as they are.

use std::fmt;

use crate::cbor::Reader;
use crate::encode::{RECORD_BYTES_MAX, RECORD_VERSION, SQLSTATE_NONE, key, kind};
use crate::record::{Clock, MaskedColumn, Record, SessionId};

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end before the record does.
    Truncated,
    /// A longer spelling than necessary, an indefinite length, or a value kind that is never used.
    NotCanonical,
    /// Keys of a map do not ascend.
    KeyOrder,
    /// A value of another kind than the field has.
    WrongType,
    /// A value outside the field's range.
    Range(u64),
    /// Text that is not UTF-8.
    NotUtf8,
    /// A field that holds its default, and so must be absent.
    DefaultPresent(u64),
    /// A field that this type of record does not have, or that this version does not know.
    UnknownField(u64),
    /// A mandatory field is missing.
    Missing(u64),
    /// A record type that this version does not know.
    UnknownType(u64),
    /// A schema version that this program does not know.
    UnknownVersion(u64),
    /// Bytes after the record.
    TrailingBytes,
    /// An extension nested too deeply.
    TooDeep,
    /// Longer than a record may be.
    TooLong,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated => f.write_str("the record ends early"),
            Self::NotCanonical => f.write_str("the encoding is not canonical"),
            Self::KeyOrder => f.write_str("map keys are not in ascending order"),
            Self::WrongType => f.write_str("a field holds a value of the wrong kind"),
            Self::Range(key) => write!(f, "field {key} is out of range"),
            Self::NotUtf8 => f.write_str("text is not UTF-8"),
            Self::DefaultPresent(key) => write!(f, "field {key} spells out its default"),
            Self::UnknownField(key) => write!(f, "field {key} is unknown for this type of record"),
            Self::Missing(key) => write!(f, "field {key} is missing"),
            Self::UnknownType(number) => write!(f, "record type {number} is unknown to this version"),
            Self::UnknownVersion(version) => write!(f, "record version {version} is unknown to this program"),
            Self::TrailingBytes => f.write_str("bytes follow the record"),
            Self::TooDeep => f.write_str("an extension is nested too deeply"),
            Self::TooLong => f.write_str("the record is too long"),
        }
    }
}

impl std::error::Error for DecodeError {}

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
        via: String,
        fingerprint: u64,
        effects: u64,
        bundle: [u8; 32],
        catalog_epoch: u64,
        parameters: Option<[u8; 32]>,
        row_limit: u32,
    },
    Block {
        session: SessionId,
        statement: u64,
        text: Vec<u8>,
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
        }
    }

    /// Session the record belongs to, if any.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match *self {
            Self::EpochStart { .. } | Self::EpochEnd | Self::PolicyLoad { .. } => None,
            Self::AuthFail { session, .. }
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
pub const TYPE_NAMES: [&str; 11] = [
    "EPOCH_START",
    "EPOCH_END",
    "ALARM",
    "POLICY_LOAD",
    "AUTH_FAIL",
    "SESSION_OPEN",
    "SESSION_CLOSE",
    "STMT_INTENT",
    "STMT_BLOCK",
    "STMT_RESULT",
    "STMT_OBSERVE",
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

/// Field values by key, before the type says which of them make sense.
struct Raw<'a> {
    seen: u64,
    numbers: [u64; 40],
    strings: [&'a [u8]; 40],
    actor: OwnedActor,
    masked: Vec<OwnedMasked>,
    clock: Clock,
}

const fn bits(keys: &[u64]) -> u64 {
    let mut mask = 0;
    let mut at = 0;
    while at < keys.len() {
        mask |= 1 << keys[at];
        at += 1;
    }
    mask
}

const COMMON: u64 = bits(&[key::VERSION, key::TYPE, key::SEQUENCE, key::TIME]);

/// Fields a type may have besides the common ones.
fn allowed(number: u64) -> Option<u64> {
    Some(match number {
        kind::EPOCH_START => const { bits(&[key::BUILD, key::PREVIOUS, key::CLEAN, key::TORN_BYTES]) },
        kind::EPOCH_END => 0,
        kind::POLICY_LOAD => const { bits(&[key::BUNDLE, key::CATALOG_EPOCH, key::TARGET]) },
        kind::AUTH_FAIL => const { bits(&[key::SESSION, key::REASON, key::SOURCE, key::USER]) },
        kind::SESSION_OPEN => {
            const {
                bits(&[
                    key::SESSION,
                    key::BUNDLE,
                    key::TARGET,
                    key::ACTOR,
                    key::SOURCE,
                    key::TLS,
                    key::APPLICATION,
                    key::DATABASE,
                    key::ACCOUNT,
                ])
            }
        }
        kind::SESSION_CLOSE => const { bits(&[key::SESSION, key::BYTES, key::REASON, key::STATEMENTS]) },
        kind::INTENT => {
            const {
                bits(&[
                    key::SESSION,
                    key::STATEMENT,
                    key::BUNDLE,
                    key::CATALOG_EPOCH,
                    key::TEXT,
                    key::VIA,
                    key::FINGERPRINT,
                    key::EFFECTS,
                    key::PARAMETERS,
                    key::ROW_LIMIT,
                ])
            }
        }
        kind::BLOCK => const { bits(&[key::SESSION, key::STATEMENT, key::BUNDLE, key::TEXT, key::CODE, key::RULE]) },
        kind::RESULT => {
            const {
                bits(&[
                    key::SESSION,
                    key::STATEMENT,
                    key::OUTCOME,
                    key::SQLSTATE,
                    key::ROWS,
                    key::BYTES,
                    key::DURATION,
                    key::MASKED,
                ])
            }
        }
        kind::OBSERVE => {
            const { bits(&[key::SESSION, key::STATEMENT, key::BUNDLE, key::MASKED, key::CODE, key::RULE]) }
        }
        kind::ALARM => const { bits(&[key::SESSION, key::ALARM, key::DETAIL]) },
        _ => return None,
    })
}

impl<'a> Raw<'a> {
    fn field(&mut self, field: u64, reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        let slot = field as usize;
        match field {
            key::VERSION
            | key::TYPE
            | key::SEQUENCE
            | key::STATEMENT
            | key::CATALOG_EPOCH
            | key::FINGERPRINT
            | key::EFFECTS
            | key::ROW_LIMIT
            | key::ROWS
            | key::BYTES
            | key::DURATION
            | key::STATEMENTS
            | key::TORN_BYTES => {
                let value = reader.uint()?;
                if value == 0 {
                    return Err(DecodeError::DefaultPresent(field));
                }
                if field == key::ROW_LIMIT && value > u64::from(u32::MAX) {
                    return Err(DecodeError::Range(field));
                }
                self.numbers[slot] = value;
            }
            key::SESSION => self.strings[slot] = fixed(field, reader.bytes()?, 16, Some(&[0; 16]))?,
            key::BUNDLE | key::PREVIOUS => self.strings[slot] = fixed(field, reader.bytes()?, 32, Some(&[0; 32]))?,
            // Present means that there were parameters, whatever the digest.
            key::PARAMETERS => self.strings[slot] = fixed(field, reader.bytes()?, 32, None)?,
            key::SQLSTATE => self.strings[slot] = fixed(field, reader.bytes()?, 5, Some(&SQLSTATE_NONE))?,
            key::TEXT => self.strings[slot] = filled(field, reader.bytes()?)?,
            key::VIA
            | key::OUTCOME
            | key::CODE
            | key::REASON
            | key::RULE
            | key::TARGET
            | key::SOURCE
            | key::TLS
            | key::APPLICATION
            | key::DATABASE
            | key::ACCOUNT
            | key::USER
            | key::ALARM
            | key::DETAIL
            | key::BUILD => self.strings[slot] = filled(field, reader.text()?.as_bytes())?,
            key::TIME => {
                if reader.array()? != 2 {
                    return Err(DecodeError::WrongType);
                }
                self.clock = Clock { wall_ns: reader.uint()?, mono_ns: reader.uint()? };
            }
            key::CLEAN => reader.truth()?,
            key::ACTOR => self.actor = actor(reader)?,
            key::MASKED => {
                let count = reader.array()?;
                if count == 0 {
                    return Err(DecodeError::DefaultPresent(field));
                }
                // The count is not trusted for an allocation: every item takes bytes that must be there.
                for _ in 0..count {
                    if reader.array()? != 3 {
                        return Err(DecodeError::WrongType);
                    }
                    self.masked.push(OwnedMasked {
                        column: reader.text()?.to_owned(),
                        class: reader.text()?.to_owned(),
                        method: reader.text()?.to_owned(),
                    });
                }
            }
            _ => return Err(DecodeError::UnknownField(field)),
        }
        self.seen |= 1 << field;
        Ok(())
    }

    fn has(&self, field: u64) -> bool {
        self.seen & 1 << field != 0
    }

    fn number(&self, field: u64) -> u64 {
        self.numbers[field as usize]
    }

    fn text(&self, field: u64) -> String {
        // Checked as UTF-8 when it was read.
        String::from_utf8_lossy(self.strings[field as usize]).into_owned()
    }

    fn bytes<const N: usize>(&self, field: u64) -> [u8; N] {
        self.strings[field as usize].try_into().unwrap_or([0; N])
    }

    fn session(&self) -> SessionId {
        SessionId(self.bytes(key::SESSION))
    }

    fn body(self, number: u64) -> Result<Body, DecodeError> {
        Ok(match number {
            kind::EPOCH_START => Body::EpochStart {
                build: self.text(key::BUILD),
                previous: self.bytes(key::PREVIOUS),
                clean: self.has(key::CLEAN),
                torn_bytes: self.number(key::TORN_BYTES),
            },
            kind::EPOCH_END => Body::EpochEnd,
            kind::POLICY_LOAD => Body::PolicyLoad {
                bundle: self.bytes(key::BUNDLE),
                catalog_epoch: self.number(key::CATALOG_EPOCH),
                target: self.text(key::TARGET),
            },
            kind::AUTH_FAIL => Body::AuthFail {
                session: self.session(),
                source: self.text(key::SOURCE),
                user: self.text(key::USER),
                reason: self.text(key::REASON),
            },
            kind::SESSION_OPEN => Body::SessionOpen {
                session: self.session(),
                source: self.text(key::SOURCE),
                tls: self.text(key::TLS),
                application: self.text(key::APPLICATION),
                target: self.text(key::TARGET),
                database: self.text(key::DATABASE),
                account: self.text(key::ACCOUNT),
                bundle: self.bytes(key::BUNDLE),
                actor: self.actor,
            },
            kind::SESSION_CLOSE => Body::SessionClose {
                session: self.session(),
                reason: self.text(key::REASON),
                statements: self.number(key::STATEMENTS),
                bytes: self.number(key::BYTES),
            },
            kind::INTENT => Body::Intent {
                session: self.session(),
                statement: self.number(key::STATEMENT),
                text: self.strings[key::TEXT as usize].to_vec(),
                via: self.text(key::VIA),
                fingerprint: self.number(key::FINGERPRINT),
                effects: self.number(key::EFFECTS),
                bundle: self.bytes(key::BUNDLE),
                catalog_epoch: self.number(key::CATALOG_EPOCH),
                parameters: self.has(key::PARAMETERS).then(|| self.bytes(key::PARAMETERS)),
                row_limit: u32::try_from(self.number(key::ROW_LIMIT))
                    .map_err(|_| DecodeError::Range(key::ROW_LIMIT))?,
            },
            kind::BLOCK => Body::Block {
                session: self.session(),
                statement: self.number(key::STATEMENT),
                text: self.strings[key::TEXT as usize].to_vec(),
                code: self.text(key::CODE),
                rule: self.text(key::RULE),
                bundle: self.bytes(key::BUNDLE),
            },
            kind::RESULT => Body::Result {
                session: self.session(),
                statement: self.number(key::STATEMENT),
                outcome: self.text(key::OUTCOME),
                sqlstate: if self.has(key::SQLSTATE) { self.bytes(key::SQLSTATE) } else { SQLSTATE_NONE },
                rows: self.number(key::ROWS),
                bytes: self.number(key::BYTES),
                duration_us: self.number(key::DURATION),
                masked: self.masked,
            },
            kind::OBSERVE => Body::Observe {
                session: self.session(),
                statement: self.number(key::STATEMENT),
                bundle: self.bytes(key::BUNDLE),
                code: self.text(key::CODE),
                rule: self.text(key::RULE),
                masked: self.masked,
            },
            kind::ALARM => {
                Body::Alarm { session: self.session(), kind: self.text(key::ALARM), detail: self.text(key::DETAIL) }
            }
            other => return Err(DecodeError::UnknownType(other)),
        })
    }
}

fn fixed<'a>(field: u64, value: &'a [u8], size: usize, default: Option<&[u8]>) -> Result<&'a [u8], DecodeError> {
    if value.len() != size {
        return Err(DecodeError::Range(field));
    }
    if default == Some(value) { Err(DecodeError::DefaultPresent(field)) } else { Ok(value) }
}

fn filled(field: u64, value: &[u8]) -> Result<&[u8], DecodeError> {
    if value.is_empty() { Err(DecodeError::DefaultPresent(field)) } else { Ok(value) }
}

fn actor(reader: &mut Reader<'_>) -> Result<OwnedActor, DecodeError> {
    let mut actor = OwnedActor::default();
    let pairs = reader.map()?;
    if pairs == 0 {
        return Err(DecodeError::DefaultPresent(key::ACTOR));
    }
    let mut last = None;
    for _ in 0..pairs {
        let field = reader.uint()?;
        if last.is_some_and(|last| last >= field) {
            return Err(DecodeError::KeyOrder);
        }
        last = Some(field);
        let slot = match field {
            0 => &mut actor.issuer,
            1 => &mut actor.subject,
            2 => &mut actor.role,
            _ => return Err(DecodeError::UnknownField(key::ACTOR)),
        };
        let value = reader.text()?;
        if value.is_empty() {
            return Err(DecodeError::DefaultPresent(key::ACTOR));
        }
        value.clone_into(slot);
    }
    Ok(actor)
}

/// Decodes exactly one record.
///
/// # Errors
/// Anything but the one canonical spelling of a known record.
pub fn decode_record(bytes: &[u8]) -> Result<OwnedRecord, DecodeError> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(DecodeError::TooLong);
    }
    let mut reader = Reader::new(bytes);
    let pairs = reader.map()?;
    let mut raw = Raw {
        seen: 0,
        numbers: [0; 40],
        strings: [&[]; 40],
        actor: OwnedActor::default(),
        masked: Vec::new(),
        clock: Clock::default(),
    };
    let mut extensions = Vec::new();
    let mut last = None;
    for _ in 0..pairs {
        let field = reader.uint()?;
        if last.is_some_and(|last| last >= field) {
            return Err(DecodeError::KeyOrder);
        }
        last = Some(field);
        if field >= key::EXTENSION {
            extensions.push((field, reader.item()?.to_vec()));
        } else {
            raw.field(field, &mut reader)?;
            if field == key::VERSION && raw.number(key::VERSION) != RECORD_VERSION {
                return Err(DecodeError::UnknownVersion(raw.number(key::VERSION)));
            }
        }
    }
    if !reader.is_empty() {
        return Err(DecodeError::TrailingBytes);
    }
    if raw.seen & COMMON != COMMON {
        return Err(DecodeError::Missing(u64::from((COMMON & !raw.seen).trailing_zeros())));
    }
    let number = raw.number(key::TYPE);
    let strange = raw.seen & !COMMON & !allowed(number).ok_or(DecodeError::UnknownType(number))?;
    if strange != 0 {
        return Err(DecodeError::UnknownField(u64::from(strange.trailing_zeros())));
    }
    let (sequence, clock) = (raw.number(key::SEQUENCE), raw.clock);
    Ok(OwnedRecord { sequence, clock, body: raw.body(number)?, extensions })
}

/// Type number and time of a record that this process encoded; they stand at its head.
pub(crate) fn peek(bytes: &[u8]) -> Result<(u64, Clock), DecodeError> {
    let mut reader = Reader::new(bytes);
    reader.map()?;
    let mut number = 0;
    for _ in 0..4 {
        match reader.uint()? {
            key::TYPE => number = reader.uint()?,
            key::VERSION | key::SEQUENCE => {
                reader.uint()?;
            }
            key::TIME => {
                reader.array()?;
                return Ok((number, Clock { wall_ns: reader.uint()?, mono_ns: reader.uint()? }));
            }
            other => return Err(DecodeError::UnknownField(other)),
        }
    }
    Err(DecodeError::Missing(key::TIME))
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
            Record::SessionOpen { session, actor, source, tls, application, target, database, account, bundle } => {
                Self::SessionOpen {
                    session,
                    actor: OwnedActor {
                        issuer: actor.issuer.to_owned(),
                        subject: actor.subject.to_owned(),
                        role: actor.role.to_owned(),
                    },
                    source: source.to_owned(),
                    tls: tls.to_owned(),
                    application: application.to_owned(),
                    target: target.to_owned(),
                    database: database.to_owned(),
                    account: account.to_owned(),
                    bundle,
                }
            }
            Record::SessionClose { session, reason, statements, bytes } => {
                Self::SessionClose { session, reason: reason.to_owned(), statements, bytes }
            }
            Record::Intent {
                session,
                statement,
                text,
                via,
                fingerprint,
                effects,
                bundle,
                catalog_epoch,
                parameters,
                row_limit,
            } => Self::Intent {
                session,
                statement,
                text: text.to_owned(),
                via: via.to_owned(),
                fingerprint,
                effects,
                bundle,
                catalog_epoch,
                parameters,
                row_limit,
            },
            Record::Block { session, statement, text, code, rule, bundle } => Self::Block {
                session,
                statement,
                text: text.to_owned(),
                code: code.to_owned(),
                rule: rule.to_owned(),
                bundle,
            },
            Record::Result { session, statement, outcome, sqlstate, rows, bytes, duration_us, masked } => {
                Self::Result {
                    session,
                    statement,
                    outcome: outcome.to_owned(),
                    sqlstate,
                    rows,
                    bytes,
                    duration_us,
                    masked: masked.iter().map(Into::into).collect(),
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
        }
    }
}
