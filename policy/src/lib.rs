//! The runtime half of policy: a compiled bundle, and the three questions asked of it.
//!
//! * [`admit`]: may this identity use this target, and as what role? → [`Grant`]
//! * [`decide`](Grant::decide): may this statement run? → [`Decision`]
//! * [`plan`](Grant::plan): what becomes of each result column? → [`Plan`], applied value by value by [`Plan::redact`].
//!
//! A [`Bundle`] is loaded once per set of rules; an [`Epoch`] is the bundle made concrete for one target's live catalog.
//! Pure: no IO, no clocks, no logging. Deliberately absent: wire framing (protocols do that), rule-file syntax
//! (policy-compiler does that).

mod about;
mod admit;
mod array_values;
mod budget;
mod bundle;
mod byte_values;
mod constants;
mod decide;
mod epoch;
mod explain;
mod fills;
mod free_text;
pub mod glob;
mod guard;
mod in_place;
mod json_values;
pub mod ledger;
pub mod model;
mod number_values;
mod numeric;
mod pg_types;
mod plan;
mod reach;
mod reads;
mod redact;
mod refusal;
mod role;
mod session_rules;
mod system;

pub use about::About;
pub use admit::{Grant, GrantKey, Identity, admit, preview};
pub use budget::{Spending, used_up};
pub use bundle::{BuildError, Bundle, LoadError, number_pattern};
pub use decide::{Allowed, Decision, MadeBy, Names};
pub use epoch::{Epoch, Keys, deciding_binding};
pub use explain::{Fate, Origin, PlannedOutput};
pub use model::Model;
pub use plan::{ColumnShape, Plan, PlannedColumn};
pub use redact::{Format, Grows, Redacted};
pub use refusal::{Refusal, code};
