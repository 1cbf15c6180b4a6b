//! TLS on both sides.

use crate::{
    plain::{direct, through},
    transparency::same,
};
use tests::{
    canary,
    certificates::Authority,
    clients,
    folder::Folder,
    gateway::{Gateway, Setup},
    process::{Finished, PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    tls::trusting,
    wire::{Wire, gss_request, query, ssl_request, startup, tags},
};

/// psql with the authority's certificate and these connection parameters.
fn psql(gateway: &Gateway, user: &str, parameters: &str) -> Finished {
    let folder = Folder::new("tls");
    let ca = folder.write("ca.crt", &Authority::shared().certificate);
    let endpoint = gateway.endpoint(user).with_sslmode("prefer");
    let connection = format!("host=localhost hostaddr=127.0.0.1 sslrootcert={} {parameters}", ca.display());
    clients::psql(&endpoint, &["-A", "-t", "-d", &connection, "-c", "select 'in'", "-c", "\\conninfo"], "")
}

#[test]
fn psql_verifies_the_gateway_and_binds_the_channel() {
    let gateway = Gateway::transparent();
    let database = gateway.endpoint("app").database;
    let done =
        psql(gateway, "app", &format!("dbname={database} sslmode=verify-full channel_binding=require")).success();
    assert!(done.text().starts_with("in\n") && done.text().contains("TLSv1.3"), "{}", done.text());
}

#[test]
fn old_tls_versions_are_refused() {
    let gateway = Gateway::transparent();
    let database = gateway.endpoint("app").database;
    let range = "ssl_min_protocol_version=TLSv1 ssl_max_protocol_version=TLSv1.1";
    let done = psql(gateway, "app", &format!("dbname={database} sslmode=require {range}"));
    assert_ne!(done.code, 0, "{}", done.both());
    psql(gateway, "app", &format!("dbname={database} sslmode=require ssl_max_protocol_version=TLSv1.2")).success();
}

#[test]
fn everything_works_inside_tls() {
    let script = include_str!("../../clients/transparency.sql");
    same(&["22012"], |endpoint| clients::psql(&endpoint.with_sslmode("require"), &["-a", "-e"], script));
    let endpoint = through().with_sslmode("require");
    let large = clients::rows(&endpoint, "select repeat('t', 5000000)").success();
    assert_eq!(large.stdout.len(), 5_000_001);
}

#[test]
fn masks_hold_inside_tls() {
    let done =
        clients::rows(&Gateway::clinic().endpoint("ana").with_sslmode("require"), "select * from clinic.patients")
            .success();
    assert_eq!(done.text().lines().count(), 240);
    canary::assert_none("rows inside TLS", &done.stdout);
}

#[test]
fn direct_tls_needs_the_protocol_name() {
    let endpoint = through();
    let mut wire = Wire::open(endpoint.port);
    wire.start_tls(trusting(&["postgresql"]));
    assert!(wire.try_login(&endpoint, &[]).is_none());
    assert_eq!(tags(&wire.query("select 1")), "TDCZ");
    for alpn in [&[][..], &["http/1.1"][..]] {
        let mut wire = Wire::open(endpoint.port);
        wire.start_tls(trusting(alpn));
        wire.send(&startup(0x0003_0000, &[("user", "app"), ("database", &endpoint.database)]));
        assert!(wire.closes(), "direct TLS offering {alpn:?} is refused");
    }
}

#[test]
fn tls_after_ssl_request_works_with_and_without_the_protocol_name() {
    for alpn in [&[][..], &["postgresql"][..]] {
        let endpoint = through();
        let mut wire = Wire::open(endpoint.port);
        wire.send(&ssl_request());
        assert_eq!(wire.raw(1).unwrap(), b"S");
        wire.start_tls(trusting(alpn));
        assert!(wire.try_login(&endpoint, &[]).is_none());
        assert_eq!(tags(&wire.query("select 1")), "TDCZ");
    }
}

#[test]
fn s1_plaintext_after_an_ssl_request_is_never_processed() {
    let endpoint = through();
    let hello = startup(0x0003_0000, &[("user", "app"), ("database", &endpoint.database)]);
    for injected in [hello.clone(), query("select 1"), vec![0x16], ssl_request()] {
        let mut wire = Wire::open(endpoint.port);
        wire.send(&[ssl_request(), injected].concat());
        let answer = wire.to_end();
        assert!(
            answer.is_empty() || answer == b"S" || answer.first() == Some(&b'E') || answer.get(1) == Some(&0x15),
            "{answer:?}"
        );
    }
    // The same with the injected bytes a moment later but before the TLS handshake.
    let mut wire = Wire::open(endpoint.port);
    wire.send(&ssl_request());
    assert_eq!(wire.raw(1).unwrap(), b"S");
    wire.send(&hello);
    let answer = wire.to_end();
    assert!(!answer.starts_with(b"R"), "plaintext was processed after TLS was agreed: {answer:?}");
}

#[test]
fn s1_gss_encryption_is_refused_and_login_goes_on() {
    let endpoint = through();
    let mut wire = Wire::open(endpoint.port);
    wire.send(&gss_request());
    assert_eq!(wire.raw(1).unwrap(), b"N");
    wire.send(&ssl_request());
    assert_eq!(wire.raw(1).unwrap(), b"S");
    wire.start_tls(trusting(&[]));
    assert!(wire.try_login(&endpoint, &[]).is_none());
}

#[test]
fn s1_bytes_behind_a_gss_request_are_not_read_as_a_login() {
    let mut wire = Wire::open(through().port);
    wire.send(&[gss_request(), startup(0x0003_0000, &[("user", "app")])].concat());
    let answer = wire.to_end();
    assert_eq!(answer.first(), Some(&b'E'), "{answer:?}");
}

#[test]
fn s2_a_gateway_that_requires_tls_refuses_plaintext() {
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).tls_required().start();
    let endpoint = gateway.endpoint("app");
    let refused = Wire::open(endpoint.port).try_login(&endpoint, &[]).expect("plaintext is refused");
    assert_eq!(refused.field(b'C').as_deref(), Some("28000"), "{refused:?}");
    clients::rows(&endpoint.with_sslmode("require"), "select 1").success();
}

