//! Authenticators (WebAuthn level 3): registered by people for themselves, asked when a vote or an emergency needs one.
//!
//! What a vote's authenticator signs is bound to what the person was shown: the challenge is
//! `SHA-256(digest ‖ request id ‖ sign-in id ‖ expiry)`, so nothing has to be remembered and nothing can be moved to another
//! request, sign-in or hour. Invariants: ES256, and RS256 for machines whose own authenticator has nothing else; the user was
//! present and verified; only this origin, never inside of another page. Attestation is not asked for: keys are trusted because a person who was just
//! verified registered them, or showed an earlier key to do so.
//!
//! ```text
//! authenticator data   0       32    33        37        53       55         55+n
//!                      | RP id | fl. | counter | AAGUID  | n (BE) | id (n)   | COSE key
//!                      |<------ assertion ---->|<----------- registration alone ----------------->|
//! ```

use crate::failure::Failure;
use access::{Person, SignIn};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A challenge is good for so long, seconds.
pub(crate) const CHALLENGE_S: u64 = 300;
/// A sign-in this young may register a first authenticator, seconds.
const FRESH_S: u64 = 600;
/// Authenticators of one person.
const AUTHENTICATORS_MAX: usize = 8;
/// Registrations that wait.
const WAITING_MAX: usize = 1000;
/// Longest client data, bytes.
const CLIENT_DATA_MAX: usize = 2048;
/// Longest authenticator data, bytes.
const AUTHENTICATOR_DATA_MAX: usize = 4096;
/// Longest credential id, bytes (WebAuthn, section 5.8.3).
const CREDENTIAL_ID_MAX: usize = 1023;
/// Longest name of an authenticator, bytes.
const NAME_MAX: usize = 60;

/// Flags of authenticator data (WebAuthn, section 6.1).
mod flag {
    pub(super) const PRESENT: u8 = 0x01;
    pub(super) const VERIFIED: u8 = 0x04;
    pub(super) const CREDENTIAL: u8 = 0x40;
    pub(super) const EXTENSIONS: u8 = 0x80;
}

/// A COSE key for ES256 in the one form CTAP2 allows: `{1: 2, 3: -7, -1: 1, -2: x, -3: y}`.
const KEY_HEAD: &[u8] = &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
const KEY_BETWEEN: &[u8] = &[0x22, 0x58, 0x20];
/// One for RS256 with a modulus of 2048 bits and the usual exponent: `{1: 3, 3: -257, -1: n, -2: 65537}`.
const RSA_HEAD: &[u8] = &[0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59, 0x01, 0x00];
const RSA_TAIL: &[u8] = &[0x21, 0x43, 0x01, 0x00, 0x01];
const RSA_EXPONENT: &[u8] = &[0x01, 0x00, 0x01];
/// Bytes of such a modulus.
const RSA_BYTES: usize = 256;

/// An authenticator, as kept with its person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticator {
    /// Credential id, base64url.
    pub id: String,
    /// Uncompressed point of P-256 (65 bytes), or modulus of RSA (256 bytes), base64url.
    pub key: String,
    /// Signatures so far, where it counts.
    pub counter: u32,
    /// Name that the person gave it.
    pub name: String,
    /// Since, Unix seconds.
    pub added_s: u64,
}

/// Those of a person. What cannot be read is none.
#[must_use]
pub fn of(person: &Person) -> Vec<Authenticator> {
    person.authenticators.iter().filter_map(|value| Authenticator::deserialize(value).ok()).collect()
}

/// Registrations that began and have not ended.
#[derive(Debug, Default)]
pub(crate) struct Ceremonies(Mutex<HashMap<String, Ceremony>>);

/// Challenge, until when (Unix seconds), and whether the person had a key when it began.
type Ceremony = ([u8; 32], u64, bool);

