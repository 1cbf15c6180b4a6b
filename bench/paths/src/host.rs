//! The core that the sessions of the paths live on: facts from a cache, records into a ring, a clock that stands still.
//!
//! Deliberately absent: sockets, wake-ups, the disk.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use audit::Ring;
use audit::record::{Record, Recorded};
use contract::Buffers;
use lineage::{Facts, FactsCache, NotUnderstood};
use policy::Epoch;
use policy::ledger::Ledger;
use session::{Host, Shelf, Shelves, Stage, Unrecorded};

use crate::records::{self, CLOCK};

/// Of the core's ring.
const RING_BYTES: usize = 8 << 20;
/// The ring is emptied by then.
const RING_FULL_BYTES: usize = 6 << 20;
/// Of the core's cache of facts.
const FACTS_MAX: usize = 8192;
const FACTS_BYTES_MAX: usize = 32 << 20;

/// The core.
pub struct Core {
    /// Buffers that its sessions take and give back.
    pub(crate) buffers: RefCell<Buffers>,
    ring: RefCell<Ring>,
    sealed: RefCell<Vec<u8>>,
    facts: RefCell<FactsCache>,
    shelves: Shelves,
    epoch: Arc<Epoch>,
    ledger: Arc<Ledger>,
    measured: Cell<u64>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("ring", &self.ring).finish_non_exhaustive()
    }
}

impl Core {
    /// One without sessions.
    #[must_use]
    pub fn new(epoch: Arc<Epoch>) -> Self {
        Self {
            buffers: RefCell::default(),
            ring: RefCell::new(records::ring(1, RING_BYTES)),
            sealed: RefCell::default(),
            facts: RefCell::new(FactsCache::new(FACTS_MAX, FACTS_BYTES_MAX)),
            shelves: Shelves::default(),
            epoch,
            ledger: Arc::default(),
            measured: Cell::new(0),
        }
    }

    /// The rules in force.
    pub(crate) const fn epoch(&self) -> &Arc<Epoch> {
        &self.epoch
    }

    /// What is pending becomes durable, as if the disk were instant.
    pub(crate) fn commit(&self) {
        let (mut ring, mut sealed) = (self.ring.borrow_mut(), self.sealed.borrow_mut());
        while let Some(block) = ring.seal(CLOCK, &mut sealed) {
            ring.durable(block.last_sequence);
            sealed.clear();
        }
    }

    /// Bytes of records that nobody has taken.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.ring.borrow().pending_bytes()
    }

    /// A full ring is exchanged for an empty one, which costs next to nothing: sealing has a path of its own.
    pub(crate) fn make_room(&self) {
        let mut old = self.ring.borrow_mut();
        if old.pending_bytes() > RING_FULL_BYTES {
            let next = old.last_sequence() + 1;
            *old = records::ring(next, RING_BYTES);
        }
    }
}

impl Host for Core {
    fn now_ns(&self) -> u64 {
        CLOCK.mono_ns
    }

    fn unix_ns(&self) -> u64 {
        CLOCK.wall_ns
    }

    fn random(&self) -> Option<[u8; 5]> {
        Some([7; 5])
    }

    fn record(&self, record: &Record<'_>) -> Result<Recorded, Unrecorded> {
        self.ring.borrow_mut().append(CLOCK, record).map_err(|_| Unrecorded)
    }

    fn leave_out(&self, _: &Record<'_>) -> Result<Recorded, Unrecorded> {
        self.ring.borrow().leave_out().map_err(|_| Unrecorded)
    }

    fn given_up(&self) {}

    fn is_durable(&self, sequence: u64) -> bool {
        self.ring.borrow().durable_sequence() >= sequence
    }

    fn facts(&self, text: &str) -> Result<Arc<Facts>, NotUnderstood> {
        self.facts.borrow_mut().get_or_analyse(text)
    }

    fn shelf(&self, grant: &policy::Grant) -> Rc<Shelf> {
        self.shelves.of(grant)
    }

    fn epoch(&self, _: usize) -> Arc<Epoch> {
        Arc::clone(&self.epoch)
    }

    fn catalog_changed(&self, _: usize) {}

    fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    fn measure(&self, _: Stage, ns: u64) {
        self.measured.set(self.measured.get().wrapping_add(ns));
    }
}
