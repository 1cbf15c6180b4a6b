//! A conversation of the protocol's value with a client and a database, driven by a script, and what must hold in each.
//!
//! * It never panics and never spins: bounded steps for each piece of input.
//! * Memory is bounded whatever either side sends or refuses to read.
//! * Where the pieces of input are cut changes nothing: every script runs with pieces as they come and again cut small.
//! * Transparent: what leaves is what arrived, in order, unless something was reported by ourselves.
//! * Policed: the canary never reaches the client while the database behaves.

use std::rc::Rc;

use contract::{BUFFER_LARGE_BYTES, Buffers, Chunk, Done, Fault, Lane, Limits, Outcome, Replanned, Serving, Step};
use postgres::{Serve, frame};

use crate::{
    canary, client,
    judge::{Made, Policy},
    ops::{LENGTHS, Mode, Op, Script},
    server::Server,
};

/// Limits that inputs of a few kilobytes can reach.
const LIMITS: Limits = Limits {
    statement_bytes_max: 8 << 10,
    buffer_bytes_max: 64 << 10,
    prepared_max: 3,
    portals_max: 3,
    owed_max: 20,
    name_bytes_max: 63,
    columns_max: 16,
    startup_bytes_max: 10_000,
    scratch_bytes_max: 16 << 10,
};
/// Most a lane may hold: a buffer for the longest frame that must be whole (a Parse with all its parameter types), and
/// scratch for one batch of rows that grow, doubled by the growth of vectors.
const LANE_BYTES_MAX: usize = 2 * BUFFER_LARGE_BYTES + 8 * BUFFER_LARGE_BYTES;
/// Steps on one piece of input.
const STEPS_MAX: usize = 200_000;
/// All bytes of one conversation; what comes after is not fed.
const FED_BYTES_MAX: usize = 3 << 20;

/// Hostile clients.
///
/// # Panics
/// When an invariant is broken.
pub fn downstream(data: &[u8]) {
    let mut script = Script::read(data);
    // The database behaves: whatever happens is the client's doing.
    script.ops.retain(|op| !matches!(op, Op::ServerBytes(_) | Op::ServerFrame(..) | Op::ServerLength(..)));
    examine(&script);
}

/// Hostile databases, and everything at once.
///
/// # Panics
/// When an invariant is broken.
pub fn upstream(data: &[u8]) {
    examine(&Script::read(data));
}

fn examine(script: &Script) {
    let mut whole = Conversation::new(script);
    whole.run(script, &[usize::MAX]);
    let mut cut = Conversation::new(script);
    // Sizes that fall on every offset of a frame sooner or later.
    cut.run(script, &[1, 1, 2, 3, 5, 1, 7, 11, 64, 1, 300]);
    if !script.ops.iter().any(|op| matches!(op, Op::StallClient | Op::StallServer)) {
        whole.same_as(&cut);
    }
    for conversation in [&whole, &cut] {
        conversation.check(script);
    }
}

/// One run.
struct Conversation {
    serve: Serve<Made>,
    policy: Policy,
    server: Server,
    down: Lane,
    up: Lane,
    buffers: Buffers,
    /// Arrived but not received yet.
    from_client: Vec<u8>,
    from_server: Vec<u8>,
    /// All that was sent, by each side.
    client_sent: Vec<u8>,
    server_sent: Vec<u8>,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    done: Vec<(u64, Option<usize>, Outcome, u64, u64)>,
    fault: Option<Fault>,
    goodbye: bool,
    client_stalled: bool,
    server_stalled: bool,
    piece: usize,
}

impl Conversation {
    fn new(script: &Script) -> Self {
        Self {
            serve: Serve::new(LIMITS, Rc::new(|channel: &[u8]| channel.len().is_multiple_of(2))),
            policy: Policy::new(script.mode, script.verdicts),
            server: Server::default(),
            down: Lane::new(LIMITS.buffer_bytes_max),
            up: Lane::new(LIMITS.buffer_bytes_max),
            buffers: Buffers::default(),
            from_client: Vec::new(),
            from_server: Vec::new(),
            client_sent: Vec::new(),
            server_sent: Vec::new(),
            to_client: Vec::new(),
            to_server: Vec::new(),
            done: Vec::new(),
            fault: None,
            goodbye: false,
            client_stalled: false,
            server_stalled: false,
            piece: 0,
        }
    }

