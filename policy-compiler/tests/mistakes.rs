//! Every mistake a rule file can have is reported with its place, the reason and the fix, all of them in one run.

use policy_compiler::build::{NoFiles, load};
use policy_compiler::source::{FILE_BYTES_MAX, text};
use policy_compiler::{Paint, Report, Source, Sources, load_str};

/// What a correct file needs besides the section under test; 4 lines.
const HEAD: &str = "targets: {w: {address: \"db:5432\", account: gateway}}\n\
classes: {ssn: \"w.s.t.ssn\"}\n\
roles:\n  analyst: {groups: [a], targets: [w]}\n";

fn report(text: &str) -> String {
    let (rules, report, sources) = load_str("r.yaml", text);
    assert_eq!(rules.is_some(), report.is_ok());
    report.render(&sources, Paint(false))
}

#[test]
fn a_correct_file_reports_nothing() {
    assert_eq!(report(HEAD), "");
}

#[test]
fn each_mistake_has_place_reason_and_fix() {
    // What is appended to HEAD (it begins on line 5), where, why, fix.
    let cases: &[(&str, &str, &str, &str)] = &[
        ("blocks: []", "r.yaml:5:1", "unknown key `blocks`", "did you mean `block`?"),
        ("version: 2", "r.yaml:5:10", "version 1", "write `version: 1`"),
        ("use: safe-harbour", "r.yaml:5:6", "unknown library", "did you mean `safe-harbor`?"),
        ("clear: [t.ssn]", "r.yaml:5:9", "has 2 parts, not 3 or 4", "\"*.t.ssn\""),
        ("clear: [a.b.c.d.e]", "r.yaml:5:9", "has 5 parts", "target.schema.table.column"),
        ("clear: [a..c]", "r.yaml:5:9", "is empty", "schema.table.column"),
        ("clear: [x.s.t.c]", "r.yaml:5:9", "unknown target `x`", "did you mean `w`?"),
        ("clear: [w.s.t.ssn]", "r.yaml:5:9", "given to clear here", "a column has one class"),
        ("clear: {a: b}", "r.yaml:5:8", "a list is needed", "one entry per line"),
        ("word-lists: {n: [two words]}", "r.yaml:5:18", "is not one word", "several entries"),
        ("word-lists: {ssn: [x]}", "r.yaml:5:14", "built-in detector", "ssn-words"),
        ("word-lists: {n: {file: x.txt}}", "r.yaml:5:24", "x.txt", "relative to the rule file"),
        ("block: {name: x}", "r.yaml:5:8", "`block` is a mapping", "begin each entry"),
        ("block: [{effects: [drop]}]", "r.yaml:5:9", "has no `name`", "add `name: …`"),
        ("block: [{name: x}]", "r.yaml:5:16", "no condition", "add `effects`"),
        ("block: [{name: x, effects: []}]", "r.yaml:5:28", "would match everything", "remove the key"),
        ("block: [{name: x, effects: [dropp]}]", "r.yaml:5:29", "unknown effect `dropp`", "did you mean `drop`?"),
        (
            "block: [{name: x, effects: [delete-all]}]",
            "r.yaml:5:29",
            "unknown effect",
            "did you mean `delete-without-where`?",
        ),
        ("block: [{name: x, words: [a b]}]", "r.yaml:5:27", "not one word", "use `patterns`"),
        ("block: [{name: x, patterns: ['(ab']}]", "r.yaml:5:30", "not a valid regular expression", "escape"),
        ("block: [{name: x, patterns: ['foo|bar']}]", "r.yaml:5:30", "3 letters in a row", "pattern of its own"),
        ("block: [{name: x, patterns: ['(abc)*']}]", "r.yaml:5:30", "empty text", "required"),
        ("block: [{name: x, objects: [a.b.c.d]}]", "r.yaml:5:29", "4 parts, not 1 to 3", "schema.table"),
        (
            "block: [{name: x, words: [a], roles: [analst]}]",
            "r.yaml:5:39",
            "unknown role `analst`",
            "did you mean `analyst`?",
        ),
        (
            "block: [{name: x, words: [a], roles: [analyst], except: [analyst]}]",
            "r.yaml:5:16",
            "never applies",
            "remove one",
        ),
        (
            "block: [{name: x, words: [a]}, {name: x, words: [b]}]",
            "r.yaml:5:39",
            "two rules are called `x`",
            "rename one",
        ),
        ("  b: {groups: [b], targets: [w], mode: watch}", "r.yaml:5:40", "`mode: watch`", "enforce, migrate, observe"),
        ("  b: {groups: [b], targets: [w], filter: [ssn]}", "r.yaml:5:42", "a mapping of classes", "{ssn: equality}"),
        ("  b: {groups: [b], targets: [w], filter: {snn: equality}}", "r.yaml:5:43", "unknown class `snn`", "`ssn`"),
        ("  b: {groups: [b], targets: [w], filter: {ssn: like}}", "r.yaml:5:48", "`like` is not a way", "per: hour"),
        ("  b: {groups: [b], targets: [w], filter: {ssn: [x]}}", "r.yaml:5:48", "is a list", "per: hour"),
        ("  b: {groups: [b], targets: [w], filter: {ssn: {per: day}}}", "r.yaml:5:48", "no `equality`", "add"),
        ("  b: {groups: [b], targets: [w], filter: {ssn: {equality: 0}}}", "r.yaml:5:59", "from 1 to", ""),
        (
            "  b: {groups: [b], targets: [w], filter: {ssn: {equality: 9, per: week}}}",
            "r.yaml:5:67",
            "`per: week`",
            "minute, hour, day",
        ),
        (
            "  b: {groups: [b], targets: [w], redact: {ssn: refuse}, filter: {ssn: equality}}",
            "r.yaml:5:66",
            "cannot be compared either",
            "another redaction",
        ),
        (
            "  b: {groups: [b], targets: [w], redact: clear, filter: {ssn: equality}}",
            "r.yaml:5:58",
            "in the clear",
            "remove the class",
        ),
        ("  b: {groups: [b], targets: [w], budgets: {rows: 1}}", "r.yaml:5:43", "a list is needed", "rows: 100000"),
        ("  b: {groups: [b], targets: [w], budgets: [{per: day}]}", "r.yaml:5:44", "what it counts", "add `rows: N`"),
        ("  b: {groups: [b], targets: [w], budgets: [{rows: 5}]}", "r.yaml:5:44", "has no `per`", "minute, hour"),
        (
            "  b: {groups: [b], targets: [w], budgets: [{rows: 5, bytes: 1GB, per: day}]}",
            "r.yaml:5:61",
            "both rows and bytes",
            "one budget for each",
        ),
        ("  b: {groups: [b], targets: [w], budgets: [{rows: 0, per: day}]}", "r.yaml:5:51", "from 1 up", "5000"),
        ("  b: {groups: [b], targets: [w], budgets: [{bytes: 5, per: day}]}", "r.yaml:5:52", "a size", "500MB"),
        (
            "  b: {groups: [b], targets: [w], budgets: [{rows: 5, per: days}]}",
            "r.yaml:5:59",
            "`per: days`",
            "did you mean `day`?",
        ),
        (
            "  b: {groups: [b], targets: [w], budgets: [{rows: 5, class: sn, per: day}]}",
            "r.yaml:5:61",
            "unknown class `sn`",
            "`ssn`",
        ),
        (
            "  b: {groups: [b], targets: [w], budgets: [{rows: 5, per: day}, {rows: 9, per: day}]}",
            "r.yaml:5:65",
            "two budgets of the same kind",
            "keep the smaller",
        ),
        ("block: [{name: default, words: [a]}]", "r.yaml:5:16", "cannot be the name", "gateway's own rules"),
        ("tests: [{target: w, statement: s, expect: allow}]", "r.yaml:5:9", "as whom", "as: ROLE"),
        (
            "tests: [{as: analyst, target: w, statement: s, expect: perhaps}]",
            "r.yaml:5:56",
            "perhaps",
            "known are allow, hold, refuse",
        ),
        (
            "tests: [{as: analyst, target: w, statement: s, expect: allow, code: TG1}]",
            "r.yaml:5:69",
            "says nothing",
            "remove `code`",
        ),
        (
            "tests: [{as: analyst, target: w, statement: s, expect: refuse, rule: nope}]",
            "r.yaml:5:70",
            "unknown rule",
            "",
        ),
        ("targets: {}", "r.yaml:5:1", "`targets` is written twice", "merge the two"),
        ("just words", "r.yaml:5:10", "not valid YAML", "check indentation"),
        ("clear: [*.*.x]", "r.yaml:5:9", "", "quotes"),
        ("\tclear: []", "r.yaml:5:1", "a tab is used for indentation", "spaces"),
        ("---\nclear: []", "r.yaml:5:1", "second YAML document", "file of its own"),
        ("clear: &a [*a]", "r.yaml:5:12", "still open", "quote"),
    ];
    for (more, place, why, fix) in cases {
        let found = report(&format!("{HEAD}{more}\n"));
        assert!(
            found.contains(&format!("--> {place}\n")) || found.contains(&format!("--> {place}  ")),
            "{more}: {place}\n{found}"
        );
        assert!(found.contains(why), "{more}: {why}\n{found}");
        assert!(found.contains(fix), "{more}: {fix}\n{found}");
        assert!(found.contains('^'), "{more}: no caret\n{found}");
    }
}

