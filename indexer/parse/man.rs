//! Manual pages: roff macros become headings, paragraphs and list items.

use autorag_store::Metadata;

use super::composer::{Composer, one_line};
use super::{Parsed, Refusal};

/// Macros that end a paragraph.
const BREAKS: &[&str] = &[
    "PP", "P", "LP", "Pp", "sp", "HP", "RS", "RE", "br", "Bl", "El", "Bd", "Ed", "IP", "TP", "It", "TQ",
];
/// Macros whose arguments are text, in some font or role.
const TEXT_MACROS: &[&str] = &[
    "B", "I", "BR", "RB", "IR", "RI", "BI", "IB", "SM", "SB", "Nm", "Nd", "Fl", "Ar", "Op", "Cm", "Pa", "Ic",
    "Xr", "Sy", "Em", "Ql", "Dq", "Sq", "Li", "Va", "Fn", "Ev", "Qq", "Pq", "Dl", "D1", "Aq", "Sx", "MT",
    "UR", "OP",
];

/// Whether `text` is a manual page: its first line after comments is a macro, and it has a title macro.
pub(super) fn looks_like(text: &str) -> bool {
    let lines = text.lines().take(200);
    let first = lines
        .filter(|line| !line.trim().is_empty())
        .find(|line| !line.starts_with(".\\\"") && !line.starts_with("'\\\"") && !line.starts_with(".\\}"));
    let mut title = text
        .lines()
        .take(200)
        .filter(|line| line.starts_with(".TH ") || line.starts_with(".Dd "));
    first.is_some_and(|line| line.starts_with('.') || line.starts_with('\'')) && title.next().is_some()
}

pub(super) fn parse(text: &str) -> Result<Parsed, Refusal> {
    let mut reader = Reader::default();
    // A definition or ignored block ends at a line with two dots.
    let mut in_definition = false;
    for line in text.lines() {
        if in_definition {
            in_definition = line.trim_end() != "..";
            continue;
        }
        match line.strip_prefix('.').or_else(|| line.strip_prefix('\'')) {
            Some(request) => {
                in_definition = request.starts_with("de ") || request.starts_with("ig");
                reader.request(request);
            }
            None if line.trim().is_empty() => reader.flush(),
            None => reader.line(&unescape(line)),
        }
    }
    reader.flush();
    let mut parsed = reader.composer.finish("man", "manual page")?;
    parsed.title = reader.title;
    parsed.metadata = reader.metadata;
    Ok(parsed)
}

#[derive(Default)]
struct Reader {
    composer: Composer,
    title: Option<String>,
    metadata: Metadata,
    paragraph: String,
    /// Whether the next line is the tag of an item.
    tag: bool,
    verbatim: bool,
}

impl Reader {
    fn request(&mut self, request: &str) {
        let request = request.trim_start();
        let (name, rest) = request.split_once([' ', '\t']).unwrap_or((request, ""));
        let arguments = arguments(rest);
        let joined = arguments.join(" ");
        match name {
            "TH" | "Dt" => {
                if let [name, section, ..] = arguments.as_slice() {
                    self.title = Some(format!("{}({section})", name.to_lowercase()));
                    self.metadata.insert("section".into(), section.clone().into());
                }
                if let Some(date) = arguments.get(2).filter(|date| !date.is_empty()) {
                    self.metadata.insert("date".into(), date.clone().into());
                }
            }
            "Dd" => {
                self.metadata.insert("date".into(), joined.into());
            }
            "SH" | "Sh" => self.heading(1, &joined),
            "SS" | "Ss" => self.heading(2, &joined),
            "nf" | "EX" | "Bd" => {
                self.flush();
                self.verbatim = true;
            }
            "fi" | "EE" | "Ed" => {
                self.flush();
                self.verbatim = false;
            }
            "TP" | "TQ" => {
                self.flush();
                self.tag = true;
            }
            "IP" | "It" => {
                self.flush();
                // A bullet carries no meaning. A word is the subject of the paragraph.
                let word = match name {
                    "IP" => arguments.first().map(String::as_str).unwrap_or_default(),
                    _ => &joined,
                };
                if word.chars().any(char::is_alphanumeric) {
                    self.line(word);
                }
            }
            name if BREAKS.contains(&name) => self.flush(),
            name if TEXT_MACROS.contains(&name) => {
                // Macros that alternate fonts join their arguments into one word.
                let alternating =
                    name.len() == 2 && name.bytes().all(|byte| matches!(byte, b'B' | b'R' | b'I'));
                if joined.is_empty() {
                    // Sets the font of the following text.
                } else if alternating {
                    self.line(&arguments.concat());
                } else if name == "Fl" {
                    self.line(&format!("-{joined}"));
                } else {
                    self.line(&joined);
                }
            }
            _ => {}
        }
    }

