//! Before a COPY TO STDOUT goes to the database, the database is asked what columns it will send, and a plan is made.
//!
//! ```text
//! client    Query "COPY t TO STDOUT"                      ── held ──────────────────────▶ Query
//! database  ◀── Parse, Describe, Close of its shape, Flush     RowDescription ──▶ plan
//! ```
//!
//! Invariants: no Sync stands between the shape and the COPY, so both see one transaction, and the locks that the shape
//! took on its relations hold until the COPY has ended; without a plan for every COPY of a text nothing of it is sent.
//! An error about the shape is the COPY's own. Deliberately absent: the rows.

use super::copy_rows::Planned;
use super::{Down, Held, Owed, Run, Serve, Up, rows};
use crate::faults::Fields;
use crate::frame::{self, HEADER_BYTES, Header};
use contract::{CopyOut, Fault, Judge, Lane, Outcome, Refusal, Step, Via};
use std::rc::Rc;

/// Name of the statement that is described; the client may use it too, and then its COPY fails.
const NAME: &[u8] = b"tidegate_copy_shape";
const SURPRISE: Fault = Fault::upstream("unexpected frame from the database");

/// A statement whose COPYs are being described.
pub(super) struct Shaping<J: Judge> {
    held: Held<J>,
    token: J::Token,
    number: u64,
    now_ns: u64,
    outs: Rc<[CopyOut]>,
    planned: Vec<Planned<J::Plan>>,
    answered: usize,
    /// The database has an error about a shape; it has been shown.
    failed: Option<[u8; 5]>,
    refused: Option<Refusal>,
}

impl<J: Judge> Shaping<J> {
    fn run(self, outcome: Outcome) -> (Held<J>, Run<J>) {
        let Self { held, token, number, now_ns, planned, .. } = self;
        let mut run = Run::new(token, number, now_ns, outcome);
        planned.iter().for_each(|planned| run.plans.push(planned.plan.clone()));
        run.copies = planned;
        (held, run)
    }

    /// For the record of a session that ends.
    pub(super) fn abandoned(self) -> Run<J> {
        self.run(Outcome::Skipped).1
    }
}

impl<J: Judge> Serve<J> {
    /// Asks for the shapes of `outs`; the frame stays held until all are planned.
    pub(super) fn ask_copy_shapes(
        &mut self,
        down: &mut Lane,
        held: Held<J>,
        token: J::Token,
        number: u64,
        now_ns: u64,
        outs: Rc<[CopyOut]>,
    ) {
        // The error of a shape can quote data as the statement's own can.
        self.guarded |= J::guarded(&token);
        down.put_with(|to| {
            for out in outs.iter() {
                frame::write(to, b'P', |b| {
                    frame::text(b, NAME);
                    frame::text(b, out.shape.as_bytes());
                    b.extend_from_slice(&[0, 0]);
                });
                for tag in [b'D', b'C'] {
                    frame::write(to, tag, |b| {
                        b.push(b'S');
                        frame::text(b, NAME);
                    });
                }
            }
            frame::write(to, b'H', |_| {});
        });
        self.owed.extend(outs.iter().map(|_| Owed::CopyShape));
        let planned = Vec::with_capacity(outs.len());
        self.down = Down::Shaping(Box::new(Shaping {
            held,
            token,
            number,
            now_ns,
            outs,
            planned,
            answered: 0,
            failed: None,
            refused: None,
        }));
    }

