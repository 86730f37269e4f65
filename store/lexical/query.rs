//! From what a user types to a query of tantivy's. Anything can be typed; nothing is an error.

use std::collections::HashSet;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, DisjunctionMaxQuery, EmptyQuery, Occur, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::tokenizer::TextAnalyzer;

use super::analyzer::{analyzer, is_stop_word, tokens};
use super::language::Profile;

/// The forms a word takes in the languages of the index, each once, English first.
pub(super) type Forms = Vec<String>;

/// What was typed, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// Words, any of which may match.
    pub words: Vec<Forms>,
    /// `"quoted"` words with their positions, which must occur as they are.
    pub phrases: Vec<Vec<(usize, Forms)>>,
    /// `-words` that must not occur.
    pub excluded: Vec<Forms>,
}

impl Typed {
    /// Takes `text` apart, with its words stemmed in each of `languages`.
    pub fn parse(text: &str, languages: &[&Profile]) -> Typed {
        let mut analyzers: Vec<TextAnalyzer> = languages.iter().map(|language| analyzer(language)).collect();
        let mut typed = Typed::default();
        for (index, piece) in text.split('"').enumerate() {
            // Between an odd quote and its partner; a quote without a partner is a mere character.
            let quoted = index % 2 == 1 && index < text.matches('"').count();
            if quoted {
                let words = words(piece, &mut analyzers);
                if !words.is_empty() {
                    typed.phrases.push(words);
                }
                continue;
            }
            for word in piece.split_whitespace() {
                let excluded = word
                    .strip_prefix('-')
                    .filter(|rest| rest.starts_with(char::is_alphanumeric));
                let into = match excluded {
                    Some(_) => &mut typed.excluded,
                    None => &mut typed.words,
                };
                let found = words(excluded.unwrap_or(word), &mut analyzers);
                into.extend(found.into_iter().map(|(_, forms)| forms));
            }
        }
        let mut seen = HashSet::new();
        typed.words.retain(|forms| seen.insert(forms.clone()));
        if typed.words.iter().any(|forms| !is_stop(forms)) || !typed.phrases.is_empty() {
            typed.words.retain(|forms| !is_stop(forms));
        }
        typed
    }

    /// All words that a hit may owe its score to.
    pub fn sought(&self) -> impl Iterator<Item = &Forms> {
        let phrased = self.phrases.iter().flatten().map(|(_, forms)| forms);
        self.words.iter().chain(phrased)
    }

    /// The query over `fields`, each with its weight.
    pub fn query(&self, fields: &[(Field, f32)]) -> Box<dyn Query> {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for forms in &self.words {
            clauses.extend(
                fields
                    .iter()
                    .map(|&(field, weight)| (Occur::Should, weighted(word(field, forms), weight))),
            );
        }
        for words in &self.phrases {
            let anywhere = fields
                .iter()
                .map(|&(field, weight)| (Occur::Should, weighted(phrase(field, words), weight)));
            clauses.push((Occur::Must, Box::new(BooleanQuery::new(anywhere.collect()))));
        }
        if clauses.is_empty() {
            // Only exclusions: everything else would match, and say nothing.
            return if self.excluded.is_empty() {
                Box::new(EmptyQuery)
            } else {
                self.without(Box::new(AllQuery), fields)
            };
        }
        match self.excluded.is_empty() {
            true => Box::new(BooleanQuery::new(clauses)),
            false => self.without(Box::new(BooleanQuery::new(clauses)), fields),
        }
    }

    /// A query for any of the words in one field; none where there are none.
    pub fn any_of(&self, field: Field) -> Option<Box<dyn Query>> {
        let clauses: Vec<(Occur, Box<dyn Query>)> = self
            .sought()
            .map(|forms| (Occur::Should, word(field, forms)))
            .collect();
        (!clauses.is_empty()).then(|| Box::new(BooleanQuery::new(clauses)) as Box<dyn Query>)
    }

    fn without(&self, query: Box<dyn Query>, fields: &[(Field, f32)]) -> Box<dyn Query> {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, query)];
        for forms in &self.excluded {
            clauses.extend(
                fields
                    .iter()
                    .map(|&(field, _)| (Occur::MustNot, word(field, forms))),
            );
        }
        Box::new(BooleanQuery::new(clauses))
    }
}

/// A word in a field, by the form that fits best.
fn word(field: Field, forms: &Forms) -> Box<dyn Query> {
    let term = |form: &String| -> Box<dyn Query> {
        let term = Term::from_field_text(field, form);
        Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
    };
    match forms.as_slice() {
        [only] => term(only),
        forms => Box::new(DisjunctionMaxQuery::new(forms.iter().map(term).collect())),
    }
}

/// Words in their order in a field, all in one language.
fn phrase(field: Field, words: &[(usize, Forms)]) -> Box<dyn Query> {
    if let [(_, forms)] = words {
        return word(field, forms);
    }
    let most = words.iter().map(|(_, forms)| forms.len()).max().unwrap_or(0);
    let in_language = |language: usize| -> Box<dyn Query> {
        let terms = words.iter().map(|(at, forms)| {
            let form = forms.get(language).or(forms.first()).map_or("", String::as_str);
            (*at, Term::from_field_text(field, form))
        });
        Box::new(PhraseQuery::new_with_offset(terms.collect()))
    };
    match most {
        0 | 1 => in_language(0),
        _ => Box::new(DisjunctionMaxQuery::new((0..most).map(in_language).collect())),
    }
}

fn weighted(query: Box<dyn Query>, weight: f32) -> Box<dyn Query> {
    Box::new(BoostQuery::new(query, weight))
}

fn is_stop(forms: &Forms) -> bool {
    forms.first().is_some_and(|form| is_stop_word(form))
}

/// Words of `text` with their positions and forms; of an identifier, the whole and the parts.
fn words(text: &str, analyzers: &mut [TextAnalyzer]) -> Vec<(usize, Forms)> {
    let mut words: Vec<(usize, Forms)> = Vec::new();
    for analyzer in analyzers {
        // Languages differ in the stem of a word, not in what a word is, so that the tokens of all stand side by side.
        for (index, token) in tokens(analyzer, text).into_iter().enumerate() {
            match words.get_mut(index) {
                Some((_, forms)) if forms.contains(&token.text) => {}
                Some((_, forms)) => forms.push(token.text),
                None => words.push((token.position, vec![token.text])),
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::language::{ENGLISH, by_code};
    use super::*;

    fn english(text: &str) -> Typed {
        Typed::parse(text, &[ENGLISH])
    }

    fn one_form(words: &[&str]) -> Vec<Forms> {
        words.iter().map(|word| vec![(*word).to_owned()]).collect()
    }

    #[test]
    fn takes_apart_what_is_typed() {
        let typed = english("how do I install \"data folder\" -windows well-known");
        assert_eq!(typed.words, one_form(&["instal", "well", "known"]));
        let phrase = one_form(&["data", "folder"]).into_iter().enumerate().collect();
        assert_eq!(typed.phrases, [phrase] as [Vec<_>; 1]);
        assert_eq!(typed.excluded, one_form(&["window"]));
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
    fn odd_input_is_no_error() {
        for text in [
            "",
            "\"",
            "\"\"",
            "-",
            "--x",
            "a \" b",
            "\"a\" \"b",
            "- - -",
            "\u{0}",
        ] {
            let _ = english(text);
        }
        assert_eq!(english("say \"hello").words, one_form(&["say", "hello"]));
    }
}
