//! Records and the ring against plain models.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use audit::block::{FLAG_AFTER_CRASH, FLAG_LAST};
use audit::record::{Access, Actor, Approval, ClearColumn, Clock, Credential, MaskedColumn, Record, SessionId};
use audit::{Body, Ring, decode_block, decode_record, encode_record};
use proptest::prelude::*;

/// A record's sequence and text.
type Numbered = (u64, Vec<u8>);
type Texts = Vec<Numbered>;

/// Everything a record can borrow.
#[derive(Clone, Debug)]
struct Material {
    shape: u8,
    session: [u8; 16],
    digest: [u8; 32],
    texts: [String; 7],
    bytes: Vec<u8>,
    numbers: [u64; 5],
    some: bool,
    masked: Vec<(String, String, String)>,
    state: [u8; 5],
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..30u64, 200..300u64, any::<u64>()]
}

fn material() -> impl Strategy<Value = Material> {
    let text = || prop_oneof![Just(String::new()), ".{0,30}"];
    (
        (0..32u8, prop_oneof![Just([0; 16]), any::<[u8; 16]>()], prop_oneof![Just([0; 32]), any::<[u8; 32]>()]),
        [text(), text(), text(), text(), text(), text(), text()],
        proptest::collection::vec(any::<u8>(), 0..300),
        [number(), number(), number(), number(), number()],
        any::<bool>(),
        proptest::collection::vec((text(), text(), text()), 0..4),
        prop_oneof![Just(*b"00000"), any::<[u8; 5]>()],
    )
        .prop_map(|((shape, session, digest), texts, bytes, numbers, some, masked, state)| Material {
            shape,
            session,
            digest,
            texts,
            bytes,
            numbers,
            some,
            masked,
            state,
        })
}

