//! The configuration: defaults, and errors that are all reported at once.

use super::{Config, ConfigErrors, VARIABLES};

fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let variable = |name: &str| {
        settings.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
    };
    Config::read(&variable, false)
}

fn errors(settings: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let errors = read(settings).unwrap_err().0;
    for error in &errors {
        assert!(error.hint.ends_with('.'), "{error:?}");
        assert!(error.message.contains(error.variable), "{error:?}");
    }
    errors.into_iter().map(|error| (error.variable, error.message)).collect()
}

#[test]
fn with_nothing_set_every_default_is_valid() {
    let config = read(&[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:3080");
    assert_eq!(config.service.addrs, ["127.0.0.1:3001"]);
    assert!(config.trusted_proxies.contains("127.0.0.1".parse().unwrap()));
    assert!(config.tls.is_none() && config.service.tls.is_none() && config.warnings.is_empty());
}

#[test]
fn all_errors_are_reported_at_once() {
    let settings = [
        ("HTTP_PORT", "99999"),
        ("LISTEN_ADDR", "localhost"),
        ("SERVICE_ADDRS", "127.0.0.1"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("CHECK_TIMEOUT_MS", "0"),
        ("LOG_FORMAT", "xml"),
        ("METRICS_ADDR", "9465"),
        ("PROXY_PROTOCOL", "yes"),
        ("SERVICE_KEY", "/no/such/file"),
        ("TLS_CERT", "/no/such/file"),
    ];
    let mut reported: Vec<&str> = errors(&settings).into_iter().map(|(name, _)| name).collect();
    reported.sort_unstable();
    let mut expected: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    expected.retain(|name| *name != "TLS_CERT");
    expected.push("TLS_KEY");
    expected.sort_unstable();
    assert_eq!(reported, expected);
    let text = read(&settings).unwrap_err().to_string();
    let expected = "error: invalid value \"99999\" for HTTP_PORT: expected an integer from 0 to \
                    65535\nhint: Correct the value, or unset HTTP_PORT to use the default (3080).";
    assert!(text.contains(expected), "{text}");
    assert!(text.ends_with("error: invalid configuration: 10 errors; nothing was started"));
}

#[test]
fn tokens_do_not_cross_a_network_in_plaintext_by_mistake() {
    let listen = errors(&[("LISTEN_ADDR", "0.0.0.0")]);
    assert!(listen[0].1.contains("tokens would cross the network in plaintext"), "{listen:?}");
    let service = errors(&[("SERVICE_ADDRS", "127.0.0.1:3001, users.internal:3001")]);
    assert!(service[0].1.contains("\"users.internal:3001\" for SERVICE_ADDRS"), "{service:?}");
    for settings in [
        &[("LISTEN_ADDR", "0.0.0.0"), ("ALLOW_PLAINTEXT", "1")][..],
        &[("SERVICE_ADDRS", "users.internal:3001"), ("ALLOW_PLAINTEXT", "1")],
        &[("SERVICE_ADDRS", "users.internal:3001"), ("SERVICE_TLS", "1")],
        &[("SERVICE_ADDRS", "localhost:1,[::1]:2, 127.8.8.8:3")],
        &[("LISTEN_ADDR", "::1")],
    ] {
        assert!(read(settings).is_ok(), "{settings:?}");
    }
}

#[test]
fn an_address_of_the_service_is_a_host_and_a_port() {
    for invalid in
        ["", " ", "host:0", "host:65536", ":3001", "::1:3001", "a b:1", "http://a:1", "a:1,"]
    {
        let result = read(&[("SERVICE_ADDRS", invalid), ("ALLOW_PLAINTEXT", "1")]);
        assert_eq!(result.is_err(), !invalid.is_empty(), "{invalid:?}");
    }
}

#[test]
fn a_variable_is_listed_once() {
    let mut names: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), VARIABLES.len());
    assert!(VARIABLES.iter().all(|variable| variable.meaning.ends_with('.')));
}
