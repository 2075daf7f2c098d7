//! The macros that generate code from the rows of `table.rs`.
//!
//! `macro_rules!` cannot take a lifetime apart, so generics are passed in brackets: `[$($lt)?]` is
//! the lifetime of a message with borrowed fields, `$g` is the same in a form that can be repeated,
//! and `[$($kind)?]` is the const parameter of a struct that several messages share.

/// The Rust type of a field of a given kind. `text`, `secret`, `bytes` and `address` borrow from
/// the read buffer.
macro_rules! field_type {
    (text [$lt:lifetime]) => { std::borrow::Cow<$lt, str> };
    (secret [$lt:lifetime]) => { $crate::value::Secret<$lt> };
    (bytes [$lt:lifetime]) => { std::borrow::Cow<$lt, [u8]> };
    (address [$lt:lifetime]) => { $crate::value::ClientAddress<$lt> };
    (uuid $lt:tt) => { uuid::Uuid };
    (instant $lt:tt) => { $crate::value::UnixSeconds };
    (instant_ms $lt:tt) => { $crate::value::UnixMillis };
    (seconds $lt:tt) => { u32 };
    (millis $lt:tt) => { u32 };
    (number $lt:tt) => { u32 };
    (byte $lt:tt) => { u8 };
    (code $lt:tt) => { $crate::error_code::ErrorCode };
    (key $lt:tt) => { $crate::value::IdempotencyKey };
    (flag $lt:tt) => { () };
    (list $row:ident [$lt:lifetime]) => { Vec<$row<$lt>> };
    (list $row:ident []) => { Vec<$row> };
}

/// The kind of a field, as a [`FieldKind`](crate::FieldKind).
macro_rules! field_kind {
    (text) => {
        $crate::layout::FieldKind::Text
    };
    (secret) => {
        $crate::layout::FieldKind::Secret
    };
    (bytes) => {
        $crate::layout::FieldKind::Bytes
    };
    (address) => {
        $crate::layout::FieldKind::Address
    };
    (uuid) => {
        $crate::layout::FieldKind::Uuid
    };
    (instant) => {
        $crate::layout::FieldKind::Instant
    };
    (instant_ms) => {
        $crate::layout::FieldKind::InstantMillis
    };
    (seconds) => {
        $crate::layout::FieldKind::Seconds
    };
    (millis) => {
        $crate::layout::FieldKind::Millis
    };
    (number) => {
        $crate::layout::FieldKind::Number
    };
    (byte) => {
        $crate::layout::FieldKind::Byte
    };
    (code) => {
        $crate::layout::FieldKind::Code
    };
    (key) => {
        $crate::layout::FieldKind::Key
    };
    (flag) => {
        $crate::layout::FieldKind::Flag
    };
    (list $row:ident) => {
        $crate::layout::FieldKind::List($row::LAYOUT)
    };
}

/// The value of a field without borrowed data.
macro_rules! field_owned {
    (text $value:expr) => {
        std::borrow::Cow::Owned($value.into_owned())
    };
    (bytes $value:expr) => {
        std::borrow::Cow::Owned($value.into_owned())
    };
    (secret $value:expr) => {
        $value.into_owned()
    };
    (address $value:expr) => {
        $value.into_owned()
    };
    (list $row:ident $value:expr) => {
        $value.into_iter().map(|row| row.owned()).collect()
    };
    ($other:ident $value:expr) => {
        $value
    };
}

/// A declared type with the lifetime `$new`, if it has a lifetime.
macro_rules! with_lifetime {
    ($new:lifetime $name:ident [$lt:lifetime] [$($kind:ident)?]) => { $name<$new, $($kind)?> };
    ($new:lifetime $name:ident [] [$($kind:ident)?]) => { $name<$($kind)?> };
}

/// The name in `Debug` output: that of the message, even if several messages share the struct.
macro_rules! debug_name {
    ($name:ident []) => {
        stringify!($name)
    };
    ($name:ident [$kind:ident]) => {
        reply_name($kind)
    };
}

