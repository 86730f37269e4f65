//! Where in a segment the passages of a document are, for questions about few documents and the scores of whole ones.

use tantivy::{DocId, SegmentReader};

use crate::{DocumentId, DocumentSet};

/// Documents asked for are looked up one by one where there are so many times as many others.
const SPARSE: u64 = 16;

/// Passages of one document that follow one another.
#[derive(Debug, Clone, Copy)]
struct Run {
    document: DocumentId,
    first: DocId,
    count: u32,
}

/// The runs of a segment, by document.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Run>);

impl Places {
    /// Those of a segment, deleted ones among them.
    pub(super) fn of_segment(segment: &SegmentReader) -> tantivy::Result<Places> {
        let documents = segment.fast_fields().u64("document")?;
        let mut runs: Vec<Run> = Vec::new();
        for place in 0..segment.max_doc() {
            let Some(document) = documents.first(place).and_then(|id| u32::try_from(id).ok()) else {
                continue;
            };
            let document = DocumentId(document);
            match runs.last_mut() {
                Some(run) if run.document == document && run.first + run.count == place => run.count += 1,
                _ => runs.push(Run {
                    document,
                    first: place,
                    count: 1,
                }),
            }
        }
        runs.sort_unstable_by_key(|run| (run.document, run.first));
        runs.shrink_to_fit();
        Ok(Places(runs))
    }

    /// The passages of `documents`, in order.
    pub(super) fn of(&self, documents: &DocumentSet) -> Vec<DocId> {
        let mut places = Vec::new();
        let mut add = |run: &Run| places.extend(run.first..run.first + run.count);
        let (Some(least), Some(greatest)) = (self.0.first(), self.0.last()) else {
            return places;
        };
        if documents.len() * SPARSE < self.0.len() as u64 {
            let bounds = least.document..=greatest.document;
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
        places.sort_unstable();
        places
    }
}
