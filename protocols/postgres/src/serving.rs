//! Steady state: every frame after login, both directions (manual: Simple Query, Extended Query, COPY Operations,
//! Asynchronous Operations).
//!
//! ```text
//!  client ──▶ down.rs ──▶ [Ask: held] ──resolve──▶ database          owed: what the database still has to answer,
//!  client ◀── up.rs   ◀── [Columns: held] ◀──plan── database                in order; refusals are entries like others
//! ```
//!
//! Invariants:
//! * a name means what the database means by it: a prepared statement counts from ParseComplete on (or as a parse that is
//!   still owed), names longer than the server keeps are refused, and while a statement that can change names is in
//!   flight nothing is bound;
//! * rows pass only under a plan made for the very shape they have, or for statements that need none;
//! * every forwarded frame that will be answered has an entry in `owed`.
//!
//! Deliberately absent: decisions. `resolve` and `plan` bring them in.

mod bind;
mod copy_giant;
mod copy_rows;
mod copy_shapes;
mod cut;
mod described;
mod down;
mod reuse;
mod rows;
mod up;
mod walk;

use crate::faults;
use crate::frame::{self, HEADER_BYTES};
use bind::BindWalk;
use bytes::Bytes;
use contract::{
    Column, Done, Fault, Flow, Format, Given, Judge, Lane, Limits, Outcome, Plans, Refusal, Rejudge, Serving, Step,
    Verdict, Via,
};
use copy_rows::{Copying, Planned};
use copy_shapes::Shaping;
use reuse::{Named, Shared, Spare};
use rows::Giant;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Frames that one step settles where nobody is to be asked: most are, and need not be told of one by one.
const FRAMES_PER_STEP: usize = 16;

/// Statements the database cannot parse, sent instead of refused ones. The DBA sees them in the server's log.
const POISON: &str = "tidegate: statement refused by policy";

/// What is known of a statement's result.
enum Shape<J: Judge> {
    /// Described but not answered yet, or not described because its token needs no shape.
    Unknown,
    /// Returns no rows.
    Empty,
    /// Known and planned.
    Planned { columns: Rc<[Column]>, plan: J::Plan },
    /// Its rows must not be returned.
    Refused(Refusal),
}

/// A prepared statement.
struct Prepared<J: Judge> {
    token: RefCell<J::Token>,
    /// Portals keep the shape they were bound under; a new description gets a new cell.
    shape: RefCell<SharedShape<J>>,
    /// Resolution of names (see [`Serve::resolution`]) the shape was asked for under.
    resolution: Cell<u64>,
    /// The same at its Parse, when literals were read.
    read: u64,
    /// Types of its parameters, as they came.
    types: Box<[u8]>,
}

type SharedShape<J> = Shared<RefCell<Shape<J>>>;

impl<J: Judge> Prepared<J> {
    fn refusal(&self) -> Option<Refusal> {
        match &*self.shape.borrow().borrow() {
            Shape::Refused(refusal) => Some(refusal.clone()),
            Shape::Unknown | Shape::Empty | Shape::Planned { .. } => None,
        }
    }

    /// Judges the statement again under other rules.
    fn renew(&self, judge: &mut Rejudge<'_, J>) {
        let columns = match &*self.shape.borrow().borrow() {
            Shape::Planned { columns, .. } => Some(Rc::clone(columns)),
            Shape::Unknown | Shape::Empty | Shape::Refused(_) => None,
        };
        let described = J::needs_shape(&self.token.borrow());
        let verdict = judge(&self.token.borrow(), columns.as_deref());
        let shape = match verdict {
            Err(refusal) => Some(Shape::Refused(refusal)),
            Ok((token, plan)) => {
                let blind = !described && J::needs_shape(&token);
                *self.token.borrow_mut() = token;
                match (plan, columns) {
                    (Some(Ok(plan)), Some(columns)) => Some(Shape::Planned { columns, plan }),
                    (Some(Err(refusal)), _) => Some(Shape::Refused(refusal)),
                    _ if blind => Some(Shape::Refused(Refusal {
                        code: "TG5003",
                        rule: "default:prepared-before-reload".to_owned(),
                        message: "this statement was prepared before the rules changed".to_owned(),
                        hint: Some("Prepare it again.".to_owned()),
                        position: None,
                    })),
                    _ => None,
                }
            }
        };
        if let Some(shape) = shape {
            *self.shape.borrow().borrow_mut() = shape;
        }
    }
}

