//! Where the project's own programs are.
//!
//! `TIDEGATE_PROGRAMS` names a folder of ready-built programs (`./test` sets it); without it Cargo is asked once per process
//! to build them in the profile this test was built with, so that a test never runs a stale program.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Path of one of the project's programs.
pub fn program(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.exists(), "{} has not been built", path.display());
    path
}

/// The top of the source tree.
pub fn tree() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Cargo's target folder: caches of test clients live under it.
pub fn target() -> PathBuf {
    profile_folder().parent().unwrap().to_owned()
}

/// `target/<profile>`, found from the program's own place: in it, or for a test in `target/<profile>/deps`.
fn profile_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().unwrap();
    if folder.ends_with("deps") { folder.parent().unwrap().to_owned() } else { folder.to_owned() }
}

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Says where the programs are, before any is asked for; later it has no effect.
pub fn built_in(folder: &Path) {
    let _known_already = FOLDER.set(folder.to_owned());
}

fn folder() -> &'static Path {
    FOLDER.get_or_init(|| {
        if let Some(folder) = std::env::var_os("TIDEGATE_PROGRAMS") {
            return folder.into();
        }
        let folder = profile_folder();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--bins", "-p", "tidegate", "-p", "policy-compiler"]).current_dir(tree());
        cargo.env("CARGO_TARGET_DIR", folder.parent().unwrap());
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the programs under test do not build");
        folder
    })
}
