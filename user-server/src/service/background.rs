//! Periodic background tasks: synchronising the clock, learning the classes of password hashes, and
//! erasing rows that are past their retention.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::audit;
use crate::domain::{Clock, Fault, Retention, SharedClock, Store, SystemClock, Timestamp};
use crate::password::Passwords;
use crate::tokens::Revocations;

/// Interval between two erasures of rows that are past their retention.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// Maximum duration of one erasure, after which the next one begins.
const SWEEP_TIMEOUT: Duration = SWEEP_INTERVAL;
/// Interval at which the classes of stored password hashes are read.
const CLASSES_INTERVAL: Duration = Duration::from_secs(60);
/// Interval at which the database's clock is read. If a clock is set, nodes show different times
/// for as long.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of reading the database's clock.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Difference between this machine's clock and the database's, in milliseconds, above which a
/// warning is logged.
const CLOCK_WARNING: i64 = 500;

/// Sets the clock of the service to the database's, if the nodes share a database. Leases, codes
/// and waits must refer to the same time on every node.
pub(super) async fn set_clock(store: &dyn Store, clock: &SharedClock) -> Result<(), Fault> {
    // In this order: a pause between the two must count as part of the error.
    let (started, before) = (Instant::now(), SystemClock.now());
    let Some(server_time) = store.server_time().await? else { return Ok(()) };
    let one_way = started.elapsed() / 2;
    let offset = clock.correct(server_time, before.plus(one_way), one_way);
    if offset.abs() > CLOCK_WARNING {
        tracing::warn!(
            offset_ms = offset,
            "the clock of this machine differs from the database's, which is used"
        );
    }
    Ok(())
}

/// Logs a warning if the clock is behind the audit log: tokens that it issues may be refused.
pub(super) async fn warn_if_behind(store: &dyn Store, now: Timestamp) -> Result<(), Fault> {
    if let Some(last) = audit::event_after(store, now).await? {
        let behind_ms = last.0.saturating_sub(now.0);
        tracing::warn!(
            behind_ms,
            "the clock is behind the last event in the audit log, so tokens may be refused; \
             synchronise it"
        );
    }
    Ok(())
}

/// Sets the clock of the service to the database's periodically. Does not return.
pub(super) async fn follow_clock(store: Arc<dyn Store>, clock: Arc<SharedClock>) {
    loop {
        tokio::time::sleep(CLOCK_INTERVAL).await;
        // If the database does not answer, the last offset stays in use.
        let _ = tokio::time::timeout(CLOCK_TIMEOUT, set_clock(&*store, &clock)).await;
    }
}

/// Reads the classes of stored password hashes periodically, because users may be imported while
/// the server runs.
pub(super) async fn learn_classes(store: Arc<dyn Store>, passwords: Passwords) {
    loop {
        tokio::time::sleep(CLASSES_INTERVAL).await;
        // If the database does not answer, the known classes stay in use.
        let classes = tokio::time::timeout(CLASSES_INTERVAL, store.hash_classes()).await;
        if let Ok(Ok(classes)) = classes {
            passwords.learn(classes).await;
        }
    }
}

/// Erases rows that are past their retention, periodically.
pub(super) async fn sweep(
    store: Arc<dyn Store>,
    retention: Retention,
    clock: Arc<dyn Clock>,
    revocations: Arc<Revocations>,
) {
    let mut tick = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tick.tick().await;
        // The wall clock may have jumped, so it alone does not tell how old a revocation is.
        let last_revocation = revocations.last_expired(Instant::now());
        let retention = Retention { last_revocation, ..retention };
        let swept = tokio::time::timeout(SWEEP_TIMEOUT, store.sweep(&retention, clock.now())).await;
        let too_long = || Fault::Unavailable("took too long; the rest is erased next".to_owned());
        match swept.unwrap_or_else(|_| Err(too_long())) {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "erased rows past their retention"),
            Err(fault) => tracing::warn!(%fault, "cannot erase rows past their retention"),
        }
    }
}
