//! Connection options of a PostgreSQL database, parsed from its URL.

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::hosts::Hosts;
use super::url::{from_key_value, is_key_value, split};

/// Maximum duration of a statement of a request, as the startup option `statement_timeout`.
pub(super) const STATEMENT_TIMEOUT: &str = "2s";
/// Maximum time to wait for a lock in a request, as the startup option `lock_timeout`.
const LOCK_TIMEOUT: &str = "1500ms";
/// Maximum duration of a statement of a background task.
const BACKGROUND_STATEMENT_TIMEOUT: &str = "5s";
/// Maximum time between two statements of a transaction, after which its node has failed.
const IDLE_TIMEOUT: &str = "10s";
/// Maximum number of statements that a connection has prepared. There are fewer of them, so that
/// none is replaced, which would cost two round trips.
const PREPARED_STATEMENTS: usize = 256;
/// Query parameters of a connection URL that the driver supports.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Connection options of a PostgreSQL database.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) hosts: Hosts,
    /// Maximum number of connections in the pool.
    pub pool: u32,
    /// Set if connections go through a pooler in transaction mode, such as PgBouncer.
    pub pooler: bool,
    /// Set if that pooler supports statements that are prepared by name, as PgBouncer does since
    /// version 1.21 with `max_prepared_statements`.
    pub prepared: bool,
    /// Names of query parameters in the URL that have no effect.
    pub ignored: Vec<String>,
}

impl PostgresOptions {
    /// Parses a URL such as `postgresql://user:password@host:port/name?sslmode=...`, with several
    /// hosts separated by commas, or the form `host=... dbname=...`. Without `sslmode`, the
    /// certificate of a server on another machine is verified (`verify-full`).
    ///
    /// # Errors
    /// Describes why the URL is not valid, without any part of it.
    pub fn parse(text: &str, pool: u32, pooler: bool) -> Result<Self, String> {
        let url = match is_key_value(text) {
            true => from_key_value(text)?,
            false => text.to_owned(),
        };
        let split = split(check(&url)?)?;
        let (mut hosts, mut ignored) = (Vec::new(), Vec::new());
        for url in &split.urls {
            let (url, unknown) = without_unknown(url);
            hosts.push(driver_options(&url)?);
            ignored = unknown;
        }
        Ok(Self {
            hosts: Hosts::new(hosts, split.writable),
            pool,
            pooler,
            prepared: false,
            ignored,
        })
    }

    /// Returns the options for a pooler in transaction mode that supports prepared statements.
    #[must_use]
    pub fn with_prepared_statements(self) -> Self {
        Self { pooler: true, prepared: true, ..self }
    }

    /// Returns host, port and database name, without user and password.
    #[must_use]
    pub fn location(&self) -> String {
        let (mut servers, mut name) = (Vec::new(), String::new());
        for options in self.hosts.iter() {
            let host = options.get_host();
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            servers.push(format!("{host}:{}", options.get_port()));
            // Without a name, PostgreSQL uses the database with the name of the user.
            options.get_database().unwrap_or_else(|| options.get_username()).clone_into(&mut name);
        }
        format!("{}/{name}", servers.join(","))
    }

    /// Returns the driver's options for the connections that serve requests.
    pub(super) fn for_requests(&self) -> Hosts {
        self.limited(STATEMENT_TIMEOUT, LOCK_TIMEOUT)
    }

    /// Returns the driver's options for the connections of background tasks.
    pub(super) fn for_background(&self) -> Hosts {
        self.limited(BACKGROUND_STATEMENT_TIMEOUT, LOCK_TIMEOUT)
    }

    fn limited(&self, statement_timeout: &str, lock_timeout: &str) -> Hosts {
        self.hosts.map(|connect| {
            if self.pooler {
                // A pooler accepts few startup parameters, and may run each transaction in another
                // session.
                let connect = connect.extra_float_digits(None);
                return if self.prepared { connect } else { connect.statement_cache_capacity(0) };
            }
            // Statements outside of a transaction must not depend on defaults of the database or
            // the role either.
            connect.options([
                ("statement_timeout", statement_timeout),
                ("lock_timeout", lock_timeout),
                ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
                ("default_transaction_isolation", "read committed"),
                // Rows that are read as JSON contain bytes.
                ("bytea_output", "hex"),
                // A plan from before a table grew must not read all of it, and statements are
                // planned when the tables of a new service are empty.
                ("enable_seqscan", "off"),
                // It makes a statement that has to read a table look so expensive that PostgreSQL
                // would compile it, which takes longer than most of them.
                ("jit", "off"),
            ])
        })
    }
}

