//! Health and metrics over HTTP, while a client is served.

mod exposition;
mod metric_names;
mod parsers;
pub mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use user_proto::{ErrorCode, Login, Logout, Ping, Reply, VerifyToken, frame};
use user_server::domain::{Clock, SystemClock};
use user_server::http::{Health, Monitor};
use user_server::metrics::Metrics;

use crate::support::{PASSWORD, Process, TestServer, code_of};
pub(crate) use exposition::Exposition;
pub(crate) use request::get;
use request::send;

async fn with_monitor() -> (TestServer, SocketAddr) {
    with_monitor_and(&[]).await
}

async fn with_monitor_and(settings: &[(&str, &str)]) -> (TestServer, SocketAddr) {
    let server =
        TestServer::start_with(&[settings, &[("METRICS_ADDR", "127.0.0.1:0")]].concat()).await;
    let address = server.service.monitor_address().unwrap();
    (server, address)
}

pub(crate) async fn metrics(address: SocketAddr) -> Exposition {
    Exposition::parse(&get(address, "/metrics").await.body)
}

/// Fetches the metrics until they fulfil a condition: some are sampled every few seconds.
pub(crate) async fn wait_until(
    address: SocketAddr,
    what: &str,
    condition: impl Fn(&Exposition) -> bool,
) -> Exposition {
    let began = Instant::now();
    loop {
        let metrics = metrics(address).await;
        if condition(&metrics) {
            return metrics;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn three_paths_are_served_and_no_other() {
    let (server, address) = with_monitor().await;
    let live = get(address, "/livez").await;
    assert_eq!((live.status, live.body.as_str()), (200, "ok\n"));
    wait_until(address, "the store was checked", |metrics| {
        metrics.one("user_server_store_up") == 1.0
    })
    .await;
    let ready = get(address, "/readyz?verbose=1").await;
    assert_eq!(ready.status, 200, "{}", ready.body);
    assert!(ready.head.contains("content-type: application/json"), "{}", ready.head);
    let body: serde_json::Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!(body["status"], "ready");
    assert_eq!(body["degraded"], serde_json::json!([]));
    assert_eq!(body["store"]["reachable"], true);
    assert!(body["revocation_log"]["age_seconds"].as_f64().unwrap() < 1.0);
    assert_eq!(body["cache"]["reachable"], true);
    assert_eq!(body["outbox"]["unsent"], 0);
    assert_eq!(body["mail"]["failing"], false);

    let plain = get(address, "/metrics").await;
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4"), "{}", plain.head);
    let openmetrics = send(
        address,
        b"GET /metrics HTTP/1.1\r\nHost: t\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n",
    )
    .await;
    assert!(
        openmetrics.head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{}",
        openmetrics.head
    );

    assert!(plain.body.contains("# TYPE user_server_requests_total counter"), "{}", plain.body);
    assert!(openmetrics.body.ends_with("# EOF\n"), "{}", openmetrics.body);
    for (kind, body) in [("text", &plain.body), ("openmetrics", &openmetrics.body)] {
        parsers::accept(kind, body);
    }

    for path in ["/", "/metrics/", "/livez/x", "/readyz%20", "//livez"] {
        assert_eq!(get(address, path).await.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let refused =
            send(address, format!("{method} /livez HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes()).await;
        assert_eq!(refused.status, 405, "{method}");
        assert!(refused.head.contains("allow: get, head"), "{}", refused.head);
    }
    let head = send(address, b"HEAD /readyz HTTP/1.0\r\n\r\n").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn requests_are_limited_in_size_time_and_number() {
    let (server, address) = with_monitor().await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    assert!(matches!(send(address, long.as_bytes()).await.status, 0 | 414 | 431));
    let wide = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    assert!(matches!(send(address, wide.as_bytes()).await.status, 0 | 431));
    assert_eq!(send(address, b"\x00\x00\x00\x09\x7f\x00\x00\x00\x01\r\n\r\n").await.status, 400);
    let body = [
        b"POST /livez HTTP/1.1\r\nContent-Length: 4000000000\r\n\r\n".as_slice(),
        &[b'x'; 100_000],
    ]
    .concat();
    assert!(matches!(send(address, &body).await.status, 0 | 405));

    // Sixteen incomplete requests occupy every slot until they time out.
    let mut silent = Vec::new();
    for _ in 0..16 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
        silent.push(stream);
    }
    let began = Instant::now();
    assert_eq!(get(address, "/livez").await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn it_is_ready_from_startup_to_the_signal_and_accepts_for_longer() {
    let metrics = Arc::new(Metrics::new(user_server::tcp::request_labels(), SystemClock.now()));
    let early = Monitor::start(([127, 0, 0, 1], 0).into(), Arc::new(Health::default()), metrics)
        .await
        .unwrap();
    let starting = get(early.address(), "/readyz").await;
    assert_eq!(starting.status, 503);
    assert!(starting.body.contains(r#""status":"starting""#), "{}", starting.body);
    assert_eq!(get(early.address(), "/livez").await.status, 200);
    assert_eq!(get(early.address(), "/metrics").await.status, 200);
    early.stop().await;

    let (server, address) = with_monitor().await;
    assert_eq!(get(address, "/readyz").await.status, 200);
    server.service.set_draining();
    let draining = get(address, "/readyz").await;
    assert_eq!(draining.status, 503);
    assert!(draining.body.contains(r#""status":"draining""#), "{}", draining.body);
    assert_eq!(get(address, "/livez").await.status, 200);
    server.client().call(Ping {}).await.expect("it still accepts");
    server.stop().await;
}

#[tokio::test]
async fn a_signal_ends_readiness_at_once() {
    let mut process = Process::start(&[("METRICS_ADDR", "127.0.0.1:0"), ("DRAIN_DELAY", "300")]);
    let line = process
        .printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("metrics"))
        .unwrap()
        .trim();
    let address = line
        .strip_prefix("http://")
        .and_then(|address| address.split('/').next())
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(get(address, "/readyz").await.status, 200);
    process.signal("TERM");
    let began = Instant::now();
    while get(address, "/readyz").await.status != 503 {
        assert!(began.elapsed() < Duration::from_secs(5), "{}", process.log());
    }
    process.client().call(Ping {}).await.expect("it still accepts");
    // Two signals within half a second count as one.
    tokio::time::sleep(Duration::from_millis(600)).await;
    process.signal("TERM");
    process.wait().await.expect("an exit code");
}

#[tokio::test]
async fn a_known_dialogue_is_counted_exactly() {
    let (server, address) = with_monitor().await;
    let client = server.client();
    let ada = server.account(&client, "Ada").await;
    let login = server.login(&client, "ada").await;
    for _ in 0..7 {
        client.call(VerifyToken { access_token: login.access_token.clone() }).await.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(
            code_of(&client, VerifyToken { access_token: "no".into() }).await,
            ErrorCode::INVALID_TOKEN
        );
    }
    let wrong = Login::new("ada".into(), "not this one".into());
    assert_eq!(code_of(&client, wrong).await, ErrorCode::INVALID_CREDENTIALS);
    client.call(Logout { token: login.access_token.clone(), all_sessions: None }).await.unwrap();
    assert_eq!(
        code_of(&client, VerifyToken { access_token: login.access_token.clone() }).await,
        ErrorCode::SESSION_REVOKED
    );
    client.call(Ping {}).await.unwrap();

    let scraped = wait_until(address, "the outbox was checked", |scraped| {
        scraped.one("user_server_store_up") == 1.0
            && scraped.value("user_server_mails_total", &[("result", "sent")]) == 1.0
    })
    .await;
    let requests = |kind, outcome| {
        scraped.value("user_server_requests_total", &[("type", kind), ("outcome", outcome)])
    };
    for (kind, outcome, count) in [
        ("Register", "OK", 1.0),
        ("VerifyEmail", "OK", 1.0),
        ("Login", "OK", 1.0),
        ("Login", "INVALID_CREDENTIALS", 1.0),
        ("VerifyToken", "OK", 7.0),
        ("VerifyToken", "INVALID_TOKEN", 3.0),
        ("VerifyToken", "SESSION_REVOKED", 1.0),
        ("Logout", "OK", 1.0),
        ("Ping", "OK", 1.0),
        ("GetUser", "OK", 0.0),
    ] {
        assert_eq!(requests(kind, outcome), count, "{kind} {outcome}");
    }
    let sum: f64 = scraped.all("user_server_requests_total").map(|sample| sample.value).sum();
    assert_eq!(sum, 17.0);
    let latencies =
        |kind| scraped.value("user_server_request_duration_seconds_count", &[("type", kind)]);
    assert_eq!(
        (latencies("VerifyToken"), latencies("Login"), latencies("GetUser")),
        (11.0, 2.0, 0.0)
    );
    let hashing = scraped.value(
        "user_server_request_duration_seconds_bucket",
        &[("type", "Login"), ("le", "0.001")],
    );
    assert_eq!(hashing, 0.0, "no login is faster than its hash");
    assert_eq!(scraped.one("user_server_hash_duration_seconds_count"), 3.0);
    assert_eq!(scraped.one("user_server_hash_wait_seconds_count"), 3.0);
    assert_eq!(
        (scraped.one("user_server_hashes_running"), scraped.one("user_server_hashes_waiting")),
        (0.0, 0.0)
    );
    assert_eq!(
        (
            scraped.one("user_server_connections"),
            scraped.one("user_server_connections_accepted_total")
        ),
        (1.0, 1.0)
    );
    assert_eq!(scraped.one("user_server_requests_in_flight"), 0.0);
    assert_eq!(scraped.one("user_server_revocation_entries"), 1.0);
    assert!(scraped.one("user_server_revocation_age_seconds") < 1.0);
    assert_eq!(scraped.value("user_server_store_connections_max", &[("pool", "writer")]), 1.0);
    #[cfg(target_os = "linux")]
    assert!(scraped.one("process_resident_memory_bytes") > 1e6);

    let text = get(address, "/metrics").await.body + &get(address, "/readyz").await.body;
    let secrets = [ada.access(), ada.refresh(), PASSWORD.to_owned(), login.user_id.to_string()];
    for hidden in secrets.iter().map(String::as_str).chain(["example.org", "ada", "@", "127.0.0.1"])
    {
        assert!(!text.to_ascii_lowercase().contains(&hidden.to_ascii_lowercase()), "{hidden}");
    }
    client.close().await;
    let closed = |scraped: &Exposition| {
        scraped.value("user_server_connections_closed_total", &[("reason", "client")]) == 1.0
    };
    let scraped = wait_until(address, "the connection has ended", closed).await;
    assert_eq!(scraped.one("user_server_connections"), 0.0);
    server.stop().await;
}

#[tokio::test]
async fn an_undelivered_email_shows_in_health_and_metrics() {
    let (server, address) = with_monitor().await;
    std::fs::remove_dir_all(&server.emails.0).unwrap();
    let client = server.client();
    server.register(&client, "Ada", "ada@example.org").await;
    let scraped = wait_until(address, "the email is queued", |scraped| {
        scraped.one("user_server_outbox_unsent") == 1.0
    })
    .await;
    assert_eq!(scraped.one("user_server_mail_failing"), 1.0);
    assert!(scraped.value("user_server_mails_total", &[("result", "retried")]) >= 1.0);
    assert_eq!(scraped.value("user_server_mails_total", &[("result", "sent")]), 0.0);
    server.clock.advance(Duration::from_secs(120));
    wait_until(address, "the email is late", |scraped| {
        scraped.one("user_server_outbox_oldest_seconds") >= 120.0
    })
    .await;
    let ready = get(address, "/readyz").await;
    assert_eq!(ready.status, 200, "another node would not send it either");
    let body: serde_json::Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!(body["degraded"], serde_json::json!(["outbox", "mail"]));
    client.close().await;
    server.stop().await;
}

/// Sends bytes and reads until the server closes.
async fn send_raw(server: &TestServer, bytes: &[u8]) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn garbage_creates_no_series() {
    let (server, address) = with_monitor().await;
    let before: Vec<String> = metrics(address).await.names();
    let mut every_type = Vec::new();
    for kind in 0..=u8::MAX {
        let id = u32::from(kind) + 1;
        every_type.extend_from_slice(&[0, 0, 0, 7, kind]);
        every_type.extend_from_slice(&id.to_be_bytes());
        every_type.extend_from_slice(&[0xFF, 0xFF]);
    }
    send_raw(&server, &every_type).await;
    send_raw(&server, b"GET / HTTP/1.1\r\n\r\n").await;
    send_raw(&server, &[0, 0, 0, 4, 1, 2, 3, 4]).await;
    send_raw(&server, &[0, 0, 0, 5, 0x7F, 0, 0, 0, 0]).await;

    let scraped = wait_until(address, "all connections have ended", |scraped| {
        scraped.one("user_server_connections") == 0.0
    })
    .await;
    assert_eq!(scraped.names(), before);
    let types: Vec<&str> =
        user_proto::Request::ALL.iter().map(|(_, name)| *name).chain(["unknown"]).collect();
    let mut sum = 0.0;
    for sample in scraped.all("user_server_requests_total") {
        assert!(types.contains(&sample.label("type")), "{sample:?}");
        sum += sample.value;
    }
    assert_eq!(sum, 256.0);
    let unknown = scraped
        .value("user_server_requests_total", &[("type", "unknown"), ("outcome", "UNKNOWN_TYPE")]);
    assert_eq!(unknown, 256.0 - user_proto::Request::ALL.len() as f64);
    let closed =
        |reason| scraped.value("user_server_connections_closed_total", &[("reason", reason)]);
    assert_eq!((closed("client"), closed("frame_error"), closed("request_id")), (1.0, 2.0, 1.0));
    assert!(scraped.samples() < 1000, "{}", scraped.samples());
    server.stop().await;
}

#[tokio::test]
async fn the_reason_of_a_closed_connection_is_counted() {
    let timeouts = [("FIRST_FRAME_TIMEOUT", "1"), ("FRAME_TIMEOUT", "1"), ("IDLE_TIMEOUT", "1")];
    let settings: Vec<_> = [("METRICS_ADDR", "127.0.0.1:0")].into_iter().chain(timeouts).collect();
    let server = TestServer::start_with(&settings).await;
    let address = server.service.monitor_address().unwrap();
    let mut ping = bytes::BytesMut::new();
    user_proto::encode(1, &Ping {}, &mut ping).unwrap();
    let mut streams = Vec::new();
    for bytes in [&b""[..], &ping, &[&ping[..], &[0, 0]].concat()] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        streams.push(stream);
    }
    let closed = |scraped: &Exposition, reason| {
        scraped.value("user_server_connections_closed_total", &[("reason", reason)])
    };
    let scraped = wait_until(address, "all connections have timed out", |scraped| {
        scraped.one("user_server_connections") == 0.0
    })
    .await;
    for reason in ["first_frame_timeout", "idle_timeout", "frame_timeout"] {
        assert_eq!(closed(&scraped, reason), 1.0, "{reason}");
    }
    for mut stream in streams {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        if let Ok(Some((frame, _))) = frame::split(&bytes) {
            assert!(matches!(Reply::decode(frame.kind, frame.body), Ok(Reply::Pong(_))));
        }
    }
    server.stop().await;
}
