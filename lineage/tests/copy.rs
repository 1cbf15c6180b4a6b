//! COPY TO STDOUT: the query that stands for its rows, and how they are written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lineage::{CopyOut, analyse};

fn copy(text: &str) -> Option<CopyOut> {
    let facts = analyse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    facts.statements.last().unwrap().copy_out.clone()
}

#[test]
fn the_query_that_stands_for_the_rows() {
    for (text, shape) in [
        ("copy t to stdout", "SELECT * FROM ONLY \"t\""),
        (
            "COPY Cased.\"Odd \"\"Name\" (a, \"B\") TO STDOUT",
            "SELECT \"a\", \"B\" FROM ONLY \"cased\".\"Odd \"\"Name\"",
        ),
        ("copy binary t to stdout", "SELECT * FROM ONLY \"t\""),
        ("copy (select 1) to stdout", "select 1"),
        (
            "select 'é'; /* ( */ copy/*(*/(\n select ')', $x$)$x$, (a) from t -- )\n ) to stdout",
            "\n select ')', $x$)$x$, (a) from t -- )\n ",
        ),
        ("copy (table t) to stdout csv", "table t"),
        ("copy (with x as (select 1) select * from x) to stdout", "with x as (select 1) select * from x"),
        ("copy (delete from t where a = 1 returning b) to stdout", "delete from t where a = 1 returning b"),
        ("copy (values (1), (2)) to stdout", "values (1), (2)"),
    ] {
        let copy = copy(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(copy.shape, shape, "{text}");
    }
    for text in ["copy t from stdin", "copy t to '/tmp/x'", "copy (select 1) to program 'x'", "select 1"] {
        assert!(copy(text).is_none(), "{text}");
    }
}

#[test]
fn options_are_read_as_the_server_reads_them() {
    let shown = |options: &str| copy(&format!("copy t to stdout {options}")).map(|c| format!("{:?}", c.format));
    for (options, want) in [
        ("", "Text { delimiter: 9, null: [92, 78], header: false }"),
        ("(format text, delimiter '|', null '', header on)", "Text { delimiter: 124, null: [], header: true }"),
        (
            "using delimiters ',' with null as '\\Null'",
            "Text { delimiter: 44, null: [92, 78, 117, 108, 108], header: false }",
        ),
        (
            "(format csv, header 0, encoding 'utf-8')",
            "Csv { delimiter: 44, quote: 34, escape: 34, null: [], header: false, quoted: Columns([]) }",
        ),
        (
            "csv header quote '''' force quote a, \"B\"",
            "Csv { delimiter: 44, quote: 39, escape: 39, null: [], header: true, quoted: Columns([\"a\", \"B\"]) }",
        ),
        (
            "(format csv, force_quote *, escape '\\', null 'x')",
            "Csv { delimiter: 44, quote: 34, escape: 92, null: [120], header: false, quoted: All }",
        ),
        ("(format binary)", "Binary"),
    ] {
        assert_eq!(shown(options).as_deref(), Some(want), "{options}");
    }
    for options in [
        "(format text, null 'x')",
        "(format text, null '\\n')",
        "(format text, null '\\\\N')",
        "(format text, quote '\"')",
        "(format text, delimiter 'a')",
        "(format text, delimiter '||')",
        "(format csv, delimiter '\"')",
        "(format csv, null ',')",
        "(format csv, encoding 'latin1')",
        "(format binary, delimiter ',')",
        "(format binary, header)",
        "(format 'CSV')",
        "(format parquet)",
        "(format csv, header match)",
        "(format csv, header 2)",
        "(format csv, format text)",
        "(freeze)",
        "(format csv, force_null (a))",
        "(unheard_of 'x')",
    ] {
        assert_eq!(shown(options), None, "{options}");
    }
}

#[test]
fn another_delimiter_is_another_statement() {
    let mut cache = lineage::FactsCache::new(16, 1 << 20);
    let mut format = |text: &str| cache.get_or_analyse(text).unwrap().statements[0].copy_out.clone().unwrap();
    let one = format("copy t to stdout (delimiter '|')");
    let other = format("copy t to stdout (delimiter ';')");
    assert_ne!(one.format, other.format);
    let one = format("copy (select 'a') to stdout");
    assert_ne!(one.shape, format("copy (select 'b') to stdout").shape);
}

#[test]
fn a_text_of_many_copies_costs_no_square_of_its_length() {
    let many = "copy (select a from t) to stdout;".repeat(20_000);
    let began = std::time::Instant::now();
    let facts = analyse(&many).unwrap();
    assert_eq!(facts.statements.len(), 20_000);
    assert!(facts.statements[0].copy_out.is_some() && facts.statements[19_999].copy_out.is_none());
    let query = format!("copy (select '{}') to stdout", "x".repeat(300_000));
    assert!(copy(&query).is_none());
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
