//! Any bytes under a name of any kind, parsed and chunked.
//!
//! The first byte of the input chooses the ending of the name, the second the length of passages.

#![no_main]

use std::sync::LazyLock;

use autorag_embedder::Embedder;
use autorag_indexer::{Chunker, parse};
use libfuzzer_sys::fuzz_target;

static EMBEDDER: LazyLock<Embedder> = LazyLock::new(|| Embedder::built_in().unwrap());

/// Kinds that are told apart by the name.
const ENDINGS: [&str; 32] = [
    "md", "html", "ipynb", "json", "jsonl", "yaml", "toml", "csv", "tsv", "srt", "vtt", "rst", "org", "adoc",
    "tex", "xml", "txt", "eml", "mbox", "rs", "py", "js", "c", "cpp", "java", "go", "sh", "rb", "php", "ts",
    "1", "",
];

fuzz_target!(
    init: {
        // What other people's parsers panic of costs the document, as it does in a run; a panic of ours ends the process.
        std::panic::set_hook(Box::new(|panic| {
            if !panic.location().is_some_and(|location| location.file().contains("/registry/")) {
                eprintln!("{panic}");
                std::process::abort();
            }
        }));
    },
    |input: &[u8]| check(input)
);

fn check(input: &[u8]) {
    let [ending, tokens, bytes @ ..] = input else {
        return;
    };
    let name = format!("folder/name.{}", ENDINGS[usize::from(*ending) % ENDINGS.len()]);
    let Ok(Ok(parsed)) = std::panic::catch_unwind(|| parse(&name, bytes)) else {
        return;
    };
    let text = &parsed.text;
    assert!(text.is_char_boundary(parsed.body_start));
    let tokens = 8 + usize::from(*tokens);
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
