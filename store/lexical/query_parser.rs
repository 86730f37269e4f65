//! Parses the text of a keyword query. Every text is valid: text without syntax becomes plain words.

use std::collections::{HashMap, HashSet};

use tantivy::tokenizer::TextAnalyzer;

use super::analyzer::{analyzer, is_stop_word, tokens};
use super::language::Profile;

/// The distinct stems of a word in the languages of the index. The English stem is first.
pub(super) type Stems = Vec<String>;
/// Words with their token positions, to be matched in order.
pub(super) type Phrase = Vec<(usize, Stems)>;

/// The fields that a clause searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Anywhere,
    Title,
    Heading,
    Path,
}

/// A phrase, or a single word, in the fields of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    pub scope: Scope,
    pub words: Phrase,
}

impl Clause {
    /// Whether the clause has several words.
    pub(super) fn is_phrase(&self) -> bool {
        self.words.len() > 1
    }
}

/// A query, split into its clauses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedQuery {
    /// Plain words. Any of them may match.
    pub words: Vec<Stems>,
    /// `"quoted"` phrases. All of them must match.
    pub phrases: Vec<Phrase>,
    /// `title:`, `heading:` and `path:` clauses. All of them must match.
    pub field_clauses: Vec<Clause>,
    /// `-word`, `-"phrase"` and `-field:word` clauses. None of them may match.
    pub excluded: Vec<Clause>,
    /// Values of `kind:`. The document must be of one of these kinds.
    pub kinds: Vec<String>,
    /// Values of `-kind:`. The document must be of none of these kinds.
    pub excluded_kinds: Vec<String>,
    /// The text without clauses that restrict documents. `None` if there are no such clauses.
    pub plain: Option<String>,
    /// Identifiers such as `readFile`, whose parts are in `words` as well.
    compounds: HashSet<Stems>,
    /// Original spelling of each word, keyed by its first stem.
    spellings: HashMap<String, String>,
}

/// A clause before its value is tokenized.
struct RawClause<'a> {
    is_negated: bool,
    field: Option<&'a str>,
    is_quoted: bool,
    value: &'a str,
}

impl ParsedQuery {
    /// Parses `text` and stems its words in each of `languages`.
    pub(super) fn parse(text: &str, languages: &[&Profile]) -> ParsedQuery {
        let mut analyzers: Vec<TextAnalyzer> = languages.iter().map(|language| analyzer(language)).collect();
        let mut query = ParsedQuery::default();
        let mut plain = String::new();
        let mut unparsed = text.trim_start();
        while !unparsed.is_empty() {
            let (clause, after) = next_clause(unparsed);
            let source = &unparsed[..unparsed.len() - after.len()];
            if query.add_clause(&clause, source, &mut analyzers) {
                plain += source;
                plain.push(' ');
            }
            unparsed = after.trim_start();
        }
        if query.restricts_documents() {
            query.plain = Some(plain.trim_end().to_owned());
        }
        let mut seen = HashSet::new();
        query.words.retain(|stems| seen.insert(stems.clone()));
        // Stop words are searched only if the query has nothing else.
        let has_content_word = query.words.iter().any(|stems| !is_stop(stems));
        if has_content_word || !query.phrases.is_empty() || !query.field_clauses.is_empty() {
            query.words.retain(|stems| !is_stop(stems));
        }
        query
    }

    /// Adds a clause whose text is `source`. Returns whether the clause belongs to the plain text.
    fn add_clause(&mut self, clause: &RawClause<'_>, source: &str, analyzers: &mut [TextAnalyzer]) -> bool {
        if clause.field == Some("kind") {
            let kind = clause.value.to_lowercase();
            if clause.is_negated {
                self.excluded_kinds.push(kind);
            } else {
                self.kinds.push(kind);
            }
            return false;
        }
        let (words, spellings) = tokenize(clause.value, analyzers);
        let scope = match clause.field {
            Some("title") => Scope::Title,
            Some("heading") => Scope::Heading,
            Some("path") => Scope::Path,
            _ => Scope::Anywhere,
        };
        if words.is_empty() && scope != Scope::Anywhere {
            // A field prefix without a searchable value, such as `path://`, is plain text.
            let (words, _) = tokenize(source, analyzers);
            self.words.extend(words.into_iter().map(|(_, stems)| stems));
            return true;
        }
        if words.is_empty() {
            return true;
        }
        match (clause.is_negated, scope, clause.is_quoted) {
            (true, ..) => self.excluded.push(Clause { scope, words }),
            (false, Scope::Anywhere, true) => self.phrases.push(words),
            (false, Scope::Anywhere, false) => {
                // The analyzer emits a compound and its first part at the same position, the compound first.
                let compounds = words.windows(2).filter(|pair| pair[0].0 == pair[1].0);
                self.compounds.extend(compounds.map(|pair| pair[0].1.clone()));
                self.words.extend(words.into_iter().map(|(_, stems)| stems));
            }
            (false, _, _) => self.field_clauses.push(Clause { scope, words }),
        }
        if !clause.is_negated {
            self.spellings.extend(spellings);
        }
        scope == Scope::Anywhere
    }

