//! A synchronous standby takes over while clients write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use user_proto::client::Client;
use user_proto::{ErrorCode, Logout, UpdateUser};

use super::gateway_load;
use crate::support::{
    DatabaseBalancer, EmailFolder, Inbox, Journey, LEASE, PASSWORD, Postgres, Process, SECRET,
    SimulatedUser, Site, TEST_TIMEOUT, TestServer, Workload, check, login, update, verify_users,
};

const CLIENTS: usize = 4;
const BEFORE: &str = "before";
const OUTAGE: &str = "during the failover";
const AFTER: &str = "after";
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
    let mail_folder = tempfile::tempdir().unwrap();
    let mail_dir = mail_folder.path().to_str().unwrap();
    let settings = [("PostgreSQL", url.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", mail_dir)];
    let mut nodes = [Process::start(&settings), Process::start(&settings)];
    let emails = || EmailFolder(mail_folder.path().to_owned());
    let [site, other] = [0, 1].map(|index: usize| Site {
        address: nodes[index].address,
        emails: emails(),
        single_node: false,
        clock_frozen: false,
    });
    let regular = site.account(&site.client(), "regular").await;
    site.account(&site.client(), "ending").await;

    let workload = Workload::new(Inbox::new(&emails()), usize::MAX).with_default_deadline();
    let stats = workload.stats.clone();
    stats.phase(BEFORE);
    let clients = (0..CLIENTS).map(|number| [&site, &other][number % 2].client());
    let running = workload.spawn(clients.collect(), |_| Journey::Full);
    let gateway = gateway_load(&site.address.to_string(), &regular, &stats);
    let endings = Endings::begin(site.client(), other.client());
    tokio::time::sleep(Duration::from_secs(2)).await;
    stats.phase(OUTAGE);
    let stopped = Instant::now();
    stop(&primary);
    tokio::time::sleep(OUTAGE_DURATION).await;
    standby.promote();
    let promoted = Instant::now();
    let mut resumed = Duration::ZERO;
    for node in [&site, &other] {
        let (client, access) = (node.client(), regular.access());
        let rename =
            || UpdateUser { username: Some("regular-b".into()), ..update(access.as_str()) };
        while client.call(rename()).await.is_err() {
            let waited = promoted.elapsed();
            assert!(waited < TEST_TIMEOUT, "no changes {waited:?} after the promotion");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        resumed = promoted.elapsed();
    }
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
    workload.stop();
    let users: Vec<SimulatedUser> = running.join_all().await.into_iter().flatten().collect();
    drop(gateway);
    let endings = endings.end().await;

    let mut logs = String::new();
    for node in &mut nodes {
        node.signal("TERM");
        assert_eq!(node.wait().await, Some(0), "{}", node.log());
        logs += &node.log();
    }
    // A node that has not seen the promotion chooses the new primary as well.
    let [first, _] = nodes;
    let server = TestServer::start_in(first.kill().await, &settings).await;
    server.clock.advance(LEASE);
    let count = verify_users(&server, &workload.inbox, users).await;
    server.stop().await;
    // While no server answers, the other node cannot know of the last sessions that ended.
    let again = promoted + resumed;
    let known = |ending: &Ending| ending.seen < stopped || ending.answered > again;
    let latency = |ending: &Ending| match known(ending) {
        true => ending.seen.duration_since(ending.answered),
        false => ending.seen.saturating_duration_since(ending.answered.max(again)),
    };
    let longest = |during_outage: bool| {
        endings.iter().filter(|ending| known(ending) != during_outage).map(latency).max()
    };
    let usual = longest(false).expect("no session ended");
    let slowest = longest(true).unwrap_or_default();
    let table = stats.table(&format!(
        "{name}, changes are made {resumed:.0?} after the promotion; {count} accounts, nothing \
         lost; {} sessions ended, seen on the other node within {usual:.0?}, those of the outage \
         within {slowest:.0?} after it",
        endings.len()
    ));

    stats.assert_only_in(BEFORE, &["OK"]);
    stats.assert_only_in(OUTAGE, &["OK", "UNAVAILABLE"]);
    stats.assert_only_of(OUTAGE, "VerifyToken", &["OK"]);
    assert_eq!(stats.count(AFTER, "UNAVAILABLE"), 0, "{table}{logs}");
    stats.assert_only_in(AFTER, &["OK"]);
    stats.assert_only_in(RECONNECTING, &["OK", "UNAVAILABLE"]);
    stats.assert_only_of(RECONNECTING, "VerifyToken", &["OK"]);
    assert!(stats.count(OUTAGE, "UNAVAILABLE") > 0, "no call was affected");
    assert!(resumed < LIMIT, "{table}");
    assert!(usual < LIMIT && slowest < LIMIT, "{table}");
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

/// End of a session by one node.
struct Ending {
    /// Time of the answer.
    answered: Instant,
    /// Time at which the other node refused the session.
    seen: Instant,
}

/// A task that ends one session after another on a node, and waits until another refuses it.
struct Endings {
    stopped: Arc<AtomicBool>,
    ended: Arc<Mutex<Vec<Ending>>>,
    task: JoinHandle<()>,
}

impl Endings {
    fn begin(node: Client, other: Client) -> Self {
        let (stopped, ended) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let task = tokio::spawn(end_sessions(node, other, stopped.clone(), Arc::clone(&ended)));
        Self { stopped, ended, task }
    }

    async fn end(self) -> Vec<Ending> {
        self.stopped.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        std::mem::take(&mut *self.ended.lock().unwrap())
    }
}

async fn end_sessions(
    node: Client,
    other: Client,
    stopped: Arc<AtomicBool>,
    ended: Arc<Mutex<Vec<Ending>>>,
) {
    while !stopped.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Ok(session) = node.call(login("ending", PASSWORD)).await else { continue };
        let access = session.access_token.expose_str().unwrap().to_owned();
        let logout = Logout { token: access.as_str().into(), all_sessions: None };
        if node.call(logout).await.is_err() {
            continue;
        }
        let answered = Instant::now();
        while check(&other, &access).await != Some(ErrorCode::SESSION_REVOKED) {
            assert!(answered.elapsed() < TEST_TIMEOUT, "the session has not ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ended.lock().unwrap().push(Ending { answered, seen: Instant::now() });
    }
}
