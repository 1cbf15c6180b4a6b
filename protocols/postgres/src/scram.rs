//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, both ends, with PostgreSQL's rules (RFC 5802, RFC 7677, manual section
//! "SASL Authentication").
//!
//! [`Server`] faces the downstream and knows only a [`Verifier`]; [`Client`] faces the upstream and knows a password,
//! held in [`ClientKeys`] so that the slow key derivation runs once for a target and not once for each connection.
//! Randomness is an argument. Invariant: every comparison that involves a secret takes constant time, and a [`ScramFault`]
//! holds numbers and constants, never bytes of the peer. Deliberately absent: framing of the SASL messages, user lookup.

mod binding;
mod client;
mod server;

pub use binding::end_point_hash;
pub use client::{Client, ClientKeys};
pub use server::Server;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a SHA-256 result.
const KEY_BYTES: usize = 32;
/// Random bytes of a nonce; 24 characters in base64.
const NONCE_BYTES: usize = 18;
/// Rounds for new verifiers, PostgreSQL's default.
pub const ITERATIONS_DEFAULT: u32 = 4096;
/// Most rounds accepted from a verifier or an upstream: about a second of one core.
pub const ITERATIONS_MAX: u32 = 1_000_000;
/// Longest salt accepted, decoded.
pub const SALT_BYTES_MAX: usize = 1024;
/// Longest nonce accepted from a peer.
pub const NONCE_BYTES_MAX: usize = 512;
/// Longest SASL message accepted from either side. A salt of full size in base64 and two nonces fit.
pub const MESSAGE_BYTES_MAX: usize = 4096;
const _: () = assert!(MESSAGE_BYTES_MAX > SALT_BYTES_MAX.div_ceil(3) * 4 + 2 * NONCE_BYTES_MAX);

/// The binding type this implementation has; `tls-unique` does not exist in TLS 1.3.
const BINDING_TYPE: &[u8] = b"tls-server-end-point";

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// `SCRAM-SHA-256`.
    Plain,
    /// `SCRAM-SHA-256-PLUS`: bound to the TLS channel.
    Plus,
}

impl Mechanism {
    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "SCRAM-SHA-256",
            Self::Plus => "SCRAM-SHA-256-PLUS",
        }
    }

    /// The mechanism of this name.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        [Self::Plain, Self::Plus].into_iter().find(|m| m.name().as_bytes() == name)
    }

    /// Body of AuthenticationSASL after the code: names, each with a zero, and a zero. With a binding, PLUS comes first.
    #[must_use]
    pub const fn list(binding: bool) -> &'static [u8] {
        if binding { b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0" } else { b"SCRAM-SHA-256\0\0" }
    }
}

/// What an upstream offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// `SCRAM-SHA-256`.
    pub plain: bool,
    /// `SCRAM-SHA-256-PLUS`.
    pub plus: bool,
}

impl Offered {
    /// Reads the body of AuthenticationSASL after the code. Unknown mechanisms are passed over.
    ///
    /// # Errors
    /// The list is not terminated, or something follows it.
    pub fn parse(list: &[u8]) -> Result<Self, ScramFault> {
        let mut offered = Self::default();
        let mut rest = list;
        loop {
            let Some(end) = rest.iter().position(|b| *b == 0) else {
                return Err(ScramFault::Malformed("mechanism list is not terminated"));
            };
            let (name, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if name.is_empty() {
                break;
            }
            match Mechanism::parse(name) {
                Some(Mechanism::Plain) => offered.plain = true,
                Some(Mechanism::Plus) => offered.plus = true,
                None => {}
            }
        }
        if rest.is_empty() { Ok(offered) } else { Err(ScramFault::Malformed("bytes after the mechanism list")) }
    }
}

/// Why an exchange ended. Holds nothing the peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramFault {
    /// Not a SCRAM message; the text says what is wrong.
    Malformed(&'static str),
    /// A field or the message is longer than its limit.
    TooLong {
        /// Which.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The peer asked for a mechanism that was not offered, or offered none that is known.
    Mechanism,
    /// The channel binding does not fit the mechanism; the text says how.
    Binding(&'static str),
    /// The peer believes that binding was not offered although it was: somebody took the offer away.
    Downgrade,
    /// The nonce is not the one of this exchange.
    Nonce,
    /// The iteration count is outside `1..=ITERATIONS_MAX`.
    Iterations,
    /// Wrong password, or no such user: nobody can tell which.
    Proof,
    /// The upstream does not know the password's verifier: it is not the server it claims to be.
    ServerSignature,
    /// The upstream reported an error instead of its signature.
    Reported,
    /// A call out of order by the caller.
    Order,
}

impl std::fmt::Display for ScramFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "malformed SCRAM message: {what}"),
            Self::TooLong { what, limit } => write!(f, "SCRAM {what} is longer than {limit} bytes"),
            Self::Mechanism => f.write_str("no SASL mechanism in common"),
            Self::Binding(what) => write!(f, "SCRAM channel binding: {what}"),
            Self::Downgrade => f.write_str(
                "SCRAM channel binding was offered, but the peer did not see the offer; something between changed it",
            ),
            Self::Nonce => f.write_str("SCRAM nonce does not match"),
            Self::Iterations => write!(f, "SCRAM iteration count is not between 1 and {ITERATIONS_MAX}"),
            Self::Proof => f.write_str("password authentication failed"),
            Self::ServerSignature => f.write_str("the server's SCRAM signature is wrong"),
            Self::Reported => f.write_str("the server reported a SCRAM error"),
            Self::Order => f.write_str("SCRAM messages out of order"),
        }
    }
}

