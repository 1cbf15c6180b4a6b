//! What the database sends. The closed world of backend tags after login:
//!
//! | tag | treatment |
//! |---|---|
//! | `1` `2` `3` `n` `t` `s` `I` `C` `Z` | answer the oldest owed entry, then passed (or end here, if the request was ours) |
//! | `T` RowDescription | held for a plan where rows will follow under it |
//! | `D` DataRow | counted, redacted by plan |
//! | `E` `N` | made canonical while a guarded statement is about |
//! | `S` ParameterStatus | checked against the pins |
//! | `A` NotificationResponse | by channel |
//! | `H` `d` `c` COPY out | masked by plan; without one passed, out of a guarded statement a fault |
//! | `G` COPY in | passed |
//! | `W` CopyBothResponse, `V`, `R`, `K`, anything else | fault |

use super::copy_rows::{self, Copying};
use super::{Current, Owed, Run, Serve, Shape, Up, check_parameter, described, rows};
use crate::faults::{self, Fields};
use crate::frame::{self, HEADER_BYTES, Header};
use contract::{Done, Fault, Judge, Lane, Outcome, Peer, Plans, Reader, Redactor, Refusal, Step};

const SURPRISE: Fault = Fault::upstream("unexpected frame from the database");

/// What rows are to be done with.
enum Rows<J: Judge> {
    Pass,
    Plan(J::Plan, super::Formats),
    Drop,
}

impl<J: Judge> Serve<J> {
    pub(super) fn step_up(&mut self, up: &mut Lane, down: &mut Lane) -> Result<Step<J>, Fault> {
        if self.poison.is_some() {
            self.send_poison(down);
        }
        if let Some(done) = self.done.pop_front() {
            return Ok(Step::Done(done));
        }
        if up.scratch_queued() > self.limits.scratch_bytes_max {
            return Ok(Step::Blocked);
        }
        match &mut self.up {
            Up::Frames => {}
            Up::Pass { left, counted } => {
                let (n, counted) = ((*left).min(up.input().len()), *counted);
                if n == 0 {
                    return Ok(Step::NeedMore);
                }
                up.pass(n);
                *left -= n;
                if *left == 0 {
                    self.up = Up::Frames;
                }
                if counted {
                    self.count(0, n as u64);
                }
                return Ok(Step::Settled);
            }
            Up::Discard(left) => {
                let n = (*left).min(up.input().len());
                if n == 0 {
                    return Ok(Step::NeedMore);
                }
                up.skip(n);
                *left -= n;
                if *left == 0 {
                    self.up = Up::Frames;
                }
                return Ok(Step::Settled);
            }
            Up::Giant(_) => return self.giant(up),
            Up::Copy(len) => {
                let len = *len;
                return self.copy_data(up, len);
            }
            Up::Columns(_) => return Ok(Step::Blocked),
        }
        let Some(header) = frame::header(up.input(), Peer::Upstream)? else { return Ok(Step::NeedMore) };
        match header.tag {
            b'D' => return self.data_rows(up, header),
            b'd' if self.withhold => {
                self.up = Up::Discard(header.len);
                return Ok(Step::Settled);
            }
            b'd' if self.copy_out.as_ref().is_some_and(|copy| !copy.is_clear()) => {
                return self.copy_data(up, header.len);
            }
            b'd' => {
                if self.copy_out.is_none() && self.owed_token_guarded() {
                    return Err(Fault::upstream("COPY data of a protected table from the database"));
                }
                let complete =
                    if self.is_counting() { 0 } else { copy_rows::batch(up.input(), copy_rows::BATCH_BYTES) };
                if complete > 0 {
                    let frames = copy_rows::frames(up.input().get(..complete).unwrap_or_default());
                    up.pass(complete);
                    self.count(frames, complete as u64);
                    return Ok(Step::Settled);
                }
                if !self.admitted_one(header.len) {
                    self.up = Up::Discard(header.len);
                    return Ok(Step::Settled);
                }
                self.count(1, 0);
                self.up = Up::Pass { left: header.len, counted: true };
                return Ok(Step::Settled);
            }
            b'E' | b'N' if header.len > up.capacity_max() => return self.giant_message(up, header),
            _ => {}
        }
        if header.len > up.capacity_max() {
            return Err(Fault::upstream("frame too long from the database"));
        }
        if up.input().len() < header.len {
            up.want(header.len);
            return Ok(Step::NeedMore);
        }
        self.frame(up, header)
    }

