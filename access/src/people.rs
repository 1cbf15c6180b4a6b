//! People as they are kept: looked up, changed, suspended, helped when their keys are lost.
//!
//! Invariants: what an administrator does to somebody is recorded before it happens; nobody does it to get their own keys
//! replaced. Deliberately absent: how people come to be known, which is signing in (see [`crate::engine`]).

use crate::cache::{kind, person_id};
use crate::engine::{ATTEMPTS, AccessError, Engine, actor};
use crate::model::{Person, Who};
use audit::OwnedAccess;

impl Engine {
    /// The person with this identity.
    #[must_use]
    pub fn person(&self, who: &Who) -> Option<Person> {
        self.cache().people.get(who).map(|(_, person)| person.clone())
    }

    /// Everybody who signed in, by handle.
    #[must_use]
    pub fn people(&self) -> Vec<Person> {
        let mut people: Vec<Person> = self.cache().people.values().map(|(_, person)| person.clone()).collect();
        people.sort_by(|a, b| a.handle.cmp(&b.handle));
        people
    }

    /// Changes what is kept of a person.
    ///
    /// # Errors
    /// There is none, or the store does not take it.
    pub fn change_person(&self, who: &Who, change: impl Fn(&mut Person)) -> Result<Person, AccessError> {
        for _ in 0..ATTEMPTS {
            let (version, mut person) = self.cache().people.get(who).cloned().ok_or(AccessError::NotFound)?;
            change(&mut person);
            match self.put(kind::PERSON, &person_id(who), version, Some(&person)) {
                Ok(()) => return Ok(person),
                Err(AccessError::Over(_)) => self.pull()?,
                Err(error) => return Err(error),
            }
        }
        Err(AccessError::Unavailable("the store is busy".to_owned()))
    }

    /// Suspends somebody, or takes that back: every sign-in, credential and session of theirs ends.
    ///
    /// # Errors
    /// Not an administrator, nobody there, or not taken.
    pub fn suspend(&self, by: &Person, who: &Who, suspended: bool, reason: &str) -> Result<(), AccessError> {
        self.needs_admin(by, "suspend")?;
        self.record(OwnedAccess {
            kind: "admin".to_owned(),
            actor: actor(&by.who),
            about: actor(who),
            reason: reason.to_owned(),
            detail: if suspended { "suspend" } else { "unsuspend" }.to_owned(),
            ..OwnedAccess::default()
        })?;
        self.change_person(who, |person| person.suspended = suspended).map(drop)
    }

    /// Takes every authenticator of somebody's away, who has lost them: the next one needs a fresh sign-in.
    ///
    /// # Errors
    /// Not an administrator, one's own, nobody there, or not taken.
    pub fn forget_authenticators(&self, by: &Person, who: &Who, reason: &str) -> Result<(), AccessError> {
        self.needs_admin(by, "forget_authenticators")?;
        if by.who == *who {
            return Err(AccessError::Forbidden("another administrator has to do this"));
        }
        self.record(OwnedAccess {
            kind: "admin".to_owned(),
            actor: actor(&by.who),
            about: actor(who),
            reason: reason.to_owned(),
            detail: "forget_authenticators".to_owned(),
            ..OwnedAccess::default()
        })?;
        self.change_person(who, |person| person.authenticators.clear()).map(drop)
    }

    pub(crate) fn needs_admin(&self, by: &Person, what: &str) -> Result<(), AccessError> {
        if self.is_admin(by) {
            return Ok(());
        }
        self.refused("admin_refused", &by.who, "", what.to_owned());
        Err(AccessError::Forbidden("only administrators may do this"))
    }
}
