//! What vouches for the audit log: checkpoints of a running gateway, its signer, its witness and its copies, each of them
//! failing and coming back. Trees and signatures are read with crates that are not ours.

use serde_json::Value;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tests::{
    folder::Folder,
    gateway::{Gateway, Setup},
    process::{Finished, Guarded, PATIENCE, run, wait_until},
    programs::program,
    receivers::{BUCKET, ObjectStore},
    rules::Bundle,
    server::{Postgres, free_port},
    wire::Wire,
};
use tlog_tiles::HashReader;

const ORIGIN: &str = "example.com/audit/test";
const LONG: Duration = PATIENCE;

fn tidegate(arguments: &[&str], folder: &Path) -> Finished {
    run(Command::new(program("tidegate")).args(arguments).current_dir(folder), b"", LONG)
}

/// Makes a key; its public half.
pub(crate) fn new_key(kind: &str, name: &str, file: &Path) -> String {
    let file = file.to_str().unwrap();
    let made = tidegate(&["keys", "new", kind, name, "--output", file], Path::new("/")).success().text();
    made.lines().find_map(|line| line.strip_prefix("public key:")).unwrap().trim().to_owned()
}

/// A long-lived process of the program under test.
fn start(arguments: &[&str], folder: &Folder, log: &str) -> Guarded {
    let log = fs::File::options().create(true).append(true).open(folder.path().join(log)).unwrap();
    let mut command = Command::new(program("tidegate"));
    command.args(arguments).current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Guarded::start(&mut command, "KILL", Path::new(""))
}

#[derive(Default)]
struct Hashes(RefCell<Vec<tlog_tiles::Hash>>);

impl HashReader for Hashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let all = self.0.borrow();
        Ok(indexes.iter().map(|i| all[*i as usize]).collect())
    }
}

/// The checkpoint of a `tlog` folder: size and root, after its signature was checked with the newest key of `keys`.
fn checkpoint(tlog: &Path) -> (u64, [u8; 32]) {
    let keys = fs::read_to_string(tlog.join("keys")).unwrap();
    let (_, key) = keys.lines().last().unwrap().split_once(' ').unwrap();
    read_checkpoint(&fs::read(tlog.join("checkpoint")).unwrap(), &[key])
}

/// A checkpoint that all of these keys have signed.
fn read_checkpoint(note: &[u8], keys: &[&str]) -> (u64, [u8; 32]) {
    let verifiers = keys
        .iter()
        .map(|key| Box::new(signed_note::StandardVerifier::new(key).unwrap()) as Box<dyn signed_note::Verifier>);
    let note = signed_note::Note::from_bytes(note).unwrap();
    let (good, _) = note.verify(&signed_note::VerifierList::new(verifiers.collect())).unwrap();
    assert_eq!(good.len(), keys.len());
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    (checkpoint.size(), checkpoint.hash().0)
}

/// The entries of a tree from its bundles, and the root that the other implementation computes of them.
fn entries(tlog: &Path, size: u64) -> (Vec<Vec<u8>>, [u8; 32]) {
    let (mut all, hashes) = (Vec::new(), Hashes::default());
    for index in 0..size.div_ceil(256) {
        let width = (size - index * 256).min(256) as u32;
        let tile = tlog_tiles::Tile::new(8, 0, index, width, true);
        let mut bytes = &fs::read(tlog.join(tile.path().replacen("8/data", "entries", 1))).unwrap()[..];
        while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
            let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
            let more = tlog_tiles::stored_hashes(all.len() as u64, entry, &hashes).unwrap();
            hashes.0.borrow_mut().extend(more);
            all.push(entry.to_vec());
            bytes = rest;
        }
    }
    assert_eq!(all.len() as u64, size);
    (all, tlog_tiles::tree_hash(size, &hashes).unwrap().0)
}

/// The headers of all blocks in the segments of a directory.
fn headers(directory: &Path) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    for core in fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()) {
        if !core.file_name().unwrap().to_str().unwrap().starts_with("core-") {
            continue;
        }
        for segment in fs::read_dir(core).unwrap().map(|e| e.unwrap().path()) {
            if segment.extension().is_some_and(|e| e == "tgseg") {
                let bytes = fs::read(segment).unwrap();
                found.extend(bytes.chunks(4096).filter(|b| b.starts_with(b"TGAUDBK1")).map(|b| b[..256].to_vec()));
            }
        }
    }
    found
}

