//! Public keys of access tokens, for clients that verify tokens themselves.

use std::time::Duration;

use super::Tokens;

/// Time after which a client reads the published keys again.
const REFRESH_AFTER: Duration = Duration::from_secs(300);

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
            jwks: r#"{"keys":[]}"#.to_owned(),
            access_life: self.policy.access_life,
            refresh_after: REFRESH_AFTER,
        }
    }
}
