//! What a verification found, as a value, as text and as JSON.

use std::fmt;

use crate::record::SessionId;
use crate::render::{self, Json};
use crate::time;

/// Kinds of findings. `E` codes mean that the log is not what was written; `W` codes are for a person to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// Records were changed.
    Mod,
    /// A header was changed, or the chain of headers does not hold.
    Hdr,
    /// Records, blocks or segments are missing.
    Del,
    /// Blocks or records stand in another order.
    Reord,
    /// Something is there that does not belong there.
    Ins,
    /// Good data after damage: not the end of a write that a crash cut off.
    Mid,
    /// The end is missing or unfinished.
    Trunc,
    /// Two continuations of one log.
    Fork,
    /// An encoding that a writer does not produce.
    Enc,
    /// Records that contradict each other.
    Sem,
    /// A statement without a result.
    Doubt,
    /// The end of an unfinished write, declared by the epoch that followed.
    Torn,
    /// A block that was written again after a disk error.
    Copy,
    /// A core that should have written in an epoch and did not.
    Core,
}

impl Code {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mod => "E-MOD",
            Self::Hdr => "E-HDR",
            Self::Del => "E-DEL",
            Self::Reord => "E-REORD",
            Self::Ins => "E-INS",
            Self::Mid => "E-MID",
            Self::Trunc => "E-TRUNC",
            Self::Fork => "E-FORK",
            Self::Enc => "E-ENC",
            Self::Sem => "E-SEM",
            Self::Doubt => "W-DOUBT",
            Self::Torn => "W-TORN",
            Self::Copy => "W-COPY",
            Self::Core => "W-CORE",
        }
    }

    /// Is it proof that something is wrong?
    #[must_use]
    pub fn is_error(self) -> bool {
        !matches!(self, Self::Doubt | Self::Torn | Self::Copy | Self::Core)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Kind.
    pub code: Code,
    /// Core.
    pub core: u16,
    /// Segment's file name; empty if the finding is about no single file.
    pub segment: String,
    /// Where in the file.
    pub position: u64,
    /// In words.
    pub what: String,
}

/// The end of a core's log: whoever keeps it can later prove that nothing before it went missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Core.
    pub core: u16,
    /// Last block.
    pub block_seq: u64,
    /// Hash of its header.
    pub hash: [u8; 32],
}

impl Head {
    /// Reads `core:block:hash` as [`fmt::Display`] writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (core, block_seq) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let digits = parts.next().filter(|digits| digits.len() == 64 && digits.is_ascii())?;
        if parts.next().is_some() {
            return None;
        }
        let mut hash = [0; 32];
        for (index, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        Some(Self { core, block_seq, hash })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.core, self.block_seq, render::hex(&self.hash))
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
    /// Wall clock of the first and last record.
    pub wall_ns: Option<(u64, u64)>,
    /// The log ends in good order.
    pub closed: bool,
    /// End of the log.
    pub head: Option<Head>,
}

/// The whole result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Node that wrote the log.
    pub node: Option<[u8; 16]>,
    /// By core.
    pub cores: Vec<CoreReport>,
    /// What was found, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Findings beyond that.
    pub more_errors: u64,
    /// Warnings beyond that.
    pub more_warnings: u64,
    /// Statements without a result.
    pub in_doubt: u64,
    /// Why the log could not be verified, if it could not.
    pub unreadable: Option<String>,
}

/// Findings kept one by one; the rest are counted.
pub const FINDINGS_MAX: usize = 1000;

/// Verified, nothing wrong.
pub const EXIT_CLEAN: u8 = 0;
/// Something is wrong.
pub const EXIT_FINDINGS: u8 = 10;
/// The log could not be verified.
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

    /// Is there a finding of this kind?
    #[must_use]
    pub fn has(&self, code: Code) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
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
        let mut out = String::new();
        let mut put = |line: String| {
            out.push_str(&line);
            out.push('\n');
        };
        if let Some(node) = &self.node {
            put(format!("node    {}", render::hex(node)));
        }
        for core in &self.cores {
            let span = core.wall_ns.map_or_else(String::new, |(first, last)| {
                format!(", {} to {}", time::format(first, 3), time::format(last, 3))
            });
            put(format!(
                "core {:<3}{} records in {} blocks, {} bytes, {} segments, {} epochs{span}, {}",
                core.core,
                core.records,
                core.blocks,
                core.bytes,
                core.segments,
                core.epochs,
                if core.closed { "closed" } else { "open" },
            ));
            if let Some(head) = &core.head {
                put(format!("head    {head}"));
            }
        }
        for finding in &self.findings {
            let place = if finding.segment.is_empty() {
                format!("core {}", finding.core)
            } else {
                format!("core {} {} byte {}", finding.core, finding.segment, finding.position)
            };
            put(format!("{:<7} {place}: {}", finding.code, render::printable(finding.what.as_bytes())));
        }
        if self.more_errors + self.more_warnings > 0 {
            put(format!("…       and {} more errors, {} more warnings", self.more_errors, self.more_warnings));
        }
        if let Some(why) = &self.unreadable {
            put(format!("cannot verify: {}", render::printable(why.as_bytes())));
        }
        let warnings = self.findings.len() as u64 + self.more_errors + self.more_warnings - self.errors();
        put(format!("verdict {}: {} errors, {warnings} warnings", self.verdict(), self.errors()));
        out
    }

    /// For a machine: one JSON object, without a line end.
    #[must_use]
    pub fn json(&self) -> String {
        let mut json = Json::new();
        json.text("verdict", self.verdict()).number("exit_code", u64::from(self.exit_code()));
        json.number("errors", self.errors()).number("in_doubt", self.in_doubt);
        if let Some(node) = &self.node {
            json.text("node", &render::hex(node));
        }
        if let Some(why) = &self.unreadable {
            json.text("unreadable", why);
        }
        json.list("cores", self.cores.iter().map(core_json));
        json.list("findings", self.findings.iter().map(finding_json));
        json.number("more_errors", self.more_errors).number("more_warnings", self.more_warnings);
        json.finish()
    }
}

fn core_json(core: &CoreReport) -> String {
    let mut json = Json::new();
    json.number("core", u64::from(core.core)).number("segments", core.segments).number("blocks", core.blocks);
    json.number("records", core.records).number("bytes", core.bytes).number("epochs", core.epochs);
    json.truth("closed", core.closed);
    if let Some((first, last)) = core.wall_ns {
        json.text("first", &time::format(first, 9)).text("last", &time::format(last, 9));
    }
    if let Some(head) = &core.head {
        json.text("head", &head.to_string());
    }
    json.finish()
}

fn finding_json(finding: &Finding) -> String {
    let mut json = Json::new();
    json.text("code", finding.code.name()).number("core", u64::from(finding.core));
    json.some("segment", &finding.segment).number("position", finding.position).text("what", &finding.what);
    json.finish()
}

pub(crate) fn statement_name((session, statement): &(SessionId, u64)) -> String {
    format!("statement {statement} of session {}", render::hex(&session.0))
}
