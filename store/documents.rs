//! Documents in memory: what filters, freshness and listings look at. One immutable set a snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lexical::Restriction;
use crate::{Counts, DocumentEntry, DocumentId, Filter, ItemStatus, Seq};

/// A set of documents: a bit for each up to the last of them.
#[derive(Debug, Clone, Default)]
pub struct DocumentSet {
    words: Vec<u64>,
    len: u64,
}

impl DocumentSet {
    /// Whether `document` is in it.
    pub fn contains(&self, DocumentId(id): DocumentId) -> bool {
        let word = self.words.get(id as usize / 64);
        word.is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = DocumentId> {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let after = |word: &u64| Some(word & word.wrapping_sub(1));
            std::iter::successors(Some(word), after)
                .take_while(|word| *word != 0)
                .map(move |word| DocumentId(at as u32 * 64 + word.trailing_zeros()))
        })
    }
}

impl PartialEq for DocumentSet {
    fn eq(&self, other: &DocumentSet) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl FromIterator<DocumentId> for DocumentSet {
    fn from_iter<I: IntoIterator<Item = DocumentId>>(ids: I) -> DocumentSet {
        let mut set = DocumentSet::default();
        for DocumentId(id) in ids {
            let at = id as usize / 64;
            if at >= set.words.len() {
                set.words.resize(at + 1, 0);
            }
            let bit = 1 << (id % 64);
            set.len += u64::from(set.words[at] & bit == 0);
            set.words[at] |= bit;
        }
        set
    }
}

/// Which documents to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentQuery {
    /// Only documents whose key begins with this.
    pub prefix: Option<String>,
    /// Only documents that became this.
    pub status: Option<ItemStatus>,
    /// Only documents after this key.
    pub after_key: Option<String>,
    /// How many at most.
    pub limit: usize,
}

/// The live documents at one point of the history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents {
    /// That point.
    pub seq: Seq,
    by_key: Vec<Arc<DocumentEntry>>,
    by_id: HashMap<DocumentId, Arc<DocumentEntry>>,
    /// Those with text.
    pub searchable: DocumentSet,
    /// Without `embedded`, which the vectors know.
    pub counts: Counts,
}

impl Documents {
    /// These documents after `retired` have gone and `added` have come, at `seq`.
    pub(crate) fn after(&self, seq: Seq, retired: &[DocumentId], added: Vec<DocumentEntry>) -> Documents {
        let mut by_id = self.by_id.clone();
        for id in retired {
            by_id.remove(id);
        }
        by_id.extend(added.into_iter().map(|entry| (entry.id, Arc::new(entry))));
        let mut by_key: Vec<Arc<DocumentEntry>> = by_id.values().cloned().collect();
        by_key.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let mut counts = Counts {
            seq,
            ..Counts::default()
        };
        for entry in &by_key {
            match entry.status {
                ItemStatus::Completed => {
                    counts.documents += 1;
                    counts.passages += u64::from(entry.passages);
                }
                ItemStatus::Error => counts.errors += 1,
                ItemStatus::Skipped => counts.skipped += 1,
            }
        }
        let with_text = by_key
            .iter()
            .filter(|entry| entry.status == ItemStatus::Completed);
        let searchable = with_text.map(|entry| entry.id).collect();
        Documents {
            seq,
            by_key,
            by_id,
            searchable,
            counts,
        }
    }

    pub(crate) fn by_id(&self, id: DocumentId) -> Option<&Arc<DocumentEntry>> {
        self.by_id.get(&id)
    }

    pub(crate) fn by_key(&self, key: &str) -> Option<&Arc<DocumentEntry>> {
        let at = self
            .by_key
            .binary_search_by(|entry| entry.key.as_str().cmp(key))
            .ok()?;
        self.by_key.get(at)
    }

    pub(crate) fn list(&self, query: &DocumentQuery) -> Vec<Arc<DocumentEntry>> {
        let prefix = query.prefix.as_deref().unwrap_or_default();
        let after = |entry: &DocumentEntry| match &query.after_key {
            Some(key) => entry.key > *key && entry.key.as_str() >= prefix,
            None => entry.key.as_str() >= prefix,
        };
        let from = self.by_key.partition_point(|entry| !after(entry));
        let listed = self.by_key[from..]
            .iter()
            .take_while(|entry| entry.key.starts_with(prefix));
        listed
            .filter(|entry| query.status.is_none_or(|status| entry.status == status))
            .take(query.limit)
            .cloned()
            .collect()
    }

    /// The documents `within` that a question asks for by their fields.
    pub(crate) fn restricted(&self, within: &DocumentSet, restriction: &Restriction) -> DocumentSet {
        let is_one_of = |entry: &DocumentEntry, kinds: &[String]| {
            kinds.iter().any(|kind| entry.kind.eq_ignore_ascii_case(kind))
        };
        let asked_for = within.iter().filter(|id| {
            let Some(entry) = self.by_id(*id) else {
                return false;
            };
            restriction.required.iter().all(|set| set.contains(*id))
                && !restriction.excluded.iter().any(|set| set.contains(*id))
                && (restriction.kinds.is_empty() || is_one_of(entry, &restriction.kinds))
                && !is_one_of(entry, &restriction.excluded_kinds)
        });
        asked_for.collect()
    }

    pub(crate) fn select(&self, filter: &Filter) -> DocumentSet {
        let searchable = self
            .by_key
            .iter()
            .filter(|entry| entry.status == ItemStatus::Completed);
        searchable
            .filter(|entry| filter.admits(entry))
            .map(|entry| entry.id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// A set of documents is a set.
        #[test]
        fn equals_an_ordered_set(ids in prop::collection::vec(0u32..300, 0..60), other in 0u32..400) {
            let expected: BTreeSet<u32> = ids.iter().copied().collect();
            let set: DocumentSet = ids.iter().copied().map(DocumentId).collect();
            prop_assert_eq!(set.len() as usize, expected.len());
            prop_assert_eq!(set.contains(DocumentId(other)), expected.contains(&other));
            prop_assert!(set.iter().map(|DocumentId(id)| id).eq(expected.iter().copied()));
            prop_assert_eq!(set, expected.into_iter().rev().map(DocumentId).collect());
        }
    }
}
