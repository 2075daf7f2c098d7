//! Nodes that go and come back under load.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::{
    Cluster, Inbox, LEASE, LOST, Life, NODES, Postgres, Reach, SECRET, TestServer, World, examine, postgres,
};

/// Clients at once, each on a connection of its own.
const CLIENTS: usize = 8;

/// Clients of a cluster that go on until they are told to stop.
fn load(cluster: &Cluster) -> (World, JoinSet<Vec<Life>>) {
    let world = World::new(Inbox::new(&cluster.site.mails), usize::MAX);
    let clients = (0..CLIENTS).map(|_| cluster.site.client()).collect();
    let running = world.inhabit(clients, |_| Reach::Whole);
    (world, running)
}

/// Everything that the clients know, once they have stopped.
async fn end(world: &World, running: JoinSet<Vec<Life>>) -> Vec<Life> {
    world.end();
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
        assert_eq!(cluster.ended(node).await, Some(0));
        cluster.start(node).await;
    }
    let lives = end(&world, running).await;
    world.tally.only(&["OK"]);
    let count = examine(&cluster.site, &world.inbox, lives).await;
    cluster.stop().await;
    world.tally.table(&format!("{} restarts, {count} accounts, nothing lost", rounds * NODES))
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
        assert_eq!(cluster.ended(node).await, None);
        cluster.start(node).await;
    }
    let lives = end(&world, running).await;
    // What was on its way when the node ended is lost, and what may be asked again was.
    world.tally.only(&["OK", LOST]);
    let url = cluster.database().to_owned();
    let mails = cluster.site.mails.0.to_str().unwrap().to_owned();
    let folder = cluster.stop().await;
    // A mail that was in a killed node's hands comes when its lease is over.
    let settings = [("PostgreSQL", url.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", &mails)];
    let server = TestServer::start_in(folder, &settings).await;
    server.clock.advance(LEASE);
    let count = examine(&server, &world.inbox, lives).await;
    server.stop().await;
    world.tally.table(&format!("{} kills, {count} accounts, nothing lost", rounds * NODES))
}
