//! The client of several nodes: nodes that are slow, unreachable, draining or failing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use user_proto::client::{Error, Pool, PoolConfig};
use user_proto::{Common, ErrorCode, Pong, Request};

use super::fake::{Fake, Peer, login, quick, unused_addr, verified, verify};

const SLOW_AFTER: Duration = Duration::from_millis(100);
/// Behaviour of a node that answers correctly. Any other number is an error code.
const SERVE: u16 = 0;
/// Behaviour of a node that answers nothing.
const SILENT: u16 = 1;
/// Behaviour of a node that closes the connection in place of a reply.
const CLOSE: u16 = 2;

/// A node with a behaviour that can be changed.
struct ScriptedNode {
    addr: String,
    behaviour: Arc<AtomicU16>,
    /// Number of requests other than pings.
    requests: Arc<AtomicUsize>,
}

impl ScriptedNode {
    async fn start(behaviour: u16) -> Self {
        let fake = Fake::start().await;
        let addr = fake.addr();
        let behaviour = Arc::new(AtomicU16::new(behaviour));
        let requests = Arc::new(AtomicUsize::new(0));
        let state = (Arc::clone(&behaviour), Arc::clone(&requests));
        tokio::spawn(async move {
            let listener = fake.listener();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Peer::new(stream), state.0.clone(), state.1.clone()));
            }
        });
        Self { addr, behaviour, requests }
    }

    fn set(&self, behaviour: u16) {
        self.behaviour.store(behaviour, Ordering::SeqCst);
    }

    fn take_requests(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }
}

async fn serve(mut peer: Peer, behaviour: Arc<AtomicU16>, requests: Arc<AtomicUsize>) {
    while let Some((id, request)) = peer.wait().await {
        let behaviour = behaviour.load(Ordering::SeqCst);
        if let Request::Ping(_) = request {
            if behaviour != SILENT {
                peer.reply(id, Pong { max_in_flight: None, idle_timeout: None, max_hashing: None })
                    .await;
            }
            continue;
        }
        requests.fetch_add(1, Ordering::SeqCst);
        match (behaviour, request) {
            (SERVE, Request::VerifyToken(token)) => {
                let number = token.access_token.expose_str().unwrap().parse().unwrap();
                peer.reply(id, verified(number)).await;
            }
            (SERVE, _) => peer.refuse(id, ErrorCode::INVALID_CREDENTIALS).await,
            (SILENT, _) => {}
            (CLOSE, _) => return,
            (code, _) => peer.refuse(id, ErrorCode(code)).await,
        }
    }
}

/// Starts a pool, and waits until it is connected to the nodes that listen.
async fn pool(addrs: &[&str], connected: usize) -> Pool {
    let addrs: Vec<String> = addrs.iter().map(|addr| (*addr).to_owned()).collect();
    let config = PoolConfig { client: quick(), slow_after: SLOW_AFTER, ..PoolConfig::default() };
    let pool = Pool::start(&addrs, config);
    until(|| pool.status().iter().filter(|node| node.connected).count() == connected).await;
    pool
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition was not met within 10 s");
}

#[tokio::test]
async fn equal_nodes_take_turns() {
    let nodes = [ScriptedNode::start(SERVE).await, ScriptedNode::start(SERVE).await];
    let pool = pool(&[&nodes[0].addr, &nodes[1].addr], 2).await;
    for number in 0..20 {
        assert_eq!(pool.call(verify(number)).await.unwrap(), verified(number));
    }
    assert_eq!(nodes.map(|node| node.take_requests()), [10, 10]);
}

#[tokio::test]
async fn no_request_waits_for_a_slow_node_while_another_is_healthy() {
    let nodes = [ScriptedNode::start(SERVE).await, ScriptedNode::start(SERVE).await];
    let pool = pool(&[&nodes[0].addr, &nodes[1].addr], 2).await;
    nodes[0].set(SILENT);
    for number in 0..2 {
        let began = Instant::now();
        assert_eq!(pool.call(verify(number)).await.unwrap(), verified(number));
        assert!(began.elapsed() < 10 * SLOW_AFTER, "{:?}", began.elapsed());
    }
    let sent_to_slow = nodes[0].take_requests();
    assert!(sent_to_slow <= 1, "{sent_to_slow}");
    assert!(pool.status()[0].slow);
    for number in 0..100 {
        assert_eq!(pool.call(verify(number)).await.unwrap(), verified(number));
    }
    assert_eq!(nodes[0].take_requests(), 0, "the slow node is avoided");
}

#[tokio::test]
async fn a_slow_node_is_used_again_once_it_answers_a_ping_in_time() {
    let nodes = [ScriptedNode::start(SILENT).await, ScriptedNode::start(SERVE).await];
    let pool = pool(&[&nodes[0].addr, &nodes[1].addr], 2).await;
    until(|| pool.status()[0].slow).await;
    nodes[0].set(SERVE);
    until(|| !pool.status()[0].slow).await;
    for number in 0..4 {
        pool.call(verify(number)).await.unwrap();
    }
    assert_eq!(nodes[0].take_requests(), 2);
}

