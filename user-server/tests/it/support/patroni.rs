//! Three PostgreSQL servers that Patroni manages with one etcd, with strict synchronous
//! replication. They end with the test process.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::postgres::{binaries, free_port, left_out, shell, signal_processes};

/// Number of servers: one can be lost, and the new leader still has a synchronous standby.
const MEMBERS: usize = 3;
/// Time for the first start, and for a lost member to return.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// Time for one failover: the lifetime of the leader's key, and what a busy machine adds.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time to wait for an answer of Patroni, which may be paused.
const REST_TIMEOUT: Duration = Duration::from_millis(500);
/// Time for an answer to a request for a switchover, which Patroni sends once it is done.
const SWITCHOVER_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs etcd until standard input closes, and deletes its folder. Patroni 3.0.2 uses its API in
/// version 2, which Patroni calls `etcd`: with version 3 (`etcd3`), a leader that resumes may take
/// the key of its successor, and undo answered changes. Patroni 3.0.3 has corrected that.
const ETCD: &str = r#"
"$1" --enable-v2 --data-dir "$2/data" --listen-client-urls "http://127.0.0.1:$3" \
    --advertise-client-urls "http://127.0.0.1:$3" --listen-peer-urls "http://127.0.0.1:$4" \
    --initial-advertise-peer-urls "http://127.0.0.1:$4" \
    --initial-cluster "default=http://127.0.0.1:$4" >"$2/log" 2>&1 &
read -r _
kill -KILL $!; wait; rm -rf "$2"
"#;
/// Runs Patroni, and runs it again for each line on standard input. When standard input closes,
/// kills Patroni and its server, and deletes the folder.
const MEMBER: &str = r#"
start() {
    "$1" "$2/patroni.yml" >>"$2/log" 2>&1 &
    echo $! >"$2/pid"
}
start "$@"
while read -r _; do
    wait
    start "$@"
done
kill -KILL $! $(ps -o pid= --ppid $!)
server=$(head -n 1 "$2/data/postmaster.pid")
kill -KILL "$server" $(ps -o pid= --ppid "$server")
wait; rm -rf "$2"
"#;

/// The cluster. Its members are known by their index.
pub struct Patroni {
    members: Vec<Member>,
    _etcd: Supervisor,
}

/// One server and its Patroni.
struct Member {
    supervisor: Supervisor,
    port: u16,
    /// Port of Patroni's REST API.
    api: u16,
}

/// Shell that ends its processes and deletes its folder when this value is dropped.
struct Supervisor {
    child: Child,
    folder: PathBuf,
}

/// Server that took over.
#[derive(Debug, Clone, Copy)]
pub struct NewLeader {
    /// Time from which it accepts writes.
    pub writable: Instant,
    /// Time of its first commit, for which a synchronous standby has to follow it.
    pub committed: Instant,
}

impl Patroni {
    /// Starts the cluster. Returns `None` if Patroni, etcd or PostgreSQL is not installed.
    pub async fn start() -> Option<Self> {
        let (Some(patroni), Some(etcd), Some(binaries)) =
            (in_path("patroni"), in_path("etcd"), binaries())
        else {
            left_out("a cluster of Patroni (patroni, etcd-server or PostgreSQL is missing)");
            return None;
        };
        let [client, peer] = [(); 2].map(|()| free_port().to_string());
        let folder = TempDir::with_prefix("user-etcd-").unwrap().keep();
        let etcd = Supervisor::start(ETCD, &etcd, folder, &[&client, &peer]);
        let mut cluster = Self { members: Vec::new(), _etcd: etcd };
        for number in 0..MEMBERS {
            let folder = TempDir::with_prefix("user-patroni-").unwrap().keep();
            let (port, api) = (free_port(), free_port());
            let settings = settings(number, &folder, &binaries, [&client, &port, &api]);
            std::fs::write(folder.join("patroni.yml"), settings).unwrap();
            let supervisor = Supervisor::start(MEMBER, &patroni, folder, &[]);
            cluster.members.push(Member { supervisor, port, api });
        }
        cluster.wait_until_complete().await;
        let leader = cluster.leader().expect("a leader");
        cluster.run(leader, "CREATE TABLE probe (number bigserial)").await;
        cluster.run(leader, "CREATE DATABASE users").await;
        Some(cluster)
    }

    /// Returns the host and the port of each server.
    pub fn addresses(&self) -> Vec<String> {
        self.members.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect()
    }

    /// Returns the port of Patroni's REST API at each server.
    pub fn api_ports(&self) -> Vec<u16> {
        self.members.iter().map(|member| member.api).collect()
    }

    /// Returns the leader according to Patroni.
    pub fn leader(&self) -> Option<usize> {
        let is_leader = |member: &Member| succeeded(&member.get("/primary"));
        self.members.iter().position(is_leader)
    }

    /// Kills Patroni and its server at once, as if the machine had lost its power.
    pub fn kill(&self, member: usize) {
        self.members[member].signal("STOP");
        self.members[member].signal("KILL");
    }

    /// Starts a member that was killed, without waiting until it follows the leader.
    pub fn restart(&mut self, member: usize) {
        writeln!(self.members[member].supervisor.child.stdin.as_mut().unwrap()).unwrap();
    }

    /// Stops all processes of a member.
    pub fn pause(&self, member: usize) {
        self.members[member].signal("STOP");
    }

    /// Continues all processes of a member.
    pub fn resume(&self, member: usize) {
        self.members[member].signal("CONT");
    }

