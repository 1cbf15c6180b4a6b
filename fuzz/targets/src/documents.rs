//! Everything that is read whole: bundles, rule files, audit logs, statements.
//!
//! Beside not panicking: what is accepted is written back the same, and a changed bit of what is sealed is noticed.

use std::sync::Arc;

use ::lineage::{Catalog, analyse, normalise};
use audit::fuzzing::{decode_all, decode_block, decode_header_page, decode_record};
use policy::{Bundle, ColumnShape, Decision, Epoch, Format, Identity, Keys, Model};
use policy_compiler::{Paint, load_str};
use sha2::{Digest, Sha256};

/// Texts longer than this are refused before they are looked at, or take long for no gain here.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Records, blocks and segment headers of the audit log: what writes it and what verifies it must agree.
///
/// # Panics
/// When an invariant is broken.
pub fn audit_reader(data: &[u8]) {
    // Reading must not depend on what comes before or behind.
    let record = decode_record(data);
    assert_eq!(record.is_ok(), verifier::fuzzing::record(data), "the verifier sees the record otherwise: {record:?}");
    let _words = record.map_err(|error| error.to_string());
    // What lies beside the log: wrapped keys, recordings, key files.
    let _keys = sealing::fuzzing::read_slots(data);
    let _recorded = sealing::fuzzing::read_recording(data);
    let _events = sealing::fuzzing::read_events(data);
    let _line = std::str::from_utf8(data).is_ok_and(sealing::fuzzing::read_line);
    assert_eq!(decode_header_page(data), verifier::fuzzing::header_page(data), "the verifier sees the page otherwise");
    assert_eq!(decode_all(data), verifier::fuzzing::block(data), "the verifier sees the block otherwise");
    match decode_block(data) {
        Ok(block) => {
            // A changed bit of a sealed block is noticed; behind it, it changes nothing.
            for at in (0..data.len()).step_by(1 + data.len() / 64) {
                let mut changed = data.to_vec();
                changed[at] ^= 1 << (at % 8);
                let same = decode_block(&changed).map_or(true, |other| other.records().eq(block.records()));
                assert!(same, "bit {} of byte {at} can be changed unnoticed", at % 8);
            }
        }
        Err(error) => drop(error.to_string()),
    }
}

/// Notes, checkpoints, proofs, requests to a witness, tiles' paths and keys: what is accepted is written back the same.
///
/// # Panics
/// When an invariant is broken.
pub fn tlog(data: &[u8]) {
    use ::tlog::fuzzing::{add_checkpoint, note, proof, small};
    for read in [note, add_checkpoint, proof, small] {
        // Panics by itself where reading and writing disagree.
        let _accepted = read(data);
    }
}

/// Tokens, sets of keys and the JSON in both: what is accepted, a usual reader accepts too.
///
/// # Panics
/// When an invariant is broken.
pub fn token(data: &[u8]) {
    use identity::fuzzing::{json, keys, token};
    if keys(data) || json(data) {
        assert!(serde_json::from_slice::<serde_json::Value>(data).is_ok(), "read as JSON although it is none");
    }
    let _well_formed = token(data);
}

/// A SAML response: what is parsed has canonical bytes that parse to the same tree, and nothing made up is accepted.
pub fn saml(data: &[u8]) {
    use ::saml::{Expected, canonical, check, xml::parse};
    if let Ok(tree) = parse(data) {
        let once = canonical(&tree, None, &[]);
        let again = parse(&once).expect("canonical bytes are of the subset");
        assert_eq!(canonical(&again, None, &[]), once, "canonical bytes that are not canonical");
    }
    let expected = Expected {
        now: 1_795_371_430,
        issuer: "http://127.0.0.1:24031/idp",
        certificates: &[],
        audience: "urn:gateway:sp",
        consumer: "http://127.0.0.1:21999/saml/acs",
        request: "_5f0e",
    };
    assert!(check(data, &expected).is_err(), "accepted without any key that is trusted");
}

/// A catalog with names that seeds use.
fn index() -> &'static ::lineage::resolve::Index {
    static INDEX: std::sync::OnceLock<::lineage::resolve::Index> = std::sync::OnceLock::new();
    INDEX.get_or_init(|| {
        let columns = ["id", "ssn", "a", "b", "name"];
        let relation = |(name, oid): (&str, u32)| ::lineage::catalog::Relation {
            oid,
            schema: "clinic".to_owned(),
            name: name.to_owned(),
            kind: ::lineage::catalog::RelationKind::Table,
            columns: columns
                .iter()
                .zip(1..)
                .map(|(name, number)| ::lineage::catalog::Column {
                    number,
                    name: (*name).to_owned(),
                    type_oid: 25,
                    type_name: String::new(),
                    comment: None,
                })
                .collect(),
            comment: None,
            definition: None,
            depends_on: Vec::new(),
            parents: Vec::new(),
            references: Vec::new(),
            rests_on: Vec::new(),
            filled_by: Vec::new(),
            estimated_rows: -1,
        };
        let relations = ["patients", "p", "t", "a", "visits"].into_iter().zip(1..).map(relation).collect();
        ::lineage::resolve::Index::new(&Catalog { relations, ..Catalog::default() })
    })
}

