//! The public keys of the service.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::ed25519;
use crate::limits;

/// Number of revoked keys that are remembered.
const MAX_REVOKED: usize = 10_000;
/// Members of a JWK that contain a secret or a private key (RFC 7518).
const PRIVATE: [&str; 8] = ["d", "k", "p", "q", "dp", "dq", "qi", "oth"];
/// Length in bytes of a signature: R and S of Ed25519, r and s of ECDSA on P-256.
const SIGNATURE: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    EdDsa,
    Es256,
}

impl Algorithm {
    /// Returns the name of the algorithm in a JWT.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}

/// A public key, with its only algorithm.
#[derive(Clone)]
pub(super) struct PublicKey {
    pub(super) algorithm: Algorithm,
    bytes: Vec<u8>,
    parsed: ParsedPublicKey,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.bytes == other.bytes
    }
}

impl PublicKey {
    fn new(algorithm: Algorithm, bytes: Vec<u8>) -> Option<Self> {
        let scheme: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::EdDsa => &ED25519,
            // Refuses a point that is not on the curve.
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        };
        let parsed = ParsedPublicKey::new(scheme, &bytes).ok()?;
        Some(Self { algorithm, bytes, parsed })
    }

    /// Reads a JWK with its kid. Returns `None` if it is not a public key for signatures of a known
    /// algorithm.
    fn from_jwk(jwk: &Map<String, Value>) -> Option<(String, Self)> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let kid = text("kid").filter(|kid| (1..=limits::MAX_KID).contains(&kid.len()))?;
        let verifies = |operations: &Value| {
            operations.as_array().is_some_and(|all| all.contains(&Value::from("verify")))
        };
        if PRIVATE.iter().any(|name| jwk.contains_key(*name))
            || text("use") != Some("sig")
            || !jwk.get("key_ops").is_none_or(verifies)
        {
            return None;
        }
        let coordinate = |name| -> Option<[u8; 32]> {
            URL_SAFE_NO_PAD.decode(text(name)?).ok()?.try_into().ok()
        };
        let key = match (text("kty")?, text("crv")?, text("alg")?) {
            ("OKP", "Ed25519", "EdDSA") => {
                let x = coordinate("x").filter(ed25519::is_strict)?;
                Self::new(Algorithm::EdDsa, x.to_vec())
            }
            ("EC", "P-256", "ES256") => {
                let uncompressed = [&[4], &coordinate("x")?[..], &coordinate("y")?[..]].concat();
                Self::new(Algorithm::Es256, uncompressed)
            }
            _ => None,
        };
        key.map(|key| (kid.to_owned(), key))
    }

    /// Returns `true` if `signature` is a signature of `message` with this key.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature): Result<&[u8; SIGNATURE], _> = signature.try_into() else {
            return false;
        };
        if self.algorithm == Algorithm::EdDsa {
            let r = signature.first_chunk();
            if !r.is_some_and(ed25519::is_strict) {
                return false;
            }
        }
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

/// The public keys of one answer, by kid.
#[derive(Default)]
pub(super) struct KeySet(HashMap<String, PublicKey>);

impl KeySet {
    /// Reads a JWK Set (RFC 7517). Keys that cannot be used are left out, as the RFC requires. Two
    /// different keys with one kid are both left out, since a kid must name one key. Returns `None`
    /// if it is not a JWK Set.
    pub(super) fn parse(jwks: &str) -> Option<Self> {
        let set: Value = serde_json::from_str(jwks).ok()?;
        let rows = set.as_object()?.get("keys")?.as_array()?;
        let (mut keys, mut ambiguous) = (HashMap::new(), HashSet::new());
        for (kid, key) in rows.iter().filter_map(|row| PublicKey::from_jwk(row.as_object()?)) {
            if keys.get(&kid).is_some_and(|other| *other != key) {
                ambiguous.insert(kid);
            } else {
                keys.insert(kid, key);
            }
        }
        keys.retain(|kid, _| !ambiguous.contains(kid));
        Some(Self(keys))
    }

    pub(super) fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The current keys. Only the follower changes them.
///
/// The generation is increased after a key was dropped from the set. A reader loads it before the
/// set: then a signature that it verifies with a dropped key is cached under the old generation,
/// and is not found there by anyone who has seen the new one.
#[derive(Default)]
pub(super) struct Keys {
    set: RwLock<Arc<KeySet>>,
    generation: AtomicU64,
    revoked: Mutex<HashSet<String>>,
    /// JWK Set of the service; `None` while it is not known without a revoked key.
    published: RwLock<Option<Arc<str>>>,
    loaded: AtomicBool,
}

impl Keys {
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns `true` if a key set has arrived.
    pub(super) fn are_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    pub(super) fn is_revoked(&self, kid: &str) -> bool {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).contains(kid)
    }

    /// Returns the JWK Set of the service, in JSON.
    pub(super) fn published(&self) -> Option<Arc<str>> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, jwks: Option<&str>) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = jwks.map(Arc::from);
    }

    /// Replaces the keys by those of the JWK Set `jwks`, except for revoked ones. Returns `true` if
    /// a key was dropped.
    pub(super) fn replace(&self, mut new: KeySet, jwks: &str) -> bool {
        let count = new.len();
        new.0.retain(|kid, _| !self.is_revoked(kid));
        self.publish((new.len() == count).then_some(jwks));
        let old = self.current();
        let dropped = old.0.iter().any(|(kid, key)| new.get(kid) != Some(key));
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        self.loaded.store(true, Ordering::Release);
        if dropped {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        dropped
    }

    /// Drops a key forever. Returns `None` if there are too many revoked keys to remember this one,
    /// otherwise `true` if it was not revoked before.
    pub(super) fn revoke(&self, kid: &str) -> Option<bool> {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        if revoked.contains(kid) {
            return Some(false);
        }
        let has_space = revoked.len() < MAX_REVOKED;
        if has_space {
            revoked.insert(kid.to_owned());
        }
        drop(revoked);
        let mut rest = self.current().0.clone();
        if rest.remove(kid).is_some() {
            *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(KeySet(rest));
        }
        self.publish(None);
        self.generation.fetch_add(1, Ordering::AcqRel);
        has_space.then_some(true)
    }
}
