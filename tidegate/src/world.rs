//! Rules in force: bundle × catalogs → epochs, and what a reload or a new catalog changes of them.
//!
//! Pure but for the hash of a bundle: no sockets, no files. Invariant: a target whose catalog is not known has an epoch that
//! admits nobody, because without it no column can be told from another. Epoch numbers only grow.

use crate::prepare;
use gateway::{DownstreamTls, User, Users};
use lineage::Catalog;
use policy::{Bundle, Epoch, Keys, Model};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// All rules.
pub struct World {
    targets: Vec<String>,
    keys: Keys,
    tls_required: bool,
    bundle: Arc<Bundle>,
    closed: Arc<Bundle>,
    users: Arc<Users>,
    catalogs: Vec<Option<Catalog>>,
    epochs: Vec<Arc<Epoch>>,
    number: u64,
    tls: Option<DownstreamTls>,
    /// Authority of client certificates.
    authority: Option<CertificateDer<'static>>,
}

impl World {
    /// With no catalog known.
    ///
    /// # Errors
    /// The rules contradict each other.
    pub fn new(rules: prepare::Rules, keys: Keys, targets: Vec<String>, tls_required: bool) -> Result<Self, String> {
        let closed = closed(&rules.bundle)?;
        let catalogs = targets.iter().map(|_| None).collect();
        let users = users(rules.users)?;
        let tls = rules.tls.map(|t| downstream(t, tls_required, None)).transpose()?;
        let mut world = Self {
            targets,
            keys,
            tls_required,
            bundle: rules.bundle,
            closed,
            users,
            catalogs,
            epochs: Vec::new(),
            number: 0,
            tls,
            authority: None,
        };
        world.resolve_all()?;
        Ok(world)
    }

    /// The bundle in force.
    #[must_use]
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// TLS for clients.
    #[must_use]
    pub fn tls(&self) -> Option<&DownstreamTls> {
        self.tls.as_ref()
    }

    /// Clients may show certificates of this authority, from now on and after every reload.
    ///
    /// # Errors
    /// Its certificate cannot be used.
    pub fn trust_clients_of(&mut self, authority: CertificateDer<'static>) -> Result<(), String> {
        if let Some(tls) = &mut self.tls {
            tls.config = crate::tls::with_clients_of(&tls.config, &authority)?;
        }
        self.authority = Some(authority);
        Ok(())
    }

    /// What the gateway is given.
    #[must_use]
    pub fn rules(&self) -> gateway::Rules {
        gateway::Rules { users: Arc::clone(&self.users), epochs: self.epochs.clone(), tls: self.tls.clone() }
    }

    /// Rules and catalogs, for people who ask about them.
    #[must_use]
    pub fn known(&self) -> (Vec<Arc<Epoch>>, Vec<Option<Catalog>>) {
        (self.epochs.clone(), self.catalogs.clone())
    }

    /// Number of a target's epoch.
    #[must_use]
    pub fn epoch(&self, target: usize) -> u64 {
        self.epochs.get(target).map_or(0, |e| e.number())
    }

    /// What the rules in force want a target's sessions to wait for.
    #[must_use]
    pub fn durability(&self, target: usize) -> gateway::Durability {
        let targets = &self.bundle.model().targets;
        let of = self.targets.get(target).and_then(|name| targets.iter().find(|t| t.name == *name));
        of.map(|t| t.audit.into()).unwrap_or_default()
    }

    /// Takes a target's catalog.
    ///
    /// # Errors
    /// The bundle in force does not have the target, which a reload prevents.
    pub fn catalog(&mut self, target: usize, catalog: Catalog) -> Result<(), String> {
        if let Some(known) = self.catalogs.get_mut(target) {
            *known = Some(catalog);
            self.number += 1;
            let epoch = self.resolve(target)?;
            if let Some(old) = self.epochs.get_mut(target) {
                *old = epoch;
            }
        }
        Ok(())
    }

