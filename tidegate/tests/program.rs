//! The program as an operator runs it: arguments, exit codes, what is printed. No gateway runs here.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use policy::{
    Bundle, Model,
    model::{AuditMode, Redaction, Target, UpstreamTls, WireProtocol},
};
use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

struct Folder(tempfile::TempDir);

impl Folder {
    /// A sound configuration.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let model = Model {
            targets: vec![Target {
                name: "warehouse".to_owned(),
                protocol: WireProtocol::Postgres,
                address: "127.0.0.1:5432".to_owned(),
                tls: UpstreamTls::Disable,
                database: "clinic".to_owned(),
                account: "gateway".to_owned(),
                audit: AuditMode::Strict,
                line: 1,
            }],
            redactions: vec![Redaction::Token { key: "default".to_owned(), length: 16 }],
            ..Model::default()
        };
        std::fs::write(folder.path("policy.tgb"), Bundle::encode(&model).unwrap()).unwrap();
        folder.write("token.key", "0123456789abcdef");
        folder.write("warehouse.pw", "hunter2\n");
        folder.write("tidegate.yaml", &folder.good());
        folder.run(&["keys", "new", "auditors", "-o", "audit.key"], "");
        folder.run(&["user", "add", "ana", "--groups", "analysts,staff"], "first secret\n");
        folder
    }

    fn good(&self) -> String {
        "listen: 127.0.0.1:6432\nbundle: policy.tgb\nusers: users.yaml\naudit: { directory: audit, recipients: audit.key.pub }\n\
         keys: { default: { file: token.key } }\ntargets:\n  warehouse:\n    password: { file: warehouse.pw }\n"
            .to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file for its owner alone.
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn run(&self, arguments: &[&str], input: &str) -> Run {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("TIDEGATE_CONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that reads no input may be gone already.
        let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[test]
fn sound_configuration_is_shown_with_digest_and_targets() {
    let folder = Folder::new();
    // Few enough that no limit of the machine the test runs on is worth a warning.
    folder.write("tidegate.yaml", &(folder.good() + "limits: { sessions: 100 }\n"));
    let run = folder.run(&["check-config"], "");
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{}", run.out);
    let digest = prepare_hex(&folder);
    for part in [
        digest.as_str(),
        "target   warehouse: 127.0.0.1:5432, database clinic, account gateway, tls disable, audit strict",
        "users    1",
        "the configuration is sound\n",
    ] {
        assert!(run.out.contains(part), "{part}\n{}", run.out);
    }
}

fn prepare_hex(folder: &Folder) -> String {
    let bundle = Bundle::load(&std::fs::read(folder.path("policy.tgb")).unwrap()).unwrap();
    tidegate::prepare::hex(bundle.digest())
}

#[test]
fn all_problems_of_all_files_come_in_one_run_and_serve_says_the_same() {
    let folder = Folder::new();
    let text =
        folder.good().replace("token.key", "missing.key").replace("warehouse:", "warehose:").replace("tidegate", "x")
            + "limits: { session: 5 }\ntls: { certificate: a.crt, key: a.key }\nmetrics: 127.0.0.1:6432\n";
    folder.write("tidegate.yaml", &text);
    folder.write("users.yaml", "users:\n  - name: ana\n    verifier: secret\n    groups: []\n");
    let run = folder.run(&["check-config"], "");
    assert_eq!(run.code, Some(2));
    for part in [
        "tidegate.yaml:9:11: error: `session` is not a setting of `limits`; did you mean `sessions`?",
        "missing.key cannot be read",
        "target `warehose` is not in the bundle; did you mean `warehouse`?",
        "a.crt cannot be read",
        "127.0.0.1:6432 is used by `listen`",
        "users.yaml:3:15: error: `verifier`",
        "6 errors, ",
    ] {
        assert!(run.err.contains(part), "{part}\n{}", run.err);
    }
    assert!(!run.err.contains("hunter2"));
    let serve = folder.run(&["serve"], "");
    assert_eq!(serve.code, Some(2));
    assert_eq!(serve.err.lines().count() + 1, run.err.lines().count(), "{}", serve.err);
}

#[test]
fn unsound_bundles_are_refused_with_the_reason() {
    let folder = Folder::new();
    let good = std::fs::read(folder.path("policy.tgb")).unwrap();
    let mut altered = good.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    for (bytes, part) in [
        (&good[..good.len() - 1], "truncated"),
        (&altered[..], "altered"),
        (&b"PK"[..], "not a Tidegate bundle"),
        (&[], "not a Tidegate bundle"),
    ] {
        std::fs::write(folder.path("policy.tgb"), bytes).unwrap();
        let run = folder.run(&["check-config"], "");
        assert_eq!(run.code, Some(2));
        assert!(run.err.contains("policy.tgb") && run.err.contains(part), "{part}: {}", run.err);
    }
}

#[test]
fn exposed_secrets_are_warned_about_but_do_not_stop() {
    let folder = Folder::new();
    std::fs::set_permissions(folder.path("warehouse.pw"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let run = folder.run(&["check-config"], "");
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(
        run.err.contains("warning: password of target `warehouse`") && run.err.contains("chmod 600"),
        "{}",
        run.err
    );
    assert!(run.out.contains("with warnings"));
}

#[test]
fn users_are_managed_from_the_command_line() {
    let folder = Folder::new();
    folder.write("pw", "another secret\n");
    let run = folder.run(&["user", "add", "bo", "--password-file", "pw"], "");
    assert_eq!(run.code, Some(0), "{}", run.err);
    let again = folder.run(&["user", "add", "bo", "--password-file", "pw"], "");
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("--replace"), "{}", again.err);
    assert_eq!(folder.run(&["user", "add", "bo", "--replace", "--groups", "g"], "x\n").code, Some(0));
    assert_eq!(folder.run(&["user", "list"], "").out, "ana  analysts, staff\nbo   g\n");
    assert_eq!(folder.run(&["user", "remove", "ana"], "").code, Some(0));
    assert_eq!(folder.run(&["user", "list"], "").out, "bo  g\n");
    assert_eq!(folder.run(&["user", "remove", "ana"], "").code, Some(1));
    assert_eq!(folder.run(&["user", "add", "cy"], "\n").code, Some(1), "an empty password");
    let text = std::fs::read_to_string(folder.path("users.yaml")).unwrap();
    assert!(!text.contains("secret"));
    // The verifier that was written is that of the first line.
    let verifier = text.lines().find_map(|l| l.trim().strip_prefix("verifier: ")).unwrap().trim_matches('"');
    assert!(postgres::scram::Verifier::parse(verifier).unwrap().verify(b"x"));
}

#[test]
fn status_without_a_gateway_says_so() {
    let folder = Folder::new();
    let run = folder.run(&["status"], "");
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("has no `metrics` address"), "{}", run.err);
    let run = folder.run(&["status", "--address", "127.0.0.1:1"], "");
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("no gateway answers on 127.0.0.1:1"), "{}", run.err);
}

#[test]
fn completions_are_written_for_every_shell() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = folder.run(&["completions", shell], "");
        assert_eq!(run.code, Some(0));
        assert!(run.out.contains("check-config"), "{shell}");
    }
}
