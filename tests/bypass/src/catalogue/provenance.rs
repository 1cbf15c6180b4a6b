//! A: where a value comes from is lost in an expression, a relation or the shape of a result.

use crate::way::{Forms, Variant, Way, days, many, one, way};

pub(super) fn ways() -> Vec<Way> {
    vec![
        way("A1", "aliases of columns and tables", aliases()),
        way("A2", "expressions, casts, concatenation, CASE", expressions()),
        way("A3", "set operations", sets()),
        way("A4", "subqueries and LATERAL", subqueries()),
        way("A5", "recursive CTE, FULL JOIN USING", recursion()),
        way("A6", "shifted positions, duplicate names", positions()),
        way("A7", "whole rows, records, JSON, XML", whole_rows()),
        way("A8", "arrays, composites, JSON paths", containers()),
        way("A9", "aggregates and windows that return values", aggregates()),
        way("A10", "views and materialised views", views()),
        way("A11", "inheritance children and partitions", children()),
        way("A12", "RETURNING", returning()),
        way("A13", "JOIN USING, NATURAL JOIN", merged()),
    ]
}

fn aliases() -> Vec<Variant> {
    vec![
        one("column alias", "select {c} as state from {t}"),
        one("upper of alias", "select upper(state) from (select {c} as state from {t}) q"),
        one("alias list", "select p.c3 || '' from {t} as p(c1, c2, c3)"),
        one("CTE column list", "with q(a, b) as (select {k}, {c} from {t}) select b || '' from q"),
        one("values alias", "select x.y || '' from (select {c} from {t}) as x(y)"),
        one("alias named like a clear column", "select {k} || '' as harmless, {c} || '' as {k} from {t}"),
        one("quoted alias", "select \"X y\" || '' from (select {c} as \"X y\" from {t}) q"),
        one("alias in ORDER BY position", "select lower({c}) as a from {t} order by {k}"),
    ]
}

fn expressions() -> Vec<Variant> {
    let mut list = Vec::new();
    for (name, expression) in EXPRESSIONS {
        list.push(one(name, &format!("select {expression} from {{t}}")));
    }
    for (name, expression) in EXPRESSIONS_IN_PIECES {
        list.push(one(name, &format!("select {expression} from {{t}} order by {{k}}")).pieces());
    }
    list.extend([
        days("date minus date", "1900-01-01", "select {d} - date '1900-01-01' from {t}"),
        days("days of an interval", "2000-01-01", "select extract(day from ({d}::timestamp - '2000-01-01'::timestamp))::int from {t}"),
        one("date as text", "select {d}::text from {t}"),
        one("to_char of a date", "select to_char({d}, 'YYYY-MM-DD'), to_char({d}, 'J') from {t}"),
        one("date plus nothing", "select {d} + 0 from {t}"),
        one("date to timestamp", "select {d}::timestamp, {d}::timestamptz from {t}"),
        one("epoch of a date", "select extract(epoch from {d})::bigint from {t}"),
        one("date_part", "select date_part('year', {d}) || '-' || lpad(date_part('month', {d})::text, 2, '0') || '-' || lpad(date_part('day', {d})::text, 2, '0') from {t}"),
        one("make_date", "select make_date(extract(year from {d})::int, extract(month from {d})::int, extract(day from {d})::int) from {t}"),
        one("date_trunc", "select date_trunc('day', {d}) from {t}"),
        one("date range", "select daterange({d}, {d}, '[]') from {t}"),
        one("age and back", "select date '2000-01-01' - (date '2000-01-01' - {d}) from {t}"),
        one("upper of a range", "select lower(daterange({d}, null)) from {t}"),
        one("overlaps to_jsonb", "select to_jsonb({d}) from {t}"),
        one("notes cut", "select substr({ft}, 1) || '' from {f}"),
        one("notes split", "select regexp_split_to_table({ft}, ';') from {f}"),
        one("notes matched", "select (regexp_match({ft}, '\\d{3}-\\d{2}-\\d{4}'))[1] from {f}"),
        one("notes matched many", "select regexp_matches({ft}, '[0-9-]{11}', 'g') from {f}"),
        one("notes regexp_substr", "select regexp_substr({ft}, '\\d{3}-\\d{2}-\\d{4}') from {f}"),
        one("notes padded", "select rpad({ft}, 2000, '.') from {f}"),
        one("notes with fillers", "select replace({ft}, '-', '--') || replace({ft}, 'SSN', 'XXX') from {f}"),
    ]);
    list
}

