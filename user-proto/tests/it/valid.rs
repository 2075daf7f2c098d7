//! Generates the valid vectors: every message without tags, with each tag alone, with all tags, and
//! with unassigned tags (greased).

use std::ops::Range;

use user_proto::{Common, Reply, Request};

use crate::files::{Direction, Valid, fields, to_hex};
use crate::samples;
use crate::spans::{Kind, Span, frame, length_prefixed, size, spans, splice, tagged};

/// Request id of the vectors. Reversing its byte order yields another number.
pub(crate) const ID: u32 = 0x0000_1A2B;

/// An encoded message with the positions of its fields.
pub(crate) struct Sample {
    /// Name of the message in snake case, from which the names of its vectors are formed.
    pub(crate) name: String,
    pub(crate) direction: Direction,
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
    pub(crate) spans: Vec<Span>,
}

impl Sample {
    fn new(direction: Direction, name: &str, encoded: &[u8], spans: Vec<Span>) -> Self {
        assert_eq!(
            spans.last().map_or(0, |last| last.whole.end),
            encoded.len() - 9,
            "{name}: the spans do not fill the body"
        );
        Self { name: snake(name), direction, kind: encoded[4], body: encoded[9..].to_vec(), spans }
    }

    /// Returns the body with only those tags for which `keep` returns `true`.
    fn with(&self, keep: impl Fn(u8) -> bool) -> Vec<u8> {
        let parts = self.spans.iter().filter(|span| span.tag.is_none_or(&keep));
        parts.flat_map(|span| self.body[span.whole.clone()].iter().copied()).collect()
    }

    /// Returns the tags of the body in this range.
    pub(crate) fn tags(&self, range: Range<u8>) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.tag.is_some_and(|tag| range.contains(&tag))).collect()
    }

    /// Returns the offset of the tagged tail.
    pub(crate) fn tail(&self) -> usize {
        tail_start(&self.spans)
    }
}

/// Lower bound of the common tags.
pub(crate) const COMMON: u8 = 0xE0;

