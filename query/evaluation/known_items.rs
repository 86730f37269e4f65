//! Questions that a folder asks of itself: a sentence that stands in one document only, with half of its words gone, asks for that
//! document. They need no judge, so any folder can be measured; they say how well a text is found again by part of its own words,
//! which is less than an answer to a question.

use std::collections::{BTreeSet, HashMap};

use super::{Collection, Judgments, Question};
use crate::words::{is_unspaced, words};

/// Words of a sentence that makes a question.
const SENTENCE_WORDS: std::ops::RangeInclusive<usize> = 8..=40;
/// Of so many sentences of a document, the most telling ones, one is picked.
const TELLING: usize = 5;
/// Fewest words of a question.
const FEWEST: usize = 4;

/// Makes up to `count` questions about `documents`, given by key and text. The same documents and `seed` give the same questions.
pub fn known_items<'a>(
    documents: impl IntoIterator<Item = (&'a str, &'a str)>,
    count: usize,
    seed: u64,
) -> Collection {
    let documents: Vec<(&str, Vec<Vec<String>>)> = documents
        .into_iter()
        .map(|(key, text)| (key, sentences(text)))
        .collect();
    let mut word_documents: HashMap<&str, u32> = HashMap::new();
    let mut sentence_documents: HashMap<&[String], u32> = HashMap::new();
    for (_, sentences) in &documents {
        let different: BTreeSet<&str> = sentences.iter().flatten().map(String::as_str).collect();
        for word in different {
            *word_documents.entry(word).or_default() += 1;
        }
        let different: BTreeSet<&[String]> = sentences.iter().map(Vec::as_slice).collect();
        for sentence in different {
            *sentence_documents.entry(sentence).or_default() += 1;
        }
    }
    let rarity = |word: &String| {
        let with = word_documents.get(word.as_str()).copied().unwrap_or(1);
        (documents.len() as f64 / f64::from(with)).ln()
    };
    let mut drawn: Vec<(u64, &str, &Vec<Vec<String>>)> = documents
        .iter()
        .map(|(key, sentences)| (Dice::of(seed, key).roll(), *key, sentences))
        .collect();
    drawn.sort_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
    let mut questions = Vec::new();
    let mut judgments = Judgments::new();
    for (_, key, sentences) in drawn {
        if questions.len() == count {
            break;
        }
        let mut telling: Vec<&Vec<String>> = sentences
            .iter()
            .filter(|sentence| SENTENCE_WORDS.contains(&sentence.len()))
            .filter(|sentence| sentence_documents.get(sentence.as_slice()) == Some(&1))
            .collect();
        let telling_of =
            |sentence: &[String]| sentence.iter().map(rarity).sum::<f64>() / sentence.len() as f64;
        telling.sort_by(|one, other| telling_of(other).total_cmp(&telling_of(one)));
        telling.truncate(TELLING);
        let mut dice = Dice::of(seed ^ 1, key);
        let Some(sentence) = dice.pick(&telling) else {
            continue;
        };
        let id = format!("known-{}", questions.len() + 1);
        judgments.insert(id.clone(), HashMap::from([(key.to_owned(), 1)]));
        let text = half_of(sentence, &mut dice);
        questions.push(Question { id, text });
    }
    Collection {
        documents: Vec::new(),
        questions,
        judgments,
    }
}

/// The sentences of a text, as words.
fn sentences(text: &str) -> Vec<Vec<String>> {
    let ends = |c: char| matches!(c, '.' | '!' | '?' | '\n' | '。' | '！' | '？');
    let cut = text.split(ends).map(words);
    cut.filter(|sentence| !sentence.is_empty()).collect()
}

/// About half of the words, in their order; of a script without spaces half of the characters, in a row.
fn half_of(sentence: &[String], dice: &mut Dice) -> String {
    let unspaced = |word: &String| word.chars().all(is_unspaced);
    let half = (sentence.len() / 2).max(FEWEST).min(sentence.len());
    if sentence.iter().filter(|word| unspaced(word)).count() * 2 > sentence.len() {
        let start = dice.below(sentence.len() - half + 1);
        return sentence[start..start + half].concat();
    }
    let mut kept: Vec<usize> = (0..sentence.len()).collect();
    while kept.len() > half {
        kept.remove(dice.below(kept.len()));
    }
    let kept: Vec<&str> = kept.into_iter().map(|at| sentence[at].as_str()).collect();
    kept.join(" ")
}

/// Numbers that look random and are the same each time (SplitMix64; Steele, Lea and Flood, 2014).
struct Dice(u64);

impl Dice {
    fn of(seed: u64, key: &str) -> Dice {
        let mixed = key.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Dice(mixed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "This sentence stands in both of the documents and so asks for neither of them.";

    fn made(count: usize, seed: u64) -> Collection {
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
    fn each_question_is_half_of_a_sentence_of_its_document_alone() {
        let collections: Vec<Collection> = (0..8).map(|seed| made(10, seed)).collect();
        assert!(
            collections
                .iter()
                .all(|collection| collection.questions.len() == 3)
        );
        let asked = collections.iter().flat_map(|collection| {
            let questions = collection.questions.iter();
            questions.map(|question| (question, &collection.judgments[&question.id]))
        });
        for (question, judged) in asked {
            let (key, grade) = judged.iter().next().unwrap();
            assert_eq!(*grade, 1);
            let asked = words(&question.text);
            let telling = match key.as_str() {
                "heron.md" => "the heron stands in the reeds and waits for the fish to come by",
                "owl.md" => "an owl turns its head and listens for mice under the snow at night",
                _ => "請先停止服務，再複製資料夾到其他地方，然後重新啟動服務",
            };
            let sentence = words(telling);
            assert_eq!(asked.len(), sentence.len() / 2);
            let mut rest = sentence.iter();
            assert!(
                asked.iter().all(|word| rest.any(|other| other == word)),
                "in order: {}",
                question.text
            );
        }
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(made(3, 7), made(3, 7));
        assert_eq!(made(2, 7).questions[..], made(3, 7).questions[..2]);
        let texts = |seed| {
            made(3, seed)
                .questions
                .into_iter()
                .map(|q| q.text)
                .collect::<Vec<_>>()
        };
        assert!((0..5).any(|seed| texts(seed) != texts(seed + 1)));
    }
}
