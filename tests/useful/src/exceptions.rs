//! Cases that do not work, each with the reason why that is accepted. Anything else that fails is a fault, and so is an
//! entry here whose case works by now.

/// Id of a case and the reason.
pub const ACCEPTED: &[(&str, &str)] =
    &[("catalog/own-connection", ACTIVITY), ("pgadmin/dashboard", ACTIVITY), ("pgadmin/dashboard-counters", ACTIVITY)];

const ACTIVITY: &str = "pg_stat_activity shows the statements of all sessions of the gateway's account, with their literals; \
                        about the own session, current_setting and pg_backend_pid say the same";

/// The reason for a case, if its failure is accepted.
pub fn reason(id: &str) -> Option<&'static str> {
    ACCEPTED.iter().find(|(accepted, _)| *accepted == id).map(|(_, reason)| *reason)
}
