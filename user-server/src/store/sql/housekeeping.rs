//! Housekeeping: deletes rows past their retention, and reports the condition of the store.

use async_trait::async_trait;

use super::SqlStore;
use crate::domain::{ConnectionPools, Fault, Housekeeping, PoolUse, Retention, Timestamp};

/// Maximum number of hash classes to return.
const MAX_CLASSES: usize = 64;

#[async_trait]
impl Housekeeping for SqlStore {
    async fn sweep(&self, retention: &Retention, now: Timestamp) -> Result<u64, Fault> {
        let old = now.minus(retention.verifications).0;
        let sent = now.minus(retention.mails).0;
        // Statements, with the time before which they delete. Each has its own transaction, so that
        // none blocks other writers for long.
        let steps: [(&'static str, i64); 10] = [
            // By its age only: what happened to its email must not be visible.
            ("DELETE FROM verifications WHERE created_at < $1", old),
            ("DELETE FROM outbox WHERE created_at < $1 AND (settled_at < $1 OR turn_at IS NULL)", sent),
            (
                "DELETE FROM mail_turns WHERE next_at < $1 AND waiting = 0 AND NOT EXISTS (SELECT 1 FROM outbox
                 WHERE outbox.budget_key = mail_turns.budget_key AND outbox.letter = mail_turns.letter AND turn_at IS NOT NULL)",
                sent,
            ),
            ("DELETE FROM revocations WHERE at < $1", now.minus(retention.revocations).0),
            ("DELETE FROM sessions WHERE rotated_at < $1", now.minus(retention.session_idle).0),
            ("DELETE FROM sessions WHERE created_at < $1", now.minus(retention.session_life).0),
            ("DELETE FROM counters WHERE expires_at < $1", now.0),
            ("DELETE FROM idempotency_keys WHERE expires_at < $1", now.0),
            ("DELETE FROM mail_clients WHERE rank < $1", sent),
            ("DELETE FROM known_networks WHERE opened_at < $1", now.minus(retention.known_networks).0),
        ];
        let mut deleted = 0;
        for (statement, before) in steps {
            let mut tx = self.pools.write().await?;
            deleted += tx.run(sqlx::query(statement).bind(before)).await?;
            tx.commit().await?;
        }
        Ok(deleted)
    }

    async fn hash_classes(&self) -> Result<Vec<String>, Fault> {
        let mut classes: Vec<String> = Vec::new();
        // Skips from one class to the next through the index, so that the time does not depend on
        // the number of users.
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

    async fn check_writable(&self) -> Result<(), Fault> {
        self.pools.check_writable().await
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
        self.pools.usage()
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}
