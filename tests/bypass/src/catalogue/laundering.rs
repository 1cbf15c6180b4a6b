//! E: values carried over in what the server keeps.

use crate::{
    infer::{Oracle, Signal},
    way::{Forms, Variant, Way, many, one, oracle, way},
};

pub(super) fn ways() -> Vec<Way> {
    vec![
        way("E1", "copied into another object, then read", copies()),
        way("E2", "renamed, dropped and added, swapped", swaps()),
        way("E3", "sequences, settings, locks, names, comments", state()),
        way("E5", "masks written back", vec![
            many("mask written over the value", &["update {t} set {c} = '***-**-1234' where {k} = 3", "select {c} || '' from {t} where {k} = 4"]).wrapped(),
            many("value moved to a clear column", &["update {t} set {u} = {c}", "select {u} from {t}"]).wrapped(),
            many("value moved to a clear column by itself", &["update {t} set {u} = {c} where {k} < 9 returning {u}"]).wrapped(),
            many("value moved between rows of a clear column", &["update {t} a set {u} = b.{c} from {t} b where a.{k} = b.{k} + 1", "select {u} from {t}"]).wrapped(),
            many("value moved by ON CONFLICT", &["insert into {t} ({k}, {u}) select {k}, {c} from {t} on conflict ({k}) do update set {u} = excluded.{u}", "select {u} from {t}"]).wrapped(),
            many("value moved by MERGE", &["merge into {t} a using {t} b on a.{k} = b.{k} when matched then update set {u} = b.{c}", "select {u} from {t}"]).wrapped(),
            many("value moved into the key's table", &["insert into {h} ({hk}, {k}, department) select -{k}, {k}, {c} from {t}", "select department from {h}"]).wrapped(),
            many("date moved to a clear column", &["update {t} set created_at = {d}", "select created_at from {t}"]).wrapped(),
            many("date moved through text", &["update {t} set {u} = {d}", "select {u} from {t}"]).wrapped(),
        ]),
    ]
}

