//! COPY TO STDOUT is masked like the SELECT of the same columns: row by row the same values, in every format, by every client.

use crate::typed::{self, TYPES, column};
use tests::{
    canary, clients,
    endpoint::Endpoint,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Frame, Wire, bind, describe, error, execute, flush, frame, parse, query, sync, tags},
};

/// Values of all rows of a statement, as text.
fn selected(wire: &mut Wire, sql: &str) -> Vec<Vec<Option<Vec<u8>>>> {
    let frames = wire.query(sql);
    assert!(error(&frames).is_none(), "{sql}: {:?}", error(&frames));
    frames.iter().filter(|f| f.tag == b'D').map(Frame::values).collect()
}

/// CopyData of a COPY, or the error's message.
fn copied(wire: &mut Wire, sql: &str) -> Result<Vec<Frame>, String> {
    let frames = wire.query(sql);
    match error(&frames) {
        Some(refused) => Err(refused.field(b'M').unwrap_or_default()),
        None => Ok(frames.into_iter().filter(|f| f.tag == b'd').collect()),
    }
}

/// Has the server read the data into a table of its own, as it would read anybody's, and gives the rows back.
fn read_back(direct: &mut Wire, types: &str, data: &[Frame], options: &str) -> Vec<Vec<Option<Vec<u8>>>> {
    // A token can be longer than a length limit.
    let made = direct.query(&format!(
        "drop table if exists back; create temp table back as {types} limit 0; \
         alter table back alter c_01 type varchar, alter c_02 type bpchar"
    ));
    assert!(error(&made).is_none(), "{:?}", error(&made));
    let mut bytes = query(&format!("copy back from stdin {options}"));
    data.iter().for_each(|f| bytes.extend(f.bytes()));
    bytes.extend(frame(b'c', b""));
    direct.send(&bytes);
    let frames = direct.until_ready(1);
    assert!(error(&frames).is_none(), "{options}: {:?}", error(&frames));
    selected(direct, "select * from back")
}

/// Options of COPY TO, and those with which COPY FROM reads the same.
const OPTIONS: &[(&str, &str)] = &[
    ("", ""),
    ("(format text, delimiter '|')", "(format text, delimiter '|')"),
    ("(format text, null '')", "(format text, null '')"),
    ("(format text, header true)", "(format text, header true)"),
    ("(format csv)", "(format csv)"),
    ("(format csv, header)", "(format csv, header)"),
    (
        "(format csv, delimiter ';', quote '''', escape '\\', null 'NULL')",
        "(format csv, delimiter ';', quote '''', escape '\\', null 'NULL')",
    ),
    ("(format csv, null 'a,b', delimiter '|')", "(format csv, null 'a,b', delimiter '|')"),
    ("(format csv, delimiter 'x', quote '*', header true)", "(format csv, delimiter 'x', quote '*', header true)"),
    ("(format csv, force_quote *)", "(format csv)"),
    ("(format csv, force_quote (c_00, c_27))", "(format csv)"),
    ("(format binary)", "(format binary)"),
    ("(encoding 'UTF8')", "(encoding 'UTF8')"),
    ("with csv header", "with csv header"),
    ("delimiter as '~'", "delimiter as '~'"),
];

#[test]
fn what_is_copied_is_what_is_selected_in_every_format() {
    let mut masked = Wire::login(&typed::gateway().endpoint("ana"));
    let mut direct = Wire::login(&typed::direct());
    // Types whose redacted values the server reads back as the same text.
    let columns: Vec<String> = (0..TYPES.len()).map(column).collect();
    for table in ["first2", "last4", "token", "year", "age", "word", "gone", "filled", "digits", "zero"] {
        let list = format!("id, {}, note", columns.join(", "));
        let rows = selected(&mut masked, &format!("select {list} from {table} order by id"));
        let raw = selected(&mut direct, &format!("select {list} from {table} order by id"));
        assert_ne!(rows, raw, "{table}");
        for (i, (options, reading)) in OPTIONS.iter().enumerate() {
            for source in [
                format!("(select {list} from {table} order by id)"),
                format!("{table} ({list})"),
                format!("(select * from {table} order by id)"),
                table.to_owned(),
            ] {
                // All sources with some options, all options with one source.
                if i % 5 != 0 && source.starts_with(table) {
                    continue;
                }
                let sql = format!("copy {source} to stdout {options}");
                let data = copied(&mut masked, &sql).unwrap_or_else(|refused| panic!("{sql}: {refused}"));
                let mut back = read_back(&mut direct, &format!("select * from {table}"), &data, reading);
                back.sort_by_key(|row| String::from_utf8(row[0].clone().unwrap()).unwrap().parse::<u32>().unwrap());
                let mut want = rows.clone();
                if options.contains("null ''") {
                    // An empty value and NULL are written alike: the server reads both as NULL, and so does everybody.
                    let empty = |v: &mut Option<Vec<u8>>| {
                        if v.as_deref() == Some(b"") {
                            *v = None;
                        }
                    };
                    want.iter_mut().flatten().for_each(empty);
                    for (row, raw) in want.iter_mut().zip(&raw) {
                        for (value, raw) in row.iter_mut().zip(raw) {
                            if raw.as_deref() == Some(b"") {
                                *value = None;
                            }
                        }
                    }
                }
                for (row, (got, want)) in back.iter().zip(&want).enumerate() {
                    for (column, (got, want)) in got.iter().zip(want).enumerate() {
                        let shown = |v: &Option<Vec<u8>>| v.as_ref().map(|v| String::from_utf8_lossy(v).into_owned());
                        let name = column.checked_sub(1).and_then(|c| TYPES.get(c)).map_or("", |(t, _)| t);
                        assert_eq!(shown(got), shown(want), "{sql}: row {row}, column {column} ({name})");
                    }
                }
                assert_eq!(back.len(), want.len(), "{sql}");
            }
        }
    }
}

