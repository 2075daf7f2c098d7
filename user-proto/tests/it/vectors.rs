//! The files `vectors/valid.json` and `vectors/invalid.json` are complete and up to date, and the
//! crate and the independent implementation of PROTOCOL.md agree on them. To regenerate them after
//! a change of the table or of `samples`, run `cargo test -p user-proto --test it -- --ignored
//! bless`.

use std::borrow::Cow;

use bytes::BytesMut;
use serde_json::json;
use user_proto::{Common, DecodeError, ErrorCode, Reply, Request, frame, limits};

use crate::contract::{Contract, document};
use crate::files::{
    self, Direction, Invalid, InvalidFile, Level, Valid, ValidFile, code_text, fields, from_hex,
    to_hex,
};
use crate::{corpus, document as protocol, invalid, machine, valid};

const BLESS: &str = "is out of date: run cargo test -p user-proto --test it -- --ignored bless";

/// Encodes the message that was decoded from `body`, after comparing its fields with the vector.
fn encoded(vector: &Valid, body: &[u8]) -> Vec<u8> {
    let kind = from_hex(&vector.kind)[0];
    let mut out = BytesMut::new();
    match vector.direction {
        Direction::Request => {
            let (request, common) = Request::decode(kind, body).unwrap();
            assert_eq!(request.row(), (kind, vector.message.as_str()), "{}", vector.name);
            assert_eq!(fields(|visit| request.view(visit)), vector.fields, "{}", vector.name);
            assert_eq!(fields(|visit| common.view(visit)), vector.common, "{}", vector.name);
            request.encode(vector.id, &common, &mut out).unwrap();
        }
        Direction::Reply => {
            let reply = Reply::decode(kind, body).unwrap();
            assert_eq!(reply.row(), (kind, vector.message.as_str()), "{}", vector.name);
            assert_eq!(fields(|visit| reply.view(visit)), vector.fields, "{}", vector.name);
            reply.encode(vector.id, &mut out).unwrap();
        }
    }
    out.to_vec()
}

#[test]
fn valid_vectors_decode_to_their_fields_and_encode_to_their_bytes() {
    for vector in files::valid().vectors {
        let bytes = from_hex(&vector.hex);
        let (found, size) = frame::split(&bytes).unwrap().expect("a complete frame");
        assert_eq!(
            (size, found.id, found.kind),
            (bytes.len(), vector.id, bytes[4]),
            "{}",
            vector.name
        );
        assert_eq!(
            to_hex(&encoded(&vector, found.body)),
            to_hex(&vector.canonical()),
            "{}",
            vector.name
        );
    }
}

#[test]
fn protocol_md_decodes_and_encodes_the_same_messages() {
    let contract = Contract::read(&document());
    for vector in files::valid().vectors {
        let bytes = from_hex(&vector.hex);
        let (own, common) = contract.fields(&bytes, vector.direction);
        assert_eq!((&own, &common), (&vector.fields, &vector.common), "{}", vector.name);
        let written = contract.frame(bytes[4], vector.id, &own, &common);
        assert_eq!(to_hex(&written), to_hex(&vector.canonical()), "{}", vector.name);
    }
}

#[test]
fn every_message_and_every_error_code_has_vectors() {
    let vectors = files::valid().vectors;
    let rows = Request::ALL.iter().map(|row| (Direction::Request, row));
    for (direction, (kind, name)) in
        rows.chain(Reply::ALL.iter().map(|row| (Direction::Reply, row)))
    {
        for variant in ["", ".greased"] {
            let expected = format!("{}{variant}", valid::snake(name));
            let found = vectors.iter().find(|vector| vector.name == expected);
            let found = found.unwrap_or_else(|| {
                panic!("no vector {expected}: add {name} to tests/it/samples.rs")
            });
            assert_eq!(
                (found.direction, found.kind.as_str()),
                (direction, format!("{kind:02x}").as_str())
            );
        }
        let full = vectors
            .iter()
            .filter(|vector| vector.message == *name)
            .map(|vector| vector.fields.len())
            .max();
        let sample = valid::samples().into_iter().find(|sample| sample.kind == *kind).unwrap();
        assert_eq!(
            full,
            Some(sample.tags(0..valid::COMMON).len() + required(&sample)),
            "{name}: no vector has all tags"
        );
    }
}

fn required(sample: &valid::Sample) -> usize {
    sample.spans.iter().filter(|span| span.tag.is_none()).count()
}

