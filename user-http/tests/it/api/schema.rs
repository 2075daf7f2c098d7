//! The OpenAPI document as a client reads it, and the comparison of replies with it.

use std::net::SocketAddr;

use serde_json::{Map, Value};

use crate::http::{Reply, get};

/// The document that the program serves.
pub(crate) struct Document(pub(crate) Value);

impl Document {
    pub(crate) fn fetch(address: SocketAddr) -> Self {
        let reply = get(address, "/openapi.json", &[]);
        assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
        Self(serde_json::from_str(&reply.body).unwrap())
    }

    /// Returns the paths with their operations.
    pub(crate) fn paths(&self) -> &Map<String, Value> {
        self.0["paths"].as_object().unwrap()
    }

    /// Returns the path of the document that a request uses. One without a parameter comes first.
    fn path(&self, path: &str) -> Option<&str> {
        let matches = |template: &&String| {
            let (parts, given): (Vec<_>, Vec<_>) =
                (template.split('/').collect(), path.split('/').collect());
            parts.len() == given.len()
                && parts
                    .iter()
                    .zip(&given)
                    .all(|(part, given)| part.starts_with('{') || part == given)
        };
        let mut found: Vec<&String> = self.paths().keys().filter(matches).collect();
        found.sort_by_key(|template| template.contains('{'));
        found.first().map(|path| path.as_str())
    }

    /// Checks that the document lists the status of a reply, with its media type and a schema that
    /// the body matches.
    pub(crate) fn check(&self, request: &str, reply: &Reply, json: &Value) {
        let (method, path) = request.split_once(' ').unwrap();
        let template = self.path(path).unwrap_or_else(|| panic!("{path} is not documented"));
        let operation = &self.paths()[template][method.to_ascii_lowercase()];
        let documented = &operation["responses"][reply.status.to_string()];
        let what = format!("{request}: {reply:?}");
        let kind = reply.header("content-type");
        let schema = &documented["content"][kind]["schema"];
        assert!(schema.is_object(), "{what}: not documented: {documented}");
        self.matches(schema, json, &what);
    }

    /// Checks that a value matches a schema, and has no property that the schema does not list.
    fn matches(&self, schema: &Value, value: &Value, what: &str) {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.0.pointer(reference.strip_prefix('#').unwrap());
            return self.matches(target.expect(reference), value, what);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.matches(part, value, what);
        }
        let known = [
            "type",
            "format",
            "properties",
            "required",
            "items",
            "enum",
            "description",
            "example",
            "minimum",
            "allOf",
        ];
        for keyword in schema.as_object().unwrap().keys() {
            assert!(known.contains(&keyword.as_str()), "{what}: cannot check {keyword}: {schema}");
        }
        let is = |kind: &str| match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "boolean" => value.is_boolean(),
            other => panic!("{what}: unknown type {other}"),
        };
        if let Some(kind) = schema["type"].as_str() {
            assert!(is(kind), "{what}: not of type {kind}: {value}");
        } else {
            assert!(schema["allOf"].is_array(), "{what}: no type: {schema}");
        }
        match schema["format"].as_str() {
            Some("uuid") => {
                assert!(uuid::Uuid::try_parse(value.as_str().unwrap()).is_ok(), "{what}")
            }
            Some("date-time") => {
                let text = value.as_str().unwrap();
                let form: String =
                    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
                assert_eq!(form, "0000-00-00T00:00:00Z", "{what}");
            }
            Some("int32" | "int64" | "password") | None => {}
            Some(format) => panic!("{what}: unknown format {format}"),
        }
        if let Some(values) = schema["enum"].as_array() {
            assert!(values.contains(value), "{what}: {value} is none of {values:?}");
        }
        for element in value.as_array().into_iter().flatten() {
            self.matches(&schema["items"], element, what);
        }
        let Some(object) = value.as_object() else { return };
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().unwrap();
            assert!(object.contains_key(name), "{what}: {name} is missing: {value}");
        }
        for (name, value) in object {
            let property = &schema["properties"][name];
            assert!(property.is_object(), "{what}: {name} is not documented");
            self.matches(property, value, what);
        }
    }
}
