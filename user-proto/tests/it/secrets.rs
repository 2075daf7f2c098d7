//! No password, token or code shows in `Debug`, of any message in any form.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use user_proto::codec::RawFrame;
use user_proto::*;

use crate::samples;

/// The secrets that a message shows to tools, and the `Debug` of what it shows.
fn secrets_of(view: impl Fn(&mut dyn FnMut(FieldView<'_>))) -> (Vec<String>, String) {
    let (mut secrets, mut shown) = (Vec::new(), String::new());
    view(&mut |field| {
        shown += &format!("{field:?}");
        if let FieldValue::Secret(bytes) = field.value {
            secrets.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
    });
    (secrets, shown)
}

fn assert_hidden(secrets: &[String], shown: &str) {
    for secret in secrets {
        assert!(!shown.contains(secret.as_str()), "{shown}");
        let bytes = format!("{:?}", secret.as_bytes());
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
}

#[test]
fn debug_of_a_message_hides_its_secrets() {
    macro_rules! secret_fields {
        ($($name:ident)*) => {
            [$(($name::TYPE, $name::FIELDS.iter().filter(|field| field.kind == FieldKind::Secret).count())),*]
        };
    }
    let requests = BTreeMap::from(user_proto::for_each_request!(secret_fields));
    let replies = BTreeMap::from(user_proto::for_each_reply!(secret_fields));
    for request in samples::requests() {
        let (secrets, shown) = secrets_of(|see| request.view(see));
        assert_eq!(secrets.len(), requests[&request.row().0], "{request:?}");
        assert_hidden(&secrets, &shown);
        assert_hidden(&secrets, &format!("{request:?} {request:#?}"));
        let owned = request.into_owned();
        assert_hidden(&secrets, &format!("{owned:?}"));
    }
    for reply in samples::replies() {
        let (secrets, shown) = secrets_of(|see| reply.view(see));
        assert_eq!(secrets.len(), replies[&reply.row().0], "{reply:?}");
        assert_hidden(&secrets, &shown);
        assert_hidden(&secrets, &format!("{reply:?} {reply:#?}"));
    }
    let with_secrets =
        |fields: BTreeMap<u8, usize>| fields.values().filter(|count| **count > 0).count();
    assert!(with_secrets(requests) >= 11 && with_secrets(replies) >= 3);
}

#[test]
fn debug_of_a_frame_of_a_secret_hides_it() {
    let mut out = BytesMut::new();
    let message =
        Register { username: "ada".into(), email: "".into(), password: samples::PASSWORD.into() };
    user_proto::encode(9, &message, &mut out).unwrap();
    let (found, _) = frame::split(&out).unwrap().unwrap();
    let raw = RawFrame { kind: found.kind, id: found.id, body: Bytes::copy_from_slice(found.body) };
    let password = [samples::PASSWORD.to_owned()];
    assert_hidden(&password, &format!("{raw:?}"));
    assert_hidden(&password, &format!("{found:?}"));
    assert_hidden(&password, &format!("{:?}", message.into_owned()));
}

#[test]
fn a_secret_is_compared_by_its_bytes() {
    assert_eq!(Secret::from("a"), Secret::from("a".to_owned()).into_owned());
    assert_ne!(Secret::from("a"), Secret::from("b"));
    assert_eq!(Secret::from([0xFF].as_slice()).expose_str(), None);
    assert_eq!(
        (Secret::from("a").expose(), Secret::from("a").expose_str()),
        (b"a".as_slice(), Some("a"))
    );
}

#[test]
fn debug_of_a_secret_says_that_there_is_one() {
    assert_eq!(format!("{:?}", Secret::from("a")), "[redacted]");
    let shown = |value: FieldValue<'_>| format!("{value:?}");
    assert_eq!(shown(FieldValue::Secret(b"a")), "[redacted]");
    assert_eq!(shown(FieldValue::Text("ada")), r#""ada""#);
    assert_eq!(shown(FieldValue::Bytes(&[0, 255])), "[00, ff]");
    assert_eq!(shown(FieldValue::Number(900)), "900");
    assert_eq!(shown(FieldValue::Flag), "set");
}
