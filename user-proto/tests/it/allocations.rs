//! Encoding and decoding messages does not allocate, except for the rows of a decoded list.

use allocation_counter::measure;
use bytes::BytesMut;
use user_proto::{FieldValue, FieldView, Reply, Request, encode, encode_with, frame};

use crate::samples;

/// Returns the number of lists with rows, each of which is one allocation.
fn lists(view: impl Fn(&mut dyn FnMut(FieldView<'_>))) -> u64 {
    let mut count = 0;
    view(&mut |field| {
        count += u64::from(matches!(field.value, FieldValue::List(list) if !list.is_empty()));
    });
    count
}

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
        let expected = (0, lists(|visit| request.view(visit)));
        let counted = (encoding.count_total, decoding.count_total);
        assert_eq!(counted, expected, "{}", request.row().1);
    }
    for reply in samples::replies() {
        let mut out = BytesMut::with_capacity(4_096);
        let encoding = measure(|| reply.encode(1, &mut out).unwrap());
        let decoding = measure(|| {
            let (found, _) = frame::split(&out).unwrap().unwrap();
            assert!(Reply::decode(found.kind, found.body).is_ok());
        });
        let expected = (0, lists(|visit| reply.view(visit)));
        let counted = (encoding.count_total, decoding.count_total);
        assert_eq!(counted, expected, "{}", reply.row().1);
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
