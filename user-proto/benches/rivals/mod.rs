//! Four messages for prost and serde_json, with the content of `samples`.

use user_proto::frame;
use uuid::Uuid;

use crate::samples::{ACCESS, PASSWORD, REFRESH, SESSION, USER};

/// Appends a frame header and a body.
pub(crate) fn framed(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend([0; 4]);
    out.push(0x02);
    out.extend(1_u32.to_be_bytes());
    body(out);
    let length = u32::try_from(out.len() - 4).unwrap();
    out[..4].copy_from_slice(&length.to_be_bytes());
    assert!(frame::size(out).is_ok());
}

fn id(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// As protobuf: ids are bytes, secrets are bytes.
pub(crate) mod proto {
    use super::*;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Login {
        #[prost(string, tag = "1")]
        login: String,
        #[prost(bytes = "vec", tag = "2")]
        password: Vec<u8>,
        #[prost(string, optional, tag = "3")]
        device: Option<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct VerifyToken {
        #[prost(bytes = "vec", tag = "1")]
        access_token: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct LoggedIn {
        #[prost(bytes = "vec", tag = "1")]
        user_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        session_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        access_token: Vec<u8>,
        #[prost(uint32, tag = "4")]
        access_expires_in: u32,
        #[prost(bytes = "vec", tag = "5")]
        refresh_token: Vec<u8>,
        #[prost(uint32, tag = "6")]
        refresh_expires_in: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct TokenVerified {
        #[prost(bytes = "vec", tag = "1")]
        user_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        session_id: Vec<u8>,
        #[prost(uint64, tag = "3")]
        issued_at: u64,
        #[prost(uint64, tag = "4")]
        expires_at: u64,
        #[prost(uint32, optional, tag = "5")]
        stale_ms: Option<u32>,
    }

    impl Login {
        pub(crate) fn sample() -> Self {
            Self {
                login: "ada".into(),
                password: PASSWORD.into(),
                device: Some("Firefox on Linux".into()),
            }
        }
    }

    impl VerifyToken {
        pub(crate) fn sample() -> Self {
            Self::of(ACCESS)
        }

        pub(crate) fn of(token: &str) -> Self {
            Self { access_token: token.into() }
        }

        pub(crate) fn token(&self) -> &[u8] {
            &self.access_token
        }
    }

    impl LoggedIn {
        pub(crate) fn sample() -> Self {
            Self {
                user_id: id(USER),
                session_id: id(SESSION),
                access_token: ACCESS.into(),
                access_expires_in: 900,
                refresh_token: REFRESH.into(),
                refresh_expires_in: 2_592_000,
            }
        }
    }

    impl TokenVerified {
        pub(crate) fn sample() -> Self {
            Self {
                user_id: id(USER),
                session_id: id(SESSION),
                issued_at: 1_795_478_400,
                expires_at: 1_795_479_300,
                stale_ms: Some(1_250),
            }
        }
    }
}

/// As JSON: ids are text. Text is borrowed and ids are left as text, which is the best that
/// serde_json can do.
pub(crate) mod json {
    use serde::{Deserialize, Serialize};

    use super::*;

    fn text(id: Uuid) -> &'static str {
        id.to_string().leak()
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Login<'a> {
        login: &'a str,
        password: &'a str,
        device: Option<&'a str>,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct VerifyToken<'a> {
        access_token: &'a str,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct LoggedIn<'a> {
        user_id: &'a str,
        session_id: &'a str,
        access_token: &'a str,
        access_expires_in: u32,
        refresh_token: &'a str,
        refresh_expires_in: u32,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct TokenVerified<'a> {
        user_id: &'a str,
        session_id: &'a str,
        issued_at: u64,
        expires_at: u64,
        stale_ms: Option<u32>,
    }

    impl Login<'_> {
        pub(crate) fn sample() -> Self {
            Self { login: "ada", password: PASSWORD, device: Some("Firefox on Linux") }
        }
    }

    impl VerifyToken<'_> {
        pub(crate) fn sample() -> Self {
            Self { access_token: ACCESS }
        }
    }

    impl LoggedIn<'_> {
        pub(crate) fn sample() -> Self {
            Self {
                user_id: text(USER),
                session_id: text(SESSION),
                access_token: ACCESS,
                access_expires_in: 900,
                refresh_token: REFRESH,
                refresh_expires_in: 2_592_000,
            }
        }
    }

    impl TokenVerified<'_> {
        pub(crate) fn sample() -> Self {
            Self {
                user_id: text(USER),
                session_id: text(SESSION),
                issued_at: 1_795_478_400,
                expires_at: 1_795_479_300,
                stale_ms: Some(1_250),
            }
        }
    }
}
