//! What clients of databases show instead of a password of the users file: tokens and certificates. Plaintext and downgrades.

use serde_json::{Value, json};
use std::{os::unix::fs::PermissionsExt as _, process::Command, sync::OnceLock};
use tests::{
    certificates::Authority,
    clients,
    folder::Folder,
    gateway::{Gateway, Setup},
    process::{Finished, PATIENCE, run, wait_until},
    programs::program,
    provider::{AUDIENCE, CLIENT_ID, CLIENT_SECRET, Plan, Provider},
    rules::Bundle,
    server::{Postgres, free_port},
    tls::trusting,
    visitor::Visitor,
    wire::{Frame, Wire, frame, ssl_request, startup, zero},
};

struct Site {
    gateway: Gateway,
    provider: Provider,
    console: u16,
}

fn site() -> &'static Site {
    static SHARED: OnceLock<Site> = OnceLock::new();
    SHARED.get_or_init(|| {
        let console = free_port();
        let provider = Plan::new()
            .service("robot", "the-secret-of-the-robot", &["everyone"])
            .service("stranger", "the-secret-of-the-stranger", &["nobody"])
            .start();
        let gateway = Setup::new(Bundle::allow_all(), Postgres::shared())
            .file("client.secret", CLIENT_SECRET)
            .line("access:\n  store: { directory: access }\n  key_file: access.key")
            .line(&format!(
                "console:\n  listen: \"127.0.0.1:{console}\"\n  url: \"http://127.0.0.1:{console}\"\n  plain: true"
            ))
            .line(&format!(
                "identity:\n  tokens_as_passwords: true\n  oauth: idp\n  issuers:\n    idp:\n      url: \"{}\"\n      \
                 client_id: {CLIENT_ID}\n      client_secret: {{ file: client.secret }}\n      \
                 audiences: [\"{AUDIENCE}\"]",
                provider.issuer()
            ))
            .start();
        Site { gateway, provider, console }
    })
}

impl Site {
    fn token(&self) -> String {
        self.provider.service_token("robot", "the-secret-of-the-robot")
    }

    /// psql with these connection parameters and this password.
    fn psql(&self, user: &str, password: &str, parameters: &str) -> Finished {
        let folder = Folder::new("proofs");
        let ca = folder.write("ca.crt", &Authority::shared().certificate);
        let endpoint = self.gateway.endpoint(user).with_user(user, password).with_sslmode("verify-full");
        let (ca, database) = (ca.display(), &endpoint.database);
        let connection = format!("dbname={database} host=localhost hostaddr=127.0.0.1 sslrootcert={ca} {parameters}");
        clients::psql(&endpoint, &["-A", "-t", "-d", &connection, "-c", "select 'in'"], "")
    }

    /// Inside TLS, after the start-up packet: the first answer.
    fn asked(&self, parameters: &[(&str, &str)]) -> (Wire, Frame) {
        let mut wire = Wire::open(self.gateway.port());
        wire.send(&ssl_request());
        assert_eq!(wire.raw(1).unwrap(), b"S");
        wire.start_tls(trusting(&[]));
        let database = self.gateway.endpoint("x").database;
        let mut all = vec![("database", &*database)];
        all.extend_from_slice(parameters);
        wire.send(&startup(0x0003_0000, &all));
        let first = wire.read().unwrap();
        (wire, first)
    }
}

impl Site {
    /// Waits until the audit log tells all of these.
    #[track_caller]
    fn recorded(&self, words: &[&str]) {
        let mut shown = String::new();
        // The end of a log that is being written can be a block that is not there yet: then what is told so far counts.
        wait_until("the records are there", PATIENCE, || {
            shown = self.gateway.tidegate(&["audit", "show", "audit"]).text();
            words.iter().all(|word| shown.contains(word))
        });
    }
}

/// SASLInitialResponse.
fn initial(mechanism: &str, message: &str) -> Vec<u8> {
    let mut body = zero(mechanism);
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message.as_bytes());
    frame(b'p', &body)
}

