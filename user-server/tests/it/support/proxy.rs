//! A TCP proxy that a test can cut: it then delays all bytes and keeps the connections open, like a
//! network that loses packets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A proxy for a port of this machine.
pub struct Proxy {
    pub port: u16,
    gate: Arc<Gate>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Gate {
    cut: AtomicBool,
    /// Bytes on the way to the server that trigger a cut.
    trigger: std::sync::Mutex<Option<Vec<u8>>>,
}

impl Proxy {
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy_port = listener.local_addr().unwrap().port();
        let gate = Arc::new(Gate::default());
        let accepted = gate.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, port, accepted.clone()));
            }
        });
        Self { port: proxy_port, gate, task }
    }

    /// Stops forwarding, or resumes it with the bytes that were delayed.
    pub fn cut(&self, cut: bool) {
        self.gate.cut.store(cut, Ordering::SeqCst);
    }

    pub fn is_cut(&self) -> bool {
        self.gate.cut.load(Ordering::SeqCst)
    }

    /// Stops forwarding before a chunk to the server that contains these bytes.
    pub fn cut_before(&self, bytes: &[u8]) {
        *self.gate.trigger.lock().unwrap() = Some(bytes.to_vec());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    async fn pass(&self) {
        while self.cut.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Cuts if the bytes contain the trigger.
    fn check(&self, bytes: &[u8]) {
        let mut trigger = self.trigger.lock().unwrap();
        let contains =
            |wanted: &Vec<u8>| bytes.windows(wanted.len()).any(|window| window == wanted);
        if trigger.as_ref().is_some_and(contains) {
            *trigger = None;
            self.cut.store(true, Ordering::SeqCst);
        }
    }
}

async fn forward(client: TcpStream, port: u16, gate: Arc<Gate>) {
    gate.pass().await;
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let requests = copy(from_client, to_server, gate.clone(), true);
    tokio::join!(requests, copy(from_server, to_client, gate, false));
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    gate: Arc<Gate>,
    to_server: bool,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if to_server {
            gate.check(&bytes[..count]);
        }
        gate.pass().await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    gate.pass().await;
    let _ = to.shutdown().await;
}
