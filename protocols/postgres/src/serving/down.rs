//! What the client sends. The closed world of frontend tags:
//!
//! | tag | treatment |
//! |---|---|
//! | `Q` Query, `P` Parse, `E` Execute | held for a decision |
//! | `B` Bind, `D` Describe | names resolved here, then passed |
//! | `C` Close, `S` Sync, `H` Flush, `d` `c` `f` COPY data | passed |
//! | `X` Terminate | ends the session |
//! | `F` FunctionCall | refused |
//! | anything else | fault |

use super::bind::{BindWalk, Said, Walk};
use super::{Down, Held, Owed, POISON, Portal, Prepared, Run, Serve, Shared};
use crate::faults;
use crate::frame::{self, HEADER_BYTES, Header};
use contract::{Ask, Fault, Judge, Lane, Outcome, Peer, Reader, Refusal, Serving as _, Step, Verdict, Via};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What else a Parse frame holds besides name and text: the parameter types.
const PARSE_EXTRA_BYTES: usize = 2 + 4 * 65_535;

impl<J: Judge> Serve<J> {
    pub(super) fn step_down(&mut self, down: &mut Lane) -> Result<Step<J>, Fault> {
        if self.poison.is_some() {
            self.send_poison(down);
        }
        match &mut self.down {
            Down::Frames => {}
            Down::Pass(left) => {
                let n = (*left).min(down.input().len());
                if n == 0 {
                    return Ok(Step::NeedMore);
                }
                down.pass(n);
                *left -= n;
                if *left == 0 {
                    self.down = Down::Frames;
                }
                return Ok(Step::Settled);
            }
            Down::Discard(left) => {
                let n = (*left).min(down.input().len());
                if n == 0 {
                    return Ok(Step::NeedMore);
                }
                down.skip(n);
                *left -= n;
                if *left == 0 {
                    self.down = Down::Frames;
                }
                return Ok(Step::Settled);
            }
            Down::Bind(walk) => {
                let before = down.input().len();
                if walk.rest.walk(down)? {
                    if let Down::Bind(walk) = std::mem::replace(&mut self.down, Down::Frames) {
                        let BindWalk { name, prepared, rest } = *walk;
                        self.bound(name, rest.said().portal(prepared, self.cycles_sent));
                    }
                    return Ok(Step::Settled);
                }
                return Ok(if down.input().len() < before { Step::Settled } else { Step::NeedMore });
            }
            Down::Held(_) => return Ok(Step::Blocked),
            Down::Shaping(_) => return Ok(self.step_shaping(down)),
        }
        if self.owed.len() >= self.limits.owed_max || down.scratch_queued() > self.limits.scratch_bytes_max {
            return Ok(Step::Blocked);
        }
        let Some(header) = frame::header(down.input(), Peer::Downstream)? else { return Ok(Step::NeedMore) };
        if self.skip_to_sync && !matches!(header.tag, b'S' | b'X') {
            self.discard(down, header.len);
            return Ok(Step::Settled);
        }
        if self.waits(down, header.tag) {
            return Ok(Step::Blocked);
        }
        match header.tag {
            b'Q' => self.query(down, header),
            b'P' => self.parse(down, header),
            b'B' => self.bind(down, header),
            b'D' => self.describe(down, header),
            b'E' => self.execute(down, header),
            b'C' => self.close(down, header),
            b'S' => {
                exact(header, 4, "invalid message format in Sync")?;
                if down.input().len() < header.len {
                    return Ok(Step::NeedMore);
                }
                down.pass(header.len);
                self.skip_to_sync = false;
                self.ran = false;
                self.end_cycle();
                self.owed.push_back(Owed::Sync { ignored_by_copy: self.copying });
                Ok(Step::Settled)
            }
            b'H' => {
                exact(header, 4, "invalid message format in Flush")?;
                if down.input().len() < header.len {
                    return Ok(Step::NeedMore);
                }
                down.pass(header.len);
                Ok(Step::Settled)
            }
            b'd' | b'c' | b'f' => {
                self.copying &= header.tag == b'd';
                self.down = Down::Pass(header.len);
                Ok(Step::Settled)
            }
            b'X' => {
                exact(header, 4, "invalid message format in Terminate")?;
                if down.input().len() < header.len {
                    return Ok(Step::NeedMore);
                }
                if self.keeps && self.is_idle() {
                    down.skip(header.len);
                } else {
                    down.pass(header.len);
                }
                Ok(Step::Goodbye)
            }
            b'F' => {
                let refusal = Refusal {
                    code: "TG5002",
                    rule: "default:function-call".to_owned(),
                    message: "the function call sub-protocol is refused by this gateway".to_owned(),
                    hint: Some("Call the function in a SELECT statement.".to_owned()),
                    position: None,
                };
                self.refuse_simple(down, header.len, &refusal, b"");
                Ok(Step::Settled)
            }
            _ => Err(Fault::downstream("invalid frontend message type")),
        }
    }