    /// Takes new rules; gives what they say that needs a restart.
    ///
    /// # Errors
    /// Why the old rules stay.
    pub fn reload(&mut self, rules: prepare::Rules) -> Result<Vec<String>, String> {
        let model = rules.bundle.model();
        if let Some(gone) = self.targets.iter().find(|name| index(model, name).is_none()) {
            return Err(format!("the new bundle does not have target `{gone}`, which is served; that needs a restart"));
        }
        let missing = missing_keys(&rules.bundle, &self.keys);
        if !missing.is_empty() {
            return Err(format!(
                "the new bundle makes tokens with keys that were not there at the start ({}); that needs a restart",
                missing.join(", ")
            ));
        }
        let closed = closed(&rules.bundle)?;
        let users = users(rules.users)?;
        let tls = rules.tls.map(|t| downstream(t, self.tls_required, self.authority.as_ref())).transpose()?;
        let later = later(self.bundle.model(), model, &self.targets);
        (self.bundle, self.closed, self.users) = (rules.bundle, closed, users);
        if let Some(tls) = tls {
            self.tls = Some(tls);
        }
        self.resolve_all()?;
        Ok(later)
    }

    fn resolve_all(&mut self) -> Result<(), String> {
        self.number += 1;
        self.epochs = (0..self.targets.len()).map(|t| self.resolve(t)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn resolve(&self, target: usize) -> Result<Arc<Epoch>, String> {
        let name = self.targets.get(target).map_or("", String::as_str);
        let index =
            index(self.bundle.model(), name).ok_or_else(|| format!("the bundle does not have target `{name}`"))?;
        let catalog = self.catalogs.get(target).and_then(Option::as_ref);
        let epoch = match catalog {
            Some(catalog) => Epoch::resolve(Arc::clone(&self.bundle), index, catalog, &self.keys),
            None => Epoch::resolve(Arc::clone(&self.closed), index, &Catalog::default(), &self.keys),
        };
        Ok(Arc::new(epoch.with_number(self.number)))
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("targets", &self.targets).field("number", &self.number).finish_non_exhaustive()
    }
}

/// The same targets and classes, with no role for anybody.
fn closed(bundle: &Bundle) -> Result<Arc<Bundle>, String> {
    let model = Model { roles: Vec::new(), ..bundle.model().clone() };
    let bytes = Bundle::encode(&model).map_err(|e| e.to_string())?;
    Bundle::load(&bytes).map(Arc::new).map_err(|e| e.to_string())
}

fn index(model: &Model, name: &str) -> Option<usize> {
    model.targets.iter().position(|t| t.name == name)
}

fn missing_keys(bundle: &Arc<Bundle>, keys: &Keys) -> Vec<String> {
    Epoch::resolve(Arc::clone(bundle), 0, &Catalog::default(), keys).missing_keys().to_vec()
}

/// What a new bundle says about targets that is fixed while they are served.
fn later(old: &Model, new: &Model, served: &[String]) -> Vec<String> {
    let mut later = Vec::new();
    for target in &new.targets {
        let Some(before) = old.targets.iter().find(|t| t.name == target.name).filter(|t| served.contains(&t.name))
        else {
            later.push(format!("target `{}` is new and is served after a restart", target.name));
            continue;
        };
        for (what, same) in [
            ("address", before.address == target.address),
            ("TLS mode", before.tls == target.tls),
            ("database", before.database == target.database),
            ("account", before.account == target.account),
        ] {
            if !same {
                later.push(format!("the {what} of target `{}` changes after a restart", target.name));
            }
        }
    }
    later
}

fn users(users: Vec<crate::users::User>) -> Result<Arc<Users>, String> {
    let users = users.into_iter().map(|u| User { name: u.name, verifier: u.verifier, groups: u.groups }).collect();
    Users::new(users).map(Arc::new).map_err(|e| e.to_string())
}

fn downstream(
    tls: crate::tls::Downstream,
    required: bool,
    authority: Option<&CertificateDer<'static>>,
) -> Result<DownstreamTls, String> {
    let config = match authority {
        Some(authority) => crate::tls::with_clients_of(&tls.config, authority)?,
        None => tls.config,
    };
    Ok(DownstreamTls { config, end_point_hash: tls.end_point_hash.unwrap_or_default(), required })
}

#[cfg(test)]
mod tests;
