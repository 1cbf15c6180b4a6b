//! A record as bytes: one CBOR map with integer keys, straight into the caller's buffer.
//!
//! Invariants: keys ascend; a field that holds its default (empty, zero, `false`, `None`) is not written; equal
//! arguments give equal bytes. Nothing is allocated. The numbers in [`key`] and [`kind`] are published in `audit.cddl`
//! and are never given a second meaning.

use crate::cbor::Writer;
use crate::record::{Actor, ClearColumn, Clock, MaskedColumn, Record, SessionId};

/// Version of the record schema.
pub const RECORD_VERSION: u64 = 1;

/// Largest encoded record. A statement's text is at most a few MiB; this bounds every reader's memory.
pub const RECORD_BYTES_MAX: usize = 4 << 20;

/// Map keys. 6, 7, 62, 63, 69 to 72 and 78 to 127 are reserved; from 128 on a reader that does not know a key may step over it.
pub(crate) mod key {
    pub(crate) const VERSION: u64 = 0;
    pub(crate) const TYPE: u64 = 1;
    pub(crate) const SEQUENCE: u64 = 2;
    pub(crate) const TIME: u64 = 3;
    pub(crate) const SESSION: u64 = 4;
    pub(crate) const STATEMENT: u64 = 5;
    pub(crate) const BUNDLE: u64 = 8;
    pub(crate) const CATALOG_EPOCH: u64 = 9;
    pub(crate) const TEXT: u64 = 10;
    pub(crate) const VIA: u64 = 11;
    pub(crate) const FINGERPRINT: u64 = 12;
    pub(crate) const EFFECTS: u64 = 13;
    pub(crate) const PARAMETERS: u64 = 14;
    pub(crate) const ROW_LIMIT: u64 = 15;
    pub(crate) const OUTCOME: u64 = 16;
    pub(crate) const SQLSTATE: u64 = 17;
    pub(crate) const ROWS: u64 = 18;
    pub(crate) const BYTES: u64 = 19;
    pub(crate) const DURATION: u64 = 20;
    pub(crate) const MASKED: u64 = 21;
    pub(crate) const CODE: u64 = 22;
    pub(crate) const REASON: u64 = 23;
    pub(crate) const RULE: u64 = 24;
    pub(crate) const TARGET: u64 = 25;
    pub(crate) const ACTOR: u64 = 26;
    pub(crate) const SOURCE: u64 = 27;
    pub(crate) const TLS: u64 = 28;
    pub(crate) const APPLICATION: u64 = 29;
    pub(crate) const DATABASE: u64 = 30;
    pub(crate) const ACCOUNT: u64 = 31;
    pub(crate) const STATEMENTS: u64 = 32;
    pub(crate) const USER: u64 = 33;
    pub(crate) const ALARM: u64 = 34;
    pub(crate) const DETAIL: u64 = 35;
    pub(crate) const BUILD: u64 = 36;
    pub(crate) const PREVIOUS: u64 = 37;
    pub(crate) const CLEAN: u64 = 38;
    pub(crate) const TORN_BYTES: u64 = 39;
    pub(crate) const INTERVAL: u64 = 40;
    pub(crate) const STEP: u64 = 41;
    pub(crate) const MODE: u64 = 42;
    pub(crate) const LOST: u64 = 43;
    pub(crate) const SESSIONS_REFUSED: u64 = 44;
    pub(crate) const STATEMENTS_REFUSED: u64 = 45;
    pub(crate) const CONFIGURATION: u64 = 46;
    pub(crate) const PROGRAM: u64 = 47;
    pub(crate) const VERIFIER_KEY: u64 = 48;
    pub(crate) const TREE_SIZE: u64 = 49;
    pub(crate) const ROOT: u64 = 50;
    pub(crate) const PLACE: u64 = 51;
    pub(crate) const RELEASE: u64 = 52;
    pub(crate) const CLEAR: u64 = 53;
    pub(crate) const RELEASE_DIGEST: u64 = 54;
    pub(crate) const TABLES: u64 = 55;
    pub(crate) const FINDINGS: u64 = 56;
    pub(crate) const SEGMENT: u64 = 57;
    pub(crate) const CHUNKS: u64 = 58;
    pub(crate) const TICKET: u64 = 59;
    pub(crate) const CHUNK_DIGEST: u64 = 60;
    pub(crate) const KEY_COMMITMENT: u64 = 61;
    pub(crate) const SEALED_TEXT: u64 = 64;
    pub(crate) const SEALED_PARAMETERS: u64 = 66;
    pub(crate) const SESSIONS: u64 = 67;
    pub(crate) const SIGNATURES: u64 = 68;
    pub(crate) const APPROVED: u64 = 73;
    pub(crate) const UNTIL: u64 = 74;
    pub(crate) const ID: u64 = 75;
    pub(crate) const ABOUT: u64 = 76;
    pub(crate) const ASSERTION: u64 = 77;
    /// First key that an older reader may step over.
    pub(crate) const EXTENSION: u64 = 128;
}

