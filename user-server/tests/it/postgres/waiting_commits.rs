//! A database with synchronous replication that has lost all its standbys: it reads, but confirms
//! no commit, and keeps the connection of each one open, whatever its client does.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;
use user_proto::{ErrorCode, GetUser, VerifyToken};

use super::abandoned::callers;
use super::node;
use crate::support::{Postgres, SECRET, TEST_TIMEOUT, on_behalf_of, register, run_in};

const WRITERS: usize = 8;
/// Query for the number of connections of the service to the server.
const CONNECTIONS: &str =
    "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'user-server'";
/// Connections that a node opens, and as many that wait for their commit, with some tolerance.
const MAX_CONNECTIONS: i64 = 20;
/// Time after which a node knows that commits wait: requests give up after 2.5 s.
const NOTICED: Duration = Duration::from_secs(5);
/// Time for which changes are refused after that.
const REFUSED: Duration = Duration::from_secs(6);
/// Time within which changes succeed after a standby has returned, on a busy machine.
const RECOVERY: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_wait_for_a_standby_cost_few_connections_and_no_lookup() {
    let Some(server) = Postgres::dedicated() else { return };
    let url = server.database();
    let node = node(&url, &[]).await;
    let client = node.client();
    let ada = node.account(&client, "ada").await;
    let check = || VerifyToken { access_token: ada.session.access_token.clone() };
    let get = || GetUser { access_token: ada.session.access_token.clone() };
    let set_standbys = |names: &str| {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'");
        assert!(server.psql("postgres", &set));
        assert!(server.psql("postgres", "SELECT pg_reload_conf()"));
    };
    let mut observer = PgConnection::connect(&url).await.unwrap();
    let mut count =
        async || -> i64 { sqlx::query_scalar(CONNECTIONS).fetch_one(&mut observer).await.unwrap() };

    set_standbys("lost");
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let client = node.client();
        writers.spawn(async move {
            for number in 0_usize.. {
                let name = format!("w{writer}-{number}");
                let address = format!("{name}@example.org");
                // Of one network, the changes would wait for each other.
                let common =
                    on_behalf_of(&format!("10.{writer}.{}.{}", number / 250, number % 250));
                if let Err(error) = client.call_with(register(&name, &address), common).await {
                    assert_eq!(error.code(), Some(ErrorCode::UNAVAILABLE));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    tokio::time::sleep(NOTICED).await;
    let began = Instant::now();
    let mut most = 0;
    while began.elapsed() < REFUSED {
        client.call(get()).await.unwrap();
        assert_eq!(client.call(check()).await.unwrap().stale_ms, None);
        most = most.max(count().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(most <= MAX_CONNECTIONS, "{most} connections");
    writers.abort_all();

    set_standbys("");
    let returned = Instant::now();
    while let Err(error) = client.call(register("eve", "eve@example.org")).await {
        assert_eq!(error.code(), Some(ErrorCode::UNAVAILABLE));
        assert!(returned.elapsed() < TEST_TIMEOUT, "no change succeeds");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(returned.elapsed() < RECOVERY, "changes succeed after {:?}", returned.elapsed());
    node.stop().await;
}

/// The slot of a connection stays taken while the server has not answered, so that requests with
/// short deadlines do not open one connection each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_give_up_early_leave_few_commits_behind() {
    let Some(server) = Postgres::dedicated() else { return };
    let url = server.database();
    let node = node(&url, &[]).await;
    assert!(server.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'lost'"));
    assert!(server.psql("postgres", "SELECT pg_reload_conf()"));
    let mut observer = PgConnection::connect(&url).await.unwrap();
    let mut callers = callers(&node, 40);
    let (began, mut most) = (Instant::now(), 0);
    while began.elapsed() < REFUSED {
        let count: i64 = sqlx::query_scalar(CONNECTIONS).fetch_one(&mut observer).await.unwrap();
        most = most.max(count);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!((1..=MAX_CONNECTIONS).contains(&most), "{most} connections");
    callers.abort_all();
    assert!(server.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = ''"));
    assert!(server.psql("postgres", "SELECT pg_reload_conf()"));
    node.stop().await;
}

#[test]
fn check_names_what_hides_waiting_commits() {
    let Some(server) = Postgres::dedicated() else { return };
    let url = server.database();
    let database = url.rsplit('/').next().unwrap();
    for statement in [
        "CREATE ROLE narrow",
        "GRANT pg_read_all_data, pg_write_all_data TO narrow",
        // So that the statements of this test do not wait.
        "ALTER SYSTEM SET synchronous_commit = local",
        "ALTER SYSTEM SET synchronous_standby_names = 'lost'",
        "SELECT pg_reload_conf()",
    ] {
        assert!(server.psql("postgres", statement));
    }
    let folder = tempfile::tempdir().unwrap();
    let check = || {
        let settings =
            [("PostgreSQL", url.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", "mails")];
        run_in(folder.path(), &["check"], &settings).output
    };
    assert!(!check().contains("replication"), "nothing is hidden");
    let alter = |change: &str| {
        assert!(server.psql("postgres", &format!("ALTER DATABASE \"{database}\" {change}")));
    };
    alter("SET track_activities = off");
    assert!(check().contains("track_activities is off"), "{}", check());
    alter("RESET track_activities");
    alter("SET role = narrow");
    assert!(check().contains("GRANT pg_read_all_stats"), "{}", check());
    assert!(server.psql("postgres", "GRANT pg_read_all_stats TO narrow"));
    assert!(!check().contains("replication"), "{}", check());
}
