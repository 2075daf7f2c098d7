//! Budgets: read, decided and written in one transaction.

use std::time::Duration;

use async_trait::async_trait;

use super::super::lock_keys;
use super::{SqlStore, audit, corrupt};
use crate::domain::audit::Note;
use crate::domain::ports::{Counters, Decide};
use crate::domain::records::Counter;
use crate::domain::{Fault, Timestamp};

#[async_trait]
impl Counters for SqlStore {
    async fn adjust(
        &self,
        keys: &[[u8; 32]],
        mut decide: Decide,
        refusal: Option<&Note>,
    ) -> Result<Result<u8, Duration>, Fault> {
        let mut tx = self.pools.write().await?;
        lock_keys(&mut tx, keys).await?;
        let mut counters = Vec::with_capacity(keys.len());
        for key in keys {
            let row: Option<(i64, i64, i64, i64)> = tx
                .optional(
                    sqlx::query_as("SELECT count, since, blocked_until, expires_at FROM counters WHERE key = $1")
                        .bind(key.as_slice()),
                )
                .await?;
            counters.push(match row {
                None => Counter::ZERO,
                Some((count, since, blocked, expires)) => Counter {
                    count: u32::try_from(count).map_err(|_| corrupt("a counter"))?,
                    since: Timestamp(since),
                    blocked_until: Timestamp(blocked),
                    expires_at: Timestamp(expires),
                },
            });
        }
        let before = counters.clone();
        let verdict = decide(&mut counters);
        if verdict.is_err() {
            if let Some(note) = refusal {
                audit::record(&mut tx, &note.act, &note.event).await?;
                tx.commit().await?;
                return Ok(verdict);
            }
            return tx.undo(verdict).await;
        }
        for ((key, counter), _) in keys.iter().zip(&counters).zip(&before).filter(|((_, now), was)| now != was) {
            tx.run(
                sqlx::query(
                    "INSERT INTO counters (key, count, since, blocked_until, expires_at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (key) DO UPDATE SET count = $2, since = $3, blocked_until = $4, expires_at = $5",
                )
                .bind(key.as_slice())
                .bind(i64::from(counter.count))
                .bind(counter.since.0)
                .bind(counter.blocked_until.0)
                .bind(counter.expires_at.0),
            )
            .await?;
        }
        tx.commit().await?;
        Ok(verdict)
    }
}
