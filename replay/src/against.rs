//! What another bundle would have decided: every statement of the log judged again, in the order of its session.
//!
//! The decision is the runtime's own, on a catalog snapshot; the names that a session's statements made stand for what
//! they stood for then. Not replayed: budgets, which depend on what else was taken at the time, and the server's word on
//! the shape of results: columns that would be masked are those that statement and catalog tell of.

use crate::keyring::{KeyError, KeyRing};
use crate::log::Text;
use audit::record::SessionId;
use audit::render::{hex, printable};
use audit::{Body, Filter, ShowError};
use lineage::{Catalog, FactsCache};
use policy::model::Redaction;
use policy::{Bundle, Decision, Epoch, Fate, Grant, Keys};
use policy_compiler::Catalogs;
use sealing::SessionKey;
use serde_json::{Value, json};
use session::{Names, NamesOfText, copy_behind_moved_names, moves_path, word};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Texts whose facts are kept, and their bytes.
const FACTS_MAX: usize = 32_768;
const FACTS_BYTES_MAX: usize = 256 << 20;
/// Judgements kept by role, text and state of names.
const VERDICTS_MAX: usize = 65_536;
/// Different changes that are kept with their statements; the rest is only counted.
const CHANGES_MAX: usize = 10_000;
/// Statements of a session that wait for their results.
const WAITING_MAX: usize = 65_536;

/// A masked column: name, class, redaction.
type Masked = BTreeSet<(String, String, String)>;

/// What happens to a statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fortune {
    /// It runs; these columns are masked, if that is known.
    Runs(Option<Masked>),
    /// It does not: code and rule.
    Refused(String, String),
}

/// A statement to which something else would have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Target.
    pub target: String,
    /// Role.
    pub role: String,
    /// Its text; empty where the log has none.
    pub text: Vec<u8>,
    /// What happened.
    pub then: Fortune,
    /// What would have.
    pub now: Fortune,
    /// Statements like it.
    pub count: u64,
    /// Sessions that they are of.
    pub sessions: BTreeSet<SessionId>,
    /// The first one: session, number, time.
    pub first: (SessionId, u64, u64),
}

impl Change {
    /// In a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match (&self.then, &self.now) {
            (Fortune::Runs(_), Fortune::Refused(..)) => "refused",
            (Fortune::Refused(..), Fortune::Runs(_)) => "allowed",
            (Fortune::Refused(..), Fortune::Refused(..)) => "other-rule",
            (Fortune::Runs(_), Fortune::Runs(_)) => "masking",
        }
    }

    /// Columns that would be masked and were not, and the other way around.
    #[must_use]
    pub fn columns(&self) -> (Vec<String>, Vec<String>) {
        let (Fortune::Runs(Some(then)), Fortune::Runs(Some(now))) = (&self.then, &self.now) else {
            return Default::default();
        };
        let show = |(column, class, method): &(String, String, String)| format!("{column}:{class}:{method}");
        (now.difference(then).map(show).collect(), then.difference(now).map(show).collect())
    }
}

/// The outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Sessions looked at.
    pub sessions: u64,
    /// Statements judged.
    pub statements: u64,
    /// Statements to which the same would have happened.
    pub same: u64,
    /// Statements by the kind of change.
    pub changed: BTreeMap<&'static str, u64>,
    /// Changes, most frequent first.
    pub changes: Vec<Change>,
    /// Changed statements beyond those that `changes` holds.
    pub uncounted: u64,
    /// Statements that cannot be judged, by reason.
    pub unread: BTreeMap<String, u64>,
    /// Sessions whose role or target the bundle does not have.
    pub not_admitted: u64,
    /// Places of the log that could not be read.
    pub damage: Vec<String>,
}

impl Comparison {
    /// Nothing would have been otherwise.
    #[must_use]
    pub fn unchanged(&self) -> bool {
        self.changed.is_empty()
    }
}

/// The range of the log, and what may be known of it.
#[derive(Debug)]
pub struct Range<'a> {
    /// The audit directory.
    pub directory: &'a Path,
    /// Which records.
    pub filter: Filter,
    /// Opens what is sealed.
    pub keys: &'a KeyRing,
}

