//! A store that repeats transactions after a conflict, limits the time that a request waits for the
//! database, and remembers that a change failed because the database cannot be written.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::breaker::DatabaseBreaker;
use super::postgres::PostgresStore;
use crate::domain::*;

/// Maximum number of attempts of one transaction. The deadline of the request may end them earlier.
const MAX_ATTEMPTS: u32 = 8;
/// Upper bound of the first random pause between two attempts; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// Time for which the failure to write to the database is remembered.
const WRITE_FAULT_MEMORY: Duration = Duration::from_secs(30);

/// Maximum time that one port method of a request waits for the database, for a connection, locks
/// and round trips together.
const REQUEST_LIMIT: Duration = Duration::from_millis(2500);
/// Maximum time that a port method of a task which must not depend on requests waits.
const WATCH_LIMIT: Duration = Duration::from_millis(2500);
/// Time after which a probe that got no answer opens the circuit breaker.
const PROBE_LIMIT: Duration = Duration::from_secs(1);
const NO_ANSWER: &str = "no answer from the database";

/// Store that wraps another one, repeats transactions after a conflict, limits the time that a
/// request waits, and remembers failures to write. Each port method is one transaction, so it can
/// be repeated as a whole.
pub struct GuardedStore {
    inner: Arc<dyn Store>,
    /// The same store with the time limits of background tasks.
    background: Arc<dyn Store>,
    /// Circuit breaker of the database, or `None` if it is embedded.
    breaker: Option<DatabaseBreaker>,
    write_fault: Mutex<Option<(Instant, String)>>,
}

/// Kind of a port method, which decides how long it may wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// A request waits for it.
    Request,
    /// A background task or an operator waits for it, and has a time limit of its own.
    Background,
    /// It runs whether the circuit breaker is open or not.
    Watch,
    /// Like `Watch`, and its answer or lack of one sets the circuit breaker.
    Probe,
    /// Like `Watch`, without a time limit of this module.
    Load,
}

impl GuardedStore {
    /// Guards an embedded database, which is not limited in time.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { background: inner.clone(), inner, breaker: None, write_fault: Mutex::default() }
    }

    /// Guards a database on a network.
    #[must_use]
    pub fn networked(store: PostgresStore) -> Self {
        Self {
            background: Arc::new(store.for_background()),
            breaker: Some(store.breaker()),
            inner: Arc::new(store),
            write_fault: Mutex::default(),
        }
    }

    /// Returns the store for work of this kind.
    fn store(&self, work: Work) -> &dyn Store {
        match work {
            Work::Background => &*self.background,
            _ => &*self.inner,
        }
    }

    /// Waits for a call to the database as long as work of this kind may.
    async fn limited<T>(
        &self,
        work: Work,
        call: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, Fault> {
        let Some(breaker) = &self.breaker else { return call.await };
        let no_answer = || Err(Fault::Unavailable(NO_ANSWER.to_owned()));
        match work {
            Work::Load => call.await,
            Work::Watch => timeout(WATCH_LIMIT, call).await.unwrap_or_else(|_| no_answer()),
            Work::Probe => match timeout(PROBE_LIMIT, call).await {
                Ok(answer) => {
                    if answer.is_ok() {
                        breaker.close();
                    }
                    answer
                }
                Err(_) => {
                    breaker.open(NO_ANSWER);
                    no_answer()
                }
            },
            Work::Request | Work::Background if breaker.is_open() => no_answer(),
            Work::Background => tokio::select! {
                answer = call => answer,
                () = breaker.opened() => no_answer(),
            },
            Work::Request => tokio::select! {
                answer = timeout(REQUEST_LIMIT, call) => answer.unwrap_or_else(|_| no_answer()),
                () = breaker.opened() => no_answer(),
            },
        }
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
    ($self:ident, $work:ident, $port:ident, seal, $($arg:ident)*) => {
        <dyn Store as $port>::seal($self.store($work), $($arg),*).await
    };
    ($self:ident, $work:ident, $port:ident, prune, $($arg:ident)*) => {
        <dyn Store as $port>::prune($self.store($work), $($arg),*).await
    };
    ($self:ident, $work:ident, $port:ident, $method:ident, $($arg:ident)*) => {{
        let mut attempt = 0;
        loop {
            let store = $self.store($work);
            let call = <dyn Store as $port>::$method(store, $(Clone::clone(&$arg)),*);
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

/// Returns the kind of a port method.
fn work_of(port: &str, method: &str) -> Work {
    match (port, method) {
        ("RevocationLog", "changes") => Work::Load,
        ("KeyRecords", "retired_keys")
        | ("IdempotencyKeys", "start_node" | "report_alive")
        | ("Housekeeping", "ping" | "check_writable" | "server_time")
        | ("OutboxDepth", "backlog") => Work::Watch,
        ("AuditTrail", "record")
        | ("Accounts" | "Codes" | "Sessions" | "BudgetCounters" | "IdempotencyKeys", _) => {
            Work::Request
        }
        _ => Work::Background,
    }
}

/// Returns the kind of a call of a port method.
macro_rules! work_of {
    // The first read covers the whole log, however long that takes.
    (RevocationLog revocations $part:ident) => {
        if *$part == LogPart::all() { Work::Load } else { Work::Probe }
    };
    ($port:ident $method:ident $($arg:ident)*) => {
        work_of(stringify!($port), stringify!($method))
    };
}

macro_rules! guard {
    ($port:ident { $(fn $method:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty;)* }) => {
        #[async_trait]
        impl $port for GuardedStore {
            $(
                async fn $method(&self, $($arg: $type),*) -> Result<$result, Fault> {
                    let work = work_of!($port $method $($arg)*);
                    let call = async move { attempts!(self, work, $port, $method, $($arg)*) };
                    self.limited(work, call).await
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
