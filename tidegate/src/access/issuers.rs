//! The section `identity:` of the configuration: who says who people and programs are.
//!
//! Reading checks form; whether an issuer makes sense is the crate `identity`'s, and told with the line of its name.

use super::saml::SamlSettings;
use crate::config::{boolean, path, secret, within};
use crate::secrets::SecretSource;
use crate::yaml::{Node, Placed, Report, Section};
use identity::{
    Algorithm, ClientAuth, Groups, Issuer, IssuerKind, KeySource, Providers, Rule, Secret, Signer, TokenType,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How the gateway proves itself to an issuer.
#[derive(Clone, Debug)]
enum Proof {
    Public,
    Secret(Placed<SecretSource>),
    PrivateKey(Placed<PathBuf>, Option<String>),
}

/// An issuer as written: its secrets are still where they are kept.
#[derive(Clone, Debug)]
pub struct Written {
    issuer: Placed<Issuer>,
    proof: Proof,
}

/// The section `identity:`.
#[derive(Clone, Debug, Default)]
pub struct IdentitySettings {
    /// Issuers, in order.
    pub issuers: Vec<Written>,
    /// Clients of databases may show a token in the place of a password, inside TLS.
    pub tokens_as_passwords: bool,
    /// Name of the issuer whose tokens clients get for OAUTHBEARER.
    pub oauth: Option<Placed<String>>,
    /// Providers of SAML.
    pub saml: Option<SamlSettings>,
}

impl IdentitySettings {
    /// Finds secrets and keys, and puts the issuers in place.
    ///
    /// # Errors
    /// Everything that is wrong, a line each.
    pub fn providers(&self) -> Result<Providers, String> {
        let mut problems = Vec::new();
        let mut issuers = Vec::new();
        for written in &self.issuers {
            let mut issuer = written.issuer.value.clone();
            match written.proof() {
                Ok(proof) => issuer.client_auth = proof,
                Err(why) => problems.push(format!("issuer {}: {why}", issuer.name)),
            }
            issuers.push(issuer);
        }
        match Providers::new(issuers, identity::Pace::default()) {
            Ok(providers) if problems.is_empty() => Ok(providers),
            Ok(_) => Err(problems.join("\n")),
            Err(more) => {
                problems.extend(more);
                Err(problems.join("\n"))
            }
        }
    }
}

impl IdentitySettings {
    /// Tokens that clients of databases may show.
    #[must_use]
    pub fn tokens(&self) -> gateway::Tokens {
        let oauth = self.oauth.as_ref().and_then(|name| {
            let written = self.issuers.iter().find(|written| written.issuer.value.name == name.value)?;
            let issuer = &written.issuer.value;
            let mut scope = vec!["openid".to_owned()];
            scope.extend(issuer.scopes.iter().filter(|scope| *scope != "openid").cloned());
            let configuration = format!("{}/.well-known/openid-configuration", issuer.url.trim_end_matches('/'));
            Some(gateway::Discovery { configuration, scope: scope.join(" ") })
        });
        gateway::Tokens { password: self.tokens_as_passwords, oauth }
    }
}

impl Written {
    fn proof(&self) -> Result<ClientAuth, String> {
        Ok(match &self.proof {
            Proof::Public => ClientAuth::Public,
            Proof::Secret(source) => {
                let found = source.value.resolve()?;
                let text = std::str::from_utf8(found.secret.expose()).map_err(|_| "the client secret is not UTF-8")?;
                ClientAuth::Secret(Secret::new(text))
            }
            Proof::PrivateKey(path, kid) => {
                let shown = path.value.display();
                let pem = std::fs::read(&path.value).map_err(|e| format!("{shown}: {e}"))?;
                let signer = Signer::from_pem(&pem, kid.clone()).map_err(|why| format!("{shown}: {why}"))?;
                ClientAuth::PrivateKey(Arc::new(signer))
            }
        })
    }
}

/// Reads the section `identity:`.
pub(crate) fn read(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<IdentitySettings> {
    let mut section = Section::open("identity", node, &["issuers", "tokens_as_passwords", "oauth", "saml"], report);
    let tokens_as_passwords = section.value("tokens_as_passwords", false, report, boolean);
    let oauth = section.take("oauth").and_then(|node| report.scalar("oauth", node));
    let mut saml = section.take("saml").and_then(|node| super::saml::read(node, folder, report));
    let issuers = section.take("issuers").map(|node| Section::open_free("issuers", node, report));
    let mut list: Vec<Written> = Vec::new();
    for (name, node) in issuers.map(|section| section.rest().collect::<Vec<_>>()).unwrap_or_default() {
        list.extend(issuer(&name, node, folder, report));
    }
    if let Some(oauth) = &oauth
        && !list.iter().any(|written| written.issuer.value.name == oauth.value)
    {
        report.error(oauth.place, format!("`oauth`: there is no issuer `{}`", oauth.value));
    }
    if let Some(saml) = &mut saml {
        saml.taken = list.iter().map(|written| written.issuer.value.url.clone()).collect();
    }
    Some(IdentitySettings { issuers: list, tokens_as_passwords, oauth, saml })
}

fn texts(name: &str, section: &mut Section, report: &mut Report<'_>) -> Option<Vec<String>> {
    let list = section.take(name).map(|node| report.list(name, node))?;
    Some(list.into_iter().map(|text| text.value).collect())
}

fn text(name: &str, section: &mut Section, report: &mut Report<'_>) -> Option<String> {
    section.take(name).and_then(|node| report.scalar(name, node)).map(|text| text.value)
}

fn issuer(name: &Placed<String>, node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<Written> {
    const KNOWN: &[&str] = &[
        "url",
        "kind",
        "client_id",
        "client_secret",
        "client_key",
        "client_key_id",
        "scopes",
        "resource",
        "audiences",
        "audiences_beside",
        "algorithms",
        "token_type",
        "lifetime_max",
        "one_time",
        "sign_in_for",
        "groups_claim",
        "groups_prefix",
        "groups_only",
        "name_claims",
        "rules",
        "keys_url",
        "keys_file",
        "ca",
    ];
    let mut section = Section::open(&name.value, node, KNOWN, report);
    let url = section.demand("url", report).and_then(|node| report.scalar("url", node));
    let kind = section.value("kind", IssuerKind::People, report, |text| match text {
        "people" => Ok(IssuerKind::People),
        "workload" => Ok(IssuerKind::Workload),
        _ => Err(format!("`{text}` is neither people nor workload")),
    });
    let url = url?;
    let mut issuer = match kind {
        IssuerKind::People => Issuer::people(&name.value, &url.value, ""),
        IssuerKind::Workload => Issuer::workload(&name.value, &url.value, ""),
    };
    issuer.client_id = text("client_id", &mut section, report);
    issuer.audiences = texts("audiences", &mut section, report).unwrap_or_default();
    issuer.audiences_beside = texts("audiences_beside", &mut section, report).unwrap_or_default();
    issuer.resource = text("resource", &mut section, report);
    if let Some(scopes) = texts("scopes", &mut section, report) {
        issuer.scopes = scopes;
    }
    if let Some(node) = section.take("algorithms") {
        let known = |text: Placed<String>, report: &mut Report<'_>| {
            let found = Algorithm::parse(&text.value);
            if found.is_none() {
                let all = "RS256, PS256, ES256, ES384, EdDSA";
                report
                    .error(text.place, format!("`{}` is no algorithm of signatures that is taken: {all}", text.value));
            }
            found
        };
        let list = report.list("algorithms", node);
        issuer.algorithms = list.into_iter().filter_map(|text| known(text, report)).collect();
    }
    issuer.token_type = section.value("token_type", issuer.token_type, report, |text| match text {
        "access" => Ok(TokenType::AccessToken),
        "jwt" => Ok(TokenType::Jwt),
        _ => Err(format!("`{text}` is neither access nor jwt")),
    });
    let span =
        |text: &str| within(text, Duration::from_secs(1), Duration::from_secs(86_400)).map(|d| Some(d.as_secs()));
    issuer.lifetime_max = section.value("lifetime_max", issuer.lifetime_max, report, span);
    issuer.sign_in_seconds = section.value("sign_in_for", issuer.sign_in_seconds, report, span);
    issuer.one_time = section.value("one_time", issuer.one_time, report, boolean);
    issuer.groups = Groups {
        claim: text("groups_claim", &mut section, report).unwrap_or_else(|| "groups".to_owned()),
        prefix: text("groups_prefix", &mut section, report).unwrap_or_default(),
        only: texts("groups_only", &mut section, report),
    };
    if let Some(claims) = texts("name_claims", &mut section, report) {
        issuer.name_claims = claims;
    }
    issuer.rules = section.take("rules").map(|node| rules(node, report)).unwrap_or_default();
    let keys_url = section.take("keys_url").and_then(|node| report.scalar("keys_url", node));
    let keys_file = section.take("keys_file").and_then(|node| path("keys_file", node, folder, report));
    issuer.keys = match (keys_url, keys_file) {
        (None, None) => KeySource::Discovery,
        (Some(url), None) => KeySource::Url(url.value),
        (None, Some(file)) => KeySource::File(file.value),
        (Some(_), Some(file)) => {
            report.error(file.place, "`keys_url` and `keys_file` are both there; keep one");
            return None;
        }
    };
    issuer.authorities = section.take("ca").and_then(|node| path("ca", node, folder, report)).map(|ca| ca.value);
    let client_secret = section.take("client_secret").and_then(|n| secret("client_secret", n, folder, report));
    let client_key = section.take("client_key").and_then(|node| path("client_key", node, folder, report));
    let client_key_id = text("client_key_id", &mut section, report);
    let proof = match (client_secret, client_key) {
        (None, None) => Proof::Public,
        (Some(secret), None) => Proof::Secret(secret),
        (None, Some(key)) => Proof::PrivateKey(key, client_key_id),
        (Some(_), Some(key)) => {
            report.error(key.place, "`client_secret` and `client_key` are both there; keep the key");
            return None;
        }
    };
    for problem in issuer.problems() {
        report.error(name.place, format!("issuer `{}`: {problem}", name.value));
    }
    Some(Written { issuer: Placed { value: issuer, place: name.place }, proof })
}

fn rules(node: Placed<Node>, report: &mut Report<'_>) -> Vec<Rule> {
    let place = node.place;
    let Node::List(nodes) = node.value else {
        report.error(place, "`rules` takes a list: `- { when: { sub: … }, groups: [jobs] }`");
        return Vec::new();
    };
    let rule = |node: Placed<Node>, report: &mut Report<'_>| {
        let mut section = Section::open("rules", node, &["when", "groups", "name"], report);
        let when = section.demand("when", report).map(|node| Section::open_free("when", node, report));
        let when = when.map(|section| section.rest().collect::<Vec<_>>()).unwrap_or_default();
        let when = when
            .into_iter()
            .filter_map(|(claim, node)| {
                Some((claim.value.clone(), report.scalar(&claim.value, node)?.value.as_str().into()))
            })
            .collect();
        let groups = texts("groups", &mut section, report).unwrap_or_default();
        let name = text("name", &mut section, report);
        Rule { when, groups, name }
    };
    nodes.into_iter().map(|node| rule(node, report)).collect()
}
