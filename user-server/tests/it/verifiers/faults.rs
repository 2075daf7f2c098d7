//! Three nodes on one database, with faults of everything around them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use user_proto::client::Client;
use user_proto::{Common, Logout, RequestPasswordReset, ResendCode};
use uuid::Uuid;

use super::fleet::Fleet;
use super::{AGE_LIMIT, EDDSA, NORMAL, WORST};
use crate::support::{Cluster, NODES, Postgres, request_frame};

/// Only the address of the tests is trusted, so that attacks can come from another one.
const TRUSTED: (&str, &str) = ("TRUSTED_PEERS", "127.0.0.1");
const ATTACKER: ([u8; 4], u16) = ([127, 0, 0, 9], 0);

/// Three nodes on a database of their own.
struct Nodes {
    cluster: Cluster,
    database: Postgres,
    accounts: usize,
}

impl Nodes {
    async fn start() -> Option<Self> {
        let database = Postgres::dedicated()?;
        let cluster = Cluster::on(&database, &[EDDSA, TRUSTED]).await?;
        Some(Self { cluster, database, accounts: 0 })
    }

    /// Opens sessions of a new user.
    async fn sessions(&mut self, count: usize) -> Vec<(Uuid, String)> {
        self.accounts += 1;
        let name = format!("user{}", self.accounts);
        let client = self.cluster.site.client();
        self.cluster.site.account(&client, &name).await;
        let mut sessions = Vec::new();
        for _ in 0..count {
            let session = self.cluster.site.login(&client, &name).await;
            let token = session.access_token.expose_str().unwrap().to_owned();
            sessions.push((session.session_id, token));
        }
        sessions
    }

