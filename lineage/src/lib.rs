//! Statement understanding: SQL text in, facts out.
//!
//! Facts say what a statement does (effects), what it touches (relations, functions) and how columns travel from tables
//! to the result. They are computed from the engine's own grammar and never guess: a construct that is not understood
//! sets [`Effects::UNKNOWN`].
//!
//! Deliberately absent: rules, identities, catalogs of live servers (only the data type [`catalog::Catalog`]), IO, clocks.

pub mod cache;
pub mod catalog;
pub mod facts;
pub mod functions;
pub mod grammar;
pub mod graph;
mod lex;
pub mod normalise;
pub mod resolve;
mod walk;

pub use cache::FactsCache;
pub use catalog::Catalog;
pub use facts::{
    CopyOut, Effects, Facts, FunctionUse, Kind, NotUnderstood, ObjectName, RelationUse, SessionUse, Span, Statement,
};
pub use grammar::analyse;
pub use normalise::normalise;
