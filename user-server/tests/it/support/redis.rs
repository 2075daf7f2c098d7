//! A Redis server for one test, on a free port and in its own folder. It ends with the test, or
//! with the test process.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::postgres::free_port;

/// A server that a test may stop, kill and fill.
pub struct Redis {
    pub port: u16,
    pub folder: TempDir,
    arguments: Vec<String>,
    running: Option<Running>,
}

struct Running {
    supervisor: Child,
    /// Ends the server when it closes.
    _input: ChildStdin,
    pid: String,
}

/// Starts the server, prints its process id, and kills it when standard input closes.
const SUPERVISOR: &str = r#"
"$@" >"$FOLDER/log" 2>&1 </dev/null &
echo $!
read -r _
kill -KILL $!; wait $!
"#;

/// Returns the path of the server's executable, which `TEST_REDIS_SERVER` overrides. Returns `None`
/// and reports it if Redis is not installed.
fn program() -> Option<String> {
    if let Ok(path) = std::env::var("TEST_REDIS_SERVER") {
        return Some(path);
    }
    let found = ["/usr/bin/redis-server", "/usr/local/bin/redis-server", "/usr/bin/valkey-server"]
        .into_iter()
        .find(|path| PathBuf::from(path).exists());
    if found.is_none() {
        std::io::stderr().write_all(b"left out: redis (redis-server is missing)\n").unwrap();
    }
    found.map(str::to_owned)
}

impl Redis {
    /// Starts a server. Returns `None` if Redis is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(|_| Vec::new())
    }

    /// Like [`Redis::start`], with more arguments, which may name files in its folder.
    pub fn start_with(extra: impl FnOnce(&TempDir) -> Vec<String>) -> Option<Self> {
        let program = program()?;
        let folder = TempDir::with_prefix("user-redis-").unwrap();
        // The bus port of a cluster node is 10,000 higher, which is below the same bound.
        let port = free_port();
        let mut arguments = vec![program];
        let dir = folder.path().to_str().unwrap().to_owned();
        for argument in
            ["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir", &dir]
        {
            arguments.push(argument.to_owned());
        }
        arguments.extend(extra(&folder));
        let mut server = Self { port, folder, arguments, running: None };
        server.run();
        Some(server)
    }

    /// Starts the server, empty, after it has ended.
    pub fn run(&mut self) {
        let mut supervisor = Command::new("bash")
            .args(["-c", SUPERVISOR, "supervisor"])
            .args(&self.arguments)
            .env("FOLDER", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let input = supervisor.stdin.take().unwrap();
        self.running = Some(Running { supervisor, _input: input, pid: pid.trim().to_owned() });
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(30), "Redis does not start: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn signal(&self, name: &str) {
        let pid = &self.running.as_ref().unwrap().pid;
        assert!(Command::new("kill").args(["-s", name, pid]).status().unwrap().success());
    }

    /// Kills the server, which loses its data.
    pub fn kill(&mut self) {
        drop(self.running.take());
    }

    /// Runs a command with `redis-cli`, and returns its output.
    pub fn command(&self, command: &[&str]) -> String {
        let port = self.port.to_string();
        let done = Command::new("redis-cli").args(["-p", &port]).args(command).output().unwrap();
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-s", "KILL", &self.pid]).status();
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}