    /// A whole frame other than a row.
    fn frame(&mut self, up: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        let body = HEADER_BYTES..header.len;
        if let Some(step) = self.copy_shape_answer(up, header)? {
            return Ok(step);
        }
        match header.tag {
            b'1' => match self.owed.pop_front() {
                Some(Owed::Parse { name, prepared }) => {
                    if let Some(before) = self.prepared.insert(name, prepared) {
                        self.spares.take_prepared(before);
                    }
                    self.show(up, header.len);
                }
                Some(Owed::Probe) => up.skip(header.len),
                _ => return Err(SURPRISE),
            },
            b'2' => {
                let Some(Owed::Bind { name, portal, forgotten }) = self.owed.pop_front() else { return Err(SURPRISE) };
                let before = if forgotten { self.portals.remove(&name) } else { self.portals.insert(name, portal) };
                if let Some(before) = before {
                    self.spares.take_portal(before);
                }
                self.show(up, header.len);
            }
            b'3' => {
                let Some(Owed::Close { statement, portal }) = self.owed.pop_front() else { return Err(SURPRISE) };
                if let Some(name) = portal {
                    self.portals.remove(&name);
                }
                if let Some(name) = statement {
                    self.prepared.remove(&name);
                }
                self.show(up, header.len);
            }
            b't' => match self.owed.front() {
                Some(Owed::Describe) => self.show(up, header.len),
                Some(Owed::Shape { .. }) => up.skip(header.len),
                _ => return Err(SURPRISE),
            },
            b'n' => match self.owed.pop_front() {
                Some(Owed::Describe) => self.show(up, header.len),
                Some(Owed::Shape { shape, .. }) => {
                    *shape.borrow_mut() = Shape::Empty;
                    up.skip(header.len);
                }
                _ => return Err(SURPRISE),
            },
            b'T' => return self.row_description(up, header),
            b'C' | b'I' | b's' => return self.complete(up, header),
            b'Z' => return self.ready(up, header),
            b'E' => return self.error(up, header),
            b'N' => {
                if self.guarded {
                    let fields = Fields::read(&up.input()[body]);
                    let mut canonical = Vec::new();
                    if fields.is_warning() {
                        fields.write_canonical(&mut canonical, b'N');
                    }
                    up.skip(header.len);
                    up.put(&canonical);
                } else {
                    self.show(up, header.len);
                }
            }
            b'S' => {
                let mut r = Reader::new(&up.input()[body]);
                let (Some(name), Some(value)) = (r.text(), r.text()) else { return Err(SURPRISE) };
                check_parameter(name, value)?;
                up.pass(header.len);
            }
            b'A' => {
                let mut r = Reader::new(&up.input()[body]);
                r.take(4);
                let allowed = r.text().is_some_and(|channel| (self.channels)(channel));
                if allowed {
                    up.pass(header.len);
                } else {
                    up.skip(header.len);
                }
            }
            b'G' if self.withhold => {
                return Err(Fault::upstream("COPY asked for after a refused result").with_state("42501"));
            }
            b'G' => {
                // The database reads and ignores Sync while it reads COPY data.
                if matches!(self.owed.front(), Some(Owed::Execute { .. } | Owed::Simple { .. })) {
                    while matches!(self.owed.get(1), Some(Owed::Sync { ignored_by_copy: true })) {
                        self.owed.remove(1);
                        self.cycles_sent -= 1;
                    }
                }
                self.show(up, header.len);
            }
            b'H' => self.copy_begins(up, header)?,
            b'c' => {
                if let Some(copy) = self.copy_out.take()
                    && !copy.is_clear()
                    && !self.withhold
                {
                    copy.finish()?;
                }
                self.show(up, header.len);
            }
            _ => return Err(SURPRISE),
        }
        Ok(Step::Settled)
    }

    /// Passes a frame, unless replies are being withheld.
    fn show(&mut self, up: &mut Lane, len: usize) {
        if self.withhold { up.skip(len) } else { up.pass(len) }
    }