const EXPRESSIONS: &[(&str, &str)] = &[
    ("upper", "upper({c})"),
    ("lower and initcap", "lower({m}), initcap({m})"),
    ("concatenation", "{c} || ''"),
    ("concatenation in front", "'' || {c}"),
    ("cast to varchar", "{c}::varchar(50)"),
    ("cast to char", "cast({c} as char(20))"),
    ("cast to name", "{c}::name"),
    ("cast to bytea", "{c}::bytea"),
    ("cast to citext", "{c}::citext"),
    ("cast to json string", "to_json({c})::text"),
    ("cast to unknown quoted", "quote_literal({c}), quote_ident({c}), quote_nullable({c})"),
    ("substring from for", "substring({c} from 1 for 40)"),
    ("substring by pattern", "substring({c} from '.*')"),
    ("substring similar", "substring({c} similar '%#\"%#\"%' escape '#')"),
    ("substr", "substr({c}, 1)"),
    ("overlay", "overlay({c} placing '' from 1 for 0)"),
    ("reverse twice", "reverse(reverse({c}))"),
    ("reverse", "reverse({c})"),
    ("coalesce", "coalesce({c}, '')"),
    ("coalesce with null first", "coalesce(null, {c})"),
    ("case", "case when true then {c} end"),
    ("case else", "case when false then '' else {c} end"),
    ("case operand", "case 1 when 1 then {c} else 'x' end"),
    ("nullif", "nullif({c}, 'x')"),
    ("greatest and least", "greatest({c}, ''), least({c}, 'zzzz')"),
    ("convert_to", "encode(convert_to({c}, 'UTF8'), 'escape')"),
    ("convert_from", "convert_from(convert_to({c}, 'UTF8'), 'UTF8')"),
    ("convert UTF16-like", "convert(convert_to({c}, 'UTF8'), 'UTF8', 'LATIN1')"),
    ("format", "format('%s', {c})"),
    ("format with position", "format('%2$s', 1, {c})"),
    ("concat", "concat({c}, null), concat_ws('', {c})"),
    ("trim", "trim({c}), btrim({c}, 'x'), ltrim({c}), rtrim({c})"),
    ("left and right", "left({c}, 40), right({c}, 40)"),
    ("lpad and rpad", "lpad({c}, 40), rpad({c}, 40)"),
    ("repeat", "repeat({c}, 2)"),
    ("translate", "translate({c}, '', '')"),
    ("replace", "replace({c}, 'x', 'y')"),
    ("replace separators", "replace({c}, '-', '')"),
    ("regexp_replace", "regexp_replace({c}, 'x', 'y')"),
    ("split_part", "split_part({c} || '|', '|', 1)"),
    ("collate", "{c} collate \"C\" || ''"),
    ("normalize", "normalize({c})"),
    ("string_to_array", "string_to_array({c}, '|')"),
    ("starts and ends", "left({c}, 3) || right({c}, -3)"),
    ("to_hex of a number", "to_hex(1), upper({c})"),
    ("numeric cast", "replace({c}, '-', '')::bigint"),
    ("numeric arithmetic", "replace({c}, '-', '')::bigint + 0"),
    ("to_number", "to_number({c}, '999-99-9999')"),
    ("numeric as numeric", "replace({c}, '-', '')::numeric"),
    ("numeric as float", "replace({c}, '-', '')::float8"),
    ("numeric as money", "replace({c}, '-', '')::int::bigint"),
    ("parse_ident", "parse_ident('\"' || {c} || '\"')"),
    ("hstore", "hstore('a', {c})"),
    ("hstore value", "hstore('a', {c}) -> 'a'"),
    ("unary row compare", "({c}, 1)::text"),
    ("is distinct shown", "({c} is distinct from 'x')::text || {c}"),
    ("jsonb string", "to_jsonb({c}) #>> '{}'"),
    ("json_build_object", "json_build_object('a', {c})"),
    ("jsonb_set", "jsonb_set('{}', '{a}', to_jsonb({c}))"),
    ("json_object", "json_object(array['a', {c}])"),
    ("jsonb_pretty", "jsonb_pretty(to_jsonb({c}))"),
    ("json key", "json_build_object({c}, 1)"),
    ("xmlelement", "xmlelement(name a, {c})"),
    ("xmlforest", "xmlforest({c})"),
    ("xml attribute", "xmlelement(name a, xmlattributes({c} as b))"),
    ("xmlcomment", "xmlcomment(replace({c}, '-', ''))"),
    ("xmlconcat", "xmlconcat(xmlforest({c}))"),
    ("xmlpi", "xmlpi(name a, {c})"),
    ("xmlserialize", "xmlserialize(content xmlelement(name a, {c}) as text)"),
    ("to_tsvector", "to_tsvector('simple', {m})"),
    ("to_tsquery", "to_tsquery('simple', replace({c}, '-', ''))"),
    ("ts_headline", "ts_headline('simple', {c}, to_tsquery('simple', 'x'))"),
    ("ts_debug", "ts_debug('simple', {m})"),
    ("tsvector of an array", "array_to_tsvector(array[{c}])"),
    ("array element", "(array[{c}])[1]"),
    ("array to string", "array_to_string(array[{c}], '')"),
    ("array_append", "array_append('{}'::text[], {c})"),
    ("similarity shown", "show_trgm({m}), {m} || ''"),
    ("text as bit string", "encode({c}::bytea, 'base64')"),
    ("int4range bounds", "int8range(replace({c}, '-', '')::bigint, null)"),
    ("point", "point(replace({c}, '-', '')::float8, 0)"),
    ("inet", "('0.0.0.0'::inet + (replace({c}, '-', '')::bigint))::text || {c}"),
    ("uuid", "md5({c})::uuid::text || {c}"),
    ("cast by function", "text({c}::name), \"bpchar\"({c}::name)"),
    ("textin and textout", "textin(textout({c}))"),
    ("operator function", "textcat({c}, ''), pg_catalog.concat({c})"),
    ("operator keyword", "{c} operator(pg_catalog.||) ''"),
    ("named argument", "parse_ident(str => '\"' || {c} || '\"')"),
    ("pg_typeof beside", "pg_typeof({c}), {c}::text::varchar"),
    ("citext functions", "replace({c}::citext, 'x'::citext, 'y'::citext)"),
    ("unnest with ordinality as scalar", "unnest(array[{c}])"),
    ("generate_subscripts with value", "generate_subscripts(array[{c}], 1), {c} || ''"),
    ("any_value like minimum", "(select min(x) from unnest(array[{c}]) x)"),
];

