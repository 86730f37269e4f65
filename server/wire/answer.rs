//! Answers on the wire.

use autorag_query::{Answer, Boosted, Degraded, Duplicate, Hit, SnippetPart, StageTimes};
use autorag_store::Span;
use schemars::JsonSchema;
use serde::Serialize;
use utoipa::ToSchema;

use super::explanation::ExplanationWire;
use super::{DocumentWire, IndexStateWire};
/// Hits for a query, with all that is needed to judge them.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Answer)]
pub struct AnswerWire {
    /// The query as asked.
    pub query: String,
    /// Which retrievers were asked for.
    pub mode: &'static str,
    /// Best first.
    pub hits: Vec<HitWire>,
    /// What the threshold left out; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below_threshold: Option<BelowThresholdWire>,
    /// How the two lists were joined; absent where only one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fusion: Option<FusionWire>,
    /// What did not take part, or not fully.
    pub degraded: Vec<DegradedWire>,
    /// How much of the corpus could be seen.
    pub index_state: IndexStateWire,
    /// Microseconds by stage.
    pub took_us: TookWire,
}

/// Passages that a threshold left out. No hits, and some of these: something was found, and nothing of it is relevant.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = BelowThreshold)]
pub struct BelowThresholdWire {
    /// How many, of those that the retrievers proposed.
    pub passages: u64,
    /// The best score among them.
    pub best_score: f32,
}

/// How the two lists were joined, and what it rests on.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Fusion)]
pub struct FusionWire {
    /// `weighted`, `rrf` or `max`.
    pub method: &'static str,
    /// How much the dense list counts in the method `weighted`, from 0 to 1; the lexical one has the rest.
    pub dense_weight: f32,
    /// How little the model knows of the question's language or script, from 0 to 1.
    pub foreign: f32,
    /// How much the nearest passages are code while the question is prose, from 0 to 1.
    pub code: f32,
    /// How far the first lexical hit is ahead of the tenth, from 0 to 1.
    pub lead: f32,
    /// BM25 of an imaginary passage that has every word of the question over and over.
    pub lexical_ceiling: f32,
}

/// A passage that answers.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Hit)]
pub struct HitWire {
    /// The passage's id. It changes when the document does; a citation stays checkable.
    pub id: String,
    /// Place in the whole list, from 1; a second page goes on counting.
    pub rank: u32,
    /// How likely the passage answers, from 0 to 1, on one scale for all questions.
    pub score: f32,
    /// The whole passage, with its neighbours where `context_expansion` asks for them.
    pub text: String,
    /// The part that matches best, in pieces to be marked or not.
    pub snippet: Vec<SnippetWire>,
    /// Where `text` stands.
    pub citation: CitationWire,
    /// Where the passage that matches stands within it; absent where `text` is that passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passage: Option<SpanWire>,
    /// Whether the file is still as it was indexed: `current`, `stale` or `deleted`.
    pub freshness: &'static str,
    /// Raw scores and ranks of each retriever.
    pub scores: ScoresWire,
    /// Why it is where it is; only where `explain` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<ExplanationWire>,
    /// Where the same is said again, further down the ranking; absent where it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duplicates: Vec<DuplicateWire>,
    /// The document it is from.
    pub document: DocumentWire,
}

/// A passage that says the same as a hit.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Duplicate)]
pub struct DuplicateWire {
    /// Its document.
    pub path: String,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, from 1.
    pub end_line: u32,
}

/// A piece of a snippet.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = SnippetPart)]
pub struct SnippetWire {
    /// The piece.
    pub text: String,
    /// Present and true where it matches a term of the query.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub highlight: bool,
}

/// Where a passage stands: it is `text[start_byte..end_byte]` of the document's extracted text.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Citation)]
pub struct CitationWire {
    /// The document's key: its path within the source.
    pub path: String,
    /// First byte in the extracted text, from 0.
    pub start_byte: usize,
    /// One past the last byte.
    pub end_byte: usize,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, from 1.
    pub end_line: u32,
    /// Page, in formats that have pages.
    pub page: Option<u32>,
    /// Headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// BLAKE3 of the file's bytes as indexed.
    pub content_hash: String,
}

