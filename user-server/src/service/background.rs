//! What is done again and again while the service runs: the clock is set, classes of hashes are
//! learned, and what is past its retention is erased.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Clock, Fault, Retention, SharedClock, Store, SystemClock};
use crate::password::Passwords;

/// Between two rounds of erasing what is past its retention.
const SWEEP_PERIOD: Duration = Duration::from_secs(600);

/// Between two looks at which classes of hashes are stored.
const CLASSES_PERIOD: Duration = Duration::from_secs(60);

/// Between two looks at the database's clock.
const CLOCK_PERIOD: Duration = Duration::from_secs(30);
/// The difference between clocks that an operator need not know of, in milliseconds.
const CLOCK_SLACK: i64 = 500;
/// How long one round of erasing may take.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(120);

/// Takes the time from the database, where there is one that nodes share: leases, codes and waits
/// must mean the same moment to each.
pub(super) async fn set_clock(store: &dyn Store, clock: &SharedClock) -> Result<(), Fault> {
    let before = SystemClock.now();
    let Some(shared) = store.server_time().await? else { return Ok(()) };
    let way = SystemClock.now().since(before) / 2;
    let moved = clock.set(shared, before.plus(way));
    if moved.abs() > CLOCK_SLACK {
        tracing::warn!(
            millis = moved,
            "this machine's clock is not the database's; the database's counts"
        );
    }
    Ok(())
}

/// Keeps the clock set.
pub(super) async fn follow_clock(store: Arc<dyn Store>, clock: Arc<SharedClock>) {
    loop {
        tokio::time::sleep(CLOCK_PERIOD).await;
        // Without an answer the clock goes on as it was set.
        let _ = tokio::time::timeout(CLOCK_PERIOD, set_clock(&*store, &clock)).await;
    }
}

/// Looks again and again which classes of hashes are stored, since users may be imported beside a
/// running server.
pub(super) async fn learn_classes(store: Arc<dyn Store>, passwords: Passwords) {
    loop {
        tokio::time::sleep(CLASSES_PERIOD).await;
        // Without an answer, what was known goes on to count.
        if let Ok(Ok(classes)) = tokio::time::timeout(CLASSES_PERIOD, store.hash_classes()).await {
            passwords.learn(classes).await;
        }
    }
}

/// Erases what is past its retention, again and again.
pub(super) async fn sweep(store: Arc<dyn Store>, retention: Retention, clock: Arc<dyn Clock>) {
    let mut tick = tokio::time::interval(SWEEP_PERIOD);
    loop {
        tick.tick().await;
        let swept = tokio::time::timeout(SWEEP_TIMEOUT, store.sweep(&retention, clock.now())).await;
        match swept
            .unwrap_or_else(|_| Err(Fault::Unavailable("the database does not answer".to_owned())))
        {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "erased what was past its retention"),
            Err(fault) => tracing::warn!(%fault, "what is past its retention can not be erased"),
        }
    }
}
