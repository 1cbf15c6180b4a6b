//! A conversation of the PostgreSQL protocol's value for micro-benchmarks: no sockets, a made-up policy, rows of 300 bytes.
//!
//! It answers what the value asks at once and drains what it queues, as a pump would. Deliberately absent: the runtime
//! half of policy; its own benchmarks measure that.

use std::rc::Rc;

use contract::{
    Buffers, Chunk, CopyFormat, CopyOut, Format, Judge, Lane, Limits, Redacted, Redactor, Serving, Step, Values,
    Verdict,
};
use postgres::{Serve, frame};

/// Columns of the rows.
pub const COLUMNS: u16 = 8;
/// Lengths of their values: 300 bytes a row with the framing.
const WIDTHS: [usize; 8] = [7, 22, 11, 30, 12, 10, 24, 145];

/// What statements need.
#[derive(Clone, Copy, Debug)]
pub enum Needs<'a> {
    /// Nothing: frames pass.
    Nothing,
    /// A plan over these columns; `true` rewrites the rows elsewhere, because values may grow.
    Plan(&'a [u16], bool),
}

/// Types of the made-up policy.
#[derive(Debug)]
pub enum MadeUp {}

/// Changes values of the planned columns: by a real plan, or else by a fill.
#[derive(Clone, Debug)]
pub struct Fill(Rc<Planned>);

#[derive(Debug)]
struct Planned {
    columns: Vec<u16>,
    grows: bool,
    copy: Option<CopyFormat>,
    plan: Option<policy::Plan>,
}

impl Fill {
    fn new(columns: &[u16], grows: bool, copy: Option<CopyFormat>) -> Self {
        Self(Rc::new(Planned { columns: columns.to_vec(), grows, copy, plan: None }))
    }

    fn real(plan: &policy::Plan, copy: Option<CopyFormat>) -> Self {
        let columns = plan.columns().iter().map(|c| c.index).collect();
        let grows = plan.columns().iter().any(|c| c.grows != policy::Grows::Never);
        Self(Rc::new(Planned { columns, grows, copy, plan: Some(plan.clone()) }))
    }
}

const fn format_of(format: Format) -> policy::Format {
    match format {
        Format::Text => policy::Format::Text,
        Format::Binary => policy::Format::Binary,
    }
}

impl Redactor for Fill {
    fn width(&self) -> usize {
        usize::from(COLUMNS)
    }

    fn planned(&self) -> &[u16] {
        &self.0.columns
    }

    fn redact(&self, i: usize, format: Format, value: &[u8], scratch: &mut Vec<u8>) -> Redacted {
        if let Some(plan) = &self.0.plan {
            return plan.redact(i, format_of(format), value, scratch).into();
        }
        scratch.clear();
        scratch.resize(value.len(), b'*');
        Redacted::Scratch
    }

    fn redact_batch(&self, i: usize, format: Format, values: &mut Values<'_>) {
        match &self.0.plan {
            Some(plan) => plan.redact_batch(i, format_of(format), values),
            None => values.each(|value, scratch| self.redact(i, format, value, scratch)),
        }
    }

    fn grows(&self) -> bool {
        self.0.grows
    }
}

impl Judge for MadeUp {
    type Token = Option<Fill>;
    type Plan = Fill;

    fn guarded(token: &Option<Fill>) -> bool {
        token.is_some()
    }

    fn needs_shape(token: &Option<Fill>) -> bool {
        token.is_some()
    }

    fn changes_names(_: &Option<Fill>) -> bool {
        false
    }

    fn moves_names(_: &Option<Fill>) -> bool {
        false
    }

    fn copies_in(_: &Option<Fill>) -> bool {
        false
    }

    fn copies_out(token: &Option<Fill>) -> Option<Rc<[CopyOut]>> {
        let format = token.as_ref()?.0.copy.clone()?;
        Some([CopyOut { part: 0, shape: "select * from people".into(), format }].into())
    }
}

/// Whole DataRow frames, as many as fit into `bytes`.
#[must_use]
pub fn rows(bytes: usize) -> Vec<u8> {
    let mut row = Vec::new();
    frame::write(&mut row, b'D', |b| {
        b.extend(COLUMNS.to_be_bytes());
        for width in WIDTHS {
            b.extend(u32::try_from(width).unwrap_or(0).to_be_bytes());
            b.extend(std::iter::repeat_n(b'x', width));
        }
    });
    row.repeat(bytes / row.len())
}

/// Whole CopyData frames in this format, as many as fit into `bytes`.
#[must_use]
pub fn copy_rows(bytes: usize, format: &CopyFormat) -> Vec<u8> {
    let mut row = Vec::new();
    frame::write(&mut row, b'd', |b| match format {
        CopyFormat::Binary => {
            b.extend(COLUMNS.to_be_bytes());
            for width in WIDTHS {
                b.extend(u32::try_from(width).unwrap_or(0).to_be_bytes());
                b.extend(std::iter::repeat_n(b'x', width));
            }
        }
        CopyFormat::Text { delimiter, .. } | CopyFormat::Csv { delimiter, .. } => {
            for (i, width) in WIDTHS.into_iter().enumerate() {
                if i > 0 {
                    b.push(*delimiter);
                }
                b.extend(std::iter::repeat_n(b'x', width));
            }
            b.push(b'\n');
        }
    });
    row.repeat(bytes / row.len())
}

