//! What the configuration says about sealing and recording: `audit.recipients`, `audit.recordings`, and `recordings` of
//! targets.
//!
//! A session's recording is what the closest setting says: of its role at its target, of its target, of its role, of all.
//! Checks here: that keys can be read, that roles exist, and that nothing is stored unencrypted unless that was asked for.

use crate::{
    config::{Config, boolean, path, size},
    problems::Problems,
    yaml::{Node, Placed, Report, Section, nearest},
};
use gateway::{Onward, Recording, RecordingMode, Recordings};
use sealing::Recipient;
use std::path::{Path, PathBuf};

const KNOWN: &[&str] = &["mode", "cap_bytes", "on_cap", "on_error", "compress", "roles"];

/// The settings of one place; `None` leaves it to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    mode: Option<RecordingMode>,
    cap_bytes: Option<u64>,
    on_cap: Option<Onward>,
    on_error: Option<Onward>,
    compress: Option<bool>,
}

impl Settings {
    fn over(&self, below: Recording) -> Recording {
        Recording {
            mode: self.mode.unwrap_or(below.mode),
            cap_bytes: self.cap_bytes.unwrap_or(below.cap_bytes),
            on_cap: self.on_cap.unwrap_or(below.on_cap),
            on_error: self.on_error.unwrap_or(below.on_error),
            compress: self.compress.unwrap_or(below.compress),
        }
    }
}

/// A section `recordings`.
#[derive(Clone, Debug, Default)]
pub struct RecordingSettings {
    all: Settings,
    roles: Vec<(Placed<String>, Settings)>,
    /// Recordings may be stored as they are. For the whole file only.
    unencrypted: bool,
}

impl RecordingSettings {
    fn role(&self, name: &str) -> Option<&Settings> {
        self.roles.iter().find(|(role, _)| role.value == name).map(|(_, settings)| settings)
    }
}

/// Reads `recordings`; `whole` where it speaks for all targets.
pub fn read(node: Placed<Node>, whole: bool, report: &mut Report<'_>) -> RecordingSettings {
    let mut known = KNOWN.to_vec();
    if whole {
        known.push("unencrypted");
    }
    let mut section = Section::open("recordings", node, &known, report);
    let all = settings(&mut section, report);
    let unencrypted = whole && section.value("unencrypted", false, report, boolean);
    let roles = section.take("roles").map(|node| {
        let roles = Section::open_free("roles", node, report);
        let roles = roles.rest().map(|(role, node)| {
            let known = &KNOWN[..KNOWN.len() - 1];
            let mut section = Section::open(&role.value, node, known, report);
            let settings = settings(&mut section, report);
            (role, settings)
        });
        roles.collect()
    });
    RecordingSettings { all, roles: roles.unwrap_or_default(), unencrypted }
}

fn settings(section: &mut Section, report: &mut Report<'_>) -> Settings {
    let mode = section.value("mode", None, report, |text| match text {
        "none" => Ok(Some(RecordingMode::None)),
        "digest" => Ok(Some(RecordingMode::Digest)),
        "rows" => Ok(Some(RecordingMode::Rows)),
        _ => Err(format!("`{text}` is none of none, digest, rows")),
    });
    Settings {
        mode,
        cap_bytes: section.value("cap_bytes", None, report, |text| size(text, 64 << 10, 1 << 44).map(Some)),
        on_cap: section.value("on_cap", None, report, onward),
        on_error: section.value("on_error", None, report, onward),
        compress: section.value("compress", None, report, |text| boolean(text).map(Some)),
    }
}

fn onward(text: &str) -> Result<Option<Onward>, String> {
    match text {
        "stop" => Ok(Some(Onward::Stop)),
        "spill" => Ok(Some(Onward::Spill)),
        _ => Err(format!("`{text}` is neither stop (the session ends) nor spill (it goes on unrecorded)")),
    }
}

