//! Both ways to read an access token side by side, for those who compare them: tests, the fuzz
//! target, the bench.

use std::sync::Arc;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::access::AccessTokens;
use super::{TokenPolicy, Verified};
use crate::domain::{Fault, NewSession, Timestamp};
use crate::keys::KeyRing;

/// Both ways, under the same keys.
pub struct BothWays(AccessTokens);

impl BothWays {
    /// The ways of a server with these keys.
    pub fn new(keys: &Arc<KeyRing>, policy: &TokenPolicy) -> Result<Self, Fault> {
        AccessTokens::new(keys, policy).map(Self)
    }

    /// A genuine token.
    pub fn issue(
        &self,
        user: Uuid,
        session: Uuid,
        now: Timestamp,
        end: Timestamp,
    ) -> Result<Zeroizing<String>, Fault> {
        let kid = self.0.keys.signing().unwrap_or_else(|| self.0.keys.configured()).kid.clone();
        let session = NewSession { id: session, kid, device: None, network: None };
        let session = session.opened(user, now);
        self.0.issue(&session, &session.kid, None, now, end)
    }

    /// By comparison with what we write ourselves.
    #[must_use]
    pub fn fast(&self, token: &[u8]) -> Option<Verified> {
        self.0.read_fast(token)
    }

    /// By the library.
    #[must_use]
    pub fn slow(&self, token: &[u8]) -> Option<Verified> {
        self.0.read_slow(token)
    }
}
