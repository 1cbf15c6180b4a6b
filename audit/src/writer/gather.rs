//! When a block that is asked for waits for more.
//!
//! Those whom a commit woke often come back with their next statement. Written at once, a block would hold only those who
//! came meanwhile, and two halves would take turns for good, with twice the commits and wake-ups. So a block waits for
//! those whom the last commit woke, no longer than a commit takes, and for a while not at all after a wait in vain.
//!
//! Invariants: whoever is alone never waits; no wait is longer than [`GATHER_MAX`]. Deliberately absent: clocks, timers.

use std::task::Waker;
use std::time::Duration;

/// A block waits no longer than this for those whom the last commit woke, however slow commits are.
const GATHER_MAX: Duration = Duration::from_millis(1);
/// With so many waiting for one commit it is not worth waiting for more.
const GATHERED: usize = 64;
/// Commits without a wait after one that was in vain: first so many, then twice as many, up to the most.
const IN_VAIN: (u32, u32) = (8, 512);
/// Whether the next block waits for more.
#[derive(Default)]
pub(super) struct Gathering {
    /// Woken by the last commit, and not back: each by the address of its task, which is compared and nothing else.
    away: Vec<usize>,
    /// Since when the next block waits for them, and how many waited when that began.
    since: Option<(u64, usize)>,
    /// Nanoseconds that a commit takes, about.
    commit_ns: u64,
    /// Commits that are not to wait, and how many there will be after another wait in vain.
    skip: u32,
    skips: u32,
}

impl Gathering {
    /// Somebody waits. True if nobody else is to be waited for.
    pub(super) fn is_back(&mut self, waker: &Waker) -> bool {
        let task = waker.data().addr();
        self.away.retain(|away| *away != task);
        self.since.is_none() || self.away.is_empty()
    }

    /// Nanoseconds for which the block is to wait yet, while so many wait for it.
    pub(super) fn left_ns(&mut self, now_ns: impl FnOnce() -> u64, waiting: usize) -> u64 {
        if self.away.is_empty() || self.skip > 0 || waiting >= GATHERED {
            return 0;
        }
        let now_ns = now_ns();
        let (since_ns, _) = *self.since.get_or_insert((now_ns, waiting));
        let most = self.commit_ns.min(u64::try_from(GATHER_MAX.as_nanos()).unwrap_or(u64::MAX));
        (since_ns + most).saturating_sub(now_ns)
    }

    /// The block goes to the disk with so many waiting for it.
    pub(super) fn over(&mut self, waiting: usize) {
        self.skip = self.skip.saturating_sub(1);
        match self.since.take() {
            Some((_, before)) if waiting > before => self.skips = 0,
            Some(_) => {
                self.skips = (self.skips * 2).clamp(IN_VAIN.0, IN_VAIN.1);
                self.skip = self.skips;
            }
            None => {}
        }
        self.away.clear();
    }

    /// A commit took so long and woke these.
    pub(super) fn woke(&mut self, took_ns: u64, woken: &[Waker]) {
        self.commit_ns = self.commit_ns - self.commit_ns / 8 + took_ns / 8;
        self.away.clear();
        if woken.len() < GATHERED {
            self.away.extend(woken.iter().map(|waker| waker.data().addr()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    const COMMIT_NS: u64 = 200_000;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn tasks(count: usize) -> Vec<Waker> {
        (0..count).map(|_| Waker::from(Arc::new(Task))).collect()
    }

    fn usual() -> Gathering {
        let mut gathering = Gathering::default();
        (0..60).for_each(|_| gathering.woke(COMMIT_NS, &[]));
        gathering
    }

    #[test]
    fn a_block_waits_until_those_who_were_woken_are_back() {
        let (mut gathering, tasks) = (usual(), tasks(5));
        gathering.woke(COMMIT_NS, &tasks[..3]);
        assert!(gathering.is_back(&tasks[3]), "nothing waits yet: the flusher is to look");
        let left = gathering.left_ns(|| 1000, 1);
        assert!(left > COMMIT_NS / 2 && left <= COMMIT_NS, "{left}");
        assert!(!gathering.is_back(&tasks[4]), "one who was not woken is not waited for");
        assert!(!gathering.is_back(&tasks[0]) && !gathering.is_back(&tasks[0]) && !gathering.is_back(&tasks[2]));
        assert_eq!(gathering.left_ns(|| 1000 + left / 2, 4), left - left / 2);
        assert!(gathering.is_back(&tasks[1]));
        assert_eq!(gathering.left_ns(|| 2000, 5), 0);
        gathering.over(5);
        // It was worth it: the next one waits too.
        gathering.woke(COMMIT_NS, &tasks);
        assert!(gathering.left_ns(|| 0, 1) > 0);
    }

    #[test]
    fn who_is_alone_is_not_made_to_wait() {
        let (mut gathering, tasks) = (usual(), tasks(1));
        for _ in 0..100 {
            gathering.woke(COMMIT_NS, &tasks);
            assert!(gathering.is_back(&tasks[0]));
            assert_eq!(gathering.left_ns(|| 0, 1), 0);
            gathering.over(1);
        }
    }

    #[test]
    fn a_wait_in_vain_is_followed_by_ever_more_commits_without_one() {
        let (mut gathering, tasks) = (usual(), tasks(3));
        let mut waits = Vec::new();
        for commit in 0..5000u64 {
            gathering.woke(COMMIT_NS, &tasks[..1]);
            if gathering.left_ns(|| commit, 1) > 0 {
                waits.push(commit);
                assert_eq!(gathering.left_ns(|| commit + COMMIT_NS, 1), 0, "it ends after one commit's time");
            }
            gathering.over(1);
        }
        let apart: Vec<u64> = waits.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(apart[..7], [9, 17, 33, 65, 129, 257, 513]);
        assert!(apart[7..].iter().all(|apart| *apart == 513));
        // One that was worth it, and it is tried each time again.
        gathering.skip = 0;
        gathering.woke(COMMIT_NS, &tasks);
        assert!(gathering.left_ns(|| 0, 1) > 0);
        gathering.over(3);
        gathering.woke(COMMIT_NS, &tasks);
        assert!(gathering.left_ns(|| 0, 1) > 0);
    }

    #[test]
    fn slow_disks_and_many_who_wait_do_not_make_it_longer() {
        let (mut gathering, some) = (Gathering::default(), tasks(2));
        (0..100).for_each(|_| gathering.woke(50_000_000, &some));
        assert_eq!(u128::from(gathering.left_ns(|| 0, 1)), GATHER_MAX.as_nanos());
        assert_eq!(gathering.left_ns(|| 0, GATHERED), 0);
        gathering.over(GATHERED);
        gathering.woke(COMMIT_NS, &tasks(GATHERED));
        assert_eq!(gathering.left_ns(|| 0, 1), 0);
    }
}
