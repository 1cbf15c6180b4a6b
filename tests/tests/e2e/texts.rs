//! Statement texts that are meant to be misread: every way to write a literal, an identifier, a comment or the end of a
//! statement, texts that are too long, too deep or too wide, bytes that are no text. What the server runs is what was
//! recorded, statement by statement, and nothing of what was refused.

use std::collections::BTreeMap;
use tests::{
    gateway::Setup,
    process::{resident_kib, used},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, bind, error, execute, frame, parse, query, sync, tags},
};

/// An analyst who may do what does not touch protected columns.
const RULES: &str = "\
targets:
  plain: {address: \"127.0.0.1:5432\", database: plain, account: app, tls: disable, audit: strict}
classes:
  secret: {columns: [\"public.vault.secret\"]}
roles:
  everyone: {groups: [everyone], targets: [plain], default: clear, redact: {secret: \"null\"}}
";

/// Texts the server and the gateway have to read alike. Each holds the mark `odd` once per statement that runs.
const TEXTS: &[&str] = &[
    "select 'odd '' quote'",
    "select E'odd \\' quote'",
    "select e'odd \\\\'",
    "select 'odd \\'",
    "select 'odd \\', ' -- not a comment '",
    "select U&'odd \\0041'",
    "select U&'odd !0041' uescape '!'",
    "select $$odd ' ; select 1$$",
    "select $x$odd $$ ; $y$ ; $x$",
    "select N'odd'",
    "select B'0101', X'1F', 'odd'",
    "select 'odd' 'not joined'",
    "select 'odd'\n'joined'",
    "select 'odd' -- ; select 2\n, 1",
    "select 'odd' /* ; /* nested ; */ ' */",
    "select 'odd' as \"a;b\"\"c\"",
    "select 'odd' as u&\"d\\0061t\"",
    "select 'odd; not two'",
    "select 'odd one'; select 'odd two';",
    ";;select 'odd empty';;",
    "select 'odd', 1.e2, .5, 1e-3, 0x1F, 1_000",
    "select 'odd' where 1 operator(pg_catalog.=) 1",
    "select 'odd'::text::varchar(2), cast('odd' as text)",
    "select text 'odd', date '2020-01-01'",
    "values ('odd')",
    "table pg_namespace; select 'odd'",
    "select 'odd é \u{200b} \u{202e}'",
    "select 'odd'\u{a0}",
    "\u{feff}select 'odd'",
    "select 'odd' \\ 1",
    "select 'odd'$1",
    "select $1::text || 'odd'",
    "select 'odd' from vault where false",
    "select secret, 'odd' from vault where secret = 'x'",
    "select 'odd'; select secret::int from vault",
    "select 'odd' union select secret from vault",
];

/// How often each statement with the mark ran, as the server logs it.
fn executed(server: &Postgres) -> BTreeMap<String, usize> {
    let log = server.log();
    let mut found = BTreeMap::new();
    // A text of several lines goes on in lines that begin with a tab.
    for entry in log.replace("\n\t", "\n").split("@app@LOG:  ").skip(1) {
        let entry = entry.split("\n@").next().unwrap_or("");
        let text = entry
            .strip_prefix("statement: ")
            .or_else(|| entry.split_once(": ").filter(|(head, _)| head.starts_with("execute")).map(|(_, text)| text));
        if let Some(text) = text.map(str::trim_end).filter(|t| t.contains("odd")) {
            *found.entry(text.to_owned()).or_default() += 1;
        }
    }
    found
}

fn recorded(gateway: &tests::gateway::Gateway) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for record in gateway.records() {
        if record.to_string().to_lowercase().contains("intent")
            && let Some(text) = texts(&record).into_iter().find(|t| t.contains("odd"))
        {
            *found.entry(text.trim_end().to_owned()).or_default() += 1;
        }
    }
    found
}

fn texts(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(all) => all.iter().flat_map(texts).collect(),
        serde_json::Value::Object(all) => all.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn p4_what_the_server_runs_is_what_was_recorded() {
    let server = Postgres::start("log_statement = 'all'\nlog_line_prefix = '@%u@'\nlog_min_messages = log");
    server.sql("plain", "create table vault (id int, secret text); insert into vault values (1, '123-45-6789'); grant all on vault to app");
    let bundle = Bundle::compile(&[RULES], "plain", &server);
    let gateway = Setup::new(&bundle, &server).start();
    let mut refused = 0;
    for text in TEXTS {
        let mut wire = Wire::login(&gateway.endpoint("app"));
        let simple = wire.query(text);
        refused += usize::from(error(&simple).is_some_and(|e| e.field(b'C').as_deref() == Some("42501")));
        wire.send(&[parse("", text), bind("", "", &[], 0), execute("", 0), sync()].concat());
        wire.until_ready(1);
        assert_eq!(tags(&wire.query("select 1")), "TDCZ", "the session goes on after {text}");
    }
    let executed = executed(&server);
    assert!(refused >= 3, "{refused} refused");
    assert!(executed.len() >= TEXTS.len() - 12, "only {} texts ran: {executed:#?}", executed.len());
    // In strict mode all of it is durable before its answer is given.
    let recorded = recorded(&gateway);
    for (text, times) in &executed {
        let known = recorded.get(text).copied().unwrap_or(0);
        assert!(known >= *times, "ran {times} times and was recorded {known} times: {text}\n{recorded:#?}");
    }
    assert!(executed.keys().all(|t| !t.contains("secret =") && !t.contains("secret::int")), "{executed:#?}");
    assert_eq!(gateway.tidegate(&["audit", "verify", "audit"]).code, 0);
}

#[test]
fn p4_texts_that_are_too_large_deep_or_wide_end_in_an_error_and_the_session_goes_on() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    let endpoint = gateway.endpoint("ana");
    let mut wire = Wire::login(&endpoint);
    wire.query("select 1");
    let before = resident_kib(gateway.id());
    let n = 100_000;
    let many = |what: &str| vec![what; 10_000].join(", ");
    let texts: Vec<Vec<u8>> = vec![
        query(&format!("select '{}'", "x".repeat(16 << 20))),
        query(&format!("select {}1{}", "(".repeat(n), ")".repeat(n))),
        query(&format!("select {}1", "- ".repeat(n))),
        query(&format!("select {}1{}", "(select ".repeat(n), ")".repeat(n))),
        query(&format!("select 1{}", " union all select 1".repeat(20_000))),
        query(&format!("select {} from clinic.patients where ssn = '1'", many("p.ssn"))),
        query(&format!("select * from {} where ssn = '1'", many("clinic.patients"))),
        query(&format!("select {} from clinic.patients p where ssn = '1'", many("upper(nothing)"))),
        frame(b'Q', b"select '\xff\xfe'\0"),
        frame(b'Q', b"select '\xed\xa0\x80'\0"),
    ];
    for (i, bytes) in texts.iter().enumerate() {
        let began = used(gateway.id()).as_secs_f64();
        wire.send(bytes);
        let answer = wire.until_ready(1);
        assert!(error(&answer).is_some(), "text {i}: {}", tags(&answer));
        let took = used(gateway.id()).as_secs_f64() - began;
        assert!(took < 30.0, "text {i} takes {took} seconds of processor time");
        assert_eq!(tags(&wire.query("select 1")), "TDCZ", "the session goes on after text {i}");
    }
    let grown = resident_kib(gateway.id()).saturating_sub(before);
    assert!(grown < 600 << 10, "grew by {grown} KiB");
    // A NUL inside a text would end it for the server and not for others.
    let mut cut = Wire::login(&endpoint);
    cut.send(&frame(b'Q', b"select 1\0; select ssn from clinic.patients\0"));
    let answer = cut.to_end();
    assert!(!answer.contains(&b'D'), "{answer:?}");
    assert_eq!(tags(&Wire::login(&endpoint).query("select 1")), "TDCZ");
}
