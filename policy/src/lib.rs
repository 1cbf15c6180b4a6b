//! The runtime half of policy: a compiled bundle, and the three questions asked of it.
//!
//! * [`admit`]: may this identity use this target, and as what role? → [`Grant`]
//! * [`decide`](Grant::decide): may this statement run? → [`Decision`]
//! * [`plan`](Grant::plan): what becomes of each result column? → [`Plan`], applied value by value by [`Plan::redact`].
//!
//! A [`Bundle`] is loaded once per set of rules; an [`Epoch`] is the bundle made concrete for one target's live catalog.
//! Pure: no IO, no clocks, no logging. Deliberately absent: wire framing (protocols do that), rule-file syntax
//! (policy-compiler does that).

mod admit;
mod automaton;
mod budget;
mod bundle;
mod dates;
mod decide;
mod epoch;
mod explain;
pub mod glob;
mod guard;
pub mod ledger;
pub mod model;
mod numeric;
mod plan;
mod redact;
mod refusal;
mod role;
pub mod scan;
mod session_rules;
mod shapes;
mod system;

pub use admit::{Grant, Identity, admit, preview};
pub use budget::{Spending, used_up};
pub use bundle::{BuildError, Bundle, LoadError};
pub use decide::{Allowed, Decision, Names};
pub use epoch::{Epoch, Keys, deciding_binding};
pub use explain::{Fate, Origin, PlannedOutput};
pub use model::Model;
pub use plan::{ColumnShape, Plan, PlannedColumn};
pub use redact::{Format, Grows, Redacted};
pub use refusal::{Refusal, code};
