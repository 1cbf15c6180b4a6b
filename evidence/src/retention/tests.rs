use std::io::Cursor;

use sealing::{SessionKey, wrap};
use tlog::note::KeyKind;
use tlog::{Note, SigningKey};

use super::*;

const DAY: u64 = 86_400 * 1_000_000_000;

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, KeyKind::Log, &[seed; 32]).unwrap()
}

fn order(sessions: &[u8]) -> Order {
    Order {
        origin: "o".to_owned(),
        kind: Kind::Retention,
        retain_days: 30,
        policy: "a month".to_owned(),
        reason: "monthly".to_owned(),
        not_before_ns: DAY,
        sessions: sessions.iter().map(|n| SessionId([*n; 16])).collect(),
    }
}

fn signed(order: &Order, keys: &[&SigningKey]) -> Note {
    let text = order.text();
    let signatures = keys.iter().map(|key| key.sign(&text, 0)).collect();
    Note::new(text, signatures).unwrap()
}

#[test]
fn an_order_has_one_spelling() {
    let order = order(&[1, 2]);
    assert_eq!(Order::parse(&order.text()).unwrap(), order);
    let erasure = Order { kind: Kind::Erasure, retain_days: 0, ..order.clone() };
    assert_eq!(Order::parse(&erasure.text()).unwrap(), erasure);
    let text = order.text();
    for bad in [
        text.replace("v1", "v2"),
        text.replace("retain_days 30", "retain_days 030"),
        text.replace("kind retention", "kind whim"),
        text.replace("not_before 1970-01-02T00:00:00Z", "not_before 1970-01-02"),
        text.replace("reason monthly", "reason \u{1b}[2J"),
        text.trim_end().to_owned(),
        text.clone() + "session 01010101010101010101010101010101\n",
        text.clone() + "\n",
        text.lines().take(7).map(|line| format!("{line}\n")).collect(),
    ] {
        assert!(Order::parse(&bad).is_err(), "{bad}");
    }
}

#[test]
fn two_people_sign_not_one_twice() {
    let (ana, ben, eve) = (key("ana", 1), key("ben", 2), key("eve", 3));
    let (ana_again, ana_renamed) = (key("ana", 4), key("anna", 1));
    let order = order(&[1]);
    let keys: Vec<VerifierKey> =
        [&ana, &ben, &ana_again, &ana_renamed].iter().map(|key| key.verifier().clone()).collect();
    assert_eq!(order::signers(&signed(&order, &[&ana, &ben]), &keys).unwrap(), ["ana", "ben"]);
    for bad in [&[&ana][..], &[&ana, &eve], &[&ana, &ana_again], &[&ana, &ana_renamed], &[&eve]] {
        assert!(order::signers(&signed(&order, bad), &keys).is_err());
    }
    let forged = Note::new(order.text().replace("30", "10"), signed(&order, &[&ana, &ben]).signatures().to_vec());
    assert!(order::signers(&forged.unwrap(), &keys).is_err());
}

/// A log with two sessions and their keys.
fn log() -> (tempfile::TempDir, Vec<SessionId>) {
    let directory = tempfile::tempdir().unwrap();
    let mut acts = Vec::new();
    let ids = [SessionId([7; 16]), SessionId([8; 16])];
    for (id, person) in ids.into_iter().zip(["ana", "ben"]) {
        acts.push(Record::SessionOpen {
            session: id,
            actor: audit::record::Actor { issuer: "local", subject: person, role: "analyst" },
            source: "",
            tls: "",
            application: "",
            target: "clinic",
            database: "clinic",
            account: "app",
            bundle: [1; 32],
            recording: "",
            mode: "strict",
            key: [9; 32],
        });
        acts.push(Record::SessionClose { session: id, reason: "terminate", statements: 0, bytes: 0 });
    }
    record(directory.path(), &acts).unwrap();
    let folder = audit::segment::core_directory(directory.path(), audit::desk::DESK);
    let who = sealing::Identity::new(&[1; 32], "officer").unwrap();
    let header = slots::FileHeader { node: [0; 16], core: audit::desk::DESK, epoch: 1, slot_bytes: 512 };
    let mut bytes = header.encode().to_vec();
    for id in ids {
        let key = SessionKey::new(id.0, zeroize::Zeroizing::new([3; 32]));
        let wraps = vec![wrap(&key, who.recipient(), zeroize::Zeroizing::new([4; 32])).unwrap()];
        let slot = slots::Slot { session: id.0, commitment: key.commitment(), wraps };
        bytes.extend(slot.encode(512).unwrap());
    }
    fs::write(folder.join("keys-00000001.tgkeys"), bytes).unwrap();
    let day = directory.path().join("recordings/2026-11-22");
    fs::create_dir_all(&day).unwrap();
    for id in ids {
        fs::write(day.join(format!("{}.tgrec", render::hex(&id.0))), "recording").unwrap();
    }
    (directory, ids.to_vec())
}