const EXPRESSIONS_IN_PIECES: &[(&str, &str)] = &[
    ("halves in two columns", "left({c}, 5), substr({c}, 6)"),
    (
        "character by character in columns",
        "substr({c},1,1), substr({c},2,1), substr({c},3,1), substr({c},4,1), substr({c},5,1), substr({c},6,1), substr({c},7,1), substr({c},8,1), substr({c},9,1), substr({c},10,1), substr({c},11,1)",
    ),
    (
        "codes in columns",
        "ascii(substr({c},1,1)), ascii(substr({c},2,1)), ascii(substr({c},3,1)), ascii(substr({c},4,1)), ascii(substr({c},5,1)), ascii(substr({c},6,1)), ascii(substr({c},7,1)), ascii(substr({c},8,1)), ascii(substr({c},9,1)), ascii(substr({c},10,1)), ascii(substr({c},11,1))",
    ),
    ("array of characters", "regexp_split_to_array({c}, '')"),
    ("string_to_array of characters", "string_to_array({c}, null)"),
    ("rows of characters", "regexp_split_to_table({c}, '')"),
    ("rows of parts", "unnest(string_to_array({c}, '-'))"),
    ("string_to_table", "string_to_table({c}, null)"),
    ("rows of codes", "ascii(unnest(string_to_array({c}, null)))"),
    ("split_part columns", "split_part({c}, '-', 1), split_part({c}, '-', 2), split_part({c}, '-', 3)"),
    (
        "get_byte columns",
        "get_byte({c}::bytea,0), get_byte({c}::bytea,1), get_byte({c}::bytea,2), get_byte({c}::bytea,3), get_byte({c}::bytea,4), get_byte({c}::bytea,5), get_byte({c}::bytea,6), get_byte({c}::bytea,7), get_byte({c}::bytea,8), get_byte({c}::bytea,9), get_byte({c}::bytea,10)",
    ),
];

fn sets() -> Vec<Variant> {
    vec![
        one("UNION", "select {c} from {t} union select 'x'"),
        one("literal first", "select 'x' union all select {c} from {t}"),
        one("null first", "select null union all select {c} from {t}"),
        one("INTERSECT", "select {c} from {t} intersect select {c} from {t}"),
        one("EXCEPT", "select {c} from {t} except select 'x'"),
        one("EXCEPT ALL", "select {c} from {t} except all select 'x'"),
        one(
            "nested set operations",
            "(select 'a' union select 'b') union all (select {c} from {t} intersect select {c} from {t})",
        ),
        one("clear column first", "select {u} from {t} union all select {c} from {t}"),
        one("whole tables", "table {t} union all table {t}"),
        one("values first", "values ('x') union all select {c} from {t}"),
        one("in a CTE", "with q as (select 'x' union all select {c} from {t}) select * from q"),
        one("in a subquery", "select * from (select 'x' a union all select {c} from {t}) q"),
        one("set operation with ORDER BY", "select 'x' a union all select {c} from {t} order by 1"),
        one("three arms", "select 'x' union all select 'y' union all select {m} from {t}"),
        one("arms of different types", "select null::varchar union all select {c} from {t}"),
        one("second column of the second arm", "select 1, 'x' union all select 2, {c} from {t}"),
    ]
}

