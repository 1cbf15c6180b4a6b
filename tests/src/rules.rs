//! Bundles for the tests, compiled by the real `policy-compiler` against a live catalog.

use crate::{
    folder::Folder,
    process::{Finished, run},
    programs::{program, tree},
    server::{PASSWORD, Postgres},
};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

/// A compiled bundle.
#[derive(Debug)]
pub struct Bundle {
    /// The file.
    pub path: PathBuf,
    /// Name of its target.
    pub target: &'static str,
    _folder: Folder,
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

    /// The example rules of the source tree.
    pub fn clinic() -> &'static Self {
        static SHARED: OnceLock<Bundle> = OnceLock::new();
        SHARED.get_or_init(|| Self::from_files(&[example()], "warehouse", Postgres::shared()))
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
        let path = folder.path().join("policy.tgb");
        let mut compile = Command::new(program("policy-compiler"));
        compile.arg("compile").args(files).arg("--catalog").arg(&catalog).arg("-o").arg(&path);
        run(&mut compile, b"", Duration::from_secs(60)).success();
        Self { path, target, _folder: folder }
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
    run(&mut command, b"", Duration::from_secs(60))
}

/// Runs `policy-compiler` with these arguments.
pub fn compiler(arguments: &[&str], folder: &Path) -> Finished {
    run(Command::new(program("policy-compiler")).args(arguments).current_dir(folder), b"", Duration::from_secs(60))
}

/// The folder of the example rules.
pub fn example() -> PathBuf {
    tree().join("examples/clinic")
}
