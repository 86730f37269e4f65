//! Selection of the passages on a page: collapses duplicates and limits the passages of a document.

use std::collections::HashMap;

use autorag_store::{DocumentId, DocumentSet, Passage, PassageId, Snapshot};

use crate::duplicates::Shingles;
use crate::fusion::FusedCandidate;
use crate::retrieval::load_passages;
use crate::{QueryError, Request};

/// Default of [`Request::max_per_document`]. It leaves room for an answer that is spread over a page, and keeps a long document from
/// filling the list. docs/retrieval.md compares other limits.
const DEFAULT_PER_DOCUMENT: usize = 3;
/// Below this number of documents there is no limit by default, because other documents could not fill the page.
const FEW_DOCUMENTS: u64 = 10;
/// Minimum number of candidates whose texts are loaded at once.
const BATCH: usize = 24;

/// A passage on the page.
pub(crate) struct SelectedPassage {
    pub candidate: FusedCandidate,
    /// Rank from 1, counted over all pages.
    pub rank: u32,
    pub passage: Passage,
    /// Near-duplicates that ranked below it.
    pub duplicates: Vec<Passage>,
    shingles: Shingles,
}

/// The passages of the requested page.
pub(crate) struct Selection {
    /// Best first.
    pub page: Vec<SelectedPassage>,
    /// False if a candidate was pruned from the catalog during the search.
    pub is_complete: bool,
}

/// Goes down the ranking until the page is full.
///
/// Duplicates and the limit per document count from the top of the ranking, not of the page. Consecutive pages therefore
/// neither repeat nor omit a passage. Texts in `loaded` are not loaded again.
pub(crate) fn select(
    snapshot: &Snapshot,
    request: &Request,
    candidates: &[FusedCandidate],
    within: Option<&DocumentSet>,
    mut loaded: HashMap<PassageId, Passage>,
) -> Result<Selection, QueryError> {
    let limit = limit_per_document(request, within, snapshot.counts().documents);
    let wanted = request.offset + request.limit;
    let mut selected: Vec<SelectedPassage> = Vec::new();
    let mut per_document: HashMap<DocumentId, usize> = HashMap::new();
    let mut is_complete = true;
    for batch in candidates.chunks(BATCH.max(request.limit * 2)) {
        if selected.len() >= wanted {
            break;
        }
        let ids = batch.iter().map(|candidate| candidate.passage);
        load_passages(snapshot, ids, &mut loaded)?;
        for candidate in batch {
            let Some(passage) = loaded.remove(&candidate.passage) else {
                is_complete = false;
                continue;
            };
            let shingles = Shingles::of(&passage.text);
            let mut higher = selected.iter_mut();
            let original =
                higher.find(|shown| request.collapse_duplicates && shown.shingles.resembles(&shingles));
            if let Some(original) = original {
                original.duplicates.push(passage);
                continue;
            }
            // With a full page, the remaining candidates of the batch are only checked for duplicates.
            let count = per_document.entry(passage.document).or_default();
            if selected.len() >= wanted || *count >= limit {
                continue;
            }
            *count += 1;
            selected.push(SelectedPassage {
                candidate: *candidate,
                rank: selected.len() as u32 + 1,
                passage,
                duplicates: Vec::new(),
                shingles,
            });
        }
    }
    let page = selected.split_off(request.offset.min(selected.len()));
    Ok(Selection { page, is_complete })
}

/// Maximum number of passages from one document.
fn limit_per_document(request: &Request, within: Option<&DocumentSet>, documents: u64) -> usize {
    match request.max_per_document {
        Some(0) => usize::MAX,
        Some(limit) => limit,
        None if within.map_or(documents, DocumentSet::len) < FEW_DOCUMENTS => usize::MAX,
        None => DEFAULT_PER_DOCUMENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{TestIndex, ranking};

    /// Text and number of duplicates of each passage on the page. The ranking is the order of all passages.
    fn page(index: &TestIndex, request: &Request) -> Vec<(String, usize)> {
        let snapshot = index.snapshot();
        let selection = select(
            &snapshot,
            request,
            &ranking(&index.passages()),
            None,
            HashMap::new(),
        )
        .unwrap();
        assert!(selection.is_complete);
        let shown = selection
            .page
            .iter()
            .map(|selected| (selected.passage.text.clone(), selected.duplicates.len()));
        shown.collect()
    }

    fn request(limit: usize, max_per_document: Option<usize>) -> Request {
        Request {
            limit,
            max_per_document,
            ..Request::new("x")
        }
    }

    #[test]
    fn a_duplicate_collapses_into_the_passage_that_ranks_above_it() {
        let index = TestIndex::of_lines(&[
            (
                "a.md",
                "stop the service and copy the data folder\nanother thing entirely",
            ),
            ("b.md", "Stop the service, and copy the data folder!"),
        ]);
        let first = "stop the service and copy the data folder".to_owned();
        let second = "another thing entirely".to_owned();
        assert_eq!(
            page(&index, &request(10, None)),
            [(first, 1), (second, 0)],
            "the order of the ranking is kept"
        );
        let apart = Request {
            collapse_duplicates: false,
            ..request(10, None)
        };
        assert_eq!(page(&index, &apart).len(), 3);
    }

    #[test]
    fn loaded_passages_are_not_loaded_again() {
        let index = TestIndex::of_lines(&[("a.md", "one apple\ntwo pears")]);
        let snapshot = index.snapshot();
        let passages = index.passages();
        let mut passage = snapshot.passages(&passages[..1]).unwrap().remove(0);
        passage.text = "already loaded".into();
        let loaded = HashMap::from([(passage.id, passage)]);
        let selection = select(&snapshot, &Request::new("x"), &ranking(&passages), None, loaded).unwrap();
        let texts: Vec<&str> = selection
            .page
            .iter()
            .map(|shown| shown.passage.text.as_str())
            .collect();
        assert_eq!(texts, ["already loaded", "two pears"]);
    }

    #[test]
    fn the_limit_per_document_lets_other_documents_in() {
        let index = TestIndex::of_lines(&[
            (
                "long.md",
                "one apple\ntwo pears\nthree plums\nfour cherries\nfive figs",
            ),
            ("short.md", "six quinces"),
        ]);
        let shown = |max| -> Vec<String> {
            let page = page(&index, &request(3, max));
            page.into_iter().map(|(text, _)| text).collect()
        };
        assert_eq!(shown(Some(1)), ["one apple", "six quinces"]);
        assert_eq!(shown(Some(2)), ["one apple", "two pears", "six quinces"]);
        assert_eq!(shown(Some(0)), ["one apple", "two pears", "three plums"]);
        assert_eq!(
            shown(None),
            shown(Some(0)),
            "there is no default limit with few documents"
        );
    }

    #[test]
    fn pages_neither_repeat_nor_omit_a_passage() {
        let lines: Vec<String> = (0..80)
            .map(|n| format!("line {} of many {}", n / 2, n / 2 * 7))
            .collect();
        let index = TestIndex::of_lines(&[("a.md", &lines.join("\n"))]);
        let all = page(&index, &request(40, None));
        assert_eq!(all.len(), 40);
        let pages: Vec<(String, usize)> = (0..4)
            .flat_map(|number| {
                let request = Request {
                    offset: number * 10,
                    ..request(10, None)
                };
                page(&index, &request)
            })
            .collect();
        let texts = |page: &[(String, usize)]| page.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&pages), texts(&all));
    }
}
