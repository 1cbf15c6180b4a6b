//! More variants of the rows: what an attacker tries once the plain ways are shut. Names that mean something else after an
//! error or a rollback, code behind harmless objects, expressions in odd places, encodings that move quotes.

use crate::{
    Result,
    client::Client,
    way::{Forms, Talk, Variant, Way, frames, many, one},
};
use tests::wire::{bind, close, describe, execute, frame, parse, parse_typed, query, sync};

/// Adds them to their rows.
pub(super) fn extend(ways: &mut [Way]) {
    let mut add = |id: &str, variants: Vec<Variant>| {
        if let Some(way) = ways.iter_mut().find(|way| way.id == id) {
            way.variants.extend(variants);
        }
    };
    add(
        "A1",
        vec![
            one("notes plain", "select {ft} from {f}"),
            one("notes plain under another name", "select n.x from {f} n(a, b, c, d, e, x)"),
            one("some columns renamed", "select q.two || '' from (select {k}, {c}, {m} from {t}) q(one, two)"),
        ],
    );
    add(
        "A4",
        vec![
            one("function over an aggregated subquery", "select * from unnest((select array_agg({c}) from {t})) u"),
            one(
                "split of an aggregated subquery",
                "select * from regexp_split_to_table((select string_agg({c}, ',') from {t}), ',') s",
            ),
            one(
                "elements of an aggregated subquery",
                "select * from json_array_elements_text((select json_agg({c}) from {t})) e",
            ),
            one(
                "record of a subquery",
                "select * from json_to_record((select json_build_object('a', {c}) from {t} limit 1)) as x(a text)",
            ),
            one(
                "default of xmltable",
                "select x.v from xmltable('/a' passing '<a/>' columns v text path 'b' default (select string_agg({c}, ',') from {t})) x",
            ),
            one(
                "path of xmltable",
                "select x.v from {t} p, xmltable('/a' passing '<a/>' columns v text path ('\"' || p.{c} || '\"')) x",
            ),
            one("ONLY", "select {c} || '' from only {t}"),
            one("star after the table", "select {c} || '' from {t} *"),
            one(
                "subquery in WITHIN GROUP",
                "select percentile_disc(0.5) within group (order by (select {c} from {t} q where q.{k} = p.{k})) from {t} p",
            ),
            one("subquery in an array bound", "select (array['a', 'b'])[1] || (select {c} from {t} where {k} = 3)"),
            one(
                "join alias with all columns",
                "select j.b || '' from ((select {k} a from {t}) x join (select {k} a, {c} b from {t}) y using (a)) as j",
            ),
        ],
    );
    add(
        "A7",
        vec![
            one("unaliased table as a row", "select {n} from {t}"),
            one("unaliased table as text", "select {n}::text from {t}"),
            one("unaliased table's field", "select ({n}).{c} || '' from {t}"),
            one("unaliased table's star in a row", "select row({n}.*)::text from {t}"),
            one("star as a row of a comparison", "select max(row({n}.*)::text) from {t}"),
            one("row in coalesce of text", "select coalesce({n}::text, '') from {t}"),
            one("CTE's name as a row", "with q as (select {k}, {c} from {t}) select to_json(q) from q"),
            one("join's alias as a row", "select to_json(j) from ({t} a join (select 1 one) b on true) as j"),
            one("row in an array", "select array[{n}] from {t}"),
            one(
                "row unpacked by a function of its type",
                "select (populate_record({n}, hstore('sex', 'x'))).{c} || '' from {t}",
            ),
            one("row compared with itself", "select {n} is distinct from null, {n} from {t}"),
        ],
    );
    add("A12", vec![
        one("UPDATE of a view", "update {lab}.v set k = k where k < 9 returning s || ''").wrapped(),
        one("UPDATE of a view, plain", "update {lab}.v set k = k where k < 9 returning s").wrapped(),
        one("DELETE from a view", "with d as (delete from {lab}.claims where claim_id < 9 returning *) select ssn || '' from d").wrapped(),
        one("UPDATE of a row list by ROW", "update {o} set ({oc}, {on}) = row((select {c} from {t} where {k} = 3), 1) returning {oc}").wrapped(),
        one("INSERT TABLE", "insert into {t} table {t} returning {c}").wrapped().silent("the key exists already"),
        many("array element set", &["create temp table ae (v text[])", "insert into ae values ('{}')", "update ae set v[1] = (select {c} from {t} where {k} = 3) returning v"]).wrapped(),
        many("ON CONFLICT with a condition", &["insert into {lab}.bounds values (1, 'x')", "insert into {lab}.bounds values (1, 'y') on conflict (n) do update set v = 'z' where (select {c}::int from {t} where {k} = 3) = 1"]).wrapped(),
    ]);
    add(
        "B2",
        vec![
            frames("query after a refused Parse, before its Sync", |talk| {
                let (refused, secret) =
                    (talk.fill("select upper({c}) from {t}")?, talk.fill("select {c} || '' from {t}")?);
                talk.ask(&[
                    parse("", &refused),
                    bind("", "", &[], talk.format),
                    execute("", 0),
                    query(&secret),
                    sync(),
                ])?;
                talk.ask(&[query("select 1")])
            }),
            frames("name taken already", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[parse("s", &secret), sync()])?;
                talk.ask(&[parse("s", "select 'x'::text as x"), sync()])?;
                talk.ask(&[bind("", "s", &[], talk.format), execute("", 0), sync()])
            }),
            frames("name taken already, in one write", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                let first = [parse("s", &secret), sync()].concat();
                let second = [parse("s", "select 'x'::text as x"), sync()].concat();
                let run = [bind("", "s", &[], talk.format), execute("", 0), sync()].concat();
                talk.ask_for(&[first, second, run], 3)
            }),
            frames("portal taken already", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask_for(&[query("begin"), query("savepoint a")], 2)?;
                talk.ask(&[
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("p", "s", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[bind("p", "h", &[], talk.format), sync()])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[execute("p", 0), sync()])
            }),
            frames("portal taken already, in one write", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask_for(&[query("begin"), query("savepoint a")], 2)?;
                let bound = [
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("p", "s", &[], talk.format),
                    sync(),
                ]
                .concat();
                let again = [bind("p", "h", &[], talk.format), sync()].concat();
                let run = [execute("p", 0), sync()].concat();
                talk.ask_for(&[bound, query("savepoint b"), again, query("rollback to b"), run], 5)
            }),
            frames("unnamed portal bound again with too many parameters", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("", "s", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[
                    parse("s2", &secret),
                    bind("", "s2", &[], talk.format),
                    bind("", "h", &[Some("1")], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[execute("", 0), sync()])
            })
            .silent("the portal does not outlive the statements of the savepoint"),
            frames("portal bound again with too many parameters", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("p", "s", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[bind("p", "h", &[Some("1")], talk.format), sync()])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[execute("p", 0), sync()])
            }),
            frames("portal bound again in a part that is skipped", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("p", "s", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[
                    execute("nowhere", 0),
                    close(b'P', "p"),
                    bind("p", "h", &[], talk.format),
                    describe(b'P', "p"),
                    sync(),
                ])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[execute("p", 0), sync()])
            }),
            frames("portal bound again after an error of the server", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("p", "s", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[
                    parse("", "select 1/0"),
                    bind("", "", &[], 0),
                    execute("", 0),
                    close(b'P', "p"),
                    bind("p", "h", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[execute("p", 0), sync()])
            }),
            frames("statement parsed again after an error of the server", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[parse("s", &secret), sync()])?;
                talk.ask(&[
                    parse("", "select 1/0"),
                    bind("", "", &[], 0),
                    execute("", 0),
                    close(b'S', "s"),
                    parse("s", "select 'x'::text as x"),
                    describe(b'S', "s"),
                    sync(),
                ])?;
                talk.ask(&[bind("", "s", &[], talk.format), execute("", 0), sync()])
            }),
            frames("statement parsed again after an error, in one write", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                let first = [parse("s", &secret), sync()].concat();
                let broken = [
                    parse("", "select 1/0"),
                    bind("", "", &[], 0),
                    execute("", 0),
                    close(b'S', "s"),
                    parse("s", "select 'x'::text as x"),
                    describe(b'S', "s"),
                    sync(),
                ]
                .concat();
                let run = [bind("", "s", &[], talk.format), execute("", 0), sync()].concat();
                talk.ask_for(&[first, broken, run], 3)
            }),
            frames("statement parsed again after a refusal", |talk| {
                let (secret, refused) =
                    (talk.fill("select {c} as x from {t}")?, talk.fill("select upper({c}) from {t}")?);
                talk.ask(&[parse("s", &secret), sync()])?;
                talk.ask(&[
                    parse("", &refused),
                    close(b'S', "s"),
                    parse("s", "select 'x'::text as x"),
                    describe(b'S', "s"),
                    sync(),
                ])?;
                talk.ask(&[bind("", "s", &[], talk.format), execute("", 0), sync()])
            })
            .silent("nothing is refused there, and so the statement is another"),
            frames("portal and cursor of one name", |talk| {
                let declare = talk.fill("declare p cursor for select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[query(&declare)])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[parse("h", "select 'x'::text as x"), sync()])?;
                talk.ask(&[bind("p", "h", &[], talk.format), sync()])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[query("fetch 5 from p")])?;
                talk.ask(&[execute("p", 0), sync()])
            }),
            frames("portal bound in a savepoint, gone, bound again", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[parse("s", &secret), parse("h", "select 'x'::text as x"), sync()])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[bind("p", "h", &[], talk.format), describe(b'P', "p"), sync()])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[bind("p", "s", &[], talk.format), execute("p", 0), sync()])
            }),
            frames("path set and used in one pipeline", |talk| {
                let (path, secret) = (talk.fill("set search_path = {s}")?, talk.fill("select {c} || '' from {n}")?);
                talk.ask(&[
                    parse("", &path),
                    bind("", "", &[], 0),
                    execute("", 0),
                    parse("", &secret),
                    bind("", "", &[], talk.format),
                    execute("", 0),
                    sync(),
                ])
            }),
            frames("path set and used plainly in one pipeline", |talk| {
                let (path, secret) = (talk.fill("set search_path = {s}")?, talk.fill("select {c} as x from {n}")?);
                talk.ask(&[
                    parse("", &path),
                    bind("", "", &[], 0),
                    execute("", 0),
                    parse("", &secret),
                    bind("", "", &[], talk.format),
                    execute("", 0),
                    sync(),
                ])
            }),
            frames("parameter's type chooses a function", |talk| {
                talk.ask(&[
                    parse_typed("", "select initcap($1)", &[1043]),
                    bind("", "", &[Some("3")], talk.format),
                    execute("", 0),
                    sync(),
                ])
            }),
        ],
    );
    add(
        "B3",
        vec![
            many(
                "PREPARE of a copy",
                &[
                    "create temp table pc (v text)",
                    "prepare w as insert into pc select {c} from {t}",
                    "execute w",
                    "select v from pc",
                ],
            )
            .wrapped(),
            many(
                "PREPARE of an UPDATE that moves the value",
                &[
                    "create temp table pu (v text)",
                    "insert into pu values ('')",
                    "prepare w as update pu set v = (select string_agg({c}, ',') from {t})",
                    "execute w",
                    "select v from pu",
                ],
            )
            .wrapped(),
            many(
                "EXECUTE into a table, unlogged",
                &[
                    "prepare w as select {c} as x from {t}",
                    "create unlogged table {lab}.tt as execute w",
                    "select x from {lab}.tt",
                ],
            )
            .wrapped(),
            many(
                "EXECUTE into a table with names",
                &[
                    "prepare w(bigint) as select {c} from {t} where {k} > $1",
                    "create temp table tt(y) as execute w(0)",
                    "select y || '' from tt",
                ],
            )
            .wrapped(),
            many(
                "EXPLAIN ANALYZE of EXECUTE into a table",
                &[
                    "prepare w as select {c} as x from {t}",
                    "explain analyze create temp table tt as execute w",
                    "select x from tt",
                ],
            )
            .wrapped(),
            many(
                "failed in front of a new one",
                &[
                    "prepare w as select {c} as x from {t}",
                    "select 1/0; deallocate w; prepare w as select 'x'::text as x",
                    "execute w",
                ],
            )
            .only(Forms::Simple),
            many(
                "cut off by an error in a block",
                &[
                    "prepare w as select {c} as x from {t}",
                    "begin; select 1/0; deallocate w; prepare w as select 'x'::text as x",
                    "rollback",
                    "execute w",
                ],
            )
            .only(Forms::Simple),
            many(
                "name taken already",
                &["prepare w as select {c} as x from {t}", "prepare w as select 'x'::text as x", "execute w"],
            ),
            many(
                "name taken, into a table",
                &[
                    "prepare w as select {c} as x from {t}",
                    "prepare w as select 'x'::text as x",
                    "create temp table tt as execute w",
                    "select x from tt",
                ],
            ),
            many(
                "prepared in a failed transaction",
                &[
                    "prepare w as select {c} as x from {t}",
                    "begin",
                    "select 1/0",
                    "deallocate w",
                    "prepare w as select 'x'::text as x",
                    "rollback",
                    "execute w",
                ],
            ),
            many(
                "deallocated in a transaction that is rolled back",
                &[
                    "prepare w as select {c} as x from {t}",
                    "begin",
                    "deallocate w",
                    "prepare w as select 'x'::text as x",
                    "rollback",
                    "execute w",
                ],
            )
            .silent("names of prepared statements do not roll back"),
            many(
                "folded and quoted names",
                &["prepare \"W\" as select 'x'::text", "prepare W as select {c} as x from {t}", "execute w"],
            ),
            many(
                "long names",
                &[
                    &format!("prepare {0}a as select {{c}} as x from {{t}}", "w".repeat(63)),
                    &format!("prepare {0}b as select 'x'::text", "w".repeat(63)),
                    &format!("execute {0}c", "w".repeat(63)),
                ],
            ),
            one(
                "failed in front, in one query",
                "prepare w as select {c} as x from {t}; select 1/0; deallocate w; prepare w as select 'x'::text",
            )
            .only(Forms::Simple)
            .silent("nothing is run"),
        ],
    );
    add(
        "B5",
        vec![
            many(
                "name taken already",
                &[
                    "declare c cursor for select {c} as x from {t}",
                    "savepoint b",
                    "declare c cursor for select 'x'::text as x",
                    "rollback to b",
                    "fetch all from c",
                ],
            )
            .wrapped(),
            many(
                "closed and declared after an error",
                &[
                    "declare c cursor for select {c} as x from {t}",
                    "savepoint b",
                    "select 1/0; close c; declare c cursor for select 'x'::text as x",
                    "rollback to b",
                    "fetch all from c",
                ],
            )
            .wrapped()
            .only(Forms::Simple),
            many(
                "declared anew in a failed block",
                &[
                    "declare c cursor for select {c} as x from {t}",
                    "savepoint b",
                    "select 1/0",
                    "close c",
                    "declare c cursor for select 'x'::text as x",
                    "rollback to b",
                    "fetch all from c",
                ],
            )
            .wrapped(),
            many(
                "held over the transaction, name taken",
                &[
                    "begin",
                    "declare c cursor with hold for select {c} as x from {t}",
                    "commit",
                    "begin",
                    "declare c cursor for select 'x'::text as x",
                    "rollback",
                    "fetch all from c",
                ],
            ),
            many(
                "folded names",
                &[
                    "declare \"C\" cursor for select 'x'::text as x",
                    "declare C cursor for select {c} as x from {t}",
                    "fetch all from c",
                ],
            )
            .wrapped(),
            many(
                "long names",
                &[
                    &format!("declare {0}a cursor for select {{c}} as x from {{t}}", "c".repeat(63)),
                    &format!("fetch all from {0}b", "c".repeat(63)),
                ],
            )
            .wrapped(),
        ],
    );
    add(
        "C1",
        vec![
            one("connection string", "select dblink_connect({c}) from {t}").privileged(),
            one("file name", "select pg_read_file({c}) from {t}").privileged(),
            one("folder name", "select pg_ls_dir({c}) from {t}").privileged(),
        ],
    );
    add("C1", CASTS.iter().map(|(name, text)| one(name, text)).collect());
    add(
        "C2",
        vec![
            one("unique index on a part", "create unique index on {t} (left({c}, 10))")
                .privileged()
                .wrapped()
                .silent("every value differs within ten characters"),
            one("unique index on the start", "create unique index on {t} ((left({c}, 3) || '-' || {u}))")
                .privileged()
                .wrapped()
                .silent("three characters are too few to be told"),
            one("type changed with a failing cast", "alter table {lab}.claims alter ssn type int using ssn::int")
                .privileged()
                .wrapped(),
        ],
    );
    add(
        "D1",
        vec![
            many(
                "default of an own table",
                &[
                    "create temp table od (n int, v text default {lab}.f_sql(3))",
                    "insert into od (n) values (1) returning v",
                ],
            )
            .wrapped(),
            many(
                "default of an own table, read later",
                &[
                    "create temp table od (n int, v text default {lab}.count_patients())",
                    "insert into od (n) values (1)",
                    "select v from od",
                ],
            )
            .wrapped(),
            many(
                "default of an own column",
                &[
                    "create temp table oc (n int)",
                    "insert into oc values (1)",
                    "alter table oc add v text default {lab}.count_patients()",
                    "select v from oc",
                ],
            )
            .wrapped(),
            many(
                "default copied by LIKE",
                &[
                    "create temp table ol (like {lab}.defaulted including defaults)",
                    "insert into ol (n) values (1) returning v",
                ],
            )
            .wrapped(),
            many(
                "default copied by LIKE ALL",
                &[
                    "create temp table ol (like {lab}.defaulted including all)",
                    "insert into ol (n) values (1)",
                    "table ol",
                ],
            )
            .wrapped(),
            many(
                "own view of a function",
                &["create temp view ov as select {lab}.count_patients() as v", "select v from ov"],
            )
            .wrapped(),
            many(
                "own table of a function",
                &["create temp table ot as select * from {lab}.f_all()", "select {c} || '' from ot"],
            )
            .wrapped(),
            many(
                "own table of a function, plain column",
                &["create temp table ot as select {c} as v from {lab}.f_all()", "select v from ot"],
            )
            .wrapped(),
            many(
                "own domain's default",
                &[
                    "create domain pg_temp.dd as text default {lab}.count_patients()",
                    "create temp table ot (n int, v pg_temp.dd)",
                    "insert into ot (n) values (1) returning v",
                ],
            )
            .wrapped(),
            many(
                "check of an own table that tells",
                &[
                    "create temp table ok (v text check ({lab}.f_warning({lab}.count_patients())))",
                    "insert into ok values ('x')",
                ],
            )
            .wrapped(),
            many(
                "expression of an own index that tells",
                &[
                    "create temp table oi (v text)",
                    "insert into oi values ('3')",
                    "create index on oi ({lab}.f_polymorphic(v))",
                ],
            )
            .wrapped()
            .silent("the function tells nothing"),
            many(
                "policy of an own table",
                &[
                    "create table {lab}.op (v text)",
                    "insert into {lab}.op values ('x')",
                    "create policy p on {lab}.op using ({lab}.f_warning({lab}.count_patients()))",
                    "alter table {lab}.op enable row level security",
                    "alter table {lab}.op force row level security",
                    "select v from {lab}.op",
                ],
            )
            .wrapped(),
        ],
    );
    add("D2", vec![
        many("default of an own table", &["create temp table od (n int, v text default query_to_xml('select {c} from {t}', true, false, '')::text)", "insert into od (n) values (1) returning v"]).wrapped(),
        many("default of an own table, read later", &["create temp table od (n int, v xml default table_to_xml('{t}', true, false, ''))", "insert into od (n) values (1)", "select v from od"]).wrapped(),
        many("own view", &["create temp view ov as select query_to_xml('select {c} from {t}', true, false, '')::text as v", "select v from ov"]).wrapped(),
        many("own table", &["create temp table ot as select query_to_xml('select {c} from {t}', true, false, '')::text as v", "select v from ot"]).wrapped(),
        one("in a DEFAULT of VALUES", "insert into {o} values (query_to_xml('select {c} from {t}', true, false, '')::text, 1) returning {oc}").wrapped(),
        one("in a condition that fails", "select 1 where query_to_xml('select {c}::int from {t}', true, false, '') is not null"),
    ]);
    add(
        "D5",
        vec![
            one("better match in public", "select initcap('3'::varchar)"),
            one("better match in public by a cast", "select initcap(cast(3 as varchar))"),
            one(
                "better match in public of a column",
                "select initcap(x) from (select n::varchar x from generate_series(1, 30) n) q",
            ),
            one("better match of an aggregate", "select max(n::varchar) from generate_series(3, 3) n")
                .silent("the built-in is kept: there is none in public"),
            one("better match of an operator", "select 3::bigint ## 4::bigint"),
            one("better match by a domain", "select btrim('4'::{lab}.telling)")
                .silent("the domain is its base type to a built-in"),
        ],
    );
    let hidden = [
        (
            "temporary table rolled back",
            "temporary table rolled back, plain column",
            vec!["begin", "create temp table {n} ({c} text)", "rollback"],
        ),
        (
            "temporary table of a savepoint",
            "temporary table of a savepoint, plain column",
            vec!["begin", "savepoint a", "create temp table {n} ({c} text)", "rollback to a", "commit"],
        ),
        (
            "temporary table gone at commit",
            "temporary table gone at commit, plain column",
            vec!["create temp table {n} ({c} text) on commit drop"],
        ),
        (
            "temporary table gone at commit of a block",
            "temporary table gone at commit of a block, plain column",
            vec!["begin", "create temp table {n} ({c} text) on commit drop", "commit"],
        ),
        (
            "temporary table that cannot be made",
            "temporary table that cannot be made, plain column",
            vec!["create temp table {n} ({c} no_such_type)"],
        ),
        (
            "temporary table in a failed transaction",
            "temporary table in a failed transaction, plain column",
            vec!["begin", "select 1/0", "create temp table {n} ({c} text)", "rollback"],
        ),
        (
            "temporary table dropped",
            "temporary table dropped, plain column",
            vec!["create temp table {n} ({c} text)", "drop table pg_temp.{n}"],
        ),
        (
            "temporary table renamed",
            "temporary table renamed, plain column",
            vec!["create temp table {n} ({c} text)", "alter table pg_temp.{n} rename to other"],
        ),
        (
            "temporary table discarded",
            "temporary table discarded, plain column",
            vec!["create temp table {n} ({c} text)", "discard temp"],
        ),
        (
            "temporary table, all discarded",
            "temporary table, all discarded, plain column",
            vec!["create temp table {n} ({c} text)", "discard all", "set search_path = {s}"],
        ),
        (
            "temporary view rolled back",
            "temporary view rolled back, plain column",
            vec!["begin", "create temp view {n} as select 'x'::text as {c}", "rollback"],
        ),
        (
            "temporary view dropped",
            "temporary view dropped, plain column",
            vec!["create temp view {n} as select 'x'::text as {c}", "drop view pg_temp.{n}"],
        ),
        (
            "path changed and rolled back",
            "path changed and rolled back, plain column",
            vec!["begin", "set search_path = pg_temp", "rollback"],
        ),
        (
            "path changed for a transaction",
            "path changed for a transaction, plain column",
            vec!["begin", "set local search_path = pg_temp", "commit"],
        ),
        (
            "path changed in a failed transaction",
            "path changed in a failed transaction, plain column",
            vec!["begin", "select 1/0", "set search_path = pg_temp", "rollback"],
        ),
        (
            "path that cannot be set",
            "path that cannot be set, plain column",
            vec!["select set_config('search_path', 'pg_temp,,x', false)"],
        ),
        (
            "path for a transaction, outside of one",
            "path for a transaction, outside of one, plain column",
            vec!["set local search_path = pg_temp"],
        ),
        (
            "path changed after a savepoint",
            "path changed after a savepoint, plain column",
            vec!["begin", "savepoint a", "set search_path = pg_temp", "rollback to a", "commit"],
        ),
        (
            "path reset and set again",
            "path reset and set again, plain column",
            vec!["reset search_path", "set search_path = nowhere, {s}"],
        ),
    ];
    let mut list = Vec::new();
    for (name, also, steps) in hidden {
        for (plain, read) in [(false, "select {c} || '' from {n}"), (true, "select {c} as x from {n}")] {
            let statements: Vec<&str> =
                ["set search_path = {s}"].into_iter().chain(steps.iter().copied()).chain([read]).collect();
            let variant = many(name, &statements);
            list.push(if plain { Variant { name: also, ..variant } } else { variant });
        }
    }
    add("E2", list);
    add(
        "E1",
        vec![
            many(
                "INSERT TABLE",
                &["create temp table it (like {t})", "insert into it table {t}", "select {c} || '' from it"],
            )
            .wrapped(),
            many(
                "inherited",
                &["create temp table ih () inherits ({t})", "insert into ih table {t}", "select {c} || '' from ih"],
            )
            .wrapped()
            .privileged(),
            many(
                "typed table",
                &["create temp table ty of {lab}.pair", "insert into ty select {k}, {c} from {t}", "select s from ty"],
            )
            .wrapped(),
            many(
                "view of a view",
                &[
                    "create temp view v1 as select {c} as a from {t}",
                    "create temp view v2 as select a as b from v1",
                    "select b from v2",
                ],
            )
            .wrapped(),
            many(
                "CTE in front of INSERT",
                &[
                    "create temp table ci (v text)",
                    "with q as (select {c} x from {t}) insert into ci select x from q",
                    "table ci",
                ],
            )
            .wrapped(),
            many(
                "CTE that inserts, beside",
                &[
                    "create temp table ci (v text)",
                    "with q as (insert into ci select {c} from {t}) select 1",
                    "table ci",
                ],
            )
            .wrapped(),
            many(
                "updated from a view",
                &[
                    "create temp table uv (n bigint, v text)",
                    "insert into uv values (3, '')",
                    "update uv set v = s from {lab}.v where k = n",
                    "select v from uv",
                ],
            )
            .wrapped(),
        ],
    );
    add(
        "G3",
        vec![
            one("named window", "select {k}, array_agg({c}) over w from {t} window w as (partition by {k})"),
            one(
                "window on a window",
                "select string_agg({c}, ',') over (w rows 2 preceding) from {t} window w as (order by {k})",
            ),
        ],
    );
    add("H2", moved_quotes());
    add(
        "B14",
        vec![
            frames("statement of 17 MB", |talk| {
                let padding = " ".repeat(17 << 20);
                let secret = talk.fill(&format!("select {padding} {{c}} || '' from {{t}}"))?;
                talk.ask(&[query(&secret)])
            })
            .only(Forms::Once),
            frames("thousands of columns", |talk| {
                let many = "1,".repeat(1_600);
                let secret = talk.fill(&format!("select {many} {{c}} || '' from {{t}}"))?;
                talk.ask(&[
                    parse("", &secret),
                    bind("", "", &[], talk.format),
                    describe(b'P', ""),
                    execute("", 0),
                    sync(),
                ])
            }),
        ],
    );
}

