//! The users file: local users with their SCRAM verifiers and groups.
//!
//! ```yaml
//! users:
//!   - name: ana
//!     verifier: "SCRAM-SHA-256$4096:..."
//!     groups: [analysts]
//! ```
//!
//! The file holds no passwords. It is replaced as a whole (new file, sync, rename), readable by its owner alone; a comment
//! at its top is kept. Two changes at the same time wait for each other.

use crate::{
    problems::{Place, Problems},
    yaml::{Node, Placed, Report, Section, parse},
};
use postgres::scram::{ITERATIONS_DEFAULT, Verifier};
use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::File,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Most users of a file.
pub const USERS_MAX: usize = 100_000;
/// Longest name of a user or group in bytes, as in PostgreSQL.
pub const NAME_BYTES_MAX: usize = 63;
/// Most groups of a user.
pub const GROUPS_MAX: usize = 256;

/// A local user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name at login.
    pub name: String,
    /// Proves the password.
    pub verifier: Verifier,
    /// Groups, which give roles.
    pub groups: Vec<String>,
}

/// Reads the file; what is wrong with it is in `problems`.
pub fn load(file: &Path, problems: &mut Problems) -> Vec<User> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            if let Some(warning) = crate::secrets::exposure(file) {
                problems.warning(file, None, warning);
            }
            read(file, &text, problems)
        }
        Err(error) => {
            problems.error(file, None, format!("cannot be read: {error}; `tidegate user add` makes it"));
            Vec::new()
        }
    }
}

/// Reads the text of a file.
pub fn read(file: &Path, text: &str, problems: &mut Problems) -> Vec<User> {
    let Some(root) = parse(file, text, problems) else {
        return Vec::new();
    };
    let mut report = Report::new(file, problems);
    let report = &mut report;
    let mut root = Section::open("", root, &["users"], report);
    let Some(list) = root.demand("users", report) else {
        return Vec::new();
    };
    let nodes = match list.value {
        Node::List(nodes) => nodes,
        Node::Null => Vec::new(),
        Node::Scalar(_) | Node::Map(_) => {
            report.error(list.place, "`users` takes a list of `- name: ...`");
            return Vec::new();
        }
    };
    if nodes.len() > USERS_MAX {
        report.error(list.place, format!("more than {USERS_MAX} users"));
        return Vec::new();
    }
    if nodes.is_empty() {
        report.warning(list.place, "no users: nobody can log in; `tidegate user add` adds one");
    }
    let mut users = Vec::with_capacity(nodes.len());
    let mut seen: HashMap<String, Place> = HashMap::new();
    for node in nodes {
        let Some((user, place)) = user(node, report) else {
            continue;
        };
        if let Some(first) = seen.insert(user.name.clone(), place) {
            report.error(place, format!("user `{}` is listed twice, first in line {}", user.name, first.line));
        } else {
            users.push(user);
        }
    }
    users
}

fn user(node: Placed<Node>, report: &mut Report<'_>) -> Option<(User, Place)> {
    let mut section = Section::open("a user", node, &["name", "verifier", "groups"], report);
    let name = section.demand("name", report).and_then(|n| report.scalar("name", n));
    let verifier = section.demand("verifier", report).and_then(|n| report.scalar("verifier", n));
    let groups = section.demand("groups", report).map(|n| match n.value {
        Node::List(ref list) if list.is_empty() => Vec::new(),
        _ => report.list("groups", n),
    });
    let verifier = verifier.and_then(|v| match Verifier::parse(&v.value) {
        Ok(verifier) => Some(verifier),
        Err(error) => {
            report.error(v.place, format!("`verifier`: {error}; `tidegate user add` writes one"));
            None
        }
    });
    let mut sound = true;
    for (what, text) in name.iter().map(|n| ("user", n)).chain(groups.iter().flatten().map(|g| ("group", g))) {
        if let Err(error) = check_name(what, &text.value) {
            report.error(text.place, error);
            sound = false;
        }
    }
    let (name, groups) = (name?, groups?);
    if groups.len() > GROUPS_MAX {
        report.error(name.place, format!("user `{}` has more than {GROUPS_MAX} groups", name.value));
        return None;
    }
    let groups: Vec<String> = groups.into_iter().map(|g| g.value).collect();
    let place = name.place;
    sound.then_some(())?;
    Some((User { name: name.value, verifier: verifier?, groups }, place))
}

/// Checks the name of a user or group.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("a {what} has an empty name"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("the name of a {what} is longer than {NAME_BYTES_MAX} bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("the name of a {what} has control characters"));
    }
    if what == "group" && name == "*" {
        return Err("`*` is everyone who is authenticated and needs no membership".to_owned());
    }
    Ok(())
}

/// Why the file was not changed.
#[derive(Debug)]
pub enum ChangeError {
    /// The file is not sound; nothing is written over it.
    Unsound(Problems),
    /// It cannot be read or written.
    Io(PathBuf, io::Error),
    /// The change itself is refused.
    Refused(String),
}

