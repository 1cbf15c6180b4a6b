//! What a verb is: where, who may, what it takes and gives.

use super::{Call, Caller};
use crate::failure::Failure;
use crate::state::State;
use axum::http::Method;
use serde_json::{Map, Value};

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Everybody, signed in or not.
    Anyone,
    /// Whoever is signed in; what they see is their own.
    SignedIn,
    /// Whom the thing belongs to, or an administrator; checked by the engine on the thing itself.
    OwnerOrAdmin,
    /// Whoever asked for it; checked by the engine.
    Requester,
    /// Members of the request's approvers who did not ask for it; checked by the engine.
    Approver,
    /// Members of the groups that the rules name for emergencies; checked by the engine.
    Enrolled,
    /// Whom it concerns: the requester, approvers, auditors; checked by the engine.
    Concerned,
    /// Auditors and administrators.
    Auditor,
    /// Administrators.
    Admin,
}

impl Allowed {
    /// As the document says it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::SignedIn => "signed-in",
            Self::OwnerOrAdmin => "owner-or-admin",
            Self::Requester => "requester",
            Self::Approver => "approver",
            Self::Concerned => "concerned",
            Self::Enrolled => "enrolled",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// What can be said before looking at the thing itself. Refusals are recorded.
    pub(crate) fn check(self, state: &State, caller: Option<&Caller>, verb: &str, source: &str) -> Result<(), Failure> {
        if self == Self::Anyone {
            return Ok(());
        }
        let caller = caller.ok_or_else(Failure::signed_out)?;
        let (may, why) = match self {
            Self::Auditor => (state.engine.is_auditor(&caller.person), "only auditors and administrators may do this"),
            Self::Admin => (state.engine.is_admin(&caller.person), "only administrators may do this"),
            _ => (true, ""),
        };
        if !may {
            state.engine.refused("admin_refused", &caller.person.who, source, verb.to_owned());
            return Err(Failure::forbidden(why));
        }
        Ok(())
    }
}

/// What kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of at most so many bytes.
    Text(usize),
    /// Whole number in a range.
    Number(u64, u64),
    /// True or false.
    Truth,
    /// Any object.
    Object,
}

/// Something that is sent.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// Must be there.
    pub required: bool,
    /// What it is.
    pub about: &'static str,
}

impl Field {
    /// One that must be there.
    #[must_use]
    pub const fn needed(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, required: true, about }
    }

    /// One that may be there.
    #[must_use]
    pub const fn may(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, required: false, about }
    }
}

/// Shape of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// An object with these members: name, JSON type (`string`, `integer`, `boolean`, `array`, `object`), what it is.
    Object(&'static [(&'static str, &'static str, &'static str)]),
    /// An object whose only member is a list of such objects.
    List(&'static str, &'static [(&'static str, &'static str, &'static str)]),
}

/// What a verb answers.
pub type Reply = Result<Value, Failure>;

/// A verb.
#[derive(Debug)]
pub struct Verb {
    /// GET, POST or DELETE.
    pub method: Method,
    /// Path under [`BASE`](super::BASE), with `{names}`.
    pub path: &'static str,
    /// `operationId`.
    pub name: &'static str,
    /// Section of the document.
    pub tag: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Who may.
    pub allowed: Allowed,
    /// Body (POST, DELETE) or query (GET).
    pub takes: &'static [Field],
    /// Answer.
    pub gives: Shape,
    /// Does it, on a thread that may wait. Nothing where other code of this crate serves it.
    pub run: Option<fn(&State, &Call) -> Reply>,
}

/// Whether a method changes something.
pub(crate) trait Changes {
    fn changes(&self) -> bool;
}

impl Changes for Method {
    fn changes(&self) -> bool {
        *self != Self::GET
    }
}

impl Verb {
    /// Is what was sent what the table says?
    pub(crate) fn takes(&self, sent: &Map<String, Value>) -> Result<(), Failure> {
        let query = !self.method.changes();
        for (name, value) in sent {
            let field = self.takes.iter().find(|field| field.name == name);
            let Some(field) = field else {
                let known: Vec<&str> = self.takes.iter().map(|field| field.name).collect();
                return Err(Failure::invalid(format!("there is no such field here; there are: {}", known.join(", "))));
            };
            let fits = match field.kind {
                Kind::Text(most) => value.as_str().is_some_and(|text| text.len() <= most && !text.contains('\0')),
                Kind::Number(..) if query => return Err(Failure::invalid(format!("{name}: not in a query"))),
                Kind::Number(least, most) => value.as_u64().is_some_and(|n| (least..=most).contains(&n)),
                Kind::Truth => value.is_boolean(),
                Kind::Object => value.is_object(),
            };
            if !fits {
                return Err(Failure::invalid(format!("{}: {}", field.name, said(field.kind))));
            }
        }
        match self.takes.iter().find(|field| field.required && !sent.contains_key(field.name)) {
            Some(field) => Err(Failure::invalid(format!("{} is missing: {}", field.name, field.about))),
            None => Ok(()),
        }
    }
}

fn said(kind: Kind) -> String {
    match kind {
        Kind::Text(most) => format!("must be a text of at most {most} bytes"),
        Kind::Number(least, most) => format!("must be a whole number from {least} to {most}"),
        Kind::Truth => "must be true or false".to_owned(),
        Kind::Object => "must be an object".to_owned(),
    }
}
