//! Laws: analysis never panics, hostile depth ends cleanly, and texts of one normal form have the same facts.

use lineage::facts::Span;
use lineage::graph::Body;
use lineage::{Facts, FactsCache, Statement, analyse, normalise};
use proptest::prelude::*;
use std::sync::Arc;

/// Facts without spans, which a text of the same form may have elsewhere.
fn without_spans(facts: &Facts) -> Vec<Statement> {
    let strip = |s: &Arc<Statement>| {
        let mut s = Statement::clone(s);
        s.span = Span::default();
        s.relations.iter_mut().for_each(|r| r.span = Span::default());
        s.functions.iter_mut().for_each(|f| f.span = Span::default());
        for query in &mut s.graph.queries {
            query.span = Span::default();
            if let Body::Targets(outputs) = &mut query.body {
                outputs.iter_mut().for_each(|o| o.span = Span::default());
            }
        }
        s.graph.leaves.iter_mut().for_each(|l| l.span = Span::default());
        s
    };
    facts.statements.iter().map(strip).collect()
}

fn form(text: &str) -> Option<String> {
    let mut out = Vec::new();
    normalise(text.as_bytes(), &mut out)?;
    Some(String::from_utf8(out).expect("whole characters are kept"))
}

#[test]
fn normal_forms() {
    for (text, expected) in [
        ("SELECT 1", Some("SELECT ?")),
        ("SELECT 1.5, .5, 1e5, 1., 2E-3 FROM t1", Some("SELECT ?, ?, ?, ?, ? FROM t1")),
        ("SELECT 'a', 'it''s', ''", Some("SELECT '?', '?', '?'")),
        ("SELECT -1, a-1, a -1", Some("SELECT -?, a-?, a -?")),
        ("SELECT $1, $12, a$1", Some("SELECT $1, $12, a$1")),
        ("SELECT \"a1\", \"x'1\", \"a\"\"2\"", Some("SELECT \"a1\", \"x'1\", \"a\"\"2\"")),
        ("SELECT t1.c2, é3", Some("SELECT t1.c2, é3")),
        ("SELECT 'é' WHERE a IN (1,2,3)", Some("SELECT '?' WHERE a IN (?,?,?)")),
        ("SELECT E'a'", None),
        ("SELECT e'a'", None),
        ("SELECT U&'a'", None),
        ("SELECT U&\"a\" UESCAPE '!'", None),
        ("SELECT B'1', X'1F'", None),
        ("SELECT $$a$$", None),
        ("SELECT $a$b$a$", None),
        ("SELECT 1 -- c", None),
        ("SELECT 1 /* c */", None),
        ("SELECT 'a\\b'", None),
        ("SELECT \\", None),
        ("SELECT 'open", None),
        ("SELECT \"open", None),
        ("SELECT 1a", None),
        ("SELECT 0x1F", None),
        ("SELECT 1_000", None),
        ("SELECT 1..2", None),
        ("SELECT 1e", None),
        ("SELECT $1a", None),
        ("SELECT 'a'b", None),
        ("SELECT 'a'\n'b'", Some("SELECT '?'\n'?'")),
        ("SELECT t.1", None),
        ("SELECT a[1:2], 1/2", Some("SELECT a[?:?], ?/?")),
    ] {
        assert_eq!(form(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn fingerprints_hold_no_literal() {
    let print = |sql: &str| analyse(sql).expect(sql).statements[0].fingerprint;
    let plain = print("SELECT a FROM t WHERE b = 1 AND c = 'x'");
    assert_eq!(plain, print("SELECT a FROM t WHERE b = 22 AND c = 'it''s'"));
    assert_eq!(plain, print("SELECT a  FROM t /* note 7 */ WHERE b = 3 AND c = $$x$$ -- end"));
    assert_eq!(plain, print(" SELECT a FROM t WHERE b = 1.5e3 AND c = E'\\'' "));
    assert_ne!(plain, print("SELECT a FROM t WHERE b = 1 AND d = 'x'"));
    assert_ne!(plain, print("SELECT a FROM t WHERE b = $1 AND c = 'x'"));
}

#[test]
fn ordinary_depth_is_understood() {
    let join = |term: &str, by: &str, n: usize| vec![term; n].join(by);
    for n in [10, 200, 1_000] {
        for sql in [
            format!("SELECT 1 FROM t WHERE {}", join("a = 1", " AND ", n)),
            format!("SELECT 1 FROM t WHERE {}", join("a = 1", " OR ", n)),
            format!("SELECT {} FROM t", join("a", " || ", n)),
            format!("SELECT {} FROM t", join("1", " + ", n)),
            format!("SELECT 1 FROM t WHERE a IN ({})", join("1", ", ", n)),
            format!("INSERT INTO t VALUES {}", join("(1, 'a')", ", ", n)),
            join("SELECT a FROM t", " UNION ALL ", n),
            format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n)),
            format!("SELECT {}1{}", "CASE WHEN a THEN ".repeat(n), " END".repeat(n)),
            format!("SELECT a{} FROM t", "::int".repeat(n)),
            format!("SELECT {}1", "- ".repeat(n)),
            format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n)),
            format!("SELECT {}1{}", "f(".repeat(n), ")".repeat(n)),
            format!("SELECT 1 FROM t {}", "JOIN t USING (a) ".repeat(n)),
            format!("SELECT 1 FROM {}t{}", "(SELECT 1 FROM ".repeat(n), ") q".repeat(n)),
        ] {
            let facts = analyse(&sql).unwrap_or_else(|e| panic!("{n} {}: {}", &sql[..40], e.message));
            assert_eq!(facts.statements.len(), 1);
        }
    }
}

