//! A console that serves, on plain HTTP of loopback, with people signed in; and a client that sends what it is told to.

use crate::made_up::MadeUp;
use access::{
    Arrival, AtRest, Embedded, Engine, HoldOutcome, Holding, Journal, Policy, Requestable, Said, SignIn, Who,
};
use audit::Body;
use console::notify::{self, Inbound, Outbound};
use console::signin::{Desk, Gate, Settings as Desks};
use console::{Running, Settings, State};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(crate) struct Records(pub(crate) Mutex<Vec<Body>>);

impl Journal for Records {
    fn append(&self, body: Body) -> bool {
        self.0.lock().unwrap().push(body);
        true
    }
}

/// Somebody signed in.
pub(crate) struct Somebody {
    pub(crate) who: Who,
    pub(crate) token: String,
    pub(crate) sign_in: SignIn,
}

pub(crate) struct Served {
    pub(crate) engine: Arc<Engine>,
    pub(crate) world: Arc<MadeUp>,
    pub(crate) records: Arc<Records>,
    pub(crate) origin: String,
    address: SocketAddr,
    _running: Running,
    _folder: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

fn policy() -> Policy {
    let rule = |role: &str, approvals| Requestable {
        role: role.into(),
        targets: vec!["warehouse".into()],
        groups: vec!["*".into()],
        approvers: vec!["leads".into()],
        approvals,
        max_s: 4 * 3600,
        protected: false,
    };
    Policy {
        requestable: vec![rule("oncall", 1), rule("reader", 0)],
        break_glass: ["oncall", "ward"]
            .map(|role| Requestable { groups: vec!["enrolled".into()], approvers: Vec::new(), ..rule(role, 0) })
            .into(),
        admins: vec!["admins".into()],
        auditors: vec!["auditors".into()],
        pending_max: 50,
        ..Policy::default()
    }
}

impl Served {
    pub(crate) fn start() -> Self {
        Self::with(|_| Inbound::default(), |_| None)
    }

    /// With programs that vote, and something that is told.
    pub(crate) fn with(
        inbound: impl FnOnce(&str) -> Inbound,
        outbound: impl FnOnce(Outbound) -> Option<Outbound>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(&folder.path().join("access.redb")).unwrap());
        let records = Arc::new(Records::default());
        let (notices, queue) = notify::queue();
        let told = Box::new(move |news: &access::News| notices.tell(news));
        let at_rest = AtRest::new(&[7; 32]).unwrap();
        let engine = Engine::new(store, Arc::clone(&records) as _, at_rest, "gate-1".into(), policy(), told).unwrap();
        let engine = Arc::new(engine);
        let world = Arc::new(MadeUp::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let origin = format!("http://localhost:{}", address.port());
        let gate = Gate {
            host: "tidegate.example".into(),
            port: 6432,
            targets: vec!["warehouse".into(), "crm".into()],
            tls: true,
        };
        let providers = identity::Providers::new(Vec::new(), identity::Pace::default()).unwrap();
        let url = url::Url::parse(&origin).unwrap();
        let authority = Arc::new(console::Authority::open(&engine).unwrap());
        let desk = Desk::new(
            Arc::clone(&engine),
            providers,
            Desks { url, gate, others: Vec::new(), saml: None, authority: Some(authority) },
        );
        let state = State::new(Arc::clone(&world) as _, desk, inbound(&origin)).unwrap();
        let running = console::start(Settings { listener, tls: None, notices: outbound(queue) }, state).unwrap();
        Self { engine, world, records, origin, address, _running: running, _folder: folder }
    }

    pub(crate) fn sign_in(&self, subject: &str, groups: &[&str]) -> Somebody {
        let who = Who { issuer: "https://id.example".into(), subject: subject.into() };
        let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        let arrival = Arrival {
            who: &who,
            name: subject,
            handles: &[subject.to_owned()],
            groups: &groups,
            how: "oidc",
            source: "127.0.0.1",
            until_s: None,
            issued_s: None,
        };
        let (sign_in, _, token) = self.engine.sign_in(&arrival).unwrap();
        Somebody { who, token, sign_in }
    }

    /// A statement that waits for a vote of `leads`.
    pub(crate) fn hold(&self, of: &Somebody, text: &str, number: u8) -> String {
        self.hold_for(of, text, number, 1)
    }

    /// For so many votes.
    pub(crate) fn hold_for(&self, of: &Somebody, text: &str, number: u8, needed: u16) -> String {
        let holding = Holding {
            id: access::request_id().unwrap(),
            session: [number; 16],
            statement: 7,
            who: of.who.clone(),
            handle: of.who.subject.clone(),
            role: "support".into(),
            target: "warehouse".into(),
            rule: "deletes".into(),
            digest: [number; 32],
            said: Said { text: text.into(), parameters: vec!["'parameter 4711'".into()] },
            tables: vec!["public.patients".into()],
            classes: vec![("diagnosis".into(), "masked: hash".into())],
            marks: vec![(0, 6)],
            estimate: Some(120),
            approvers: vec!["leads".into()],
            needed,
            distinct: false,
            reason: "CASE-4711: clean up".into(),
            source: "10.1.2.3".into(),
        };
        match self.engine.hold(&holding).unwrap() {
            HoldOutcome::Waiting { id, .. } => id,
            HoldOutcome::Granted { .. } => panic!("granted"),
        }
    }

    /// Sends a request as it is written; `lines` are headers beside `Host` and `Connection`.
    pub(crate) fn send(&self, method: &str, path: &str, lines: &[(&str, &str)], body: &str) -> Got {
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !lines.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str(&format!("Host: localhost:{}\r\n", self.address.port()));
        }
        for (name, value) in lines {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.write_all(text.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) =
            text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {method} {path}: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Got { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn page(&self, of: &Somebody, path: &str) -> Got {
        self.send("GET", path, &[("Cookie", &format!("tidegate={}", of.token))], "")
    }

    /// A form of a page of theirs.
    pub(crate) fn post(&self, of: &Somebody, path: &str, fields: &[(&str, &str)]) -> Got {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", &of.sign_in.csrf).extend_pairs(fields);
        let cookie = format!("tidegate={}", of.token);
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        self.send("POST", path, &[("Cookie", &cookie), ("Origin", &self.origin), kind], &form.finish())
    }

    /// A call with their token.
    pub(crate) fn call(
        &self,
        of: Option<&Somebody>,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Got {
        let bearer = of.map(|of| format!("Bearer {}", of.token));
        let mut lines: Vec<(&str, &str)> = Vec::new();
        if let Some(bearer) = &bearer {
            lines.push(("Authorization", bearer));
        }
        if body.is_some() {
            lines.push(("Content-Type", "application/json"));
        }
        self.send(method, path, &lines, &body.map(ToString::to_string).unwrap_or_default())
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        let name = |body: &Body| match body {
            Body::Access(access) => access.kind.clone(),
            Body::Approval(approval) => format!("approval {}", approval.kind),
            other => other.name().to_owned(),
        };
        self.records.0.lock().unwrap().iter().map(name).collect()
    }
}