    fn run(&mut self, script: &Script, pieces: &[usize]) {
        for op in &script.ops {
            if self.fault.is_some() || self.goodbye || self.client_sent.len() + self.server_sent.len() > FED_BYTES_MAX {
                break;
            }
            self.apply(op, pieces);
        }
        // Everybody reads again: what was queued leaves, what had come arrives.
        self.client_stalled = false;
        self.server_stalled = false;
        self.pump(pieces);
        let _record = self.serve.unanswered();
        if let Some(fault) = self.fault {
            self.serve.farewell(&mut self.up, &fault);
        }
        self.drain(&[usize::MAX]);
        self.down.rest(&mut self.buffers);
        self.up.rest(&mut self.buffers);
    }

    fn apply(&mut self, op: &Op, pieces: &[usize]) {
        if let Some(bytes) = client::frames(op) {
            self.client_sent.extend(&bytes);
            self.from_client.extend(bytes);
            return self.pump(pieces);
        }
        match op {
            Op::Answer(choice) => {
                while let Some(bytes) = self.server.answer(*choice) {
                    self.server_says(&bytes, pieces);
                    if self.fault.is_some() || self.server_sent.len() > FED_BYTES_MAX {
                        return;
                    }
                }
            }
            Op::AnswerOne(choice) => {
                if let Some(bytes) = self.server.answer(*choice) {
                    self.server_says(&bytes, pieces);
                }
            }
            Op::ServerBytes(bytes) => self.server_says(bytes, pieces),
            Op::ServerFrame(tag, body) => {
                let mut bytes = Vec::new();
                frame::write(&mut bytes, *tag, |b| b.extend(body));
                self.server_says(&bytes, pieces);
            }
            Op::ServerLength(tag, length) => {
                let length = LENGTHS[usize::from(*length) % LENGTHS.len()].to_be_bytes();
                self.server_says(&[&[*tag], length.as_slice()].concat(), pieces);
            }
            Op::StallClient => self.client_stalled = !self.client_stalled,
            Op::StallServer => self.server_stalled = !self.server_stalled,
            Op::Renew => {
                let policy = &self.policy;
                self.serve.renewed(&mut |token, columns| {
                    let plan: Replanned<Made> = columns.map(|columns| Ok(policy.again(columns)));
                    Ok((*token, plan))
                });
            }
            Op::Forget(what) => {
                let name: &[u8] = if what & 2 == 0 { b"a" } else { b"" };
                let name = (what & 4 == 0).then_some(name);
                if what & 1 == 0 { self.serve.forget_prepared(name) } else { self.serve.forget_portal(name) }
            }
            // The client's are done.
            _ => {}
        }
        self.pump(pieces);
    }

    fn server_says(&mut self, bytes: &[u8], pieces: &[usize]) {
        self.server_sent.extend(bytes);
        self.from_server.extend(bytes);
        self.pump(pieces);
    }

    fn next_piece(&mut self, pieces: &[usize]) -> usize {
        self.piece += 1;
        pieces[self.piece % pieces.len()]
    }

    /// Receives, steps and writes until nothing moves.
    fn pump(&mut self, pieces: &[usize]) {
        let mut steps = 0;
        while self.fault.is_none() && !self.goodbye {
            let mut moved = false;
            for from_client in [true, false] {
                let piece = self.next_piece(pieces);
                let (lane, waiting) = if from_client {
                    (&mut self.down, &mut self.from_client)
                } else {
                    (&mut self.up, &mut self.from_server)
                };
                if !waiting.is_empty() {
                    let slot = lane.slot(&mut self.buffers);
                    let n = slot.len().min(waiting.len()).min(piece);
                    slot[..n].copy_from_slice(&waiting[..n]);
                    lane.received(n);
                    waiting.drain(..n);
                    moved |= n > 0;
                }
            }
            moved |= self.advance();
            moved |= self.drain(pieces);
            for lane in [&self.down, &self.up] {
                assert!(lane.memory() <= LANE_BYTES_MAX, "a lane holds {} bytes", lane.memory());
            }
            if !moved {
                break;
            }
            steps += 1;
            assert!(steps < STEPS_MAX, "no end in sight");
        }
    }

