//! The wire of the user service: frames, messages, error codes and, as features, a tokio codec and
//! an async client.
//!
//! ```text
//! | length u32 | type u8 | request id u32 | required fields, in order | tagged tail |
//!              |<------------------------ length ------------------------------->|
//! ```
//!
//! Reading is two steps with two kinds of failure. [`frame::split`] finds the next frame and fails
//! only on its length, after which the stream is lost. [`Request::decode`] and [`Reply::decode`]
//! turn a frame's body into a message and fail for that one message. Both borrow from the read
//! buffer and allocate nothing.
//!
//! The whole protocol is the table in `table.rs`; `PROTOCOL.md` beside this crate is the contract
//! for other languages. The crate knows bytes, not users: what a valid password or address is, is
//! the server's to say.
//!
//! | feature | brings |
//! |---|---|
//! | none | the core: no I/O, no tokio |
//! | `codec` | [`codec::FrameCodec`], the `Encoder` and `Decoder` of tokio-util |
//! | `client` | [`client::Client`]: one connection, many requests in flight, typed replies |
//! | `tls` | [`client::Tls`]: the same over TLS 1.3 |

#[macro_use]
mod macros;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "codec")]
pub mod codec;
mod error;
mod error_code;
pub mod frame;
mod layout;
pub mod limits;
mod message;
mod table;
mod value;
mod view;
mod wire;

pub use error::{DecodeError, EncodeError, Reason};
pub use error_code::{ErrorClass, ErrorCode};
pub use layout::{FieldKind, FieldLayout};
pub use message::{Message, ReplyMessage, RequestMessage};
pub use table::*;
pub use value::{ClientAddress, IdempotencyKey, Secret, UnixSeconds};
pub use view::{FieldValue, FieldView};
