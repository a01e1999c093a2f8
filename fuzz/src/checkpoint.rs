//! Whatever the bytes of a checkpoint are: reading it ends with a network or an error.
//!
//! The readers are compiled from the program's own files, without the rest of it, so that this
//! builds in seconds and only they are instrumented.
#![no_main]

#[allow(dead_code, reason = "only reading is fuzzed")]
mod import;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| import::read(bytes));
