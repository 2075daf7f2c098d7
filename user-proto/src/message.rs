//! The traits of messages, requests and replies.

use crate::error::DecodeError;
use crate::layout::{FieldLayout, Hashing};
use crate::view::FieldView;
use crate::wire::Writer;

/// A message of the protocol: a request or a reply.
pub trait Message: Sized {
    /// Type byte of the message.
    const TYPE: u8;
    /// Name of the message, as in PROTOCOL.md.
    const NAME: &'static str;
    /// Fields of the message, in the order of the wire. The common tags of requests are not
    /// included; see [`Common::FIELDS`](crate::Common::FIELDS).
    const FIELDS: &'static [FieldLayout];
    /// The message type without borrowed data.
    type Owned: 'static;

    /// Copies borrowed data, so that the message no longer depends on the read buffer.
    fn into_owned(self) -> Self::Owned;
    /// Calls `visit` for every field that is present, in the order of the wire.
    fn view(&self, visit: &mut dyn FnMut(FieldView<'_>));
    #[doc(hidden)]
    fn put(&self, out: &mut Writer<'_>);
}

/// A message that a client sends.
pub trait RequestMessage: Message {
    /// Reply of the server, unless it answers with an [`ErrorReply`](crate::ErrorReply).
    type Reply: ReplyMessage;
    /// `true` if the request may be repeated when its outcome is unknown, because executing it
    /// twice has the same effect as executing it once.
    const SAFE: bool;
    /// `true` if the request changes data on the server. Idempotency keys apply only to such
    /// requests.
    const CHANGES: bool;
    /// Condition under which the request hashes a password.
    const HASHING: Hashing;

    /// Returns `true` if this request hashes a password, and so counts towards the limit of
    /// requests in flight that hash one (`max_hashing` in `Pong`).
    fn hashes(&self) -> bool;
}

/// A message that a server sends, without borrowed data.
pub trait ReplyMessage: Message + Send + 'static {
    /// Decodes the body of a frame of this type.
    ///
    /// # Errors
    /// Fails if the encoding of a field is invalid.
    fn decode_owned(body: &[u8]) -> Result<Self, DecodeError>;
}
