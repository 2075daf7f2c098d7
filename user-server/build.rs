//! The migrations are compiled in, and a new one is no source that the compiler knows of.

#![allow(clippy::print_stdout, reason = "it is how cargo is told")]

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
