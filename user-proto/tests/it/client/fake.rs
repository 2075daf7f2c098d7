//! A fake server that a test controls frame by frame.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use user_proto::client::{Client, Config, Error};
use user_proto::{
    Common, ErrorCode, ErrorReply, GetUser, Login, Pong, Reply, Request, RequestMessage,
    TokenVerified, UnixSeconds, UserDeleted, VerifyToken, encode, frame,
};
use uuid::Uuid;

/// Time limit for each step, so that a test that hangs fails at the right place.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Fake {
    listener: Arc<TcpListener>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        Self { listener: Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap()) }
    }

    pub(super) async fn at(addr: SocketAddr) -> Self {
        Self { listener: Arc::new(TcpListener::bind(addr).await.unwrap()) }
    }

    /// Accepts one connection and serves it until the client closes it. Returns the number of
    /// requests.
    pub(super) async fn accept_and_serve(self) -> usize {
        self.accept().await.serve().await
    }

    pub(super) fn addr(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    pub(super) fn client(&self) -> Client {
        self.client_with(quick())
    }

    pub(super) fn client_with(&self, config: Config) -> Client {
        Client::with_config(self.addr(), config)
    }

    pub(super) async fn accept(&self) -> Peer {
        let (stream, _) = tokio::time::timeout(TIMEOUT, self.listener.accept())
            .await
            .expect("a connection")
            .expect("accept");
        Peer::new(stream)
    }

    /// Returns the listener, for a server that accepts connections at any time.
    pub(super) fn listener(&self) -> Arc<TcpListener> {
        Arc::clone(&self.listener)
    }

    /// Returns `true` if no client connects within 100 ms.
    pub(super) async fn has_no_connection(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.listener.accept()).await.is_err()
    }
}

/// Returns a configuration with a short backoff.
pub(super) fn quick() -> Config {
    Config { initial_backoff: Duration::from_millis(10), ..Config::default() }
}

/// Returns a configuration with a short backoff and a default deadline.
pub(super) fn within(deadline: Duration) -> Config {
    Config { deadline: Some(deadline), ..quick() }
}

/// Returns an address on which no server listens.
pub(super) async fn unused_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// The server's side of one connection.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    input: BytesMut,
}

impl Peer {
    pub(super) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, input: BytesMut::new() }
    }

    /// Returns the next request, however long it takes, or `None` if the client has closed.
    pub(super) async fn wait(&mut self) -> Option<(u32, Request<'static>)> {
        loop {
            if let Some((found, size)) = frame::split(&self.input).unwrap() {
                let (request, _) = Request::decode(found.kind, found.body).unwrap();
                let request = (found.id, request.into_owned());
                let _ = self.input.split_to(size);
                return Some(request);
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or_default() == 0 {
                return None;
            }
        }
    }

    /// Returns the next request, or `None` if the client has shut down its side.
    pub(super) async fn next(&mut self) -> Option<(u32, Request<'static>, Common<'static>)> {
        loop {
            if let Some((found, size)) = frame::split(&self.input).unwrap() {
                let id = found.id;
                let (request, common) = Request::decode(found.kind, found.body).unwrap();
                let request = (id, request.into_owned(), common.into_owned());
                let _ = self.input.split_to(size);
                return Some(request);
            }
            let read = tokio::time::timeout(TIMEOUT, self.stream.read_buf(&mut self.input));
            if read.await.expect("a request").unwrap_or_default() == 0 {
                return None;
            }
        }
    }

    pub(super) async fn request(&mut self) -> (u32, Request<'static>) {
        let (id, request, _) = self.next().await.expect("a request");
        (id, request)
    }

    pub(super) async fn reply<'a>(&mut self, id: u32, reply: impl Into<Reply<'a>>) {
        let mut out = BytesMut::new();
        reply.into().encode(id, &mut out).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }

    pub(super) async fn refuse(&mut self, id: u32, code: ErrorCode) {
        self.reply(id, error(code)).await;
    }

    /// Answers every request until the client shuts down its side. Returns their number.
    pub(super) async fn serve(mut self) -> usize {
        let mut served = 0;
        while let Some((id, request, _)) = self.next().await {
            served += 1;
            match request {
                Request::Ping(_) => {
                    self.reply(
                        id,
                        Pong { max_in_flight: None, idle_timeout: None, max_hashing: None },
                    )
                    .await
                }
                Request::VerifyToken(request) => {
                    let session = number(request.access_token.expose_str().unwrap());
                    self.reply(id, verified(session)).await;
                }
                Request::DeleteUser(_) | Request::Login(_) => {
                    self.refuse(id, ErrorCode::INVALID_CREDENTIALS).await
                }
                _ => self.refuse(id, ErrorCode::INTERNAL).await,
            }
        }
        served
    }
}

/// Spawns a call.
pub(super) fn call<M>(client: &Client, request: M) -> JoinHandle<Result<M::Reply, Error>>
where
    M: RequestMessage + Send + Sync + 'static,
{
    let client = client.clone();
    tokio::spawn(async move { client.call(request).await })
}

/// Returns a request that may be repeated, identified by a number.
pub(super) fn verify(token: u32) -> VerifyToken<'static> {
    VerifyToken { access_token: token.to_string().into() }
}

/// Returns a request that must not be repeated.
pub(super) fn login() -> Login<'static> {
    Login::new("kim".into(), "correct horse".into())
}

/// Returns a request that must not be repeated, long enough that a few hundred do not fit into the
/// buffers of the sockets.
pub(super) fn long_login() -> Login<'static> {
    Login::new("k".repeat(60_000).into(), "p".into())
}

pub(super) fn user() -> GetUser<'static> {
    GetUser { access_token: "token".into() }
}

/// Returns the reply to [`verify`] with the same number.
pub(super) fn verified(token: u32) -> TokenVerified {
    TokenVerified {
        user_id: Uuid::nil(),
        session_id: Uuid::from_u128(token.into()),
        issued_at: UnixSeconds(1),
        expires_at: UnixSeconds(2),
        stale_ms: None,
    }
}

pub(super) fn token_of(request: &Request<'_>) -> u32 {
    let Request::VerifyToken(request) = request else { panic!("{request:?}") };
    number(request.access_token.expose_str().unwrap())
}

pub(super) fn error(code: ErrorCode) -> ErrorReply<'static> {
    ErrorReply { code, message: "no".into(), retry_after_ms: None, field: None }
}

/// Returns a frame with a reply of a type that does not belong to the request.
pub(super) fn wrong_reply(id: u32) -> BytesMut {
    let mut out = BytesMut::new();
    encode(id, &UserDeleted { user_id: Uuid::nil() }, &mut out).unwrap();
    out
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_default()
}
