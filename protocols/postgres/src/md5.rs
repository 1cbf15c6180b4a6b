//! The old password hash, which some upstreams still ask for: `md5(md5(password ‖ user) ‖ salt)` in hexadecimal.
//!
//! Only the upstream side exists: the gateway never asks a client for it.

use ::md5::{Digest as _, Md5};
use zeroize::Zeroizing;

/// The answer to AuthenticationMD5Password: `md5` and 32 lower-case digits, without the terminating zero.
#[must_use]
pub fn md5_password(user: &[u8], password: &[u8], salt: [u8; 4]) -> [u8; 35] {
    let inner = Zeroizing::new(hex(&Md5::new().chain_update(password).chain_update(user).finalize().into()));
    let outer = hex(&Md5::new().chain_update(&inner[..]).chain_update(salt).finalize().into());
    let mut answer = *b"md500000000000000000000000000000000";
    answer[3..].copy_from_slice(&outer);
    answer
}

fn hex(digest: &[u8; 16]) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|i| {
        let byte = digest[i / 2];
        let nibble = if i % 2 == 0 { byte >> 4 } else { byte & 15 };
        DIGITS[usize::from(nibble)]
    })
}

#[cfg(test)]
mod tests {
    use super::md5_password;

    #[test]
    fn answer_is_what_the_server_computes() {
        // md5(md5('secret' || 'ana') || '\x01020304'), from another implementation.
        assert_eq!(&md5_password(b"ana", b"secret", [1, 2, 3, 4]), EXPECTED);
    }

    const EXPECTED: &[u8; 35] = b"md58f8b530763ed9afcdb2cb65189075c56";
}
