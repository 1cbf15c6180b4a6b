//! The forms of notes, proofs, bundles and witness messages: read back what was written, refuse everything else.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use tlog::{
    Checkpoint, Edge, Hash, InclusionProof, Note, Signature, SigningKey, Tile, VerifierKey, fuzzing,
    note::{KeyKind, NoteError},
    proof::ProofError,
    tile::{self, Malformed, ReadTile, Tiled},
    tree,
    witness::{AddCheckpoint, BadRequest, Verdict, conflict_size, cosignatures, judge},
};

fn log() -> SigningKey {
    SigningKey::from_seed("example.com/log", KeyKind::Log, &[1; 32]).unwrap()
}

fn witness() -> SigningKey {
    SigningKey::from_seed("witness.example/w", KeyKind::Witness, &[2; 32]).unwrap()
}

/// A tree in memory.
#[derive(Default)]
struct Leaves(Vec<Hash>);

impl tree::Subtrees for Leaves {
    type Error = std::convert::Infallible;

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let (from, many) = ((index << level) as usize, 1 << level);
        let mut hashes = self.0[from..from + many].to_vec();
        while hashes.len() > 1 {
            hashes = hashes.chunks(2).map(|pair| Hash::node(&pair[0], &pair[1])).collect();
        }
        Ok(hashes[0])
    }
}

fn leaves(n: u64) -> Leaves {
    Leaves((0..n).map(|n| Hash::leaf(&n.to_le_bytes())).collect())
}

fn signed(size: u64, key: &SigningKey) -> Note {
    let Ok(root) = tree::root(&leaves(size), size);
    let text = Checkpoint::new("example.com/log", size, root).to_string();
    let signature = key.sign(&text, 1_700_000_000);
    Note::new(text, vec![signature]).unwrap()
}

fn request(old: u64, new: u64) -> AddCheckpoint {
    let Ok(proof) = tree::consistency(&leaves(new), old, new);
    AddCheckpoint { old, proof, note: signed(new, &log()) }
}

fn latest(size: u64) -> (u64, Hash) {
    let Ok(root) = tree::root(&leaves(size), size);
    (size, root)
}

#[test]
fn a_witness_follows_the_specification_clause_by_clause() {
    let keys = [log().verifier().clone()];
    let judge = |request: &AddCheckpoint, known| judge(request, &keys, known);
    assert!(matches!(judge(&request(0, 7), None), Verdict::Cosign(c) if c.size == 7));
    assert!(matches!(judge(&request(7, 20), Some(latest(7))), Verdict::Cosign(c) if c.size == 20));
    assert!(matches!(judge(&request(7, 7), Some(latest(7))), Verdict::Cosign(_)), "the same once more");
    assert_eq!(judge(&request(0, 20), Some(latest(7))), Verdict::Conflict(7));
    assert_eq!(judge(&request(20, 30), Some(latest(7))), Verdict::Conflict(7));
    assert_eq!(judge(&request(7, 20), None), Verdict::Conflict(0));
    // A smaller tree after a larger one.
    let mut smaller = request(0, 7);
    smaller.old = 20;
    assert_eq!(judge(&smaller, Some(latest(20))), Verdict::BadRequest);
    assert_eq!(judge(&request(0, 7), Some(latest(20))), Verdict::Conflict(20));
    // The same size with another root; a proof that does not hold; a proof from the empty tree; a false empty tree.
    assert_eq!(judge(&request(7, 7), Some((7, Hash([9; 32])))), Verdict::Unprocessable);
    let mut wrong = request(7, 20);
    wrong.proof[0].0[0] ^= 1;
    assert_eq!(judge(&wrong, Some(latest(7))), Verdict::Unprocessable);
    let mut surplus = request(0, 7);
    surplus.proof.push(Hash::default());
    assert_eq!(judge(&surplus, None), Verdict::Unprocessable);
    let text = Checkpoint::new("example.com/log", 0, Hash([5; 32])).to_string();
    let note = Note::new(text.clone(), vec![log().sign(&text, 0)]).unwrap();
    assert_eq!(judge(&AddCheckpoint { old: 0, proof: vec![], note }, None), Verdict::Unprocessable);
    // Signatures.
    let stranger = SigningKey::from_seed("example.com/log", KeyKind::Log, &[3; 32]).unwrap();
    let unknown = AddCheckpoint { note: signed(7, &stranger), ..request(0, 7) };
    assert_eq!(judge(&unknown, None), Verdict::Forbidden);
    let good = request(0, 7);
    let mut signature = good.note.signatures()[0].clone();
    signature.bytes[5] ^= 1;
    let forged = Note::new(good.note.text().to_owned(), vec![signature.clone(), good.note.signatures()[0].clone()]);
    assert_eq!(judge(&AddCheckpoint { note: forged.unwrap(), ..good }, None), Verdict::Forbidden);
    assert_eq!(tlog::witness::judge(&request(0, 7), &[], None), Verdict::Unknown);
}

