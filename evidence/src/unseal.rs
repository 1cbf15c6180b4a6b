//! Opening sealed statement texts with a recipient's key.
//!
//! A key that does not match the session's commitment opens nothing, so nobody can open a record to another text. Keys
//! that were destroyed stay destroyed: the text is then `[erased]`. Memory: the wrapped keys of the cores asked about.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use audit::record::SessionId;
use sealing::slots::{Found, Slot, Slots};
use sealing::{Identity, SessionKey, field};
use zeroize::Zeroizing;

use crate::row::{Row, Text};

/// Largest file of an identity.
const IDENTITY_BYTES_MAX: u64 = 64 << 10;

/// Opens texts.
pub struct Unsealer {
    directory: PathBuf,
    identities: Vec<Identity>,
    /// Wrapped keys by session, of the cores read so far.
    slots: HashMap<SessionId, Slot>,
    cores: Vec<u16>,
    /// The key in use: rows of a session come close together.
    current: Option<(SessionId, Option<SessionKey>)>,
}

impl Unsealer {
    /// With the identities in these files.
    ///
    /// # Errors
    /// A file that cannot be read or holds no identity; never its contents.
    pub fn open(directory: &Path, files: &[PathBuf]) -> Result<Self, String> {
        let mut identities = Vec::new();
        for file in files {
            let wrong = |error: std::io::Error| format!("{} cannot be read: {error}", file.display());
            if fs::metadata(file).map_err(wrong)?.len() > IDENTITY_BYTES_MAX {
                return Err(format!("{} is too large for a key", file.display()));
            }
            let text = Zeroizing::new(fs::read_to_string(file).map_err(wrong)?);
            let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
            let line = line.ok_or_else(|| format!("{} holds no key", file.display()))?;
            identities.push(Identity::parse(line).map_err(|error| format!("{}: {error}", file.display()))?);
        }
        let directory = directory.to_owned();
        Ok(Self { directory, identities, slots: HashMap::new(), cores: Vec::new(), current: None })
    }

    /// Opens the row's text, if it is sealed and a key for it is at hand.
    pub fn row(&mut self, row: &mut Row) {
        let (Text::Sealed(sealed), Some(session)) = (&row.text, row.session) else { return };
        self.read(row.place.core);
        if self.current.as_ref().is_none_or(|(known, _)| *known != session) {
            let key = self.slots.get(&session).and_then(|slot| slot.open(&self.identities, &row.facts.commitment).ok());
            self.current = Some((session, key));
        }
        let key = self.current.as_ref().and_then(|(_, key)| key.as_ref());
        match key.map(|key| key.open(row.statement, field::TEXT, sealed)) {
            Some(Ok(text)) => row.text = Text::Plain(text),
            Some(Err(_)) => {}
            None if !self.slots.contains_key(&session) => row.text = Text::Erased,
            None => {}
        }
    }

    fn read(&mut self, core: u16) {
        if self.cores.contains(&core) {
            return;
        }
        self.cores.push(core);
        let folder = audit::segment::core_directory(&self.directory, core);
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "tgkeys")) {
            // A file that cannot be read opens nothing; its texts stay sealed, and `verify` speaks of the file.
            let Ok(bytes) = fs::read(path) else { continue };
            let Ok(slots) = Slots::read(&bytes) else { continue };
            for (_, found) in slots {
                if let Found::Key(slot) = found {
                    self.slots.insert(SessionId(slot.session), slot);
                }
            }
        }
    }
}
