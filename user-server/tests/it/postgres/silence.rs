//! Connections to PostgreSQL that stay open and on which nothing arrives any more.

use std::time::{Duration, Instant};

use user_proto::VerifyToken;

use super::node;
use crate::support::{PASSWORD, PgProxy, login, postgres};

/// Time within which a node is healthy again after the network is.
const RECOVERY: Duration = Duration::from_secs(1);
/// Number of logins while the proxy is hostile: more than the pool has connections.
const LOGINS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_on_release_costs_the_node_nothing() {
    let Some(server) = postgres() else { return };
    let (proxy, url) = PgProxy::before(&server.database()).await;
    let node = node(&url, &[]).await;
    let client = node.client();
    let ada = node.account(&client, "ada").await;
    let check = || VerifyToken { access_token: ada.session.access_token.clone() };

    proxy.silence_pings(true);
    let mut failed = 0;
    for _ in 0..LOGINS {
        failed += usize::from(client.call(login("ada", PASSWORD)).await.is_err());
    }
    proxy.silence_pings(false);
    let healed = Instant::now();
    loop {
        let fresh = client.call(check()).await.is_ok_and(|reply| reply.stale_ms.is_none());
        if fresh && client.call(login("ada", PASSWORD)).await.is_ok() {
            break;
        }
        let waited = healed.elapsed();
        assert!(waited < RECOVERY, "not healthy after {waited:?}; {failed} logins had failed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(failed, 0, "logins failed");
    node.stop().await;
}
