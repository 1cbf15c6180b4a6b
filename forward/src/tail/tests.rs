use audit::record::{Actor, Record};

use super::*;

fn act(directory: &Path, n: u64) {
    let actor = Actor { issuer: "os", subject: "ana", role: "" };
    let detail = n.to_string();
    let acts = [
        Record::Export { actor, reason: "", kind: "json", detail: &detail, count: n },
        Record::HoldSet { actor, reason: "r", name: &detail, query: "person=x" },
    ];
    audit::desk::write(directory, "test", [u8::try_from(n % 256).unwrap(); 32], &acts).unwrap();
}

fn all(tail: &mut Tail, most: usize) -> Vec<u64> {
    let mut sequences = Vec::new();
    loop {
        let batch = tail.batch(most).unwrap();
        if batch.is_empty() {
            return sequences;
        }
        assert!(batch.len() <= most);
        sequences.extend(batch.iter().map(|event| event.sequence));
    }
}

#[test]
fn every_record_once_and_in_order_however_the_batches_fall_and_from_any_cursor() {
    let directory = tempfile::tempdir().unwrap();
    let mut tail = Tail::open(directory.path(), "o", false, Positions::new());
    assert!(tail.batch(10).unwrap().is_empty());
    for n in 1..=10 {
        act(directory.path(), n);
    }
    // Four records per act: start of an epoch, two acts, its end.
    let expected: Vec<u64> = (1..=40).collect();
    for most in [1, 3, 1000] {
        assert_eq!(all(&mut Tail::open(directory.path(), "o", false, Positions::new()), most), expected);
    }
    let mut positions = Vec::new();
    let mut stepwise = Tail::open(directory.path(), "o", false, Positions::new());
    while !stepwise.batch(3).unwrap().is_empty() {
        positions.push(stepwise.positions());
    }
    for (n, position) in positions.iter().enumerate() {
        let begin = (n as u64 + 1) * 3 + 1;
        let rest: Vec<u64> = (begin..=40).collect();
        assert_eq!(all(&mut Tail::open(directory.path(), "o", false, position.clone()), 7), rest);
    }
    assert_eq!(all(&mut tail, 100), expected, "a tail that waited sees what came");
    assert_eq!(tail.behind().unwrap(), 0);
    act(directory.path(), 11);
    assert_eq!(tail.behind().unwrap(), 4);
    assert_eq!(all(&mut tail, 100), [41, 42, 43, 44]);
    tail.rewind(positions[0].clone());
    assert_eq!(all(&mut tail, 100).first(), Some(&4));
}
