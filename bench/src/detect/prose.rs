//! Clinical prose without a single identifier, and full of numbers: every hit in it is a false one.
//!
//! Sentences are templates; `#` is a digit, `~` a digit from 1 to 9, and the rest stands for itself. They are what notes of
//! many departments hold: vital signs, doses, laboratory values, scores, stages, sizes, codes of diagnoses and procedures,
//! times of day, levels of the spine, sutures and needles.

use super::labelled::Document;

const SENTENCES: &[&str] = &[
    "BP ~##/##, HR ~#, RR ~#, temp 98.#, SpO2 9#% on ~L.",
    "Vitals: T 37.#, P ~#, BP ~##/##, weight ~#.# kg, height ~## cm, BMI 2#.#.",
    "Started metoprolol ~#mg PO BID and gabapentin ~00mg TID; continue lisinopril ~0 mg daily.",
    "Labs: Na 1##, K 4.#, Cl 10#, CO2 2#, BUN ~#, Cr 1.#, glucose ~##, WBC 1#.#, Hgb 1#.#, Hct 3#.#, Plt ~##,000.",
    "Troponin 0.0#, BNP ~,##0, INR 2.#, A1c 7.#%, LDL ~##, TSH 2.##, eGFR > 60.",
    "Pain ~/10 at rest, ~/10 with movement, for ~ days.",
    "Strength ~/5 in the upper and ~/5 in the lower extremities; reflexes 2/4 throughout.",
    "There is a grade ~/6 systolic murmur at the left sternal border.",
    "Vision 20/~0 on the right and 20/~00 on the left.",
    "The L~-~ disc shows a ~ mm protrusion; C~-~ is normal, and T1#-L1 is preserved.",
    "Closed with 3-0 Vicryl and 4-0 Monocryl; a ~#-gauge needle and a #~ blade were used.",
    "MRI shows a ~.# x ~.# x ~.# cm mass in segment ~; enhancement is mild.",
    "Staged as T~ N~ M0, ER+ 9#%, Ki-67 ~#%, HER2 ~+.",
    "The patient is a 6# year old man with type 2 diabetes and stage ~ kidney disease.",
    "She is a 4#-year-old G~P~ at 3# weeks and ~ days of gestation.",
    "Take ~ tablets every ~ hours for ~ days, then 1/2 tablet daily for ~ weeks; dispense #60, refills ~.",
    "Heparin ~000 units subcutaneously every 8 hours; insulin glargine ~# units at bedtime.",
    "Given 1,~00 mL of normal saline over ~ hours, urine output ~#0 mL.",
    "EF ~#-~#%, E/A ratio 1.#, LVEDD ~.# cm, PASP ~# mmHg.",
    "EKG: rate ~#, PR 1~#, QRS ##, QTc 4~# ms; 12-lead shows ST changes in V~-V~.",
    "ICD-10 E11.~, J45.90~, M54.5; CPT 9921~, 9338#; modifier 25.",
    "Seen at 0~30 and again at 14:~0; the procedure took ~# minutes.",
    "GCS 1~, NIHSS ~, APGAR ~ and 9, MMSE 2~/30, PHQ-9 score 1~, GAD-7 score ~.",
    "Cultures grew ~0,000 CFU/mL of E. coli; viral load ~~,###0 copies per mL, CD4 ~##.",
    "Wound measures ~.# by ~.# cm, ~#% granulation; dressing changed ~ times.",
    "Ventilator: AC ~#, TV 4~0, PEEP ~, FiO2 ~0%; ABG 7.3#/4#/8#/2#.",
    "Amoxicillin-clavulanate 875-125 mg twice daily; hydrocodone 5-325 every 6 hours as needed.",
    "Colonoscopy every 5-10 years; repeat imaging in 3-6 months; return in 2 to 4 weeks.",
    "About ~ of ~# patients improve within 30 days, p = 0.0#, 95% CI 1.# to 2.#, n = ~,~##.",
    "Total time ~# minutes, of which more than 50% was counseling; moderate complexity.",
    "Hepatitis B, HIV-1 and COVID-19 tests were negative; IL-6 ~#.#, CA-125 ~#, CA 19-9 ~#, BRCA1 negative.",
    "History of smoking ~ packs per day for 2# years, quit in 200#; drinks 1-2 beers on weekends.",
    "Dr. visits in spring and may need 2 more; will march on with therapy in room ~ of unit B.",
    "Extubated on day ~ and transferred to 4 West; tolerated 100% of meals, ambulated 1~0 feet.",
    "PSA ~.## ng/mL, previously ~.##; Gleason 3+4=7, ~/12 cores positive.",
    "Ratio 1:~, dilution 1:~0, titer 1:~20; ~.#e5 cells per microliter, 10^9/L.",
    "Foley 16 Fr, 5 mL balloon; #~ French sheath, 0.0~5 inch wire, 6 x 40 mm balloon at 1~ atm.",
    "Tdap, MMR and PCV13 given; ~.# mL IM in the left deltoid; next dose in 2-6 months.",
    "Bilateral knee flexion 0-1~0 degrees; extension lacks ~ degrees; gait speed 0.~ m/s.",
    "Fractionation 5~.4 Gy in 2~ fractions, 1.8 Gy each, 6 MV photons.",
    "Dose: 0.~ mcg/kg/min, titrated to MAP > 65; norepinephrine at ~ mcg/min.",
    "Fluoroscopy time ~.~ minutes, contrast ~0 mL, estimated blood loss ~00 cc.",
    "Sodium restricted to 2000 mg and fluids to 1500 mL per day; ~00 calories at each meal.",
    "Sleep study: AHI ~#.#, nadir SpO2 8#%, CPAP 1~ cm H2O, mask size M.",
    "PT/OT ~x/week for 6-8 weeks; level 3/4 independence; FIM 4/7.",
    "Temperature 10~.# F at 2~00, given acetaminophen 650 mg, repeat 99.# at 2~30.",
    "Pupils 3 to 2 mm; red reflex present; IOP 1~/1~ by applanation; C/D 0.~.",
    "Abdomen: liver 1~.~ cm, spleen ~.~ cm, CBD ~ mm, right kidney 1~.~ x ~.~ x 5.~ cm.",
    "Follow up as needed with Cardiology; call with questions; text reminders were offered.",
    "He denies fever, chills, nausea, or vomiting; no known drug allergies; code status full.",
];

