//! Why a call has no reply.

use crate::error::{DecodeError, EncodeError};
use crate::error_code::ErrorCode;
use crate::frame::FrameError;
use crate::table::ErrorReply;

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server said no: to this request, or to the connection while the request was in flight.
    #[error("the server refused: {} ({:04x}) {}", .0.code, .0.code.0, .0.message)]
    Refused(ErrorReply<'static>),
    /// The call's time ran out.
    #[error("no reply within the deadline{}", if *.sent { "; whether it was done is unknown" } else { "" })]
    DeadlineExceeded {
        /// Whether the request was written whole, so that the server may have executed it.
        sent: bool,
    },
    /// The connection ended after the request was written, and it may not be repeated.
    #[error("the connection was lost ({cause}); whether it was done is unknown")]
    Lost {
        /// Why the connection ended.
        cause: Cause,
    },
    /// There is no connection.
    #[error("can not connect: {0}")]
    Connect(#[source] std::io::Error),
    /// There is no secret connection: one side does not trust the other, or does not speak TLS.
    #[error("can not connect: {0}")]
    Handshake(#[source] NoHandshake),
    /// The reply has a type that this request does not get, or is not as the protocol says.
    #[error("the reply can not be read (type {kind:#04x}): {error}")]
    BadReply {
        /// The reply's type.
        kind: u8,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The request is longer than a frame can be. Nothing was sent.
    #[error(transparent)]
    TooLong(#[from] EncodeError),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl Error {
    /// The server's error code, where it gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(reply) => Some(reply.code),
            _ => None,
        }
    }

    /// Whether the server may have executed the request. Then only a request that changes nothing,
    /// one with an idempotency key, or a refresh within 30 s may be repeated.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Refused(reply) => {
                matches!(
                    reply.code,
                    ErrorCode::INTERNAL | ErrorCode::UNAVAILABLE | ErrorCode::DEADLINE_EXCEEDED
                )
            }
            Self::DeadlineExceeded { sent } => *sent,
            Self::Lost { .. } | Self::BadReply { .. } => true,
            Self::Connect(_) | Self::Handshake(_) | Self::TooLong(_) | Self::Closed => false,
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The server closed it.
    #[error("the server closed it")]
    ClosedByServer,
    /// The transport failed.
    #[error("{1}")]
    Io(std::io::ErrorKind, String),
    /// Nothing came for a while, and no answer to a ping.
    #[error("the server fell silent")]
    Silent,
    /// A frame with a length that can't be.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// An error about the connection itself.
    #[error("the server ended it: {}", .0.code)]
    Told(ErrorReply<'static>),
    /// The server's TLS has refused this client.
    #[error(transparent)]
    KeptOut(NoHandshake),
    /// This side closed it.
    #[error("it was closed")]
    ClosedHere,
}

/// Why there is no stream to a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoStream {
    /// The transport failed.
    #[error("{1}")]
    Io(std::io::ErrorKind, String),
    /// The transport is there, TLS is not.
    #[error(transparent)]
    Handshake(#[from] NoHandshake),
}

impl From<std::io::Error> for NoStream {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.kind(), error.to_string())
    }
}

impl From<NoStream> for Error {
    fn from(why: NoStream) -> Self {
        match why {
            NoStream::Io(kind, text) => Self::Connect(std::io::Error::new(kind, text)),
            NoStream::Handshake(why) => Self::Handshake(why),
        }
    }
}

/// Why a TLS handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHandshake {
    /// Nobody who is trusted here has signed the server's certificate.
    #[error("the server's certificate is of no authority that is trusted here")]
    UnknownAuthority,
    /// The server's certificate is good, but not for the name that was asked for.
    #[error("the server's certificate is for another name: {0}")]
    OtherName(String),
    /// The server's certificate has expired, or is not good yet.
    #[error("the server's certificate has expired, or is not good yet")]
    NotValidNow,
    /// The server's certificate has another fault.
    #[error("the server's certificate can not be accepted: {0}")]
    BadCertificate(String),
    /// What is asked for can not be the name of a certificate.
    #[error("`{0}` can not be the name of a certificate")]
    NoName(String),
    /// The server answers in clear.
    #[error("the server does not speak TLS")]
    NotTls,
    /// The server speaks an older TLS alone.
    #[error("the server does not speak TLS 1.3")]
    OldTls,
    /// The server did not choose this protocol inside TLS (ALPN).
    #[error("the server speaks TLS, but did not choose the protocol user/1 inside it")]
    OtherProtocol,
    /// The server lets in only clients with a certificate.
    #[error("the server lets in only clients with a certificate, and this one has shown none")]
    CertificateWanted,
    /// The server does not accept the certificate of this client.
    #[error("the server refused the certificate of this client ({0})")]
    CertificateRefused(String),
    /// Anything else.
    #[error("the TLS handshake failed: {0}")]
    Broken(String),
}
