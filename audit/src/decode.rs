//! Bytes back to a record, strictly: one spelling per record, nothing unknown, nothing left over.
//!
//! Two different byte strings never decode to the same record; that is what makes a hash over the bytes a hash over
//! the meaning. A record of a type or with a field that this version does not know is an error that says so, except
//! extension fields (key 128 and up), which are kept as they are.

use std::fmt;

use crate::body::{
    Body, OwnedAccess, OwnedActor, OwnedApproval, OwnedClear, OwnedCredential, OwnedMasked, OwnedRecord,
};
use crate::cbor::Reader;
use crate::encode::{RECORD_BYTES_MAX, RECORD_VERSION, SQLSTATE_NONE, key, kind};
use crate::record::{Clock, SessionId};

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

/// One more than the highest key in use.
const KEYS: usize = 78;

/// Field values by key, before the type says which of them make sense.
struct Raw<'a> {
    seen: u128,
    numbers: [u64; KEYS],
    strings: [&'a [u8]; KEYS],
    step_ns: i64,
    actor: OwnedActor,
    about: OwnedActor,
    masked: Vec<OwnedMasked>,
    clear: Vec<OwnedClear>,
    tables: Vec<String>,
    signatures: Vec<String>,
    sessions: Vec<SessionId>,
    clock: Clock,
}

const fn bits(keys: &[u64]) -> u128 {
    let mut mask = 0;
    let mut at = 0;
    while at < keys.len() {
        mask |= 1 << keys[at];
        at += 1;
    }
    mask
}

const COMMON: u128 = bits(&[key::VERSION, key::TYPE, key::SEQUENCE, key::TIME]);

/// Fields a type may have besides the common ones.
fn allowed(number: u64) -> Option<u128> {
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
                    key::ALARM,
                    key::MODE,
                    key::KEY_COMMITMENT,
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
                    key::TABLES,
                    key::SEALED_TEXT,
                    key::SEALED_PARAMETERS,
                ])
            }
        }
        kind::BLOCK => {
            const {
                bits(&[
                    key::SESSION,
                    key::STATEMENT,
                    key::BUNDLE,
                    key::TEXT,
                    key::CODE,
                    key::RULE,
                    key::TABLES,
                    key::SEALED_TEXT,
                ])
            }
        }
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
                    key::CLEAR,
                ])
            }
        }
        kind::OBSERVE => {
            const { bits(&[key::SESSION, key::STATEMENT, key::BUNDLE, key::MASKED, key::CODE, key::RULE]) }
        }
        kind::ALARM => const { bits(&[key::SESSION, key::ALARM, key::DETAIL]) },
        _ => return allowed_to_node(number),
    })
}

