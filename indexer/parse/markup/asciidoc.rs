//! AsciiDoc headings: `== Title`, or a title with an underline in the older style.

use super::{Heading, lines};

/// Lines that open and close blocks without headings.
const FENCES: &[&str] = &["----", "....", "++++", "////", "```"];

pub(super) fn headings(text: &str) -> Vec<Heading> {
    let mut headings: Vec<Heading> = Vec::new();
    let mut fence: Option<&str> = None;
    let mut above: Option<(usize, &str)> = None;
    for (start, end, line) in lines(text) {
        let previous = above.take();
        if let Some(open) = fence {
            if line == open {
                fence = None;
            }
            continue;
        }
        if let (Some(level), Some((at, title))) = (underline(line), previous)
            && line.len().abs_diff(title.chars().count()) <= 2
        {
            headings.push(heading(at, end, level, title));
            continue;
        }
        let is_fence = FENCES.iter().any(|fence| line.starts_with(fence))
            && line
                .chars()
                .next()
                .is_some_and(|mark| line.chars().all(|c| c == mark) || mark == '`');
        if is_fence {
            fence = Some(if line.starts_with("```") { "```" } else { line });
            continue;
        }
        let level = line.bytes().take_while(|byte| *byte == b'=').count();
        if let Some(title) = line.get(level..).and_then(|rest| rest.strip_prefix(' '))
            && (1..=6).contains(&level)
        {
            let title = title.trim().trim_end_matches('=').trim_end();
            if !title.is_empty() {
                headings.push(heading(start, end, level, title));
            }
        } else if line.chars().next().is_some_and(char::is_alphanumeric) {
            above = Some((start, line));
        }
    }
    headings
}

fn heading(at: usize, end: usize, level: usize, text: &str) -> Heading {
    Heading {
        at,
        end,
        level,
        text: text.to_owned(),
    }
}

fn underline(line: &str) -> Option<usize> {
    let mark = line.chars().next()?;
    let level = ['=', '-', '~', '^', '+']
        .iter()
        .position(|known| *known == mark)?;
    (line.len() >= 3 && line.chars().all(|c| c == mark)).then_some(level + 1)
}
