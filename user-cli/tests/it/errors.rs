//! What is said when something fails: the exit code, the reason, the mend.

use std::time::{Duration, Instant};

use user_proto::{ErrorCode, ErrorReply, Request};

use crate::cli::Cli;
use crate::fake::{Fake, error, pong};

#[test]
fn every_error_code_is_a_no_with_a_mend() {
    for code in ErrorCode::ALL.iter().filter(|code| **code != ErrorCode::SHUTTING_DOWN) {
        let server = Fake::refusing(*code);
        let cli = Cli::of(&server.addr);
        let ran = cli.run(&["get", "--token", "t"]).failed(1);
        assert!(
            ran.stderr.contains(code.name()) && ran.stderr.contains("mend: "),
            "{}",
            ran.stderr
        );
        let error = cli.run(&["get", "--token", "t", "--json"]).failed(1).error();
        assert_eq!((&error["name"], &error["kind"]), (&code.name().into(), &"refused".into()));
        assert_eq!(error["code"], format!("{:04x}", code.0));
    }
}

#[test]
fn a_server_that_is_going_down_is_asked_again_until_the_time_is_over() {
    let server = Fake::refusing(ErrorCode::SHUTTING_DOWN);
    let ran = Cli::of(&server.addr).run(&["get", "--token", "t", "--timeout", "400ms"]).failed(1);
    assert!(
        ran.stderr.contains("SHUTTING_DOWN (0603)") && ran.stderr.contains("another node"),
        "{}",
        ran.stderr
    );
    assert!((2..8).contains(&server.asked().len()));
}

#[test]
fn a_wait_a_field_and_an_unknown_outcome_are_told() {
    let server = Fake::start(|request| {
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
    let cli = Cli::of(&server.addr);
    let ran = cli.run_with(&["login", "kim", "--password-stdin"], "p\n").failed(1);
    assert!(
        ran.stderr.contains("(0501, login): \\u{1b}[31mslowly\nretry: in 64 s\n"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("unknown"), "{}", ran.stderr);
    let told =
        cli.run_with(&["login", "kim", "--password-stdin", "--json"], "p\n").failed(1).error();
    assert_eq!((&told["retry_after_ms"], &told["field"]), (&64_000.into(), &"login".into()));

    let ran =
        cli.run_with(&["register", "kim", "k@example.com", "--password-stdin"], "p\n").failed(1);
    assert!(ran.stderr.contains("whether it was done is unknown"), "{}", ran.stderr);
    // Nothing can have happened where nothing is changed.
    assert!(!cli.run(&["get", "--token", "t"]).failed(1).stderr.contains("unknown"));
}

#[test]
fn a_code_of_a_later_version_acts_as_its_class() {
    let server = Fake::refusing(ErrorCode(0x0399));
    let ran = Cli::of(&server.addr).run(&["get", "--token", "t"]).failed(1);
    assert!(ran.stderr.contains("0399") && ran.stderr.contains("Log in"), "{}", ran.stderr);
}

#[test]
fn no_server_is_told_at_once_with_the_address() {
    let begun = Instant::now();
    let ran = Cli::alone().run(&["ping"]).failed(2);
    assert!(ran.stderr.contains("127.0.0.1:1") && ran.stderr.contains("--addr"), "{}", ran.stderr);
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(Cli::alone().run(&["ping", "--json"]).failed(2).error()["kind"], "connect");
}

#[test]
fn a_lost_connection_says_that_the_outcome_is_unknown() {
    let server = Fake::start(|_| None);
    let ran =
        Cli::of(&server.addr).run_with(&["login", "kim", "--password-stdin"], "p\n").failed(2);
    assert!(ran.stderr.contains("lost") && ran.stderr.contains("unknown"), "{}", ran.stderr);
}

#[test]
fn a_timeout_is_kept_and_the_server_told() {
    let server = Fake::start(|request| {
        if matches!(request, Request::GetUser(_)) {
            std::thread::sleep(Duration::from_secs(5));
        }
        Some(pong().into())
    });
    let cli = Cli::of(&server.addr);
    let begun = Instant::now();
    let ran = cli.run(&["get", "--token", "t", "--timeout", "200ms"]).failed(2);
    assert!(
        ran.stderr.contains("no reply within the deadline") && ran.stderr.contains("--timeout"),
        "{}",
        ran.stderr
    );
    assert!(begun.elapsed() < Duration::from_secs(3));
    cli.run(&["ping", "--timeout", "5s", "--client-address", "192.0.2.7"]).done();
    for (_, common) in server.asked() {
        assert!((4000..=5000).contains(&common.deadline_ms.unwrap()));
        assert_eq!(common.client_address.unwrap().ip().to_string(), "192.0.2.7");
    }
}

#[test]
fn what_is_typed_wrongly_is_a_2() {
    let cli = Cli::alone();
    for arguments in [
        &["frobnicate"][..],
        &[],
        &["login"],
        &["ping", "--timeout", "soon"],
        &["ping", "--addr", "host:port"],
        &["verify", "--token", "t", "--token-stdin"],
        &["decode", "xyz"],
        // Any code that reaches the server is a guess, also one that was forgotten.
        &["verify-email", "--code", ""],
        &["get", "--client-address", "here"],
    ] {
        cli.run(arguments).failed(2);
    }
    let error = cli.run(&["login", "--json"]).failed(2).error();
    assert!(error["message"].as_str().unwrap().contains("<LOGIN>"), "{error}");
}
