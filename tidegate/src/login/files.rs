//! `.pgpass` and `pg_service.conf`: only the entries made here change, and making them twice changes nothing.

use super::{Credential, client::CliError, state::replace};
use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// First line of the part of a service file that is ours.
const BEGIN: &str = "# tidegate: begin; `tidegate login` writes what follows again";
/// Last line of it.
const END: &str = "# tidegate: end";
/// Largest file that is changed.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The user's folder.
pub(super) fn home() -> Result<PathBuf, CliError> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    home.ok_or_else(|| CliError::failed("HOME is not set"))
}

/// The password file of this program, which connection strings name.
pub(super) fn passfile(folder: &Path) -> PathBuf {
    folder.join("pgpass")
}

/// The user's password file, as libpq finds it.
pub(super) fn home_pgpass() -> Result<PathBuf, CliError> {
    std::env::var_os("PGPASSFILE").map_or_else(|| Ok(home()?.join(".pgpass")), |file| Ok(PathBuf::from(file)))
}

/// The user's service file, as libpq finds it.
pub(super) fn home_service() -> Result<PathBuf, CliError> {
    std::env::var_os("PGSERVICEFILE")
        .map_or_else(|| Ok(home()?.join(".pg_service.conf")), |file| Ok(PathBuf::from(file)))
}

/// Puts the password into a password file, in the place of an older one for the same.
pub(super) fn write_pgpass(file: &Path, credential: &Credential) -> Result<(), CliError> {
    change(file, |text| with_password(text, credential))
}

/// Certificate and key of this program, as `sslcert` and `sslkey` of connection strings.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("client.crt"), folder.join("client.key"))
}

/// Keeps a client certificate and its key (PEM), in the place of older ones; where they are.
pub(super) fn write_certificate(folder: &Path, pem: &str, key: &str) -> Result<(PathBuf, PathBuf), CliError> {
    let (at, beside) = certificate(folder);
    for (file, text) in [(&beside, key), (&at, pem)] {
        replace(file, text).map_err(|e| CliError::failed(format!("{}: {e}", file.display())))?;
    }
    Ok((at, beside))
}

/// Puts an entry for each target into a service file.
pub(super) fn write_service(
    file: &Path,
    credential: &Credential,
    passfile: &Path,
    ca: Option<&Path>,
) -> Result<(), CliError> {
    change(file, |text| with_services(text, Some(&services(credential, passfile, ca))))
}

