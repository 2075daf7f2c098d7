//! Patroni replaces the leader of a cluster while clients write. `./test.sh --cluster` runs these
//! tests, and prints their tables.

use std::time::{Duration, Instant};

use super::failover_load::{AFTER, BEFORE, FailoverLoad, OUTAGE};
use crate::support::{DatabaseBalancer, Patroni};

const RETURNING: &str = "the old leader returns";
/// Time within which the service makes changes after the new leader does, and within which an ended
/// session is refused on every node.
const LIMIT: Duration = Duration::from_secs(1);
/// Time to wait for that.
const CHANGES_TIMEOUT: Duration = Duration::from_secs(20);

/// Way in which the nodes find the leader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    /// All members are in the URL.
    Hosts,
    /// HAProxy leads to the leader, and asks Patroni which one that is.
    Balancer,
}

/// Way in which the leader is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Patroni and its server are killed, and started again after the failover.
    Kill,
    /// Patroni and its server are stopped, and continue after the failover.
    Pause,
    /// Patroni is asked to hand over.
    Switchover,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Patroni; ./test.sh --cluster runs it"]
async fn a_killed_leader_is_replaced() {
    println!("{}", replace("Leader killed", Loss::Kill, Route::Hosts).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Patroni; ./test.sh --cluster runs it"]
async fn a_killed_leader_is_replaced_behind_haproxy() {
    println!("{}", replace("Leader killed, behind HAProxy", Loss::Kill, Route::Balancer).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Patroni; ./test.sh --cluster runs it"]
async fn a_leader_hands_over() {
    println!("{}", replace("Switchover", Loss::Switchover, Route::Hosts).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Patroni; ./test.sh --cluster runs it"]
async fn a_paused_leader_is_replaced_and_resumes() {
    println!("{}", replace("Leader paused and resumed", Loss::Pause, Route::Hosts).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Patroni; ./test.sh --cluster runs it"]
async fn a_paused_leader_is_replaced_and_resumes_behind_haproxy() {
    let name = "Leader paused and resumed, behind HAProxy";
    println!("{}", replace(name, Loss::Pause, Route::Balancer).await);
}

/// Takes the leader from a cluster under load, and brings it back after the failover. Returns the
/// table of calls.
async fn replace(name: &str, loss: Loss, route: Route) -> String {
    let Some(mut cluster) = Patroni::start().await else { return String::new() };
    let balancer = match route {
        Route::Hosts => None,
        Route::Balancer => match DatabaseBalancer::before_members(&cluster) {
            None => return String::new(),
            started => started,
        },
    };
    let hosts = match &balancer {
        Some(balancer) => balancer.address(),
        None => cluster.addresses().join(","),
    };
    let url = format!("postgres://tests@{hosts}/users?target_session_attrs=read-write");
    let load = FailoverLoad::begin(&url).await;
    let (stats, old) = (load.stats.clone(), cluster.leader().expect("a leader"));
    stats.phase(OUTAGE);
    let stopped = Instant::now();
    match loss {
        Loss::Kill => cluster.kill(old),
        Loss::Pause => cluster.pause(old),
        Loss::Switchover => cluster.switch_over(old),
    }
    let leader = cluster.new_leader(old).await;
    let again = load.changes(CHANGES_TIMEOUT).await;
    stats.phase(AFTER);
    tokio::time::sleep(Duration::from_secs(2)).await;
    stats.phase(RETURNING);
    match loss {
        Loss::Kill => cluster.restart(old),
        Loss::Pause => cluster.resume(old),
        Loss::Switchover => (),
    }
    cluster.wait_until_complete().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let report = load.end(stopped..again).await;

    let resumed = again.saturating_duration_since(leader.committed);
    let table = stats.table(&format!(
        "{name}: the new leader accepts writes after {:.1?}, and commits them after {:.1?}; \
         changes are made {resumed:.0?} later; {} accounts, nothing lost; {} sessions ended, seen \
         on the other node within {:.0?}, those of the outage within {:.0?} after it",
        leader.writable - stopped,
        leader.committed - stopped,
        report.accounts,
        report.ended,
        report.usual,
        report.of_outage
    ));
    assert_ne!(cluster.leader(), Some(old), "the old leader leads again");
    for phase in [BEFORE, AFTER, RETURNING] {
        stats.assert_only_in(phase, &["OK"]);
    }
    stats.assert_only_in(OUTAGE, &["OK", "UNAVAILABLE"]);
    stats.assert_only_of(OUTAGE, "VerifyToken", &["OK"]);
    assert!(stats.count(OUTAGE, "UNAVAILABLE") > 0, "no call was affected");
    assert!(resumed < LIMIT, "{table}{}", report.logs);
    assert!(report.usual < LIMIT && report.of_outage < LIMIT, "{table}{}", report.logs);
    table
}
