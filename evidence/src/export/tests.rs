use std::rc::Rc;

use audit::record::SessionId;
use audit::{OwnedClear, OwnedMasked};
use parquet_reader::file::reader::{FileReader as _, SerializedFileReader};
use parquet_reader::record::RowAccessor as _;
use serde_json::Value;

use super::*;
use crate::row::{Decision, Place, STATEMENT, Session, Text};

fn statement(n: u64) -> Row {
    Row {
        place: Place { core: 3, epoch: 2, block: n, sequence: n },
        kind: STATEMENT,
        begin_ns: 1_795_335_274_123_456_789,
        end_ns: 1_795_335_274_223_456_789,
        session: Some(SessionId([7; 16])),
        facts: Rc::new(Session {
            person: "ana".to_owned(),
            role: "analyst".to_owned(),
            issuer: "local".to_owned(),
            source: "10.1.2.3:5555".to_owned(),
            target: "clinic".to_owned(),
            database: "clinic".to_owned(),
            ..Session::default()
        }),
        statement: n,
        text: Text::Plain(b"select 'secret'".to_vec()),
        effects: 1,
        tables: if n.is_multiple_of(2) { vec!["a.b".to_owned(), "a.c".to_owned()] } else { Vec::new() },
        decision: if n.is_multiple_of(3) { Decision::Refused } else { Decision::Allowed },
        code: if n.is_multiple_of(3) { "TG1001".to_owned() } else { String::new() },
        outcome: "ok".to_owned(),
        sqlstate: "00000".to_owned(),
        rows: n * 2,
        masked: vec![OwnedMasked { column: "x".to_owned(), class: "ssn".to_owned(), method: "token".to_owned() }],
        clear: vec![OwnedClear { column: "y".to_owned(), class: "name".to_owned() }],
        ..Row::default()
    }
}

fn login(kind: &'static str) -> Row {
    Row { kind, outcome: "password".to_owned(), ..statement(1) }
}

fn lines(format: Format, rows: &[Row], texts: bool) -> Vec<Value> {
    let mut export = Export::begin(format, "example.org/log", texts, Vec::new()).unwrap();
    rows.iter().for_each(|row| export.row(row).unwrap());
    let (bytes, _) = export.finish().unwrap();
    String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Attributes that OCSF 1.3 demands, by class; nested ones with a dot.
fn ocsf_required(class: u64) -> Vec<&'static str> {
    let mut list = vec![
        "activity_id",
        "category_uid",
        "class_uid",
        "type_uid",
        "severity_id",
        "time",
        "metadata.version",
        "metadata.product.vendor_name",
    ];
    match class {
        3001 => list.push("user.name"),
        3003 | 3005 => list.extend(["user.name", "privileges"]),
        3004 => list.extend(["entity.uid", "entity.type", "actor.user.name"]),
        6005 => list.extend(["actor.user.name", "src_endpoint", "database.type_id", "database.name"]),
        3002 => list.extend(["user.name", "service.name"]),
        _ => panic!("class {class}"),
    }
    list
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| &value[key])
}

#[test]
fn ocsf_has_what_its_schema_demands() {
    let rows =
        [statement(1), statement(3), login("SESSION_OPEN"), login("AUTH_FAIL"), login("SESSION_CLOSE"), login("ALARM")];
    let events = lines(Format::Ocsf, &rows, false);
    assert_eq!(events.len(), 5, "an alarm has no class");
    for event in &events {
        let class = event["class_uid"].as_u64().unwrap();
        for path in ocsf_required(class) {
            assert!(!at(event, path).is_null(), "{path} is missing in {event}");
        }
        assert_eq!(event["type_uid"].as_u64().unwrap(), class * 100 + event["activity_id"].as_u64().unwrap());
        assert_eq!(event["category_uid"].as_u64().unwrap(), class / 1000);
        assert_eq!(event["unmapped"]["origin"], "example.org/log");
        assert_eq!(event["unmapped"]["core"], 3);
        assert!(event["unmapped"]["sequence"].is_u64());
        assert!(!event.to_string().contains("secret"), "texts were not asked for");
    }
    assert_eq!(events[0]["time"], 1_795_335_274_123_u64);
    assert_eq!((&events[1]["action_id"], &events[1]["status_id"]), (&Value::from(2), &Value::from(2)));
    assert_eq!(events[2]["activity_id"], 1);
    assert_eq!(events[3]["status_id"], 2);
    let with = lines(Format::Ocsf, &rows[..1], true);
    assert_eq!(with[0]["query_info"]["query_string"], "select 'secret'");
}

