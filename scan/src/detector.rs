//! The names of what can be looked for, as rules and bundles refer to them.

use serde::{Deserialize, Serialize};

/// What the free-text scanner looks for. Shapes are built in; words come from lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detector {
    /// Social security numbers.
    Ssn,
    /// Medical record numbers after a context word.
    Mrn,
    /// North American and international telephone numbers.
    Phone,
    /// Mail addresses.
    Email,
    /// Payment cards.
    Card,
    /// Calendar dates.
    Date,
    /// Ages over 89.
    Age,
    /// IPv4 and IPv6 addresses.
    Ip,
    /// URLs.
    Url,
    /// US postal codes after a state or context word.
    Zip,
    /// Health plan and insurance numbers after a context word.
    Plan,
    /// Street addresses: a number, a name, and a word such as Street or Ave.
    Address,
    /// Words of the rules' word lists (index), as whole words, ASCII case-insensitive.
    Words(u16),
}
