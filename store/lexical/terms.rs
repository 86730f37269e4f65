//! Explains which query words a passage matches.

use std::collections::HashMap;

use super::analyzer;
use super::query_parser::ParsedQuery;
use super::view::LexicalView;
use crate::{DocumentEntry, Passage, StoreError};

/// A query word, its weight, and where a passage has it.
#[derive(Debug, Clone, PartialEq)]
pub struct TermMatch {
    /// The word in its original spelling.
    pub word: String,
    /// The word's inverse document frequency as a share of the sum over all query words, from 0 to 1. Rare
    /// words have larger shares.
    pub share: f32,
    /// Number of passages in the collection whose text has the word.
    pub passages: u64,
    /// Occurrences of the word in the passage's text.
    pub in_text: u32,
    /// Whether the document's title has the word.
    pub in_title: bool,
    /// Whether a heading above the passage has the word.
    pub in_headings: bool,
    /// Whether the document's path has the word.
    pub in_path: bool,
}

impl TermMatch {
    /// Whether any field of the passage has the word.
    pub fn matches(&self) -> bool {
        self.in_text > 0 || self.in_title || self.in_headings || self.in_path
    }
}

impl LexicalView {
    /// The words of `text`, in order, matched against `passage` of `entry`.
    pub(crate) fn terms(
        &self,
        text: &str,
        passage: &Passage,
        entry: &DocumentEntry,
    ) -> Result<Vec<TermMatch>, StoreError> {
        let query = ParsedQuery::parse(text, self.languages());
        let body = self.count_stems(&passage.text);
        let title = self.count_stems(entry.title.as_deref().unwrap_or_default());
        let headings = self.count_stems(&passage.heading_path.join("\n"));
        let path = self.count_stems(entry.key.as_str());
        let mut terms = Vec::new();
        let mut total_idf = 0.0;
        for stems in query.scoring_words() {
            let idf = self.idf(stems, self.body())?;
            total_idf += idf;
            let has_any = |counts: &HashMap<String, u32>| stems.iter().any(|stem| counts.contains_key(stem));
            terms.push(TermMatch {
                word: query.spelling(stems).to_owned(),
                share: idf,
                passages: self.doc_freq(stems, self.body())?,
                in_text: stems
                    .iter()
                    .filter_map(|stem| body.get(stem))
                    .max()
                    .copied()
                    .unwrap_or(0),
                in_title: has_any(&title),
                in_headings: has_any(&headings),
                in_path: has_any(&path),
            });
        }
        for term in &mut terms {
            term.share /= total_idf.max(f32::MIN_POSITIVE);
        }
        Ok(terms)
    }

    /// Occurrences of each stem in a text. A stem that several languages produce has the highest of their
    /// counts.
    fn count_stems(&self, text: &str) -> HashMap<String, u32> {
        let mut counts: HashMap<String, u32> = HashMap::new();
        for language in self.languages() {
            let mut in_language: HashMap<String, u32> = HashMap::new();
            for token in analyzer::tokens(&mut analyzer::analyzer(language), text) {
                *in_language.entry(token.text).or_default() += 1;
            }
            for (stem, count) in in_language {
                let highest = counts.entry(stem).or_default();
                *highest = count.max(*highest);
            }
        }
        counts
    }
}
