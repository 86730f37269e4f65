//! The passages with the greatest sums of leaves, without a look at most others: MaxScore (Turtle and Flood, "Query evaluation:
//! strategies and optimizations", 1995), a window of passages at a time.
//!
//! Leaves that together cannot lift a passage over the worst of the best are not gone through, only asked about passages that
//! others have. Common words in long questions are such leaves: what passes over blocks by their own bounds has to move each of
//! them to every passage of a rare word, and this does not.

use tantivy::{DocAddress, DocId, Score, Searcher, SegmentOrdinal, SegmentReader, TERMINATED};

use super::leaves::{Leaf, LeafCursor};
use super::top::Top;
use crate::{DocumentId, DocumentSet};

/// Passages gone through at once. Their scores stay in the processor's nearest memory.
const WINDOW: usize = 4096;
/// Sums come about in more than one order, so that bounds are taken for a little more than they are.
const SLACK: Score = 1.0 + 1e-5;

/// The best `limit` passages of documents `allowed`, or of all, by the sum of `leaves`. Best first.
pub(super) fn best(
    searcher: &Searcher,
    leaves: &[Leaf],
    allowed: Option<&DocumentSet>,
    limit: usize,
) -> tantivy::Result<Vec<(Score, DocAddress)>> {
    let mut best = Top::new(limit);
    let mut window = Window::new();
    for (ordinal, segment) in searcher.segment_readers().iter().enumerate() {
        let mut cursors = Vec::new();
        for leaf in leaves {
            cursors.extend(leaf.cursor(ordinal, segment)?);
        }
        let at = (ordinal as SegmentOrdinal, segment);
        segment_best(Sum::new(cursors), at, allowed, &mut window, &mut best)?;
    }
    Ok(best.sorted())
}

fn segment_best(
    mut sum: Sum,
    (ordinal, segment): (SegmentOrdinal, &SegmentReader),
    allowed: Option<&DocumentSet>,
    window: &mut Window,
    best: &mut Top,
) -> tantivy::Result<()> {
    let alive = segment.alive_bitset();
    let documents = match allowed {
        Some(_) => Some(segment.fast_fields().u64("document")?),
        None => None,
    };
    let may_answer = |place: DocId| {
        let (Some(documents), Some(allowed)) = (&documents, allowed) else {
            return true;
        };
        let document = documents.first(place).and_then(|id| u32::try_from(id).ok());
        document.is_some_and(|id| allowed.contains(DocumentId(id)))
    };
    loop {
        let essential = sum.essential(best.worst().unwrap_or(0.0));
        let start = sum.next_of(essential);
        if start == TERMINATED {
            return Ok(());
        }
        window.start = start;
        sum.cursors[essential..]
            .iter_mut()
            .for_each(|cursor| window.add(cursor));
        window.drain(|place, score| {
            if alive.is_some_and(|alive| alive.is_deleted(place)) {
                return;
            }
            let worst = best.worst().unwrap_or(0.0);
            if let Some(score) = sum.completed(essential, place, score, worst)
                && may_answer(place)
            {
                best.offer(score, DocAddress::new(ordinal, place));
            }
        });
    }
}

/// The leaves in a segment, the least first.
struct Sum {
    cursors: Vec<LeafCursor>,
    /// What the first leaves give a passage together at most: with none of them, with one, and so on.
    bounds: Vec<Score>,
}

impl Sum {
    fn new(mut cursors: Vec<LeafCursor>) -> Sum {
        cursors.sort_by(|one, other| one.bound().total_cmp(&other.bound()));
        let mut together = 0.0;
        let mut bounds = vec![0.0];
        bounds.extend(cursors.iter().map(|cursor| {
            together += cursor.bound() * SLACK;
            together
        }));
        Sum { cursors, bounds }
    }

    /// The first of the leaves one of which a passage must have to be better than `worst`.
    fn essential(&self, worst: Score) -> usize {
        self.bounds[1..].partition_point(|&together| together <= worst)
    }

    /// The next passage of the leaves from `essential` on.
    fn next_of(&self, essential: usize) -> DocId {
        let places = self.cursors[essential..].iter().map(LeafCursor::place);
        places.min().unwrap_or(TERMINATED)
    }

    /// The whole score of a passage that the leaves from `essential` on give `score`, where it is better than `worst`.
    fn completed(&mut self, essential: usize, place: DocId, mut score: Score, worst: Score) -> Option<Score> {
        for leaf in (0..essential).rev() {
            if score + self.bounds[leaf + 1] <= worst {
                return None;
            }
            score += self.cursors[leaf].score_at(place);
        }
        (score > worst).then_some(score)
    }
}

/// Scores of neighbouring passages.
struct Window {
    start: DocId,
    scores: Vec<Score>,
    /// Which passages have one, a bit each.
    scored: Vec<u64>,
    /// What the forms of one leaf give.
    forms: Vec<Score>,
}

impl Window {
    fn new() -> Window {
        Window {
            start: 0,
            scores: vec![0.0; WINDOW],
            scored: vec![0; WINDOW / 64],
            forms: vec![0.0; WINDOW],
        }
    }

