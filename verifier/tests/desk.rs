//! The log of people's acts is verified like any other core's.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use audit::record::{Actor, Record};

fn export(directory: &Path, detail: &str) {
    let actor = Actor { issuer: "os", subject: "ana", role: "" };
    let act = Record::Export { actor, reason: "", kind: "json", detail, count: 1 };
    audit::desk::write(directory, "test", [7; 32], &[act]).unwrap();
}

#[test]
fn acts_beside_a_gateway_and_without_one_verify() {
    let directory = tempfile::tempdir().unwrap();
    export(directory.path(), "first");
    let opened = audit::open(directory.path(), 2, [1; 32]).unwrap();
    export(directory.path(), "second");
    drop(opened);
    let report = verifier::verify(directory.path());
    assert_eq!((report.exit_code(), report.findings.len()), (0, 0), "{}", report.text());
    let desk = report.logs[0].cores.iter().find(|core| core.core == verifier::DESK).unwrap();
    assert_eq!((desk.epochs, desk.records, desk.closed), (2, 6, true));
    // A changed act is noticed.
    let folder = directory.path().join("core-65535");
    let path = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).find(|p| p.extension().is_some()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(3).position(|w| w == b"ana").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(verifier::verify(directory.path()).has(verifier::Code::Mod));
}
