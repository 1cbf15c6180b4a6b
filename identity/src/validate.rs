//! The rules that make a token an identity.
//!
//! In order: form, algorithm of the issuer's list, exact issuer, signature, then claims: nothing of the content is believed
//! before the signature holds. The clock is an argument.

use crate::{
    SKEW_SECONDS,
    algorithm::Algorithm,
    claims::{self, Claims},
    fault::Fault,
    issuer::{Issuer, IssuerKind, TokenType},
    jose::Compact,
    keys::KeySet,
    rule::lookup,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use sha2::{Digest as _, Sha256};

/// Longest chain of actors (RFC 8693, section 4.1).
const ACTORS_MAX: usize = 2;
/// Longest name that is taken for showing, in bytes.
const SHOWN_BYTES_MAX: usize = 255;

/// What a token is expected to be.
#[derive(Clone, Copy, Debug)]
pub enum Expect<'a> {
    /// The ID token that answers a sign-in of this gateway.
    IdToken {
        /// The nonce that was sent; absent for the device grant, which has none.
        nonce: Option<&'a str>,
        /// The access token that came with it.
        access_token: Option<&'a str>,
    },
    /// A token that somebody presents to this gateway.
    Presented,
}

/// An identity that its issuer vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated {
    /// The issuer, exactly as configured.
    pub issuer: String,
    /// Short name of the issuer.
    pub issuer_name: String,
    /// Whose tokens the issuer makes.
    pub kind: IssuerKind,
    /// The subject; with the issuer it is the identity.
    pub subject: String,
    /// Names to show; they prove nothing.
    pub names: Names,
    /// Groups, by claim and by rules, sorted.
    pub groups: Vec<String>,
    /// When the token was made, seconds since 1970.
    pub issued: Option<u64>,
    /// When the token ends, seconds since 1970.
    pub expires: u64,
    /// When the person proved themselves, seconds since 1970.
    pub authenticated: Option<u64>,
    /// How the person proved themselves (`amr`, RFC 8176).
    pub methods: Vec<String>,
    /// The client that the token was issued to.
    pub client: Option<String>,
    /// Who acts for the subject, the nearest first; at most two.
    pub actors: Vec<Actor>,
    /// Names the token for one-time use: SHA-256 of issuer and `jti`, or of what was signed.
    pub token: [u8; 32],
}

/// What a person or workload calls itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// What a login name can be made of.
    pub handle: Option<String>,
    /// The name to show.
    pub display: Option<String>,
    /// An address for mail; can change and be given to another.
    pub email: Option<String>,
}

/// Who acts for a subject (RFC 8693).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Its issuer, if the token names one.
    pub issuer: Option<String>,
    /// Its subject.
    pub subject: String,
}

/// Validates a token of this issuer with its keys at this time (seconds since 1970).
///
/// # Errors
/// Why it is refused.
pub fn validate(issuer: &Issuer, keys: &KeySet, token: &str, expect: Expect<'_>, now: u64) -> Result<Validated, Fault> {
    let token = Compact::parse(token)?;
    check(issuer, keys, &token, expect, now)
}

pub(crate) fn check(
    issuer: &Issuer,
    keys: &KeySet,
    token: &Compact<'_>,
    expect: Expect<'_>,
    now: u64,
) -> Result<Validated, Fault> {
    if !issuer.algorithms.contains(&token.algorithm) {
        return Err(Fault::Algorithm);
    }
    check_issuer(issuer, &token.claims)?;
    keys.verify(token.kid.as_deref(), token.algorithm, token.signed, &token.signature)?;

    let claims = &token.claims;
    check_type(issuer, token.typ.as_deref(), expect)?;
    check_audience(issuer, claims, expect)?;
    let (issued, expires) = check_times(issuer, claims, expect, now)?;
    if let Expect::IdToken { nonce, access_token } = expect {
        if let Some(nonce) = nonce {
            use subtle::ConstantTimeEq as _;
            let own = claims::text(claims, "nonce")?.ok_or(Fault::Nonce)?;
            if !bool::from(own.as_bytes().ct_eq(nonce.as_bytes())) {
                return Err(Fault::Nonce);
            }
        }
        check_access_token(token.algorithm, claims, access_token)?;
    }
    let subject = claims::text(claims, "sub")?.filter(|s| claims::is_name(s)).ok_or(Fault::Claim("sub"))?;
    let (groups, rule_name) = groups(issuer, claims)?;
    let mut names = names(issuer, claims);
    if let Some(name) = rule_name {
        names.handle = Some(name.to_owned());
    }
    Ok(Validated {
        issuer: issuer.url.clone(),
        issuer_name: issuer.name.clone(),
        kind: issuer.kind,
        subject: subject.to_owned(),
        names,
        groups,
        issued,
        expires,
        authenticated: claims::time(claims, "auth_time")?,
        methods: claims::texts(claims.get("amr"), "amr")?.into_iter().map(str::to_owned).collect(),
        client: party(claims)?.map(str::to_owned),
        actors: actors(claims)?,
        token: name_of(issuer, claims, token.signed)?,
    })
}

