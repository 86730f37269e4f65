//! MaxScore: the top k passages by summed term scores, skipping most others (Turtle and Flood, "Query
//! evaluation: strategies and optimizations", 1995). Passages are scored in windows, term at a time within a
//! window.
//!
//! Terms whose summed upper bounds stay below the current k-th score are non-essential: their postings are
//! probed, not iterated. Common words in long queries become non-essential. Block-max WAND, tantivy's
//! algorithm, would still move each of them to every passage of a rare word.

use tantivy::{DocAddress, DocId, Score, Searcher, SegmentOrdinal, SegmentReader, TERMINATED};

use super::term_scorer::{TermScorer, TermWeight};
use super::top_k::TopK;
use crate::{DocumentId, DocumentSet};

/// Passages per window. Their scores fit the L1 cache.
const WINDOW: usize = 4096;
/// Upper bounds are inflated by this factor. Float sums depend on their order, and rounding must never prune a
/// true hit.
const SLACK: Score = 1.0 + 1e-5;

/// The `k` passages with the highest summed scores of `terms`, best first. `allowed` restricts the documents.
pub(super) fn top_passages(
    searcher: &Searcher,
    terms: &[TermWeight],
    allowed: Option<&DocumentSet>,
    k: usize,
) -> tantivy::Result<Vec<(Score, DocAddress)>> {
    let mut top = TopK::new(k);
    let mut window = Window::new();
    for (ordinal, segment) in searcher.segment_readers().iter().enumerate() {
        let mut scorers = Vec::new();
        for term in terms {
            scorers.extend(term.scorer(ordinal, segment)?);
        }
        let segment = (ordinal as SegmentOrdinal, segment);
        search_segment(ScorerSet::new(scorers), segment, allowed, &mut window, &mut top)?;
    }
    Ok(top.into_sorted())
}

fn search_segment(
    mut scorers: ScorerSet,
    (ordinal, segment): (SegmentOrdinal, &SegmentReader),
    allowed: Option<&DocumentSet>,
    window: &mut Window,
    top: &mut TopK,
) -> tantivy::Result<()> {
    let alive = segment.alive_bitset();
    let documents = match allowed {
        Some(_) => Some(segment.fast_fields().u64("document")?),
        None => None,
    };
    let is_allowed = |doc: DocId| {
        let (Some(documents), Some(allowed)) = (&documents, allowed) else {
            return true;
        };
        let document = documents.first(doc).and_then(|id| u32::try_from(id).ok());
        document.is_some_and(|id| allowed.contains(DocumentId(id)))
    };
    loop {
        let essential = scorers.first_essential(top.threshold().unwrap_or(0.0));
        let start = scorers.next_doc(essential);
        if start == TERMINATED {
            return Ok(());
        }
        window.start = start;
        scorers.by_bound[essential..]
            .iter_mut()
            .for_each(|scorer| window.add(scorer));
        window.drain(|doc, score| {
            if alive.is_some_and(|alive| alive.is_deleted(doc)) {
                return;
            }
            let threshold = top.threshold().unwrap_or(0.0);
            if let Some(score) = scorers.complete(essential, doc, score, threshold)
                && is_allowed(doc)
            {
                top.push(score, DocAddress::new(ordinal, doc));
            }
        });
    }
}

/// The term scorers of a segment.
struct ScorerSet {
    /// In ascending order of their upper bounds.
    by_bound: Vec<TermScorer>,
    /// `prefix_bounds[n]` is the upper bound of the sum of the first n scorers.
    prefix_bounds: Vec<Score>,
}

impl ScorerSet {
    fn new(mut by_bound: Vec<TermScorer>) -> ScorerSet {
        by_bound.sort_by(|one, other| one.max_score().total_cmp(&other.max_score()));
        let mut sum = 0.0;
        let mut prefix_bounds = vec![0.0];
        prefix_bounds.extend(by_bound.iter().map(|scorer| {
            sum += scorer.max_score() * SLACK;
            sum
        }));
        ScorerSet {
            by_bound,
            prefix_bounds,
        }
    }

    /// Index of the first essential scorer. A passage scores above `threshold` only if an essential scorer
    /// has it.
    fn first_essential(&self, threshold: Score) -> usize {
        self.prefix_bounds[1..].partition_point(|&bound| bound <= threshold)
    }

    /// The next passage of the scorers from `essential` on.
    fn next_doc(&self, essential: usize) -> DocId {
        let docs = self.by_bound[essential..].iter().map(TermScorer::doc);
        docs.min().unwrap_or(TERMINATED)
    }