/// Result formats chosen at Bind.
#[derive(Debug, Default, Clone)]
enum Formats {
    #[default]
    Text,
    Binary,
    Each(Rc<[Format]>),
}

impl Formats {
    fn of(&self, column: usize) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::Binary => Format::Binary,
            Self::Each(list) => list.get(column).copied().unwrap_or(Format::Text),
        }
    }
}

/// What is to be done about a result that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    /// Nothing.
    None,
    /// The session has not heard of it.
    Wanted,
    /// It is on its way.
    Sent,
}

struct Portal<J: Judge> {
    /// It was run: to run it again is to go on with it.
    started: Cell<bool>,
    prepared: Shared<Prepared<J>>,
    shape: SharedShape<J>,
    formats: Formats,
    parameters: Option<[u8; 32]>,
    values: Option<bind::Kept>,
    /// Formats of its parameters, if they were kept.
    inputs: Option<Box<[u8]>>,
    cycle: u64,
}

/// Progress of one statement's answer.
struct Run<J: Judge> {
    token: J::Token,
    number: u64,
    started_ns: u64,
    rows: u64,
    bytes: u64,
    outcome: Outcome,
    /// Plans for the COPYs of its text.
    copies: Vec<Planned<J::Plan>>,
    /// Plans that its results have had so far.
    plans: Plans<J>,
}

impl<J: Judge> Run<J> {
    /// It goes upstream now.
    fn new(token: J::Token, number: u64, started_ns: u64, outcome: Outcome) -> Self {
        let (copies, plans) = (Vec::new(), Plans::default());
        Self { token, number, started_ns, rows: 0, bytes: 0, outcome, copies, plans }
    }

    fn done(self) -> Done<J> {
        Done {
            token: self.token,
            number: self.number,
            part: None,
            outcome: self.outcome,
            rows: self.rows,
            bytes: self.bytes,
            started_ns: self.started_ns,
            plans: self.plans,
        }
    }

    /// The run of a portal is over.
    fn of_portal(mut self, portal: &Portal<J>) -> Self {
        if let Shape::Planned { plan, .. } = &*portal.shape.borrow() {
            self.plans.push(plan.clone());
        }
        self
    }
}

/// A reply the database owes.
enum Owed<J: Judge> {
    Parse {
        name: Vec<u8>,
        prepared: Shared<Prepared<J>>,
    },
    /// Our own Describe; the reply ends here.
    Shape {
        prepared: Shared<Prepared<J>>,
        shape: SharedShape<J>,
    },
    /// The portal has its name only once the database says so: a Bind that fails leaves what had the name before.
    Bind {
        name: Vec<u8>,
        portal: Shared<Portal<J>>,
        /// SQL may have given or taken the name since.
        forgotten: bool,
    },
    /// Our own Parse, Describe and Close of a COPY's shape; the replies end here.
    CopyShape,
    /// The client's Describe of a statement: ParameterDescription, then RowDescription or NoData.
    Describe,
    Execute {
        portal: Shared<Portal<J>>,
        run: Run<J>,
    },
    Close {
        statement: Option<Vec<u8>>,
        portal: Option<Vec<u8>>,
    },
    /// `ignored_by_copy`: sent while the statement before it may be reading COPY data; if it is, nobody answers.
    Sync {
        ignored_by_copy: bool,
    },
    /// A text we do not understand, parsed under no name; the refusal behind it speaks if this succeeds.
    Probe,
    Simple {
        run: Run<J>,
        part: usize,
        current: Option<Current<J>>,
    },
    /// A poisoned Parse; the error that answers it becomes these bytes.
    Refused {
        error: Bytes,
    },
    /// A poisoned Query: the error, then ReadyForQuery.
    RefusedSimple {
        error: Bytes,
    },
}

/// Shape of the rows that a simple query is returning now.
struct Current<J: Judge> {
    plan: J::Plan,
    formats: Formats,
}

/// What the frame at the front of the client's lane is held for.
struct Held<J: Judge> {
    via: Via,
    /// Whole frame in bytes.
    len: usize,
    /// Statement text within it.
    text: (usize, usize),
    /// Prepared statement's name, within it.
    name: (usize, usize),
    portal: Option<Shared<Portal<J>>>,
}

/// Memory of what was prepared and bound, for what is next.
struct Spares<J: Judge> {
    prepared: Spare<Prepared<J>>,
    portals: Spare<Portal<J>>,
    shapes: Spare<RefCell<Shape<J>>>,
}

