//! Fills a store with generated documents and vectors.

use autorag_store::{
    ChangeBatch, ContentHash, FileStat, ItemStatus, Metadata, NewDocument, NewPassage, Span, Store,
};

use super::prose::Prose;

/// Passages per document. The last document has one passage, and the one before it the remainder.
const PASSAGES: usize = 5;
/// Words per passage.
const WORDS: u64 = 150;
/// Documents per transaction.
const BATCH: usize = 500;
/// Number of folders that the documents are spread over: each holds 1 % of them.
const FOLDERS: usize = 100;
/// One of the folders.
pub const FOLDER: &str = "7/";
/// Name of the document that has one passage.
pub const SINGLE_PASSAGE_FILE: &str = "one.txt";

/// Adds documents with `passages` passages in all, at least one, to an empty store.
///
/// Every passage gets a random unit vector: a flat scan takes the same time whatever the vectors are.
///
/// # Errors
/// When the store fails.
pub fn fill(store: &Store, passages: usize, dimensions: usize) -> anyhow::Result<()> {
    let in_long_documents = passages.saturating_sub(1);
    let documents = in_long_documents.div_ceil(PASSAGES) + 1;
    store.begin_run()?;
    for first in (0..documents).step_by(BATCH) {
        let numbers = first..(first + BATCH).min(documents);
        let upserts = numbers.map(|number| {
            if number + 1 == documents {
                return document(SINGLE_PASSAGE_FILE.to_owned(), number, 1);
            }
            let key = format!("{}/{number}.txt", number % FOLDERS);
            let length = PASSAGES.min(in_long_documents - number * PASSAGES);
            document(key, number, length)
        });
        let upserts = upserts.collect();
        store.apply(&ChangeBatch {
            upserts,
            ..ChangeBatch::default()
        })?;
        store.refresh_lexical()?;
        let pending = store.pending_embeddings(None, BATCH * PASSAGES)?;
        let vectors: Vec<_> = pending
            .iter()
            .map(|passage| (passage.embed_hash, unit_vector(passage.id.0, dimensions)))
            .collect();
        store.put_embeddings(&vectors)?;
        store.refresh_vectors()?;
    }
    store.finish_run(documents as u64)?;
    Ok(())
}

fn unit_vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let vector: Vec<f32> = (0..dimensions).map(|_| rng.f32() - 0.5).collect();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

/// A document of `length` passages, one per line.
fn document(key: String, number: usize, length: usize) -> NewDocument {
    let mut prose = Prose::new(number as u64);
    let title = prose.sentence(4);
    let (mut text, mut passages) = (String::new(), Vec::new());
    for line in 1..=length as u32 {
        let start_byte = text.len();
        text += &prose.paragraph(WORDS);
        let span = Span {
            start_byte,
            end_byte: text.len(),
            start_line: line,
            end_line: line,
            page: None,
        };
        let embed_hash = ContentHash::of(&text.as_bytes()[start_byte..]);
        passages.push(NewPassage {
            span,
            heading_path: vec![title.clone()],
            embed_hash,
        });
        text.push('\n');
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
        title: Some(title),
        metadata: Metadata::new(),
        text,
        passages,
    }
}
