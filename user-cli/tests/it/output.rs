//! The convention of all JSON output: ids, times, durations and numbers, and what is escaped.

use serde_json::Value;
use user_proto::{Request, UnixSeconds, User};
use uuid::Uuid;

use crate::cli::Cli;
use crate::fake_server::{FakeServer, logged_in};
use crate::live_server::LiveServer;

/// Asserts the convention for every value, at any depth.
fn follows_the_convention(path: &str, value: &Value) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                follows_the_convention(&format!("{path}.{name}"), value);
            }
        }
        Value::Array(rows) => rows.iter().for_each(|row| follows_the_convention(path, row)),
        _ => {
            let name = path.rsplit('.').next().unwrap();
            let text = value.as_str();
            if name.ends_with("_at") {
                let is_time = |text: &str| text.len() == 20 && text.ends_with('Z');
                assert!(text.is_some_and(is_time), "{path}: {value}");
            }
            if name.ends_with("_id") {
                let is_id = text.is_some_and(|text| text.parse::<Uuid>().is_ok());
                assert!(is_id, "{path}: {value}");
            }
            if name.ends_with("_ms") {
                assert!(value.is_number() || value.is_null(), "{path}: {value}");
            }
            // A duration says its unit, and a number is not text.
            for unit in ["_in", "_seconds", "_us", "_micros", "_secs", "_after", "_timeout"] {
                assert!(!name.ends_with(unit), "{path}: {value}");
            }
            // The type of a message and an error code are written in hex.
            let is_text_number =
                |text: &str| text.parse::<f64>().is_ok() && !["code", "type"].contains(&name);
            assert!(!text.is_some_and(is_text_number), "{path}: {value}");
        }
    }
}

#[test]
fn every_command_prints_json_by_the_same_convention() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let mut objects = Vec::new();
    let mut run = |arguments: &[&str], stdin: &str| {
        let output = cli.run_with(&[arguments, &["--json"]].concat(), stdin);
        // Errors are on stderr, and refused frames on stdout.
        let all = if output.stdout.is_empty() { vec![output.error()] } else { output.objects() };
        objects.extend(all.into_iter().map(|object| (arguments[0].to_owned(), object)));
    };
    let password = "tides rise at nine\n";
    run(&["register", "kim", "kim@example.com", "--password-stdin"], password);
    run(&["resend-code"], "");
    let code = live.code("kim@example.com", "registration");
    run(&["verify-email", "--code", &code], "");
    run(&["login", "kim", "--password-stdin"], password);
    for command in ["verify", "token", "refresh", "get", "sessions", "ping"] {
        run(&[command], "");
    }
    run(&["decode", "-"], "00000011810000000100000000\n000000057f00000001");
    run(&["send", "000000057f00000001"], "");
    run(&["top", "--once", "--interval", "50ms", "--metrics", &live.metrics], "");
    run(&["bench", "ping", "--connections", "2", "--duration", "100ms", "--warm-up", "20ms"], "");
    run(&["delete", "--password-stdin"], password);
    assert!(objects.len() >= 15, "{objects:?}");
    for (command, object) in &objects {
        follows_the_convention(command, object);
    }
    let names: String = objects.iter().map(|(_, object)| object.to_string()).collect();
    for name in ["expires_at", "code_expires_in_ms", "idle_timeout_ms", "round_trip_ms", "p99_ms"] {
        assert!(names.contains(name), "{name}: {names}");
    }
}

#[test]
fn controls_and_characters_of_text_direction_are_escaped_in_all_output() {
    let harmful = "a\u{1b}[2J\u{7f}\u{9b}\u{85}\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}z";
    let server = FakeServer::start(move |request| {
        Some(match request {
            Request::Login(_) => logged_in(1).into(),
            _ => User {
                user_id: Uuid::from_u128(7),
                username: harmful.into(),
                email: "kim@example.com".into(),
                created_at: UnixSeconds(1_700_000_000),
            }
            .into(),
        })
    });
    let cli = Cli::new(&server.addr);
    let json = cli.run(&["get", "--token", "t", "--json"]).succeeded();
    let text = cli.run(&["get", "--token", "t"]).succeeded();
    for printed in [&json.stdout, &text.stdout] {
        let is_safe = |c: char| c == '\n' || !c.is_control() && (c < '\u{2000}' && c != '\u{61c}');
        assert!(printed.chars().all(is_safe), "{printed:?}");
    }
    // The escaped text has the same meaning.
    assert_eq!(json.object()["username"], harmful);
    assert_eq!(json.object()["created_at"], "2023-11-14T22:13:20Z");
}

#[test]
fn the_stored_token_is_printed_for_other_programs() {
    let server = FakeServer::start(|request| {
        Some(match request {
            Request::Login(_) => logged_in(1).into(),
            other => panic!("{other:?}"),
        })
    });
    let cli = Cli::new(&server.addr);
    let missing = cli.run(&["token"]).failed(2);
    assert!(missing.stderr.contains("no token is stored"), "{}", missing.stderr);
    cli.run_with(&["login", "kim", "--password-stdin"], "p\n").succeeded();
    assert_eq!(cli.run(&["token"]).succeeded().stdout, "access-1\n");
    assert_eq!(cli.run(&["token", "--refresh"]).succeeded().stdout, "refresh-1\n");
    let object = cli.run(&["token", "--json"]).succeeded().object();
    assert_eq!((&object["kind"], &object["token"]), (&"access".into(), &"access-1".into()));

    // An expired token is of no use to another program.
    let mut state = cli.state();
    state["session"]["access_expires_at"] = 1.into();
    std::fs::write(cli.state_file(), state.to_string()).unwrap();
    let expired = cli.run(&["token"]).failed(2);
    assert!(
        expired.stderr.contains("expired") && expired.stderr.contains("user-cli refresh"),
        "{}",
        expired.stderr
    );
}

#[test]
fn frames_are_decoded_from_a_pipe_as_hex_or_as_bytes() {
    let cli = Cli::offline();
    let expected = cli.run(&["decode", "000000057f00000001"]).succeeded().stdout;
    for (arguments, stdin) in [
        (&["decode"][..], "000000057f00000001\n"),
        (&["decode", "-"], "00 00 00 05 7f 00 00 00 01"),
        (&["decode"], "\0\0\0\x05\x7f\0\0\0\x01"),
    ] {
        assert_eq!(cli.run_with(arguments, stdin).succeeded().stdout, expected);
    }
    let output = cli.run_with(&["decode"], "hello").failed(2);
    assert!(output.stderr.contains("hint: Pass pairs of hex digits"), "{}", output.stderr);
}
