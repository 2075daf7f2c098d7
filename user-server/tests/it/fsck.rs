//! `fsck`: every violated invariant is found, on both databases, while a server runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor;
use user_proto::{Common, IdempotencyKey};
use user_server::admin;
use user_server::domain::{Clock, Invariant, Store, SystemClock};
use user_server::store::{PostgresOptions, PostgresStore, SqliteStore};

use crate::support::{
    MAIL_PAUSE, PASSWORD, Process, SECRET, TestServer, check, login, postgres, register, run_in,
    together,
};

/// A statement that violates an invariant, and the beginning of the invariant's description.
const VIOLATIONS: &[(&str, &str)] = &[
    ("UPDATE users SET username_key = 'someone'", "users: each name"),
    ("UPDATE users SET email_key = 'someone@example.org'", "users: each address"),
    ("UPDATE users SET hash_class = '$2b$10'", "users: each password hash matches"),
    ("UPDATE users SET password_hash = '$1$abc$def'", "users: each password hash can"),
    ("UPDATE users SET version = 0", "users: each row version"),
    ("UPDATE users SET credentials = 0", "users: each password version"),
    (
        "INSERT INTO revocations (subject, at) SELECT id, 0 FROM users",
        "users: none is in the revocation log",
    ),
    (
        "INSERT INTO revocations (subject, at) SELECT id, 0 FROM sessions",
        "sessions: none is in the revocation log",
    ),
    ("UPDATE sessions SET counter = -1", "sessions: each counter"),
    ("UPDATE sessions SET user_id = id", "sessions: each belongs to a user"),
    ("UPDATE verifications SET password_hash = NULL", "codes: each has what its purpose needs"),
    ("UPDATE verifications SET generation = -1", "codes: each has valid guesses"),
    ("UPDATE verifications SET email_key = 'someone@example.org'", "codes: each name and address"),
    ("UPDATE mail_turns SET waiting = 0", "emails: each that waits is counted"),
    ("UPDATE mail_turns SET next_at = next_at + 900000000", "emails: no mail slot is later"),
    (
        "UPDATE outbox SET settled_at = created_at WHERE turn_at IS NULL",
        "codes: each that was not sent",
    ),
    ("UPDATE outbox SET turn_at = created_at, generation = 1", "emails: no address"),
    ("UPDATE outbox SET attempts = -1", "emails: each has the fields"),
    ("UPDATE outbox SET letter = 'poem'", "emails: each has a known kind"),
    ("UPDATE counters SET count = 101", "budgets: each"),
    ("UPDATE users SET created_at = created_at + 86400000", "times: no user"),
    ("UPDATE sessions SET rotated_at = rotated_at + 86400000", "times: no session"),
    ("UPDATE verifications SET created_at = created_at + 86400000", "times: no code"),
    ("UPDATE outbox SET created_at = created_at + 86400000", "times: no email"),
    ("UPDATE revocations SET at = at + 9000000000000", "times: no revocation"),
    ("UPDATE audit SET mac = NULL WHERE seq = 1", "audit: each entry"),
    ("UPDATE audit SET network = '192.0.2.9'", "audit: each network"),
    ("DELETE FROM audit WHERE seq = 2", "audit: the chain"),
    // From here on the lease keeps the sealer from running, so that violations stay.
    (
        "UPDATE audit_chain SET hash = anchor_hash, holder = NULL, leased_until = 9000000000000",
        "audit: the end",
    ),
    (
        "INSERT INTO audit (id, at, kind, detail) SELECT id, 0, 'verified', '' FROM users",
        "audit: no entry",
    ),
    ("UPDATE audit SET at = at + 9000000000000", "times: no audit entry"),
    ("UPDATE idempotency_keys SET session_kid = NULL", "requests: each"),
    ("UPDATE idempotency_keys SET expires_at = expires_at + 1", "requests: none"),
    (
        "INSERT INTO retired_keys (kid, retired_at) SELECT kid, 0 FROM sessions GROUP BY kid",
        "keys: none",
    ),
    ("UPDATE retired_keys SET retired_at = retired_at + 9000000000000", "times: no key"),
];

/// Starts a server with a user, a code that was emailed, and one that is queued.
async fn server_with_rows(settings: &[(&str, &str)]) -> TestServer {
    let server = TestServer::start_with(settings).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let keyed = Common { idempotency_key: Some(IdempotencyKey([7; 16])), ..Common::default() };
    client.call_with(login("ada", PASSWORD), keyed).await.unwrap();
    for _ in 0..2 {
        client.call(register("bob", "bob@example.org")).await.unwrap();
    }
    server.emails.code("bob@example.org", 1).await;
    assert_eq!(check(&client, &ada.access()).await, None);
    server
}

