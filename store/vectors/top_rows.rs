//! Top-k selection over very many integer scores: buffers up to 2k rows and cuts them to k by partial
//! selection.

/// Largest initial capacity. A larger buffer grows when needed.
const MAX_INITIAL_CAPACITY: usize = 1 << 16;

/// The `k` rows with the highest scores. Ties go to the lower row, if rows are pushed in ascending order.
pub(crate) struct TopRows {
    k: usize,
    /// Score in the upper half, complement of the row in the lower: a larger number is a better row.
    kept: Vec<u64>,
    /// A score must exceed this to be among the k best.
    threshold: i32,
}

impl TopRows {
    /// Keeps `k` rows, at least one.
    pub(crate) fn new(k: usize) -> TopRows {
        let k = k.max(1);
        TopRows {
            k,
            kept: Vec::with_capacity(k.saturating_mul(2).min(MAX_INITIAL_CAPACITY)),
            threshold: i32::MIN,
        }
    }

    /// The threshold: rows with this score or less are ignored.
    pub(crate) fn threshold(&self) -> i32 {
        self.threshold
    }

    /// Adds a row, if its score exceeds the threshold.
    pub(crate) fn push(&mut self, score: i32, row: u32) {
        if score <= self.threshold {
            return;
        }
        let unsigned_score = u64::from(score.wrapping_sub(i32::MIN) as u32);
        self.kept.push(unsigned_score << 32 | u64::from(!row));
        if self.kept.len() >= self.k.saturating_mul(2) {
            self.cut();
        }
    }

    /// Adds the rows of `other`.
    pub(crate) fn merge(&mut self, other: TopRows) {
        self.kept.extend(other.kept);
        self.cut();
    }

    /// The best rows, in ascending order of their numbers.
    pub(crate) fn into_rows(mut self) -> Vec<u32> {
        self.cut();
        let mut rows: Vec<u32> = self.kept.iter().map(|&kept| !(kept as u32)).collect();
        rows.sort_unstable();
        rows
    }

    /// Drops all but the k best rows and raises the threshold.
    fn cut(&mut self) {
        if self.kept.len() <= self.k {
            return;
        }
        let (_, worst, _) = self
            .kept
            .select_nth_unstable_by(self.k - 1, |one, other| other.cmp(one));
        self.threshold = ((*worst >> 32) as u32 as i32).wrapping_add(i32::MIN);
        self.kept.truncate(self.k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Selection equals sorting, in one buffer or merged from two.
        #[test]
        fn selection_equals_sorting(
            scores in prop::collection::vec(-30i32..30, 0..400),
            k in 1usize..40,
            parts in 1usize..3,
        ) {
            let mut tops: Vec<TopRows> = (0..parts).map(|_| TopRows::new(k)).collect();
            for (row, &score) in scores.iter().enumerate() {
                tops[row / 7 % parts].push(score, row as u32);
            }
            let mut top = tops.remove(0);
            tops.into_iter().for_each(|other| top.merge(other));
            let mut expected: Vec<u32> = (0..scores.len() as u32).collect();
            expected.sort_by_key(|&row| (-scores[row as usize], row));
            expected.truncate(k);
            expected.sort_unstable();
            prop_assert_eq!(top.into_rows(), expected);
        }
    }

    #[test]
    fn extreme_scores_keep_their_order() {
        let mut top = TopRows::new(1);
        for (row, score) in [i32::MIN + 1, i32::MAX, 0].into_iter().enumerate() {
            top.push(score, row as u32);
        }
        assert_eq!(top.into_rows(), [1]);
    }
}