#[test]
fn cosignatures_are_taken_from_known_witnesses_alone() {
    let note = signed(7, &log());
    let (mine, other) =
        (witness(), SigningKey::from_seed("witness.example/other", KeyKind::Witness, &[4; 32]).unwrap());
    let body = format!("{}\n{}\n", other.sign(note.text(), 1_700_000_005), mine.sign(note.text(), 1_700_000_006));
    let keys = [mine.verifier().clone()];
    let found = cosignatures(note.text(), &body, &keys).unwrap();
    assert_eq!(found.iter().map(|(_, time)| *time).collect::<Vec<_>>(), [1_700_000_006]);
    let elsewhere = signed(8, &log());
    assert_eq!(cosignatures(elsewhere.text(), &body, &keys), Err(NoteError::Forged), "another checkpoint");
    assert_eq!(cosignatures(note.text(), &body, &[log().verifier().clone()]), Err(NoteError::Unsigned));
    assert_eq!(cosignatures(note.text(), "", &keys), Err(NoteError::Malformed));
    assert_eq!(
        cosignatures(note.text(), &format!("{}\n", mine.sign(note.text(), 0)), &keys),
        Err(NoteError::Forged),
        "a cosignature without a time"
    );
    // The same key as a log's signs something else.
    let as_log = SigningKey::from_seed("witness.example/w", KeyKind::Log, &[2; 32]).unwrap();
    assert_ne!(as_log.verifier().id(), mine.verifier().id());
    assert!(format!("{mine:?}").contains("witness.example/w") && !format!("{mine:?}").contains("AgIC"));
}