impl Ceremonies {
    /// `keyed`: the person has a key when this begins.
    fn begin(&self, sign_in: &str, keyed: bool, now_s: u64) -> Result<[u8; 32], Failure> {
        let mut challenge = [0; 32];
        getrandom::fill(&mut challenge).map_err(|_| Failure::invalid("no randomness"))?;
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, (_, until_s, _)| *until_s > now_s);
        if waiting.len() >= WAITING_MAX {
            return Err(Failure::invalid("too many registrations wait; try again in some minutes"));
        }
        waiting.insert(sign_in.to_owned(), (challenge, now_s + CHALLENGE_S, keyed));
        Ok(challenge)
    }

    fn take(&self, sign_in: &str, now_s: u64) -> Option<([u8; 32], bool)> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = waiting.remove(sign_in).filter(|(_, until_s, _)| *until_s > now_s);
        taken.map(|(challenge, _, keyed)| (challenge, keyed))
    }
}

/// Where authenticators are used: origin of pages, and its host.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// `https://tidegate.example:8443`.
    pub origin: &'a str,
    /// `tidegate.example`.
    pub id: &'a str,
}

/// What an authenticator must sign about a request.
#[must_use]
pub fn challenge(digest: &str, request: &str, sign_in: &str, until_s: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [digest, request, sign_in] {
        // Lengths, so that nothing slides from one part into the next.
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(until_s.to_be_bytes());
    hash.finalize().into()
}

/// What a page's script sends after an authenticator signed. Bytes are base64url.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    id: String,
    client_data: String,
    authenticator_data: String,
    signature: String,
}

/// What a page's script sends after an authenticator made a key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    client_data: String,
    authenticator_data: String,
    /// By an earlier key, over the same challenge.
    #[serde(default)]
    proof: Option<Signed>,
}

fn wrong(what: &str) -> Failure {
    Failure::new(
        axum::http::StatusCode::FORBIDDEN,
        "authenticator",
        format!("the authenticator's answer is not good: {what}"),
    )
}

fn bytes(text: &str, most: usize) -> Result<Vec<u8>, Failure> {
    if text.len() > most.div_ceil(3) * 4 {
        return Err(wrong("too long"));
    }
    BASE64.decode(text).map_err(|_| wrong("not base64url"))
}

/// What the browser says it asked for (section 5.8.1).
fn check_client_data(json: &[u8], kind: &str, challenge: &[u8; 32], site: Site<'_>) -> Result<(), Failure> {
    let data = crate::api::object_once(json).ok_or_else(|| wrong("its client data is not an object"))?;
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("type") != kind {
        return Err(wrong("it is of another kind"));
    }
    if text("challenge") != BASE64.encode(challenge) {
        return Err(wrong("it answers another question, or too late"));
    }
    if text("origin") != site.origin {
        return Err(wrong("it was asked by another site"));
    }
    if data.get("crossOrigin").is_some_and(|cross| *cross != Value::Bool(false)) || data.contains_key("topOrigin") {
        return Err(wrong("it was asked inside of another page"));
    }
    Ok(())
}

/// Checks the part that all authenticator data has; gives flags, counter and what follows.
fn check_data<'a>(data: &'a [u8], site: Site<'_>) -> Result<(u8, u32, &'a [u8]), Failure> {
    let (head, rest) = data.split_first_chunk::<37>().ok_or_else(|| wrong("its data is too short"))?;
    if head[..32] != Sha256::digest(site.id.as_bytes())[..] {
        return Err(wrong("it is for another site"));
    }
    let flags = head[32];
    if flags & flag::PRESENT == 0 || flags & flag::VERIFIED == 0 {
        return Err(wrong("it did not verify you; set a PIN or a fingerprint"));
    }
    let counter = u32::from_be_bytes([head[33], head[34], head[35], head[36]]);
    Ok((flags, counter, rest))
}

/// A key in one of the forms above, as it is kept; and what follows it.
fn key_of(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if let Some(rest) = bytes.strip_prefix(RSA_HEAD) {
        let (modulus, rest) = rest.split_first_chunk::<RSA_BYTES>()?;
        return Some((modulus.to_vec(), rest.strip_prefix(RSA_TAIL)?));
    }
    let (x, rest) = bytes.strip_prefix(KEY_HEAD)?.split_first_chunk::<32>()?;
    let (y, rest) = rest.strip_prefix(KEY_BETWEEN)?.split_first_chunk::<32>()?;
    Some(([&[4][..], x, y].concat(), rest))
}

