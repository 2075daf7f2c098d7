//! Whatever ends all sessions of a user also ends one that a login commits while it waits for the
//! login's lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use user_server::domain::{Fault, LogPart, Notice, Purpose, Subject, UserRecord, UserUpdate};
use user_server::store::{PostgresOptions, PostgresStore};
use uuid::Uuid;

use crate::contract::fixture::{Db, NOW, change, guess, is_live, request_reset, send_all, user};
use crate::support::{Changes, postgres};

/// A database with one user, and a login of it in a transaction that has not committed.
struct Waiting {
    db: Db,
    pool: sqlx::PgPool,
    login: sqlx::Transaction<'static, sqlx::Postgres>,
    session_id: Uuid,
}

impl Waiting {
    async fn begin(db: Db, pool: sqlx::PgPool, ada: &UserRecord) -> Self {
        let session_id = Uuid::new_v4();
        let mut login = pool.begin().await.unwrap();
        for statement in [
            "SELECT 1 FROM users WHERE id = $1 AND $2 <> id FOR NO KEY UPDATE",
            "INSERT INTO sessions (id, user_id, kid, created_at, rotated_at)
             VALUES ($2, $1, 'kid', 1, 1)",
        ] {
            let statement = sqlx::query(statement).bind(ada.id).bind(session_id);
            statement.execute(&mut *login).await.unwrap();
        }
        Self { db, pool, login, session_id }
    }

    /// Makes the change, commits the login when the change waits, and asserts that the session
    /// ends.
    async fn expect_end(
        self,
        method: &str,
        change: impl Future<Output = Result<bool, Fault>> + Send + 'static,
    ) {
        let change = tokio::spawn(change);
        let began = Instant::now();
        loop {
            let waiting = "SELECT COUNT(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                           WHERE NOT granted AND datname = current_database()";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&self.pool).await.unwrap();
            if waiting > 0 {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(3), "{method} does not wait");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.login.commit().await.unwrap();
        assert!(change.await.unwrap().unwrap(), "{method} was refused");
        assert!(self.db.session(self.session_id).await.unwrap().is_none(), "{method}");
        let log = self.db.revocations(&LogPart::all()).await.unwrap();
        let ended = Subject::Session(self.session_id);
        assert!(log.entries.iter().any(|entry| entry.subject == ended), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_commits_meanwhile_is_ended_too() {
    let Some(server) = postgres() else { return };
    for method in ["delete_user", "end_all_sessions", "update_user", "reset_password"] {
        let url = server.database();
        let options = PostgresOptions::parse(&url, 4, false).unwrap();
        PostgresStore::migrate(&options).await.unwrap();
        let db: Db = Arc::new(PostgresStore::open(&options));
        let (ada, first) = user(&db, "ada").await;
        let reset = request_reset(&db, "ada@example.org", NOW).await;
        send_all(&db, NOW).await;
        let reset = guess(&db, reset, Purpose::PasswordReset, NOW).await;
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        let waiting = Waiting::begin(db.clone(), pool.clone(), &ada).await;
        let update = UserUpdate {
            password_hash: Some(("new hash".to_owned(), Notice::PasswordChanged)),
            ..change(&ada, &first)
        };
        let of = db.clone();
        waiting
            .expect_end(method, async move {
                match method {
                    "delete_user" => {
                        of.delete_user_at(&ada, NOW).await.map(|ended| ended.is_some())
                    }
                    "end_all_sessions" => {
                        of.end_all_sessions_at(ada.id, NOW).await.map(|ended| ended.sessions == 2)
                    }
                    "update_user" => of.update_user_at(update, NOW).await.map(|_| true),
                    _ => of.reset_password_at(&reset, "new", NOW).await.map(|done| done.is_some()),
                }
            })
            .await;
        assert_eq!(is_live(&db, &first).await, method == "update_user", "{method}");
        db.close().await;
        pool.close().await;
    }
}
