//! Fuzz target: any bytes as a stream of frames, in several chunkings.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_fuzz::frames(data));
