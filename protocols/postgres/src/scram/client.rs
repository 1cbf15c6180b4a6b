//! The upstream's counterpart: proves that we know the password, and checks that the upstream does too.
//!
//! ```text
//! Start ──client_first──▶ Greeted ──server_first──▶ Proved ──server_final──▶ Done
//!   └───────────── any fault ─┴───────────────────────┴───────────────────▶ Done
//! ```

use super::{
    Attributes, BASE64, BINDING_TYPE, ITERATIONS_MAX, KEY_BYTES, Keys, Mechanism, NONCE_BYTES, NONCE_BYTES_MAX,
    Offered, SALT_BYTES_MAX, ScramFault, Verifier, check_length, check_nonce, decode_key, derive_keys, iterations_of,
    mac, sha256, xor,
};
use base64::Engine as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A password, and the keys last derived from it. An upstream answers every login of an account with the same salt, so
/// the derivation runs once.
pub struct ClientKeys {
    password: Zeroizing<Vec<u8>>,
    derived: Option<Derived>,
}

struct Derived {
    salt: Vec<u8>,
    iterations: u32,
    keys: Keys,
}

impl ClientKeys {
    /// Keys of this password, not derived yet.
    #[must_use]
    pub fn new(password: Zeroizing<Vec<u8>>) -> Self {
        Self { password, derived: None }
    }

    /// The verifier of a new password, and its keys, by one derivation. Nothing is left to be derived when an upstream that
    /// has the verifier is logged in to. `iterations` is brought into `1..=ITERATIONS_MAX`.
    #[must_use]
    pub fn with_verifier(password: Zeroizing<Vec<u8>>, salt: &[u8], iterations: u32) -> (Verifier, Self) {
        let iterations = iterations.clamp(1, ITERATIONS_MAX);
        let keys = derive_keys(&password, salt, iterations);
        let verifier = Verifier::of(&keys, salt, iterations);
        (verifier, Self { password, derived: Some(Derived { salt: salt.to_vec(), iterations, keys }) })
    }

    /// The password itself, for the methods that send it or hash it otherwise.
    #[must_use]
    pub fn password(&self) -> &[u8] {
        &self.password
    }

    fn derive(&mut self, salt: &[u8], iterations: u32) -> &Keys {
        let known = self.derived.take().filter(|d| d.salt == salt && d.iterations == iterations);
        let derived = known.unwrap_or_else(|| Derived {
            salt: salt.to_vec(),
            iterations,
            keys: derive_keys(&self.password, salt, iterations),
        });
        &self.derived.insert(derived).keys
    }
}

impl std::fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientKeys").field("derived", &self.derived.is_some()).finish_non_exhaustive()
    }
}

/// One exchange with one upstream. Spent after its messages or the first fault.
pub struct Client {
    nonce: [u8; NONCE_BYTES],
    binding: Option<Vec<u8>>,
    phase: Phase,
}

enum Phase {
    Start,
    Greeted(Greeting),
    Proved { signature: [u8; KEY_BYTES] },
    Done,
}

struct Greeting {
    /// What `c=` says, before base64.
    binding: Vec<u8>,
    client_first_bare: Vec<u8>,
}

impl Client {
    /// An exchange. `nonce` is fresh and random; `binding` is the hash of the upstream's certificate when the connection is
    /// TLS and the certificate has one (see [`super::end_point_hash`]).
    #[must_use]
    pub fn new(nonce: [u8; NONCE_BYTES], binding: Option<Vec<u8>>) -> Self {
        Self { nonce, binding, phase: Phase::Start }
    }

