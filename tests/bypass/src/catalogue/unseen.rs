//! D: code that a parser of the statement does not see.

use crate::way::{Variant, Way, many, one, way};

pub(super) fn ways() -> Vec<Way> {
    vec![
        way("D1", "functions that read protected columns", functions()),
        way("D2", "built-ins that take SQL as text", string_sql()),
        way("D3", "DO, CALL, anonymous code", blocks()),
        way("D4", "triggers, rules, generated columns, defaults", triggers()),
        way("D5", "functions with the names of harmless ones", shadows()),
    ]
}

fn functions() -> Vec<Variant> {
    vec![
        one("SQL function", "select {lab}.f_sql(3)"),
        one("SQL function over rows", "select {lab}.f_sql(n) from generate_series(1, 20) n"),
        one("set-returning function in FROM", "select {c} || '' from {lab}.f_all()"),
        one("set-returning function, plain column", "select {c} from {lab}.f_all()"),
        one("set-returning function, whole row", "select {lab}.f_all()"),
        one("PL/pgSQL", "select {lab}.f_plpgsql(4)"),
        one("dynamic SQL", "select {lab}.f_dynamic('select string_agg({c}, '','') from {t}')"),
        one("security definer", "select {lab}.f_definer(5)"),
        one("function in LATERAL", "select f from generate_series(1, 9) n, lateral {lab}.f_sql(n) f"),
        one("function in ROWS FROM", "select * from rows from ({lab}.f_sql(3), generate_series(1, 2)) as r(a, b)"),
        one("function in VALUES", "values ({lab}.f_sql(6))"),
        one("function in DEFAULT of COALESCE", "select coalesce(null, {lab}.f_sql(7))"),
        one("operator", "select operator({lab}.!!) 3::bigint"),
        one("aggregate of a function", "select string_agg({lab}.f_sql(n), ',') from generate_series(1, 20) n"),
        one("user-defined aggregate of the column", "select {lab}.glue({c}) from {t}"),
        one("polymorphic", "select {lab}.f_polymorphic({c}) from {t}"),
        one("polymorphic of a row", "select {lab}.f_polymorphic(p) from {t} p"),
        one("variadic", "select {lab}.f_variadic({c}, '') from {t}"),
        one("variadic array", "select {lab}.f_variadic(variadic array[{c}]) from {t}"),
        one("function in ORDER BY that tells", "select 1 from {t} order by {lab}.f_warning({c})"),
        many("own function", &["create function pg_temp.f() returns setof text language sql as 'select {c} from {t}'", "select pg_temp.f()"]).wrapped(),
        many("own function with a SQL-standard body", &["create function pg_temp.f() returns text language sql return (select string_agg({c}, ',') from {t})", "select pg_temp.f()"]).wrapped(),
        many("own function in a schema", &["create function {lab}.mine(bigint) returns text language sql as 'select {c} from {t} where {k} = $1'", "select {lab}.mine(3)"]).wrapped(),
        many("function replaced", &["create function {lab}.turning() returns text language sql as 'select ''x''::text'", "select {lab}.turning()", "create or replace function {lab}.turning() returns text language sql as 'select string_agg({c}, '','') from {t}'", "select {lab}.turning()"]).wrapped(),
        many("own aggregate", &["create aggregate {lab}.mine(text) (sfunc = textcat, stype = text)", "select {lab}.mine({c} || ',') from {t}"]).wrapped(),
        many("own operator", &["create operator {lab}.||| (leftarg = text, rightarg = text, function = textcat)", "select {c} operator({lab}.|||) '' from {t}"]).wrapped(),
        many("own cast", &["create type {lab}.boxed as (v text)", "create function {lab}.box(text) returns {lab}.boxed language sql as 'select row($1)::{lab}.boxed'", "select {lab}.box({c}) from {t}"]).wrapped(),
        many("own type's input function", &["create domain {lab}.dom as text", "select {c}::{lab}.dom from {t}"]).wrapped(),
        many("range over text", &["create type {lab}.textrange as range (subtype = text)", "select {lab}.textrange({c}, null) from {t}"]).wrapped(),
    ]
}