/// Takes out what `login` wrote for this user.
pub(super) fn forget(folder: &Path, user: &str) -> Result<(), CliError> {
    let own = passfile(folder);
    let passwords = read(&own)?;
    // Lines elsewhere go if they are those of our own file.
    let ours: Vec<&str> = passwords.lines().filter(|line| fields(line).is_some_and(|f| f[3] == escape(user))).collect();
    let theirs = home_pgpass()?;
    if theirs != own && theirs.exists() {
        change(&theirs, |text| Zeroizing::new(lines(text.lines().filter(|line| !ours.contains(line)))))?;
    }
    let service = home_service()?;
    if service.exists() {
        change(&service, |text| with_services(text, None))?;
    }
    let (at, beside) = certificate(folder);
    for file in [beside, at, own] {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CliError::failed(format!("{}: {error}", file.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Zeroizing<String>, CliError> {
    use std::io::Read as _;
    let wrong = |e: io::Error| CliError::failed(format!("{}: {e}", file.display()));
    let mut text = Zeroizing::new(String::new());
    match std::fs::File::open(file) {
        Ok(found) => found.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(wrong)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(text),
        Err(error) => return Err(wrong(error)),
    };
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(CliError::failed(format!("{} is too large to be changed", file.display())));
    }
    Ok(text)
}

fn change(file: &Path, change: impl FnOnce(&str) -> Zeroizing<String>) -> Result<(), CliError> {
    let before = read(file)?;
    let after = change(&before);
    if *after == *before {
        return Ok(());
    }
    replace(file, &after).map_err(|e| CliError::failed(format!("{}: {e}", file.display())))
}

fn lines<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.fold(String::new(), |mut text, line| {
        text.push_str(line);
        text.push('\n');
        text
    })
}

/// A field of a password file: `:` and `\` stand behind a `\`.
fn escape(field: &str) -> String {
    field.replace('\\', "\\\\").replace(':', "\\:")
}

/// The fields of a line as they are written; `None` for a comment or what is none.
fn fields(line: &str) -> Option<[&str; 5]> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = [""; 5];
    let mut rest = line;
    for field in &mut fields[..4] {
        let mut escaped = false;
        let end = rest.char_indices().find(|(_, c)| {
            let ends = *c == ':' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let (end, _) = end?;
        (*field, rest) = (&rest[..end], &rest[end + 1..]);
    }
    fields[4] = rest;
    Some(fields)
}

fn with_password(text: &str, credential: &Credential) -> Zeroizing<String> {
    let wanted =
        [&escape(&credential.host), &credential.port.to_string(), "*", &escape(&credential.user)].map(str::to_owned);
    let line = Zeroizing::new(format!("{}:{}", wanted.join(":"), escape(&credential.password)));
    let mut new = Zeroizing::new(String::with_capacity(text.len() + line.len() + 1));
    let mut there = false;
    for old in text.lines() {
        if fields(old).is_some_and(|fields| fields[..4].iter().zip(&wanted).all(|(a, b)| a == b)) {
            // A second line for the same would never be looked at.
            if !there {
                let _grown = writeln!(new, "{}", *line);
            }
            there = true;
        } else {
            let _grown = writeln!(new, "{old}");
        }
    }
    if there {
        return new;
    }
    // The first line that fits is taken, so ours comes before those with wildcards.
    Zeroizing::new(format!("{}\n{}", *line, *new))
}

/// A value of a service file: one line, no end of it within.
fn services(credential: &Credential, passfile: &Path, ca: Option<&Path>) -> String {
    let mut text = String::new();
    for target in &credential.targets {
        let _grown = write!(
            text,
            "[tidegate-{target}]\nhost={}\nport={}\nuser={}\ndbname={target}\npassfile={}\n",
            credential.host,
            credential.port,
            credential.user,
            passfile.display()
        );
        if credential.tls {
            let root = ca.map_or_else(|| "system".to_owned(), |ca| ca.display().to_string());
            let _grown = write!(text, "sslmode=verify-full\nsslrootcert={root}\nchannel_binding=require\n");
        } else {
            text.push_str("sslmode=disable\n");
        }
    }
    text
}

fn with_services(text: &str, services: Option<&str>) -> Zeroizing<String> {
    let (mut kept, mut ours) = (Vec::new(), false);
    for line in text.lines() {
        match line.trim_end() {
            BEGIN => ours = true,
            END if ours => ours = false,
            _ if ours => {}
            _ => kept.push(line),
        }
    }
    while services.is_some() && kept.last().is_some_and(|line| line.trim().is_empty()) {
        kept.pop();
    }
    let mut new = lines(kept.into_iter());
    if let Some(services) = services {
        if !new.is_empty() {
            new.push('\n');
        }
        let _grown = write!(new, "{BEGIN}\n{services}{END}\n");
    }
    Zeroizing::new(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(password: &str) -> Credential {
        Credential {
            id: "TC-1".to_owned(),
            user: "alice".to_owned(),
            password: Zeroizing::new(password.to_owned()),
            until: 0,
            host: "gate.example.com".to_owned(),
            port: 6432,
            tls: true,
            targets: vec!["clinic".to_owned(), "crm".to_owned()],
        }
    }

    #[test]
    fn a_password_replaces_its_own_line_and_no_other() {
        let others = "# mine\nlocalhost:*:*:bob:a\\:b\n\n*:*:*:alice:old";
        let once = with_password(others, &credential("new"));
        assert_eq!(*once, format!("gate.example.com:6432:*:alice:new\n{others}\n"));
        assert_eq!(*with_password(&once, &credential("new")), *once);
        let again = with_password(&once, &credential("newer"));
        assert_eq!(*again, once.replace(":new\n", ":newer\n"));
        let twice = format!("{}{}", *once, "gate.example.com:6432:*:alice:x\n");
        assert_eq!(*with_password(&twice, &credential("new")), *once);
    }

    #[test]
    fn fields_are_escaped_as_libpq_reads_them() {
        assert_eq!(escape("a:b\\c"), "a\\:b\\\\c");
        assert_eq!(fields("h:1:d:u:p:q"), Some(["h", "1", "d", "u", "p:q"]));
        assert_eq!(fields("\\:\\:1:1:d:u:p"), Some(["\\:\\:1", "1", "d", "u", "p"]));
        assert_eq!(fields("h\\\\:1:d:u:p"), Some(["h\\\\", "1", "d", "u", "p"]));
        assert_eq!(fields("#h:1:d:u:p"), None);
        assert_eq!(fields("h:1:d"), None);
    }

    #[test]
    fn services_are_written_again_between_their_marks() {
        let others = "[mine]\nhost=a\n\n[other]\nhost=b\n";
        let text = services(&credential("secret"), Path::new("/s/pgpass"), Some(Path::new("/ca.crt")));
        assert!(!text.contains("secret"));
        let once = with_services(others, Some(&text));
        assert!(once.starts_with(others) && once.contains("[tidegate-clinic]\nhost=gate.example.com\nport=6432\n"));
        assert_eq!(*with_services(&once, Some(&text)), *once);
        assert_eq!(with_services(&once, None).trim_end(), others.trim_end());
        assert_eq!(*with_services("", Some(&text)), format!("{BEGIN}\n{text}{END}\n"));
    }

    #[test]
    fn files_that_others_may_read_become_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        std::fs::write(&file, "*:*:*:bob:x\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        write_pgpass(&file, &credential("new")).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::read_to_string(&file).unwrap().ends_with("*:*:*:bob:x\n"));
    }
}