async fn inspect(store: &dyn Store) -> Vec<Invariant> {
    store.inspect(&admin::bounds(15 * MAIL_PAUSE), SystemClock.now()).await.unwrap()
}

/// Runs the violations one after another, and asserts after each that it is found.
async fn violate_all(store: &dyn Store, run: impl AsyncFn(&'static str)) {
    while store.unsealed().await.unwrap().rows > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut before = inspect(store).await;
    assert!(before.iter().all(|invariant| invariant.violations == 0), "{before:?}");
    for (statement, invariant) in VIOLATIONS {
        let found = |all: &[Invariant]| {
            all.iter().find(|one| one.condition.starts_with(invariant)).unwrap().clone()
        };
        assert_eq!(found(&before).violations, 0, "{invariant}, before: {statement}");
        run(statement).await;
        before = inspect(store).await;
        assert!(found(&before).violations > 0, "{invariant}, after: {statement}");
    }
    assert_eq!(VIOLATIONS.len(), before.len(), "an invariant without a violation here: {before:?}");
}

async fn open(path: &Path) -> sqlx::SqlitePool {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).foreign_keys(false);
    sqlx::SqlitePool::connect_with(options).await.unwrap()
}

#[tokio::test]
async fn every_violated_invariant_is_found_on_sqlite() {
    let server = server_with_rows(&[]).await;
    let path = server.folder.path().join("users.db");
    let store = SqliteStore::open_read_only(&path);
    let database = open(&path).await;
    violate_all(&store, async |statement| {
        database.execute(statement).await.unwrap();
    })
    .await;
    let report =
        inspect(&store).await.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(
        report.contains("WRONG  users: each name has its canonical key: 1 violation: "),
        "{report}"
    );
    // As a word, since the ids are random and may contain these letters.
    let has_name = report.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "ada");
    assert!(!report.contains('@') && !has_name, "the report contains a value of a user: {report}");
    server.stop().await;
}

#[tokio::test]
async fn every_violated_invariant_is_found_on_postgres() {
    let Some(postgres) = postgres() else { return };
    let url = postgres.database();
    let folder = tempfile::tempdir().unwrap();
    let mail_dir = folder.path().to_str().unwrap();
    let server =
        server_with_rows(&[("PostgreSQL", &url), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", mail_dir)])
            .await;
    let store: Arc<dyn Store> =
        Arc::new(PostgresStore::open(&PostgresOptions::parse(&url, 2, false).unwrap()));
    let name = url.rsplit('/').next().unwrap();
    assert!(postgres.psql(name, "ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey"));
    violate_all(&*store, async |statement| assert!(postgres.psql(name, statement), "{statement}"))
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fsck_runs_beside_a_running_server() {
    let process = Process::start(&[]);
    let client = process.client();
    process.account(&client, "ada").await;
    let runs = together((0..4).map(|number| {
        let (client, data) = (client.clone(), process.data());
        async move {
            let name = format!("bob{number}");
            client.call(register(&name, &format!("{name}@example.org"))).await.unwrap();
            let settings = [("DATA_DIR", data.to_str().unwrap())];
            tokio::task::block_in_place(|| run_in(data.parent().unwrap(), &["fsck"], &settings))
        }
    }))
    .await;
    for run in runs {
        assert_eq!((run.code, run.error.as_str()), (Some(0), ""), "{}", run.output);
        assert!(run.output.lines().all(|line| line.starts_with("good ")), "{}", run.output);
    }
    open(&process.data().join("users.db"))
        .await
        .execute("UPDATE users SET username_key = 'someone'")
        .await
        .unwrap();
    let data = process.data();
    let run = run_in(data.parent().unwrap(), &["fsck"], &[("DATA_DIR", data.to_str().unwrap())]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.output.contains("WRONG  users: each name") && run.error.contains("1 of "),
        "{run:?}"
    );
}

#[test]
fn a_folder_without_a_database_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_in(folder.path(), &["fsck"], &[]);
    assert!(
        run.code == Some(1) && run.error.contains("users.db") && run.error.contains("DATA_DIR"),
        "{run:?}"
    );
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "a file was created");
}
