//! Markdown headings: `# Heading` and underlined, outside of code blocks.

use std::ops::Range;

use crate::parse::Heading;

/// The text below one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub range: Range<usize>,
    /// Headings of the section, outermost first. The last one is the section's own.
    pub path: Vec<String>,
}

/// The headings of `text` after byte `from`.
pub(crate) fn headings(text: &str, from: usize) -> Vec<Heading> {
    let mut headings: Vec<Heading> = Vec::new();
    let mut fence: Option<(char, usize)> = None;
    let mut paragraph: Option<(usize, &str)> = None;
    let mut at = from;
    for line in text[from..].split_inclusive('\n') {
        let start = at;
        at += line.len();
        let indent = line.len() - line.trim_start_matches(' ').len();
        let content = line.trim();
        let previous = paragraph.take();
        if let Some((mark, length)) = fence_of(content).filter(|_| indent < 4) {
            match fence {
                Some((open, opened)) if open == mark && length >= opened => fence = None,
                Some(_) => {}
                None => fence = Some((mark, length)),
            }
            continue;
        }
        if fence.is_some() || indent >= 4 || line.starts_with('\t') {
            continue;
        }
        if let Some((level, text)) = atx_heading(content) {
            headings.push(Heading {
                at: start,
                end: at,
                level,
                text,
            });
        } else if let (Some(level), Some((previous_start, text))) = (underline_level(content), previous) {
            headings.push(Heading {
                at: previous_start,
                end: at,
                level,
                text: plain(text),
            });
        } else if !content.is_empty() && !content.starts_with(['>', '|', '-', '*', '+', '<']) {
            paragraph = Some((start, content));
        }
    }
    headings
}

/// Cuts the text after byte `from` before each of its `headings`.
pub(super) fn sections(text: &str, from: usize, headings: &[Heading]) -> Vec<Section> {
    let mut sections = Vec::with_capacity(headings.len() + 1);
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut start = from;
    let path = |above: &[(usize, String)]| above.iter().map(|(_, text)| text.clone()).collect();
    for heading in headings {
        if !text[start..heading.at].trim().is_empty() {
            sections.push(Section {
                range: start..heading.at,
                path: path(&above),
            });
            start = heading.at;
        }
        above.retain(|(outer, _)| *outer < heading.level);
        if !heading.text.is_empty() {
            above.push((heading.level, heading.text.clone()));
        }
    }
    sections.push(Section {
        range: start..text.len(),
        path: path(&above),
    });
    sections
}

/// The byte offset after the headings and blank lines at the beginning of `part`.
pub(super) fn leading(text: &str, part: &Range<usize>, headings: &[Heading]) -> usize {
    let mut end = part.start;
    let from = headings.partition_point(|heading| heading.at < part.start);
    for heading in &headings[from..] {
        let between = text.get(end..heading.at.min(part.end)).unwrap_or_default();
        if heading.end > part.end || !between.trim().is_empty() {
            break;
        }
        end = end.max(heading.end);
    }
    let rest = &text[end..part.end];
    let blank = rest.len() - rest.trim_start().len();
    // Indentation belongs to the first line of text.
    end + rest[..blank].rfind('\n').map_or(0, |line| line + 1)
}

/// The character and length of a code fence.
fn fence_of(line: &str) -> Option<(char, usize)> {
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == mark).count();
    (length >= 3).then_some((mark, length))
}

/// A heading of the form `# Heading`: level and text.
fn atx_heading(line: &str) -> Option<(usize, String)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let rest = line.get(level..)?;
    if !(1..=6).contains(&level) || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    let rest = rest.trim();
    let closed = rest.trim_end_matches('#');
    let text = if closed.is_empty() || closed.ends_with([' ', '\t']) {
        closed.trim_end()
    } else {
        rest
    };
    let text = plain(text);
    (!text.is_empty()).then_some((level, text))
}

/// The level of a heading whose underline is `line`.
fn underline_level(line: &str) -> Option<usize> {
    let all = |mark: char| !line.is_empty() && line.chars().all(|c| c == mark);
    if all('=') {
        Some(1)
    } else if all('-') && line.len() > 1 {
        Some(2)
    } else {
        None
    }
}

/// The displayed text of a heading: without emphasis, code marks, link targets and anchors.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let text = match text.rfind(" {#") {
        Some(anchor) if text.ends_with('}') => &text[..anchor],
        _ => text,
    };
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open);
        out.push_str(before);
        let link = from[1..]
            .split_once("](")
            .and_then(|(label, after)| Some((label, after.split_once(')')?.1)));
        match link {
            Some((label, after)) => {
                out.push_str(label);
                rest = after;
            }
            None => {
                out.push('[');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out.replace(['*', '`'], "").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels_and_texts(text: &str) -> Vec<(usize, String)> {
        headings(text, 0)
            .into_iter()
            .map(|heading| (heading.level, heading.text))
            .collect()
    }

    fn expected(list: &[(usize, &str)]) -> Vec<(usize, String)> {
        list.iter()
            .map(|(level, text)| (*level, (*text).to_owned()))
            .collect()
    }

    #[test]
    fn both_heading_styles_are_found() {
        let text = "# One\nText\n\nTwo\n===\n\nThree\n---\n####Not\n#### Four ####\n";
        assert_eq!(
            levels_and_texts(text),
            expected(&[(1, "One"), (1, "Two"), (2, "Three"), (4, "Four")])
        );
    }

    #[test]
    fn markup_is_removed_from_headings() {
        let text = "## The `code` and *more* [link](http://x) {#anchor}\n# C#\n";
        assert_eq!(
            levels_and_texts(text),
            expected(&[(2, "The code and more link"), (1, "C#")])
        );
    }

    #[test]
    fn code_and_rules_are_not_headings() {
        let text = "```\n# no\n```\n~~~\n```\n# no\n~~~\n    # no\n\ntext\n\n---\n- item\n---\n# yes\n";
        assert_eq!(levels_and_texts(text), expected(&[(1, "yes")]));
    }

    #[test]
    fn sections_have_the_path_of_their_headings() {
        let text = "intro\n# A\n## B\nb\n### C\nc\n## D\nd\n# E\n";
        let sections: Vec<(String, &str)> = sections(text, 0, &headings(text, 0))
            .into_iter()
            .map(|s| (s.path.join("/"), &text[s.range]))
            .collect();
        let expected = [
            ("", "intro\n"),
            ("A", "# A\n"),
            ("A/B", "## B\nb\n"),
            ("A/B/C", "### C\nc\n"),
            ("A/D", "## D\nd\n"),
            ("E", "# E\n"),
        ];
        assert_eq!(sections, expected.map(|(path, text)| (path.to_owned(), text)));
    }
}
