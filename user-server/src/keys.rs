//! Server keys: a secret, and a subkey derived from it for each purpose (HKDF-SHA256, RFC 5869), so
//! that an HMAC for one purpose is never valid for another.

mod token_key;

use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use token_key::{PublicKey, TokenAlgorithm, TokenKey};

/// Minimum length of a secret in bytes: the output length of HMAC-SHA256 (RFC 7518, section 3.2).
pub const MIN_SECRET: usize = 32;

/// Minimum number of distinct bytes of a secret. A secret with fewer is weak.
const MIN_DISTINCT: usize = 8;
/// Maximum length in bytes of a sequence for which a secret that repeats it is weak.
const MAX_PERIOD: usize = 16;
/// Well-known secrets from documentation and examples, in lower case.
const EXAMPLES: [&str; 5] = [
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "your-256-bit-secret-your-256-bit-secret",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "change-me-change-me-change-me-change-me",
];

/// Describes why a secret is easy to guess, or returns `None` if it is not.
#[must_use]
pub fn weakness(secret: &[u8]) -> Option<&'static str> {
    let mut seen = [false; 256];
    for byte in secret {
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    }
    let repeats = |period: usize| {
        secret.len() > period && secret.iter().zip(secret.iter().skip(period)).all(|(a, b)| a == b)
    };
    if seen.iter().filter(|seen| **seen).count() < MIN_DISTINCT {
        Some("it has fewer than 8 different bytes")
    } else if (1..=MAX_PERIOD).any(repeats) {
        Some("it repeats a short sequence")
    } else if EXAMPLES.iter().any(|example| secret.eq_ignore_ascii_case(example.as_bytes())) {
        Some("it is an example from a document")
    } else {
        None
    }
}

/// Server key: a secret and the subkeys derived from it.
pub struct Key {
    /// Name of the key in tokens and in the database. It reveals nothing about the secret.
    pub kid: String,
    secret: Zeroizing<Vec<u8>>,
    refresh: Hmac<Sha256>,
    codes: Hmac<Sha256>,
    audit: Hmac<Sha256>,
    requests: Hmac<Sha256>,
    token_ids: Hmac<Sha256>,
    /// Keys that sign access tokens with EdDSA and ES256.
    token_keys: [TokenKey; 2],
    retired: AtomicBool,
}

impl Key {
    /// Derives a server key from a secret, or returns `None` if the secret is shorter than
    /// [`MIN_SECRET`].
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < MIN_SECRET {
            return None;
        }
        let hkdf = Hkdf::<Sha256>::new(None, secret);
        let mut kid = [0; 8];
        hkdf.expand(b"user-service v1 kid", &mut kid).ok()?;
        Some(Self {
            kid: URL_SAFE_NO_PAD.encode(kid),
            secret: Zeroizing::new(secret.to_vec()),
            refresh: subkey(&hkdf, "refresh token")?,
            codes: subkey(&hkdf, "one-time code")?,
            audit: subkey(&hkdf, "audit")?,
            requests: subkey(&hkdf, "idempotent request")?,
            token_ids: subkey(&hkdf, "access token id")?,
            token_keys: [TokenKey::ed25519(&hkdf)?, TokenKey::p256(&hkdf)?],
            retired: AtomicBool::new(false),
        })
    }

    /// Reports whether an operator has retired the key: nothing that was made with it is accepted
    /// any more.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Returns the secret that signs access tokens with HS256: the configured secret itself, so
    /// that a gateway that has it can verify tokens too.
    #[must_use]
    pub fn access_secret(&self) -> &[u8] {
        &self.secret
    }

    /// Returns the derived keys that sign access tokens: one for EdDSA and one for ES256.
    #[must_use]
    pub fn token_keys(&self) -> &[TokenKey] {
        &self.token_keys
    }

    /// Returns the name of this key and the names of the keys that are derived from it. Retiring
    /// any of them retires them all.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        let derived = self.token_keys.iter().map(|key| key.kid.as_str());
        std::iter::once(self.kid.as_str()).chain(derived)
    }

    /// Computes the HMAC of `parts` under the subkey for refresh tokens.
    #[must_use]
    pub fn refresh_tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac(&self.refresh, parts)
    }

    /// Computes the HMAC of `parts` under the subkey for one-time codes.
    #[must_use]
    pub fn code_tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac(&self.codes, parts)
    }

    /// Computes the HMAC of `parts` under the subkey for the audit log.
    #[must_use]
    pub fn audit_tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac(&self.audit, parts)
    }

    /// Computes the HMAC of `parts` under the subkey for requests with an idempotency key.
    #[must_use]
    pub fn request_tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac(&self.requests, parts)
    }

    /// Derives the id of an access token that may have to be issued again. The same parts give the
    /// same id; without the key, it is indistinguishable from a random id.
    #[must_use]
    pub fn token_id(&self, parts: &[&[u8]]) -> Uuid {
        let mut id = [0; 16];
        id.copy_from_slice(hmac(&self.token_ids, parts).split_at(16).0);
        uuid::Builder::from_random_bytes(id).into_uuid()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key {{ kid: {} }}", self.kid)
    }
}

