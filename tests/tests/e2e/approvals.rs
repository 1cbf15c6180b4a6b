//! Statements that wait for other people: real clients on one side, votes by the API on the other, and what the server has
//! seen and the log says of it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use tests::{
    clients,
    endpoint::Endpoint,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::{Postgres, free_port},
    wire::{Frame, Wire, bind, cancel_request, error, execute, parse, parse_typed, query, sync, tags},
};

const RULES: &str = "\
version: 1
targets:
  plain: {protocol: postgres, address: '127.0.0.1:5432', tls: disable, database: plain, account: app, audit: strict}
roles:
  everyone: {groups: [everyone], targets: [plain], default: clear, redact: clear, trusted-functions: ['*.*']}
  second: {groups: [analysts], targets: [plain], default: clear, redact: clear}
hold:
  - {name: deletes, effects: delete, objects: held_rows, approvers: dba, message: Deleting needs a second person}
  - {name: counted, effects: insert, objects: held_runs, approvers: [dba, privacy], approvals: 2, distinct-groups: true}
  - {name: once, effects: insert, objects: held_once, approvers: dba}
  - {name: large, effects: update, objects: held_large, rows-over: 500, approvers: dba}
";

/// Tables of one test, so that tests do not see each other's rows.
fn tables(server: &Postgres) {
    server.sql(
        "plain",
        "create table held_rows (id int primary key); insert into held_rows select generate_series(1, 100);
         create table held_runs (at timestamptz default clock_timestamp());
         create table held_once (n int);
         create table held_large (id int, a int);
         insert into held_large select g, g from generate_series(1, 5000) g; analyze held_large;
         create schema other; create table other.held_rows (id int);
         alter table held_rows owner to app; alter table held_runs owner to app; alter table held_large owner to app;
         alter table held_once owner to app; alter schema other owner to app; alter table other.held_rows owner to app;",
    );
}

/// A gateway with people who vote.
pub(crate) struct Court {
    pub(crate) server: Postgres,
    pub(crate) gateway: Gateway,
    console: u16,
    key: KeyPair,
    tokens: Mutex<HashMap<&'static str, String>>,
}

impl Court {
    pub(crate) fn open(change: impl FnOnce(Setup) -> Setup) -> Self {
        let server = Postgres::start("max_connections = 1200\nshared_buffers = 128MB");
        tables(&server);
        let console = free_port();
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let x = BASE64.encode(key.der_bytes());
        let keys =
            json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA", "use": "sig", "x": x}]});
        let people = [("dora", "dba"), ("dirk", "dba"), ("petra", "privacy"), ("nora", "nobody")];
        let rules: Vec<String> = people
            .iter()
            .map(|(name, group)| format!("        - {{ when: {{ sub: {name} }}, groups: [{group}], name: {name} }}\n"))
            .collect();
        let bundle = Bundle::compile(&[RULES], "plain", &server);
        let setup = Setup::new(&bundle, &server)
            .cores(2)
            .limit("hold_notice", "1s")
            .file("keys.json", &keys.to_string())
            .line("access:\n  store: { directory: access }\n  key_file: access.key\n  admins: [sre]\n  step_up: false\n  pending_max: 50\n  cool_down: 0s")
            .line(&format!("console:\n  listen: \"127.0.0.1:{console}\"\n  url: http://127.0.0.1:{console}\n  plain: true"))
            .line(&format!(
                "identity:\n  issuers:\n    court:\n      url: https://court.example\n      kind: workload\n      \
                 keys_file: keys.json\n      audiences: [\"urn:tidegate\"]\n      algorithms: [EdDSA]\n      \
                 rules:\n{}",
                rules.concat().trim_end()
            ));
        let gateway = change(setup).start();
        Self { server, gateway, console, key, tokens: Mutex::default() }
    }

