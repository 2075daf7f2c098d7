//! What the dashboard and the handbook name is what the service tells, and the other way round.

use std::collections::BTreeSet;

use super::{metrics, watched_with};
use crate::support::Authority;

const DASHBOARD: &str = include_str!("../../../../docs/grafana.json");
const HANDBOOK: &str = include_str!("../../../../docs/OPERATIONS.md");

/// Every word of a text that is the name of a metric of ours.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let ours =
        words.filter(|word| word.starts_with("user_server_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

/// The values of every `key` anywhere in a JSON value.
fn values<'a>(json: &'a serde_json::Value, key: &str, found: &mut Vec<&'a serde_json::Value>) {
    match json {
        serde_json::Value::Object(fields) => {
            found.extend(fields.get(key));
            fields.values().for_each(|value| values(value, key, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| values(value, key, found)),
        _ => {}
    }
}

#[tokio::test]
async fn dashboard_and_handbook_name_what_there_is() {
    // With a certificate, since some of it is told of that alone.
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = Authority::new().certify().settings(folder.path());
    let (server, address) = watched_with(&[(certificate.0, &certificate.1), (key.0, &key.1)]).await;
    let told = metrics(address).await;
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = Vec::new();
    values(&dashboard, "expr", &mut queries);
    let shown: BTreeSet<String> =
        queries.iter().flat_map(|query| named(query.as_str().unwrap())).collect();
    let names: BTreeSet<String> = told.names().into_iter().collect();
    let missing: Vec<_> = shown.difference(&names).collect();
    assert!(missing.is_empty(), "the dashboard asks for what there is not: {missing:?}");
    let of_family = |family: &str, shown: &BTreeSet<String>| {
        ["", "_total", "_bucket", "_count"]
            .iter()
            .any(|suffix| shown.contains(&format!("{family}{suffix}")))
    };
    for family in told.families.keys() {
        assert!(of_family(family, &shown), "no panel shows {family}");
        assert!(of_family(family, &named(HANDBOOK)), "docs/OPERATIONS.md says nothing of {family}");
    }
    for name in named(HANDBOOK) {
        assert!(
            names.contains(&name) || told.families.contains_key(&name),
            "docs/OPERATIONS.md names {name}"
        );
    }

    let mut sources = Vec::new();
    values(&dashboard, "datasource", &mut sources);
    assert!(!sources.is_empty());
    for source in sources {
        assert_eq!(source["uid"], "${datasource}", "whoever imports it chooses where it reads");
    }
    server.stop().await;
}