impl std::error::Error for ScramFault {}

/// What a server keeps instead of a password, as in `pg_authid.rolpassword`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; KEY_BYTES],
    server_key: [u8; KEY_BYTES],
    /// StoredKey and ServerKey of other passwords of the same user, with the same salt and rounds.
    others: Vec<([u8; KEY_BYTES], [u8; KEY_BYTES])>,
    /// No password fits, whatever the proof.
    doomed: bool,
}

/// Why a text is not a [`Verifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifierError {
    /// Does not start with `SCRAM-SHA-256$`.
    Scheme,
    /// The iteration count is missing or outside `1..=ITERATIONS_MAX`.
    Iterations,
    /// The salt is missing, empty, too long or not base64.
    Salt,
    /// StoredKey is missing or not 32 bytes in base64.
    StoredKey,
    /// ServerKey is missing or not 32 bytes in base64.
    ServerKey,
}

impl std::fmt::Display for VerifierError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scheme => f.write_str("a verifier starts with SCRAM-SHA-256$"),
            Self::Iterations => write!(f, "the iteration count is not a number from 1 to {ITERATIONS_MAX}"),
            Self::Salt => write!(f, "the salt is not 1 to {SALT_BYTES_MAX} bytes in base64"),
            Self::StoredKey => f.write_str("StoredKey is not 32 bytes in base64"),
            Self::ServerKey => f.write_str("ServerKey is not 32 bytes in base64"),
        }
    }
}

impl std::error::Error for VerifierError {}

impl Verifier {
    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
    ///
    /// # Errors
    /// The first part that does not fit.
    pub fn parse(text: &str) -> Result<Self, VerifierError> {
        let rest = text.strip_prefix("SCRAM-SHA-256$").ok_or(VerifierError::Scheme)?;
        let (iterations, rest) = rest.split_once(':').ok_or(VerifierError::Iterations)?;
        let iterations = iterations_of(iterations.as_bytes()).map_err(|_| VerifierError::Iterations)?;
        let (salt, rest) = rest.split_once('$').ok_or(VerifierError::Salt)?;
        if salt.len() > SALT_BYTES_MAX.div_ceil(3) * 4 {
            return Err(VerifierError::Salt);
        }
        let salt = BASE64.decode(salt).map_err(|_| VerifierError::Salt)?;
        if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
            return Err(VerifierError::Salt);
        }
        let (stored, server) = rest.split_once(':').ok_or(VerifierError::StoredKey)?;
        let stored_key = decode_key(stored.as_bytes()).ok_or(VerifierError::StoredKey)?;
        let server_key = decode_key(server.as_bytes()).ok_or(VerifierError::ServerKey)?;
        Ok(Self { iterations, salt, stored_key, server_key, others: Vec::new(), doomed: false })
    }

    /// Makes the verifier of a password, prepared as PostgreSQL prepares it. `iterations` is brought into
    /// `1..=ITERATIONS_MAX`.
    #[must_use]
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let iterations = iterations.clamp(1, ITERATIONS_MAX);
        Self::of(&derive_keys(password, salt, iterations), salt, iterations)
    }

    fn of(keys: &Keys, salt: &[u8], iterations: u32) -> Self {
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: sha256(&[&keys.client[..]]),
            server_key: *keys.server,
            others: Vec::new(),
            doomed: false,
        }
    }

    /// A verifier for a user that does not exist: the same salt each time the same name is tried, and no password fits.
    /// `secret` must be unknown to clients and stable while they may compare.
    #[must_use]
    pub fn mock(user: &str, secret: &[u8]) -> Self {
        let salt = mac(secret, &[b"salt\0", user.as_bytes()]);
        Self {
            iterations: ITERATIONS_DEFAULT,
            salt: salt.iter().take(16).copied().collect(),
            stored_key: mac(secret, &[b"stored\0", user.as_bytes()]),
            server_key: mac(secret, &[b"server\0", user.as_bytes()]),
            others: Vec::new(),
            doomed: true,
        }
    }

    /// Another password of the same user fits too. False if it has another salt or number of rounds: one exchange has
    /// one of each.
    pub fn or(&mut self, other: &Self) -> bool {
        let same = self.salt == other.salt && self.iterations == other.iterations && !other.doomed && !self.doomed;
        if same {
            self.others.push((other.stored_key, other.server_key));
        }
        same
    }

    /// Whether this password belongs to the verifier. Takes as long as a login.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        use subtle::ConstantTimeEq as _;
        let keys = derive_keys(password, &self.salt, self.iterations);
        let same = sha256(&[&keys.client[..]]).ct_eq(&self.stored_key);
        bool::from(same) && !self.doomed
    }

    /// Rounds of key derivation.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }
}

