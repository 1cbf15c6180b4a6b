//! What an issuer is configured to be.
//!
//! The address is the identity of the issuer and is compared byte for byte. Deliberately absent: reading this from a file,
//! which is the program's.

use crate::{algorithm::Algorithm, rule::Rule, secret::Secret, signer::Signer};
use std::{path::PathBuf, sync::Arc};
use url::{Host, Url};

/// An issuer of tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Short name, for people and for configuration.
    pub name: String,
    /// The issuer, exactly as it stands in its tokens. `spiffe://trust-domain` for JWT-SVIDs without an issuer.
    pub url: String,
    /// Whose tokens it makes.
    pub kind: IssuerKind,
    /// The gateway's client identifier; needed for sign-in of people.
    pub client_id: Option<String>,
    /// How the gateway proves that it is that client.
    pub client_auth: ClientAuth,
    /// Scopes to ask for, beside `openid`.
    pub scopes: Vec<String>,
    /// The `resource` to ask for (RFC 8707), where a provider needs one to make tokens for this gateway.
    pub resource: Option<String>,
    /// Audiences that mean this gateway, for tokens that are presented to it.
    pub audiences: Vec<String>,
    /// Audiences that may stand beside one of those.
    pub audiences_beside: Vec<String>,
    /// Algorithms that signatures may have.
    pub algorithms: Vec<Algorithm>,
    /// Type that presented tokens have.
    pub token_type: TokenType,
    /// Longest life of a presented token in seconds, if limited.
    pub lifetime_max: Option<u64>,
    /// A presented token signs in once. Issuers whose tokens are files that are read again need `false`.
    pub one_time: bool,
    /// Seconds that a sign-in by a presented token lasts; as long as the token if absent.
    pub sign_in_seconds: Option<u64>,
    /// Where groups come from.
    pub groups: Groups,
    /// Claims for the name of a person, the first that is there.
    pub name_claims: Vec<String>,
    /// Rules that give groups by other claims. A workload that meets none is refused.
    pub rules: Vec<Rule>,
    /// Where its keys are.
    pub keys: KeySource,
    /// Trusted authorities for TLS to it, PEM; the system's if absent.
    pub authorities: Option<PathBuf>,
}

/// Whose tokens an issuer makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerKind {
    /// People sign in there; services may have accounts there too.
    People,
    /// Workloads alone: jobs, pods, agents.
    Workload,
}

/// How a client proves itself at the token endpoint.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// Not at all: a public client.
    Public,
    /// By a secret.
    Secret(Secret),
    /// By a signed assertion (`private_key_jwt`, RFC 7523).
    PrivateKey(Arc<Signer>),
}

/// The type of presented tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// `at+jwt` (RFC 9068).
    AccessToken,
    /// `JWT`, `JOSE` or none, as workload issuers and some providers have it.
    Jwt,
}

/// Groups out of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// The claim, or a JSON pointer to it.
    pub claim: String,
    /// Put in front of each, so that two issuers cannot mean the same group by accident.
    pub prefix: String,
    /// If given, the only ones that are taken.
    pub only: Option<Vec<String>>,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Where its discovery document says.
    Discovery,
    /// At this address.
    Url(String),
    /// In this file, which is read again when it has to be.
    File(PathBuf),
}

