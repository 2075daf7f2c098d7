//! A vocabulary for dialogues with the service.

mod certificates;
mod changes;
mod cluster;
mod dialogue;
mod lives;
mod mails;
mod postgres;
mod process;
mod proxy;
mod redis;
mod server;
mod site;
mod spread;
mod tally;
mod vectors;
mod wire;

pub use certificates::{Authority, Certified};
pub use changes::Changes;
pub use cluster::{Cluster, NODES, SECRET};
pub use dialogue::*;

pub use lives::{Inbox, Life, Reach, World, examine};
pub use mails::{Mail, Mails};
pub use postgres::{POSTGRES_OPTIONS, Pgbouncer, Postgres, free_port, postgres, postgres_is_here};
pub use process::{Process, Said, run_in, run_with_bytes};
pub use proxy::Proxy;
pub use redis::Redis;
pub use server::{MAIL_PAUSE, TestServer, code_of, config, on_behalf_of, refused};
pub use site::{Account, Site};
pub use spread::{spread, spread_head};
pub use tally::{LOST, NO_ANSWER, NO_CONNECTION, Tally};
pub use vectors::{vector_bytes, vector_file};
pub use wire::{PATIENCE, Wire, raw_frame, request_frame};

/// Longer than a worker may hold a mail: after it, whoever held one has lost it.
pub const LEASE: std::time::Duration = std::time::Duration::from_secs(61);
/// A password that no dictionary has.
pub const PASSWORD: &str = "tides rise at nine";
