//! What bytes mean as frames: every field, or what is wrong and what the server would answer.

use serde_json::{Map, Value, json};
use user_proto::frame::{self, Frame, FrameError};
use user_proto::{Common, DecodeError, ErrorCode, ErrorReply, Reply, Request, limits};

use crate::args::Direction;
use crate::{human, output};

/// One frame, or what stands where one should.
pub(crate) struct Explained<'a> {
    bytes: &'a [u8],
    frame: Option<Frame<'a>>,
    direction: Option<Direction>,
    pub(crate) verdict: Verdict<'a>,
}

pub(crate) enum Verdict<'a> {
    Message {
        message: Box<Message<'a>>,
        /// Bytes of tags of a later version.
        skipped: usize,
    },
    Bad(DecodeError),
    BadLength(FrameError),
    /// The frame has not ended; how many bytes it has in all, once that is known.
    Incomplete(Option<usize>),
}

pub(crate) enum Message<'a> {
    Request(Request<'a>, Common<'a>),
    Reply(Reply<'a>),
}

/// The frames that `bytes` are. What follows a bad length is no frame.
pub(crate) fn frames(bytes: &[u8], direction: Option<Direction>) -> Vec<Explained<'_>> {
    let mut explained = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (verdict, size) = match frame::split(rest) {
            Ok(Some((frame, size))) => {
                let (whole, behind) = rest.split_at_checked(size).unwrap_or((rest, &[]));
                explained.push(Explained::of(whole, frame, direction));
                rest = behind;
                continue;
            }
            Ok(None) => (Verdict::Incomplete(frame::size(rest).ok().flatten()), rest.len()),
            Err(error) => (Verdict::BadLength(error), rest.len()),
        };
        explained.push(Explained {
            bytes: rest.get(..size).unwrap_or(rest),
            frame: None,
            direction,
            verdict,
        });
        break;
    }
    explained
}

impl<'a> Explained<'a> {
    fn of(bytes: &'a [u8], frame: Frame<'a>, direction: Option<Direction>) -> Self {
        let by_type =
            if frame.kind & limits::REPLY_BIT == 0 { Direction::Request } else { Direction::Reply };
        let direction = direction.unwrap_or(by_type);
        let message = match direction {
            Direction::Request => Request::decode(frame.kind, frame.body)
                .map(|(request, common)| Message::Request(request, common)),
            Direction::Reply => Reply::decode(frame.kind, frame.body).map(Message::Reply),
        };
        let verdict = match message {
            Ok(message) => {
                let skipped = bytes.len().saturating_sub(message.size());
                Verdict::Message { message: Box::new(message), skipped }
            }
            Err(error) => Verdict::Bad(error),
        };
        Self { bytes, frame: Some(frame), direction: Some(direction), verdict }
    }

    /// Whether a server would refuse it, or a client would make nothing of it.
    pub(crate) fn is_refused(&self) -> bool {
        !matches!(self.verdict, Verdict::Message { .. }) || self.is_request_about_the_connection()
    }

    pub(crate) fn is_error_reply(&self) -> bool {
        matches!(&self.verdict, Verdict::Message { message, .. } if message.error().is_some())
    }

    pub(crate) fn is_about_the_connection(&self) -> bool {
        self.frame.is_some_and(|frame| frame.id == limits::CONNECTION_ID)
    }

    fn is_request_about_the_connection(&self) -> bool {
        self.is_about_the_connection() && self.direction == Some(Direction::Request)
    }

    /// What is wrong with it, in a sentence.
    fn fault(&self) -> Option<String> {
        match self.verdict {
            _ if self.is_request_about_the_connection() => {
                Some("only the server uses the request id 0".to_owned())
            }
            Verdict::Message { .. } => None,
            Verdict::Bad(error) => Some(error.to_string()),
            Verdict::BadLength(error) => Some(match error.looks_like() {
                Some(protocol) => format!("{error}; these bytes look like {protocol}"),
                None => error.to_string(),
            }),
            Verdict::Incomplete(None) => {
                Some("the length field, of 4 bytes, has not ended".to_owned())
            }
            Verdict::Incomplete(Some(size)) => {
                Some(format!("{} of its {size} bytes are missing", size - self.bytes.len()))
            }
        }
    }

    /// What the server answers, and whether it closes. For what goes the other way there is no
    /// answer.
    fn answer(&self) -> Option<(ErrorCode, bool)> {
        if self.direction == Some(Direction::Reply) {
            return None;
        }
        match self.verdict {
            _ if self.is_request_about_the_connection() => Some((ErrorCode::MALFORMED, true)),
            Verdict::Bad(error) => Some((error.code(), false)),
            Verdict::BadLength(error) => Some((error.code(), true)),
            Verdict::Message { .. } | Verdict::Incomplete(_) => None,
        }
    }

