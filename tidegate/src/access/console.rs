//! Starting the console: its listener, its TLS, who it asks.

use super::saml::SamlSettings;
use super::settings::ConsoleSettings;
use super::{Gate, InForce, Reached};
use crate::board::Board;
use crate::config::Config;
use access::Engine;
use console::signin::{Desk, Gate as Door};
use console::{Settings, State, notify};
use gateway::Gateway;
use identity::Providers;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};

/// A console that runs, and what it asks.
#[derive(Debug)]
pub struct Served {
    running: console::Running,
    gate: Arc<Gate>,
}

impl Served {
    /// The gateway runs.
    pub fn answer_by(&self, gateway: &Arc<Gateway>) {
        let _twice = self.gate.gateway.set(Arc::downgrade(gateway));
    }

    /// Ends it.
    pub fn stop(self) {
        self.running.stop();
    }
}

/// Who vouches for people, and for what the gateway makes itself.
#[derive(Debug)]
pub struct Vouchers<'a> {
    /// The rules about people.
    pub engine: &'a Arc<Engine>,
    /// Issuers of tokens.
    pub providers: Providers,
    /// Of client certificates, if clients of databases have TLS.
    pub authority: Option<Arc<console::Authority>>,
}

/// Starts the console.
///
/// # Errors
/// The address, the certificate or the URL cannot be used; the text is for the operator.
pub fn serve_console(
    config: &Config,
    settings: &ConsoleSettings,
    board: &Arc<Board>,
    in_force: &Arc<InForce>,
    targets: Vec<Reached>,
    vouchers: Vouchers<'_>,
    notices: notify::Outbound,
) -> Result<Served, String> {
    let engine = vouchers.engine;
    let url = url::Url::parse(&settings.url.value).map_err(|e| format!("`console.url`: {e}"))?;
    // A port that the system chooses is known only when the gateway listens.
    let port = config.listen.first().map_or(0, |listen| listen.value.port());
    let door = Door {
        host: url.host_str().unwrap_or_default().to_owned(),
        port,
        targets: targets.iter().map(|target| target.name.clone()).collect(),
        tls: config.tls.is_some(),
    };
    let gate = Arc::new(Gate {
        board: Arc::clone(board),
        engine: Arc::clone(engine),
        in_force: Arc::clone(in_force),
        audit: config.audit.directory.value.clone(),
        targets,
        host: url.host_str().unwrap_or_default().to_owned(),
        tls: config.tls.as_ref().is_some_and(|tls| tls.required),
        gateway: OnceLock::new(),
    });
    let tls = match (settings.plain, &settings.tls, &config.tls) {
        (true, ..) => None,
        (false, Some((certificate, key)), _) => Some((&certificate.value, &key.value)),
        (false, None, Some(files)) => Some((&files.certificate.value, &files.key.value)),
        (false, None, None) => {
            return Err("`console` needs a certificate: write `tls`, there or for the whole gateway".to_owned());
        }
    };
    let tls = match tls {
        None => None,
        Some((certificate, key)) => {
            let found = crate::tls::downstream(certificate, key).map_err(|e| format!("`console.tls`: {e}"))?;
            let mut config = Arc::unwrap_or_clone(found.config);
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(Arc::new(config))
        }
    };
    let listener = TcpListener::bind(settings.listen.value)
        .map_err(|e| format!("`console.listen`: cannot listen on {}: {e}", settings.listen.value))?;
    let world: Arc<dyn console::World> = Arc::clone(&gate) as _;
    let saml = config.identity.as_ref().and_then(|identity| identity.saml.as_ref());
    let saml = saml.map(SamlSettings::open).transpose().map_err(|e| format!("`identity.saml`: {e}"))?;
    let authority = vouchers.authority;
    let door = console::signin::Settings { url: url.clone(), gate: door, others: Vec::new(), saml, authority };
    let desk = Desk::new(Arc::clone(engine), vouchers.providers, door);
    let state = State::new(world, desk, super::notices::inbound(&settings.approvers)?)
        .map_err(|e| format!("`console.url`: {e}"))?;
    let notices = notices.to(super::notices::channels(&settings.notices)?);
    let settings = Settings { listener, tls, notices: Some(notices) };
    let running = console::start(settings, state).map_err(|e| format!("the console cannot start: {e}"))?;
    tracing::info!("console on {}, at {}", running.address(), url);
    Ok(Served { running, gate })
}
