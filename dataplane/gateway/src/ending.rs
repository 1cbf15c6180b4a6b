//! How a session is ended from outside: what its client is told before, what it is told then, and how long that may take.
//!
//! Invariants: a session whose access has ended is over within a second of it, whatever its client and its database do;
//! what it runs is cancelled, and its connection to the database closed, before its client is waited for.

use crate::core::{Core, EXPIRED, Handle};
use audit::record::{Credential, Record};
use contract::Fault;
use postgres::Serve;
use session::{Host as _, Session, Verdicts};
use std::rc::Rc;
use std::time::Duration;

/// Before the end of what a session was admitted with its client is told, that long before.
const WARNINGS: [Duration; 2] = [Duration::from_secs(300), Duration::from_secs(60)];
/// What is queued for a client is given this long when its access has ended.
pub(crate) const CUT_LIMIT: Duration = Duration::from_millis(300);
/// What a client is told whose access was taken in an emergency.
const BANNER: &str = "emergency access: this session is recorded, others have been told, and it will be reviewed";
/// SQLSTATE of the warning: warning.
const WARNING_STATE: &str = "01000";

pub(crate) const NO_KEY: Fault = Fault::upstream("the gateway cannot make a key for this session").with_state("58000");
pub(crate) const SHUTDOWN: Fault =
    Fault::upstream("terminating connection due to administrator command").with_state("57P01");

/// Why sessions end whose core cannot go on.
pub(crate) const CORE_FAILED: &str = "core_failed";

/// What a client is told that is ended for this reason.
pub(crate) fn killed(reason: &'static str) -> Fault {
    match reason {
        "idle_timeout" => Fault::upstream("terminating connection due to idle-session timeout").with_state("57P05"),
        "drain_timeout" => SHUTDOWN,
        // crash_shutdown: drivers that keep connections drop theirs and connect again.
        CORE_FAILED => Fault::upstream("terminating connection: an internal fault of the gateway").with_state("57P02"),
        "recording_cap" => {
            Fault::upstream("terminating connection: the recording of this session is full").with_state("53400")
        }
        "recording_failed" => {
            Fault::upstream("terminating connection: this session can no longer be recorded").with_state("58030")
        }
        EXPIRED => Fault::upstream("terminating connection: the time that this access was given for is over")
            .with_state("57P01"),
        "revoked" => Fault::upstream("terminating connection: this access was revoked").with_state("57P01"),
        "removed" => {
            Fault::upstream("terminating connection: your groups have changed; connect again for what they allow")
                .with_state("57P01")
        }
        "suspended" => Fault::upstream("terminating connection: this account is suspended").with_state("57P01"),
        "signed_out" => Fault::upstream("terminating connection: you have signed out").with_state("57P01"),
        "killed" => {
            Fault::upstream("terminating connection: ended by an administrator of the gateway").with_state("57P01")
        }
        _ => Fault::upstream("terminating connection: a time limit of the gateway was reached").with_state("57P01"),
    }
}

/// Its access has ended, which is different from a limit being reached.
pub(crate) fn is_cut(reason: &str) -> bool {
    matches!(reason, EXPIRED | "revoked" | "removed" | "suspended" | "signed_out" | "killed")
}

/// Nothing that is queued goes to the database any more, and its client is not waited for long.
pub(crate) fn severs(reason: &str) -> bool {
    is_cut(reason) || reason == CORE_FAILED
}

/// The session ended as sessions do, by its client or a limit of time: what it leaves of a connection can be trusted to be
/// what it seems. After a fault of either side it cannot.
pub(crate) fn leaves_whole(reason: &str) -> bool {
    matches!(reason, "client_terminated" | "client_closed" | "idle_timeout" | "client_not_reading")
}

impl Core {
    /// Sets when a session ends (Unix nanoseconds, 0 for never) and when its client is told so.
    pub(crate) fn expire(&self, handle: &Handle, until_ns: u64) {
        let expires = self.moment(until_ns);
        handle.expires_ns.set(expires);
        handle.warn_ns.set(next_warning(expires, self.now_ns()));
    }

    /// Looks at a session's end; true when it is over.
    pub(crate) fn look_at_end(&self, handle: &Handle, now: u64) -> bool {
        let (warn, expires) = (handle.warn_ns.get(), handle.expires_ns.get());
        if warn != 0 && warn <= now {
            handle.warned.set(true);
            handle.warn_ns.set(next_warning(expires, now));
            handle.wake();
        }
        expires != 0 && expires <= now
    }

    /// Records that the access of a session has ended, and how long after its end the session was cut off.
    pub(crate) fn record_cut(&self, handle: &Handle, target: &str, account: &str, reason: &'static str) {
        let expired_ns = handle.expired_ns.get();
        let late_ns = if expired_ns == 0 { 0 } else { self.now_ns().saturating_sub(expired_ns) };
        let record = Record::Credential(Credential {
            kind: "expire_kill",
            session: handle.id,
            target,
            account,
            reason,
            duration_us: late_ns / 1000,
            ..Default::default()
        });
        // The session's last record follows; a log that takes neither is alarmed about already.
        drop(self.record(&record));
    }
}

/// The next moment to tell a client that its session ends then; 0 for none.
fn next_warning(expires: u64, now: u64) -> u64 {
    let before = WARNINGS.iter().map(|warning| expires.saturating_sub(u64::try_from(warning.as_nanos()).unwrap_or(0)));
    before.filter(|&moment| expires != 0 && moment > now).min().unwrap_or(0)
}

/// Tells a client how long its session still lasts, unless a message to it is half sent; then it is told after that.
pub(crate) fn warn(core: &Rc<Core>, handle: &Handle, session: &mut Session<Serve<Verdicts>>) {
    if handle.banner.get() {
        let told = session.notice("WARNING", WARNING_STATE, BANNER);
        handle.banner.set(!told);
    }
    if !handle.warned.get() {
        return;
    }
    let left = handle.expires_ns.get().saturating_sub(core.now_ns()).div_ceil(1_000_000_000);
    let left = if left > 90 { format!("{} minutes", left.div_ceil(60)) } else { format!("{left} seconds") };
    let message = format!("this session ends in {left}, with the access that was given for it");
    handle.warned.set(!session.notice("WARNING", WARNING_STATE, &message));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_five_minutes_and_one_before() {
        const S: u64 = 1_000_000_000;
        let end = 3600 * S;
        assert_eq!(next_warning(end, 0), 3300 * S);
        assert_eq!(next_warning(end, 3300 * S), 3540 * S);
        assert_eq!(next_warning(end, 3540 * S), 0);
        assert_eq!(next_warning(30 * S, S), 0, "an access of half a minute");
        assert_eq!(next_warning(0, S), 0);
    }

    #[test]
    fn every_cut_has_words_of_its_own() {
        let other = killed("deadline").reason;
        for reason in [EXPIRED, "revoked", "removed", "suspended", "signed_out", "killed"] {
            assert!(is_cut(reason));
            assert_eq!(killed(reason).state, "57P01");
            assert_ne!(killed(reason).reason, other, "{reason}");
        }
        assert!(!is_cut("idle_timeout") && !is_cut(CORE_FAILED) && severs(CORE_FAILED) && severs("revoked"));
    }
}

#[cfg(test)]
#[path = "severed_tests.rs"]
mod severed;
