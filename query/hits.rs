//! Hits: selected passages with their scores, snippet, context and freshness.

use std::sync::Arc;

use autorag_store::{DocumentEntry, Highlighter, Passage, Snapshot};

use crate::context::{Contexts, Position, load_contexts};
use crate::explanation::explain;
use crate::fusion::Scales;
use crate::ranking::Ranking;
use crate::selection::{SelectedPassage, Selection};
use crate::{Context, Duplicate, Engine, Hit, QueryError, Request, snippet};

/// The hits of a page.
pub(crate) struct Page {
    /// Best first.
    pub hits: Vec<Hit>,
    /// False if a passage was pruned from the catalog during the search.
    pub is_complete: bool,
}

/// Turns the passages of a selection into hits.
pub(crate) fn build_hits(
    engine: &Engine,
    snapshot: &Snapshot,
    request: &Request,
    selection: Selection,
    ranking: &Ranking,
    scales: Scales,
) -> Result<Page, QueryError> {
    let page = selection.page.into_iter();
    let passages: Vec<(SelectedPassage, Arc<DocumentEntry>)> = page
        .filter_map(|selected| {
            let document = snapshot.document_by_id(selected.passage.document)?;
            Some((selected, document))
        })
        .collect();
    let positions: Vec<Position> = passages
        .iter()
        .map(|(selected, document)| Position {
            document: document.id,
            ordinal: selected.passage.ordinal,
            passages: document.passages,
        })
        .collect();
    let Contexts {
        contexts,
        is_complete,
    } = load_contexts(snapshot, &positions, request.context_expansion)?;
    let mut builder = HitBuilder {
        engine,
        snapshot,
        request,
        ranking,
        scales,
        highlighter: snapshot.highlighter(&request.query),
    };
    let hits = passages
        .into_iter()
        .zip(contexts)
        .map(|((selected, document), context)| builder.build(selected, document, context));
    Ok(Page {
        hits: hits.collect::<Result<_, _>>()?,
        is_complete: selection.is_complete && is_complete,
    })
}

struct HitBuilder<'a> {
    engine: &'a Engine,
    snapshot: &'a Snapshot,
    request: &'a Request,
    ranking: &'a Ranking,
    scales: Scales,
    highlighter: Highlighter,
}

impl HitBuilder<'_> {
    fn build(
        &mut self,
        selected: SelectedPassage,
        document: Arc<DocumentEntry>,
        context: Option<Context>,
    ) -> Result<Hit, QueryError> {
        let (candidate, passage) = (selected.candidate, selected.passage);
        let explanation = if self.request.explain {
            Some(explain(
                self.snapshot,
                self.request,
                &candidate,
                &passage,
                &document,
                &self.scales,
            )?)
        } else {
            None
        };
        let matches = self.highlighter.ranges(&passage.text);
        let duplicates = selected.duplicates.into_iter();
        Ok(Hit {
            rank: selected.rank,
            score: candidate.relevance,
            fused: candidate.score,
            context,
            snippet: snippet::cut(&passage.text, &matches),
            freshness: self.engine.freshness(&document),
            rerank: self.ranking.reranking.scores.get(&passage.id).copied(),
            boosts: self.ranking.boosts.get(&passage.id).cloned(),
            explanation,
            duplicates: duplicates
                .filter_map(|passage| self.duplicate(&passage))
                .collect(),
            lexical: candidate.lexical,
            dense: candidate.dense,
            passage,
            document,
        })
    }

    /// `None` if the document was removed during the search.
    fn duplicate(&self, passage: &Passage) -> Option<Duplicate> {
        Some(Duplicate {
            key: self.snapshot.document_by_id(passage.document)?.key.clone(),
            span: passage.span,
        })
    }
}
