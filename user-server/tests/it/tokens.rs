//! Access tokens: both ways to read one agree, and reading one allocates nothing.

mod allocations;
mod hostile;
mod keys;
mod no_key;
mod recipes;
mod rolls;

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::both_ways::Arena;

/// Longer ones would slow the fuzzer down and teach it nothing.
const LONGEST: usize = 2_048;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/tokens")
}

/// Edits of a text: mostly within it, and of bytes that can matter there.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let edit = (0..5_u8, 0..400_u16, prop_oneof![any::<u8>(), 0..9_u8, Just(b'"'), Just(b'\\')]);
    vec(edit, 1..5).prop_map(|edits| {
        edits
            .iter()
            .flat_map(|(op, place, byte)| {
                [&[*op], place.to_be_bytes().as_slice(), &[*byte]].concat()
            })
            .collect()
    })
}

#[test]
fn both_ways_give_the_same_verdict() {
    let arena = Arena::new();
    proptest!(ProptestConfig::with_cases(4096), |(mode in 0..8_u8, script in script())| {
        arena.token(&[&[mode], script.as_slice()].concat());
    });
    proptest!(ProptestConfig::with_cases(512), |(data in vec(any::<u8>(), 0..600))| arena.token(&data));
}

#[test]
fn what_is_issued_is_read_both_ways() {
    let arena = Arena::new();
    let byte = prop_oneof![any::<u8>(), Just(b'.'), b'0'..=b'9', b'A'..=b'Z'];
    proptest!(|(ids: [u128; 2], now: u32, end in 0..2_000_000_000_u32, place: usize, byte in byte)| {
        arena.issued(ids, [now, end], place, byte);
    });
}

#[test]
fn the_corpus_of_tokens() {
    let arena = Arena::new();
    let entries: Vec<_> = std::fs::read_dir(corpus()).unwrap().collect();
    assert!(entries.len() > 60, "the corpus is missing: {}", entries.len());
    for entry in entries {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        arena.token(&std::fs::read(path).unwrap());
    }
}

#[test]
#[ignore = "writes the vectors of hostile tokens and the seeds of the fuzz corpus"]
fn bless() {
    hostile::bless();
    std::fs::create_dir_all(corpus()).unwrap();
    for recipe in recipes::all() {
        let mut parts = recipe.token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
        // Both parts as they are, to be signed again with the fuzzer's key.
        for mode in [5, 4] {
            if let Some(part) = parts.next().flatten().filter(|part| part.len() <= LONGEST) {
                let seed = [&[mode], part.as_slice()].concat();
                std::fs::write(corpus().join(format!("{}.{mode}", recipe.name)), seed).unwrap();
            }
        }
    }
}
