//! Values that never come out, put together from answers to yes-or-no questions, the way an attacker does it.
//!
//! A question holds a condition on the protected column. First two questions whose answers are known show whether the
//! observed signal depends on the condition at all; if it does not, nothing is recovered. If it does, characters are found one by one,
//! by halving the alphabet where the condition can be an order, else letter by letter. The work is bounded: two values, and
//! three characters where every answer takes time.

use crate::{
    Result,
    names::Names,
    run::{Form, Session},
    truth::{Cell, Truth},
};
use std::time::{Duration, Instant};
use tests::wire::Frame;

/// What is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Number of rows.
    Rows,
    /// First value of the first row.
    First,
    /// Number of rows changed, or the like.
    Tag,
    /// Whether there is an error, and its SQLSTATE.
    Error,
    /// Whether a plan expects more rows than this.
    Estimate(u64),
    /// Whether the answer takes long.
    Time,
    /// How many bytes came back.
    Size,
}

/// Questions about protected values.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// Said once before.
    pub setup: Vec<String>,
    /// The question. Beside the usual names it may use, for "the character at the place in question is at least x":
    /// `{ge}` (whole-value comparison), `{sub}` (of one character), `{in}` (a list), `{regex}`, `{px}` (the bare guess),
    /// `{i}` with `{x}` or `{code}`; and for "is x": `{like}`, `{pl}` (the bare guess). `{id}` is the row's key.
    pub ask: String,
    /// What is observed.
    pub signal: Signal,
    /// Any value is welcome: the question names no row.
    pub any: bool,
    /// Each answer takes time.
    pub slow: bool,
}

impl Oracle {
    /// A question with what is observed.
    #[must_use]
    pub fn new(ask: &str, signal: Signal) -> Self {
        let any = !ask.contains("{id}");
        Self { setup: Vec::new(), ask: ask.into(), signal, any, slow: signal == Signal::Time }
    }

    /// Said once before.
    #[must_use]
    pub fn after(mut self, statements: &[&str]) -> Self {
        self.setup = statements.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    fn letter_by_letter(&self) -> bool {
        self.ask.contains("{like}") || self.ask.contains("{pl}")
    }
}

/// Values tried.
const VALUES: usize = 2;
/// Characters of each where every answer takes time.
const SLOW_CHARACTERS: usize = 3;
/// What counts as long.
const LONG: Duration = Duration::from_millis(60);
/// A quick answer comes late where a process stands still, a slow one never comes early: slow is what takes long every time.
const TIMES: u32 = 3;

/// Answers by their time.
const QUICK: &str = "quick";
const SLOW: &str = "slow";

struct Search<'a> {
    oracle: &'a Oracle,
    names: &'a Names,
    session: &'a mut Session,
    form: Form,
    wrapped: bool,
    alphabet: Vec<char>,
    yes: String,
    asked: u64,
}

/// Characters recovered by asking, and the number of questions. `None`: does not apply here.
///
/// # Errors
/// The connection fails.
pub fn recover(
    oracle: &Oracle,
    session: &mut Session,
    names: &Names,
    truth: &Truth,
    form: Form,
    wrapped: bool,
) -> Result<Option<(u64, u64)>> {
    let (Some(table), Some(column)) = (names.get("t"), names.get("c")) else { return Ok(None) };
    let place = format!("{table}.{column}");
    let cells: Vec<&Cell> = truth.of(&place).map(|(_, cell)| cell).collect();
    let mut alphabet: Vec<char> = cells.iter().flat_map(|cell| cell.value.chars()).collect();
    alphabet.sort_unstable();
    alphabet.dedup();
    let Some(first) = cells.first() else { return Ok(None) };
    if names.fill(&oracle.ask).is_none() {
        return Ok(None);
    }
    for statement in &oracle.setup {
        let Some(statement) = names.fill(statement) else { return Ok(None) };
        session.say(&statement, form)?;
    }
    let mut search = Search { oracle, names, session, form, wrapped, alphabet, yes: String::new(), asked: 0 };
    if !search.calibrate(first)? {
        return Ok(Some((0, search.asked)));
    }
    let mut characters = 0;
    for cell in cells.iter().take(if oracle.any || oracle.slow { 1 } else { VALUES }) {
        let length = cell.value.chars().count();
        let length = if oracle.slow { SLOW_CHARACTERS.min(length) } else { length };
        let guess = search.value(&cell.key, length)?;
        let right = |value: &str| value.chars().zip(&guess).take_while(|(a, b)| a == *b).count() as u64;
        characters += match oracle.any {
            true => cells.iter().map(|cell| right(&cell.value)).max().unwrap_or(0),
            false => right(&cell.value),
        };
    }
    Ok(Some((characters, search.asked)))
}

