//! An agent with a database tool, as a client: LangChain's SQL toolkit and a scripted stand-in for its model on loopback.
//!
//! Both are real processes that speak real protocols; the stand-in's steps follow from what the tools answer (see
//! `model.py`). Python packages are pinned and live in a virtual environment under Cargo's target folder, installed once.
//! It deliberately judges nothing: what must have happened is asserted by the test.

#![allow(clippy::unwrap_used, reason = "a test harness fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tests::{
    endpoint::Endpoint,
    folder::Folder,
    process::{Finished, Guarded, PATIENCE, run},
    programs::target,
};

/// What became of a task.
#[derive(Debug)]
pub struct Conversation {
    /// The agent's process.
    pub agent: Finished,
    /// Every request to the model and its answer, as they were sent.
    pub transcript: Vec<serde_json::Value>,
}

/// One call of a tool by the model, and what the tool answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// Name of the tool.
    pub tool: String,
    /// The arguments as text.
    pub arguments: String,
    /// The answer.
    pub answer: String,
}

/// A running stand-in for the model.
#[derive(Debug)]
pub struct Model {
    port: u16,
    folder: Folder,
    _process: Guarded,
}

impl Model {
    /// Starts it on a port of its choice.
    pub fn start() -> Self {
        let folder = Folder::new("agent");
        let mut command = Command::new(environment().join("bin/python"));
        command.arg(source("model.py")).arg(folder.path().join("transcript.jsonl")).stdin(Stdio::null());
        let (reader, writer) = std::io::pipe().unwrap();
        let process = Guarded::start(command.stdout(writer), "TERM", folder.path());
        // The command holds an end of the pipe too; without it a stand-in that dies is seen as the end of the file.
        drop(command);
        let mut port = String::new();
        BufReader::new(reader).read_line(&mut port).unwrap();
        Self { port: port.trim().parse().unwrap(), folder, _process: process }
    }

    /// Sends one request and returns the message of the answer.
    pub fn ask(&self, request: &serde_json::Value) -> serde_json::Value {
        let body = request.to_string();
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            socket,
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<serde_json::Value>(body).unwrap()["choices"][0]["message"].take()
    }

    fn transcript(&self) -> Vec<serde_json::Value> {
        let lines = fs::read_to_string(self.folder.path().join("transcript.jsonl")).unwrap_or_default();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Gives an agent this task and this database, and waits for the end.
pub fn converse(endpoint: &Endpoint, task: &str) -> Conversation {
    let model = Model::start();
    let mut agent = Command::new(environment().join("bin/python"));
    agent
        .args(["-W", "ignore"])
        .arg(source("agent.py"))
        .args([&model.port.to_string(), task])
        .envs(endpoint.variables())
        .env("LC_ALL", "C.UTF-8")
        .env("PYTHONHASHSEED", "0");
    let agent = run(&mut agent, b"", PATIENCE * 10);
    Conversation { agent, transcript: model.transcript() }
}

impl Conversation {
    /// Everything that reached the model or came from it, and what the agent printed.
    pub fn bytes(&self) -> Vec<u8> {
        let said: Vec<String> = self.transcript.iter().map(ToString::to_string).collect();
        (said.join("\n") + &self.agent.both()).into_bytes()
    }

    /// The calls, in order, from the longest request.
    pub fn calls(&self) -> Vec<Call> {
        let messages = |value: &serde_json::Value| value["request"]["messages"].as_array().cloned().unwrap_or_default();
        let all = self.transcript.iter().map(messages).max_by_key(Vec::len).unwrap_or_default();
        let answers = all.iter().filter(|message| message["role"] == "tool");
        let asked = all.iter().flat_map(|message| message["tool_calls"].as_array().cloned().unwrap_or_default());
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        asked
            .zip(answers)
            .map(|(call, answer)| {
                assert_eq!(call["id"], answer["tool_call_id"], "answers come in the order of the calls");
                let function = &call["function"];
                Call {
                    tool: text(&function["name"]),
                    arguments: text(&function["arguments"]),
                    answer: text(&answer["content"]),
                }
            })
            .collect()
    }

    /// The agent's last word.
    pub fn answer(&self) -> String {
        let text = self.agent.text();
        text.split_once("answer: ").map(|(_, answer)| answer.trim().to_owned()).unwrap_or_default()
    }
}

/// A file of this crate.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The virtual environment, made when it is missing or its list of packages has changed.
fn environment() -> PathBuf {
    let folder = target().join("test-agent");
    let mut script = Command::new("sh");
    script.arg(source("install.sh")).arg(&folder);
    run(&mut script, b"", Duration::from_secs(600)).success();
    folder.join("venv")
}
