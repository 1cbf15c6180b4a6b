//! Just enough of a database: it answers each frame as PostgreSQL would, with rows that are made up from a fixed seed.
//!
//! It works only while a dialogue is learned; what is counted replays its answers. Deliberately absent: everything that a
//! statement of the paths does not need.

use postgres::frame;

/// A column of a table: name, type.
pub type Column = (&'static str, u32);

const INT8: u32 = 20;
pub(crate) const TEXT: u32 = 25;
const DATE: u32 = 1082;

/// A table: name, OID, columns.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Name, in the schema `clinic`.
    pub name: &'static str,
    /// OID.
    pub oid: u32,
    /// Columns, numbered from 1.
    pub columns: &'static [Column],
}

/// Protected in six of eight columns; a row is 300 bytes on the wire.
pub const PEOPLE: Table = Table {
    name: "people",
    oid: 20_000,
    columns: &[
        ("id", INT8),
        ("email", TEXT),
        ("ssn", TEXT),
        ("full_name", TEXT),
        ("phone", TEXT),
        ("born", DATE),
        ("city", TEXT),
        ("remark", TEXT),
    ],
};
/// The same, with a note instead of the remark.
pub const NOTES: Table = Table {
    name: "notes",
    oid: 20_001,
    columns: &[
        ("id", INT8),
        ("email", TEXT),
        ("ssn", TEXT),
        ("full_name", TEXT),
        ("phone", TEXT),
        ("born", DATE),
        ("city", TEXT),
        ("note", TEXT),
    ],
};
/// Nothing protected, the same widths.
pub const BEDS: Table = Table {
    name: "beds",
    oid: 20_002,
    columns: &[
        ("id", INT8),
        ("label", TEXT),
        ("code", TEXT),
        ("ward", TEXT),
        ("extension", TEXT),
        ("since", DATE),
        ("building", TEXT),
        ("remark", TEXT),
    ],
};

/// Tables of the made-up clinic.
pub const TABLES: &[Table] = &[PEOPLE, NOTES, BEDS];

const FIRST: &[&str] = &["Ana", "Boris", "Chloë", "David", "Esther", "Farid", "Greta", "Hugo"];
const LAST: &[&str] = &["van den Berg-Smith", "Castellanos Ruiz", "O'Callaghan-Brown", "Müller-Lüdenscheidt"];
const CITIES: &[&str] = &["Massachusetts, Springfield", "North Carolina, Durham", "California, Sacramento"];
const SENTENCES: &[&str] = &[
    "The patient reports mild discomfort after the procedure and denies fever. ",
    "Heart sounds are regular without murmur, BP 120/80, HR 72, temp 98.6. ",
    "Wound is clean and dry, sutures to be removed in 10 days; gabapentin 300mg TID. ",
    "Imaging was reviewed with the family and shows no progression since the last visit. ",
];
/// What one note in twenty also holds.
const IDENTIFIERS: &[&str] = &[
    "SSN 123-45-6789; ",
    "call (415) 555-0132; ",
    "mail jane.doe@example.org; ",
    "MRN: 00123456; ",
    "seen 03/14/2021; ",
];
/// About as long as a note is.
const NOTE_BYTES: usize = 180;
/// Makes a row of [`PEOPLE`] 300 bytes.
const REMARK_BYTES: usize = 145;

/// Numbers from a fixed seed (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        of[self.roll(of.len())]
    }
}

