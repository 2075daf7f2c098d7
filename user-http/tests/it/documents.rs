//! Every command in a document is run and what it prints is compared with the document, unless a
//! comment before it names the test that runs it, or the reason why none does.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

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

/// A shell in a folder of its own, with the programs of this build and ports that are free.
struct Shell {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
    /// Number of commands that do not end.
    background: u32,
    /// What the document says, and what it is here: addresses, ids and codes.
    replaced: Vec<(String, String)>,
}

impl Shell {
    /// Starts a shell. Returns `None` if a program that it needs is missing.
    fn start() -> Option<Self> {
        let programs = Path::new(env!("CARGO_BIN_EXE_user-http")).parent().unwrap();
        let path = format!("{}:{}:/usr/sbin", programs.display(), std::env::var("PATH").unwrap());
        for name in ["user-server", "user-cli", "nginx", "curl", "python3"] {
            if !std::env::split_paths(&path).any(|folder| folder.join(name).exists()) {
                let line = format!("left out: commands of the documents ({name} is missing)\n");
                std::io::stderr().write_all(line.as_bytes()).unwrap();
                return None;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let ports: Vec<(String, String)> = ["3001", "3080", "8080", "8081"]
            .iter()
            .map(|port| {
                let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
                (format!("127.0.0.1:{port}"), format!("127.0.0.1:{free}"))
            })
            .collect();
        let port = |at: usize| ports[at].1.rsplit(':').next().unwrap().to_owned();
        let copy = folder.path().join("examples/nginx");
        std::fs::create_dir_all(&copy).unwrap();
        for file in std::fs::read_dir(root().join("examples/nginx")).unwrap() {
            let file = file.unwrap();
            if !file.file_type().unwrap().is_file() {
                continue;
            }
            let mut text = std::fs::read_to_string(file.path()).unwrap();
            for (from, to) in &ports {
                text = text.replace(from, to);
            }
            text = text.replace("\"127.0.0.1\", 8081", &format!("\"127.0.0.1\", {}", port(3)));
            let target = copy.join(file.file_name());
            std::fs::write(&target, text).unwrap();
            std::fs::set_permissions(target, file.metadata().unwrap().permissions()).unwrap();
        }
        let mut process = Command::new("bash")
            .current_dir(folder.path())
            .env("PATH", path)
            .env("HOME", folder.path())
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env("DRAIN_DELAY", "0")
            .env("TCP_PORT", port(0))
            .env("HTTP_PORT", port(1))
            .env("SERVICE_ADDRS", &ports[0].1)
            .env("USER_CLI_ADDR", &ports[0].1)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut replaced = ports;
        replaced.push(("/tmp/user-service".into(), folder.path().display().to_string()));
        let mut shell = Self { process, input, output, folder, background: 0, replaced };
        // The programs are built already, and nobody types the password.
        shell.run(&format!(
            "exec 2>&1\n\
             cargo() {{ if [ \"$1\" = build ]; then return; fi; shift 3; command \"$@\"; }}\n\
             curl() {{ command curl -sS \"$@\"; }}\n\
             user-cli() {{ case $1 in register|login|update|delete)\n\
             echo '{PASSWORD}' | command user-cli \"$@\" --password-stdin;;\n\
             *) command user-cli \"$@\";; esac; }}"
        ));
        Some(shell)
    }

    /// Runs a command, and returns the lines that it prints.
    fn run(&mut self, command: &str) -> Vec<String> {
        let mut command = command.to_owned();
        for (from, to) in &self.replaced {
            command = command.replace(from, to);
        }
        writeln!(self.input, "{command}\necho; echo '<end>'").unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "{command}: the shell ended");
            match line.trim_end_matches(['\n', '\r']) {
                "<end>" => break,
                line => lines.push(line.to_owned()),
            }
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Runs a command. One that reads emails is run again until they have arrived.
    fn run_until(&mut self, command: &str, expected: &[String]) -> Vec<String> {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let start = Instant::now();
        loop {
            let printed = self.run(command);
            let lines: Vec<&str> = printed.iter().map(String::as_str).collect();
            let is_done = !command.starts_with("grep") || matches(&expected, &lines, &mut vec![]);
            if is_done || start.elapsed() > Duration::from_secs(10) {
                return printed;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs a command that does not end, and returns its first lines.
    fn run_in_background(&mut self, command: &str, lines: usize) -> Vec<String> {
        self.background += 1;
        let file = self.folder.path().join(format!("background.{}.log", self.background));
        self.run(&format!("{command} > {} 2>&1 < /dev/null &\njobs=\"$jobs $!\"", file.display()));
        let start = Instant::now();
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if text.lines().count() >= lines {
                return text.lines().take(lines).map(str::to_owned).collect();
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{command}: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sets `$CODE` to the code of the newest email.
    fn read_code(&mut self) {
        self.run(
            "for _ in $(seq 100); do\n\
             CODE=$(cat user-data/mails/*.eml 2>/dev/null | grep -m 1 '^    ' | tr -cd 0-9)\n\
             [ -z \"$CODE\" ] || break; sleep 0.1; done",
        );
    }

    /// Sets the variables that docs/HTTP.md names from a reply.
    fn set_variables(&mut self, printed: &[String]) {
        let Some(line) = printed.last().filter(|line| line.starts_with('{')) else { return };
        let reply: serde_json::Value = serde_json::from_str(line).unwrap();
        let variables =
            [("ID", "verification_id"), ("ACCESS", "access_token"), ("REFRESH", "refresh_token")];
        for (variable, field) in variables {
            if let Some(value) = reply[field].as_str() {
                self.run(&format!("{variable}={value}"));
            }
        }
    }

    /// Compares what a command printed with the document, and remembers the ids and codes that
    /// stand for those in the document.
    fn compare(&mut self, place: &str, expected: &[String], printed: &[String]) {
        let expected: Vec<String> = expected.iter().map(|line| self.replace(line)).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let printed: Vec<&str> = printed.iter().map(String::as_str).collect();
        let mut pairs = Vec::new();
        assert!(
            matches(&expected, &printed, &mut pairs),
            "{place}: the document has\n{}\nbut the command printed\n{}",
            expected.join("\n"),
            printed.join("\n")
        );
        self.replaced.extend(pairs);
    }

    fn replace(&self, line: &str) -> String {
        self.replaced
            .iter()
            .filter(|(from, _)| from.contains(['/', ':']))
            .fold(line.to_owned(), |line, (from, to)| line.replace(from, to))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = writeln!(self.input, "examples/nginx/stop; kill $jobs; exit");
        let _ = self.process.wait();
    }
}

/// Reports whether printed lines are those of a document. A line `...` stands for any lines.
/// Collects the ids and codes of the document with those that were printed in their place.
fn matches(expected: &[&str], printed: &[&str], pairs: &mut Vec<(String, String)>) -> bool {
    match (expected, printed) {
        ([], []) => true,
        (["...", rest @ ..], _) => (0..=printed.len()).any(|skipped| {
            let known = pairs.len();
            let found = matches(rest, &printed[skipped..], pairs);
            if !found {
                pairs.truncate(known);
            }
            found
        }),
        ([first, rest @ ..], [line, others @ ..]) if is_match(first, line) => {
            let words = first.split_whitespace().zip(line.split_whitespace());
            let own = words.filter(|(word, _)| is_drawn(word));
            pairs.extend(own.map(|(from, to)| (from.to_owned(), to.to_owned())));
            matches(rest, others, pairs)
        }
        _ => false,
    }
}

/// Reports whether a printed line is that of the document, in which `…` stands for any text.
fn is_match(expected: &str, printed: &str) -> bool {
    let (expected, printed) = (pattern(expected), pattern(printed));
    let parts: Vec<&str> = expected.split('…').collect();
    let Some(mut rest) = printed.strip_prefix(parts[0]) else { return false };
    if let [_, between @ .., last] = parts.as_slice() {
        for part in between {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        return rest.ends_with(last);
    }
    rest.is_empty()
}

/// Returns a line without spacing, ids, codes and times.
fn pattern(line: &str) -> String {
    let words: Vec<&str> = line
        .split_whitespace()
        .map(|word| match word {
            _ if is_drawn(word) => "<drawn>",
            _ if is_time(word) => "<time>",
            _ => word,
        })
        .collect();
    let text = words.join(" ");
    // The age of a time depends on the speed of this machine.
    text.split("<time> (").enumerate().fold(String::new(), |text, (at, part)| {
        let rest = if at == 0 { part } else { part.split_once(')').map_or("", |(_, rest)| rest) };
        text + if at == 0 { "" } else { "<time>" } + rest
    })
}

fn is_drawn(word: &str) -> bool {
    let is_id = word.len() == 36 && word.split('-').count() == 5;
    is_id || (word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_time(word: &str) -> bool {
    word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T'
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
