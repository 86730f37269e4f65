//! Parses a tokenizer file, then tokenizes texts with it.
//!
//! The first byte of the input selects the kind of file. A text, a byte 0xff and the file follow.

#![no_main]

mod spans;

use autorag_embedder::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        // Silence panics of the tokenizers crate, which the embedder catches. Print any other panic; it ends the process.
        std::panic::set_hook(Box::new(|panic| {
            if !panic.location().is_some_and(|location| location.file().contains("/registry/")) {
                eprintln!("{panic}");
            }
        }));
    },
    |input: &[u8]| check(input)
);

fn check(input: &[u8]) {
    let Some((kind, input)) = input.split_first() else {
        return;
    };
    let at = input.iter().position(|byte| *byte == 0xff).unwrap_or_default();
    let (text, file) = (
        String::from_utf8_lossy(&input[..at]),
        input.get(at + 1..).unwrap_or_default(),
    );
    let tokenizer = match kind % 4 {
        0 => fuzzing::read_vocabulary(file.to_vec(), true),
        1 => fuzzing::read_vocabulary(file.to_vec(), false),
        _ => fuzzing::read_tokenizer_json(file),
    };
    if let Ok(tokenizer) = tokenizer {
        for text in [
            "",
            "a",
            "The cat\u{301} \u{ac01} [CLS] <s> 東京\0\u{1f980}",
            &text,
        ] {
            spans::check(&tokenizer, text);
        }
    }
}
