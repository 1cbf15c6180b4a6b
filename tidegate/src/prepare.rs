//! Everything that `serve` needs and that can be known before a socket is opened: loaded, checked, and all mistakes told.
//!
//! `serve`, `check-config` and reload use the same functions, so what one accepts the others accept. Reload takes only
//! what may change while sessions are open: bundle, users, certificate.

use crate::{
    access::CredentialSettings,
    config::{self, Config},
    problems::Problems,
    process, recordings,
    secrets::{SecretSource, exposure},
    tls, users,
    yaml::{Placed, nearest},
};
use gateway::{Driver, Durability};
use policy::{
    Bundle, Keys,
    model::{Redaction, UpstreamTls},
};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{collections::BTreeSet, io::Read as _, path::Path, sync::Arc};
use zeroize::Zeroizing;

/// Largest bundle file.
const BUNDLE_BYTES_MAX: u64 = 1 << 30;
/// Most cores; a session's cancel key has seven bits for its core.
const CORES_MAX: usize = 127;

/// What may change while sessions are open.
#[derive(Debug)]
pub struct Rules {
    /// The policy.
    pub bundle: Arc<Bundle>,
    /// Local users.
    pub users: Vec<users::User>,
    /// Certificate for clients.
    pub tls: Option<tls::Downstream>,
}

/// A target, ready to be reached.
#[derive(Debug)]
pub struct Target {
    /// Name.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Account.
    pub account: String,
    /// Its password.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// TLS mode, for people.
    pub mode: UpstreamTls,
    /// TLS, if any, and the name to check.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// What statements and answers wait for.
    pub audit: Durability,
    /// The configuration file says so, whatever the rules say.
    pub durability: Option<Durability>,
    /// Whose account sessions use, and the password of the account that makes them, if it has one.
    pub credentials: Option<(CredentialSettings, Option<Zeroizing<Vec<u8>>>)>,
    /// Connections of sessions that have ended are used again.
    pub reuse: Option<gateway::Reuse>,
}

/// Everything.
#[derive(Debug)]
pub struct Prepared {
    /// The file.
    pub config: Config,
    /// Cores to use.
    pub cores: usize,
    /// What may change.
    pub rules: Rules,
    /// Keys for tokens.
    pub keys: Keys,
    /// In the order of the bundle.
    pub targets: Vec<Target>,
    /// Forwarders of the audit log.
    pub forwarders: Vec<forward::Forwarder>,
    /// Who can open what is sealed.
    pub recipients: Vec<sealing::Recipient>,
}

/// Reads the configuration and all that it names; `driver` is taken instead of the file's. `None` only with an error among the problems; there may be errors
/// although it is `Some`.
pub fn prepare(file: &Path, driver: Option<Driver>, problems: &mut Problems) -> Option<Prepared> {
    let mut config = Config::load(file, problems)?;
    config.driver = driver.or(config.driver);
    let cores = check_process(&config, problems);
    check_addresses(&config, problems);
    check_audit(&config, problems);
    config.audit.vouch.check(&config.file, &config.audit.directory.value, problems);
    let forwarders = crate::forwarders::resolve(&config, problems);
    let bundle = bundle(&config, problems);
    let keys = keys(&config, bundle.as_deref(), problems);
    let targets = targets(&config, bundle.as_deref(), problems);
    let recipients = recordings::check(&config, bundle.as_deref(), problems);
    let rules = complete(&config, bundle, problems);
    Some(Prepared { cores, rules: rules?, keys, targets, forwarders, recipients, config })
}

/// Loads bundle, users and certificate.
pub fn rules(config: &Config, problems: &mut Problems) -> Option<Rules> {
    let bundle = bundle(config, problems);
    complete(config, bundle, problems)
}

/// Names of the roles that rules are only observed for.
pub fn observed(bundle: &Bundle) -> Vec<String> {
    let roles = bundle.model().roles.iter();
    roles.filter(|r| r.mode == policy::model::Mode::Observe).map(|r| r.name.clone()).collect()
}

