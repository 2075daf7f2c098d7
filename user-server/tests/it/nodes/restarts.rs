//! Nodes that stop and restart under load.

use std::time::Duration;

use tokio::task::JoinSet;
use user_proto::client::{Client, Config};

use crate::support::{
    Cluster, Inbox, Journey, LEASE, LOST, NO_ANSWER, NODES, Postgres, SECRET, SimulatedUser,
    TestServer, Workload, postgres, verify_users,
};

/// Number of concurrent clients, each on its own connection.
const CLIENTS: usize = 8;

/// Starts clients of a cluster. They run until the workload is stopped.
fn load(cluster: &Cluster) -> (Workload, JoinSet<Vec<SimulatedUser>>) {
    let workload = Workload::new(Inbox::new(&cluster.site.emails), usize::MAX);
    let clients = (0..CLIENTS).map(|_| cluster.site.client()).collect();
    let running = workload.spawn(clients, |_| Journey::Full);
    (workload, running)
}

/// Stops the clients. Returns the users that they simulated.
async fn stop(workload: &Workload, running: JoinSet<Vec<SimulatedUser>>) -> Vec<SimulatedUser> {
    workload.stop();
    running.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request() {
    let Some(database) = postgres() else { return };
    roll(database, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes; docs/FAULTS.md has its figures"]
async fn long_a_rolling_restart_fails_no_request() {
    let Some(database) = postgres() else { return };
    println!("{}", roll(database, 6).await);
}

/// Restarts every node `rounds` times, one after the other, under load. Returns the table of calls.
async fn roll(database: &Postgres, rounds: usize) -> String {
    let Some(mut cluster) = Cluster::on(database, &[]).await else { return String::new() };
    let (workload, running) = load(&cluster);
    for node in (0..rounds).flat_map(|_| 0..NODES) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.signal(node, "TERM");
        assert_eq!(cluster.wait_for_exit(node).await, Some(0));
        cluster.start(node).await;
    }
    let users = stop(&workload, running).await;
    workload.stats.assert_only(&["OK"]);
    let count = verify_users(&cluster.site, &workload.inbox, users).await;
    cluster.stop().await;
    workload.stats.table(&format!("{} restarts, {count} accounts, nothing lost", rounds * NODES))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_loses_no_answered_change() {
    let Some(database) = postgres() else { return };
    kill(database, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes; docs/FAULTS.md has its figures"]
async fn long_a_killed_node_loses_no_answered_change() {
    let Some(database) = postgres() else { return };
    println!("{}", kill(database, 10).await);
}

/// Kills every node `rounds` times under load. Returns the table of calls.
async fn kill(database: &Postgres, rounds: usize) -> String {
    let Some(mut cluster) = Cluster::on(database, &[]).await else { return String::new() };
    let (workload, running) = load(&cluster);
    for node in (0..rounds).flat_map(|_| 0..NODES) {
        tokio::time::sleep(Duration::from_millis(1000)).await;
        cluster.signal(node, "KILL");
        assert_eq!(cluster.wait_for_exit(node).await, None);
        cluster.start(node).await;
    }
    let users = stop(&workload, running).await;
    // Requests in flight on a killed node are lost; the client has repeated those that are safe to
    // repeat.
    workload.stats.assert_only(&["OK", LOST]);
    let count = verify_on_one_node(cluster, &workload, users).await;
    workload.stats.table(&format!("{} kills, {count} accounts, nothing lost", rounds * NODES))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_node_is_abandoned() {
    let Some(database) = postgres() else { return };
    let quick = Config {
        ping_pending_after: Duration::from_millis(300),
        pong_timeout: Duration::from_millis(700),
        ..Config::default()
    };
    hang(database, quick, Duration::from_secs(6)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; docs/FAULTS.md has its figures"]
async fn long_a_hung_node_is_abandoned() {
    let Some(database) = postgres() else { return };
    println!("{}", hang(database, Config::default(), Duration::from_secs(20)).await);
}

/// Stops a node with SIGSTOP, as if its machine hung: it accepts connections and sends nothing.
/// Returns the table of calls.
async fn hang(database: &Postgres, config: Config, detected_after: Duration) -> String {
    let Some(cluster) = Cluster::on(database, &[]).await else { return String::new() };
    let workload =
        Workload::new(Inbox::new(&cluster.site.emails), usize::MAX).with_default_deadline();
    workload.stats.phase("before");
    let client = |_| Client::with_config(cluster.site.address.to_string(), config.clone());
    let running = workload.spawn((0..CLIENTS).map(client).collect(), |_| Journey::Full);
    tokio::time::sleep(Duration::from_secs(2)).await;
    workload.stats.phase("until the hang is detected");
    cluster.signal(0, "STOP");
    tokio::time::sleep(detected_after).await;
    workload.stats.phase("while it hangs");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let users = stop(&workload, running).await;
    cluster.signal(0, "CONT");
    // The node completes its requests, or drops those past their deadline.
    tokio::time::sleep(Duration::from_secs(1)).await;
    workload.stats.assert_only(&["OK", LOST, NO_ANSWER]);
    workload.stats.assert_only_in("while it hangs", &["OK"]);
    let count = verify_on_one_node(cluster, &workload, users).await;
    workload
        .stats
        .table(&format!("One node of three hangs (SIGSTOP); {count} accounts, nothing lost"))
}

/// Verifies every user on a single node after the others have stopped. Returns the number of users.
async fn verify_on_one_node(
    cluster: Cluster,
    workload: &Workload,
    users: Vec<SimulatedUser>,
) -> usize {
    let url = cluster.database().to_owned();
    let mail_dir = cluster.site.emails.0.to_str().unwrap().to_owned();
    let folder = cluster.stop().await;
    // An email that a killed node had claimed is sent when its lease expires.
    let settings =
        [("PostgreSQL", url.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", &mail_dir)];
    let server = TestServer::start_in(folder, &settings).await;
    server.clock.advance(LEASE);
    let count = verify_users(&server, &workload.inbox, users).await;
    server.stop().await;
    count
}
