//! Transports of emails: SMTP, and files in a directory.

mod file;
mod message;
mod smtp;

pub use file::FileMailer;
pub use message::Sender;
pub use smtp::{SmtpAuthorities, SmtpMailer, SmtpServer, SmtpTimeouts, TlsMode};