fn complete(config: &Config, bundle: Option<Arc<Bundle>>, problems: &mut Problems) -> Option<Rules> {
    let errors = problems.counts().0;
    let users = config.users.as_ref().map(|file| users::load(&file.value, problems)).unwrap_or_default();
    let users_sound = problems.counts().0 == errors;
    let tls = match &config.tls {
        None => Ok(None),
        Some(files) => {
            if let Some(warning) = exposure(&files.key.value) {
                problems.warning(&config.file, Some(files.key.place), warning);
            }
            tls::downstream(&files.certificate.value, &files.key.value).map(Some).map_err(|error| {
                problems.error(&config.file, Some(files.certificate.place), format!("`tls`: {error}"));
            })
        }
    };
    let (bundle, tls) = (bundle?, tls.ok()?);
    users_sound.then_some(Rules { bundle, users, tls })
}

fn bundle(config: &Config, problems: &mut Problems) -> Option<Arc<Bundle>> {
    let path = &config.bundle.value;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|f| f.take(BUNDLE_BYTES_MAX).read_to_end(&mut bytes));
    let mut wrong = |text: String| {
        problems.error(&config.file, Some(config.bundle.place), format!("`bundle`: {}: {text}", path.display()));
    };
    if let Err(error) = read {
        wrong(format!("cannot be read: {error}"));
        return None;
    }
    match Bundle::load(&bytes) {
        Ok(bundle) if bundle.model().targets.is_empty() => {
            wrong("the bundle has no targets".to_owned());
            None
        }
        Ok(bundle) => {
            for role in observed(&bundle) {
                let text =
                    format!("role `{role}` is in OBSERVE mode: nothing is refused or masked for it, only recorded");
                problems.warning(&config.file, Some(config.bundle.place), text);
            }
            if let (Some(hold), None) = (bundle.model().holds.first(), &config.access) {
                let rule = &hold.rule.name;
                let text =
                    format!("rule `{rule}` holds statements, and without a section `access:` nobody can approve them");
                problems.warning(&config.file, Some(config.bundle.place), text);
            }
            Some(Arc::new(bundle))
        }
        Err(error) => {
            wrong(error.to_string());
            None
        }
    }
}

fn check_process(config: &Config, problems: &mut Problems) -> usize {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = config.cores.unwrap_or_else(|| available.min(CORES_MAX));
    if cores > CORES_MAX {
        problems.error(&config.file, None, format!("`cores`: at most {CORES_MAX}"));
    } else if cores > available {
        problems.warning(&config.file, None, format!("`cores`: {cores}, but this process may use only {available}"));
    }
    // What `serve` raises is no reason to refuse here.
    if let Err(error) = process::raise_limits() {
        problems.warning(&config.file, None, format!("the limits of the process cannot be raised: {error}"));
    }
    if let Err(error) = process::check_locked_memory(cores) {
        problems.error(&config.file, None, error);
    } else if let Err(error) = Driver::choose(config.driver) {
        problems.error(&config.file, None, format!("the cores cannot run here: {error}"));
    }
    if let Some(warning) = process::check_open_files(config.limits.sessions) {
        problems.warning(&config.file, None, warning);
    }
    cores
}

fn check_addresses(config: &Config, problems: &mut Problems) {
    let Some(metrics) = &config.metrics else {
        return;
    };
    if config.listen.iter().any(|l| l.value == metrics.value && l.value.port() != 0) {
        problems.error(&config.file, Some(metrics.place), format!("`metrics`: {} is used by `listen`", metrics.value));
    }
    if !metrics.value.ip().is_loopback() {
        let text = format!("`metrics`: {} can be reached from other machines and asks for no password", metrics.value);
        problems.warning(&config.file, Some(metrics.place), text);
    }
}

fn check_audit(config: &Config, problems: &mut Problems) {
    let directory = &config.audit.directory;
    let path = &directory.value;
    let text = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return,
        Ok(_) => format!("`directory`: {} is not a directory", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            if parent.is_dir() {
                return;
            }
            format!("`directory`: neither {} nor its parent exists", path.display())
        }
        Err(error) => format!("`directory`: {}: {error}", path.display()),
    };
    problems.error(&config.file, Some(directory.place), text);
}

