//! What is known of a value: the columns it comes from and what happened to them.

use std::rc::Rc;

use crate::graph::{Path, Wants};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A column: index of the relation in the catalog and of the column in it.
    Column(u32, u32),
    /// A column of a relation that the catalog does not know.
    Stranger,
    /// A name that means nothing in the catalog.
    Missing,
    /// Statements of other sessions.
    Others,
}

/// Sources, sorted and distinct; most values have at most one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sources {
    /// Nothing but constants.
    #[default]
    None,
    /// One.
    One(Source),
    /// Several.
    Many(Rc<[Source]>),
}

impl Sources {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Source] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::None, all) | (all, Self::None) => all.clone(),
            (a, b) if a == b => a.clone(),
            (a, b) => {
                let mut all: Vec<Source> = a.as_slice().iter().chain(b.as_slice()).copied().collect();
                all.sort_unstable();
                all.dedup();
                Self::Many(all.into())
            }
        }
    }
}

/// How a value was made of its sources; later ones hide less of them, or can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Derivation {
    /// One source, unchanged (or no source at all).
    Direct,
    /// Unchanged, but from one of several places: the arms of a set operation, merged join columns.
    Merged,
    /// Through functions that return for every value.
    Total,
    /// The same, if every source is as protected as the others; else it can fail.
    Company,
    /// Some values stand for many.
    Aggregated,
    /// Anything else.
    Computed,
}

/// The type of a value, as far as functions care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A character string.
    Text,
    /// A date or timestamp.
    Date,
    /// Another single value.
    Scalar,
    /// An array, a document, a row, or not known.
    Other,
}

impl Kind {
    /// Of a built-in type (`pg_type.oid`).
    #[must_use]
    pub const fn of(type_oid: u32) -> Self {
        match type_oid {
            // name, text, bpchar, varchar
            19 | 25 | 1042 | 1043 => Self::Text,
            // date, timestamp, timestamptz
            1082 | 1114 | 1184 => Self::Date,
            // bool, int8, int2, int4, oid, float4, float8, money, time, timetz, interval, numeric, uuid, inet, cidr, macaddr
            16 | 20 | 21 | 23 | 26 | 700 | 701 | 790 | 1083 | 1266 | 1186 | 1700 | 2950 | 869 | 650 | 829 => {
                Self::Scalar
            }
            _ => Self::Other,
        }
    }

    const fn fits(self, wants: Wants) -> bool {
        match wants {
            Wants::Anything | Wants::Company => !matches!(self, Self::Other),
            Wants::Text => matches!(self, Self::Text),
            Wants::Date => matches!(self, Self::Date),
        }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Every column that enters.
    pub sources: Sources,
    /// How.
    pub derivation: Derivation,
    /// Type, as far as known.
    pub kind: Kind,
}

impl Value {
    pub(super) const CLEAR: Self = Self { sources: Sources::None, derivation: Derivation::Direct, kind: Kind::Other };

    pub(super) const fn direct(source: Source, kind: Kind) -> Self {
        Self { sources: Sources::One(source), derivation: Derivation::Direct, kind }
    }

    /// One of the two.
    pub(super) fn merged(&self, other: &Self) -> Self {
        if self == other {
            return self.clone();
        }
        let kind = match (&self.sources, &other.sources) {
            (Sources::None, _) => other.kind,
            (_, Sources::None) => self.kind,
            _ if self.kind == other.kind => self.kind,
            _ => Kind::Other,
        };
        let derivation = self.derivation.max(other.derivation).max(Derivation::Merged);
        Self { sources: self.sources.union(&other.sources), derivation, kind }
    }

    /// Made of both.
    pub(super) fn with(&self, other: &Self) -> Self {
        Self { kind: Kind::Other, ..self.merged(other) }
    }

    pub(super) fn computed(self) -> Self {
        self.at_least(Derivation::Computed, Kind::Other)
    }

    pub(super) fn at_least(self, derivation: Derivation, kind: Kind) -> Self {
        Self { derivation: self.derivation.max(derivation), kind, sources: self.sources }
    }

    /// After what happens on the way.
    pub(super) fn along(self, path: Path) -> Self {
        match path {
            Path::Carried => self,
            Path::Counted => Self::CLEAR,
            Path::Aggregated => self.at_least(Derivation::Aggregated, Kind::Other),
            Path::Computed => self.computed(),
            // What a total function gives is a string, or is not looked at again.
            Path::Total(Wants::Company) if self.kind.fits(Wants::Company) => {
                self.at_least(Derivation::Company, Kind::Text)
            }
            Path::Total(wants) if self.kind.fits(wants) => self.at_least(Derivation::Total, Kind::Text),
            Path::Total(_) => self.computed(),
        }
    }
}
