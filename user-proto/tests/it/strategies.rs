//! Any message, for proptest. A new field does not compile until it is here; a new row is named by
//! `properties`.

use std::borrow::Cow;
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use user_proto::*;
use uuid::Uuid;

/// A type, with the strategy for the message that has it.
pub(crate) type Row<T> = (u8, BoxedStrategy<T>);

/// A row from a struct literal, of which each value is a strategy.
macro_rules! row {
    ($name:ident {}) => {
        ($name::TYPE, Just($name {}.into()).boxed())
    };
    ($name:ident { $($field:ident: $strategy:expr),+ }) => {
        ($name::TYPE, ($($strategy,)+).prop_map(|($($field,)+)| $name { $($field),+ }.into()).boxed())
    };
}

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof![8 => "\\PC{0,40}", 1 => ".{0,300}"].prop_map(Cow::Owned)
}

fn secret() -> impl Strategy<Value = Secret<'static>> {
    prop_oneof![8 => vec(any::<u8>(), 0..80), 1 => vec(any::<u8>(), 0..3_000)]
        .prop_map(|bytes| Secret::from(bytes.as_slice()).into_owned())
}

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn instant() -> impl Strategy<Value = UnixSeconds> {
    (0..=limits::MAX_INSTANT).prop_map(UnixSeconds)
}

fn number() -> impl Strategy<Value = u32> {
    any::<u32>()
}

fn maybe<S: Strategy>(value: S) -> impl Strategy<Value = Option<S::Value>> {
    option::of(value)
}

fn code() -> impl Strategy<Value = ErrorCode> {
    any::<u16>().prop_map(ErrorCode)
}

/// A strategy for each request.
pub(crate) fn requests() -> Vec<Row<Request<'static>>> {
    vec![
        row!(Register { username: text(), email: text(), password: secret() }),
        row!(Login { login: text(), password: secret() }),
        row!(VerifyToken { access_token: secret() }),
        row!(UpdateUser {
            access_token: secret(),
            username: maybe(text()),
            email: maybe(text()),
            new_password: maybe(secret()),
            current_password: maybe(secret())
        }),
        row!(DeleteUser { access_token: secret(), current_password: secret() }),
        row!(VerifyEmail { verification_id: id(), code: secret(), username: maybe(text()) }),
        row!(ResendCode { verification_id: id() }),
        row!(RefreshToken { refresh_token: secret() }),
        row!(Logout { token: secret(), all_sessions: maybe(Just(())) }),
        row!(GetUser { access_token: secret() }),
        row!(RequestPasswordReset { email: text() }),
        row!(ResetPassword { verification_id: id(), code: secret(), new_password: secret() }),
        row!(ConfirmEmail { access_token: secret(), verification_id: id(), code: secret() }),
        row!(Ping {}),
    ]
}

/// A row of the replies that bring tokens.
macro_rules! tokens {
    ($name:ident) => {
        row!($name {
            user_id: id(),
            session_id: id(),
            access_token: secret(),
            access_expires_in: number(),
            refresh_token: secret(),
            refresh_expires_in: number()
        })
    };
}

/// A strategy for each reply.
pub(crate) fn replies() -> Vec<Row<Reply<'static>>> {
    vec![
        row!(ErrorReply {
            code: code(),
            message: text(),
            retry_after_ms: maybe(number()),
            field: maybe(text())
        }),
        row!(Registered {
            verification_id: id(),
            code_expires_in: number(),
            resend_after: number()
        }),
        tokens!(LoggedIn),
        row!(TokenVerified {
            user_id: id(),
            session_id: id(),
            issued_at: instant(),
            expires_at: instant(),
            stale_ms: maybe(number())
        }),
        row!(UserUpdated {
            user_id: id(),
            username: text(),
            email: text(),
            verification_id: maybe(id())
        }),
        row!(UserDeleted { user_id: id() }),
        tokens!(EmailVerified),
        row!(CodeResent { code_expires_in: number(), resend_after: number() }),
        tokens!(TokenRefreshed),
        row!(LoggedOut { sessions_ended: number() }),
        row!(User { user_id: id(), username: text(), email: text(), created_at: instant() }),
        row!(PasswordResetRequested {
            verification_id: id(),
            code_expires_in: number(),
            resend_after: number()
        }),
        row!(PasswordReset { sessions_ended: number() }),
        row!(EmailConfirmed {
            user_id: id(),
            username: text(),
            email: text(),
            verification_id: maybe(id())
        }),
        row!(Pong { max_in_flight: maybe(number()), idle_timeout: maybe(number()) }),
    ]
}

/// Any of the rows, each as likely.
pub(crate) fn any_of<T: std::fmt::Debug + 'static>(rows: Vec<Row<T>>) -> BoxedStrategy<T> {
    proptest::strategy::Union::new(rows.into_iter().map(|(_, strategy)| strategy)).boxed()
}

/// Any common tags.
pub(crate) fn common() -> impl Strategy<Value = Common<'static>> {
    let address = any::<IpAddr>().prop_map(Into::into);
    let key = any::<[u8; 16]>().prop_map(IdempotencyKey);
    (maybe(address), maybe(number()), maybe(key), maybe(text())).prop_map(
        |(client_address, deadline_ms, idempotency_key, traceparent)| Common {
            client_address,
            deadline_ms,
            idempotency_key,
            traceparent,
        },
    )
}
