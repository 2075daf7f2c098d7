//! One sample of every message, with all optional fields and realistic values. The vectors are
//! generated from the samples: with and without each tag, and invalid in every way. A new message
//! needs one entry here.
//!
//! Tokens, passwords and codes are made up. The tokens are short, to keep hex dumps readable.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use user_proto::*;
use uuid::{Uuid, uuid};

pub(crate) const ACCESS: &str = "eyJ0eXAiOiJhdCtqd3QifQ.eyJzdWIiOiJhZGEifQ.bm90LWEtc2lnbmF0dXJl";
pub(crate) const REFRESH: &str = "r1.k1.AZOl4HscfS6.41.bm90LWEtdGFn";
pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const USER: Uuid = uuid!("0193a5e0-7b1c-7d2e-8f40-5a6b7c8d9e0f");
pub(crate) const SESSION: Uuid = uuid!("0193a5e1-0c2d-7e3f-9a4b-1c2d3e4f5061");
const OTHER_SESSION: Uuid = uuid!("0193a5e2-8f7e-7d6c-b5a4-f3e2d1c0b9a8");
const CURSOR: &[u8] = b"run-8f2c/41";
const VERIFICATION: Uuid = uuid!("0193a5df-9e8d-7c6b-a5f4-e3d2c1b0a987");

fn access() -> Secret<'static> {
    ACCESS.into()
}

fn text(text: &'static str) -> Cow<'static, str> {
    text.into()
}

/// The same tokens, whichever reply carries them.
pub(crate) fn tokens<const TYPE: u8>() -> TokenReply<'static, TYPE> {
    TokenReply {
        user_id: USER,
        session_id: SESSION,
        access_token: access(),
        access_expires_in: 900,
        refresh_token: REFRESH.into(),
        refresh_expires_in: 2_592_000,
    }
}

/// Returns every request, in the order of the table, with all its own tags.
pub(crate) fn requests() -> Vec<Request<'static>> {
    let email = || text("ada@example.org");
    vec![
        Register { username: text("ada"), email: email(), password: PASSWORD.into() }.into(),
        Login {
            login: text("ada"),
            password: PASSWORD.into(),
            device: Some(text("Firefox on Linux")),
        }
        .into(),
        VerifyToken { access_token: access() }.into(),
        UpdateUser {
            access_token: access(),
            username: Some(text("ada.lovelace")),
            email: Some(text("lovelace@example.org")),
            new_password: Some("analytical engine no. 1".into()),
            current_password: Some(PASSWORD.into()),
        }
        .into(),
        DeleteUser { access_token: access(), current_password: PASSWORD.into() }.into(),
        VerifyEmail {
            verification_id: VERIFICATION,
            code: "042137".into(),
            device: Some(text("Firefox on Linux")),
            username: Some(text("ada2")),
        }
        .into(),
        ResendCode { verification_id: VERIFICATION }.into(),
        RefreshToken { refresh_token: REFRESH.into() }.into(),
        Logout { token: access(), all_sessions: Some(()) }.into(),
        GetUser { access_token: access() }.into(),
        RequestPasswordReset { email: email() }.into(),
        ResetPassword {
            verification_id: VERIFICATION,
            code: "7KQ4M-2XW9D".into(),
            new_password: "analytical engine no. 1".into(),
        }
        .into(),
        ConfirmEmail {
            access_token: access(),
            verification_id: VERIFICATION,
            code: "918204".into(),
        }
        .into(),
        ListSessions { access_token: access() }.into(),
        EndSession { access_token: access(), session_id: OTHER_SESSION }.into(),
        GetKeys {}.into(),
        WatchRevocations { cursor: CURSOR.into(), wait_ms: 300 }.into(),
        Ping {}.into(),
    ]
}

