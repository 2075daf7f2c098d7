//! PostgreSQL killed and restarted, stopped and continued, and behind a hostile proxy, under load.

use std::time::{Duration, Instant};

use user_proto::GetUser;
use user_proto::client::Client;

use super::gateway_load;
use crate::support::{
    EmailFolder, Inbox, Journey, LEASE, PgProxy, Postgres, Process, SECRET, SimulatedUser, Site,
    TEST_TIMEOUT, TestServer, Workload, together, verify_users,
};

const CLIENTS: usize = 6;
const BEFORE: &str = "before";
const OUTAGE: &str = "during the outage";
const RECOVERING: &str = "during recovery";
const AFTER: &str = "after";

/// Name of an outage, and the functions that begin and end it.
type Outage = (&'static str, fn(&Postgres), fn(&Postgres));

const KILLED: Outage = ("PostgreSQL killed and restarted", Postgres::crash, Postgres::restart);
const HUNG: Outage =
    ("PostgreSQL stopped (SIGSTOP) and continued", |at| at.signal("STOP"), |at| at.signal("CONT"));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_fails_requests_and_loses_nothing() {
    fail(KILLED, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_database_fails_requests_and_loses_nothing() {
    fail(HUNG, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute without a database; docs/FAULTS.md has the command and the figures"]
async fn long_a_killed_database_fails_requests_and_loses_nothing() {
    println!("{}", fail(KILLED, Duration::from_secs(30)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute without a database; docs/FAULTS.md has the command and the figures"]
async fn long_a_hung_database_fails_requests_and_loses_nothing() {
    println!("{}", fail(HUNG, Duration::from_secs(30)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_proxy_fails_requests_and_loses_nothing() {
    fail_by_proxy(Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute behind a hostile proxy; docs/FAULTS.md has the command and the figures"]
async fn long_a_hostile_proxy_fails_requests_and_loses_nothing() {
    println!("{}", fail_by_proxy(Duration::from_secs(30)).await);
}

/// Makes the database unavailable for a while. Returns the table of calls.
async fn fail((name, begin, end): Outage, duration: Duration) -> String {
    let Some(database) = Postgres::dedicated() else { return String::new() };
    let url = database.database();
    let name = format!("{name}, down for {} s", duration.as_secs());
    fail_while([&url, &url], duration, || begin(&database), || end(&database), || name).await
}

/// Refuses commits, cuts connections after a commit and before its reply, and silences connections
/// for a while. Returns the table of calls.
async fn fail_by_proxy(duration: Duration) -> String {
    let Some(database) = Postgres::dedicated() else { return String::new() };
    let direct = database.database();
    let (proxy, url) = PgProxy::before(&direct).await;
    let set = |refused, lost, silenced| {
        proxy.conflict_every(refused);
        proxy.lose_every(lost);
        proxy.silence_every(silenced);
    };
    let name = || {
        let faults = proxy.faults();
        let kinds = [faults.refused, faults.lost, faults.silenced];
        assert!(kinds.iter().all(|count| *count > 0), "{faults:?}");
        format!(
            "A hostile proxy for {} s: {} commits refused with 40001, {} connections cut after the \
             commit and before its reply, {} connections silenced",
            duration.as_secs(),
            faults.refused,
            faults.lost,
            faults.silenced
        )
    };
    fail_while([&url, &direct], duration, || set(3, 7, 250), || set(0, 0, 0), name).await
}

/// Runs a node under load, with faults of its database between `begin` and `end`. `urls` are those
/// of the database for the node, and for the verification afterwards. Returns the table of calls,
/// with this name.
async fn fail_while(
    urls: [&str; 2],
    duration: Duration,
    begin: impl FnOnce(),
    end: impl FnOnce(),
    name: impl FnOnce() -> String,
) -> String {
    let mail_folder = tempfile::tempdir().unwrap();
    let mail_dir = mail_folder.path().to_str().unwrap();
    let settings =
        urls.map(|url| [("PostgreSQL", url), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", mail_dir)]);
    let [settings, direct] = settings;
    let mut process = Process::start(&settings);
    let emails = || EmailFolder(mail_folder.path().to_owned());
    let site =
        Site { address: process.address, emails: emails(), single_node: true, clock_frozen: false };
    let regular = site.account(&site.client(), "regular").await;

    let workload = Workload::new(Inbox::new(&emails()), usize::MAX).with_default_deadline();
    let stats = workload.stats.clone();
    stats.phase(BEFORE);
    let running = workload.spawn((0..CLIENTS).map(|_| site.client()).collect(), |_| Journey::Full);
    let gateway = gateway_load(&site.address.to_string(), &regular, &stats);
    tokio::time::sleep(Duration::from_secs(2)).await;
    stats.phase(OUTAGE);
    begin();
    tokio::time::sleep(duration).await;
    stats.phase(RECOVERING);
    end();
    let name = name();
    let recovered_after = recovery(&site, &regular.access()).await;
    stats.phase(AFTER);
    tokio::time::sleep(Duration::from_secs(2)).await;
    workload.stop();
    let users: Vec<SimulatedUser> = running.join_all().await.into_iter().flatten().collect();
    drop(gateway);

    stats.assert_only_in(BEFORE, &["OK"]);
    for phase in [OUTAGE, RECOVERING] {
        stats.assert_only_in(phase, &["OK", "UNAVAILABLE"]);
        if duration < Duration::from_secs(20) {
            stats.assert_only_of(phase, "VerifyToken", &["OK"]);
        }
    }
    stats.assert_only_in(AFTER, &["OK"]);
    assert!(stats.count(OUTAGE, "UNAVAILABLE") > 0, "no call was affected");
    assert!(
        stats.max_latency() < Duration::from_secs(20),
        "a reply after {:?}",
        stats.max_latency()
    );
    // The pool has all its connections again: more lookups at once than it has connections.
    let lookups = (0..32).map(|_| look_up(site.client(), regular.access()));
    assert!(together(lookups).await.iter().all(|found| *found));

    process.signal("TERM");
    assert_eq!(process.wait().await, Some(0), "{}", process.log());
    let server = TestServer::start_in(process.kill().await, &direct).await;
    server.clock.advance(LEASE);
    let count = verify_users(&server, &workload.inbox, users).await;
    server.stop().await;
    stats.table(&format!(
        "{name}, recovered after {recovered_after:.1?}; {count} accounts, nothing lost"
    ))
}

async fn look_up(client: Client, access: String) -> bool {
    client.call(GetUser { access_token: access.as_str().into() }).await.is_ok()
}

/// Waits until requests that need the database succeed again. Returns the time that this took.
async fn recovery(site: &Site, access: &str) -> Duration {
    let (client, began) = (site.client(), Instant::now());
    while !look_up(client.clone(), access.to_owned()).await {
        assert!(began.elapsed() < TEST_TIMEOUT, "the service does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}
