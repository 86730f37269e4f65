//! Parses and chunks any bytes under a name of any kind.
//!
//! The first byte of the input chooses the extension of the name, the second the length of passages.

#![no_main]

#[path = "../../indexer/parse/fixtures.rs"]
#[allow(dead_code, reason = "the indexer's tests use more of them")]
mod fixtures;
mod checks;

use libfuzzer_sys::fuzz_target;

/// Extensions by which parsers distinguish kinds of text.
const EXTENSIONS: [&str; 32] = [
    "md", "html", "ipynb", "json", "jsonl", "yaml", "toml", "csv", "tsv", "srt", "vtt", "rst", "org", "adoc",
    "tex", "xml", "txt", "eml", "mbox", "rs", "py", "js", "c", "cpp", "java", "go", "sh", "rb", "php", "ts",
    "1", "",
];

fuzz_target!(
    init: {
        checks::abort_on_panic();
        for (name, file) in [
            ("docx", fixtures::docx()),
            ("pptx", fixtures::pptx()),
            ("xlsx", fixtures::xlsx()),
            ("odt", fixtures::odt()),
            ("odp", fixtures::odp()),
            ("epub", fixtures::epub()),
            ("pdf", fixtures::pdf(&["# One\nText", "Two"])),
        ] {
            checks::add_seed("documents", name, &[&[31, 4], file.as_slice()].concat());
        }
    },
    |input: &[u8]| {
        if let [extension, tokens, bytes @ ..] = input {
            let name = format!("folder/name.{}", EXTENSIONS[usize::from(*extension) % EXTENSIONS.len()]);
            checks::check(&name, bytes, 8 + usize::from(*tokens));
        }
    }
);
