//! A temporary folder that goes away with its value.
//!
//! It can be handed to the account PostgreSQL runs as, because neither `postgres` nor `pgbouncer` starts as root.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::failure::{Doing, Result};

/// The folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes one under the system's temporary folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new() -> Result<Self> {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
        let path = std::env::temp_dir().join(format!("tidegate-load-{}-{nanos}", std::process::id()));
        fs::create_dir(&path).doing(format!("make {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).doing("open the temporary folder")?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder inside, owned by `account` if given.
    ///
    /// # Errors
    /// It cannot be made or given away.
    pub fn sub(&self, name: &str, account: Option<(u32, u32)>) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).doing(format!("make {}", path.display()))?;
        if let Some((uid, gid)) = account {
            chown(&path, Some(uid), Some(gid)).doing(format!("give {} away", path.display()))?;
        }
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("left behind {}: {error}", self.path.display());
        }
    }
}
