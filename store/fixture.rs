//! A small store for tests.

use std::path::Path;

use crate::{
    ChangeBatch, ContentHash, FileStat, ItemStatus, Kind, Metadata, ModelIdentity, NewDocument, NewPassage,
    Span, Store, StoreOptions,
};

/// Opens a store with a model of three dimensions.
pub(crate) fn open(dir: &Path) -> Store {
    let model = ModelIdentity {
        id: "m".into(),
        version: "v".into(),
        dimensions: 3,
        ..ModelIdentity::default()
    };
    let options = StoreOptions {
        model,
        sources: Vec::new(),
    };
    Store::open(dir, options).unwrap()
}

/// Adds a document of one passage with its embedding, and finishes a run.
pub(crate) fn add(store: &Store, key: &str, text: &str) {
    let hash = put(store, key, text);
    store.put_embeddings(&[(hash, vec![0.6, 0.8, 0.0])]).unwrap();
    store.finish_run(1).unwrap();
}

/// Adds a document of one passage. Returns the hash of its text.
pub(crate) fn put(store: &Store, key: &str, text: &str) -> ContentHash {
    let hash = ContentHash::of(text.as_bytes());
    let span = Span {
        start_byte: 0,
        end_byte: text.len(),
        start_line: 1,
        end_line: 1,
        page: None,
    };
    let document = NewDocument {
        key: key.into(),
        stat: FileStat {
            size: 1,
            modified_ns: 0,
            inode: 0,
        },
        source_hash: hash,
        status: ItemStatus::Completed,
        reason: None,
        kind: Kind::TEXT,
        language: None,
        title: None,
        metadata: Metadata::new(),
        text: text.into(),
        passages: vec![NewPassage {
            span,
            heading_path: Vec::new(),
            embed_hash: hash,
        }],
    };
    let batch = ChangeBatch {
        upserts: vec![document],
        ..ChangeBatch::default()
    };
    store.apply(&batch).unwrap();
    hash
}