/// The conversation.
#[derive(Debug)]
pub struct Conversation {
    serve: Serve<MadeUp>,
    token: Option<Fill>,
    down: Lane,
    up: Lane,
    buffers: Buffers,
    number: u64,
    execute: Vec<u8>,
    answer: Vec<u8>,
}

impl Conversation {
    fn new(needs: Needs<'_>) -> Self {
        let limits = Limits::default();
        let token = match needs {
            Needs::Nothing => None,
            Needs::Plan(columns, grows) => Some(Fill::new(columns, grows, None)),
        };
        Self {
            serve: Serve::new(limits, Rc::new(|_: &[u8]| true)),
            token,
            down: Lane::new(limits.buffer_bytes_max),
            up: Lane::new(limits.buffer_bytes_max),
            buffers: Buffers::default(),
            number: 0,
            execute: Vec::new(),
            answer: Vec::new(),
        }
    }

    /// One whose statement is returning rows, in text or in binary.
    #[must_use]
    pub fn reading(needs: Needs<'_>, binary: bool) -> Self {
        Self::new(needs).begin_reading(binary)
    }

    /// The same under a real plan.
    #[must_use]
    pub fn masking(plan: &policy::Plan, binary: bool) -> Self {
        let mut this = Self::new(Needs::Nothing);
        this.token = Some(Fill::real(plan, None));
        this.begin_reading(binary)
    }

    fn begin_reading(self, binary: bool) -> Self {
        let mut this = self;
        let mut frames = Vec::new();
        parse(&mut frames);
        bind(&mut frames, binary);
        execute(&mut frames);
        this.downstream(&frames);
        let mut answer = this.prepared_answer();
        frame::write(&mut answer, b'2', |_| ());
        this.upstream(&answer);
        this
    }

    /// One whose COPY is sending rows in this format, masked in these columns; none: they pass.
    #[must_use]
    pub fn copying(columns: &[u16], format: &CopyFormat) -> Self {
        let mut this = Self::new(Needs::Nothing);
        if !columns.is_empty() {
            this.token = Some(Fill::new(columns, true, Some(format.clone())));
        }
        this.begin_copying(format)
    }

    /// The same under a real plan.
    #[must_use]
    pub fn copying_masked(plan: &policy::Plan, format: &CopyFormat) -> Self {
        let mut this = Self::new(Needs::Nothing);
        this.token = Some(Fill::real(plan, Some(format.clone())));
        this.begin_copying(format)
    }

