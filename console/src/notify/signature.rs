//! Signatures of webhooks, in the manner of Standard Webhooks: HMAC-SHA-256 over `id.timestamp.body`, base64, with `v1,` in
//! front. Two secrets may be in force at a time, so that one can be changed for the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// Header with the message's id.
pub(super) const ID: &str = "webhook-id";
/// Header with the time of sending, Unix seconds.
pub(super) const TIMESTAMP: &str = "webhook-timestamp";
/// Header with signatures.
pub(super) const SIGNATURE: &str = "webhook-signature";
/// How far the time of sending may be off, seconds.
pub(super) const TOLERANCE_S: u64 = 300;
/// Shortest secret, bytes.
const SECRET_BYTES_MIN: usize = 24;
/// Signatures of one message that are looked at.
const SIGNATURES_MAX: usize = 8;

/// One or two secrets.
#[derive(Clone)]
pub struct Secrets(Vec<hmac::Key>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Secrets as text: `whsec_` and base64 of at least 24 bytes.
    ///
    /// # Errors
    /// None, more than two, or one of another form. The text holds no secret.
    pub fn new(texts: &[Zeroizing<String>]) -> Result<Self, String> {
        if texts.is_empty() || texts.len() > 2 {
            return Err("there must be one secret, or two while one replaces the other".to_owned());
        }
        let key = |text: &Zeroizing<String>| {
            let raw = text.trim().strip_prefix("whsec_").and_then(|text| BASE64.decode(text).ok()).map(Zeroizing::new);
            let raw = raw.filter(|raw| raw.len() >= SECRET_BYTES_MIN);
            raw.map(|raw| hmac::Key::new(hmac::HMAC_SHA256, &raw))
                .ok_or_else(|| format!("a secret is `whsec_` and base64 of at least {SECRET_BYTES_MIN} bytes"))
        };
        texts.iter().map(key).collect::<Result<_, _>>().map(Self)
    }

    fn of(key: &hmac::Key, id: &str, timestamp: u64, body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        context.sign()
    }

    /// The header's value, one signature for each secret.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let one = |key| format!("v1,{}", BASE64.encode(Self::of(key, id, timestamp, body)));
        self.0.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// Is one of the signatures in the header by one of the secrets? Takes as long whichever it is.
    pub(super) fn verify(&self, id: &str, timestamp: u64, body: &[u8], header: &str) -> bool {
        let own: Vec<hmac::Tag> = self.0.iter().map(|key| Self::of(key, id, timestamp, body)).collect();
        let mut good = Choice::from(0);
        for shown in header.split(' ').take(SIGNATURES_MAX).filter_map(|text| text.strip_prefix("v1,")) {
            let Ok(shown) = BASE64.decode(shown) else { continue };
            for tag in &own {
                good |= tag.as_ref().ct_eq(&shown);
            }
        }
        good.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Zeroizing<String> {
        Zeroizing::new(format!("whsec_{}", BASE64.encode([byte; 24])))
    }

    #[test]
    fn the_published_example_is_signed_as_published() {
        // Standard Webhooks, specification, "Verifying signatures".
        let secrets = Secrets::new(&[Zeroizing::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())]).unwrap();
        let signed = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn either_secret_verifies_and_nothing_else() {
        let both = Secrets::new(&[secret(1), secret(2)]).unwrap();
        let header = Secrets::new(&[secret(2)]).unwrap().sign("a", 5, b"body");
        assert!(both.verify("a", 5, b"body", &header));
        assert!(both.verify("a", 5, b"body", &format!("v1a,x {header}")));
        for (id, at, body) in [("b", 5, &b"body"[..]), ("a", 6, b"body"), ("a", 5, b"body ")] {
            assert!(!both.verify(id, at, body, &header));
        }
        for header in [
            "",
            "v1,",
            &header[3..],
            &header.replace("v1", "v2"),
            &Secrets::new(&[secret(3)]).unwrap().sign("a", 5, b"body"),
        ] {
            assert!(!both.verify("a", 5, b"body", header), "{header}");
        }
        for wrong in [
            &[][..],
            &[secret(1), secret(2), secret(3)],
            &[Zeroizing::new("whsec_c2hvcnQ=".to_owned())],
            &[Zeroizing::new("x".to_owned())],
        ] {
            assert!(Secrets::new(wrong).is_err());
        }
    }
}
