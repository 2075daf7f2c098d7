//! The commands that measure and watch a server.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::bench::{Mix, RedisUrl};
use crate::top::MetricsUrl;

/// Put load on a server and measure it: rate, latencies, what was refused, and who was the
/// bottleneck
#[derive(Args)]
#[command(after_help = "\
What a scenario needs:
  ping, connect, register      nothing
  verify                       the stored session, or accounts
  get, refresh, login, mixed   accounts

Accounts come from --accounts FILE, a line each: the login, a space, the password. With --mail-dir, the
folder that the server writes its mails to, accounts are registered here and their codes read from the
mails; --accounts then names a file that keeps them for the next run. They are not deleted after it, so
take a server that is made for it. Each request names another end user with client_address, as a gateway
does, so that no budget of one network is spent; the server has to trust this peer, as it does loopback.

Closed loop: each connection has --depth requests under way, and sends the next when a reply comes. With
--rate it is an open loop: requests start when they are due, and their latency counts from then on, so
that a server that stands still for a second shows it. With --tls or --ca the load goes over TLS, a Redis's
never.

Examples:
  user-cli bench ping --connections 50 --depth 16
  user-cli bench verify --mail-dir user-data/mails --tokens 10000 --depth 16
  user-cli bench verify --against redis://127.0.0.1:6379 --rounds 5
  user-cli bench login --mail-dir user-data/mails --users 32 --duration 30s
  user-cli bench mixed --mail-dir user-data/mails --mix verify=90,login=10 --rate 500 --hgrm mixed")]
pub(crate) struct Bench {
    /// What is asked
    #[arg(value_enum)]
    pub(crate) scenario: Scenario,
    /// Connections at once
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(crate) connections: u32,
    /// Requests under way on each connection [default: 1, and 256 with --rate]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) depth: Option<u32>,
    /// Threads of this client
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) threads: u32,
    /// How long a round lasts
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::timeout)]
    pub(crate) duration: Duration,
    /// Requests of a round, instead of a duration
    #[arg(long, conflicts_with_all = ["duration", "rate"])]
    pub(crate) count: Option<u64>,
    /// How long each round runs before it counts
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = super::timeout)]
    pub(crate) warm_up: Duration,
    /// Requests a second in all, whether replies come or not: an open loop
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rate: Option<u32>,
    /// Shares of mixed
    #[arg(long, value_name = "SHARES", default_value = "verify=94,get=3,refresh=2,login=1")]
    pub(crate) mix: Mix,
    /// Rounds; more than one give medians
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// A Redis that answers GET in turn with the server, by the same loop, with values of a
    /// TokenVerified's size
    #[arg(long, value_name = "redis://HOST:PORT")]
    pub(crate) against: Option<RedisUrl>,
    /// Accounts that are registered where --mail-dir makes them
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) users: u32,
    /// Distinct access tokens; a Redis gets as many keys
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) tokens: u32,
    /// Accounts: a line each with login and password
    #[arg(long, value_name = "FILE")]
    pub(crate) accounts: Option<PathBuf>,
    /// The folder that the server writes its mails to
    #[arg(long, value_name = "DIR")]
    pub(crate) mail_dir: Option<PathBuf>,
    /// Write the percentiles of each kind of request for HdrHistogram's tools, as FILE-KIND.hgrm
    #[arg(long, value_name = "FILE")]
    pub(crate) hgrm: Option<PathBuf>,
    /// The server's process on this machine, to tell what a request costs it
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// The same of the Redis
    #[arg(long, value_name = "PID", requires = "against")]
    pub(crate) against_pid: Option<u32>,
}

/// What is asked, again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Scenario {
    /// VerifyToken, over many tokens
    Verify,
    /// Login: a password hash each
    Login,
    /// Register, of new accounts
    Register,
    /// RefreshToken, each session's own
    Refresh,
    /// GetUser
    Get,
    /// The shares of --mix
    Mixed,
    /// A connection, a ping over it, and its end
    Connect,
    /// Ping: what the wire costs without a service
    Ping,
}

/// Watch a server: rates and latencies by message, hashes, mails, connections, what is known of
/// ended sessions
#[derive(Args)]
#[command(after_help = "\
q ends it. The server tells these figures where METRICS_ADDR says so.

Examples:
  user-cli top
  user-cli top --metrics http://10.0.0.7:9464 --interval 5s
  user-cli top --once                  # one look of a second, as text")]
pub(crate) struct Top {
    /// The server's METRICS_ADDR
    #[arg(
        long,
        env = "USER_SERVER_METRICS",
        value_name = "http://HOST:PORT",
        default_value = "http://127.0.0.1:9464"
    )]
    pub(crate) metrics: MetricsUrl,
    /// How often it is looked at
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = super::timeout)]
    pub(crate) interval: Duration,
    /// Print what one interval shows, and end
    #[arg(long)]
    pub(crate) once: bool,
}
