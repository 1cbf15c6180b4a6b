//! `targets.X.credentials`: whose account sessions use upstream, and the accounts that are made for them.
//!
//! ```yaml
//! targets:
//!   warehouse:
//!     credentials:
//!       mode: role
//!       admin_account: tidegate_admin
//!       admin_password: { file: admin.password }
//!       groups: { analyst: clinic_analyst, "*": clinic_read }
//! ```
//!
//! Names, passwords and verifiers are made here, so the password of an account is known to this process alone, and only for
//! as long as its session dials. Deliberately absent: SQL (see `control::accounts`).

use crate::config::{number, secret};
use crate::prepare;
use crate::secrets::SecretSource;
use crate::yaml::{Node, Placed, Report, Section};
use audit::record::SessionId;
use control::Password;
use control::accounts::{Accounts, Journal, Maker, Order};
use gateway::Credentials;
use gateway::access::{Account, AccountWanted};
use postgres::scram::{ClientKeys, ITERATIONS_DEFAULT, Verifier};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the file says.
#[derive(Clone, Debug)]
pub enum CredentialSettings {
    /// The target's account, with session and user in the application name.
    Shared,
    /// An account for each session.
    PerSession(Box<PerSession>),
}

/// How accounts are made.
#[derive(Clone, Debug)]
pub struct PerSession {
    /// Account that makes them.
    pub admin_account: Placed<String>,
    /// Its password.
    pub admin_password: Option<Placed<SecretSource>>,
    /// Roles, in order, and the role upstream whose rights their sessions have; `*` is every other role.
    pub groups: Vec<(String, String)>,
    /// Connections that an account may have.
    pub connection_limit: u16,
    /// Connections of the account that makes them.
    pub connections: usize,
}

/// Reads the section.
pub(crate) fn read(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<CredentialSettings> {
    const KNOWN: &[&str] = &["mode", "admin_account", "admin_password", "groups", "connection_limit", "connections"];
    let place = node.place;
    let mut section = Section::open("credentials", node, KNOWN, report);
    let mode = section.demand("mode", report).and_then(|n| report.scalar("mode", n))?;
    match mode.value.as_str() {
        "shared" => {
            if let Some((key, _)) = section.rest().next() {
                report.error(key.place, format!("`{}` is for `mode: role`", key.value));
            }
            Some(CredentialSettings::Shared)
        }
        "role" => {
            let admin_account = section.demand("admin_account", report).and_then(|n| report.scalar("admin_account", n));
            let admin_password =
                section.take("admin_password").and_then(|n| secret("admin_password", n, folder, report));
            let groups = section.demand("groups", report).map(|n| groups(n, report)).unwrap_or_default();
            let connection_limit = section.value("connection_limit", 1, report, |t| number(t, 1, 100));
            let connections = section.value("connections", 4, report, |t| number(t, 1, 64));
            if groups.is_empty() {
                report.error(place, "`groups` names no role; write for instance `groups: { analyst: clinic_read }`");
            }
            Some(CredentialSettings::PerSession(Box::new(PerSession {
                admin_account: admin_account?,
                admin_password,
                groups,
                connection_limit: u16::try_from(connection_limit).unwrap_or(1),
                connections: usize::try_from(connections).unwrap_or(1),
            })))
        }
        other => {
            report.error(mode.place, format!("`mode`: `{other}` is neither shared nor role"));
            None
        }
    }
}

fn groups(node: Placed<Node>, report: &mut Report<'_>) -> Vec<(String, String)> {
    let section = Section::open_free("groups", node, report);
    let mut found = Vec::new();
    for (role, node) in section.rest() {
        let Some(group) = report.scalar(&role.value, node) else { continue };
        if group.value.is_empty() || group.value.len() > 63 {
            report.error(group.place, format!("`{}`: a role upstream has 1 to 63 bytes", role.value));
            continue;
        }
        found.push((role.value, group.value));
    }
    found
}

impl PerSession {
    /// Role upstream for a role.
    #[must_use]
    pub fn group(&self, role: &str) -> Option<&str> {
        let of = |name: &str| self.groups.iter().find(|(role, _)| role == name).map(|(_, group)| group.as_str());
        of(role).or_else(|| of("*"))
    }
}

/// Whose account the gateway uses.
#[must_use]
pub fn of_target(settings: Option<&CredentialSettings>) -> Credentials {
    match settings {
        None => Credentials::Plain,
        Some(CredentialSettings::Shared) => Credentials::Tagged,
        Some(CredentialSettings::PerSession(_)) => Credentials::PerSession,
    }
}

/// How accounts are made, and the password of the account that makes them.
type With = (Box<PerSession>, Option<Zeroizing<Vec<u8>>>);

/// Accounts for sessions, if any target wants them.
pub struct Issuer {
    accounts: Accounts,
    targets: Vec<Option<PerSession>>,
    passwords: Vec<Password>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuer")
    }
}

