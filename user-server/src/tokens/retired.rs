//! Server keys that an operator has retired. A key stays retired until the process exits.

use std::time::Duration;

use crate::domain::{Fault, KeyRecords, RetiredKey};
use crate::keys::KeyRing;

/// Timeout of the read at startup.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads the list of retired keys once, and retires those keys on this node.
///
/// # Errors
/// If the list cannot be read from the database.
pub async fn retire_known(records: &dyn KeyRecords, keys: &KeyRing) -> Result<(), Fault> {
    let read = tokio::time::timeout(READ_TIMEOUT, records.retired_keys()).await;
    retire_all(read.map_err(|_| timed_out("the retired keys"))??, keys);
    Ok(())
}

/// Retires these keys on this node, and returns them under every name of each key.
pub(super) fn retire_all(retired: Vec<RetiredKey>, keys: &KeyRing) -> Vec<RetiredKey> {
    for key in &retired {
        if keys.retire(&key.kid) {
            tracing::warn!(kid = %key.kid, "the key is retired: its tokens and codes are no longer accepted");
            if keys.signing().is_none() {
                tracing::error!(
                    "every key is retired; set JWTSECRETKEY to a new secret, which user-server keys new prints"
                );
            }
        }
    }
    retired.into_iter().flat_map(|key| all_names(key, keys)).collect()
}

/// Returns a retired key under all its names, since a client that verifies tokens itself knows the
/// derived keys by their own. An earlier version stored only one.
fn all_names(key: RetiredKey, keys: &KeyRing) -> Vec<RetiredKey> {
    let at = key.at;
    match keys.owner(&key.kid) {
        Some(owner) => owner.kids().map(|kid| RetiredKey { kid: kid.to_owned(), at }).collect(),
        None => vec![key],
    }
}

/// Returns the fault of a read that has timed out.
pub(super) fn timed_out(what: &str) -> Fault {
    Fault::Unavailable(format!("timed out reading {what}"))
}