    /// Steps both sides until each wants bytes or room.
    fn advance(&mut self) -> bool {
        let mut moved = false;
        let mut steps = 0;
        loop {
            let mut stepped = false;
            for from_client in [true, false] {
                let step = if from_client {
                    self.serve.downstream(&mut self.down, &mut self.up)
                } else {
                    self.serve.upstream(&mut self.up, &mut self.down)
                };
                match step {
                    Ok(step) => stepped |= self.take(step),
                    Err(fault) => self.fault = Some(fault),
                }
                if self.fault.is_some() || self.goodbye {
                    return true;
                }
            }
            if !stepped {
                return moved;
            }
            moved = true;
            steps += 1;
            assert!(steps < STEPS_MAX, "steps without end");
        }
    }

    /// Does what a step asks for; says whether there may be more.
    fn take(&mut self, step: Step<Made>) -> bool {
        match step {
            Step::NeedMore | Step::Blocked => return false,
            Step::Settled => {}
            Step::Goodbye => self.goodbye = true,
            Step::Ask(ask) => {
                let text = self.serve.text(&self.down);
                assert!(text.len() <= LIMITS.statement_bytes_max, "a text of {} bytes is shown", text.len());
                let verdict = self.policy.verdict(&ask, text);
                if let Err(fault) = self.serve.resolve(&mut self.down, &mut self.up, verdict) {
                    self.fault = Some(fault);
                }
            }
            Step::Columns { .. } => match self.serve.columns(&self.up) {
                Ok(columns) => {
                    let plan = self.policy.plan(&columns);
                    if let Err(fault) = self.serve.plan(&mut self.up, &mut self.down, plan) {
                        self.fault = Some(fault);
                    }
                }
                Err(fault) => self.fault = Some(fault),
            },
            Step::Done(Done { number, part, outcome, rows, bytes, .. }) => {
                self.done.push((number, part, outcome, rows, bytes));
            }
        }
        true
    }

    /// Writes what is queued, in pieces, to those who read.
    fn drain(&mut self, pieces: &[usize]) -> bool {
        let mut moved = false;
        for to_server in [true, false] {
            if if to_server { self.server_stalled } else { self.client_stalled } {
                continue;
            }
            loop {
                let piece = self.next_piece(pieces);
                let lane = if to_server { &mut self.down } else { &mut self.up };
                let Chunk::Bytes(bytes) = lane.chunk() else { break };
                let n = bytes.len().min(piece);
                if to_server {
                    self.to_server.extend(&bytes[..n]);
                    self.server.receive(&bytes[..n]);
                } else {
                    self.to_client.extend(&bytes[..n]);
                }
                lane.written(n);
                moved = true;
            }
        }
        moved
    }

    /// Cut differently, the same conversation came of it.
    fn same_as(&self, other: &Self) {
        assert_eq!(self.fault, other.fault, "cutting changed the fault");
        if self.fault.is_some() {
            // Before a fault, more or less may already have been passed on.
            let shorter = self.to_server.len().min(other.to_server.len());
            assert!(self.to_server[..shorter] == other.to_server[..shorter], "cutting changed what the database got");
            return;
        }
        assert!(self.to_server == other.to_server, "cutting changed what the database got");
        assert!(self.to_client == other.to_client, "cutting changed what the client got");
        assert_eq!(self.done, other.done, "cutting changed what is recorded");
    }

    fn check(&self, script: &Script) {
        let wild = |op: &Op| matches!(op, Op::ServerBytes(_) | Op::ServerFrame(..) | Op::ServerLength(..));
        match script.mode {
            Mode::Transparent => self.check_identity(),
            // What the client itself wrote may come back to it.
            Mode::Policed if script.ops.iter().any(wild) || canary::find(&self.client_sent).is_some() => {}
            Mode::Policed => {
                let found = canary::find(&self.to_client);
                assert!(found.is_none(), "a protected value reached the client at byte {found:?}");
            }
            Mode::Mixed => {}
        }
    }

    /// What left is what arrived, unless we had to say something ourselves.
    fn check_identity(&self) {
        let own = b"tidegate";
        if self.fault.is_some() || self.to_server.windows(own.len()).any(|window| window == own) {
            return;
        }
        // Notifications are a matter of policy: odd channels are closed here.
        if !self.server_sent.contains(&b'A') {
            assert!(self.server_sent.starts_with(&self.to_client), "the client got what the database did not send");
        }
        // After an error the database ignores what comes before Sync, and so do we.
        if !self.server_sent.contains(&b'E') {
            assert!(self.client_sent.starts_with(&self.to_server), "the database got what the client did not send");
        }
    }
}
