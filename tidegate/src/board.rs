//! What operators are shown: written by `serve`, read by the control thread for its pages.
//!
//! Holds names of targets, numbers, digests and errors of our own making; no names of people, no statements, no rows.

use crate::metrics;
use control::{Page, Pages};
use gateway::Gateway;
use notary::service::StatusView;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// The version shown.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is known of a target.
#[derive(Clone, Debug, Default)]
pub struct TargetBoard {
    /// Name.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// TLS mode.
    pub tls: &'static str,
    /// Audit mode.
    pub audit: &'static str,
    /// Relations of its catalog; `None`: not known, nobody is admitted.
    pub relations: Option<usize>,
    /// Generation of its rules.
    pub epoch: u64,
    /// When its catalog was last looked at with success, seconds since 1970.
    pub looked_at: u64,
    /// Why the last look failed, if it did.
    pub error: Option<String>,
    /// Attempts that failed.
    pub failures: u64,
    /// What its account may do that it should not.
    pub warnings: Vec<String>,
}

/// Everything shown.
#[derive(Debug, Default)]
pub struct State {
    /// The running gateway.
    pub gateway: Option<Arc<Gateway>>,
    /// The notary beside it.
    pub notary: Option<StatusView>,
    /// Digest of the bundle in force.
    pub bundle: String,
    /// Roles that rules are only observed for.
    pub observed: Vec<String>,
    /// Forwarders of the audit log.
    pub forwarders: Option<Arc<forward::Board>>,
    /// Users known.
    pub users: usize,
    /// In the order of the bundle.
    pub targets: Vec<TargetBoard>,
    /// Reloads accepted and refused.
    pub reloads: (u64, u64),
    /// Why the last reload was refused, if it was.
    pub reload_error: Option<String>,
    /// Whether the gateway is ending.
    pub draining: bool,
}

/// The shared board.
#[derive(Debug)]
pub struct Board {
    state: Mutex<State>,
    began: Instant,
}

impl Board {
    /// A board of a gateway that has not started.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state: Mutex::new(state), began: Instant::now() }
    }

    /// To read or change. Held only for moments.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // A page that panicked half way leaves nothing half written: pages only read.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether clients are served: it listens, is not ending, and at least one target admits sessions.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        state.gateway.is_some() && !state.draining && state.targets.iter().any(|t| t.relations.is_some())
    }

    /// The status as JSON.
    #[must_use]
    pub fn status_json(&self) -> Value {
        let ready = self.is_ready();
        let state = self.state();
        let phase = match (&state.gateway, state.draining) {
            (_, true) => "draining",
            (None, false) => "starting",
            (Some(_), false) if ready => "ready",
            (Some(_), false) => "waiting",
        };
        let (listen, sessions, driver) =
            state.gateway.as_ref().map(|g| g.status()).map_or_else(Default::default, |s| {
                (s.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), s.sessions, s.driver)
            });
        let numbers = state.gateway.as_ref().map(|g| g.metrics()).unwrap_or_default();
        let stages: Vec<Value> = metrics::stages_of_all(&numbers)
            .iter()
            .map(|(name, times)| {
                let micros = |quantile| times.value_at_quantile(quantile) / 1000;
                json!({ "name": name, "count": times.len(), "p50_us": micros(0.5), "p99_us": micros(0.99) })
            })
            .collect();
        let targets: Vec<Value> = state
            .targets
            .iter()
            .map(|t| {
                json!({
                    "name": t.name, "address": t.address, "tls": t.tls, "audit": t.audit,
                    "ready": t.relations.is_some(), "relations": t.relations, "epoch": t.epoch,
                    "catalog_looked_at": t.looked_at, "error": t.error, "warnings": t.warnings,
                })
            })
            .collect();
        let forwarders = state.forwarders.as_ref().map(|board| board.statuses()).unwrap_or_default();
        let forwarders: Vec<Value> = forwarders
            .iter()
            .map(|f| {
                json!({
                    "name": f.name, "kind": f.kind, "place": f.place, "state": f.state.name(), "sent": f.sent,
                    "failures": f.failures, "lag_records": f.lag_records, "lag_seconds": f.lag_seconds, "error": f.error,
                })
            })
            .collect();
        json!({
            "forwarders": forwarders,
            "version": VERSION, "state": phase, "uptime_seconds": self.began.elapsed().as_secs(),
            "listen": listen, "sessions": sessions.iter().sum::<u64>(), "sessions_per_core": sessions, "driver": driver,
            "checkpoints": state.notary.as_ref().map(|n| checkpoints(&n.get())),
            "stages": stages, "bundle": state.bundle, "observe_mode": state.observed, "users": state.users, "targets": targets,
            "reloads": { "accepted": state.reloads.0, "refused": state.reloads.1, "last_error": state.reload_error },
        })
    }
}

