//! The worker that seals rows into the chain, and takes old ones off its beginning. One node at a
//! time does, under a lease.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::chain::{self, Ends};
use crate::domain::{
    AuditEvent, AuditKind, AuditRecord, AuditTrail, ChainUpdate, ChangeContext, Clock, Fault,
    SealResult,
};
use crate::keys::KeyRing;
use crate::metrics::AuditMetrics;

/// Between two looks for rows that are not sealed.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a node that has gone keeps the others from sealing.
const LEASE: Duration = Duration::from_secs(5);
/// Rows in one transaction.
const BATCH: u32 = 500;
/// Between two rounds of pruning.
const PRUNE_PERIOD: Duration = Duration::from_secs(600);
/// How long one step may take: a silent database must not hold up the next.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// The worker.
pub struct Sealer {
    /// The rows.
    pub log: Arc<dyn AuditTrail>,
    /// Who vouches for them.
    pub keys: Arc<KeyRing>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long rows are kept.
    pub retention: Duration,
    /// What is counted.
    pub metrics: Arc<AuditMetrics>,
}

impl Sealer {
    /// Seals and prunes, again and again.
    pub async fn run(self) {
        let worker = Uuid::new_v4();
        let (mut failing, mut pruned) = (false, None::<Instant>);
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let mut step = self.seal(worker).await;
            if step.is_ok() && pruned.is_none_or(|at| at.elapsed() >= PRUNE_PERIOD) {
                step = self.prune().await;
                pruned = Some(Instant::now());
            }
            match &step {
                Ok(()) if failing => tracing::info!("the audit can be sealed again"),
                Err(fault) if !failing => tracing::warn!(%fault, "the audit cannot be sealed"),
                _ => {}
            }
            failing = step.is_err();
        }
    }

    /// Seals until nothing is left to seal here.
    async fn seal(&self, worker: Uuid) -> Result<(), Fault> {
        let mut noted = false;
        loop {
            let unsealed = within(self.log.unsealed()).await?;
            let age =
                unsealed.oldest.map_or(Duration::ZERO, |oldest| self.clock.now().since(oldest));
            self.metrics.unsealed(unsealed.rows, age);
            // A node whose every key is retired vouches for nothing: the rows wait for one that has
            // another.
            if unsealed.rows == 0 || self.keys.signing().is_none() {
                return Ok(());
            }
            let sealed =
                within(self.log.seal(worker, LEASE, BATCH, self.link(noted), self.clock.now()))
                    .await?;
            match sealed {
                SealResult::Elsewhere | SealResult::Sealed(0) => return Ok(()),
                SealResult::Sealed(_) => noted = false,
                // It was noted in vain; the next round looks anew.
                SealResult::Refused if noted => return Ok(()),
                SealResult::Refused => {
                    self.note_broken().await?;
                    noted = true;
                }
            }
        }
    }

    /// Writes down that the end of the chain is not what this service vouched for, so that to seal
    /// behind it hides nothing.
    async fn note_broken(&self) -> Result<(), Fault> {
        let ends = within(self.log.chain()).await?;
        let event = match Ends::of(&ends, &self.keys) {
            Ends::Proved => return Ok(()),
            Ends::KeyUnknown => {
                tracing::warn!(
                    "the key that vouched for the audit is not known; it goes on under today's"
                );
                AuditEvent::new(AuditKind::ChainTakenOver)
            }
            Ends::Broken => {
                tracing::error!(
                    "the audit's chain was changed by somebody else; run: user-server audit verify"
                );
                AuditEvent::new(AuditKind::ChainBroken)
            }
        };
        let context = ChangeContext::from(self.clock.now());
        // Once for this end, however many nodes see it.
        let event =
            AuditEvent { dedup: Some(ends.hash), ..event.detail(format!("behind {}", ends.seq)) };
        within(self.log.record(&AuditRecord { context, event })).await
    }

    async fn prune(&self) -> Result<(), Fault> {
        let before = self.clock.now().minus(self.retention);
        let mut rows = 0;
        loop {
            let pruned = within(self.log.prune(before, BATCH, self.link(false))).await?;
            rows += pruned;
            if pruned < u64::from(BATCH) {
                break;
            }
        }
        if rows > 0 {
            tracing::info!(rows, "took what is past its retention off the audit");
        }
        Ok(())
    }

    /// Links behind an end that is proved, or that was noted to be not.
    fn link(&self, noted: bool) -> ChainUpdate {
        let keys = self.keys.clone();
        Box::new(move |chain, step| {
            // It may have been retired since it was looked for.
            let Some(key) = keys.signing() else { return false };
            let links = noted || Ends::of(chain, &keys) == Ends::Proved;
            if links {
                chain::advance(key, chain, step);
            }
            links
        })
    }
}

async fn within<T>(step: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let silent = |_| Err(Fault::Unavailable("the database does not answer".to_owned()));
    timeout(STEP_TIMEOUT, step).await.unwrap_or_else(silent)
}
