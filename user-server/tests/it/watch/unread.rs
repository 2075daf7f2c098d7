//! Clients that send requests and read no reply: the replies that wait for them cost little memory,
//! and others are answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use user_proto::{Common, GetKeys, ListSessions, Login, Ping, Request, WatchRevocations};

use crate::support::{PASSWORD, Process, Wire, login, request_frame};

/// Number of revocations that the server knows: those of five pages.
const REVOCATIONS: usize = 10_000;
const GATEWAY: &str = "127.0.0.1";
const STRANGER: &str = "127.0.0.9";
const SPAN: Duration = Duration::from_secs(4);

/// Starts a server that knows many revocations.
async fn server_with_revocations() -> Process {
    let server = Process::start(&[]);
    let path = server.data().join("users.db");
    let folder = server.kill().await;
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let insert = sqlx::query(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
         INSERT INTO revocations (subject, at, kind)
         SELECT randomblob(16), CAST(unixepoch('subsec') * 1000 AS INTEGER), 1 FROM numbers",
    );
    insert.bind(i64::try_from(REVOCATIONS).unwrap()).execute(&database).await.unwrap();
    database.close().await;
    Process::start_in(folder, &[("TOKEN_SIGNING", "EdDSA"), ("TRUSTED_PEERS", GATEWAY)])
}

/// Sends these requests again and again over this many connections of `peer`, which read nothing.
/// Returns the growth of the server's memory in KiB, and the longest time to the reply to a ping
/// meanwhile.
async fn flood(server: &Process, peer: &str, connections: usize, bytes: &[u8]) -> (u64, Duration) {
    let idle = server.memory().resident_kib;
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        let (address, bytes) = (server.address, bytes.to_vec());
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(peer.parse().unwrap(), 0)).unwrap();
        senders.spawn(async move {
            let mut stream = socket.connect(address).await.unwrap();
            while stream.write_all(&bytes).await.is_ok() {}
        });
    }
    let client = server.client();
    let (began, mut most, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while began.elapsed() < SPAN {
        let sent = Instant::now();
        client.call(Ping {}).await.unwrap();
        slowest = slowest.max(sent.elapsed());
        most = most.max(server.memory().resident_kib);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    senders.shutdown().await;
    (most.saturating_sub(idle), slowest)
}

fn batch(request: &Request<'_>) -> Vec<u8> {
    let frame = |id| {
        let mut frame = bytes::BytesMut::new();
        request.encode(id, &Common::default(), &mut frame).unwrap();
        frame.to_vec()
    };
    (1..=1000).flat_map(frame).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_nobody_reads_cost_little_memory() {
    let server = server_with_revocations().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    for number in 0..40 {
        let device = format!("{number:0>64}");
        let login = Login { device: Some(device.as_str().into()), ..login("ada", PASSWORD) };
        client.call(login).await.unwrap();
    }
    let access_token = ada.access();
    let watch = WatchRevocations { cursor: b"".as_slice().into(), wait_ms: 0 };
    let list = ListSessions { access_token: access_token.as_str().into() };
    for (name, peer, connections, request, max_mib) in [
        ("WatchRevocations", GATEWAY, 16, Request::from(watch.clone()), 32),
        ("WatchRevocations of many connections", GATEWAY, 64, watch.into(), 64),
        ("GetKeys", GATEWAY, 16, GetKeys {}.into(), 32),
        ("ListSessions", STRANGER, 200, list.into(), 128),
    ] {
        let (growth, slowest) = flood(&server, peer, connections, &batch(&request)).await;
        eprintln!("{name}: {growth} KiB, ping {slowest:?}");
        assert!(growth <= max_mib * 1024, "{name}: the memory grew by {growth} KiB");
        assert!(slowest < Duration::from_secs(10), "{name}: a ping took {slowest:?}");
    }
    server.kill().await;
}

/// A client that sends many requests before it reads the first reply gets every reply.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_are_read_late_are_all_there() {
    let server = server_with_revocations().await;
    let mut wire = Wire::connect(server.address).await;
    const COUNT: u32 = 200;
    for id in 1..=COUNT {
        let request = WatchRevocations { cursor: b"".as_slice().into(), wait_ms: 0 };
        wire.send(&request_frame(id, request, &Common::default())).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for expected in 1..=COUNT {
        let (id, _) = wire.reply().await;
        assert_eq!(id, expected);
    }
    wire.ping(COUNT + 1).await;
    server.kill().await;
}