fn subqueries() -> Vec<Variant> {
    vec![
        one("scalar subquery of the row", "select (select {c}) from {t}"),
        one("scalar subquery", "select (select {c} from {t} where {k} = 3)"),
        one("correlated subquery", "select (select p.{c} from {t} p where p.{k} = q.{k}) from {t} q"),
        one("array of a subquery", "select array(select {c} from {t})"),
        one("LATERAL", "select l.v from {t}, lateral (select {c} || '') as l(v)"),
        one("LATERAL without FROM", "select l.* from {t} p cross join lateral (select p.{c} collate \"C\") l(x)"),
        one("LATERAL values", "select l.v from {t} p, lateral (values (p.{c}), ('x')) l(v)"),
        one("LATERAL function", "select f.v from {t} p, lateral unnest(array[p.{c}]) f(v)"),
        one("implicit LATERAL function", "select u.* from {t} p, string_to_table(p.{c}, '|') u"),
        one("subquery in FROM of a subquery", "select (select x from (select {c} x from {t} where {k} = 4) q)"),
        one("subquery in CASE", "select case when exists (select 1) then (select {c} from {t} where {k} = 5) end"),
        one("subquery in VALUES", "values ((select {c} from {t} where {k} = 6))"),
        one("subquery in LIMIT list", "select {c} || '' from {t} limit (select 5)"),
        one("row subquery", "select (select ({k}, {c}) from {t} where {k} = 7)"),
        one("row subquery of columns", "select (select row({c}, {m}) from {t} where {k} = 8)::text"),
        one("subquery as function argument", "select concat((select {c} from {t} where {k} = 9))"),
        one("subquery in an array constructor", "select array[(select {c} from {t} where {k} = 10), 'x']"),
        one("EXISTS with output", "select {c} || '' from {t} p where exists (select 1 from {t} q where q.{k} = p.{k})"),
        one("ROWS FROM", "select * from rows from (unnest(array(select {c} from {t}))) as r(a)"),
        one(
            "ROWS FROM two",
            "select * from rows from (generate_series(1, 3), unnest(array(select {c} from {t}))) as r(a, b)",
        ),
        one("WITH ORDINALITY", "select * from unnest(array(select {c} from {t})) with ordinality as u(v, n)"),
        one("materialised CTE", "with q as materialized (select {c} as s from {t}) select s || '' from q"),
        one(
            "CTE shadows a table",
            "with departments as (select {c} as name from {t}) select name || '' from departments",
        ),
        one("CTE in a subquery", "select (with q as (select {c} from {t} where {k} = 3) select * from q)"),
        one("nested CTE", "with a as (with b as (select {c} x from {t}) select x y from b) select y || '' from a"),
        one("parenthesised join alias", "select j.{c} || '' from ({t} a cross join (select 1 one) b) as j"),
        one(
            "join alias with columns",
            "select j.x || '' from ((select {c} from {t}) a cross join (select 1 one) b) as j(x, y)",
        ),
        one("ARRAY of records", "select array(select row({k}, {c}) from {t})"),
        one("in a window definition", "select {c} || '', count(*) over w from {t} window w as (partition by {k})"),
        one("subquery in FILTER", "select string_agg({c}, ',') filter (where true) from {t}"),
        one("TABLESAMPLE", "select {c} || '' from {t} tablesample system (100)"),
        one("FOR UPDATE", "select {c} || '' from {t} for update").wrapped(),
        one("WITHIN a values join", "select v.x || p.{c} from (values ('')) v(x), {t} p"),
    ]
}

fn recursion() -> Vec<Variant> {
    vec![
        one(
            "recursive CTE",
            "with recursive r as (select 0 n, ''::text s union all select n + 1, (select {c} from {t} where {k} = n + 1) from r where n < 9) select * from r",
        ),
        one(
            "value enters in the recursive arm",
            "with recursive r(n, s) as (select 1::bigint, 'x' union all select p.{k}, p.{c} from r join {t} p on p.{k} = r.n + 1 where r.n < 30) select s from r",
        ),
        one(
            "value enters in the second round",
            "with recursive r(n, a, b) as (select 1, 'x'::text, (select {c} from {t} where {k} = 2) union all select n + 1, b, a from r where n < 3) select a from r",
        ),
        one(
            "recursive concatenation",
            "with recursive r(n, s) as (select 1, ''::text union all select n + 1, s || (select substr({c}, n, 1) from {t} where {k} = 3) from r where n < 12) select s from r",
        ),
        one(
            "mutual names",
            "with recursive a as (select {c} x from {t}), b as (select x from a union all select 'y' from b where false) select * from b",
        ),
        one(
            "SEARCH and CYCLE",
            "with recursive r(n, s) as (select {k}, {c} from {t} where {k} = 3 union all select n + 1, s from r where n < 5) search depth first by s set o cycle s set is_cycle using path select o, path from r",
        ),
        one("FULL JOIN USING", "select {c} from {t} a full join {t} b using ({c})"),
        one("FULL JOIN USING star", "select * from {t} a full join {t} b using ({c})"),
        one(
            "FULL JOIN of subqueries",
            "select x from (select {c} x from {t}) a full join (select 'zz'::text x) b using (x)",
        ),
        one("RIGHT JOIN USING", "select x from (select 'zz'::text x) a right join (select {c} x from {t}) b using (x)"),
    ]
}

