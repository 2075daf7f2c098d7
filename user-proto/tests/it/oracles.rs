//! What has to hold for any bytes at all. Fuzz targets and tests call the same functions, so that
//! what the fuzzer found stays found. Uses nothing of the other tests: the fuzz crate includes this
//! file.

use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::Decoder;
use user_proto::codec::{CodecError, FrameCodec};
use user_proto::frame::{self, FrameError};
use user_proto::limits::MAX_FRAME;
use user_proto::{Reply, Request};

/// What a reader starts with, as tokio-util's does.
const START: usize = 8 * 1024;

/// What a stream of bytes is: its frames as type, id and body, and what ended it, if anything did.
pub(crate) type Stream = (Vec<(u8, u32, Bytes)>, Option<FrameError>);

/// A stream is the same frames however its bytes arrive, and waiting for one takes no more memory
/// than one can need. The first bytes of `data` say how the rest is cut.
///
/// # Panics
/// Where that does not hold.
pub(crate) fn frames(data: &[u8]) {
    let Some((&[first, second], stream)) = data.split_first_chunk() else { return };
    let whole = at_once(stream);
    let cuts = [usize::from(first) + 1, (usize::from(second) << 3) + 1];
    assert_eq!(in_chunks(stream, cuts), whole, "in chunks of {cuts:?}");
    assert_eq!(in_chunks(stream, [1, 1]), whole, "byte by byte");
}

/// The frames of a stream that is all there.
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

/// The frames of a stream that comes in chunks of these sizes in turn. It is read as tokio-util's
/// `FramedRead` reads: into the room that the buffer has, and into more only when it is full.
pub(crate) fn in_chunks(mut stream: &[u8], sizes: [usize; 2]) -> Stream {
    let mut frames: Vec<(u8, u32, Bytes)> = Vec::new();
    let mut buffer = BytesMut::with_capacity(START);
    for size in sizes.into_iter().cycle() {
        if stream.is_empty() {
            break;
        }
        buffer.reserve(1);
        let room = buffer.capacity() - buffer.len();
        let (chunk, rest) = stream.split_at(size.min(room).min(stream.len()));
        stream = rest;
        buffer.put_slice(chunk);
        loop {
            match FrameCodec.decode(&mut buffer) {
                Ok(Some(found)) => {
                    // A frame that is kept holds the buffer that it came in; one that is dropped
                    // gives it back.
                    let keep = frames.len().is_multiple_of(2);
                    let body = if keep { found.body } else { Bytes::copy_from_slice(&found.body) };
                    frames.push((found.kind, found.id, body));
                }
                Ok(None) => break,
                Err(CodecError::Frame(error)) => return (frames, Some(error)),
                Err(other) => panic!("the decoder fails on lengths only, not with {other}"),
            }
        }
        assert!(buffer.len() < MAX_FRAME, "{} bytes wait, which hold a whole frame", buffer.len());
        assert!(
            buffer.capacity() <= MAX_FRAME,
            "{} bytes are held for one frame",
            buffer.capacity()
        );
    }
    (frames, None)
}

/// A body that is a message has one byte form: encoding what was read gives the same bytes, but for
/// tags that were skipped, and reading them again gives the same message. The first byte of `data`
/// is the type.
///
/// # Panics
/// Where that does not hold.
pub(crate) fn messages(data: &[u8]) {
    let Some((&kind, body)) = data.split_first() else { return };
    let mut out = BytesMut::new();
    if let Ok((request, common)) = Request::decode(kind, body) {
        request.encode(1, &common, &mut out).expect("what was read can be written");
        let again = again(&out, kind, body);
        assert_eq!(Request::decode(kind, again), Ok((request.clone(), common.clone())));
        assert_eq!(Request::decode(kind, again), Ok((request.into_owned(), common.into_owned())));
    }
    out.clear();
    if let Ok(reply) = Reply::decode(kind, body) {
        reply.encode(1, &mut out).expect("what was read can be written");
        let again = again(&out, kind, body);
        assert_eq!(Reply::decode(kind, again), Ok(reply.clone()));
        assert_eq!(Reply::decode(kind, again), Ok(reply.into_owned()));
    }
}

/// The body of the frame that `out` is, held against the body that it was made of.
fn again<'a>(out: &'a [u8], kind: u8, body: &[u8]) -> &'a [u8] {
    let (found, size) = frame::split(out).expect("a length that can be").expect("a whole frame");
    assert_eq!((found.kind, found.id, size), (kind, 1, out.len()));
    match body.len() - found.body.len() {
        0 => assert_eq!(found.body, body),
        // The least that can be skipped is a tag with an empty value.
        skipped => assert!(skipped >= 3, "{skipped} bytes were skipped"),
    }
    found.body
}
