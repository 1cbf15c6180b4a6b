//! People of the engine, as the cores look them up at login.

use access::{Engine, LoginOf};
use gateway::access::{Directory, Granted, Proven};
use postgres::scram::Verifier;
use std::sync::Arc;

const SECOND_NS: u64 = 1_000_000_000;

/// The engine as a directory.
#[derive(Debug)]
pub struct People(pub Arc<Engine>);

/// What a login is worth.
pub(crate) fn proven(of: &LoginOf, how: &str) -> Proven {
    let who = &of.person.who;
    let identity = policy::Identity {
        issuer: who.issuer.clone(),
        subject: who.subject.clone(),
        groups: of.person.groups.clone(),
        granted: Vec::new(),
    };
    Proven {
        identity,
        user: of.person.handle.clone(),
        grants: of.grants.iter().map(granted).collect(),
        until_ns: of.minted.until_s * SECOND_NS,
        how: how.to_owned(),
        credential: of.minted.id.clone(),
        purpose: of.minted.purpose.clone(),
        only_target: of.minted.target.clone(),
    }
}

/// A grant, as sessions know it.
pub(crate) fn granted(grant: &access::AccessGrant) -> Granted {
    Granted {
        id: grant.id.clone(),
        target: grant.target.clone(),
        role: grant.role.clone(),
        until_ns: grant.until_s * SECOND_NS,
        purpose: grant.purpose.clone(),
        emergency: grant.break_glass,
    }
}

impl Directory for People {
    fn find(&self, user: &str) -> Option<(Verifier, Vec<Proven>)> {
        let logins = self.0.login(user);
        let mut all: Option<Verifier> = None;
        let mut list = Vec::with_capacity(logins.len());
        for of in &logins {
            let Ok(verifier) = Verifier::parse(&of.minted.verifier) else { continue };
            let fits = match &mut all {
                None => {
                    all = Some(verifier);
                    true
                }
                Some(all) => all.or(&verifier),
            };
            if fits {
                list.push(proven(of, "minted"));
            }
        }
        all.map(|all| (all, list))
    }

    fn certificate(&self, serial: &str) -> Option<Proven> {
        self.0.certificate(serial).map(|of| proven(&of, "certificate"))
    }
}
