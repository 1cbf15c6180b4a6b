//! What whoever verifies brings along: nodes and their keys, witnesses, and how many of them must have seen a log.
//!
//! `trust.json` is strict: a name that is not known is refused, since a misspelt key would otherwise be no key. The witness
//! policy has the lines of C2SP `tlog-policy`: `log`, `witness`, `group`, `quorum`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::note::VerifierKey;

/// Longest policy or trust file, bytes.
pub(crate) const FILE_MAX: u64 = 1 << 20;

/// A node that has a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name of its log.
    pub origin: String,
    /// Keys that may sign it; others follow by rotation.
    pub keys: Vec<VerifierKey>,
}

/// What is trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The nodes: all that exist, and no others.
    pub nodes: Vec<Node>,
    /// Witnesses.
    pub witnesses: Vec<VerifierKey>,
    /// Keys of those who may sign orders to destroy keys.
    pub officers: Vec<VerifierKey>,
    /// Somebody elsewhere must have seen the log at least this often, seconds.
    pub anchor_max_age_s: Option<u64>,
}

impl Trust {
    /// Reads `trust.json`.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut trust = Self::default();
        for (name, value) in object(&value, "the file")? {
            match name.as_str() {
                "nodes" => {
                    for node in list(value, name)? {
                        trust.nodes.push(node_of(node)?);
                    }
                }
                "witnesses" => trust.witnesses = keys(value, name)?,
                "officers" => trust.officers = keys(value, name)?,
                "anchor_max_age_s" => {
                    trust.anchor_max_age_s = Some(value.as_u64().ok_or("anchor_max_age_s is not a number of seconds")?);
                }
                other => {
                    return Err(format!(
                        "{other} is not known; known are nodes, witnesses, officers, anchor_max_age_s"
                    ));
                }
            }
        }
        Ok(trust)
    }
}

fn object<'v>(value: &'v Value, name: &str) -> Result<&'v serde_json::Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{name} is not an object"))
}

fn list<'v>(value: &'v Value, name: &str) -> Result<&'v Vec<Value>, String> {
    value.as_array().ok_or_else(|| format!("{name} is not a list"))
}

fn keys(value: &Value, name: &str) -> Result<Vec<VerifierKey>, String> {
    list(value, name)?
        .iter()
        .map(|key| VerifierKey::parse(key.as_str().ok_or_else(|| format!("{name} has something that is no text"))?))
        .collect()
}

fn node_of(value: &Value) -> Result<Node, String> {
    let mut node = Node { origin: String::new(), keys: Vec::new() };
    for (name, value) in object(value, "a node")? {
        match name.as_str() {
            "origin" => value.as_str().unwrap_or_default().clone_into(&mut node.origin),
            "keys" => node.keys = keys(value, name)?,
            other => return Err(format!("{other} of a node is not known; known are origin, keys")),
        }
    }
    if node.origin.is_empty() {
        return Err("a node has no origin".to_owned());
    }
    Ok(node)
}

/// Which witnesses must have seen a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WitnessPolicy {
    /// Keys of logs.
    pub logs: Vec<VerifierKey>,
    /// Witnesses by name.
    pub witnesses: BTreeMap<String, VerifierKey>,
    /// Groups by name: how many of which members.
    groups: BTreeMap<String, (usize, Vec<String>)>,
    quorum: Option<String>,
}

impl WitnessPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// In words, which line is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut policy = Self::default();
        let mut decided = false;
        for (line, number) in text.lines().zip(1..) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let wrong = |why: &str| Err(format!("line {number}: {why}"));
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["log", key] | ["log", key, _] => {
                    policy.logs.push(VerifierKey::parse(key).map_err(|why| format!("line {number}: {why}"))?);
                }
                ["witness", name, key] | ["witness", name, key, _] => {
                    let key = VerifierKey::parse(key).map_err(|why| format!("line {number}: {why}"))?;
                    if !key.is_witness() {
                        return wrong("the key is not a witness's");
                    }
                    if policy.is_known(name) || policy.witnesses.insert((*name).to_owned(), key).is_some() {
                        return wrong("the name is taken");
                    }
                }
                ["group", name, threshold, members @ ..] => {
                    if policy.is_known(name) || members.is_empty() || !members.iter().all(|one| policy.is_known(one)) {
                        return wrong("a group needs a new name, and members that stand above it");
                    }
                    let threshold = match *threshold {
                        "any" => 1,
                        "all" => members.len(),
                        number => number.parse().unwrap_or(0),
                    };
                    if threshold == 0 || threshold > members.len() {
                        return wrong("the number must be any, all, or from 1 to the members");
                    }
                    let members = members.iter().map(|&one| one.to_owned()).collect();
                    policy.groups.insert((*name).to_owned(), (threshold, members));
                }
                ["quorum", name] if !decided => {
                    if *name != "none" && !policy.is_known(name) {
                        return wrong("the quorum is not a name that stands above it");
                    }
                    decided = true;
                    policy.quorum = Some((*name).to_owned()).filter(|name| name != "none");
                }
                _ => return wrong("expected log, witness, group or one quorum"),
            }
        }
        if decided { Ok(policy) } else { Err("the policy names no quorum".to_owned()) }
    }

    fn is_known(&self, name: &str) -> bool {
        self.witnesses.contains_key(name) || self.groups.contains_key(name)
    }

    /// Does the policy ask for anything?
    #[must_use]
    pub fn asks(&self) -> bool {
        self.quorum.is_some()
    }

    /// Do these witnesses suffice?
    #[must_use]
    pub fn is_met(&self, seen: &[&VerifierKey]) -> bool {
        self.quorum.as_ref().is_none_or(|name| self.counts(name, seen))
    }

    /// Groups have members that stand above them, so this ends.
    fn counts(&self, name: &str, seen: &[&VerifierKey]) -> bool {
        if let Some(key) = self.witnesses.get(name) {
            return seen.contains(&key);
        }
        self.groups
            .get(name)
            .is_some_and(|(least, members)| members.iter().filter(|one| self.counts(one, seen)).count() >= *least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "example.org/log+af27a6d9+AbS3SdL37tBwQZVTKiZq2EC5lXxYHnzjS0dbxkABxXmX";

    #[test]
    fn mistakes_are_named() {
        for (text, words) in [
            ("[]", "not an object"),
            (r#"{"node": []}"#, "node is not known"),
            (r#"{"nodes": [{"origin": "a", "key": "b"}]}"#, "key of a node is not known"),
            (r#"{"nodes": [{"keys": []}]}"#, "no origin"),
            (r#"{"witnesses": ["x"]}"#, "NAME+ID+KEY"),
        ] {
            let why = Trust::parse(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
        assert_eq!(Trust::parse("{\"anchor_max_age_s\": 60}").unwrap().anchor_max_age_s, Some(60));
        for (text, words) in [
            ("", "no quorum"),
            ("quorum w", "not a name"),
            ("group g 2 a b\nquorum g", "members that stand above"),
            ("frobnicate", "expected log"),
            (LOG, "expected log"),
        ] {
            let why = WitnessPolicy::parse(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
        assert!(!WitnessPolicy::parse("# none\nquorum none\n").unwrap().asks());
    }
}