#[test]
fn hostile_depth_ends_cleanly() {
    let n = 100_000;
    let names = vec!["a"; 20_000].join(", ");
    for sql in [
        format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n)),
        format!("SELECT {}", "(".repeat(n)),
        format!("SELECT {}1", "- ".repeat(n)),
        format!("SELECT {}1", "NOT ".repeat(n)),
        format!("SELECT 1{}", " + 1".repeat(n)),
        format!("SELECT a{}", " || a".repeat(n)),
        format!("SELECT a{}", "::int".repeat(n)),
        format!("SELECT a{}", " IS NULL".repeat(n)),
        format!("SELECT 1 FROM t WHERE a{}", " AND a".repeat(n)),
        format!("SELECT {}1{}", "ARRAY[".repeat(n), "]".repeat(n)),
        format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(n)),
        format!("SELECT 1 FROM t{}", " CROSS JOIN t".repeat(n)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(n)),
        format!("UPDATE t SET ({names}) = (SELECT {names} FROM u)"),
        format!("UPDATE t SET ({names} /* ) */ ) -- x\n = (SELECT {names} FROM u)"),
    ] {
        let began = std::time::Instant::now();
        if let Ok(facts) = analyse(&sql) {
            assert_eq!(facts.statements.len(), 1);
        }
        assert!(began.elapsed().as_secs() < 60, "{}", &sql[..40]);
    }
}

#[test]
fn nested_order_by_output_is_not_exponential() {
    let n = 300;
    let sql = format!("SELECT {}ssn{}", "(SELECT ".repeat(n), " FROM p ORDER BY 1)".repeat(n));
    let statement = &analyse(&sql).expect("understood").statements[0];
    assert!(statement.graph.leaves.len() <= 4 * n);
}

/// In a process of its own, or a parse of another test would have it just when this one looks.
#[test]
fn standard_error_survives_parallel_analysis() {
    const ALONE: &str = "LINEAGE_TESTED_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let this = std::env::current_exe().expect("this program");
        let mut alone = std::process::Command::new(this);
        alone.args(["--exact", "standard_error_survives_parallel_analysis", "--nocapture"]).env(ALONE, "yes");
        let run = alone.output().expect("it runs");
        let said = [run.stdout, run.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let before = std::fs::read_link("/proc/self/fd/2").expect("standard error");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| assert!(analyse("SELECT 1").is_ok())));
        }
    });
    assert_eq!(before, std::fs::read_link("/proc/self/fd/2").expect("standard error"));
}

