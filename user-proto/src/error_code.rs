//! Error codes: one row each. The high byte is the class, and who does not know a code acts on its
//! class.

/// Declares the codes, their names, their meaning and their list.
macro_rules! error_codes {
    ($($value:literal $name:ident $meaning:literal)*) => {
        impl ErrorCode {
            $(#[doc = concat!("`", stringify!($value), "`: ", $meaning)] pub const $name: ErrorCode = ErrorCode($value);)*

            /// Every code of this version, in order.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name),*];

            /// The name, or `UNKNOWN` for a code of a later version.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self.0 { $($value => stringify!($name),)* _ => "UNKNOWN" }
            }

            /// What it means, in a sentence; for an unknown code, what its class means.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self.0 { $($value => $meaning,)* _ => self.class().meaning() }
            }
        }
    };
}

/// A code of an error reply. Open: a code of a later version decodes and acts as its class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u16);

error_codes! {
    0x0101 UNKNOWN_TYPE        "No request has this type."
    0x0102 MALFORMED           "A field is cut short, too long, not UTF-8, or follows the last one; or the request id is 0 or in flight."
    0x0103 UNKNOWN_TAG         "An even tag that this server does not know or can not honour."
    0x0104 FRAME_TOO_LONG      "The length is over 65,535, or the peer does not speak this protocol."
    0x0105 FRAME_TOO_SHORT     "The length is under 5."
    0x0201 INVALID_USERNAME    "The username is not one: 3-32 code points, no `@`, no spaces or control characters."
    0x0202 INVALID_EMAIL       "The e-mail address is not one."
    0x0203 INVALID_PASSWORD    "The new password is too short, too long or too common."
    0x0204 NOTHING_TO_UPDATE   "An update that names nothing to change."
    0x0301 INVALID_CREDENTIALS "No active account has this login and password."
    0x0303 INVALID_TOKEN       "The token is not one of ours, or was altered."
    0x0304 TOKEN_EXPIRED       "The token was good and its time is over."
    0x0305 SESSION_REVOKED     "The token's session has ended."
    0x0306 INVALID_CODE        "The code is not the one that was mailed."
    0x0307 CODE_EXPIRED        "The code is too old, used, out of guesses, or was never issued."
    0x0308 ACCOUNT_DISABLED    "The password is right and an operator has disabled the account."
    0x0401 USERNAME_TAKEN      "Another active account has this username."
    0x0402 IDEMPOTENCY_CONFLICT "Another request came under this idempotency key."
    0x0403 EMAIL_TAKEN         "Another active account has this e-mail address."
    0x0501 RATE_LIMITED        "Too many attempts. Nothing was done."
    0x0502 BUSY                "The server has no room for this request now. Nothing was done."
    0x0601 INTERNAL            "The server failed. Whether something was done is unknown."
    0x0602 UNAVAILABLE         "Something that the server needs can not be reached. Whether something was done is unknown."
    0x0603 SHUTTING_DOWN       "The server is going down. Nothing was done; ask another node."
    0x0604 DEADLINE_EXCEEDED   "The request's time ran out. Whether something was done is unknown."
}

impl ErrorCode {
    /// The class: the high byte.
    #[must_use]
    pub fn class(self) -> ErrorClass {
        match self.0 >> 8 {
            1 => ErrorClass::Protocol,
            2 => ErrorClass::Input,
            3 => ErrorClass::Identity,
            4 => ErrorClass::Conflict,
            5 => ErrorClass::SlowDown,
            6 => ErrorClass::Server,
            _ => ErrorClass::Unknown,
        }
    }
}

/// What a client does on a code that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// 01: the client is wrong; mend it.
    Protocol,
    /// 02: tell the end user which field.
    Input,
    /// 03: the end user has to log in or enter a code again.
    Identity,
    /// 04: the end user has to choose something else.
    Conflict,
    /// 05: nothing was done; the same again after `retry_after_ms`.
    SlowDown,
    /// 06: the outcome may be unknown; see each code.
    Server,
    /// A class of a later version: do not retry.
    Unknown,
}

impl ErrorClass {
    fn meaning(self) -> &'static str {
        match self {
            Self::Protocol => "The request breaks the protocol.",
            Self::Input => "A value can not be accepted.",
            Self::Identity => "The end user has to prove who they are again.",
            Self::Conflict => "Somebody else has it.",
            Self::SlowDown => "Not now. Nothing was done.",
            Self::Server => "The server failed.",
            Self::Unknown => "An error of a later version. Do not retry.",
        }
    }
}

impl std::fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04x} {}", self.0, self.name())
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name())
    }
}