/// Returns odd tags that this version does not assign to a message with the tags `known`: a low
/// one, one below the common tags, and the highest.
pub(crate) fn grease(known: &[u8]) -> [(u8, &'static [u8]); 3] {
    let first = (0x05..0x7B).step_by(2).find(|tag| !known.contains(tag)).expect("a free odd tag");
    [(first, b"\x00\x00\x00\x2a"), (0x7B, b"grease"), (0xFD, b"")]
}

/// Returns every message with all its tags, including the common tags of requests.
pub(crate) fn samples() -> Vec<Sample> {
    let common = samples::common();
    let requests = samples::requests().into_iter().map(|request| {
        let mut out = bytes::BytesMut::new();
        request.encode(ID, &common, &mut out).unwrap();
        let spans = spans(|visit| {
            request.view(visit);
            common.view(visit);
        });
        Sample::new(Direction::Request, request.row().1, &out, spans)
    });
    let replies = samples::replies().into_iter().map(|reply| {
        let mut out = bytes::BytesMut::new();
        reply.encode(ID, &mut out).unwrap();
        Sample::new(Direction::Reply, reply.row().1, &out, spans(|visit| reply.view(visit)))
    });
    requests.chain(replies).collect()
}

/// Returns all valid vectors.
pub(crate) fn vectors() -> Vec<Valid> {
    let mut vectors: Vec<Valid> = samples().iter().flat_map(of_message).collect();
    let verify = samples().into_iter().find(|sample| sample.name == "verify_token").unwrap();
    for span in verify.tags(COMMON..0xFF) {
        let body = verify.with(|tag| Some(tag) == span.tag);
        vectors.push(vector(&verify, span.name, &body, None, None));
    }
    for (name, note, request, common) in samples::edge_requests() {
        let mut out = bytes::BytesMut::new();
        request.encode(ID, &common, &mut out).unwrap();
        vectors.push(decoded(Direction::Request, format!("edge.{name}"), &out, Some(note), None));
    }
    for (name, note, id, reply) in samples::edge_replies() {
        let mut out = bytes::BytesMut::new();
        reply.encode(id, &mut out).unwrap();
        vectors.push(decoded(Direction::Reply, format!("edge.{name}"), &out, Some(note), None));
    }
    vectors
}

fn of_message(sample: &Sample) -> Vec<Valid> {
    let own = sample.tags(0..COMMON);
    let bare = sample.with(|_| false);
    let mut vectors = vec![vector(sample, "", &bare, None, None)];
    for span in &own {
        vectors.push(vector(
            sample,
            span.name,
            &sample.with(|tag| Some(tag) == span.tag),
            None,
            None,
        ));
    }
    if own.len() > 1 {
        vectors.push(vector(sample, "own", &sample.with(|tag| tag < COMMON), None, None));
    }
    if sample.direction == Direction::Request {
        vectors.push(vector(sample, "all", &sample.body, None, None));
    }
    let note = "Odd tags of a later version: a receiver skips them, and encoding the fields again \
        omits them.";
    vectors.push(vector(sample, "greased", &greased(sample), Some(note), Some(&sample.body)));
    for span in &sample.spans {
        if let Kind::List(rows) = &span.kind {
            vectors.extend(of_list(sample, span, rows));
        }
    }
    vectors
}

/// Returns the vectors with an empty list, and with unknown tags in every row.
fn of_list(sample: &Sample, span: &Span, rows: &[Vec<Span>]) -> Vec<Valid> {
    let mut list = u16::try_from(rows.len()).unwrap().to_be_bytes().to_vec();
    // The samples have a row with all tags.
    let known: Vec<u8> = rows.iter().flatten().filter_map(|span| span.tag).collect();
    let mut at = span.value.start + 2;
    for row in rows {
        let bytes = &sample.body[at + 2..at + 2 + size(row)];
        list.extend(length_prefixed(&greased_body(bytes, row, &known)));
        at += 2 + size(row);
    }
    let greased = splice(&sample.body, span.whole.clone(), &list);
    let empty = splice(&sample.body, span.whole.clone(), &[0, 0]);
    let note = "Unknown odd tags in the rows: a receiver skips them.";
    let (no_rows, greased_rows) =
        (format!("{}_empty", span.name), format!("{}_greased", span.name));
    vec![
        vector(sample, &no_rows, &empty, Some("A list without rows."), None),
        vector(sample, &greased_rows, &greased, Some(note), Some(&sample.body)),
    ]
}

fn greased(sample: &Sample) -> Vec<u8> {
    let known: Vec<u8> = sample.spans.iter().filter_map(|span| span.tag).collect();
    greased_body(&sample.body, &sample.spans, &known)
}

/// Adds tags other than `known` to a body or to a row.
fn greased_body(body: &[u8], spans: &[Span], known: &[u8]) -> Vec<u8> {
    let present = spans.iter().filter_map(|span| Some((span.tag?, &body[span.value.clone()])));
    let mut tags: Vec<(u8, &[u8])> = present.chain(grease(known)).collect();
    tags.sort_unstable_by_key(|(tag, _)| *tag);
    let tail = tags.into_iter().flat_map(|(tag, value)| tagged(tag, value));
    body[..tail_start(spans)].iter().copied().chain(tail).collect()
}

/// Returns the offset of the tagged tail in a body or in a row.
fn tail_start(spans: &[Span]) -> usize {
    let first = spans.iter().find(|span| span.tag.is_some());
    first.map_or(size(spans), |span| span.whole.start)
}

fn vector(
    sample: &Sample,
    variant: &str,
    body: &[u8],
    note: Option<&str>,
    canonical: Option<&[u8]>,
) -> Valid {
    let name =
        if variant.is_empty() { sample.name.clone() } else { format!("{}.{variant}", sample.name) };
    let canonical = canonical.map(|body| frame(sample.kind, ID, body));
    decoded(sample.direction, name, &frame(sample.kind, ID, body), note, canonical)
}

/// Returns the vector of a frame, with the fields that this crate decodes. `vectors` compares them
/// with the independent implementation in `contract`.
fn decoded(
    direction: Direction,
    name: String,
    bytes: &[u8],
    note: Option<&str>,
    canonical: Option<Vec<u8>>,
) -> Valid {
    let (kind, id, body) =
        (bytes[4], u32::from_be_bytes(bytes[5..9].try_into().unwrap()), &bytes[9..]);
    let (message, own, common) = match direction {
        Direction::Request => {
            let (request, common) = Request::decode(kind, body).unwrap();
            (request.row().1, fields(|visit| request.view(visit)), common)
        }
        Direction::Reply => {
            let reply = Reply::decode(kind, body).unwrap();
            (reply.row().1, fields(|visit| reply.view(visit)), Common::default())
        }
    };
    Valid {
        name,
        message: message.to_owned(),
        direction,
        kind: format!("{kind:02x}"),
        id,
        fields: own,
        common: fields(|visit| common.view(visit)),
        note: note.map(str::to_owned),
        hex: to_hex(bytes),
        canonical_hex: canonical.as_deref().map(to_hex),
    }
}

/// Converts a name such as `VerifyToken` to `verify_token`.
pub(crate) fn snake(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}