/// Is it this key's signature?
fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match key.len() {
        RSA_BYTES => {
            let key = RsaPublicKeyComponents { n: key, e: RSA_EXPONENT };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
        }
        _ => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(message, signature).is_ok(),
    }
}

/// Checks what an authenticator signed over a challenge; gives the authenticator with its new counter.
fn check_signed(
    person: &Person,
    signed: &Signed,
    challenge: &[u8; 32],
    site: Site<'_>,
) -> Result<Authenticator, Failure> {
    let known = of(person).into_iter().find(|known| known.id == signed.id);
    let mut known = known.ok_or_else(|| wrong("it is not one of yours"))?;
    let client_data = bytes(&signed.client_data, CLIENT_DATA_MAX)?;
    check_client_data(&client_data, "webauthn.get", challenge, site)?;
    let data = bytes(&signed.authenticator_data, AUTHENTICATOR_DATA_MAX)?;
    let (flags, counter, rest) = check_data(&data, site)?;
    if flags & flag::CREDENTIAL != 0 || (flags & flag::EXTENSIONS == 0) != rest.is_empty() {
        return Err(wrong("its data is not whole"));
    }
    let mut message = data.clone();
    message.extend_from_slice(&Sha256::digest(&client_data));
    if !is_signed(&bytes(&known.key, RSA_BYTES)?, &message, &bytes(&signed.signature, RSA_BYTES)?) {
        return Err(wrong("its signature does not fit"));
    }
    // Those that do not count always say 0.
    if (counter > 0 || known.counter > 0) && counter <= known.counter {
        return Err(wrong("it has signed more often than it says: there may be a copy of it"));
    }
    known.counter = counter;
    Ok(known)
}

/// What the page's script is told for asking an authenticator.
pub(crate) fn ask(person: &Person, challenge: &[u8; 32], until_s: u64, site: Site<'_>) -> Result<Value, Failure> {
    let ids: Vec<String> = of(person).into_iter().map(|known| known.id).collect();
    if ids.is_empty() {
        let text = "this needs a security key or passkey, and you have registered none: do that on the page Access";
        return Err(Failure::new(axum::http::StatusCode::FORBIDDEN, "step_up", text));
    }
    Ok(json!({"challenge": BASE64.encode(challenge), "until": until_s, "rp": site.id, "allow": ids}))
}

/// Checks an assertion about a request. Gives the authenticator with its new counter, and what the vote's record keeps: all
/// that is needed to check it again.
///
/// # Errors
/// It is not good.
pub(crate) fn check(
    person: &Person,
    sign_in: &SignIn,
    (digest, request): (&str, &str),
    (answer, until_s): (&str, u64),
    now_s: u64,
    site: Site<'_>,
) -> Result<(Authenticator, Vec<u8>), Failure> {
    if until_s <= now_s || until_s > now_s + CHALLENGE_S {
        return Err(wrong("it took too long; try again"));
    }
    let signed = crate::api::object_once(answer.as_bytes())
        .and_then(|object| Signed::deserialize(Value::Object(object)).ok())
        .ok_or_else(|| wrong("it cannot be read"))?;
    let challenge = challenge(digest, request, &sign_in.id, until_s);
    let known = check_signed(person, &signed, &challenge, site)?;
    let kept = json!({
        "form": "tidegate-webauthn/v1", "credential": known.id, "key": known.key,
        "client_data": signed.client_data, "authenticator_data": signed.authenticator_data,
        "signature": signed.signature, "sign_in": sign_in.id, "until": until_s,
    });
    Ok((known, kept.to_string().into_bytes()))
}

/// A key is registered by who signed in themselves, and the first one by who did just now.
fn may_register(first: bool, sign_in: &SignIn, now_s: u64) -> Result<(), Failure> {
    if ["token", "workload"].iter().any(|how| sign_in.how.starts_with(how)) {
        return Err(Failure::forbidden("a sign-in by a token registers no keys: sign in in a browser"));
    }
    if first && sign_in.from_s + FRESH_S < now_s {
        let text = "to register a first key, sign out and in again: it needs a sign-in of the last ten minutes";
        return Err(Failure::forbidden(text));
    }
    Ok(())
}

