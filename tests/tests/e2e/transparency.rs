//! With rules that allow everything, what a client prints is the same through the gateway as directly, to the byte.

use crate::plain::alone;
use std::{
    process::Command,
    sync::{Mutex, PoisonError},
};
use tests::{
    clients,
    endpoint::Endpoint,
    folder::Folder,
    process::{Finished, PATIENCE, run},
};

/// Runs the same work directly, then through the gateway, and compares all that came out.
#[track_caller]
pub(crate) fn same(must_hold: &[&str], work: impl Fn(&Endpoint) -> Finished) {
    // What one work makes or announces, another one would list or hear.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let expected = work(&alone().direct);
    for text in must_hold {
        assert!(expected.both().contains(text), "the work itself is wrong: no {text:?} in\n{}", expected.both());
    }
    assert_eq!(expected.code, 0, "the work itself fails:\n{}", expected.both());
    let got = work(&alone().through);
    assert_same("standard output", &without_process_ids(&expected.stdout), &without_process_ids(&got.stdout));
    assert_same("standard error", &without_process_ids(&expected.stderr), &without_process_ids(&got.stderr));
    assert_eq!(expected.code, got.code);
}

/// psql says which server process sent a notification, and the server which slot a temporary schema has: no two
/// connections agree on that.
fn without_process_ids(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(|line| match line.split_once("received from server process with PID ") {
        Some((before, _)) => format!("{before}received\n"),
        None => match line.split_once("pg_temp_") {
            Some((before, after)) => {
                format!("{before}pg_temp{}\n", after.trim_start_matches(|c: char| c.is_ascii_digit()))
            }
            None => format!("{line}\n"),
        },
    });
    lines.collect::<String>().into_bytes()
}

/// Compares and shows the lines that differ.
#[track_caller]
fn assert_same(what: &str, expected: &[u8], got: &[u8]) {
    if expected == got {
        return;
    }
    let folder = Folder::new("difference");
    let (direct, gateway) = (folder.write("direct", expected), folder.write("gateway", got));
    let mut diff = Command::new("diff");
    diff.args(["--text", "--unified=0"]).args([direct, gateway]);
    let text = run(&mut diff, b"", PATIENCE).text();
    let lines: Vec<String> = text.lines().take(80).map(|line| line.chars().take(240).collect()).collect();
    panic!("{what} differs (- direct, + gateway):\n{}", lines.join("\n"));
}

#[test]
fn psql_prints_the_same() {
    let script = include_str!("../../clients/transparency.sql");
    let wanted = ["22012", "duplicate key", "NOTICE:  00000: noticed 42", "four, quoted"];
    same(&wanted, |endpoint| clients::psql(endpoint, &["-a", "-e"], script));
}

#[test]
fn psycopg_prints_the_same() {
    let wanted = ["'alive'", "QueryCanceled", "copy binary", "'news', 'payload'", "server side"];
    same(&wanted, |endpoint| clients::python(endpoint, "with_psycopg.py", &[]));
}

#[test]
fn asyncpg_prints_the_same() {
    let wanted = ["'alive'", "('asyncnews', 'payload')", "forward", "copied"];
    same(&wanted, |endpoint| clients::python(endpoint, "with_asyncpg.py", &[]));
}

#[test]
fn jdbc_prints_the_same() {
    let wanted = ["mode: simple", "57014", "paged: 601", "copy in: 3", "notified: java_news", "function: 42"];
    same(&wanted, |endpoint| clients::java(endpoint, "WithJdbc.java", &[]));
}

#[test]
fn node_postgres_prints_the_same() {
    let wanted = ["node_news", "22012", "at once"];
    same(&wanted, |endpoint| clients::node(endpoint, "with_node.cjs", &[]));
}