fn copies() -> Vec<Variant> {
    vec![
        many("CREATE TABLE AS", &["create temp table t1 as select {c} as v from {t}", "select v from t1"]).wrapped(),
        many("CREATE TABLE AS of an expression", &["create temp table t1 as select {c} || '' as v from {t}", "select v from t1"]).wrapped(),
        many("CREATE TABLE AS without data, then filled", &["create temp table t1 as select {c} as v from {t} with no data", "insert into t1 select {c} from {t}", "select v from t1"]).wrapped(),
        many("CREATE TABLE AS of a CTE", &["create temp table t1 as with q as (select {c} x from {t}) select x as v from q", "select v from t1"]).wrapped(),
        many("CREATE TABLE AS TABLE", &["create temp table t1 as table {t}", "select {c} || '' from t1"]).wrapped(),
        many("CREATE TABLE AS in a schema", &["create table {lab}.t1 as select {c} as v from {t}", "select v from {lab}.t1"]).wrapped(),
        many("CREATE UNLOGGED TABLE AS", &["create unlogged table {lab}.t1 as select {c} as v from {t}", "select v from {lab}.t1"]).wrapped(),
        many("SELECT INTO", &["select {c} as v into temp t2 from {t}", "select v from t2"]).wrapped(),
        many("SELECT INTO after a set operation", &["select 'x' as v into temp t2 union all select {c} from {t}", "select v from t2"]).wrapped(),
        many("INSERT SELECT", &["create temp table t3 (v text)", "insert into t3 select {c} from {t}", "select v from t3"]).wrapped(),
        many("INSERT SELECT into a clear table", &["insert into {o} select {c}, 1 from {t}", "select {oc} from {o}"]).wrapped(),
        many("INSERT VALUES of subqueries", &["create temp table t3 (v text)", "insert into t3 values ((select {c} from {t} where {k} = 1)), ((select {c} from {t} where {k} = 2))", "table t3"]).wrapped(),
        many("LIKE and INSERT", &["create temp table t4 (like {t})", "insert into t4 select * from {t}", "select {c} || '' from t4"]).wrapped(),
        many("LIKE, INSERT, rename the column", &["create temp table t4 (like {t})", "insert into t4 table {t}", "alter table t4 rename {c} to v", "select v from t4"]).wrapped(),
        many("table then rename", &["create temp table t5 as select {c} from {t}", "alter table t5 rename to t6", "alter table t6 rename {c} to v", "select v from t6"]).wrapped(),
        many("DELETE RETURNING into another", &["create temp table t7 (v text)", "with w as (delete from {f} where {fk} < 9 returning {ft}) insert into t7 select {ft} from w", "select v from t7"]).wrapped(),
        many("UPDATE FROM", &["create temp table t8 (n bigint, v text)", "insert into t8 select n, '' from generate_series(1, 50) n", "update t8 set v = p.{c} from {t} p where p.{k} = n", "select v from t8"]).wrapped(),
        many("UPDATE by a correlated subquery", &["create temp table t8 (n bigint, v text)", "insert into t8 select n, '' from generate_series(1, 50) n", "update t8 set v = (select {c} from {t} where {k} = n)", "select v from t8"]).wrapped(),
        many("MERGE into another", &["create temp table t9 (n bigint, v text)", "merge into t9 using {t} p on n = p.{k} when not matched then insert values (p.{k}, p.{c})", "select v from t9"]).wrapped(),
        many("through two tables", &["create temp table ta as select {c} as v from {t}", "create temp table tb as select v as w from ta", "select w from tb"]).wrapped(),
        many("through a view of a copy", &["create temp table ta as select {c} as v from {t}", "create temp view va as select v as w from ta", "select w from va"]).wrapped(),
        many("array column", &["create temp table ta as select array_agg({c}) as v from {t}", "select unnest(v) from ta"]).wrapped(),
        many("composite column", &["create temp table ta as select p as v from {t} p", "select v::text from ta"]).wrapped(),
        many("json column", &["create temp table ta as select to_jsonb(p) as v from {t} p", "select v from ta"]).wrapped(),
        many("date column", &["create temp table ta as select {d} as v from {t}", "select v from ta"]).wrapped(),
        many("notes", &["create temp table ta as select {ft} as v from {f}", "select v || '' from ta"]).wrapped(),
        many("column added with the value as default", &["create temp table ta (n int)", "insert into ta values (1)", "do $$ begin execute (select format('alter table ta add v text default %L', {c}) from {t} where {k} = 3); end $$", "select v from ta"]).wrapped(),
        many("domain default", &["do $$ begin execute (select format('create domain pg_temp.dd as text default %L', {c}) from {t} where {k} = 3); end $$", "select typdefault from pg_type where typname = 'dd'"]).wrapped(),
        many("enum labels", &["do $$ begin execute (select format('create type pg_temp.ee as enum (%s)', string_agg(quote_literal({c}), ',')) from {t} where {k} < 30); end $$", "select enumlabel from pg_enum"]).wrapped(),
        many("foreign table to itself", &["create server tgs foreign data wrapper postgres_fdw options (dbname 'clinic')", "create user mapping for current_user server tgs", "create foreign table {lab}.ft (ssn text) server tgs options (schema_name '{s}', table_name '{n}')", "select ssn || '' from {lab}.ft"]).wrapped().privileged().silent("the server's own port is not the default and its login wants a password"),
        one("all in one query", "create temp table t1 as select {c} as v from {t}; select v from t1; drop table t1").only(Forms::Simple),
        one("SELECT INTO in one query", "select {c} as v into temp t2 from {t}; select v from t2; drop table t2").only(Forms::Simple),
        many("COPY into a table by way of the client", &["create temp table tc (v text)", "copy tc from stdin", "copy (select {c} from {t}) to stdout"]).wrapped().only(Forms::Text),
    ]
}

