//! COPY TO STDOUT: shapes are asked for before the statement goes, and CopyData is masked in every format, however it is cut.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod talk;

use contract::{Limits, Outcome, Serving as _};
use proptest::prelude::*;
use talk::{Talk, bind, complete, contains, description, error, execute, frame, parse, query, ready, row, sync, tags};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

fn data(body: &[u8]) -> Vec<u8> {
    frame(b'd', body)
}

fn tuple(values: &[Option<&[u8]>]) -> Vec<u8> {
    row(values)[5..].to_vec()
}

/// CopyOutResponse of three columns.
fn response(format: u8) -> Vec<u8> {
    frame(b'H', &[format, 0, 3, 0, format, 0, format, 0, format])
}

/// What the database answers to the three frames about a shape.
fn shape() -> Vec<u8> {
    let names = description(&["a", "b", "c"]);
    [frame(b'1', b""), frame(b't', &[0, 0]), names, frame(b'3', b"")].concat()
}

fn copy(format: u8, rows: &[Vec<u8>]) -> Vec<u8> {
    let rows: Vec<u8> = rows.iter().flat_map(|r| data(r)).collect();
    [response(format), rows, frame(b'c', b""), complete("COPY 2")].concat()
}

/// Runs `statement` by a simple query over these rows; what the client gets.
fn run(talk: &mut Talk, statement: &str, format: u8, rows: &[Vec<u8>]) -> Vec<u8> {
    talk.client(&query(statement));
    talk.database(&shape());
    talk.database(&[copy(format, rows), ready(b'I')].concat());
    std::mem::take(&mut talk.to_client)
}

fn bodies(bytes: &[u8]) -> Vec<u8> {
    let (mut at, mut all) = (0, Vec::new());
    while at < bytes.len() {
        let end = at + 1 + u32::from_be_bytes(bytes[at + 1..at + 5].try_into().unwrap()) as usize;
        if bytes[at] == b'd' {
            all.extend_from_slice(&bytes[at + 5..end]);
        }
        at = end;
    }
    all
}

fn lines(statement: &str, grow: bool, rows: &[&[u8]]) -> Vec<u8> {
    let mut talk = Talk::new();
    talk.grow = grow;
    let rows: Vec<Vec<u8>> = rows.iter().map(|r| r.to_vec()).collect();
    let out = run(&mut talk, statement, 0, &rows);
    assert_eq!(talk.fault, None);
    assert!(talk.serve.is_idle());
    bodies(&out)
}

#[test]
fn the_shape_is_asked_for_first_and_its_answer_ends_here() {
    let mut talk = Talk::new();
    talk.client(&query("copy secret to stdout text"));
    assert_eq!(tags(&talk.to_database), "PDCH", "the statement waits");
    assert!(!talk.serve.is_idle() && talk.serve.is_busy());
    talk.database(&shape());
    assert_eq!(tags(&talk.to_database), "PDCHQ");
    assert_eq!(talk.to_client, b"");
    talk.database(&[copy(0, &[b"1\tx\t\\N\n".to_vec()]), ready(b'I')].concat());
    assert_eq!(tags(&talk.to_client), "HdcCZ");
    assert_eq!((talk.done.len(), talk.done[0].outcome, talk.done[0].rows), (1, Outcome::Ok, 1));
    assert!(talk.serve.is_idle());
}

#[test]
fn text_fields() {
    let text = |rows: &[&[u8]]| lines("copy secret to stdout text", true, rows);
    assert_eq!(text(&[b"1\t123-45-6789\tx\n"]), b"1\ta much longer replacement\tx\n");
    assert_eq!(
        text(&[b"\\t\t\\\\N\t\\N\n", b"\t\\N\t\n"]),
        b"\\t\ta much longer replacement\t\\N\n\t\\N\t\n",
        "NULL stays"
    );
    assert_eq!(lines("copy secret to stdout text", false, &[b"a\tb\\nc\td\n"]), b"a\t\\N\td\n");
    assert_eq!(lines("copy open to stdout text", false, &[b"a\tb\\nc\td\n"]), b"a\tb\\nc\td\n");
    assert_eq!(
        lines("copy secret to stdout text header", true, &[b"a\tb\tc\n", b"1\t2\t3\n"]),
        b"a\tb\tc\n1\ta much longer replacement\t3\n"
    );
}

