//! From what was typed to queries of tantivy's.

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, DisjunctionMaxQuery, EmptyQuery, Occur, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::typed::{Clause, Forms, Scope, Typed, Words};
use crate::Matching;

/// The fields of a passage that are searched, each with what a match in it is worth.
#[derive(Clone, Copy)]
pub(super) struct Searched {
    pub body: (Field, f32),
    pub title: (Field, f32),
    pub headings: (Field, f32),
    pub path: (Field, f32),
}

impl Searched {
    /// All of them.
    pub(super) fn all(&self) -> [(Field, f32); 4] {
        [self.body, self.title, self.headings, self.path]
    }

    /// Those that a clause is about.
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
    /// The words of the clause in any of the fields that it is about.
    pub(super) fn query(&self, searched: &Searched) -> Box<dyn Query> {
        let fields = searched.of(self.scope);
        let anywhere = fields
            .into_iter()
            .map(|(field, weight)| (Occur::Should, weighted(phrase(field, &self.words), weight)));
        Box::new(BooleanQuery::new(anywhere.collect()))
    }
}

impl Typed {
    /// The query for passages, but for [`Typed::excluded_phrases`]: tantivy's scorer of phrases cannot be asked about a place
    /// before its own, which is what an excluded query is asked.
    pub(super) fn query(&self, searched: &Searched, matching: Matching) -> Box<dyn Query> {
        let anywhere = |forms| anywhere(searched, forms).map(|leaf| (Occur::Should, leaf));
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = self.words.iter().flat_map(anywhere).collect();
        if matching == Matching::All {
            // Beside the scoring clauses, and worth nothing: a word that must occur counts as one that may.
            clauses.extend(self.required().map(|forms| {
                let must = BooleanQuery::new(anywhere(forms).collect());
                (Occur::Must, weighted(Box::new(must), 0.0))
            }));
        }
        for words in &self.phrases {
            let clause = Clause {
                scope: Scope::Anywhere,
                words: words.clone(),
            };
            clauses.push((Occur::Must, clause.query(searched)));
        }
        clauses.extend(
            self.fielded
                .iter()
                .map(|clause| (Occur::Must, clause.query(searched))),
        );
        if clauses.is_empty() {
            if self.excluded.is_empty() && !self.is_about_fields() {
                return Box::new(EmptyQuery);
            }
            // Only restrictions: everything else matches, and says nothing.
            clauses.push((Occur::Must, Box::new(AllQuery)));
        }
        let wanted: Box<dyn Query> = Box::new(BooleanQuery::new(clauses));
        let mut clauses = vec![(Occur::Must, wanted)];
        for Clause { scope, words } in self.excluded.iter().filter(|clause| !clause.is_phrase()) {
            for (field, _) in searched.of(*scope) {
                let excluded = words
                    .iter()
                    .map(|(_, forms)| (Occur::MustNot, word(field, forms)));
                clauses.extend(excluded);
            }
        }
        Box::new(BooleanQuery::new(clauses))
    }

    /// Whether [`Typed::query`] is the sum of the words in each of the fields and nothing else.
    pub(super) fn is_sum(&self, matching: Matching) -> bool {
        matching == Matching::Any
            && self.phrases.is_empty()
            && self.fielded.is_empty()
            && self.excluded.is_empty()
            && !self.words.is_empty()
    }
}

/// A word in each of the fields, worth what a match there is.
fn anywhere(searched: &Searched, forms: &Forms) -> impl Iterator<Item = Box<dyn Query>> + use<> {
    searched
        .all()
        .map(|(field, weight)| weighted(word(field, forms), weight))
        .into_iter()
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
fn phrase(field: Field, words: &Words) -> Box<dyn Query> {
    if let [(_, forms)] = words.as_slice() {
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
