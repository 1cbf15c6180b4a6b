//! B: paths through the protocol.

use crate::{
    Result,
    client::Client,
    way::{Forms, Talk, Variant, Way, frames, many, one, way},
};
use tests::wire::{bind, close, describe, execute, flush, frame, parse, parse_typed, query, sync, zero};

pub(super) fn ways() -> Vec<Way> {
    vec![
        way("B1", "Parse, Bind, Execute without Describe", vec![
            frames("no Describe", |talk| run(talk, "select {c} || '' from {t}")),
            frames("no Describe, plain column", |talk| run(talk, "select {c} from {t}")),
            frames("no Describe, star", |talk| run(talk, "select *, {c} || '' from {t}")),
            frames("statement described, other portal run", |talk| {
                let (harmless, secret) = (talk.fill("select 'x'::text")?, talk.fill("select {c} || '' from {t}")?);
                talk.ask(&[
                    parse("a", &harmless), describe(b'S', "a"), parse("b", &secret), bind("", "b", &[], talk.format),
                    execute("", 0), sync(),
                ])
            }),
            frames("described after Bind of another", |talk| {
                let (harmless, secret) = (talk.fill("select 'x'::text")?, talk.fill("select {c} from {t}")?);
                talk.ask(&[
                    parse("a", &secret), parse("b", &harmless), bind("p", "a", &[], talk.format),
                    bind("q", "b", &[], talk.format), describe(b'P', "q"), execute("p", 0), sync(),
                ])
            }),
            frames("formats of their own for each column", |talk| {
                let secret = talk.fill("select {k}, {c} || '', {d} + 0 from {t}")?;
                let mut body = zero("");
                body.extend(zero(""));
                body.extend([0, 0, 0, 0, 0, 3, 0, 0, 0, 1]);
                body.extend([0, u8::from(talk.format == 1)]);
                talk.ask(&[parse("", &secret), frame(b'B', &body), execute("", 0), sync()])
            }),
        ]),
        way("B2", "prepared once, run often; portals; partial Execute; pipelines", vec![
            frames("run twice", |talk| {
                let secret = talk.fill("select {c} || '' from {t} where {k} > $1")?;
                let format = talk.format;
                let run = |from: &str| [bind("", "s", &[Some(from)], format), execute("", 0), sync()].concat();
                talk.ask(&[parse("s", &secret), describe(b'S', "s"), sync()])?;
                talk.ask(&[run("0")])?;
                talk.ask(&[run("100")])
            }),
            frames("partial Execute", |talk| {
                let secret = talk.fill("select {c} || '' from {t}")?;
                talk.ask(&[
                    query("begin"), parse("", &secret), bind("p", "", &[], talk.format), execute("p", 7), flush(),
                    execute("p", 7), execute("p", 0), sync(), query("rollback"),
                ])?;
                talk.ask_for(&[], 2)
            }),
            frames("interleaved portals", |talk| {
                let (harmless, secret) = (talk.fill("select n::text from generate_series(1, 50) n")?, talk.fill("select {c} from {t} order by {k}")?);
                let secret = secret.replacen("select ", "select '' || ", 1);
                talk.ask(&[
                    parse("a", &harmless), parse("b", &secret), bind("p", "a", &[], talk.format), describe(b'P', "p"),
                    bind("q", "b", &[], talk.format), execute("p", 3), execute("q", 3), execute("p", 3), execute("q", 0), sync(),
                ])
            }),
            frames("pipeline of many", |talk| {
                let mut all = Vec::new();
                for n in 0..40 {
                    let text = talk.fill(if n % 4 == 3 { "select {c} || '' from {t}" } else { "select 1" })?;
                    all.extend([parse("", &text), bind("", "", &[], talk.format), execute("", 0), sync()].concat());
                }
                talk.ask_for(&[all], 40)
            }),
            frames("pipeline without Sync between", |talk| {
                let (first, second) = (talk.fill("select 1")?, talk.fill("select {c} || '' from {t}")?);
                talk.ask(&[
                    parse("", &first), bind("", "", &[], 0), execute("", 0), parse("", &second),
                    bind("", "", &[], talk.format), execute("", 0), sync(),
                ])
            }),
            frames("simple query inside a pipeline", |talk| {
                let (first, second) = (talk.fill("select 1")?, talk.fill("select {c} || '' from {t}")?);
                talk.ask_for(&[parse("", &first), bind("", "", &[], talk.format), query(&second), execute("", 0), sync()], 2)
            }),
            frames("statement closed and parsed anew", |talk| {
                let (first, second) = (talk.fill("select 'x'::text")?, talk.fill("select '' || {c} from {t}")?);
                talk.ask(&[
                    parse("s", &first), describe(b'S', "s"), close(b'S', "s"), parse("s", &second),
                    bind("", "s", &[], talk.format), execute("", 0), sync(),
                ])
            }),
            frames("unnamed statement replaced under a portal", |talk| {
                let (first, second) = (talk.fill("select {c} || '' from {t}")?, talk.fill("select 'x'::text")?);
                talk.ask(&[
                    parse("", &first), bind("p", "", &[], talk.format), parse("", &second), bind("", "", &[], talk.format),
                    execute("", 0), execute("p", 0), sync(),
                ])
            }),
            frames("parameter as the column", |talk| {
                let secret = talk.fill("select $1::text || {c} from {t}")?;
                talk.ask(&[parse_typed("", &secret, &[25]), bind("", "", &[Some("")], talk.format), execute("", 0), sync()])
            }),
            frames("empty statement in front", |talk| {
                let secret = talk.fill("; select {c} || '' from {t}")?;
                talk.ask(&[query(&secret)])
            }),
        ]),
        way("B3", "PREPARE and EXECUTE in SQL", vec![
            many("PREPARE", &["prepare w as select {c} || '' from {t}", "execute w"]),
            many("PREPARE plain column", &["prepare w as select {c} from {t}", "execute w"]),
            many("PREPARE with parameters", &["prepare w(text) as select {c} || $1 from {t}", "execute w('')"]),
            many("PREPARE of an UPDATE", &["prepare w as update {t} set {k} = {k} where {k} < 4 returning {c} || ''", "execute w"]).wrapped(),
            many("EXECUTE into a table", &["prepare w as select {c} as x from {t}", "create temp table tt as execute w", "select x from tt"]).wrapped(),
            many("EXECUTE with a subquery parameter", &["prepare w(text) as select $1 || ''", "execute w((select {c} from {t} where {k} = 1))"]).silent("EXECUTE's parameters may not hold subqueries"),
            many("PREPARE again after DEALLOCATE", &["prepare w as select 'x'::text", "execute w", "deallocate w", "prepare w as select upper({c}) from {t}", "execute w"]),
            many("EXPLAIN EXECUTE", &["prepare w as select 1 from {t} where {c} = lower({m})", "explain execute w"]).silent("a plan shows columns, not values"),
            frames("prepared by protocol, run in SQL", |talk| {
                let secret = talk.fill("select {c} || '' from {t}")?;
                talk.ask(&[parse("w", &secret), sync()])?;
                talk.ask(&[parse("", "execute w"), bind("", "", &[], talk.format), execute("", 0), sync()])
            }),
            frames("prepared in SQL, run by protocol", |talk| {
                let secret = talk.fill("prepare w as select {c} || '' from {t}")?;
                talk.ask(&[query(&secret)])?;
                talk.ask(&[bind("", "w", &[], talk.format), execute("", 0), sync()])
            }),
        ]),
        way("B4", "several statements in one simple query", vec![
            one("second statement", "select 1; select {c} || '' from {t}").only(Forms::Simple),
            one("first statement", "select {c} || '' from {t}; select 1").only(Forms::Simple),
            one("between transactions", "begin; select {c} || '' from {t}; commit").only(Forms::Simple),
            one("after an empty one", ";;; select {c} || '' from {t}").only(Forms::Simple),
            one("same shape twice", "select 'x'::text; select {c} || '' from {t}; select 'y'::text").only(Forms::Simple),
            one("plain after harmless", "select 'x'::text as {c}; select {c} || '' as {c} from {t}").only(Forms::Simple),
            one("COPY between", "copy (select 1) to stdout; copy (select {c} || '' from {t}) to stdout; select 1").only(Forms::Simple),
        ]),
        way("B5", "cursors", vec![
            many("DECLARE and FETCH", &["declare c cursor for select {c} || '' from {t}", "fetch all from c"]).wrapped(),
            many("plain column", &["declare c cursor for select {c}, {d} from {t}", "fetch all from c"]).wrapped(),
            many("binary cursor", &["declare c binary cursor for select {d} + 0, {c} || '' from {t}", "fetch all from c"]).wrapped(),
            many("WITH HOLD", &["declare c cursor with hold for select {c} || '' from {t}", "fetch all from c", "close c"]),
            many("scroll and backwards", &["declare c scroll cursor for select {c} || '' from {t}", "move last in c", "fetch backward all from c"]).wrapped(),
            many("FETCH in steps", &["declare c cursor for select upper({c}) from {t}", "fetch 3 from c", "fetch next from c", "fetch relative 2 from c"]).wrapped(),
            many("refcursor of a function", &["select {lab}.f_cursor()", "fetch all from lab_cursor"]).wrapped(),
            many("cursor_to_xml", &["declare c cursor for select {c} from {t}", "select cursor_to_xml('c', 5, true, false, '')"]).wrapped(),
            many("UPDATE WHERE CURRENT OF", &["declare c cursor for select * from {t} where {k} = 3 for update", "fetch 1 from c", "update {t} set {k} = {k} where current of c returning {c} || ''"]).wrapped(),
            frames("cursor run as a portal", |talk| {
                let declare = talk.fill("declare c cursor for select {c} || '' from {t}")?;
                talk.ask_for(&[query("begin"), query(&declare)], 2)?;
                talk.ask(&[describe(b'P', "c"), execute("c", 0), sync()])
            }),
            frames("portal read by FETCH", |talk| {
                let secret = talk.fill("select {c} || '' from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[parse("", &secret), bind("c", "", &[], talk.format), sync()])?;
                talk.ask(&[query("fetch all from c")])
            }),
        ]),
        way("B6", "COPY TO STDOUT", vec![
            one("table", "copy {t} to stdout").only(Forms::Text),
            one("column", "copy {t} ({c}) to stdout with (format csv)").only(Forms::Text),
            one("query", "copy (select {c} from {t}) to stdout").only(Forms::Text),
            one("query of an expression", "copy (select {c} || '' from {t}) to stdout").only(Forms::Text),
            one("CSV with quotes everywhere", "copy (select {c}, {d} from {t}) to stdout with (format csv, header, force_quote *)").only(Forms::Text),
            one("binary", "copy {t} to stdout with (format binary)").only(Forms::Text),
            one("binary query", "copy (select {d} + 0, upper({c}) from {t}) to stdout with (format binary)").only(Forms::Text),
            one("other delimiter", "copy {t} ({c}, {k}) to stdout with (delimiter '|', null '')").only(Forms::Text),
            one("delimiter splits the value", "copy (select {c} from {t}) to stdout with (format csv, delimiter '-', quote '0')").only(Forms::Text).pieces(),
            one("other encoding", "copy (select {c} from {t}) to stdout with (encoding 'LATIN1')").only(Forms::Text),
            one("old syntax", "copy {t} ({c}) to stdout csv header").only(Forms::Text),
            one("old binary syntax", "copy binary {t} to stdout").only(Forms::Text),
            one("RETURNING", "copy (update {t} set {k} = {k} where {k} < 5 returning {c}) to stdout").only(Forms::Text).wrapped(),
            one("view", "copy (select * from {lab}.v_upper) to stdout").only(Forms::Text),
            one("partition", "copy {lab}.part_low to stdout").only(Forms::Text),
            one("notes", "copy (select {ft} || '' from {f}) to stdout").only(Forms::Text),
        ]),
        way("B7", "files and programs on the server", vec![
            one("COPY TO PROGRAM", "copy {t} to program 'cat >&2'").only(Forms::Text).privileged().silent("the program's output goes to the server's log"),
            file("COPY TO a file, read back", &["copy {t} to 'FILE'", "select pg_read_file('FILE')"]),
            file("COPY TO a file, read back as bytes", &["copy {t} to 'FILE'", "select pg_read_binary_file('FILE')"]),
            file("COPY TO a program, read back", &["copy {t} to program 'cat > FILE'", "select pg_read_file('FILE')"]),
            file("COPY FROM a program", &["create temp table tp (l text)", "copy {t} to 'FILE'", "copy tp from program 'cat FILE'", "select l from tp"]).wrapped(),
            file("file_fdw", &["copy {t} to 'FILE'", "create server tgf foreign data wrapper file_fdw", "create foreign table {lab}.ff (l text) server tgf options (filename 'FILE', delimiter '|')", "select l from {lab}.ff"]).wrapped(),
            file("lo_import and lo_get", &["copy {t} to 'FILE'", "select lo_import('FILE', 434343)", "select convert_from(lo_get(434343), 'UTF8')"]).wrapped(),
            file("lo_export, read back", &["select lo_export(424242, 'FILE')", "select pg_read_file('FILE')"]),
            many("pg_file_write", &["select pg_file_write('tidegate-bypass-probe', (select string_agg({c}, ',') from {t}), false)", "select pg_read_file('tidegate-bypass-probe')", "select pg_file_unlink('tidegate-bypass-probe')"]).privileged(),
            many("files of the table", &["checkpoint", "select encode(pg_read_binary_file(pg_relation_filepath('{t}')), 'escape')"]).privileged(),
            one("pg_ls_dir", "select pg_ls_dir('base')").privileged().silent("file names hold no values; the way in is what counts"),
        ]),
        way("B8", "FunctionCall", vec![
            frames("text of a column by a function of SQL", |talk| {
                let oid = look_up(talk, "{lab}.f_sql(bigint)")?;
                for key in 1..4_u64 {
                    talk.ask(&[call(oid, &[&key.to_be_bytes()], 1, talk.format)])?;
                }
                Ok(())
            }),
            frames("a statement as an argument", |talk| {
                let oid = look_up(talk, "query_to_xml(text, boolean, boolean, text)")?;
                let secret = talk.fill("select {c} from {t}")?;
                talk.ask(&[call(oid, &[secret.as_bytes(), b"t", b"f", b""], 0, 0)])
            }),
            frames("loread of a large object", |talk| {
                let oid = look_up(talk, "lo_get(oid)")?;
                talk.ask(&[call(oid, &[&424_242_u32.to_be_bytes()], 1, 1)])
            }),
        ]),
        way("B9", "large objects", vec![
            many("lo_from_bytea", &["select lo_from_bytea(434343, convert_to({c}, 'UTF8')) from {t} where {k} = 3", "select lo_get(434343)"]).wrapped(),
            many("lo_put", &["select lo_create(434343)", "select lo_put(434343, 0, (select string_agg({c}, ',') from {t})::bytea)", "select convert_from(lo_get(434343), 'UTF8')"]).wrapped(),
            many("loread", &["select lo_from_bytea(434343, (select string_agg({c}, ',') from {t})::bytea)", "select loread(lo_open(434343, 262144), 10000)"]).wrapped(),
            many("pg_largeobject", &["select lo_from_bytea(434343, (select string_agg({c}, ',') from {t})::bytea)", "select data from pg_largeobject where loid = 434343"]).wrapped().privileged(),
            one("one that is there", "select lo_get(424242)"),
            one("one that is there, as text", "select convert_from(lo_get(424242, 0, 4000), 'UTF8')"),
            many("the number itself", &["select lo_create(replace({c}, '-', '')::bigint::oid) from {t} where {k} < 5", "select oid from pg_largeobject_metadata"]).wrapped(),
        ]),
        way("B10", "replication", vec![
            frames("plain SQL in a replication session", |talk| {
                let secret = talk.fill("select {c} || '' from {t}")?;
                replication(talk, &secret)
            }).privileged().only(Forms::Once),
            frames("snapshot of a slot", |talk| replication(talk, "CREATE_REPLICATION_SLOT tg TEMPORARY LOGICAL test_decoding")).privileged().only(Forms::Once).silent("a slot alone gives no values"),
            many("logical changes", &[
                "select pg_create_logical_replication_slot('tg_bypass', 'test_decoding', true)",
                "set synchronous_commit = on", "update {t} set {k} = {k} where {k} < 5", "select data from pg_logical_slot_peek_changes('tg_bypass', null, null)",
                "select pg_drop_replication_slot('tg_bypass')",
            ]).privileged(),
            many("logical changes in binary", &[
                "select pg_create_logical_replication_slot('tg_bypass_b', 'pgoutput', true)",
                "set synchronous_commit = on", "update {t} set {k} = {k} where {k} < 5",
                "select data from pg_logical_slot_peek_binary_changes('tg_bypass_b', null, null, 'proto_version', '1', 'publication_names', 'lab_all')",
                "select pg_drop_replication_slot('tg_bypass_b')",
            ]).privileged(),
            many("write-ahead log", &[
                "create temp table lsn as select pg_current_wal_insert_lsn() l", "insert into {lab}.bounds select -{k}, {c} from {t} where {k} < 40 on conflict do nothing",
                "delete from {lab}.bounds where n < 0", "select pg_switch_wal()",
                "select b.* from lsn, pg_get_wal_records_info(l, pg_current_wal_flush_lsn()) b",
            ]).privileged().silent("descriptions of records hold no row data before version 16"),
        ]),
        way("B11", "TLS and GSS games", vec![
            frames("GSS first, then plain text", |talk| {
                use std::io::{Read, Write};
                let mut socket = std::net::TcpStream::connect((&*talk.login.host, talk.login.port)).map_err(|e| e.to_string())?;
                socket.set_read_timeout(Some(std::time::Duration::from_secs(2))).map_err(|e| e.to_string())?;
                let mut bytes = tests::wire::gss_request();
                bytes.extend(query(&talk.fill("select {c} from {t}")?));
                socket.write_all(&bytes).map_err(|e| e.to_string())?;
                let mut answer = Vec::new();
                let _ended = socket.take(1 << 20).read_to_end(&mut answer);
                talk.heard.push(tests::wire::Frame { tag: b'?', body: answer });
                Ok(())
            }).only(Forms::Once).silent("nothing is said before the login, by the server either"),
        ]),
        way("B12", "cancelling with keys", vec![
            frames("the key the login showed", |talk| {
                let key = talk.heard.iter().find(|frame| frame.tag == b'K').map(|frame| frame.body.clone()).unwrap_or_default();
                use std::io::Write;
                let mut socket = std::net::TcpStream::connect((&*talk.login.host, talk.login.port)).map_err(|e| e.to_string())?;
                socket.write_all(&tests::wire::cancel_request(&key)).map_err(|e| e.to_string())?;
                let slow = talk.fill("select count(*) from {t} a, {t} b, {t} c")?;
                talk.ask(&[query(&slow)])
            }).only(Forms::Once).silent("cancelling gives no values; what it may not do is hit another's statement"),
        ]),
        way("B13", "binary results", vec![
            frames("text", |talk| run(talk, "select {c} || '' from {t}")),
            frames("date", |talk| run(talk, "select {d} + 0 from {t}")),
            frames("date plain", |talk| run(talk, "select {d}, {d}::timestamp from {t}")),
            frames("array", |talk| run(talk, "select array[{c}], array[{d}] from {t}")),
            frames("composite", |talk| run(talk, "select row({c}, {d}) from {t}")),
            frames("jsonb", |talk| run(talk, "select to_jsonb(p) from {t} p")),
            frames("range", |talk| run(talk, "select daterange({d}, {d}, '[]') from {t}")),
            frames("numeric", |talk| run(talk, "select replace({c}, '-', '')::numeric from {t}")),
            frames("float8", |talk| run(talk, "select replace({c}, '-', '')::float8 from {t}")),
            frames("int8", |talk| run(talk, "select replace({c}, '-', '')::int8 from {t}")),
            frames("bytea", |talk| run(talk, "select {c}::bytea from {t}")),
            frames("char and name", |talk| run(talk, "select {c}::name, {c}::char(20) from {t}")),
            frames("citext", |talk| run(talk, "select {c}::citext from {t}")),
            frames("tsvector", |talk| run(talk, "select to_tsvector('simple', {m}) from {t}")),
            frames("xml", |talk| run(talk, "select xmlforest({c}) from {t}")),
            frames("hstore", |talk| run(talk, "select hstore('a', {c}) from {t}")),
            frames("whole row", |talk| run(talk, "select p from {t} p")),
        ]),
        way("B14", "large messages", vec![
            one("value in a large cell", "select repeat('x', 9000000) || {c} from {t} where {k} = 3"),
            one("large cell of many values", "select string_agg(repeat({c}, 2000), '') from {t}"),
            one("large cell in a COPY", "copy (select repeat('x', 9000000) || {c} from {t} where {k} = 3) to stdout").only(Forms::Text),
            frames("split into single bytes", |talk| {
                let secret = talk.fill("select {c} || '' from {t}")?;
                let all = [parse("", &secret), bind("", "", &[], talk.format), execute("", 0), sync()].concat();
                for byte in all.chunks(1) {
                    talk.client.send(byte)?;
                }
                talk.ask(&[])
            }),
            frames("large statement", |talk| {
                let padding = " ".repeat(3 << 20);
                let secret = talk.fill(&format!("select {padding} {{c}} || '' from {{t}}"))?;
                talk.ask(&[parse("", &secret), bind("", "", &[], talk.format), execute("", 0), sync()])
            }),
            frames("comment between", |talk| {
                let comment = "/*".repeat(2000) + &"*/".repeat(2000);
                let secret = talk.fill(&format!("select {comment} {{c}} || '' from {{t}}"))?;
                talk.ask(&[query(&secret)])
            }),
        ]),
    ]
}

/// Statements with a file on the server, which is removed again.
fn file(name: &'static str, statements: &[&str]) -> Variant {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    // Another run on the same machine has files of its own.
    let path = format!("/dev/shm/tidegate-bypass-{}-{plain}", std::process::id());
    let list: Vec<String> = statements.iter().map(|text| text.replace("FILE", &path)).collect();
    many(name, &list.iter().map(String::as_str).collect::<Vec<_>>())
        .privileged()
        .after(format!("copy (select 1) to program 'rm -f {path}'"))
}

fn run(talk: &mut Talk<'_>, template: &str) -> Result<()> {
    let statement = talk.fill(template)?;
    talk.ask(&[parse("", &statement), bind("", "", &[], talk.format), execute("", 0), sync()])
}

/// OID of a function, asked for in the same session: an attacker has no other.
fn look_up(talk: &mut Talk<'_>, signature: &str) -> Result<u32> {
    let signature = talk.fill(signature)?;
    let answer = talk.client.ask(&query(&format!("select '{signature}'::regprocedure::oid")))?;
    let row = answer.iter().find(|frame| frame.tag == b'D');
    let text = row.and_then(|row| crate::client::values(row).first().cloned().flatten().map(<[u8]>::to_vec));
    // Where the gateway does not say, the number is guessed: those of built-ins are the same everywhere.
    let known = if signature.starts_with("query_to_xml") { 2925 } else { 3458 };
    Ok(text.and_then(|text| String::from_utf8_lossy(&text).parse().ok()).unwrap_or(known))
}

fn call(function: u32, arguments: &[&[u8]], format: u16, result: u16) -> Vec<u8> {
    let mut body = function.to_be_bytes().to_vec();
    body.extend([&1_u16.to_be_bytes()[..], &format.to_be_bytes()].concat());
    body.extend((arguments.len() as u16).to_be_bytes());
    for argument in arguments {
        body.extend((argument.len() as u32).to_be_bytes());
        body.extend(*argument);
    }
    body.extend(result.to_be_bytes());
    frame(b'F', &body)
}

fn replication(talk: &mut Talk<'_>, statement: &str) -> Result<()> {
    match Client::login_with(talk.login, &[("replication", "database")]) {
        Ok(mut client) => {
            let answer = client.ask(&query(statement))?;
            talk.heard.extend(answer);
        }
        Err(crate::client::NoSession::Refused(frames)) => talk.heard.extend(frames),
        Err(crate::client::NoSession::Failed(why)) => return Err(why),
    }
    Ok(())
}