#[test]
fn csv_fields() {
    let csv = |rows: &[&[u8]]| lines("copy secret to stdout csv", true, rows);
    assert_eq!(csv(&[b"1,\"a,\"\"b\"\"\nc\",\"\"\n"]), b"1,a much longer replacement,\"\"\n");
    assert_eq!(
        csv(&[b"\"x,y\",,z\n", b",\"\",\n"]),
        b"\"x,y\",,z\n,a much longer replacement,\n",
        "NULL stays, empty is a value"
    );
    assert_eq!(lines("copy secret to stdout csv", false, &[b"1,2,3\n"]), b"1,,3\n");
    assert_eq!(
        lines("copy secret to stdout csv header", true, &[b"a,\"b\",c\n", b"1,2,3\n"]),
        b"a,\"b\",c\n1,a much longer replacement,3\n"
    );
}

#[test]
fn binary_fields() {
    let secret = |v: &[u8]| tuple(&[Some(b"a"), Some(v), None]);
    for rows in [
        vec![[SIGNATURE, &secret(b"123-45-6789")].concat(), tuple(&[None, None, None]), vec![0xff, 0xff]],
        vec![SIGNATURE.to_vec(), secret(b"123-45-6789"), [tuple(&[None, None, None]), vec![0xff, 0xff]].concat()],
    ] {
        let mut talk = Talk::new();
        let out = run(&mut talk, "copy secret to stdout binary", 1, &rows);
        assert_eq!(talk.fault, None);
        let want = [SIGNATURE, &tuple(&[Some(b"a"), None, None]), &tuple(&[None, None, None]), &[0xff, 0xff]].concat();
        assert_eq!(bodies(&out), want);
        assert_eq!(talk.done[0].rows, 2);
    }
    let mut talk = Talk::new();
    let out = run(&mut talk, "copy secret to stdout binary", 1, &[[SIGNATURE, &[0xff, 0xff]].concat()]);
    assert_eq!((talk.fault, bodies(&out)), (None, [SIGNATURE, &[0xff, 0xff]].concat()));
}

#[test]
fn data_that_is_not_as_the_statement_says_ends_the_session_and_shows_nothing() {
    let signed = |rest: &[u8]| [SIGNATURE, rest].concat();
    let end = vec![0xff, 0xff];
    let cases: Vec<(&str, u8, Vec<Vec<u8>>)> = vec![
        ("text", 0, vec![b"1\tseen\n".to_vec()]),
        ("text", 0, vec![b"1\tseen\t3\t4\n".to_vec()]),
        ("text", 0, vec![b"1\tseen\t3".to_vec()]),
        ("text", 0, vec![b"1\tseen\n2\tseen\tx\n".to_vec()]),
        ("text", 0, vec![b"1\tseen\\x\t3\n".to_vec()]),
        ("text", 0, vec![b"1\tseen\t\\\n".to_vec()]),
        ("text", 0, vec![b"".to_vec()]),
        ("text", 0, vec![b"1\tse".to_vec(), b"en\t3\n".to_vec()]),
        ("text", 1, vec![b"1\tseen\t3\n".to_vec()]),
        ("text header", 0, vec![b"1\tseen\t3\n".to_vec()]),
        ("text header", 0, vec![b"a\tb\n".to_vec()]),
        ("csv", 0, vec![b"1,\"seen,3\n".to_vec()]),
        ("csv", 0, vec![b"1,\"seen\"x,3\n".to_vec()]),
        ("csv", 0, vec![b"1,se\"en,3\n".to_vec()]),
        ("csv", 0, vec![b"1,seen\n".to_vec()]),
        ("csv", 0, vec![b"1,se\nen,3\n".to_vec()]),
        ("csv header", 0, vec![b"a,b,seen\n".to_vec()]),
        ("binary", 0, vec![signed(&tuple(&[None, None, None])), end.clone()]),
        ("binary", 1, vec![tuple(&[None, Some(b"seen"), None]), end.clone()]),
        ("binary", 1, vec![signed(&tuple(&[None, Some(b"seen")])), end.clone()]),
        ("binary", 1, vec![signed(b"\0\x03\0\0\0\x05seen"), end.clone()]),
        ("binary", 1, vec![signed(&end), tuple(&[None, Some(b"seen"), None])]),
        ("binary", 1, vec![signed(&tuple(&[None, None, None]))]),
        ("binary", 1, vec![[&SIGNATURE[..12], &[1, 0, 0, 0, 0, 0, 0], b"seen"].concat(), end.clone()]),
        ("binary", 1, vec![[&SIGNATURE[..18], &[4], b"seen"].concat(), end]),
    ];
    for (format, code, rows) in cases {
        let mut talk = Talk::new();
        let out = run(&mut talk, &format!("copy secret to stdout {format}"), code, &rows);
        let shown: Vec<_> = rows.iter().map(|r| String::from_utf8_lossy(r)).collect();
        assert!(talk.fault.is_some(), "{format} {code} {shown:?}");
        assert!(!contains(&out, b"seen"), "{format} {shown:?}");
    }

    // Another number of columns than the shape has: refused, and the session goes on.
    let mut talk = Talk::new();
    talk.client(&query("copy secret to stdout text"));
    let two =
        [frame(b'H', &[0, 0, 2, 0, 0, 0, 0]), data(b"1\tseen\n"), frame(b'c', b""), complete("COPY 1"), ready(b'I')];
    talk.database(&shape());
    talk.database(&two.concat());
    assert_eq!((talk.fault, tags(&talk.to_client)), (None, "EZ".to_owned()));
    assert_eq!(talk.done[0].outcome, Outcome::Withheld);
    assert!(talk.serve.is_idle());
}