    /// Says what a plan warns of, ahead of the end of its result.
    fn warn(&self, up: &mut Lane, plan: &J::Plan) {
        if !self.withhold {
            for refusal in plan.warnings() {
                up.put_with(|out| faults::write_warning(out, refusal));
            }
        }
    }

    fn count(&mut self, rows: u64, bytes: u64) {
        if let Some(Owed::Execute { run, .. } | Owed::Simple { run, .. }) = self.owed.front_mut() {
            run.rows += rows;
            run.bytes += bytes;
        }
    }

    /// CopyOutResponse.
    fn copy_begins(&mut self, up: &mut Lane, header: Header) -> Result<(), Fault> {
        match self.planned_copy() {
            _ if self.withhold => up.skip(header.len),
            None if self.owed_token_guarded() => {
                return Err(Fault::upstream("COPY out of a protected table from the database"));
            }
            None => up.pass(header.len),
            Some(planned) => match Copying::new(planned, &up.input()[HEADER_BYTES..header.len])? {
                Some(copy) => {
                    self.copy_out = Some(Box::new(copy));
                    up.pass(header.len);
                }
                None => {
                    if let Some(Owed::Simple { run, .. } | Owed::Execute { run, .. }) = self.owed.front_mut() {
                        run.outcome = Outcome::Withheld;
                    }
                    up.skip(header.len);
                    up.put_with(|out| faults::write_refusal(out, "ERROR", &other_columns(), b""));
                    self.withhold = true;
                }
            },
        }
        Ok(())
    }

    /// The plan for the COPY that begins now.
    fn planned_copy(&mut self) -> Option<super::Planned<J::Plan>> {
        let (run, part) = match self.owed.front_mut()? {
            Owed::Simple { run, part, .. } => (run, *part),
            Owed::Execute { run, .. } => (run, 0),
            _ => return None,
        };
        let at = run.copies.iter().position(|p| p.part == part)?;
        Some(run.copies.swap_remove(at))
    }

    /// CopyData under a plan.
    fn copy_data(&mut self, up: &mut Lane, len: usize) -> Result<Step<J>, Fault> {
        let mut max = usize::MAX;
        if self.is_counting() && !matches!(self.up, Up::Copy(_)) {
            let complete = copy_rows::batch(up.input(), copy_rows::BATCH_BYTES);
            if complete > 0 {
                max = self.admitted(up, complete, 0).0;
            } else if len > up.capacity_max() && !self.admitted_one(len) {
                max = 0;
            }
            if max == 0 {
                return Ok(Step::Settled);
            }
        }
        let Some(copy) = &mut self.copy_out else { return Err(SURPRISE) };
        let batch = copy.step(up, len, max, &mut self.walk, &mut self.scratch)?;
        self.up = if copy.is_within_frame() { Up::Copy(len) } else { Up::Frames };
        let Some(batch) = batch else { return Ok(Step::NeedMore) };
        self.count(batch.rows, batch.bytes);
        Ok(Step::Settled)
    }

    fn owed_token_guarded(&self) -> bool {
        match self.owed.front() {
            Some(Owed::Execute { run, .. } | Owed::Simple { run, .. }) => J::guarded(&run.token),
            _ => true,
        }
    }

    fn row_description(&mut self, up: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        match self.owed.front() {
            Some(Owed::Describe) => {
                self.owed.pop_front();
                self.show(up, header.len);
                Ok(Step::Settled)
            }
            Some(Owed::Shape { prepared, .. }) => {
                let token = prepared.token.borrow().clone();
                self.up = Up::Columns(header.len);
                Ok(Step::Columns { token, part: 0 })
            }
            Some(Owed::Simple { run, part, .. }) => {
                if !J::needs_shape(&run.token) || self.withhold {
                    self.show(up, header.len);
                    return Ok(Step::Settled);
                }
                let (token, part) = (run.token.clone(), *part);
                self.up = Up::Columns(header.len);
                Ok(Step::Columns { token, part })
            }
            _ => Err(SURPRISE),
        }
    }

