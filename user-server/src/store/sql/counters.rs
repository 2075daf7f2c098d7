//! Counters of budgets. Where the database has stored functions, counters are read without a lock,
//! and stored if they are still as they were read; otherwise, and if they are not, they are read
//! and stored in one transaction, which locks them.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use sqlx::QueryBuilder;

use super::super::{Db, lock_counters};
use super::calls::{self, Function};
use super::json::hex;
use super::tx::Tx;
use super::{SqlStore, audit, corrupt};
use crate::domain::{
    Adjusted, Adjustment, Allowance, AuditRecord, BudgetCounter, BudgetCounters, Fault,
    StoredCounter, Timestamp,
};

#[async_trait]
impl BudgetCounters for SqlStore {
    async fn adjust(
        &self,
        adjustment: Adjustment,
        refusal: Option<&AuditRecord>,
    ) -> Result<Result<Allowance, Duration>, Fault> {
        self.adjust_and_read(adjustment, refusal, &[]).await.map(|adjusted| adjusted.verdict)
    }

    async fn adjust_and_read(
        &self,
        adjustment: Adjustment,
        refusal: Option<&AuditRecord>,
        then: &[[u8; 32]],
    ) -> Result<Adjusted, Fault> {
        if let Some(decided) = self.decide(&adjustment).await? {
            let verdict = decided.verdict;
            let refusal = refusal.filter(|_| verdict.is_err());
            if !decided.is_changed() && refusal.is_none() {
                return Ok(Adjusted { verdict, read: None });
            }
            let call = || decided.call(refusal, then);
            let read: Option<ReadCounters> = self.call(Function::AdjustCounters, call).await?;
            if let Some(read) = read {
                return Ok(Adjusted { verdict, read: Some(read.of(then)?) });
            }
        }
        let mut tx = self.pools.write().await?;
        let verdict = adjust(&mut tx, adjustment).await?;
        if let (Err(_), Some(refusal)) = (verdict, refusal) {
            audit::record(&mut tx, &refusal.context, &refusal.event).await?;
        }
        tx.commit().await?;
        Ok(Adjusted { verdict, read: None })
    }
}

/// Decision about an adjustment that was made from counters that were read without a lock.
pub(super) struct Decided {
    keys: Vec<[u8; 32]>,
    before: Vec<BudgetCounter>,
    after: Vec<BudgetCounter>,
    pub(super) verdict: Result<Allowance, Duration>,
}

impl Decided {
    fn is_changed(&self) -> bool {
        self.before != self.after
    }

    /// Returns the counters as an argument of a stored function. If none is to change, none is
    /// checked, as if the adjustment had been made when they were read.
    pub(super) fn counters(&self) -> serde_json::Value {
        match self.is_changed() {
            true => calls::counters(&self.keys, &self.before, &self.after),
            false => serde_json::json!([]),
        }
    }

    fn call(&self, refusal: Option<&AuditRecord>, then: &[[u8; 32]]) -> serde_json::Value {
        let then: Vec<String> = then.iter().map(|key| hex(key)).collect();
        let mut call = serde_json::json!({ "counters": self.counters(), "then": then });
        if let Some(refusal) = refusal {
            let event = calls::event(&refusal.context, &refusal.event);
            call["change"] = serde_json::json!({ "event": event });
        }
        call
    }
}

impl SqlStore {
    /// Decides about an adjustment from counters that are read without a lock, if this database has
    /// stored functions that store them only if they are still the same.
    pub(super) async fn decide(&self, adjustment: &Adjustment) -> Result<Option<Decided>, Fault> {
        if !calls::exist() {
            return Ok(None);
        }
        let keys = adjustment.keys.clone();
        let before = match &adjustment.read {
            Some(read) if read.len() == keys.len() => read.clone(),
            _ if keys.is_empty() => Vec::new(),
            _ => {
                let mut tx = self.pools.read().await?;
                let before = read(&mut tx, &keys).await?;
                tx.finish().await?;
                before
            }
        };
        let mut after = before.clone();
        let verdict = (adjustment.decide)(&mut after);
        Ok(Some(Decided { keys, before, after, verdict }))
    }
}

/// Counters that a stored function or a query has read.
#[derive(Deserialize, Default)]
pub(super) struct ReadCounters {
    #[serde(default)]
    counters: Vec<ReadCounter>,
}

#[derive(Deserialize)]
struct ReadCounter {
    key: String,
    count: i64,
    since: i64,
    blocked_until: i64,
    expires_at: i64,
}

impl ReadCounters {
    /// Returns the counters with these keys, in their order.
    pub(super) fn of(&self, keys: &[[u8; 32]]) -> Result<Vec<BudgetCounter>, Fault> {
        let of = |key: &[u8; 32]| {
            let key = hex(key);
            match self.counters.iter().find(|counter| counter.key == key) {
                None => Ok(BudgetCounter::ZERO),
                Some(found) => {
                    counter((found.count, found.since, found.blocked_until, found.expires_at))
                }
            }
        };
        keys.iter().map(of).collect()
    }
}

/// Converts the columns of a stored counter.
fn counter(
    (count, since, blocked_until, expires_at): (i64, i64, i64, i64),
) -> Result<BudgetCounter, Fault> {
    Ok(BudgetCounter {
        count: u32::try_from(count).map_err(|_| corrupt("an invalid counter"))?,
        since: Timestamp(since),
        blocked_until: Timestamp(blocked_until),
        expires_at: Timestamp(expires_at),
    })
}

/// Stores counters within a transaction, whatever their values are.
pub(super) async fn set(tx: &mut Tx, counters: &[StoredCounter]) -> Result<(), Fault> {
    if counters.is_empty() {
        return Ok(());
    }
    let mut sorted = counters.to_vec();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    write(tx, sorted.iter().map(|(key, counter)| (key, counter))).await
}

/// Inserts or replaces counters, which must be in the order of their keys.
async fn write<'a>(
    tx: &mut Tx,
    counters: impl Iterator<Item = (&'a [u8; 32], &'a BudgetCounter)> + Send,
) -> Result<(), Fault> {
    let mut write = QueryBuilder::<Db>::new(
        "INSERT INTO counters (key, count, since, blocked_until, expires_at) ",
    );
    write.push_values(counters, |mut row, (key, counter)| {
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
    tx.run(write.build()).await.map(drop)
}

/// Adjusts counters within a transaction, which locks them. Returns the decision.
pub(super) async fn adjust(
    tx: &mut Tx,
    adjustment: Adjustment,
) -> Result<Result<Allowance, Duration>, Fault> {
    let Adjustment { keys, decide, .. } = adjustment;
    if keys.is_empty() {
        return Ok(decide(&mut []));
    }
    lock_counters(tx, &keys).await?;
    let before = read(tx, &keys).await?;
    let mut counters = before.clone();
    let verdict = decide(&mut counters);
    let mut changed: Vec<_> =
        keys.iter().zip(&counters).zip(&before).filter(|((_, now), was)| now != was).collect();
    changed.sort_unstable_by_key(|((key, _), _)| *key);
    if changed.is_empty() {
        return Ok(verdict);
    }
    write(tx, changed.into_iter().map(|((key, counter), _)| (key, counter))).await?;
    Ok(verdict)
}

/// Subtracts one use from each counter within a transaction.
pub(super) async fn refund(tx: &mut Tx, keys: &[[u8; 32]]) -> Result<(), Fault> {
    if keys.is_empty() {
        return Ok(());
    }
    lock_counters(tx, keys).await?;
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
        Some((_, count, since, blocked, expires)) => counter((*count, *since, *blocked, *expires)),
    };
    keys.iter().map(of).collect()
}
