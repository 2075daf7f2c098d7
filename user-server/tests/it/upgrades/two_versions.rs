//! Two versions of the server on one database, under load: this build, and the older one in the
//! variable `OLD_SERVER`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use user_proto::client::{Client, Config};
use user_server::domain::Store;
use user_server::store::{PostgresOptions, PostgresStore, SqliteStore};

use super::across::{self, Delays};
use super::fixture;
use super::kept_sessions::KeptSessions;
use crate::crash::assert_audited;
use crate::support::{
    Cluster, EmailFolder, Inbox, Journey, LEASE, NO_CONNECTION, NODES, Postgres, Process, SECRET,
    SimulatedUser, TestServer, Workload, executable, free_port, postgres, run_program,
    verify_users,
};

/// Duration of each state: the versions of the nodes do not change.
const HOLD: Duration = Duration::from_secs(8);
const ONE_VERSION: &str = "one version";
const SIDE_BY_SIDE: &str = "old and new";
/// Lifetimes longer than the run.
const LIFETIMES: [(&str, &str); 2] = [("OTP_EXPIRY", "60"), ("ACCESS_TOKEN_EXPIRY", "60")];

/// Returns the path of the older build.
fn old_program() -> PathBuf {
    let path = std::env::var_os("OLD_SERVER");
    path.expect("OLD_SERVER is set; ./test.sh --upgrades builds the older server and sets it")
        .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a build of an older version: ./test.sh --upgrades"]
async fn two_versions_serve_one_database_side_by_side() {
    let Some(database) = postgres() else { return };
    println!("{}", serve_side_by_side(database).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a build of an older version: ./test.sh --upgrades"]
async fn two_versions_serve_one_folder_in_turn() {
    println!("{}", serve_in_turn().await);
}

/// Three nodes behind HAProxy, and their load.
struct Upgrade {
    cluster: Cluster,
    workload: Workload,
    users: Vec<SimulatedUser>,
    delays: Delays,
}

impl Upgrade {
    /// Replaces the program of each node, one after the other. While both versions serve, makes
    /// changes on one and reads them on the other, in both directions.
    async fn roll(&mut self, program: &Path, is_upgrade: bool) {
        self.workload.stats.phase(SIDE_BY_SIDE);
        for node in 0..NODES {
            self.cluster.signal(node, "TERM");
            assert_eq!(self.cluster.wait_for_exit(node).await, Some(0));
            self.cluster.start_program(node, program).await;
            if node + 1 == NODES {
                break;
            }
            let addresses = self.cluster.addresses();
            let client = |node: usize| Client::new(addresses[node].to_string());
            let (replaced, other) = (client(0), client(NODES - 1));
            let (new, old) = if is_upgrade { (replaced, other) } else { (other, replaced) };
            let load = self.load_each_node();
            let emails = &self.cluster.site.emails;
            across::every_change(&old, &new, emails).await;
            across::every_change(&new, &old, emails).await;
            across::ends_of_sessions(&old, &new, emails, &mut self.delays.new).await;
            across::ends_of_sessions(&new, &old, emails, &mut self.delays.old).await;
            self.hold(load).await;
        }
        self.serve().await;
    }

    /// Serves with one version.
    async fn serve(&mut self) {
        self.workload.stats.phase(ONE_VERSION);
        let load = self.load_each_node();
        self.hold(load).await;
    }

    /// Starts clients that are connected to each node.
    fn load_each_node(&self) -> Load {
        let workload = self.workload.restarted();
        let nodes = self.cluster.addresses();
        let clients = nodes.iter().chain(&nodes).map(|node| Client::new(node.to_string()));
        let running = workload.spawn(clients.collect(), |_| Journey::Full);
        Load { workload, running }
    }

    async fn hold(&mut self, load: Load) {
        tokio::time::sleep(HOLD).await;
        self.users.extend(load.stop().await);
    }
}

/// Clients that run until they are stopped.
struct Load {
    workload: Workload,
    running: tokio::task::JoinSet<Vec<SimulatedUser>>,
}

impl Load {
    async fn stop(self) -> Vec<SimulatedUser> {
        self.workload.stop();
        self.running.join_all().await.into_iter().flatten().collect()
    }
}

/// Upgrades the nodes of a cluster one after the other, rolls them back, and upgrades them again.
/// Returns the tables of calls and of the delays of revocations.
async fn serve_side_by_side(server: &Postgres) -> String {
    let (old, new) = (old_program(), executable());
    let url = fixture::load_postgres(schema_of(&old), server).await;
    let Some(cluster) = Cluster::of(&old, url.clone(), &LIFETIMES).await else {
        return String::new();
    };
    let workload = Workload::new(Inbox::new(&cluster.site.emails), usize::MAX);
    workload.stats.phase(ONE_VERSION);
    let clients = (0..4).map(|_| cluster.site.client()).collect();
    let running = workload.spawn(clients, |_| Journey::Full);
    let throughout = Load { workload: workload.clone(), running };
    let kept = KeptSessions::open(&cluster.site.client(), &cluster.site.emails).await;
    let using = kept.use_until_stopped(cluster.site.client(), workload.stats.clone());
    let mut upgrade = Upgrade { cluster, workload, users: Vec::new(), delays: Delays::default() };

    upgrade.serve().await;
    upgrade.roll(&new, true).await;
    upgrade.roll(&old, false).await;
    let mail_dir = upgrade.cluster.site.emails.0.to_str().unwrap().to_owned();
    let mut settings =
        vec![("PostgreSQL", url.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", &mail_dir)];
    settings.extend(LIFETIMES);
    expect_consistent(&old, tempfile::tempdir().unwrap().path(), &settings);
    upgrade.roll(&new, true).await;

    let Upgrade { cluster, workload, mut users, delays } = upgrade;
    users.extend(throughout.stop().await);
    using.stop().await;
    workload.stats.assert_only(&["OK"]);
    for node in cluster.addresses() {
        kept.expect_live(&Client::new(node.to_string())).await;
    }
    let folder = cluster.stop().await;
    let options = PostgresOptions::parse(&url, 2, false).unwrap();
    let count =
        verify(folder, &settings, &PostgresStore::open(&options), &workload.inbox, users).await;
    let title = format!(
        "PostgreSQL: {} restarts, {count} accounts, nothing lost, no session ended",
        3 * NODES
    );
    workload.stats.table(&title) + "\n" + &delays.table()
}

/// Upgrades a single node, starts the older version again, and upgrades it again. Returns the table
/// of calls.
async fn serve_in_turn() -> String {
    let (old, new) = (old_program(), executable());
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("user-data")).unwrap();
    fixture::load_sqlite(schema_of(&old), &folder.path().join("user-data/users.db")).await;
    let port = free_port().to_string();
    let mut settings = vec![("JWTSECRETKEY", SECRET), ("TCP_PORT", port.as_str())];
    settings.extend(LIFETIMES);
    let mut process = Process::start_program(&old, folder, &settings);
    let emails = process.emails();
    let workload = Workload::new(Inbox::new(&emails), usize::MAX);
    let config = Config { max_backoff: Duration::from_millis(200), ..Config::default() };
    let address = process.address.to_string();
    let client = |_| Client::with_config(address.clone(), config.clone());
    let kept = KeptSessions::open(&client(0), &emails).await;
    let using = kept.use_until_stopped(client(0), workload.stats.clone());
    let running = workload.spawn((0..8).map(client).collect(), |_| Journey::Full);
    let load = Load { workload: workload.clone(), running };
    let (mut restarts, mut serving, mut back) = (0, &old, "starts");
    for program in [&new, &old, &new] {
        tokio::time::sleep(HOLD).await;
        process.signal("TERM");
        assert_eq!(process.wait().await, Some(0), "{}", process.log());
        let folder = process.kill().await;
        expect_consistent(serving, folder.path(), &settings);
        let refused = program == &old && refuses_later_schema(&old, folder.path(), &settings);
        if refused {
            back = "refuses to start";
        }
        serving = if refused { &new } else { program };
        process = Process::start_program(serving, folder, &settings);
        restarts += 1;
    }
    tokio::time::sleep(HOLD).await;
    let users = load.stop().await;
    using.stop().await;
    workload.stats.assert_only(&["OK", NO_CONNECTION]);
    kept.expect_live(&process.client()).await;
    let folder = process.kill().await;
    let data = folder.path().join("user-data");
    let mail_dir = EmailFolder(data.join("mails")).0;
    let mut settings = vec![("JWTSECRETKEY", SECRET), ("DATA_DIR", data.to_str().unwrap())];
    settings.push(("MAIL_DIR", mail_dir.to_str().unwrap()));
    settings.extend(LIFETIMES);
    let store = SqliteStore::open_read_only(&data.join("users.db"));
    let count = verify(folder, &settings, &store, &workload.inbox, users).await;
    workload.stats.table(&format!(
        "SQLite: {restarts} restarts, {count} accounts, nothing lost, no session ended; the older \
         version {back} on the schema of this one"
    ))
}

/// Returns the schema version that a build of the server creates.
fn schema_of(program: &Path) -> i64 {
    let folder = tempfile::tempdir().unwrap();
    let result = run_program(program, folder.path(), &["migrate", "--dry-run"], &[]);
    let schema = result.output.trim().rsplit(' ').next().and_then(|last| last.parse().ok());
    schema.unwrap_or_else(|| panic!("{result:?}"))
}

/// Returns true if an older build refuses to start on the schema of this one, with a message that
/// says so. Versions before 0.1.0 do, on SQLite.
fn refuses_later_schema(old: &Path, folder: &Path, settings: &[(&str, &str)]) -> bool {
    let result = tokio::task::block_in_place(|| run_program(old, folder, &["migrate"], settings));
    let is_refusal = result.code == Some(1) && result.error.contains("later version");
    assert!(is_refusal || result.code == Some(0), "{result:?}");
    is_refusal
}

/// Asserts that the database passes the checks of a build.
fn expect_consistent(program: &Path, folder: &Path, settings: &[(&str, &str)]) {
    for command in [["audit", "verify"].as_slice(), &["fsck"]] {
        let run = || run_program(program, folder, command, settings);
        let result = tokio::task::block_in_place(run);
        assert_eq!(result.code, Some(0), "{command:?}: {result:?}");
        assert!(result.output.contains("good "), "{command:?}: {result:?}");
    }
}

/// Verifies every user and the audit log on a freshly started node of this build. Returns the
/// number of users.
async fn verify(
    folder: TempDir,
    settings: &[(&str, &str)],
    store: &dyn Store,
    inbox: &Arc<Inbox>,
    users: Vec<SimulatedUser>,
) -> usize {
    let server = TestServer::start_in(folder, settings).await;
    assert_audited(store, &users).await;
    expect_consistent(&executable(), server.folder.path(), settings);
    server.clock.advance(LEASE);
    let count = verify_users(&server, inbox, users).await;
    server.stop().await;
    count
}
