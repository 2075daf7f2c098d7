//! Number of allocations to encode and decode a message, printed as a table. Separate from `codec`,
//! because the counting allocator is slow. Run with `cargo bench -p user-proto --bench
//! allocations`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark, not an interface"
)]

#[path = "../tests/it/samples.rs"]
#[allow(dead_code, reason = "the tests use the other items")]
mod samples;

#[allow(dead_code, reason = "`codec` uses the other items")]
mod rivals;

use std::hint::black_box;

use allocation_counter::measure;
use bytes::BytesMut;
use prost::Message as _;
use user_proto::codec::FrameCodec;
use user_proto::{Common, Reply, Request, VerifyToken, frame};

fn print(name: &str, encode: impl FnOnce(), decode: impl FnOnce()) {
    println!("{name:<40} {:>6} {:>6}", measure(encode).count_total, measure(decode).count_total);
}

fn main() {
    println!("{:<40} {:>6} {:>6}", "allocations", "encode", "decode");
    for request in samples::requests() {
        let mut out = BytesMut::with_capacity(4_096);
        request.encode(1, &Common::default(), &mut out).unwrap();
        let bytes = out.split().freeze();
        let decode = || {
            let (found, _) = frame::split(&bytes).unwrap().unwrap();
            assert!(Request::decode(found.kind, found.body).is_ok());
        };
        print(request.row().1, || request.encode(1, &Common::default(), &mut out).unwrap(), decode);
    }
    for reply in samples::replies() {
        let mut out = BytesMut::with_capacity(4_096);
        reply.encode(1, &mut out).unwrap();
        let bytes = out.split().freeze();
        let decode = || {
            let (found, _) = frame::split(&bytes).unwrap().unwrap();
            assert!(Reply::decode(found.kind, found.body).is_ok());
        };
        print(reply.row().1, || reply.encode(1, &mut out).unwrap(), decode);
    }
    macro_rules! rivals {
        ($($name:ident)*) => {$(
            let (proto, json) = (rivals::proto::$name::sample(), rivals::json::$name::sample());
            let bytes = proto.encode_to_vec();
            let mut out = Vec::with_capacity(4_096);
            let decode = || _ = black_box(rivals::proto::$name::decode(bytes.as_slice()).unwrap());
            let encode = || proto.encode(&mut out).unwrap();
            print(concat!(stringify!($name), " (prost)"), encode, decode);
            let bytes = serde_json::to_vec(&json).unwrap();
            let mut out = Vec::with_capacity(4_096);
            let decode = || {
                black_box(serde_json::from_slice::<rivals::json::$name<'_>>(&bytes).unwrap());
            };
            let encode = || serde_json::to_writer(&mut out, &json).unwrap();
            print(concat!(stringify!($name), " (serde_json)"), encode, decode);
        )*};
    }
    rivals! { Login VerifyToken LoggedIn TokenVerified }
    framed();
}

/// Allocations of `FrameCodec`. Its frames share the read buffer, so only the first one allocates.
fn framed() {
    let mut buffer = BytesMut::with_capacity(4_096);
    for id in 1..=8 {
        user_proto::encode(id, &VerifyToken { access_token: samples::ACCESS.into() }, &mut buffer)
            .unwrap();
    }
    let count = measure(|| {
        while let Some(frame) =
            tokio_util::codec::Decoder::decode(&mut FrameCodec, &mut buffer).unwrap()
        {
            assert!(frame.request().is_ok());
        }
    });
    println!("{:<40} {:>6} {:>6}", "8 frames by FrameCodec", "", count.count_total);
}
