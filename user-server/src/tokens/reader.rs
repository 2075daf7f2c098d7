//! The reader of the revocation log and of the retired keys: once before the service is ready, then
//! periodically, and immediately after a wakeup.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Revocations;
use super::clock_jump::JumpDetector;
use super::retired::{retire_all, timed_out};
use super::revocations::{OVERLAP, RETENTION};
use crate::domain::{
    Clock, Fault, KeyRecords, LogPart, RevocationLog, Timestamp, UserVersion, Wakeups,
};
use crate::keys::KeyRing;

/// Interval between two reads.
const PERIOD: Duration = Duration::from_millis(250);
/// Timeout of one read, so that an unresponsive database does not delay the next attempt.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of the first read, which covers the whole log.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Age of the entries that a read after a wakeup does not repeat.
const RECENT: Duration = Duration::from_secs(2);
/// Minimum pause between two reads after wakeups. If many sessions end, one read covers many.
const WAKEUP_PAUSE: Duration = Duration::from_millis(10);

/// Numbers of the entries of the log, compared with those of the reads before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Continued,
    Restarted,
}

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

    /// Reads the whole log, because a node with a wrong clock may have written an old time to an
    /// entry that concerns unexpired tokens. The server is not ready before this read.
    ///
    /// # Errors
    /// If the revocation log or the retired keys cannot be read.
    pub async fn load(&self, now: Timestamp) -> Result<(), Fault> {
        let changed_since = now.minus(RETENTION);
        self.read(LogPart::all(), changed_since, now, LOAD_TIMEOUT).await.map(drop)
    }

    /// Reads periodically, and immediately after a wakeup, forever.
    pub async fn follow(&self, clock: Arc<dyn Clock>, wakeups: Arc<dyn Wakeups>) {
        let mut failing = false;
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last_wakeup = Instant::now();
        let mut jumps = JumpDetector::default();
        // Time before a jump of the clock after which the whole log has not been read yet.
        let mut reload: Option<Timestamp> = None;
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
            let now = clock.now();
            let jump = jumps.record(now, Instant::now());
            if let Some(jump) = jump {
                tracing::warn!(jump_ms = jump.millis, "the wall clock has jumped");
                reload = Some(reload.map_or(jump.earlier, |earlier| earlier.min(jump.earlier)));
            }
            // Entries that the memory no longer contains concern valid tokens again if the clock
            // was set back.
            let read = match reload {
                Some(earlier) => self.load(earlier).await,
                None => self.catch_up(now).await,
            };
            if read.is_ok() {
                reload = None;
            }
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

    /// Reads what was written since the last successful read, and all of the log if its numbers
    /// have begun again.
    async fn catch_up(&self, now: Timestamp) -> Result<(), Fault> {
        let instant = Instant::now();
        // An entry that the last read did not find was numbered at most this long before.
        let since_last = OVERLAP.saturating_add(self.revocations.age(instant));
        let since = now.minus(since_last.min(RETENTION));
        // By its number, since the time of an entry may be wrong. By its time as well, since the
        // numbers may have begun again and passed the last one before this read.
        let part = LogPart {
            after: self.revocations.last_read(instant, since_last),
            since,
            until: now.plus(OVERLAP),
            numbers: self.revocations.missing(),
        };
        match self.read(part, since, now, READ_TIMEOUT).await? {
            Numbers::Continued => Ok(()),
            Numbers::Restarted => self.load(now).await,
        }
    }

    /// Reads the ended sessions and users of the last seconds, after a wakeup.
    async fn read_recent(&self, now: Timestamp) -> Result<(), Fault> {
        let after = self.revocations.last_read(Instant::now(), RECENT);
        let (since, until) = (now.minus(RECENT), now.plus(OVERLAP));
        let part = LogPart { after, since, until, numbers: Vec::new() };
        let read = tokio::time::timeout(READ_TIMEOUT, self.log.revocations(&part)).await;
        self.revocations.add(&read.map_err(|_| timed_out("the revocation log"))??.entries);
        Ok(())
    }

    /// Reads a part of the log, the accounts that changed at `changed_since` or later, and all
    /// retired keys. Only if all of it succeeds are the revocations of this node as recent as the
    /// start of the read.
    async fn read(
        &self,
        part: LogPart,
        changed_since: Timestamp,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<Numbers, Fault> {
        let started = Instant::now();
        let read = async {
            let log = self.log.revocations(&part).await?;
            let changed = self.log.changes(changed_since).await?;
            Ok::<_, Fault>((log, changed, self.records.retired_keys().await))
        };
        let read = tokio::time::timeout(timeout, read).await;
        let (log, changed, retired) = read.map_err(|_| timed_out("the revocation log"))??;
        self.revocations.add(&log.entries);
        self.revocations.set_erased(log.erased);
        for UserVersion { user_id, version } in changed {
            self.revocations.add_update(user_id, version, now);
        }
        self.revocations.add_retired(&retire_all(retired?, &self.keys));
        if self.revocations.restart_below(log.highest) && part != LogPart::all() {
            return Ok(Numbers::Restarted);
        }
        // After the entries are added, so that nobody takes the set for more recent than it is.
        let found: Vec<i64> = log.entries.iter().map(|entry| entry.seq).collect();
        self.revocations.set_read(started, part.after, &found);
        Ok(Numbers::Continued)
    }
}

/// Waits for a wakeup, and then until [`WAKEUP_PAUSE`] after `last`, the previous read, has passed.
async fn notified(wakeups: &dyn Wakeups, last: Instant) {
    wakeups.notified().await;
    tokio::time::sleep_until(last + WAKEUP_PAUSE).await;
}

#[cfg(test)]
mod tests;
