//! Runs a client in another language, written from PROTOCOL.md alone, against a live server. It
//! shows that the document and its vectors suffice to write a client.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use crate::support::TestServer;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/gateway.py");

/// Reports a skipped test. It writes to the process's stderr, because the test harness hides the
/// captured output of a test that passes.
fn skip(reason: &str) {
    std::io::stderr().write_all(format!("left out: gateway ({reason})\n").as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_written_from_the_document_alone_passes_its_test() {
    let server = TestServer::start().await;
    let mut script = Command::new("python3");
    script.arg(SCRIPT).arg(server.address.to_string()).arg(&server.emails.0).stdin(Stdio::null());
    let output = match tokio::task::spawn_blocking(move || script.output()).await.unwrap() {
        Err(error) if error.kind() == ErrorKind::NotFound => return skip("python3 is missing"),
        output => output.unwrap(),
    };
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{printed}{errors}", output.status);
    assert_eq!(
        printed.lines().last().map(|line| line.starts_with("ok      close")),
        Some(true),
        "{printed}"
    );
    assert!(!printed.contains("FAILED") && errors.is_empty(), "{printed}{errors}");
    server.service.stop().await;
}
