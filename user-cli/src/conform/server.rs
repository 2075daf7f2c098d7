//! The server of one case: its addresses and connections. The script decides what they do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use user_proto::{Request, frame};

use super::cases::{Accept, Closing};
use super::tls::Certificates;
use super::values::{self, Fields, Layout};
use super::world::{Command, Connection, Received, State, World};

/// Time for which a server reads on after it has rejected a client, so that its last bytes arrive.
const LINGER: Duration = Duration::from_millis(500);
/// Time limit for a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of a case that hold for all its connections.
pub(super) struct Settings {
    pub(super) pong: Option<Fields>,
    pub(super) keys: Option<Fields>,
    /// Certificates, if the case uses TLS.
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) has_certificate: bool,
}

/// The addresses of a case. Dropping it closes them.
pub(super) struct Server {
    world: Arc<World>,
    settings: Arc<Settings>,
    addresses: Vec<SocketAddr>,
    /// Tasks of the addresses, by index; `None` while connections are refused.
    listeners: Mutex<Vec<Option<JoinHandle<()>>>>,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

impl Server {
    /// Listens on `count` free ports.
    pub(super) async fn start(
        world: Arc<World>,
        settings: Settings,
        count: usize,
    ) -> io::Result<Self> {
        let (mut addresses, mut listeners) = (Vec::new(), Vec::new());
        for index in 0..count {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            addresses.push(listener.local_addr()?);
            listeners.push(Some(tokio::spawn(listen(Arc::clone(&world), index, listener))));
        }
        let (settings, listeners) = (Arc::new(settings), Mutex::new(listeners));
        Ok(Self { world, settings, addresses, listeners, connections: Mutex::default() })
    }

    /// Returns the addresses, by this name of the host if there is one.
    pub(super) fn addresses(&self, host: Option<&str>) -> Vec<String> {
        let address = |address: &SocketAddr| match host {
            Some(host) => format!("{host}:{}", address.port()),
            None => address.to_string(),
        };
        self.addresses.iter().map(address).collect()
    }

    /// Stops listening on an address, so that connections to it are refused.
    pub(super) async fn refuse(&self, index: usize) {
        let listener = lock(&self.listeners).get_mut(index).and_then(Option::take);
        if let Some(listener) = listener {
            listener.abort();
            let _ = listener.await;
        }
        self.world.trace(format!("server refuses connections to address {index}"));
    }

    /// Listens on an address again.
    ///
    /// # Errors
    /// A text, if that is not possible.
    pub(super) fn listen(&self, index: usize) -> Result<(), String> {
        let address = *self.addresses.get(index).ok_or("there is no such address")?;
        let bind = || {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(1024)
        };
        let listener = bind().map_err(|error| format!("cannot listen on {address}: {error}"))?;
        self.world.trace(format!("server listens on address {index} again"));
        let task = tokio::spawn(listen(Arc::clone(&self.world), index, listener));
        if let Some(slot) = lock(&self.listeners).get_mut(index) {
            *slot = Some(task);
        }
        Ok(())
    }

    /// Waits for a socket, and serves it in the way of `accept`. Returns the number of the
    /// connection.
    pub(super) async fn accept(&self, accept: &Accept) -> Result<usize, String> {
        let find = |state: &mut State| {
            let suits =
                |(index, _): &(usize, TcpStream)| accept.address.is_none_or(|a| a == *index);
            let at = state.waiting.iter().position(suits)?;
            state.waiting.remove(at)
        };
        let (_, socket) = self.world.wait_for(find).await;
        let number = self.serve(socket, accept)?;
        self.world.change(|state| {
            state.accepts_left = state.accepts_left.saturating_sub(1);
            if accept.repeat {
                state.later = accept.clone();
            }
        });
        Ok(number)
    }

