//! Tokenizes any text with the built-in model.

#![no_main]

mod spans;

use std::sync::LazyLock;

use autorag_embedder::Embedder;
use libfuzzer_sys::fuzz_target;

static EMBEDDER: LazyLock<Embedder> = LazyLock::new(|| Embedder::built_in().unwrap());

fuzz_target!(|input: &[u8]| {
    spans::check(EMBEDDER.tokenizer(), &String::from_utf8_lossy(input));
});
