//! The binary itself, as an operator runs it: an environment, signals, output and an exit code.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use user_proto::client::Client;

use super::Mails;
use super::wire::PATIENCE;

/// A server process and its working folder.
pub struct Process {
    pub address: SocketAddr,
    /// What it printed when it started.
    pub printed: String,
    /// From the start of the process to that.
    pub took: Duration,
    child: Child,
    folder: Option<TempDir>,
}

/// What a process holds: memory that it touched, and memory that it asked for.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident_kib: u64,
    pub reserved_kib: u64,
}

/// The binary with these variables and no others, in this folder. `shell` comes before it, as in `ulimit -f 8;`.
fn command(shell: &str, folder: &TempDir, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\""), env!("CARGO_BIN_EXE_user-server")]);
    command.current_dir(folder).stdin(Stdio::null()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(settings.iter().copied());
    command
}

impl Process {
    /// On a free port, in an empty folder, without the pause that a server takes before it goes down.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings)
    }

    /// The same in a folder that may have been used before.
    pub fn start_in(folder: TempDir, settings: &[(&str, &str)]) -> Self {
        Self::start_under("", folder, settings)
    }

    /// The same behind words of the shell.
    pub fn start_under(shell: &str, folder: TempDir, settings: &[(&str, &str)]) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
        let began = Instant::now();
        let mut child = command(shell, &folder, &[("TCP_PORT", "0"), ("DRAIN_DELAY", "0")])
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let printed: Vec<String> = lines.by_ref().take(5).map(Result::unwrap).collect();
        let took = began.elapsed();
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        let first = printed.first().unwrap_or_else(|| panic!("it did not start: {log}"));
        let address = first.rsplit(' ').next().unwrap().parse().unwrap();
        Self { address, printed: printed.join("\n"), took, child, folder: Some(folder) }
    }

    pub fn folder(&self) -> &TempDir {
        self.folder.as_ref().unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.folder().path().join("user-data")
    }

    pub fn mails(&self) -> Mails {
        Mails(self.data().join("mails"))
    }

    pub fn client(&self) -> Client {
        Client::new(self.address.to_string())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has written to standard error, over all starts in its folder.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().path().join("log")).unwrap()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; its exit code, or none where a signal ended it.
    pub async fn wait(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "it goes on running: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it as a crash would, and leaves its folder.
    pub async fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.wait().await;
        self.folder.take().unwrap()
    }

    /// The memory that it holds, in Linux's words.
    pub fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let kib = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Memory { resident_kib: kib("VmRSS:"), reserved_kib: kib("VmData:") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary to its end, which has to come at once.
pub fn run_in(folder: &TempDir, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = command("exec \"$0\" \"$@\";", folder, settings);
    command.args(arguments).output().unwrap()
}

/// What such a run says on standard error.
pub fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
