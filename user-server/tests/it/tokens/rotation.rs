//! Key rotation while nodes are in use: no token is rejected during a rotation, and a retired key
//! is rejected in time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use user_proto::client::{Client, Error};
use user_proto::{ErrorCode, Logout, RequestMessage, VerifyToken};
use user_server::domain::{Clock, Store, SystemClock};
use user_server::store::{PostgresOptions, PostgresStore};

use super::keys::{NEW, OLD, kid, node, refresh};
use crate::support::{
    Changes, PASSWORD, check, latency_header, latency_row, login, long_deadline, postgres,
};

/// Clients of two nodes. Each node may be replaced by a successor at any time.
struct NodePair {
    clients: [Mutex<Client>; 2],
    replies: AtomicUsize,
    finished: AtomicBool,
}

impl NodePair {
    /// Sends a request until a node replies that is not shutting down. Panics on any other error.
    async fn call<M: RequestMessage + Clone>(&self, node_index: usize, request: M) -> M::Reply {
        loop {
            let client = self.clients[node_index % 2].lock().unwrap().clone();
            match client.call_with(request.clone(), long_deadline()).await {
                Ok(reply) => {
                    self.replies.fetch_add(1, Ordering::Relaxed);
                    return reply;
                }
                Err(Error::Refused(refusal)) if refusal.code == ErrorCode::SHUTTING_DOWN => {}
                Err(Error::Lost { .. } | Error::Connect(_)) => {}
                Err(error) => panic!("{} on node {}: {error}", M::NAME, node_index % 2),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Uses a session until the rotation has finished. Each of its tokens must be valid on both
    /// nodes at any time. Returns its last refresh token.
    async fn use_session(self: Arc<Self>, mut node_index: usize) -> String {
        let name = format!("ada{node_index}");
        let session = self.call(node_index, login(&name, PASSWORD)).await;
        let mut current = session.refresh_token.expose_str().unwrap().to_owned();
        let mut tokens = vec![session.access_token];
        loop {
            // One more round, in which every node signs with the new key.
            let last = self.finished.load(Ordering::Relaxed);
            for back in [1, 2, tokens.len() / 2 + 1, tokens.len()] {
                let access_token = tokens[tokens.len().saturating_sub(back)].clone();
                self.call(node_index + back, VerifyToken { access_token }).await;
            }
            // A new session, before the budget of the last one is used up.
            let (access, next) = if tokens.len().is_multiple_of(50) {
                let session = self.call(node_index, login(&name, PASSWORD)).await;
                (session.access_token, session.refresh_token)
            } else {
                let session = self.call(node_index, refresh(&current)).await;
                (session.access_token, session.refresh_token)
            };
            current = next.expose_str().unwrap().to_owned();
            tokens.push(access);
            if tokens.len().is_multiple_of(32) {
                let other = self.call(node_index + 1, login(&name, PASSWORD)).await.access_token;
                self.call(node_index, VerifyToken { access_token: other.clone() }).await;
                self.call(node_index + 1, Logout { token: other, all_sessions: None }).await;
            }
            node_index += 1;
            if last {
                return current;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_rotation_under_load_rejects_no_token() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    // An email is written to the folder of the node that sends it, so the accounts are created
    // while there is one node.
    let first = node(&url, OLD, "").await;
    for number in 0..8 {
        first.account(&first.client(), &format!("ada{number}")).await;
    }
    let mut nodes = [first, node(&url, OLD, "").await];
    let clients = [Mutex::new(nodes[0].client()), Mutex::new(nodes[1].client())];
    let nodes_in_use = Arc::new(NodePair {
        clients,
        replies: AtomicUsize::default(),
        finished: AtomicBool::default(),
    });
    let users: Vec<_> =
        (0..8).map(|number| tokio::spawn(nodes_in_use.clone().use_session(number))).collect();
    let wait_for_replies = async |more: usize| {
        let (began, before) = (Instant::now(), nodes_in_use.replies.load(Ordering::Relaxed));
        while nodes_in_use.replies.load(Ordering::Relaxed) < before + more {
            assert!(
                began.elapsed() < Duration::from_secs(60)
                    && !users.iter().any(|one| one.is_finished()),
                "no replies"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    wait_for_replies(200).await;
    for (signs, accepts) in [(OLD, NEW), (NEW, OLD)] {
        for (node_index, one) in nodes.iter_mut().enumerate() {
            let next = node(&url, signs, accepts).await;
            *nodes_in_use.clients[node_index].lock().unwrap() = next.client();
            std::mem::replace(one, next).stop().await;
            wait_for_replies(200).await;
        }
    }
    nodes_in_use.finished.store(true, Ordering::Relaxed);
    let mut last = Vec::new();
    for one in users {
        last.push(one.await.unwrap());
    }
    eprintln!(
        "{} replies during a rotation, none a refusal",
        nodes_in_use.replies.load(Ordering::Relaxed)
    );
    // Every session has moved to the new key, so the old one is no longer needed.
    assert!(last.iter().all(|token| token.contains(&kid(NEW))), "a session still uses the old key");
    for one in nodes {
        one.stop().await;
    }
    let alone = node(&url, NEW, "").await;
    let client = alone.client();
    for token in &last {
        client.call(refresh(token)).await.unwrap();
    }
    alone.stop().await;
}

/// Retires `rounds` keys one by one. Returns a table of how long each was still accepted on each of
/// two nodes, from the moment that it was retired.
async fn measure(rounds: usize) -> Option<String> {
    let url = postgres()?.database();
    let secrets: Vec<String> =
        (0..=rounds).map(|number| format!("a secret that gets lost: number {number:06}")).collect();
    let accepts = secrets[1..].join(",");
    let one = node(&url, &secrets[0], &accepts).await;
    let here = one.client();
    // Enough accounts for the sessions that one may open in an hour.
    for number in 0..=rounds / 90 {
        one.account(&here, &format!("ada{number}")).await;
    }
    let other = node(&url, &secrets[0], &accepts).await;
    let store = PostgresStore::open(&PostgresOptions::parse(&url, 2, false).unwrap());
    let store: Arc<dyn Store> = Arc::new(store);
    let (there, mut delays) = (other.client(), Vec::new());
    for (round, secret) in secrets[..rounds].iter().enumerate() {
        let name = format!("ada{}", round / 90);
        let token = one.login(&here, &name).await.access_token.expose_str().unwrap().to_owned();
        for client in [&here, &there] {
            assert_eq!(check(client, &token).await, None);
        }
        assert!(store.retire_key_at(&kid(secret), SystemClock.now()).await.unwrap());
        let retired = Instant::now();
        let end = async |client: &Client| {
            while check(client, &token).await != Some(ErrorCode::INVALID_TOKEN) {
                assert!(retired.elapsed() < Duration::from_secs(30), "a node never rejects it");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            retired.elapsed()
        };
        let (at_one, at_other) = tokio::join!(end(&here), end(&there));
        delays.extend([at_one, at_other]);
    }
    one.stop().await;
    other.stop().await;
    Some(latency_header("keys retired, on two nodes") + &latency_row(&rounds.to_string(), &delays))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_key_is_rejected_in_time_on_two_nodes() {
    if let Some(table) = measure(8).await {
        eprintln!("{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; docs/FAULTS.md has the command"]
async fn long_a_retired_key_is_rejected_in_time_on_two_nodes() {
    println!("{}", measure(250).await.unwrap());
}
