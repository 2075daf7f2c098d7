//! Requests for services are answered only to trusted peers.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use user_proto::{ErrorCode, GetKeys, Reply, WatchRevocations, frame};

use crate::support::{Authority, TestServer, Wire, raw_frame};
use crate::tls::{ALPN, TlsServer};

const TRUSTED: [u8; 4] = [127, 0, 0, 2];

#[tokio::test]
async fn an_untrusted_peer_is_refused_by_the_type_alone() {
    let server = TestServer::start_with(&[("TRUSTED_PEERS", "127.0.0.2")]).await;
    let mut wire = Wire::connect(server.address).await;
    let mut id = 0;
    for kind in 0x20..=0x2F {
        for body in [&b""[..], b"\x00\x00\x00\x00\x01\x2c", &[0xFF; 3], &[0; 60_000]] {
            id += 1;
            wire.send(&raw_frame(kind, id, body)).await;
            let error = wire.refusal(id).await;
            assert_eq!(error.code, ErrorCode::NOT_PERMITTED, "{kind:x} {error:?}");
            assert!(error.message.contains("TRUSTED_PEERS"), "{error:?}");
        }
    }
    // Its other requests are served, and the types around the range are what they were.
    wire.ping(1).await;
    for kind in [0x1F, 0x30] {
        wire.send(&raw_frame(kind, 2, b"")).await;
        assert_eq!(wire.refusal(2).await.code, ErrorCode::UNKNOWN_TYPE);
    }
}

#[tokio::test]
async fn a_trusted_peer_is_served_and_learns_which_types_are_unknown() {
    let server = TestServer::start_with(&[("TRUSTED_PEERS", "127.0.0.2")]).await;
    let mut wire = Wire::connect_from(TRUSTED, server.address).await;
    wire.request(1, GetKeys {}).await;
    assert!(matches!(wire.reply().await, (1, Reply::Keys(_))));
    wire.request(2, WatchRevocations { cursor: [].as_slice().into(), wait_ms: 0 }).await;
    assert!(matches!(wire.reply().await, (2, Reply::Revocations(_))));
    for kind in 0x22..=0x2F {
        wire.send(&raw_frame(kind, 3, b"x")).await;
        assert_eq!(wire.refusal(3).await.code, ErrorCode::UNKNOWN_TYPE);
    }
}

#[tokio::test]
async fn a_client_certificate_makes_a_peer_trusted() {
    let clients = Authority::new();
    let nobody = [("TRUSTED_PEERS", "192.0.2.1")];
    for accepted in [Some(&clients), None] {
        let server = TlsServer::start(accepted, &nobody).await;
        let own = accepted.map(Authority::certify);
        let config = server.authority.client_config(own.as_ref(), ALPN);
        let mut stream = server.dial(config).await.unwrap();
        stream.write_all(&raw_frame(0x20, 5, b"")).await.unwrap();
        let mut input = Vec::new();
        let reply = loop {
            if let Some((found, _)) = frame::split(&input).unwrap() {
                break Reply::decode(found.kind, found.body).unwrap().into_owned();
            }
            assert!(stream.read_buf(&mut input).await.unwrap() > 0);
        };
        match (accepted, reply) {
            (Some(_), Reply::Keys(_)) => {}
            (None, Reply::ErrorReply(error)) if error.code == ErrorCode::NOT_PERMITTED => {}
            other => panic!("{:?}", other.1),
        }
    }
}
