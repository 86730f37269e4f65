//! RTF: paragraphs, headings by outline level, and tables, in any code page.

use autorag_store::Metadata;
use encoding_rs::Encoding;

use super::composer::{Composer, one_line};
use super::{Parsed, Refusal};

/// Deepest nesting of groups. Files written by programs stay far below this.
const MAX_DEPTH: usize = 1000;
/// Groups without text of the document.
const SKIPPED_GROUPS: &[&str] = &[
    "fonttbl",
    "colortbl",
    "stylesheet",
    "listtable",
    "listoverridetable",
    "pict",
    "object",
    "header",
    "headerl",
    "headerr",
    "headerf",
    "footer",
    "footerl",
    "footerr",
    "footerf",
    "fldinst",
    "themedata",
    "datastore",
    "latentstyles",
    "generator",
    "rsidtbl",
    "filetbl",
    "revtbl",
    "xmlnstbl",
    "bkmkstart",
    "bkmkend",
    "pntext",
    "listtext",
    "nonshppict",
    "objdata",
    "blipuid",
    "sp",
    "wgrffmtfilter",
];

/// State that a group inherits from its parent group.
#[derive(Clone, Copy)]
struct State {
    /// Where the text of the group is written.
    destination: Destination,
    /// Number of fallback characters to skip after a `\u`.
    fallback: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Destination {
    Body,
    /// A document property, by name.
    Property(&'static str),
    /// The group of document properties.
    Properties,
    Nowhere,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Refusal> {
    let mut reader = Reader {
        encoding: encoding_rs::WINDOWS_1252,
        composer: Composer::default(),
        title: None,
        metadata: Metadata::new(),
        pending: Vec::new(),
        text: String::new(),
        property: String::new(),
        level: None,
        in_table: false,
        cells: Vec::new(),
        rows: Vec::new(),
        skip: 0,
        surrogate: None,
    };
    reader.read(bytes)?;
    reader.end_paragraph();
    reader.end_table();
    let mut parsed = reader.composer.finish("rtf", "document")?;
    parsed.title = reader.title;
    parsed.metadata = reader.metadata;
    Ok(parsed)
}

struct Reader {
    encoding: &'static Encoding,
    composer: Composer,
    title: Option<String>,
    metadata: Metadata,
    /// Bytes in the code page that are not decoded yet.
    pending: Vec<u8>,
    text: String,
    property: String,
    /// Outline level of the current paragraph.
    level: Option<usize>,
    in_table: bool,
    cells: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Number of characters still to skip.
    skip: usize,
    /// High surrogate of a character that does not fit into one `\u`.
    surrogate: Option<u16>,
}

impl Reader {
    fn read(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut groups: Vec<State> = Vec::new();
        let mut state = State {
            destination: Destination::Body,
            fallback: 1,
        };
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'{' => {
                    if groups.len() >= MAX_DEPTH {
                        return Err(Refusal::over_limit(format!(
                            "groups are nested more than {MAX_DEPTH} deep"
                        )));
                    }
                    self.flush(state.destination);
                    self.skip = 0;
                    groups.push(state);
                }
                b'}' => {
                    self.flush(state.destination);
                    self.skip = 0;
                    let Some(outer) = groups.pop() else { break };
                    if let Destination::Property(name) = state.destination
                        && outer.destination != state.destination
                    {
                        self.end_property(name);
                    }
                    state = outer;
                }
                b'\\' => at = self.control(bytes, at, &mut state),
                b'\r' | b'\n' => {}
                byte => self.byte(byte),
            }
            if byte != b'\\' && state.destination == Destination::Nowhere {
                self.pending.clear();
            }
        }
        self.flush(state.destination);
        Ok(())
    }

    /// Reads the control word or symbol at byte `at`. Returns its end.
    fn control(&mut self, bytes: &[u8], at: usize, state: &mut State) -> usize {
        let Some(&first) = bytes.get(at) else { return at };
        if !first.is_ascii_alphabetic() {
            return self.symbol(bytes, at, first, state);
        }
        let letters = bytes[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let word = String::from_utf8_lossy(&bytes[at..at + letters]).into_owned();
        let mut end = at + letters;
        let digits_from = end;
        if bytes.get(end) == Some(&b'-') {
            end += 1;
        }
        end += bytes[end..]
            .iter()
            .take(10)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number: Option<i64> = std::str::from_utf8(&bytes[digits_from..end])
            .ok()
            .and_then(|digits| digits.parse().ok());
        if bytes.get(end) == Some(&b' ') {
            end += 1;
        }
        self.flush(state.destination);
        self.word(&word, number, state);
        if word == "bin" {
            end = end.saturating_add(
                number
                    .and_then(|length| usize::try_from(length).ok())
                    .unwrap_or(0),
            );
        }
        end.min(bytes.len())
    }

    fn symbol(&mut self, bytes: &[u8], at: usize, first: u8, state: &mut State) -> usize {
        match first {
            b'\'' => {
                let hex = bytes
                    .get(at + 1..at + 3)
                    .and_then(|hex| std::str::from_utf8(hex).ok());
                if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    self.byte(byte);
                }
                return (at + 3).min(bytes.len());
            }
            b'*' => state.destination = Destination::Nowhere,
            b'~' => self.byte(b' '),
            b'_' => self.byte(b'-'),
            b'\\' | b'{' | b'}' => self.byte(first),
            b'\r' | b'\n' => {
                self.flush(state.destination);
                if state.destination == Destination::Body {
                    self.end_paragraph();
                }
            }
            _ => {}
        }
        at + 1
    }

    fn word(&mut self, word: &str, number: Option<i64>, state: &mut State) {
        match word {
            "ansicpg" => {
                let encoding = number.and_then(|page| Encoding::for_label(label(page).as_bytes()));
                self.encoding = encoding.unwrap_or(self.encoding);
            }
            "uc" => {
                state.fallback = number
                    .and_then(|count| usize::try_from(count).ok())
                    .unwrap_or(1)
                    .min(8)
            }
            "u" => {
                // Code units above 32767 are written as negative numbers.
                let unit = (number.unwrap_or_default() & 0xffff) as u16;
                self.unit(unit, state.destination);
                self.skip = state.fallback;
            }
            "info" => state.destination = Destination::Properties,
            "title" | "author" | "subject" | "keywords" | "doccomm"
                if state.destination == Destination::Properties =>
            {
                state.destination = Destination::Property(match word {
                    "title" => "title",
                    "author" => "author",
                    "subject" => "subject",
                    "keywords" => "keywords",
                    _ => "description",
                });
            }
            word if SKIPPED_GROUPS.contains(&word) => state.destination = Destination::Nowhere,
            _ if state.destination == Destination::Body => self.body_word(word, number),
            _ => {}
        }
    }

    fn body_word(&mut self, word: &str, number: Option<i64>) {
        match word {
            "par" | "sect" if self.in_table => self.text.push(' '),
            "par" | "sect" => self.end_paragraph(),
            "page" => self.end_paragraph(),
            "line" => self.text.push('\n'),
            "tab" => self.text.push(' '),
            "emdash" => self.text.push('—'),
            "endash" => self.text.push('–'),
            "bullet" => self.text.push('•'),
            "lquote" => self.text.push('‘'),
            "rquote" => self.text.push('’'),
            "ldblquote" => self.text.push('“'),
            "rdblquote" => self.text.push('”'),
            "pard" => (self.level, self.in_table) = (None, false),
            "outlinelevel" => {
                self.level = number
                    .and_then(|level| usize::try_from(level).ok())
                    .filter(|level| *level < 9);
            }
            "intbl" => self.in_table = true,
            "cell" | "nestcell" => {
                let text = std::mem::take(&mut self.text);
                self.cells.push(one_line(&text));
            }
            "row" => {
                let cells = std::mem::take(&mut self.cells);
                self.rows.push(cells);
            }
            _ => {}
        }
    }

    fn byte(&mut self, byte: u8) {
        match self.skip {
            0 => self.pending.push(byte),
            _ => self.skip -= 1,
        }
    }

    /// Writes one UTF-16 code unit.
    fn unit(&mut self, unit: u16, destination: Destination) {
        let units: Vec<u16> = self.surrogate.take().into_iter().chain([unit]).collect();
        if units.len() == 1 && (0xd800..0xdc00).contains(&unit) {
            self.surrogate = Some(unit);
            return;
        }
        let decoded: String = char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        self.put(&decoded, destination);
    }

    fn flush(&mut self, destination: Destination) {
        if self.pending.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.pending);
        let text = self.encoding.decode_without_bom_handling(&bytes).0.into_owned();
        self.put(&text, destination);
    }

