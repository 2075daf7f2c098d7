//! Mail slots: the rate limit for emails of one kind to one address, and the choice of the next
//! email.

use super::rows::OutboxRow;
use super::tx::Tx;
use crate::domain::{Fault, MailPolicy, Timestamp};

/// Mail slot: rate limit state of one email address and one purpose of codes or kind of notices.
#[derive(sqlx::FromRow)]
pub(super) struct SlotRow {
    pub(super) budget_key: String,
    pub(super) letter: String,
}

/// Locks and returns the mail slot that allows an email now and has the lowest rank, or `None` if
/// there is none. `notice` selects the slots of notices instead of those of codes.
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
    /// Returns the waiting email of the network that was served longest ago in this slot. Networks
    /// that have used up their share of the rate limit are skipped. Returns `None` if no email is
    /// left.
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

    /// Returns the earliest time at which a network with a waiting email has a share of the rate
    /// limit again, or `None` if no such email waits.
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

    /// Returns the time at which the rate limit allows the next code email: after the minimum
    /// pause, and when enough earlier emails are older than each period.
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

    /// Stores that one waiting email was taken from the slot, and that the rate limit allows the
    /// next at `budget_at`. The slot's rank becomes that of its next email.
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

    /// Blocks the slot until the time `until`, when the first waiting network has a share of the
    /// rate limit again.
    pub(super) async fn block(&self, tx: &mut Tx, until: Timestamp) -> Result<(), Fault> {
        let update = sqlx::query(
            "UPDATE mail_turns SET next_at = $3, rank = $3 WHERE budget_key = $1 AND letter = $2",
        );
        tx.run(update.bind(&self.budget_key).bind(&self.letter).bind(until.0)).await?;
        Ok(())
    }

    /// Stores that no email waits for this slot.
    pub(super) async fn empty(&self, tx: &mut Tx) -> Result<(), Fault> {
        let update = sqlx::query(
            "UPDATE mail_turns SET waiting = 0, next_at = budget_at
             WHERE budget_key = $1 AND letter = $2",
        );
        tx.run(update.bind(&self.budget_key).bind(&self.letter)).await?;
        Ok(())
    }
}

/// Returns the time at which the next email is due, or `None` if none is queued.
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
