//! Splits a list of texts into requests.

use std::ops::Range;

/// Consecutive ranges of at most `texts` texts and `tokens` tokens. A text with more tokens gets a range of its own.
pub(super) fn batches(counts: &[usize], texts: usize, tokens: usize) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut sum) = (0, 0usize);
    for (place, &count) in counts.iter().enumerate() {
        let is_full = place - start >= texts.max(1) || sum.saturating_add(count) > tokens;
        if is_full && place > start {
            batches.push(start..place);
            (start, sum) = (place, 0);
        }
        sum = sum.saturating_add(count);
    }
    if start < counts.len() {
        batches.push(start..counts.len());
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_and_no_batch_is_too_large(
            counts in prop::collection::vec(0usize..600, 0..80),
            texts in 1usize..20,
            tokens in 1usize..1000,
        ) {
            let batches = batches(&counts, texts, tokens);
            let in_order: Vec<usize> = batches.iter().cloned().flatten().collect();
            prop_assert_eq!(in_order, (0..counts.len()).collect::<Vec<_>>());
            let sum = |range: &Range<usize>| counts[range.clone()].iter().sum::<usize>();
            for range in &batches {
                prop_assert!(!range.is_empty() && range.len() <= texts);
                prop_assert!(range.len() == 1 || sum(range) <= tokens);
            }
            // No batch had room for the first text of the next one.
            for pair in batches.windows(2) {
                prop_assert!(pair[0].len() == texts || sum(&pair[0]) + counts[pair[1].start] > tokens);
            }
        }
    }
}
