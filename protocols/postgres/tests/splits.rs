//! Split invariance, transparency and hostile bytes: properties of the protocol value over whole conversations.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod talk;

use contract::Serving as _;
use proptest::prelude::*;
use talk::{
    Talk, bind, complete, contains, describe, description, error, execute, frame, parse, query, ready, row, sync,
};

/// A conversation with everything in it.
fn script() -> (Vec<u8>, Vec<u8>) {
    let client = [
        query("select 1; select secret"),
        parse("s", "select secret"),
        describe(b'S', "s"),
        bind("p", "s"),
        execute("p"),
        sync(),
        query("forbidden"),
        bind("p", "s"),
        execute("p"),
        frame(b'C', b"Ss\0"),
        sync(),
    ]
    .concat();
    let rows =
        || (0..40).map(|i| row(&[Some(&vec![b'a'; i]), Some(b"123-45-6789"), None])).collect::<Vec<_>>().concat();
    let shape = || description(&["a", "b", "c"]);
    let database = [
        shape(),
        rows(),
        complete("SELECT 40"),
        shape(),
        rows(),
        complete("SELECT 40"),
        ready(b'I'),
        frame(b'1', b""),
        frame(b't', &[0, 0]),
        shape(),
        frame(b't', &[0, 0]),
        shape(),
        frame(b'2', b""),
        rows(),
        frame(b's', b""),
        ready(b'I'),
        error("42601", "poison"),
        ready(b'I'),
        frame(b'2', b""),
        rows(),
        complete("SELECT 40"),
        frame(b'3', b""),
        ready(b'I'),
    ]
    .concat();
    (client, database)
}

fn play(grow: bool, cuts: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let (client, database) = script();
    let mut talk = Talk::new();
    (talk.grow, talk.hasty) = (grow, true);
    let pieces = |bytes: &[u8], cuts: &[usize]| {
        let (mut at, mut out, mut cuts) = (0, Vec::new(), cuts.iter().cycle());
        while at < bytes.len() {
            let n = cuts.next().map_or(bytes.len(), |c| *c).clamp(1, bytes.len() - at);
            out.push(bytes[at..at + n].to_vec());
            at += n;
        }
        out
    };
    pieces(&client, cuts).iter().for_each(|piece| talk.client(piece));
    pieces(&database, cuts).iter().for_each(|piece| talk.database(piece));
    assert_eq!(talk.fault, None);
    assert!(talk.serve.is_idle());
    (talk.to_database, talk.to_client)
}

#[test]
fn any_single_cut_gives_the_same_bytes() {
    for grow in [false, true] {
        let whole = play(grow, &[]);
        assert!(!contains(&whole.1, b"123-45-6789"));
        for cut in 1..600 {
            assert_eq!(play(grow, &[cut]), whole, "cut at {cut}");
        }
    }
}

proptest! {
    #[test]
    fn split_invariance(cuts in prop::collection::vec(1usize..900, 1..40), grow: bool) {
        prop_assert_eq!(play(grow, &cuts), play(grow, &[]));
    }

    #[test]
    fn allow_all_is_the_identity_on_bytes(rows in prop::collection::vec(prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..50)), 3), 0..40), cuts in prop::collection::vec(1usize..500, 1..20)) {
        let client = [query("select allow-all"), parse("n", "select allow-all"), bind("", "n"), describe(b'P', ""), execute(""), sync()].concat();
        let rows: Vec<u8> = rows.iter().flat_map(|r| row(&r.iter().map(Option::as_deref).collect::<Vec<_>>())).collect();
        let database = [description(&["a", "b", "c"]), rows.clone(), complete("SELECT"), ready(b'T'), frame(b'1', b""), frame(b'2', b""), description(&["a", "b", "c"]), rows, complete("SELECT"), ready(b'I')].concat();
        let mut talk = Talk::new();
        let mut at = 0;
        let mut cut = cuts.iter().cycle();
        talk.client(&client);
        while at < database.len() {
            let n = (*cut.next().unwrap()).min(database.len() - at);
            talk.database(&database[at..at + n]);
            at += n;
        }
        prop_assert_eq!(talk.fault, None);
        prop_assert_eq!(talk.to_database, client);
        prop_assert_eq!(talk.to_client, database);
    }

    #[test]
    fn hostile_bytes_never_panic(client in prop::collection::vec(any::<u8>(), 0..300), database in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut talk = Talk::new();
        talk.client(&client);
        talk.database(&database);
    }

    #[test]
    fn hostile_frames_never_panic(frames in prop::collection::vec((any::<bool>(), prop::sample::select(&b"QPBDECSHFdcfX123ntTDCIsZENSAGHVWRK"[..]), prop::collection::vec(any::<u8>(), 0..40)), 0..40)) {
        let mut talk = Talk::new();
        for (from_client, tag, body) in frames {
            talk.feed(&frame(tag, &body), from_client);
        }
    }
}
