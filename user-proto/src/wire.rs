//! Encoding and decoding of a message body.

use bytes::{BufMut, BytesMut};

use crate::error::{DecodeError, EncodeError, Reason};
use crate::limits;
use crate::view::FieldValue;

/// A value of a field. A value of fixed size is encoded as its bytes; one of varying size is
/// preceded by its length. As a tagged value, both are preceded by their length.
pub(crate) trait Value<'a>: Sized {
    /// Size of every value of this type in bytes, or `None` if the size varies.
    const SIZE: Option<usize>;

    /// Decodes a value from `bytes`, all of which belong to it.
    fn read(bytes: &'a [u8]) -> Result<Self, Reason>;
    /// Decodes the value of a required field. `field` is the name of the field, for errors.
    #[inline]
    fn read_required(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, DecodeError> {
        let bytes = match Self::SIZE {
            Some(size) => reader.take(size, field)?,
            None => reader.length_prefixed(field)?,
        };
        Self::read(bytes).map_err(|reason| DecodeError::Malformed { field, reason })
    }
    /// Encodes the value of a required field.
    fn write(&self, out: &mut Writer<'_>);
    /// Encodes the value of an optional field. Its tag has already been written.
    #[inline]
    fn write_tagged(&self, out: &mut Writer<'_>) {
        if let Some(size) = Self::SIZE {
            out.put_length(size);
        }
        self.write(out);
    }
    fn show(&self) -> FieldValue<'_>;
}

/// A message that can be decoded from the body of a frame. Tags that it does not declare are passed
/// to `others`.
pub(crate) trait Decode<'b>: Sized {
    fn decode_with(body: &'b [u8], others: &mut impl OtherTags<'b>) -> Result<Self, DecodeError>;
}

/// A handler of the tags that a message does not declare.
pub(crate) trait OtherTags<'a> {
    fn take(&mut self, tag: u8, value: &'a [u8]) -> Result<(), DecodeError>;
}

/// The handler of undeclared tags for messages without common tags: skips odd tags and rejects even
/// ones.
pub(crate) struct NoOtherTags;

impl<'a> OtherTags<'a> for NoOtherTags {
    fn take(&mut self, tag: u8, _: &'a [u8]) -> Result<(), DecodeError> {
        unknown_tag(tag)
    }
}

/// Handles a tag that this version does not know: skips an odd one and rejects an even one.
pub(crate) fn unknown_tag(tag: u8) -> Result<(), DecodeError> {
    if tag % 2 == 1 { Ok(()) } else { Err(DecodeError::UnknownTag(tag)) }
}

/// A cursor over the body of a message. It only moves forward, so the time to decode is linear.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    last_tag: Option<u8>,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body, last_tag: None }
    }

    /// Reads the next required field. `field` is its name, for errors.
    #[inline]
    pub(crate) fn required<V: Value<'a>>(&mut self, field: &'static str) -> Result<V, DecodeError> {
        V::read_required(self, field)
    }

    /// Returns `true` if the whole body has been read.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
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

    /// Reads a length of two bytes, and then as many bytes. `field` is the name of the field, for
    /// errors.
    #[inline]
    pub(crate) fn length_prefixed(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.take(2, field)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        self.take(length, field)
    }

    /// Reads `size` bytes. `field` is the name of the field, for errors.
    #[inline]
    pub(crate) fn take(
        &mut self,
        size: usize,
        field: &'static str,
    ) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(size)
            .ok_or(DecodeError::Malformed { field, reason: Reason::Truncated })?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Decodes the value of an optional field. `field` is its name, for errors.
pub(crate) fn tagged_value<'a, V: Value<'a>>(
    field: &'static str,
    bytes: &'a [u8],
) -> Result<V, DecodeError> {
    V::read(bytes).map_err(|reason| DecodeError::Malformed { field, reason })
}

/// An encoder that appends one frame to a buffer. If a value is too long for its length field or
/// for the frame, [`Writer::finish`] removes the incomplete frame and fails.
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
        value.write(self);
    }

    pub(crate) fn tagged<'a>(&mut self, tag: u8, value: Option<&impl Value<'a>>) {
        let Some(value) = value else { return };
        self.out.put_u8(tag);
        value.write_tagged(self);
    }

    /// Appends bytes without their length.
    pub(crate) fn put_fixed(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }

    /// Appends bytes preceded by their length. Bytes that exceed the longest frame are not
    /// appended, so the buffer never grows by much more than the size of that frame;
    /// [`Writer::finish`] then fails.
    pub(crate) fn put_varying(&mut self, bytes: &[u8]) {
        match u16::try_from(bytes.len()) {
            Ok(length) if self.out.len() - self.start + bytes.len() <= limits::MAX_FRAME => {
                self.out.put_u16(length);
                self.out.put_slice(bytes);
            }
            _ => self.overflow = true,
        }
    }

    /// Appends a number of two bytes: the length of a value, or the number of rows of a list.
    pub(crate) fn put_length(&mut self, length: usize) {
        match u16::try_from(length) {
            Ok(length) => self.out.put_u16(length),
            Err(_) => self.overflow = true,
        }
    }

    /// Appends the bytes that `write` appends, preceded by their length.
    pub(crate) fn length_prefixed(&mut self, write: impl FnOnce(&mut Self)) {
        if self.overflow {
            return;
        }
        let at = self.out.len();
        self.out.put_u16(0);
        write(self);
        let start = at + 2;
        match (u16::try_from(self.out.len() - start), self.out.get_mut(at..start)) {
            (Ok(length), Some(prefix)) => prefix.copy_from_slice(&length.to_be_bytes()),
            _ => self.overflow = true,
        }
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