    fn begin_copying(self, format: &CopyFormat) -> Self {
        let mut this = self;
        let mut answer = Vec::new();
        if this.token.is_some() {
            answer = this.prepared_answer();
            frame::write(&mut answer, b'3', |_| ());
        }
        let mut query = Vec::new();
        frame::write(&mut query, b'Q', |b| frame::text(b, b"copy people to stdout"));
        this.downstream(&query);
        this.upstream(&answer);
        // The statement goes when its shape is planned.
        this.advance(true);
        this.drain();
        let binary = *format == CopyFormat::Binary;
        let mut begin = Vec::new();
        frame::write(&mut begin, b'H', |b| {
            b.push(u8::from(binary));
            b.extend(COLUMNS.to_be_bytes());
            (0..COLUMNS).for_each(|_| b.extend(u16::from(binary).to_be_bytes()));
        });
        if binary {
            frame::write(&mut begin, b'd', |b| b.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"));
        }
        this.upstream(&begin);
        this
    }

    /// One with a prepared statement.
    #[must_use]
    pub fn prepared(needs: Needs<'_>) -> Self {
        let mut this = Self::new(needs);
        let mut frames = Vec::new();
        parse(&mut frames);
        frame::write(&mut frames, b'S', |_| ());
        this.downstream(&frames);
        let mut answer = this.prepared_answer();
        frame::write(&mut answer, b'Z', |b| b.push(b'I'));
        this.upstream(&answer);
        bind(&mut this.execute, false);
        execute(&mut this.execute);
        frame::write(&mut this.execute, b'S', |_| ());
        frame::write(&mut this.answer, b'2', |_| ());
        this.answer.extend(rows(301 + 5));
        frame::write(&mut this.answer, b'C', |b| frame::text(b, b"SELECT 1"));
        frame::write(&mut this.answer, b'Z', |b| b.push(b'I'));
        this
    }

    /// ParseComplete, and the answer to the Describe that the value adds where it needs the shape.
    fn prepared_answer(&self) -> Vec<u8> {
        let mut answer = Vec::new();
        frame::write(&mut answer, b'1', |_| ());
        if self.token.is_some() {
            frame::write(&mut answer, b't', |b| b.extend([0, 0]));
            frame::write(&mut answer, b'T', |b| {
                b.extend(COLUMNS.to_be_bytes());
                for attribute in 1..=COLUMNS {
                    frame::text(b, b"column");
                    b.extend(7_u32.to_be_bytes());
                    b.extend(attribute.to_be_bytes());
                    b.extend(25_u32.to_be_bytes());
                    b.extend((-1_i16).to_be_bytes());
                    b.extend((-1_i32).to_be_bytes());
                    b.extend(0_u16.to_be_bytes());
                }
            });
        }
        answer
    }

    /// Runs the prepared statement once: one request, one row.
    ///
    /// # Panics
    /// When the conversation breaks down: then nothing is measured.
    pub fn execute(&mut self) {
        let request = std::mem::take(&mut self.execute);
        self.downstream(&request);
        self.execute = request;
        let answer = std::mem::take(&mut self.answer);
        self.upstream(&answer);
        self.answer = answer;
    }

    /// Bytes from the client.
    ///
    /// # Panics
    /// When the conversation breaks down.
    pub fn downstream(&mut self, bytes: &[u8]) {
        self.feed(bytes, true);
    }

    /// Bytes from the database.
    ///
    /// # Panics
    /// When the conversation breaks down.
    pub fn upstream(&mut self, bytes: &[u8]) {
        self.feed(bytes, false);
    }

    /// Bytes of a stream from the database, and then, as after every poll of a pump, a moment of rest.
    ///
    /// # Panics
    /// When the conversation breaks down.
    pub fn stream(&mut self, bytes: &[u8]) {
        self.feed(bytes, false);
        self.up.rest(&mut self.buffers);
    }

    fn feed(&mut self, mut bytes: &[u8], from_client: bool) {
        while !bytes.is_empty() {
            let lane = if from_client { &mut self.down } else { &mut self.up };
            let slot = lane.slot(&mut self.buffers);
            let n = slot.len().min(bytes.len());
            assert!(n > 0, "the lane takes no more");
            slot[..n].copy_from_slice(&bytes[..n]);
            lane.received(n);
            bytes = &bytes[n..];
            self.advance(from_client);
            self.drain();
        }
    }

    fn advance(&mut self, from_client: bool) {
        loop {
            let step = if from_client {
                self.serve.downstream(&mut self.down, &mut self.up)
            } else {
                self.serve.upstream(&mut self.up, &mut self.down)
            };
            match step {
                Ok(Step::Settled | Step::Done(_)) => {}
                Ok(Step::NeedMore | Step::Blocked | Step::Goodbye) => return,
                Ok(Step::Ask(_)) => {
                    self.number += 1;
                    let verdict = Verdict::Forward { token: self.token.clone(), number: self.number, now_ns: 0 };
                    let resolved = self.serve.resolve(&mut self.down, &mut self.up, verdict);
                    assert!(resolved.is_ok(), "{resolved:?}");
                }
                Ok(Step::Columns { token, .. }) => {
                    let Some(plan) = token else { panic!("a shape was asked for that nobody needs") };
                    let planned = self.serve.plan(&mut self.up, &mut self.down, Ok(plan));
                    assert!(planned.is_ok(), "{planned:?}");
                }
                Err(fault) => panic!("the conversation broke down: {fault}"),
            }
        }
    }

    fn drain(&mut self) {
        for lane in [&mut self.down, &mut self.up] {
            while let Chunk::Bytes(bytes) = lane.chunk() {
                let n = std::hint::black_box(bytes).len();
                lane.written(n);
            }
        }
    }
}

fn parse(out: &mut Vec<u8>) {
    frame::write(out, b'P', |b| {
        frame::text(b, b"s");
        frame::text(b, b"select * from people where id = $1");
        b.extend([0, 0]);
    });
}

fn bind(out: &mut Vec<u8>, binary: bool) {
    frame::write(out, b'B', |b| {
        frame::text(b, b"");
        frame::text(b, b"s");
        b.extend([0, 0, 0, 1]);
        b.extend(4_u32.to_be_bytes());
        b.extend(b"1234");
        b.extend([0, 1]);
        b.extend(u16::from(binary).to_be_bytes());
    });
}

fn execute(out: &mut Vec<u8>) {
    frame::write(out, b'E', |b| {
        frame::text(b, b"");
        b.extend(0_u32.to_be_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_sends_rows() {
        let text = CopyFormat::Text { delimiter: b'\t', null: b"\\N".to_vec(), header: false };
        for format in [text, CopyFormat::Binary] {
            for columns in [&[][..], &[2]] {
                Conversation::copying(columns, &format).upstream(&copy_rows(100_000, &format));
            }
        }
    }

    #[test]
    fn a_row_is_three_hundred_bytes_and_statements_run() {
        assert_eq!(rows(400).len(), 300);
        for needs in [Needs::Nothing, Needs::Plan(&[2], false), Needs::Plan(&[2], true)] {
            let mut reading = Conversation::reading(needs, true);
            reading.upstream(&rows(100_000));
            let mut prepared = Conversation::prepared(needs);
            prepared.execute();
            prepared.execute();
            assert_eq!(prepared.number, 3);
        }
    }
}
