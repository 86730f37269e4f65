//! Texts as sequences of words, without any language's rules.

/// The words of a text in small letters, without marks; of scripts without spaces each character is one.
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

/// The [`words`] of a text by hash.
///
/// A page of hits has dozens of texts taken apart, so that no word is made a string, and the hash is a short one (FNV-1a over
/// characters). Whoever wants two words to look the same can as well write the same word.
pub(crate) fn word_hashes(text: &str) -> Vec<u64> {
    const BEGIN: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let added = |hash: u64, c: char| (hash ^ u64::from(c)).wrapping_mul(PRIME);
    let mut words = Vec::with_capacity(text.len() / 6);
    let mut word = None;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            word = Some(added(word.unwrap_or(BEGIN), c.to_ascii_lowercase()));
            continue;
        }
        if c.is_alphanumeric() && !is_unspaced(c) {
            word = Some(c.to_lowercase().fold(word.unwrap_or(BEGIN), added));
            continue;
        }
        words.extend(word.take().map(mixed));
        if is_unspaced(c) {
            words.push(mixed(added(BEGIN, c)));
        }
    }
    words.extend(word.map(mixed));
    words
}

/// A hash each bit of which hangs on all bits of `hash`: the last steps of MurmurHash3.
pub(crate) fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Whether a character is of a script that puts no spaces between words: kana and Han.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_and_capitals_go() {
        assert_eq!(words("Don't stop, 茶道!"), ["don", "t", "stop", "茶", "道"]);
        assert!(words(" … ").is_empty());
    }

    proptest! {
        #[test]
        fn hashes_are_those_of_the_words(text in ".{0,60}") {
            let each: Vec<u64> = words(&text).iter().flat_map(|word| word_hashes(word)).collect();
            prop_assert_eq!(word_hashes(&text), each);
        }
    }

    #[test]
    fn words_have_hashes_of_their_own() {
        let words: Vec<String> = (0..20_000).map(|number: u32| format!("{number:x}")).collect();
        let mut hashes = word_hashes(&words.join(" "));
        assert_eq!(hashes.len(), words.len());
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), words.len());
    }
}
