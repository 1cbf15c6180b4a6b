//! Nothing is allocated for a statement that was seen before, and nothing for a row, masked or not; a session that rests
//! keeps little.
//!
//! The allocator of this program counts what a thread asks it for. A session runs the same statement until everything that
//! is kept is there; from then on a hundred more may not ask for anything.

use allocation_counter::{AllocationInfo, measure};
use paths::statement::{Conversation, PROTOCOLS, Row, Scene};
use session::Durability;

const RUNS: u32 = 100;

fn allocations(mut work: impl FnMut()) -> AllocationInfo {
    measure(|| (0..RUNS).for_each(|_| work()))
}

#[test]
fn the_counter_counts() {
    let counted = allocations(|| drop(std::hint::black_box(vec![0u8; 100])));
    assert_eq!(counted.count_total, u64::from(RUNS));
}

#[test]
fn a_cached_statement_allocates_nothing() {
    let mut wrong = Vec::new();
    for kind in [Row::Clear, Row::Masked] {
        for protocol in PROTOCOLS {
            let mut conversation = Conversation::new(protocol, kind);
            let counted = allocations(|| conversation.run());
            if counted.count_total > 0 {
                let each = |n: u64| n as f64 / f64::from(RUNS);
                wrong.push(format!(
                    "{protocol:?}, {kind:?}: {} of {} bytes",
                    each(counted.count_total),
                    each(counted.bytes_total)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "allocations per statement: {wrong:#?}");
}

/// A result may have memory for its batches, which is given back behind it; what is twice as long needs no more.
#[test]
fn a_row_allocates_nothing() {
    for kind in [Row::Clear, Row::Masked] {
        for protocol in PROTOCOLS {
            let counted = [200, 400].map(|rows| {
                let mut conversation = Conversation::on(&Scene::new(protocol, kind, Durability::Async, rows));
                allocations(|| conversation.run()).count_total
            });
            assert_eq!(
                counted[0], counted[1],
                "{protocol:?}, {kind:?}: allocations for 200 and 400 rows, {RUNS} times"
            );
        }
    }
}

/// Bytes that a session may keep while it rests after results of eight columns, itself included and what the core keeps for all
/// sessions not.
const RESTING_BYTES_MAX: u64 = 5_400;

#[test]
fn a_session_that_rests_is_small() {
    for protocol in PROTOCOLS {
        let scene = Scene::new(protocol, Row::Masked, Durability::Async, 1);
        let run = |mut conversation: Box<Conversation>| {
            (0..3).for_each(|_| conversation.run());
            conversation
        };
        let first = run(Box::new(Conversation::open(&scene)));
        let mut second = None;
        let kept = measure(|| second = Some(run(Box::new(Conversation::open(&scene)))));
        let bytes = u64::try_from(kept.bytes_current).unwrap_or(0);
        println!(
            "{protocol:?}: {bytes} bytes in {} allocations, of which the session itself is {}",
            kept.count_current,
            size_of::<Conversation>()
        );
        assert!(bytes >= size_of::<Conversation>() as u64, "nothing was counted");
        assert!(bytes <= RESTING_BYTES_MAX, "{protocol:?}: {bytes} bytes");
        drop((first, second));
    }
}