fn with_record<R>(material: &Material, work: impl FnOnce(&Record<'_>) -> R) -> R {
    let Material { shape, session, digest, texts, bytes, numbers, some, masked, state } = material;
    let [a, b, c, d, e, f, g] = texts.each_ref().map(String::as_str);
    let session = SessionId(*session);
    let (digest, [n, m, k, l, o]) = (*digest, *numbers);
    let columns: Vec<_> = masked.iter().map(|(column, class, method)| MaskedColumn { column, class, method }).collect();
    let actor = Actor { issuer: a, subject: b, role: c };
    let ids = [SessionId([1; 16]), SessionId([2; 16])];
    let lines: Vec<String> = texts.iter().take(masked.len()).cloned().collect();
    let clear: Vec<_> = masked.iter().map(|(column, class, _)| ClearColumn { column, class }).collect();
    let stable = if *some { "ok" } else { "" };
    work(&match shape {
        0 => Record::EpochStart { build: a, previous: digest, clean: *some, torn_bytes: n },
        1 => Record::EpochEnd,
        2 => Record::PolicyLoad { bundle: digest, catalog_epoch: n, target: a },
        3 => Record::AuthFail { session, source: a, user: b, reason: stable },
        4 => Record::SessionOpen {
            session,
            actor,
            source: d,
            tls: e,
            application: f,
            target: g,
            database: a,
            account: b,
            bundle: digest,
            recording: c,
            mode: stable,
            key: digest,
        },
        5 => Record::SessionClose { session, reason: stable, statements: n, bytes: m },
        6 => Record::Intent {
            session,
            statement: n,
            text: bytes,
            via: stable,
            fingerprint: m,
            effects: k,
            bundle: digest,
            catalog_epoch: l,
            parameters: some.then_some(digest),
            row_limit: o as u32,
            sealed_text: a.as_bytes(),
            tables: &lines,
            sealed_parameters: bytes,
        },
        7 => Record::Block {
            session,
            statement: n,
            text: bytes,
            code: stable,
            rule: a,
            bundle: digest,
            sealed_text: bytes,
            tables: &lines,
        },
        10 => Record::Observe { session, statement: n, bundle: digest, masked: &columns, code: stable, rule: a },
        8 => Record::Result {
            session,
            statement: n,
            outcome: stable,
            sqlstate: *state,
            rows: m,
            bytes: k,
            duration_us: l,
            masked: &columns,
            clear: &clear,
        },
        9 => Record::Alarm { session, kind: stable, detail: a },
        11 => Record::Release { session, statement: n, number: m, rows: k, bytes: l, digest },
        12 => {
            Record::RecordingSegment { session, number: n, chunks: m, bytes: k, statement: l, reason: stable, digest }
        }
        13 => Record::Heartbeat { interval_s: n },
        14 => Record::ClockStep { step_ns: n as i64 },
        15 => Record::LogMode { target: a, mode: b, reason: c },
        16 => Record::Gap { reason: a, duration_us: n, lost: m, sessions: k, statements: l },
        17 => Record::Configuration { reason: stable, build: a, configuration: digest, program: digest },
        18 => Record::KeyRotate { key: a },
        19 => Record::NodeEnroll { origin: a, key: b },
        20 => Record::NodeRetire { origin: a, reason: b },
        21 => Record::Anchor { kind: stable, size: n, root: digest, place: a },
        22 => Record::ReplayView { session, actor, reason: d, detail: e },
        23 => Record::Export { actor, reason: d, kind: e, detail: f, count: n },
        24 => Record::Review { actor, reason: d, detail: e, findings: f, ticket: g },
        25 => Record::HoldSet { actor, reason: d, name: e, query: f },
        26 => Record::HoldClear { actor, reason: d, name: e },
        27 => Record::Access(Access {
            kind: stable,
            session,
            actor,
            about: Actor { issuer: d, subject: e, role: f },
            target: g,
            source: a,
            user: b,
            id: c,
            reason: d,
            detail: e,
            until_ns: n,
        }),
        28 => Record::Approval(Approval {
            kind: stable,
            session,
            statement: n,
            actor,
            id: d,
            digest,
            target: e,
            rule: f,
            text: bytes,
            sealed_text: a.as_bytes(),
            tables: &lines,
            reason: g,
            detail: b,
            until_ns: m,
            assertion: bytes,
        }),
        29 => Record::Credential(Credential {
            kind: stable,
            session,
            target: a,
            account: b,
            reason: c,
            until_ns: n,
            duration_us: m,
        }),
        _ => Record::Purge {
            actor,
            reason: d,
            kind: e,
            order: f,
            sessions: if *some { &ids } else { &[] },
            signatures: &lines,
        },
    })
}

fn encoded(material: &Material, sequence: u64, clock: Clock) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let length = with_record(material, |record| encode_record(&mut buffer, sequence, clock, record)).unwrap();
    buffer.truncate(length);
    buffer
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(material in material(), sequence in 1..u64::MAX, wall in any::<u64>(), mono in any::<u64>()) {
        let clock = Clock { wall_ns: wall, mono_ns: mono };
        let bytes = encoded(&material, sequence, clock);
        let read = decode_record(&bytes).unwrap();
        prop_assert_eq!(read.sequence, sequence);
        prop_assert_eq!(read.clock, clock);
        prop_assert_eq!(read.body, with_record(&material, |record| Body::from(record)));
        prop_assert!(read.extensions.is_empty());
        // Any cut of it is refused, and so is anything behind it.
        for cut in 0..bytes.len() {
            prop_assert!(decode_record(&bytes[..cut]).is_err());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert!(decode_record(&longer).is_err());
        // A buffer that is one byte short is reported.
        let mut short = vec![0; bytes.len() - 1];
        prop_assert_eq!(with_record(&material, |record| encode_record(&mut short, sequence, clock, record)), None);
    }

    /// No second spelling: bytes that differ never mean the same.
    #[test]
    fn different_bytes_mean_different_things(
        material in material(), at in any::<prop::sample::Index>(), to in any::<u8>(), insert in any::<bool>(),
    ) {
        let bytes = encoded(&material, 7, Clock { wall_ns: 1, mono_ns: 2 });
        let mut other = bytes.clone();
        let at = at.index(bytes.len());
        if insert { other.insert(at, to) } else { other[at] = to }
        if other != bytes && let Ok(read) = decode_record(&other) {
            prop_assert_ne!(read, decode_record(&bytes).unwrap());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_record(&bytes);
        let _ = decode_block(&bytes);
        let _ = audit::fuzzing::decode_all(&bytes);
        let _ = audit::fuzzing::decode_header_page(&bytes);
    }

    #[test]
    fn a_blocks_flags_are_those_of_its_records(material in material(), clock in (1..u64::MAX, 1..u64::MAX)) {
        let mut ring = Ring::new([1; 16], 0, 1, [2; 16], [0; 32], 1, 1 << 20);
        let clock = Clock { wall_ns: clock.0, mono_ns: clock.1 };
        drop(with_record(&material, |record| ring.append(clock, record)).unwrap());
        let mut out = Vec::new();
        ring.seal(Clock::default(), &mut out).unwrap();
        let block = decode_block(&out).unwrap();
        let (_, bytes) = block.records().next().unwrap();
        let flags = match decode_record(bytes).unwrap().body {
            Body::EpochEnd => FLAG_LAST,
            Body::EpochStart { clean: false, .. } => FLAG_AFTER_CRASH,
            _ => 0,
        };
        prop_assert_eq!(block.header.flags, flags);
        prop_assert_eq!((block.header.wall_ns, block.header.mono_ns), ([clock.wall_ns; 2], [clock.mono_ns; 2]));
    }

    /// The ring against a queue: nothing lost, nothing invented, order and space kept.
    #[test]
    fn the_ring_is_a_bounded_queue(
        capacity in 600..6000usize,
        steps in proptest::collection::vec((0..8u8, 0..700usize, any::<u8>()), 1..300),
    ) {
        let mut ring = Ring::new([1; 16], 3, 1, [2; 16], [0; 32], 10, capacity);
        let mut pending: VecDeque<Numbered> = VecDeque::new();
        let mut flights: VecDeque<(u64, Vec<u8>, Texts)> = VecDeque::new();
        let mut next = 10u64;
        let mut durable = 9;
        let mut previous = [0; 32];
        let mut block_seq = 0;
        for (step, length, byte) in steps {
            let clock = Clock { wall_ns: next, mono_ns: next };
            match step {
                0..=4 => {
                    let text = vec![byte; length];
                    let record = Record::Block {
                        session: SessionId([1; 16]), statement: 1, text: &text, code: "x", rule: "r", bundle: [0; 32], sealed_text: &[], tables: &[], };
                    let (used, all) = ring.fill();
                    match ring.append(clock, &record) {
                        Ok(recorded) => {
                            prop_assert_eq!(recorded.sequence(), next);
                            pending.push_back((next, text));
                            next += 1;
                        }
                        // Refused only when it could not fit: the text, its frame, and at most as much again
                        // that is lost at the end of the buffer.
                        Err(_) => prop_assert!(used + 2 * (text.len() + 100) > all),
                    }
                }
                5 | 6 => {
                    let mut out = vec![0xee; 3];
                    let sealed = ring.seal(clock, &mut out);
                    prop_assert_eq!(&out[..3], &[0xee; 3]);
                    prop_assert_eq!(sealed.is_some(), !pending.is_empty());
                    if let Some(sealed) = sealed {
                        prop_assert_eq!(out.len() - 3, sealed.bytes);
                        prop_assert_eq!(sealed.bytes % 4096, 0);
                        prop_assert_eq!(sealed.block_seq, block_seq);
                        block_seq += 1;
                        let records: Vec<_> = pending.drain(..).collect();
                        prop_assert_eq!(records.last().unwrap().0, sealed.last_sequence);
                        flights.push_back((sealed.last_sequence, out.split_off(3), records));
                    }
                }
                _ => {
                    if let Some((last, bytes, records)) = flights.pop_front() {
                        let block = decode_block(&bytes).unwrap();
                        prop_assert_eq!(block.header.previous, previous);
                        previous = block.hash;
                        let read: Vec<_> = block.records().map(|(sequence, bytes)| {
                            let record = decode_record(bytes).unwrap();
                            assert_eq!(record.sequence, sequence);
                            match record.body {
                                Body::Block { text, .. } => (sequence, text),
                                other => panic!("{other:?}"),
                            }
                        }).collect();
                        let ends = [records[0].0, last];
                        prop_assert_eq!((block.header.wall_ns, block.header.mono_ns), (ends, ends));
                        prop_assert_eq!(read, records);
                        ring.durable(last);
                        durable = last;
                    }
                }
            }
            prop_assert_eq!(ring.durable_sequence(), durable);
            prop_assert_eq!(ring.last_sequence(), next - 1);
            prop_assert_eq!(ring.pending_bytes() == 0, pending.is_empty());
            let (used, all) = ring.fill();
            prop_assert!(used <= all);
            if pending.is_empty() && flights.is_empty() {
                prop_assert_eq!(used, 0);
            }
        }
    }
}

#[test]
fn a_record_longer_than_the_usual_block_makes_a_longer_block() {
    let mut ring = Ring::new([1; 16], 0, 1, [2; 16], [0; 32], 1, 4 << 20);
    let text = vec![b'x'; 1 << 20];
    for statement in 1..=2 {
        let record = Record::Block {
            session: SessionId([1; 16]),
            statement,
            text: &text,
            code: "x",
            rule: "r",
            bundle: [0; 32],
            sealed_text: &[],
            tables: &[],
        };
        assert_eq!(ring.append(Clock::default(), &record).unwrap().sequence(), statement);
    }
    let mut out = Vec::new();
    let first = ring.seal(Clock::default(), &mut out).unwrap();
    assert_eq!((first.last_sequence, first.block_seq), (1, 0));
    assert!(first.bytes > 1 << 20);
    // The second while the first is still on its way.
    let second = ring.seal(Clock::default(), &mut out).unwrap();
    assert_eq!((second.last_sequence, second.block_seq), (2, 1));
    assert_eq!(decode_block(&out[first.bytes..]).unwrap().header.previous, decode_block(&out).unwrap().hash);
    assert!(ring.seal(Clock::default(), &mut out).is_none());
    assert_eq!(ring.durable_sequence(), 0);
    ring.durable(2);
    assert_eq!((ring.durable_sequence(), ring.fill().0), (2, 0));
}

#[test]
fn only_what_reports_the_past_may_use_the_reserve() {
    let mut ring = Ring::new([1; 16], 0, 1, [2; 16], [0; 32], 1, 8000);
    let intent = Record::Intent {
        session: SessionId([1; 16]),
        statement: 1,
        text: &[b'x'; 100],
        via: "simple",
        fingerprint: 0,
        effects: 0,
        bundle: [0; 32],
        catalog_epoch: 0,
        parameters: None,
        row_limit: 0,
        sealed_text: &[],
        tables: &[],
        sealed_parameters: &[],
    };
    while ring.append(Clock::default(), &intent).is_ok() {}
    assert!(ring.fill().0 <= 7000);
    let close = Record::SessionClose { session: SessionId([1; 16]), reason: "end", statements: 1, bytes: 1 };
    assert!(ring.append(Clock::default(), &close).is_ok());
    while ring.append(Clock::default(), &close).is_ok() {}
    assert!(ring.fill().0 > 7900);
}

#[test]
fn nothing_follows_the_end_of_an_epoch() {
    let mut ring = Ring::new([1; 16], 0, 1, [2; 16], [0; 32], 1, 8000);
    assert!(ring.append(Clock::default(), &Record::EpochEnd).is_ok());
    assert!(ring.append(Clock::default(), &Record::EpochEnd).is_err());
}

#[test]
fn later_versions_may_add_fields_that_can_be_stepped_over() {
    let mut bytes = encoded(
        &Material {
            shape: 1,
            session: [0; 16],
            digest: [0; 32],
            texts: Default::default(),
            bytes: Vec::new(),
            numbers: [0; 5],
            some: false,
            masked: Vec::new(),
            state: *b"00000",
        },
        1,
        Clock::default(),
    );
    bytes[0] += 1;
    // 128: [1, "x"]
    bytes.extend([0x18, 0x80, 0x82, 0x01, 0x61, b'x']);
    let read = decode_record(&bytes).unwrap();
    assert_eq!(read.extensions, [(128, vec![0x82, 0x01, 0x61, b'x'])]);
    // But not one with a number that means "you must know me".
    let at = bytes.len() - 5;
    bytes[at] = 100;
    assert_eq!(decode_record(&bytes), Err(audit::DecodeError::UnknownField(100)));
}
