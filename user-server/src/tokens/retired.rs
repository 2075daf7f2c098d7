//! Keys that an operator has retired: read before the service is ready, and again and again, so
//! that every node learns of it within the promised second. A key that is retired here stays so
//! until the process ends.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Fault, KeyRecords};
use crate::keys::KeyRing;

/// Between two reads.
const PERIOD: Duration = Duration::from_millis(300);
/// How long one read may take: a silent database must not hold up the next try.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Retires what the database says is retired.
///
/// # Errors
/// Where it can't be read.
pub async fn retire_known(records: &dyn KeyRecords, keys: &KeyRing) -> Result<(), Fault> {
    let read = tokio::time::timeout(READ_TIMEOUT, records.retired_keys()).await;
    let retired =
        read.map_err(|_| Fault::Unavailable("the retired keys do not answer".to_owned()))??;
    for key in retired {
        if keys.retire(&key.kid) {
            tracing::warn!(kid = %key.kid, "this key is retired: nothing under it is good any more");
            if keys.signing().is_none() {
                tracing::error!(
                    "no key is left that may sign; set another JWTSECRETKEY, from user-server keys new"
                );
            }
        }
    }
    Ok(())
}

/// Does so again and again. The reader of the revocation log says where the database can't be read.
pub async fn follow_retired(records: Arc<dyn KeyRecords>, keys: Arc<KeyRing>) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let _ = retire_known(&*records, &keys).await;
    }
}
