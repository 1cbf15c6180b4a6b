//! `snapshot`, `init` and `coverage --sample` against a real PostgreSQL 15 that the test starts itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use lineage::catalog::RelationKind;

const BIN: &str = "/usr/lib/postgresql/15/bin";
const PASSWORD: &str = "correct horse battery";

/// A server with its folder; both are gone when it is dropped.
struct Server {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fast shutdown of the one process this test started.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
            let _ = self.child.wait();
        }
        // Without a folder when another server has it.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &str) -> Command {
    let root = String::from_utf8_lossy(&Command::new("id").arg("-u").output().unwrap().stdout).trim() == "0";
    let path = format!("{BIN}/{program}");
    if root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", &path]);
        command
    } else {
        Command::new(path)
    }
}

fn start() -> Server {
    let folder = std::env::temp_dir().join(format!("policy-compiler-live-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let _ = Command::new("chown").arg("postgres").arg(&folder).status();
    let data = folder.join("data");
    std::fs::write(folder.join("pw"), PASSWORD).unwrap();
    let _ = Command::new("chown").arg("postgres").arg(folder.join("pw")).status();
    let made = as_postgres("initdb")
        .args(["-U", "owner", "--auth=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"])
        .arg(format!("--pwfile={}", folder.join("pw").display()))
        .arg("-D")
        .arg(&data)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut server = serve(folder);
    let deadline = Instant::now() + Duration::from_secs(180);
    while std::net::TcpStream::connect(("127.0.0.1", server.port)).is_err()
        || !psql(&server, "postgres", "select 1").status.success()
    {
        assert!(Instant::now() < deadline, "the server does not start");
        if server.child.try_wait().unwrap().is_some() {
            // Somebody else was given the port before it came to it.
            server = serve(std::mem::take(&mut server.folder));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    server
}

/// A server on the cluster in this folder, at a port that was free a moment ago.
fn serve(folder: PathBuf) -> Server {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = as_postgres("postgres")
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-F", "-k", ""])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    Server { child, folder, port }
}

fn psql(server: &Server, database: &str, sql: &str) -> Output {
    Command::new("psql")
        .args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            "owner",
            "-p",
            &server.port.to_string(),
            "-d",
            database,
            "-c",
            sql,
        ])
        .env("PGPASSWORD", PASSWORD)
        .output()
        .unwrap()
}

fn run(server: &Server, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_policy-compiler"))
        .args(arguments)
        .args(["--address", &format!("127.0.0.1:{}", server.port), "--user", "owner", "--tls", "disable"])
        .env("PGPASSWORD", PASSWORD)
        .current_dir(&server.folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const SETUP: &str = "
    create schema clinic;
    create table clinic.patients (patient_id bigint primary key, ssn text, \"Odd Name\" text, code text, gone int, dob date);
    alter table clinic.patients drop column gone;
    comment on table clinic.patients is 'people';
    comment on column clinic.patients.code is 'the medical record number, class:mrn';
    create view clinic.recent as select p.ssn as s, p.dob from clinic.patients p where patient_id > 10;
    create materialized view clinic.summary as select s from clinic.recent;
    create table clinic.visits (visit_id bigint, remark text, at timestamptz) partition by range (at);
    create table clinic.visits_2024 partition of clinic.visits for values from ('2024-01-01') to ('2025-01-01');
    create sequence clinic.counter;
    insert into clinic.patients select i, lpad((212 + i % 50)::text, 3, '0') || '-45-' || lpad((1000 + i)::text, 4, '0'),
        'x', 'A' || i, '1950-01-01'::date + i from generate_series(1, 300) i;
    insert into clinic.visits select i, 'call 617-555-' || lpad((100 + i)::text, 4, '0') || ' or mail p' || i || '@example.org',
        '2024-03-01' from generate_series(1, 300) i;
    create function pg_temp.evil() returns int language sql as 'select 1';
    analyze";

const RULES: &str = "
targets: {warehouse: {address: \"127.0.0.1:1\", database: postgres, account: nobody}}
classes: {ssn: {columns: [\"*.clinic.patients.ssn\"]}}
clear: [\"*.clinic.visits.remark\"]
roles: {analyst: {groups: [a], targets: [warehouse], default: clear}}
";

#[test]
fn a_live_target_is_snapshotted_proposed_and_sampled() {
    let server = start();
    let made = psql(&server, "postgres", SETUP);
    assert!(made.status.success(), "{}", text(&made.stderr));
    std::fs::write(server.folder.join("rules.yaml"), RULES).unwrap();

    let out = run(&server, &["snapshot", "rules.yaml", "-o", "c.json"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let catalog = policy_compiler::snapshot::read(&server.folder.join("c.json")).unwrap();
    check_catalog(&catalog);

    // The same catalog gives the same bytes.
    let first = std::fs::read(server.folder.join("c.json")).unwrap();
    assert!(run(&server, &["snapshot", "rules.yaml", "-o", "c.json"]).status.success());
    assert_eq!(first, std::fs::read(server.folder.join("c.json")).unwrap());

    init(&server);
    sampled_coverage(&server);
    failures(&server);
}

fn check_catalog(catalog: &lineage::Catalog) {
    assert_eq!(catalog.database, "postgres");
    assert_eq!(catalog.server_version / 10_000, 15);
    assert!(catalog.relations.iter().all(|r| r.schema == "clinic"), "system schemas are left out");
    let named = |name: &str| catalog.relations.iter().find(|r| r.name == name).unwrap();
    let patients = named("patients");
    let numbers: Vec<_> = patients.columns.iter().map(|c| (c.number, c.name.as_str())).collect();
    assert_eq!(numbers, [(1, "patient_id"), (2, "ssn"), (3, "Odd Name"), (4, "code"), (6, "dob")]);
    assert_eq!(patients.comment.as_deref(), Some("people"));
    assert!(patients.columns[3].comment.as_deref().unwrap().contains("class:mrn"));
    assert_eq!(patients.columns[4].type_name, "date");
    assert_eq!(patients.estimated_rows, 300);
    let recent = named("recent");
    assert_eq!(recent.kind, RelationKind::View);
    assert!(recent.definition.as_deref().unwrap().contains("clinic.patients"), "names have their schema");
    assert_eq!(recent.depends_on, [patients.oid]);
    assert_eq!(named("summary").kind, RelationKind::MaterializedView);
    assert_eq!(named("summary").depends_on, [recent.oid]);
    assert_eq!(named("visits").kind, RelationKind::PartitionedTable);
    assert_eq!(named("visits_2024").parents, [named("visits").oid]);
    assert_eq!(named("counter").kind, RelationKind::Sequence);
}

fn init(server: &Server) {
    let out =
        run(server, &["init", "--database", "postgres", "--sample", "-o", "start.yaml", "--catalog", "start.json"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let written = std::fs::read_to_string(server.folder.join("start.yaml")).unwrap();
    assert!(written.contains("#   ssn: warehouse.clinic.patients.ssn"), "{written}");
    assert!(written.contains("warehouse.clinic.patients.code\"  # comment"), "{written}");
    assert!(written.contains("warehouse.clinic.visits_2024.remark"), "{written}");
    assert!(!written.contains("617-555") && !written.contains("-45-1"), "values are never written");
    // What it writes is correct and compiles, and the proposed test passes.
    for verb in ["check", "test"] {
        let out = Command::new(env!("CARGO_BIN_EXE_policy-compiler"))
            .args([verb, "start.yaml", "--catalog", "start.json"])
            .current_dir(&server.folder)
            .output()
            .unwrap();
        assert!(out.status.success(), "{verb}: {}{}\n{written}", text(&out.stdout), text(&out.stderr));
    }
    let again = run(server, &["init", "--database", "postgres", "-o", "start.yaml"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("--force"));
}

fn sampled_coverage(server: &Server) {
    let out = run(server, &["coverage", "rules.yaml", "--sample"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    let found = text(&out.stdout);
    assert!(found.contains("clinic.visits_2024.remark") && found.contains("sampled values"), "{found}");
    assert!(found.contains("although declared clear"), "{found}");
    assert!(found.contains("warehouse.clinic.patients.code") && found.contains("its comment"), "{found}");
    assert!(!found.contains("617-555") && !found.contains("example.org"), "values are never printed: {found}");
}

fn failures(server: &Server) {
    std::fs::write(server.folder.join("wrong"), "wrong\n").unwrap();
    let out = run(server, &["snapshot", "rules.yaml", "--password-file", "wrong"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("password authentication failed"), "{}", text(&out.stderr));
    let out = Command::new(env!("CARGO_BIN_EXE_policy-compiler"))
        .args(["snapshot", "rules.yaml", "--user", "owner", "--address", &format!("127.0.0.1:{}", server.port)])
        .current_dir(&server.folder)
        .output()
        .unwrap();
    // verify-full is the default, and this server has no TLS.
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("TLS"), "{}", text(&out.stderr));
}

#[test]
fn the_program_answers_with_its_exit_codes() {
    let clinic = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/clinic");
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_policy-compiler")).args(arguments).current_dir(&clinic).output().unwrap()
    };
    let code = |arguments: &[&str]| run(arguments).status.code();
    let files = ["rules.yaml", "roles.yaml", "--catalog", "clinic.catalog.json"];
    let with = |verb: &'static str, more: &[&'static str]| [&[verb][..], &files, more].concat();
    assert_eq!(code(&with("check", &["--strict"])), Some(0));
    assert_eq!(code(&["check", "broken.yaml"]), Some(1));
    assert_eq!(code(&["check", "nowhere.yaml"]), Some(2));
    assert_eq!(code(&["chekc"]), Some(2));
    assert_eq!(code(&with("test", &[])), Some(0));
    assert_eq!(code(&with("explain", &["--as", "analyst", "-s", "select ssn from clinic.patients"])), Some(0));
    assert_eq!(code(&with("explain", &["--as", "analyst", "-s", "drop table clinic.patients"])), Some(1));
    assert_eq!(code(&with("explain", &["--as", "analist", "-s", "select 1"])), Some(2));
    assert_eq!(code(&with("coverage", &[])), Some(0));
    let broken = run(&["check", "broken.yaml"]);
    assert!(!text(&broken.stderr).contains('\u{1b}'), "no colours into a pipe");
    assert!(text(&run(&["check", "broken.yaml", "--color", "always"]).stderr).contains('\u{1b}'));
    assert!(text(&run(&["completions", "bash"]).stdout).contains("policy-compiler"));
    let folder = std::env::temp_dir().join(format!("policy-compiler-codes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (a, b) = (folder.join("a.tgb").display().to_string(), folder.join("b").display().to_string());
    assert_eq!(code(&[&with("compile", &[])[..], &["-o", &a]].concat()), Some(0));
    std::fs::create_dir_all(&b).unwrap();
    for name in ["rules.yaml", "roles.yaml", "names.txt", "places.txt"] {
        let text = std::fs::read_to_string(clinic.join(name)).unwrap();
        std::fs::write(
            Path::new(&b).join(name),
            text.replace("ssn: keep-last 4", "ssn: clear")
                .replace("columns: {patient_id: clear, ssn: keep-last 4", "columns: {patient_id: clear, ssn: clear"),
        )
        .unwrap();
    }
    let out = run(&["diff", &a, &b, "--catalog", "clinic.catalog.json", "--fail-on-more"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("role analyst: class ssn keep-last 4 → clear"), "{}", text(&out.stdout));
    assert_eq!(code(&["diff", &a, &b, "--catalog", "clinic.catalog.json"]), Some(0));
    std::fs::remove_dir_all(&folder).unwrap();
}
