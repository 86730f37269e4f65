//! Detects the language of a text, to choose a stemmer: by script, and for Latin script by function words.
//!
//! A few dozen function words identify a language reliably from one paragraph on. Unlike letter n-grams, they
//! never take source code for prose. The fallback is English, whose stemmer leaves most words of other
//! languages unchanged.

use tantivy::tokenizer::Language;

/// A language with a stemmer.
pub(super) struct Profile {
    /// ISO 639-1 code, as stored in the index.
    pub code: &'static str,
    /// Stemmer of tantivy.
    pub stemmer: Language,
    /// The most frequent words, without accents. Empty for a language detected by its script.
    function_words: &'static [&'static str],
}

impl Profile {
    /// Whether stemming keeps the first letter of every ASCII word. The Dutch stemmer removes the prefix
    /// `ge`.
    pub(super) fn keeps_first_letters(&self) -> bool {
        self.code != "nl"
    }
}

/// The fallback.
pub(super) static ENGLISH: &Profile = &PROFILES[0];

const fn profile(code: &'static str, stemmer: Language, function_words: &'static [&'static str]) -> Profile {
    Profile {
        code,
        stemmer,
        function_words,
    }
}

/// All languages. English is first.
pub(super) static PROFILES: &[Profile] = &[
    profile(
        "en",
        Language::English,
        &[
            "the", "of", "and", "to", "in", "is", "that", "for", "it", "with", "as", "was", "on", "be", "by",
            "this", "are", "from", "or", "which", "not", "have", "an", "at", "you", "if", "what", "how",
        ],
    ),
    profile(
        "de",
        Language::German,
        &[
            "der", "die", "und", "das", "den", "von", "zu", "mit", "ist", "des", "dem", "im", "fur", "auf",
            "nicht", "ein", "eine", "als", "auch", "sich", "es", "an", "werden", "wurde", "aus", "er", "sie",
            "nach", "bei", "einer", "um", "wie", "oder", "war", "zur", "zum",
        ],
    ),
    profile(
        "fr",
        Language::French,
        &[
            "le", "la", "les", "de", "des", "du", "et", "un", "une", "en", "dans", "que", "qui", "est",
            "pour", "par", "au", "aux", "sur", "avec", "ne", "pas", "ce", "cette", "sont", "il", "elle",
            "plus", "se", "ou", "l", "d",
        ],
    ),
    profile(
        "es",
        Language::Spanish,
        &[
            "el", "la", "los", "las", "de", "del", "y", "que", "en", "un", "una", "es", "por", "con", "para",
            "se", "no", "su", "al", "lo", "como", "mas", "pero", "sus", "fue", "son", "este", "esta", "o",
        ],
    ),
    profile(
        "it",
        Language::Italian,
        &[
            "il", "la", "le", "gli", "di", "del", "della", "dei", "delle", "e", "che", "in", "un", "una",
            "per", "con", "non", "si", "da", "dal", "nel", "nella", "sono", "al", "alla", "come", "piu",
            "anche", "lo",
        ],
    ),
    profile(
        "pt",
        Language::Portuguese,
        &[
            "o", "a", "os", "as", "de", "do", "da", "dos", "das", "e", "que", "em", "um", "uma", "para",
            "com", "nao", "por", "no", "na", "se", "mais", "como", "foi", "ao", "pelo", "pela", "sao",
        ],
    ),
    profile(
        "nl",
        Language::Dutch,
        &[
            "de", "het", "een", "en", "van", "in", "is", "dat", "op", "te", "voor", "met", "zijn", "niet",
            "aan", "er", "om", "ook", "als", "dan", "maar", "bij", "uit", "door", "naar", "werd", "worden",
            "deze", "of",
        ],
    ),
    profile(
        "sv",
        Language::Swedish,
        &[
            "och", "i", "att", "det", "som", "en", "pa", "ar", "av", "for", "med", "den", "till", "inte",
            "har", "ett", "om", "de", "var", "sig", "fran", "men", "kan", "eller", "vid",
        ],
    ),
    profile(
        "da",
        Language::Danish,
        &[
            "og", "i", "at", "det", "som", "en", "pa", "er", "af", "for", "med", "den", "til", "ikke", "har",
            "et", "om", "de", "var", "sig", "fra", "men", "kan", "eller", "ved", "blev",
        ],
    ),
    profile(
        "no",
        Language::Norwegian,
        &[
            "og", "i", "at", "det", "som", "en", "pa", "er", "av", "for", "med", "den", "til", "ikke", "har",
            "et", "om", "de", "var", "seg", "fra", "men", "kan", "eller", "ved", "ble",
        ],
    ),
    profile(
        "fi",
        Language::Finnish,
        &[
            "ja", "on", "oli", "ei", "se", "etta", "myos", "han", "kun", "mutta", "ovat", "joka", "tai",
            "sen", "hanen", "kuin", "niin", "jotka", "mukaan", "voi", "olla",
        ],
    ),
    profile(
        "hu",
        Language::Hungarian,
        &[
            "a", "az", "es", "hogy", "nem", "egy", "is", "volt", "de", "ez", "meg", "mint", "csak", "vagy",
            "el", "ki", "azt", "szerint", "kell", "lehet",
        ],
    ),
    profile(
        "ro",
        Language::Romanian,
        &[
            "si", "de", "in", "a", "la", "cu", "pe", "din", "este", "care", "un", "o", "nu", "pentru", "ca",
            "sa", "mai", "al", "ale", "fost", "sunt", "prin", "se",
        ],
    ),
    profile(
        "tr",
        Language::Turkish,
        &[
            "ve", "bir", "bu", "da", "de", "icin", "ile", "olarak", "olan", "daha", "cok", "gibi", "en",
            "ne", "ama", "kadar", "sonra", "veya", "degil", "ise",
        ],
    ),
    profile("ru", Language::Russian, &[]),
    profile("el", Language::Greek, &[]),
    profile("ar", Language::Arabic, &[]),
    profile("ta", Language::Tamil, &[]),
];

/// Number of words that detection reads.
const SAMPLE_WORDS: usize = 600;
/// Approximate size of the sample. Words beyond the sample have no effect.
pub(super) const SAMPLE_BYTES: usize = 8 * SAMPLE_WORDS;
/// Minimum number of distinct function words. Source code may have a few, as names of variables.
const MIN_DISTINCT: usize = 5;
/// Minimum share of function words among all words, …
const MIN_SHARE: f32 = 0.12;
/// … and minimum ratio to the number of English function words.
const MIN_ENGLISH_RATIO: f32 = 1.5;

/// The language of an ISO 639-1 code.
pub(super) fn by_code(code: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.code == code)
}