/// Everything that the log holds is in the tree of its checkpoint, and nothing else.
#[track_caller]
fn tree_is_the_log(directory: &Path) -> u64 {
    let tlog = directory.join("tlog");
    let (size, root) = checkpoint(&tlog);
    let (found, computed) = entries(&tlog, size);
    assert_eq!(computed, root);
    let found: BTreeSet<Vec<u8>> = found.into_iter().collect();
    assert_eq!(found.len() as u64, size, "no entry twice");
    assert!(found == headers(directory), "the tree is not the log");
    // The verifier, which shares no code with the notary, has nothing to say against it.
    let verified = tidegate(&["audit", "verify", "--json", directory.to_str().unwrap()], Path::new("/"));
    assert_eq!(verified.code, 0, "{}", verified.text());
    size
}

fn audit(gateway: &Gateway) -> PathBuf {
    gateway.folder.path().join("audit")
}

fn stop(gateway: &Gateway) {
    gateway.signal("TERM");
    assert!(gateway.wait_end(LONG).unwrap().success(), "{}", gateway.log());
}

/// `checkpoints` of the status page.
fn status(gateway: &Gateway) -> Value {
    let page = gateway.http("/status").unwrap();
    let status: Value = serde_json::from_str(page.split_once("\r\n\r\n").unwrap().1).unwrap();
    status["checkpoints"].clone()
}

fn wait_signed(gateway: &Gateway, more_than: u64) -> u64 {
    wait_until("a newer checkpoint", LONG, || status(gateway)["signed"].as_u64().unwrap_or(0) > more_than);
    status(gateway)["signed"].as_u64().unwrap()
}

fn work(gateway: &Gateway, statements: usize) {
    work_in(Wire::login(&gateway.endpoint("app")), statements);
}

fn work_in(mut wire: Wire, statements: usize) {
    for n in 0..statements {
        wire.query(&format!("select {n}"));
    }
}

/// A session of a gateway that refuses sessions after seconds without a signature: the signer can stand still for longer.
fn admitted(gateway: &Gateway) -> Wire {
    let endpoint = gateway.endpoint("app");
    let mut session = None;
    wait_until("a session is admitted", LONG, || {
        let mut wire = Wire::open(endpoint.port);
        session = wire.try_login(&endpoint, &[]).is_none().then_some(wire);
        session.is_some()
    });
    session.unwrap()
}

#[test]
fn every_block_of_a_running_gateway_gets_into_a_signed_tree() {
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).cores(2).start();
    let told = || gateway.log().contains("a signer process under another user is better");
    wait_until("the new key is announced", LONG, told);
    work(&gateway, 50);
    let first = wait_signed(&gateway, 2);
    assert!(gateway.metric("tidegate_checkpoint_blocks") >= first as f64);
    assert!(gateway.metric("tidegate_checkpoint_age_seconds") < 30.0);
    work(&gateway, 50);
    wait_signed(&gateway, first);
    stop(&gateway);
    let size = tree_is_the_log(&audit(&gateway));
    // Killed without warning and started again: the same tree goes on.
    gateway.restart();
    work(&gateway, 20);
    gateway.kill();
    gateway.restart();
    work(&gateway, 20);
    wait_signed(&gateway, size + 1);
    stop(&gateway);
    let after = tree_is_the_log(&audit(&gateway));
    assert!(after > size);
    let (old, _) = entries(&audit(&gateway).join("tlog"), size);
    let (new, _) = entries(&audit(&gateway).join("tlog"), after);
    assert_eq!(old[..], new[..size as usize], "what is in the tree stays in its place");
    let enrolled = gateway.records().iter().filter(|r| r["type"] == "NODE_ENROLL").count();
    assert_eq!(enrolled, 1);
    let table = gateway.tidegate(&["check-config"]).success().text();
    assert!(table.contains("checkpoint every 1s by key file"), "{table}");
}