/// Rows of acts about access, by way of a log.
fn acts() -> Vec<Row> {
    use audit::{Body, OwnedAccess, OwnedActor, OwnedApproval, OwnedCredential};
    let who = |subject: &str| OwnedActor { issuer: "idp".to_owned(), subject: subject.to_owned(), role: String::new() };
    let access = |kind: &str, detail: &str| {
        let (kind, id, detail) = (kind.to_owned(), "TG-1".to_owned(), detail.to_owned());
        let (target, source) = ("clinic".to_owned(), "10.1.2.3:5555".to_owned());
        let about = OwnedActor { role: "steward".to_owned(), ..who("ana") };
        let access =
            OwnedAccess { kind, id, detail, target, source, actor: who("ana"), about, ..OwnedAccess::default() };
        Body::Access(Box::new(access))
    };
    let vote = OwnedApproval {
        kind: "vote".to_owned(),
        id: "TG-2".to_owned(),
        session: SessionId([7; 16]),
        actor: who("bob"),
        detail: "deny console".to_owned(),
        rule: "deletes".to_owned(),
        sealed_text: b"secret".to_vec(),
        ..OwnedApproval::default()
    };
    let issue = OwnedCredential {
        kind: "issue".to_owned(),
        session: SessionId([7; 16]),
        target: "clinic".to_owned(),
        account: "tg_ana".to_owned(),
        ..OwnedCredential::default()
    };
    let bodies = [
        access("sign_in", "oidc"),
        access("sign_in_failed", "signature"),
        access("mint", "password"),
        access("grant", ""),
        access("bind", "password"),
        access("end", "revoked"),
        access("request", ""),
        access("vote_refused", "TG-1: nobody votes on what they asked for"),
        Body::Approval(Box::new(vote)),
        Body::Credential(issue),
    ];
    let directory = tempfile::tempdir().unwrap();
    let records: Vec<_> = bodies.iter().map(|body| body.lend().unwrap()).collect();
    crate::person::record(directory.path(), &records).unwrap();
    let rows = crate::join::Rows::open(directory.path()).unwrap().map(Result::unwrap);
    rows.filter(|row| crate::row::has_acts(row.kind)).collect()
}

