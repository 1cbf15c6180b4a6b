//! What the file may say, and that every mistake is told with its place and its mending.

use super::*;
use proptest::prelude::*;

const FULL: &str = r#"
listen: ["127.0.0.1:6432", "[::1]:6432"]
cores: 2
bundle: policy.tgb
users: /etc/tidegate/users.yaml
tls:
  certificate: server.crt
  key: server.key
  required: true
audit:
  directory: audit
  segment_bytes: 32MiB
metrics: "127.0.0.1:9187"
keys:
  default: { file: token.key }
  other: { env: OTHER_KEY }
targets:
  warehouse:
    password: { file: warehouse.pw }
    ca: ca.crt
    client_certificate: c.crt
    client_key: c.key
    address: db.example:5432
    tls: verify-ca
catalog_refresh: 1m
limits:
  sessions: 500
  sessions_per_user: 50
  login_timeout: 5s
  idle_timeout: 1h
  idle_write_timeout: 30s
  drain_timeout: 0s
  statement_bytes: 64KiB
  prepared_statements: 16
  pipeline: 32
  buffer_bytes: 128KiB
  hold_max: 2m
  hold_notice: 5s
log: { format: json, level: "info,control=debug" }
"#;

const LEAST: &str = "listen: 127.0.0.1:6432\nbundle: b\nusers: u\naudit: { directory: a }\n";

fn read(text: &str) -> (Option<Config>, String) {
    let mut problems = Problems::new();
    let config = Config::read(Path::new("/etc/tidegate/tidegate.yaml"), text, &mut problems);
    (config, problems.to_string().replace("/etc/tidegate/tidegate.yaml", "F"))
}

#[test]
fn everything_can_be_said() {
    let (config, problems) = read(FULL);
    assert_eq!(problems, "");
    let config = config.unwrap();
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.cores, Some(2));
    assert_eq!(config.bundle.value, Path::new("/etc/tidegate/policy.tgb"));
    assert_eq!(config.users.as_ref().unwrap().value, Path::new("/etc/tidegate/users.yaml"));
    assert!(config.tls.unwrap().required);
    assert_eq!(config.audit.segment_bytes, 32 << 20);
    assert_eq!(config.keys["other"].value, SecretSource::Env("OTHER_KEY".to_owned()));
    let target = &config.targets["warehouse"];
    assert_eq!(target.tls, Some(UpstreamTls::VerifyCa));
    assert_eq!(target.client.as_ref().unwrap().1.value, Path::new("/etc/tidegate/c.key"));
    assert_eq!(target.address.as_ref().unwrap().value, "db.example:5432");
    assert_eq!(config.catalog_refresh, Duration::from_secs(60));
    assert_eq!(
        config.limits,
        Limits {
            sessions: 500,
            sessions_per_user: 50,
            login_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(3600),
            idle_write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::ZERO,
            statement_bytes: 64 << 10,
            prepared_statements: 16,
            pipeline: 32,
            buffer_bytes: 128 << 10,
            hold_max: Duration::from_secs(120),
            hold_notice: Duration::from_secs(5),
        }
    );
    assert_eq!(config.log, Log { format: LogFormat::Json, level: "info,control=debug".to_owned() });
}