fn string_sql() -> Vec<Variant> {
    vec![
        one("query_to_xml", "select query_to_xml('select * from {t}', true, false, '')"),
        one("query_to_xml, built text", "select query_to_xml('sel' || 'ect * from {t}', true, false, '')"),
        one(
            "query_to_xml, coded",
            "select query_to_xml(convert_from(decode('73656c656374202a2066726f6d20', 'hex'), 'UTF8') || '{t}', true, false, '')",
        ),
        one("query_to_xml qualified", "select pg_catalog.query_to_xml('table {t}', true, false, '')"),
        one("query_to_xml quoted", "select \"query_to_xml\"('table {t}', true, false, '')"),
        one("query_to_xml by U& name", "select U&\"query\\005fto_xml\"('table {t}', true, false, '')"),
        one("query_to_xml in FROM", "select x from query_to_xml('table {t}', true, false, '') x"),
        one(
            "query_to_xml in xmltable",
            "select t.* from xmltable('//row' passing query_to_xml('select {c} from {t}', false, false, '') columns v text path '{c}') t",
        ),
        one("query_to_xml_and_xmlschema", "select query_to_xml_and_xmlschema('select * from {t}', true, false, '')"),
        one("table_to_xml", "select table_to_xml('{t}', true, false, '')"),
        one("table_to_xml by OID", "select table_to_xml('{t}'::regclass::oid, true, false, '')"),
        one("table_to_xml_and_xmlschema", "select table_to_xml_and_xmlschema('{t}', true, false, '')"),
        one("schema_to_xml", "select schema_to_xml('{s}', true, false, '')"),
        one("schema_to_xml_and_xmlschema", "select schema_to_xml_and_xmlschema('{s}', true, false, '')"),
        one("database_to_xml", "select database_to_xml(true, false, '')").privileged(),
        one("ts_stat", "select * from ts_stat('select to_tsvector(''simple'', {m}) from {t}')"),
        one(
            "ts_stat of the key",
            "select word from ts_stat('select to_tsvector(''simple'', replace({c}, ''-'', '''')) from {t}')",
        ),
        one(
            "ts_rewrite",
            "select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, to_tsquery(''simple'', replace({c}, ''-'', '''')) from {t} limit 1')",
        ),
        one("crosstab", "select * from crosstab('select {k}, ''a'', {c} from {t} order by 1') as c(k bigint, a text)"),
        one("crosstab2", "select * from crosstab2('select {k}::text, ''a'', {c} from {t} order by 1')"),
        one("connectby", "select * from connectby('{lab}.v', 's', 'k', '3', 0) as c(a text, b text, l int)")
            .silent("its columns must be of one type here"),
        one("dblink to itself", "select * from dblink('dbname=clinic user=operator', 'select {c} from {t}') d(v text)")
            .privileged()
            .silent("the server asks for a password that is not in the statement"),
        one(
            "dblink with the password known",
            "select * from dblink('host=127.0.0.1 dbname=clinic', 'select {c} from {t}') d(v text)",
        )
        .silent("the server's port and password are not known to a client"),
        one(
            "xpath_table",
            "select * from xpath_table('claim_id', 'ssn', '{lab}.claims', '/a', 'true') as t(a int, b text)",
        )
        .silent("values are no XML; that the text is run is the point"),
        one(
            "xpath_table with a union",
            "select * from xpath_table('k', 'x', '(select {k} k, ''<a>'' || {c} || ''</a>'' x from {t}) q', '/a', 'true') as t(a int, b text)",
        ),
        one("plan of text", "select {lab}.f_dynamic('select query_to_xml(''table {t}'', true, false, '''')::text')"),
        one(
            "lo and encode of query_to_xml",
            "select encode(convert_to(query_to_xml('select {c} from {t}', true, false, '')::text, 'UTF8'), 'base64')",
        ),
        one("pg_get_expr of a default", "select pg_get_expr(adbin, adrelid) from pg_attrdef")
            .silent("defaults hold no values here"),
        one("normal_rand to fill", "select n, {lab}.f_sql(3) from normal_rand(2, 1, 1) n"),
    ]
}

fn blocks() -> Vec<Variant> {
    vec![
        one("DO raises an error", "do $$ begin raise exception '%', (select string_agg({c}, ',') from {t}); end $$"),
        one("DO with a cast error", "do $$ declare n int; begin n := (select {c} from {t} where {k} = 3); end $$"),
        many(
            "DO makes a table",
            &["do $$ begin create temp table made as select {c} as v from {t}; end $$", "select v from made"],
        )
        .wrapped(),
        many(
            "DO makes a view",
            &["do $$ begin create temp view made as select {c} as v from {t}; end $$", "select v from made"],
        )
        .wrapped(),
        many(
            "DO opens a cursor",
            &[
                "do $$ declare c refcursor := 'opened'; begin open c for select {c} from {t}; end $$",
                "fetch all from opened",
            ],
        )
        .wrapped(),
        many(
            "DO notifies",
            &["listen ch", "do $$ begin perform pg_notify('ch', (select string_agg({c}, ',') from {t})); end $$"],
        ),
        one(
            "DO in another language's name",
            "do language plpgsql $$ begin raise warning '%', (select string_agg({c}, ',') from {t}); end $$",
        ),
        one("DO with a plain string", "do 'begin raise warning ''%'', (select string_agg({c}, '','') from {t}); end'"),
        one("CALL with an output", "call {lab}.p_out('')"),
        one("CALL that tells", "call {lab}.p_notice()"),
        one("ASSERT with a message", "do $$ begin assert false, (select string_agg({c}, ',') from {t}); end $$"),
        many(
            "own procedure",
            &[
                "create procedure {lab}.mine(inout v text) language sql as 'select string_agg({c}, '','') from {t}'",
                "call {lab}.mine('')",
            ],
        )
        .wrapped(),
        one(
            "DO behind a comment",
            "/* */ do $x$ begin raise warning '%', (select string_agg({c}, ',') from {t}); end $x$",
        ),
    ]
}

