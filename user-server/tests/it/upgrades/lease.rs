//! Nodes that migrate one PostgreSQL database at once: one of them migrates, and the others wait.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use user_server::domain::Fault;
use user_server::store::{PostgresOptions, PostgresStore, SchemaState};

use super::fixture::{self, Database};
use crate::support::{PgProxy, Postgres, SECRET, TEST_TIMEOUT, executable, postgres};

/// Time by the database's clock after which a node that has failed loses the lease.
const LEASE: Duration = Duration::from_secs(10);
/// Statement that creates the table of the lease, as the first migration of a node does.
const CREATE: &str = "CREATE TABLE migration_lease (
    id SMALLINT PRIMARY KEY, holder UUID NOT NULL, expires_at BIGINT NOT NULL)";

async fn migrate(url: &str) -> Result<SchemaState, Fault> {
    PostgresStore::migrate(&PostgresOptions::parse(url, 1, false).unwrap()).await
}

/// Returns the URL of a database of the oldest schema version that has a fixture.
async fn old_database(server: &Postgres) -> String {
    fixture::load_postgres(Database::Postgres.schemas()[0], server).await
}

async fn number(connection: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(connection).await.unwrap()
}

/// Returns the number of migrations that were applied.
async fn applied(connection: &mut PgConnection) -> i64 {
    number(connection, "SELECT COUNT(*) FROM _sqlx_migrations WHERE success").await
}

/// Gives the lease to another node, until `seconds` from now by the database's clock.
async fn give_away(connection: &mut PgConnection, seconds: i64) {
    let statement = format!(
        "INSERT INTO migration_lease VALUES (1, gen_random_uuid(),
            (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint + {seconds} * 1000)
         ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at"
    );
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await.unwrap();
}

/// Asserts that every migration was applied, and that no node holds the lease.
async fn expect_migrated(url: &str) {
    let state = PostgresStore::schema(&PostgresOptions::parse(url, 1, false).unwrap()).await;
    state.unwrap().require().unwrap();
    let mut connection = PgConnection::connect(url).await.unwrap();
    assert_eq!(number(&mut connection, "SELECT COUNT(*) FROM migration_lease").await, 0);
    let all = i64::try_from(Database::Postgres.migrations_after(0).len()).unwrap();
    assert_eq!(applied(&mut connection).await, all);
}

