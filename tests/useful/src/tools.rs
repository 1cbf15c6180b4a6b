//! Real tools at both sides: drivers, ORMs, data frames, dbt, a terminal, and what BI tools ask of JDBC and Node.
//!
//! Each program of `clients/` runs named checks and prints one line of JSON for each; the lines of the two sides are
//! compared like rows: what is protected has its masked form, all else is the same. Python packages are pinned and live in
//! a virtual environment under Cargo's target folder, installed once.

use crate::{
    case::ANALYST,
    compare::Fault,
    mask::{Encoding, Mask, Seen},
    place::Place,
    run::{Outcome, Way},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tests::{
    canary, clients,
    endpoint::Endpoint,
    process::{Finished, PATIENCE, run},
    programs::target,
};

/// Programs with their checks.
pub const PROGRAMS: &[&str] = &[
    "drivers.py",
    "orm.py",
    "django_app.py",
    "dbt_project.py",
    "completion.py",
    "commands.py",
    "frames.py",
    "Metadata.java",
    "node.cjs",
];

/// Longest run of one program.
const LIMIT: Duration = PATIENCE.saturating_mul(20);

/// Runs a program at both sides and compares its checks.
pub fn outcomes(place: &Place, program: &str) -> Vec<Outcome> {
    let (direct, through) = (start(&place.direct(), program), start(&place.through(ANALYST), program));
    let (direct, answers) = (checks(&direct), checks(&through));
    let seen = Seen::default();
    let mut outcomes: Vec<Outcome> = direct
        .iter()
        .map(|(id, one)| {
            assert!(one["error"].is_null(), "{id} does not even work at the server: {}", one["error"]);
            let fault = match answers.get(id) {
                None => Some(Fault::Different(format!("{program} ended before this check: {}", last(&through)))),
                Some(other) => judge(one, other, &seen).err(),
            };
            let faults = fault.into_iter().map(|fault| (Way::Tool, program.to_owned(), fault)).collect();
            Outcome { id: id.clone(), faults }
        })
        .collect();
    if let Some(canary) = canary::found(&through.stdout).first() {
        let fault = Fault::Different(format!("a protected value came out ({})", canary.place));
        let faults = vec![(Way::Tool, program.to_owned(), fault)];
        outcomes.push(Outcome { id: format!("{program}/everything-it-printed"), faults });
    }
    outcomes
}

fn judge(direct: &Value, through: &Value, seen: &Seen) -> Result<(), Fault> {
    if let Some(text) = through["error"].as_str() {
        return Err(Fault::Refused { state: String::new(), text: text.to_owned() });
    }
    let masked = direct["masked"].as_object().into_iter().flatten();
    let masks = masked.map(|(key, mask)| (key.as_str(), Mask::named(mask.as_str().unwrap()).unwrap())).collect();
    same("result", &direct["value"], &through["value"], &masks, seen)
}

fn same(at: &str, one: &Value, other: &Value, masks: &BTreeMap<&str, Mask>, seen: &Seen) -> Result<(), Fault> {
    let different = |expected: &str| {
        let shown: String = other.to_string().chars().take(200).collect();
        Err(Fault::Different(format!("{at}: {shown} instead of {expected}")))
    };
    match (one, other) {
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).try_for_each(|(one, other)| same(at, one, other, masks, seen))
        }
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            one.iter().zip(other.values()).try_for_each(|((key, one), other)| {
                let Some(mask) = masks.get(key.as_str()) else { return same(key, one, other, masks, seen) };
                let (value, got) = (one.as_str().map(str::as_bytes), other.as_str().map(str::as_bytes));
                mask.judge(value, got, Encoding::Text, seen)
                    .map_err(|expected| Fault::Different(format!("{key}: {other} instead of {expected}")))
            })
        }
        _ if one == other => Ok(()),
        _ => different(&one.to_string().chars().take(200).collect::<String>()),
    }
}

fn checks(done: &Finished) -> BTreeMap<String, Value> {
    let text = done.text();
    let lines = text.lines().filter(|line| line.starts_with('{'));
    let parsed = lines.map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    parsed.map(|line| (line["id"].as_str().unwrap().to_owned(), line)).collect()
}

fn last(done: &Finished) -> String {
    done.errors().lines().last().unwrap_or("it said nothing").to_owned()
}

fn start(endpoint: &Endpoint, program: &str) -> Finished {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(program);
    let mut command = match file.extension().and_then(|e| e.to_str()) {
        Some("py") => Command::new(environment().join("bin/python")),
        Some("java") => {
            let driver = "/usr/share/java/postgresql.jar";
            assert!(Path::new(driver).exists(), "the JDBC driver is missing: apt-get install libpostgresql-jdbc-java");
            let mut java = Command::new("java");
            java.args(["-XX:TieredStopAtLevel=1", "-cp", driver]);
            java
        }
        _ => return clients::node(endpoint, &file.display().to_string(), &[]),
    };
    if program.ends_with(".py") {
        command.args(["-W", "ignore"]).env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1");
    }
    command.arg(file).envs(endpoint.variables()).env("LC_ALL", "C.UTF-8");
    run(&mut command, b"", LIMIT)
}

/// The virtual environment, made when it is missing or its list of packages has changed.
fn environment() -> PathBuf {
    let folder = target().join("test-useful");
    let mut script = Command::new("sh");
    script.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/install.sh")).arg(&folder);
    run(&mut script, b"", Duration::from_secs(600)).success();
    folder.join("venv")
}
