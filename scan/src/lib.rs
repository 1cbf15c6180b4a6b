//! Finding identifiers in free text: by shape, checksum or context word, and by lists of words.
//!
//! Pure and total: any bytes may come in, time is linear in them, and every hit lies inside them. A backstop for prose and
//! never a boundary. Deliberately absent: what becomes of a hit (`policy` does that), rule files, and every language but
//! English for most context words.

mod automaton;
mod context;
pub mod dates;
mod detector;
mod dictionary;
mod fills;
mod find;
mod likely;
mod marks;
mod planes;
mod shapes;
mod sift;
mod unicode;
#[cfg(target_arch = "x86_64")]
mod wide_planes;
mod words;

pub use automaton::{Automaton, TooLarge, is_word, whole_word};
pub use detector::Detector;
pub use fills::{FILLED_MAX, Unfilled, fill_short};
pub use find::{Hit, Shapes, batch, collect, find, unite};
pub use unicode::Folded;
pub use words::{FEW, Words};
