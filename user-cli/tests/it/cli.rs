//! Runs the program in a home of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A person with an empty home, who talks to one server.
pub(crate) struct Cli {
    home: TempDir,
    addr: String,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Cli {
    pub(crate) fn of(addr: impl Into<String>) -> Self {
        Self { home: tempfile::tempdir().unwrap(), addr: addr.into() }
    }

    /// For commands that ask no server.
    pub(crate) fn alone() -> Self {
        Self::of("127.0.0.1:1")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_user-cli"));
        command
            .env_clear()
            .env("USER_CLI_STATE_DIR", self.state_folder())
            .env("USER_SERVER_ADDR", &self.addr)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &str) -> Ran {
        Ran::of(self.command(arguments), stdin)
    }

    pub(crate) fn state_folder(&self) -> PathBuf {
        self.home.path().join("a/state")
    }

    /// The one file of the state folder.
    pub(crate) fn state_file(&self) -> PathBuf {
        let mut files =
            std::fs::read_dir(self.state_folder()).unwrap().map(|entry| entry.unwrap().path());
        let file = files.next().unwrap();
        assert!(files.next().is_none(), "nothing else is left in the folder");
        file
    }

    /// Whether there is a state file.
    pub(crate) fn remembers(&self) -> bool {
        std::fs::read_dir(self.state_folder()).is_ok_and(|mut files| files.next().is_some())
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.state_file()).unwrap()).unwrap()
    }
}

impl Ran {
    pub(crate) fn of(mut command: Command, stdin: &str) -> Self {
        let mut child = command.spawn().unwrap();
        // The program may end without having read it.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// It was done, and there was nothing to complain about.
    pub(crate) fn done(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self
    }

    /// It failed with this code, and nothing stands where a result would.
    pub(crate) fn failed(self, code: i32) -> Self {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        assert!(!self.stderr.is_empty());
        self
    }

    /// The JSON objects on stdout, one a line.
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("an object a line"))
            .collect()
    }

    pub(crate) fn object(&self) -> Value {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "{self:?}");
        objects.remove(0)
    }

    pub(crate) fn error(&self) -> Value {
        serde_json::from_str::<Value>(&self.stderr).expect("one object on stderr")["error"].clone()
    }
}
