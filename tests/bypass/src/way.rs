//! What a way out is: statements with placeholders, and how a value is had from what they answer.
//!
//! A way belongs to a row of the catalogue by its id and has one or more variants. A variant that recovers nothing from a
//! direct connection proves nothing, so it says why, or the tests fail. Placeholders are filled by [`crate::names::Names`].

use crate::{Result, client::Client, infer::Oracle, names::Names};
use tests::wire::Frame;

/// A row of the catalogue.
#[derive(Clone, Debug)]
pub struct Way {
    /// `A1`.
    pub id: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// How it is tried.
    pub variants: Vec<Variant>,
}

/// One way of taking it.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Unique within the way.
    pub name: &'static str,
    /// What is done.
    pub how: How,
    /// Inside a transaction that is rolled back: it writes, or takes what ends with the transaction.
    pub wrapped: bool,
    /// Also search values put together from many rows, columns or numbers.
    pub pieces: bool,
    /// Needs an account with the rights of an operator (files, programs, replication, superuser's functions).
    pub privileged: bool,
    /// Statements only make sense as one simple query, or one after another by the protocol they name.
    pub forms: Forms,
    /// Why nothing comes out of a direct connection either.
    pub silent: Option<&'static str>,
}

/// Forms that make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forms {
    /// All four.
    All,
    /// Text only: results have no binary form, or the statement sets how text looks.
    Text,
    /// Simple query only.
    Simple,
    /// The way is about the protocol: it is run once for each result format.
    Formats,
    /// The way is run once.
    Once,
}

/// What a variant does.
#[derive(Clone, Debug)]
pub enum How {
    /// Statements one after another in one session; what comes back is searched.
    Statements(Vec<String>),
    /// Statements; numbers that come back are days since this date and are searched as dates.
    Days(Vec<String>, &'static str),
    /// Statements that answer yes or no: values are put together from many answers.
    Oracle(Oracle),
    /// Frames of its own.
    Protocol(Conversation),
}

/// A conversation by frames: result format, names; returns all that came back.
pub type Conversation = fn(&mut Talk<'_>) -> Result<()>;

/// What a conversation has to work with.
#[derive(Debug)]
pub struct Talk<'a> {
    /// A session after its login.
    pub client: Client,
    /// Where the values are.
    pub names: &'a Names,
    /// Where the session is, for those that need another.
    pub login: &'a crate::client::Login,
    /// Result format, 0 text, 1 binary.
    pub format: u16,
    /// All that came back.
    pub heard: Vec<Frame>,
}

impl Talk<'_> {
    /// Sends frames and keeps what comes back up to the next ReadyForQuery.
    ///
    /// # Errors
    /// The connection fails.
    pub fn ask(&mut self, frames: &[Vec<u8>]) -> Result<()> {
        self.ask_for(frames, 1)
    }

    /// Sends frames and keeps what comes back up to so many ReadyForQuery.
    ///
    /// # Errors
    /// The connection fails.
    pub fn ask_for(&mut self, frames: &[Vec<u8>], ready: usize) -> Result<()> {
        self.client.send(&frames.concat())?;
        let answer = self.client.until_ready(ready)?;
        self.heard.extend(answer);
        Ok(())
    }

    /// A template with its names filled in.
    ///
    /// # Errors
    /// A name is not to be had here.
    pub fn fill(&self, template: &str) -> Result<String> {
        self.names.fill(template).ok_or_else(|| "does not apply here".into())
    }
}

impl Variant {
    fn of(name: &'static str, how: How) -> Self {
        Self { name, how, wrapped: false, pieces: false, privileged: false, forms: Forms::All, silent: None }
    }

    /// In a transaction that is rolled back.
    #[must_use]
    pub fn wrapped(mut self) -> Self {
        self.wrapped = true;
        self
    }

    /// Search also what is put together from pieces.
    #[must_use]
    pub fn pieces(mut self) -> Self {
        self.pieces = true;
        self
    }

    /// Needs the rights of an operator.
    #[must_use]
    pub fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    /// Only in these forms.
    #[must_use]
    pub fn only(mut self, forms: Forms) -> Self {
        self.forms = forms;
        self
    }

    /// Nothing comes out directly, for this reason.
    #[must_use]
    pub fn silent(mut self, reason: &'static str) -> Self {
        self.silent = Some(reason);
        self
    }

    /// The statements, if it is made of statements.
    #[must_use]
    pub fn statements(&self) -> Option<&[String]> {
        match &self.how {
            How::Statements(list) | How::Days(list, _) => Some(list),
            How::Oracle(_) | How::Protocol(_) => None,
        }
    }
}

/// A way.
#[must_use]
pub fn way(id: &'static str, title: &'static str, variants: Vec<Variant>) -> Way {
    Way { id, title, variants }
}

/// One statement whose answer is searched.
#[must_use]
pub fn one(name: &'static str, statement: &str) -> Variant {
    many(name, &[statement])
}

/// Statements one after another.
#[must_use]
pub fn many(name: &'static str, statements: &[&str]) -> Variant {
    Variant::of(name, How::Statements(statements.iter().map(|text| (*text).to_owned()).collect()))
}

/// One statement whose numbers are days since a date.
#[must_use]
pub fn days(name: &'static str, since: &'static str, statement: &str) -> Variant {
    Variant::of(name, How::Days(vec![statement.to_owned()], since))
}

/// A way that answers yes or no.
#[must_use]
pub fn oracle(name: &'static str, oracle: Oracle) -> Variant {
    let once = oracle.slow;
    let variant = Variant::of(name, How::Oracle(oracle)).only(Forms::Text);
    if once { variant.only(Forms::Once) } else { variant }
}

/// A way by frames, once for each result format.
#[must_use]
pub fn frames(name: &'static str, conversation: Conversation) -> Variant {
    Variant::of(name, How::Protocol(conversation)).only(Forms::Formats)
}