/// Returns every reply, in the order of the table, with all its tags.
pub(crate) fn replies() -> Vec<Reply<'static>> {
    let (user_id, session_id, verification_id) = (USER, SESSION, VERIFICATION);
    let (code_expires_in, resend_after) = (900, 60);
    let (username, email) = (text("ada"), text("ada@example.org"));
    vec![
        ErrorReply {
            code: ErrorCode::RATE_LIMITED,
            message: text("too many attempts"),
            retry_after_ms: Some(4_000),
            field: Some(text("password")),
        }
        .into(),
        Registered { verification_id, code_expires_in, resend_after }.into(),
        tokens::<{ LoggedIn::TYPE }>().into(),
        TokenVerified {
            user_id,
            session_id,
            issued_at: UnixSeconds(1_795_478_400),
            expires_at: UnixSeconds(1_795_479_300),
            stale_ms: Some(1_250),
        }
        .into(),
        UserUpdated {
            user_id,
            username: username.clone(),
            email: email.clone(),
            verification_id: Some(verification_id),
        }
        .into(),
        UserDeleted { user_id }.into(),
        tokens::<{ EmailVerified::TYPE }>().into(),
        CodeResent { code_expires_in, resend_after }.into(),
        tokens::<{ TokenRefreshed::TYPE }>().into(),
        LoggedOut { sessions_ended: 3 }.into(),
        User {
            user_id,
            username: username.clone(),
            email: email.clone(),
            created_at: UnixSeconds(1_795_391_999),
        }
        .into(),
        PasswordResetRequested { verification_id, code_expires_in, resend_after }.into(),
        PasswordReset { sessions_ended: 2 }.into(),
        EmailConfirmed { user_id, username, email, verification_id: Some(verification_id) }.into(),
        Sessions {
            sessions: vec![
                SessionRow {
                    session_id,
                    created_at: UnixSeconds(1_795_391_999),
                    last_used_at: UnixSeconds(1_795_478_400),
                    device: Some(text("Firefox on Linux")),
                    network: Some(text("203.0.113.0/24")),
                    current: Some(()),
                },
                SessionRow {
                    session_id: OTHER_SESSION,
                    created_at: UnixSeconds(1_795_392_000),
                    last_used_at: UnixSeconds(1_795_392_000),
                    device: None,
                    network: None,
                    current: None,
                },
            ],
        }
        .into(),
        SessionEnded { sessions_ended: 1 }.into(),
        Keys {
            jwks: text(r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"AAAA"}]}"#),
            access_life: 900,
            refresh_after: 300,
            now_ms: Some(UnixMillis(1_795_478_400_125)),
        }
        .into(),
        Revocations {
            cursor: CURSOR.into(),
            stale_ms: 180,
            more: 0,
            now_ms: UnixMillis(1_795_478_400_125),
            entries: vec![
                RevocationRow {
                    kind: 1,
                    id: OTHER_SESSION.as_bytes().to_vec().into(),
                    before: UnixSeconds(0),
                },
                RevocationRow {
                    kind: 3,
                    id: Cow::Borrowed(b""),
                    before: UnixSeconds(1_795_478_399),
                },
            ],
        }
        .into(),
        Pong { max_in_flight: Some(256), idle_timeout: Some(300), max_hashing: Some(32) }.into(),
    ]
}

/// Returns all common tags.
pub(crate) fn common() -> Common<'static> {
    Common {
        client_address: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)).into()),
        deadline_ms: Some(2_500),
        idempotency_key: Some(IdempotencyKey(*b"vector-key-00001")),
        traceparent: Some(text("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")),
    }
}