    /// A statement in flight can change what a name stands for: nothing that is judged by names goes on before it has
    /// ended. In a pipeline the database keeps its answers until it is asked to flush them.
    fn in_flux(&mut self, down: &mut Lane) -> bool {
        if self.names_in_flux == 0 {
            return false;
        }
        if !self.flux_flushed {
            self.flux_flushed = true;
            down.put_with(|out| frame::write(out, b'H', |_| {}));
        }
        true
    }

    /// A transaction can end with this cycle, and take back what moved names.
    pub(super) fn end_cycle(&mut self) {
        self.cycles_sent += 1;
        self.resolution += u64::from(self.moved);
    }

    /// Asks for the shape of a prepared statement; the answer ends here.
    fn ask_shape(&mut self, down: &mut Lane, name: &[u8], prepared: &Shared<Prepared<J>>) {
        down.put_with(|out| {
            frame::write(out, b'D', |b| {
                b.push(b'S');
                frame::text(b, name);
            });
        });
        let shape = prepared.shape.borrow().clone();
        self.owed.push_back(Owed::Shape { prepared: prepared.clone(), shape });
    }

    /// Drops a frame, as much of it as is here.
    pub(super) fn discard(&mut self, down: &mut Lane, len: usize) {
        let here = len.min(down.input().len());
        down.skip(here);
        if here < len {
            self.down = Down::Discard(len - here);
        }
    }

    fn query(&mut self, down: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        if self.in_flux(down) {
            return Ok(Step::Blocked);
        }
        if header.len > HEADER_BYTES + 1 + self.limits.statement_bytes_max {
            return Ok(self.hold_too_long(header, Via::Simple));
        }
        if down.input().len() < header.len {
            down.want(header.len);
            return Ok(Step::NeedMore);
        }
        let mut r = Reader::new(&down.input()[HEADER_BYTES..header.len]);
        let text = r.text().filter(|_| r.rest().is_empty());
        let text = text.ok_or(Fault::downstream("invalid string in message"))?;
        let text = (HEADER_BYTES, HEADER_BYTES + text.len());
        self.down = Down::Held(Held { via: Via::Simple, len: header.len, text, name: (0, 0), portal: None });
        Ok(Step::Ask(Ask::Text(Via::Simple)))
    }

    fn hold_too_long(&mut self, header: Header, via: Via) -> Step<J> {
        self.down = Down::Held(Held { via, len: header.len, text: (0, 0), name: (0, 0), portal: None });
        Step::Ask(Ask::TextTooLong(via))
    }

