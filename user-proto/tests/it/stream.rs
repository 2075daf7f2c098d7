//! Frames over a stream, read in chunks.

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncWriteExt, duplex};
use tokio_util::codec::{Decoder, Encoder, Framed, FramedRead};
use user_proto::codec::{CodecError, FrameCodec, RawFrame};
use user_proto::frame::{self, FrameError};
use user_proto::limits::{MAX_FRAME, MAX_LENGTH, MIN_LENGTH};
use user_proto::{Common, Ping, Pong, Reply, Request, VerifyToken};

use crate::samples;

fn bytes(request: impl Into<Request<'static>>, id: u32) -> Vec<u8> {
    let mut out = BytesMut::new();
    request.into().encode(id, &Common::default(), &mut out).unwrap();
    out.to_vec()
}

#[tokio::test]
async fn a_frame_that_arrives_in_chunks_is_one_message() {
    let (mut client, server) = duplex(64);
    let mut frames = FramedRead::new(server, FrameCodec);
    let frame = bytes(VerifyToken { access_token: samples::ACCESS.into() }, 7);
    let ping = bytes(Ping {}, 8);

    // The first chunks end in the length, in the header and in the field. The fourth contains half
    // of the next frame.
    let chunks = [
        &frame[..2],
        &frame[2..6],
        &frame[6..20],
        &[&frame[20..], &ping[..6]].concat(),
        &ping[6..],
    ];
    let chunks: Vec<Vec<u8>> = chunks.into_iter().map(<[u8]>::to_vec).collect();
    let writer = tokio::spawn(async move {
        for chunk in chunks {
            client.write_all(&chunk).await.unwrap();
            tokio::task::yield_now().await;
        }
    });

    let first = frames.next().await.unwrap().unwrap();
    assert_eq!(
        first.request().unwrap().0,
        VerifyToken { access_token: samples::ACCESS.into() }.into()
    );
    let second = frames.next().await.unwrap().unwrap();
    assert_eq!((second.id, second.request().unwrap().0), (8, Ping {}.into()));
    writer.await.unwrap();
    assert!(frames.next().await.is_none(), "a stream may end between two frames");
}

#[tokio::test]
async fn a_stream_that_ends_inside_a_frame_is_an_error() {
    let (mut client, server) = duplex(64);
    client.write_all(&bytes(Ping {}, 1)[..7]).await.unwrap();
    drop(client);
    let ended = FramedRead::new(server, FrameCodec).next().await.unwrap();
    assert!(matches!(ended, Err(CodecError::Io(_))), "{ended:?}");
}

