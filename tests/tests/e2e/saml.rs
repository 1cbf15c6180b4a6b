//! Signing in by SAML at the console, with a real identity provider, in a real browser and without one.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::OnceLock,
};
use tests::{
    browser::Browser,
    clients,
    folder::Folder,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    programs::program,
    rules::Bundle,
    saml::{SamlProvider, Service, key_pair},
    server::{Postgres, free_port},
    visitor::{Answer, Visitor, form},
};

const VERIFIER: &str = "a-verifier-of-the-command-line-that-is-long-enough";

struct Site {
    gateway: Gateway,
    provider: SamlProvider,
    console: u16,
    _folder: Folder,
}

/// A gateway and its provider, for all tests here.
fn site() -> &'static Site {
    static SHARED: OnceLock<Site> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = Folder::new("saml");
        let console = free_port();
        key_pair(folder.path(), "sp");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let url = format!("http://127.0.0.1:{console}");
        let provider = SamlProvider::start(
            &folder.path().join("idp"),
            &Service {
                entity: &format!("{url}/signin/saml/metadata"),
                consumer: &format!("{url}/signin/saml/acs"),
                certificate: &read("sp.crt"),
                people: &[("alice", &["everyone", "eng"]), ("bob", &[])],
            },
        );
        let gateway = Setup::new(Bundle::allow_all(), Postgres::shared())
            .file("sp.key", &read("sp.key"))
            .file("sp.crt", &read("sp.crt"))
            .file("idp.xml", &provider.metadata())
            .line("access:\n  store: { directory: access }\n  key_file: access.key")
            .line(&format!("console:\n  listen: \"127.0.0.1:{console}\"\n  url: \"{url}\"\n  plain: true"))
            .line(
                "identity:\n  saml:\n    key: sp.key\n    certificate: sp.crt\n    providers:\n      corp:\n        \
                 metadata: idp.xml\n        handle: uid\n        groups: groups",
            )
            .start();
        Site { gateway, provider, console, _folder: folder }
    })
}

/// A command line that waits: where its browser has to go.
fn begin(site: &Site, port: u16) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let start = json!({"code_challenge": challenge, "state": "s".repeat(32), "port": port, "client": "tests"});
    let started = Visitor::new(site.console).api("POST", "/login/start", "", &start).ok().json();
    started["url"].as_str().unwrap().to_owned()
}

/// From the command line's address to the provider's.
fn leave(site: &Site, visitor: &Visitor, address: &str) -> String {
    let page = visitor.get(address).ok();
    // With one way and no command line to ask about, the page is a redirect.
    let way = if page.status == 303 {
        page.location()
    } else {
        let at = page.body.find("/signin/saml/start/corp").unwrap_or_else(|| panic!("no way: {page:?}"));
        page.body[at..].split('"').next().unwrap().replace("&amp;", "&")
    };
    let leaves = visitor.get(&way);
    assert_eq!(leaves.status, 303, "{leaves:?}");
    let address = leaves.location();
    assert!(address.starts_with(&format!("http://127.0.0.1:{}/", site.provider.port)), "{address}");
    address
}

/// From a provider's answer to what the browser sees in the end.
fn answered(site: &Site, visitor: &Visitor, response: &str, relay: &str) -> Answer {
    let posted = form([("SAMLResponse", response), ("RelayState", relay)]);
    let aside = visitor.post_from_elsewhere("/signin/saml/acs", &site.provider.entity(), &posted);
    if aside.status == 303 { visitor.get(&aside.location()) } else { aside }
}

fn code_of(callback: &str) -> &str {
    let (_, query) = callback.split_once('?').unwrap_or_else(|| panic!("no query: {callback}"));
    query.split('&').find_map(|pair| pair.strip_prefix("code=")).unwrap_or_else(|| panic!("no code: {callback}"))
}

