//! Masking of rows as bulk reads do it: real plans over made-up people, through the protocol's value and the lanes.
//!
//! Eight columns of text, about 325 bytes a row with the framing, lengths that differ from row to row, none of it real.
//! Plain functions, for benchmarks that measure time and for gates that count instructions. Deliberately absent: sockets.

use contract::CopyFormat;
use paths::rules::{self, EIGHT, KEY, Protected};
use policy::Plan;
use policy::model::{Detector, Redaction};
use postgres::frame;

use crate::conversation::{Conversation, Needs};

/// PostgreSQL's `text`.
const TEXT: u32 = 25;
/// Names and types of the columns.
const COLUMNS: [(&str, u32); 8] = [
    ("id", TEXT),
    ("name", TEXT),
    ("ssn", TEXT),
    ("email", TEXT),
    ("phone", TEXT),
    ("born", TEXT),
    ("city", TEXT),
    ("note", TEXT),
];

/// What becomes of a column: its index, the redaction, what it is scanned for.
type Treated = (usize, Redaction, &'static [Detector]);

/// What becomes of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// They pass.
    Nothing,
    /// Two columns: keep-last 4, and a fill.
    Two,
    /// Six columns: fills, and what keeps some characters.
    Six,
    /// Six columns, and the note scanned for eight classes.
    SixAndNote,
    /// Six columns, and the note scanned for every shape there is.
    SixAndAll,
    /// Two columns whose values become longer or shorter: a token, and a constant.
    Resized,
}

impl Work {
    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Two => "2 of 8",
            Self::Six => "6 of 8",
            Self::SixAndNote => "6 of 8, note by eight",
            Self::SixAndAll => "6 of 8, note by all",
            Self::Resized => "2 of 8, other lengths",
        }
    }

    /// What becomes of each column, by its index.
    fn redactions(self) -> Vec<Treated> {
        const NONE: &[Detector] = &[];
        let fill = || Redaction::Fill { fill: '*' };
        let last = |count| Redaction::KeepLast { count, fill: '*' };
        let first = |count| Redaction::KeepFirst { count, fill: '*' };
        let whole = |list: Vec<(usize, Redaction)>| list.into_iter().map(|(i, r)| (i, r, NONE)).collect();
        let six = || vec![(1, first(1)), (2, last(4)), (3, fill()), (4, last(4)), (5, first(4)), (6, fill())];
        let mut all: Vec<Treated> = match self {
            Self::Nothing => Vec::new(),
            Self::Two => whole(vec![(2, last(4)), (3, fill())]),
            Self::Six | Self::SixAndNote | Self::SixAndAll => whole(six()),
            Self::Resized => {
                let token = Redaction::Token { key: KEY.into(), length: 16 };
                whole(vec![(2, token), (3, Redaction::Constant("hidden".into()))])
            }
        };
        match self {
            Self::SixAndNote => all.push((7, fill(), EIGHT)),
            Self::SixAndAll => all.push((7, fill(), Detector::SHAPES)),
            _ => {}
        }
        all
    }

    /// The plan, made as for a statement; `None` where nothing is planned.
    ///
    /// # Panics
    /// When the made-up rules are none: then nothing is measured.
    #[must_use]
    pub fn plan(self) -> Option<Plan> {
        let redactions = self.redactions();
        (!redactions.is_empty()).then(|| plan(&redactions))
    }

    /// A conversation in which rows are arriving, in text or in binary.
    #[must_use]
    pub fn rows(self, binary: bool) -> Conversation {
        match self.plan() {
            Some(plan) => Conversation::masking(&plan, binary),
            None => Conversation::reading(Needs::Nothing, binary),
        }
    }

    /// A conversation in which a COPY is arriving.
    #[must_use]
    pub fn copy(self, format: &CopyFormat) -> Conversation {
        match self.plan() {
            Some(plan) => Conversation::copying_masked(&plan, format),
            None => Conversation::copying(&[], format),
        }
    }
}

fn plan(redactions: &[Treated]) -> Plan {
    let protected = |(column, redaction, detectors): &Treated| Protected {
        columns: COLUMNS[*column].0,
        detectors,
        redaction: redaction.clone(),
    };
    let protected: Vec<_> = redactions.iter().map(protected).collect();
    rules::plan(&protected, rules::table("s", "people", 20_000, &COLUMNS))
}

