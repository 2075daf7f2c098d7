//! Limits of a connection, the order of its replies, and deadlines, as PROTOCOL.md defines them.

use std::time::{Duration, Instant};

use user_proto::{Common, ErrorCode, ErrorReply, GetUser, Login, Ping, Reply, VerifyToken};

use crate::support::{PASSWORD, TestServer, Wire, on_behalf_of, request_frame};

/// One slow hash at a time, so that requests are seen in flight.
const SLOW: [(&str, &str); 2] = [("HASH_THREADS", "1"), ("ARGON2_PASSES", "24")];

fn slow_with<'a>(settings: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [SLOW.as_slice(), settings].concat()
}

fn with_deadline(deadline_ms: u32) -> Common<'static> {
    Common { deadline_ms: Some(deadline_ms), ..Common::default() }
}

/// Encodes a login that is refused after its hash. No two ids share a budget.
fn login(id: u32) -> Vec<u8> {
    let name = format!("nobody{id}");
    let request = Login::new(name.as_str().into(), PASSWORD.into());
    request_frame(id, request, &with_deadline(30_000))
}

fn logins(ids: std::ops::RangeInclusive<u32>) -> Vec<u8> {
    ids.flat_map(login).collect()
}

fn code(reply: &Reply<'_>) -> Option<ErrorCode> {
    match reply {
        Reply::ErrorReply(error) => Some(error.code),
        _ => None,
    }
}

/// Reads until the connection closes. Returns the ids of the answered logins, sorted, because
/// replies come in any order.
async fn answered_ids(wire: &mut Wire) -> Vec<u32> {
    let mut answered = Vec::new();
    while let Some((id, reply)) = wire.next().await {
        assert!(code(&reply).is_some(), "{reply:?}");
        answered.push(id);
    }
    answered.sort_unstable();
    answered
}

#[tokio::test]
async fn a_silent_connection_and_half_a_frame_time_out() {
    let server =
        TestServer::start_with(&[("FIRST_FRAME_TIMEOUT", "1"), ("FRAME_TIMEOUT", "1")]).await;
    let began = Instant::now();
    let mut later = Wire::connect(server.address).await;
    later.ping(1).await;
    later.send(&[0, 0]).await;
    let mut silent = Wire::connect(server.address).await;
    let mut half = Wire::connect(server.address).await;
    half.send(&[0, 0, 0, 5, 0x7F]).await;
    let mut trickling = Wire::connect(server.address).await;
    silent.expect_close().await;
    half.expect_close().await;
    later.expect_close().await;
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    // A steady trickle of bytes does not extend the timeout of a frame.
    let trickle = async {
        for byte in request_frame(1, Ping {}, &Common::default()).repeat(100) {
            trickling.send(&[byte]).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), trickle).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    trickling.expect_close().await;
}

