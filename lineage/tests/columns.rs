//! Columns: outputs, uses, renames. One line for each case: statement, expected.
//!
//! Uses are written `how qualifier.column`, with `*` for every column; outputs as `name=derivation`.

use lineage::{ColumnUse, Derivation, How, Statement, analyse};
use std::sync::Arc;

fn one(sql: &str) -> Arc<Statement> {
    let facts = analyse(sql).unwrap_or_else(|e| panic!("{sql}: {}", e.message));
    assert_eq!(facts.statements.len(), 1, "{sql}");
    facts.statements[0].clone()
}

fn qualified(qualifier: Option<&str>, column: Option<&str>) -> String {
    let column = column.unwrap_or("*");
    qualifier.map_or_else(|| column.to_owned(), |q| format!("{q}.{column}"))
}

fn show_use(u: &ColumnUse) -> String {
    let how = match u.how {
        How::Expression => "expr",
        How::Shaping => "shape",
        How::Copied => "copy",
    };
    format!("{how} {}", qualified(u.qualifier.as_deref(), u.column.as_deref()))
}

fn uses(statement: &Statement) -> String {
    let mut all: Vec<_> = statement.uses.iter().map(show_use).collect();
    all.sort();
    all.dedup();
    all.join(", ")
}

fn outputs(statement: &Statement) -> String {
    let all: Vec<_> = statement
        .outputs
        .iter()
        .map(|o| {
            let from = match &o.derivation {
                Derivation::Direct { qualifier, column } => qualified(qualifier.as_deref(), Some(column)),
                Derivation::Star { qualifier } => qualified(qualifier.as_deref(), None),
                Derivation::Expression => "expr".to_owned(),
            };
            o.name.as_ref().map_or_else(|| from.clone(), |n| format!("{n}={from}"))
        })
        .collect();
    all.join(", ")
}

fn renames(statement: &Statement) -> String {
    let all: Vec<_> =
        statement.renames.iter().map(|(from, to)| format!("{}->{to}", from.as_deref().unwrap_or("?"))).collect();
    all.join(", ")
}

