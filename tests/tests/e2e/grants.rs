//! Access for a time, by the command line, on gateways that share a PostgreSQL store: asked for on one, voted on the other,
//! ended by its deadline, by revocation, by leaving a group; emergencies.

use serde_json::Value;
use std::{
    process::Command,
    time::{Duration, Instant},
};
use tests::{
    certificates::Authority,
    endpoint::Endpoint,
    folder::Folder,
    gateway::{Gateway, Setup},
    process::{Finished, run, wait_until},
    programs::program,
    provider::{CLIENT_SECRET, Plan, Provider},
    rules::Bundle,
    server::{PASSWORD, Postgres, free_port},
    wire::{Wire, error, query},
};

const SECRET: &str = "the-secret-of-the-person";
const REASON: &str = "the nightly job failed";
const RULES: &str = "\
targets:
  warehouse: {address: \"127.0.0.1:5432\", database: clinic, account: gateway, tls: disable}
roles:
  oncall:
    targets: [warehouse]
    default: clear
    redact: clear
    request: {groups: [engineers], approvers: [leads], max: 4h}
  ward:
    targets: [warehouse]
    default: clear
    redact: clear
    break-glass: {groups: [enrolled], max: 30m}
  analyst: {groups: [engineers], targets: [warehouse], default: mask}
";

/// A gateway, and the homes of people who use it.
struct Gate {
    gateway: Gateway,
    console: u16,
}

/// Somebody's home, signed in at one gateway.
struct Person {
    home: Folder,
    url: String,
    ca: String,
}

fn provider() -> Provider {
    Plan::new()
        .service("ann", SECRET, &["engineers", "enrolled"])
        .service("lee", SECRET, &["leads"])
        .service("dana", SECRET, &["admins"])
        .service("cara", SECRET, &["auditors"])
        .start()
}

impl Gate {
    fn open(provider: &Provider, node: &str, store: &str) -> Self {
        Self::open_on(provider, node, store, 1)
    }

    fn open_on(provider: &Provider, node: &str, store: &str, cores: u32) -> Self {
        let console = free_port();
        let bundle = Bundle::compile(&[RULES], "warehouse", Postgres::shared());
        let gateway = Setup::new(&bundle, Postgres::shared())
            .cores(cores)
            .file("client.secret", CLIENT_SECRET)
            .file(
                "store.url",
                &format!(
                    "host=127.0.0.1 port={} user=app password='{PASSWORD}' dbname={store} sslmode=disable",
                    Postgres::shared().port()
                ),
            )
            .file("access.key", &"5a".repeat(32))
            .line(&format!(
                "access:\n  node: {node}\n  store: {{ postgres: {{ file: store.url }} }}\n  key_file: access.key\n  \
                 admins: [admins]\n  auditors: [auditors]\n  cool_down: 1s"
            ))
            .line(&format!("console:\n  listen: \"127.0.0.1:{console}\"\n  url: \"https://localhost:{console}\""))
            .line(&format!(
                "identity:\n  issuers:\n    corp:\n      url: {}\n      client_id: tidegate\n      \
                 client_secret: {{ file: client.secret }}\n      audiences: [\"urn:tidegate\"]",
                provider.issuer()
            ));
        let gateway = gateway.start();
        Self { gateway, console }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.console)
    }

    /// Signs somebody in here; what they get for databases.
    fn sign_in(&self, provider: &Provider, name: &str) -> (Person, Endpoint) {
        let home = Folder::new("home");
        let ca = home.write("ca.crt", &Authority::shared().certificate).display().to_string();
        let person = Person { home, url: self.url(), ca };
        let endpoint = person.sign_in(provider, name, self);
        (person, endpoint)
    }
}

