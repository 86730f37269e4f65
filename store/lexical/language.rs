//! Which language a text is in, as far as stemming asks: by its script, and in Latin script by its function words.
//!
//! A few dozen words tell languages apart well from a paragraph on, and never take source code for one, as statistics of letters
//! do. Where nothing tells, the language is English: its stemmer leaves most words of others alone.

use tantivy::tokenizer::Language;

/// A language that has a stemmer.
pub(super) struct Profile {
    /// Its code in ISO 639-1, as the index records it.
    pub code: &'static str,
    /// Its stemmer.
    pub stemmer: Language,
    /// Its most frequent words without accents, for Latin script.
    function_words: &'static [&'static str],
}

impl Profile {
    /// Whether stemming leaves every word of ASCII its first letter. In Dutch `ge` is taken off.
    pub(super) fn keeps_first_letters(&self) -> bool {
        self.code != "nl"
    }
}

/// The language of texts that tell nothing else.
pub(super) static ENGLISH: &Profile = &PROFILES[0];

const fn profile(code: &'static str, stemmer: Language, function_words: &'static [&'static str]) -> Profile {
    Profile {
        code,
        stemmer,
        function_words,
    }
}

/// All languages, English first.
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

/// How much of a text is looked at, in words; and about how many bytes those are.
const LOOKED_AT: usize = 600;
pub(super) const SAMPLE_BYTES: usize = 8 * LOOKED_AT;
/// Fewer different function words than this tell nothing: the names of variables may be a few of them.
const FEWEST: usize = 5;
/// A language's function words must be at least this share of all, …
const SHARE: f32 = 0.12;
/// … and this many times as many as English has.
const OVER_ENGLISH: f32 = 1.5;

/// The language of a code, if it is one.
pub(super) fn by_code(code: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.code == code)
}

/// The language of `text`.
pub(super) fn detect(text: &str) -> &'static Profile {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .take(LOOKED_AT)
        .map(folded)
        .collect();
    if let Some(profile) = by_script(&words) {
        return profile;
    }
    // How many of the words, and how many different ones, are function words of a language.
    let count = |profile: &Profile| {
        let known = profile.function_words.iter();
        let counts = known.map(|known| words.iter().filter(|word| word == known).count());
        counts.fold((0, 0), |(all, different), count| {
            (all + count, different + usize::from(count > 0))
        })
    };
    let enough = (SHARE * words.len() as f32).max(OVER_ENGLISH * count(ENGLISH).0 as f32);
    let mut best = (0, ENGLISH);
    for profile in &PROFILES[1..] {
        let (all, different) = count(profile);
        if all as f32 >= enough && different >= FEWEST && all > best.0 {
            best = (all, profile);
        }
    }
    best.1
}

/// In lower case, with the accents of Latin letters taken off.
fn folded(word: &str) -> String {
    let fold = |c: char| match c {
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
    word.chars().flat_map(char::to_lowercase).map(fold).collect()
}

/// The language whose script most words begin in, of those that a script tells.
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
    fn paragraphs_are_told_apart() {
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
    fn code_and_scraps_are_english() {
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
    fn codes_are_unique_and_words_are_folded() {
        for profile in PROFILES {
            assert!(std::ptr::eq(by_code(profile.code).unwrap(), profile));
            for word in profile.function_words {
                assert_eq!(folded(word), *word);
            }
        }
    }
}
