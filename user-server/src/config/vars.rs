//! The environment variables: one table, for reading, for `--help` and for the README.

/// An environment variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    pub name: &'static str,
    /// Default of the variable, empty if it has none.
    pub default: &'static str,
    pub meaning: &'static str,
    /// Set if the value is a secret, which can also be read from a file.
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
    variable("TCP_PORT", "3001", "Port to listen on; 0 selects a free one."),
    variable(
        "LISTEN_ADDR",
        "127.0.0.1",
        "IP address to listen on. Any address other than loopback requires TLS or ALLOW_PLAINTEXT.",
    ),
    variable(
        "TLS_CERT",
        "",
        "PEM file with the server's certificate, followed by those of intermediate authorities. \
         If it is set, the server accepts only TLS 1.3.",
    ),
    variable("TLS_KEY", "", "PEM file with the private key of the certificate."),
    variable(
        "TLS_CLIENT_CA",
        "",
        "PEM file with the certificates of clients' authorities. Only clients with a certificate \
         from one of them can connect, and they are trusted like TRUSTED_PEERS.",
    ),
    variable(
        "ALLOW_PLAINTEXT",
        "",
        "1 allows listening without TLS on an address other than loopback.",
    ),
    variable(
        "DATA_DIR",
        "./user-data",
        "Folder of the embedded database, the generated secret and the emails written to files.",
    ),
    secret(
        "PostgreSQL",
        "",
        "Database that the nodes share, as postgresql://user:password@host:port/name, or host=... \
         dbname=... Of several hosts, separated by commas, the one that accepts writes is used. \
         The certificate of a database on another machine is verified (sslmode=verify-full), \
         unless the URL sets another sslmode. Requires JWTSECRETKEY, and SMTP_HOST or MAIL_DIR.",
    ),
    variable(
        "DATABASE_POOL",
        "4",
        "Maximum number of connections to PostgreSQL for requests, per node. Four more read what \
         other nodes changed and report that this one is alive.",
    ),
    variable(
        "DATABASE_POOLER",
        "",
        "1 if PostgreSQL is reached through a pooler in transaction mode, such as PgBouncer; \
         prepared if the pooler also supports prepared statements.",
    ),
    variable(
        "MIGRATE",
        "start",
        "start updates the schema of PostgreSQL at startup; off leaves that to `user-server \
         migrate`.",
    ),
    secret(
        "MIGRATE_URL",
        "PostgreSQL",
        "Database URL for migrations: the direct one, if PostgreSQL names a pooler.",
    ),
    secret(
        "REDIS_URL",
        "",
        "Cache that the nodes share, as redis://user:password@host:port, rediss:// (TLS) or \
         unix:/path. Several hosts, separated by commas, are nodes of a cluster (feature \
         redis-cluster). The service also works without it.",
    ),
    variable(
        "REDIS_CA",
        "",
        "PEM file with the certificates of the authorities to trust for rediss://, instead of the \
         public ones.",
    ),
    secret(
        "JWTSECRETKEY",
        "generated and stored in DATA_DIR",
        "Secret of at least 32 bytes that signs access tokens. All other keys are derived from it.",
    ),
    secret(
        "JWTSECRETKEY_ACCEPT",
        "",
        "Secrets that are accepted but do not sign, separated by commas: the next and the previous \
         one during a key rotation.",
    ),
    variable(
        "TOKEN_SIGNING",
        "HS256",
        "Algorithm that signs access tokens: HS256 with the secret itself, EdDSA or ES256 with a key \
         derived from it. With EdDSA and ES256, gateways can verify tokens without a call.",
    ),
    variable(
        "TOKEN_ACCEPT",
        "HS256, EdDSA, ES256",
        "Algorithms of access tokens that are accepted, separated by commas. After a change of \
         TOKEN_SIGNING, the previous algorithm can be left out once ACCESS_TOKEN_EXPIRY has passed.",
    ),
    variable("JWT_ISSUER", "user-service", "`iss` claim of access tokens."),
    variable("JWT_AUDIENCE", "user-service", "`aud` claim of access tokens."),
    variable(
        "ACCESS_TOKEN_EXPIRY",
        "15",
        "Lifetime of access tokens, in minutes. A lower value applies to the tokens in use too.",
    ),
    variable(
        "REFRESH_TOKEN_EXPIRY",
        "30",
        "Lifetime of refresh tokens, in days: a session that is not refreshed within it ends.",
    ),
    variable("SESSION_EXPIRY", "90", "Maximum lifetime of a session, in days."),
    variable("OTP_EXPIRY", "15", "Lifetime of emailed one-time codes, in minutes."),
    variable(
        "STALE_LIMIT",
        "30",
        "Seconds for which tokens are still verified after the revocation log was last read, if \
         it cannot be read; at least 1.",
    ),
    variable("SMTP_HOST", "", "Mail server, by name or IP address. Requires MAIL_FROM."),
    variable(
        "SMTP_PORT",
        "587",
        "Port of the mail server. The default is 465 with SMTP_TLS=implicit, and 25 with \
         SMTP_TLS=none.",
    ),
    variable(
        "SMTP_TLS",
        "auto",
        "starttls; implicit (TLS from the first byte); none (only to this machine); or auto, which \
         is implicit on port 465 and starttls on others.",
    ),
    variable("SMTP_USER", "", "User name for the mail server. Requires TLS."),
    secret("SMTP_PASSWORD", "", "Password for the mail server."),
    variable(
        "SMTP_CA",
        "",
        "PEM file with the certificates of the authorities to trust for the mail server, instead \
         of the public ones.",
    ),
    variable(
        "SMTP_HELO",
        "host name, or the domain of MAIL_FROM",
        "Name by which the service introduces itself to the mail server: a host name with a domain, \
         or an IP address. The default is the host name of this machine where that has a domain.",
    ),
    variable(
        "MAIL_DIR",
        "DATA_DIR/mails",
        "Folder to which emails are written as .eml files, if SMTP_HOST is not set.",
    ),
    variable(
        "MAIL_FROM",
        "User Service <no-reply@localhost.localdomain>",
        "Sender of emails: an address, or `Name <address>`.",
    ),
    variable("MAIL_CONCURRENCY", "4", "Maximum number of emails sent at the same time."),
    variable(
        "ARGON2_MEMORY_KIB",
        "19456",
        "Memory of a password hash, in KiB. Use the same value on all nodes.",
    ),
    variable(
        "ARGON2_PASSES",
        "2",
        "Number of passes of a password hash over its memory. Use the same value on all nodes.",
    ),
    variable(
        "HASH_THREADS",
        "one per core",
        "Maximum number of password hashes computed at the same time.",
    ),
    variable("HASH_QUEUE", "256", "Maximum number of password hashes that wait to be computed."),
    variable(
        "TRUSTED_PEERS",
        "127.0.0.0/8, ::1",
        "Addresses and networks of the peers that may state the address of the end user \
         (client_address) and read keys and revocations, separated by commas.",
    ),
    variable(
        "MAX_CONNECTIONS",
        "10000",
        "Maximum number of connections. The last tenth is reserved for trusted peers.",
    ),
    variable(
        "MAX_CONNECTIONS_PER_PEER",
        "256",
        "Maximum number of connections from one peer that is not trusted: an IPv4 address or an \
         IPv6 /64. A /56 may have twice as many, a /48 four times.",
    ),
    variable(
        "MAX_REQUESTS",
        "8192",
        "Maximum number of requests in flight in the whole process. Peers that are not trusted \
         get at most half of them.",
    ),
    variable(
        "MAX_REQUEST_MEMORY",
        "64",
        "Maximum memory of requests in flight in the whole process, in MiB. Peers that are not \
         trusted get at most half of it.",
    ),
    variable("MAX_IN_FLIGHT", "256", "Maximum number of requests in flight on one connection."),
    variable(
        "MAX_HASHING",
        "32",
        "Maximum number of requests in flight on one connection that hash a password.",
    ),
    variable(
        "FIRST_FRAME_TIMEOUT",
        "10",
        "Seconds from accepting a connection to the end of its first frame.",
    ),
    variable("FRAME_TIMEOUT", "10", "Seconds from the first byte of a frame to its last."),
    variable("IDLE_TIMEOUT", "300", "Seconds without a frame after which a connection is closed."),
    variable("WRITE_TIMEOUT", "10", "Seconds in which a client must read its replies."),
    variable(
        "DRAIN_DELAY",
        "5; 0 on a terminal",
        "Seconds after SIGTERM in which new connections are still accepted.",
    ),
    variable(
        "GRACE",
        "30",
        "Seconds after DRAIN_DELAY in which requests in flight are still completed.",
    ),
    variable("AUDIT_RETENTION", "365", "Days after which rows of the audit log are erased."),
    variable(
        "METRICS_ADDR",
        "",
        "Address and port of an HTTP listener for /livez, /readyz and /metrics, such as \
         127.0.0.1:9464. It exposes no secrets.",
    ),
    variable(
        "LOG",
        "info",
        "Log level (error, warn, info, debug or trace), or a filter in the syntax of tracing.",
    ),
    variable("LOG_FORMAT", "auto", "pretty, json, or auto: pretty on a terminal, otherwise json."),
];
