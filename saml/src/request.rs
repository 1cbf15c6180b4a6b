//! Our request to the identity provider: a signed `AuthnRequest` by the HTTP-Redirect binding (SAML bindings 3.4).
//!
//! The request is deflated as the binding asks, in stored blocks: it is short, and no compressor is needed for that.

use crate::metadata::escaped;
use crate::response::{ASSERTION, PROTOCOL};
use crate::{InvalidKey, SigningKey, instant};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// A request to sign somebody in.
#[derive(Clone, Debug)]
pub struct SignOn<'a> {
    /// Its id: see [`new_id`]. The response must answer it.
    pub id: &'a str,
    /// Seconds since 1970, now.
    pub now: i64,
    /// Where the identity provider takes requests.
    pub sign_on: &'a str,
    /// Our entity id.
    pub entity: &'a str,
    /// URL where we take responses.
    pub consumer: &'a str,
    /// Opaque to the provider, given back with the response; at most 80 bytes.
    pub relay_state: &'a str,
    /// Ask for fresh proof even if the person is signed in at the provider.
    pub force: bool,
}

impl SignOn<'_> {
    /// The URL to send the browser to.
    ///
    /// # Errors
    /// Signing failed.
    pub fn url(&self, key: &SigningKey) -> Result<String, InvalidKey> {
        let force = if self.force { " ForceAuthn=\"true\"" } else { "" };
        let document = format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" Version=\"2.0\" \
             IssueInstant=\"{now}\" Destination=\"{to}\" AssertionConsumerServiceURL=\"{consumer}\" \
             ProtocolBinding=\"{POST}\"{force}><saml:Issuer>{entity}</saml:Issuer></samlp:AuthnRequest>",
            id = escaped(self.id),
            now = instant::format(self.now),
            to = escaped(self.sign_on),
            consumer = escaped(self.consumer),
            entity = escaped(self.entity),
        );
        let mut query = format!("SAMLRequest={}", encoded(&STANDARD.encode(stored(document.as_bytes()))));
        query += &format!("&RelayState={}&SigAlg={}", encoded(self.relay_state), encoded(RSA_SHA256));
        let signature = encoded(&STANDARD.encode(key.sign(query.as_bytes())?));
        let joint = if self.sign_on.contains('?') { '&' } else { '?' };
        Ok(format!("{}{joint}{query}&Signature={signature}", self.sign_on))
    }
}

/// A fresh request id: an underscore and 256 random bits in hexadecimal (it must be an XML name).
///
/// # Errors
/// The system has no randomness.
pub fn new_id() -> Result<String, getrandom::Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    Ok(random.iter().fold("_".to_owned(), |id, byte| id + &format!("{byte:02x}")))
}

/// DEFLATE (RFC 1951 3.2.4) without compression.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 16);
    let mut chunks = data.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out.push(u8::from(chunks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out
}

/// Percent-encoding of everything but RFC 3986's unreserved characters.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len() * 2), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
        out
    })
}
