//! What a statement's outputs become, from facts and catalog alone: for reports, without a server.

use lineage::{Derivation, Statement};

use crate::admit::Grant;
use crate::epoch::{MarkedColumn, MarkedRelation, Marking};
use crate::model::{ClassId, Redaction, Unclassified};
use crate::role::Treatment;

/// What becomes of one output column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is passed as it is.
    Clear,
    /// It is redacted by this entry of the model.
    Redacted(u16),
    /// It becomes NULL, because nobody classified it.
    Masked,
    /// The statement is refused.
    Refused,
}

/// One output column and what decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOutput {
    /// Name in the result, `?column?` if the text does not decide it.
    pub output: String,
    /// `schema.relation.column` it comes from, if it is a column.
    pub column: Option<String>,
    /// What becomes of it.
    pub fate: Fate,
    /// Its class.
    pub class: Option<ClassId>,
    /// Index of the binding that gave the class.
    pub binding: Option<u32>,
    /// Line of that binding in the rule file; of the role for the default of what is unclassified; 0 if neither.
    pub line: u32,
}

impl Grant {
    /// What each output of `statement` becomes. Stars are expanded from the catalog; a name that several relations have is
    /// taken from the one that its qualifier names, else from the most protected.
    #[must_use]
    pub fn plan_columns(&self, statement: &Statement) -> Vec<PlannedOutput> {
        let mut all = Vec::new();
        for output in &statement.outputs {
            match &output.derivation {
                Derivation::Expression => all.push(PlannedOutput {
                    output: output.name.clone().unwrap_or_else(|| "?column?".to_owned()),
                    column: None,
                    fate: Fate::Clear,
                    class: None,
                    binding: None,
                    line: 0,
                }),
                Derivation::Direct { qualifier, column } => {
                    let name = output.name.clone().unwrap_or_else(|| column.clone());
                    all.push(self.direct(statement, qualifier.as_deref(), column, name));
                }
                Derivation::Star { qualifier } => {
                    for (r, relation) in self.read(statement, qualifier.as_deref()) {
                        for (c, column) in relation.columns.iter().enumerate() {
                            all.push(self.fate(r, c, relation, column, column.name.clone()));
                        }
                    }
                }
            }
        }
        all
    }

    /// Relations read, or only the one the qualifier names if it names one.
    fn read<'a>(&'a self, statement: &'a Statement, qualifier: Option<&str>) -> Vec<(usize, &'a MarkedRelation)> {
        let named: Vec<_> = statement
            .relations
            .iter()
            .filter(|u| u.read)
            .flat_map(|u| self.epoch.candidates(u))
            .filter_map(|r| Some((r, self.epoch.relations.get(r)?)))
            .collect();
        let own: Vec<_> = named.iter().filter(|(_, r)| Some(r.name.as_str()) == qualifier).copied().collect();
        if own.is_empty() { named } else { own }
    }

    fn direct(&self, statement: &Statement, qualifier: Option<&str>, column: &str, output: String) -> PlannedOutput {
        // Backwards over the renames of nested queries.
        let mut names = vec![column];
        let mut i = 0;
        while let Some(name) = names.get(i).copied() {
            for (from, to) in &statement.renames {
                if let Some(from) = from
                    && to == name
                    && !names.contains(&from.as_str())
                {
                    names.push(from);
                }
            }
            i += 1;
        }
        let mut best: Option<PlannedOutput> = None;
        for (r, relation) in self.read(statement, qualifier) {
            for (c, marked) in relation.columns.iter().enumerate().filter(|(_, c)| names.contains(&c.name.as_str())) {
                let one = self.fate(r, c, relation, marked, output.clone());
                if best.as_ref().is_none_or(|b| rank(&one.fate) > rank(&b.fate)) {
                    best = Some(one);
                }
            }
        }
        best.unwrap_or_else(|| {
            let (fate, line) = self.unclassified();
            PlannedOutput { output, column: None, fate, class: None, binding: None, line }
        })
    }

    fn unclassified(&self) -> (Fate, u32) {
        let Some(rules) = self.rules() else { return (Fate::Refused, 0) };
        let fate = match rules.unclassified {
            Unclassified::Clear => Fate::Clear,
            Unclassified::Mask => Fate::Masked,
            Unclassified::Refuse => Fate::Refused,
        };
        (fate, rules.line)
    }

    fn fate(
        &self,
        r: usize,
        c: usize,
        relation: &MarkedRelation,
        column: &MarkedColumn,
        output: String,
    ) -> PlannedOutput {
        let treatment = self.view.treatments.get(r).and_then(|t| t.get(c)).copied().unwrap_or(Treatment::Refuse(None));
        let (fate, class) = match treatment {
            Treatment::Clear => (Fate::Clear, None),
            Treatment::Redact(id, class) => (Fate::Redacted(id), Some(class)),
            Treatment::Mask => (Fate::Masked, None),
            Treatment::Refuse(class) | Treatment::Derived(class) => (Fate::Refused, class),
        };
        let class = if let Marking::Class(own) = column.marking { Some(own) } else { class };
        let model = self.epoch.bundle().model();
        let binding = column.binding.and_then(|b| model.bindings.get(usize::try_from(b).ok()?));
        let line = match (binding, &column.marking) {
            (Some(binding), _) => binding.line,
            (None, Marking::Unclassified) => self.unclassified().1,
            (None, _) => 0,
        };
        let from = format!("{}.{}.{}", relation.schema, relation.name, column.name);
        PlannedOutput { output, column: Some(from), fate, class, binding: column.binding, line }
    }

    /// The redaction of a fate.
    #[must_use]
    pub fn redaction(&self, fate: &Fate) -> Option<&Redaction> {
        match fate {
            Fate::Redacted(id) => self.epoch.bundle().model().redactions.get(usize::from(*id)),
            Fate::Clear | Fate::Masked | Fate::Refused => None,
        }
    }
}

const fn rank(fate: &Fate) -> u8 {
    match fate {
        Fate::Clear => 0,
        Fate::Redacted(_) => 1,
        Fate::Masked => 2,
        Fate::Refused => 3,
    }
}
