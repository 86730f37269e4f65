//! Counts the tokens of any part of a text that was tokenized once.

use std::ops::Range;

use autorag_embedder::Tokenizer;
use text_splitter::ChunkSizer;

/// Byte offsets where the tokens of a text begin. Splitters ask for the size of many overlapping parts; each
/// answer takes two binary searches.
pub(super) struct TokenIndex<'t> {
    text: &'t str,
    starts: Vec<u32>,
    tokenizer: &'t Tokenizer,
}

impl<'t> TokenIndex<'t> {
    pub(super) fn new(text: &'t str, tokenizer: &'t Tokenizer) -> TokenIndex<'t> {
        let starts = tokenizer
            .token_spans(text)
            .into_iter()
            .map(|span| span.start as u32)
            .collect();
        TokenIndex {
            text,
            starts,
            tokenizer,
        }
    }

    /// Number of tokens that begin in a range of bytes.
    pub(super) fn count(&self, range: &Range<usize>) -> usize {
        let before = |byte: usize| self.starts.partition_point(|&start| (start as usize) < byte);
        before(range.end) - before(range.start)
    }
}

impl ChunkSizer for &TokenIndex<'_> {
    fn size(&self, chunk: &str) -> usize {
        // Splitters pass slices of the text, so pointer addresses give the offset.
        let start = (chunk.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        match start.filter(|start| start + chunk.len() <= self.text.len()) {
            Some(start) => self.count(&(start..start + chunk.len())),
            None => self.tokenizer.count(chunk),
        }
    }
}
