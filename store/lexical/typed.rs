//! What a user types, taken apart. Anything can be typed; what is no syntax is plain text, and nothing is an error.

use std::collections::{HashMap, HashSet};

use tantivy::tokenizer::TextAnalyzer;

use super::analyzer::{analyzer, is_stop_word, tokens};
use super::language::Profile;

/// The forms a word takes in the languages of the index, each once, English first.
pub(super) type Forms = Vec<String>;
/// Words with their positions.
pub(super) type Words = Vec<(usize, Forms)>;

/// Where words must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Anywhere,
    Title,
    Heading,
    Path,
}

/// Words next to each other, somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    pub scope: Scope,
    pub words: Words,
}

impl Clause {
    /// Whether it has several words.
    pub(super) fn is_phrase(&self) -> bool {
        self.words.len() > 1
    }
}

/// What was typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// Words, any of which may match.
    pub words: Vec<Forms>,
    /// `"quoted"` words, which must occur as they are.
    pub phrases: Vec<Words>,
    /// `field:words`, which must occur there.
    pub fielded: Vec<Clause>,
    /// `-words` that must not occur.
    pub excluded: Vec<Clause>,
    /// `kind:` of document, one of which it must be.
    pub kinds: Vec<String>,
    /// `-kind:` that it must not be.
    pub excluded_kinds: Vec<String>,
    /// The text without what is about fields, where there is such.
    pub plain: Option<String>,
    /// Of identifiers of several parts, the wholes: `words` has their parts as well.
    wholes: HashSet<Forms>,
    /// As what a word was typed, by its first form.
    surfaces: HashMap<String, String>,
}

/// A part of the text, as typed.
struct Piece<'a> {
    negated: bool,
    field: Option<&'a str>,
    quoted: bool,
    value: &'a str,
}

impl Typed {
    /// Takes `text` apart, with its words stemmed in each of `languages`.
    pub(super) fn parse(text: &str, languages: &[&Profile]) -> Typed {
        let mut analyzers: Vec<TextAnalyzer> = languages.iter().map(|language| analyzer(language)).collect();
        let mut typed = Typed::default();
        let mut plain = String::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (piece, after) = next_piece(rest);
            let taken = &rest[..rest.len() - after.len()];
            if typed.take(&piece, taken, &mut analyzers) {
                plain += taken;
                plain.push(' ');
            }
            rest = after.trim_start();
        }
        if typed.is_about_fields() {
            typed.plain = Some(plain.trim_end().to_owned());
        }
        let mut seen = HashSet::new();
        typed.words.retain(|forms| seen.insert(forms.clone()));
        let says_something = typed.words.iter().any(|forms| !is_stop(forms));
        if says_something || !typed.phrases.is_empty() || !typed.fielded.is_empty() {
            typed.words.retain(|forms| !is_stop(forms));
        }
        typed
    }

    /// Takes in a piece, typed as `source`; whether it is plain text.
    fn take(&mut self, piece: &Piece<'_>, source: &str, analyzers: &mut [TextAnalyzer]) -> bool {
        if piece.field == Some("kind") {
            let kind = piece.value.to_lowercase();
            match piece.negated {
                true => self.excluded_kinds.push(kind),
                false => self.kinds.push(kind),
            }
            return false;
        }
        let (words, surfaces) = words(piece.value, analyzers);
        let scope = match piece.field {
            Some("title") => Scope::Title,
            Some("heading") => Scope::Heading,
            Some("path") => Scope::Path,
            _ => Scope::Anywhere,
        };
        if words.is_empty() && scope != Scope::Anywhere {
            // A field of nothing that could be found: mere text.
            let (words, _) = self::words(source, analyzers);
            self.words.extend(words.into_iter().map(|(_, forms)| forms));
            return true;
        }
        if words.is_empty() {
            return true;
        }
        match (piece.negated, scope, piece.quoted) {
            (true, ..) => self.excluded.push(Clause { scope, words }),
            (false, Scope::Anywhere, true) => self.phrases.push(words),
            (false, Scope::Anywhere, false) => {
                let wholes = words.windows(2).filter(|pair| pair[0].0 == pair[1].0);
                self.wholes.extend(wholes.map(|pair| pair[0].1.clone()));
                self.words.extend(words.into_iter().map(|(_, forms)| forms));
            }
            (false, _, _) => self.fielded.push(Clause { scope, words }),
        }
        if !piece.negated {
            self.surfaces.extend(surfaces);
        }
        scope == Scope::Anywhere
    }

    /// Whether some of it says which documents may answer.
    pub(super) fn is_about_fields(&self) -> bool {
        let excluded = self.excluded.iter().any(|clause| clause.scope != Scope::Anywhere);
        excluded || !self.fielded.is_empty() || !self.kinds.is_empty() || !self.excluded_kinds.is_empty()
    }

    /// All words that a hit may owe its score to, but those about fields.
    pub(super) fn sought(&self) -> impl Iterator<Item = &Forms> {
        let phrased = self.phrases.iter().flatten().map(|(_, forms)| forms);
        self.words.iter().chain(phrased)
    }

    /// What must not occur and has several words.
    pub(super) fn excluded_phrases(&self) -> impl Iterator<Item = &Clause> {
        self.excluded.iter().filter(|clause| clause.is_phrase())
    }

    /// Words that must all occur where all are asked for. An identifier may be spelt in another way, so its parts will do.
    pub(super) fn required(&self) -> impl Iterator<Item = &Forms> {
        self.words.iter().filter(|forms| !self.wholes.contains(*forms))
    }

    /// A word as it was typed.
    pub(super) fn surface<'a>(&'a self, forms: &'a Forms) -> &'a str {
        let first = forms.first().map_or("", String::as_str);
        self.surfaces.get(first).map_or(first, String::as_str)
    }
}

