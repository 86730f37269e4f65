//! Text for models: how long it may be, and how index states and files are named.

use std::path::Path;

use crate::wire::{DegradedWire, IndexStateWire};

/// Tokens of an answer where the caller does not say.
pub const DEFAULT_TOKENS: usize = 5_000;
/// Most tokens of an answer, whatever the caller says: beyond it, clients cut.
pub const MAX_TOKENS: usize = 20_000;

/// Bytes that a token is taken to be. English text has about four and code a bit over three, so this errs towards
/// answers that are too short.
const BYTES_PER_TOKEN: usize = 3;

/// The bytes that an answer of `max_tokens` may have.
pub fn byte_budget(max_tokens: Option<usize>) -> usize {
    max_tokens.unwrap_or(DEFAULT_TOKENS).clamp(200, MAX_TOKENS) * BYTES_PER_TOKEN
}

/// The file's URL, for clients that open files.
pub fn file_url(path: &Path) -> String {
    url::Url::from_file_path(path).map_or_else(|()| path.display().to_string(), |url| url.to_string())
}

/// What limits the answer, in sentences; empty where nothing does.
pub fn caveats(degraded: &[DegradedWire], state: &IndexStateWire) -> String {
    let mut said: Vec<String> = degraded
        .iter()
        .map(|d| format!("Note ({}): {}.", d.part, d.reason))
        .collect();
    if !state.complete && degraded.is_empty() {
        said.push(format!(
            "Note (index): the index is {}, not complete.",
            state.phase
        ));
    }
    said.join("\n")
}

/// Where the index stands, in a sentence.
pub fn index_sentence(state: &IndexStateWire) -> String {
    let mut sentence = format!(
        "Index {}: {} documents, {} passages, {} with vectors",
        state.phase, state.documents, state.passages, state.embedded
    );
    if state.errors + state.skipped > 0 {
        sentence += &format!(
            "; {} files failed and {} were skipped",
            state.errors, state.skipped
        );
    }
    sentence + "."
}