/// The language of `text`, or English if no language is likely.
pub(super) fn detect(text: &str) -> &'static Profile {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .take(SAMPLE_WORDS)
        .map(fold)
        .collect();
    if let Some(profile) = by_script(&words) {
        return profile;
    }
    // Number of function words of a language in the text, and number of distinct ones.
    let count = |profile: &Profile| {
        let function_words = profile.function_words.iter();
        let counts =
            function_words.map(|function_word| words.iter().filter(|word| word == function_word).count());
        counts.fold((0, 0), |(total, distinct), count| {
            (total + count, distinct + usize::from(count > 0))
        })
    };
    let min_total = (MIN_SHARE * words.len() as f32).max(MIN_ENGLISH_RATIO * count(ENGLISH).0 as f32);
    let mut best = (0, ENGLISH);
    for profile in &PROFILES[1..] {
        let (total, distinct) = count(profile);
        if total as f32 >= min_total && distinct >= MIN_DISTINCT && total > best.0 {
            best = (total, profile);
        }
    }
    best.1
}

/// Lower-cases a word and removes the accents of Latin letters.
fn fold(word: &str) -> String {
    let unaccented = |c: char| match c {
        'à'..='å' | 'ă' => 'a',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ò'..='ö' | 'ø' | 'ő' => 'o',
        'ù'..='ü' | 'ű' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        'ș' | 'ş' => 's',
        'ț' => 't',
        c => c,
    };
    word.chars()
        .flat_map(char::to_lowercase)
        .map(unaccented)
        .collect()
}

/// The language whose script most words start in. `None` if no script has a majority, or the script is Latin.
fn by_script(words: &[String]) -> Option<&'static Profile> {
    let codes = words.iter().filter_map(|word| {
        Some(match word.chars().next()? {
            '\u{400}'..='\u{52f}' => "ru",
            '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => "el",
            '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' => "ar",
            '\u{b80}'..='\u{bff}' => "ta",
            _ => return None,
        })
    });
    let codes: Vec<&str> = codes.collect();
    let most = ["ru", "el", "ar", "ta"]
        .into_iter()
        .max_by_key(|code| codes.iter().filter(|c| *c == code).count())?;
    let count = codes.iter().filter(|code| **code == most).count();
    (count * 2 > words.len()).then(|| by_code(most)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_identifies_its_language() {
        for (text, code) in [
            (
                "The lighthouse stands on a rock and is lit by a keeper at dusk.",
                "en",
            ),
            (
                "Der Leuchtturm steht auf einem Felsen und wird bei Dämmerung von einem Wärter entzündet.",
                "de",
            ),
            (
                "Le phare se dresse sur un rocher et il est allumé par le gardien à la tombée de la nuit.",
                "fr",
            ),
            (
                "El faro está en una roca y el guardián lo enciende por la noche con una lámpara.",
                "es",
            ),
            (
                "Il faro si trova su una roccia e il guardiano lo accende di notte con una lampada.",
                "it",
            ),
            (
                "De vuurtoren staat op een rots en wordt in de avond door een wachter aangestoken.",
                "nl",
            ),
            (
                "Fyren står på en klippa och tänds av en vaktare när det blir kväll.",
                "sv",
            ),
            ("Маяк стоит на скале, и вечером его зажигает смотритель.", "ru"),
            ("Ο φάρος στέκεται σε έναν βράχο και ανάβει το βράδυ.", "el"),
            ("灯塔矗立在岩石上。", "en"),
        ] {
            assert_eq!(detect(text).code, code, "{text}");
        }
    }

    #[test]
    fn source_code_and_fragments_are_english() {
        for text in [
            "",
            "Der Turm",
            "fn main() { let mut de = la.iter(); for un in de { if is_set(un) { die(un) } } }",
            "def die(self, no, se): return self.table[no] + self.un(se) if is_set else None",
        ] {
            assert_eq!(detect(text).code, "en", "{text}");
        }
    }

    #[test]
    fn codes_are_unique_and_function_words_are_folded() {
        for profile in PROFILES {
            assert!(std::ptr::eq(by_code(profile.code).unwrap(), profile));
            for word in profile.function_words {
                assert_eq!(fold(word), *word);
            }
        }
    }
}
