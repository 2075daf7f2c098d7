//! What makes a row of `table.rs` a struct, its codec, its place in the enum and its entry in the
//! lists.

/// The Rust type of a field: `text`, `secret` and `address` borrow for the message's lifetime, the
/// rest is copied.
macro_rules! field_type {
    (text [$lt:lifetime]) => { std::borrow::Cow<$lt, str> };
    (secret [$lt:lifetime]) => { $crate::value::Secret<$lt> };
    (address [$lt:lifetime]) => { $crate::value::ClientAddress<$lt> };
    (uuid $lt:tt) => { uuid::Uuid };
    (instant $lt:tt) => { $crate::value::UnixSeconds };
    (seconds $lt:tt) => { u32 };
    (millis $lt:tt) => { u32 };
    (number $lt:tt) => { u32 };
    (code $lt:tt) => { $crate::error_code::ErrorCode };
    (key $lt:tt) => { $crate::value::IdempotencyKey };
    (flag $lt:tt) => { () };
}

/// The kind of a field, as data.
macro_rules! field_kind {
    (text) => {
        $crate::layout::FieldKind::Text
    };
    (secret) => {
        $crate::layout::FieldKind::Secret
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
    (seconds) => {
        $crate::layout::FieldKind::Seconds
    };
    (millis) => {
        $crate::layout::FieldKind::Millis
    };
    (number) => {
        $crate::layout::FieldKind::Number
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

/// A declared type with the lifetime `$new` in place of its own, if it has one.
macro_rules! with_lifetime {
    ($new:lifetime $name:ident [$lt:lifetime] [$($kind:ident)?]) => { $name<$new, $($kind)?> };
    ($new:lifetime $name:ident [] [$($kind:ident)?]) => { $name<$($kind)?> };
}

/// The name that `Debug` prints: the struct's, or the message's where messages share the struct.
macro_rules! debug_name {
    ($name:ident []) => {
        stringify!($name)
    };
    ($name:ident [$kind:ident]) => {
        reply_name($kind)
    };
}

/// A struct of fields, with everything that does not depend on being a message. `$g` is `$lt` in a
/// form that repeats; `$kind` is the const parameter of a struct that several messages share.
macro_rules! fields {
    (
        $(#[$doc:meta])* $name:ident [$($lt:lifetime)?] $g:tt [$($kind:ident)?]
        { $($field:ident: $type:ident),* } { $($tag:literal $opt:ident: $opt_type:ident),* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name<$($lt,)? $(const $kind: u8)?> {
            $(
                #[doc = concat!("Required field of kind `", stringify!($type), "`.")]
                pub $field: field_type!($type $g),
            )*
            $(
                #[doc = concat!("Optional field of kind `", stringify!($opt_type), "`, tag `", stringify!($tag), "`.")]
                pub $opt: Option<field_type!($opt_type $g)>,
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
                $($crate::layout::FieldLayout { name: stringify!($field), kind: field_kind!($type), tag: None },)*
                $($crate::layout::FieldLayout { name: stringify!($opt), kind: field_kind!($opt_type), tag: Some($tag) },)*
            ];

            #[allow(unused_variables, reason = "a message may have no fields")]
            fn put_fields(&self, out: &mut $crate::wire::Writer<'_>) {
                $(out.required(&self.$field);)*
                $(out.tagged($tag, self.$opt.as_ref());)*
            }

            fn owned(self) -> with_lifetime!('static $name $g [$($kind)?]) {
                $name {
                    $($field: field_owned!($type self.$field),)*
                    $($opt: self.$opt.map(|value| field_owned!($opt_type value)),)*
                }
            }

            #[allow(unused_variables, reason = "a message may have no fields")]
            fn view_fields(&self, see: &mut dyn FnMut($crate::view::FieldView<'_>)) {
                $(see($crate::view::FieldView { name: stringify!($field), tag: None, value: $crate::value::Value::show(&self.$field) });)*
                $(if let Some(value) = &self.$opt {
                    see($crate::view::FieldView { name: stringify!($opt), tag: Some($tag), value: $crate::value::Value::show(value) });
                })*
            }
        }
    };
}

/// The body of a message: a struct of fields that can be decoded. `others` takes the tags that the
/// struct does not declare.
macro_rules! body {
    (
        $(#[$doc:meta])* $name:ident [$($lt:lifetime)?] $g:tt [$($kind:ident)?]
        { $($field:ident: $type:ident),* } { $($tag:literal $opt:ident: $opt_type:ident),* }
    ) => {
        fields! {
            $(#[$doc])* $name [$($lt)?] $g [$($kind)?]
            { $($field: $type),* } { $($tag $opt: $opt_type),* }
        }

        impl<'b, $(const $kind: u8)?> $crate::wire::Decode<'b>
            for with_lifetime!('b $name $g [$($kind)?])
        {
            #[inline]
            fn decode_with(body: &'b [u8], others: &mut impl $crate::wire::Others<'b>) -> Result<Self, $crate::error::DecodeError> {
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

/// The type byte and the name of a message whose body is declared.
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
            fn view(&self, see: &mut dyn FnMut($crate::view::FieldView<'_>)) {
                self.view_fields(see);
            }
            fn put(&self, out: &mut $crate::wire::Writer<'_>) {
                self.put_fields(out);
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
            body! {
                #[doc = concat!("Request `", stringify!($code), "`, answered with `", stringify!($reply), "`.")]
                $name [$($lt)?] [$($lt)?] [] { $($field: $type),* } { $($($tag $opt: $opt_type),*)? }
            }
            message! { $code $name [$($lt)?] [$($lt)?] }

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

        for_each! { ($) for_each_request "requests" $($name)* }

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

/// The structs that several replies share, generic over the type byte.
macro_rules! shared {
    ($($name:ident $(<$lt:lifetime>)?
        { $($field:ident: $type:ident),* $(; $($tag:literal $opt:ident: $opt_type:ident),*)? })*) => {
        $(
            body! {
                /// The fields of every reply that is declared with this struct. `TYPE` is the type
                /// byte of the reply.
                $name [$($lt)?] [$($lt)?] [TYPE] { $($field: $type),* } { $($($tag $opt: $opt_type),*)? }
            }
        )*
    };
}

/// The rows of replies: each message, and the enum of all.
macro_rules! replies {
    ($($code:literal $name:ident $(<$lt:lifetime>)? $(= $shared:ident)?
        $({ $($field:ident: $type:ident),* $(; $($tag:literal $opt:ident: $opt_type:ident),*)? })?)*) => {
        $(
            reply! {
                $code $name [$($lt)?] [$($lt)?] $(= $shared)?
                $({ $($field: $type),* } { $($($tag $opt: $opt_type),*)? })?
            }
        )*

        kind_enum! {
            /// Any reply.
            Reply $($code $name [$($lt)?])*
        }

        for_each! { ($) for_each_reply "replies" $($name)* }

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

/// A reply, with a body of its own or one that it shares; and how a client reads it without a
/// lifetime of the read buffer.
macro_rules! reply {
    ($code:literal $name:ident [$($lt:lifetime)?] $g:tt = $shared:ident) => {
        #[doc = concat!("Reply `", stringify!($code), "`.")]
        pub type $name<$($lt)?> = $shared<$($lt,)? $code>;

        reply! { @message $code $name [$($lt)?] $g }
    };
    ($code:literal $name:ident [$($lt:lifetime)?] $g:tt $fields:tt $tagged:tt) => {
        body! {
            #[doc = concat!("Reply `", stringify!($code), "`.")]
            $name [$($lt)?] $g [] $fields $tagged
        }

        reply! { @message $code $name [$($lt)?] $g }
    };
    (@message $code:literal $name:ident [$($lt:lifetime)?] $g:tt) => {
        message! { $code $name [$($lt)?] $g }

        impl ReplyMessage for with_lifetime!('static $name $g []) {
            fn decode_owned(body: &[u8]) -> Result<Self, DecodeError> {
                <$name as Decode>::decode_with(body, &mut NoOthers).map(|message| message.owned())
            }
        }
    };
}

/// A macro for other crates that calls another one with the names of all messages of a direction.
macro_rules! for_each {
    (($d:tt) $macro:ident $what:literal $($name:ident)*) => {
        #[doc = concat!("Calls the macro `$callback` with the names of all ", $what, ", separated by spaces,")]
        /// in the order of the table: `callback! { First Second }`. Each name is a message type of
        /// this crate and a variant of the direction's enum, so that a caller can generate a
        /// `match` that covers every message.
        #[macro_export]
        macro_rules! $macro {
            ($d ($d callback:ident)::+) => {
                $d ($d callback)::+! { $($name)* }
            };
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
            Common ['a] ['a] [] {} { $($tag $field: $type),* }
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

            /// The common tags, in the order of the wire.
            pub const FIELDS: &'static [$crate::layout::FieldLayout] = Self::LAYOUT;

            /// Shows every tag that is there, in the order of the wire.
            pub fn view(&self, see: &mut dyn FnMut(FieldView<'_>)) {
                self.view_fields(see);
            }
        }
    };
}
