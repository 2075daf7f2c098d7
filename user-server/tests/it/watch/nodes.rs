//! Many clients that follow many revocations, on one node and on several, while nodes restart and
//! while the database does not answer.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use user_proto::LoggedIn;
use user_proto::client::Client;

use super::{Entry, Follower, LONG, logout, watch};
use crate::postgres::node;
use crate::support::{Proxy, TestServer, postgres};

/// Number of sessions that end. A user may log in 100 times an hour.
const SESSIONS: usize = 64;
/// Number of clients that follow the revocations of one node.
const FOLLOWERS: usize = 16;

async fn sessions(server: &TestServer, client: &Client, username: &str) -> Vec<LoggedIn<'static>> {
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(server.login(client, username).await);
    }
    sessions
}

fn ids(sessions: &[LoggedIn<'_>]) -> HashSet<Vec<u8>> {
    sessions.iter().map(|session| session.session_id.as_bytes().to_vec()).collect()
}

/// Ends the sessions, four at a time.
async fn end_all(clients: Vec<Client>, sessions: Vec<LoggedIn<'static>>) {
    let mut tasks = JoinSet::new();
    let share = sessions.len().div_ceil(clients.len());
    for (client, part) in clients.into_iter().zip(sessions.chunks(share)) {
        let part = part.to_vec();
        tasks.spawn(async move {
            for session in part {
                logout(&client, session.access_token.expose_str().unwrap()).await;
            }
        });
    }
    tasks.join_all().await;
}

/// Follows a node with many clients until each has seen the end of all these sessions. Returns the
/// entries of each client.
fn follow(server: &TestServer, sessions: &HashSet<Vec<u8>>) -> JoinSet<Vec<Entry>> {
    let mut followers = JoinSet::new();
    for _ in 0..FOLLOWERS {
        let (client, sessions) = (server.client(), sessions.clone());
        followers.spawn(async move {
            let mut follower = Follower::start(client).await;
            follower.until_revoked(&sessions).await;
            follower.entries
        });
    }
    followers
}

/// Asserts that all clients of one node have seen the same entries in the same order, each once.
fn expect_same(seen: Vec<Vec<Entry>>) {
    for entries in &seen {
        assert_eq!(entries, &seen[0]);
    }
    let unique: HashSet<&Entry> = seen[0].iter().collect();
    assert_eq!((unique.len(), seen[0].len()), (SESSIONS, SESSIONS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_sees_every_session_end_once_and_in_the_same_order() {
    let server = TestServer::start().await;
    let client = server.client();
    server.account(&client, "ada").await;
    let sessions = sessions(&server, &client, "ada").await;
    let followers = follow(&server, &ids(&sessions));
    tokio::time::sleep(Duration::from_millis(50)).await;
    end_all(server.clients(), sessions).await;
    expect_same(followers.join_all().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_of_two_nodes_see_the_sessions_that_end_on_either() {
    let Some(database) = postgres() else { return };
    let url = database.database();
    let one = node(&url, &[]).await;
    let client = one.client();
    // Before the other node starts, which would write some of the emails to its own folder.
    one.account(&client, "ada").await;
    let other = node(&url, &[]).await;
    let sessions = sessions(&one, &client, "ada").await;
    let all = ids(&sessions);
    let (followers, others) = (follow(&one, &all), follow(&other, &all));
    end_all([one.clients(), other.clients()].concat(), sessions).await;
    expect_same(followers.join_all().await);
    expect_same(others.join_all().await);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_moves_between_nodes_misses_nothing() {
    let Some(database) = postgres() else { return };
    let url = database.database();
    let one = node(&url, &[]).await;
    let client = one.client();
    // Before the other node starts, which would write some of the emails to its own folder.
    one.account(&client, "ada").await;
    let other = node(&url, &[]).await;
    let sessions = sessions(&one, &client, "ada").await;
    let all = ids(&sessions);
    let nodes = [one.client(), other.client()];
    let moving = tokio::spawn(async move {
        let (mut cursor, mut seen, mut polls) = (Vec::new(), HashSet::new(), 0);
        let began = Instant::now();
        while !all.is_subset(&seen) {
            // Some answers in a row come from the same node.
            let reply = watch(&nodes[polls / 3 % 2], &cursor, 50).await;
            seen.extend(reply.entries.iter().map(|row| row.id.to_vec()));
            cursor = reply.cursor.into_owned();
            polls += 1;
            assert!(began.elapsed() < Duration::from_secs(30), "{} entries", seen.len());
        }
    });
    end_all([one.clients(), other.clients()].concat(), sessions).await;
    moving.await.unwrap();
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_before_a_restart_is_answered_with_everything() {
    let server = TestServer::start().await;
    let client = server.client();
    server.account(&client, "ada").await;
    let sessions: Vec<_> = [server.login(&client, "ada").await, server.login(&client, "ada").await]
        .into_iter()
        .collect();
    logout(&client, sessions[0].access_token.expose_str().unwrap()).await;
    let mut follower = Follower::start(server.client()).await;
    let server = TestServer::start_in(server.stop().await, &[]).await;
    follower.client = server.client();
    logout(&server.client(), sessions[1].access_token.expose_str().unwrap()).await;
    let before = follower.entries.len();
    follower.until_revoked(&ids(&sessions)).await;
    assert_eq!((before, follower.entries.len()), (1, 3), "the first entry comes again");
    follower.next(0).await;
    assert_eq!(follower.entries.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_age_is_never_understated_while_the_database_does_not_answer() {
    let Some(database) = postgres() else { return };
    let url = database.database();
    let port: u16 = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    let proxy = Proxy::before(port).await;
    let through = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port));
    let server = node(&through, &[]).await;
    let mut follower = Follower::start(server.client()).await;
    proxy.cut(true);
    let cut = Instant::now();
    let mut last = 0;
    while cut.elapsed() < Duration::from_secs(3) {
        let reply = follower.next(100).await;
        last = reply.stale_ms;
    }
    // The last read may have begun just before the cut, but not after it.
    assert!((2_900..4_500).contains(&last), "{last} ms after 3 s");
    proxy.cut(false);
    let began = Instant::now();
    while follower.next(LONG.min(100)).await.stale_ms > 1000 {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    server.stop().await;
}
