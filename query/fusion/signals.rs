//! What is known, when a question is asked, of how far either retriever can be trusted with it.
//!
//! Each signal was found by asking where one half beats the other on collections of different kinds; docs/retrieval.md has the
//! figures. They say something of the question and of what was found, never of a collection.

use autorag_store::Candidate;

/// Tokens a word from which on the model begins not to know the language: English has 1.0 to 1.5, German 2.2, …
const KNOWN: f32 = 1.5;
/// … and so many more until it knows nothing of it: Russian has 6, Chinese a word of many characters.
const UNKNOWN_AFTER: f32 = 2.5;
/// Share of code's punctuation in a text that is code. In prose it is below 0.01.
const CODE: f32 = 0.05;
/// A question is decided by its words where the tenth lexical hit has half the score of the first.
const USUAL_LEAD: f32 = 0.5;
/// Rank that the lead is measured against.
const LEAD_OVER: usize = 10;
/// How much of a text tells whether it is code, bytes.
const SAMPLE: usize = 2000;

/// Weight of the dense list where no signal speaks.
const DENSE_WEIGHT: f32 = 0.5;
/// Its weight for a question in prose over code, whose words differ from the question's.
const CODE_WEIGHT: f32 = 0.8;
/// How much a lexical list that is decided takes from it, for all of the lead.
const LEAD_EFFECT: f32 = 0.4;

/// Signals of one question, each from 0 to 1, and the weight they come to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Signals {
    /// How little the model knows of the question's language or script, from the pieces it has to cut its words into.
    pub foreign: f32,
    /// How much the nearest passages are code, where the question is not.
    pub code: f32,
    /// How far the first lexical hit is ahead of the tenth: near 1 where few passages have the question's words.
    pub lead: f32,
    /// BM25 of an imaginary passage that has every word of the question over and over.
    pub lexical_ceiling: f32,
    /// Share of the passages that have no vector yet: what the dense list does not have may be near all the same.
    pub missing: f32,
}

impl Signals {
    /// Reads the signals of a question of `tokens` tokens.
    ///
    /// `near_code` is the [`code_share`] of the passages that the dense retriever found first.
    pub fn new(
        query: &str,
        tokens: usize,
        lexical: &[Candidate],
        lexical_ceiling: f32,
        near_code: f32,
    ) -> Signals {
        let words = query
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .count();
        let marks = query
            .chars()
            .filter(|c| !c.is_alphanumeric() && !c.is_whitespace())
            .count();
        let pieces = tokens.saturating_sub(marks) as f32 / words.max(1) as f32;
        let lead = match (lexical.first(), lexical.get(LEAD_OVER - 1)) {
            (Some(first), Some(later)) if first.score > 0.0 => 1.0 - later.score / first.score,
            (Some(_), None) => 1.0,
            _ => 0.0,
        };
        Signals {
            foreign: ((pieces - KNOWN) / UNKNOWN_AFTER).clamp(0.0, 1.0),
            code: if is_code(query) {
                0.0
            } else {
                (near_code / CODE).clamp(0.0, 1.0)
            },
            lead: lead.clamp(0.0, 1.0),
            lexical_ceiling,
            missing: 0.0,
        }
    }

    /// [`Signals::dense_weight`] for a candidate that the dense list does not have, which it speaks of only so far as it would have
    /// had a vector.
    pub(crate) fn dense_weight_unseen(&self) -> f32 {
        self.dense_weight() * (1.0 - self.missing)
    }

    /// How much the dense list counts, from 0 to 1; the lexical one has the rest.
    pub fn dense_weight(&self) -> f32 {
        let prose = DENSE_WEIGHT - LEAD_EFFECT * (self.lead - USUAL_LEAD);
        let known = prose * (1.0 - self.code) + CODE_WEIGHT * self.code;
        (known * (1.0 - self.foreign)).clamp(0.0, 1.0)
    }
}

/// The share of a text that is code's punctuation.
pub(crate) fn code_share(text: &str) -> f32 {
    let sample = &text[..text.floor_char_boundary(SAMPLE)];
    let (mut marks, mut characters) = (0, 0);
    for c in sample.chars() {
        characters += 1;
        marks += usize::from("(){}[]=_;<>|&*/\\#\"'".contains(c));
    }
    marks as f32 / characters.max(1) as f32
}

/// Whether a question names things as code does: `snake_case`, `camelCase`, `a::b`, `f(`.
fn is_code(query: &str) -> bool {
    let humps = query
        .as_bytes()
        .windows(2)
        .any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    humps || query.contains(['_', '(', '{', '=', ';']) || query.contains("::")
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
    fn each_signal_moves_the_weight_its_way() {
        let even = list(&[2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.0]);
        let usual = Signals::new("how do I read a file", 6, &even, 9.0, 0.0);
        assert_eq!((usual.foreign, usual.code, usual.lead), (0.0, 0.0, 0.5));
        assert_eq!(usual.dense_weight(), DENSE_WEIGHT);
        let decided = Signals::new("how do I read a file", 6, &list(&[2.0, 0.1]), 9.0, 0.0);
        assert!(decided.dense_weight() < usual.dense_weight());
        let foreign = Signals::new("как читать файл", 13, &even, 9.0, 0.0);
        assert_eq!(foreign.dense_weight(), 0.0);
        let over_code = Signals::new("how do I read a file", 6, &even, 9.0, 0.1);
        assert_eq!(over_code.dense_weight(), CODE_WEIGHT);
        let of_code = Signals::new("where is read_file called", 6, &even, 9.0, 0.1);
        assert_eq!(of_code.code, 0.0);
    }

    #[test]
    fn code_is_told_from_prose() {
        assert!(code_share("fn main() { println!(\"{}\", x[0]); }") > CODE);
        assert!(code_share("The quick brown fox jumps over the lazy dog, and the dog sleeps on.") < 0.01);
        assert_eq!(code_share(""), 0.0);
        assert!(is_code("HashMap::new") && is_code("getUser") && !is_code("What does it do?"));
    }
}
