//! The process: its log, its limits, and its signals.

use std::time::{Duration, Instant};

use user_proto::{ErrorCode, Login};

use super::finding;
use crate::http;
use crate::support::{PASSWORD, Process, TEST_TIMEOUT, Wire, code_of, run_in};

/// A shell prefix that connects stderr and later writes of stdout to a reader that never reads.
const STALLED: &str = "mkfifo stalled; sleep 60 < stalled & exec 2> stalled;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_stderr_that_stalls_blocks_neither_requests_nor_sigterm() {
    let settings = [("LOG", "trace"), ("METRICS_ADDR", "127.0.0.1:0")];
    let mut process = Process::start_under(STALLED, tempfile::tempdir().unwrap(), &settings);
    let client = process.client();
    let began = Instant::now();
    let dropped = loop {
        for _ in 0..20 {
            let login = Login::new("nobody".into(), PASSWORD.into());
            let code = code_of(&client, login).await;
            assert!([ErrorCode::INVALID_CREDENTIALS, ErrorCode::RATE_LIMITED].contains(&code));
        }
        let text = http::get(process.monitor(), "/metrics").await.body;
        let line =
            text.lines().find(|line| line.starts_with("user_server_log_lines_dropped_total "));
        let dropped: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        if dropped > 100.0 {
            break dropped;
        }
        assert!(began.elapsed() < TEST_TIMEOUT * 3, "no line is dropped");
    };
    eprintln!("{dropped} lines dropped after {:?}", began.elapsed());
    let signalled = Instant::now();
    process.signal("TERM");
    assert_eq!(process.wait().await, Some(0));
    assert!(signalled.elapsed() < Duration::from_secs(5), "{:?}", signalled.elapsed());
}

#[tokio::test]
async fn a_hangup_without_tls_does_not_end_the_process() {
    let mut process = Process::start(&[]);
    for _ in 0..3 {
        process.signal("HUP");
        tokio::time::sleep(Duration::from_millis(50)).await;
        Wire::connect(process.address).await.ping(1).await;
    }
    assert!(process.log().contains("nothing to reload"), "{}", process.log());
    process.signal("TERM");
    assert_eq!(process.wait().await, Some(0));
}

#[tokio::test]
async fn a_limit_of_open_files_below_max_connections_is_raised_or_reported() {
    let limit = |process: &Process| {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        line.split_whitespace().nth(3).unwrap().to_owned()
    };
    let folder = || tempfile::tempdir().unwrap();
    let raised = Process::start_under("ulimit -Sn 300;", folder(), &[("MAX_CONNECTIONS", "400")]);
    assert_eq!(limit(&raised), "528");
    assert!(!raised.log().contains("MAX_CONNECTIONS"), "{}", raised.log());
    let low = Process::start_under("ulimit -n 300;", folder(), &[("MAX_CONNECTIONS", "400")]);
    assert_eq!(limit(&low), "300");
    tokio::time::sleep(Duration::from_millis(100)).await;
    for part in ["may open 300 files", "enough for 172 connections", "528", "LimitNOFILE"] {
        assert!(low.log().contains(part), "{part}: {}", low.log());
    }
    let check = run_in(low.location(), &["check"], &[("MAX_CONNECTIONS", "100000000")]);
    assert_eq!(check.code, Some(64), "{check:?}");
    let check = run_in(low.location(), &["check"], &[("MAX_CONNECTIONS", "1000000")]);
    assert!(finding(&check, "open files").contains("open files"), "{check:?}");
}