    fn heading(&mut self, level: usize, text: &str) {
        self.flush();
        self.verbatim = false;
        self.composer.heading(level, text);
    }

    fn line(&mut self, text: &str) {
        if !self.paragraph.is_empty() {
            self.paragraph.push(if self.verbatim { '\n' } else { ' ' });
        }
        self.paragraph.push_str(if self.verbatim {
            text.trim_end()
        } else {
            text.trim()
        });
        if std::mem::take(&mut self.tag) {
            self.paragraph.push('\n');
        }
    }

    fn flush(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        if self.verbatim {
            self.composer.code("", &paragraph);
        } else {
            self.composer.paragraph(&paragraph.replace("\n ", "\n"));
        }
    }
}

/// The arguments of a request. A quoted string is one argument.
fn arguments(rest: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut rest = rest.trim();
    while !rest.is_empty() && !rest.starts_with("\\\"") {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => {
                let mut escaped = false;
                let end = rest.char_indices().find(|(_, c)| {
                    let is_end = *c == ' ' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    is_end
                });
                rest.split_at(end.map_or(rest.len(), |(at, _)| at))
            }
        };
        arguments.push(one_line(&unescape(word)));
        rest = after.trim_start();
    }
    arguments
}

/// Replaces roff escapes by the characters that they stand for.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        out.push_str(before);
        let mut characters = escape.chars();
        let first = characters.next();
        rest = characters.as_str();
        match first {
            Some('"') => rest = "",
            Some('f' | 'F' | 's' | '*' | 'n' | 'm' | 'M') => rest = after_name(rest),
            Some('-') => out.push('-'),
            Some('e' | '\\') => out.push('\\'),
            Some('~' | ' ' | '0' | 't') => out.push(' '),
            Some('(') => {
                let name: String = rest.chars().take(2).collect();
                out.push_str(special_character(&name));
                rest = rest.get(name.len()..).unwrap_or_default();
            }
            Some('[') => {
                let (name, after) = rest.split_once(']').unwrap_or((rest, ""));
                out.push_str(special_character(name));
                rest = after;
            }
            Some('&' | '|' | '^' | '/' | ',' | ':' | '%' | 'c' | '\n') | None => {}
            Some(other) => out.push(other),
        }
    }
    out.push_str(rest);
    out
}

/// The text after the name of a font, size or string.
fn after_name(rest: &str) -> &str {
    let skip = |count: usize| rest.char_indices().nth(count).map_or("", |(at, _)| &rest[at..]);
    match rest.chars().next() {
        Some('(') => skip(3),
        Some('[') => rest.split_once(']').map_or("", |(_, after)| after),
        Some('+' | '-') => skip(2),
        Some(_) => skip(1),
        None => "",
    }
}

fn special_character(name: &str) -> &str {
    match name {
        "bu" => "•",
        "em" => "—",
        "en" => "–",
        "aq" | "cq" => "'",
        "oq" | "ga" => "`",
        "dq" | "lq" | "rq" => "\"",
        "co" => "©",
        "rg" => "®",
        "tm" => "™",
        "ha" => "^",
        "ti" => "~",
        "rs" => "\\",
        "mi" | "hy" => "-",
        "<=" => "≤",
        ">=" => "≥",
        "->" => "→",
        "mu" => "×",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_become_headings_items_and_code() {
        let page = ".\\\" comment\n.TH GREP 1 2026-01-02 \"GNU\"\n.SH NAME\ngrep \\- print\n.SH OPTIONS\n.TP\n.BR \\-e \" \" \\fIx\\fR\nUse\n\
                    .I x\nnow.\n.nf\n  a  b\n.fi\n.de XX\nno\n..\nend\\(em\n";
        assert!(looks_like(page));
        let parsed = parse(page).unwrap();
        assert_eq!(parsed.title.as_deref(), Some("grep(1)"));
        assert_eq!(
            parsed.text,
            "# NAME\n\ngrep - print\n\n# OPTIONS\n\n-ex\nUse x now.\n\n```\n  a  b\n```\n\nend—\n"
        );
        assert!(!looks_like("text\n.TH x 1\n"));
    }
}