fn slots_of(directory: &Path) -> Vec<slots::Found> {
    let folder = audit::segment::core_directory(directory, audit::desk::DESK);
    let bytes = fs::read(folder.join("keys-00000001.tgkeys")).unwrap();
    let _position = Cursor::new(&bytes);
    slots::Slots::read(&bytes).unwrap().map(|(_, found)| found).collect()
}

#[test]
fn an_order_is_carried_out_after_its_time_without_holds_by_two_and_recorded_first() {
    let (directory, ids) = log();
    let (ana, ben) = (key("ana", 1), key("ben", 2));
    let keys = [ana.verifier().clone(), ben.verifier().clone()];
    let now = audit::record::Clock::now().wall_ns;
    let wanted = Order { origin: crate::origin::origin(directory.path()), sessions: vec![ids[0]], ..order(&[]) };
    let note = signed(&wanted, &[&ana, &ben]);
    let go = |note: &Note, now| apply(directory.path(), note, &keys, now);
    assert!(go(&note, now).unwrap_err().contains("is kept until"), "retention has not passed");
    assert!(go(&note, 5).unwrap_err().contains("before 1970-01-02"));
    let later = now + 31 * DAY;
    let person = Person::of_process();
    let hold = Record::HoldSet { actor: person.actor(), reason: "case", name: "case-7", query: "person=ana" };
    record(directory.path(), &[hold]).unwrap();
    assert!(go(&note, later).unwrap_err().contains("hold case-7 keeps session"));
    let erasure = Order { kind: Kind::Erasure, retain_days: 0, ..wanted.clone() };
    assert!(
        go(&signed(&erasure, &[&ana, &ben]), later).unwrap_err().contains("hold case-7"),
        "holds keep from erasure"
    );
    let clear = Record::HoldClear { actor: person.actor(), reason: "closed", name: "case-7" };
    record(directory.path(), &[clear]).unwrap();
    assert!(go(&signed(&wanted, &[&ana]), later).unwrap_err().contains("1 of the two"));
    let other = Order { origin: "other".to_owned(), ..wanted.clone() };
    assert!(go(&signed(&other, &[&ana, &ben]), later).unwrap_err().contains("for the log other"));
    let unknown = Order { sessions: vec![SessionId([1; 16])], ..wanted.clone() };
    assert!(go(&signed(&unknown, &[&ana, &ben]), later).unwrap_err().contains("has no session"));
    assert!(slots_of(directory.path()).iter().all(|found| matches!(found, slots::Found::Key(_))), "nothing went yet");

    let applied = go(&note, later).unwrap();
    assert_eq!((applied.keys, applied.recordings, applied.again), (1, 1, false));
    assert_eq!(applied.signers, ["ana", "ben"]);
    let slots = slots_of(directory.path());
    assert!(matches!(slots[0], slots::Found::Erased) && matches!(slots[1], slots::Found::Key(_)), "{slots:?}");
    assert!(!directory.path().join(format!("recordings/2026-11-22/{}.tgrec", render::hex(&ids[0].0))).exists());
    assert!(directory.path().join(format!("recordings/2026-11-22/{}.tgrec", render::hex(&ids[1].0))).exists());
    // Once more finishes what a crash may have left, without a second record.
    let again = go(&note, later).unwrap();
    assert_eq!((again.keys, again.recordings, again.again), (0, 0, true));
    let purges: Vec<Body> = audit::show(directory.path(), Filter::default())
        .unwrap()
        .map(|entry| entry.unwrap().record.body)
        .filter(|body| matches!(body, Body::Purge { .. }))
        .collect();
    assert_eq!(purges.len(), 1);
    let Body::Purge { order, sessions, signatures, .. } = &purges[0] else { panic!() };
    assert_eq!((order, sessions.as_slice(), signatures.len()), (&wanted.text(), &ids[..1], 2));
    // The record bears the machine's time, which is not 31 days later: the verifier finds that out, and nothing else.
    let purge = |finding: &&verifier::Finding| finding.code == verifier::Code::Purge;
    let report = verifier::verify(directory.path());
    let text = report.text();
    assert!(report.findings.iter().filter(purge).count() == 1 && text.contains("not yet kept for 30 days"), "{text}");

    let (directory, ids) = log();
    let origin = crate::origin::origin(directory.path());
    let erasure = Order { origin, sessions: vec![ids[1]], ..erasure };
    apply(directory.path(), &signed(&erasure, &[&ana, &ben]), &keys, now).unwrap();
    let report = verifier::verify(directory.path());
    assert_eq!(report.findings.iter().filter(purge).count(), 0, "{}", report.text());
}

#[test]
fn a_hold_that_cannot_be_understood_keeps_everything() {
    let (directory, _) = log();
    let person = Person::of_process();
    let hold = Record::HoldSet { actor: person.actor(), reason: "", name: "odd", query: "shoe_size=44" };
    record(directory.path(), &[hold]).unwrap();
    let holds = holds(directory.path()).unwrap();
    assert!(sessions(directory.path(), &holds).unwrap_err().contains("hold odd"));
}