    pub(super) fn plan_held(
        &mut self,
        up: &mut Lane,
        _down: &mut Lane,
        plan: Result<J::Plan, Refusal>,
    ) -> Result<(), Fault> {
        let Up::Columns(len) = std::mem::replace(&mut self.up, Up::Frames) else {
            debug_assert!(false, "plan without a held shape");
            return Ok(());
        };
        let body = HEADER_BYTES..len;
        let (width, formats) = described::formats(&up.input()[body.clone()])?;
        let Some(plan) = self.plan_copy_shape(up, len, plan)? else { return Ok(()) };
        if let Ok(plan) = &plan
            && plan.width() != width
        {
            return Err(Fault::upstream("a result has another number of columns than its plan"));
        }
        if let Some(Owed::Shape { shape, .. }) = self.owed.front() {
            *shape.borrow_mut() = match plan {
                Ok(plan) => {
                    let columns = match plan.columns() {
                        Some(columns) => columns,
                        None => rows::description(&up.input()[body])?.0.into(),
                    };
                    Shape::Planned { columns, plan }
                }
                Err(refusal) => Shape::Refused(refusal),
            };
            up.skip(len);
            self.owed.pop_front();
            return Ok(());
        }
        let Some(Owed::Simple { run, current, .. }) = self.owed.front_mut() else { return Err(SURPRISE) };
        match plan {
            Ok(plan) => {
                run.plans.push(plan.clone());
                *current = Some(Current { plan, formats });
                up.pass(len);
            }
            Err(refusal) => {
                run.outcome = Outcome::Withheld;
                up.skip(len);
                up.put_with(|out| faults::write_refusal(out, "ERROR", &refusal, b""));
                self.withhold = true;
            }
        }
        Ok(())
    }

    /// What becomes of the rows that arrive now.
    fn rows_now(&mut self, up: &mut Lane) -> Result<Rows<J>, Fault> {
        if self.withhold {
            return Ok(Rows::Drop);
        }
        match self.owed.front_mut() {
            Some(Owed::Simple { run, current, .. }) => {
                if !J::needs_shape(&run.token) {
                    return Ok(Rows::Pass);
                }
                let Some(current) = current else {
                    return Err(Fault::upstream("rows without a description from the database"));
                };
                if current.plan.planned().is_empty() {
                    return Ok(Rows::Pass);
                }
                Ok(Rows::Plan(current.plan.clone(), current.formats.clone()))
            }
            Some(Owed::Execute { portal, run }) => {
                if !J::needs_shape(&run.token) {
                    return Ok(Rows::Pass);
                }
                match &*portal.shape.borrow() {
                    Shape::Planned { plan, .. } if plan.planned().is_empty() => Ok(Rows::Pass),
                    Shape::Planned { plan, .. } => Ok(Rows::Plan(plan.clone(), portal.formats.clone())),
                    Shape::Refused(refusal) => {
                        run.outcome = Outcome::Withheld;
                        up.put_with(|out| faults::write_refusal(out, "ERROR", refusal, b""));
                        self.withhold = true;
                        Ok(Rows::Drop)
                    }
                    Shape::Unknown | Shape::Empty => {
                        Err(Fault::upstream("rows without a description from the database"))
                    }
                }
            }
            _ => Err(SURPRISE),
        }
    }

    fn data_rows(&mut self, up: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        match self.rows_now(up)? {
            Rows::Pass => {
                let (len, rows) = rows::run(up.input());
                if rows > 0 {
                    let (len, rows) = self.admitted(up, len, rows);
                    if rows > 0 {
                        up.pass(len);
                    }
                    self.count(rows, len as u64);
                } else if self.admitted_one(header.len) {
                    self.count(1, 0);
                    self.up = Up::Pass { left: header.len, counted: true };
                }
                Ok(Step::Settled)
            }
            Rows::Drop => {
                self.up = Up::Discard(header.len);
                Ok(Step::Settled)
            }
            Rows::Plan(plan, formats) => {
                if up.input().len() < header.len {
                    if header.len <= up.capacity_max() {
                        up.want(header.len);
                        return Ok(Step::NeedMore);
                    }
                    if self.admitted_one(header.len) {
                        self.up = Up::Giant(Box::new(rows::Giant::new(header.len)));
                        self.count(1, header.len as u64);
                    }
                    return Ok(Step::Settled);
                }
                let max = if self.is_counting() {
                    let complete = rows::batch(up.input());
                    self.admitted(up, complete, 0).0
                } else {
                    up.input().len()
                };
                let batch = rows::redact(up, max, &plan, &formats, &mut self.walk)?;
                self.count(batch.rows, batch.bytes);
                Ok(Step::Settled)
            }
        }
    }

