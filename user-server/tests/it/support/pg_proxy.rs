//! A hostile proxy in front of a PostgreSQL server. It understands the frames of the protocol, and
//! does what networks, poolers and other engines do: it delays, silences and cuts connections,
//! refuses commits, and loses their replies.

mod frames;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify};
use tokio::task::{JoinHandle, JoinSet};

use frames::{Batch, IDLE, query, read_frame, refusal};

const SSL_REQUEST: u32 = 80_877_103;

/// A proxy for a PostgreSQL server of this machine.
pub struct PgProxy {
    rules: Arc<Rules>,
    task: JoinHandle<()>,
}

/// What the proxy does to connections. Nothing by default.
#[derive(Default)]
struct Rules {
    /// Silences a connection on which the client sends nothing but Sync, as sqlx does to test one.
    silence_pings: AtomicBool,
    /// Silences a connection for good as soon as anything is sent on it.
    silence_all: AtomicBool,
    /// Refuses the n-th, 2n-th, ... commit with 40001, or none if zero.
    conflict_every: AtomicU32,
    commits: AtomicU32,
    /// Number of the next commit after which the connection is cut before its reply, or zero.
    lose_reply: AtomicU32,
    /// Cuts the connection instead of the next commit.
    cut_commit: AtomicBool,
    /// Silences the connection of the next commit.
    silence_commit: AtomicBool,
    /// Cuts the connection before the reply of the n-th, 2n-th, ... commit, or none if zero.
    lose_every: AtomicU32,
    /// Silences the connection of the n-th, 2n-th, ... batch of requests, or none if zero.
    silence_every: AtomicU32,
    batches: AtomicU32,
    /// Refuses statements that take advisory locks, as engines without them do.
    refuse_advisory_locks: AtomicBool,
    /// Delay of each batch of requests, in microseconds.
    delay_micros: AtomicU64,
    refused: AtomicU32,
    cut: AtomicU32,
    lost: AtomicU32,
    silenced: AtomicU32,
    /// Notified when the silenced connections end.
    hang_up: Notify,
}

/// Number of faults of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyFaults {
    /// Refused commits, and refused advisory locks.
    pub refused: u32,
    /// Connections that were cut instead of a commit.
    pub cut: u32,
    /// Lost replies of commits.
    pub lost: u32,
    /// Silenced connections.
    pub silenced: u32,
}

impl PgProxy {
    /// Starts a proxy in front of the server in a URL. Returns it with the URL through it.
    pub async fn before(url: &str) -> (Self, String) {
        let address = url.split('@').nth(1).unwrap().split('/').next().unwrap();
        let to: u16 = address.split(':').nth(1).unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rules = Arc::new(Rules::default());
        let task = tokio::spawn({
            let rules = rules.clone();
            async move {
                let mut sessions = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    sessions.spawn(Session::run(client, to, rules.clone()));
                }
            }
        });
        (Self { rules, task }, url.replace(address, &format!("127.0.0.1:{port}")))
    }

    pub fn silence_pings(&self, on: bool) {
        self.rules.silence_pings.store(on, SeqCst);
    }

    pub fn silence_all(&self, on: bool) {
        self.rules.silence_all.store(on, SeqCst);
    }

    pub fn conflict_every(&self, commits: u32) {
        self.rules.conflict_every.store(commits, SeqCst);
    }

    /// Loses the reply of the n-th commit from now on; of none if zero.
    pub fn lose_reply(&self, commit: u32) {
        self.rules.lose_reply.store(commit, SeqCst);
    }

    /// Cuts the connection instead of the next commit, which is then rolled back.
    pub fn cut_commit(&self, on: bool) {
        self.rules.cut_commit.store(on, SeqCst);
    }

    /// Silences the connection of the next commit, and no other.
    pub fn silence_next_commit(&self, on: bool) {
        self.rules.silence_commit.store(on, SeqCst);
    }

    /// Closes the silenced connections, as the keepalive of the server does after a while.
    pub fn close_silenced(&self) {
        self.rules.hang_up.notify_waiters();
    }

    /// Loses the reply of the n-th, 2n-th, ... commit.
    pub fn lose_every(&self, commits: u32) {
        self.rules.lose_every.store(commits, SeqCst);
    }

    /// Silences the connection of the n-th, 2n-th, ... batch of requests.
    pub fn silence_every(&self, batches: u32) {
        self.rules.silence_every.store(batches, SeqCst);
    }

    pub fn refuse_advisory_locks(&self, on: bool) {
        self.rules.refuse_advisory_locks.store(on, SeqCst);
    }

    pub fn delay(&self, delay: Duration) {
        self.rules.delay_micros.store(u64::try_from(delay.as_micros()).unwrap(), SeqCst);
    }

    pub fn faults(&self) -> ProxyFaults {
        let Rules { refused, cut, lost, silenced, .. } = &*self.rules;
        ProxyFaults {
            refused: refused.load(SeqCst),
            cut: cut.load(SeqCst),
            lost: lost.load(SeqCst),
            silenced: silenced.load(SeqCst),
        }
    }

    /// Returns the number of all faults.
    pub fn done(&self) -> u32 {
        let ProxyFaults { refused, cut, lost, silenced } = self.faults();
        refused + cut + lost + silenced
    }
}

