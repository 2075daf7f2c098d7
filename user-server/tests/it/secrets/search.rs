//! Secrets, and the forms in which one may appear: unchanged, escaped, encoded, reversed, or as a
//! list of numbers.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

/// Secrets used in a run.
#[derive(Default, Clone)]
pub struct Secrets {
    all: Vec<Secret>,
}

#[derive(Clone)]
struct Secret {
    label: String,
    text: String,
    /// Set for a secret of a user. A node holds its own keys as long as it runs.
    of_user: bool,
}

/// Returns whether a text is so short that it may occur by chance. It counts only as a whole field.
fn is_short(text: &str) -> bool {
    text.len() <= 6
}

impl Secrets {
    /// Creates a secret of an operator with `length` characters.
    pub fn make(&mut self, label: &str, length: usize) -> String {
        let text: String = (0..2).map(|_| Uuid::new_v4().simple().to_string()).collect();
        self.add(label, &text[..length], false)
    }

    /// Creates a password that every kind of escaping changes, and that differs from its NFC form.
    pub fn password(&mut self, label: &str) -> String {
        let text = format!("tide-{} \"rises\\\u{a0}cafe\u{301}", Uuid::new_v4().simple());
        // A long prefix identifies it, in any form.
        self.add(label, &text[..24], true);
        self.add(label, &text, true)
    }

    /// Adds a secret of an operator.
    pub fn add_own(&mut self, label: &str, text: &str) {
        self.add(label, text, false);
    }

    /// Adds a code or a token.
    pub fn add_of_user(&mut self, label: &str, text: &str) {
        self.add(label, text, true);
        // The end of a token identifies it, and a code may be written without its dash.
        if text.len() > 64 {
            self.add(label, &text[text.len() - 40..], true);
        }
        if text.contains('-') && text.len() < 16 {
            self.add(label, &text.replace('-', ""), true);
        }
    }

    fn add(&mut self, label: &str, text: &str, of_user: bool) -> String {
        self.all.push(Secret { label: label.to_owned(), text: text.to_owned(), of_user });
        text.to_owned()
    }

    /// Returns only the secrets of users.
    pub fn of_users(&self) -> Self {
        Self { all: self.all.iter().filter(|secret| secret.of_user).cloned().collect() }
    }

    /// Returns which secrets occur in `bytes`, with their form and the number of occurrences. Short
    /// ones are searched for only if `text` is set.
    pub fn found_in(&self, bytes: &[u8], text: bool) -> Vec<String> {
        let (mut needles, mut names) = (Vec::new(), Vec::new());
        for secret in self.all.iter().filter(|secret| !is_short(&secret.text)) {
            for (form, needle) in forms(&secret.text) {
                needles.push(needle);
                names.push(format!("{} ({form})", secret.label));
            }
        }
        let mut counts = vec![0; names.len()];
        let automaton =
            AhoCorasick::builder().match_kind(MatchKind::Standard).build(&needles).unwrap();
        for found in automaton.find_overlapping_iter(bytes) {
            counts[found.pattern().as_usize()] += 1;
        }
        let mut found: Vec<String> = names
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{count} x {name}"))
            .collect();
        let short = self.all.iter().filter(|secret| text && is_short(&secret.text));
        found.extend(
            short.filter(|secret| is_field(&secret.text, bytes)).map(|secret| secret.label.clone()),
        );
        found
    }
}

/// Returns whether the same search finds a text that is not secret.
pub fn finds(text: &str, bytes: &[u8]) -> bool {
    let mut secrets = Secrets::default();
    secrets.add(text, text, true);
    !secrets.found_in(bytes, true).is_empty()
}

/// Returns whether a text occurs in `bytes` as a field: not as a part of a word, nor as the
/// fraction of a number.
fn is_field(text: &str, bytes: &[u8]) -> bool {
    let all = String::from_utf8_lossy(bytes);
    all.match_indices(text).any(|(position, _)| {
        let before = all[..position].chars().next_back();
        let mut after = all[position + text.len()..].chars();
        let (next, digit) = (after.next(), after.next().is_some_and(|c| c.is_ascii_digit()));
        !before.is_some_and(|c| c.is_alphanumeric() || c == '.')
            && !next.is_some_and(|c| c.is_alphanumeric() || (c == '.' && digit))
    })
}

fn forms(text: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = text.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{bytes:?}");
    let json = serde_json::to_string(text).unwrap();
    let debug = format!("{text:?}");
    let mut forms: Vec<(String, Vec<u8>)> = [
        ("unchanged", text.to_owned()),
        ("in NFC", text.nfc().collect()),
        ("reversed", text.chars().rev().collect()),
        ("in JSON", json[1..json.len() - 1].to_owned()),
        ("in Debug", debug[1..debug.len() - 1].to_owned()),
        ("in hex", hex.clone()),
        ("in upper hex", hex.to_uppercase()),
        ("as numbers", list[1..list.len() - 1].to_owned()),
    ]
    .map(|(form, text)| (form.to_owned(), text.into_bytes()))
    .into();
    // At each of three offsets within encoded data, without the characters that depend on
    // neighbouring bytes.
    for (skip, shared) in [(0, 0), (1, 2), (2, 3)] {
        let padded = [vec![0; skip], bytes.to_vec()].concat();
        let end = usize::from(padded.len() % 3 != 0);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&padded);
            forms.push((
                format!("in base64 at {skip}"),
                encoded.as_bytes()[shared..encoded.len() - end].to_vec(),
            ));
        }
    }
    forms.sort_by(|a, b| a.1.cmp(&b.1));
    forms.dedup_by(|a, b| a.1 == b.1);
    forms
}

#[test]
fn a_planted_secret_is_found_in_every_form() {
    let mut secrets = Secrets::default();
    let password = secrets.password("planted");
    let mut plain = vec![b'x'; 50_000];
    assert_eq!(secrets.found_in(&plain, true), Vec::<String>::new());
    for (form, needle) in forms(&password) {
        plain.splice(777..777, needle);
        assert!(!secrets.found_in(&plain, false).is_empty(), "{form}");
        plain = vec![b'x'; 50_000];
    }
    for around in ["", "a", "ab"] {
        let encoded = STANDARD_NO_PAD.encode(format!("{around}{password}zz"));
        assert!(!secrets.found_in(encoded.as_bytes(), false).is_empty(), "{encoded}");
    }
}

#[test]
fn a_code_counts_only_as_a_whole_field() {
    for text in ["code=123456", "\"code\":\"123456\"", "is 123456.", "a\t123456\tb", "123456"] {
        assert!(is_field("123456", text.as_bytes()), "{text}");
    }
    for text in ["12:00:01.123456Z", "1234567", "0123456", "a123456", "123456.75"] {
        assert!(!is_field("123456", text.as_bytes()), "{text}");
    }
}
