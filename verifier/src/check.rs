//! What a proof, or two checkpoints, prove: in words and as JSON.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cbor::Reader;
use crate::hex;
use crate::merkle;
use crate::moment;
use crate::note::VerifierKey;
use crate::proof::{Proof, Proved};
use crate::record::{field_name, kind_name};
use crate::report::printable;
use crate::tree::{Folder, Signed};

/// What was found out, in words and for a machine.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// It holds.
    pub holds: bool,
    /// For a person.
    pub text: String,
    /// For a machine.
    pub json: Value,
}

/// Checks a proof with nothing but keys.
///
/// # Errors
/// In words, why it cannot be checked at all: it is no proof.
pub fn check(proof: &[u8], keys: &[VerifierKey]) -> Result<Outcome, String> {
    let proof = Proof::parse(proof)?;
    Ok(match proof.check(keys) {
        Ok(proved) => holds(&proof, &proved),
        Err(why) => Outcome {
            holds: false,
            text: format!("not proved: {}\n", printable(&why)),
            json: json!({"proved": false, "why": why}),
        },
    })
}

fn holds(proof: &Proof, proved: &Proved<'_>) -> Outcome {
    let (record, header, checkpoint) = (&proved.record, &proved.header, &proved.checkpoint);
    let fields = fields(&proof.record);
    let mut text = format!(
        "proved: this record is in the log {}, and was there when its checkpoint of {} blocks was signed\n\n",
        printable(&checkpoint.origin),
        checkpoint.size
    );
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<18}{}\n", printable(&value)));
    line("type", kind_name(record.kind).to_owned());
    line("time", format!("{} by the gateway's clock", moment::text(record.wall_ns, 6)));
    for (name, value) in &fields {
        line(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    text.push('\n');
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<18}{}\n", printable(&value)));
    line(
        "place",
        format!(
            "record {} of core {}, in block {} of epoch {}, which is block {} of the log's tree",
            record.sequence, header.core, header.number, header.epoch, proof.index
        ),
    );
    line("node", hex::text(&header.node));
    let mut signers = Vec::new();
    for (key, time) in &proved.signers {
        let role = if key.is_witness() { "witness" } else { "signed by" };
        let at = key.is_witness().then(|| moment::text(time.saturating_mul(1_000_000_000), 0));
        line(role, at.as_ref().map_or_else(|| key.label(), |at| format!("{}, saw it at {at}", key.label())));
        signers.push(json!({"key": key.label(), "witness": key.is_witness(), "time": at}));
    }
    text.push_str(
        "\nThe record is as it was written: a change of any byte of it, or a later insertion, would show. It says what \
         the\ngateway recorded. It does not say that nothing else happened.\n",
    );
    let json = json!({
        "proved": true,
        "origin": checkpoint.origin,
        "tree_size": checkpoint.size,
        "root": hex::text(&checkpoint.root),
        "index": proof.index,
        "node": hex::text(&header.node),
        "core": header.core,
        "epoch": header.epoch,
        "block": header.number,
        "sequence": record.sequence,
        "type": kind_name(record.kind),
        "wall_ns": record.wall_ns,
        "time": moment::text(record.wall_ns, 9),
        "fields": fields,
        "signers": signers,
    });
    Outcome { holds: true, text, json }
}

/// The fields of a record that was found good, by their names.
fn fields(bytes: &[u8]) -> Map<String, Value> {
    let mut reader = Reader::new(bytes);
    let mut fields = Map::new();
    for _ in 0..reader.map().unwrap_or(0) {
        let (Ok(key), Ok(item)) = (reader.uint(), reader.item()) else { break };
        if key > 3 {
            fields.insert(field_name(key), value(key, item));
        }
    }
    fields
}

/// A value; of byte strings only a statement's text and an SQLSTATE are to be read as text.
fn value(key: u64, item: &[u8]) -> Value {
    let reader = || Reader::new(item);
    if let Ok(number) = reader().uint() {
        return json!(number);
    }
    if let Ok(number) = reader().int() {
        return json!(number);
    }
    if let Ok(text) = reader().text() {
        return json!(text);
    }
    if let Ok(bytes) = reader().bytes() {
        return match key {
            10 | 17 => json!(String::from_utf8_lossy(bytes)),
            _ => json!(hex::text(bytes)),
        };
    }
    let mut inside = reader();
    if let Ok(count) = inside.array() {
        return (0..count).map_while(|_| inside.item().ok()).map(|item| value(key, item)).collect();
    }
    let mut inside = reader();
    if let Ok(pairs) = inside.map() {
        let pair = |_| Some((format!("{}", inside.uint().ok()?), value(key, inside.item().ok()?)));
        return Value::Object((0..pairs).map_while(pair).collect());
    }
    json!(reader().truth().is_ok())
}

/// Does a directory's tree continue the one of a checkpoint that was kept?
///
/// # Errors
/// In words, why it cannot be said.
pub fn consistency(directory: &Path, kept: (&str, &[u8]), keys: &[VerifierKey]) -> Result<Outcome, String> {
    let old = Signed::parse(kept.0, kept.1, true).map_err(|why| format!("{}: {why}", kept.0))?;
    let folder = Folder::read(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let now = folder
        .current
        .as_ref()
        .ok_or_else(|| format!("{}: no signed checkpoint (tlog/checkpoint)", directory.display()))?;
    let listed: Vec<VerifierKey> = folder.keys.iter().map(|line| line.key.clone()).collect();
    let keys = if keys.is_empty() { listed.as_slice() } else { keys };
    let fails = |why: String| Outcome {
        holds: false,
        text: format!("not proved: {}\n", printable(&why)),
        json: json!({"proved": false, "why": why}),
    };
    for signed in [&old, now] {
        let signers = match signed.note.signers(keys.iter()) {
            Ok(signers) => signers,
            Err(why) => return Ok(fails(format!("{}: {why}", signed.file))),
        };
        if !signers.iter().any(|(key, _)| !key.is_witness() && key.name() == signed.head.origin) {
            return Ok(fails(format!("{} is not signed by a key that is known", signed.file)));
        }
    }
    let (a, b) = (&old.head, &now.head);
    if a.origin != b.origin {
        return Ok(fails(format!("they are checkpoints of two logs, {} and {}", a.origin, b.origin)));
    }
    if a.size > b.size {
        let (had, has) = (a.size, b.size);
        return Ok(fails(format!("the tree has {has} blocks and had {had} before: it went back to an earlier state")));
    }
    let mut range = |from, to| crate::tiles::range(&folder.path, from, to).map_err(|why| why.words());
    let path = merkle::consistency(a.size, b.size, &mut range)?;
    if !merkle::continues((a.size, a.root), (b.size, b.root), &path) {
        return Ok(fails(format!("the tree of {} blocks is not a continuation of that of {} blocks", b.size, a.size)));
    }
    let text = format!(
        "proved: the tree of {} blocks continues the one of {} blocks that was kept; nothing under it was changed\n",
        b.size, a.size
    );
    let hashes: Vec<String> = path.iter().map(|hash| crate::note::base64(hash)).collect();
    Ok(Outcome {
        holds: true,
        text,
        json: json!({"proved": true, "origin": a.origin, "from": a.size, "to": b.size, "consistency_proof": hashes}),
    })
}
