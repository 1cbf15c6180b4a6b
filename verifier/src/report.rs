//! What a verification found: codes, findings, counts; as text and as JSON.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::hex;
use crate::merkle::Hash;
use crate::moment;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Kinds of findings. `E` codes mean that the log is not what was written, or not what it should say; `W` codes
        /// are for a person to read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// The stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// Records were changed.
    Mod = "E-MOD",
    /// A header or a hash of the tree was changed, or the chain of headers does not hold.
    Hdr = "E-HDR",
    /// Records, blocks, segments or tiles are missing.
    Del = "E-DEL",
    /// The end is missing or unfinished, or something that is known to have existed is gone.
    Trunc = "E-TRUNC",
    /// Blocks or records stand in another order.
    Reord = "E-REORD",
    /// Something is there that does not belong there.
    Ins = "E-INS",
    /// Good data after damage: not the end of a write that a crash cut off.
    Mid = "E-MID",
    /// Two histories of one log.
    Fork = "E-FORK",
    /// The log went back to an earlier state.
    Roll = "E-ROLL",
    /// The wall clock moved without a record of it.
    Clk = "E-CLK",
    /// Silence: no heartbeat where one was due.
    Gapq = "E-GAPQ",
    /// A signature by a key that may not sign, or none.
    Key = "E-KEY",
    /// A node without a log, or a log without a node.
    Reg = "E-REG",
    /// A key or recording is gone without a rightful purge, or a purge is not rightful.
    Purge = "E-PURGE",
    /// A session's key does not fit what the log committed to.
    Dek = "E-DEK",
    /// An encoding that no writer produces.
    Enc = "E-ENC",
    /// Records that contradict each other.
    Sem = "E-SEM",
    /// A statement without a result.
    Doubt = "W-DOUBT",
    /// Nobody elsewhere has seen the log for longer than the policy allows.
    Anchor = "W-ANCHOR",
    /// The end of an unfinished write, declared by the epoch that followed.
    Torn = "W-TORN",
    /// A block that was written again after a disk error.
    Copy = "W-COPY",
    /// A core that should have written in an epoch and did not.
    Core = "W-CORE",
}

impl Code {
    /// Is it proof that something is wrong?
    #[must_use]
    pub fn is_error(self) -> bool {
        self.name().starts_with('E')
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Kind.
    pub code: Code,
    /// Which of the logs that were verified together, from 0.
    pub log: usize,
    /// Where: a core, the tree, a file; empty for the whole log.
    pub place: Place,
    /// In words; never contents of records that a person chose.
    pub what: String,
}

/// Where something was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Core, if it is about one.
    pub core: Option<u16>,
    /// File, relative to the core's folder for segments and to the audit directory for others; empty for none.
    pub file: String,
    /// Position in the file, bytes.
    pub position: u64,
}

impl Place {
    /// A core as a whole.
    #[must_use]
    pub fn core(core: u16) -> Self {
        Self { core: Some(core), ..Self::default() }
    }

    /// A file beside the cores' logs.
    #[must_use]
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), ..Self::default() }
    }
}

/// The end of a core's log: whoever keeps it can later prove that nothing before it went missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Core.
    pub core: u16,
    /// Last block.
    pub block: u64,
    /// Hash of its header.
    pub hash: Hash,
}

impl Head {
    /// Reads `core:block:hash` as [`fmt::Display`] writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (core, rest) = text.split_once(':')?;
        let (block, hash) = rest.split_once(':')?;
        Some(Self { core: core.parse().ok()?, block: block.parse().ok()?, hash: hex::array(hash)? })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.core, self.block, hex::text(&self.hash))
    }
}

/// Counts of one core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreReport {
    /// Core.
    pub core: u16,
    /// Segment files.
    pub segments: u64,
    /// Blocks accepted.
    pub blocks: u64,
    /// Records accepted.
    pub records: u64,
    /// Bytes of accepted blocks.
    pub bytes: u64,
    /// Epochs.
    pub epochs: u64,
    /// Wall clock of the first and last record, nanoseconds.
    pub wall_ns: Option<(u64, u64)>,
    /// The log ends in good order.
    pub closed: bool,
    /// End of the log.
    pub head: Option<Head>,
}

/// What the tree and its signatures say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeReport {
    /// Name of the log in its checkpoints.
    pub origin: String,
    /// Blocks under the signed checkpoint.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// Name and id of the key that signed it.
    pub key: String,
    /// The key was given by whoever verifies, not only by the log itself.
    pub trusted: bool,
    /// Blocks of the log that no checkpoint covers yet.
    pub beyond: u64,
    /// Older checkpoints that were compared.
    pub older: u64,
    /// What each known witness saw last: its name, how many blocks, and when, in seconds since 1970.
    pub cosigned: Vec<(String, u64, u64)>,
}

