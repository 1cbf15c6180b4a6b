//! Columns: outputs, uses, stores, resolved against a small catalog. One line for each case: statement, expected.
//!
//! Outputs are written `name=source` with the derivation around it when the column is not just carried; `-` is no source,
//! `+` any number of columns, `?` a name that nothing explains, `stranger` a relation outside the catalog. Uses are
//! `how relation.column`.

use lineage::catalog::{Column, Relation, RelationKind};
use lineage::resolve::{self, Derivation, How, Index, Resolved, Source, Sources};
use lineage::{Catalog, Effects, Statement, analyse};
use std::sync::Arc;

const TEXT: u32 = 25;
const INT: u32 = 23;
const DATE: u32 = 1082;
const ARRAY: u32 = 1009;

/// Schema, name, and columns with their types.
type Table = (&'static str, &'static str, &'static [(&'static str, u32)]);

const TABLES: &[Table] = &[
    ("clinic", "patients", &[("id", INT), ("ssn", TEXT), ("dob", DATE), ("city", TEXT), ("tags", ARRAY)]),
    ("clinic", "visits", &[("id", INT), ("patient_id", INT), ("ward", TEXT), ("charge", 1700)]),
    ("archive", "visits", &[("id", INT), ("old_ward", TEXT)]),
    ("clinic", "t", &[("a", INT), ("b", TEXT), ("c", TEXT)]),
];

fn catalog() -> Catalog {
    let relations = TABLES.iter().zip(1..).map(|((schema, name, columns), oid)| Relation {
        oid,
        schema: (*schema).to_owned(),
        name: (*name).to_owned(),
        kind: RelationKind::Table,
        columns: columns
            .iter()
            .zip(1..)
            .map(|((name, type_oid), number)| Column {
                number,
                name: (*name).to_owned(),
                type_oid: *type_oid,
                type_name: String::new(),
                comment: None,
            })
            .collect(),
        comment: None,
        definition: None,
        depends_on: Vec::new(),
        parents: Vec::new(),
        references: Vec::new(),
        rests_on: Vec::new(),
        filled_by: Vec::new(),
        estimated_rows: -1,
    });
    Catalog {
        database: "d".to_owned(),
        server_version: 150_000,
        relations: relations.collect(),
        search_path: vec!["clinic".to_owned()],
        ..Catalog::default()
    }
}

fn one(sql: &str) -> Arc<Statement> {
    let facts = analyse(sql).unwrap_or_else(|e| panic!("{sql}: {}", e.message));
    assert_eq!(facts.statements.len(), 1, "{sql}");
    facts.statements[0].clone()
}

fn source(source: &Source) -> String {
    match source {
        Source::Column(relation, column) => {
            let (schema, name, columns) = TABLES[*relation as usize];
            let short = if schema == "archive" { "archive" } else { &name[..1] };
            format!("{short}.{}", columns[*column as usize].0)
        }
        Source::Stranger => "stranger".to_owned(),
        Source::Missing => "?".to_owned(),
        Source::Others => "others".to_owned(),
    }
}

fn sources(sources: &Sources) -> String {
    let all: Vec<_> = sources.as_slice().iter().map(source).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(" ") }
}

fn columns(columns: &[resolve::Column]) -> String {
    let all: Vec<_> = columns
        .iter()
        .map(|c| {
            let from = sources(&c.value.sources);
            let from = match c.value.derivation {
                _ if from == "-" => from,
                Derivation::Direct => from,
                Derivation::Merged => format!("either({from})"),
                Derivation::Total => format!("total({from})"),
                Derivation::Company => format!("join({from})"),
                Derivation::Aggregated => format!("agg({from})"),
                Derivation::Computed => format!("expr({from})"),
            };
            let many = if c.many { "+" } else { "" };
            format!("{}{many}={from}", c.name.as_deref().unwrap_or(""))
        })
        .collect();
    all.join(", ")
}

fn outputs(resolved: &Resolved) -> String {
    columns(&resolved.outputs)
}

