//! Every command in a document is run and what it prints is compared with the document, unless a
//! comment before it names the test that runs it, or the reason why none does.

mod output;
mod shell;

use std::path::{Path, PathBuf};

use shell::Shell;

/// Documents with commands that are run here.
const RUN: &[&str] = &["README.md", "docs/TOUR.md", "docs/GATEWAYS.md", "docs/HTTP.md"];
/// Password of the tour, which a user types at a prompt.
const PASSWORD: &str = "tides rise at nine";
/// Lines that prompt for it.
const PROMPTS: &[&str] = &["Password:", "Password again:", "Current password:"];

/// A block of code in a document.
struct Block {
    line: usize,
    /// Text of the comment before it.
    note: Option<String>,
    /// Language of a fenced block.
    language: Option<String>,
    lines: Vec<String>,
}

impl Block {
    /// Returns each command with the lines that it has to print.
    fn commands(&self) -> Vec<(String, Vec<String>)> {
        let mut commands: Vec<(String, Vec<String>)> = Vec::new();
        for line in &self.lines {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
                (None, Some((_, output))) if !PROMPTS.contains(&line.as_str()) => {
                    output.push(line.clone());
                }
                _ => {}
            }
        }
        commands
    }

    fn note_after(&self, prefix: &str) -> Option<&str> {
        self.note.as_deref()?.strip_prefix(prefix)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// Returns the blocks of a document, both indented and fenced.
fn blocks(text: &str) -> Vec<Block> {
    let lines: Vec<&str> = text.lines().collect();
    let mut blocks = Vec::new();
    let mut last_text = "";
    let mut at = 0;
    while at < lines.len() {
        let note = last_text.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        let note = note.map(str::to_owned);
        let begin = at;
        if let Some(language) = lines[at].strip_prefix("```") {
            at += 1;
            while !lines[at].starts_with("```") {
                at += 1;
            }
            let content = lines[begin + 1..at].iter().map(|line| (*line).to_owned()).collect();
            let language = Some(language.to_owned());
            blocks.push(Block { line: begin + 1, note, language, lines: content });
            last_text = "";
        } else if lines[at].starts_with("    ")
            && (at == 0 || lines[at - 1].is_empty() || note.is_some())
        {
            while at < lines.len() && (lines[at].is_empty() || lines[at].starts_with("    ")) {
                at += 1;
            }
            let content = lines[begin..at].iter().map(|line| line.get(4..).unwrap_or_default());
            let mut content: Vec<String> = content.map(str::to_owned).collect();
            while content.last().is_some_and(String::is_empty) {
                content.pop();
            }
            blocks.push(Block { line: begin + 1, note, language: None, lines: content });
            last_text = "";
            continue;
        } else if !lines[at].is_empty() {
            last_text = lines[at];
        }
        at += 1;
    }
    blocks
}

/// Runs the commands of a document in one shell, after commands that do not end.
fn run_document(name: &str, before: &[&str]) {
    let Some(mut shell) = Shell::start() else { return };
    for command in before {
        shell.run_in_background(command, 1);
    }
    let mut count = 0;
    for block in blocks(&read(name)) {
        if block.language.is_some()
            || block.note.as_deref().is_some_and(|note| note != IN_BACKGROUND)
        {
            continue;
        }
        for (command, expected) in block.commands() {
            let place = format!("{name}:{}: {command}", block.line);
            let end = expected.iter().rposition(|line| !line.is_empty()).map_or(0, |at| at + 1);
            if command.contains("$CODE") {
                shell.read_code();
            }
            let printed = if block.note.is_some() {
                shell.run_in_background(&command, end)
            } else {
                shell.run_until(&command, &expected[..end])
            };
            shell.compare(&place, &expected[..end], &printed);
            shell.set_variables(&printed);
            count += 1;
        }
    }
    assert!(count > 0, "{name}: no commands");
}

/// Comment before a command that does not end.
const IN_BACKGROUND: &str = "run in the background";

#[test]
fn the_commands_of_the_readme_print_what_it_says() {
    run_document("README.md", &[]);
}

/// A program that runs already, or another one on its port, is not taken for one that has started.
#[test]
fn the_example_of_nginx_starts_once_and_stops_what_it_started() {
    let Some(mut shell) = Shell::start() else { return };
    let mut run = |command: &str| shell.run(command).join("\n");
    assert!(run("examples/nginx/stop").contains("nothing that ./start has started is running"));
    let started = run("examples/nginx/start");
    assert!(started.starts_with("listening on "), "{started}");
    let again = run("examples/nginx/start; echo $?");
    assert!(again.contains("already running") && again.ends_with('1'), "{again}");
    assert_eq!(run("user-cli ping >/dev/null; echo $?"), "0");
    assert_eq!(run("examples/nginx/stop"), "");
    run("for _ in $(seq 100); do user-cli ping >/dev/null 2>&1 || break; sleep 0.1; done");
    assert_ne!(run("user-cli ping >/dev/null 2>&1; echo $?"), "0");
    // Another server has the port.
    run("DATA_DIR=other user-server >other.log 2>&1 </dev/null &");
    run("for _ in $(seq 100); do user-cli ping >/dev/null 2>&1 && break; sleep 0.1; done");
    let taken = run("examples/nginx/start; echo $?");
    assert!(taken.contains("user-server has ended") && taken.ends_with('1'), "{taken}");
    assert!(taken.contains("error: cannot listen on"), "{taken}");
    assert!(run("ls examples/nginx/run/*.pid").contains("No such file"));
    run("kill %?other");
}

#[test]
fn the_commands_of_the_tour_print_what_it_says() {
    run_document("docs/TOUR.md", &[]);
}

#[test]
fn user_http_starts_as_the_guide_to_gateways_says() {
    run_document("docs/GATEWAYS.md", &["user-server"]);
}

#[test]
fn the_requests_of_the_json_api_are_answered_as_its_guide_says() {
    run_document("docs/HTTP.md", &["user-server", "JSON_API=1 user-http"]);
}

/// Returns the documents of the repository for users and operators.
fn documents() -> Vec<String> {
    let mut names = vec!["README.md".to_owned()];
    for file in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    // Written by bench/run, with what it ran.
    names.retain(|name| name != "docs/BENCHMARKS.md");
    names.sort();
    names
}

#[test]
fn every_block_of_a_document_is_run_or_says_why_not() {
    let mut tests = String::new();
    for program in ["user-proto", "user-server", "user-cli", "user-http"] {
        let mut folders = vec![root().join(program).join("tests/it")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    tests += &std::fs::read_to_string(path).unwrap();
                }
            }
        }
    }
    let mut wrong = Vec::new();
    for name in documents() {
        for block in blocks(&read(&name)) {
            // Rust is compiled by another test.
            if block.language.as_deref() == Some("rust") {
                continue;
            }
            let place = format!("{name}:{}", block.line);
            let is_run = RUN.contains(&name.as_str()) && !block.commands().is_empty();
            match (&block.note, block.note_after("run by: ")) {
                (_, Some(test)) if !tests.contains(&format!("fn {test}(")) => {
                    wrong.push(format!("{place}: no test is named {test}"));
                }
                (_, Some(_)) => {}
                (Some(note), _) if note == IN_BACKGROUND => {}
                (Some(_), _) if block.note_after("not run: ").is_some() => {}
                (None, _) if is_run => {}
                _ => wrong.push(format!(
                    "{place}: neither run nor marked with `<!-- run by: TEST -->` or \
                     `<!-- not run: REASON -->`"
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readme_is_short() {
    let text = read("README.md");
    let prose = text.lines().filter(|line| !line.starts_with(['|', '#', ' ', '<']));
    let words = prose.flat_map(str::split_whitespace).count();
    assert!(words <= 500, "{words} words of prose; at most 500");
}
