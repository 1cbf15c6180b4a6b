//! What is told outside, to a receiver that listens; and votes that come in signed, and forgeries of them.

use crate::served::{Served, Somebody};
use access::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use console::notify::{Channel, Egress, Form, Inbound, Machine, Network, Secrets};
use ring::hmac;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use zeroize::Zeroizing;

const SECRET: [u8; 32] = [9; 32];
const OLD: [u8; 32] = [8; 32];

fn secrets(of: &[[u8; 32]]) -> Secrets {
    let texts: Vec<_> = of.iter().map(|raw| Zeroizing::new(format!("whsec_{}", BASE64.encode(raw)))).collect();
    Secrets::new(&texts).unwrap()
}

fn sign(secret: &[u8], id: &str, at: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("v1,{}", BASE64.encode(hmac::sign(&key, format!("{id}.{at}.{body}").as_bytes())))
}

/// What is wrong with it, its headers, its body.
type Forged<'a> = (&'a str, Vec<(&'a str, String)>, &'a str);

/// A request as it came: head and body.
type Came = (String, String);

/// Answers with these statuses in turn, then with the last one again.
fn receiver(statuses: &'static [u16]) -> (String, Receiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook/secret-path", listener.local_addr().unwrap());
    let (told, came) = channel();
    std::thread::spawn(move || {
        for number in 0.. {
            let Ok((socket, _)) = listener.accept() else { return };
            let mut reader = BufReader::new(socket);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            reader.read_exact(&mut body).unwrap();
            let status = statuses[number.min(statuses.len() - 1)];
            let location = if status == 302 { "Location: http://127.0.0.1:1/\r\n" } else { "" };
            let answer = format!("HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n");
            let _gone = reader.get_mut().write_all(answer.as_bytes());
            if told.send((head, String::from_utf8(body).unwrap())).is_err() {
                return;
            }
        }
    });
    (address, came)
}

fn loopback() -> Egress {
    Egress::new(vec![Network::parse("127.0.0.0/8").unwrap()])
}

fn told(address: &str, form: Form, egress: Egress) -> Channel {
    let quick = vec![Duration::from_millis(20); 3];
    Channel::new("ops", address, form, egress, true, &[]).unwrap().with_pauses(quick)
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {head}")).split_once(':').unwrap().1.trim()
}

const WAIT: Duration = Duration::from_secs(60);

#[test]
fn a_request_is_told_signed_by_both_secrets_without_protected_data_and_again_until_it_is_taken() {
    let (address, came) = receiver(&[500, 302, 200]);
    let channel = told(&address, Form::Signed(secrets(&[SECRET, OLD])), loopback());
    let served = Served::with(|_| Inbound::default(), |queue| Some(queue.to(vec![channel])));
    let ann = served.sign_in("ann", &["engineers"]);
    let id = served.hold(&ann, "DELETE FROM patients WHERE name = 'Jane Doe'", 1);
    let tries: Vec<Came> = (0..3).map(|_| came.recv_timeout(WAIT).unwrap()).collect();
    assert!(came.recv_timeout(Duration::from_millis(300)).is_err(), "taken is taken");
    for (head, body) in &tries {
        assert_eq!(header(head, "webhook-id"), header(&tries[0].0, "webhook-id"), "the same id each time");
        let (id, at) = (header(head, "webhook-id"), header(head, "webhook-timestamp"));
        let both = format!("{} {}", sign(&SECRET, id, at, body), sign(&OLD, id, at, body));
        assert_eq!(header(head, "webhook-signature"), both);
        // Whole: a number alone can be part of a port in the link, or of an id.
        let protected = ["Jane", "parameter 4711", "CASE-4711", "10.1.2.3"];
        assert!(!protected.iter().any(|text| body.contains(text)), "{body}");
    }
    let body: Value = serde_json::from_str(&tries[0].1).unwrap();
    assert_eq!((&body["type"], &body["data"]["id"]), (&json!("request.pending"), &json!(id)));
    assert_eq!(body["data"]["link"], json!(format!("{}/approvals/{id}", served.origin)));
    let bob = served.sign_in("bob", &["leads"]);
    let denied = served.post(
        &bob,
        &format!("/approvals/{id}/vote"),
        &[("vote", "deny"), ("reason", "not without a ticket"), ("digest", &"01".repeat(32))],
    );
    assert_eq!(denied.status, 303);
    let event = |(_, body): Came| serde_json::from_str::<Value>(&body).unwrap()["type"].clone();
    while event(came.recv_timeout(WAIT).unwrap()) != "request.denied" {}
}

