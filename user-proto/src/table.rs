//! The declaration of the whole protocol, one row for each message.
//!
//! A row generates the struct of the message, its codec, a variant of [`Request`] or [`Reply`], the
//! reply type of a request, and the data that tests and tools walk over. `CONTRIBUTING.md` lists
//! the other files that a new message needs.

use bytes::BytesMut;

use crate::error::{DecodeError, EncodeError};
use crate::message::{Message, ReplyMessage, RequestMessage};
use crate::view::FieldView;
use crate::wire::{Decode, NoOtherTags, OtherTags, Writer, tagged_value, unknown_tag};

// Rows of lists. Row { required fields; odd tag and optional field }.
rows! {
    SessionRow<'a> {
        session_id: uuid, created_at: instant, last_used_at: instant;
        0x01 device: text, 0x03 network: text, 0x05 current: flag
    }
    RevocationRow<'a> { kind: byte, id: bytes, before: instant }
}

// Type, request => reply, retry effect cost { required fields; tag and optional field }. A request
// that is `safe` may be repeated when its outcome is unknown; one that is `once` must not. A
// request `changes` something, so that an idempotency key applies to it, or only `reads`. One that
// `hashes` a password counts towards `max_hashing`, with `if` only if it has one of these fields.
requests! {
    0x01 Register<'a> => Registered, once changes hashes { username: text, email: text, password: secret }
    0x02 Login<'a> => LoggedIn<'static>, once changes hashes { login: text, password: secret; 0x01 device: text }
    0x03 VerifyToken<'a> => TokenVerified, safe reads { access_token: secret }
    0x04 UpdateUser<'a> => UserUpdated<'static>, once changes hashes if email or new_password {
        access_token: secret;
        0x02 username: text, 0x04 email: text, 0x06 new_password: secret,
        0x08 current_password: secret
    }
    0x05 DeleteUser<'a> => UserDeleted, once changes hashes { access_token: secret, current_password: secret }
    0x06 VerifyEmail<'a> => EmailVerified<'static>, once changes {
        verification_id: uuid, code: secret; 0x01 device: text, 0x02 username: text
    }
    0x07 ResendCode => CodeResent, once changes { verification_id: uuid }
    0x08 RefreshToken<'a> => TokenRefreshed<'static>, safe changes { refresh_token: secret }
    0x09 Logout<'a> => LoggedOut, once changes { token: secret; 0x02 all_sessions: flag }
    0x0A GetUser<'a> => User<'static>, safe reads { access_token: secret }
    0x0B RequestPasswordReset<'a> => PasswordResetRequested, once changes { email: text }
    0x0C ResetPassword<'a> => PasswordReset, once changes hashes {
        verification_id: uuid, code: secret, new_password: secret
    }
    0x0D ConfirmEmail<'a> => EmailConfirmed<'static>, once changes {
        access_token: secret, verification_id: uuid, code: secret
    }
    0x0E ListSessions<'a> => Sessions<'static>, safe reads { access_token: secret }
    0x0F EndSession<'a> => SessionEnded, once changes { access_token: secret, session_id: uuid }
    0x20 GetKeys => Keys<'static>, safe reads { }
    0x21 WatchRevocations<'a> => Revocations<'static>, safe reads { cursor: bytes, wait_ms: millis }
    0x7F Ping => Pong, safe reads { }
}

// Fields that several replies share. The row of such a reply names the struct.
shared! {
    CodeReply { verification_id: uuid, code_expires_in: seconds, resend_after: seconds }
    TokenReply<'a> {
        user_id: uuid, session_id: uuid, access_token: secret, access_expires_in: seconds,
        refresh_token: secret, refresh_expires_in: seconds
    }
    UserChangeReply<'a> { user_id: uuid, username: text, email: text; 0x01 verification_id: uuid }
    SessionsEndedReply { sessions_ended: number }
}

// Type, reply { required fields; tag and optional field }.
replies! {
    0x80 ErrorReply<'a> { code: code, message: text; 0x01 retry_after_ms: millis, 0x03 field: text }
    0x81 Registered = CodeReply
    0x82 LoggedIn<'a> = TokenReply
    0x83 TokenVerified {
        user_id: uuid, session_id: uuid, issued_at: instant, expires_at: instant;
        0x01 stale_ms: millis
    }
    0x84 UserUpdated<'a> = UserChangeReply
    0x85 UserDeleted { user_id: uuid }
    0x86 EmailVerified<'a> = TokenReply
    0x87 CodeResent { code_expires_in: seconds, resend_after: seconds }
    0x88 TokenRefreshed<'a> = TokenReply
    0x89 LoggedOut = SessionsEndedReply
    0x8A User<'a> { user_id: uuid, username: text, email: text, created_at: instant }
    0x8B PasswordResetRequested = CodeReply
    0x8C PasswordReset = SessionsEndedReply
    0x8D EmailConfirmed<'a> = UserChangeReply
    0x8E Sessions<'a> { sessions: list SessionRow }
    0x8F SessionEnded = SessionsEndedReply
    0xA0 Keys<'a> {
        jwks: text, access_life: seconds, refresh_after: seconds; 0x01 now_ms: instant_ms
    }
    0xA1 Revocations<'a> {
        cursor: bytes, stale_ms: millis, more: byte, now_ms: instant_ms,
        entries: list RevocationRow
    }
    0xFF Pong {
        ; 0x01 max_in_flight: number, 0x03 idle_timeout: seconds, 0x05 max_hashing: number
    }
}

// Tags that any request may carry after its own.
common! {
    0xE1 client_address: address, 0xE3 deadline_ms: millis, 0xE6 idempotency_key: key,
    0xE7 traceparent: text
}

/// Returns the name of the reply with this type byte, for `Debug` output.
fn reply_name(kind: u8) -> &'static str {
    Reply::ALL.iter().find(|(code, _)| *code == kind).map_or("Reply", |(_, name)| name)
}

/// Appends `message` to `out` as one frame.
///
/// # Errors
/// Fails if the frame would be too long. `out` is then unchanged.
pub fn encode<M: Message>(id: u32, message: &M, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut writer = Writer::begin(out, M::TYPE, id);
    message.put(&mut writer);
    writer.finish()
}

/// Appends `request` with its common tags to `out` as one frame.
///
/// # Errors
/// Fails if the frame would be too long. `out` is then unchanged.
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
    /// Appends this request with its common tags to `out` as one frame.
    ///
    /// # Errors
    /// Fails if the frame would be too long. `out` is then unchanged.
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
    /// Appends this reply to `out` as one frame.
    ///
    /// # Errors
    /// Fails if the frame would be too long. `out` is then unchanged.
    pub fn encode(&self, id: u32, out: &mut BytesMut) -> Result<(), EncodeError> {
        let mut writer = Writer::begin(out, self.row().0, id);
        self.put_fields(&mut writer);
        writer.finish()
    }
}