#[test]
fn requests_are_read_as_written_and_in_no_other_form() {
    let good = request(7, 300).to_string();
    assert_eq!(AddCheckpoint::parse(good.as_bytes()), Ok(request(7, 300)));
    for (from, to) in [
        ("old 7", "old 07"),
        ("old 7", "old +7"),
        ("old 7", "Old 7"),
        ("old 7", "old  7"),
        ("\n\n", "\n"),
        ("=\n", "\n"),
    ] {
        assert_eq!(AddCheckpoint::parse(good.replacen(from, to, 1).as_bytes()), Err(BadRequest), "{from} → {to}");
    }
    let mut long = request(7, 300);
    long.proof = vec![Hash::default(); 64];
    assert_eq!(AddCheckpoint::parse(long.to_string().as_bytes()), Err(BadRequest));
    assert_eq!(AddCheckpoint::parse(&vec![b'x'; 100_000]), Err(BadRequest));
    assert_eq!(conflict_size("17\n"), Some(17));
    for wrong in ["17", "017\n", "\n", "x\n", "17\n\n", "99999999999999999999\n"] {
        assert_eq!(conflict_size(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_proof_travels_alone() {
    let size = 1000;
    let tree = leaves(size);
    let index = 321u64;
    let Ok(path) = tree::inclusion(&tree, index, size);
    let mut note = signed(size, &log());
    let cosignature = witness().sign(note.text(), 1_700_000_000);
    note.add([cosignature.clone(), cosignature]).unwrap();
    assert_eq!(note.signatures().len(), 2, "not twice");
    let proof = InclusionProof { extra: Some(b"what the application needs".to_vec()), index, path, note };
    let read = InclusionProof::parse(proof.to_string().as_bytes()).unwrap();
    assert_eq!(read, proof);
    let entry = index.to_le_bytes();
    let keys = [log().verifier().clone(), witness().verifier().clone()];
    assert_eq!(read.verify(&entry, "example.com/log", &keys).unwrap().size, size);
    assert_eq!(read.verify(b"other", "example.com/log", &keys), Err(ProofError::Path));
    assert_eq!(read.verify(&entry, "example.com/other", &keys), Err(ProofError::Checkpoint(NoteError::Unsigned)));
    assert_eq!(
        read.verify(&entry, "example.com/log", &keys[1..]),
        Err(ProofError::Checkpoint(NoteError::Unsigned)),
        "a witness alone does not speak for the log"
    );
    let mut elsewhere = read;
    elsewhere.index += 1;
    assert_eq!(elsewhere.verify(&entry, "example.com/log", &keys), Err(ProofError::Path));
    let text = proof.to_string();
    for (from, to) in [("@v1", "@v2"), ("index 321", "index 0321"), ("extra ", "extra"), ("\n\n", "\n")] {
        assert_eq!(InclusionProof::parse(text.replacen(from, to, 1).as_bytes()), Err(ProofError::Malformed), "{from}");
    }
}

#[test]
fn keys_and_names_that_may_not_be_are_refused() {
    for name in ["", "a b", "a+b", "a\u{2003}b", "a\nb", &"x".repeat(256)] {
        assert!(VerifierKey::new(name, KeyKind::Log, [0; 32]).is_none(), "{name:?}");
    }
    let good = log().verifier().to_string();
    let (name, rest) = good.split_once('+').unwrap();
    let (id, key) = rest.split_once('+').unwrap();
    for (text, error) in [
        (String::new(), NoteError::Key),
        (format!("{name}+{id}"), NoteError::Key),
        (format!("{name}+{id}+"), NoteError::Key),
        (format!("{name}+{}+{key}", id.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A")), NoteError::Key),
        (format!("{name}+00000000+{key}"), NoteError::KeyId),
        (format!("other+{id}+{key}"), NoteError::KeyId),
        (format!("{name}+{id}+Ag{}", &key[2..]), NoteError::KeyKind),
        (format!("{name}+{id}+{}", &key[..40]), NoteError::Key),
    ] {
        assert_eq!(VerifierKey::parse(&text), Err(error), "{text}");
    }
    let private = log().private_text();
    assert_eq!(SigningKey::parse(&private[12..]).unwrap_err(), NoteError::Key);
    assert_eq!(SigningKey::parse(&private.replace("log", "lob")).unwrap_err(), NoteError::KeyId);
}

#[test]
fn notes_in_another_form_are_refused() {
    let note = signed(3, &log()).to_string();
    for (what, bytes) in [
        ("no signature", note.split_once("\n\n").unwrap().0.as_bytes().to_vec()),
        ("no last line end", note.trim_end().as_bytes().to_vec()),
        ("a control character", note.replacen("example", "exa\tmple", 1).into_bytes()),
        ("a carriage return", note.replace('\n', "\r\n").into_bytes()),
        ("another dash", note.replace('\u{2014}', "-").into_bytes()),
        ("not UTF-8", [note.as_bytes(), b"\xff\n"].concat()),
        ("too long", vec![b'a'; 300 << 10]),
        ("an empty signature", b"t\n\n\xe2\x80\x94 name AAAAAA==\n".to_vec()),
    ] {
        assert_eq!(Note::parse(&bytes), Err(NoteError::Malformed), "{what}");
    }
    let mut many = signed(3, &log());
    let lines = (0..70u8).map(|n| Signature { name: "n".to_owned(), id: u32::from(n), bytes: vec![n] });
    assert_eq!(many.add(lines), Err(NoteError::Malformed));
    assert_eq!(Note::new("no end".to_owned(), many.signatures().to_vec()), Err(NoteError::Malformed));
}

#[test]
fn bundles_hold_their_entries() {
    let entries: Vec<Vec<u8>> = (0..256u16).map(|n| vec![n as u8; usize::from(n)]).collect();
    let bytes = tile::bundle(entries.iter().map(Vec::as_slice)).unwrap();
    assert_eq!(tile::entries(&bytes).unwrap(), entries);
    assert_eq!(tile::entries(&bytes[..bytes.len() - 1]), Err(Malformed));
    assert_eq!(tile::entries(&[bytes.as_slice(), &[0, 0]].concat()), Err(Malformed), "257 entries");
    assert_eq!(tile::entries(&[0]), Err(Malformed));
    assert_eq!(tile::bundle([vec![0; 65_536].as_slice()]), Err(Malformed));
    let tile = Tile::of(0, 1, 300).unwrap();
    assert_eq!((tile.path().as_str(), tile.entries_path().as_str()), ("tile/0/001.p/44", "tile/entries/001.p/44"));
    assert_eq!(Tile::of(1, 0, 300).unwrap().width, 1);
    assert_eq!((Tile::of(0, 2, 300), Tile::of(2, 0, 300), Tile::of(8, 0, u64::MAX)), (None, None, None));
    assert_eq!(Tile::of(0, 1_234_067, u64::MAX).unwrap().path(), "tile/0/x001/x234/067");
    assert_eq!(tile.hashes(&[0; 44 * 32 - 1]), Err(Malformed));
}

/// Tiles that are not there make an error of the reader, not a wrong proof.
#[test]
fn absent_tiles_are_errors() {
    struct Nothing;
    impl ReadTile for Nothing {
        type Error = Malformed;
        fn read(&self, _: Tile) -> Result<Vec<Hash>, Malformed> {
            Err(Malformed)
        }
    }
    let tiled = Tiled { reader: &Nothing, size: 9 };
    assert_eq!(tree::root(&tiled, 9), Err(Malformed));
    assert_eq!(tree::inclusion(&tiled, 3, 9), Err(Malformed));
    assert_eq!(tree::consistency(&tiled, 3, 9), Err(Malformed));
    assert_eq!(tree::inclusion(&tiled, 9, 9), Ok(vec![]), "no such leaf");
    assert_eq!(Edge::default().root(), Hash::empty());
}

proptest! {
    /// Whatever is read is written back the same (the entry points check that), and nothing panics.
    #[test]
    fn readers_are_total(bytes: Vec<u8>, at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let readers: [fn(&[u8]) -> bool; 4] =
            [fuzzing::note, fuzzing::add_checkpoint, fuzzing::proof, fuzzing::small];
        let Ok(path) = tree::inclusion(&leaves(40), 7, 40);
        let samples = [
            signed(40, &log()).to_string().into_bytes(),
            request(7, 40).to_string().into_bytes(),
            InclusionProof { extra: None, index: 7, path, note: signed(40, &log()) }.to_string().into_bytes(),
            b"tile/0/x001/002.p/3".to_vec(),
            log().verifier().to_string().into_bytes(),
        ];
        for read in readers {
            read(&bytes);
        }
        for (sample, reader) in samples.iter().zip([0, 1, 2, 3, 3]) {
            prop_assert!(readers[reader](sample));
            let mut changed = sample.clone();
            let at = at.index(changed.len());
            changed[at] = byte;
            for read in readers {
                read(&changed);
                read(&sample[..cut.index(sample.len())]);
            }
        }
    }
}
