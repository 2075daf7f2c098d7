//! The whole protocol, a row a message. A row gives the struct, its codec, its place in [`Request`]
//! or [`Reply`], its typed reply and its entry in the lists; the compiler and the tests then name
//! what else a new row needs.

use bytes::BytesMut;

use crate::error::{DecodeError, EncodeError};
use crate::message::{Message, ReplyMessage, RequestMessage};
use crate::view::FieldView;
use crate::wire::{Decode, NoOthers, Others, Writer, tagged_value, unknown};

requests! {
    // type, request => reply, retry: `safe` may be asked again when its outcome is unknown.
    0x01 Register<'a>             => Registered,              once { username: text, email: text, password: secret }
    0x02 Login<'a>                => LoggedIn<'static>,       once { login: text, password: secret }
    0x03 VerifyToken<'a>          => TokenVerified,           safe { access_token: secret }
    0x04 UpdateUser<'a>           => UserUpdated<'static>,    once { access_token: secret; 0x02 username: text, 0x04 email: text, 0x06 new_password: secret, 0x08 current_password: secret }
    0x05 DeleteUser<'a>           => UserDeleted,             once { access_token: secret, current_password: secret }
    0x06 VerifyEmail<'a>          => EmailVerified<'static>,  once { verification_id: uuid, code: secret; 0x02 username: text }
    0x07 ResendCode               => CodeResent,              once { verification_id: uuid }
    0x08 RefreshToken<'a>         => TokenRefreshed<'static>, safe { refresh_token: secret }
    0x09 Logout<'a>               => LoggedOut,               once { token: secret; 0x02 all_sessions: flag }
    0x0A GetUser<'a>              => User<'static>,           safe { access_token: secret }
    0x0B RequestPasswordReset<'a> => PasswordResetRequested,  once { email: text }
    0x0C ResetPassword<'a>        => PasswordReset,           once { verification_id: uuid, code: secret, new_password: secret }
    0x0D ConfirmEmail<'a>         => EmailConfirmed<'static>, once { access_token: secret, verification_id: uuid, code: secret }
    0x7F Ping                     => Pong,                    safe { }
}

// Fields that several replies carry; each of these replies names the struct.
shared! {
    CodeReply { verification_id: uuid, code_expires_in: seconds, resend_after: seconds }
    TokenReply<'a> { user_id: uuid, session_id: uuid, access_token: secret, access_expires_in: seconds, refresh_token: secret, refresh_expires_in: seconds }
    UserChangeReply<'a> { user_id: uuid, username: text, email: text; 0x01 verification_id: uuid }
    SessionsEndedReply { sessions_ended: number }
}

replies! {
    0x80 ErrorReply<'a>           { code: code, message: text; 0x01 retry_after_ms: millis, 0x03 field: text }
    0x81 Registered               = CodeReply
    0x82 LoggedIn<'a>             = TokenReply
    0x83 TokenVerified            { user_id: uuid, session_id: uuid, issued_at: instant, expires_at: instant; 0x01 stale_ms: millis }
    0x84 UserUpdated<'a>          = UserChangeReply
    0x85 UserDeleted              { user_id: uuid }
    0x86 EmailVerified<'a>        = TokenReply
    0x87 CodeResent               { code_expires_in: seconds, resend_after: seconds }
    0x88 TokenRefreshed<'a>       = TokenReply
    0x89 LoggedOut                = SessionsEndedReply
    0x8A User<'a>                 { user_id: uuid, username: text, email: text, created_at: instant }
    0x8B PasswordResetRequested   = CodeReply
    0x8C PasswordReset            = SessionsEndedReply
    0x8D EmailConfirmed<'a>       = UserChangeReply
    0xFF Pong                     { ; 0x01 max_in_flight: number, 0x03 idle_timeout: seconds }
}

// The tags that any request may carry behind its own.
common! { 0xE1 client_address: address, 0xE3 deadline_ms: millis, 0xE6 idempotency_key: key, 0xE7 traceparent: text }

/// The name of the reply with this type byte.
pub(crate) fn reply_name(kind: u8) -> &'static str {
    Reply::ALL.iter().find(|(code, _)| *code == kind).map_or("Reply", |(_, name)| name)
}

/// Writes `message` as one frame behind what `out` holds.
///
/// # Errors
/// Where it is longer than a frame can be; `out` is then as before.
pub fn encode<M: Message>(id: u32, message: &M, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut writer = Writer::begin(out, M::TYPE, id);
    message.put(&mut writer);
    writer.finish()
}

/// Writes `request` with its common tags as one frame behind what `out` holds.
///
/// # Errors
/// As [`encode`].
pub fn encode_with<M: RequestMessage>(
    id: u32,
    request: &M,
    common: &Common<'_>,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let mut writer = Writer::begin(out, M::TYPE, id);
    request.put(&mut writer);
    common.put_fields(&mut writer);
    writer.finish()
}

impl Request<'_> {
    /// Writes this request with its common tags, as [`encode_with`] does.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn encode(
        &self,
        id: u32,
        common: &Common<'_>,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut writer = Writer::begin(out, self.row().0, id);
        self.put_fields(&mut writer);
        common.put_fields(&mut writer);
        writer.finish()
    }
}

impl Reply<'_> {
    /// Writes this reply, as [`encode`] does.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn encode(&self, id: u32, out: &mut BytesMut) -> Result<(), EncodeError> {
        let mut writer = Writer::begin(out, self.row().0, id);
        self.put_fields(&mut writer);
        writer.finish()
    }
}