impl<J: Judge> Default for Spares<J> {
    fn default() -> Self {
        Self { prepared: Spare::default(), portals: Spare::default(), shapes: Spare::default() }
    }
}

impl<J: Judge> Spares<J> {
    fn shape(&mut self) -> SharedShape<J> {
        self.shapes.share(RefCell::new(Shape::Unknown))
    }

    fn take_shape(&mut self, shape: SharedShape<J>) {
        drop(self.shapes.take_back(shape));
    }

    fn take_prepared(&mut self, prepared: Shared<Prepared<J>>) {
        if let Some(prepared) = self.prepared.take_back(prepared) {
            self.take_shape(prepared.shape.into_inner());
        }
    }

    fn take_portal(&mut self, portal: Shared<Portal<J>>) {
        if let Some(portal) = self.portals.take_back(portal) {
            self.take_shape(portal.shape);
            self.take_prepared(portal.prepared);
        }
    }
}

/// What the client's lane is doing between frames.
enum Down<J: Judge> {
    Frames,
    Pass(usize),
    Discard(usize),
    Bind(Box<BindWalk<J>>),
    Held(Held<J>),
    /// Held until the shapes of its COPYs are planned.
    Shaping(Box<Shaping<J>>),
}

/// What the database's lane is doing between frames.
#[derive(Debug)]
enum Up {
    Frames,
    Pass {
        left: usize,
        counted: bool,
    },
    Discard(usize),
    Giant(Box<Giant>),
    /// In a CopyData frame that is masked as it comes.
    Copy(usize),
    /// A RowDescription of this length is held.
    Columns(usize),
}

/// Which notifications reach the client.
pub type Channels = Rc<dyn Fn(&[u8]) -> bool>;

/// The steady state of one conversation.
pub struct Serve<J: Judge> {
    limits: Limits,
    keeping: bind::Keeping,
    /// The connection to the database may outlive the conversation.
    keeps: bool,
    channels: Channels,
    prepared: Named<Shared<Prepared<J>>>,
    portals: Named<Shared<Portal<J>>>,
    spares: Spares<J>,
    owed: VecDeque<Owed<J>>,
    done: VecDeque<Done<J>>,
    down: Down<J>,
    up: Up,
    /// After a refusal or an error: what the client sends until Sync ends here.
    skip_to_sync: bool,
    /// Rows were refused after the statement was forwarded: nothing more is shown until ReadyForQuery.
    withhold: bool,
    /// Statements in flight that can change what a name stands for.
    names_in_flux: usize,
    /// Counts what can change the relations that names in statements mean (DDL, search_path, and the end of a transaction
    /// that had such): the database plans again, so a shape asked for before is asked for again at Bind.
    resolution: u64,
    /// Such a statement ran in this transaction.
    moved: bool,
    /// The database was asked to flush what it has said about them.
    flux_flushed: bool,
    /// Simple queries and Syncs forwarded, and answered.
    cycles_sent: u64,
    cycles_done: u64,
    transaction: u8,
    /// Errors of the database.
    failures: u64,
    /// A statement that may read COPY data was forwarded, and the end of the data was not.
    copying: bool,
    /// A guarded statement ran in this transaction.
    guarded: bool,
    /// The COPY out that is running, if its rows have a plan.
    copy_out: Option<Box<Copying<J::Plan>>>,
    /// Statements in flight whose rows are counted; nothing is forwarded behind one.
    metered: usize,
    /// The database was asked to flush what it has said about it.
    meter_flushed: bool,
    /// The result that arrives was cut: this is its end, in place of the database's.
    cut: Option<Refusal>,
    cancel: Cancel,
    /// Something prepared has run since the last Sync.
    ran: bool,
    /// The database was asked to flush what is before the held statement.
    settling: bool,
    /// A statement that fails, to be sent before anything else: a Parse or a Query.
    poison: Option<u8>,
    scratch: Vec<u8>,
    walk: walk::Walk,
}

impl<J: Judge> std::fmt::Debug for Serve<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serve")
            .field("owed", &self.owed.len())
            .field("prepared", &self.prepared.len())
            .field("transaction", &self.transaction)
            .finish_non_exhaustive()
    }
}