#[test]
fn acts_about_access_have_classes_of_their_own() {
    let rows = acts();
    let events = lines(Format::Ocsf, &rows, false);
    let classes: Vec<u64> = events.iter().map(|event| event["type_uid"].as_u64().unwrap()).collect();
    assert_eq!(classes, [300201, 300201, 300103, 300501, 300301, 300502, 300401, 300499, 300403, 300101]);
    for (event, row) in events.iter().zip(&rows) {
        for path in ocsf_required(event["class_uid"].as_u64().unwrap()) {
            assert!(!at(event, path).is_null(), "{path} is missing in {event}");
        }
        assert_eq!(event["unmapped"]["act"], row.act);
        // Nothing that the record says is lost.
        for (key, value) in row.own_fields() {
            assert_eq!(event["unmapped"]["fields"][&key], value, "{key}");
        }
        assert!(!event.to_string().contains("736563726574"), "texts are no fields");
    }
    assert_eq!(events[0]["src_endpoint"]["ip"], "10.1.2.3");
    let status: Vec<u64> = events.iter().map(|event| event["status_id"].as_u64().unwrap()).collect();
    assert_eq!(status, [1, 2, 1, 1, 1, 1, 1, 2, 2, 1], "what failed, was refused or denied");
    assert_eq!(events[3]["privileges"][0], "steward");
    assert_eq!((&events[8]["entity"]["uid"], &events[8]["actor"]["user"]["name"]), (&"TG-2".into(), &"bob".into()));
    assert_eq!(events[9]["user"]["name"], "tg_ana");

    let events = lines(Format::Ecs, &rows, false);
    let actions: Vec<&str> = events.iter().map(|event| event["event"]["action"].as_str().unwrap()).collect();
    assert_eq!(&actions[..3], ["access-sign-in", "access-sign-in-failed", "access-mint"]);
    assert_eq!((actions[8], actions[9]), ("approval-vote", "credential-issue"));
    assert_eq!(events[1]["event"]["outcome"], "failure");
    assert_eq!((&events[8]["user"]["name"], &events[8]["tidegate"]["rule"]), (&"bob".into(), &"deletes".into()));
    assert_eq!(events[3]["tidegate"]["fields"]["about_role"], "steward");
    let events = lines(Format::Json, &rows, false);
    assert_eq!((&events[8]["decision"], &events[8]["act"]), (&"refused".into(), &"vote".into()));
}

#[test]
fn ecs_has_its_core_fields() {
    let rows = [statement(3), login("AUTH_FAIL"), login("ALARM")];
    let events = lines(Format::Ecs, &rows, false);
    for event in &events {
        for path in ["@timestamp", "ecs.version", "event.id", "event.kind", "event.category", "event.type", "user.name"]
        {
            assert!(!at(event, path).is_null(), "{path} is missing in {event}");
        }
        assert!(!event.to_string().contains("secret"));
        assert_eq!(event["tidegate"]["core"], 3);
    }
    assert_eq!(events[0]["event"]["outcome"], "failure");
    assert_eq!(events[0]["event"]["id"], "example.org/log:3:3");
    assert_eq!(events[0]["source"]["ip"], "10.1.2.3");
}

#[test]
fn parquet_reads_back_row_by_row_over_several_groups() {
    let mut export = Export::begin(Format::Parquet, "o", true, Vec::new()).unwrap();
    let count = 120_001u64;
    for n in 1..=count {
        export.row(&statement(n)).unwrap();
    }
    let (bytes, rows) = export.finish().unwrap();
    assert_eq!(rows, count);
    let reader = SerializedFileReader::new(parquet_reader_bytes(bytes)).unwrap();
    assert!(reader.metadata().num_row_groups() >= 2);
    let mut n = 0;
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        n += 1;
        assert_eq!(row.get_string(0).unwrap(), "o");
        assert_eq!(row.get_int(1).unwrap(), 3);
        assert_eq!(row.get_long(2).unwrap(), n);
        assert_eq!(row.get_string(27).unwrap(), "select 'secret'");
        let tables = row.get_list(34).unwrap();
        assert_eq!(tables.len(), if n % 2 == 0 { 2 } else { 0 });
        assert_eq!(row.get_list(35).unwrap().len(), 1);
    }
    assert_eq!(n, i64::try_from(count).unwrap());
}

#[test]
fn json_lines_carry_the_place_of_their_record() {
    let rows = lines(Format::Json, &[statement(5)], false);
    assert_eq!(rows[0]["id"], "example.org/log:3:5");
    assert_eq!((&rows[0]["core"], &rows[0]["sequence"]), (&Value::from(3), &Value::from(5)));
    assert!(rows[0].get("text").is_none());
}

use ::parquet as parquet_reader;

fn parquet_reader_bytes(bytes: Vec<u8>) -> bytes::Bytes {
    bytes::Bytes::from(bytes)
}
