//! The shell that runs the commands of the documents.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::output::matches;
use super::{PASSWORD, root};

/// A shell in a folder of its own, with the programs of this build and ports that are free.
pub(super) struct Shell {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
    /// Number of commands that do not end.
    background: u32,
    /// What the document says, and what it is here: addresses, ids and codes.
    replaced: Vec<(String, String)>,
}

impl Shell {
    /// Starts a shell. Returns `None` if a program that it needs is missing.
    pub(super) fn start() -> Option<Self> {
        let programs = Path::new(env!("CARGO_BIN_EXE_user-http")).parent().unwrap();
        let path = format!("{}:{}:/usr/sbin", programs.display(), std::env::var("PATH").unwrap());
        for name in ["user-server", "user-cli", "nginx", "curl", "python3"] {
            if !std::env::split_paths(&path).any(|folder| folder.join(name).exists()) {
                let line = format!("left out: commands of the documents ({name} is missing)\n");
                std::io::stderr().write_all(line.as_bytes()).unwrap();
                return None;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let ports: Vec<(String, String)> = ["3001", "3080", "8080", "8081"]
            .iter()
            .map(|port| {
                let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
                (format!("127.0.0.1:{port}"), format!("127.0.0.1:{free}"))
            })
            .collect();
        let port = |at: usize| ports[at].1.rsplit(':').next().unwrap().to_owned();
        let copy = folder.path().join("examples/nginx");
        std::fs::create_dir_all(&copy).unwrap();
        for file in std::fs::read_dir(root().join("examples/nginx")).unwrap() {
            let file = file.unwrap();
            if !file.file_type().unwrap().is_file() {
                continue;
            }
            let mut text = std::fs::read_to_string(file.path()).unwrap();
            for (from, to) in &ports {
                text = text.replace(from, to);
            }
            text = text.replace("\"127.0.0.1\", 8081", &format!("\"127.0.0.1\", {}", port(3)));
            let target = copy.join(file.file_name());
            std::fs::write(&target, text).unwrap();
            std::fs::set_permissions(target, file.metadata().unwrap().permissions()).unwrap();
        }
        let mut process = Command::new("bash")
            .current_dir(folder.path())
            // A group of its own, so that it can end whatever its commands have started.
            .process_group(0)
            .env("PATH", path)
            .env("HOME", folder.path())
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env("DRAIN_DELAY", "0")
            .env("TCP_PORT", port(0))
            .env("HTTP_PORT", port(1))
            .env("SERVICE_ADDRS", &ports[0].1)
            .env("USER_CLI_ADDR", &ports[0].1)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut replaced = ports;
        replaced.push(("/tmp/user-service".into(), folder.path().display().to_string()));
        let mut shell = Self { process, input, output, folder, background: 0, replaced };
        // The programs are built already, and nobody types the password.
        shell.run(&format!(
            "exec 2>&1\n\
             cargo() {{ if [ \"$1\" = build ]; then return; fi; shift 3; command \"$@\"; }}\n\
             curl() {{ command curl -sS \"$@\"; }}\n\
             user-cli() {{ case $1 in register|login|update|delete)\n\
             echo '{PASSWORD}' | command user-cli \"$@\" --password-stdin;;\n\
             *) command user-cli \"$@\";; esac; }}"
        ));
        Some(shell)
    }

    /// Runs a command, and returns the lines that it prints.
    pub(super) fn run(&mut self, command: &str) -> Vec<String> {
        let mut command = command.to_owned();
        for (from, to) in &self.replaced {
            command = command.replace(from, to);
        }
        writeln!(self.input, "{command}\necho; echo '<end>'").unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "{command}: the shell ended");
            match line.trim_end_matches(['\n', '\r']) {
                "<end>" => break,
                line => lines.push(line.to_owned()),
            }
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Runs a command. One that reads emails is run again until they have arrived.
    pub(super) fn run_until(&mut self, command: &str, expected: &[String]) -> Vec<String> {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let start = Instant::now();
        loop {
            let printed = self.run(command);
            let lines: Vec<&str> = printed.iter().map(String::as_str).collect();
            let is_done = !command.starts_with("grep") || matches(&expected, &lines, &mut vec![]);
            if is_done || start.elapsed() > Duration::from_secs(10) {
                return printed;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs a command that does not end, and returns its first lines.
    pub(super) fn run_in_background(&mut self, command: &str, lines: usize) -> Vec<String> {
        self.background += 1;
        let file = self.folder.path().join(format!("background.{}.log", self.background));
        self.run(&format!("{command} > {} 2>&1 < /dev/null &", file.display()));
        let start = Instant::now();
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if text.lines().count() >= lines {
                return text.lines().take(lines).map(str::to_owned).collect();
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{command}: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sets `$CODE` to the code of the newest email.
    pub(super) fn read_code(&mut self) {
        self.run(
            "for _ in $(seq 100); do\n\
             CODE=$(cat user-data/mails/*.eml 2>/dev/null | grep -m 1 '^    ' | tr -cd 0-9)\n\
             [ -z \"$CODE\" ] || break; sleep 0.1; done",
        );
    }

    /// Sets the variables that docs/HTTP.md names from a reply.
    pub(super) fn set_variables(&mut self, printed: &[String]) {
        let Some(line) = printed.last().filter(|line| line.starts_with('{')) else { return };
        let reply: serde_json::Value = serde_json::from_str(line).unwrap();
        let variables =
            [("ID", "verification_id"), ("ACCESS", "access_token"), ("REFRESH", "refresh_token")];
        for (variable, field) in variables {
            if let Some(value) = reply[field].as_str() {
                self.run(&format!("{variable}={value}"));
            }
        }
    }

    /// Compares what a command printed with the document, and remembers the ids and codes that
    /// stand for those in the document.
    pub(super) fn compare(&mut self, place: &str, expected: &[String], printed: &[String]) {
        let expected: Vec<String> = expected.iter().map(|line| self.replace(line)).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let printed: Vec<&str> = printed.iter().map(String::as_str).collect();
        let mut pairs = Vec::new();
        assert!(
            matches(&expected, &printed, &mut pairs),
            "{place}: the document has\n{}\nbut the command printed\n{}",
            expected.join("\n"),
            printed.join("\n")
        );
        self.replaced.extend(pairs);
    }

    fn replace(&self, line: &str) -> String {
        self.replaced
            .iter()
            .filter(|(from, _)| from.contains(['/', ':']))
            .fold(line.to_owned(), |line, (from, to)| line.replace(from, to))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = writeln!(self.input, "examples/nginx/stop; trap '' TERM; kill 0; wait; exit");
        let _ = self.process.wait();
    }
}
