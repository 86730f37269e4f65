//! Boosts: what a document is moves its passages up, beside what they say.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use autorag_store::{DocumentEntry, DocumentField, DocumentId, PassageId, Snapshot};
use serde_json::Value;

use crate::{FusedCandidate, QueryError, Request};

/// Most boosts of one search.
pub const MAX_BOOSTS: usize = 3;
/// Heaviest boost.
pub const MAX_WEIGHT: f32 = 5.0;
/// What a boost of weight 1 multiplies the odds of relevance with, at full strength: what was one to one becomes four to one.
const ODDS: f32 = 4.0;
const DAY_MS: f32 = 86_400_000.0;

/// Which values of a field are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Small ones.
    Asc,
    /// Large ones.
    Desc,
    /// Any rather than none.
    Exists,
    /// None rather than any.
    NotExists,
}

impl Direction {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Asc => "asc",
            Direction::Desc => "desc",
            Direction::Exists => "exists",
            Direction::NotExists => "not_exists",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Direction {
    type Err = String;

    fn from_str(word: &str) -> Result<Direction, String> {
        match word {
            "asc" => Ok(Direction::Asc),
            "desc" => Ok(Direction::Desc),
            "exists" => Ok(Direction::Exists),
            "not_exists" => Ok(Direction::NotExists),
            other => Err(format!(
                "{other:?} is not a direction; use asc, desc, exists or not_exists"
            )),
        }
    }
}

/// Something about documents that moves their passages up.
#[derive(Debug, Clone, PartialEq)]
pub struct Boost {
    /// A field, by the names that filters use.
    pub field: String,
    /// Which of its values are better.
    pub direction: Direction,
    /// How much it counts, up to [`MAX_WEIGHT`].
    pub weight: f32,
    /// With it, the field is a time, and the boost halves with every so many days of age.
    pub half_life_days: Option<f32>,
}

impl Boost {
    /// Checks its numbers.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] for the field `boost_by`.
    pub(crate) fn validate(&self) -> Result<(), QueryError> {
        let invalid = |message: String| {
            Err(QueryError::Invalid {
                field: "boost_by",
                message,
            })
        };
        if self.field.trim().is_empty() {
            return invalid("has no field; name one, such as \"timestamp\"".into());
        }
        if !(self.weight > 0.0 && self.weight <= MAX_WEIGHT) {
            return invalid(format!(
                "{}: a weight of {} is outside 0 to {MAX_WEIGHT}",
                self.field, self.weight
            ));
        }
        match self.half_life_days {
            Some(days) if !(days > 0.0 && days.is_finite()) => invalid(format!(
                "{}: a half-life of {days} days is not above 0",
                self.field
            )),
            Some(_) if self.direction != Direction::Desc => invalid(format!(
                "{}: half_life_days goes with the direction desc, since it favours what is new",
                self.field
            )),
            _ => Ok(()),
        }
    }
}

/// How strongly one boost applied to one hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boosted {
    /// How well the document does, from 0 to 1.
    pub strength: f32,
    /// What the odds of relevance were multiplied with for it.
    pub odds: f32,
}

/// Strengths of each candidate, in the order of the boosts.
pub(crate) type Strengths = HashMap<PassageId, Vec<Boosted>>;

/// Orders candidates by the boosts of the request, if it has any.
pub(crate) fn boosted(
    snapshot: &Snapshot,
    request: &Request,
    candidates: &mut [FusedCandidate],
) -> Result<Option<Strengths>, QueryError> {
    if request.boosts.is_empty() {
        return Ok(None);
    }
    let ids: Vec<PassageId> = candidates.iter().map(|candidate| candidate.passage).collect();
    let documents = snapshot.documents_of(&ids)?.into_iter();
    let documents = documents
        .filter_map(|(passage, document)| Some((passage, snapshot.document_by_id(document)?)))
        .collect();
    // A clock before 1970 makes every document new.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    Ok(Some(reorder(candidates, &request.boosts, &documents, now_ms)))
}