/// Returns the driver's options for the server in a URL.
fn driver_options(url: &str) -> Result<PgConnectOptions, String> {
    let connect: PgConnectOptions = url.parse().map_err(|error| reason(&error).to_owned())?;
    // The URL parser keeps the brackets of an IPv6 address, which a resolver does not accept.
    let bare = connect.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let connect = match bare.map(ToOwned::to_owned) {
        Some(address) => connect.host(&address),
        None => connect,
    };
    let host = connect.get_host();
    let is_local = host == "localhost"
        || host.starts_with('/')
        || connect.get_socket().is_some()
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let connect = if url.contains("sslmode=") || url.contains("ssl-mode=") || is_local {
        connect
    } else {
        connect.ssl_mode(PgSslMode::VerifyFull)
    };
    let connect = match url.contains("statement-cache-capacity=") {
        true => connect,
        false => connect.statement_cache_capacity(PREPARED_STATEMENTS),
    };
    Ok(connect.application_name("user-server").disable_statement_logging())
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The driver's implementation shows the password.
        write!(f, "PostgresOptions({})", self.location())
    }
}

/// Checks a URL for mistakes that the parser would misinterpret. In particular, a `/`, `?` or `#`
/// in the password ends the host, so a part of the password would become the name of the database,
/// which is printed. Returns the URL unchanged.
fn check(url: &str) -> Result<&str, String> {
    let rest = url.strip_prefix("postgresql://").or_else(|| url.strip_prefix("postgres://"));
    let Some(rest) = rest else {
        return Err(
            "expected a URL that begins with postgresql://, or host=... dbname=...".to_owned()
        );
    };
    let tail = rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default();
    if tail.contains(['@', '#']) {
        return Err("a special character must be written in hexadecimal: / as %2F, ? as %3F, \
                    # as %23, @ as %40, also in a password"
            .to_owned());
    }
    let mut escapes = url.split('%').skip(1);
    let is_escape = |text: &str| {
        text.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    if !escapes.all(is_escape) {
        return Err(
            "a % must be followed by two hexadecimal digits; write the character itself as \
                    %25, also in a password"
                .to_owned(),
        );
    }
    Ok(url)
}

/// Removes the query parameters that the driver does not support, since it would log their values.
/// Returns the new URL and the names of the removed parameters.
fn without_unknown(url: &str) -> (String, Vec<String>) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), Vec::new()) };
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let is_known = |pair: &&str| {
        let name = name(pair);
        PARAMETERS.contains(&name.as_str()) || name.starts_with("options[")
    };
    let (known, unknown): (Vec<&str>, Vec<&str>) =
        query.split('&').filter(|pair| !pair.is_empty()).partition(is_known);
    let url =
        if known.is_empty() { base.to_owned() } else { format!("{base}?{}", known.join("&")) };
    (url, unknown.into_iter().map(name).collect())
}

