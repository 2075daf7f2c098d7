//! Explains bytes as frames: every field, or the error and the server's response to it.

use std::io;

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use user_proto::frame::{self, Frame, FrameError};
use user_proto::{
    Common, DecodeError, ErrorCode, ErrorReply, FieldValue, FieldView, Reply, Request, limits,
};

use crate::{fields, format, output};

/// Direction of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Direction {
    /// To the server
    Request,
    /// From the server
    Reply,
}

/// A decoded frame, or bytes that are not a valid frame.
pub(crate) struct Explained<'a> {
    bytes: &'a [u8],
    frame: Option<Frame<'a>>,
    direction: Option<Direction>,
    content: Content<'a>,
}

enum Content<'a> {
    Message {
        message: Box<Message<'a>>,
        /// Number of bytes in unknown odd tags, which a receiver skips.
        skipped: usize,
    },
    /// A frame that does not contain a valid message.
    InvalidMessage(DecodeError),
    InvalidLength(FrameError),
    /// An incomplete frame, with its total size in bytes if the length field is complete.
    Incomplete(Option<usize>),
}

enum Message<'a> {
    Request(Request<'a>, Common<'a>),
    Reply(Reply<'a>),
}

/// Splits `bytes` into frames and decodes each. The result ends with the first invalid length,
/// since the start of the next frame is then unknown. If `direction` is `None`, it is inferred
/// from the type of each frame.
pub(crate) fn frames(bytes: &[u8], direction: Option<Direction>) -> Vec<Explained<'_>> {
    let mut explained = Vec::new();
    let mut remaining = bytes;
    while !remaining.is_empty() {
        let content = match frame::split(remaining) {
            Ok(Some((frame, size))) => {
                let (whole, following) =
                    remaining.split_at_checked(size).unwrap_or((remaining, &[]));
                explained.push(Explained::decode(whole, frame, direction));
                remaining = following;
                continue;
            }
            Ok(None) => Content::Incomplete(frame::size(remaining).ok().flatten()),
            Err(error) => Content::InvalidLength(error),
        };
        explained.push(Explained { bytes: remaining, frame: None, direction, content });
        break;
    }
    explained
}

impl<'a> Explained<'a> {
    fn decode(bytes: &'a [u8], frame: Frame<'a>, direction: Option<Direction>) -> Self {
        let by_type =
            if frame.kind & limits::REPLY_BIT == 0 { Direction::Request } else { Direction::Reply };
        let direction = direction.unwrap_or(by_type);
        let message = match direction {
            Direction::Request => Request::decode(frame.kind, frame.body)
                .map(|(request, common)| Message::Request(request, common)),
            Direction::Reply => Reply::decode(frame.kind, frame.body).map(Message::Reply),
        };
        let content = match message {
            Ok(message) => {
                let skipped = bytes.len().saturating_sub(message.size());
                Content::Message { message: Box::new(message), skipped }
            }
            Err(error) => Content::InvalidMessage(error),
        };
        Self { bytes, frame: Some(frame), direction: Some(direction), content }
    }