/// An additional sample: name, note, message and common tags.
pub(crate) type Edge<T> = (&'static str, &'static str, T, Common<'static>);

/// Returns requests with unusual values that are well-formed. A server may still reject a value.
pub(crate) fn edge_requests() -> Vec<Edge<Request<'static>>> {
    let address = |ip: &str| Common {
        client_address: Some(ip.parse::<IpAddr>().unwrap().into()),
        ..Common::default()
    };
    let verify = || Request::from(VerifyToken { access_token: access() });
    vec![
        (
            "empty_text_and_secret",
            "Empty values are well-formed; a server rejects them with another error code.",
            Login::new(text(""), "".into()).into(),
            Common::default(),
        ),
        (
            "beyond_ascii",
            "Lengths count bytes, not characters.",
            Register {
                username: text("Zoë_Ω𝛼"),
                email: text("zoe@bücher.example"),
                password: "pässwörd – 合言葉 🔑".into(),
            }
            .into(),
            Common::default(),
        ),
        (
            "text_begins_with_bom",
            "U+FEFF at the beginning is a character like any other: a receiver keeps it.",
            Login::new(text("\u{FEFF}ada"), "\u{FEFF}".into()).into(),
            Common::default(),
        ),
        (
            "secret_is_bytes",
            "A secret need not be valid UTF-8 on the wire.",
            Login::new(text("ada"), [0xFF, 0x00, 0x80, 0xC3].as_slice().into()).into(),
            Common::default(),
        ),
        (
            "address_ipv6",
            "An IPv6 address in the form of RFC 5952.",
            verify(),
            address("2001:db8::8:800:200c:417a"),
        ),
        (
            "address_v4_mapped",
            "An IPv4-mapped address is treated as its IPv4 address.",
            verify(),
            address("::ffff:203.0.113.7"),
        ),
        (
            "deadline_spent",
            "0: the deadline has passed.",
            verify(),
            Common { deadline_ms: Some(0), ..Common::default() },
        ),
        (
            "deadline_longest",
            "A value over 30,000 is reduced to 30,000.",
            verify(),
            Common { deadline_ms: Some(u32::MAX), ..Common::default() },
        ),
        (
            "secret_of_33000_bytes",
            "Lengths are unsigned: both lengths have their high bit set.",
            VerifyToken { access_token: "t".repeat(33_000).into() }.into(),
            Common::default(),
        ),
    ]
}

/// Returns replies with unusual values that are well-formed: name, note, request id and message.
pub(crate) fn edge_replies() -> Vec<(&'static str, &'static str, u32, Reply<'static>)> {
    let error = |code, message| ErrorReply {
        code,
        message: text(message),
        retry_after_ms: None,
        field: None,
    };
    vec![
        (
            "code_of_a_later_version",
            "A client that does not know the code acts on its class: 05 means retry later.",
            7,
            ErrorReply { retry_after_ms: Some(500), ..error(ErrorCode(0x05FE), "come back later") }
                .into(),
        ),
        (
            "class_of_a_later_version",
            "A client that does not know the class does not retry.",
            7,
            error(ErrorCode(0x7F01), "").into(),
        ),
        (
            "class_00",
            "Class 00 is as unknown as any other: the client does not retry.",
            7,
            error(ErrorCode(0x0001), "").into(),
        ),
        (
            "class_after_the_last",
            "The class after the last one that this version assigns: the client does not retry.",
            7,
            ErrorReply { retry_after_ms: Some(500), ..error(ErrorCode(0x0701), "") }.into(),
        ),
        (
            "code_of_class_06_of_a_later_version",
            "The outcome is unknown, as after any code of class 06 that the client does not know.",
            7,
            error(ErrorCode(0x06FE), "").into(),
        ),
        (
            "shutting_down",
            "Request id 0 stands for the connection.",
            0,
            error(ErrorCode::SHUTTING_DOWN, "the server is shutting down").into(),
        ),
        (
            "latest_instant",
            "The largest instant, 2^53-1, and the largest request id.",
            u32::MAX,
            TokenVerified {
                user_id: USER,
                session_id: SESSION,
                issued_at: UnixSeconds(0),
                expires_at: UnixSeconds(limits::MAX_INSTANT),
                stale_ms: None,
            }
            .into(),
        ),
        (
            "largest_numbers",
            "Numbers are unsigned.",
            1,
            Pong {
                max_in_flight: Some(u32::MAX),
                idle_timeout: Some(u32::MAX),
                max_hashing: Some(u32::MAX),
            }
            .into(),
        ),
    ]
}
