//! Removes texts and keys from a provider's messages, because providers quote parts of requests.

use super::options::Key;

/// Characters of a message that are kept.
const MAX_CHARACTERS: usize = 300;
/// A run of this many characters that also occurs in a text counts as a quotation.
const MIN_QUOTE: usize = 12;
/// A word that shares this many consecutive bytes with the key counts as the key.
const MIN_KEY_PART: usize = 6;
/// Providers mask the middle of a key with asterisks, so a word with this many of them also counts as the key.
const MASK: &str = "***";

/// The message on one line, without quotations of `texts` or the key.
pub(super) fn redact(message: &str, texts: &[&str], key: Option<&Key>) -> String {
    let line: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    let without_key: Vec<&str> = line
        .split(' ')
        .map(|word| if is_key(word, key) { "[key]" } else { word })
        .collect();
    let line = redact_texts(&shorten(&without_key.join(" ")), texts);
    line.trim().to_owned()
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn is_key(word: &str, key: Option<&Key>) -> bool {
    let Some(key) = key.map(Key::secret) else {
        return false;
    };
    let shares = word.contains(key)
        || key
            .as_bytes()
            .windows(MIN_KEY_PART)
            .any(|part| contains(word.as_bytes(), part));
    shares || word.contains(MASK)
}

fn contains(word: &[u8], part: &[u8]) -> bool {
    word.windows(part.len()).any(|window| window == part)
}

/// Replaces every quotation of a text. White space may differ between the two.
fn redact_texts(line: &str, texts: &[&str]) -> String {
    let plain: Vec<String> = texts
        .iter()
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let starts: Vec<usize> = line
        .char_indices()
        .map(|(at, _)| at)
        .chain([line.len()])
        .collect();
    let mut is_quoted = vec![false; starts.len().saturating_sub(1)];
    for from in 0..starts.len().saturating_sub(MIN_QUOTE) {
        let run = &line[starts[from]..starts[from + MIN_QUOTE]];
        if plain.iter().any(|text| text.contains(run)) {
            is_quoted[from..from + MIN_QUOTE].fill(true);
        }
    }
    // Texts shorter than a run, such as queries, are matched whole.
    for text in plain
        .iter()
        .filter(|text| text.chars().count() < MIN_QUOTE && text.chars().count() > 3)
    {
        for (at, quote) in line.match_indices(text.as_str()) {
            let first = starts.partition_point(|start| *start < at);
            is_quoted[first..first + quote.chars().count()].fill(true);
        }
    }
    let mut kept = String::with_capacity(line.len());
    let mut in_quote = false;
    for (place, c) in line.chars().enumerate() {
        if !is_quoted[place] {
            kept.push(c);
        } else if !in_quote {
            kept.push_str("[text]");
        }
        in_quote = is_quoted[place];
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_and_keys_are_removed() {
        let text = "the merger with Umbrella\nis planned for May";
        let message = "input too long: 'the merger with Umbrella is planned for May' (44 characters)";
        assert_eq!(
            redact(message, &[text], None),
            "input too long: '[text]' (44 characters)"
        );
        assert_eq!(
            redact("what is \"salary\"?", &["salary"], None),
            "what is \"[text]\"?"
        );
        let key = Key::new("sk-proj-abcdef123456").unwrap();
        let message = "Incorrect API key provided: sk-proj-********3456. See the manual.";
        assert_eq!(
            redact(message, &[], Some(&key)),
            "Incorrect API key provided: [key] See the manual."
        );
    }

    #[test]
    fn a_message_becomes_one_short_line() {
        assert_eq!(redact("a\n\tb\u{7}", &[], None), "a b");
        assert_eq!(
            redact(&"ä".repeat(1000), &[], None).chars().count(),
            MAX_CHARACTERS + 1
        );
    }

    proptest! {
        #[test]
        fn no_long_run_of_a_text_remains(
            text in "[a-zäß ]{12,60}",
            before in "[A-Z0-9 ]{0,20}",
            after in "[A-Z0-9 ]{0,20}",
        ) {
            let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assume!(plain.chars().count() >= MIN_QUOTE);
            let redacted = redact(&format!("{before}\"{text}\"{after}"), &[&text], None);
            prop_assert!(!redacted.contains(&plain), "{redacted}");
        }
    }
}