    /// Asks the leader to hand over to its synchronous standby, in a thread of its own.
    pub fn switch_over(&self, leader: usize) {
        let api = self.members[leader].api;
        std::thread::spawn(move || {
            let body = format!(r#"{{"leader": "{}"}}"#, member_name(leader));
            let request = format!(
                "POST /switchover HTTP/1.0\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let response = exchange(api, &request, SWITCHOVER_TIMEOUT);
            assert!(succeeded(&response), "{response}");
        });
    }

    /// Waits until another member than `old` has accepted a write.
    pub async fn new_leader(&self, old: usize) -> NewLeader {
        let mut others = JoinSet::new();
        for member in (0..MEMBERS).filter(|member| *member != old) {
            let url = self.url(member);
            others.spawn(async move {
                loop {
                    if let Ok((writable, committed)) = first_commit(&url).await {
                        return NewLeader { writable, committed };
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        }
        match tokio::time::timeout(FAILOVER_TIMEOUT, others.join_next()).await {
            Ok(leader) => leader.unwrap().unwrap(),
            Err(_) => panic!("no new leader: {}", self.log()),
        }
    }

    /// Waits until every member runs, and one of them is a synchronous standby.
    pub async fn wait_until_complete(&self) {
        let began = Instant::now();
        loop {
            let state = self.leader().map(|leader| self.members[leader].get("/cluster"));
            let state = state.unwrap_or_default();
            let running = state.matches(r#""state": "running""#).count();
            if running == MEMBERS && state.contains(r#""role": "sync_standby""#) {
                return;
            }
            assert!(began.elapsed() < START_TIMEOUT, "{state}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Runs a statement on the server of a member.
    async fn run(&self, member: usize, statement: &'static str) {
        let mut connection = PgConnection::connect(&self.url(member)).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }

    fn url(&self, member: usize) -> String {
        format!("postgres://tests@127.0.0.1:{}/postgres", self.members[member].port)
    }

    /// Returns the logs of all members.
    fn log(&self) -> String {
        let logs = self.members.iter().enumerate().map(|(number, member)| {
            let log = std::fs::read_to_string(member.supervisor.folder.join("log"));
            format!("{}:\n{}\n", member_name(number), log.unwrap_or_default())
        });
        logs.collect()
    }
}

impl Member {
    /// Sends a signal to Patroni and its server, Patroni first, so that it does not start another.
    fn signal(&self, name: &str) {
        let folder = &self.supervisor.folder;
        for file in ["pid", "data/postmaster.pid"] {
            let pid = std::fs::read_to_string(folder.join(file)).unwrap();
            signal_processes(pid.lines().next().unwrap(), name);
        }
    }

    /// Returns Patroni's response, which is empty if there is none.
    fn get(&self, path: &str) -> String {
        exchange(self.api, &format!("GET {path} HTTP/1.0\r\n\r\n"), REST_TIMEOUT)
    }
}

impl Supervisor {
    fn start(script: &str, program: &Path, folder: PathBuf, arguments: &[&str]) -> Self {
        let mut command = shell(&folder);
        command.args(["-c", script, "supervisor"]).arg(program).arg(&folder).args(arguments);
        let log = File::create(folder.join("supervisor.log")).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), folder }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Waits until a server accepts writes and has committed one. Returns the times of both.
async fn first_commit(url: &str) -> Result<(Instant, Instant), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let standby = "SELECT pg_is_in_recovery()";
    while sqlx::query_scalar::<_, bool>(standby).fetch_one(&mut connection).await? {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let writable = Instant::now();
    sqlx::query("INSERT INTO probe DEFAULT VALUES").execute(&mut connection).await?;
    Ok((writable, Instant::now()))
}

/// Sends a request to the REST API on this port. Returns what arrives within the timeout.
fn exchange(port: u16, request: &str, timeout: Duration) -> String {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, timeout) else {
        return String::new();
    };
    stream.set_read_timeout(Some(timeout)).unwrap();
    let mut response = Vec::new();
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_end(&mut response);
    String::from_utf8_lossy(&response).into_owned()
}

fn succeeded(response: &str) -> bool {
    response.split(' ').nth(1) == Some("200")
}

/// Returns the path of a program.
fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.exists())
}

fn member_name(number: usize) -> String {
    format!("member{number}")
}

/// Returns Patroni's settings for a member. `ports` are those of etcd, the server and the REST
/// API. The lifetime of the leader's key is the shortest that Patroni allows. A standby that has
/// lost its server connects again after 500 ms instead of 5 s: until one does, the new leader
/// commits nothing.
fn settings(
    number: usize,
    folder: &Path,
    binaries: &Path,
    ports: [&dyn std::fmt::Display; 3],
) -> String {
    let (name, folder, binaries) = (member_name(number), folder.display(), binaries.display());
    let [etcd, port, api] = ports;
    format!(
        r#"
scope: users
name: {name}
restapi: {{listen: "127.0.0.1:{api}"}}
etcd: {{host: "127.0.0.1:{etcd}"}}
watchdog: {{mode: "off"}}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 5
    retry_timeout: 5
    synchronous_mode: true
    synchronous_mode_strict: true
    postgresql:
      use_pg_rewind: true
      parameters: {{max_connections: 200, wal_log_hints: "on"}}
  initdb: [{{encoding: UTF8}}, {{locale: C}}, {{auth: trust}}, no-sync]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  bin_dir: "{binaries}"
  data_dir: "{folder}/data"
  pgpass: "{folder}/pgpass"
  authentication: {{superuser: {{username: tests}}, replication: {{username: tests}}}}
  parameters:
    unix_socket_directories: "{folder}"
    fsync: "off"
    deadlock_timeout: 200ms
    wal_retrieve_retry_interval: 500ms
  pg_hba: [local all all trust, host all all 127.0.0.1/32 trust,
    host replication all 127.0.0.1/32 trust]
"#
    )
}
