//! Sign-in: a real OpenID provider, a real browser, the command line, and clients that use what it gives them.

use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
};
use tests::{
    browser::Browser,
    certificates::Authority,
    clients,
    endpoint::Endpoint,
    folder::Folder,
    gateway::{Gateway, Setup},
    process::{Finished, PATIENCE, run, wait_until},
    programs::program,
    provider::{CLIENT_SECRET, Plan, Provider},
    rules::Bundle,
    server::{Postgres, free_port},
};

/// A gateway with a console, its provider, and the home of somebody who signs in.
struct Door {
    provider: Provider,
    gateway: Gateway,
    console: u16,
    plain: bool,
    home: Folder,
}

const SERVICE_SECRET: &str = "the-secret-of-the-service";

impl Door {
    /// With TLS, as it is run.
    fn open() -> Self {
        Self::with(false, |setup| setup)
    }

    /// Without TLS on loopback, so that requests can be written by hand.
    fn plain() -> Self {
        Self::with(true, |setup| setup)
    }

    fn with(plain: bool, change: impl FnOnce(Setup) -> Setup) -> Self {
        let console = free_port();
        let origin = if plain { format!("http://127.0.0.1:{console}") } else { format!("https://localhost:{console}") };
        let provider = Plan::new()
            .person("alice", &["everyone", "analysts"])
            .person("bob", &["everyone"])
            .service("etl", SERVICE_SECRET, &["everyone"])
            .redirect(&format!("{origin}/signin/oidc/callback/corp"))
            .start();
        let gateway = change(Setup::new(Bundle::allow_all(), Postgres::shared()))
            .file("client.secret", CLIENT_SECRET)
            .line("access:\n  store: { directory: access }\n  key_file: access.key\n  admins: [sre]")
            .line(&format!("console:\n  listen: \"127.0.0.1:{console}\"\n  url: {origin}\n  plain: {plain}"))
            .line(&format!(
                "identity:\n  issuers:\n    corp:\n      url: {}\n      client_id: tidegate\n      \
                 client_secret: {{ file: client.secret }}\n      algorithms: [ES256]\n      \
                 scopes: [profile, email, groups]\n      audiences: [\"urn:tidegate\"]",
                provider.issuer()
            ))
            .start();
        let home = Folder::new("home");
        home.write("ca.crt", &Authority::shared().certificate);
        Self { provider, gateway, console, plain, home }
    }

    fn url(&self) -> String {
        let (scheme, host) = if self.plain { ("http", "127.0.0.1") } else { ("https", "localhost") };
        format!("{scheme}://{host}:{}", self.console)
    }

    /// `tidegate` as the person runs it.
    fn tidegate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("tidegate"));
        let home = self.home.path();
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home);
        command.env("PGSERVICEFILE", home.join("services")).env("PGPASSFILE", home.join("passwords"));
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        run(&mut self.tidegate(arguments), b"", clients::LIMIT)
    }

    fn login(&self, arguments: &[&str]) -> Login {
        let (url, ca) = (self.url(), self.home.path().join("ca.crt"));
        let mut all = vec!["login", &url, "--json", "--ca", ca.to_str().unwrap()];
        all.extend(arguments);
        let mut command = self.tidegate(&all);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let says = BufReader::new(child.stderr.take().unwrap());
        Login { child, says }
    }

    /// Signs somebody in by a browser.
    fn sign_in(&self, browser: &Browser, name: &str, arguments: &[&str]) -> Value {
        let mut all = vec!["--no-browser"];
        all.extend(arguments);
        let mut login = self.login(&all);
        let url = login.said("http");
        assert!(url.starts_with(&format!("{}/", self.url())), "{url}");
        browser.goto(&url);
        browser.click("a[href*='/oidc/corp']");
        // The provider knows whoever was there before.
        browser.wait("input[name=login], :text('You are signed in')");
        if browser.count("input[name=login]") == 1 {
            browser.sign_in_at_provider(name);
        }
        browser.wait_url("^http://127\\.0\\.0\\.1:[0-9]+/callback");
        assert!(browser.text("body").contains("You are signed in"), "{}", browser.text("body"));
        login.done()
    }

    /// Where clients connect with what was minted.
    fn endpoint(&self, login: &Value) -> Endpoint {
        let text = |name: &str| login["credential"][name].as_str().unwrap().to_owned();
        Endpoint {
            port: self.gateway.port(),
            user: text("user"),
            password: text("password"),
            database: "plain".into(),
            sslmode: "require",
        }
    }

    /// A request to the console, written by hand. Gives status, head and body.
    fn http(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, String, String) {
        let mut socket = TcpStream::connect(("127.0.0.1", self.console)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.console,
            body.len()
        );
        headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
        // What is refused by its head is answered, and the rest of it not waited for.
        let _ = socket.write_all(format!("{head}\r\n{body}").as_bytes());
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, _, body) = self.http("POST", path, &["Content-Type: application/json"], &body.to_string());
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Waits for a record of this kind that has this word.
    #[track_caller]
    fn recorded(&self, kind: &str, word: &str) {
        let kind = format!("\"{kind}\"");
        wait_until(&format!("a record {kind} with {word}"), PATIENCE, || {
            let mut all = self.gateway.records().into_iter().map(|record| record.to_string());
            all.any(|record| record.contains(&kind) && record.contains(word))
        });
    }
}