/// Orders `candidates` by their relevance as `boosts` raise it; equals stay as they were. `now_ms` is the time to measure age
/// from, in milliseconds since 1970.
fn reorder(
    candidates: &mut [FusedCandidate],
    boosts: &[Boost],
    documents: &HashMap<PassageId, Arc<DocumentEntry>>,
    now_ms: i64,
) -> Strengths {
    let mut entries: Vec<&DocumentEntry> = documents.values().map(AsRef::as_ref).collect();
    entries.sort_by_key(|entry| entry.id);
    entries.dedup_by_key(|entry| entry.id);
    let by_boost: Vec<HashMap<DocumentId, f32>> = boosts
        .iter()
        .map(|boost| strengths(boost, &entries, now_ms))
        .collect();
    let mut applied = Strengths::with_capacity(candidates.len());
    let mut raised: HashMap<PassageId, f32> = HashMap::with_capacity(candidates.len());
    for candidate in candidates.iter() {
        let document = documents.get(&candidate.passage).map(|entry| entry.id);
        let of_boost = |(boost, strengths): (&Boost, &HashMap<DocumentId, f32>)| {
            let found = document.and_then(|id| strengths.get(&id));
            let strength = found.copied().unwrap_or(0.0);
            Boosted {
                strength,
                odds: ODDS.powf(boost.weight * strength),
            }
        };
        let each: Vec<Boosted> = boosts.iter().zip(&by_boost).map(of_boost).collect();
        let odds = candidate.relevance / (1.0 - candidate.relevance).max(f32::MIN_POSITIVE);
        raised.insert(
            candidate.passage,
            each.iter().fold(odds, |odds, boosted| odds * boosted.odds),
        );
        applied.insert(candidate.passage, each);
    }
    let odds = |candidate: &FusedCandidate| raised.get(&candidate.passage).copied().unwrap_or(0.0);
    candidates.sort_by(|one, other| odds(other).total_cmp(&odds(one)));
    applied
}

/// How well each document does by a boost, from 0 to 1; none for 0.
fn strengths(boost: &Boost, entries: &[&DocumentEntry], now_ms: i64) -> HashMap<DocumentId, f32> {
    let field = DocumentField::new(&boost.field);
    if let Some(half_life) = boost.half_life_days {
        let aged = entries.iter().filter_map(|entry| {
            let age = now_ms.saturating_sub(field.time(entry)?.0).max(0) as f32 / DAY_MS;
            Some((entry.id, 0.5f32.powf(age / half_life)))
        });
        return aged.collect();
    }
    let having = |wanted: bool| {
        let found = entries
            .iter()
            .filter(|entry| field.value(entry).is_some() == wanted);
        found.map(|entry| (entry.id, 1.0)).collect()
    };
    match boost.direction {
        Direction::Exists => having(true),
        Direction::NotExists => having(false),
        Direction::Asc => by_place(&field, entries, Ordering::reverse),
        Direction::Desc => by_place(&field, entries, |order| order),
    }
}

/// The share of the other values that a document's is better than. The values themselves do not matter, so that one that is far
/// off does not make all others alike.
fn by_place(
    field: &DocumentField,
    entries: &[&DocumentEntry],
    turned: fn(Ordering) -> Ordering,
) -> HashMap<DocumentId, f32> {
    let mut values: Vec<(Value, DocumentId)> = entries
        .iter()
        .filter_map(|entry| Some((field.value(entry)?, entry.id)))
        .filter(|(value, _)| value.is_number() || value.is_string())
        .collect();
    values.sort_by(|(one, _), (other, _)| turned(order(one, other)));
    let different = values.chunk_by(|(one, _), (other, _)| order(one, other) == Ordering::Equal);
    let last = different.clone().count().saturating_sub(1).max(1) as f32;
    let alone = different.clone().count() == 1;
    let placed = different.zip(0u16..).flat_map(|(equals, place)| {
        let strength = if alone { 1.0 } else { f32::from(place) / last };
        equals.iter().map(move |(_, id)| (*id, strength))
    });
    placed.collect()
}

