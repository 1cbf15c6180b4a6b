//! The evidence pack from a real run: its own five commands check it, its page is for people, and nothing in it is a value.

use std::{fs, path::Path, process::Command, time::Duration};

use tests::{
    canary, clients,
    gateway::{Gateway, Setup},
    process::{Finished, PATIENCE, run},
    programs::program,
    rules::Bundle,
    server::Postgres,
};

use crate::approvals::{Court, outcome, waits};
use crate::exports::after_a_morning;

fn tidegate(folder: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(program("tidegate"));
    run(command.args(arguments).current_dir(folder), b"", 2 * PATIENCE)
}

/// Builds a pack of the last hour beside the log and unpacks it there.
#[track_caller]
fn built(folder: &Path, to: &str, key: &[&str]) -> String {
    let arguments = [
        &["evidence", "build", "audit", "--framework", "hipaa,pci", "--from", "2026-01-01", "--to", to],
        &["--nonce", "auditor-7", "-o", "pack.tar.zst"][..],
        key,
    ];
    let text = tidegate(folder, &arguments.concat()).success().text();
    let mut tar = Command::new("tar");
    run(tar.args(["--zstd", "-xf", "pack.tar.zst"]).current_dir(folder), b"", PATIENCE).success();
    text
}

/// The time now, to the second, as the command line takes it.
fn now() -> String {
    let mut date = Command::new("date");
    run(date.args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]), b"", PATIENCE).success().text().trim().to_owned()
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(from).arg(to), b"", PATIENCE).success();
}

