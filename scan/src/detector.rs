//! The names of what can be looked for, as rules and bundles refer to them.

use serde::{Deserialize, Serialize};

/// What the free-text scanner looks for. Shapes are built in; words come from lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detector {
    /// Social security numbers, and taxpayer numbers in their shape.
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
    /// URLs and host names.
    Url,
    /// US postal codes after a state or context word.
    Zip,
    /// Health plan and insurance numbers after a context word.
    Plan,
    /// Street addresses (a number, a name, and a word such as Street or Ave), and coordinates.
    Address,
    /// National provider identifiers.
    Npi,
    /// DEA registration numbers.
    Dea,
    /// Medicare beneficiary identifiers.
    Mbi,
    /// Bank account, routing and BIC numbers.
    Account,
    /// International bank account numbers.
    Iban,
    /// Vehicle identification numbers.
    Vin,
    /// Vehicle registration plates after a context word.
    Plate,
    /// Devices: IMEI, UDI, UUID, serial numbers after a context word.
    Device,
    /// Hardware addresses of network interfaces.
    Mac,
    /// Certificates and licences: driving, professional, passport and visa numbers.
    License,
    /// Any other identifying number or code: long numbers, codes with a prefix, account names, wallets, keys.
    Code,
    /// Words of the rules' word lists (index), as whole words, ASCII case-insensitive.
    Words(u16),
}

impl Detector {
    /// All shapes that are built in.
    pub const SHAPES: &'static [Self] = &[
        Self::Ssn,
        Self::Mrn,
        Self::Phone,
        Self::Email,
        Self::Card,
        Self::Date,
        Self::Age,
        Self::Ip,
        Self::Url,
        Self::Zip,
        Self::Plan,
        Self::Address,
        Self::Npi,
        Self::Dea,
        Self::Mbi,
        Self::Account,
        Self::Iban,
        Self::Vin,
        Self::Plate,
        Self::Device,
        Self::Mac,
        Self::License,
        Self::Code,
    ];
}
