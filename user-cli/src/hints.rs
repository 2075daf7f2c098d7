//! Hints for failed calls: what to do about each error. A hint is one or more complete sentences.

use user_proto::client::{CloseReason, Error, HandshakeError};
use user_proto::{ErrorClass, ErrorCode};

/// Circumstances of a failed call, from which its error message and hint are chosen.
#[derive(Debug, Default)]
pub(crate) struct Situation {
    /// Address of the server.
    pub(crate) addr: String,
    /// Source of the server's address.
    pub(crate) addr_source: String,
    /// True if the connection uses TLS.
    pub(crate) tls: bool,
    /// True if the request may have changed something.
    pub(crate) changes: bool,
    /// True if the request is a ping, which any server answers at once.
    pub(crate) is_ping: bool,
    /// True if the request used a stored token, and the stored refresh token has not expired, so
    /// `user-cli refresh` can help.
    pub(crate) can_refresh: bool,
}

/// Returns the hint for a failed call.
pub(crate) fn for_error(error: &Error, situation: &Situation) -> String {
    match error {
        // The token identifies the account, so a hint about the login would mislead.
        Error::Refused(reply) if reply.field.as_deref() == Some("current_password") => {
            "Check the current password. Repeated failures are followed by a waiting time."
        }
        // user-cli sends no frames that long. A server that requires TLS replies with this code to
        // plain text.
        error if requires_tls(error, situation) => {
            "The server requires TLS: pass its certificate authority with --ca, or --tls if that \
             is a public one."
        }
        Error::Refused(reply) => {
            for_code(reply.code, situation).unwrap_or_else(|| for_class(reply.code.class()))
        }
        error if error.not_a_service().is_some() => {
            "Check that a user-server listens at this address. Another one is selected by --addr, \
             --profile or $USER_CLI_ADDR."
        }
        Error::DeadlineExceeded { .. }
        | Error::Lost { reason: CloseReason::ClosedByServer | CloseReason::Io(..) }
            if situation.is_ping =>
        {
            "The port may belong to another program, such as Redis or PostgreSQL: check the \
             address. If a user-server listens there, it is overloaded or stopping: see its log, \
             or allow more time with --timeout."
        }
        Error::DeadlineExceeded { .. } => {
            "Allow more time with --timeout, and check with `user-cli ping` that a user-server \
             answers at this address."
        }
        Error::Lost { reason: CloseReason::ServerError(reply) } => {
            for_code(reply.code, situation).unwrap_or_else(|| for_class(reply.code.class()))
        }
        Error::Lost { .. } => {
            "Check that the server is running; its log contains the requests that it executed."
        }
        Error::Connect(_) => {
            "Check that the server is running at this address. Another one is selected by --addr, \
             --profile or $USER_CLI_ADDR."
        }
        Error::Handshake(reason) => for_handshake(reason),
        Error::BadReply { .. } => {
            "The server is newer than this user-cli, or not a user service; --verbose shows its \
             reply."
        }
        Error::TooLong(_) => "Shorten the arguments.",
        Error::PlaintextRefused => PLAINTEXT_HINT,
        Error::Closed => "Run the command again.",
    }
    .to_owned()
}

/// Returns `true` if the server answered plain text although it requires TLS. It has executed
/// nothing then.
pub(crate) fn requires_tls(error: &Error, situation: &Situation) -> bool {
    error.code() == Some(ErrorCode::FRAME_TOO_LONG) && !situation.tls
}

/// Hint for a request with a secret that is not sent without TLS.
pub(crate) const PLAINTEXT_HINT: &str = "Pass the certificate authority of the server with --ca, or --tls if that is a public one. On \
     a network that you trust, --allow-plaintext sends secrets without TLS.";

const LOGIN: &str = "Log in again with `user-cli login <LOGIN>`.";
const SERVER_LOG: &str = "Check the server's log.";
const TIMEOUT: &str =
    "Allow more time with --timeout, and check that the server is not overloaded.";