    fn http(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let mut socket = TcpStream::connect(("127.0.0.1", self.console)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let bearer = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        // In one piece: what is refused by its head is answered and closed before the rest has come.
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n{bearer}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.console,
            body.len()
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Signs somebody in, once.
    fn token(&self, name: &'static str) -> String {
        if let Some(token) = self.tokens.lock().unwrap().get(name) {
            return token.clone();
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let part = |value: Value| BASE64.encode(value.to_string());
        let head = part(json!({"alg": "EdDSA", "kid": "k", "typ": "JWT"}));
        let claims = json!({"iss": "https://court.example", "aud": "urn:tidegate", "sub": name, "iat": now, "exp": now + 300, "jti": format!("{name}{}", SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos())});
        let signed = format!("{head}.{}", part(claims));
        let signature = BASE64.encode(self.key.sign(signed.as_bytes()).unwrap());
        let (status, said) = self.http("POST", "/login/token", "", &json!({"token": format!("{signed}.{signature}")}));
        assert_eq!(status, 200, "{said}\n{}", self.gateway.log());
        let token =
            ["token", "access_token"].iter().find_map(|name| said[*name].as_str()).unwrap_or_else(|| panic!("{said}"));
        self.tokens.lock().unwrap().insert(name, token.to_owned());
        token.to_owned()
    }

    fn requests(&self, name: &'static str) -> Vec<Value> {
        let (status, said) = self.http("GET", "/requests", &self.token(name), &Value::Null);
        assert_eq!(status, 200, "{said}");
        said["requests"].as_array().unwrap().clone()
    }

    fn request(&self, name: &'static str, id: &str) -> Value {
        let (status, said) = self.http("GET", &format!("/requests/{id}"), &self.token(name), &Value::Null);
        assert_eq!(status, 200, "{said}");
        said
    }

    /// The request that waits; there must be one, soon.
    pub(crate) fn pending(&self, name: &'static str) -> Value {
        self.all_pending(name, 1).remove(0)
    }

    /// The requests that wait; there must be so many, soon.
    fn all_pending(&self, name: &'static str, count: usize) -> Vec<Value> {
        let mut found = Vec::new();
        wait_until("requests wait", PATIENCE, || {
            found = self.requests(name).into_iter().filter(|request| request["state"] == "pending").collect();
            found.len() >= count
        });
        assert_eq!(found.len(), count, "{found:?}");
        found.iter().map(|request| self.request(name, request["id"].as_str().unwrap())).collect()
    }

    /// Waits until the server does nothing any more for a gateway that is gone.
    fn wait_server_done(&self) {
        wait_until("the server is done", PATIENCE, || {
            let left = "select count(*) from pg_stat_activity where usename = 'app'";
            self.server.sql("postgres", left).trim() == "0"
        });
    }

    fn vote(&self, name: &'static str, request: &Value, vote: &str) -> (u16, Value) {
        let id = request["id"].as_str().unwrap();
        let body = json!({"vote": vote, "reason": "looked at it with care", "digest": request["wanted"]["digest"]});
        self.http("POST", &format!("/requests/{id}/votes"), &self.token(name), &body)
    }

    #[track_caller]
    pub(crate) fn approve(&self, name: &'static str, request: &Value) {
        let (status, said) = self.vote(name, request, "approve");
        assert_eq!(status, 200, "{said}");
    }

    fn state(&self, name: &'static str, id: &str) -> String {
        self.request(name, id)["state"].as_str().unwrap().to_owned()
    }

    pub(crate) fn user(&self) -> Endpoint {
        self.gateway.endpoint("app")
    }

    fn count(&self, sql: &str) -> usize {
        self.server.sql("plain", sql).trim().parse().unwrap()
    }

    fn rows(&self) -> usize {
        self.count("select count(*) from held_rows")
    }
}

/// Reads until a frame of this tag; gives what came before it too.
fn until(wire: &mut Wire, tag: u8) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        let frame = wire.read().expect("the connection is open");
        let found = frame.tag == tag;
        frames.push(frame);
        if found {
            return frames;
        }
    }
}

/// Sends a statement, and has its notice.
pub(crate) fn waits(court: &Court, sql: &str) -> Wire {
    let mut wire = Wire::login(&court.user());
    wire.send(&query(sql));
    until(&mut wire, b'N');
    wire
}

pub(crate) fn outcome(wire: &mut Wire) -> Result<String, (String, String, String)> {
    let frames = until(wire, b'Z');
    match error(&frames) {
        Some(frame) => Err((
            frame.field(b'C').unwrap_or_default(),
            frame.field(b'M').unwrap_or_default(),
            frame.field(b'H').unwrap_or_default(),
        )),
        None => Ok(tags(&frames).replace('N', "")),
    }
}

#[test]
fn clients_wait_through_notices_and_it_runs_once() {
    let keys = tests::folder::Folder::new("keys");
    let key_file = keys.path().join("log.key");
    let public = crate::notary::new_key("--log", "example.com/audit/approvals", &key_file);
    let court = Court::open(|setup| setup.audit(&format!("checkpoint: {{ key_file: {} }}", key_file.display())));
    // psql; psycopg with a parameter, alone and in a pipeline; JDBC with a socket timeout shorter than the wait.
    type Run<'a> = (&'a str, Box<dyn Fn() -> tests::process::Finished + Send + Sync + 'a>);
    let endpoint = court.user();
    let script = "DELETE FROM held_rows WHERE id = 1; SELECT 'after';\n";
    let runs: [Run<'_>; 4] = [
        ("psql", Box::new(|| clients::psql(&endpoint, &["-v", "ON_ERROR_STOP=1"], script))),
        ("psycopg", Box::new(|| clients::python(&endpoint, "held.py", &["run", "2"]))),
        ("psycopg pipeline", Box::new(|| clients::python(&endpoint, "held.py", &["pipeline", "3"]))),
        ("JDBC", Box::new(|| clients::java(&endpoint, "Held.java", &["4"]))),
    ];
    let began = Instant::now();
    let (done, requests) = std::thread::scope(|scope| {
        let running: Vec<_> = runs.iter().map(|(_, run)| scope.spawn(run)).collect();
        let requests = court.all_pending("dora", runs.len());
        std::thread::sleep(Duration::from_secs(9));
        assert_eq!(court.rows(), 100, "nothing happens before");
        requests.iter().for_each(|request| court.approve("dora", request));
        let done: Vec<_> = running.into_iter().map(|client| client.join().unwrap().success()).collect();
        (done, requests)
    });
    // One each second, as long as it took; a gateway that stands still for a while sends fewer.
    let most = 2 + began.elapsed().as_secs() as usize;
    for ((what, _), done) in runs.iter().zip(&done).skip(1) {
        assert!(done.text().contains("deleted 1"), "{what}: {}", done.both());
        let notices: usize =
            done.text().split("notices ").nth(1).and_then(|n| n.split_whitespace().next()?.parse().ok()).unwrap();
        assert!((3..=most).contains(&notices), "{what}: {most} {}", done.both());
    }
    assert_eq!(court.rows(), 96);
    let (psql, request) =
        (&done[0], requests.iter().find(|request| request["wanted"]["parameters"] == json!([])).unwrap());
    assert_eq!(request["wanted"]["text"], "DELETE FROM held_rows WHERE id = 1;");
    for request in &requests {
        assert_eq!(request["wanted"]["tables"], json!(["public.held_rows"]));
        let parameters = request["wanted"]["parameters"].as_array().unwrap();
        assert!(parameters.len() == 1 || request["wanted"]["text"].as_str().unwrap().ends_with("= 1;"), "{request}");
        assert_eq!(court.state("dora", request["id"].as_str().unwrap()), "consumed");
    }
    // The notice names the request and where to vote.
    let id = request["id"].as_str().unwrap();
    assert!(psql.text().contains("DELETE 1") && psql.text().contains("after"), "{}", psql.both());
    assert!((3..=most).contains(&psql.errors().matches("NOTICE").count()), "{most} {}", psql.both());
    let link = format!("http://127.0.0.1:{}/approvals/{id}", court.console);
    assert!(
        psql.errors().contains("Deleting needs a second person") && psql.errors().contains(&link),
        "{}",
        psql.errors()
    );
    // Cancelled by its client: nothing goes upstream, and the session goes on.
    let before = court.rows();
    let done = clients::python(&court.user(), "held.py", &["cancel", "5"]).success();
    assert!(done.text().contains("cancelled 57014") && done.text().contains("after 42"), "{}", done.both());
    assert_eq!(court.rows(), before);
    wait_until("the request is withdrawn", PATIENCE, || {
        court.requests("dora").iter().all(|request| request["state"] != "pending")
    });

    // Each approved run has its records; that it was approved and used is proved by a file and the log's key; and the
    // verifier finds nothing wrong with the log.
    let proved = |what: &str| {
        let file = keys.path().join("proof");
        let file = file.to_str().unwrap();
        wait_until("the record is in a checkpoint", PATIENCE, || {
            court.gateway.tidegate(&["audit", "prove", "audit", what, "--output", file]).code == 0
        });
        let said = court.gateway.tidegate(&["audit", "check", file, "--key", &public, "--json"]).success().text();
        serde_json::from_str::<Value>(&said).unwrap()
    };
    for step in ["request", "vote", "grant", "consume"] {
        let said = proved(&format!("{id}/{step}"));
        assert_eq!((&said["proved"], &said["fields"]["kind"]), (&json!(true), &json!(step)), "{said}");
        assert_eq!(said["fields"]["approved"], request["wanted"]["digest"], "{said}");
    }
    court.gateway.signal("TERM");
    court.gateway.wait_end(PATIENCE).expect("it ends");
    let verified = court.gateway.tidegate(&["audit", "verify", "audit"]);
    assert_eq!(verified.code, 0, "{}", verified.both());
}

#[test]
fn what_changes_between_approval_and_run_does_not_run() {
    let court = Court::open(|setup| setup.limit("hold_max", "2s"));
    let text = "DELETE FROM held_rows WHERE id = 7";
    // It fails after a while with a hint; meanwhile somebody approves.
    let mut wire = waits(&court, text);
    let (state, message, hint) = outcome(&mut wire).unwrap_err();
    assert_eq!(state, "42501", "{message}");
    let request = court.pending("dora");
    let id = request["id"].as_str().unwrap().to_owned();
    assert!(message.contains(&id) && hint.contains("run the identical statement again before"), "{message} {hint}");
    court.approve("dora", &request);
    assert_eq!(court.state("dora", &id), "approved");

    // One byte, a setting of the session, a transaction, the way it is sent: not what was approved.
    let attempts: [(&str, &[&str], Vec<u8>); 9] = [
        ("one byte", &[], query("DELETE FROM held_rows WHERE id = 8")),
        ("one blank", &[], query("DELETE FROM held_rows WHERE id = 7 ")),
        ("search_path", &["SET search_path = other, public"], query(text)),
        ("search_path in a transaction", &["BEGIN; SET LOCAL search_path = other; COMMIT"], query(text)),
        ("date style", &["SET DateStyle = 'SQL, DMY'"], query(text)),
        ("a time zone that was taken back", &["BEGIN; SET TimeZone = 'Asia/Tokyo'", "ROLLBACK"], query(text)),
        ("a setting of a function's", &["SELECT set_config('app.tenant', '7', false)"], query(text)),
        ("in a transaction", &["BEGIN"], query(text)),
        ("prepared", &[], [parse("", text), bind("", "", &[], 0), execute("", 0), sync()].concat()),
    ];
    for (what, before, bytes) in attempts {
        let mut other = Wire::login(&court.user());
        before.iter().for_each(|sql| drop(other.query(sql)));
        other.send(&bytes);
        let refused = outcome(&mut other).unwrap_err();
        assert_eq!(refused.0, "42501", "{what}: {refused:?}");
        assert!(!refused.1.contains(&id), "{what}: {refused:?}");
    }
    // Another person, and the same in another role.
    for user in ["ana", "priya", "agent"] {
        let endpoint = court.gateway.endpoint(user);
        if Wire::login_error(&endpoint).is_some() {
            continue;
        }
        let mut other = Wire::login(&endpoint);
        other.send(&query(text));
        assert!(outcome(&mut other).is_err(), "{user}");
    }
    assert_eq!(court.rows(), 100);
    assert_eq!(court.state("dora", &id), "approved");
    // The identical statement, from another connection: once.
    let mut again = Wire::login(&court.user());
    again.send(&query(text));
    assert_eq!(outcome(&mut again), Ok("CZ".to_owned()));
    assert_eq!(court.rows(), 99);
    assert_eq!(court.state("dora", &id), "consumed");
    again.send(&query(text));
    assert_eq!(outcome(&mut again).unwrap_err().0, "42501", "used");

    // One parameter, and one type.
    let delete = "DELETE FROM held_rows WHERE id = $1";
    let run = |value: &str, types: &[u32]| {
        let mut wire = Wire::login(&court.user());
        wire.send(&[parse_typed("", delete, types), bind("", "", &[Some(value)], 0), execute("", 0), sync()].concat());
        outcome(&mut wire)
    };
    assert!(run("20", &[23]).is_err());
    let of_parameter = court.requests("dora").into_iter().find(|r| {
        r["state"] == "pending"
            && court.request("dora", r["id"].as_str().unwrap())["wanted"]["parameters"] == json!(["20"])
    });
    let request = court.request("dora", of_parameter.unwrap()["id"].as_str().unwrap());
    court.approve("dora", &request);
    assert!(run("21", &[23]).is_err());
    assert!(run("20", &[20]).is_err());
    // Prepared when literals were read in another way.
    let mut other = Wire::login(&court.user());
    other.query("SET DateStyle = 'SQL, DMY'");
    other.send(&[parse_typed("s", delete, &[23]), sync()].concat());
    other.until_ready(1);
    other.query("RESET DateStyle");
    other.send(&[bind("", "s", &[Some("20")], 0), execute("", 0), sync()].concat());
    assert_eq!(outcome(&mut other).unwrap_err().0, "42501");
    // A rule of the server's would set it, silently.
    other.send(&query("UPDATE pg_settings SET setting = 'SQL, DMY' WHERE name = 'DateStyle'"));
    assert_eq!(outcome(&mut other).unwrap_err().0, "42501");
    assert_eq!(court.rows(), 99);
    assert_eq!(run("20", &[23]), Ok("12CZ".to_owned()));
    assert_eq!(court.rows(), 98);
}

#[test]
fn who_may_not_vote_does_not_and_one_no_is_final() {
    let court = Court::open(|setup| setup);
    let mut wire = waits(&court, "INSERT INTO held_runs DEFAULT VALUES");
    let request = court.pending("dora");
    // Not in a group that votes: not even seen. Two of one group are not two groups.
    assert_eq!(court.vote("nora", &request, "approve").0, 404);
    let mut changed = request.clone();
    changed["wanted"]["digest"] = json!("00".repeat(32));
    assert!(court.vote("dora", &changed, "approve").0 >= 400, "of another digest");
    court.approve("dora", &request);
    assert!(court.vote("dora", &request, "approve").0 >= 400, "twice");
    court.approve("dirk", &request);
    assert_eq!(court.count("select count(*) from held_runs"), 0);
    court.approve("petra", &request);
    assert_eq!(outcome(&mut wire), Ok("CZ".to_owned()));
    assert_eq!(court.count("select count(*) from held_runs"), 1);

    let mut wire = waits(&court, "DELETE FROM held_rows");
    let request = court.pending("dora");
    let (status, said) = court.vote("dirk", &request, "deny");
    assert_eq!(status, 200, "{said}");
    let (state, message, _) = outcome(&mut wire).unwrap_err();
    assert!(state == "42501" && message.contains("refused"), "{state} {message}");
    assert!(court.vote("dora", &request, "approve").0 >= 400);
    assert_eq!(court.rows(), 100);

    // What waits for somebody who is gone is taken back.
    let wire = waits(&court, "DELETE FROM held_rows WHERE id > 50");
    let request = court.pending("dora");
    drop(wire);
    let id = request["id"].as_str().unwrap();
    wait_until("the request is withdrawn", PATIENCE, || court.state("dora", id) == "withdrawn");
    assert!(court.vote("dora", &request, "approve").0 >= 400);
    assert_eq!(court.rows(), 100);

    // A cancel request from outside.
    let mut wire = waits(&court, "DELETE FROM held_rows WHERE id > 60");
    let key = wire.key.clone();
    Wire::open(court.gateway.port()).send(&cancel_request(&key));
    assert_eq!(outcome(&mut wire).unwrap_err().0, "57014");
    assert_eq!(court.rows(), 100);
}

#[test]
fn few_rows_need_nobody_and_many_do() {
    let court = Court::open(|setup| setup.limit("hold_max", "1s"));
    let mut wire = Wire::login(&court.user());
    // A planner that does not answer soon has no estimate, and the statement waits for people: a server that stands still
    // for a moment does so once or twice.
    let passes = |wire: &mut Wire, bytes: &[u8], shape: &str| {
        let passed = (0..5).any(|_| {
            wire.send(bytes);
            let outcome = outcome(wire);
            assert!(outcome.as_ref().err().is_none_or(|refused| refused.0 == "42501"), "{outcome:?}");
            outcome.is_ok_and(|tags| tags == shape)
        });
        assert!(passed, "{}", court.gateway.log());
    };
    passes(&mut wire, &query("UPDATE held_large SET a = 1 WHERE id = 5"), "CZ");
    let estimated = (100..105).any(|from| {
        let text = format!("UPDATE held_large SET a = 1 WHERE id > {from}");
        wire.send(&query(&text));
        assert!(tags(&until(&mut wire, b'N')).contains('N'));
        let requests = court.requests("dora");
        let wanted = |request: &Value| court.request("dora", request["id"].as_str().unwrap())["wanted"].clone();
        let request = requests.iter().map(wanted).find(|wanted| wanted["text"] == *text).unwrap();
        assert_eq!(outcome(&mut wire).unwrap_err().0, "42501");
        request["estimate"].as_u64().is_some_and(|estimate| {
            assert!((4000..=5100).contains(&estimate), "{request}");
            true
        })
    });
    assert!(estimated, "{}", court.gateway.log());
    // By parameter, with the plan of its value.
    let update = "UPDATE held_large SET a = 2 WHERE id < $1";
    let run = |value: &str| [parse("", update), bind("", "", &[Some(value)], 0), execute("", 0), sync()].concat();
    passes(&mut wire, &run("10"), "12CZ");
    wire.send(&run("4000"));
    assert_eq!(outcome(&mut wire).unwrap_err().0, "42501");
    // With another search path nobody knows what it is about; and a planner that cannot say has no estimate.
    wire.query("SET search_path = other, public");
    wire.send(&query("UPDATE held_large SET a = 1 WHERE id = 6"));
    assert_eq!(outcome(&mut wire).unwrap_err().0, "42501");
    // Estimating has changed nothing.
    assert_eq!(court.count("select count(*) from held_large where a = 1"), 0);
    assert_eq!(court.count("select count(*) from held_large where a = 2"), 9);
}

#[test]
fn a_thousand_replays_of_one_approval_run_once() {
    let court = Court::open(|setup| setup.limit("sessions_per_user", "2000").limit("hold_max", "1h"));
    const REPLAYS: usize = 1000;
    let text = "INSERT INTO held_once VALUES (1)";
    let ready = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut wires: Vec<Wire> = (0..REPLAYS / 20).map(|_| Wire::login(&court.user())).collect();
                for wire in &mut wires {
                    wire.patience(4 * PATIENCE);
                    wire.send(&query(text));
                    until(wire, b'N');
                    ready.fetch_add(1, Ordering::Relaxed);
                }
                for wire in &mut wires {
                    let outcome = outcome(wire);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
        wait_until("all of them wait", 4 * PATIENCE, || ready.load(Ordering::Relaxed) == REPLAYS);
        let request = court.pending("dora");
        assert_eq!(court.count("select count(*) from held_once"), 0);
        court.approve("dora", &request);
    });
    let outcomes = outcomes.into_inner().unwrap();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().filter_map(|o| o.as_ref().err()).all(|e| e.0 == "42501"), "{outcomes:?}");
    assert_eq!(court.count("select count(*) from held_once"), 1);
    let consumed = court.gateway.records().iter().filter(|r| r.to_string().contains("\"consume\"")).count();
    assert_eq!(consumed, 1);
}

