//! What a session asks of policy, with what it knows: its names, its grant, and what was judged before.
//!
//! Invariants: a text is understood by the host each time, so that only its judgement can be an older one; a plan is an older
//! one only for a result of the very same description. Deliberately absent: what follows from the answers.

use crate::host::Host;
use crate::judged::{Judged, NameKind, Purse, Verdicts, decide, judge, understand};
use crate::names::Names;
use crate::refused::{Refused, block};
use crate::serve::{NOT_RECORDED, Session};
use crate::shelf::Shelf;
use audit::record::Record;
use contract::{Fault, Refusal, Serving, Via};
use policy::{Grant, code};
use std::rc::Rc;
use std::sync::Arc;

impl<S: Serving<Verdicts>> Session<S> {
    /// Understands and decides the held text.
    pub(crate) fn judge<H: Host>(&self, host: &H, via: Via) -> Result<Rc<Judged>, Refusal> {
        let text = std::str::from_utf8(self.serving.text(&self.down)).map_err(|_| Refusal {
            code: code::ENCODING,
            rule: "default:encoding".to_owned(),
            message: "the statement is not valid UTF-8".to_owned(),
            hint: Some("Use client_encoding UTF8.".to_owned()),
            position: None,
        })?;
        let facts = understand(host, text)?;
        if let Some(judged) = self.shelf.find(&facts, text, via) {
            return Ok(judged);
        }
        let taken = |name: &str| self.serving.has_prepared(name.as_bytes()) || self.serving.has_portal(name.as_bytes());
        let judged = decide(&facts, &self.grant, &self.names, &taken, &self.purse(host), text, via).map(Rc::new)?;
        self.shelf.keep(&judged, text, &self.grant);
        Ok(judged)
    }

    fn purse<H: Host>(&self, host: &H) -> Purse {
        self.shelf.purse(host.ledger())
    }

    /// The names that a prepared `EXECUTE` or `FETCH` refers to mean what they meant when it was judged and described. A
    /// name that the protocol's own prepared statements or portals have too could mean either.
    pub(crate) fn names_still_stand(&self, token: &Judged) -> bool {
        token.stands_for.iter().all(|(kind, name, then)| {
            let (now, taken) = match kind {
                NameKind::Prepared => {
                    (policy::Names::prepared(&self.names, name), self.serving.has_prepared(name.as_bytes()))
                }
                NameKind::Cursor => {
                    (policy::Names::cursor(&self.names, name), self.serving.has_portal(name.as_bytes()))
                }
            };
            let same = then.as_ref().zip(now.as_ref()).is_some_and(|(then, now)| Arc::ptr_eq(then, now));
            same && !taken
        })
    }

    /// Plans a held result shape.
    pub(crate) fn shape<H: Host>(&mut self, host: &H, token: &Rc<Judged>, part: usize) -> Result<(), Fault> {
        let known = token.planned(part, self.serving.description(&self.up), &self.key);
        let plan = match known {
            Some(plan) => Ok(plan),
            None => token.plan(part, self.serving.columns(&self.up)?.into(), &self.grant).inspect(|plan| {
                token.keep_plan(part, self.serving.description(&self.up), &self.grant, plan);
            }),
        };
        if let Err(refusal) = &plan {
            let text = token.text.as_bytes();
            let refused = Refused { statement: self.statements, text, refusal };
            block(host, &self.book, &self.info, &refused, &self.grant, self.names.own_path)?;
            if refusal.code == code::DISAGREEMENT {
                // The gateway and the database do not mean the same by a statement: somebody has to know.
                let alarm = Record::Alarm { session: self.info.id, kind: "disagreement", detail: refusal.code };
                self.book.write(host, &alarm).map(drop).map_err(|_| NOT_RECORDED)?;
            }
        }
        self.serving.plan(&mut self.up, &mut self.down, plan)
    }

    /// Every prepared statement is judged and planned again.
    pub(crate) fn judge_again<H: Host>(&mut self, host: &H) {
        let (grant, names, purse) = (&self.grant, &self.names, &self.purse(host));
        self.serving.renewed(&mut |token: &Rc<Judged>, columns| {
            let judged = Rc::new(judge(host, grant, names, &|_| true, purse, &token.text, Via::Prepare)?);
            let plan = columns.map(|columns| judged.plan(0, columns.into(), grant));
            Ok((judged, plan))
        });
    }
}

/// Judgements for a session: those of its core, unless names mean something else to it than to others.
pub(crate) fn shelf<H: Host>(host: &H, grant: &Grant, names: &Names) -> Rc<Shelf> {
    let shelf = host.shelf(grant);
    if names.are_plain() { shelf } else { shelf.apart() }
}