/// A part of a document's extracted text.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Span)]
pub struct SpanWire {
    /// First byte, from 0.
    pub start_byte: usize,
    /// One past the last byte.
    pub end_byte: usize,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, from 1.
    pub end_line: u32,
    /// Page, in formats that have pages.
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

/// Raw scores and ranks beside the fused score.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Scores)]
pub struct ScoresWire {
    /// BM25, where the lexical retriever proposed the passage.
    pub lexical: Option<f32>,
    /// Its rank there, from 1.
    pub lexical_rank: Option<u32>,
    /// Cosine, where the dense retriever proposed the passage.
    pub dense: Option<f32>,
    /// Its rank there, from 1.
    pub dense_rank: Option<u32>,
    /// The score of fusion, which the order comes from; that of the one retriever where only one was asked.
    pub fused: f32,
    /// How the two were joined: `weighted`, `rrf` or `max`; `none` where only one was asked.
    pub fusion: &'static str,
    /// The reranker's score, from 0 to 1; absent where it gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<f32>,
    /// Rank before reranking; absent where the reranker gave no score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_before_rerank: Option<u32>,
    /// Rank before boosts; absent without them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_before_boosts: Option<u32>,
    /// What each boost did, in their order; absent without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boosts: Vec<BoostedWire>,
}

/// What a boost did for a hit.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = BoostEffect)]
pub struct BoostedWire {
    /// How well the document does by it, from 0 to 1.
    pub strength: f32,
    /// What the odds of relevance were multiplied with for the order.
    pub odds: f32,
}

impl From<Boosted> for BoostedWire {
    fn from(boosted: Boosted) -> BoostedWire {
        BoostedWire {
            strength: boosted.strength,
            odds: boosted.odds,
        }
    }
}

/// A part of the search that did not take part, or not fully.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Degradation)]
pub struct DegradedWire {
    /// Which part: `index`, `dense`, `query` or `rerank`.
    pub part: &'static str,
    /// Why.
    pub reason: String,
}

/// Microseconds by stage; `lexical` runs beside `embed` and `dense`.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = StageTimes)]
pub struct TookWire {
    /// Compiling the filter.
    pub filter: u64,
    /// Embedding the query.
    pub embed: u64,
    /// Asking the lexical index.
    pub lexical: u64,
    /// Asking the vectors.
    pub dense: u64,
    /// Joining the lists.
    pub fuse: u64,
    /// Waiting for the reranker.
    pub rerank: u64,
    /// Loading texts, cutting snippets, checking freshness.
    pub load: u64,
    /// All of it, as waited for.
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
            degraded: answer.degraded.into_iter().map(DegradedWire::from).collect(),
            index_state: IndexStateWire::from(answer.index_state),
            took_us: TookWire::from(answer.took),
        }
    }
}

impl HitWire {
    fn new(hit: Hit, fusion: &'static str) -> HitWire {
        let (passage, document) = (hit.passage, hit.document);
        let original = hit.context.is_some().then(|| SpanWire::from(passage.span));
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
            passage: original,
            text,
            freshness: hit.freshness.as_str(),
            scores: ScoresWire {
                lexical: hit.lexical.map(|place| place.score),
                lexical_rank: hit.lexical.map(|place| place.rank),
                dense: hit.dense.map(|place| place.score),
                dense_rank: hit.dense.map(|place| place.rank),
                fused: hit.fused,
                fusion,
                rerank: hit.reranked.map(|(_, score)| score),
                rank_before_rerank: hit.reranked.map(|(rank, _)| rank),
                rank_before_boosts: hit.boosted.as_ref().map(|(rank, _)| *rank),
                boosts: hit
                    .boosted
                    .map(|(_, each)| each.into_iter().map(BoostedWire::from).collect())
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

impl From<Degraded> for DegradedWire {
    fn from(degraded: Degraded) -> DegradedWire {
        DegradedWire {
            part: degraded.part.as_str(),
            reason: degraded.reason,
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
