//! Several nodes behind a load balancer act as one service, whichever node replies or stops.

mod outbox;
mod restarts;

use crate::support::{Cluster, NODES, postgres};
use crate::tour;

async fn cluster() -> Option<Cluster> {
    Cluster::on(postgres()?, &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_passes_behind_a_balancer() {
    let Some(cluster) = cluster().await else { return };
    tour::run_at(&cluster.site).await;
    for node in 0..NODES {
        assert!(cluster.log(node).contains(r#""outcome":"OK""#), "node {node} received no request");
    }
    cluster.stop().await;
}

mod races {
    crate::races::races!(super::cluster);
}
