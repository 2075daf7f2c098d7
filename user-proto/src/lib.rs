//! The wire protocol of the user service: frames, messages and error codes, and optionally a tokio
//! codec and an async client.
//!
//! ```text
//! | length u32 | type u8 | request id u32 | required fields, in order | tagged tail |
//!              |<------------------------ length ------------------------------->|
//! ```
//!
//! Decoding has two steps, which fail separately. [`frame::split`] finds the next frame and fails
//! only on an invalid length, after which the rest of the stream is unusable. [`Request::decode`]
//! and [`Reply::decode`] turn the body of a frame into a message; an error concerns that message
//! only. Both borrow from the read buffer and do not allocate.
//!
//! The table in `table.rs` declares the whole protocol. `PROTOCOL.md` next to this crate is the
//! contract for clients in other languages. The crate checks the encoding of values only; the
//! server decides which passwords and addresses are valid.
//!
//! | feature | provides |
//! |---|---|
//! | none | the core, without I/O and without tokio |
//! | `codec` | [`codec::FrameCodec`], an `Encoder` and `Decoder` for tokio-util |
//! | `client` | [`client::Client`]: one connection, many requests in flight, typed replies |
//! | `tls` | [`client::Tls`]: the client over TLS 1.3 |
//! | `verifier` | [`verifier::Verifier`]: checks access tokens without a call for each token |

#![warn(missing_docs)]

/// The programs in README.md compile.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;

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
mod list;
mod message;
mod table;
mod value;
#[cfg(feature = "verifier")]
pub mod verifier;
mod view;
mod wire;

pub use error::{DecodeError, EncodeError, Reason};
pub use error_code::{ErrorClass, ErrorCode, ErrorOutcome, Retrier};
pub use layout::{FieldKind, FieldLayout, Hashing};
pub use message::{Message, ReplyMessage, RequestMessage};
pub use table::*;
pub use value::{ClientAddress, IdempotencyKey, Secret, UnixMillis, UnixSeconds};
pub use view::{FieldValue, FieldView, ListView};
