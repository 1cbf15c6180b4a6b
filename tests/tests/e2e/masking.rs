//! The example rules over the canary clinic: what each role gets, by every driver and in both formats.

use tests::{
    canary, clients,
    gateway::Gateway,
    process::Finished,
    server::Postgres,
    wire::{Wire, bind, describe, error, execute, parse, sync, tags},
};

fn ask(user: &str, sql: &str) -> Finished {
    clients::rows(&Gateway::clinic().endpoint(user), sql)
}

/// One line of output, or the error as a failure of the test.
#[track_caller]
fn line(user: &str, sql: &str) -> String {
    ask(user, sql).success().text().trim_end().to_owned()
}

/// SSN, MRN and first name of canary 7 as they are in the database.
fn seven() -> (String, String, String) {
    let row = Postgres::shared().sql("clinic", "select ssn, mrn, first_name from clinic.patients where patient_id = 7");
    let mut parts = row.trim().split('|').map(str::to_owned);
    (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn a_privacy_officer_sees_the_values_as_they_are() {
    let (ssn, mrn, first_name) = seven();
    let got = line("priya", "select ssn, mrn, first_name from clinic.patients where patient_id = 7");
    assert_eq!(got, format!("{ssn}|{mrn}|{first_name}"));
}

#[test]
fn an_analyst_sees_each_class_redacted_as_the_rules_say() {
    let (ssn, ..) = seven();
    let got = line(
        "ana",
        "select patient_id, ssn, mrn, first_name, last_name, dob, sex, phone, email, street, city, state, zip from clinic.patients where patient_id = 7",
    );
    let v: Vec<&str> = got.split('|').collect();
    assert_eq!(v[0], "7");
    assert_eq!(v[1], format!("*******{}", &ssn[7..]));
    assert!(v[2].len() == 16 && v[2].bytes().all(|b| b.is_ascii_hexdigit()), "a token: {}", v[2]);
    assert_eq!((v[3], v[4]), ("", ""), "names are NULL");
    assert_eq!(v[5], "1902-01-01");
    assert_eq!(v[6], "M", "sex is clear");
    assert!(v[7].starts_with("xxxx") && v[7].ends_with("1007"), "{}", v[7]);
    assert_eq!(v[8], "hidden@example.org");
    assert_eq!((v[9], v[10], v[11]), ("", "", "OH"));
    assert_eq!(v[12], "430");
}

#[test]
fn the_same_value_gives_the_same_token_everywhere() {
    let by_table = line("ana", "select mrn from clinic.patients where patient_id = 7");
    let by_alias = line("ana", "select p.mrn as something_else from clinic.patients p where patient_id = 7");
    let by_agent = line("agent", "select mrn from clinic.patients where patient_id = 7");
    assert_eq!(by_table, by_alias);
    assert_eq!(by_table, by_agent);
    assert_ne!(by_table, line("ana", "select mrn from clinic.patients where patient_id = 8"));
}

#[test]
fn ages_above_89_become_90() {
    let ages = line("ana", "select age_at_visit from clinic.encounters order by encounter_id");
    assert!(ages.lines().all(|age| age == "90"), "canaries are all older than that: {ages}");
}

#[test]
fn notes_lose_their_identifiers_and_keep_their_sense() {
    let text = line("ana", "select note from clinic.notes");
    canary::assert_none("notes for an analyst", text.as_bytes());
    let words = ["BP ", "HR ", "SpO2", "Continue current medication", "diet and exercise"];
    assert!(
        words.iter().all(|word| text.contains(word)),
        "the clinical content is kept:\n{}",
        text.lines().next().unwrap()
    );
    assert_eq!(text.lines().count(), line("priya", "select note from clinic.notes").lines().count());
}

/// Statements that ordinary work needs. They must succeed for an analyst, and leak nothing.
pub(crate) const USEFUL: &[&str] = &[
    "select * from clinic.patients",
    "select * from clinic.encounters",
    "select * from clinic.notes",
    "select * from clinic.departments order by beds",
    "table clinic.patients",
    "select * from clinic.patients order by patient_id",
    "select count(*) from clinic.patients",
    "select department, count(*), avg(charge), max(charge) from clinic.encounters group by department order by 2 desc",
    "select sex, state, count(*) from clinic.patients group by sex, state having count(*) > 1",
    "select p.ssn as a, p.phone as b, e.department from clinic.patients p join clinic.encounters e on e.patient_id = p.patient_id order by e.encounter_id limit 50",
    "select p.* from clinic.patients p left join clinic.notes n on n.patient_id = p.patient_id where n.note_id < 20",
    "select q.s from (select ssn as s, patient_id from clinic.patients) q where q.patient_id < 40",
    "with c as (select patient_id, email, zip from clinic.patients) select * from c where patient_id between 5 and 60",
    "select distinct state from clinic.patients",
    "select patient_id, first_name from clinic.patients where state = 'OH' order by patient_id desc offset 10 limit 10",
    "select e.*, d.beds from clinic.encounters e, clinic.departments d where d.name = e.department and e.charge > 100",
    "select l.note from clinic.patients p, lateral (select note from clinic.notes n where n.patient_id = p.patient_id limit 1) l",
    "select encounter_id, row_number() over (partition by department order by charge) from clinic.encounters limit 30",
    "select exists (select 1 from clinic.patients where patient_id = 3)",
    "select patient_id, (select count(*) from clinic.encounters e where e.patient_id = p.patient_id) from clinic.patients p limit 9",
    "select now() is not null, current_user is not null, 1 + 1, 'text' || 'more'",
    "show server_version",
    "explain select * from clinic.patients",
    "begin; select ssn from clinic.patients limit 3; commit",
    "begin; declare c cursor for select ssn, phone from clinic.patients; fetch 10 from c; fetch all from c; commit",
    "prepare s (int) as select ssn, dob from clinic.patients where patient_id = $1; execute s(4); deallocate s",
    "select tablename from pg_tables where schemaname = 'clinic' order by 1",
    "select column_name, data_type from information_schema.columns where table_schema = 'clinic' order by 1",
];

#[test]
fn ordinary_statements_of_an_analyst_succeed_and_show_no_canary() {
    let mut refused = Vec::new();
    for sql in USEFUL {
        let done = ask("ana", sql);
        canary::assert_none(sql, done.both().as_bytes());
        if done.code != 0 || done.text().trim().is_empty() {
            refused.push(format!("{sql}\n{}", done.errors()));
        }
    }
    assert!(refused.is_empty(), "{} of {}:\n{}", refused.len(), USEFUL.len(), refused.join("\n"));
}

#[test]
fn psql_describes_the_tables_for_an_analyst() {
    let script = "\\d\n\\dn\n\\d clinic.patients\n\\dt clinic.*\n\\d+ clinic.notes\n\\dp clinic.*\n";
    let done = clients::psql(&Gateway::clinic().endpoint("ana"), &["-v", "ON_ERROR_STOP=1"], script).success();
    assert!(done.text().contains("insurance_member_id"), "{}", done.text());
    canary::assert_none("psql's descriptions", done.both().as_bytes());
}

#[test]
fn by_hand_in_both_formats_with_and_without_describe_no_canary_comes_out() {
    for user in ["ana", "agent"] {
        let mut wire = Wire::login(&Gateway::clinic().endpoint(user));
        for table in ["patients", "encounters", "notes"] {
            // The agent may not name an SSN at all, so its list of columns leaves it out.
            let columns = if table == "patients" && user == "agent" {
                "patient_id, mrn, dob, zip, phone, email, first_name"
            } else {
                "*"
            };
            let sql = format!("select {columns} from clinic.{table}");
            for format in [0, 1] {
                for described in [false, true] {
                    let mut bytes = [parse("", &sql), bind("", "", &[], format)].concat();
                    if described {
                        bytes.extend(describe(b'P', ""));
                    }
                    bytes.extend([execute("", 0), sync()].concat());
                    wire.send(&bytes);
                    let frames = wire.until_ready(1);
                    assert!(error(&frames).is_none(), "{user} {sql} {format} {described}: {:?}", error(&frames));
                    assert!(tags(&frames).matches('D').count() >= 200, "{user} {sql}: rows came back");
                    canary::assert_none(&sql, &tests::wire::bytes(&frames));
                    assert!(!has_binary_birth_date(&frames), "{user} {sql}: a date of birth in binary");
                }
            }
        }
    }
}

/// Canary birth dates as PostgreSQL's binary dates: days since 2000-01-01.
fn has_binary_birth_date(frames: &[tests::wire::Frame]) -> bool {
    let days = Postgres::shared().sql("clinic", "select dob - date '2000-01-01' from clinic.patients");
    let days: Vec<[u8; 4]> = days.lines().map(|line| line.parse::<i32>().unwrap().to_be_bytes()).collect();
    assert_eq!(days.len(), 240);
    let rows = frames.iter().filter(|frame| frame.tag == b'D');
    rows.flat_map(tests::wire::Frame::values).flatten().any(|value| days.iter().any(|day| value == day))
}

#[test]
fn a_masked_binary_date_is_still_a_date() {
    let mut wire = Wire::login(&Gateway::clinic().endpoint("ana"));
    wire.send(
        &[
            parse("", "select dob from clinic.patients where patient_id = 7"),
            bind("", "", &[], 1),
            execute("", 0),
            sync(),
        ]
        .concat(),
    );
    let frames = wire.until_ready(1);
    let row = frames.iter().find(|frame| frame.tag == b'D').unwrap_or_else(|| panic!("{frames:?}"));
    let days = i32::from_be_bytes(row.values()[0].clone().unwrap().try_into().unwrap());
    assert_eq!(days, -35_794, "1902-01-01, counted from 2000-01-01");
}

#[test]
fn portals_prepared_statements_and_pipelines_keep_their_own_plans() {
    let mut wire = Wire::login(&Gateway::clinic().endpoint("ana"));
    let bytes = [
        parse("clear", "select state, sex from clinic.patients where patient_id < 50"),
        parse("masked", "select ssn, phone from clinic.patients where patient_id < 50"),
        parse("notes", "select note from clinic.notes where note_id < 50"),
        bind("a", "clear", &[], 0),
        bind("b", "masked", &[], 0),
        bind("c", "notes", &[], 1),
        execute("a", 3),
        execute("b", 3),
        execute("c", 3),
        execute("b", 4),
        execute("a", 4),
        execute("c", 0),
        bind("d", "masked", &[], 1),
        execute("d", 0),
        sync(),
    ];
    for _ in 0..3 {
        wire.send(&bytes.concat());
        let frames = wire.until_ready(1);
        assert!(error(&frames).is_none(), "{frames:?}");
        canary::assert_none("interleaved portals", &tests::wire::bytes(&frames));
        assert!(frames.iter().filter(|f| f.tag == b'D').count() > 100);
        let first = frames.iter().find(|f| f.tag == b'D').unwrap().values();
        assert_eq!(first[0].as_deref(), Some(&b"OH"[..]), "a clear column stays clear");
        wire.send(
            &[
                tests::wire::close(b'S', "clear"),
                tests::wire::close(b'S', "masked"),
                tests::wire::close(b'S', "notes"),
                sync(),
            ]
            .concat(),
        );
        wire.until_ready(1);
    }
}

#[test]
fn python_java_and_node_see_no_canary() {
    let endpoint = Gateway::clinic().endpoint("ana");
    for (what, done) in [
        ("psycopg and asyncpg", clients::python(&endpoint, "masked.py", &[])),
        ("JDBC", clients::java(&endpoint, "Masked.java", &[])),
        ("node-postgres", clients::node(&endpoint, "masked.cjs", &[])),
    ] {
        let done = done.success();
        assert!(done.text().contains("rows: 240"), "{what}: {}", done.both());
        assert!(done.text().contains("hidden@example.org"), "{what}: {}", done.both());
        canary::assert_none(what, done.both().as_bytes());
    }
}

#[test]
fn l1_no_canary_stands_in_logs_metrics_or_status() {
    for sql in ["select * from clinic.patients", "select * from clinic.notes", "select upper(ssn) from clinic.patients"]
    {
        ask("priya", sql);
        ask("ana", sql);
    }
    let gateway = Gateway::clinic();
    canary::assert_none("the log", gateway.log().as_bytes());
    for page in ["/metrics", "/status", "/healthz"] {
        canary::assert_none(page, gateway.http(page).unwrap().as_bytes());
    }
    for file in std::fs::read_dir(gateway.folder.path().join("audit")).unwrap().flatten() {
        if file.file_type().unwrap().is_file() {
            canary::assert_none("the audit log", &std::fs::read(file.path()).unwrap());
        }
    }
}
