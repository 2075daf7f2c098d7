//! The binary itself, as an operator runs it: an environment, signals, output and an exit code.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use user_proto::client::Client;
use user_proto::{Register, VerifyEmail};

use super::wire::PATIENCE;
use super::{Account, Mails, PASSWORD};

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

/// The binary with these variables and no others, in this folder. `shell` comes before it, as in
/// `ulimit -f 8;`.
fn command(shell: &str, folder: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\""), env!("CARGO_BIN_EXE_user-server")]);
    command.current_dir(folder).stdin(Stdio::null()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(settings.iter().copied());
    command
}

impl Process {
    /// On a free port, in an empty folder, without the pause that a server takes before it goes
    /// down.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings)
    }

    /// The same in a folder that may have been used before.
    pub fn start_in(folder: TempDir, settings: &[(&str, &str)]) -> Self {
        Self::start_under("", folder, settings)
    }

    /// The same behind words of the shell.
    pub fn start_under(shell: &str, folder: TempDir, settings: &[(&str, &str)]) -> Self {
        let file = |name| {
            File::options().create(true).append(true).open(folder.path().join(name)).unwrap()
        };
        let said_before = read(&folder, "out").len();
        let began = Instant::now();
        let child = command(shell, folder.path(), &[("TCP_PORT", "0"), ("DRAIN_DELAY", "0")])
            .envs(settings.iter().copied())
            .stdout(file("out"))
            .stderr(file("log"))
            .spawn()
            .unwrap();
        // From here on its end is this value's.
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self {
            address,
            printed: String::new(),
            took: Duration::ZERO,
            child,
            folder: Some(folder),
        };
        while !process.printed.contains("\n  metrics ") {
            let ended = process.child.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "it did not start: {}",
                process.log()
            );
            std::thread::sleep(Duration::from_millis(2));
            process.printed = process.output()[said_before..].to_owned();
        }
        process.took = began.elapsed();
        process.address =
            process.printed.lines().next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        process
    }

    /// Its working folder, which the data folder lies in.
    pub fn location(&self) -> &Path {
        self.folder().path()
    }

    fn folder(&self) -> &TempDir {
        self.folder.as_ref().unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.folder().path().canonicalize().unwrap().join("user-data")
    }

    pub fn mails(&self) -> Mails {
        Mails(self.data().join("mails"))
    }

    pub fn client(&self) -> Client {
        Client::new(self.address.to_string())
    }

    /// Where health and metrics are told.
    pub fn monitor(&self) -> SocketAddr {
        let address = self.printed.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        address.unwrap_or_else(|| panic!("no METRICS_ADDR: {}", self.printed)).parse().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has written to standard error, over all starts in its folder.
    pub fn log(&self) -> String {
        read(self.folder(), "log")
    }

    /// The same of standard output.
    pub fn output(&self) -> String {
        read(self.folder(), "out")
    }

    /// A confirmed account, `username@example.org`.
    pub async fn account(&self, client: &Client, username: &str) -> Account {
        let email = format!("{username}@example.org");
        let (name, address) = (username.into(), email.as_str().into());
        let register = Register { username: name, email: address, password: PASSWORD.into() };
        let verification_id = client.call(register).await.unwrap().verification_id;
        let code = self.mails().code(&email, 1).await;
        let verify = VerifyEmail { verification_id, code: code.as_str().into(), username: None };
        Account { session: client.call(verify).await.unwrap(), email }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.id())])
            .status()
            .unwrap();
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

/// A file of a folder, empty where there is none.
fn read(folder: &TempDir, name: &str) -> String {
    std::fs::read_to_string(folder.path().join(name)).unwrap_or_default()
}

/// What a run said that ended at once: its exit code, standard output and standard error.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub output: String,
    pub error: String,
}

/// Runs the binary where it has to end by itself.
pub fn run_in(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Said {
    run(command("exec \"$0\" \"$@\";", folder, settings).args(arguments))
}

/// The same with a variable that is no text.
pub fn run_with_bytes(folder: &Path, name: &str, value: &[u8]) -> Said {
    let value: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(value);
    run(command("", folder, &[]).env(name, value))
}

fn run(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), output: text(stdout), error: text(stderr) }
}
