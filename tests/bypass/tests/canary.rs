//! The canary property: random statements bring no protected value out, and where everything is allowed the answers are
//! the database's own to the byte. `TIDEGATE_CANARY_SECONDS` says how long (20); `TIDEGATE_CANARY_SEED` repeats a run.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use bypass::{
    ground::Ground,
    random::{self, Extent},
    recover::{Care, Finder},
};
use std::time::Duration;

fn extent(share: u64) -> Extent {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seconds = number("TIDEGATE_CANARY_SECONDS").unwrap_or(20);
    let clock = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seed = number("TIDEGATE_CANARY_SEED").unwrap_or_else(clock);
    println!("seed {seed}");
    Extent { statements: u64::MAX, time: Duration::from_secs(seconds.div_ceil(share)), least: 1_000, sessions: 3, seed }
}

#[test]
fn o2_random_statements_bring_no_canary_out() {
    let ground = Ground::shared();
    let (schema, finder) = (ground.schema(), Finder::new(&ground.truth()));
    let extent = extent(1);
    let tally = random::canary(&schema, &finder, &ground.through("ana", false), extent, &|| false).unwrap();
    println!("{tally}");
    assert!(tally.leaks.is_empty(), "seed {}: {tally}\n{:#?}", extent.seed, tally.leaks);
    assert!(tally.broken == 0, "seed {}: {:?}", extent.seed, tally.broke);
    assert!(tally.allowed * 4 >= tally.said && tally.said > 200, "too little is allowed to prove anything: {tally}");
    let kept = finder.find(&ground.kept(), Care::Whole);
    assert!(
        kept.is_empty(),
        "seed {}: {} values in the gateway's own log, metrics or records",
        extent.seed,
        kept.len()
    );
}

#[test]
fn o2_the_same_statements_bring_canaries_out_directly() {
    let ground = Ground::shared();
    let (schema, finder) = (ground.schema(), Finder::new(&ground.truth()));
    let tally = random::canary(&schema, &finder, &ground.direct(false), extent(10), &|| false).unwrap();
    assert!(tally.characters > 10_000, "the statements are too tame: {tally}");
}

#[test]
fn o2_where_everything_is_allowed_answers_are_the_same_to_the_byte() {
    // A server of its own: the other tests write (and roll back) while they run, and a table that grew gets other plans.
    let ground = Ground::start(None);
    let (extent, (direct, through)) = (extent(2), ground.compared());
    let tally = random::compare(&ground.schema(), &direct, &through, extent, &|| false).unwrap();
    println!("{tally}; {} unsteady", tally.unsteady);
    assert!(tally.differences.is_empty(), "seed {}: {tally}\n{:#?}", extent.seed, tally.differences);
    assert!(tally.broken == 0, "seed {}: {:?}", extent.seed, tally.broke);
    assert!(
        tally.unsteady * 1_000 <= tally.said.max(1_000),
        "seed {}: {} unsteady: {tally}",
        extent.seed,
        tally.unsteady
    );
    assert!(tally.allowed * 2 >= tally.said && tally.said > 200, "{tally}");
}
