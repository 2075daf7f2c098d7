//! What Redis holds, made unreadable to it: names are keyed hashes, and values are sealed under a
//! key of the server (AES-256-GCM-SIV) together with their names. Who reads Redis learns no name
//! and no address, and who writes to it can neither forge a record nor move one to another place.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{Fault, Profile, Timestamp};
use crate::keys::{CacheKeys, KeyRing};

/// Before every name; the number moves on when the form of records does.
const PREFIX: &str = "user-server:1:";
/// So much of a keyed hash that no two subjects share a name.
const NAME: usize = 16;

/// Names and values. Records are written under the key that signs, and ended under every key: while
/// keys are rolled, nodes differ in which one signs.
pub(super) struct Seal {
    ring: Vec<CacheKeys>,
    key: LessSafeKey,
}

/// A sealed session: that it had not ended.
#[derive(Serialize, Deserialize)]
pub(super) struct SessionBody {
    pub(super) filled_at: i64,
}

/// A sealed user. Whose it is stands in the name that it is sealed with.
#[derive(Serialize, Deserialize)]
pub(super) struct UserBody {
    pub(super) filled_at: i64,
    username: String,
    email: String,
    created_at: i64,
    version: i64,
}

impl UserBody {
    pub(super) fn new(profile: &Profile, now: Timestamp) -> Self {
        let Profile { username, email, created_at, version, .. } = profile.clone();
        Self { filled_at: now.0, username, email, created_at: created_at.0, version }
    }

    pub(super) fn profile(self, id: Uuid) -> Profile {
        let Self { username, email, created_at, version, .. } = self;
        Profile { id, username, email, created_at: Timestamp(created_at), version }
    }
}

impl Seal {
    pub(super) fn new(keys: &KeyRing) -> Result<Self, Fault> {
        let fault = || Fault::internal("a key of the cache can not be derived");
        let ring: Vec<CacheKeys> =
            keys.iter().map(CacheKeys::new).collect::<Option<_>>().ok_or_else(fault)?;
        let signing = CacheKeys::new(keys.first()).ok_or_else(fault)?;
        let key = UnboundKey::new(&AES_256_GCM_SIV, signing.seal()).map_err(|_| fault())?;
        Ok(Self { ring, key: LessSafeKey::new(key) })
    }

    /// The name of a session's or a user's record.
    pub(super) fn name(&self, subject: Uuid) -> String {
        self.ring.first().map(|keys| name(keys, subject.as_bytes())).unwrap_or_default()
    }

    /// The names that nodes with another signing key may use for it, and its own.
    pub(super) fn names(&self, subject: Uuid) -> impl Iterator<Item = String> {
        self.ring.iter().map(move |keys| name(keys, subject.as_bytes()))
    }

    /// The channels that nodes tell each other on; the first is one's own.
    pub(super) fn channels(&self) -> Vec<String> {
        self.ring.iter().map(|keys| name(keys, b"wake")).collect()
    }

    /// A value that only this place can hold. None where the system gives no random bytes.
    pub(super) fn close(&self, name: &str, body: &impl Serialize) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let mut sealed = serde_json::to_vec(body).ok()?;
        let aad = Aad::from(name.as_bytes());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .ok()?;
        Some([&nonce, sealed.as_slice()].concat())
    }

    /// What a value holds, where a server with this key has put it here.
    pub(super) fn open<T: for<'de> Deserialize<'de>>(&self, name: &str, value: &[u8]) -> Option<T> {
        let (nonce, sealed) = value.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(name.as_bytes());
        let body =
            self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut sealed).ok()?;
        serde_json::from_slice(body).ok()
    }
}

fn name(keys: &CacheKeys, subject: &[u8]) -> String {
    let tag = keys.name(subject);
    let short =
        tag.first_chunk::<NAME>().map(|short| URL_SAFE_NO_PAD.encode(short)).unwrap_or_default();
    format!("{PREFIX}{short}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Key;

    fn seal(secret: u8, accepted: u8) -> Seal {
        let key = |byte| Key::new(&[byte; 32]).unwrap();
        Seal::new(&KeyRing::new(key(secret), vec![key(accepted)])).unwrap()
    }

    #[test]
    fn a_value_is_readable_in_its_place_and_under_its_key_alone() {
        let (ours, theirs, id) = (seal(1, 2), seal(2, 1), Uuid::new_v4());
        let profile = Profile {
            id,
            username: "ada".to_owned(),
            email: "ada@example.org".to_owned(),
            created_at: Timestamp(7),
            version: 3,
        };
        let value = ours.close("here", &UserBody::new(&profile, Timestamp(9))).unwrap();
        assert!(!String::from_utf8_lossy(&value).contains("ada"));
        let open = |seal: &Seal, name, value: &[u8]| {
            seal.open::<UserBody>(name, value).map(|body| body.profile(id))
        };
        assert_eq!(open(&ours, "here", &value), Some(profile));
        assert_eq!(open(&ours, "there", &value), None);
        assert_eq!(open(&theirs, "here", &value), None);
        for index in 0..value.len() {
            let mut other = value.clone();
            other[index] ^= 1;
            assert_eq!(open(&ours, "here", &other), None, "byte {index}");
            assert_eq!(open(&ours, "here", &value[..index]), None, "cut at {index}");
        }
    }

    #[test]
    fn nodes_in_mid_roll_end_and_hear_each_other() {
        let (ours, theirs, id) = (seal(1, 2), seal(2, 1), Uuid::new_v4());
        assert_ne!(ours.name(id), theirs.name(id));
        assert!(ours.names(id).any(|name| name == theirs.name(id)));
        assert!(ours.channels().contains(&theirs.channels()[0]));
    }
}
