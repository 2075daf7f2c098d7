//! Reads the cases from `behaviour.json`, and selects some of them.

use serde_json::{Value, json};

use super::cases::Case;

/// The cases that this program contains.
const BEHAVIOUR: &str = include_str!("../../../user-proto/vectors/behaviour.json");
/// Tokens for the cases of the verifier.
const TOKENS: &str = include_str!("../../../user-proto/vectors/tokens.json");

/// Returns all cases, in the order of the file.
///
/// # Errors
/// If the file does not have its format.
pub(crate) fn load() -> Result<Vec<Case>, String> {
    let mut cases: Value = serde_json::from_str(BEHAVIOUR).map_err(|error| error.to_string())?;
    let tokens: Value = serde_json::from_str(TOKENS).map_err(|error| error.to_string())?;
    fill_in(&mut cases, &tokens);
    let version = cases.get("version").and_then(Value::as_u64);
    if version != Some(1) {
        return Err(format!("version {version:?} of behaviour.json is not 1"));
    }
    let each = cases.get_mut("cases").and_then(Value::as_array_mut);
    let each = std::mem::take(each.ok_or("behaviour.json has no cases")?);
    let parse = |case: Value| {
        let id = case.get("id").cloned().unwrap_or_default();
        serde_json::from_value(case).map_err(|error| format!("case {id}: {error}"))
    };
    each.into_iter().map(parse).collect()
}

/// Replaces `$jwks`, `$jwks:ALG`, `$now_ms` and `$token:NAME` by the values of `tokens`.
fn fill_in(value: &mut Value, tokens: &Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| fill_in(value, tokens)),
        Value::Object(object) => object.values_mut().for_each(|value| fill_in(value, tokens)),
        Value::String(text) => {
            if let Some(filled) = text.strip_prefix('$').and_then(|name| constant(name, tokens)) {
                *value = filled;
            }
        }
        _ => {}
    }
}

fn constant(name: &str, tokens: &Value) -> Option<Value> {
    match name {
        "jwks" => Some(tokens.get("jwks")?.to_string().into()),
        "now_ms" => Some((tokens.get("now")?.as_u64()? * 1000).into()),
        _ => {
            let of = |value: &&Value, key: &str, wanted: &str| {
                value.get(key).and_then(Value::as_str) == Some(wanted)
            };
            if let Some(alg) = name.strip_prefix("jwks:") {
                let keys = tokens.get("jwks")?.get("keys")?.as_array()?;
                let key = keys.iter().find(|key| of(key, "alg", alg))?;
                return Some(json!({ "keys": [key] }).to_string().into());
            }
            let name = name.strip_prefix("token:")?;
            let vectors = tokens.get("vectors")?.as_array()?;
            vectors.iter().find(|token| of(token, "name", name))?.get("token").cloned()
        }
    }
}

/// Returns the cases with these ids, or with ids that begin with one of these groups.
///
/// # Errors
/// The first text that selects nothing.
pub(crate) fn select(all: Vec<Case>, wanted: &[String]) -> Result<Vec<Case>, String> {
    let selects = |wanted: &String, case: &Case| {
        let rest = case.id.strip_prefix(wanted.trim_end_matches(['.', '*']));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if let Some(nothing) = wanted.iter().find(|id| !all.iter().any(|case| selects(id, case))) {
        return Err(nothing.clone());
    }
    let is_wanted =
        |case: &Case| wanted.is_empty() || wanted.iter().any(|wanted| selects(wanted, case));
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// Returns the ids of cases that resemble `wanted`: of its group, or with one of its words.
pub(crate) fn similar(all: &[Case], wanted: &str) -> Vec<String> {
    let words: Vec<&str> = wanted.split(['.', '_', '-']).filter(|word| word.len() > 2).collect();
    let resembles = |case: &&Case| words.iter().any(|word| case.id.contains(word));
    all.iter().filter(resembles).map(|case| case.id.clone()).take(8).collect()
}
