//! What a passage has of a question's words, for whoever wants to know why it was found.

use std::collections::HashMap;

use super::analyzer;
use super::typed::Typed;
use super::view::LexicalView;
use crate::{DocumentEntry, Passage, StoreError};

/// A word of a question, and where a passage has it.
#[derive(Debug, Clone, PartialEq)]
pub struct TermMatch {
    /// The word as it was typed.
    pub word: String,
    /// Its part in what all words of the question are worth, from 0 to 1: the fewer passages have a word, the more it is worth.
    pub share: f32,
    /// How many passages of the corpus have it in their text.
    pub passages: u64,
    /// How often the passage's text has it.
    pub in_text: u32,
    /// Whether the document's title has it.
    pub in_title: bool,
    /// Whether a heading above the passage has it.
    pub in_headings: bool,
    /// Whether the document's path has it.
    pub in_path: bool,
}

impl TermMatch {
    /// Whether the passage has the word anywhere.
    pub fn matches(&self) -> bool {
        self.in_text > 0 || self.in_title || self.in_headings || self.in_path
    }
}

impl LexicalView {
    /// The words of `text`, in their order, as `passage` of `entry` has them.
    pub(crate) fn terms(
        &self,
        text: &str,
        passage: &Passage,
        entry: &DocumentEntry,
    ) -> Result<Vec<TermMatch>, StoreError> {
        let typed = Typed::parse(text, self.languages());
        let body = self.counted(&passage.text);
        let title = self.counted(entry.title.as_deref().unwrap_or_default());
        let headings = self.counted(&passage.heading_path.join("\n"));
        let path = self.counted(entry.key.as_str());
        let mut terms = Vec::new();
        let mut worth = 0.0;
        for forms in typed.sought() {
            let rarity = self.rarity(forms, self.body())?;
            worth += rarity;
            let in_any = |counts: &HashMap<String, u32>| forms.iter().any(|form| counts.contains_key(form));
            terms.push(TermMatch {
                word: typed.surface(forms).to_owned(),
                share: rarity,
                passages: self.passages_with(forms, self.body())?,
                in_text: forms
                    .iter()
                    .filter_map(|form| body.get(form))
                    .max()
                    .copied()
                    .unwrap_or(0),
                in_title: in_any(&title),
                in_headings: in_any(&headings),
                in_path: in_any(&path),
            });
        }
        for term in &mut terms {
            term.share /= worth.max(f32::MIN_POSITIVE);
        }
        Ok(terms)
    }

    /// How often a text has each word, in whatever language.
    fn counted(&self, text: &str) -> HashMap<String, u32> {
        let mut counts: HashMap<String, u32> = HashMap::new();
        for language in self.languages() {
            let mut here: HashMap<String, u32> = HashMap::new();
            for token in analyzer::tokens(&mut analyzer::analyzer(language), text) {
                *here.entry(token.text).or_default() += 1;
            }
            for (term, count) in here {
                let most = counts.entry(term).or_default();
                *most = count.max(*most);
            }
        }
        counts
    }
}
