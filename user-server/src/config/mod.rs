//! The configuration, which is the only reader of the environment. It is read completely before
//! anything starts, and all its errors are reported at once.

mod cache;
mod env_file;
mod error;
mod known_keys;
mod listen;
mod log_filter;
mod operator;
mod postgres;
mod printable;
mod reader;
mod secret;
mod similar;
mod smtp;
mod sources;
mod tls;
mod token_algorithms;
mod vars;
mod weak_secret;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::cache::RedisServer;
use crate::domain::MAX_ACCESS_LIFE;
use crate::keys::{Key, KeyRing};
use crate::mail::{Sender, SmtpServer};
use crate::password::{HashCost, HashPoolSize};
use crate::tcp::{ConnectionLimits, MaxConnections, RequestLimits, TrustedPeers};
use crate::tls::TlsFiles;
use crate::tokens::TokenPolicy;

pub use cache::redis_hint;
pub use env_file::{EnvFile, EnvFileError};
pub use error::{ConfigError, ConfigErrors};
pub use known_keys::{unknown_keys, unknown_last_key};
pub use listen::listen_hint;
pub use operator::operator_name;
pub use postgres::PostgresConfig;
pub use printable::printable;
use reader::Reader;
pub use secret::SecretError;
pub use vars::{VARIABLES, Variable};
pub use weak_secret::WeakSecret;

/// All settings of the server.
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Files of the server's certificate; without them, the server speaks plain TCP.
    pub tls: Option<TlsFiles>,
    /// Folder of the embedded database and the generated secret.
    pub data_dir: PathBuf,
    /// PostgreSQL database that the nodes share; `None` uses the embedded database.
    pub postgres: Option<PostgresConfig>,
    /// Redis server of the cache that the nodes share; `None` without Redis.
    pub cache: Option<RedisServer>,
    /// Folder that emails are written to if `smtp` is `None`.
    pub mail_dir: PathBuf,
    /// Mail server; `None` writes emails to `mail_dir`.
    pub smtp: Option<SmtpServer>,
    /// Sender of emails.
    pub sender: Sender,
    /// Maximum number of emails sent at the same time.
    pub mail_concurrency: usize,
    /// Source of `secret`, such as `JWTSECRETKEY_FILE (/run/secrets/jwt)`.
    pub secret_source: Option<String>,
    /// Secret of the signing key; `None` uses the secret in the data folder.
    pub secret: Option<Zeroizing<Vec<u8>>>,
    /// Secrets of keys that are accepted but do not sign.
    pub accepted_secrets: Vec<Zeroizing<Vec<u8>>>,
    /// Lifetime of a one-time code.
    pub code_life: Duration,
    pub tokens: TokenPolicy,
    /// Maximum age of the revocation log in memory. If it is older, no token is verified.
    pub stale_limit: Duration,
    /// Age at which rows of the audit log are erased.
    pub audit_retention: Duration,
    /// Cost of a password hash.
    pub hash_cost: HashCost,
    pub hash_pool: HashPoolSize,
    /// Limits of each connection.
    pub limits: ConnectionLimits,
    /// Limits on all requests in flight of the process.
    pub requests: RequestLimits,
    pub max_connections: MaxConnections,
    /// Peers that may state the address of the end user.
    pub trusted: TrustedPeers,
    /// Time after SIGTERM in which new connections are still accepted.
    pub drain_delay: Duration,
    /// Time after `drain_delay` in which requests in flight are still completed.
    pub grace: Duration,
    /// Address and port for health checks and metrics; `None` turns them off.
    pub metrics_listen: Option<SocketAddr>,
    /// Log level, or a filter in the syntax of `tracing`.
    pub log: String,
    pub log_format: LogFormat,
    /// Warnings about settings that are valid but questionable.
    pub warnings: Vec<String>,
}

