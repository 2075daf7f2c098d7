//! Group commit in SQLite: concurrent writers share a commit, and no writer succeeds unless its
//! change is stored.

use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use user_proto::client::Client;
use user_proto::{Login, RefreshToken};
use user_server::domain::{
    Adjustment, Allowance, BudgetCounter, BudgetCounters, ConnectionPools, Timestamp,
};
use user_server::store::SqliteStore;

use crate::contract::fixture::{Db, NOW, session, together, user};
use crate::durability::limit_file_size;
use crate::support::{Changes, PASSWORD, Process};

fn key(number: usize) -> [u8; 32] {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

/// Increments the counter of a key, or refuses to.
fn count(number: usize, refuse: bool) -> Adjustment {
    Adjustment::new([key(number)], move |counters: &mut [BudgetCounter]| {
        if refuse {
            return Err(Duration::from_secs(1));
        }
        counters[0] = BudgetCounter {
            count: counters[0].count + 1,
            expires_at: Timestamp(i64::MAX),
            ..counters[0]
        };
        Ok(Allowance::Full)
    })
}

async fn counted(store: &SqliteStore, number: usize) -> u32 {
    let (sender, receiver) = std::sync::mpsc::channel();
    let read = Adjustment::new([key(number)], move |counters: &mut [BudgetCounter]| {
        sender.send(counters[0].count).unwrap();
        Ok(Allowance::Full)
    });
    store.adjust(read, None).await.unwrap().unwrap();
    receiver.recv().unwrap()
}

/// Counts the commits in a write-ahead log: the frames that contain the size of the database.
pub fn commits(log: &Path) -> usize {
    const HEADER: usize = 32;
    const FRAME: usize = 24 + 4096;
    let log = std::fs::read(log).unwrap();
    log[HEADER..].chunks(FRAME).filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_writers_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("users.db")).await.unwrap();
    let log = folder.path().join("users.db-wal");
    let before = commits(&log);
    let allowed = together((0..128).map(|number| {
        let store = store.clone();
        async move { store.adjust(count(number, number % 4 == 3), None).await.unwrap().is_ok() }
    }))
    .await;
    assert_eq!(allowed.iter().filter(|allowed| **allowed).count(), 96);
    let new_commits = commits(&log) - before;
    assert!((1..64).contains(&new_commits), "{new_commits} commits for 96 writers");
    // Another connection reads exactly the changes that were allowed.
    let other = SqliteStore::attach(&folder.path().join("users.db")).await.unwrap();
    for number in 0..128 {
        assert_eq!(counted(&other, number).await, u32::from(number % 4 != 3), "{number}");
    }
}

/// A future that is cancelled after a number of polls.
struct CancelAfter<F>(Pin<Box<F>>, usize);

impl<F: Future> Future for CancelAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.1 == 0 {
            return Poll::Ready(None);
        }
        self.1 -= 1;
        self.0.as_mut().poll(context).map(Some)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_writer_does_not_affect_the_others() {
    const ROUNDS: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    let db: Db = Arc::new(SqliteStore::open(&path).await.unwrap());
    let mut users = Vec::new();
    for number in 0..32 {
        users.push(user(&db, &format!("user{number}")).await.0);
    }
    for round in 0..ROUNDS {
        let results = together(users.iter().cloned().enumerate().map(|(number, user)| {
            let db = db.clone();
            async move {
                let login = async move {
                    db.open_session_at(&user, &session(), None, count(number, false), NOW).await
                };
                // Half of the logins complete; the others are cancelled, at every possible point.
                let polls =
                    if number % 2 == 0 { 1 + (number / 2 + round) % 30 } else { usize::MAX };
                CancelAfter(Box::pin(login), polls).await
            }
        }))
        .await;
        for (number, result) in results.into_iter().enumerate() {
            assert!(
                result.map_or(number % 2 == 0, |result| result.unwrap().is_some()),
                "{number} in round {round}"
            );
        }
    }
    let other = SqliteStore::attach(&path).await.unwrap();
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    for (number, user) in users.iter().enumerate() {
        let sessions =
            sqlx::query_scalar::<_, u32>("SELECT COUNT(*) FROM sessions WHERE user_id = $1")
                .bind(user.id);
        let sessions = sessions.fetch_one(&database).await.unwrap() - 1;
        assert_eq!(
            counted(&other, number).await,
            sessions,
            "{number}: a cancelled login was stored in part"
        );
        let rounds = u32::try_from(ROUNDS).unwrap();
        assert!(
            if number % 2 == 0 { sessions <= rounds } else { sessions == rounds },
            "{number}: {sessions}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_fails_every_writer_in_it() {
    const SESSIONS: usize = 32;
    let process = Process::start_under("trap '' XFSZ;", tempfile::tempdir().unwrap(), &[]);
    let client = process.client();
    process.account(&client, "ada").await;
    let mut tokens = Vec::new();
    for _ in 0..SESSIONS {
        let login = Login::new("ada".into(), PASSWORD.into());
        tokens
            .push(client.call(login).await.unwrap().refresh_token.expose_str().unwrap().to_owned());
    }
    let log = process.data().join("users.db-wal");
    let (mut stored, mut failed) = (0, 0);
    for step in 0..8 {
        // The disk becomes full during their writes.
        let limit = std::fs::metadata(&log).unwrap().len() + step * 3 * 4096;
        if !limit_file_size(&process, &limit.to_string()) {
            let _ = writeln!(
                std::io::stderr(),
                "left out: a full disk for many (needs prlimit of util-linux)"
            );
            return;
        }
        let answers =
            together(
                tokens.clone().into_iter().map(|token| {
                    let client: Client = client.clone();
                    async move {
                        client.call(RefreshToken { refresh_token: token.as_str().into() }).await
                    }
                }),
            )
            .await;
        assert!(limit_file_size(&process, "unlimited"));
        for (token, answer) in tokens.iter_mut().zip(answers) {
            match answer {
                Ok(refreshed) => {
                    stored += 1;
                    *token = refreshed.refresh_token.expose_str().unwrap().to_owned();
                }
                Err(_) => failed += 1,
            }
            // An answered refresh is stored, and one that failed can be repeated.
            let again =
                client.call(RefreshToken { refresh_token: token.as_str().into() }).await.unwrap();
            *token = again.refresh_token.expose_str().unwrap().to_owned();
        }
    }
    assert!(failed > 0, "{stored} stored");
}

#[tokio::test]
async fn a_closed_store_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("users.db")).await.unwrap();
    store.adjust(count(1, false), None).await.unwrap().unwrap();
    assert_eq!(counted(&store, 1).await, 1);
    ConnectionPools::close(&store).await;
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["users.db"], "the write-ahead log was checkpointed");
}
