//! What to do about each error: the one place that knows.

use user_proto::client::{Error, NoHandshake};
use user_proto::{ErrorClass, ErrorCode};

/// What there is to know about a call that failed.
#[derive(Debug, Default)]
pub(crate) struct Situation {
    pub(crate) addr: String,
    /// Whether the server is spoken to over TLS.
    pub(crate) tls: bool,
    /// Whether the request changes anything.
    pub(crate) changes: bool,
    /// Whether the token of the request was the stored one, with a refresh token beside it.
    pub(crate) can_refresh: bool,
}

pub(crate) fn of(error: &Error, situation: &Situation) -> String {
    match error {
        // The account is known here, so its login is not what to look at.
        Error::Refused(reply) if reply.field.as_deref() == Some("current_password") => {
            "Check the current password. After five wrong ones there is a wait.".to_owned()
        }
        // Nothing too long was sent, so what the server took for a length is the start of something
        // else.
        Error::Refused(reply) if reply.code == ErrorCode::FRAME_TOO_LONG && !situation.tls => {
            "The server wants TLS: name its authority with --ca, or say --tls where that is a public one.".to_owned()
        }
        Error::Refused(reply) => {
            of_code(reply.code, situation).unwrap_or_else(|| of_class(reply.code.class())).to_owned()
        }
        Error::DeadlineExceeded { .. } => {
            "Give it more time with --timeout, and look whether the server is well.".into()
        }
        Error::Lost { .. } => "Look whether the server is well; its log says what was done.".into(),
        Error::Connect(_) => "Start user-server, or name the right server with --addr or USER_SERVER_ADDR.".to_owned(),
        Error::Handshake(why) => of_handshake(why).to_owned(),
        Error::BadReply { .. } => {
            "The server is newer than this user-cli, or no user service: --verbose shows its reply.".to_owned()
        }
        Error::TooLong(_) => "Shorten what you send.".to_owned(),
        Error::Closed => "Start user-cli again.".to_owned(),
    }
}

fn of_handshake(why: &NoHandshake) -> &'static str {
    match why {
        NoHandshake::UnknownAuthority => {
            "Name the file with the authority of the server's certificate with --ca."
        }
        NoHandshake::OtherName(_) => {
            "Name the host in --addr as the certificate does, or say with --server-name which name it has."
        }
        NoHandshake::NoName(_) => "Say with --server-name which name the server's certificate has.",
        NoHandshake::NotValidNow => {
            "Renew the server's certificate, and look at the clocks of both machines."
        }
        NoHandshake::BadCertificate(_) => {
            "Give the server another certificate; user-server check tells what it has."
        }
        NoHandshake::NotTls => {
            "Leave out --tls and --ca, unset USER_SERVER_TLS and USER_SERVER_CA, or set TLS_CERT for the server."
        }
        NoHandshake::OldTls | NoHandshake::OtherProtocol => {
            "Name the user server itself with --addr, or a proxy that hands TLS through to it."
        }
        NoHandshake::CertificateWanted => {
            "Show one with --cert and --key, of an authority in the server's TLS_CLIENT_CA."
        }
        NoHandshake::CertificateRefused(_) => {
            "Show one with --cert that has not expired and is of an authority in the server's TLS_CLIENT_CA."
        }
        NoHandshake::Broken(_) => "Look into the server's log.",
    }
}

/// What to do about a code, or `None` for one of a later version. A test holds that every code has
/// its line.
fn of_code(code: ErrorCode, situation: &Situation) -> Option<&'static str> {
    const OLD_SERVER: &str = "The server is older than this user-cli: use the one of its release.";
    const NOT_OURS: &str =
        "If user-cli made this frame, that is a defect of it: --verbose shows the frame.";
    const LOG_IN: &str = "Log in again: user-cli login <LOGIN>.";
    Some(match code {
        ErrorCode::UNKNOWN_TYPE | ErrorCode::UNKNOWN_TAG => OLD_SERVER,
        ErrorCode::MALFORMED | ErrorCode::FRAME_TOO_LONG | ErrorCode::FRAME_TOO_SHORT => NOT_OURS,
        ErrorCode::INVALID_USERNAME => "Choose 3 to 32 letters and digits, without `@` and spaces.",
        ErrorCode::INVALID_EMAIL => "Give an address as in kim@example.com.",
        ErrorCode::INVALID_PASSWORD => {
            "Choose 8 to 128 characters that are not a common password and not made of the username or the address."
        }
        ErrorCode::NOTHING_TO_UPDATE => {
            "Name what to change: --username, --email or --new-password."
        }
        ErrorCode::INVALID_CREDENTIALS => {
            "Check the login and the password. A registration has to be verified first: user-cli verify-email."
        }
        ErrorCode::INVALID_TOKEN => "Log in again, or check --token and $USER_CLI_TOKEN.",
        ErrorCode::TOKEN_EXPIRED if situation.can_refresh => {
            "A refresh token is stored: run user-cli refresh, then this again."
        }
        ErrorCode::TOKEN_EXPIRED | ErrorCode::SESSION_REVOKED => LOG_IN,
        ErrorCode::INVALID_CODE => {
            "Check the code in the newest mail. Five wrong ones make it void."
        }
        ErrorCode::CODE_EXPIRED => {
            "Begin again: register, update --email, or reset-password request."
        }
        ErrorCode::ACCOUNT_DISABLED => "Ask an operator to enable the account.",
        ErrorCode::USERNAME_TAKEN => {
            "Choose another username. At verify-email: repeat with --username; the code is not spent."
        }
        ErrorCode::IDEMPOTENCY_CONFLICT => "Use a new idempotency key for a new request.",
        ErrorCode::EMAIL_TAKEN => {
            "Log in to the account that has it, or reset its password: user-cli reset-password."
        }
        ErrorCode::RATE_LIMITED => "Wait that long, then try again.",
        ErrorCode::BUSY => "The server has much to do: try again in a moment.",
        ErrorCode::INTERNAL => "Look into the server's log.",
        ErrorCode::UNAVAILABLE => {
            "Look whether the server reaches its database; its log says what is missing."
        }
        ErrorCode::SHUTTING_DOWN => "Ask another node with --addr, or wait until this one is back.",
        ErrorCode::DEADLINE_EXCEEDED => {
            "Give it more time with --timeout, and look whether the server is well."
        }
        _ => return None,
    })
}

fn of_class(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Protocol => "The server and this user-cli are of different releases.",
        ErrorClass::Input => "Change what you gave.",
        ErrorClass::Identity => "Log in or enter a code again.",
        ErrorClass::Conflict => "Choose something else.",
        ErrorClass::SlowDown => "Wait, then try again.",
        ErrorClass::Server => "Look into the server's log.",
        ErrorClass::Unknown => "Do not try again; use the user-cli of the server's release.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_hint_of_its_own() {
        for code in ErrorCode::ALL {
            assert!(of_code(*code, &Situation::default()).is_some(), "{code:?}");
        }
    }

    #[test]
    fn an_expired_token_is_mended_by_what_is_there() {
        let hint = |can_refresh| {
            of_code(ErrorCode::TOKEN_EXPIRED, &Situation { can_refresh, ..Situation::default() })
                .unwrap_or_default()
        };
        assert!(hint(true).contains("user-cli refresh"));
        assert!(hint(false).contains("user-cli login"));
    }
}
