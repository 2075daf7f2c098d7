//! Nodes that go and come back under load.

use std::time::Duration;

use tokio::task::JoinSet;
use user_proto::client::{Client, Config};

use crate::support::{
    Cluster, Inbox, Journey, LEASE, LOST, NO_ANSWER, NODES, Postgres, SECRET, SimulatedUser,
    TestServer, Workload, postgres, verify_users,
};

/// Clients at once, each on a connection of its own.
const CLIENTS: usize = 8;

/// Clients of a cluster that go on until they are told to stop.
fn load(cluster: &Cluster) -> (Workload, JoinSet<Vec<SimulatedUser>>) {
    let world = Workload::new(Inbox::new(&cluster.site.emails), usize::MAX);
    let clients = (0..CLIENTS).map(|_| cluster.site.client()).collect();
    let running = world.spawn(clients, |_| Journey::Full);
    (world, running)
}

/// Everything that the clients know, once they have stopped.
async fn end(world: &Workload, running: JoinSet<Vec<SimulatedUser>>) -> Vec<SimulatedUser> {
    world.stop();
    running.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_costs_no_request() {
    let Some(database) = postgres() else { return };
    roll(database, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes; docs/FAULTS.md has its figures"]
async fn long_a_rolling_restart_costs_no_request() {
    let Some(database) = postgres() else { return };
    println!("{}", roll(database, 6).await);
}

/// Restarts every node so many times, one after the other, under load; what clients saw.
async fn roll(database: &Postgres, rounds: usize) -> String {
    let Some(mut cluster) = Cluster::on(database, &[]).await else { return String::new() };
    let (world, running) = load(&cluster);
    for node in (0..rounds).flat_map(|_| 0..NODES) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.signal(node, "TERM");
        assert_eq!(cluster.wait_for_exit(node).await, Some(0));
        cluster.start(node).await;
    }
    let lives = end(&world, running).await;
    world.stats.assert_only(&["OK"]);
    let count = verify_users(&cluster.site, &world.inbox, lives).await;
    cluster.stop().await;
    world.stats.table(&format!("{} restarts, {count} accounts, nothing lost", rounds * NODES))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_takes_no_answer_with_it() {
    let Some(database) = postgres() else { return };
    kill(database, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes; docs/FAULTS.md has its figures"]
async fn long_a_killed_node_takes_no_answer_with_it() {
    let Some(database) = postgres() else { return };
    println!("{}", kill(database, 10).await);
}

/// Kills every node so many times under load; what clients saw.
async fn kill(database: &Postgres, rounds: usize) -> String {
    let Some(mut cluster) = Cluster::on(database, &[]).await else { return String::new() };
    let (world, running) = load(&cluster);
    for node in (0..rounds).flat_map(|_| 0..NODES) {
        tokio::time::sleep(Duration::from_millis(1000)).await;
        cluster.signal(node, "KILL");
        assert_eq!(cluster.wait_for_exit(node).await, None);
        cluster.start(node).await;
    }
    let lives = end(&world, running).await;
    // What was on its way when the node ended is lost, and what may be asked again was.
    world.stats.assert_only(&["OK", LOST]);
    let count = look_back(cluster, &world, lives).await;
    world.stats.table(&format!("{} kills, {count} accounts, nothing lost", rounds * NODES))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_is_left() {
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
async fn long_a_node_that_hangs_is_left() {
    let Some(database) = postgres() else { return };
    println!("{}", hang(database, Config::default(), Duration::from_secs(20)).await);
}

/// Stops a node as a machine does that hangs: it accepts, and says nothing. What clients saw.
async fn hang(database: &Postgres, config: Config, noticed: Duration) -> String {
    let Some(cluster) = Cluster::on(database, &[]).await else { return String::new() };
    let world = Workload::new(Inbox::new(&cluster.site.emails), usize::MAX).with_default_deadline();
    world.stats.phase("before");
    let client = |_| Client::with_config(cluster.site.address.to_string(), config.clone());
    let running = world.spawn((0..CLIENTS).map(client).collect(), |_| Journey::Full);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.stats.phase("until the hang is detected");
    cluster.signal(0, "STOP");
    tokio::time::sleep(noticed).await;
    world.stats.phase("while it hangs");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let lives = end(&world, running).await;
    cluster.signal(0, "CONT");
    // What it has in its hands it finishes, or drops since its time is over.
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.stats.assert_only(&["OK", LOST, NO_ANSWER]);
    world.stats.assert_only_in("while it hangs", &["OK"]);
    let count = look_back(cluster, &world, lives).await;
    world.stats.table(&format!("One node of three hangs (SIGSTOP); {count} accounts, nothing lost"))
}

/// Looks at every life on a node alone, when the others have ended; how many there were.
async fn look_back(cluster: Cluster, world: &Workload, lives: Vec<SimulatedUser>) -> usize {
    let url = cluster.database().to_owned();
    let mails = cluster.site.emails.0.to_str().unwrap().to_owned();
    let folder = cluster.stop().await;
    // A mail that was in a killed node's hands comes when its lease is over.
    let settings = [("PostgreSQL", url.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", &mails)];
    let server = TestServer::start_in(folder, &settings).await;
    server.clock.advance(LEASE);
    let count = verify_users(&server, &world.inbox, lives).await;
    server.stop().await;
    count
}
