//! One patient, as a pure function of seed and number.
//!
//! Two kinds: plausible ones, and canaries, whose every protected value is unique in the whole database so that finding it
//! in any output proves a leak. Canaries stay inside the shapes of the real thing (a valid SSN, a dialable number).

use crate::{Dice, calendar::Date, lists};

/// Days since 1970-01-01 of the day on which the made-up clinic's data ends: 2024-06-30.
pub(crate) const TODAY: i64 = 19_904;

/// A row of `clinic.patients`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are the columns of the table")]
pub struct Patient {
    pub id: u64,
    pub mrn: String,
    pub ssn: String,
    pub first_name: String,
    pub last_name: String,
    pub born: Date,
    pub(crate) born_days: i64,
    pub female: bool,
    pub phone: String,
    pub email: String,
    pub street: String,
    pub city: String,
    pub state: String,
    pub zip: String,
    pub member: String,
    pub(crate) created_days: i64,
}

impl Patient {
    /// The patient with this number (from 1).
    pub fn plausible(seed: u64, id: u64) -> Self {
        let mut dice = Dice::new(seed, 1, id);
        let female = dice.next() & 1 == 0;
        let first_name = *dice.pick(if female { lists::FEMALE } else { lists::MALE });
        let last_name = *dice.pick(lists::SURNAMES);
        let (city, state, zip) = *dice.pick(lists::CITIES);
        // Two of three are spread evenly over a life, the rest are old: a clinic's patients are.
        let age_days =
            if dice.between(0, 2) == 0 { dice.between(65 * 365, 101 * 365) } else { dice.between(30, 80 * 365) };
        let born_days = TODAY - age_days as i64;
        // 666 and 9xx are never issued; group and serial are never zero.
        let mut area = dice.between(1, 898);
        area += u64::from(area >= 666);
        Self {
            id,
            mrn: format!("{:08}", 4_000_000 + id * 7 + dice.between(0, 6)),
            ssn: format!("{area:03}-{:02}-{:04}", dice.between(1, 99), dice.between(1, 9_999)),
            first_name: first_name.into(),
            last_name: last_name.into(),
            born: Date::from_days(born_days),
            born_days,
            female,
            phone: format!("({}) 555-{:04}", dice.pick(lists::AREA_CODES), dice.between(0, 9_999)),
            email: format!(
                "{}.{}{}@example.{}",
                first_name.to_lowercase(),
                last_name.to_lowercase(),
                dice.between(1, 999),
                dice.pick(&["com", "net", "org"])
            ),
            street: format!("{} {}", dice.between(1, 9_899), dice.pick(lists::STREETS)),
            city: city.into(),
            state: state.into(),
            zip: format!("{zip:03}{:02}", dice.between(1, 99)),
            member: format!("{}{:09}", dice.pick(&["WXB", "ZGP", "YRM", "QHT"]), dice.between(1, 999_999_999)),
            created_days: TODAY - dice.between(0, (age_days - 1).min(3_000)) as i64,
        }
    }

    /// A patient whose protected values occur nowhere else. Numbers from 1 to [`Self::CANARIES_MAX`].
    pub fn canary(id: u64) -> Self {
        // 1902 to 1905: no other column holds dates of that time. Never in January, so that no birth date is what is left
        // of another when dates become the first day of their year.
        let new_year = [-24_837, -24_472, -24_107, -23_741][(id / 300) as usize];
        let born_days = new_year + 40 + (id % 300) as i64;
        Self {
            id,
            mrn: format!("{:08}", 71_000_000 + id * 13),
            ssn: format!("{:03}-{:02}-{:04}", 700 + id % 66, 10 + (id / 66) % 89, 1_000 + id),
            first_name: format!("Xavq{}", letters(id)),
            last_name: format!("Zorb{}", letters(id)),
            born: Date::from_days(born_days),
            born_days,
            female: id.is_multiple_of(2),
            phone: format!("(907) 555-{:04}", 1_000 + id),
            email: format!("xavq.{}@example.org", letters(id)),
            street: format!("{} Quillon Street", 30_000 + id),
            city: format!("Vexford{}", letters(id)),
            state: "OH".into(),
            zip: format!("{}-{}", 43_000 + id, 1_000 + id),
            member: format!("QVX{:09}", 600_000_000 + id * 17),
            created_days: TODAY - (id % 900) as i64,
        }
    }

    /// So many canaries keep every value unique and in shape.
    pub const CANARIES_MAX: u64 = 900;
}

/// A number as four lower-case letters, different for every number below 26⁴.
fn letters(mut n: u64) -> String {
    let mut text = [b'a'; 4];
    for letter in text.iter_mut().rev() {
        *letter = b'a' + (n % 26) as u8;
        n /= 26;
    }
    text.iter().map(|&b| char::from(b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_patient_depends_on_seed_and_number_alone() {
        assert_eq!(Patient::plausible(7, 42), Patient::plausible(7, 42));
        assert_ne!(Patient::plausible(7, 42), Patient::plausible(8, 42));
        assert_ne!(Patient::plausible(7, 42).ssn, Patient::plausible(7, 43).ssn);
    }

    #[test]
    fn social_security_numbers_are_in_ranges_that_are_issued() {
        let people =
            (1..20_000).map(|id| Patient::plausible(1, id)).chain((1..=Patient::CANARIES_MAX).map(Patient::canary));
        for p in people {
            let parts: Vec<u32> = p.ssn.split('-').map(|part| part.parse().unwrap()).collect();
            assert!((1..900).contains(&parts[0]) && parts[0] != 666 && parts[1] > 0 && parts[2] > 0, "{}", p.ssn);
            assert_eq!(p.ssn.len(), 11);
        }
    }

    #[test]
    fn no_value_of_a_canary_occurs_twice() {
        let mut seen = HashSet::new();
        for id in 1..=Patient::CANARIES_MAX {
            let p = Patient::canary(id);
            for value in [
                p.mrn,
                p.ssn,
                p.first_name,
                p.last_name,
                p.born.to_string(),
                p.phone,
                p.email,
                p.street,
                p.city,
                p.zip,
                p.member,
            ] {
                assert!(seen.insert(value.clone()), "{value} twice");
            }
        }
    }

    #[test]
    fn medical_record_numbers_do_not_collide() {
        let mut seen = HashSet::new();
        assert!((1..50_000).all(|id| seen.insert(Patient::plausible(3, id).mrn)));
    }
}
