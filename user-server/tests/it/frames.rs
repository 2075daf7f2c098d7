//! Frames that no client of this project sends: each gets the documented reply, and no other
//! connection is affected.

use std::collections::BTreeSet;
use std::io::Write;

use user_proto::{Common, ErrorCode, IdempotencyKey, Login, Ping, Reply, Request, VerifyToken};

use crate::support::{PASSWORD, Process, TestServer, Wire, raw_frame, request_frame};

fn login(name: &str) -> Login<'_> {
    Login::new(name.into(), PASSWORD.into())
}

#[tokio::test]
async fn frames_sent_byte_by_byte_are_answered() {
    let server = TestServer::start().await;
    let mut wire = Wire::connect(server.address).await;
    let none = Common::default();
    let frames = [
        request_frame(1, Ping {}, &none),
        request_frame(2, VerifyToken { access_token: "no.such.token".into() }, &none),
        raw_frame(0x3F, 3, b"a type of a later version"),
        request_frame(4, Login::new("nobody".into(), "not the password".into()), &none),
    ];
    for byte in frames.concat() {
        wire.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert!(matches!(wire.reply().await, (1, Reply::Pong(_))));
    assert_eq!(wire.refusal(2).await.code, ErrorCode::INVALID_TOKEN);
    assert_eq!(wire.refusal(3).await.code, ErrorCode::UNKNOWN_TYPE);
    assert_eq!(wire.refusal(4).await.code, ErrorCode::INVALID_CREDENTIALS);
}

#[tokio::test]
async fn a_thousand_frames_in_one_write_are_all_answered() {
    let server = TestServer::start().await;
    let client = server.client();
    let account = server.account(&client, "thousand").await;
    let access = account.access();
    let mut wire = Wire::connect(server.address).await;
    let none = Common::default();
    let all: Vec<u8> = (1..=1000_u32)
        .flat_map(|id| match id % 4 {
            0 => request_frame(id, Ping {}, &none),
            1 => request_frame(id, VerifyToken { access_token: access.as_str().into() }, &none),
            2 => request_frame(
                id,
                user_proto::GetUser { access_token: access.as_str().into() },
                &none,
            ),
            _ => raw_frame(0x3E, id, b""),
        })
        .collect();
    let mut answered = BTreeSet::new();
    for (id, reply) in wire.exchange(&all, 1000).await {
        match (id % 4, &reply) {
            (0, Reply::Pong(_)) | (1, Reply::TokenVerified(_)) | (2, Reply::User(_)) => {}
            (3, Reply::ErrorReply(error)) if error.code == ErrorCode::UNKNOWN_TYPE => {}
            other => panic!("{id}: {other:?}"),
        }
        assert!((1..=1000).contains(&id) && answered.insert(id), "{id} was answered twice");
    }
    wire.ping(1).await;
}

#[tokio::test]
async fn unknown_types_and_tags_get_the_documented_replies() {
    let server = TestServer::start().await;
    let mut wire = Wire::connect(server.address).await;
    let is_known = |kind| Request::ALL.iter().any(|(known, _)| *known == kind);
    for kind in (0..=0xFF_u8).filter(|kind| !is_known(*kind)) {
        wire.send(&raw_frame(kind, 5, b"\x00\x01x")).await;
        assert_eq!(wire.refusal(5).await.code, ErrorCode::UNKNOWN_TYPE, "{kind:#04x}");
    }
    for tag in 0..=0xE0_u8 {
        wire.send(&raw_frame(0x7F, 6, &[tag, 0, 2, 0xAB, 0xCD])).await;
        match wire.reply().await {
            (6, Reply::Pong(_)) => assert_eq!(tag % 2, 1, "{tag:#04x} was skipped"),
            (6, Reply::ErrorReply(error)) => {
                assert_eq!(
                    (tag % 2, error.code),
                    (0, ErrorCode::UNKNOWN_TAG),
                    "{tag:#04x}: {error:?}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    let keyed = Common { idempotency_key: Some(IdempotencyKey([7; 16])), ..Common::default() };
    wire.send(&request_frame(8, Ping {}, &keyed)).await;
    assert!(
        matches!(wire.reply().await, (8, Reply::Pong(_))),
        "a request that changes nothing may have a key"
    );
    wire.send(&request_frame(8, login("nobody"), &keyed)).await;
    assert_eq!(wire.refusal(8).await.code, ErrorCode::INVALID_CREDENTIALS);
    for address in
        ["", "localhost", "203.0.113.7:80", "[::1]", "fe80::1%eth0", "1.2.3", "203.0.113.7 "]
    {
        let size = u8::try_from(address.len()).unwrap();
        wire.send(&raw_frame(0x7F, 9, &[&[0xE1, 0, size], address.as_bytes()].concat())).await;
        let error = wire.refusal(9).await;
        assert_eq!(
            (error.code, error.field.as_deref()),
            (ErrorCode::MALFORMED, Some("client_address")),
            "{address}"
        );
    }
    wire.ping(10).await;
}

#[tokio::test]
async fn an_invalid_length_closes_the_connection_after_the_pending_replies() {
    let server = TestServer::start().await;
    let mut bystander = Wire::connect(server.address).await;
    let cases = [
        (0_u32, ErrorCode::FRAME_TOO_SHORT),
        (4, ErrorCode::FRAME_TOO_SHORT),
        (65_536, ErrorCode::FRAME_TOO_LONG),
        (u32::MAX, ErrorCode::FRAME_TOO_LONG),
    ];
    for (length, code) in cases {
        let mut wire = Wire::connect(server.address).await;
        let before = request_frame(1, login("nobody"), &Common::default());
        let behind = raw_frame(0x7F, 2, &[]).repeat(5_000);
        wire.send(&[before.as_slice(), &length.to_be_bytes(), &behind].concat()).await;
        assert_eq!(wire.refusal(1).await.code, ErrorCode::INVALID_CREDENTIALS, "{length}");
        wire.expect_close_with(code).await;
        bystander.ping(3).await;
    }
}

#[tokio::test]
async fn an_invalid_id_closes_the_connection_after_the_pending_replies() {
    let server = TestServer::start().await;
    let none = Common::default();
    for wrong in [0, 5] {
        let mut wire = Wire::connect(server.address).await;
        let frames = [
            request_frame(5, login("nobody"), &none),
            request_frame(wrong, Ping {}, &none),
            request_frame(6, Ping {}, &none),
        ];
        wire.send(&frames.concat()).await;
        assert_eq!(wire.refusal(5).await.code, ErrorCode::INVALID_CREDENTIALS);
        wire.expect_close_with(ErrorCode::MALFORMED).await;
    }
    let mut wire = Wire::connect(server.address).await;
    for _ in 0..3 {
        wire.request(5, login("nobody")).await;
        wire.reply().await;
    }
    wire.ping(5).await;
}

#[tokio::test]
async fn the_longest_frame_is_accepted_and_one_byte_more_is_not() {
    let server = TestServer::start().await;
    let mut wire = Wire::connect(server.address).await;
    let skipped = 65_535 - 5 - 3;
    let tail =
        [&[0x7B], u16::try_from(skipped).unwrap().to_be_bytes().as_slice(), &vec![7; skipped]]
            .concat();
    wire.send(&raw_frame(0x7F, 1, &tail)).await;
    assert!(matches!(wire.reply().await, (1, Reply::Pong(_))));
    wire.send(&raw_frame(0x7F, 2, &[tail.as_slice(), &[0]].concat())).await;
    wire.expect_close_with(ErrorCode::FRAME_TOO_LONG).await;
}

/// Connections that announce the longest frame and send a part of it must not make the server
/// allocate the whole frame, and must leave nothing behind when they close.
#[tokio::test]
async fn hostile_frames_cost_no_more_memory_than_they_send() {
    const CONNECTIONS: usize = 2_000;
    const SENT: usize = 1_024;
    let process = Process::start(&[("FIRST_FRAME_TIMEOUT", "300")]);
    let partial_frame = [65_535_u32.to_be_bytes().as_slice(), &vec![0x01; SENT - 4]].concat();
    let before = process.memory();
    let mut with_connections = Vec::new();
    for _ in 0..3 {
        let connections: Vec<std::net::TcpStream> = (0..CONNECTIONS)
            .map(|_| {
                let mut stream = std::net::TcpStream::connect(process.address).unwrap();
                stream.write_all(&partial_frame).unwrap();
                stream
            })
            .collect();
        // Accepted after all of them, and not affected.
        let mut bystander = Wire::connect(process.address).await;
        bystander.ping(1).await;
        with_connections.push(process.memory());
        drop(connections);
        bystander.ping(2).await;
    }
    eprintln!(
        "before, and with {CONNECTIONS} hostile connections: {before:?}, {with_connections:?}"
    );
    let (first, last) = (with_connections[0], with_connections[2]);
    let each = |kib: u64| kib * 1024 / u64::try_from(CONNECTIONS).unwrap();
    assert!(
        each(first.resident_kib.saturating_sub(before.resident_kib)) < 16 * 1024,
        "{before:?} {first:?}"
    );
    assert!(
        each(first.reserved_kib.saturating_sub(before.reserved_kib)) < 32 * 1024,
        "{before:?} {first:?}"
    );
    assert!(
        last.resident_kib < first.resident_kib + 16 * 1024,
        "memory grows from round to round: {with_connections:?}"
    );
}