#[test]
fn the_upstream_is_verified_in_full() {
    let server = Postgres::shared();
    direct();
    let trusted =
        Setup::new(Bundle::allow_all(), server).upstream_tls("verify-full", "localhost", Authority::shared()).start();
    let encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    assert_eq!(clients::rows(&trusted.endpoint("app"), encrypted).success().text().trim(), "t");

    let stranger = Authority::new();
    for mode in ["verify-full", "verify-ca"] {
        let setup = Setup::new(Bundle::allow_all(), server).upstream_tls(mode, "localhost", &stranger);
        assert_no_session(&setup, mode);
    }
    let unchecked = Setup::new(Bundle::allow_all(), server).upstream_tls("require", "localhost", &stranger).start();
    clients::rows(&unchecked.endpoint("app"), "select 1").success();
}

/// The gateway does not start, or starts and cannot serve; in no case does a session come about.
#[track_caller]
fn assert_no_session(setup: &Setup, what: &str) {
    let gateway = setup.launch();
    let try_it = || {
        let done = clients::rows(&gateway.endpoint("app"), "select 'in'");
        assert!(!done.text().contains("in"), "{what}: a session through an upstream that cannot be trusted");
    };
    wait_until(&format!("{what}: the reason is logged"), PATIENCE, || {
        try_it();
        gateway.log().to_lowercase().contains("certificate")
    });
    for _ in 0..5 {
        try_it();
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

#[test]
fn an_upstream_without_tls_is_refused_when_tls_is_asked_for() {
    let plain = Postgres::start("ssl = off");
    let setup = Setup::new(Bundle::allow_all(), &plain).upstream_tls("verify-full", "localhost", Authority::shared());
    let gateway = setup.launch();
    wait_until("the reason is logged", PATIENCE, || {
        let done = clients::rows(&gateway.endpoint("app"), "select 'in'");
        assert!(!done.text().contains("in"), "no fallback to plaintext");
        gateway.log().contains("TLS")
    });
}
