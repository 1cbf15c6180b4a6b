//! Access for a time, by the command line, on gateways that share a PostgreSQL store: asked for on one, voted on the other,
//! ended by its deadline, by revocation, by leaving a group; emergencies.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};
use tests::{
    certificates::Authority,
    endpoint::Endpoint,
    folder::Folder,
    gateway::{Gateway, Setup},
    process::{Finished, PATIENCE, run, wait_until},
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
        run(&mut command, b"", 2 * PATIENCE)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let told = self.tidegate(arguments).success().text();
        serde_json::from_str(&told).unwrap_or_else(|e| panic!("{e}: {told}"))
    }

    /// Asks for the role, which somebody else gives.
    fn given(&self, time: &str, lead: &Self) -> String {
        let asked = self.json(&["request", "warehouse", "--for", time, "--reason", REASON, "--json"]);
        let id = asked["id"].as_str().unwrap().to_owned();
        wait_until("the request has reached the other gateway", PATIENCE, || {
            lead.tidegate(&["approvals", "show", &id]).code == 0
        });
        lead.tidegate(&["approvals", "approve", &id, "--reason", "seen the alert too"]).success();
        wait_until("the grant is there", PATIENCE, || {
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
fn end(wire: &mut Wire) -> (String, String, Instant) {
    wire.patience(2 * PATIENCE);
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

    let at_two = two.gateway.endpoint("x").with_user(&at_one.user, &at_one.password);
    let soon = often_enough(|| {
        let grant = ann.given("1h", &lee);
        // The same password is good on both gateways, and both give the role.
        let (mut here, mut there) = (Wire::login(&at_one), Wire::login(&at_two));
        assert!(!masked(&mut here) && !masked(&mut there));
        wait_until("the session is listed with its grant", PATIENCE, || {
            let live = dana.json(&["sessions", "live", "--json"]);
            live["sessions"].as_array().unwrap().iter().any(|live| live["grant"] == grant.as_str())
        });

        // One of them runs something that the database would go on with for a long time.
        const LONG: &str = "select pg_sleep(600) as revoked";
        here.send(&query(LONG));
        let sleeping = format!("select count(*) from pg_stat_activity where state = 'active' and query = '{LONG}'");
        let running = || Postgres::shared().sql("clinic", &sleeping).trim().to_owned();
        wait_until("it runs", PATIENCE, || running() == "1");
        let began = Instant::now();
        dana.tidegate(&["grants", "revoke", &grant, "--reason", "the outage is over"]).success();
        let told = began.elapsed();
        let mut soon = true;
        for (wire, name) in [(&mut there, "two"), (&mut here, "one")] {
            let (state, message, at) = end(wire);
            assert_eq!((state.as_str(), message.contains("revoked")), ("57P01", true), "{message}");
            println!("on {name}: ended {:?} after the command began, which took {told:?}", at - began);
            soon &= at - began < told + Duration::from_secs(1);
        }
        wait_until("the database does not run it any more", PATIENCE, || running() == "0");
        soon
    });
    assert!(soon, "revoked sessions go on for more than a second");
    assert!(masked(&mut Wire::login(&at_one)));
    wait_until("the cut is on record", PATIENCE, || {
        let cut = |record: &Value| record["kind"] == "expire_kill" && record["reason"] == "revoked";
        one.gateway.records().iter().any(|record| record["type"] == "CREDENTIAL" && cut(record))
    });
}

/// What is promised within a time, tried again where it took longer: a machine that stands still meets it once or twice,
/// what is slow is so each time.
fn often_enough(mut within_its_time: impl FnMut() -> bool) -> bool {
    (0..4).any(|_| within_its_time())
}

/// Since 1970.
fn now() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
}

#[test]
fn a_session_ends_with_its_grant_and_its_client_is_told_before() {
    let (provider, store) = (provider(), store("deadlines"));
    let gate = Gate::open(&provider, "one", &store);
    let (ann, endpoint) = gate.sign_in(&provider, "ann");
    let (lee, _) = gate.sign_in(&provider, "lee");
    let (dana, _) = gate.sign_in(&provider, "dana");
    let mut seconds = 62;
    let soon = often_enough(|| {
        // Shortest is a minute: told at once is not, a second later is.
        let (grant, until, mut wire) = loop {
            let grant = ann.given(&format!("{seconds}s"), &lee);
            let grants = ann.json(&["grants", "list", "--json"])["grants"].as_array().unwrap().clone();
            let until = grants.iter().find(|one| one["id"] == grant.as_str()).unwrap()["until"].as_u64().unwrap();
            let wire = Wire::login(&endpoint);
            if now() + Duration::from_secs(60) < Duration::from_secs(until) {
                break (grant, until, wire);
            }
            // So slow that the last minute has begun, of which nobody is told who comes in it.
            seconds += 20;
            assert!(seconds < 300, "a login takes minutes");
            dana.tidegate(&["grants", "revoke", &grant, "--reason", "it took too long"]).success();
        };
        assert!(!masked(&mut wire));
        wire.patience(2 * PATIENCE);
        let notice = wire.try_read().expect("a warning, although nothing was asked");
        assert_eq!(notice.tag, b'N');
        let said = notice.field(b'M').unwrap();
        let left = said.strip_prefix("this session ends in ").and_then(|said| said.split_once(" seconds, "));
        assert!((30..=60).contains(&left.unwrap().0.parse::<u64>().unwrap()), "{notice:?}");
        assert!(!masked(&mut wire), "it goes on");
        // Meanwhile: a session that is killed.
        let live = || -> BTreeSet<String> {
            let live = dana.json(&["sessions", "live", "--json"]);
            let mine = live["sessions"].as_array().unwrap().iter().filter(|live| live["grant"] == grant.as_str());
            mine.map(|live| live["session"].as_str().unwrap().to_owned()).collect()
        };
        let before = live();
        assert_eq!(before.len(), 1, "{before:?}");
        let mut other = Wire::login(&endpoint);
        let mut newest = String::new();
        wait_until("the newest session is listed", PATIENCE, || {
            newest = live().difference(&before).next().cloned().unwrap_or_default();
            !newest.is_empty()
        });
        dana.tidegate(&["sessions", "kill", &newest, "--reason", "runs away"]).success();
        let (state, message, _) = end(&mut other);
        assert!(state == "57P01" && message.contains("administrator"), "{state} {message}");
        // The deadline, in the middle of something.
        wire.send(&query("select pg_sleep(600)"));
        let (state, message, _) = end(&mut wire);
        let (now, until) = (now(), Duration::from_secs(until));
        let late = now.saturating_sub(until);
        println!("the client was cut off {late:?} after the deadline");
        assert!(state == "57P01" && message.contains("is over"), "{state} {message}");
        assert!(now + Duration::from_secs(1) > until, "{now:?}, not {until:?}");
        let mut cut = Value::Null;
        wait_until("the cut is on record", PATIENCE, || {
            let cuts = |record: &Value| record["kind"] == "expire_kill" && record["reason"] == "expired";
            cut = gate.gateway.records().into_iter().rfind(cuts).unwrap_or_default();
            cut.is_object()
        });
        late < Duration::from_secs(1) && cut["duration_us"].as_u64().unwrap() < 1_000_000
    });
    assert!(soon, "sessions outlive their grants by more than a second");
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
    let (state, message, _) = end(&mut wire);
    assert!(state == "57P01" && message.contains("suspended"), "{state} {message}");
    assert!(Wire::login_error(&endpoint).is_some());
    let mut records = Vec::new();
    wait_until("all of it is on record", PATIENCE, || {
        records = gate.gateway.records();
        let kinds: Vec<&str> =
            records.iter().filter(|r| r["type"] == "ACCESS").filter_map(|r| r["kind"].as_str()).collect();
        ["break_glass_refused", "break_glass", "break_glass_review"].iter().all(|kind| kinds.contains(kind))
    });
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
    let mut cuts = 0;
    let soon = often_enough(|| {
        let grant = ann.given("1h", &lee);
        let mut sessions: Vec<Wire> = (0..SESSIONS).map(|_| Wire::login(&endpoint)).collect();
        let mut live = Vec::new();
        wait_until("all sessions are listed", PATIENCE, || {
            live = ann.json(&["sessions", "live", "--json"])["sessions"].as_array().unwrap().clone();
            live.len() == SESSIONS
        });
        let cores: BTreeSet<u64> = live.iter().filter_map(|live| live["core"].as_u64()).collect();
        assert_eq!(cores.len(), 2, "sessions are on both cores");
        let (took, ends) = std::thread::scope(|scope| {
            let waiting: Vec<_> = sessions.iter_mut().map(|wire| scope.spawn(move || end(wire))).collect();
            std::thread::sleep(Duration::from_millis(200));
            let began = Instant::now();
            ann.tidegate(&["grants", "revoke", &grant]).success();
            let ends: Vec<_> = waiting.into_iter().map(|wait| wait.join().unwrap()).collect();
            (began.elapsed(), ends)
        });
        assert!(ends.iter().all(|(state, message, _)| state == "57P01" && message.contains("revoked")));
        let (first, last) = (ends.iter().map(|end| end.2).min().unwrap(), ends.iter().map(|end| end.2).max().unwrap());
        println!("from the first of {SESSIONS} sessions that was cut to the last: {:?}", last - first);
        cuts += SESSIONS;
        wait_until("all cuts are in the log", PATIENCE, || {
            let records = gate.gateway.records();
            records.iter().filter(|r| r["kind"] == "expire_kill" && r["reason"] == "revoked").count() == cuts
        });
        took < Duration::from_secs(2) && last - first < Duration::from_millis(500)
    });
    assert!(soon, "some sessions are told of a revocation much later than others");
}
