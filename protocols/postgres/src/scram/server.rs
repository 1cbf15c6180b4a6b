//! The downstream's counterpart: verifies that the client knows the password.
//!
//! ```text
//! Start ──client_first──▶ Challenged ──client_final──▶ Done
//!   └────────────── any fault ─────────────┴────────▶ Done
//! ```

use super::{
    Attributes, BASE64, BINDING_TYPE, KEY_BYTES, Mechanism, NONCE_BYTES, ScramFault, Verifier, check_length,
    check_nonce, decode_key, mac, sha256, xor,
};
use base64::Engine as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// One exchange with one client. Spent after two messages or the first fault.
pub struct Server {
    verifier: Verifier,
    /// In base64.
    nonce: String,
    binding: Option<Vec<u8>>,
    phase: Phase,
    /// Which password of several it was.
    matched: usize,
}

enum Phase {
    Start,
    Challenged(Challenge),
    Done,
}

struct Challenge {
    /// What `c=` must say, in base64.
    binding: Vec<u8>,
    /// Client's and our nonce.
    nonce: Vec<u8>,
    client_first_bare: Vec<u8>,
    server_first: Vec<u8>,
}

impl Server {
    /// An exchange for a user with this verifier. `nonce` is fresh and random; `binding` is the hash of our certificate
    /// when the connection is TLS and the certificate has one (see [`super::end_point_hash`]), and PLUS was offered.
    #[must_use]
    pub fn new(verifier: Verifier, nonce: [u8; NONCE_BYTES], binding: Option<&[u8]>) -> Self {
        Self {
            verifier,
            nonce: BASE64.encode(nonce),
            binding: binding.map(<[u8]>::to_vec),
            phase: Phase::Start,
            matched: 0,
        }
    }

    /// With the nonce of a published example, which is not base64.
    #[cfg(test)]
    pub(super) fn with_nonce(verifier: Verifier, nonce: &str) -> Self {
        Self { verifier, nonce: nonce.to_owned(), binding: None, phase: Phase::Start, matched: 0 }
    }

    /// Takes client-first and the name of the mechanism; gives server-first.
    ///
    /// # Errors
    /// Any fault ends the exchange.
    pub fn client_first(&mut self, mechanism: &[u8], message: &[u8]) -> Result<Vec<u8>, ScramFault> {
        let Phase::Start = std::mem::replace(&mut self.phase, Phase::Done) else {
            return Err(ScramFault::Order);
        };
        check_length(message)?;
        let mechanism = Mechanism::parse(mechanism).ok_or(ScramFault::Mechanism)?;
        if mechanism == Mechanism::Plus && self.binding.is_none() {
            return Err(ScramFault::Mechanism);
        }
        let header = self.gs2_header(mechanism, message)?;
        let bare = message.get(header.len()..).unwrap_or_default();

        let mut attributes = Attributes::new(bare);
        // PostgreSQL takes the name from the startup packet; what is said here has no meaning.
        attributes.expect(b'n')?;
        let client_nonce = attributes.expect(b'r')?;
        check_nonce(client_nonce)?;
        attributes.finish()?;

        let mut nonce = client_nonce.to_vec();
        nonce.extend_from_slice(self.nonce.as_bytes());
        let mut server_first = b"r=".to_vec();
        server_first.extend_from_slice(&nonce);
        server_first.extend_from_slice(b",s=");
        server_first.extend_from_slice(BASE64.encode(&self.verifier.salt).as_bytes());
        server_first.extend_from_slice(format!(",i={}", self.verifier.iterations).as_bytes());

        let mut binding = header.to_vec();
        if mechanism == Mechanism::Plus {
            binding.extend_from_slice(self.binding.as_deref().unwrap_or_default());
        }
        self.phase = Phase::Challenged(Challenge {
            binding: BASE64.encode(binding).into_bytes(),
            nonce,
            client_first_bare: bare.to_vec(),
            server_first: server_first.clone(),
        });
        Ok(server_first)
    }

