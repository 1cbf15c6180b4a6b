//! One small statement through a session, as clients send it and PostgreSQL answers it.
//!
//! Rules are loaded and every statement is recorded in a ring.

use std::rc::Rc;

use postgres::frame;
use session::Durability;

use crate::clinic::{self, TWO};
use crate::database::{BEDS, Database, PEOPLE, Table};
use crate::host::Core;
use crate::talk::{Cycle, Talk};

/// Protocol of a statement, as pgbench names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A Query with its literal in the text, another one each time.
    Simple,
    /// Parse, Bind, Describe, Execute, Sync of the unnamed statement.
    Extended,
    /// Bind, Describe, Execute, Sync of a statement that was prepared before.
    Prepared,
}

/// All of them.
pub const PROTOCOLS: [Protocol; 3] = [Protocol::Simple, Protocol::Extended, Protocol::Prepared];

/// What a statement returns, eight columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Nothing in it is protected.
    Clear,
    /// Two of them are masked.
    Masked,
}

impl Row {
    const fn table(self) -> Table {
        match self {
            Self::Clear => BEDS,
            Self::Masked => PEOPLE,
        }
    }
}

/// Texts with different literals that come in turn.
pub(crate) const TEXTS: usize = 16;
/// Name of what is prepared.
const NAME: &[u8] = b"s";

/// A table, by one row of the database's key, which is left to be said.
fn point(table: &Table) -> String {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    format!("SELECT {} FROM clinic.{} WHERE id = ", columns.join(", "), table.name)
}

/// A Query.
#[must_use]
pub fn query(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, b'Q', |b| frame::text(b, text.as_bytes()));
    out
}

fn parse(out: &mut Vec<u8>, name: &[u8], table: &Table) {
    frame::write(out, b'P', |b| {
        frame::text(b, name);
        frame::text(b, format!("{}$1", point(table)).as_bytes());
        b.extend([0, 0]);
    });
}

fn bind_and_execute(out: &mut Vec<u8>, name: &[u8]) {
    frame::write(out, b'B', |b| {
        frame::text(b, b"");
        frame::text(b, name);
        b.extend([0, 0, 0, 1]);
        b.extend(5_u32.to_be_bytes());
        b.extend(b"73423");
        b.extend([0, 0]);
    });
    frame::write(out, b'D', |b| b.extend(b"P\0"));
    frame::write(out, b'E', |b| {
        frame::text(b, b"");
        b.extend(0_u32.to_be_bytes());
    });
    frame::write(out, b'S', |_| ());
}

/// What is sent in turn.
fn requests(protocol: Protocol, table: &Table) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    match protocol {
        Protocol::Simple => {
            return (0..TEXTS).map(|i| query(&format!("{}{}", point(table), 73_423 + 7_919 * i))).collect();
        }
        Protocol::Extended => {
            parse(&mut out, b"", table);
            bind_and_execute(&mut out, b"");
        }
        Protocol::Prepared => bind_and_execute(&mut out, NAME),
    }
    vec![out]
}

/// A core, with what clients say and what its database answers.
#[derive(Debug)]
pub struct Scene {
    core: Rc<Core>,
    mode: Durability,
    /// Said once, before everything else.
    first: Option<Cycle>,
    /// Said in turn.
    cycles: Vec<Cycle>,
}

impl Scene {
    /// A core without sessions; the answers have so many rows. Its records are written in this mode.
    ///
    /// # Panics
    /// A session ends, or does not answer: the path is broken.
    #[must_use]
    pub fn new(protocol: Protocol, kind: Row, mode: Durability, rows: usize) -> Rc<Self> {
        let core = Rc::new(Core::new(clinic::epoch(Vec::new())));
        let table = kind.table();
        let database = Database::new(table, rows, false);
        let mut talk = Talk::new(&core, TWO, mode);
        let first = (protocol == Protocol::Prepared).then(|| {
            let mut request = Vec::new();
            parse(&mut request, NAME, &table);
            frame::write(&mut request, b'S', |_| ());
            talk.learn(&request, &database)
        });
        let mut learn = |request: Vec<u8>| {
            // Once for everything that is kept, and once as it is from then on.
            talk.learn(&request, &database);
            talk.learn(&request, &database)
        };
        let cycles = requests(protocol, &table).into_iter().map(&mut learn).collect();
        Rc::new(Self { core, mode, first, cycles })
    }
}

impl Scene {
    /// Bytes of the records of all its sessions, of which none was written yet where nothing waits for them; the ring is emptied
    /// when 6 MiB are in it.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.core.pending_bytes()
    }
}

/// A session in which the same statements come again and again.
#[derive(Debug)]
pub struct Conversation {
    scene: Rc<Scene>,
    talk: Talk,
    next: usize,
}

impl Conversation {
    /// A session after its login, in which every statement has run twice: everything that is kept is there. Its records are not
    /// waited for, its answers have one row.
    ///
    /// # Panics
    /// As [`Scene::new`].
    #[must_use]
    pub fn new(protocol: Protocol, kind: Row) -> Self {
        Self::on(&Scene::new(protocol, kind, Durability::Async, 1))
    }

    /// The same on this core.
    ///
    /// # Panics
    /// As [`Scene::new`].
    #[must_use]
    pub fn on(scene: &Rc<Scene>) -> Self {
        let mut conversation = Self::open(scene);
        (0..scene.cycles.len() * 2).for_each(|_| conversation.run());
        conversation
    }

    /// The same right after its login; with the prepared protocol the statement is prepared.
    ///
    /// # Panics
    /// As [`Scene::new`].
    #[must_use]
    pub fn open(scene: &Rc<Scene>) -> Self {
        let mut talk = Talk::new(&scene.core, TWO, scene.mode);
        if let Some(first) = &scene.first {
            talk.replay(first);
        }
        Self { scene: Rc::clone(scene), talk, next: 0 }
    }

    /// One statement: its frames arrive, go to the database, are answered, and the answer goes to the client.
    ///
    /// # Panics
    /// The client does not get what it got when the dialogue was learned: the path is broken.
    pub fn run(&mut self) {
        self.talk.replay(&self.scene.cycles[self.next]);
        self.next = (self.next + 1) % self.scene.cycles.len();
    }
}
