//! A store full of made-up documents, with the vectors of [`Clusters`].

use autorag_store::{
    ChangeBatch, ContentHash, FileStat, ItemStatus, Metadata, NewDocument, NewPassage, Span, Store,
};

use super::clusters::Clusters;
use super::prose::Prose;

/// Passages in a document, but for the last, which has one, and the one before, which has what is left.
const PASSAGES: usize = 5;
/// Words in a passage.
const WORDS: u64 = 150;
/// Documents in a transaction.
const BATCH: usize = 500;
/// Folders that documents are spread over, so that one holds 1 % of them.
const FOLDERS: usize = 100;
/// One of them.
pub const FOLDER: &str = "7/";
/// The name of the document that has one passage.
pub const OF_ONE_PASSAGE: &str = "one.txt";

/// Puts documents of so many passages, one at least, into an empty store. The vector of a passage is that of its number, counted
/// from 0.
///
/// # Errors
/// When the store fails.
pub fn fill(store: &Store, passages: usize, clusters: &mut Clusters) -> anyhow::Result<()> {
    let long = passages.saturating_sub(1);
    let documents = long.div_ceil(PASSAGES) + 1;
    store.begin_run()?;
    for first in (0..documents).step_by(BATCH) {
        let numbers = first..(first + BATCH).min(documents);
        let upserts = numbers.map(|number| match number + 1 == documents {
            true => document(OF_ONE_PASSAGE.to_owned(), number, 1),
            false => {
                let key = format!("{}/{number}.txt", number % FOLDERS);
                document(key, number, PASSAGES.min(long - number * PASSAGES))
            }
        });
        let upserts = upserts.collect();
        store.apply(&ChangeBatch {
            upserts,
            ..ChangeBatch::default()
        })?;
        store.refresh_lexical()?;
        let mut pending = store.pending_embeddings(None, BATCH * PASSAGES)?;
        pending.sort_by_key(|passage| passage.id);
        let vectors: Vec<_> = pending
            .iter()
            .map(|passage| (passage.embed_hash, clusters.vector(passage.id.0 - 1)))
            .collect();
        store.put_embeddings(&vectors)?;
        store.refresh_vectors()?;
    }
    store.finish_run(documents as u64)?;
    Ok(())
}

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
        key,
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
