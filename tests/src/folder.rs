//! A temporary folder that goes away with its value, or with the process. Names are unique per process and use.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder under the system's temporary folder, removed on drop.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new, empty folder that other users may enter (a server may run as another user).
    pub fn new(purpose: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tidegate-{purpose}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("TIDEGATE_TEST_KEEP").is_some() {
            eprintln!("kept for inspection: {}", self.0.display());
            return;
        }
        // A folder that cannot be removed must not hide the failure of the test that used it.
        let _ = fs::remove_dir_all(&self.0);
    }
}
