//! Attacks by untrusted peers, as they were measured against earlier versions: each runs for a few
//! seconds against a live server, and must cost neither memory nor correct answers.

mod load;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use user_proto::{
    Common, ErrorCode, GetKeys, GetUser, Logout, Reply, Request, ResendCode, VerifyEmail,
    VerifyToken,
};
use uuid::Uuid;

use crate::postgres::node;
use crate::support::{
    PASSWORD, Process, TestServer, Wire, check, login, outcome, postgres, request_frame,
};

/// The address that attacks come from, with any port.
const ATTACKER: ([u8; 4], u16) = ([127, 0, 0, 9], 0);
/// The gateway, which is trusted.
const GATEWAY: &str = "127.0.0.1";
/// The memory that an attack may cost, in KiB.
const MAX_GROWTH_KIB: u64 = 128 * 1024;
/// The memory that may remain some time after it, in KiB.
const MAX_REST_KIB: u64 = 32 * 1024;

/// Resident memory of a process, in KiB.
fn resident_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// 255 requests as one connection sends them.
fn batch<'a>(request: impl Fn(u32) -> Request<'a>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for id in 1..256 {
        bytes.extend_from_slice(&request_frame_of(id, request(id)));
    }
    bytes
}

fn request_frame_of(id: u32, request: Request<'_>) -> Vec<u8> {
    let mut frame = bytes::BytesMut::new();
    request.encode(id, &Common::default(), &mut frame).unwrap();
    frame.to_vec()
}

/// Sends a batch, closes and repeats, until it is told to stop.
async fn hit_and_run(address: SocketAddr, bytes: Arc<Vec<u8>>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(ATTACKER.into()).unwrap();
        let Ok(mut stream) = socket.connect(address).await else { continue };
        let _ = tokio::time::timeout(Duration::from_secs(2), stream.write_all(&bytes)).await;
    }
}

