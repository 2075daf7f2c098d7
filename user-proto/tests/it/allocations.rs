//! Encoding and decoding messages does not allocate.

use allocation_counter::measure;
use bytes::BytesMut;
use user_proto::{Reply, Request, encode, encode_with, frame};

use crate::samples;

#[test]
fn encoding_and_decoding_any_message_does_not_allocate() {
    let common = samples::common();
    for request in samples::requests() {
        let mut out = BytesMut::with_capacity(4_096);
        let encoding = measure(|| request.encode(1, &common, &mut out).unwrap());
        let decoding = measure(|| {
            let (found, _) = frame::split(&out).unwrap().unwrap();
            assert!(Request::decode(found.kind, found.body).is_ok());
        });
        assert_eq!((encoding.count_total, decoding.count_total), (0, 0), "{}", request.row().1);
    }
    for reply in samples::replies() {
        let mut out = BytesMut::with_capacity(4_096);
        let encoding = measure(|| reply.encode(1, &mut out).unwrap());
        let decoding = measure(|| {
            let (found, _) = frame::split(&out).unwrap().unwrap();
            assert!(Reply::decode(found.kind, found.body).is_ok());
        });
        assert_eq!((encoding.count_total, decoding.count_total), (0, 0), "{}", reply.row().1);
    }
}

#[test]
fn a_token_check_does_not_allocate() {
    let (mut out, common) = (BytesMut::with_capacity(512), samples::common());
    let request = user_proto::VerifyToken { access_token: samples::ACCESS.into() };
    let counted = measure(|| {
        encode_with(1, &request, &common, &mut out).unwrap();
        let (found, _) = frame::split(&out).unwrap().unwrap();
        assert!(matches!(
            Request::decode(found.kind, found.body),
            Ok((Request::VerifyToken(_), _))
        ));
        out.clear();
        encode(1, &user_proto::UserDeleted { user_id: uuid::Uuid::nil() }, &mut out).unwrap();
    });
    assert_eq!(counted.count_total, 0);
}
