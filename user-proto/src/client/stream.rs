//! A byte stream to a server, with or without TLS. Reads no frames.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::error::{CloseReason, ConnectError};
#[cfg(feature = "tls")]
use super::tls;

/// A byte stream to a server.
#[derive(Debug)]
pub enum Stream {
    /// TCP without TLS.
    Plain(TcpStream),
    /// TLS over TCP.
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects to `addr` (`host:port`) without TLS.
    ///
    /// # Errors
    /// Fails if the server cannot be reached.
    pub async fn connect(addr: &str) -> Result<Self, ConnectError> {
        Ok(Self::Plain(tcp(addr).await?))
    }

    /// Connects to `addr` (`host:port`) and performs the TLS handshake.
    ///
    /// # Errors
    /// Fails if the server cannot be reached, or if the handshake fails. A server rejects a client
    /// certificate only after the handshake: the first read then fails.
    #[cfg(feature = "tls")]
    pub async fn connect_tls(addr: &str, tls: &tls::Tls) -> Result<Self, ConnectError> {
        let name = tls.server_name(addr)?;
        Ok(Self::Tls(Box::new(tls.handshake(name, tcp(addr).await?).await?)))
    }
}

async fn tcp(addr: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    // Requests are small, and a caller waits for each.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Evaluates an expression with the inner stream.
macro_rules! either {
    ($self:ident, $stream:ident => $work:expr) => {
        match $self.get_mut() {
            Self::Plain($stream) => $work,
            #[cfg(feature = "tls")]
            Self::Tls($stream) => $work,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}

impl From<io::Error> for CloseReason {
    fn from(error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        if let Some(error) = tls::rejection(&error) {
            return Self::Rejected(error);
        }
        // A TLS stream that ends without `close_notify`. TCP reports the end without an error.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::ClosedByServer;
        }
        Self::Io(error.kind(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn an_unexpected_end_means_closed_and_any_other_error_keeps_its_kind() {
        assert_eq!(
            CloseReason::from(std::io::Error::from(ErrorKind::UnexpectedEof)),
            CloseReason::ClosedByServer
        );
        let reset = CloseReason::from(std::io::Error::from(ErrorKind::ConnectionReset));
        assert!(matches!(reset, CloseReason::Io(ErrorKind::ConnectionReset, _)), "{reset:?}");
    }
}
