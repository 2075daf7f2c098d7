//! The reader of the revocation log and of the retired keys: once before the service is ready, then
//! periodically, and immediately after a wakeup.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Revocations;
use super::retired::{retire_all, timed_out};
use super::revocations::OVERLAP;
use crate::domain::{Clock, Fault, KeyRecords, RevocationLog, Timestamp, UserVersion, Wakeups};
use crate::keys::KeyRing;

/// Interval between two reads.
const PERIOD: Duration = Duration::from_millis(250);
/// Timeout of one read, so that an unresponsive database does not delay the next attempt.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum age of the entries that are read after a wakeup.
const RECENT: Duration = Duration::from_secs(2);
/// Minimum pause between two reads after wakeups. If many sessions end, one read covers many.
const WAKEUP_PAUSE: Duration = Duration::from_millis(10);

/// Adds to the revocations of this node what other nodes and operators have written to the
/// database.
pub struct RevocationReader {
    revocations: Arc<Revocations>,
    log: Arc<dyn RevocationLog>,
    records: Arc<dyn KeyRecords>,
    keys: Arc<KeyRing>,
}

impl RevocationReader {
    /// Creates a reader that adds to `revocations`, and retires the retired ones of `keys`.
    #[must_use]
    pub fn new(
        revocations: Arc<Revocations>,
        log: Arc<dyn RevocationLog>,
        records: Arc<dyn KeyRecords>,
        keys: Arc<KeyRing>,
    ) -> Self {
        Self { revocations, log, records, keys }
    }

    /// Reads everything that may concern unexpired tokens. The server is not ready before this
    /// read.
    ///
    /// # Errors
    /// If the revocation log or the retired keys cannot be read.
    pub async fn load(&self, now: Timestamp) -> Result<(), Fault> {
        self.read(now, self.revocations.retention()).await
    }

    /// Reads periodically, and immediately after a wakeup, forever.
    pub async fn follow(&self, clock: Arc<dyn Clock>, wakeups: Arc<dyn Wakeups>) {
        let mut failing = false;
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last_wakeup = Instant::now();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = notified(&*wakeups, last_wakeup) => {
                    // A failure here is logged by the next periodic read. Only a periodic read
                    // counts as fresh.
                    let _ = self.read_recent(clock.now()).await;
                    last_wakeup = Instant::now();
                    continue;
                }
            }
            let (now, instant) = (clock.now(), Instant::now());
            let read = match self.revocations.record_clocks(now, instant) {
                None => self.catch_up(now).await,
                Some(jump) => {
                    tracing::warn!(
                        millis = jump.millis,
                        "the wall clock has jumped; reading the whole revocation log"
                    );
                    self.load(jump.earlier).await
                }
            };
            match &read {
                Ok(()) if failing => tracing::info!("the revocation log is readable again"),
                Err(fault) if !failing => {
                    tracing::warn!(%fault, "cannot read the revocation log and the retired keys")
                }
                _ => {}
            }
            failing = read.is_err();
            self.revocations.remove_expired(now, Instant::now());
        }
    }

    /// Reads what was written since the last successful read, or since the start of the retention
    /// period if that is later.
    async fn catch_up(&self, now: Timestamp) -> Result<(), Fault> {
        let since_last = OVERLAP.saturating_add(self.revocations.age(Instant::now()));
        self.read(now, since_last.min(self.revocations.retention())).await
    }

    /// Reads the ended sessions and users of the last two seconds, after a wakeup.
    async fn read_recent(&self, now: Timestamp) -> Result<(), Fault> {
        let read = self.log.revocations(now.minus(RECENT));
        let entries = tokio::time::timeout(READ_TIMEOUT, read).await;
        self.revocations.add(entries.map_err(|_| timed_out("the revocation log"))??);
        Ok(())
    }

    /// Reads the entries up to this age, and all retired keys. Only if both succeed are the
    /// revocations of this node as recent as the start of the read.
    async fn read(&self, now: Timestamp, max_age: Duration) -> Result<(), Fault> {
        let started = Instant::now();
        let since = now.minus(max_age);
        let read = async {
            let entries = (self.log.revocations(since).await?, self.log.changes(since).await?);
            Ok::<_, Fault>((entries, self.records.retired_keys().await))
        };
        let timeout = tokio::time::timeout(READ_TIMEOUT, read).await;
        let ((ended, changed), retired) =
            timeout.map_err(|_| timed_out("the revocation log"))??;
        self.revocations.add(ended);
        for UserVersion { user_id, version } in changed {
            self.revocations.add_update(user_id, version, now);
        }
        self.revocations.add_retired(&retire_all(retired?, &self.keys));
        // After the entries are added, so that nobody takes the set for more recent than it is.
        self.revocations.set_read_at(started);
        Ok(())
    }
}

/// Waits for a wakeup, and then until [`WAKEUP_PAUSE`] after `last`, the previous read, has passed.
async fn notified(wakeups: &dyn Wakeups, last: Instant) {
    wakeups.notified().await;
    tokio::time::sleep_until(last + WAKEUP_PAUSE).await;
}

#[cfg(test)]
mod tests;
