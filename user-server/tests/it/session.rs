//! Replays the corpus of the fuzz target `session`: seeds made from the vectors, and findings of
//! the fuzzer. Also runs sessions of random frames, which a fuzzer seldom generates.

use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::connection_oracle::ConnectionOracle;
use crate::support::{raw_frame, vector_bytes, vector_file};

/// Maximum length of a seed. Longer seeds slow the fuzzer down without new coverage.
const MAX_SEED: usize = 2_048;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/session")
}

#[test]
fn the_corpus_of_sessions_passes() {
    let oracle = ConnectionOracle::new();
    let entries: Vec<_> = std::fs::read_dir(corpus()).unwrap().collect();
    assert!(entries.len() > 30, "the corpus is missing: {}", entries.len());
    for entry in entries {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        oracle.check(&std::fs::read(path).unwrap());
    }
}

/// Generates a frame with one of a few ids and mostly a known type, or bytes that are not a frame.
/// Few of the requests hash, since hashes are slow.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fast_types = prop_oneof![Just(0x03), Just(0x07), Just(0x0A), Just(0x7F), 0x03..=0x0D_u8];
    let frame = |kind, body| {
        (kind, 0..12_u32, body)
            .prop_map(|(kind, id, body): (u8, u32, Vec<u8>)| raw_frame(kind, id, &body))
    };
    let login = b"\x00\x06nobody\x00\x12tides rise at nine".to_vec();
    let text = vec(prop_oneof![Just(0), 0..9_u8, any::<u8>()], 0..40);
    prop_oneof![
        20 => frame(fast_types.boxed(), text.clone().boxed()),
        20 => frame(Just(0x7F).boxed(), Just(Vec::new()).boxed()),
        9 => frame(Just(0x07).boxed(), vec(any::<u8>(), 16).boxed()),
        9 => frame(any::<u8>().boxed(), text.boxed()),
        1 => frame(Just(0x02).boxed(), Just(login).boxed()),
        1 => vec(any::<u8>(), 0..20),
    ]
}

#[test]
fn sessions_of_random_frames_pass() {
    let oracle = ConnectionOracle::new();
    proptest!(|(cuts in any::<[u8; 3]>(), pieces in vec(piece(), 0..30))| {
        oracle.check(&[cuts.as_slice(), &pieces.concat()].concat());
    });
}

#[test]
#[ignore = "writes the seeds of the fuzz corpus"]
fn bless() {
    std::fs::create_dir_all(corpus()).unwrap();
    let ping = |id| raw_frame(0x7F, id, &[]);
    let write = |name: &str, cuts: [u8; 3], parts: &[&[u8]]| {
        std::fs::write(corpus().join(name), [cuts.as_slice(), &parts.concat()].concat()).unwrap();
    };
    for (file, wanted) in [("valid.json", ".greased"), ("invalid.json", "frame.")] {
        for vector in vector_file(file)["vectors"].as_array().unwrap() {
            let (name, bytes) = (vector["name"].as_str().unwrap(), vector_bytes(vector));
            let request = vector["direction"] == "request" && bytes.len() <= MAX_SEED;
            if request && (name.contains(wanted) || !name.contains('.')) {
                write(name, [40, 3, 200], &[&ping(1), &bytes, &ping(2)]);
            }
        }
    }
    let login = raw_frame(0x02, 5, b"\x00\x06nobody\x00\x12tides rise at nine");
    write("edge.id_in_flight", [255, 255, 255], &[&login, &login, &ping(1)]);
    write("edge.id_again", [0, 0, 0], &[&ping(5), &ping(5), &ping(5)]);
    write("edge.owed_at_the_end", [255, 255, 1], &[&login, &[0, 0, 0, 4], &ping(1)]);
    let many: Vec<u8> = (1..=40)
        .flat_map(|id| if id % 3 == 0 { ping(id) } else { raw_frame(0x0A, id, b"\0\x01x") })
        .collect();
    write("edge.more_than_fit_in_flight", [255, 255, 3], &[&many]);
    write("edge.cut_short", [7, 0, 255], &[&many[..many.len() - 1]]);
}