fn state(frame: &Frame) -> String {
    frame.field(b'C').unwrap_or_else(|| panic!("no error: {frame:?}"))
}

#[test]
fn psql_and_psycopg_show_a_token_as_password() {
    let site = site();
    let token = site.token();
    assert!(token.len() > 300, "a JWT");
    for (user, options) in [("token", ""), ("robot", "options='-c tidegate.auth=token'")] {
        let done = site.psql(user, &token, options).success();
        assert_eq!(done.text(), "in\n", "{user}");
    }
    // psql is told to do nothing but SCRAM: it is not asked for the token in clear.
    let strict = site.psql("token", &token, "require_auth=scram-sha-256");
    assert_ne!(strict.code, 0);

    let folder = Folder::new("proofs");
    let ca = folder.write("ca.crt", &Authority::shared().certificate);
    let endpoint = site.gateway.endpoint("token").with_user("token", &token).with_sslmode("verify-full");
    let script = "import os, psycopg\n\
                  with psycopg.connect(host='localhost', sslrootcert=os.environ['CA']) as c:\n    \
                  print(c.execute('select 6 * 7').fetchone()[0])\n";
    let mut command = clients::python_program(&endpoint);
    command.args(["-c", script]).env("CA", ca).env_remove("PGHOST");
    let done = run(&mut command, b"", clients::LIMIT).success();
    assert_eq!(done.text(), "42\n");

    // Somebody else's name, a token that was changed, one without rights here.
    let other = site.psql("app2", &token, "options='-c tidegate.auth=token'");
    assert_ne!(other.code, 0);
    let middle = token.len() / 2;
    let changed = if token.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let changed = format!("{}{changed}{}", &token[..middle], &token[middle + 1..]);
    let refused = site.psql("token", &changed, "");
    assert!(refused.code != 0 && refused.both().contains("authentication failed"), "{}", refused.both());
    let stranger = site.provider.service_token("stranger", "the-secret-of-the-stranger");
    assert_ne!(site.psql("token", &stranger, "").code, 0);

    let log = site.gateway.log();
    let audit = std::fs::read_dir(site.gateway.folder.path().join("audit")).unwrap();
    for secret in [&token, &changed, &stranger] {
        let part = &secret[secret.len() - 40..];
        assert!(!log.contains(part), "a token in the log");
        for file in std::fs::read_dir(site.gateway.folder.path().join("audit")).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
            assert!(!bytes.windows(40).any(|w| w == part.as_bytes()), "a token in the audit log");
        }
    }
    assert!(audit.count() > 0);
}

