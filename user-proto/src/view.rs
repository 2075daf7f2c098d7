//! A view of the fields of a message, for tools that print messages.

use uuid::Uuid;

use crate::error_code::ErrorCode;

/// One field of a message, as passed to the callback of [`Message::view`](crate::Message::view).
#[derive(Debug, Clone, Copy)]
pub struct FieldView<'a> {
    /// Name of the field, as in PROTOCOL.md.
    pub name: &'static str,
    /// Tag of an optional field; `None` for a required field.
    pub tag: Option<u8>,
    /// Value of the field.
    pub value: FieldValue<'a>,
}

/// The value of a field. Its `Debug` output redacts secrets.
#[derive(Clone, Copy)]
pub enum FieldValue<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// A password, token or code.
    Secret(&'a [u8]),
    /// Opaque bytes.
    Bytes(&'a [u8]),
    /// An idempotency key, of 16 bytes.
    Key(&'a [u8]),
    /// A UUID.
    Uuid(Uuid),
    /// A point in time, in seconds since 1970-01-01T00:00:00Z.
    Instant(u64),
    /// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
    InstantMillis(u64),
    /// A duration in milliseconds if the name of the field ends with `_ms`, otherwise a duration in
    /// seconds or a count.
    Number(u64),
    /// An unsigned number of 8 bits.
    Byte(u8),
    /// An error code.
    Code(ErrorCode),
    /// A flag that is set. A flag that is not set is not part of the view.
    Flag,
    /// The rows of a list.
    List(ListView<'a>),
}

impl std::fmt::Debug for FieldValue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Secret(_) => f.write_str("[redacted]"),
            Self::Bytes(bytes) | Self::Key(bytes) => write!(f, "{bytes:02x?}"),
            Self::Uuid(id) => write!(f, "{id}"),
            Self::Instant(number) | Self::InstantMillis(number) | Self::Number(number) => {
                write!(f, "{number}")
            }
            Self::Byte(number) => write!(f, "{number}"),
            Self::Code(code) => write!(f, "{code:?}"),
            Self::Flag => f.write_str("set"),
            Self::List(rows) => rows.fmt(f),
        }
    }
}

/// The rows of a list. Its `Debug` output redacts secrets.
#[derive(Clone, Copy)]
pub struct ListView<'a>(&'a dyn Rows);

/// The rows of a list, accessed by index, whatever their type.
pub(crate) trait Rows {
    fn count(&self) -> usize;
    fn view(&self, index: usize, visit: &mut dyn FnMut(FieldView<'_>));
}

impl<'a> ListView<'a> {
    pub(crate) fn new(rows: &'a dyn Rows) -> Self {
        Self(rows)
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count()
    }

    /// Returns `true` if the list has no rows.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Calls `visit` for every field that is present in the row at `index`, in the order of their
    /// encoding. Does nothing if there is no such row.
    pub fn view(self, index: usize, visit: &mut dyn FnMut(FieldView<'_>)) {
        self.0.view(index, visit);
    }
}

impl std::fmt::Debug for ListView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries((0..self.len()).map(|index| RowView { list: *self, index })).finish()
    }
}

/// One row of a list, for `Debug`.
struct RowView<'a> {
    list: ListView<'a>,
    index: usize,
}

impl std::fmt::Debug for RowView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut row = f.debug_struct("Row");
        self.list.view(self.index, &mut |field| {
            row.field(field.name, &field.value);
        });
        row.finish()
    }
}