    fn giant(&mut self, up: &mut Lane) -> Result<Step<J>, Fault> {
        let Rows::Plan(plan, formats) = self.rows_now(up)? else { return Err(SURPRISE) };
        let Up::Giant(giant) = &mut self.up else { return Err(SURPRISE) };
        let before = up.input().len();
        let complete = giant.step(up, &plan, &formats)?;
        if complete {
            self.up = Up::Frames;
        }
        Ok(if complete || up.input().len() < before { Step::Settled } else { Step::NeedMore })
    }

    /// An error or notice longer than the buffer: passed as it comes, or replaced and dropped.
    fn giant_message(&mut self, up: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        // Severity, state and message come first; this much is enough to read the state.
        const PREFIX_BYTES: usize = 1024;
        if up.input().len() < PREFIX_BYTES {
            return Ok(Step::NeedMore);
        }
        let fields = Fields::read(&up.input()[HEADER_BYTES..PREFIX_BYTES]);
        let state = fields.state;
        let mut canonical = Vec::new();
        let refused = matches!(self.owed.front(), Some(Owed::Refused { .. } | Owed::RefusedSimple { .. }));
        let replaced = self.guarded || refused || self.withhold;
        let end = if header.tag == b'E' { self.end_cut() } else { None };
        if let Some(end) = end {
            canonical = end;
        } else if replaced && (header.tag == b'E' || fields.is_warning()) {
            Fields { message: b"", state: *b"XX000", ..fields }.write_canonical(&mut canonical, header.tag);
        }
        if replaced {
            up.put(&canonical);
            self.up = Up::Discard(header.len);
        } else {
            self.up = Up::Pass { left: header.len, counted: false };
        }
        if header.tag == b'E' {
            self.failed(state);
        }
        Ok(Step::Settled)
    }

    fn complete(&mut self, up: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        match self.owed.front_mut() {
            Some(Owed::Simple { run, part, current }) => {
                let ended = Done {
                    token: run.token.clone(),
                    number: run.number,
                    part: Some(*part),
                    outcome: Outcome::Ok,
                    rows: 0,
                    bytes: 0,
                    started_ns: run.started_ns,
                    plans: Plans::default(),
                };
                *part += 1;
                let ended_shape = current.take();
                let changes = J::changes_names(&run.token) && header.tag == b'C';
                if let Some(Current { plan, .. }) = ended_shape {
                    self.warn(up, &plan);
                }
                self.show(up, header.len);
                Ok(if changes { Step::Done(ended) } else { Step::Settled })
            }
            Some(Owed::Execute { .. }) => {
                let Some(Owed::Execute { portal, mut run }) = self.owed.pop_front() else { return Err(SURPRISE) };
                if run.outcome == Outcome::Cut {
                    up.skip(header.len);
                    self.finish(run.of_portal(&portal));
                    self.fail_to_sync()?;
                    return Ok(Step::Settled);
                }
                if header.tag == b's' {
                    run.outcome = Outcome::Suspended;
                }
                if let Shape::Planned { plan, .. } = &*portal.shape.borrow() {
                    self.warn(up, plan);
                }
                // A refused shape with no rows has said nothing yet; the completion alone tells the row count only.
                let refused = match &*portal.shape.borrow() {
                    Shape::Refused(refusal) => Some(refusal.clone()),
                    Shape::Unknown | Shape::Empty | Shape::Planned { .. } => None,
                };
                if let Some(refusal) = refused
                    && !self.withhold
                {
                    run.outcome = Outcome::Withheld;
                    up.skip(header.len);
                    up.put_with(|out| faults::write_refusal(out, "ERROR", &refusal, b""));
                    self.withhold = true;
                } else {
                    self.show(up, header.len);
                }
                self.finish(run.of_portal(&portal));
                Ok(Step::Settled)
            }
            _ => Err(SURPRISE),
        }
    }

