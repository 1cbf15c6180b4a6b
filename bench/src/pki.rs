//! A certificate for loopback, made for each run and trusted by its clients alone.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, RootCertStore, client::Resumption};

use crate::{
    failure::{Doing, Result},
    process::Account,
};

/// The certificate, where servers read it, and what clients need to trust it.
#[derive(Clone, Debug)]
pub struct Pki {
    /// PEM file of the certificate.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// What clients connect with.
    pub client: Arc<ClientConfig>,
}

impl Pki {
    /// Makes them in `folder`, which exists.
    ///
    /// # Errors
    /// Files cannot be written.
    pub fn new(folder: &Path) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])
            .doing("make a certificate")?;
        let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
        write_owned(&certificate, &made.cert.pem())?;
        write_owned(&key, &made.signing_key.serialize_pem())?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).doing("trust a certificate")?;
        let mut client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .doing("set TLS up")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // PostgreSQL's own clients begin every session anew.
        client.resumption = Resumption::disabled();
        Ok(Self { certificate, key, client: Arc::new(client) })
    }
}

/// Writes a file that servers running as [`Account::Postgres`] read, and nobody else.
///
/// # Errors
/// It cannot be written.
pub fn write_owned(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::{PermissionsExt, chown};
    fs::write(path, text).doing(format!("write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).doing(format!("protect {}", path.display()))?;
    match Account::Postgres.ids()? {
        Some((uid, gid)) => chown(path, Some(uid), Some(gid)).doing(format!("give {} away", path.display())),
        None => Ok(()),
    }
}