#[test]
fn redactions_say_what_they_need() {
    let cases: &[(&str, &str, &str)] = &[
        ("hash", "unknown redaction `hash`", "did you mean `token`?"),
        ("keep-lst 4", "unknown redaction", "did you mean `keep-last`?"),
        ("keep-last", "number of characters", "keep-last 4"),
        ("keep-last 0", "number of characters", "keep-last 4"),
        ("year 4", "stands alone", "write `year`"),
        ("token", "name of its key", "{token: {key: default}}"),
        ("{token: {length: 16}}", "a token has no `key`", "add `key"),
        ("{token: {key: k, length: 4}}", "a number from 8 to 64", ""),
        ("{token: k}", "needs a mapping", "{token: {key: default}}"),
        ("{keep-last: 4, keep-first: 2}", "exclude each other", "keep one"),
        ("{fill: xx}", "one printable ASCII character", "fill: \"x\""),
        ("{constant: a, fill: b}", "no meaning beside", "remove `fill`"),
        ("{}", "redaction is empty", "write `null`"),
        ("[null]", "this is a list", "keep-last 4"),
        ("", "no redaction is given", "write `null`"),
    ];
    for (written, why, fix) in cases {
        let text = format!(
            "{}    redact:\n      ssn: {written}\n",
            HEAD.replace("{groups: [a], targets: [w]}", "\n    groups: [a]\n    targets: [w]")
        );
        let found = report(&text);
        assert!(found.contains("--> r.yaml:8:"), "{written}\n{found}");
        assert!(found.contains(why), "{written}: {why}\n{found}");
        assert!(found.contains(fix), "{written}: {fix}\n{found}");
    }
}

