//! Rows of random shapes through the value, compared with what a reader and writer of rows that knows no shortcut makes of
//! them: every way a value can go, NULLs, empty values, rows of any size, input cut anywhere, text, binary and COPY.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use contract::{
    Ask, Buffers, Chunk, CopyFormat, CopyOut, Fault, Format, Judge, Lane, Limits, Redacted, Redactor, Serving as _,
    Step, Values, Verdict,
};
use postgres::{Serve, frame};
use proptest::prelude::*;
use std::rc::Rc;

/// A largest buffer that rows can be longer than without making the test slow.
const BUFFER_BYTES: usize = 20_000;

/// What becomes of the values of a result.
#[derive(Clone, Debug)]
struct Rules {
    width: usize,
    planned: Vec<u16>,
    /// Some values get longer.
    grows: bool,
    /// Values are changed where they lie, where that can be.
    in_place: bool,
    /// How many fates there are: fewer of them make longer runs of rows that keep their length.
    fates: usize,
    copy: Option<CopyFormat>,
}

#[derive(Clone, Debug)]
struct Plan(Rc<Rules>);

impl Plan {
    /// What the reference and the value both go by.
    fn fate(&self, i: usize, value: &[u8]) -> Option<Option<Vec<u8>>> {
        let seed = i + value.len() + usize::from(value.first().copied().unwrap_or(0));
        match seed % self.0.fates {
            0 => None,
            1 => Some(Some(vec![b'*'; value.len()])),
            2 => Some(Some(value[..value.len() / 2].to_vec())),
            3 => Some(None),
            _ if self.0.grows => Some(Some([b"\\longer\t\n", value].concat())),
            _ => Some(Some(Vec::new())),
        }
    }
}

impl Redactor for Plan {
    fn width(&self) -> usize {
        self.0.width
    }
    fn planned(&self) -> &[u16] {
        &self.0.planned
    }
    fn redact(&self, i: usize, _: Format, value: &[u8], scratch: &mut Vec<u8>) -> Redacted {
        scratch.clear();
        match self.fate(i, value) {
            None => Redacted::Keep,
            Some(None) => Redacted::Null,
            Some(Some(new)) => {
                scratch.extend(new);
                Redacted::Scratch
            }
        }
    }
    fn redact_batch(&self, i: usize, format: Format, values: &mut Values<'_>) {
        let there = |value: &mut [u8]| match self.fate(i, value) {
            Some(Some(new)) if self.0.in_place && new.len() == value.len() => {
                value.copy_from_slice(&new);
                true
            }
            _ => false,
        };
        values.each_in_place(there, |value, scratch| self.redact(i, format, value, scratch));
    }
    fn grows(&self) -> bool {
        self.0.grows
    }
}

#[derive(Debug)]
struct Double;

impl Judge for Double {
    type Token = Plan;
    type Plan = Plan;
    fn guarded(_: &Plan) -> bool {
        true
    }
    fn needs_shape(_: &Plan) -> bool {
        true
    }
    fn moves_names(_: &Plan) -> bool {
        false
    }
    fn changes_names(_: &Plan) -> bool {
        false
    }
    fn copies_in(_: &Plan) -> bool {
        false
    }
    fn copies_out(token: &Plan) -> Option<Rc<[CopyOut]>> {
        let format = token.0.copy.clone()?;
        Some([CopyOut { part: 0, shape: "select shape".into(), format }].into())
    }
}

struct Talk {
    serve: Serve<Double>,
    plan: Plan,
    down: Lane,
    up: Lane,
    buffers: Buffers,
    client: Vec<u8>,
}

impl Talk {
    /// Rows are about to arrive.
    fn new(rules: &Rules, binary: bool) -> Self {
        let limits = Limits { buffer_bytes_max: BUFFER_BYTES, ..Limits::default() };
        let mut talk = Self {
            serve: Serve::new(limits, Rc::new(|_: &[u8]| false)),
            plan: Plan(Rc::new(rules.clone())),
            down: Lane::new(BUFFER_BYTES),
            up: Lane::new(BUFFER_BYTES),
            buffers: Buffers::default(),
            client: Vec::new(),
        };
        let mut query = Vec::new();
        frame::write(&mut query, b'Q', |b| frame::text(b, b"select"));
        let slot = talk.down.slot(&mut talk.buffers);
        slot[..query.len()].copy_from_slice(&query);
        talk.down.received(query.len());
        talk.advance().unwrap();
        let mut shape = Vec::new();
        let columns = u16::try_from(rules.width).unwrap();
        if rules.copy.is_some() {
            frame::write(&mut shape, b'1', |_| {});
            frame::write(&mut shape, b't', |b| b.extend([0, 0]));
        }
        frame::write(&mut shape, b'T', |b| {
            b.extend(columns.to_be_bytes());
            for _ in 0..columns {
                frame::text(b, b"c");
                b.extend([0; 16]);
                b.extend(u16::from(binary && rules.copy.is_none()).to_be_bytes());
            }
        });
        if rules.copy.is_some() {
            frame::write(&mut shape, b'3', |_| {});
        }
        talk.feed(&shape, &[shape.len()]).unwrap();
        talk.advance().unwrap();
        if rules.copy.is_some() {
            let mut begin = Vec::new();
            frame::write(&mut begin, b'H', |b| {
                b.push(u8::from(binary));
                b.extend(columns.to_be_bytes());
                (0..columns).for_each(|_| b.extend(u16::from(binary).to_be_bytes()));
            });
            talk.feed(&begin, &[begin.len()]).unwrap();
        }
        talk.client.clear();
        talk
    }

