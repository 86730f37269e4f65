//! JSON of search results.

use autorag_query::{Answer, BoostEffect, Degradation, Duplicate, Hit, SnippetPart, StageTimes};
use autorag_store::Span;
use schemars::JsonSchema;
use serde::Serialize;
use utoipa::ToSchema;

use super::explanation::ExplanationWire;
use super::{DocumentWire, IndexStateWire};
use crate::hint::of_degradation;

/// The response to a search.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Answer)]
pub struct AnswerWire {
    /// The query as sent.
    pub query: String,
    /// The requested mode: `hybrid`, `lexical` or `dense`.
    pub mode: &'static str,
    /// Hits, best first.
    pub hits: Vec<HitWire>,
    /// Passages below the score threshold. Absent without a threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below_threshold: Option<BelowThresholdWire>,
    /// How the two rankings were fused. Absent if only one retriever was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fusion: Option<FusionWire>,
    /// Parts of the search that failed or were incomplete.
    pub degraded: Vec<DegradationWire>,
    /// How much of the corpus was searchable.
    pub index_state: IndexStateWire,
    /// Time of each stage, in microseconds.
    pub took_us: TookWire,
}

/// Passages below the score threshold. If there are some but no hits, passages were found, but none of them is relevant.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = BelowThreshold)]
pub struct BelowThresholdWire {
    /// Number of such passages among the candidates of the retrievers.
    pub passages: u64,
    /// Best score among them, from 0 to 1.
    pub best_score: f32,
}

/// How the two rankings were fused. The signals are those that set the weights of the method `weighted`.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Fusion)]
pub struct FusionWire {
    /// Fusion method: `weighted`, `rrf` or `max`.
    pub method: &'static str,
    /// Weight of the dense ranking in the method `weighted`, from 0 to 1. The lexical weight is 1 minus this.
    pub dense_weight: f32,
    /// How foreign the query's language or script is to the model, from 0 to 1.
    pub foreign: f32,
    /// Share of code among the nearest passages of a query in prose, from 0 to 1.
    pub code: f32,
    /// Lead of the first lexical candidate over the tenth, from 0 to 1.
    pub lead: f32,
    /// Upper bound of the BM25 score for this query.
    pub lexical_ceiling: f32,
}

/// A passage that matches the query.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Hit)]
pub struct HitWire {
    /// Id of the passage. It changes when the document changes; use the citation to refer to the text.
    pub id: String,
    /// Rank in the whole result, from 1, independent of `offset`.
    pub rank: u32,
    /// Probability that the passage answers the query, from 0 to 1. Scores of different queries are comparable.
    pub score: f32,
    /// Text of the passage, with its neighbours if `context_expansion` is set.
    pub text: String,
    /// The best matching part, in pieces with or without highlight.
    pub snippet: Vec<SnippetWire>,
    /// Location of `text`.
    pub citation: CitationWire,
    /// Location of the matching passage. Absent if `text` has no neighbours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passage: Option<SpanWire>,
    /// State of the file compared with the index: `current`, `stale` (changed) or `deleted`.
    pub freshness: &'static str,
    /// Raw scores and ranks.
    pub scores: ScoresWire,
    /// Explanation of the rank. Absent unless `explain` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<ExplanationWire>,
    /// Duplicates of this passage with lower ranks. Absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duplicates: Vec<DuplicateWire>,
    /// The document of the passage.
    pub document: DocumentWire,
}

/// A passage with the same text as a hit.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Duplicate)]
pub struct DuplicateWire {
    /// Key of its document.
    pub path: String,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, from 1.
    pub end_line: u32,
}

/// A part of a snippet.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = SnippetPart)]
pub struct SnippetWire {
    /// Text of the part.
    pub text: String,
    /// True if the part matches a term of the query. Absent otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub highlight: bool,
}

