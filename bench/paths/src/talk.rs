//! One session with its client and its database, all in this process, over the session's own lanes.
//!
//! A dialogue is learned once against [`Database`] and then replayed: what is measured is the session, its lanes, its
//! rules and the record in the ring, and of this file a copy of the bytes into the lanes. Deliberately absent: sockets, TLS,
//! tasks, the disk.

use std::hint::black_box;
use std::rc::Rc;

use audit::record::SessionId;
use contract::{Chunk, Lane, Limits};
use postgres::Serve;
use session::{Durability, Session, SessionInfo, Startup, Verdicts};

use crate::database::Database;
use crate::host::Core;
use crate::rules;

const SECOND: u64 = 1_000_000_000;

/// What a client says, and what the database answered, in its turns.
#[derive(Debug)]
pub struct Cycle {
    request: Vec<u8>,
    answers: Vec<Vec<u8>>,
    /// What the client got, bytes.
    got: usize,
}

/// The session.
#[derive(Debug)]
pub struct Talk {
    core: Rc<Core>,
    session: Session<Serve<Verdicts>>,
    strict: bool,
    /// Where drained bytes are kept, while a dialogue is learned.
    kept: Option<[Vec<u8>; 2]>,
    got: usize,
}

impl Talk {
    /// Begins one.
    ///
    /// # Panics
    /// When it does not begin.
    #[must_use]
    pub fn new(core: &Rc<Core>, role: &str, mode: Durability) -> Self {
        let grant = rules::grant(core.epoch(), role);
        let info = SessionInfo {
            id: SessionId([7; 16]),
            source: "192.0.2.7:50123".into(),
            tls: "TLSv1.3".into(),
            issuer: "https://idp.example.org".into(),
            subject: "ana".into(),
            user: "ana".into(),
            application: "paths".into(),
            target: 0,
            target_name: "clinic".into(),
            database: "clinic".into(),
            account: "gateway".into(),
            mode,
            wait_max_ns: 30 * SECOND,
            startup: Startup::default(),
            purpose: String::new(),
            hold_max_ns: 600 * SECOND,
            hold_notice_ns: 20 * SECOND,
            key: None,
            recording: "",
        };
        let limits = Limits::default();
        let serving = Serve::new(limits, Rc::new(|_: &[u8]| false));
        let (down, up) = (Lane::new(limits.buffer_bytes_max), Lane::new(limits.buffer_bytes_max));
        let session = Session::open(serving, grant, info, down, up, core.as_ref());
        let session = session.unwrap_or_else(|fault| panic!("the session does not begin: {fault}"));
        Self { core: Rc::clone(core), session, strict: mode == Durability::Strict, kept: None, got: 0 }
    }

    /// Goes through a dialogue with the database, and learns it.
    ///
    /// # Panics
    /// When the client gets nothing, or an error.
    pub fn learn(&mut self, request: &[u8], database: &Database) -> Cycle {
        self.got = 0;
        self.kept = Some(Default::default());
        self.feed(request, true);
        let mut answers = Vec::new();
        let mut client = Vec::new();
        while let Some(kept) = &mut self.kept {
            client.append(&mut kept[1]);
            let answer = database.answer(&mut kept[0]);
            if answer.is_empty() {
                break;
            }
            self.feed(&answer, false);
            answers.push(answer);
        }
        self.kept = None;
        assert!(!client.is_empty() && client[0] != b'E', "refused: {}", String::from_utf8_lossy(&client));
        Cycle { request: request.to_vec(), answers, got: self.got }
    }

    /// Goes through it again.
    ///
    /// # Panics
    /// When the client does not get as many bytes as before: then something else would be measured.
    pub fn replay(&mut self, cycle: &Cycle) {
        self.got = 0;
        self.feed(&cycle.request, true);
        for answer in &cycle.answers {
            self.feed(answer, false);
        }
        assert!(self.got == cycle.got, "the dialogue went another way");
        self.core.make_room();
    }

    /// Rows from the database, as many bytes at once as the lane takes.
    ///
    /// # Panics
    /// When the session breaks down.
    pub fn rows(&mut self, bytes: &[u8]) {
        self.feed(bytes, false);
        self.core.make_room();
    }

    /// What the client gets for these bytes of the database.
    #[cfg(test)]
    pub(crate) fn shown(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.kept = Some(Default::default());
        self.feed(bytes, false);
        self.kept.take().map(|[_, client]| client).unwrap_or_default()
    }

    /// Bytes arrive, a lane's worth at a time, and are worked on; then the session rests, as on its core.
    fn feed(&mut self, mut bytes: &[u8], from_client: bool) {
        while !bytes.is_empty() {
            let lane = if from_client { &mut self.session.down } else { &mut self.session.up };
            let slot = lane.slot(&mut self.core.buffers.borrow_mut());
            let n = slot.len().min(bytes.len());
            assert!(n > 0, "the lane takes no more");
            slot[..n].copy_from_slice(&bytes[..n]);
            lane.received(n);
            bytes = &bytes[n..];
            self.turn();
        }
        let mut buffers = self.core.buffers.borrow_mut();
        self.session.down.rest(&mut buffers);
        self.session.up.rest(&mut buffers);
    }

    fn turn(&mut self) {
        loop {
            let progress = match self.session.advance(self.core.as_ref()) {
                Ok(progress) => progress,
                Err(fault) => panic!("the session broke down: {fault}"),
            };
            if self.strict && (progress.waits_for.is_some() || progress.holds_for.is_some()) {
                self.core.commit();
                if progress.holds_for.is_some() {
                    self.session.release(self.core.as_ref());
                }
                self.drain();
                continue;
            }
            self.drain();
            if !(progress.again || progress.moved && progress.blocked) {
                return;
            }
        }
    }

    fn drain(&mut self) {
        while let Chunk::Bytes(bytes) = self.session.down.chunk() {
            let n = black_box(bytes).len();
            if let Some(kept) = &mut self.kept {
                kept[0].extend_from_slice(bytes);
            }
            self.session.down.written(n);
        }
        while let Chunk::Bytes(bytes) = self.session.up.chunk() {
            let n = black_box(bytes).len();
            if let Some(kept) = &mut self.kept {
                kept[1].extend_from_slice(bytes);
            }
            self.got += n;
            self.session.up.written(n);
        }
    }
}