/// About `megabytes` of it, in documents of a few sentences.
pub(super) fn documents(megabytes: usize) -> Vec<Document> {
    let mut dice = 0x9e37_79b9_7f4a_7c15u64;
    let mut roll = move |n: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % n
    };
    let mut documents = Vec::new();
    let mut bytes = 0;
    while bytes < megabytes * 1_000_000 {
        let mut text = String::new();
        for _ in 0..8 {
            let sentence = SENTENCES.get(roll(SENTENCES.len() as u64) as usize).copied().unwrap_or_default();
            if !text.is_empty() {
                text.push(if roll(5) == 0 { '\n' } else { ' ' });
            }
            // `#` before letters, blanks and `60` is a sign of its own: `#60`.
            let mut rest = sentence;
            while let Some(i) = rest.find(['#', '~']) {
                let (plain, tail) = rest.split_at(i);
                text.push_str(plain);
                let number_sign = tail.starts_with("#60") || tail.starts_with("#~ ");
                match tail.as_bytes().first() {
                    Some(b'#') if number_sign => text.push('#'),
                    Some(b'#') => text.push(char::from(b'0' + roll(10) as u8)),
                    _ => text.push(char::from(b'1' + roll(9) as u8)),
                }
                rest = tail.get(1..).unwrap_or_default();
            }
            text.push_str(rest);
        }
        bytes += text.len();
        documents.push(Document { text, labels: Vec::new() });
    }
    documents
}
