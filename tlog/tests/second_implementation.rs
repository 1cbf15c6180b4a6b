//! Every tree, tile, proof, note and checkpoint is compared with what another implementation of the formats makes of the
//! same input (crates `tlog_tiles` and `signed_note`), and with the examples of the specifications.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use signed_note::{Signer as _, Verifier as _};
use std::{cell::RefCell, collections::BTreeMap};
use tlog::{
    Checkpoint, Edge, Hash, Note, SigningKey, Tile, VerifierKey,
    note::{KeyKind, NoteError},
    tile::{self, Malformed, ReadTile, Tiled},
    tree,
};
use tlog_tiles::{HashReader, TileReader};

/// The other implementation's storage: all hashes by its own numbering.
#[derive(Default)]
struct Stored(RefCell<Vec<tlog_tiles::Hash>>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let all = self.0.borrow();
        Ok(indexes.iter().map(|i| all[*i as usize]).collect())
    }
}

/// Ours: the files of the tiles.
#[derive(Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl ReadTile for Files {
    type Error = Malformed;

    fn read(&self, tile: Tile) -> Result<Vec<Hash>, Malformed> {
        tile.hashes(self.0.get(&tile.path()).ok_or(Malformed)?)
    }
}

/// Theirs, on our files. Their paths name the tile's height, which is always 8 here.
impl TileReader for Files {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        Ok(tiles.iter().map(|tile| self.0[&tile.path().replacen("tile/8/", "tile/", 1)].clone()).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

struct Both {
    theirs: Stored,
    files: Files,
    edge: Edge,
    leaves: Vec<Vec<u8>>,
}

impl Both {
    fn grown(size: u64, seed: u64) -> Self {
        let mut both =
            Self { theirs: Stored::default(), files: Files::default(), edge: Edge::default(), leaves: Vec::new() };
        for n in 0..size {
            let mut entry = vec![0; 256];
            entry[..8].copy_from_slice(&n.to_le_bytes());
            entry[8..16].copy_from_slice(&seed.to_le_bytes());
            let more = tlog_tiles::stored_hashes(n, &entry, &both.theirs).unwrap();
            both.theirs.0.borrow_mut().extend(more);
            let files = &mut both.files.0;
            both.edge.push(Hash::leaf(&entry), |tile, hashes| {
                assert!(files.insert(tile.path(), tile::tile_bytes(hashes)).is_none(), "a full tile is given once");
            });
            both.leaves.push(entry);
        }
        for (tile, hashes) in both.edge.partial() {
            both.files.0.insert(tile.path(), tile::tile_bytes(hashes));
        }
        both
    }

    fn their_root(&self, size: u64) -> tlog_tiles::Hash {
        tlog_tiles::tree_hash(size, &self.theirs).unwrap()
    }
}

fn ours(hashes: &[tlog_tiles::Hash]) -> Vec<Hash> {
    hashes.iter().map(|h| Hash(h.0)).collect()
}

fn compare_tree(both: &Both, index: u64, old: u64) {
    let size = both.edge.size();
    let root = both.edge.root();
    assert_eq!(root.0, both.their_root(size).0, "root at {size}");
    // Each tile that they would publish is there with the same bytes, and no other is.
    let mut published = BTreeMap::new();
    for tile in tlog_tiles::Tile::new_tiles(8, 0, size) {
        let path = tile.path().replacen("tile/8/", "tile/", 1);
        published.insert(path, tile.read_data(&both.theirs).unwrap());
    }
    assert_eq!(published, both.files.0, "tiles at {size}");
    let tiled = Tiled { reader: &both.files, size };
    assert_eq!(tree::root(&tiled, size), Ok(root));
    if size == 0 {
        return;
    }
    let index = index % size;
    let path = tree::inclusion(&tiled, index, size).unwrap();
    assert_eq!(path, ours(&tlog_tiles::prove_record(size, index, &both.theirs).unwrap()), "leaf {index} of {size}");
    tree::verify_inclusion(Hash::leaf(&both.leaves[index as usize]), index, size, root, &path).unwrap();
    // Their reader authenticates our tiles against our root.
    let reader = tlog_tiles::TileHashReader::new(size, tlog_tiles::Hash(root.0), &both.files);
    assert_eq!(ours(&tlog_tiles::prove_record(size, index, &reader).unwrap()), path);

    let old = old % (size + 1);
    let old_root = Hash(both.their_root(old).0);
    let proof = tree::consistency(&tiled, old, size).unwrap();
    tree::verify_consistency((old, old_root), (size, root), &proof).unwrap();
    if old > 0 {
        let theirs = tlog_tiles::prove_tree(size, old, &both.theirs).unwrap();
        assert_eq!(proof, ours(&theirs), "{old} to {size}");
        let their = |h: Hash| tlog_tiles::Hash(h.0);
        tlog_tiles::check_tree(&proof.iter().copied().map(their).collect(), size, their(root), old, their(old_root))
            .unwrap();
    }
    // One bit anywhere makes a proof fail, and so does one hash too few or too many.
    for (name, good, check) in [
        (
            "inclusion",
            &path,
            &(|p: &[Hash]| {
                tree::verify_inclusion(Hash::leaf(&both.leaves[index as usize]), index, size, root, p).is_ok()
            }) as &dyn Fn(&[Hash]) -> bool,
        ),
        ("consistency", &proof, &|p: &[Hash]| tree::verify_consistency((old, old_root), (size, root), p).is_ok()),
    ] {
        for n in 0..good.len() {
            let mut bad = good.clone();
            bad[n].0[n % 32] ^= 1;
            assert!(!check(&bad), "{name}: bit in hash {n}");
        }
        let mut long = good.clone();
        long.push(Hash::default());
        assert!(!check(&long), "{name}: too long");
        if let Some((_, short)) = good.split_last() {
            assert!(!check(short), "{name}: too short");
        }
    }
}

#[test]
fn trees_tiles_and_proofs_around_every_border() {
    for size in [0, 1, 2, 3, 4, 5, 7, 8, 9, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537] {
        let both = Both::grown(size, 7);
        for (index, old) in
            [(0, 0), (size / 2, size / 2), (size.saturating_sub(1), size), (255, 256), (256, 255), (3, 1)]
        {
            compare_tree(&both, index, old);
        }
    }
}

#[test]
fn proofs_of_small_trees_are_complete() {
    for size in 1..40 {
        let both = Both::grown(size, 1);
        for n in 0..=size {
            compare_tree(&both, n, n);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_trees_agree(size in 0u64..3000, seed: u64, index: u64, old: u64) {
        compare_tree(&Both::grown(size, seed), index, old);
    }

    /// Wrong sizes, indexes and hashes end in an error, never in a panic or a long run.
    #[test]
    fn checks_are_total(index: u64, old: u64, new: u64, hashes: Vec<[u8; 32]>) {
        let hashes: Vec<Hash> = hashes.into_iter().map(Hash).collect();
        let _either = tree::root_by_inclusion(Hash::default(), index, new, &hashes);
        prop_assert!(tree::verify_inclusion(Hash::default(), index, new, Hash([9; 32]), &hashes).is_err());
        let roots = (Hash([1; 32]), Hash([2; 32]));
        prop_assert!(tree::verify_consistency((old, roots.0), (new, roots.1), &hashes).is_err());
    }

    #[test]
    fn paths_agree(level in 0u8..64, index in prop_oneof![0u64..2_000_000, any::<u64>()], width in 1u16..=256) {
        let tile = Tile { level, index, width };
        let theirs = tlog_tiles::Tile::new(8, level, index, u32::from(width), false);
        prop_assert_eq!(tile.path(), theirs.path().replacen("tile/8/", "tile/", 1));
        prop_assert_eq!(Tile::parse(&tile.path()), Ok(tile));
    }

    /// A path that they refuse is refused. (Levels from 64 on and a width of 0 make them panic.)
    #[test]
    fn strange_paths_are_refused_by_both(path in "(tile/)?0?[0-5]?[0-9]/(x?[0-9]{1,4}/){0,3}[0-9]{1,4}(\\.p/0?[1-9][0-9]{0,2})?") {
        let parsed = Tile::parse(&path);
        let theirs = tlog_tiles::Tile::from_path(&path.replacen("tile/", "tile/8/", 1));
        prop_assert_eq!(parsed.is_ok(), theirs.is_ok(), "{}", path);
    }

    #[test]
    fn notes_and_keys_agree(seed: [u8; 32], name in "[a-z./0-9-]{1,30}", text in "[^\\x00-\\x1f]{0,200}\n", stranger: [u8; 32]) {
        let key = SigningKey::from_seed(&name, KeyKind::Log, &seed).unwrap();
        let (private, public) = (key.private_text(), key.verifier().to_string());
        let again = SigningKey::parse(&private).unwrap();
        prop_assert_eq!(again.verifier(), key.verifier());
        prop_assert_eq!(&VerifierKey::parse(&public).unwrap(), key.verifier());
        let signer = signed_note::StandardSigner::new(&private).unwrap();
        let verifier = signed_note::StandardVerifier::new(&public).unwrap();
        prop_assert_eq!(key.verifier().id(), verifier.key_id());
        let signature = key.sign(&text, 0);
        prop_assert_eq!(&signature.bytes, &signer.sign(text.as_bytes()).unwrap(), "Ed25519 is deterministic");

        let other = SigningKey::from_seed("other", KeyKind::Log, &stranger).unwrap();
        let note = Note::new(text.clone(), vec![other.sign(&text, 0), signature]).unwrap();
        let theirs = signed_note::Note::from_bytes(note.to_string().as_bytes()).unwrap();
        let list = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        let (good, unknown) = theirs.verify(&list).unwrap();
        prop_assert_eq!((good.len(), unknown.len()), (1, 1));
        prop_assert_eq!(theirs.to_bytes(), note.to_string().into_bytes());
        let again = Note::parse(note.to_string().as_bytes()).unwrap();
        prop_assert_eq!(again.verify(std::slice::from_ref(key.verifier())).unwrap().len(), 1);
        prop_assert_eq!(&again, &note);

        // Another text under the same signatures.
        let forged = Note::new(format!("x{text}"), note.signatures().to_vec()).unwrap();
        prop_assert_eq!(forged.verify(std::slice::from_ref(key.verifier())), Err(NoteError::Forged));
    }

    #[test]
    fn checkpoints_agree(origin in "[a-z./]{1,30}", size: u64, root: [u8; 32], extension in "([a-z]{1,9}\n){0,2}") {
        let mut checkpoint = Checkpoint::new(&origin, size, Hash(root));
        checkpoint.extensions = extension.lines().map(str::to_owned).collect();
        let text = checkpoint.to_string();
        let theirs = tlog_tiles::Checkpoint::new(&origin, size, tlog_tiles::Hash(root), &extension).unwrap();
        prop_assert_eq!(text.clone().into_bytes(), theirs.to_bytes());
        prop_assert_eq!(Checkpoint::parse(&text), Ok(checkpoint));
    }

    /// What one reads as a checkpoint, so does the other.
    #[test]
    fn damaged_checkpoints_agree(at in 0usize..70, byte in prop_oneof![Just(b'\n'), Just(b'0'), Just(b'A'), Just(b' ')]) {
        let mut text = Checkpoint::new("example.com/log", 1024, Hash([3; 32])).to_string().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(Checkpoint::parse(&text).is_ok(), tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).is_ok(), "{}", text);
    }
}

#[test]
fn the_example_of_the_signed_note_specification_verifies() {
    let key = VerifierKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
    let note = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let note = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(note.verify(&[key]).unwrap().len(), 1);
}

/// The key pair and note of the documentation of Go's `note` package.
#[test]
fn the_example_of_the_go_package_is_made_again() {
    let key =
        SigningKey::parse("PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").unwrap();
    assert_eq!(key.verifier().to_string(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    assert_eq!(
        key.sign(text, 0).to_string(),
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    );
}
