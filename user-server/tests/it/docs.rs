//! What the documents say of the code is so.

use user_server::config::VARIABLES;
use user_server::domain::AuditKind;
use user_server::throttle::Budget;

use crate::document::{read, rows_under, words};

#[test]
fn the_secrets_that_may_come_from_files_are_named() {
    let document = read("docs/CONFIGURATION.md");
    let named =
        document.split("A secret (").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
    let secrets: Vec<&str> =
        VARIABLES.iter().filter(|variable| variable.secret).map(|variable| variable.name).collect();
    assert_eq!(words(named), secrets);
}

#[test]
fn the_example_for_gateways_is_one_that_is_compiled() {
    let (document, client) = (read("docs/GATEWAYS.md"), read("user-proto/src/client.rs"));
    let example =
        document.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for line in example.lines().filter(|line| !line.is_empty()) {
        assert!(
            client.contains(&format!("//! {line}\n")),
            "not in the documentation of the client: {line}"
        );
    }
}

#[test]
fn every_promise_names_a_test_that_there_is() {
    let own = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("--list")
        .output()
        .unwrap();
    let tests = String::from_utf8(own.stdout).unwrap();
    let promises = rows_under(&read("SECURITY.md"), "## Security guarantees");
    assert!(promises.len() > 20);
    for promise in promises {
        let shown_by = words(&promise[2]);
        assert!(!shown_by.is_empty(), "{}", promise[0]);
        for name in shown_by.iter().filter(|name| !name.contains(' ')) {
            assert!(tests.contains(name.as_str()), "{}: no test is named {name}", promise[0]);
        }
    }
}

#[test]
fn the_promises_of_the_readme_name_tests_that_there_are() {
    let own = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("--list")
        .output()
        .unwrap();
    let tests = String::from_utf8(own.stdout).unwrap();
    let readme = read("README.md");
    let commands: Vec<&str> =
        readme.split("`cargo test -p user-server --test it -- ").skip(1).collect();
    assert_eq!(commands.len(), 3);
    for command in commands {
        let name = command.split('`').next().unwrap();
        assert!(tests.contains(name), "no test is named {name}");
    }
}

/// The guide quotes log lines as they are in the code.
#[test]
fn the_log_lines_of_the_troubleshooting_guide_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    for program in ["user-server", "user-http"] {
        for file in crate::module_rules::rust_files(&root.join(program).join("src")) {
            code += &std::fs::read_to_string(file).unwrap();
        }
    }
    let guide = read("docs/TROUBLESHOOTING.md");
    let cells = guide.lines().filter(|line| line.starts_with("| ")).filter_map(|line| {
        let cells: Vec<&str> = line.split('|').collect();
        (cells.len() == 5).then(|| cells[2].to_owned())
    });
    let lines: Vec<String> = cells
        .flat_map(|cell| words(&cell))
        .filter(|quoted| quoted.matches(' ').count() > 2)
        .collect();
    assert!(lines.len() > 10, "{lines:?}");
    for line in lines {
        assert!(code.contains(&line), "no program logs {line:?}");
    }
}

#[test]
fn the_files_of_a_message_are_those_that_name_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let listed: std::collections::BTreeSet<String> =
        rows_under(&read("CONTRIBUTING.md"), "### A message")
            .iter()
            .flat_map(|row| words(&row[0]))
            .collect();
    let mut naming = std::collections::BTreeSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                if !["target", "node_modules"].contains(&name) && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if matches!(extension, Some("rs" | "py" | "md")) {
                let text = std::fs::read_to_string(&path).unwrap();
                if text.contains("ListSessions") || text.contains("list_sessions") {
                    naming.insert(path.strip_prefix(&root).unwrap().display().to_string());
                }
            }
        }
    }
    // The list itself, this test, the history, the methods of the clients, and a test of any long
    // reply.
    let unread = "user-server/tests/it/watch/unread.rs";
    for file in ["CONTRIBUTING.md", "user-server/tests/it/docs.rs", "CHANGELOG.md", unread] {
        naming.remove(file);
    }
    naming.retain(|file| !(file.starts_with("clients/") && file.ends_with("README.md")));
    assert_eq!(listed, naming);
}

#[test]
fn links_lead_to_files_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut documents: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
            .map(str::to_owned)
            .into();
    for file in std::fs::read_dir(root.join("docs")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            documents.push(format!("docs/{name}"));
        }
    }
    for document in documents {
        let text = read(&document);
        let folder = root.join(&document).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root.join(&document) } else { folder.join(file) };
            assert!(target.exists(), "{document}: {link}");
            if target.extension().is_some_and(|extension| extension == "md") && !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                assert!(anchors(&text).contains(&anchor.to_owned()), "{document}: {link}");
            }
        }
    }
}

/// The tables of a database's migrations.
fn tables(database: &str) -> std::collections::BTreeSet<String> {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(database);
    let mut tables = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let made =
            text.split("CREATE TABLE ").skip(1).filter_map(|rest| rest.split_whitespace().next());
        tables.extend(made.map(|name| name.trim_matches('(').to_owned()));
    }
    tables
}

#[test]
fn every_table_has_a_retention_that_is_told() {
    let told = rows_under(&read("docs/OPERATIONS.md"), "## Retention");
    let told: std::collections::BTreeSet<String> =
        told.iter().flat_map(|row| words(&row[0])).collect();
    for database in ["sqlite", "postgres"] {
        assert_eq!(told, tables(database), "{database}");
    }
}

#[test]
fn every_kind_of_the_audit_is_told() {
    let told = rows_under(&read("docs/OPERATIONS.md"), "## Audit log");
    let told: Vec<String> = told.iter().flat_map(|row| words(&row[0])).collect();
    let mut kinds: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.name()).collect();
    kinds.sort_by_key(|kind| told.iter().position(|name| name == kind));
    assert_eq!(told, kinds);
}

/// The anchors of a document's headings, as they are made where it is shown.
fn anchors(text: &str) -> Vec<String> {
    let headings = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let kept = heading.to_lowercase();
            kept.chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .collect::<String>()
        })
        .map(|heading| heading.replace(' ', "-"))
        .collect()
}

#[test]
fn the_table_of_budgets_matches_the_code() {
    let table = rows_under(&read("SECURITY.md"), "### Budgets");
    for budget in Budget::ALL {
        let limit = budget.limit();
        let window = if limit.window.as_secs() == 3600 { "an hour" } else { "a day" };
        let row = table.iter().find(|row| words(&row[0]) == [budget.name()]);
        let row = row.unwrap_or_else(|| panic!("{} is missing", budget.name()));
        let expected = format!("{} {window}", limit.uses);
        assert!(row[3].starts_with(&expected), "{}: {expected}", budget.name());
    }
    let listed: std::collections::BTreeSet<&str> =
        table.iter().flat_map(|row| row[1].split(' ')).collect();
    let unlimited =
        ["VerifyToken", "GetUser", "ListSessions", "GetKeys", "WatchRevocations", "Ping"];
    for (_, name) in user_proto::Request::ALL {
        assert_ne!(
            listed.contains(name),
            unlimited.contains(name),
            "{name} can write and has no budget, or has one and is listed as unlimited"
        );
    }
}
