//! What identities have taken lately: the accounts behind budgets.
//!
//! An account counts in slots of a sixtieth of its time; a slot is forgotten when all of it is older than that time, so in
//! any span of that length no more than the amount is ever admitted, and what was taken is free again at most one slot
//! late. Accounts are by name (identity, what, class, time), so they outlive bundles. Time is an argument, in nanoseconds
//! of one clock for the whole process; one that goes back counts as standing still.
//! Deliberately absent: clocks, files (a restart forgets), and what anything costs (see `budget`).

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// Slots of an account's time.
const SLOTS: u64 = 60;
/// Parts of the ledger with a lock of their own.
const SHARDS: usize = 16;
/// Accounts of a shard before the ones that are empty are looked for.
const SWEEP_MIN: usize = 256;

/// What an account counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spent {
    /// Constants that protected columns were compared with.
    Comparisons,
    /// Statements that return rows.
    Statements,
    /// Rows sent.
    Rows,
    /// Bytes of rows sent.
    Bytes,
}

/// Which account of an identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heading {
    /// What it counts.
    pub of: Spent,
    /// Only of this class.
    pub class: Option<String>,
    /// Length of its time in seconds.
    pub seconds: u32,
}

/// How much may be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The account.
    pub heading: Heading,
    /// How much in its time.
    pub amount: u64,
}

/// A limit is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedUp {
    /// Index of the limit among those asked about.
    pub limit: usize,
    /// Nanoseconds until there is room; `None` if it would not fit into an empty account either.
    pub free_in_ns: Option<u64>,
}

/// How many of the rows asked about were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why no more.
    pub stopped: Option<UsedUp>,
}

#[derive(Debug)]
struct Account {
    slot_ns: u64,
    /// Slot number and what was taken in it, oldest first.
    slots: VecDeque<(u64, u64)>,
    total: u64,
}

impl Account {
    fn new(seconds: u32) -> Self {
        let window_ns = u64::from(seconds.max(1)) * 1_000_000_000;
        Self { slot_ns: window_ns.div_ceil(SLOTS), slots: VecDeque::new(), total: 0 }
    }

    /// The slot of `now_ns`, and what is older is forgotten.
    fn settle(&mut self, now_ns: u64) -> u64 {
        let now = now_ns / self.slot_ns;
        let now = self.slots.back().map_or(now, |(last, _)| now.max(*last));
        while let Some((slot, spent)) = self.slots.front().copied().filter(|(slot, _)| slot + SLOTS < now) {
            debug_assert!(slot < now);
            self.total -= spent;
            self.slots.pop_front();
        }
        now
    }

    fn add(&mut self, slot: u64, cost: u64) {
        self.total += cost;
        match self.slots.back_mut() {
            Some((last, spent)) if *last == slot => *spent += cost,
            _ => self.slots.push_back((slot, cost)),
        }
    }

    /// Nanoseconds until `cost` fits into `amount`.
    fn free_in(&self, now_ns: u64, cost: u64, amount: u64) -> Option<u64> {
        let mut left = self.total;
        for (slot, spent) in &self.slots {
            if left.saturating_add(cost) <= amount {
                break;
            }
            left -= spent;
            if left.saturating_add(cost) <= amount {
                return Some(((slot + SLOTS + 1) * self.slot_ns).saturating_sub(now_ns));
            }
        }
        (left.saturating_add(cost) <= amount).then_some(0)
    }
}

#[derive(Debug, Default)]
struct Shard {
    accounts: HashMap<(Arc<str>, Heading), Account>,
    sweep_at: usize,
}

impl Shard {
    fn account(&mut self, who: &Arc<str>, heading: &Heading) -> &mut Account {
        self.accounts.entry((Arc::clone(who), heading.clone())).or_insert_with(|| Account::new(heading.seconds))
    }

    /// Drops accounts with nothing in them.
    fn sweep(&mut self, now_ns: u64) {
        if self.accounts.len() < self.sweep_at.max(SWEEP_MIN) {
            return;
        }
        self.accounts.retain(|_, account| {
            account.settle(now_ns);
            !account.slots.is_empty()
        });
        self.sweep_at = self.accounts.len() * 2;
    }
}

/// All accounts of a process.
#[derive(Debug)]
pub struct Ledger {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

impl Ledger {
    /// Nothing taken yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn shard(&self, who: &str) -> std::sync::MutexGuard<'_, Shard> {
        let at = usize::try_from(self.hasher.hash_one(who) % SHARDS as u64).unwrap_or(0);
        // Sums stay sums if a holder panicked.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accounts in memory.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.shards.iter().map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).accounts.len()).sum()
    }

    /// Takes every cost, or none of them. No two limits have the same heading.
    ///
    /// # Errors
    /// The first limit without room.
    pub fn charge(&self, who: &Arc<str>, costs: &[(Limit, u64)], now_ns: u64) -> Result<(), UsedUp> {
        let mut shard = self.shard(who);
        shard.sweep(now_ns);
        for (i, (limit, cost)) in costs.iter().enumerate() {
            let account = shard.account(who, &limit.heading);
            account.settle(now_ns);
            if account.total.saturating_add(*cost) > limit.amount {
                return Err(UsedUp { limit: i, free_in_ns: account.free_in(now_ns, *cost, limit.amount) });
            }
        }
        for (limit, cost) in costs.iter().filter(|(_, cost)| *cost > 0) {
            let account = shard.account(who, &limit.heading);
            let slot = account.settle(now_ns);
            account.add(slot, *cost);
        }
        Ok(())
    }

    /// Takes as many rows, of these sizes in bytes and in this order, as every limit has room for. Limits of rows count one
    /// for each, limits of bytes its size; others are not asked. No two limits have the same heading.
    pub fn take(&self, who: &Arc<str>, limits: &[Limit], sizes: &mut dyn Iterator<Item = u64>, now_ns: u64) -> Taken {
        let mut shard = self.shard(who);
        shard.sweep(now_ns);
        let cost = |limit: &Limit, bytes: u64| match limit.heading.of {
            Spent::Rows => 1,
            Spent::Bytes => bytes,
            Spent::Comparisons | Spent::Statements => 0,
        };
        let mut room: Vec<u64> = Vec::with_capacity(limits.len());
        for limit in limits {
            let account = shard.account(who, &limit.heading);
            account.settle(now_ns);
            room.push(limit.amount.saturating_sub(account.total));
        }
        let mut taken = Taken::default();
        let mut stopped = None;
        for bytes in sizes {
            stopped = limits.iter().zip(&room).position(|(limit, room)| cost(limit, bytes) > *room).map(|i| (i, bytes));
            if stopped.is_some() {
                break;
            }
            for (limit, room) in limits.iter().zip(&mut room) {
                *room -= cost(limit, bytes);
            }
            taken.rows += 1;
            taken.bytes += bytes;
        }
        for limit in limits {
            let spent = match limit.heading.of {
                Spent::Rows => taken.rows,
                Spent::Bytes => taken.bytes,
                Spent::Comparisons | Spent::Statements => 0,
            };
            let account = shard.account(who, &limit.heading);
            let slot = account.settle(now_ns);
            if spent > 0 {
                account.add(slot, spent);
            }
        }
        if let Some((i, bytes)) = stopped
            && let Some(limit) = limits.get(i)
        {
            let free_in_ns = shard.account(who, &limit.heading).free_in(now_ns, cost(limit, bytes), limit.amount);
            taken.stopped = Some(UsedUp { limit: i, free_in_ns });
        }
        taken
    }
}