#[test]
fn the_clinic_copied_shows_no_canary() {
    for user in ["ana", "agent"] {
        let mut wire = Wire::login(&Gateway::clinic().endpoint(user));
        for table in ["patients", "encounters", "notes"] {
            for options in ["", "(format csv, header)", "(format binary)"] {
                let list = if table == "patients" && user == "agent" {
                    "(select patient_id, mrn, dob, zip, phone, email, first_name from clinic.patients)".to_owned()
                } else {
                    format!("clinic.{table}")
                };
                let sql = format!("copy {list} to stdout {options}");
                let data = copied(&mut wire, &sql).unwrap_or_else(|refused| panic!("{user} {sql}: {refused}"));
                assert!(data.len() >= 240, "{sql}: {}", data.len());
                canary::assert_none(&sql, &tests::wire::bytes(&data));
            }
        }
    }
    let mut clear = Wire::login(&Gateway::clinic().endpoint("priya"));
    let mut direct = Wire::login(&Postgres::shared().endpoint("clinic", "gateway"));
    for options in ["", "(format csv, header)", "(format binary)"] {
        let sql = format!("copy clinic.patients to stdout {options}");
        let mut data = copied(&mut direct, &sql).unwrap();
        // A row that somebody writes meanwhile moves to the table's end: what counts is an answer between two of one kind.
        loop {
            let (passed, after) = (copied(&mut clear, &sql).unwrap(), copied(&mut direct, &sql).unwrap());
            if data == after {
                assert_eq!(passed, data, "who sees everything gets the server's bytes");
                break;
            }
            data = after;
        }
        assert!(options.contains("binary") || !canary::found(&tests::wire::bytes(&data)).is_empty());
    }
}

#[test]
fn a_copy_is_refused_where_its_select_is() {
    let mut wire = Wire::login(&Gateway::clinic().endpoint("ana"));
    let (mut refusals, queries) = (
        0,
        [
            "select upper(ssn) from clinic.patients",
            "select ssn || '' from clinic.patients",
            "select ssn::int from clinic.patients",
            "select max(ssn) from clinic.patients",
            "select p from clinic.patients p",
            "select patient_id from clinic.patients where ssn like '1%'",
            "select patient_id from clinic.patients order by ssn",
            "select ssn from clinic.patients union select mrn from clinic.patients",
            "select row_to_json(p) from clinic.patients p",
            "insert into clinic.departments select ssn, 1 from clinic.patients returning *",
        ],
    );
    for query in queries {
        let frames = wire.query(query);
        let selected = error(&frames).map(|e| e.field(b'D'));
        refusals += usize::from(selected.is_some());
        for options in ["", "(format csv)", "(format binary)"] {
            let frames = wire.query(&format!("copy ({query}) to stdout {options}"));
            assert_eq!(error(&frames).map(|e| e.field(b'D')), selected, "{query}");
            assert!(selected.is_none() || !tags(&frames).contains('d'), "{query}");
            canary::assert_none(query, &tests::wire::bytes(&frames));
        }
    }
    assert!(refusals >= 5, "{refusals} of {} are refused", queries.len());
    let mut agent = Wire::login(&Gateway::clinic().endpoint("agent"));
    for sql in ["copy clinic.patients to stdout", "copy clinic.patients (ssn) to stdout"] {
        let refused = copied(&mut agent, sql).expect_err("an agent may not name an SSN");
        assert!(refused.contains("TG"), "{refused}");
    }
    for (sql, code) in [
        // Whoever chooses the word for NULL would ask whose value it is.
        ("copy clinic.patients (ssn) to stdout (null '900-70-1007')", "TG2011"),
        ("copy clinic.patients (ssn) to stdout (encoding 'LATIN1')", "TG2011"),
        ("copy clinic.patients (ssn) to '/tmp/out'", "TG"),
        ("copy clinic.patients (ssn) to program 'cat'", "TG"),
        ("create temp table patients (ssn text); copy patients to stdout", "TG2011"),
        ("set search_path = clinic; copy patients to stdout", "TG2011"),
        ("rollback; copy clinic.patients to stdout", "TG2011"),
    ] {
        let refused = copied(&mut wire, sql).expect_err(sql);
        assert!(refused.contains(code), "{sql}: {refused}");
    }
}