/// A `tidegate login` that runs.
struct Login {
    child: Child,
    says: BufReader<ChildStderr>,
}

impl Login {
    /// Waits for a line with this beginning, and gives its last word.
    fn said(&mut self, beginning: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert!(self.says.read_line(&mut line).unwrap() > 0, "it ended: {all}");
            if line.trim().starts_with(beginning) {
                return line.split_ascii_whitespace().last().unwrap().to_owned();
            }
            all.push_str(&line);
        }
    }

    fn done(mut self) -> Value {
        let (mut text, mut said) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        self.says.read_to_string(&mut said).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {said}");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

const CONNECTS: &str = "import psycopg; print(psycopg.connect().execute('select current_user').fetchone()[0])";

fn psycopg(endpoint: &Endpoint) -> Finished {
    run(clients::python_program(endpoint).arg("-c").arg(CONNECTS), b"", clients::LIMIT)
}

#[test]
fn people_sign_in_by_browser_and_clients_connect_until_it_ends() {
    let door = Door::open();
    let browser = Browser::start();
    let login = door.sign_in(&browser, "alice", &["--write-service", "--write-pgpass"]);
    assert_eq!(login["person"]["subject"], "alice");
    assert_eq!(login["person"]["groups"], json!(["analysts", "everyone"]));
    let endpoint = door.endpoint(&login);
    assert_eq!(endpoint.user, "alice");

    clients::rows(&endpoint, "select 'psql'").success();
    psycopg(&endpoint).success();
    clients::java(&endpoint, "Connects.java", &[]).success();
    // By the service entry: TLS with the name checked, the password from the file, channel binding.
    let mut psql = clients::psql_program();
    psql.env("HOME", door.home.path()).env("PGSERVICEFILE", door.home.path().join("services"));
    psql.args(["-XAt", "service=tidegate-plain", "-c", "select 'by service'"]);
    assert_eq!(run(&mut psql, b"", clients::LIMIT).success().text().trim(), "by service");
    // The same again changes no line of either file.
    let files = ["services", "passwords"];
    let read = |name: &str| std::fs::read_to_string(door.home.path().join(name)).unwrap();
    let before = files.map(|name| read(name).lines().count());
    door.sign_in(&browser, "alice", &["--write-service", "--write-pgpass"]);
    assert_eq!(files.map(|name| read(name).lines().count()), before);
    // The sign-in before has ended, and its password with it.
    assert_ne!(clients::rows(&endpoint, "select 1").code, 0);

    // A password for some seconds: a session that runs ends with it, and nobody gets in after.
    let endpoint = ends_with_its_password(&door, &browser);
    assert_ne!(clients::rows(&endpoint, "select 1").code, 0);
    assert_ne!(psycopg(&endpoint).code, 0);
    assert_ne!(clients::java(&endpoint, "Connects.java", &[]).code, 0);
    door.recorded("sign_in", "oidc");
    door.recorded("mint", "alice");
}

/// A session is cut off within a second of its password's end, in the middle of a statement. A machine that stands still for
/// seconds can do that too late, and let the password end before it was used, but not every time.
fn ends_with_its_password(door: &Door, browser: &Browser) -> Endpoint {
    let cuts = || -> Vec<u64> {
        let records = door.gateway.records().into_iter();
        let cuts = records.filter(|record| record["kind"] == "expire_kill" && record["reason"] == "expired");
        cuts.map(|record| record["duration_us"].as_u64().unwrap()).collect()
    };
    let mut seen = Vec::new();
    for seconds in [6, 6, 12, 24] {
        let login = door.sign_in(browser, "alice", &["--ttl", &format!("{seconds}s")]);
        let until = login["credential"]["until"].as_u64().unwrap();
        let endpoint = door.endpoint(&login);
        let before = cuts().len();
        let ended = clients::rows(&endpoint, "select pg_sleep(600)");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert_ne!(ended.code, 0);
        assert!(now > until as f64 - 0.1, "{} s before its password: {}", until as f64 - now, ended.errors());
        if !ended.errors().contains("the time that this access was given for is over") {
            seen.push(ended.errors());
            continue;
        }
        wait_until("the cut is recorded", PATIENCE, || cuts().len() > before);
        let late = (now - until as f64, cuts()[before]);
        if late.1 < 1_000_000 && late.0 < 10.0 {
            return endpoint;
        }
        seen.push(format!("{} s late, {} µs by the record", late.0, late.1));
    }
    panic!("no session ended with its password: {seen:#?}");
}

#[test]
fn people_sign_in_on_another_device() {
    let door = Door::open();
    let mut login = door.login(&["--device"]);
    let (address, code) = (login.said("Go to"), login.said("and type"));
    let browser = Browser::start();
    browser.goto(&address);
    browser.fill("input[name=user_code]", &code);
    browser.click("button[form='op.deviceInputForm']");
    // The provider shows who asks, and asks whether that is meant.
    browser.wait("button[form='op.deviceConfirmForm']:not([name=abort])");
    assert!(browser.text("body").contains(&code));
    browser.click("button[form='op.deviceConfirmForm']:not([name=abort])");
    browser.sign_in_at_provider("bob");
    let login = login.done();
    assert_eq!(login["person"]["subject"], "bob");
    let endpoint = door.endpoint(&login);
    clients::rows(&endpoint, "select 1").success();
    psycopg(&endpoint).success();
    clients::java(&endpoint, "Connects.java", &[]).success();
    door.recorded("sign_in", "device");
}

#[test]
fn a_port_on_this_machine_needs_no_password() {
    let door = Door::open();
    door.sign_in(&Browser::start(), "alice", &[]);
    let shown = "select current_user, current_database(), inet_client_addr() is not null";
    let done = run(
        &mut door.tidegate(&["connect", "plain", "--", "psql", "-XAt", "-c", shown, "-c", "\\conninfo"]),
        b"",
        clients::LIMIT,
    );
    let text = done.success().text();
    assert!(text.contains("app|plain|t") && text.contains("user \"alice\""), "{text}");
    // The command sees no password, and its end is the command's end.
    let environment = door.run(&["connect", "plain", "--", "env"]);
    let text = environment.success().text();
    assert!(text.contains("PGPORT=") && !text.contains("PGPASSWORD") && !text.contains("tgp_"), "{text}");
    assert_eq!(door.run(&["connect", "plain", "--", "sh", "-c", "exit 7"]).code, 7);
    assert_ne!(door.run(&["connect", "nowhere", "--", "true"]).code, 0);
    // A statement is cancelled through it.
    let go = door.home.path().join("it-runs");
    let slow = format!(
        "psql -XAt -c 'select pg_sleep(600), 1' & pid=$!; while [ ! -e '{}' ]; do sleep 0.1; done; kill -INT $pid; wait $pid",
        go.display()
    );
    let cancelled = std::thread::scope(|scope| {
        let cancelled = scope.spawn(|| door.run(&["connect", "plain", "--", "sh", "-c", &slow]));
        wait_for_statement("select pg_sleep(600), 1");
        std::fs::write(&go, "").unwrap();
        cancelled.join().unwrap()
    });
    assert!(cancelled.errors().contains("canceling statement"), "{}", cancelled.errors());

    // A password that was made for such a port ends with it: as often as one likes.
    for _ in 0..20 {
        door.run(&["connect", "plain", "--", "true"]).success();
    }
    assert!(door.run(&["whoami"]).success().text().contains("alice"));
    door.run(&["logout"]).success();
    assert_eq!(door.run(&["whoami"]).code, 3);
    assert_eq!(door.run(&["connect", "plain", "--", "true"]).code, 3);
}

#[test]
fn a_target_that_needs_a_purpose_is_reached_with_one_that_is_recorded() {
    let door = Door::with(false, |setup| setup.without_users().target_line("purpose: required"));
    let token = door.home.write("token", door.provider.service_token("etl", SERVICE_SECRET));
    let (url, ca) = (door.url(), door.home.path().join("ca.crt"));
    let login = ["login", &url, "--ca", ca.to_str().unwrap(), "--token-file", token.to_str().unwrap()];
    let without = door.run(&login);
    assert!(without.code != 0 && without.errors().contains("say what for"), "{}", without.errors());
    door.home.write("token", door.provider.service_token("etl", SERVICE_SECRET));
    let with = door.login(&["--token-file", token.to_str().unwrap(), "--purpose", "ticket 4711"]).done();
    clients::rows(&door.endpoint(&with), "select 1").success();
    door.recorded("mint", "ticket 4711");
    assert_ne!(door.run(&["connect", "plain", "--", "true"]).code, 0);
    door.run(&["connect", "plain", "--purpose", "ticket 4712", "--", "psql", "-c", "select 1"]).success();
    // Beside the minting, the session that used it says what for.
    let said = || door.gateway.records().iter().filter(|record| record.to_string().contains("ticket 4712")).count();
    wait_until("the session's record has the purpose", PATIENCE, || said() >= 2);
}

/// Of a record's time: seconds since midnight.
fn seconds_of_day(time: &str) -> f64 {
    let clock = time.split('T').nth(1).unwrap().trim_end_matches('Z');
    clock.split(':').fold(0.0, |all, part| all * 60.0 + part.parse::<f64>().unwrap())
}

/// Waits until the server runs a statement with this text.
fn wait_for_statement(text: &str) {
    let active = format!("select count(*) from pg_stat_activity where query = $${text}$$ and state = 'active'");
    wait_until("the statement runs", PATIENCE, || Postgres::shared().sql("plain", &active).trim() == "1");
}

#[test]
fn signing_out_ends_what_runs() {
    let door = Door::open();
    let browser = Browser::start();
    // Within two seconds by the gateway's own records, but for a gateway that itself stood still just then.
    let mut late = Vec::new();
    while late.last().is_none_or(|late| *late > 2.0) && late.len() < 3 {
        let login = door.sign_in(&browser, "alice", &[]);
        let endpoint = door.endpoint(&login);
        let sleeps = std::thread::spawn({
            let endpoint = endpoint.clone();
            move || clients::rows(&endpoint, "select pg_sleep(600), 'signed in'")
        });
        wait_for_statement("select pg_sleep(600), 'signed in'");
        door.run(&["logout"]).success();
        let ended = sleeps.join().unwrap();
        assert!(ended.code != 0 && ended.errors().contains("this access was revoked"), "{}", ended.errors());
        assert_ne!(clients::rows(&endpoint, "select 1").code, 0);
        let times = |kind: &str, reason: Option<&str>| -> Vec<f64> {
            let records = door.gateway.records().into_iter().filter(|record| record["kind"] == kind);
            let records = records.filter(|record| reason.is_none_or(|reason| record["reason"] == reason));
            records.map(|record| seconds_of_day(record["time"].as_str().unwrap())).collect()
        };
        let cuts = || times("expire_kill", Some("revoked"));
        wait_until("the end is recorded", PATIENCE, || cuts().len() > late.len());
        let asked = times("sign_out", None);
        assert_eq!(asked.len(), late.len() + 1, "{asked:?}");
        late.push((cuts()[late.len()] - asked[late.len()]).rem_euclid(86_400.0));
        // The server does not look whether anybody still waits for it.
        let rest =
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep(600)%signed%'";
        Postgres::shared().sql("plain", rest);
    }
    assert!(late.last().is_some_and(|late| *late < 2.0), "{late:?} s");
}

#[test]
fn services_sign_in_by_their_token_once() {
    let door = Door::open();
    let token = door.provider.service_token("etl", SERVICE_SECRET);
    let file = door.home.write("token", &token);
    let arguments = ["--token-file", file.to_str().unwrap()];
    let login = door.login(&arguments).done();
    assert_eq!(login["person"]["subject"], "etl");
    clients::rows(&door.endpoint(&login), "select 1").success();
    // The same token again was overheard.
    let url = door.url();
    let ca = door.home.path().join("ca.crt");
    let again = door.run(&["login", &url, "--ca", ca.to_str().unwrap(), "--token-file", file.to_str().unwrap()]);
    assert!(again.code != 0 && again.errors().contains("used before"), "{}", again.errors());
    door.recorded("sign_in_failed", "replayed");
    // Keys rotate while it runs.
    door.provider.rotate(true);
    let token = door.provider.service_token("etl", SERVICE_SECRET);
    door.home.write("token", token);
    door.login(&arguments).done();
}

/// What a provider would never give, in a form that a careless gateway would take.
#[test]
fn tokens_that_are_not_the_providers_are_refused_and_recorded() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let door = Door::plain();
    let good = door.provider.service_token("etl", SERVICE_SECRET);
    let parts: Vec<&str> = good.split('.').collect();
    let header: Value = serde_json::from_slice(&BASE64.decode(parts[0]).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64.decode(parts[1]).unwrap()).unwrap();
    let part = |value: &Value| BASE64.encode(value.to_string());
    let changed = |mut value: Value, name: &str, to: Value| {
        value[name] = to;
        part(&value)
    };
    let none = changed(header.clone(), "alg", json!("none"));
    let twice = BASE64.encode(claims.to_string().replacen('{', "{\"sub\":\"root\",", 1));
    for (code, token) in [
        ("algorithm", format!("{none}.{}.", parts[1])),
        ("algorithm", format!("{none}.{}.{}", parts[1], parts[2])),
        ("algorithm", format!("{}.{}.{}", changed(header.clone(), "alg", json!("HS256")), parts[1], parts[2])),
        ("header", format!("{}.{}.{}", changed(header.clone(), "jku", json!(door.url())), parts[1], parts[2])),
        ("key", format!("{}.{}.{}", changed(header, "kid", json!("../../etc/passwd")), parts[1], parts[2])),
        ("signature", format!("{}.{}.{}", parts[0], changed(claims.clone(), "sub", json!("root")), parts[2])),
        ("duplicate", format!("{}.{twice}.{}", parts[0], parts[2])),
        ("issuer", format!("{}.{}.{}", parts[0], changed(claims, "iss", json!("https://evil.example")), parts[2])),
        ("form", "not a token".to_owned()),
    ] {
        let (status, body) = door.post("/api/v1/login/token", &json!({ "token": token }));
        assert_eq!(status, 401, "{code}: {body}");
        let found = body["error"].as_str().or_else(|| body["code"].as_str());
        assert_eq!(found, Some(code), "{body}");
        door.recorded("sign_in_failed", code);
    }
    let (status, _) = door.post("/api/v1/login/token", &json!({ "token": "a".repeat(1 << 20) }));
    assert!((400..500).contains(&status), "{status}");
    let (status, body) = door.post("/api/v1/login/token", &json!({ "token": good }));
    assert_eq!(status, 200, "{body}");
}