const NOTES: &[&str] = &[
    "The patient reports mild discomfort after the procedure and denies fever, chills or nausea.",
    "She continues her current medication and will return to the clinic if symptoms persist.",
    "Abdomen is soft and non-tender with normal bowel sounds; there is no peripheral edema.",
    "Wound is clean and dry, sutures to be removed in 10 days; no sign of infection was seen.",
    "Started on metoprolol 25mg twice daily with good effect; warned about dizziness on standing.",
    "Physical therapy twice weekly was ordered and a walker was provided for use at home.",
];
const FIRST: &[&str] = &["Ada", "Robert", "Maximiliana", "Jo", "Charlotte", "Ben", "Priscilla", "Theo"];
const LAST: &[&str] = &["Lee", "Sokolowski", "Brandt", "Fernandez", "Ng", "Papadopoulos", "Klein", "Okafor"];
const CITIES: &[&str] = &["Bonn", "Sacramento", "Springfield", "Ulm", "Little Rock", "Minneapolis"];

/// Values of made-up people, one row after the other, the same in every run.
#[derive(Debug)]
pub struct People {
    state: u64,
    id: u64,
}

impl Default for People {
    fn default() -> Self {
        Self { state: 0x2545_f491_4f6c_dd1d, id: 100_000 }
    }
}

impl People {
    fn roll(&mut self, n: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % n as u64) as usize
    }

    /// The next row. One note in twenty has an identifier in it.
    pub fn row(&mut self) -> [String; 8] {
        self.id += 1;
        let (first, last) = (FIRST[self.roll(FIRST.len())], LAST[self.roll(LAST.len())]);
        let mut digits = |n: u32| format!("{:0width$}", self.roll(10usize.pow(n)), width = n as usize);
        let ssn = format!("{}-{}-{}", digits(3), digits(2), digits(4));
        let phone = format!("{}-{}-{}", digits(3), digits(3), digits(4));
        let born = format!("19{}-0{}-1{}", digits(2), digits(1), digits(1));
        let hidden = format!(" SSN {}-{}-{}.", digits(3), digits(2), digits(4));
        let mut note = String::new();
        while note.len() < 165 {
            note.push_str(NOTES[self.roll(NOTES.len())]);
            note.push(' ');
        }
        note.truncate(195);
        if self.roll(20) == 7 {
            note.push_str(&hidden);
        }
        let city = CITIES[self.roll(CITIES.len())].to_owned();
        let email = format!("{}.{}@example.org", first.to_lowercase(), last.to_lowercase());
        [self.id.to_string(), format!("{first} {last}"), ssn, email, phone, born, city, note]
    }
}

/// Whole rows, as many as fit into `bytes`.
#[must_use]
pub fn rows(bytes: usize) -> Vec<u8> {
    many(bytes, |row, out| frame::write(out, b'D', |b| tuple(row, b)))
}

/// Whole CopyData frames in this format, as many as fit into `bytes`; there is no CSV here.
#[must_use]
pub fn copy_rows(bytes: usize, format: &CopyFormat) -> Vec<u8> {
    many(bytes, |row, out| {
        frame::write(out, b'd', |b| match format {
            CopyFormat::Binary => tuple(row, b),
            CopyFormat::Text { .. } | CopyFormat::Csv { .. } => {
                b.extend_from_slice(row.join("\t").as_bytes());
                b.push(b'\n');
            }
        })
    })
}

fn tuple(row: &[String; 8], out: &mut Vec<u8>) {
    out.extend(8u16.to_be_bytes());
    for value in row {
        out.extend(u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
}

fn many(bytes: usize, write: impl Fn(&[String; 8], &mut Vec<u8>)) -> Vec<u8> {
    let mut people = People::default();
    let mut all = Vec::with_capacity(bytes);
    loop {
        let before = all.len();
        write(&people.row(), &mut all);
        if all.len() > bytes {
            all.truncate(before);
            return all;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_as_long_as_the_goals_say_and_every_work_runs() {
        let some = rows(400_000);
        let count = {
            let (mut at, mut n) = (0, 0);
            while let Ok(Some(header)) = frame::header(&some[at..], contract::Peer::Upstream) {
                (at, n) = (at + header.len, n + 1);
            }
            n
        };
        let each = some.len() / count;
        assert!((300..350).contains(&each), "{each} bytes a row");
        let text = CopyFormat::Text { delimiter: b'\t', null: b"\\N".to_vec(), header: false };
        for work in [Work::Nothing, Work::Two, Work::Six, Work::SixAndNote, Work::SixAndAll, Work::Resized] {
            work.rows(false).stream(&some);
            for format in [&text, &CopyFormat::Binary] {
                work.copy(format).stream(&copy_rows(100_000, format));
            }
        }
    }
}