#[test]
fn copies_in_one_text_with_others_and_in_pipelines_keep_their_own_plans() {
    let mut wire = Wire::login(&Gateway::clinic().endpoint("ana"));
    let frames = wire.query(
        "select ssn from clinic.patients where patient_id = 7; copy (select 'a', ssn from clinic.patients where patient_id = 7) to stdout; \
         copy clinic.departments to stdout; copy (select mrn, zip from clinic.patients where patient_id = 7) to stdout csv; select 1",
    );
    assert!(error(&frames).is_none(), "{:?}", error(&frames));
    assert_eq!(tags(&frames).replace('d', ""), "TDCHcCHcCHcCTDCZ");
    canary::assert_none("several statements", &tests::wire::bytes(&frames));
    let lines: Vec<&[u8]> = frames.iter().filter(|f| f.tag == b'd').map(|f| &f.body[..]).collect();
    assert!(lines[0].starts_with(b"a\t*******"), "{:?}", String::from_utf8_lossy(lines[0]));
    assert!(lines.last().unwrap().ends_with(b",430\n"), "{:?}", String::from_utf8_lossy(lines.last().unwrap()));

    // Extended: prepared once, run often, among other statements; the client's own statements stay.
    let copy = "copy (select patient_id, ssn, dob from clinic.patients order by 1) to stdout";
    wire.send(
        &[
            parse("", "select 'mine'"),
            parse("c", copy),
            parse("s", "select ssn from clinic.patients where patient_id = 7"),
            describe(b'S', "c"),
            sync(),
        ]
        .concat(),
    );
    assert_eq!(tags(&wire.until_ready(1)), "111tnZ");
    for _ in 0..3 {
        wire.send(
            &[
                bind("p", "c", &[], 0),
                bind("q", "s", &[], 0),
                execute("q", 0),
                execute("p", 0),
                bind("", "", &[], 0),
                execute("", 0),
                flush(),
                bind("p2", "c", &[], 1),
                execute("p2", 0),
                sync(),
            ]
            .concat(),
        );
        let frames = wire.until_ready(1);
        assert!(error(&frames).is_none(), "{:?}", error(&frames));
        assert_eq!(tags(&frames).replace('d', ""), "22DCHcC2DC2HcCZ");
        assert_eq!(frames.iter().filter(|f| f.tag == b'd').count(), 480);
        canary::assert_none("pipeline", &tests::wire::bytes(&frames));
    }

    // In a transaction, with errors in it and in the middle of the data.
    for (sql, state) in [
        ("copy nowhere to stdout", "42P01"),
        ("copy clinic.patients (nothing) to stdout", "42703"),
        ("copy (select 1/(3 - g), 'x' from generate_series(1, 5) g) to stdout", "22012"),
        ("select 1; copy nowhere to stdout", "42P01"),
    ] {
        let frames = wire.query(sql);
        assert_eq!(error(&frames).and_then(|e| e.field(b'C')).as_deref(), Some(state), "{sql}");
        assert_eq!(frames.last().map(|f| f.body.clone()), Some(b"I".to_vec()), "{sql}");
        assert!(error(&wire.query("begin")).is_none());
        assert_eq!(error(&wire.query(sql)).and_then(|e| e.field(b'C')).as_deref(), Some(state), "{sql}");
        let frames = wire.query("copy clinic.departments to stdout");
        assert_eq!(error(&frames).and_then(|e| e.field(b'C')).as_deref(), Some("25P02"), "the transaction is over");
        assert!(error(&wire.query("rollback")).is_none());
        wire.send(&[parse("", sql), bind("", "", &[], 0), execute("", 0), parse("n", "select 1"), sync()].concat());
        let frames = wire.until_ready(1);
        assert!(error(&frames).is_some(), "{sql}");
    }
    let frames = wire.query("begin; copy (select ssn from clinic.patients) to stdout; rollback");
    assert_eq!(tags(&frames).replace('d', ""), "CHcCCZ");
    canary::assert_none("in a transaction", &tests::wire::bytes(&frames));
}

