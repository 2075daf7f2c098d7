//! The number and age of queued emails.

use async_trait::async_trait;

use super::SqlStore;
use crate::domain::{Backlog, Fault, OutboxDepth, Timestamp, UndecidedRefusals};

/// Query for the number and age of unsent and waiting emails. Partial indexes contain exactly the
/// rows that are counted. The age includes emails that could be sent but were never claimed, so a
/// stopped worker is noticed.
const BACKLOG: &str = "SELECT
    (SELECT COUNT(*) FROM outbox WHERE turn_at IS NOT NULL AND settled_at IS NULL),
    (SELECT MIN(turn_at) FROM outbox
     WHERE turn_at IS NOT NULL AND settled_at IS NULL AND failed_domain IS NULL),
    (SELECT CAST(COALESCE(SUM(waiting), 0) AS BIGINT) FROM mail_turns WHERE waiting > 0),
    (SELECT MIN(next_at) FROM mail_turns WHERE waiting > 0 AND next_at <= $1)";

/// Query for the numbers of domains and networks with inconclusive refusals since the last
/// delivery. Each email from an unknown network counts as a network of its own, because nothing
/// shows that two of them have the same one.
const UNDECIDED: &str = "SELECT COUNT(DISTINCT failed_domain),
        COUNT(DISTINCT CASE WHEN client = '' THEN NULL ELSE client END)
        + COUNT(CASE WHEN client = '' THEN 1 ELSE NULL END)
    FROM outbox WHERE failed_domain IS NOT NULL
    AND failed_at > COALESCE((SELECT MAX(settled_at) FROM outbox WHERE delivered = 1), 0)";

#[async_trait]
impl OutboxDepth for SqlStore {
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, Fault> {
        let (unsent, sending_since, waiting, due_since): (i64, Option<i64>, i64, Option<i64>) =
            self.watch_one(sqlx::query_as(BACKLOG).bind(now.0)).await?;
        let (domains, networks): (i64, i64) = self.watch_one(sqlx::query_as(UNDECIDED)).await?;
        let oldest = sending_since.into_iter().chain(due_since).min().map(Timestamp);
        let undecided = UndecidedRefusals { domains, networks };
        Ok(Backlog { unsent, waiting, oldest, undecided })
    }
}
