//! TLS of the real binary: a new certificate at a signal, what is counted, and a flood of
//! connections that say nothing.

use std::time::{Duration, Instant};

use super::{OURS, dial};
use crate::http::{metrics, until};
use crate::support::{Authority, Process, TEST_TIMEOUT, Wire};

#[tokio::test]
async fn a_hangup_takes_up_a_new_certificate_and_the_figures_tell() {
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
    dial(process.address, authority.client_config(None, OURS)).await.unwrap();
    let before = metrics(monitor).await;
    let expires = |year: u32| {
        f64::from((year - 1970) * 365 + (year - 1969) / 4 - u32::from(year > 2100)) * 86_400.0
    };
    assert_eq!(before.all(EXPIRY).map(|sample| sample.value).collect::<Vec<_>>(), [expires(2090)]);
    assert_eq!(before.one("user_server_tls_reload_failures_total"), 0.0);

    let next = Authority::new();
    next.certify_until(2091).settings(keys.path());
    process.signal("HUP");
    let after = until(monitor, "the certificate was taken up", |metrics| {
        metrics.all(EXPIRY).all(|sample| sample.value == expires(2091))
    });
    after.await;
    dial(process.address, next.client_config(None, OURS)).await.unwrap();

    // One of each that can be told apart.
    dial(process.address, authority.client_config(None, OURS)).await.unwrap_err();
    dial(process.address, next.client_config(None, &["h2"])).await.unwrap_err();
    let mut plain = Wire::connect(process.address).await;
    plain.send(&[0, 0, 0, 5, 0x7F, 0, 0, 0, 1]).await;
    for reason in ["refused_by_client", "other_protocol", "plaintext"] {
        let counted =
            until(monitor, reason, |metrics| metrics.value(FAILED, &[("reason", reason)]) == 1.0);
        counted.await;
    }
    std::fs::write(keys.path().join("server.pem"), "no certificate").unwrap();
    process.signal("HUP");
    let refused = |metrics: &crate::http::Exposition| {
        metrics.one("user_server_tls_reload_failures_total") >= 1.0
    };
    let last = until(monitor, "the bad one is counted", refused).await;
    assert!(last.all(EXPIRY).all(|sample| sample.value == expires(2091)));
    dial(process.address, next.client_config(None, OURS)).await.unwrap();
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
    let config = authority.client_config(None, OURS);
    let mut held = dial(process.address, config.clone()).await.unwrap();
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
    super::ping(&mut held).await.unwrap();
    let with_flood = process.memory();
    eprintln!("before, and with {FLOOD} silent connections: {before:?}, {with_flood:?}");
    assert!(with_flood.resident_kib < before.resident_kib + 32 * 1024, "{before:?} {with_flood:?}");
    // No more than the places for handshakes are left; each of the others has seen its end.
    let over = |stream: &&tokio::net::TcpStream| match stream.try_read(&mut [0]) {
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        Ok(_) => true,
    };
    let began = Instant::now();
    while flood.iter().filter(over).count() < FLOOD - 256 {
        assert!(began.elapsed() < TEST_TIMEOUT, "{} ended", flood.iter().filter(over).count());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