#[test]
fn without_a_plan_nothing_of_the_statement_is_sent() {
    // The shape is refused: the client gets the refusal, the database a text it cannot parse.
    let mut talk = Talk::new();
    talk.client(&query("copy secret shapeless to stdout text"));
    talk.database(&shape());
    assert_eq!(tags(&talk.to_database), "PDCHQ");
    assert!(!contains(&talk.to_database, b"shapeless"));
    talk.database(&[error("42601", "poison"), ready(b'I')].concat());
    assert_eq!(tags(&talk.to_client), "EZ");
    assert!(contains(&talk.to_client, b"TG1001"));
    assert_eq!(talk.done[0].outcome, Outcome::Withheld);
    assert!(talk.serve.is_idle());

    // The shape has no columns.
    let mut talk = Talk::new();
    talk.client(&query("copy secret to stdout text"));
    talk.database(&[frame(b'1', b""), frame(b't', &[0, 0]), frame(b'n', b""), frame(b'3', b"")].concat());
    assert!(!contains(&talk.to_database[5..], b"copy secret"));
    talk.database(&[error("42601", "poison"), ready(b'I')].concat());
    assert_eq!(tags(&talk.to_client), "EZ");

    // The database has an error about it: that is the statement's own.
    let mut talk = Talk::new();
    talk.client(&query("copy secret to stdout text"));
    talk.database(&error("42P01", "relation \"secret\" does not exist"));
    assert_eq!(tags(&talk.to_database), "PDCHS");
    talk.database(&ready(b'I'));
    assert_eq!(tags(&talk.to_client), "EZ");
    assert!(contains(&talk.to_client, b"does not exist") && !contains(&talk.to_client, b"123-45-6789"));
    assert_eq!(talk.done[0].outcome, Outcome::Error(*b"42P01"));
    assert!(talk.serve.is_idle());
    talk.client(&query("select 1"));
    assert_eq!(tags(&talk.to_database), "PDCHSQ", "the session goes on");

    // A session that ends meanwhile says that it was not run.
    let mut talk = Talk::new();
    talk.client(&query("copy secret to stdout text"));
    let left = talk.serve.unanswered();
    assert_eq!((left.len(), left[0].outcome), (1, Outcome::Skipped));
}