fn check_issuer(issuer: &Issuer, claims: &Claims) -> Result<(), Fault> {
    let own = claims::text(claims, "iss")?;
    match issuer.trust_domain() {
        None if own == Some(issuer.url.as_str()) => Ok(()),
        // A JWT-SVID needs no issuer: its subject names the trust domain.
        Some(domain) if own.is_none() && domain_of(claims)? == Some(domain) => Ok(()),
        _ => Err(Fault::Issuer),
    }
}

/// The trust domain of a SPIFFE subject.
pub(crate) fn domain_of(claims: &Claims) -> Result<Option<&str>, Fault> {
    let subject = claims::text(claims, "sub")?;
    Ok(subject.and_then(|s| s.strip_prefix("spiffe://")?.split_once('/')).map(|(domain, _)| domain))
}

fn check_type(issuer: &Issuer, typ: Option<&str>, expect: Expect<'_>) -> Result<(), Fault> {
    let fits = match (expect, issuer.token_type) {
        (Expect::IdToken { .. }, _) => matches!(typ, None | Some("jwt")),
        (Expect::Presented, TokenType::AccessToken) => typ == Some("at+jwt"),
        (Expect::Presented, TokenType::Jwt) => matches!(typ, None | Some("jwt" | "jose")),
    };
    if fits { Ok(()) } else { Err(Fault::Type) }
}

/// The client that a token was issued to.
fn party(claims: &Claims) -> Result<Option<&str>, Fault> {
    Ok(match claims::text(claims, "azp")? {
        Some(azp) => Some(azp),
        None => claims::text(claims, "client_id")?,
    })
}

fn check_audience(issuer: &Issuer, claims: &Claims, expect: Expect<'_>) -> Result<(), Fault> {
    let own = claims::texts(claims.get("aud"), "aud").map_err(|_| Fault::Audience)?;
    let beside = |one: &&str| issuer.audiences_beside.iter().any(|a| a == one);
    match expect {
        // OpenID Connect Core, section 3.1.3.7, rules 3 to 5.
        Expect::IdToken { .. } => {
            let client = issuer.client_id.as_deref().ok_or(Fault::Audience)?;
            if !own.contains(&client) || !own.iter().all(|one| *one == client || beside(one)) {
                return Err(Fault::Audience);
            }
            match claims::text(claims, "azp")? {
                Some(azp) if azp != client => Err(Fault::Party),
                None if own.len() > 1 => Err(Fault::Party),
                _ => Ok(()),
            }
        }
        Expect::Presented => {
            let ours = |one: &&str| issuer.audiences.iter().any(|a| a == one);
            // A token that another service accepts as well could be one that this service passes on.
            let exact = own.iter().any(ours) && own.iter().all(|one| ours(one) || beside(one));
            if exact { Ok(()) } else { Err(Fault::Audience) }
        }
    }
}

fn check_times(issuer: &Issuer, claims: &Claims, expect: Expect<'_>, now: u64) -> Result<(Option<u64>, u64), Fault> {
    let expires = claims::time(claims, "exp")?.ok_or(Fault::Claim("exp"))?;
    if now >= expires.saturating_add(SKEW_SECONDS) {
        return Err(Fault::Expired);
    }
    let issued = claims::time(claims, "iat")?;
    let begins = [issued, claims::time(claims, "nbf")?].into_iter().flatten().max();
    if begins.is_some_and(|begins| begins > now.saturating_add(SKEW_SECONDS)) {
        return Err(Fault::NotYet);
    }
    match expect {
        Expect::IdToken { .. } if issued.is_none() => return Err(Fault::Claim("iat")),
        Expect::Presented => {
            if let Some(most) = issuer.lifetime_max {
                let issued = issued.ok_or(Fault::Claim("iat"))?;
                if expires.saturating_sub(issued) > most {
                    return Err(Fault::Lifetime);
                }
            }
        }
        Expect::IdToken { .. } => {}
    }
    Ok((issued, expires))
}