/// A bundle with catalogs, ready to decide.
pub struct Rules {
    bundle: Arc<Bundle>,
    epochs: Vec<Option<Arc<Epoch>>>,
}

impl Rules {
    /// Puts catalogs under a bundle. A target without a catalog is not judged.
    #[must_use]
    pub fn new(bundle: Arc<Bundle>, catalogs: &Catalogs) -> Self {
        let mut keys = Keys::new();
        for redaction in &bundle.model().redactions {
            if let Redaction::Token { key, .. } = redaction {
                keys.insert(key.as_str(), b"a stand-in; no value is redacted here".to_vec());
            }
        }
        let resolve =
            |target: usize, catalog: &Catalog| Arc::new(Epoch::resolve(Arc::clone(&bundle), target, catalog, &keys));
        let targets = 0..bundle.model().targets.len();
        let epochs = targets.map(|target| catalogs.of(target).map(|catalog| resolve(target, catalog))).collect();
        Self { bundle, epochs }
    }

    fn target(&self, name: &str) -> Option<(usize, &Option<Arc<Epoch>>)> {
        let index = self.bundle.model().targets.iter().position(|target| target.name == name)?;
        Some((index, self.epochs.get(index)?))
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("targets", &self.epochs.len()).finish_non_exhaustive()
    }
}

/// A statement that waits for its result.
struct Waiting {
    text: Rc<[u8]>,
    now: Fortune,
    statements: Vec<Arc<lineage::Statement>>,
    refused: Option<(String, String)>,
    wall_ns: u64,
}

/// A session under way.
struct Live {
    target: String,
    role: String,
    key: Result<SessionKey, KeyError>,
    /// `Err`: why its statements are not judged.
    grant: Result<Rc<Grant>, String>,
    names: Names,
    /// Nothing of the session's own can matter to a decision.
    plain: bool,
    waiting: BTreeMap<u64, Waiting>,
}

/// What was decided about a text for a role whose sessions have made no names.
type Verdicts = HashMap<(usize, String, Rc<[u8]>), (Fortune, Vec<Arc<lineage::Statement>>)>;

/// Changes of one kind: target, role, text, what happened and what would have.
type Kind = (String, String, Rc<[u8]>, Fortune, Fortune);

struct Judge<'a> {
    rules: &'a Rules,
    facts: FactsCache,
    grants: HashMap<(usize, String), Result<Rc<Grant>, String>>,
    verdicts: Verdicts,
    live: HashMap<SessionId, Live>,
    found: HashMap<Kind, Change>,
    out: Comparison,
}

/// Judges every statement of a range again.
///
/// # Errors
/// The log cannot be read at all.
pub fn compare(range: Range<'_>, rules: &Rules) -> Result<Comparison, ShowError> {
    let mut judge = Judge {
        rules,
        facts: FactsCache::new(FACTS_MAX, FACTS_BYTES_MAX),
        grants: HashMap::new(),
        verdicts: HashMap::new(),
        live: HashMap::new(),
        found: HashMap::new(),
        out: Comparison::default(),
    };
    // Sessions that began before the range are needed for who they are.
    let (since, until) = (range.filter.since_ns.unwrap_or(0), range.filter.until_ns.unwrap_or(u64::MAX));
    let filter = Filter { since_ns: None, until_ns: None, ..range.filter };
    for item in audit::show(range.directory, filter)? {
        match item {
            Ok(entry) => {
                let wall_ns = entry.record.clock.wall_ns;
                if wall_ns > until {
                    continue;
                }
                judge.take(entry.record.body, wall_ns, wall_ns >= since, range.keys);
            }
            Err(error) => judge.out.damage.push(error.to_string()),
        }
    }
    Ok(judge.finish())
}

