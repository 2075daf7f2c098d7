//! `decode` says of every vector of user-proto what the vector says of itself.

use std::path::Path;

use serde_json::Value;

use crate::cli::Cli;

fn vectors(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../user-proto/vectors").join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let Value::Array(vectors) = serde_json::from_str::<Value>(&text).unwrap()["vectors"].take()
    else {
        panic!("a list of vectors")
    };
    assert!(!vectors.is_empty());
    vectors
}

/// Explains many whole frames at once.
fn explain(direction: &str, vectors: &[&Value]) -> Vec<Value> {
    let frames: Vec<_> = vectors.iter().map(|vector| vector["hex"].as_str().unwrap()).collect();
    let ran = Cli::alone().run_with(
        &["decode", "-", "--json", "--show-secrets", "--as", direction],
        &frames.join("\n"),
    );
    let objects = ran.objects();
    assert_eq!(objects.len(), vectors.len());
    objects
}

fn of<'a>(vectors: &'a [Value], direction: &str, level: Option<&str>) -> Vec<&'a Value> {
    let is_of =
        |vector: &&Value| vector["direction"] == direction && vector["level"].as_str() == level;
    vectors.iter().filter(is_of).collect()
}

#[test]
fn valid_vectors_are_explained_field_by_field() {
    let vectors = vectors("valid.json");
    for direction in ["request", "reply"] {
        let vectors = of(&vectors, direction, None);
        for (vector, object) in vectors.iter().zip(explain(direction, &vectors)) {
            for key in ["message", "direction", "id", "type", "fields"] {
                assert_eq!(object[key], vector[key], "{}: {key}", vector["name"]);
            }
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
fn messages_that_are_none_are_told_with_the_code_of_the_answer() {
    let vectors = vectors("invalid.json");
    for direction in ["request", "reply"] {
        let vectors = of(&vectors, direction, Some("message"));
        for (vector, object) in vectors.iter().zip(explain(direction, &vectors)) {
            let told = &object["error"];
            assert_eq!(told["field"].as_str(), vector["field"].as_str(), "{}", vector["name"]);
            if direction == "request" {
                assert_eq!(
                    (&told["code"], &told["closes"]),
                    (&vector["code"], &false.into()),
                    "{}",
                    vector["name"]
                );
            }
            assert!(!told["why"].as_str().unwrap().is_empty());
        }
    }
}

#[test]
fn frames_that_are_none_are_told_with_what_follows() {
    let cli = Cli::alone();
    for vector in vectors("invalid.json") {
        let (level, hex) = (vector["level"].as_str().unwrap(), vector["hex"].as_str().unwrap());
        if level == "message" || hex.is_empty() {
            continue;
        }
        let ran =
            cli.run(&["decode", hex, "--json", "--as", vector["direction"].as_str().unwrap()]);
        assert_eq!(ran.code, Some(1), "{}", vector["name"]);
        let told = &ran.object()["error"];
        assert_eq!(told["incomplete"], level == "incomplete", "{}", vector["name"]);
        if level == "frame" && vector["direction"] == "request" {
            assert_eq!(
                (&told["code"], &told["closes"]),
                (&vector["code"], &true.into()),
                "{}",
                vector["name"]
            );
        }
    }
}
