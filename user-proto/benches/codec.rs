//! Time to encode and decode a message, compared with prost and serde_json for the same content,
//! and with `LengthDelimitedCodec` for framing alone. Run with `cargo bench -p user-proto --bench
//! codec`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark, not an interface")]

#[path = "../tests/it/samples.rs"]
#[allow(dead_code, reason = "the tests use the other items")]
mod samples;

mod rivals;

use std::hint::black_box;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prost::Message as _;
use tokio_util::codec::{Decoder, LengthDelimitedCodec};
use user_proto::codec::FrameCodec;
use user_proto::{Common, Reply, Request, VerifyToken, frame};

fn every_message(c: &mut Criterion) {
    let mut group = c.benchmark_group("message");
    let mut out = BytesMut::with_capacity(4_096);
    for request in samples::requests() {
        let name = request.row().1;
        out.clear();
        request.encode(1, &Common::default(), &mut out).unwrap();
        let bytes = out.clone().freeze();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("decode", name), |b| {
            b.iter(|| {
                let (found, _) = frame::split(black_box(&bytes)).unwrap().unwrap();
                black_box(Request::decode(found.kind, found.body).unwrap());
            });
        });
        group.bench_function(BenchmarkId::new("encode", name), |b| {
            b.iter(|| {
                out.clear();
                black_box(&request).encode(1, &Common::default(), &mut out).unwrap();
                black_box(&out);
            });
        });
    }
    for reply in samples::replies() {
        let name = reply.row().1;
        out.clear();
        reply.encode(1, &mut out).unwrap();
        let bytes = out.clone().freeze();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("decode", name), |b| {
            b.iter(|| {
                let (found, _) = frame::split(black_box(&bytes)).unwrap().unwrap();
                black_box(Reply::decode(found.kind, found.body).unwrap());
            });
        });
        group.bench_function(BenchmarkId::new("encode", name), |b| {
            b.iter(|| {
                out.clear();
                black_box(&reply).encode(1, &mut out).unwrap();
                black_box(&out);
            });
        });
    }
    group.finish();
}

/// The same content with prost and serde_json. The frame header is the same, so only the body
/// differs.
fn rivals(c: &mut Criterion) {
    let mut group = c.benchmark_group("rivals");
    macro_rules! compare {
        ($name:ident) => {
            let label = stringify!($name);
            let (proto, json) = (rivals::proto::$name::sample(), rivals::json::$name::sample());
            let mut out = Vec::with_capacity(4_096);
            rivals::framed(&mut out, |out| proto.encode(out).unwrap());
            let bytes = out.clone();
            group.bench_function(BenchmarkId::new("prost/decode", label), |b| {
                b.iter(|| {
                    let (found, _) = frame::split(black_box(&bytes)).unwrap().unwrap();
                    black_box(rivals::proto::$name::decode(found.body).unwrap());
                });
            });
            group.bench_function(BenchmarkId::new("prost/encode", label), |b| {
                b.iter(|| {
                    out.clear();
                    rivals::framed(&mut out, |out| black_box(&proto).encode(out).unwrap());
                    black_box(&out);
                });
            });
            out.clear();
            rivals::framed(&mut out, |out| serde_json::to_writer(out, &json).unwrap());
            let bytes = out.clone();
            group.bench_function(BenchmarkId::new("serde_json/decode", label), |b| {
                b.iter(|| {
                    let (found, _) = frame::split(black_box(&bytes)).unwrap().unwrap();
                    black_box(
                        serde_json::from_slice::<rivals::json::$name<'_>>(found.body).unwrap(),
                    );
                });
            });
            group.bench_function(BenchmarkId::new("serde_json/encode", label), |b| {
                b.iter(|| {
                    out.clear();
                    rivals::framed(&mut out, |out| {
                        serde_json::to_writer(out, black_box(&json)).unwrap()
                    });
                    black_box(&out);
                });
            });
        };
    }
    compare!(Login);
    compare!(VerifyToken);
    compare!(LoggedIn);
    compare!(TokenVerified);
    group.finish();
}

/// Splitting a buffer into frames, with this codec and with one that reads lengths only.
fn framing(c: &mut Criterion) {
    const FRAMES: usize = 64;
    let mut one = BytesMut::new();
    user_proto::encode(1, &VerifyToken { access_token: samples::ACCESS.into() }, &mut one).unwrap();
    let stream = one.repeat(FRAMES);
    let mut group = c.benchmark_group("framing");
    group.throughput(Throughput::Elements(FRAMES as u64));
    group.bench_function("FrameCodec", |b| {
        b.iter(|| {
            let mut buffer = BytesMut::from(stream.as_slice());
            while let Some(frame) = FrameCodec.decode(&mut buffer).unwrap() {
                black_box(frame);
            }
        });
    });
    group.bench_function("LengthDelimitedCodec", |b| {
        let mut codec = LengthDelimitedCodec::builder().max_frame_length(65_535).new_codec();
        b.iter(|| {
            let mut buffer = BytesMut::from(stream.as_slice());
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                black_box(frame);
            }
        });
    });
    group.bench_function("split, borrowing", |b| {
        b.iter(|| {
            let mut rest = stream.as_slice();
            while let Some((found, size)) = frame::split(rest).unwrap() {
                black_box(found);
                rest.advance(size);
            }
        });
    });
    group.finish();
}

/// Decoding requests of 21 bytes, with this crate without copying, with prost after the same
/// header, and with a codec that only finds the end of each frame.
fn typed(c: &mut Criterion) {
    const FRAMES: usize = 64;
    const TOKEN: &str = "ten bytes.";
    let mut one = BytesMut::new();
    user_proto::encode(1, &VerifyToken { access_token: TOKEN.into() }, &mut one).unwrap();
    assert_eq!(one.len(), 21);
    let stream = one.repeat(FRAMES);
    let mut group = c.benchmark_group("typed");
    group.throughput(Throughput::Elements(FRAMES as u64));
    group.bench_function("Request", |b| {
        b.iter(|| {
            let mut rest = black_box(stream.as_slice());
            while let Some((found, size)) = frame::split(rest).unwrap() {
                let (Request::VerifyToken(request), common) =
                    Request::decode(found.kind, found.body).unwrap()
                else {
                    panic!("expected a VerifyToken");
                };
                black_box((request.access_token.expose(), common.deadline_ms));
                rest.advance(size);
            }
        });
    });
    group.bench_function("prost", |b| {
        let mut one = Vec::new();
        rivals::framed(&mut one, |out| rivals::proto::VerifyToken::of(TOKEN).encode(out).unwrap());
        assert_eq!(one.len(), 21);
        let stream = one.repeat(FRAMES);
        b.iter(|| {
            let mut rest = black_box(stream.as_slice());
            while let Some((found, size)) = frame::split(rest).unwrap() {
                black_box(rivals::proto::VerifyToken::decode(found.body).unwrap().token());
                rest.advance(size);
            }
        });
    });
    group.bench_function("LengthDelimitedCodec", |b| {
        let mut codec = LengthDelimitedCodec::builder().max_frame_length(65_535).new_codec();
        b.iter(|| {
            let mut buffer = BytesMut::from(black_box(stream.as_slice()));
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                black_box(frame.as_ref());
            }
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(700));
    targets = every_message, rivals, framing, typed
}
criterion_main!(benches);
