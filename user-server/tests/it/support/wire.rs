//! A connection without a client: any bytes out, frames in. What a client would never send is sent
//! with this.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use user_proto::{Common, ErrorCode, ErrorReply, Ping, Reply, Request, frame};

/// How long a test waits for what must come. It is never waited out where the server is right.
pub const PATIENCE: Duration = Duration::from_secs(60);

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

    /// A connection from another address of this machine: another peer to the server.
    pub async fn connect_from(ip: [u8; 4], address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((ip, 0).into()).unwrap();
        Self::over(socket.connect(address).await.unwrap())
    }

    /// A connection whose own buffer for replies is as small as the system allows.
    pub async fn connect_narrow(address: SocketAddr) -> Self {
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
        timeout(PATIENCE, self.writer.write_all(bytes)).await.expect("the server reads").unwrap();
    }

    /// Sends until the connection is lost; whether that came within a test's patience.
    pub async fn send_until_lost(&mut self, bytes: &[u8]) -> bool {
        timeout(PATIENCE, async { while self.writer.write_all(bytes).await.is_ok() {} })
            .await
            .is_ok()
    }

    /// Sends, and reads this many replies at the same time: neither side waits for room that the
    /// other has to make.
    pub async fn exchange(&mut self, bytes: &[u8], count: usize) -> Vec<(u32, Reply<'static>)> {
        let sending = async {
            timeout(PATIENCE, self.writer.write_all(bytes))
                .await
                .expect("the server reads")
                .unwrap()
        };
        let receiving = async {
            let mut replies = Vec::new();
            while replies.len() < count {
                replies.push(self.replies.next().await.expect("a reply before the end"));
            }
            replies
        };
        tokio::join!(sending, receiving).1
    }

    pub async fn ask<'a>(&mut self, id: u32, request: impl Into<Request<'a>>) {
        self.send(&request_frame(id, request, &Common::default())).await;
    }

    /// The next reply; none where the server has ended the connection in order. A reset fails the
    /// test.
    pub async fn next(&mut self) -> Option<(u32, Reply<'static>)> {
        self.replies.next().await
    }

    pub async fn reply(&mut self) -> (u32, Reply<'static>) {
        self.next().await.expect("a reply before the end")
    }

    /// The error that is the next reply, which must have this id.
    pub async fn refusal(&mut self, id: u32) -> ErrorReply<'static> {
        match self.reply().await {
            (found, Reply::ErrorReply(error)) if found == id => error,
            other => panic!("no error for {id}: {other:?}"),
        }
    }

    /// Shows that the connection lives.
    pub async fn ping(&mut self, id: u32) {
        self.ask(id, Ping {}).await;
        let reply = self.reply().await;
        assert!(
            matches!(reply, (found, Reply::Pong(_)) if found == id),
            "no pong for {id}: {reply:?}"
        );
    }

    /// Shows that the server ends the connection without another word, and by no reset.
    pub async fn ends(&mut self) {
        assert_eq!(self.next().await, None);
    }

    /// Shows that the server says this with id 0, and ends.
    pub async fn ends_with(&mut self, code: ErrorCode) -> ErrorReply<'static> {
        let error = self.refusal(0).await;
        assert_eq!(error.code, code, "{error:?}");
        self.ends().await;
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
            let read = timeout(PATIENCE, self.reader.read_buf(&mut self.input)).await;
            if read.expect("the server answers or ends").expect("no reset") == 0 {
                assert!(self.input.is_empty(), "the connection ends inside a frame");
                return None;
            }
        }
    }
}

/// A request as the bytes of its frame.
pub fn request_frame<'a>(id: u32, request: impl Into<Request<'a>>, common: &Common<'_>) -> Vec<u8> {
    let mut out = BytesMut::new();
    request.into().encode(id, common, &mut out).unwrap();
    out.to_vec()
}

/// A frame of any type, id and body, with its true length.
pub fn raw_frame(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(5 + body.len()).unwrap();
    [&length.to_be_bytes(), [kind].as_slice(), &id.to_be_bytes(), body].concat()
}
