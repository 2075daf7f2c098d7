//! A scripted SMTP server: it accepts everything except where its script says otherwise, and
//! records every dialogue.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::support::ReceivedEmail;

/// Action of the sink at a point of the dialogue.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    Reply(&'static str),
    ReplyAfter(Duration, &'static str),
    Stall,
    Drop,
}

/// Actions by the beginning of the client's line: `GREETING` before the first line, `.` after the
/// email. The first match counts.
pub type Script = Vec<(&'static str, Action)>;

/// One connection: the lines of the client, and the email that it sent.
#[derive(Debug, Clone, Default)]
pub struct Dialogue {
    pub lines: Vec<String>,
    pub email: Option<String>,
}

impl Dialogue {
    pub fn sent(&self, verb: &str) -> bool {
        self.lines.iter().any(|line| line.starts_with(verb))
    }

    pub fn email(&self) -> ReceivedEmail {
        ReceivedEmail::parse(String::new(), self.email.as_ref().unwrap())
    }

    pub fn message_id(&self) -> &str {
        self.email.as_ref().unwrap().lines().find(|line| line.starts_with("Message-ID:")).unwrap()
    }
}

#[derive(Default)]
struct State {
    script: Script,
    dialogues: Vec<Dialogue>,
}

pub struct Sink {
    pub port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    pub async fn start(script: Script) -> Self {
        Self::start_on(0, script).await
    }

    pub async fn start_on(port: u16, script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { script, dialogues: Vec::new() }));
        let listen = state.clone();
        let task = tokio::spawn(async move {
            // Every connection ends with the sink.
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let number = {
                    let mut state = listen.lock().unwrap();
                    state.dialogues.push(Dialogue::default());
                    state.dialogues.len() - 1
                };
                connections.spawn(serve(tcp, listen.clone(), number));
            }
        });
        Self { port, state, task }
    }

    /// Stops listening and closes every connection. Returns every dialogue.
    pub async fn close(mut self) -> Vec<Dialogue> {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.dialogues()
    }

    /// Replaces the script.
    pub fn set_script(&self, script: Script) {
        self.state.lock().unwrap().script = script;
    }

    pub fn dialogues(&self) -> Vec<Dialogue> {
        self.state.lock().unwrap().dialogues.clone()
    }

    /// Waits for `count` dialogues with a complete email and returns all of them.
    pub async fn emails(&self, count: usize) -> Vec<Dialogue> {
        self.wait(count, |dialogue| dialogue.email.is_some()).await
    }

    /// Waits for `count` dialogues that match and returns all of them. Panics if none is added for
    /// 30 s.
    pub async fn wait(&self, count: usize, matches: impl Fn(&Dialogue) -> bool) -> Vec<Dialogue> {
        let (mut last, mut seen) = (Instant::now(), 0);
        loop {
            let found: Vec<_> = self.dialogues().into_iter().filter(&matches).collect();
            if found.len() >= count {
                return found;
            }
            if found.len() > seen {
                (last, seen) = (Instant::now(), found.len());
            }
            assert!(
                last.elapsed() < Duration::from_secs(30),
                "{} of {count} in {:?}",
                found.len(),
                self.dialogues()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn serve(tcp: TcpStream, state: Arc<Mutex<State>>, number: usize) {
    let mut stream = BufReader::new(tcp);
    if !perform(&mut stream, &state, "GREETING", "220 sink").await {
        return;
    }
    loop {
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        let line = line.trim_end().to_owned();
        let default = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => "250 sink",
            "DATA" => "354 send the email",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        state.lock().unwrap().dialogues[number].lines.push(line.clone());
        if !perform(&mut stream, &state, &line, default).await {
            return;
        }
        if line == "DATA" {
            let mut email = String::new();
            while !email.ends_with("\r\n.\r\n") {
                if !matches!(stream.read_line(&mut email).await, Ok(1..)) {
                    return;
                }
            }
            state.lock().unwrap().dialogues[number].email = Some(email);
            if !perform(&mut stream, &state, ".", "250 accepted").await {
                return;
            }
        }
    }
}

/// Performs the scripted action, or sends the default reply. Returns whether the dialogue
/// continues.
async fn perform(
    stream: &mut BufReader<TcpStream>,
    state: &Mutex<State>,
    line: &str,
    default: &'static str,
) -> bool {
    let scripted = state
        .lock()
        .unwrap()
        .script
        .iter()
        .find(|(point, _)| line.starts_with(point))
        .map(|(_, action)| *action);
    let answer = match scripted.unwrap_or(Action::Reply(default)) {
        Action::Reply(answer) => answer,
        Action::ReplyAfter(wait, answer) => {
            tokio::time::sleep(wait).await;
            answer
        }
        Action::Stall => return std::future::pending().await,
        Action::Drop => return false,
    };
    stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.is_ok()
}
