//! What an operator measures: `tidegate bench`, stages in `tidegate status`, and what an idle session costs.

use std::{fs, process::Command, time::Duration};
use tests::{
    clients,
    gateway::{Gateway, Setup},
    process::{Finished, PATIENCE, resident_kib, run, wait_until},
    programs::program,
    rules::Bundle,
    server::{PASSWORD, Postgres},
    wire::Wire,
};

const LIMIT: Duration = PATIENCE.saturating_mul(4);

/// Runs `tidegate bench` with the gateway's own configuration.
#[track_caller]
fn bench(gateway: &Gateway, user: &str, arguments: &[&str]) -> Finished {
    let mut command = Command::new(program("tidegate"));
    command.arg("bench").arg("--config").arg(gateway.folder.path().join("tidegate.yaml"));
    command.args(["--user", user, "--time", "300ms", "--rows", "2000", "--clients", "1,3"]).args(arguments);
    run(command.env("PGPASSWORD", PASSWORD).env_remove("PGUSER"), b"", LIMIT)
}

#[test]
fn an_operator_measures_the_installation_and_nothing_is_touched() {
    // A server of its own: on the shared one other tests make tables, and it looks after them by itself.
    let server = Postgres::start("autovacuum = off");
    server.load_clinic("clinic", clinic::Options { patients: 10, seed: 1, canary: true });
    let gateway = Setup::new(Bundle::clinic(), &server).start();
    let authority = gateway.folder.write("authority.crt", &tests::certificates::Authority::shared().certificate);
    let password = gateway.folder.write("direct.pw", PASSWORD);
    let direct = server.endpoint("clinic", "gateway");
    let connection = format!("host=127.0.0.1 port={} user={} dbname=clinic sslmode=disable", direct.port, direct.user);
    let (authority, password) = (authority.display().to_string(), password.display().to_string());
    let tables = || server.sql("clinic", "select count(*), sum(relpages) from pg_class");
    let (before, files) = (tables(), files(&gateway));
    let arguments = ["--json", "--ca", &authority, "--direct", &connection, "--direct-password-file", &password];
    let done = bench(&gateway, "ana", &arguments).success();
    let report: serde_json::Value = serde_json::from_str(&done.text()).unwrap();
    let work = report["work"].as_array().unwrap();
    for (name, ways, count) in
        [("simple", 2, 4), ("prepared", 2, 4), ("bulk", 2, 2), ("login", 2, 2), ("TLS handshake", 1, 1)]
    {
        let lines: Vec<_> = work.iter().filter(|line| line["work"] == name).collect();
        assert_eq!(lines.len(), count, "{name}: {report:#}");
        for line in &lines {
            assert!(line["refused"].is_null() && line["count"].as_u64().unwrap() > 0, "{line}");
            assert!(line["p99_us"].as_f64().unwrap() >= line["p50_us"].as_f64().unwrap(), "{line}");
            let cpu = line["gateway_cpu_seconds"].as_f64();
            assert_eq!(cpu.is_some(), line["way"] == "gateway" && name != "TLS handshake", "{line}");
        }
        assert!(lines.iter().any(|line| line["way"] == "direct") == (ways == 2), "{name}");
    }
    let bulk = work.iter().find(|line| line["work"] == "bulk").unwrap();
    assert_eq!(bulk["count"], 3 * 2000);
    assert!(bulk["bytes"].as_u64().unwrap() > 3 * 2000 * 200, "{bulk}");
    let stages: Vec<_> = report["stages"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
    assert!(stages.contains(&"decide") && stages.contains(&"upstream"), "{stages:?}");
    assert!(report["audit_disk"]["syncs"].as_u64().unwrap() > 0, "{report:#}");
    assert!(report["machine"].as_array().unwrap().iter().any(|check| check["what"] == "locked memory"));
    assert_eq!(tables(), before, "nothing was made or changed");
    assert_eq!(self::files(&gateway), files, "the scratch file is gone");
    // It is recorded as what it is.
    let folder = gateway.folder.path().join("audit");
    let mut show = Command::new(program("tidegate"));
    wait_until("the log says who asked", PATIENCE, || {
        let shown = run(Command::new(program("tidegate")).args(["audit", "show", "--json"]).arg(&folder), b"", LIMIT);
        shown.text().contains("tidegate bench")
    });
    let shown = run(show.args(["audit", "show"]).arg(&folder), b"", LIMIT).text();
    assert!(shown.contains("generate_series"), "the bulk read is in the log");
}

/// Names of the plain files beside the folders of the cores.
fn files(gateway: &Gateway) -> Vec<String> {
    let folder = fs::read_dir(gateway.folder.path().join("audit")).unwrap().map(Result::unwrap);
    let files = folder.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<String> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_cannot_be_measured_is_said() {
    let gateway = Gateway::transparent();
    let mut wrong = Command::new(program("tidegate"));
    wrong.arg("bench").arg("--config").arg(gateway.folder.path().join("tidegate.yaml"));
    wrong.args(["--user", "app", "--tls", "disable"]).env("PGPASSWORD", "wrong").env_remove("PGUSER");
    let wrong = run(&mut wrong, b"", LIMIT);
    assert_eq!(wrong.code, 1, "{}", wrong.both());
    assert!(wrong.errors().contains("28P01") && !wrong.errors().contains("wrong\n"), "{}", wrong.errors());
    let untrusted = bench(gateway, "app", &["--tls", "require"]);
    assert_eq!(untrusted.code, 1, "an unknown authority: {}", untrusted.both());
    let table = bench(gateway, "app", &["--tls", "disable", "--no-disk"]).success().text();
    for word in ["simple", "prepared", "bulk", "login", "this machine", "locked memory"] {
        assert!(table.contains(word), "{word}: {table}");
    }
    assert!(!table.contains("audit disk") && !table.contains("TLS handshake"), "{table}");
}

#[test]
fn what_was_measured_is_shown_when_the_gateway_goes_away() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    let away = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Some statements have gone through by then.
            wait_until("it measures", LIMIT, || gateway.metric("tidegate_statements_total") > 50.0);
            gateway.kill();
        });
        let mut command = Command::new(program("tidegate"));
        command.arg("bench").arg("--config").arg(gateway.folder.path().join("tidegate.yaml"));
        command.args(["--user", "ana", "--tls", "disable", "--time", "9s", "--no-disk"]);
        run(command.env("PGPASSWORD", PASSWORD), b"", LIMIT)
    });
    assert_eq!(away.code, 1, "{}", away.both());
    assert!(away.text().contains("did not run: "), "{}", away.both());
    assert!(away.text().contains("this machine:"), "{}", away.both());
}

