//! Health and metrics as those who run the service see them: over HTTP, while a client is served.

mod exposition;
mod request;
mod shown;

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

async fn watched() -> (TestServer, SocketAddr) {
    watched_with(&[]).await
}

async fn watched_with(settings: &[(&str, &str)]) -> (TestServer, SocketAddr) {
    let server =
        TestServer::start_with(&[settings, &[("METRICS_ADDR", "127.0.0.1:0")]].concat()).await;
    let address = server.service.monitor_address().unwrap();
    (server, address)
}

pub(crate) async fn metrics(address: SocketAddr) -> Exposition {
    Exposition::parse(&get(address, "/metrics").await.body)
}

/// Waits until what is looked up every few seconds has been looked up.
pub(crate) async fn until(
    address: SocketAddr,
    what: &str,
    holds: impl Fn(&Exposition) -> bool,
) -> Exposition {
    let began = Instant::now();
    loop {
        let metrics = metrics(address).await;
        if holds(&metrics) {
            return metrics;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn three_paths_answer_and_nothing_else_does() {
    let (server, address) = watched().await;
    let live = get(address, "/livez").await;
    assert_eq!((live.status, live.body.as_str()), (200, "ok\n"));
    until(address, "the store was looked at", |metrics| metrics.one("user_server_store_up") == 1.0)
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
    assert_eq!(body["mail"]["last_attempt_failed"], false);

    let plain = get(address, "/metrics").await;
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4"), "{}", plain.head);
    let open = send(
        address,
        b"GET /metrics HTTP/1.1\r\nHost: t\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n",
    )
    .await;
    assert!(
        open.head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{}",
        open.head
    );

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
    assert!(TcpStream::connect(address).await.is_err(), "nothing is left");
}

#[tokio::test]
async fn a_request_is_bounded_in_size_and_time_and_number() {
    let (server, address) = watched().await;
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

    // Sixteen that say nothing hold every place, but not for long.
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
async fn it_is_ready_from_the_load_to_the_signal_and_accepts_beyond() {
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

    let (server, address) = watched().await;
    assert_eq!(get(address, "/readyz").await.status, 200);
    server.service.set_draining();
    let draining = get(address, "/readyz").await;
    assert_eq!(draining.status, 503);
    assert!(draining.body.contains(r#""status":"draining""#), "{}", draining.body);
    assert_eq!(get(address, "/livez").await.status, 200);
    server.client().call(Ping {}).await.expect("it goes on accepting");
    server.stop().await;
}

#[tokio::test]
async fn a_signal_turns_readiness_at_once() {
    let mut process = Process::start(&[("METRICS_ADDR", "127.0.0.1:0"), ("DRAIN_DELAY", "300")]);
    let line = process
        .printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("metrics"))
        .unwrap()
        .trim();
    let address = line
        .strip_prefix("http://")
        .and_then(|rest| rest.split('/').next())
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(get(address, "/readyz").await.status, 200);
    process.signal("TERM");
    let began = Instant::now();
    while get(address, "/readyz").await.status != 503 {
        assert!(began.elapsed() < Duration::from_secs(5), "{}", process.log());
    }
    process.client().call(Ping {}).await.expect("it goes on accepting");
    process.signal("TERM");
    process.wait().await.expect("an exit of its own");
}

#[tokio::test]
async fn a_known_dialogue_is_counted_to_the_unit() {
    let (server, address) = watched().await;
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

    let told = until(address, "the outbox was looked at", |told| {
        told.one("user_server_store_up") == 1.0
            && told.value("user_server_mails_total", &[("result", "sent")]) == 1.0
    })
    .await;
    let requests = |kind, outcome| {
        told.value("user_server_requests_total", &[("type", kind), ("outcome", outcome)])
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
    let sum: f64 = told.all("user_server_requests_total").map(|sample| sample.value).sum();
    assert_eq!(sum, 17.0);
    let latencies =
        |kind| told.value("user_server_request_duration_seconds_count", &[("type", kind)]);
    assert_eq!(
        (latencies("VerifyToken"), latencies("Login"), latencies("GetUser")),
        (11.0, 2.0, 0.0)
    );
    let hashing = told.value(
        "user_server_request_duration_seconds_bucket",
        &[("type", "Login"), ("le", "0.001")],
    );
    assert_eq!(hashing, 0.0, "no login is faster than its hash");
    assert_eq!(told.one("user_server_hash_duration_seconds_count"), 3.0);
    assert_eq!(told.one("user_server_hash_wait_seconds_count"), 3.0);
    assert_eq!(
        (told.one("user_server_hashes_running"), told.one("user_server_hashes_waiting")),
        (0.0, 0.0)
    );
    assert_eq!(
        (told.one("user_server_connections"), told.one("user_server_connections_accepted_total")),
        (1.0, 1.0)
    );
    assert_eq!(told.one("user_server_requests_in_flight"), 0.0);
    assert_eq!(told.one("user_server_revocation_entries"), 1.0);
    assert!(told.one("user_server_revocation_age_seconds") < 1.0);
    assert_eq!(told.value("user_server_store_connections_max", &[("pool", "writer")]), 1.0);
    #[cfg(target_os = "linux")]
    assert!(told.one("process_resident_memory_bytes") > 1e6);

    let text = get(address, "/metrics").await.body + &get(address, "/readyz").await.body;
    let secrets = [ada.access(), ada.refresh(), PASSWORD.to_owned(), login.user_id.to_string()];
    for hidden in secrets.iter().map(String::as_str).chain(["example.org", "ada", "@", "127.0.0.1"])
    {
        assert!(!text.to_ascii_lowercase().contains(&hidden.to_ascii_lowercase()), "{hidden}");
    }
    client.close().await;
    let closed = |told: &Exposition| {
        told.value("user_server_connections_closed_total", &[("reason", "client")]) == 1.0
    };
    let told = until(address, "the connection has ended", closed).await;
    assert_eq!(told.one("user_server_connections"), 0.0);
    server.stop().await;
}

#[tokio::test]
async fn a_mail_that_does_not_go_is_seen() {
    let (server, address) = watched().await;
    std::fs::remove_dir_all(&server.emails.0).unwrap();
    let client = server.client();
    server.register(&client, "Ada", "ada@example.org").await;
    let told =
        until(address, "the mail waits", |told| told.one("user_server_outbox_unsent") == 1.0).await;
    assert_eq!(told.one("user_server_mail_failing"), 1.0);
    assert!(told.value("user_server_mails_total", &[("result", "retried")]) >= 1.0);
    assert_eq!(told.value("user_server_mails_total", &[("result", "sent")]), 0.0);
    server.clock.advance(Duration::from_secs(120));
    until(address, "the mail is late", |told| {
        told.one("user_server_outbox_oldest_seconds") >= 120.0
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
async fn throw(server: &TestServer, bytes: &[u8]) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn garbage_makes_no_series() {
    let (server, address) = watched().await;
    let before: Vec<String> = metrics(address).await.names();
    let mut every_type = Vec::new();
    for kind in 0..=u8::MAX {
        let id = u32::from(kind) + 1;
        every_type.extend_from_slice(&[0, 0, 0, 7, kind]);
        every_type.extend_from_slice(&id.to_be_bytes());
        every_type.extend_from_slice(&[0xFF, 0xFF]);
    }
    throw(&server, &every_type).await;
    throw(&server, b"GET / HTTP/1.1\r\n\r\n").await;
    throw(&server, &[0, 0, 0, 4, 1, 2, 3, 4]).await;
    throw(&server, &[0, 0, 0, 5, 0x7F, 0, 0, 0, 0]).await;

    let told =
        until(address, "all have ended", |told| told.one("user_server_connections") == 0.0).await;
    assert_eq!(told.names(), before);
    let types: Vec<&str> =
        user_proto::Request::ALL.iter().map(|(_, name)| *name).chain(["unknown"]).collect();
    let mut sum = 0.0;
    for sample in told.all("user_server_requests_total") {
        assert!(types.contains(&sample.label("type")), "{sample:?}");
        sum += sample.value;
    }
    assert_eq!(sum, 256.0);
    let unknown = told
        .value("user_server_requests_total", &[("type", "unknown"), ("outcome", "UNKNOWN_TYPE")]);
    assert_eq!(unknown, 256.0 - user_proto::Request::ALL.len() as f64);
    let closed = |reason| told.value("user_server_connections_closed_total", &[("reason", reason)]);
    assert_eq!((closed("client"), closed("frame_error"), closed("request_id")), (1.0, 2.0, 1.0));
    assert!(told.samples() < 1000, "{}", told.samples());
    server.stop().await;
}

#[tokio::test]
async fn why_a_connection_ended_is_told() {
    let times = [("FIRST_FRAME_TIMEOUT", "1"), ("FRAME_TIMEOUT", "1"), ("IDLE_TIMEOUT", "1")];
    let settings: Vec<_> = [("METRICS_ADDR", "127.0.0.1:0")].into_iter().chain(times).collect();
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
    let closed = |told: &Exposition, reason| {
        told.value("user_server_connections_closed_total", &[("reason", reason)])
    };
    let told =
        until(address, "all were timed out", |told| told.one("user_server_connections") == 0.0)
            .await;
    for reason in ["first_frame_timeout", "idle_timeout", "frame_timeout"] {
        assert_eq!(closed(&told, reason), 1.0, "{reason}");
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
