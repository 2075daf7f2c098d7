//! What makes a row of `table.rs` a struct, its codec, its place in the enum and its entry in the
//! lists.

/// The Rust type of a field: `text`, `secret` and `address` borrow for the message's lifetime, the
/// rest is copied.
macro_rules! field_type {
    (text [$lt:lifetime]) => { std::borrow::Cow<$lt, str> };
    (secret [$lt:lifetime]) => { $crate::Secret<$lt> };
    (address [$lt:lifetime]) => { $crate::ClientAddress<$lt> };
    (uuid $lt:tt) => { uuid::Uuid };
    (instant $lt:tt) => { $crate::UnixSeconds };
    (seconds $lt:tt) => { u32 };
    (millis $lt:tt) => { u32 };
    (number $lt:tt) => { u32 };
    (code $lt:tt) => { $crate::ErrorCode };
    (key $lt:tt) => { $crate::IdempotencyKey };
    (flag $lt:tt) => { () };
}

/// A field's value, independent of the read buffer.
macro_rules! field_owned {
    (text $value:expr) => {
        std::borrow::Cow::Owned($value.into_owned())
    };
    (secret $value:expr) => {
        $value.into_owned()
    };
    (address $value:expr) => {
        $value.into_owned()
    };
    ($other:ident $value:expr) => {
        $value
    };
}

