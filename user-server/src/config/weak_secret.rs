//! Configured secrets that are easy to guess.

use super::Config;
use crate::domain::{Fault, Store};
use crate::keys::{Key, weakness};

/// A configured secret that is easy to guess. Its `Display` text contains no part of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is easy to guess: {reason}")]
pub struct WeakSecret {
    variable: &'static str,
    reason: &'static str,
    kid: String,
}

impl WeakSecret {
    /// Returns true if sessions, codes or the audit log in the store depend on the secret.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn is_in_use(&self, store: &dyn Store) -> Result<bool, Fault> {
        let uses = store.key_uses().await?;
        if uses.iter().any(|key| key.kid == self.kid) {
            return Ok(true);
        }
        Ok(store.chain().await?.mac.is_some_and(|(kid, _)| kid == self.kid))
    }
}

impl Config {
    /// Returns the configured secrets that are easy to guess.
    #[must_use]
    pub fn weak_secrets(&self) -> Vec<WeakSecret> {
        let signing = self.secret.iter().map(|secret| ("JWTSECRETKEY", secret));
        let accepted = self.accepted_secrets.iter().map(|secret| ("JWTSECRETKEY_ACCEPT", secret));
        signing
            .chain(accepted)
            .filter_map(|(variable, secret)| {
                let reason = weakness(secret)?;
                Some(WeakSecret { variable, reason, kid: Key::new(secret)?.kid })
            })
            .collect()
    }
}