#[test]
fn an_answer_counts_once_and_in_its_own_browser() {
    let door = Door::plain();
    let location = |head: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("location:"));
        line.map(|line| line[9..].trim().to_owned()).unwrap_or_default()
    };
    // A state that was begun in another browser: the cookie is missing or another one.
    let begin = || {
        let (status, head, _) = door.http("GET", "/login/oidc/corp?return=/", &[], "");
        assert_eq!(status, 303, "{head}");
        let to = location(&head);
        let state = to.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let cookie = head.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:")).unwrap();
        (state, cookie.split([':', ';']).nth(1).unwrap().trim().to_owned())
    };
    let (state, cookie) = begin();
    let issuer: String = door.provider.issuer().replace(':', "%3A").replace('/', "%2F");
    let back = |state: &str| format!("/signin/oidc/callback/corp?code=c&iss={issuer}&state={state}");
    assert_eq!(door.http("GET", &back(&state), &[], "").0, 400, "no cookie");
    assert_eq!(door.http("GET", &back(&state), &[&format!("Cookie: {cookie}")], "").0, 400, "spent by the try before");
    let (state, _) = begin();
    let (_, other) = begin();
    assert_eq!(door.http("GET", &back(&state), &[&format!("Cookie: {other}")], "").0, 400, "another browser");
    assert_eq!(door.http("GET", &back("invented"), &[&format!("Cookie: {cookie}")], "").0, 400);
    // The provider never gave this code.
    let (state, cookie) = begin();
    let (status, _, page) = door.http("GET", &back(&state), &[&format!("Cookie: {cookie}")], "");
    assert_eq!(status, 401, "{page}");
    door.recorded("sign_in_failed", "refused");

    // Where it may lead: a path of the console, or the loopback port that was named at the start.
    for elsewhere in ["//evil.example", "https://evil.example", "/%5Cevil.example", "javascript:alert(1)"] {
        let (_, head, page) = door.http("GET", &format!("/login?return={elsewhere}"), &[], "");
        assert!(!location(&head).contains("evil") || location(&head).starts_with("/login/oidc/"), "{head}");
        assert!(!page.contains("javascript:") && !page.contains("href=\"//evil"), "{page}");
    }
    let start = |change: &dyn Fn(&mut Value)| {
        let mut body =
            json!({"code_challenge": "x".repeat(43), "state": "s".repeat(43), "port": 40000, "client": "<b>"});
        change(&mut body);
        door.post("/api/v1/login/start", &body)
    };
    assert_eq!(start(&|_| ()).0, 200);
    let page = start(&|_| ()).1["url"].as_str().unwrap().to_owned();
    let (_, _, page) = door.http("GET", &page[door.url().len()..], &[], "");
    assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"), "{page}");
    for (name, value) in [
        ("port", json!(80)),
        ("port", json!(70000)),
        ("code_challenge", json!("short")),
        ("state", json!("s")),
        ("redirect", json!("https://evil.example")),
        ("client", json!("\u{1b}[2J")),
    ] {
        let (status, body) = start(&|start| start[name] = value.clone());
        assert!((400..500).contains(&status), "{name} {value}: {body}");
    }
    let (status, body) = door.post("/api/v1/login/finish", &json!({"code": "guess", "code_verifier": "v".repeat(43)}));
    assert_eq!(status, 401, "{body}");
    assert_eq!(door.http("GET", "/api/v1/whoami", &["Authorization: Bearer stale"], "").0, 401);
    let mint = ["Authorization: Bearer stale", "Content-Type: application/json"];
    assert_eq!(door.http("POST", "/api/v1/credentials", &mint, "{}").0, 401);
}

