//! Heartbeats of the nodes, so that others can take over the idempotency claims of dead nodes.

use std::time::Duration;

use uuid::Uuid;

use super::connection::connect;
use super::{Pools, PostgresOptions, PostgresStore, sql};
use crate::domain::Fault;

/// Time in which a node that is alive reports several heartbeats.
const HEARTBEAT_WAIT: Duration = Duration::from_millis(1200);

impl PostgresStore {
    /// Returns the number of nodes that report a heartbeat while this function waits for one. A
    /// database that was just restored contains the last heartbeats of the original.
    ///
    /// # Errors
    /// If the database cannot be reached, or has no tables.
    pub async fn alive_nodes(options: &PostgresOptions) -> Result<usize, Fault> {
        let mut connection = connect(&options.for_requests(), options.pooler).await?;
        let mut seen = Vec::new();
        for reading in 0..2 {
            if reading > 0 && !seen.is_empty() {
                tokio::time::sleep(HEARTBEAT_WAIT).await;
            }
            let recent = sqlx::query_as::<_, (Uuid, i64)>(
                "SELECT id, seen_at FROM nodes
                 WHERE seen_at > (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint - 5000",
            );
            let recent = recent.persistent(false).fetch_all(&mut connection).await;
            let before = std::mem::replace(&mut seen, recent.map_err(sql::fault)?);
            seen.retain(|node| reading == 0 || !before.contains(node));
        }
        Ok(seen.len())
    }
}

/// Records the first heartbeat of a node, and deletes nodes without a heartbeat for an hour, which
/// is longer than any idempotency claim lasts.
pub(super) async fn start_node(pools: &Pools, node: Uuid) -> Result<(), Fault> {
    let mut tx = pools.watch().await?;
    tx.run(sqlx::query(
        "DELETE FROM nodes
         WHERE seen_at < (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint - 3600000",
    ))
    .await?;
    tx.finish().await?;
    report_alive(pools, node).await
}

/// Records a heartbeat of a node, with the time of the database's clock.
pub(super) async fn report_alive(pools: &Pools, node: Uuid) -> Result<(), Fault> {
    let mut tx = pools.watch().await?;
    tx.run(
        sqlx::query(
            "INSERT INTO nodes (id, seen_at)
             VALUES ($1, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint)
             ON CONFLICT (id) DO UPDATE SET seen_at = EXCLUDED.seen_at",
        )
        .bind(node),
    )
    .await?;
    tx.finish().await
}