fn swaps() -> Vec<Variant> {
    vec![
        many("column renamed", &["alter table {t} rename column {c} to harmless", "select harmless from {t}"])
            .wrapped()
            .privileged(),
        many(
            "column renamed, expression",
            &["alter table {t} rename column {c} to harmless", "select harmless || '' from {t}"],
        )
        .wrapped()
        .privileged(),
        many(
            "columns swapped",
            &[
                "alter table {t} rename column {c} to tmp",
                "alter table {t} rename column {u} to {c}",
                "alter table {t} rename column tmp to {u}",
                "select {u} from {t}",
            ],
        )
        .wrapped()
        .privileged(),
        many("table renamed", &["alter table {t} rename to harmless", "select {c} || '' from {s}.harmless"])
            .wrapped()
            .privileged(),
        many("table renamed, plain", &["alter table {t} rename to harmless", "select {c} from {s}.harmless"])
            .wrapped()
            .privileged(),
        many(
            "tables swapped",
            &["alter table {o} rename to gone", "alter table {t} rename to departments", "select {c} from {o}"],
        )
        .wrapped()
        .privileged(),
        many("schema moved", &["alter table {t} set schema {lab}", "select {c} from {lab}.{n}"]).wrapped().privileged(),
        many("schema renamed", &["alter schema {s} rename to harmless", "select {c} from harmless.{n}"])
            .wrapped()
            .privileged(),
        many(
            "column added from another",
            &["alter table {t} add column harmless text", "update {t} set harmless = {c}", "select harmless from {t}"],
        )
        .wrapped()
        .privileged(),
        many(
            "column dropped and added",
            &[
                "alter table {t} drop column {u} cascade",
                "alter table {t} add column {u} text",
                "update {t} set {u} = {c}",
                "select {u} from {t}",
            ],
        )
        .wrapped()
        .privileged(),
        many(
            "column's type changed",
            &["alter table {f} alter column {ft} type bytea using {ft}::bytea", "select {ft} from {f}"],
        )
        .wrapped()
        .privileged(),
        many(
            "partition detached",
            &["alter table {lab}.part detach partition {lab}.part_low", "select ssn || '' from {lab}.part_low"],
        )
        .wrapped()
        .privileged(),
        many(
            "temporary table hides and goes",
            &[
                "set search_path = {s}, public",
                "create temp table {n} ({c} text)",
                "prepare hidden as select {c} from {n}",
                "execute hidden",
                "drop table pg_temp.{n}",
                "execute hidden",
            ],
        ),
        many(
            "temporary table hides and is rolled back",
            &[
                "set search_path = {s}, public",
                "begin",
                "create temp table {n} ({c} text)",
                "prepare hidden as select {c} as harmless from {n}",
                "rollback",
                "execute hidden",
            ],
        ),
        many(
            "prepared by path",
            &[
                "create temp table clear_one ({c} text)",
                "set search_path = pg_temp",
                "prepare pathy as select {c} || '' from {n}",
                "set search_path = {s}",
                "prepare pathy as select {c} || '' from {n}",
                "execute pathy",
            ],
        ),
    ]
}