/// Starts `user-server migrate`.
fn start_migrating(url: &str) -> Child {
    let mut command = Command::new(executable());
    let settings = [("PostgreSQL", url), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", "mails")];
    command.arg("migrate").env_clear().envs(settings);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_nodes_migrates_and_the_others_wait() {
    let Some(server) = postgres() else { return };
    let old = old_database(server).await;
    for url in [server.database(), server.database(), server.database(), old] {
        let nodes: Vec<_> = (0..6)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move { migrate(&url).await.unwrap().pending.len() })
            })
            .collect();
        let mut migrated = 0;
        for node in nodes {
            migrated += usize::from(node.await.unwrap() > 0);
        }
        assert_eq!(migrated, 1, "number of nodes that migrated");
        expect_migrated(&url).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_loses_the_lease_by_the_clock_of_the_database() {
    let Some(server) = postgres() else { return };
    let url = old_database(server).await;
    let mut observer = PgConnection::connect(&url).await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut reader = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE sessions IN ACCESS SHARE MODE").execute(&mut *reader).await.unwrap();
    let began = Instant::now();
    let mut node = start_migrating(&url);
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                 AND datname = current_database() AND query LIKE '%ALTER TABLE sessions%'";
    while number(&mut observer, waits).await == 0 {
        assert!(began.elapsed() < TEST_TIMEOUT, "the migration does not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.kill().unwrap();
    node.wait().unwrap();
    let killed = Instant::now();
    reader.rollback().await.unwrap();
    assert!(!migrate(&url).await.unwrap().pending.is_empty());
    let waited = killed.elapsed();
    assert!(waited > LEASE / 2 && waited < LEASE + Duration::from_secs(3), "{waited:?}");
    expect_migrated(&url).await;
}

/// A node that was stalled continues after another one has acquired the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_lost_the_lease_applies_no_migration() {
    let Some(server) = postgres() else { return };
    let url = old_database(server).await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    let before = applied(&mut other).await;
    let (proxy, slow) = PgProxy::before(&url).await;
    proxy.delay(Duration::from_millis(15));
    let node = tokio::spawn(async move { migrate(&slow).await });
    let began = Instant::now();
    while applied(&mut other).await < before + 3 {
        assert!(began.elapsed() < TEST_TIMEOUT, "nothing is migrated");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Waits for the transaction in progress.
    give_away(&mut other, 2).await;
    let at_loss = applied(&mut other).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(applied(&mut other).await, at_loss, "migrated without the lease");
    assert!(!node.await.unwrap().unwrap().pending.is_empty());
    expect_migrated(&url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_node_is_replaced_and_migrates_nothing_when_it_continues() {
    let Some(server) = postgres() else { return };
    let url = old_database(server).await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    let before = applied(&mut other).await;
    let (proxy, slow) = PgProxy::before(&url).await;
    proxy.delay(Duration::from_millis(15));
    let mut node = start_migrating(&slow);
    let began = Instant::now();
    while applied(&mut other).await < before + 3 {
        assert!(began.elapsed() < TEST_TIMEOUT, "nothing is migrated");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let signal = |name: &str| {
        let kill = Command::new("kill").args(["-s", name, &node.id().to_string()]).status();
        assert!(kill.unwrap().success());
    };
    signal("STOP");
    // The server ends a transaction that is in progress after as long as the lease lasts.
    assert!(!migrate(&url).await.unwrap().pending.is_empty());
    assert!(began.elapsed() < 2 * LEASE + Duration::from_secs(3), "{:?}", began.elapsed());
    expect_migrated(&url).await;
    signal("CONT");
    // It fails if its connection was closed, and otherwise finds that nothing is left to do.
    assert!([Some(0), Some(1)].contains(&node.wait().unwrap().code()));
    expect_migrated(&url).await;
}

/// The clock was set back, or the lease was restored on another server, with a dump.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_expires_too_late_is_not_valid() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let mut other = PgConnection::connect(&url).await.unwrap();
    sqlx::query(CREATE).execute(&mut other).await.unwrap();
    give_away(&mut other, 3600).await;
    let began = Instant::now();
    migrate(&url).await.unwrap();
    assert!(began.elapsed() < LEASE / 2, "{:?}", began.elapsed());
    expect_migrated(&url).await;
}

/// An earlier version takes an advisory lock, and does not ask for the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_migrates_beside_one_of_an_earlier_version() {
    let Some(server) = postgres() else { return };
    for round in 0..4 {
        let url = if round < 2 { server.database() } else { old_database(server).await };
        let earlier = tokio::spawn({
            let url = url.clone();
            async move {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10 * round)).await;
                let migrator = sqlx::migrate!("../migrations/postgres");
                migrator.run_direct(None, &mut connection, false).await
            }
        });
        migrate(&url).await.unwrap();
        // The earlier version may fail, and start again.
        if let Err(error) = earlier.await.unwrap() {
            println!("the earlier version: {error}");
        }
        expect_migrated(&url).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute"]
async fn long_a_node_waits_a_minute_for_one_that_migrates() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let mut other = PgConnection::connect(&url).await.unwrap();
    sqlx::query(CREATE).execute(&mut other).await.unwrap();
    give_away(&mut other, 5).await;
    let renewing = tokio::spawn(async move {
        loop {
            give_away(&mut other, 5).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let began = Instant::now();
    let fault = migrate(&url).await.unwrap_err().to_string();
    assert!(fault.contains("another node is migrating the schema"), "{fault}");
    assert!((60..65).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    renewing.abort();
}
