//! Keys that an operator has retired: read before the service is ready, and then periodically, so
//! that every node stops accepting them within the promised second. A key stays retired until the
//! process exits.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Fault, KeyRecords};
use crate::keys::KeyRing;

/// Interval between two reads.
const PERIOD: Duration = Duration::from_millis(300);
/// Timeout of one read, so that an unresponsive database does not delay the next attempt.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Retires the keys that the database lists as retired.
///
/// # Errors
/// If the list cannot be read.
pub async fn retire_known(records: &dyn KeyRecords, keys: &KeyRing) -> Result<(), Fault> {
    let read = tokio::time::timeout(READ_TIMEOUT, records.retired_keys()).await;
    let retired =
        read.map_err(|_| Fault::Unavailable("timed out reading the retired keys".to_owned()))??;
    for key in retired {
        if keys.retire(&key.kid) {
            tracing::warn!(kid = %key.kid, "the key is retired: its tokens and codes are no longer accepted");
            if keys.signing().is_none() {
                tracing::error!(
                    "every key is retired; set JWTSECRETKEY to a new secret, which user-server keys new prints"
                );
            }
        }
    }
    Ok(())
}

/// Retires keys periodically, forever. Failed reads are not logged here: the reader of the
/// revocation log logs that the database cannot be read.
pub async fn follow_retired(records: Arc<dyn KeyRecords>, keys: Arc<KeyRing>) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let _ = retire_known(&*records, &keys).await;
    }
}
