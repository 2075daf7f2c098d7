//! The two verifiers of access tokens side by side, for the tests, the fuzz target and the
//! benchmark that compare them.

use std::sync::Arc;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::access::AccessTokens;
use super::exact::Reading;
use super::{TokenPolicy, Verified};
use crate::domain::{Fault, NewSession, Timestamp};
use crate::keys::KeyRing;

/// Fast and reference verifier of access tokens, with the same keys.
pub struct Verifiers(AccessTokens);

impl Verifiers {
    /// Creates the verifiers of a server with these keys.
    pub fn new(keys: &Arc<KeyRing>, policy: &TokenPolicy) -> Result<Self, Fault> {
        AccessTokens::new(keys, policy).map(Self)
    }

    /// Issues a genuine access token, valid from `now` to `end`.
    pub fn issue(
        &self,
        user: Uuid,
        session: Uuid,
        now: Timestamp,
        end: Timestamp,
    ) -> Result<Zeroizing<String>, Fault> {
        let kid = self.0.keys.signing().unwrap_or_else(|| self.0.keys.configured()).kid.clone();
        let session =
            NewSession { id: session, kid, device: None, network: None, client: String::new() };
        let session = session.opened(user, now);
        self.0.issue(&session, &session.kid, None, now, end)
    }

    /// Verifies an access token with the fast verifier. Returns `None` if the verifier does not
    /// accept it.
    #[must_use]
    pub fn fast(&self, token: &[u8]) -> Option<Verified> {
        match self.0.read_fast(token) {
            Reading::Valid(verified) => Some(verified),
            Reading::Forged | Reading::OtherForm => None,
        }
    }

    /// Returns `true` if the fast verifier refuses an access token without asking the reference
    /// verifier.
    #[must_use]
    pub fn is_forged(&self, token: &[u8]) -> bool {
        self.0.read_fast(token) == Reading::Forged
    }

    /// Verifies an access token with the reference verifier. Returns `None` if the token is not
    /// genuine.
    #[must_use]
    pub fn reference(&self, token: &[u8]) -> Option<Verified> {
        self.0.read_reference(token)
    }
}