#[test]
fn little_must_be_said() {
    let (config, problems) = read(LEAST);
    assert_eq!(problems, "");
    let config = config.unwrap();
    assert_eq!(config.limits, Limits::default());
    assert!(config.tls.is_none() && config.metrics.is_none() && config.cores.is_none());
    assert_eq!(config.catalog_refresh, Duration::from_secs(30));
    assert_eq!(config.audit.segment_bytes, 16 << 20);
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = r#"listen: ["localhost:6432", "*:1", "127.0.0.1:1", "127.0.0.1:1"]
corse: 2
cores: zero
bundle: policy.tgb
users: [a, b]
tls:
  certificate: server.crt
  required: maybe
audit:
  directory: audit
  segment_bytes: 16MB
metrics: 9187
keys:
  default: hunter2
  both: { file: a, env: B }
targets:
  warehouse:
    pasword: { file: x }
    client_key: c.key
    address: db.example
    tls: prefer
limits:
  sessions: 0
  login_timeout: 10
  login_timeout: 20s
  idle_timeout: 400d
log: { format: xml, level: "=" }
"#;
    let (config, problems) = read(text);
    assert!(config.is_none());
    let expected = "\
F:2:1: error: `corse` is not a setting; did you mean `cores`?
F:1:10: error: `localhost:6432` is not an address to listen on; write \"127.0.0.1:6432\" or \"[::1]:6432\"
F:1:28: error: `*:1` is not an address to listen on; for all interfaces write \"0.0.0.0:1\" or \"[::]:1\"
F:1:50: error: 127.0.0.1:1 is listed twice
F:5:8: error: `users` takes one value
F:3:8: error: `cores`: `zero` is not a whole number from 1 to 1024
F:7:3: error: `key` is missing in `tls`
F:8:13: error: `required`: `maybe` is neither true nor false
F:11:18: error: `segment_bytes`: `16MB` is not a size; write a whole number with B, KiB, MiB or GiB
F:12:10: error: `9187` is not an address to listen on; write an IP address and a port, for instance \"127.0.0.1:6432\" or \"[::1]:6432\"
F:14:12: error: `default`: a secret is not written into this file; write { file: PATH } or { env: NAME }
F:15:9: error: `both` has several sources; keep one
F:18:5: error: `pasword` is not a setting of `warehouse`; did you mean `password`?
F:19:17: error: `client_key` needs `client_certificate`
F:20:14: error: `address`: `db.example` is not host:port; for instance db.example:5432
F:21:10: error: `tls`: `prefer` protects nothing; choose disable, require, verify-ca or verify-full
F:25:3: error: `login_timeout` is set twice, first in line 24
F:23:13: error: `sessions`: `0` is not a whole number from 1 to 1000000
F:24:18: error: `login_timeout`: `10` has no unit; write for instance 10s
F:26:17: error: `idle_timeout`: 400d is not between 0ns and 31536000s
F:27:16: error: `format`: `xml` is neither text nor json
F:27:28: error: `level`: `=` is none of error, warn, info, debug, trace";
    assert_eq!(problems, expected);
    assert!(!problems.contains("hunter2"), "a secret that was written into the file is not repeated");
}

#[test]
fn missing_settings_and_other_shapes_are_told() {
    for (text, expected) in [
        ("", "`listen` is missing|`bundle` is missing|name a `users` file|`audit` is missing"),
        ("- a\n", "the file holds no settings"),
        ("listen: [", "not valid YAML"),
        ("listen: []\nbundle: b\nusers: u\naudit: { directory: a }\n", "`listen` is empty"),
        ("listen: 127.0.0.1:1\nbundle:\nusers: u\naudit: { directory: a }\n", "`bundle` has no value"),
        ("listen: 127.0.0.1:1\nbundle: b\nusers: u\naudit: a\n", "`audit` takes settings"),
        (
            "listen: 127.0.0.1:1\nbundle: b\nusers: u\naudit: { segment_bytes: 1MiB }\n",
            "`directory` is missing in `audit`",
        ),
    ] {
        let (config, problems) = read(text);
        for part in expected.split('|') {
            assert!(problems.contains(part), "{text:?}: {problems}");
        }
        assert!(config.is_none() || problems.contains("listen"), "{text:?}");
    }
}

#[test]
fn host_and_port_are_split() {
    assert_eq!(host_and_port("db.example:5432"), Ok(("db.example".to_owned(), 5432)));
    assert_eq!(host_and_port("[::1]:5432"), Ok(("::1".to_owned(), 5432)));
    for wrong in ["", ":", "db", "db:", ":5432", "db:0", "db:65536", "::1:5432", "a b:1", "[]:1", "db:x"] {
        assert!(host_and_port(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn damage_anywhere_never_panics(at in any::<prop::sample::Index>(), to in "[-a-z:{}\\[\\]\"#&*!|>%@ \n\t0-9]{0,3}") {
        let at = at.index(FULL.len());
        let mut text = FULL.to_owned();
        text.replace_range(at..=at, &to);
        let (config, problems) = read(&text);
        // Without a configuration there is a reason.
        prop_assert!(config.is_some() || problems.contains("error"));
    }
}

#[test]
fn a_target_that_needs_a_purpose_has_nobody_who_cannot_state_one() {
    const ACCESS: &str = "access: { store: { directory: access }, key_file: k }\n";
    const TARGETS: &str = "targets:\n  a: { purpose: required }\n  b: { purpose: optional }\n";
    let without_users = LEAST.replace("users: u\n", "");
    let (config, problems) = read(&format!("{without_users}{ACCESS}{TARGETS}"));
    assert_eq!(problems, "");
    assert_eq!(config.unwrap().access.unwrap().purpose_targets, ["a"]);
    assert!(read(&format!("{LEAST}{ACCESS}{TARGETS}")).1.contains("states none"));
    assert!(read(&format!("{without_users}{TARGETS}")).1.contains("`purpose` needs the section `access`"));
    assert!(read(&format!("{without_users}{ACCESS}targets: {{ a: {{ purpose: maybe }} }}\n")).1.contains("`maybe`"));
}