    /// What becomes of the held frame.
    pub(super) fn step_shaping(&mut self, down: &mut Lane) -> Step<J> {
        let Down::Shaping(shaping) = std::mem::replace(&mut self.down, Down::Frames) else { return Step::Blocked };
        if let Some(state) = shaping.failed {
            let (held, run) = shaping.run(Outcome::Error(state));
            self.discard(down, held.len);
            self.done.push_back(run.done());
            if held.via == Via::Simple {
                // The database ignores everything up to Sync now.
                down.put_with(|out| frame::write(out, b'S', |_| {}));
                self.end_cycle();
                self.owed.push_back(Owed::Sync { ignored_by_copy: false });
            } else {
                self.skip_to_sync = true;
            }
            return Step::Settled;
        }
        if self.skip_to_sync {
            // An earlier statement of the pipeline failed.
            let (held, run) = shaping.run(Outcome::Skipped);
            self.discard(down, held.len);
            self.done.push_back(run.done());
            return Step::Settled;
        }
        if shaping.answered < shaping.outs.len() {
            self.down = Down::Shaping(shaping);
            return Step::Blocked;
        }
        if let Some(refusal) = shaping.refused.clone() {
            let (held, run) = shaping.run(Outcome::Withheld);
            let text = down.input().get(held.text.0..held.text.1).unwrap_or_default().to_vec();
            match held.via {
                Via::Simple => self.refuse_simple(down, held.len, &refusal, &text),
                Via::Prepare | Via::Execute => self.refuse_extended(down, held.len, &refusal, &text),
            }
            self.done.push_back(run.done());
            return Step::Settled;
        }
        let (held, run) = shaping.run(Outcome::Ok);
        self.forward_run(down, held, run);
        Step::Settled
    }

    /// A frame that answers our question about a shape; `None` if this one does not.
    pub(super) fn copy_shape_answer(&mut self, up: &mut Lane, header: Header) -> Result<Option<Step<J>>, Fault> {
        if !matches!(self.owed.front(), Some(Owed::CopyShape)) || matches!(header.tag, b'N' | b'S' | b'A') {
            return Ok(None);
        }
        let Down::Shaping(shaping) = &mut self.down else { return Err(SURPRISE) };
        match header.tag {
            b'1' | b't' => up.skip(header.len),
            b'T' => {
                let part = shaping.outs.get(shaping.answered).ok_or(SURPRISE)?.part;
                let token = shaping.token.clone();
                self.up = Up::Columns(header.len);
                return Ok(Some(Step::Columns { token, part }));
            }
            b'n' => {
                // The database refuses a COPY without columns itself, but not before it ran what is in it.
                shaping.refused.get_or_insert_with(|| Refusal {
                    code: "TG2011",
                    rule: "default:copy-out".to_owned(),
                    message: "the query of this COPY returns no rows".to_owned(),
                    hint: None,
                    position: None,
                });
                up.skip(header.len);
            }
            b'3' => {
                self.owed.pop_front();
                shaping.answered += 1;
                up.skip(header.len);
            }
            b'E' => {
                let fields = Fields::read(&up.input()[HEADER_BYTES..header.len]);
                let state = fields.state;
                // Its position is one in the shape.
                let mut canonical = Vec::new();
                Fields { position: None, ..fields }.write_canonical(&mut canonical, b'E');
                up.skip(header.len);
                if !self.withhold {
                    up.put(&canonical);
                }
                self.copy_shape_failed(state);
            }
            _ => return Err(SURPRISE),
        }
        Ok(Some(Step::Settled))
    }

    /// The database has an error about a shape: it answers nothing of ours any more.
    pub(super) fn copy_shape_failed(&mut self, state: [u8; 5]) {
        if let Down::Shaping(shaping) = &mut self.down {
            shaping.failed = Some(state);
        }
        self.owed.retain(|entry| !matches!(entry, Owed::CopyShape));
    }

    /// The plan for a shape that was described; handed back if the question was another one.
    pub(super) fn plan_copy_shape(
        &mut self,
        up: &mut Lane,
        len: usize,
        plan: Result<J::Plan, Refusal>,
    ) -> Result<Option<Result<J::Plan, Refusal>>, Fault> {
        if !matches!(self.owed.front(), Some(Owed::CopyShape)) {
            return Ok(Some(plan));
        }
        let (columns, _) = rows::description(&up.input()[HEADER_BYTES..len])?;
        let Down::Shaping(shaping) = &mut self.down else { return Err(SURPRISE) };
        let out = shaping.outs.get(shaping.answered).ok_or(SURPRISE)?;
        match plan {
            Ok(plan) => {
                let names = columns.into_iter().map(|c| c.name).collect();
                shaping.planned.push(Planned { part: out.part, plan, format: out.format.clone(), names });
            }
            Err(refusal) => drop(shaping.refused.get_or_insert(refusal)),
        }
        up.skip(len);
        Ok(None)
    }
}
