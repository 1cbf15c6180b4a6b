//! The same paths of another revision, built in a worktree of its own.
//!
//! Registry crates are shared with this build; only the project's own are compiled again. Deliberately absent: paths that one
//! of the two does not know; they are shown with one count.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The other revision's program.
pub(crate) struct Other {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its commit, short.
    pub(crate) commit: String,
    tree: PathBuf,
    repository: PathBuf,
    _folder: TempDir,
}

impl Drop for Other {
    fn drop(&mut self) {
        // What is left of it otherwise is an entry that `git worktree prune` removes.
        let _ = git(&self.repository, &["worktree", "remove", "--force"]).arg(&self.tree).output();
    }
}

fn git(repository: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(repository).args(arguments).stdin(Stdio::null());
    git
}

fn said(command: &mut Command, doing: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot {doing}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("cannot {doing}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Checks a revision out and builds its gate.
///
/// # Errors
/// There is no such revision, it has no gate, or it does not build.
pub(crate) fn build(repository: &Path, revision: &str, target: &Path) -> Result<Other, String> {
    let find = format!("find the revision {revision}");
    let wanted = format!("{revision}^{{commit}}");
    let commit = said(&mut git(repository, &["rev-parse", "--short", "--verify", "--end-of-options", &wanted]), &find)?;
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let tree = folder.path().join("tree");
    let add = git(repository, &["worktree", "add", "--quiet", "--detach"]).arg(&tree).arg(&commit).output();
    let added = add.is_ok_and(|output| output.status.success());
    let program = folder.path().join("gate");
    let other = Other { program, commit, tree, repository: repository.to_owned(), _folder: folder };
    if !added {
        return Err(format!("{revision} cannot be checked out"));
    }
    if !other.tree.join("bench/gate/Cargo.toml").is_file() {
        return Err(format!("{revision} ({}) has no gate of its own to compare with", other.commit));
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--profile", "gate", "-p", "gate", "--target-dir"]).arg(target);
    cargo.current_dir(&other.tree).stdin(Stdio::null()).stdout(Stdio::null());
    if !cargo.status().is_ok_and(|status| status.success()) {
        return Err(format!("{revision} ({}) does not build", other.commit));
    }
    fs::copy(target.join("gate/gate"), &other.program).map_err(|error| format!("no program was built: {error}"))?;
    Ok(other)
}