#[test]
fn tidegate_login_signs_in_through_chromium_and_psql_connects() {
    let site = site();
    let home = Folder::new("home");
    let mut command = Command::new(program("tidegate"));
    command.args(["login", &format!("http://127.0.0.1:{}", site.console), "--no-browser", "--json"]);
    command.env("XDG_STATE_HOME", home.path()).env("HOME", home.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut login = command.spawn().unwrap();
    let mut says = BufReader::new(login.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = says.find_map(|line| line.find("http").map(|at| line[at..].trim().to_owned())).expect("an address");

    let browser = Browser::start();
    assert_eq!(browser.goto(&address), 200);
    browser.click("text=Sign in with corp");
    browser.wait("input[name=username]");
    browser.fill("input[name=username]", "alice");
    browser.fill("input[name=password]", "alicepass");
    browser.click("button[type=submit]");
    browser.wait_url("^http://127\\.0\\.0\\.1:[0-9]+/callback");
    let done = login.wait_with_output().unwrap();
    assert!(done.status.success(), "{:?}", says.collect::<Vec<_>>());
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let person = &told["person"];
    assert_eq!(person["issuer"], site.provider.entity().as_str());
    assert_eq!((&person["subject"], &person["handle"]), (&json!("alice"), &json!("alice")));
    assert_eq!(person["groups"], json!(["everyone", "eng"]));

    let text = |name: &str| told["credential"][name].as_str().unwrap().to_owned();
    let (user, password) = (text("user"), text("password"));
    let endpoint = site.gateway.endpoint(&user).with_user(&user, &password);
    assert_eq!(clients::rows(&endpoint, "select 'in'").success().text(), "in\n");
    assert!(!site.gateway.log().contains(&password));
    // Who it was, and by which way, is in the log.
    wait_until("the sign-in is recorded", PATIENCE, || {
        let shown = site.gateway.tidegate(&["audit", "show", "audit"]).text();
        shown.contains("sign_in") && shown.contains("saml") && shown.contains(&site.provider.entity())
    });
}

#[test]
fn a_page_of_the_console_is_signed_in_to_without_scripts() {
    let site = site();
    let visitor = Visitor::new(site.console);
    let address = leave(site, &visitor, "/login?return=%2Fapprovals");
    let fields = site.provider.sign_in(&address, "bob");
    let back = answered(site, &visitor, &fields["SAMLResponse"], &fields["RelayState"]);
    assert_eq!((back.status, back.location().as_str()), (303, "/approvals"), "{back:?}");
    assert!(
        back.headers.iter().any(|(n, v)| n == "set-cookie" && v.contains("HttpOnly") && v.starts_with("tidegate="))
    );
}

#[test]
fn an_answer_works_once_in_the_browser_that_asked() {
    let site = site();
    let visitor = Visitor::new(site.console);
    let address = leave(site, &visitor, &begin(site, 40_000));
    let fields = site.provider.sign_in(&address, "alice");
    let (response, relay) = (&fields["SAMLResponse"], &fields["RelayState"]);

    // Another browser: the answer is put aside for nobody else, and the attempt is spent.
    let posted = form([("SAMLResponse", response.as_str()), ("RelayState", relay.as_str())]);
    let aside = visitor.post_from_elsewhere("/signin/saml/acs", &site.provider.entity(), &posted);
    assert_eq!(aside.status, 303, "{aside:?}");
    let other = Visitor::new(site.console);
    assert_eq!(other.get(&aside.location()).status, 400);
    assert_eq!(visitor.get(&aside.location()).status, 400);
    assert_eq!(answered(site, &visitor, response, relay).status, 400, "the attempt is over");

    // A fresh attempt: an answer to another request, then the right one twice.
    let address = leave(site, &visitor, &begin(site, 40_000));
    let fresh = site.provider.sign_in(&address, "alice");
    let again = answered(site, &visitor, response, &fresh["RelayState"]);
    assert!(again.location().contains("error=saml"), "{again:?}");

    let address = leave(site, &visitor, &begin(site, 40_000));
    let fresh = site.provider.sign_in(&address, "alice");
    let done = answered(site, &visitor, &fresh["SAMLResponse"], &fresh["RelayState"]);
    assert!(done.location().starts_with("http://127.0.0.1:40000/callback?code="), "{done:?}");
    assert_eq!(answered(site, &visitor, &fresh["SAMLResponse"], &fresh["RelayState"]).status, 400);
    // The code belongs to whoever knows the verifier.
    let code = done.location();
    let wrong = json!({"code": code_of(&code), "code_verifier": "x".repeat(43)});
    assert_eq!(Visitor::new(site.console).api("POST", "/login/finish", "", &wrong).status, 401);
}

#[test]
fn what_nobody_asked_for_is_refused() {
    let site = site();
    let visitor = Visitor::new(site.console);
    let address = leave(site, &visitor, &begin(site, 40_000));
    let fields = site.provider.sign_in(&address, "alice");
    let (response, relay) = (&fields["SAMLResponse"], &fields["RelayState"]);
    for (response, relay) in [(response.as_str(), ""), (response, "x"), (response, "//evil.example")] {
        assert_eq!(answered(site, &visitor, response, relay).status, 400, "{relay}");
    }
    let logout =
        "<samlp:LogoutRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"_1\" Version=\"2.0\"/>";
    let logout = base64::engine::general_purpose::STANDARD.encode(logout);
    assert!(answered(site, &visitor, &logout, relay).location().contains("error=saml"));
    wait_until("the refusal is recorded", PATIENCE, || {
        let shown = site.gateway.tidegate(&["audit", "show", "audit"]).text();
        shown.contains("sign_in_failed") && shown.contains("saml: not a SAML response")
    });
    // Megabytes are refused before they are read, and what is no form too.
    let large = visitor.post_from_elsewhere("/signin/saml/acs", "http://evil.example", &"a=b&".repeat(1 << 20));
    assert!((400..500).contains(&large.status), "{}", large.status);
    assert!((400..500).contains(&visitor.post_from_elsewhere("/signin/saml/acs", "http://evil.example", "x").status));
    // Other forms are not taken from other sites.
    assert_eq!(visitor.post_from_elsewhere("/logout", "http://evil.example", "csrf=x").status, 403);
    assert_eq!(visitor.get("/signin/saml/start/corp?request=unknown").status, 404);
    assert_eq!(visitor.get("/signin/saml/start/nobody").status, 400);
    // Our metadata says what the provider was told.
    let metadata = visitor.get("/signin/saml/metadata").ok();
    assert!(metadata.body.contains(&format!("http://127.0.0.1:{}/signin/saml/acs", site.console)), "{metadata:?}");
}
