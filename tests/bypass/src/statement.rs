//! Random statements over a real schema, from a grammar, for the canary property test.
//!
//! A statement is a pure function of seed and number, so any one can be said again. A statement has a temper: most leave
//! protected columns alone or select them plainly, so that a good share is allowed and masks are exercised; the rest use
//! them anywhere. Literals never hold a protected value. It deliberately makes no timestamps by arithmetic and no large
//! numbers: those could equal a protected value by chance.

mod expression;
mod query;
mod schema;
mod work;

pub use expression::Kind;
pub use schema::{Column, Schema, Table};
pub use work::{Step, Work, work};

/// How a statement treats protected columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    /// Leaves them alone.
    Clean,
    /// Selects them as they are.
    Plain,
    /// Uses them anywhere.
    Hot,
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Numbers that depend on these two alone.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> Self {
        let mut dice = Self(seed ^ number.wrapping_mul(0xA076_1D64_78BD_642F));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// What a statement is made with.
#[derive(Debug)]
pub struct Maker<'a> {
    schema: &'a Schema,
    dice: Dice,
    temper: Temper,
    /// Values of parameters, where literals may become parameters.
    parameters: Option<Vec<String>>,
    names: usize,
    /// Common table expressions in reach.
    with: Vec<Table>,
}

impl<'a> Maker<'a> {
    fn new(schema: &'a Schema, mut dice: Dice) -> Self {
        let temper = match dice.below(100) {
            0..45 => Temper::Clean,
            45..65 => Temper::Plain,
            _ => Temper::Hot,
        };
        Self { schema, dice, temper, parameters: None, names: 0, with: Vec::new() }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }
}
