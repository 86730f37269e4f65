//! Text for models: length limits, notes on degraded results, and file URLs.

use std::path::Path;

use crate::wire::{DegradationWire, IndexStateWire};

/// Default limit of a result, in tokens.
pub const DEFAULT_TOKENS: usize = 5_000;
/// Maximum limit of a result, in tokens. Clients truncate longer results.
pub const MAX_TOKENS: usize = 20_000;

/// Assumed bytes per token. English text has about four and code slightly over three, so this errs towards shorter results.
const BYTES_PER_TOKEN: usize = 3;
/// Minimum limit of a result, in tokens.
const MIN_TOKENS: usize = 200;

/// The limit of a result in bytes, for a limit of `max_tokens`.
pub fn byte_budget(max_tokens: Option<usize>) -> usize {
    max_tokens.unwrap_or(DEFAULT_TOKENS).clamp(MIN_TOKENS, MAX_TOKENS) * BYTES_PER_TOKEN
}

/// The `file:` URL of a file, for clients that open files.
pub fn file_url(path: &Path) -> String {
    url::Url::from_file_path(path).map_or_else(|()| path.display().to_string(), |url| url.to_string())
}

/// Notes on what limits a result, one per line. Empty if nothing does.
pub fn notes(degraded: &[DegradationWire], state: &IndexStateWire) -> String {
    let mut notes: Vec<String> = degraded
        .iter()
        .map(|d| format!("Note ({}): {}.", d.part, d.reason))
        .collect();
    if !state.complete && degraded.is_empty() {
        notes.push(format!(
            "Note (index): the index is incomplete ({}).",
            state.phase
        ));
    }
    notes.join("\n")
}

/// A sentence about the progress of indexing.
pub fn index_sentence(state: &IndexStateWire) -> String {
    let mut sentence = format!(
        "Index {}: {} documents, {} passages, {} of them embedded",
        state.phase, state.documents, state.passages, state.embedded
    );
    if state.errors + state.skipped > 0 {
        sentence += &format!("; {} files failed, {} were skipped", state.errors, state.skipped);
    }
    sentence + "."
}