impl Person {
    fn sign_in(&self, provider: &Provider, name: &str, gate: &Gate) -> Endpoint {
        let token = self.home.write("token", provider.service_token(name, SECRET)).display().to_string();
        let told = self.tidegate(&["login", &self.url, "--ca", &self.ca, "--token-file", &token, "--json"]);
        let login: Value = serde_json::from_str(&told.success().text()).unwrap();
        let text =
            |at: &str| login.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("{at}: {login}")).to_owned();
        let (user, password) = match login.get("credential") {
            Some(_) => (text("/credential/user"), text("/credential/password")),
            None => (text("/user"), text("/password")),
        };
        gate.gateway.endpoint("x").with_user(&user, &password)
    }

    fn tidegate(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(program("tidegate"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.home.path());
        command.args(arguments);
        run(&mut command, b"", Duration::from_secs(60))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let told = self.tidegate(arguments).success().text();
        serde_json::from_str(&told).unwrap_or_else(|e| panic!("{e}: {told}"))
    }

    /// Asks for the role, which somebody else gives.
    fn given(&self, time: &str, lead: &Self) -> String {
        let asked = self.json(&["request", "warehouse", "--for", time, "--reason", REASON, "--json"]);
        let id = asked["id"].as_str().unwrap().to_owned();
        wait_until("the request has reached the other gateway", Duration::from_secs(5), || {
            lead.tidegate(&["approvals", "show", &id]).code == 0
        });
        lead.tidegate(&["approvals", "approve", &id, "--reason", "seen the alert too"]).success();
        wait_until("the grant is there", Duration::from_secs(5), || {
            self.json(&["grants", "list", "--json"])["grants"]
                .as_array()
                .unwrap()
                .iter()
                .any(|grant| grant["id"] == id.as_str())
        });
        id
    }
}

fn store(name: &str) -> String {
    Postgres::shared().sql("postgres", &format!("create database {name} owner app"));
    name.to_owned()
}

fn masked(wire: &mut Wire) -> bool {
    let frames = wire.query("select first_name from clinic.patients limit 1");
    assert!(error(&frames).is_none(), "{frames:?}");
    frames[1].values()[0].is_none()
}

/// Reads on until the session is over: what was said last, and when.
fn end(wire: &mut Wire, limit: Duration) -> (String, String, Instant) {
    wire.patience(limit);
    let mut last = (String::new(), String::new());
    while let Some(frame) = wire.try_read() {
        if frame.tag == b'E' {
            last = (frame.field(b'C').unwrap(), frame.field(b'M').unwrap());
        }
    }
    (last.0, last.1, Instant::now())
}

#[test]
fn asked_for_on_one_voted_on_the_other_revoked_for_both() {
    let (provider, store) = (provider(), store("two_gateways"));
    let (one, two) = (Gate::open(&provider, "one", &store), Gate::open(&provider, "two", &store));
    let (ann, at_one) = one.sign_in(&provider, "ann");
    let (lee, _) = two.sign_in(&provider, "lee");
    let (dana, _) = two.sign_in(&provider, "dana");

    // By their groups alone; and nobody gives the role to themselves.
    assert!(masked(&mut Wire::login(&at_one)));
    let asked = ann.json(&["request", "warehouse", "--reason", REASON, "--json"]);
    let own = ann.tidegate(&["approvals", "approve", asked["id"].as_str().unwrap(), "--reason", "I want it so much"]);
    assert!(own.code == 1 && own.both().contains("nobody votes on what they asked for"), "{}", own.both());
    let short = ann.tidegate(&["request", "warehouse", "--reason", "quick"]);
    assert!(short.code == 1 && short.both().contains("at least 10 characters"), "{}", short.both());
    ann.tidegate(&["approvals", "withdraw", asked["id"].as_str().unwrap()]).success();
    std::thread::sleep(Duration::from_millis(1100));

    let grant = ann.given("1h", &lee);
    // The same password is good on both gateways, and both give the role.
    let at_two = two.gateway.endpoint("x").with_user(&at_one.user, &at_one.password);
    let (mut here, mut there) = (Wire::login(&at_one), Wire::login(&at_two));
    assert!(!masked(&mut here) && !masked(&mut there));
    let live = dana.json(&["sessions", "live", "--json"]);
    assert!(live["sessions"].as_array().unwrap().iter().any(|live| live["grant"] == grant.as_str()), "{live}");

    // One of them runs something that the database would go on with for a long time.
    here.send(&query("select pg_sleep(60)"));
    let sleeping = "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'";
    wait_until("it runs", Duration::from_secs(5), || Postgres::shared().sql("clinic", sleeping).trim() == "1");
    let began = Instant::now();
    dana.tidegate(&["grants", "revoke", &grant, "--reason", "the outage is over"]).success();
    let told = began.elapsed();
    for (wire, name) in [(&mut there, "two"), (&mut here, "one")] {
        let (state, message, at) = end(wire, Duration::from_secs(5));
        assert_eq!((state.as_str(), message.contains("revoked")), ("57P01", true), "{message}");
        println!("on {name}: ended {:?} after the command began, which took {told:?}", at - began);
        assert!(at - began < told + Duration::from_secs(1));
    }
    wait_until("the database does not run it any more", Duration::from_secs(2), || {
        Postgres::shared().sql("clinic", sleeping).trim() == "0"
    });
    assert!(masked(&mut Wire::login(&at_one)));
    let killed = one.gateway.records().into_iter().filter(|record| record["type"] == "CREDENTIAL");
    assert!(killed.into_iter().any(|record| record["kind"] == "expire_kill" && record["reason"] == "revoked"));
}

