//! The protocol's test vectors, read from their files.

use serde_json::Value;

/// Reads `valid.json` or `invalid.json`.
pub fn vector_file(name: &str) -> Value {
    let path = format!("{}/../user-proto/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns the bytes of a vector.
pub fn vector_bytes(vector: &Value) -> Vec<u8> {
    let digits = vector["hex"].as_str().unwrap().as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
