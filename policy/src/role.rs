//! What one role sees of one epoch, worked out once: the treatment of every column.

use crate::epoch::{Epoch, Marking, Source};
use crate::model::{ClassId, Redaction, RedactionId, Unclassified};

/// What happens to a column that is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    Clear,
    /// By this redaction of the model, because of this class.
    Redact(RedactionId, ClassId),
    /// NULL, because nobody classified it.
    Mask,
    /// The statement is refused: because of this class, or because nobody classified the column.
    Refuse(Source),
    /// NULL: a view computed it from something protected by functions that cannot fail.
    Null(Source),
    /// The statement is refused: a view computed it from something protected.
    Derived(Source),
}

/// Treatments of every column for one role.
#[derive(Debug)]
pub(crate) struct RoleView {
    /// Parallel to the epoch's relations and their columns.
    pub(crate) treatments: Vec<Vec<Treatment>>,
    /// Relations with a column that is not clear.
    pub(crate) guarded: Vec<bool>,
    /// Every class and everything unclassified is clear.
    pub(crate) everything: bool,
    pub(crate) unclassified: Treatment,
}

impl RoleView {
    pub(crate) fn new(epoch: &Epoch, role: usize) -> Self {
        let model = epoch.bundle().model();
        let Some(role) = model.roles.get(role) else {
            return Self {
                treatments: Vec::new(),
                guarded: Vec::new(),
                everything: false,
                unclassified: Treatment::Refuse(None),
            };
        };
        let unclassified = match role.unclassified {
            Unclassified::Clear => Treatment::Clear,
            Unclassified::Mask => Treatment::Mask,
            Unclassified::Refuse => Treatment::Refuse(None),
        };
        let class = |c: ClassId| {
            let id = role.treatment.get(usize::from(c)).copied().unwrap_or(RedactionId::MAX);
            match model.redactions.get(usize::from(id)) {
                Some(Redaction::Clear) => Treatment::Clear,
                Some(Redaction::Refuse) | None => Treatment::Refuse(Some(c)),
                Some(_) => Treatment::Redact(id, c),
            }
        };
        let source = |s: &Source| s.map_or(unclassified, class);
        let treat = |marking: &Marking| match marking {
            Marking::Class(c) => class(*c),
            Marking::Clear => Treatment::Clear,
            Marking::Unclassified => unclassified,
            Marking::Derived { from, total } => {
                let refused = |s: &&Source| matches!(source(s), Treatment::Refuse(_));
                let hidden = from.iter().find(refused).or_else(|| from.iter().find(|s| source(s) != Treatment::Clear));
                match hidden {
                    None => Treatment::Clear,
                    Some(s) if *total && !refused(&s) => Treatment::Null(*s),
                    Some(s) => Treatment::Derived(*s),
                }
            }
        };
        let treatments: Vec<Vec<Treatment>> =
            epoch.relations.iter().map(|r| r.columns.iter().map(|c| treat(&c.marking)).collect()).collect();
        let guarded = treatments.iter().map(|t| t.iter().any(|t| *t != Treatment::Clear)).collect();
        let classes = (0..model.classes.len()).filter_map(|c| ClassId::try_from(c).ok());
        let everything = unclassified == Treatment::Clear && classes.map(class).all(|t| t == Treatment::Clear);
        Self { treatments, guarded, everything, unclassified }
    }
}