const CASTS: &[(&str, &str)] = &[
    ("cast to smallint", "select {c}::smallint from {t}"),
    ("cast to real", "select {c}::real from {t}"),
    ("cast to oid", "select ('x' || {c})::oid from {t}"),
    ("cast to pg_lsn", "select {c}::pg_lsn from {t}"),
    ("cast to tid", "select {c}::tid from {t}"),
    ("cast to macaddr", "select ('x' || {c})::macaddr from {t}"),
    ("cast to cidr", "select {c}::cidr from {t}"),
    ("cast to box", "select {c}::box from {t}"),
    ("cast to time", "select ('x' || {c})::time from {t}"),
    ("cast to timestamp", "select {c}::timestamp from {t}"),
    ("cast to regrole", "select ('\"' || {c} || '\"')::regrole from {t}"),
    ("cast to regnamespace", "select ('\"' || {c} || '\"')::regnamespace from {t}"),
    ("cast to regconfig", "select ('\"' || {c} || '\"')::regconfig from {t}"),
    ("cast to int4range", "select {c}::int4range from {t}"),
    ("cast to refcursor", "select {c}::refcursor from {t}"),
    ("cast to a composite", "select {c}::{o} from {t}"),
    ("cast to a row by text", "select ('(' || {c} || ',' || {c} || ')')::{o} from {t}"),
    ("cast to hstore and back", "select ('a=>\"' || {c} || '\"')::hstore::text from {t}"),
    ("name of a connection", "select dblink_disconnect({c}) from {t}"),
    ("sequence of a column", "select pg_get_serial_sequence('{t}', {c}) from {t}"),
    ("sequence of a table", "select pg_get_serial_sequence({c}, 'x') from {t}"),
    ("size of a relation", "select pg_relation_size({c}) from {t}"),
    ("size of a unit", "select pg_size_bytes('x' || {c}) from {t}"),
    ("language of a text search", "select ts_lexize(('\"' || {c} || '\"')::regdictionary, 'x') from {t}"),
    ("make_timestamptz", "select make_timestamptz(2000, 1, 1, 0, 0, 0, {c}) from {t}"),
    ("encryption's name", "select encrypt('x', 'y', {c}) from {t}"),
    ("digest's name", "select digest('x', {c}) from {t}"),
];

