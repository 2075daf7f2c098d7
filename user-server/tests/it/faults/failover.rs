//! A synchronous standby takes over while clients write.

use std::time::{Duration, Instant};

use super::failover_load::{AFTER, BEFORE, FailoverLoad, OUTAGE};
use crate::support::{DatabaseBalancer, Postgres, TEST_TIMEOUT};

const RECONNECTING: &str = "every connection is lost again";
/// Time within which the service makes changes again after the standby accepts them, and within
/// which an ended session is refused on every node, on a machine with other work. The figures in
/// docs/FAULTS.md are below a second.
const LIMIT: Duration = Duration::from_secs(5);
/// Duration of the outage before the standby is promoted.
const OUTAGE_DURATION: Duration = Duration::from_secs(2);
/// Statement that closes every connection of the service.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'user-server'";

/// Way in which the nodes find the server that accepts writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    /// Both servers are in the URL.
    Hosts,
    /// Both servers are in the form `host=... port=...`.
    KeyValue,
    /// HAProxy leads to the one that is not a standby.
    Balancer,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_from_a_killed_primary() {
    println!("{}", fail_over("PostgreSQL killed", Route::Hosts, Postgres::crash, None).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_behind_haproxy() {
    let name = "PostgreSQL killed, behind HAProxy";
    println!("{}", fail_over(name, Route::Balancer, Postgres::crash, None).await);
}

/// The old primary accepts writes when it resumes, since nobody has told it that it was replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_primary_that_resumes_gets_no_writes() {
    let resume = |primary: &Postgres| {
        primary.signal("CONT");
        let writable = "SELECT 1 / (NOT pg_is_in_recovery())::int";
        assert!(primary.psql("postgres", writable), "the old primary accepts no writes");
    };
    let pause = |primary: &Postgres| primary.signal("STOP");
    let name = "PostgreSQL paused and resumed";
    println!("{}", fail_over(name, Route::KeyValue, pause, Some(resume)).await);
}

/// Stops the primary of a synchronous pair under load, promotes the standby, and resumes the
/// primary. Returns the table of calls.
async fn fail_over(
    name: &str,
    route: Route,
    stop: impl Fn(&Postgres),
    resume: Option<fn(&Postgres)>,
) -> String {
    let Some(primary) = Postgres::dedicated() else { return String::new() };
    let Some(standby) = primary.synchronous_standby() else { return String::new() };
    let mut balancer = None;
    if route == Route::Balancer {
        balancer = DatabaseBalancer::before([&primary, &standby]);
        if balancer.is_none() {
            return String::new();
        }
    }
    let url = url(route, &primary, &standby, balancer.as_ref());
    let load = FailoverLoad::begin(&url).await;
    let stats = load.stats.clone();
    stats.phase(OUTAGE);
    let stopped = Instant::now();
    stop(&primary);
    tokio::time::sleep(OUTAGE_DURATION).await;
    standby.promote();
    let promoted = Instant::now();
    let again = load.changes(TEST_TIMEOUT).await;
    if let Some(resume) = resume {
        resume(&primary);
    }
    stats.phase(AFTER);
    tokio::time::sleep(Duration::from_secs(2)).await;
    if resume.is_some() {
        // The nodes choose again between two servers that accept writes.
        stats.phase(RECONNECTING);
        // The calls of the previous phase are answered first.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(standby.psql("postgres", TERMINATE));
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let report = load.end(stopped..again).await;
    let resumed = again - promoted;
    let table = stats.table(&format!(
        "{name}, changes are made {resumed:.0?} after the promotion; {} accounts, nothing lost; {} \
         sessions ended, seen on the other node within {:.0?}, those of the outage within {:.0?} \
         after it",
        report.accounts, report.ended, report.usual, report.of_outage
    ));

    stats.assert_only_in(BEFORE, &["OK"]);
    stats.assert_only_in(OUTAGE, &["OK", "UNAVAILABLE"]);
    stats.assert_only_of(OUTAGE, "VerifyToken", &["OK"]);
    assert_eq!(stats.count(AFTER, "UNAVAILABLE"), 0, "{table}{}", report.logs);
    stats.assert_only_in(AFTER, &["OK"]);
    stats.assert_only_in(RECONNECTING, &["OK", "UNAVAILABLE"]);
    stats.assert_only_of(RECONNECTING, "VerifyToken", &["OK"]);
    assert!(stats.count(OUTAGE, "UNAVAILABLE") > 0, "no call was affected");
    assert!(resumed < LIMIT, "{table}");
    assert!(report.usual < LIMIT && report.of_outage < LIMIT, "{table}");
    table
}

/// Returns the setting that names the database.
fn url(
    route: Route,
    primary: &Postgres,
    standby: &Postgres,
    balancer: Option<&DatabaseBalancer>,
) -> String {
    let database = primary.database();
    let name = database.rsplit('/').next().unwrap();
    let (first, second) = (primary.address(), standby.address());
    let ports = [&first, &second].map(|address| address.rsplit(':').next().unwrap().to_owned());
    match (route, balancer) {
        (Route::Balancer, Some(balancer)) => database.replace(&first, &balancer.address()),
        (Route::KeyValue, _) => format!(
            "host=127.0.0.1,127.0.0.1 port={} dbname={name} user=tests \
             target_session_attrs=read-write",
            ports.join(",")
        ),
        _ => format!("postgres://tests@{first},{second}/{name}?target_session_attrs=read-write"),
    }
}