/// The first piece of `text`, which does not begin with white space, and what comes after it.
fn next_piece(text: &str) -> (Piece<'_>, &str) {
    let begins = |rest: &str| rest.starts_with(char::is_alphanumeric) || quoted(rest).is_some();
    let (negated, rest) = match text.strip_prefix('-').filter(|rest| begins(rest)) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (field, rest) = match field(rest) {
        Some((field, value)) => (Some(field), value),
        None => (None, rest),
    };
    if let Some((value, after)) = quoted(rest) {
        let piece = Piece {
            negated,
            field,
            quoted: true,
            value,
        };
        return (piece, after);
    }
    // A quote without a partner is a mere character.
    let ends =
        |(at, c): &(usize, char)| c.is_whitespace() || (*c == '"' && *at > 0 && rest[at + 1..].contains('"'));
    let end = rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at);
    let piece = Piece {
        negated,
        field,
        quoted: false,
        value: &rest[..end],
    };
    (piece, &rest[end..])
}

/// The field that a piece is about, and its value.
fn field(text: &str) -> Option<(&'static str, &str)> {
    const FIELDS: &[(&str, &str)] = &[
        ("title:", "title"),
        ("heading:", "heading"),
        ("path:", "path"),
        ("kind:", "kind"),
        ("type:", "kind"),
    ];
    let of = |(prefix, field): &(&str, &'static str)| Some((*field, text.strip_prefix(prefix)?));
    let found = FIELDS.iter().find_map(of);
    found.filter(|(_, value)| value.starts_with(|c: char| !c.is_whitespace()))
}

/// What stands between the quotes that `text` begins with, and what comes after them.
fn quoted(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('"')?.split_once('"')
}

fn is_stop(forms: &Forms) -> bool {
    forms.first().is_some_and(|form| is_stop_word(form))
}

/// Words of `text` with their positions and forms, and as what each was typed; of an identifier, the whole and the parts.
fn words(text: &str, analyzers: &mut [TextAnalyzer]) -> (Words, Vec<(String, String)>) {
    let mut words: Words = Vec::new();
    let mut surfaces = Vec::new();
    for analyzer in analyzers {
        // Languages differ in the stem of a word, not in what a word is, so that the tokens of all stand side by side.
        for (index, token) in tokens(analyzer, text).into_iter().enumerate() {
            match words.get_mut(index) {
                Some((_, forms)) if forms.contains(&token.text) => {}
                Some((_, forms)) => forms.push(token.text),
                None => {
                    let typed = text.get(token.offset_from..token.offset_to).unwrap_or_default();
                    surfaces.push((token.text.clone(), typed.to_owned()));
                    words.push((token.position, vec![token.text]));
                }
            }
        }
    }
    (words, surfaces)
}

#[cfg(test)]
mod tests {
    use super::super::language::{ENGLISH, by_code};
    use super::*;
    use proptest::prelude::*;

    fn english(text: &str) -> Typed {
        Typed::parse(text, &[ENGLISH])
    }

    fn one_form(words: &[&str]) -> Vec<Forms> {
        words.iter().map(|word| vec![(*word).to_owned()]).collect()
    }

    fn in_a_row(words: &[&str]) -> Words {
        one_form(words).into_iter().enumerate().collect()
    }

    fn clause(scope: Scope, words: &[&str]) -> Clause {
        Clause {
            scope,
            words: in_a_row(words),
        }
    }

    #[test]
    fn takes_apart_what_is_typed() {
        let typed = english("how do I install \"data folder\" -windows well-known");
        assert_eq!(typed.words, one_form(&["instal", "well", "known"]));
        assert_eq!(typed.phrases, [in_a_row(&["data", "folder"])]);
        assert_eq!(typed.excluded, [clause(Scope::Anywhere, &["window"])]);
        assert_eq!(typed.plain, None);
        assert_eq!(typed.surface(&typed.words[0]), "install");
    }

    #[test]
    fn fields_take_a_word_or_a_phrase() {
        let typed = english(
            "restore title:backup path:guide/ops heading:\"data folder\" -path:old kind:code -type:html",
        );
        assert_eq!(typed.words, one_form(&["restor"]));
        assert_eq!(
            typed.fielded,
            [
                clause(Scope::Title, &["backup"]),
                clause(Scope::Path, &["guid", "op"]),
                clause(Scope::Heading, &["data", "folder"]),
            ]
        );
        assert_eq!(typed.excluded, [clause(Scope::Path, &["old"])]);
        assert_eq!(
            (typed.kinds[0].as_str(), typed.excluded_kinds[0].as_str()),
            ("code", "html")
        );
        assert_eq!(typed.plain.as_deref(), Some("restore"));
    }

    #[test]
    fn phrases_can_be_excluded() {
        let typed = english("jaguar -\"fast car\" -well-known");
        assert_eq!(
            typed.excluded,
            [
                clause(Scope::Anywhere, &["fast", "car"]),
                clause(Scope::Anywhere, &["well", "known"])
            ]
        );
    }

    #[test]
    fn what_is_no_syntax_is_plain_text() {
        let words = |text: &str| english(text).words;
        assert_eq!(words("title: backup"), one_form(&["titl", "backup"]));
        assert_eq!(words("Title:backup"), one_form(&["titl", "backup"]));
        assert_eq!(words("std::path::Path"), one_form(&["std", "path"]));
        assert_eq!(words("subtitle:x"), one_form(&["subtitl", "x"]));
        assert_eq!(words("path:// x"), one_form(&["path", "x"]));
        assert_eq!(words("say \"hello"), one_form(&["say", "hello"]));
        assert_eq!(english("path:// x").plain, None);
    }

    #[test]
    fn a_word_has_a_form_in_each_language() {
        let german = by_code("de").unwrap();
        let typed = Typed::parse("houses \"die Häuser\"", &[ENGLISH, german]);
        assert_eq!(typed.words, one_form(&["hous"]));
        let forms: Vec<&Forms> = typed.phrases[0].iter().map(|(_, forms)| forms).collect();
        assert_eq!(forms[1], &["hauser", "haus"]);
    }

    #[test]
    fn stop_words_stay_where_there_is_nothing_else() {
        assert_eq!(english("to be or not to be").words, one_form(&["not"]));
        assert_eq!(english("who is it").words, one_form(&["who", "is", "it"]));
        assert_eq!(english("\"who is\" it").words, Vec::<Forms>::new());
    }

    #[test]
    fn of_an_identifier_the_parts_are_required() {
        let typed = english("call readFile");
        assert_eq!(typed.words, one_form(&["call", "readfil", "read", "file"]));
        let required: Vec<&Forms> = typed.required().collect();
        assert_eq!(
            required,
            one_form(&["call", "read", "file"]).iter().collect::<Vec<_>>()
        );
    }

    proptest! {
        /// Nothing that can be typed is an error, and words that are no syntax are all there.
        #[test]
        fn anything_can_be_typed(text in "[a-c \"\\-:é(]{0,20}|(title:|path:|kind:|-|\"| |b){0,8}|\\PC{0,40}") {
            let typed = english(&text);
            let syntax = text.contains(['"', '-', ':']);
            let plain = tokens(&mut analyzer(ENGLISH), &text);
            if !syntax && plain.iter().any(|token| !is_stop_word(&token.text)) {
                for token in plain.iter().filter(|token| !is_stop_word(&token.text)) {
                    prop_assert!(typed.words.iter().any(|forms| forms[0] == token.text));
                }
            }
        }
    }
}
