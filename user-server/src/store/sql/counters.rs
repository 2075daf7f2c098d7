//! Counters of budgets, read and adjusted in one transaction.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::QueryBuilder;

use super::super::{Db, lock_keys};
use super::tx::Tx;
use super::{SqlStore, audit, corrupt};
use crate::domain::{
    Adjustment, Allowance, AuditRecord, BudgetCounter, BudgetCounters, Fault, Timestamp,
};

#[async_trait]
impl BudgetCounters for SqlStore {
    async fn adjust(
        &self,
        adjustment: Adjustment,
        refusal: Option<&AuditRecord>,
    ) -> Result<Result<Allowance, Duration>, Fault> {
        let mut tx = self.pools.write().await?;
        let verdict = adjust(&mut tx, adjustment).await?;
        if let (Err(_), Some(refusal)) = (verdict, refusal) {
            audit::record(&mut tx, &refusal.context, &refusal.event).await?;
        }
        tx.commit().await?;
        Ok(verdict)
    }
}

/// Adjusts counters within a transaction, in at most three statements, since each is a round trip.
/// Returns the decision.
pub(super) async fn adjust(
    tx: &mut Tx,
    adjustment: Adjustment,
) -> Result<Result<Allowance, Duration>, Fault> {
    let Adjustment { keys, decide } = adjustment;
    if keys.is_empty() {
        return Ok(decide(&mut []));
    }
    lock_keys(tx, &keys).await?;
    let before = read(tx, &keys).await?;
    let mut counters = before.clone();
    let verdict = decide(&mut counters);
    let changed: Vec<_> =
        keys.iter().zip(&counters).zip(&before).filter(|((_, now), was)| now != was).collect();
    if changed.is_empty() {
        return Ok(verdict);
    }
    let mut write = QueryBuilder::<Db>::new(
        "INSERT INTO counters (key, count, since, blocked_until, expires_at) ",
    );
    write.push_values(changed, |mut row, ((key, counter), _)| {
        row.push_bind(key.to_vec())
            .push_bind(i64::from(counter.count))
            .push_bind(counter.since.0)
            .push_bind(counter.blocked_until.0)
            .push_bind(counter.expires_at.0);
    });
    write.push(
        " ON CONFLICT (key) DO UPDATE SET count = excluded.count, since = excluded.since,
         blocked_until = excluded.blocked_until, expires_at = excluded.expires_at",
    );
    tx.run(write.build()).await?;
    Ok(verdict)
}

/// Subtracts one use from each counter within a transaction.
pub(super) async fn refund(tx: &mut Tx, keys: &[[u8; 32]]) -> Result<(), Fault> {
    if keys.is_empty() {
        return Ok(());
    }
    lock_keys(tx, keys).await?;
    let mut update = QueryBuilder::<Db>::new(
        "UPDATE counters SET count = count - 1 WHERE count > 0 AND key IN (",
    );
    let mut list = update.separated(", ");
    for key in keys {
        list.push_bind(key.to_vec());
    }
    update.push(")");
    tx.run(update.build()).await?;
    Ok(())
}

/// Reads the counters with these keys, in the order of `keys`.
async fn read(tx: &mut Tx, keys: &[[u8; 32]]) -> Result<Vec<BudgetCounter>, Fault> {
    let mut select = QueryBuilder::<Db>::new(
        "SELECT key, count, since, blocked_until, expires_at FROM counters WHERE key IN (",
    );
    let mut list = select.separated(", ");
    for key in keys {
        list.push_bind(key.to_vec());
    }
    select.push(")");
    let rows: Vec<(Vec<u8>, i64, i64, i64, i64)> = tx.all(select.build_query_as()).await?;
    let of = |key: &[u8; 32]| match rows.iter().find(|row| row.0 == key) {
        None => Ok(BudgetCounter::ZERO),
        Some((_, count, since, blocked, expires)) => Ok(BudgetCounter {
            count: u32::try_from(*count).map_err(|_| corrupt("an invalid counter"))?,
            since: Timestamp(*since),
            blocked_until: Timestamp(*blocked),
            expires_at: Timestamp(*expires),
        }),
    };
    keys.iter().map(of).collect()
}
