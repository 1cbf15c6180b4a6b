//! The evidence pack: what an auditor takes away, in one file, checkable without its maker.
//!
//! Deterministic: the same log and the same arguments give the same bytes. What this version's records cannot show is said
//! in one sentence where it would stand. No values; names of people, tables and columns are in it. Statement texts are only
//! inside of records with a proof, as the log has them: sealed where it has recipients.

mod approvals;
pub mod check;
mod consent;
mod controls;
mod html;
mod readme;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use audit::{render, time};
use sha2::{Digest as _, Sha256};
use verifier::Report as Verified;

use crate::cli::CliError;
use crate::headers::{self, Population};
use crate::join::Rows;
use crate::query::Query;
use crate::report::{Reports, UNANSWERED};
use crate::sample;
use crate::table::Table;
use controls::{CONTROLS, Counts, FRAMEWORKS};

/// What a pack is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Audit directory.
    pub directory: PathBuf,
    /// Frameworks, as `--framework` names them.
    pub frameworks: Vec<String>,
    /// Period: from, to (not included), nanoseconds since 1970.
    pub period: (u64, u64),
    /// The auditor's nonce for the sample.
    pub nonce: String,
    /// Records of the sample.
    pub sample: usize,
    /// Key that signs the manifest, in the form of signed notes.
    pub key: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Files in the pack.
    pub files: usize,
    /// Records of the log in the period's rows.
    pub events: u64,
    /// SHA-256 of the manifest.
    pub manifest: String,
    /// Exit code of the verification.
    pub verified: u8,
}

/// Everything that the pack's texts speak of.
struct Facts<'a> {
    settings: &'a Settings,
    origin: String,
    reports: Reports,
    population: Population,
    verified: Verified,
    root: [u8; 32],
    /// Where the root comes from.
    root_is: &'static str,
    tables: BTreeMap<String, Table>,
    sampled: Vec<(u16, u64)>,
    oldest: Option<u64>,
    damaged: u64,
}

/// Folders of the pack and the tables in them.
const PLACES: [(&str, &[&str]); 8] = [
    (
        "06-access",
        &[
            "access",
            "grants",
            "bound-sessions",
            "administration",
            "refused-acts",
            "session-accounts",
            "unresolved-sessions",
            "accounts",
        ],
    ),
    ("07-authn", &["logins", "failed-logins", "sign-ins", "credentials"]),
    ("08-phi-release", &["exposure", "tables", "shown-in-clear", "refusals", "refused-statements"]),
    (approvals::FOLDER, &["approvals", "votes", "emergencies", "approval-findings"]),
    ("10-reviews", &["reviews", "evidence-access"]),
    ("11-changes", &["changes", "nodes"]),
    ("12-continuity", &["continuity", "clock"]),
    ("13-retention", &["holds", "purges"]),
];

/// Time of every file in the pack.
const FILE_TIME: u64 = 0;
/// Level of zstd.
const LEVEL: i32 = 9;

fn failed(path: &Path) -> impl Fn(io::Error) -> CliError + '_ {
    move |error| CliError::Output(path.to_owned(), error)
}

