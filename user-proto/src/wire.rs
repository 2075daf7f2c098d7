//! How a body is read and written. A [`Reader`] can only shrink, so it can't read past its end.

use bytes::{BufMut, BytesMut};

use crate::error::{DecodeError, EncodeError, Reason};
use crate::limits;
use crate::value::Value;

/// How a message is read: its own fields, and the rest of the tail by `others`.
pub(crate) trait Decode<'b>: Sized {
    fn decode_with(body: &'b [u8], others: &mut impl Others<'b>) -> Result<Self, DecodeError>;
}

/// Who takes the tags that are not a message's own.
pub(crate) trait Others<'a> {
    fn take(&mut self, tag: u8, value: &'a [u8]) -> Result<(), DecodeError>;
}

/// The growth rule: an unknown odd tag is skipped, an unknown even one refused.
pub(crate) fn unknown(tag: u8) -> Result<(), DecodeError> {
    if tag % 2 == 1 { Ok(()) } else { Err(DecodeError::UnknownTag(tag)) }
}

/// A reply has no common tags.
pub(crate) struct NoOthers;

impl<'a> Others<'a> for NoOthers {
    fn take(&mut self, tag: u8, _: &'a [u8]) -> Result<(), DecodeError> {
        unknown(tag)
    }
}

/// The rest of a body.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    last_tag: Option<u8>,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body, last_tag: None }
    }

    /// The next required field.
    #[inline]
    pub(crate) fn required<V: Value<'a>>(&mut self, field: &'static str) -> Result<V, DecodeError> {
        let bytes = match V::SIZE {
            Some(size) => self.take(size, field)?,
            None => self.counted(field)?,
        };
        V::read(bytes).map_err(|reason| DecodeError::Malformed { field, reason })
    }

    /// The next tag and its value, or `None` at the body's end.
    #[inline]
    pub(crate) fn tagged(&mut self) -> Result<Option<(u8, &'a [u8])>, DecodeError> {
        const TAIL: &str = "tail";
        let Some((&tag, rest)) = self.rest.split_first() else { return Ok(None) };
        if self.last_tag.is_some_and(|last| last >= tag) {
            return Err(DecodeError::Malformed { field: TAIL, reason: Reason::TagOrder });
        }
        self.last_tag = Some(tag);
        self.rest = rest;
        Ok(Some((tag, self.counted(TAIL)?)))
    }

    #[inline]
    fn counted(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.take(2, field)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        self.take(length, field)
    }

    #[inline]
    fn take(&mut self, size: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(size)
            .ok_or(DecodeError::Malformed { field, reason: Reason::Truncated })?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Reads a tagged value, whose length has to be its type's.
pub(crate) fn tagged_value<'a, V: Value<'a>>(
    field: &'static str,
    bytes: &'a [u8],
) -> Result<V, DecodeError> {
    V::read(bytes).map_err(|reason| DecodeError::Malformed { field, reason })
}

/// Writes one frame behind what `out` already holds. A value that is too long for its length field
/// is remembered, and [`Writer::finish`] then takes the whole frame back.
#[doc(hidden)]
pub struct Writer<'b> {
    out: &'b mut BytesMut,
    start: usize,
    overflow: bool,
}

impl<'b> Writer<'b> {
    pub(crate) fn begin(out: &'b mut BytesMut, kind: u8, id: u32) -> Self {
        let start = out.len();
        out.put_u32(0);
        out.put_u8(kind);
        out.put_u32(id);
        Self { out, start, overflow: false }
    }

    pub(crate) fn required<'a>(&mut self, value: &impl Value<'a>) {
        self.value(value, Self::is_counted(value));
    }

    pub(crate) fn tagged<'a>(&mut self, tag: u8, value: Option<&impl Value<'a>>) {
        let Some(value) = value else { return };
        self.out.put_u8(tag);
        self.value(value, true);
    }

    fn is_counted<'a, V: Value<'a>>(_: &V) -> bool {
        V::SIZE.is_none()
    }

    fn value<'a>(&mut self, value: &impl Value<'a>, counted: bool) {
        if counted {
            match u16::try_from(value.size()) {
                Ok(size) => self.out.put_u16(size),
                Err(_) => {
                    self.overflow = true;
                    return;
                }
            }
        }
        value.write(self.out);
    }

    pub(crate) fn finish(self) -> Result<(), EncodeError> {
        let length = self.out.len() - self.start - limits::LENGTH_FIELD;
        let prefix = self.out.get_mut(self.start..self.start + limits::LENGTH_FIELD);
        match (prefix, u32::try_from(length)) {
            (Some(prefix), Ok(size)) if !self.overflow && length <= limits::MAX_LENGTH => {
                prefix.copy_from_slice(&size.to_be_bytes());
                Ok(())
            }
            _ => {
                self.out.truncate(self.start);
                Err(EncodeError)
            }
        }
    }
}