#[test]
fn r14_without_its_signer_the_gateway_records_on_and_refuses_sessions_in_the_end() {
    let place = Folder::new("signer");
    let key = place.path().join("log.key");
    let public = new_key("--log", ORIGIN, &key);
    let arguments = ["signer", "--key", "log.key", "--socket", "socket", "--state", "state"];
    let signer = start(&arguments, &place, "signer.log");
    let socket = place.path().join("socket");
    wait_until("the signer listens", LONG, || socket.exists());
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared())
        .audit(&format!("checkpoint: {{ signer: {}, max_unsigned: 3s, origin: {ORIGIN} }}", socket.display()))
        .start();
    work_in(admitted(&gateway), 10);
    let before = wait_signed(&gateway, 2);
    assert!(!audit(&gateway).join("tlog/log.key").exists(), "the gateway has no key");
    assert_eq!(fs::read_to_string(audit(&gateway).join("tlog/keys")).unwrap(), format!("0 {public}\n"));

    let mut open = admitted(&gateway);
    drop(signer);
    open.query("select 'after the signer died'");
    wait_until("the checkpoint is late", LONG, || gateway.metric("tidegate_checkpoint_age_seconds") > 1.0);
    wait_until("the reason is shown", LONG, || {
        status(&gateway)["error"].as_str().is_some_and(|error| error.contains("signer"))
    });
    wait_until("new sessions are refused", LONG, || status(&gateway)["refusing_sessions"] == true);
    let refused = Wire::open(gateway.port()).try_login(&gateway.endpoint("app"), &[]);
    assert!(refused.is_some(), "a new session");
    let rows = open.query("select 7");
    assert_eq!(rows[1].values()[0].as_deref(), Some(&b"7"[..]), "the open session goes on");
    wait_until("it is recorded all the same", LONG, || {
        gateway.records().iter().any(|r| r["text"].as_str().is_some_and(|t| t.contains("after the signer died")))
    });

    let signer = start(&arguments, &place, "signer.log");
    wait_signed(&gateway, before + 1);
    wait_until("sessions are admitted", LONG, || status(&gateway)["refusing_sessions"] == false);
    work_in(admitted(&gateway), 3);

    // A rotation, by the signer.
    tidegate(&["signer", "rotate", "--socket", "socket"], place.path()).success();
    let keys = || fs::read_to_string(audit(&gateway).join("tlog/keys")).unwrap();
    wait_until("the next key signs", LONG, || {
        keys().lines().count() == 2 && !place.path().join("log.key.next").exists()
    });
    let (from, next) =
        keys().lines().last().map(|l| l.split_once(' ').unwrap()).map(|(f, k)| (f.to_owned(), k.to_owned())).unwrap();
    let turn = audit(&gateway).join(format!("tlog/checkpoints/{:020}", from.parse::<u64>().unwrap()));
    read_checkpoint(&fs::read(turn).unwrap(), &[&public, &next]);
    wait_until("the rotation is in the log", LONG, || gateway.records().iter().any(|r| r["type"] == "KEY_ROTATE"));
    stop(&gateway);
    tree_is_the_log(&audit(&gateway));
    drop(signer);
    // Without its signer it does not start: nobody could say whether the log was rolled back.
    let refused = gateway.tidegate(&["serve", "--config", "tidegate.yaml"]);
    assert_ne!(refused.code, 0);
}

/// A witness with its key and memory.
struct WitnessPlace {
    folder: Folder,
    key: String,
    log_key: String,
    port: u16,
}

impl WitnessPlace {
    fn new() -> Self {
        let folder = Folder::new("witness");
        let key = new_key("--witness", "witness.example/w", &folder.path().join("w.key"));
        let log_key = new_key("--log", ORIGIN, &folder.path().join("log.key"));
        Self { folder, key, log_key, port: free_port() }
    }

