//! Secrets of the gateway: sealed at rest, found again without a restart, and in no file, log, argument or environment.

use std::{fs, path::Path, process::Command};
use tests::{
    folder::Folder,
    gateway::Setup,
    process::{PATIENCE, run, wait_until},
    programs::program,
    rules::Bundle,
    server::Postgres,
    wire::{Wire, error},
};

const RULES: &str = "\
targets:
  warehouse: {address: \"127.0.0.1:5432\", database: clinic, account: gateway, tls: disable}
roles:
  everybody: {groups: [privacy, analysts], targets: [warehouse], default: clear, redact: clear}
";

fn seal(folder: &Folder, name: &str, secret: &str) -> String {
    let (file, key) = (folder.path().join(name), folder.path().join("secrets.key"));
    let mut command = Command::new(program("tidegate"));
    command.args(["secrets", "seal", file.to_str().unwrap(), "--key", key.to_str().unwrap()]);
    run(&mut command, format!("{secret}\n").as_bytes(), PATIENCE).success();
    format!("{{ sealed: \"{}\", key: \"{}\" }}", file.display(), key.display())
}

/// Files under a folder that hold one of these texts.
fn holding(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, texts));
            continue;
        }
        let bytes = fs::read(&path).unwrap_or_default();
        for text in texts {
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(format!("{text} in {}", path.display()));
            }
        }
    }
    found
}

#[test]
fn sealed_passwords_are_found_again_without_a_restart_and_are_nowhere_in_clear() {
    let server = Postgres::start("");
    server.load_clinic("clinic", clinic::Options { patients: 5, seed: 1, canary: true });
    let bundle = Bundle::compile(&[RULES], "warehouse", &server);
    let (first, second, third) = ("canary-one-5fe01c77", "canary-two-8b1d2a60", "canary-three-0d94e1");
    let set = |role: &str, password: &str| server.sql("clinic", &format!("alter role {role} password '{password}'"));
    set("gateway", first);
    server.sql(
        "clinic",
        "create role reader; grant usage on schema clinic to reader; grant select on all tables in schema clinic to reader;
         create role maker login createrole; grant reader to maker with admin option",
    );
    set("maker", third);
    let vault = Folder::new("secrets");
    let (target, admin) = (seal(&vault, "target", first), seal(&vault, "admin", third));
    let shared = Setup::new(&bundle, &server)
        .upstream_password(None)
        .target_line(&format!("password: {target}"))
        .line("secrets_refresh: 1s");
    let of_sessions = Setup::new(&bundle, &server)
        .upstream_password(None)
        .target_line(&format!("password: {target}"))
        .target_line(&format!(
            "credentials: {{ mode: role, admin_account: maker, admin_password: {admin}, groups: {{ \"*\": reader }} }}"
        ))
        .line("secrets_refresh: 1h");
    let gateways = [shared.start(), of_sessions.start()];
    let mut running: Vec<Wire> = gateways.iter().map(|gateway| Wire::login(&gateway.endpoint("ana"))).collect();

    // New passwords: one gateway looks by itself, the other when it is told to.
    set("gateway", second);
    set("maker", second);
    server.sql("clinic", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'maker'");
    seal(&vault, "target", second);
    seal(&vault, "admin", second);
    gateways[1].signal("HUP");
    for gateway in &gateways {
        wait_until("new sessions log in with the new password", PATIENCE, || {
            Wire::login_error(&gateway.endpoint("ana")).is_none()
        });
    }
    for wire in &mut running {
        let frames = wire.query("select count(*) from clinic.patients");
        assert!(error(&frames).is_none(), "a session that runs is not concerned: {frames:?}");
    }
    // A source that is broken changes nothing.
    fs::write(vault.path().join("target"), "AAAA").unwrap();
    gateways[0].signal("HUP");
    wait_until("it says so", PATIENCE, || gateways[0].log().contains("the ones in use stay"));
    assert!(Wire::login_error(&gateways[0].endpoint("ana")).is_none());

    for gateway in &gateways {
        let secrets = [first, second, third];
        let found = holding(gateway.folder.path(), &secrets);
        assert!(found.is_empty(), "{found:?}");
        for of in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{}/{of}", gateway.id())).unwrap();
            assert!(!secrets.iter().any(|s| bytes.windows(s.len()).any(|w| w == s.as_bytes())), "{of}");
        }
    }
    assert!(holding(vault.path(), &[first, second, third]).is_empty());
}
