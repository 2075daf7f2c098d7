//! `conform`: the client of user-proto passes every case, mistakes of clients are found, and a
//! driver that misbehaves is reported.

use serde_json::Value;

use crate::cli::{Cli, Output};

/// Driver of the client of user-proto.
const DRIVER: &str = env!("CARGO_BIN_EXE_conform-driver");

fn conform(options: &[&str], driver: &[&str]) -> Output {
    let arguments = [&["conform"], options, &["--"], driver].concat();
    Cli::offline().run(&arguments)
}

/// Runs a driver that is a shell script, with the case that needs least.
fn run_script(script: &str) -> Output {
    let output = conform(&["--case", "replies.out_of_order"], &["sh", "-c", script]);
    assert_eq!(output.code, Some(1), "{output:?}");
    output
}

/// Returns the ids of the cases with this result.
fn with_result(report: &Value, result: &str) -> Vec<String> {
    let cases = report["cases"].as_array().unwrap().iter();
    let ids = cases.filter(|case| case["result"] == result).map(|case| case["id"].as_str());
    ids.map(|id| id.unwrap().to_owned()).collect()
}

#[test]
fn our_client_passes_every_case() {
    let output = conform(&["--format", "json"], &[DRIVER]);
    let report = output.object();
    let not_passed: Vec<&Value> = report["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["result"] == "failed" || case["result"] == "warning")
        .collect();
    assert!(not_passed.is_empty(), "{not_passed:#?}");
    assert_eq!(with_result(&report, "skipped"), ["lost.key_of_the_client"]);
    assert_eq!(output.code, Some(0));
}

/// Mistakes of clients, with the group of cases that is run, and the case that fails.
const MISTAKES: [(&str, &str, &str); 23] = [
    ("repeats-unknown-class", "errors", "errors.unknown_class"),
    ("alert-is-unknown", "tls", "tls.certificate_expired"),
    ("ignores-idle-timeout", "idle", "idle.one_second"),
    ("no-hashing-window", "window", "window.hashing"),
    ("ignores-unreadable-error", "connection", "connection.unreadable_error"),
    ("no-backoff", "shutdown", "shutdown.one_address"),
    ("sends-no-pings", "lost.dead_server", "lost.dead_server"),
    ("lost-is-not-done", "lost.unknown_then_refused", "lost.unknown_then_refused"),
    ("lost-is-not-done", "lost.unknown_then_busy", "lost.unknown_then_busy"),
    ("failed-is-not-done", "errors", "errors.unavailable_safe"),
    ("failed-is-not-done", "errors.deadline_exceeded", "errors.deadline_exceeded"),
    ("sends-plaintext", "plaintext", "plaintext.secret"),
    ("sends-plaintext", "plaintext.keys", "plaintext.keys"),
    ("accepts-any-signature", "verifier.signature", "verifier.signature"),
    ("accepts-any-signature", "verifier.header", "verifier.header"),
    ("accepts-expired", "verifier.expired", "verifier.expired"),
    ("accepts-expired", "verifier.late_time", "verifier.late_time"),
    ("never-asks", "verifier.unknown_key", "verifier.unknown_key"),
    ("never-asks", "verifier.hs256", "verifier.hs256"),
    ("ignores-more", "verifier.several_answers", "verifier.several_answers"),
    ("ignores-stale-answer", "verifier.stale_answer", "verifier.stale_answer"),
    ("ignores-stale-revocations", "verifier.stale_server", "verifier.stale_server"),
    ("ignores-access-life", "verifier.long_life", "verifier.long_life"),
];

#[test]
fn every_mistake_of_a_client_fails_a_case() {
    let found = |(fault, group, case): (&str, &str, &str)| {
        let options = ["--format", "json", "--strict", "--case", group];
        let output = conform(&options, &[DRIVER, "--fault", fault]);
        let report = output.object();
        let mut found = with_result(&report, "failed");
        found.extend(with_result(&report, "warning"));
        assert!(found.iter().any(|found| found == case), "{fault}: {found:?}");
        assert_eq!(output.code, Some(1), "{fault}");
    };
    // Most of the cases wait for most of their time.
    for some in MISTAKES.chunks(6) {
        std::thread::scope(|scope| {
            for mistake in some {
                scope.spawn(|| found(*mistake));
            }
        });
    }
}

#[test]
fn a_failed_case_is_explained() {
    let options = ["--case", "errors.unknown_class"];
    let output = conform(&options, &[DRIVER, "--fault", "repeats-unknown-class"]);
    assert_eq!(output.code, Some(1));
    for part in [
        "FAIL  errors.unknown_class  (MUST, section 8)",
        "expected: the client does not repeat a request",
        "expected no request for 1200 ms, received GetUser",
        "connection 1: GetUser with id 1",
        "1 case: 0 passed, 1 failed, 0 warnings, 0 skipped",
    ] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
    let options = ["--format", "junit", "--case", "errors.unknown_class"];
    let output = conform(&options, &[DRIVER, "--fault", "repeats-unknown-class"]);
    assert!(output.stdout.contains("tests=\"1\" failures=\"1\""), "{}", output.stdout);
    assert!(output.stdout.contains("name=\"unknown_class\""), "{}", output.stdout);
}

#[test]
fn a_warning_is_a_failure_only_if_asked_for() {
    for (options, code) in [(&["--case", "idle"][..], 0), (&["--strict", "--case", "idle"], 1)] {
        let output = conform(options, &[DRIVER, "--fault", "ignores-idle-timeout"]);
        assert_eq!(output.code, Some(code), "{output:?}");
        assert!(output.stdout.contains("warn  idle.one_second"), "{}", output.stdout);
    }
}

#[test]
fn a_driver_that_misbehaves_is_reported() {
    let connected = "read line; echo '{\"id\":1,\"ok\":{}}'; ";
    let answers = |error: &str| {
        format!("{connected} read line; echo '{{\"id\":2,\"error\":{{{error}}}}}'; read line")
    };
    for (script, reason) in [
        ("echo panic >&2; exit 3".to_owned(), "the driver exited with code 3"),
        ("echo panic >&2; exit 3".to_owned(), "panic"),
        ("read line; echo hello; read line".to_owned(), "no JSON object: hello"),
        ("read line; echo '{\"ok\":{}}'".to_owned(), "an answer without `id`"),
        ("read line; echo '{\"id\":1}'".to_owned(), "an answer without `ok` or `error`"),
        ("read line; echo '{\"id\":\"1\",\"ok\":{}}'".to_owned(), "with the `id` \"1\"; expected"),
        ("read line; echo '{\"id\":7,\"ok\":{}}'".to_owned(), "no message waits for: "),
        ("read line; echo '{\"id\":1,\"failed\":\"no luck\"}'".to_owned(), "no luck"),
        (format!("{connected} exit 4"), "the driver exited with code 4"),
        (
            answers("\"code\":769,\"outcome\":\"refused\""),
            "with the `code` 769; expected a text of four",
        ),
        (
            answers("\"code\":\"0301\",\"outcome\":\"not-done\""),
            "the `outcome` \"not-done\"; expected",
        ),
        (answers("\"code\":\"0301\""), "the `outcome` null; expected one of `not_done`"),
        (answers("\"code\":null,\"retry_after_ms\":\"1\""), "the `retry_after_ms` \"1\"; expected"),
        (format!("{connected} kill -9 $$"), "the driver was killed by a signal"),
    ] {
        let output = run_script(&script);
        assert!(output.stdout.contains(reason), "{script}: {}", output.stdout);
    }
}

#[test]
fn a_text_of_several_lines_stays_readable() {
    let failed = r#"{"id":1,"failed":"first\nsecond\u001b[1m"}"#;
    let output = run_script(&format!("read line; printf '%s\\n' '{failed}'"));
    assert!(output.stdout.contains("- first\n          second\\u{1b}[1m\n"), "{}", output.stdout);
}

#[test]
fn a_driver_that_hangs_is_reported() {
    let script = "read line; echo '{\"id\":1,\"ok\":{}}'; while read line; do :; done";
    let output = run_script(script);
    assert!(output.stdout.contains("expected GetUser"), "{}", output.stdout);
    let options = ["--case", "lost.refused"];
    let output = conform(&options, &["sh", "-c", script]);
    let expected = "the driver did not answer the call `a`";
    assert!(output.stdout.contains(expected), "{}", output.stdout);
}

#[test]
fn what_a_driver_does_not_support_is_skipped() {
    let script = "read line; echo '{\"id\":1,\"unsupported\":\"no TLS\"}'; read line";
    let output = conform(&["--case", "tls.works"], &["sh", "-c", script]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("skip  tls.works: not supported: no TLS"), "{}", output.stdout);
}

#[test]
fn mistakes_in_the_arguments_are_explained() {
    let output = conform(&["--case", "errors.unknown"], &[DRIVER]);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("no case and no group `errors.unknown`"), "{}", output.stderr);
    assert!(output.stderr.contains("errors.unknown_class"), "{}", output.stderr);
    let output = conform(&["--case", "tls.works"], &["./no-such-driver"]);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("cannot start the driver `./no-such-driver`: No"), "{output:?}");
    for (arguments, reason) in [
        (&["conform"][..], "the command of the driver is missing"),
        (&["conform", "python3", "driver.py"], "user-cli conform -- python3 driver.py"),
        (&["conform", "--json", "--format", "junit", "--", DRIVER], "with another --format"),
    ] {
        let output = Cli::offline().run(arguments);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!((output.stderr.clone() + &output.stdout).contains(reason), "{output:?}");
    }
}

#[test]
fn the_cases_are_listed() {
    let listed = Cli::offline().run(&["conform", "--list"]).succeeded().stdout;
    assert!(listed.lines().count() >= 141, "{listed}");
    let line = listed.lines().find(|line| line.starts_with("errors.unknown_class ")).unwrap();
    assert!(line.contains("MUST") && line.contains(" 8 "), "{line}");
    let group = Cli::offline().run(&["conform", "--list", "--json", "--case", "tls"]).succeeded();
    assert!(group.objects().iter().all(|case| case["id"].as_str().unwrap().starts_with("tls.")));
}
