//! Generates the invalid vectors: every message with every error that its fields can have, and
//! invalid frames. The expected errors follow from the rules of the protocol, not from the decoder.

use user_proto::{ErrorCode, Request, limits};

use crate::files::{Direction, Invalid, Level, Truncation, code_text, to_hex};
use crate::spans::{self, Kind, Span, frame, length_prefixed, splice, tagged};
use crate::valid::{COMMON, ID, Sample, samples};

/// Invalid UTF-8: a byte that never occurs, an overlong encoding, a surrogate, and a value after
/// the last code point.
const NOT_UTF8: [&[u8]; 4] = [b"\xFF", b"\xC0\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80"];

/// The smallest instant that is too large.
const PAST: u64 = 1 << 53;

/// Returns all invalid vectors.
pub(crate) fn vectors() -> Vec<Invalid> {
    let mut vectors = frames();
    vectors.extend(types());
    for sample in samples() {
        vectors.extend(tail(&sample));
        let common_once = sample.name == "verify_token";
        for (index, span) in sample.spans.iter().enumerate() {
            if span.tag.is_none_or(|tag| tag < COMMON || common_once) {
                vectors.extend(field(&sample, span, index));
            }
        }
    }
    vectors.extend(every_cut("resend_code"));
    vectors.extend(every_prefix("pong"));
    vectors
}

/// Returns, for every message with all its tags, the lengths at which the truncated body is valid.
pub(crate) fn truncations() -> Vec<Truncation> {
    samples()
        .iter()
        .map(|sample| Truncation { of: full_name(sample), valid_at: valid_at(sample) })
        .collect()
}

/// Returns the name of the valid vector with all tags of a sample.
fn full_name(sample: &Sample) -> String {
    let own = sample.tags(0..COMMON);
    match (sample.direction, own.as_slice()) {
        (Direction::Request, _) => format!("{}.all", sample.name),
        (Direction::Reply, []) => sample.name.clone(),
        (Direction::Reply, [one]) => format!("{}.{}", sample.name, one.name),
        (Direction::Reply, _) => format!("{}.own", sample.name),
    }
}

fn valid_at(sample: &Sample) -> Vec<usize> {
    let between =
        sample.spans.iter().filter(|span| span.tag.is_some()).map(|span| span.whole.start);
    between.collect()
}

fn of_frame(name: &str, bytes: &[u8], code: ErrorCode, why: &str) -> Invalid {
    invalid(format!("frame.{name}"), Direction::Request, Level::Frame, Some(code), None, why, bytes)
}

fn invalid(
    name: String,
    direction: Direction,
    level: Level,
    code: Option<ErrorCode>,
    field: Option<&str>,
    why: &str,
    bytes: &[u8],
) -> Invalid {
    Invalid {
        name,
        direction,
        level,
        code: code.map(code_text),
        code_name: code.map(|code| code.name().to_owned()),
        field: field.map(str::to_owned),
        why: why.to_owned(),
        hex: to_hex(bytes),
    }
}

fn frames() -> Vec<Invalid> {
    let (long, short) = (ErrorCode::FRAME_TOO_LONG, ErrorCode::FRAME_TOO_SHORT);
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    vec![
        of_frame(
            "length_0",
            &[0, 0, 0, 0],
            short,
            "A length under 5 cannot contain a type and a request id.",
        ),
        of_frame(
            "length_4",
            &[0, 0, 0, 4, 0x7F, 0, 0, 0],
            short,
            "A length under 5 cannot contain a type and a request id.",
        ),
        of_frame(
            "length_65536",
            &[0, 1, 0, 0],
            long,
            "The maximum is 65,535. The error is reported before any content arrives.",
        ),
        of_frame("length_max", &[0xFF; 4], long, "2^32-1. No memory is reserved for it."),
        of_frame(
            "length_little_endian",
            &[5, 0, 0, 0, 0x7F, 1, 0, 0, 0],
            long,
            "A Ping in the wrong byte order.",
        ),
        of_frame(
            "http_get",
            b"GET / HTTP/1.1\r\nHost: users\r\n\r\n",
            long,
            "An HTTP/1.1 request.",
        ),
        of_frame("http_post", b"POST /login HTTP/1.1\r\n", long, "An HTTP/1.1 request."),
        of_frame("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", long, "The preface of HTTP/2."),
        of_frame("tls_hello", tls, long, "A TLS ClientHello on a port without TLS."),
        of_frame("ssh_hello", b"SSH-2.0-OpenSSH_9.9\r\n", long, "The banner of an SSH client."),
        Invalid {
            field: Some("request_id".to_owned()),
            ..of_frame(
                "id_0",
                &frame(0x7F, 0, &[]),
                ErrorCode::MALFORMED,
                "The request id of a request is never 0.",
            )
        },
    ]
}

