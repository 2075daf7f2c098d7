//! A raw connection, which sends any bytes and receives frames. Tests use it to send what a client
//! would never send.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use user_proto::{Common, ErrorCode, ErrorReply, Ping, Reply, Request, frame};

/// Timeout of a test's waits, which a correct server never reaches.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A raw connection.
pub struct Wire {
    writer: OwnedWriteHalf,
    replies: Replies,
}

struct Replies {
    reader: OwnedReadHalf,
    input: BytesMut,
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// Connects from another address of this machine, which is another peer to the server.
    pub async fn connect_from(ip: [u8; 4], address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((ip, 0).into()).unwrap();
        Self::over(socket.connect(address).await.unwrap())
    }

    /// Connects with the smallest receive buffer that the system allows.
    pub async fn connect_with_small_buffer(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        Self::over(socket.connect(address).await.unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        let (reader, writer) = stream.into_split();
        Self { writer, replies: Replies { reader, input: BytesMut::new() } }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        timeout(TEST_TIMEOUT, self.writer.write_all(bytes))
            .await
            .expect("the server reads")
            .unwrap();
    }

    /// Sends until the connection is lost. Returns `false` after the timeout.
    pub async fn send_until_lost(&mut self, bytes: &[u8]) -> bool {
        timeout(TEST_TIMEOUT, async { while self.writer.write_all(bytes).await.is_ok() {} })
            .await
            .is_ok()
    }

    /// Sends and reads this many replies concurrently, so that full buffers do not block both
    /// sides.
    pub async fn exchange(&mut self, bytes: &[u8], count: usize) -> Vec<(u32, Reply<'static>)> {
        let sending = async {
            timeout(TEST_TIMEOUT, self.writer.write_all(bytes))
                .await
                .expect("the server reads")
                .unwrap()
        };
        let receiving = async {
            let mut replies = Vec::new();
            while replies.len() < count {
                replies
                    .push(self.replies.next().await.expect("a reply before the connection closes"));
            }
            replies
        };
        tokio::join!(sending, receiving).1
    }

    pub async fn request<'a>(&mut self, id: u32, request: impl Into<Request<'a>>) {
        self.send(&request_frame(id, request, &Common::default())).await;
    }

    /// Returns the next reply, or `None` after the server has closed the connection. A reset fails
    /// the test.
    pub async fn next(&mut self) -> Option<(u32, Reply<'static>)> {
        self.replies.next().await
    }

    pub async fn reply(&mut self) -> (u32, Reply<'static>) {
        self.next().await.expect("a reply before the connection closes")
    }

    /// Returns the next reply, which must be an error with this id.
    pub async fn refusal(&mut self, id: u32) -> ErrorReply<'static> {
        match self.reply().await {
            (found, Reply::ErrorReply(error)) if found == id => error,
            other => panic!("no error for {id}: {other:?}"),
        }
    }

    /// Asserts that the connection is alive.
    pub async fn ping(&mut self, id: u32) {
        self.request(id, Ping {}).await;
        let reply = self.reply().await;
        assert!(
            matches!(reply, (found, Reply::Pong(_)) if found == id),
            "no pong for {id}: {reply:?}"
        );
    }

    /// Asserts that the server closes the connection without another reply and without a reset.
    pub async fn expect_close(&mut self) {
        assert_eq!(self.next().await, None);
    }

    /// Asserts that the server sends this error with id 0 and closes the connection.
    pub async fn expect_close_with(&mut self, code: ErrorCode) -> ErrorReply<'static> {
        let error = self.refusal(0).await;
        assert_eq!(error.code, code, "{error:?}");
        self.expect_close().await;
        error
    }

    pub async fn half_close(&mut self) {
        self.writer.shutdown().await.unwrap();
    }
}

impl Replies {
    async fn next(&mut self) -> Option<(u32, Reply<'static>)> {
        loop {
            if let Some((found, size)) = frame::split(&self.input).unwrap() {
                let reply = (found.id, Reply::decode(found.kind, found.body).unwrap().into_owned());
                self.input.advance(size);
                return Some(reply);
            }
            let read = timeout(TEST_TIMEOUT, self.reader.read_buf(&mut self.input)).await;
            if read.expect("the server replies or closes").expect("no reset") == 0 {
                assert!(self.input.is_empty(), "the connection closes inside a frame");
                return None;
            }
        }
    }
}

/// Returns the bytes of a request's frame.
pub fn request_frame<'a>(id: u32, request: impl Into<Request<'a>>, common: &Common<'_>) -> Vec<u8> {
    let mut out = BytesMut::new();
    request.into().encode(id, common, &mut out).unwrap();
    out.to_vec()
}

/// Returns the bytes of a frame with any type, id and body, and the correct length.
pub fn raw_frame(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(5 + body.len()).unwrap();
    [&length.to_be_bytes(), [kind].as_slice(), &id.to_be_bytes(), body].concat()
}
