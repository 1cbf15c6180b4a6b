//! Why a token or a provider was refused.
//!
//! Both types hold constants, numbers and addresses of the configuration; never a byte of a token, a code or a secret.

use std::fmt;

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than [`crate::TOKEN_BYTES_MAX`].
    TooLarge,
    /// It is not three parts of base64url (RFC 7515, section 7.1); the text says what is wrong.
    Form(&'static str),
    /// A part is not JSON, or nested too deep.
    Json,
    /// A member stands twice in an object.
    Duplicate,
    /// The header has a member that would let the token choose its own key or rules.
    Header(&'static str),
    /// Its algorithm is not one that this issuer uses; `none` and symmetric ones never are.
    Algorithm,
    /// The issuer has no key of this name that fits the algorithm.
    Key,
    /// Several keys of the issuer fit.
    AmbiguousKey,
    /// The signature is not that of the issuer's key.
    Signature,
    /// It is of another issuer, or of none that is configured.
    Issuer,
    /// It is not meant for this gateway.
    Audience,
    /// It was issued to another client.
    Party,
    /// It is a token of another type.
    Type,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It is valid for longer than tokens of this issuer may be.
    Lifetime,
    /// It does not answer this sign-in.
    Nonce,
    /// It does not belong to the access token that came with it.
    AccessTokenHash,
    /// A claim is missing or not of its type; the text names it.
    Claim(&'static str),
    /// Its chain of actors is longer than two, or malformed.
    Actors,
    /// The provider left the groups out because they are too many, and names a place to ask.
    GroupsElsewhere,
    /// No rule of the issuer accepts this workload.
    NoRule,
    /// It was used before.
    Replayed,
    /// Too many one-time tokens are remembered; none is taken until some expire.
    ReplayFull,
}

impl Fault {
    /// A short name for records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Form(_) => "form",
            Self::Json => "json",
            Self::Duplicate => "duplicate",
            Self::Header(_) => "header",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::AmbiguousKey => "ambiguous_key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Party => "party",
            Self::Type => "type",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Lifetime => "lifetime",
            Self::Nonce => "nonce",
            Self::AccessTokenHash => "at_hash",
            Self::Claim(_) => "claim",
            Self::Actors => "actors",
            Self::GroupsElsewhere => "groups_elsewhere",
            Self::NoRule => "no_rule",
            Self::Replayed => "replayed",
            Self::ReplayFull => "replay_full",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the token is longer than 16 KiB",
            Self::Form(what) => return write!(f, "not a signed token: {what}"),
            Self::Json => "a part of the token is not JSON",
            Self::Duplicate => "a member stands twice in the token",
            Self::Header(what) => return write!(f, "the token's header has `{what}`, which is never honoured"),
            Self::Algorithm => "the token is signed with an algorithm that is not allowed for its issuer",
            Self::Key => "the token's issuer has no such key",
            Self::AmbiguousKey => "several keys of the issuer fit the token",
            Self::Signature => "the token's signature is wrong",
            Self::Issuer => "the token is of an issuer that is not configured here",
            Self::Audience => "the token is not meant for this gateway (audience)",
            Self::Party => "the token was issued to another client",
            Self::Type => "the token is of another type",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet; are the clocks right?",
            Self::Lifetime => "the token is valid for longer than its issuer's rules allow",
            Self::Nonce => "the token answers another sign-in",
            Self::AccessTokenHash => "the token does not belong to the access token that came with it",
            Self::Claim(name) => return write!(f, "the token's claim `{name}` is missing or malformed"),
            Self::Actors => "the token's chain of actors is longer than two, or malformed",
            Self::GroupsElsewhere => {
                "the provider left the groups out of the token because they are too many; \
                 let it send only the groups that matter here"
            }
            Self::NoRule => "no rule of the issuer accepts this workload",
            Self::Replayed => "the token was used before",
            Self::ReplayFull => "too many one-time tokens are in use; try again in some minutes",
        })
    }
}

impl std::error::Error for Fault {}

/// Why an identity could not be established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The token is refused.
    Token(Fault),
    /// The provider cannot be reached, or its answer cannot be used.
    Provider {
        /// What was asked for.
        what: &'static str,
        /// What happened, without any of the content.
        why: String,
    },
    /// The provider refuses, with this code of OAuth (RFC 6749, sections 4.1.2.1 and 5.2).
    Refused(String),
    /// The answer does not belong to this sign-in; the text says why.
    Answer(&'static str),
    /// The issuer is not configured for this.
    Unconfigured(&'static str),
    /// The system gives no random numbers.
    NoRandomness,
}

impl Error {
    pub(crate) fn provider(what: &'static str, why: impl Into<String>) -> Self {
        Self::Provider { what, why: why.into() }
    }

    /// A short name for records and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Token(fault) => fault.name(),
            Self::Provider { .. } => "provider",
            Self::Refused(_) => "refused",
            Self::Answer(_) => "answer",
            Self::Unconfigured(_) => "unconfigured",
            Self::NoRandomness => "randomness",
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Token(fault)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(fault) => fault.fmt(f),
            Self::Provider { what, why } => write!(f, "the identity provider: {what}: {why}"),
            Self::Refused(code) => write!(f, "the identity provider refuses: {code}"),
            Self::Answer(why) => write!(f, "the answer does not belong to this sign-in: {why}"),
            Self::Unconfigured(what) => write!(f, "the issuer is not configured for this: {what}"),
            Self::NoRandomness => f.write_str("the system gives no random numbers"),
        }
    }
}

impl std::error::Error for Error {}