#[test]
fn targets_classes_and_roles_are_checked() {
    let cases: &[(&str, &str, &str)] = &[
        ("targets: {w: {address: db, account: g}}", "is not host:port", "write \"db:5432\""),
        ("targets: {w: {address: \"postgres://db\", account: g}}", "is not host:port", "host and port only"),
        ("targets: {w: {address: \"db:1\", account: g, tls: full}}", "`tls: full` is not known", "verify-full"),
        ("targets: {w: {address: \"db:1\", user: g}}", "unknown key `user`", "did you mean `account`?"),
        ("targets: {w: {address: \"db:1\", account: postgres}}", "superuser", "account of its own"),
        ("targets: {\"w x\": {address: \"db:1\", account: g}}", "cannot be a name", "letters, digits"),
        ("targets: [w]", "`targets` is a list", "name: …"),
        ("roles: {a: {groups: [g], targets: [w], default: maskk}}", "`default: maskk`", "did you mean `mask`?"),
        ("roles: {a: {groups: [], targets: [w]}}", "empty list of `groups`", "everyone"),
        ("roles: {a: {groups: [g], targets: [w], trusted-functions: [f]}}", "which schema", "public.f"),
        (
            "roles: {a: {groups: [g], targets: [w]}, b: {groups: [g], targets: [w]}}",
            "nobody can ever have role `b`",
            "put `b` before `a`",
        ),
        ("roles: {a: {targets: [w]}}", "nobody may ask for it", "add `groups"),
        ("roles: {a: {targets: [w], request: {groups: [g], max: 1h}}}", "nobody may vote", "approvals: 0"),
        ("roles: {a: {targets: [w], request: {groups: [g], approvers: [p]}}}", "has no `max`", "add `max"),
        (
            "roles: {a: {targets: [w], request: {groups: [], approvers: [p], max: 1h}}}",
            "empty list of `groups`",
            "one group",
        ),
        ("roles: {a: {targets: [w], request: {groups: [g], approvers: [p], max: 9h}}}", "at most 8h", "max: 8h"),
        ("roles: {a: {targets: [w], request: {groups: [g], approvers: [p], max: 90s}}}", "a time is needed", "30m"),
        (
            "roles: {a: {targets: [w], request: {groups: [g], approvers: [p], approvals: 10, max: 1h}}}",
            "from 0 to 9",
            "",
        ),
        (
            "roles: {a: {targets: [w], request: {groups: [g], approver: [p], max: 1h}}}",
            "unknown key `approver`",
            "approvers",
        ),
        ("roles: {a: {targets: [w], break-glass: {groups: ['*']}}}", "for everyone", "enrolled"),
        ("roles: {a: {targets: [w], break-glass: {groups: [g], max: 2h}}}", "at most 1h", "max: 1h"),
        ("roles: {a: {groups: [g], targets: [w], redact: {snn: null}}}", "unknown class `snn`", "did you mean `ssn`?"),
        ("classes: {c: {scan: [emial]}}", "unknown detector", "did you mean `email`?"),
        ("classes: {c: {scan: []}}", "`scan` is empty", "name detectors"),
        ("classes: {c: {identifier: Z}}", "Safe Harbor letter", "A to R"),
        ("classes: {c: {tags: [two words]}}", "not one word", "one word per tag"),
        ("", "is empty", "policy-compiler init"),
        ("clear: []", "no target is defined", "add `targets"),
        ("clear: []", "no role is defined", "add `roles"),
    ];
    let rest = [
        "targets: {w: {address: \"db:1\", account: g}}",
        "classes: {ssn: \"w.s.t.ssn\"}",
        "roles: {a: {groups: [g], targets: [w]}}",
    ];
    for (text, why, fix) in cases {
        let section = text.split(':').next().unwrap_or_default();
        let others = rest.iter().filter(|r| !r.starts_with(section)).copied().collect::<Vec<_>>().join("\n");
        let whole =
            if text.is_empty() || *text == "clear: []" { (*text).to_owned() } else { format!("{others}\n{text}\n") };
        let found = report(&whole);
        assert!(found.contains(why), "{text}: {why}\n{found}");
        assert!(found.contains(fix), "{text}: {fix}\n{found}");
    }
}