impl Issuer {
    /// An issuer for people, with what most need.
    #[must_use]
    pub fn people(name: &str, url: &str, client_id: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            kind: IssuerKind::People,
            client_id: Some(client_id.to_owned()),
            client_auth: ClientAuth::Public,
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            resource: None,
            audiences: Vec::new(),
            audiences_beside: Vec::new(),
            algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
            token_type: TokenType::AccessToken,
            lifetime_max: None,
            one_time: true,
            sign_in_seconds: None,
            groups: Groups { claim: "groups".to_owned(), prefix: String::new(), only: None },
            name_claims: vec!["preferred_username".to_owned(), "email".to_owned()],
            rules: Vec::new(),
            keys: KeySource::Discovery,
            authorities: None,
        }
    }

    /// An issuer for workloads, with what most need.
    #[must_use]
    pub fn workload(name: &str, url: &str, audience: &str) -> Self {
        Self {
            kind: IssuerKind::Workload,
            client_id: None,
            scopes: Vec::new(),
            audiences: vec![audience.to_owned()],
            token_type: TokenType::Jwt,
            // Such tokens live for minutes, what they are for takes longer.
            sign_in_seconds: Some(3600),
            name_claims: Vec::new(),
            ..Self::people(name, url, "")
        }
    }

    /// The trust domain, if it is one of SPIFFE.
    #[must_use]
    pub fn trust_domain(&self) -> Option<&str> {
        self.url.strip_prefix("spiffe://")
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut say = |text: &str| problems.push(text.to_owned());
        if self.name.is_empty() || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            say("the name of an issuer has letters, digits, `-` and `_` only");
        }
        if let Some(domain) = self.trust_domain() {
            if domain.is_empty() || domain.contains('/') {
                say("a trust domain is written `spiffe://example.org`");
            }
            if self.keys == KeySource::Discovery {
                say("a trust domain has no discovery document; give `keys_url` or `keys_file`");
            }
            if self.kind == IssuerKind::People {
                say("a trust domain is an issuer of workloads");
            }
        } else if let Err(why) = check_address(&self.url, loopback(&self.url)) {
            say(&format!("`url`: {why}"));
        } else if self.url.contains(['?', '#']) {
            say("`url`: an issuer has no query and no fragment");
        }
        if let KeySource::Url(url) = &self.keys
            && let Err(why) = check_address(url, loopback(url))
        {
            say(&format!("`keys_url`: {why}"));
        }
        if self.algorithms.is_empty() {
            say("no algorithms are allowed");
        }
        if self.audiences.iter().chain(&self.audiences_beside).any(String::is_empty) {
            say("an audience is empty");
        }
        match self.kind {
            IssuerKind::People => {
                if self.client_id.as_deref().is_none_or(str::is_empty) {
                    say("sign-in of people needs `client_id`");
                }
                // An ID token is for the client, so it must never pass for a token that is presented.
                if self.token_type == TokenType::Jwt
                    && self.client_id.as_ref().is_some_and(|id| self.audiences.contains(id))
                {
                    say("the client identifier cannot be an audience of tokens that have no type of their own: \
                         a sign-in's ID token would pass for one");
                }
            }
            IssuerKind::Workload => {
                if self.audiences.is_empty() {
                    say("workloads need an audience that means this gateway and no other");
                }
                if self.rules.is_empty() {
                    say("workloads need rules: which claims give which groups");
                }
            }
        }
        problems.extend(self.rules.iter().flat_map(Rule::problems));
        problems
    }
}

/// Whether an address is on this machine.
pub(crate) fn loopback(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    })
}

/// Checks an address of a provider. Without TLS only on this machine, and only if the issuer is there too.
pub(crate) fn check_address(address: &str, plain: bool) -> Result<(), &'static str> {
    let url = Url::parse(address).map_err(|_| "it is not an address")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address with a user name or password is refused");
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if plain && loopback(address) => Ok(()),
        "http" => Err("it has to be https (http only on this machine)"),
        _ => Err("it has to be https"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(claim: &str, pattern: &str) -> Rule {
        Rule { when: vec![(claim.to_owned(), pattern.into())], groups: vec!["g".to_owned()], name: None }
    }

    #[test]
    fn sound_issuers_have_no_problems() {
        let people = Issuer::people("corp", "https://id.example.com/realms/a", "tidegate");
        assert_eq!(people.problems(), Vec::<String>::new());
        let mut jobs = Issuer::workload("ci", "https://token.actions.githubusercontent.com", "tidegate");
        jobs.rules.push(rule("repository_id", "74"));
        assert_eq!(jobs.problems(), Vec::<String>::new());
        let local = Issuer::people("dev", "http://127.0.0.1:3000", "tidegate");
        assert_eq!(local.problems(), Vec::<String>::new());
    }

    #[test]
    fn unsound_issuers_are_named() {
        let people = || Issuer::people("corp", "https://id.example.com", "tidegate");
        let with = |change: &dyn Fn(&mut Issuer)| {
            let mut issuer = people();
            change(&mut issuer);
            issuer.problems().join("; ")
        };
        assert!(with(&|i| i.url = "http://id.example.com".into()).contains("https"));
        assert!(with(&|i| i.url = "https://id.example.com?x".into()).contains("query"));
        assert!(with(&|i| i.url = "https://a:b@id.example.com".into()).contains("password"));
        assert!(with(&|i| i.url = "ftp://id.example.com".into()).contains("https"));
        assert!(with(&|i| i.client_id = None).contains("client_id"));
        assert!(with(&|i| i.algorithms.clear()).contains("algorithms"));
        assert!(
            with(&|i| {
                i.token_type = TokenType::Jwt;
                i.audiences = vec!["tidegate".into()];
            })
            .contains("ID token")
        );
        let mut jobs = Issuer::workload("ci", "https://token.actions.githubusercontent.com", "tidegate");
        assert!(jobs.problems().join(";").contains("rules"));
        jobs.rules.push(rule("repository", "octo/app"));
        assert!(jobs.problems().join(";").contains("repository_id"));
        let mut mesh = Issuer::workload("mesh", "spiffe://example.org", "tidegate");
        mesh.rules.push(rule("sub", "spiffe://example.org/etl"));
        assert!(mesh.problems().join(";").contains("keys_url"));
        mesh.keys = KeySource::File("bundle.json".into());
        assert_eq!(mesh.problems(), Vec::<String>::new());
    }
}