/// Record types.
pub(crate) mod kind {
    pub(crate) const EPOCH_START: u64 = 1;
    pub(crate) const EPOCH_END: u64 = 2;
    pub(crate) const ALARM: u64 = 3;
    pub(crate) const HEARTBEAT: u64 = 4;
    pub(crate) const CLOCK_STEP: u64 = 5;
    pub(crate) const LOG_MODE: u64 = 6;
    pub(crate) const GAP: u64 = 7;
    pub(crate) const POLICY_LOAD: u64 = 8;
    pub(crate) const CONFIGURATION: u64 = 9;
    pub(crate) const KEY_ROTATE: u64 = 10;
    pub(crate) const NODE_ENROLL: u64 = 11;
    pub(crate) const NODE_RETIRE: u64 = 12;
    pub(crate) const ANCHOR: u64 = 13;
    pub(crate) const AUTH_FAIL: u64 = 16;
    pub(crate) const SESSION_OPEN: u64 = 17;
    pub(crate) const SESSION_CLOSE: u64 = 18;
    pub(crate) const INTENT: u64 = 20;
    pub(crate) const BLOCK: u64 = 21;
    pub(crate) const RESULT: u64 = 22;
    pub(crate) const OBSERVE: u64 = 23;
    pub(crate) const RELEASE: u64 = 24;
    pub(crate) const RECORDING_SEGMENT: u64 = 25;
    pub(crate) const REPLAY_VIEW: u64 = 32;
    pub(crate) const EXPORT: u64 = 33;
    pub(crate) const REVIEW: u64 = 34;
    pub(crate) const HOLD_SET: u64 = 35;
    pub(crate) const HOLD_CLEAR: u64 = 36;
    pub(crate) const PURGE: u64 = 37;
    pub(crate) const ACCESS: u64 = 40;
    pub(crate) const APPROVAL: u64 = 41;
    pub(crate) const CREDENTIAL: u64 = 42;
}

/// The SQLSTATE that is not written.
pub(crate) const SQLSTATE_NONE: [u8; 5] = *b"00000";

struct Fields<'w, 'b> {
    writer: &'w mut Writer<'b>,
    at: usize,
    pairs: u8,
    last: Option<u64>,
}

impl<'w, 'b> Fields<'w, 'b> {
    fn open(writer: &'w mut Writer<'b>) -> Self {
        let at = writer.open_map();
        Self { writer, at, pairs: 0, last: None }
    }

    fn key(&mut self, key: u64) {
        debug_assert!(self.last.is_none_or(|last| last < key), "keys ascend");
        self.last = Some(key);
        self.pairs += 1;
        self.writer.uint(key);
    }

    fn uint(&mut self, key: u64, value: u64) {
        if value != 0 {
            self.key(key);
            self.writer.uint(value);
        }
    }

    fn text(&mut self, key: u64, value: &str) {
        if !value.is_empty() {
            self.key(key);
            self.writer.text(value);
        }
    }

    fn bytes(&mut self, key: u64, value: &[u8]) {
        if !value.is_empty() {
            self.key(key);
            self.writer.bytes(value);
        }
    }

    fn digest(&mut self, key: u64, value: &[u8; 32]) {
        if *value != [0; 32] {
            self.bytes(key, value);
        }
    }

    fn session(&mut self, session: SessionId) {
        if session.0 != [0; 16] {
            self.bytes(key::SESSION, &session.0);
        }
    }

