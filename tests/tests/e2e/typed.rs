//! Database `typed`: one table per redaction, one column per type, values that are awkward to write; the rules for it.

use std::sync::OnceLock;
use tests::{
    endpoint::Endpoint,
    gateway::{Gateway, Setup},
    rules::Bundle,
    server::Postgres,
};

/// Redactions under test: the name of their table and class, and the rule.
pub(crate) const REDACTIONS: &[(&str, &str)] = &[
    ("first2", "{keep-first: 2, fill: \"#\"}"),
    ("last4", "keep-last 4"),
    ("digits", "{keep-last: 3, fill: \"0\"}"),
    ("filled", "fill"),
    ("token", "{token: {key: default, length: 24}}"),
    ("year", "year"),
    ("age", "age-cap"),
    ("zip", "zip3"),
    ("word", "{constant: \"it's \\\"hidden\\\", {x}\\\\\"}"),
    ("zero", "{constant: \"0\"}"),
    ("day", "{constant: \"2001-02-03\"}"),
    ("hour", "{constant: \"12:34:56.5\"}"),
    ("unid", "{constant: \"00000000-0000-0000-0000-0000000000ff\"}"),
    ("address", "{constant: \"10.0.0.0/8\"}"),
    ("nothing", "{constant: \"{}\"}"),
    ("gone", "null"),
];

