//! The variables, once: for reading, for `--help` and for the README.

use std::net::SocketAddr;

use zeroize::Zeroizing;

use super::sources::{self, Read};
use super::{ConfigErrors, ConfigFault};
use crate::keys::MIN_SECRET;

/// A variable of the environment.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What counts where it is not set.
    pub default: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// Whether it is a secret, which a file may hold instead: see `sources`.
    pub secret: bool,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning, secret: false }
}

const fn secret(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning, secret: true }
}

/// Every variable, in the order of the README.
pub const VARIABLES: &[Variable] = &[
    variable("TCP_PORT", "3001", "Port to listen on; 0 takes a free one."),
    variable(
        "LISTEN_ADDR",
        "127.0.0.1",
        "Address to listen on. Any but a loopback address needs TLS or ALLOW_PLAINTEXT.",
    ),
    variable(
        "TLS_CERT",
        "",
        "File with the server's certificate and those up to its authority, in PEM: TLS 1.3 and nothing else is spoken.",
    ),
    variable("TLS_KEY", "", "File with its private key, in PEM."),
    variable(
        "TLS_CLIENT_CA",
        "",
        "File with the authorities of clients, in PEM: only clients with a certificate of theirs get in, and they are trusted.",
    ),
    variable("ALLOW_PLAINTEXT", "", "1 allows to listen without TLS on a network."),
    variable("DATA_DIR", "./user-data", "Folder of the embedded parts: database, secret, mails."),
    secret(
        "PostgreSQL",
        "",
        "Database as postgresql://user:password@host:port/name. One on another machine has to prove itself (sslmode=verify-full) unless the URL says otherwise. Needs JWTSECRETKEY, and SMTP_HOST or MAIL_DIR.",
    ),
    variable("DATABASE_POOL", "4", "Connections to PostgreSQL of each node."),
    variable(
        "DATABASE_POOLER",
        "",
        "1 where a pooler in transaction mode stands between, such as pgbouncer.",
    ),
    variable(
        "MIGRATE",
        "start",
        "start brings PostgreSQL's schema up to date at each start; off leaves it to `user-server migrate`.",
    ),
    secret(
        "MIGRATE_URL",
        "PostgreSQL",
        "Database for migrations: the direct one where PostgreSQL names a pooler.",
    ),
    secret(
        "REDIS_URL",
        "",
        "Cache that nodes share, as redis://user:password@host:port, rediss:// (TLS) or unix:/path; several, parted by commas, are nodes of a cluster (feature redis-cluster). The service goes on without it.",
    ),
    variable(
        "REDIS_CA",
        "",
        "File with the certificates, in PEM, that are trusted for rediss:// instead of the public authorities.",
    ),
    secret(
        "JWTSECRETKEY",
        "made and kept in DATA_DIR",
        "Secret of at least 32 bytes that signs tokens and from which every other key is derived.",
    ),
    secret(
        "JWTSECRETKEY_ACCEPT",
        "",
        "Secrets that verify and do not sign, parted by commas: the coming and the past.",
    ),
    variable("JWT_ISSUER", "user-service", "The `iss` claim of access tokens."),
    variable("JWT_AUDIENCE", "user-service", "The `aud` claim of access tokens."),
    variable("ACCESS_TOKEN_EXPIRY", "15", "Minutes that an access token lives."),
    variable("REFRESH_TOKEN_EXPIRY", "30", "Days that a session lives without a refresh."),
    variable("SESSION_EXPIRY", "90", "Days that a session lives in all."),
    variable("OTP_EXPIRY", "15", "Minutes that a mailed code lives."),
    variable(
        "STALE_LIMIT",
        "30",
        "Seconds that token checks go on without news of ended sessions; 0 is strict.",
    ),
    variable(
        "SMTP_HOST",
        "",
        "Server that mails are sent to, by name or address; needs MAIL_FROM.",
    ),
    variable(
        "SMTP_PORT",
        "587",
        "Its port; the default is 465 with SMTP_TLS=implicit, and 25 with SMTP_TLS=none.",
    ),
    variable(
        "SMTP_TLS",
        "auto",
        "starttls, implicit (from the first byte), none (to this machine only), or auto: implicit on 465, else starttls.",
    ),
    variable("SMTP_USER", "", "Login at the server; needs TLS."),
    secret("SMTP_PASSWORD", "", "Its password."),
    variable(
        "SMTP_CA",
        "",
        "File with the certificates, in PEM, that are trusted instead of the public authorities.",
    ),
    variable(
        "MAIL_DIR",
        "DATA_DIR/mails",
        "Folder for mails as .eml files, where no server is named.",
    ),
    variable(
        "MAIL_FROM",
        "User Service <no-reply@localhost.localdomain>",
        "Sender of mails: an address, or `Name <address>`.",
    ),
    variable("MAIL_CONCURRENCY", "4", "Mails that are sent at once."),
    variable(
        "ARGON2_MEMORY_KIB",
        "19456",
        "Memory of a password hash, in KiB; the same on all nodes.",
    ),
    variable("ARGON2_PASSES", "2", "Passes of a password hash; the same on all nodes."),
    variable("HASH_THREADS", "one a core", "Password hashes at once."),
    variable("HASH_QUEUE", "256", "Password hashes that may wait."),
    variable(
        "TRUSTED_PEERS",
        "127.0.0.0/8, ::1",
        "Peers whose client_address is believed: addresses and networks.",
    ),
    variable(
        "MAX_CONNECTIONS",
        "10000",
        "Connections at once; the last tenth is for trusted peers alone.",
    ),
    variable(
        "MAX_CONNECTIONS_PER_PEER",
        "256",
        "Of them, those of one peer that is not trusted: an IPv4 address or an IPv6 /64.",
    ),
    variable("MAX_IN_FLIGHT", "256", "Requests in flight on one connection."),
    variable("MAX_HASHING", "32", "Of them, those that hash a password."),
    variable("FIRST_FRAME_TIMEOUT", "10", "Seconds from the accept to the end of the first frame."),
    variable("FRAME_TIMEOUT", "10", "Seconds from a frame's first byte to its last."),
    variable("IDLE_TIMEOUT", "300", "Seconds without a frame after which a connection is closed."),
    variable("WRITE_TIMEOUT", "10", "Seconds that a peer may take to read what is written."),
    variable(
        "DRAIN_DELAY",
        "5; 0 on a terminal",
        "Seconds after SIGTERM that it goes on accepting.",
    ),
    variable("GRACE", "30", "Seconds that requests in flight may then take."),
    variable("AUDIT_RETENTION", "365", "Days that rows of the audit are kept."),
    variable(
        "METRICS_ADDR",
        "",
        "Address and port for /livez, /readyz and /metrics over HTTP, such as 127.0.0.1:9464; they carry no secrets.",
    ),
    variable(
        "LOG",
        "info",
        "Which logs are written: error, warn, info, debug, trace, or a filter of tracing.",
    ),
    variable("LOG_FORMAT", "auto", "pretty, json, or auto: pretty on a terminal."),
];

