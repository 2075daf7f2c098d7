//! The Rust types of field values, with the encoding of each kind.

use std::borrow::Cow;
use std::net::IpAddr;

use uuid::Uuid;
use zeroize::Zeroize;

use crate::error::Reason;
use crate::error_code::ErrorCode;
use crate::limits;
use crate::view::FieldValue;
use crate::wire::{Value, Writer};

/// A password, token or code. Its `Debug` output is redacted, and owned bytes are overwritten with
/// zeros on drop.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<'a>(Cow<'a, [u8]>);

impl<'a> Secret<'a> {
    /// Returns the bytes of the secret. Code that copies them is responsible for overwriting the
    /// copies.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes as text, or `None` if they are not valid UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Copies borrowed bytes, so that the secret no longer depends on the read buffer.
    #[must_use]
    pub fn into_owned(mut self) -> Secret<'static> {
        Secret(Cow::Owned(std::mem::take(&mut self.0).into_owned()))
    }
}

impl Drop for Secret<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(bytes) = &mut self.0 {
            bytes.zeroize();
        }
    }
}

impl<'a> From<&'a [u8]> for Secret<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

impl<'a> From<&'a str> for Secret<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Secret<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text.into_bytes()))
    }
}

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A point in time, in seconds since 1970-01-01T00:00:00Z, at most 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct UnixSeconds(pub u64);

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z, at most 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct UnixMillis(pub u64);

/// The IP address of the end user, as seen by the gateway. It stores the text that was received, so
/// that encoding it again yields the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress<'a> {
    text: Cow<'a, str>,
    ip: IpAddr,
}

impl ClientAddress<'_> {
    /// Returns the parsed address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    pub(crate) fn into_owned(self) -> ClientAddress<'static> {
        ClientAddress { text: Cow::Owned(self.text.into_owned()), ip: self.ip }
    }
}

impl From<IpAddr> for ClientAddress<'_> {
    fn from(ip: IpAddr) -> Self {
        Self { text: Cow::Owned(ip.to_string()), ip }
    }
}

/// A random key that a client assigns to one intended change, so that a retry does not execute the
/// change again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey(pub [u8; 16]);

impl<'a> Value<'a> for Cow<'a, str> {
    const SIZE: Option<usize> = None;
    fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Reason::NotUtf8)
    }
    fn write(&self, out: &mut Writer<'_>) {
        out.put_varying(self.as_bytes());
    }
    fn show(&self) -> FieldValue<'_> {
        FieldValue::Text(self)
    }
}

impl<'a> Value<'a> for Cow<'a, [u8]> {
    const SIZE: Option<usize> = None;
    fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        Ok(Cow::Borrowed(bytes))
    }
    fn write(&self, out: &mut Writer<'_>) {
        out.put_varying(self);
    }
    fn show(&self) -> FieldValue<'_> {
        FieldValue::Bytes(self)
    }
}

impl<'a> Value<'a> for Secret<'a> {
    const SIZE: Option<usize> = None;
    fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        Ok(Self(Cow::Borrowed(bytes)))
    }
    fn write(&self, out: &mut Writer<'_>) {
        out.put_varying(&self.0);
    }
    fn show(&self) -> FieldValue<'_> {
        FieldValue::Secret(&self.0)
    }
}

impl<'a> Value<'a> for ClientAddress<'a> {
    const SIZE: Option<usize> = None;
    fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        let text = std::str::from_utf8(bytes).map_err(|_| Reason::NotUtf8)?;
        let ip = text.parse().map_err(|_| Reason::NotAnAddress)?;
        Ok(Self { text: Cow::Borrowed(text), ip })
    }
    fn write(&self, out: &mut Writer<'_>) {
        out.put_varying(self.text.as_bytes());
    }
    fn show(&self) -> FieldValue<'_> {
        FieldValue::Text(&self.text)
    }
}

/// Implements [`Value`] for a type of fixed size.
macro_rules! fixed {
    (
        $type:ty, $size:literal, |$bytes:ident| $read:expr, |$value:ident| $write:expr, $show:expr
    ) => {
        impl Value<'_> for $type {
            const SIZE: Option<usize> = Some($size);
            fn read(bytes: &[u8]) -> Result<Self, Reason> {
                let $bytes: [u8; $size] = bytes.try_into().map_err(|_| Reason::WrongSize)?;
                $read
            }
            fn write(&self, out: &mut Writer<'_>) {
                let $value = self;
                out.put_fixed(&$write);
            }
            fn show(&self) -> FieldValue<'_> {
                let $value = self;
                $show
            }
        }
    };
}

fixed!(
    u32,
    4,
    |bytes| Ok(u32::from_be_bytes(bytes)),
    |value| value.to_be_bytes(),
    FieldValue::Number((*value).into())
);
fixed!(
    Uuid,
    16,
    |bytes| Ok(Uuid::from_bytes(bytes)),
    |value| *value.as_bytes(),
    FieldValue::Uuid(*value)
);
fixed!(
    ErrorCode,
    2,
    |bytes| Ok(ErrorCode(u16::from_be_bytes(bytes))),
    |value| value.0.to_be_bytes(),
    FieldValue::Code(*value)
);
fixed!(
    IdempotencyKey,
    16,
    |bytes| Ok(IdempotencyKey(bytes)),
    |value| value.0,
    FieldValue::Key(&value.0)
);
fixed!((), 0, |_bytes| Ok(()), |_value| [], FieldValue::Flag);
fixed!(
    u8,
    1,
    |bytes| Ok(u8::from_be_bytes(bytes)),
    |value| value.to_be_bytes(),
    FieldValue::Byte(*value)
);
fixed!(
    UnixSeconds,
    8,
    |bytes| instant(bytes).map(UnixSeconds),
    |value| value.0.to_be_bytes(),
    FieldValue::Instant(value.0)
);
fixed!(
    UnixMillis,
    8,
    |bytes| instant(bytes).map(UnixMillis),
    |value| value.0.to_be_bytes(),
    FieldValue::InstantMillis(value.0)
);

/// Reads a point in time, of whichever unit.
fn instant(bytes: [u8; 8]) -> Result<u64, Reason> {
    let number = u64::from_be_bytes(bytes);
    if number <= limits::MAX_INSTANT { Ok(number) } else { Err(Reason::OutOfRange) }
}
