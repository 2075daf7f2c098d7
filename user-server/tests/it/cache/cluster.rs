//! Redis Cluster: six processes, set up by `redis-cli`. Records are spread over three of them, and
//! a wakeup reaches every node, whichever process it subscribes to.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use user_server::domain::{RecordCache, Wakeups};

use super::{connect, contract};
use crate::postgres::node;
use crate::support::{Redis, postgres, run_in};
use crate::tour;

/// Starts three masters with a replica each. Returns `None` if Redis is not installed.
fn start() -> Option<(Vec<Redis>, String)> {
    let arguments = |_: &_| {
        ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"].map(str::to_owned).into()
    };
    let nodes: Vec<Redis> = (0..6).map(|_| Redis::start_with(arguments)).collect::<Option<_>>()?;
    let addresses: Vec<String> =
        nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]).args(&addresses).args([
        "--cluster-replicas",
        "1",
        "--cluster-yes",
    ]);
    let created = create.output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
    let began = Instant::now();
    while !nodes.iter().all(|node| node.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
    {
        assert!(began.elapsed() < Duration::from_secs(60), "the cluster does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    let url = format!("redis://{}", addresses[..3].join(","));
    Some((nodes, url))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_processes_form_one_cache() {
    let Some((nodes, url)) = start() else { return };
    let cache = connect(&url, 1).await;
    let records: Arc<dyn RecordCache> = cache.clone();
    contract::run(&records).await;
    let used = nodes.iter().filter(|node| node.command(&["DBSIZE"]) != "0").count();
    assert!(used >= 3, "records are on {used} processes");
    let (near, far) = (connect(&url, 2).await, connect(&url, 2).await);
    // The first connection of each counts as a wakeup.
    for cache in [&near, &far] {
        tokio::time::timeout(Duration::from_secs(10), cache.notified()).await.unwrap();
    }
    near.notify().await;
    tokio::time::timeout(Duration::from_secs(10), far.notified()).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let result = run_in(folder.path(), &["check"], &[("REDIS_URL", &url)]);
    assert!(
        result.code == Some(0) && result.output.contains(&format!("{url} (cluster) answers")),
        "{result:?}"
    );
    let Some(database) = postgres() else { return };
    tour::run(node(&database.database(), &[("REDIS_URL", &url)]).await).await;
}
