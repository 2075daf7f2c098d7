//! The driver: a child process that makes the calls of one case with the client under test.

use std::collections::{HashMap, VecDeque};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::answer::Answer;

/// Time that the driver has to exit after the end of its stdin.
const EXIT_TIMEOUT: Duration = Duration::from_millis(500);
/// Time that the rest of stderr has to arrive after the driver has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);
/// Number of lines of stderr that are reported.
const LAST_LINES: usize = 10;
/// Longest part of a line that is reported.
const SHOWN: usize = 200;

/// A running driver.
pub(super) struct Driver {
    child: Child,
    stdin: ChildStdin,
    shared: Arc<Shared>,
    readers: Vec<JoinHandle<()>>,
    last_id: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pending: HashMap<u64, oneshot::Sender<Answer>>,
    stderr: VecDeque<String>,
    /// Reason for which no further answer will come.
    broken: Option<String>,
}

impl Driver {
    /// Starts the driver.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub(super) fn start(command: &[String]) -> std::io::Result<Self> {
        let (program, arguments) = command.split_first().unwrap_or((const { &String::new() }, &[]));
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(std::io::Error::other("the driver has no pipes"));
        };
        let shared = Arc::new(Shared::default());
        let answers = Arc::clone(&shared);
        let answers = tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                answers.answer(&line);
            }
            answers.end("the driver closed its stdout");
        });
        let log = Arc::clone(&shared);
        let log = tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let mut state = log.lock();
                state.stderr.push_back(shown(&line));
                if state.stderr.len() > LAST_LINES {
                    state.stderr.pop_front();
                }
            }
        });
        Ok(Self { child, stdin, shared, readers: vec![answers, log], last_id: 0 })
    }

    /// Sends a message, to which an id is added, and returns the receiver of its answer.
    pub(super) async fn send(&mut self, mut message: Map<String, Value>) -> Pending {
        self.last_id += 1;
        let id = self.last_id;
        message.insert("id".to_owned(), id.into());
        let (sender, answer) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if let Some(reason) = state.broken.clone() {
                let _ = sender.send(Answer::Failed(reason));
            } else {
                state.pending.insert(id, sender);
            }
        }
        let line = format!("{}\n", Value::Object(message));
        // If the driver has ended, its stdout tells that as well.
        let _ = self.stdin.write_all(line.as_bytes()).await;
        Pending(answer)
    }

    /// Ends the driver. Returns the last lines that it has logged.
    pub(super) async fn end(mut self) -> Vec<String> {
        drop(self.stdin);
        if timeout(EXIT_TIMEOUT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
        for reader in self.readers {
            // A process that the driver has started may hold the pipe open.
            let abort = reader.abort_handle();
            if timeout(DRAIN_TIMEOUT, reader).await.is_err() {
                abort.abort();
            }
        }
        self.shared.lock().stderr.iter().cloned().collect()
    }

    /// Returns the way in which the driver has ended, if it has.
    pub(super) async fn ended(&mut self) -> Option<String> {
        let status = timeout(DRAIN_TIMEOUT, self.child.wait()).await.ok()?.ok()?;
        Some(describe(status))
    }
}

/// An answer that will come.
pub(super) struct Pending(oneshot::Receiver<Answer>);

impl Pending {
    pub(super) async fn answer(self) -> Answer {
        self.0.await.unwrap_or_else(|_| Answer::Failed("the driver ended".to_owned()))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes the answer in a line of stdout to the one who waits for it.
    fn answer(&self, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let (id, answer) = match Answer::read(line) {
            Ok(read) => read,
            Err(reason) => return self.end(&format!("{reason}: {}", shown(line))),
        };
        let waiting = self.lock().pending.remove(&id);
        match waiting {
            Some(sender) => {
                let _ = sender.send(answer);
            }
            None => self.end(&format!(
                "the driver wrote an answer that no message waits for: {}",
                shown(line)
            )),
        }
    }

    /// Fails everything that waits, and everything to come.
    fn end(&self, reason: &str) {
        let mut state = self.lock();
        state.broken.get_or_insert_with(|| reason.to_owned());
        for sender in std::mem::take(&mut state.pending).into_values() {
            let _ = sender.send(Answer::Failed(reason.to_owned()));
        }
    }
}

/// Returns the beginning of a line, without characters that could disturb a terminal.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown: String = crate::format::printable(&text).chars().take(SHOWN).collect();
    if shown.len() < text.trim_end().len() {
        shown.push_str("...");
    }
    shown
}

fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("the driver exited with code {code}"),
        None => "the driver was killed by a signal".to_owned(),
    }
}
