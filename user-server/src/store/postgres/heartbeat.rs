//! Heartbeats of the nodes, so that others can take over the idempotency claims of dead nodes.

use uuid::Uuid;

use super::Pools;
use crate::domain::Fault;

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
