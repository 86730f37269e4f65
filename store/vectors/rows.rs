//! Which vectors are of a document: where few documents are asked, only their vectors are looked at.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::{DocumentId, DocumentSet};

/// Ends a chain.
const NONE: u32 = u32::MAX;

/// The rows of each document, one linked to the one before it. All snapshots of a generation share it: rows are only ever
/// added, so that those a snapshot knows lie behind any newer ones.
#[derive(Debug, Default)]
pub(crate) struct RowsOfDocuments(RwLock<Chains>);

#[derive(Debug, Default)]
struct Chains {
    /// The last row of each document.
    last: HashMap<DocumentId, u32>,
    /// For each row, the one before of the same document.
    before: Vec<u32>,
}

impl RowsOfDocuments {
    /// Adds the next row.
    pub(crate) fn push(&self, document: DocumentId) {
        let mut chains = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let row = chains.before.len() as u32;
        let before = chains.last.insert(document, row).unwrap_or(NONE);
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
        for document in within.iter() {
            let mut next = chains.last.get(&document).copied().unwrap_or(NONE);
            while next != NONE {
                if (next as usize) < len {
                    if rows.len() == most {
                        return None;
                    }
                    rows.push(next);
                }
                next = chains.before[next as usize];
            }
        }
        drop(chains);
        rows.sort_unstable();
        Some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The same as looking at every row.
        #[test]
        fn equals_looking_at_all(
            documents in prop::collection::vec(0u32..20, 0..100),
            wanted in prop::collection::btree_set(0u32..25, 0..10),
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
