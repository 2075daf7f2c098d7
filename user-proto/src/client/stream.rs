//! A stream to a server, in clear or secret, made the same way by whoever needs one. Knows no
//! frame.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::error::{Cause, NoStream};
#[cfg(feature = "tls")]
use super::tls;

/// A stream to a server.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    #[cfg(feature = "tls")]
    Secret(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects to `addr`, which is `host:port`.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn connect(addr: &str) -> Result<Self, NoStream> {
        Ok(Self::Plain(tcp(addr).await?))
    }

    /// The same, and makes the stream a secret one.
    ///
    /// # Errors
    /// Those of the system, and why there is no handshake. The server refuses a client's
    /// certificate only after it: by an error of the first read.
    #[cfg(feature = "tls")]
    pub async fn connect_secret(addr: &str, tls: &tls::Tls) -> Result<Self, NoStream> {
        let name = tls.name_of(addr)?;
        Ok(Self::Secret(Box::new(tls.shake(name, tcp(addr).await?).await?)))
    }
}

async fn tcp(addr: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    // A request is small and somebody waits for it.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks whichever stream it is.
macro_rules! either {
    ($self:ident, $stream:ident => $work:expr) => {
        match $self.get_mut() {
            Self::Plain($stream) => $work,
            #[cfg(feature = "tls")]
            Self::Secret($stream) => $work,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(context, room))
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

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        if let Some(why) = tls::kept_out(&error) {
            return Self::KeptOut(why);
        }
        // A TLS stream that ends without a word; a plain one just ends.
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
    fn a_stream_that_just_ends_was_closed_and_any_other_fault_keeps_its_name() {
        assert_eq!(
            Cause::from(std::io::Error::from(ErrorKind::UnexpectedEof)),
            Cause::ClosedByServer
        );
        let reset = Cause::from(std::io::Error::from(ErrorKind::ConnectionReset));
        assert!(matches!(reset, Cause::Io(ErrorKind::ConnectionReset, _)), "{reset:?}");
    }
}