/// One log: one audit directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// The directory.
    pub directory: PathBuf,
    /// Node that wrote the log.
    pub node: Option<[u8; 16]>,
    /// By core.
    pub cores: Vec<CoreReport>,
    /// The tree; `None` for a log without one.
    pub tree: Option<TreeReport>,
    /// Statements without a result.
    pub in_doubt: u64,
    /// Sessions whose keys were destroyed by a rightful purge.
    pub purged: u64,
    /// Wrapped keys that are the ones the log commits to.
    pub keys: u64,
    /// Recordings whose every chunk fits the log.
    pub recordings: u64,
}

/// The whole result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The logs, in the order given.
    pub logs: Vec<LogReport>,
    /// What was found, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Errors beyond that.
    pub more_errors: u64,
    /// Warnings beyond that.
    pub more_warnings: u64,
    /// Things to know that are neither.
    pub notes: Vec<String>,
    /// Why the log could not be verified, if it could not.
    pub unreadable: Option<String>,
}

/// Findings kept one by one; the rest are counted.
pub const FINDINGS_MAX: usize = 1000;

/// Verified, nothing wrong.
pub const EXIT_CLEAN: u8 = 0;
/// Something is wrong.
pub const EXIT_FINDINGS: u8 = 10;
/// It could not be verified.
pub const EXIT_CANNOT_VERIFY: u8 = 20;

impl Report {
    pub(crate) fn add(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else if finding.code.is_error() {
            self.more_errors += 1;
        } else {
            self.more_warnings += 1;
        }
    }

    /// Findings that mean the log is not what was written.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.findings.iter().filter(|finding| finding.code.is_error()).count() as u64 + self.more_errors
    }

    /// Findings for a person to read.
    #[must_use]
    pub fn warnings(&self) -> u64 {
        self.findings.iter().filter(|finding| !finding.code.is_error()).count() as u64 + self.more_warnings
    }

    /// Is there a finding of this kind?
    #[must_use]
    pub fn has(&self, code: Code) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }

    /// Statements without a result, in all logs.
    #[must_use]
    pub fn in_doubt(&self) -> u64 {
        self.logs.iter().map(|log| log.in_doubt).sum()
    }

    /// What a program should exit with: 0 clean (warnings allowed), 10 findings, 20 could not verify.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match (&self.unreadable, self.errors()) {
            (Some(_), _) => EXIT_CANNOT_VERIFY,
            (None, 0) => EXIT_CLEAN,
            (None, _) => EXIT_FINDINGS,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.exit_code() {
            EXIT_CLEAN => "clean",
            EXIT_FINDINGS => "damaged",
            _ => "cannot verify",
        }
    }

    /// For a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for log in &self.logs {
            if self.logs.len() > 1 {
                lines.push(format!("log     {}", printable(&log.directory.display().to_string())));
            }
            log.lines(&mut lines);
        }
        lines.extend(self.notes.iter().map(|note| format!("note    {}", printable(note))));
        for finding in &self.findings {
            lines.push(format!("{:<7} {}: {}", finding.code, self.place(finding), printable(&finding.what)));
        }
        if self.more_errors + self.more_warnings > 0 {
            lines.push(format!("…       and {} more errors, {} more warnings", self.more_errors, self.more_warnings));
        }
        if let Some(why) = &self.unreadable {
            lines.push(format!("cannot verify: {}", printable(why)));
        }
        let (errors, warnings) = (self.errors(), self.warnings());
        lines.push(format!("verdict {}: {errors} errors, {warnings} warnings\n", self.verdict()));
        lines.join("\n")
    }

    fn place(&self, finding: &Finding) -> String {
        let Place { core, file, position } = &finding.place;
        let mut words = match (core, file.as_str()) {
            (Some(core), "") => format!("core {core}"),
            (Some(core), file) => format!("core {core} {} byte {position}", printable(file)),
            (None, "") => "log".to_owned(),
            (None, file) if *position == 0 => printable(file),
            (None, file) => format!("{} byte {position}", printable(file)),
        };
        if self.logs.len() > 1
            && let Some(log) = self.logs.get(finding.log)
        {
            words = format!("{} {words}", printable(&log.directory.display().to_string()));
        }
        words
    }

    /// For a machine: one JSON object, without a line end.
    #[must_use]
    pub fn json(&self) -> String {
        let mut report = json!({
            "verdict": self.verdict(),
            "exit_code": self.exit_code(),
            "errors": self.errors(),
            "warnings": self.warnings(),
            "in_doubt": self.in_doubt(),
            "logs": self.logs.iter().map(LogReport::value).collect::<Vec<_>>(),
            "findings": self.findings.iter().map(|finding| self.finding(finding)).collect::<Vec<_>>(),
            "more_errors": self.more_errors,
            "more_warnings": self.more_warnings,
            "notes": self.notes,
        });
        if let Some(why) = &self.unreadable {
            report["unreadable"] = json!(why);
        }
        report.to_string()
    }

    fn finding(&self, finding: &Finding) -> Value {
        let mut value = json!({"code": finding.code.name(), "what": finding.what});
        if let Some(core) = finding.place.core {
            value["core"] = json!(core);
        }
        if !finding.place.file.is_empty() {
            value["file"] = json!(finding.place.file);
            value["position"] = json!(finding.place.position);
        }
        if self.logs.len() > 1
            && let Some(log) = self.logs.get(finding.log)
        {
            value["directory"] = json!(log.directory.display().to_string());
        }
        value
    }
}

