//! Comparison of the configured secrets with the keys that the database was used with, so that a
//! lost secret is reported instead of being replaced in silence.

use super::{Config, SecretError};
use crate::domain::{Fault, Store};
use crate::keys::{Key, KeyRing};

impl Config {
    /// Returns the error that describes why the data folder has no secret: none was generated yet,
    /// or it was lost after the database was used with it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn missing_secret(&self, store: &dyn Store) -> Result<SecretError, Fault> {
        let path = self.secret_file();
        let accepted: Vec<String> =
            self.accepted_secrets.iter().filter_map(|secret| Some(Key::new(secret)?.kid)).collect();
        let used = used_keys(store).await?;
        let lost = used.into_iter().find(|kid| !accepted.contains(kid));
        Ok(match lost {
            Some(kid) => SecretError::Lost(path, kid),
            None => SecretError::Absent(path),
        })
    }
}

/// Returns the kids of keys that are in use, but not in `ring`. Reads whole tables.
///
/// # Errors
/// If the store cannot be read.
pub async fn unknown_keys(ring: &KeyRing, store: &dyn Store) -> Result<Vec<String>, Fault> {
    let unknown = |kid: &String| !ring.iter().any(|key| key.kid == *kid);
    Ok(used_keys(store).await?.into_iter().filter(unknown).collect())
}

/// Returns the kid of the key at the end of the audit chain, which is the one that signed last, if
/// it is not in `ring` and was not retired.
///
/// # Errors
/// If the store cannot be read.
pub async fn unknown_last_key(ring: &KeyRing, store: &dyn Store) -> Result<Option<String>, Fault> {
    let Some((kid, _)) = store.chain().await?.mac else { return Ok(None) };
    if ring.iter().any(|key| key.kid == kid) {
        return Ok(None);
    }
    let retired = store.retired_keys().await?.iter().any(|key| key.kid == kid);
    Ok(if retired { None } else { Some(kid) })
}

/// Returns the kids of the keys that sessions, codes or the end of the audit chain depend on,
/// except retired ones.
async fn used_keys(store: &dyn Store) -> Result<Vec<String>, Fault> {
    let retired = store.retired_keys().await?;
    let mut kids: Vec<String> = store.key_uses().await?.into_iter().map(|key| key.kid).collect();
    kids.extend(store.chain().await?.mac.map(|(kid, _)| kid));
    kids.retain(|kid| !retired.iter().any(|key| key.kid == *kid));
    kids.sort();
    kids.dedup();
    Ok(kids)
}