#[tokio::test]
async fn if_all_nodes_are_slow_nothing_is_sent_twice() {
    let nodes = [ScriptedNode::start(SILENT).await, ScriptedNode::start(SILENT).await];
    let pool = pool(&[&nodes[0].addr, &nodes[1].addr], 2).await;
    until(|| pool.status().iter().all(|node| node.slow)).await;
    let common = Common { deadline_ms: Some(500), ..Common::default() };
    let error = pool.call_with(verify(1), common).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { sent: true }), "{error}");
    assert_eq!(nodes.iter().map(ScriptedNode::take_requests).sum::<usize>(), 1);
}

#[tokio::test]
async fn an_unreachable_node_delays_nothing() {
    let (node, unused) = (ScriptedNode::start(SERVE).await, unused_addr().await.to_string());
    let pool = pool(&[&unused, &node.addr], 1).await;
    for number in 0..10 {
        let began = Instant::now();
        assert_eq!(pool.call(verify(number)).await.unwrap(), verified(number));
        assert!(began.elapsed() < SLOW_AFTER, "{:?}", began.elapsed());
    }
    assert!(matches!(pool.call(login()).await, Err(Error::Refused(_))));
}

#[tokio::test]
async fn without_a_reachable_node_a_call_fails_at_once() {
    let unused = [unused_addr().await.to_string(), unused_addr().await.to_string()];
    let pool = pool(&[&unused[0], &unused[1]], 0).await;
    for _ in 0..5 {
        let began = Instant::now();
        let error = pool.call(verify(1)).await.unwrap_err();
        assert!(matches!(error, Error::Connect(_)), "{error}");
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_request_moves_to_another_node_only_if_it_cannot_be_executed_twice() {
    let nodes = [ScriptedNode::start(SERVE).await, ScriptedNode::start(SERVE).await];
    let pool = pool(&[&nodes[0].addr, &nodes[1].addr], 2).await;
    let refused = |result: Result<_, Error>| match result {
        Err(Error::Refused(reply)) => reply.code,
        Err(error) => panic!("{error}"),
        Ok::<_, _>(()) => panic!("logged in"),
    };
    for code in [ErrorCode::SHUTTING_DOWN, ErrorCode::BUSY] {
        nodes[0].set(code.0);
        for _ in 0..4 {
            until(|| pool.status()[0].connected).await;
            pool.call(verify(1)).await.unwrap();
            for _ in 0..2 {
                let code = refused(pool.call(login()).await.map(drop));
                assert_eq!(code, ErrorCode::INVALID_CREDENTIALS, "the other node has answered");
            }
        }
    }
    let unknown = ErrorCode(0x0677);
    for code in [ErrorCode::UNAVAILABLE, ErrorCode::INTERNAL, unknown] {
        until(|| pool.status()[0].connected).await;
        nodes[0].set(code.0);
        let mut codes = Vec::new();
        for _ in 0..4 {
            pool.call(verify(1)).await.unwrap();
            for _ in 0..2 {
                codes.push(refused(pool.call(login()).await.map(drop)));
            }
        }
        assert!(codes.contains(&code), "{code}: the login was repeated: {codes:?}");
    }
    nodes[0].set(CLOSE);
    let mut lost = 0;
    for _ in 0..3 {
        pool.call(verify(1)).await.unwrap();
        for _ in 0..2 {
            until(|| pool.status()[0].connected).await;
            lost += usize::from(matches!(pool.call(login()).await, Err(Error::Lost { .. })));
        }
    }
    assert!(lost > 0, "a login on a lost connection was repeated");
}

#[tokio::test]
async fn a_refusal_is_final() {
    let nodes = [ScriptedNode::start(SERVE).await, ScriptedNode::start(SERVE).await];
    let pool = pool(&[&nodes[0].addr, &nodes[1].addr], 2).await;
    for node in &nodes {
        node.set(ErrorCode::TOKEN_EXPIRED.0);
    }
    let error = pool.call(verify(1)).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TOKEN_EXPIRED));
    assert_eq!(nodes.iter().map(ScriptedNode::take_requests).sum::<usize>(), 1);
}

#[tokio::test]
async fn closing_a_pool_closes_every_connection() {
    let nodes = [ScriptedNode::start(SERVE).await, ScriptedNode::start(SERVE).await];
    let pool = pool(&[&nodes[0].addr, &nodes[1].addr], 2).await;
    pool.close().await;
    assert!(pool.status().iter().all(|node| !node.connected));
    assert!(matches!(pool.call(verify(1)).await, Err(Error::Closed)));
}
