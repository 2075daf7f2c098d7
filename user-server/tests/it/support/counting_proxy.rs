//! A TCP proxy before PostgreSQL that counts round trips: the messages of the driver after which it
//! waits for the server. It can also delay them, like a database that is far away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Code of the first message of a connection that asks for TLS. The server refuses it, and the
/// startup message follows.
const SSL_REQUEST: u32 = 80_877_103;

/// A proxy for a PostgreSQL server of this machine.
pub struct CountingProxy {
    pub port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// One round trip to the database.
#[derive(Debug, Clone)]
pub struct RoundTrip {
    /// Number of the connection.
    pub connection: usize,
    /// Text of the statement.
    pub statement: String,
}

#[derive(Default)]
struct State {
    delay: AtomicU64,
    trips: Mutex<Vec<RoundTrip>>,
}

impl CountingProxy {
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy_port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        let task = tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((client, _)) = listener.accept().await {
                connection += 1;
                tokio::spawn(forward(client, port, connection, shared.clone()));
            }
        });
        Self { port: proxy_port, state, task }
    }

    /// Delays the answer to each round trip by this time from now on.
    pub fn delay(&self, delay: Duration) {
        self.state.delay.store(u64::try_from(delay.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Returns all round trips since the start, in order.
    pub fn trips(&self) -> Vec<RoundTrip> {
        self.state.trips.lock().unwrap().clone()
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(client: TcpStream, port: u16, connection: usize, state: Arc<State>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = copy(from_server, to_client, &state, None);
    tokio::join!(copy(from_client, to_server, &state, Some(Frames::new(connection))), answers);
}

/// Forwards bytes: those of the driver at once, and those of the server after the delay. Counts the
/// messages of the driver.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &State,
    mut frames: Option<Frames>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        match &mut frames {
            Some(frames) => frames.read(&bytes[..count], &state.trips),
            None => {
                let delay = Duration::from_millis(state.delay.load(Ordering::SeqCst));
                tokio::time::sleep(delay).await;
            }
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Reader of the messages that the driver sends on one connection.
struct Frames {
    connection: usize,
    has_started: bool,
    unread: Vec<u8>,
    /// Texts of the prepared statements, by name.
    statements: HashMap<String, String>,
    /// Text of the statement that is parsed or executed before the next Sync.
    current: Option<String>,
}

impl Frames {
    fn new(connection: usize) -> Self {
        Self {
            connection,
            has_started: false,
            unread: Vec::new(),
            statements: HashMap::new(),
            current: None,
        }
    }

    fn read(&mut self, bytes: &[u8], trips: &Mutex<Vec<RoundTrip>>) {
        self.unread.extend_from_slice(bytes);
        loop {
            let header = if self.has_started { 1 } else { 0 };
            let Some(length) = self.unread.get(header..header + 4) else { return };
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if self.unread.len() < header + length {
                return;
            }
            let message: Vec<u8> = self.unread.drain(..header + length).collect();
            if !self.has_started {
                let code = u32::from_be_bytes(message[4..8].try_into().unwrap());
                self.has_started = code != SSL_REQUEST;
                continue;
            }
            if let Some(statement) = self.statement(message[0], &message[5..]) {
                let connection = self.connection;
                trips.lock().unwrap().push(RoundTrip { connection, statement });
            }
        }
    }

    /// Handles one message. Returns the statement if the driver now waits for its result. A Sync
    /// without a statement is a test of a connection that was idle for a second, so it is not warm.
    fn statement(&mut self, kind: u8, body: &[u8]) -> Option<String> {
        let mut texts = body.split(|byte| *byte == 0);
        let mut text = || String::from_utf8_lossy(texts.next().unwrap_or_default()).into_owned();
        match kind {
            b'P' => {
                let (name, statement) = (text(), text());
                self.current = Some(statement.clone());
                self.statements.insert(name, statement);
                None
            }
            b'B' => {
                let (_portal, name) = (text(), text());
                self.current = self.statements.get(&name).cloned();
                None
            }
            b'Q' => Some(text()),
            b'S' => self.current.take(),
            _ => None,
        }
    }
}