#[test]
fn slack_gets_plain_text_and_a_link() {
    let (address, came) = receiver(&[200]);
    let channel = told(&address, Form::Slack, loopback());
    let served = Served::with(|_| Inbound::default(), |queue| Some(queue.to(vec![channel])));
    let ann = served.sign_in("ann", &["engineers"]);
    let id = served.hold(&ann, "DELETE FROM patients", 1);
    let (head, body) = came.recv_timeout(WAIT).unwrap();
    assert!(head.starts_with("POST /hook/secret-path HTTP/1.1"), "{head}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert!(body["text"].as_str().unwrap().starts_with(&format!("{id} by ann")), "{body}");
    assert_eq!(body["blocks"][0]["text"]["type"], "plain_text");
    assert_eq!(body["blocks"][1]["elements"][0]["url"], json!(format!("{}/approvals/{id}", served.origin)));
}

#[test]
fn an_address_inside_is_not_reached_unless_its_network_is_named() {
    let (address, came) = receiver(&[200]);
    let other = Egress::new(vec![Network::parse("10.0.0.0/8").unwrap()]);
    let by_name = address.replace("127.0.0.1", "localhost");
    let channels = vec![told(&address, Form::Slack, Egress::default()), told(&by_name, Form::Slack, other)];
    let served = Served::with(|_| Inbound::default(), |queue| Some(queue.to(channels)));
    let ann = served.sign_in("ann", &["engineers"]);
    served.hold(&ann, "DELETE FROM patients", 1);
    assert!(came.recv_timeout(Duration::from_secs(2)).is_err());
    for wrong in ["http://hooks.example/x", "ftp://hooks.example", "https://user:pw@hooks.example/", "x"] {
        let error = Channel::new("ops", wrong, Form::Slack, Egress::default(), false, &[]).unwrap_err();
        assert!(!error.contains("hooks.example"), "{error}");
    }
}

/// A program that votes for `leads`.
fn with_machine() -> (Served, Somebody) {
    let machine = Machine { name: "ci".into(), groups: vec!["leads".into()], secrets: secrets(&[SECRET, OLD]) };
    let served = Served::with(|_| Inbound::new(vec![machine]), |_| None);
    let ann = served.sign_in("ann", &["engineers"]);
    (served, ann)
}

fn ask(served: &Served, of: &Somebody) -> String {
    let person = served.engine.person(&of.who).unwrap();
    served.engine.ask(&person, "warehouse", "oncall", 3600, "to look at the outage", "127.0.0.1").unwrap().id
}

fn send(served: &Served, lines: &[(&str, &str)], body: &str) -> (u16, String) {
    let got = served.send("POST", "/webhooks/votes/ci", lines, body);
    (got.status, got.body)
}

#[test]
fn a_signed_vote_counts_once() {
    let (served, ann) = with_machine();
    let id = ask(&served, &ann);
    let body = json!({"request": id, "vote": "approve", "reason": "change 17 passed its tests"}).to_string();
    let at = served.engine.clock().now_s().to_string();
    let signature = sign(&OLD, "m1", &at, &body);
    let lines = [("webhook-id", "m1"), ("webhook-timestamp", at.as_str()), ("webhook-signature", &signature)];
    let (status, told) = send(&served, &lines, &body);
    assert_eq!(status, 200, "{told}");
    let request = served.engine.request(&id).unwrap();
    assert!(matches!(request.state, State::Approved { .. }));
    assert_eq!((request.votes[0].channel.as_str(), request.votes[0].handle.as_str()), ("webhook", "webhook-ci"));
    assert_eq!(send(&served, &lines, &body).0, 409, "the same message again");
}

#[test]
fn forged_votes_are_refused_and_recorded() {
    let (served, ann) = with_machine();
    let id = ask(&served, &ann);
    let body = json!({"request": id, "vote": "approve", "reason": "change 17 passed its tests"}).to_string();
    let now_s = served.engine.clock().now_s();
    let at = now_s.to_string();
    let good = sign(&SECRET, "m1", &at, &body);
    let (late, early) = ((now_s - 301).to_string(), (now_s + 600).to_string());
    let spaced = body.replace(':', ": ");
    let signed = |secret: &[u8], id: &str, at: &str| sign(secret, id, at, &body);
    let padded = format!("0{at}");
    let cases: Vec<Forged<'_>> = vec![
        ("no signature", vec![("webhook-id", "m1".into()), ("webhook-timestamp", at.clone())], &body),
        (
            "another secret",
            vec![
                ("webhook-id", "m1".into()),
                ("webhook-timestamp", at.clone()),
                ("webhook-signature", signed(&[7; 32], "m1", &at)),
            ],
            &body,
        ),
        (
            "an empty secret",
            vec![
                ("webhook-id", "m1".into()),
                ("webhook-timestamp", at.clone()),
                ("webhook-signature", signed(&[], "m1", &at)),
            ],
            &body,
        ),
        (
            "another id",
            vec![("webhook-id", "m2".into()), ("webhook-timestamp", at.clone()), ("webhook-signature", good.clone())],
            &body,
        ),
        (
            "another time",
            vec![
                ("webhook-id", "m1".into()),
                ("webhook-timestamp", (now_s + 1).to_string()),
                ("webhook-signature", good.clone()),
            ],
            &body,
        ),
        (
            "too old",
            vec![
                ("webhook-id", "m1".into()),
                ("webhook-timestamp", late.clone()),
                ("webhook-signature", signed(&SECRET, "m1", &late)),
            ],
            &body,
        ),
        (
            "too new",
            vec![
                ("webhook-id", "m1".into()),
                ("webhook-timestamp", early.clone()),
                ("webhook-signature", signed(&SECRET, "m1", &early)),
            ],
            &body,
        ),
        (
            "the body in other words",
            vec![("webhook-id", "m1".into()), ("webhook-timestamp", at.clone()), ("webhook-signature", good.clone())],
            &spaced,
        ),
        (
            "two signatures' headers",
            vec![
                ("webhook-id", "m1".into()),
                ("webhook-timestamp", at.clone()),
                ("webhook-signature", good.clone()),
                ("webhook-signature", good.clone()),
            ],
            &body,
        ),
        (
            "two ids",
            vec![
                ("webhook-id", "m1".into()),
                ("webhook-id", "m1".into()),
                ("webhook-timestamp", at.clone()),
                ("webhook-signature", good.clone()),
            ],
            &body,
        ),
        (
            "two times",
            vec![
                ("webhook-id", "m1".into()),
                ("webhook-timestamp", at.clone()),
                ("webhook-timestamp", late.clone()),
                ("webhook-signature", good.clone()),
            ],
            &body,
        ),
        (
            "time in other digits",
            vec![
                ("webhook-id", "m1".into()),
                ("webhook-timestamp", padded.clone()),
                ("webhook-signature", signed(&SECRET, "m1", &padded)),
            ],
            &body,
        ),
    ];
    for (what, lines, body) in &cases {
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (status, told) = send(&served, &lines, body);
        assert_eq!(status, 401, "{what}: {told}");
    }
    let lines = [("webhook-id", "m1"), ("webhook-timestamp", at.as_str()), ("webhook-signature", good.as_str())];
    let elsewhere = served.send("POST", "/webhooks/votes/other", &lines, &body);
    assert_eq!(elsewhere.status, 401);
    assert!(served.engine.request(&id).unwrap().votes.is_empty());
    let refused = served.kinds().iter().filter(|kind| *kind == "vote_refused").count();
    assert_eq!(refused, cases.len() + 1);
    assert_eq!(send(&served, &lines, &body).0, 200, "and the good one is good");
}