fn uses(resolved: &Resolved) -> String {
    let mut all: Vec<_> = resolved
        .uses
        .iter()
        .map(|u| {
            let how = match u.how {
                How::Computed => "expr",
                How::Shaping => "shape",
                How::Stored => "store",
            };
            let equals = if u.equals > 0 { format!(" ={}", u.equals) } else { String::new() };
            let row = if u.whole_row { " row" } else { "" };
            format!("{how} {}{equals}{row}", sources(&u.sources))
        })
        .collect();
    all.sort();
    all.dedup();
    all.join(", ")
}

fn stores(resolved: &Resolved) -> String {
    let all: Vec<_> =
        resolved.stores.iter().map(|s| format!("({}) {}", s.names.join(" "), columns(&s.columns))).collect();
    all.join("; ")
}

fn check(show: fn(&Resolved) -> String, cases: &[(&str, &str)]) {
    let index = Index::new(&catalog());
    let mut wrong = String::new();
    for (sql, expected) in cases {
        let statement = one(sql);
        let found = resolve::resolve(&statement, &index, false).map_or_else(|_| "unresolved".to_owned(), |r| show(&r));
        if found != *expected {
            wrong.push_str(&format!("\n{sql}\n  expected {expected}\n  found    {found}\n"));
        }
        assert!(!statement.effects.contains(Effects::UNKNOWN), "{sql}: unknown");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn columns_are_carried_through_scopes() {
    check(
        outputs,
        &[
            ("SELECT ssn FROM patients", "ssn=p.ssn"),
            ("SELECT p.ssn AS x, id FROM patients p", "x=p.ssn, id=p.id"),
            ("SELECT clinic.patients.ssn FROM clinic.patients", "ssn=p.ssn"),
            ("SELECT * FROM t", "a=t.a, b=t.b, c=t.c"),
            ("SELECT t.*, 1 FROM t", "a=t.a, b=t.b, c=t.c, ?column?=-"),
            ("TABLE t", "a=t.a, b=t.b, c=t.c"),
            ("SELECT x.c3 FROM patients AS x (c1, c2, c3)", "c3=p.dob"),
            ("SELECT x.c2, x.city FROM patients AS x (c1, c2)", "c2=p.ssn, city=p.city"),
            ("SELECT q.y FROM (SELECT ssn AS y FROM patients) q", "y=p.ssn"),
            ("SELECT a FROM (SELECT ssn, id FROM patients) q (a, b)", "a=p.ssn"),
            ("SELECT ssn FROM (SELECT city AS ssn FROM patients) q", "ssn=p.city"),
            ("WITH q (x, y) AS (SELECT ssn, city FROM patients) SELECT y, x FROM q", "y=p.city, x=p.ssn"),
            ("WITH t AS (SELECT ssn FROM patients) SELECT * FROM t", "ssn=p.ssn"),
            ("WITH t AS (SELECT ssn FROM patients) SELECT * FROM clinic.t", "a=t.a, b=t.b, c=t.c"),
            ("WITH q AS (DELETE FROM patients RETURNING ssn AS s) SELECT s FROM q", "s=p.ssn"),
            ("SELECT l.s FROM t, LATERAL (SELECT ssn AS s FROM patients WHERE id = t.a) l", "s=p.ssn"),
            ("SELECT (SELECT ssn FROM patients LIMIT 1)", "ssn=p.ssn"),
            ("SELECT (SELECT p.ssn) FROM patients p", "ssn=p.ssn"),
            ("SELECT (p).ssn FROM patients p", "ssn=p.ssn"),
            (
                "SELECT p.*  FROM patients p JOIN t ON t.a = p.id",
                "id=p.id, ssn=p.ssn, dob=p.dob, city=p.city, tags=p.tags",
            ),
            ("SELECT j.x FROM (patients JOIN t ON true) j (w, x)", "x=p.ssn"),
            ("INSERT INTO t (a) VALUES (1) RETURNING *, upper(b) AS u", "a=t.a, b=t.b, c=t.c, u=total(t.b)"),
            (
                "UPDATE t SET a = 1 FROM patients p WHERE p.id = t.a RETURNING p.ssn, old.b, new.c",
                "ssn=p.ssn, b=t.b, c=t.c",
            ),
            ("UPDATE t SET a = 1 RETURNING WITH (OLD AS o) o.b", "b=t.b"),
            ("PREPARE s AS SELECT ssn FROM patients WHERE id = $1", "ssn=p.ssn"),
            ("DECLARE c CURSOR FOR SELECT ssn FROM patients", "ssn=p.ssn"),
            ("COPY (SELECT ssn FROM patients) TO STDOUT", "ssn=p.ssn"),
            ("COPY patients (city, ssn) TO STDOUT", "city=p.city, ssn=p.ssn"),
            ("COPY t TO STDOUT", "a=t.a, b=t.b, c=t.c"),
            ("EXPLAIN SELECT ssn FROM patients", "QUERY PLAN=-"),
            ("SHOW work_mem", "work_mem=-"),
            ("SELECT FROM patients", ""),
            ("INSERT INTO t (a) VALUES (1)", ""),
        ],
    );
}

#[test]
fn merged_columns_come_from_all_sides() {
    check(
        outputs,
        &[
            ("SELECT b FROM t UNION ALL SELECT ssn FROM patients", "b=either(p.ssn t.b)"),
            ("SELECT 'x' UNION ALL SELECT ssn FROM patients", "?column?=either(p.ssn)"),
            ("SELECT ssn FROM patients UNION ALL SELECT ssn FROM patients", "ssn=either(p.ssn)"),
            (
                "SELECT city, ssn FROM patients UNION ALL SELECT ssn, city FROM patients",
                "city=either(p.ssn p.city), ssn=either(p.ssn p.city)",
            ),
            ("SELECT id FROM patients JOIN visits USING (id)", "id=either(p.id v.id archive.id)"),
            ("SELECT * FROM t JOIN (SELECT b, ssn FROM patients, t) q USING (b)", "b=t.b, a=t.a, c=t.c, ssn=p.ssn"),
            ("SELECT v FROM (VALUES (1), ((SELECT ssn FROM patients))) q (v)", "v=either(p.ssn)"),
            (
                "WITH RECURSIVE r (n, s) AS (SELECT 1, ''::text UNION ALL SELECT n + 1, ssn FROM r, patients) SELECT * FROM r",
                "n=-, s=either(p.ssn)",
            ),
            (
                "WITH RECURSIVE r (x, y) AS (SELECT city, 'b' FROM patients UNION ALL SELECT y, x FROM r) SELECT y FROM r",
                "y=either(p.city)",
            ),
            (
                "WITH RECURSIVE r AS (SELECT id FROM patients UNION ALL SELECT id FROM r) SEARCH DEPTH FIRST BY id SET o SELECT o, id FROM r",
                "o=-, id=either(p.id)",
            ),
        ],
    );
}

#[test]
fn derivations() {
    check(
        outputs,
        &[
            ("SELECT upper(ssn), length(left(ssn, 3)) FROM patients", "upper=total(p.ssn), length=total(p.ssn)"),
            (
                "SELECT ssn::text, ssn::varchar(3), dob::text FROM patients",
                "ssn=total(p.ssn), ssn=total(p.ssn), dob=total(p.dob)",
            ),
            ("SELECT coalesce(ssn, '') FROM patients", "coalesce=total(p.ssn)"),
            ("SELECT ssn || city FROM patients", "?column?=join(p.ssn p.city)"),
            ("SELECT upper(ssn || '-' || city) FROM patients", "upper=join(p.ssn p.city)"),
            ("SELECT ssn || repeat('x', 9) FROM patients", "?column?=expr(p.ssn)"),
            ("SELECT ssn || $1 FROM patients", "?column?=expr(p.ssn)"),
            (
                "SELECT date_trunc('month', dob), extract(year FROM dob), to_char(dob, 'YYYY') FROM patients",
                "date_trunc=total(p.dob), extract=total(p.dob), to_char=total(p.dob)",
            ),
            (
                "SELECT to_char(id, '999'), date_trunc(city, dob) FROM patients",
                "to_char=expr(p.id), date_trunc=expr(p.dob p.city)",
            ),
            (
                "SELECT substr(ssn, 1, 2), substr(ssn, -1), substring(ssn FROM 'x') FROM patients",
                "substr=total(p.ssn), substr=expr(p.ssn), substring=expr(p.ssn)",
            ),
            (
                "SELECT ssn::int, ssn = 'x', nullif(ssn, 'x') FROM patients",
                "ssn=expr(p.ssn), ?column?=expr(p.ssn), nullif=expr(p.ssn)",
            ),
            ("SELECT upper(ssn::int::text) FROM patients", "upper=expr(p.ssn)"),
            (
                "SELECT upper(tags), array[ssn], row(ssn) FROM patients",
                "upper=expr(p.tags), array=expr(p.ssn), row=expr(p.ssn)",
            ),
            ("SELECT CASE WHEN city = 'x' THEN ssn END FROM patients", "case=expr(p.ssn p.city)"),
            (
                "SELECT min(ssn), string_agg(ssn, ','), lag(ssn) OVER (ORDER BY id) FROM patients",
                "min=agg(p.ssn), string_agg=agg(p.ssn), lag=agg(p.ssn)",
            ),
            (
                "SELECT max(length(ssn)), length(max(ssn)), max(ssn::int) FROM patients",
                "max=agg(p.ssn), length=agg(p.ssn), max=expr(p.ssn)",
            ),
            (
                "SELECT count(*), count(ssn), count(DISTINCT ssn), count(ssn) + 1 FROM patients",
                "count=-, count=-, count=agg(p.ssn), ?column?=-",
            ),
            (
                "SELECT count(DISTINCT left(ssn, 1)), count(nullif(ssn, 'x')) FROM patients",
                "count=agg(p.ssn), count=expr(p.ssn)",
            ),
            ("SELECT ssn IS NULL, (ssn = 'x') IS NULL FROM patients", "?column?=-, ?column?=expr(p.ssn)"),
            ("SELECT m FROM (SELECT max(ssn) AS m FROM patients) q", "m=agg(p.ssn)"),
            ("SELECT lower(u) FROM (SELECT upper(ssn) AS u FROM patients) q", "lower=total(p.ssn)"),
            ("SELECT 1 + 2, now(), 'a'", "?column?=-, now=-, ?column?=-"),
            ("SELECT EXISTS (SELECT ssn FROM patients)", "exists=-"),
            ("SELECT ARRAY(SELECT ssn FROM patients)", "array=expr(p.ssn)"),
            ("SELECT 'x' IN (SELECT ssn FROM patients)", "?column?=expr(p.ssn)"),
        ],
    );
}

#[test]
fn whole_rows_are_every_column() {
    check(
        outputs,
        &[
            ("SELECT t FROM t", "t=expr(t.a t.b t.c)"),
            ("SELECT q FROM t q", "q=expr(t.a t.b t.c)"),
            (
                "SELECT x::text, row_to_json(x), x.row_to_json FROM t x",
                "x=expr(t.a t.b t.c), row_to_json=expr(t.a t.b t.c), row_to_json=expr(t.a t.b t.c)",
            ),
            ("SELECT row(x.*) FROM t x", "row=expr(t.a t.b t.c)"),
            ("SELECT (x).* FROM t x", "+=expr(t.a t.b t.c)"),
            ("SELECT q FROM (SELECT b FROM t) q", "q=expr(t.b)"),
            ("SELECT json_agg(q) FROM (SELECT b FROM t) q", "json_agg=expr(t.b)"),
            // A column hides a row of the same name.
            ("SELECT b FROM t b", "b=t.b"),
            ("SELECT (SELECT x) FROM t x", "x=expr(t.a t.b t.c)"),
            ("UPDATE t SET a = 1 RETURNING new", "new=expr(t.a t.b t.c)"),
        ],
    );
}

#[test]
fn what_the_catalog_does_not_know_is_said() {
    check(
        outputs,
        &[
            ("SELECT x, * FROM nowhere", "x=stranger, +=stranger"),
            ("SELECT nothing FROM t", "nothing=?"),
            ("SELECT x.nothing FROM t x", "nothing=expr(t.a t.b t.c)"),
            // The unknown relation may have the column, or the known one has.
            ("SELECT b, z FROM t, nowhere", "b=t.b, z=stranger"),
            ("SELECT (SELECT ssn FROM nowhere LIMIT 1) FROM patients", "ssn=either(p.ssn stranger)"),
            ("SELECT (SELECT ssn FROM pg_class LIMIT 1) FROM patients", "ssn=either(p.ssn)"),
            ("SELECT relname, oid FROM pg_class", "relname=-, oid=-"),
            ("SELECT pid, query FROM pg_stat_activity", "pid=-, query=others"),
            ("SELECT ctid, xmin FROM t", "ctid=-, xmin=-"),
            // Two schemas have the name, and their columns differ.
            ("SELECT ward FROM visits", "ward=v.ward"),
            ("SELECT id FROM visits", "id=either(v.id archive.id)"),
            ("SELECT * FROM visits", "+=either(v.id v.patient_id v.ward v.charge archive.id archive.old_ward)"),
            ("SELECT g, n FROM generate_series(1, 3) AS g, unnest(ARRAY[1]) AS u (n)", "g=-, n=-"),
            ("SELECT x FROM t, json_each_text('{}') AS j (x, y)", "x=-"),
        ],
    );
}

#[test]
fn places_that_decide_on_rows_shape() {
    check(
        uses,
        &[
            ("SELECT ssn FROM patients", ""),
            ("SELECT 1 FROM patients WHERE ssn = '1'", "shape p.ssn =1"),
            (
                "SELECT 1 FROM patients WHERE '1' = ssn AND (city IN ('a', 'b') OR id = $1)",
                "shape p.city =2, shape p.id =1, shape p.ssn =1",
            ),
            ("SELECT 1 FROM patients WHERE ssn <> '1' AND ssn LIKE 'x' AND ssn NOT IN ('a')", "shape p.ssn"),
            ("SELECT 1 FROM patients WHERE NOT (ssn = '1')", "shape p.ssn"),
            ("SELECT 1 FROM patients WHERE ssn = ANY ($1) OR lower(ssn) = 'x'", "shape p.ssn"),
            ("SELECT 1 FROM patients WHERE ssn IS NOT NULL", ""),
            ("SELECT 1 FROM patients p WHERE p.* IS NOT NULL", "shape p.id p.ssn p.dob p.city p.tags row"),
            ("SELECT 1 FROM t x WHERE x::text LIKE '%1%'", "shape t.a t.b t.c row"),
            ("SELECT count(*) FROM patients HAVING max(ssn) > '5' AND count(ssn) > 3", "shape p.ssn"),
            ("SELECT 1 FROM t JOIN patients ON b = ssn", "shape p.ssn, shape t.b"),
            ("SELECT 1 FROM t JOIN patients x USING (b)", "shape t.b"),
            ("SELECT 1 FROM patients a JOIN patients b USING (ssn)", "shape p.ssn"),
            ("SELECT 1 FROM t NATURAL JOIN (SELECT b, ssn FROM t, patients) q", "shape t.b"),
            ("SELECT 1 FROM t NATURAL JOIN generate_series(1, 2) g (b)", "shape t.a t.b t.c, shape t.b"),
            ("SELECT city FROM patients GROUP BY city, lower(ssn)", "shape p.city, shape p.ssn"),
            ("SELECT city, ssn FROM patients GROUP BY 2, 1", "shape p.city, shape p.ssn"),
            ("SELECT * FROM patients ORDER BY 2", "shape p.ssn"),
            ("SELECT * FROM patients ORDER BY 1", "shape p.id"),
            (
                "SELECT *, 1 FROM visits ORDER BY 2",
                "shape v.id v.patient_id v.ward v.charge archive.id archive.old_ward",
            ),
            ("SELECT city AS ssn FROM patients ORDER BY ssn", "shape p.city"),
            ("SELECT ssn AS x FROM patients ORDER BY x", "shape p.ssn"),
            ("SELECT city AS x FROM patients ORDER BY ssn", "shape p.ssn"),
            ("SELECT upper(ssn) AS x, count(*) FROM patients GROUP BY x", "shape p.ssn"),
            ("SELECT upper(ssn) AS city, count(*) FROM patients GROUP BY city", "shape p.city"),
            (
                "SELECT 1 FROM patients GROUP BY GROUPING SETS ((id, city), CUBE (ssn), ())",
                "shape p.city, shape p.id, shape p.ssn",
            ),
            ("SELECT DISTINCT upper(ssn), city FROM patients", "shape p.city, shape p.ssn"),
            ("SELECT DISTINCT ON (ssn) city FROM patients", "shape p.ssn"),
            ("SELECT b FROM t UNION SELECT ssn FROM patients", "shape p.ssn t.b"),
            ("SELECT b FROM t EXCEPT ALL SELECT ssn FROM patients", "shape p.ssn t.b"),
            ("SELECT b FROM t UNION ALL SELECT ssn FROM patients", ""),
            ("SELECT b FROM t UNION ALL SELECT ssn FROM patients ORDER BY b", "shape p.ssn t.b"),
            ("SELECT b FROM t UNION ALL SELECT ssn FROM patients ORDER BY 1", "shape p.ssn t.b"),
            ("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM patients WHERE ssn = t.b)", "shape p.ssn, shape t.b"),
            ("SELECT 1 FROM t WHERE b IN (SELECT ssn FROM patients)", "shape p.ssn, shape t.b"),
            ("SELECT 1 FROM t WHERE b = (SELECT ssn FROM patients)", "shape p.ssn, shape t.b"),
            ("SELECT 1 FROM t LIMIT (SELECT length(ssn) FROM patients)", "shape p.ssn"),
            (
                "SELECT rank() OVER (ORDER BY ssn), sum(1) OVER w FROM patients WINDOW w AS (PARTITION BY city)",
                "shape p.city, shape p.ssn",
            ),
            ("SELECT count(*) FILTER (WHERE ssn > 'x') FROM patients", "shape p.ssn"),
            ("SELECT mode() WITHIN GROUP (ORDER BY ssn) FROM patients", "shape p.ssn"),
            ("DELETE FROM t USING patients WHERE t.b = ssn", "shape p.ssn, shape t.b"),
            ("EXPLAIN SELECT 1 FROM patients WHERE ssn = '1'", "shape p.ssn =1"),
            (
                "SELECT n FROM (SELECT city, row_number() OVER (ORDER BY id) AS n FROM patients) q WHERE n <= 3",
                "shape p.id",
            ),
            ("SELECT 1 FROM (SELECT id, upper(ssn) AS u FROM patients) q WHERE u = 'X'", "shape p.ssn"),
            ("VALUES (1), (2) ORDER BY column1", ""),
            (
                "WITH RECURSIVE r AS (SELECT id, ssn FROM patients UNION ALL SELECT * FROM r) CYCLE ssn SET d USING e SELECT id FROM r",
                "shape p.ssn",
            ),
            (
                "INSERT INTO patients (ssn) VALUES ('1') ON CONFLICT (ssn) DO UPDATE SET city = excluded.city",
                "shape p.ssn",
            ),
        ],
    );
}

#[test]
fn what_can_fail_is_a_use_wherever_it_stands() {
    check(
        uses,
        &[
            ("SELECT upper(ssn) FROM patients", ""),
            ("SELECT ssn::int FROM patients", "expr p.ssn"),
            ("SELECT 1 FROM (SELECT ssn::int AS n FROM patients) q", "expr p.ssn"),
            ("SELECT EXISTS (SELECT 1 / length(ssn) FROM patients)", "expr p.ssn"),
            ("SELECT upper(id) FROM patients", "expr p.id"),
            ("SELECT f.x FROM patients p, unnest(p.tags) f (x)", "expr p.tags"),
            ("SELECT x.a FROM patients p, xmltable('/a' PASSING (p.ssn::xml) COLUMNS a text PATH 'b') x", "expr p.ssn"),
            ("SELECT t FROM t", "expr t.a t.b t.c row"),
            ("EXECUTE s (1)", ""),
            ("CREATE INDEX ON patients (ssn, lower(city)) WHERE id > 1", "expr p.city, expr p.ssn, shape p.id"),
            ("ALTER TABLE patients ADD COLUMN x text GENERATED ALWAYS AS (lower(ssn)) STORED", "expr p.ssn"),
            ("CREATE TABLE n (a int, b int CHECK (b > a), UNIQUE (a, b))", ""),
        ],
    );
}

#[test]
fn what_is_stored() {
    check(
        stores,
        &[
            ("INSERT INTO t (a, b) SELECT id, ssn FROM patients", "(a b) id=p.id, ssn=p.ssn"),
            ("INSERT INTO t VALUES (1, (SELECT ssn FROM patients))", "() column1=-, column2=either(p.ssn)"),
            ("CREATE TABLE n (x, y) AS SELECT ssn, upper(ssn) FROM patients", "(x y) ssn=p.ssn, upper=total(p.ssn)"),
            ("SELECT ssn INTO n FROM patients", "() ssn=p.ssn"),
            ("SELECT b INTO n FROM t UNION ALL SELECT ssn FROM patients", "() b=either(p.ssn t.b)"),
            ("CREATE VIEW v (x) AS SELECT ssn FROM patients", "(x) ssn=p.ssn"),
            ("CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM patients", "() count=-"),
            ("WITH i AS (INSERT INTO t (b) SELECT ssn FROM patients RETURNING a) SELECT a FROM i", "(b) ssn=p.ssn"),
            ("CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT ssn FROM patients; END", "() ssn=p.ssn"),
            ("EXPLAIN INSERT INTO t (b) SELECT ssn FROM patients", ""),
        ],
    );
    check(
        uses,
        &[
            ("UPDATE t SET b = ssn FROM patients WHERE id = a", "shape p.id, shape t.a, store p.ssn"),
            ("UPDATE t SET (b, c) = (SELECT ssn, city FROM patients)", "store p.ssn p.city"),
            ("UPDATE patients SET ssn = '1', city = $1", ""),
            (
                "MERGE INTO t USING patients p ON t.a = p.id WHEN MATCHED AND p.city = 'x' THEN UPDATE SET b = p.ssn",
                "shape p.city, shape p.id, shape t.a, store p.ssn",
            ),
        ],
    );
}

#[test]
fn names_are_those_the_server_sees() {
    check(
        outputs,
        &[
            ("SELECT SSN FROM PATIENTS", "ssn=p.ssn"),
            ("SELECT \"SSN\" FROM patients", "SSN=?"),
            ("SELECT U&\"s\\0073n\" FROM patients", "ssn=p.ssn"),
            ("SELECT p/**/.ssn, p . \"ssn\" FROM patients p", "ssn=p.ssn, ssn=p.ssn"),
        ],
    );
    let statement = one(&format!("SELECT 1 FROM {}", "é".repeat(40)));
    assert_eq!(statement.relations[0].name, "é".repeat(31));
}

#[test]
fn the_search_path_chooses_among_schemas() {
    let index = Index::new(&catalog());
    let show = |sql: &str, by_path| outputs(&resolve::resolve(&one(sql), &index, by_path).expect("small"));
    assert_eq!(show("SELECT id FROM visits", true), "id=v.id");
    assert_eq!(show("SELECT id FROM archive.visits", true), "id=archive.id");
    assert_eq!(show("SELECT id FROM visits", false), "id=either(v.id archive.id)");
}

#[test]
fn too_deep_and_too_large_is_not_followed() {
    let index = Index::new(&catalog());
    let deep = |n: usize| format!("{}SELECT ssn FROM patients{}", "SELECT * FROM (".repeat(n), ") q".repeat(n));
    assert!(resolve::resolve(&one(&deep(20)), &index, false).is_ok());
    assert!(resolve::resolve(&one(&deep(200)), &index, false).is_err());
    let wide = format!("SELECT {} FROM patients", vec!["nothing"; 90_000].join(", "));
    assert!(resolve::resolve(&one(&wide), &index, false).is_ok());
    let froms = (0..3000).map(|i| format!("patients p{i}")).collect::<Vec<_>>().join(", ");
    let many = format!("SELECT {} FROM {froms}", vec!["nothing"; 3000].join(", "));
    assert!(resolve::resolve(&one(&many), &index, false).is_err());
}
