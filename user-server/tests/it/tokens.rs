//! Access tokens: both verifiers return the same verdict, and verification allocates nothing.

mod allocations;
mod cases;
mod hostile;
mod keys;
mod lifetime;
mod no_key;
mod public_cases;
mod public_keys;
mod remembered;
mod rotation;
mod third_party;

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::*;

use user_server::keys::TokenAlgorithm;

use crate::token_oracle::TokenOracle;

/// Maximum length of a seed. Longer seeds slow the fuzzer down without new coverage.
const MAX_SEED: usize = 2_048;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/tokens")
}

/// Generates edits of a text: mostly within it, and with bytes that matter there.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let edit = (0..5_u8, 0..400_u16, prop_oneof![any::<u8>(), 0..9_u8, Just(b'"'), Just(b'\\')]);
    vec(edit, 1..5).prop_map(|edits| {
        edits
            .iter()
            .flat_map(|(op, position, byte)| {
                [&[*op], position.to_be_bytes().as_slice(), &[*byte]].concat()
            })
            .collect()
    })
}

#[test]
fn both_verifiers_return_the_same_verdict() {
    for (algorithm, cases) in TokenAlgorithm::ALL.into_iter().zip([4096, 512, 512]) {
        let oracle = TokenOracle::new(algorithm);
        proptest!(ProptestConfig::with_cases(cases), |(mode in 0..8_u8, script in script())| {
            oracle.check(&[&[mode], script.as_slice()].concat());
        });
        proptest!(ProptestConfig::with_cases(cases / 8), |(data in vec(any::<u8>(), 0..600))| {
            oracle.check(&data);
        });
    }
}

#[test]
fn both_verifiers_accept_issued_tokens() {
    for oracle in TokenAlgorithm::ALL.map(TokenOracle::new) {
        let byte = prop_oneof![any::<u8>(), Just(b'.'), b'0'..=b'9', b'A'..=b'Z'];
        proptest!(|(ids: [u128; 2], now: u32, end in 0..2_000_000_000_u32, position: usize, byte in byte)| {
            oracle.check_issued(ids, [now, end], position, byte);
        });
    }
}

#[test]
fn a_forged_token_costs_one_verification() {
    for oracle in TokenAlgorithm::ALL.map(TokenOracle::new) {
        oracle.check_forged();
    }
}

#[test]
fn the_corpus_of_tokens_passes() {
    let oracles = TokenAlgorithm::ALL.map(TokenOracle::new);
    let entries: Vec<_> = std::fs::read_dir(corpus()).unwrap().collect();
    assert!(entries.len() > 60, "the corpus is missing: {}", entries.len());
    for entry in entries {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        let data = std::fs::read(path).unwrap();
        oracles.iter().for_each(|oracle| oracle.check(&data));
    }
}

#[test]
#[ignore = "writes the vectors of hostile tokens and the seeds of the fuzz corpus"]
fn bless() {
    hostile::bless();
    public_keys::bless();
    std::fs::create_dir_all(corpus()).unwrap();
    for case in cases::all() {
        let mut parts = case.token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
        // Both parts unchanged, to be signed again with the key of the fuzzer.
        for mode in [5, 4] {
            if let Some(part) = parts.next().flatten().filter(|part| part.len() <= MAX_SEED) {
                let seed = [&[mode], part.as_slice()].concat();
                std::fs::write(corpus().join(format!("{}.{mode}", case.name)), seed).unwrap();
            }
        }
    }
}
