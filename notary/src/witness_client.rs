//! Asks witnesses to cosign checkpoints (C2SP `tlog-witness`), and what they know of the log.
//!
//! A witness that knows more of the log than this machine has means that the machine was rolled back or cloned; one that
//! knows another tree of the same size means that there are two logs. Cosigned checkpoints are kept in
//! `cosignatures/<size>` as notes that stand for themselves.

use crate::{
    error::Error,
    files::{self, Keep},
    history, http,
    sequencer::Published,
    tree_files::TileFiles,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tlog::{
    Note, Signature, VerifierKey,
    tile::Tiled,
    tree,
    witness::{AddCheckpoint, conflict_size, cosignatures},
};

/// Longest answer of a witness.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Longest time of one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A witness to ask.
#[derive(Clone, Debug)]
pub struct WitnessSettings {
    /// Name in messages.
    pub name: String,
    /// Submission prefix: `https://host/path`.
    pub url: String,
    /// Its key.
    pub key: VerifierKey,
    /// Trusted authorities, PEM; the system's if absent.
    pub authorities: Option<PathBuf>,
}

/// How a witness sees the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has cosigned our checkpoint at this time, seconds since 1970.
    Cosigned(u64),
    /// It knows a tree of this size, which is larger than ours.
    Ahead(u64),
    /// It knows another tree.
    Forked,
    /// It refuses: nobody told it of this log, or not of its key; or something else is wrong (HTTP status).
    Refused(u16),
    /// It does not answer, or not as a witness does.
    Unreachable(String),
}

impl Standing {
    /// Whether the log must not go on from here.
    #[must_use]
    pub const fn is_alarming(&self) -> bool {
        matches!(self, Self::Ahead(_) | Self::Forked)
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cosigned(_) => f.write_str("cosigned"),
            Self::Ahead(size) => write!(f, "it has cosigned a tree of size {size}, larger than the one here"),
            Self::Forked => f.write_str("it has cosigned another tree of this log"),
            Self::Refused(404) => f.write_str("it does not know this log; its operator has to add it"),
            Self::Refused(403) => f.write_str("it does not know the log's key; its operator has to add it"),
            Self::Refused(status) => write!(f, "it refuses with status {status}"),
            Self::Unreachable(why) => write!(f, "it does not answer: {why}"),
        }
    }
}

enum Answer {
    Cosigned(Vec<(Signature, u64)>),
    Conflict(u64),
    Disproved,
    Refused(u16),
}

/// One witness.
#[derive(Debug)]
pub struct Witness {
    settings: WitnessSettings,
    agent: ureq::Agent,
    /// Size it cosigned last, as far as is known here.
    known: u64,
}

impl Witness {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// The authorities are unreadable.
    pub fn new(settings: WitnessSettings) -> Result<Self, String> {
        let agent = http::client(settings.authorities.as_deref(), TIMEOUT)?;
        Ok(Self { settings, agent, known: 0 })
    }

    /// Name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    fn post(&self, old: u64, published: &Published, tiles: &TileFiles) -> Result<Answer, String> {
        let size = published.checkpoint.size;
        let proof = tree::consistency(&Tiled { reader: tiles, size }, old, size).map_err(|e| e.to_string())?;
        let request = AddCheckpoint { old, proof, note: published.note.clone() }.to_string();
        let address = format!("{}/add-checkpoint", self.settings.url.trim_end_matches('/'));
        let mut answer = self.agent.post(&address).send(&request).map_err(|e| http::describe(&e))?;
        let body = http::body(&mut answer, ANSWER_BYTES_MAX)?;
        let text = || String::from_utf8(body).map_err(|_| "its answer is not text".to_owned());
        match answer.status().as_u16() {
            200 => {
                let keys = [self.settings.key.clone()];
                let good = cosignatures(published.note.text(), &text()?, &keys);
                good.map(Answer::Cosigned).map_err(|e| format!("its answer: {e}"))
            }
            409 => conflict_size(&text()?).map(Answer::Conflict).ok_or_else(|| "its answer names no size".to_owned()),
            422 => Ok(Answer::Disproved),
            status => Ok(Answer::Refused(status)),
        }
    }

    /// Asks for a cosignature of this checkpoint; what is given is kept in `tlog/cosignatures`.
    pub fn submit(&mut self, published: &Published, tiles: &TileFiles) -> Standing {
        let size = published.checkpoint.size;
        // It may know more or less than is known here: it says so, and is asked once more.
        for _ in 0..2 {
            if self.known > size {
                return Standing::Ahead(self.known);
            }
            match self.post(self.known, published, tiles) {
                Ok(Answer::Cosigned(signatures)) => {
                    self.known = size;
                    let time = signatures.iter().map(|(_, time)| *time).max().unwrap_or(0);
                    let signatures = signatures.into_iter().map(|(signature, _)| signature);
                    return match keep(&tiles.folder, published, signatures) {
                        Ok(()) => Standing::Cosigned(time),
                        Err(error) => Standing::Unreachable(format!("its cosignature cannot be kept: {error}")),
                    };
                }
                Ok(Answer::Conflict(known)) if known != self.known => self.known = known,
                Ok(Answer::Conflict(_)) => return Standing::Refused(409),
                Ok(Answer::Disproved) => return Standing::Forked,
                Ok(Answer::Refused(status)) => return Standing::Refused(status),
                Err(why) => return Standing::Unreachable(why),
            }
        }
        // It moves: another process submits for the same log.
        if self.known > size { Standing::Ahead(self.known) } else { Standing::Refused(409) }
    }
}

/// Keeps a cosigned checkpoint, together with the cosignatures of others for the same size.
fn keep(tlog: &Path, published: &Published, signatures: impl Iterator<Item = Signature>) -> Result<(), Error> {
    let folder = tlog.join("cosignatures");
    files::make_folder(&folder).map_err(Error::at(&folder))?;
    let path = folder.join(history::name(published.checkpoint.size));
    let there = files::read(&path, tlog::note::NOTE_BYTES_MAX as u64).map_err(Error::at(&path))?;
    let there = there.and_then(|bytes| Note::parse(&bytes).ok()).filter(|n| n.text() == published.note.text());
    let mut note = there.unwrap_or_else(|| published.note.clone());
    // A witness signs anew whenever it is asked: the newest signature of each key is enough.
    let new: Vec<Signature> = signatures.collect();
    let old = note.signatures().iter().filter(|s| !new.iter().any(|n| n.name == s.name && n.id == s.id));
    let all = old.chain(&new).cloned().collect();
    note = Note::new(note.text().to_owned(), all).map_err(|e| Error::Disagree(e.to_string()))?;
    files::replace(&path, note.to_string().as_bytes(), Keep::Durably).map_err(Error::at(&path))
}
