//! Context: what the words before a position say that it is.
//!
//! One walk backwards over a bounded stretch of text, one table look-up per word. A word says its piece for the value that
//! follows it, so the walk ends at another value (a token with four digits or more), at the end of a sentence, and at a line
//! break that has words after it. Words are ASCII letters with Latin accents dropped; `camelCase` and `snake_case` are two
//! words. Deliberately absent: words after a value, and stemming: forms are written out.

/// How far back is looked, in bytes.
pub(crate) const REACH: usize = 56;
/// Most words looked at.
const WORDS_MAX: usize = 8;

/// What words say, as bits.
pub(crate) mod say {
    /// A number follows: no, number, id, #.
    pub(crate) const ID: u64 = 1;
    /// May stand between a label and its value.
    pub(crate) const LINK: u64 = 1 << 1;
    pub(crate) const SSN: u64 = 1 << 2;
    pub(crate) const MRN: u64 = 1 << 3;
    /// Says record number if a number word is with it.
    pub(crate) const RECORD: u64 = 1 << 4;
    pub(crate) const PLAN: u64 = 1 << 5;
    pub(crate) const PHONE: u64 = 1 << 6;
    pub(crate) const CARD: u64 = 1 << 7;
    /// A day of importance follows.
    pub(crate) const BIRTH: u64 = 1 << 8;
    /// A day may follow.
    pub(crate) const DAY: u64 = 1 << 9;
    pub(crate) const AGE: u64 = 1 << 10;
    pub(crate) const ZIP: u64 = 1 << 11;
    pub(crate) const NPI: u64 = 1 << 12;
    pub(crate) const DEA: u64 = 1 << 13;
    pub(crate) const ACCOUNT: u64 = 1 << 14;
    pub(crate) const VIN: u64 = 1 << 15;
    pub(crate) const PLATE: u64 = 1 << 16;
    pub(crate) const DEVICE: u64 = 1 << 17;
    pub(crate) const LICENSE: u64 = 1 << 18;
    pub(crate) const CODE: u64 = 1 << 19;
    /// Names an account, so that the value may hold few digits.
    pub(crate) const USER: u64 = 1 << 20;
    /// What follows counts or measures something.
    pub(crate) const MEASURE: u64 = 1 << 21;
    /// Says Code if a number word is with it.
    pub(crate) const FILE: u64 = 1 << 22;
    /// A day may follow, or a fraction.
    pub(crate) const FROM: u64 = 1 << 23;
    /// Where somebody lives.
    pub(crate) const HOME: u64 = 1 << 24;
}

use say::{
    ACCOUNT, AGE, BIRTH, CARD, CODE, DAY, DEA, DEVICE, FILE, FROM, HOME, ID, LICENSE, LINK, MEASURE, MRN, NPI, PHONE,
    PLAN, PLATE, RECORD, SSN, USER, VIN, ZIP,
};

