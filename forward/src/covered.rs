//! Which blocks the log's latest checkpoint covers, read from the entries of its tree (C2SP tlog-tiles).
//!
//! A log without checkpoints has no such bound: then durability alone decides. Nothing is verified here; a forwarder
//! that was shown a wrong tree sends early or late, and the verifier tells.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use audit::block::{BlockHeader, HEADER_BYTES};

/// Entries of a full bundle.
const BUNDLE: u64 = 256;

/// What the checkpoint covers.
#[derive(Debug)]
pub(crate) struct Covered {
    tree: PathBuf,
    /// Entries read so far.
    read: u64,
    /// Highest covered block of each core.
    blocks: HashMap<u16, u64>,
    present: bool,
}

impl Covered {
    pub(crate) fn of(directory: &Path) -> Self {
        Self { tree: directory.join("tlog"), read: 0, blocks: HashMap::new(), present: false }
    }

    /// Looks at the checkpoint again and reads the entries that are new.
    pub(crate) fn refresh(&mut self) -> io::Result<()> {
        let text = match fs::read_to_string(self.tree.join("checkpoint")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        self.present = true;
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let size: u64 = text
            .lines()
            .nth(1)
            .and_then(|line| line.parse().ok())
            .ok_or_else(|| wrong("the checkpoint has no tree size"))?;
        while self.read < size {
            let bundle = self.read / BUNDLE;
            let end = ((bundle + 1) * BUNDLE).min(size);
            let bytes = self.bundle(bundle, end - bundle * BUNDLE)?;
            let mut rest = bytes.as_slice();
            for index in bundle * BUNDLE..end {
                let (length, after) =
                    rest.split_first_chunk::<2>().ok_or_else(|| wrong("a bundle of entries is short"))?;
                let (entry, after) = after
                    .split_at_checked(usize::from(u16::from_be_bytes(*length)))
                    .ok_or_else(|| wrong("a bundle of entries is short"))?;
                rest = after;
                if index < self.read {
                    continue;
                }
                let header = entry.first_chunk::<HEADER_BYTES>().filter(|_| entry.len() == HEADER_BYTES);
                let header = header.and_then(|bytes| BlockHeader::decode(bytes).ok());
                let header = header.ok_or_else(|| wrong("an entry of the tree is not a block header"))?;
                let highest = self.blocks.entry(header.core).or_insert(header.block_seq);
                *highest = (*highest).max(header.block_seq);
            }
            self.read = end;
        }
        Ok(())
    }

    fn bundle(&self, number: u64, entries: u64) -> io::Result<Vec<u8>> {
        let full = self.tree.join("tile/entries").join(tile_path(number));
        if entries < BUNDLE {
            let mut partial = full.clone().into_os_string();
            partial.push(format!(".p/{entries}"));
            match fs::read(PathBuf::from(partial)) {
                // Full by now: a tree removes partial bundles when it has the whole one.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                bytes => return bytes,
            }
        }
        fs::read(full)
    }

    /// May this block leave?
    pub(crate) fn has(&self, core: u16, block: u64) -> bool {
        !self.present || self.blocks.get(&core).is_some_and(|highest| block <= *highest)
    }
}

/// `1234067` as `x001/x234/067`.
fn tile_path(number: u64) -> String {
    let mut path = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(range: std::ops::Range<u64>) -> Vec<u8> {
        range
            .flat_map(|n| {
                let header = BlockHeader {
                    core: u16::from(n % 2 == 1),
                    block_seq: n / 2,
                    records: 1,
                    payload_len: 5,
                    ..BlockHeader::default()
                };
                [&256u16.to_be_bytes()[..], &header.encode()].concat()
            })
            .collect()
    }

    #[test]
    fn blocks_up_to_the_checkpoint_may_leave() {
        let folder = tempfile::tempdir().unwrap();
        let mut covered = Covered::of(folder.path());
        covered.refresh().unwrap();
        assert!(covered.has(0, 99), "no checkpoints, no bound");
        let tile = folder.path().join("tlog/tile/entries");
        fs::create_dir_all(tile.join("000.p")).unwrap();
        fs::write(tile.join("000.p/10"), entries(0..10)).unwrap();
        fs::write(folder.path().join("tlog/checkpoint"), "example.org/log\n10\nAAAA\n\n— sig\n").unwrap();
        covered.refresh().unwrap();
        assert!(covered.has(0, 4) && covered.has(1, 4) && !covered.has(0, 5) && !covered.has(2, 0));
        // The tree grew over a bundle; the partial one is gone.
        fs::remove_dir_all(tile.join("000.p")).unwrap();
        fs::write(tile.join("000"), entries(0..256)).unwrap();
        fs::create_dir_all(tile.join("001.p")).unwrap();
        fs::write(tile.join("001.p/44"), entries(256..300)).unwrap();
        fs::write(folder.path().join("tlog/checkpoint"), "example.org/log\n300\nAAAA\n\n— sig\n").unwrap();
        covered.refresh().unwrap();
        assert!(covered.has(1, 149) && !covered.has(1, 150));
        fs::write(folder.path().join("tlog/checkpoint"), "example.org/log\n301\nAAAA\n\n— sig\n").unwrap();
        assert!(covered.refresh().is_err(), "entries that are not there");
        assert_eq!(tile_path(1_234_067), "x001/x234/067");
        assert_eq!(tile_path(5), "005");
    }
}
