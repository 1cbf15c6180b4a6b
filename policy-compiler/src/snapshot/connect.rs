//! A connection to a target for catalog queries and samples.
//!
//! On the caller's tokio runtime (a current-thread one is enough). Passwords are arguments; nothing is read from the
//! environment here.

use std::path::PathBuf;
use std::time::Duration;

use policy::model::UpstreamTls;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Error, tls};

const CONNECT_SECONDS: u64 = 10;

/// Where and how to connect.
#[derive(Clone)]
pub struct Options {
    /// `host:port`.
    pub address: String,
    /// Database.
    pub database: String,
    /// Account.
    pub user: String,
    /// Its password, if it needs one.
    pub password: Option<String>,
    /// TLS.
    pub tls: UpstreamTls,
    /// PEM file of authorities to trust; the system's if not given.
    pub ca: Option<PathBuf>,
}

/// Connects. The connection's own work runs as a task of the current runtime and ends when the client is dropped.
///
/// # Errors
/// A wrong setting, or the server's or the TLS error.
pub async fn connect(options: &Options) -> Result<Client, Error> {
    let (host, port) = options
        .address
        .rsplit_once(':')
        .and_then(|(h, p)| p.parse::<u16>().ok().map(|p| (h.trim_start_matches('[').trim_end_matches(']'), p)))
        .ok_or_else(|| Error::Setting(format!("`{}` is not host:port", options.address)))?;
    let mut config = Config::new();
    config
        .host(host)
        .port(port)
        .dbname(&options.database)
        .user(&options.user)
        .application_name("tidegate")
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS));
    if let Some(password) = &options.password {
        config.password(password);
    }
    let failed = |e: tokio_postgres::Error| match Error::from(e) {
        Error::Server(m) => Error::Server(format!("{}: {m}{}", options.address, way_out(&m))),
        other => other,
    };
    if options.tls == UpstreamTls::Disable {
        config.ssl_mode(SslMode::Disable);
        let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
        // Its error also reaches every request of the client.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    } else {
        config.ssl_mode(SslMode::Require);
        let tls = MakeRustlsConnect::new(tls::config(options.tls, options.ca.as_deref())?);
        let (client, connection) = config.connect(tls).await.map_err(failed)?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

/// What can be done about the usual mistakes of a first connection.
fn way_out(error: &str) -> &'static str {
    if error.contains("does not support TLS") {
        "; where nobody can listen, `tls: disable` of the target (or --tls disable) does without"
    } else if error.contains("UnknownIssuer") {
        "; name the authority with --ca"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    #[test]
    fn a_server_without_tls_is_told_with_the_way_to_do_without() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            // SSLRequest, and the answer of a server that has none.
            socket.read_exact(&mut [0; 8]).unwrap();
            socket.write_all(b"N").unwrap();
        });
        let options = Options {
            address: address.clone(),
            database: "d".into(),
            user: "u".into(),
            password: None,
            tls: UpstreamTls::Require,
            ca: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(connect(&options)).map(drop).unwrap_err().to_string();
        server.join().unwrap();
        assert!(error.starts_with(&address) && error.contains("--tls disable"), "{error}");
    }
}
