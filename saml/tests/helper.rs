//! The helper process: verdicts of the real program, and parents' answers to helpers that misbehave.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saml::Certificate;
use saml::helper::{Denied, REQUEST_BYTES_MAX, Request, check};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tidegate-saml");
const SECONDS: Duration = Duration::from_secs(60);

fn request() -> Request {
    let certificates = Certificate::from_pem(include_str!("captured/idp.crt")).expect("the captured certificate");
    Request {
        response: STANDARD.encode(include_str!("captured/response.xml")),
        now: 1_795_371_430,
        issuer: "http://127.0.0.1:24031/idp".to_owned(),
        certificates: certificates.iter().map(|c| STANDARD.encode(c.der())).collect(),
        audience: "urn:gateway:sp".to_owned(),
        consumer: "http://127.0.0.1:21999/saml/acs".to_owned(),
        request: "_5f0e".to_owned(),
    }
}

/// A program that is not the helper.
fn script(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let (written, path) = (folder.path().join("written"), folder.path().join("helper"));
    std::fs::write(&written, format!("#!/bin/sh\n{text}\n")).expect("a script");
    // By another process: a file that this one had open for writing is busy as long as a child that another test is just
    // starting has inherited it.
    let copied = Command::new("install").args(["-m", "700"]).args([&written, &path]).status();
    assert!(copied.expect("a copy").success());
    path
}

#[test]
fn the_program_accepts_and_refuses() {
    let accepted = check(Path::new(PROGRAM), &request(), SECONDS).expect("accepted");
    assert_eq!(accepted.subject, "alice@example.com");
    // Forms fold long values.
    let folded = request().response.as_bytes().chunks(76).map(|l| String::from_utf8_lossy(l) + "\r\n").collect();
    assert_eq!(check(Path::new(PROGRAM), &Request { response: folded, ..request() }, SECONDS), Ok(accepted));
    for bad in [
        Request { now: 0, ..request() },
        Request { response: String::new(), ..request() },
        Request { response: "%".to_owned(), ..request() },
        Request { certificates: vec!["AAAA".to_owned()], ..request() },
        Request { response: STANDARD.encode(vec![b' '; saml::RESPONSE_BYTES_MAX + 1]), ..request() },
        Request { response: "A".repeat(2 * REQUEST_BYTES_MAX), ..request() },
    ] {
        assert!(matches!(check(Path::new(PROGRAM), &bad, SECONDS), Err(Denied::Refused(_))));
    }
}

#[test]
fn the_program_refuses_what_is_no_request() {
    for input in ["", "{}", "[", "null", &format!("{}1", "[".repeat(100_000))] {
        let mut child = Command::new(PROGRAM).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"refused\":\"malformed request to the helper\"}");
    }
}

#[test]
fn a_helper_that_misbehaves_denies() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = "{\"accepted\":{\"issuer\":\"http://127.0.0.1:24031/idp\",\"subject\":\"x\",\"format\":\"\",\"attributes\":{},\
                \"assertion\":\"_a\",\"forget\":1,\"session_until\":null}}";
    let half = &good[..good.len() - 1];
    for (text, why) in [
        (format!("cat >/dev/null; echo '{good}'; exit 1"), "it was ended"),
        (format!("cat >/dev/null; echo '{good}'; kill -SEGV $$"), "it was ended"),
        (format!("cat >/dev/null; echo '{half}'"), "its answer is malformed"),
        (format!("cat >/dev/null; echo '{good}{good}'"), "its answer is malformed"),
        (format!("cat >/dev/null; echo '{}'", good.replace("24031", "1")), "its answer is malformed"),
        (
            format!("cat >/dev/null; echo '{}'", good.replace("\"forget\"", "\"more\":1,\"forget\"")),
            "its answer is malformed",
        ),
        ("cat >/dev/null; echo '{\"refused\":\"\\u001b[31m\"}'".to_owned(), "its answer is malformed"),
        ("exit 0".to_owned(), "its answer is malformed"),
        ("exec yes".to_owned(), "it was ended"),
    ] {
        let denied = check(&script(&folder, &text), &request(), SECONDS);
        assert_eq!(denied, Err(Denied::Failed(why)), "{text}");
    }
    // The same answer in good order: what was refused above was refused for its own reason.
    assert!(check(&script(&folder, &format!("cat >/dev/null; echo '{good}'")), &request(), SECONDS).is_ok());
    let began = Instant::now();
    for text in ["exec sleep 60", &format!("cat >/dev/null; echo '{good}'; exec sleep 60")] {
        let denied = check(&script(&folder, text), &request(), Duration::from_millis(300));
        assert_eq!(denied, Err(Denied::Failed("it took too long")), "{text}");
    }
    assert!(began.elapsed() < SECONDS);
    assert!(matches!(check(Path::new("/nonexistent"), &request(), SECONDS), Err(Denied::Failed(_))));
    // It sees no environment.
    assert!(
        check(
            &script(&folder, "cat >/dev/null; test -z \"$HOME$CARGO_TARGET_DIR\" || exit 0; exit 7"),
            &request(),
            SECONDS
        )
        .is_err()
    );
}

/// A confined process can do none of this; run in a process of its own, for it cannot be undone.
#[test]
fn confinement_ends_a_process_that_opens_connects_or_forks() {
    if let Ok(what) = std::env::var("TIDEGATE_SAML_CONFINED") {
        saml::confine().expect("the kernel can confine");
        match what.as_str() {
            "open" => drop(std::fs::File::open("/etc/passwd")),
            "connect" => drop(std::net::TcpStream::connect("127.0.0.1:1")),
            "fork" => drop(Command::new("/bin/true").status()),
            _ => {}
        }
        std::process::exit(0);
    }
    let this = std::env::current_exe().expect("this program");
    for (what, lives) in [("nothing", true), ("open", false), ("connect", false), ("fork", false)] {
        let status = Command::new(&this)
            .args(["--exact", "confinement_ends_a_process_that_opens_connects_or_forks", "--test-threads=1"])
            .env("TIDEGATE_SAML_CONFINED", what)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("it starts");
        assert_eq!(status.success(), lives, "{what}: {status}");
    }
}