#[tokio::test]
async fn half_a_frame_does_not_lose_pending_replies() {
    let server =
        TestServer::start_with(&slow_with(&[("FRAME_TIMEOUT", "1"), ("IDLE_TIMEOUT", "1")])).await;
    let mut wire = Wire::connect(server.address).await;
    wire.send(&[logins(1..=4), vec![0, 0, 0, 5, 0x7F]].concat()).await;
    assert_eq!(answered_ids(&mut wire).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let server = TestServer::start_with(&slow_with(&[("IDLE_TIMEOUT", "2")])).await;
    let mut wire = Wire::connect(server.address).await;
    let began = Instant::now();
    for id in 1..=6 {
        wire.ping(id).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(2));
    let mut busy = Wire::connect(server.address).await;
    busy.send(&logins(1..=8)).await;
    wire.expect_close().await;
    assert_eq!(answered_ids(&mut busy).await, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn a_client_that_never_reads_is_disconnected_and_others_are_served() {
    let server = TestServer::start_with(&[("WRITE_TIMEOUT", "1")]).await;
    let mut unread = Wire::connect_with_small_buffer(server.address).await;
    let pings = request_frame(1, Ping {}, &Common::default()).repeat(1000);
    let mut bystander = Wire::connect(server.address).await;
    let mut sending = std::pin::pin!(unread.send_until_lost(&pings));
    let mut id = 0;
    let lost = loop {
        id += 1;
        tokio::select! {
            lost = &mut sending => break lost,
            () = tokio::time::sleep(Duration::from_millis(50)) => bystander.ping(id).await,
        }
    };
    assert!(lost, "it is still connected");
    assert!(id > 1, "no bystander was served meanwhile");
}

#[tokio::test]
async fn a_half_closed_connection_gets_its_replies() {
    let server = TestServer::start_with(&[("MAX_IN_FLIGHT", "4")]).await;
    let mut wire = Wire::connect(server.address).await;
    wire.send(&[logins(1..=10), vec![0, 0, 0]].concat()).await;
    wire.half_close().await;
    assert_eq!(answered_ids(&mut wire).await, (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn at_256_requests_in_flight_reading_pauses_until_one_is_answered() {
    let server = TestServer::start_with(&[("MAX_HASHING", "300"), ("HASH_QUEUE", "300")]).await;
    let mut wire = Wire::connect(server.address).await;
    let none = Common::default();
    wire.send(&[logins(1..=255), request_frame(1000, Ping {}, &none)].concat()).await;
    assert!(matches!(wire.reply().await, (1000, Reply::Pong(_))), "one more request fits");

    let mut wire = Wire::connect(server.address).await;
    wire.send(&[logins(1..=256), request_frame(1000, Ping {}, &none)].concat()).await;
    let (id, reply) = wire.reply().await;
    assert!(
        matches!(reply, Reply::ErrorReply(_)),
        "{id}: the ping must wait for a free slot: {reply:?}"
    );
    let mut waited = 0;
    while !matches!(wire.reply().await, (1000, Reply::Pong(_))) {
        waited += 1;
    }
    assert!(waited < 200, "it must be read when a slot is free, not {waited} replies later");
}

#[tokio::test]
async fn beyond_32_hashing_requests_the_reply_is_busy_at_once() {
    let server = TestServer::start_with(&SLOW).await;
    let mut wire = Wire::connect(server.address).await;
    wire.send(&logins(1..=34)).await;
    for id in [33, 34] {
        let ErrorReply { code, retry_after_ms, .. } = wire.refusal(id).await;
        assert_eq!(code, ErrorCode::BUSY);
        assert!(retry_after_ms.is_some_and(|wait| wait > 0));
    }
    let mut other = Wire::connect(server.address).await;
    let none = Common::default();
    let check = VerifyToken { access_token: "no.such.token".into() };
    for id in 1..=50 {
        let sent = Instant::now();
        other.send(&request_frame(id, check.clone(), &none)).await;
        assert_eq!(other.refusal(id).await.code, ErrorCode::INVALID_TOKEN);
        assert!(sent.elapsed() < Duration::from_secs(2), "a token check waited for hashes");
    }
    // The hashing requests are still in flight: the checks were fast at the same time.
    wire.ping(40).await;
    assert_eq!(code(&wire.reply().await.1), Some(ErrorCode::INVALID_CREDENTIALS));
}

#[tokio::test]
async fn quick_requests_overtake_slow_ones() {
    let server = TestServer::start_with(&SLOW).await;
    let client = server.client();
    let account = server.account(&client, "quick").await;
    let (access, none) = (account.access(), Common::default());
    let mut wire = Wire::connect(server.address).await;
    let login = Login::new("quick".into(), PASSWORD.into());
    let frames = [
        request_frame(1, login, &none),
        request_frame(2, GetUser { access_token: access.as_str().into() }, &none),
        request_frame(3, VerifyToken { access_token: access.as_str().into() }, &none),
    ];
    wire.send(&frames.concat()).await;
    assert!(matches!(wire.reply().await, (3, Reply::TokenVerified(_))));
    assert!(matches!(wire.reply().await, (2, Reply::User(_))));
    assert!(matches!(wire.reply().await, (1, Reply::LoggedIn(_))));
}

#[tokio::test]
async fn deadlines_are_enforced() {
    let server = TestServer::start_with(&SLOW).await;
    let mut wire = Wire::connect(server.address).await;
    let unknown_user = Login::new("nobody".into(), PASSWORD.into());
    let expired = [
        request_frame(1, Ping {}, &with_deadline(0)),
        request_frame(1, VerifyToken { access_token: "no.such.token".into() }, &with_deadline(0)),
        request_frame(1, GetUser { access_token: "no.such.token".into() }, &with_deadline(0)),
        request_frame(1, unknown_user.clone(), &with_deadline(0)),
    ];
    for frame in expired {
        wire.send(&frame).await;
        assert_eq!(wire.refusal(1).await.code, ErrorCode::DEADLINE_EXCEEDED);
    }
    wire.send(&logins(1..=8)).await;
    wire.send(&request_frame(9, unknown_user, &with_deadline(40))).await;
    let error = wire.refusal(9).await;
    match error.code {
        ErrorCode::BUSY => assert!(error.retry_after_ms.is_some()),
        ErrorCode::DEADLINE_EXCEEDED => {}
        _ => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_disconnected_client_frees_its_slots() {
    let server = TestServer::start_with(&SLOW).await;
    let mut wire = Wire::connect(server.address).await;
    let sent = Instant::now();
    wire.send(&login(1)).await;
    wire.reply().await;
    let one = sent.elapsed();
    let mut disconnected = Wire::connect(server.address).await;
    disconnected.send(&logins(1..=32)).await;
    disconnected.request(100, Ping {}).await;
    assert!(matches!(disconnected.reply().await, (100, Reply::Pong(_))), "all are in flight");
    drop(disconnected);
    let sent = Instant::now();
    wire.send(&login(2)).await;
    assert_eq!(wire.refusal(2).await.code, ErrorCode::INVALID_CREDENTIALS);
    let waited = sent.elapsed();
    assert!(
        waited < one * 16,
        "a login took {one:?}, and {waited:?} after 32 logins of a disconnected client"
    );
}

#[tokio::test]
async fn nothing_after_a_malformed_frame_is_executed() {
    let server = TestServer::start().await;
    let register = |name: &str, email: &str| {
        let request = user_proto::Register {
            username: name.to_owned().into(),
            email: email.to_owned().into(),
            password: PASSWORD.into(),
        };
        request_frame(7, request, &Common::default())
    };
    for fault in [vec![0, 0, 0, 4], vec![0xFF; 4], request_frame(0, Ping {}, &Common::default())] {
        let mut wire = Wire::connect(server.address).await;
        wire.send(&[fault, register("behind", "behind@example.org")].concat()).await;
        assert_eq!(wire.refusal(0).await.code.class(), user_proto::ErrorClass::Protocol);
        wire.expect_close().await;
    }
    let mut wire = Wire::connect(server.address).await;
    wire.send(&register("before", "before@example.org")).await;
    assert!(matches!(wire.reply().await, (7, Reply::Registered(_))));
    server.emails.wait_for("before@example.org", 1).await;
    assert_eq!(server.emails.all().len(), 1, "an earlier email would be there too");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_rejected_with_busy() {
    let server = TestServer::start_with(&[("MAX_CONNECTIONS", "2")]).await;
    let mut first = Wire::connect(server.address).await;
    let mut second = Wire::connect(server.address).await;
    first.ping(1).await;
    second.ping(1).await;
    for _ in 0..3 {
        let mut third = Wire::connect(server.address).await;
        third.request(1, Ping {}).await;
        let error = third.expect_close_with(ErrorCode::BUSY).await;
        assert!(error.retry_after_ms.is_some_and(|wait| wait > 0));
    }
    drop(second);
    wait_for_free_slot(&server).await;
    first.ping(2).await;
}

/// Waits until the server accepts another connection: it detects a disconnect a moment after the
/// client.
async fn wait_for_free_slot(server: &TestServer) {
    let began = Instant::now();
    loop {
        let mut wire = Wire::connect(server.address).await;
        wire.request(1, Ping {}).await;
        match wire.reply().await {
            (1, Reply::Pong(_)) => return,
            other => assert!(began.elapsed() < Duration::from_secs(20), "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_untrusted_peer_is_limited_to_its_share() {
    let settings = [("MAX_CONNECTIONS_PER_PEER", "2"), ("TRUSTED_PEERS", "192.0.2.1")];
    let server = TestServer::start_with(&settings).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::connect(server.address).await;
        wire.ping(1).await;
        open.push(wire);
    }
    let mut third = Wire::connect(server.address).await;
    third.expect_close_with(ErrorCode::BUSY).await;
    Wire::connect_from([127, 0, 0, 2], server.address).await.ping(1).await;
    open.pop();
    wait_for_free_slot(&server).await;

    let trusting = TestServer::start_with(&[("MAX_CONNECTIONS_PER_PEER", "1")]).await;
    let mut gateway =
        [Wire::connect(trusting.address).await, Wire::connect(trusting.address).await];
    for wire in &mut gateway {
        wire.ping(1).await;
    }
}

#[tokio::test]
async fn a_client_holds_back_logins_beyond_the_limit_that_the_server_states() {
    let server = TestServer::start_with(&[("MAX_HASHING", "2")]).await;
    let client = server.client();
    server.account(&client, "ada").await;
    assert_eq!(client.call(Ping {}).await.unwrap().max_hashing, Some(2));
    let logins: Vec<_> = (0..12)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(
                async move { client.call(Login::new("ada".into(), PASSWORD.into())).await },
            )
        })
        .collect();
    for login in logins {
        // The server would answer a third one at once with BUSY.
        login.await.unwrap().unwrap();
    }
}

/// Sends `count` requests at once on behalf of one end user and one more for another, and returns
/// how many of the first were answered BUSY. The last must not be.
async fn busy_for_one_user(
    settings: &[(&str, &str)],
    count: u32,
    request: impl Fn(u32, &str) -> Vec<u8>,
) -> usize {
    let server = TestServer::start_with(settings).await;
    let mut gateway = Wire::connect(server.address).await;
    let mut bytes: Vec<u8> = (1..=count).flat_map(|id| request(id, "192.0.2.7")).collect();
    bytes.extend(request(count + 1, "192.0.2.8"));
    gateway.send(&bytes).await;
    let mut busy = Vec::new();
    for _ in 0..=count {
        let (id, reply) = gateway.reply().await;
        busy.extend((code(&reply) == Some(ErrorCode::BUSY)).then_some(id));
    }
    assert!(!busy.contains(&(count + 1)), "another end user");
    busy.len()
}

/// The runtime has one thread, so the frames of one write are all read before any is answered.
#[tokio::test]
async fn one_end_user_has_an_eighth_of_a_gateways_connection() {
    let login = |id: u32, ip: &str| {
        let name = format!("nobody{id}");
        let request = Login::new(name.as_str().into(), PASSWORD.into());
        request_frame(id, request, &Common { deadline_ms: Some(30_000), ..on_behalf_of(ip) })
    };
    assert_eq!(busy_for_one_user(&[], 32, login).await, 28, "4 of 32 hash");
    let look_up =
        |id, ip: &str| request_frame(id, GetUser { access_token: "x".into() }, &on_behalf_of(ip));
    assert_eq!(busy_for_one_user(&[], 40, look_up).await, 8, "32 of 256 are in flight");
    // The many networks of one site have a half.
    let of_site = |id: u32, ip: &str| match ip {
        "192.0.2.7" => look_up(id, &format!("2001:db8:1:{:x}::1", 256 * id)),
        other => look_up(id, other),
    };
    assert_eq!(busy_for_one_user(&[], 136, of_site).await, 8, "128 of 256 are in flight");
}

#[tokio::test]
async fn a_deadline_passes_while_the_request_waits_for_others_of_its_peer() {
    let settings = slow_with(&[("MAX_REQUESTS", "64"), ("TRUSTED_PEERS", "192.0.2.1")]);
    let server = TestServer::start_with(&settings).await;
    let mut wire = Wire::connect(server.address).await;
    // An untrusted peer may have four requests in flight.
    let look_up = GetUser { access_token: "x".into() };
    let late = request_frame(5, look_up, &with_deadline(10));
    wire.send(&[logins(1..=4), late].concat()).await;
    let mut codes = std::collections::HashMap::new();
    for _ in 1..=5 {
        let (id, reply) = wire.reply().await;
        codes.insert(id, code(&reply));
    }
    assert_eq!(codes[&5], Some(ErrorCode::DEADLINE_EXCEEDED));
}
