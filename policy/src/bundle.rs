//! The bundle: one file with everything the gateway needs of the rules, checked once when it is loaded.
//!
//! Layout, all integers little-endian: magic, format version (u32), zero (u32), content length (u64), SHA-256 of the
//! content, then the content: length of the model (u64), the model (postcard), the automata one after the other.
//! Encoding is deterministic: the same model gives the same bytes. Loading trusts nothing: length before hash before
//! decoding before the check of every index, and an expression that does not compile is refused with the rest. Format 2 has
//! word lists of any length (an automaton, and a dictionary for long ones) and their expressions; format 3 has roles that are
//! asked for, and rules that hold.
//! Deliberately absent: rule-file syntax, signatures, compatibility with formats older than its own.

use std::fmt;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use sha2::{Digest, Sha256};

use crate::model::{BindingBy, Detector, Model, Redaction};
use scan::{Automaton, Words};

const MAGIC: [u8; 8] = *b"TIDEGATE";
/// The format that this program writes and the newest it reads.
const FORMAT: u32 = 3;
const HEADER: usize = 8 + 4 + 4 + 8 + 32;
/// Upper limit of one compiled expression, and of the work done to compile it.
const PATTERN_BYTES: usize = 1 << 20;

/// Compiled rules: immutable, shared by every session of one epoch of rules.
#[derive(Debug)]
pub struct Bundle {
    model: Model,
    digest: [u8; 32],
    pub(crate) statements: Automaton,
    /// What each pattern of `statements` is, see [`needles`].
    pub(crate) needles: Vec<Needle>,
    /// Compiled expressions, `patterns[block][pattern]`.
    pub(crate) patterns: Vec<Vec<Regex>>,
    /// Words of the free-text classes: index into `words` per class, `None` where it has no word lists.
    pub(crate) words_of: Vec<Option<usize>>,
    pub(crate) words: Vec<Words>,
    /// The expressions of each word list.
    pub(crate) numbers: Vec<Vec<Regex>>,
}

/// Why a model cannot be made into a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// An index, a length or an expression is wrong.
    Inconsistent(String),
    /// A set of words is too large for one automaton.
    TooManyWords(String),
}

/// Why bytes are not a bundle that this program can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Something else altogether.
    NotABundle,
    /// Shorter than it says it is.
    Truncated {
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// The content is not what was written.
    Altered,
    /// Written by a newer program.
    Newer {
        /// Format of the file.
        found: u32,
        /// Newest format that this program reads.
        known: u32,
    },
    /// The content contradicts itself.
    Inconsistent(String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inconsistent(what) => write!(f, "the rules contradict themselves: {what}"),
            Self::TooManyWords(what) => {
                write!(f, "{what} has too many words for one bundle; split or shorten the list")
            }
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABundle => write!(f, "not a Tidegate bundle; compile one with `policy-compiler compile`"),
            Self::Truncated { expected, found } => {
                write!(f, "the bundle is truncated: {found} of {expected} bytes are there; copy it again")
            }
            Self::Altered => {
                write!(f, "the bundle was altered after it was compiled: its content does not match its hash")
            }
            Self::Newer { found, known } => {
                write!(
                    f,
                    "the bundle has format {found}, made by a newer policy-compiler; this program reads up to format {known}"
                )
            }
            Self::Inconsistent(what) => write!(f, "the bundle contradicts itself: {what}; compile it again"),
        }
    }
}

impl std::error::Error for BuildError {}
impl std::error::Error for LoadError {}

/// What one pattern of the statement automaton stands for. Rules are numbered as in [`Model::conditions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needle {
    /// A word of this block: found as a whole word, it matches.
    Word { block: usize },
    /// The literal of an expression of this block: found anywhere, the expression is tried.
    Literal { block: usize, pattern: usize },
}

