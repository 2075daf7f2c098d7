//! Secrets, and the forms in which one may turn up: as it is, escaped, encoded, reversed, or listed
//! as numbers.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

/// The secrets that a run has used.
#[derive(Default, Clone)]
pub struct Secrets {
    all: Vec<Secret>,
}

#[derive(Clone)]
struct Secret {
    what: String,
    text: String,
    /// Whether it is a user's: a node needs its own keys as long as it runs.
    of_user: bool,
}

/// Six digits come up by chance, so only a whole field counts.
fn is_short(text: &str) -> bool {
    text.len() <= 6
}

impl Secrets {
    /// Makes a secret of an operator, of so many characters.
    pub fn make(&mut self, what: &str, length: usize) -> String {
        let text: String = (0..2).map(|_| Uuid::new_v4().simple().to_string()).collect();
        self.note(what, &text[..length], false)
    }

    /// Makes a password, which no escape leaves as it is, and which is another text in NFC.
    pub fn password(&mut self, what: &str) -> String {
        let text = format!("tide-{} \"rises\\\u{a0}cafe\u{301}", Uuid::new_v4().simple());
        // Most of it is enough to know it by, in any form.
        self.note(what, &text[..24], true);
        self.note(what, &text, true)
    }

    /// Takes note of a secret of an operator.
    pub fn note_own(&mut self, what: &str, text: &str) {
        self.note(what, text, false);
    }

    /// Takes note of a code or a token.
    pub fn note_users(&mut self, what: &str, text: &str) {
        self.note(what, text, true);
        // What makes a token good is its end, and a code is written without its dash too.
        if text.len() > 64 {
            self.note(what, &text[text.len() - 40..], true);
        }
        if text.contains('-') && text.len() < 16 {
            self.note(what, &text.replace('-', ""), true);
        }
    }

    fn note(&mut self, what: &str, text: &str, of_user: bool) -> String {
        self.all.push(Secret { what: what.to_owned(), text: text.to_owned(), of_user });
        text.to_owned()
    }

    /// The users' alone.
    pub fn of_users(&self) -> Self {
        Self { all: self.all.iter().filter(|secret| secret.of_user).cloned().collect() }
    }

    /// Which are in `bytes`, in which form, and how often. Short ones are looked for in text alone.
    pub fn found_in(&self, bytes: &[u8], text: bool) -> Vec<String> {
        let (mut needles, mut names) = (Vec::new(), Vec::new());
        for secret in self.all.iter().filter(|secret| !is_short(&secret.text)) {
            for (form, needle) in forms(&secret.text) {
                needles.push(needle);
                names.push(format!("{} ({form})", secret.what));
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
            short.filter(|secret| is_field(&secret.text, bytes)).map(|secret| secret.what.clone()),
        );
        found
    }
}

/// Whether a text is found that is no secret, by the same look.
pub fn finds(text: &str, bytes: &[u8]) -> bool {
    let mut secrets = Secrets::default();
    secrets.note(text, text, true);
    !secrets.found_in(bytes, true).is_empty()
}

/// Whether a text is in `bytes` by itself: not a part of a word, nor the fraction of a number.
fn is_field(text: &str, bytes: &[u8]) -> bool {
    let all = String::from_utf8_lossy(bytes);
    all.match_indices(text).any(|(place, _)| {
        let before = all[..place].chars().next_back();
        let mut after = all[place + text.len()..].chars();
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
        ("as it is", text.to_owned()),
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
    // At each of three places in what is encoded with it, without the characters that its
    // neighbours share.
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
fn a_code_counts_as_a_whole_field() {
    for text in ["code=123456", "\"code\":\"123456\"", "is 123456.", "a\t123456\tb", "123456"] {
        assert!(is_field("123456", text.as_bytes()), "{text}");
    }
    for text in ["12:00:01.123456Z", "1234567", "0123456", "a123456", "123456.75"] {
        assert!(!is_field("123456", text.as_bytes()), "{text}");
    }
}