impl Judge<'_> {
    fn take(&mut self, body: Body, wall_ns: u64, wanted: bool, keys: &KeyRing) {
        match body {
            Body::SessionOpen { session, actor, target, key, .. } => {
                let grant = self.grant(&target, &actor.role);
                let key = keys.key(session, &key);
                let live = Live {
                    target,
                    role: actor.role,
                    key,
                    grant,
                    names: Names::default(),
                    plain: true,
                    waiting: BTreeMap::new(),
                };
                self.live.insert(session, live);
                self.out.sessions += 1;
            }
            Body::SessionClose { session, .. } => {
                if let Some(live) = self.live.remove(&session) {
                    self.settle_all(session, live);
                }
            }
            Body::Intent { session, statement, text, sealed_text, .. } => {
                self.statement(session, statement, &Text::of(text, sealed_text), None, wall_ns, wanted);
            }
            Body::Block { session, statement, text, sealed_text, code, rule, .. } => {
                let text = Text::of(text, sealed_text);
                self.statement(session, statement, &text, Some((code, rule)), wall_ns, wanted);
            }
            Body::Result { session, statement, outcome, masked, .. } => {
                let masked = masked.into_iter().map(|m| (m.column, m.class, m.method)).collect();
                self.result(session, statement, &outcome, masked);
            }
            _ => {}
        }
    }

    /// The role's grant on a target under the new bundle.
    fn grant(&mut self, target: &str, role: &str) -> Result<Rc<Grant>, String> {
        let Some((index, epoch)) = self.rules.target(target) else {
            self.out.not_admitted += 1;
            return Err(format!("the bundle has no target `{target}`"));
        };
        let Some(epoch) = epoch else { return Err(format!("there is no catalog of target `{target}`")) };
        let grant = self.grants.entry((index, role.to_owned())).or_insert_with(|| {
            policy::preview(epoch, role).map(Rc::new).map_err(|refusal| format!("role `{role}`: {}", refusal.message))
        });
        let grant = grant.clone();
        self.out.not_admitted += u64::from(grant.is_err());
        grant
    }

    fn unread(&mut self, why: String) {
        *self.out.unread.entry(why).or_default() += 1;
    }

    fn statement(
        &mut self,
        session: SessionId,
        number: u64,
        text: &Text,
        refused: Option<(String, String)>,
        wall_ns: u64,
        wanted: bool,
    ) {
        let Some(mut live) = self.live.remove(&session) else {
            if wanted {
                self.unread("the beginning of its session is not in the log".to_owned());
            }
            return;
        };
        if let (Some(refused), Some(waiting)) = (&refused, live.waiting.get_mut(&number)) {
            // Refused when the shape of its result was known.
            waiting.refused = Some(refused.clone());
        } else {
            self.judge(session, &mut live, number, text, refused, wall_ns, wanted);
        }
        self.live.insert(session, live);
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one record")]
    fn judge(
        &mut self,
        session: SessionId,
        live: &mut Live,
        number: u64,
        text: &Text,
        refused: Option<(String, String)>,
        wall_ns: u64,
        wanted: bool,
    ) {
        let grant = match &live.grant {
            Ok(grant) => Rc::clone(grant),
            Err(why) => {
                if wanted {
                    self.unread(why.clone());
                }
                return;
            }
        };
        let text: Rc<[u8]> = match text.open(number, &live.key) {
            Ok(Some(text)) => text.into(),
            Ok(None) => {
                if wanted {
                    self.unread("the log has no text of it".to_owned());
                }
                return;
            }
            Err(error) => {
                if wanted {
                    self.unread(error.to_string());
                }
                return;
            }
        };
        let (now, statements) = self.decide(live, &grant, &text);
        let forwarded = refused.is_none();
        let waiting = Waiting { text, now, statements, refused, wall_ns };
        if !forwarded {
            if wanted {
                self.settle(session, number, live, &waiting, None);
            }
        } else if wanted || waiting.statements.iter().any(|s| makes_names(s)) {
            while live.waiting.len() >= WAITING_MAX {
                live.waiting.pop_first();
            }
            live.waiting.insert(number, waiting);
        }
    }

    fn decide(
        &mut self,
        live: &mut Live,
        grant: &Rc<Grant>,
        text: &Rc<[u8]>,
    ) -> (Fortune, Vec<Arc<lineage::Statement>>) {
        let target = grant.epoch().target();
        let key = (target, live.role.clone(), Rc::clone(text));
        if live.plain
            && let Some(known) = self.verdicts.get(&key)
        {
            return known.clone();
        }
        let verdict = judge_text(&mut self.facts, grant, &live.names, text);
        if verdict.1.iter().any(|s| moves_path(s)) {
            live.names.own_path = true;
            live.plain = false;
        }
        if live.plain {
            if self.verdicts.len() >= VERDICTS_MAX {
                self.verdicts.clear();
            }
            self.verdicts.insert(key, verdict.clone());
        }
        verdict
    }

    fn result(&mut self, session: SessionId, number: u64, outcome: &str, masked: Masked) {
        let Some(mut live) = self.live.remove(&session) else { return };
        if let Some(waiting) = live.waiting.remove(&number) {
            if outcome == "ok" {
                let text = String::from_utf8_lossy(&waiting.text);
                for statement in waiting.statements.iter().filter(|s| makes_names(s)) {
                    live.names.apply(statement, &text);
                    live.plain = false;
                }
            }
            // Without a shape nothing is known of masking: an error comes before it, often.
            let masked = matches!(outcome, "ok" | "suspended" | "budget").then_some(masked);
            self.settle(session, number, &live, &waiting, masked);
        }
        self.live.insert(session, live);
    }

    /// Compares what happened with what would have.
    fn settle(&mut self, session: SessionId, number: u64, live: &Live, waiting: &Waiting, masked: Option<Masked>) {
        let then = match &waiting.refused {
            Some((code, rule)) => Fortune::Refused(code.clone(), rule.clone()),
            None => Fortune::Runs(masked),
        };
        let now = match (&then, &waiting.now) {
            // Where the one is not known, the other is not compared.
            (Fortune::Runs(None), Fortune::Runs(_)) => Fortune::Runs(None),
            (_, now) => now.clone(),
        };
        let (then, now) = match (then, now) {
            (Fortune::Runs(_), Fortune::Runs(None)) => (Fortune::Runs(None), Fortune::Runs(None)),
            (Fortune::Runs(Some(then)), Fortune::Runs(Some(now))) => {
                let now = named(&then, now);
                (Fortune::Runs(Some(then)), Fortune::Runs(Some(now)))
            }
            other => other,
        };
        self.out.statements += 1;
        if then == now {
            self.out.same += 1;
            return;
        }
        let key = (live.target.clone(), live.role.clone(), Rc::clone(&waiting.text), then.clone(), now.clone());
        let first = (session, number, waiting.wall_ns);
        let room = self.found.len() < CHANGES_MAX;
        let kind = match self.found.get_mut(&key) {
            Some(change) => {
                change.count += 1;
                change.sessions.insert(session);
                change.kind()
            }
            None => {
                let (target, role, text) = (live.target.clone(), live.role.clone(), waiting.text.to_vec());
                let sessions = BTreeSet::from([session]);
                let change = Change { target, role, text, then, now, count: 1, sessions, first };
                let kind = change.kind();
                if room {
                    self.found.insert(key, change);
                } else {
                    self.out.uncounted += 1;
                }
                kind
            }
        };
        *self.out.changed.entry(kind).or_default() += 1;
    }

    /// A session is over: statements without a result ran, as far as anybody knows.
    fn settle_all(&mut self, session: SessionId, live: Live) {
        for (number, waiting) in &live.waiting {
            self.settle(session, *number, &live, waiting, None);
        }
    }

    fn finish(mut self) -> Comparison {
        for (session, live) in std::mem::take(&mut self.live) {
            self.settle_all(session, live);
        }
        let mut changes: Vec<Change> = self.found.into_values().collect();
        changes.sort_by(|a, b| (b.count, &a.first.2, &a.text).cmp(&(a.count, &b.first.2, &b.text)));
        Comparison { changes, ..self.out }
    }
}