#[test]
fn a_session_ends_with_its_grant_and_its_client_is_told_before() {
    let (provider, store) = (provider(), store("deadlines"));
    let gate = Gate::open(&provider, "one", &store);
    let (ann, endpoint) = gate.sign_in(&provider, "ann");
    let (lee, _) = gate.sign_in(&provider, "lee");
    let (dana, _) = gate.sign_in(&provider, "dana");
    // Shortest is a minute: told at once is not, a second later is.
    let grant = ann.given("62s", &lee);
    let until = ann.json(&["grants", "list", "--json"])["grants"][0]["until"].as_u64().unwrap();
    let mut wire = Wire::login(&endpoint);
    assert!(!masked(&mut wire));
    wire.patience(Duration::from_secs(20));
    let notice = wire.try_read().expect("a warning, although nothing was asked");
    assert_eq!(notice.tag, b'N');
    assert!(notice.field(b'M').unwrap().contains("this session ends in 60 seconds"), "{notice:?}");
    assert!(!masked(&mut wire), "it goes on");
    // Meanwhile: a session that is killed.
    let mut other = Wire::login(&endpoint);
    let live = dana.json(&["sessions", "live", "--json"]);
    let newest = live["sessions"].as_array().unwrap().iter().max_by_key(|live| live["since"].as_u64()).unwrap();
    dana.tidegate(&["sessions", "kill", newest["session"].as_str().unwrap(), "--reason", "runs away"]).success();
    let (state, message, _) =
        end(if newest["grant"] == grant.as_str() { &mut other } else { &mut wire }, Duration::from_secs(5));
    assert!(state == "57P01" && message.contains("administrator"), "{state} {message}");
    // The deadline, in the middle of something.
    wire.send(&query("select pg_sleep(90)"));
    let (state, message, _) = end(&mut wire, Duration::from_secs(90));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let late = now.saturating_sub(Duration::from_secs(until));
    println!("the client was cut off {late:?} after the deadline");
    assert!(state == "57P01" && message.contains("is over"), "{state} {message}");
    assert!(late < Duration::from_secs(1) && now + Duration::from_secs(1) > Duration::from_secs(until), "{late:?}");
    let records = gate.gateway.records();
    let cut = records.iter().find(|record| record["kind"] == "expire_kill" && record["reason"] == "expired").unwrap();
    assert!(cut["duration_us"].as_u64().unwrap() < 1_000_000, "{cut}");
    assert!(masked(&mut Wire::login(&endpoint)), "by groups alone again");
}

