//! Known-item questions, generated from the documents of a folder.
//!
//! A question is half of the words of a sentence that occurs in one document only. That document is the answer. The questions need
//! no judges, so any folder can be measured. They measure how well search finds a text by some of its own words. That is easier than
//! finding the answer to a question.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use super::{Collection, Judgments, Question};
use crate::words::{is_unspaced, words};

/// Number of words of a sentence that can become a question.
const SENTENCE_WORDS: RangeInclusive<usize> = 8..=40;
/// Number of most distinctive sentences of a document, one of which is picked at random.
const DISTINCTIVE: usize = 5;
/// Minimum number of words of a question.
const MIN_QUESTION_WORDS: usize = 4;

/// A sentence as its words.
type Sentence = Vec<String>;

/// Generates up to `count` questions about `documents`, given as key and text. The same documents and `seed` give the same questions.
pub fn known_items<'a>(
    documents: impl IntoIterator<Item = (&'a str, &'a str)>,
    count: usize,
    seed: u64,
) -> Collection {
    let mut documents: Vec<(&str, Vec<Sentence>)> = documents
        .into_iter()
        .map(|(key, text)| (key, sentences(text)))
        .collect();
    documents.sort_by_cached_key(|(key, _)| (SplitMix64::new(seed, key).next(), *key));
    let frequencies = Frequencies::new(&documents);
    let mut questions = Vec::new();
    let mut judgments = Judgments::new();
    for (key, sentences) in &documents {
        if questions.len() == count {
            break;
        }
        let mut random = SplitMix64::new(seed ^ 1, key);
        let distinctive = frequencies.most_distinctive(sentences);
        let Some(sentence) = random.pick(&distinctive) else {
            continue;
        };
        let id = format!("known-{}", questions.len() + 1);
        judgments.insert(id.clone(), HashMap::from([((*key).to_owned(), 1)]));
        let text = half_of(sentence, &mut random);
        questions.push(Question { id, text });
    }
    Collection {
        documents: Vec::new(),
        questions,
        judgments,
    }
}

/// Document frequencies of words and sentences.
struct Frequencies<'a> {
    documents: usize,
    words: HashMap<&'a str, u32>,
    sentences: HashMap<&'a [String], u32>,
}

impl<'a> Frequencies<'a> {
    fn new(documents: &'a [(&str, Vec<Sentence>)]) -> Frequencies<'a> {
        let mut words: HashMap<&str, u32> = HashMap::new();
        let mut sentences: HashMap<&[String], u32> = HashMap::new();
        for (_, of_document) in documents {
            let distinct: BTreeSet<&str> = of_document.iter().flatten().map(String::as_str).collect();
            for word in distinct {
                *words.entry(word).or_default() += 1;
            }
            let distinct: BTreeSet<&[String]> = of_document.iter().map(Vec::as_slice).collect();
            for sentence in distinct {
                *sentences.entry(sentence).or_default() += 1;
            }
        }
        Frequencies {
            documents: documents.len(),
            words,
            sentences,
        }
    }

    /// The sentences of a document with the highest mean IDF of their words, highest first. Only sentences that occur in no other
    /// document count.
    fn most_distinctive<'s>(&self, sentences: &'s [Sentence]) -> Vec<&'s Sentence> {
        let mut distinctive: Vec<&Sentence> = sentences
            .iter()
            .filter(|sentence| SENTENCE_WORDS.contains(&sentence.len()))
            .filter(|sentence| self.sentences.get(sentence.as_slice()) == Some(&1))
            .collect();
        let mean_idf = |sentence: &[String]| {
            let sum: f64 = sentence.iter().map(|word| self.idf(word)).sum();
            sum / sentence.len() as f64
        };
        distinctive.sort_by(|one, other| mean_idf(other).total_cmp(&mean_idf(one)));
        distinctive.truncate(DISTINCTIVE);
        distinctive
    }

    fn idf(&self, word: &str) -> f64 {
        let frequency = self.words.get(word).copied().unwrap_or(1);
        (self.documents as f64 / f64::from(frequency)).ln()
    }
}