    /// Waits until the nodes have noticed that the database answers again.
    async fn recover(&self) {
        for address in self.cluster.addresses() {
            let client = Client::new(address.to_string());
            let began = std::time::Instant::now();
            let request = || RequestPasswordReset { email: "nobody@example.org".into() };
            while let Err(error) = client.call(request()).await {
                assert!(began.elapsed() < Duration::from_secs(10), "{error:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            client.close().await;
        }
    }

    fn addresses(&self) -> Vec<String> {
        self.cluster.addresses().iter().map(ToString::to_string).collect()
    }
}

/// Ends a session, however often the request has to be repeated.
async fn end(client: &Client, token: &str) {
    while client
        .call(Logout { token: token.into(), all_sessions: None })
        .await
        .is_err_and(|error| error.code().is_none_or(|code| code.0 >> 8 >= 5))
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ends sessions one after another, with all verifiers watching.
async fn end_all(fleet: &mut Fleet, client: &Client, sessions: &[(Uuid, String)]) {
    for (id, token) in sessions {
        fleet.accept(token).await;
        fleet.observe(*id, token, end(client, token)).await;
    }
}

async fn healthy(nodes: &mut Nodes, count: usize, rounds: usize) -> String {
    let mut fleet = Fleet::start(&nodes.addresses(), count).await;
    let (sessions, client) = (nodes.sessions(rounds).await, nodes.cluster.site.client());
    end_all(&mut fleet, &client, &sessions).await;
    fleet.row("nothing fails", NORMAL)
}

async fn redis_hangs(nodes: &mut Nodes, count: usize, rounds: usize) -> String {
    let mut fleet = Fleet::start(&nodes.addresses(), count).await;
    let (sessions, client) = (nodes.sessions(rounds).await, nodes.cluster.site.client());
    nodes.cluster.redis_mut().signal("STOP");
    end_all(&mut fleet, &client, &sessions).await;
    nodes.cluster.redis_mut().signal("CONT");
    fleet.row("Redis hangs", NORMAL)
}

async fn redis_is_down(nodes: &mut Nodes, count: usize, rounds: usize) -> String {
    let mut fleet = Fleet::start(&nodes.addresses(), count).await;
    let (sessions, client) = (nodes.sessions(rounds).await, nodes.cluster.site.client());
    nodes.cluster.redis_mut().kill();
    end_all(&mut fleet, &client, &sessions).await;
    nodes.cluster.redis_mut().run();
    fleet.row("Redis is down", NORMAL)
}

/// Untrusted peers send ResendCode with random ids over many connections.
async fn flood(nodes: &mut Nodes, count: usize, rounds: usize) -> String {
    let mut fleet = Fleet::start(&nodes.addresses(), count).await;
    let (sessions, client) = (nodes.sessions(rounds).await, nodes.cluster.site.client());
    let stop = Arc::new(AtomicBool::new(false));
    let mut attack = JoinSet::new();
    for address in nodes.cluster.addresses() {
        for _ in 0..32 {
            attack.spawn(resend_codes(address, stop.clone()));
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    end_all(&mut fleet, &client, &sessions).await;
    stop.store(true, Ordering::Relaxed);
    attack.abort_all();
    fleet.row("a flood from untrusted peers", WORST)
}

async fn resend_codes(address: SocketAddr, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(ATTACKER.into()).unwrap();
        let Ok(mut stream) = socket.connect(address).await else { continue };
        let mut replies = [0; 16 * 1024];
        for id in 1..200 {
            let request = ResendCode { verification_id: Uuid::new_v4() };
            let frame = request_frame(id, request, &Common::default());
            if stream.write_all(&frame).await.is_err() {
                break;
            }
            if id % 50 == 0 && stream.read(&mut replies).await.is_err() {
                break;
            }
        }
    }
}

/// The nodes restart one after another, behind HAProxy in TCP mode, which the verifiers connect to.
async fn rolling_restart(nodes: &mut Nodes, count: usize, rounds: usize) -> String {
    let balancer = nodes.cluster.site.address.to_string();
    let mut fleet = Fleet::start(&[balancer], count).await;
    let (sessions, client) = (nodes.sessions(rounds * NODES).await, nodes.cluster.site.client());
    let cluster = &mut nodes.cluster;
    let restart = async {
        for node in 0..NODES {
            cluster.signal(node, "TERM");
            cluster.wait_for_exit(node).await;
            cluster.start(node).await;
        }
    };
    tokio::join!(restart, end_all(&mut fleet, &client, &sessions));
    fleet.row("a rolling restart behind HAProxy", WORST)
}

/// A session ends, and at once the database stops answering, so that the other nodes do not learn
/// of it.
async fn database_pauses(nodes: &mut Nodes, count: usize, rounds: usize) -> String {
    let mut fleet = Fleet::start(&nodes.addresses(), count).await;
    let (sessions, client) = (nodes.sessions(rounds).await, nodes.cluster.site.client());
    for (id, token) in &sessions {
        fleet.accept(token).await;
        let database = &nodes.database;
        let pause = async {
            end(&client, token).await;
            database.signal("STOP");
        };
        let resume = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            database.signal("CONT");
        };
        tokio::join!(fleet.observe(*id, token, pause), resume);
        nodes.recover().await;
    }
    fleet.row("the database pauses for 4 s", AGE_LIMIT)
}

/// The database stops answering for longer than the age limit, but for less than STALE_LIMIT, for
/// which the nodes go on to accept tokens.
async fn database_stops(nodes: &mut Nodes, count: usize) -> String {
    let fleet = Fleet::start(&nodes.addresses(), count).await;
    let (_, token) = nodes.sessions(1).await.remove(0);
    fleet.accept(&token).await;
    nodes.database.signal("STOP");
    let last = fleet.last_accepted(&token, AGE_LIMIT + 2 * WORST).await;
    nodes.database.signal("CONT");
    nodes.recover().await;
    assert!(last < AGE_LIMIT + Duration::from_millis(250), "{last:?}");
    fleet.accept(&token).await;
    format!(
        "| the database stops: last valid check | {count} | | | | {} ms | 5 s |",
        last.as_millis()
    )
}

/// A node that verifiers follow stops (SIGSTOP), while sessions end on another.
async fn node_stops(nodes: &mut Nodes, count: usize, rounds: usize) -> String {
    let mut fleet = Fleet::start(&nodes.addresses(), count).await;
    let sessions = nodes.sessions(rounds).await;
    let addresses = nodes.addresses();
    for (round, (id, token)) in sessions.iter().enumerate() {
        let stopped = round % NODES;
        let client = Client::new(addresses[(stopped + 1) % NODES].clone());
        fleet.accept(token).await;
        nodes.cluster.signal(stopped, "STOP");
        fleet.observe(*id, token, end(&client, token)).await;
        nodes.cluster.signal(stopped, "CONT");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    fleet.row("a node is stopped (SIGSTOP) and continued", WORST)
}

/// Runs every fault with these numbers of verifiers. Returns the table.
async fn run(counts: &[usize], rounds: usize) -> Option<String> {
    let mut nodes = Nodes::start().await?;
    let has_redis = nodes.cluster.has_redis();
    let mut rows = vec![
        "| fault | verifiers | refusals | median | longest | last valid check | bound |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for count in counts.iter().copied() {
        rows.push(healthy(&mut nodes, count, rounds).await);
        if has_redis {
            rows.push(redis_hangs(&mut nodes, count, rounds).await);
            rows.push(redis_is_down(&mut nodes, count, rounds).await);
        }
        rows.push(flood(&mut nodes, count, rounds).await);
        rows.push(node_stops(&mut nodes, count, rounds).await);
        rows.push(rolling_restart(&mut nodes, count, rounds).await);
        rows.push(database_pauses(&mut nodes, count, rounds.min(3)).await);
        rows.push(database_stops(&mut nodes, count).await);
    }
    nodes.cluster.stop().await;
    Some(rows.join("\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verifier_accepts_an_ended_session_for_longer_than_the_bound() {
    if let Some(table) = run(&[4], 2).await {
        println!("{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; docs/FAULTS.md has its figures"]
async fn long_no_verifier_accepts_an_ended_session_for_longer_than_the_bound() {
    if let Some(table) = run(&[1, 10, 100], 5).await {
        println!("{table}");
    }
}