#[tokio::test]
async fn an_invalid_message_does_not_end_the_stream_but_an_invalid_length_does() {
    let (mut client, server) = duplex(256);
    let mut frames = FramedRead::new(server, FrameCodec);
    client.write_all(&crate::spans::frame(0x3F, 1, b"?")).await.unwrap();
    client.write_all(&bytes(Ping {}, 2)).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();

    assert!(frames.next().await.unwrap().unwrap().request().is_err());
    assert_eq!(frames.next().await.unwrap().unwrap().id, 2);
    let lost = frames.next().await.unwrap();
    let Err(CodecError::Frame(error @ FrameError::TooLong(_))) = lost else { panic!("{lost:?}") };
    assert_eq!(error.looks_like(), Some("HTTP"));
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn a_request_and_its_reply_pass_through_a_stream() {
    let (client, server) = duplex(32);
    let (mut client, mut server) =
        (Framed::new(client, FrameCodec), Framed::new(server, FrameCodec));
    let pong = || Pong { max_in_flight: Some(256), idle_timeout: Some(300), max_hashing: None };
    let serve = async {
        let received = server.next().await.unwrap().unwrap();
        assert_eq!(received.request().unwrap(), (Ping {}.into(), samples::common()));
        server.send((received.id, Reply::from(pong()))).await.unwrap();
    };
    let call = async {
        client.send((41, Request::from(Ping {}), samples::common())).await.unwrap();
        let reply = client.next().await.unwrap().unwrap();
        assert_eq!((reply.id, reply.reply().unwrap()), (41, pong().into()));
    };
    tokio::join!(serve, call);
}

#[test]
fn a_message_that_is_too_long_leaves_the_buffer_unchanged() {
    let mut out = BytesMut::from(b"before".as_slice());
    for size in [65_529, 65_535, 65_536, 200_000] {
        let request = VerifyToken { access_token: "t".repeat(size).into() };
        assert!(user_proto::encode(1, &request, &mut out).is_err(), "a token of {size} bytes");
        assert_eq!(out, b"before".as_slice());
    }
    let longest = VerifyToken { access_token: "t".repeat(65_528).into() };
    assert!(user_proto::encode(1, &longest, &mut out).is_ok());
    let frame = &out["before".len()..];
    let (found, size) = frame::split(frame).unwrap().expect("the longest frame is valid");
    assert_eq!((size, frame.len()), (MAX_FRAME, MAX_FRAME));
    assert_eq!(Request::decode(found.kind, found.body).unwrap().0, longest.into());
}

#[test]
fn a_raw_frame_is_forwarded_byte_for_byte() {
    let sent =
        [bytes(VerifyToken { access_token: samples::ACCESS.into() }, 7), bytes(Ping {}, u32::MAX)]
            .concat();
    let (mut input, mut out) = (BytesMut::from(sent.as_slice()), BytesMut::new());
    while let Some(frame) = FrameCodec.decode(&mut input).unwrap() {
        FrameCodec.encode(frame, &mut out).unwrap();
    }
    assert_eq!(out, sent.as_slice());
}

#[test]
fn a_raw_frame_has_at_most_the_maximum_length() {
    let frame = |size: usize| RawFrame { kind: 0x3F, id: 1, body: vec![b'x'; size].into() };
    let longest = MAX_LENGTH - MIN_LENGTH;
    let mut out = BytesMut::new();
    FrameCodec.encode(frame(longest), &mut out).unwrap();
    assert_eq!((out.len(), frame::size(&out)), (MAX_FRAME, Ok(Some(MAX_FRAME))));
    assert!(out.capacity() < 2 * MAX_FRAME, "capacity of {} bytes", out.capacity());
    assert!(matches!(FrameCodec.encode(frame(longest + 1), &mut out), Err(CodecError::Encode(_))));
    assert_eq!(out.len(), MAX_FRAME, "nothing was written");
}

#[test]
fn capacity_for_a_frame_is_reserved_once_and_only_if_it_is_missing() {
    let waiting = |mut input: BytesMut, length: usize| {
        let frame = u32::try_from(length).unwrap().to_be_bytes();
        input.extend_from_slice(&frame);
        let before = input.as_ptr();
        assert!(FrameCodec.decode(&mut input).unwrap().is_none());
        assert_eq!(input, frame.as_slice(), "the received bytes are preserved");
        (input.capacity(), input.as_ptr() == before)
    };
    let (capacity, _) = waiting(BytesMut::with_capacity(16), MAX_LENGTH);
    assert!((MAX_FRAME..2 * MAX_FRAME).contains(&capacity), "capacity of {capacity} bytes");
    let (capacity, _) = waiting(BytesMut::with_capacity(16), 300);
    assert!(
        (8 * 1024..MAX_FRAME).contains(&capacity),
        "capacity of {capacity} bytes for a short frame"
    );
    assert_eq!(
        waiting(BytesMut::with_capacity(MAX_FRAME), MAX_LENGTH),
        (MAX_FRAME, true),
        "nothing was moved"
    );
}

#[test]
fn debug_of_a_frame_shows_its_type_and_length() {
    let raw = RawFrame { kind: 0x03, id: 9, body: Bytes::from_static(b"token") };
    assert_eq!(format!("{raw:?}"), "RawFrame { kind: 0x03, id: 9, body: 5 bytes }");
    let borrowed = frame::Frame { kind: raw.kind, id: raw.id, body: &raw.body };
    assert_eq!(format!("{borrowed:?}"), "Frame { kind: 0x03, id: 9, body: 5 bytes }");
}
