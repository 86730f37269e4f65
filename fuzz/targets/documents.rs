//! Any bytes under a name of any kind, parsed and chunked.
//!
//! The first byte of the input chooses the ending of the name, the second the length of passages.

#![no_main]

#[path = "../../indexer/parse/fixtures.rs"]
#[allow(dead_code, reason = "the tests of the indexer have more")]
mod fixtures;
mod parsed;

use libfuzzer_sys::fuzz_target;

/// Kinds that are told apart by the name.
const ENDINGS: [&str; 32] = [
    "md", "html", "ipynb", "json", "jsonl", "yaml", "toml", "csv", "tsv", "srt", "vtt", "rst", "org", "adoc",
    "tex", "xml", "txt", "eml", "mbox", "rs", "py", "js", "c", "cpp", "java", "go", "sh", "rb", "php", "ts",
    "1", "",
];

fuzz_target!(
    init: {
        parsed::end_at_panics();
        for (name, file) in [
            ("docx", fixtures::docx()),
            ("pptx", fixtures::pptx()),
            ("xlsx", fixtures::xlsx()),
            ("odt", fixtures::odt()),
            ("odp", fixtures::odp()),
            ("epub", fixtures::epub()),
            ("pdf", fixtures::pdf(&["# One\nText", "Two"])),
        ] {
            parsed::seed("documents", name, &[&[31, 4], file.as_slice()].concat());
        }
    },
    |input: &[u8]| {
        if let [ending, tokens, bytes @ ..] = input {
            let name = format!("folder/name.{}", ENDINGS[usize::from(*ending) % ENDINGS.len()]);
            parsed::check(&name, bytes, 8 + usize::from(*tokens));
        }
    }
);