    /// Adds what a leaf gives.
    fn add(&mut self, cursor: &mut LeafCursor) {
        let Window {
            start,
            scores,
            scored,
            forms,
        } = self;
        let end = start.saturating_add(WINDOW as DocId).min(TERMINATED);
        let is_of_one_form = cursor.is_of_one_form();
        cursor.for_each_before(end, |place, score| {
            let at = (place - *start) as usize;
            scored[at / 64] |= 1 << (at % 64);
            match is_of_one_form {
                true => scores[at] += score,
                false => forms[at] = forms[at].max(score),
            }
        });
        if !is_of_one_form {
            let given = scores.iter_mut().zip(forms);
            given.for_each(|(score, form)| *score += std::mem::take(form));
        }
    }

    /// Calls `take` with each passage that has a score, in order, and is empty afterwards.
    fn drain(&mut self, mut take: impl FnMut(DocId, Score)) {
        for (word, bits) in self.scored.iter_mut().enumerate() {
            while *bits != 0 {
                let at = word * 64 + bits.trailing_zeros() as usize;
                *bits &= *bits - 1;
                take(self.start + at as DocId, std::mem::take(&mut self.scores[at]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tantivy::collector::TopDocs;
    use tantivy::query::{BooleanQuery, BoostQuery, DisjunctionMaxQuery, Occur, Query, TermQuery};
    use tantivy::schema::{Field, IndexRecordOption, STRING, Schema, TEXT};
    use tantivy::{Index, TantivyDocument, Term};

    use super::super::statistics::SegmentCounts;
    use super::*;

    /// Numbers as from dice.
    fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        }
    }

    /// Passages of two fields, in segments with deletions. A word is the rarer the greater its number.
    fn index() -> (Index, [Field; 2]) {
        let mut schema = Schema::builder();
        let fields = [
            schema.add_text_field("body", TEXT),
            schema.add_text_field("title", TEXT),
        ];
        let key = schema.add_text_field("key", STRING);
        let index = Index::create_in_ram(schema.build());
        let mut writer = index.writer_with_num_threads(1, 20 << 20).unwrap();
        writer.set_merge_policy(Box::new(tantivy::merge_policy::NoMergePolicy));
        let mut dice = dice(5);
        for passages in [9000, 1, 700, 200] {
            for number in 0..passages {
                let mut document = TantivyDocument::default();
                for (field, most) in fields.into_iter().zip([40, 4]) {
                    let mut word = || format!("w{}", (1 << dice(9)) + dice(3));
                    let words: Vec<String> = (0..most).map(|_| word()).collect();
                    let length = dice(most + 1) as usize;
                    document.add_text(field, words[..length].join(" "));
                }
                document.add_text(key, format!("{}", number % 10));
                writer.add_document(document).unwrap();
            }
            writer.commit().unwrap();
            writer.delete_term(Term::from_field_text(key, "3"));
        }
        writer.commit().unwrap();
        (index, fields)
    }

    #[test]
    fn the_best_are_those_that_a_look_at_all_finds() {
        let (index, fields) = index();
        let searcher = index.reader().unwrap().searcher();
        assert!(searcher.segment_readers().len() > 2);
        let statistics = SegmentCounts::default().of(&searcher);
        let mut dice = dice(77);
        for round in 0..60 {
            let mut words: Vec<Vec<String>> = Vec::new();
            for _ in 0..=dice(6) {
                let mut word = || format!("w{}", (1 << dice(9)) + dice(3));
                words.push(vec![word()]);
                if round % 2 == 0 {
                    let other = word();
                    words.extend((words[0][0] != other).then(|| vec![words[0][0].clone(), other]));
                }
            }
            let boosts = [(fields[0], 1.0), (fields[1], 1.3)];
            let (mut leaves, mut clauses) = (Vec::new(), Vec::new());
            for forms in &words {
                for (field, boost) in boosts {
                    let leaf = Leaf::new(&statistics, (field, boost), forms, searcher.num_docs());
                    leaves.extend(leaf.unwrap());
                    let forms = forms.iter().map(|form| -> Box<dyn Query> {
                        let term = Term::from_field_text(field, form);
                        Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
                    });
                    let word = Box::new(DisjunctionMaxQuery::new(forms.collect()));
                    let clause: Box<dyn Query> = Box::new(BoostQuery::new(word, boost));
                    clauses.push((Occur::Should, clause));
                }
            }
            let all = TopDocs::with_limit(20_000).order_by_score();
            let query = BooleanQuery::new(clauses);
            let expected = searcher
                .search_with_statistics_provider(&query, &all, &statistics)
                .unwrap();
            let scores: BTreeMap<DocAddress, Score> =
                expected.iter().map(|&(score, at)| (at, score)).collect();
            for limit in [1, 10, 300, 20_000] {
                let found = best(&searcher, &leaves, None, limit).unwrap();
                assert_eq!(found.len(), expected.len().min(limit), "{words:?}, {limit}");
                for ((score, at), (expected, _)) in found.iter().zip(&expected) {
                    assert!(
                        (score - expected).abs() < 1e-4,
                        "{words:?}, {limit}: {score}, {expected}"
                    );
                    assert!((score - scores[at]).abs() < 1e-4, "{words:?}, {limit}: {at:?}");
                }
            }
        }
    }
}
