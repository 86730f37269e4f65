//! The best of very many integer scores, without sorting them.

/// Room that is made before anything is offered; the rest comes as it is needed.
const MOST_AT_FIRST: usize = 1 << 16;

/// The `size` rows of the highest scores, the lower row first where scores are equal, as long as rows are offered in order.
pub(crate) struct Shortlist {
    size: usize,
    /// Score above, row below and turned about, so that a larger number is the better row.
    kept: Vec<u64>,
    /// A row has to be above it to be among the best.
    threshold: i32,
}

impl Shortlist {
    pub(crate) fn new(size: usize) -> Shortlist {
        let size = size.max(1);
        Shortlist {
            size,
            kept: Vec::with_capacity(size.saturating_mul(2).min(MOST_AT_FIRST)),
            threshold: i32::MIN,
        }
    }

    /// What a score must be above to be taken.
    pub(crate) fn threshold(&self) -> i32 {
        self.threshold
    }

    /// Takes a row, if its score is above the threshold.
    pub(crate) fn offer(&mut self, score: i32, row: u32) {
        if score <= self.threshold {
            return;
        }
        let above = u64::from(score.wrapping_sub(i32::MIN) as u32);
        self.kept.push(above << 32 | u64::from(!row));
        if self.kept.len() >= self.size.saturating_mul(2) {
            self.cut();
        }
    }

    /// The best of both.
    pub(crate) fn merge(&mut self, other: Shortlist) {
        self.kept.extend(other.kept);
        self.cut();
    }

    /// The best rows, in the order of their numbers.
    pub(crate) fn into_rows(mut self) -> Vec<u32> {
        self.cut();
        let mut rows: Vec<u32> = self.kept.iter().map(|&kept| !(kept as u32)).collect();
        rows.sort_unstable();
        rows
    }

    fn cut(&mut self) {
        if self.kept.len() <= self.size {
            return;
        }
        let (_, worst, _) = self
            .kept
            .select_nth_unstable_by(self.size - 1, |one, other| other.cmp(one));
        self.threshold = ((*worst >> 32) as u32 as i32).wrapping_add(i32::MIN);
        self.kept.truncate(self.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The same as sorting, in one list or in two merged.
        #[test]
        fn equals_sorting(scores in prop::collection::vec(-30i32..30, 0..400), size in 1usize..40, parts in 1usize..3) {
            let mut lists: Vec<Shortlist> = (0..parts).map(|_| Shortlist::new(size)).collect();
            for (row, &score) in scores.iter().enumerate() {
                lists[row / 7 % parts].offer(score, row as u32);
            }
            let mut list = lists.remove(0);
            lists.into_iter().for_each(|other| list.merge(other));
            let mut expected: Vec<u32> = (0..scores.len() as u32).collect();
            expected.sort_by_key(|&row| (-scores[row as usize], row));
            expected.truncate(size);
            expected.sort_unstable();
            prop_assert_eq!(list.into_rows(), expected);
        }
    }

    #[test]
    fn extreme_scores() {
        let mut list = Shortlist::new(1);
        for (row, score) in [i32::MIN + 1, i32::MAX, 0].into_iter().enumerate() {
            list.offer(score, row as u32);
        }
        assert_eq!(list.into_rows(), [1]);
    }
}