/// Types under test and their values, as literals.
pub(crate) const TYPES: &[(&str, &[&str])] = &[
    (
        "text",
        &[
            "123-45-6789",
            "",
            "Zoë\tMüller\nII",
            "back\\slash \"quote\" 'tick'",
            "1952-05-21",
            "43017",
            "\\N",
            "NULL",
            "\\.",
            "98",
            "a,b;c|d",
        ],
    ),
    ("varchar(40)", &["123-45-6789", "x"]),
    ("char(12)", &["123-45-67", ""]),
    ("name", &["a_name_to_hide"]),
    ("\"char\"", &["x"]),
    ("citext", &["Some Mixed Case", "1952-05-21"]),
    ("bool", &["true", "false"]),
    ("int2", &["98", "-12345", "0"]),
    ("int4", &["123456789", "43017", "-98", "90", "2147483647"]),
    ("int8", &["1234567890123", "941101234", "-9223372036854775808"]),
    ("float4", &["97.5", "-0", "NaN", "Infinity"]),
    ("float8", &["123456.789", "1e300", "12"]),
    (
        "numeric",
        &[
            "123456789.0123456789",
            "-0.00012",
            "NaN",
            "98.60",
            "0",
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890.5",
            "43017",
        ],
    ),
    ("date", &["1952-05-21", "0044-03-15 BC", "infinity", "4714-12-31 BC"]),
    ("time", &["13:14:15.167", "00:00"]),
    ("timetz", &["13:14:15.167+05:30"]),
    ("timestamp", &["1952-05-21 13:14:15.167", "infinity", "0001-01-01 00:00:00"]),
    ("timestamptz", &["1952-05-21 13:14:15+02", "1952-01-01 00:30:00+02", "0001-01-01 00:00:00+14"]),
    ("interval", &["3 years 2 mons -4 days 05:06:07.8", "00:00"]),
    ("uuid", &["00112233-4455-6677-8899-aabbccddeeff"]),
    ("bytea", &["\\x00112233445566778899", "\\x"]),
    ("inet", &["192.168.7.42/24", "2001:db8::42"]),
    ("cidr", &["192.168.7.0/24"]),
    ("macaddr", &["08:00:2b:01:02:03"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05"]),
    (
        "json",
        &[
            "{\"ssn\": \"123-45-6789\", \"n\": [12345, true, null, {\"d\": \"1952-05-21\"}], \"e\": \"\\u00e9\\n\"}",
            "\"43017\"",
            "98",
            "[]",
        ],
    ),
    (
        "jsonb",
        &[
            "{\"ssn\": \"123-45-6789\", \"n\": [12345, true, null, {\"d\": \"1952-05-21\"}], \"e\": \"\\u00e9\\n\"}",
            "\"43017\"",
            "98",
            "{}",
        ],
    ),
    ("xml", &["<a>secret</a>"]),
    ("bit(8)", &["10101010"]),
    ("money", &["1234.56"]),
    (
        "text[]",
        &[
            "{123-45-6789,NULL,\"\",\"a \\\"b\\\" \\\\ , {}\",\"NULL\",1952-05-21}",
            "{{a,b},{c,d}}",
            "{}",
            "[0:1]={secret1,secret2}",
        ],
    ),
    ("varchar[]", &["{43017,98765-4321}"]),
    ("citext[]", &["{Mixed,NULL}"]),
    ("int4[]", &["{98,12345,NULL,-7}", "{{1,2},{3,4}}"]),
    ("int8[]", &["{1234567890123}"]),
    ("numeric[]", &["{98.6,NaN,12345678.9}"]),
    ("float8[]", &["{98.6,NaN}"]),
    ("bool[]", &["{t,f,NULL}"]),
    ("date[]", &["{1952-05-21,infinity,NULL}"]),
    ("timestamptz[]", &["{\"1952-05-21 13:14:15+02\",NULL}"]),
    ("uuid[]", &["{00112233-4455-6677-8899-aabbccddeeff,NULL}"]),
    ("bytea[]", &["{\"\\\\x0011223344\",NULL}"]),
    ("jsonb[]", &["{\"{\\\"a\\\": \\\"123-45-6789\\\"}\",NULL}"]),
    ("inet[]", &["{192.168.7.42}"]),
    ("int4range", &["[3,98)", "empty"]),
    ("daterange", &["[1952-05-21,1953-01-01)"]),
    ("nummultirange", &["{[1.5,2.5),[98,99)}"]),
    ("int4range[]", &["{\"[1,5)\"}"]),
    ("a_domain", &["123-45-6789"]),
    ("a_label", &["secret"]),
    ("a_pair", &["(123-45-6789,98)"]),
    ("a_label[]", &["{secret}"]),
    ("a_domain[]", &["{123-45-6789}"]),
    ("point", &["(12.5,98.5)"]),
    ("tsvector", &["'secret':1"]),
    ("hstore", &["\"ssn\"=>\"123-45-6789\""]),
];

/// Rows of made-up values, from this id on.
const RANDOM_ROWS: std::ops::Range<u32> = 100..124;

/// Made-up values of some types; the server's generator is seeded.
const RANDOM: &[(&str, &str)] = &[
    ("text", "substr(md5(random()::text), 1, (random() * 30)::int) || chr(1 + (random() * 50000)::int) || E'\\\\\"'"),
    ("char(12)", "substr(md5(random()::text), 1, (random() * 12)::int)"),
    ("int2", "(random() * 60000 - 30000)::int2"),
    ("int4", "(random() * 4e9 - 2e9)::int4"),
    ("int8", "((random() - 0.5) * 10 ^ (random() * 18))::int8"),
    ("float8", "(random() - 0.5) * 10 ^ (random() * 40 - 20)"),
    ("numeric", "round(((random() - 0.5) * 10 ^ (random() * 30 - 8))::numeric, (random() * 12)::int)"),
    ("date", "date '0002-01-01' + (random() * 2900000)::int"),
    ("timestamp", "timestamp '0002-01-01' + random() * interval '7000 years'"),
    ("timestamptz", "timestamptz '0002-01-01' + random() * interval '7000 years'"),
    ("uuid", "md5(random()::text)::uuid"),
    ("bytea", "substr(decode(md5(random()::text), 'hex'), 1, (random() * 16)::int)"),
    ("inet", "('10.0.0.0'::inet + (random() * 16000000)::int)"),
    (
        "json",
        "json_build_object(md5(random()::text), random(), 'b', array[random()::text, null, E'\\u00e9\"\\\\'], 'c', now()::date, 'd', (random() * 200)::int)",
    ),
    (
        "jsonb",
        "jsonb_build_object(chr(1 + (random() * 50000)::int), random() * 1e9, 'b', jsonb_build_array(md5(random()::text), random() > 0.5))",
    ),
    (
        "text[]",
        "array[chr(1 + (random() * 300)::int), null, md5(random()::text), '', 'a,b', '{' || chr(1 + (random() * 40)::int)]",
    ),
    ("int4[]", "array[(random() * 200)::int, null, (random() * 1e9)::int]"),
    ("numeric[]", "array[round((random() * 1e6)::numeric, 3), null]"),
    ("date[]", "array[date '0002-01-01' + (random() * 2900000)::int, null]"),
    ("timestamptz[]", "array[timestamptz '0002-01-01' + random() * interval '7000 years']"),
    ("uuid[]", "array[md5(random()::text)::uuid, null]"),
    ("bytea[]", "array[decode(md5(random()::text), 'hex'), '']"),
    ("jsonb[]", "array[to_jsonb(random()), to_jsonb(md5(random()::text)), null]"),
];

/// Name of the column of a type.
pub(crate) fn column(index: usize) -> String {
    format!("c_{index:02}")
}

const TARGET: &str = "\
version: 1
targets:
  typed:
    protocol: postgres
    address: 127.0.0.1:5432
    tls: disable
    database: typed
    account: app
    audit: async
";

fn rules() -> String {
    let mut text = format!("{TARGET}classes:\n");
    for (name, _) in REDACTIONS {
        text.push_str(&format!("  {name}: {{columns: [\"typed.public.{name}.c_*\"]}}\n"));
    }
    text.push_str("roles:\n  clear: {groups: [privacy], targets: [typed], default: clear, redact: clear}\n");
    text.push_str("  masked:\n    groups: [analysts]\n    targets: [typed]\n    default: clear\n    redact:\n");
    for (name, rule) in REDACTIONS {
        text.push_str(&format!("      {name}: {rule}\n"));
    }
    text
}

fn load(server: &Postgres) {
    server.sql("postgres", "create database typed owner app");
    let mut script = "create extension citext; create extension hstore;
        create domain a_domain as text check (value <> 'never');
        create type a_label as enum ('secret', 'open');
        create type a_pair as (ssn text, age int);\n"
        .to_owned();
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(i, (t, _))| format!("{} {t}", column(i))).collect();
    for (name, _) in REDACTIONS {
        script.push_str(&format!("create table {name} (id int primary key, {}, note text);\n", columns.join(", ")));
        let most = TYPES.iter().map(|(_, values)| values.len()).max().unwrap();
        for row in 0..=most {
            let mut names = vec!["id".to_owned(), "note".to_owned()];
            let mut values = vec![row.to_string(), format!("'row\t{row}, \"quoted\"'")];
            for (i, (_, literals)) in TYPES.iter().enumerate() {
                if let Some(literal) = literals.get(row) {
                    names.push(column(i));
                    values.push(format!("'{}'", literal.replace('\'', "''")));
                }
            }
            script.push_str(&format!("insert into {name} ({}) values ({});\n", names.join(", "), values.join(", ")));
        }
    }
    script.push_str("select setseed(0.25);\n");
    let made: Vec<(String, &str)> = RANDOM
        .iter()
        .map(|(t, expression)| (column(TYPES.iter().position(|(other, _)| other == t).unwrap()), *expression))
        .collect();
    let names: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<&str> = made.iter().map(|(_, expression)| *expression).collect();
    let (first, last) = (RANDOM_ROWS.start, RANDOM_ROWS.end - 1);
    for (name, _) in REDACTIONS {
        script.push_str(&format!(
            "insert into {name} (id, {}) select g, {} from generate_series({first}, {last}) g;\n",
            names.join(", "),
            values.join(", ")
        ));
    }
    script.push_str("grant select, insert, update, delete on all tables in schema public to app; grant create on schema public to app;");
    server.sql("typed", &script);
}

/// The gateway in front of it: `priya` sees everything, `ana` what the rules leave.
pub(crate) fn gateway() -> &'static Gateway {
    static SHARED: OnceLock<Gateway> = OnceLock::new();
    SHARED.get_or_init(|| {
        let server = Postgres::shared();
        load(server);
        Setup::new(&Bundle::compile(&[&rules()], "typed", server), server).start()
    })
}

/// The database as reached directly.
pub(crate) fn direct() -> Endpoint {
    gateway();
    Postgres::shared().endpoint("typed", "app")
}
