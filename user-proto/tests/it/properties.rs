//! Properties of any message and of any bytes.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use user_proto::{ErrorCode, Reply, Request, frame, limits};

use crate::oracles;
use crate::strategies::{any_of, common, replies, requests};

/// Any message, encoded as a frame.
fn any_frame() -> BoxedStrategy<Vec<u8>> {
    let request = (any_of(requests()), common(), 1..u32::MAX).prop_map(|(request, common, id)| {
        let mut out = BytesMut::new();
        request.encode(id, &common, &mut out).unwrap();
        out.to_vec()
    });
    let reply = (any_of(replies()), any::<u32>()).prop_map(|(reply, id)| {
        let mut out = BytesMut::new();
        reply.encode(id, &mut out).unwrap();
        out.to_vec()
    });
    prop_oneof![request, reply].boxed()
}

#[test]
fn every_row_of_the_table_has_a_strategy() {
    let types = |rows: &[(u8, &str)]| rows.iter().map(|(kind, _)| *kind).collect::<Vec<_>>();
    let strategies: Vec<_> = requests().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        strategies,
        types(Request::ALL),
        "tests/it/strategies.rs has a row for each request"
    );
    let strategies: Vec<_> = replies().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(strategies, types(Reply::ALL), "tests/it/strategies.rs has a row for each reply");
}

proptest! {
    #[test]
    fn an_encoded_request_decodes_to_the_same_request(
        request in any_of(requests()),
        common in common(),
        id in any::<u32>(),
    ) {
        let mut out = BytesMut::new();
        request.encode(id, &common, &mut out).unwrap();
        let (found, size) = frame::split(&out).unwrap().unwrap();
        prop_assert_eq!((found.id, found.kind, size), (id, request.row().0, out.len()));
        prop_assert_eq!(Request::decode(found.kind, found.body), Ok((request, common)));
    }

    #[test]
    fn an_encoded_reply_decodes_to_the_same_reply(reply in any_of(replies()), id in any::<u32>()) {
        let mut out = BytesMut::new();
        reply.encode(id, &mut out).unwrap();
        let (found, size) = frame::split(&out).unwrap().unwrap();
        prop_assert_eq!((found.id, found.kind, size), (id, reply.row().0, out.len()));
        prop_assert_eq!(Reply::decode(found.kind, found.body), Ok(reply));
    }

    #[test]
    fn messages_decode_to_the_same_frames_in_any_chunking(
        frames in vec(any_frame(), 0..6),
        sizes in [1..2_000_usize, 1..2_000_usize],
    ) {
        let stream = frames.concat();
        let whole = oracles::at_once(&stream);
        prop_assert_eq!(whole.0.len(), frames.len());
        prop_assert_eq!(&oracles::in_chunks(&stream, sizes), &whole);
        prop_assert_eq!(&oracles::in_chunks(&stream, [1, 1]), &whole);
    }

    #[test]
    fn every_strict_prefix_of_a_frame_is_incomplete(frame in any_frame()) {
        for size in 0..frame.len() {
            prop_assert_eq!(frame::split(&frame[..size]), Ok(None), "at {}", size);
        }
    }

    #[test]
    fn a_truncated_body_is_malformed_or_ends_between_two_tags(frame in any_frame()) {
        let (kind, body) = (frame[4], &frame[9..]);
        for size in 0..body.len() {
            let prefix = &body[..size];
            let mut out = BytesMut::new();
            if kind & limits::REPLY_BIT == 0 {
                match Request::decode(kind, prefix) {
                    Ok((request, common)) => request.encode(1, &common, &mut out).unwrap(),
                    Err(error) => prop_assert_eq!(error.code(), ErrorCode::MALFORMED),
                }
            } else {
                match Reply::decode(kind, prefix) {
                    Ok(reply) => reply.encode(1, &mut out).unwrap(),
                    Err(error) => prop_assert_eq!(error.code(), ErrorCode::MALFORMED),
                }
            }
            prop_assert!(out.is_empty() || out[9..] == *prefix, "truncated to {} bytes", size);
        }
    }

    #[test]
    fn a_body_with_one_changed_byte_is_a_message_or_an_error(
        frame in any_frame(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut data = [&frame[4..5], &frame[9..]].concat();
        let at = at.index(data.len());
        data[at] = byte;
        oracles::messages(&data);
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(data in vec(any::<u8>(), 0..4_000)) {
        oracles::frames(&data);
    }

    #[test]
    fn any_body_is_a_message_or_an_error(data in vec(any::<u8>(), 0..400)) {
        for kind in 0..=u8::MAX {
            oracles::messages(&[&[kind], data.as_slice()].concat());
        }
    }

    #[test]
    fn the_memory_for_long_frames_is_bounded(
        lengths in vec(5..=65_535_u32, 1..5),
        chunk in 1..70_000_usize,
    ) {
        let frame = |length: u32| {
            [&length.to_be_bytes(), vec![0x55; length as usize].as_slice()].concat()
        };
        let stream: Vec<u8> = lengths.iter().copied().flat_map(frame).collect();
        prop_assert_eq!(oracles::in_chunks(&stream, [chunk, 8_192]).0.len(), lengths.len());
    }
}
