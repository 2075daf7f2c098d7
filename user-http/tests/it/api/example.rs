//! The page docs/HTTP.md: its commands work as printed, and its table of routes is complete.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::api::{Api, string};
use crate::service::LiveService;

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/HTTP.md");
    std::fs::read_to_string(path).unwrap()
}

/// Returns the names of the fields of a reply. The page shortens their values.
fn fields(json: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let object = value.as_object().unwrap();
    object.keys().cloned().collect()
}

#[test]
fn the_commands_of_the_page_work_as_printed() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("left out: the commands of docs/HTTP.md (curl is missing)");
        return;
    }
    let service = LiveService::start();
    let api = Api::start(&service.address);
    let page = page();
    let mut lines = page.lines();
    let mut variables = BTreeMap::new();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("    $ ") else { continue };
        let printed = lines.next().unwrap().trim();
        if command.contains("$CODE") {
            variables.insert("CODE", service.emailed("kim@example.com", 6));
        }
        let address = api.program.address.to_string();
        let command = command.replace("127.0.0.1:3080", &address).replacen("curl", "curl -sS", 1);
        let output = Command::new("sh").args(["-c", &command]).envs(&variables).output().unwrap();
        let reply = String::from_utf8(output.stdout).unwrap();
        assert_eq!(fields(&reply), fields(printed), "{command}: {reply}");
        let json: Value = serde_json::from_str(&reply).unwrap();
        for (variable, field) in
            [("ID", "verification_id"), ("ACCESS", "access_token"), ("REFRESH", "refresh_token")]
        {
            if json[field].is_string() {
                variables.insert(variable, string(&json, field).to_owned());
            }
        }
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn the_table_of_routes_is_that_of_the_document() {
    let api = Api::start("127.0.0.1:1");
    let mut documented = BTreeSet::new();
    for (path, methods) in api.document.paths() {
        for (method, operation) in methods.as_object().unwrap() {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let success: Vec<_> = statuses.filter(|status| status.starts_with('2')).collect();
            assert_eq!(success.len(), 1, "{method} {path}");
            let token = if operation["security"].is_array() { "yes" } else { "" };
            let method = method.to_ascii_uppercase();
            documented.insert(format!("{method} {path} | {token} | {}", success[0]));
        }
    }
    let page = page();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let listed: BTreeSet<String> = rows
        .map(|row| row.split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells.len() == 4 && cells[0].contains(" /"))
        .map(|cells| format!("{} | {} | {}", cells[0], cells[1], cells[3]))
        .collect();
    assert_eq!(listed, documented);
}
