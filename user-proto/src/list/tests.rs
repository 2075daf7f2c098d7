#![allow(unreachable_pub, dead_code, reason = "the macros declare public items")]

use bytes::BytesMut;
use uuid::Uuid;

use super::*;
use crate::error::EncodeError;
use crate::frame;
use crate::layout::{FieldKind, FieldLayout};

rows! {
    Item<'a> { id: uuid, name: text; 0x01 note: text, 0x03 pin: secret, 0x05 marked: flag }
    Point { at: instant }
}

body! {
    /// A body with two lists.
    Items ['a] ['a] [] { items: list Item, total: number } { 0x02 more: list Item }
}

body! {
    /// A list of rows without borrowed fields.
    Points [] [] [] { points: list Point } {}
}

fn encode(put: impl FnOnce(&mut Writer<'_>)) -> Result<Vec<u8>, EncodeError> {
    let mut out = BytesMut::new();
    let mut writer = Writer::begin(&mut out, 1, 1);
    put(&mut writer);
    writer.finish()?;
    let (found, _) = frame::split(&out).unwrap().unwrap();
    Ok(found.body.to_vec())
}

fn decode(body: &[u8]) -> Result<Items<'_>, DecodeError> {
    Items::decode_with(body, &mut NoOtherTags)
}

fn item(name: &'static str) -> Item<'static> {
    Item::new(Uuid::max(), name.into())
}

fn items() -> Items<'static> {
    let full =
        Item { note: Some("n".into()), pin: Some("1234".into()), marked: Some(()), ..item("b") };
    Items { items: vec![item("a"), full], total: 7, more: Some(vec![item("c")]) }
}

