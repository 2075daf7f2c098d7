//! HAProxy in TCP mode in front of the servers of one database. It leads to the one that is not a
//! standby.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::patroni::Patroni;
use super::postgres::{Postgres, free_port, left_out};

/// Query of the health check.
const QUERY: &str = "SELECT pg_is_in_recovery()";
/// Reply of a server that is not a standby: a row with the value `f`.
const PRIMARY: &str = "44 0000000b 0001 00000001 66";

/// A running HAProxy. It ends when this value is dropped.
pub struct DatabaseBalancer {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl DatabaseBalancer {
    /// Starts HAProxy in front of these servers. Returns `None` if HAProxy is not installed.
    pub fn before(servers: [&Postgres; 2]) -> Option<Self> {
        let servers = servers.map(|server| format!("{} check", server.address()));
        let check = format!(
            " option tcp-check\n tcp-check connect\n tcp-check send-binary {}\n tcp-check expect \
             binary {}\n",
            health_check(),
            PRIMARY.replace(' ', "")
        );
        Self::start(&check, &servers)
    }

    /// Like [`DatabaseBalancer::before`], with a health check that asks Patroni, which knows when a
    /// leader that resumes has been replaced.
    pub fn before_members(cluster: &Patroni) -> Option<Self> {
        let members = cluster.addresses().into_iter().zip(cluster.api_ports());
        let servers: Vec<String> =
            members.map(|(address, api)| format!("{address} check port {api}")).collect();
        Self::start(" option httpchk GET /primary\n", &servers)
    }

    /// `check` are the lines of the health check, and `servers` the address and options of each.
    fn start(check: &str, servers: &[String]) -> Option<Self> {
        let binary = ["/usr/sbin/haproxy", "/usr/bin/haproxy"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(binary) = binary else {
            left_out("a balancer in front of the database (haproxy is missing)");
            return None;
        };
        let (folder, port) = (TempDir::with_prefix("user-hap-").unwrap(), free_port());
        let mut config = format!(
            "defaults\n mode tcp\n timeout connect 1s\n timeout client 1h\n timeout server 1h\n \
             timeout check 500ms\nlisten database\n bind 127.0.0.1:{port}\n{check} \
             default-server inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions\n"
        );
        for (number, server) in servers.iter().enumerate() {
            config += &format!(" server server{number} {server}\n");
        }
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(binary);
        command.arg("-db").arg("-f").arg(&file).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let balancer = Self { child, port, _folder: folder };
        let (began, mut successes) = (Instant::now(), 0);
        // Until its first check, HAProxy leads to all servers in turn.
        while successes < 4 {
            assert!(began.elapsed() < Duration::from_secs(20), "HAProxy does not start");
            successes = if balancer.leads_to_primary() { successes + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(balancer)
    }

    fn leads_to_primary(&self) -> bool {
        let url = format!("postgresql://tests@{}/postgres", self.address());
        let asked = Command::new("psql").args(["-qtA", "-d", &url, "-c", QUERY]).output();
        asked.is_ok_and(|output| output.stdout == b"f\n")
    }

    /// Returns the host and the port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for DatabaseBalancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the startup message of PostgreSQL's protocol and the query, in hexadecimal.
fn health_check() -> String {
    let message = |body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&length.to_be_bytes(), body].concat()
    };
    let startup = message(b"\0\x03\0\0user\0tests\0database\0postgres\0\0");
    let query = message(format!("{QUERY}\0").as_bytes());
    let bytes = [startup, vec![b'Q'], query].concat();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
