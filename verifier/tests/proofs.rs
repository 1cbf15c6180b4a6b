//! Proofs of single records: made from a log, checked with nothing but a key.

#![allow(clippy::unwrap_used)]

mod support;

use audit::record::{Approval, Record};
use support::tree::{Tree, key, witness};
use support::{Log, SESSION, opened};
use verifier::{VerifierKey, Wanted, check, consistency, prove};

const ORIGIN: &str = "example.org/gateway-1";

fn parse(key: &support::tree::Key) -> VerifierKey {
    VerifierKey::parse(&key.public).unwrap()
}

#[test]
fn every_record_is_proved_by_a_file_and_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let key = key(ORIGIN, 1);
    let mut logs: Vec<Log> = opened(directory.path(), 2).into_iter().map(Log::begin).collect();
    let mut tree = Tree::new(directory.path(), ORIGIN);
    tree.keys(&[(0, &key)]);
    // Blocks of many records, and more than one tile of blocks.
    for round in 0..30 {
        for log in &mut logs {
            for statement in 1..=round % 7 {
                log.put(&support::intent(1000 + round * 10 + statement));
            }
            log.statement(round + 1);
        }
    }
    for n in 0..75 {
        logs[0].statement(2000 + n);
    }
    let approval = |kind: &'static str| {
        let (session, id) = (SESSION, "TG-7F3K9QXM");
        Record::Approval(Approval { kind, session, statement: 1, id, digest: [7; 32], ..Approval::default() })
    };
    ["request", "vote", "grant"].into_iter().for_each(|kind| logs[0].put(&approval(kind)));
    logs[1].put(&approval("consume"));
    logs.iter_mut().for_each(|log| drop(log.commit()));
    tree.publish(&[&key]);
    assert!(tree.size() > 256);
    logs[1].statement(5000);
    let keys = [parse(&key)];
    for core in 0..2 {
        for sequence in (1..=logs[core as usize].ring.sealed_sequence()).step_by(7).chain([1, 2, 3]) {
            let proof = match prove(directory.path(), &Wanted::Sequence { core, sequence }) {
                Ok(proof) => proof,
                Err(why) => {
                    assert!(core == 1 && why.contains("not yet"), "{core}:{sequence}: {why}");
                    continue;
                }
            };
            let outcome = check(proof.as_bytes(), &keys).unwrap();
            assert!(outcome.holds, "{}", outcome.text);
            assert_eq!((&outcome.json["core"], &outcome.json["sequence"]), (&core.into(), &sequence.into()));
            assert!(proof.len() < 4000, "{} bytes", proof.len());
        }
    }
    let session: String = SESSION.0.iter().map(|b| format!("{b:02x}")).collect();
    for (name, kind) in
        [(format!("{session}/3"), "STMT_INTENT"), (format!("{}/3/result", &session[..8]), "STMT_RESULT")]
    {
        let proof = prove(directory.path(), &Wanted::parse(&name).unwrap()).unwrap();
        let outcome = check(proof.as_bytes(), &keys).unwrap();
        assert_eq!((&outcome.json["type"], &outcome.json["fields"]["statement"]), (&kind.into(), &3.into()));
    }
    for (name, kind, core) in [("TG-7F3K9QXM", "consume", 1), ("TG-7F3K9QXM/grant", "grant", 0)] {
        let proof = prove(directory.path(), &Wanted::parse(name).unwrap()).unwrap();
        let outcome = check(proof.as_bytes(), &keys).unwrap();
        assert!(outcome.holds, "{}", outcome.text);
        assert_eq!((&outcome.json["type"], &outcome.json["core"]), (&"APPROVAL".into(), &core.into()));
        assert_eq!(outcome.json["fields"]["kind"], kind);
    }
    assert!(prove(directory.path(), &Wanted::parse("TG-00000000").unwrap()).is_err());
    assert!(prove(directory.path(), &Wanted::parse("00/9").unwrap()).unwrap_err().contains("no such record"));
    for text in ["", "1", "x:1", "1:01", "zz/1", "00/1/nothing", "00/1/intent/2", "/1", "TG-A/nothing"] {
        assert_eq!(Wanted::parse(text), None, "{text}");
    }
}

