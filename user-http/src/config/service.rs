//! Settings of the connections to the user service.

use std::time::Duration;

use user_proto::client::is_loopback;

use super::vars::Reader;
use crate::upstream::{ServiceConfig, ServiceTlsFiles, TlsFileError};

/// Variables with the TLS settings of the connections to the user service.
const TLS_VARIABLES: [&str; 4] = ["SERVICE_CA", "SERVICE_CERT", "SERVICE_KEY", "SERVICE_NAME"];

pub(super) fn read(vars: &mut Reader<'_>, plaintext: bool) -> ServiceConfig {
    let addrs = addresses(vars);
    let enabled = vars.switch("SERVICE_TLS") || vars.is_given("SERVICE_CA");
    let [authorities, certificate, key, name] = TLS_VARIABLES.map(|name| vars.optional(name));
    let files = ServiceTlsFiles {
        authorities: authorities.map(Into::into),
        certificate: certificate.map(Into::into),
        key: key.map(Into::into),
        name,
    };
    if enabled {
        if let Err(TlsFileError { variable, value, reason }) = files.load() {
            let hint = match variable {
                "SERVICE_NAME" => "Set SERVICE_NAME to a DNS name or an IP address.".to_owned(),
                _ => format!("Set {variable} to a PEM file that this program can read."),
            };
            vars.invalid(variable, &value, &reason, hint);
        }
    } else {
        for name in &TLS_VARIABLES[1..] {
            if vars.is_given(name) {
                vars.error(
                    name,
                    format!("{name} has no effect without TLS to the service"),
                    format!("Set SERVICE_CA or SERVICE_TLS=1, or unset {name}."),
                );
            }
        }
    }
    let remote = addrs.iter().find(|addr| !is_loopback(addr));
    if let Some(addr) = remote.filter(|_| !enabled && !plaintext) {
        vars.invalid(
            "SERVICE_ADDRS",
            addr,
            "expected a loopback address: tokens would cross the network in plaintext",
            "Set SERVICE_CA (or SERVICE_TLS=1) to connect with TLS, or set ALLOW_PLAINTEXT=1 if \
             the network is private.",
        );
    }
    ServiceConfig {
        addrs,
        tls: enabled.then_some(files),
        allow_plaintext: plaintext,
        connections: vars.count("SERVICE_CONNECTIONS", 1, 1, 64),
        slow_after: Duration::from_millis(vars.number("SLOW_AFTER_MS", 100, 10, 10_000)),
        issuer: vars.text("JWT_ISSUER", "user-service"),
        audience: vars.text("JWT_AUDIENCE", "user-service"),
    }
}

/// Parses the list of the nodes' addresses, each of them `host:port`.
fn addresses(vars: &mut Reader<'_>) -> Vec<String> {
    let expected = "host:port, separated by commas";
    let parsed = vars.parsed("SERVICE_ADDRS", "127.0.0.1:3001", expected, |text| {
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        if items.len() > 64 {
            return Err(format!("{} addresses; at most 64 are allowed", items.len()));
        }
        items.into_iter().map(|item| address(item).ok_or(format!("`{item}` is not"))).collect()
    });
    parsed.unwrap_or_default()
}

fn address(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let valid = !host.is_empty()
        && (bracketed || !host.contains(':'))
        && !host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@');
    (valid && port > 0).then(|| text.to_owned())
}
