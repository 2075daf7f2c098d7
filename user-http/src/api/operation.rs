//! Parts of the OpenAPI document that the operations have in common.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type};
use utoipa::{IntoParams, IntoResponses};

/// The header Idempotency-Key.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes the header, which is not deserialised")]
pub(super) struct IdempotencyHeader {
    /// Random key of one intended change. The same request with the same key, within 24 hours and
    /// from the same session or network, is not executed again, but gets the same reply.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        min_length = 1,
        max_length = 64,
        pattern = "^[\\x21-\\x7E]+$"
    )]
    idempotency_key: String,
}

/// Problems of every route.
pub(super) struct Problems;
/// Problems of every route that needs a token or credentials.
pub(super) struct TokenProblems;

/// Statuses of problems, with their meanings.
const PROBLEMS: [(u16, &str); 14] = [
    (400, "The body or a header is malformed."),
    (
        403,
        "The current password is wrong, the account is disabled, or the caller is not permitted.",
    ),
    (404, "Nothing has this path or id."),
    (408, "The body did not arrive in time."),
    (409, "The username or email address is taken, or the Idempotency-Key was used before."),
    (413, "The body has more than 16 KiB."),
    (415, "The body has another media type."),
    (422, "A value or a code is not valid."),
    (429, "Too many attempts; wait for Retry-After."),
    (500, "The service failed."),
    (502, "The service and this program do not understand each other."),
    (503, "The service is unavailable or overloaded; try again after Retry-After."),
    (504, "The deadline passed."),
    (401, "There is no usable token, or the login or password is wrong; the user has to log in."),
];

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let (_, without_token) = PROBLEMS.split_last().unwrap_or((&PROBLEMS[0], &[]));
        responses(without_token)
    }
}

impl IntoResponses for TokenProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&PROBLEMS)
    }
}

fn responses(problems: &[(u16, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let header = |kind: Type, text: &str| {
        HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(kind).build()))
            .description(Some(text))
            .build()
    };
    let response = |status: u16, meaning: &str| {
        let schema = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new()
            .description(meaning)
            .content("application/problem+json", content);
        match status {
            401 => response.header("WWW-Authenticate", header(Type::String, "`Bearer`.")),
            429 | 503 => response.header("Retry-After", header(Type::Integer, "Seconds to wait.")),
            _ => response,
        }
    };
    problems
        .iter()
        .map(|(status, meaning)| (status.to_string(), response(*status, meaning).build().into()))
        .collect()
}