/// Runs an attack over this many connections at once and returns the most memory that the process
/// used during it, in KiB.
async fn attack(process: &Process, connections: usize, bytes: Vec<u8>, span: Duration) -> u64 {
    let (bytes, stop) = (Arc::new(bytes), Arc::new(AtomicBool::new(false)));
    let mut attackers = JoinSet::new();
    for _ in 0..connections {
        attackers.spawn(hit_and_run(process.address, bytes.clone(), stop.clone()));
    }
    let (began, mut most) = (Instant::now(), 0);
    while began.elapsed() < span {
        most = most.max(resident_kib(process));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    attackers.shutdown().await;
    most
}

/// An attack costs at most the allowed memory, which is free again ten seconds later.
async fn is_bounded(connections: usize, bytes: Vec<u8>) {
    let process = Process::start(&[("TRUSTED_PEERS", GATEWAY)]);
    let client = process.client();
    process.account(&client, "ada").await;
    let idle = resident_kib(&process);
    let most = attack(&process, connections, bytes, Duration::from_secs(4)).await;
    assert!(most <= idle + MAX_GROWTH_KIB, "{idle} KiB grew to {most} KiB");
    let (began, mut rest) = (Instant::now(), u64::MAX);
    while rest > idle + MAX_REST_KIB {
        assert!(began.elapsed() < Duration::from_secs(30), "{rest} KiB remain of {idle} KiB");
        tokio::time::sleep(Duration::from_millis(100)).await;
        rest = resident_kib(&process);
    }
    outcome(client.call(login("ada", PASSWORD)).await).unwrap();
}

fn guesses(size: usize) -> Vec<u8> {
    let code = "7".repeat(size);
    let guess = |_| {
        let (verification_id, code) = (Uuid::new_v4(), code.as_str().into());
        Request::VerifyEmail(VerifyEmail::new(verification_id, code))
    };
    batch(guess)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_connections_with_large_codes_cost_little_memory() {
    is_bounded(2, guesses(60_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_with_large_codes_cost_little_memory() {
    is_bounded(250, guesses(60_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_with_small_requests_cost_little_memory() {
    is_bounded(250, guesses(6)).await;
}

/// Sends requests with garbage tokens from this address, and returns the number of replies in about
/// two seconds.
async fn refusals_in_two_seconds(server: &TestServer, ip: [u8; 4], connections: u32) -> usize {
    let bytes = batch(|number| match number % 2 {
        0 => VerifyToken { access_token: "garbage".into() }.into(),
        _ => GetUser { access_token: "garbage".into() }.into(),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((ip, 0).into()).unwrap();
        let (address, bytes) = (server.address, bytes.clone());
        tasks.spawn(async move {
            let mut stream = socket.connect(address).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            let (mut buffer, mut found) = (vec![0; 64 * 1024], Vec::new());
            let read = async {
                loop {
                    match stream.read(&mut buffer).await.unwrap() {
                        0 => return,
                        count => found.extend_from_slice(&buffer[..count]),
                    }
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
            let (mut rest, mut count) = (found.as_slice(), 0);
            while let Ok(Some((_, size))) = user_proto::frame::split(rest) {
                (rest, count) = (&rest[size..], count + 1);
            }
            count
        });
    }
    tasks.join_all().await.into_iter().sum()
}

/// Sends requests that are refused, each over a new connection of a peer with this address. Returns
/// the number of refusals in two seconds.
async fn refusals_over_new_connections(server: &TestServer, ip: [u8; 4]) -> usize {
    let end = Instant::now() + Duration::from_secs(2);
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let address = server.address;
        tasks.spawn(async move {
            let mut refusals = 0;
            while Instant::now() < end {
                let mut wire = Wire::connect_from(ip, address).await;
                wire.send(&request_frame(1, GetKeys {}, &Common::default())).await;
                match tokio::time::timeout_at(end.into(), wire.reply()).await {
                    Ok((_, reply)) => {
                        assert!(matches!(reply, Reply::ErrorReply(_)), "{reply:?}");
                        refusals += 1;
                    }
                    Err(_) => break,
                }
            }
            refusals
        });
    }
    tasks.join_all().await.into_iter().sum()
}

/// An untrusted peer is refused 256 times a second, over any number of connections. Its further
/// requests wait; those of others do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_refused_too_often_is_read_more_slowly() {
    let server = TestServer::start_with(&[("TRUSTED_PEERS", GATEWAY)]).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let (attacked, others) = tokio::join!(
        refusals_in_two_seconds(&server, ATTACKER.0, 16),
        refusals_in_two_seconds(&server, [127, 0, 0, 10], 1),
    );
    // Three seconds begin within two, and connections that are answered at once overshoot.
    let bound = 256..=3 * 256 + 16;
    assert!(bound.contains(&attacked), "{attacked} refusals");
    let reconnecting = refusals_over_new_connections(&server, [127, 0, 0, 11]).await;
    assert!(bound.contains(&reconnecting), "{reconnecting} refusals, each on a new connection");
    assert_eq!(others, 255, "another peer is not slowed down");
    assert_eq!(refusals_in_two_seconds(&server, [127, 0, 0, 1], 4).await, 4 * 255, "a gateway");
    assert_eq!(check(&client, &ada.access()).await, None);
    server.stop().await;
}

/// A connection that is refused all the time leaves room for others of its network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_refused_leaves_room_for_others_of_its_network() {
    let server = TestServer::start_with(&[("TRUSTED_PEERS", GATEWAY)]).await;
    let (ip, address) = ([127, 0, 0, 12], server.address);
    let garbage = |id| request_frame_of(id, VerifyToken { access_token: "garbage".into() }.into());
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((ip, 0).into()).unwrap();
    let (mut replies, mut requests) = socket.connect(address).await.unwrap().into_split();
    let flood = tokio::spawn(async move {
        for id in 1.. {
            requests.write_all(&garbage(id)).await.unwrap();
        }
    });
    let reader = tokio::spawn(async move {
        tokio::io::copy(&mut replies, &mut tokio::io::sink()).await.unwrap();
    });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut other = Wire::connect_from(ip, address).await;
    for id in 1..=20 {
        other.send(&garbage(id)).await;
        let (replied, reply) =
            tokio::time::timeout(Duration::from_secs(3), other.reply()).await.unwrap();
        assert!(replied == id && matches!(reply, Reply::ErrorReply(_)), "{replied} {reply:?}");
    }
    flood.abort();
    reader.abort();
    server.stop().await;
}

/// A revocation is seen within a second while untrusted peers flood the node, and token checks go
/// on being answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_resends_does_not_delay_revocations() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let untrusted = [("TRUSTED_PEERS", GATEWAY), ("DATABASE_POOL", "2")];
    let other = node(&url, &[]).await;
    let there = other.client();
    other.account(&there, "ada").await;
    let one = node(&url, &untrusted).await;
    let (here, address) = (one.client(), one.address);
    let stop = Arc::new(AtomicBool::new(false));
    let bytes = batch(|_| ResendCode { verification_id: Uuid::new_v4() }.into());
    let bytes = Arc::new(bytes);
    let mut attackers = JoinSet::new();
    for _ in 0..100 {
        attackers.spawn(hit_and_run(address, bytes.clone(), stop.clone()));
    }
    for _ in 0..5 {
        let session = there.call(login("ada", PASSWORD)).await.unwrap();
        let token = session.access_token.expose_str().unwrap().to_owned();
        assert_eq!(check(&here, &token).await, None);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let logout = Logout { token: token.as_str().into(), all_sessions: None };
        there.call(logout).await.unwrap();
        let began = Instant::now();
        loop {
            match check(&here, &token).await {
                Some(ErrorCode::SESSION_REVOKED) => break,
                None => {}
                Some(other) => panic!("a token check was answered {other:?}"),
            }
            assert!(began.elapsed() < Duration::from_secs(1), "the revocation is not seen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    attackers.shutdown().await;
    one.stop().await;
    other.stop().await;
}

/// Connections to the health checks that send nothing do not hold up one that does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_do_not_block_the_health_checks() {
    let server = TestServer::start_with(&[("METRICS_ADDR", "127.0.0.1:0")]).await;
    let address = server.service.monitor_address().unwrap();
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(began.elapsed() < Duration::from_millis(900), "{path}: {:?}", began.elapsed());
    }
    drop(silent);
    server.stop().await;
}