    fn start(&self) -> Guarded {
        let (listen, log) = (format!("127.0.0.1:{}", self.port), format!("{ORIGIN}={}", self.log_key));
        let arguments = ["witness", "serve", "--listen", &listen, "--key", "w.key", "--state", "state", "--log", &log];
        let process = start(&arguments, &self.folder, "witness.log");
        wait_until("the witness listens", LONG, || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        process
    }

    fn gateway(&self) -> Gateway {
        let key_file = self.folder.path().join("log.key");
        Setup::new(Bundle::allow_all(), Postgres::shared())
            .audit(&format!("checkpoint: {{ key_file: {}, witness_every: 1s }}", key_file.display()))
            .audit(&format!(
                "witnesses: [ {{ name: w, url: \"http://127.0.0.1:{}\", key: \"{}\" }} ]",
                self.port, self.key
            ))
            .start()
    }
}

fn cosigned(gateway: &Gateway) -> u64 {
    status(gateway)["witnesses"][0]["size"].as_u64().unwrap_or(0)
}

#[test]
fn r10_a_witness_that_is_away_is_missed_and_catches_up() {
    let place = WitnessPlace::new();
    let witness = place.start();
    let gateway = place.gateway();
    work(&gateway, 10);
    wait_until("the first cosignature", LONG, || cosigned(&gateway) > 2);
    drop(witness);
    let before = wait_signed(&gateway, 0);
    work(&gateway, 10);
    wait_signed(&gateway, before);
    wait_until("the witness is missed", LONG, || gateway.metric("tidegate_witness_good") == 0.0);
    work(&gateway, 10);
    // Killed in the middle of an answer, it is missed in other words first.
    wait_until("the status says so", LONG, || {
        gateway.tidegate(&["status"]).success().text().contains("it does not answer")
    });
    let _witness = place.start();
    wait_until("the witness has caught up", LONG, || cosigned(&gateway) > before);
    wait_until("the witness is well", LONG, || gateway.metric("tidegate_witness_good") > 0.0);
    // Kept as a note with both signatures; the log's is checked by the other implementation.
    let size = cosigned(&gateway);
    let note = fs::read_to_string(audit(&gateway).join(format!("tlog/cosignatures/{size:020}"))).unwrap();
    assert_eq!(read_checkpoint(note.as_bytes(), &[&place.log_key]).0, size);
    assert!(note.contains("\u{2014} witness.example/w "));
    wait_until("the log notes the witness", LONG, || {
        gateway.records().iter().any(|r| r["type"] == "ANCHOR" && r["kind"] == "witness")
    });
    stop(&gateway);
    tree_is_the_log(&audit(&gateway));
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(from).arg(to), b"", LONG).success();
}

#[test]
fn a_directory_that_was_rolled_back_is_found_out_at_the_start() {
    let place = WitnessPlace::new();
    let _witness = place.start();
    let gateway = place.gateway();
    work(&gateway, 10);
    stop(&gateway);
    let (current, old) = (audit(&gateway), gateway.folder.path().join("old"));
    copy(&current, &old);
    let size = checkpoint(&current.join("tlog")).0;
    gateway.restart();
    work(&gateway, 30);
    wait_until("the witness knows more", LONG, || cosigned(&gateway) > size + 2);
    stop(&gateway);
    // The operator restores a copy of the whole directory, tree and checkpoint included.
    fs::rename(&current, gateway.folder.path().join("new")).unwrap();
    copy(&old, &current);
    let refused = gateway.tidegate(&["serve", "--config", "tidegate.yaml"]);
    assert_ne!(refused.code, 0);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("witness w: it has cosigned a tree of size") && said.contains("--accept-loss"), "{said}");
    assert!(!gateway.records().iter().any(|r| r["type"] == "GAP"));
    gateway.restart_with(&["--accept-loss"]);
    work(&gateway, 5);
    wait_until("the loss is in the log", LONG, || {
        gateway.records().iter().any(|r| r["type"] == "GAP" && r["reason"] == "accepted_loss")
    });
    stop(&gateway);
    tree_is_the_log(&current);

    // The log alone is rolled back, its tree is not: no witness is needed to see that.
    fs::remove_dir_all(&current).unwrap();
    copy(&gateway.folder.path().join("new"), &current);
    fs::remove_dir_all(current.join("core-00")).unwrap();
    copy(&old.join("core-00"), &current.join("core-00"));
    let refused = gateway.tidegate(&["serve", "--config", "tidegate.yaml"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.code != 0 && said.contains("rolled back"), "{said}");
    // A tree that somebody worked on.
    fs::remove_dir_all(&current).unwrap();
    copy(&gateway.folder.path().join("new"), &current);
    // The widest partial bundle: narrower ones of earlier checkpoints are read no more.
    let widths = fs::read_dir(current.join("tlog/tile/entries/000.p")).unwrap().map(|e| e.unwrap().path());
    let width = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
    let tile = widths.max_by_key(width).unwrap();
    let mut bytes = fs::read(&tile).unwrap();
    bytes[300] ^= 1;
    fs::write(&tile, bytes).unwrap();
    let refused = gateway.tidegate(&["serve", "--config", "tidegate.yaml"]);
    assert_ne!(refused.code, 0);
}

