//! Judgements that hold for more than one run, kept for the sessions of a core whose grants decide alike.
//!
//! Invariants: what is kept was decided under the shelf's own grant key, for a session that has its account's search path
//! and no temporary relations; it depends on nothing but the facts of its text ([`policy::Grant::is_settled`]); a
//! preparation is found only by exactly its text. A new epoch has new shelves, so nothing outlives rules or catalog.
//! Deliberately absent: refusals and held statements, which are judged each time.

use crate::judged::{Judged, Purse};
use contract::Via;
use lineage::Facts;
use policy::ledger::Ledger;
use policy::{Epoch, Grant, GrantKey};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// Judgements kept per shelf; when full all are dropped.
const KEPT_MAX: usize = 512;
/// Longer texts are judged each time.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// Shelves that are looked through for dead ones at least.
const SHELVES_MIN: usize = 64;

/// Judgements for sessions of one core with equal grants.
#[derive(Debug, Default)]
pub struct Shelf {
    kept: RefCell<HashMap<(usize, bool), Rc<Judged>>>,
    /// Nanoseconds of the host as of the turn that runs, what budgets are charged at: the same for all shelves of a core.
    now_ns: Rc<Cell<u64>>,
    /// Keeps the address in the grants' key alive.
    _epoch: Option<Arc<Epoch>>,
}

impl Shelf {
    /// An empty one for one session alone: names mean something else to it than to others with its grant.
    pub(crate) fn apart(&self) -> Rc<Self> {
        Rc::new(Self { now_ns: Rc::clone(&self.now_ns), ..Self::default() })
    }

    /// Sets the time that statements are charged at.
    pub(crate) fn tell(&self, now_ns: u64) {
        self.now_ns.set(now_ns);
    }

    pub(crate) fn purse(&self, ledger: &Arc<Ledger>) -> Purse {
        Purse { ledger: Arc::clone(ledger), now_ns: Rc::clone(&self.now_ns) }
    }

    /// What was decided about a text with these facts.
    pub(crate) fn find(&self, facts: &Arc<Facts>, text: &str, via: Via) -> Option<Rc<Judged>> {
        let kept = self.kept.borrow();
        let judged = kept.get(&key(facts, via))?;
        (via != Via::Prepare || *judged.text == *text).then(|| Rc::clone(judged))
    }

    /// Keeps a judgement if it holds for more than this run.
    pub(crate) fn keep(&self, judged: &Rc<Judged>, text: &str, grant: &Grant) {
        if text.len() > TEXT_BYTES_MAX || !judged.holds.is_empty() || !grant.is_settled(&judged.facts) {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key(&judged.facts, judged.via), Rc::clone(judged));
    }
}

/// The facts' address, which the judgement keeps alive.
fn key(facts: &Arc<Facts>, via: Via) -> (usize, bool) {
    (Arc::as_ptr(facts).addr(), via == Via::Prepare)
}

/// The shelves of one core.
#[derive(Debug, Default)]
pub struct Shelves {
    shelves: RefCell<HashMap<GrantKey, Weak<Shelf>>>,
    sweep_at: Cell<usize>,
    now_ns: Rc<Cell<u64>>,
}

impl Shelves {
    /// The shelf of all sessions here whose grants decide as this one.
    #[must_use]
    pub fn of(&self, grant: &Grant) -> Rc<Shelf> {
        let mut shelves = self.shelves.borrow_mut();
        let key = grant.key();
        // A shelf that lives keeps its epoch alive, so that no other epoch has its address.
        if let Some(shelf) = shelves.get(&key).and_then(Weak::upgrade) {
            return shelf;
        }
        if shelves.len() >= self.sweep_at.get().max(SHELVES_MIN) {
            shelves.retain(|_, shelf| shelf.strong_count() > 0);
            self.sweep_at.set(shelves.len() * 2);
        }
        let (now_ns, epoch) = (Rc::clone(&self.now_ns), Some(Arc::clone(grant.epoch())));
        let shelf = Rc::new(Shelf { kept: RefCell::default(), now_ns, _epoch: epoch });
        shelves.insert(key, Rc::downgrade(&shelf));
        shelf
    }
}
