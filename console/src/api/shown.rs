//! Things as the API shows them. What is sealed, hashed or a verifier is in none of them.

use crate::world::Live;
use access::{AccessGrant, Minted, Person, Request, Said, State, Vote, Wanted, Who};
use serde_json::{Value, json};

pub(super) fn who(who: &Who) -> Value {
    json!({"issuer": who.issuer, "subject": who.subject})
}

fn vote(of: &Vote) -> Value {
    json!({
        "handle": of.handle, "who": who(&of.who), "approve": of.approve, "reason": of.reason, "at": of.at_s,
        "channel": of.channel, "groups": of.groups, "step_up": of.step_up,
    })
}

fn wanted(of: &Wanted, said: Option<&Said>) -> Value {
    match of {
        Wanted::Access { target, role, seconds } => {
            json!({"kind": "access", "target": target, "role": role, "seconds": seconds})
        }
        Wanted::Statement(of) => {
            let classes: Vec<Value> =
                of.classes.iter().map(|(class, fate)| json!({"class": class, "becomes": fate})).collect();
            json!({
                "kind": "statement", "target": of.target, "role": of.role, "rule": of.rule, "digest": of.digest,
                "session": of.session, "statement": of.statement, "tables": of.tables, "classes": classes,
                "marks": of.marks, "estimate": of.estimate,
                "text": said.map(|said| &said.text), "parameters": said.map(|said| &said.parameters),
            })
        }
    }
}

pub(super) fn request(of: &Request, said: Option<&Said>) -> Value {
    let (state, until) = match &of.state {
        State::Pending => ("pending", Some(of.until_s)),
        State::Approved { until_s } => ("approved", Some(*until_s)),
        State::Consumed { .. } => ("consumed", None),
        State::Over { why } => (why.as_str(), None),
    };
    json!({
        "id": of.id, "wanted": wanted(&of.wanted, said), "who": who(&of.who), "handle": of.handle,
        "reason": of.reason, "source": of.source, "at": of.at_s, "state": state, "until": until,
        "approvers": of.approvers, "needed": of.needed, "distinct": of.distinct, "step_up": of.step_up,
        "votes": of.votes.iter().map(vote).collect::<Vec<_>>(),
    })
}

pub(super) fn grant(of: &AccessGrant) -> Value {
    json!({
        "id": of.id, "who": who(&of.who), "target": of.target, "role": of.role, "from": of.from_s,
        "until": of.until_s, "purpose": of.purpose, "break_glass": of.break_glass,
    })
}

pub(super) fn minted(of: &Minted) -> Value {
    json!({
        "id": of.id, "who": who(&of.who), "kind": if of.serial.is_empty() { "password" } else { "certificate" },
        "serial": of.serial, "target": of.target, "purpose": of.purpose, "until": of.until_s,
    })
}

pub(super) fn person(of: &Person) -> Value {
    json!({
        "who": who(&of.who), "handle": of.handle, "name": of.name, "groups": of.groups, "seen": of.seen_s,
        "suspended": of.suspended, "authenticators": of.authenticators.len(),
    })
}

pub(super) fn live(of: &Live) -> Value {
    json!({
        "session": of.session, "core": of.core, "who": {"issuer": of.issuer, "subject": of.subject}, "user": of.user,
        "role": of.role, "target": of.target, "source": of.source, "application": of.application, "grant": of.grant,
        "purpose": of.purpose, "since": of.since_s, "until": of.until_s,
    })
}
