//! Ways to send mail.

mod file;
mod message;

pub use file::FileMailer;
pub use message::Sender;
