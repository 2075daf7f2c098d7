//! The protocol's test vectors against a live server, which must answer as they specify.

use std::collections::HashMap;

use serde_json::Value;
use user_proto::{ErrorCode, Ping, Reply, frame};

use crate::support::{TestServer, Wire, raw_frame, vector_bytes, vector_file};

fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key].as_str().unwrap_or_default()
}

fn code(vector: &Value) -> ErrorCode {
    ErrorCode(u16::from_str_radix(text(vector, "code"), 16).unwrap())
}

fn of_level<'a>(file: &'a Value, level: &str) -> Vec<&'a Value> {
    let vectors = file["vectors"].as_array().unwrap().iter();
    vectors
        .filter(|vector| text(vector, "direction") == "request" && text(vector, "level") == level)
        .collect()
}

#[tokio::test]
async fn a_malformed_message_gets_one_error() {
    let server = TestServer::start().await;
    let mut wire = Wire::connect(server.address).await;
    let invalid = vector_file("invalid.json");
    let vectors = of_level(&invalid, "message");
    assert!(vectors.len() > 100);
    for vector in vectors {
        let sent = vector_bytes(vector);
        let id = frame::split(&sent).unwrap().unwrap().0.id;
        wire.send(&sent).await;
        let error = wire.refusal(id).await;
        let found = (error.code, error.field.as_deref().unwrap_or_default());
        assert_eq!(
            found,
            (code(vector), text(vector, "field")),
            "{}: {error:?}",
            text(vector, "name")
        );
        wire.ping(7).await;
    }
}

#[tokio::test]
async fn a_malformed_frame_closes_only_its_connection() {
    let server = TestServer::start().await;
    let mut bystander = Wire::connect(server.address).await;
    let invalid = vector_file("invalid.json");
    let vectors = of_level(&invalid, "frame");
    assert!(vectors.len() > 9);
    for vector in vectors {
        let mut wire = Wire::connect(server.address).await;
        wire.ping(7).await;
        // Bytes after the fault are not read as frames, and cause no reset.
        let trailing = raw_frame(0x7F, 9, &[]).repeat(1000);
        wire.send(&[vector_bytes(vector), trailing].concat()).await;
        let error = wire.expect_close_with(code(vector)).await;
        let field = error.field.as_deref().unwrap_or_default();
        assert_eq!(field, text(vector, "field"), "{}: {error:?}", text(vector, "name"));
        for (name, protocol) in [("http", "HTTP"), ("tls", "TLS"), ("ssh", "SSH")] {
            let named = text(vector, "name").contains(name);
            assert_eq!(
                error.message.contains(protocol),
                named,
                "{}: {error:?}",
                text(vector, "name")
            );
        }
        bystander.ping(8).await;
    }
}

#[tokio::test]
async fn a_reply_is_not_a_request() {
    let server = TestServer::start().await;
    let mut wire = Wire::connect(server.address).await;
    let valid = vector_file("valid.json");
    for vector in valid["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|vector| text(vector, "direction") == "reply")
    {
        let sent = vector_bytes(vector);
        let id = frame::split(&sent).unwrap().unwrap().0.id;
        wire.send(&sent).await;
        if id == 0 {
            wire.expect_close_with(ErrorCode::MALFORMED).await;
            wire = Wire::connect(server.address).await;
        } else {
            assert_eq!(
                wire.refusal(id).await.code,
                ErrorCode::UNKNOWN_TYPE,
                "{}",
                text(vector, "name")
            );
        }
    }
}

/// Replaces the id of a frame, so that all can be in flight at once.
fn with_id(mut frame: Vec<u8>, id: u32) -> Vec<u8> {
    frame[5..9].copy_from_slice(&id.to_be_bytes());
    frame
}

#[tokio::test]
async fn every_well_formed_request_gets_one_reply_of_its_type() {
    let server = TestServer::start_with(&[("MAX_HASHING", "256")]).await;
    let mut wire = Wire::connect(server.address).await;
    let valid = vector_file("valid.json");
    let mut waiting = HashMap::new();
    let vectors = valid["vectors"].as_array().unwrap().iter();
    for (vector, id) in vectors.filter(|vector| text(vector, "direction") == "request").zip(1..) {
        wire.send(&with_id(vector_bytes(vector), id)).await;
        waiting.insert(id, vector);
    }
    assert!(waiting.len() > 50);
    while !waiting.is_empty() {
        let (id, reply) = wire.reply().await;
        let vector = waiting.remove(&id).expect("one reply to each");
        let (name, kind) =
            (text(vector, "name"), u8::from_str_radix(text(vector, "type"), 16).unwrap());
        match reply {
            Reply::ErrorReply(error) => {
                let malformed = [
                    ErrorCode::UNKNOWN_TYPE,
                    ErrorCode::UNKNOWN_TAG,
                    ErrorCode::MALFORMED,
                    ErrorCode::INTERNAL,
                ];
                assert!(!malformed.contains(&error.code), "{name}: {error:?}");
            }
            reply => assert_eq!(reply.row().0, kind | 0x80, "{name}"),
        }
    }
    wire.request(1, Ping {}).await;
    assert!(matches!(wire.reply().await, (1, Reply::Pong(_))));
}

#[tokio::test]
async fn every_truncated_request_is_refused() {
    let server = TestServer::start().await;
    let (valid, invalid) = (vector_file("valid.json"), vector_file("invalid.json"));
    let vectors = valid["vectors"].as_array().unwrap();
    let mut cuts = 0;
    for truncation in invalid["truncations"].as_array().unwrap() {
        let whole = vectors.iter().find(|vector| vector["name"] == truncation["of"]).unwrap();
        if text(whole, "direction") != "request" {
            continue;
        }
        let (whole, valid_at) = (vector_bytes(whole), truncation["valid_at"].as_array().unwrap());
        let lengths: Vec<usize> =
            (0..whole.len() - 9).filter(|length| !valid_at.contains(&(*length).into())).collect();
        let mut wire = Wire::connect(server.address).await;
        let mut all = Vec::new();
        for (length, id) in lengths.iter().zip(1..) {
            all.extend(raw_frame(whole[4], id, &whole[9..9 + length]));
        }
        wire.send(&all).await;
        for id in (1..).take(lengths.len()) {
            assert_eq!(
                wire.refusal(id).await.code,
                ErrorCode::MALFORMED,
                "{} at {id}",
                truncation["of"]
            );
        }
        cuts += lengths.len();
    }
    assert!(cuts > 1000, "{cuts}");
}
