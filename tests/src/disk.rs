//! Small disks of their own, to fill and to freeze. Both need the right to mount, which a test run may not have.

use crate::{
    folder::Folder,
    process::{PATIENCE, run},
};
use std::{path::Path, process::Command};

/// A mounted file system in a temporary folder, unmounted with the value.
#[derive(Debug)]
pub struct Disk {
    folder: Folder,
}

fn done(program: &str, arguments: &[&str]) -> bool {
    let known = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    known.is_ok_and(|found| found.status.success())
        && run(Command::new(program).args(arguments), b"", PATIENCE).code == 0
}

impl Disk {
    /// A disk of so many MiB in memory; `None` where mounting is not allowed.
    pub fn small(mib: u32) -> Option<Self> {
        let disk = Self { folder: Folder::new("disk") };
        std::fs::create_dir(disk.path()).ok()?;
        let size = format!("size={mib}m");
        done("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", disk.path().to_str()?]).then_some(disk)
    }

    /// A disk of so many MiB that can be frozen; `None` where that is not allowed.
    pub fn freezable(mib: u32) -> Option<Self> {
        let disk = Self { folder: Folder::new("disk") };
        std::fs::create_dir(disk.path()).ok()?;
        let image = disk.folder.path().join("image");
        std::fs::File::create(&image).ok()?.set_len(u64::from(mib) << 20).ok()?;
        let image = image.to_str()?;
        let made =
            done("mkfs.ext4", &["-q", "-F", image]) && done("mount", &["-o", "loop", image, disk.path().to_str()?]);
        (made && disk.freeze() && disk.thaw()).then_some(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("mounted")
    }

    /// From here on nothing is written to it; who tries waits.
    pub fn freeze(&self) -> bool {
        done("fsfreeze", &["-f", self.path().to_str().unwrap_or_default()])
    }

    /// It goes on.
    pub fn thaw(&self) -> bool {
        done("fsfreeze", &["-u", self.path().to_str().unwrap_or_default()])
    }

    /// Fills it; the file that does so.
    pub fn fill(&self) -> std::path::PathBuf {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let piece = vec![1u8; 64 << 10];
        while std::io::Write::write_all(&mut file, &piece).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let path = self.path();
        if mounted(&path) {
            let _ = self.thaw();
            // What still has files open there is detached and goes when they do.
            let _ = done("umount", &["-l", path.to_str().unwrap_or_default()]);
        }
    }
}

fn mounted(path: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(1).is_some_and(|at| Path::new(at) == path))
}