    fn feed(&mut self, mut bytes: &[u8], cuts: &[usize]) -> Result<(), Fault> {
        let mut cuts = cuts.iter().cycle();
        while !bytes.is_empty() {
            let piece = (*cuts.next().unwrap()).clamp(1, bytes.len());
            let slot = self.up.slot(&mut self.buffers);
            let n = slot.len().min(piece);
            assert!(n > 0, "everything is settled or wants more");
            slot[..n].copy_from_slice(&bytes[..n]);
            self.up.received(n);
            bytes = &bytes[n..];
            self.advance()?;
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), Fault> {
        for from_database in [true, false, true] {
            loop {
                let step = match from_database {
                    true => self.serve.upstream(&mut self.up, &mut self.down)?,
                    false => self.serve.downstream(&mut self.down, &mut self.up)?,
                };
                match step {
                    Step::Settled | Step::Done(_) => {}
                    Step::NeedMore | Step::Blocked | Step::Goodbye => break,
                    Step::Columns { .. } => {
                        self.serve.plan(&mut self.up, &mut self.down, Ok(self.plan.clone()))?;
                    }
                    Step::Ask(Ask::Text(_)) => {
                        let verdict = Verdict::Forward { token: self.plan.clone(), number: 1, now_ns: 0 };
                        self.serve.resolve(&mut self.down, &mut self.up, verdict)?;
                    }
                    Step::Ask(_) => panic!("a text was sent"),
                }
            }
            while let Chunk::Bytes(bytes) = self.up.chunk() {
                let n = bytes.len();
                self.client.extend_from_slice(bytes);
                self.up.written(n);
            }
            while let Chunk::Bytes(bytes) = self.down.chunk() {
                let n = bytes.len();
                self.down.written(n);
            }
        }
        Ok(())
    }
}

type Row = Vec<Option<Vec<u8>>>;

/// A row as the server writes it.
fn written(row: &Row, copy: Option<&CopyFormat>) -> Vec<u8> {
    let mut out = Vec::new();
    let tuple = |b: &mut Vec<u8>| {
        b.extend(u16::try_from(row.len()).unwrap().to_be_bytes());
        for value in row {
            b.extend(value.as_ref().map_or(-1, |v| i32::try_from(v.len()).unwrap()).to_be_bytes());
            b.extend(value.as_deref().unwrap_or_default());
        }
    };
    match copy {
        None => frame::write(&mut out, b'D', tuple),
        Some(CopyFormat::Binary) => frame::write(&mut out, b'd', tuple),
        Some(CopyFormat::Csv { .. }) => unreachable!("no CSV here"),
        Some(CopyFormat::Text { delimiter, null, .. }) => frame::write(&mut out, b'd', |b| {
            for (i, value) in row.iter().enumerate() {
                if i > 0 {
                    b.push(*delimiter);
                }
                match value {
                    None => b.extend(null),
                    Some(value) => value.iter().for_each(|byte| match byte {
                        8 => b.extend(b"\\b"),
                        9 => b.extend(b"\\t"),
                        10 => b.extend(b"\\n"),
                        11 => b.extend(b"\\v"),
                        12 => b.extend(b"\\f"),
                        13 => b.extend(b"\\r"),
                        b'\\' => b.extend(b"\\\\"),
                        byte if byte == delimiter => b.extend([b'\\', *byte]),
                        byte => b.push(*byte),
                    }),
                }
            }
            b.push(b'\n');
        }),
    }
    out
}

/// The row as the client must get it.
fn expected(row: &Row, plan: &Plan, binary: bool, copy: Option<&CopyFormat>) -> Vec<u8> {
    let streams = written(row, copy).len() > BUFFER_BYTES;
    let mut masked = row.clone();
    for (i, column) in plan.0.planned.iter().enumerate() {
        let value = &mut masked[usize::from(*column)];
        let Some(old) = value.clone() else { continue };
        if streams {
            *value = Some(vec![if binary { 0 } else { b'*' }; old.len()]);
        } else if let Some(new) = plan.fate(i, &old) {
            *value = new;
        }
    }
    written(&masked, copy)
}

fn signature() -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, b'd', |b| b.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"));
    out
}

