//! Rules of the language. Words that were invented for this project, or that are not English, stay
//! out of code, help texts and documents, and no line of prose is longer than 100 columns.

use std::path::{Path, PathBuf};

use crate::module_rules::rust_files;

/// Retired words, as they are written between other letters, and what to write instead.
const RETIRED: &[(&str, &str)] = &[
    ("mend", "hint"),
    ("mends", "hints"),
    ("lane", "hash pool"),
    ("lanes", "hash pools, parallelism"),
    ("bell", "wakeup"),
    ("bells", "wakeups"),
    ("rung", "notified"),
    ("woken", "notified"),
    ("witness", "audit log"),
    ("farewell", "close reason"),
    ("tally", "counters"),
    ("patience", "timeout"),
    ("rooms", "modules"),
    ("whose", "the user, owner or subject; or `of`, `with`"),
    ("parted by", "separated by"),
    ("can not", "cannot"),
    ("e-mail", "email"),
    ("e-mails", "emails"),
    ("fast way", "fast verifier"),
    ("slow way", "reference verifier"),
    ("grant_again", "reissue"),
];

/// Method of the library argon2-rust that sets the parallelism of a hash.
const METHOD: &str = ".lanes(";

/// The longest line of a comment or a paragraph.
const MAX_COLUMNS: usize = 100;

#[test]
fn retired_words_stay_out_of_code_texts_and_documents() {
    let mut found = Vec::new();
    for path in texts() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase().replace(METHOD, "");
            for (word, instead) in RETIRED {
                if contains_word(&line, word) {
                    let place = format!("{}:{}", path.display(), number + 1);
                    found.push(format!("{place}: write `{instead}` instead of `{word}`"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_line_of_prose_is_longer_than_the_limit() {
    let mut found = Vec::new();
    for path in texts() {
        let text = std::fs::read_to_string(&path).unwrap();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let is_markdown = path.extension().is_some_and(|extension| extension == "md");
        let mut in_block = false;
        for (number, line) in text.lines().enumerate() {
            in_block ^= line.trim_start().starts_with("```");
            let prose = match (is_rust, is_markdown) {
                (true, _) => line.trim_start().starts_with("//"),
                // Tables, code, links and comments cannot be wrapped.
                (_, true) => {
                    !in_block && !line.starts_with(['|', ' ', '<']) && !line.contains("](")
                }
                _ => false,
            };
            if prose && line.chars().count() > MAX_COLUMNS {
                found.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "longer than {MAX_COLUMNS} columns:\n{}", found.join("\n"));
}

#[test]
fn a_retired_word_is_recognised_only_as_a_whole_word() {
    assert!(contains_word("a `mend` here", "mend") && contains_word("let mend = 1;", "mend"));
    assert!(contains_word("the_bell_rings", "bell") && contains_word("can not", "can not"));
    assert!(!contains_word("amend, recommend", "mend") && !contains_word("planes", "lane"));
}

/// Every text of the repository that people write: code, scripts and documents.
fn texts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut texts = Vec::new();
    for folder in [
        "user-proto/src",
        "user-proto/tests",
        "user-proto/benches",
        "user-server/src",
        "user-server/tests",
        "user-server/benches",
        "user-cli/src",
        "user-cli/tests",
        "user-http/src",
        "user-http/tests",
        "fuzz/src",
        "fuzz/fuzz_targets",
        "bench/tonic/src",
    ] {
        texts.extend(rust_files(&root.join(folder)));
    }
    for file in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/BENCHMARKS.md",
        "docs/benchmarks/TABLES.md",
        "docs/COMPARISON.md",
        "docs/CONFIGURATION.md",
        "docs/CONFORMANCE.md",
        "docs/FAULTS.md",
        "docs/GATEWAYS.md",
        "docs/GUARANTEES.md",
        "docs/INSTALL.md",
        "docs/MUTANTS.md",
        "docs/OPERATIONS.md",
        "docs/README.md",
        "docs/TOUR.md",
        "docs/TROUBLESHOOTING.md",
        "docs/UPGRADING.md",
        "docs/grafana.json",
        "examples/nginx/README.md",
        "examples/nginx/nginx.conf",
        "examples/caddy/README.md",
        "examples/caddy/Caddyfile",
        "examples/haproxy/README.md",
        "examples/haproxy/haproxy.cfg",
        "examples/haproxy/auth.lua",
        "examples/traefik/README.md",
        "examples/envoy/README.md",
        "fuzz/README.md",
        "user-proto/PROTOCOL.md",
        "user-proto/wireshark/user_service.lua",
        "user-server/tests/gateway/gateway.py",
        "test.sh",
        "release.sh",
        ".ci/run",
        "bench/run",
        "bench/gateways",
        "Cargo.toml",
        "deny.toml",
    ] {
        texts.push(root.join(file));
    }
    // This file has to name the words.
    texts.retain(|path| !path.ends_with("wording.rs"));
    texts
}

/// Reports whether a text contains a word, between characters that are no letters or digits. Parts
/// of an identifier count as words.
fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}
