//! The built-in classes of `use: safe-harbor`: the eighteen kinds of identifiers of 45 CFR 164.514(b)(2)(i), A to R, with
//! the column names that usually hold them, and free text.
//!
//! A column whose comment has the word `class:NAME` is in that class. Names are deliberately narrow: a class that is bound to too much makes people switch the library off. A rule file adds
//! to a class by naming it, and overrules a name by a more specific selector or by `clear`.

use policy::model::Detector;

/// A class of the library.
#[derive(Clone, Copy, Debug)]
pub struct LibraryClass {
    /// Name.
    pub name: &'static str,
    /// Safe Harbor letter.
    pub identifier: Option<char>,
    /// One line.
    pub description: &'static str,
    /// Column names (globs), any target, schema and relation.
    pub columns: &'static [&'static str],
    /// For free text.
    pub detectors: &'static [Detector],
}

/// The only library so far.
pub const SAFE_HARBOR: &str = "safe-harbor";

const WHOLE: &[Detector] = &[];

macro_rules! class {
    ($name:literal, $id:expr, $what:literal, [$($column:literal),* $(,)?]) => {
        LibraryClass { name: $name, identifier: $id, description: $what, columns: &[$($column),*], detectors: WHOLE }
    };
}

/// The classes of [`SAFE_HARBOR`], in order of their letters.
pub const CLASSES: &[LibraryClass] = &[
    class!(
        "name",
        Some('A'),
        "Names of people",
        [
            "first_name",
            "last_name",
            "middle_name",
            "full_name",
            "patient_name",
            "surname",
            "given_name",
            "family_name",
            "maiden_name",
            "firstname",
            "lastname",
            "fname",
            "lname",
            "*_first_name",
            "*_last_name",
            "mother*_name",
            "guardian_name",
            "contact_name",
            "emergency_contact",
            "next_of_kin",
        ]
    ),
    class!(
        "address",
        Some('B'),
        "Geography smaller than a state, except ZIP codes",
        [
            "address",
            "address_line*",
            "address1",
            "address2",
            "*_address_line*",
            "street",
            "street_*",
            "home_address",
            "mailing_address",
            "postal_address",
            "city",
            "*_city",
            "county",
            "precinct",
            "latitude",
            "longitude",
            "geocode",
        ]
    ),
    class!(
        "zip",
        Some('B'),
        "ZIP codes",
        ["zip", "zip5", "zip_*", "zipcode", "*_zip", "*_zip_code", "postal_code", "*_postal_code", "postcode"]
    ),
    class!(
        "dob",
        Some('C'),
        "Dates of birth and death",
        [
            "dob",
            "*_dob",
            "birth_date",
            "birthdate",
            "birthday",
            "date_of_birth",
            "*_birth_date",
            "death_date",
            "date_of_death",
            "deceased_at",
            "deceased_date",
        ]
    ),
    class!(
        "date",
        Some('C'),
        "Other dates of a person: admission, discharge, service",
        [
            "admitted_at",
            "admission_date",
            "admit_date",
            "date_of_admission",
            "discharged_at",
            "discharge_date",
            "date_of_service",
            "service_date",
            "visit_date",
            "encounter_date",
            "procedure_date",
            "specimen_date",
        ]
    ),
    class!("age", Some('C'), "Ages", ["age", "age_at_*", "*_age", "age_years", "patient_age"]),
    class!(
        "phone",
        Some('D'),
        "Telephone numbers",
        [
            "phone",
            "phone_*",
            "*_phone",
            "*_phone_number",
            "telephone",
            "telephone_*",
            "mobile",
            "mobile_number",
            "cell",
            "cell_phone",
            "tel",
        ]
    ),
    class!("fax", Some('E'), "Fax numbers", ["fax", "fax_*", "*_fax", "*_fax_number"]),
    class!(
        "email",
        Some('F'),
        "Mail addresses",
        ["email", "email_*", "*_email", "e_mail", "*_email_address", "mail_address"]
    ),
    class!(
        "ssn",
        Some('G'),
        "Social security numbers",
        ["ssn", "ssn_*", "*_ssn", "social_security*", "social_sec*", "soc_sec*", "tax_id", "itin"]
    ),
    class!(
        "mrn",
        Some('H'),
        "Medical record numbers",
        ["mrn", "mrn_*", "*_mrn", "medical_record*", "med_rec*", "chart_number", "chart_no", "patient_number",]
    ),
    class!(
        "health-plan",
        Some('I'),
        "Health plan beneficiary numbers",
        [
            "member_id",
            "member_number",
            "*_member_id",
            "*_member_number",
            "insurance_id",
            "insurance_number",
            "policy_number",
            "subscriber_id",
            "beneficiary*",
            "mbi",
            "hicn",
            "medicare_*",
            "medicaid_*",
        ]
    ),
    class!(
        "account",
        Some('J'),
        "Account and card numbers",
        [
            "account_number",
            "account_no",
            "acct_number",
            "acct_no",
            "*_account_number",
            "iban",
            "routing_number",
            "card_number",
            "credit_card*",
            "cc_number",
            "pan",
        ]
    ),
    class!(
        "license",
        Some('K'),
        "Certificate and licence numbers",
        [
            "license",
            "license_*",
            "*_license",
            "*_license_number",
            "licence_*",
            "npi",
            "*_npi",
            "dea",
            "dea_number",
            "certificate_number",
            "passport*",
        ]
    ),
    class!(
        "vehicle",
        Some('L'),
        "Vehicle identifiers and plates",
        ["vin", "license_plate", "plate_number", "vehicle_id", "vehicle_identification*"]
    ),
    class!(
        "device",
        Some('M'),
        "Device identifiers and serial numbers",
        ["device_id", "device_serial*", "serial_number", "udi", "imei", "mac_address", "implant_*", "pacemaker_*",]
    ),
    class!("url", Some('N'), "Web addresses", ["url", "*_url", "website", "web_site", "homepage"]),
    class!(
        "ip",
        Some('O'),
        "Internet addresses",
        ["ip", "ip_address", "ip_addr", "*_ip", "*_ip_address", "remote_addr", "client_addr"]
    ),
    class!(
        "biometric",
        Some('P'),
        "Biometric identifiers",
        ["biometric*", "fingerprint*", "voiceprint*", "voice_print*", "retina_*", "iris_*", "face_embedding*"]
    ),
    class!(
        "photo",
        Some('Q'),
        "Photographs of the face and comparable images",
        ["photo", "photo_*", "*_photo", "portrait", "headshot", "face_image*", "patient_image"]
    ),
    class!(
        "other-id",
        Some('R'),
        "Any other unique identifying number, characteristic or code",
        [
            "external_id",
            "person_id",
            "national_id",
            "employee_id",
            "student_id",
            "visa_number",
            "username",
            "user_name",
            "login",
        ]
    ),
    LibraryClass {
        name: "free-text",
        identifier: None,
        description: "Free text: scanned, hits are redacted",
        columns: &[
            "note",
            "notes",
            "*_note",
            "*_notes",
            "note_text",
            "free_text",
            "comment",
            "comments",
            "narrative",
            "remarks",
            "dictation",
        ],
        detectors: Detector::SHAPES,
    },
];

/// A class of the library by name.
#[must_use]
pub fn class(name: &str) -> Option<&'static LibraryClass> {
    CLASSES.iter().find(|c| c.name == name)
}