    fn parse(&mut self, down: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        if self.in_flux(down) {
            return Ok(Step::Blocked);
        }
        if header.len > HEADER_BYTES + self.limits.statement_bytes_max + self.limits.name_bytes_max + PARSE_EXTRA_BYTES
        {
            return Ok(self.hold_too_long(header, Via::Prepare));
        }
        if down.input().len() < header.len {
            down.want(header.len);
            return Ok(Step::NeedMore);
        }
        const MALFORMED: Fault = Fault::downstream("invalid message format in Parse");
        let mut r = Reader::new(&down.input()[HEADER_BYTES..header.len]);
        let name_len = r.text().ok_or(MALFORMED)?.len();
        let text_at = HEADER_BYTES + r.position();
        let text_len = r.text().ok_or(MALFORMED)?.len();
        let types = usize::from(r.i16().ok_or(MALFORMED)?.cast_unsigned());
        if r.rest().len() != types * 4 {
            return Err(MALFORMED);
        }
        if name_len > self.limits.name_bytes_max {
            return Err(Fault::downstream("prepared statement name longer than 63 bytes").with_state("42622"));
        }
        if text_len > self.limits.statement_bytes_max {
            return Ok(self.hold_too_long(header, Via::Prepare));
        }
        if name_len > 0 && self.prepared.len() + self.owed.len() >= self.limits.prepared_max {
            let name = &down.input()[HEADER_BYTES..HEADER_BYTES + name_len];
            if !self.prepared.contains(name) && self.named_after_owed() >= self.limits.prepared_max {
                self.report(down, header.len, "53400", "too many prepared statements in this session");
                return Ok(Step::Settled);
            }
        }
        self.down = Down::Held(Held {
            via: Via::Prepare,
            len: header.len,
            text: (text_at, text_at + text_len),
            name: (HEADER_BYTES, HEADER_BYTES + name_len),
            portal: None,
        });
        Ok(Step::Ask(Ask::Text(Via::Prepare)))
    }

    /// Named prepared statements there will be when everything owed is answered.
    fn named_after_owed(&self) -> usize {
        let mut named = self.prepared.len() - usize::from(self.prepared.contains(b""));
        for entry in &self.owed {
            match entry {
                Owed::Parse { name, .. } => named += usize::from(!name.is_empty()),
                Owed::Close { statement: Some(n), .. } if self.prepared.contains(n) => named = named.saturating_sub(1),
                _ => {}
            }
        }
        named
    }

