//! Encoding and decoding of a message body.

use bytes::{BufMut, BytesMut};

use crate::error::{DecodeError, EncodeError, Reason};
use crate::limits;
use crate::view::FieldValue;

/// A value of a field. A required value of varying size is preceded by its length; a tagged value
/// has the length of its tag.
pub(crate) trait Value<'a>: Sized {
    /// Size in bytes, or `None` if it varies.
    const SIZE: Option<usize>;

    /// Decodes a value from exactly these bytes.
    fn read(bytes: &'a [u8]) -> Result<Self, Reason>;
    /// Returns the size of this value in bytes. Called only if the size varies.
    fn size(&self) -> usize {
        Self::SIZE.unwrap_or_default()
    }
    fn write(&self, out: &mut BytesMut);
    fn show(&self) -> FieldValue<'_>;
}

/// A message, decoded from a body. Tags that the message does not declare go to `others`.
pub(crate) trait Decode<'b>: Sized {
    fn decode_with(body: &'b [u8], others: &mut impl OtherTags<'b>) -> Result<Self, DecodeError>;
}

/// A handler for the tags that a message does not declare.
pub(crate) trait OtherTags<'a> {
    fn take(&mut self, tag: u8, value: &'a [u8]) -> Result<(), DecodeError>;
}

/// A handler for messages without further tags: all tags are unknown.
pub(crate) struct NoOtherTags;

impl<'a> OtherTags<'a> for NoOtherTags {
    fn take(&mut self, tag: u8, _: &'a [u8]) -> Result<(), DecodeError> {
        unknown_tag(tag)
    }
}

/// Skips an unknown odd tag and rejects an unknown even one.
pub(crate) fn unknown_tag(tag: u8) -> Result<(), DecodeError> {
    if tag % 2 == 1 { Ok(()) } else { Err(DecodeError::UnknownTag(tag)) }
}

/// A cursor over a body. It only moves forward, so the time to decode is linear.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    last_tag: Option<u8>,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body, last_tag: None }
    }

    /// Reads the next required field.
    #[inline]
    pub(crate) fn required<V: Value<'a>>(&mut self, field: &'static str) -> Result<V, DecodeError> {
        let bytes = match V::SIZE {
            Some(size) => self.take(size, field)?,
            None => self.length_prefixed(field)?,
        };
        V::read(bytes).map_err(|reason| DecodeError::Malformed { field, reason })
    }

    /// Reads the next tag and its value. Returns `None` at the end of the body.
    #[inline]
    pub(crate) fn tagged(&mut self) -> Result<Option<(u8, &'a [u8])>, DecodeError> {
        const TAIL: &str = "tail";
        let Some((&tag, rest)) = self.rest.split_first() else { return Ok(None) };
        if self.last_tag.is_some_and(|last| last >= tag) {
            return Err(DecodeError::Malformed { field: TAIL, reason: Reason::TagOrder });
        }
        self.last_tag = Some(tag);
        self.rest = rest;
        Ok(Some((tag, self.length_prefixed(TAIL)?)))
    }

    #[inline]
    fn length_prefixed(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
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

/// Decodes the value of a tag.
pub(crate) fn tagged_value<'a, V: Value<'a>>(
    field: &'static str,
    bytes: &'a [u8],
) -> Result<V, DecodeError> {
    V::read(bytes).map_err(|reason| DecodeError::Malformed { field, reason })
}

/// An encoder that appends one frame to a buffer. It records a value that does not fit its length
/// field; [`Writer::finish`] then removes the incomplete frame.
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
        self.value(value, has_varying_size(value));
    }

    pub(crate) fn tagged<'a>(&mut self, tag: u8, value: Option<&impl Value<'a>>) {
        let Some(value) = value else { return };
        self.out.put_u8(tag);
        self.value(value, true);
    }

    fn value<'a>(&mut self, value: &impl Value<'a>, length_prefixed: bool) {
        if length_prefixed {
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

    /// Completes the frame by writing its length.
    ///
    /// # Errors
    /// Fails if the frame is too long. The buffer then has its previous content.
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

fn has_varying_size<'a, V: Value<'a>>(_: &V) -> bool {
    V::SIZE.is_none()
}
