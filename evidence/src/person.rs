//! Who runs a tool: the account of the process, by the machine's own list of accounts. No environment variable is
//! believed, except that root may say for whom it acts.

use std::fs;

/// A person as records of the desk name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Where the name comes from: `os`.
    pub issuer: String,
    /// Name of the account, or its number.
    pub subject: String,
}

impl Person {
    /// The account of this process; for root under sudo, whoever called sudo.
    #[must_use]
    pub fn of_process() -> Self {
        let uid = rustix::process::getuid().as_raw();
        let caller = std::env::var("SUDO_UID").ok().and_then(|text| text.parse().ok()).filter(|_| uid == 0);
        let subject = match caller {
            Some(caller) if caller != 0 => format!("{} (as root)", name(caller)),
            Some(_) | None => name(uid),
        };
        Self { issuer: "os".to_owned(), subject }
    }

    /// As the log's records borrow it.
    #[must_use]
    pub fn actor(&self) -> audit::record::Actor<'_> {
        audit::record::Actor { issuer: &self.issuer, subject: &self.subject, role: "" }
    }
}

fn name(uid: u32) -> String {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("uid {uid}"))
}

/// Records acts at the desk.
///
/// # Errors
/// The desk's: then the act must not happen.
pub fn record(directory: &std::path::Path, acts: &[audit::record::Record<'_>]) -> Result<Vec<u64>, String> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| format!("no random numbers: {error}"))?;
    let build = concat!("tidegate ", env!("CARGO_PKG_VERSION"));
    audit::desk::write(directory, build, seed, acts).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_names() {
        assert_eq!(name(0), "root");
        assert_eq!(name(4_000_000_001), "uid 4000000001");
        assert!(!Person::of_process().subject.is_empty());
    }
}
