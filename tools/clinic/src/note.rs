//! Clinical notes with identifiers inside the text, the way people type them.
//!
//! Plausible notes name the patient; a canary's note does not (a made-up name is in no word list) but holds every identifier
//! that has a shape: SSN, MRN, telephone, mail, dates.

use crate::{Dice, calendar::Date, lists, patient::Patient};

/// Text of a note, without characters that COPY would need escaped.
pub(crate) fn text(dice: &mut Dice, p: &Patient, canary: bool, visit: Date, diagnosis: &str, age: i64) -> String {
    let who = if canary { "Patient".to_owned() } else { format!("{} {}", p.first_name, p.last_name) };
    let pronoun = if p.female { "she" } else { "he" };
    let phone = p.phone.replace(['(', ')'], "").replace(' ', "-");
    let opening = match dice.between(0, 3) {
        0 => format!("{who}, {age} y/o, seen {visit} for {diagnosis}."),
        1 => format!("Pt {who} (MRN {}) admitted {} with {diagnosis}.", p.mrn, visit.american()),
        2 => format!("Follow-up {}: {who}, DOB {}, {diagnosis} stable.", visit.american(), p.born.american()),
        _ => format!("{who} presents with {diagnosis}; {pronoun} reports poor sleep."),
    };
    let vitals = format!(
        "BP {}/{}, HR {}, SpO2 {}%.",
        dice.between(98, 178),
        dice.between(58, 102),
        dice.between(52, 118),
        dice.between(89, 100)
    );
    let middle = dice.pick(&[
        "Continue current medication, recheck labs in six weeks.",
        "Discussed diet and exercise; no acute distress.",
        "Imaging reviewed, no progression since last visit.",
        "Started low dose, warned about dizziness.",
        "Wound clean and dry, sutures out next week.",
    ]);
    // One note in four is free of contact details; a canary's never is.
    let contact = match if canary { 0 } else { dice.between(0, 7) } {
        0 => format!("Verified SSN {}, MRN {}, call {phone} or {}; born {}.", p.ssn, p.mrn, p.email, p.born),
        1 => format!("SSN on file {}.", p.ssn),
        2 => format!("Daughter {} {} reachable at {phone}.", dice.pick(lists::FEMALE), p.last_name),
        3 => format!("Send results to {}.", p.email),
        4 => format!("Medical record number {}, insurance {}.", p.mrn, p.member),
        5 => format!("Lives at {}, {} {} {}.", p.street, p.city, p.state, p.zip),
        _ => "No change of contact details.".to_owned(),
    };
    format!("{opening} {vitals} {middle} {contact}")
}
