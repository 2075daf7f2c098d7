//! A scripted SMTP server: it says yes to everything but what the script says otherwise about, and
//! remembers what it heard.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::support::ReceivedEmail;

/// What the sink does at a point of the dialogue.
#[derive(Debug, Clone, Copy)]
pub enum ChangeContext {
    Say(&'static str),
    SayAfter(Duration, &'static str),
    Stall,
    Drop,
}

/// Points of the dialogue, by how the client's line begins: `GREETING` before any, `.` after the
/// mail. The first that fits counts.
pub type Script = Vec<(&'static str, ChangeContext)>;

/// One connection: what the client said, and the mail that it handed over.
#[derive(Debug, Clone, Default)]
pub struct Dialogue {
    pub lines: Vec<String>,
    pub mail: Option<String>,
}

impl Dialogue {
    pub fn said(&self, verb: &str) -> bool {
        self.lines.iter().any(|line| line.starts_with(verb))
    }

    pub fn mail(&self) -> ReceivedEmail {
        ReceivedEmail::parse(String::new(), self.mail.as_ref().unwrap())
    }

    pub fn message_id(&self) -> &str {
        self.mail.as_ref().unwrap().lines().find(|line| line.starts_with("Message-ID:")).unwrap()
    }
}

#[derive(Default)]
struct Heard {
    script: Script,
    dialogues: Vec<Dialogue>,
}

pub struct Sink {
    pub port: u16,
    heard: Arc<Mutex<Heard>>,
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
        let heard = Arc::new(Mutex::new(Heard { script, dialogues: Vec::new() }));
        let listen = heard.clone();
        let task = tokio::spawn(async move {
            // They end with the sink, in whatever they are.
            let mut talks = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let number = {
                    let mut heard = listen.lock().unwrap();
                    heard.dialogues.push(Dialogue::default());
                    heard.dialogues.len() - 1
                };
                talks.spawn(talk(tcp, listen.clone(), number));
            }
        });
        Self { port, heard, task }
    }

    /// Listens no more, and hangs up; everything that it has heard.
    pub async fn close(mut self) -> Vec<Dialogue> {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.dialogues()
    }

    /// Goes on by another script.
    pub fn follow(&self, script: Script) {
        self.heard.lock().unwrap().script = script;
    }

    pub fn dialogues(&self) -> Vec<Dialogue> {
        self.heard.lock().unwrap().dialogues.clone()
    }

    /// Those that came to a mail's end, once there are `count`.
    pub async fn mails(&self, count: usize) -> Vec<Dialogue> {
        self.wait(count, |dialogue| dialogue.mail.is_some()).await
    }

    /// Those that fit, once there are `count`.
    pub async fn wait(&self, count: usize, fits: impl Fn(&Dialogue) -> bool) -> Vec<Dialogue> {
        let began = Instant::now();
        loop {
            let found: Vec<_> = self.dialogues().into_iter().filter(&fits).collect();
            if found.len() >= count {
                return found;
            }
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{} of {count} in {:?}",
                found.len(),
                self.dialogues()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn talk(tcp: TcpStream, heard: Arc<Mutex<Heard>>, number: usize) {
    let mut stream = BufReader::new(tcp);
    if !act(&mut stream, &heard, "GREETING", "220 sink").await {
        return;
    }
    loop {
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        let line = line.trim_end().to_owned();
        let usual = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => "250 sink",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        heard.lock().unwrap().dialogues[number].lines.push(line.clone());
        if !act(&mut stream, &heard, &line, usual).await {
            return;
        }
        if line == "DATA" {
            let mut mail = String::new();
            while !mail.ends_with("\r\n.\r\n") {
                if !matches!(stream.read_line(&mut mail).await, Ok(1..)) {
                    return;
                }
            }
            heard.lock().unwrap().dialogues[number].mail = Some(mail);
            if !act(&mut stream, &heard, ".", "250 taken").await {
                return;
            }
        }
    }
}

/// Whether the dialogue goes on.
async fn act(
    stream: &mut BufReader<TcpStream>,
    heard: &Mutex<Heard>,
    line: &str,
    usual: &'static str,
) -> bool {
    let scripted = heard
        .lock()
        .unwrap()
        .script
        .iter()
        .find(|(point, _)| line.starts_with(point))
        .map(|(_, act)| *act);
    let answer = match scripted.unwrap_or(ChangeContext::Say(usual)) {
        ChangeContext::Say(answer) => answer,
        ChangeContext::SayAfter(wait, answer) => {
            tokio::time::sleep(wait).await;
            answer
        }
        ChangeContext::Stall => return std::future::pending().await,
        ChangeContext::Drop => return false,
    };
    stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.is_ok()
}
