//! Any bytes as a type and a body.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_fuzz::messages(data));
