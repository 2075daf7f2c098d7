//! Mail slots: when the budget of an address allows its next email, and which email that is.

use super::rows::OutboxRow;
use super::tx::Tx;
use crate::domain::{Fault, MailPolicy, Timestamp};

/// The mail slot of an address and a purpose or kind: the next email that its budget allows.
#[derive(sqlx::FromRow)]
pub(super) struct SlotRow {
    pub(super) budget_key: String,
    pub(super) letter: String,
}

/// Finds the free mail slot, of notices or of codes, with the email of the lowest rank.
pub(super) async fn free_slot(
    tx: &mut Tx,
    notice: bool,
    now: Timestamp,
) -> Result<Option<SlotRow>, Fault> {
    let select = concat!(
        "SELECT budget_key, letter FROM mail_turns
         WHERE waiting > 0 AND notice = $2 AND next_at <= $1 ORDER BY rank LIMIT 1",
        lock_row_or_skip!()
    );
    tx.optional(sqlx::query_as(select).bind(now.0).bind(i64::from(notice))).await
}

impl SlotRow {
    /// Finds the waiting email of the network that was served longest ago in this slot, among those
    /// that have not had their share of the budget.
    pub(super) async fn next_email(
        &self,
        tx: &mut Tx,
        policy: &MailPolicy,
        now: Timestamp,
    ) -> Result<Option<OutboxRow>, Fault> {
        let select = concat!(
            "SELECT ",
            outbox_columns!(),
            " FROM outbox
             LEFT JOIN (SELECT client, MAX(turn_at) AS served,
                               SUM(CASE WHEN turn_at > $3 THEN 1 ELSE 0 END) AS turns FROM outbox
                        WHERE budget_key = $1 AND letter = $2 AND turn_at IS NOT NULL GROUP BY client)
                 AS clients
             ON clients.client = outbox.client
             WHERE budget_key = $1 AND letter = $2 AND turn_at IS NULL AND settled_at IS NULL
                   AND (outbox.client = '' OR COALESCE(turns, 0) < $4)
             ORDER BY COALESCE(served, 0), created_at, id LIMIT 1"
        );
        let (period, max) = policy.client_window;
        let next = sqlx::query_as(select)
            .bind(&self.budget_key)
            .bind(&self.letter)
            .bind(now.minus(period).0)
            .bind(i64::from(max));
        tx.optional(next).await
    }

    /// Returns the time at which one of the waiting networks has a share of the budget again, or
    /// `None` if no email waits.
    pub(super) async fn next_share(
        &self,
        tx: &mut Tx,
        policy: &MailPolicy,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Fault> {
        let (period, _) = policy.client_window;
        let first = sqlx::query_as(
            "SELECT MIN(first) FROM (
                 SELECT client, MIN(turn_at) AS first FROM outbox
                 WHERE budget_key = $1 AND letter = $2 AND turn_at > $3 GROUP BY client) AS clients
             WHERE EXISTS (SELECT 1 FROM outbox WHERE budget_key = $1 AND letter = $2
                           AND outbox.client = clients.client AND turn_at IS NULL
                           AND settled_at IS NULL)",
        )
        .bind(&self.budget_key)
        .bind(&self.letter)
        .bind(now.minus(period).0);
        let (first,): (Option<i64>,) = tx.one(first).await?;
        Ok(first.map(|first| Timestamp(first).plus(period)))
    }

    /// Returns the time at which the budget allows the next code: after the pause, and when the
    /// oldest email of each full period has left it.
    pub(super) async fn next_code(
        &self,
        tx: &mut Tx,
        policy: &MailPolicy,
        now: Timestamp,
    ) -> Result<Timestamp, Fault> {
        let mut next = now.plus(policy.pause);
        for (period, max) in policy.windows {
            let oldest = sqlx::query_as(
                "SELECT turn_at FROM outbox WHERE budget_key = $1 AND letter = $2 AND turn_at > $3
                 ORDER BY turn_at DESC LIMIT 1 OFFSET $4",
            )
            .bind(&self.budget_key)
            .bind(&self.letter)
            .bind(now.minus(period).0)
            .bind(i64::from(max) - 1);
            let oldest: Option<(i64,)> = tx.optional(oldest).await?;
            if let Some((at,)) = oldest {
                next = next.max(Timestamp(at).plus(period));
            }
        }
        Ok(next)
    }

    /// Ends the use of the slot: one email less waits, and the budget allows the next one at
    /// `budget_at`. The slot keeps its place among the others by the rank of its next email.
    pub(super) async fn take(&self, tx: &mut Tx, budget_at: Timestamp) -> Result<(), Fault> {
        let update = sqlx::query(
            "UPDATE mail_turns SET waiting = waiting - 1, next_at = $3, budget_at = $3,
                 rank = COALESCE((SELECT MAX(rank) FROM (
                     SELECT MIN(rank) AS rank FROM outbox WHERE budget_key = $1 AND letter = $2
                            AND turn_at IS NULL AND settled_at IS NULL
                     UNION ALL SELECT $3 AS rank) AS ranks), $3)
             WHERE budget_key = $1 AND letter = $2",
        )
        .bind(&self.budget_key)
        .bind(&self.letter)
        .bind(budget_at.0);
        tx.run(update).await?;
        Ok(())
    }

    /// Blocks the slot until a time, since no email that waits may use it before.
    pub(super) async fn block(&self, tx: &mut Tx, until: Timestamp) -> Result<(), Fault> {
        let update = sqlx::query(
            "UPDATE mail_turns SET next_at = $3, rank = $3 WHERE budget_key = $1 AND letter = $2",
        );
        tx.run(update.bind(&self.budget_key).bind(&self.letter).bind(until.0)).await?;
        Ok(())
    }

    /// Stores that no email waits.
    pub(super) async fn empty(&self, tx: &mut Tx) -> Result<(), Fault> {
        let update = sqlx::query(
            "UPDATE mail_turns SET waiting = 0, next_at = budget_at
             WHERE budget_key = $1 AND letter = $2",
        );
        tx.run(update.bind(&self.budget_key).bind(&self.letter)).await?;
        Ok(())
    }
}

/// Returns the time at which the next email will be due.
pub(super) async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, Fault> {
    let (at,): (Option<i64>,) = tx
        .one(sqlx::query_as(
            "SELECT MIN(at) FROM (
             SELECT MIN(due_at) AS at FROM outbox WHERE turn_at IS NOT NULL AND settled_at IS NULL
             UNION ALL SELECT MIN(next_at) AS at FROM mail_turns WHERE waiting > 0
         ) AS soon",
        ))
        .await?;
    Ok(at.map(Timestamp))
}