    /// Whether the query restricts documents by field or kind.
    pub(super) fn restricts_documents(&self) -> bool {
        let excludes_by_field = self.excluded.iter().any(|clause| clause.scope != Scope::Anywhere);
        excludes_by_field
            || !self.field_clauses.is_empty()
            || !self.kinds.is_empty()
            || !self.excluded_kinds.is_empty()
    }

    /// Plain and quoted words: all words that add to a score, except those of field clauses.
    pub(super) fn scoring_words(&self) -> impl Iterator<Item = &Stems> {
        let quoted = self.phrases.iter().flatten().map(|(_, stems)| stems);
        self.words.iter().chain(quoted)
    }

    /// Excluded clauses of several words.
    pub(super) fn excluded_phrases(&self) -> impl Iterator<Item = &Clause> {
        self.excluded.iter().filter(|clause| clause.is_phrase())
    }

    /// Words that [`crate::Matching::All`] requires. A compound is not required, only its parts, because a
    /// passage may spell the compound differently (`read_file`).
    pub(super) fn required_words(&self) -> impl Iterator<Item = &Stems> {
        self.words.iter().filter(|stems| !self.compounds.contains(*stems))
    }

    /// The original spelling of a word.
    pub(super) fn spelling<'a>(&'a self, stems: &'a Stems) -> &'a str {
        let first = stems.first().map_or("", String::as_str);
        self.spellings.get(first).map_or(first, String::as_str)
    }
}

/// The first clause of `text`, and the text after it. `text` must not start with white space.
fn next_clause(text: &str) -> (RawClause<'_>, &str) {
    let is_operand = |rest: &str| rest.starts_with(char::is_alphanumeric) || split_quoted(rest).is_some();
    let (is_negated, rest) = match text.strip_prefix('-').filter(|rest| is_operand(rest)) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (field, rest) = match split_field(rest) {
        Some((field, value)) => (Some(field), value),
        None => (None, rest),
    };
    if let Some((value, after)) = split_quoted(rest) {
        let clause = RawClause {
            is_negated,
            field,
            is_quoted: true,
            value,
        };
        return (clause, after);
    }
    // An unpaired quote is an ordinary character.
    let is_end =
        |(at, c): &(usize, char)| c.is_whitespace() || (*c == '"' && *at > 0 && rest[at + 1..].contains('"'));
    let end = rest.char_indices().find(is_end).map_or(rest.len(), |(at, _)| at);
    let clause = RawClause {
        is_negated,
        field,
        is_quoted: false,
        value: &rest[..end],
    };
    (clause, &rest[end..])
}

