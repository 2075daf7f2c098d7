//! The worker that seals audit entries into the hash chain and prunes old entries from its start. A
//! lease ensures that only one node at a time does so.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::chain::{self, ChainEnds};
use crate::domain::{
    AuditEvent, AuditKind, AuditRecord, AuditTrail, ChainUpdate, ChangeContext, Clock, Fault,
    SealResult, deletion_pause,
};
use crate::keys::KeyRing;
use crate::metrics::AuditMetrics;

/// Interval between two polls for unsealed audit entries.
const PERIOD: Duration = Duration::from_secs(1);
/// Duration of the lease. A node that fails prevents the others from sealing for at most this long.
const LEASE: Duration = Duration::from_secs(5);
/// Maximum number of entries that are sealed in one transaction.
const BATCH: u32 = 500;
/// Maximum number of entries that are pruned in one transaction, so that it takes about 10 ms.
const PRUNE_BATCH: u32 = 200;
/// Interval between two runs in which old audit entries are pruned.
const PRUNE_PERIOD: Duration = Duration::from_secs(600);
/// Timeout of one database operation, so that an unresponsive database does not delay the next
/// attempt.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// The worker that seals and prunes the audit log.
pub struct Sealer {
    pub log: Arc<dyn AuditTrail>,
    pub keys: Arc<KeyRing>,
    pub clock: Arc<dyn Clock>,
    /// Age at which an entry is pruned.
    pub retention: Duration,
    pub metrics: Arc<AuditMetrics>,
}

impl Sealer {
    /// Seals and prunes the audit log periodically, forever.
    pub async fn run(self) {
        let worker = Uuid::new_v4();
        let (mut failing, mut pruned) = (false, None::<Instant>);
        let mut rows = 0;
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let mut step = self.seal(worker).await;
            if step.is_ok() && pruned.is_none_or(|at| at.elapsed() >= PRUNE_PERIOD) {
                let is_done;
                (is_done, step) = match self.prune(&mut rows).await {
                    Ok(is_done) => (is_done, Ok(())),
                    Err(fault) => (true, Err(fault)),
                };
                pruned = is_done.then(Instant::now);
                if is_done && rows > 0 {
                    tracing::info!(rows, "pruned audit rows that are past their retention");
                    rows = 0;
                }
            }
            match &step {
                Ok(()) if failing => tracing::info!("the audit log is being sealed again"),
                Err(fault) if !failing => tracing::warn!(%fault, "cannot seal the audit log"),
                _ => {}
            }
            failing = step.is_err();
        }
    }

    /// Seals entries until none is left, or until another node has the lease.
    async fn seal(&self, worker: Uuid) -> Result<(), Fault> {
        let mut recorded = false;
        loop {
            let unsealed = within(self.log.unsealed()).await?;
            let age =
                unsealed.oldest.map_or(Duration::ZERO, |oldest| self.clock.now().since(oldest));
            self.metrics.unsealed(unsealed.rows, age);
            // If every key of this node is retired, the rows wait for a node with another key.
            if unsealed.rows == 0 || self.keys.signing().is_none() {
                return Ok(());
            }
            let sealed = within(self.log.seal(
                worker,
                LEASE,
                BATCH,
                self.update(recorded),
                self.clock.now(),
            ))
            .await?;
            match sealed {
                SealResult::Elsewhere | SealResult::Sealed(0) => return Ok(()),
                SealResult::Sealed(_) => recorded = false,
                // The chain is refused although the event was recorded. The next run tries again.
                SealResult::Refused if recorded => return Ok(()),
                SealResult::Refused => {
                    self.record_unproved_end().await?;
                    recorded = true;
                }
            }
        }
    }

    /// Records an audit event if the MAC of the chain's end cannot be verified, so that later
    /// entries do not conceal this.
    async fn record_unproved_end(&self) -> Result<(), Fault> {
        let ends = within(self.log.chain()).await?;
        let event = match ChainEnds::of(&ends, &self.keys) {
            ChainEnds::Proved => return Ok(()),
            ChainEnds::KeyUnknown => {
                tracing::warn!(
                    "the key of the end of the audit chain is unknown; the chain continues with the current key"
                );
                AuditEvent::new(AuditKind::ChainTakenOver)
            }
            ChainEnds::Broken => {
                tracing::error!(
                    "the end of the audit chain was changed outside this service; run `user-server audit verify`"
                );
                AuditEvent::new(AuditKind::ChainBroken)
            }
        };
        let context = ChangeContext::from(self.clock.now());
        // Recorded once for this end, even if several nodes find it.
        let event =
            AuditEvent { dedup: Some(ends.hash), ..event.detail(format!("behind {}", ends.seq)) };
        within(self.log.record(&AuditRecord { context, event })).await
    }

    /// Prunes old entries, with pauses, and adds their number to `rows`. Returns false if entries
    /// may be left after a period, so that new ones do not wait to be sealed until all are gone.
    async fn prune(&self, rows: &mut u64) -> Result<bool, Fault> {
        let before = self.clock.now().minus(self.retention);
        let start = Instant::now();
        while start.elapsed() < PERIOD {
            let began = Instant::now();
            let pruned = within(self.log.prune(before, PRUNE_BATCH, self.update(false))).await?;
            *rows += pruned;
            if pruned < u64::from(PRUNE_BATCH) {
                return Ok(true);
            }
            tokio::time::sleep(deletion_pause(began.elapsed())).await;
        }
        Ok(false)
    }

    /// Returns the function that updates the hash chain. It refuses if the MAC of the chain's end
    /// cannot be verified, unless this was `recorded` as an audit event.
    fn update(&self, recorded: bool) -> ChainUpdate {
        let keys = self.keys.clone();
        Box::new(move |chain, step| {
            // The key may have been retired since it was checked.
            let Some(key) = keys.signing() else { return false };
            let allowed = recorded || ChainEnds::of(chain, &keys) == ChainEnds::Proved;
            if allowed {
                chain::advance(key, chain, step);
            }
            allowed
        })
    }
}

async fn within<T>(step: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let timed_out = |_| Err(Fault::Unavailable("timed out waiting for the database".to_owned()));
    timeout(STEP_TIMEOUT, step).await.unwrap_or_else(timed_out)
}