fn keys(config: &Config, bundle: Option<&Bundle>, problems: &mut Problems) -> Keys {
    let used: BTreeSet<&str> = bundle
        .iter()
        .flat_map(|b| &b.model().redactions)
        .filter_map(|r| if let Redaction::Token { key, .. } = r { Some(key.as_str()) } else { None })
        .collect();
    let mut keys = Keys::new();
    for (name, source) in &config.keys {
        if bundle.is_some() && !used.contains(name.as_str()) {
            problems.warning(&config.file, Some(source.place), format!("key `{name}` is not used by the bundle"));
        }
        if let Some(secret) = secret(&format!("key `{name}`"), source, config, problems) {
            if secret.len() < 16 {
                let text = format!("key `{name}` has {} bytes; use at least 16 random ones", secret.len());
                problems.error(&config.file, Some(source.place), text);
            }
            keys.insert(name.as_str(), secret.to_vec());
        }
    }
    for name in used {
        if !config.keys.contains_key(name) {
            let text = format!(
                "the bundle makes tokens with key `{name}`, which is missing in `keys`: write `keys: {{ {name}: {{ file: PATH }} }}`"
            );
            problems.error(&config.file, None, text);
        }
    }
    keys
}

fn secret(
    name: &str,
    source: &Placed<SecretSource>,
    config: &Config,
    problems: &mut Problems,
) -> Option<Zeroizing<Vec<u8>>> {
    match source.value.resolve() {
        Ok(found) => {
            if let Some(warning) = found.warning {
                problems.warning(&config.file, Some(source.place), format!("{name}: {warning}"));
            }
            Some(Zeroizing::new(found.secret.expose().to_vec()))
        }
        Err(error) => {
            problems.error(&config.file, Some(source.place), format!("{name}: {error}"));
            None
        }
    }
}

