//! Protobuf messages, with the types that prost's generator would use. Their content has the size
//! of `VerifyToken` and `TokenVerified`.

use prost::Message;

/// Path of the only method.
pub const PATH: &str = "/user.Users/Verify";
/// Length of an access token of the service in bytes.
pub const TOKEN: usize = 395;

/// The request.
#[derive(Clone, PartialEq, Message)]
pub struct VerifyToken {
    #[prost(string, tag = "1")]
    pub access_token: String,
}

/// The reply. A field without a value is omitted, as the service omits it.
#[derive(Clone, PartialEq, Message)]
pub struct TokenVerified {
    #[prost(bytes = "vec", tag = "1")]
    pub user_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub session_id: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub issued_at: u64,
    #[prost(uint64, tag = "4")]
    pub expires_at: u64,
    #[prost(uint32, optional, tag = "5")]
    pub stale_ms: Option<u32>,
}

impl TokenVerified {
    /// Makes a reply with ids from the text of the token, and plausible times.
    pub fn echo(token: &str) -> Option<Self> {
        let bytes = token.as_bytes();
        let (user_id, session_id) = (bytes.get(..16)?.to_vec(), bytes.get(16..32)?.to_vec());
        Some(Self {
            user_id,
            session_id,
            issued_at: 1_795_478_400,
            expires_at: 1_795_479_300,
            stale_ms: None,
        })
    }
}
