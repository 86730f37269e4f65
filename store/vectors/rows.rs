//! Which vectors are of a document: where few documents are asked, only their vectors are looked at.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::{DocumentId, DocumentSet};

/// Ends a chain.
const NONE: u32 = u32::MAX;
/// Documents whose last rows lie together.
const PAGE: usize = 4096;

/// The rows of each document, one linked to the one before it. All snapshots of a generation share it: rows are only ever
/// added, so that those a snapshot knows lie behind any newer ones.
#[derive(Debug, Default)]
pub(crate) struct RowsOfDocuments(RwLock<Chains>);

#[derive(Debug, Default)]
struct Chains {
    /// The last row of each document, by the page of its number and its place there. Documents are mostly asked for in the order
    /// of their numbers, so that a page is looked up once for many of them.
    last: HashMap<u32, Box<[u32; PAGE]>>,
    /// For each row, the one before of the same document.
    before: Vec<u32>,
}

impl RowsOfDocuments {
    /// Adds the next row.
    pub(crate) fn push(&self, document: DocumentId) {
        let mut chains = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let row = chains.before.len() as u32;
        let (page, place) = at(document);
        let last = chains.last.entry(page).or_insert_with(|| Box::new([NONE; PAGE]));
        let before = std::mem::replace(&mut last[place], row);
        chains.before.push(before);
    }

    /// The rows below `len` of documents `within`, in order; none where there are more than `most`.
    pub(crate) fn within(&self, within: &DocumentSet, len: usize, most: usize) -> Option<Vec<u32>> {
        // A set that is larger than that has more rows, but for documents that wait for their vectors.
        if within.len() > most as u64 {
            return None;
        }
        let chains = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows = Vec::new();
        let mut held: Option<(u32, Option<&[u32; PAGE]>)> = None;
        for document in within.iter() {
            let (number, place) = at(document);
            let page = match held {
                Some((of, page)) if of == number => page,
                _ => chains.last.get(&number).map(AsRef::as_ref),
            };
            held = Some((number, page));
            let first = rows.len();
            let mut next = page.map_or(NONE, |page| page[place]);
            while next != NONE {
                if (next as usize) < len {
                    if rows.len() == most {
                        return None;
                    }
                    rows.push(next);
                }
                next = chains.before[next as usize];
            }
            // Chains run backwards. In the order of documents most rows then are in their own, and sorting has little to do.
            rows[first..].reverse();
        }
        drop(chains);
        rows.sort_unstable();
        Some(rows)
    }
}

fn at(document: DocumentId) -> (u32, usize) {
    (document.0 / PAGE as u32, document.0 as usize % PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The same as looking at every row.
        #[test]
        fn equals_looking_at_all(
            documents in prop::collection::vec(prop_oneof![0u32..20, 4090u32..4100], 0..100),
            wanted in prop::collection::btree_set(prop_oneof![0u32..25, 4090u32..4100, 99_000u32..99_001], 0..20),
            len in 0usize..100,
            most in 0usize..40,
        ) {
            let rows = RowsOfDocuments::default();
            documents.iter().for_each(|&document| rows.push(DocumentId(document)));
            let within: DocumentSet = wanted.iter().copied().map(DocumentId).collect();
            let found = rows.within(&within, len, most);
            let all = (0..documents.len().min(len)).filter(|&row| wanted.contains(&documents[row]));
            let all: Vec<u32> = all.map(|row| row as u32).collect();
            match found {
                Some(found) => prop_assert_eq!(found, all),
                None => prop_assert!(all.len() > most || wanted.len() > most),
            }
        }
    }
}