    fn ready(&mut self, up: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        let status = match up.input().get(HEADER_BYTES) {
            Some(status @ (b'I' | b'T' | b'E')) if header.len == HEADER_BYTES + 1 => *status,
            _ => return Err(SURPRISE),
        };
        match self.owed.pop_front() {
            Some(Owed::Sync { .. } | Owed::RefusedSimple { .. }) => {}
            Some(Owed::Simple { run, .. }) => self.finish(run),
            _ => return Err(SURPRISE),
        }
        self.cycles_done += 1;
        self.transaction = status;
        self.withhold = false;
        if status == b'T' && self.fail_block()? {
            up.skip(header.len);
            return Ok(Step::Settled);
        }
        if let Some(error) = self.end_cut() {
            up.put(&error);
        }
        if status == b'I' {
            let done = self.cycles_done;
            while let Some(portal) = self.portals.take_if(|portal| portal.cycle < done) {
                self.spares.take_portal(portal);
            }
            if self.owed.is_empty() {
                self.guarded = false;
                self.moved = false;
                self.walk.rest();
            }
        }
        up.pass(header.len);
        Ok(Step::Settled)
    }

    fn error(&mut self, up: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        let fields = Fields::read(&up.input()[HEADER_BYTES..header.len]);
        let state = fields.state;
        let replacement = match self.owed.front_mut() {
            Some(Owed::Refused { error } | Owed::RefusedSimple { error }) if fields.severity == b"ERROR" => {
                Some(error.clone())
            }
            _ if self.guarded => {
                let mut canonical = Vec::new();
                fields.write_canonical(&mut canonical, b'E');
                Some(canonical.into())
            }
            _ => None,
        };
        match replacement {
            _ if self.withhold => {
                up.skip(header.len);
                if let Some(error) = self.end_cut() {
                    up.put(&error);
                }
            }
            Some(bytes) => {
                up.skip(header.len);
                up.put(&bytes);
            }
            None => up.pass(header.len),
        }
        self.failed(state);
        Ok(Step::Settled)
    }

    /// The oldest owed entry failed: in the extended protocol everything up to Sync is answered by that.
    fn failed(&mut self, state: [u8; 5]) {
        self.failures += 1;
        self.copy_out = None;
        if matches!(self.owed.front(), Some(Owed::CopyShape)) {
            self.copy_shape_failed(state);
            return;
        }
        let set = |run: &mut Run<J>| {
            if !matches!(run.outcome, Outcome::Withheld | Outcome::Cut) {
                run.outcome = Outcome::Error(state);
            }
        };
        match self.owed.front_mut() {
            Some(Owed::Simple { run, current, .. }) => {
                set(run);
                *current = None;
                return;
            }
            Some(Owed::RefusedSimple { .. } | Owed::Sync { .. }) | None => return,
            Some(_) => {}
        }
        let mut first = true;
        while let Some(entry) = self.owed.pop_front() {
            match entry {
                sync @ Owed::Sync { .. } => {
                    self.owed.push_front(sync);
                    return;
                }
                Owed::Execute { mut run, portal } => {
                    if first {
                        set(&mut run);
                    } else {
                        run.outcome = Outcome::Skipped;
                    }
                    self.finish(run.of_portal(&portal));
                }
                // Cannot stand between an extended request and its Sync, but if it does, the database ignores it too.
                Owed::Simple { mut run, .. } => {
                    if first {
                        set(&mut run);
                    } else {
                        run.outcome = Outcome::Skipped;
                    }
                    self.finish(run);
                }
                Owed::Parse { .. }
                | Owed::Shape { .. }
                | Owed::Bind { .. }
                | Owed::CopyShape
                | Owed::Describe
                | Owed::Close { .. }
                | Owed::Probe
                | Owed::Refused { .. }
                | Owed::RefusedSimple { .. } => {}
            }
            first = false;
        }
        self.skip_to_sync = true;
    }
}

/// `SELECT *` has generated columns, and `COPY` of the table has not.
fn other_columns() -> Refusal {
    Refusal {
        code: "TG2011",
        rule: "default:copy-out".to_owned(),
        message: "COPY sends other columns than its relation has, so they cannot be told apart".to_owned(),
        hint: Some("Name the columns: COPY table (a, b) TO STDOUT.".to_owned()),
        position: None,
    }
}