/// Format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for a terminal.
    Pretty,
    /// One JSON object per line.
    Json,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The settings include secrets, so the fields are chosen one by one.
        let mut shown = f.debug_struct("Config");
        shown
            .field("listen", &self.listen)
            .field("data_dir", &self.data_dir)
            .field("smtp", &self.smtp);
        shown.finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the configuration through `variable`, which returns the value of an environment
    /// variable. Some defaults depend on whether the server runs on a `terminal`.
    ///
    /// # Errors
    /// All errors of the configuration.
    pub fn read(
        variable: &dyn Fn(&str) -> Option<String>,
        terminal: bool,
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(variable);
        let config = Self::fill(&mut reader, terminal);
        reader.finish().map(|()| config)
    }

    /// Returns warnings about names of the environment that have no effect, but look like settings,
    /// and about names of a file of settings that no setting has. They also apply if the
    /// configuration is invalid, often because of such a name.
    pub fn warnings_of<'a>(
        environment: impl Iterator<Item = &'a str>,
        file: impl Iterator<Item = &'a str>,
    ) -> Vec<String> {
        similar::warnings(environment).into_iter().chain(similar::unknown(file)).collect()
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
            "an address, or `Name <address>`",
            Some(smtp::SENDER_HINT),
            Sender::parse,
        );
        let ip = vars.parsed("LISTEN_ADDR", "127.0.0.1", "an IP address", None, |text| {
            // Other programs write an IPv6 address in brackets, as in a URL.
            let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            bare.unwrap_or(text).parse::<IpAddr>().map_err(|error| error.to_string())
        });
        let plaintext = vars.switch("ALLOW_PLAINTEXT");
        let tls = tls::read(vars);
        let encrypted = vars.is_given("TLS_CERT") || vars.is_given("TLS_KEY");
        if ip.is_some_and(|ip| !ip.to_canonical().is_loopback()) && !plaintext && !encrypted {
            let text = vars.text("LISTEN_ADDR", "");
            vars.invalid(
                "LISTEN_ADDR",
                &text,
                "expected a loopback address: passwords would cross the network in plaintext",
                "Set TLS_CERT and TLS_KEY, or listen on 127.0.0.1, or set ALLOW_PLAINTEXT=1 if the \
                 network is private.",
            );
        }
        let port = vars.number("TCP_PORT", 3001, 0, 65_535);
        let listen = SocketAddr::new(
            ip.unwrap_or(Ipv4Addr::LOCALHOST.into()),
            u16::try_from(port).unwrap_or(0),
        );
        let metrics_listen = vars.address("METRICS_ADDR");
        if metrics_listen.is_some_and(|address| listen::overlap(listen, address)) {
            let text = vars.text("METRICS_ADDR", "");
            vars.invalid(
                "METRICS_ADDR",
                &text,
                &format!("the service itself listens on {listen}"),
                "Set METRICS_ADDR to another port than TCP_PORT.",
            );
        }
        let secret_source = vars.source("JWTSECRETKEY");
        let secret = vars.secret("JWTSECRETKEY");
        let accepted_secrets = vars.secrets("JWTSECRETKEY_ACCEPT");
        let trusted = vars.parsed(
            "TRUSTED_PEERS",
            "127.0.0.0/8, ::1",
            "addresses and networks such as `10.1.0.0/16, ::1`",
            None,
            |text| TrustedPeers::parse(text).map_err(|item| format!("`{item}` is neither")),
        );
        let log = vars.parsed(
            "LOG",
            "info",
            "error, warn, info, debug, trace, or a filter in the syntax of tracing",
            None,
            log_filter::parse,
        );
        let algorithms = token_algorithms::read(vars);
        let number = |vars: &mut Reader<'_>, name, default, min, max| {
            usize::try_from(vars.number(name, default, min, max)).unwrap_or(usize::MAX)
        };
        let in_u32 = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let cores_default = u64::try_from(cores).unwrap_or(1);
        Self {
            listen,
            tls,
            data_dir,
            postgres,
            cache,
            mail_dir,
            smtp,
            mail_concurrency: number(vars, "MAIL_CONCURRENCY", 4, 1, 64),
            sender: sender.unwrap_or_else(Sender::nobody),
            secret_source,
            secret,
            accepted_secrets,
            code_life: seconds(60 * vars.number("OTP_EXPIRY", 15, 1, 60)),
            tokens: TokenPolicy {
                issuer: vars.text("JWT_ISSUER", "user-service"),
                audience: vars.text("JWT_AUDIENCE", "user-service"),
                access_life: seconds(
                    60 * vars.number("ACCESS_TOKEN_EXPIRY", 15, 1, MAX_ACCESS_LIFE.as_secs() / 60),
                ),
                session_idle: seconds(24 * 3600 * vars.number("REFRESH_TOKEN_EXPIRY", 30, 1, 365)),
                session_life: seconds(24 * 3600 * vars.number("SESSION_EXPIRY", 90, 1, 365)),
                signing: algorithms.0,
                accepted: algorithms.1,
            },
            stale_limit: seconds(vars.number("STALE_LIMIT", 30, 1, 3600)),
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
            requests: RequestLimits {
                requests: number(vars, "MAX_REQUESTS", 8192, 64, 1_000_000),
                memory: number(vars, "MAX_REQUEST_MEMORY", 64, 16, 65_536) << 20,
            },
            max_connections: MaxConnections {
                total: number(vars, "MAX_CONNECTIONS", 10_000, 1, 1_000_000),
                per_peer: number(vars, "MAX_CONNECTIONS_PER_PEER", 256, 1, 1_000_000),
            },
            trusted: trusted.unwrap_or_default(),
            drain_delay: seconds(vars.number("DRAIN_DELAY", if terminal { 0 } else { 5 }, 0, 300)),
            grace: seconds(vars.number("GRACE", 30, 0, 300)),
            metrics_listen,
            log: log.unwrap_or_default(),
            log_format: match vars.choice("LOG_FORMAT", &["auto", "pretty", "json"]) {
                1 => LogFormat::Pretty,
                2 => LogFormat::Json,
                _ if terminal => LogFormat::Pretty,
                _ => LogFormat::Json,
            },
            warnings: vars.take_warnings(),
        }
    }

    /// Returns the keys of the configured secrets. Without JWTSECRETKEY, the secret in the data
    /// folder is used; it is generated if there is none, so only the first start of a server may
    /// call this. Everything else uses [`Config::existing_keys`].
    ///
    /// # Errors
    /// If the secret in the data folder cannot be read or created, or other users can read it.
    pub fn keys(&self) -> Result<KeyRing, SecretError> {
        match &self.secret {
            Some(secret) => self.key_ring(secret),
            None => self.key_ring(&secret::load_or_create(&self.data_dir)?),
        }
    }

    /// Returns the keys of the configured secrets, or `None` if JWTSECRETKEY is not set and the
    /// data folder has no secret. Creates nothing.
    ///
    /// # Errors
    /// If the secret in the data folder cannot be read, or other users can read it.
    pub fn existing_keys(&self) -> Result<Option<KeyRing>, SecretError> {
        match &self.secret {
            Some(secret) => self.key_ring(secret).map(Some),
            None => self.stored_secret()?.map(|secret| self.key_ring(&secret)).transpose(),
        }
    }

    fn key_ring(&self, secret: &[u8]) -> Result<KeyRing, SecretError> {
        let accepted = self.accepted_secrets.iter().filter_map(|secret| Key::new(secret)).collect();
        let key = Key::new(secret).ok_or_else(|| SecretError::TooShort(self.secret_file()))?;
        Ok(KeyRing::new(key, accepted))
    }

    /// Returns the file of the secret in the data folder.
    fn secret_file(&self) -> PathBuf {
        self.data_dir.join(secret::FILE_NAME)
    }

    /// Returns the secret in the data folder, or `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or other users can read it.
    pub fn stored_secret(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        secret::load(&self.data_dir)
    }

    /// Stores a secret in the data folder. An existing one is replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn store_secret(&self, secret: &[u8]) -> Result<(), SecretError> {
        secret::store(&self.data_dir, secret)
    }
}

#[cfg(test)]
mod tests;
