//! Configuration: the only reader of the environment. All of it is read before anything starts, and
//! all that is wrong is said at once.

mod cache;
mod postgres;
mod secret;
mod smtp;
mod sources;
mod tls;
mod vars;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::cache::RedisServer;
use crate::keys::{Key, KeyRing};
use crate::mail::{Sender, SmtpServer};
use crate::password::{HashCost, HashPoolSize};
use crate::tcp::{ConnectionLimits, MaxConnections, TrustedPeers};
use crate::tls::TlsFiles;
use crate::tokens::TokenPolicy;

pub use postgres::Postgres;
pub use secret::SecretError;
use vars::Reader;
pub use vars::{VARIABLES, Variable};

/// All settings.
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The files of its certificate; without them it speaks plain TCP.
    pub tls: Option<TlsFiles>,
    /// Where everything embedded lies.
    pub data_dir: PathBuf,
    /// The database that nodes share; else one is kept in the data folder.
    pub postgres: Option<Postgres>,
    /// The cache that nodes share; else one is kept in the process.
    pub cache: Option<RedisServer>,
    /// The folder that mails go to where no server is named.
    pub mail_dir: PathBuf,
    /// The server that mails go to.
    pub smtp: Option<SmtpServer>,
    /// Who mails come from.
    pub sender: Sender,
    /// How many mails are sent at once.
    pub mail_concurrency: usize,
    /// The signing secret, where it is given; else it is kept in the data folder.
    pub secret: Option<Zeroizing<Vec<u8>>>,
    /// Secrets that verify and do not sign.
    pub accepted_secrets: Vec<Zeroizing<Vec<u8>>>,
    /// A code's life.
    pub code_life: Duration,
    /// Tokens.
    pub tokens: TokenPolicy,
    /// The age over which knowledge of ended sessions is none.
    pub stale_limit: Duration,
    /// How long rows of the audit are kept.
    pub audit_retention: Duration,
    /// What a hash costs.
    pub hash_cost: HashCost,
    /// How many at once, and how many may wait.
    pub hash_pool: HashPoolSize,
    /// What a connection may do.
    pub limits: ConnectionLimits,
    /// How many connections there may be.
    pub max_connections: MaxConnections,
    /// Who is believed to say for whom a request is made.
    pub trusted: TrustedPeers,
    /// After SIGTERM, how long it goes on accepting.
    pub drain_delay: Duration,
    /// How long what is in flight may take after that.
    pub grace: Duration,
    /// Where health and metrics are told, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Which logs are written.
    pub log: String,
    /// How they look.
    pub log_format: LogFormat,
    /// What can be used and is worth a word all the same.
    pub notes: Vec<String>,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Pretty,
    /// For machines: a JSON object a line.
    Json,
}

/// A setting that can't be, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with it.
    pub wrong: String,
    /// What to do.
    pub mend: String,
}

