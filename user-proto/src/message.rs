//! The traits that every message of the table implements.

use crate::error::DecodeError;
use crate::layout::FieldLayout;
use crate::view::FieldView;
use crate::wire::Writer;

/// A message of the table: a request or a reply.
pub trait Message: Sized {
    /// The type byte.
    const TYPE: u8;
    /// The name in PROTOCOL.md.
    const NAME: &'static str;
    /// The fields, in the order of the wire.
    const FIELDS: &'static [FieldLayout];
    /// The same message, independent of the read buffer.
    type Owned: 'static;

    /// Copies what is borrowed.
    fn into_owned(self) -> Self::Owned;
    /// Shows every field that is there, in the order of the wire, for tools that explain frames.
    fn view(&self, see: &mut dyn FnMut(FieldView<'_>));
    #[doc(hidden)]
    fn put(&self, out: &mut Writer<'_>);
}

/// A request, which knows its reply.
pub trait RequestMessage: Message {
    /// What the server answers when it does not refuse.
    type Reply: ReplyMessage;
    /// Whether it may be asked again when its outcome is unknown, without changing anything twice.
    const SAFE: bool;
}

/// A reply that is independent of the read buffer.
pub trait ReplyMessage: Message + Send + 'static {
    /// Reads the body of a frame of this type.
    ///
    /// # Errors
    /// Where the body is not as the table says.
    fn decode_owned(body: &[u8]) -> Result<Self, DecodeError>;
}