/// Describes why the driver rejected a URL. The driver's own message is not used, since it may
/// quote a value.
fn reason(error: &sqlx::Error) -> &'static str {
    let text = error.to_string();
    let known = [
        ("port", "the port is not a number from 0 to 65535"),
        ("ssl", "sslmode must be disable, allow, prefer, require, verify-ca or verify-full"),
        ("host", "the host is missing"),
        ("IPv6", "the host is not a valid IPv6 address in brackets"),
        ("IP address", "hostaddr is not an IP address"),
    ];
    let found = known.into_iter().find(|(word, _)| text.contains(word));
    found.map_or("not a valid connection URL", |(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<PostgresOptions, String> {
        PostgresOptions::parse(url, 4, false)
    }

    fn first(options: &PostgresOptions) -> &PgConnectOptions {
        options.hosts.iter().next().unwrap()
    }

    #[test]
    fn a_connection_keeps_256_prepared_statements_unless_the_url_says_otherwise() {
        let shown = |url: &str, pooler: bool| {
            let options = PostgresOptions::parse(url, 4, pooler).unwrap().for_requests();
            format!("{:?}", options.iter().next().unwrap())
        };
        let url = "postgresql://u@localhost/users";
        assert!(shown(url, false).contains("statement_cache_capacity: 256"));
        assert!(shown(url, true).contains("statement_cache_capacity: 0"));
        let url = "postgresql://u@localhost/users?statement-cache-capacity=7";
        assert!(shown(url, false).contains("statement_cache_capacity: 7"));
    }

    #[test]
    fn the_certificate_of_a_remote_server_is_verified_by_default() {
        let mode = |url: &str| format!("{:?}", first(&parse(url).unwrap()).get_ssl_mode());
        assert_eq!(mode("postgresql://u:p@db.example/users"), "VerifyFull");
        assert_eq!(mode("postgresql://u:p@10.1.2.3/users"), "VerifyFull");
        assert_eq!(mode("postgresql://u:p@[2001:db8::1]/users"), "VerifyFull");
        assert_eq!(mode("postgresql://u:p@db.example/users?sslmode=disable"), "Disable");
        assert_eq!(mode("postgresql://u:p@127.0.0.1/users"), "Prefer");
        assert_eq!(mode("postgresql://u:p@[::1]/users"), "Prefer");
        assert_eq!(mode("postgresql://u@localhost/users?host=/run/postgresql"), "Prefer");
    }

    /// Each special character, at each position of the password, with and without its encoding.
    #[test]
    fn no_error_or_location_contains_a_part_of_the_password() {
        let mut checked = 0;
        for special in ['/', '?', '#', '@', ':', '[', ']', '%', '\\', '&', '=', ';', ' ', '\u{e9}']
        {
            for password in [
                format!("{special}geheim"),
                format!("12{special}geheim"),
                format!("geheim{special}"),
                format!("ge{special}heim{special}nis"),
            ] {
                for name in ["", "/users", "/users?sslmode=disable"] {
                    let url = format!("postgresql://u:{password}@db.example:5432{name}");
                    let shown = match parse(&url) {
                        Ok(options) => {
                            assert_eq!(first(&options).get_host(), "db.example", "{url}");
                            format!("{} {options:?} {:?}", options.location(), options.ignored)
                        }
                        Err(error) => error,
                    };
                    for part in ["ge", "heim", "nis"] {
                        let hidden = !shown.replace("sslmode", "").contains(part);
                        assert!(hidden || part == "ge", "{url}: {shown}");
                    }
                    assert!(!shown.contains("geheim"), "{url}: {shown}");
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 14 * 4 * 3);
        for special in ["%2F", "%3F", "%23", "%40"] {
            let url = format!("postgresql://u:ge{special}heim@db.example/users");
            assert_eq!(parse(&url).unwrap().location(), "db.example:5432/users");
        }
    }

    #[test]
    fn what_is_not_a_url_is_explained() {
        let error = |url: &str| parse(url).unwrap_err();
        assert!(error("host=db dbname=users port=1,2").contains("one port"));
        assert!(error("mysql://u:geheim@db/users").contains("postgresql://"));
        assert!(error("postgresql://u:geheim@db:port/users").contains("the port"));
        assert!(error("postgresql://u:geheim@db/users?sslmode=maybe").contains("verify-full"));
        assert!(error("postgresql://u:gehe/im@db/users").contains("%2F"));
        for url in ["host=db port=x password=geheim", "postgresql://u:geheim@db:port/users"] {
            assert!(!error(url).contains("geheim"));
        }
    }

    #[test]
    fn an_ipv6_address_is_written_in_brackets_and_used_without() {
        let options = parse("postgresql://u:p@[::1]:5433/users").unwrap();
        assert_eq!(first(&options).get_host(), "::1");
        assert_eq!(options.location(), "[::1]:5433/users");
    }

    #[test]
    fn several_hosts_are_named_in_the_location() {
        for text in [
            "postgres://u:geheim@a,b:5433/users?target_session_attrs=read-write",
            "host=a,b port=5432,5433 dbname=users user=u password=geheim",
        ] {
            let options = parse(text).unwrap();
            assert_eq!(options.location(), "a:5432,b:5433/users");
            assert!(options.ignored.is_empty());
        }
    }

    #[test]
    fn unknown_parameters_are_named_without_their_values() {
        let options =
            parse("postgresql://u@db/users?sslmode=disable&channel_binding=geheim&x=1").unwrap();
        assert_eq!(options.ignored, ["channel_binding", "x"]);
        assert!(parse("postgresql://u@db/users?options[a]=b").unwrap().ignored.is_empty());
    }
}
