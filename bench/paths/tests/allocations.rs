//! Nothing is allocated for a statement that was seen before, and nothing for a row, masked or not.
//!
//! The allocator of this program counts what a thread asks it for. A session runs the same statement until everything that
//! is kept is there; from then on a hundred more may not ask for anything.

use allocation_counter::{AllocationInfo, measure};
use paths::statement::{Conversation, PROTOCOLS, Protocol, Row};

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
            let counted = allocations(|| _ = conversation.run());
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

#[test]
fn a_row_allocates_nothing() {
    for kind in [Row::Clear, Row::Masked] {
        let mut few = Conversation::with_rows(Protocol::Prepared, kind, 10);
        let mut many = Conversation::with_rows(Protocol::Prepared, kind, 110);
        for _ in 0..10 {
            few.run();
            many.run();
        }
        let (few, many) = (allocations(|| _ = few.run()), allocations(|| _ = many.run()));
        assert_eq!(few.count_total, many.count_total, "{kind:?}: allocations for 100 rows more, {RUNS} times");
    }
}