    /// Adds the non-essential scores to `score`, the sum of the essential scorers. `None` as soon as the
    /// total cannot exceed `threshold`.
    fn complete(
        &mut self,
        essential: usize,
        doc: DocId,
        mut score: Score,
        threshold: Score,
    ) -> Option<Score> {
        for index in (0..essential).rev() {
            if score + self.prefix_bounds[index + 1] <= threshold {
                return None;
            }
            score += self.by_bound[index].score_at(doc);
        }
        (score > threshold).then_some(score)
    }
}

/// Score accumulators of consecutive passages.
struct Window {
    start: DocId,
    scores: Vec<Score>,
    /// Bitmap of the passages that have a score.
    scored: Vec<u64>,
    /// For a term with several stems: the maximum over its stems.
    stem_scores: Vec<Score>,
}

impl Window {
    fn new() -> Window {
        Window {
            start: 0,
            scores: vec![0.0; WINDOW],
            scored: vec![0; WINDOW / 64],
            stem_scores: vec![0.0; WINDOW],
        }
    }

    /// Adds the scores of a term.
    fn add(&mut self, scorer: &mut TermScorer) {
        let Window {
            start,
            scores,
            scored,
            stem_scores,
        } = self;
        let end = start.saturating_add(WINDOW as DocId).min(TERMINATED);
        let has_one_stem = scorer.has_one_stem();
        scorer.for_each_before(end, |doc, score| {
            let index = (doc - *start) as usize;
            scored[index / 64] |= 1 << (index % 64);
            if has_one_stem {
                scores[index] += score;
            } else {
                stem_scores[index] = stem_scores[index].max(score);
            }
        });
        if !has_one_stem {
            for (score, stem_score) in scores.iter_mut().zip(stem_scores) {
                *score += std::mem::take(stem_score);
            }
        }
    }

    /// Calls `each` with the passages that have a score, in ascending order, and resets the window.
    fn drain(&mut self, mut each: impl FnMut(DocId, Score)) {
        for (word, bits) in self.scored.iter_mut().enumerate() {
            while *bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                *bits &= *bits - 1;
                each(
                    self.start + index as DocId,
                    std::mem::take(&mut self.scores[index]),
                );
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

    use super::super::statistics::StatisticsCache;
    use super::*;

    /// A word whose frequency halves from one power of two to the next.
    fn word(rng: &mut fastrand::Rng) -> String {
        format!("w{}", (1 << rng.u32(0..9)) + rng.u32(0..3))
    }

    /// Passages with two fields, in four segments with deletions.
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
        let mut rng = fastrand::Rng::with_seed(5);
        for passages in [9000, 1, 700, 200] {
            for number in 0..passages {
                let mut document = TantivyDocument::default();
                for (field, longest) in fields.into_iter().zip([40, 4]) {
                    let length = rng.usize(0..=longest);
                    let words: Vec<String> = (0..length).map(|_| word(&mut rng)).collect();
                    document.add_text(field, words.join(" "));
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
    fn finds_the_same_passages_as_an_exhaustive_search() {
        let (index, fields) = index();
        let searcher = index.reader().unwrap().searcher();
        assert!(searcher.segment_readers().len() > 2);
        let statistics = StatisticsCache::default().statistics(&searcher);
        let mut rng = fastrand::Rng::with_seed(77);
        for round in 0..60 {
            let mut words: Vec<Vec<String>> = Vec::new();
            for _ in 0..=rng.u32(0..6) {
                words.push(vec![word(&mut rng)]);
                if round % 2 == 0 {
                    let (first, other) = (words[0][0].clone(), word(&mut rng));
                    words.extend((first != other).then(|| vec![first, other]));
                }
            }
            let boosts = [(fields[0], 1.0), (fields[1], 1.3)];
            let (mut terms, mut clauses) = (Vec::new(), Vec::new());
            for stems in &words {
                for (field, boost) in boosts {
                    let term = TermWeight::new(&statistics, (field, boost), stems, searcher.num_docs());
                    terms.extend(term.unwrap());
                    let stems = stems.iter().map(|stem| -> Box<dyn Query> {
                        let term = Term::from_field_text(field, stem);
                        Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
                    });
                    let word = Box::new(DisjunctionMaxQuery::new(stems.collect()));
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
            for k in [1, 10, 300, 20_000] {
                let found = top_passages(&searcher, &terms, None, k).unwrap();
                assert_eq!(found.len(), expected.len().min(k), "{words:?}, {k}");
                for ((score, at), (expected, _)) in found.iter().zip(&expected) {
                    assert!(
                        (score - expected).abs() < 1e-4,
                        "{words:?}, {k}: {score}, {expected}"
                    );
                    assert!((score - scores[at]).abs() < 1e-4, "{words:?}, {k}: {at:?}");
                }
            }
        }
    }
}
