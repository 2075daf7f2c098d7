//! The list of variables, and the reader that collects the errors of all of them.

use std::net::SocketAddr;

use super::error::{ConfigError, ConfigErrors};

/// An environment variable.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    /// Default, or an empty text if the variable has none.
    pub default: &'static str,
    pub meaning: &'static str,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning }
}

/// Every variable, in the order of the README.
pub const VARIABLES: &[Variable] = &[
    variable("HTTP_PORT", "3080", "Port to listen on; 0 selects a free one."),
    variable(
        "LISTEN_ADDR",
        "127.0.0.1",
        "IP address to listen on. Any address other than loopback requires TLS or ALLOW_PLAINTEXT.",
    ),
    variable(
        "TLS_CERT",
        "",
        "PEM file with the certificate of this listener, followed by those of intermediate \
         authorities. If it is set, only TLS 1.3 is accepted.",
    ),
    variable("TLS_KEY", "", "PEM file with the private key of the certificate."),
    variable(
        "ALLOW_PLAINTEXT",
        "",
        "1 allows listening, and connecting to the service, without TLS on an address other than \
         loopback.",
    ),
    variable(
        "SERVICE_ADDRS",
        "127.0.0.1:3001",
        "Addresses of the nodes of the user service (host:port), separated by commas.",
    ),
    variable(
        "SERVICE_TLS",
        "",
        "1 connects to the service with TLS and trusts the public authorities. SERVICE_CA implies \
         TLS.",
    ),
    variable(
        "SERVICE_CA",
        "",
        "PEM file with the certificates of the authorities to trust for the service, instead of \
         the public ones.",
    ),
    variable(
        "SERVICE_CERT",
        "",
        "PEM file with the client certificate for the service, followed by those of intermediate \
         authorities.",
    ),
    variable("SERVICE_KEY", "", "PEM file with the private key of the client certificate."),
    variable(
        "SERVICE_NAME",
        "the host of the address",
        "Name that the certificate of every node must contain.",
    ),
    variable("SERVICE_CONNECTIONS", "1", "Number of connections to each node."),
    variable(
        "SLOW_AFTER_MS",
        "100",
        "Milliseconds without a reply after which a check is also sent to another node, and the \
         slow node is avoided.",
    ),
    variable(
        "JWT_ISSUER",
        "user-service",
        "`iss` claim of access tokens, as in the settings of the service.",
    ),
    variable(
        "JWT_AUDIENCE",
        "user-service",
        "`aud` claim of access tokens, as in the settings of the service.",
    ),
    variable(
        "CHECK_TIMEOUT_MS",
        "2000",
        "Milliseconds after which a check ends with 503. Set it below the timeout of the proxy. A \
         trusted proxy can shorten it with the header X-Envoy-Expected-Rq-Timeout-Ms.",
    ),
    variable(
        "JSON_API",
        "",
        "1 serves the JSON API under /v1 and its description at /openapi.json. Whoever can reach \
         this listener can then register and log in.",
    ),
    variable(
        "API_TIMEOUT_MS",
        "10000",
        "Milliseconds after which a request to the JSON API ends with 504.",
    ),
    variable(
        "COOKIE_DOMAIN",
        "",
        "Domain with subdomains that also get the cookie with the access token, which is then called \
         __Secure-user instead of __Host-user. Every host of this domain can then set it.",
    ),
    variable(
        "CORS_ORIGINS",
        "",
        "Origins of other pages that may use the JSON API with a token in Authorization, such as \
         https://app.example.com, separated by commas.",
    ),
    variable(
        "LOGIN_URL",
        "/",
        "Page where a user logs in: a path, or a URL with https. A browser is sent there if its \
         session cannot be refreshed, with the page to return to in return_to.",
    ),
    variable(
        "RETURN_HOSTS",
        "",
        "Other hosts, with an optional port, to which /auth/refresh may redirect with https, \
         separated by commas.",
    ),
    variable(
        "TRUSTED_PROXIES",
        "127.0.0.0/8, ::1",
        "Addresses and networks of the proxies that may state the address of the end user and the \
         method, host and scheme of the request (X-Forwarded-*), separated by commas.",
    ),
    variable(
        "PROXY_PROTOCOL",
        "",
        "1 if trusted proxies begin each connection with a header of the PROXY protocol (version \
         1 or 2). The address of the end user is taken from it, and X-Forwarded-For is ignored.",
    ),
    variable("MAX_CONNECTIONS", "1024", "Maximum number of connections from proxies."),
    variable("MAX_HEAD", "32", "Maximum size of the head of a request in KiB."),
    variable(
        "HEAD_TIMEOUT",
        "10",
        "Seconds from the first byte of a request, or from accepting a connection, to the end of \
         the head of the request.",
    ),
    variable(
        "IDLE_TIMEOUT",
        "75",
        "Seconds without a request after which a connection is closed. Set it above the time for \
         which the proxy keeps idle connections.",
    ),
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
    variable(
        "METRICS_ADDR",
        "",
        "Address and port of a listener for /livez, /readyz and /metrics, such as 127.0.0.1:9465. \
         It exposes no secrets.",
    ),
    variable(
        "LOG",
        "info",
        "Log level (error, warn, info, debug or trace), or a filter in the syntax of tracing.",
    ),
    variable("LOG_FORMAT", "auto", "pretty, json, or auto: pretty on a terminal, otherwise json."),
];

