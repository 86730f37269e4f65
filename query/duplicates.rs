//! Detection of near-duplicate passages by their shingles.

use crate::words::{mix, word_hashes};

/// Words per shingle (Broder, "On the resemblance and containment of documents", 1997).
const SHINGLE_WORDS: usize = 4;
/// Minimum resemblance (Jaccard index of the shingles) of duplicates. Paragraphs that differ in a name, date or number exceed it.
/// Paragraphs that differ in a sentence do not.
const MIN_RESEMBLANCE: f64 = 0.7;

/// The shingles of a passage as hashes, sorted and distinct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shingles(Vec<u64>);

impl Shingles {
    /// Cuts `text` into overlapping runs of words. Case, white space and punctuation are ignored. In scripts without spaces each
    /// character is a word.
    pub(crate) fn of(text: &str) -> Shingles {
        let words = word_hashes(text);
        let runs = words.windows(SHINGLE_WORDS.min(words.len()).max(1));
        let mut hashes: Vec<u64> = runs.map(hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Shingles(hashes)
    }

    /// True if two passages are near-duplicates. A text without words resembles no other.
    pub(crate) fn resembles(&self, other: &Shingles) -> bool {
        let total = self.0.len() + other.0.len();
        // From shared / (total - shared) >= MIN_RESEMBLANCE. The 2 below allows one shared shingle fewer, so that rounding never
        // rejects a duplicate.
        let min_shared = (MIN_RESEMBLANCE * total as f64 / (1.0 + MIN_RESEMBLANCE)) as usize;
        let max_unshared = (total + 2).saturating_sub(2 * min_shared);
        count_shared(&self.0, &other.0, max_unshared)
            .is_some_and(|shared| resemblance(shared, total) >= MIN_RESEMBLANCE)
    }
}

/// Jaccard index of two sets with `total` elements together, of which `shared` are in both.
fn resemblance(shared: usize, total: usize) -> f64 {
    match total - shared {
        0 => 0.0,
        union => shared as f64 / union as f64,
    }
}

/// Number of elements in both of two sorted lists, or `None` once more than `max_unshared` elements are in only one of them. Most
/// pairs exceed this limit early.
fn count_shared(mut one: &[u64], mut other: &[u64], max_unshared: usize) -> Option<usize> {
    let (mut shared, mut unshared) = (0, 0);
    while let ([first, one_tail @ ..], [second, other_tail @ ..]) = (one, other) {
        if first == second {
            shared += 1;
        } else {
            unshared += 1;
        }
        if unshared > max_unshared {
            return None;
        }
        if first <= second {
            one = one_tail;
        }
        if second <= first {
            other = other_tail;
        }
    }
    Some(shared)
}

/// Hash of a sequence of words. The order counts.
fn hash(words: &[u64]) -> u64 {
    mix(words
        .iter()
        .fold(0, |hash: u64, word| hash.rotate_left(17) ^ word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const PARAGRAPH: &str = "Stop the service before you copy the data folder. A copy of a folder that is being written to \
        may hold half of a change, and the service refuses to open such a copy. Start the service again afterwards.";

    fn are_duplicates(one: &str, other: &str) -> bool {
        Shingles::of(one).resembles(&Shingles::of(other))
    }

    #[test]
    fn passages_that_differ_in_layout_or_one_word_are_duplicates() {
        let reformatted = PARAGRAPH.to_uppercase().replace(". ", ".\n\n");
        assert!(are_duplicates(PARAGRAPH, &reformatted));
        assert!(are_duplicates(
            PARAGRAPH,
            &PARAGRAPH.replace("again", "once more")
        ));
        assert!(are_duplicates(
            "請先停止服務再複製資料夾",
            "請先停止服務，再複製資料夾。"
        ));
    }

    #[test]
    fn passages_on_one_subject_are_not_duplicates() {
        assert!(!are_duplicates(
            PARAGRAPH,
            "Stop the service, then copy the data folder elsewhere."
        ));
        let half: String = PARAGRAPH.chars().take(PARAGRAPH.len() / 2).collect();
        assert!(
            !are_duplicates(PARAGRAPH, &half),
            "a part is no duplicate of the whole"
        );
        assert!(!are_duplicates("", "") && !are_duplicates("- - -", "***"));
        assert!(are_duplicates("Yes.", "yes") && !are_duplicates("yes", "no"));
    }

    proptest! {
        /// The early exit never changes the result, and the relation is symmetric.
        #[test]
        fn duplicates_share_most_of_their_shingles(
            words in prop::collection::vec("[abc]", 0..40),
            changes in prop::collection::vec((0usize..40, "[abcd]"), 0..6),
        ) {
            let mut changed = words.clone();
            for (at, word) in changes {
                let end = (at + 1).min(changed.len());
                changed.splice(at.min(end)..end, [word]);
            }
            let (one, other) = (Shingles::of(&words.join(" ")), Shingles::of(&changed.join(" ")));
            let of = |shingles: &Shingles| shingles.0.iter().copied().collect::<BTreeSet<u64>>();
            let shared = of(&one).intersection(&of(&other)).count();
            let either = of(&one).union(&of(&other)).count();
            let expected = either > 0 && shared as f64 / either as f64 >= MIN_RESEMBLANCE;
            prop_assert_eq!(one.resembles(&other), expected);
            prop_assert_eq!(other.resembles(&one), expected);
            prop_assert_eq!(one.resembles(&one), !words.is_empty());
        }
    }
}
