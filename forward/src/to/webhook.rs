//! Webhook: `POST` of `{"events": [...]}` with a signature that the receiver can check.
//!
//! `Tidegate-Signature: t=SECONDS,v1=HEX` where HEX is HMAC-SHA-256 under the shared key over `SECONDS.BODY`. A receiver
//! that refuses old times cannot be played an old batch.

use std::sync::Arc;

use audit::record::Clock;
use audit::render::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustls::ClientConfig;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{SendError, Sink, refused};
use crate::event::Event;
use crate::http::{Url, post};

/// Where to.
#[derive(Clone)]
pub struct Webhook {
    /// Address.
    pub url: Url,
    /// TLS settings for https.
    pub tls: Option<Arc<ClientConfig>>,
    /// Shared key.
    pub key: Zeroizing<Vec<u8>>,
}

/// Header of a body at a time, seconds since 1970.
#[must_use]
pub fn signature(key: &[u8], seconds: u64, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
}

impl Sink for Webhook {
    fn send(&mut self, batch: &[Event]) -> Result<(), SendError> {
        let events: Vec<String> = batch.iter().map(Event::json).collect();
        let body = format!("{{\"events\":[{}]}}", events.join(","));
        let seconds = Clock::now().wall_ns / 1_000_000_000;
        let headers = [
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("Tidegate-Signature".to_owned(), signature(&self.key, seconds, body.as_bytes())),
        ];
        let answer = post(&self.url, self.tls.as_ref(), &headers, body.as_bytes())
            .map_err(|error| SendError::Retry(error.to_string()))?;
        if (200..300).contains(&answer.status) { Ok(()) } else { Err(refused(answer.status)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_any_other_implementation() {
        // printf '1700000000.{"events":[]}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let expected = "t=1700000000,v1=1f1c43683e76ee83b09613ab56fa5bdd3ce55f3ee41db00a92e22eea0376899e";
        assert_eq!(signature(b"0123456789abcdef", 1_700_000_000, b"{\"events\":[]}"), expected);
    }
}