    /// Chooses the mechanism and gives client-first.
    ///
    /// # Errors
    /// [`ScramFault::Mechanism`]: nothing in common.
    pub fn client_first(&mut self, offered: Offered) -> Result<(Mechanism, Vec<u8>), ScramFault> {
        let Phase::Start = std::mem::replace(&mut self.phase, Phase::Done) else {
            return Err(ScramFault::Order);
        };
        let mut binding = Vec::new();
        let (mechanism, header) = match (&self.binding, offered) {
            (Some(hash), Offered { plus: true, .. }) => {
                binding.extend_from_slice(b"p=");
                binding.extend_from_slice(BINDING_TYPE);
                binding.extend_from_slice(b",,");
                let header = binding.clone();
                binding.extend_from_slice(hash);
                (Mechanism::Plus, header)
            }
            // `y`: we could have bound. An upstream that did offer PLUS then knows that somebody removed it.
            (Some(_), Offered { plus: false, plain: true }) => {
                binding.extend_from_slice(b"y,,");
                (Mechanism::Plain, binding.clone())
            }
            (None, Offered { plain: true, .. }) => {
                binding.extend_from_slice(b"n,,");
                (Mechanism::Plain, binding.clone())
            }
            (_, Offered { plain: false, .. }) => return Err(ScramFault::Mechanism),
        };
        let bare = format!("n=,r={}", BASE64.encode(self.nonce)).into_bytes();
        let message = [&header[..], &bare].concat();
        self.phase = Phase::Greeted(Greeting { binding, client_first_bare: bare });
        Ok((mechanism, message))
    }

    /// Takes server-first; gives client-final.
    ///
    /// # Errors
    /// Any fault ends the exchange.
    pub fn server_first(&mut self, message: &[u8], keys: &mut ClientKeys) -> Result<Vec<u8>, ScramFault> {
        let Phase::Greeted(greeting) = std::mem::replace(&mut self.phase, Phase::Done) else {
            return Err(ScramFault::Order);
        };
        check_length(message)?;
        let mut attributes = Attributes::new(message);
        let nonce = attributes.expect(b'r')?;
        let ours = BASE64.encode(self.nonce);
        let Some(theirs) = nonce.strip_prefix(ours.as_bytes()) else {
            return Err(ScramFault::Nonce);
        };
        if nonce.len() > 2 * NONCE_BYTES_MAX {
            return Err(ScramFault::TooLong { what: "nonce", limit: 2 * NONCE_BYTES_MAX });
        }
        check_nonce(theirs)?;
        let salt = attributes.expect(b's')?;
        let salt = BASE64.decode(salt).map_err(|_| ScramFault::Malformed("the salt is not base64"))?;
        if salt.is_empty() {
            return Err(ScramFault::Malformed("the salt is empty"));
        }
        if salt.len() > SALT_BYTES_MAX {
            return Err(ScramFault::TooLong { what: "salt", limit: SALT_BYTES_MAX });
        }
        let iterations = iterations_of(attributes.expect(b'i')?)?;
        attributes.finish()?;

        let mut reply = b"c=".to_vec();
        reply.extend_from_slice(BASE64.encode(&greeting.binding).as_bytes());
        reply.extend_from_slice(b",r=");
        reply.extend_from_slice(nonce);

        let keys = keys.derive(&salt, iterations);
        let said = [&greeting.client_first_bare[..], b",", message, b",", &reply];
        let stored_key = Zeroizing::new(sha256(&[&keys.client[..]]));
        let proof = xor(&keys.client, &mac(&stored_key[..], &said));
        let signature = mac(&keys.server[..], &said);
        reply.extend_from_slice(b",p=");
        reply.extend_from_slice(BASE64.encode(proof).as_bytes());
        self.phase = Phase::Proved { signature };
        Ok(reply)
    }

    /// Takes server-final. `Ok` means that the upstream knows the verifier; only then may AuthenticationOk be believed.
    ///
    /// # Errors
    /// [`ScramFault::ServerSignature`] or [`ScramFault::Reported`] or a malformed message.
    pub fn server_final(&mut self, message: &[u8]) -> Result<(), ScramFault> {
        let Phase::Proved { signature } = std::mem::replace(&mut self.phase, Phase::Done) else {
            return Err(ScramFault::Order);
        };
        check_length(message)?;
        let mut attributes = Attributes::new(message);
        let verifier = match attributes.next()? {
            Some((b'v', value)) => value,
            Some((b'e', _)) => return Err(ScramFault::Reported),
            Some(_) | None => return Err(ScramFault::Malformed("neither a signature nor an error")),
        };
        attributes.finish()?;
        let given = decode_key(verifier).ok_or(ScramFault::Malformed("the signature is not 32 bytes in base64"))?;
        if bool::from(given.ct_eq(&signature)) { Ok(()) } else { Err(ScramFault::ServerSignature) }
    }
}