#[test]
fn a_stranger_does_not_fill_the_log() {
    let (served, _) = with_machine();
    let before = served.kinds().len();
    let statuses: Vec<u16> = (0..100).map(|_| send(&served, &[], "{}").0).collect();
    // Every two seconds of a slow machine let one more in.
    let judged = statuses.iter().filter(|status| **status == 401).count();
    assert!(statuses[0] == 401 && judged < 60, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}");
    assert_eq!(served.kinds().len() - before, judged);
}

#[test]
fn a_program_votes_beside_people_about_protected_data_and_never_alone() {
    let (served, ann) = with_machine();
    let id = served.hold(&ann, "DELETE FROM patients", 1);
    let vote = |number: &str, digest: &str| {
        let body = json!({"request": id, "vote": "approve", "reason": "change 17 passed its tests", "digest": digest})
            .to_string();
        let at = served.engine.clock().now_s().to_string();
        let signature = sign(&SECRET, number, &at, &body);
        send(&served, &[("webhook-id", number), ("webhook-timestamp", &at), ("webhook-signature", &signature)], &body)
    };
    let (status, told) = vote("m1", &"01".repeat(32));
    assert!(status == 403 && told.contains("step_up"), "one vote is needed, and it would be alone: {told}");
    assert_eq!(vote("m2", &"02".repeat(32)).0, 409, "another digest");
    assert_eq!(vote("m3", "").0, 409, "no digest");
    assert_eq!(served.engine.request(&id).unwrap().state, State::Pending);
    // Of two votes one may be a program's; the other needs a person with a key.
    let id = served.hold_for(&ann, "DELETE FROM visits", 2, 2);
    let digest = "02".repeat(32);
    let body =
        json!({"request": id, "vote": "approve", "reason": "change 17 passed its tests", "digest": digest}).to_string();
    let at = served.engine.clock().now_s().to_string();
    let signature = sign(&SECRET, "m4", &at, &body);
    let lines = [("webhook-id", "m4"), ("webhook-timestamp", at.as_str()), ("webhook-signature", &signature)];
    assert_eq!(send(&served, &lines, &body).0, 200);
    let request = served.engine.request(&id).unwrap();
    assert_eq!((request.votes.len(), &request.state), (1, &State::Pending));
    let bob = served.sign_in("bob", &["leads"]);
    let by_form = served.post(
        &bob,
        &format!("/approvals/{id}/vote"),
        &[("vote", "approve"), ("reason", "looked at the case"), ("digest", &digest)],
    );
    assert_eq!(by_form.status, 403, "a person without a key does not complete it");
}
