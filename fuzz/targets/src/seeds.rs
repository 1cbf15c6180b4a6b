//! Inputs to begin with: real conversations, documents of this project, and the bytes that broke others.
//!
//! Written to `fuzz/corpus/` by `cargo run -p fuzz-targets --bin fuzz-seeds`, and committed. Running it again gives the
//! same files. Deliberately absent: what fuzzing itself finds worth keeping; that is added by hand, minimised.

use audit::{
    Ring, encode_record,
    record::{Actor, Clock, MaskedColumn, Record, SessionId},
};
use policy::Bundle;
use policy_compiler::load_str;

use crate::ops::{Mode, Op, Script};

/// A seed: target, name, bytes.
pub type Seed = (&'static str, String, Vec<u8>);

/// Rule files that are seeds: name and text.
pub type Document<'a> = (&'a str, &'a str);

/// All seeds; `rules` are the example rule files.
#[must_use]
pub fn all(rules: &[Document<'_>]) -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, ops) in conversations() {
        for (mode, word) in [(Mode::Transparent, "transparent"), (Mode::Policed, "policed"), (Mode::Mixed, "mixed")] {
            for (answers, verdicts) in
                [("allowed", [0x06, 0x16, 0x26, 0x36, 0x46, 0x56, 0x66, 0x76]), ("refused", [0xf0; 8])]
            {
                if mode == Mode::Transparent && answers == "refused" {
                    continue;
                }
                let bytes = Script { mode, verdicts, ops: ops.clone() }.write();
                let hostile =
                    ops.iter().any(|op| matches!(op, Op::ServerBytes(_) | Op::ServerFrame(..) | Op::ServerLength(..)));
                let target = if hostile { "upstream" } else { "downstream" };
                seeds.push((target, format!("{name}-{word}-{answers}"), bytes));
            }
        }
    }
    for (name, text) in rules {
        seeds.push(("rules", (*name).to_owned(), text.as_bytes().to_vec()));
    }
    for (name, text) in RULES.iter().chain(rules) {
        if let (Some(rules), ..) = load_str(name, text)
            && let Ok(bytes) = Bundle::encode(&rules.model)
            && bytes.len() < 64 << 10
        {
            seeds.push(("bundle", name.trim_end_matches(".yaml").to_owned(), bytes));
        }
    }
    seeds.extend(RULES.iter().map(|(name, text)| ("rules", (*name).to_owned(), text.as_bytes().to_vec())));
    seeds.extend(
        STATEMENTS
            .iter()
            .enumerate()
            .map(|(i, text)| ("lineage", format!("statement-{i:02}"), text.as_bytes().to_vec())),
    );
    seeds.extend(audit_log());
    seeds.extend(tree());
    let response = include_bytes!("../../../saml/tests/captured/response.xml");
    seeds.push(("saml", "response".to_owned(), response.to_vec()));
    seeds.extend(TOKENS.iter().map(|(name, text)| ("token", (*name).to_owned(), text.as_bytes().to_vec())));
    seeds
}

/// A token, one that is not signed, a set of keys, and members that stand twice.
const TOKENS: &[(&str, &str)] = &[
    (
        "token",
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsiLCJ0eXAiOiJhdCtqd3QifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwic3ViIjoidSIsImF1ZCI6WyJhIl0sImV4cCI6MTgwMDAwMDAwMCwiYWN0Ijp7InN1YiI6ImIifSwiZ3JvdXBzIjpbImciXX0.c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzcw",
    ),
    (
        "unsigned",
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwic3ViIjoidSIsImF1ZCI6WyJhIl0sImV4cCI6MTgwMDAwMDAwMCwiYWN0Ijp7InN1YiI6ImIifSwiZ3JvdXBzIjpbImciXX0.",
    ),
    (
        "keys",
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg","kid":"k"},{"kty":"oct","k":"eA"},{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#,
    ),
    ("twice", r#"{"keys":[],"a":{"b":1,"b":2}}"#),
];

/// One of each form around a log's tree.
fn tree() -> Vec<Seed> {
    use tlog::{Checkpoint, Hash, InclusionProof, Note, SigningKey, note::KeyKind, witness::AddCheckpoint};
    let key = |name, kind| SigningKey::from_seed(name, kind, &[7; 32]).ok();
    let (Some(log), Some(witness)) = (key("example.com/log", KeyKind::Log), key("example.com/w", KeyKind::Witness))
    else {
        return Vec::new();
    };
    let hashes = [Hash::leaf(b"a"), Hash::leaf(b"b")];
    let text = Checkpoint::new("example.com/log", 2, Hash::node(&hashes[0], &hashes[1])).to_string();
    let signatures = vec![log.sign(&text, 0), witness.sign(&text, 1_700_000_000)];
    let Ok(note) = Note::new(text, signatures) else { return Vec::new() };
    let request = AddCheckpoint { old: 1, proof: vec![hashes[1]], note: note.clone() };
    let proof = InclusionProof { extra: Some(b"x".to_vec()), index: 0, path: vec![hashes[1]], note: note.clone() };
    [
        ("note", note.to_string()),
        ("request", request.to_string()),
        ("proof", proof.to_string()),
        ("path", "tile/1/x001/x234/067.p/8".to_owned()),
        ("key", log.verifier().to_string()),
    ]
    .into_iter()
    .map(|(name, text)| ("tlog", name.to_owned(), text.into_bytes()))
    .collect()
}

/// What drivers do, and what attackers try.
fn conversations() -> Vec<(&'static str, Vec<Op>)> {
    let extended = |text, choice| {
        vec![Op::Parse(1, text), Op::Bind(0, 1, 8), Op::Describe(1, 0), Op::Execute(0, 0), Op::Sync, Op::Answer(choice)]
    };
    vec![
        ("simple", vec![Op::Query(0), Op::Answer(2), Op::Query(1), Op::Answer(5), Op::Terminate]),
        ("several-statements", vec![Op::Query(2), Op::Answer(1), Op::Query(5), Op::Answer(0)]),
        ("empty", vec![Op::Query(6), Op::Answer(0)]),
        ("extended", [extended(0, 2), extended(1, 6), extended(3, 0)].concat()),
        (
            "prepared",
            [
                extended(1, 2),
                vec![
                    Op::Bind(0, 1, 72),
                    Op::Execute(0, 0),
                    Op::Sync,
                    Op::Answer(2),
                    Op::Close(0, 1),
                    Op::Sync,
                    Op::Answer(0),
                ],
            ]
            .concat(),
        ),
        (
            "portal-in-parts",
            vec![
                Op::Query(4),
                Op::Answer(0),
                Op::Parse(1, 0),
                Op::Bind(1, 1, 0),
                Op::Execute(1, 1),
                Op::Flush,
                Op::Answer(0x22),
                Op::Execute(1, 1),
                Op::Sync,
                Op::Answer(0x22),
                Op::Query(5),
                Op::Answer(0),
            ],
        ),
        (
            "pipeline",
            vec![
                Op::Parse(1, 0),
                Op::Bind(1, 1, 0),
                Op::Execute(1, 0),
                Op::Parse(2, 1),
                Op::Bind(2, 2, 0),
                Op::Execute(2, 0),
                Op::Sync,
                Op::Query(0),
                Op::Sync,
                Op::Answer(2),
            ],
        ),
        (
            "error-in-a-pipeline",
            vec![
                Op::Parse(1, 0),
                Op::Bind(1, 1, 0),
                Op::Execute(1, 0),
                Op::Answer(0xc2),
                Op::Parse(2, 1),
                Op::Bind(2, 2, 0),
                Op::Sync,
                Op::Answer(0),
                Op::Query(0),
                Op::Answer(1),
            ],
        ),
        ("unknown-names", vec![Op::Bind(0, 3, 0), Op::Execute(3, 0), Op::Describe(1, 2), Op::Sync, Op::Answer(0)]),
        (
            "copy-in",
            vec![
                Op::Query(7),
                Op::Answer(0),
                Op::Copy(3),
                Op::Copy(6),
                Op::Copy(1),
                Op::Answer(0),
                Op::Query(0),
                Op::Answer(1),
            ],
        ),
        (
            "copy-in-failed",
            vec![Op::Query(7), Op::Answer(0), Op::Copy(3), Op::Copy(2), Op::Answer(0), Op::Query(0), Op::Answer(1)],
        ),
        ("copy-in-interrupted", vec![Op::Query(7), Op::Query(2), Op::Query(0), Op::Answer(1)]),
        ("copy-out", vec![Op::Query(8), Op::Answer(0), Op::Query(0), Op::Answer(1)]),
        (
            "names-in-flux",
            vec![
                Op::Query(9),
                Op::Bind(0, 1, 0),
                Op::Query(10),
                Op::Answer(0),
                Op::Forget(0),
                Op::Bind(0, 1, 0),
                Op::Sync,
                Op::Answer(0),
            ],
        ),
        (
            "warnings-and-late-errors",
            vec![
                Op::Query(4),
                Op::Answer(0),
                Op::Parse(0, 0),
                Op::Bind(0, 0, 0),
                Op::Execute(0, 0),
                Op::Sync,
                Op::Answer(0x82),
                Op::Sync,
                Op::Answer(254),
            ],
        ),
        (
            "reload",
            [
                extended(0, 2),
                vec![Op::Renew, Op::Bind(0, 1, 0), Op::Execute(0, 0), Op::Sync, Op::Answer(2), Op::Forget(4)],
            ]
            .concat(),
        ),
        (
            "reader-that-never-reads",
            vec![
                Op::StallClient,
                Op::Query(0),
                Op::Answer(7),
                Op::Query(1),
                Op::Answer(7),
                Op::StallServer,
                Op::Query(1),
                Op::StallClient,
            ],
        ),
        ("long-text", vec![Op::LongQuery(20), Op::Answer(1), Op::LongQuery(255), Op::Answer(1)]),
        ("function-call", vec![Op::Call, Op::Answer(0)]),
        ("raw-query", vec![Op::ClientBytes(b"Q\0\0\0\x0dselect 1\0".to_vec()), Op::Answer(1)]),
        ("length-zero", vec![Op::ClientLength(b'Q', 0)]),
        ("length-huge", vec![Op::ClientLength(b'd', 8), Op::ClientBytes(vec![0; 200])]),
        ("length-negative", vec![Op::Query(0), Op::ServerLength(b'D', 11)]),
        (
            "hostile-row",
            vec![
                Op::Query(0),
                Op::ServerFrame(
                    b'T',
                    vec![0, 1, b'x', 0, 0, 0, 0, 7, 0, 1, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0],
                ),
                Op::ServerFrame(b'D', vec![0, 1, 0, 0, 0, 9, 1]),
                Op::Answer(0),
            ],
        ),
        (
            "hostile-giant-row",
            vec![
                Op::Query(0),
                Op::ServerFrame(b'T', vec![0, 0]),
                Op::ServerLength(b'D', 6),
                Op::ServerBytes(vec![0; 250]),
            ],
        ),
        (
            "hostile-frames",
            vec![
                Op::Query(0),
                Op::ServerFrame(b'S', b"client_encoding\0SJIS\0".to_vec()),
                Op::ServerFrame(b'W', vec![0; 3]),
            ],
        ),
        (
            "notifications",
            vec![
                Op::ServerFrame(b'A', b"\0\0\0\x01even\0payload\0".to_vec()),
                Op::ServerFrame(b'A', b"\0\0\0\x01odd\0payload\0".to_vec()),
            ],
        ),
        ("unasked", vec![Op::ServerFrame(b'Z', b"I".to_vec()), Op::ServerFrame(b'1', Vec::new())]),
    ]
}

const RULES: &[Document<'static>] = &[
    (
        "smallest.yaml",
        "version: 1\ntargets:\n  w: { address: \"127.0.0.1:5432\", account: a }\nroles:\n  r: { groups: [\"*\"], targets: [w] }\n",
    ),
    (
        "small.yaml",
        "version: 1\nuse: [safe-harbor]\ntargets:\n  w: { address: \"127.0.0.1:5432\", tls: disable, account: a, audit: async }\n\
         classes:\n  ssn: { columns: [\"*.people.ssn\"] }\n  note: { columns: [\"*.people.note\"], scan: [ssn, email, names] }\n\
         word-lists:\n  names: { words: [ana, berg] }\n\
         roles:\n  r:\n    groups: [\"*\"]\n    targets: [w]\n    default: clear\n    redact: { ssn: keep-last 4, \"*\": null }\n\
         block:\n  - { name: b, effects: [drop, truncate], words: [pg_sleep], patterns: [\"union\\\\s+select\"] }\n",
    ),
    ("anchors.yaml", "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n"),
    ("mistakes.yaml", "version: 2\nroles: [a]\ntargets: { w: { adress: x } }\nblock: 7\n"),
];

const STATEMENTS: &[&str] = &[
    "select 1",
    "select a.ssn, upper(b.name) from people a join names b using (id) where a.id = 17 and b.name like 'A%'",
    "with x as (select * from people) select x.ssn || 'x' from x union all select note from visits",
    "insert into people (id, ssn) values (1, '123-45-6789') on conflict (id) do update set ssn = excluded.ssn returning ssn",
    "update people set ssn = null",
    "delete from people where id = 1 or 1 = 1",
    "copy (select ssn from people) to stdout",
    "copy people from program 'cat /etc/passwd'",
    "do $$ begin execute 'drop table people'; end $$",
    "prepare a (int) as select ssn from people where id = $1; execute a (1); deallocate a",
    "declare c cursor with hold for select ssn from people; fetch 10 from c",
    "set role postgres; set session authorization default; reset all",
    "select set_config('search_path', 'x', false), current_setting('is_superuser')",
    "select case when ssn like '1%' then 'a' else 'b' end, count(*) filter (where ssn > '5') over (partition by ssn) from people",
    "select row_to_json(p), p.*, (select max(ssn) from people) from people p tablesample system (10)",
    "explain (analyze, verbose) select * from people",
    "create view v as select ssn from people; alter table people owner to x; grant select on people to public",
    "select e'\\x41', u&'\\0041', $q$it's$q$, b'101', x'1F', 1e10, .5, 1_000",
    "listen a; notify a, 'x'; unlisten *",
    "select /* a /* nested */ comment */ 1 -- end",
    "select 'unterminated",
    "merge into people p using news n on p.id = n.id when matched then update set ssn = n.ssn when not matched then insert values (1)",
];

/// A ring's blocks: a session from beginning to end, and a single record.
fn audit_log() -> Vec<Seed> {
    let clock = |n: u64| Clock { wall_ns: 1_700_000_000_000_000_000 + n, mono_ns: n };
    let actor = Actor { issuer: "local", subject: "ana", role: "analyst" };
    let session = SessionId([7; 16]);
    let open = Record::SessionOpen {
        session,
        actor,
        source: "127.0.0.1:40000",
        tls: "",
        application: "psql",
        target: "warehouse",
        database: "clinic",
        account: "gateway",
        bundle: [1; 32],
        recording: "",
        mode: "",
        key: [0; 32],
    };
    let masked = [MaskedColumn { column: "ssn", class: "ssn", method: "keep-last 4" }];
    let records = [
        Record::EpochStart { build: "0.1.0", previous: [0; 32], clean: true, torn_bytes: 0 },
        Record::PolicyLoad { bundle: [1; 32], catalog_epoch: 1, target: "warehouse" },
        Record::AuthFail { session, source: "127.0.0.1:40000", user: "eve", reason: "password" },
        open,
        Record::Intent {
            session,
            statement: 1,
            text: b"select ssn from people",
            via: "simple",
            fingerprint: 17,
            effects: 1,
            bundle: [1; 32],
            catalog_epoch: 1,
            parameters: Some([2; 32]),
            row_limit: 0,
            sealed_text: &[],
            tables: &[],
            sealed_parameters: &[],
        },
        Record::Result {
            session,
            statement: 1,
            outcome: "ok",
            sqlstate: *b"00000",
            rows: 3,
            bytes: 120,
            duration_us: 900,
            masked: &masked,
            clear: &[],
        },
        Record::Block {
            session,
            statement: 2,
            text: b"drop table people",
            code: "TG2001",
            rule: "no-drop",
            bundle: [1; 32],
            sealed_text: &[],
            tables: &[],
        },
        Record::Alarm { session, kind: "upstream", detail: "08P01" },
        Record::SessionClose { session, reason: "goodbye", statements: 2, bytes: 400 },
        Record::EpochEnd,
    ];
    let mut seeds = Vec::new();
    let mut ring = Ring::new([1; 16], 0, 1, [2; 16], [0; 32], 1, 1 << 16);
    let mut buffer = vec![0; 4096];
    for (i, record) in (0_u64..).zip(&records) {
        if let Some(len) = encode_record(&mut buffer, i + 1, clock(i), record) {
            seeds.push(("audit_reader", format!("record-{i}"), buffer[..len].to_vec()));
        }
        if ring.append(clock(i), record).is_err() {
            break;
        }
        // One block with all but the end in it, and one with the end.
        if i + 2 >= records.len() as u64 {
            let mut block = Vec::new();
            if ring.seal(clock(100 + i), &mut block).is_some() {
                seeds.push(("audit_reader", format!("block-{i}"), block));
            }
        }
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_named_apart_and_small() {
        let seeds = all(&[]);
        let mut names: Vec<_> = seeds.iter().map(|(target, name, _)| (*target, name.as_str())).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(seeds.iter().all(|(.., bytes)| bytes.len() < 64 << 10));
        for (target, _) in crate::TARGETS {
            assert!(seeds.iter().any(|(seed, ..)| seed == target), "{target} has no seed");
        }
    }
}
