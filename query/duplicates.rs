//! Telling passages that say the same from ones that merely speak of the same.

use crate::words::{mixed, word_hashes};

/// Words in a row that make one shingle (Broder, "On the resemblance and containment of documents", 1997).
const SHINGLE: usize = 4;
/// Share of all their shingles that two passages have in common from which on one repeats the other: a changed name, date or
/// number is let through, a changed sentence in a paragraph is not.
const SAME: f64 = 0.7;

/// The shingles of a passage, by hash: each once, in the order of the hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shingles(Vec<u64>);

impl Shingles {
    /// Cuts `text` into overlapping runs of words. Case, white space and marks do not count; of scripts without spaces each
    /// character is a word.
    pub(crate) fn of(text: &str) -> Shingles {
        let words = word_hashes(text);
        let runs = words.windows(SHINGLE.min(words.len()).max(1));
        let mut hashes: Vec<u64> = runs.map(hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Shingles(hashes)
    }

    /// The share of the shingles of both that are in either, from 0 to 1.
    pub(crate) fn resemblance(&self, other: &Shingles) -> f64 {
        let shared = shared(&self.0, &other.0);
        let all = self.0.len() + other.0.len() - shared;
        if all == 0 { 0.0 } else { shared as f64 / all as f64 }
    }

    /// Whether the two passages are as good as one. Texts without words are like no other.
    pub(crate) fn repeats(&self, other: &Shingles) -> bool {
        // A cheap bound first: the larger set alone may rule it out.
        let (few, many) = match self.0.len() <= other.0.len() {
            true => (self.0.len(), other.0.len()),
            false => (other.0.len(), self.0.len()),
        };
        few as f64 >= SAME * many as f64 && self.resemblance(other) >= SAME
    }
}

/// How many are in both of two ordered lists.
fn shared(mut one: &[u64], mut other: &[u64]) -> usize {
    let mut shared = 0;
    while let ([first, one_rest @ ..], [second, other_rest @ ..]) = (one, other) {
        shared += usize::from(first == second);
        if first <= second {
            one = one_rest;
        }
        if second <= first {
            other = other_rest;
        }
    }
    shared
}

/// Of words in their order.
fn hash(run: &[u64]) -> u64 {
    run.iter()
        .fold(0, |hash: u64, word| mixed(hash.rotate_left(17) ^ word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARAGRAPH: &str = "Stop the service before you copy the data folder. A copy of a folder that is being written to \
        may hold half of a change, and the service refuses to open such a copy. Start the service again afterwards.";

    fn repeats(one: &str, other: &str) -> bool {
        Shingles::of(one).repeats(&Shingles::of(other))
    }

    #[test]
    fn layout_and_a_changed_word_do_not_tell_passages_apart() {
        let laid_out = PARAGRAPH.to_uppercase().replace(". ", ".\n\n");
        assert!(repeats(PARAGRAPH, &laid_out));
        assert!(repeats(PARAGRAPH, &PARAGRAPH.replace("again", "once more")));
        assert!(repeats(
            "請先停止服務再複製資料夾",
            "請先停止服務，再複製資料夾。"
        ));
    }

    #[test]
    fn passages_on_one_subject_stay_apart() {
        assert!(!repeats(
            PARAGRAPH,
            "Stop the service, then copy the data folder elsewhere."
        ));
        let half: String = PARAGRAPH.chars().take(PARAGRAPH.len() / 2).collect();
        assert!(!repeats(PARAGRAPH, &half), "a part says less than the whole");
        assert!(!repeats("", "") && !repeats("- - -", "***"));
        assert!(repeats("Yes.", "yes") && !repeats("yes", "no"));
    }

    proptest! {
        /// Resemblance is of one with oneself, between 0 and 1, and the same from both sides.
        #[test]
        fn resemblance_is_a_share(one in "[ab ]{0,40}", other in "[ab ]{0,40}") {
            let (one, other) = (Shingles::of(&one), Shingles::of(&other));
            let share = one.resemblance(&other);
            prop_assert!((0.0..=1.0).contains(&share));
            prop_assert_eq!(share, other.resemblance(&one));
            prop_assert_eq!(one.repeats(&other), share >= SAME);
            if !one.0.is_empty() {
                prop_assert_eq!(one.resemblance(&one), 1.0);
            }
        }
    }
}
