//! What is written reads back, what is wrong is reported with its line, and nothing unsound is written over.

use super::*;
use proptest::prelude::*;

const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

fn user(name: &str, groups: &[&str]) -> User {
    let groups = groups.iter().map(|g| (*g).to_owned()).collect();
    User { name: name.to_owned(), verifier: Verifier::parse(VERIFIER).unwrap(), groups }
}

fn read_text(text: &str) -> (Vec<User>, String) {
    let mut problems = Problems::new();
    let users = read(Path::new("users.yaml"), text, &mut problems);
    (users, problems.to_string())
}

#[test]
fn users_are_added_listed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.yaml");
    add(&file, user("ana", &["analysts"]), Existing::Refuse).unwrap();
    add(&file, user("priya", &["privacy", "analysts"]), Existing::Refuse).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    let mut problems = Problems::new();
    assert_eq!(load(&file, &mut problems), [user("ana", &["analysts"]), user("priya", &["privacy", "analysts"])]);
    assert_eq!(problems.to_string(), "");

    let again = add(&file, user("ana", &[]), Existing::Refuse).unwrap_err();
    assert!(again.to_string().contains("user `ana` exists"), "{again}");
    add(&file, user("ana", &[]), Existing::Replace).unwrap();
    remove(&file, "priya").unwrap();
    assert_eq!(load(&file, &mut problems), [user("ana", &[])]);
    assert!(remove(&file, "priya").unwrap_err().to_string().contains("there is no user `priya`"));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file is left");
}

#[test]
fn comment_at_the_top_survives_and_a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("real.yaml"), folder.path().join("users.yaml"));
    std::fs::write(&file, "# Owned by the data team.\n# Ask before changing.\nusers: []\n").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    add(&link, user("ana", &["analysts"]), Existing::Refuse).unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# Owned by the data team.\n# Ask before changing.\nusers:\n  - name: ana\n"), "{text}");
}

#[test]
fn unsound_file_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.yaml");
    std::fs::write(&file, "users:\n  - nam: ana\n").unwrap();
    let error = add(&file, user("bo", &[]), Existing::Refuse).unwrap_err();
    assert!(matches!(error, ChangeError::Unsound(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "users:\n  - nam: ana\n");
}

#[test]
fn additions_at_the_same_time_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.yaml");
    std::thread::scope(|scope| {
        for i in 0..8 {
            let file = &file;
            scope.spawn(move || add(file, user(&format!("user{i}"), &[]), Existing::Refuse).unwrap());
        }
    });
    assert_eq!(load(&file, &mut Problems::new()).len(), 8);
}

#[test]
fn every_mistake_is_reported_with_its_place() {
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let text = format!(
        "users:\n  - name: ana\n    verifier: md5abc\n    groups: [a]\n  - name: bo\n    verifer: \"{VERIFIER}\"\n    groups: []\n  \
         - name: cy\n    verifier: \"{VERIFIER}\"\n    groups: [\"*\"]\n  - name: {long}\n    verifier: \"{VERIFIER}\"\n    groups: []\n  \
         - name: ok\n    verifier: \"{VERIFIER}\"\n    groups: one\n  - name: ok\n    verifier: \"{VERIFIER}\"\n    groups: []\n"
    );
    let (users, problems) = read_text(&text);
    assert_eq!(users, [user("ok", &["one"])]);
    assert_eq!(
        problems,
        "users.yaml:3:15: error: `verifier`: a verifier starts with SCRAM-SHA-256$; `tidegate user add` writes one\n\
         users.yaml:6:5: error: `verifer` is not a setting of `a user`; did you mean `verifier`?\n\
         users.yaml:5:5: error: `verifier` is missing in `a user`\n\
         users.yaml:10:14: error: `*` is everyone who is authenticated and needs no membership\n\
         users.yaml:11:11: error: the name of a user is longer than 63 bytes\n\
         users.yaml:17:11: error: user `ok` is listed twice, first in line 14"
    );
}

#[test]
fn no_users_is_a_warning() {
    assert_eq!(
        read_text("users: []\n").1,
        "users.yaml:1:8: warning: no users: nobody can log in; `tidegate user add` adds one"
    );
    assert_eq!(read_text("users:\n").0, []);
    assert_eq!(read_text("users: x\n").1, "users.yaml:1:8: error: `users` takes a list of `- name: ...`");
}

#[test]
fn made_user_has_the_password_and_distinct_groups() {
    let groups = ["a".to_owned(), "b".to_owned(), "a".to_owned()];
    let made = make("ana", &groups, b"secret").unwrap();
    assert!(made.verifier.verify(b"secret"));
    assert!(!made.verifier.verify(b"secret2"));
    assert_eq!(made.groups, ["a", "b"]);
    assert_ne!(made.verifier, make("ana", &groups, b"secret").unwrap().verifier, "salts are fresh");
    assert!(make("ana", &[], b"").is_err());
    assert!(make("a\nb", &[], b"x").is_err());
    assert!(make("ana", &["*".to_owned()], b"x").is_err());
}

proptest! {
    #[test]
    fn any_name_reads_back(name in "\\PC{1,20}", group in "[ -~]{1,20}") {
        prop_assume!(check_name("user", &name).is_ok());
        prop_assume!(check_name("group", &group).is_ok());
        let users = [user(&name, &[&group])];
        let (read, problems) = read_text(&write(None, &users));
        prop_assert_eq!(problems, "");
        prop_assert_eq!(&read[..], &users[..]);
    }

    #[test]
    fn noise_is_reported_and_never_panics(text in "[-a-z:\\[\\]{}\"#&*|>!% \n\t0-9]{0,80}") {
        let mut problems = Problems::new();
        let users = read(Path::new("users.yaml"), &text, &mut problems);
        prop_assert!(users.is_empty());
    }
}
