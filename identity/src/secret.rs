//! A text that nobody may see: a client secret, a code, a token.
//!
//! It is cleared when dropped and shows only its length. Comparing takes constant time.

use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A secret text.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Holds this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// A random text of 43 characters (256 bits) of base64url.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn random() -> Result<Self, crate::Error> {
        use base64::Engine as _;
        let mut bytes = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut bytes[..]).map_err(|_| crate::Error::NoRandomness)?;
        Ok(Self::new(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes[..])))
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is this text, in constant time for texts of the same length.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_only_its_length() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(7 bytes)");
        assert!(secret.is("hunter2") && !secret.is("hunter3") && !secret.is("hunter"));
    }

    #[test]
    fn random_secrets_have_256_bits_and_differ() {
        let (a, b) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_eq!(a.expose().len(), 43);
        assert!(!a.is(b.expose()));
    }
}
