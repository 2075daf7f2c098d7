//! The `Debug` output of messages, views and frames contains no password, token or code.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use user_proto::codec::RawFrame;
use user_proto::*;

use crate::samples;

/// Returns the secrets of a message and the `Debug` output of its view.
fn secrets_of(view: impl Fn(&mut dyn FnMut(FieldView<'_>))) -> (Vec<String>, String) {
    let (mut secrets, mut shown) = (Vec::new(), String::new());
    view(&mut |field| {
        shown += &format!("{field:?}");
        collect_secrets(field, &mut secrets);
    });
    (secrets, shown)
}

/// Adds the secrets of a field, including those in the rows of a list.
fn collect_secrets(field: FieldView<'_>, secrets: &mut Vec<String>) {
    match field.value {
        FieldValue::Secret(bytes) => secrets.push(String::from_utf8(bytes.to_vec()).unwrap()),
        FieldValue::List(list) => {
            for index in 0..list.len() {
                list.view(index, &mut |field| collect_secrets(field, secrets));
            }
        }
        _ => {}
    }
}

fn assert_redacted(secrets: &[String], shown: &str) {
    for secret in secrets {
        assert!(!shown.contains(secret.as_str()), "{shown}");
        let bytes = format!("{:?}", secret.as_bytes());
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
}

/// Returns the number of fields that are secret. The samples have at least one row in every list.
fn count_secrets(fields: &[FieldLayout]) -> usize {
    let count = |field: &FieldLayout| match field.kind {
        FieldKind::Secret => 1,
        FieldKind::List(fields) => count_secrets(fields),
        _ => 0,
    };
    fields.iter().map(count).sum()
}

#[test]
fn debug_of_a_message_redacts_its_secrets() {
    macro_rules! secret_fields {
        ($($name:ident)*) => { BTreeMap::from([$(($name::TYPE, count_secrets($name::FIELDS))),*]) };
    }
    let requests = for_each_request!(secret_fields);
    let replies = for_each_reply!(secret_fields);
    for request in samples::requests() {
        let (secrets, shown) = secrets_of(|visit| request.view(visit));
        assert!(secrets.len() >= requests[&request.row().0], "{request:?}");
        assert_redacted(&secrets, &shown);
        assert_redacted(&secrets, &format!("{request:?} {request:#?}"));
        let owned = request.into_owned();
        assert_redacted(&secrets, &format!("{owned:?}"));
    }
    for reply in samples::replies() {
        let (secrets, shown) = secrets_of(|visit| reply.view(visit));
        assert!(secrets.len() >= replies[&reply.row().0], "{reply:?}");
        assert_redacted(&secrets, &shown);
        assert_redacted(&secrets, &format!("{reply:?} {reply:#?}"));
    }
    let with_secrets =
        |counts: BTreeMap<u8, usize>| counts.into_values().filter(|n| *n > 0).count();
    assert!(with_secrets(requests) >= 11 && with_secrets(replies) >= 3, "nothing was tested");
}

#[test]
fn debug_of_a_frame_redacts_its_body() {
    let mut out = BytesMut::new();
    let message =
        Register { username: "ada".into(), email: "".into(), password: samples::PASSWORD.into() };
    user_proto::encode(9, &message, &mut out).unwrap();
    let (found, _) = frame::split(&out).unwrap().unwrap();
    let raw = RawFrame { kind: found.kind, id: found.id, body: Bytes::copy_from_slice(found.body) };
    let password = [samples::PASSWORD.to_owned()];
    assert_redacted(&password, &format!("{raw:?}"));
    assert_redacted(&password, &format!("{found:?}"));
    assert_redacted(&password, &format!("{:?}", message.into_owned()));
}

#[test]
fn secrets_are_compared_by_their_bytes() {
    assert_eq!(Secret::from("a"), Secret::from("a".to_owned()).into_owned());
    assert_ne!(Secret::from("a"), Secret::from("b"));
    assert_eq!(Secret::from([0xFF].as_slice()).expose_str(), None);
    assert_eq!(
        (Secret::from("a").expose(), Secret::from("a").expose_str()),
        (b"a".as_slice(), Some("a"))
    );
}

#[test]
fn debug_of_a_secret_is_redacted() {
    assert_eq!(format!("{:?}", Secret::from("a")), "[redacted]");
    let shown = |value: FieldValue<'_>| format!("{value:?}");
    assert_eq!(shown(FieldValue::Secret(b"a")), "[redacted]");
    assert_eq!(shown(FieldValue::Text("ada")), r#""ada""#);
    assert_eq!(shown(FieldValue::Bytes(&[0, 255])), "[00, ff]");
    assert_eq!(shown(FieldValue::Number(900)), "900");
    assert_eq!(shown(FieldValue::Flag), "set");
}