/// Begins a registration: what the page's script is told.
pub(crate) fn begin(
    ceremonies: &Ceremonies,
    person: &Person,
    sign_in: &SignIn,
    now_s: u64,
    site: Site<'_>,
) -> Result<Value, Failure> {
    let known = of(person);
    if known.len() >= AUTHENTICATORS_MAX {
        return Err(Failure::invalid("you have registered as many as can be; remove one first"));
    }
    may_register(known.is_empty(), sign_in, now_s)?;
    let challenge = ceremonies.begin(&sign_in.id, !known.is_empty(), now_s)?;
    let user: String = person.who.issuer.clone() + "\0" + &person.who.subject;
    let ids: Vec<String> = known.into_iter().map(|known| known.id).collect();
    Ok(json!({
        "challenge": BASE64.encode(challenge), "rp": site.id, "exclude": ids,
        "user": BASE64.encode(Sha256::digest(user.as_bytes())), "handle": person.handle, "name": person.name,
    }))
}

/// Ends a registration: the new authenticator, and the earlier one that vouched for it with its new counter.
pub(crate) fn finish(
    ceremonies: &Ceremonies,
    person: &Person,
    sign_in: &SignIn,
    (answer, name): (&str, &str),
    now_s: u64,
    site: Site<'_>,
) -> Result<(Authenticator, Option<Authenticator>), Failure> {
    let (challenge, keyed) = ceremonies.take(&sign_in.id, now_s).ok_or_else(|| wrong("it took too long; try again"))?;
    let first = of(person).is_empty();
    if keyed == first {
        return Err(wrong("your keys changed meanwhile; try again"));
    }
    may_register(first, sign_in, now_s)?;
    let made = crate::api::object_once(answer.as_bytes())
        .and_then(|object| Made::deserialize(Value::Object(object)).ok())
        .ok_or_else(|| wrong("it cannot be read"))?;
    let voucher = match (first, &made.proof) {
        (true, _) => None,
        (false, Some(proof)) => Some(check_signed(person, proof, &challenge, site)?),
        (false, None) => return Err(wrong("a key that you have already must sign too")),
    };
    let client_data = bytes(&made.client_data, CLIENT_DATA_MAX)?;
    check_client_data(&client_data, "webauthn.create", &challenge, site)?;
    let data = bytes(&made.authenticator_data, AUTHENTICATOR_DATA_MAX)?;
    let (flags, counter, rest) = check_data(&data, site)?;
    if flags & flag::CREDENTIAL == 0 {
        return Err(wrong("there is no key in it"));
    }
    let parted = rest.split_at_checked(16).and_then(|(_aaguid, rest)| {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (id, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        Some((id, rest))
    });
    let (id, rest) = parted.ok_or_else(|| wrong("its data is not whole"))?;
    let (key, rest) = key_of(rest).ok_or_else(|| wrong("its key is neither for ES256 nor for RS256"))?;
    if id.is_empty() || id.len() > CREDENTIAL_ID_MAX || (flags & flag::EXTENSIONS == 0) != rest.is_empty() {
        return Err(wrong("its data is not whole"));
    }
    let id = BASE64.encode(id);
    if of(person).iter().any(|known| known.id == id) {
        return Err(wrong("it is registered already"));
    }
    let name: String = name.chars().filter(|c| !audit::render::is_active(*c)).collect();
    let name = match name.trim() {
        "" => "Security key",
        name => &name[..name.floor_char_boundary(NAME_MAX)],
    };
    let new = Authenticator { id, key: BASE64.encode(key), counter, name: name.to_owned(), added_s: now_s };
    Ok((new, voucher))
}

/// Puts an authenticator in the place of the one with its id, or after the others.
pub(crate) fn put(person: &mut Person, authenticator: &Authenticator) {
    let Ok(value) = serde_json::to_value(authenticator) else { return };
    let same = |old: &Map<String, Value>| old.get("id").and_then(Value::as_str) == Some(&authenticator.id);
    match person.authenticators.iter_mut().find(|old| old.as_object().is_some_and(same)) {
        Some(old) => *old = value,
        None => person.authenticators.push(value),
    }
}

/// Takes an authenticator away; false if there was none.
pub(crate) fn remove(person: &mut Person, id: &str) -> bool {
    let before = person.authenticators.len();
    person.authenticators.retain(|old| old.get("id").and_then(Value::as_str) != Some(id));
    person.authenticators.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    const SITE: Site<'_> = Site { origin: "https://tidegate.example:8443", id: "tidegate.example" };
    const NOW: u64 = 1_800_000_000;

    /// An authenticator made of software.
    struct Key {
        pair: EcdsaKeyPair,
        counter: u32,
    }

    impl Key {
        fn new() -> Self {
            let random = SystemRandom::new();
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
            Self { pair, counter: 0 }
        }

        fn data(&self, id: &str, flags: u8) -> Vec<u8> {
            let mut data = Sha256::digest(id.as_bytes()).to_vec();
            data.push(flags);
            data.extend(self.counter.to_be_bytes());
            data
        }

        fn make(&self, challenge: &str) -> Value {
            let mut data = self.data(SITE.id, 0x45);
            data.extend([0; 16]);
            data.extend([0, 3]);
            data.extend(b"key");
            let point = self.pair.public_key().as_ref();
            data.extend([KEY_HEAD, &point[1..33], KEY_BETWEEN, &point[33..]].concat());
            let client =
                json!({"type": "webauthn.create", "challenge": challenge, "origin": SITE.origin, "crossOrigin": false});
            json!({"client_data": BASE64.encode(client.to_string()), "authenticator_data": BASE64.encode(data)})
        }

        fn sign(&mut self, client: &Value, id: &str, flags: u8) -> Value {
            self.counter += 1;
            let client = client.to_string();
            let data = self.data(id, flags);
            let mut message = data.clone();
            message.extend_from_slice(&Sha256::digest(client.as_bytes()));
            let signature = self.pair.sign(&SystemRandom::new(), &message).unwrap();
            json!({
                "id": BASE64.encode("key"), "client_data": BASE64.encode(client),
                "authenticator_data": BASE64.encode(data), "signature": BASE64.encode(signature.as_ref()),
            })
        }
    }

    fn signed_in() -> SignIn {
        SignIn {
            id: "aa".repeat(32),
            who: access::Who::default(),
            how: "oidc".to_owned(),
            source: String::new(),
            from_s: NOW - 60,
            until_s: NOW + 3600,
            csrf: "x".to_owned(),
        }
    }

    fn registered() -> (Person, Key) {
        let (mut person, key, sign_in) = (Person::default(), Key::new(), signed_in());
        let ceremonies = Ceremonies::default();
        let asked = begin(&ceremonies, &person, &sign_in, NOW, SITE).unwrap();
        let answer = key.make(asked["challenge"].as_str().unwrap()).to_string();
        let (new, voucher) = finish(&ceremonies, &person, &sign_in, (&answer, "desk"), NOW, SITE).unwrap();
        assert_eq!((new.name.as_str(), voucher), ("desk", None));
        assert!(finish(&ceremonies, &person, &sign_in, (&answer, "desk"), NOW, SITE).is_err(), "once");
        put(&mut person, &new);
        (person, key)
    }

    fn client(digest: &str, request: &str, until_s: u64) -> Value {
        let challenge = BASE64.encode(challenge(digest, request, &signed_in().id, until_s));
        json!({"type": "webauthn.get", "challenge": challenge, "origin": SITE.origin, "crossOrigin": false})
    }

    #[test]
    fn what_was_signed_for_this_request_is_taken_and_kept_whole() {
        let (person, mut key) = registered();
        let answer = key.sign(&client("d1", "TG-1", NOW + 200), SITE.id, 0x05).to_string();
        let (known, kept) = check(&person, &signed_in(), ("d1", "TG-1"), (&answer, NOW + 200), NOW, SITE).unwrap();
        assert_eq!(known.counter, 1);
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        assert_eq!(kept["form"], "tidegate-webauthn/v1");
        assert!(kept["signature"].is_string() && kept["key"].is_string());
    }

    #[test]
    fn a_key_of_rsa_is_taken_and_its_signature_checked() {
        // Made with openssl: what an authenticator signed about TG-1 and the digest d1; its private key is gone.
        const MODULUS: &str = "v4guCblTK2YiBHk6tSarxLO2S4LAVWLk_abXP1T3F0cftEvXHsfRFdO4vLJrcmAXUAcqvvFZV6DvmBXGSfC2x81y64CKtwAVjMfMNw8_I8NzHmwIHxcVESrZiIv1085FAqB_wExRMVxNUW5OaY-A95cEKmxwqnj-AoqDdZ_6ngoRgdBDIoJS-F_emrLLjneAH-DUuEV2JIthY8TsgiSI_T3I81IOq4fILqdRqFNDaQwhC2iKuifuNEOICiHtcFhrPZi-yvJG-QNwkjgbim672tf_a6oIlLLdtlQq1M0hmM_pglcHQl5_fjuk2hP4RldjwunZU5kgfY7YNqBhr3Eonw";
        const CLIENT: &str = "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiNW5LT2lqejZLdnpybDRVQ3FGRWdnSklaVkt5Vkg3VXVWbkVOb2Nac2lzQSIsIm9yaWdpbiI6Imh0dHBzOi8vdGlkZWdhdGUuZXhhbXBsZTo4NDQzIiwiY3Jvc3NPcmlnaW4iOmZhbHNlfQ";
        const DATA: &str = "Tw_xMMykitS-feMxLEQCZ3GZQW-3kZ5GS4gSZDJrW6sFAAAAAA";
        const SIGNATURE: &str = "DJdNCaRljEut7jJqk0x7I-XBKvE8ySy0UHyBBopPypdUDN-Flo93-rc21FwZNo6C5F7el8mspApAcc6TUgu1QkJP6Bcucfw9d2Gwe42IxOivfoGQCr6ODdmN6OTWj5d0gAlJrbYzgvOw48Z1ZXrhjEp-_l3dAxZQGr72UlX9E875TIeMi_umzY806zmZ2DiXJSQ_byhgPtO5ZS04IQKgLY6N63_3i5mV6XlKzmZCXbRuvKZu7UsiMd945VYyrO9DAsoamKG423z4NGnMN2kpirkXOWiMmsE9dRzNSWG6guHZcoeHvmImj5H5t-L8ZzRVQNFoUMjqK5VhdrUvaXiA3g";
        let modulus = BASE64.decode(MODULUS).unwrap();
        let cose = [RSA_HEAD, &modulus, RSA_TAIL].concat();
        assert_eq!(key_of(&cose), Some((modulus, &[][..])));
        assert_eq!(key_of(&cose[..cose.len() - 1]), None);
        let mut person = Person::default();
        let key = Authenticator { id: "a2V5".into(), key: MODULUS.into(), counter: 0, name: "k".into(), added_s: 0 };
        put(&mut person, &key);
        let answer = |signature: &str| {
            json!({"id": "a2V5", "client_data": CLIENT, "authenticator_data": DATA, "signature": signature}).to_string()
        };
        let good = check(&person, &signed_in(), ("d1", "TG-1"), (&answer(SIGNATURE), NOW + 200), NOW, SITE);
        assert_eq!(good.unwrap().0, key);
        let mut broken = BASE64.decode(SIGNATURE).unwrap();
        broken[100] ^= 1;
        let broken = answer(&BASE64.encode(broken));
        assert!(check(&person, &signed_in(), ("d1", "TG-1"), (&broken, NOW + 200), NOW, SITE).is_err());
    }

    #[test]
    fn nothing_else_is_taken() {
        let (person, mut key) = registered();
        let until = NOW + 200;
        let good = client("d1", "TG-1", until);
        let with = |name: &str, value: Value| {
            let mut client = good.clone();
            client[name] = value;
            client
        };
        let answers = [
            ("another digest", key.sign(&client("d2", "TG-1", until), SITE.id, 0x05), until),
            ("another request", key.sign(&client("d1", "TG-2", until), SITE.id, 0x05), until),
            ("another expiry", key.sign(&client("d1", "TG-1", until + 1), SITE.id, 0x05), until),
            ("another site's page", key.sign(&with("origin", json!("https://evil.example")), SITE.id, 0x05), until),
            ("another site's key", key.sign(&good, "evil.example", 0x05), until),
            ("inside of another page", key.sign(&with("crossOrigin", json!(true)), SITE.id, 0x05), until),
            ("inside, by top origin", key.sign(&with("topOrigin", json!("https://e.example")), SITE.id, 0x05), until),
            ("a registration", key.sign(&with("type", json!("webauthn.create")), SITE.id, 0x05), until),
            ("nobody was present", key.sign(&good, SITE.id, 0x04), until),
            ("nobody was verified", key.sign(&good, SITE.id, 0x01), until),
            ("too late", key.sign(&client("d1", "TG-1", NOW), SITE.id, 0x05), NOW),
            ("far in the future", key.sign(&client("d1", "TG-1", NOW + 9000), SITE.id, 0x05), NOW + 9000),
        ];
        for (what, answer, until) in answers {
            let outcome = check(&person, &signed_in(), ("d1", "TG-1"), (&answer.to_string(), until), NOW, SITE);
            assert!(outcome.is_err(), "{what}");
        }
        let mut stranger = Key::new();
        let forged = stranger.sign(&good, SITE.id, 0x05).to_string();
        assert!(check(&person, &signed_in(), ("d1", "TG-1"), (&forged, until), NOW, SITE).is_err());
        let mut other = signed_in();
        other.id = "bb".repeat(32);
        let answer = key.sign(&good, SITE.id, 0x05).to_string();
        assert!(check(&person, &other, ("d1", "TG-1"), (&answer, until), NOW, SITE).is_err(), "another sign-in");
        let mut seen = person.clone();
        let (known, _) = check(&person, &signed_in(), ("d1", "TG-1"), (&answer, until), NOW, SITE).unwrap();
        put(&mut seen, &known);
        assert_eq!(seen.authenticators.len(), 1);
        assert!(check(&seen, &signed_in(), ("d1", "TG-1"), (&answer, until), NOW, SITE).is_err(), "again");
        for broken in ["", "{}", "[]", "null", "{\"id\":\"\"}", &"x".repeat(100_000)] {
            assert!(check(&person, &signed_in(), ("d1", "TG-1"), (broken, until), NOW, SITE).is_err());
        }
    }

    #[test]
    fn a_second_key_needs_the_first_and_a_first_one_a_fresh_sign_in() {
        let (person, mut key) = registered();
        let (ceremonies, sign_in, second) = (Ceremonies::default(), signed_in(), Key::new());
        let alone = |proof: Option<Value>, asked: &Value| {
            let mut made = second.make(asked["challenge"].as_str().unwrap());
            let data = BASE64.decode(made["authenticator_data"].as_str().unwrap()).unwrap();
            made["authenticator_data"] = BASE64.encode([&data[..55], b"2nd", &data[58..]].concat()).into();
            if let Some(proof) = proof {
                made["proof"] = proof;
            }
            finish(&ceremonies, &person, &sign_in, (&made.to_string(), ""), NOW, SITE)
        };
        let asked = begin(&ceremonies, &person, &sign_in, NOW, SITE).unwrap();
        assert!(alone(None, &asked).is_err());
        let asked = begin(&ceremonies, &person, &sign_in, NOW, SITE).unwrap();
        let client = json!({"type": "webauthn.get", "challenge": asked["challenge"], "origin": SITE.origin});
        let (new, voucher) = alone(Some(key.sign(&client, SITE.id, 0x05)), &asked).unwrap();
        assert_eq!((new.name.as_str(), voucher.unwrap().counter), ("Security key", 1));
        let mut old = signed_in();
        old.from_s = NOW - FRESH_S - 1;
        assert!(begin(&ceremonies, &Person::default(), &old, NOW, SITE).is_err());
    }
}
