//! What could carry a protected value past its column, and what every column of a result has to be.
//!
//! The lineage of a statement says which columns of the catalog enter each output, and which columns choose rows, are
//! stored, or enter something that can fail. An output that is a protected column and nothing else is redacted by its
//! rule; one that total functions made of it becomes NULL; any other use of a protected column refuses the statement.
//! A column of a relation that the catalog does not know counts as unclassified, and a name that nothing explains as
//! worse. Deliberately absent: rows, and what the server says of its result (see `plan`).

use std::cell::RefCell;
use std::sync::Arc;

use lineage::facts::FunctionStanding;
use lineage::resolve::{self, Column, Derivation, How, Resolved, Source, Stored, Use, Value};
use lineage::{Effects, RelationUse, Span, Statement};

use crate::admit::Grant;
use crate::decide::Names;
use crate::glob;
use crate::model::{ClassId, Mode};
use crate::refusal::{Refusal, code};
use crate::role::Treatment;
use crate::system;

/// What a column of a result has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// What becomes of its values.
    pub(crate) treatment: Treatment,
    /// The columns it is made of.
    pub(crate) columns: Vec<(u32, u32)>,
    /// A relation that the catalog does not know may be behind it.
    pub(crate) stranger: bool,
    /// Nothing in the catalog explains it.
    pub(crate) missing: bool,
    /// It stands for any number of columns.
    pub(crate) many: bool,
}

/// What guarding a statement found.
#[derive(Debug, Default)]
pub(crate) struct Guarded {
    /// It touches something protected.
    pub(crate) guarded: bool,
    pub(crate) expected: Option<Arc<[Expected]>>,
    pub(crate) comparisons: Vec<(ClassId, u32)>,
    /// Refusals that the role's mode made into NULL.
    pub(crate) softened: Vec<Refusal>,
}

impl Grant {
    /// Whether the statement touches anything protected; refused if it could carry it away.
    pub(crate) fn guard(&self, statement: &Statement, names: &dyn Names) -> Result<Guarded, Refusal> {
        self.code(statement)?;
        let mut guarded = false;
        let mut strangers = false;
        for used in &statement.relations {
            let known = self.epoch.candidates(used, names.by_path()).next().is_some();
            let system = resolve::is_system(used);
            if (system || !known) && system::leaks(used) {
                return Err(Refusal::new(
                    code::SYSTEM_RELATION,
                    "default:system-relation",
                    format!("{} shows values and statements of others", used.name),
                )
                .hint("other system relations can be read")
                .at(used.span.start));
            }
            guarded |= used.name == "pg_stat_activity" || self.has_guarded(used);
            strangers |= !known && !system && used.read && !names.temporary(&used.name);
            guarded |=
                self.epoch.candidates(used, names.by_path()).any(|r| self.view.guarded.get(r).copied().unwrap_or(true));
        }
        if strangers && self.view.unclassified == Treatment::Refuse(None) {
            return Err(Refusal::new(
                code::UNCLASSIFIED,
                "default:unclassified",
                "the statement reads a relation that the catalog does not know",
            )
            .hint("the catalog is refreshed from time to time; a new relation needs classified columns first"));
        }
        if !(guarded || (strangers && self.view.unclassified != Treatment::Clear)) {
            return Ok(Guarded::default());
        }
        if is_unmasked_copy(statement) {
            return Err(Refusal::new(
                code::COPY_OUT,
                "default:copy-out",
                "COPY TO of a relation with protected columns, written in a way that cannot be masked",
            )
            .hint("COPY … TO STDOUT in UTF8 and with the default NULL is masked; or SELECT the rows")
            .at(statement.span.start));
        }
        if guarded && statement.effects.intersects(Effects::ALTER) {
            return Err(self.definition(statement));
        }
        let resolved = resolve::resolve(statement, &self.epoch.index, names.by_path()).map_err(|_| {
            Refusal::new(
                code::UNKNOWN_CONSTRUCT,
                "default:unknown-construct",
                "the statement is too large or nested too deeply to be followed",
            )
            .hint("write it as several statements")
            .at(statement.span.start)
        })?;
        let judge = Judge { grant: self, statement, names, softened: RefCell::default() };
        judge.all(&resolved)
    }

