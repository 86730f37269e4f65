//! Documents in memory, for filters, freshness checks and listings. Each snapshot has an immutable set of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::lexical::Restriction;
use crate::{Counts, DocumentEntry, DocumentId, DocumentKey, Filter, ItemStatus, Seq};

/// A set of document numbers, kept as a bitmap.
#[derive(Debug, Clone, Default)]
pub struct DocumentSet {
    /// Bit `id % 64` of word `id / 64` is set for each document `id` in the set.
    words: Vec<u64>,
    len: u64,
}

impl DocumentSet {
    /// Whether the set contains `document`.
    pub fn contains(&self, DocumentId(id): DocumentId) -> bool {
        let word = self.words.get(id as usize / 64);
        word.is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Whether the set contains every document from `from` to `to`, both included.
    pub(crate) fn contains_all(&self, DocumentId(from): DocumentId, DocumentId(to): DocumentId) -> bool {
        let (first, last) = (from as usize / 64, to as usize / 64);
        let Some(words) = self.words.get(first..=last) else {
            return from > to;
        };
        words.iter().enumerate().all(|(at, word)| {
            let mut wanted = u64::MAX;
            if at == 0 {
                wanted &= u64::MAX << (from % 64);
            }
            if first + at == last {
                wanted &= u64::MAX >> (63 - to % 64);
            }
            word & wanted == wanted
        })
    }

    /// Number of documents.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The documents, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = DocumentId> {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let after = |word: &u64| Some(word & word.wrapping_sub(1));
            std::iter::successors(Some(word), after)
                .take_while(|word| *word != 0)
                .map(move |word| DocumentId(at as u32 * 64 + word.trailing_zeros()))
        })
    }
}

impl DocumentSet {
    fn insert(&mut self, DocumentId(id): DocumentId) {
        let at = id as usize / 64;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let bit = 1 << (id % 64);
        self.len += u64::from(self.words[at] & bit == 0);
        self.words[at] |= bit;
    }

    fn remove(&mut self, DocumentId(id): DocumentId) {
        if let Some(word) = self.words.get_mut(id as usize / 64) {
            let bit = 1 << (id % 64);
            self.len -= u64::from(*word & bit != 0);
            *word &= !bit;
        }
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
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

/// A query for a listing of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentQuery {
    /// Only documents whose key starts with this.
    pub prefix: Option<String>,
    /// Only documents with this status.
    pub status: Option<ItemStatus>,
    /// Only documents whose key is greater than this.
    pub after_key: Option<DocumentKey>,
    /// Maximum number of documents.
    pub limit: usize,
}

/// The live documents as of one sequence number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents {
    /// The sequence number.
    pub seq: Seq,
    /// All documents, sorted by key.
    by_key: Vec<Arc<DocumentEntry>>,
    by_id: HashMap<DocumentId, Arc<DocumentEntry>>,
    /// Documents with text.
    pub searchable: DocumentSet,
    /// `embedded` is 0 here; the vectors determine it.
    pub counts: Counts,
    cache: FilterCache,
}

impl Documents {
    /// The documents as of `seq`: these documents without `retired` and with `added`. An added document replaces any with the same
    /// number.
    pub(crate) fn advance(&self, seq: Seq, retired: &[DocumentId], added: Vec<DocumentEntry>) -> Documents {
        let cache = self.cache.advance(retired, &added);
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
            cache,
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
            .take_while(|entry| entry.key.as_str().starts_with(prefix));
        listed
            .filter(|entry| query.status.is_none_or(|status| entry.status == status))
            .take(query.limit)
            .cloned()
            .collect()
    }

    /// The documents of `within` that match the fields of a query.
    pub(crate) fn restrict(&self, within: &DocumentSet, restriction: &Restriction) -> DocumentSet {
        let is_one_of = |entry: &DocumentEntry, kinds: &[String]| {
            kinds
                .iter()
                .any(|kind| entry.kind.as_str().eq_ignore_ascii_case(kind))
        };
        let matching = within.iter().filter(|id| {
            let Some(entry) = self.by_id(*id) else {
                return false;
            };
            restriction.required.iter().all(|set| set.contains(*id))
                && !restriction.excluded.iter().any(|set| set.contains(*id))
                && (restriction.kinds.is_empty() || is_one_of(entry, &restriction.kinds))
                && !is_one_of(entry, &restriction.excluded_kinds)
        });
        matching.collect()
    }

    pub(crate) fn select(&self, filter: &Filter) -> DocumentSet {
        if let Some(set) = self.cache.get(filter) {
            return set;
        }
        let set = self.evaluate(filter);
        self.cache.insert(filter, &set);
        set
    }

