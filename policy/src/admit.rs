//! Admission: who may use the target, and as what role.
//!
//! A [`Grant`] is the permit that every decision and plan is asked of; nothing but this module makes one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::decide::Judged;
use crate::epoch::Epoch;
use crate::glob;
use crate::model::{Mode, Role};
use crate::refusal::{Refusal, code};
use crate::role::RoleView;

/// Who somebody is, as proven by an identity provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Who says so.
    pub issuer: String,
    /// Name of the person or program there.
    pub subject: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Roles that somebody was given for a time, by name.
    pub granted: Vec<String>,
}

/// The permit of one session under one epoch.
pub struct Grant {
    pub(crate) epoch: Arc<Epoch>,
    pub(crate) role: usize,
    pub(crate) view: Arc<RoleView>,
    pub(crate) mode: Mode,
    identity: Identity,
    /// Decisions by address of their facts, which are kept alive here.
    pub(crate) memo: Mutex<HashMap<usize, Arc<Judged>>>,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant").field("role", &self.role()).field("epoch", &self.epoch.number()).finish_non_exhaustive()
    }
}

/// Gives the first role that the identity was granted and that may use the target; else the first that one of its groups
/// has. Who asked for a role means it, wherever the rule file has it.
///
/// # Errors
/// `TG4001` if there is none.
pub fn admit(epoch: &Arc<Epoch>, identity: &Identity) -> Result<Grant, Refusal> {
    if !identity.granted.is_empty()
        && let Ok(grant) = mint(epoch, identity, |role| identity.granted.contains(&role.name))
    {
        return Ok(grant);
    }
    mint(epoch, identity, |role| role.groups.iter().any(|g| g == "*" || identity.groups.contains(g)))
}

/// The grant of a role by its name, for reports about rules; sessions are admitted by identity.
///
/// # Errors
/// `TG4001` if there is no such role for the target.
pub fn preview(epoch: &Arc<Epoch>, role: &str) -> Result<Grant, Refusal> {
    mint(epoch, &Identity::default(), |r| r.name == role)
}

fn mint(epoch: &Arc<Epoch>, identity: &Identity, has: impl Fn(&Role) -> bool) -> Result<Grant, Refusal> {
    let model = epoch.bundle().model();
    let refused = || {
        Refusal::new(code::NO_ROLE, "default:no-role", "no role of yours may use this database")
            .hint("ask for a group that has a role for it")
    };
    let target = model.targets.get(epoch.target()).ok_or_else(refused)?;
    let may = |r: &Role| r.targets.iter().any(|t| glob::matches(t, &target.name));
    let role = model.roles.iter().position(|r| has(r) && may(r)).ok_or_else(refused)?;
    let view = Arc::clone(epoch.role_view(role).ok_or_else(refused)?);
    let mode = model.roles.get(role).map_or(Mode::Enforce, |r| r.mode);
    Ok(Grant { epoch: Arc::clone(epoch), role, view, mode, identity: identity.clone(), memo: Mutex::default() })
}

/// Grants with equal keys decide, plan and charge everything alike, as long as something keeps the epoch alive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GrantKey {
    /// Address of the epoch.
    epoch: usize,
    role: usize,
    mode: Mode,
    /// Whose accounts are charged, where the role has budgets.
    account: Option<Arc<str>>,
}

impl Grant {
    /// What it has in common with grants that decide alike.
    #[must_use]
    pub fn key(&self) -> GrantKey {
        let account = self.has_budgets().then(|| self.account());
        GrantKey { epoch: Arc::as_ptr(&self.epoch).addr(), role: self.role, mode: self.mode, account }
    }

    /// Something that its role may do is counted.
    #[must_use]
    pub fn has_budgets(&self) -> bool {
        self.rules().is_some_and(|role| !role.budgets.is_empty() || !role.comparisons.is_empty())
    }

    /// The grant of the same identity under another epoch: after a reload of the rules or a change of the catalog.
    ///
    /// # Errors
    /// As for [`admit`].
    pub fn renew(&self, epoch: &Arc<Epoch>) -> Result<Self, Refusal> {
        // A preview stays the role that it is.
        if self.identity == Identity::default() { preview(epoch, self.role()) } else { admit(epoch, &self.identity) }
    }

    /// Who it was given to.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What decisions under it do.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The same where decisions of a role that is only observed count, for reports about rules.
    #[must_use]
    pub fn as_if_enforced(mut self) -> Self {
        if self.mode == Mode::Observe {
            self.mode = Mode::Enforce;
        }
        self
    }

    /// Name of the role.
    #[must_use]
    pub fn role(&self) -> &str {
        self.rules().map_or("", |r| r.name.as_str())
    }

    /// Name of the identity's accounts, the same in every session of its.
    pub(crate) fn account(&self) -> Arc<str> {
        format!("{}\0{}", self.identity.issuer, self.identity.subject).into()
    }

    pub(crate) fn rules(&self) -> Option<&Role> {
        self.epoch.bundle().model().roles.get(self.role)
    }

    /// The epoch it was admitted under.
    #[must_use]
    pub const fn epoch(&self) -> &Arc<Epoch> {
        &self.epoch
    }

    /// Every class and everything unclassified is clear: plans are empty and need not be asked for.
    #[must_use]
    pub fn sees_everything(&self) -> bool {
        self.view.everything
    }
}
