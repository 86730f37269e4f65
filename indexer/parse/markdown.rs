//! Markdown. The text stays the same; front matter and title are extracted.

use super::{Parsed, Structure, front_matter};
use crate::chunk::headings;

pub(super) fn parse(text: String) -> Parsed {
    let (metadata, body_start) = front_matter::split(&text).unwrap_or_default();
    let declared = metadata
        .get("title")
        .and_then(|title| title.as_str())
        .map(str::to_owned);
    let title = declared.filter(|title| !title.trim().is_empty()).or_else(|| {
        let headings = headings(&text, body_start);
        headings
            .iter()
            .find(|heading| heading.level == 1)
            .or(headings.first())
            .map(|heading| heading.text.clone())
    });
    Parsed {
        title,
        metadata,
        body_start,
        structure: Structure::Markdown,
        ..Parsed::plain("markdown", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_comes_from_front_matter_or_the_first_heading() {
        let title = |text: &str| parse(text.to_owned()).title;
        assert_eq!(
            title("---\ntitle: Said\n---\n# Heading\n").as_deref(),
            Some("Said")
        );
        assert_eq!(title("intro\n\n## Small\n\n# Large\n").as_deref(), Some("Large"));
        assert_eq!(title("## Only small\n").as_deref(), Some("Only small"));
        assert_eq!(title("no heading"), None);
        assert_eq!(parse("---\na: b\n---\n# H".to_owned()).body_start, 13);
    }
}
