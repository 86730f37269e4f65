//! Invariants of all parsers and the chunker for any bytes.

use std::path::Path;
use std::sync::LazyLock;

use autorag_embedder::Embedder;
use autorag_indexer::{Chunker, parse};

static EMBEDDER: LazyLock<Embedder> = LazyLock::new(|| Embedder::built_in().unwrap());

/// Aborts on a panic in our own code. A panic in a third-party parser only fails the document, as in a run.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        if !panic
            .location()
            .is_some_and(|location| location.file().contains("/registry/"))
        {
            eprintln!("{panic}");
            std::process::abort();
        }
    }));
}

/// Adds a file to the seed corpus of the fuzzer, beside those of `seeds.py`.
pub fn add_seed(fuzzer: &str, name: &str, content: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(fuzzer);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), content).unwrap();
}

/// Parses and chunks a file. Checks that passages are in order, on character boundaries, not blank and within
/// the token limit.
pub fn check(name: &str, bytes: &[u8], tokens: usize) {
    let Ok(Ok(parsed)) = std::panic::catch_unwind(|| parse(name, bytes)) else {
        return;
    };
    let text = &parsed.text;
    assert!(text.is_char_boundary(parsed.body_start));
    assert!(parsed.pages.iter().all(|&at| text.is_char_boundary(at)));
    assert!(parsed.pages.is_sorted());
    let mut last = 0;
    for passage in Chunker::new(EMBEDDER.tokenizer(), tokens, 10).chunk(&parsed) {
        let range = passage.span.start_byte..passage.span.end_byte;
        let slice = text.get(range.clone()).expect("spans are on character boundaries");
        assert!(!slice.trim().is_empty());
        assert!(range.start >= last, "{range:?} after {last}");
        assert!(EMBEDDER.tokenizer().count(slice) <= tokens);
        last = range.start;
    }
}
