//! Properties that hold for any bytes. Fuzz targets and tests call the same functions, so a finding
//! of the fuzzer becomes a regression test. The fuzz crate includes this file, so it must not use
//! other modules of the tests.

use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::Decoder;
use user_proto::codec::{CodecError, FrameCodec};
use user_proto::frame::{self, FrameError};
use user_proto::limits::MAX_FRAME;
use user_proto::{Reply, Request};

/// Initial capacity of a read buffer in bytes, the same as that of tokio-util.
const INITIAL_CAPACITY: usize = 8 * 1024;

/// The frames of a stream as type, request id and body, and the error that ended it, if any.
pub(crate) type Stream = (Vec<(u8, u32, Bytes)>, Option<FrameError>);

/// Checks that a stream yields the same frames in any chunking, and that an incomplete frame needs
/// no more memory than the longest frame. The first two bytes of `data` determine the chunk sizes.
///
/// # Panics
/// Panics if a check fails.
pub(crate) fn frames(data: &[u8]) {
    let Some((&[first, second], stream)) = data.split_first_chunk() else { return };
    let whole = at_once(stream);
    let sizes = [usize::from(first) + 1, (usize::from(second) << 3) + 1];
    assert_eq!(in_chunks(stream, sizes), whole, "in chunks of {sizes:?}");
    assert_eq!(in_chunks(stream, [1, 1]), whole, "byte by byte");
}

/// Splits a complete stream into frames.
pub(crate) fn at_once(mut stream: &[u8]) -> Stream {
    let mut frames = Vec::new();
    loop {
        match frame::split(stream) {
            Ok(Some((found, size))) => {
                assert_eq!(frame::size(stream), Ok(Some(size)));
                frames.push((found.kind, found.id, Bytes::copy_from_slice(found.body)));
                stream = &stream[size..];
            }
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

/// Splits a stream that arrives in chunks of alternately these sizes. Like `FramedRead` of
/// tokio-util, it fills the capacity of the buffer and extends the buffer only when it is full.
pub(crate) fn in_chunks(mut stream: &[u8], sizes: [usize; 2]) -> Stream {
    let mut frames: Vec<(u8, u32, Bytes)> = Vec::new();
    let mut buffer = BytesMut::with_capacity(INITIAL_CAPACITY);
    for size in sizes.into_iter().cycle() {
        if stream.is_empty() {
            break;
        }
        buffer.reserve(1);
        let free = buffer.capacity() - buffer.len();
        let (chunk, rest) = stream.split_at(size.min(free).min(stream.len()));
        stream = rest;
        buffer.put_slice(chunk);
        loop {
            match FrameCodec.decode(&mut buffer) {
                Ok(Some(found)) => {
                    // A stored frame keeps its buffer alive; a dropped one releases it.
                    let keep = frames.len().is_multiple_of(2);
                    let body = if keep { found.body } else { Bytes::copy_from_slice(&found.body) };
                    frames.push((found.kind, found.id, body));
                }
                Ok(None) => break,
                Err(CodecError::Frame(error)) => return (frames, Some(error)),
                Err(other) => {
                    panic!("the decoder fails only on an invalid length, not with {other}")
                }
            }
        }
        assert!(
            buffer.len() < MAX_FRAME,
            "{} undecoded bytes contain a complete frame",
            buffer.len()
        );
        assert!(
            buffer.capacity() <= MAX_FRAME,
            "{} bytes are reserved for one frame",
            buffer.capacity()
        );
    }
    (frames, None)
}

/// Checks that a message has exactly one encoding: encoding a decoded message yields the same bytes
/// except for skipped tags, and decoding these yields the same message. The first byte of `data` is
/// the type, the others are the body.
///
/// # Panics
/// Panics if a check fails.
pub(crate) fn messages(data: &[u8]) {
    let Some((&kind, body)) = data.split_first() else { return };
    let mut out = BytesMut::new();
    if let Ok((request, common)) = Request::decode(kind, body) {
        request.encode(1, &common, &mut out).expect("a decoded message can be encoded");
        let again = reencoded(&out, kind, body);
        assert_eq!(Request::decode(kind, again), Ok((request.clone(), common.clone())));
        assert_eq!(Request::decode(kind, again), Ok((request.into_owned(), common.into_owned())));
    }
    out.clear();
    if let Ok(reply) = Reply::decode(kind, body) {
        reply.encode(1, &mut out).expect("a decoded message can be encoded");
        let again = reencoded(&out, kind, body);
        assert_eq!(Reply::decode(kind, again), Ok(reply.clone()));
        assert_eq!(Reply::decode(kind, again), Ok(reply.into_owned()));
    }
}

/// Returns the body of the frame in `out`, after comparing it with the original body.
fn reencoded<'a>(out: &'a [u8], kind: u8, body: &[u8]) -> &'a [u8] {
    let (found, size) = frame::split(out).expect("a valid length").expect("a complete frame");
    assert_eq!((found.kind, found.id, size), (kind, 1, out.len()));
    match body.len() - found.body.len() {
        0 => assert_eq!(found.body, body),
        // The shortest tag that can be skipped has an empty value.
        skipped => assert!(skipped >= 3, "{skipped} bytes were skipped"),
    }
    found.body
}