#[test]
fn cache_hits_share_facts_and_stay_bounded() {
    let mut cache = FactsCache::new(64, 1 << 20);
    let first = cache.get_or_analyse("SELECT a FROM t WHERE b = 1").expect("understood");
    let same = cache.get_or_analyse("SELECT a FROM t WHERE b = 1").expect("understood");
    let other = cache.get_or_analyse("SELECT a FROM t WHERE b = 22").expect("understood");
    assert!(Arc::ptr_eq(&first, &same));
    assert!(Arc::ptr_eq(&first, &other));
    assert_eq!(cache.len(), 1);
    // Where literals choose, each text has its own facts.
    let two = cache.get_or_analyse("SELECT a, ssn FROM t ORDER BY 2").expect("understood");
    let one = cache.get_or_analyse("SELECT a, ssn FROM t ORDER BY 1").expect("understood");
    assert_ne!(without_spans(&two), without_spans(&one));
    assert_ne!(
        cache.get_or_analyse("SET a = 'x'").expect("understood").statements[0].session,
        cache.get_or_analyse("SET a = 'y'").expect("understood").statements[0].session,
    );
    for i in 0..1_000 {
        cache.get_or_analyse(&format!("SELECT c{i} FROM t WHERE x = 1")).expect("understood");
        assert!(cache.len() <= 64);
    }
    // One that is asked for again and again outlives the others.
    let kept = cache.get_or_analyse("SELECT kept FROM t").expect("understood");
    for i in 0..200 {
        cache.get_or_analyse(&format!("SELECT d{i} FROM t WHERE x = 1")).expect("understood");
        let again = cache.get_or_analyse("SELECT kept FROM t").expect("understood");
        assert!(Arc::ptr_eq(&kept, &again));
    }
    assert!(cache.get_or_analyse("SELEC").is_err());
    let mut small = FactsCache::new(1_000, 4_000);
    for i in 0..100 {
        small.get_or_analyse(&format!("SELECT e{i} FROM t")).expect("understood");
    }
    assert!(small.len() < 20);
}

/// Statement texts made of pieces that are legal next to each other more often than not.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "INSERT INTO", "VALUES", "UPDATE", "SET", "DELETE FROM", "WITH",
            "AS", "UNION", "JOIN", "ON", "USING", "RETURNING", "CASE WHEN", "END", "DISTINCT", "COPY", "TO STDOUT", "EXPLAIN",
            "CREATE TABLE", "ALTER TABLE", "DROP TABLE", "PREPARE", "EXECUTE", "LIMIT", "OVER", "NOT", "AND", "OR", "IN", "LATERAL",
            "SIMILAR TO", "MERGE INTO", "JSON_TABLE", "XMLELEMENT", "ARRAY", "ROW", "EXISTS", "INTERVAL", "GRANT", "COMMENT ON",
        ]).prop_map(str::to_owned),
        6 => prop::sample::select(vec!["a", "t", "p.ssn", "p.*", "*", "\"X\"", "u&\"a\"", "$1", "f", "count", "é"]).prop_map(str::to_owned),
        6 => prop::sample::select(vec!["(", ")", ",", ";", "=", "+", "::int", "[1]", ".", "||", "->>", "-", "--\n", "/*", "*/", "'"]).prop_map(str::to_owned),
        3 => prop::sample::select(vec!["1", "'x'", "1.5", "E'\\''", "$$q$$", "B'1'", ".5", "1e5", "''"]).prop_map(str::to_owned),
    ]
}

const TEMPLATES: &[&str] = &[
    "SELECT a, {} FROM t WHERE b = {} AND c IN ({}, {})",
    "INSERT INTO t (a, b) VALUES ({}, {}), ({}, {})",
    "UPDATE t SET a = {}, b = b + {} WHERE c BETWEEN {} AND {}",
    "SELECT {} AS x, count(*) FROM t GROUP BY x HAVING max(y) > {} LIMIT {} OFFSET {}",
    "DELETE FROM t WHERE a = {} OR b LIKE {} OR c[{}] = -{}",
    "SELECT f({}, {}), CASE WHEN a = {} THEN b ELSE {} END FROM t",
    "SELECT coalesce(a, {}), x-{}, {}::text, interval {} FROM t1 ORDER BY a",
    "SELECT a FROM t ORDER BY {}, {} LIMIT {} OFFSET {}",
    "SELECT set_config({}, {}, false), current_setting({}), \"q'\"\"1\" = {}",
];

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u64..1_000_000_000_000).prop_map(|n| n.to_string()),
        (0u32..100, 0u32..100).prop_map(|(a, b)| format!("{a}.{b}")),
        (0u32..9, 0u32..9).prop_map(|(a, b)| format!("{a}e{b}")),
        "[ -~é]{0,12}".prop_map(|s| format!("'{}'", s.replace('\'', "''"))),
    ]
}