#[test]
fn status_shows_what_each_stage_takes() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    clients::rows(&gateway.endpoint("ana"), "select count(*) from clinic.departments").success();
    let mut command = Command::new(program("tidegate"));
    command.arg("status").arg("--config").arg(gateway.folder.path().join("tidegate.yaml"));
    // Under strict audit what only reads goes at once, and its answer is held until a record is durable; a small one never
    // waits for the client.
    let stages = ["decide", "durable", "upstream", "held", "write", "login", "dial"];
    let mut shown = String::new();
    let mut passed = Vec::new();
    // A stage is counted when it is over: for its client that can be sooner.
    wait_until("all stages are counted", PATIENCE, || {
        shown = run(&mut command, b"", LIMIT).success().text();
        passed = stages.to_vec();
        passed.retain(|stage| {
            let line = shown.lines().find(|line| line.starts_with("stage") && line.contains(stage)).unwrap_or_default();
            assert!(line.contains("p50") && line.contains("p99"), "{stage}: {shown}");
            !line.contains(" 0 times")
        });
        passed.len() >= 5
    });
    assert_eq!(passed, ["decide", "upstream", "held", "login", "dial"], "{shown}");
}

/// Resident memory of an idle session that has run a statement, KiB. The same in every profile: it is data, not code.
const IDLE_KIB_MAX: f64 = 8.0;

#[test]
fn an_idle_session_costs_little() {
    const SESSIONS: u16 = 1000;
    let server = Postgres::start("max_connections = 1100\nshared_buffers = 16MB");
    server.load_clinic("clinic", clinic::Options { patients: 10, seed: 1, canary: true });
    let gateway = Setup::new(Bundle::clinic(), &server).limit("sessions_per_user", "1100").start();
    let endpoint = gateway.endpoint("ana");
    let open = |count: u16| -> Vec<Wire> {
        (0..count)
            .map(|_| {
                let mut wire = Wire::login(&endpoint);
                wire.query("select 1");
                wire
            })
            .collect()
    };
    // What the first ones allocate stays.
    drop(open(20));
    let before = resident_kib(gateway.id());
    let sessions = open(SESSIONS);
    let after = resident_kib(gateway.id());
    drop(sessions);
    let each = (after as f64 - before as f64) / f64::from(SESSIONS);
    println!("{each:.2} KiB for each idle session");
    assert!(each <= IDLE_KIB_MAX, "{each:.2} KiB for each of {SESSIONS} idle sessions");
}
