//! Notifications to the service manager (sd_notify(3)): ready, degraded, alive, stopping.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::support::{Process, register};

/// Returns the messages that the service manager receives until `end` holds.
fn messages(socket: &UnixDatagram, end: impl Fn(&[String]) -> bool) -> Vec<String> {
    let (began, mut found) = (Instant::now(), Vec::new());
    let mut buffer = [0; 4096];
    while !end(&found) {
        assert!(began.elapsed() < Duration::from_secs(20), "{found:?}");
        if let Ok(length) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            found.extend(text.lines().map(str::to_owned));
        }
    }
    found
}

fn count(found: &[String], message: &str) -> usize {
    found.iter().filter(|text| *text == message).count()
}

#[tokio::test]
async fn the_service_manager_is_told_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut process = Process::start(&[
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "600000"),
        // Nothing listens there.
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", "1"),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", "users@example.org"),
    ]);
    let found = messages(&socket, |found| count(found, "WATCHDOG=1") >= 3);
    for message in ["READY=1", "STATUS=ready"] {
        assert_eq!(count(&found, message), 1, "{found:?}");
    }
    // The readiness is reported when the listener accepts connections.
    let client = process.client();
    client.call(register("ada", "ada@example.org")).await.unwrap();
    messages(&socket, |found| count(found, "STATUS=ready; degraded: mail") == 1);

    process.signal("STOP");
    std::thread::sleep(Duration::from_millis(100));
    while socket.recv(&mut [0; 4096]).is_ok() {}
    std::thread::sleep(Duration::from_millis(700));
    assert!(socket.recv(&mut [0; 4096]).is_err(), "a stopped process is silent");
    process.signal("CONT");
    messages(&socket, |found| !found.is_empty());

    process.signal("TERM");
    messages(&socket, |found| count(found, "STOPPING=1") == 1);
    assert_eq!(process.wait().await, Some(0));
}