/// Lower-case words and what they say.
const WORDS: &[(&str, u64)] = &[
    ("id", ID),
    ("ids", ID),
    ("no", ID),
    ("nos", ID),
    ("num", ID),
    ("nr", ID),
    ("nbr", ID),
    ("number", ID),
    ("numbers", ID),
    ("identifier", ID),
    ("identification", ID),
    ("numero", ID),
    ("nummer", ID),
    ("code", ID),
    ("identity", ID),
    ("is", LINK),
    ("was", LINK),
    ("of", LINK),
    ("the", LINK),
    ("for", LINK),
    ("a", LINK),
    ("an", LINK),
    ("as", LINK),
    ("are", LINK),
    ("file", LINK | FILE),
    ("listed", LINK),
    ("ending", LINK),
    ("in", LINK),
    ("and", LINK),
    ("or", LINK),
    ("verified", LINK),
    ("confirmed", LINK),
    ("her", LINK),
    ("his", LINK),
    ("their", LINK),
    ("my", LINK),
    ("your", LINK),
    ("pt", RECORD | LINK),
    ("pts", LINK),
    ("new", LINK),
    ("old", LINK),
    ("current", LINK),
    ("primary", LINK),
    ("secondary", LINK),
    ("with", LINK),
    ("to", LINK),
    ("under", LINK),
    ("at", LINK),
    ("has", LINK),
    ("s", LINK),
    ("following", LINK),
    ("provided", LINK),
    ("gave", LINK),
    ("shows", LINK),
    ("record", RECORD | LINK),
    ("us", LINK),
    ("also", LINK),
    ("updated", LINK),
    ("value", LINK),
    ("de", LINK),
    ("la", LINK),
    ("el", LINK),
    ("du", LINK),
    ("le", LINK),
    ("ssn", SSN),
    ("ssns", SSN),
    ("ss", SSN),
    ("social", SSN),
    ("soc", SSN),
    ("itin", SSN),
    ("tin", SSN),
    ("taxpayer", SSN),
    ("sozialversicherungsnummer", SSN),
    ("seguridad", SSN),
    ("securite", SSN),
    ("sociale", SSN),
    ("socsec", SSN),
    ("security", LINK),
    ("sec", LINK),
    ("mrn", MRN),
    ("mrns", MRN),
    ("medrec", MRN),
    ("chart", MRN),
    ("emr", MRN),
    ("ehr", MRN),
    ("empi", MRN),
    ("mpi", MRN),
    ("csn", MRN),
    ("har", MRN),
    ("med", RECORD),
    ("medical", RECORD),
    ("mr", RECORD),
    ("records", RECORD | LINK),
    ("patient", RECORD | LINK),
    ("patients", RECORD | LINK),
    ("patientid", MRN),
    ("encounter", RECORD),
    ("visit", RECORD | DAY),
    ("case", RECORD),
    ("accession", MRN),
    ("specimen", RECORD),
    ("hospital", RECORD),
    ("unit", RECORD),
    ("facility", RECORD),
    ("episode", RECORD),
    ("admission", RECORD | DAY),
    ("fin", RECORD),
    ("hosp", RECORD),
    ("hospitalization", RECORD),
    ("expediente", MRN),
    ("historia", RECORD),
    ("clinica", RECORD),
    ("dossier", MRN),
    ("patientennummer", MRN),
    ("krankenakte", MRN),
    ("paciente", RECORD | LINK),
    ("nhs", MRN),
    ("requisition", MRN),
    ("pid", MRN),
    ("enc", RECORD),
    ("insurance", PLAN),
    ("ins", PLAN),
    ("insured", PLAN),
    ("member", PLAN),
    ("subscriber", PLAN),
    ("beneficiary", PLAN),
    ("medicaid", PLAN),
    ("medicare", PLAN),
    ("policy", PLAN),
    ("pol", PLAN),
    ("policyholder", PLAN),
    ("group", PLAN),
    ("grp", PLAN),
    ("plan", PLAN),
    ("payer", PLAN),
    ("payor", PLAN),
    ("hicn", PLAN),
    ("mbi", PLAN),
    ("claim", PLAN),
    ("claims", PLAN),
    ("authorization", PLAN),
    ("preauth", PLAN),
    ("bcbs", PLAN),
    ("aetna", PLAN),
    ("cigna", PLAN),
    ("humana", PLAN),
    ("kaiser", PLAN),
    ("tricare", PLAN),
    ("hmo", PLAN),
    ("ppo", PLAN),
    ("enrollee", PLAN),
    ("enrollment", PLAN),
    ("versicherung", PLAN),
    ("seguro", PLAN | SSN),
    ("assurance", PLAN),
    ("poliza", PLAN),
    ("police", PLAN),
    ("versicherungsnummer", PLAN),
    ("krankenversicherung", PLAN),
    ("unitedhealthcare", PLAN),
    ("uhc", PLAN),
    ("coverage", PLAN),
    ("hic", PLAN),
    ("memberid", PLAN),
    ("auth", PLAN),
    ("phone", PHONE),
    ("phones", PHONE),
    ("telephone", PHONE),
    ("tel", PHONE),
    ("ph", PHONE),
    ("call", PHONE),
    ("called", PHONE),
    ("calls", PHONE),
    ("cell", PHONE),
    ("cellphone", PHONE),
    ("mobile", PHONE),
    ("fax", PHONE),
    ("contact", PHONE),
    ("contacted", PHONE),
    ("pager", PHONE),
    ("beeper", PHONE),
    ("reach", PHONE),
    ("reached", PHONE),
    ("reachable", PHONE),
    ("dial", PHONE),
    ("text", PHONE),
    ("texted", PHONE),
    ("telefono", PHONE),
    ("telefon", PHONE),
    ("handy", PHONE),
    ("movil", PHONE),
    ("celular", PHONE),
    ("whatsapp", PHONE),
    ("sms", PHONE),
    ("hotline", PHONE),
    ("callback", PHONE),
    ("voicemail", PHONE),
    ("landline", PHONE),
    ("facsimile", PHONE),
    ("portable", PHONE),
    ("mob", PHONE),
    ("card", CARD),
    ("cards", CARD),
    ("visa", CARD | LICENSE),
    ("mastercard", CARD),
    ("amex", CARD),
    ("discover", CARD),
    ("credit", CARD),
    ("debit", CARD),
    ("cc", CARD),
    ("pan", CARD),
    ("diners", CARD),
    ("tarjeta", CARD),
    ("kreditkarte", CARD),
    ("ccn", CARD),
    ("payment", CARD | LINK),
    ("dob", BIRTH),
    ("born", BIRTH),
    ("birth", BIRTH),
    ("birthdate", BIRTH),
    ("birthday", BIRTH),
    ("bday", BIRTH),
    ("nacimiento", BIRTH),
    ("nacido", BIRTH),
    ("geboren", BIRTH),
    ("geb", BIRTH),
    ("naissance", BIRTH),
    ("ne", BIRTH),
    ("geburtsdatum", BIRTH),
    ("dod", BIRTH),
    ("died", BIRTH),
    ("deceased", BIRTH),
    ("death", BIRTH),
    ("expired", BIRTH),
    ("date", BIRTH | LINK),
    ("dates", BIRTH),
    ("dated", BIRTH),
    ("fecha", BIRTH),
    ("datum", BIRTH),
    ("dos", BIRTH),
    ("on", DAY | LINK),
    ("today", DAY),
    ("yesterday", DAY),
    ("tomorrow", DAY),
    ("since", DAY),
    ("until", DAY),
    ("till", DAY),
    ("from", DAY | LINK | FROM),
    ("through", DAY | FROM),
    ("thru", DAY | FROM),
    ("admitted", DAY),
    ("admit", DAY),
    ("discharged", DAY),
    ("discharge", DAY),
    ("seen", DAY),
    ("due", DAY),
    ("by", DAY | LINK | FROM),
    ("appointment", DAY),
    ("appt", DAY),
    ("surgery", DAY),
    ("scheduled", DAY),
    ("dc", DAY),
    ("started", DAY),
    ("ended", DAY),
    ("performed", DAY),
    ("collected", DAY),
    ("signed", DAY),
    ("effective", DAY),
    ("lmp", DAY),
    ("edd", DAY),
    ("followup", DAY),
    ("age", AGE),
    ("aged", AGE),
    ("ages", AGE),
    ("address", HOME),
    ("addr", HOME),
    ("lives", HOME),
    ("resides", HOME),
    ("residence", HOME),
    ("street", HOME),
    ("home", HOME),
    ("located", HOME),
    ("location", HOME),
    ("zip", ZIP),
    ("zipcode", ZIP),
    ("postal", ZIP),
    ("postcode", ZIP),
    ("plz", ZIP),
    ("npi", NPI),
    ("upin", NPI),
    ("npis", NPI),
    ("dea", DEA),
    ("account", ACCOUNT),
    ("accounts", ACCOUNT),
    ("acct", ACCOUNT),
    ("acc", ACCOUNT),
    ("bank", ACCOUNT),
    ("routing", ACCOUNT),
    ("aba", ACCOUNT),
    ("checking", ACCOUNT),
    ("savings", ACCOUNT),
    ("iban", ACCOUNT),
    ("swift", ACCOUNT),
    ("bic", ACCOUNT),
    ("rtn", ACCOUNT),
    ("billing", ACCOUNT),
    ("invoice", ACCOUNT),
    ("guarantor", ACCOUNT),
    ("konto", ACCOUNT),
    ("cuenta", ACCOUNT),
    ("compte", ACCOUNT),
    ("transit", ACCOUNT),
    ("kontonummer", ACCOUNT),
    ("ach", ACCOUNT),
    ("ledger", ACCOUNT),
    ("acctno", ACCOUNT),
    ("vin", VIN),
    ("vehicle", VIN | PLATE),
    ("chassis", VIN),
    ("car", VIN | PLATE),
    ("plate", PLATE),
    ("plates", PLATE),
    ("tag", PLATE),
    ("registration", PLATE | LICENSE),
    ("reg", PLATE | LICENSE),
    ("kennzeichen", PLATE),
    ("device", DEVICE),
    ("serial", DEVICE),
    ("sn", DEVICE),
    ("imei", DEVICE),
    ("meid", DEVICE),
    ("udi", DEVICE),
    ("implant", DEVICE),
    ("implanted", DEVICE),
    ("pacemaker", DEVICE),
    ("lot", DEVICE),
    ("udid", DEVICE),
    ("uuid", DEVICE),
    ("guid", DEVICE),
    ("iccid", DEVICE),
    ("imsi", DEVICE),
    ("pump", DEVICE),
    ("icd", LINK),
    ("gtin", DEVICE),
    ("ser", DEVICE),
    ("defibrillator", DEVICE),
    ("ventilator", DEVICE),
    ("prosthesis", DEVICE),
    ("model", DEVICE),
    ("batch", DEVICE),
    ("license", LICENSE | PLATE),
    ("licence", LICENSE | PLATE),
    ("lic", LICENSE),
    ("dl", LICENSE),
    ("driver", LICENSE),
    ("drivers", LICENSE),
    ("driving", LICENSE),
    ("passport", LICENSE),
    ("passports", LICENSE),
    ("ppt", LICENSE),
    ("certificate", LICENSE),
    ("cert", LICENSE),
    ("certification", LICENSE),
    ("credential", LICENSE),
    ("permit", LICENSE),
    ("pasaporte", LICENSE),
    ("passeport", LICENSE),
    ("reisepass", LICENSE),
    ("licencia", LICENSE),
    ("permis", LICENSE),
    ("fuhrerschein", LICENSE),
    ("dln", LICENSE),
    ("licensed", LICENSE),
    ("employee", CODE),
    ("emp", CODE),
    ("staff", FILE),
    ("badge", CODE),
    ("student", FILE),
    ("tax", CODE),
    ("ein", CODE),
    ("fein", CODE),
    ("nid", CODE),
    ("national", CODE),
    ("prescription", FILE),
    ("rx", FILE),
    ("order", FILE),
    ("confirmation", FILE),
    ("reference", FILE),
    ("ref", FILE),
    ("ticket", FILE),
    ("user", USER),
    ("username", USER),
    ("login", USER),
    ("userid", USER),
    ("handle", USER),
    ("password", USER),
    ("passwd", USER),
    ("pwd", USER),
    ("token", USER),
    ("secret", USER),
    ("apikey", USER),
    ("wallet", CODE),
    ("bitcoin", CODE),
    ("btc", CODE),
    ("eth", CODE),
    ("ethereum", CODE),
    ("crypto", CODE),
    ("biometric", CODE),
    ("bio", CODE),
    ("fingerprint", CODE),
    ("veteran", FILE),
    ("military", FILE),
    ("edipi", CODE),
    ("inmate", CODE),
    ("prisoner", CODE),
    ("booking", CODE),
    ("docket", CODE),
    ("tracking", CODE),
    ("subject", FILE),
    ("participant", FILE),
    ("study", FILE),
    ("trial", FILE),
    ("barcode", CODE),
    ("sample", FILE),
    ("dni", CODE),
    ("nie", CODE),
    ("curp", CODE),
    ("steuer", CODE),
    ("ausweis", CODE),
    ("pin", FILE),
    ("key", FILE),
    ("api", FILE),
    ("customer", FILE),
    ("client", FILE),
    ("loan", CODE),
    ("voter", CODE),
    ("personnel", CODE),
    ("worker", FILE),
    ("provider", FILE),
    ("cpf", CODE),
    ("nif", CODE),
    ("ssid", CODE),
    ("usr", USER),
    ("dose", MEASURE),
    ("platelets", MEASURE),
    ("platelet", MEASURE),
    ("wbc", MEASURE),
    ("cpt", MEASURE),
    ("loinc", MEASURE),
    ("snomed", MEASURE),
    ("rxnorm", MEASURE),
    ("ndc", MEASURE),
    ("pmid", MEASURE),
    ("doi", MEASURE),
    ("copies", MEASURE),
    ("rxcui", MEASURE),
    ("units", MEASURE),
    ("drg", MEASURE),
    ("hcpcs", MEASURE),
];

