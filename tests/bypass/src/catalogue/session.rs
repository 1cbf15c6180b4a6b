//! I and N: what a parser sees differently, state of the session, identity.

use crate::{
    client::{Client, NoSession},
    way::{Forms, Talk, Way, frames, many, one, way},
};
use tests::wire::{bind, describe, execute, parse, query, sync};

pub(super) fn ways() -> Vec<Way> {
    vec![
        way("I1", "standard_conforming_strings", vec![
            many("set off", &["set standard_conforming_strings = off", "select 'a\\' || upper({c}) from {t} --'"]).silent("the second statement is the literal itself when strings are standard, and unterminated when they are not"),
            many("one literal becomes two", &["set standard_conforming_strings = off", "select 'a\\', {c} || '' from {t} --'"]).silent("likewise"),
            many("code in what looks like a literal", &["set standard_conforming_strings = off", "select '\\' || upper({c}) from {t} where 1 = 1 or '' = '"]).silent("likewise"),
            many("code between literals", &["set standard_conforming_strings = off", "select '\\'' || {c} from {t} where '' <> '\\''"]),
            many("set by set_config", &["select set_config('standard_conforming_strings', 'off', false)", "select '\\'' || {c} from {t} where '' <> '\\''"]),
            many("set by SET LOCAL", &["set local standard_conforming_strings = off", "select '\\'' || {c} from {t} where '' <> '\\''"]).wrapped(),
            many("set by UPDATE", &["update pg_settings set setting = 'off' where name = 'standard_conforming_strings'", "select '\\'' || {c} from {t} where '' <> '\\''"]),
            many("backslash_quote", &["set backslash_quote = on", "select E'\\'' || {c} from {t} where '' <> E'\\''"]),
            many("the other way round", &["set standard_conforming_strings = on", "select '\\' || {c} from {t}"]),
            frames("off in the same message", |talk| {
                let secret = talk.fill("set standard_conforming_strings = off; select '\\'' || {c} from {t} where '' <> '\\''")?;
                talk.ask(&[query(&secret)])
            }).only(Forms::Once).silent("a message is read as a whole before the setting changes"),
            frames("off in a pipeline", |talk| {
                let secret = talk.fill("select '\\'' || {c} from {t} where '' <> '\\''")?;
                let set = "set standard_conforming_strings = off";
                talk.ask_for(&[query(set), parse("", &secret), bind("", "", &[], talk.format), execute("", 0), sync()], 2)
            }),
        ]),
        way("I2", "startup options, roles, resets", vec![
            frames("options at startup", |talk| started(talk, &[("options", "-c standard_conforming_strings=off")], "select '\\'' || {c} from {t} where '' <> '\\''")).only(Forms::Once),
            frames("search_path at startup", |talk| started(talk, &[("options", "-c search_path=lab,pg_catalog")], "select upper('3')")).only(Forms::Once),
            frames("search_path as a parameter", |talk| started(talk, &[("search_path", "lab,pg_catalog")], "select upper('3')")).only(Forms::Once),
            frames("client_min_messages at startup", |talk| started(talk, &[("options", "-c client_min_messages=debug5 -c debug_print_parse=on")], "select {c} || '' from {t} where {k} = 3")).only(Forms::Once),
            frames("role at startup", |talk| started(talk, &[("role", "operator")], "select {c} || '' from {t}")).only(Forms::Once).silent("the account is not a member of that role"),
            many("SET ROLE", &["set role operator", "select {c} || '' from {t}"]),
            many("SET ROLE, then what only it may do", &["set role admin", "select stavalues1::text from pg_statistic"]).privileged(),
            many("SET SESSION AUTHORIZATION", &["set session authorization gateway", "select {c} || '' from {t}"]).privileged(),
            many("RESET ALL", &["reset all", "select {c} || '' from {t}"]),
            many("DISCARD ALL", &["discard all", "select {c} || '' from {t}"]),
            many("DISCARD PLANS under a prepared statement", &["prepare dp as select {c} || '' from {t}", "discard plans", "execute dp"]),
            many("SET by name of role in a function", &["select set_config('role', 'admin', false)", "select stavalues1::text from pg_statistic"]).privileged(),
            many("row_security", &["set row_security = off", "select {c} || '' from {t}"]),
            many("transaction state", &["set transaction read only", "select {c} || '' from {t}"]).wrapped(),
        ]),
        way("I3", "search_path and pg_temp", vec![
            many("pg_temp first", &["create temp table patients as select {c} as x from {t}", "set search_path = pg_temp, {s}", "select x from patients"]).wrapped(),
            many("pg_catalog last", &["set search_path = {lab}, pg_catalog", "select length('5')"]),
            many("path by current schema", &["set schema '{s}'", "select {c} || '' from {n}"]),
            many("SET SCHEMA, plain", &["set schema '{s}'", "select {c} as x from {n}"]),
            many("path in quotes", &["set search_path to '{s}', \"$user\"", "select upper({c}) from {n}"]),
            many("path by a function's setting", &["create function pg_temp.f() returns setof text language sql set search_path = {s} as 'select {c} from {n}'", "select pg_temp.f()"]).wrapped(),
            many("temporary view hides a table", &["set search_path = {s}", "create temp view departments as select {c} as name from {t}", "select name from departments"]).wrapped(),
            many("savepoint brings the path back", &["begin", "set local search_path = {lab}", "savepoint a", "set local search_path = {s}", "rollback to a", "select upper('3')", "rollback"]).silent("upper is found in pg_catalog before a path that does not name it"),
            many("savepoint brings back a path with a shadow", &["begin", "set local search_path = {lab}, pg_catalog", "savepoint a", "set local search_path = {s}", "rollback to a", "select upper('3')", "rollback"]),
        ]),
        way("I5", "comments, quotes, names", vec![
            one("nested comment", "select /* a /* b */ c */ {c} || '' from {t}"),
            one("comment that looks like an end", "select /* ' */ {c} /* ' */ || '' from {t}"),
            one("line comment", "select -- '\n {c} || '' -- '\n from {t}"),
            one("line comment ended by a carriage return", "select 'x' -- \r || {c} \n from {t}").only(Forms::Simple),
            one("dollar quotes", "select $a$'$a$ || {c} || $$'$$ from {t}"),
            one("dollar quote in a name", "select {c} || $q$from$q$ from {t} as a$b$c"),
            one("escape string", "select E'\\'' || {c} || '' from {t}"),
            one("Unicode string", "select U&'\\0061' || {c} from {t}"),
            one("Unicode string with another escape", "select U&'!0061' uescape '!' || {c} from {t}"),
            one("Unicode name", "select U&\"s\\0073n\" || '' from {t}"),
            one("Unicode name with another escape", "select U&\"s!0073n\" uescape '!' || '' from {t}"),
            one("Unicode name of a table", "select {c} || '' from {s}.U&\"patient\\0073\""),
            one("upper-case names", "SELECT SSN || '' FROM CLINIC.PATIENTS"),
            one("mixed case, plain", "SELECT Ssn AS x FROM Clinic.Patients"),
            one("quoted names", "select \"ssn\" || '' from \"clinic\".\"patients\""),
            one("database in front", "select clinic.{t}.{c} || '' from clinic.{t}"),
            one("database in front, plain", "select clinic.{t}.{c} from clinic.{t}"),
            one("adjacent literals", "select 'a'\n'b' || {c} from {t}"),
            one("bit string beside", "select b'1', x'1F', {c} || '' from {t}"),
            one("national string", "select n'x' || {c} from {t}"),
            one("long alias cut to 63 bytes", &format!("select {0}.{{c}} || '' from {{t}} as {0}{1}", "a".repeat(63), "b".repeat(20))),
            one("long alias cut, two of them", &format!("select {0}x.{{c}} || '' from {{o}} as d, {{t}} as {0}y", "a".repeat(63))),
            one("long CTE name cut", &format!("with {0}tail as (select {{c}} as v from {{t}}) select v || '' from {0}other", "q".repeat(63))),
            one("long column alias cut", &format!("select {0}x || '' from (select {{c}} as {0}y from {{t}}) q", "z".repeat(63))),
            one("byte-order mark", "\u{feff}select {c} || '' from {t}").silent("the server takes the mark for a part of a name"),
            one("no-break spaces", "select\u{a0}{c} || '' from {t}").silent("the server takes the space for a part of a name"),
            one("form feeds", "select\u{c}{c}\u{c}|| '' from {t}"),
            one("no spaces", "select(({c}))||''from {t}"),
            one("operator that hides a comment", "select {c} ||/**/'' from {t}"),
            one("parentheses", &format!("select {}{{c}} || ''{} from {{t}}", "(".repeat(300), ")".repeat(300))),
            one("positional parameters in quotes", "select {c} || '$1' from {t}"),
            one("star with comments", "select/**/upper({c}),/**/*/**/from/**/{t}"),
            one("TABLE in a subquery", "select upper({c}) from (table {t}) q"),
            one("alias without AS that is a keyword", "select {c} || '' value from {t}"),
            one("type before a literal", "select text 'x' || {c} from {t}"),
            one("array subscripts and casts", "select ((array[{c}])[1])::text || '' from {t}"),
            one("attribute notation", "select p.{c}.text from {t} p").silent("only composite values have attributes"),
            one("attribute notation of a row", "select (p).upper from (select {c} as upper from {t}) p").only(Forms::Text),
            one("function notation of an alias", "select upper(p.z) from (select {c} as z from {t}) p"),
            one("EXTRACT, POSITION, OVERLAY syntax", "select overlay({c} placing '' from 1 for 0), trim(both 'x' from {c}) from {t}"),
            one("operator precedence", "select not false and true, {c} || '' from {t}"),
            one("IS JSON-like words as names", "select json.{c} || '' from {t} as json"),
            one("JOIN without condition words", "select p.{c} || '' from {o} inner join {t} p on true limit 30"),
            one("zero bytes cut", "select {c} || '' from {t}\n\n\n"),
        ]),
        way("I6", "types that run code", vec![
            many("domain with a check that tells", &["select {c}::{lab}.telling from {t}"]),
            many("own domain", &["create domain {lab}.own as text check (set_config('application_name', value, false) is not null)", "select {c}::{lab}.own from {t} where {k} < 9"]).wrapped(),
            many("own domain as a parameter's type", &["create domain {lab}.own as text check ({lab}.f_warning(value))", "prepare od({lab}.own) as select 1", "select 1 from {t} where ({c}::{lab}.own) is not null"]).wrapped(),
            many("domain in a column", &["create temp table dc (v {lab}.telling)", "insert into dc select {c} from {t}"]).wrapped(),
            many("domain through json_populate_record", &["create temp table dj (ssn {lab}.telling)", "select json_populate_record(null::dj, row_to_json(p)) from {t} p"]).wrapped(),
            many("domain through xmltable", &["select x.v from {t} p, xmltable('/a' passing xmlelement(name a, p.{c}) columns v {lab}.telling path '.') x"]),
        ]),
        way("I8", "what a name means changes between decision and run", vec![
            frames("cursor for cursor", |talk| {
                swapped(talk, "declare c cursor for select 'x'::text", "fetch all from c", "close c", "declare c cursor for select {c} from {t}")
            }),
            frames("cursor of an expression", |talk| {
                swapped(talk, "declare c cursor for select 'x'::text", "fetch all from c", "close c", "declare c cursor for select upper({c}) from {t}")
            }),
            frames("statement for statement", |talk| {
                swapped(talk, "prepare q as select 'x'::text", "execute q", "deallocate q", "prepare q as select {c} from {t}")
            }),
            frames("temporary table for table", |talk| {
                swapped(talk, "create temp table swapped (v text)", "select v from swapped", "drop table swapped", "create temp table swapped as select {c} as v from {t}")
            }),
            frames("temporary view for view", |talk| {
                swapped(talk, "create temp view swapped as select 'x'::text as v", "select v from swapped", "drop view swapped", "create temp view swapped as select {c} as v from {t}")
            }),
            frames("path under a prepared statement", |talk| {
                let steps = ["set search_path = pg_temp", "create temp table patients (ssn text)"];
                for step in steps {
                    let text = talk.fill(step)?;
                    talk.ask(&[query(&text)])?;
                }
                talk.ask(&[parse("s", "select ssn || '' from patients"), describe(b'S', "s"), sync()])?;
                let path = talk.fill("set search_path = {s}, pg_temp")?;
                talk.ask(&[query(&path)])?;
                talk.ask(&[bind("", "s", &[], talk.format), execute("", 0), sync()])
            }),
            frames("path under a prepared plain column", |talk| {
                let steps = ["set search_path = pg_temp", "create temp table patients (ssn text)"];
                for step in steps {
                    let text = talk.fill(step)?;
                    talk.ask(&[query(&text)])?;
                }
                talk.ask(&[parse("s", "select ssn as harmless from patients"), describe(b'S', "s"), sync()])?;
                let path = talk.fill("set search_path = {s}, pg_temp")?;
                let run = [bind("", "s", &[], talk.format), execute("", 0), sync()].concat();
                talk.ask_for(&[query(&path), run], 2)
            }),
            frames("DDL of another session between Parse and Execute", |talk| {
                let mut other = Client::login(talk.login).map_err(|error| error.to_string())?;
                let made = other.ask(&query(&talk.fill("create table {lab}.raced (v text)")?))?;
                let parsed = talk.fill("select v from {lab}.raced")?;
                talk.ask(&[parse("s", &parsed), describe(b'S', "s"), sync()])?;
                let filled = other.ask(&query(&talk.fill("insert into {lab}.raced select {c} from {t}")?))?;
                let run = [bind("", "s", &[], talk.format), execute("", 0), sync()].concat();
                let ended = talk.ask(&[run]);
                let gone = other.ask(&query(&talk.fill("drop table {lab}.raced")?))?;
                drop((made, filled, gone));
                ended
            }),
        ]),
        way("N1", "another database or role by the same account", vec![
            frames("another role at login", |talk| started(talk, &[("session_authorization", "operator")], "select {c} || '' from {t}")).only(Forms::Once).silent("the account may not become another"),
            many("SET LOCAL ROLE", &["begin", "set local role gateway", "select {c} || '' from {t}", "rollback"]),
            many("the server's name for the login", &["select current_user, session_user, {c} || '' from {t}"]),
        ]),
        way("N2", "left in a pooled connection by another", vec![
            frames("temporary table of another session", |talk| {
                let mut other = Client::login(talk.login).map_err(|error| error.to_string())?;
                let answer = other.ask(&query(&talk.fill("create temp table left_behind as select {c} as v from {t}")?))?;
                drop((answer, other));
                talk.ask(&[query("select v from left_behind")])
            }).only(Forms::Once).silent("sessions of the server itself share nothing"),
            frames("setting of another session", |talk| {
                let mut other = Client::login(talk.login).map_err(|error| error.to_string())?;
                let answer = other.ask(&query(&talk.fill("select set_config('x.y', {c}, false) from {t}")?))?;
                drop((answer, other));
                talk.ask(&[query("select current_setting('x.y', true)")])
            }).only(Forms::Once).silent("sessions of the server itself share nothing"),
            frames("prepared statement of another session", |talk| {
                let mut other = Client::login(talk.login).map_err(|error| error.to_string())?;
                let answer = other.ask(&query(&talk.fill("prepare left_behind as select {c} || '' from {t}")?))?;
                drop((answer, other));
                talk.ask(&[query("execute left_behind")])
            }).only(Forms::Once).silent("sessions of the server itself share nothing"),
        ]),
    ]
}

fn started(talk: &mut Talk<'_>, extra: &[(&str, &str)], template: &str) -> crate::Result<()> {
    let statement = talk.fill(template)?;
    match Client::login_with(talk.login, extra) {
        Ok(mut client) => {
            talk.heard.append(&mut client.greeting);
            let answer = client.ask(&query(&statement))?;
            talk.heard.extend(answer);
        }
        Err(NoSession::Refused(frames)) => talk.heard.extend(frames),
        Err(NoSession::Failed(why)) => return Err(why),
    }
    Ok(())
}

/// Makes a name, has a statement on it parsed, puts something else behind the name, runs the statement.
fn swapped(talk: &mut Talk<'_>, make: &str, read: &str, drop: &str, remake: &str) -> crate::Result<()> {
    let remake = talk.fill(remake)?;
    talk.ask(&[query("begin")])?;
    talk.ask(&[query(make)])?;
    talk.ask(&[parse("s", read), describe(b'S', "s"), sync()])?;
    talk.ask(&[query(drop)])?;
    talk.ask(&[query(&remake)])?;
    talk.ask(&[bind("", "s", &[], talk.format), execute("", 0), sync()])?;
    talk.ask(&[query("rollback")])
}
