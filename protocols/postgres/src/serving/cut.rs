//! Results that a budget ends before the database does.
//!
//! ```text
//!   rows … rows │ budget used up: the rest is swallowed, the statement is cancelled, nothing goes upstream meanwhile
//!               └▶ the database's end of it, whatever it is, becomes the refusal
//!                    an error               in its place; the transaction has failed on both sides
//!                    a completion           extended: a statement that fails is put before the client's Sync
//!                                           simple: in a transaction block the same; outside, the refusal, then ReadyForQuery
//! ```
//!
//! Invariants: nothing stands behind a counted statement when it is cut (see [`Serve::waits`]), so neither the
//! cancellation nor the failing statement can meet another one; every row that passed was admitted before.
//! Deliberately absent: budgets, and sending the cancellation.

use super::{Cancel, Owed, POISON, Serve, rows};
use crate::{faults, frame};
use contract::{Fault, Judge, Lane, Outcome, Refusal};

const NOT_ALONE: Fault = Fault::upstream("other statements stand behind a result that was cut");

impl<J: Judge> Serve<J> {
    /// The frame has to wait: a counted statement has not ended, or its cancellation is on its way. In a pipeline the
    /// database keeps its answers until it is asked to flush them.
    pub(super) fn waits(&mut self, down: &mut Lane, tag: u8) -> bool {
        if matches!(tag, b'X' | b'H' | b'd' | b'c' | b'f') {
            return false;
        }
        if self.metered > 0 && !self.meter_flushed && matches!(self.owed.back(), Some(Owed::Execute { .. })) {
            self.meter_flushed = true;
            down.put_with(|out| frame::write(out, b'H', |_| {}));
        }
        self.metered > 0 || self.cancel != Cancel::None
    }

    /// Token and part of the counted statement whose rows arrive.
    fn counted(&self) -> Option<(J::Token, usize)> {
        let (token, part) = match self.owed.front() {
            Some(Owed::Simple { run, part, .. }) => (&run.token, *part),
            Some(Owed::Execute { run, .. }) => (&run.token, 0),
            _ => return None,
        };
        J::metered(token).then(|| (token.clone(), part))
    }

    /// Bytes and number of the rows at the front of `up` that may pass; what follows them is cut off if that is not all.
    /// `complete` bytes of whole rows are there.
    pub(super) fn admitted(&mut self, up: &Lane, complete: usize, rows: u64) -> (usize, u64) {
        let Some((token, part)) = self.counted() else { return (complete, rows) };
        let input = up.input().get(..complete).unwrap_or_default();
        let admitted = J::admit(&token, part, &mut rows::sizes(input));
        if let Some(refusal) = admitted.cut {
            self.cut_off(refusal);
        }
        (usize::try_from(admitted.bytes).unwrap_or(complete).min(complete), admitted.rows)
    }

    /// Whether one row (or piece of COPY data) of this length may pass that is not here as a whole.
    pub(super) fn admitted_one(&mut self, len: usize) -> bool {
        let Some((token, part)) = self.counted() else { return true };
        let admitted = J::admit(&token, part, &mut std::iter::once(len as u64));
        if let Some(refusal) = admitted.cut {
            self.cut_off(refusal);
        }
        admitted.rows == 1
    }

    /// Rows are counted now.
    pub(super) fn is_counting(&self) -> bool {
        self.metered > 0
    }

    fn cut_off(&mut self, refusal: Refusal) {
        if let Some(Owed::Execute { run, .. } | Owed::Simple { run, .. }) = self.owed.front_mut() {
            run.outcome = Outcome::Cut;
        }
        self.cut = Some(refusal);
        self.withhold = true;
        // Behind a counted statement there is nothing, unless it was counted only since the rules changed.
        if self.owed.len() == 1 {
            self.cancel = Cancel::Wanted;
        }
    }

    /// The refusal of a cut result, in the place where the database's end of it would be.
    pub(super) fn end_cut(&mut self) -> Option<Vec<u8>> {
        let refusal = self.cut.take()?;
        let mut error = Vec::new();
        faults::write_refusal(&mut error, "ERROR", &refusal, b"");
        Some(error)
    }

    /// A cut portal completed all the same: its transaction has to fail before the client's Sync.
    pub(super) fn fail_to_sync(&mut self) -> Result<(), Fault> {
        if !self.owed.is_empty() {
            return Err(NOT_ALONE);
        }
        if let Some(error) = self.end_cut() {
            self.withhold = false;
            self.owed.push_front(Owed::Refused { error: error.into() });
            self.poison = Some(b'P');
            self.skip_to_sync = true;
        }
        Ok(())
    }

    /// A cut simple query completed all the same, in a transaction block, which has to fail. True if something is under way.
    pub(super) fn fail_block(&mut self) -> Result<bool, Fault> {
        let Some(error) = self.end_cut() else { return Ok(false) };
        if !self.owed.is_empty() {
            return Err(NOT_ALONE);
        }
        self.cycles_sent += 1;
        self.owed.push_front(Owed::RefusedSimple { error: error.into() });
        self.poison = Some(b'Q');
        Ok(true)
    }

    /// Sends the statement that fails.
    pub(super) fn send_poison(&mut self, down: &mut Lane) {
        match self.poison.take() {
            None => {}
            Some(b'P') => down.put_with(|out| {
                frame::write(out, b'P', |b| {
                    frame::text(b, b"tidegate_refused");
                    frame::text(b, POISON.as_bytes());
                    b.extend_from_slice(&[0, 0]);
                });
            }),
            Some(_) => down.put_with(|out| frame::write(out, b'Q', |b| frame::text(b, POISON.as_bytes()))),
        }
    }
}
