//! The executable as an operator runs it: environment, signals, output and exit code.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use user_proto::client::Client;
use user_proto::{Register, VerifyEmail};

use super::{Account, EmailFolder, PASSWORD, TEST_TIMEOUT};

/// A server process with its working folder.
pub struct Process {
    pub address: SocketAddr,
    /// Standard output of the start.
    pub printed: String,
    /// Time from the start of the process to the last line of `printed`.
    pub startup_time: Duration,
    child: Child,
    folder: Option<TempDir>,
}

/// Memory of a process: resident, and reserved by allocations.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident_kib: u64,
    pub reserved_kib: u64,
}

/// Returns the path of the server: that of this build, or of the build in the variable
/// `TEST_SERVER`, so that a release build can be measured.
pub fn executable() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_user-server").into();
    std::env::var_os("TEST_SERVER").map_or_else(built, PathBuf::from)
}

/// Returns a command that runs the executable in a folder with these variables only. `shell` is a
/// prefix for the shell, such as `ulimit -f 8;`.
fn command(shell: &str, folder: &Path, settings: &[(&str, &str)]) -> Command {
    command_of(&executable(), shell, folder, settings)
}

/// Like [`command`], for any build of the server.
fn command_of(program: &Path, shell: &str, folder: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\"")]).arg(program);
    command.current_dir(folder).stdin(Stdio::null()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(settings.iter().copied());
    command
}

impl Process {
    /// Starts a server on a free port, in an empty folder, without a drain delay.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings)
    }

    /// Like [`Process::start`], in a folder that an earlier process may have used.
    pub fn start_in(folder: TempDir, settings: &[(&str, &str)]) -> Self {
        Self::start_under("", folder, settings)
    }

    /// Like [`Process::start_in`], with a prefix for the shell.
    pub fn start_under(shell: &str, folder: TempDir, settings: &[(&str, &str)]) -> Self {
        Self::spawn(&executable(), shell, folder, settings)
    }

    /// Like [`Process::start_in`], for any build of the server.
    pub fn start_program(program: &Path, folder: TempDir, settings: &[(&str, &str)]) -> Self {
        Self::spawn(program, "", folder, settings)
    }

    fn spawn(program: &Path, shell: &str, folder: TempDir, settings: &[(&str, &str)]) -> Self {
        let file = |name| {
            File::options().create(true).append(true).open(folder.path().join(name)).unwrap()
        };
        let printed_before = read(&folder, "out").len();
        let began = Instant::now();
        let defaults = [("TCP_PORT", "0"), ("DRAIN_DELAY", "0")];
        let child = command_of(program, shell, folder.path(), &defaults)
            .envs(settings.iter().copied())
            .stdout(file("out"))
            .stderr(file("log"))
            .spawn()
            .unwrap();
        // From here on, dropping this value ends the process.
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self {
            address,
            printed: String::new(),
            startup_time: Duration::ZERO,
            child,
            folder: Some(folder),
        };
        while !process.printed.contains("\n  metrics ") {
            let ended = process.child.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < TEST_TIMEOUT,
                "the server did not start: {}",
                process.log()
            );
            std::thread::sleep(Duration::from_millis(2));
            process.printed = process.output()[printed_before..].to_owned();
        }
        process.startup_time = began.elapsed();
        process.address =
            process.printed.lines().next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        process
    }

    /// Returns the working folder, which contains the data folder.
    pub fn location(&self) -> &Path {
        self.folder().path()
    }

    fn folder(&self) -> &TempDir {
        self.folder.as_ref().unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.folder().path().canonicalize().unwrap().join("user-data")
    }

    pub fn emails(&self) -> EmailFolder {
        EmailFolder(self.data().join("mails"))
    }

    pub fn client(&self) -> Client {
        Client::new(self.address.to_string())
    }

    /// Returns the address of the health checks and metrics.
    pub fn monitor(&self) -> SocketAddr {
        let address = self.printed.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        address.unwrap_or_else(|| panic!("no METRICS_ADDR: {}", self.printed)).parse().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the standard error of all processes in this folder.
    pub fn log(&self) -> String {
        read(self.folder(), "log")
    }

    /// Returns the standard output of all processes in this folder.
    pub fn output(&self) -> String {
        read(self.folder(), "out")
    }

    /// Creates an active account with the address `username@example.org`.
    pub async fn account(&self, client: &Client, username: &str) -> Account {
        let email = format!("{username}@example.org");
        let (name, address) = (username.into(), email.as_str().into());
        let register = Register { username: name, email: address, password: PASSWORD.into() };
        let verification_id = client.call(register).await.unwrap().verification_id;
        let code = self.emails().code(&email, 1).await;
        let verify = VerifyEmail::new(verification_id, code.as_str().into());
        Account { session: client.call(verify).await.unwrap(), email }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.id())])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits until the process has ended, and returns its exit code; `None` if a signal ended it.
    pub async fn wait(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < TEST_TIMEOUT, "the server does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills the process, and returns its folder.
    pub async fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.wait().await;
        self.folder.take().unwrap()
    }

    /// Returns the memory of the process as reported by Linux.
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
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a file of a folder; a missing file is empty.
fn read(folder: &TempDir, name: &str) -> String {
    std::fs::read_to_string(folder.path().join(name)).unwrap_or_default()
}

/// Exit code, standard output and standard error of a process that has ended.
#[derive(Debug)]
pub struct RunOutput {
    pub code: Option<i32>,
    pub output: String,
    pub error: String,
}

/// Runs the executable until it ends.
pub fn run_in(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> RunOutput {
    run(command("exec \"$0\" \"$@\";", folder, settings).args(arguments))
}

/// Like [`run_in`], for any build of the server.
pub fn run_program(
    program: &Path,
    folder: &Path,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> RunOutput {
    run(command_of(program, "exec \"$0\" \"$@\";", folder, settings).args(arguments))
}

/// Like [`run_in`], with standard input.
pub fn run_with_input(folder: &Path, arguments: &[&str], input: &[u8]) -> RunOutput {
    let file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut &file, input).unwrap();
    std::io::Seek::seek(&mut &file, std::io::SeekFrom::Start(0)).unwrap();
    run(command("exec \"$0\" \"$@\";", folder, &[]).args(arguments).stdin(file))
}

/// Like [`run_in`], with a variable that is not valid UTF-8.
pub fn run_with_bytes(folder: &Path, name: &str, value: &[u8]) -> RunOutput {
    let value: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(value);
    run(command("", folder, &[]).env(name, value))
}

fn run(command: &mut Command) -> RunOutput {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    RunOutput { code: status.code(), output: text(stdout), error: text(stderr) }
}
