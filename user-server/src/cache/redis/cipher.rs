//! Encryption of the records in Redis. Their Redis keys are keyed hashes, and their values are
//! encrypted with a subkey of a server key (AES-256-GCM-SIV) and bound to their Redis keys. Read
//! access to Redis reveals no username and no email address, and write access can neither forge a
//! record nor move it to another Redis key.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{Fault, Profile, Timestamp};
use crate::keys::{CacheKeys, KeyRing};

/// Prefix of every Redis key. Its number changes whenever the format of records changes.
const PREFIX: &str = "user-server:1:";
/// Number of bytes of the keyed hash in a Redis key: enough that no two records collide.
const HASH_BYTES: usize = 16;

/// Encryption of cache records and derivation of their Redis keys. Records are written under the
/// configured signing key, but deleted under every server key: during a key rotation, nodes have
/// different signing keys.
pub(super) struct RecordCipher {
    ring: Vec<CacheKeys>,
    key: LessSafeKey,
}

/// Cache record of an open session. An ended session has no record.
#[derive(Serialize, Deserialize)]
pub(super) struct CachedSession {
    pub(super) filled_at: i64,
}

/// Cache record of an account. The id is not stored, since the value is bound to the Redis key.
#[derive(Serialize, Deserialize)]
pub(super) struct CachedUser {
    pub(super) filled_at: i64,
    username: String,
    email: String,
    created_at: i64,
    version: i64,
}

impl CachedUser {
    pub(super) fn new(profile: &Profile, now: Timestamp) -> Self {
        let Profile { username, email, created_at, version, .. } = profile.clone();
        Self { filled_at: now.0, username, email, created_at: created_at.0, version }
    }

    pub(super) fn profile(self, id: Uuid) -> Profile {
        let Self { username, email, created_at, version, .. } = self;
        Profile { id, username, email, created_at: Timestamp(created_at), version }
    }
}

impl RecordCipher {
    pub(super) fn new(keys: &KeyRing) -> Result<Self, Fault> {
        let fault = || Fault::internal("a key of the cache cannot be derived");
        let ring: Vec<CacheKeys> =
            keys.iter().map(CacheKeys::new).collect::<Option<_>>().ok_or_else(fault)?;
        let signing = CacheKeys::new(keys.configured()).ok_or_else(fault)?;
        let key = UnboundKey::new(&AES_256_GCM_SIV, signing.seal()).map_err(|_| fault())?;
        Ok(Self { ring, key: LessSafeKey::new(key) })
    }

    /// Returns the Redis key of the record of a session or an account.
    pub(super) fn record_key(&self, subject: Uuid) -> String {
        self.ring.first().map(|keys| redis_key(keys, subject.as_bytes())).unwrap_or_default()
    }

    /// Returns all Redis keys under which a node may have stored the record of a session or an
    /// account: one for each server key.
    pub(super) fn record_keys(&self, subject: Uuid) -> impl Iterator<Item = String> {
        self.ring.iter().map(move |keys| redis_key(keys, subject.as_bytes()))
    }

    /// Returns the names of the pub/sub channels for wakeups, one for each server key. This node
    /// publishes on the first.
    pub(super) fn channels(&self) -> Vec<String> {
        self.ring.iter().map(|keys| redis_key(keys, b"wake")).collect()
    }

    /// Encrypts a record, bound to its Redis key. Returns `None` if the system provides no random
    /// bytes or the record cannot be encoded.
    pub(super) fn encrypt(&self, record_key: &str, record: &impl Serialize) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let mut value = serde_json::to_vec(record).ok()?;
        let aad = Aad::from(record_key.as_bytes());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut value)
            .ok()?;
        Some([&nonce, value.as_slice()].concat())
    }

    /// Decrypts a record. Returns `None` if the value was not encrypted with the key of this node
    /// for the same Redis key.
    pub(super) fn decrypt<T: for<'de> Deserialize<'de>>(
        &self,
        record_key: &str,
        value: &[u8],
    ) -> Option<T> {
        let (nonce, encrypted) = value.split_first_chunk::<NONCE_LEN>()?;
        let mut encrypted = encrypted.to_vec();
        let aad = Aad::from(record_key.as_bytes());
        let record = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut encrypted)
            .ok()?;
        serde_json::from_slice(record).ok()
    }
}

fn redis_key(keys: &CacheKeys, subject: &[u8]) -> String {
    let tag = keys.name(subject);
    let short = tag
        .first_chunk::<HASH_BYTES>()
        .map(|short| URL_SAFE_NO_PAD.encode(short))
        .unwrap_or_default();
    format!("{PREFIX}{short}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Key;

    fn cipher(secret: u8, accepted: u8) -> RecordCipher {
        let key = |byte| Key::new(&[byte; 32]).unwrap();
        RecordCipher::new(&KeyRing::new(key(secret), vec![key(accepted)])).unwrap()
    }

    #[test]
    fn a_value_can_be_decrypted_only_with_its_key_and_redis_key() {
        let (own, other, id) = (cipher(1, 2), cipher(2, 1), Uuid::new_v4());
        let profile = Profile {
            id,
            username: "ada".to_owned(),
            email: "ada@example.org".to_owned(),
            created_at: Timestamp(7),
            version: 3,
        };
        let value = own.encrypt("here", &CachedUser::new(&profile, Timestamp(9))).unwrap();
        assert!(!String::from_utf8_lossy(&value).contains("ada"));
        let decrypt = |cipher: &RecordCipher, key, value: &[u8]| {
            cipher.decrypt::<CachedUser>(key, value).map(|body| body.profile(id))
        };
        assert_eq!(decrypt(&own, "here", &value), Some(profile));
        assert_eq!(decrypt(&own, "there", &value), None);
        assert_eq!(decrypt(&other, "here", &value), None);
        for index in 0..value.len() {
            let mut altered = value.clone();
            altered[index] ^= 1;
            assert_eq!(decrypt(&own, "here", &altered), None, "byte {index}");
            assert_eq!(decrypt(&own, "here", &value[..index]), None, "cut at {index}");
        }
    }

    #[test]
    fn nodes_with_different_signing_keys_share_deletions_and_wakeups() {
        let (own, other, id) = (cipher(1, 2), cipher(2, 1), Uuid::new_v4());
        assert_ne!(own.record_key(id), other.record_key(id));
        assert!(own.record_keys(id).any(|key| key == other.record_key(id)));
        assert!(own.channels().contains(&other.channels()[0]));
    }
}
