//! Fuzz target: any bytes as the client's side of a connection to a server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| user_fuzz::session(data));
