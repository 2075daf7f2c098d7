//! Replays the fuzz corpus on every test run: the seeds, which are generated from the vectors, and
//! the inputs that a fuzzer found.

use std::path::PathBuf;

use crate::files::{Invalid, Valid, from_hex, path};
use crate::oracles;

/// Maximum size of a seed in bytes. Longer seeds would only slow the fuzzer down.
const LONGEST_MESSAGE: usize = 2_048;

fn folder(target: &str) -> PathBuf {
    path("../fuzz/corpus").join(target)
}

fn replay(target: &str, oracle: fn(&[u8])) {
    let entries: Vec<_> = std::fs::read_dir(folder(target)).unwrap().collect();
    assert!(!entries.is_empty(), "the corpus of {target} is empty");
    for entry in entries {
        oracle(&std::fs::read(entry.unwrap().path()).unwrap());
    }
}

#[test]
fn frames() {
    replay("frames", oracles::frames);
}

#[test]
fn messages() {
    replay("messages", oracles::messages);
}

fn write(target: &str, name: &str, data: &[u8]) {
    std::fs::write(folder(target).join(name), data).unwrap();
}

/// Writes a seed for every vector that reaches new code.
pub(crate) fn bless(valid: &[Valid], invalid: &[Invalid]) {
    for target in ["frames", "messages"] {
        std::fs::create_dir_all(folder(target)).unwrap();
    }
    for vector in valid
        .iter()
        .filter(|vector| vector.name.ends_with("greased") || vector.name.starts_with("edge."))
    {
        let bytes = from_hex(&vector.hex);
        if bytes.len() > LONGEST_MESSAGE {
            continue;
        }
        write("messages", &vector.name, &[&bytes[4..5], &bytes[9..]].concat());
    }
    for vector in invalid.iter().filter(|vector| vector.name.starts_with("frame.")) {
        write("frames", &vector.name, &[&[6, 0], from_hex(&vector.hex).as_slice()].concat());
    }
    let some = valid.iter().filter(|vector| vector.name.ends_with(".greased"));
    let stream: Vec<u8> = some.take(6).flat_map(|vector| from_hex(&vector.hex)).collect();
    write("frames", "several", &[&[40, 3], stream.as_slice()].concat());
    write("frames", "several_cut", &[&[2, 0], &stream[..stream.len() - 1]].concat());
    let long =
        [crate::spans::frame(0x03, 1, &[0; 9_000]), crate::spans::frame(0x03, 2, &[1; 10_000])]
            .concat();
    write("frames", "longer_than_the_buffer", &[&[200, 200], long.as_slice()].concat());
    let pings: Vec<u8> = crate::spans::frame(0x7F, 1, &[]).repeat(9);
    write("frames", "pings", &[&[7, 1], pings.as_slice()].concat());
}
