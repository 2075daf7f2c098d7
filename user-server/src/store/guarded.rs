//! A store that repeats transactions after a conflict, and remembers that a change failed because
//! the database cannot be written.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::*;

/// Maximum number of attempts of one transaction. The deadline of the request may end them earlier.
const MAX_ATTEMPTS: u32 = 8;
/// Upper bound of the first random pause between two attempts; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// Time for which the failure to write to the database is remembered.
const WRITE_FAULT_MEMORY: Duration = Duration::from_secs(30);

/// Store that wraps another one, repeats transactions after a conflict, and remembers failures to
/// write. Each port method is one transaction, so it can be repeated as a whole.
pub struct GuardedStore {
    inner: Arc<dyn Store>,
    write_fault: Mutex<Option<(Instant, String)>>,
}

impl GuardedStore {
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, write_fault: Mutex::default() }
    }

    /// Handles the fault of one attempt, and remembers it if the database cannot be written.
    /// Returns the pause before the next attempt, or `None` if the transaction must not be
    /// repeated.
    fn pause(&self, fault: &Fault, attempt: u32) -> Option<Duration> {
        match fault {
            Fault::Conflict(_) if attempt < MAX_ATTEMPTS => Some(jitter(attempt)),
            Fault::ReadOnly(reason) => {
                let mut last = self.write_fault.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some((Instant::now(), reason.clone()));
                None
            }
            _ => None,
        }
    }
}

/// Returns a random pause before the next attempt, so that transactions that conflicted do not
/// conflict again.
fn jitter(attempt: u32) -> Duration {
    let bound = FIRST_PAUSE.saturating_mul(1 << attempt.min(7));
    let micros = u64::try_from(bound.as_micros()).unwrap_or(1).max(1);
    Duration::from_micros(RandomState::new().hash_one(attempt) % micros)
}

/// Calls a port method, and repeats the call while it fails because of a conflict with another
/// transaction. `seal` and `prune` of the audit log are not repeated, since their argument cannot
/// be cloned; their worker runs again anyway.
macro_rules! attempts {
    ($self:ident, $port:ident, seal, $($arg:ident)*) => {
        <dyn Store as $port>::seal(&*$self.inner, $($arg),*).await
    };
    ($self:ident, $port:ident, prune, $($arg:ident)*) => {
        <dyn Store as $port>::prune(&*$self.inner, $($arg),*).await
    };
    ($self:ident, $port:ident, $method:ident, $($arg:ident)*) => {{
        let mut attempt = 0;
        loop {
            let call = <dyn Store as $port>::$method(&*$self.inner, $(Clone::clone(&$arg)),*);
            let fault = match call.await {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            attempt += 1;
            match $self.pause(&fault, attempt) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(fault),
            }
        }
    }};
}

macro_rules! guard {
    ($port:ident { $(fn $method:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty;)* }) => {
        #[async_trait]
        impl $port for GuardedStore {
            $(
                async fn $method(&self, $($arg: $type),*) -> Result<$result, Fault> {
                    attempts!(self, $port, $method, $($arg)*)
                }
            )*
        }
    };
}

accounts_port!(guard);
codes_port!(guard);
sessions_port!(guard);
revocation_log_port!(guard);
budget_counters_port!(guard);
outbox_port!(guard);
outbox_depth_port!(guard);
audit_trail_port!(guard);
housekeeping_port!(guard);
inspection_port!(guard);
operators_port!(guard);
key_records_port!(guard);
idempotency_keys_port!(guard);

#[async_trait]
impl ConnectionPools for GuardedStore {
    fn pools(&self) -> Vec<PoolUse> {
        self.inner.pools()
    }

    fn recent_write_fault(&self) -> Option<String> {
        let last = self.write_fault.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .filter(|(at, _)| at.elapsed() < WRITE_FAULT_MEMORY)
            .map(|(_, reason)| reason.clone())
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
