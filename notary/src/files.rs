//! Files that are there whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Whether a file must survive a crash that follows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Its bytes and its name are on the disk when the call returns.
    Durably,
    /// Its bytes are; the name is when the folder is synced.
    Bytes,
    /// It can be made again from what is durable.
    Derived,
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder and those above it, for this user alone; their names are durable.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    make_folder(parent(folder))?;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_folder(parent(folder))
}

/// The name under which a file is written before it gets its own.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!(".{name}.new"))
}

/// Writes a file under a temporary name, which is given back.
pub(crate) fn write_aside(path: &Path, bytes: &[u8], keep: Keep) -> io::Result<PathBuf> {
    let aside = temporary(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    if keep != Keep::Derived {
        file.sync_all()?;
    }
    Ok(aside)
}

/// Replaces a file by another, in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8], keep: Keep) -> io::Result<()> {
    fs::rename(write_aside(path, bytes, keep)?, path)?;
    if keep == Keep::Durably { sync_folder(parent(path)) } else { Ok(()) }
}

/// The whole of a file of at most `most` bytes; `None` if there is none.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    use io::Read as _;
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("longer than {most} bytes")));
    }
    Ok(Some(bytes))
}