    fn put(&mut self, text: &str, destination: Destination) {
        match destination {
            Destination::Body => self.text.push_str(text),
            Destination::Property(_) => self.property.push_str(text),
            Destination::Properties | Destination::Nowhere => {}
        }
    }

    fn end_property(&mut self, name: &'static str) {
        let text = one_line(&std::mem::take(&mut self.property));
        match name {
            _ if text.is_empty() => {}
            "title" => self.title = Some(text),
            name => {
                self.metadata.insert(name.into(), text.into());
            }
        }
    }

    fn end_paragraph(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.trim().is_empty() {
            return;
        }
        self.end_table();
        match self.level {
            Some(level) => self.composer.heading(level + 1, &text),
            None => self.composer.paragraph(&text),
        }
    }

    fn end_table(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        self.composer.table(&rows);
    }
}

/// The encoding label of a Windows code page.
fn label(page: i64) -> String {
    match page {
        65001 => "utf-8".into(),
        932 => "shift_jis".into(),
        936 => "gbk".into(),
        949 => "euc-kr".into(),
        950 => "big5".into(),
        10000 => "macintosh".into(),
        page => format!("windows-{page}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ReasonCode;
    use super::*;

    #[test]
    fn text_headings_tables_and_properties_are_read() {
        let text = r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\title A {\b title}}{\author Ann}}
\pard\outlinelevel0 Top\par\pard Gr\'fc\u223?e {\*\gone x}\u-10179?\u-8704? end\par
\trowd\pard\intbl a\cell b\cell\row\pard\intbl 1\cell 2\cell\row\pard after\line more}";
        let parsed = parse(text.as_bytes()).unwrap();
        assert_eq!(
            parsed.text,
            "# Top\n\nGrüße 😀 end\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nafter\nmore\n"
        );
        assert_eq!(parsed.title.as_deref(), Some("A title"));
        assert_eq!(parsed.metadata["author"], "Ann");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let refusal = parse(format!("{{\\rtf1{}", "{".repeat(5000)).as_bytes()).unwrap_err();
        assert_eq!(refusal.code, ReasonCode::LimitExceeded);
        assert!(parse(b"{\\rtf1 \\bin99999999999 x").is_err());
    }
}