/// What only the server names has no name in a prediction: there it takes that of a column with the same treatment.
fn named(then: &Masked, now: Masked) -> Masked {
    let (unnamed, mut now): (Vec<_>, Masked) = {
        let (unnamed, named): (Masked, Masked) = now.into_iter().partition(|(column, ..)| column == "?column?");
        (unnamed.into_iter().collect(), named)
    };
    for (column, class, method) in unnamed {
        let same: Vec<_> = then.iter().filter(|(_, c, m)| *c == class && *m == method).cloned().collect();
        let before = now.len();
        now.extend(same);
        if now.len() == before && !then.iter().any(|(_, c, m)| *c == class && *m == method) {
            now.insert((column, class, method));
        }
    }
    now
}

fn makes_names(statement: &lineage::Statement) -> bool {
    session::changes_names(statement) || moves_path(statement)
}

/// What the bundle does with a text.
fn judge_text(
    facts: &mut FactsCache,
    grant: &Grant,
    names: &Names,
    text: &[u8],
) -> (Fortune, Vec<Arc<lineage::Statement>>) {
    let refused = |refusal: &policy::Refusal| Fortune::Refused(refusal.code.to_owned(), refusal.rule.clone());
    let Ok(text) = std::str::from_utf8(text) else {
        return (Fortune::Refused(policy::code::ENCODING.to_owned(), "default:encoding".to_owned()), Vec::new());
    };
    let facts = match facts.get_or_analyse(text) {
        Ok(facts) => facts,
        Err(error) => return (refused(&policy::Refusal::not_understood(&error)), Vec::new()),
    };
    let own = NamesOfText { session: names, statements: &facts.statements, taken: &|_| false };
    let allowed = match grant.decide(text, &facts, &own) {
        Decision::Allow(allowed) => allowed,
        // What becomes of it depends on people: once they say so, it runs.
        Decision::Hold(allowed, _) => allowed,
        Decision::Refuse(refusal) => return (refused(&refusal), Vec::new()),
    };
    let observed = grant.mode() == policy::model::Mode::Observe;
    if !observed
        && !grant.sees_everything()
        && let Some(refusal) = copy_behind_moved_names(&facts, &allowed)
    {
        return (Fortune::Refused(refusal.code.to_owned(), refusal.rule), Vec::new());
    }
    let classes = &grant.epoch().bundle().model().classes;
    let (mut masked, mut certain) = (Masked::new(), true);
    for one in allowed.iter().filter(|_| !observed) {
        for column in grant.plan_columns(one.source()) {
            certain &= !column.many;
            if column.fate == Fate::Clear {
                continue;
            }
            let class = column.class.and_then(|class| classes.get(usize::from(class)));
            let class = class.map_or("unclassified", |class| class.name.as_str());
            let method = if column.fate == Fate::Refused { "refuse" } else { word(grant.redaction(&column.fate)) };
            masked.insert((column.output, class.to_owned(), method.to_owned()));
        }
    }
    (Fortune::Runs(certain.then_some(masked)), facts.statements.clone())
}