#[test]
fn statements_that_name_their_query_in_odd_ways_are_found() {
    let mut wire = Wire::login(&Gateway::clinic().endpoint("ana"));
    for (sql, rows) in [
        ("COPY/* ( */(select ')' , ssn from clinic.patients limit 3)TO STDOUT", 3),
        ("  -- copy (\n copy (select $a$)$a$, \"ssn\" from clinic.patients limit 2 -- )\n) to stdout", 2),
        ("select 'é'; copy (with p as (select ssn from clinic.patients limit 4) select * from p) to stdout", 4),
        ("copy (values ('a'), ('b')) to stdout", 2),
        ("copy (table clinic.departments) to stdout", 8),
        ("copy binary clinic.departments to stdout", 9),
        ("copy \"clinic\".\"patients\" (\"ssn\", mrn) to stdout using delimiters ';' with null as ''", 240),
    ] {
        let data = copied(&mut wire, sql).unwrap_or_else(|refused| panic!("{sql}: {refused}"));
        if !sql.contains("departments") {
            assert_eq!(data.len(), rows, "{sql}");
        }
        canary::assert_none(sql, &tests::wire::bytes(&data));
    }
}

#[test]
fn a_copy_sends_what_was_described_or_nothing() {
    typed::gateway();
    let server = Postgres::shared();
    server.sql(
        "typed",
        "create table last4_made as select 1 as id, '123-45-6789'::text as c_00;
         alter table last4_made add c_gen text generated always as ('x' || c_00) stored, add note text default 'n';
         create table made_clear as select 1 as id; alter table made_clear add twice int generated always as (2 * id) stored;
         create table last4_family (id int, c_00 text); create table last4_child () inherits (last4_family);
         insert into last4_child values (1, '123-45-6789'); insert into last4_family values (2, '123-45-6789');
         grant select, insert on made_clear, last4_made, last4_family, last4_child to app;",
    );
    let gateway = Setup::new(&Bundle::compile(&[include_str!("copy_rules.yaml")], "typed", server), server).start();
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    // COPY of the table leaves generated columns out, so which is which cannot be told: refused, and the session goes on.
    let refused = copied(&mut wire, "copy last4_made to stdout").expect_err("a generated column");
    assert!(refused.contains("TG2011"), "{refused}");
    let text =
        |frames: Vec<Frame>| frames.iter().map(|f| String::from_utf8_lossy(&f.body).into_owned()).collect::<String>();
    let clear = copied(&mut wire, "copy made_clear to stdout").map(text);
    assert_eq!(clear.as_deref(), Ok("1\n"), "where nothing is protected it does not matter");
    let named = copied(&mut wire, "copy last4_made (note, id, c_00) to stdout").map(text);
    assert_eq!(named.as_deref(), Ok("n\t1\t*******6789\n"));
    // Only the table's own rows, as the server sends them.
    let own = copied(&mut wire, "copy last4_family to stdout").map(text);
    assert_eq!(own.as_deref(), Ok("2\t*******6789\n"));
    let all = copied(&mut wire, "copy (select * from last4_family order by id) to stdout csv").map(text);
    assert_eq!(all.as_deref(), Ok("1,*******6789\n2,*******6789\n"));
    // A temporary table of the same name, made and taken back around COPYs, and other schemas in front.
    for (sql, want) in [
        ("begin; create temp table last4_family (id int, c_00 text)", None),
        ("insert into last4_family values (3, 'mine')", None),
        ("copy last4_family to stdout", Some("3\t****\n3\tmine\n")),
        ("rollback", None),
        ("copy last4_family to stdout", Some("2\t*******6789\n")),
    ] {
        let frames = wire.query(sql);
        assert!(!String::from_utf8_lossy(&tests::wire::bytes(&frames)).contains("123-45-6789"), "{sql}");
        if let Some(want) = want {
            let data = text(frames.into_iter().filter(|f| f.tag == b'd').collect());
            assert!(data.is_empty() || want.contains(&data), "{sql}: {data}");
        }
    }
    // Whoever claims our statement's name gets an error, and nothing else.
    wire.send(&[parse("tidegate_copy_shape", "select 1"), sync()].concat());
    wire.until_ready(1);
    assert!(copied(&mut wire, "copy last4_family to stdout").is_err());
    wire.send(&[tests::wire::close(b'S', "tidegate_copy_shape"), sync()].concat());
    wire.until_ready(1);
    assert!(copied(&mut wire, "copy last4_family to stdout").is_ok());
}

