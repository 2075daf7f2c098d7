//! The error codes, one row each. The high byte of a code is its class. A client that does not know
//! a code acts on its class.

/// Declares the constants, names, meanings and list of the error codes.
macro_rules! error_codes {
    ($($value:literal $name:ident $meaning:literal)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("Code `", stringify!($value), "`: ", $meaning)]
                pub const $name: ErrorCode = ErrorCode($value);
            )*

            /// All error codes of this version, in ascending order.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name),*];

            /// Returns the name of the code, or `UNKNOWN` for a code of a later version.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self.0 { $($value => stringify!($name),)* _ => "UNKNOWN" }
            }

            /// Returns an English sentence that describes the code, or its class if the code is
            /// unknown.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self.0 { $($value => $meaning,)* _ => self.class().meaning() }
            }
        }
    };
}

/// The code of an error reply. Any value is valid: a code of a later version is treated as its
/// class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u16);

error_codes! {
    0x0101 UNKNOWN_TYPE        "No request has this type."
    0x0102 MALFORMED
        "A field is truncated, has the wrong length or is not valid UTF-8, or bytes \
         follow the last field; or the request id is 0 or in flight."
    0x0103 UNKNOWN_TAG         "The request has an even tag that this server does not support."
    0x0104 FRAME_TOO_LONG      "The frame is too long, or the peer does not speak this protocol."
    0x0105 FRAME_TOO_SHORT     "The frame is too short."
    0x0201 INVALID_USERNAME
        "The username is not valid: expected 3 to 32 code points without `@`, spaces or \
         control characters."
    0x0202 INVALID_EMAIL       "The email address is not valid."
    0x0203 INVALID_PASSWORD    "The new password is too short, too long or too common."
    0x0204 NOTHING_TO_UPDATE   "The update does not change anything."
    0x0205 INVALID_VALUE       "The value of the field is not valid."
    0x0301 INVALID_CREDENTIALS "No active account has this login and password."
    0x0303 INVALID_TOKEN       "The token was not issued by this service, or it was altered."
    0x0304 TOKEN_EXPIRED       "The token has expired."
    0x0305 SESSION_REVOKED     "The session of the token has ended."
    0x0306 INVALID_CODE        "The code is not the one that was emailed."
    0x0307 CODE_EXPIRED
        "The code has expired, was used, has no guesses left, or was never issued."
    0x0308 ACCOUNT_DISABLED    "The password is correct, but an operator has disabled the account."
    0x030A NOT_PERMITTED
        "The server answers this type of request only to peers that its operator trusts."
    0x0401 USERNAME_TAKEN      "Another active account has this username."
    0x0402 IDEMPOTENCY_CONFLICT "The idempotency key was used for another request."
    0x0403 EMAIL_TAKEN         "Another active account has this email address."
    0x0501 RATE_LIMITED        "Too many attempts. Nothing was done."
    0x0502 BUSY                "The server is overloaded. Nothing was done."
    0x0601 INTERNAL            "The server failed. It is unknown whether the request was executed."
    0x0602 UNAVAILABLE
        "A service that the server needs is unavailable. It is unknown whether the \
         request was executed."
    0x0603 SHUTTING_DOWN       "The server is shutting down. Nothing was done; use another node."
    0x0604 DEADLINE_EXCEEDED
        "The deadline passed. It is unknown whether the request was executed."
}

impl ErrorCode {
    /// Returns the class, which is the high byte of the code.
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

/// Result of a request that was answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorOutcome {
    /// The request was refused, and the same request would be refused again.
    Refused,
    /// Nothing was done. The same request may be sent later, or to another node.
    NotDone,
    /// It is unknown whether the request was executed.
    Unknown,
}

/// Party that repeats a request that was answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retrier {
    /// No one: the same request would be refused again.
    Nobody,
    /// The end user, after the time in `retry_after_ms`.
    EndUser,
    /// The client library.
    Client,
    /// The client library, but only a request that may be repeated if its outcome is unknown.
    ClientIfRepeatable,
}

impl ErrorCode {
    /// Returns the result of a request that was answered with this code.
    #[must_use]
    pub fn outcome(self) -> ErrorOutcome {
        match self.class() {
            ErrorClass::SlowDown => ErrorOutcome::NotDone,
            ErrorClass::Server if self == Self::SHUTTING_DOWN => ErrorOutcome::NotDone,
            ErrorClass::Server => ErrorOutcome::Unknown,
            _ => ErrorOutcome::Refused,
        }
    }

    /// Returns the party that repeats a request that was answered with this code.
    #[must_use]
    pub fn retrier(self) -> Retrier {
        match (self, self.outcome()) {
            (Self::RATE_LIMITED, _) => Retrier::EndUser,
            (_, ErrorOutcome::NotDone) => Retrier::Client,
            (_, ErrorOutcome::Unknown) => Retrier::ClientIfRepeatable,
            (_, ErrorOutcome::Refused) => Retrier::Nobody,
        }
    }

    /// Returns the HTTP status with which a gateway replies to its own client when the service has
    /// answered with this code, as in the table of PROTOCOL.md.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::INVALID_CODE | Self::CODE_EXPIRED => 400,
            Self::ACCOUNT_DISABLED | Self::NOT_PERMITTED => 403,
            Self::IDEMPOTENCY_CONFLICT => 422,
            Self::BUSY | Self::UNAVAILABLE | Self::SHUTTING_DOWN => 503,
            Self::DEADLINE_EXCEEDED => 504,
            _ => match self.class() {
                ErrorClass::Input => 400,
                ErrorClass::Identity => 401,
                ErrorClass::Conflict => 409,
                ErrorClass::SlowDown => 429,
                ErrorClass::Protocol | ErrorClass::Server | ErrorClass::Unknown => 500,
            },
        }
    }
}

/// The class of an error code, which decides how a client handles a code that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Class 01: the request violates the protocol. Fix the client; do not retry.
    Protocol,
    /// Class 02: a value is invalid. Show the end user which one.
    Input,
    /// Class 03: the end user has to log in or enter a code again.
    Identity,
    /// Class 04: a value is already taken. The end user has to choose another one.
    Conflict,
    /// Class 05: nothing was done. Send the same request after `retry_after_ms`.
    SlowDown,
    /// Class 06: the server failed. Depending on the code, the request may have been executed.
    Server,
    /// A class of a later version. Do not retry.
    Unknown,
}

impl ErrorClass {
    fn meaning(self) -> &'static str {
        match self {
            Self::Protocol => "The request violates the protocol.",
            Self::Input => "A value is not valid.",
            Self::Identity => "The end user has to prove their identity again.",
            Self::Conflict => "The value is already taken.",
            Self::SlowDown => "The server cannot execute the request now. Nothing was done.",
            Self::Server => "The server failed.",
            Self::Unknown => "Error of a later version. Do not retry.",
        }
    }
}

impl std::fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04X} {}", self.0, self.name())
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name())
    }
}
