//! Questions to the log and exports of it, read by those who would read them: DuckDB, and checks of OCSF and ECS.

use serde_json::Value;
use tests::{
    canary, clients,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    receivers,
    rules::Bundle,
    server::Postgres,
};

/// A gateway in front of the canary clinic after a morning's work, stopped.
pub(crate) fn after_a_morning() -> Gateway {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    let (ana, priya) = (gateway.endpoint("ana"), gateway.endpoint("priya"));
    clients::rows(&ana, "select * from clinic.patients").success();
    clients::rows(&ana, "select count(*) from clinic.encounters").success();
    assert_ne!(clients::rows(&ana, "drop table clinic.notes").code, 0);
    clients::rows(&priya, "select last_name, dob from clinic.patients limit 5").success();
    let mut wrong = gateway.endpoint("ana");
    wrong.password = "wrong".into();
    assert_ne!(clients::rows(&wrong, "select 1").code, 0);
    gateway.signal("TERM");
    gateway.wait_end(PATIENCE).expect("it ends");
    gateway
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn questions_have_answers() {
    let gateway = after_a_morning();
    let ask =
        |arguments: &[&str]| gateway.tidegate(&[&["audit", "query", "audit"], arguments].concat()).success().text();
    let all = lines(&ask(&["--json"]));
    let count: usize = ask(&["--count"]).trim().parse().unwrap();
    assert_eq!(all.len(), count);
    assert!(all.iter().all(|row| row["kind"] == "STATEMENT" && row.get("text").is_none()), "texts only when asked for");
    assert!(all.iter().all(|row| row["statement"].as_u64().unwrap() > 0), "{all:?}");
    let refused = lines(&ask(&["--decision", "refused", "--json", "--texts"]));
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((&refused[0]["person"], &refused[0]["rule"]), (&"ana".into(), &"no-drop".into()));
    assert_eq!(refused[0]["text"], "drop table clinic.notes");
    let table = ask(&["--person", "ana", "--decision", "allowed"]);
    assert!(table.starts_with("TIME") && table.contains("masked"), "{table}");
    canary::assert_none("the answers", (table + &ask(&["--json"])).as_bytes());
    let groups = lines(&ask(&["--group", "person,class,shown", "--json"]));
    let seen = |person: &str, shown: &str| groups.iter().any(|g| g["person"] == person && g["shown"] == shown);
    assert!(seen("ana", "masked"), "{groups:?}");
    assert!(seen("priya", "clear"), "{groups:?}");
    assert_eq!(ask(&["--clear", "--person", "priya", "--count"]).trim(), "1");
    assert_eq!(ask(&["--table", "patients", "--count"]).trim(), "2");
    assert_eq!(ask(&["--table", "other.patients", "--count"]).trim(), "0");
    assert_eq!(ask(&["--kind", "auth-fail", "--count"]).trim(), "1");
    assert_eq!(ask(&["--person", "nobody", "--count"]).trim(), "0");
    assert_eq!(ask(&["--since", "1h", "--count"]).trim(), count.to_string());
    assert_eq!(ask(&["--until", "2020-01-01", "--count"]).trim(), "0");
    for (arguments, word) in [
        (["--group", "persn"], "fields of"),
        (["--kind", "stmt-intent"], "expected statement"),
        (["--since", "yesterday"], "a time such as"),
        (["--decision", "maybe"], "allowed, refused or observed"),
        (["--session", "xyz"], "hexadecimal"),
    ] {
        let done = gateway.tidegate(&["audit", "query", "audit", arguments[0], arguments[1]]);
        assert_eq!(done.code, 2, "{arguments:?}");
        assert!(done.errors().contains(word), "{}", done.errors());
    }
}

#[test]
fn duckdb_reads_the_parquet_export_and_its_counts_are_those_of_the_log() {
    let gateway = after_a_morning();
    let export = |format: &str, file: &str| {
        let done =
            gateway.tidegate(&["audit", "export", "audit", "--format", format, "-o", file, "--reason", "yearly"]);
        done.success().text()
    };
    export("parquet", "log.parquet");
    let path = gateway.folder.path().join("log.parquet");
    let answer = receivers::python(
        "import duckdb, sys, json
t = f\"read_parquet('{sys.argv[1]}')\"
q = lambda s: duckdb.sql(s).fetchall()
out = {
  'statements': q(f\"select count(*) from {t} where kind = 'STATEMENT'\")[0][0],
  'refused': q(f\"select person, rule from {t} where decision = 'refused'\"),
  'classes': [r[0] for r in q(f\"select distinct m.class from (select unnest(masked) m from {t}) order by 1\")],
  'effects': q(f\"select count(*) from {t} where list_contains(effects, 'read') and person = 'ana'\")[0][0],
  'keys': q(f\"select count(*), count(distinct (core, sequence)) from {t}\")[0],
  'day': q(f\"select count(distinct date_trunc('day', time)) from {t}\")[0][0],
  'texts': q(f\"select count(text) from {t}\")[0][0],
}
print(json.dumps(out))",
        &[path.to_str().unwrap()],
    );
    let out: Value = serde_json::from_str(&answer.success().text()).unwrap();
    let count = gateway.tidegate(&["audit", "query", "audit", "--count"]).success().text();
    assert_eq!(out["statements"].to_string(), count.trim());
    assert_eq!(out["refused"], serde_json::json!([["ana", "no-drop"]]));
    assert!(out["classes"].as_array().unwrap().len() > 2, "{out}");
    assert_eq!((&out["effects"], &out["texts"]), (&2.into(), &0.into()));
    assert_eq!(out["keys"][0], out["keys"][1], "each row has its own place in the log");
    canary::assert_none("the export", &std::fs::read(path).unwrap());
    // Every export is itself in the log, by whom and why.
    let acts = gateway.tidegate(&["audit", "query", "audit", "--kind", "export", "--json"]).success().text();
    let acts = lines(&acts);
    assert_eq!(acts.len(), 1);
    let detail = acts[0]["detail"].as_str().unwrap();
    assert!(detail.contains("parquet") && detail.contains("yearly"), "{detail}");
    assert!(!acts[0]["person"].as_str().unwrap().is_empty());
    assert_eq!(gateway.tidegate(&["audit", "verify", "audit"]).code, 0);
    // Nothing is overwritten, and what was refused leaves no file.
    let again = gateway.tidegate(&["audit", "export", "audit", "--format", "parquet", "-o", "log.parquet"]);
    assert_ne!(again.code, 0);
    assert_eq!(gateway.tidegate(&["audit", "export", "audit", "--format", "csv", "-o", "x"]).code, 2);
    assert!(!gateway.folder.path().join("x").exists() && !gateway.folder.path().join("log.parquet.partial").exists());
}

#[test]
fn ocsf_and_ecs_hold_every_statement_and_login() {
    let gateway = after_a_morning();
    let export = |format: &str| {
        let file = format!("log.{format}");
        gateway.tidegate(&["audit", "export", "audit", "--format", format, "-o", &file]).success();
        lines(&std::fs::read_to_string(gateway.folder.path().join(file)).unwrap())
    };
    let count = |kind: &str| -> usize {
        let done = gateway.tidegate(&["audit", "query", "audit", "--kind", kind, "--count"]).success().text();
        done.trim().parse().unwrap()
    };
    let ocsf = export("ocsf");
    let of = |class: u64| ocsf.iter().filter(|event| event["class_uid"] == class).count();
    assert_eq!(of(6005), count("statement"));
    assert_eq!(of(3002), count("session-open") + count("session-close") + count("auth-fail"));
    let denied: Vec<&Value> = ocsf.iter().filter(|event| event["action"] == "Denied").collect();
    assert_eq!(denied.len(), 1);
    assert_eq!(denied[0]["actor"]["user"]["name"], "ana");
    assert_eq!(denied[0]["src_endpoint"]["ip"], "127.0.0.1");
    let ecs = export("ecs");
    assert!(ecs.iter().any(|e| e["event"]["action"] == "auth-fail" && e["event"]["outcome"] == "failure"));
    assert_eq!(ecs.iter().filter(|e| e["event"]["action"] == "statement").count(), count("statement"));
    let ids: std::collections::BTreeSet<&str> = ecs.iter().map(|e| e["event"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), ecs.len());
    wait_until("nothing is left behind", PATIENCE, || !gateway.folder.path().join("log.ecs.partial").exists());
}