/// Numbers by size, texts by their characters, numbers before texts.
fn order(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::String(_), _) => Ordering::Greater,
        (_, Value::String(_)) => Ordering::Less,
        _ => {
            let number = |value: &Value| value.as_f64().unwrap_or(f64::NEG_INFINITY);
            number(one).total_cmp(&number(other))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Corpus, document, ranked};
    use autorag_store::NewDocument;
    use serde_json::json;

    fn boost(field: &str, direction: Direction) -> Boost {
        Boost {
            field: field.into(),
            direction,
            weight: 1.0,
            half_life_days: None,
        }
    }

    fn with(key: &str, metadata: Value) -> NewDocument {
        let Value::Object(metadata) = metadata else {
            panic!()
        };
        NewDocument {
            metadata,
            ..document(key, &format!("what {key} says"))
        }
    }

    /// The keys in the new order, where all candidates are equally relevant.
    fn order_by(documents: Vec<NewDocument>, boosts: &[Boost]) -> Vec<String> {
        let corpus = Corpus::of(documents);
        let snapshot = corpus.snapshot();
        let ids = corpus.passages();
        let documents: HashMap<PassageId, Arc<DocumentEntry>> = snapshot
            .documents_of(&ids)
            .unwrap()
            .into_iter()
            .map(|(passage, document)| (passage, snapshot.document_by_id(document).unwrap()))
            .collect();
        let mut candidates = ranked(&ids);
        candidates
            .iter_mut()
            .for_each(|candidate| candidate.relevance = 0.5);
        reorder(&mut candidates, boosts, &documents, 20 * 86_400_000);
        candidates
            .iter()
            .map(|c| documents[&c.passage].key.to_string())
            .collect()
    }

    #[test]
    fn every_direction_orders_equals() {
        let documents = || {
            vec![
                with("a", json!({"stars": 3})),
                with("b", json!({})),
                with("c", json!({"stars": 5})),
                with("d", json!({"stars": 1})),
            ]
        };
        let by = |direction| order_by(documents(), &[boost("stars", direction)]);
        assert_eq!(by(Direction::Desc), ["c", "a", "b", "d"]);
        assert_eq!(by(Direction::Asc), ["d", "a", "b", "c"]);
        assert_eq!(by(Direction::Exists), ["a", "c", "d", "b"]);
        assert_eq!(by(Direction::NotExists), ["b", "a", "c", "d"]);
    }

    #[test]
    fn what_is_new_counts_more_by_its_half_life() {
        let recent = Boost {
            half_life_days: Some(10.0),
            ..boost("published", Direction::Desc)
        };
        let documents = vec![
            with("old", json!({"published": "1970-01-02"})),
            with("undated", json!({})),
            with("new", json!({"published": "1970-01-20"})),
            with("future", json!({"published": 99 * 86_400_000i64})),
        ];
        assert_eq!(
            order_by(documents, &[recent]),
            ["future", "new", "old", "undated"]
        );
    }

    #[test]
    fn a_boost_does_not_make_an_answer_of_what_is_none() {
        let corpus = Corpus::of(vec![
            with("good", json!({})),
            with("bad", json!({"pinned": true})),
        ]);
        let snapshot = corpus.snapshot();
        let ids = corpus.passages();
        let documents = snapshot.documents_of(&ids).unwrap();
        let documents = documents
            .into_iter()
            .map(|(passage, document)| (passage, snapshot.document_by_id(document).unwrap()))
            .collect();
        let mut candidates = ranked(&ids);
        (candidates[0].relevance, candidates[1].relevance) = (0.7, 0.1);
        let applied = reorder(
            &mut candidates,
            &[boost("pinned", Direction::Exists)],
            &documents,
            0,
        );
        assert_eq!(candidates[0].passage, ids[0]);
        assert_eq!(
            applied[&ids[1]],
            [Boosted {
                strength: 1.0,
                odds: 4.0
            }]
        );
    }

    #[test]
    fn wrong_numbers_are_refused() {
        let fine = boost("stars", Direction::Asc);
        assert!(fine.validate().is_ok());
        let wrong = [
            Boost {
                weight: 0.0,
                ..fine.clone()
            },
            Boost {
                weight: f32::NAN,
                ..fine.clone()
            },
            Boost {
                field: " ".into(),
                ..fine.clone()
            },
            Boost {
                half_life_days: Some(3.0),
                ..fine.clone()
            },
            Boost {
                half_life_days: Some(-3.0),
                direction: Direction::Desc,
                ..fine
            },
        ];
        for boost in wrong {
            assert!(boost.validate().is_err(), "{boost:?}");
        }
    }
}
