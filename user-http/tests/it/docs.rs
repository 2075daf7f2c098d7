//! The documents say what the code does.

use std::path::Path;

use user_http::metrics::Metrics;
use user_proto::verifier::Status;

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

#[test]
fn the_table_of_modules_lists_every_module() {
    let architecture = read("ARCHITECTURE.md");
    let section = architecture.split("## Modules of user-http\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut listed: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    listed.sort_unstable();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut present: Vec<String> = std::fs::read_dir(source)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .filter(|name| name != "lib")
        .collect();
    present.sort_unstable();
    assert_eq!(listed, present);
}

#[test]
fn only_main_reads_the_environment_and_nothing_names_the_server() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(&source).unwrap().to_str().unwrap();
            assert!(!text.contains("std::env::") || name == "main.rs", "{name}");
            assert!(!text.contains("user_server"), "{name}: it is a client only");
        }
    }
}

#[test]
fn the_table_of_metrics_lists_every_metric() {
    let text = Metrics::default().text(&[], &Status::default(), 0);
    let mut exposed: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    exposed.sort_unstable();
    let document = read("docs/GATEWAYS.md");
    let section = document.split("## Metrics of user-http\n").nth(1).unwrap();
    let mut listed: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next())
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, exposed);
}

#[test]
fn the_alert_rules_name_metrics_that_exist() {
    let exposed = Metrics::default().text(&[], &Status::default(), 0);
    let rules = read("packaging/prometheus/alerts.yml");
    let names = rules.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    for name in names.filter(|name| name.starts_with("user_http_")) {
        let family = name.strip_suffix("_total").unwrap_or(name);
        assert!(exposed.contains(&format!("# TYPE {family} ")), "{name}");
    }
}
