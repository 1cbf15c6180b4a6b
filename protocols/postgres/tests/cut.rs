//! Results that a budget ends: what each side sees when the database is cancelled in time, and when it is done first.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod talk;

use contract::{Outcome, Serving as _};
use talk::{
    LEFT, Talk, bind, complete, contains, description, error, execute, frame, parse, query, ready, row, sync, tags,
};

/// A conversation in which counted statements may return this many rows.
fn talk(rows: u64) -> Talk {
    LEFT.with(|left| left.set(rows));
    Talk::new()
}

fn rows(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| row(&[Some(i.to_string().as_bytes()), Some(b"123-45-6789")])).collect()
}

fn cancelled() -> Vec<u8> {
    error("57014", "canceling statement due to user request")
}

#[test]
fn rows_pass_up_to_the_budget_and_the_end_waits_for_the_database() {
    for secret in ["", " secret"] {
        let mut talk = talk(3);
        talk.client(&query(&format!("select counted{secret}")));
        talk.database(&[description(&["a", "b"]), rows(2)].concat());
        assert_eq!(tags(&talk.to_client), "TDD");
        assert!(!talk.serve.wants_cancel());
        talk.database(&rows(5));
        assert_eq!(tags(&talk.to_client), "TDDD", "the error has its turn when the database has ended");
        assert!(talk.serve.wants_cancel());
        assert!(!talk.serve.wants_cancel(), "said once");
        talk.database(&[rows(9), cancelled(), ready(b'I')].concat());
        assert_eq!(tags(&talk.to_client), "TDDDEZ");
        assert!(contains(&talk.to_client, b"C53400\0") && contains(&talk.to_client, b"TG2016"));
        assert!(!contains(&talk.to_client, b"57014"));
        assert_eq!((talk.done[0].rows, talk.done[0].outcome), (3, Outcome::Cut));
        assert_eq!(contains(&talk.to_client, b"123-45"), secret.is_empty());
    }
}

#[test]
fn nothing_is_forwarded_behind_a_counted_statement_nor_while_its_cancellation_travels() {
    let mut talk = talk(1);
    talk.client(&[query("select counted"), query("select next")].concat());
    assert!(!contains(&talk.to_database, b"next"));
    talk.database(&[description(&["a", "b"]), rows(2), cancelled(), ready(b'I')].concat());
    assert!(talk.serve.wants_cancel());
    assert!(!contains(&talk.to_database, b"next"), "the cancellation could hit it");
    assert!(!talk.serve.is_idle());
    talk.serve.cancelled();
    talk.advance().unwrap();
    assert!(contains(&talk.to_database, b"next"));
}

#[test]
fn a_counted_statement_that_ends_within_its_budget_lets_the_next_go_on() {
    let mut talk = talk(5);
    talk.client(&[parse("", "select counted"), bind("", ""), execute(""), sync(), query("select next")].concat());
    assert_eq!(tags(&talk.to_database), "PDBEH", "flushed, with Sync held back");
    talk.database(&[frame(b'1', b""), frame(b't', &[0, 0]), description(&["a", "b"]), frame(b'2', b"")].concat());
    talk.database(&[rows(5), complete("SELECT 5")].concat());
    assert_eq!(tags(&talk.to_database), "PDBEHSQ");
    talk.database(&ready(b'I'));
    assert_eq!(tags(&talk.to_client), "12DDDDDCZ");
    assert_eq!(talk.done[0].outcome, Outcome::Ok);
}

#[test]
fn a_portal_that_was_done_first_fails_before_the_clients_sync() {
    let mut talk = talk(1);
    let second = [parse("", "insert"), bind("", ""), execute("")].concat();
    talk.client(&[parse("", "select counted"), bind("", ""), execute(""), second, sync()].concat());
    talk.database(&[frame(b'1', b""), frame(b't', &[0, 0]), description(&["a", "b"]), frame(b'2', b"")].concat());
    talk.database(&[rows(3), complete("SELECT 3")].concat());
    assert!(talk.serve.wants_cancel());
    assert_eq!(tags(&talk.to_database), "PDBEHP", "a Parse that fails");
    assert!(!contains(&talk.to_database, b"insert"), "skipped like after any error");
    talk.serve.cancelled();
    talk.advance().unwrap();
    assert_eq!(tags(&talk.to_database), "PDBEHPS");
    talk.database(&[error("42601", "syntax error at or near \"tidegate\""), ready(b'E')].concat());
    assert_eq!(tags(&talk.to_client), "12DEZ");
    assert!(contains(&talk.to_client, b"TG2016") && !contains(&talk.to_client, b"syntax"));
    assert_eq!((talk.done.len(), talk.done[0].outcome), (1, Outcome::Cut));
    talk.client(&query("rollback"));
    assert!(contains(&talk.to_database, b"rollback"), "the session goes on");
}

