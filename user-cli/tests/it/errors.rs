//! Failures: the exit code, the message and the hint.

use std::time::{Duration, Instant};

use user_proto::{ErrorCode, ErrorReply, Request};

use crate::cli::{Cli, Output};
use crate::fake_server::{FakeServer, error, pong};

#[test]
fn every_error_code_is_reported_with_a_hint() {
    for code in ErrorCode::ALL.iter().filter(|code| **code != ErrorCode::SHUTTING_DOWN) {
        let server = FakeServer::refusing(*code);
        let cli = Cli::new(&server.addr);
        let output = cli.run(&["get", "--token", "t"]).failed(1);
        assert!(
            output.stderr.contains(code.name()) && output.stderr.contains("\nhint: "),
            "{}",
            output.stderr
        );
        let error = cli.run(&["get", "--token", "t", "--json"]).failed(1).error();
        assert_eq!((&error["name"], &error["kind"]), (&code.name().into(), &"refused".into()));
        assert_eq!(error["code"], format!("{:04X}", code.0));
        assert!(!error["hint"].as_str().unwrap().is_empty(), "{error}");
    }
}

#[test]
fn a_request_to_a_server_that_is_shutting_down_is_repeated_until_the_deadline() {
    let server = FakeServer::refusing(ErrorCode::SHUTTING_DOWN);
    let output =
        Cli::new(&server.addr).run(&["get", "--token", "t", "--timeout", "400ms"]).failed(1);
    assert!(
        output.stderr.contains("SHUTTING_DOWN (0603)") && output.stderr.contains("another node"),
        "{}",
        output.stderr
    );
    assert!((2..8).contains(&server.take_requests().len()));
}

#[test]
fn a_delay_a_field_and_an_unknown_outcome_are_reported() {
    let server = FakeServer::start(|request| {
        Some(match request {
            Request::Login(_) => ErrorReply {
                code: ErrorCode::RATE_LIMITED,
                message: "\u{1b}[31mslowly".into(),
                retry_after_ms: Some(64_000),
                field: Some("login".into()),
            }
            .into(),
            _ => error(ErrorCode::UNAVAILABLE).into(),
        })
    });
    let cli = Cli::new(&server.addr);
    let output = cli.run_with(&["login", "kim", "--password-stdin"], "p\n").failed(1);
    assert!(
        output.stderr.contains("(0501, login): \\u{1b}[31mslowly\nnote: retry after 64 s\n"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains("unknown"), "{}", output.stderr);
    let error =
        cli.run_with(&["login", "kim", "--password-stdin", "--json"], "p\n").failed(1).error();
    assert_eq!((&error["retry_after_ms"], &error["field"]), (&64_000.into(), &"login".into()));

    let output =
        cli.run_with(&["register", "kim", "k@example.com", "--password-stdin"], "p\n").failed(1);
    assert!(output.stderr.contains("the outcome is unknown"), "{}", output.stderr);
    // A request that changes nothing has no unknown outcome.
    assert!(!cli.run(&["get", "--token", "t"]).failed(1).stderr.contains("unknown"));
}

#[test]
fn an_unknown_code_is_handled_by_its_class() {
    let server = FakeServer::refusing(ErrorCode(0x0399));
    let output = Cli::new(&server.addr).run(&["get", "--token", "t"]).failed(1);
    assert!(
        output.stderr.contains("0399") && output.stderr.contains("Log in"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_unreachable_server_is_reported_at_once_with_its_address() {
    let start = Instant::now();
    let output = Cli::offline().run(&["ping"]).failed(2);
    assert!(
        output.stderr.contains("127.0.0.1:1") && output.stderr.contains("--addr"),
        "{}",
        output.stderr
    );
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(Cli::offline().run(&["ping", "--json"]).failed(2).error()["kind"], "connect");
}

#[test]
fn after_a_lost_connection_the_outcome_is_unknown() {
    let server = FakeServer::start(|_| None);
    let output =
        Cli::new(&server.addr).run_with(&["login", "kim", "--password-stdin"], "p\n").failed(2);
    assert!(
        output.stderr.contains("lost") && output.stderr.contains("unknown"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_timeout_limits_the_wait_and_is_sent_to_the_server() {
    let server = FakeServer::start(|request| {
        if matches!(request, Request::GetUser(_)) {
            std::thread::sleep(Duration::from_secs(5));
        }
        Some(pong().into())
    });
    let cli = Cli::new(&server.addr);
    let start = Instant::now();
    let output = cli.run(&["get", "--token", "t", "--timeout", "200ms"]).failed(2);
    assert!(
        output.stderr.contains("no reply within the deadline")
            && output.stderr.contains("--timeout"),
        "{}",
        output.stderr
    );
    assert!(start.elapsed() < Duration::from_secs(3));
    cli.run(&["ping", "--timeout", "5s", "--client-address", "192.0.2.7"]).succeeded();
    for (_, common) in server.take_requests() {
        assert!((4000..=5000).contains(&common.deadline_ms.unwrap()));
        assert_eq!(common.client_address.unwrap().ip().to_string(), "192.0.2.7");
    }
}

#[test]
fn invalid_arguments_exit_with_2() {
    let cli = Cli::offline();
    for arguments in [
        &["frobnicate"][..],
        &[],
        &["login"],
        &["ping", "--timeout", "soon"],
        &["ping", "--addr", "host:port"],
        &["verify", "--token", "t", "--token-stdin"],
        &["decode", "xyz"],
        // The server would count an empty code as a wrong attempt.
        &["verify-email", "--code", ""],
        &["get", "--client-address", "here"],
    ] {
        cli.run(arguments).failed(2);
    }
    // It would count such a code too. Those of the other purpose are told apart.
    let id = "0193a5e0-7b1c-7d2e-8f40-5a6b7c8d9e0f";
    for code in ["abc", "12", "1234567890123456789", "7KQ4M-2XW9D"] {
        for command in ["verify-email", "confirm-email"] {
            let arguments = [command, "--code", code, "--verification-id", id];
            let mut command = cli.command(&arguments);
            command.env("USER_CLI_TOKEN", "t");
            let refused = Output::of(command, "").failed(2);
            assert!(refused.stderr.contains("expected six digits"), "{}", refused.stderr);
        }
    }
    for code in ["123456", "7KQ4M-2XW9U", "7KQ4M-2XW9"] {
        let arguments = ["reset-password", "confirm", "--code", code, "--verification-id", id];
        let refused = cli.run(&arguments).failed(2);
        assert!(refused.stderr.contains("expected ten letters and digits"), "{}", refused.stderr);
    }
    let error = cli.run(&["login", "--json"]).failed(2).error();
    assert!(error["message"].as_str().unwrap().contains("<LOGIN>"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--help"), "{error}");
}