/// Declares a struct of fields with its layout, encoder, view and `Debug` output, but no decoder.
macro_rules! fields {
    (
        $(#[$doc:meta])* $name:ident [$($lt:lifetime)?] $g:tt [$($kind:ident)?]
        { $($field:ident: $type:ident $($row:ident)?),* }
        { $($tag:literal $opt:ident: $opt_type:ident $($opt_row:ident)?),* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name<$($lt,)? $(const $kind: u8)?> {
            $(
                #[doc = concat!("Required field of kind `", stringify!($type $($row)?), "`.")]
                pub $field: field_type!($type $($row)? $g),
            )*
            $(
                #[doc = concat!(
                    "Optional field of kind `", stringify!($opt_type $($opt_row)?),
                    "`, tag `", stringify!($tag), "`."
                )]
                pub $opt: Option<field_type!($opt_type $($opt_row)? $g)>,
            )*
        }

        impl<$($lt,)? $(const $kind: u8)?> std::fmt::Debug for $name<$($lt,)? $($kind)?> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(debug_name!($name [$($kind)?]))
                    $(.field(stringify!($field), &self.$field))*
                    $(.field(stringify!($opt), &self.$opt))*
                    .finish()
            }
        }

        impl<$($lt,)? $(const $kind: u8)?> $name<$($lt,)? $($kind)?> {
            const LAYOUT: &'static [$crate::layout::FieldLayout] = &[
                $($crate::layout::FieldLayout {
                    name: stringify!($field),
                    kind: field_kind!($type $($row)?),
                    tag: None,
                },)*
                $($crate::layout::FieldLayout {
                    name: stringify!($opt),
                    kind: field_kind!($opt_type $($opt_row)?),
                    tag: Some($tag),
                },)*
            ];

            #[allow(unused_variables, reason = "a message may have no fields")]
            fn put_fields(&self, out: &mut $crate::wire::Writer<'_>) {
                $(out.required(&self.$field);)*
                $(out.tagged($tag, self.$opt.as_ref());)*
            }

            fn owned(self) -> with_lifetime!('static $name $g [$($kind)?]) {
                $name {
                    $($field: field_owned!($type $($row)? self.$field),)*
                    $($opt: self.$opt.map(|value| field_owned!($opt_type $($opt_row)? value)),)*
                }
            }

            #[allow(unused_variables, reason = "a message may have no fields")]
            fn view_fields(&self, visit: &mut dyn FnMut($crate::view::FieldView<'_>)) {
                $(visit($crate::view::FieldView {
                    name: stringify!($field),
                    tag: None,
                    value: $crate::wire::Value::show(&self.$field),
                });)*
                $(if let Some(value) = &self.$opt {
                    visit($crate::view::FieldView {
                        name: stringify!($opt),
                        tag: Some($tag),
                        value: $crate::wire::Value::show(value),
                    });
                })*
            }
        }
    };
}