    /// Takes client-final; gives server-final. `Ok` means that the client knows the password.
    ///
    /// # Errors
    /// Any fault ends the exchange; [`ScramFault::Proof`] is a wrong password.
    pub fn client_final(&mut self, message: &[u8]) -> Result<Vec<u8>, ScramFault> {
        let Phase::Challenged(challenge) = std::mem::replace(&mut self.phase, Phase::Done) else {
            return Err(ScramFault::Order);
        };
        check_length(message)?;
        let mut attributes = Attributes::new(message);
        if attributes.expect(b'c')? != challenge.binding {
            return Err(ScramFault::Binding("data does not match this connection"));
        }
        if attributes.expect(b'r')? != challenge.nonce {
            return Err(ScramFault::Nonce);
        }
        let proof = loop {
            match attributes.next()? {
                Some((b'p', value)) => break value,
                Some((b'm', _)) => return Err(ScramFault::Malformed("mandatory extensions are not supported")),
                Some(_) => {}
                None => return Err(ScramFault::Malformed("the proof is missing")),
            }
        };
        if attributes.next()?.is_some() {
            return Err(ScramFault::Malformed("the proof is not the last attribute"));
        }
        let without_proof = message.len().saturating_sub(proof.len() + b",p=".len());
        let without_proof = message.get(..without_proof).unwrap_or_default();
        let proof = decode_key(proof).ok_or(ScramFault::Malformed("the proof is not 32 bytes in base64"))?;

        let said = [&challenge.client_first_bare[..], b",", &challenge.server_first, b",", without_proof];
        let first = (self.verifier.stored_key, self.verifier.server_key);
        let mut found = None;
        // All are tried, so the time does not tell which.
        for (number, (stored_key, server_key)) in std::iter::once(&first).chain(&self.verifier.others).enumerate() {
            let signature: [u8; KEY_BYTES] = mac(stored_key, &said);
            let client_key = Zeroizing::new(xor(&proof, &signature));
            if bool::from(sha256(&[&client_key[..]]).ct_eq(stored_key)) {
                found = Some((number, *server_key));
            }
        }
        let Some((number, server_key)) = found.filter(|_| !self.verifier.doomed) else {
            return Err(ScramFault::Proof);
        };
        self.matched = number;
        Ok(format!("v={}", BASE64.encode(mac(&server_key, &said))).into_bytes())
    }

    /// After a good proof: which of the verifier's passwords it was, 0 for the first.
    #[must_use]
    pub const fn matched(&self) -> usize {
        self.matched
    }

    /// The gs2 header with its trailing comma, checked against the mechanism and what was offered.
    fn gs2_header<'a>(&self, mechanism: Mechanism, message: &'a [u8]) -> Result<&'a [u8], ScramFault> {
        let mut parts = message.splitn(3, |b| *b == b',');
        let (Some(flag), Some(authorization), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(ScramFault::Malformed("the header is incomplete"));
        };
        match (flag, mechanism) {
            (b"n" | b"y", Mechanism::Plus) => {
                return Err(ScramFault::Binding("the mechanism needs it, but the message has none"));
            }
            (b"y", Mechanism::Plain) if self.binding.is_some() => return Err(ScramFault::Downgrade),
            (b"n" | b"y", Mechanism::Plain) => {}
            ([b'p', b'=', kind @ ..], Mechanism::Plus) => {
                if kind != BINDING_TYPE {
                    return Err(ScramFault::Binding("the type is not tls-server-end-point"));
                }
            }
            ([b'p', b'=', ..], Mechanism::Plain) => {
                return Err(ScramFault::Binding("the message has it, but the mechanism does not"));
            }
            _ => return Err(ScramFault::Malformed("unknown channel binding flag")),
        }
        if !authorization.is_empty() {
            return Err(ScramFault::Malformed("authorization identities are not supported"));
        }
        Ok(message.get(..flag.len() + 2).unwrap_or_default())
    }
}