/// Two literals of one kind, as the normal form tells kinds apart.
fn pair() -> impl Strategy<Value = (String, String)> {
    let number = || {
        prop_oneof![
            (0u64..1_000_000_000_000).prop_map(|n| n.to_string()),
            (0u32..100, 0u32..100).prop_map(|(a, b)| format!("{a}.{b}"))
        ]
    };
    let string = || "[ -\\[\\]-~é]{0,12}".prop_map(|s| format!("'{}'", s.replace('\'', "''")));
    prop_oneof![(number(), number()), (string(), string())]
}

fn fill(template: &str, literals: &[String]) -> String {
    let mut parts = template.split("{}");
    let mut text = parts.next().unwrap_or("").to_owned();
    for (part, literal) in parts.zip(literals.iter().cycle()) {
        text.push_str(literal);
        text.push_str(part);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_texts_never_panic(text in "\\PC{0,200}") {
        let _ = analyse(&text);
        let _ = form(&text);
    }

    #[test]
    fn pieces_of_sql_never_panic(pieces in prop::collection::vec(piece(), 0..25)) {
        let _ = analyse(&pieces.join(" "));
    }

    #[test]
    fn mutated_statements_never_panic(
        template in prop::sample::select(TEMPLATES.to_vec()),
        literals in prop::collection::vec(literal(), 4),
        at in any::<prop::sample::Index>(),
        with in piece(),
    ) {
        let mut text = fill(template, &literals);
        let mut position = at.index(text.len() + 1);
        while !text.is_char_boundary(position) {
            position -= 1;
        }
        text.insert_str(position, &with);
        let _ = analyse(&text);
        text.truncate(position);
        let _ = analyse(&text);
    }

    #[test]
    fn texts_of_one_form_have_the_same_facts(
        template in prop::sample::select(TEMPLATES.to_vec()),
        pairs in prop::collection::vec(pair(), 4),
    ) {
        let (left, right): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let (a, b) = (fill(template, &left), fill(template, &right));
        let (form_a, form_b) = (form(&a), form(&b));
        prop_assert!(form_a.is_some());
        prop_assert_eq!(form_a, form_b);
        if let (Ok(facts_a), Ok(facts_b)) = (analyse(&a), analyse(&b)) {
            let free = |f: &Facts| f.statements.iter().all(|s| !s.literals_matter);
            prop_assert_eq!(free(&facts_a), free(&facts_b));
            if free(&facts_a) {
                prop_assert_eq!(without_spans(&facts_a), without_spans(&facts_b));
            }
        }
    }

    #[test]
    fn pieces_of_one_form_have_the_same_facts(pieces in prop::collection::vec(piece(), 0..12), other in literal()) {
        let swap = |with: &str| pieces.iter().map(|p| match p.as_str() {
            "1" | "1.5" | ".5" | "1e5" if !with.starts_with('\'') => with,
            "'x'" | "''" if with.starts_with('\'') => with,
            other => other,
        }).collect::<Vec<_>>().join(" ");
        let (a, b) = (pieces.join(" "), swap(&other));
        let (form_a, form_b) = (form(&a), form(&b));
        prop_assume!(form_a.is_some() && form_a == form_b);
        if let (Ok(facts_a), Ok(facts_b)) = (analyse(&a), analyse(&b))
            && facts_a.statements.iter().all(|s| !s.literals_matter)
        {
            prop_assert_eq!(without_spans(&facts_a), without_spans(&facts_b));
        }
    }
}