/// The configured server keys. One of them signs, and all that are not retired are accepted.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Key>,
}

impl KeyRing {
    /// Creates a key ring in which `signing` signs, and the keys `accepted` are accepted too.
    #[must_use]
    pub fn new(signing: Key, accepted: Vec<Key>) -> Self {
        let mut keys = vec![signing];
        keys.extend(accepted);
        Self { keys }
    }

    /// Returns the key that signs: the first that is not retired, so that a node continues with an
    /// accepted key when its configured signing key is retired. Returns `None` if all are retired.
    #[must_use]
    pub fn signing(&self) -> Option<&Key> {
        self.active().next()
    }

    /// Returns the key that is configured to sign, retired or not.
    #[must_use]
    pub fn configured(&self) -> &Key {
        // The list is never empty: `new` adds the first key, and none is removed.
        #[allow(clippy::indexing_slicing)]
        &self.keys[0]
    }

    /// Returns the key with this name, or `None` if there is none or it is retired.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&Key> {
        self.active().find(|key| key.kid == kid)
    }

    /// Returns the keys that are not retired, the signing key first.
    pub fn active(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| !key.is_retired())
    }

    /// Returns the key that has this name, or from which a key with this name is derived, retired
    /// or not. Returns `None` if there is none.
    #[must_use]
    pub fn owner(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kids().any(|name| name == kid))
    }

    /// Retires the key that has this name, or from which a key with this name is derived, until the
    /// process exits. Returns `false` if there is no such key, or if it was retired before.
    pub fn retire(&self, kid: &str) -> bool {
        let retire = |key: &Key| {
            key.kids().any(|name| name == kid) && !key.retired.swap(true, Ordering::Relaxed)
        };
        self.keys.iter().filter(|key| retire(key)).count() > 0
    }

    /// Returns all keys, retired or not. The first is the one that is configured to sign.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }
}

/// Generator of pseudonyms: keyed hashes of values that must not be stored in plaintext.
#[derive(Clone)]
pub struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    /// Derives the subkey for pseudonyms from a server key. Returns `None` if the derivation fails.
    #[must_use]
    pub fn new(key: &Key) -> Option<Self> {
        subkey(&Hkdf::new(None, &key.secret), "pseudonyms").map(Self)
    }

    /// Computes the pseudonym of `parts`. Pseudonyms for different purposes are unrelated.
    #[must_use]
    pub fn of(&self, purpose: &str, parts: &[&str]) -> [u8; 32] {
        let mut all: Vec<&[u8]> = vec![purpose.as_bytes()];
        all.extend(parts.iter().map(|part| part.as_bytes()));
        hmac(&self.0, &all)
    }
}

/// Subkeys for the names of records in the cache, and for their encryption.
pub struct CacheKeys {
    names: Hmac<Sha256>,
    seal: Zeroizing<[u8; 32]>,
}

impl CacheKeys {
    /// Derives the subkeys for the cache from a server key. Returns `None` if the derivation fails.
    #[must_use]
    pub fn new(key: &Key) -> Option<Self> {
        let hkdf = Hkdf::<Sha256>::new(None, &key.secret);
        let mut seal = Zeroizing::new([0; 32]);
        hkdf.expand(b"user-service v1 cache records", seal.as_mut_slice()).ok()?;
        Some(Self { names: subkey(&hkdf, "cache names")?, seal })
    }

    /// Computes the name of a cache record from the id of its session or account.
    #[must_use]
    pub fn name(&self, subject: &[u8]) -> [u8; 32] {
        hmac(&self.names, &[subject])
    }

    /// Returns the subkey that encrypts cache records.
    #[must_use]
    pub fn seal(&self) -> &[u8] {
        self.seal.as_slice()
    }
}

fn subkey(hkdf: &Hkdf<Sha256>, purpose: &str) -> Option<Hmac<Sha256>> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf.expand_multi_info(&[b"user-service v1 ", purpose.as_bytes()], key.as_mut_slice()).ok()?;
    Hmac::new_from_slice(key.as_slice()).ok()
}

