//! Facts by statement text, bounded in entries and bytes; a hit does not allocate.
//!
//! A text is looked up as it is, then by its normal form, so that an ORM's literals do not fill the cache. Only a single
//! statement whose facts do not depend on literals is kept by normal form. Facts found so are those of another text of
//! the same form: everything but the spans is the same, so spans are for messages only, and whoever puts one into a
//! message asks [`FactsCache::exact`] first. Texts that are not understood are not kept.
//!
//! Two generations: the young one fills up, becomes the old one, and what is not asked for again is dropped with it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::facts::{Facts, NotUnderstood};
use crate::grammar::analyse;
use crate::normalise::{hash, normalise};

/// Bounded map from statement texts to facts. One per core.
#[derive(Debug)]
pub struct FactsCache {
    texts: Generations,
    forms: Generations,
    form: Vec<u8>,
}

impl FactsCache {
    /// At most `entries` facts and about `bytes` of memory, whichever is reached first.
    #[must_use]
    pub fn new(entries: usize, bytes: usize) -> Self {
        Self {
            texts: Generations::new(entries / 2, bytes / 2),
            forms: Generations::new(entries / 2, bytes / 2),
            form: Vec::new(),
        }
    }

    /// The facts of `text`; spans may be those of another text of the same form.
    ///
    /// # Errors
    /// The text is not understood.
    pub fn get_or_analyse(&mut self, text: &str) -> Result<Arc<Facts>, NotUnderstood> {
        let text_hash = hash(text.as_bytes());
        if let Some(facts) = self.texts.get(text_hash, text.as_bytes()) {
            return Ok(facts);
        }
        let form_hash = normalise(text.as_bytes(), &mut self.form);
        if let Some(facts) = form_hash.and_then(|hash| self.forms.get(hash, &self.form)) {
            return Ok(facts);
        }
        let facts = Arc::new(analyse(text)?);
        let by_form = matches!(facts.statements.as_slice(), [statement] if !statement.literals_matter);
        match form_hash {
            Some(hash) if by_form && self.form != text.as_bytes() => self.forms.put(hash, &self.form, &facts),
            _ => self.texts.put(text_hash, text.as_bytes(), &facts),
        }
        if self.form.capacity() > SCRATCH_BYTES_MAX {
            self.form = Vec::new();
        }
        Ok(facts)
    }

    /// The facts of exactly this text, with its own spans.
    ///
    /// # Errors
    /// The text is not understood.
    pub fn exact(&self, text: &str) -> Result<Facts, NotUnderstood> {
        analyse(text)
    }

    /// Entries held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len() + self.forms.len()
    }

    /// Nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A larger normal form gives its memory back.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

/// Keys are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Map = HashMap<u64, Entry, BuildHasherDefault<Hashed>>;

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    facts: Arc<Facts>,
    bytes: usize,
}

#[derive(Debug)]
struct Generations {
    young: Map,
    old: Map,
    young_bytes: usize,
    entries_max: usize,
    bytes_max: usize,
}

impl Generations {
    fn new(entries: usize, bytes: usize) -> Self {
        let entries_max = (entries / 2).max(1);
        let map = || Map::with_capacity_and_hasher(entries_max, BuildHasherDefault::default());
        Self { young: map(), old: map(), young_bytes: 0, entries_max, bytes_max: bytes / 2 }
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn get(&mut self, hash: u64, key: &[u8]) -> Option<Arc<Facts>> {
        if let Some(entry) = self.young.get(&hash) {
            return (*entry.key == *key).then(|| entry.facts.clone());
        }
        if *self.old.get(&hash)?.key != *key {
            return None;
        }
        let entry = self.old.remove(&hash)?;
        let facts = entry.facts.clone();
        self.insert(hash, entry);
        Some(facts)
    }

    fn put(&mut self, hash: u64, key: &[u8], facts: &Arc<Facts>) {
        let bytes = key.len() + weight(facts);
        if bytes <= self.bytes_max {
            self.insert(hash, Entry { key: key.into(), facts: facts.clone(), bytes });
        }
    }

    fn insert(&mut self, hash: u64, entry: Entry) {
        if self.young.len() >= self.entries_max || self.young_bytes + entry.bytes > self.bytes_max {
            self.old.clear();
            std::mem::swap(&mut self.young, &mut self.old);
            self.young_bytes = 0;
        }
        self.young_bytes += entry.bytes;
        if let Some(replaced) = self.young.insert(hash, entry) {
            self.young_bytes -= replaced.bytes;
        }
    }
}

/// Memory of facts, about.
fn weight(facts: &Facts) -> usize {
    let statements = facts.statements.iter().map(|s| {
        let graph = &s.graph;
        let names = graph.leaves.len() + graph.ranges.len() * 2 + s.relations.len() * 2 + s.functions.len() * 2;
        size_of_val(&**s)
            + graph.leaves.len() * size_of::<crate::graph::Leaf>()
            + graph.queries.len() * (size_of::<crate::graph::Query>() + size_of::<crate::graph::Output>())
            + graph.ranges.len() * size_of::<crate::graph::FromItem>()
            + s.relations.len() * size_of::<crate::facts::RelationUse>()
            + s.functions.len() * size_of::<crate::facts::FunctionUse>()
            + names * 32
    });
    size_of::<Entry>() + size_of::<Facts>() + statements.sum::<usize>()
}