fn types() -> Vec<Invalid> {
    let unknown = |direction, kind: u8, why| {
        let way = if direction == Direction::Request { "request" } else { "reply" };
        let name = format!("type.{way}_{kind:02x}");
        let code = Some(ErrorCode::UNKNOWN_TYPE);
        invalid(name, direction, Level::Message, code, None, why, &frame(kind, ID, &[]))
    };
    let is_free = |kind: &u8| Request::ALL.iter().all(|(taken, _)| taken != kind);
    let free = (0x01..0x3F).find(is_free).expect("types are left");
    let requests = [
        (0x00, "Reserved."),
        (free, "A type that this version does not define."),
        (0x3F, "The last type of a request."),
        (0x40, "A private type."),
        (0x7E, "Reserved for a later handshake message."),
        (0x80, "An error is a reply."),
        (0x83, "The type of a reply, sent as a request."),
        (0xFF, "A Pong is a reply."),
    ];
    let replies = [
        (0x00, "Reserved."),
        (0x03, "The type of a request, sent as a reply."),
        (0x7F, "A Ping is a request."),
        (free | limits::REPLY_BIT, "The type of a reply that this version does not define."),
        (0xFE, "Reserved for a later handshake message."),
    ];
    let requests = requests.map(|(kind, why)| unknown(Direction::Request, kind, why));
    requests
        .into_iter()
        .chain(replies.map(|(kind, why)| unknown(Direction::Reply, kind, why)))
        .collect()
}

/// Returns the vectors with an error in the tagged tail, which do not depend on the fields.
fn tail(sample: &Sample) -> Vec<Invalid> {
    let bare = &sample.body[..sample.tail()];
    let with = |name: &str, tail: &[u8], code: ErrorCode, field, why| {
        let bytes = frame(sample.kind, ID, &[bare, tail].concat());
        let name = format!("{}.{name}", sample.name);
        invalid(name, sample.direction, Level::Message, Some(code), field, why, &bytes)
    };
    let malformed =
        |name, tail: &[u8], why| with(name, tail, ErrorCode::MALFORMED, Some("tail"), why);
    let twice = tagged(0x0B, b"").repeat(2);
    let reversed_unknown = [tagged(0x0D, b""), tagged(0x0B, b"")].concat();
    let even = tagged(0x7C, b"x");
    let own = sample.tags(0..0xFF);
    let known = own.iter().map(|span| sample.body[span.whole.clone()].to_vec());
    let reversed: Vec<u8> = known.rev().flatten().collect();
    let mut vectors = vec![
        with(
            "unknown_even_tag",
            &even,
            ErrorCode::UNKNOWN_TAG,
            Some("0x7C"),
            "An unknown even tag is rejected.",
        ),
        with(
            "tag_00",
            &tagged(0, b""),
            ErrorCode::UNKNOWN_TAG,
            Some("0x00"),
            "Three zero bytes are the even tag 0x00.",
        ),
        malformed(
            "trailing_byte",
            &[0x0B],
            "A byte after the fields starts a tag, which is truncated.",
        ),
        malformed("duplicate_tag", &twice, "A tag occurs at most once, even an unknown one."),
        malformed(
            "tags_out_of_order",
            &reversed_unknown,
            "Tags are in increasing order, even unknown ones.",
        ),
        malformed(
            "tag_past_end",
            &[0x0B, 0, 2, 0],
            "The value of the tag has two bytes, of which one is present.",
        ),
    ];
    if own.len() > 1 {
        vectors.push(malformed("known_tags_reversed", &reversed, "Tags are in increasing order."));
    }
    vectors
}

