//! LaTeX headings: sectioning commands outside of comments and verbatim text.

use super::super::composer::one_line;
use super::{Heading, lines};

/// Sectioning commands, outermost first.
const COMMANDS: &[&str] = &[
    "part",
    "chapter",
    "section",
    "subsection",
    "subsubsection",
    "paragraph",
    "subparagraph",
];
/// Longest title, bytes.
const MAX_TITLE: usize = 1000;

pub(super) fn headings(text: &str) -> Vec<Heading> {
    let mut commands: Vec<(usize, usize, usize, String)> = Vec::new();
    let mut verbatim = false;
    let mut skip_to = 0;
    for (start, end, line) in lines(text) {
        if line.contains("\\begin{verbatim")
            || line.contains("\\begin{lstlisting")
            || line.contains("\\begin{minted")
        {
            verbatim = true;
        }
        if line.contains("\\end{verbatim")
            || line.contains("\\end{lstlisting")
            || line.contains("\\end{minted")
        {
            verbatim = false;
        }
        if verbatim || start < skip_to {
            continue;
        }
        let code = line.trim_start();
        let Some(rest) = code.strip_prefix('\\') else {
            continue;
        };
        let name: &str = &rest[..rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len())];
        let Some(rank) = COMMANDS.iter().position(|command| *command == name) else {
            continue;
        };
        let from = start + (line.len() - code.len()) + 1 + name.len();
        if let Some((title, after)) = argument(text, from) {
            let line_end = text[after..]
                .find('\n')
                .map_or(text.len(), |at| after + at + 1)
                .max(end);
            skip_to = line_end;
            commands.push((start, line_end, rank, title));
        }
    }
    // The outermost command used in the file has level 1.
    let outermost = commands
        .iter()
        .map(|(_, _, rank, _)| *rank)
        .min()
        .unwrap_or_default();
    let headings = commands.into_iter().map(|(at, end, rank, text)| Heading {
        at,
        end,
        level: rank - outermost + 1,
        text,
    });
    headings.filter(|heading| !heading.text.is_empty()).collect()
}

/// The argument of `\title`.
pub(super) fn title(text: &str) -> Option<String> {
    let at = text.find("\\title")?;
    argument(text, at + "\\title".len())
        .map(|(title, _)| title)
        .filter(|title| !title.is_empty())
}

/// The argument in braces after byte `from`, as plain text, and the byte where it ends.
fn argument(text: &str, from: usize) -> Option<(String, usize)> {
    let limit = text.floor_char_boundary((from + MAX_TITLE).min(text.len()));
    let window = text.get(from..limit)?;
    let mut rest = window.strip_prefix('*').unwrap_or(window).trim_start();
    if rest.starts_with('[') {
        rest = rest.split_once(']')?.1.trim_start();
    }
    let inside = rest.strip_prefix('{')?;
    let mut depth = 1;
    let mut escaped = false;
    let end = inside.char_indices().find_map(|(at, c)| {
        match c {
            _ if escaped => {}
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        (depth == 0).then_some(at)
    })?;
    let after = limit - rest.len() + 1 + end + 1;
    Some((plain(&inside[..end]), after))
}

/// A title without commands and braces.
fn plain(title: &str) -> String {
    let mut out = String::with_capacity(title.len());
    let mut rest = title;
    while let Some((before, command)) = rest.split_once('\\') {
        out.push_str(before);
        let letters = command
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(command.len());
        if letters == 0 {
            // `\\` is a line break. Any other escape stands for its character.
            let mut characters = command.chars();
            match characters.next() {
                Some('\\') | None => out.push(' '),
                Some(c) => out.push(c),
            }
            rest = characters.as_str();
        } else {
            rest = &command[letters..];
        }
    }
    out.push_str(rest);
    one_line(&out.replace(['{', '}'], "").replace('~', " "))
}