/// A parameter the database reports must not contradict what statements are read with.
///
/// # Errors
/// A fault of the upstream: the session cannot go on.
pub fn check_parameter(name: &[u8], value: &[u8]) -> Result<(), Fault> {
    match name {
        b"standard_conforming_strings" if value != b"on" => {
            Err(Fault::upstream("standard_conforming_strings must stay on through this gateway").with_state("42501"))
        }
        b"client_encoding" if value != b"UTF8" && value != b"SQL_ASCII" => {
            Err(Fault::upstream("client_encoding must stay UTF8 through this gateway").with_state("42501"))
        }
        _ => Ok(()),
    }
}

impl<J: Judge> Serve<J> {
    /// After login, with nothing owed.
    #[must_use]
    pub fn new(limits: Limits, channels: Channels) -> Self {
        Self {
            limits,
            keeping: bind::Keeping::default(),
            keeps: false,
            channels,
            prepared: Named::default(),
            portals: Named::default(),
            spares: Spares::default(),
            owed: VecDeque::new(),
            done: VecDeque::new(),
            down: Down::Frames,
            up: Up::Frames,
            skip_to_sync: false,
            withhold: false,
            names_in_flux: 0,
            resolution: 0,
            moved: false,
            flux_flushed: false,
            cycles_sent: 0,
            cycles_done: 0,
            transaction: b'I',
            failures: 0,
            copying: false,
            guarded: false,
            copy_out: None,
            metered: 0,
            meter_flushed: false,
            cut: None,
            cancel: Cancel::None,
            ran: false,
            settling: false,
            poison: None,
            scratch: Vec::new(),
            walk: walk::Walk::default(),
        }
    }

    /// Keeps the parameters of each Bind for [`contract::Ask::Execute`]: at most so many bytes of one, and of all.
    #[must_use]
    pub fn keeping_parameters(mut self, each_max: usize, all_max: usize) -> Self {
        self.keeping = bind::Keeping { each_max, all_max, kept: Rc::default() };
        self
    }

    /// A client that goes while nothing is under way leaves its connection to the database standing.
    #[must_use]
    pub fn keeping_connection(mut self) -> Self {
        self.keeps = true;
        self
    }

    fn held(&self) -> Option<&Held<J>> {
        match &self.down {
            Down::Held(held) => Some(held),
            Down::Frames | Down::Pass(_) | Down::Discard(_) | Down::Bind(_) | Down::Shaping(_) => None,
        }
    }

    /// Transaction status as last reported: `I`, `T` or `E`.
    #[must_use]
    pub fn transaction(&self) -> u8 {
        self.transaction
    }

    fn note_forwarded(&mut self, token: &J::Token) {
        self.guarded |= J::guarded(token);
        if J::moves_names(token) {
            self.resolution += 1;
            self.moved = true;
        }
        if J::changes_names(token) {
            self.names_in_flux += 1;
            self.flux_flushed = false;
        }
        if J::metered(token) {
            self.metered += 1;
            self.meter_flushed = false;
        }
    }

    /// The statement is over: its record is due.
    fn finish(&mut self, run: Run<J>) {
        self.names_in_flux -= usize::from(J::changes_names(&run.token)).min(self.names_in_flux);
        self.metered -= usize::from(J::metered(&run.token)).min(self.metered);
        self.done.push_back(run.done());
    }

    /// The prepared statement a Bind or Describe means by `name`: the newest parse still owed, else the map.
    fn statement(&self, name: &[u8]) -> Option<Shared<Prepared<J>>> {
        for entry in self.owed.iter().rev() {
            match entry {
                Owed::Parse { name: n, prepared } if n == name => return Some(prepared.clone()),
                Owed::Close { statement: Some(n), .. } if n == name => return None,
                _ => {}
            }
        }
        self.prepared.get(name).cloned()
    }

    fn shape_of(columns: &[u8]) -> Result<(Vec<Column>, Formats), Fault> {
        rows::description(columns)
    }
}

/// Goes on as long as frames are settled, and no longer than [`FRAMES_PER_STEP`].
#[inline(always)]
fn few<J: Judge>(mut step: impl FnMut() -> Result<Step<J>, Fault>) -> Result<Step<J>, Fault> {
    for settled in 0..FRAMES_PER_STEP {
        let step = step();
        match &step {
            // There is nothing in it to be dropped, which a call would find out each time.
            Ok(Step::Settled) => std::mem::forget(step),
            Ok(Step::NeedMore | Step::Blocked) if settled > 0 => break,
            _ => return step,
        }
    }
    Ok(Step::Settled)
}