fn positions() -> Vec<Variant> {
    vec![
        one("extra then star", "select 1 as extra, {c} || '', * from {t}"),
        one("star twice", "select *, upper({c}), * from {t}"),
        one("duplicate names", "select 'x' as {c}, {c} || '' as {c} from {t}"),
        one("star of a subquery", "select * from (select {k}, {c} || '' as {c} from {t}) q"),
        one("no columns then whole row", "select from {t}; select p::text from {t} p").only(Forms::Simple),
        one("star through two levels", "select * from (select * from (select {c} || '' z from {t}) a) b"),
        one(
            "many columns",
            "select 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33, {c} || '' from {t}",
        ),
        many(
            "table changed under a prepared star",
            &[
                "create temp table shifting (a text)",
                "insert into shifting values ('x')",
                "prepare st as select * from shifting",
                "execute st",
                "drop table shifting",
                "create temp table shifting as select {c} as a from {t}",
                "execute st",
            ],
        ),
    ]
}

fn whole_rows() -> Vec<Variant> {
    let list = [
        ("row reference", "select p from {t} p"),
        ("row as text", "select p::text from {t} p"),
        ("ROW of star", "select row(p.*) from {t} p"),
        ("ROW of columns", "select row({k}, {c}) from {t}"),
        ("row_to_json", "select row_to_json(p) from {t} p"),
        ("to_json", "select to_json(p) from {t} p"),
        ("to_jsonb", "select to_jsonb(p) from {t} p"),
        ("json_agg", "select json_agg(p) from {t} p"),
        ("jsonb_agg", "select jsonb_agg(p) from {t} p"),
        ("json_object_agg", "select json_object_agg({k}, {c}) from {t}"),
        ("jsonb_object_agg key", "select jsonb_object_agg({c}, 1) from {t}"),
        ("array of rows", "select array_agg(p) from {t} p"),
        ("hstore of a row", "select hstore(p) from {t} p"),
        ("each of hstore", "select (each(hstore(p))).* from {t} p"),
        ("svals of hstore", "select svals(hstore(p)) from {t} p"),
        ("xmlforest of a row", "select xmlforest(p) from {t} p"),
        ("format of a row", "select format('%s', p) from {t} p"),
        ("concat of a row", "select concat(p) from {t} p"),
        ("row in a record field", "select (r).f1 from (select row(p) r from {t} p) q(r)"),
        ("row in a subquery", "select q::text from (select {k}, {c} from {t}) q"),
        ("row of a subquery as JSON", "select row_to_json(q) from (select {c} as harmless from {t}) q"),
        ("row of a CTE", "with q as (select {c} x from {t}) select q::text from q"),
        ("row of a join", "select j::text from ({t} a join (select 1 one) b on true) j"),
        ("json_each_text", "select (json_each_text(row_to_json(p))).value from {t} p"),
        ("jsonb_each", "select (jsonb_each(to_jsonb(p))).value from {t} p"),
        ("json_populate_record", "select (json_populate_record(null::{t}, row_to_json(p))).{c} || '' from {t} p"),
        ("jsonb_to_record", "select r.x from {t} p, jsonb_to_record(jsonb_build_object('x', p.{c})) r(x text)"),
        (
            "json_to_recordset",
            "select r.{c} from (select json_agg(p) j from {t} p) q, json_to_recordset(q.j) r({c} text)",
        ),
        ("functional notation of a column", "select {c}(p) || '' from {t} p"),
        ("row compared and shown", "select case when p is not null then p::text end from {t} p"),
        ("row of VALUES", "select v::text from {t} p, lateral (values (p.{c})) v"),
        ("count with row", "select max(p::text) from {t} p"),
        ("whole row through coalesce", "select coalesce(p, null) from {t} p"),
        ("record unpacked", "select (q.p).{c} || '' from (select p from {t} p) q"),
        ("record star", "select (q.p).* , (q.p)::text from (select p from {t} p) q"),
        ("query_to_xml free row to text by record_out", "select record_out(p) from {t} p"),
        ("row to array", "select string_to_array(p::text, ',') from {t} p"),
        ("row hashed and shown", "select hash_record(p), p::text from {t} p"),
        ("jsonb strip", "select jsonb_strip_nulls(to_jsonb(p)) from {t} p"),
        (
            "row as xmltable",
            "select x.* from {t} p, xmltable('/a' passing xmlelement(name a, p::text) columns v text path '.') x",
        ),
    ];
    list.into_iter().map(|(name, text)| one(name, text)).collect()
}