impl Drop for PgProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Treatment of one batch of requests, up to a Query or Sync.
enum Treatment {
    Forward,
    /// Answers with this SQLSTATE instead of executing it. `true` also rolls back.
    Refuse(&'static str, bool),
    /// Executes it, and cuts the connection before its reply.
    LoseReply,
    /// Cuts the connection instead of executing it.
    Cut,
    /// Forwards nothing on this connection any more, and keeps it open.
    Silence,
}

/// Treatment of the next reply of the server.
enum Expected {
    Reply,
    /// Sent to the client instead of the reply.
    Other(Vec<u8>),
    Cut,
}

/// One connection through the proxy.
struct Session {
    rules: Arc<Rules>,
    to_client: Mutex<OwnedWriteHalf>,
    expected: Mutex<Expected>,
    /// Status that the server reported last.
    status: AtomicU8,
    silenced: AtomicBool,
}

impl Session {
    async fn run(client: TcpStream, port: u16, rules: Arc<Rules>) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let session = Self {
            rules,
            to_client: Mutex::new(to_client),
            expected: Mutex::new(Expected::Reply),
            status: AtomicU8::new(IDLE),
            silenced: AtomicBool::new(false),
        };
        // Either direction that ends closes both.
        tokio::select! {
            _ = session.requests(from_client, to_server) => {}
            _ = session.replies(from_server) => {}
        }
    }

    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        loop {
            let length = from.read_u32().await?;
            let mut body = vec![0; length as usize - 4];
            from.read_exact(&mut body).await?;
            if self.rules.silence_all.load(SeqCst) {
                return self.silence().await;
            }
            if body.first_chunk() == Some(&SSL_REQUEST.to_be_bytes()) {
                self.to_client.lock().await.write_all(b"N").await?;
                continue;
            }
            to.write_all(&length.to_be_bytes()).await?;
            to.write_all(&body).await?;
            break;
        }
        let mut prepared = HashMap::new();
        loop {
            let batch = Batch::read(&mut from, &mut prepared).await?;
            let delay = Duration::from_micros(self.rules.delay_micros.load(SeqCst));
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            match self.treatment(&batch) {
                Treatment::Forward => {}
                Treatment::Silence => return self.silence().await,
                Treatment::Cut => return Ok(()),
                Treatment::LoseReply => *self.expected.lock().await = Expected::Cut,
                Treatment::Refuse(code, rollback) => {
                    let in_transaction = self.status.load(SeqCst) != IDLE;
                    let status = if in_transaction && !rollback { b'E' } else { IDLE };
                    let reply = refusal(code, status);
                    if in_transaction {
                        // The transaction of the server ends, or fails, as well.
                        let statement = if rollback { "ROLLBACK" } else { "SELECT 1/0" };
                        *self.expected.lock().await = Expected::Other(reply);
                        to.write_all(&query(statement)).await?;
                    } else {
                        self.to_client.lock().await.write_all(&reply).await?;
                    }
                    continue;
                }
            }
            to.write_all(&batch.bytes).await?;
        }
    }

    async fn replies(&self, mut from: OwnedReadHalf) -> io::Result<()> {
        loop {
            let (kind, frame) = read_frame(&mut from).await?;
            if self.silenced.load(SeqCst) {
                std::future::pending::<()>().await;
            }
            if kind == b'Z' {
                self.status.store(frame[5], SeqCst);
            }
            let mut expected = self.expected.lock().await;
            match &*expected {
                Expected::Reply => self.to_client.lock().await.write_all(&frame).await?,
                _ if kind != b'Z' => {}
                Expected::Cut => return Ok(()),
                Expected::Other(reply) => {
                    self.to_client.lock().await.write_all(reply).await?;
                    *expected = Expected::Reply;
                }
            }
        }
    }

    fn treatment(&self, batch: &Batch) -> Treatment {
        let rules = &self.rules;
        if rules.silence_all.load(SeqCst) || (batch.is_ping() && rules.silence_pings.load(SeqCst)) {
            return Treatment::Silence;
        }
        let (number, every) =
            (rules.batches.fetch_add(1, SeqCst) + 1, rules.silence_every.load(SeqCst));
        if every > 0 && number.is_multiple_of(every) {
            return Treatment::Silence;
        }
        let locks = batch.text.contains("pg_advisory") || batch.text.contains("pg_try_advisory");
        if locks && batch.executes && rules.refuse_advisory_locks.load(SeqCst) {
            rules.refused.fetch_add(1, SeqCst);
            return Treatment::Refuse("0A000", false);
        }
        if !batch.commits(self.status.load(SeqCst)) {
            return Treatment::Forward;
        }
        if rules.silence_commit.swap(false, SeqCst) {
            return Treatment::Silence;
        }
        if rules.cut_commit.swap(false, SeqCst) {
            rules.cut.fetch_add(1, SeqCst);
            return Treatment::Cut;
        }
        let number = rules.commits.fetch_add(1, SeqCst) + 1;
        let is_due = |every: &AtomicU32| {
            let every = every.load(SeqCst);
            every > 0 && number.is_multiple_of(every)
        };
        let is_next = rules.lose_reply.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        if is_next == Ok(1) || is_due(&rules.lose_every) {
            rules.lost.fetch_add(1, SeqCst);
            return Treatment::LoseReply;
        }
        if is_due(&rules.conflict_every) {
            rules.refused.fetch_add(1, SeqCst);
            return Treatment::Refuse("40001", true);
        }
        Treatment::Forward
    }

    async fn silence(&self) -> io::Result<()> {
        let hang_up = self.rules.hang_up.notified();
        self.silenced.store(true, SeqCst);
        self.rules.silenced.fetch_add(1, SeqCst);
        hang_up.await;
        Ok(())
    }
}
