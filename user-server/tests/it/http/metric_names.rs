//! The dashboard and docs/OPERATIONS.md name exactly the metrics that the service exposes, and the
//! alert rules name no others and pass their tests.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{metrics, with_monitor_and};
use crate::support::{Authority, left_out};

const ALERTS: &str = include_str!("../../../../packaging/prometheus/alerts.yml");
const DASHBOARD: &str = include_str!("../../../../docs/grafana.json");
const OPERATIONS: &str = include_str!("../../../../docs/OPERATIONS.md");

/// Returns the names of the service's metrics in a text.
fn metric_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let names =
        words.filter(|word| word.starts_with("user_server_") || word.starts_with("process_"));
    names.map(str::to_owned).collect()
}

/// Collects the values of every `key` anywhere in a JSON value.
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
async fn dashboard_and_operations_guide_name_the_exposed_metrics() {
    // With a certificate, because some metrics exist only with TLS.
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = Authority::new().certify().settings(folder.path());
    let (server, address) =
        with_monitor_and(&[(certificate.0, &certificate.1), (key.0, &key.1)]).await;
    let scraped = metrics(address).await;
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = Vec::new();
    values(&dashboard, "expr", &mut queries);
    let shown: BTreeSet<String> =
        queries.iter().flat_map(|query| metric_names(query.as_str().unwrap())).collect();
    let names: BTreeSet<String> = scraped.names().into_iter().collect();
    let missing: Vec<_> = shown.difference(&names).collect();
    assert!(missing.is_empty(), "the dashboard queries unknown metrics: {missing:?}");
    let of_family = |family: &str, shown: &BTreeSet<String>| {
        ["", "_total", "_bucket", "_count"]
            .iter()
            .any(|suffix| shown.contains(&format!("{family}{suffix}")))
    };
    for family in scraped.families.keys() {
        assert!(of_family(family, &shown), "no panel shows {family}");
        assert!(
            of_family(family, &metric_names(OPERATIONS)),
            "docs/OPERATIONS.md does not name {family}"
        );
    }
    for name in metric_names(OPERATIONS) {
        assert!(
            names.contains(&name) || scraped.families.contains_key(&name),
            "docs/OPERATIONS.md names {name}, which does not exist"
        );
    }

    for name in metric_names(ALERTS) {
        assert!(names.contains(&name), "alerts.yml names {name}, which does not exist");
    }

    let mut sources = Vec::new();
    values(&dashboard, "datasource", &mut sources);
    assert!(!sources.is_empty());
    for source in sources {
        assert_eq!(source["uid"], "${datasource}", "the data source is selected on import");
    }
    server.stop().await;
}

#[test]
fn the_alert_rules_pass_their_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/prometheus");
    let tests = std::fs::read_to_string(folder.join("alerts_test.yml")).unwrap();
    let rules = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    for rule in rules {
        for case in ["fires", "stays quiet"] {
            assert!(tests.contains(&format!("\"{rule} {case}\"")), "no test that {rule} {case}");
        }
    }
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let Ok(run) = Command::new("promtool").args(arguments).current_dir(&folder).output() else {
            return left_out("the tests of the alert rules (promtool is missing)");
        };
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
}