fn check(show: fn(&Statement) -> String, cases: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (sql, expected) in cases {
        let statement = one(sql);
        let found = show(&statement);
        if found != *expected {
            wrong.push_str(&format!("\n{sql}\n  expected {expected}\n  found    {found}\n"));
        }
        assert!(!statement.effects.contains(lineage::Effects::UNKNOWN), "{sql}: unknown");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn outputs_say_where_columns_come_from() {
    check(
        outputs,
        &[
            ("SELECT ssn FROM patients", "ssn=ssn"),
            ("SELECT p.ssn AS x, id FROM patients p", "x=p.ssn, id=id"),
            ("SELECT clinic.patients.ssn FROM clinic.patients", "ssn=patients.ssn"),
            ("SELECT *, p.* FROM patients p", "*, p.*"),
            ("TABLE patients", "*"),
            (
                "SELECT ssn::text, upper(ssn), 1, 'a', 1 + 2 FROM p",
                "ssn=expr, upper=expr, ?column?=expr, ?column?=expr, ?column?=expr",
            ),
            (
                "SELECT CASE WHEN a THEN b END, coalesce(a, b), now()::date, '1'::int",
                "case=expr, coalesce=expr, now=expr, int4=expr",
            ),
            (
                "SELECT CASE WHEN a THEN 1 ELSE b END, EXISTS (SELECT 1), ARRAY[1], ROW(1), (SELECT x AS y FROM t), GREATEST(1, 2)",
                "b=expr, exists=expr, array=expr, row=expr, y=expr, greatest=expr",
            ),
            (
                "SELECT current_date, extract(year FROM d), nullif(a, b), a COLLATE \"C\", true FROM t",
                "current_date=expr, extract=expr, nullif=expr, a=expr, ?column?=expr",
            ),
            ("VALUES (1, 'a'), (2, 'b')", "column1=expr, column2=expr"),
            ("SELECT patients FROM patients", "patients=expr"),
            ("SELECT p FROM patients p", "p=expr"),
            ("SELECT q FROM (SELECT * FROM patients) q", "q=expr"),
            ("SELECT (p).ssn, (p).* FROM patients p", "ssn=expr, *"),
            ("SELECT p.to_json FROM patients p", "to_json=expr"),
            ("SELECT g FROM generate_series(1, 3) g", "g=g"),
            ("SELECT a FROM t UNION SELECT b FROM u", "a=expr"),
            ("(SELECT a AS x FROM t UNION ALL SELECT b FROM u) INTERSECT SELECT c FROM v", "x=expr"),
            ("SELECT DISTINCT a FROM t", "a=a"),
            ("INSERT INTO t (a) VALUES (1) RETURNING *, id, upper(a) AS u", "*, id=id, u=expr"),
            ("UPDATE t SET a = 1 WHERE id = 2 RETURNING t.a", "a=t.a"),
            ("UPDATE t SET a = 1 RETURNING old.a, new.a", "a=old.a, a=new.a"),
            ("UPDATE t SET a = 1 RETURNING WITH (OLD AS o) o.a, o", "a=o.a, o=expr"),
            ("DELETE FROM t WHERE id = 2 RETURNING t", "t=expr"),
            ("INSERT INTO t (a) VALUES (1)", ""),
            ("INSERT INTO t SELECT * FROM u", ""),
            ("CREATE TABLE x AS SELECT ssn FROM p", ""),
            ("SELECT ssn INTO x FROM p", ""),
            ("COPY (SELECT ssn FROM p) TO STDOUT", ""),
            ("PREPARE s AS SELECT ssn FROM p WHERE id = $1", "ssn=ssn"),
            ("DECLARE c CURSOR FOR SELECT ssn FROM p", "ssn=ssn"),
            ("WITH d AS (DELETE FROM p RETURNING ssn) SELECT ssn FROM d", "ssn=ssn"),
            ("EXPLAIN SELECT ssn FROM p", "QUERY PLAN=expr"),
            ("SHOW work_mem", "work_mem=expr"),
            ("SELECT FROM t", ""),
            (
                "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE RETURNING merge_action(), t.a",
                "merge_action=expr, a=t.a",
            ),
        ],
    );
}

#[test]
fn columns_that_are_carried_are_no_uses() {
    check(
        uses,
        &[
            ("SELECT ssn FROM patients", ""),
            ("SELECT * FROM patients", ""),
            ("SELECT p.*, p.ssn AS x FROM patients p", ""),
            ("SELECT x FROM (SELECT ssn AS x FROM patients) q", ""),
            ("SELECT x FROM (SELECT * FROM (SELECT ssn AS x FROM patients) a) q", ""),
            ("WITH q AS (SELECT ssn FROM patients) SELECT * FROM q", ""),
            ("SELECT q.ssn FROM clinics c CROSS JOIN LATERAL (SELECT ssn FROM patients) q", ""),
            ("SELECT ssn FROM patients FOR UPDATE", ""),
            ("SELECT count(*) FROM patients", ""),
            ("SELECT EXISTS (SELECT * FROM patients), EXISTS (SELECT ssn FROM patients)", ""),
            ("SELECT ssn FROM patients LIMIT 5 OFFSET 2", ""),
            ("SELECT ssn FROM patients TABLESAMPLE bernoulli (10)", ""),
            ("DELETE FROM patients RETURNING ssn", ""),
            ("UPDATE patients SET ssn = '1'", ""),
            ("UPDATE patients SET ssn = $1, note = NULL, a = DEFAULT", ""),
            ("INSERT INTO patients (ssn) VALUES ('1') ON CONFLICT DO NOTHING", ""),
            ("INSERT INTO patients (ssn) VALUES ('1') ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn", "shape id"),
            ("EXPLAIN SELECT ssn FROM patients", ""),
            ("SELECT v.a FROM (VALUES (1, 2)) v (a, b)", ""),
        ],
    );
}

#[test]
fn expressions_use_their_columns() {
    check(
        uses,
        &[
            // A2: functions, casts, concatenation, CASE, arithmetic.
            ("SELECT upper(ssn) FROM p", "expr ssn"),
            ("SELECT p.ssn::text FROM p", "expr p.ssn"),
            ("SELECT CAST(ssn AS int) FROM p", "expr ssn"),
            ("SELECT a || b || 'x' FROM p", "expr a, expr b"),
            ("SELECT CASE ssn WHEN x THEN y ELSE z END FROM p", "expr ssn, expr x, expr y, expr z"),
            ("SELECT CASE WHEN ssn LIKE '1%' THEN 1 END FROM p", "expr ssn"),
            (
                "SELECT coalesce(a, b), nullif(c, d), greatest(e, f) FROM p",
                "expr a, expr b, expr c, expr d, expr e, expr f",
            ),
            ("SELECT ssn COLLATE \"C\" FROM p", "expr ssn"),
            (
                "SELECT -a, NOT b, c IS NULL, d IS TRUE, e BETWEEN f AND g, h IN (i, 1) FROM p",
                "expr a, expr b, expr c, expr d, expr e, expr f, expr g, expr h, expr i",
            ),
            (
                "SELECT substring(ssn FROM 1 FOR 3), trim(a), position('x' IN b), overlay(c PLACING 'x' FROM 1), extract(year FROM d) FROM p",
                "expr a, expr b, expr c, expr d, expr ssn",
            ),
            ("SELECT ssn AT TIME ZONE 'utc' FROM p", "expr ssn"),
            ("SELECT ARRAY[ssn, a] FROM p", "expr a, expr ssn"),
            ("SELECT tags[1], tags[i:2] FROM p", "expr i, expr tags"),
            ("SELECT ROW(a, b), (a, c) FROM p", "expr a, expr b, expr c"),
            ("SELECT format('%s', ssn) FROM p", "expr ssn"),
            ("SELECT f(x => ssn) FROM p", "expr ssn"),
            // A7: whole rows.
            ("SELECT p FROM patients p", "expr p.*"),
            ("SELECT p::text FROM patients p", "expr p.*"),
            ("SELECT patients::text FROM clinic.patients", "expr patients.*"),
            ("SELECT row_to_json(p), to_jsonb(p.*) FROM patients p", "expr p.*"),
            ("SELECT ROW(p.*) FROM patients p", "expr p.*"),
            ("SELECT json_agg(q) FROM (SELECT * FROM patients) q", "expr q.*"),
            ("SELECT (p).ssn FROM patients p", "expr p.*"),
            ("SELECT (clinic.p.addr).street FROM clinic.p", "expr addr.*, expr p.addr"),
            ("SELECT p.row_to_json FROM patients p", "expr p.*, expr p.row_to_json"),
            (
                "SELECT xmlforest(p.ssn AS s), xmlelement(name x, xmlattributes(a), b) FROM p",
                "expr a, expr b, expr p.ssn",
            ),
            ("SELECT q.x FROM (SELECT p AS x FROM patients p) q", "expr p.*"),
            ("WITH c AS (SELECT 1) SELECT c FROM c", "expr c.*"),
            ("SELECT j FROM (a JOIN b USING (id)) j", "expr j.*, shape id"),
            ("SELECT j FROM a JOIN b USING (id) AS j", "expr j.*, shape id"),
            // A8: JSON.
            ("SELECT data -> 'ssn', data #>> '{a,b}', jsonb_path_query(data, '$.ssn') FROM p", "expr data"),
            (
                "SELECT json_object('k' : ssn), json_array(a, b), json_objectagg(k : v), json_arrayagg(w ORDER BY o) FROM p",
                "expr a, expr b, expr k, expr ssn, expr v, expr w, shape o",
            ),
            ("SELECT json_value(data, '$.x' PASSING y AS y DEFAULT z ON ERROR) FROM p", "expr data, expr y, expr z"),
            (
                "SELECT t.a FROM p, json_table(p.data, '$' COLUMNS (a text PATH '$.a', NESTED PATH '$.b' COLUMNS (c int))) t",
                "expr p.data",
            ),
            (
                "SELECT x.a FROM p, xmltable('/a' PASSING p.doc COLUMNS a text PATH 'b' DEFAULT p.c) x",
                "expr p.c, expr p.doc",
            ),
            // A9: aggregates and windows.
            (
                "SELECT min(ssn), string_agg(a, ',' ORDER BY b), array_agg(c) FILTER (WHERE d) FROM p",
                "expr a, expr c, expr ssn, shape b, shape d",
            ),
            (
                "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ssn), mode() WITHIN GROUP (ORDER BY a) FROM p",
                "shape a, shape ssn",
            ),
            ("SELECT lag(ssn) OVER (PARTITION BY a ORDER BY b) FROM p", "expr ssn, shape a, shape b"),
            ("SELECT sum(1) OVER w FROM p WINDOW w AS (PARTITION BY a ORDER BY b)", "shape a, shape b"),
            ("SELECT grouping(a) FROM p GROUP BY ROLLUP (a)", "expr a, shape a"),
            // A4: subqueries.
            ("SELECT (SELECT ssn FROM p LIMIT 1)", "expr ssn"),
            ("SELECT (SELECT p FROM patients p LIMIT 1)", "expr p.*"),
            ("SELECT ARRAY(SELECT ssn FROM p)", "expr ssn"),
            ("SELECT (SELECT * FROM p)", "expr *"),
            ("SELECT ((SELECT p FROM patients p)).ssn", "expr p.*"),
            ("SELECT f.x FROM p, unnest(p.tags) f (x)", "expr p.tags"),
            ("SELECT s FROM p, lower(p.ssn) s", "expr p.ssn"),
            ("SELECT * FROM ROWS FROM (f(a.x), g(a.y)) AS t, a", "expr a.x, expr a.y"),
            ("SELECT x FROM (VALUES ((SELECT ssn FROM p))) v (x)", "expr ssn"),
            // A12: RETURNING, SET, MERGE.
            ("UPDATE t SET a = b, (c, d) = (e, f) WHERE g = 1", "expr b, expr e, expr f, shape g"),
            ("UPDATE t SET (a, b) = (SELECT x, y FROM u WHERE z = 1)", "expr x, expr y, shape z"),
            ("UPDATE t SET a[i] = 1", "expr i"),
            ("UPDATE t SET a = u.b FROM u WHERE u.id = t.id", "expr u.b, shape t.id, shape u.id"),
            ("INSERT INTO t VALUES (1) RETURNING lower(ssn)", "expr ssn"),
            ("INSERT INTO t VALUES ((SELECT ssn FROM p))", "expr ssn"),
            (
                "INSERT INTO t (a) VALUES (1) ON CONFLICT (b, lower(c)) WHERE d DO UPDATE SET a = t.e || excluded.a WHERE t.f > 1",
                "expr t.e, shape b, shape c, shape d, shape t.f",
            ),
            (
                "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET j = to_json(excluded)",
                "expr excluded.*, shape a",
            ),
            (
                "MERGE INTO t USING u ON t.a = u.b WHEN MATCHED AND u.c THEN UPDATE SET d = u.e WHEN NOT MATCHED THEN INSERT (f) VALUES (u.g)",
                "expr u.e, expr u.g, shape t.a, shape u.b, shape u.c",
            ),
        ],
    );
}

#[test]
fn places_that_decide_on_rows_shape() {
    check(
        uses,
        &[
            ("SELECT 1 FROM p WHERE ssn = '1'", "shape ssn"),
            ("SELECT 1 FROM p WHERE upper(ssn) LIKE 'A%' AND (a OR NOT b)", "shape a, shape b, shape ssn"),
            ("SELECT 1 FROM p WHERE p.* IS NOT NULL", "shape p.*"),
            ("SELECT 1 FROM p WHERE p::text LIKE '%1%'", "shape p.*"),
            ("SELECT count(*) FROM p HAVING max(ssn) > '5'", "shape ssn"),
            ("SELECT a.x FROM a JOIN b ON a.s = b.s", "shape a.s, shape b.s"),
            ("SELECT x FROM a FULL JOIN b USING (s)", "shape s"),
            ("SELECT x FROM a NATURAL JOIN b", "shape *"),
            ("SELECT a FROM p GROUP BY a, lower(b)", "shape a, shape b"),
            ("SELECT a, b FROM p GROUP BY 2, 1", "shape a, shape b"),
            ("SELECT *, b FROM p ORDER BY 2", "shape *"),
            ("SELECT a, * FROM p ORDER BY 1", "shape a"),
            ("SELECT a FROM p ORDER BY a DESC NULLS LAST", "shape a"),
            ("SELECT a FROM p ORDER BY ssn", "shape ssn"),
            ("SELECT ssn AS x FROM p ORDER BY x", "shape ssn"),
            ("SELECT region AS ssn FROM p ORDER BY ssn", "shape region"),
            ("SELECT upper(ssn) AS x FROM p ORDER BY x", "shape ssn"),
            ("SELECT upper(ssn) FROM p ORDER BY upper", "shape ssn"),
            ("SELECT upper(ssn), b FROM p ORDER BY 1", "shape ssn"),
            ("SELECT substr(ssn, 1, 1) AS x, count(*) FROM p GROUP BY x", "shape ssn, shape x"),
            ("SELECT x FROM p GROUP BY GROUPING SETS ((a, b), CUBE (c), ())", "shape a, shape b, shape c"),
            ("SELECT DISTINCT ssn, upper(a) FROM p", "shape a, shape ssn"),
            ("SELECT DISTINCT * FROM p", "shape *"),
            ("SELECT DISTINCT ON (a) b FROM p ORDER BY a", "shape a"),
            ("SELECT DISTINCT ON (1) b FROM p", "shape b"),
            ("SELECT a FROM t UNION SELECT ssn FROM p", "shape a, shape ssn"),
            ("SELECT a FROM t UNION ALL SELECT * FROM p", "shape *, shape a"),
            ("SELECT a FROM t EXCEPT SELECT upper(ssn) FROM p", "shape a, shape ssn"),
            ("SELECT x FROM (SELECT 1 AS x UNION SELECT ssn FROM p) q", "shape ssn"),
            ("WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT ssn FROM p) SELECT x FROM r", "shape ssn"),
            (
                "WITH RECURSIVE r AS (SELECT a FROM t UNION ALL SELECT a FROM r) SEARCH DEPTH FIRST BY b SET o CYCLE c SET d USING e SELECT 1 FROM r",
                "shape a, shape b, shape c",
            ),
            ("SELECT 1 FROM p WHERE EXISTS (SELECT 1 FROM q WHERE q.ssn = p.ssn)", "shape p.ssn, shape q.ssn"),
            ("SELECT 1 FROM t WHERE x IN (SELECT ssn FROM p)", "shape ssn, shape x"),
            ("SELECT x = ANY (SELECT ssn FROM p) FROM t", "expr x, shape ssn"),
            ("SELECT 1 FROM t WHERE x = (SELECT ssn FROM p)", "shape ssn, shape x"),
            ("SELECT 1 FROM p LIMIT (SELECT length(ssn) FROM p)", "shape ssn"),
            ("SELECT 1 FROM p TABLESAMPLE bernoulli (p.x)", "shape p.x"),
            ("DELETE FROM p WHERE ssn = '1'", "shape ssn"),
            ("DELETE FROM p USING q WHERE q.a = p.b", "shape p.b, shape q.a"),
            ("SELECT rank() OVER (ORDER BY ssn) FROM p", "shape ssn"),
            ("SELECT a FROM p ORDER BY b USING <", "shape b"),
            ("VALUES (1), (2) ORDER BY column1", "shape column1"),
            ("EXPLAIN SELECT 1 FROM p WHERE ssn = '1'", "shape ssn"),
            ("COPY p FROM STDIN WHERE ssn > '1'", "shape ssn"),
        ],
    );
}

#[test]
fn copies_into_objects_are_copied_uses() {
    check(
        uses,
        &[
            ("INSERT INTO t SELECT ssn, upper(a) FROM p", "copy ssn, expr a"),
            ("INSERT INTO t SELECT * FROM p", "copy *"),
            ("INSERT INTO t SELECT p.* FROM p", "copy p.*"),
            ("INSERT INTO t TABLE p", "copy *"),
            ("INSERT INTO t SELECT a FROM p UNION SELECT b FROM q", "copy a, copy b, shape a, shape b"),
            ("INSERT INTO t SELECT x FROM (SELECT ssn AS x FROM p) q", "copy x"),
            ("CREATE TABLE t AS SELECT ssn FROM p", "copy ssn"),
            ("CREATE TEMP TABLE t AS TABLE p", "copy *"),
            ("CREATE MATERIALIZED VIEW v AS SELECT ssn FROM p", "copy ssn"),
            ("CREATE VIEW v AS SELECT ssn FROM p", "copy ssn"),
            ("SELECT ssn INTO t FROM p", "copy ssn"),
            ("COPY p TO STDOUT", "copy p.*"),
            ("COPY clinic.p (id, ssn) TO STDOUT (FORMAT csv)", "copy p.id, copy p.ssn"),
            ("COPY (SELECT ssn FROM p) TO STDOUT", "copy ssn"),
            ("COPY (DELETE FROM p RETURNING ssn) TO STDOUT", "copy ssn"),
            ("COPY (TABLE p) TO STDOUT (FORMAT binary)", "copy *"),
            ("COPY p FROM STDIN", ""),
            ("CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT ssn FROM p; END", "copy ssn"),
            ("CREATE RULE r AS ON INSERT TO t DO ALSO INSERT INTO u SELECT ssn FROM p", "copy ssn"),
            ("ALTER TABLE p ADD COLUMN x text GENERATED ALWAYS AS (lower(ssn)) STORED", "expr ssn"),
            ("ALTER TABLE p ALTER COLUMN x TYPE text USING ssn || 'a'", "expr ssn"),
            ("CREATE INDEX ON p (ssn, lower(a)) WHERE b IS NULL", "expr a, expr ssn, shape b"),
        ],
    );
}

#[test]
fn nested_names_are_renames() {
    check(
        renames,
        &[
            ("SELECT ssn AS x FROM p", ""),
            ("SELECT x FROM (SELECT ssn AS x, a AS a, b FROM p) q", "ssn->x"),
            ("SELECT x FROM (SELECT ssn FROM p) q (x)", "?->x"),
            ("SELECT a FROM patients p (a, b)", "?->a, ?->b"),
            ("WITH q (x) AS (SELECT ssn FROM p) SELECT x FROM q", "?->x"),
            ("WITH q AS (SELECT ssn AS x FROM p) SELECT x FROM q", "ssn->x"),
            ("WITH q AS (DELETE FROM p RETURNING ssn AS x) SELECT x FROM q", "ssn->x"),
            ("SELECT u FROM (a JOIN b ON true) j (u, v)", "?->u, ?->v"),
            ("SELECT x FROM (SELECT p AS x FROM patients p) q", "p->x"),
            ("SELECT x FROM (SELECT 1 AS x UNION SELECT ssn AS y FROM p) q", "ssn->y"),
            ("SELECT n FROM generate_series(1, 3) AS g (n)", ""),
            ("SELECT a FROM (VALUES (1)) v (a)", ""),
            ("SELECT x FROM (SELECT upper(ssn) AS x FROM p) q", ""),
        ],
    );
}

#[test]
fn names_are_those_the_server_sees() {
    let long = "é".repeat(40);
    check(
        outputs,
        &[
            ("SELECT SSN FROM P", "ssn=ssn"),
            ("SELECT \"SSN\" FROM p", "SSN=SSN"),
            ("SELECT U&\"s\\0073n\" FROM p", "ssn=ssn"),
            ("SELECT U&\"s!0073n\" UESCAPE '!' FROM p", "ssn=ssn"),
            ("SELECT s/**/.ssn, s . \"ssn\" FROM s", "ssn=s.ssn, ssn=s.ssn"),
            ("SELECT \"a\"\"b\" FROM p", "a\"b=a\"b"),
        ],
    );
    let statement = one(&format!("SELECT {long} FROM {long}"));
    let cut = "é".repeat(31);
    assert_eq!(statement.relations[0].name, cut);
    assert_eq!(statement.uses[0].qualifier.as_deref(), Some(&*cut));
}