/// Splits a text into sentences.
fn sentences(text: &str) -> Vec<Sentence> {
    let is_end = |c: char| matches!(c, '.' | '!' | '?' | '\n' | '。' | '！' | '？');
    let sentences = text.split(is_end).map(words);
    sentences.filter(|sentence| !sentence.is_empty()).collect()
}

/// About half of the words of a sentence, in their order. In scripts without spaces, a substring of half of the characters.
fn half_of(sentence: &[String], random: &mut SplitMix64) -> String {
    let unspaced = |word: &String| word.chars().all(is_unspaced);
    let half = (sentence.len() / 2).max(MIN_QUESTION_WORDS).min(sentence.len());
    if sentence.iter().filter(|word| unspaced(word)).count() * 2 > sentence.len() {
        let start = random.below(sentence.len() - half + 1);
        return sentence[start..start + half].concat();
    }
    let mut kept: Vec<usize> = (0..sentence.len()).collect();
    while kept.len() > half {
        kept.remove(random.below(kept.len()));
    }
    let kept: Vec<&str> = kept.into_iter().map(|at| sentence[at].as_str()).collect();
    kept.join(" ")
}

/// The random number generator SplitMix64 (Steele, Lea and Flood, 2014). It is implemented here because a
/// seed must give the same questions in every version.
struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator seeded with `seed` and the FNV-1a hash of `key`.
    fn new(seed: u64, key: &str) -> SplitMix64 {
        let state = key.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        SplitMix64(state)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, or 0 if `bound` is 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str =
        "This sentence occurs in both of the documents and therefore asks for neither of them.";

    fn generate(count: usize, seed: u64) -> Collection {
        let heron =
            format!("{SHARED} The heron stands in the reeds and waits for the fish to come by. Short one.");
        let owl = format!("{SHARED} An owl turns its head and listens for mice under the snow at night.");
        let tea = "請先停止服務，再複製資料夾到其他地方，然後重新啟動服務。";
        let documents = [
            ("heron.md", heron.as_str()),
            ("owl.md", owl.as_str()),
            ("tea.md", tea),
        ];
        known_items(documents, count, seed)
    }

    #[test]
    fn a_question_is_half_of_a_sentence_that_only_its_document_has() {
        let collections: Vec<Collection> = (0..8).map(|seed| generate(10, seed)).collect();
        assert!(
            collections
                .iter()
                .all(|collection| collection.questions.len() == 3)
        );
        let judged_questions = collections.iter().flat_map(|collection| {
            let questions = collection.questions.iter();
            questions.map(|question| (question, &collection.judgments[&question.id]))
        });
        for (question, grades) in judged_questions {
            let (key, grade) = grades.iter().next().unwrap();
            assert_eq!(*grade, 1);
            let kept = words(&question.text);
            let sentence = match key.as_str() {
                "heron.md" => "the heron stands in the reeds and waits for the fish to come by",
                "owl.md" => "an owl turns its head and listens for mice under the snow at night",
                _ => "請先停止服務，再複製資料夾到其他地方，然後重新啟動服務",
            };
            let sentence = words(sentence);
            assert_eq!(kept.len(), sentence.len() / 2);
            let mut remaining = sentence.iter();
            assert!(
                kept.iter().all(|word| remaining.any(|other| other == word)),
                "not in order: {}",
                question.text
            );
        }
    }

    #[test]
    fn equal_seeds_give_equal_questions() {
        assert_eq!(generate(3, 7), generate(3, 7));
        assert_eq!(generate(2, 7).questions[..], generate(3, 7).questions[..2]);
        let texts = |seed| {
            generate(3, seed)
                .questions
                .into_iter()
                .map(|q| q.text)
                .collect::<Vec<_>>()
        };
        assert!((0..5).any(|seed| texts(seed) != texts(seed + 1)));
    }
}
