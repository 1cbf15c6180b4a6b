//! The record of a statement that is not run.
//!
//! Invariant: it names the tables of a text that was understood, and of no other. Deliberately absent: telling the client.

use crate::host::Host;
use crate::info::SessionInfo;
use crate::release::Book;
use crate::serve::NOT_RECORDED;
use audit::record::Record;
use contract::{Fault, Refusal};
use policy::{Grant, code};

/// A statement that is not run, and why.
pub(crate) struct Refused<'a> {
    pub(crate) statement: u64,
    pub(crate) text: &'a [u8],
    pub(crate) refusal: &'a Refusal,
}

/// Records it.
pub(crate) fn block<H: Host>(
    host: &H,
    book: &Book,
    info: &SessionInfo,
    refused: &Refused<'_>,
    grant: &Grant,
    own_path: bool,
) -> Result<(), Fault> {
    let &Refused { statement, text, refusal } = refused;
    // What was never understood names nothing that could be relied on, and is not parsed once more to be told so.
    let understood = ![code::TOO_LONG, code::NOT_UNDERSTOOD, code::ENCODING].contains(&refusal.code);
    let text_read = std::str::from_utf8(text).ok().filter(|_| understood);
    let facts = text_read.and_then(|text| host.facts(text).ok());
    let tables = facts.map(|facts| grant.tables(&facts.statements, !own_path)).unwrap_or_default();
    let (text, sealed_text) = info.seal_text(statement, text);
    let record = Record::Block {
        session: info.id,
        statement,
        text,
        code: refusal.code,
        rule: &refusal.rule,
        bundle: *grant.epoch().bundle().digest(),
        sealed_text: &sealed_text,
        tables: &tables,
    };
    book.write(host, &record).map(drop).map_err(|_| NOT_RECORDED)
}
