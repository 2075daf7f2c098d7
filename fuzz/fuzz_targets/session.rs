//! Any bytes as a client's side of a session.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_fuzz::session(data));