/// Returns the hint for an error code, or `None` if the code is unknown. A test checks that every
/// known code has one.
fn for_code(code: ErrorCode, situation: &Situation) -> Option<&'static str> {
    Some(match code {
        ErrorCode::UNKNOWN_TYPE | ErrorCode::UNKNOWN_TAG => {
            "The server is older than this user-cli; use the user-cli of the server's release."
        }
        ErrorCode::MALFORMED | ErrorCode::FRAME_TOO_LONG | ErrorCode::FRAME_TOO_SHORT => {
            "If user-cli built this frame, this is a bug in user-cli; --verbose shows the frame."
        }
        ErrorCode::INVALID_USERNAME => "Choose 3 to 32 letters and digits, without `@` and spaces.",
        ErrorCode::INVALID_EMAIL => "Use an address such as kim@example.com.",
        ErrorCode::INVALID_PASSWORD => {
            "Choose 8 to 128 characters that are not a common password and not derived from the \
             username or email address."
        }
        ErrorCode::NOTHING_TO_UPDATE => "Pass --username, --email or --new-password.",
        ErrorCode::INVALID_VALUE => "Pass a shorter value for the field that the message names.",
        ErrorCode::INVALID_CREDENTIALS => {
            "Check the login and the password. A new account must be verified first, with \
             `user-cli verify-email`."
        }
        ErrorCode::INVALID_TOKEN => "Log in again, or check --token and $USER_CLI_TOKEN.",
        ErrorCode::TOKEN_EXPIRED if situation.can_refresh => {
            "Run `user-cli refresh`, then repeat the command."
        }
        ErrorCode::TOKEN_EXPIRED | ErrorCode::SESSION_REVOKED => LOGIN,
        ErrorCode::INVALID_CODE => {
            "Check the code in the newest email. After five wrong attempts, the code becomes \
             invalid."
        }
        ErrorCode::CODE_EXPIRED => {
            "Request a new code with `user-cli resend-code`. If its verification is over too, begin \
             again with `register`, `update --email` or `reset-password request`."
        }
        ErrorCode::NOT_PERMITTED => {
            "Use a client certificate that the server accepts, or ask the operator to add this \
             machine to TRUSTED_PEERS."
        }
        ErrorCode::ACCOUNT_DISABLED => "Ask an operator to enable the account.",
        ErrorCode::USERNAME_TAKEN => {
            "Choose another username. With verify-email, repeat the command with --username; the \
             code is still valid."
        }
        ErrorCode::IDEMPOTENCY_CONFLICT => "Use a new idempotency key for a new request.",
        ErrorCode::EMAIL_TAKEN => {
            "Log in to the account with this address, or reset its password with `user-cli \
             reset-password`."
        }
        ErrorCode::RATE_LIMITED => "Wait for the time shown, then try again.",
        ErrorCode::BUSY => "The server is overloaded; try again in a moment.",
        ErrorCode::INTERNAL => SERVER_LOG,
        ErrorCode::UNAVAILABLE => {
            "The log of the server names the failing part, such as its database or its keys; \
             `user-server check` tests all of them."
        }
        ErrorCode::SHUTTING_DOWN => {
            "Use another node with --addr, or wait until this one has restarted."
        }
        ErrorCode::DEADLINE_EXCEEDED => TIMEOUT,
        _ => return None,
    })
}

fn for_class(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Protocol => "Use the user-cli of the server's release.",
        ErrorClass::Input => "Check the values of the arguments.",
        ErrorClass::Identity => "Log in again, or enter a code again.",
        ErrorClass::Conflict => "Choose another value.",
        ErrorClass::SlowDown => "Wait, then try again.",
        ErrorClass::Server => SERVER_LOG,
        ErrorClass::Unknown => "Do not try again; use the user-cli of the server's release.",
    }
}

fn for_handshake(reason: &HandshakeError) -> &'static str {
    match reason {
        HandshakeError::UnknownAuthority => {
            "Pass the certificate authority of the server with --ca."
        }
        HandshakeError::NameMismatch(_) => {
            "Use the host name from the certificate in --addr, or pass that name with \
             --server-name."
        }
        HandshakeError::InvalidServerName(_) => {
            "Pass the name in the server's certificate with --server-name."
        }
        HandshakeError::NotValidNow => {
            "Renew the server's certificate, and check the clocks of both machines."
        }
        HandshakeError::InvalidCertificate(_) => {
            "Replace the server's certificate; `user-server check` shows its problems."
        }
        HandshakeError::NotTls => {
            "Remove --tls and --ca, or their variables and settings of the profile; or set TLS_CERT \
             on the server."
        }
        HandshakeError::OldTls | HandshakeError::AlpnMismatch => {
            "Connect with --addr to the user server itself, or to a proxy that passes TLS through \
             to it."
        }
        HandshakeError::CertificateRequired => {
            "Pass a client certificate with --cert and --key, issued by an authority in the \
             server's TLS_CLIENT_CA."
        }
        HandshakeError::CertificateRejected(_) => {
            "Pass a client certificate with --cert that has not expired and was issued by an \
             authority in the server's TLS_CLIENT_CA."
        }
        HandshakeError::Other(_) => SERVER_LOG,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_hint() {
        for code in ErrorCode::ALL {
            assert!(for_code(*code, &Situation::default()).is_some(), "{code:?}");
        }
    }

    #[test]
    fn the_hint_for_an_expired_token_depends_on_the_stored_session() {
        let hint = |can_refresh| {
            for_code(ErrorCode::TOKEN_EXPIRED, &Situation { can_refresh, ..Situation::default() })
                .unwrap_or_default()
        };
        assert!(hint(true).contains("user-cli refresh"));
        assert!(hint(false).contains("user-cli login"));
    }
}
