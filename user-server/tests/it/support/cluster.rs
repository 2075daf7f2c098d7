//! Three nodes on one database behind HAProxy: the binary itself, started, stopped and killed one
//! by one.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::postgres::{free_port, left_out};
use super::{Mails, PATIENCE, Postgres, Process, Redis, Site};

pub const NODES: usize = 3;
pub const SECRET: &str = "a secret of more than thirty-two bytes, the same on all nodes";

/// The balancer as docs/OPERATIONS.md has it, with the addresses of this machine.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/haproxy.cfg");
/// The end of the pipe ends the balancer, so that none outlives the tests, however they end.
const KEEPER: &str = r#""$0" -db -f "$1" >"$2" 2>&1 & read -r _; kill -KILL %1"#;

/// The nodes, their balancer, and the address that it listens on.
pub struct Cluster {
    pub site: Site,
    nodes: Vec<Node>,
    settings: Vec<(String, String)>,
    _balancer: Balancer,
    _redis: Option<Redis>,
    folder: TempDir,
}

/// Where a node is: it comes back there.
struct Node {
    process: Option<Process>,
    folder: Option<TempDir>,
    address: SocketAddr,
    monitor: SocketAddr,
}

struct Balancer {
    keeper: Child,
}

impl Cluster {
    /// Starts all nodes at once on an empty database of this server; `None` where HAProxy is not
    /// installed.
    pub async fn on(database: &Postgres, more: &[(&str, &str)]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mails = folder.path().join("mails");
        std::fs::create_dir(&mails).unwrap();
        // The check has to see that a node goes down before it stops accepting.
        let mut settings = vec![("PostgreSQL".to_owned(), database.database())];
        let mail_dir = mails.to_str().unwrap();
        let mut usual = vec![("JWTSECRETKEY", SECRET), ("DRAIN_DELAY", "2")];
        if !more.iter().any(|(name, _)| *name == "SMTP_HOST") {
            usual.push(("MAIL_DIR", mail_dir));
        }
        settings.extend(
            usual.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let haproxy = ["/usr/sbin/haproxy", "/usr/bin/haproxy"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(haproxy) = haproxy else {
            left_out("several nodes behind a balancer (haproxy is missing)");
            return None;
        };
        // Where there is one, the nodes share it too; without it they read the log by themselves.
        let redis = Redis::start();
        settings.extend(redis.iter().map(|redis| ("REDIS_URL".to_owned(), redis.url())));
        let nodes: Vec<Node> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..NODES).map(|_| scope.spawn(|| Node::start(&settings))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let balancer = Balancer::start(haproxy, folder.path(), address, &nodes);
        let site = Site { address, mails: Mails(mails), alone: false, held: false };
        Some(Self { site, nodes, settings, _balancer: balancer, _redis: redis, folder })
    }

    /// Sends a node a signal; it may go on.
    pub fn signal(&self, node: usize, name: &str) {
        self.nodes[node].process().signal(name);
    }

    /// Waits for a node's end; its exit code.
    pub async fn ended(&mut self, node: usize) -> Option<i32> {
        let mut process = self.nodes[node].process.take().unwrap();
        let code = process.wait().await;
        self.nodes[node].folder = Some(process.kill().await);
        code
    }

    /// Starts a node that has ended again, where it was, and waits until the balancer has seen that
    /// it is ready.
    pub async fn start(&mut self, node: usize) {
        let settings = self.settings.clone();
        let node = &mut self.nodes[node];
        node.start_again(&settings);
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }

    /// What a node has logged, over all its starts.
    pub fn log(&self, node: usize) -> String {
        self.nodes[node].process().log()
    }

    /// The URL of the nodes' database.
    pub fn database(&self) -> &str {
        &self.settings[0].1
    }

    /// Ends every node at once; what is left is the folder with the mails.
    pub async fn stop(mut self) -> TempDir {
        for node in 0..NODES {
            // The second signal does not wait for a balancer to look.
            self.signal(node, "TERM");
            self.signal(node, "INT");
        }
        for node in 0..NODES {
            self.ended(node).await;
        }
        self.folder
    }
}

impl Node {
    fn start(settings: &[(String, String)]) -> Self {
        let process =
            start_in(tempfile::tempdir().unwrap(), settings, &[("METRICS_ADDR", "127.0.0.1:0")]);
        let (address, monitor) = (process.address, process.monitor());
        Self { process: Some(process), folder: None, address, monitor }
    }

    fn start_again(&mut self, settings: &[(String, String)]) {
        let (port, monitor) = (self.address.port().to_string(), self.monitor.to_string());
        let folder = self.folder.take().unwrap();
        self.process =
            Some(start_in(folder, settings, &[("METRICS_ADDR", &monitor), ("TCP_PORT", &port)]));
    }

    fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }
}

fn start_in(folder: TempDir, settings: &[(String, String)], more: &[(&str, &str)]) -> Process {
    let mut all: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.extend_from_slice(more);
    Process::start_in(folder, &all)
}

impl Balancer {
    fn start(haproxy: &str, folder: &Path, address: SocketAddr, nodes: &[Node]) -> Self {
        let mut text = std::fs::read_to_string(CONFIG)
            .unwrap()
            .replace("bind :3001", &format!("bind {address}"));
        for (number, node) in nodes.iter().enumerate() {
            let documented = format!("10.0.0.{}:3001 port 9464", 11 + number);
            assert!(text.contains(&documented), "{documented} is not in: {text}");
            text = text
                .replace(&documented, &format!("{} port {}", node.address, node.monitor.port()));
        }
        let (file, log) = (folder.join("haproxy.cfg"), folder.join("haproxy.log"));
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("bash");
        command.args(["-mc", KEEPER, haproxy]).arg(&file).arg(&log);
        let keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let balancer = Self { keeper };
        let began = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "HAProxy does not start: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
        balancer
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
