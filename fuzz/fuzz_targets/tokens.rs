//! Any bytes as an access token, or as what of a genuine one is changed and signed again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_fuzz::tokens(data));
