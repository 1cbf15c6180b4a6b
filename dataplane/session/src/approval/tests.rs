#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use contract::{Format, Given};
use std::collections::HashSet;

const SOME: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

fn bound<'a>(given: &'a Given, masking: &'a [(String, String, String)]) -> Bound<'a> {
    Bound {
        issuer: "https://idp.example",
        subject: "ana",
        target: "warehouse",
        database: "db",
        role: "analyst",
        rule: "no-delete",
        operation: ("simple", 0),
        text: b"DELETE FROM t",
        given,
        settings: &SOME,
        in_transaction: false,
        bundle: &SOME,
        masking,
    }
}

#[test]
fn every_fact_changes_the_digest() {
    let none = Given::default();
    let given = |types: &[u32], formats: &[Format], digest: Option<[u8; 32]>| Given {
        types: types.to_vec(),
        formats: formats.to_vec(),
        digest,
        values: None,
    };
    let typed =
        [given(&[23], &[], Some(SOME)), given(&[25], &[], Some(SOME)), given(&[23], &[Format::Binary], Some(SOME))];
    let changed = [given(&[23], &[], Some(OTHER)), given(&[23], &[Format::Text], Some(SOME))];
    let masks = [
        [("a".to_owned(), "ssn".to_owned(), "null".to_owned())],
        [("a".to_owned(), "ssn".to_owned(), "clear".to_owned())],
    ];
    let base = || bound(&none, &[]);
    let mut all = vec![
        base(),
        Bound { issuer: "https://idp.exampl", ..base() },
        Bound { subject: "an", ..base() },
        // What is moved from one part to the next is something else.
        Bound { issuer: "https://idp.examplea", subject: "na", ..base() },
        Bound { target: "warehouse2", ..base() },
        Bound { database: "d", ..base() },
        Bound { role: "officer", ..base() },
        Bound { rule: "no-deletes", ..base() },
        Bound { operation: ("execute", 0), ..base() },
        Bound { operation: ("simple", 1), ..base() },
        Bound { text: b"DELETE FROM t ", ..base() },
        Bound { settings: &OTHER, ..base() },
        Bound { in_transaction: true, ..base() },
        Bound { bundle: &OTHER, ..base() },
    ];
    all.extend(typed.iter().chain(&changed).map(|given| bound(given, &[])));
    all.extend(masks.iter().map(|masks| bound(&none, masks)));
    let digests: HashSet<_> = all.iter().map(Bound::digest).collect();
    assert_eq!(digests.len(), all.len());
    assert_eq!(base().digest(), base().digest());
}

#[test]
fn heads_are_the_shortest_there_are() {
    let of = |value| {
        let mut out = Vec::new();
        head(&mut out, UINT, value);
        out
    };
    assert_eq!(of(23), [0x17]);
    assert_eq!(of(24), [0x18, 24]);
    assert_eq!(of(255), [0x18, 255]);
    assert_eq!(of(256), [0x19, 1, 0]);
    assert_eq!(of(65_536), [0x1a, 0, 1, 0, 0]);
    assert_eq!(of(1 << 32), [0x1b, 0, 0, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn parameters_are_read_and_shown() {
    let mut values = Vec::new();
    for value in [Some(&b"o'brien"[..]), None, Some(&[0, 0, 0, 7])] {
        values.extend(value.map_or(-1, |v| i32::try_from(v.len()).unwrap()).to_be_bytes());
        values.extend(value.unwrap_or_default());
    }
    let given = Given {
        types: vec![25, 23, 23],
        formats: vec![Format::Text, Format::Text, Format::Binary],
        digest: Some([0; 32]),
        values: Some(values.into()),
    };
    assert_eq!(shown(&given, false), ["o'brien", "NULL", "\\x00000007"]);
    assert_eq!(shown(&given, true), ["(7 bytes, not shown)", "NULL", "(4 bytes, not shown)"]);
    assert_eq!(
        sent(&given).iter().map(|s| (s.type_oid, s.binary)).collect::<Vec<_>>(),
        [(25, false), (23, false), (23, true)]
    );
    assert_eq!(shown(&Given { values: None, ..given.clone() }, false), ["(too long to be shown)"]);
    // A frame that lies about its lengths gives what is there.
    for cut in 0..given.values.as_ref().unwrap().len() {
        let values = Some(given.values.as_ref().unwrap()[..cut].into());
        assert!(shown(&Given { values, ..given.clone() }, false).len() <= 3);
    }
}

#[test]
fn ids_and_moments_are_written_for_people() {
    assert_eq!(request_id([0; 5]), "TG-00000000");
    assert_eq!(request_id([255; 5]), "TG-ZZZZZZZZ");
    assert_eq!(clock(86_400_000_000_000 + 45_725_000_000_000), "12:42:05 UTC");
}
