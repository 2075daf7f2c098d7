//! Lists: a count as u16, then each row as its length (u16) and its fields.
//!
//! A row is encoded like the body of a message: required fields, then a tagged tail. All tags of a
//! row are odd, so a later version can add fields that an old receiver skips.

use crate::error::{DecodeError, Reason};
use crate::view::{FieldValue, FieldView, ListView, Rows};
use crate::wire::{Decode, NoOtherTags, Reader, Value, Writer};

/// One row of a list field.
pub(crate) trait Row<'a>: Decode<'a> + ViewRow {
    /// Size in bytes of the shortest row: required fields without content, and no tags.
    const MIN_SIZE: usize;

    fn put(&self, out: &mut Writer<'_>);
}

/// The fields of a row, for tools that print messages.
pub(crate) trait ViewRow {
    fn view_row(&self, visit: &mut dyn FnMut(FieldView<'_>));
}

impl<'a, R: Row<'a>> Value<'a> for Vec<R> {
    const SIZE: Option<usize> = None;

    fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        let mut reader = Reader::new(bytes);
        let rows = read_rows(&mut reader)?;
        if reader.is_empty() { Ok(rows) } else { Err(Reason::TrailingBytes) }
    }

    fn read_required(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, DecodeError> {
        read_rows(reader).map_err(|reason| DecodeError::Malformed { field, reason })
    }

    fn write(&self, out: &mut Writer<'_>) {
        out.put_length(self.len());
        for row in self {
            out.length_prefixed(|out| row.put(out));
        }
    }

    fn write_tagged(&self, out: &mut Writer<'_>) {
        out.length_prefixed(|out| self.write(out));
    }

    fn show(&self) -> FieldValue<'_> {
        FieldValue::List(ListView::new(self))
    }
}

/// Reads the number of rows and the rows of a list. An error concerns the whole list, so it does
/// not contain the name of the field in the row.
fn read_rows<'a, R: Row<'a>>(reader: &mut Reader<'a>) -> Result<Vec<R>, Reason> {
    let count = reader.take(2, "").map_err(reason)?;
    let count = count.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    // Memory is reserved only after all rows are known to be present, with at least their minimum
    // size. So it is proportional to the size of the body.
    let mut ahead = reader.clone();
    for _ in 0..count {
        if ahead.length_prefixed("").map_err(reason)?.len() < R::MIN_SIZE {
            return Err(Reason::Truncated);
        }
    }
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let row = reader.length_prefixed("").map_err(reason)?;
        rows.push(R::decode_with(row, &mut NoOtherTags).map_err(reason)?);
    }
    Ok(rows)
}

fn reason(error: DecodeError) -> Reason {
    match error {
        DecodeError::Malformed { reason, .. } => reason,
        DecodeError::UnknownTag(_) | DecodeError::UnknownType(_) => Reason::EvenTagInRow,
    }
}

impl<R: ViewRow> Rows for Vec<R> {
    fn count(&self) -> usize {
        self.len()
    }

    fn view(&self, index: usize, visit: &mut dyn FnMut(FieldView<'_>)) {
        if let Some(row) = self.get(index) {
            row.view_row(visit);
        }
    }
}

#[cfg(test)]
mod tests;