const SLOTS: usize = 2048;

/// Words are met from their last letter to their first, and so is the hash made.
const SEED: u32 = 0xcbf2_9ce4;

#[inline(always)]
const fn hash_letter(hash: u32, letter: u8) -> u32 {
    (hash ^ letter as u32).wrapping_mul(0x0100_0193)
}

#[inline(always)]
const fn slot(hash: u32, len: usize) -> usize {
    let hash = hash ^ len as u32;
    ((hash ^ (hash >> 15)) as usize) % SLOTS
}

const fn hash(word: &[u8]) -> usize {
    let mut h = SEED;
    let mut i = word.len();
    while i > 0 {
        i -= 1;
        h = hash_letter(h, word[i]);
    }
    slot(h, word.len())
}

/// Open addressing: index into [`WORDS`] plus one, 0 for nothing.
static TABLE: [u16; SLOTS] = {
    let mut table = [0u16; SLOTS];
    let mut i = 0;
    while i < WORDS.len() {
        let mut at = hash(WORDS[i].0.as_bytes());
        while table[at] != 0 {
            at = (at + 1) % SLOTS;
        }
        i += 1;
        table[at] = i as u16;
    }
    table
};

/// What a lower-case word says; 0 for a word that says nothing.
pub(crate) fn meaning(word: &[u8]) -> u64 {
    meaning_at(hash(word), word)
}