fn containers() -> Vec<Variant> {
    let list = [
        ("array", "select array[{c}] from {t}"),
        ("array of arrays", "select array[array[{c}, {m}]] from {t}"),
        ("array slice", "select (array[{c}, 'x'])[1:1] from {t}"),
        ("unnest", "select unnest(array[{c}]) from {t}"),
        ("array_agg in a subquery", "select (select array_agg({c}) from {t})[3]"),
        ("array cat", "select array[{c}] || array['x'] from {t}"),
        ("array_replace", "select array_replace(array[{c}], 'x', 'y') from {t}"),
        ("array_fill", "select array_fill({c}, array[2]) from {t}"),
        ("array_position shown", "select array_to_json(array[{c}]) from {t}"),
        ("json path", "select jsonb_path_query(to_jsonb(p), '$.{c}') from {t} p"),
        ("json path array", "select jsonb_path_query_array(to_jsonb(p), '$.*') from {t} p"),
        ("json path first", "select jsonb_path_query_first(to_jsonb(p), '$.keyvalue().value') from {t} p"),
        ("arrow", "select to_jsonb(p) ->> '{c}' from {t} p"),
        ("arrow of json", "select row_to_json(p) -> '{c}' from {t} p"),
        ("path arrow", "select to_jsonb(p) #>> '{{c}}' from {t} p"),
        ("subscript", "select (to_jsonb(p))['{c}'] from {t} p"),
        ("json minus", "select to_jsonb(p) - 'sex' from {t} p"),
        ("json concatenation", "select to_jsonb(p) || '{}' from {t} p"),
        ("json_build_array", "select json_build_array({c}) from {t}"),
        ("json_extract_path_text", "select json_extract_path_text(row_to_json(p), '{c}') from {t} p"),
        ("jsonb_array_elements_text", "select jsonb_array_elements_text(jsonb_build_array({c})) from {t}"),
        ("jsonb keys", "select jsonb_object_keys(jsonb_build_object({c}, 1)) from {t}"),
        ("xmlagg", "select xmlagg(xmlelement(name a, {c})) from {t}"),
        ("xpath", "select (xpath('/a/text()', xmlelement(name a, {c})))[1] from {t}"),
        (
            "xmltable",
            "select x.* from xmltable('/a' passing (select xmlelement(name a, {c}) from {t} limit 1) columns v text path '.') x",
        ),
        ("composite", "select row({c})::text from {t}"),
        ("named composite", "select (row({k}, {c})::lab.pair).s from {t}"),
        ("named composite whole", "select row({k}, {c})::lab.pair from {t}"),
        ("range of text by date", "select daterange({d}, {d} + 1) from {t}"),
        ("multirange", "select datemultirange(daterange({d}, {d} + 1)) from {t}"),
        ("hstore array", "select hstore(array['a', {c}]) from {t}"),
        ("hstore to json", "select hstore_to_json(hstore('a', {c})) from {t}"),
        ("avals", "select avals(hstore('a', {c})) from {t}"),
        ("tsvector lexemes", "select (unnest(to_tsvector('simple', {m}))).lexeme from {t}"),
        ("tsvector to array", "select tsvector_to_array(to_tsvector('simple', {m})) from {t}"),
        ("bytea", "select {c}::bytea from {t}"),
        ("bit string of bytes", "select encode(('x' || encode({c}::bytea, 'hex'))::bytea, 'escape') from {t}"),
        ("ts_stat of literal query", "select word from ts_stat('select to_tsvector(''simple'', {m}) from {t}')"),
    ];
    list.into_iter().map(|(name, text)| one(name, &text.replace("lab.pair", "{lab}.pair"))).collect()
}