/// OpenID Connect Core, section 3.1.3.6: half of the hash that the signature's algorithm uses.
fn check_access_token(algorithm: Algorithm, claims: &Claims, access_token: Option<&str>) -> Result<(), Fault> {
    let (Some(own), Some(access_token)) = (claims::text(claims, "at_hash")?, access_token) else {
        return Ok(());
    };
    let digest = |algorithm| ring::digest::digest(algorithm, access_token.as_bytes());
    let full = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => digest(&ring::digest::SHA256),
        Algorithm::Es384 => digest(&ring::digest::SHA384),
        // Not said by any specification; providers take the hash inside of Ed25519.
        Algorithm::EdDsa => digest(&ring::digest::SHA512),
    };
    let half = full.as_ref().get(..full.as_ref().len() / 2).unwrap_or_default();
    if BASE64.encode(half) == own { Ok(()) } else { Err(Fault::AccessTokenHash) }
}

pub(crate) fn groups<'a>(issuer: &'a Issuer, claims: &Claims) -> Result<(Vec<String>, Option<&'a str>), Fault> {
    let mut groups = Vec::new();
    if issuer.kind == IssuerKind::People {
        let from = lookup(claims, &issuer.groups.claim);
        if from.is_none() && elsewhere(claims, &issuer.groups.claim) {
            return Err(Fault::GroupsElsewhere);
        }
        for group in claims::texts(from, "groups")? {
            let taken = issuer.groups.only.as_ref().is_none_or(|only| only.iter().any(|one| one == group));
            // `*` means everyone in rules, and nobody is everyone.
            if taken && claims::is_name(group) && group != "*" {
                groups.push(format!("{}{group}", issuer.groups.prefix));
            }
        }
    }
    let mut name = None;
    let mut held = false;
    for rule in issuer.rules.iter().filter(|rule| rule.holds(claims)) {
        held = true;
        groups.extend(rule.groups.iter().cloned());
        name = name.or(rule.name.as_deref());
    }
    if issuer.kind == IssuerKind::Workload && !held {
        return Err(Fault::NoRule);
    }
    groups.sort_unstable();
    groups.dedup();
    Ok((groups, name))
}

/// Whether a claim is only pointed at (OpenID Connect Core, section 5.6.2). The place is never asked.
fn elsewhere(claims: &Claims, name: &str) -> bool {
    claims.get("_claim_names").and_then(|names| names.get(name)).is_some()
}

pub(crate) fn names(issuer: &Issuer, claims: &Claims) -> Names {
    let shown = |name: &str| {
        let text = lookup(claims, name)?.as_str()?;
        (!text.is_empty() && text.len() <= SHOWN_BYTES_MAX && !text.chars().any(char::is_control))
            .then(|| text.to_owned())
    };
    Names {
        handle: issuer.name_claims.iter().find_map(|name| shown(name)),
        display: shown("name"),
        email: shown("email"),
    }
}

fn actors(claims: &Claims) -> Result<Vec<Actor>, Fault> {
    let mut actors = Vec::new();
    let mut at = claims.get("act");
    while let Some(act) = at {
        if actors.len() == ACTORS_MAX {
            return Err(Fault::Actors);
        }
        let act = act.as_object().ok_or(Fault::Actors)?;
        let name = |claim| match claims::text(act, claim) {
            Ok(Some(text)) if !claims::is_name(text) => Err(Fault::Actors),
            Ok(text) => Ok(text.map(str::to_owned)),
            Err(_) => Err(Fault::Actors),
        };
        actors.push(Actor { issuer: name("iss")?, subject: name("sub")?.ok_or(Fault::Actors)? });
        at = act.get("act");
    }
    Ok(actors)
}

fn name_of(issuer: &Issuer, claims: &Claims, signed: &[u8]) -> Result<[u8; 32], Fault> {
    let mut hash = Sha256::new();
    match claims::text(claims, "jti")? {
        Some(id) if !id.is_empty() => {
            hash.update(b"jti\0");
            hash.update(issuer.url.as_bytes());
            hash.update([0]);
            hash.update(id.as_bytes());
        }
        // Not the whole token: some signatures can be written in two ways.
        _ => {
            hash.update(b"signed\0");
            hash.update(signed);
        }
    }
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests;