    /// It is all of a schema, or of what somebody owns, and something protected may be in it: under another schema's name the
    /// rules might not know it.
    fn has_guarded(&self, used: &RelationUse) -> bool {
        let mut each = self.epoch.relations.iter().zip(&self.view.guarded);
        used.name == RelationUse::EVERYTHING
            && each.any(|(r, guarded)| *guarded && used.schema.as_ref().is_none_or(|schema| *schema == r.schema))
    }

    /// The rows of another statement may go into an object.
    pub(crate) fn storable(&self, statement: &Statement, rows: &Guarded) -> Result<(), Refusal> {
        let expected = rows.expected.as_deref().unwrap_or(&[]);
        match expected.iter().find(|e| e.treatment != Treatment::Clear || e.missing) {
            None => Ok(()),
            Some(e) => Err(Refusal::new(
                code::COPIED,
                self.reason(e.treatment),
                "the prepared statement returns a protected column, which would be copied into an object",
            )
            .hint("protected columns cannot be copied; run the statement by itself: they are returned masked")
            .at(statement.span.start)),
        }
    }

    fn definition(&self, statement: &Statement) -> Refusal {
        Refusal::new(
            code::DEFINITION,
            "default:definition",
            format!("{} of or over a relation with protected columns", statement.kind),
        )
        .hint("ask somebody who sees its columns in the clear")
        .at(statement.span.start)
    }

    /// Code that cannot be looked into.
    fn code(&self, statement: &Statement) -> Result<(), Refusal> {
        let opaque = [(Effects::DO, "DO blocks"), (Effects::CALL, "CALL"), (Effects::CREATE_CODE, "creating code")];
        for (effect, what) in opaque {
            if statement.effects.intersects(effect) {
                return Err(Refusal::new(
                    code::CODE,
                    "default:code",
                    format!("{what}: the gateway cannot see what the code reads"),
                )
                .hint("write the statement itself")
                .at(statement.span.start));
            }
        }
        if let Some(operator) = statement.operators.iter().find(|o| self.epoch.made.contains(*o)) {
            return Err(Refusal::new(
                code::CODE,
                "default:function",
                format!("the operator {operator} is also the name of one that somebody made in this database"),
            )
            .hint("write OPERATOR(pg_catalog.…), or connect with a role that sees everything")
            .at(statement.span.start));
        }
        for function in &statement.functions {
            let trusted = || {
                self.rules().is_some_and(|r| {
                    r.trusted_functions.iter().any(|g| match &function.schema {
                        Some(schema) => glob::matches(g, &format!("{schema}.{}", function.name)),
                        // Which schema an unqualified name means is the server's to say; creating one there is refused.
                        None => glob::matches(g.rsplit('.').next().unwrap_or(g), &function.name),
                    })
                })
            };
            let what = match function.standing {
                // The server prefers the one whose arguments fit better, wherever it is.
                FunctionStanding::Known
                    if function.schema.is_none() && self.epoch.made.contains(&function.name) && !trusted() =>
                {
                    "is also the name of one that somebody made in this database"
                }
                FunctionStanding::Known => continue,
                FunctionStanding::Unknown if trusted() => continue,
                FunctionStanding::Unknown => "is not one that the gateway knows",
                FunctionStanding::Dangerous => "reaches beyond the statement",
            };
            return Err(Refusal::new(code::CODE, "default:function", format!("the function {} {what}", function.name))
                .hint(
                    "write pg_catalog. before a built-in; a rule file can list others under the role's trusted functions",
                )
                .at(function.span.start));
        }
        Ok(())
    }

    /// Refusal of a column that may not be returned at all.
    pub(crate) fn refuse_output(
        &self,
        source: crate::epoch::Source,
        derived: bool,
        name: &str,
        at: Option<u32>,
    ) -> Refusal {
        let treatment = if derived { Treatment::Derived(source) } else { Treatment::Refuse(source) };
        let rule = self.reason(treatment);
        let (code, message) = match (derived, source) {
            (true, _) => (code::DERIVED, format!("the column {name} of a view is computed from protected columns")),
            (false, Some(_)) => (code::REFUSED_CLASS, format!("the column {name} is not shown to your role")),
            (false, None) => (code::UNCLASSIFIED, format!("the column {name} has not been classified")),
        };
        let mut refusal =
            Refusal::new(code, rule, message).hint("leave the column out; name the columns instead of `*`");
        refusal.position = at;
        refusal
    }