fn moved_quotes() -> Vec<Variant> {
    vec![
        frames("a character's second byte escapes a quote, at startup", |talk| {
            let client = Client::login_with(talk.login, &[("client_encoding", "SJIS")]);
            by_bytes(talk, client.ok(), None)
        })
        .only(Forms::Once),
        frames("a character's second byte escapes a quote, by SET", |talk| {
            let client = Client::login(talk.login);
            by_bytes(talk, client.ok(), Some("set client_encoding = 'SJIS'"))
        })
        .only(Forms::Once),
        frames("the same by SET NAMES", |talk| {
            let client = Client::login(talk.login);
            by_bytes(talk, client.ok(), Some("set names 'SJIS'"))
        })
        .only(Forms::Once),
        frames("the same by set_config", |talk| {
            let client = Client::login(talk.login);
            by_bytes(talk, client.ok(), Some("select set_config('client_encoding', 'SJIS', false)"))
        })
        .only(Forms::Once),
        frames("bytes that are no UTF-8", |talk| {
            let mut bytes = b"select '\xff', ".to_vec();
            bytes.extend(talk.fill("{c} || '' from {t}")?.into_bytes());
            bytes.push(0);
            talk.ask(&[frame(b'Q', &bytes)])
        })
        .only(Forms::Once)
        .silent("the server refuses them too"),
        frames("Latin-1 letters in names", |talk| {
            let Ok(mut client) = Client::login_with(talk.login, &[("client_encoding", "LATIN1")]) else {
                return Ok(());
            };
            let mut bytes = b"select ".to_vec();
            bytes.extend(talk.fill("{c} || '' as ")?.into_bytes());
            bytes.extend(b"\"\xe9\xff\" ");
            bytes.extend(talk.fill("from {t}")?.into_bytes());
            bytes.push(0);
            let answer = client.ask(&frame(b'Q', &bytes))?;
            talk.heard.extend(answer);
            Ok(())
        })
        .only(Forms::Once),
    ]
}

/// In SJIS the second byte of a letter may be a backslash: who reads bytes sees one harmless literal, the server sees code.
fn by_bytes(talk: &mut Talk<'_>, client: Option<Client>, first: Option<&str>) -> Result<()> {
    let Some(mut client) = client else { return Ok(()) };
    if let Some(first) = first {
        let answer = client.ask(&query(first))?;
        talk.heard.extend(answer);
    }
    let mut bytes = b"select E'\x83\x5c', ".to_vec();
    bytes.extend(talk.fill("{c} || E'' from {t} -- '")?.into_bytes());
    bytes.push(0);
    let answer = client.ask(&frame(b'Q', &bytes))?;
    talk.heard.extend(answer);
    Ok(())
}
