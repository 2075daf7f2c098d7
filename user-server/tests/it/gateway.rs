//! A client in another language, written from PROTOCOL.md alone, against a live server. It shows
//! that the document and its vectors suffice, which no client of this workspace can show.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use crate::support::TestServer;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/gateway.py");

/// Says what was not tested where the test's own output is not held back, as it is of a test that
/// passes.
fn left_out(why: &str) {
    std::io::stderr().write_all(format!("left out: gateway ({why})\n").as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_written_from_the_document_alone_takes_the_tour() {
    let server = TestServer::start().await;
    let mut script = Command::new("python3");
    script.arg(SCRIPT).arg(server.address.to_string()).arg(&server.emails.0).stdin(Stdio::null());
    let output = match tokio::task::spawn_blocking(move || script.output()).await.unwrap() {
        Err(error) if error.kind() == ErrorKind::NotFound => return left_out("python3 is missing"),
        output => output.unwrap(),
    };
    let printed = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{printed}{complained}", output.status);
    assert_eq!(
        printed.lines().last().map(|line| line.starts_with("ok      goodbye")),
        Some(true),
        "{printed}"
    );
    assert!(!printed.contains("FAILED") && complained.is_empty(), "{printed}{complained}");
    server.service.stop().await;
}