impl<J: Judge> Serving<J> for Serve<J> {
    fn downstream(&mut self, down: &mut Lane, _up: &mut Lane) -> Result<Step<J>, Fault> {
        few(|| self.step_down(down))
    }

    fn upstream(&mut self, up: &mut Lane, down: &mut Lane) -> Result<Step<J>, Fault> {
        few(|| self.step_up(up, down))
    }

    fn text<'a>(&self, down: &'a Lane) -> &'a [u8] {
        match &self.down {
            Down::Held(held) => down.input().get(held.text.0..held.text.1).unwrap_or_default(),
            Down::Frames | Down::Pass(_) | Down::Discard(_) | Down::Bind(_) | Down::Shaping(_) => &[],
        }
    }

    fn resolve(&mut self, down: &mut Lane, up: &mut Lane, verdict: Verdict<J>) -> Result<(), Fault> {
        self.resolve_held(down, up, verdict)
    }

    fn description<'a>(&self, up: &'a Lane) -> &'a [u8] {
        match self.up {
            Up::Columns(len) => up.input().get(HEADER_BYTES..len).unwrap_or_default(),
            _ => &[],
        }
    }

    fn columns(&mut self, up: &Lane) -> Result<Vec<Column>, Fault> {
        let Up::Columns(len) = self.up else { return Ok(Vec::new()) };
        Self::shape_of(&up.input()[HEADER_BYTES..len]).map(|(columns, _)| columns)
    }

    fn plan(&mut self, up: &mut Lane, down: &mut Lane, plan: Result<J::Plan, Refusal>) -> Result<(), Fault> {
        self.plan_held(up, down, plan)
    }

    fn unanswered(&mut self) -> Vec<Done<J>> {
        let mut left: Vec<Done<J>> = self.done.drain(..).collect();
        if let Down::Shaping(shaping) = std::mem::replace(&mut self.down, Down::Frames) {
            left.push(shaping.abandoned().done());
        }
        for entry in self.owed.drain(..) {
            match entry {
                Owed::Execute { run, portal } => left.push(run.of_portal(&portal).done()),
                Owed::Simple { run, .. } => left.push(run.done()),
                Owed::Parse { .. }
                | Owed::Shape { .. }
                | Owed::Bind { .. }
                | Owed::CopyShape
                | Owed::Describe
                | Owed::Close { .. }
                | Owed::Sync { .. }
                | Owed::Probe
                | Owed::Refused { .. }
                | Owed::RefusedSimple { .. } => {}
            }
        }
        left
    }

    fn flow(&self) -> Option<Flow> {
        match self.owed.front() {
            Some(Owed::Execute { run, .. } | Owed::Simple { run, .. }) => {
                Some(Flow { number: run.number, rows: run.rows, bytes: run.bytes })
            }
            _ => None,
        }
    }

    fn has_ended(&self) -> bool {
        !self.done.is_empty()
    }

    fn is_whole(&self) -> bool {
        matches!(self.up, Up::Frames | Up::Discard(_) | Up::Columns(_))
    }

    fn is_busy(&self) -> bool {
        !self.owed.is_empty() || !self.done.is_empty() || matches!(self.down, Down::Shaping(_))
    }

    fn is_idle(&self) -> bool {
        self.owed.is_empty()
            && self.done.is_empty()
            && self.transaction == b'I'
            // What was executed is taken back if nothing ends its transaction.
            && !self.ran
            && matches!(self.down, Down::Frames)
            && !self.skip_to_sync
            && self.cancel == Cancel::None
    }

    fn renewed(&mut self, judge: &mut Rejudge<'_, J>) {
        for prepared in self.prepared.values() {
            prepared.renew(judge);
        }
        for entry in &self.owed {
            if let Owed::Parse { prepared, .. } = entry {
                prepared.renew(judge);
            }
        }
        let coming = self.owed.iter().filter_map(|o| match o {
            Owed::Bind { portal, .. } => Some(portal),
            _ => None,
        });
        for portal in self.portals.values().chain(coming) {
            let listed = self.prepared.values().any(|p| p.is(&portal.prepared));
            if !listed {
                portal.prepared.renew(judge);
            }
        }
    }

    fn has_prepared(&self, name: &[u8]) -> bool {
        self.prepared.contains(name) || self.owed.iter().any(|o| matches!(o, Owed::Parse { name: n, .. } if n == name))
    }

    fn has_portal(&self, name: &[u8]) -> bool {
        self.portals.contains(name) || self.owed.iter().any(|o| matches!(o, Owed::Bind { name: n, .. } if n == name))
    }

    fn forget_prepared(&mut self, name: Option<&[u8]>) {
        match name {
            Some(name) => drop(self.prepared.remove(name)),
            None => self.prepared.clear(),
        }
    }

    fn forget_portal(&mut self, name: Option<&[u8]>) {
        match name {
            Some(name) => drop(self.portals.remove(name)),
            None => self.portals.clear(),
        }
        for entry in &mut self.owed {
            if let Owed::Bind { name: bound, forgotten, .. } = entry {
                *forgotten |= name.is_none_or(|name| name == bound.as_slice());
            }
        }
    }

    fn wants_cancel(&mut self) -> bool {
        let wanted = self.cancel == Cancel::Wanted;
        if wanted {
            self.cancel = Cancel::Sent;
        }
        wanted
    }

    fn cancelled(&mut self) {
        self.cancel = Cancel::None;
    }

    fn is_settled(&mut self, down: &mut Lane) -> bool {
        let settled = self.owed.is_empty() && self.done.is_empty() && matches!(self.up, Up::Frames);
        if !settled
            && !std::mem::replace(&mut self.settling, true)
            && self.held().is_some_and(|h| h.via == Via::Execute)
        {
            down.put_with(|out| frame::write(out, b'H', |_| {}));
        }
        settled
    }

    fn is_skipping(&self) -> bool {
        self.skip_to_sync
    }

    fn in_transaction(&self) -> bool {
        self.transaction != b'I' || self.ran
    }

    fn is_behind(&self) -> bool {
        let ends = |entry: &Owed<J>| {
            matches!(entry, Owed::Simple { .. } | Owed::RefusedSimple { .. } | Owed::Execute { .. } | Owed::Sync { .. })
        };
        !self.done.is_empty() || self.owed.iter().any(ends)
    }

    fn is_read_anew(&self) -> bool {
        self.held().and_then(|held| held.portal.as_ref()).is_none_or(|portal| portal.prepared.read == self.resolution)
    }

    fn failures(&self) -> u64 {
        self.failures
    }

    fn held_token(&self) -> Option<Result<J::Token, Refusal>> {
        let prepared = &self.held()?.portal.as_ref()?.prepared;
        Some(prepared.refusal().map_or_else(|| Ok(prepared.token.borrow().clone()), Err))
    }

    fn given(&self) -> Option<Given> {
        let Some(portal) = self.held().and_then(|held| held.portal.as_ref()) else { return Some(Given::default()) };
        let types = portal.prepared.types.chunks_exact(4).map(|t| u32::from_be_bytes([t[0], t[1], t[2], t[3]]));
        let formats = portal.inputs.as_deref().unwrap_or_default();
        if portal.parameters.is_some() && portal.inputs.is_none() {
            return None;
        }
        Some(Given {
            types: types.collect(),
            formats: formats.iter().map(|f| if *f == 0 { Format::Text } else { Format::Binary }).collect(),
            digest: portal.parameters,
            values: portal.values.as_ref().map(|kept| Rc::clone(&kept.values)),
        })
    }

    fn keep_parameters(&mut self, each_max: usize, all_max: usize) {
        self.keeping.each_max = self.keeping.each_max.max(each_max);
        self.keeping.all_max = self.keeping.all_max.max(all_max);
    }

    fn is_left(&self, down: &Lane) -> bool {
        let Some(mut rest) = self.held().and_then(|held| down.input().get(held.len..)) else { return false };
        while let Ok(Some(header)) = frame::header(rest, contract::Peer::Downstream) {
            if header.tag == b'X' {
                return true;
            }
            rest = rest.get(header.len..).unwrap_or_default();
        }
        false
    }

    fn notice(&self, up: &mut Lane, severity: &'static str, state: &'static str, message: &str) -> bool {
        let whole = self.is_whole();
        if whole {
            up.put_with(|out| faults::write_notice(out, severity, state, message));
        }
        whole
    }

    fn farewell(&self, up: &mut Lane, fault: &Fault) {
        if self.is_whole() {
            self.last_word(up, fault);
        }
    }

    fn last_word(&self, up: &mut Lane, fault: &Fault) {
        up.put_with(|out| faults::write_fault(out, fault));
    }
}
