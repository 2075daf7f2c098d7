//! Housekeeping: deletes rows past their retention, and reports the condition of the store.

use std::time::Instant;

use async_trait::async_trait;

use super::{SqlStore, rows};
use crate::domain::{
    ConnectionPools, Fault, Housekeeping, PoolUse, Retention, Timestamp, deletion_pause,
};

/// Maximum number of hash classes to return.
const MAX_CLASSES: usize = 64;
/// Maximum number of rows that one transaction deletes, so that it takes about 10 ms: it blocks no
/// writer for longer, and takes a core from no request for longer.
const BATCH: i64 = 200;

/// Builds the statement that deletes a batch of the rows of a table that satisfy a condition. The
/// condition is repeated, since a row may change between its selection and its deletion.
macro_rules! delete_batch {
    ($table:literal, $key:literal, $condition:expr) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ",
            $condition,
            " AND (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE ",
            $condition,
            " LIMIT $2)"
        )
    };
}

/// Condition on an old email that was settled, or that contains a code and still waits for its mail
/// slot. A notice that waits stays until a worker takes it, since its mail slot counts it: no
/// further notice of the kind is queued meanwhile, and it stands for all of them.
macro_rules! finished_email {
    () => {
        "created_at < $1
         AND (settled_at < $1 OR turn_at IS NULL AND verification_id IS NOT NULL)"
    };
}

/// Condition on a row of `mail_turns` for which no email waits and none was sent recently.
macro_rules! unused_turn {
    () => {
        "next_at < $1 AND waiting = 0 AND NOT EXISTS (SELECT 1 FROM outbox
         WHERE outbox.budget_key = mail_turns.budget_key AND outbox.letter = mail_turns.letter
             AND turn_at IS NOT NULL)"
    };
}

/// Deletion of the rows of one table.
#[derive(Clone, Copy)]
struct Step {
    /// Statement that deletes one batch.
    statement: &'static str,
    /// Time before which it deletes.
    before: i64,
    /// Number of the last row that it may delete, for the revocation log.
    last: Option<i64>,
}

impl Step {
    fn new(statement: &'static str, before: i64) -> Self {
        Self { statement, before, last: None }
    }
}

#[async_trait]
impl Housekeeping for SqlStore {
    async fn sweep(&self, retention: &Retention, now: Timestamp) -> Result<u64, Fault> {
        let old = now.minus(retention.verifications).0;
        let sent = now.minus(retention.mails).0;
        let mut steps = vec![
            // By its age only: what happened to its email must not be visible.
            Step::new(delete_batch!("verifications", "id", "created_at < $1"), old),
            Step::new(delete_batch!("outbox", "id", finished_email!()), sent),
            Step::new(delete_batch!("mail_turns", "budget_key, letter", unused_turn!()), sent),
            Step::new(
                delete_batch!("sessions", "id", "rotated_at < $1 AND issued_until < $1"),
                now.minus(retention.session_idle).0,
            ),
            Step::new(
                delete_batch!("sessions", "id", "created_at < $1"),
                now.minus(retention.session_life).0,
            ),
            // Counters that are in use are not waited for, whatever their order.
            Step::new(
                concat!(
                    "DELETE FROM counters WHERE expires_at < $1 AND key IN
                     (SELECT key FROM counters WHERE expires_at < $1 LIMIT $2",
                    lock_row_or_skip!(),
                    ")"
                ),
                now.0,
            ),
            Step::new(delete_batch!("idempotency_keys", "key", "expires_at < $1"), now.0),
            Step::new(delete_batch!("mail_clients", "client", "rank < $1"), sent),
            Step::new(
                delete_batch!("known_networks", "user_id, client", "opened_at < $1"),
                now.minus(retention.known_networks).0,
            ),
        ];
        let mut first_fault = None;
        match self.mark_erased(retention, now).await {
            Ok(step) => steps.extend(step),
            Err(fault) => first_fault = Some(fault),
        }
        let mut deleted = 0;
        // One batch of each step in turn, so that neither a long nor a failing step holds up the
        // others.
        while !steps.is_empty() {
            let mut remaining = Vec::new();
            for step in steps {
                let began = Instant::now();
                match self.delete_batch(step).await {
                    Ok(rows) => {
                        deleted += rows;
                        if rows >= BATCH.unsigned_abs() {
                            remaining.push(step);
                            tokio::time::sleep(deletion_pause(began.elapsed())).await;
                        }
                    }
                    Err(fault) => {
                        first_fault.get_or_insert(fault);
                    }
                }
            }
            steps = remaining;
        }
        first_fault.map_or(Ok(deleted), Err)
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

impl SqlStore {
    async fn delete_batch(&self, step: Step) -> Result<u64, Fault> {
        let mut tx = self.pools.write().await?;
        let delete = sqlx::query(step.statement).bind(step.before).bind(BATCH);
        let delete = match step.last {
            Some(last) => delete.bind(last),
            None => delete,
        };
        let rows = tx.run(delete).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Records until when tokens may have been issued that the entries of the revocation log
    /// concern which are to be deleted, before they are deleted. Returns the step that deletes
    /// them, or `None` if there are none.
    async fn mark_erased(
        &self,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Option<Step>, Fault> {
        let before = now.minus(retention.revocations).0;
        let mut tx = self.pools.write().await?;
        let latest = "SELECT MAX(at) FROM revocations WHERE at < $1 AND seq <= $2";
        let latest = sqlx::query_as(latest).bind(before).bind(retention.last_revocation);
        let (Some(at),): (Option<i64>,) = tx.one(latest).await? else { return tx.undo(None).await };
        rows::mark_erased(&mut tx, Timestamp(at)).await?;
        tx.commit().await?;
        let delete = delete_batch!("revocations", "seq", "at < $1 AND seq <= $3");
        Ok(Some(Step { last: Some(retention.last_revocation), ..Step::new(delete, before) }))
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