impl Issuer {
    /// Starts making accounts; `None` if no target wants them.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(targets: &[prepare::Target], node: &str, journal: Journal) -> Result<Option<Arc<Self>>, String> {
        let per_session = |target: &prepare::Target| match &target.credentials {
            Some((CredentialSettings::PerSession(per_session), password)) => {
                Some((per_session.clone(), password.clone()))
            }
            _ => None,
        };
        let wanted: Vec<_> = targets.iter().map(per_session).collect();
        if wanted.iter().all(Option::is_none) {
            return Ok(None);
        }
        let passwords: Vec<Password> =
            wanted.iter().map(|w| Password::new(w.as_ref().and_then(|w| w.1.clone()))).collect();
        let maker = |((target, wanted), shared): ((&prepare::Target, &Option<With>), &Password)| {
            let (per_session, _) = wanted.as_ref()?;
            let admin = control::Access {
                name: target.name.clone(),
                host: target.host.clone(),
                port: target.port,
                database: target.database.clone(),
                account: per_session.admin_account.value.clone(),
                password: shared.clone(),
                tls: target.tls.as_ref().map(|(config, _)| Arc::clone(config)),
            };
            let (connections, connection_limit) = (per_session.connections, per_session.connection_limit);
            Some(Maker { admin, connections, connection_limit })
        };
        let makers = targets.iter().zip(&wanted).zip(&passwords).map(maker).collect();
        let accounts = Accounts::start(makers, node, journal)
            .map_err(|error| format!("the thread for accounts upstream cannot start: {error}"))?;
        let targets = wanted.into_iter().map(|wanted| wanted.map(|(per_session, _)| *per_session)).collect();
        Ok(Some(Arc::new(Self { accounts, targets, passwords })))
    }

    /// The log takes records: begins.
    pub fn begin(&self) {
        self.accounts.begin();
    }

    /// Makes an account for a session; `answer` is told, on another thread.
    pub fn issue(
        &self,
        session: SessionId,
        wanted: &AccountWanted,
        answer: impl FnOnce(Result<Account, String>) + Send + 'static,
    ) {
        let group = self.targets.get(wanted.target).and_then(Option::as_ref).and_then(|of| of.group(&wanted.role));
        let Some(group) = group else {
            tracing::error!(role = wanted.role, "no role upstream is named for this role in `credentials`");
            answer(Err("no role upstream is named for this role".to_owned()));
            return;
        };
        let Ok((name, keys, verifier)) = fresh() else {
            answer(Err("no randomness".to_owned()));
            return;
        };
        let order = Order {
            session,
            target: wanted.target,
            name: name.clone(),
            verifier: verifier.to_string(),
            group: group.to_owned(),
            until_ns: wanted.until_ns,
        };
        let tell = move |made: Result<(), String>| {
            answer(made.map(|()| Account { name, keys }));
        };
        self.accounts.issue(order, Box::new(tell));
    }

    /// A session is over.
    pub fn ended(&self, session: SessionId) {
        self.accounts.ended(session);
    }

    /// A new password of the account that makes accounts on a target, for connections from now on.
    pub fn rotate(&self, target: usize, password: Option<Zeroizing<Vec<u8>>>) {
        if let Some(shared) = self.passwords.get(target) {
            shared.set(password);
        }
    }

    /// Drops what is left, within a limit.
    pub fn stop(&self, limit: std::time::Duration) {
        self.accounts.stop(limit);
    }
}

/// Name, keys and verifier of a new account.
fn fresh() -> Result<(String, ClientKeys, Verifier), getrandom::Error> {
    let mut random = Zeroizing::new([0; 56]);
    getrandom::fill(&mut *random)?;
    let (name, rest) = random.split_at(8);
    let (salt, key) = rest.split_at(16);
    let password = Zeroizing::new(prepare::hex(key).into_bytes());
    // Derived here, on a thread that may take its time, and not on the core that dials.
    let (verifier, keys) = ClientKeys::with_verifier(password, salt, ITERATIONS_DEFAULT);
    Ok((format!("tg_{}", prepare::hex(name)), keys, verifier))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::Place;

    #[test]
    fn a_role_without_a_group_of_its_own_has_that_of_the_others() {
        let groups = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let place = Place { line: 1, column: 1 };
        let mut of = PerSession {
            admin_account: Placed { value: "admin".to_owned(), place },
            admin_password: None,
            groups: groups(&[("*", "clinic_read"), ("doctor", "clinic_write")]),
            connection_limit: 1,
            connections: 1,
        };
        assert_eq!(of.group("doctor"), Some("clinic_write"));
        assert_eq!(of.group("analyst"), Some("clinic_read"));
        of.groups = groups(&[("doctor", "clinic_write")]);
        assert_eq!(of.group("analyst"), None);
    }

    #[test]
    fn accounts_differ_and_their_verifiers_know_their_passwords() {
        let (one, two) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one.0, two.0);
        assert_eq!(one.0.len(), 19);
        assert_eq!(one.1.password().len(), 64);
        assert!(one.2.verify(one.1.password()));
        assert!(!one.2.verify(two.1.password()));
    }
}