impl Bundle {
    /// The file for `model`.
    ///
    /// # Errors
    /// When an index of the model is out of range, an expression does not compile, or a word list is too large.
    pub fn encode(model: &Model) -> Result<Vec<u8>, BuildError> {
        check(model).map_err(BuildError::Inconsistent)?;
        for block in model.conditions() {
            for p in &block.patterns {
                compile(&p.expression).map_err(|e| BuildError::Inconsistent(format!("rule {}: {e}", block.name)))?;
            }
        }
        let too_many = |what: &str| BuildError::TooManyWords(what.to_owned());
        let tables = postcard::to_allocvec(model).map_err(|e| BuildError::Inconsistent(e.to_string()))?;
        let mut content = Vec::with_capacity(tables.len() + (1 << 12));
        content.extend((tables.len() as u64).to_le_bytes());
        content.extend(&tables);
        let (texts, _) = needles(model);
        Automaton::build(&texts).map_err(|_| too_many("the blocking rules"))?.write(&mut content);
        let (_, sets) = word_sets(model);
        for set in &sets {
            let words = set_words(model, set);
            let name = set.first().and_then(|l| model.word_lists.get(usize::from(*l))).map_or("", |l| l.name.as_str());
            Words::build(&words).map_err(|_| too_many(&format!("word list {name}")))?.write(&mut content);
        }
        let mut out = Vec::with_capacity(HEADER + content.len());
        out.extend(MAGIC);
        out.extend(FORMAT.to_le_bytes());
        out.extend([0; 4]);
        out.extend((content.len() as u64).to_le_bytes());
        out.extend(Sha256::digest(&content));
        out.extend(content);
        Ok(out)
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// One distinct error per way to be wrong, see [`LoadError`]; nothing of a wrong bundle is ever used.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        let prefix = bytes.get(..MAGIC.len()).unwrap_or(bytes);
        if bytes.is_empty() || !MAGIC.starts_with(prefix) {
            return Err(LoadError::NotABundle);
        }
        let truncated = |expected: u64| LoadError::Truncated { expected, found: bytes.len() as u64 };
        let mut rest = bytes.get(MAGIC.len()..).unwrap_or_default();
        let short = truncated(HEADER as u64);
        let format = u32::from_le_bytes(take(&mut rest).ok_or_else(|| short.clone())?);
        if format != FORMAT {
            return Err(if format > FORMAT {
                LoadError::Newer { found: format, known: FORMAT }
            } else {
                LoadError::Inconsistent(format!("format {format} does not exist"))
            });
        }
        let zero: [u8; 4] = take(&mut rest).ok_or_else(|| short.clone())?;
        if zero != [0; 4] {
            return Err(LoadError::Altered);
        }
        let length = u64::from_le_bytes(take(&mut rest).ok_or_else(|| short.clone())?);
        let digest: [u8; 32] = take(&mut rest).ok_or(short)?;
        let content = rest;
        let have = content.len() as u64;
        if have < length {
            return Err(truncated((HEADER as u64).saturating_add(length)));
        }
        if have > length || Sha256::digest(content).as_slice() != digest {
            return Err(LoadError::Altered);
        }
        Self::decode(content, digest).map_err(LoadError::Inconsistent)
    }

