//! `status`: a running server on one screen.

use serde_json::Value;

use crate::support::{Process, Wire, run_in};

#[tokio::test]
async fn status_shows_a_running_server_on_one_screen() {
    let process = Process::start(&[("METRICS_ADDR", "127.0.0.1:0")]);
    let mut wire = Wire::connect(process.address).await;
    wire.ping(1).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let monitor = process.monitor().to_string();
    let settings = [("METRICS_ADDR", monitor.as_str())];
    let status = run_in(process.location(), &["status"], &settings);
    assert_eq!((status.code, status.error.as_str()), (Some(0), ""), "{status:?}");
    for part in [
        "status       ready, version 0.",
        "degraded     nothing",
        "store        SQLite (embedded)",
        "mail         files (embedded)",
        "transport    TCP without TLS",
        "connections  1 of 10000",
        "emails       0 unsent",
        "revocations  read ",
        "log          0 lines dropped",
    ] {
        assert!(status.output.contains(part), "{part}: {}", status.output);
    }
    assert!(status.output.lines().count() < 24, "{}", status.output);
    let run = run_in(process.location(), &["status", "--json", "--addr", &monitor], &[]);
    let json: Value = serde_json::from_str(&run.output).unwrap();
    assert_eq!(json["status"], "ready");
    assert_eq!(json["connections"], 1);
    assert!(json["uptime_ms"].as_i64().unwrap() >= 2000, "{json}");
    assert!(json["started_at"].as_str().unwrap().ends_with('Z'), "{json}");
    assert!(json["revocations_age_ms"].as_i64().unwrap() < 1000, "{json}");
    assert_eq!(json["components"]["store"], "SQLite (embedded)");

    let unset = run_in(process.location(), &["status"], &[]);
    assert!(unset.code == Some(1) && unset.error.contains("METRICS_ADDR is not set"), "{unset:?}");
    let other = process.address.to_string();
    let wrong = run_in(process.location(), &["status", "--addr", &other], &[]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    drop(process);
    let down = run_in(tempfile::tempdir().unwrap().path(), &["status", "--addr", &monitor], &[]);
    assert!(down.code == Some(1) && down.error.contains("no answer from"), "{down:?}");
}