/// Checks rows, cut so, against the reference.
fn check(rules: &Rules, rows: &[Row], binary: bool, cuts: &[usize]) {
    let mut talk = Talk::new(rules, binary);
    let copy = rules.copy.as_ref();
    let head = if copy == Some(&CopyFormat::Binary) { signature() } else { Vec::new() };
    let input = [head.clone(), rows.iter().flat_map(|row| written(row, copy)).collect()].concat();
    let output = [head, rows.iter().flat_map(|row| expected(row, &talk.plan, binary, copy)).collect()].concat();
    talk.feed(&input, cuts).unwrap();
    let differs = talk.client.iter().zip(&output).take_while(|(a, b)| a == b).count();
    let near = |all: &[u8]| {
        String::from_utf8_lossy(&all[differs.saturating_sub(60).min(all.len())..(differs + 40).min(all.len())])
            .into_owned()
    };
    assert!(talk.client == output, "at {differs}: {:?} instead of {:?}; {rules:?}", near(&talk.client), near(&output));
}

fn rules() -> impl Strategy<Value = Rules> {
    (1usize..12, prop::collection::vec(any::<bool>(), 12), any::<bool>(), any::<bool>(), 1usize..6).prop_map(
        |(width, chosen, grows, in_place, fates)| {
            let planned: Vec<u16> =
                (0..12u16).zip(chosen).filter(|(i, c)| *c && usize::from(*i) < width).map(|(i, _)| i).collect();
            Rules { width, planned, grows, in_place, fates, copy: None }
        },
    )
}

/// Values by their lengths; now and then a huge one.
fn rows(max: usize) -> impl Strategy<Value = Vec<Vec<(Option<u16>, u8)>>> {
    let len = prop_oneof![
        2 => Just(None),
        3 => Just(Some(0u16)),
        20 => (0u16..40).prop_map(Some),
        1 => (0u16..600).prop_map(Some),
    ];
    prop::collection::vec(prop::collection::vec((len, any::<u8>()), 12), 0..max)
}

fn made(rules: &Rules, rows: &[Vec<(Option<u16>, u8)>], text: bool) -> Vec<Row> {
    // In text some rows have characters that are escaped, and most have none.
    let byte = |b: u8| match text {
        true if b < 0x20 => b"\\\t\n\r*,|\x01"[usize::from(b) % 8],
        true => b"abcxyz N"[usize::from(b) % 8],
        false => b,
    };
    let value = |len: &Option<u16>, seed: u8| -> Option<Vec<u8>> {
        len.map(|len| {
            (0..len).map(|i| if i % 7 == 0 || !text { byte(seed.wrapping_add(i as u8)) } else { b'a' }).collect()
        })
    };
    rows.iter().map(|row| row[..rules.width].iter().map(|(len, seed)| value(len, *seed)).collect()).collect()
}

