//! The errors of calls and connections.

use crate::error::{DecodeError, EncodeError};
use crate::error_code::{ErrorClass, ErrorCode, ErrorOutcome};
use crate::frame::FrameError;
use crate::table::ErrorReply;

/// Error of a call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered this request with an error, or refused the connection before it read
    /// a request.
    #[error("the server refused: {} ({:04X}) {}", .0.code, .0.code.0, .0.message)]
    Refused(ErrorReply<'static>),
    /// The deadline of the call passed.
    #[error("no reply within the deadline{}", if *.sent { UNKNOWN_OUTCOME } else { "" })]
    DeadlineExceeded {
        /// `true` if the request was written completely, so the server may have executed it.
        sent: bool,
    },
    /// The connection was lost after the request was written, and the request must not be repeated.
    #[error("the connection was lost: {reason}{UNKNOWN_OUTCOME}")]
    Lost {
        /// Reason for the end of the connection.
        reason: CloseReason,
    },
    /// The server could not be reached, or the peer is no user service: see
    /// [`not_a_service`](Self::not_a_service).
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The TLS handshake with the server failed.
    #[error("cannot connect: {0}")]
    Handshake(#[source] HandshakeError),
    /// The reply is malformed, or its type does not belong to the request.
    #[error("invalid reply of type {kind:#04x}: {error}")]
    BadReply {
        /// Type byte of the reply.
        kind: u8,
        /// Error of decoding the reply.
        error: DecodeError,
    },
    /// The request does not fit into a frame. Nothing was sent.
    #[error(transparent)]
    TooLong(#[from] EncodeError),
    /// The request contains a secret, and the connection would send it without TLS to an address
    /// that is not loopback. Nothing was sent. [`Config`](super::Config)'s `allow_plaintext` turns
    /// this off.
    #[error("refusing to send a secret without TLS to an address that is not loopback")]
    PlaintextRefused,
    /// The client was closed before the call.
    #[error("the client is closed")]
    Closed,
}

const UNKNOWN_OUTCOME: &str = "; it is unknown whether the request was executed";

impl Error {
    /// Returns the error of the server, which concerns the request or its connection, or `None` if
    /// the error did not come from the server.
    #[must_use]
    pub fn reply(&self) -> Option<&ErrorReply<'static>> {
        match self {
            Self::Refused(reply) | Self::Lost { reason: CloseReason::ServerError(reply) } => {
                Some(reply)
            }
            _ => None,
        }
    }

    /// Returns the error code of the server, or `None` if the error did not come from the server.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.reply().map(|reply| reply.code)
    }

    /// Returns the error of the bytes of the peer that were not a frame, or `None` if there were
    /// none. Their protocol can be [guessed](FrameError::looks_like).
    #[must_use]
    pub fn not_a_service(&self) -> Option<FrameError> {
        match self {
            Self::Lost { reason: CloseReason::Frame(error) } => Some(*error),
            Self::Connect(error) => error.get_ref()?.downcast_ref::<FrameError>().copied(),
            _ => None,
        }
    }

    /// Returns what is known about the request: that the server has refused it, that nothing was
    /// done, or that it may have been executed.
    #[must_use]
    pub fn outcome(&self) -> ErrorOutcome {
        match self {
            _ if self.outcome_unknown() => ErrorOutcome::Unknown,
            Self::Refused(reply) => reply.code.outcome(),
            _ => ErrorOutcome::NotDone,
        }
    }

    /// Returns `true` if the server may have executed the request. In this case the request may be
    /// repeated only if it changes nothing, has an idempotency key, or is a refresh that was first
    /// sent less than 30 s ago.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Refused(reply) => {
                // Also a code of class 06 that this version does not know.
                reply.code.class() == ErrorClass::Server && reply.code != ErrorCode::SHUTTING_DOWN
            }
            Self::DeadlineExceeded { sent } => *sent,
            Self::Lost { .. } | Self::BadReply { .. } => true,
            Self::Connect(_)
            | Self::Handshake(_)
            | Self::TooLong(_)
            | Self::PlaintextRefused
            | Self::Closed => false,
        }
    }
}

/// Reason for the end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The server closed the connection.
    #[error("the server closed the connection")]
    ClosedByServer,
    /// The transport failed with an I/O error of this kind and with this message.
    #[error("{1}")]
    Io(std::io::ErrorKind, String),
    /// The server did not answer a ping.
    #[error("the server stopped responding")]
    Unresponsive,
    /// The server sent a frame with an invalid length.
    #[error("the server sent an invalid frame: {0}")]
    Frame(#[from] FrameError),
    /// The server sent an error about the connection itself.
    #[error("the server closed the connection: {}", .0.code)]
    ServerError(ErrorReply<'static>),
    /// The server sent an error about the connection itself that cannot be decoded.
    #[error("the server closed the connection with an invalid error: {0}")]
    InvalidError(DecodeError),
    /// The server rejected this client after the TLS handshake.
    #[error(transparent)]
    Rejected(HandshakeError),
    /// The client closed the connection.
    #[error("the client closed the connection")]
    ClosedByClient,
}

/// Error of an attempt to connect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The transport failed with an I/O error of this kind and with this message.
    #[error("{1}")]
    Io(std::io::ErrorKind, String),
    /// The TLS handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl From<std::io::Error> for ConnectError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.kind(), error.to_string())
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Io(kind, text) => Self::Connect(std::io::Error::new(kind, text)),
            ConnectError::Handshake(error) => Self::Handshake(error),
        }
    }
}

/// Cause of a failed TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The server's certificate was not issued by a trusted authority.
    #[error("the server's certificate was not issued by a trusted authority")]
    UnknownAuthority,
    /// The server's certificate does not contain the expected name. The text contains both.
    #[error("the server's certificate is for another name: {0}")]
    NameMismatch(String),
    /// The server's certificate has expired or is not valid yet.
    #[error("the server's certificate has expired or is not valid yet")]
    NotValidNow,
    /// The server's certificate is invalid for another reason, as described by the text.
    #[error("the server's certificate is invalid: {0}")]
    InvalidCertificate(String),
    /// The host is not a valid server name for a certificate.
    #[error("`{0}` is not a valid server name")]
    InvalidServerName(String),
    /// The server answered without TLS.
    #[error("the server does not use TLS")]
    NotTls,
    /// The server supports only TLS versions before 1.3.
    #[error("the server does not support TLS 1.3")]
    OldTls,
    /// The server did not select the protocol `user/1` by ALPN.
    #[error("the server uses TLS but did not select the protocol `user/1` (ALPN)")]
    AlpnMismatch,
    /// The server requires a client certificate, and this client has none.
    #[error("the server requires a client certificate")]
    CertificateRequired,
    /// The server rejected the client certificate. The text is the TLS alert.
    #[error("the server rejected the client certificate ({0})")]
    CertificateRejected(String),
    /// The handshake failed for another reason. The text is from rustls.
    #[error("the TLS handshake failed: {0}")]
    Other(String),
}
