//! What keeps the store small: every table has a retention.

use async_trait::async_trait;

use super::SqlStore;
use crate::domain::{ConnectionPools, Fault, Housekeeping, PoolUse, Retention, Timestamp};

/// The most kinds of hashes that are told apart.
const MAX_CLASSES: usize = 64;

#[async_trait]
impl Housekeeping for SqlStore {
    async fn sweep(&self, retention: &Retention, now: Timestamp) -> Result<u64, Fault> {
        let old = now.minus(retention.verifications).0;
        let counted = now.minus(retention.mails).0;
        // A statement, and the time before which it erases. Each in a transaction of its own, so
        // that none holds the writer for long.
        let steps: [(&'static str, i64); 8] = [
            ("DELETE FROM verifications WHERE created_at < $1 AND (expires_at IS NULL OR expires_at < $1)", old),
            ("DELETE FROM outbox WHERE created_at < $1 AND (settled_at < $1 OR turn_at IS NULL)", counted),
            (
                "DELETE FROM mail_turns WHERE next_at < $1 AND waiting = 0 AND NOT EXISTS (SELECT 1 FROM outbox
                 WHERE outbox.budget_key = mail_turns.budget_key AND outbox.letter = mail_turns.letter AND turn_at IS NOT NULL)",
                counted,
            ),
            ("DELETE FROM revocations WHERE at < $1", now.minus(retention.revocations).0),
            ("DELETE FROM sessions WHERE rotated_at < $1", now.minus(retention.session_idle).0),
            ("DELETE FROM sessions WHERE created_at < $1", now.minus(retention.session_life).0),
            ("DELETE FROM counters WHERE expires_at < $1", now.0),
            ("DELETE FROM idempotency_keys WHERE expires_at < $1", now.0),
        ];
        let mut erased = 0;
        for (statement, before) in steps {
            let mut tx = self.pools.write().await?;
            erased += tx.run(sqlx::query(statement).bind(before)).await?;
            tx.commit().await?;
        }
        Ok(erased)
    }

    async fn hash_classes(&self) -> Result<Vec<String>, Fault> {
        let mut classes: Vec<String> = Vec::new();
        // From one kind to the next by the index, which no number of users makes slow.
        while classes.len() < MAX_CLASSES {
            let last = classes.last().map_or("", String::as_str);
            let (next,): (Option<String>,) = self
                .read_one(
                    sqlx::query_as("SELECT MIN(hash_class) FROM users WHERE hash_class > $1")
                        .bind(last),
                )
                .await?;
            match next {
                Some(class) => classes.push(class),
                None => break,
            }
        }
        Ok(classes)
    }

    async fn ping(&self) -> Result<(), Fault> {
        let _: (i64,) = self.watch_one(sqlx::query_as("SELECT CAST(1 AS BIGINT)")).await?;
        Ok(())
    }

    async fn server_time(&self) -> Result<Option<Timestamp>, Fault> {
        let mut tx = self.pools.watch().await?;
        let time = super::super::server_time(&mut tx).await?;
        tx.finish().await?;
        Ok(time)
    }
}

#[async_trait]
impl ConnectionPools for SqlStore {
    fn pools(&self) -> Vec<PoolUse> {
        self.pools.used()
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}