#[test]
fn in_a_pipeline_the_shape_is_asked_for_where_the_statement_runs() {
    let mut talk = Talk::new();
    let client =
        [parse("c", "copy secret to stdout text"), bind("", "c"), execute(""), bind("", "c"), execute(""), sync()];
    talk.client(&client.concat());
    assert_eq!(tags(&talk.to_database), "PDBPDCH", "its own description, as of every statement, then the shape");
    let described = [frame(b'1', b""), frame(b't', &[0, 0]), frame(b'n', b""), frame(b'2', b"")].concat();
    talk.database(&[described, shape()].concat());
    assert_eq!(tags(&talk.to_database), "PDBPDCHEBPDCH");
    let rows = [b"1\tsecret one\t3\n".to_vec()];
    talk.database(&[copy(0, &rows), frame(b'2', b""), shape()].concat());
    assert_eq!(tags(&talk.to_database), "PDBPDCHEBPDCHES");
    talk.database(&[copy(0, &rows), ready(b'I')].concat());
    assert_eq!(tags(&talk.to_client), "12HdcC2HdcCZ");
    assert!(!contains(&talk.to_client, b"secret one"));
    assert_eq!(talk.done.len(), 2);

    // A failure before it: the database ignores everything up to Sync, the statement was not run.
    let mut talk = Talk::new();
    let client = [
        parse("", "select 1"),
        bind("", ""),
        execute(""),
        parse("c", "copy secret to stdout text"),
        bind("", "c"),
        execute(""),
        sync(),
    ];
    talk.client(&client.concat());
    let before = [frame(b'1', b""), frame(b't', &[0, 0]), description(&["a"]), frame(b'2', b"")].concat();
    talk.database(&[before, error("22012", "division")].concat());
    assert_eq!(tags(&talk.to_database), "PDBEPDBPDCHS");
    talk.database(&ready(b'I'));
    assert_eq!(tags(&talk.to_client), "12EZ");
    assert_eq!(talk.done.iter().map(|d| d.outcome).collect::<Vec<_>>(), [Outcome::Error(*b"22012"), Outcome::Skipped]);
    assert!(talk.serve.is_idle());

    // A failure of the shape itself, and the next cycle.
    let mut talk = Talk::new();
    talk.client(
        &[parse("c", "copy secret to stdout text"), bind("", "c"), execute(""), bind("", "c"), sync()].concat(),
    );
    let described = [frame(b'1', b""), frame(b't', &[0, 0]), frame(b'n', b""), frame(b'2', b"")].concat();
    talk.database(&[described, error("42P01", "no such relation")].concat());
    talk.database(&ready(b'I'));
    assert_eq!(tags(&talk.to_client), "12EZ");
    assert_eq!(tags(&talk.to_database), "PDBPDCHS");
    assert!(talk.serve.is_idle());
}

#[test]
fn an_error_in_the_middle_ends_the_copy() {
    let mut talk = Talk::new();
    talk.client(&query("copy secret to stdout text"));
    talk.database(&shape());
    talk.database(&[response(0), data(b"1\tseen\t3\n"), error("22012", "division by zero"), ready(b'I')].concat());
    assert_eq!(tags(&talk.to_client), "HdEZ");
    assert!(!contains(&talk.to_client, b"seen") && !contains(&talk.to_client, b"123-45"));
    talk.database(&data(b"1\tseen\t3\n"));
    assert!(talk.fault.is_some(), "data outside of a copy");
}

/// A row with a value longer than any buffer, by format.
fn giant(format: &str) -> (u8, Vec<Vec<u8>>) {
    let long = |pattern: &[u8]| pattern.iter().copied().cycle().take(600_000).collect::<Vec<u8>>();
    match format {
        "text" => {
            let field = [&long(b"secret\\\\\\n\\t")[..], b"\\N"].concat();
            (
                0,
                vec![
                    [b"open\t", &field[..], b"\topen\n"].concat(),
                    [&field[..], b"\t\\N\topen\n"].concat(),
                    b"a\tsecret\tc\n".to_vec(),
                ],
            )
        }
        "csv" => {
            let field = [b"\"", &long(b"secret,\"\"\n")[..], b"\""].concat();
            let plain = long(b"secret");
            (
                0,
                vec![
                    [b"open,", &field[..], b",open\n"].concat(),
                    [&field[..], b",,open\n"].concat(),
                    [b"open,", &plain[..], b",\"open\"\n"].concat(),
                ],
            )
        }
        _ => {
            let value = long(b"secret");
            let first = [SIGNATURE, &tuple(&[Some(b"open"), Some(&value), None])].concat();
            let second = tuple(&[None, None, Some(&value)]);
            (1, vec![first, second, vec![0xff, 0xff]])
        }
    }
}

