//! Public keys of access tokens, for clients that verify tokens themselves.

use std::time::Duration;

use super::Tokens;
use crate::keys::{Key, TokenAlgorithm, TokenKey};

/// Time after which a client reads the published keys again. It limits how long a client goes on to
/// accept tokens of a secret that was removed from the configuration without being retired.
const REFRESH_AFTER: Duration = Duration::from_secs(30);

/// Public keys of access tokens, and the times that a client needs to use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKeys {
    /// JWK Set (RFC 7517) in JSON.
    pub jwks: String,
    /// Lifetime of an access token.
    pub access_life: Duration,
    /// Time after which a client reads the keys again.
    pub refresh_after: Duration,
}

impl Tokens {
    /// Returns the public keys of access tokens. The set is empty if tokens are signed with HS256.
    #[must_use]
    pub fn published_keys(&self) -> PublishedKeys {
        PublishedKeys {
            jwks: self.jwks(),
            access_life: self.policy.access_life,
            refresh_after: REFRESH_AFTER,
        }
    }

    /// Returns the JWK Set of the keys that are not retired, for the accepted algorithms. If HS256
    /// signs, no token has a public key, and the set is empty.
    fn jwks(&self) -> String {
        let published = match self.policy.signing {
            TokenAlgorithm::Hs256 => &[],
            TokenAlgorithm::EdDsa | TokenAlgorithm::Es256 => self.policy.accepted.as_slice(),
        };
        let keys = self.keys.active().flat_map(Key::token_keys);
        let keys = keys.filter(|key| published.contains(&key.algorithm));
        format!(r#"{{"keys":[{}]}}"#, keys.map(TokenKey::jwk).collect::<Vec<_>>().join(","))
    }
}