#[test]
fn a_value_larger_than_memory_allows_is_copied_masked() {
    typed::gateway();
    let server = Postgres::shared();
    server.sql(
        "typed",
        "create table last4_large as select 1 as id, repeat('123-45-6789 ', 5000000) as c_00, repeat('x', 1000) as note, null::text as c_01;
         insert into last4_large values (2, repeat('9', 300000) || E'\\t\"\\\\end', 'n', 'sss');
         grant select on last4_large to app;",
    );
    let rules = include_str!("copy_rules.yaml");
    let gateway = Setup::new(&Bundle::compile(&[rules], "typed", server), server).start();
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    wire.patience(std::time::Duration::from_secs(120));
    for options in ["", "(format csv)", "(format csv, force_quote *)", "(format binary)"] {
        wire.send(&query(&format!("copy last4_large to stdout {options}")));
        let (mut bytes, mut digits, mut ended) = (0usize, 0usize, false);
        while let Some(frame) = wire.read() {
            assert_ne!(frame.tag, b'E', "{options}: {frame:?}");
            if frame.tag == b'd' {
                bytes += frame.body.len();
                digits += frame.body.iter().filter(|b| matches!(b, b'6' | b'9' | b's')).count();
            }
            if frame.tag == b'Z' {
                ended = true;
                break;
            }
        }
        assert!(ended && bytes > 60_000_000, "{options}: {bytes}");
        assert_eq!(digits, 0, "{options}: characters of values came out");
    }
    let memory = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let peak = memory.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    assert!(peak.parse::<u64>().unwrap() < 60_000, "peak memory {peak} kB");
}

#[test]
fn the_audit_record_of_a_copy_names_what_was_masked() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    copied(&mut wire, "copy (select patient_id, ssn, dob from clinic.patients) to stdout").unwrap();
    drop(wire);
    let masked = |records: &[serde_json::Value]| -> Vec<String> {
        let results = records.iter().filter_map(|r| r.get("masked").and_then(|m| m.as_array()));
        results.flatten().map(|m| format!("{} {} {}", m["column"], m["class"], m["method"]).replace('"', "")).collect()
    };
    wait_until("the record is written", PATIENCE, || !masked(&gateway.records()).is_empty());
    let found = masked(&gateway.records());
    assert!(found.iter().any(|m| m.starts_with("ssn ssn keep-last")), "{found:?}");
    assert!(found.iter().any(|m| m.starts_with("dob") && m.ends_with("year")), "{found:?}");
}

/// Each client's own way to copy: what it prints must be what its SELECT prints.
#[test]
fn psql_python_and_java_copy_what_they_select() {
    let endpoint = Gateway::clinic().endpoint("ana");
    let direct = Postgres::shared().endpoint("clinic", "gateway");
    let psql = |endpoint: &Endpoint| {
        let list =
            "select patient_id, ssn, mrn, dob, phone, email, zip, state from clinic.patients order by patient_id";
        let script = format!(
            "\\copy ({list}) to stdout with (format csv)\n\\echo ----\n\\copy clinic.patients to stdout\n\\echo ----\n{list};\n"
        );
        clients::psql(endpoint, &["--csv", "-t", "-q", "-v", "ON_ERROR_STOP=1"], &script).success().text()
    };
    let (masked, clear) = (psql(&endpoint), psql(&direct));
    canary::assert_none("psql", masked.as_bytes());
    assert!(!canary::found(clear.as_bytes()).is_empty());
    let parts: Vec<&str> = masked.split("----\n").collect();
    assert_eq!(parts[0], parts[2], "COPY and SELECT");
    assert_eq!(parts[1].lines().count(), 240);
    for (what, masked, clear) in [
        (
            "psycopg and asyncpg",
            clients::python(&endpoint, "copies.py", &[]),
            clients::python(&direct, "copies.py", &[]),
        ),
        ("JDBC", clients::java(&endpoint, "Copies.java", &[]), clients::java(&direct, "Copies.java", &[])),
    ] {
        let (masked, clear) = (masked.success(), clear.success());
        for done in [&masked, &clear] {
            assert!(done.text().contains("same: 240 rows"), "{what}: {}", done.both());
        }
        canary::assert_none(what, masked.both().as_bytes());
        assert!(!canary::found(clear.text().as_bytes()).is_empty(), "{what}");
    }
}
