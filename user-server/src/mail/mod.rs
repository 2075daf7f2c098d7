//! Ways to send mail.

mod file;
mod message;
mod smtp;

pub use file::FileMailer;
pub use message::Sender;
pub use smtp::{Authorities, SmtpMailer, SmtpServer, SmtpTimeouts, TlsMode};
