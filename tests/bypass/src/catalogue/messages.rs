//! C: values in messages beside the rows.

use crate::{
    client::Client,
    infer::{Oracle, Signal},
    way::{Forms, Way, frames, many, one, oracle, way},
};
use tests::wire::query;

pub(super) fn ways() -> Vec<Way> {
    vec![
        way("C1", "text of errors", vec![
            one("cast to int", "select {c}::int from {t}"),
            one("cast to date", "select cast({c} as date) from {t}"),
            one("cast to numeric", "select ({c} || 'x')::numeric from {t}"),
            one("cast to boolean", "select {c}::boolean from {t}"),
            one("cast to uuid", "select {c}::uuid from {t}"),
            one("cast to json", "select (replace({c}, '-', '') || 'x{')::json from {t}"),
            one("cast to xml", "select ('<' || {c})::xml from {t}"),
            one("cast to inet", "select {c}::inet from {t}"),
            one("cast to interval", "select ('x' || {c})::interval from {t}"),
            one("cast to int array", "select ('{' || {c} || '}')::int[] from {t}"),
            one("cast to point", "select {c}::point from {t}"),
            one("cast to regclass", "select {c}::regclass from {t}"),
            one("cast to regtype", "select ('\"' || {c} || '\"')::regtype from {t}"),
            one("cast to enum or unknown type", "select to_regclass({c}), {c}::regproc from {t}"),
            one("cast to tsquery", "select ({c} || ' & (')::tsquery from {t}"),
            one("cast to bit", "select {c}::bit(3) from {t}").silent("only the offending digit is shown"),
            one("cast to money", "select ('x' || {c})::money from {t}"),
            one("to_timestamp", "select to_timestamp({c}, 'YYYY-MM-DD HH') from {t}"),
            one("to_date", "select to_date({c}, 'Month') from {t}"),
            one("encoding name", "select convert_to('x', {c}) from {t}"),
            one("decode format", "select decode('x', {c}) from {t}"),
            one("time zone", "select now() at time zone {c} from {t}"),
            one("date field", "select date_trunc({c}, now()) from {t}"),
            one("date_part field", "select date_part({c}, now()) from {t}"),
            one("text search configuration", "select to_tsvector({c}::regconfig, 'x') from {t}"),
            one("setting name", "select current_setting({c}) from {t}"),
            one("missing function argument", "select has_table_privilege({c}, 'select') from {t}"),
            one("role name", "select has_table_privilege({c}, '{t}', 'select') from {t}"),
            one("privilege name", "select has_table_privilege('{t}', {c}) from {t}"),
            one("regular expression", "select 'x' ~ ('(' || {c}) from {t}").silent("the pattern is not repeated in the message"),
            one("format string", "select format('%' || {c}, 1) from {t}").silent("only the offending character is shown"),
            one("nextval", "select nextval({c}) from {t}"),
            one("json path", "select jsonb_path_query('{}', ('$.' || {c})::jsonpath) from {t}").silent("only the offending token is shown"),
            one("jsonb_path error", "select jsonb_path_query(to_jsonb({c}), 'strict $.a') from {t}").silent("the message names the path alone"),
            one("json_populate type", "select jsonb_populate_record(null::{o}, jsonb_build_object('{on}', {c})) from {t}"),
            one("xpath", "select xpath({c}, '<a/>') from {t}").silent("the expression is not repeated"),
            one("hstore", "select ({c} || '=>')::hstore from {t}").silent("only the place of the mistake is shown"),
            one("parse_ident", "select parse_ident({c}) from {t}"),
            one("cast in WHERE", "select 1 from {t} where {c}::int = 1"),
            one("cast in ORDER BY", "select 1 from {t} order by {c}::int"),
            one("cast in a join", "select 1 from {t} p join {o} d on p.{c}::int = d.{on}"),
            one("cast in an aggregate", "select sum({c}::int) from {t}"),
            one("cast of all values at once", "select (select string_agg({c}, ',') from {t})::int"),
            one("cast of a row", "select (select p::text from {t} p where {k} = 3)::int"),
            one("set_config value", "select set_config('datestyle', {c}, true) from {t}"),
            one("set_config name", "select set_config({c}, 'x', true) from {t}"),
            one("cast in DML", "update {o} set {on} = (select {c}::int from {t} where {k} = 3)").wrapped(),
            one("cast in COPY", "copy (select {c}::int from {t}) to stdout").only(Forms::Text),
            one("RAISE by a function", "select {lab}.f_error({c}) from {t}"),
            one("duplicate object", "select pg_create_physical_replication_slot({c}) from {t}").privileged(),
            one("advisory lock overflow", "select pg_advisory_lock((replace({c}, '-', '') || '0000000000000')::bigint) from {t}"),
            one("window frame", "select count(*) over (rows (select {c}::int from {t} where {k} = 3) preceding) from {t}"),
            one("generate_series bound", "select generate_series(1, {c}::int) from {t}"),
            one("LIMIT", "select 1 from {t} limit (select {c}::int from {t} where {k} = 3)"),
            one("TABLESAMPLE", "select 1 from {t} tablesample bernoulli ((select {c}::float4 from {t} where {k} = 3))"),
        ]),
        way("C2", "DETAIL of constraint errors", vec![
            one("primary key", "update {t} set {k} = 1 where {k} = 2").wrapped().silent("the key alone is shown"),
            one("foreign key", "delete from {t} where {k} = 1").wrapped().silent("the key alone is shown"),
            one("check constraint", "insert into {lab}.checked select 1, {c} from {t}").wrapped(),
            one("not null", "insert into {t} select null, mrn, ssn from clinic.patients").wrapped(),
            one("not null by UPDATE of one column", "update {t} set {k} = null where {k} = 3").wrapped(),
            one("exclusion by another key", "insert into {lab}.bounds select 1, {c} from {t}").wrapped().silent("the key alone is shown"),
            many("unique index on the value", &["create temp table tu (v text unique)", "insert into tu select {c} from {t}", "insert into tu select {c} from {t}"]).wrapped(),
            one("foreign key with the value as key", "insert into {h} ({hk}, {k}) select -{k}, replace({c}, '-', '')::bigint from {t}").wrapped(),
            many("own check", &["create temp table tc (v text check (v = 'x'))", "insert into tc select {c} from {t}"]).wrapped(),
            one("partition bounds", "insert into {lab}.part select -5, {c} from {t}").wrapped().silent("the partition key alone is shown"),
            one("view check option", "insert into {lab}.checked (n, v) values (1, (select {c} from {t} where {k} = 3))").wrapped(),
            many("added check", &["create temp table ta as select {c} as v from {t}", "alter table ta add constraint z check (v = 'x')"]).wrapped().silent("no row is shown when a constraint is added"),
            many("unique index made", &["create temp table ti as select {c} as v from {t} union all select {c} from {t}", "create unique index on ti (v)"]).wrapped(),
        ]),
        way("C3", "notices", vec![
            one("DO", "do $$ declare r record; begin for r in select * from {t} loop raise notice '%', r.{c}; end loop; end $$"),
            one("DO with warnings", "do $$ begin raise warning '%', (select string_agg({c}, ',') from {t}); end $$"),
            one("DO with info", "do $$ begin raise info '%', (select string_agg({c}, ',') from {t}); end $$"),
            one("cheap function in WHERE", "select 1 from {t} where {lab}.f_notice({c})"),
            one("function that warns", "select {lab}.f_warning({c}) from {t}"),
            one("function that informs", "select {lab}.f_info({c}) from {t}"),
            one("own temporary function", "create function pg_temp.f(text) returns text language plpgsql as $$ begin raise notice '%', $1; return ''; end $$; select pg_temp.f({c}) from {t}").only(Forms::Simple).wrapped(),
            many("own temporary function, step by step", &["create function pg_temp.f(text) returns text language plpgsql as $$ begin raise notice '%', $1; return ''; end $$", "select pg_temp.f({c}) from {t}"]).wrapped(),
            one("procedure", "call {lab}.p_notice()"),
            one("name that exists already", "select {lab}.f_notice(s) from {lab}.v"),
            many("truncated identifier", &["set client_min_messages = notice", "select 1 from {t} where {lab}.f_notice(left({c}, 40))"]),
        ]),
        way("C4", "debug output", vec![
            many("debug_print_plan", &["set client_min_messages = log", "set debug_print_plan = on", "select upper('probe'), {k} from {t} where {k} = 3"]).silent("a plan holds the constants of the statement alone"),
            many("auto_explain", &["load 'auto_explain'", "set auto_explain.log_min_duration = 0", "set auto_explain.log_analyze = on", "set client_min_messages = log", "select 1 from {t} where {c} = (select {c} from {t} where {k} = 3)"]).privileged().silent("the plan shows the parameter's name, not its value"),
            many("log of statements with constants", &["set client_min_messages = log", "set log_statement = 'all'", "select {lab}.f_dynamic((select format('select %L', {c}) from {t} where {k} = 3))"]).privileged(),
            many("constants folded into a plan", &["set client_min_messages = debug1", "select {lab}.f_notice({c}) from {t}"]),
            many("debug5", &["set client_min_messages = debug5", "select {c} || '' from {t} where {k} = 3"]),
        ]),
        way("C5", "notifications", vec![
            many("pg_notify", &["listen ch", "select pg_notify('ch', {c}) from {t}"]),
            many("pg_notify of all", &["listen ch", "select pg_notify('ch', (select string_agg({c}, ',') from {t}))"]),
            many("channel named after the value", &["select pg_notify({c}, '') from {t} where {k} = 3", "do $$ begin execute (select format('listen %I', {c}) from {t} where {k} = 3); end $$", "select pg_listening_channels()"]),
            frames("heard by another session", |talk| {
                let secret = talk.fill("select pg_notify('tg_bypass', {c}) from {t}")?;
                let mut other = Client::login(talk.login).map_err(|error| error.to_string())?;
                let listening = other.ask(&query("listen tg_bypass"))?;
                talk.heard.extend(listening);
                talk.ask(&[query(&secret)])?;
                let heard = other.ask(&query("select 1"))?;
                talk.heard.extend(heard);
                Ok(())
            }).only(Forms::Once),
        ]),
        way("C6", "parameter status", vec![
            one("application_name", "select set_config('application_name', {c}, false) from {t} where {k} < 6"),
            one("application_name with a date", "select set_config('application_name', {d}::text, false) from {t} where {k} < 6"),
            many("by DO", &["do $$ begin perform set_config('application_name', (select {c} from {t} where {k} = 4), false); end $$", "select 1"]),
            many("by UPDATE of pg_settings", &["update pg_settings set setting = (select {c} from {t} where {k} = 3) where name = 'application_name'"]),
            many("by a function", &["select {lab}.f_dynamic('select set_config(''application_name'', (select {c} from {t} where {k} = 3), false)')"]),
        ]),
        way("C7", "names of columns", vec![
            many("view named after a value", &[
                "do $$ begin execute (select format('create temp view named as select 1 as %I', {c}) from {t} where {k} = 5); end $$",
                "select * from named",
            ]).wrapped(),
            many("crosstab-like by crosstab of names", &["do $$ begin execute (select 'create temp table wide (' || string_agg(format('%I int', {c}), ',') || ')' from {t} where {k} < 9); end $$", "select * from wide"]).wrapped(),
            many("error of a dynamic statement", &["do $$ begin execute (select format('alter table pg_temp.x rename to %I', {c}) from {t} where {k} = 5); exception when others then raise; end $$"]),
            one("dblink names", "select * from dblink('dbname=clinic', 'select 1') as d(x int)").silent("needs a password; the connection is what must not happen"),
        ]),
        way("C8", "counts of rows", vec![
            oracle("UPDATE count", Oracle::new("update {o} set {on} = {on} where exists (select 1 from {t} where {k} = {id} and {ge})", Signal::Tag)).wrapped(),
            oracle("DELETE count", Oracle::new("delete from {f} where {k} in (select {k} from {t} where {k} = {id} and {sub})", Signal::Tag)).wrapped(),
            oracle("INSERT count", Oracle::new("insert into {lab}.scratch select 1, 'x' from {t} where {k} = {id} and {regex}", Signal::Tag)).wrapped(),
            oracle("SELECT count", Oracle::new("select from {t} where {k} = {id} and {in}", Signal::Tag)),
            oracle("MERGE count", Oracle::new("merge into {o} d using (select 1 from {t} where {k} = {id} and {ge}) p on false when not matched then insert values ('x', 1)", Signal::Tag)).wrapped(),
            oracle("COPY count", Oracle::new("copy (select 1 from {t} where {k} = {id} and {ge}) to stdout", Signal::Tag)),
            oracle("ON CONFLICT count", Oracle::new("insert into {t} ({k}) values ({id}) on conflict ({k}) do update set {k} = excluded.{k} where {n}.{c} collate \"C\" >= '{px}'", Signal::Tag)).wrapped(),
            oracle("FETCH count", Oracle::new("with q as (select 1 from {t} where {k} = {id} and {ge}) select * from q", Signal::Tag)),
            oracle("CREATE TABLE AS count", Oracle::new("create temp table counted as select 1 x from {t} where {k} = {id} and {ge}", Signal::Tag)).wrapped(),
        ]),
        way("C9", "what others asked, and what the server keeps", vec![
            frames("pg_stat_activity", |talk| {
                let speaks = talk.fill("do $$ begin perform '{c}'; execute (select format('select set_config(''application_name'', %L, false)', {c}) from {t} where {k} = 3); end $$")?;
                let mut other = Client::login(talk.login).map_err(|error| error.to_string())?;
                let answer = other.ask(&query(&speaks))?;
                // Only what the reader sees counts: the other session's own answers are its own.
                drop(answer);
                talk.ask(&[query("select application_name, query from pg_stat_activity")])
            }).only(Forms::Once),
            // Of statements that are alike the first one's text is kept: nobody else says one like this.
            many("pg_stat_statements", &["select {lab}.f_dynamic((select format('select 1::int2 as %I, 2::int8, 3::int4', {c}) from {t} where {k} = 3))", "select query from pg_stat_statements"]).privileged(),
            many("pg_prepared_statements", &["do $$ begin execute (select format('prepare pp as select %L', {c}) from {t} where {k} = 3); end $$", "select statement from pg_prepared_statements"]),
            many("pg_cursors", &["do $$ begin execute (select format('declare cc cursor with hold for select %L', {c}) from {t} where {k} = 3); end $$", "select statement from pg_cursors"]),
            many("the server's log", &["select {lab}.f_warning({c}) from {t} where {k} = 3", "select pg_read_file(pg_current_logfile())"]).privileged(),
        ]),
    ]
}