#[test]
fn a_row_longer_than_the_buffer_streams_filled_however_it_is_cut() {
    for format in ["text", "csv", "binary"] {
        let (code, rows) = giant(format);
        let whole = {
            let mut talk = Talk::new();
            let out = run(&mut talk, &format!("copy secret to stdout {format}"), code, &rows);
            assert_eq!(talk.fault, None, "{format}");
            assert!(talk.serve.is_idle());
            out
        };
        assert_eq!(tags(&whole), "HdddcCZ");
        let sizes: Vec<usize> = rows.iter().map(Vec::len).collect();
        let out = bodies(&whole);
        assert!(format != "binary" || out.len() == sizes.iter().sum::<usize>(), "a streamed row keeps its length");
        let first = &out[..sizes[0]];
        assert!(contains(first, b"open") && !contains(first, b"secret"), "{format}");
        let second = &out[sizes[0]..sizes[0] + sizes[1]];
        assert!(contains(second, b"secret"), "{format}: the first column is clear");
        for cut in [1usize, 7, 4096, 65_537, 262_143] {
            if cut < 7 && format != "text" {
                continue;
            }
            let mut talk = Talk::new();
            talk.client(&query(&format!("copy secret to stdout {format}")));
            talk.database(&shape());
            for piece in [copy(code, &rows), ready(b'I')].concat().chunks(cut) {
                talk.database(piece);
            }
            assert_eq!(talk.fault, None);
            assert!(talk.to_client == whole, "{format} cut at {cut}");
        }
    }
    for (format, row) in [
        ("text", [&vec![b'x'; 600_000][..], b"\tsecret\n"].concat()),
        ("text", [&vec![b'x'; 600_000][..], b"\tsecret\n\tx\n"].concat()),
        ("csv", [&vec![b'x'; 600_000][..], b",\"secret\n"].concat()),
        ("csv", [&vec![b'x'; 600_000][..], b",\"secret\"x,\n"].concat()),
    ] {
        let mut talk = Talk::new();
        let out = run(&mut talk, &format!("copy secret to stdout {format}"), 0, &[row]);
        assert!(talk.fault.is_some() && !contains(&out, b"secret"), "{format}");
    }
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_bytes(cuts in prop::collection::vec(1usize..60, 1..40), grow: bool, which in 0usize..4) {
        let (format, code, rows): (&str, u8, Vec<Vec<u8>>) = match which {
            0 => ("text", 0, vec![b"1\t123\\t45\t\\N\n".to_vec(), b"\\\\\t\\N\tx\n".to_vec(), b"a\tb\tc\n".to_vec()]),
            1 => ("csv header", 0, vec![b"a,b,c\n".to_vec(), b"1,\"x\"\"\n,\",\"\"\n".to_vec(), b",,\n".to_vec()]),
            2 => ("csv", 0, vec![b"1,\"x\"\"\n,\",\"\"\n".to_vec(), b"y,z,\n".to_vec()]),
            _ => ("binary", 1, vec![[SIGNATURE, &tuple(&[Some(b"a"), Some(b"bcd"), None])].concat(), tuple(&[None, Some(b""), Some(b"x")]), vec![0xff, 0xff]]),
        };
        let play = |cuts: &[usize]| {
            let mut talk = Talk::with(Limits::default());
            talk.grow = grow;
            talk.client(&query(&format!("copy secret to stdout {format}")));
            let mut next = cuts.iter().cycle();
            // The COPY is sent when its shape is known, so nothing of it comes with that.
            for answer in [shape(), [copy(code, &rows), ready(b'I')].concat()] {
                let mut rest = &answer[..];
                while !rest.is_empty() {
                    let (piece, more) = rest.split_at(next.next().map_or(rest.len(), |c| *c).min(rest.len()));
                    talk.database(piece);
                    rest = more;
                }
            }
            (talk.fault, talk.to_database.clone(), talk.to_client.clone())
        };
        let whole = play(&[]);
        prop_assert_eq!(whole.0, None);
        prop_assert_eq!(play(&cuts), whole);
    }

    #[test]
    fn hostile_copy_data_never_panics_and_never_shows(body in prop::collection::vec(prop::sample::select(&b"\t\\N\n\",ab\0\xff\x03PGCOPY\r"[..]), 0..60), which in 0usize..3, signed: bool) {
        let (format, code) = [("text", 0), ("csv", 0), ("binary", 1)][which];
        let mut talk = Talk::new();
        let body = if signed && code == 1 { [SIGNATURE, &body].concat() } else { body };
        run(&mut talk, &format!("copy secret to stdout {format}"), code, &[body]);
    }
}
