//! Splits text into the words that WordPiece expects: cleaned, without accents, in lower case, punctuation marks on their own.
//!
//! Does what BERT's `BasicTokenizer` does, but one character at a time, so that each byte of a word keeps its position in the text.

use std::ops::Range;

use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::char::decompose_canonical;

/// A normalized word, with the positions of its bytes in the text.
#[derive(Debug, Default)]
pub(super) struct Word {
    bytes: Vec<u8>,
    /// For each byte, the range in the text of the character it comes from.
    origins: Vec<(usize, usize)>,
    characters: usize,
}

impl Word {
    /// The normalized word in UTF-8.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of characters of the normalized word.
    pub(super) fn characters(&self) -> usize {
        self.characters
    }

    /// The range in the text that bytes `start..end` of the word come from. The range must not be empty.
    pub(super) fn origin(&self, start: usize, end: usize) -> Range<usize> {
        self.origins[start].0..self.origins[end - 1].1
    }

    fn push_ascii(&mut self, byte: u8, at: usize) {
        self.bytes.push(byte);
        self.origins.push((at, at + 1));
        self.characters += 1;
    }

    fn push(&mut self, character: char, origin: (usize, usize)) {
        let mut buffer = [0; 4];
        for &byte in character.encode_utf8(&mut buffer).as_bytes() {
            self.bytes.push(byte);
            self.origins.push(origin);
        }
        self.characters += 1;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.origins.clear();
        self.characters = 0;
    }
}

/// Groups the characters of a text into words.
#[derive(Debug)]
pub(super) struct Normalizer {
    /// The current word.
    word: Word,
    /// Whether to lower-case letters and strip their accents.
    uncased: bool,
}

impl Normalizer {
    pub(super) fn new(uncased: bool) -> Self {
        Self {
            word: Word::default(),
            uncased,
        }
    }

    /// Calls `emit` with each word of the text in order; no word is empty.
    pub(super) fn for_each_word(&mut self, text: &str, mut emit: impl FnMut(&Word)) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if byte.is_ascii() {
                match ASCII[usize::from(byte)] {
                    Class::Letter if self.uncased => self.word.push_ascii(byte.to_ascii_lowercase(), at),
                    Class::Letter => self.word.push_ascii(byte, at),
                    Class::Space => self.end_word(&mut emit),
                    Class::Punctuation => {
                        self.end_word(&mut emit);
                        self.word.push_ascii(byte, at);
                        self.end_word(&mut emit);
                    }
                    Class::Removed => {}
                }
                at += 1;
            } else {
                let Some(character) = text[at..].chars().next() else {
                    break;
                };
                let end = at + character.len_utf8();
                self.push_unicode(character, (at, end), &mut emit);
                at = end;
            }
        }
        self.end_word(&mut emit);
    }

    fn push_unicode(&mut self, character: char, origin: (usize, usize), emit: &mut impl FnMut(&Word)) {
        if is_removed(character) {
            return;
        }
        if character.is_whitespace() {
            self.end_word(emit);
            return;
        }
        let is_ideograph = is_ideograph(character);
        if is_ideograph {
            self.end_word(emit);
        }
        if !self.uncased {
            let is_own_word = is_ideograph || is_punctuation(character);
            if is_own_word {
                self.end_word(emit);
            }
            self.word.push(character, origin);
            if is_own_word {
                self.end_word(emit);
            }
            return;
        }
        decompose_canonical(character, |part| {
            if get_general_category(part) == GeneralCategory::NonspacingMark {
                return;
            }
            for lower in part.to_lowercase() {
                if is_punctuation(lower) {
                    self.end_word(emit);
                    self.word.push(lower, origin);
                    self.end_word(emit);
                } else {
                    self.word.push(lower, origin);
                }
            }
        });
        if is_ideograph {
            self.end_word(emit);
        }
    }

    fn end_word(&mut self, emit: &mut impl FnMut(&Word)) {
        if !self.word.bytes.is_empty() {
            emit(&self.word);
            self.word.clear();
        }
    }
}

/// The role of an ASCII character in splitting words.
#[derive(Clone, Copy)]
enum Class {
    Letter,
    Space,
    Punctuation,
    Removed,
}

/// A table for ASCII, because most text then needs no lookup of Unicode properties.
const ASCII: [Class; 128] = {
    let mut classes = [Class::Letter; 128];
    let mut byte = 0;
    while byte < 128 {
        let character = byte as u8;
        classes[byte] = match character {
            b'\t' | b'\n' | b'\r' | b' ' => Class::Space,
            _ if character.is_ascii_control() => Class::Removed,
            _ if character.is_ascii_punctuation() => Class::Punctuation,
            _ => Class::Letter,
        };
        byte += 1;
    }
    classes
};

/// Characters that the model never sees: control and format characters, private use, and the replacement character.
fn is_removed(character: char) -> bool {
    use GeneralCategory::{Control, Format, PrivateUse, Surrogate};
    character == char::REPLACEMENT_CHARACTER
        || matches!(
            get_general_category(character),
            Control | Format | PrivateUse | Surrogate
        )
}

fn is_punctuation(character: char) -> bool {
    use GeneralCategory::{
        ClosePunctuation, ConnectorPunctuation, DashPunctuation, FinalPunctuation, InitialPunctuation,
        OpenPunctuation, OtherPunctuation,
    };
    character.is_ascii_punctuation()
        || matches!(
            get_general_category(character),
            ClosePunctuation
                | ConnectorPunctuation
                | DashPunctuation
                | FinalPunctuation
                | InitialPunctuation
                | OpenPunctuation
                | OtherPunctuation
        )
}

/// CJK ideographs, each of which is a word. Kana and hangul are excluded, because text in them may have spaces between words.
fn is_ideograph(character: char) -> bool {
    matches!(character,
        '\u{4E00}'..='\u{9FFF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{20000}'..='\u{2A6DF}'
        | '\u{2A700}'..='\u{2B73F}'
        | '\u{2B740}'..='\u{2B81F}'
        | '\u{2B920}'..='\u{2CEAF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{2F800}'..='\u{2FA1F}')
}