fn aggregates() -> Vec<Variant> {
    let list = [
        ("min and max", "select min({c}), max({c}) from {t}"),
        ("min per group", "select min({c}) from {t} group by {k}"),
        ("string_agg", "select string_agg({c}, ',') from {t}"),
        ("string_agg as separator", "select string_agg('', {c}) from {t}"),
        ("string_agg of bytes", "select string_agg({c}::bytea, ',') from {t}"),
        ("array_agg", "select array_agg({c}) from {t}"),
        ("array_agg ordered", "select array_agg({c} order by {k}) from {t}"),
        ("json_agg of a column", "select json_agg({c}) from {t}"),
        ("xmlagg of a column", "select xmlagg(xmlforest({c})) from {t}"),
        ("mode", "select mode() within group (order by {c}) from {t}"),
        ("percentile_disc", "select percentile_disc(0.5) within group (order by {c}) from {t}"),
        ("percentile_disc array", "select percentile_disc(array[0.1, 0.2, 0.9]) within group (order by {c}) from {t}"),
        ("percentile_disc of dates", "select percentile_disc(0.3) within group (order by {d}) from {t}"),
        ("first_value", "select first_value({c}) over () from {t}"),
        ("last_value", "select last_value({c}) over () from {t}"),
        ("nth_value", "select nth_value({c}, 3) over () from {t}"),
        ("lag", "select lag({c}) over (order by {k}) from {t}"),
        ("lead", "select lead({c}, 0) over (order by {k}) from {t}"),
        ("lag default", "select lag('x'::text, 1000, {c}) over () from {t}"),
        ("window min", "select min({c}) over (partition by {k}) from {t}"),
        ("window string_agg", "select string_agg({c}, ',') over (order by {k} rows 3 preceding) from {t}"),
        ("distinct", "select distinct {c} || '' from {t}"),
        ("distinct on", "select distinct on ({k}) {c} || '' from {t}"),
        ("group by", "select {c} || '' from {t} group by {c}"),
        ("grouping sets", "select upper({c}) from {t} group by grouping sets ((upper({c})), ())"),
        ("rollup", "select {c} || '', count(*) from {t} group by rollup ({c})"),
        ("cube", "select {k}, {c} || '' from {t} group by cube ({k}, {c})"),
        ("max of dates", "select max({d}), min({d}) from {t}"),
        ("sum of one", "select sum(replace({c}, '-', '')::bigint) from {t} where {k} = 3"),
        ("avg of one", "select avg(replace({c}, '-', '')::bigint)::bigint from {t} group by {k}"),
        ("bit_or of one", "select bit_or(replace({c}, '-', '')::bigint) from {t} group by {k}"),
        ("bit_and of one", "select bit_and(replace({c}, '-', '')::bigint) from {t} group by {k}"),
        ("user-defined aggregate", "select {lab}.glue({c} || ',') from {t}"),
        ("aggregate with FILTER", "select max({c}) filter (where {k} = 3) from {t}"),
        ("aggregate of a row", "select max(row({c})::text) from {t}"),
        ("range_agg", "select range_agg(daterange({d}, {d}, '[]')) from {t}"),
        ("aggregate in HAVING", "select max({c}) from {t} group by {k} having count(*) = 1"),
        (
            "aggregate in a scalar subquery",
            "select (select max({c}) from {t} where {k} <= n) from generate_series(1, 5) n",
        ),
    ];
    list.into_iter().map(|(name, text)| one(name, text)).collect()
}

fn views() -> Vec<Variant> {
    vec![
        one("view renames", "select s || '' from {lab}.v"),
        one("view of an expression", "select s from {lab}.v_upper"),
        one("view of a view", "select text || '' from {lab}.v_of_v"),
        one("view of whole rows", "select r from {lab}.v_whole"),
        one("view of whole rows unpacked", "select (r).{c} || '' from {lab}.v_whole"),
        one("view of a union", "select s from {lab}.v_union"),
        one("view row", "select v::text from {lab}.v v"),
        one("view date", "select d + 0 from {lab}.v"),
        one("materialised view", "select s || '' from {lab}.mv"),
        one("materialised view plain", "select s from {lab}.mv"),
        one("view by TABLE", "table {lab}.v_upper"),
        many("temporary view", &["create temp view tv as select {c} as s from {t}", "select s from tv"]).wrapped(),
        many(
            "temporary view of an expression",
            &["create temp view tv as select {c} || '' as s from {t}", "select s from tv"],
        )
        .wrapped(),
        many(
            "view replaced",
            &[
                "create view {lab}.turning as select 'x'::text as s",
                "select s from {lab}.turning",
                "create or replace view {lab}.turning as select {c} as s from {t}",
                "select s from {lab}.turning",
            ],
        )
        .wrapped(),
        many(
            "view replaced under a prepared statement",
            &[
                "create temp view turning as select 'x'::text as s",
                "prepare pt as select s from turning",
                "execute pt",
                "create or replace temp view turning as select {c} as s from {t}",
                "execute pt",
            ],
        )
        .wrapped(),
        many(
            "view renamed onto another",
            &[
                "create temp view harmless as select 'x'::text as s",
                "create temp view other as select {c} as s from {t}",
                "alter view harmless rename to gone",
                "alter view other rename to harmless",
                "select s from harmless",
            ],
        )
        .wrapped(),
        many(
            "materialised view made",
            &["create materialized view {lab}.made as select {c} as s from {t}", "select s from {lab}.made"],
        )
        .wrapped(),
        many("recursive view", &["create temp recursive view rv(s) as select {c} from {t}", "select s from rv"])
            .wrapped(),
    ]
}

fn children() -> Vec<Variant> {
    vec![
        one("partition", "select {c} || '' from {lab}.part_low"),
        one("partition plain", "select {c} from {lab}.part_high"),
        one("partition parent", "select {c} || '' from {lab}.part"),
        one("child", "select {c} || '' from {lab}.child"),
        one("child plain", "select {c} from {lab}.child"),
        one("parent without ONLY", "select {c} || '' from {lab}.parent"),
        one("parent star", "select * from {lab}.parent*"),
        one("child whole row", "select c::text from {lab}.child c"),
        one("child row as parent", "select (c::{lab}.parent).{c} || '' from {lab}.child c"),
        one("tableoid beside", "select tableoid::regclass, {c} || '' from {lab}.part"),
        many(
            "new child",
            &[
                "create table {lab}.grown () inherits ({lab}.parent)",
                "insert into {lab}.grown select {k}, {c} from {t}",
                "select {c} || '' from {lab}.grown",
            ],
        )
        .wrapped()
        .privileged(),
    ]
}