#[test]
fn the_broken_example_reports_its_five_mistakes() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/clinic/broken.yaml")).unwrap();
    let (rules, report, sources) = load_str("broken.yaml", &text);
    assert!(rules.is_none());
    assert_eq!(report.errors(), 5);
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/broken.txt");
    let found = report.render(&sources, Paint(false));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(golden).unwrap());
}

#[test]
fn two_definitions_in_two_files_show_both_places() {
    let file = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    let sources = Sources::new(vec![file("b.yaml", "classes: {ssn: {}}\n"), file("a.yaml", HEAD)]);
    let mut report = Report::default();
    assert!(load(sources.clone(), &NoFiles, &mut report).is_none());
    let found = report.render(&sources, Paint(false));
    assert!(found.contains("--> b.yaml:1:11") && found.contains("--> a.yaml:2:11  (first defined here)"), "{found}");
}

#[test]
fn hostile_files_end_in_a_clear_error() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..20 {
        let before = if i == 1 { "a".to_owned() } else { format!("l{}", i - 1) };
        bomb.push_str(&format!("l{i}: &l{i} [{}]\n", vec![format!("*{before}"); 10].join(", ")));
    }
    assert!(report(&bomb).contains("more than 400000 values"), "{}", report(&bomb));
    let deep = format!("clear: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(report(&deep).contains("nested deeper than 32"), "{}", report(&deep));
    let long = vec![b'#'; FILE_BYTES_MAX + 1];
    assert!(text("r.yaml", long).unwrap_err().message.contains("larger than the 4 MiB"));
    let wrong = text("r.yaml", b"targets:\n  caf\xe9: x\n".to_vec()).unwrap_err();
    assert_eq!(wrong.message, "r.yaml:2:6: not valid UTF-8");
    // Thousands of mistakes give a bounded report.
    let many: String = (0..3_000).map(|i| format!("k{i}: 1\n")).collect();
    let found = report(&many);
    assert!(found.contains("more\n") && found.len() < 400_000, "{}", found.len());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,400}") {
        let (rules, report, sources) = load_str("p.yaml", &text);
        proptest::prop_assert_eq!(rules.is_some(), report.is_ok());
        let _ = report.render(&sources, Paint(true));
    }

    #[test]
    fn no_change_of_a_correct_file_makes_it_panic(at: proptest::sample::Index, what in "[\\[\\]{}:,&*\"' \n\t#|>a-z-]{0,6}") {
        let good = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/clinic/roles.yaml")).unwrap();
        let at = good.char_indices().map(|(i, _)| i).nth(at.index(good.chars().count())).unwrap_or(0);
        let text = format!("{}{what}{}", &good[..at], &good[at..]);
        let (_, report, sources) = load_str("p.yaml", &text);
        let _ = report.render(&sources, Paint(false));
    }
}
