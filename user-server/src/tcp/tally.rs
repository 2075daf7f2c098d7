//! The protocol's tables as the labels of what is counted: a request's type and outcome can be nothing else, whatever a
//! client sends.

use user_proto::{ErrorClass, ErrorCode, Reply, Request};

use crate::metrics::{Names, Outcome};

/// The row of every type that no request has.
const UNKNOWN: u8 = Request::ALL.len() as u8;
/// Each type's row.
const ROWS: [u8; 256] = {
    let mut rows = [UNKNOWN; 256];
    let mut row = 0;
    while row < Request::ALL.len() {
        rows[Request::ALL[row].0 as usize] = row as u8;
        row += 1;
    }
    rows
};
const OK: usize = 0;
/// The client had gone before its reply; the row behind those of the error codes.
pub(super) const CLIENT_GONE: usize = ErrorCode::ALL.len() + 1;

/// What the labels of requests may say.
#[must_use]
pub fn names() -> Names {
    let of_code = |code: &ErrorCode| Outcome {
        name: code.name(),
        from_start: matches!(code.class(), ErrorClass::SlowDown | ErrorClass::Server),
    };
    let mut outcomes = vec![Outcome { name: "OK", from_start: true }];
    outcomes.extend(ErrorCode::ALL.iter().map(of_code));
    outcomes.push(Outcome { name: "CLIENT_GONE", from_start: false });
    Names { types: Request::ALL.iter().map(|(_, name)| *name).chain(["unknown"]).collect(), outcomes }
}

/// The row of a type.
pub(super) fn row(kind: u8) -> usize {
    ROWS.get(usize::from(kind)).copied().unwrap_or(UNKNOWN).into()
}

/// The outcome that a reply tells.
pub(super) fn outcome(reply: &Reply<'_>) -> usize {
    match reply {
        // Every code that this server sends is in the list, which is sorted.
        Reply::ErrorReply(error) => ErrorCode::ALL.binary_search(&error.code).map_or(CLIENT_GONE, |place| place + 1),
        _ => OK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_and_code_has_its_name() {
        let names = names();
        for (kind, name) in Request::ALL {
            assert_eq!(names.types[row(*kind)], *name);
        }
        assert_eq!(names.types[row(0x3E)], "unknown");
        for code in ErrorCode::ALL {
            let reply = user_proto::ErrorReply { code: *code, message: "".into(), retry_after_ms: None, field: None };
            assert_eq!(names.outcomes[outcome(&reply.into())].name, code.name());
        }
        assert_eq!(names.outcomes[OK].name, "OK");
        assert_eq!(names.outcomes[CLIENT_GONE].name, "CLIENT_GONE");
        assert_eq!(names.outcomes.len(), CLIENT_GONE + 1);
    }
}