/// Level, code and field of an error.
type Verdict = (Level, Option<ErrorCode>, Option<Cow<'static, str>>);

/// Decodes the first message of a stream. Returns the level, the code and the field of an error.
fn judge(direction: Direction, bytes: &[u8]) -> Result<(), Verdict> {
    let found = frame::split(bytes).map_err(|error| (Level::Frame, Some(error.code()), None))?;
    let (found, _) = found.ok_or((Level::Incomplete, None, None))?;
    if direction == Direction::Request && found.id == limits::CONNECTION_ID {
        return Err((Level::Frame, Some(ErrorCode::MALFORMED), Some("request_id".into())));
    }
    let refuse = |error: DecodeError| (Level::Message, Some(error.code()), error.field());
    match direction {
        Direction::Request => Request::decode(found.kind, found.body).map(drop).map_err(refuse),
        Direction::Reply => Reply::decode(found.kind, found.body).map(drop).map_err(refuse),
    }
}

#[test]
fn invalid_vectors_are_rejected_with_their_error() {
    for vector in files::invalid().vectors {
        let Err((level, code, field)) = judge(vector.direction, &from_hex(&vector.hex)) else {
            panic!("{} was accepted", vector.name);
        };
        let actual = (level, code.map(code_text), code.map(ErrorCode::name), field.as_deref());
        let Invalid { level, code, code_name, field, .. } = &vector;
        assert_eq!(
            actual,
            (*level, code.clone(), code_name.as_deref(), field.as_deref()),
            "{}",
            vector.name
        );
    }
}

#[test]
fn a_truncated_message_is_malformed_or_incomplete() {
    let valid = files::valid().vectors;
    for truncation in files::invalid().truncations {
        let whole = valid.iter().find(|vector| vector.name == truncation.of).unwrap();
        let bytes = from_hex(&whole.hex);
        for size in 0..bytes.len() {
            let judged = judge(whole.direction, &bytes[..size]);
            assert_eq!(
                judged,
                Err((Level::Incomplete, None, None)),
                "{} truncated to {size} bytes",
                whole.name
            );
        }
        let body = &bytes[9..];
        for size in 0..body.len() {
            let judged =
                judge(whole.direction, &crate::spans::frame(bytes[4], whole.id, &body[..size]));
            let accepted = truncation.valid_at.contains(&size);
            assert_eq!(judged.is_ok(), accepted, "{} truncated to {size} bytes", whole.name);
            let code = judged.err().and_then(|(_, code, _)| code);
            assert_eq!(
                code,
                (!accepted).then_some(ErrorCode::MALFORMED),
                "{} truncated to {size} bytes",
                whole.name
            );
        }
    }
}

#[test]
fn vectors_match_bytes_written_by_hand() {
    let by_hand = [
        ("ping", "00000005 7f 00001a2b"),
        ("pong.own", "0000001a ff 00001a2b 01 0004 00000100 03 0004 0000012c 05 0004 00000020"),
        (
            "logout.all_sessions",
            &format!(
                "00000048 09 00001a2b 003e {} 02 0000",
                to_hex(crate::samples::ACCESS.as_bytes())
            ),
        ),
        ("code_resent", "0000000d 87 00001a2b 00000384 0000003c"),
        ("edge.empty_text_and_secret", "00000009 02 00001a2b 0000 0000"),
    ];
    let vectors = files::valid().vectors;
    for (name, hex) in by_hand {
        let vector = vectors.iter().find(|vector| vector.name == name).unwrap();
        assert_eq!(from_hex(&vector.hex), from_hex(hex), "{name}");
    }
}

#[test]
fn names_are_unique() {
    let names = |names: Vec<String>| {
        let count = names.len();
        assert_eq!(names.into_iter().collect::<std::collections::BTreeSet<_>>().len(), count);
    };
    names(files::valid().vectors.into_iter().map(|vector| vector.name).collect());
    names(files::invalid().vectors.into_iter().map(|vector| vector.name).collect());
}

fn generated_valid() -> ValidFile {
    let about = "Valid frames. PROTOCOL.md, section 12, describes the format of this file.";
    ValidFile { about: about.to_owned(), vectors: valid::vectors() }
}

fn generated_invalid() -> InvalidFile {
    InvalidFile {
        about: "Invalid and incomplete frames. PROTOCOL.md, section 12, describes the format of \
            this file."
            .to_owned(),
        truncations_about: "Truncate the body of the valid vector `of` to each shorter length and \
            adjust the length of the frame: the message is valid at the lengths in `valid_at`, and \
            MALFORMED at any other. Truncate the frame without adjusting its length: incomplete."
            .to_owned(),
        vectors: invalid::vectors(),
        truncations: invalid::truncations(),
    }
}

#[test]
fn the_files_are_as_generated() {
    assert!(files::valid() == generated_valid(), "valid.json {BLESS}");
    assert!(files::invalid() == generated_invalid(), "invalid.json {BLESS}");
}

#[test]
#[ignore = "writes the vectors, the dumps in PROTOCOL.md and the seeds of the fuzz corpus"]
fn bless() {
    let text = |text: &str| json!(text).to_string();
    let valid = generated_valid();
    let file =
        files::render(&[("about", text(&valid.about)), ("vectors", files::list(&valid.vectors))]);
    std::fs::write(files::path("vectors/valid.json"), file).unwrap();
    let invalid = generated_invalid();
    let file = files::render(&[
        ("about", text(&invalid.about)),
        ("truncations_about", text(&invalid.truncations_about)),
        ("vectors", files::list(&invalid.vectors)),
        ("truncations", files::list(&invalid.truncations)),
    ]);
    std::fs::write(files::path("vectors/invalid.json"), file).unwrap();
    protocol::bless(&valid.vectors);
    corpus::bless(&valid.vectors, &invalid.vectors);
    machine::bless();
}

#[test]
fn the_default_common_tags_are_empty() {
    assert!(fields(|visit| Common::default().view(visit)).is_empty());
}