/// A message's type, independent of the read buffer.
macro_rules! owned_type {
    ($name:ident [$lt:lifetime]) => { $name<'static> };
    ($name:ident []) => { $name };
}

/// A message's type, borrowing for a lifetime.
macro_rules! borrowed_type {
    ($name:ident [$own:lifetime] $lt:lifetime) => { $name<$lt> };
    ($name:ident [] $lt:lifetime) => { $name };
}

/// A message's struct, and what does not depend on its being a message. `$g` is `$lt` in a form
/// that repeats.
macro_rules! fields {
    (
        $(#[$doc:meta])* $name:ident [$($lt:lifetime)?] $g:tt
        { $($field:ident: $type:ident),* } { $($tag:literal $opt:ident: $opt_type:ident),* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the fields are the table's, and PROTOCOL.md says what they mean")]
        pub struct $name $(<$lt>)? {
            $(pub $field: field_type!($type $g),)*
            $(pub $opt: Option<field_type!($opt_type $g)>,)*
        }

        impl $(<$lt>)? $name $(<$lt>)? {
            #[allow(unused_variables, reason = "a message may have no fields")]
            fn put_fields(&self, out: &mut $crate::wire::Writer<'_>) {
                $(out.required(&self.$field);)*
                $(out.tagged($tag, self.$opt.as_ref());)*
            }

            fn owned(self) -> owned_type!($name $g) {
                $name {
                    $($field: field_owned!($type self.$field),)*
                    $($opt: self.$opt.map(|value| field_owned!($opt_type value)),)*
                }
            }

            #[allow(unused_variables, reason = "a message may have no fields")]
            fn view_fields(&self, see: &mut dyn FnMut($crate::FieldView<'_>)) {
                $(see($crate::FieldView { name: stringify!($field), tag: None, value: $crate::wire::Value::show(&self.$field) });)*
                $(if let Some(value) = &self.$opt {
                    see($crate::FieldView { name: stringify!($opt), tag: Some($tag), value: $crate::wire::Value::show(value) });
                })*
            }
        }
    };
}

/// One row: a struct with its codec. `others` takes the tags that are not its own.
macro_rules! message {
    (
        $(#[$doc:meta])* $code:literal $name:ident [$($lt:lifetime)?] $g:tt
        { $($field:ident: $type:ident),* } { $($tag:literal $opt:ident: $opt_type:ident),* }
    ) => {
        fields! { $(#[$doc])* $name [$($lt)?] $g { $($field: $type),* } { $($tag $opt: $opt_type),* } }

        impl $(<$lt>)? $crate::Message for $name $(<$lt>)? {
            const TYPE: u8 = $code;
            const NAME: &'static str = stringify!($name);
            type Owned = owned_type!($name $g);

            fn into_owned(self) -> Self::Owned {
                self.owned()
            }
            fn view(&self, see: &mut dyn FnMut($crate::FieldView<'_>)) {
                self.view_fields(see);
            }
            fn put(&self, out: &mut $crate::wire::Writer<'_>) {
                self.put_fields(out);
            }
        }

        impl<'b> $crate::table::Decode<'b> for borrowed_type!($name $g 'b) {
            #[inline]
            fn decode_with(body: &'b [u8], others: &mut impl $crate::table::Others<'b>) -> Result<Self, $crate::DecodeError> {
                let mut reader = $crate::wire::Reader::new(body);
                $(let $field = reader.required(stringify!($field))?;)*
                $(let mut $opt = None;)*
                while let Some((tag, value)) = reader.tagged()? {
                    match tag {
                        $($tag => $opt = Some($crate::wire::tagged_value(stringify!($opt), value)?),)*
                        _ => others.take(tag, value)?,
                    }
                }
                Ok($name { $($field,)* $($opt),* })
            }
        }
    };
}

/// Whether a request may be repeated when its outcome is unknown.
macro_rules! retry {
    (safe) => {
        true
    };
    (once) => {
        false
    };
}

/// The rows of requests: each message with its reply, and the enum of all.
macro_rules! requests {
    ($($code:literal $name:ident $(<$lt:lifetime>)? => $reply:ty, $retry:ident
        { $($field:ident: $type:ident),* $(; $($tag:literal $opt:ident: $opt_type:ident),*)? })*) => {
        $(
            message! {
                #[doc = concat!("`", stringify!($code), "`: a request.")]
                $code $name [$($lt)?] [$($lt)?] { $($field: $type),* } { $($($tag $opt: $opt_type),*)? }
            }

            impl $(<$lt>)? RequestMessage for $name $(<$lt>)? {
                type Reply = $reply;
                const SAFE: bool = retry!($retry);
            }

            const _: () = assert!(<$reply as Message>::TYPE == $code | $crate::limits::REPLY_BIT, "a reply's type is its request's with the reply bit");
        )*

        kind_enum! {
            /// Any request.
            Request $($code $name [$($lt)?])*
        }

        impl<'a> Request<'a> {
            /// Reads a frame's body, and the common tags behind the message's own.
            ///
            /// # Errors
            /// Where no request has this type, or the body is not as the table says.
            #[inline]
            pub fn decode(kind: u8, body: &'a [u8]) -> Result<(Self, Common<'a>), DecodeError> {
                let mut common = Common::default();
                let request = Self::decode_with(kind, body, &mut common)?;
                Ok((request, common))
            }
        }
    };
}

/// The rows of replies: each message, and the enum of all.
macro_rules! replies {
    ($($code:literal $name:ident $(<$lt:lifetime>)?
        { $($field:ident: $type:ident),* $(; $($tag:literal $opt:ident: $opt_type:ident),*)? })*) => {
        $(
            message! {
                #[doc = concat!("`", stringify!($code), "`: a reply.")]
                $code $name [$($lt)?] [$($lt)?] { $($field: $type),* } { $($($tag $opt: $opt_type),*)? }
            }
            reply! { $name [$($lt)?] }
        )*

        kind_enum! {
            /// Any reply.
            Reply $($code $name [$($lt)?])*
        }

        impl<'a> Reply<'a> {
            /// Reads a frame's body.
            ///
            /// # Errors
            /// Where no reply has this type, or the body is not as the table says.
            #[inline]
            pub fn decode(kind: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
                Self::decode_with(kind, body, &mut NoOthers)
            }
        }
    };
}

/// What a client needs of a reply: to read it without knowing the read buffer's lifetime.
macro_rules! reply {
    ($name:ident $g:tt) => {
        impl ReplyMessage for owned_type!($name $g) {
            fn decode_owned(body: &[u8]) -> Result<Self, DecodeError> {
                <$name as Decode>::decode_with(body, &mut NoOthers).map(|message| message.owned())
            }
        }
    };
}

/// The enum over the messages of one direction.
macro_rules! kind_enum {
    ($(#[$doc:meta])* $enum:ident $($code:literal $name:ident [$($lt:lifetime)?])*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "a variant is a row of the table")]
        pub enum $enum<'a> {
            $($name($name $(<$lt>)?),)*
        }

        impl<'a> $enum<'a> {
            /// The type and name of every message of this direction, in the table's order.
            pub const ALL: &'static [(u8, &'static str)] = &[$(($code, stringify!($name))),*];

            #[inline]
            fn decode_with(kind: u8, body: &'a [u8], others: &mut impl Others<'a>) -> Result<Self, DecodeError> {
                match kind {
                    $($code => <$name as Decode>::decode_with(body, others).map(Self::$name),)*
                    _ => Err(DecodeError::UnknownType(kind)),
                }
            }

            /// The type and name of this message.
            #[must_use]
            pub fn row(&self) -> (u8, &'static str) {
                match self { $(Self::$name(_) => ($code, stringify!($name)),)* }
            }

            /// The same message, independent of the read buffer.
            #[must_use]
            pub fn into_owned(self) -> $enum<'static> {
                match self { $(Self::$name(message) => $enum::$name(message.owned()),)* }
            }

            /// Shows every field that is there, in the order of the wire.
            pub fn view(&self, see: &mut dyn FnMut(FieldView<'_>)) {
                match self { $(Self::$name(message) => message.view_fields(see),)* }
            }

            fn put_fields(&self, out: &mut Writer<'_>) {
                match self { $(Self::$name(message) => message.put_fields(out),)* }
            }
        }

        $(impl<'a> From<$name $(<$lt>)?> for $enum<'a> {
            fn from(message: $name $(<$lt>)?) -> Self {
                Self::$name(message)
            }
        })*
    };
}

/// The tags that any request may carry.
macro_rules! common {
    ($($tag:literal $field:ident: $type:ident),*) => {
        fields! {
            /// The tags that any request may carry behind its own.
            #[derive(Default)]
            Common ['a] ['a] {} { $($tag $field: $type),* }
        }

        impl<'a> Others<'a> for Common<'a> {
            fn take(&mut self, tag: u8, value: &'a [u8]) -> Result<(), DecodeError> {
                match tag {
                    $($tag => self.$field = Some(tagged_value(stringify!($field), value)?),)*
                    _ => return unknown(tag),
                }
                Ok(())
            }
        }

        impl Common<'_> {
            /// The same tags, independent of the read buffer.
            #[must_use]
            pub fn into_owned(self) -> Common<'static> {
                self.owned()
            }

            /// Shows every tag that is there, in the order of the wire.
            pub fn view(&self, see: &mut dyn FnMut(FieldView<'_>)) {
                self.view_fields(see);
            }
        }
    };
}
