//! Signals of how far each retriever can be trusted with a query.
//!
//! Each signal was found by asking where one retriever beats the other on collections of different kinds; docs/retrieval.md has the
//! measurements. A signal depends on the query and its candidates only, never on the collection.

use autorag_store::Candidate;

/// Tokens per word up to which the model knows the language. English has 1.0 to 1.5, German 2.2.
const KNOWN_TOKENS_PER_WORD: f32 = 1.5;
/// Tokens per word above [`KNOWN_TOKENS_PER_WORD`] at which the model does not know the language at all. Russian has 6 tokens per
/// word; a Chinese word has many characters and one token for each.
const FOREIGN_RANGE: f32 = 2.5;
/// Share of code punctuation from which a text counts as code. Prose has less than 0.01.
const CODE_SHARE: f32 = 0.05;
/// Lead of a typical query: the tenth lexical candidate has half the score of the first.
const TYPICAL_LEAD: f32 = 0.5;
/// Rank that the first lexical candidate is compared with.
const LEAD_RANK: usize = 10;
/// Bytes of a text that are examined for code punctuation.
const CODE_SAMPLE_BYTES: usize = 2000;

/// Weight of the dense list if no signal deviates from its typical value.
const DENSE_WEIGHT: f32 = 0.5;
/// Weight of the dense list for a query in prose over code, because code uses other words than the query.
const CODE_DENSE_WEIGHT: f32 = 0.8;
/// How much a full lead lowers the dense weight, relative to no lead.
const LEAD_EFFECT: f32 = 0.4;

/// Signals of one query. All are from 0 to 1, except [`lexical_ceiling`](Signals::lexical_ceiling).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Signals {
    /// How foreign the query's language or script is to the model, measured in tokens per word.
    pub foreign: f32,
    /// How much of the nearest passages is code, for a query in prose.
    pub code: f32,
    /// Lead of the first lexical candidate over the tenth. Near 1 if only a few passages contain the query's words.
    pub lead: f32,
    /// Upper bound of the BM25 score for this query.
    pub lexical_ceiling: f32,
    /// Share of the passages that are not embedded yet. A passage outside the dense list may be one of them.
    pub missing: f32,
}

impl Signals {
    /// Computes the signals of a query.
    ///
    /// `tokens` is the length of `query` in the model's tokens, or 0 if unknown. `near_code` is the mean share of code punctuation
    /// in the first dense candidates.
    pub(crate) fn new(
        query: &str,
        tokens: usize,
        lexical: &[Candidate],
        lexical_ceiling: f32,
        near_code: f32,
    ) -> Signals {
        let lead = match (lexical.first(), lexical.get(LEAD_RANK - 1)) {
            (Some(first), Some(later)) if first.score > 0.0 => 1.0 - later.score / first.score,
            (Some(_), None) => 1.0,
            _ => 0.0,
        };
        let foreign = (tokens_per_word(query, tokens) - KNOWN_TOKENS_PER_WORD) / FOREIGN_RANGE;
        let code = if is_code(query) {
            0.0
        } else {
            near_code / CODE_SHARE
        };
        Signals {
            foreign: foreign.clamp(0.0, 1.0),
            code: code.clamp(0.0, 1.0),
            lead: lead.clamp(0.0, 1.0),
            lexical_ceiling,
            missing: 0.0,
        }
    }

    /// Weight of the dense list, from 0 to 1. The weight of the lexical list is 1 minus this.
    pub fn dense_weight(&self) -> f32 {
        let prose = DENSE_WEIGHT - LEAD_EFFECT * (self.lead - TYPICAL_LEAD);
        let known = prose * (1.0 - self.code) + CODE_DENSE_WEIGHT * self.code;
        (known * (1.0 - self.foreign)).clamp(0.0, 1.0)
    }

    /// Dense weight for a candidate outside the dense list. It is lower while embeddings are missing, because the candidate may be
    /// absent from the list for lack of a vector.
    pub(crate) fn dense_weight_unlisted(&self) -> f32 {
        self.dense_weight() * (1.0 - self.missing)
    }
}

/// Tokens per word, not counting punctuation, which is one token a character.
fn tokens_per_word(query: &str, tokens: usize) -> f32 {
    let words = query
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .count();
    let punctuation = query
        .chars()
        .filter(|c| !c.is_alphanumeric() && !c.is_whitespace())
        .count();
    tokens.saturating_sub(punctuation) as f32 / words.max(1) as f32
}

/// Share of code punctuation among the characters of a text.
pub(crate) fn code_share(text: &str) -> f32 {
    let sample = &text[..text.floor_char_boundary(CODE_SAMPLE_BYTES)];
    let (mut punctuation, mut characters) = (0, 0);
    for c in sample.chars() {
        characters += 1;
        punctuation += usize::from("(){}[]=_;<>|&*/\\#\"'".contains(c));
    }
    punctuation as f32 / characters.max(1) as f32
}

/// True if a query contains code or an identifier: `snake_case`, `camelCase`, `a::b`, `f(`.
fn is_code(query: &str) -> bool {
    let camel_case = query
        .as_bytes()
        .windows(2)
        .any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    camel_case || query.contains(['_', '(', '{', '=', ';']) || query.contains("::")
}

#[cfg(test)]
mod tests {
    use super::*;
    use autorag_store::PassageId;

    fn list(scores: &[f32]) -> Vec<Candidate> {
        let numbered = scores.iter().zip(0..);
        numbered
            .map(|(&score, id)| Candidate {
                passage: PassageId(id),
                score,
            })
            .collect()
    }

    #[test]
    fn each_signal_changes_the_dense_weight() {
        let even = list(&[2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.0]);
        let typical = Signals::new("how do I read a file", 6, &even, 9.0, 0.0);
        assert_eq!((typical.foreign, typical.code, typical.lead), (0.0, 0.0, 0.5));
        assert_eq!(typical.dense_weight(), DENSE_WEIGHT);
        let leading = Signals::new("how do I read a file", 6, &list(&[2.0, 0.1]), 9.0, 0.0);
        assert!(leading.dense_weight() < typical.dense_weight());
        let foreign = Signals::new("как читать файл", 13, &even, 9.0, 0.0);
        assert_eq!(foreign.dense_weight(), 0.0);
        let over_code = Signals::new("how do I read a file", 6, &even, 9.0, 0.1);
        assert_eq!(over_code.dense_weight(), CODE_DENSE_WEIGHT);
        let query_in_code = Signals::new("where is read_file called", 6, &even, 9.0, 0.1);
        assert_eq!(query_in_code.code, 0.0);
    }

    #[test]
    fn code_has_more_code_punctuation_than_prose() {
        assert!(code_share("fn main() { println!(\"{}\", x[0]); }") > CODE_SHARE);
        assert!(code_share("The quick brown fox jumps over the lazy dog, and the dog sleeps on.") < 0.01);
        assert_eq!(code_share(""), 0.0);
        assert!(is_code("HashMap::new") && is_code("getUser") && !is_code("What does it do?"));
    }
}
