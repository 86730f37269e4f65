//! Small indexes for the tests of this crate.

use std::path::Path;
use std::sync::Arc;

use autorag_store::{
    ChangeBatch, ContentHash, FileStat, ItemStatus, Metadata, ModelIdentity, NewDocument, NewPassage,
    PassageId, Snapshot, Span, Store, StoreOptions,
};

use crate::RetrieverScore;
use crate::fusion::FusedCandidate;

/// A store in a temporary folder.
pub(crate) struct TestIndex {
    _dir: tempfile::TempDir,
    pub store: Store,
    passages: u64,
}

impl TestIndex {
    /// Indexes documents, given as key and text. Each line is a passage.
    pub(crate) fn of_lines(documents: &[(&str, &str)]) -> TestIndex {
        let documents = documents.iter().map(|(key, text)| document(key, text));
        TestIndex::new(documents.collect())
    }

    /// Indexes documents without embedding them.
    pub(crate) fn new(documents: Vec<NewDocument>) -> TestIndex {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let passages = documents
            .iter()
            .map(|document| document.passages.len() as u64)
            .sum();
        let batch = ChangeBatch {
            upserts: documents,
            ..ChangeBatch::default()
        };
        store.apply(&batch).unwrap();
        store.refresh_lexical().unwrap();
        TestIndex {
            _dir: dir,
            store,
            passages,
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.store.snapshot().unwrap()
    }

    /// Ids of all passages, in the order of the documents.
    pub(crate) fn passages(&self) -> Vec<PassageId> {
        (1..=self.passages).map(PassageId).collect()
    }
}

fn open(dir: &Path) -> Store {
    let model = ModelIdentity {
        id: "none".into(),
        version: "1".into(),
        dimensions: 4,
        ..ModelIdentity::default()
    };
    let sources = Vec::new();
    Store::open(dir, StoreOptions { model, sources }).unwrap()
}

/// A document whose passages are the lines of its text.
pub(crate) fn document(key: &str, text: &str) -> NewDocument {
    let mut passages = Vec::new();
    let mut start = 0;
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let end = start + line.trim_end_matches('\n').len();
        passages.push(NewPassage {
            span: Span {
                start_byte: start,
                end_byte: end,
                start_line: number,
                end_line: number,
                page: None,
            },
            heading_path: Vec::new(),
            embed_hash: ContentHash::of(&text.as_bytes()[start..end]),
        });
        start += line.len();
    }
    NewDocument {
        key: key.into(),
        stat: FileStat {
            size: text.len() as u64,
            modified_ns: 0,
            inode: 0,
        },
        source_hash: ContentHash::of(text.as_bytes()),
        status: ItemStatus::Completed,
        reason: None,
        kind: "text".into(),
        language: None,
        title: None,
        metadata: Metadata::new(),
        text: text.into(),
        passages,
    }
}

/// Candidates with falling relevance for `passages`, given best first.
pub(crate) fn ranking(passages: &[PassageId]) -> Vec<FusedCandidate> {
    let numbered = passages.iter().zip(1u32..);
    let candidate = |(&passage, rank): (&PassageId, u32)| {
        let score = 1.0 / rank as f32;
        FusedCandidate {
            passage,
            score,
            relevance: score,
            lexical: Some(RetrieverScore { score, rank }),
            dense: None,
        }
    };
    numbered.map(candidate).collect()
}