proptest! {
    #[test]
    fn rows_are_what_a_naive_reader_and_writer_makes_of_them(
        rules in rules(),
        drawn in rows(300),
        binary: bool,
        cuts in prop::collection::vec(prop_oneof![1usize..40, 1usize..30_000], 1..20),
    ) {
        let rows = made(&rules, &drawn, false);
        check(&rules, &rows, binary, &cuts);
    }

    #[test]
    fn copied_rows_too(
        rules in rules(),
        drawn in rows(150),
        binary: bool,
        delimiter in prop::sample::select(&b"\t,|*"[..]),
        null in prop::sample::select(&["\\N", "NIL"][..]),
        cuts in prop::collection::vec(prop_oneof![1usize..40, 1usize..30_000], 1..20),
    ) {
        let text = CopyFormat::Text { delimiter, null: null.into(), header: false };
        let rules = Rules { copy: Some(if binary { CopyFormat::Binary } else { text }), ..rules };
        let rows = made(&rules, &drawn, !binary);
        check(&rules, &rows, binary, &cuts);
    }

    #[test]
    fn rows_that_stream_keep_their_place_among_others(
        rules in rules(),
        drawn in rows(20),
        at in 0usize..20,
        long in prop::collection::vec(1usize..30_000, 3),
        binary: bool,
        cuts in prop::collection::vec(1usize..9_000, 1..20),
    ) {
        let mut rows = made(&rules, &drawn, false);
        let width = rules.width;
        let giant: Row = (0..width).map(|i| (i % 4 != 3).then(|| vec![b'g'; long[i % 3]])).collect();
        rows.insert(at.min(rows.len()), giant);
        // Where nothing is planned a long row passes like any other.
        let rules = if rules.planned.is_empty() { Rules { planned: vec![0], ..rules } } else { rules };
        check(&rules, &rows, binary, &cuts);
    }

    #[test]
    fn a_wrong_length_is_a_fault_and_nothing_of_its_row_passes(
        rules in rules(),
        drawn in rows(200),
        place in any::<prop::sample::Index>(),
        column in any::<prop::sample::Index>(),
        how in 0usize..5,
        cuts in prop::collection::vec(1usize..30_000, 1..20),
    ) {
        let rules = if rules.planned.is_empty() { Rules { planned: vec![0], ..rules } } else { rules };
        let rows = made(&rules, &drawn, false);
        prop_assume!(!rows.is_empty());
        // What is behind the last planned value passes as it came.
        let known = rules.planned.last().map_or(0, |last| usize::from(*last)) + 1;
        let (bad, column) = (place.index(rows.len()), column.index(known));
        let mut talk = Talk::new(&rules, false);
        let mut input = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            let mut one = written(row, None);
            if i == bad {
                let ahead = row[..column].iter().map(|v| 4 + v.as_ref().map_or(0, Vec::len)).sum::<usize>();
                let at = 7 + ahead;
                let wrong = match how {
                    0 => i32::MAX,
                    1 => -2,
                    // Longer by one than what is left of the row.
                    2 => i32::try_from(one.len() - at - 4 + 1).unwrap(),
                    3 => i32::MIN,
                    _ => {
                        one[6] ^= 0x10;
                        i32::from_be_bytes(one[at..at + 4].try_into().unwrap())
                    }
                };
                one[at..at + 4].copy_from_slice(&wrong.to_be_bytes());
            }
            input.extend(one);
        }
        let output: Vec<u8> = rows[..bad].iter().flat_map(|row| expected(row, &talk.plan, false, None)).collect();
        prop_assert!(talk.feed(&input, &cuts).is_err());
        prop_assert!(output.starts_with(&talk.client));
    }
}

#[test]
fn any_single_cut_of_a_few_rows_gives_the_same_bytes() {
    for (grows, in_place) in [(false, true), (false, false), (true, true)] {
        let rules = Rules { width: 3, planned: vec![0, 2], grows, in_place, fates: 5, copy: None };
        let value = |n: usize| (n % 5 != 4).then(|| vec![b'a' + n as u8; n % 11]);
        let rows: Vec<Row> = (0..9).map(|r| (0..3).map(|c| value(r * 3 + c)).collect()).collect();
        let len = rows.iter().map(|row| written(row, None).len()).sum::<usize>();
        for cut in 1..len {
            check(&rules, &rows, false, &[cut, len]);
        }
        check(&rules, &rows, false, &[1]);
    }
}

#[test]
fn rows_with_very_many_planned_columns_are_written_as_others_are() {
    let text = CopyFormat::Text { delimiter: b'\t', null: b"\\N".to_vec(), header: false };
    for copy in [None, Some(text), Some(CopyFormat::Binary)] {
        for (grows, in_place) in [(false, true), (true, false)] {
            let planned = (0..150).filter(|column| column % 7 != 3).collect();
            let rules = Rules { width: 150, planned, grows, in_place, fates: 5, copy: copy.clone() };
            let value = |n: usize| (n % 5 != 4).then(|| vec![b'a' + (n % 20) as u8; n % 11]);
            let rows: Vec<Row> = (0..70).map(|r| (0..150).map(|c| value(r * 3 + c)).collect()).collect();
            check(&rules, &rows, copy == Some(CopyFormat::Binary), &[7_000]);
        }
    }
}

#[test]
fn a_row_too_short_for_its_columns_is_a_fault() {
    let rules = Rules { width: 3, planned: vec![1], grows: false, in_place: true, fates: 5, copy: None };
    let good: Row = vec![Some(b"x".to_vec()), Some(b"secret".to_vec()), None];
    for body in [&b""[..], b"\0", b"\0\x03", b"\0\x03\0\0\0", b"\0\x03\0\0\0\0", b"\0\x02\0\0\0\0\xff\xff\xff\xff"] {
        for behind in [0, 1] {
            let mut short = vec![b'D'];
            short.extend(u32::try_from(4 + body.len()).unwrap().to_be_bytes());
            short.extend(body);
            let input = [written(&good, None), short, written(&good, None).repeat(behind)].concat();
            for cut in [1, 9, input.len()] {
                let mut talk = Talk::new(&rules, false);
                assert!(talk.feed(&input, &[cut]).is_err(), "{body:?}");
                assert!(expected(&good, &talk.plan, false, None).starts_with(&talk.client));
            }
        }
    }
}
