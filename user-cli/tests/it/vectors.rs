//! `decode` agrees with every test vector of user-proto.

use std::path::Path;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::Cli;

fn vectors(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../user-proto/vectors").join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let Value::Array(vectors) = serde_json::from_str::<Value>(&text).unwrap()["vectors"].take()
    else {
        panic!("not a list of vectors")
    };
    assert!(!vectors.is_empty());
    vectors
}

/// Decodes many whole frames in one run.
fn decode(direction: &str, vectors: &[&Value]) -> Vec<Value> {
    let frames: Vec<_> = vectors.iter().map(|vector| vector["hex"].as_str().unwrap()).collect();
    let output = Cli::offline().run_with(
        &["decode", "-", "--json", "--show-secrets", "--as", direction],
        &frames.join("\n"),
    );
    let objects = output.objects();
    assert_eq!(objects.len(), vectors.len());
    objects
}

fn of<'a>(vectors: &'a [Value], direction: &str, level: Option<&str>) -> Vec<&'a Value> {
    let matches =
        |vector: &&Value| vector["direction"] == direction && vector["level"].as_str() == level;
    vectors.iter().filter(matches).collect()
}

/// Converts fields from the notation of the vectors to that of the program's output: times are
/// text, and durations are in milliseconds.
fn in_output_convention(fields: &Value) -> Value {
    match fields {
        Value::Array(rows) => rows.iter().map(in_output_convention).collect(),
        Value::Object(fields) => {
            let entries = fields.iter().map(|(name, value)| match value.as_u64() {
                Some(at) if name.ends_with("_at") || name == "before" => {
                    (name.clone(), time(at).into())
                }
                Some(at) if name == "now_ms" => ("now".to_owned(), time(at / 1000).into()),
                Some(seconds) if name.ends_with("_in") || SECONDS.contains(&name.as_str()) => {
                    (format!("{name}_ms"), (seconds * 1000).into())
                }
                _ => (name.clone(), in_output_convention(value)),
            });
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

/// Fields in seconds that do not end with `_in`.
const SECONDS: [&str; 4] = ["resend_after", "idle_timeout", "access_life", "refresh_after"];

/// Formats a time as RFC 3339, by an implementation other than that of the program.
fn time(at: u64) -> String {
    match OffsetDateTime::from_unix_timestamp(at.try_into().unwrap()) {
        Ok(time) => time.format(&Rfc3339).unwrap(),
        // The largest time that the protocol allows.
        Err(_) => "285428751-11-12T07:36:31Z".to_owned(),
    }
}

#[test]
fn valid_vectors_are_decoded_field_by_field() {
    let vectors = vectors("valid.json");
    for direction in ["request", "reply"] {
        let vectors = of(&vectors, direction, None);
        for (vector, object) in vectors.iter().zip(decode(direction, &vectors)) {
            for key in ["message", "direction", "id", "type"] {
                assert_eq!(object[key], vector[key], "{}: {key}", vector["name"]);
            }
            let fields = in_output_convention(&vector["fields"]);
            assert_eq!(object["fields"], fields, "{}", vector["name"]);
            let common =
                vector.get("common").cloned().unwrap_or_else(|| Value::Object(Default::default()));
            assert_eq!(object["common"], common, "{}", vector["name"]);
            assert_eq!(
                object["skipped_bytes"] != 0,
                vector.get("canonical_hex").is_some(),
                "{}",
                vector["name"]
            );
            assert!(object.get("error").is_none());
        }
    }
}

#[test]
fn invalid_messages_are_reported_with_the_code_of_the_response() {
    let vectors = vectors("invalid.json");
    for direction in ["request", "reply"] {
        let vectors = of(&vectors, direction, Some("message"));
        for (vector, object) in vectors.iter().zip(decode(direction, &vectors)) {
            let error = &object["error"];
            assert_eq!(error["field"].as_str(), vector["field"].as_str(), "{}", vector["name"]);
            if direction == "request" {
                assert_eq!(
                    (&error["code"], &error["closes"]),
                    (&vector["code"], &false.into()),
                    "{}",
                    vector["name"]
                );
            }
            assert!(!error["message"].as_str().unwrap().is_empty());
        }
    }
}

#[test]
fn invalid_frames_are_reported_with_the_consequence() {
    let cli = Cli::offline();
    for vector in vectors("invalid.json") {
        let (level, hex) = (vector["level"].as_str().unwrap(), vector["hex"].as_str().unwrap());
        if level == "message" || hex.is_empty() {
            continue;
        }
        let output =
            cli.run(&["decode", hex, "--json", "--as", vector["direction"].as_str().unwrap()]);
        assert_eq!(output.code, Some(1), "{}", vector["name"]);
        let error = &output.object()["error"];
        assert_eq!(error["incomplete"], level == "incomplete", "{}", vector["name"]);
        if level == "frame" && vector["direction"] == "request" {
            assert_eq!(
                (&error["code"], &error["closes"]),
                (&vector["code"], &true.into()),
                "{}",
                vector["name"]
            );
        }
    }
}