    fn evaluate(&self, filter: &Filter) -> DocumentSet {
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

/// Maximum number of filters in the cache.
const CACHE_SIZE: usize = 16;

/// An LRU cache of filters and the documents they select, most recently used last.
///
/// Callers tend to repeat a filter, and evaluating it on every document takes longer than the search itself. When documents
/// change, only the changed ones are evaluated again.
#[derive(Debug, Default)]
struct FilterCache(Mutex<Vec<(Filter, DocumentSet)>>);

impl FilterCache {
    fn get(&self, filter: &Filter) -> Option<DocumentSet> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = entries.iter().position(|(other, _)| other.is_same(filter))?;
        // LRU: move the hit to the back.
        entries[at..].rotate_left(1);
        entries.last().map(|(_, set)| set.clone())
    }

    fn insert(&self, filter: &Filter, set: &DocumentSet) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == CACHE_SIZE {
            entries.remove(0);
        }
        entries.push((filter.clone(), set.clone()));
    }

    /// The cache for the documents after `retired` are removed and `changed` are added or replaced.
    fn advance(&self, retired: &[DocumentId], changed: &[DocumentEntry]) -> FilterCache {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (filter, set) in &mut entries {
            retired.iter().for_each(|&document| set.remove(document));
            for entry in changed {
                if entry.status == ItemStatus::Completed && filter.admits(entry) {
                    set.insert(entry.id);
                } else {
                    set.remove(entry.id);
                }
            }
        }
        FilterCache(Mutex::new(entries))
    }
}

impl Clone for FilterCache {
    fn clone(&self) -> FilterCache {
        self.advance(&[], &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContentHash, FileStat, Metadata};

    fn entry(id: u32, key: &str) -> DocumentEntry {
        DocumentEntry {
            id: DocumentId(id),
            key: key.into(),
            stat: FileStat {
                size: u64::from(id),
                modified_ns: 0,
                inode: 0,
            },
            source_hash: ContentHash::of(b""),
            status: ItemStatus::Completed,
            reason: None,
            kind: "text".into(),
            language: None,
            title: None,
            metadata: Metadata::new(),
            passages: 1,
        }
    }

    #[test]
    fn cached_filters_follow_changes_of_documents_and_the_oldest_is_evicted() {
        let filter = |number: usize| {
            let json = serde_json::json!({"folder": "a/", "size": {"$lt": 100 + number}});
            Filter::parse(&json).unwrap()
        };
        let first =
            Documents::default().advance(1, &[], vec![entry(1, "a/1"), entry(2, "b/2"), entry(3, "a/3")]);
        assert_eq!(first.select(&filter(0)).len(), 2);
        assert_eq!(first.select(&filter(0)), first.evaluate(&filter(0)));
        let changed = vec![
            entry(4, "a/4"),
            entry(5, "b/5"),
            DocumentEntry {
                stat: FileStat {
                    size: 1000,
                    ..entry(3, "a/3").stat
                },
                ..entry(3, "a/3")
            },
        ];
        let second = first.advance(2, &[DocumentId(1)], changed);
        assert!(second.cache.get(&filter(0)).is_some());
        assert_eq!(second.select(&filter(0)), second.evaluate(&filter(0)));
        assert_eq!(
            second.select(&filter(0)).iter().collect::<Vec<_>>(),
            [DocumentId(4)]
        );
        for number in 1..=CACHE_SIZE {
            second.select(&filter(number));
        }
        assert!(second.cache.get(&filter(0)).is_none());
        assert!(second.cache.get(&filter(1)).is_some());
    }
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// `DocumentSet` behaves like `BTreeSet<u32>`.
        #[test]
        fn a_document_set_behaves_like_an_ordered_set(
            ids in prop::collection::vec(0u32..300, 0..60),
            other in 0u32..400,
            from in 0u32..330,
            count in 0u32..150,
            gap in 0u32..400,
        ) {
            let expected: BTreeSet<u32> = ids.iter().copied().collect();
            let set: DocumentSet = ids.iter().copied().map(DocumentId).collect();
            prop_assert_eq!(set.len() as usize, expected.len());
            prop_assert_eq!(set.contains(DocumentId(other)), expected.contains(&other));
            prop_assert!(set.iter().map(|DocumentId(id)| id).eq(expected.iter().copied()));
            prop_assert_eq!(&set, &expected.into_iter().rev().map(DocumentId).collect());
            let full: DocumentSet = (0..300).filter(|&id| id != gap).map(DocumentId).collect();
            for set in [set, full] {
                let all = (from..=from + count).all(|id| set.contains(DocumentId(id)));
                prop_assert_eq!(set.contains_all(DocumentId(from), DocumentId(from + count)), all);
            }
        }
    }
}
