//! Clients that verify tokens themselves: the keys, and the revocations that a node pushes to them.

mod connections;
mod cost;
mod nodes;
mod trust;
mod unread;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use user_proto::client::Client;
use user_proto::{
    Common, DeleteUser, ErrorCode, GetKeys, Logout, Reply, Revocations, VerifyToken,
    WatchRevocations,
};
use user_server::domain::{Clock, Store, SystemClock, Timestamp};
use user_server::store::SqliteStore;

use crate::support::{Account, Changes, PASSWORD, TEST_TIMEOUT, TestServer, Wire, request_frame};

/// Kind and id of an entry.
pub type Entry = (u8, Vec<u8>);

/// Longest wait, which a test does not expect to end.
pub const LONG: u32 = 5_000;

/// A client that follows the revocations of a node.
pub struct Follower {
    pub client: Client,
    pub cursor: Vec<u8>,
    /// Entries so far, in their order.
    pub entries: Vec<Entry>,
}

impl Follower {
    /// Reads all revocations that the node knows.
    pub async fn start(client: Client) -> Self {
        let mut follower = Self { client, cursor: Vec::new(), entries: Vec::new() };
        while follower.next(0).await.more == 1 {}
        follower
    }

    /// Waits up to `wait_ms` for more entries.
    pub async fn next(&mut self, wait_ms: u32) -> Revocations<'static> {
        let reply = watch(&self.client, &self.cursor, wait_ms).await;
        self.cursor = reply.cursor.to_vec();
        self.entries.extend(entries(&reply));
        reply
    }

    /// Waits until there are entries for all of these sessions.
    pub async fn until_revoked(&mut self, sessions: &HashSet<Vec<u8>>) {
        let began = Instant::now();
        while !sessions.iter().all(|id| self.entries.contains(&(1, id.clone()))) {
            assert!(began.elapsed() < TEST_TIMEOUT, "{} entries", self.entries.len());
            self.next(LONG).await;
        }
    }
}

pub fn entries(reply: &Revocations<'_>) -> Vec<Entry> {
    reply.entries.iter().map(|row| (row.kind, row.id.to_vec())).collect()
}

pub async fn watch(client: &Client, cursor: &[u8], wait_ms: u32) -> Revocations<'static> {
    client.call(WatchRevocations { cursor: cursor.into(), wait_ms }).await.unwrap()
}

pub async fn logout(client: &Client, access_token: &str) {
    client.call(Logout { token: access_token.into(), all_sessions: None }).await.unwrap();
}