/// Declares a struct of fields with its decoder.
macro_rules! body {
    (
        $(#[$doc:meta])* $name:ident [$($lt:lifetime)?] $g:tt [$($kind:ident)?]
        { $($field:ident: $type:ident $($row:ident)?),* }
        { $($tag:literal $opt:ident: $opt_type:ident $($opt_row:ident)?),* }
    ) => {
        fields! {
            $(#[$doc])* $name [$($lt)?] $g [$($kind)?]
            { $($field: $type $($row)?),* } { $($tag $opt: $opt_type $($opt_row)?),* }
        }

        impl<$($lt,)? $(const $kind: u8)?> $name<$($lt,)? $($kind)?> {
            /// Creates a value from the required fields, without optional fields.
            #[must_use]
            #[allow(clippy::new_without_default, reason = "few messages have no required fields")]
            pub fn new($($field: field_type!($type $($row)? $g)),*) -> Self {
                Self { $($field,)* $($opt: None),* }
            }
        }

        impl<'b, $(const $kind: u8)?> $crate::wire::Decode<'b>
            for with_lifetime!('b $name $g [$($kind)?])
        {
            #[inline]
            fn decode_with(
                body: &'b [u8],
                others: &mut impl $crate::wire::OtherTags<'b>,
            ) -> Result<Self, $crate::error::DecodeError> {
                let mut reader = $crate::wire::Reader::new(body);
                $(let $field = reader.required(stringify!($field))?;)*
                $(let mut $opt = None;)*
                while let Some((tag, value)) = reader.tagged()? {
                    match tag {
                        $($tag => {
                            $opt = Some($crate::wire::tagged_value(stringify!($opt), value)?);
                        })*
                        _ => others.take(tag, value)?,
                    }
                }
                Ok($name { $($field,)* $($opt),* })
            }
        }
    };
}

/// Implements `Message` for a declared struct, with the type byte and the name of the message.
macro_rules! message {
    ($code:literal $name:ident [$($lt:lifetime)?] $g:tt) => {
        impl $(<$lt>)? $crate::message::Message for $name $(<$lt>)? {
            const TYPE: u8 = $code;
            const NAME: &'static str = stringify!($name);
            const FIELDS: &'static [$crate::layout::FieldLayout] = Self::LAYOUT;
            type Owned = with_lifetime!('static $name $g []);

            fn into_owned(self) -> Self::Owned {
                self.owned()
            }
            fn view(&self, visit: &mut dyn FnMut($crate::view::FieldView<'_>)) {
                self.view_fields(visit);
            }
            fn put(&self, out: &mut $crate::wire::Writer<'_>) {
                self.put_fields(out);
            }
        }
    };
}

/// Declares the structs of the rows of lists.
macro_rules! rows {
    ($(
        $name:ident $(<$lt:lifetime>)?
        { $($field:ident: $type:ident),* $(; $($tag:literal $opt:ident: $opt_type:ident),*)? }
    )*) => {$(
        body! {
            /// One row of a list field.
            $name [$($lt)?] [$($lt)?] []
            { $($field: $type),* } { $($($tag $opt: $opt_type),*)? }
        }

        $($(const _: () = assert!($tag % 2 == 1, "the tags of a row are odd");)*)?

        impl<$($lt)?> $name<$($lt)?> {
            /// Copies borrowed data, so that the row no longer depends on the read buffer.
            #[must_use]
            pub fn into_owned(self) -> with_lifetime!('static $name [$($lt)?] []) {
                self.owned()
            }
        }

        impl<'b> $crate::list::Row<'b> for with_lifetime!('b $name [$($lt)?] []) {
            const MIN_SIZE: usize = 0 $(+ match field_kind!($type).size() {
                Some(size) => size,
                None => 2,
            })*;

            fn put(&self, out: &mut $crate::wire::Writer<'_>) {
                self.put_fields(out);
            }
        }

        impl $crate::list::ViewRow for with_lifetime!('_ $name [$($lt)?] []) {
            fn view_row(&self, visit: &mut dyn FnMut($crate::view::FieldView<'_>)) {
                self.view_fields(visit);
            }
        }
    )*};
}

/// `true` for a request that may be repeated when its outcome is unknown.
macro_rules! is_safe {
    (safe) => {
        true
    };
    (once) => {
        false
    };
}

/// `true` for a request that changes something.
macro_rules! is_change {
    (changes) => {
        true
    };
    (reads) => {
        false
    };
}

/// The condition under which a request hashes a password, as a [`Hashing`](crate::Hashing).
macro_rules! hashing {
    () => {
        $crate::layout::Hashing::Never
    };
    (hashes) => {
        $crate::layout::Hashing::Always
    };
    (hashes if $($field:ident)or+) => {
        $crate::layout::Hashing::If(&[$(stringify!($field)),+])
    };
}

/// `true` if the request `$self` hashes a password.
macro_rules! is_hashing {
    ($self:ident) => {
        false
    };
    ($self:ident hashes) => {
        true
    };
    ($self:ident hashes if $($field:ident)or+) => {
        $($self.$field.is_some())||+
    };
}

/// Declares all requests, and the enum `Request` over them.
macro_rules! requests {
    ($(
        $code:literal $name:ident $(<$lt:lifetime>)? => $reply:ty, $retry:ident $effect:ident
        $($hashes:ident $(if $($field_if:ident)or+)?)?
        {
            $($field:ident: $type:ident $($row:ident)?),*
            $(; $($tag:literal $opt:ident: $opt_type:ident $($opt_row:ident)?),*)?
        }
    )*) => {
        $(
            body! {
                #[doc = concat!(
                    "Request with type `", stringify!($code), "`, answered with `",
                    stringify!($reply), "`."
                )]
                $name [$($lt)?] [$($lt)?] []
                { $($field: $type $($row)?),* } { $($($tag $opt: $opt_type $($opt_row)?),*)? }
            }
            message! { $code $name [$($lt)?] [$($lt)?] }

            impl $(<$lt>)? RequestMessage for $name $(<$lt>)? {
                type Reply = $reply;
                const SAFE: bool = is_safe!($retry);
                const CHANGES: bool = is_change!($effect);
                const HASHING: $crate::layout::Hashing =
                    hashing!($($hashes $(if $($field_if)or+)?)?);

                fn hashes(&self) -> bool {
                    is_hashing!(self $($hashes $(if $($field_if)or+)?)?)
                }
            }

            const _: () = assert!(
                <$reply as Message>::TYPE == $code | $crate::limits::REPLY_BIT,
                "the type of a reply is the type of its request with the reply bit set"
            );
        )*

        message_enum! {
            /// A request of any type.
            Request $($code $name [$($lt)?])*
        }

        for_each! { ($) for_each_request "requests" $($name)* }

        impl<'a> Request<'a> {
            /// Decodes the body of a frame with the type byte `kind`, including the common tags.
            ///
            /// # Errors
            /// Fails if no request has this type, or if the body is not valid for it.
            #[inline]
            pub fn decode(kind: u8, body: &'a [u8]) -> Result<(Self, Common<'a>), DecodeError> {
                let mut common = Common::default();
                let request = Self::decode_with(kind, body, &mut common)?;
                Ok((request, common))
            }
        }
    };
}

/// Declares the structs of fields that several replies have in common, generic over the type byte
/// of the reply.
macro_rules! shared {
    ($(
        $name:ident $(<$lt:lifetime>)?
        {
            $($field:ident: $type:ident $($row:ident)?),*
            $(; $($tag:literal $opt:ident: $opt_type:ident $($opt_row:ident)?),*)?
        }
    )*) => {
        $(
            body! {
                /// Fields of all replies that have this structure. `TYPE` is the type byte of the
                /// reply.
                $name [$($lt)?] [$($lt)?] [TYPE]
                { $($field: $type $($row)?),* } { $($($tag $opt: $opt_type $($opt_row)?),*)? }
            }
        )*
    };
}

/// Declares all replies, and the enum `Reply` over them.
macro_rules! replies {
    ($(
        $code:literal $name:ident $(<$lt:lifetime>)? $(= $shared:ident)?
        $({
            $($field:ident: $type:ident $($row:ident)?),*
            $(; $($tag:literal $opt:ident: $opt_type:ident $($opt_row:ident)?),*)?
        })?
    )*) => {
        $(
            reply! {
                $code $name [$($lt)?] [$($lt)?] $(= $shared)?
                $({ $($field: $type $($row)?),* } { $($($tag $opt: $opt_type $($opt_row)?),*)? })?
            }
        )*

        message_enum! {
            /// A reply of any type.
            Reply $($code $name [$($lt)?])*
        }

        for_each! { ($) for_each_reply "replies" $($name)* }

        impl<'a> Reply<'a> {
            /// Decodes the body of a frame with the type byte `kind`.
            ///
            /// # Errors
            /// Fails if no reply has this type, or if the body is not valid for it.
            #[inline]
            pub fn decode(kind: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
                Self::decode_with(kind, body, &mut NoOtherTags)
            }
        }
    };
}

/// Declares one reply: as an alias of a shared struct, or as a separate struct.
macro_rules! reply {
    ($code:literal $name:ident [$($lt:lifetime)?] $g:tt = $shared:ident) => {
        #[doc = concat!("Reply with type `", stringify!($code), "`.")]
        pub type $name<$($lt)?> = $shared<$($lt,)? $code>;

        reply! { @message $code $name [$($lt)?] $g }
    };
    ($code:literal $name:ident [$($lt:lifetime)?] $g:tt $fields:tt $tagged:tt) => {
        body! {
            #[doc = concat!("Reply with type `", stringify!($code), "`.")]
            $name [$($lt)?] $g [] $fields $tagged
        }

        reply! { @message $code $name [$($lt)?] $g }
    };
    (@message $code:literal $name:ident [$($lt:lifetime)?] $g:tt) => {
        message! { $code $name [$($lt)?] $g }

        impl ReplyMessage for with_lifetime!('static $name $g []) {
            fn decode_owned(body: &[u8]) -> Result<Self, DecodeError> {
                <$name as Decode>::decode_with(body, &mut NoOtherTags)
                    .map(|message| message.owned())
            }
        }
    };
}

/// Declares an exported macro that calls another macro with the names of all requests or all
/// replies.
macro_rules! for_each {
    (($d:tt) $macro:ident $what:literal $($name:ident)*) => {
        #[doc = concat!("Calls a macro with the names of all ", $what, ".")]
        ///
        /// `callback! { First Second }` is the form of the call, with the names in the order of the
        /// protocol table. Each name is a message type of this crate and a variant of `Request` or
        /// `Reply`, so a `match` that is generated from the names covers all messages.
        #[macro_export]
        macro_rules! $macro {
            ($d ($d callback:ident)::+) => {
                $d ($d callback)::+! { $($name)* }
            };
        }
    };
}

/// Declares the enum over all requests or all replies.
macro_rules! message_enum {
    ($(#[$doc:meta])* $enum:ident $($code:literal $name:ident [$($lt:lifetime)?])*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $enum<'a> {
            $(
                #[doc = concat!("Message with type `", stringify!($code), "`.")]
                $name($name $(<$lt>)?),
            )*
        }

        impl<'a> $enum<'a> {
            /// Type byte and name of every message of this enum, in the order of the protocol
            /// table.
            pub const ALL: &'static [(u8, &'static str)] = &[$(($code, stringify!($name))),*];

            #[inline]
            fn decode_with(
                kind: u8,
                body: &'a [u8],
                others: &mut impl OtherTags<'a>,
            ) -> Result<Self, DecodeError> {
                match kind {
                    $($code => <$name as Decode>::decode_with(body, others).map(Self::$name),)*
                    _ => Err(DecodeError::UnknownType(kind)),
                }
            }

            /// Returns the type byte and the name of this message.
            #[must_use]
            pub fn row(&self) -> (u8, &'static str) {
                match self { $(Self::$name(_) => ($code, stringify!($name)),)* }
            }

            /// Copies borrowed data, so that the message no longer depends on the read buffer.
            #[must_use]
            pub fn into_owned(self) -> $enum<'static> {
                match self { $(Self::$name(message) => $enum::$name(message.owned()),)* }
            }

            /// Calls `visit` for every field that is present, in the order of their encoding.
            pub fn view(&self, visit: &mut dyn FnMut(FieldView<'_>)) {
                match self { $(Self::$name(message) => message.view_fields(visit),)* }
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

/// Declares the tags that any request may carry.
macro_rules! common {
    ($($tag:literal $field:ident: $type:ident),*) => {
        fields! {
            /// The common tags: optional fields that any request may carry after its own.
            #[derive(Default)]
            Common ['a] ['a] [] {} { $($tag $field: $type),* }
        }

        impl<'a> OtherTags<'a> for Common<'a> {
            fn take(&mut self, tag: u8, value: &'a [u8]) -> Result<(), DecodeError> {
                match tag {
                    $($tag => self.$field = Some(tagged_value(stringify!($field), value)?),)*
                    _ => return unknown_tag(tag),
                }
                Ok(())
            }
        }

        impl Common<'_> {
            /// Declarations of the common tags, in the order of their encoding.
            pub const FIELDS: &'static [$crate::layout::FieldLayout] = Self::LAYOUT;

            /// Copies borrowed data, so that the tags no longer depend on the read buffer.
            #[must_use]
            pub fn into_owned(self) -> Common<'static> {
                self.owned()
            }

            /// Calls `visit` for every common tag that is present, in the order of their encoding.
            pub fn view(&self, visit: &mut dyn FnMut(FieldView<'_>)) {
                self.view_fields(visit);
            }
        }
    };
}
