//! The bodies of requests and replies.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::{DeserializeOwned, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::error::Category;
use tokio::time::timeout;
use user_proto::Secret;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Api;
use super::problem::Problem;
use crate::forwarded::single;
use crate::listener::Activity;

/// Maximum size of a body in bytes.
pub(super) const MAX_BODY: usize = 16 * 1024;

/// JSON body of a request.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let body = read(request, "application/json", api).await?;
        parse(&body).map(Self)
    }
}

/// Form of a request (`application/x-www-form-urlencoded`), as RFC 7662 requires it.
pub(super) struct Form(Zeroizing<Vec<u8>>);

impl FromRequest<Arc<Api>> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        read(request, "application/x-www-form-urlencoded", api).await.map(Self)
    }
}

impl Form {
    /// Returns the value of a field that occurs exactly once.
    pub(super) fn secret(&self, name: &'static str) -> Result<Secret<'static>, Problem> {
        let mut values =
            form_urlencoded::parse(&self.0).filter(|(key, _)| key == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(Secret::from(value.into_owned())),
            _ => Err(Problem::invalid_field(
                Some(name.to_owned()),
                format!("The form must have the field `{name}` exactly once."),
            )),
        }
    }
}

/// JSON body of a reply with its status.
pub(super) struct Reply<T>(pub(super) StatusCode, pub(super) T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let Self(status, value) = self;
        match serde_json::to_vec(&value) {
            Ok(body) => {
                let kind = HeaderValue::from_static("application/json");
                (status, [(CONTENT_TYPE, kind)], body).into_response()
            }
            Err(_) => Problem::internal().into_response(),
        }
    }
}

/// Password, token or code in a JSON body. Its `Debug` output is redacted.
#[derive(Debug)]
pub(super) struct SecretText(pub(super) Secret<'static>);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = SecretText;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E>(self, text: &str) -> Result<SecretText, E> {
                Ok(SecretText(text.to_owned().into()))
            }
            fn visit_string<E>(self, text: String) -> Result<SecretText, E> {
                Ok(SecretText(text.into()))
            }
        }
        deserializer.deserialize_string(Text)
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_str().unwrap_or_default())
    }
}

/// UUID in a JSON body, in its usual form of 36 characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonUuid(pub(super) Uuid);

/// Parses a UUID in its usual form of 36 characters.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

impl<'de> Deserialize<'de> for JsonUuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        uuid(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not a UUID"))
    }
}

impl Serialize for JsonUuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Reads the body of a request, which must have the media type `kind`.
async fn read(request: Request, kind: &str, api: &Api) -> Result<Zeroizing<Vec<u8>>, Problem> {
    if !has_media_type(request.headers(), kind) {
        let detail = format!("The body must have the Content-Type {kind}, without encoding.");
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, "UNSUPPORTED_MEDIA_TYPE", detail).closing());
    }
    // The listener adds the activity of the connection to every request.
    let activity = request.extensions().get::<Arc<Activity>>().cloned();
    let mut body = request.into_body();
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    // Allocated at the largest size, so that it is never reallocated and leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BODY));
    let received = async {
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let Ok(frame) = frame else { return Err(incomplete()) };
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > MAX_BODY {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    let _awaited = activity.as_deref().map(Activity::awaits_body);
    match timeout(api.timeout, received).await {
        Ok(result) => result.map(|()| bytes),
        Err(_) => {
            let detail = "The body did not arrive in time.";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "BODY_TIMEOUT", detail).closing())
        }
    }
}

fn too_large() -> Problem {
    let detail = format!("The body must have at most {MAX_BODY} bytes.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", detail).closing()
}

fn incomplete() -> Problem {
    let detail = "The body ended early or is not framed correctly.";
    Problem::new(StatusCode::BAD_REQUEST, "MALFORMED_BODY", detail).closing()
}

/// Returns true if the body has this media type, as UTF-8, and is not encoded.
fn has_media_type(headers: &HeaderMap, kind: &str) -> bool {
    let Some(value) = single(headers, &CONTENT_TYPE) else { return false };
    let (media_type, parameters) = value.split_once(';').unwrap_or((value, ""));
    let parameters = parameters.trim();
    media_type.trim().eq_ignore_ascii_case(kind)
        && (parameters.is_empty()
            || parameters.eq_ignore_ascii_case("charset=utf-8")
            || parameters.eq_ignore_ascii_case("charset=\"utf-8\""))
        && !headers.contains_key(CONTENT_ENCODING)
}

