use std::fs;

use audit::record::{Actor, Approval, Record, SessionId};

use super::*;
use crate::person::record;

#[test]
fn approvals_are_in_the_pack_in_words_tables_and_proofs() {
    let log = tempfile::tempdir().unwrap();
    let session = SessionId([5; 16]);
    let ana = Actor { issuer: "idp", subject: "ana", role: "" };
    let bob = Actor { issuer: "idp", subject: "bob", role: "" };
    let step = |kind, actor| Approval {
        kind,
        session,
        statement: 7,
        actor,
        id: "TG-1",
        digest: [3; 32],
        target: "clinic",
        rule: "no-bulk-delete",
        ..Approval::default()
    };
    let tables = ["clinic.visits".to_owned()];
    let hostile = "<script>alert(1)</script>";
    let acts = [
        Record::Approval(Approval { text: b"delete from clinic.visits", tables: &tables, ..step("request", ana) }),
        Record::Approval(Approval { detail: "approve cli", reason: hostile, ..step("vote", bob) }),
        Record::Approval(step("grant", ana)),
        Record::Approval(step("consume", ana)),
        // An id that is no file name.
        Record::Approval(Approval { id: "../../x", ..step("consume", ana) }),
        Record::Access(audit::record::Access {
            kind: "break_glass",
            actor: ana,
            about: Actor { role: "emergency", ..ana },
            id: "TG-2",
            target: "clinic",
            reason: hostile,
            ..Default::default()
        }),
    ];
    record(log.path(), &acts).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("pack");
    fs::create_dir(&pack).unwrap();
    let settings = Settings {
        directory: log.path().to_owned(),
        frameworks: FRAMEWORKS.map(|(name, _)| name.to_owned()).into(),
        period: (1, u64::MAX),
        nonce: String::new(),
        sample: 2,
        key: None,
    };
    build(&settings, &pack, &folder.path().join("pack.tar.zst")).unwrap();
    let read = |name: &str| fs::read_to_string(pack.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(read("09-approvals/approvals.csv").contains("no-bulk-delete"));
    assert!(read("09-approvals/votes.csv").contains("bob"));
    assert!(read("09-approvals/approval-findings.csv").contains("used-without-grant"));
    let json: serde_json::Value = serde_json::from_str(&read("09-approvals/emergencies.json")).unwrap();
    assert_eq!(json["rows"][0]["role"], "emergency");
    // A log without checkpoints has no proofs; it is said for each use. The consume is the fifth record of the desk.
    assert!(read("09-approvals/proofs/TG-1_65535-5.txt").contains("has no proof here"));
    assert_eq!(fs::read_dir(pack.join("09-approvals/proofs")).unwrap().count(), 2);
    assert!(pack.join("09-approvals/proofs/65535-6.txt").exists() && !folder.path().join("x_65535-6.txt").exists());
    let index = read("01-index.csv");
    for control in ["164.312(a)(2)(ii)", "164.308(a)(4)", "\"CC6.1, CC6.2, CC6.3\"", "\"7.2.2, 7.2.3\""] {
        assert!(index.contains(control), "{control}: {index}");
    }
    let readme = read("00-README.md");
    assert!(
        readme.contains("waited for other people: 2; approved 1, run") && readme.contains("There are 2."),
        "{readme}"
    );
    let page = read("summary.html");
    assert!(page.contains("Statements that needed a second person") && page.contains("Roles given for a time"));
    assert!(page.contains("a statement ran although this log holds no approval of it"), "{page}");
    assert!(!page.contains("<script"), "a reason is a stranger's text");
    for (name, path) in (Pack { root: pack.clone() }).files().unwrap() {
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"delete from"), "{name} holds a statement");
    }
}
