//! From what a user types to a query of tantivy's. Anything can be typed; nothing is an error.

use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, BoostQuery, EmptyQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};

use super::analyzer::{analyzer, is_stop_word};

/// What was typed, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// Words, any of which may match.
    pub terms: Vec<String>,
    /// `"quoted"` words, which must occur as they are.
    pub phrases: Vec<Vec<(usize, String)>>,
    /// `-words` that must not occur.
    pub excluded: Vec<String>,
}

impl Typed {
    /// Takes `text` apart.
    pub fn parse(text: &str) -> Typed {
        let mut typed = Typed::default();
        for (index, piece) in text.split('"').enumerate() {
            // Between an odd quote and its partner; a quote without a partner is a mere character.
            let quoted = index % 2 == 1 && index < text.matches('"').count();
            if quoted {
                let terms = terms(piece);
                if !terms.is_empty() {
                    typed.phrases.push(terms);
                }
                continue;
            }
            for word in piece.split_whitespace() {
                let excluded = word
                    .strip_prefix('-')
                    .filter(|rest| rest.starts_with(char::is_alphanumeric));
                let into = if excluded.is_some() {
                    &mut typed.excluded
                } else {
                    &mut typed.terms
                };
                into.extend(terms(excluded.unwrap_or(word)).into_iter().map(|(_, term)| term));
            }
        }
        dedup(&mut typed.terms);
        if typed.terms.iter().any(|term| !is_stop_word(term)) || !typed.phrases.is_empty() {
            typed.terms.retain(|term| !is_stop_word(term));
        }
        typed
    }

    /// All terms that a hit may owe its score to.
    pub fn sought(&self) -> impl Iterator<Item = &str> {
        let phrased = self.phrases.iter().flatten().map(|(_, term)| term.as_str());
        self.terms.iter().map(String::as_str).chain(phrased)
    }

    /// The query over `fields`, each with its weight.
    pub fn query(&self, fields: &[(Field, f32)]) -> Box<dyn Query> {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for term in &self.terms {
            clauses.extend(
                fields
                    .iter()
                    .map(|&(field, weight)| (Occur::Should, weighted(field, term, weight))),
            );
        }
        for phrase in &self.phrases {
            let anywhere = fields.iter().map(|&(field, weight)| {
                let query: Box<dyn Query> = match phrase.as_slice() {
                    [(_, term)] => weighted(field, term, weight),
                    terms => {
                        let terms = terms
                            .iter()
                            .map(|(at, term)| (*at, Term::from_field_text(field, term)));
                        Box::new(BoostQuery::new(
                            Box::new(PhraseQuery::new_with_offset(terms.collect())),
                            weight,
                        ))
                    }
                };
                (Occur::Should, query)
            });
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

    fn without(&self, query: Box<dyn Query>, fields: &[(Field, f32)]) -> Box<dyn Query> {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, query)];
        for term in &self.excluded {
            clauses.extend(
                fields
                    .iter()
                    .map(|&(field, _)| (Occur::MustNot, weighted(field, term, 1.0))),
            );
        }
        Box::new(BooleanQuery::new(clauses))
    }
}

fn weighted(field: Field, term: &str, weight: f32) -> Box<dyn Query> {
    let query = TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
    Box::new(BoostQuery::new(Box::new(query), weight))
}

/// Terms of `text` with their positions; of an identifier, the parts, since a phrase has one term a position.
fn terms(text: &str) -> Vec<(usize, String)> {
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(text);
    let mut terms: Vec<(usize, String)> = Vec::new();
    while stream.advance() {
        let token = stream.token();
        terms.push((token.position, token.text.clone()));
    }
    terms
}

fn dedup(terms: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_apart_what_is_typed() {
        let typed = Typed::parse("how do I install \"data folder\" -windows well-known");
        assert_eq!(typed.terms, ["instal", "well", "known"]);
        assert_eq!(
            typed.phrases,
            [vec![(0, "data".to_owned()), (1, "folder".to_owned())]]
        );
        assert_eq!(typed.excluded, ["window"]);
    }

    #[test]
    fn stop_words_stay_where_there_is_nothing_else() {
        assert_eq!(Typed::parse("to be or not to be").terms, ["not"]);
        assert_eq!(Typed::parse("who is it").terms, ["who", "is", "it"]);
        assert_eq!(Typed::parse("\"who is\" it").terms, Vec::<String>::new());
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
            let _ = Typed::parse(text);
        }
        assert_eq!(Typed::parse("say \"hello").terms, ["say", "hello"]);
    }
}