/// The same of a word whose slot is known.
#[inline]
fn meaning_at(slot: usize, word: &[u8]) -> u64 {
    let mut at = slot;
    loop {
        let entry = usize::from(TABLE.get(at).copied().unwrap_or(0));
        match entry.checked_sub(1).and_then(|i| WORDS.get(i)) {
            None => return 0,
            Some((w, bits)) if w.as_bytes() == word => return *bits,
            Some(_) => at = (at + 1) % SLOTS,
        }
    }
}

/// What the words before a position say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    /// All words.
    pub(crate) any: u64,
    /// Words between which and the position only labels and small words stand.
    pub(crate) tight: u64,
    /// The nearest word.
    pub(crate) near: u64,
}

impl Context {
    /// Reads what stands before `at`.
    pub(crate) fn before(text: &[u8], at: usize) -> Self {
        let mut found = Self::default();
        let floor = at.saturating_sub(REACH);
        let mut i = at;
        let mut words = 0;
        let mut open = true;
        let mut word = [0u8; 26];
        while i > floor && words < WORDS_MAX {
            let Some(&b) = text.get(i - 1) else { break };
            match b {
                b'#' => {
                    found.any |= ID;
                    if open {
                        found.tight |= ID;
                    }
                    i -= 1;
                }
                b'\n' if words > 0 => break,
                // The end of a sentence, unless what it follows is as short as an abbreviation.
                b'.' | b'!' | b'?' if words > 0 && sentence_ends(text, i) => break,
                b'0'..=b'9' => {
                    let from = token_start(text, i, floor);
                    let digits = text.get(from..i).unwrap_or_default().iter().filter(|b| b.is_ascii_digit()).count();
                    if digits >= 4 {
                        break;
                    }
                    i = from;
                }
                _ if b.is_ascii_alphabetic() || b >= 0x80 => {
                    let (from, len, slot) = word_before(text, i, &mut word);
                    // `700 cc` is a measure.
                    let unit = len <= 2 && after_number(text, from);
                    let word = word.get(word.len() - len..).unwrap_or_default();
                    let bits = if unit { 0 } else { meaning_at(slot, word) };
                    if words == 0 {
                        found.near = bits;
                    }
                    found.any |= bits;
                    if bits == 0 {
                        open = false;
                    } else if open {
                        found.tight |= bits;
                    }
                    words += 1;
                    i = from;
                }
                _ => i -= 1,
            }
        }
        found
    }