    fn masked(&mut self, masked: &[MaskedColumn<'_>]) {
        if masked.is_empty() {
            return;
        }
        self.key(key::MASKED);
        self.writer.array(masked.len() as u64);
        for column in masked {
            self.writer.array(3);
            self.writer.text(column.column);
            self.writer.text(column.class);
            self.writer.text(column.method);
        }
    }

    fn clear(&mut self, clear: &[ClearColumn<'_>]) {
        if clear.is_empty() {
            return;
        }
        self.key(key::CLEAR);
        self.writer.array(clear.len() as u64);
        for column in clear {
            self.writer.array(2);
            self.writer.text(column.column);
            self.writer.text(column.class);
        }
    }

    fn list(&mut self, key: u64, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.key(key);
        self.writer.array(items.len() as u64);
        for item in items {
            self.writer.text(item);
        }
    }

    fn actor(&mut self, actor: Actor<'_>) {
        self.person(key::ACTOR, actor);
    }

    fn person(&mut self, key: u64, actor: Actor<'_>) {
        if actor == Actor::default() {
            return;
        }
        self.key(key);
        let mut inner = Fields::open(self.writer);
        inner.text(0, actor.issuer);
        inner.text(1, actor.subject);
        inner.text(2, actor.role);
        inner.close();
    }

    fn close(self) {
        self.writer.close_map(self.at, self.pairs);
    }
}

/// Encodes a record into `buffer`; `None` if it does not fit.
#[must_use]
pub fn encode_record(buffer: &mut [u8], sequence: u64, clock: Clock, record: &Record<'_>) -> Option<usize> {
    let mut writer = Writer::new(buffer);
    let mut fields = Fields::open(&mut writer);
    fields.key(key::VERSION);
    fields.writer.uint(RECORD_VERSION);
    fields.key(key::TYPE);
    fields.writer.uint(number(record));
    fields.key(key::SEQUENCE);
    fields.writer.uint(sequence);
    fields.key(key::TIME);
    fields.writer.array(2);
    fields.writer.uint(clock.wall_ns);
    fields.writer.uint(clock.mono_ns);
    body(&mut fields, record);
    fields.close();
    writer.finish()
}

/// Number of an encoded record's type if that is below 24: it stands behind the map's head, the version and its own key,
/// which take one byte each (two bytes stand for a larger one, of which this is the first).
pub(crate) fn short_number(record: &[u8]) -> u64 {
    record.get(4).map_or(0, |byte| u64::from(*byte))
}

/// Number of a record's type.
pub(crate) fn number(record: &Record<'_>) -> u64 {
    match record {
        Record::EpochStart { .. } => kind::EPOCH_START,
        Record::EpochEnd => kind::EPOCH_END,
        Record::PolicyLoad { .. } => kind::POLICY_LOAD,
        Record::AuthFail { .. } => kind::AUTH_FAIL,
        Record::SessionOpen { .. } => kind::SESSION_OPEN,
        Record::SessionClose { .. } => kind::SESSION_CLOSE,
        Record::Intent { .. } => kind::INTENT,
        Record::Block { .. } => kind::BLOCK,
        Record::Result { .. } => kind::RESULT,
        Record::Observe { .. } => kind::OBSERVE,
        Record::Alarm { .. } => kind::ALARM,
        Record::Release { .. } => kind::RELEASE,
        Record::RecordingSegment { .. } => kind::RECORDING_SEGMENT,
        Record::Heartbeat { .. } => kind::HEARTBEAT,
        Record::ClockStep { .. } => kind::CLOCK_STEP,
        Record::LogMode { .. } => kind::LOG_MODE,
        Record::Gap { .. } => kind::GAP,
        Record::Configuration { .. } => kind::CONFIGURATION,
        Record::KeyRotate { .. } => kind::KEY_ROTATE,
        Record::NodeEnroll { .. } => kind::NODE_ENROLL,
        Record::NodeRetire { .. } => kind::NODE_RETIRE,
        Record::Anchor { .. } => kind::ANCHOR,
        Record::ReplayView { .. } => kind::REPLAY_VIEW,
        Record::Export { .. } => kind::EXPORT,
        Record::Review { .. } => kind::REVIEW,
        Record::HoldSet { .. } => kind::HOLD_SET,
        Record::HoldClear { .. } => kind::HOLD_CLEAR,
        Record::Purge { .. } => kind::PURGE,
        Record::Access(_) => kind::ACCESS,
        Record::Approval(_) => kind::APPROVAL,
        Record::Credential(_) => kind::CREDENTIAL,
    }
}

fn body(fields: &mut Fields<'_, '_>, record: &Record<'_>) {
    match *record {
        Record::EpochStart { build, previous, clean, torn_bytes } => {
            fields.text(key::BUILD, build);
            fields.digest(key::PREVIOUS, &previous);
            if clean {
                fields.key(key::CLEAN);
                fields.writer.truth();
            }
            fields.uint(key::TORN_BYTES, torn_bytes);
        }
        Record::EpochEnd => {}
        Record::PolicyLoad { bundle, catalog_epoch, target } => {
            fields.digest(key::BUNDLE, &bundle);
            fields.uint(key::CATALOG_EPOCH, catalog_epoch);
            fields.text(key::TARGET, target);
        }
        Record::AuthFail { session, source, user, reason } => {
            fields.session(session);
            fields.text(key::REASON, reason);
            fields.text(key::SOURCE, source);
            fields.text(key::USER, user);
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
        } => {
            fields.session(session);
            fields.digest(key::BUNDLE, &bundle);
            fields.text(key::TARGET, target);
            fields.actor(actor);
            fields.text(key::SOURCE, source);
            fields.text(key::TLS, tls);
            fields.text(key::APPLICATION, application);
            fields.text(key::DATABASE, database);
            fields.text(key::ACCOUNT, account);
            fields.text(key::ALARM, recording);
            fields.text(key::MODE, mode);
            fields.digest(key::KEY_COMMITMENT, &key);
        }
        Record::SessionClose { session, reason, statements, bytes } => {
            fields.session(session);
            fields.uint(key::BYTES, bytes);
            fields.text(key::REASON, reason);
            fields.uint(key::STATEMENTS, statements);
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
        } => {
            fields.session(session);
            fields.uint(key::STATEMENT, statement);
            fields.digest(key::BUNDLE, &bundle);
            fields.uint(key::CATALOG_EPOCH, catalog_epoch);
            fields.bytes(key::TEXT, text);
            fields.text(key::VIA, via);
            fields.uint(key::FINGERPRINT, fingerprint);
            fields.uint(key::EFFECTS, effects);
            if let Some(parameters) = parameters {
                fields.bytes(key::PARAMETERS, &parameters);
            }
            fields.uint(key::ROW_LIMIT, u64::from(row_limit));
            fields.list(key::TABLES, tables);
            fields.bytes(key::SEALED_TEXT, sealed_text);
            fields.bytes(key::SEALED_PARAMETERS, sealed_parameters);
        }
        Record::Block { session, statement, text, sealed_text, tables, code, rule, bundle } => {
            fields.session(session);
            fields.uint(key::STATEMENT, statement);
            fields.digest(key::BUNDLE, &bundle);
            fields.bytes(key::TEXT, text);
            fields.text(key::CODE, code);
            fields.text(key::RULE, rule);
            fields.list(key::TABLES, tables);
            fields.bytes(key::SEALED_TEXT, sealed_text);
        }
        Record::Result { session, statement, outcome, sqlstate, rows, bytes, duration_us, masked, clear } => {
            fields.session(session);
            fields.uint(key::STATEMENT, statement);
            fields.text(key::OUTCOME, outcome);
            if sqlstate != SQLSTATE_NONE {
                fields.bytes(key::SQLSTATE, &sqlstate);
            }
            fields.uint(key::ROWS, rows);
            fields.uint(key::BYTES, bytes);
            fields.uint(key::DURATION, duration_us);
            fields.masked(masked);
            fields.clear(clear);
        }
        Record::Observe { session, statement, bundle, masked, code, rule } => {
            fields.session(session);
            fields.uint(key::STATEMENT, statement);
            fields.digest(key::BUNDLE, &bundle);
            fields.masked(masked);
            fields.text(key::CODE, code);
            fields.text(key::RULE, rule);
        }
        Record::Alarm { session, kind, detail } => {
            fields.session(session);
            fields.text(key::ALARM, kind);
            fields.text(key::DETAIL, detail);
        }
        Record::Release { session, statement, number, rows, bytes, digest } => {
            fields.session(session);
            fields.uint(key::STATEMENT, statement);
            fields.uint(key::ROWS, rows);
            fields.uint(key::BYTES, bytes);
            fields.uint(key::RELEASE, number);
            fields.digest(key::RELEASE_DIGEST, &digest);
        }
        Record::RecordingSegment { session, number, chunks, bytes, statement, reason, digest } => {
            fields.session(session);
            fields.uint(key::BYTES, bytes);
            fields.text(key::REASON, reason);
            fields.uint(key::STATEMENTS, statement);
            fields.uint(key::SEGMENT, number);
            fields.uint(key::CHUNKS, chunks);
            fields.digest(key::CHUNK_DIGEST, &digest);
        }
        _ => node(fields, record),
    }
}

/// Records of the node and of its people; none of them is on a statement's path.
fn node(fields: &mut Fields<'_, '_>, record: &Record<'_>) {
    match *record {
        Record::Heartbeat { interval_s } => fields.uint(key::INTERVAL, interval_s),
        Record::ClockStep { step_ns } => {
            if step_ns != 0 {
                fields.key(key::STEP);
                fields.writer.int(step_ns);
            }
        }
        Record::LogMode { target, mode, reason } => {
            fields.text(key::REASON, reason);
            fields.text(key::TARGET, target);
            fields.text(key::MODE, mode);
        }
        Record::Gap { reason, duration_us, lost, sessions, statements } => {
            fields.uint(key::DURATION, duration_us);
            fields.text(key::REASON, reason);
            fields.uint(key::LOST, lost);
            fields.uint(key::SESSIONS_REFUSED, sessions);
            fields.uint(key::STATEMENTS_REFUSED, statements);
        }
        Record::Configuration { reason, build, configuration, program } => {
            fields.text(key::REASON, reason);
            fields.text(key::BUILD, build);
            fields.digest(key::CONFIGURATION, &configuration);
            fields.digest(key::PROGRAM, &program);
        }
        Record::KeyRotate { key } => fields.text(key::VERIFIER_KEY, key),
        Record::NodeEnroll { origin, key } => {
            fields.text(key::VERIFIER_KEY, key);
            fields.text(key::PLACE, origin);
        }
        Record::NodeRetire { origin, reason } => {
            fields.text(key::REASON, reason);
            fields.text(key::PLACE, origin);
        }
        Record::Anchor { kind, size, root, place } => {
            fields.text(key::ALARM, kind);
            fields.uint(key::TREE_SIZE, size);
            fields.digest(key::ROOT, &root);
            fields.text(key::PLACE, place);
        }
        Record::ReplayView { session, actor, reason, detail } => {
            fields.session(session);
            fields.text(key::REASON, reason);
            fields.actor(actor);
            fields.text(key::DETAIL, detail);
        }
        Record::Export { actor, reason, kind, detail, count } => {
            fields.uint(key::ROWS, count);
            fields.text(key::REASON, reason);
            fields.actor(actor);
            fields.text(key::ALARM, kind);
            fields.text(key::DETAIL, detail);
        }
        Record::Review { actor, reason, detail, findings, ticket } => {
            fields.text(key::REASON, reason);
            fields.actor(actor);
            fields.text(key::DETAIL, detail);
            fields.text(key::FINDINGS, findings);
            fields.text(key::TICKET, ticket);
        }
        Record::HoldSet { actor, reason, name, query } => {
            fields.text(key::REASON, reason);
            fields.actor(actor);
            fields.text(key::ALARM, name);
            fields.text(key::DETAIL, query);
        }
        Record::HoldClear { actor, reason, name } => {
            fields.text(key::REASON, reason);
            fields.actor(actor);
            fields.text(key::ALARM, name);
        }
        Record::Purge { actor, reason, kind, order, sessions, signatures } => {
            fields.uint(key::ROWS, sessions.len() as u64);
            fields.text(key::REASON, reason);
            fields.actor(actor);
            fields.text(key::ALARM, kind);
            fields.text(key::DETAIL, order);
            if !sessions.is_empty() {
                fields.key(key::SESSIONS);
                fields.writer.array(sessions.len() as u64);
                for session in sessions {
                    fields.writer.bytes(&session.0);
                }
            }
            fields.list(key::SIGNATURES, signatures);
        }
        Record::Access(ref access) => {
            fields.session(access.session);
            fields.text(key::REASON, access.reason);
            fields.text(key::TARGET, access.target);
            fields.actor(access.actor);
            fields.text(key::SOURCE, access.source);
            fields.text(key::USER, access.user);
            fields.text(key::ALARM, access.kind);
            fields.text(key::DETAIL, access.detail);
            fields.uint(key::UNTIL, access.until_ns);
            fields.text(key::ID, access.id);
            fields.person(key::ABOUT, access.about);
        }
        Record::Approval(ref approval) => {
            fields.session(approval.session);
            fields.uint(key::STATEMENT, approval.statement);
            fields.bytes(key::TEXT, approval.text);
            fields.text(key::REASON, approval.reason);
            fields.text(key::RULE, approval.rule);
            fields.text(key::TARGET, approval.target);
            fields.actor(approval.actor);
            fields.text(key::ALARM, approval.kind);
            fields.text(key::DETAIL, approval.detail);
            fields.list(key::TABLES, approval.tables);
            fields.bytes(key::SEALED_TEXT, approval.sealed_text);
            fields.digest(key::APPROVED, &approval.digest);
            fields.uint(key::UNTIL, approval.until_ns);
            fields.text(key::ID, approval.id);
            fields.bytes(key::ASSERTION, approval.assertion);
        }
        Record::Credential(ref credential) => {
            fields.session(credential.session);
            fields.uint(key::DURATION, credential.duration_us);
            fields.text(key::REASON, credential.reason);
            fields.text(key::TARGET, credential.target);
            fields.text(key::ACCOUNT, credential.account);
            fields.text(key::ALARM, credential.kind);
            fields.uint(key::UNTIL, credential.until_ns);
        }
        // Written by the caller.
        _ => debug_assert!(false, "a record without fields of its own"),
    }
}
