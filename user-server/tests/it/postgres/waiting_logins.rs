//! Whatever ends all sessions of a user also ends one that a login commits while it waits for the
//! login's lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use user_server::domain::{Fault, LogPart, Notice, Purpose, Subject, UserRecord, UserUpdate};
use user_server::store::{PostgresOptions, PostgresStore};
use uuid::Uuid;

use crate::contract::fixture::{Db, NOW, change, guess, is_live, request_reset, send_all, user};
use crate::contract::refuse_functions;
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
        until_waiting(&self.pool, method).await;
        self.login.commit().await.unwrap();
        assert!(change.await.unwrap().unwrap(), "{method} was refused");
        assert!(self.db.session(self.session_id).await.unwrap().is_none(), "{method}");
        let log = self.db.revocations(&LogPart::all()).await.unwrap();
        let ended = Subject::Session(self.session_id);
        assert!(log.entries.iter().any(|entry| entry.subject == ended), "{method}");
    }
}

/// Waits until a transaction waits for a lock.
pub async fn until_waiting(pool: &sqlx::PgPool, method: &str) {
    let began = Instant::now();
    loop {
        let waiting = "SELECT COUNT(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                       WHERE NOT granted AND datname = current_database()";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(pool).await.unwrap();
        if waiting > 0 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(3), "{method} does not wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A deletion must not remove the row of a reset that is requested meanwhile: the requester could
/// tell that the address belonged to an account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_that_is_requested_during_a_deletion_stays() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let options = PostgresOptions::parse(&url, 4, false).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let db: Db = Arc::new(PostgresStore::open(&options));
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    for without_function in [false, true] {
        if without_function {
            refuse_functions(&url).await;
        }
        let (ada, _) = user(&db, "ada").await;
        let reset = request_reset(&db, "ada@example.org", NOW).await;
        let mut request = pool.begin().await.unwrap();
        let id = Uuid::new_v4();
        for statement in [
            "SELECT 1 FROM users WHERE id = $1 AND $2 <> id AND $3 <> id FOR KEY SHARE",
            "INSERT INTO verifications SELECT (jsonb_populate_record(old, jsonb_build_object(
                 'id', $2::uuid, 'user_id', $1::uuid))).* FROM verifications AS old WHERE id = $3",
        ] {
            let statement = sqlx::query(statement).bind(ada.id).bind(id).bind(reset);
            statement.execute(&mut *request).await.unwrap();
        }
        let of = db.clone();
        let deletion = tokio::spawn(async move { of.delete_user_at(&ada, NOW).await });
        until_waiting(&pool, "delete_user").await;
        request.commit().await.unwrap();
        assert!(deletion.await.unwrap().unwrap().is_some());
        for id in [reset, id] {
            let guess = guess(&db, id, Purpose::PasswordReset, NOW).await;
            assert!(guess.expired, "{without_function}: {guess:?}");
        }
    }
    db.close().await;
    pool.close().await;
}

/// The functions rely on statements that see what was committed while they waited for a lock.
#[tokio::test]
async fn the_functions_refuse_another_isolation_level() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    PostgresStore::migrate(&PostgresOptions::parse(&url, 2, false).unwrap()).await.unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    for call in ["write_counters_v1('[]')", "record_change_v1('{}', '{}', '{}')"] {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{begin}; SELECT {call}; COMMIT")));
        let error = refused.execute(&pool).await.unwrap_err().to_string();
        assert!(error.contains("the isolation level is not read committed"), "{call}: {error}");
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_commits_meanwhile_is_ended_too() {
    let Some(server) = postgres() else { return };
    let methods = ["delete_user", "end_all_sessions", "update_user", "reset_password", "disable"];
    for (method, without_function) in
        methods.into_iter().flat_map(|method| [(method, false), (method, true)])
    {
        let url = server.database();
        let options = PostgresOptions::parse(&url, 4, false).unwrap();
        PostgresStore::migrate(&options).await.unwrap();
        if without_function {
            refuse_functions(&url).await;
        }
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
                    "disable" => of.disable_at(ada.id, NOW).await.map(|ended| ended.is_some()),
                    _ => of.reset_password_at(&reset, "new", NOW).await.map(|done| done.is_some()),
                }
            })
            .await;
        assert_eq!(is_live(&db, &first).await, method == "update_user", "{method}");
        db.close().await;
        pool.close().await;
    }
}