    fn decode(mut content: &[u8], digest: [u8; 32]) -> Result<Self, String> {
        let cut = || "the model is cut short".to_owned();
        let length = u64::from_le_bytes(take(&mut content).ok_or_else(cut)?);
        let length = usize::try_from(length).map_err(|_| cut())?;
        let (tables, mut automata) = content.split_at_checked(length).ok_or_else(cut)?;
        let (model, left): (Model, _) =
            postcard::take_from_bytes(tables).map_err(|e| format!("the model cannot be read ({e})"))?;
        if !left.is_empty() {
            return Err("bytes after the model".to_owned());
        }
        check(&model)?;
        let mut next = |texts: &[&str]| -> Result<Automaton, String> {
            let (a, rest) = Automaton::read(automata)?;
            automata = rest;
            let same = a.lengths().len() == texts.len()
                && a.lengths().iter().zip(texts).all(|(n, t)| usize::try_from(*n) == Ok(t.len()));
            if same { Ok(a) } else { Err("an automaton belongs to other words".to_owned()) }
        };
        let (texts, needles) = needles(&model);
        let statements = next(&texts)?;
        let (words_of, sets) = word_sets(&model);
        let mut words = Vec::with_capacity(sets.len());
        for set in &sets {
            let (set, rest) = Words::read(automata, &set_words(&model, set))?;
            automata = rest;
            words.push(set);
        }
        let numbers = model
            .word_lists
            .iter()
            .map(|l| l.patterns.iter().map(|p| number_pattern(p)).collect())
            .collect::<Result<Vec<Vec<_>>, _>>()?;
        if !automata.is_empty() {
            return Err("bytes after the automata".to_owned());
        }
        let patterns = model
            .conditions()
            .map(|b| b.patterns.iter().map(|p| compile(&p.expression)).collect())
            .collect::<Result<Vec<Vec<_>>, _>>()?;
        Ok(Self { model, digest, statements, needles, patterns, words_of, words, numbers })
    }

    /// SHA-256 of the content: the identity of the rules, written to every audit record.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The rules themselves.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// Compiles an expression of a blocking rule: case-insensitive, bounded in size, linear in time when it runs.
pub(crate) fn compile(expression: &str) -> Result<Regex, String> {
    Regex::builder()
        .syntax(syntax::Config::new().case_insensitive(true).nest_limit(50))
        .configure(
            Regex::config()
                .nfa_size_limit(Some(PATTERN_BYTES))
                .onepass_size_limit(Some(PATTERN_BYTES))
                .dfa_size_limit(Some(PATTERN_BYTES))
                .hybrid_cache_capacity(2 * PATTERN_BYTES),
        )
        .build(expression)
        .map_err(|e| format!("expression {expression:?} does not compile ({e})"))
}

/// Fewest and most bytes of what an expression of a word list matches. The upper bound keeps the search linear: no match is
/// tried over more than so many bytes from each place.
const NUMBER_BYTES: std::ops::RangeInclusive<usize> = 3..=64;

/// Compiles an expression of a word list: case-insensitive, and what it matches has 3 to 64 bytes.
///
/// # Errors
/// Why it cannot be used.
pub fn number_pattern(expression: &str) -> Result<Regex, String> {
    let config = syntax::Config::new().case_insensitive(true).nest_limit(50);
    let parsed = syntax::parse_with(expression, &config)
        .map_err(|e| format!("expression {expression:?} is not a valid one ({e})"))?;
    let length = |n: Option<usize>| n.is_some_and(|n| NUMBER_BYTES.contains(&n));
    if !length(parsed.properties().minimum_len()) || !length(parsed.properties().maximum_len()) {
        return Err(format!("expression {expression:?} matches texts of less than 3 or more than 64 bytes"));
    }
    compile(expression)
}

/// Texts of the statement automaton in order, and what each stands for. A function of the model, so that it need not be stored.
fn needles(model: &Model) -> (Vec<&str>, Vec<Needle>) {
    let mut texts = Vec::new();
    let mut needles = Vec::new();
    for (block, b) in model.conditions().enumerate() {
        for w in &b.words {
            texts.push(w.as_str());
            needles.push(Needle::Word { block });
        }
        for (pattern, p) in b.patterns.iter().enumerate() {
            texts.push(p.literal.as_str());
            needles.push(Needle::Literal { block, pattern });
        }
    }
    (texts, needles)
}

/// For each class the automaton of its word lists, and for each automaton its lists.
fn word_sets(model: &Model) -> (Vec<Option<usize>>, Vec<Vec<u16>>) {
    let mut sets: Vec<Vec<u16>> = Vec::new();
    let of = model
        .classes
        .iter()
        .map(|class| {
            let mut lists: Vec<u16> = class
                .detectors
                .iter()
                .filter_map(|d| if let Detector::Words(n) = d { Some(*n) } else { None })
                .collect();
            lists.sort_unstable();
            lists.dedup();
            if lists.is_empty() {
                return None;
            }
            Some(sets.iter().position(|s| *s == lists).unwrap_or_else(|| {
                sets.push(lists);
                sets.len() - 1
            }))
        })
        .collect();
    (of, sets)
}

fn set_words<'m>(model: &'m Model, lists: &[u16]) -> Vec<&'m str> {
    lists
        .iter()
        .filter_map(|l| model.word_lists.get(usize::from(*l)))
        .flat_map(|l| l.words.iter().map(String::as_str))
        .collect()
}

