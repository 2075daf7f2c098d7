//! Servers, clients, databases and checks that the tests share.

mod call_stats;
mod certificates;
mod changes;
mod cluster;
mod counting_proxy;
mod database_balancer;
mod emails;
mod latency;
mod patroni;
mod pg_proxy;
mod postgres;
mod process;
mod proxy;
mod redis;
mod requests;
mod server;
mod site;
mod vectors;
mod wire;
mod workload;

pub use call_stats::{CallStats, LOST, NO_ANSWER, NO_CONNECTION};
pub use certificates::{Authority, CertifiedKey};
pub use changes::{CODE_LIFE, Changes};
pub use cluster::{Cluster, NODES, SECRET};
pub use counting_proxy::{CountingProxy, RoundTrip};
pub use database_balancer::DatabaseBalancer;
pub use emails::{EmailFolder, ReceivedEmail};
pub use latency::{latency_header, latency_row};
pub use patroni::Patroni;
pub use pg_proxy::PgProxy;
pub use postgres::{
    POSTGRES_OPTIONS, Pgbouncer, Postgres, free_port, left_out, postgres, postgres_is_installed,
    postgres_program,
};
pub use process::{
    Process, RunOutput, executable, run_in, run_program, run_with_bytes, run_with_input,
};
pub use proxy::Proxy;
pub use redis::Redis;
pub use requests::*;
pub use server::{MAIL_PAUSE, TestServer, code_of, config, on_behalf_of, refused, start};
pub use site::{Account, Site};
pub use vectors::{vector_bytes, vector_file};
pub use wire::{TEST_TIMEOUT, Wire, raw_frame, request_frame};
pub use workload::{Inbox, Journey, SimulatedUser, Workload, verify_users};

/// Longer than the lease of a claimed email: a worker that stopped has lost its claim.
pub const LEASE: std::time::Duration = std::time::Duration::from_secs(61);
/// A password that the blocklist does not contain.
pub const PASSWORD: &str = "tides rise at nine";
