//! The laws of the ledger: no span of a limit's length ever admits more than its amount, what was taken comes free again,
//! and charges are whole.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use policy::ledger::{Heading, Ledger, Limit, Spent};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn limit(of: Spent, class: Option<&str>, amount: u64, seconds: u32) -> Limit {
    Limit { heading: Heading { of, class: class.map(str::to_owned), seconds }, amount }
}

fn who(name: &str) -> Arc<str> {
    name.into()
}

/// Most that was admitted within any span of `window` nanoseconds, ends included.
fn most(admitted: &[(u64, u64)], window: u64) -> u64 {
    admitted
        .iter()
        .map(|(end, _)| {
            let inside = admitted.iter().filter(|(at, _)| at <= end && *at + window >= *end);
            inside.map(|(_, cost)| cost).sum()
        })
        .max()
        .unwrap_or(0)
}

proptest! {
    #[test]
    fn no_window_admits_more_than_the_amount(
        amount in 1_u64..50,
        seconds in 1_u32..200,
        steps in prop::collection::vec((0_u64..20_000_000_000, 1_u64..12), 1..200),
    ) {
        let ledger = Ledger::new();
        let limit = limit(Spent::Comparisons, Some("ssn"), amount, seconds);
        let (mut now, mut admitted) = (7, Vec::new());
        for (pause, cost) in steps {
            now += pause;
            match ledger.charge(&who("a"), &[(limit.clone(), cost)], now) {
                Ok(()) => admitted.push((now, cost)),
                Err(why) => {
                    prop_assert_eq!(why.limit, 0);
                    match why.free_in_ns {
                        None => prop_assert!(cost > amount),
                        // It is free then, and what it says is within the window and one slot.
                        Some(ns) => {
                            prop_assert!(ns <= u64::from(seconds) * SECOND * 61 / 60 + 60);
                            let copy = Ledger::new();
                            for (at, cost) in &admitted {
                                copy.charge(&who("a"), &[(limit.clone(), *cost)], *at).unwrap();
                            }
                            prop_assert!(copy.charge(&who("a"), &[(limit.clone(), cost)], now + ns).is_ok());
                        }
                    }
                }
            }
        }
        prop_assert!(most(&admitted, u64::from(seconds) * SECOND) <= amount);
    }

    #[test]
    fn rows_are_taken_in_order_as_far_as_every_limit_goes(
        rows in 0_u64..20,
        bytes in 0_u64..2_000,
        sizes in prop::collection::vec(1_u64..300, 0..40),
        steps in prop::collection::vec(0_u64..70, 1..12),
    ) {
        let ledger = Ledger::new();
        let limits = [limit(Spent::Rows, None, rows, 60), limit(Spent::Bytes, Some("ssn"), bytes, 60)];
        let (mut now, mut by_rows, mut by_bytes) = (0, Vec::new(), Vec::new());
        for pause in steps {
            now += pause * SECOND;
            let taken = ledger.take(&who("a"), &limits, &mut sizes.iter().copied(), now);
            let passed = usize::try_from(taken.rows).unwrap();
            prop_assert_eq!(taken.bytes, sizes[..passed].iter().sum::<u64>());
            prop_assert_eq!(taken.stopped.is_some(), passed < sizes.len());
            by_rows.push((now, taken.rows));
            by_bytes.push((now, taken.bytes));
        }
        prop_assert!(most(&by_rows, 60 * SECOND) <= rows);
        prop_assert!(most(&by_bytes, 60 * SECOND) <= bytes);
    }

    #[test]
    fn after_its_time_and_a_slot_everything_is_free(amount in 1_u64..100, seconds in 1_u32..100_000, start in 0_u64..1 << 50) {
        let ledger = Ledger::new();
        let limit = limit(Spent::Statements, None, amount, seconds);
        ledger.charge(&who("a"), &[(limit.clone(), amount)], start).unwrap();
        prop_assert!(ledger.charge(&who("a"), &[(limit.clone(), 1)], start + u64::from(seconds) * SECOND).is_err());
        let later = start + u64::from(seconds) * SECOND / 60 * 61 + 62;
        prop_assert!(ledger.charge(&who("a"), &[(limit, amount)], later).is_ok());
    }
}

#[test]
fn a_charge_is_whole_or_nothing() {
    let ledger = Ledger::new();
    let (wide, narrow) = (limit(Spent::Statements, None, 10, 60), limit(Spent::Comparisons, Some("ssn"), 1, 60));
    let both = |n| [(wide.clone(), 5), (narrow.clone(), n)];
    let why = ledger.charge(&who("a"), &both(2), 0).unwrap_err();
    assert_eq!((why.limit, why.free_in_ns), (1, None), "two do not fit into one, ever");
    ledger.charge(&who("a"), &[(wide.clone(), 10)], 0).expect("the refused charge took nothing");
}

#[test]
fn accounts_are_per_identity_class_and_time() {
    let ledger = Ledger::new();
    let charge = |name: &str, class, seconds| {
        ledger.charge(&who(name), &[(limit(Spent::Comparisons, Some(class), 1, seconds), 1)], 0).is_ok()
    };
    assert!(charge("a", "ssn", 60));
    assert!(!charge("a", "ssn", 60));
    assert!(charge("b", "ssn", 60) && charge("a", "mrn", 60) && charge("a", "ssn", 61));
}

#[test]
fn time_that_goes_back_frees_nothing() {
    let ledger = Ledger::new();
    let one = limit(Spent::Rows, None, 1, 60);
    let at = |now| ledger.take(&who("a"), std::slice::from_ref(&one), &mut [9_u64].into_iter(), now).rows;
    assert_eq!(at(200 * SECOND), 1);
    assert_eq!(at(0), 0);
    assert_eq!(at(259 * SECOND), 0);
    assert_eq!(at(262 * SECOND), 1);
}

#[test]
fn sessions_that_share_an_account_never_take_more_together() {
    let ledger = Arc::new(Ledger::new());
    let taken: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let ledger = Arc::clone(&ledger);
                scope.spawn(move || {
                    let limits = [limit(Spent::Rows, None, 1_000, 60)];
                    let once = || ledger.take(&who("a"), &limits, &mut std::iter::repeat_n(8, 7), SECOND).rows;
                    (0..100).map(|_| once()).sum::<u64>()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(taken, 1_000);
}

#[test]
fn idle_accounts_are_forgotten() {
    let ledger = Ledger::new();
    for i in 0..20_000_u64 {
        let name = who(&format!("user {i}"));
        ledger.charge(&name, &[(limit(Spent::Statements, None, 5, 1), 1)], i * SECOND).unwrap();
    }
    assert!(ledger.accounts() < 10_000, "{}", ledger.accounts());
}
