//! The ways made of statements, taken by drivers of other languages: psycopg 3 and asyncpg, each with text and binary results
//! where it has them.
//!
//! A Python program gets the statements as JSON and prints what it got, one line per way; the same search judges the lines.

use crate::{
    catalogue,
    client::Login,
    names::Names,
    recover::{Care, Finder, Found},
};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, time::Duration};
use tests::{
    clients,
    endpoint::Endpoint,
    folder::Folder,
    process::{PATIENCE, run},
};

/// The program.
const PROGRAM: &str = include_str!("../drivers.py");
/// How long all ways may take by all drivers.
const LIMIT: Duration = PATIENCE.saturating_mul(20);

/// Values that came out, by way, variant and driver.
pub type Heard = BTreeMap<(String, String, String), Found>;

/// Takes every way that suits `wanted` (by its JSON) with this driver (`psycopg` or `asyncpg`).
///
/// # Panics
/// The driver cannot be run, or does not try every way.
#[track_caller]
pub fn all(driver: &str, login: &Login, names: &Names, finder: &Finder, wanted: &dyn Fn(&Value) -> bool) -> Heard {
    let Value::Array(list) = catalogue::as_json(names) else { panic!("a list") };
    let list: Vec<Value> = list.into_iter().filter(|way| wanted(way)).collect();
    let folder = Folder::new("drivers");
    let program = folder.write("drivers.py", PROGRAM);
    let ways = folder.write("ways.json", Value::Array(list.clone()).to_string());
    let endpoint = Endpoint {
        port: login.port,
        user: login.user.clone(),
        password: login.password.clone(),
        database: login.database.clone(),
        sslmode: "disable",
    };
    let mut command = clients::python_program(&endpoint);
    let done = run(command.args([&program as &Path, Path::new(driver), &ways]), b"", LIMIT).success();
    eprint!("{}", done.errors());
    let mut heard = Heard::new();
    for line in done.text().lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let found = finder.find(text("heard").as_bytes(), Care::Any);
        heard.insert((text("id"), text("name"), text("how")), found);
    }
    let tried = heard.keys().map(|(id, name, _)| (id, name)).collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(tried, list.len(), "{driver} tries every way\n{}", done.errors());
    heard
}