fn returning() -> Vec<Variant> {
    vec![
        one("UPDATE", "update {t} set {k} = {k} where {k} < 5 returning {c} || ''").wrapped(),
        one("UPDATE star", "update {t} set {k} = {k} where {k} < 5 returning *, {c} || ''").wrapped(),
        one("UPDATE plain", "update {t} set {k} = {k} where {k} < 5 returning {c} as x").wrapped(),
        one("UPDATE row", "update {t} p set {k} = {k} where {k} < 5 returning p").wrapped(),
        one("UPDATE FROM", "update {o} d set {oc} = {oc} from {t} p where d.ctid = '(0,1)' and p.{k} = 3 returning p.{c} || ''").wrapped(),
        one("UPDATE moves the value", "update {o} d set {oc} = p.{c} from {t} p where p.{k} = 3 returning d.{oc}").wrapped(),
        one("UPDATE by subquery", "update {o} set {oc} = (select {c} from {t} where {k} = 4) returning {oc}").wrapped(),
        one("UPDATE of a row list", "update {o} set ({oc}, {on}) = (select {c}, 1 from {t} where {k} = 4) returning {oc}").wrapped(),
        one("DELETE", "delete from {f} where {fk} < 4 returning {ft} || ''").wrapped(),
        one("DELETE USING", "delete from {o} using {t} p where p.{k} = 3 returning p.{c} || ''").wrapped(),
        one("INSERT", "insert into {t} ({k}, {c}) select -{k}, {c} from {t} returning {c} || ''").wrapped(),
        one("INSERT SELECT into another", "insert into {o} select {c}, 1 from {t} returning *").wrapped(),
        one("INSERT VALUES subquery", "insert into {o} values ((select {c} from {t} where {k} = 3), 1) returning {oc}").wrapped(),
        one("INSERT returning a subquery", "insert into {o} values ('x', 1) returning (select {c} from {t} where {k} = 5)").wrapped(),
        one("ON CONFLICT returns the old row", "insert into {t} ({k}) values (3) on conflict ({k}) do update set {k} = excluded.{k} returning {c} || ''").wrapped(),
        one("ON CONFLICT plain star", "insert into {t} ({k}) values (3) on conflict ({k}) do update set {k} = excluded.{k} returning *, upper({c})").wrapped(),
        many("ON CONFLICT moves the value", &["insert into {lab}.bounds values (1, 'x')", "insert into {lab}.bounds values (1, 'y') on conflict (n) do update set v = (select {c} from {t} where {k} = 3) returning v"]).wrapped(),
        one("CTE that updates", "with w as (update {t} set {k} = {k} where {k} = 1 returning {c}) select {c} || '' from w").wrapped(),
        one("CTE that inserts", "with w as (insert into {o} select {c}, 1 from {t} returning *) select * from w").wrapped(),
        one("CTE that deletes", "with w as (delete from {f} where {fk} < 4 returning {ft}) select {ft} || '' from w").wrapped(),
        one("CTE unused output", "with w as (select {c} x from {t}) insert into {o} select x, 1 from w returning {oc}").wrapped(),
        many("MERGE then read", &["merge into {o} d using {t} p on false when not matched then insert values (p.{c}, 1)", "select {oc} from {o}"]).wrapped(),
        many("MERGE updates then read", &["merge into {o} d using (select * from {t} where {k} = 3) p on true when matched then update set {oc} = p.{c}", "select {oc} from {o}"]).wrapped(),
    ]
}

fn merged() -> Vec<Variant> {
    vec![
        one("USING", "select {c} || '' from {t} a join {t} b using ({c})"),
        one("USING plain", "select {c} from {t} a join {t} b using ({c}, {k})"),
        one(
            "USING with a probe table",
            "select x from (select 'zzz' || '' as x) a right join (select {c} x from {t}) b using (x)",
        ),
        one("USING alias", "select j.{c} || '' from {t} a join {t} b using ({c}) as j"),
        one("NATURAL", "select {c} || '' from {t} natural join {t} b"),
        one("NATURAL with a candidate", "select q.{c} || '' from {t} natural join (select {c} from {t}) q"),
        one(
            "NATURAL LEFT from a generated table",
            "select {c} from (select '700-' || lpad((g / 10000)::text, 2, '0') || '-' || lpad((g % 10000)::text, 4, '0') as {c} from generate_series(100000, 202000) g) cand natural join {t}",
        ),
        one("star of USING", "select *, upper({c}) from {t} a join {t} b using ({k}, {c})"),
        one("USING through views", "select s || '' from {lab}.v a join {lab}.v_union b using (k, s)"),
    ]
}