    /// Serves every socket that is not left for an `accept` step.
    pub(super) async fn accept_others(&self) -> Result<(), String> {
        loop {
            let (socket, accept) = self
                .world
                .wait_for(|state| {
                    let free = state.accepts_left == 0;
                    let (_, socket) = free.then(|| state.waiting.pop_front()).flatten()?;
                    Some((socket, state.later.clone()))
                })
                .await;
            self.serve(socket, &accept)?;
        }
    }

    fn serve(&self, socket: TcpStream, accept: &Accept) -> Result<usize, String> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let tls = match &self.settings.certificates {
            Some(certificates) if !accept.plain => {
                Some(certificates.server(accept, self.settings.has_certificate)?)
            }
            _ => None,
        };
        let number = self.world.change(|state| {
            state.connections.push(Connection { commands, closed: false, in_flight: Vec::new() });
            state.connections.len() - 1
        });
        let (world, settings) = (Arc::clone(&self.world), Arc::clone(&self.settings));
        let plain = accept.plain;
        let task = tokio::spawn(async move {
            let reads_frames = !plain;
            let peer = Peer {
                world: Arc::clone(&world),
                settings,
                number,
                commands: receiver,
                reads_frames,
            };
            peer.run(socket, tls).await;
            world.change(|state| {
                if let Some(connection) = state.connections.get_mut(number) {
                    connection.closed = true;
                }
            });
        });
        lock(&self.connections).push(task);
        Ok(number)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        lock(&self.listeners).iter().flatten().for_each(JoinHandle::abort);
        lock(&self.connections).iter().for_each(JoinHandle::abort);
    }
}

fn lock<T>(tasks: &Mutex<T>) -> MutexGuard<'_, T> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts sockets, and leaves them to the script.
async fn listen(world: Arc<World>, index: usize, listener: TcpListener) {
    while let Ok((socket, _)) = listener.accept().await {
        let _ = socket.set_nodelay(true);
        world.change(|state| {
            state.sockets += 1;
            state.waiting.push_back((index, socket));
        });
    }
}

/// Server side of one connection.
struct Peer {
    world: Arc<World>,
    settings: Arc<Settings>,
    number: usize,
    commands: mpsc::UnboundedReceiver<Command>,
    /// `false` if the client speaks TLS and the server does not.
    reads_frames: bool,
}

/// Stream that can be reset.
trait Transport: AsyncRead + AsyncWrite + Unpin {
    fn reset_on_close(&self);
}

impl Transport for TcpStream {
    fn reset_on_close(&self) {
        let _ = self.set_zero_linger();
    }
}

impl Transport for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        let _ = self.get_ref().0.set_zero_linger();
    }
}

impl Peer {
    fn trace(&self, event: &str) {
        self.world.trace(format!("connection {}: {event}", self.number + 1));
    }