impl std::fmt::Display for ChangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsound(problems) => write!(f, "{problems}\nthe users file was not changed"),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Refused(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ChangeError {}

/// What to do when a user to be added exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Refuse.
    Refuse,
    /// Give it the new password and groups.
    Replace,
}

/// Makes a user with a fresh random salt.
///
/// # Errors
/// The name, a group or the password does not fit, or there is no randomness.
pub fn make(name: &str, groups: &[String], password: &[u8]) -> Result<User, ChangeError> {
    check_name("user", name).map_err(ChangeError::Refused)?;
    if groups.len() > GROUPS_MAX {
        return Err(ChangeError::Refused(format!("more than {GROUPS_MAX} groups")));
    }
    let mut distinct: Vec<String> = Vec::new();
    for group in groups {
        check_name("group", group).map_err(ChangeError::Refused)?;
        if !distinct.contains(group) {
            distinct.push(group.clone());
        }
    }
    if password.is_empty() {
        return Err(ChangeError::Refused("the password is empty".to_owned()));
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|e| ChangeError::Refused(format!("no random numbers: {e}")))?;
    let verifier = Verifier::derive(password, &salt, ITERATIONS_DEFAULT);
    Ok(User { name: name.to_owned(), verifier, groups: distinct })
}

/// Adds a user; makes the file if there is none.
///
/// # Errors
/// The file is as it was.
pub fn add(file: &Path, user: User, existing: Existing) -> Result<(), ChangeError> {
    change(file, |users| {
        let full = users.len() >= USERS_MAX;
        match users.iter_mut().find(|u| u.name == user.name) {
            Some(_) if existing == Existing::Refuse => {
                return Err(format!("user `{}` exists; --replace gives a new password and groups", user.name));
            }
            Some(old) => *old = user,
            None if full => return Err(format!("the file has {USERS_MAX} users, which is the limit")),
            None => users.push(user),
        }
        Ok(())
    })
}

/// Removes a user.
///
/// # Errors
/// The file is as it was.
pub fn remove(file: &Path, name: &str) -> Result<(), ChangeError> {
    change(file, |users| {
        let before = users.len();
        users.retain(|u| u.name != name);
        if users.len() < before { Ok(()) } else { Err(format!("there is no user `{name}`")) }
    })
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<User>) -> Result<(), String>) -> Result<(), ChangeError> {
    // A link stays a link: what it points to is replaced.
    let file = match file.canonicalize() {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(ChangeError::Io(file.to_owned(), error)),
    };
    let io = |error| ChangeError::Io(file.clone(), error);
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // The folder is locked and not the file, because the file is another one afterwards.
    let lock = File::open(folder).map_err(io)?;
    lock.lock().map_err(io)?;

    let old = match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io(error)),
    };
    let mut users = Vec::new();
    if let Some(text) = &old {
        let mut problems = Problems::new();
        users = read(&file, text, &mut problems);
        if problems.has_errors() {
            return Err(ChangeError::Unsound(problems));
        }
    }
    change(&mut users).map_err(ChangeError::Refused)?;
    let text = write(old.as_deref(), &users);
    replace(&file, folder, &text).map_err(io)
}

fn replace(file: &Path, folder: &Path, text: &str) -> io::Result<()> {
    let mut new = tempfile::Builder::new().prefix(".users-").tempfile_in(folder)?;
    new.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
    if let Ok(old) = std::fs::metadata(file) {
        let ours = new.as_file().metadata()?;
        if (old.uid(), old.gid()) != (ours.uid(), ours.gid()) {
            // The administrator changes the file of the account that runs the gateway.
            std::os::unix::fs::fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
        }
    }
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|e| e.error)?;
    File::open(folder)?.sync_all()
}

/// The text of a file with these users, under the comment at the top of the old text.
fn write(old: Option<&str>, users: &[User]) -> String {
    let mut text = String::new();
    let comment = old.into_iter().flat_map(str::lines).take_while(|line| line.starts_with('#'));
    comment.for_each(|line| text.extend([line, "\n"]));
    if old.is_none() {
        text.push_str("# Local users of Tidegate. Changed by `tidegate user add` and `tidegate user remove`.\n");
    }
    if users.is_empty() {
        text.push_str("users: []\n");
        return text;
    }
    text.push_str("users:\n");
    for user in users {
        let groups: Vec<String> = user.groups.iter().map(|g| quoted(g)).collect();
        let _infallible = write!(
            text,
            "  - name: {}\n    verifier: \"{}\"\n    groups: [{}]\n",
            quoted(&user.name),
            user.verifier,
            groups.join(", ")
        );
    }
    text
}

/// A scalar that YAML reads back as this text: plain where nothing can be mistaken, otherwise in double quotes.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests;