#[test]
fn a_crash_at_any_step_never_runs_it_twice() {
    let court = Court::open(|setup| setup);
    let runs = || court.count("select count(*) from held_once");
    for (round, delay) in [0_u64, 1, 3, 6, 10, 20, 40, 80].into_iter().enumerate() {
        let text = format!("INSERT INTO held_once VALUES ({round})");
        let mut wire = waits(&court, &text);
        let request = court.pending("dora");
        let id = request["id"].as_str().unwrap().to_owned();
        let before = runs();
        court.approve("dora", &request);
        std::thread::sleep(Duration::from_millis(delay));
        court.gateway.kill();
        drop(wire.to_end());
        court.wait_server_done();
        let ran = runs() - before;
        assert!(ran <= 1);
        court.tokens.lock().unwrap().clear();
        court.gateway.restart();
        // What was spent is spent; what was not is there for the identical statement, once.
        let state = court.state("dora", &id);
        if ran == 1 {
            assert_eq!(state, "consumed", "round {round}");
        }
        let mut again = Wire::login(&court.user());
        again.send(&query(&text));
        let frames = again.read().unwrap();
        match state.as_str() {
            "approved" => assert_eq!(frames.tag, b'C', "round {round}: {frames:?}"),
            _ => assert_eq!(frames.tag, b'N', "round {round}, {state}: {frames:?}"),
        }
        drop(again);
        assert!(runs() - before <= 1, "round {round}");
        wait_until("nothing waits", PATIENCE, || court.requests("dora").iter().all(|r| r["state"] != "pending"));
    }
    court.gateway.signal("TERM");
    court.gateway.wait_end(PATIENCE).expect("it ends");
    let verified = court.gateway.tidegate(&["audit", "verify", "audit"]);
    assert_eq!(verified.code, 0, "{}", verified.both());
}

