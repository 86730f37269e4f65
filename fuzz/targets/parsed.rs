//! What every parser and the chunker promise of any bytes.

use std::path::Path;
use std::sync::LazyLock;

use autorag_embedder::Embedder;
use autorag_indexer::{Chunker, parse};

static EMBEDDER: LazyLock<Embedder> = LazyLock::new(|| Embedder::built_in().unwrap());

/// Has a panic of ours end the process. What other people's parsers panic of costs the document, as it does in a run.
pub fn end_at_panics() {
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

/// Writes a file to begin with for the fuzzer of this name, beside those of `seeds.py`.
pub fn seed(fuzzer: &str, name: &str, content: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(fuzzer);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), content).unwrap();
}

/// Parses a file and cuts it: passages are in order, slice back, have text, and are no longer than asked for.
pub fn check(name: &str, bytes: &[u8], tokens: usize) {
    let Ok(Ok(parsed)) = std::panic::catch_unwind(|| parse(name, bytes)) else {
        return;
    };
    let text = &parsed.text;
    assert!(text.is_char_boundary(parsed.body_start));
    assert!(parsed.pages.iter().all(|&at| text.is_char_boundary(at)));
    assert!(parsed.pages.is_sorted());
    let mut last = 0;
    for piece in Chunker::new(EMBEDDER.tokenizer(), tokens, 10).chunk(&parsed) {
        let range = piece.span.start_byte..piece.span.end_byte;
        let passage = text.get(range.clone()).expect("spans slice back");
        assert!(!passage.trim().is_empty());
        assert!(range.start >= last, "{range:?} after {last}");
        assert!(EMBEDDER.tokenizer().count(passage) <= tokens);
        last = range.start;
    }
}