fn is_secret(name: &str) -> bool {
    VARIABLES.iter().any(|variable| variable.secret && variable.name == name)
}

/// Reads variables, and collects what is wrong with them.
pub(super) struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<ConfigFault>,
    notes: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, faults: Vec::new(), notes: Vec::new() }
    }

    pub(super) fn note(&mut self, note: Option<String>) {
        self.notes.extend(note.filter(|note| !self.notes.contains(note)));
    }

    /// What can be used and is worth a word all the same.
    pub(super) fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    pub(super) fn finish(self) -> Result<(), ConfigErrors> {
        if self.faults.is_empty() { Ok(()) } else { Err(ConfigErrors(self.faults)) }
    }

    pub(super) fn fault(&mut self, variable: &'static str, wrong: String, mend: String) {
        let fault = ConfigFault { variable, wrong, mend };
        // What is asked for twice is wrong once.
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// A variable's value; an empty one is none. Bytes that are not UTF-8 arrive as replacement
    /// characters: to take them for text would sign with another secret than was meant.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<String> {
        if is_secret(name) {
            return self.secret_text(name);
        }
        let value = sources::set(self.variable, name)?;
        self.checked(name, value)
    }

    /// Whether a value is given at all, be it a bad one.
    pub(super) fn is_given(&self, name: &'static str) -> bool {
        match is_secret(name) {
            true => !sources::of(self.variable, name).is_empty(),
            false => sources::set(self.variable, name).is_some(),
        }
    }

    /// A secret's value, from the one place that gives it.
    fn secret_text(&mut self, name: &'static str) -> Option<String> {
        let mut given = sources::of(self.variable, name);
        if given.len() > 1 {
            let places: Vec<String> = given.iter().map(ToString::to_string).collect();
            self.fault(
                name,
                format!("it is given by {}", places.join(" and by ")),
                "Keep one of them.".to_owned(),
            );
            return None;
        }
        let source = given.pop()?;
        let place = source.to_string();
        match source.read() {
            Ok(Read { value, note }) => {
                self.note(note);
                self.checked(name, value)
            }
            Err(error) => {
                self.fault(
                    name,
                    format!("{place} can not be used: {error}"),
                    sources::MEND.to_owned(),
                );
                None
            }
        }
    }

    fn checked(&mut self, name: &'static str, value: String) -> Option<String> {
        if value.contains(char::REPLACEMENT_CHARACTER) {
            self.fault(
                name,
                "it is not UTF-8".to_owned(),
                "Set it to text; a secret can be made base64.".to_owned(),
            );
            return None;
        }
        Some(value)
    }

    pub(super) fn refuse(&mut self, name: &'static str, wrong: &str, mend: &str) {
        if self.is_given(name) {
            self.fault(name, wrong.to_owned(), mend.to_owned());
        }
    }

    pub(super) fn text(&mut self, name: &'static str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        default: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name, default);
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(
                    name,
                    format!("`{text}` can not be used: {error}"),
                    format!("Set it to {expected}."),
                );
                None
            }
        }
    }

    /// An address and a port, where they are given.
    pub(super) fn address(&mut self, name: &'static str) -> Option<SocketAddr> {
        let text = self.optional(name)?;
        let parsed = text.parse();
        if let Err(error) = &parsed {
            let mend =
                "Set it to an IP address and a port such as `127.0.0.1:9464` or `[::1]:9464`.";
            self.fault(name, format!("`{text}` can not be used: {error}"), mend.to_owned());
        }
        parsed.ok()
    }

    pub(super) fn number(
        &mut self,
        name: &'static str,
        default: u64,
        least: u64,
        most: u64,
    ) -> u64 {
        let Some(text) = self.optional(name) else { return default };
        match text.trim().parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                let mend = format!(
                    "Set it to a whole number from {least} to {most}, or unset it for {default}."
                );
                self.fault(name, format!("`{text}` is not one that it can be"), mend);
                default
            }
        }
    }

    pub(super) fn switch(&mut self, name: &'static str) -> bool {
        matches!(self.choice(name, &["", "0", "false", "1", "true"]), 3 | 4)
    }

    /// Which of `choices` it is; the first where it is not set.
    pub(super) fn choice(&mut self, name: &'static str, choices: &[&str]) -> usize {
        let Some(text) = self.optional(name) else { return 0 };
        choices.iter().position(|choice| *choice == text).unwrap_or_else(|| {
            let named: Vec<&str> =
                choices.iter().copied().filter(|choice| !choice.is_empty()).collect();
            self.fault(
                name,
                format!("`{text}` is none of its values"),
                format!("Set it to one of: {}.", named.join(", ")),
            );
            0
        })
    }

    pub(super) fn secret(&mut self, name: &'static str) -> Option<Zeroizing<Vec<u8>>> {
        let secret = Zeroizing::new(self.optional(name)?.into_bytes());
        self.check_secret(name, &secret);
        Some(secret)
    }

    pub(super) fn secrets(&mut self, name: &'static str) -> Vec<Zeroizing<Vec<u8>>> {
        let Some(list) = self.optional(name).map(Zeroizing::new) else { return Vec::new() };
        let secrets: Vec<_> = list
            .split([',', '\n'])
            .map(|part| Zeroizing::new(part.trim().as_bytes().to_vec()))
            .collect();
        for secret in &secrets {
            self.check_secret(name, secret);
        }
        secrets
    }

    /// The value is never repeated: it is a secret even where it is a bad one.
    fn check_secret(&mut self, name: &'static str, secret: &[u8]) {
        if secret.len() < MIN_SECRET {
            let wrong = format!("it has {} bytes, and needs at least {MIN_SECRET}", secret.len());
            self.fault(name, wrong, "Make one with: head -c 48 /dev/urandom | base64".to_owned());
        }
    }
}