/// Location of a text: bytes `start_byte..end_byte` of the document's extracted text.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Citation)]
pub struct CitationWire {
    /// Key of the document: its path within the source.
    pub path: String,
    /// Offset of the first byte in the extracted text, from 0.
    pub start_byte: usize,
    /// Offset after the last byte.
    pub end_byte: usize,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, from 1.
    pub end_line: u32,
    /// Page, slide, sheet or cell number, in formats that have them.
    pub page: Option<u32>,
    /// Headings above the passage, outermost first.
    pub heading_path: Vec<String>,
    /// BLAKE3 hash of the indexed file.
    pub content_hash: String,
}

/// A range of a document's extracted text.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Span)]
pub struct SpanWire {
    /// Offset of the first byte, from 0.
    pub start_byte: usize,
    /// Offset after the last byte.
    pub end_byte: usize,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, from 1.
    pub end_line: u32,
    /// Page, slide, sheet or cell number, in formats that have them.
    pub page: Option<u32>,
}

impl From<Span> for SpanWire {
    fn from(span: Span) -> SpanWire {
        let Span {
            start_byte,
            end_byte,
            start_line,
            end_line,
            page,
        } = span;
        SpanWire {
            start_byte,
            end_byte,
            start_line,
            end_line,
            page,
        }
    }
}

/// Raw scores and ranks of a hit.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Scores)]
pub struct ScoresWire {
    /// BM25 score. Null if the passage is not a lexical candidate.
    pub lexical: Option<f32>,
    /// Rank among the lexical candidates, from 1.
    pub lexical_rank: Option<u32>,
    /// Cosine similarity. Null if the passage is not a dense candidate.
    pub dense: Option<f32>,
    /// Rank among the dense candidates, from 1.
    pub dense_rank: Option<u32>,
    /// Fused score, by which hits are ordered. With one retriever, the score of that retriever.
    pub fused: f32,
    /// Fusion method: `weighted`, `rrf` or `max`; `none` with one retriever.
    pub fusion: &'static str,
    /// Score of the reranker, from 0 to 1. Absent if it did not score the passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<f32>,
    /// Rank before reranking. Absent if the reranker did not score the passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_before_rerank: Option<u32>,
    /// Rank before boosts. Absent without boosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_before_boosts: Option<u32>,
    /// Effect of each boost, in the order of the request. Absent without boosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boosts: Vec<BoostEffectWire>,
}

/// Effect of a boost on a hit.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = BoostEffect)]
pub struct BoostEffectWire {
    /// Strength of the boost for the document, from 0 to 1.
    pub strength: f32,
    /// Factor that multiplies the odds of relevance when hits are ordered.
    pub odds: f32,
}

impl From<BoostEffect> for BoostEffectWire {
    fn from(effect: BoostEffect) -> BoostEffectWire {
        BoostEffectWire {
            strength: effect.strength,
            odds: effect.odds,
        }
    }
}

/// A part of the search that failed or was incomplete.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Degradation)]
pub struct DegradationWire {
    /// The part: `index`, `lexical`, `dense`, `query` or `rerank`.
    pub part: &'static str,
    /// The reason, as a sentence.
    pub reason: String,
}

/// Time of each stage in microseconds. `lexical` runs in parallel with `embed` and `dense`.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = StageTimes)]
pub struct TookWire {
    /// Compiling the filter.
    pub filter: u64,
    /// Embedding the query.
    pub embed: u64,
    /// Searching the lexical index.
    pub lexical: u64,
    /// Searching the vectors.
    pub dense: u64,
    /// Fusing the rankings.
    pub fuse: u64,
    /// Waiting for the reranker.
    pub rerank: u64,
    /// Loading texts, making snippets, checking freshness.
    pub load: u64,
    /// The whole search, in wall time.
    pub total: u64,
}