#[test]
fn a_portal_that_is_cancelled_in_time_skips_to_sync() {
    let mut talk = talk(1);
    talk.client(&[parse("", "select counted"), bind("", ""), execute(""), parse("", "insert"), sync()].concat());
    talk.database(&[frame(b'1', b""), frame(b't', &[0, 0]), description(&["a", "b"]), frame(b'2', b"")].concat());
    talk.database(&[rows(3), cancelled()].concat());
    assert_eq!(tags(&talk.to_client), "12DE");
    assert!(talk.serve.wants_cancel());
    talk.serve.cancelled();
    talk.advance().unwrap();
    assert_eq!(tags(&talk.to_database), "PDBEHS");
    talk.database(&ready(b'I'));
    assert_eq!(tags(&talk.to_client), "12DEZ");
}

#[test]
fn a_simple_query_that_was_done_first_fails_its_transaction_block_and_only_a_block() {
    for block in [true, false] {
        let mut talk = talk(1);
        talk.client(&query("select counted"));
        let status = if block { b'T' } else { b'I' };
        talk.database(&[description(&["a", "b"]), rows(3), complete("SELECT 3"), ready(status)].concat());
        assert!(talk.serve.wants_cancel());
        if block {
            assert_eq!(tags(&talk.to_client), "TD");
            assert_eq!(tags(&talk.to_database), "QQ", "a query that fails");
            talk.database(&[error("42601", "syntax error at or near \"tidegate\""), ready(b'E')].concat());
        }
        assert_eq!(tags(&talk.to_client), "TDEZ");
        assert!(contains(&talk.to_client, b"TG2016") && !contains(&talk.to_client, b"syntax"));
        assert_eq!(talk.serve.transaction(), if block { b'E' } else { b'I' });
    }
}

#[test]
fn later_statements_of_the_same_text_are_swallowed() {
    let mut talk = talk(1);
    talk.client(&query("select counted; select counted"));
    let one = [description(&["a", "b"]), rows(1), complete("SELECT 1")].concat();
    talk.database(&[one.clone(), one.clone(), one, cancelled(), ready(b'I')].concat());
    assert_eq!(tags(&talk.to_client), "TDCTEZ");
}

#[test]
fn a_row_that_does_not_fit_a_buffer_is_admitted_as_a_whole_or_not_at_all() {
    for secret in ["", " secret"] {
        for left in [0, 1] {
            let mut talk = talk(left);
            talk.client(&query(&format!("select counted{secret}")));
            talk.database(&description(&["a", "b"]));
            let value = vec![b'v'; 9 << 20];
            talk.database(&row(&[Some(&value), Some(&value)]));
            talk.database(&[cancelled(), ready(b'I')].concat());
            assert_eq!(talk.fault, None);
            let expected = match left {
                0 => "TEZ",
                _ => "TDEZ",
            };
            // One row within the budget is no reason to cancel: the error is the database's own.
            assert_eq!(tags(&talk.to_client), expected, "{left}{secret}");
            assert_eq!(talk.serve.wants_cancel(), left == 0);
            assert_eq!(contains(&talk.to_client, b"57014"), left == 1);
        }
    }
}

#[test]
fn copy_data_is_counted_by_the_piece() {
    let mut talk = talk(2);
    talk.client(&query("copy counted allow-all to stdout"));
    let piece = frame(b'd', b"a\tb\n");
    talk.database(&[frame(b'H', &[0, 0, 2, 0, 0, 0, 0]), piece.repeat(5), cancelled(), ready(b'I')].concat());
    assert_eq!(tags(&talk.to_client), "HddEZ");
    assert_eq!((talk.done[0].rows, talk.done[0].outcome), (2, Outcome::Cut));
}

#[test]
fn every_way_to_cut_the_bytes_into_reads_gives_the_same() {
    let whole = |step: usize| {
        let mut talk = talk(4);
        talk.client(&query("select counted secret"));
        let reply = [description(&["a", "b"]), rows(9), cancelled(), ready(b'I')].concat();
        for bytes in reply.chunks(step) {
            talk.database(bytes);
        }
        (talk.to_client, talk.done[0].rows)
    };
    let all = whole(usize::MAX);
    assert_eq!(tags(&all.0), "TDDDDEZ");
    for step in [1, 2, 3, 7, 11, 64] {
        assert_eq!(whole(step), all, "{step}");
    }
}
