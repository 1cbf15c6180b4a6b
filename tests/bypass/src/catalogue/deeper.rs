//! More variants of the rows: what an attacker tries once the plain ways are shut. Code behind harmless objects, expressions in
//! odd places, counts that tell, encodings that move quotes.

use crate::{
    Result,
    client::Client,
    infer::{Oracle, Signal},
    way::{Forms, Talk, Variant, Way, frames, many, one, oracle},
};
use tests::wire::{bind, describe, execute, frame, parse, query, sync};

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
        "A3",
        vec![
            one("protected second in a wide union", "select 1, 'a', 'b' union all select {k}, {u}, {c} from {t}"),
            one(
                "protected only in the third arm of EXCEPT",
                "select 'x' except select 'y' union all select {c} from {t}",
            ),
            one(
                "union inside IN shown",
                "select x from (select 'a' x union select {c} from {t}) q where x in (select x from (select 'a' x union select {c} from {t}) r)",
            ),
            one(
                "union by a recursive view",
                "with recursive r(a, b) as (select 'x'::text, {c} from {t} where {k} = 3 union all select b, a from r where a = 'x') select a from r",
            ),
            one(
                "union of tables by star",
                "select * from (select {k}, {u} from {t} union all select {k}, {c} from {t}) q",
            ),
            one("union of a view and a table", "select s from {lab}.v_union union all select 'x'"),
            one(
                "values with a subquery, second row",
                "select v.x from (values ('a'), ((select {c} from {t} where {k} = 3))) v(x)",
            ),
            one(
                "values with a subquery, second column",
                "select v.y from (values (1, 'a'), (2, (select {c} from {t} where {k} = 3))) v(x, y)",
            ),
        ],
    );
    add(
        "A5",
        vec![
            one(
                "recursive shift over many columns",
                "with recursive r(n, a, b, c, d) as (select 1, 'x', 'y', 'z', (select {c} from {t} where {k} = 3) union all select n + 1, b, c, d, a from r where n < 5) select a from r",
            ),
            one(
                "recursive term in a subquery",
                "with recursive r(n, v) as (select 1, 'x'::text union all select n + 1, (select {c} from {t} p where p.{k} = q.n) from (select * from r) q where n < 5) select v from r",
            ),
            one(
                "recursive aggregate of a CTE before it",
                "with recursive a as (select string_agg({c}, ',') x from {t}), r(n, v) as (select 1, 'x'::text union all select n + 1, a.x from r, a where n < 2) select v from r",
            ),
            one(
                "recursive union of three arms",
                "with recursive r(n, v) as ((select 1, 'x'::text union all select 1, {c} from {t}) union all select n + 1, v from r where n < 2) select v from r",
            ),
        ],
    );
    add(
        "A10",
        vec![
            one("union view, plain", "select s from {lab}.v_union where k = 0 or k > 0"),
            one("whole row of a view of whole rows", "select v::text from {lab}.v_whole v"),
            one("field of a view of whole rows, plain", "select (v.r).{c} as x from {lab}.v_whole v"),
            one("view's column in JSON", "select to_jsonb(v) from {lab}.v_upper v"),
        ],
    );
    let counted = [
        ("distinct counted of one", "select count(distinct nullif(left({c}, {i}), '{pl}')) from {t} where {k} = {id}"),
        (
            "distinct counted, filtered",
            "select count(distinct left({c}, {i})) filter (where left({c}, {i}) = '{pl}') from {t} where {k} = {id}",
        ),
        ("nulls counted", "select num_nulls(nullif(left({c}, {i}), '{pl}')) from {t} where {k} = {id}"),
        ("values counted", "select num_nonnulls(nullif(left({c}, {i}), '{pl}')) from {t} where {k} = {id}"),
        ("null or not", "select nullif(left({c}, {i}), '{pl}') is null from {t} where {k} = {id}"),
        ("null subquery or not", "select (select {c} from {t} where {k} = {id} and {ge}) is null"),
        ("null of a whole row", "select (select row({c}) from {t} where {k} = {id} and {ge}) is not null"),
        (
            "count of a distinct subquery",
            "select count(*) from (select distinct g from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q) r",
        ),
        (
            "count of a union",
            "select count(*) from (select left({c}, {i}) g from {t} where {k} = {id} union select '{pl}') q",
        ),
        (
            "count of an intersection",
            "select count(*) from (select left({c}, {i}) g from {t} where {k} = {id} intersect select '{pl}') q",
        ),
        (
            "count of a difference",
            "select count(*) from (select left({c}, {i}) g from {t} where {k} = {id} except select '{pl}') q",
        ),
        (
            "count of a recursive union",
            "with recursive r(g) as (select '{pl}' union select left({c}, {i}) from {t} join r on {k} = {id}) select count(*) from r",
        ),
        (
            "count over a partition",
            "select count(*) over (partition by g) from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q limit 1",
        ),
        (
            "count over an order",
            "select count(*) over (order by g collate \"C\") from (select {c} g from {t} where {k} = {id} union all select '{px}') q order by g collate \"C\" = '{px}' collate \"C\" limit 1",
        ),
        (
            "length of an array",
            "select cardinality(array_remove(array_agg(left({c}, {i})), '{pl}')) from {t} where {k} = {id}",
        ),
        (
            "length of a distinct array",
            "select array_length(array_agg(distinct g), 1) from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q",
        ),
        (
            "length of a JSON array",
            "select json_array_length(json_agg(distinct g)) from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q",
        ),
        (
            "keys of a JSON object",
            "select count(*) from jsonb_object_keys((select jsonb_object_agg(g, 1) from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q))",
        ),
        ("count of rows of a function", "select count(*) from {t}, regexp_matches({c}, '^{pl}', 'g') where {k} = {id}"),
        (
            "count of a split",
            "select count(*) from {t}, string_to_table(left({c}, {i}), '{pl}') s where {k} = {id} and s = ''",
        ),
        ("regr_count", "select regr_count(1, nullif(({ge})::int, 0)) from {t} where {k} = {id}"),
        (
            "GROUPING of a key",
            "select count(*) from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q group by cube (g) having grouping(g) = 0 order by 1 desc limit 1",
        ),
        (
            "count of a left join",
            "select count(q.x) from {t} p left join (select '{pl}' x) q on left(p.{c}, {i}) = q.x where p.{k} = {id}",
        ),
        (
            "count of a natural join",
            "select count(*) from (select left({c}, {i}) x from {t} where {k} = {id}) p natural join (select '{pl}' x) q",
        ),
        (
            "count of a semi join",
            "select count(*) from (values ('{pl}')) v(x) where x in (select left({c}, {i}) from {t} where {k} = {id})",
        ),
        (
            "count of a CTE with the condition",
            "with q as (select ({ge}) b from {t} where {k} = {id}) select count(*) from q where b",
        ),
        (
            "count of a view of the condition",
            "select count(*) from (select {ge} b from {t} where {k} = {id}) q where q.b",
        ),
        (
            "sum over a set operation",
            "select sum(n) from (select 1 n from {t} where {k} = {id} and {ge} union all select 0) q",
        ),
        ("bool by XOR", "select ({ge}) <> false from {t} where {k} = {id}"),
        ("condition as text", "select case ({ge})::text when 'true' then 'a' else 'b' end from {t} where {k} = {id}"),
        ("condition in coalesce", "select coalesce(nullif({ge}, false), false) from {t} where {k} = {id}"),
        (
            "condition in a set-returning limit",
            "select max(n) from {t}, generate_series(1, 1 + ({ge})::int) n where {k} = {id}",
        ),
        (
            "last row kept by DISTINCT ON",
            "select max(k) from (select distinct on (g) k from (select {k} k, left({c}, {i}) g from {t} where {k} = {id} union all select -1, '{pl}') q order by g, k) r",
        ),
    ];
    add("G2", counted.into_iter().map(|(name, text)| oracle(name, Oracle::new(text, Signal::First))).collect());
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
