//! Keys that come and go while nodes are in use: no token is refused in a roll, and a key that was
//! lost ends in time.

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

/// Two places with a node in each, which a successor may take at any time.
struct Places {
    clients: [Mutex<Client>; 2],
    answers: AtomicUsize,
    ended: AtomicBool,
}

impl Places {
    /// Asks a node until one answers that does not go down. Any refusal is the test's end.
    async fn ask<M: RequestMessage + Clone>(&self, place: usize, request: M) -> M::Reply {
        loop {
            let client = self.clients[place % 2].lock().unwrap().clone();
            match client.call_with(request.clone(), long_deadline()).await {
                Ok(reply) => {
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    return reply;
                }
                Err(Error::Refused(refusal)) if refusal.code == ErrorCode::SHUTTING_DOWN => {}
                Err(Error::Lost { .. } | Error::Connect(_)) => {}
                Err(error) => panic!("{} at place {}: {error}", M::NAME, place % 2),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Uses a session until the end: each of its tokens is good on either node, at any time. Its
    /// last refresh token.
    async fn live(self: Arc<Self>, mut place: usize) -> String {
        let session = self.ask(place, login("ada", PASSWORD)).await;
        let mut current = session.refresh_token.expose_str().unwrap().to_owned();
        let mut tokens = vec![session.access_token];
        loop {
            // One round more, in which every node signs with the new key.
            let last = self.ended.load(Ordering::Relaxed);
            for back in [1, 2, tokens.len() / 2 + 1, tokens.len()] {
                let access_token = tokens[tokens.len().saturating_sub(back)].clone();
                self.ask(place + back, VerifyToken { access_token }).await;
            }
            let next = self.ask(place, refresh(&current)).await;
            current = next.refresh_token.expose_str().unwrap().to_owned();
            tokens.push(next.access_token);
            if tokens.len().is_multiple_of(32) {
                let other = self.ask(place + 1, login("ada", PASSWORD)).await.access_token;
                self.ask(place, VerifyToken { access_token: other.clone() }).await;
                self.ask(place + 1, Logout { token: other, all_sessions: None }).await;
            }
            place += 1;
            if last {
                return current;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_under_load_refuses_no_token() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    // A mail goes to the folder of the node that sends it, so the account is made while there is
    // one.
    let first = node(&url, OLD, "").await;
    first.account(&first.client(), "ada").await;
    let mut nodes = [first, node(&url, OLD, "").await];
    let clients = [Mutex::new(nodes[0].client()), Mutex::new(nodes[1].client())];
    let places =
        Arc::new(Places { clients, answers: AtomicUsize::default(), ended: AtomicBool::default() });
    let crowd: Vec<_> = (0..8).map(|number| tokio::spawn(places.clone().live(number))).collect();
    let busy = async |more: usize| {
        let (began, before) = (Instant::now(), places.answers.load(Ordering::Relaxed));
        while places.answers.load(Ordering::Relaxed) < before + more {
            assert!(
                began.elapsed() < Duration::from_secs(60)
                    && !crowd.iter().any(|one| one.is_finished()),
                "no answers"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    busy(200).await;
    for (signs, accepts) in [(OLD, NEW), (NEW, OLD)] {
        for (place, one) in nodes.iter_mut().enumerate() {
            let next = node(&url, signs, accepts).await;
            *places.clients[place].lock().unwrap() = next.client();
            std::mem::replace(one, next).stop().await;
            busy(200).await;
        }
    }
    places.ended.store(true, Ordering::Relaxed);
    let mut last = Vec::new();
    for one in crowd {
        last.push(one.await.unwrap());
    }
    eprintln!("{} answers in a roll, none a refusal", places.answers.load(Ordering::Relaxed));
    // Every session has moved, so the old key is needed no more.
    assert!(
        last.iter().all(|token| token.contains(&kid(NEW))),
        "a session has stayed with the old key"
    );
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

/// Retires so many keys one by one; how long each was good on each of two nodes, from the moment
/// that it was retired.
async fn measure(rounds: usize) -> Option<String> {
    let url = postgres()?.database();
    let secrets: Vec<String> =
        (0..=rounds).map(|number| format!("a secret that gets lost: number {number:06}")).collect();
    let accepts = secrets[1..].join(",");
    let one = node(&url, &secrets[0], &accepts).await;
    let here = one.client();
    one.account(&here, "ada").await;
    let other = node(&url, &secrets[0], &accepts).await;
    let store = PostgresStore::open(&PostgresOptions::parse(&url, 2, false).unwrap());
    let store: Arc<dyn Store> = Arc::new(store);
    let (there, mut lived) = (other.client(), Vec::new());
    for secret in &secrets[..rounds] {
        let token = one.login(&here, "ada").await.access_token.expose_str().unwrap().to_owned();
        for client in [&here, &there] {
            assert_eq!(check(client, &token).await, None);
        }
        assert!(store.retire_key_at(&kid(secret), SystemClock.now()).await.unwrap());
        let retired = Instant::now();
        let end = async |client: &Client| {
            while check(client, &token).await != Some(ErrorCode::INVALID_TOKEN) {
                assert!(retired.elapsed() < Duration::from_secs(30), "a node never learns");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            retired.elapsed()
        };
        let (at_one, at_other) = tokio::join!(end(&here), end(&there));
        lived.extend([at_one, at_other]);
    }
    one.stop().await;
    other.stop().await;
    Some(latency_header("keys retired, on two nodes") + &latency_row(&rounds.to_string(), &lived))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_key_ends_in_time_on_two_nodes() {
    if let Some(table) = measure(8).await {
        eprintln!("{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; docs/FAULTS.md has the command"]
async fn long_a_retired_key_ends_in_time_on_two_nodes() {
    println!("{}", measure(250).await.unwrap());
}
