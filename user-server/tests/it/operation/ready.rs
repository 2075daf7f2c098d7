//! `check --ready`: one running server, without its database.

use crate::http::wait_until;
use crate::support::{Authority, Process, run_in};

#[tokio::test]
async fn a_running_server_is_ready_and_a_stopped_one_is_not() {
    let process = Process::start(&[("LISTEN_ADDR", "0.0.0.0"), ("ALLOW_PLAINTEXT", "1")]);
    let port = process.address.port().to_string();
    let elsewhere = tempfile::tempdir().unwrap();
    // A database that cannot be reached does not matter, since it is not opened.
    let settings = [
        ("TCP_PORT", port.as_str()),
        ("LISTEN_ADDR", "0.0.0.0"),
        ("ALLOW_PLAINTEXT", "1"),
        ("PostgreSQL", "postgresql://nobody@127.0.0.1:1/none"),
        ("JWTSECRETKEY", "a secret of no fewer than 32 bytes"),
        ("MAIL_DIR", "mails"),
    ];
    let ready = || run_in(elsewhere.path(), &["check", "--ready"], &settings);
    let up = ready();
    assert_eq!((up.code, up.output.as_str(), up.error.as_str()), (Some(0), "ready\n", ""));
    let json = run_in(elsewhere.path(), &["check", "--ready", "--json"], &settings);
    assert_eq!((json.code, json.output.as_str()), (Some(0), "{\"ready\":true}\n"), "{json:?}");
    process.signal("STOP");
    let hung = ready();
    assert_eq!(hung.code, Some(1), "{hung:?}");
    assert!(hung.error.contains("not ready: no answer"), "{hung:?}");
    process.signal("CONT");
    drop(process);
    let down = ready();
    assert_eq!(down.code, Some(1), "{down:?}");
    assert!(down.error.contains("cannot connect to 127.0.0.1"), "{down:?}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_server_with_tls_is_recognised_by_its_own_certificate() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let [certificate, key] = authority.certify().settings(folder.path());
    let tls = [(certificate.0, certificate.1.as_str()), (key.0, key.1.as_str())];
    let process = Process::start(&tls);
    let port = process.address.port().to_string();
    let ready = |more: &[(&str, &str)]| {
        let settings = [&tls[..], &[("TCP_PORT", port.as_str())], more].concat();
        run_in(folder.path(), &["check", "--ready"], &settings)
    };
    let up = ready(&[]);
    assert_eq!((up.code, up.output.as_str()), (Some(0), "ready\n"), "{up:?}");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let ca = ("TLS_CLIENT_CA", ca.to_str().unwrap());
    let refused = ready(&[ca]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.error.contains("hint: Set METRICS_ADDR"), "{refused:?}");
    let mutual = [&tls[..], &[ca, ("METRICS_ADDR", "127.0.0.1:0")]].concat();
    let process = Process::start(&mutual);
    let monitor = process.monitor().to_string();
    let up = ready(&[ca, ("METRICS_ADDR", &monitor)]);
    assert_eq!((up.code, up.output.as_str()), (Some(0), "ready\n"), "{up:?}");
    // Another server on the port is not taken for this one.
    Authority::new().certify().settings(folder.path());
    let other = ready(&[]);
    assert!(other.code == Some(1) && other.error.contains("TLS handshake failed"), "{other:?}");
}

#[tokio::test]
async fn a_server_that_shuts_down_is_not_ready_although_it_answers() {
    let process = Process::start(&[("METRICS_ADDR", "127.0.0.1:0"), ("DRAIN_DELAY", "60")]);
    let (port, monitor) = (process.address.port().to_string(), process.monitor().to_string());
    let settings = [("TCP_PORT", port.as_str()), ("METRICS_ADDR", monitor.as_str())];
    let ready = |more: &[&str]| {
        run_in(process.location(), &[&["check", "--ready"], more].concat(), &settings)
    };
    assert_eq!(ready(&[]).code, Some(0));
    process.signal("TERM");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let draining = ready(&[]);
    assert!(draining.code == Some(1) && draining.error.contains("(draining)"), "{draining:?}");
    let json = ready(&["--json"]);
    assert_eq!(json.code, Some(1), "{json:?}");
    assert!(json.output.starts_with("{\"ready\":false,\"reason\":"), "{json:?}");
}

#[tokio::test]
async fn a_check_over_tls_does_not_count_as_a_lost_connection() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let [certificate, key] = authority.certify().settings(folder.path());
    let tls = [(certificate.0, certificate.1.as_str()), (key.0, key.1.as_str())];
    let process = Process::start(&[&tls[..], &[("METRICS_ADDR", "127.0.0.1:0")]].concat());
    let port = process.address.port().to_string();
    let settings = [&tls[..], &[("TCP_PORT", port.as_str())]].concat();
    for _ in 0..5 {
        let ready = run_in(folder.path(), &["check", "--ready"], &settings);
        assert_eq!(ready.code, Some(0), "{ready:?}");
    }
    let closed = |metrics: &crate::http::Exposition, reason| {
        metrics.value("user_server_connections_closed_total", &[("reason", reason)])
    };
    let waited = wait_until(process.monitor(), "five connections were closed", |metrics| {
        closed(metrics, "client") + closed(metrics, "lost") == 5.0
    });
    assert_eq!(closed(&waited.await, "lost"), 0.0);
}