/// Computes the HMAC of `parts`. Each part is preceded by its length, so that different lists of
/// parts are different inputs.
fn hmac(mac: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = mac.clone();
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_without_entropy_is_weak() {
        for weak in [
            vec![7; 32],
            b"0123456701234567012345670123456701234567".to_vec(),
            b"0123456789abcdef0123456789abcdef".to_vec(),
            b"0123456789abcde0123456789abcde01".to_vec(),
            b"ababababcdcdcdcdefefefefabababab"[..31].to_vec(),
            b"A-String-Secret-At-Least-256-Bits-Long".to_vec(),
        ] {
            assert!(weakness(&weak).is_some(), "{}", String::from_utf8_lossy(&weak));
        }
        for strong in [
            "a secret of more than thirty-two bytes, the same on all nodes",
            "0123456789abcdefg0123456789abcdefg",
            "dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcw",
        ] {
            assert_eq!(weakness(strong.as_bytes()), None, "{strong}");
        }
    }

    #[test]
    fn purposes_and_parts_are_distinguished() {
        let key = Key::new(&[7; 32]).unwrap();
        assert_ne!(key.refresh_tag(&[b"a"]), key.code_tag(&[b"a"]));
        assert_ne!(key.code_tag(&[b"ab", b"c"]), key.code_tag(&[b"a", b"bc"]));
        assert_ne!(key.kid, Key::new(&[8; 32]).unwrap().kid);
        assert!(Key::new(&[7; 31]).is_none());
    }

    /// The values were computed by another implementation of RFC 5869. If one of them changed, an
    /// upgrade would end every session or forget every failed attempt.
    #[test]
    fn values_derived_from_a_secret_never_change() {
        let key = Key::new(&[7; 32]).unwrap();
        let (parts, start): (&[&[u8]], _) =
            (&[b"ab", b"c"], |tag: &[u8]| u64::from_be_bytes(tag[..8].try_into().unwrap()));
        assert_eq!(key.kid, "J2llH7ozHNg");
        assert_eq!(start(&key.refresh_tag(parts)), 0x8e0a_c39a_aa8d_2894);
        assert_eq!(start(&key.code_tag(parts)), 0x86f4_b95c_d5be_1b49);
        assert_eq!(start(&key.audit_tag(parts)), 0xecfc_bcae_d198_ea71);
        assert_eq!(start(&key.request_tag(parts)), 0xd014_42f5_2c87_b735);
        assert_eq!(start(&hmac(&key.token_ids, parts)), 0x14c6_dcef_d0dd_1bb5);
        assert_eq!(key.token_id(parts).as_bytes()[..6], hmac(&key.token_ids, parts)[..6]);
        assert_eq!(
            start(&Pseudonyms::new(&key).unwrap().of("use", &["ab", "c"])),
            0x488b_7ed5_5e91_9147
        );
        let cache = CacheKeys::new(&key).unwrap();
        assert_eq!(start(&cache.name(b"ab")), 0x6a04_5730_d438_2a10);
        assert_eq!(start(cache.seal()), 0xbf3f_e110_b608_c272);
        assert_eq!(key.access_secret(), [7; 32]);
        let kids: Vec<&str> = key.kids().collect();
        assert_eq!(
            kids,
            [
                "J2llH7ozHNg",
                "VCczLpTyOPBABp3XU_1Nmc0Gu6tZZriecqt7lWANTMk",
                "EMStRF0EDlmCQaEECE9QXgBqq1SCU5zidqu4tZtVRD0",
            ]
        );
        assert_eq!(format!("{key:?}"), format!("Key {{ kid: {} }}", key.kid));
    }

    #[test]
    fn a_retired_key_is_not_used() {
        let (own, other) = (Key::new(&[7; 32]).unwrap(), Key::new(&[8; 32]).unwrap());
        let (kid, next) = (own.kid.clone(), other.kid.clone());
        let ring = KeyRing::new(own, vec![other]);
        let derived = ring.owner(&kid).unwrap().token_keys()[1].kid.clone();
        assert!(ring.retire(&derived) && !ring.retire(&kid) && !ring.retire("unknown"));
        assert!(ring.find(&kid).is_none());
        assert_eq!(ring.signing().unwrap().kid, next, "another key signs");
        assert_eq!(ring.configured().kid, kid);
        assert!(ring.retire(&next) && ring.signing().is_none());
    }
}
