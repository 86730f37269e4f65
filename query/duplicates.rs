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

    /// Whether the two passages are as good as one: the share of the shingles of both that are in either is great enough. Texts
    /// without words are like no other.
    pub(crate) fn repeats(&self, other: &Shingles) -> bool {
        let both = self.0.len() + other.0.len();
        // What so many shingles must have in common; one less is looked for, lest rounding decide.
        let least = (SAME * both as f64 / (1.0 + SAME)) as usize;
        let shared = shared(&self.0, &other.0, (both + 2).saturating_sub(2 * least));
        shared.is_some_and(|shared| resemblance(shared, both) >= SAME)
    }
}

/// The share of the shingles of two passages, `both` in all, that are in either.
fn resemblance(shared: usize, both: usize) -> f64 {
    match both - shared {
        0 => 0.0,
        different => shared as f64 / different as f64,
    }
}

/// How many are in both of two ordered lists; nothing where more than `apart` are in one alone, which most pairs soon show.
fn shared(mut one: &[u64], mut other: &[u64], apart: usize) -> Option<usize> {
    let (mut shared, mut met_apart) = (0, 0);
    while let ([first, one_rest @ ..], [second, other_rest @ ..]) = (one, other) {
        match first == second {
            true => shared += 1,
            false => met_apart += 1,
        }
        if met_apart > apart {
            return None;
        }
        if first <= second {
            one = one_rest;
        }
        if second <= first {
            other = other_rest;
        }
    }
    Some(shared)
}

/// Of words in their order.
fn hash(run: &[u64]) -> u64 {
    mixed(run.iter().fold(0, |hash: u64, word| hash.rotate_left(17) ^ word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

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
        /// Whether passages repeat each other is what counting all their shingles tells, and the same from both sides.
        #[test]
        fn repeating_is_a_share_of_all_shingles(
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
            let expected = either > 0 && shared as f64 / either as f64 >= SAME;
            prop_assert_eq!(one.repeats(&other), expected);
            prop_assert_eq!(other.repeats(&one), expected);
            prop_assert_eq!(one.repeats(&one), !words.is_empty());
        }
    }
}
