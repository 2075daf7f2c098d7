//! A vocabulary for dialogues with the service.

mod dialogue;
mod mails;
mod postgres;
mod process;
mod server;
mod vectors;
mod wire;

pub use dialogue::*;

pub use mails::{Mail, Mails};
pub use postgres::{Pgbouncer, Postgres, postgres};
pub use process::{Process, run_in, run_with_bytes};
pub use server::{Account, MAIL_PAUSE, TestServer, code_of, config, on_behalf_of, refused};
pub use vectors::{vector_bytes, vector_file};
pub use wire::{PATIENCE, Wire, raw_frame, request_frame};

/// A password that no dictionary has.
pub const PASSWORD: &str = "tides rise at nine";