/// Builds a pack into `output`, by way of the folder `staging`, which must be empty.
///
/// # Errors
/// The log cannot be read, the output cannot be written, an unknown framework, a key that cannot be used.
pub fn build(settings: &Settings, staging: &Path, output: &Path) -> Result<Built, CliError> {
    if let Some(unknown) = settings.frameworks.iter().find(|name| FRAMEWORKS.iter().all(|(known, _)| known != name)) {
        let known: Vec<&str> = FRAMEWORKS.iter().map(|(name, _)| *name).collect();
        return Err(CliError::Argument("framework", unknown.clone(), known.join(", ")));
    }
    let facts = gather(settings, staging)?;
    let mut pack = Pack { root: staging.to_owned() };
    write_sections(&facts, &mut pack)?;
    pack.put("05-verify/verify.txt", &facts.verified.text())?;
    pack.put("05-verify/verify.json", &(facts.verified.json() + "\n"))?;
    pack.put("05-verify/audit.cddl", include_str!("../../audit/audit.cddl"))?;
    pack.put("05-verify/audit-format.md", include_str!("../../docs/audit-format.md"))?;
    pack.put("00-README.md", &readme::text(&facts))?;
    pack.put("01-index.csv", &index(&facts, &pack)?.csv())?;
    pack.put("summary.html", &html::page(&facts))?;
    let manifest = manifest(&pack)?;
    pack.put("02-attestation/manifest.txt", &manifest)?;
    let digest = render::hex(&Sha256::digest(&manifest));
    match &settings.key {
        Some(path) => pack.put("02-attestation/manifest.note", &attest(path, &facts, &digest)?)?,
        None => pack.put(
            "02-attestation/UNSIGNED.txt",
            "The manifest is not signed: no key was given (--key). Its files can be checked against it, but not who made it.\n",
        )?,
    }
    let files = archive(staging, output)?;
    Ok(Built { files, events: facts.reports.totals.events, manifest: digest, verified: facts.verified.exit_code() })
}

fn gather<'a>(settings: &'a Settings, staging: &Path) -> Result<Facts<'a>, CliError> {
    let directory = &settings.directory;
    let read = |error: io::Error| CliError::Show(audit::ShowError::Io(directory.clone(), error));
    let mut reports = Reports::default();
    let query = Query {
        since_ns: Some(settings.period.0),
        until_ns: Some(settings.period.1),
        kind: vec!["*".to_owned()],
        ..Query::default()
    };
    let (mut oldest, mut damaged) = (None, 0u64);
    for item in Rows::open(directory)? {
        match item {
            Ok(row) => {
                oldest = Some(oldest.map_or(row.begin_ns, |at: u64| at.min(row.begin_ns)));
                reports.know(&row);
                if query.wants(&row) {
                    reports.add(&row);
                }
            }
            Err(_) => damaged += 1,
        }
    }
    // Headers of blocks that began within the period.
    let folder = staging.join("03-population");
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    let path = folder.join("headers.bin");
    let mut out = BufWriter::new(File::create(&path).map_err(failed(&path))?);
    let mut population = Population::default();
    headers::of_directory(directory, |header| {
        let began = header.fields.wall_ns[0];
        if began >= settings.period.0 && began < settings.period.1 {
            population.add(header);
            out.write_all(&header.bytes)?;
        }
        Ok(())
    })
    .map_err(read)?;
    out.flush().map_err(failed(&path))?;
    let (root, root_is) = match checkpoint_root(directory) {
        Some(root) => (root, "root of the checkpoint in 04-checkpoints/checkpoint"),
        None => (
            population.digest(),
            "SHA-256 over core, last block and its header's hash, of the cores in 03-population/cores.csv",
        ),
    };
    let drawn = sample::indices(settings.nonce.as_bytes(), &root, population.records(), settings.sample);
    let sampled = drawn.into_iter().filter_map(|index| population.record(index)).collect();
    let tables = reports.tables("all").into_iter().map(|table| (table.name.to_owned(), table)).collect();
    Ok(Facts {
        settings,
        origin: crate::origin::origin(directory),
        reports,
        population,
        verified: verifier::verify(directory),
        root,
        root_is,
        tables,
        sampled,
        oldest,
        damaged,
    })
}

/// Root in the checkpoint of the log's tree.
pub(crate) fn checkpoint_root(directory: &Path) -> Option<[u8; 32]> {
    let text = fs::read_to_string(directory.join("tlog/checkpoint")).ok()?;
    let (body, _) = text.split_once("\n\n")?;
    tlog::Checkpoint::parse(&format!("{body}\n")).ok().map(|checkpoint| checkpoint.root.0)
}

/// The folder that becomes the pack.
struct Pack {
    root: PathBuf,
}