    /// The rule behind a treatment: the class, or the default for what is unclassified.
    pub(crate) fn reason(&self, treatment: Treatment) -> String {
        let class = match treatment {
            Treatment::Redact(_, class) => Some(class),
            Treatment::Refuse(source) | Treatment::Derived(source) | Treatment::Null(source) => source,
            Treatment::Clear | Treatment::Mask => None,
        };
        let name = class.and_then(|c| self.epoch.bundle().model().classes.get(usize::from(c))).map(|c| c.name.as_str());
        name.map_or_else(|| "default:unclassified".to_owned(), |n| format!("class:{n}"))
    }

    /// A rule allows to compare columns of this class with constants.
    pub(crate) fn compares(&self, class: ClassId) -> bool {
        self.rules().is_some_and(|r| r.comparisons.iter().any(|c| c.class == class))
    }

    /// What becomes of a column of the catalog.
    pub(crate) fn treatment(&self, relation: u32, column: u32) -> Treatment {
        let of = self.view.treatments.get(relation as usize).and_then(|t| t.get(column as usize));
        of.copied().unwrap_or(Treatment::Refuse(None))
    }

    /// What becomes of an output, without regard for what cannot be returned at all.
    pub(crate) fn treatment_of(&self, value: &Value) -> Treatment {
        let mut found: Vec<Treatment> = Vec::new();
        let mut open = false;
        for source in value.sources.as_slice() {
            let treatment = match source {
                Source::Column(relation, column) => self.treatment(*relation, *column),
                Source::Stranger | Source::Missing => self.view.unclassified,
                Source::Others => Treatment::Mask,
            };
            if treatment == Treatment::Clear {
                open = true;
            } else if !found.contains(&treatment) {
                found.push(treatment);
            }
        }
        found.sort_by_key(|t| rank(*t));
        let Some(first) = found.first().copied() else { return Treatment::Clear };
        let source = match first {
            Treatment::Redact(_, class) => Some(class),
            Treatment::Refuse(source) | Treatment::Derived(source) | Treatment::Null(source) => source,
            Treatment::Clear | Treatment::Mask => None,
        };
        if matches!(first, Treatment::Derived(_) | Treatment::Refuse(_)) {
            return first;
        }
        match value.derivation {
            Derivation::Direct | Derivation::Merged if found.len() == 1 => first,
            Derivation::Direct | Derivation::Merged | Derivation::Total => Treatment::Null(source),
            Derivation::Company if !open => Treatment::Null(source),
            Derivation::Company | Derivation::Aggregated | Derivation::Computed => Treatment::Derived(source),
        }
    }
}

/// A COPY TO STDOUT without a query to stand for its rows, by whose plan they could be masked.
fn is_unmasked_copy(statement: &Statement) -> bool {
    statement.effects.intersects(Effects::COPY_OUT) && statement.copy_out.is_none()
}

/// Most restrictive first.
pub(crate) const fn rank(treatment: Treatment) -> u8 {
    match treatment {
        Treatment::Derived(_) => 0,
        Treatment::Refuse(_) => 1,
        Treatment::Null(_) => 2,
        Treatment::Redact(..) => 3,
        Treatment::Mask => 4,
        Treatment::Clear => 5,
    }
}

/// One statement being judged for a grant.
struct Judge<'a> {
    grant: &'a Grant,
    statement: &'a Statement,
    names: &'a dyn Names,
    softened: RefCell<Vec<Refusal>>,
}