/// Every index and every length of the model.
fn check(model: &Model) -> Result<(), String> {
    let (classes, redactions) = (model.classes.len(), model.redactions.len());
    if classes > usize::from(u16::MAX)
        || redactions > usize::from(u16::MAX)
        || model.targets.len() > usize::from(u16::MAX)
    {
        return Err("more classes, redactions or targets than can be numbered".to_owned());
    }
    let class_ok = |c: Option<u16>| c.is_none_or(|c| usize::from(c) < classes);
    for (i, class) in model.classes.iter().enumerate() {
        if class.name.is_empty() {
            return Err(format!("class {i} has no name"));
        }
        for d in &class.detectors {
            if let Detector::Words(list) = d
                && usize::from(*list) >= model.word_lists.len()
            {
                return Err(format!(
                    "class {} names word list {list}, there are {}",
                    class.name,
                    model.word_lists.len()
                ));
            }
        }
    }
    for (i, binding) in model.bindings.iter().enumerate() {
        if !class_ok(binding.class) {
            return Err(format!("binding {i} names a class that does not exist"));
        }
        if let BindingBy::Tag { tag } = &binding.by
            && tag.is_empty()
        {
            return Err(format!("binding {i} has an empty tag"));
        }
    }
    for (i, redaction) in model.redactions.iter().enumerate() {
        if let Redaction::Token { key, length } = redaction
            && (!(8..=64).contains(length) || key.is_empty())
        {
            return Err(format!(
                "redaction {i}: a token has 8 to 64 digits and a key, not {length} digits of key {key:?}"
            ));
        }
    }
    for role in &model.roles {
        if role.treatment.len() != classes {
            return Err(format!("role {} treats {} classes, there are {classes}", role.name, role.treatment.len()));
        }
        if role.treatment.iter().any(|r| usize::from(*r) >= redactions) {
            return Err(format!("role {} names a redaction that does not exist", role.name));
        }
    }
    for block in model.conditions() {
        if block.words.iter().any(String::is_empty) || block.patterns.iter().any(|p| p.literal.is_empty()) {
            return Err(format!("rule {} has an empty word or literal", block.name));
        }
    }
    for hold in &model.holds {
        if hold.approvers.is_empty() || hold.approvals == 0 {
            return Err(format!("rule {} holds statements that nobody can approve", hold.rule.name));
        }
    }
    if model.word_lists.iter().any(|l| l.words.iter().any(String::is_empty)) {
        return Err("a word list has an empty word".to_owned());
    }
    for list in &model.word_lists {
        for p in &list.patterns {
            number_pattern(p).map_err(|e| format!("word list {}: {e}", list.name))?;
        }
    }
    for c in &model.columns {
        let binding_ok = c.binding.is_none_or(|b| usize::try_from(b).is_ok_and(|b| b < model.bindings.len()));
        if usize::from(c.target) >= model.targets.len() || !class_ok(c.class) || !binding_ok {
            return Err(format!("column {}.{}.{} has an index out of range", c.schema, c.relation, c.column));
        }
    }
    Ok(())
}
