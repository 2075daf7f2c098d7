//! Refresh tokens: derived from the id and the refresh counter of a session, so that no token is
//! stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::MAX_TOKEN;
use crate::keys::{Key, KeyRing};

/// Prefix that distinguishes refresh tokens from access tokens, and by which secret scanners can
/// find leaked refresh tokens.
const PREFIX: &[u8] = b"usr_rt1_";
/// Length of the name of a server key (`kid`), in characters.
const KID: usize = 11;
const FIELDS: usize = 16 + 4 + 8;
const TAG: usize = 32;

/// Content of a genuine refresh token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RefreshToken {
    pub(super) session_id: Uuid,
    pub(super) counter: u32,
    /// Unix time of expiry, in seconds.
    pub(super) expires_at: u64,
}

impl RefreshToken {
    /// Encodes the token and signs it with `key`.
    pub(super) fn write(&self, key: &Key) -> Zeroizing<String> {
        let fields = self.fields();
        let mut bytes = Zeroizing::new([0; FIELDS + TAG]);
        let (left, right) = bytes.split_at_mut(FIELDS);
        left.copy_from_slice(&fields);
        right.copy_from_slice(&key.refresh_tag(&[&fields]));
        // Not `encode_string`, which would leave a copy of its output on the stack.
        let body = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        let mut text = Zeroizing::new(String::with_capacity(128));
        text.push_str(&String::from_utf8_lossy(PREFIX));
        text.push_str(&key.kid);
        text.push_str(&body);
        text
    }

    /// Decodes a refresh token and verifies its signature. Returns `None` if it was not signed with
    /// a key of the ring that is not retired.
    pub(super) fn read(token: &[u8], keys: &KeyRing) -> Option<Self> {
        let rest = token.strip_prefix(PREFIX).filter(|_| token.len() <= MAX_TOKEN)?;
        let (kid, body) = rest.split_at_checked(KID)?;
        let key = keys.find(std::str::from_utf8(kid).ok()?)?;
        let bytes: [u8; FIELDS + TAG] = URL_SAFE_NO_PAD.decode(body).ok()?.try_into().ok()?;
        let (fields, tag) = bytes.split_at_checked(FIELDS)?;
        if !bool::from(key.refresh_tag(&[fields]).ct_eq(tag)) {
            return None;
        }
        let (id, numbers) = fields.split_at_checked(16)?;
        let (counter, expires_at) = numbers.split_at_checked(4)?;
        Some(Self {
            session_id: Uuid::from_slice(id).ok()?,
            counter: u32::from_be_bytes(counter.try_into().ok()?),
            expires_at: u64::from_be_bytes(expires_at.try_into().ok()?),
        })
    }

    fn fields(&self) -> [u8; FIELDS] {
        let mut fields = [0; FIELDS];
        let (id, numbers) = fields.split_at_mut(16);
        id.copy_from_slice(self.session_id.as_bytes());
        let (counter, expires_at) = numbers.split_at_mut(4);
        counter.copy_from_slice(&self.counter.to_be_bytes());
        expires_at.copy_from_slice(&self.expires_at.to_be_bytes());
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(secret: u8) -> KeyRing {
        KeyRing::new(Key::new(&[secret; 32]).unwrap(), Vec::new())
    }

    #[test]
    fn a_token_is_read_only_with_the_key_that_signed_it() {
        let token = RefreshToken {
            session_id: Uuid::from_bytes([7; 16]),
            counter: 41,
            expires_at: 1_900_000_000,
        };
        let text = token.write(ring(1).configured());
        assert_eq!(RefreshToken::read(text.as_bytes(), &ring(1)), Some(token));
        assert_eq!(RefreshToken::read(text.as_bytes(), &ring(2)), None);
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let keys = ring(1);
        let token = RefreshToken {
            session_id: Uuid::from_bytes([7; 16]),
            counter: 41,
            expires_at: 1_900_000_000,
        };
        let text = token.write(keys.configured());
        for index in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(RefreshToken::read(&bytes, &keys), None, "byte {index}");
            assert_eq!(RefreshToken::read(&bytes[..index], &keys), None, "truncated at {index}");
        }
    }
}
