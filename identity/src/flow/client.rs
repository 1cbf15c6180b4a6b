//! Client credentials (RFC 6749, section 4.4): a service gets a token for itself, which it then presents.

use super::{ask, endpoint, members, secret};
use crate::{
    fault::Error,
    issuer::{ClientAuth, Issuer},
    provider::Provider,
    secret::Secret,
};

/// What a service asks with.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// The issuer.
    pub issuer: String,
    /// The service's client identifier.
    pub client_id: String,
    /// How it proves itself.
    pub auth: ClientAuth,
    /// Scope to ask for.
    pub scope: Option<String>,
    /// What the token is for (RFC 8707): the gateway's audience.
    pub resource: Option<String>,
    /// Trusted authorities for TLS to the issuer, PEM.
    pub authorities: Option<std::path::PathBuf>,
}

/// Gets an access token at this time (seconds since 1970).
///
/// # Errors
/// The issuer cannot be reached, or refuses.
pub fn client_credentials(ask_with: &ClientCredentials, now: u64) -> Result<Secret, Error> {
    const WHAT: &str = "a token for a service";
    let issuer = Issuer {
        client_auth: ask_with.auth.clone(),
        authorities: ask_with.authorities.clone(),
        ..Issuer::people("service", &ask_with.issuer, &ask_with.client_id)
    };
    let provider = Provider::new(issuer).map_err(|why| Error::provider(WHAT, why))?;
    let metadata = provider.metadata()?;
    let url = endpoint(metadata.token.as_ref(), "its provider has no token endpoint")?;
    let mut fields = vec![("grant_type", "client_credentials")];
    if let Some(scope) = &ask_with.scope {
        fields.push(("scope", scope));
    }
    if let Some(resource) = &ask_with.resource {
        fields.push(("resource", resource));
    }
    let tokens = members(WHAT, &ask(&provider, &metadata, WHAT, url, &fields, now)?)?;
    secret(&tokens, "access_token").ok_or(Error::Answer("it has no access token"))
}
