//! Two nodes under load while their database fails over, and what their clients see.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};
use user_proto::client::Client;
use user_proto::{ErrorCode, Logout, UpdateUser, VerifyToken};

use super::gateway_load;
use crate::support::{
    Account, CallStats, EmailFolder, Inbox, Journey, LEASE, PASSWORD, Process, SECRET,
    SimulatedUser, Site, TEST_TIMEOUT, TestServer, Workload, login, outcome, update, verify_users,
};

const CLIENTS: usize = 4;
pub const BEFORE: &str = "before";
pub const OUTAGE: &str = "during the failover";
pub const AFTER: &str = "after";
/// Time for which a node may accept the token of an ended session without saying how old its
/// knowledge is.
const REVOCATION_DELAY: Duration = Duration::from_secs(1);
/// What a busy machine adds to it.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The nodes and their clients.
pub struct FailoverLoad {
    pub stats: Arc<CallStats>,
    url: String,
    nodes: [Process; 2],
    sites: [Site; 2],
    regular: Account,
    workload: Workload,
    users: JoinSet<Vec<SimulatedUser>>,
    gateway: JoinSet<()>,
    endings: Endings,
    mail_folder: TempDir,
}

/// Result of the load.
pub struct Report {
    /// Number of accounts that were examined. None has lost anything.
    pub accounts: usize,
    /// Number of sessions that were ended on one node.
    pub ended: usize,
    /// Longest time from the end of a session to its refusal on the other node.
    pub usual: Duration,
    /// The same for sessions of the outage, from the time at which both nodes made changes again.
    pub of_outage: Duration,
    /// Logs of the nodes.
    pub logs: String,
}

impl FailoverLoad {
    /// Starts two nodes on this database, and the load. Returns after two seconds of it.
    pub async fn begin(url: &str) -> Self {
        let mail_folder = tempfile::tempdir().unwrap();
        let emails = || EmailFolder(mail_folder.path().to_owned());
        let nodes = [(); 2].map(|()| Process::start(&settings(url, &mail_folder)));
        let sites = [0, 1].map(|index: usize| Site {
            address: nodes[index].address,
            emails: emails(),
            single_node: false,
            clock_frozen: false,
        });
        let [site, other] = &sites;
        let regular = site.account(&site.client(), "regular").await;
        site.account(&site.client(), "ending").await;

        let workload = Workload::new(Inbox::new(&emails()), usize::MAX).with_default_deadline();
        let stats = workload.stats.clone();
        stats.phase(BEFORE);
        let clients = (0..CLIENTS).map(|number| sites[number % 2].client());
        let users = workload.spawn(clients.collect(), |_| Journey::Full);
        let gateway = gateway_load(&site.address.to_string(), &regular, &stats);
        let endings = Endings::begin(site.client(), other.client());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let url = url.to_owned();
        Self { stats, url, nodes, sites, regular, workload, users, gateway, endings, mail_folder }
    }

    /// Waits until both nodes make changes. Returns the time of the later one.
    pub async fn changes(&self, timeout: Duration) -> Instant {
        let began = Instant::now();
        for node in &self.sites {
            let (client, access) = (node.client(), self.regular.access());
            let rename =
                || UpdateUser { username: Some("regular-b".into()), ..update(access.as_str()) };
            while client.call(rename()).await.is_err() {
                assert!(began.elapsed() < timeout, "no changes after {:?}", began.elapsed());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Instant::now()
    }

    /// Ends the load, and examines all accounts on a node that starts afterwards and has seen no
    /// failover. The outage ends when both nodes make changes again.
    pub async fn end(self, outage: Range<Instant>) -> Report {
        self.workload.stop();
        let users = self.users.join_all().await.into_iter().flatten().collect();
        drop(self.gateway);
        let endings = self.endings.end().await;
        let (mut logs, mut nodes) = (String::new(), self.nodes);
        for node in &mut nodes {
            node.signal("TERM");
            assert_eq!(node.wait().await, Some(0), "{}", node.log());
            logs += &node.log();
        }
        let [first, _] = nodes;
        let settings = settings(&self.url, &self.mail_folder);
        let server = TestServer::start_in(first.kill().await, &settings).await;
        server.clock.advance(LEASE);
        let accounts = verify_users(&server, &self.workload.inbox, users).await;
        server.stop().await;
        let longest = |during_outage: bool| {
            let of_kind = endings.iter().filter(|ending| ending.is_of(&outage) == during_outage);
            of_kind.map(|ending| ending.latency(&outage)).max()
        };
        Report {
            accounts,
            ended: endings.len(),
            usual: longest(false).expect("no session ended"),
            of_outage: longest(true).unwrap_or_default(),
            logs,
        }
    }
}

fn settings<'a>(url: &'a str, mail_folder: &'a TempDir) -> [(&'a str, &'a str); 3] {
    let mail_dir = mail_folder.path().to_str().unwrap();
    [("PostgreSQL", url), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", mail_dir)]
}

/// End of a session by one node.
struct Ending {
    /// Time of the answer.
    answered: Instant,
    /// Time at which the other node refused the session.
    seen: Instant,
}

impl Ending {
    /// Returns true if the session ended in the outage: while no server answers, the other node
    /// cannot know of it.
    fn is_of(&self, outage: &Range<Instant>) -> bool {
        self.seen >= outage.start && self.answered <= outage.end
    }

    /// Returns how long the other node did not know of the end although it could.
    fn latency(&self, outage: &Range<Instant>) -> Duration {
        match self.is_of(outage) {
            true => self.seen.saturating_duration_since(self.answered.max(outage.end)),
            false => self.seen.duration_since(self.answered),
        }
    }
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
        while accepts_ended(&other, &access, answered).await {
            assert!(answered.elapsed() < TEST_TIMEOUT, "the session has not ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ended.lock().unwrap().push(Ending { answered, seen: Instant::now() });
    }
}

/// Checks the token of a session that ended at this time. Returns `false` if it is refused.
///
/// # Panics
/// If the token is accepted, and the answer does not say that it is based on older knowledge.
async fn accepts_ended(node: &Client, access: &str, ended: Instant) -> bool {
    let asked = ended.elapsed();
    match outcome(node.call(VerifyToken { access_token: access.into() }).await) {
        Ok(verified) => {
            let age = Duration::from_millis(verified.stale_ms.unwrap_or(0).into());
            let bound = age.max(REVOCATION_DELAY) + TOLERANCE;
            assert!(asked < bound, "accepted {asked:?} after its end, as of {age:?} ago");
            true
        }
        Err(code) => code != ErrorCode::SESSION_REVOKED,
    }
}
