//! A real browser: Debian's Chromium, driven by playwright-core through a small Node program that takes commands.
//!
//! One value is one browser with its own cookies. A command that fails or takes more than a minute fails the test, with the
//! address the browser was at.

use crate::{
    folder::Folder,
    process::{Guarded, PATIENCE},
    programs::tree,
    provider::packages,
};
use serde_json::{Value, json};
use std::{
    cell::RefCell,
    io::{BufRead as _, BufReader, Write as _},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Command, Stdio},
};

/// A browser.
#[derive(Debug)]
pub struct Browser {
    socket: RefCell<BufReader<UnixStream>>,
    folder: Folder,
    _process: Guarded,
}

impl Browser {
    /// Starts one without cookies.
    #[track_caller]
    pub fn start() -> Self {
        assert!(
            Path::new("/usr/bin/chromium").exists() || std::env::var_os("CHROMIUM").is_some(),
            "Chromium is missing: apt-get install chromium, or run ./test"
        );
        let folder = Folder::new("browser");
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(4 * PATIENCE)).unwrap();
        let log = std::fs::File::create(folder.path().join("browser.log")).unwrap();
        let mut command = Command::new("node");
        command.arg(tree().join("tests/web/browser.mjs")).arg(folder.path()).env("WEB_PACKAGES", packages());
        command.env("HOME", folder.path()).env("TMPDIR", folder.path());
        command.stdin(Stdio::from(OwnedFd::from(theirs.try_clone().unwrap())));
        command.stdout(Stdio::from(OwnedFd::from(theirs))).stderr(log);
        let process = Guarded::start(&mut command, "TERM", folder.path());
        // Its ends of the sockets are held by the command until it goes, and its end has to be noticed.
        drop(command);
        let browser = Self { socket: RefCell::new(BufReader::new(ours)), folder, _process: process };
        browser.answer("start");
        browser
    }

    #[track_caller]
    fn answer(&self, what: &str) -> Value {
        let mut line = String::new();
        let read = self.socket.borrow_mut().read_line(&mut line);
        let answer: Value = read.ok().and_then(|_| serde_json::from_str(&line).ok()).unwrap_or_else(|| {
            panic!("the browser does not answer ({what}): {}", self.log());
        });
        if let Some(error) = answer["error"].as_str() {
            panic!("{what}: {error}");
        }
        answer["value"].clone()
    }

    /// Does this, with these arguments (see `tests/web/browser.mjs`).
    #[track_caller]
    pub fn act(&self, name: &str, mut arguments: Value) -> Value {
        arguments["do"] = name.into();
        let sent = writeln!(self.socket.borrow_mut().get_mut(), "{arguments}");
        assert!(sent.is_ok(), "the browser is gone: {}", self.log());
        self.answer(&arguments.to_string())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("browser.log")).unwrap_or_default()
    }

    /// Goes to an address; gives the status of the page.
    #[track_caller]
    pub fn goto(&self, url: &str) -> u64 {
        self.act("goto", json!({ "url": url })).as_u64().unwrap()
    }

    /// Where it is.
    #[track_caller]
    pub fn url(&self) -> String {
        self.act("url", json!({})).as_str().unwrap().to_owned()
    }

    /// Types into a field.
    #[track_caller]
    pub fn fill(&self, at: &str, text: &str) {
        self.act("fill", json!({"at": at, "text": text}));
    }

    /// Clicks.
    #[track_caller]
    pub fn click(&self, at: &str) {
        self.act("click", json!({ "at": at }));
    }

    /// Text that is shown there.
    #[track_caller]
    pub fn text(&self, at: &str) -> String {
        self.act("text", json!({ "at": at })).as_str().unwrap().to_owned()
    }

    /// How many there are.
    #[track_caller]
    pub fn count(&self, at: &str) -> u64 {
        self.act("count", json!({ "at": at })).as_u64().unwrap()
    }

    /// Waits until it is shown.
    #[track_caller]
    pub fn wait(&self, at: &str) {
        self.act("wait", json!({ "at": at }));
    }

    /// Waits until the address fits this regular expression; gives the address.
    #[track_caller]
    pub fn wait_url(&self, pattern: &str) -> String {
        self.act("wait_url", json!({ "pattern": pattern })).as_str().unwrap().to_owned()
    }

    /// What pages complained about since the last question.
    #[track_caller]
    pub fn said(&self) -> Vec<String> {
        let all = self.act("said", json!({}));
        all.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    }

    /// Signs in at the OpenID provider's own pages, which have to be shown, and agrees to what is asked.
    #[track_caller]
    pub fn sign_in_at_provider(&self, name: &str) {
        self.wait("input[name=login]");
        self.fill("input[name=login]", name);
        self.fill("input[name=password]", "every password is right");
        self.click("button[type=submit]");
        // The page of consent has no field for a name.
        self.wait("form:not(:has(input[name=login])) button[type=submit]");
        self.click("form:not(:has(input[name=login])) button[type=submit]");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when nobody commands it any more, and takes Chromium with it.
        let _gone_already = self.socket.borrow().get_ref().shutdown(Shutdown::Both);
    }
}
