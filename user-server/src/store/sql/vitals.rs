//! What an operator watches in the store: the depth of the outbox and the use of the pools.

use async_trait::async_trait;

use super::SqlStore;
use crate::domain::ports::{Backlog, PoolUse, Vitals};
use crate::domain::{Fault, Timestamp};

/// Partial indexes hold exactly the rows that are looked at. A turn that has come and was not taken
/// counts as waiting too, or a worker that stands still would not be seen.
const BACKLOG: &str = "SELECT
    (SELECT COUNT(*) FROM outbox WHERE turn_at IS NOT NULL AND settled_at IS NULL),
    (SELECT MIN(turn_at) FROM outbox WHERE turn_at IS NOT NULL AND settled_at IS NULL),
    (SELECT CAST(COALESCE(SUM(waiting), 0) AS BIGINT) FROM mail_turns WHERE waiting > 0),
    (SELECT MIN(next_at) FROM mail_turns WHERE waiting > 0 AND next_at <= $1)";

#[async_trait]
impl Vitals for SqlStore {
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, Fault> {
        let (unsent, sending_since, waiting, due_since): (i64, Option<i64>, i64, Option<i64>) =
            self.read_one(sqlx::query_as(BACKLOG).bind(now.0)).await?;
        let oldest = sending_since.into_iter().chain(due_since).min().map(Timestamp);
        Ok(Backlog { unsent, waiting, oldest })
    }

    fn pools(&self) -> Vec<PoolUse> {
        self.pools.used()
    }
}