#[test]
fn the_five_commands_of_a_pack_check_it() {
    let gateway = after_a_morning();
    let folder = gateway.folder.path();
    std::thread::sleep(Duration::from_millis(1100));
    let key = tidegate(folder, &["audit", "purge", "key", "example.org/log", "-o", "pack.key"]).success().text();
    gateway.folder.write("pack.pub", key);
    let said = built(folder, &now(), &["--key", "pack.key"]);
    assert!(said.contains("verification: exit code 0"), "{said}");
    let pack = folder.join("evidence");
    let readme = fs::read_to_string(pack.join("00-README.md")).unwrap();
    let commands: Vec<&str> = readme.split("```").nth(1).unwrap().trim().lines().collect();
    assert_eq!(commands.len(), 5, "{commands:?}");
    let path = format!("{}:{}", program("tidegate").parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut answers = Vec::new();
    for command in &commands {
        let command = command.replace("DIR", "../audit");
        let mut shell = Command::new("sh");
        let done = run(shell.args(["-ec", &command]).current_dir(&pack).env("PATH", &path), b"", 2 * PATIENCE);
        assert_eq!(done.code, 0, "{command}: {}", done.both());
        answers.push(done.text());
    }
    let note = fs::read_to_string(pack.join("02-attestation/manifest.note")).unwrap();
    let digest = answers[1].split(' ').next().unwrap();
    assert!(note.contains(&format!("manifest-sha256 {digest}")), "{note}");
    assert!(answers[2].contains("chain without a gap"), "{}", answers[2]);
    let sample: Vec<String> = fs::read_to_string(pack.join("14-samples/sample.csv"))
        .unwrap()
        .lines()
        .skip(1)
        .map(|line| line.split(',').take(2).collect::<Vec<_>>().join(":"))
        .collect();
    let drawn: Vec<&str> = answers[3].lines().skip(2).collect();
    assert_eq!(sample, drawn, "whoever has nonce and root draws the same sample");
    assert!(!sample.is_empty());
    let signed = tidegate(folder, &["evidence", "check", "evidence", "--key", "pack.pub"]);
    assert!(signed.success().text().contains("is signed by example.org/log"));

    // What is in it is true, and is not data.
    let index = fs::read_to_string(pack.join("01-index.csv")).unwrap();
    assert!(index.contains("hipaa,") && index.contains("pci,") && !index.contains("soc2,"), "{index}");
    let exposure = fs::read_to_string(pack.join("08-phi-release/exposure.csv")).unwrap();
    assert!(exposure.lines().any(|line| line.starts_with("ana,") && line.contains(",masked,")), "{exposure}");
    let clear = fs::read_to_string(pack.join("08-phi-release/shown-in-clear.csv")).unwrap();
    assert!(clear.contains(",priya,") && clear.contains("clinic.patients"), "{clear}");
    assert!(!clear.contains(",ana,"), "{clear}");
    let refused = fs::read_to_string(pack.join("08-phi-release/refused-statements.csv")).unwrap();
    assert!(refused.contains("no-drop"), "{refused}");
    assert!(fs::read_to_string(pack.join("07-authn/failed-logins.csv")).unwrap().contains(",ana,127.0.0.1,"));
    let page = fs::read_to_string(pack.join("summary.html")).unwrap();
    for word in ["The log is whole and unchanged", "no-drop", "<b>ana</b>", "failed login", "What this cannot show"] {
        assert!(page.contains(word), "{word}");
    }
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"), "self-contained");
    for entry in files(&pack) {
        canary::assert_none(&entry.display().to_string(), &fs::read(&entry).unwrap());
    }
    // It is in the log that it was made.
    let acts = gateway.tidegate(&["audit", "report", "evidence-access", "audit", "--json"]).success().text();
    assert!(acts.contains("export pack") && acts.contains(digest), "{acts}");

    // One changed byte, a file more, a header less: each is found.
    let check = || tidegate(folder, &["evidence", "check", "evidence"]);
    let broken = |name: &str, bytes: &[u8], word: &str| {
        let path = pack.join(name);
        let good = fs::read(&path).ok();
        fs::write(&path, bytes).unwrap();
        let done = check();
        assert_eq!(done.code, 10, "{name}");
        assert!(done.text().contains(word), "{name}: {}", done.text());
        match good {
            Some(good) => fs::write(&path, good).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    };
    broken("08-phi-release/exposure.csv", b"nothing", "was changed");
    broken("16-more.txt", b"x", "is not in the manifest");
    let headers = fs::read(pack.join("03-population/headers.bin")).unwrap();
    broken("03-population/headers.bin", &headers[256..], "is not what headers.bin gives");
    broken("03-population/headers.bin", &headers[..100], "headers.bin");
    assert_eq!(check().code, 0);
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[test]
fn the_same_log_and_arguments_give_the_same_bytes() {
    let gateway = after_a_morning();
    let folder = gateway.folder.path();
    std::thread::sleep(Duration::from_millis(1100));
    let to = now();
    let packs: Vec<Vec<u8>> = ["one", "two"]
        .into_iter()
        .map(|name| {
            let own = folder.join(name);
            fs::create_dir(&own).unwrap();
            copy(&folder.join("audit"), &own.join("audit"));
            built(&own, &to, &[]);
            fs::read(own.join("pack.tar.zst")).unwrap()
        })
        .collect();
    assert!(packs[0] == packs[1], "{} and {} bytes", packs[0].len(), packs[1].len());
    // A log that was tampered with says so on the first page.
    let own = folder.join("two");
    let segment = files(&own.join("audit/core-00")).into_iter().find(|p| p.extension().is_some_and(|e| e == "tgseg"));
    let segment = segment.unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let used = bytes.iter().rposition(|b| *b != 0).unwrap();
    bytes[used / 2] ^= 1;
    fs::write(&segment, bytes).unwrap();
    fs::remove_file(own.join("pack.tar.zst")).unwrap();
    let done =
        tidegate(&own, &["evidence", "build", "audit", "--from", "2026-01-01", "--to", &to, "-o", "bad.tar.zst"]);
    assert_eq!(done.code, 10, "{}", done.both());
    let mut tar = Command::new("tar");
    run(tar.args(["--zstd", "-xf", "bad.tar.zst"]).current_dir(&own), b"", PATIENCE).success();
    assert!(fs::read_to_string(own.join("evidence/summary.html")).unwrap().contains("was damaged or changed"));
}

#[test]
fn holds_reviews_and_purges_are_acts_of_people_on_the_log() {
    let gateway = after_a_morning();
    let ask = |arguments: &[&str]| gateway.tidegate(&[&["audit"], arguments].concat());
    ask(&["hold", "set", "audit", "--name", "case-7", "--reason", "litigation", "--person", "ana"]).success();
    let again = ask(&["hold", "set", "audit", "--name", "case-7", "--reason", "x"]);
    assert!(again.code != 0 && again.errors().contains("is in force"), "{}", again.both());
    let holds = ask(&["hold", "list", "audit"]).success().text();
    assert!(holds.contains("case-7") && holds.contains("person=ana") && holds.contains("litigation"), "{holds}");
    ask(&["review", "open", "audit", "--ticket", "SEC-1", "--since", "2026-01-01"]).success();
    let findings = ["--findings", "nothing unusual"];
    ask(&[&["review", "close", "audit", "--ticket", "SEC-1", "--since", "2026-01-01"], &findings[..]].concat())
        .success();
    let reviews = ask(&["report", "reviews", "audit"]).success().text();
    assert!(
        reviews.contains("SEC-1") && reviews.contains("nothing unusual") && reviews.contains("closed"),
        "{reviews}"
    );
    // Nothing may go yet: an order needs sessions that are old enough and have keys.
    let plan = ["--retain-days", "30", "--policy", "p", "--reason", "r", "-o", "order.txt"];
    let plan = ask(&[&["purge", "plan", "audit"], &plan[..]].concat());
    assert!(plan.code != 0 && plan.errors().contains("names no session"), "{}", plan.both());
    assert!(!gateway.folder.path().join("order.txt").exists());
    ask(&["hold", "clear", "audit", "--name", "case-7", "--reason", "settled"]).success();
    assert!(ask(&["hold", "list", "audit"]).success().text().contains("no holds"));
    assert_ne!(ask(&["hold", "clear", "audit", "--name", "case-7", "--reason", "settled"]).code, 0);
    let retention = ask(&["report", "retention", "audit"]).success().text();
    assert!(retention.contains("set") && retention.contains("cleared"), "{retention}");
    for report in ["access", "authn", "exposure", "refusals", "changes", "continuity", "identity", "clock"] {
        let text = ask(&["report", report, "audit"]).success().text();
        assert!(!text.is_empty());
        canary::assert_none(report, text.as_bytes());
    }
    assert!(ask(&["report", "continuity", "audit"]).success().text().contains("0 records lost"));
    assert_eq!(ask(&["report", "everything", "audit"]).code, 2);
    assert_eq!(ask(&["verify", "audit"]).code, 0);
}

/// Rules that only observe what they would do.
#[test]
fn what_was_shown_under_observation_counts_as_shown_in_clear() {
    let rules = "\
version: 1
targets:
  clinic: {address: \"127.0.0.1:5432\", database: clinic, account: app, tls: disable, audit: async}
classes: {mrn: \"*.*.patients.mrn\"}
roles:
  analyst:
    groups: [analysts]
    targets: [clinic]
    default: clear
    redact: {mrn: keep-last 2}
    mode: observe
";
    let server = Postgres::shared();
    let bundle = Bundle::compile(&[rules], "clinic", server);
    let gateway: Gateway = Setup::new(&bundle, server).start();
    clients::rows(&gateway.endpoint("ana"), "select mrn from clinic.patients limit 3").success();
    gateway.signal("TERM");
    gateway.wait_end(PATIENCE).expect("it ends");
    let report = gateway.tidegate(&["audit", "report", "exposure", "audit"]).success().text();
    assert!(report.contains("clear (observed)"), "{report}");
    let table = gateway.tidegate(&["audit", "report", "exposure", "audit", "--csv", "exposure"]).success().text();
    let lines: Vec<&str> = table.lines().filter(|line| line.contains(",mrn,")).collect();
    assert_eq!(lines.len(), 1, "once, not as observed and as clear: {table}");
}

#[test]
fn sealed_texts_open_for_their_recipient_until_two_people_order_their_end() {
    let keys = tests::folder::Folder::new("keys");
    tidegate(keys.path(), &["keys", "new", "officer", "-o", "officer"]).success();
    tidegate(keys.path(), &["keys", "new", "stranger", "-o", "stranger"]).success();
    let at = |name: &str| keys.path().join(name).display().to_string();
    let recipients = format!("recipients: [\"{}\"]", at("officer.pub"));
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).audit(&recipients).start();
    clients::rows(&gateway.endpoint("ana"), "select 'first sealed'").success();
    clients::rows(&gateway.endpoint("ana"), "select 'second sealed'").success();
    gateway.signal("TERM");
    gateway.wait_end(PATIENCE).expect("it ends");
    let ask = |arguments: &[&str]| gateway.tidegate(&[&["audit"], arguments].concat());
    let texts = |identity: &[&str]| ask(&[&["query", "audit", "--texts"], identity].concat()).success().text();
    let closed = texts(&[]);
    assert!(closed.contains("[sealed]") && !closed.contains("first"), "{closed}");
    let wrong = texts(&["--identity", &at("stranger")]);
    assert!(wrong.contains("[sealed]") && !wrong.contains("first"), "{wrong}");
    let open = texts(&["--identity", &at("officer")]);
    assert!(open.contains("first sealed") && open.contains("second sealed"), "{open}");
    let looks = ask(&["report", "evidence-access", "audit"]).success().text();
    assert!(looks.contains("texts opened"), "{looks}");

    // The first session's key goes, by order of two people.
    let rows = ask(&["query", "audit", "--json", "--texts", "--identity", &at("officer")]).success().text();
    let rows: Vec<serde_json::Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = rows.iter().find(|row| row["text"].as_str().is_some_and(|t| t.contains("first"))).unwrap();
    let session = first["session"].as_str().unwrap();
    let mut signers = String::new();
    for name in ["dana", "erik"] {
        signers.push_str(&ask(&["purge", "key", name, "-o", &format!("{name}.key")]).success().text());
    }
    gateway.folder.write("signers.txt", signers);
    let plan = ["purge", "plan", "audit", "--kind", "erasure", "--session", session, "-o", "order.txt"];
    ask(&[&plan[..], &["--policy", "right to erasure", "--reason", "request 12"]].concat()).success();
    ask(&["purge", "sign", "order.txt", "--key", "dana.key"]).success();
    // The order names the next whole second as its time.
    std::thread::sleep(Duration::from_millis(1100));
    let apply = || ask(&["purge", "apply", "audit", "order.txt", "--signers", "signers.txt"]);
    let alone = apply();
    assert!(alone.code != 0 && alone.errors().contains("1 of the two"), "{}", alone.both());
    ask(&["purge", "sign", "order.txt", "--key", "dana.key"]).success();
    assert_ne!(apply().code, 0, "one person twice");
    assert!(texts(&["--identity", &at("officer")]).contains("first sealed"));
    ask(&["purge", "sign", "order.txt", "--key", "erik.key"]).success();
    ask(&["hold", "set", "audit", "--name", "case-7", "--reason", "litigation", "--person", "ana"]).success();
    let held = apply();
    assert!(held.code != 0 && held.errors().contains("hold case-7 keeps"), "{}", held.both());
    ask(&["hold", "clear", "audit", "--name", "case-7", "--reason", "settled"]).success();
    let done = apply().success().text();
    assert!(done.contains("1 keys overwritten") && done.contains("dana and erik"), "{done}");
    let after = texts(&["--identity", &at("officer")]);
    assert!(
        after.contains("[erased]") && !after.contains("first sealed") && after.contains("second sealed"),
        "{after}"
    );
    assert!(apply().success().text().contains("recorded before"));
    let verified = ask(&["verify", "audit"]);
    assert_eq!(verified.code, 0, "{}", verified.both());
    let purges = ask(&["report", "retention", "audit"]).success().text();
    assert!(purges.contains("dana erik") && purges.contains("request 12"), "{purges}");
}

#[test]
fn what_others_agreed_to_is_in_the_pack_and_proved_with_the_keys_of_the_log() {
    let keys = tests::folder::Folder::new("keys");
    let key_file = keys.path().join("log.key");
    let public = crate::notary::new_key("--log", "example.com/audit/evidence", &key_file);
    let court = Court::open(|setup| setup.audit(&format!("checkpoint: {{ key_file: {} }}", key_file.display())));
    let mut wire = waits(&court, "DELETE FROM held_rows WHERE id in (8, 9)");
    let request = court.pending("dora");
    let id = request["id"].as_str().unwrap();
    std::thread::sleep(Duration::from_millis(3500));
    court.approve("dora", &request);
    assert_eq!(outcome(&mut wire).unwrap(), "CZ", "it ran");
    let folder = court.gateway.folder.path();
    court.gateway.signal("TERM");
    court.gateway.wait_end(PATIENCE).expect("it ends");
    std::thread::sleep(Duration::from_millis(1100));
    let said = built(folder, &now(), &[]);
    assert!(said.contains("verification: exit code 0"), "{said}");
    let approvals = folder.join("evidence/09-approvals");
    let read = |name: &str| fs::read_to_string(approvals.join(name)).unwrap();
    let table: serde_json::Value = serde_json::from_str(&read("approvals.json")).unwrap();
    let row = &table["rows"][0];
    assert_eq!(row["id"], id, "{table}");
    for (name, value) in [
        ("requester", "app"),
        ("rule", "deletes"),
        ("tables", "public.held_rows"),
        ("votes", "dora approved (cli)"),
        ("ended", "used"),
        ("outcome", "ok"),
        ("findings", ""),
    ] {
        assert_eq!(row[name], value, "{name}: {table}");
    }
    assert_eq!(read("approval-findings.csv").lines().count(), 1, "nothing is to be explained");
    let proofs = files(&approvals.join("proofs"));
    assert_eq!(proofs.len(), 1, "{proofs:?}");
    let check = ["audit", "check", proofs[0].to_str().unwrap(), "--key", &public, "--json"];
    let proved: serde_json::Value = serde_json::from_str(&court.gateway.tidegate(&check).success().text()).unwrap();
    assert_eq!((&proved["proved"], &proved["fields"]["kind"]), (&true.into(), &"consume".into()), "{proved}");
    assert_eq!(proved["fields"]["approved"], request["wanted"]["digest"], "{proved}");
    let sign_ins = fs::read_to_string(folder.join("evidence/07-authn/sign-ins.csv")).unwrap();
    assert!(sign_ins.contains("dora,dora@https://court.example,sign_in,workload,1,"), "{sign_ins}");
    let page = fs::read_to_string(folder.join("evidence/summary.html")).unwrap();
    assert!(page.contains("1 statement waited: 1 approved, 1 run, 0 denied"), "{page}");
    // Nobody sees the statement from the reports; the question finds it by its act.
    let uses = court.gateway.tidegate(&["audit", "query", "audit", "--kind", "approval.consume", "--count"]);
    assert_eq!(uses.success().text().trim(), "1");
}