/// A row with these bytes, including its length.
fn row(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A body with one row of these bytes.
fn with_row(bytes: &[u8]) -> Vec<u8> {
    [[0, 1].as_slice(), &row(bytes), &[0; 4]].concat()
}

/// The required fields of a row.
fn required() -> Vec<u8> {
    [[7; 16].as_slice(), &[0, 2], b"ab"].concat()
}

#[test]
fn a_list_is_encoded_as_specified() {
    let body = encode(|out| items().put_fields(out)).unwrap();
    let id = [0xFF; 16];
    let expected = [
        [0, 2].as_slice(),
        &[0, 19],
        &id,
        &[0, 1, b'a'],
        &[0, 33],
        &id,
        &[0, 1, b'b', 1, 0, 1, b'n', 3, 0, 4],
        b"1234",
        &[5, 0, 0],
        &[0, 0, 0, 7],
        &[2, 0, 23, 0, 1, 0, 19],
        &id,
        &[0, 1, b'c'],
    ];
    assert_eq!(body, expected.concat());
    assert_eq!(decode(&body), Ok(items()));
    assert_eq!(decode(&body).unwrap().owned(), items());
    assert_eq!(decode(&[0, 0, 0, 0, 0, 7]).unwrap().items, []);
}

#[test]
fn rows_without_borrowed_fields_need_no_lifetime() {
    let points = Points { points: vec![Point { at: crate::UnixSeconds(3) }] };
    let body = encode(|out| points.put_fields(out)).unwrap();
    assert_eq!(body, [0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(Points::decode_with(&body, &mut NoOtherTags), Ok(points.clone()));
    assert_eq!(points.clone().owned(), points);
    assert_eq!(points.points[0].clone().into_owned(), points.points[0]);
    points.view_fields(&mut |field| {
        assert_eq!(format!("{:?}", field.value), "[Row { at: 3 }]");
    });
}

#[test]
fn a_layout_contains_the_fields_of_the_rows() {
    let declared = |name, kind, tag| FieldLayout { name, kind, tag };
    assert_eq!(Point::LAYOUT, [declared("at", FieldKind::Instant, None)]);
    assert_eq!(Points::LAYOUT, [declared("points", FieldKind::List(Point::LAYOUT), None)]);
    assert_eq!(
        Items::LAYOUT,
        [
            declared("items", FieldKind::List(Item::LAYOUT), None),
            declared("total", FieldKind::Number, None),
            declared("more", FieldKind::List(Item::LAYOUT), Some(2)),
        ]
    );
    assert_eq!(<Item<'_> as Row>::MIN_SIZE, 18);
    assert_eq!(items().items[1].clone().into_owned(), items().items[1]);
}

#[test]
fn unknown_odd_tags_of_a_row_are_skipped() {
    let greased = [required().as_slice(), &[1, 0, 1, b'n', 7, 0, 2, 9, 9, 0xFD, 0, 0]].concat();
    let greased = with_row(&greased);
    let decoded = decode(&greased).unwrap();
    assert_eq!(decoded.items[0].note.as_deref(), Some("n"));
    let body = encode(|out| decoded.put_fields(out)).unwrap();
    assert_eq!(body, with_row(&[required().as_slice(), &[1, 0, 1, b'n']].concat()));
}

#[test]
fn every_error_in_a_row_names_the_list() {
    let malformed = |reason| Err(DecodeError::Malformed { field: "items", reason });
    let with = |tail: &[u8]| with_row(&[required().as_slice(), tail].concat());
    for (tail, reason) in [
        ([2, 0, 0].as_slice(), Reason::EvenTagInRow),
        (&[0], Reason::Truncated),
        (&[7], Reason::Truncated),
        (&[7, 0, 2, 9], Reason::Truncated),
        (&[1, 0, 1, b'n', 1, 0, 1, b'n'], Reason::TagOrder),
        (&[9, 0, 0, 7, 0, 0], Reason::TagOrder),
        (&[1, 0, 1, 0xFF], Reason::NotUtf8),
        (&[5, 0, 1, 0], Reason::WrongSize),
    ] {
        assert_eq!(decode(&with(tail)), malformed(reason), "{tail:?}");
    }
    for size in 0..required().len() {
        let body = with_row(&required()[..size]);
        assert_eq!(decode(&body), malformed(Reason::Truncated), "a row of {size} bytes");
    }
    assert_eq!(
        Points::decode_with(&[0, 1, 0, 8, 0xFF, 0, 0, 0, 0, 0, 0, 0], &mut NoOtherTags),
        Err(DecodeError::Malformed { field: "points", reason: Reason::OutOfRange })
    );
}

#[test]
fn a_count_that_exceeds_the_rows_names_the_list() {
    let truncated = Err(DecodeError::Malformed { field: "items", reason: Reason::Truncated });
    for count in [2_u16, 255, u16::MAX] {
        let body = [count.to_be_bytes().as_slice(), &row(&required())].concat();
        assert_eq!(decode(&body), truncated, "{count}");
    }
    assert_eq!(decode(&[]), truncated);
    assert_eq!(decode(&[0]), truncated);
    assert_eq!(decode(&[0, 1, 0xFF, 0xFF, 0]), truncated, "a row that extends beyond the end");
}

#[test]
fn rows_shorter_than_their_required_fields_reserve_no_memory() {
    // 32,000 empty rows would otherwise reserve megabytes.
    let body = [32_000_u16.to_be_bytes().as_slice(), &vec![0; 64_000]].concat();
    let counted = allocation_counter::measure(|| assert!(decode(&body).is_err()));
    assert_eq!(counted.bytes_total, 0);
    let rows = row(&required()).repeat(1_000);
    let body = [1_000_u16.to_be_bytes().as_slice(), &rows, &[0; 4]].concat();
    let counted = allocation_counter::measure(|| assert!(decode(&body).is_ok()));
    assert_eq!(counted.count_total, 1, "the memory of a list is reserved once");
}

#[test]
fn a_tagged_list_fills_its_value() {
    let with = |value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [[0, 0, 0, 0, 0, 0, 2].as_slice(), &length, value].concat()
    };
    assert_eq!(decode(&with(&[0, 0])).unwrap().more, Some(Vec::new()));
    let malformed = |reason| Err(DecodeError::Malformed { field: "more", reason });
    assert_eq!(decode(&with(&[0, 0, 0])), malformed(Reason::TrailingBytes));
    assert_eq!(decode(&with(&[0, 1])), malformed(Reason::Truncated));
    assert_eq!(decode(&with(&[])), malformed(Reason::Truncated));
}

#[test]
fn a_list_that_is_too_long_is_not_encoded() {
    let many = Points { points: vec![Point { at: crate::UnixSeconds(0) }; 65_536] };
    assert_eq!(encode(|out| many.put_fields(out)), Err(EncodeError));
    let row = Item { note: Some("n".repeat(65_520).into()), ..item("a") };
    let long = Items { items: vec![row], total: 0, more: None };
    assert_eq!(encode(|out| long.put_fields(out)), Err(EncodeError));
}

#[test]
fn a_view_shows_the_rows_and_debug_redacts_their_secrets() {
    let items = items();
    let mut shown = Vec::new();
    items.view_fields(&mut |field| {
        shown.push(format!("{}: {:?}", field.name, field.value));
        let FieldValue::List(list) = field.value else { return };
        assert_eq!((list.len(), list.is_empty()), (if field.tag.is_none() { 2 } else { 1 }, false));
        list.view(list.len(), &mut |_| panic!("there is no such row"));
    });
    let id = Uuid::max();
    assert_eq!(
        shown,
        [
            format!(
                "items: [Row {{ id: {id}, name: \"a\" }}, \
                 Row {{ id: {id}, name: \"b\", note: \"n\", pin: [redacted], marked: set }}]"
            ),
            "total: 7".to_owned(),
            format!("more: [Row {{ id: {id}, name: \"c\" }}]"),
        ]
    );
    assert!(!format!("{items:?} {items:#?}").contains("1234"));
}
