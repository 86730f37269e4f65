//! The rows of each document, for searches within few documents.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::{DocumentId, DocumentSet};

/// Sentinel: the end of a chain.
const NONE: u32 = u32::MAX;
/// Documents per page of the `last` table.
const PAGE: usize = 4096;

/// A linked list of rows for each document, from the last row backwards.
///
/// All snapshots of a generation share it. Rows are only appended, so a snapshot ignores the newer rows at
/// the front of a list.
#[derive(Debug, Default)]
pub(crate) struct DocumentRows(RwLock<Chains>);

#[derive(Debug, Default)]
struct Chains {
    /// The last row of each document, in pages by document number. Lookups mostly ascend, so one hash lookup
    /// serves a page.
    last: HashMap<u32, Box<[u32; PAGE]>>,
    /// For each row, the previous row of the same document.
    previous: Vec<u32>,
}

impl DocumentRows {
    /// Appends the next row.
    pub(crate) fn push(&self, document: DocumentId) {
        let mut chains = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let row = chains.previous.len() as u32;
        let (page, slot) = page_and_slot(document);
        let last = chains.last.entry(page).or_insert_with(|| Box::new([NONE; PAGE]));
        let previous = std::mem::replace(&mut last[slot], row);
        chains.previous.push(previous);
    }

    /// The rows below `len` of the documents `within`, in ascending order. `None` if there are more than
    /// `max`.
    pub(crate) fn within(&self, within: &DocumentSet, len: usize, max: usize) -> Option<Vec<u32>> {
        // More documents than `max` have more rows than `max`, unless some documents are not embedded yet. In
        // that case the caller scans without need, which is slower but correct.
        if within.len() > max as u64 {
            return None;
        }
        let chains = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows = Vec::new();
        let mut current: Option<(u32, Option<&[u32; PAGE]>)> = None;
        for document in within.iter() {
            let (number, slot) = page_and_slot(document);
            let page = match current {
                Some((current, page)) if current == number => page,
                _ => chains.last.get(&number).map(AsRef::as_ref),
            };
            current = Some((number, page));
            let first = rows.len();
            let mut next = page.map_or(NONE, |page| page[slot]);
            while next != NONE {
                if (next as usize) < len {
                    if rows.len() == max {
                        return None;
                    }
                    rows.push(next);
                }
                next = chains.previous[next as usize];
            }
            // Chains descend. Reversing them leaves the rows nearly sorted, which speeds up the sort below.
            rows[first..].reverse();
        }
        drop(chains);
        rows.sort_unstable();
        Some(rows)
    }
}

fn page_and_slot(document: DocumentId) -> (u32, usize) {
    (document.0 / PAGE as u32, document.0 as usize % PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Following the chains equals testing every row.
        #[test]
        fn chains_equal_a_full_scan(
            documents in prop::collection::vec(prop_oneof![0u32..20, 4090u32..4100], 0..100),
            wanted in prop::collection::btree_set(prop_oneof![0u32..25, 4090u32..4100, 99_000u32..99_001], 0..20),
            len in 0usize..100,
            max in 0usize..40,
        ) {
            let rows = DocumentRows::default();
            documents.iter().for_each(|&document| rows.push(DocumentId(document)));
            let within: DocumentSet = wanted.iter().copied().map(DocumentId).collect();
            let found = rows.within(&within, len, max);
            let expected = (0..documents.len().min(len)).filter(|&row| wanted.contains(&documents[row]));
            let expected: Vec<u32> = expected.map(|row| row as u32).collect();
            match found {
                Some(found) => prop_assert_eq!(found, expected),
                None => prop_assert!(expected.len() > max || wanted.len() > max),
            }
        }
    }
}