impl Comparison {
    /// For people: totals, then the changes, at most `most` of them.
    #[must_use]
    pub fn text(&self, most: usize) -> String {
        let p = |text: &str| printable(text.as_bytes());
        let mut out = format!(
            "{} statements of {} sessions judged again: {} the same, {} changed\n",
            self.statements,
            self.sessions,
            self.same,
            self.changed.values().sum::<u64>()
        );
        for (kind, count) in &self.changed {
            let words = match *kind {
                "refused" => "ran, and would be refused",
                "allowed" => "were refused, and would run",
                "masking" => "run, with other columns masked",
                _ => "are refused, for another reason",
            };
            out.push_str(&format!("  {count:>8} {words}\n"));
        }
        for (why, count) in &self.unread {
            out.push_str(&format!("  {count:>8} not judged: {}\n", p(why)));
        }
        if self.not_admitted > 0 {
            out.push_str(&format!("  {} sessions would not be admitted\n", self.not_admitted));
        }
        for place in &self.damage {
            out.push_str(&format!("!! {}\n", p(place)));
        }
        for change in self.changes.iter().take(most) {
            out.push_str(&format!(
                "\n{} × {} as {}: {}\n  {}\n",
                change.count,
                p(&change.target),
                p(&change.role),
                change.kind(),
                printable(&change.text)
            ));
            out.push_str(&format!("  then: {}\n  now:  {}\n", said(&change.then), said(&change.now)));
            let (more, less) = change.columns();
            for (word, columns) in [("masked only now", more), ("no longer masked so", less)] {
                if !columns.is_empty() {
                    out.push_str(&format!("  {word}: {}\n", p(&columns.join(", "))));
                }
            }
            let (session, number, _) = change.first;
            out.push_str(&format!("  first: session {} #{number}\n", hex(&session.0)));
        }
        let left = self.changes.len().saturating_sub(most) as u64;
        if left + self.uncounted > 0 {
            out.push_str(&format!(
                "\n{left} more kinds of statements, and {} statements, are not shown\n",
                self.uncounted
            ));
        }
        out
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let fortune = |fortune: &Fortune| match fortune {
            Fortune::Runs(masked) => json!({ "runs": true, "masked": masked }),
            Fortune::Refused(code, rule) => json!({ "runs": false, "code": code, "rule": rule }),
        };
        let changes = self.changes.iter().map(|change| {
            let (more, less) = change.columns();
            let (session, number, wall_ns) = change.first;
            json!({
                "kind": change.kind(), "count": change.count, "sessions": change.sessions.len(),
                "target": change.target, "role": change.role, "text": String::from_utf8_lossy(&change.text),
                "then": fortune(&change.then), "now": fortune(&change.now),
                "masked_only_now": more, "no_longer_masked": less,
                "first": { "session": hex(&session.0), "statement": number, "wall_ns": wall_ns.to_string() },
            })
        });
        json!({
            "sessions": self.sessions, "statements": self.statements, "same": self.same, "changed": self.changed,
            "not_judged": self.unread, "sessions_not_admitted": self.not_admitted, "damage": self.damage,
            "changes": changes.collect::<Vec<_>>(), "statements_not_listed": self.uncounted,
        })
    }
}

