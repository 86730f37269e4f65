//! Builds tantivy queries from a parsed query.

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, DisjunctionMaxQuery, EmptyQuery, Occur, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::query_parser::{Clause, ParsedQuery, Phrase, Scope, Stems};
use crate::Matching;

/// The searched fields of a passage, each with its boost.
#[derive(Clone, Copy)]
pub(super) struct SearchFields {
    pub body: (Field, f32),
    pub title: (Field, f32),
    pub headings: (Field, f32),
    pub path: (Field, f32),
}

impl SearchFields {
    /// All fields.
    pub(super) fn all(&self) -> [(Field, f32); 4] {
        [self.body, self.title, self.headings, self.path]
    }

    /// The fields of a scope.
    fn of(&self, scope: Scope) -> Vec<(Field, f32)> {
        match scope {
            Scope::Anywhere => self.all().to_vec(),
            Scope::Title => vec![self.title],
            Scope::Heading => vec![self.headings],
            Scope::Path => vec![self.path],
        }
    }
}

impl Clause {
    /// A query for the clause's phrase in any field of its scope.
    pub(super) fn query(&self, fields: &SearchFields) -> Box<dyn Query> {
        let in_any_field = fields
            .of(self.scope)
            .into_iter()
            .map(|(field, boost)| (Occur::Should, boosted(phrase_query(field, &self.words), boost)));
        Box::new(BooleanQuery::new(in_any_field.collect()))
    }
}

impl ParsedQuery {
    /// The query for passages, without [`ParsedQuery::excluded_phrases`].
    ///
    /// tantivy may ask an excluded query about a passage before its current one, and the phrase scorer does
    /// not support that.
    pub(super) fn query(&self, fields: &SearchFields, matching: Matching) -> Box<dyn Query> {
        let optional = |stems| word_in_any_field(fields, stems).map(|word| (Occur::Should, word));
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = self.words.iter().flat_map(optional).collect();
        if matching == Matching::All {
            // The optional clauses already score the words. The required copies have a boost of 0 and leave
            // scores unchanged.
            clauses.extend(self.required_words().map(|stems| {
                let required = BooleanQuery::new(optional(stems).collect());
                (Occur::Must, boosted(Box::new(required), 0.0))
            }));
        }
        for words in &self.phrases {
            let clause = Clause {
                scope: Scope::Anywhere,
                words: words.clone(),
            };
            clauses.push((Occur::Must, clause.query(fields)));
        }
        clauses.extend(
            self.field_clauses
                .iter()
                .map(|clause| (Occur::Must, clause.query(fields))),
        );
        if clauses.is_empty() {
            if self.excluded.is_empty() && !self.restricts_documents() {
                return Box::new(EmptyQuery);
            }
            // Only exclusions or document restrictions: all other passages match with equal scores.
            clauses.push((Occur::Must, Box::new(AllQuery)));
        }
        let included: Box<dyn Query> = Box::new(BooleanQuery::new(clauses));
        let mut clauses = vec![(Occur::Must, included)];
        for Clause { scope, words } in self.excluded.iter().filter(|clause| !clause.is_phrase()) {
            for (field, _) in fields.of(*scope) {
                let excluded = words
                    .iter()
                    .map(|(_, stems)| (Occur::MustNot, word_query(field, stems)));
                clauses.extend(excluded);
            }
        }
        Box::new(BooleanQuery::new(clauses))
    }

    /// Whether [`ParsedQuery::query`] is a plain disjunction of words over all fields, which
    /// [`super::maxscore`] can search.
    pub(super) fn is_disjunction(&self, matching: Matching) -> bool {
        matching == Matching::Any
            && self.phrases.is_empty()
            && self.field_clauses.is_empty()
            && self.excluded.is_empty()
            && !self.words.is_empty()
    }
}

/// A boosted query per field.
fn word_in_any_field(fields: &SearchFields, stems: &Stems) -> impl Iterator<Item = Box<dyn Query>> + use<> {
    fields
        .all()
        .map(|(field, boost)| boosted(word_query(field, stems), boost))
        .into_iter()
}

/// A word in a field, scored by its best stem.
fn word_query(field: Field, stems: &Stems) -> Box<dyn Query> {
    let term_query = |stem: &String| -> Box<dyn Query> {
        let term = Term::from_field_text(field, stem);
        Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
    };
    match stems.as_slice() {
        [only] => term_query(only),
        stems => Box::new(DisjunctionMaxQuery::new(stems.iter().map(term_query).collect())),
    }
}

/// A phrase in a field. Matches the n-th stems of all words together, because a passage is stemmed in one
/// language. A word with fewer stems contributes its first stem instead.
fn phrase_query(field: Field, words: &Phrase) -> Box<dyn Query> {
    if let [(_, stems)] = words.as_slice() {
        return word_query(field, stems);
    }
    let variants = words.iter().map(|(_, stems)| stems.len()).max().unwrap_or(0);
    let variant = |n: usize| -> Box<dyn Query> {
        let terms = words.iter().map(|(position, stems)| {
            let stem = stems.get(n).or(stems.first()).map_or("", String::as_str);
            (*position, Term::from_field_text(field, stem))
        });
        Box::new(PhraseQuery::new_with_offset(terms.collect()))
    };
    if variants <= 1 {
        return variant(0);
    }
    Box::new(DisjunctionMaxQuery::new((0..variants).map(variant).collect()))
}

fn boosted(query: Box<dyn Query>, boost: f32) -> Box<dyn Query> {
    Box::new(BoostQuery::new(query, boost))
}
