//! Byte identity on the wire: the same frames are sent directly and through the gateway, and every byte that comes back is
//! compared. What drivers do is a small part of what the protocol allows; here is the rest.

use crate::plain::{alone, through};
use tests::{
    process::{PATIENCE, wait_until},
    wire::{Wire, bind, bytes, close, describe, execute, flush, frame, parse, parse_typed, query, sync, tags, zero},
};

/// A conversation after login: groups of bytes, each with the number of ReadyForQuery it ends in.
type Conversation = Vec<(Vec<u8>, usize)>;

#[track_caller]
fn same(conversation: &Conversation) -> String {
    let expected = replies(&mut Wire::login(&alone().direct), conversation);
    let got = replies(&mut Wire::login(&alone().through), conversation);
    let mut different = Vec::new();
    for (number, (expected, got)) in expected.iter().zip(&got).enumerate() {
        if bytes(expected) != bytes(got) {
            let pair = expected.iter().zip(got).find(|(a, b)| a != b);
            different.push(format!(
                "group {number}: {} directly, {} through the gateway; first {pair:?}",
                tags(expected),
                tags(got)
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert_eq!(expected.len(), got.len());
    expected.iter().map(|frames| tags(frames)).collect::<Vec<_>>().join(" ")
}

fn replies(wire: &mut Wire, conversation: &Conversation) -> Vec<Vec<tests::wire::Frame>> {
    conversation
        .iter()
        .map(|(bytes, ready)| {
            wire.send(bytes);
            wire.until_ready(*ready).into_iter().map(without_source).collect()
        })
        .collect()
}

/// The gateway itself answers for names that it does not know, since the database may know them by another way; it has
/// no source file, line and routine to report. Everything else in these errors must be the same.
fn without_source(mut frame: tests::wire::Frame) -> tests::wire::Frame {
    if frame.tag == b'E' && matches!(frame.field(b'C').as_deref(), Some("26000" | "34000")) {
        let fields: Vec<&[u8]> =
            frame.body.split(|b| *b == 0).filter(|f| !matches!(f.first(), Some(b'F' | b'L' | b'R'))).collect();
        frame.body = fields.join(&0);
    }
    frame
}

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn login_reports_the_same_parameters_in_the_same_order() {
    let (direct, through) = (Wire::login(&alone().direct), Wire::login(&alone().through));
    assert!(direct.parameters.len() >= 13, "{:?}", direct.parameters);
    assert_eq!(direct.parameters, through.parameters);
    assert_eq!(through.key.len(), 8);
}

#[test]
fn simple_queries_give_the_same_bytes() {
    let texts = [
        "",
        ";",
        " ; ; ",
        "-- only a comment",
        "/* nested /* comment */ */ select 1",
        "select 1; select 2; select 3",
        "select 1; select 1/0; select 3",
        "select 'a;b', $$;$$, $tag$ ; $tag$, E'\\';', U&'\\0041'",
        "begin; select 1; commit",
        "begin",
        "select 1/0",
        "select 1",
        "rollback",
        "commit",
        "select * from kinds where i4 < 30 order by i4",
        "select * from wide",
        "select",
        "select repeat('x', 300000)",
        "select g from generate_series(1, 5000) g",
        "create temp table tt (a int); insert into tt values (1), (2); update tt set a = 3; delete from tt; drop table tt",
        "do $$ begin for i in 1..200 loop raise notice 'n %', i; end loop; end $$",
        "set application_name = 'x'; set timezone = 'CET'; reset timezone; reset application_name",
        "show all",
        "selec",
        "select '\u{fffd}é😀'",
        "declare c cursor with hold for select g from generate_series(1, 9) g; fetch 4 from c; fetch 100 from c; close c",
        "prepare q as select $1::int; execute q(7); deallocate q",
        "explain (costs off) select 1",
        "vacuum",
        "select pg_advisory_lock(1), pg_advisory_unlock(1)",
        "copy (select g, 'x' || g from generate_series(1, 500) g) to stdout",
        "copy (select g from generate_series(1, 5) g) to stdout (format binary)",
        "copy (select 1/(3-g) from generate_series(1, 5) g) to stdout; select 1",
        "values (1, 'a'), (2, null)",
        "table parents",
    ];
    same(&texts.iter().map(|text| (query(text), 1)).collect());
}

#[test]
fn many_simple_queries_in_one_write_are_answered_in_order() {
    let all: Vec<u8> = (0..300).flat_map(|n| query(&format!("select {n}, repeat('x', {n})"))).collect();
    let shape = same(&vec![(all, 300)]);
    assert_eq!(shape.matches("TDCZ").count(), 300);
}

#[test]
fn extended_queries_give_the_same_bytes_in_both_formats() {
    for format in [0, 1] {
        same(&vec![
            (
                joined(&[
                    parse("", "select * from kinds where i4 < 20 order by i4"),
                    bind("", "", &[], format),
                    describe(b'P', ""),
                    execute("", 0),
                    sync(),
                ]),
                1,
            ),
            (joined(&[parse("s", "select $1::int + 1, $2::text"), describe(b'S', "s"), sync()]), 1),
            (joined(&[bind("", "s", &[Some("41"), None], format), execute("", 0), sync()]), 1),
            (
                joined(&[
                    bind("p", "s", &[Some("1"), Some("é")], format),
                    describe(b'P', "p"),
                    execute("p", 0),
                    close(b'P', "p"),
                    sync(),
                ]),
                1,
            ),
            (joined(&[bind("", "s", &[Some("x"), None], format), execute("", 0), sync()]), 1),
            (joined(&[parse("s", "select 2"), sync()]), 1),
            (
                joined(&[close(b'S', "s"), parse("s", "select 2"), bind("", "s", &[], format), execute("", 0), sync()]),
                1,
            ),
            (joined(&[close(b'S', "never"), close(b'P', "never"), sync()]), 1),
            (joined(&[bind("", "gone", &[], format), execute("", 0), sync()]), 1),
            (joined(&[describe(b'S', "gone"), sync()]), 1),
            (joined(&[execute("gone", 0), sync()]), 1),
            (joined(&[parse("", ""), bind("", "", &[], format), describe(b'P', ""), execute("", 0), sync()]), 1),
            (joined(&[parse("", "select 1; select 2"), sync()]), 1),
            (
                joined(&[
                    parse_typed("", "select $1", &[23]),
                    describe(b'S', ""),
                    bind("", "", &[Some("5")], format),
                    execute("", 0),
                    sync(),
                ]),
                1,
            ),
            (sync(), 1),
            (joined(&[sync(), sync(), sync()]), 3),
        ]);
    }
}

#[test]
fn drivers_that_never_describe_get_the_same_bytes() {
    same(&vec![
        (
            joined(&[
                parse("nd", "select i4, t from kinds where i4 < $1 order by i4"),
                bind("", "nd", &[Some("9")], 0),
                execute("", 0),
                sync(),
            ]),
            1,
        ),
        (
            joined(&[
                bind("", "nd", &[Some("3")], 1),
                execute("", 0),
                bind("", "nd", &[Some("4")], 0),
                execute("", 0),
                sync(),
            ]),
            1,
        ),
    ]);
}

#[test]
fn portals_with_row_limits_suspend_and_go_on() {
    let shape = same(&vec![
        (query("begin"), 1),
        (
            joined(&[
                parse("", "select g from generate_series(1, 10) g"),
                bind("a", "", &[], 0),
                execute("a", 3),
                sync(),
            ]),
            1,
        ),
        (
            joined(&[
                parse("", "select g * 2 from generate_series(1, 10) g"),
                bind("b", "", &[], 1),
                execute("b", 4),
                execute("a", 3),
                sync(),
            ]),
            1,
        ),
        (joined(&[execute("b", 100), execute("a", 100), execute("a", 1), sync()]), 1),
        (query("commit"), 1),
        (joined(&[execute("a", 1), sync()]), 1),
    ]);
    assert!(shape.contains("DDDsZ"), "{shape}");
}

#[test]
fn pipelines_answer_in_order_and_an_error_skips_to_sync() {
    let mut long = Vec::new();
    for n in 0..2_000 {
        long.extend(joined(&[
            parse("", "select $1::int, repeat('y', $1)"),
            bind("", "", &[Some(&(n % 50).to_string())], 0),
            execute("", 0),
        ]));
    }
    long.extend(sync());
    let one = |text: &str| joined(&[parse("", text), bind("", "", &[], 0), describe(b'P', ""), execute("", 0)]);
    same(&vec![
        (long, 1),
        (joined(&[one("select 1"), one("select 1/0"), one("select 2"), sync(), one("select 3"), sync()]), 2),
        (joined(&[one("select 1"), one("selec"), parse("kept", "select 9"), sync()]), 1),
        (joined(&[bind("", "kept", &[], 0), execute("", 0), sync()]), 1),
        (
            joined(&[
                one("insert into parents values (70, 'x')"),
                one("insert into parents values (1, 'dup')"),
                sync(),
            ]),
            1,
        ),
        (query("select count(*) from parents where id = 70"), 1),
        (joined(&[query("select 1"), one("select 2"), sync(), query("select 3; select 4")]), 3),
    ]);
}

#[test]
fn flush_brings_replies_before_sync() {
    let ask = |wire: &mut Wire| {
        wire.send(&joined(&[parse("", "select 7"), describe(b'S', ""), flush()]));
        let first: Vec<_> = (0..3).map(|_| wire.read().unwrap()).collect();
        wire.send(&joined(&[bind("", "", &[], 0), execute("", 0), flush()]));
        let second: Vec<_> = (0..3).map(|_| wire.read().unwrap()).collect();
        wire.send(&sync());
        (first, second, wire.until_ready(1))
    };
    let expected = ask(&mut Wire::login(&alone().direct));
    assert_eq!(tags(&expected.1), "2DC");
    assert_eq!(ask(&mut Wire::login(&alone().through)), expected);
}

#[test]
fn copy_in_gives_the_same_bytes_whether_it_ends_well_or_not() {
    let data = |text: &str| frame(b'd', text.as_bytes());
    let (done, fail) = (frame(b'c', &[]), frame(b'f', &zero("given up")));
    let big: String = (0..20_000).map(|n| format!("{n}\trow {n}\n")).collect();
    let split: Vec<u8> = big.as_bytes().chunks(7_001).flat_map(|chunk| frame(b'd', chunk)).collect();
    same(&vec![
        (query("create temp table c (a int, b text)"), 1),
        (joined(&[query("copy c from stdin"), data("1\tone\n2\ttw"), data("o\n"), done.clone()]), 1),
        (joined(&[query("copy c from stdin"), data("1\tone\n"), fail.clone()]), 1),
        (joined(&[query("copy c from stdin"), data("zebra\n"), done.clone()]), 1),
        (joined(&[query("copy c from stdin; select count(*) from c"), data("5\tfive\n"), done.clone()]), 1),
        (joined(&[query("copy c from stdin"), split, done.clone()]), 1),
        (
            joined(&[
                parse("", "copy c from stdin"),
                bind("", "", &[], 0),
                execute("", 0),
                data("7\tx\n"),
                done.clone(),
                sync(),
            ]),
            1,
        ),
        (
            joined(&[
                parse("", "copy c from stdin"),
                bind("", "", &[], 0),
                execute("", 0),
                data("7\tx\n"),
                fail,
                sync(),
            ]),
            1,
        ),
        (query("select count(*), sum(a), md5(string_agg(b, ',' order by a, b)) from c"), 1),
        (query("copy c to stdout"), 1),
        // Copy messages outside of a copy are ignored by the server.
        (joined(&[data("stray\n"), done, query("select 'after stray data'")]), 1),
    ]);
}

#[test]
fn a_sync_during_copy_in_is_ignored_as_the_server_ignores_it() {
    let data = |text: &str| frame(b'd', text.as_bytes());
    let done = frame(b'c', &[]);
    let copy = |name: &str| joined(&[parse(name, "copy c from stdin"), bind("", name, &[], 0), execute("", 0)]);
    same(&vec![
        (query("create temp table c (a int, b text)"), 1),
        (joined(&[query("copy c from stdin"), flush(), sync(), data("6\tsix\n"), done.clone()]), 1),
        (query("select count(*) from c"), 1),
        (joined(&[copy(""), sync(), data("7\tx\n"), done, sync()]), 1),
        (query("select count(*) from c"), 1),
    ]);
}

#[test]
fn values_of_every_size_around_the_buffers_give_the_same_bytes() {
    let sizes = [
        1, 4_000, 8_187, 8_192, 16_384, 65_530, 65_536, 131_072, 262_130, 262_144, 262_145, 524_288, 1_048_577,
        9_000_001,
    ];
    same(&sizes.iter().map(|size| (query(&format!("select repeat('z', {size}), 1; select 2")), 1)).collect());
}

#[test]
fn statements_larger_than_a_buffer_pass() {
    let long = "v".repeat(900_000);
    same(&vec![
        (query(&format!("select length('{long}')")), 1),
        (joined(&[parse("", "select length($1::text)"), bind("", "", &[Some(&long)], 0), execute("", 0), sync()]), 1),
    ]);
}

#[test]
fn p5_any_cut_of_the_input_gives_the_same_bytes() {
    let all = joined(&[
        query("select 1; select 'two'"),
        joined(&[
            parse("x", "select $1::text"),
            bind("", "x", &[Some("cut")], 1),
            describe(b'P', ""),
            execute("", 0),
            sync(),
        ]),
        query("copy (select 1) to stdout"),
    ]);
    let expected = {
        let mut wire = Wire::login(&alone().direct);
        wire.send(&all);
        bytes(&wire.until_ready(3))
    };
    for size in [1, 2, 3, 5, 7, 11, 64] {
        let mut wire = Wire::login(&alone().through);
        for chunk in all.chunks(size) {
            wire.send(chunk);
        }
        assert_eq!(bytes(&wire.until_ready(3)), expected, "cut every {size} bytes");
    }
}

#[test]
fn a_client_that_says_goodbye_or_just_leaves_is_taken_off_the_server() {
    let server = tests::server::Postgres::shared();
    let mut left = Wire::login(&through());
    left.query("set application_name = 'leaves politely'");
    left.send(&frame(b'X', &[]));
    assert!(left.closes());
    let mut gone = Wire::login(&through());
    gone.query("set application_name = 'leaves rudely'");
    drop(gone);
    wait_until("both sessions are gone upstream", PATIENCE, || {
        server.sql("postgres", "select count(*) from pg_stat_activity where application_name like 'leaves%'").trim()
            == "0"
    });
}