/// Returns the vectors with an error in one field.
fn field(sample: &Sample, span: &Span, index: usize) -> Vec<Invalid> {
    let mut corruptions = corrupt(&sample.body, span, index);
    if let Kind::List(rows) = &span.kind {
        corruptions.extend(corrupt_list(&sample.body, span, rows));
    }
    let vector = |Corruption { name, field, why, body }| {
        let (level, code) = (Level::Message, Some(ErrorCode::MALFORMED));
        let bytes = frame(sample.kind, ID, &body);
        let name = format!("{}.{name}", sample.name);
        invalid(name, sample.direction, level, code, Some(&field), &why, &bytes)
    };
    corruptions.into_iter().map(vector).collect()
}

/// A body, or a row of a list, with an error in one field.
struct Corruption {
    name: String,
    /// Name of the field that the error names.
    field: String,
    why: String,
    body: Vec<u8>,
}

impl Corruption {
    fn new(name: String, field: &str, why: &str, body: Vec<u8>) -> Self {
        Self { name, field: field.to_owned(), why: why.to_owned(), body }
    }
}

/// Returns a body, or a row of a list, with every error that one field can have.
fn corrupt(body: &[u8], span: &Span, index: usize) -> Vec<Corruption> {
    let value = &body[span.value.clone()];
    let replaced = |value: &[u8]| {
        let bytes = match span.tag {
            Some(tag) => tagged(tag, value),
            None if span.is_fixed() => value.to_vec(),
            None => length_prefixed(value),
        };
        splice(body, span.whole.clone(), &bytes)
    };
    let mut corruptions = Vec::new();
    let mut add = |name: &str, field: &str, why: &str, body: Vec<u8>| {
        corruptions.push(Corruption::new(format!("{}_{name}", span.name), field, why, body));
    };

    let cut = body[..span.whole.end - 1].to_vec();
    let at_fault = if span.tag.is_some() { "tail" } else { span.name };
    add("cut", at_fault, "The body ends inside the field.", cut);
    if span.tag.is_some() {
        let twice = splice(body, span.whole.end..span.whole.end, &body[span.whole.clone()]);
        add("twice", "tail", "A tag occurs at most once.", twice);
    }
    if span.kind == Kind::Text {
        let bad = NOT_UTF8[index % NOT_UTF8.len()];
        let value = [b"ad", bad, b"a"].concat();
        add("not_utf8", span.name, "Text must be valid UTF-8.", replaced(&value));
    }
    if span.kind == Kind::Instant {
        let past = replaced(&PAST.to_be_bytes());
        add("past", span.name, "An instant is at most 2^53-1.", past);
    }
    if span.tag.is_some() && span.is_fixed() {
        let why = "A tagged value has the size of its type.";
        add("too_long", span.name, why, replaced(&[value, &[0]].concat()));
        if let Some((_, shorter)) = value.split_last() {
            add("too_short", span.name, why, replaced(shorter));
        }
    }
    if span.name == "client_address" {
        let not = [
            "",
            "localhost",
            "203.0.113.7:443",
            "203.0.113.256",
            "0203.0.113.7",
            "[2001:db8::1]",
            "fe80::1%eth0",
            " ::1",
        ];
        for (number, text) in not.into_iter().enumerate() {
            let why = format!("{text:?} is not an IP address.");
            add(&number.to_string(), span.name, &why, replaced(text.as_bytes()));
        }
    }
    corruptions
}

