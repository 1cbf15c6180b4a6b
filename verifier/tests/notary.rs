//! What the notary publishes holds for the verifier, at every step: growth, restarts, rotations, crashes between files.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use audit::Body;
use audit::record::Record;
use notary::keys::{self, Keyring};
use notary::{FileSigner, Folders, Notary};
use support::{Log, opened};
use tlog::note::KeyKind;
use verifier::{Code, Options, Report, VerifierKey, Wanted, check, consistency, prove, verify_logs};

const ORIGIN: &str = "tidegate/test";

fn open(directory: &Path, key: &Path) -> Notary {
    let signer = FileSigner::new(Keyring::open(key).unwrap());
    Notary::open(&Folders { directory: directory.to_owned(), spare: None }, Box::new(signer)).unwrap()
}

fn report(directory: &Path, key: &VerifierKey) -> Report {
    verify_logs(&[directory.to_owned()], &Options { keys: vec![key.clone()], ..Options::default() })
}

#[track_caller]
fn clean(directory: &Path, key: &VerifierKey) -> u64 {
    let report = report(directory, key);
    assert!(report.findings.is_empty() && report.exit_code() == 0, "{}", report.text());
    let tree = report.logs[0].tree.as_ref().unwrap();
    assert!(tree.trusted);
    tree.size
}

#[test]
fn v_what_the_notary_publishes_verifies_at_every_step() {
    let place = tempfile::tempdir().unwrap();
    let (directory, key_file) = (place.path().join("audit"), place.path().join("key"));
    keys::create(&key_file, ORIGIN, KeyKind::Log).unwrap();
    let first = VerifierKey::parse(&Keyring::open(&key_file).unwrap().current().to_string()).unwrap();
    let logs: Arc<Mutex<Vec<Log>>> = Arc::new(Mutex::new(opened(&directory, 2).into_iter().map(Log::begin).collect()));
    let posted = Arc::clone(&logs);
    let append: notary::sequencer::Append = Arc::new(move |body| {
        let mut logs = posted.lock().unwrap();
        match &body {
            Body::KeyRotate { key } => logs[0].put(&Record::KeyRotate { key }),
            Body::NodeEnroll { origin, key } => logs[0].put(&Record::NodeEnroll { origin, key }),
            other => panic!("{other:?}"),
        }
        logs[0].commit();
        true
    });
    let mut notary = open(&directory, &key_file);
    notary.append_with(Arc::clone(&append));
    let mut kept = Vec::new();
    for round in 0..40u64 {
        for (core, log) in logs.lock().unwrap().iter_mut().enumerate() {
            for n in 0..1 + round % 5 {
                log.statement(round * 100 + n * 10 + core as u64);
            }
        }
        notary.step().unwrap();
        let size = clean(&directory, &first);
        if round % 8 == 0 {
            kept.push(fs::read(directory.join("tlog/checkpoint")).unwrap());
        }
        if round == 20 {
            // A rotation; the first key is all that whoever verifies knows.
            Keyring::open(&key_file).unwrap().prepare().unwrap();
            for _ in 0..3 {
                notary.step().unwrap();
                clean(&directory, &first);
            }
            assert_eq!(fs::read_to_string(directory.join("tlog/keys")).unwrap().lines().count(), 2);
        }
        if round == 30 {
            drop(notary);
            notary = open(&directory, &key_file);
            notary.append_with(Arc::clone(&append));
            assert!(clean(&directory, &first) >= size);
        }
    }
    assert!(clean(&directory, &first) > 256);
    let second = VerifierKey::parse(&Keyring::open(&key_file).unwrap().current().to_string()).unwrap();
    assert_ne!(first, second);
    for checkpoint in &kept {
        let options = Options {
            keys: vec![first.clone()],
            checkpoints: vec![("kept".to_owned(), checkpoint.clone())],
            ..Options::default()
        };
        assert_eq!(verify_logs(std::slice::from_ref(&directory), &options).exit_code(), 0);
        assert!(consistency(&directory, ("kept", checkpoint), &[first.clone(), second.clone()]).unwrap().holds);
    }
    let proof = prove(&directory, &Wanted::Sequence { core: 1, sequence: 60 }).unwrap();
    assert!(check(proof.as_bytes(), std::slice::from_ref(&second)).unwrap().holds);
    // The proof is one that the other implementation reads, for the header that it carries.
    let parsed = tlog::InclusionProof::parse(proof.as_bytes()).unwrap();
    let header = &parsed.extra.as_ref().unwrap()[8..264];
    let keys = [tlog::VerifierKey::parse(&Keyring::open(&key_file).unwrap().current().to_string()).unwrap()];
    parsed.verify(header, ORIGIN, &keys).unwrap();

    // What a crash may leave of the tree: tiles of hashes lost or empty, a checkpoint that has its place but is not yet
    // the newest.
    let tile = directory.join("tlog/tile/0/000");
    let good = fs::read(&tile).unwrap();
    fs::write(&tile, b"").unwrap();
    clean(&directory, &first);
    fs::remove_file(&tile).unwrap();
    clean(&directory, &first);
    fs::write(&tile, &good).unwrap();
    fs::copy(directory.join("tlog/checkpoint"), place.path().join("newest")).unwrap();
    let mut all: Vec<_> =
        fs::read_dir(directory.join("tlog/checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    fs::copy(&all[all.len() - 2], place.path().join("before")).unwrap();
    fs::remove_file(directory.join("tlog/checkpoint")).unwrap();
    fs::copy(place.path().join("before"), directory.join("tlog/checkpoint")).unwrap();
    clean(&directory, &first);
    // Entries are synced before they are signed: without them it is damage.
    fs::remove_file(directory.join("tlog/tile/entries/000")).unwrap();
    assert!(report(&directory, &first).has(Code::Del));
}
