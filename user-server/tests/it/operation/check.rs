//! `check` reports what would prevent a start, and what an operator should change.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Authority, Process, RunOutput, TestServer, left_out, run_in};

fn finding<'a>(check: &'a RunOutput, component: &str) -> &'a str {
    let line = check.output.lines().find(|line| line.split_whitespace().nth(1) == Some(component));
    line.unwrap_or_else(|| panic!("no {component} in: {check:?}"))
}

fn check(folder: &Path, settings: &[(&str, &str)]) -> RunOutput {
    run_in(folder, &["check"], settings)
}

#[test]
fn warnings_are_not_good() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("TCP_PROT", "4000"), ("TCP_PORT", "0")];
    let run = check(folder.path(), &settings);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(finding(&run, "warning").starts_with("WARN "), "{run:?}");
    let json = run_in(folder.path(), &["check", "--json"], &settings);
    let lines: Vec<Value> =
        json.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let level = |component: &str| {
        lines.iter().find(|line| line["component"] == component).unwrap()["level"].clone()
    };
    assert_eq!((level("warning"), level("configuration")), ("warning".into(), "good".into()));
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_on_fails_the_check() {
    let process = Process::start(&[]);
    let port = process.address.port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let in_use = check(folder.path(), &[("TCP_PORT", &port)]);
    assert_eq!(in_use.code, Some(0), "{in_use:?}");
    assert!(finding(&in_use, "TCP_PORT").contains("is in use"), "{in_use:?}");
    let elsewhere = [("LISTEN_ADDR", "192.0.2.1"), ("ALLOW_PLAINTEXT", "1"), ("TCP_PORT", "0")];
    let run = check(folder.path(), &elsewhere);
    assert_eq!(run.code, Some(1), "{run:?}");
    let line = finding(&run, "TCP_PORT");
    assert!(line.starts_with("WRONG") && line.contains("an address of this machine"), "{run:?}");
    let run = check(folder.path(), &[("METRICS_ADDR", "192.0.2.1:9464"), ("TCP_PORT", "0")]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(finding(&run, "METRICS_ADDR").contains("Set METRICS_ADDR"), "{run:?}");
    for (listen, monitor) in [("127.0.0.1", "127.0.0.1:4000"), ("127.0.0.1", "0.0.0.0:4000")] {
        let same = [("LISTEN_ADDR", listen), ("TCP_PORT", "4000"), ("METRICS_ADDR", monitor)];
        let run = check(folder.path(), &same);
        assert_eq!(run.code, Some(64), "{run:?}");
        assert!(run.error.contains("the service itself listens on 127.0.0.1:4000"), "{run:?}");
    }
}

#[test]
fn a_certificate_that_expires_soon_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let days = |days: &str| {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", days]);
        command.args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"]);
        command.args(["-addext", "subjectAltName=DNS:localhost"]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        let created = command.current_dir(folder.path()).output();
        created.is_ok_and(|output| output.status.success())
    };
    for (valid, level, text) in [
        ("30", "good", "is valid for 29 more days"),
        ("5", "WARN", "is valid for 4 more days"),
        ("1", "WARN", "expires within a day"),
    ] {
        if !days(valid) {
            left_out("certificates that expire soon (openssl is missing)");
            return;
        }
        let settings = [("TLS_CERT", "cert.pem"), ("TLS_KEY", "key.pem"), ("TCP_PORT", "0")];
        let run = check(folder.path(), &settings);
        assert_eq!(run.code, Some(0), "{run:?}");
        let line = finding(&run, "certificate");
        assert!(line.starts_with(level) && line.contains(text), "{run:?}");
    }
    // An authority of clients that has expired.
    let keys = Authority::new().certify().settings(folder.path());
    let mut expired = Command::new("openssl");
    expired.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]);
    expired.args(["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority"]);
    assert!(expired.current_dir(folder.path()).output().unwrap().status.success());
    let mut settings: Vec<(&str, &str)> =
        keys.iter().map(|(name, path)| (*name, path.as_str())).collect();
    settings.extend([("TLS_CLIENT_CA", "ca.pem"), ("TCP_PORT", "0")]);
    let run = check(folder.path(), &settings);
    let line = finding(&run, "certificate");
    assert!(line.starts_with("WARN") && line.contains("TLS_CLIENT_CA expires"), "{run:?}");
}

#[test]
fn an_empty_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("user-data");
    assert_eq!(run_in(folder.path(), &["migrate"], &[]).code, Some(0));
    std::fs::write(data.join("users.db"), "").unwrap();
    let run = check(folder.path(), &[("TCP_PORT", "0")]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(finding(&run, "database").contains("is empty"), "{run:?}");
    let list = run_in(folder.path(), &["user", "list"], &[]);
    assert!(list.code == Some(1) && list.error.contains("users.db is empty"), "{list:?}");
}

#[test]
fn a_data_folder_that_is_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let start = run_in(folder.path(), &[], &[("TCP_PORT", "0"), ("DATA_DIR", "file")]);
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.error.contains("it is a file, not a folder"), "{start:?}");
}

#[tokio::test]
async fn a_clock_behind_the_audit_log_is_reported() {
    let server = TestServer::start().await;
    server.clock.advance(Duration::from_secs(300 * 24 * 3600));
    server.register(&server.client(), "ada", "ada@example.org").await;
    let folder = server.stop().await;
    let data = folder.path().to_str().unwrap();
    let settings = [("DATA_DIR", data), ("TCP_PORT", "0")];
    let run = check(folder.path(), &settings);
    let line = finding(&run, "clock");
    assert!(line.starts_with("WARN ") && line.contains("synchronise"), "{run:?}");
    let process = Process::start(&settings);
    let log = process.log();
    assert!(log.contains("the clock is behind the last event in the audit log"), "{log}");
    drop(process);

    let folder = TestServer::start().await.stop().await;
    let settings = [("DATA_DIR", folder.path().to_str().unwrap()), ("TCP_PORT", "0")];
    let run = check(folder.path(), &settings);
    assert!(finding(&run, "clock").starts_with("good "), "{run:?}");
}
