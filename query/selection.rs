//! From the ranking to the passages that are shown: repetitions folded, and no document with more than its share.

use std::collections::HashMap;

use autorag_store::{DocumentId, DocumentSet, Passage, PassageId, Snapshot};

use crate::duplicates::Shingles;
use crate::retrieval::read_passages;
use crate::{FusedCandidate, QueryError, Request};

/// Most passages of a document where the request does not say: enough for an answer that is spread over a page, and few enough
/// that a long document does not fill the list. docs/retrieval.md has the figures.
const DEFAULT_PER_DOCUMENT: usize = 3;
/// Of fewer documents than this, none is held back unless the request says so: there would be little to fill the page with.
const FEW_DOCUMENTS: u64 = 10;
/// Fewest candidates whose texts are loaded at once.
const BATCH: usize = 24;

/// A passage to be shown.
pub(crate) struct Selected {
    /// What the retrievers made of it.
    pub candidate: FusedCandidate,
    /// Place in the whole list, from 1.
    pub rank: u32,
    /// Its text and place.
    pub passage: Passage,
    /// Passages ranked after it that say the same.
    pub duplicates: Vec<Passage>,
    shingles: Shingles,
}

/// The passages of the page that the request asks for.
pub(crate) struct Selection {
    /// Best first.
    pub page: Vec<Selected>,
    /// Whether the catalog still had every passage that was looked at.
    pub whole: bool,
}

/// Goes down the ranking until the page is full. What is left out of a page is left out whatever page is asked for, so that
/// pages fit together. Passages that were `read` are not read again.
pub(crate) fn select(
    snapshot: &Snapshot,
    request: &Request,
    candidates: &[FusedCandidate],
    within: Option<&DocumentSet>,
    mut read: HashMap<PassageId, Passage>,
) -> Result<Selection, QueryError> {
    let most = most_per_document(request, within, snapshot.counts().documents);
    let wanted = request.offset + request.limit;
    let mut kept: Vec<Selected> = Vec::new();
    let mut of_document: HashMap<DocumentId, usize> = HashMap::new();
    let mut whole = true;
    for batch in candidates.chunks(BATCH.max(request.limit * 2)) {
        if kept.len() >= wanted {
            break;
        }
        read_passages(
            snapshot,
            batch.iter().map(|candidate| candidate.passage),
            &mut read,
        )?;
        for candidate in batch {
            let Some(passage) = read.remove(&candidate.passage) else {
                whole = false;
                continue;
            };
            let shingles = Shingles::of(&passage.text);
            let mut before = kept.iter_mut();
            let same = before.find(|kept| request.collapse_duplicates && kept.shingles.repeats(&shingles));
            if let Some(same) = same {
                same.duplicates.push(passage);
                continue;
            }
            // The rest of the batch is looked at for repetitions alone.
            let taken = of_document.entry(passage.document).or_default();
            if kept.len() >= wanted || *taken >= most {
                continue;
            }
            *taken += 1;
            kept.push(Selected {
                candidate: *candidate,
                rank: kept.len() as u32 + 1,
                passage,
                duplicates: Vec::new(),
                shingles,
            });
        }
    }
    let page = kept.split_off(request.offset.min(kept.len()));
    Ok(Selection { page, whole })
}

/// How many passages a document may show.
fn most_per_document(request: &Request, within: Option<&DocumentSet>, documents: u64) -> usize {
    match request.max_per_document {
        Some(0) => usize::MAX,
        Some(most) => most,
        None if within.map_or(documents, DocumentSet::len) < FEW_DOCUMENTS => usize::MAX,
        None => DEFAULT_PER_DOCUMENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Corpus, ranked};

    /// Documents whose passages are the lines of their texts.
    fn page(corpus: &Corpus, request: &Request) -> Vec<(String, usize)> {
        let snapshot = corpus.snapshot();
        let selection = select(
            &snapshot,
            request,
            &ranked(&corpus.passages()),
            None,
            HashMap::new(),
        )
        .unwrap();
        assert!(selection.whole);
        let shown = selection
            .page
            .iter()
            .map(|selected| (selected.passage.text.clone(), selected.duplicates.len()));
        shown.collect()
    }

    fn asking(limit: usize, max_per_document: Option<usize>) -> Request {
        Request {
            limit,
            max_per_document,
            ..Request::new("x")
        }
    }

    #[test]
    fn a_repetition_is_folded_into_the_first_that_says_it() {
        let corpus = Corpus::of_lines(&[
            (
                "a.md",
                "stop the service and copy the data folder\nanother thing entirely",
            ),
            ("b.md", "Stop the service, and copy the data folder!"),
        ]);
        let first = "stop the service and copy the data folder".to_owned();
        let second = "another thing entirely".to_owned();
        assert_eq!(
            page(&corpus, &asking(10, None)),
            [(first, 1), (second, 0)],
            "in the order of the ranking"
        );
        let apart = Request {
            collapse_duplicates: false,
            ..asking(10, None)
        };
        assert_eq!(page(&corpus, &apart).len(), 3);
    }

    #[test]
    fn what_was_read_on_the_way_is_not_read_again() {
        let corpus = Corpus::of_lines(&[("a.md", "one apple\ntwo pears")]);
        let snapshot = corpus.snapshot();
        let passages = corpus.passages();
        let mut known = snapshot.passages(&passages[..1]).unwrap().remove(0);
        known.text = "as it was read".into();
        let read = HashMap::from([(known.id, known)]);
        let selection = select(&snapshot, &Request::new("x"), &ranked(&passages), None, read).unwrap();
        let texts: Vec<&str> = selection
            .page
            .iter()
            .map(|shown| shown.passage.text.as_str())
            .collect();
        assert_eq!(texts, ["as it was read", "two pears"]);
    }

    #[test]
    fn the_next_document_fills_the_page() {
        let corpus = Corpus::of_lines(&[
            (
                "long.md",
                "one apple\ntwo pears\nthree plums\nfour cherries\nfive figs",
            ),
            ("short.md", "six quinces"),
        ]);
        let shown = |most| -> Vec<String> {
            let page = page(&corpus, &asking(3, most));
            page.into_iter().map(|(text, _)| text).collect()
        };
        assert_eq!(shown(Some(1)), ["one apple", "six quinces"]);
        assert_eq!(shown(Some(2)), ["one apple", "two pears", "six quinces"]);
        assert_eq!(shown(Some(0)), ["one apple", "two pears", "three plums"]);
        assert_eq!(
            shown(None),
            shown(Some(0)),
            "among few documents none is held back"
        );
    }

    #[test]
    fn pages_fit_together() {
        let lines: Vec<String> = (0..80)
            .map(|n| format!("line {} of many {}", n / 2, n / 2 * 7))
            .collect();
        let corpus = Corpus::of_lines(&[("a.md", &lines.join("\n"))]);
        let all = page(&corpus, &asking(40, None));
        assert_eq!(all.len(), 40);
        let pages: Vec<(String, usize)> = (0..4)
            .flat_map(|number| {
                let request = Request {
                    offset: number * 10,
                    ..asking(10, None)
                };
                page(&corpus, &request)
            })
            .collect();
        let texts = |page: &[(String, usize)]| page.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&pages), texts(&all));
    }
}
