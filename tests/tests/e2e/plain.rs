//! Database `plain`: what the transparency tests read and write, made once per test process.

use std::sync::{Once, OnceLock};
use tests::{
    endpoint::Endpoint,
    gateway::{Gateway, Setup},
    rules::Bundle,
    server::Postgres,
};

/// The database as reached directly.
pub(crate) fn direct() -> Endpoint {
    static LOADED: Once = Once::new();
    let server = Postgres::shared();
    LOADED.call_once(|| load(server));
    server.endpoint("plain", "app")
}

fn load(server: &Postgres) {
    let script = include_str!("plain.sql");
    server.sql("plain", &format!("set role app; grant create on schema public to app;\n{script}"));
    server.sql("plain", "vacuum analyze");
}

/// The same database, as the same user, through the gateway that allows everything.
pub(crate) fn through() -> Endpoint {
    direct();
    Gateway::transparent().endpoint("app")
}

/// The same database on a server of its own, directly and through a gateway that allows everything. What is compared to the
/// byte lists tables, roles, settings and plans: on the shared server another test may change them between the two answers.
pub(crate) fn alone() -> &'static Sides {
    static ALONE: OnceLock<Sides> = OnceLock::new();
    ALONE.get_or_init(|| {
        let server = Postgres::start("autovacuum = off");
        load(&server);
        let gateway = Setup::new(Bundle::allow_all(), &server).start();
        Sides { direct: server.endpoint("plain", "app"), through: gateway.endpoint("app"), _run: (server, gateway) }
    })
}

/// Two ways to one database.
#[derive(Debug)]
pub(crate) struct Sides {
    /// The database as reached directly.
    pub(crate) direct: Endpoint,
    /// The same, as the same user, through a gateway.
    pub(crate) through: Endpoint,
    _run: (Postgres, Gateway),
}
