//! Explanations on the wire.

use autorag_query::{Explanation, Standing};
use autorag_store::TermMatch;
use schemars::JsonSchema;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a hit is where it is.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Explanation)]
pub struct ExplanationWire {
    /// The words of the question, and where the passage has them.
    pub terms: Vec<TermWire>,
    /// What its BM25 amounts to; absent where the lexical retriever did not propose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lexical: Option<StandingWire>,
    /// What its cosine amounts to; absent where the dense retriever did not propose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense: Option<StandingWire>,
}

/// A word of the question.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = TermMatch)]
pub struct TermWire {
    /// As it was typed.
    pub word: String,
    /// Its part in what all words of the question are worth, from 0 to 1: the rarer, the more.
    pub share: f32,
    /// How many passages of the corpus have it.
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

/// A retriever's score on a scale from 0 to 1, in two ways; the fusion `weighted` takes their mean.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = RelativeScore)]
pub struct StandingWire {
    /// Against the best of its list.
    pub relative: f32,
    /// Against what the question could reach at most.
    pub absolute: f32,
}

impl From<Explanation> for ExplanationWire {
    fn from(explanation: Explanation) -> ExplanationWire {
        ExplanationWire {
            terms: explanation.terms.into_iter().map(TermWire::from).collect(),
            lexical: explanation.lexical.map(StandingWire::from),
            dense: explanation.dense.map(StandingWire::from),
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

impl From<Standing> for StandingWire {
    fn from(standing: Standing) -> StandingWire {
        StandingWire {
            relative: standing.relative,
            absolute: standing.absolute,
        }
    }
}