impl Search<'_> {
    /// Whether the signal follows the condition: learned from questions whose answers are known.
    fn calibrate(&mut self, cell: &Cell) -> Result<bool> {
        let Some(first) = cell.value.chars().next() else { return Ok(false) };
        let above = self.alphabet.iter().copied().find(|c| *c > first).unwrap_or('~');
        let never = if self.oracle.letter_by_letter() { '~' } else { above };
        let mut seen = Vec::new();
        for x in [first, never, first, never] {
            seen.push(self.observe(&cell.key, "", x)?);
        }
        self.yes = seen[0].clone();
        Ok(seen[0] == seen[2] && seen[1] == seen[3] && seen[0] != seen[1])
    }

    fn value(&mut self, key: &str, length: usize) -> Result<Vec<char>> {
        let mut known = String::new();
        for _ in 0..length {
            let next =
                if self.oracle.letter_by_letter() { self.listed(key, &known)? } else { self.halved(key, &known)? };
            match next {
                Some(x) => known.push(x),
                None => break,
            }
        }
        Ok(known.chars().collect())
    }

    fn listed(&mut self, key: &str, known: &str) -> Result<Option<char>> {
        for x in self.alphabet.clone() {
            if self.observe(key, known, x)? == self.yes {
                return Ok(Some(x));
            }
        }
        Ok(None)
    }

    fn halved(&mut self, key: &str, known: &str) -> Result<Option<char>> {
        let (mut low, mut high) = (0, self.alphabet.len());
        while high - low > 1 {
            let middle = low.midpoint(high);
            let x = self.alphabet[middle];
            if self.observe(key, known, x)? == self.yes { low = middle } else { high = middle }
        }
        Ok(self.alphabet.get(low).copied())
    }

    fn observe(&mut self, key: &str, known: &str, x: char) -> Result<String> {
        self.asked += 1;
        let question = self.question(key, known, x);
        for _ in 1..TIMES {
            let seen = self.observe_once(&question)?;
            if self.oracle.signal != Signal::Time || seen == QUICK {
                return Ok(seen);
            }
        }
        self.observe_once(&question)
    }

    fn observe_once(&mut self, question: &str) -> Result<String> {
        let begin = Instant::now();
        let frames = self.session.say_wrapped(question, self.form, self.wrapped)?;
        Ok(signal(self.oracle.signal, &frames, begin.elapsed()))
    }

    fn question(&self, key: &str, known: &str, x: char) -> String {
        let column = self.names.get("c").unwrap_or_default();
        let i = known.chars().count() + 1;
        let guess = format!("{known}{x}");
        let at_least: Vec<char> = match self.alphabet.iter().any(|c| *c >= x) {
            true => self.alphabet.iter().copied().filter(|c| *c >= x).collect(),
            false => vec![x],
        };
        let list: Vec<String> = at_least.iter().map(|c| format!("'{c}'")).collect();
        let escape = |c: &char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\{c}") };
        let class: String = at_least.iter().map(escape).collect();
        let prefix: String = known.chars().map(|c| escape(&c)).collect();
        let mut text = self.oracle.ask.clone();
        for (name, value) in [
            ("{ge}", format!("{column} collate \"C\" >= '{guess}'")),
            ("{sub}", format!("substr({column}, {i}, 1) collate \"C\" >= '{x}'")),
            ("{in}", format!("substr({column}, {i}, 1) in ({})", list.join(", "))),
            ("{regex}", format!("{column} ~ '^{prefix}[{class}]'")),
            ("{like}", format!("{column} like '{guess}%'")),
            ("{px}", guess.clone()),
            ("{pl}", guess),
            ("{i}", i.to_string()),
            ("{x}", x.to_string()),
            ("{code}", u32::from(x).to_string()),
            ("{id}", key.to_owned()),
        ] {
            text = text.replace(name, &value);
        }
        self.names.fill(&text).unwrap_or(text)
    }
}

fn signal(signal: Signal, frames: &[Frame], took: Duration) -> String {
    let rows = || frames.iter().filter(|frame| frame.tag == b'D');
    let error = frames.iter().find(|frame| frame.tag == b'E').and_then(|frame| frame.field(b'C'));
    match signal {
        Signal::Rows => rows().count().to_string(),
        Signal::First => rows()
            .find_map(|row| crate::client::values(row).first().cloned().flatten().map(<[u8]>::to_vec))
            .map_or_else(String::new, |value| value.iter().map(|byte| format!("{byte:02x}")).collect()),
        Signal::Tag => frames
            .iter()
            .rev()
            .filter(|frame| frame.tag == b'C')
            .map(|frame| String::from_utf8_lossy(&frame.body).into_owned())
            .find(|tag| !tag.starts_with("ROLLBACK") && !tag.starts_with("BEGIN"))
            .unwrap_or_default(),
        Signal::Error => error.unwrap_or_default(),
        Signal::Estimate(limit) => {
            let text: Vec<u8> = rows().flat_map(|row| row.body.clone()).collect();
            let text = String::from_utf8_lossy(&text);
            let most = text.split("rows=").skip(1).filter_map(|rest| {
                rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u64>().ok())
            });
            most.max().map_or_else(String::new, |most| (most > limit).to_string())
        }
        Signal::Time => if took > LONG { SLOW } else { QUICK }.to_owned(),
        Signal::Size => frames.iter().map(|frame| frame.body.len()).sum::<usize>().to_string(),
    }
}
