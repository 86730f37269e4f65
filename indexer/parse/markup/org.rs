//! Org headings: stars, then an optional state, priority and tags around the text.

use super::{Heading, lines};

/// Common task states.
const STATES: &[&str] = &["TODO", "DONE", "NEXT", "WAITING", "CANCELLED"];

pub(super) fn headings(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut in_block = false;
    for (start, end, line) in lines(text) {
        let keyword = line.trim_start().to_ascii_lowercase();
        if keyword.starts_with("#+begin_") {
            in_block = true;
        } else if keyword.starts_with("#+end_") {
            in_block = false;
        }
        let level = line.bytes().take_while(|byte| *byte == b'*').count();
        let Some(rest) = line.get(level..).and_then(|rest| rest.strip_prefix(' ')) else {
            continue;
        };
        let text = heading_text(rest);
        if level > 0 && !in_block && !text.is_empty() {
            headings.push(Heading {
                at: start,
                end,
                level,
                text: text.to_owned(),
            });
        }
    }
    headings
}

/// The value of `#+TITLE:`.
pub(super) fn title(text: &str) -> Option<String> {
    let line = text.lines().take(50).find(|line| {
        line.get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case("#+title:"))
    })?;
    Some(line[8..].trim().to_owned()).filter(|title| !title.is_empty())
}

fn heading_text(rest: &str) -> &str {
    let mut text = rest.trim();
    if let Some((first, after)) = text.split_once(' ')
        && STATES.contains(&first)
    {
        text = after.trim_start();
    }
    if text.starts_with("[#")
        && let Some((_, after)) = text.split_once(']')
    {
        text = after.trim_start();
    }
    match text.rsplit_once(' ') {
        Some((before, tags)) if tags.len() > 2 && tags.starts_with(':') && tags.ends_with(':') => {
            before.trim_end()
        }
        _ => text,
    }
}
