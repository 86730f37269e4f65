//! Documents in memory: what filters, freshness and listings look at. One immutable set a snapshot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::lexical::Restriction;
use crate::{Counts, DocumentEntry, DocumentId, DocumentKey, Filter, ItemStatus, Seq};

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

    /// Whether every document from one to another, both of them too, is in it.
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

/// Which documents to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentQuery {
    /// Only documents whose key begins with this.
    pub prefix: Option<String>,
    /// Only documents that became this.
    pub status: Option<ItemStatus>,
    /// Only documents after this key.
    pub after_key: Option<DocumentKey>,
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
    selections: Selections,
}

impl Documents {
    /// These documents after `retired` have gone and `added` have come, at `seq`.
    pub(crate) fn after(&self, seq: Seq, retired: &[DocumentId], added: Vec<DocumentEntry>) -> Documents {
        let selections = self.selections.after(retired, &added);
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
            selections,
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

    /// The documents `within` that a question asks for by their fields.
    pub(crate) fn restricted(&self, within: &DocumentSet, restriction: &Restriction) -> DocumentSet {
        let is_one_of = |entry: &DocumentEntry, kinds: &[String]| {
            kinds
                .iter()
                .any(|kind| entry.kind.as_str().eq_ignore_ascii_case(kind))
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
        if let Some(set) = self.selections.get(filter) {
            return set;
        }
        let set = self.selected(filter);
        self.selections.keep(filter, &set);
        set
    }

    fn selected(&self, filter: &Filter) -> DocumentSet {
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

/// Filters that are kept with what they select.
const KEPT: usize = 16;

/// What the last filters select. Most who ask with a filter ask with the same one again, and looking at every document takes
/// longer than the search that follows; a change of some documents is carried over.
#[derive(Debug, Default)]
struct Selections(Mutex<Vec<(Filter, DocumentSet)>>);

impl Selections {
    fn get(&self, filter: &Filter) -> Option<DocumentSet> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(other, _)| other.is_same(filter))?;
        // The last one used is the last to go.
        kept[at..].rotate_left(1);
        kept.last().map(|(_, set)| set.clone())
    }

    fn keep(&self, filter: &Filter, set: &DocumentSet) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((filter.clone(), set.clone()));
    }

    fn after(&self, retired: &[DocumentId], changed: &[DocumentEntry]) -> Selections {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (filter, set) in &mut kept {
            retired.iter().for_each(|&document| set.remove(document));
            for entry in changed {
                match entry.status == ItemStatus::Completed && filter.admits(entry) {
                    true => set.insert(entry.id),
                    false => set.remove(entry.id),
                }
            }
        }
        Selections(Mutex::new(kept))
    }
}

impl Clone for Selections {
    fn clone(&self) -> Selections {
        self.after(&[], &[])
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
    fn a_selection_follows_the_documents() {
        let filter = |number: usize| {
            let json = serde_json::json!({"folder": "a/", "size": {"$lt": 100 + number}});
            Filter::parse(&json).unwrap()
        };
        let first =
            Documents::default().after(1, &[], vec![entry(1, "a/1"), entry(2, "b/2"), entry(3, "a/3")]);
        assert_eq!(first.select(&filter(0)).len(), 2);
        assert_eq!(first.select(&filter(0)), first.selected(&filter(0)));
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
        let second = first.after(2, &[DocumentId(1)], changed);
        assert!(second.selections.get(&filter(0)).is_some());
        assert_eq!(second.select(&filter(0)), second.selected(&filter(0)));
        assert_eq!(
            second.select(&filter(0)).iter().collect::<Vec<_>>(),
            [DocumentId(4)]
        );
        for number in 1..=KEPT {
            second.select(&filter(number));
        }
        assert!(second.selections.get(&filter(0)).is_none());
        assert!(second.selections.get(&filter(1)).is_some());
    }
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// A set of documents is a set.
        #[test]
        fn equals_an_ordered_set(
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
