//! Three nodes on one database behind HAProxy: server processes that are started, stopped and
//! killed one by one.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::postgres::{free_port, left_out};
use super::{EmailFolder, Postgres, Process, Redis, Site, TEST_TIMEOUT, executable};

pub const NODES: usize = 3;
pub const SECRET: &str = "a secret of more than thirty-two bytes, the same on all nodes";

/// The configuration in docs/OPERATIONS.md, in which the addresses are replaced.
const HAPROXY_CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/haproxy.cfg");
/// Ends HAProxy when standard input closes, so that it does not outlive the tests.
const SUPERVISOR: &str = r#""$0" -db -f "$1" >"$2" 2>&1 & read -r _; kill -KILL %1"#;

/// The nodes, their load balancer, and its address.
pub struct Cluster {
    pub site: Site,
    nodes: Vec<Node>,
    settings: Vec<(String, String)>,
    _balancer: LoadBalancer,
    redis: Option<Redis>,
    folder: TempDir,
}

/// A node, which keeps its folder and addresses when it restarts.
struct Node {
    process: Option<Process>,
    folder: Option<TempDir>,
    address: SocketAddr,
    monitor: SocketAddr,
}

struct LoadBalancer {
    supervisor: Child,
}

impl Cluster {
    /// Starts all nodes at once on an empty database of this server, with additional settings.
    /// Returns `None` if HAProxy is not installed.
    pub async fn on(database: &Postgres, settings: &[(&str, &str)]) -> Option<Self> {
        Self::of(&executable(), database.database(), settings).await
    }

    /// Like [`Cluster::on`], with nodes that run this build of the server on a database, given by
    /// its URL.
    pub async fn of(program: &Path, database: String, settings: &[(&str, &str)]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let emails = folder.path().join("mails");
        std::fs::create_dir(&emails).unwrap();
        let mail_dir = emails.to_str().unwrap();
        // The health check must fail before a node stops accepting connections.
        let mut common = vec![("JWTSECRETKEY", SECRET), ("DRAIN_DELAY", "2")];
        if !settings.iter().any(|(name, _)| *name == "SMTP_HOST") {
            common.push(("MAIL_DIR", mail_dir));
        }
        let given = common.iter().chain(settings);
        let mut settings = vec![("PostgreSQL".to_owned(), database)];
        settings.extend(given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let haproxy = ["/usr/sbin/haproxy", "/usr/bin/haproxy"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(haproxy) = haproxy else {
            left_out("several nodes behind a balancer (haproxy is missing)");
            return None;
        };
        // Optional: without Redis, the nodes poll the revocation log.
        let redis = Redis::start();
        settings.extend(redis.iter().map(|redis| ("REDIS_URL".to_owned(), redis.url())));
        let nodes: Vec<Node> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..NODES).map(|_| scope.spawn(|| Node::start(program, &settings))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let balancer = LoadBalancer::start(haproxy, folder.path(), address, &nodes);
        let emails = EmailFolder(emails);
        let site = Site { address, emails, single_node: false, clock_frozen: false };
        Some(Self { site, nodes, settings, _balancer: balancer, redis, folder })
    }

    /// Sends a signal to a node.
    pub fn signal(&self, node: usize, name: &str) {
        self.nodes[node].process().signal(name);
    }

    /// Waits until a node has ended, and returns its exit code; `None` if a signal ended it.
    pub async fn wait_for_exit(&mut self, node: usize) -> Option<i32> {
        let mut process = self.nodes[node].process.take().unwrap();
        let code = process.wait().await;
        self.nodes[node].folder = Some(process.kill().await);
        code
    }

    /// Restarts a node that has ended, and waits until the load balancer uses it.
    pub async fn start(&mut self, node: usize) {
        self.start_program(node, &executable()).await;
    }

    /// Like [`Cluster::start`], with any build of the server.
    pub async fn start_program(&mut self, node: usize, program: &Path) {
        let settings = self.settings.clone();
        let node = &mut self.nodes[node];
        node.restart(program, &settings);
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }

    /// Returns the log of a node since its first start.
    pub fn log(&self, node: usize) -> String {
        self.nodes[node].process().log()
    }

    /// Returns the addresses of the nodes.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// Returns true if the nodes use Redis.
    pub fn has_redis(&self) -> bool {
        self.redis.is_some()
    }

    /// Returns the nodes' Redis, which must be installed.
    pub fn redis_mut(&mut self) -> &mut Redis {
        self.redis.as_mut().unwrap()
    }

    /// Returns the URL of the nodes' database.
    pub fn database(&self) -> &str {
        &self.settings[0].1
    }

    /// Stops all nodes at once, and returns the folder that contains the emails.
    pub async fn stop(mut self) -> TempDir {
        (0..NODES).for_each(|node| self.signal(node, "TERM"));
        // The second signal ends the wait for the health check. Two within half a second count as
        // one.
        tokio::time::sleep(Duration::from_millis(600)).await;
        (0..NODES).for_each(|node| self.signal(node, "INT"));
        for node in 0..NODES {
            self.wait_for_exit(node).await;
        }
        self.folder
    }
}

impl Node {
    fn start(program: &Path, settings: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = start_in(program, folder, settings, &[("METRICS_ADDR", "127.0.0.1:0")]);
        let (address, monitor) = (process.address, process.monitor());
        Self { process: Some(process), folder: None, address, monitor }
    }

    fn restart(&mut self, program: &Path, settings: &[(String, String)]) {
        let (port, monitor) = (self.address.port().to_string(), self.monitor.to_string());
        let folder = self.folder.take().unwrap();
        let addresses = [("METRICS_ADDR", monitor.as_str()), ("TCP_PORT", port.as_str())];
        self.process = Some(start_in(program, folder, settings, &addresses));
    }

    fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }
}

fn start_in(
    program: &Path,
    folder: TempDir,
    settings: &[(String, String)],
    extra: &[(&str, &str)],
) -> Process {
    let mut all: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.extend_from_slice(extra);
    Process::start_program(program, folder, &all)
}

impl LoadBalancer {
    fn start(haproxy: &str, folder: &Path, address: SocketAddr, nodes: &[Node]) -> Self {
        let mut text = std::fs::read_to_string(HAPROXY_CONFIG)
            .unwrap()
            .replace("bind :3001", &format!("bind {address}"));
        for (number, node) in nodes.iter().enumerate() {
            let documented = format!("10.0.0.{}:3001 port 9464", 11 + number);
            assert!(text.contains(&documented), "{documented} is missing: {text}");
            text = text
                .replace(&documented, &format!("{} port {}", node.address, node.monitor.port()));
        }
        let (file, log) = (folder.join("haproxy.cfg"), folder.join("haproxy.log"));
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("bash");
        command.args(["-mc", SUPERVISOR, haproxy]).arg(&file).arg(&log);
        let supervisor = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let balancer = Self { supervisor };
        let began = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(began.elapsed() < TEST_TIMEOUT, "HAProxy does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        balancer
    }
}

impl Drop for LoadBalancer {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}