/// Values of one row.
fn values(table: &Table, number: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut text = String::new();
    if table.name == "notes" {
        if number % 20 == 7 {
            text.push_str(dice.pick(IDENTIFIERS));
        }
        while text.len() < NOTE_BYTES {
            text.push_str(dice.pick(SENTENCES));
        }
    } else {
        text = dice.pick(SENTENCES).repeat(2).chars().cycle().take(REMARK_BYTES).collect();
    }
    let (first, last) = (dice.pick(FIRST), dice.pick(LAST));
    let date = format!("{}-{:02}-{:02}", 1930 + dice.roll(90), 1 + dice.roll(12), 1 + dice.roll(28));
    let ssn = format!("{:03}-{:02}-{:04}", dice.roll(900), dice.roll(100), dice.roll(10_000));
    let phone = format!("555-{:03}-{:04}", dice.roll(1000), dice.roll(10_000));
    [
        format!("{}", 1_000_000 + number),
        format!("{:<22}", format!("user{}@example.org", dice.roll(10_000))),
        ssn,
        format!("{first} {last}"),
        phone,
        date,
        dice.pick(CITIES).to_owned(),
        text,
    ]
    .map(String::into_bytes)
    .into()
}

/// Whole DataRow frames of a table, `count` of them.
#[must_use]
pub fn rows(table: &Table, count: usize) -> Vec<u8> {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut out = Vec::new();
    for number in 0..count {
        let values = values(table, number, &mut dice);
        frame::write(&mut out, b'D', |b| {
            b.extend((values.len() as u16).to_be_bytes());
            for value in &values {
                b.extend((value.len() as u32).to_be_bytes());
                b.extend(value);
            }
        });
    }
    out
}

/// The notes of as many rows.
#[must_use]
pub fn notes(count: usize) -> Vec<Vec<u8>> {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    (0..count).filter_map(|number| values(&NOTES, number, &mut dice).pop()).collect()
}

fn description(table: &Table, out: &mut Vec<u8>) {
    frame::write(out, b'T', |b| {
        b.extend((table.columns.len() as u16).to_be_bytes());
        for (number, (name, type_oid)) in (1_u16..).zip(table.columns) {
            frame::text(b, name.as_bytes());
            b.extend(table.oid.to_be_bytes());
            b.extend(number.to_be_bytes());
            b.extend(type_oid.to_be_bytes());
            b.extend((-1_i16).to_be_bytes());
            b.extend((-1_i32).to_be_bytes());
            b.extend(0_u16.to_be_bytes());
        }
    });
}

/// The database: every statement reads from this table.
#[derive(Debug)]
pub struct Database {
    table: Table,
    /// Rows of each answer.
    rows: usize,
    /// A result that does not end: the rows that follow are the caller's.
    endless: bool,
}

impl Database {
    /// One with this table.
    #[must_use]
    pub const fn new(table: Table, rows: usize, endless: bool) -> Self {
        Self { table, rows, endless }
    }

    /// Answers the whole frames of `asked`; what is left is an incomplete one.
    pub fn answer(&self, asked: &mut Vec<u8>) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(length) = asked.get(1..5).and_then(|bytes| bytes.first_chunk::<4>()) {
            let whole = 1 + u32::from_be_bytes(*length) as usize;
            if asked.len() < whole {
                break;
            }
            let frame: Vec<u8> = asked.drain(..whole).collect();
            self.frame(frame[0], &frame[5..], &mut out);
        }
        out
    }

    fn frame(&self, tag: u8, body: &[u8], out: &mut Vec<u8>) {
        match tag {
            b'P' => frame::write(out, b'1', |_| ()),
            b'B' => frame::write(out, b'2', |_| ()),
            b'C' => frame::write(out, b'3', |_| ()),
            b'D' => {
                if body.first() == Some(&b'S') {
                    frame::write(out, b't', |b| b.extend([0, 0]));
                }
                description(&self.table, out);
            }
            b'E' => self.result(out),
            b'Q' => {
                description(&self.table, out);
                self.result(out);
                if !self.endless {
                    frame::write(out, b'Z', |b| b.push(b'I'));
                }
            }
            b'S' if !self.endless => frame::write(out, b'Z', |b| b.push(b'I')),
            _ => {}
        }
    }

    fn result(&self, out: &mut Vec<u8>) {
        out.extend(rows(&self.table, self.rows));
        if !self.endless {
            frame::write(out, b'C', |b| frame::text(b, b"SELECT 1"));
        }
    }
}