/// The stored form, as [`Verifier::parse`] reads it.
impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            BASE64.encode(&self.salt),
            BASE64.encode(self.stored_key),
            BASE64.encode(self.server_key)
        )
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// ClientKey and ServerKey of RFC 5802, section 3.
struct Keys {
    client: Zeroizing<[u8; KEY_BYTES]>,
    server: Zeroizing<[u8; KEY_BYTES]>,
}

fn derive_keys(password: &[u8], salt: &[u8], iterations: u32) -> Keys {
    let prepared = prepare(password);
    let salted = salted_password(&prepared, salt, iterations);
    Keys {
        client: Zeroizing::new(mac(&salted[..], &[b"Client Key"])),
        server: Zeroizing::new(mac(&salted[..], &[b"Server Key"])),
    }
}

/// SASLprep as PostgreSQL applies it: what is not UTF-8 or may not be prepared is taken as it is.
fn prepare(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let prepared = std::str::from_utf8(password).ok().and_then(|text| stringprep::saslprep(text).ok());
    match prepared {
        Some(text) if !text.is_empty() => Zeroizing::new(text.into_owned().into_bytes()),
        Some(_) | None => Zeroizing::new(password.to_vec()),
    }
}

/// `Hi(password, salt, iterations)`: PBKDF2 with one block. The keyed state is made once and copied for each round.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<[u8; KEY_BYTES]> {
    let keyed = keyed(password);
    let mut round = Zeroizing::new(finish(keyed.clone(), &[salt, &1u32.to_be_bytes()]));
    let mut sum = round.clone();
    for _ in 1..iterations {
        *round = finish(keyed.clone(), &[&round[..]]);
        for (s, r) in sum.iter_mut().zip(round.iter()) {
            *s ^= r;
        }
    }
    sum
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn finish(mut state: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    for part in parts {
        state.update(part);
    }
    state.finalize().into_bytes().into()
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    finish(keyed(key), parts)
}

fn sha256(parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    let mut state = Sha256::new();
    for part in parts {
        state.update(part);
    }
    state.finalize().into()
}

fn xor(a: &[u8; KEY_BYTES], b: &[u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

fn decode_key(text: &[u8]) -> Option<[u8; KEY_BYTES]> {
    if text.len() != KEY_BYTES.div_ceil(3) * 4 {
        return None;
    }
    BASE64.decode(text).ok()?.try_into().ok()
}

fn iterations_of(digits: &[u8]) -> Result<u32, ScramFault> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| plain);
    text.and_then(|t| t.parse().ok()).filter(|n| (1..=ITERATIONS_MAX).contains(n)).ok_or(ScramFault::Iterations)
}

/// Checks a nonce part of a peer: printable ASCII without comma, which ends an attribute (RFC 5802, section 7).
fn check_nonce(nonce: &[u8]) -> Result<(), ScramFault> {
    if nonce.len() > NONCE_BYTES_MAX {
        return Err(ScramFault::TooLong { what: "nonce", limit: NONCE_BYTES_MAX });
    }
    if nonce.is_empty() || !nonce.iter().all(u8::is_ascii_graphic) {
        return Err(ScramFault::Malformed("nonce is empty or not printable"));
    }
    Ok(())
}

fn check_length(message: &[u8]) -> Result<(), ScramFault> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(ScramFault::TooLong { what: "message", limit: MESSAGE_BYTES_MAX });
    }
    Ok(())
}

/// Walks `a=value,b=value`. `None` when everything was taken.
struct Attributes<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Attributes<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { rest: Some(text) }
    }

    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, ScramFault> {
        let Some(rest) = self.rest.take() else {
            return Ok(None);
        };
        let one = match rest.iter().position(|b| *b == b',') {
            Some(comma) => {
                let (one, after) = rest.split_at(comma);
                self.rest = after.get(1..);
                one
            }
            None => rest,
        };
        match one {
            [name, b'=', value @ ..] if name.is_ascii_alphabetic() => Ok(Some((*name, value))),
            _ => Err(ScramFault::Malformed("attribute is not of the form name=value")),
        }
    }

    /// The next attribute, which must have this name.
    fn expect(&mut self, name: u8) -> Result<&'a [u8], ScramFault> {
        match self.next()? {
            Some((found, value)) if found == name => Ok(value),
            Some((b'm', _)) => Err(ScramFault::Malformed("mandatory extensions are not supported")),
            Some(_) => Err(ScramFault::Malformed("attributes are not in their order")),
            None => Err(ScramFault::Malformed("an attribute is missing")),
        }
    }

    /// Passes over optional extensions up to the end.
    fn finish(&mut self) -> Result<(), ScramFault> {
        while self.next()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests;
