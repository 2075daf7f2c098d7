//! Redis Cluster: six processes, made here by Redis's own client. Records are spread over three of
//! them, and a published wakeup reaches every node, whichever it listens at.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use user_server::domain::{RecordCache, Wakeups};

use super::{contract, shared};
use crate::postgres::node;
use crate::support::{Redis, postgres, run_in};
use crate::tour;

/// Three masters and a replica of each; `None` where Redis is not installed.
fn start() -> Option<(Vec<Redis>, String)> {
    let arguments = |_: &_| {
        ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"].map(str::to_owned).into()
    };
    let nodes: Vec<Redis> = (0..6).map(|_| Redis::start_with(arguments)).collect::<Option<_>>()?;
    let places: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]).args(&places).args([
        "--cluster-replicas",
        "1",
        "--cluster-yes",
    ]);
    let made = create.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    let began = Instant::now();
    while !nodes.iter().all(|node| node.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
    {
        assert!(began.elapsed() < Duration::from_secs(60), "the cluster does not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
    let url = format!("redis://{}", places[..3].join(","));
    Some((nodes, url))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_processes_are_one_cache() {
    let Some((nodes, url)) = start() else { return };
    let cache = shared(&url, 1).await;
    let records: Arc<dyn RecordCache> = cache.clone();
    contract::on(&records).await;
    let used = nodes.iter().filter(|node| node.command(&["DBSIZE"]) != "0").count();
    assert!(used >= 3, "records are on {used} processes");
    let (near, far) = (shared(&url, 2).await, shared(&url, 2).await);
    // Each is notified by its own connection first.
    for cache in [&near, &far] {
        tokio::time::timeout(Duration::from_secs(10), cache.notified()).await.unwrap();
    }
    near.notify().await;
    tokio::time::timeout(Duration::from_secs(10), far.notified()).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let said = run_in(folder.path(), &["check"], &[("REDIS_URL", &url)]);
    assert!(
        said.code == Some(0) && said.output.contains(&format!("{url} (cluster) answers")),
        "{said:?}"
    );
    let Some(database) = postgres() else { return };
    tour::run(node(&database.database(), &[("REDIS_URL", &url)]).await).await;
}