fn said(fortune: &Fortune) -> String {
    match fortune {
        Fortune::Refused(code, rule) => {
            format!("refused, {} by rule {}", printable(code.as_bytes()), printable(rule.as_bytes()))
        }
        Fortune::Runs(None) => "runs".to_owned(),
        Fortune::Runs(Some(masked)) if masked.is_empty() => "runs, nothing masked".to_owned(),
        Fortune::Runs(Some(masked)) => format!("runs, {} columns masked", masked.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(columns: &[(&str, &str, &str)]) -> Masked {
        columns.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
    }

    #[test]
    fn a_column_that_only_the_server_names_is_the_same_column() {
        let then = masked(&[("max", "ssn", "keep-last"), ("email", "email", "fill")]);
        let same = masked(&[("?column?", "ssn", "keep-last"), ("email", "email", "fill")]);
        assert_eq!(named(&then, same), then);
        let other = masked(&[("?column?", "ssn", "null"), ("email", "email", "fill")]);
        assert_ne!(named(&then, other.clone()), then);
        assert_eq!(named(&then, other.clone()), other);
    }

    #[test]
    fn changes_say_which_columns_they_are_about() {
        let change = |then, now| Change {
            target: "t".into(),
            role: "r".into(),
            text: b"select 1".to_vec(),
            then,
            now,
            count: 1,
            sessions: BTreeSet::new(),
            first: (SessionId([0; 16]), 1, 0),
        };
        let (then, now) = (masked(&[("a", "x", "null")]), masked(&[("b", "y", "fill")]));
        let masking = change(Fortune::Runs(Some(then)), Fortune::Runs(Some(now)));
        assert_eq!(masking.kind(), "masking");
        assert_eq!(masking.columns(), (vec!["b:y:fill".to_owned()], vec!["a:x:null".to_owned()]));
        let refused = || Fortune::Refused("TG1001".into(), "no".into());
        assert_eq!(change(Fortune::Runs(None), refused()).kind(), "refused");
        assert_eq!(change(refused(), Fortune::Runs(None)).kind(), "allowed");
        let mut all = Comparison { changes: vec![masking], ..Comparison::default() };
        all.changed.insert("masking", 1);
        assert!(!all.unchanged() && all.text(10).contains("masked only now: b:y:fill"));
        assert_eq!(all.json()["changes"][0]["kind"], "masking");
    }
}
