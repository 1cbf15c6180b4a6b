//! Bundles for the tests, compiled by the real `policy-compiler` against a live catalog.

use crate::{
    folder::Folder,
    process::{Finished, PATIENCE, run},
    programs::{program, tree},
    server::{PASSWORD, Postgres},
};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A compiled bundle.
#[derive(Debug)]
pub struct Bundle {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Name of its target.
    pub target: &'static str,
}

/// Rules that allow everything on a target of their own, so that what remains is the gateway itself.
const ALLOW_ALL: &str = "\
version: 1
targets:
  plain:
    protocol: postgres
    address: 127.0.0.1:5432
    tls: disable
    database: plain
    account: app
    audit: async
roles:
  everyone:
    groups: [everyone]
    targets: [plain]
    default: clear
    redact: clear
    channels: [\"*\"]
    trusted-functions: [\"*.*\"]
";

impl Bundle {
    /// Allows everything on database `plain`.
    pub fn allow_all() -> &'static Self {
        static SHARED: OnceLock<Bundle> = OnceLock::new();
        SHARED.get_or_init(|| Self::compile(&[ALLOW_ALL], "plain", Postgres::shared()))
    }

    /// Allows everything on database `plain`, logging in upstream as this account.
    pub fn plain_as(account: &str) -> Self {
        let rules = ALLOW_ALL.replace("account: app", &format!("account: {account}"));
        // The catalog is read as `app`: accounts without a password cannot be asked for one here.
        let folder = Folder::new("rules");
        let read = folder.write("read.yaml", ALLOW_ALL);
        let catalog = folder.path().join("catalog.json");
        snapshot(&[read], "plain", Postgres::shared(), &catalog).success();
        let file = folder.write("rules.yaml", rules);
        Self::link(folder, &[file], &catalog, "plain")
    }

    /// The example rules of the source tree.
    pub fn clinic() -> &'static Self {
        static SHARED: OnceLock<Bundle> = OnceLock::new();
        SHARED.get_or_init(|| Self::from_files(&examples(), "warehouse", Postgres::shared()))
    }

    /// Compiles these rule texts.
    #[track_caller]
    pub fn compile(texts: &[&str], target: &'static str, server: &Postgres) -> Self {
        let folder = Folder::new("rules");
        let files: Vec<PathBuf> =
            texts.iter().enumerate().map(|(i, text)| folder.write(&format!("{i}.yaml"), text)).collect();
        Self::build(folder, &files, target, server)
    }

    /// Compiles rule files or folders.
    #[track_caller]
    pub fn from_files(files: &[PathBuf], target: &'static str, server: &Postgres) -> Self {
        Self::build(Folder::new("rules"), files, target, server)
    }

    #[track_caller]
    fn build(folder: Folder, files: &[PathBuf], target: &'static str, server: &Postgres) -> Self {
        let catalog = folder.path().join("catalog.json");
        snapshot(files, target, server, &catalog).success();
        Self::link(folder, files, &catalog, target)
    }

    #[track_caller]
    fn link(folder: Folder, files: &[PathBuf], catalog: &Path, target: &'static str) -> Self {
        let path = folder.path().join("policy.tgb");
        let mut compile = Command::new(program("policy-compiler"));
        compile.arg("compile").args(files).arg("--catalog").arg(catalog).arg("-o").arg(&path);
        run(&mut compile, b"", 2 * PATIENCE).success();
        Self { bytes: std::fs::read(path).unwrap(), target }
    }
}

/// Takes a catalog snapshot of a target with the real compiler.
pub fn snapshot(files: &[PathBuf], target: &str, server: &Postgres, to: &Path) -> Finished {
    let mut command = Command::new(program("policy-compiler"));
    command
        .arg("snapshot")
        .args(files)
        .args(["--target", target, "--address", &format!("127.0.0.1:{}", server.port()), "--tls", "disable", "-o"])
        .arg(to)
        .env("PGPASSWORD", PASSWORD);
    run(&mut command, b"", 2 * PATIENCE)
}

/// Runs `policy-compiler` with these arguments.
pub fn compiler(arguments: &[&str], folder: &Path) -> Finished {
    run(Command::new(program("policy-compiler")).args(arguments).current_dir(folder), b"", 2 * PATIENCE)
}

/// The example rule files.
pub fn examples() -> Vec<PathBuf> {
    let folder = tree().join("examples/clinic");
    vec![folder.join("rules.yaml"), folder.join("roles.yaml")]
}
