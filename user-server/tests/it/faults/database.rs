//! PostgreSQL, killed and started again, and stopped and continued, under load.

use std::time::{Duration, Instant};

use user_proto::GetUser;
use user_proto::client::Client;

use super::watch;
use crate::support::{
    EmailFolder, Inbox, Journey, LEASE, NO_ANSWER, Postgres, Process, SECRET, SimulatedUser, Site,
    TEST_TIMEOUT, TestServer, Workload, together, verify_users,
};

const CLIENTS: usize = 6;
const BEFORE: &str = "before";
const AWAY: &str = "during the outage";
const RECOVERING: &str = "during recovery";
const AFTER: &str = "after";

/// How the database goes, and comes back.
type Way = (&'static str, fn(&Postgres), fn(&Postgres));

const KILLED: Way = ("PostgreSQL killed and restarted", Postgres::crash, Postgres::restart);
const HUNG: Way =
    ("PostgreSQL stopped (SIGSTOP) and continued", |at| at.signal("STOP"), |at| at.signal("CONT"));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_costs_answers_and_no_more() {
    fail(KILLED, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_database_costs_answers_and_no_more() {
    fail(HUNG, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute without a database; docs/FAULTS.md has the command and the figures"]
async fn long_a_killed_database_costs_answers_and_no_more() {
    println!("{}", fail(KILLED, Duration::from_secs(30)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute without a database; docs/FAULTS.md has the command and the figures"]
async fn long_a_hung_database_costs_answers_and_no_more() {
    println!("{}", fail(HUNG, Duration::from_secs(30)).await);
}

/// Takes the database away for a while; what clients saw.
async fn fail((way, go, come_back): Way, away: Duration) -> String {
    let Some(database) = Postgres::dedicated() else { return String::new() };
    let (url, mail_folder) = (database.database(), tempfile::tempdir().unwrap());
    let mails = mail_folder.path().to_str().unwrap();
    let settings = [("PostgreSQL", url.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", mails)];
    let mut process = Process::start(&settings);
    let mails = || EmailFolder(mail_folder.path().to_owned());
    let site =
        Site { address: process.address, emails: mails(), single_node: true, clock_frozen: false };
    let regular = site.account(&site.client(), "regular").await;

    let world = Workload::new(Inbox::new(&mails()), usize::MAX).with_default_deadline();
    let stats = world.stats.clone();
    stats.phase(BEFORE);
    let running = world.spawn((0..CLIENTS).map(|_| site.client()).collect(), |_| Journey::Full);
    let watching = watch(&site.address.to_string(), &regular, &stats);
    tokio::time::sleep(Duration::from_secs(2)).await;
    stats.phase(AWAY);
    go(&database);
    tokio::time::sleep(away).await;
    stats.phase(RECOVERING);
    come_back(&database);
    let back = recovery(&site, &regular.access()).await;
    stats.phase(AFTER);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.stop();
    let lives: Vec<SimulatedUser> = running.join_all().await.into_iter().flatten().collect();
    drop(watching);

    stats.assert_only_in(BEFORE, &["OK"]);
    for phase in [AWAY, RECOVERING] {
        // The client's timeout ends with the server's, so either may report it first.
        stats.assert_only_in(phase, &["OK", "UNAVAILABLE", "DEADLINE_EXCEEDED", NO_ANSWER]);
        if away < Duration::from_secs(20) {
            stats.assert_only_of(phase, "VerifyToken", &["OK"]);
        }
    }
    stats.assert_only_in(AFTER, &["OK"]);
    // One that is killed is missed at once; one that hangs is waited for, as long as the callers
    // wait.
    assert!(
        stats.count(AWAY, "UNAVAILABLE") > 0 || stats.max_latency() > away / 2,
        "nobody noticed"
    );
    assert!(
        stats.max_latency() < Duration::from_secs(20),
        "an answer after {:?}",
        stats.max_latency()
    );
    // Every place of the pool is there: more at once than it has.
    let looks = (0..32).map(|_| look(site.client(), regular.access()));
    assert!(together(looks).await.iter().all(|found| *found));

    process.signal("TERM");
    assert_eq!(process.wait().await, Some(0), "{}", process.log());
    let server = TestServer::start_in(process.kill().await, &settings).await;
    server.clock.advance(LEASE);
    let count = verify_users(&server, &world.inbox, lives).await;
    server.stop().await;
    stats.table(&format!(
        "{way}, down for {} s, recovered after {back:.1?}; {count} accounts, nothing lost",
        away.as_secs()
    ))
}

async fn look(client: Client, access: String) -> bool {
    client.call(GetUser { access_token: access.as_str().into() }).await.is_ok()
}

/// How long it takes until the service answers again what needs the database.
async fn recovery(site: &Site, access: &str) -> Duration {
    let (client, began) = (site.client(), Instant::now());
    while !look(client.clone(), access.to_owned()).await {
        assert!(began.elapsed() < TEST_TIMEOUT, "it does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}