#[test]
fn a_changed_proof_proves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (key, other) = (key(ORIGIN, 1), key(ORIGIN, 2));
    let seen = witness("witness.example", 7);
    let mut log = support::begin(directory.path());
    for statement in 1..=5 {
        log.put(&support::intent(100 + statement));
        log.statement(statement);
    }
    let mut tree = Tree::new(directory.path(), ORIGIN);
    tree.keys(&[(0, &key)]);
    let mut signed = tree.publish(&[&key]);
    signed.extend(seen.cosign(&tree.text(), 1_700_000_100).into_bytes());
    std::fs::create_dir(directory.path().join("tlog/cosignatures")).unwrap();
    std::fs::write(directory.path().join(format!("tlog/cosignatures/{}", tree.size())), signed).unwrap();
    let proof = prove(directory.path(), &Wanted::Sequence { core: 0, sequence: 6 }).unwrap();
    let keys = [parse(&key), parse(&seen)];
    let outcome = check(proof.as_bytes(), &keys).unwrap();
    assert!(outcome.holds && outcome.text.contains("SELECT name FROM clinic.patients"), "{}", outcome.text);
    assert!(
        outcome.text.contains("witness.example") && outcome.text.contains("2023-11-14T22:15:00Z"),
        "{}",
        outcome.text
    );
    assert!(!check(proof.as_bytes(), &[parse(&other)]).unwrap().holds);
    assert!(!check(proof.as_bytes(), &[parse(&seen)]).unwrap().holds);
    assert!(!check(proof.as_bytes(), &[]).unwrap().holds);
    let bytes = proof.as_bytes();
    let witness_line = proof.find("\u{2014} witness").unwrap();
    for at in 0..bytes.len() {
        for bit in [1, 4, 32] {
            let mut changed = bytes.to_vec();
            changed[at] ^= bit;
            let holds = check(&changed, &keys).is_ok_and(|outcome| outcome.holds);
            // The name of a witness is the one thing that may change: it is then one that nobody asked for.
            assert!(!holds || at >= witness_line, "byte {at}: {proof}");
        }
        assert!(
            !check(&bytes[..at], &keys).is_ok_and(|outcome| outcome.holds) || at > bytes.len() - 200,
            "cut to {at}"
        );
    }
}

#[test]
fn a_kept_checkpoint_is_continued_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let (key, other) = (key(ORIGIN, 1), key(ORIGIN, 2));
    let mut log = support::begin(directory.path());
    let mut tree = Tree::new(directory.path(), ORIGIN);
    tree.keys(&[(0, &key)]);
    let mut kept = Vec::new();
    for statement in 1..=150 {
        log.statement(statement);
        if statement % 10 == 0 || statement == 1 {
            kept.push(tree.publish(&[&key]));
        }
    }
    for checkpoint in &kept {
        let outcome = consistency(directory.path(), ("kept", checkpoint), &[parse(&key)]).unwrap();
        assert!(outcome.holds, "{}", outcome.text);
        assert!(consistency(directory.path(), ("kept", checkpoint), &[]).unwrap().holds);
        assert!(!consistency(directory.path(), ("kept", checkpoint), &[parse(&other)]).unwrap().holds);
    }
    // Another history of the same length.
    let forked = tempfile::tempdir().unwrap();
    let mut log = support::begin(forked.path());
    for statement in 1..=20 {
        log.statement(statement + 1);
    }
    let fork = Tree::new(forked.path(), ORIGIN).publish(&[&key]);
    let outcome = consistency(directory.path(), ("kept", &fork), &[parse(&key)]).unwrap();
    assert!(!outcome.holds && outcome.text.contains("not a continuation"), "{}", outcome.text);
    let outcome = consistency(forked.path(), ("kept", &kept[15]), &[parse(&key)]).unwrap();
    assert!(!outcome.holds && outcome.text.contains("went back"), "{}", outcome.text);
}
