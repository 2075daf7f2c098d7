//! The configuration, which is the only reader of the environment. It is read completely before
//! anything starts, and all its errors are reported at once.

mod browser;
mod error;
mod log_filter;
mod printable;
mod service;
mod similar;
mod vars;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::forwarded::TrustedProxies;
use crate::listener::ConnectionLimits;
use crate::tls::{Identity, TlsFiles};
use crate::upstream::ServiceConfig;

pub use browser::BrowserConfig;
pub use error::{ConfigError, ConfigErrors};
pub use printable::printable;
use vars::Reader;
pub use vars::{VARIABLES, Variable};

/// All settings of the program.
#[derive(Debug)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Files of the certificate; without them, the listener speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    pub service: ServiceConfig,
    /// Maximum duration of a check.
    pub check_timeout: Duration,
    /// Maximum duration of a request to the JSON API; `None` turns the API off.
    pub api_timeout: Option<Duration>,
    pub browser: BrowserConfig,
    /// Proxies that may state the address, method and origin of the end user's request.
    pub trusted_proxies: TrustedProxies,
    /// True if each connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    pub limits: ConnectionLimits,
    /// Time after SIGTERM in which new connections are still accepted.
    pub drain_delay: Duration,
    /// Time after `drain_delay` in which requests in flight are still completed.
    pub grace: Duration,
    /// Address and port of the listener for health checks and metrics; `None` turns them off.
    pub metrics_listen: Option<SocketAddr>,
    /// Log level, or a filter in the syntax of `tracing`.
    pub log: String,
    pub log_format: LogFormat,
    /// True if the log may be coloured.
    pub color: bool,
    /// True if the demo page is served.
    pub demo: bool,
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

impl Config {
    /// Reads the configuration through `variable`, which returns the value of an environment
    /// variable. Some defaults depend on whether the program runs on a `terminal`.
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

    /// Returns warnings about variables with these names that have no effect, but look like
    /// settings. They also apply if the configuration is invalid, often because of such a name.
    pub fn warnings_of(names: impl Iterator<Item = String>) -> Vec<String> {
        similar::warnings(names)
    }

    fn fill(vars: &mut Reader<'_>, terminal: bool) -> Self {
        let seconds = Duration::from_secs;
        let plaintext = vars.switch("ALLOW_PLAINTEXT");
        let ip = vars.parsed("LISTEN_ADDR", "127.0.0.1", "an IP address", |text| {
            text.parse::<IpAddr>().map_err(|error| error.to_string())
        });
        let tls = tls(vars);
        let encrypted = vars.is_given("TLS_CERT") || vars.is_given("TLS_KEY");
        if ip.is_some_and(|ip| !ip.to_canonical().is_loopback()) && !plaintext && !encrypted {
            let text = vars.text("LISTEN_ADDR", "");
            vars.invalid(
                "LISTEN_ADDR",
                &text,
                "expected a loopback address: tokens would cross the network in plaintext",
                "Set TLS_CERT and TLS_KEY, or listen on 127.0.0.1, or set ALLOW_PLAINTEXT=1 if the \
                 network is private.",
            );
        }
        let port = u16::try_from(vars.number("HTTP_PORT", 3080, 0, 65_535)).unwrap_or_default();
        let trusted = vars.parsed(
            "TRUSTED_PROXIES",
            "127.0.0.0/8, ::1",
            "addresses and networks such as `10.1.0.0/16, ::1`",
            |text| TrustedProxies::parse(text).map_err(|item| format!("`{item}` is neither")),
        );
        let log = vars.parsed(
            "LOG",
            "info",
            "error, warn, info, debug, trace, or a filter in the syntax of tracing",
            log_filter::parse,
        );
        Self {
            listen: SocketAddr::new(ip.unwrap_or(Ipv4Addr::LOCALHOST.into()), port),
            tls,
            service: service::read(vars, plaintext),
            check_timeout: Duration::from_millis(vars.number("CHECK_TIMEOUT_MS", 2000, 50, 30_000)),
            api_timeout: api_timeout(vars),
            browser: browser::read(vars),
            trusted_proxies: trusted.unwrap_or_default(),
            proxy_protocol: vars.switch("PROXY_PROTOCOL"),
            limits: ConnectionLimits {
                connections: vars.count("MAX_CONNECTIONS", 1024, 1, 100_000),
                head_bytes: vars.count("MAX_HEAD", 32, 8, 1024) << 10,
                head_time: seconds(vars.number("HEAD_TIMEOUT", 10, 1, 300)),
                idle_time: seconds(vars.number("IDLE_TIMEOUT", 75, 1, 3600)),
            },
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
            color: terminal && !vars.is_given("NO_COLOR"),
            demo: false,
            warnings: vars.take_warnings(),
        }
    }
}

/// Returns the maximum duration of a request to the JSON API, or `None` if the API is off.
fn api_timeout(vars: &mut Reader<'_>) -> Option<Duration> {
    let on = vars.switch("JSON_API");
    let timeout = Duration::from_millis(vars.number("API_TIMEOUT_MS", 10_000, 50, 30_000));
    for name in ["API_TIMEOUT_MS", "CORS_ORIGINS", "RETURN_HOSTS"] {
        if !on && vars.is_given(name) {
            vars.warn(Some(format!("{name} has no effect without JSON_API=1")));
        }
    }
    on.then_some(timeout)
}

/// Returns the files of the listener's certificate, or `None` without a certificate and its key.
/// Adds an error if a file is missing or cannot be used.
fn tls(vars: &mut Reader<'_>) -> Option<TlsFiles> {
    let [certificate, key] = ["TLS_CERT", "TLS_KEY"].map(|name| vars.optional(name));
    if certificate.is_none() && key.is_none() {
        return None;
    }
    for (name, file) in [("TLS_CERT", &certificate), ("TLS_KEY", &key)] {
        if file.is_none() {
            vars.error(
                name,
                format!("{name} is not set: TLS needs a certificate and its key"),
                "Set TLS_CERT and TLS_KEY, or unset both.",
            );
        }
    }
    let files = TlsFiles { certificate: certificate?.into(), key: key?.into() };
    match Identity::read(&files) {
        Ok(identity) => vars.warn(identity.expiry_warning()),
        Err(fault) => {
            let path = files.path(fault.file).display().to_string();
            vars.invalid(fault.file.variable(), &path, &fault.reason, fault.file.hint());
        }
    }
    Some(files)
}

#[cfg(test)]
mod tests;
