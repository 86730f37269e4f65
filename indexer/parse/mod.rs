//! From bytes to text with structure. The content decides what a file is; the name only which kind of text.

mod code;
mod decode;
mod front_matter;
mod html;
mod markdown;

use autorag_store::{ItemStatus, Metadata};

pub(crate) use code::grammar;

/// Text and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// `markdown`, `html`, `code` or `text`.
    pub kind: &'static str,
    /// Programming language of code.
    pub language: Option<&'static str>,
    /// Title, where there is one.
    pub title: Option<String>,
    /// Front matter, meta tags.
    pub metadata: Metadata,
    /// The text that spans count in. Of Markdown, code and plain text it is the whole file's, so that lines in a citation are
    /// lines in the editor.
    pub text: String,
    /// Where passages begin: after the front matter.
    pub body_start: usize,
}

/// Why a file gives no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whether it failed or is left out on purpose.
    pub status: ItemStatus,
    /// Why, for a reader.
    pub reason: String,
}

impl Refusal {
    /// It should have given text and did not.
    pub fn error(reason: impl Into<String>) -> Refusal {
        Refusal {
            status: ItemStatus::Error,
            reason: reason.into(),
        }
    }

    /// It is left out on purpose.
    pub fn skipped(reason: impl Into<String>) -> Refusal {
        Refusal {
            status: ItemStatus::Skipped,
            reason: reason.into(),
        }
    }
}

/// Parses the bytes of the file at `path`, of which only the name counts.
///
/// # Errors
/// [`Refusal`] where there is no text to be had.
pub fn parse(path: &str, bytes: &[u8]) -> Result<Parsed, Refusal> {
    let text = decode::decode(bytes)?;
    if text.trim().is_empty() {
        return Err(Refusal::skipped("empty"));
    }
    let filename = path.rsplit('/').next().unwrap_or(path);
    let extension = filename
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_lowercase())
        .unwrap_or_default();
    match extension.as_str() {
        "md" | "markdown" | "mdown" | "mkd" | "mdx" => return Ok(markdown::parse(text)),
        "html" | "htm" | "xhtml" => return html::parse(&text),
        _ => {}
    }
    if html::looks_like(&text) {
        return html::parse(&text);
    }
    let language = code::language(filename, &extension, &text);
    Ok(Parsed {
        kind: if language.is_some() { "code" } else { "text" },
        language,
        title: None,
        metadata: Metadata::new(),
        body_start: 0,
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn content_and_name_decide() {
        let kind = |path: &str, text: &str| {
            parse(path, text.as_bytes()).map(|parsed| (parsed.kind, parsed.language))
        };
        assert_eq!(kind("a.md", "# A"), Ok(("markdown", None)));
        assert_eq!(kind("a.txt", "<!DOCTYPE html><p>hello"), Ok(("html", None)));
        assert_eq!(kind("lib.rs", "fn main() {}"), Ok(("code", Some("rust"))));
        assert_eq!(
            kind("tool", "#!/usr/bin/env python3\nprint(1)"),
            Ok(("code", Some("python")))
        );
        assert_eq!(kind("README", "hello"), Ok(("text", None)));
        assert_eq!(kind("a.md", " \n\t"), Err(Refusal::skipped("empty")));
    }

    proptest! {
        /// No bytes make any parser panic.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), name in "[a-z]{1,3}\\.(md|html|rs|txt|py)") {
            let _ = parse(&name, &bytes);
        }

        /// No text made of markup does either.
        #[test]
        fn any_markup(
            pieces in proptest::collection::vec(
                prop::sample::select(vec![
                    "---\n", "+++\n", "a: b\n", "# ", "\n===\n", "```\n", "<p>", "</p>", "<table>", "<tr>", "<td>", "</table>",
                    "<pre>", "<h1>", "</h1>", "<li>", "&amp;", "<!--", "text ", "\n", "ü", "\r\n", "<title>", "<main>", "<br>",
                ]),
                0..40,
            ),
            name in prop::sample::select(vec!["a.md", "a.html"]),
        ) {
            let text: String = pieces.concat();
            if let Ok(parsed) = parse(name, text.as_bytes()) {
                prop_assert!(parsed.text.is_char_boundary(parsed.body_start));
            }
        }
    }
}
