//! Breaking the glass: a role in an emergency, taken at once by who is enrolled, with a reason, and reviewed afterwards.
//!
//! Rules: only roles and people that the rules name; at most an hour; every act recorded before it has an effect; everybody
//! concerned is told at once; two others review it within a day. Who has a review overdue cannot do it again, and the log
//! holds an alarm. It shows nothing that the role does not show. Deliberately absent: access without a sign-in.

use crate::cache::{News, kind};
use crate::engine::{AccessError, Engine, actor, request_id};
use crate::model::{AccessGrant, Person, Requestable, Review, Reviewed};
use audit::record::SessionId;
use audit::{Body, OwnedAccess};

/// Longest emergency, seconds, whatever the rules say.
pub const EMERGENCY_MAX_S: u64 = 3600;
/// It is to be reviewed within this time, seconds.
pub const REVIEW_WITHIN_S: u64 = 24 * 3600;
/// Reviews needed.
pub const REVIEWS: usize = 2;

impl Engine {
    /// Roles that this person can take in an emergency on a target.
    #[must_use]
    pub fn emergencies(&self, person: &Person, target: &str) -> Vec<Requestable> {
        Self::open_to(person, target, &self.policy().break_glass)
    }

    /// Takes a role in an emergency; `role` empty is the first that there is.
    ///
    /// # Errors
    /// Not enrolled, no reason, an earlier one is not reviewed in time, or store or log do not take it.
    pub fn break_glass(
        &self,
        person: &Person,
        target: &str,
        role: &str,
        seconds: u64,
        reason: &str,
        source: &str,
    ) -> Result<AccessGrant, AccessError> {
        let reason = reason.trim();
        let refused = |error: AccessError| {
            self.refused("break_glass_refused", &person.who, source, format!("{target} {role}: {error}"));
            Err(error)
        };
        // As of now, not as of when the caller looked.
        let person = self.person(&person.who).ok_or(AccessError::SignedOut)?;
        if person.suspended {
            return refused(AccessError::Forbidden("this account is suspended"));
        }
        let rules = self.emergencies(&person, target);
        let Some(rule) = rules.into_iter().find(|rule| role.is_empty() || rule.role == role) else {
            return refused(AccessError::Forbidden("you are not enrolled for emergencies with this role and target"));
        };
        let least = self.policy().reason_min;
        if reason.chars().count() < least {
            return refused(AccessError::Invalid(format!("give a reason of at least {least} characters")));
        }
        let now_s = self.clock.now_s();
        if self.reviews().iter().any(|review| review.who == person.who && review.is_overdue(now_s)) {
            return refused(AccessError::Forbidden(
                "your last emergency has not been reviewed in time: until two others have, there is no next one",
            ));
        }
        let holds = |grant: &AccessGrant| grant.break_glass && grant.target == target && grant.role == rule.role;
        if let Some(grant) = self.grants(Some(&person.who)).into_iter().find(holds) {
            return refused(AccessError::Over(format!("you have this role already, by {}", grant.id)));
        }
        let until_s = now_s + seconds.clamp(1, rule.max_s.min(EMERGENCY_MAX_S));
        let id = request_id()?;
        let mut about = actor(&person.who);
        about.role.clone_from(&rule.role);
        self.record(OwnedAccess {
            kind: "break_glass".to_owned(),
            actor: actor(&person.who),
            about,
            user: person.handle.clone(),
            target: target.to_owned(),
            source: source.to_owned(),
            id: id.clone(),
            reason: reason.to_owned(),
            until_ns: until_s * 1_000_000_000,
            ..OwnedAccess::default()
        })?;
        let review = Review {
            id: id.clone(),
            who: person.who.clone(),
            handle: person.handle.clone(),
            target: target.to_owned(),
            role: rule.role.clone(),
            reason: reason.to_owned(),
            at_s: now_s,
            until_s,
            due_s: now_s + REVIEW_WITHIN_S,
            reviews: Vec::new(),
            alarmed: false,
        };
        // The review first: there is no emergency that nobody will look at.
        self.put(kind::REVIEW, &id, 0, Some(&review))?;
        let grant = AccessGrant {
            id: id.clone(),
            who: person.who,
            target: target.to_owned(),
            role: rule.role,
            from_s: now_s,
            until_s,
            purpose: reason.to_owned(),
            groups: rule.groups,
            break_glass: true,
            ended: None,
        };
        self.put(kind::GRANT, &id, 0, Some(&grant))?;
        self.tell(&News::Emergency(Box::new(review)));
        Ok(grant)
    }

