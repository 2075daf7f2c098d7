use super::*;

/// HTTP status of each error code, at a login and elsewhere.
const STATUSES: &[(u16, u16, u16)] = &[
    (0x0101, 502, 502),
    (0x0102, 502, 502),
    (0x0103, 502, 502),
    (0x0104, 502, 502),
    (0x0105, 502, 502),
    (0x0201, 422, 422),
    (0x0202, 422, 422),
    (0x0203, 422, 422),
    (0x0204, 422, 422),
    (0x0205, 422, 422),
    (0x0301, 401, 403),
    (0x0303, 401, 401),
    (0x0304, 401, 401),
    (0x0305, 401, 401),
    (0x0306, 422, 422),
    (0x0307, 422, 422),
    (0x0308, 403, 403),
    (0x0309, 401, 403),
    (0x030A, 403, 403),
    (0x030B, 404, 404),
    (0x0401, 409, 409),
    (0x0402, 409, 409),
    (0x0403, 409, 409),
    (0x0501, 429, 429),
    (0x0502, 503, 503),
    (0x0601, 500, 500),
    (0x0602, 503, 503),
    (0x0603, 503, 503),
    (0x0604, 504, 504),
    // Codes of a later version, by their class.
    (0x01FF, 502, 502),
    (0x02FF, 422, 422),
    (0x03FF, 403, 403),
    (0x04FF, 409, 409),
    (0x05FF, 503, 503),
    (0x06FF, 500, 500),
    (0x07FF, 502, 502),
];

fn reply(code: u16, retry_after_ms: Option<u32>) -> Error {
    let (code, field) = (ErrorCode(code), Some("name".into()));
    Error::Refused(ErrorReply { code, message: "a reason".into(), retry_after_ms, field })
}

#[test]
fn every_error_code_has_its_status() {
    for (code, login, other) in STATUSES {
        for (kind, status) in [(RequestKind::Login, login), (RequestKind::Other, other)] {
            let problem = Problem::of_error(&reply(*code, None), kind);
            let document = &problem.document;
            assert_eq!(document.status, *status, "{code:04X} {kind:?}");
            assert_eq!(document.kind, format!("urn:user-service:error:{code:04X}"));
            assert_eq!(document.outcome, ErrorCode(*code).outcome().into());
            assert_eq!(document.detail, "a reason");
            assert_eq!(document.field.as_deref(), Some("name"));
            // An application logs its user out on 401.
            let challenged = problem.into_response().headers().contains_key(WWW_AUTHENTICATE);
            assert_eq!(challenged, *status == 401, "{code:04X} {kind:?}");
        }
    }
    for code in ErrorCode::ALL {
        assert!(STATUSES.iter().any(|(listed, ..)| *listed == code.0), "{code:?}");
    }
}

#[test]
fn retry_after_is_in_seconds_and_rounded_up() {
    let header = |code, millis| {
        let problem = Problem::of_error(&reply(code, millis), RequestKind::Other);
        let response = problem.into_response();
        response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned())
    };
    for (code, millis, seconds) in [
        (0x0501, Some(0), Some("1")),
        (0x0501, Some(1000), Some("1")),
        (0x0501, Some(1001), Some("2")),
        (0x0501, Some(u32::MAX), Some("4294968")),
        (0x0501, None, None),
        (0x0502, Some(20), Some("1")),
        (0x0602, None, Some("1")),
        (0x0201, None, None),
    ] {
        assert_eq!(header(code, millis).as_deref(), seconds, "{code:04X} {millis:?}");
    }
}

#[test]
fn an_error_of_the_connection_has_a_status_and_an_outcome() {
    use user_proto::client::CloseReason;
    let io = || std::io::Error::other("connection to 10.0.0.7:3001 refused");
    let decode = user_proto::DecodeError::Malformed {
        field: "user_id",
        reason: user_proto::Reason::WrongSize,
    };
    for (error, status, outcome) in [
        (Error::DeadlineExceeded { sent: true }, 504, Outcome::Unknown),
        (Error::DeadlineExceeded { sent: false }, 504, Outcome::NotDone),
        (Error::Lost { reason: CloseReason::ClosedByServer }, 503, Outcome::Unknown),
        (Error::Connect(io()), 503, Outcome::NotDone),
        (Error::Closed, 503, Outcome::NotDone),
        (Error::BadReply { kind: 0x81, error: decode }, 502, Outcome::Unknown),
        (Error::PlaintextRefused, 500, Outcome::NotDone),
    ] {
        let text = format!("{error:?}");
        let problem = Problem::of_error(&error, RequestKind::Other);
        assert_eq!(
            (problem.document.status, problem.document.outcome),
            (status, outcome),
            "{text}"
        );
        let json = serde_json::to_string(&problem.document).unwrap();
        assert!(!json.contains("10.0.0.7"), "{json}");
    }
}