impl LogReport {
    fn lines(&self, lines: &mut Vec<String>) {
        if let Some(node) = &self.node {
            lines.push(format!("node    {}", hex::text(node)));
        }
        for core in &self.cores {
            let span = core.wall_ns.map_or_else(String::new, |(first, last)| {
                format!(", {} to {}", moment::text(first, 3), moment::text(last, 3))
            });
            lines.push(format!(
                "core {:<3}{} records in {} blocks, {} bytes, {} segments, {} epochs{span}, {}",
                core.core,
                core.records,
                core.blocks,
                core.bytes,
                core.segments,
                core.epochs,
                if core.closed { "closed" } else { "open" },
            ));
            lines.extend(core.head.map(|head| format!("head    {head}")));
        }
        match &self.tree {
            Some(tree) => tree.lines(lines),
            None if self.cores.is_empty() => {}
            None => lines.push("tree    none: nothing is signed, so only a kept head shows a cut end".to_owned()),
        }
        if self.purged + self.recordings + self.keys > 0 {
            lines.push(format!(
                "beside  {} recordings and {} wrapped keys fit the log; {} keys were destroyed by order of two",
                self.recordings, self.keys, self.purged
            ));
        }
    }

    fn value(&self) -> Value {
        json!({
            "directory": self.directory.display().to_string(),
            "node": self.node.map(|node| hex::text(&node)),
            "in_doubt": self.in_doubt,
            "purged": self.purged,
            "keys": self.keys,
            "recordings": self.recordings,
            "cores": self.cores.iter().map(CoreReport::value).collect::<Vec<_>>(),
            "tree": self.tree.as_ref().map(TreeReport::value),
        })
    }
}

impl CoreReport {
    fn value(&self) -> Value {
        json!({
            "core": self.core,
            "segments": self.segments,
            "blocks": self.blocks,
            "records": self.records,
            "bytes": self.bytes,
            "epochs": self.epochs,
            "closed": self.closed,
            "first": self.wall_ns.map(|(first, _)| moment::text(first, 9)),
            "last": self.wall_ns.map(|(_, last)| moment::text(last, 9)),
            "head": self.head.map(|head| head.to_string()),
        })
    }
}

impl TreeReport {
    fn lines(&self, lines: &mut Vec<String>) {
        let trust = if self.trusted { "" } else { " (known only from the log itself)" };
        lines.push(format!(
            "tree    {}: {} blocks, root {}, signed by {}{trust}",
            printable(&self.origin),
            self.size,
            hex::text(&self.root),
            printable(&self.key)
        ));
        for (name, size, time) in &self.cosigned {
            let at = moment::text(time.saturating_mul(1_000_000_000), 0);
            lines.push(format!("witness {} saw {size} blocks at {at}", printable(name)));
        }
        if self.older > 0 {
            lines.push(format!("older   {} earlier checkpoints are prefixes of it", self.older));
        }
        if self.beyond > 0 {
            lines.push(format!("beyond  {} blocks are not yet in a checkpoint", self.beyond));
        }
    }

    fn value(&self) -> Value {
        json!({
            "origin": self.origin,
            "size": self.size,
            "root": hex::text(&self.root),
            "key": self.key,
            "key_given": self.trusted,
            "not_yet_in_a_checkpoint": self.beyond,
            "older_checkpoints": self.older,
            "cosigned": self.cosigned.iter()
                .map(|(name, size, time)| json!({"witness": name, "size": size, "time": time})).collect::<Vec<_>>(),
        })
    }
}

/// Text for a terminal: control characters and line breaks spelled out.
#[must_use]
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let hidden = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if hidden {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}
