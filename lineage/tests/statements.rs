//! Effects, relations, functions and session uses. One line for each case: statement, expected.

use std::sync::Arc;

use lineage::facts::FunctionStanding;
use lineage::{Effects, SessionUse, Statement, analyse};

fn all(sql: &str) -> Vec<Arc<Statement>> {
    analyse(sql).unwrap_or_else(|e| panic!("{sql}: {}", e.message)).statements
}

fn check(show: fn(&Statement) -> String, cases: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (sql, expected) in cases {
        let found = all(sql).iter().map(|s| show(s)).collect::<Vec<_>>().join("; ");
        if found != *expected {
            wrong.push_str(&format!("\n{sql}\n  expected {expected}\n  found    {found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn effects(statement: &Statement) -> String {
    format!("{}: {}", statement.kind, statement.effects.names().collect::<Vec<_>>().join(" "))
}

fn relations(statement: &Statement) -> String {
    let all: Vec<_> = statement
        .relations
        .iter()
        .map(|r| {
            let how = match (r.read, r.written) {
                (true, true) => "rw",
                (true, false) => "r",
                (false, true) => "w",
                (false, false) => "-",
            };
            r.schema.as_ref().map_or_else(|| format!("{how} {}", r.name), |s| format!("{how} {s}.{}", r.name))
        })
        .collect();
    all.join(", ")
}

fn functions(statement: &Statement) -> String {
    let all: Vec<_> = statement.functions.iter().map(|f| format!("{} {:?}", f.name, f.standing)).collect();
    all.join(", ")
}

#[test]
fn every_kind_of_statement_has_its_effects() {
    check(
        effects,
        &[
            ("SELECT 1", "SELECT: read"),
            ("VALUES (1)", "VALUES: read"),
            ("SELECT 1 FOR UPDATE", "SELECT: read row-lock"),
            ("SELECT * FROM a, (SELECT 1 FROM b FOR SHARE) q", "SELECT: read row-lock"),
            ("SELECT 1 INTO t", "SELECT INTO: read create-as"),
            ("INSERT INTO t VALUES (1)", "INSERT: insert"),
            ("INSERT INTO t DEFAULT VALUES", "INSERT: insert"),
            ("INSERT INTO t SELECT 1", "INSERT: read insert"),
            ("INSERT INTO t VALUES (1) RETURNING a", "INSERT: read insert"),
            ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", "INSERT: insert update"),
            ("UPDATE t SET a = 1 WHERE b = 2", "UPDATE: update"),
            ("UPDATE t SET a = 1", "UPDATE: update update-without-where"),
            ("DELETE FROM t WHERE CURRENT OF c", "DELETE: delete"),
            ("DELETE FROM t", "DELETE: delete delete-without-where"),
            ("MERGE INTO t USING u ON true WHEN MATCHED THEN DO NOTHING", "MERGE: merge"),
            (
                "MERGE INTO t USING u ON true WHEN MATCHED AND a THEN UPDATE SET b = 1 WHEN MATCHED THEN DELETE \
                 WHEN NOT MATCHED THEN INSERT (a) VALUES (1)",
                "MERGE: insert update delete merge",
            ),
            (
                "WITH d AS (DELETE FROM t RETURNING *), i AS (INSERT INTO u VALUES (1)) SELECT 1",
                "SELECT: read insert delete delete-without-where",
            ),
            ("TRUNCATE a, b CASCADE", "TRUNCATE: truncate"),
            ("COPY t TO STDOUT", "COPY: read copy-out"),
            ("COPY (SELECT 1) TO STDOUT", "COPY: read copy-out"),
            ("COPY (DELETE FROM t WHERE a RETURNING b) TO STDOUT", "COPY: read delete copy-out"),
            ("COPY t FROM STDIN", "COPY: copy-in"),
            ("COPY t TO '/tmp/x'", "COPY: read copy-file"),
            ("COPY t FROM '/etc/passwd'", "COPY: copy-file"),
            ("COPY t TO PROGRAM 'id'", "COPY: read copy-program"),
            ("COPY t FROM PROGRAM 'id'", "COPY: copy-program"),
            ("CREATE TABLE t (a int)", "CREATE TABLE: create"),
            ("CREATE TABLE t (LIKE u INCLUDING ALL)", "CREATE TABLE: create"),
            ("CREATE TABLE t AS SELECT 1", "CREATE TABLE AS: read create-as"),
            ("CREATE TABLE t AS EXECUTE s", "CREATE TABLE AS: create-as prepare"),
            ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE MATERIALIZED VIEW: read create-as"),
            ("CREATE INDEX i ON t (a)", "CREATE INDEX: create"),
            ("CREATE SEQUENCE s", "CREATE SEQUENCE: create"),
            (
                "CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1",
                "CREATE SCHEMA: read create create-view",
            ),
            ("CREATE TYPE e AS ENUM ('a')", "CREATE TYPE: create"),
            ("CREATE TYPE c AS (a int)", "CREATE TYPE: create"),
            ("CREATE STATISTICS s ON a, b FROM t", "CREATE STATISTICS: create"),
            ("CREATE VIEW v AS SELECT 1", "CREATE VIEW: read create-view"),
            ("CREATE RULE r AS ON SELECT TO t DO INSTEAD SELECT 1", "CREATE RULE: read create-view"),
            ("CREATE POLICY p ON t USING (a = 1)", "CREATE POLICY: create-view"),
            ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'", "CREATE FUNCTION: create-code"),
            ("CREATE PROCEDURE f() LANGUAGE sql AS 'select 1'", "CREATE PROCEDURE: create-code"),
            ("CREATE FUNCTION f() RETURNS int RETURN 1", "CREATE FUNCTION: create-code"),
            (
                "CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
                "CREATE TRIGGER: create-code unknown-function",
            ),
            (
                "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
                "CREATE EVENT TRIGGER: create-code unknown-function",
            ),
            ("CREATE EXTENSION dblink", "CREATE EXTENSION: create-code"),
            ("CREATE DOMAIN d AS int CHECK (f(VALUE))", "CREATE DOMAIN: create-code unknown-function"),
            ("CREATE CAST (a AS b) WITHOUT FUNCTION", "CREATE CAST: create-code"),
            ("CREATE AGGREGATE a (int) (sfunc = f, stype = int)", "CREATE AGGREGATE: create create-code"),
            ("CREATE OPERATOR + (procedure = f, leftarg = int)", "CREATE OPERATOR: create create-code"),
            ("CREATE LANGUAGE l HANDLER f", "CREATE LANGUAGE: create-code"),
            ("ALTER TABLE t ADD COLUMN a int", "ALTER TABLE: alter"),
            ("ALTER TABLE t RENAME COLUMN a TO b", "ALTER: alter"),
            ("ALTER TABLE t RENAME TO u", "ALTER: alter"),
            ("ALTER TABLE t SET SCHEMA s", "ALTER: alter"),
            ("ALTER TABLE t OWNER TO me", "ALTER TABLE: alter"),
            ("ALTER FUNCTION f() OWNER TO me", "ALTER: alter"),
            ("ALTER FUNCTION f() SECURITY DEFINER", "ALTER FUNCTION: alter"),
            ("COMMENT ON TABLE t IS 'x'", "COMMENT: alter"),
            ("SECURITY LABEL ON TABLE t IS 'x'", "SECURITY LABEL: alter"),
            ("DROP TABLE t", "DROP TABLE: drop"),
            ("DROP SCHEMA s CASCADE", "DROP SCHEMA: drop"),
            ("DROP OWNED BY me", "DROP OWNED: drop grant"),
            ("GRANT SELECT ON t TO me", "GRANT: grant"),
            ("REVOKE ALL ON ALL TABLES IN SCHEMA s FROM me", "REVOKE: grant"),
            ("GRANT a TO b", "GRANT: grant"),
            ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO me", "ALTER DEFAULT PRIVILEGES: grant"),
            ("REASSIGN OWNED BY a TO b", "REASSIGN OWNED: grant"),
            ("CREATE ROLE r", "CREATE ROLE: role"),
            ("CREATE USER r", "CREATE ROLE: role"),
            ("ALTER ROLE r SUPERUSER", "ALTER ROLE: role"),
            ("ALTER ROLE r SET search_path = x", "ALTER ROLE: role server"),
            ("ALTER ROLE ALL IN DATABASE d RESET ALL", "ALTER ROLE: role server"),
            ("ALTER ROLE a RENAME TO b", "ALTER: alter role"),
            ("DROP ROLE r", "DROP ROLE: drop role"),
            ("DO 'begin end'", "DO: do"),
            ("CALL f(1)", "CALL: call unknown-function"),
            ("EXPLAIN SELECT 1", "EXPLAIN: read explain"),
            ("EXPLAIN DELETE FROM t", "EXPLAIN: read explain"),
            ("EXPLAIN ANALYZE DELETE FROM t WHERE a", "EXPLAIN: delete explain explain-analyze"),
            ("EXPLAIN (ANALYZE, VERBOSE) SELECT 1", "EXPLAIN: read explain explain-analyze"),
            ("EXPLAIN (ANALYZE false) DELETE FROM t", "EXPLAIN: read explain"),
            ("EXPLAIN (ANALYZE 0) DELETE FROM t", "EXPLAIN: read explain"),
            ("EXPLAIN SELECT pg_sleep(1)", "EXPLAIN: read explain dangerous-function"),
            ("EXPLAIN CREATE TABLE x AS SELECT 1", "EXPLAIN: read explain"),
            ("BEGIN", "BEGIN: transaction"),
            ("START TRANSACTION READ ONLY", "START TRANSACTION: transaction"),
            ("COMMIT", "COMMIT: transaction"),
            ("END", "COMMIT: transaction"),
            ("ROLLBACK TO s", "ROLLBACK TO: transaction"),
            ("SAVEPOINT s", "SAVEPOINT: transaction"),
            ("RELEASE s", "RELEASE: transaction"),
            ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET: transaction"),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET: transaction"),
            ("SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS: transaction"),
            ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION: two-phase"),
            ("COMMIT PREPARED 'x'", "COMMIT PREPARED: two-phase"),
            ("ROLLBACK PREPARED 'x'", "ROLLBACK PREPARED: two-phase"),
            ("SET work_mem = '1MB'", "SET: set"),
            ("SET LOCAL work_mem TO DEFAULT", "SET: set"),
            ("RESET work_mem", "RESET: set"),
            ("RESET ALL", "RESET: discard"),
            ("SHOW work_mem", "SHOW: set"),
            ("SHOW ALL", "SHOW: set"),
            ("SET ROLE r", "SET: set-role"),
            ("SET SESSION ROLE r", "SET: set-role"),
            ("SET LOCAL ROLE r", "SET: set-role"),
            ("SET role = r", "SET: set-role"),
            ("SET \"ROLE\" TO r", "SET: set-role"),
            ("SET ROLE NONE", "SET: set-role"),
            ("RESET ROLE", "RESET: set-role"),
            ("SET SESSION AUTHORIZATION r", "SET: set-role"),
            ("SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET: set-role"),
            ("SET session_authorization = r", "SET: set-role"),
            ("RESET SESSION AUTHORIZATION", "RESET: set-role"),
            ("SELECT set_config('role', 'r', false)", "SELECT: read set-role dangerous-function"),
            ("SELECT set_config('jit', 'off', false)", "SELECT: read set"),
            ("SELECT set_config('jit', a, false) FROM t", "SELECT: read dangerous-function"),
            ("SELECT set_config(a, 'off', false) FROM t", "SELECT: read dangerous-function"),
            ("SELECT set_config('a', 'b', false), set_config('c', 'd', false)", "SELECT: read set"),
            ("PREPARE s AS SELECT set_config('a', 'b', false)", "PREPARE: read prepare dangerous-function"),
            ("DISCARD ALL", "DISCARD ALL: discard"),
            ("DISCARD TEMP", "DISCARD: discard"),
            ("PREPARE s AS DELETE FROM t", "PREPARE: delete delete-without-where prepare"),
            ("EXECUTE s(1)", "EXECUTE: prepare"),
            ("DEALLOCATE s", "DEALLOCATE: prepare"),
            ("DECLARE c CURSOR FOR SELECT 1", "DECLARE CURSOR: read cursor"),
            ("FETCH 10 FROM c", "FETCH: cursor"),
            ("MOVE c", "MOVE: cursor"),
            ("CLOSE c", "CLOSE: cursor"),
            ("LISTEN c", "LISTEN: listen"),
            ("UNLISTEN *", "UNLISTEN: listen"),
            ("NOTIFY c, 'x'", "NOTIFY: notify"),
            ("LOCK TABLE t", "LOCK TABLE: lock"),
            ("VACUUM FULL t", "VACUUM: maintenance"),
            ("ANALYZE", "ANALYZE: maintenance"),
            ("REINDEX TABLE t", "REINDEX: maintenance"),
            ("CLUSTER t", "CLUSTER: maintenance"),
            ("CHECKPOINT", "CHECKPOINT: maintenance"),
            ("REFRESH MATERIALIZED VIEW v", "REFRESH MATERIALIZED VIEW: maintenance"),
            ("LOAD 'x'", "LOAD: server"),
            ("ALTER SYSTEM SET work_mem = '1MB'", "ALTER SYSTEM: alter server"),
            ("CREATE DATABASE d", "CREATE DATABASE: create server"),
            ("ALTER DATABASE d SET work_mem = 1", "ALTER DATABASE: alter server"),
            ("ALTER DATABASE a RENAME TO b", "ALTER: alter server"),
            ("DROP DATABASE d", "DROP DATABASE: drop server"),
            ("CREATE TABLESPACE t LOCATION '/x'", "CREATE TABLESPACE: create server"),
            ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", "CREATE SUBSCRIPTION: create server"),
            ("CREATE PUBLICATION p FOR TABLE t", "CREATE PUBLICATION: create server"),
            ("CREATE SERVER s FOREIGN DATA WRAPPER w", "CREATE SERVER: create server"),
            ("CREATE FOREIGN TABLE t (a int) SERVER s", "CREATE FOREIGN TABLE: create server"),
            ("CREATE USER MAPPING FOR me SERVER s", "CREATE USER MAPPING: create server"),
            ("IMPORT FOREIGN SCHEMA a FROM SERVER s INTO b", "IMPORT FOREIGN SCHEMA: create server"),
        ],
    );
}

#[test]
fn relations_are_all_tables_and_no_cte() {
    check(
        relations,
        &[
            (
                "SELECT 1 FROM a, s.b c JOIN d ON true LEFT JOIN LATERAL (SELECT 1 FROM e) f ON true",
                "r a, r s.b, r d, r e",
            ),
            ("SELECT (SELECT 1 FROM b) FROM a", "r b, r a"),
            ("WITH q AS (SELECT 1 FROM a) SELECT 1 FROM q", "r a"),
            ("WITH q AS (SELECT 1 FROM q) SELECT 1 FROM q", "r q"),
            ("WITH RECURSIVE q AS (SELECT 1 FROM q) SELECT 1 FROM q", ""),
            ("WITH RECURSIVE a AS (SELECT 1 FROM b), b AS (SELECT 1) SELECT 1", ""),
            ("WITH a AS (SELECT 1 FROM b), b AS (SELECT 1 FROM a) SELECT 1", "r b"),
            ("WITH q AS (SELECT 1) SELECT 1 FROM s.q", "r s.q"),
            ("SELECT 1 FROM (WITH q AS (SELECT 1) SELECT 1 FROM q) x, q", "r q"),
            ("WITH q AS (SELECT 1) SELECT 1 FROM (SELECT 1 FROM q) x WHERE EXISTS (SELECT 1 FROM q)", ""),
            ("WITH q AS (SELECT 1) INSERT INTO q SELECT 1 FROM q", "w q"),
            ("WITH q AS (SELECT 1) UPDATE q SET a = 1 FROM q", "rw q"),
            ("(WITH q AS (SELECT 1) SELECT 1 FROM q) UNION SELECT 1 FROM q", "r q"),
            ("INSERT INTO a VALUES (1)", "w a"),
            ("INSERT INTO a VALUES (1) RETURNING b", "rw a"),
            ("INSERT INTO a SELECT 1 FROM b", "w a, r b"),
            ("UPDATE a SET b = 1 FROM c", "rw a, r c"),
            ("DELETE FROM a USING b", "rw a, r b"),
            ("MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE", "rw a, r b"),
            ("DROP TABLE a, s.b", "w a, w s.b"),
            ("DROP VIEW v", "w v"),
            ("DROP INDEX s.i", "w s.i"),
            ("DROP TRIGGER g ON s.t", "w s.t"),
            ("DROP POLICY p ON t", "w t"),
            ("DROP FUNCTION f(int)", ""),
            ("ALTER TABLE s.t DROP COLUMN a", "w s.t"),
            ("ALTER TABLE t RENAME COLUMN a TO b", "w t"),
            ("ALTER TABLE t RENAME TO u", "w t"),
            ("ALTER TABLE t ATTACH PARTITION u DEFAULT", "w t, rw u"),
            ("ALTER TABLE t INHERIT u", "w t, rw u"),
            ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (b)", "w t, r u"),
            ("ALTER VIEW v SET SCHEMA s", "w v"),
            ("ALTER SEQUENCE q RESTART", "w q"),
            ("ALTER INDEX i RENAME TO j", "w i"),
            ("COMMENT ON TABLE s.t IS 'x'", "w s.t"),
            ("COMMENT ON COLUMN s.t.c IS 'x'", "w s.t"),
            ("COMMENT ON CONSTRAINT c ON s.t IS 'x'", "w s.t"),
            ("GRANT SELECT ON a, s.b TO me", "w a, w s.b"),
            ("TRUNCATE a, s.b", "w a, w s.b"),
            ("CREATE TABLE t (LIKE u)", "w t, r u"),
            ("CREATE TABLE t (a int REFERENCES u) INHERITS (v)", "w t, r u, r v"),
            ("CREATE TABLE t PARTITION OF u FOR VALUES FROM (1) TO (2)", "w t, r u"),
            ("CREATE INDEX i ON s.t (a)", "w s.t"),
            ("CREATE VIEW v AS SELECT 1 FROM t", "w v, r t"),
            ("CREATE TABLE x AS SELECT 1 FROM t", "w x, r t"),
            ("SELECT 1 INTO x FROM t", "w x, r t"),
            ("CREATE TRIGGER g AFTER INSERT ON s.t EXECUTE FUNCTION f()", "w s.t"),
            ("CREATE STATISTICS s ON a, b FROM t", "rw t"),
            ("CREATE PUBLICATION p FOR TABLE s.t", "rw s.t"),
            ("COPY s.t TO STDOUT", "r s.t"),
            ("COPY s.t FROM STDIN", "w s.t"),
            ("LOCK TABLE s.t", "r s.t"),
            ("DROP SCHEMA s, t CASCADE", "w s.*, w t.*"),
            ("ALTER SCHEMA s RENAME TO t", "w s.*"),
            ("ALTER SCHEMA s OWNER TO me", "w s.*"),
            ("DROP OWNED BY me", "w *"),
            ("REASSIGN OWNED BY a TO b", "w *"),
            ("GRANT ALL ON ALL TABLES IN SCHEMA s TO me", "w s.*"),
            ("GRANT USAGE ON SCHEMA s TO me", ""),
            ("VACUUM s.t", "rw s.t"),
            ("REFRESH MATERIALIZED VIEW s.v", "w s.v"),
            ("EXPLAIN DELETE FROM t", "r t"),
            ("PREPARE p AS SELECT 1 FROM t", "r t"),
            ("DECLARE c CURSOR FOR SELECT 1 FROM t", "r t"),
            ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 FROM t; END", "r t"),
            ("CREATE RULE r AS ON DELETE TO t DO ALSO DELETE FROM u", "w t, rw u"),
        ],
    );
}

#[test]
fn functions_are_known_dangerous_or_unknown() {
    check(
        functions,
        &[
            ("SELECT upper(a), count(*), pg_catalog.lower(b)", "upper Known, count Known, lower Known"),
            (
                "SELECT extract(year FROM d), trim(a), substring(a FROM 1), a SIMILAR TO 'x', a AT TIME ZONE 'x'",
                "extract Known, btrim Known, substring Known, similar_to_escape Known, timezone Known",
            ),
            (
                "SELECT a LIKE 'x' ESCAPE 'y', overlay(a PLACING b FROM 1), position(a IN b), normalize(a), x IS NORMALIZED, xmlexists('x' PASSING a)",
                "like_escape Known, overlay Known, position Known, normalize Known, is_normalized Known, xmlexists Known",
            ),
            ("SELECT (a, b) OVERLAPS (c, d), a::text COLLATE \"C\", current_user, current_date", "overlaps Known"),
            ("SELECT clinic.upper(a), my_fn(1), x.y.z(1)", "upper Unknown, my_fn Unknown, z Unknown"),
            ("SELECT a OPERATOR(pg_catalog.+) b, a OPERATOR(clinic.+) b", "+ Unknown"),
            ("SELECT 1 FROM a ORDER BY b USING OPERATOR(s.<)", "< Unknown"),
            ("SELECT a OPERATOR(s.=) ANY (SELECT 1)", "= Unknown"),
            ("SELECT query_to_xml('select ssn from p', true, false, '')", "query_to_xml Dangerous"),
            ("UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'", "set_config Dangerous"),
            ("WITH w AS (UPDATE pg_catalog.pg_settings s SET setting = 'x') SELECT 1", "set_config Dangerous"),
            ("SELECT setting FROM pg_settings", ""),
            (
                "MERGE INTO pg_settings s USING t ON s.name = t.n WHEN MATCHED THEN UPDATE SET setting = 'x'",
                "set_config Dangerous",
            ),
            ("CREATE VIEW v AS SELECT * FROM pg_settings", "set_config Dangerous"),
            ("CREATE SCHEMA s CREATE VIEW v AS SELECT * FROM pg_catalog.pg_settings", "set_config Dangerous"),
            (
                "CREATE RULE r AS ON INSERT TO t DO ALSO UPDATE pg_settings SET setting = 'x'",
                "set_config Dangerous, set_config Dangerous",
            ),
            ("CREATE TABLE t (a text DEFAULT set_config('x.y', 'z', false))", "set_config Dangerous"),
            ("ALTER TABLE t ALTER a SET DEFAULT set_config('x.y', 'z', false)", "set_config Dangerous"),
            ("CREATE VIEW v AS SELECT set_config('x.y', 'z', false)", "set_config Dangerous"),
            ("CREATE POLICY p ON t USING (set_config('x.y', 'z', false) = 'z')", "set_config Dangerous"),
            ("CREATE TABLE t AS SELECT set_config('x.y', 'z', false)", "set_config Known"),
            (
                "SELECT ts_stat('select 1'), table_to_xml('p', true, false, ''), cursor_to_xml('c', 1, true, false, '')",
                "ts_stat Dangerous, table_to_xml Dangerous, cursor_to_xml Dangerous",
            ),
            ("SELECT * FROM dblink('x', 'y') AS t (a int)", "dblink Dangerous"),
            (
                "SELECT pg_notify('a', b), set_config('a', b, false), setval('s', 1), lo_from_bytea(0, a)",
                "pg_notify Dangerous, set_config Dangerous, setval Dangerous, lo_from_bytea Dangerous",
            ),
            (
                "SELECT nextval('s'), currval('s'), current_setting('x')",
                "nextval Known, currval Known, current_setting Known",
            ),
            (
                "SELECT pg_advisory_lock(1), pg_try_advisory_xact_lock($1, 2), pg_catalog.pg_advisory_unlock(-1)",
                "pg_advisory_lock Known, pg_try_advisory_xact_lock Known, pg_advisory_unlock Known",
            ),
            ("SELECT pg_advisory_xact_lock(hashtext('x'))", "pg_advisory_xact_lock Known, hashtext Known"),
            ("SELECT pg_advisory_lock(ssn::bigint) FROM p", "pg_advisory_lock Dangerous"),
            ("SELECT pg_advisory_lock((SELECT 1))", "pg_advisory_lock Dangerous"),
            (
                "SELECT pg_read_file('x'), pg_ls_dir('x'), pg_sleep(1), pg_terminate_backend(1), pg_stat_get_activity(1)",
                "pg_read_file Dangerous, pg_ls_dir Dangerous, pg_sleep Dangerous, pg_terminate_backend Dangerous, pg_stat_get_activity Dangerous",
            ),
            (
                "SELECT 1 FROM t WHERE f(a) GROUP BY g(b) HAVING h(c) ORDER BY i(d) LIMIT j(1)",
                "f Unknown, g Unknown, h Unknown, i Unknown, j Unknown",
            ),
            (
                "INSERT INTO t VALUES (f(1)) ON CONFLICT (a) DO UPDATE SET b = g(2) RETURNING h(3)",
                "f Unknown, g Unknown, h Unknown",
            ),
            ("SELECT 1 FROM t TABLESAMPLE system (1)", "system Known"),
            ("SELECT 1 FROM t TABLESAMPLE mine (1)", "mine Unknown"),
            ("CALL s.f(g(1))", "f Unknown, g Unknown"),
            ("EXECUTE s(f(1))", "f Unknown"),
            ("ALTER TABLE t ADD COLUMN a int DEFAULT f(1)", "f Unknown"),
        ],
    );
}

#[test]
fn session_uses_are_seen() {
    let cases: &[(&str, SessionUse)] = &[
        ("SELECT 1", SessionUse::None),
        ("PREPARE s AS SELECT 1", SessionUse::Prepare("s".into())),
        ("EXECUTE s", SessionUse::Execute("s".into())),
        ("EXPLAIN ANALYZE EXECUTE s", SessionUse::Execute("s".into())),
        ("CREATE TABLE t AS EXECUTE s", SessionUse::Execute("s".into())),
        ("DEALLOCATE s", SessionUse::Deallocate(Some("s".into()))),
        ("DEALLOCATE ALL", SessionUse::Deallocate(None)),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", SessionUse::Declare("c".into())),
        ("FETCH ALL c", SessionUse::Fetch("c".into())),
        ("MOVE 1 IN c", SessionUse::Fetch("c".into())),
        ("CLOSE c", SessionUse::Close(Some("c".into()))),
        ("CLOSE ALL", SessionUse::Close(None)),
        ("SET Work_Mem = '1MB'", SessionUse::Set { name: "work_mem".into(), value: Some("1MB".into()) }),
        ("SET search_path TO a, \"B\"", SessionUse::Set { name: "search_path".into(), value: Some("a, B".into()) }),
        ("SET statement_timeout = 5", SessionUse::Set { name: "statement_timeout".into(), value: Some("5".into()) }),
        ("SET work_mem TO DEFAULT", SessionUse::Set { name: "work_mem".into(), value: None }),
        ("SET NAMES 'utf8'", SessionUse::Set { name: "client_encoding".into(), value: Some("utf8".into()) }),
        ("SET TIME ZONE 'UTC'", SessionUse::Set { name: "timezone".into(), value: Some("UTC".into()) }),
        ("SET my.var = 'x'", SessionUse::Set { name: "my.var".into(), value: Some("x".into()) }),
        ("SELECT set_config('Jit', 'off', false)", SessionUse::Set { name: "jit".into(), value: Some("off".into()) }),
        (
            "SELECT pg_catalog.set_config('jit', $1, true)",
            SessionUse::Set { name: "jit".into(), value: Some("$1".into()) },
        ),
        (
            "SELECT set_config('jit', 'off', true), set_config('search_path', $1, false)",
            SessionUse::SetMany(vec![("jit".into(), Some("off".into())), ("search_path".into(), Some("$1".into()))]),
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            SessionUse::SetMany(
                ["isolation", "read_only", "deferrable"]
                    .map(|name| (format!("default_transaction_{name}"), None))
                    .into(),
            ),
        ),
        ("SET TRANSACTION READ ONLY", SessionUse::None),
        ("SELECT set_config('jit', NULL, true)", SessionUse::Set { name: "jit".into(), value: None }),
        ("RESET work_mem", SessionUse::Reset("work_mem".into())),
        ("RESET ALL", SessionUse::Reset("all".into())),
        ("DISCARD PLANS", SessionUse::None),
        ("DISCARD ALL", SessionUse::ResetAll),
        ("SHOW Work_Mem", SessionUse::Show("work_mem".into())),
        ("LISTEN c", SessionUse::Listen("c".into())),
        ("NOTIFY c, 'x'", SessionUse::Notify("c".into())),
    ];
    for (sql, expected) in cases {
        let statement = &all(sql)[0];
        assert_eq!(statement.session, *expected, "{sql}");
        assert_eq!(statement.literals_matter, *sql != "SELECT 1", "{sql}");
    }
}

#[test]
fn what_a_session_makes_for_itself_is_seen() {
    for (sql, shadows, unknown) in [
        ("CREATE TEMP TABLE t (a int)", true, false),
        ("CREATE TABLE pg_temp.t (a int)", true, false),
        ("CREATE TABLE \"pg_temp_3\".t (LIKE s.t INCLUDING ALL)", true, false),
        ("SELECT 1 INTO TEMP t", true, false),
        ("CREATE TABLE pg_temp.t AS SELECT 1", true, false),
        ("CREATE TEMP VIEW v AS SELECT 1", true, false),
        ("CREATE TEMP SEQUENCE s", true, false),
        ("CREATE TYPE pg_temp.t AS (a int)", true, false),
        ("CREATE TYPE pg_temp.t AS ENUM ('a')", true, false),
        ("CREATE TYPE pg_temp.t AS RANGE (subtype = int)", true, false),
        ("CREATE TYPE pg_temp.t", true, false),
        ("CREATE DOMAIN d.pg_temp_12.t AS text", true, false),
        ("EXPLAIN ANALYZE CREATE TABLE pg_temp.t AS SELECT 1", true, false),
        ("CREATE TABLE t (a int)", false, false),
        ("CREATE TYPE s.t AS ENUM ('pg_temp')", false, false),
        ("INSERT INTO pg_temp.t VALUES (1)", false, false),
        ("SELECT * FROM pg_temp.t", false, false),
        ("ALTER TABLE a RENAME TO b", false, false),
        // Casts to these are thought to be the server's.
        ("CREATE TYPE pg_temp.text AS ENUM ('a')", true, true),
        ("CREATE TYPE pg_temp.date AS (a int)", true, true),
        ("CREATE DOMAIN pg_temp.bpchar AS text", true, true),
        ("CREATE TEMP TABLE text (a int)", true, true),
        ("SELECT 1 INTO TEMP date", true, true),
        ("ALTER TYPE a RENAME TO text", false, true),
        ("ALTER TABLE a RENAME TO \"date\"", false, true),
        ("ALTER INDEX a RENAME TO text", false, true),
        ("ALTER TABLE a RENAME COLUMN b TO date", false, false),
        ("ALTER TYPE a RENAME ATTRIBUTE b TO date", false, false),
        ("CREATE TABLE date (date date, text text)", false, false),
    ] {
        let [statement] = all(sql).try_into().unwrap();
        let found = (statement.shadows, statement.effects.contains(Effects::UNKNOWN));
        assert_eq!(found, (shadows, unknown), "{sql}");
    }
    assert!(all("DELETE FROM t WHERE CURRENT OF c")[0].of_cursor && !all("DELETE FROM t WHERE a")[0].of_cursor);
}

#[test]
fn literals_matter_where_they_choose() {
    for (sql, expected) in [
        ("SELECT a FROM t WHERE b = 1 LIMIT 5", false),
        ("SELECT a FROM t ORDER BY 1", true),
        ("SELECT a FROM t GROUP BY 1", true),
        ("SELECT DISTINCT ON (1) a FROM t", true),
        ("SELECT a FROM (SELECT b FROM u ORDER BY 1) t", true),
        ("SELECT 1 UNION SELECT 2 ORDER BY 1", true),
        ("SELECT current_setting('x')", true),
        ("SELECT set_config('a', 'b', true)", true),
        ("SELECT my_fn('x')", true),
        ("INSERT INTO t VALUES (1, 'x')", false),
        ("UPDATE t SET a = 1 WHERE b = 'x'", false),
        ("SELECT '1'::float(24)", true),
        ("BEGIN", true),
    ] {
        assert_eq!(all(sql)[0].literals_matter, expected, "{sql}");
    }
}

#[test]
fn texts_hold_zero_or_more_statements() {
    for empty in ["", " ;; ", "-- nothing", "/* a */"] {
        assert!(all(empty).is_empty(), "{empty}");
    }
    let text = "  SELECT 1 ; ;\n/* c */ UPDATE é SET a = 'x;y' ;DROP TABLE t";
    let found: Vec<_> = all(text).iter().map(|s| &text[s.span.start as usize..s.span.end as usize]).collect();
    assert_eq!(found, ["SELECT 1", "UPDATE é SET a = 'x;y'", "DROP TABLE t"]);
    let statements = all(text);
    let span = statements[2].relations.first().map(|r| r.name.clone());
    assert_eq!(span.as_deref(), Some("t"));
    let update = &statements[1].relations[0];
    assert_eq!(&text[update.span.start as usize..update.span.end as usize], "é");
}

#[test]
fn spans_cover_the_names_they_are_about() {
    let text = "SELECT upper(p.\"SSN\") FROM clinic.patients p WHERE ssn = 1";
    let statement = &all(text)[0];
    let at = |span: lineage::Span| &text[span.start as usize..span.end as usize];
    assert_eq!(at(statement.relations[0].span), "clinic.patients");
    assert_eq!(at(statement.functions[0].span), "upper");
    assert_eq!(at(statement.graph.leaves[0].span), "p.\"SSN\"");
    assert_eq!(at(statement.graph.leaves[1].span), "ssn");
}

#[test]
fn what_the_tree_cannot_carry_is_unknown() {
    for sql in ["SELECT json_array(SELECT ssn FROM p)", "SELECT 1 WHERE json_array(SELECT 1) IS NULL"] {
        if let Ok(facts) = analyse(sql) {
            assert!(facts.statements[0].effects.contains(Effects::UNKNOWN), "{sql}");
        }
    }
}

#[test]
fn other_texts_are_not_understood() {
    for sql in ["SELEC 1", "SELECT 'open", "SELECT \0 1", "SELECT 1 FROM", "/* open", "SELECT $tag$ x"] {
        assert!(analyse(sql).is_err(), "{sql}");
    }
    assert!(analyse(&" ".repeat(lineage::grammar::TEXT_BYTES_MAX + 1)).is_err());
}

#[test]
fn ordinary_statements_hold_nothing_unknown() {
    for sql in [
        // Catalog queries of the kind clients send to describe a table.
        "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname OPERATOR(pg_catalog.~) '^(patients)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3",
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) \
         FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid), a.attnotnull, pg_catalog.col_description(a.attrelid, a.attnum) \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16386' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        "SELECT pg_catalog.pg_get_indexdef(i.indexrelid, 0, true), pg_catalog.pg_get_constraintdef(con.oid, true) FROM pg_index i, pg_constraint con",
        "SELECT pg_catalog.pg_get_userbyid(c.relowner), pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)), \
         pg_catalog.obj_description(c.oid, 'pg_class'), pg_catalog.array_to_string(c.relacl, E'\\n') FROM pg_class c",
        "SELECT version(), current_schema(), pg_catalog.pg_encoding_to_char(6), pg_is_in_recovery(), pg_backend_pid(), txid_current()",
        "SELECT unnest(conkey), generate_subscripts(conkey, 1), (information_schema._pg_expandarray(conkey)).n FROM pg_constraint WHERE false",
        "SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE typname = 'hstore'",
        "SELECT current_setting('transaction_isolation'), has_table_privilege('t', 'select'), to_regclass('x')",
        "UPDATE pgbench_accounts SET abalance = abalance + 5 WHERE aid = 3",
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 3, 4, CURRENT_TIMESTAMP)",
        "SELECT date_trunc('month', v.day) AS m, count(*), avg(x.amount)::numeric(10, 2), sum(CASE WHEN x.paid THEN 1 ELSE 0 END) \
         FROM visits v JOIN invoices x USING (id) WHERE v.day >= now() - interval '1 year' GROUP BY 1 HAVING count(*) > 3 ORDER BY m DESC LIMIT 10",
        "BEGIN; SAVEPOINT a; RELEASE SAVEPOINT a; COMMIT",
    ] {
        for statement in all(sql) {
            assert!(!statement.effects.contains(Effects::UNKNOWN), "{sql}");
            for function in &statement.functions {
                assert!(function.standing == FunctionStanding::Known, "{sql}: {}", function.name);
            }
        }
    }
}
