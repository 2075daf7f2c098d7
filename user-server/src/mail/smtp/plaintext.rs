//! A plaintext connection, which STARTTLS may encrypt later.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A stream that yields single bytes until TLS begins, so that its reader never buffers more than
/// the line it waits for. Buffered bytes would later be taken for replies that arrived over TLS,
/// which allows a man in the middle to inject replies.
#[derive(Debug)]
pub(super) struct PlaintextStream {
    tcp: TcpStream,
    tls: bool,
    greeting: Greeting,
}

/// Command that introduces the client to the server: EHLO or HELO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    Ehlo,
    /// The older command of RFC 821, for a server that refuses EHLO. The library sends only EHLO,
    /// so the stream replaces the verb. A server without EHLO offers neither STARTTLS nor AUTH, so
    /// this is only of use if neither is needed.
    Helo,
}

/// The first byte of a TLS handshake record (RFC 8446, section 5.1). No SMTP command starts with
/// it.
const HANDSHAKE: u8 = 0x16;

impl PlaintextStream {
    pub(super) fn new(tcp: TcpStream, greeting: Greeting) -> Self {
        Self { tcp, tls: false, greeting }
    }
}

impl AsyncRead for PlaintextStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.tls || buffer.remaining() == 0 {
            return Pin::new(&mut self.tcp).poll_read(cx, buffer);
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        let polled = Pin::new(&mut self.tcp).poll_read(cx, &mut one);
        if polled.is_ready() {
            buffer.put_slice(one.filled());
        }
        polled
    }
}

impl AsyncWrite for PlaintextStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.tls |= bytes.first() == Some(&HANDSHAKE);
        if self.greeting == Greeting::Helo && bytes.starts_with(b"EHLO ") {
            // Only the letters that differ; the caller writes the rest.
            return match Pin::new(&mut self.tcp).poll_write(cx, b"HE") {
                Poll::Ready(Ok(written)) if written < 2 => {
                    Poll::Ready(Err(io::ErrorKind::WriteZero.into()))
                }
                polled => polled,
            };
        }
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for PlaintextStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }
}
