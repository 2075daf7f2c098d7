//! The program as an operator runs it: environment, signals, output and exit code.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::http::{Reply, get};

/// A running process.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    pub(crate) monitor: SocketAddr,
    /// Standard output of the start.
    pub(crate) printed: String,
    child: Child,
    folder: TempDir,
}

fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_user-http"));
    command.env_clear().stdin(Stdio::null()).envs(settings.iter().copied());
    command
}

/// Runs the program until it ends.
pub(crate) fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    command(settings).args(arguments).output().unwrap()
}

impl Program {
    /// Starts the program on free ports, in front of the service at `addrs`.
    pub(crate) fn start(addrs: &str) -> Self {
        Self::start_with(addrs, &[])
    }

    /// Starts the program with additional settings.
    pub(crate) fn start_with(addrs: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_with_arguments(&[], addrs, settings)
    }

    /// Starts the program with arguments and additional settings.
    pub(crate) fn start_with_arguments(
        arguments: &[&str],
        addrs: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let defaults = [
            ("HTTP_PORT", "0"),
            ("METRICS_ADDR", "127.0.0.1:0"),
            ("SERVICE_ADDRS", addrs),
            ("DRAIN_DELAY", "0"),
            ("LOG", "debug"),
        ];
        let mut child = command(&defaults)
            .args(arguments)
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = String::new();
        while !printed.contains("/metrics") {
            match lines.next() {
                Some(line) => printed += &(line.unwrap() + "\n"),
                None => panic!("{}", std::fs::read_to_string(folder.path().join("log")).unwrap()),
            }
        }
        let after = |text: &str| {
            let rest = printed.split_once(text).unwrap().1;
            rest.split(['\n', '/']).next().unwrap().parse().unwrap()
        };
        let (address, monitor) = (after("listening on "), after("metrics   http://"));
        Self { address, monitor, printed, child, folder }
    }

    pub(crate) fn check(&self, headers: &[(&str, &str)]) -> Reply {
        get(self.address, "/auth/check", headers)
    }

    /// Checks a token.
    pub(crate) fn verdict(&self, token: &str) -> Reply {
        self.check(&[("Authorization", &format!("Bearer {token}"))])
    }

    /// Returns the value of a metric without labels, or with the given ones.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = get(self.monitor, "/metrics", &[]).body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name}:\n{text}")).parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
        // On a busy machine, a thread may run on for a while.
        if name == "STOP" {
            until(|| self.is_stopped());
        }
    }

    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.map(|thread| thread.unwrap().path().join("status")).all(|status| {
            std::fs::read_to_string(status).is_ok_and(|text| text.contains("State:\tT"))
        })
    }

    /// Waits for the process to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "the program does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a condition is met.
pub(crate) fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(15), "the condition was not met");
        std::thread::sleep(Duration::from_millis(20));
    }
}
