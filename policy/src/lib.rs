//! The runtime half of policy: a compiled bundle, and the three questions asked of it.
//!
//! * [`Bundle::admit`]: may this identity use this target, and as what role? → [`Grant`]
//! * [`decide`](Grant::decide): may this statement run? → [`Decision`]
//! * [`plan`](Grant::plan): what becomes of each result column? → [`Plan`], applied value by value by [`Plan::redact`].
//!
//! Pure: no IO, no clocks, no logging. Deliberately absent: wire framing (protocols do that), rule-file syntax
//! (policy-compiler does that).

pub mod model;

pub use model::Model;