/// Reads variables, and collects errors and warnings.
pub(super) struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<ConfigError>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, errors: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn warn(&mut self, warning: Option<String>) {
        self.warnings.extend(warning);
    }

    /// Takes the warnings that were collected so far.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Returns all errors that were collected, if there are any.
    pub(super) fn finish(self) -> Result<(), ConfigErrors> {
        if self.errors.is_empty() { Ok(()) } else { Err(ConfigErrors(self.errors)) }
    }

    /// Adds an error. The message contains the name of the variable.
    pub(super) fn error(
        &mut self,
        variable: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let error = ConfigError { variable, message: message.into(), hint: hint.into() };
        // A variable that is read twice is reported once.
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Adds an error about the value of a variable.
    pub(super) fn invalid(
        &mut self,
        name: &'static str,
        value: &str,
        reason: &str,
        hint: impl Into<String>,
    ) {
        self.error(name, format!("invalid value \"{value}\" for {name}: {reason}"), hint);
    }

    /// Returns the value of a variable, or `None` if it is empty or not set. Bytes that are not
    /// UTF-8 arrive as replacement characters, and are an error.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<String> {
        let value = (self.variable)(name).filter(|value| !value.is_empty())?;
        if value.contains(char::REPLACEMENT_CHARACTER) {
            self.invalid(name, &value, "expected UTF-8", format!("Set {name} to text."));
            return None;
        }
        Some(value)
    }

    /// Returns true if a variable has a value, even an invalid one.
    pub(super) fn is_given(&self, name: &'static str) -> bool {
        (self.variable)(name).is_some_and(|value| !value.is_empty())
    }

    pub(super) fn text(&mut self, name: &'static str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// Parses the value of a variable, or else its default. If that fails, adds an error that
    /// contains the `expected` form and the error of `parse`, and returns `None`.
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
                let reason = format!("expected {expected} ({error})");
                self.invalid(name, &text, &reason, default_hint(name, default));
                None
            }
        }
    }

    /// Parses an address with a port. Returns `None` if the variable is not set or invalid.
    pub(super) fn address(&mut self, name: &'static str) -> Option<SocketAddr> {
        let text = self.optional(name)?;
        let parsed = text.parse();
        if parsed.is_err() {
            let hint = format!("Set {name} to an address such as 127.0.0.1:9465 or [::1]:9465.");
            self.invalid(name, &text, "expected an IP address and a port", hint);
        }
        parsed.ok()
    }

    /// Parses an integer from `min` to `max`. Returns `default` if the variable is not set or
    /// invalid.
    pub(super) fn number(&mut self, name: &'static str, default: u64, min: u64, max: u64) -> u64 {
        let Some(text) = self.optional(name) else { return default };
        match text.trim().parse() {
            Ok(number) if (min..=max).contains(&number) => number,
            _ => {
                let expected = format!("expected an integer from {min} to {max}");
                self.invalid(name, &text, &expected, default_hint(name, &default.to_string()));
                default
            }
        }
    }

    /// Parses an integer from `min` to `max`, as a size. Returns `default` if the variable is not
    /// set or invalid.
    pub(super) fn count(&mut self, name: &'static str, default: u64, min: u64, max: u64) -> usize {
        usize::try_from(self.number(name, default, min, max)).unwrap_or(usize::MAX)
    }

    /// Parses a boolean. Returns false if the variable is not set.
    pub(super) fn switch(&mut self, name: &'static str) -> bool {
        matches!(self.choice(name, &["", "0", "false", "1", "true"]), 3 | 4)
    }

    /// Returns the index of the value in `choices`, and 0 if the variable is not set.
    pub(super) fn choice(&mut self, name: &'static str, choices: &[&str]) -> usize {
        let Some(text) = self.optional(name) else { return 0 };
        choices.iter().position(|choice| *choice == text).unwrap_or_else(|| {
            let named: Vec<&str> =
                choices.iter().copied().filter(|choice| !choice.is_empty()).collect();
            let expected = format!("expected one of {}", named.join(", "));
            let default = choices.first().copied().unwrap_or_default();
            self.invalid(name, &text, &expected, default_hint(name, default));
            0
        })
    }
}

fn default_hint(name: &str, default: &str) -> String {
    if default.is_empty() {
        format!("Correct the value, or unset {name}.")
    } else {
        format!("Correct the value, or unset {name} to use the default ({default}).")
    }
}
