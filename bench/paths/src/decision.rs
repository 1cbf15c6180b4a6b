//! A statement that was never seen: grammar, facts, lineage, rules.

use std::hint::black_box;

use policy::Decision;

use crate::clinic;

/// Decides [`clinic::JOINED`] as if it came for the first time.
///
/// # Panics
/// It is not understood or not allowed: the path is broken.
#[expect(clippy::expect_used, reason = "a path that does not work cannot be measured")]
pub fn cold() -> impl FnMut() {
    let epoch = clinic::epoch(Vec::new());
    let grant = clinic::grant(&epoch);
    move || {
        let text = black_box(clinic::JOINED);
        let facts = lineage::analyse(text).expect("it is understood");
        assert!(matches!(grant.decide(text, &facts, &()), Decision::Allow(_)), "it is allowed");
    }
}