#[test]
fn a_drained_gateway_leaves_the_request_and_new_rules_ask_anew() {
    let court = Court::open(|setup| setup);
    let text = "DELETE FROM held_rows WHERE id = 9";
    // New rules while it waits: another request.
    let mut wire = waits(&court, text);
    let first = court.pending("dora");
    let stricter = RULES.replace("approvers: dba, message", "approvers: [dba, privacy], message");
    court.gateway.folder.write("policy.tgb", &Bundle::compile(&[&stricter], "plain", &court.server).bytes);
    court.gateway.signal("HUP");
    let id = first["id"].as_str().unwrap();
    wait_until("the first request is withdrawn", PATIENCE, || court.state("dora", id) == "withdrawn");
    let second = court.pending("petra");
    assert_ne!(second["wanted"]["digest"], first["wanted"]["digest"]);
    court.approve("petra", &second);
    assert_eq!(outcome(&mut wire), Ok("CZ".to_owned()));
    assert_eq!(court.rows(), 99);

    // Drained: it fails with a hint, and is there after the restart.
    let text = "DELETE FROM held_rows WHERE id = 10";
    let mut wire = waits(&court, text);
    let request = court.pending("dora");
    court.gateway.signal("TERM");
    let (state, _, hint) = outcome(&mut wire).unwrap_err();
    assert!(state == "42501" && hint.contains("identical"), "{state} {hint}");
    court.gateway.wait_end(PATIENCE).expect("it ends");
    court.tokens.lock().unwrap().clear();
    court.gateway.restart();
    court.approve("dora", &request);
    let mut wire = Wire::login(&court.user());
    wire.send(&query(text));
    assert_eq!(outcome(&mut wire), Ok("CZ".to_owned()));
    assert_eq!(court.rows(), 98);
}

#[test]
fn a_text_that_hides_something_is_shown_as_it_is() {
    let court = Court::open(|setup| setup);
    // Right-to-left override, zero-width space, a Cyrillic letter, and script.
    let text = "DELETE FROM held_rows /* \u{202e}1 = di\u{202c} \u{200b}\u{0430}dmin <script>alert(1)</script> */ WHERE id = 11";
    let _wire = waits(&court, text);
    let request = court.pending("dora");
    assert_eq!(request["wanted"]["text"], text, "by the API every byte");
    let id = request["id"].as_str().unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", court.console)).unwrap();
    let token = court.token("dora");
    write!(
        socket,
        "GET /approvals/{id} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nCookie: tidegate={token}\r\n\r\n",
        court.console
    )
    .unwrap();
    let mut page = Vec::new();
    socket.read_to_end(&mut page).unwrap();
    let page = String::from_utf8_lossy(&page);
    assert!(page.starts_with("HTTP/1.1 200") && page.contains(id), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(!page.contains('\u{202e}'), "{page}");
}