fn targets(config: &Config, bundle: Option<&Bundle>, problems: &mut Problems) -> Vec<Target> {
    let Some(bundle) = bundle else {
        return Vec::new();
    };
    let model = bundle.model();
    let names = || model.targets.iter().map(|t| t.name.as_str());
    for (name, target) in &config.targets {
        if !names().any(|n| n == name) {
            let hint = nearest(name, names()).map_or_else(
                || format!("it has {}", names().collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            problems.error(&config.file, Some(target.place), format!("target `{name}` is not in the bundle; {hint}"));
        }
    }
    model.targets.iter().filter_map(|t| target(t, bundle, config, problems)).collect()
}

fn target(of: &policy::model::Target, bundle: &Bundle, config: &Config, problems: &mut Problems) -> Option<Target> {
    let extra = config.targets.get(&of.name);
    let address = extra.and_then(|e| e.address.as_ref());
    let text = address.map_or(&of.address, |a| &a.value);
    let location = config::host_and_port(text);
    if let (Err(error), None) = (&location, address) {
        problems.error(&config.file, None, format!("target `{}` in the bundle: {error}", of.name));
    }
    let mode = extra.and_then(|e| e.tls).unwrap_or(of.tls);
    let place = extra.map(|e| e.place);
    let mut complain = |text: String| problems.error(&config.file, place, format!("target `{}`: {text}", of.name));
    let client = extra.and_then(|e| e.client.as_ref()).map(|(c, k)| (c.value.as_path(), k.value.as_path()));
    let ca = extra.and_then(|e| e.ca.as_ref());
    let tls = tls::upstream(mode, ca.map(|c| c.value.as_path()), client).map_err(&mut complain);
    let name = match (&tls, &location) {
        (Ok(Some(_)), Ok((host, _))) => tls::server_name(host).map(Some).map_err(&mut complain),
        _ => Ok(None),
    };
    if let Some(ca) = ca
        && matches!(mode, UpstreamTls::Disable | UpstreamTls::Require)
    {
        let text = format!("target `{}`: `ca` is not used, because its TLS mode checks no certificate", of.name);
        problems.warning(&config.file, Some(ca.place), text);
    }
    if let Some((_, key)) = client
        && let Some(warning) = exposure(key)
    {
        problems.warning(&config.file, place, warning);
    }
    let password = extra
        .and_then(|e| e.password.as_ref())
        .map(|p| secret(&format!("password of target `{}`", of.name), p, config, problems));
    let password = match password {
        Some(found) => Some(found?),
        None => None,
    };
    let credentials = match extra.and_then(|e| e.credentials.as_ref()) {
        Some(settings @ CredentialSettings::PerSession(per_session)) => {
            let roles = bundle.model().roles.iter();
            for role in roles.filter(|role| role.targets.iter().any(|t| policy::glob::matches(t, &of.name))) {
                if per_session.group(&role.name).is_none() {
                    let text = format!(
                        "target `{}`: `credentials.groups` names no role upstream for role `{}`; add it, or `\"*\"`",
                        of.name, role.name
                    );
                    problems.error(&config.file, Some(per_session.admin_account.place), text);
                }
            }
            let what = format!("admin_password of target `{}`", of.name);
            let password = match &per_session.admin_password {
                Some(source) => Some(secret(&what, source, config, problems)?),
                None => None,
            };
            Some((settings.clone(), password))
        }
        Some(CredentialSettings::Shared) => Some((CredentialSettings::Shared, None)),
        None => None,
    };
    let reuse = extra.and_then(|e| e.reuse);
    if let (Some((place, _)), Some((CredentialSettings::PerSession(_), _))) = (&reuse, &credentials) {
        let text = format!(
            "target `{}`: `reuse` needs an account that sessions share, and `credentials` makes one for each",
            of.name
        );
        problems.error(&config.file, Some(*place), text);
    }
    let written = Durability::from(of.audit);
    let durability = extra.and_then(|e| e.audit);
    let audit = durability.unwrap_or(written);
    if audit == Durability::Off {
        let text = format!(
            "target `{}`: `audit: off`: STATEMENTS ARE NOT RECORDED. This is for measuring what recording costs, never for \
             data that anybody has to account for",
            of.name
        );
        problems.warning(&config.file, place, text);
    } else if audit > written {
        let (now, then) = (audit.word(), written.word());
        let text = format!("target `{}`: `audit: {now}` is weaker than the rules' `{then}`", of.name);
        problems.warning(&config.file, place, text);
    }
    let (host, port) = location.ok()?;
    let tls = match (tls.ok()?, name.ok()?) {
        (Some(config), Some(name)) => Some((config, name)),
        _ => None,
    };
    Some(Target {
        name: of.name.clone(),
        host,
        port,
        database: of.database.clone(),
        account: of.account.clone(),
        password,
        mode,
        tls,
        reuse: reuse.map(|(_, reuse)| reuse),
        audit,
        durability,
        credentials,
    })
}

/// Passwords of a target's accounts, as they are now: the target's, and that of the account that makes accounts.
pub type Passwords = (Option<Zeroizing<Vec<u8>>>, Option<Zeroizing<Vec<u8>>>);

/// Finds the passwords of these targets again.
///
/// # Errors
/// One cannot be found; the text names its source.
pub fn passwords(config: &Config, targets: &[String]) -> Result<Vec<Passwords>, String> {
    let find = |what: &str, name: &str, source: Option<&Placed<SecretSource>>| -> Result<_, String> {
        let Some(source) = source else { return Ok(None) };
        let found = source.value.resolve().map_err(|error| format!("{what} of target `{name}`: {error}"))?;
        Ok(Some(Zeroizing::new(found.secret.expose().to_vec())))
    };
    let of = |name: &String| {
        let extra = config.targets.get(name);
        let password = find("password", name, extra.and_then(|e| e.password.as_ref()))?;
        let admin = match extra.and_then(|e| e.credentials.as_ref()) {
            Some(CredentialSettings::PerSession(of)) => find("admin_password", name, of.admin_password.as_ref())?,
            Some(CredentialSettings::Shared) | None => None,
        };
        Ok((password, admin))
    };
    targets.iter().map(of).collect()
}

/// Name of a TLS mode, as it is written.
#[must_use]
pub fn mode_name(mode: UpstreamTls) -> &'static str {
    match mode {
        UpstreamTls::Disable => "disable",
        UpstreamTls::Require => "require",
        UpstreamTls::VerifyCa => "verify-ca",
        UpstreamTls::VerifyFull => "verify-full",
    }
}

/// A digest as people compare it.
#[must_use]
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}
