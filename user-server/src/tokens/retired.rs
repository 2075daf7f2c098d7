//! Server keys that an operator has retired. Their list is read before the service is ready, and
//! then periodically, so that every node stops accepting a retired key within a second. A key stays
//! retired until the process exits.

use std::sync::Arc;
use std::time::Duration;

use super::Revocations;
use crate::domain::{Fault, KeyRecords, RetiredKey};
use crate::keys::KeyRing;

/// Interval between two reads of the retired keys.
const PERIOD: Duration = Duration::from_millis(300);
/// Timeout of one read of the retired keys, so that an unresponsive database does not delay the
/// next attempt.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads the list of retired keys once, retires those keys on this node, and returns the list, with
/// every name of each key.
///
/// # Errors
/// If the list cannot be read from the database.
pub async fn retire_known(
    records: &dyn KeyRecords,
    keys: &KeyRing,
) -> Result<Vec<RetiredKey>, Fault> {
    let read = tokio::time::timeout(READ_TIMEOUT, records.retired_keys()).await;
    let retired =
        read.map_err(|_| Fault::Unavailable("timed out reading the retired keys".to_owned()))??;
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
    Ok(retired.into_iter().flat_map(|key| all_names(key, keys)).collect())
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

/// Reads the list of retired keys periodically, forever, retires those keys on this node, and adds
/// them to its revocations. Failed reads are not logged, since failures to read the revocation log
/// are.
pub async fn follow_retired(
    records: Arc<dyn KeyRecords>,
    keys: Arc<KeyRing>,
    revocations: Arc<Revocations>,
) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Ok(retired) = retire_known(&*records, &keys).await {
            revocations.add_retired(&retired);
        }
    }
}
