//! Splitting of text into words, independent of the language.

/// The words of a text in lower case, without punctuation. In scripts without spaces each character is a word.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() && !is_unspaced(c) {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if is_unspaced(c) {
            words.push(c.to_string());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The hash of each of the [`words`] of a text.
///
/// Every search splits dozens of texts, so this allocates no strings and uses a fast hash (FNV-1a over characters). An attacker can
/// construct collisions, but gains nothing: a document can just as well repeat the word itself.
pub(crate) fn word_hashes(text: &str) -> Vec<u64> {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let add = |hash: u64, c: char| (hash ^ u64::from(c)).wrapping_mul(PRIME);
    let mut words = Vec::with_capacity(text.len() / 6);
    let mut word = None;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            word = Some(add(word.unwrap_or(OFFSET_BASIS), c.to_ascii_lowercase()));
            continue;
        }
        if c.is_alphanumeric() && !is_unspaced(c) {
            word = Some(c.to_lowercase().fold(word.unwrap_or(OFFSET_BASIS), add));
            continue;
        }
        words.extend(word.take().map(mix));
        if is_unspaced(c) {
            words.push(mix(add(OFFSET_BASIS, c)));
        }
    }
    words.extend(word.map(mix));
    words
}

/// The finalizer of MurmurHash3: every bit of the result depends on all bits of `hash`.
pub(crate) fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// True for characters of scripts without spaces between words: kana and Han.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn punctuation_and_case_are_removed() {
        assert_eq!(words("Don't stop, 茶道!"), ["don", "t", "stop", "茶", "道"]);
        assert!(words(" … ").is_empty());
    }

    proptest! {
        #[test]
        fn hashes_agree_with_words(text in ".{0,60}") {
            let each: Vec<u64> = words(&text).iter().flat_map(|word| word_hashes(word)).collect();
            prop_assert_eq!(word_hashes(&text), each);
        }
    }

    #[test]
    fn different_words_have_different_hashes() {
        let words: Vec<String> = (0..20_000).map(|number: u32| format!("{number:x}")).collect();
        let mut hashes = word_hashes(&words.join(" "));
        assert_eq!(hashes.len(), words.len());
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), words.len());
    }
}
