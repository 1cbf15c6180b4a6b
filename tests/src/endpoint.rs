//! Where a client connects, and as whom: the same value describes the server and the gateway, so a test runs one piece of
//! work against both.

/// Address and credentials of a PostgreSQL endpoint on loopback.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Port on 127.0.0.1.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Database.
    pub database: String,
    /// libpq's `sslmode`.
    pub sslmode: &'static str,
}

impl Endpoint {
    /// The variables libpq and its relatives read.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", "127.0.0.1".into()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.user.clone()),
            ("PGPASSWORD", self.password.clone()),
            ("PGDATABASE", self.database.clone()),
            ("PGSSLMODE", self.sslmode.into()),
            ("PGGSSENCMODE", "disable".into()),
            ("PGCONNECT_TIMEOUT", "60".into()),
            ("PGAPPNAME", "tests".into()),
        ]
    }

    /// The same endpoint with another `sslmode`.
    pub fn with_sslmode(&self, sslmode: &'static str) -> Self {
        Self { sslmode, ..self.clone() }
    }

    /// The same endpoint for another user and password.
    pub fn with_user(&self, user: &str, password: &str) -> Self {
        Self { user: user.into(), password: password.into(), ..self.clone() }
    }

    /// The same endpoint with another database.
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.into(), ..self.clone() }
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