#[test]
fn no_token_is_asked_for_outside_of_tls() {
    let site = site();
    for (user, extra) in [
        ("token", ("application_name", "x")),
        ("oauth", ("application_name", "x")),
        ("robot", ("tidegate.auth", "token")),
    ] {
        let mut wire = Wire::open(site.gateway.port());
        let database = site.gateway.endpoint("x").database;
        wire.send(&startup(0x0003_0000, &[("user", user), ("database", &database), extra]));
        let answer = wire.read().unwrap();
        assert_eq!((answer.tag, state(&answer).as_str()), (b'E', "28000"), "{user}: {answer:?}");
        assert!(wire.closes());
    }
    // What is offered does not tell who is in the users file, and no token logs in under such a name.
    for user in ["app", "robot", "nobody at all"] {
        let (_, asked) = site.asked(&[("user", user)]);
        assert_eq!(asked.body[4..], *b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0OAUTHBEARER\0\0", "{user}: {asked:?}");
        let (mut wire, asked) = site.asked(&[("user", user), ("tidegate.auth", "token")]);
        assert_eq!((asked.tag, asked.body.as_slice()), (b'R', &3u32.to_be_bytes()[..]), "{user}");
        wire.send(&frame(b'p', &zero(if user == "robot" { "a.b.c".to_owned() } else { site.token() }.as_str())));
        assert_eq!(state(&wire.read().unwrap()), "28000", "{user}");
    }
    // All of it is in the log, and what was shown is not.
    site.recorded(&["token_in_clear", "other_user"]);
}

#[test]
fn a_password_in_clear_is_no_answer_to_scram() {
    let site = site();
    let (mut wire, asked) = site.asked(&[("user", "app")]);
    assert_eq!(asked.tag, b'R');
    wire.send(&frame(b'p', &zero("a password")));
    assert_eq!(state(&wire.read().unwrap()), "08P01");
    assert!(wire.closes());
    // Plaintext behind the request for TLS is not read as if it had come inside.
    let mut wire = Wire::open(site.gateway.port());
    let mut flight = ssl_request();
    flight.extend(startup(0x0003_0000, &[("user", "token"), ("database", "plain")]));
    wire.send(&flight);
    let answer = wire.to_end();
    assert!(!answer.starts_with(b"S"), "{answer:?}");
}

#[test]
fn oauthbearer_is_spoken_as_postgresql_18_does() {
    let site = site();
    let token = site.token();
    for parameters in [&[("user", "robot")][..], &[("user", "oauth")], &[("user", "robot"), ("tidegate.auth", "oauth")]]
    {
        let (mut wire, _) = site.asked(parameters);
        wire.send(&initial("OAUTHBEARER", &format!("n,,\x01auth=Bearer {token}\x01\x01")));
        let done = wire.read().unwrap();
        assert_eq!((done.tag, done.body.as_slice()), (b'R', &[0; 4][..]), "{parameters:?}: {done:?}");
        wire.until_ready(1);
        assert_eq!(wire.query("select 1")[1].values()[0].as_deref(), Some(&b"1"[..]));
    }
    // Who marks it is offered nothing else, since libpq takes SCRAM where it is offered.
    let (_, asked) = site.asked(&[("user", "oauth")]);
    assert_eq!(asked.body[4..], *b"OAUTHBEARER\0\0");

    let discovery: Value = json!({
        "status": "invalid_token", "scope": "openid",
        "openid-configuration": format!("{}/.well-known/openid-configuration", site.provider.issuer()),
    });
    for message in
        ["n,,\x01auth=\x01\x01".to_owned(), format!("n,,\x01auth=Bearer {}x\x01\x01", &token[..token.len() - 9])]
    {
        let (mut wire, _) = site.asked(&[("user", "oauth")]);
        wire.send(&initial("OAUTHBEARER", &message));
        let failure = wire.read().unwrap();
        assert_eq!((failure.tag, &failure.body[..4]), (b'R', &11u32.to_be_bytes()[..]), "{failure:?}");
        let said: Value = serde_json::from_slice(&failure.body[4..]).unwrap();
        assert_eq!(said["status"], discovery["status"]);
        assert_eq!(said["openid-configuration"], discovery["openid-configuration"]);
        assert!(said["scope"].as_str().unwrap().contains("openid"));
        wire.send(&frame(b'p', b"\x01"));
        assert_eq!(state(&wire.read().unwrap()), "28000");
        assert!(wire.closes());
    }
    for (message, expected) in [
        (format!("n,a=app,\x01auth=Bearer {token}\x01\x01"), "08P01"),
        (format!("p=tls-server-end-point,,\x01auth=Bearer {token}\x01\x01"), "08P01"),
        (format!("n,,\x01auth=Bearer {token}\x01auth=Bearer {token}\x01\x01"), "08P01"),
        (format!("n,,\x01auth=Bearer {}\x01\x01", "a".repeat(17 << 10)), "08P01"),
    ] {
        let (mut wire, _) = site.asked(&[("user", "oauth")]);
        wire.send(&initial("OAUTHBEARER", &message));
        assert_eq!(state(&wire.read().unwrap()), expected);
    }
    // Another person's token under a name is refused.
    let stranger = site.provider.service_token("stranger", "the-secret-of-the-stranger");
    let (mut wire, _) = site.asked(&[("user", "robot")]);
    wire.send(&initial("OAUTHBEARER", &format!("n,,\x01auth=Bearer {stranger}\x01\x01")));
    assert_eq!(wire.read().unwrap().body[..4], 11u32.to_be_bytes());
}

#[test]
fn certificates_are_made_for_who_is_signed_in_and_end_with_that() {
    let site = site();
    let visitor = Visitor::new(site.console);
    let signed_in = visitor.api("POST", "/login/token", "", &json!({"token": site.token()})).ok().json();
    let bearer = signed_in["token"].as_str().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let ask = json!({"public_key": key.public_key_pem()});
    assert_eq!(visitor.api("POST", "/certificates", "", &ask).status, 401);
    assert_eq!(visitor.api("POST", "/certificates", bearer, &json!({"public_key": "x"})).status, 400);
    let made = visitor.api("POST", "/certificates", bearer, &ask).ok().json();
    assert_eq!(made["user"], "robot");

    let folder = Folder::new("certificate");
    let shows = |certificate: &str, key: &str| {
        let certificate = folder.write("client.crt", certificate);
        let key = folder.write("client.key", key);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!("sslcert={} sslkey={}", certificate.display(), key.display())
    };
    let certificate = made["certificate"].as_str().unwrap();
    let own = shows(certificate, &key.serialize_pem());
    assert_eq!(site.psql("robot", "", &own).success().text(), "in\n");
    // It proves nobody else, not even with a password: what was shown does not fit the name.
    let other = site.psql("somebody", "", &own);
    assert!(other.code != 0 && other.both().contains("certificate"), "{}", other.both());
    // A user of the users file is asked for a password as ever.
    assert_eq!(site.psql("app", tests::server::PASSWORD, &own).success().text(), "in\n");

    // No authority but the gateway's own, and no certificate as an authority.
    let foreign = Authority::shared().client("robot");
    assert_ne!(site.psql("robot", "", &shows(&foreign.certificate, &foreign.key)).code, 0);
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "robot");
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let mut issuer = rcgen::CertificateParams::default();
    issuer.distinguished_name = rcgen::DistinguishedName::new();
    issuer.distinguished_name.push(rcgen::DnType::CommonName, "robot");
    let forged_key = rcgen::KeyPair::generate().unwrap();
    let secret = key.serialize_pem();
    let issuer = rcgen::Issuer::new(issuer, key);
    let forged = parameters.signed_by(&forged_key, &issuer).unwrap();
    let chain = format!("{}{certificate}", forged.pem());
    assert_ne!(site.psql("robot", "", &shows(&chain, &forged_key.serialize_pem())).code, 0);

    // Signed out: the certificate is still valid in itself, and of nobody any more.
    let own = shows(certificate, &secret);
    assert_eq!(site.psql("robot", "", &own).success().text(), "in\n");
    assert!(visitor.api("POST", "/logout", bearer, &Value::Null).status < 300);
    let over = site.psql("robot", "", &own);
    assert!(over.code != 0 && over.both().contains("no longer"), "{}", over.both());
}

#[test]
fn the_command_line_gets_a_certificate_whose_key_never_leaves_it() {
    let site = site();
    let folder = Folder::new("login");
    let token = folder.write("token", site.token());
    let tidegate = |arguments: &[&str]| {
        let mut command = Command::new(program("tidegate"));
        command.args(arguments).env("XDG_STATE_HOME", folder.path()).env("HOME", folder.path());
        run(&mut command, b"", clients::LIMIT)
    };
    let console = format!("http://127.0.0.1:{}", site.console);
    let done = tidegate(&["login", &console, "--token-file", token.to_str().unwrap(), "--certificate"]).success();
    let kept = |name: &str| folder.path().join("tidegate").join(name);
    let (certificate, key) = (kept("client.crt"), kept("client.key"));
    assert!(done.text().contains("sslcert="), "{}", done.text());
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let shows = format!("sslcert={} sslkey={}", certificate.display(), key.display());
    assert_eq!(site.psql("robot", "", &shows).success().text(), "in\n");
    tidegate(&["logout"]).success();
    assert!(!certificate.exists() && !key.exists());
}