#[test]
fn one_address_cannot_try_without_end() {
    let door = Door::plain();
    // Thirty at once and another one every two seconds: whoever tries faster is stopped, sooner or later.
    let statuses = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let done = |all: &Vec<u16>| all.len() >= 400 || all.contains(&429);
                while !done(&statuses.lock().unwrap()) {
                    let status = door.post("/api/v1/login/finish", &json!({"code": "c", "code_verifier": "v"})).0;
                    statuses.lock().unwrap().push(status);
                }
            });
        }
    });
    let statuses = statuses.into_inner().unwrap();
    let (let_in, stopped) = (statuses.iter().filter(|s| **s == 401).count(), statuses.contains(&429));
    assert!(let_in >= 30 && stopped, "{statuses:?}");
}

#[test]
fn no_secret_is_in_a_log_a_record_or_a_list_of_processes() {
    let door = Door::open();
    let login = door.sign_in(&Browser::start(), "alice", &[]);
    let kept = std::fs::read_to_string(door.home.path().join(".local/state/tidegate/sign-in.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let endpoint = door.endpoint(&login);
    clients::rows(&endpoint, "select 1").success();
    let secrets = [endpoint.password.as_str(), kept["token"].as_str().unwrap(), CLIENT_SECRET];
    let connect = door.tidegate(&["connect", "plain", "--", "sh", "-c", "cat /proc/*/cmdline 2>/dev/null; true"]);
    let processes = run(&mut { connect }, b"", clients::LIMIT).success().text();
    let records: String = door.gateway.records().iter().map(Value::to_string).collect();
    let log = door.gateway.log();
    for secret in secrets {
        assert!(secret.len() > 20);
        for (place, text) in [("log", &log), ("records", &records), ("processes", &processes)] {
            assert!(!text.contains(secret), "a secret is in the {place}");
        }
    }
    // What lies on the disk holds no password and no token either.
    for file in walk(door.gateway.folder.path()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        for secret in &secrets[..2] {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "a secret is in {}", file.display());
        }
    }
    use std::os::unix::fs::PermissionsExt as _;
    for file in walk(&door.home.path().join(".local/state/tidegate")) {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(walk(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}
