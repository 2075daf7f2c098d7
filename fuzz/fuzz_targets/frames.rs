//! Any bytes as a stream of frames, however they are cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_fuzz::frames(data));
