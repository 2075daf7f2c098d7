//! Load tests that Ctrl-C ends, what a load test reports before it begins, and the commands of the
//! README.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::{Cli, Output};
use crate::live_server::LiveServer;

/// Sends a process the signal of Ctrl-C.
fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Runs a load test of a minute, and interrupts it after `after`.
fn interrupted(cli: &Cli, arguments: &[&str], after: Duration) -> Output {
    let long = ["--connections", "3", "--duration", "60s", "--warm-up", "100ms"];
    let child = cli.command(&[&["bench"], arguments, &long].concat()).spawn().unwrap();
    let start = Instant::now();
    std::thread::sleep(after);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(20), "it went on");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn an_interrupted_load_test_prints_its_partial_results() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let after = Duration::from_millis(1500);
    for arguments in [&["ping", "--depth", "2"][..], &["ping", "--rate", "50"], &["connect"]] {
        let output = interrupted(&cli, arguments, after);
        assert_eq!(output.code, Some(130), "{output:?}");
        assert!(output.stdout.contains("INTERRUPTED"), "{output:?}");
        assert!(output.stdout.contains("p99.9"), "{output:?}");

        let output = interrupted(&cli, &[arguments, &["--runs", "3", "--json"]].concat(), after);
        assert_eq!((output.code, output.stderr.as_str()), (Some(130), ""), "{output:?}");
        let report: Value = output.object();
        assert_eq!(report["interrupted"], true, "{report}");
        let runs = report["server"]["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 1, "{report}");
        let ms = runs[0]["duration_ms"].as_f64().unwrap();
        assert!((100.0..10_000.0).contains(&ms), "{report}");
        let op = &report["server"]["median"][arguments[0]];
        let (replies, rate) = (op["replies"].as_f64().unwrap(), op["per_second"].as_f64().unwrap());
        assert!(replies > 0.0 && op["unanswered"] == 0, "{report}");
        // The rate is that of the time until the interrupt, not of the planned time.
        assert!((rate * ms / 1000.0 - replies).abs() <= replies * 0.01, "{report}");
    }
}

#[test]
fn an_interrupt_before_anything_was_measured_is_said() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let child =
        cli.command(&["bench", "ping", "--warm-up", "30s", "--connections", "1"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1000));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("interrupted before anything was measured"), "{stderr}");
}

#[test]
fn an_interrupt_of_the_preparation_is_said() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let mail_dir = live.data_dir.path().join("mails");
    let many = ["bench", "verify", "--users", "5000", "--mail-dir", mail_dir.to_str().unwrap()];
    let child = cli.command(&many).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8(output.stderr).unwrap();
    for part in ["note: registering 5000 accounts", "interrupted before anything was measured"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}

#[test]
fn a_file_of_accounts_that_does_not_exist_is_named() {
    let cli = Cli::offline();
    let output = cli.run(&["bench", "login", "--accounts", "no-such-file"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("error: no-such-file does not exist"), "{output:?}");
}

#[test]
fn the_preparation_is_reported() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let mail_dir = live.data_dir.path().join("mails");
    let quick = ["--connections", "2", "--duration", "100ms", "--warm-up", "20ms"];
    let accounts = ["--users", "2", "--tokens", "120", "--mail-dir", mail_dir.to_str().unwrap()];
    let output = cli.run(&[&["bench", "verify"], &quick[..], &accounts].concat());
    assert_eq!(output.code, Some(0), "{output:?}");
    let notes: Vec<_> = output.stderr.lines().collect();
    assert_eq!(
        notes,
        [
            "note: registering 2 accounts",
            "note: opening 3 sessions",
            "note: obtaining 120 access tokens"
        ],
    );
    // More sessions than an account may open are refused before anything is sent.
    let many = ["--users", "1", "--tokens", "10000", "--mail-dir", mail_dir.to_str().unwrap()];
    let output = cli.run(&[&["bench", "verify"], &quick[..], &many].concat());
    assert!(output.stderr.contains("200 sessions need at least 4 accounts"), "{output:?}");
    assert!(output.stderr.contains("Pass --users 4"), "{output:?}");
}

/// The lines of docs/TOUR.md that call `user-cli bench`.
fn commands_of_the_tour() -> Vec<String> {
    let tour = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/TOUR.md");
    let text = std::fs::read_to_string(tour).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("    $ user-cli bench "));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_load_tests_of_the_tour_succeed_and_leave_no_files_in_the_clone() {
    let live = LiveServer::start();
    let commands = commands_of_the_tour();
    assert!(commands.len() >= 4, "{commands:?}");
    let clone = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(live.data_dir.path(), clone.path().join("user-data")).unwrap();
    let cli = Cli::new(live.address.as_str());
    // The last one compares with Redis, which has a test of its own.
    for command in commands.iter().filter(|command| !command.contains("--against")) {
        let written = tempfile::tempdir().unwrap();
        let words = command.replace("/tmp/", &format!("{}/", written.path().display()));
        // Short, and with few connections, since it shares a core with other tests.
        let quick = ["--warm-up", "50ms", "--connections", "4", "--json"];
        let mut arguments: Vec<&str> = words.split(' ').collect();
        if let Some(duration) = arguments.iter().position(|word| *word == "--duration") {
            arguments.drain(duration..duration + 2);
        }
        let all = [&["bench"], &arguments[..], &quick, &["--duration", "300ms"]].concat();
        let mut process = cli.command(&all);
        process.current_dir(clone.path());
        let output = Output::of(process, "");
        assert_eq!(output.code, Some(0), "{command}: {output:?}");
        for (name, op) in output.object()["server"]["median"].as_object().unwrap() {
            assert_eq!(op["refused"], serde_json::json!({}), "{command}: {name}");
        }
        let left: Vec<_> = std::fs::read_dir(clone.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{command}: {left:?}");
        let has_files = std::fs::read_dir(written.path()).unwrap().next().is_some();
        assert_eq!(has_files, command.contains("--hgrm"), "{command}");
    }
}
