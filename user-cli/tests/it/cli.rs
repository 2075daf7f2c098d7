//! Runs the program with its own state directory.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The program, configured for one server, with an empty state directory.
pub(crate) struct Cli {
    home: TempDir,
    addr: String,
}

/// Result of a run of the program.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Cli {
    pub(crate) fn new(addr: impl Into<String>) -> Self {
        Self { home: tempfile::tempdir().unwrap(), addr: addr.into() }
    }

    /// For commands that need no server: nothing listens on its address.
    pub(crate) fn offline() -> Self {
        Self::new("127.0.0.1:1")
    }

    /// Prepares a run without executing it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_user-cli"));
        command
            .env_clear()
            .env("USER_CLI_STATE_DIR", self.state_dir())
            .env("USER_CLI_ADDR", &self.addr)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    /// Runs the program with this text on stdin.
    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &str) -> Output {
        Output::of(self.command(arguments), stdin)
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.home.path().join("a/state")
    }

    /// Returns the only file in the state directory.
    pub(crate) fn state_file(&self) -> PathBuf {
        let mut files =
            std::fs::read_dir(self.state_dir()).unwrap().map(|entry| entry.unwrap().path());
        let file = files.next().unwrap();
        assert!(files.next().is_none(), "the directory contains another file");
        file
    }

    /// Returns true if there is a state file.
    pub(crate) fn has_state(&self) -> bool {
        std::fs::read_dir(self.state_dir()).is_ok_and(|mut files| files.next().is_some())
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.state_file()).unwrap()).unwrap()
    }
}

impl Output {
    pub(crate) fn of(mut command: Command, stdin: &str) -> Self {
        let mut child = command.spawn().unwrap();
        // The program may exit without reading stdin.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Asserts exit code 0 and an empty stderr.
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self
    }

    /// Asserts this exit code, an empty stdout, and a message on stderr.
    pub(crate) fn failed(self, code: i32) -> Self {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        assert!(!self.stderr.is_empty());
        self
    }

    /// Parses stdout as JSON objects, one per line.
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("one object per line"))
            .collect()
    }

    /// Parses stdout as one JSON object.
    pub(crate) fn object(&self) -> Value {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "{self:?}");
        objects.remove(0)
    }

    /// Parses stderr as the JSON object of an error.
    pub(crate) fn error(&self) -> Value {
        serde_json::from_str::<Value>(&self.stderr).expect("one object on stderr")["error"].clone()
    }
}
