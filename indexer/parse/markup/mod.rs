//! Hand-written markup: reStructuredText, AsciiDoc, Org and LaTeX. The text stays the same; only headings are
//! extracted.

mod asciidoc;
mod latex;
mod org;
mod rst;

use super::{Heading, Parsed, Structure};

/// Parses `text` if `extension` is one of these formats.
pub(super) fn parse(extension: &str, text: &str) -> Option<Parsed> {
    let (kind, headings) = match extension {
        "rst" | "rest" => ("rst", rst::headings(text)),
        "adoc" | "asciidoc" | "asc" => ("asciidoc", asciidoc::headings(text)),
        "org" => ("org", org::headings(text)),
        "tex" | "latex" | "ltx" => ("latex", latex::headings(text)),
        _ => return None,
    };
    let mut parsed = Parsed::plain(kind, text.to_owned());
    let title = match kind {
        "org" => org::title(text),
        "latex" => latex::title(text),
        _ => None,
    };
    parsed.title = title.or_else(|| headings.first().map(|heading| heading.text.clone()));
    parsed.structure = Structure::Headings(headings);
    Some(parsed)
}

/// The lines of a text: byte offset of the beginning, byte offset of the end, and the trimmed line.
fn lines(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, at, line.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the headings of `text`, each as "level text".
    #[track_caller]
    fn check(extension: &str, text: &str, expected: &[&str]) {
        let parsed = parse(extension, text).unwrap();
        let Structure::Headings(headings) = parsed.structure else {
            panic!()
        };
        let actual: Vec<String> = headings
            .iter()
            .map(|heading| format!("{} {}", heading.level, heading.text))
            .collect();
        assert_eq!(actual, expected);
        let mut last = 0;
        for heading in headings {
            assert!(heading.at >= last && heading.at < heading.end, "{heading:?}");
            assert!(text[heading.at..heading.end].lines().count() < 4, "{heading:?}");
            last = heading.end;
        }
    }

    #[test]
    fn headings_of_rst() {
        check(
            "rst",
            "=====\nTitle\n=====\n\nOne\n===\n\nTwo *b*\n-------\n\n::\n\n  no\n  --\n\nThree\n=====\n\n+---+\n| a |\n+---+\n\nshort\n--\n",
            &["1 Title", "2 One", "3 Two *b*", "2 Three"],
        );
    }

    #[test]
    fn headings_of_asciidoc() {
        check(
            "adoc",
            "= Title\nAuthor\n\n== One\n\n----\n== no\n----\n\n=== Two ===\n\nOld\n---\n",
            &["1 Title", "2 One", "3 Two", "2 Old"],
        );
    }

    #[test]
    fn headings_and_title_of_org() {
        check(
            "org",
            "#+TITLE: T\n* TODO [#A] One :tag:b:\n** Two\n#+BEGIN_SRC sh\n* no\n#+END_SRC\n*bold*\n",
            &["1 One", "2 Two"],
        );
        assert_eq!(parse("org", "#+title: T\n").unwrap().title.as_deref(), Some("T"));
    }

    #[test]
    fn headings_and_title_of_latex() {
        check(
            "tex",
            "\\title{A \\emph{b}}\n% \\section{no}\n\\section{One}\\label{x}\ntext\n\\subsection*{Two $x$}\n\
             \\begin{verbatim}\n\\section{no}\n\\end{verbatim}\n\\section[s]{Three\n  more}\n",
            &["1 One", "2 Two $x$", "1 Three more"],
        );
        assert_eq!(
            parse("tex", "\\title{A \\emph{b}}").unwrap().title.as_deref(),
            Some("A b")
        );
    }
}
