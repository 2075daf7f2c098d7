//! TLS with the real binary: certificate reload on SIGHUP, metrics, and a flood of silent
//! connections.

use std::time::{Duration, Instant};

use super::{ALPN, dial};
use crate::http::{metrics, wait_until};
use crate::support::{Authority, Process, TEST_TIMEOUT, Wire};

#[tokio::test]
async fn sighup_reloads_the_certificate_and_the_metrics_show_it() {
    const EXPIRY: &str = "user_server_tls_certificate_expiry_timestamp_seconds";
    const FAILED: &str = "user_server_tls_handshakes_failed_total";
    let (authority, keys) = (Authority::new(), tempfile::tempdir().unwrap());
    let [certificate, key] = authority.certify_until(2090).settings(keys.path());
    let settings = [
        (certificate.0, certificate.1.as_str()),
        (key.0, key.1.as_str()),
        ("METRICS_ADDR", "127.0.0.1:0"),
    ];
    let process = Process::start(&settings);
    let monitor = process.monitor();
    dial(process.address, authority.client_config(None, ALPN)).await.unwrap();
    let before = metrics(monitor).await;
    let expires = |year: u32| {
        f64::from((year - 1970) * 365 + (year - 1969) / 4 - u32::from(year > 2100)) * 86_400.0
    };
    assert_eq!(before.all(EXPIRY).map(|sample| sample.value).collect::<Vec<_>>(), [expires(2090)]);
    assert_eq!(before.one("user_server_tls_reload_failures_total"), 0.0);

    let next = Authority::new();
    next.certify_until(2091).settings(keys.path());
    process.signal("HUP");
    let after = wait_until(monitor, "the certificate was loaded", |metrics| {
        metrics.all(EXPIRY).all(|sample| sample.value == expires(2091))
    });
    after.await;
    dial(process.address, next.client_config(None, ALPN)).await.unwrap();

    // One failure of each kind that can be distinguished.
    dial(process.address, authority.client_config(None, ALPN)).await.unwrap_err();
    dial(process.address, next.client_config(None, &["h2"])).await.unwrap_err();
    let mut plain = Wire::connect(process.address).await;
    plain.send(&[0, 0, 0, 5, 0x7F, 0, 0, 0, 1]).await;
    for reason in ["refused_by_client", "other_protocol", "plaintext"] {
        let counted = wait_until(monitor, reason, |metrics| {
            metrics.value(FAILED, &[("reason", reason)]) == 1.0
        });
        counted.await;
    }
    std::fs::write(keys.path().join("server.pem"), "no certificate").unwrap();
    process.signal("HUP");
    let refused = |metrics: &crate::http::Exposition| {
        metrics.one("user_server_tls_reload_failures_total") >= 1.0
    };
    let last = wait_until(monitor, "the invalid certificate is counted", refused).await;
    assert!(last.all(EXPIRY).all(|sample| sample.value == expires(2091)));
    dial(process.address, next.client_config(None, ALPN)).await.unwrap();
}

#[tokio::test]
async fn a_flood_of_silent_connections_is_bounded_and_others_are_served() {
    const FLOOD: usize = 2_000;
    let (authority, keys) = (Authority::new(), tempfile::tempdir().unwrap());
    let [certificate, key] = authority.certify().settings(keys.path());
    let settings = [
        (certificate.0, certificate.1.as_str()),
        (key.0, key.1.as_str()),
        ("FIRST_FRAME_TIMEOUT", "300"),
    ];
    let process = Process::start(&settings);
    let config = authority.client_config(None, ALPN);
    let mut first = dial(process.address, config.clone()).await.unwrap();
    let before = process.memory();
    let mut flood = Vec::new();
    for number in 0..FLOOD {
        flood.push(tokio::net::TcpStream::connect(process.address).await.unwrap());
        if number % 500 == 499 {
            let began = Instant::now();
            dial(process.address, config.clone()).await.unwrap();
            assert!(began.elapsed() < TEST_TIMEOUT);
        }
    }
    super::ping(&mut first).await.unwrap();
    let with_flood = process.memory();
    eprintln!("before, and with {FLOOD} silent connections: {before:?}, {with_flood:?}");
    assert!(with_flood.resident_kib < before.resident_kib + 32 * 1024, "{before:?} {with_flood:?}");
    // At most as many connections remain as there are slots for handshakes; the others have been
    // closed.
    let closed = |stream: &&tokio::net::TcpStream| match stream.try_read(&mut [0]) {
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        Ok(_) => true,
    };
    let began = Instant::now();
    while flood.iter().filter(closed).count() < FLOOD - 256 {
        assert!(began.elapsed() < TEST_TIMEOUT, "{} ended", flood.iter().filter(closed).count());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
