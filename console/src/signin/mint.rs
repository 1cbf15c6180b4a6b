//! Passwords for databases: made here, shown once, kept as what SCRAM-SHA-256 checks them with (RFC 5802, RFC 7677).

use super::Problem;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// Random bytes of a password: 160 bits.
const RANDOM_BYTES: usize = 20;
/// Digits of a password: none that people confuse, none that files of passwords or addresses treat specially.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Rounds, PostgreSQL's default. The password is random, so they are for the protocol's sake alone.
const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");

/// A new password: `tgp_` and 32 digits, 160 random bits.
///
/// # Errors
/// The system gives no random numbers.
pub fn password() -> Result<Zeroizing<String>, Problem> {
    let mut random = Zeroizing::new([0_u8; RANDOM_BYTES]);
    getrandom::fill(&mut random[..]).map_err(|_| Problem::broken())?;
    let mut text = Zeroizing::new(String::with_capacity(36));
    text.push_str("tgp_");
    for five in random.chunks_exact(5) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for digit in (0..8).rev() {
            text.push(char::from(DIGITS[(bits >> (digit * 5) & 31) as usize]));
        }
    }
    Ok(text)
}

/// What PostgreSQL keeps of a password, with this salt (base64).
///
/// # Errors
/// The salt is not base64.
pub fn verifier(password: &str, salt: &str) -> Result<String, Problem> {
    let raw = BASE64.decode(salt).map_err(|_| Problem::broken())?;
    let mut salted = Zeroizing::new([0_u8; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &raw, password.as_bytes(), &mut salted[..]);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted[..]);
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    Ok(format!("SCRAM-SHA-256${ROUNDS}:{salt}${}:{}", BASE64.encode(stored), BASE64.encode(server)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_is_that_of_the_published_example() {
        // RFC 7677, section 3: password `pencil`, this salt, 4096 rounds.
        let made = verifier("pencil", "W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let expected = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
                        $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(made, expected);
        assert!(verifier("pencil", "no base64").is_err());
    }

    #[test]
    fn passwords_differ_and_need_no_quoting() {
        let (a, b) = (password().unwrap(), password().unwrap());
        assert_ne!(*a, *b);
        assert_eq!(a.len(), 36);
        assert!(a.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
    }
}