    /// Some of `bits` are said anywhere before.
    pub(crate) const fn says(&self, bits: u64) -> bool {
        self.any & bits != 0
    }

    /// Some of `bits` are said directly before.
    pub(crate) const fn tells(&self, bits: u64) -> bool {
        self.tight & bits != 0
    }
}

/// The word directly before `at` says that a day may follow.
pub(crate) fn day_before(text: &[u8], at: usize) -> bool {
    let mut word = [0u8; 26];
    let near = |b: &u8| b.is_ascii_alphabetic() || *b >= 0x80;
    let before = text.get(at.saturating_sub(8)..at).unwrap_or_default();
    let Some(back) = before.iter().rev().position(near) else { return true };
    let (_, len, slot) = word_before(text, at - back, &mut word);
    meaning_at(slot, word.get(word.len() - len..).unwrap_or_default()) & (DAY | BIRTH) != 0
}

fn after_number(text: &[u8], at: usize) -> bool {
    let before = text.get(at.saturating_sub(2)..at).unwrap_or_default();
    matches!(before, [d, b' '] | [_, d] if d.is_ascii_digit())
}

fn sentence_ends(text: &[u8], dot: usize) -> bool {
    let space = matches!(text.get(dot), Some(b' ' | b'\n' | b'\t'));
    let letters =
        text.get(..dot - 1).unwrap_or_default().iter().rev().take(5).take_while(|b| b.is_ascii_alphabetic()).count();
    space && letters > 4
}

