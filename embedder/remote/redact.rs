//! What a provider says, made fit for logs and answers: providers repeat parts of what they were sent.

use super::options::Key;

/// Characters of a message that are kept.
const LONGEST: usize = 300;
/// So many characters of a text in a row are taken to be a quotation of it.
const QUOTED: usize = 12;
/// So many characters of the key in a row, …
const OF_KEY: usize = 6;
/// … or so many asterisks, with which providers hide the middle of one, mark a word as the key.
const MASK: &str = "***";

/// The message in one line, without anything of `texts` or of the key.
pub(super) fn redacted(message: &str, texts: &[&str], key: Option<&Key>) -> String {
    let line: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    let without_key: Vec<&str> = line
        .split(' ')
        .map(|word| if is_of_key(word, key) { "[key]" } else { word })
        .collect();
    let line = without_texts(&shortened(&without_key.join(" ")), texts);
    line.trim().to_owned()
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn is_of_key(word: &str, key: Option<&Key>) -> bool {
    let Some(key) = key.map(Key::secret) else {
        return false;
    };
    let shares = word.contains(key)
        || key
            .as_bytes()
            .windows(OF_KEY)
            .any(|part| contains(word.as_bytes(), part));
    shares || word.contains(MASK)
}

fn contains(word: &[u8], part: &[u8]) -> bool {
    word.windows(part.len()).any(|window| window == part)
}

/// Replaces every stretch that also stands in one of the texts, whatever white space it has there.
fn without_texts(line: &str, texts: &[&str]) -> String {
    let plain: Vec<String> = texts
        .iter()
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let starts: Vec<usize> = line
        .char_indices()
        .map(|(at, _)| at)
        .chain([line.len()])
        .collect();
    let mut quoted = vec![false; starts.len().saturating_sub(1)];
    for from in 0..starts.len().saturating_sub(QUOTED) {
        let piece = &line[starts[from]..starts[from + QUOTED]];
        if plain.iter().any(|text| text.contains(piece)) {
            quoted[from..from + QUOTED].fill(true);
        }
    }
    // A text that is shorter than a stretch, as queries are.
    for text in plain
        .iter()
        .filter(|text| text.chars().count() < QUOTED && text.chars().count() > 3)
    {
        for (at, found) in line.match_indices(text.as_str()) {
            let first = starts.partition_point(|start| *start < at);
            quoted[first..first + found.chars().count()].fill(true);
        }
    }
    let mut kept = String::with_capacity(line.len());
    let mut within = false;
    for (place, c) in line.chars().enumerate() {
        match (quoted[place], within) {
            (true, false) => kept.push_str("[text]"),
            (true, true) => {}
            (false, _) => kept.push(c),
        }
        within = quoted[place];
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_and_keys_are_left_out() {
        let text = "the merger with Umbrella\nis planned for May";
        let said = "input too long: 'the merger with Umbrella is planned for May' (44 characters)";
        assert_eq!(
            redacted(said, &[text], None),
            "input too long: '[text]' (44 characters)"
        );
        assert_eq!(
            redacted("what is \"salary\"?", &["salary"], None),
            "what is \"[text]\"?"
        );
        let key = Key::new("sk-proj-abcdef123456").unwrap();
        let said = "Incorrect API key provided: sk-proj-********3456. See the manual.";
        assert_eq!(
            redacted(said, &[], Some(&key)),
            "Incorrect API key provided: [key] See the manual."
        );
    }

    #[test]
    fn a_message_is_one_short_line() {
        assert_eq!(redacted("a\n\tb\u{7}", &[], None), "a b");
        assert_eq!(
            redacted(&"ä".repeat(1000), &[], None).chars().count(),
            LONGEST + 1
        );
    }

    proptest! {
        #[test]
        fn no_long_stretch_of_a_text_is_left(
            text in "[a-zäß ]{12,60}",
            before in "[A-Z0-9 ]{0,20}",
            after in "[A-Z0-9 ]{0,20}",
        ) {
            let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assume!(plain.chars().count() >= QUOTED);
            let left = redacted(&format!("{before}\"{text}\"{after}"), &[&text], None);
            prop_assert!(!left.contains(&plain), "{left}");
        }
    }
}