fn triggers() -> Vec<Variant> {
    vec![
        one("trigger that is there", "insert into {lab}.told (n) values (3) returning v").wrapped(),
        many("trigger that is there, read later", &["insert into {lab}.told (n) values (3)", "select v from {lab}.told"]).wrapped(),
        one("rule that is there", "insert into {lab}.ruled values (1, 'x')").wrapped(),
        one("default that is there", "insert into {lab}.defaulted (n) values (1) returning v").wrapped(),
        many("default that is there, read later", &["insert into {lab}.defaulted (n) values (1)", "select v from {lab}.defaulted"]).wrapped(),
        many("default by ALTER", &["alter table {lab}.scratch alter v set default {lab}.count_patients()", "insert into {lab}.scratch (n) values (1) returning v"]).wrapped().privileged(),
        many("own trigger", &[
            "create table {lab}.own (n int, v text)",
            "create function {lab}.own_t() returns trigger language plpgsql as $$ begin new.v := (select {c} from {t} where {k} = new.n); return new; end $$",
            "create trigger own before insert on {lab}.own for each row execute function {lab}.own_t()",
            "insert into {lab}.own (n) values (3) returning v",
        ]).wrapped(),
        many("own rule", &["create table {lab}.own (n int)", "create rule tell as on insert to {lab}.own do instead select {c} from {t}", "insert into {lab}.own values (1)"]).wrapped(),
        many("rule on a view", &["create view {lab}.ov as select 1 as n", "create rule upd as on update to {lab}.ov do instead update {t} set {k} = {k} where {k} < 4 returning 1", "update {lab}.ov set n = 1 returning n"]).wrapped().silent("the rule returns no value; that it runs is the point"),
        many("own generated column", &["create table {lab}.own (n bigint, v text generated always as ({lab}.f_variadic(n::text, 'x')) stored)", "insert into {lab}.own (n) select replace({c}, '-', '')::bigint from {t}", "select v from {lab}.own"]).wrapped(),
        many("own check that tells", &["create table {lab}.own (v text check ({lab}.f_warning(v)))", "insert into {lab}.own select {c} from {t}"]).wrapped(),
        many("own index expression that tells", &["create function {lab}.own_i(text) returns text immutable language plpgsql as $$ begin raise warning '%', $1; return $1; end $$", "create table {lab}.own as select {c} as v from {t}", "create index on {lab}.own ({lab}.own_i(v))"]).wrapped(),
        many("own policy that tells", &["create table {lab}.own as select {c} as v from {t}", "create policy p on {lab}.own using ({lab}.f_warning(v))", "alter table {lab}.own enable row level security", "alter table {lab}.own force row level security", "select 1 from {lab}.own"]).wrapped(),
        many("ALTER TYPE USING", &["create temp table altered as select {c} as v from {t}", "alter table altered alter v type int using v::int"]).wrapped(),
    ]
}

fn shadows() -> Vec<Variant> {
    vec![
        one("qualified", "select {lab}.upper('3')"),
        one("qualified length", "select {lab}.length('4')"),
        many("by search_path", &["set search_path = {lab}, pg_catalog", "select upper('3')"]),
        many("by search_path for length", &["set search_path = {lab}, pg_catalog", "select length('4')"]),
        many("by set_config", &["select set_config('search_path', '{lab}, pg_catalog', false)", "select upper('3')"]),
        many("by ALTER ROLE", &["alter role current_user set search_path = {lab}, pg_catalog", "select upper('3')"]).wrapped().silent("it holds from the next session"),
        many("by SET LOCAL", &["set local search_path = {lab}, pg_catalog", "select upper('3')"]).wrapped(),
        many("own function in pg_temp", &["create function pg_temp.upper(text) returns text language sql as 'select string_agg({c}, '','') from {t}'", "select pg_temp.upper('x')"]).wrapped(),
        many("own better match", &["create function {lab}.upper(unknown) returns text language sql as 'select string_agg({c}, '','') from {t}'", "set search_path = {lab}, pg_catalog", "select upper('x'::unknown)"]).wrapped().silent("functions may not take the unknown type"),
        many("own operator in the path", &["create function {lab}.cat2(text, text) returns text language sql as 'select string_agg({c}, '','') from {t}'", "create operator {lab}.|| (leftarg = text, rightarg = text, function = {lab}.cat2)", "set search_path = {lab}, pg_catalog", "select 'a'::text || 'b'::text"]).wrapped(),
        many("table in pg_temp", &["create temp table departments as select {c} as name, 1 as beds from {t}", "set search_path = pg_temp, {s}", "select name from departments"]).wrapped(),
        many("table before the schema", &["set search_path = {s}", "create temp table departments as select {c} as name from {t}", "select name from departments"]).wrapped(),
        many("schema in the path", &["set search_path = {s}", "select {c} || '' from {n}"]),
        many("schema in the path, plain", &["set search_path = {s}", "select {c} as x from {n}"]),
        many("own type named text", &["create domain {lab}.int4 as text", "set search_path = {lab}, pg_catalog", "select {c}::int4 from {s}.{n}"]).wrapped(),
        many("own type in the path", &["create domain {lab}.money as text", "set search_path = {lab}, pg_catalog", "select {c}::money from {t}"]).wrapped(),
    ]
}
