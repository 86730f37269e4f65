//! Runs of consecutive passages of the same document. They locate the passages of given documents in a
//! segment.
//!
//! A tantivy document is a passage here, so `DocId` is the number of a passage within its segment.

use tantivy::{DocId, SegmentReader};

use crate::{DocumentId, DocumentSet};

/// With fewer than 1/SPARSE as many documents as runs, binary-search each document. Otherwise filter all runs.
const SPARSE: u64 = 16;

/// Consecutive passages of one document.
#[derive(Debug, Clone, Copy)]
struct DocRun {
    document: DocumentId,
    first: DocId,
    count: u32,
}

/// The runs of a segment, ordered by document.
#[derive(Debug, Default)]
pub(super) struct DocRuns(Vec<DocRun>);

impl DocRuns {
    /// Reads the runs of a segment. Runs include deleted passages, and therefore stay valid when more are
    /// deleted.
    pub(super) fn read(segment: &SegmentReader) -> tantivy::Result<DocRuns> {
        let documents = segment.fast_fields().u64("document")?;
        let mut runs: Vec<DocRun> = Vec::new();
        for doc in 0..segment.max_doc() {
            let Some(document) = documents.first(doc).and_then(|id| u32::try_from(id).ok()) else {
                continue;
            };
            let document = DocumentId(document);
            match runs.last_mut() {
                Some(run) if run.document == document && run.first + run.count == doc => run.count += 1,
                _ => runs.push(DocRun {
                    document,
                    first: doc,
                    count: 1,
                }),
            }
        }
        runs.sort_unstable_by_key(|run| (run.document, run.first));
        runs.shrink_to_fit();
        Ok(DocRuns(runs))
    }

    /// The passages of `documents`, in ascending order.
    pub(super) fn docs_of(&self, documents: &DocumentSet) -> Vec<DocId> {
        let mut docs = Vec::new();
        let mut add = |run: &DocRun| docs.extend(run.first..run.first + run.count);
        let (Some(lowest), Some(highest)) = (self.0.first(), self.0.last()) else {
            return docs;
        };
        if documents.len() * SPARSE < self.0.len() as u64 {
            let bounds = lowest.document..=highest.document;
            for document in documents.iter().filter(|document| bounds.contains(document)) {
                let first = self.0.partition_point(|run| run.document < document);
                let runs = self.0[first..].iter();
                runs.take_while(|run| run.document == document).for_each(&mut add);
            }
        } else {
            let runs = self.0.iter();
            runs.filter(|run| documents.contains(run.document))
                .for_each(&mut add);
        }
        docs.sort_unstable();
        docs
    }
}