impl Judge<'_> {
    fn all(&self, resolved: &Resolved) -> Result<Guarded, Refusal> {
        let mut comparisons: Vec<(ClassId, u32)> = Vec::new();
        for used in &resolved.uses {
            self.used(used, &mut comparisons)?;
        }
        for stored in &resolved.stores {
            self.stored(stored)?;
        }
        let mut expected = Vec::with_capacity(resolved.outputs.len());
        for column in &resolved.outputs {
            expected.push(self.output(column)?);
        }
        Ok(Guarded { guarded: true, expected: Some(expected.into()), comparisons, softened: self.softened.take() })
    }

    /// A relation that is not in the catalog, and that this session did not make, is behind the source.
    fn is_strange(&self, source: Source) -> bool {
        source == Source::Stranger
            && self.statement.relations.iter().any(|r| {
                self.grant.epoch.candidates(r, self.names.by_path()).next().is_none()
                    && !resolve::is_system(r)
                    && !self.names.temporary(&r.name)
            })
    }

    fn treatment(&self, source: Source) -> Treatment {
        match source {
            Source::Column(relation, column) => self.grant.treatment(relation, column),
            Source::Stranger if self.is_strange(source) => self.grant.view.unclassified,
            Source::Stranger => Treatment::Clear,
            Source::Missing => Treatment::Refuse(None),
            Source::Others => Treatment::Mask,
        }
    }

    fn name(&self, source: Source) -> Option<&str> {
        let Source::Column(relation, column) = source else { return None };
        let relation = self.grant.epoch.relations.get(relation as usize)?;
        relation.columns.get(column as usize).map(|c| c.name.as_str())
    }

    fn used(&self, used: &Use, comparisons: &mut Vec<(ClassId, u32)>) -> Result<(), Refusal> {
        let worst = used.sources.as_slice().iter().map(|s| (*s, self.treatment(*s))).min_by_key(|(_, t)| rank(*t));
        let Some((source, treatment)) = worst.filter(|(_, t)| *t != Treatment::Clear) else { return Ok(()) };
        if used.equals > 0
            && let Treatment::Redact(_, class) = treatment
            && used.sources.as_slice().len() == 1
            && self.grant.compares(class)
        {
            comparisons.push((class, used.equals));
            return Ok(());
        }
        let refusal = self.refuse_use(used, source, treatment);
        // What is computed for a result is NULL in the result, where rules are being introduced.
        let computed = used.output && used.how == How::Computed && !used.whole_row;
        let hidden = !matches!(treatment, Treatment::Refuse(_)) && matches!(source, Source::Column(..));
        if self.grant.mode == Mode::Migrate && computed && hidden {
            self.soften(refusal);
            return Ok(());
        }
        Err(refusal)
    }

    fn soften(&self, refusal: Refusal) {
        let mut softened = self.softened.borrow_mut();
        if !softened.iter().any(|r| r.message == refusal.message) {
            softened.push(refusal);
        }
    }

    fn refuse_use(&self, used: &Use, source: Source, treatment: Treatment) -> Refusal {
        let (code, how) = match used.how {
            How::Computed => (code::EXPRESSION, "used in an expression that can fail or depend on its value"),
            How::Shaping => (code::SHAPING, "used to choose, group or order rows"),
            How::Stored => (code::COPIED, "copied into an object"),
        };
        let at = |refusal: Refusal, span: Span| if span == Span::default() { refusal } else { refusal.at(span.start) };
        let rule = self.grant.reason(treatment);
        let refusal = match source {
            Source::Missing => Refusal::new(
                code::UNATTRIBUTED,
                "default:unattributed",
                format!(
                    "a name that the catalog does not explain is {how}, and the statement touches protected columns"
                ),
            )
            .hint("check its spelling; a new column is known after the catalog's next refresh"),
            Source::Stranger => Refusal::new(
                code::UNCLASSIFIED,
                "default:unclassified",
                format!("a column of a relation that the catalog does not know is {how}"),
            )
            .hint("select the column by itself"),
            Source::Others => Refusal::new(
                code::SYSTEM_RELATION,
                "default:system-relation",
                format!("the text of other sessions' statements is {how}"),
            )
            .hint("the other columns of pg_stat_activity can be used"),
            Source::Column(..) if used.whole_row => Refusal::new(
                code::WHOLE_ROW,
                "default:whole-row",
                format!("every column of a relation with protected columns is {how}"),
            )
            .hint("name the columns that are needed"),
            Source::Column(..) => {
                let column = self.name(source).unwrap_or("?");
                let hint = match (treatment, used.how) {
                    (Treatment::Refuse(_), _) => "leave the column out",
                    (Treatment::Derived(_) | Treatment::Null(_), _) => "select its other columns",
                    (_, How::Stored) => {
                        "protected columns cannot be copied; select the column by itself: it is returned masked"
                    }
                    (_, How::Shaping) => {
                        "choose, group and order by other columns; select this one by itself: it is returned masked"
                    }
                    (_, How::Computed) => "select the column by itself: it is returned masked",
                };
                let code =
                    if matches!(treatment, Treatment::Derived(_) | Treatment::Null(_)) { code::DERIVED } else { code };
                Refusal::new(code, rule, format!("the protected column {column} is {how}")).hint(hint)
            }
        };
        at(refusal, used.span)
    }

    /// Rows that go into an object: nothing protected, unless into a column that is protected the same way.
    fn stored(&self, stored: &Stored) -> Result<(), Refusal> {
        // ON CONFLICT DO UPDATE can put what was proposed for one column into another.
        let moved = self.statement.effects.intersects(Effects::UPDATE.with(Effects::MERGE));
        let targets = if moved { None } else { self.target_columns(stored) };
        for (i, column) in stored.columns.iter().enumerate() {
            let own = targets.as_ref().and_then(|t| t.get(i)).copied();
            let protected = column.value.sources.as_slice().iter().map(|s| (*s, self.treatment(*s)));
            let worst = protected.filter(|(_, t)| *t != Treatment::Clear).min_by_key(|(_, t)| rank(*t));
            let Some((source, treatment)) = worst else { continue };
            let same = matches!(treatment, Treatment::Redact(..)) && own == Some(treatment) && !column.many;
            if same && column.value.derivation <= Derivation::Merged {
                continue;
            }
            if self.statement.effects.intersects(Effects::CREATE_VIEW) {
                return Err(self.grant.definition(self.statement));
            }
            let span = if column.span == Span::default() { stored.span } else { column.span };
            let used = Use {
                sources: column.value.sources.clone(),
                how: How::Stored,
                equals: 0,
                whole_row: false,
                output: false,
                span,
            };
            return Err(self.refuse_use(&used, source, treatment));
        }
        Ok(())
    }

    /// What the columns written are protected by, in the order of the rows; `None` if that is not certain.
    fn target_columns(&self, stored: &Stored) -> Option<Vec<Treatment>> {
        let used = self.statement.relations.get(stored.relation? as usize)?;
        let mut candidates = self.grant.epoch.candidates(used, self.names.by_path());
        let (relation, None) = (candidates.next()?, candidates.next()) else { return None };
        let columns = &self.grant.epoch.relations.get(relation)?.columns;
        let treatment = |i: usize| Some(self.grant.treatment(u32::try_from(relation).ok()?, u32::try_from(i).ok()?));
        if stored.names.is_empty() {
            return (0..columns.len()).map(treatment).collect();
        }
        stored.names.iter().map(|n| treatment(columns.iter().position(|c| c.name == *n)?)).collect()
    }

    fn output(&self, column: &Column) -> Result<Expected, Refusal> {
        let sources = column.value.sources.as_slice();
        let strange = sources.iter().any(|s| self.is_strange(*s));
        let stranger = sources.contains(&Source::Stranger);
        let missing = sources.contains(&Source::Missing);
        let mut treatment = self.grant.treatment_of(&column.value);
        if stranger && !strange && sources.len() == 1 {
            treatment = Treatment::Clear;
        }
        let refused = match treatment {
            // What the server says of the column decides.
            _ if missing || (stranger && sources.len() == 1) || column.many => None,
            Treatment::Refuse(source) => Some(self.grant.refuse_output(source, false, self.named(column), None)),
            Treatment::Derived(source) if self.grant.mode == Mode::Migrate => {
                self.soften(self.refuse_derived(column, source));
                treatment = Treatment::Null(source);
                None
            }
            Treatment::Derived(source) => Some(self.refuse_derived(column, source)),
            Treatment::Clear | Treatment::Redact(..) | Treatment::Mask | Treatment::Null(_) => None,
        };
        if let Some(refusal) = refused {
            return Err(if column.span == Span::default() { refusal } else { refusal.at(column.span.start) });
        }
        let columns = sources.iter().filter_map(|s| match s {
            Source::Column(relation, column) => Some((*relation, *column)),
            Source::Stranger | Source::Missing | Source::Others => None,
        });
        Ok(Expected { treatment, columns: columns.collect(), stranger, missing, many: column.many })
    }

    fn named<'a>(&self, column: &'a Column) -> &'a str {
        column.name.as_deref().unwrap_or("?column?")
    }

    fn refuse_derived(&self, column: &Column, source: crate::epoch::Source) -> Refusal {
        // A view's own column, carried; or something made here.
        if column.value.derivation <= Derivation::Merged {
            return self.grant.refuse_output(source, true, self.named(column), None);
        }
        let rule = self.grant.reason(Treatment::Derived(source));
        let from = column.value.sources.as_slice().iter().find(|s| self.treatment(**s) != Treatment::Clear);
        let from = from.and_then(|s| self.name(*s)).unwrap_or("?");
        let how = match column.value.derivation {
            Derivation::Aggregated => "an aggregate that shows values of it",
            _ => "an expression that can fail or depend on its value",
        };
        Refusal::new(code::EXPRESSION, rule, format!("the protected column {from} is used in {how}"))
            .hint("select the column by itself: it is returned masked; count(*) and count(column) are allowed")
    }
}
