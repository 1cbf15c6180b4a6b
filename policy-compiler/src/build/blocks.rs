//! `block`: statements that are refused. Every condition that is written must match.

use policy::model::{Block, Pattern};

use super::Build;
use crate::diagnostic::Diagnostic;
use crate::pattern;
use crate::read::{Fields, shorten};
use crate::selector;
use crate::source::Place;
use crate::words::{self, did_you_mean};
use crate::yaml::Node;

const WORD_BYTES_MAX: usize = 64;
const PROSE_BYTES_MAX: usize = 500;
/// The gateway's own rules have this prefix in refusals.
const RESERVED_PREFIX: &str = "default";

impl Build<'_> {
    pub(super) fn blocks(&mut self, written: &[&Node]) {
        for node in written {
            self.block(node);
        }
    }

    fn block(&mut self, node: &Node) {
        let Some(fields) = Fields::of(node, words::BLOCK, "a blocking rule", self.report) else { return };
        let (rule, place) = self.conditions(node, &fields, &["effects", "objects", "words", "patterns"], "refuse");
        self.model.blocks.push(rule);
        self.origins.blocks.push(place);
    }

    /// Name, conditions and words of a blocking or holding rule.
    pub(super) fn conditions(
        &mut self,
        node: &Node,
        fields: &Fields<'_>,
        conditions: &[&str],
        verb: &str,
    ) -> (Block, Place) {
        let name = fields.text("name", self.report).unwrap_or_default().to_owned();
        let place = fields.get("name").map_or(node.place, |n| n.place);
        if !name.is_empty() && (!super::name_is_fit(&name) || name == RESERVED_PREFIX) {
            let message = format!("`{}` cannot be the name of a rule", shorten(&name));
            self.error(place, message, "use letters, digits, `-` and `_`; `default` names the gateway's own rules");
        }
        let names = self.model.blocks.iter().zip(&self.origins.blocks);
        let of_holds = self.model.holds.iter().map(|hold| &hold.rule).zip(&self.origins.holds);
        if let Some((_, first)) = names.chain(of_holds).find(|(b, _)| !name.is_empty() && b.name == name) {
            let first = *first;
            self.report.push(
                Diagnostic::error(place, format!("two rules are called `{name}`"))
                    .also(first, "the first one")
                    .fix("rename one; refusals and the audit log name the rule"),
            );
        }
        let effects = self.effects(fields);
        let mut objects = Vec::new();
        for (text, place) in fields.texts("objects", self.report) {
            match selector::object(text) {
                Ok(s) => {
                    self.names_target(&s, place);
                    objects.push(s);
                }
                Err((why, fix)) => self.error(place, why, fix),
            }
        }
        let search = self.search_words(fields);
        let mut patterns = Vec::new();
        for (text, place) in fields.texts("patterns", self.report) {
            match pattern::check(text) {
                Ok(literal) => patterns.push(Pattern { expression: text.to_owned(), literal }),
                Err((why, fix)) => self.error(place, why, fix),
            }
        }
        let roles = self.role_names(fields, "roles");
        let except = self.role_names(fields, "except");
        if !roles.is_empty() && roles.iter().all(|r| except.contains(r) || except.iter().any(|e| e == "*")) {
            self.report.push(
                Diagnostic::warning(
                    place,
                    format!("rule `{name}` never applies: every role in `roles` is also in `except`"),
                )
                .fix("remove one of the two"),
            );
        }
        if conditions.iter().all(|c| fields.get(c).is_none()) {
            let message = format!("rule `{name}` has no condition, so it would {verb} every statement");
            self.error(place, message, "add `effects`, `objects`, `words` or `patterns`");
        }
        for condition in conditions {
            let empty = |n: &Node| matches!(&n.value, crate::yaml::Value::List(l) if l.is_empty());
            if let Some(list) = fields.get(condition).filter(|n| empty(n)) {
                let message = format!("`{condition}` is empty; an empty condition would match everything");
                self.error(list.place, message, "remove the key, or say what it should match");
            }
        }
        let message = self.prose(fields, "message");
        let hint = self.prose(fields, "hint");
        let line = node.place.line;
        let rule = Block { name, effects, objects, words: search, patterns, roles, except, message, hint, line };
        (rule, place)
    }

    fn effects(&mut self, fields: &Fields<'_>) -> u64 {
        let mut bits = 0;
        for (name, place) in fields.texts("effects", self.report) {
            match lineage::Effects::named(name) {
                Some(e) => bits |= e.0,
                None => {
                    let names: Vec<_> = words::effects().collect();
                    let fix = did_you_mean(name, names.iter().copied());
                    self.report
                        .push(Diagnostic::error(place, format!("unknown effect `{}`", shorten(name))).fix_maybe(fix));
                }
            }
        }
        bits
    }

    fn search_words(&mut self, fields: &Fields<'_>) -> Vec<String> {
        let mut found = Vec::new();
        for (word, place) in fields.texts("words", self.report) {
            let fit =
                word.len() <= WORD_BYTES_MAX && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
            if fit {
                found.push(word.to_ascii_lowercase());
            } else {
                self.error(
                    place,
                    format!(
                        "`{}` is not one word (letters, digits, `_`, `$`; at most {WORD_BYTES_MAX})",
                        shorten(word)
                    ),
                    "use `patterns` for several words or other characters",
                );
            }
        }
        found.sort();
        found.dedup();
        found
    }

    fn prose(&mut self, fields: &Fields<'_>, key: &str) -> Option<String> {
        let text = fields.text(key, self.report)?;
        let place = fields.get(key).map_or(fields.place, |n| n.place);
        if text.len() > PROSE_BYTES_MAX || text.contains('\0') {
            self.error(place, format!("`{key}` is longer than {PROSE_BYTES_MAX} bytes"), "keep it to a sentence");
            return None;
        }
        Some(text.trim_end().to_owned())
    }
}