#[test]
fn copies_in_an_object_store_are_locked_complete_and_verify_by_themselves() {
    let store = ObjectStore::start();
    let secrets = Folder::new("secrets");
    let (access, secret) = (secrets.write("access", "a"), secrets.write("secret", "b"));
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared())
        .audit("segment_bytes: 64KiB")
        .audit(&format!(
            "anchor: {{ endpoint: \"http://127.0.0.1:{}\", bucket: {BUCKET}, prefix: n/, retention: 30d, every: 1s, \
             access_key: {{ file: {} }}, secret_key: {{ file: {} }} }}",
            store.port,
            access.display(),
            secret.display()
        ))
        .start();
    work(&gateway, 60);
    let segments = || {
        let folder = fs::read_dir(audit(&gateway).join("core-00")).unwrap().map(|e| e.unwrap().path());
        folder.filter(|p| p.extension().is_some_and(|e| e == "tgseg")).count()
    };
    wait_until("several segments", LONG, || {
        work(&gateway, 20);
        segments() > 3
    });
    wait_until("a first copy", LONG, || status(&gateway)["anchor"]["size"].as_u64().unwrap_or(0) > 0);
    // Killed in the middle of it, started again: it goes on.
    gateway.kill();
    gateway.restart();
    work(&gateway, 30);
    let signed = wait_signed(&gateway, 0);
    wait_until("the newest is copied", LONG, || status(&gateway)["anchor"]["size"].as_u64().unwrap_or(0) >= signed);
    wait_until("the log knows its copies", LONG, || {
        gateway.records().iter().any(|r| r["type"] == "ANCHOR" && r["kind"] == "object_lock")
    });
    stop(&gateway);

    let copied = gateway.folder.path().join("copied");
    let listed = store
        .python(&format!(
            "import os\n\
             for page in s3.get_paginator('list_objects_v2').paginate(Bucket='{BUCKET}', Prefix='n/'):\n\
             \x20 for o in page['Contents']:\n\
             \x20   path = os.path.join({:?}, o['Key'][2:])\n\
             \x20   os.makedirs(os.path.dirname(path), exist_ok=True)\n\
             \x20   got = s3.get_object(Bucket='{BUCKET}', Key=o['Key'])\n\
             \x20   open(path, 'wb').write(got['Body'].read())\n\
             \x20   print(o['Key'][2:], got.get('ObjectLockMode'), got['ObjectLockRetainUntilDate'].timestamp(), got['VersionId'])\n",
            copied.to_str().unwrap()
        ))
        .success()
        .text();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let mut versions = BTreeMap::new();
    for line in listed.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[1], "COMPLIANCE", "{line}");
        let days = (words[2].parse::<f64>().unwrap() - now) / 86_400.0;
        assert!((29.9..30.1).contains(&days), "{line}");
        versions.insert(words[0].to_owned(), words[3].to_owned());
    }
    // The copy stands for itself: its newest checkpoint verifies, and its entries are the tree.
    let (size, root) = checkpoint(&copied.join("tlog"));
    assert!(size >= signed);
    let (found, computed) = entries(&copied.join("tlog"), size);
    assert_eq!(computed, root);
    let copied_headers = headers(&copied);
    let found: BTreeSet<Vec<u8>> = found.into_iter().collect();
    assert!(copied_headers.len() > 20, "{} blocks were copied", copied_headers.len());
    let strangers = copied_headers.difference(&found).count();
    assert_eq!(strangers, 0, "copied blocks that are not in the copied tree of {size} blocks");
    // All segments that others follow are there, byte by byte.
    let mut local: Vec<PathBuf> =
        fs::read_dir(audit(&gateway).join("core-00")).unwrap().map(|e| e.unwrap().path()).collect();
    local.retain(|p| p.extension().is_some_and(|e| e == "tgseg"));
    local.sort();
    let last_copied = fs::read_dir(copied.join("core-00")).unwrap().map(|e| e.unwrap().file_name()).max().unwrap();
    for path in local.iter().take_while(|p| p.file_name().unwrap() <= last_copied.as_os_str()) {
        let copy = fs::read(copied.join("core-00").join(path.file_name().unwrap())).unwrap();
        assert!(copy == fs::read(path).unwrap(), "{}", path.display());
    }
    // Nobody can take them away.
    let (key, version) = versions.iter().find(|(key, _)| key.ends_with(".tgseg")).unwrap();
    let refused = store.python(&format!("s3.delete_object(Bucket='{BUCKET}', Key='n/{key}', VersionId='{version}')"));
    assert!(refused.code != 0 && String::from_utf8_lossy(&refused.stderr).contains("AccessDenied"));
}
