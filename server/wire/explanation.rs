//! JSON of explanations.

use autorag_query::{Explanation, NormalizedScore};
use autorag_store::TermMatch;
use schemars::JsonSchema;
use serde::Serialize;
use utoipa::ToSchema;

/// How a hit got its rank.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Explanation)]
pub struct ExplanationWire {
    /// Terms of the query, and where they occur.
    pub terms: Vec<TermWire>,
    /// Its BM25 score on a scale from 0 to 1. Absent if the passage is not a lexical candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lexical: Option<NormalizedScoreWire>,
    /// Its cosine similarity on a scale from 0 to 1. Absent if the passage is not a dense candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense: Option<NormalizedScoreWire>,
}

/// A term of the query, and where it occurs.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = TermMatch)]
pub struct TermWire {
    /// The term as typed.
    pub word: String,
    /// Share of the term in the weight of all terms, from 0 to 1. Rare terms weigh more.
    pub share: f32,
    /// Number of passages in the corpus that contain the term.
    pub passages: u64,
    /// Occurrences in the text of the passage.
    pub in_text: u32,
    /// True if the title of the document contains the term.
    pub in_title: bool,
    /// True if a heading above the passage contains the term.
    pub in_headings: bool,
    /// True if the path of the document contains the term.
    pub in_path: bool,
}

/// The score of a retriever on two scales from 0 to 1. The fusion method `weighted` uses their mean.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = RelativeScore)]
pub struct NormalizedScoreWire {
    /// Relative to the best candidate.
    pub relative: f32,
    /// Relative to the highest score that the query can reach.
    pub absolute: f32,
}

impl From<Explanation> for ExplanationWire {
    fn from(explanation: Explanation) -> ExplanationWire {
        ExplanationWire {
            terms: explanation.terms.into_iter().map(TermWire::from).collect(),
            lexical: explanation.lexical.map(NormalizedScoreWire::from),
            dense: explanation.dense.map(NormalizedScoreWire::from),
        }
    }
}

impl From<TermMatch> for TermWire {
    fn from(term: TermMatch) -> TermWire {
        let TermMatch {
            word,
            share,
            passages,
            in_text,
            in_title,
            in_headings,
            in_path,
        } = term;
        TermWire {
            word,
            share,
            passages,
            in_text,
            in_title,
            in_headings,
            in_path,
        }
    }
}

impl From<NormalizedScore> for NormalizedScoreWire {
    fn from(score: NormalizedScore) -> NormalizedScoreWire {
        NormalizedScoreWire {
            relative: score.relative,
            absolute: score.absolute,
        }
    }
}