    fn bind(&mut self, down: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        if self.in_flux(down) {
            return Ok(Step::Blocked);
        }
        const MALFORMED: Fault = Fault::downstream("invalid message format in Bind");
        let prefix_max = HEADER_BYTES + 2 * (self.limits.name_bytes_max + 1);
        let here = down.input().len().min(header.len);
        let mut r = Reader::new(&down.input()[HEADER_BYTES.min(here)..here]);
        let (portal, statement) = match (r.text(), r.text()) {
            (Some(portal), Some(statement)) => (portal, statement),
            _ if here == header.len => return Err(MALFORMED),
            _ if here > prefix_max => {
                return Err(
                    Fault::downstream("prepared statement or portal name longer than 63 bytes").with_state("42622")
                );
            }
            _ => return Ok(Step::NeedMore),
        };
        let prefix = HEADER_BYTES + r.position();
        if portal.len().max(statement.len()) > self.limits.name_bytes_max {
            return Err(Fault::downstream("prepared statement or portal name longer than 63 bytes").with_state("42622"));
        }
        if self.undecided(b'S', statement) {
            return Ok(Step::Blocked);
        }
        let Some(prepared) = self.statement(statement) else {
            let message = if statement.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(statement))
            };
            self.report(down, header.len, "26000", &message);
            return Ok(Step::Settled);
        };
        if let Some(refusal) = prepared.refusal() {
            self.refuse_extended(down, header.len, &refusal, b"");
            return Ok(Step::Settled);
        }
        if !portal.is_empty() && self.named_portals() >= self.limits.portals_max && !self.portals.contains(portal) {
            return Err(Fault::downstream("too many portals in this session").with_state("53400"));
        }
        let portal = portal.to_vec();
        if J::needs_shape(&prepared.token.borrow()) && prepared.resolution.replace(self.resolution) != self.resolution {
            let before = prepared.shape.replace(self.spares.shape());
            self.spares.take_shape(before);
            let statement = statement.to_vec();
            self.ask_shape(down, &statement, &prepared);
        }
        if here == header.len {
            let said = Said::read(&down.input()[prefix..here], self.limits.columns_max, &self.keeping)?;
            down.pass(here);
            self.bound(portal, said.portal(prepared, self.cycles_sent));
            return Ok(Step::Settled);
        }
        down.pass(prefix);
        let mut rest = Walk::new(header.len - prefix, self.limits.columns_max, &self.keeping);
        rest.walk(down)?;
        self.down = Down::Bind(Box::new(BindWalk { name: portal, prepared, rest }));
        Ok(Step::Settled)
    }

    /// This Bind is complete.
    fn bound(&mut self, name: Vec<u8>, portal: Portal<J>) {
        if self.skip_to_sync {
            return; // an earlier statement failed meanwhile: the database ignored this one
        }
        self.owed.push_back(Owed::Bind { name, portal: self.spares.portals.share(portal), forgotten: false });
    }

    /// Portals with names, as they will be when everything in flight is answered.
    fn named_portals(&self) -> usize {
        self.owed.iter().fold(self.portals.len(), |named, entry| match entry {
            Owed::Bind { name, .. } if !name.is_empty() => named + 1,
            Owed::Close { portal: Some(name), .. } if !name.is_empty() => named.saturating_sub(1),
            _ => named,
        })
    }

    /// The portal that a name means for the next request: what is bound or closed last, in flight or done.
    fn portal(&self, name: &[u8]) -> Option<Shared<Portal<J>>> {
        for entry in self.owed.iter().rev() {
            match entry {
                Owed::Bind { name: bound, portal, forgotten } if bound == name => {
                    return (!forgotten).then(|| portal.clone());
                }
                Owed::Close { portal: Some(closed), .. } if closed == name => return None,
                Owed::Simple { .. } if name.is_empty() => return None,
                _ => {}
            }
        }
        self.portals.get(name).cloned()
    }

    /// What was asked for this name before the last Sync or query has no answer yet. If it fails, the database goes on
    /// behind the Sync with what had the name before, so nothing that uses the name can be judged until then.
    fn undecided(&self, kind: u8, name: &[u8]) -> bool {
        let mut behind = false;
        for entry in self.owed.iter().rev() {
            match entry {
                Owed::Sync { .. } | Owed::Simple { .. } | Owed::RefusedSimple { .. } => behind = true,
                Owed::Bind { name: bound, .. } if kind == b'P' && bound == name => return behind,
                Owed::Close { portal: Some(closed), .. } if kind == b'P' && closed == name => return behind,
                Owed::Parse { name: parsed, .. } if kind == b'S' && parsed == name => return behind,
                Owed::Close { statement: Some(closed), .. } if kind == b'S' && closed == name => return behind,
                _ => {}
            }
        }
        false
    }

    fn named(
        &self,
        down: &mut Lane,
        header: Header,
        extra: usize,
        what: &'static str,
    ) -> Result<Option<(u8, Vec<u8>)>, Fault> {
        if header.len > HEADER_BYTES + 2 + self.limits.name_bytes_max + extra {
            return Err(Fault::downstream(what));
        }
        if down.input().len() < header.len {
            return Ok(None);
        }
        let mut r = Reader::new(&down.input()[HEADER_BYTES..header.len]);
        let kind = r.u8().ok_or_else(|| Fault::downstream(what))?;
        let name = r.text().ok_or_else(|| Fault::downstream(what))?.to_vec();
        if !r.rest().is_empty() || !matches!(kind, b'S' | b'P') {
            return Err(Fault::downstream(what));
        }
        Ok(Some((kind, name)))
    }

    fn describe(&mut self, down: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        if self.in_flux(down) {
            return Ok(Step::Blocked);
        }
        let Some((_, _)) = self.named(down, header, 0, "invalid message format in Describe")? else {
            return Ok(Step::NeedMore);
        };
        down.pass(header.len);
        self.owed.push_back(Owed::Describe);
        Ok(Step::Settled)
    }

    fn close(&mut self, down: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        let Some((kind, name)) = self.named(down, header, 0, "invalid message format in Close")? else {
            return Ok(Step::NeedMore);
        };
        down.pass(header.len);
        let (statement, portal) = if kind == b'S' { (Some(name), None) } else { (None, Some(name)) };
        self.owed.push_back(Owed::Close { statement, portal });
        Ok(Step::Settled)
    }

    fn execute(&mut self, down: &mut Lane, header: Header) -> Result<Step<J>, Fault> {
        if self.in_flux(down) {
            return Ok(Step::Blocked);
        }
        const MALFORMED: Fault = Fault::downstream("invalid message format in Execute");
        if header.len > HEADER_BYTES + 1 + self.limits.name_bytes_max + 4 {
            return Err(MALFORMED);
        }
        if down.input().len() < header.len {
            return Ok(Step::NeedMore);
        }
        let mut r = Reader::new(&down.input()[HEADER_BYTES..header.len]);
        let name = r.text().ok_or(MALFORMED)?;
        let row_limit = r.u32().filter(|_| r.rest().is_empty()).ok_or(MALFORMED)?;
        if self.undecided(b'P', name) {
            return Ok(Step::Blocked);
        }
        let Some(portal) = self.portal(name) else {
            let message = format!("portal \"{}\" does not exist", String::from_utf8_lossy(name));
            self.report(down, header.len, "34000", &message);
            return Ok(Step::Settled);
        };
        let refused = portal.prepared.refusal();
        if let Some(refusal) = refused {
            self.refuse_extended(down, header.len, &refusal, b"");
            return Ok(Step::Settled);
        }
        let token = portal.prepared.token.borrow().clone();
        let (parameters, values) = (portal.parameters, portal.values.as_ref().map(|kept| Rc::clone(&kept.values)));
        let resumed = portal.started.get();
        let portal = Some(portal);
        self.down = Down::Held(Held { via: Via::Execute, len: header.len, text: (0, 0), name: (0, 0), portal });
        Ok(Step::Ask(Ask::Execute { token, row_limit, resumed, parameters, values }))
    }

    /// An error of the server's own kind, in its turn.
    fn report(&mut self, down: &mut Lane, len: usize, state: &str, message: &str) {
        let mut error = Vec::new();
        faults::write_error(&mut error, "ERROR", state, message, "", "", 0);
        self.poison_parse(down, len, error);
    }

    pub(super) fn refuse_extended(&mut self, down: &mut Lane, len: usize, refusal: &Refusal, text: &[u8]) {
        let mut error = Vec::new();
        faults::write_refusal(&mut error, "ERROR", refusal, text);
        self.poison_parse(down, len, error);
    }

    fn poison_parse(&mut self, down: &mut Lane, len: usize, error: Vec<u8>) {
        self.discard(down, len);
        down.put_with(|out| {
            frame::write(out, b'P', |b| {
                frame::text(b, b"tidegate_refused");
                frame::text(b, POISON.as_bytes());
                b.extend_from_slice(&[0, 0]);
            });
        });
        self.owed.push_back(Owed::Refused { error: error.into() });
        self.skip_to_sync = true;
    }

    pub(super) fn refuse_simple(&mut self, down: &mut Lane, len: usize, refusal: &Refusal, text: &[u8]) {
        let mut error = Vec::new();
        faults::write_refusal(&mut error, "ERROR", refusal, text);
        self.discard(down, len);
        down.put_with(|out| frame::write(out, b'Q', |b| frame::text(b, POISON.as_bytes())));
        self.cycles_sent += 1;
        self.owed.push_back(Owed::RefusedSimple { error: error.into() });
    }

    pub(super) fn resolve_held(&mut self, down: &mut Lane, _up: &mut Lane, verdict: Verdict<J>) -> Result<(), Fault> {
        self.settling = false;
        let Down::Held(held) = std::mem::replace(&mut self.down, Down::Frames) else {
            debug_assert!(false, "resolve without a held frame");
            return Ok(());
        };
        if self.skip_to_sync {
            // An earlier statement of the pipeline failed while this one was held.
            self.discard(down, held.len);
            if let (Verdict::Forward { token, number, now_ns }, Via::Simple | Via::Execute) = (verdict, held.via) {
                let outcome = Outcome::Skipped;
                self.done.push_back(Run::new(token, number, now_ns, outcome).done());
            }
            return Ok(());
        }
        let (token, number, now_ns) = match verdict {
            Verdict::Forward { token, number, now_ns } => (token, number, now_ns),
            Verdict::Explain(refusal) => {
                self.explain(down, &held, &refusal);
                return Ok(());
            }
            Verdict::Refuse(refusal) => {
                let text = down.input().get(held.text.0..held.text.1).unwrap_or_default().to_vec();
                match held.via {
                    Via::Simple => self.refuse_simple(down, held.len, &refusal, &text),
                    Via::Prepare | Via::Execute => self.refuse_extended(down, held.len, &refusal, &text),
                }
                return Ok(());
            }
        };
        if held.via != Via::Prepare
            && let Some(outs) = J::copies_out(&token).filter(|outs| !outs.is_empty())
        {
            self.ask_copy_shapes(down, held, token, number, now_ns, outs);
            return Ok(());
        }
        self.forward_run(down, held, Run::new(token, number, now_ns, Outcome::Ok));
        Ok(())
    }

    /// Sends the held frame to the database.
    pub(super) fn forward_run(&mut self, down: &mut Lane, held: Held<J>, run: Run<J>) {
        self.note_forwarded_if_run(held.via, &run.token);
        match held.via {
            Via::Simple => {
                down.pass(held.len);
                self.end_cycle();
                self.copying = J::copies_in(&run.token);
                if let Some(portal) = self.portals.remove(b"") {
                    self.spares.take_portal(portal);
                }
                self.owed.push_back(Owed::Simple { run, part: 0, current: None });
            }
            Via::Prepare => {
                let name = down.input()[held.name.0..held.name.1].to_vec();
                let needs_shape = J::needs_shape(&run.token);
                // Behind the text: its end, and the number of types.
                let types = down.input().get(held.text.1 + 3..held.len).unwrap_or_default().into();
                let (token, shape) = (RefCell::new(run.token), RefCell::new(self.spares.shape()));
                let (read, resolution) = (self.resolution, Cell::new(self.resolution));
                let prepared = self.spares.prepared.share(Prepared { token, shape, resolution, read, types });
                down.pass(held.len);
                self.owed.push_back(Owed::Parse { name: name.clone(), prepared: prepared.clone() });
                if needs_shape {
                    self.ask_shape(down, &name, &prepared);
                }
            }
            Via::Execute => {
                down.pass(held.len);
                self.copying = J::copies_in(&run.token);
                self.ran = true;
                if let Some(portal) = held.portal {
                    portal.started.set(true);
                    self.owed.push_back(Owed::Execute { portal, run });
                }
            }
        }
    }

    /// Has the database parse the held text, under no name, and makes sure that nothing comes of it.
    fn explain(&mut self, down: &mut Lane, held: &Held<J>, refusal: &Refusal) {
        let text = down.input()[held.text.0..held.text.1].to_vec();
        let mut error = Vec::new();
        faults::write_refusal(&mut error, "ERROR", refusal, &text);
        self.discard(down, held.len);
        let simple = held.via == Via::Simple;
        down.put_with(|out| {
            for text in [&text[..], POISON.as_bytes()] {
                frame::write(out, b'P', |b| {
                    b.push(0);
                    frame::text(b, text);
                    b.extend_from_slice(&[0, 0]);
                });
            }
            if simple {
                frame::write(out, b'S', |_| {});
            }
        });
        self.owed.push_back(Owed::Probe);
        self.owed.push_back(Owed::Refused { error: error.into() });
        if simple {
            self.cycles_sent += 1;
            self.owed.push_back(Owed::Sync { ignored_by_copy: false });
        } else {
            self.skip_to_sync = true;
        }
    }

    /// Errors of a Parse or Bind can quote data too, so a guarded preparation guards the transaction as well.
    fn note_forwarded_if_run(&mut self, via: Via, token: &J::Token) {
        match via {
            Via::Simple | Via::Execute => self.note_forwarded(token),
            Via::Prepare => self.guarded |= J::guarded(token),
        }
    }
}

fn exact(header: Header, body: usize, what: &'static str) -> Result<(), Fault> {
    if header.len == body + 1 { Ok(()) } else { Err(Fault::downstream(what)) }
}