/// Parses a JSON body. No error contains a part of a value, since it could be a secret.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde would also take an array, as the values of the fields.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| *byte != b'{') {
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| explain(&error, ""))?;
        return Err(not_an_object());
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        explain(error.inner(), &path)
    })?;
    json.end().map_err(|error| explain(&error, ""))?;
    Ok(value)
}

/// Returns the problem of a body that is not valid. `path` is that of the invalid value.
fn explain(error: &serde_json::Error, path: &str) -> Problem {
    if error.classify() != Category::Data {
        let detail = format!(
            "The body is not valid JSON (line {}, column {}).",
            error.line(),
            error.column()
        );
        return Problem::new(StatusCode::BAD_REQUEST, "MALFORMED_BODY", detail);
    }
    let message = error.to_string();
    // The texts of serde, in which only the name of a known field is quoted.
    let known = |prefix: &str| Some(message.strip_prefix(prefix)?.split('`').next()?.to_owned());
    if let Some(field) = known("missing field `") {
        let detail = format!("The field `{field}` is missing.");
        return Problem::invalid_field(Some(field), detail);
    }
    if let Some(field) = known("duplicate field `") {
        let detail = format!("The field `{field}` occurs twice.");
        return Problem::invalid_field(Some(field), detail);
    }
    if message.starts_with("unknown field `") {
        return Problem::invalid_field(None, "The body has a field that is not known.");
    }
    if path.is_empty() || path == "." {
        return not_an_object();
    }
    let detail = format!("The field `{path}` has the wrong type or form.");
    Problem::invalid_field(Some(path.to_owned()), detail)
}

fn not_an_object() -> Problem {
    Problem::invalid_field(None, "The body must be a JSON object.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only parsed")]
    struct Example {
        name: String,
        password: SecretText,
        device: Option<String>,
    }

    #[test]
    fn an_invalid_body_is_explained_without_its_values() {
        for (body, status, detail) in [
            ("", 400, "line 1, column 0"),
            ("{", 400, "line 1, column 1"),
            ("{\"name\":\"hidden\"", 400, "not valid JSON"),
            ("{\"name\":\"a\",\"password\":\"hidden\"} x", 400, "not valid JSON"),
            ("{\"name\":\"\\ud800\",\"password\":\"hidden\"}", 400, "not valid JSON"),
            ("\u{feff}{}", 400, "not valid JSON"),
            ("[]", 422, "must be a JSON object"),
            (" [\"a\",\"hidden\",null]", 422, "must be a JSON object"),
            ("[[[", 400, "not valid JSON"),
            ("\"hidden\"", 422, "must be a JSON object"),
            ("null", 422, "must be a JSON object"),
            ("{}", 422, "`name` is missing"),
            ("{\"name\":\"a\"}", 422, "`password` is missing"),
            ("{\"name\":7,\"password\":\"hidden\"}", 422, "`name` has the wrong type"),
            ("{\"name\":\"a\",\"password\":12345678}", 422, "`password` has the wrong type"),
            ("{\"name\":\"a\",\"password\":[\"hidden\"]}", 422, "`password` has the wrong type"),
            ("{\"name\":\"a\",\"name\":\"hidden\"}", 422, "`name` occurs twice"),
            ("{\"name\":\"a\",\"password\":\"b\",\"hidden\":1}", 422, "not known"),
        ] {
            let problem = parse::<Example>(body.as_bytes()).unwrap_err();
            let text = format!("{problem:?}");
            assert!(text.contains(&format!("status: {status}")), "{body}: {text}");
            assert!(text.contains(detail), "{body}: {text}");
            assert!(!text.contains("hidden") && !text.contains("12345678"), "{body}: {text}");
        }
        let invalid = parse::<Example>(b"{\"name\":\"\xff\",\"password\":\"b\"}").unwrap_err();
        assert!(format!("{invalid:?}").contains("status: 400"));
    }

    #[test]
    fn a_secret_is_redacted() {
        let body = b"{\"name\":\"a\",\"password\":\"hid\\u0064en\",\"device\":null}";
        let example: Example = parse(body).unwrap();
        assert_eq!(example.password.0.expose(), b"hidden");
        assert!(!format!("{example:?}").contains("hidden"));
    }

    #[test]
    fn the_media_type_is_compared_without_case_and_charset() {
        let with = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_TYPE, HeaderValue::from_static(value));
            }
            has_media_type(&headers, "application/json")
        };
        for value in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(with(&[value]), "{value}");
        }
        for value in [
            "",
            "text/plain",
            "application/jsonx",
            "application/problem+json",
            "application/json; charset=utf-16",
            "text/plain; application/json",
        ] {
            assert!(!with(&[value]), "{value}");
        }
        assert!(!with(&[]));
        assert!(!with(&["application/json", "application/json"]));
    }
}