impl From<Answer> for AnswerWire {
    fn from(answer: Answer) -> AnswerWire {
        let method = answer.fusion.map_or("none", |(fusion, _)| fusion.as_str());
        let fusion = answer.fusion.map(|(fusion, signals)| FusionWire {
            method: fusion.as_str(),
            dense_weight: signals.dense_weight(),
            foreign: signals.foreign,
            code: signals.code,
            lead: signals.lead,
            lexical_ceiling: signals.lexical_ceiling,
        });
        AnswerWire {
            query: answer.query,
            mode: answer.mode.as_str(),
            hits: answer
                .hits
                .into_iter()
                .map(|hit| HitWire::new(hit, method))
                .collect(),
            below_threshold: answer.below_threshold.map(|below| BelowThresholdWire {
                passages: below.passages,
                best_score: below.best_score,
            }),
            fusion,
            degraded: answer.degraded.into_iter().map(DegradationWire::from).collect(),
            index_state: IndexStateWire::from(answer.index_state),
            took_us: TookWire::from(answer.took),
        }
    }
}

impl HitWire {
    fn new(hit: Hit, fusion: &'static str) -> HitWire {
        let (passage, document) = (hit.passage, hit.document);
        let matching_span = hit.context.is_some().then(|| SpanWire::from(passage.span));
        let (span, text) = match hit.context {
            Some(context) => (context.span, context.text),
            None => (passage.span, passage.text),
        };
        HitWire {
            id: format!("p{}", passage.id.0),
            rank: hit.rank,
            score: hit.score,
            snippet: hit.snippet.into_iter().map(SnippetWire::from).collect(),
            citation: CitationWire {
                path: document.key.to_string(),
                start_byte: span.start_byte,
                end_byte: span.end_byte,
                start_line: span.start_line,
                end_line: span.end_line,
                page: span.page,
                heading_path: passage.heading_path,
                content_hash: document.source_hash.to_string(),
            },
            passage: matching_span,
            text,
            freshness: hit.freshness.as_str(),
            scores: ScoresWire {
                lexical: hit.lexical.map(|lexical| lexical.score),
                lexical_rank: hit.lexical.map(|lexical| lexical.rank),
                dense: hit.dense.map(|dense| dense.score),
                dense_rank: hit.dense.map(|dense| dense.rank),
                fused: hit.fused,
                fusion,
                rerank: hit.rerank.map(|rerank| rerank.score),
                rank_before_rerank: hit.rerank.map(|rerank| rerank.rank_before),
                rank_before_boosts: hit.boosts.as_ref().map(|boosts| boosts.rank_before),
                boosts: hit
                    .boosts
                    .map(|boosts| boosts.effects.into_iter().map(BoostEffectWire::from).collect())
                    .unwrap_or_default(),
            },
            explanation: hit.explanation.map(ExplanationWire::from),
            duplicates: hit.duplicates.into_iter().map(DuplicateWire::from).collect(),
            document: DocumentWire::from(document.as_ref()),
        }
    }
}

impl From<Duplicate> for DuplicateWire {
    fn from(duplicate: Duplicate) -> DuplicateWire {
        DuplicateWire {
            path: duplicate.key.into(),
            start_line: duplicate.span.start_line,
            end_line: duplicate.span.end_line,
        }
    }
}

impl From<SnippetPart> for SnippetWire {
    fn from(part: SnippetPart) -> SnippetWire {
        SnippetWire {
            text: part.text,
            highlight: part.highlight,
        }
    }
}

impl From<Degradation> for DegradationWire {
    fn from(degradation: Degradation) -> DegradationWire {
        let reason = match of_degradation(degradation.kind) {
            Some(hint) => format!("{}; {hint}", degradation.reason),
            None => degradation.reason,
        };
        DegradationWire {
            part: degradation.kind.part().as_str(),
            reason,
        }
    }
}

impl From<StageTimes> for TookWire {
    fn from(took: StageTimes) -> TookWire {
        let StageTimes {
            filter,
            embed,
            lexical,
            dense,
            fuse,
            rerank,
            load,
            total,
        } = took;
        TookWire {
            filter,
            embed,
            lexical,
            dense,
            fuse,
            rerank,
            load,
            total,
        }
    }
}