/// Statement texts.
///
/// # Panics
/// When an invariant is broken.
pub fn lineage(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.len() > TEXT_BYTES_MAX {
        return;
    }
    let mut form = Vec::new();
    let key = normalise(data, &mut form);
    let _fingerprint = ::lineage::normalise::fingerprint(data);
    let Ok(facts) = analyse(text) else { return };
    for statement in &facts.statements {
        // Whatever the names, following them ends, and every source is a column that is there.
        if let Ok(resolved) = ::lineage::resolve::resolve(statement, index(), true) {
            assert!(resolved.outputs.iter().all(|c| c.value.sources.as_slice().is_sorted()));
        }
    }
    let Some(key) = key else { return };
    let [statement] = facts.statements.as_slice() else { return };
    if statement.literals_matter {
        return;
    }
    // Texts of one normal form share their facts in the gateway's cache, so they must be the same facts. Other digits of
    // the same number of bytes keep even the spans.
    let other: String = text
        .chars()
        .map(|c| match c {
            '1'..='8' => char::from(c as u8 + 1),
            '9' => '1',
            _ => c,
        })
        .collect();
    let mut other_form = Vec::new();
    if normalise(other.as_bytes(), &mut other_form) == Some(key) && form == other_form {
        let other = analyse(&other);
        assert_eq!(other.as_ref(), Ok(&facts), "texts of one normal form have different facts");
    }
}

/// Magic, format, zeros, content length, SHA-256 of the content.
const BUNDLE_HEADER_BYTES: usize = 8 + 4 + 4 + 8 + 32;

/// Compiled bundles, as they are and with their seal made good, so that what is behind it is reached too.
///
/// # Panics
/// When an invariant is broken.
pub fn bundle(data: &[u8]) {
    match Bundle::load(data) {
        Ok(bundle) => used(bundle),
        Err(error) => drop(error.to_string()),
    }
    if let Some(sealed) = sealed(data)
        && let Ok(bundle) = Bundle::load(&sealed)
    {
        used(bundle);
    }
}

/// `data` under the header that its content ought to have.
fn sealed(data: &[u8]) -> Option<Vec<u8>> {
    let content = data.get(BUNDLE_HEADER_BYTES..)?;
    let empty = Bundle::encode(&Model::default()).ok()?;
    let mut out = empty.get(..16)?.to_vec();
    out.extend((content.len() as u64).to_le_bytes());
    out.extend(Sha256::digest(content));
    out.extend(content);
    Some(out)
}

/// A bundle that loads is whole: it can be written again, and every question can be asked of it.
fn used(bundle: Bundle) {
    let again = Bundle::encode(bundle.model()).map(|bytes| Bundle::load(&bytes));
    match again {
        Ok(Ok(again)) => assert!(again.model() == bundle.model(), "a model changes when it is written again"),
        other => panic!("a bundle that was read cannot be written and read again: {other:?}"),
    }
    let bundle = Arc::new(bundle);
    let text = "select ssn, note from clinic.patients where name = 'drop table'; drop table patients";
    let Ok(facts) = analyse(text) else { return };
    for target in 0..bundle.model().targets.len().min(4) {
        let epoch = Arc::new(Epoch::resolve(Arc::clone(&bundle), target, &Catalog::default(), &Keys::default()));
        for role in bundle.model().roles.iter().take(4) {
            let groups = role.groups.clone();
            let identity =
                Identity { issuer: "local".to_owned(), subject: "ana".to_owned(), groups, ..Identity::default() };
            let Ok(grant) = policy::admit(&epoch, &identity) else { continue };
            let (Decision::Allow(allowed) | Decision::Hold(allowed, _)) = grant.decide(text, &facts, &()) else {
                continue;
            };
            let columns = [ColumnShape { name: b"note", table: 0, attribute: 0, type_oid: 25 }; 2];
            for statement in &allowed {
                let Ok(plan) = grant.plan(statement, &columns) else { continue };
                let mut scratch = Vec::new();
                for i in 0..plan.columns().len() {
                    let _redacted =
                        plan.redact(i, Format::Text, b"Ana Berg, 123-45-6789, ana@example.org", &mut scratch);
                }
            }
        }
    }
}

/// Rule files.
///
/// # Panics
/// When an invariant is broken.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.len() > TEXT_BYTES_MAX {
        return;
    }
    let (rules, report, sources) = load_str("fuzz.yaml", text);
    // Whatever is wrong can be shown, with its line.
    let shown = report.render(&sources, Paint(false));
    assert!(rules.is_some() == (report.errors() == 0), "rules with mistakes, or none without: {shown}");
    let Some(rules) = rules else { return };
    match Bundle::encode(&rules.model) {
        Ok(bytes) => match Bundle::load(&bytes) {
            Ok(bundle) => assert!(*bundle.model() == rules.model, "a bundle holds other rules than were compiled"),
            Err(error) => panic!("a compiled bundle does not load: {error}"),
        },
        Err(error) => drop(error.to_string()),
    }
}
