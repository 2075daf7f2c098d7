//! A vocabulary for dialogues with the service.

mod mails;
mod server;

pub use mails::{Mail, Mails};
pub use server::{Account, MAIL_PAUSE, TestServer, code_of, config, on_behalf_of, refused};

/// A password that no dictionary has.
pub const PASSWORD: &str = "tides rise at nine";