/// The same for the records of the node and of its people.
fn allowed_to_node(number: u64) -> Option<u128> {
    const PERSON: u128 = bits(&[key::REASON, key::ACTOR]);
    Some(match number {
        kind::RELEASE => {
            const { bits(&[key::SESSION, key::STATEMENT, key::ROWS, key::BYTES, key::RELEASE, key::RELEASE_DIGEST]) }
        }
        kind::RECORDING_SEGMENT => {
            const {
                bits(&[
                    key::SESSION,
                    key::BYTES,
                    key::REASON,
                    key::STATEMENTS,
                    key::SEGMENT,
                    key::CHUNKS,
                    key::CHUNK_DIGEST,
                ])
            }
        }
        kind::HEARTBEAT => const { bits(&[key::INTERVAL]) },
        kind::CLOCK_STEP => const { bits(&[key::STEP]) },
        kind::LOG_MODE => const { bits(&[key::REASON, key::TARGET, key::MODE]) },
        kind::GAP => {
            const { bits(&[key::DURATION, key::REASON, key::LOST, key::SESSIONS_REFUSED, key::STATEMENTS_REFUSED]) }
        }
        kind::CONFIGURATION => const { bits(&[key::REASON, key::BUILD, key::CONFIGURATION, key::PROGRAM]) },
        kind::KEY_ROTATE => const { bits(&[key::VERIFIER_KEY]) },
        kind::NODE_ENROLL => const { bits(&[key::VERIFIER_KEY, key::PLACE]) },
        kind::NODE_RETIRE => const { bits(&[key::REASON, key::PLACE]) },
        kind::ANCHOR => const { bits(&[key::ALARM, key::TREE_SIZE, key::ROOT, key::PLACE]) },
        kind::REPLAY_VIEW => const { PERSON | bits(&[key::SESSION, key::DETAIL]) },
        kind::EXPORT => const { PERSON | bits(&[key::ROWS, key::ALARM, key::DETAIL]) },
        kind::REVIEW => const { PERSON | bits(&[key::DETAIL, key::FINDINGS, key::TICKET]) },
        kind::HOLD_SET => const { PERSON | bits(&[key::ALARM, key::DETAIL]) },
        kind::HOLD_CLEAR => const { PERSON | bits(&[key::ALARM]) },
        kind::PURGE => const { PERSON | bits(&[key::ROWS, key::ALARM, key::DETAIL, key::SESSIONS, key::SIGNATURES]) },
        kind::ACCESS => {
            const {
                PERSON
                    | bits(&[
                        key::SESSION,
                        key::TARGET,
                        key::SOURCE,
                        key::USER,
                        key::ALARM,
                        key::DETAIL,
                        key::UNTIL,
                        key::ID,
                        key::ABOUT,
                    ])
            }
        }
        kind::APPROVAL => {
            const {
                PERSON
                    | bits(&[
                        key::SESSION,
                        key::STATEMENT,
                        key::TEXT,
                        key::RULE,
                        key::TARGET,
                        key::ALARM,
                        key::DETAIL,
                        key::TABLES,
                        key::SEALED_TEXT,
                        key::APPROVED,
                        key::UNTIL,
                        key::ID,
                        key::ASSERTION,
                    ])
            }
        }
        kind::CREDENTIAL => {
            const { bits(&[key::SESSION, key::DURATION, key::REASON, key::TARGET, key::ACCOUNT, key::ALARM, key::UNTIL]) }
        }
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
            | key::TORN_BYTES
            | key::INTERVAL
            | key::LOST
            | key::SESSIONS_REFUSED
            | key::STATEMENTS_REFUSED
            | key::TREE_SIZE
            | key::RELEASE
            | key::SEGMENT
            | key::UNTIL
            | key::CHUNKS => {
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
            key::STEP => {
                self.step_ns = reader.int()?;
                if self.step_ns == 0 {
                    return Err(DecodeError::DefaultPresent(field));
                }
            }
            key::BUNDLE
            | key::PREVIOUS
            | key::CONFIGURATION
            | key::PROGRAM
            | key::ROOT
            | key::RELEASE_DIGEST
            | key::CHUNK_DIGEST
            | key::APPROVED
            | key::KEY_COMMITMENT => self.strings[slot] = fixed(field, reader.bytes()?, 32, Some(&[0; 32]))?,
            // Present means that there were parameters, whatever the digest.
            key::PARAMETERS => self.strings[slot] = fixed(field, reader.bytes()?, 32, None)?,
            key::SQLSTATE => self.strings[slot] = fixed(field, reader.bytes()?, 5, Some(&SQLSTATE_NONE))?,
            key::TEXT | key::SEALED_TEXT | key::SEALED_PARAMETERS | key::ASSERTION => {
                self.strings[slot] = filled(field, reader.bytes()?)?
            }
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
            | key::BUILD
            | key::MODE
            | key::VERIFIER_KEY
            | key::PLACE
            | key::FINDINGS
            | key::ID
            | key::TICKET => self.strings[slot] = filled(field, reader.text()?.as_bytes())?,
            key::TIME => {
                if reader.array()? != 2 {
                    return Err(DecodeError::WrongType);
                }
                self.clock = Clock { wall_ns: reader.uint()?, mono_ns: reader.uint()? };
            }
            key::CLEAN => reader.truth()?,
            key::ACTOR => self.actor = actor(reader)?,
            key::ABOUT => self.about = actor(reader)?,
            key::MASKED => {
                let count = some(field, reader.array()?)?;
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
            key::CLEAR => {
                for _ in 0..some(field, reader.array()?)? {
                    if reader.array()? != 2 {
                        return Err(DecodeError::WrongType);
                    }
                    self.clear.push(OwnedClear { column: reader.text()?.to_owned(), class: reader.text()?.to_owned() });
                }
            }
            key::TABLES => {
                for _ in 0..some(field, reader.array()?)? {
                    self.tables.push(reader.text()?.to_owned());
                }
            }
            key::SIGNATURES => {
                for _ in 0..some(field, reader.array()?)? {
                    self.signatures.push(reader.text()?.to_owned());
                }
            }
            key::SESSIONS => {
                for _ in 0..some(field, reader.array()?)? {
                    let id: [u8; 16] = reader.bytes()?.try_into().map_err(|_| DecodeError::Range(field))?;
                    if self.sessions.last().is_some_and(|last| last.0 >= id) {
                        return Err(DecodeError::KeyOrder);
                    }
                    self.sessions.push(SessionId(id));
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
                recording: self.text(key::ALARM),
                mode: self.text(key::MODE),
                key: self.bytes(key::KEY_COMMITMENT),
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
                sealed_text: self.strings[key::SEALED_TEXT as usize].to_vec(),
                sealed_parameters: self.strings[key::SEALED_PARAMETERS as usize].to_vec(),
                via: self.text(key::VIA),
                fingerprint: self.number(key::FINGERPRINT),
                effects: self.number(key::EFFECTS),
                bundle: self.bytes(key::BUNDLE),
                catalog_epoch: self.number(key::CATALOG_EPOCH),
                parameters: self.has(key::PARAMETERS).then(|| self.bytes(key::PARAMETERS)),
                row_limit: u32::try_from(self.number(key::ROW_LIMIT))
                    .map_err(|_| DecodeError::Range(key::ROW_LIMIT))?,
                tables: self.tables,
            },
            kind::BLOCK => Body::Block {
                session: self.session(),
                statement: self.number(key::STATEMENT),
                text: self.strings[key::TEXT as usize].to_vec(),
                sealed_text: self.strings[key::SEALED_TEXT as usize].to_vec(),
                code: self.text(key::CODE),
                rule: self.text(key::RULE),
                bundle: self.bytes(key::BUNDLE),
                tables: self.tables,
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
                clear: self.clear,
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
            _ => return self.node_body(number),
        })
    }

    /// The same for the records of the node and of its people.
    fn node_body(self, number: u64) -> Result<Body, DecodeError> {
        Ok(match number {
            kind::RELEASE => Body::Release {
                session: self.session(),
                statement: self.number(key::STATEMENT),
                number: self.number(key::RELEASE),
                rows: self.number(key::ROWS),
                bytes: self.number(key::BYTES),
                digest: self.bytes(key::RELEASE_DIGEST),
            },
            kind::RECORDING_SEGMENT => Body::RecordingSegment {
                session: self.session(),
                number: self.number(key::SEGMENT),
                chunks: self.number(key::CHUNKS),
                bytes: self.number(key::BYTES),
                statement: self.number(key::STATEMENTS),
                reason: self.text(key::REASON),
                digest: self.bytes(key::CHUNK_DIGEST),
            },
            kind::HEARTBEAT => Body::Heartbeat { interval_s: self.number(key::INTERVAL) },
            kind::CLOCK_STEP => Body::ClockStep { step_ns: self.step_ns },
            kind::LOG_MODE => Body::LogMode {
                target: self.text(key::TARGET),
                mode: self.text(key::MODE),
                reason: self.text(key::REASON),
            },
            kind::GAP => Body::Gap {
                reason: self.text(key::REASON),
                duration_us: self.number(key::DURATION),
                lost: self.number(key::LOST),
                sessions: self.number(key::SESSIONS_REFUSED),
                statements: self.number(key::STATEMENTS_REFUSED),
            },
            kind::CONFIGURATION => Body::Configuration {
                reason: self.text(key::REASON),
                build: self.text(key::BUILD),
                configuration: self.bytes(key::CONFIGURATION),
                program: self.bytes(key::PROGRAM),
            },
            kind::KEY_ROTATE => Body::KeyRotate { key: self.text(key::VERIFIER_KEY) },
            kind::NODE_ENROLL => Body::NodeEnroll { origin: self.text(key::PLACE), key: self.text(key::VERIFIER_KEY) },
            kind::NODE_RETIRE => Body::NodeRetire { origin: self.text(key::PLACE), reason: self.text(key::REASON) },
            kind::ANCHOR => Body::Anchor {
                kind: self.text(key::ALARM),
                size: self.number(key::TREE_SIZE),
                root: self.bytes(key::ROOT),
                place: self.text(key::PLACE),
            },
            kind::REPLAY_VIEW => Body::ReplayView {
                session: self.session(),
                reason: self.text(key::REASON),
                detail: self.text(key::DETAIL),
                actor: self.actor,
            },
            kind::EXPORT => Body::Export {
                reason: self.text(key::REASON),
                kind: self.text(key::ALARM),
                detail: self.text(key::DETAIL),
                count: self.number(key::ROWS),
                actor: self.actor,
            },
            kind::REVIEW => Body::Review {
                reason: self.text(key::REASON),
                detail: self.text(key::DETAIL),
                findings: self.text(key::FINDINGS),
                ticket: self.text(key::TICKET),
                actor: self.actor,
            },
            kind::HOLD_SET => Body::HoldSet {
                reason: self.text(key::REASON),
                name: self.text(key::ALARM),
                query: self.text(key::DETAIL),
                actor: self.actor,
            },
            kind::HOLD_CLEAR => {
                Body::HoldClear { reason: self.text(key::REASON), name: self.text(key::ALARM), actor: self.actor }
            }
            kind::PURGE => {
                if self.number(key::ROWS) != self.sessions.len() as u64 {
                    return Err(DecodeError::Range(key::ROWS));
                }
                Body::Purge {
                    reason: self.text(key::REASON),
                    kind: self.text(key::ALARM),
                    order: self.text(key::DETAIL),
                    sessions: self.sessions,
                    signatures: self.signatures,
                    actor: self.actor,
                }
            }
            kind::ACCESS => Body::Access(Box::new(OwnedAccess {
                kind: self.text(key::ALARM),
                session: self.session(),
                target: self.text(key::TARGET),
                source: self.text(key::SOURCE),
                user: self.text(key::USER),
                id: self.text(key::ID),
                reason: self.text(key::REASON),
                detail: self.text(key::DETAIL),
                until_ns: self.number(key::UNTIL),
                actor: self.actor,
                about: self.about,
            })),
            kind::APPROVAL => Body::Approval(Box::new(OwnedApproval {
                kind: self.text(key::ALARM),
                session: self.session(),
                statement: self.number(key::STATEMENT),
                id: self.text(key::ID),
                digest: self.bytes(key::APPROVED),
                target: self.text(key::TARGET),
                rule: self.text(key::RULE),
                text: self.strings[key::TEXT as usize].to_vec(),
                sealed_text: self.strings[key::SEALED_TEXT as usize].to_vec(),
                reason: self.text(key::REASON),
                detail: self.text(key::DETAIL),
                until_ns: self.number(key::UNTIL),
                assertion: self.strings[key::ASSERTION as usize].to_vec(),
                tables: self.tables,
                actor: self.actor,
            })),
            kind::CREDENTIAL => Body::Credential(OwnedCredential {
                kind: self.text(key::ALARM),
                session: self.session(),
                target: self.text(key::TARGET),
                account: self.text(key::ACCOUNT),
                reason: self.text(key::REASON),
                until_ns: self.number(key::UNTIL),
                duration_us: self.number(key::DURATION),
            }),
            other => return Err(DecodeError::UnknownType(other)),
        })
    }
}

/// The number of items of a list that is there.
fn some(field: u64, count: u64) -> Result<u64, DecodeError> {
    if count == 0 { Err(DecodeError::DefaultPresent(field)) } else { Ok(count) }
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
        numbers: [0; KEYS],
        strings: [&[]; KEYS],
        step_ns: 0,
        actor: OwnedActor::default(),
        about: OwnedActor::default(),
        masked: Vec::new(),
        clear: Vec::new(),
        tables: Vec::new(),
        signatures: Vec::new(),
        sessions: Vec::new(),
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

/// Time of a record that this process encoded; it stands at its head.
pub(crate) fn time(bytes: &[u8]) -> Result<Clock, DecodeError> {
    let mut reader = Reader::new(bytes);
    reader.map()?;
    for _ in 0..4 {
        match reader.uint()? {
            key::VERSION | key::TYPE | key::SEQUENCE => {
                reader.uint()?;
            }
            key::TIME => {
                reader.array()?;
                return Ok(Clock { wall_ns: reader.uint()?, mono_ns: reader.uint()? });
            }
            other => return Err(DecodeError::UnknownField(other)),
        }
    }
    Err(DecodeError::Missing(key::TIME))
}