/// Everything that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigFault>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.len();
        writeln!(
            f,
            "The configuration has {count} fault{}; nothing was started.",
            if count == 1 { "" } else { "s" }
        )?;
        for fault in &self.0 {
            writeln!(f, "  {}: {}\n      {}", fault.variable, fault.wrong, fault.mend)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets are among the settings, so what is shown is chosen.
        let mut shown = f.debug_struct("Config");
        shown
            .field("listen", &self.listen)
            .field("data_dir", &self.data_dir)
            .field("smtp", &self.smtp);
        shown.finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the environment through `variable`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(
        variable: &dyn Fn(&str) -> Option<String>,
        terminal: bool,
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(variable);
        let config = Self::fill(&mut reader, terminal);
        reader.finish().map(|()| config)
    }

    fn fill(vars: &mut Reader<'_>, terminal: bool) -> Self {
        let postgres = postgres::read(vars);
        let cache = cache::read(vars);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let seconds = Duration::from_secs;
        let floor = HashCost::FLOOR;
        let data_dir = std::path::absolute(vars.text("DATA_DIR", "./user-data"))
            .unwrap_or_else(|_| "./user-data".into());
        let mail_dir = match vars.optional("MAIL_DIR") {
            Some(folder) => std::path::absolute(folder).unwrap_or_else(|_| data_dir.join("mails")),
            None => data_dir.join("mails"),
        };
        let smtp = smtp::read(vars);
        let sender = vars.parsed(
            "MAIL_FROM",
            "User Service <no-reply@localhost.localdomain>",
            "a mailbox such as `Name <name@domain.example>`",
            Sender::parse,
        );
        let ip = vars.parsed("LISTEN_ADDR", "127.0.0.1", "an IP address", |text| {
            text.parse::<IpAddr>().map_err(|error| error.to_string())
        });
        let plaintext = vars.switch("ALLOW_PLAINTEXT");
        let tls = tls::read(vars);
        let encrypted = vars.is_given("TLS_CERT") || vars.is_given("TLS_KEY");
        if ip.is_some_and(|ip| !ip.to_canonical().is_loopback()) && !plaintext && !encrypted {
            vars.fault(
                "LISTEN_ADDR",
                "passwords would cross the network unencrypted".to_owned(),
                "Set TLS_CERT and TLS_KEY, or listen on 127.0.0.1, or set ALLOW_PLAINTEXT=1 where the network is yours alone.".to_owned(),
            );
        }
        let port = vars.number("TCP_PORT", 3001, 0, 65_535);
        let secret = vars.secret("JWTSECRETKEY");
        let accepted_secrets = vars.secrets("JWTSECRETKEY_ACCEPT");
        let trusted = vars.parsed(
            "TRUSTED_PEERS",
            "127.0.0.0/8, ::1",
            "addresses and networks such as `10.1.0.0/16, ::1`",
            |text| TrustedPeers::parse(text).map_err(|part| format!("`{part}` is neither")),
        );
        let log = vars.parsed(
            "LOG",
            "info",
            "error, warn, info, debug, trace or a filter of tracing",
            |text| {
                tracing_subscriber::EnvFilter::try_new(text)
                    .map(|_| text.to_owned())
                    .map_err(|error| error.to_string())
            },
        );
        let number = |vars: &mut Reader<'_>, name, default, least, most| {
            usize::try_from(vars.number(name, default, least, most)).unwrap_or(usize::MAX)
        };
        let in_u32 = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let cores_default = u64::try_from(cores).unwrap_or(1);
        Self {
            listen: SocketAddr::new(
                ip.unwrap_or(Ipv4Addr::LOCALHOST.into()),
                u16::try_from(port).unwrap_or(0),
            ),
            tls,
            data_dir,
            postgres,
            cache,
            mail_dir,
            smtp,
            mail_concurrency: number(vars, "MAIL_CONCURRENCY", 4, 1, 64),
            sender: sender.unwrap_or_else(Sender::nobody),
            secret,
            accepted_secrets,
            code_life: seconds(60 * vars.number("OTP_EXPIRY", 15, 1, 60)),
            tokens: TokenPolicy {
                issuer: vars.text("JWT_ISSUER", "user-service"),
                audience: vars.text("JWT_AUDIENCE", "user-service"),
                access_life: seconds(60 * vars.number("ACCESS_TOKEN_EXPIRY", 15, 1, 60)),
                session_idle: seconds(24 * 3600 * vars.number("REFRESH_TOKEN_EXPIRY", 30, 1, 365)),
                session_life: seconds(24 * 3600 * vars.number("SESSION_EXPIRY", 90, 1, 365)),
            },
            stale_limit: seconds(vars.number("STALE_LIMIT", 30, 0, 3600)),
            audit_retention: seconds(24 * 3600 * vars.number("AUDIT_RETENTION", 365, 1, 36_500)),
            hash_cost: HashCost {
                memory_kib: in_u32(vars.number(
                    "ARGON2_MEMORY_KIB",
                    floor.memory_kib.into(),
                    floor.memory_kib.into(),
                    HashCost::CEILING.memory_kib.into(),
                )),
                passes: in_u32(vars.number(
                    "ARGON2_PASSES",
                    floor.passes.into(),
                    floor.passes.into(),
                    HashCost::CEILING.passes.into(),
                )),
                parallelism: floor.parallelism,
            },
            hash_pool: HashPoolSize {
                permits: number(vars, "HASH_THREADS", cores_default, 1, 1024),
                queue: number(vars, "HASH_QUEUE", 256, 1, 65_536),
            },
            limits: ConnectionLimits {
                in_flight: number(vars, "MAX_IN_FLIGHT", 256, 1, 4096),
                hashing: number(vars, "MAX_HASHING", 32, 1, 4096),
                first_frame: seconds(vars.number("FIRST_FRAME_TIMEOUT", 10, 1, 300)),
                frame: seconds(vars.number("FRAME_TIMEOUT", 10, 1, 300)),
                idle: seconds(vars.number("IDLE_TIMEOUT", 300, 1, 86_400)),
                write: seconds(vars.number("WRITE_TIMEOUT", 10, 1, 300)),
            },
            max_connections: MaxConnections {
                all: number(vars, "MAX_CONNECTIONS", 10_000, 1, 1_000_000),
                per_peer: number(vars, "MAX_CONNECTIONS_PER_PEER", 256, 1, 1_000_000),
            },
            trusted: trusted.unwrap_or_default(),
            drain_delay: seconds(vars.number("DRAIN_DELAY", if terminal { 0 } else { 5 }, 0, 300)),
            grace: seconds(vars.number("GRACE", 30, 0, 300)),
            metrics_listen: vars.address("METRICS_ADDR"),
            log: log.unwrap_or_default(),
            log_format: match vars.choice("LOG_FORMAT", &["auto", "pretty", "json"]) {
                1 => LogFormat::Pretty,
                2 => LogFormat::Json,
                _ if terminal => LogFormat::Pretty,
                _ => LogFormat::Json,
            },
            notes: vars.notes(),
        }
    }

    /// The keys: as given, or as kept in the data folder, where a secret is made at the first
    /// start.
    ///
    /// # Errors
    /// Where the kept secret can't be read, made or trusted.
    pub fn keys(&self) -> Result<KeyRing, SecretError> {
        let signing = match &self.secret {
            Some(secret) => Key::new(secret),
            None => Key::new(&secret::kept(&self.data_dir)?),
        };
        let accepted = self.accepted_secrets.iter().filter_map(|secret| Key::new(secret)).collect();
        signing.map(|key| KeyRing::new(key, accepted)).ok_or(SecretError::TooShort)
    }
}

impl Config {
    /// The secret that is kept in the data folder, where one is.
    ///
    /// # Errors
    /// Where it can't be read or trusted.
    pub fn kept_secret(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        secret::found(&self.data_dir)
    }

    /// Keeps this secret in the data folder from now on.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn keep_secret(&self, secret: &[u8]) -> Result<(), SecretError> {
        secret::keep(&self.data_dir, secret)
    }
}

#[cfg(test)]
mod tests;