#[test]
fn an_emergency_is_recorded_told_and_reviewed() {
    let (provider, store) = (provider(), store("emergencies"));
    let gate = Gate::open(&provider, "one", &store);
    let (ann, endpoint) = gate.sign_in(&provider, "ann");
    let (lee, _) = gate.sign_in(&provider, "lee");
    let (cara, _) = gate.sign_in(&provider, "cara");
    let (dana, _) = gate.sign_in(&provider, "dana");
    let reason = "ward system down, patient in surgery";
    let no = lee.tidegate(&["breakglass", "warehouse", "--reason", reason]);
    assert!(no.code == 1 && no.both().contains("not enrolled"), "{}", no.both());
    let taken = ann.json(&["breakglass", "warehouse", "--for", "20m", "--reason", reason, "--json"]);
    let id = taken["id"].as_str().unwrap();
    let mut wire = Wire::login(&endpoint);
    let notice = wire.read().unwrap();
    assert!(notice.tag == b'N' && notice.field(b'M').unwrap().starts_with("emergency access"), "{notice:?}");
    assert!(!masked(&mut wire));
    let own = ann.tidegate(&["reviews", "add", id, "--finding", "I did nothing wrong"]);
    assert_eq!(own.code, 1, "{}", own.both());
    cara.tidegate(&["reviews", "add", id, "--finding", "charts of one patient"]).success();
    dana.tidegate(&["reviews", "add", id, "--finding", "agrees with the ward"]).success();
    let all = cara.json(&["reviews", "list", "--json"]);
    assert_eq!(all["emergencies"][0]["reviewed"], true, "{all}");
    // Suspended: everything ends.
    dana.tidegate(&["people", "suspend", "ann", "--reason", "to be on the safe side"]).success();
    let (state, message, _) = end(&mut wire, Duration::from_secs(5));
    assert!(state == "57P01" && message.contains("suspended"), "{state} {message}");
    assert!(Wire::login_error(&endpoint).is_some());
    let records = gate.gateway.records();
    let kinds: Vec<&str> =
        records.iter().filter(|r| r["type"] == "ACCESS").filter_map(|r| r["kind"].as_str()).collect();
    for kind in ["break_glass_refused", "break_glass", "break_glass_review"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    let opened = records.iter().rfind(|r| r["type"] == "SESSION_OPEN").unwrap();
    assert_eq!(opened["recording"], "digest", "recorded although the configuration does not ask for it: {opened}");
    // What an auditor is told of it.
    let report = gate.gateway.tidegate(&["audit", "report", "approvals", "audit", "--json"]).success().text();
    let report: Value = serde_json::from_str(&report).unwrap();
    let told = report["tables"].as_array().unwrap().iter().find(|table| table["name"] == "emergencies").unwrap();
    let told = &told["rows"][0];
    assert_eq!((&told["person"], &told["in_time"], &told["reason"]), (&"ann".into(), &"yes".into(), &reason.into()));
    assert!(told["reviews"].as_str().unwrap().contains("dana"), "{told}");
}

#[test]
fn a_revocation_reaches_the_sessions_of_every_core() {
    const SESSIONS: usize = 100;
    let (provider, store) = (provider(), store("every_core"));
    let gate = Gate::open_on(&provider, "one", &store, 2);
    let (ann, endpoint) = gate.sign_in(&provider, "ann");
    let (lee, _) = gate.sign_in(&provider, "lee");
    let grant = ann.given("1h", &lee);
    let mut sessions: Vec<Wire> = (0..SESSIONS).map(|_| Wire::login(&endpoint)).collect();
    let live = ann.json(&["sessions", "live", "--json"]);
    let live = live["sessions"].as_array().unwrap().clone();
    let cores: std::collections::BTreeSet<u64> = live.iter().filter_map(|live| live["core"].as_u64()).collect();
    assert_eq!((live.len(), cores.len()), (SESSIONS, 2), "sessions are on both cores");
    let ends = std::thread::scope(|scope| {
        let waiting: Vec<_> =
            sessions.iter_mut().map(|wire| scope.spawn(move || end(wire, Duration::from_secs(10)))).collect();
        std::thread::sleep(Duration::from_millis(200));
        let began = std::time::SystemTime::now();
        ann.tidegate(&["grants", "revoke", &grant]).success();
        let ends: Vec<_> = waiting.into_iter().map(|wait| wait.join().unwrap()).collect();
        assert!(began.elapsed().unwrap() < Duration::from_secs(2));
        ends
    });
    assert!(ends.iter().all(|(state, message, _)| state == "57P01" && message.contains("revoked")));
    let (first, last) = (ends.iter().map(|end| end.2).min().unwrap(), ends.iter().map(|end| end.2).max().unwrap());
    println!("from the first of {SESSIONS} sessions that was cut to the last: {:?}", last - first);
    assert!(last - first < Duration::from_millis(500), "{:?}", last - first);
    // The cut is recorded on the cores, the revocation before it by the control side: the log's own clock says how long it took.
    wait_until("all cuts are in the log", Duration::from_secs(5), || {
        let records = gate.gateway.records();
        records.iter().filter(|r| r["kind"] == "expire_kill" && r["reason"] == "revoked").count() == SESSIONS
    });
}