    fn consequence(&self) -> String {
        match (self.answer(), &self.verdict) {
            (Some((code, true)), _) => {
                format!("{} ({:04x}) with id 0, then it closes the connection", code.name(), code.0)
            }
            (Some((code, false)), _) => {
                format!("{} ({:04x}) with this id; the connection lives", code.name(), code.0)
            }
            (None, Verdict::Incomplete(_)) => {
                "nothing yet: it waits for the rest, for 10 s by default".to_owned()
            }
            (None, Verdict::BadLength(_)) => "the client gives the connection up".to_owned(),
            (None, _) => "the client fails this one call; the connection lives".to_owned(),
        }
    }

    fn type_name(&self) -> Option<&'static str> {
        let kind = self.frame?.kind;
        let all = if self.direction == Some(Direction::Reply) { Reply::ALL } else { Request::ALL };
        all.iter().find(|(code, _)| *code == kind).map(|(_, name)| *name)
    }

    pub(crate) fn text(&self, reveal: bool) -> String {
        let mut rows = vec![("frame".to_owned(), format!("{} bytes", self.bytes.len()))];
        let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
        if let Some(frame) = self.frame {
            row(
                "type",
                format!(
                    "{:#04x} {}",
                    frame.kind,
                    self.type_name().unwrap_or_else(|| family(frame.kind))
                ),
            );
            row("direction", direction_name(self.direction).to_owned());
            row("request id", frame.id.to_string());
        }
        if let Verdict::Message { message, skipped } = &self.verdict {
            message.view(&mut |field| {
                let tag = field.tag.map(|tag| format!(" (tag {tag:#04x})")).unwrap_or_default();
                row(&format!("  {}", field.name), format!("{}{tag}", human::value(&field, reveal)));
            });
            if *skipped > 0 {
                row("  skipped", format!("{skipped} bytes of odd tags of a later version"));
            }
            if let Some(error) = message.error() {
                row("meaning", error.code.meaning().to_owned());
            }
        }
        if let Some(fault) = self.fault() {
            row("wrong", fault);
            row(
                if self.direction == Some(Direction::Reply) { "then" } else { "answer" },
                self.consequence(),
            );
        }
        output::aligned(&rows)
    }

    pub(crate) fn json(&self, reveal: bool) -> Value {
        let mut object = Map::new();
        object.insert("bytes".to_owned(), self.bytes.len().into());
        if let Some(frame) = self.frame {
            object.insert("type".to_owned(), format!("{:02x}", frame.kind).into());
            object.insert("message".to_owned(), self.type_name().into());
            object.insert("direction".to_owned(), direction_name(self.direction).into());
            object.insert("id".to_owned(), frame.id.into());
        }
        if let Verdict::Message { message, skipped } = &self.verdict {
            let (fields, common) = message.objects(reveal);
            object.insert("fields".to_owned(), fields.into());
            object.insert("common".to_owned(), common.into());
            object.insert("skipped_bytes".to_owned(), (*skipped).into());
        }
        if let Some(fault) = self.fault() {
            let answer = self.answer();
            object.insert(
                "error".to_owned(),
                json!({
                    "why": fault,
                    "code": answer.map(|(code, _)| format!("{:04x}", code.0)),
                    "code_name": answer.map(|(code, _)| code.name()),
                    "closes": answer.map(|(_, closes)| closes),
                    "field": match self.verdict { Verdict::Bad(error) => error.field(), _ => None },
                    "incomplete": matches!(self.verdict, Verdict::Incomplete(_)),
                }),
            );
        }
        object.into()
    }
}

impl Message<'_> {
    fn view(&self, see: &mut dyn FnMut(user_proto::FieldView<'_>)) {
        match self {
            Self::Request(request, common) => {
                request.view(see);
                common.view(see);
            }
            Self::Reply(reply) => reply.view(see),
        }
    }

    fn error(&self) -> Option<&ErrorReply<'_>> {
        match self {
            Self::Reply(Reply::ErrorReply(error)) => Some(error),
            Self::Request(..) | Self::Reply(_) => None,
        }
    }

    fn objects(&self, reveal: bool) -> (Map<String, Value>, Map<String, Value>) {
        match self {
            Self::Request(request, common) => (
                output::object(|see| request.view(see), reveal),
                output::object(|see| common.view(see), reveal),
            ),
            Self::Reply(reply) => (output::object(|see| reply.view(see), reveal), Map::new()),
        }
    }

    /// The size of the frame that holds this and nothing else.
    fn size(&self) -> usize {
        let mut out = bytes::BytesMut::new();
        // What came out of a frame fits one.
        let _ = match self {
            Self::Request(request, common) => request.encode(1, common, &mut out),
            Self::Reply(reply) => reply.encode(1, &mut out),
        };
        out.len()
    }
}

fn direction_name(direction: Option<Direction>) -> &'static str {
    match direction {
        Some(Direction::Request) => "request",
        Some(Direction::Reply) => "reply",
        None => "unknown",
    }
}

/// What a type without a message is kept for.
fn family(kind: u8) -> &'static str {
    match kind {
        0x7e | 0xfe => "(kept for a hello)",
        0x40..=0x5f | 0xc0..=0xdf => "(private use)",
        _ => "(no message of this direction)",
    }
}