pub fn session_entry(account: &Account) -> Entry {
    (1, account.session.session_id.as_bytes().to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_pushed_to_a_waiting_client() {
    let server = TestServer::start().await;
    let client = server.client();
    let account = server.account(&client, "ada").await;
    let mut follower = Follower::start(server.client()).await;
    assert_eq!(follower.entries, []);
    let waiting = tokio::spawn(async move {
        let reply = follower.next(LONG).await;
        (Instant::now(), reply)
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    logout(&client, &account.access()).await;
    let ended = Instant::now();
    let (pushed, reply) = waiting.await.unwrap();
    assert_eq!((entries(&reply), reply.more), (vec![session_entry(&account)], 0));
    // The entry may even arrive before the reply to the logout.
    let delay = pushed.saturating_duration_since(ended);
    assert!(delay < Duration::from_secs(1), "{delay:?}");
    let all = Follower::start(server.client()).await;
    assert_eq!(all.entries, [session_entry(&account)], "a later client gets it too, once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_revocation_is_pushed() {
    let server = TestServer::start().await;
    let client = server.client();
    let store = SqliteStore::open(&server.folder.path().join("users.db")).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let mut follower = Follower::start(server.client()).await;

    let ada = server.account(&client, "ada").await;
    let token = ada.session.access_token.clone();
    client.call(DeleteUser::new(token, PASSWORD.into())).await.unwrap();
    let reply = follower.next(LONG).await;
    let user = (2, ada.session.user_id.as_bytes().to_vec());
    assert_eq!(entries(&reply), [session_entry(&ada), user.clone()]);
    assert!(reply.entries.iter().all(|row| row.before.0 == 0));

    let now = server.clock.now();
    store.forget_sessions_at(now).await.unwrap();
    let reply = follower.next(LONG).await;
    assert_eq!(entries(&reply), [(3, Vec::new())]);
    assert_eq!(reply.entries[0].before.0, now.seconds());

    store.retire_key_at("a-retired-kid", now).await.unwrap();
    let key = (4, b"a-retired-kid".to_vec());
    assert_eq!(entries(&follower.next(LONG).await), std::slice::from_ref(&key));

    // A later revocation of everyone replaces the earlier one.
    store.forget_sessions_at(now.plus(Duration::from_secs(3))).await.unwrap();
    follower.next(LONG).await;
    let later = Follower::start(server.client()).await;
    assert_eq!(later.entries, [session_entry(&ada), user, key.clone(), (3, Vec::new())]);

    // After a restart, the node knows its retired keys from the first request on.
    let server = TestServer::start_in(server.stop().await, &[]).await;
    let first = Follower::start(server.client()).await;
    assert!(first.entries.contains(&key), "{:?}", first.entries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_an_earlier_version_has_both_kinds() {
    let server = TestServer::start().await;
    let path = server.folder.path().join("users.db");
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let mut follower = Follower::start(server.client()).await;
    let id = uuid::Uuid::new_v4();
    let insert = sqlx::query("INSERT INTO revocations (subject, at) VALUES ($1, $2)");
    insert.bind(id).bind(server.clock.now().0).execute(&database).await.unwrap();
    let both = [(1, id.as_bytes().to_vec()), (2, id.as_bytes().to_vec())];
    assert_eq!(entries(&follower.next(LONG).await), both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_ends_without_entries_after_its_time() {
    let server = TestServer::start().await;
    let mut follower = Follower::start(server.client()).await;
    let cursor = follower.cursor.clone();
    let mut wire = Wire::connect(server.address).await;
    for (wait_ms, deadline_ms, expected) in
        [(0, None, 0), (300, None, 300), (5_000, Some(400), 400), (60_000, Some(9_000), 5_000)]
    {
        let began = Instant::now();
        let request = WatchRevocations { cursor: cursor.as_slice().into(), wait_ms };
        let common = Common { deadline_ms, ..Common::default() };
        wire.send(&request_frame(1, request, &common)).await;
        let (_, Reply::Revocations(reply)) = wire.reply().await else { panic!("another reply") };
        let waited = began.elapsed();
        let expected = Duration::from_millis(expected);
        assert!((expected..expected + Duration::from_secs(2)).contains(&waited), "{waited:?}");
        assert!(reply.entries.is_empty() && reply.more == 0 && *reply.cursor == cursor);
    }
    let passed = Common { deadline_ms: Some(0), ..Common::default() };
    let request = WatchRevocations { cursor: cursor.as_slice().into(), wait_ms: 0 };
    wire.send(&request_frame(2, request, &passed)).await;
    assert_eq!(wire.refusal(2).await.code, ErrorCode::DEADLINE_EXCEEDED);
    follower.next(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_the_node_does_not_know_is_answered_from_the_start_at_once() {
    let (server, other) = (TestServer::start().await, TestServer::start().await);
    let client = server.client();
    let account = server.account(&client, "ada").await;
    logout(&client, &account.access()).await;
    let known = Follower::start(server.client()).await.cursor;
    let foreign = Follower::start(other.client()).await.cursor;
    let changed = |index: usize| {
        let mut cursor = known.clone();
        cursor[index] ^= 1;
        cursor
    };
    let cursors = [
        Vec::new(),
        foreign.clone(),
        known[1..].to_vec(),
        [known.as_slice(), &[0]].concat(),
        changed(0),
        changed(15),
        changed(16),
        vec![0xFF; known.len()],
        vec![0xFF; 60_000],
    ];
    for cursor in cursors {
        let began = Instant::now();
        let reply = watch(&client, &cursor, LONG).await;
        assert_eq!(
            (entries(&reply), *reply.cursor == known),
            (vec![session_entry(&account)], true)
        );
        assert!(began.elapsed() < Duration::from_secs(1), "{cursor:?}");
    }
    // Even if there is nothing: the client knows nothing before the first answer.
    let began = Instant::now();
    let reply = watch(&other.client(), &known, LONG).await;
    assert!(reply.entries.is_empty() && *reply.cursor == foreign);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_entries_come_in_pages() {
    const COUNT: usize = 10_000;
    let folder = TestServer::start().await.stop().await;
    let path = folder.path().join("users.db");
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let mut tx = database.begin().await.unwrap();
    let now = SystemClock.now();
    for _ in 0..COUNT {
        let insert = sqlx::query("INSERT INTO revocations (subject, at, kind) VALUES ($1, $2, 1)");
        insert.bind(uuid::Uuid::new_v4()).bind(now.0).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    database.close().await;
    let server = TestServer::start_in(folder, &[]).await;
    let client = server.client();
    let account = server.account(&client, "ada").await;
    let mut follower = Follower { client, cursor: Vec::new(), entries: Vec::new() };
    for page in 1..=5 {
        let reply = follower.next(LONG).await;
        assert_eq!((reply.entries.len(), reply.more), (2000, u8::from(page < 5)), "page {page}");
        if page == 3 {
            // An entry that is added in between comes last.
            logout(&server.client(), &account.access()).await;
            follower.next(0).await;
            follower.next(0).await;
            break;
        }
    }
    assert_eq!(follower.next(LONG).await.more, 0);
    assert_eq!(follower.entries.len(), COUNT + 1);
    assert_eq!(follower.entries.last(), Some(&session_entry(&account)));
    let unique: HashSet<&Entry> = follower.entries.iter().collect();
    assert_eq!(unique.len(), COUNT + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_states_the_age_of_the_knowledge_and_the_time() {
    let server = TestServer::start().await;
    let follower = Follower::start(server.client()).await;
    for _ in 0..50 {
        let reply = watch(&follower.client, &follower.cursor, 0).await;
        assert!(reply.stale_ms <= 1000, "{reply:?}");
        let clock = server.clock.now();
        let behind = clock.since(Timestamp(reply.now_ms.0 as i64));
        assert!(behind < Duration::from_secs(1) && reply.now_ms.0 as i64 <= clock.0);
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    let keys = follower.client.call(GetKeys {}).await.unwrap();
    assert_eq!(keys.access_life, 900);
    assert!(keys.now_ms.is_some() && keys.jwks.starts_with("{\"keys\":["), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_refused_when_its_entry_is_pushed() {
    let server = TestServer::start().await;
    let client = server.client();
    let account = server.account(&client, "ada").await;
    let mut follower = Follower::start(server.client()).await;
    for _ in 0..20 {
        let session = server.login(&client, "ada").await;
        let other = server.client();
        let token = session.access_token.clone();
        let logout = Logout { token: token.clone(), all_sessions: None };
        let ended = tokio::spawn(async move { other.call(logout).await.unwrap() });
        let reply = follower.next(LONG).await;
        assert_eq!(entries(&reply), [(1, session.session_id.as_bytes().to_vec())]);
        let verdict = client.call(VerifyToken { access_token: token }).await;
        assert!(verdict.is_err(), "the entry was pushed before it took effect");
        ended.await.unwrap();
    }
    client.call(VerifyToken { access_token: account.access().as_str().into() }).await.unwrap();
}