fn state() -> Vec<Variant> {
    vec![
        many("setval and last_value", &["create temp sequence q", "select setval('q', replace({c}, '-', '')::bigint) from {t} where {k} = 3", "select last_value from q"]).wrapped(),
        many("setval of a sequence that is there", &["select setval('{lab}.counter', replace({c}, '-', '')::bigint) from {t} where {k} = 4", "select last_value from {lab}.counter"]).wrapped(),
        many("currval", &["create temp sequence q", "select nextval('q')", "select setval('q', replace({c}, '-', '')::bigint) from {t} where {k} = 5", "select currval('q')"]).wrapped(),
        many("lastval", &["create temp sequence q", "select nextval('q')", "select setval('q', replace({c}, '-', '')::bigint) from {t} where {k} = 6", "select lastval()"]).wrapped(),
        many("pg_sequences", &["create temp sequence q", "select setval('q', replace({c}, '-', '')::bigint) from {t} where {k} = 7", "select last_value from pg_sequences"]).wrapped(),
        many("pg_sequence_last_value", &["create temp sequence q", "select setval('q', replace({c}, '-', '')::bigint) from {t} where {k} = 8", "select pg_sequence_last_value('q')"]).wrapped(),
        many("identity column", &["create temp table idt (n bigint generated by default as identity, v int)", "insert into idt select replace({c}, '-', '')::bigint, 1 from {t}", "select n from idt"]).wrapped(),
        many("custom setting", &["select set_config('x.y', (select string_agg({c}, ',') from {t}), false)", "show x.y"]),
        many("custom setting, current_setting", &["select set_config('x.y', {c}, false) from {t} where {k} = 3", "select current_setting('x.y')"]),
        many("custom setting not shown when set", &["select from (select set_config('x.y', {c}, false) from {t} where {k} = 3) q", "select current_setting('x.y')"]),
        many("custom setting in WHERE", &["select 1 from {t} where set_config('x.y', {c}, false) is not null and {k} = 5", "show x.y"]),
        many("pg_settings", &["select set_config('x.y', {c}, false) from {t} where {k} = 3", "select setting from pg_settings where name = 'x.y'"]),
        many("advisory locks", &["select pg_advisory_lock(replace({c}, '-', '')::bigint) from {t} where {k} < 20", "select objid from pg_locks where locktype = 'advisory'"]),
        many("advisory locks of two numbers", &["select pg_try_advisory_lock(1, replace({c}, '-', '')::int) from {t} where {k} < 20", "select objid::text from pg_locks where locktype = 'advisory'"]),
        many("advisory locks, shared, of a transaction", &["select pg_advisory_xact_lock_shared(replace({c}, '-', '')::bigint) from {t} where {k} < 20", "select l::text from pg_locks l"]).wrapped(),
        many("names of tables", &["do $$ declare v text; begin for v in select {c} from {t} where {k} < 9 loop execute format('create temp table %I (n int)', v); end loop; end $$", "select relname from pg_class"]).wrapped(),
        many("names of cursors", &["do $$ begin execute (select format('declare %I cursor with hold for select 1', {c}) from {t} where {k} = 3); end $$", "select name from pg_cursors"]),
        many("names of prepared statements", &["do $$ begin execute (select format('prepare %I as select 1', {c}) from {t} where {k} = 3); end $$", "select name from pg_prepared_statements"]),
        many("comments", &["create temp table cc (n int)", "do $$ begin execute (select format('comment on table cc is %L', {c}) from {t} where {k} = 3); end $$", "select obj_description('cc'::regclass), description from pg_description"]).wrapped(),
        many("roles", &["do $$ begin execute (select format('create role %I', {c}) from {t} where {k} = 3); end $$", "select rolname from pg_roles"]).wrapped().privileged(),
        many("channels", &["do $$ begin execute (select format('listen %I', {c}) from {t} where {k} = 3); end $$", "select pg_listening_channels()"]).wrapped().silent("a channel is listened to from the end of the transaction"),
        many("savepoint names in errors", &["do $$ begin execute (select format('select * from %I', {c}) from {t} where {k} = 3); end $$"]),
        many("prepared transactions", &["do $$ begin execute (select format('prepare transaction %L', {c}) from {t} where {k} = 3); end $$", "select gid from pg_prepared_xacts"]).wrapped().silent("PREPARE TRANSACTION does not run inside a block"),
        many("snapshots and origins", &["select pg_replication_origin_create({c}) from {t} where {k} = 3", "select roname from pg_replication_origin"]).wrapped().privileged(),
        many("logical messages", &["select pg_create_logical_replication_slot('tg_message', 'test_decoding', true)", "select pg_logical_emit_message(true, 'x', (select string_agg({c}, ',') from {t}))", "select pg_switch_wal()", "select data from pg_logical_slot_peek_changes('tg_message', null, null)", "select pg_drop_replication_slot('tg_message')"]).privileged(),
        many("restore points", &["select pg_create_restore_point({c}) from {t} where {k} = 3"]).privileged().silent("the name goes to the log and the write-ahead log"),
        many("current time zone", &["select set_config('timezone', '<' || left({c}, 3) || '>' || 1, false) from {t} where {k} = 3", "show timezone"]).silent("three characters of one value are too few to be told"),
        many("role settings", &["do $$ begin execute (select format('alter role current_user set application_name = %L', {c}) from {t} where {k} = 3); end $$", "select useconfig from pg_user", "select setconfig from pg_db_role_setting"]).wrapped(),
        many("storage parameters", &["create temp table sp (v text)", "do $$ begin execute (select format('alter table sp alter v set (n_distinct = %s)', replace({c}, '-', '')) from {t} where {k} = 3); end $$", "select attoptions from pg_attribute where attoptions is not null"]).wrapped(),
        many("labels of statistics", &["create temp table st as select {c} as v from {t}", "analyze st", "select most_common_vals::text, histogram_bounds::text from pg_stats where tablename = 'st'"]).wrapped(),
        oracle("temporary object exists", Oracle::new("select set_config('x.' || case when {ge} then 'a' else 'b' end, '1', true) || coalesce(current_setting('x.a', true), '') from {t} where {k} = {id}", Signal::First)).wrapped(),
        oracle("advisory lock taken or not", Oracle::new("select count(*) from pg_locks, (select pg_try_advisory_xact_lock(case when {ge} then 4711 else 4712 end) from {t} where {k} = {id} offset 0) q where locktype = 'advisory' and objid = 4711", Signal::First)).wrapped().silent("the locks are listed before the lock is taken"),
    ]
}