fn token_start(text: &[u8], end: usize, floor: usize) -> usize {
    let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'/' | b'.' | b':');
    end - text.get(floor..end).unwrap_or_default().iter().rev().take_while(|b| part(b)).count().max(1)
}

/// ASCII letters in lower case, 0 for everything else.
static LETTERS: [u8; 256] = {
    let mut letters = [0u8; 256];
    let mut b = 0;
    while b < 256 {
        if (b as u8).is_ascii_alphabetic() {
            letters[b] = (b as u8).to_ascii_lowercase();
        }
        b += 1;
    }
    letters
};

/// The word that ends at `end`, in lower case at the end of `into`; where it begins, its length there, and its slot. A word
/// longer than `into` is cut in front.
#[inline]
fn word_before(text: &[u8], end: usize, into: &mut [u8; 26]) -> (usize, usize, usize) {
    let mut i = end;
    let mut len = 0;
    let mut hash = SEED;
    while i > 0 && len < into.len() {
        let Some(&b) = text.get(i - 1) else { break };
        let (letter, width) = match LETTERS[usize::from(b)] {
            0 if b < 0x80 => break,
            0 if b & 0xc0 == 0x80 && i >= 2 && text.get(i - 2) == Some(&0xc3) => (unaccented(b), 2),
            0 => (b'?', 1),
            letter => (letter, 1),
        };
        // `patientId`: a capital after a small letter begins a word.
        let begins = b.is_ascii_uppercase() && i >= 2 && text.get(i - 2).is_some_and(u8::is_ascii_lowercase);
        len += 1;
        hash = hash_letter(hash, letter);
        if let Some(place) = into.len().checked_sub(len).and_then(|at| into.get_mut(at)) {
            *place = letter;
        }
        i -= width;
        if begins {
            break;
        }
    }
    (i, len, slot(hash, len))
}

/// The base letter of the second byte of a Latin-1 letter in UTF-8.
const fn unaccented(second: u8) -> u8 {
    match (second & 0x3f) | 0x20 {
        0x20..=0x25 => b'a',
        0x27 => b'c',
        0x28..=0x2b => b'e',
        0x2c..=0x2f => b'i',
        0x31 => b'n',
        0x32..=0x36 => b'o',
        0x39..=0x3c => b'u',
        0x3d | 0x3f => b'y',
        _ => b'?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_distinct_and_found() {
        for (i, (word, bits)) in WORDS.iter().enumerate() {
            assert!(WORDS[..i].iter().all(|(w, _)| w != word), "{word} is there twice");
            assert_eq!(meaning(word.as_bytes()), *bits, "{word}");
        }
        assert_eq!(meaning(b"xylophone"), 0);
        assert_eq!(meaning(b""), 0);
    }

    proptest! {
        /// The slot that is made on the way back is that of the word.
        #[test]
        fn a_word_is_found_where_it_is_looked_for(text in "[ -~\u{e9}\u{fc}\u{4e00}]{0,40}", known in 0..WORDS.len()) {
            for text in [text.clone(), text + WORDS[known].0] {
                let mut into = [0; 26];
                let (_, len, slot) = word_before(text.as_bytes(), text.len(), &mut into);
                let word = &into[26 - len..];
                prop_assert_eq!(slot, hash(word));
                prop_assert_eq!(meaning_at(slot, word), meaning(word));
            }
        }
    }

    #[test]
    fn labels_are_read_backwards() {
        let before = |text: &str| Context::before(text.as_bytes(), text.len());
        assert!(before("MRN: ").tells(MRN));
        assert!(before("her medical record number is ").tells(MRN | RECORD) && before("record number is ").tells(ID));
        assert!(before(r#""employee_id": ""#).tells(CODE));
        assert!(before("patientSsn=").tells(SSN));
        assert!(before("número de teléfono: ").tells(PHONE));
        assert!(before("SSN was misheard, then ").says(SSN) && !before("SSN was misheard, then ").tells(SSN));
        // Another value came between, or another line, or another sentence.
        assert!(!before("MRN 123456, weight ").says(MRN));
        assert!(before("MRN 12, or ").says(MRN));
        assert!(!before("MRN\nweight ").says(MRN) && before("MRN\n").tells(MRN));
        assert!(!before("We discussed insurance. Then ").says(PLAN) && before("Policy no. ").tells(PLAN));
    }
}
