//! The catalogue by real drivers: nothing comes out through the gateway, and most ways do bring something out directly.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use bypass::{drivers, ground::Ground, recover::Finder};

#[track_caller]
fn nothing_comes_out_by(driver: &str) {
    let ground = Ground::shared();
    let finder = Finder::new(&ground.truth());
    let names = ground.names();
    let usual = |way: &serde_json::Value| way["privileged"] == false;
    let through = drivers::all(driver, &ground.through("ana", false), &names, &finder, &usual);
    let leaks: Vec<_> =
        through.iter().filter(|(_, found)| !found.is_empty()).map(|(way, found)| (way, found.len())).collect();
    // One in eight tells whether the ways work at all by this driver.
    let mut number = 0;
    let some = std::cell::RefCell::new(&mut number);
    let sampled = |way: &serde_json::Value| {
        **some.borrow_mut() += 1;
        usual(way) && way["silent"] == false && **some.borrow() % 8 == 0
    };
    let direct = drivers::all(driver, &ground.direct(false), &names, &finder, &sampled);
    let open = direct.values().filter(|found| !found.is_empty()).count();
    assert!(leaks.is_empty(), "{driver}: {} ways out: {leaks:?}", leaks.len());
    assert!(open * 10 >= direct.len() * 6, "{driver}: only {open} of {} bring anything out directly", direct.len());
}

#[test]
fn s7_nothing_comes_out_by_psycopg() {
    nothing_comes_out_by("psycopg");
}

#[test]
fn s7_nothing_comes_out_by_asyncpg() {
    nothing_comes_out_by("asyncpg");
}
