//! Headings of Markdown: `# like this` and underlined, outside of code blocks.

use std::ops::Range;

use crate::parse::Heading;

/// A part of a text under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub range: Range<usize>,
    /// Headings above it, outermost first, its own last.
    pub path: Vec<String>,
}

/// The headings of `text` from byte `from` on.
pub(crate) fn headings(text: &str, from: usize) -> Vec<Heading> {
    let mut found: Vec<Heading> = Vec::new();
    let mut fence: Option<(char, usize)> = None;
    let mut before: Option<(usize, &str)> = None;
    let mut at = from;
    for line in text[from..].split_inclusive('\n') {
        let start = at;
        at += line.len();
        let indent = line.len() - line.trim_start_matches(' ').len();
        let content = line.trim();
        let previous = before.take();
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
        if let Some((level, text)) = marked(content) {
            found.push(Heading {
                at: start,
                end: at,
                level,
                text,
            });
        } else if let (Some(level), Some((place, text))) = (underline(content), previous) {
            found.push(Heading {
                at: place,
                end: at,
                level,
                text: plain(text),
            });
        } else if !content.is_empty() && !content.starts_with(['>', '|', '-', '*', '+', '<']) {
            before = Some((start, content));
        }
    }
    found
}

/// The text from byte `from` on, cut before each of its `headings`.
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

/// Where the headings and blank lines end that `part` of `text` begins with.
pub(super) fn leading(text: &str, part: &Range<usize>, headings: &[Heading]) -> usize {
    let mut end = part.start;
    let from = headings.partition_point(|heading| heading.at < part.start);
    for heading in &headings[from..] {
        let in_between = text.get(end..heading.at.min(part.end)).unwrap_or_default();
        if heading.end > part.end || !in_between.trim().is_empty() {
            break;
        }
        end = end.max(heading.end);
    }
    let rest = &text[end..part.end];
    let blank = rest.len() - rest.trim_start().len();
    // The indentation of the first line belongs to it.
    end + rest[..blank].rfind('\n').map_or(0, |line| line + 1)
}

/// The mark and length of a code fence.
fn fence_of(line: &str) -> Option<(char, usize)> {
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == mark).count();
    (length >= 3).then_some((mark, length))
}

fn marked(line: &str) -> Option<(usize, String)> {
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

fn underline(line: &str) -> Option<usize> {
    let all = |mark: char| !line.is_empty() && line.chars().all(|c| c == mark);
    match () {
        () if all('=') => Some(1),
        () if all('-') && line.len() > 1 => Some(2),
        () => None,
    }
}

/// A heading's text as a reader sees it: without emphasis, code marks, link targets and anchors.
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

    fn found(text: &str) -> Vec<(usize, String)> {
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
    fn both_styles() {
        let text = "# One\nText\n\nTwo\n===\n\nThree\n---\n####Not\n#### Four ####\n";
        assert_eq!(
            found(text),
            expected(&[(1, "One"), (1, "Two"), (2, "Three"), (4, "Four")])
        );
    }

    #[test]
    fn marks_are_taken_off() {
        let text = "## The `code` and *more* [link](http://x) {#anchor}\n# C#\n";
        assert_eq!(found(text), expected(&[(2, "The code and more link"), (1, "C#")]));
    }

    #[test]
    fn code_and_rules_are_no_headings() {
        let text = "```\n# no\n```\n~~~\n```\n# no\n~~~\n    # no\n\ntext\n\n---\n- item\n---\n# yes\n";
        assert_eq!(found(text), expected(&[(1, "yes")]));
    }

    #[test]
    fn sections_know_what_is_above() {
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
