#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::LazyLock;

use proptest::prelude::*;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use unicode_categories::UnicodeCategories;
use unicode_general_category::{GeneralCategory, get_general_category};

use super::*;

static LINES: &str = include_str!("../../data/model/all-MiniLM-L6-v2/vocab.txt");
static OURS: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::from_vocabulary(LINES).unwrap());
static ORACLE: LazyLock<tokenizers::Tokenizer> = LazyLock::new(|| {
    let vocabulary = WordPiece::read_bytes(LINES.as_bytes()).unwrap();
    let model = WordPiece::builder().vocab(vocabulary).build().unwrap();
    let mut oracle = tokenizers::Tokenizer::new(model);
    oracle.with_normalizer(Some(BertNormalizer::default())).unwrap();
    oracle.with_pre_tokenizer(Some(BertPreTokenizer));
    oracle
});

fn oracle(text: &str) -> Vec<u32> {
    ORACLE.encode_fast(text, false).unwrap().get_ids().to_vec()
}

fn unknown() -> u32 {
    match &OURS.algorithm {
        Algorithm::WordPiece(word_piece) => word_piece.unknown(),
        Algorithm::Json(_) => panic!("the built-in model uses WordPiece"),
    }
}

fn pieces(text: &str) -> Vec<&str> {
    OURS.token_spans(text)
        .into_iter()
        .map(|span| &text[span])
        .collect()
}

#[test]
fn words_are_split_into_the_longest_pieces() {
    assert_eq!(OURS.encode("Hello, world!"), [7592, 1010, 2088, 999]);
    assert_eq!(pieces("unaffable"), ["una", "ffa", "ble"]);
    assert_eq!(OURS.encode("qqzzxxjj\u{1F980}"), [unknown()]);
    assert_eq!(OURS.encode(""), [0_u32; 0]);
}

#[test]
fn spans_refer_to_the_original_text() {
    assert_eq!(
        pieces("  Café\u{301}s, 東京!\n"),
        ["Café\u{301}s", ",", "東", "京", "!"]
    );
    assert_eq!(pieces("de\u{ad}part"), ["de\u{ad}part"]);
    // One character of the text becomes several in the normalized word.
    assert_eq!(OURS.token_spans("각").last(), Some(&(0..3)));
}

#[test]
fn a_word_of_over_a_hundred_characters_is_unknown() {
    let hundred = "a".repeat(100);
    assert!(OURS.count(&hundred) > 1);
    assert_eq!(OURS.encode(&(hundred + "a")), [unknown()]);
}

#[test]
fn special_tokens_spelled_out_in_a_text_are_plain_text() {
    assert_eq!(pieces("[SEP]x"), ["[", "SEP", "]", "x"]);
    let (start, end) = OURS.boundary_tokens();
    let ids = OURS.encode("[CLS] a [SEP]");
    assert!(!ids.contains(&start[0]) && !ids.contains(&end[0]));
}

#[test]
fn a_vocabulary_without_special_tokens_is_refused() {
    assert!(matches!(
        Tokenizer::from_vocabulary("a\nb\n"),
        Err(EmbedError::MalformedModel { .. })
    ));
}

/// Whether the oracle's Unicode tables, which date from 2015, classify a character as ours do.
fn is_classified_alike(character: char) -> bool {
    use GeneralCategory as C;
    let category = get_general_category(character);
    let punctuation = matches!(
        category,
        C::ClosePunctuation
            | C::ConnectorPunctuation
            | C::DashPunctuation
            | C::FinalPunctuation
            | C::InitialPunctuation
            | C::OpenPunctuation
            | C::OtherPunctuation
    );
    let other = matches!(category, C::Control | C::Format | C::PrivateUse);
    character.is_mark_nonspacing() == (category == C::NonspacingMark)
        && character.is_punctuation() == punctuation
        && character.is_other() == other
}

/// Every script in use, one character at a time between two letters.
#[test]
fn every_character_below_the_ideographs_is_tokenized_as_by_the_oracle() {
    for character in ('\0'..'\u{3400}')
        .chain('\u{A000}'..'\u{AC10}')
        .chain('\u{D700}'..'\u{10000}')
    {
        let text = format!("a{character}b");
        if is_classified_alike(character) {
            assert_eq!(OURS.encode(&text), oracle(&text), "{character:?}");
        }
    }
}

/// Mostly ASCII, as in real texts, with some of everything else.
fn any_character() -> impl Strategy<Value = char> {
    prop_oneof![
        6 => prop::char::range(' ', '~'),
        1 => prop::sample::select(vec!['\n', '\t', '\r', '\u{a0}', '\u{ad}', '\u{301}', '\u{fffd}', '\0']),
        2 => prop::char::range('\u{80}', '\u{24f}'),
        1 => any::<char>().prop_filter("newer than the oracle", |&character| is_classified_alike(character)),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop::collection::vec(any_character(), 0..80).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #[test]
    fn cased_tokens_match_the_oracle(text in any_text()) {
        let lines = "[CLS]\n[SEP]\n[UNK]\nA\na\n##a\n##A\né\n##é\nÉ\n,\n.\n中";
        let ours = Tokenizer::read_vocabulary(Path::new("vocab.txt"), lines.into(), false).unwrap();
        let vocabulary = WordPiece::read_bytes(lines.as_bytes()).unwrap();
        let model = WordPiece::builder().vocab(vocabulary).build().unwrap();
        let mut oracle = tokenizers::Tokenizer::new(model);
        oracle.with_normalizer(Some(BertNormalizer::new(true, true, None, false))).unwrap();
        oracle.with_pre_tokenizer(Some(BertPreTokenizer));
        let expected = oracle.encode_fast(text.as_str(), false).unwrap();
        prop_assert_eq!(ours.encode(&text), expected.get_ids());
    }

    #[test]
    fn tokens_match_the_oracle(text in any_text()) {
        // The oracle has no registered special tokens, so it also treats their names as plain text.
        prop_assert_eq!(OURS.encode(&text), oracle(&text));
    }

    #[test]
    fn spans_are_ordered_and_contain_whole_characters(text in any_text()) {
        let spans = OURS.token_spans(&text);
        prop_assert_eq!(spans.len(), OURS.count(&text));
        prop_assert_eq!(spans.len(), OURS.encode(&text).len());
        for span in &spans {
            prop_assert!(!text[span.clone()].is_empty());
        }
        for pair in spans.windows(2) {
            prop_assert!(pair[0].start <= pair[1].start && pair[0].end <= pair[1].end);
        }
    }

    #[test]
    fn any_bytes_are_accepted(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(OURS.count(&text), OURS.encode(&text).len());
    }
}
