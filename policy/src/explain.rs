//! What a statement's outputs become, from facts and catalog alone: for reports, without a server.

use lineage::resolve::{self, Column, Derivation, Source};
use lineage::{Span, Statement};

use crate::admit::Grant;
use crate::epoch::Marking;
use crate::model::{ClassId, Mode, Redaction, Unclassified};
use crate::role::Treatment;

/// What becomes of one output column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is passed as it is.
    Clear,
    /// It is redacted by this entry of the model.
    Redacted(u16),
    /// It becomes NULL, because nobody classified it or because it is computed from something protected.
    Masked,
    /// The statement is refused.
    Refused,
}

/// A column that an output is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Schema, relation and column.
    pub column: [String; 3],
    /// Its class.
    pub class: Option<ClassId>,
    /// Index of the binding that gave the class, or that declared the column clear.
    pub binding: Option<u32>,
    /// The columns of tables that a view's column is made of: schema, relation, column.
    pub made_of: Vec<[String; 3]>,
    /// It is protected from this role.
    pub protected: bool,
}

/// One output column and what decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOutput {
    /// Name in the result, `?column?` if neither text nor catalog decides it.
    pub output: String,
    /// Where it comes from.
    pub origins: Vec<Origin>,
    /// How it is made of them.
    pub derivation: Derivation,
    /// A relation that the catalog does not know, or a name that it does not explain, is behind it.
    pub unknown: bool,
    /// It stands for any number of columns.
    pub many: bool,
    /// What becomes of it.
    pub fate: Fate,
    /// The class that decides.
    pub class: Option<ClassId>,
    /// Where in the statement.
    pub span: Span,
}

impl Grant {
    /// What each output of `statement` becomes, stars expanded from the catalog. Empty for a statement without rows, and
    /// for one that cannot be followed, which is refused.
    #[must_use]
    pub fn plan_columns(&self, statement: &Statement) -> Vec<PlannedOutput> {
        let resolved = resolve::resolve(statement, &self.epoch.index, true).unwrap_or_default();
        resolved.outputs.iter().map(|c| self.planned(c)).collect()
    }

    fn planned(&self, column: &Column) -> PlannedOutput {
        let treatment = self.treatment_of(&column.value);
        let (fate, class) = match treatment {
            Treatment::Clear => (Fate::Clear, None),
            Treatment::Redact(id, class) => (Fate::Redacted(id), Some(class)),
            Treatment::Mask => (Fate::Masked, None),
            Treatment::Null(class) => (Fate::Masked, class),
            Treatment::Derived(class) if self.mode == Mode::Migrate => (Fate::Masked, class),
            Treatment::Refuse(class) | Treatment::Derived(class) => (Fate::Refused, class),
        };
        let sources = column.value.sources.as_slice();
        let origins: Vec<Origin> = sources.iter().filter_map(|s| self.origin(*s)).collect();
        let class = class.or_else(|| origins.iter().find_map(|o| o.class));
        PlannedOutput {
            output: column.name.as_deref().unwrap_or("?column?").to_owned(),
            unknown: origins.len() < sources.len(),
            origins,
            derivation: column.value.derivation,
            many: column.many,
            fate,
            class,
            span: column.span,
        }
    }

    fn full_name(&self, relation: u32, column: u32) -> Option<[String; 3]> {
        let relation = self.epoch.relations.get(relation as usize)?;
        let column = relation.columns.get(column as usize)?;
        Some([relation.schema.clone(), relation.name.clone(), column.name.clone()])
    }

    fn origin(&self, source: Source) -> Option<Origin> {
        let Source::Column(r, c) = source else { return None };
        let column = self.epoch.relations.get(r as usize)?.columns.get(c as usize)?;
        let mut made_of = Vec::new();
        self.bases(r, c, 0, &mut made_of);
        let class = match &column.marking {
            Marking::Class(class) => Some(*class),
            Marking::Derived { from, .. } => from.iter().flatten().next().copied(),
            Marking::Clear | Marking::Unclassified => None,
        };
        let protected = self.treatment(r, c) != Treatment::Clear;
        Some(Origin { column: self.full_name(r, c)?, class, binding: column.binding, made_of, protected })
    }

    /// The columns of tables behind a view's column.
    fn bases(&self, relation: u32, column: u32, depth: usize, bases: &mut Vec<[String; 3]>) {
        let of = self.epoch.relations.get(relation as usize).and_then(|r| r.columns.get(column as usize));
        let made_of = of.map_or(&[][..], |c| c.made_of.as_slice());
        for (r, c) in made_of {
            let deeper = self.epoch.relations.get(*r as usize).and_then(|r| r.columns.get(*c as usize));
            if depth < 16 && deeper.is_some_and(|d| !d.made_of.is_empty()) {
                self.bases(*r, *c, depth + 1, bases);
            } else if let Some(name) = self.full_name(*r, *c)
                && !bases.contains(&name)
            {
                bases.push(name);
            }
        }
    }

    /// What becomes of a column that nobody classified.
    #[must_use]
    pub fn unclassified(&self) -> Fate {
        match self.rules().map(|r| r.unclassified) {
            Some(Unclassified::Clear) => Fate::Clear,
            Some(Unclassified::Mask) => Fate::Masked,
            Some(Unclassified::Refuse) | None => Fate::Refused,
        }
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
