//! Rebuilds the crate when the migrations change. They are compiled in by a macro, which cargo does
//! not see as a dependency.

#![allow(clippy::print_stdout, reason = "cargo reads stdout")]

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
