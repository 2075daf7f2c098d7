//! Proptest strategies for any message, derived from the protocol's table.
//!
//! A strategy writes a body by the layout of its message and reads it with the crate, so that a
//! new message or field needs no edit here.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use user_proto::*;

use crate::spans::{length_prefixed, tagged};

/// A type byte, with the strategy for the message of that type.
pub(crate) type Row<T> = (u8, BoxedStrategy<T>);

/// The layouts of the messages with these names.
macro_rules! layouts {
    ($($name:ident)*) => {
        [$(($name::TYPE, $name::FIELDS)),*]
    };
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => "\\PC{0,40}", 1 => ".{0,300}"].prop_map(String::into_bytes)
}

/// Any value of a kind, without a length in front.
fn value(kind: FieldKind) -> BoxedStrategy<Vec<u8>> {
    match kind {
        FieldKind::Text => text().boxed(),
        FieldKind::Secret | FieldKind::Bytes => {
            prop_oneof![8 => vec(any::<u8>(), 0..80), 1 => vec(any::<u8>(), 0..3_000)].boxed()
        }
        FieldKind::Address => {
            any::<IpAddr>().prop_map(|address| address.to_string().into_bytes()).boxed()
        }
        FieldKind::Instant | FieldKind::InstantMillis => {
            (0..=limits::MAX_INSTANT).prop_map(|number| number.to_be_bytes().to_vec()).boxed()
        }
        FieldKind::Uuid
        | FieldKind::Seconds
        | FieldKind::Millis
        | FieldKind::Number
        | FieldKind::Byte
        | FieldKind::Code
        | FieldKind::Key
        | FieldKind::Flag => vec(any::<u8>(), kind.size().unwrap()).boxed(),
        FieldKind::List(fields) => vec(body(fields), 0..4)
            .prop_map(|rows| {
                let count = u16::try_from(rows.len()).unwrap().to_be_bytes().to_vec();
                let rows = rows.iter().map(|row| length_prefixed(row));
                std::iter::once(count).chain(rows).collect::<Vec<_>>().concat()
            })
            .boxed(),
    }
}

/// A field as it is on the wire; empty for an optional field that is absent.
fn field(field: &'static FieldLayout) -> BoxedStrategy<Vec<u8>> {
    let value = value(field.kind);
    match field.tag {
        Some(tag) => {
            let present = value.prop_map(move |value| tagged(tag, &value));
            prop_oneof![Just(Vec::new()), present].boxed()
        }
        None if field.kind.size().is_some() || matches!(field.kind, FieldKind::List(_)) => value,
        None => value.prop_map(|value| length_prefixed(&value)).boxed(),
    }
}

/// The body of a message, or a row of a list, with these fields.
fn body(fields: &'static [FieldLayout]) -> BoxedStrategy<Vec<u8>> {
    fields.iter().map(field).collect::<Vec<_>>().prop_map(|fields| fields.concat()).boxed()
}

/// A strategy for each request.
pub(crate) fn requests() -> Vec<Row<Request<'static>>> {
    let row = |(kind, fields)| {
        let read = move |body: Vec<u8>| Request::decode(kind, &body).unwrap().0.into_owned();
        (kind, body(fields).prop_map(read).boxed())
    };
    for_each_request!(layouts).map(row).into()
}

/// A strategy for each reply.
pub(crate) fn replies() -> Vec<Row<Reply<'static>>> {
    let row = |(kind, fields)| {
        let read = move |body: Vec<u8>| Reply::decode(kind, &body).unwrap().into_owned();
        (kind, body(fields).prop_map(read).boxed())
    };
    for_each_reply!(layouts).map(row).into()
}

/// Any of the rows, each as likely.
pub(crate) fn any_of<T: std::fmt::Debug + 'static>(rows: Vec<Row<T>>) -> BoxedStrategy<T> {
    proptest::strategy::Union::new(rows.into_iter().map(|(_, strategy)| strategy)).boxed()
}

/// Any common tags.
pub(crate) fn common() -> impl Strategy<Value = Common<'static>> {
    body(Common::FIELDS).prop_map(|tags| Request::decode(Ping::TYPE, &tags).unwrap().1.into_owned())
}
