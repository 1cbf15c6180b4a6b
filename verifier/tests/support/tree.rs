//! A tree over a log's headers in the form of C2SP `tlog-tiles`, written with the crates `tlog_tiles` and `signed_note`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use audit::decode_block;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use signed_note::{Note, Signer, StandardSigner};
use tlog_tiles::{Hash, HashReader, Tile, stored_hash_index, stored_hashes, tree_hash};

/// A key pair made from one byte.
pub(crate) struct Key {
    pub(crate) signer: StandardSigner,
    pub(crate) public: String,
    pub(crate) name: String,
    seed: [u8; 32],
}

pub(crate) fn key(name: &str, seed: u8) -> Key {
    let seed = [seed; 32];
    let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
    let typed: Vec<u8> = [1].into_iter().chain(public.to_bytes()).collect();
    let id = signed_note::key_id(name, &typed);
    let private: Vec<u8> = [1].into_iter().chain(seed).collect();
    let skey = format!("PRIVATE+KEY+{name}+{id:08x}+{}", STANDARD.encode(private));
    Key {
        signer: StandardSigner::new(&skey).unwrap(),
        public: format!("{name}+{id:08x}+{}", STANDARD.encode(typed)),
        name: name.to_owned(),
        seed,
    }
}

/// A witness: its verifier key, and its cosignature line of a checkpoint's text.
pub(crate) fn witness(name: &str, seed: u8) -> Key {
    let mut witness = key(name, seed);
    let public = ed25519_dalek::SigningKey::from_bytes(&witness.seed).verifying_key();
    let typed: Vec<u8> = [4].into_iter().chain(public.to_bytes()).collect();
    witness.public = format!("{name}+{}+{}", hex(&witness_id(name, &typed)), STANDARD.encode(typed));
    witness
}

fn witness_id(name: &str, typed: &[u8]) -> [u8; 4] {
    let digest = Sha256::new_with_prefix(name).chain_update("\n").chain_update(typed).finalize();
    digest[..4].try_into().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Key {
    pub(crate) fn cosign(&self, text: &str, time: u64) -> String {
        use ed25519_dalek::Signer as _;
        let key = ed25519_dalek::SigningKey::from_bytes(&self.seed);
        let typed: Vec<u8> = [4].into_iter().chain(key.verifying_key().to_bytes()).collect();
        let signature = key.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
        let mut bytes = witness_id(&self.name, &typed).to_vec();
        bytes.extend(time.to_be_bytes());
        bytes.extend(signature.to_bytes());
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(bytes))
    }
}

/// The tree of one log.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    directory: PathBuf,
    pub(crate) origin: String,
    stored: Vec<Hash>,
    entries: Vec<Vec<u8>>,
    /// Blocks of each core that are in the tree.
    taken: BTreeMap<PathBuf, usize>,
    published: u64,
}

struct Stored<'a>(&'a [Hash]);

impl HashReader for Stored<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|&index| self.0[index as usize]).collect())
    }
}

impl Tree {
    pub(crate) fn new(directory: &Path, origin: &str) -> Self {
        fs::create_dir_all(directory.join("tlog/checkpoints")).unwrap();
        Self { directory: directory.to_owned(), origin: origin.to_owned(), ..Self::default() }
    }

    /// The same tree in another directory.
    pub(crate) fn moved(&self, directory: &Path) -> Self {
        let place = |core: &PathBuf| directory.join(core.file_name().unwrap());
        let taken = self.taken.iter().map(|(core, blocks)| (place(core), *blocks)).collect();
        Self { directory: directory.to_owned(), taken, ..self.clone() }
    }

    pub(crate) fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Takes in the blocks that are new, core by core.
    pub(crate) fn gather(&mut self) {
        let mut cores: Vec<_> = fs::read_dir(&self.directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("core-"))
            .collect();
        cores.sort();
        for core in cores {
            let headers = headers(&core);
            let taken = self.taken.entry(core).or_default();
            for header in headers.iter().skip(*taken) {
                let new = stored_hashes(self.entries.len() as u64, header, &Stored(&self.stored)).unwrap();
                self.stored.extend(new);
                self.entries.push(header.clone());
            }
            *taken = headers.len();
        }
    }

    pub(crate) fn root(&self) -> Hash {
        tree_hash(self.size(), &Stored(&self.stored)).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size(), STANDARD.encode(self.root().0))
    }

    /// Writes tiles and bundles, and a checkpoint by these keys; returns the checkpoint.
    pub(crate) fn publish(&mut self, keys: &[&Key]) -> Vec<u8> {
        self.gather();
        let tlog = self.directory.join("tlog");
        let size = self.size();
        for tile in Tile::new_tiles(8, self.published, size) {
            let data = tile.read_data(&Stored(&self.stored)).unwrap();
            // The crate's path begins with the tile's height, which `tlog-tiles` fixes and leaves out.
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            put(&tlog.join(&path), &data);
            if tile.level() == 0 {
                let from = tile.level_index() * 256;
                let mut bundle = Vec::new();
                for entry in &self.entries[from as usize..(from + u64::from(tile.width())) as usize] {
                    bundle.extend((entry.len() as u16).to_be_bytes());
                    bundle.extend(entry);
                }
                put(&tlog.join(path.replacen("tile/0/", "tile/entries/", 1)), &bundle);
            }
        }
        self.published = size;
        let signed = self.sign(keys);
        put(&tlog.join("checkpoint"), &signed);
        put(&tlog.join(format!("checkpoints/{size}")), &signed);
        signed
    }

    /// A checkpoint by these keys.
    pub(crate) fn sign(&self, keys: &[&Key]) -> Vec<u8> {
        let mut note = Note::new(self.text().as_bytes(), &[]).unwrap();
        let signers: Vec<&dyn Signer> = keys.iter().map(|key| &key.signer as &dyn Signer).collect();
        note.add_sigs(&signers).unwrap();
        note.to_bytes()
    }

    /// Names the keys and the size from which each signs.
    pub(crate) fn keys(&self, lines: &[(u64, &Key)]) {
        let text: String = lines.iter().map(|(from, key)| format!("{from} {}\n", key.public)).collect();
        put(&self.directory.join("tlog/keys"), text.as_bytes());
    }

    /// A hash of the tree by level and number, as the published crate stores it.
    pub(crate) fn hash(&self, level: u8, number: u64) -> [u8; 32] {
        self.stored[stored_hash_index(level, number) as usize].0
    }
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The headers of a core, in order.
pub(crate) fn headers(core: &Path) -> Vec<Vec<u8>> {
    let mut segments: Vec<_> = fs::read_dir(core)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tgseg"))
        .collect();
    segments.sort();
    let mut headers = Vec::new();
    for path in segments {
        let bytes = fs::read(path).unwrap();
        let mut at = 4096;
        while let Ok(block) = decode_block(bytes.get(at..).unwrap_or_default()) {
            headers.push(bytes[at..at + 256].to_vec());
            at += block.header.block_bytes();
        }
    }
    headers
}