fn checkpoints(status: &notary::service::Status) -> Value {
    let witness = |w: &notary::service::WitnessStatus| json!({ "name": w.name, "standing": w.standing, "good": w.good, "size": w.size, "at": w.at });
    json!({
        "origin": status.origin, "blocks": status.size, "signed": status.checkpoint, "at": status.checkpoint_at,
        "age_seconds": status.unsigned_for.as_secs(), "refusing_sessions": status.refusing, "error": status.error,
        "witnesses": status.witnesses.iter().map(witness).collect::<Vec<_>>(),
        "anchor": status.anchor.as_ref().map(|a| {
            json!({ "size": a.size, "at": a.at, "place": a.place, "error": a.error })
        }),
    })
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// The pages of a board.
#[derive(Debug)]
pub struct BoardPages(pub Arc<Board>);

impl Pages for BoardPages {
    fn metrics(&self) -> Page {
        let state = self.0.state();
        let gateway = state.gateway.clone();
        let extra = metrics::Extra {
            version: VERSION,
            driver: gateway.as_ref().map_or("", |g| g.status().driver),
            bundle: state.bundle.clone(),
            uptime_seconds: self.0.began.elapsed().as_secs_f64(),
            reloads: state.reloads,
            targets: state.targets.iter().map(|t| (t.name.clone(), t.relations.is_some(), t.failures)).collect(),
            resident_bytes: metrics::resident_bytes(),
            cpu_seconds: Some(metrics::cpu_seconds()),
            notary: state.notary.as_ref().map(StatusView::get),
            forwarders: state.forwarders.as_ref().map(|board| board.statuses()).unwrap_or_default(),
        };
        drop(state);
        let numbers = gateway.map(|g| g.metrics()).unwrap_or_default();
        Page {
            good: true,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: metrics::render(&numbers, &extra),
        }
    }

    fn health(&self) -> Page {
        let good = self.0.is_ready();
        let body = if good { "ok\n" } else { "not ready; see /status\n" };
        Page { good, content_type: "text/plain; charset=utf-8", body: body.to_owned() }
    }

    fn status(&self) -> Page {
        let body = format!("{:#}\n", self.0.status_json());
        Page { good: true, content_type: "application/json", body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(relations: Option<usize>) -> Board {
        let target = TargetBoard { name: "warehouse".to_owned(), relations, ..TargetBoard::default() };
        Board::new(State { bundle: "ab12".to_owned(), targets: vec![target], ..State::default() })
    }

    #[test]
    fn not_ready_before_the_gateway_runs() {
        let pages = BoardPages(Arc::new(board(Some(3))));
        assert!(!pages.health().good);
        let status: Value = serde_json::from_str(&pages.status().body).unwrap();
        assert_eq!(status["state"], "starting");
        assert_eq!(status["targets"][0]["name"], "warehouse");
        assert!(pages.metrics().body.contains("tidegate_target_ready{target=\"warehouse\"} 1"));
    }

    #[test]
    fn draining_is_shown_and_unhealthy() {
        let board = board(None);
        board.state().draining = true;
        assert_eq!(board.status_json()["state"], "draining");
        assert_eq!(board.status_json()["targets"][0]["ready"], false);
        assert!(!BoardPages(Arc::new(board)).health().good);
    }
}