impl Pack {
    fn put(&mut self, name: &str, text: &str) -> Result<(), CliError> {
        let path = self.root.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed(folder))?;
        }
        fs::write(&path, text).map_err(failed(&path))
    }

    /// All files by name, in order.
    fn files(&self) -> Result<BTreeMap<String, PathBuf>, CliError> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(failed(&folder))? {
                let path = entry.map_err(failed(&folder))?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(name) = path.strip_prefix(&self.root) {
                    found.insert(name.to_string_lossy().into_owned(), path);
                }
            }
        }
        Ok(found)
    }

    fn digest(&self, name: &str) -> Result<String, CliError> {
        digest(&self.root.join(name))
    }
}

fn digest(path: &Path) -> Result<String, CliError> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(failed(path))?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer).map_err(failed(path))? {
            0 => return Ok(render::hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn write_sections(facts: &Facts<'_>, pack: &mut Pack) -> Result<(), CliError> {
    for (folder, tables) in PLACES {
        for name in tables {
            if let Some(table) = facts.tables.get(*name) {
                pack.put(&format!("{folder}/{name}.csv"), &table.csv())?;
            }
        }
        let report = folder.split_once('-').map_or(folder, |(_, name)| name);
        let report = if report == "phi-release" { "exposure" } else { report };
        if let Some((_, what)) = UNANSWERED.iter().find(|(name, _)| *name == report) {
            pack.put(&format!("{folder}/NOT-ANSWERED.txt"), &format!("{what}\n"))?;
        }
    }
    pack.put("03-population/cores.csv", &cores(facts).csv())?;
    checkpoints(facts, pack)?;
    approvals::write(facts, pack)?;
    let oldest = facts.oldest.map_or_else(|| "none".to_owned(), |at| time::format(at, 3));
    pack.put("13-retention/oldest-record.txt", &format!("The oldest record in the log is of {oldest}.\n"))?;
    let mut samples = Table::new("sample", "Sampled records", &["core", "sequence", "command"]);
    for (core, sequence) in &facts.sampled {
        let command = format!("tidegate audit prove DIR {core}:{sequence}");
        samples.push(vec![core.to_string(), sequence.to_string(), command]);
    }
    pack.put("14-samples/sample.csv", &samples.csv())?;
    for (core, sequence) in &facts.sampled {
        approvals::prove(facts, pack, "14-samples/proofs/", (*core, *sequence))?;
    }
    pack.put(
        "15-drills/NOT-ANSWERED.txt",
        "Drills (restore, tamper detection, fail closed) are not recorded by the gateway; their reports are added by whoever held them.\n",
    )
}

fn cores(facts: &Facts<'_>) -> Table {
    let head =
        ["core", "first_block", "last_block", "first_record", "last_record", "records", "breaks", "last_header_sha256"];
    let mut table = Table::new("cores", "Blocks and records by core", &head);
    for core in &facts.population.cores {
        table.push(vec![
            core.core.to_string(),
            core.blocks.0.to_string(),
            core.blocks.1.to_string(),
            core.records.0.to_string(),
            core.records.1.to_string(),
            (core.records.1 - core.records.0 + 1).to_string(),
            core.breaks.to_string(),
            render::hex(&core.head),
        ]);
    }
    table
}

/// Largest file of checkpoints that is copied.
const CHECKPOINT_BYTES_MAX: u64 = 16 << 20;

/// Copies checkpoints, cosignatures, receipts and public keys as they stand.
fn checkpoints(facts: &Facts<'_>, pack: &mut Pack) -> Result<(), CliError> {
    let tree = facts.settings.directory.join("tlog");
    let mut copied = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let Ok(entries) = fs::read_dir(tree.join(&below)) else { continue };
        for entry in entries.flatten() {
            let name = below.join(entry.file_name());
            let Ok(kind) = entry.metadata() else { continue };
            let top = name.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
            let wanted =
                matches!(top.as_deref(), Some("checkpoint" | "checkpoints" | "cosignatures" | "anchors" | "keys"));
            if !wanted || name.extension().is_some_and(|extension| extension == "next") {
                continue;
            }
            if kind.is_dir() {
                folders.push(name);
            } else if kind.is_file() && kind.len() <= CHECKPOINT_BYTES_MAX {
                let text = fs::read_to_string(tree.join(&name)).map_err(failed(&tree))?;
                pack.put(&format!("04-checkpoints/{}", name.display()), &text)?;
                copied += 1;
            }
        }
    }
    if copied == 0 {
        pack.put(
            "04-checkpoints/NONE.txt",
            "This log has no signed checkpoints: `audit: { checkpoint: … }` is not configured. Its heads in 03-population/cores.csv are what can be kept and compared.\n",
        )?;
    }
    Ok(())
}

fn index(facts: &Facts<'_>, pack: &Pack) -> Result<Table, CliError> {
    let head = ["framework", "control", "asks_for", "file", "command", "count", "sha256"];
    let mut table = Table::new("index", "Controls and where their evidence is", &head);
    for (framework, _) in FRAMEWORKS.iter().filter(|(name, _)| facts.settings.frameworks.iter().any(|f| f == name)) {
        for control in CONTROLS {
            let Some((_, reference)) = control.references.iter().find(|(name, _)| name == framework) else { continue };
            table.push(vec![
                (*framework).to_owned(),
                (*reference).to_owned(),
                control.asks.to_owned(),
                control.file.to_owned(),
                control.command.to_owned(),
                count(facts, control).to_string(),
                pack.digest(control.file)?,
            ]);
        }
    }
    Ok(table)
}

fn count(facts: &Facts<'_>, control: &controls::Control) -> u64 {
    match control.counts {
        Counts::Table => {
            let name = Path::new(control.file).file_stem().unwrap_or_default().to_string_lossy();
            facts.tables.get(&*name).map_or(0, Table::count)
        }
        Counts::Statements => facts.reports.totals.statements,
        Counts::Records => facts.population.records(),
        Counts::Errors => facts.verified.errors(),
        Counts::Sample => facts.sampled.len() as u64,
    }
}

/// `sha256  name` by name, as `sha256sum --check` reads it.
fn manifest(pack: &Pack) -> Result<String, CliError> {
    let mut text = String::new();
    for (name, path) in pack.files()? {
        text.push_str(&format!("{}  {name}\n", digest(&path)?));
    }
    Ok(text)
}

/// A signed note over the manifest.
fn attest(path: &Path, facts: &Facts<'_>, manifest: &str) -> Result<String, CliError> {
    let key = crate::keys::signing(path).map_err(CliError::Refused)?;
    let (from, to) = facts.settings.period;
    let text = format!(
        "tidegate evidence pack\nlog {}\nfrom {}\nto {}\nroot {}\nmanifest-sha256 {manifest}\n",
        facts.origin,
        time::format(from, 0),
        time::format(to, 0),
        render::hex(&facts.root),
    );
    let signature = key.sign(&text, to / 1_000_000_000);
    let note = tlog::Note::new(text, vec![signature]).map_err(|error| CliError::Refused(error.to_string()))?;
    Ok(note.to_string())
}

/// Packs a folder: names in order, no owners, one time for all.
fn archive(folder: &Path, output: &Path) -> Result<usize, CliError> {
    let pack = Pack { root: folder.to_owned() };
    let file = crate::cli::private(output).map_err(failed(output))?;
    let mut encoder = zstd::Encoder::new(BufWriter::new(file), LEVEL).map_err(failed(output))?;
    encoder.include_checksum(true).map_err(failed(output))?;
    let mut tar = tar::Builder::new(encoder);
    let files = pack.files()?;
    for (name, path) in &files {
        let file = File::open(path).map_err(failed(path))?;
        let mut header = tar::Header::new_ustar();
        header.set_size(file.metadata().map_err(failed(path))?.len());
        header.set_mode(0o644);
        header.set_mtime(FILE_TIME);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, format!("evidence/{name}"), file).map_err(failed(output))?;
    }
    let encoder = tar.into_inner().map_err(failed(output))?;
    let out = encoder.finish().map_err(failed(output))?;
    let file = out.into_inner().map_err(|error| CliError::Output(output.to_owned(), error.into_error()))?;
    file.sync_all().map_err(failed(output))?;
    Ok(files.len())
}

#[cfg(test)]
mod tests;
