//! The text that the model embeds for a passage.

use autorag_embedder::Tokenizer;

/// Separates the parts of a header.
const SEPARATOR: &str = " › ";

/// The text to embed for a passage: a header line with the document's title and headings, then the passage.
///
/// `window` is the number of tokens that the model reads. The passage is never shortened. The header loses its
/// outermost parts until both fit.
pub fn embedding_input(
    title: Option<&str>,
    heading_path: &[String],
    text: &str,
    tokenizer: &Tokenizer,
    window: usize,
) -> String {
    let room = window.saturating_sub(tokenizer.count(text));
    let title = title.filter(|title| heading_path.first().is_none_or(|first| first != title));
    let parts: Vec<&str> = title
        .into_iter()
        .chain(heading_path.iter().map(String::as_str))
        .collect();
    for from in 0..parts.len() {
        let header = parts[from..].join(SEPARATOR);
        if tokenizer.count(&header) <= room {
            return format!("{header}\n{text}");
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use autorag_embedder::Embedder;

    #[test]
    fn the_header_shrinks_to_leave_room_for_the_passage() {
        let embedder = Embedder::built_in().unwrap();
        let headings = ["Install".to_owned(), "Linux".to_owned()];
        let input = |title, room: usize| {
            let window = embedder.tokenizer().count("a passage") + room;
            embedding_input(title, &headings, "a passage", embedder.tokenizer(), window)
        };
        assert_eq!(
            input(Some("Handbook"), 99),
            "Handbook › Install › Linux\na passage"
        );
        assert_eq!(input(Some("Install"), 99), "Install › Linux\na passage");
        assert_eq!(input(Some("Handbook"), 1), "Linux\na passage");
        assert_eq!(input(Some("Handbook"), 0), "a passage");
    }
}
