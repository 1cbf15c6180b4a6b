//! What the console asks this gateway, answered: targets, sessions, health, rules, the log.
//!
//! Everything here reads: the board, the gateway's lists, the audit directory, the bundle in force. The one act is ending a
//! session, which the console has checked and recorded. Nothing is cached but the bundles that were in force.

mod health;
mod past;
mod rules;

pub use rules::InForce;

use crate::board::Board;
use access::{Engine, Person, hex};
use console::world::{
    Difference, Explained, Found, Health, Live, PolicySummary, Replay, Search, Standing, Target, Viewer, World,
};
use gateway::Gateway;
use gateway::access::Cut;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

/// A target, as clients reach it.
#[derive(Clone, Debug)]
pub struct Reached {
    /// Name.
    pub name: String,
    /// Database name that clients give.
    pub database: String,
}

/// The gateway, for the console.
pub struct Gate {
    /// What operators are shown.
    pub board: Arc<Board>,
    /// People.
    pub engine: Arc<Engine>,
    /// Rules in force.
    pub in_force: Arc<InForce>,
    /// Where the log is.
    pub audit: PathBuf,
    /// Targets in the order of the bundle.
    pub targets: Vec<Reached>,
    /// Name that clients reach the gateway by.
    pub host: String,
    /// Clients must use TLS.
    pub tls: bool,
    /// The gateway, once it runs.
    pub gateway: OnceLock<Weak<Gateway>>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("targets", &self.targets).finish_non_exhaustive()
    }
}

impl Gate {
    fn running(&self) -> Option<Arc<Gateway>> {
        self.gateway.get().and_then(Weak::upgrade)
    }

    fn handle_of(&self, issuer: &str, subject: &str) -> String {
        let who = access::Who { issuer: issuer.to_owned(), subject: subject.to_owned() };
        self.engine.person(&who).map_or_else(|| subject.to_owned(), |person| person.handle)
    }
}

fn parse_session(text: &str) -> Option<audit::record::SessionId> {
    let mut id = [0; 16];
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (out, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *out = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(audit::record::SessionId(id))
}

impl World for Gate {
    fn targets(&self) -> Vec<Target> {
        let port = self.running().and_then(|gateway| gateway.listening().first().map(SocketAddr::port)).unwrap_or(0);
        let state = self.board.state();
        let policy = self.engine.policy();
        let ready = |name: &str| state.targets.iter().any(|t| t.name == name && t.relations.is_some());
        let target = |target: &Reached| Target {
            name: target.name.clone(),
            host: self.host.clone(),
            port,
            database: target.name.clone(),
            tls: self.tls,
            ready: ready(&target.name),
            purpose_required: policy.purpose_needed(&target.name),
        };
        self.targets.iter().map(target).collect()
    }

    fn standing(&self, person: &Person) -> Vec<Standing> {
        self.in_force.standing(person, &self.targets)
    }

    fn live(&self) -> Vec<Live> {
        let Some(gateway) = self.running() else { return Vec::new() };
        let second = |ns: u64| ns / 1_000_000_000;
        let show = |live: gateway::access::Live| Live {
            session: hex(&live.session.0),
            core: live.core,
            issuer: live.issuer,
            subject: live.subject,
            user: live.user,
            role: live.role,
            target: live.target,
            source: live.source,
            application: live.application,
            grant: live.grant,
            purpose: live.purpose,
            since_s: second(live.since_ns),
            until_s: second(live.until_ns),
        };
        let mut list: Vec<Live> = gateway.live().into_iter().map(show).collect();
        list.sort_by(|a, b| b.since_s.cmp(&a.since_s).then_with(|| a.session.cmp(&b.session)));
        list
    }

    fn kill(&self, session: &str, _reason: &str) -> bool {
        let (Some(gateway), Some(session)) = (self.running(), parse_session(session)) else { return false };
        gateway.cut(&Cut { session: Some(session), reason: "killed", ..Cut::default() }) > 0
    }

    fn health(&self) -> Health {
        health::of(self)
    }

    fn policy(&self) -> Result<PolicySummary, String> {
        Ok(self.in_force.summary())
    }

    fn difference(&self, from: &str, to: &str) -> Result<Difference, String> {
        self.in_force.difference(from, to)
    }

    fn explain(&self, target: &str, role: &str, statement: &str) -> Result<Explained, String> {
        self.in_force.explain(target, role, statement)
    }

    fn search(&self, search: &Search) -> Result<Found, String> {
        past::search(self, search)
    }

    fn replay(&self, session: &str, viewer: &Viewer) -> Result<Replay, String> {
        past::replay(self, session, viewer)
    }
}
