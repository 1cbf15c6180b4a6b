//! What a target's sessions wait for.

use policy::model::AuditMode;

/// How the records of a target's sessions become durable; strictest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// A statement that can change something goes upstream only when its intent is durable, and no byte reaches the
    /// client before a durable record covers it.
    #[default]
    Strict,
    /// Every statement goes upstream only when its intent is durable; the rest follows within moments.
    Intent,
    /// Everything follows within moments.
    Async,
    /// Statements that run are not recorded: for measuring what recording costs.
    Off,
}

impl Durability {
    /// The word in records and in configuration files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Intent => "intent",
            Self::Async => "async",
            Self::Off => "off",
        }
    }

    /// The mode that a word stands for.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Strict, Self::Intent, Self::Async, Self::Off].into_iter().find(|mode| mode.word() == word)
    }
}

impl From<AuditMode> for Durability {
    fn from(mode: AuditMode) -> Self {
        match mode {
            AuditMode::Strict => Self::Strict,
            AuditMode::Intent => Self::Intent,
            AuditMode::Async => Self::Async,
        }
    }
}
