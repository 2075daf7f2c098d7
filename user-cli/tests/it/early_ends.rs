//! Commands that end early without an error: a closed pipe, and Ctrl-C.

#![cfg(unix)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli::Cli;
use crate::fake_server::{FakeServer, pong};

#[test]
fn a_broken_pipe_is_no_error() {
    let server = FakeServer::replying(pong());
    for arguments in
        [&["ping"][..], &["--help"], &["completions", "bash"], &["decode", "000000057f00000001"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Cli::new(&server.addr).command(arguments);
        let output = command.stdout(writer).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), output.stderr.as_slice()),
            (Some(0), &b""[..]),
            "{arguments:?}"
        );
    }
}

#[test]
fn ctrl_c_ends_the_wait() {
    let server = FakeServer::start(|_| {
        std::thread::sleep(Duration::from_secs(8));
        None
    });
    let start = Instant::now();
    let child = Cli::new(&server.addr).command(&["ping"]).stdin(Stdio::null()).spawn().unwrap();
    while server.take_requests().is_empty() && start.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_millis(10));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
}
