//! Key files: one private key each, for one user alone, and beside it during a rotation the key that comes next.
//!
//! A rotation has three steps, each of which may be the last before a crash: the next key is made (`<file>.next`), the log
//! says so and a checkpoint bears both signatures, the next key takes the file's name. The old key's bytes are then
//! overwritten and gone: nobody can sign in its name any more.

use crate::{
    error::Error,
    files::{self, Keep},
};
use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use tlog::{
    Signature, SigningKey, VerifierKey,
    note::{KeyKind, is_name},
};
use zeroize::Zeroizing;

/// Longest key file.
const KEY_BYTES_MAX: u64 = 4096;

/// Makes a new key from the system's randomness and writes it to a file that must not exist.
///
/// # Errors
/// The name may not be, the file exists, or cannot be written.
pub fn create(path: &Path, name: &str, kind: KeyKind) -> Result<SigningKey, Error> {
    let wrong = |what: &str| Error::Key(path.to_owned(), what.to_owned());
    if !is_name(name) {
        return Err(wrong(
            "the name of a key has no spaces, no `+` and at most 255 bytes, for instance example.com/log",
        ));
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut seed[..]).map_err(|_| wrong("the system gives no randomness"))?;
    let key = SigningKey::from_seed(name, kind, &seed).map_err(|e| wrong(&e.to_string()))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| wrong(&format!("cannot be made: {e}")))?;
    let text = key.private_text();
    file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(Error::at(path))?;
    file.sync_all().map_err(Error::at(path))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    files::sync_folder(folder).map_err(Error::at(folder))?;
    Ok(key)
}

/// Reads a key; `None` if there is no such file.
///
/// # Errors
/// Others than the owner may read it, or it holds no key of this kind.
pub fn load(path: &Path, kind: KeyKind) -> Result<Option<SigningKey>, Error> {
    let wrong = |what: String| Error::Key(path.to_owned(), what);
    let bytes = match files::read(path, KEY_BYTES_MAX) {
        Ok(None) => return Ok(None),
        Ok(Some(bytes)) => Zeroizing::new(bytes),
        Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
    };
    let mode = fs::metadata(path).map_err(Error::at(path))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(wrong(format!("others may read it (mode {mode:03o}); run: chmod 600 {}", path.display())));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is not text".to_owned()))?;
    let key = SigningKey::parse(text.strip_suffix('\n').unwrap_or(text)).map_err(|e| wrong(e.to_string()))?;
    if key.verifier().kind() != kind {
        let (have, want) = (describe(key.verifier().kind()), describe(kind));
        return Err(wrong(format!("holds a key of {have}, not of {want}")));
    }
    Ok(Some(key))
}

const fn describe(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Log => "a log",
        KeyKind::Witness => "a witness",
    }
}

/// The key of a log, and the one that follows it while it is being rotated.
#[derive(Debug)]
pub struct Keyring {
    path: PathBuf,
    current: SigningKey,
    next: Option<SigningKey>,
}

impl Keyring {
    /// Reads the key file, and `<file>.next` if there is one.
    ///
    /// # Errors
    /// There is no key file, or one of them cannot be used.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let current = load(path, KeyKind::Log)?.ok_or_else(|| {
            let hint =
                format!("does not exist; make it with: tidegate keys new --log NAME --output {}", path.display());
            Error::Key(path.to_owned(), hint)
        })?;
        let mut keyring = Self { path: path.to_owned(), current, next: None };
        keyring.look()?;
        Ok(keyring)
    }

    /// Looks whether somebody has made the next key since.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn look(&mut self) -> Result<(), Error> {
        if self.next.is_none() {
            let path = self.next_path();
            self.next = load(&path, KeyKind::Log)?;
            if self.next.as_ref().is_some_and(|next| next.verifier().name() != self.current.verifier().name()) {
                self.next = None;
                return Err(Error::Key(path, "the next key of a log has the log's name".to_owned()));
            }
        }
        Ok(())
    }

    fn next_path(&self) -> PathBuf {
        next_path(&self.path)
    }

    /// The key that signs.
    #[must_use]
    pub const fn current(&self) -> &VerifierKey {
        self.current.verifier()
    }

    /// The key that will sign.
    #[must_use]
    pub fn next(&self) -> Option<&VerifierKey> {
        self.next.as_ref().map(SigningKey::verifier)
    }

    /// Signs, with both keys where that is asked for and there are two.
    #[must_use]
    pub fn sign(&self, text: &str, both: bool) -> Vec<Signature> {
        let next = self.next.as_ref().filter(|_| both);
        [Some(&self.current), next].into_iter().flatten().map(|key| key.sign(text, 0)).collect()
    }

    /// Makes the next key, or gives the one that is there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn prepare(&mut self) -> Result<VerifierKey, Error> {
        self.look()?;
        if let Some(next) = self.next() {
            return Ok(next.clone());
        }
        let next = create(&self.next_path(), self.current().name(), KeyKind::Log)?;
        let public = next.verifier().clone();
        self.next = Some(next);
        Ok(public)
    }

    /// The next key becomes the key; the old one is overwritten.
    ///
    /// # Errors
    /// `next` is not the key that was made, or the file system failed.
    pub fn finish(&mut self, next: &VerifierKey) -> Result<(), Error> {
        if self.current() == next {
            return Ok(());
        }
        let Some(key) = self.next.take_if(|key| key.verifier() == next) else {
            return Err(Error::Key(self.path.clone(), "the next key is another one".to_owned()));
        };
        let old = OpenOptions::new().write(true).open(&self.path).map_err(Error::at(&self.path))?;
        fs::rename(self.next_path(), &self.path).map_err(Error::at(&self.path))?;
        self.current = key;
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        files::sync_folder(folder).map_err(Error::at(folder))?;
        erase(&old).map_err(Error::at(&self.path))
    }
}

/// Where the next key of a rotation stands.
#[must_use]
pub fn next_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    PathBuf::from(name)
}

/// Overwrites what is left of a file without a name.
fn erase(file: &File) -> std::io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0).min(KEY_BYTES_MAX as usize);
    file.write_all_at(&vec![0; length], 0)?;
    file.sync_all()
}

/// A line of `tlog/keys`: from this tree size on, checkpoints are signed by this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// First size that it signs.
    pub from: u64,
    /// The key.
    pub key: VerifierKey,
}

/// The public keys of a log, oldest first; empty if there is no such file.
///
/// # Errors
/// The file is unreadable or malformed.
pub fn public_keys(path: &Path) -> Result<Vec<KeyLine>, Error> {
    let malformed = || Error::Key(path.to_owned(), "a line is not `<tree size> <verifier key>`".to_owned());
    let bytes = files::read(path, 4 << 20).map_err(Error::at(path))?.unwrap_or_default();
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    let mut lines = Vec::new();
    for line in text.lines() {
        let (from, key) = line.split_once(' ').ok_or_else(malformed)?;
        let from = from.parse().map_err(|_| malformed())?;
        lines.push(KeyLine { from, key: VerifierKey::parse(key).map_err(|_| malformed())? });
    }
    Ok(lines)
}

/// Writes the public keys of a log, durably.
pub(crate) fn write_public_keys(path: &Path, lines: &[KeyLine]) -> Result<(), Error> {
    let text: String = lines.iter().map(|line| format!("{} {}\n", line.from, line.key)).collect();
    files::replace(path, text.as_bytes(), Keep::Durably).map_err(Error::at(path))
}
