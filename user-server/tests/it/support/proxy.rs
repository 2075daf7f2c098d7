//! A network between two parts that a test can cut: bytes are held back, as where packets are lost,
//! and nobody is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A way to a port of this machine.
pub struct Proxy {
    pub port: u16,
    gate: Arc<Gate>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Gate {
    cut: AtomicBool,
    /// Cuts itself before bytes that hold this go to the server.
    trap: std::sync::Mutex<Option<Vec<u8>>>,
}

impl Proxy {
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let gate = Arc::new(Gate::default());
        let shared = gate.clone();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, port, shared.clone()));
            }
        });
        Self { port: own, gate, task }
    }

    /// Lets nothing through, or lets through again what was held back too.
    pub fn cut(&self, cut: bool) {
        self.gate.cut.store(cut, Ordering::SeqCst);
    }

    pub fn is_cut(&self) -> bool {
        self.gate.cut.load(Ordering::SeqCst)
    }

    /// Cuts once bytes that hold these are on their way to the server.
    pub fn cut_before(&self, bytes: &[u8]) {
        *self.gate.trap.lock().unwrap() = Some(bytes.to_vec());
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

    fn spring(&self, bytes: &[u8]) {
        let mut trap = self.trap.lock().unwrap();
        if trap.as_ref().is_some_and(|trap| bytes.windows(trap.len()).any(|window| window == trap))
        {
            *trap = None;
            self.cut.store(true, Ordering::SeqCst);
        }
    }
}

async fn carry(near: TcpStream, port: u16, gate: Arc<Gate>) {
    gate.pass().await;
    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
    }
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let up = pump(near_in, far_out, gate.clone(), true);
    tokio::join!(up, pump(far_in, near_out, gate, false));
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    gate: Arc<Gate>,
    upwards: bool,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if upwards {
            gate.spring(&bytes[..count]);
        }
        gate.pass().await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    gate.pass().await;
    let _ = to.shutdown().await;
}