    /// Returns true if the frame is complete, whether or not its message is valid.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.content, Content::Message { .. } | Content::InvalidMessage(_))
    }

    /// Returns true if the receiver would not accept the frame.
    pub(crate) fn is_rejected(&self) -> bool {
        !matches!(self.content, Content::Message { .. }) || self.is_request_with_id_0()
    }

    pub(crate) fn is_error_reply(&self) -> bool {
        matches!(&self.content, Content::Message { message, .. } if message.error().is_some())
    }

    /// Returns true if the frame concerns the connection itself instead of a request (id 0).
    pub(crate) fn concerns_connection(&self) -> bool {
        self.frame.is_some_and(|frame| frame.id == limits::CONNECTION_ID)
    }

    /// Returns true if the frame contains a secret, or cannot be decoded and so may contain one.
    pub(crate) fn may_contain_secrets(&self) -> bool {
        let Content::Message { message, .. } = &self.content else { return true };
        let mut found = false;
        message.view(&mut |field| found |= matches!(field.value, FieldValue::Secret(_)));
        found
    }

    fn is_request_with_id_0(&self) -> bool {
        self.concerns_connection() && self.direction == Some(Direction::Request)
    }

    /// Returns the error in the frame, or `None` if it is valid.
    fn error(&self) -> Option<String> {
        match self.content {
            _ if self.is_request_with_id_0() => {
                Some("request id 0 is reserved for the server".to_owned())
            }
            Content::Message { .. } => None,
            Content::InvalidMessage(error) => Some(error.to_string()),
            Content::InvalidLength(error) => Some(match error.looks_like() {
                Some(protocol) => format!("{error}; these bytes look like {protocol}"),
                None => error.to_string(),
            }),
            Content::Incomplete(None) => {
                Some("the length field of 4 bytes is incomplete".to_owned())
            }
            Content::Incomplete(Some(size)) => {
                let missing = size - self.bytes.len();
                let verb = if missing == 1 { "is" } else { "are" };
                Some(format!("{missing} of {size} bytes {verb} missing"))
            }
        }
    }

    /// Returns the error code with which the server responds to the frame, and true if it then
    /// closes the connection. Returns `None` for a valid or incomplete request, and for replies.
    fn response(&self) -> Option<(ErrorCode, bool)> {
        if self.direction == Some(Direction::Reply) {
            return None;
        }
        match self.content {
            _ if self.is_request_with_id_0() => Some((ErrorCode::MALFORMED, true)),
            Content::InvalidMessage(error) => Some((error.code(), false)),
            Content::InvalidLength(error) => Some((error.code(), true)),
            Content::Message { .. } | Content::Incomplete(_) => None,
        }
    }

    /// Describes the reaction of the receiver to an invalid frame.
    fn consequence(&self) -> String {
        match (self.response(), &self.content) {
            (Some((code, true)), _) => {
                format!(
                    "{} ({:04X}) with id 0, then the server closes the connection",
                    code.name(),
                    code.0
                )
            }
            (Some((code, false)), _) => {
                format!("{} ({:04X}) with this id; the connection stays open", code.name(), code.0)
            }
            (None, Content::Incomplete(_)) => {
                "none yet: the receiver waits for the missing bytes, by default for 10 s".to_owned()
            }
            (None, Content::InvalidLength(_)) => "the client closes the connection".to_owned(),
            (None, _) => "this call of the client fails; the connection stays open".to_owned(),
        }
    }

    fn type_name(&self) -> Option<&'static str> {
        let kind = self.frame?.kind;
        let all = if self.direction == Some(Direction::Reply) { Reply::ALL } else { Request::ALL };
        all.iter().find(|(code, _)| *code == kind).map(|(_, name)| *name)
    }

    /// Prints the frame on stdout. Secrets are shown only with `reveal`.
    pub(crate) fn print(&self, json: bool, reveal: bool) -> io::Result<()> {
        if json { output::json(&self.json(reveal)) } else { output::line(&self.text(reveal)) }
    }

    fn text(&self, reveal: bool) -> String {
        let mut rows = vec![("frame".to_owned(), format::counted(self.bytes.len(), "byte"))];
        let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
        if let Some(frame) = self.frame {
            row(
                "type",
                format!(
                    "{:#04x} {}",
                    frame.kind,
                    self.type_name().unwrap_or_else(|| type_range(frame.kind))
                ),
            );
            row("direction", direction_name(self.direction).to_owned());
            row("request id", frame.id.to_string());
        }
        if let Content::Message { message, skipped } = &self.content {
            let mut field_row = |prefix: &str, field: &FieldView<'_>| {
                let tag = field.tag.map(|tag| format!(" (tag {tag:#04x})")).unwrap_or_default();
                let value = fields::text(field, reveal);
                row(&format!("  {prefix}{}", field.name), format!("{value}{tag}"));
            };
            message.view(&mut |field| {
                field_row("", &field);
                if let FieldValue::List(list) = field.value {
                    for index in 0..list.len() {
                        let prefix = format!("  {} ", index + 1);
                        list.view(index, &mut |field| field_row(&prefix, &field));
                    }
                }
            });
            if *skipped > 0 {
                row(
                    "  skipped",
                    format!("{} in unknown odd tags", format::counted(*skipped, "byte")),
                );
            }
            if let Some(error) = message.error() {
                row("meaning", error.code.meaning().to_owned());
            }
        }
        if let Some(error) = self.error() {
            row("error", error);
            let is_reply = self.direction == Some(Direction::Reply);
            row(if is_reply { "result" } else { "response" }, self.consequence());
        }
        format::aligned(&rows)
    }

    fn json(&self, reveal: bool) -> Value {
        let mut object = Map::new();
        object.insert("bytes".to_owned(), self.bytes.len().into());
        if let Some(frame) = self.frame {
            object.insert("type".to_owned(), format!("{:02x}", frame.kind).into());
            object.insert("message".to_owned(), self.type_name().into());
            object.insert("direction".to_owned(), direction_name(self.direction).into());
            object.insert("id".to_owned(), frame.id.into());
        }
        if let Content::Message { message, skipped } = &self.content {
            let (fields, common) = message.objects(reveal);
            object.insert("fields".to_owned(), fields.into());
            object.insert("common".to_owned(), common.into());
            object.insert("skipped_bytes".to_owned(), (*skipped).into());
        }
        if let Some(error) = self.error() {
            let response = self.response();
            object.insert(
                "error".to_owned(),
                json!({
                    "message": error,
                    "code": response.map(|(code, _)| format!("{:04X}", code.0)),
                    "code_name": response.map(|(code, _)| code.name()),
                    "closes": response.map(|(_, closes)| closes),
                    "field": match self.content {
                        Content::InvalidMessage(error) => error.field(),
                        _ => None,
                    },
                    "incomplete": matches!(self.content, Content::Incomplete(_)),
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
                fields::json_object(|see| request.view(see), reveal),
                fields::json_object(|see| common.view(see), reveal),
            ),
            Self::Reply(reply) => (fields::json_object(|see| reply.view(see), reveal), Map::new()),
        }
    }

    /// Returns the size in bytes of the shortest frame that contains this message.
    fn size(&self) -> usize {
        let mut out = bytes::BytesMut::new();
        // A decoded message always fits a frame.
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

/// Describes a type byte that no message has, by the range of types that it belongs to.
fn type_range(kind: u8) -> &'static str {
    match kind {
        0x7e | 0xfe => "(reserved for a hello message)",
        0x40..=0x5f | 0xc0..=0xdf => "(reserved for private use)",
        _ => "(not a message in this direction)",
    }
}
