//! Which labels have a fixed shape, and which label a detector stands for.
//!
//! A label counts as structured if a person could tell it from its characters, or from the word before it, without knowing
//! the world: numbers, codes, addresses of machines, dates. Names, places, organisations, conditions and attributes are not.

use scan::Detector;

/// Labels of the clinical set with a fixed shape.
pub const STRUCTURED: &[&str] = &[
    "AGE",
    "API_KEY",
    "BANK_ACCOUNT_NUMBER",
    "BANK_ROUTING_NUMBER",
    "BIOMETRIC_ID",
    "CREDIT_CARD_NUMBER",
    "CRYPTOCURRENCY_ADDRESS",
    "DATE_OF_BIRTH",
    "DATE_OF_VISIT",
    "DEA_NUMBER",
    "DEVICE_IDENTIFIER",
    "DRIVER_LICENSE_NUMBER",
    "EMAIL_ADDRESS",
    "EMPLOYEE_ID",
    "HEALTH_INSURANCE_ID",
    "IBAN",
    "INSURANCE_POLICY_NUMBER",
    "IP_ADDRESS",
    "LATITUDE_LONGITUDE",
    "LICENSE_PLATE",
    "MAC_ADDRESS",
    "MEDICAL_RECORD_NUMBER",
    "NATIONAL_ID_NUMBER",
    "NPI_NUMBER",
    "PASSPORT_NUMBER",
    "PHONE_NUMBER",
    "POSTAL_CODE",
    "PRESCRIPTION_NUMBER",
    "SOCIAL_SECURITY_NUMBER",
    "SWIFT_BIC_CODE",
    "TAX_ID",
    "TIMESTAMP",
    "URL",
    "VEHICLE_IDENTIFICATION_NUMBER",
    "VISA_NUMBER",
];

/// Whether a label has a fixed shape.
#[must_use]
pub fn is_structured(kind: &str) -> bool {
    STRUCTURED.binary_search(&kind).is_ok()
}

/// The label under which the hits of a detector are counted.
#[must_use]
pub const fn stands_for(detector: Detector) -> &'static str {
    match detector {
        Detector::Ssn => "SOCIAL_SECURITY_NUMBER",
        Detector::Mrn => "MEDICAL_RECORD_NUMBER",
        Detector::Phone => "PHONE_NUMBER",
        Detector::Email => "EMAIL_ADDRESS",
        Detector::Card => "CREDIT_CARD_NUMBER",
        Detector::Date => "TIMESTAMP",
        Detector::Age => "AGE",
        Detector::Ip => "IP_ADDRESS",
        Detector::Url => "URL",
        Detector::Zip => "POSTAL_CODE",
        Detector::Plan => "HEALTH_INSURANCE_ID",
        Detector::Address => "STREET_ADDRESS",
        Detector::Npi => "NPI_NUMBER",
        Detector::Dea => "DEA_NUMBER",
        Detector::Mbi => "INSURANCE_POLICY_NUMBER",
        Detector::Account => "BANK_ACCOUNT_NUMBER",
        Detector::Iban => "IBAN",
        Detector::Vin => "VEHICLE_IDENTIFICATION_NUMBER",
        Detector::Plate => "LICENSE_PLATE",
        Detector::Device => "DEVICE_IDENTIFIER",
        Detector::Mac => "MAC_ADDRESS",
        Detector::License => "DRIVER_LICENSE_NUMBER",
        Detector::Code => "EMPLOYEE_ID",
        Detector::Words(_) => "PERSON_NAME",
    }
}

/// The label under which the hits of one of Presidio's recognisers are counted.
#[must_use]
pub fn presidio_stands_for(entity: &str) -> &'static str {
    match entity {
        "US_SSN" | "US_ITIN" => "SOCIAL_SECURITY_NUMBER",
        "PHONE_NUMBER" => "PHONE_NUMBER",
        "EMAIL_ADDRESS" => "EMAIL_ADDRESS",
        "CREDIT_CARD" => "CREDIT_CARD_NUMBER",
        "DATE_TIME" => "TIMESTAMP",
        "IP_ADDRESS" => "IP_ADDRESS",
        "MAC_ADDRESS" => "MAC_ADDRESS",
        "URL" => "URL",
        "US_BANK_NUMBER" => "BANK_ACCOUNT_NUMBER",
        "IBAN_CODE" => "IBAN",
        "US_DRIVER_LICENSE" => "DRIVER_LICENSE_NUMBER",
        "US_PASSPORT" => "PASSPORT_NUMBER",
        "MEDICAL_LICENSE" => "DEA_NUMBER",
        "CRYPTO" => "CRYPTOCURRENCY_ADDRESS",
        "UUID" => "DEVICE_IDENTIFIER",
        _ => "NATIONAL_ID_NUMBER",
    }
}

/// Why the cases of an entity do not apply; `None` if they do.
#[must_use]
pub fn does_not_apply(entity: &str) -> Option<&'static str> {
    match entity {
        "ABA_ROUTING_NUMBER" | "CREDIT_CARD" | "CRYPTO" | "DATE_TIME" | "EMAIL_ADDRESS" | "IBAN" | "IP_ADDRESS"
        | "MAC_ADDRESS" | "MEDICAL_LICENSE" | "PHONE" | "PH_MOBILE_NUMBER" | "TR_PHONE_NUMBER" | "URL" => None,
        "PERSON" => Some("names need a language model or a list"),
        "PATTERN" => Some("tests of the mechanism with made-up patterns"),
        us if us.starts_with("US_") => None,
        _ => Some("a number that another country gives out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_for_the_search() {
        assert!(STRUCTURED.is_sorted());
        assert!(is_structured("URL") && !is_structured("PERSON_NAME"));
    }
}