    async fn run(mut self, socket: TcpStream, tls: Option<Arc<ServerConfig>>) {
        self.trace("accepted");
        let Some(config) = tls else { return self.exchange(socket).await };
        let handshake = TlsAcceptor::from(config).accept(socket).into_fallible();
        match timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(stream)) => self.exchange(stream).await,
            Ok(Err((error, mut socket))) => {
                self.trace(&format!("the TLS handshake failed: {error}"));
                // Closing a socket with unread bytes would discard the alert.
                let _ = socket.shutdown().await;
                let mut rest = Vec::new();
                let _ = timeout(LINGER, socket.read_to_end(&mut rest)).await;
            }
            Err(_) => self.trace("the TLS handshake took too long"),
        }
    }

    /// Reads requests and carries out the orders of the script, until the connection is closed.
    async fn exchange(&mut self, mut stream: impl Transport) {
        let (mut input, mut reads, mut ending) = (BytesMut::new(), true, false);
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(Command::Write(bytes, size)) => {
                        if self.write(&mut stream, &bytes, size).await.is_err() {
                            self.trace("cannot be written to");
                            return;
                        }
                    }
                    Some(Command::Stall) => reads = false,
                    Some(Command::Close(Closing::Rst)) => {
                        self.trace("reset by the server");
                        return stream.reset_on_close();
                    }
                    Some(Command::Close(Closing::Fin)) => {
                        self.trace("closed by the server");
                        let _ = stream.shutdown().await;
                        ending = true;
                    }
                    None => return,
                },
                count = stream.read_buf(&mut input), if reads => match count {
                    Ok(0) | Err(_) => {
                        self.trace("closed by the client");
                        self.world.change(|state| {
                            if let Some(connection) = state.connections.get_mut(self.number) {
                                connection.closed = true;
                            }
                        });
                        if ending || count.is_err() {
                            return;
                        }
                        reads = false;
                    }
                    Ok(_) => {
                        let replies = self.receive(&mut input);
                        if self.write(&mut stream, &replies, usize::MAX).await.is_err() {
                            return;
                        }
                    }
                },
            }
            // A client that has shut down writing waits for its replies, and then for the end.
            if !reads && !ending && self.is_finished() {
                let _ = stream.shutdown().await;
                return;
            }
        }
    }

    /// Returns `true` if the client has closed its side and is owed no reply.
    fn is_finished(&self) -> bool {
        let state = self.world.lock();
        let connection = state.connections.get(self.number);
        connection.is_some_and(|connection| connection.closed && connection.in_flight.is_empty())
    }

    async fn write(
        &self,
        stream: &mut impl Transport,
        bytes: &[u8],
        size: usize,
    ) -> io::Result<()> {
        for piece in bytes.chunks(size.max(1)) {
            stream.write_all(piece).await?;
            stream.flush().await?;
            if size < bytes.len() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        Ok(())
    }

    /// Records the requests in `input`, and returns the replies that the script leaves to the
    /// server.
    fn receive(&self, input: &mut BytesMut) -> Vec<u8> {
        let mut replies = Vec::new();
        if !self.reads_frames {
            input.clear();
        }
        loop {
            match frame::split(input) {
                Ok(None) => return replies,
                Ok(Some((frame, size))) => {
                    replies.extend(self.request(frame));
                    let _ = input.split_to(size);
                }
                Err(error) => {
                    self.violation(format!("section 3: sent an invalid frame: {error}"));
                    input.clear();
                    return replies;
                }
            }
        }
    }

    fn violation(&self, text: String) {
        self.trace(&text);
        self.world.change(|state| state.violations.push(text));
    }

    /// Records a request, and returns the reply if the script leaves it to the server.
    fn request(&self, frame: frame::Frame<'_>) -> Vec<u8> {
        let (request, common) = match Request::decode(frame.kind, frame.body) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.violation(format!("section 5: sent an invalid request: {error}"));
                return Vec::new();
            }
        };
        let name = request.row().1;
        self.trace(&format!("{name} with id {}", frame.id));
        let received = Received {
            connection: self.number,
            id: frame.id,
            name,
            fields: values::decode(|see| request.view(see)),
            common: values::decode(|see| common.view(see)),
            hashes: values::hashes(&request),
            at: Instant::now(),
            taken: false,
        };
        self.world.change(|state| state.receive(received));
        let reply = match name {
            "Ping" => self.settings.pong.as_ref().map(|pong| ("Pong", pong)),
            "GetKeys" => self.settings.keys.as_ref().map(|keys| ("Keys", keys)),
            _ => None,
        };
        let Some((name, fields)) = reply else { return Vec::new() };
        self.world.change(|state| state.answered(self.number, frame.id));
        let Some(layout) = Layout::named(name) else { return Vec::new() };
        match layout.encode(fields) {
            Ok(body) => encode_frame(layout.kind, frame.id, &body),
            Err(error) => {
                self.violation(format!("the case is wrong: {error}"));
                Vec::new()
            }
        }
    }
}

/// Encodes a frame.
pub(super) fn encode_frame(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 5).unwrap_or(u32::MAX);
    let mut frame = length.to_be_bytes().to_vec();
    frame.push(kind);
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(body);
    frame
}