/// Reads `recipients`: files of public keys.
pub fn recipients(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Vec<Placed<PathBuf>> {
    let files = report.list("recipients", node);
    let files = files.into_iter().map(|file| file.map(Node::Scalar));
    files.filter_map(|file| path("recipients", file, folder, report)).collect()
}

/// What is recorded of sessions of a target.
#[must_use]
pub fn of_target(config: &Config, target: &str) -> Recordings {
    let whole = &config.audit.recordings;
    let none = RecordingSettings::default();
    let own = config.targets.get(target).and_then(|target| target.recordings.as_ref()).unwrap_or(&none);
    let usual = own.all.over(whole.all.over(Recording::default()));
    let mut names: Vec<&str> = Vec::new();
    for (role, _) in whole.roles.iter().chain(&own.roles) {
        if !names.contains(&role.value.as_str()) {
            names.push(&role.value);
        }
    }
    let nothing = Settings::default();
    let roles = names.into_iter().map(|role| {
        let base = whole.role(role).unwrap_or(&nothing).over(whole.all.over(Recording::default()));
        let settings = own.role(role).unwrap_or(&nothing).over(own.all.over(base));
        (role.to_owned(), settings)
    });
    Recordings { roles: roles.collect(), usual }
}

/// Loads the recipients, and checks what is said about recordings.
pub fn check(config: &Config, bundle: Option<&policy::Bundle>, problems: &mut Problems) -> Vec<Recipient> {
    let recipients = load(config, problems);
    if config.audit.recipients.is_empty() {
        let text = "no `recipients`: statement texts and parameters stand in the log as they are; make a key with \
                    `tidegate keys new`";
        problems.warning(&config.file, Some(config.audit.directory.place), text);
    }
    let Some(bundle) = bundle else { return recipients };
    let model = bundle.model();
    let whole = &config.audit.recordings;
    let own = config.targets.values().filter_map(|target| target.recordings.as_ref());
    for (role, _) in std::iter::once(whole).chain(own).flat_map(|settings| &settings.roles) {
        let names = || model.roles.iter().map(|role| role.name.as_str());
        if !names().any(|name| name == role.value) {
            let near = nearest(&role.value, names());
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let text = format!("`recordings`: role `{}` is not in the bundle{hint}", role.value);
            problems.error(&config.file, Some(role.place), text);
        }
    }
    let recorded = model.targets.iter().any(|target| {
        let recordings = of_target(config, &target.name);
        let mut all = recordings.roles.iter().map(|(_, recording)| recording).chain([&recordings.usual]);
        all.any(|recording| recording.mode != RecordingMode::None)
    });
    if recorded && config.audit.recipients.is_empty() {
        let place = Some(config.audit.directory.place);
        if whole.unencrypted {
            problems.warning(&config.file, place, "recordings are stored unencrypted, as `unencrypted: true` asks for");
        } else {
            let text = "sessions are recorded and there is nobody to encrypt recordings for: name `recipients`, or write \
                        `recordings: { unencrypted: true }`";
            problems.error(&config.file, place, text);
        }
    }
    recipients
}

fn load(config: &Config, problems: &mut Problems) -> Vec<Recipient> {
    let mut recipients: Vec<Recipient> = Vec::new();
    for file in &config.audit.recipients {
        let shown = file.value.display();
        let mut wrong = |text: String| problems.error(&config.file, Some(file.place), format!("`recipients`: {text}"));
        match std::fs::read_to_string(&file.value).map_err(|e| e.to_string()).map(|text| Recipient::parse(&text)) {
            Err(error) => wrong(format!("{shown} cannot be read: {error}")),
            Ok(Err(error)) => wrong(format!("{shown}: {error}")),
            Ok(Ok(recipient)) if recipients.contains(&recipient) => wrong(format!("{shown} is the same key once more")),
            Ok(Ok(recipient)) => recipients.push(recipient),
        }
    }
    if recipients.len() > sealing::slots::RECIPIENTS_MAX {
        let text = format!("`recipients`: at most {}", sealing::slots::RECIPIENTS_MAX);
        problems.error(&config.file, config.audit.recipients.first().map(|file| file.place), text);
    }
    recipients
}