/// Splits a field prefix with a value off `text`.
fn split_field(text: &str) -> Option<(&'static str, &str)> {
    const FIELDS: &[(&str, &str)] = &[
        ("title:", "title"),
        ("heading:", "heading"),
        ("path:", "path"),
        ("kind:", "kind"),
        ("type:", "kind"),
    ];
    let split = |(prefix, field): &(&str, &'static str)| Some((*field, text.strip_prefix(prefix)?));
    let found = FIELDS.iter().find_map(split);
    found.filter(|(_, value)| value.starts_with(|c: char| !c.is_whitespace()))
}

/// Splits the quoted string off the start of `text`, and removes its quotes.
fn split_quoted(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('"')?.split_once('"')
}

fn is_stop(stems: &Stems) -> bool {
    stems.first().is_some_and(|stem| is_stop_word(stem))
}

/// The words of `text`, and pairs of first stem and original spelling. The parts of a compound identifier
/// follow it.
fn tokenize(text: &str, analyzers: &mut [TextAnalyzer]) -> (Phrase, Vec<(String, String)>) {
    let mut words: Phrase = Vec::new();
    let mut spellings = Vec::new();
    for analyzer in analyzers {
        // Analyzers differ only in their stemmers. They split a text into the same tokens, so tokens
        // correspond by index.
        for (index, token) in tokens(analyzer, text).into_iter().enumerate() {
            match words.get_mut(index) {
                Some((_, stems)) if stems.contains(&token.text) => {}
                Some((_, stems)) => stems.push(token.text),
                None => {
                    let spelling = text.get(token.offset_from..token.offset_to).unwrap_or_default();
                    spellings.push((token.text.clone(), spelling.to_owned()));
                    words.push((token.position, vec![token.text]));
                }
            }
        }
    }
    (words, spellings)
}

#[cfg(test)]
mod tests {
    use super::super::language::{ENGLISH, by_code};
    use super::*;
    use proptest::prelude::*;

    fn parse_english(text: &str) -> ParsedQuery {
        ParsedQuery::parse(text, &[ENGLISH])
    }

    fn words(words: &[&str]) -> Vec<Stems> {
        words.iter().map(|word| vec![(*word).to_owned()]).collect()
    }

    fn phrase(of: &[&str]) -> Phrase {
        words(of).into_iter().enumerate().collect()
    }

    fn clause(scope: Scope, words: &[&str]) -> Clause {
        Clause {
            scope,
            words: phrase(words),
        }
    }

    #[test]
    fn a_query_splits_into_words_phrases_and_exclusions() {
        let query = parse_english("how do I install \"data folder\" -windows well-known");
        assert_eq!(query.words, words(&["instal", "well", "known"]));
        assert_eq!(query.phrases, [phrase(&["data", "folder"])]);
        assert_eq!(query.excluded, [clause(Scope::Anywhere, &["window"])]);
        assert_eq!(query.plain, None);
        assert_eq!(query.spelling(&query.words[0]), "install");
    }

    #[test]
    fn fields_take_a_word_or_a_phrase() {
        let query = parse_english(
            "restore title:backup path:guide/ops heading:\"data folder\" -path:old kind:code -type:html",
        );
        assert_eq!(query.words, words(&["restor"]));
        assert_eq!(
            query.field_clauses,
            [
                clause(Scope::Title, &["backup"]),
                clause(Scope::Path, &["guid", "op"]),
                clause(Scope::Heading, &["data", "folder"]),
            ]
        );
        assert_eq!(query.excluded, [clause(Scope::Path, &["old"])]);
        assert_eq!(
            (query.kinds[0].as_str(), query.excluded_kinds[0].as_str()),
            ("code", "html")
        );
        assert_eq!(query.plain.as_deref(), Some("restore"));
    }

    #[test]
    fn phrases_can_be_excluded() {
        let query = parse_english("jaguar -\"fast car\" -well-known");
        assert_eq!(
            query.excluded,
            [
                clause(Scope::Anywhere, &["fast", "car"]),
                clause(Scope::Anywhere, &["well", "known"])
            ]
        );
    }

    #[test]
    fn text_without_valid_syntax_is_plain_words() {
        let words_of = |text: &str| parse_english(text).words;
        assert_eq!(words_of("title: backup"), words(&["titl", "backup"]));
        assert_eq!(words_of("Title:backup"), words(&["titl", "backup"]));
        assert_eq!(words_of("std::path::Path"), words(&["std", "path"]));
        assert_eq!(words_of("subtitle:x"), words(&["subtitl", "x"]));
        assert_eq!(words_of("path:// x"), words(&["path", "x"]));
        assert_eq!(words_of("say \"hello"), words(&["say", "hello"]));
        assert_eq!(parse_english("path:// x").plain, None);
    }

    #[test]
    fn a_word_has_a_stem_per_language() {
        let german = by_code("de").unwrap();
        let query = ParsedQuery::parse("houses \"die Häuser\"", &[ENGLISH, german]);
        assert_eq!(query.words, words(&["hous"]));
        let stems: Vec<&Stems> = query.phrases[0].iter().map(|(_, stems)| stems).collect();
        assert_eq!(stems[1], &["hauser", "haus"]);
    }

    #[test]
    fn stop_words_count_only_in_a_query_of_stop_words() {
        assert_eq!(parse_english("to be or not to be").words, words(&["not"]));
        assert_eq!(parse_english("who is it").words, words(&["who", "is", "it"]));
        assert_eq!(parse_english("\"who is\" it").words, Vec::<Stems>::new());
    }

    #[test]
    fn only_the_parts_of_a_compound_are_required() {
        let query = parse_english("call readFile");
        assert_eq!(query.words, words(&["call", "readfil", "read", "file"]));
        let required: Vec<&Stems> = query.required_words().collect();
        assert_eq!(
            required,
            words(&["call", "read", "file"]).iter().collect::<Vec<_>>()
        );
    }

    proptest! {
        /// Any text parses, and without syntax no word is lost.
        #[test]
        fn any_text_parses(text in "[a-c \"\\-:é(]{0,20}|(title:|path:|kind:|-|\"| |b){0,8}|\\PC{0,40}") {
            let query = parse_english(&text);
            let has_syntax = text.contains(['"', '-', ':']);
            let plain = tokens(&mut analyzer(ENGLISH), &text);
            if !has_syntax && plain.iter().any(|token| !is_stop_word(&token.text)) {
                for token in plain.iter().filter(|token| !is_stop_word(&token.text)) {
                    prop_assert!(query.words.iter().any(|stems| stems[0] == token.text));
                }
            }
        }
    }
}
