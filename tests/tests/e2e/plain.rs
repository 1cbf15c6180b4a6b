//! Database `plain`: what the transparency tests read and write, made once per test process.

use std::sync::Once;
use tests::{endpoint::Endpoint, gateway::Gateway, server::Postgres};

/// The database as reached directly.
pub(crate) fn direct() -> Endpoint {
    static LOADED: Once = Once::new();
    let server = Postgres::shared();
    LOADED.call_once(|| {
        let script = include_str!("plain.sql");
        server.sql("plain", &format!("set role app; grant create on schema public to app;\n{script}"));
        server.sql("plain", "vacuum analyze");
    });
    server.endpoint("plain", "app")
}

/// The same database, as the same user, through the gateway that allows everything.
pub(crate) fn through() -> Endpoint {
    direct();
    Gateway::transparent().endpoint("app")
}
