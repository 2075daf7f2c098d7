//! Fuzz target: any bytes as an access token, or as a change to a valid token that is signed again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_fuzz::tokens(data));