    /// Emergencies that were or are to be reviewed, newest first.
    #[must_use]
    pub fn reviews(&self) -> Vec<Review> {
        let mut reviews: Vec<Review> = self.cache().reviews.values().map(|(_, review)| review.clone()).collect();
        reviews.sort_by(|a, b| b.at_s.cmp(&a.at_s).then_with(|| a.id.cmp(&b.id)));
        reviews
    }

    /// Reviews an emergency: somebody else, who may look at everything, says what they found.
    ///
    /// # Errors
    /// There is none, the person may not, has done so, or gives no finding; or not taken.
    pub fn review(&self, by: &Person, id: &str, finding: &str, source: &str) -> Result<Review, AccessError> {
        let (version, mut review) = self.cache().reviews.get(id).cloned().ok_or(AccessError::NotFound)?;
        let finding = finding.trim();
        let checked = if by.who == review.who {
            Err(AccessError::Forbidden("nobody reviews their own emergency, administrators included"))
        } else if self.person(&review.who).is_some_and(|of| crate::votes::same_name(by, &of.who, &of.handle)) {
            Err(AccessError::Forbidden("this may be the account of the same person at another provider"))
        } else if !self.is_auditor(by) || by.suspended {
            Err(AccessError::Forbidden("only auditors and administrators review emergencies"))
        } else if review.reviews.iter().any(|one| one.who == by.who) {
            Err(AccessError::Forbidden("you have reviewed this already; it needs another person"))
        } else if review.is_reviewed() {
            Err(AccessError::Over("it is reviewed already".to_owned()))
        } else if finding.chars().count() < self.policy().reason_min {
            Err(AccessError::Invalid(format!("say in at least {} characters what you found", self.policy().reason_min)))
        } else {
            Ok(())
        };
        if let Err(error) = checked {
            self.refused("break_glass_review_refused", &by.who, source, format!("{id}: {error}"));
            return Err(error);
        }
        self.record(OwnedAccess {
            kind: "break_glass_review".to_owned(),
            actor: actor(&by.who),
            about: actor(&review.who),
            user: by.handle.clone(),
            target: review.target.clone(),
            source: source.to_owned(),
            id: id.to_owned(),
            reason: finding.to_owned(),
            detail: format!("{} of {REVIEWS}", review.reviews.len() + 1),
            ..OwnedAccess::default()
        })?;
        review.reviews.push(Reviewed {
            who: by.who.clone(),
            handle: by.handle.clone(),
            finding: finding.to_owned(),
            at_s: self.clock.now_s(),
        });
        self.put(kind::REVIEW, id, version, Some(&review))?;
        Ok(review)
    }

    /// Raises the alarm about reviews that are overdue, once for all gateways; forgets what is long over.
    pub(crate) fn tidy_reviews(&self, now_s: u64, kept_s: u64) -> Result<(), AccessError> {
        let (late, gone) = {
            let cache = self.cache();
            let late = |review: &Review| review.is_overdue(now_s) && !review.alarmed;
            let late: Vec<_> = cache.reviews.values().filter(|(_, review)| late(review)).cloned().collect();
            let gone = |review: &Review| review.is_reviewed() && review.due_s + kept_s <= now_s;
            let gone: Vec<_> = cache.reviews.values().filter(|(_, review)| gone(review)).cloned().collect();
            (late, gone)
        };
        for (version, mut review) in late {
            review.alarmed = true;
            self.if_first(self.put(kind::REVIEW, &review.id.clone(), version, Some(&review)), || {
                tracing::error!(id = review.id, user = review.handle, "an emergency is not reviewed in time");
                self.tell(&News::Emergency(Box::new(review.clone())));
                self.append(Body::Alarm {
                    session: SessionId([0; 16]),
                    kind: "review_overdue".to_owned(),
                    detail: format!("{} of {} on {}", review.id, review.handle, review.target),
                })
            })?;
        }
        for (version, review) in gone {
            self.if_first(self.put::<Review>(kind::REVIEW, &review.id, version, None), || Ok(()))?;
        }
        Ok(())
    }
}
