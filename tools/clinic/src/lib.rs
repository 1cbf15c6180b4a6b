//! A made-up clinic: the database that the quick start, the tests and the load harness run against.
//!
//! Every row is a pure function of the seed and a row number, so the same options give the same bytes on any machine and a
//! table can refer to another without anything being kept. Nothing in it is, or is drawn from, real data: names come from
//! short lists, telephone numbers use the 555 exchange, mail addresses the reserved example domains.
//! It deliberately knows nothing of rules or redactions.

mod calendar;
mod lists;
mod note;
mod patient;
mod script;

pub use patient::Patient;
pub use script::{Options, write};

/// SplitMix64: one well-mixed number per (seed, stream, row), and more where a row needs more.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, stream: u64, row: u64) -> Self {
        let mut dice =
            Self(seed ^ stream.wrapping_mul(0xA076_1D64_78BD_642F) ^ row.wrapping_mul(0xE703_7ED1_A0B4_28DB));
        dice.next();
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let index = self.next() as usize % list.len();
        &list[index]
    }
}