/// Returns a body with every error that its list can have. The list is the last required field.
fn corrupt_list(body: &[u8], list: &Span, rows: &[Vec<Span>]) -> Vec<Corruption> {
    let mut at = list.value.start + 2;
    let bytes_of = |row: &Vec<Span>| {
        let start = at + 2;
        at = start + spans::size(row);
        body[start..at].to_vec()
    };
    let encoded: Vec<Vec<u8>> = rows.iter().map(bytes_of).collect();
    let (before, after) = (&body[..list.whole.start], &body[list.whole.end..]);
    assert!(!rows.is_empty(), "a sample has rows in every list");
    let with = |count: usize, rows: &[u8]| {
        let count = u16::try_from(count).unwrap().to_be_bytes();
        [before, &count, rows, after].concat()
    };
    let all =
        |rows: &[Vec<u8>]| rows.iter().flat_map(|row| length_prefixed(row)).collect::<Vec<u8>>();
    let mut corruptions = Vec::new();
    let mut add = |name: &str, field: &str, why: &str, body: Vec<u8>| {
        corruptions.push(Corruption::new(format!("{}_{name}", list.name), field, why, body));
    };

    // The rows are the last bytes, so that nothing else is read as a missing row.
    let ends = |body: Vec<u8>| body[..body.len() - after.len()].to_vec();
    let count = rows.len();
    let more = ends(with(count + 1, &all(&encoded)));
    add("count_too_large", list.name, "The list has fewer rows than its count.", more);
    let most = ends(with(0xFFFF, &all(&encoded)));
    add("count_max", list.name, "65,535 rows. No memory is reserved for missing rows.", most);
    let why = "The bytes of a row that is not counted are read as a tail.";
    add("count_too_small", "tail", why, ends(with(count - 1, &all(&encoded))));
    let mut longer = ends(with(count, &all(&encoded)));
    let last = longer.len() - encoded[count - 1].len() - 1;
    longer[last] += 1;
    add("row_past_end", list.name, "A row extends beyond the end of the body.", longer);
    let empty = with(1, &length_prefixed(b""));
    add("row_empty", list.name, "A row without its required fields.", empty);

    // The row with the most fields, with every error that a body can have.
    let fullest = (0..count).max_by_key(|row| rows[*row].len()).unwrap();
    let mut in_row = |name: &str, why: &str, row: &[u8]| {
        let mut encoded = encoded.clone();
        encoded[fullest] = row.to_vec();
        add(&format!("row_{name}"), list.name, why, with(count, &all(&encoded)));
    };
    let row = &encoded[fullest];
    for (index, span) in rows[fullest].iter().enumerate() {
        for Corruption { name, why, body, .. } in corrupt(row, span, index) {
            in_row(&name, &why.replace("The body", "The row"), &body);
        }
    }
    let unknown = tagged(0x7B, b"");
    for (name, why, tail) in [
        ("even_tag", "All tags of rows are odd.", tagged(0x7C, b"")),
        ("trailing_byte", "A byte after the fields starts a tag, which is truncated.", vec![0x7B]),
        ("duplicate_tag", "A tag occurs at most once, even an unknown one.", unknown.repeat(2)),
        ("tag_past_end", "The value of the tag extends beyond the row.", vec![0x7B, 0, 2, 0]),
    ] {
        in_row(name, why, &[row.as_slice(), &tail].concat());
    }
    corruptions
}

/// Returns a message truncated to every shorter body, as explicit vectors.
fn every_cut(name: &str) -> Vec<Invalid> {
    let sample = samples().into_iter().find(|sample| sample.name == name).unwrap();
    let field = sample.spans[0].name;
    let cut = |size: usize| {
        let (name, code) = (format!("{name}.cut_at_{size}"), Some(ErrorCode::MALFORMED));
        let why = "The body ends inside the field. The length of the frame matches.";
        let bytes = frame(sample.kind, ID, &sample.body[..size]);
        invalid(name, sample.direction, Level::Message, code, Some(field), why, &bytes)
    };
    (0..sample.tail()).map(cut).collect()
}

/// Returns every strict prefix of a frame, as explicit vectors.
fn every_prefix(name: &str) -> Vec<Invalid> {
    let sample = samples().into_iter().find(|sample| sample.name == name).unwrap();
    let whole = frame(sample.kind, ID, &sample.body);
    let prefix = |size: usize| {
        let name = format!("{name}.prefix_of_{size}");
        invalid(
            name,
            sample.direction,
            Level::Incomplete,
            None,
            None,
            "The frame is incomplete.",
            &whole[..size],
        )
    };
    (0..whole.len()).map(prefix).collect()
}
