//! Starting the engine: its store, its key, its rules.

use super::settings::{AccessSettings, StoreSource};
use access::{AtRest, Embedded, Engine, Journal, News, Policy, Requestable, Shared, Store};
use audit::Body;
use gateway::AuditHandle;
use policy::Model;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// An act of a person waits so long for its record to be on disk.
const RECORD_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

/// The audit log of a gateway that is still to start: until then nothing is recorded, so nothing is done.
#[derive(Clone, Debug, Default)]
pub struct LateJournal(Arc<OnceLock<AuditHandle>>);

impl LateJournal {
    /// The gateway runs.
    pub fn ready(&self, handle: AuditHandle) {
        let _twice = self.0.set(handle);
    }
}

impl Journal for LateJournal {
    fn append(&self, body: Body) -> bool {
        self.0.get().is_some_and(|handle| handle.append_durable(body, RECORD_LIMIT))
    }
}

/// The engine and the thread that follows its store.
#[derive(Debug)]
pub struct Running {
    /// The engine.
    pub engine: Arc<Engine>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Ends the thread.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that follows the access store panicked");
        }
    }
}

/// Some class reaches who has the role as it is.
fn shows_protected(role: &policy::model::Role, model: &Model) -> bool {
    let clear = |id: &policy::model::RedactionId| {
        matches!(model.redactions.get(usize::from(*id)), None | Some(policy::model::Redaction::Clear))
    };
    role.mode == policy::model::Mode::Observe || role.treatment.iter().any(clear)
}

/// The rules of the configuration, and those roles of the bundle that can be asked for.
#[must_use]
pub fn policy_of(settings: &AccessSettings, model: &Model) -> Policy {
    let requestable = |role: &policy::model::Role| {
        role.request.as_ref().map(|asking| Requestable {
            role: role.name.clone(),
            targets: role.targets.clone(),
            groups: asking.groups.clone(),
            approvers: asking.approvers.clone(),
            approvals: asking.approvals,
            max_s: u64::from(asking.seconds),
            protected: shows_protected(role, model),
        })
    };
    let emergency = |role: &policy::model::Role| {
        role.break_glass.as_ref().map(|emergency| Requestable {
            role: role.name.clone(),
            targets: role.targets.clone(),
            groups: emergency.groups.clone(),
            approvers: Vec::new(),
            approvals: 0,
            max_s: u64::from(emergency.seconds),
            protected: shows_protected(role, model),
        })
    };
    let requestable = model.roles.iter().filter_map(requestable).collect();
    let break_glass = model.roles.iter().filter_map(emergency).collect();
    Policy {
        requestable,
        break_glass,
        admins: settings.admins.clone(),
        auditors: settings.auditors.clone(),
        request_s: settings.request_for.as_secs(),
        use_s: settings.use_within.as_secs(),
        pending_max: usize::try_from(settings.pending_max).unwrap_or(usize::MAX),
        cool_down_s: settings.cool_down.as_secs(),
        minted_max_s: settings.credential_max.as_secs(),
        step_up: settings.step_up,
        purpose_targets: settings.purpose_targets.clone(),
        ..Policy::default()
    }
}

/// Opens the store and reads it. `told` hears of the engine's news and returns at once.
///
/// # Errors
/// The key or the store cannot be opened; the text is for the operator.
pub fn start(
    settings: &AccessSettings,
    policy: Policy,
    journal: LateJournal,
    told: Box<dyn Fn(&News) + Send + Sync>,
) -> Result<Running, String> {
    let key = &settings.key_file.value;
    let sealed = AtRest::open_file(key).map_err(|e| format!("`access.key_file`: {}: {e}", key.display()))?;
    let store: Arc<dyn Store> = match &settings.store {
        StoreSource::Folder(folder) => {
            let folder = &folder.value;
            let told = |e: std::io::Error| format!("`access.store`: {}: {e}", folder.display());
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(told)?;
            let file = folder.join("access.redb");
            // Verifiers are in it: it is for this user alone from its first byte.
            let made = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&file).map_err(told)?;
            made.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(told)?;
            Arc::new(Embedded::open(&file).map_err(|e| format!("`access.store`: {}: {e}", file.display()))?)
        }
        StoreSource::Postgres { connection, ca } => {
            let found = connection.value.resolve().map_err(|e| format!("`access.store`: {e}"))?;
            let text = std::str::from_utf8(found.secret.expose())
                .map_err(|_| "`access.store`: the connection string is not UTF-8".to_owned())?;
            let config: tokio_postgres::Config =
                text.trim().parse().map_err(|_| "`access.store`: the connection string cannot be read".to_owned())?;
            let tls = match config.get_ssl_mode() {
                tokio_postgres::config::SslMode::Disable => None,
                _ => Some(store_tls(ca.as_ref().map(|ca| ca.value.as_path()))?),
            };
            Arc::new(Shared::open(config, tls).map_err(|e| format!("`access.store`: {e}"))?)
        }
    };
    let node = settings.node.clone().unwrap_or_else(host_name);
    let engine = Engine::new(store, Arc::new(journal), sealed, node, policy, told).map_err(|e| e.to_string())?;
    let engine = Arc::new(engine);
    let stop = Arc::new(AtomicBool::new(false));
    let thread = {
        let (engine, stop) = (Arc::clone(&engine), Arc::clone(&stop));
        std::thread::Builder::new()
            .name("access-follow".to_owned())
            .spawn(move || engine.follow(&|| stop.load(Ordering::Relaxed)))
            .map_err(|e| format!("the thread that follows the access store cannot start: {e}"))?
    };
    Ok(Running { engine, stop, thread: Some(thread) })
}

fn store_tls(ca: Option<&Path>) -> Result<rustls::ClientConfig, String> {
    crate::tls::client(ca, None).map(Arc::unwrap_or_clone).map_err(|e| format!("`access.store`: {e}"))
}

/// The machine's name.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
