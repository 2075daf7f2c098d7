//! Fuzz target: any bytes as a type and the body of a message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_fuzz::messages(data));
