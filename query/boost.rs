//! Boosts: rank passages higher by a field of their document.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use autorag_store::{DocumentEntry, DocumentField, DocumentId, PassageId, Snapshot, string_enum};
use serde_json::Value;

use crate::fusion::FusedCandidate;
use crate::{QueryError, Request};

/// Maximum number of boosts of one request.
pub const MAX_BOOSTS: usize = 3;
/// Maximum of [`Boost::weight`].
const MAX_WEIGHT: f32 = 5.0;
/// A boost with weight 1 and full strength multiplies the odds of relevance by this: even odds become four to one.
const ODDS: f32 = 4.0;
const DAY_MS: f32 = 86_400_000.0;

string_enum! {
    /// Which values of a field rank higher.
    Direction "direction" {
        /// Low values.
        Asc = "asc",
        /// High values.
        Desc = "desc",
        /// Documents that have the field.
        Exists = "exists",
        /// Documents that do not have the field.
        NotExists = "not_exists",
    }
}

/// A boost: ranks passages higher by a field of their document.
#[derive(Debug, Clone, PartialEq)]
pub struct Boost {
    /// Name of the field, as in filters.
    pub field: String,
    /// Which values rank higher.
    pub direction: Direction,
    /// Weight, above 0 and up to 5.
    pub weight: f32,
    /// Half-life in days. If set, the field is a time, and the strength of the boost halves with every half-life of age.
    pub half_life_days: Option<f32>,
}

impl Boost {
    /// Checks every limit.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] for the field `boost_by`.
    pub(crate) fn validate(&self) -> Result<(), QueryError> {
        let field = &self.field;
        let message = if field.trim().is_empty() {
            "has a boost without a field; name one, such as \"timestamp\"".to_owned()
        } else if !(self.weight > 0.0 && self.weight <= MAX_WEIGHT) {
            format!(
                "{field}: the weight must be above 0 and at most {MAX_WEIGHT}, not {}",
                self.weight
            )
        } else if let Some(days) = self.half_life_days
            && !(days > 0.0 && days.is_finite())
        {
            format!("{field}: half_life_days must be above 0, not {days}")
        } else if self.half_life_days.is_some() && self.direction != Direction::Desc {
            format!(
                "{field}: half_life_days needs the direction desc, not {}, because it prefers recent documents",
                self.direction
            )
        } else {
            return Ok(());
        };
        let field = "boost_by";
        Err(QueryError::Invalid { field, message })
    }
}

/// Effect of a boost on a hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoostEffect {
    /// Strength of the boost for the document, from 0 to 1.
    pub strength: f32,
    /// Factor on the odds of relevance.
    pub odds: f32,
}

/// Effects of all boosts on a hit.
#[derive(Debug, Clone, PartialEq)]
pub struct AppliedBoosts {
    /// Rank before boosting, from 1, among all candidates above the score threshold.
    pub rank_before: u32,
    /// Effect of each boost, in the order of the request.
    pub effects: Vec<BoostEffect>,
}

/// Reorders `candidates` by the boosts of the request. Returns the effects on each candidate, or an empty map without boosts.
pub(crate) fn apply_boosts(
    snapshot: &Snapshot,
    request: &Request,
    candidates: &mut [FusedCandidate],
) -> Result<HashMap<PassageId, AppliedBoosts>, QueryError> {
    if request.boosts.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<PassageId> = candidates.iter().map(|candidate| candidate.passage).collect();
    let documents = snapshot.documents_of(&ids)?.into_iter();
    let documents = documents
        .filter_map(|(passage, document)| Some((passage, snapshot.document_by_id(document)?)))
        .collect();
    // With a clock before 1970, all documents have age 0.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    Ok(reorder(candidates, &request.boosts, &documents, now_ms))
}

/// Sorts `candidates`, given best first, by their boosted odds of relevance. Ties keep their order.
///
/// `now_ms` is the current time in milliseconds since 1970, which ages are measured from.
fn reorder(
    candidates: &mut [FusedCandidate],
    boosts: &[Boost],
    documents: &HashMap<PassageId, Arc<DocumentEntry>>,
    now_ms: i64,
) -> HashMap<PassageId, AppliedBoosts> {
    let mut entries: Vec<&DocumentEntry> = documents.values().map(AsRef::as_ref).collect();
    entries.sort_by_key(|entry| entry.id);
    entries.dedup_by_key(|entry| entry.id);
    let strengths: Vec<HashMap<DocumentId, f32>> = boosts
        .iter()
        .map(|boost| strengths(boost, &entries, now_ms))
        .collect();
    let mut applied = HashMap::with_capacity(candidates.len());
    for (candidate, rank_before) in candidates.iter().zip(1..) {
        let document = documents.get(&candidate.passage).map(|entry| entry.id);
        let effect = |(boost, strengths): (&Boost, &HashMap<DocumentId, f32>)| {
            let strength = document.and_then(|id| strengths.get(&id)).copied();
            let strength = strength.unwrap_or(0.0);
            BoostEffect {
                strength,
                odds: ODDS.powf(boost.weight * strength),
            }
        };
        let effects = boosts.iter().zip(&strengths).map(effect).collect();
        applied.insert(candidate.passage, AppliedBoosts { rank_before, effects });
    }
    let odds = |candidate: &FusedCandidate| {
        let odds = candidate.relevance / (1.0 - candidate.relevance).max(f32::MIN_POSITIVE);
        let effects = applied.get(&candidate.passage).map(|applied| &applied.effects);
        effects
            .into_iter()
            .flatten()
            .fold(odds, |odds, effect| odds * effect.odds)
    };
    candidates.sort_by(|one, other| odds(other).total_cmp(&odds(one)));
    applied
}

/// Strength of a boost for each document, from 0 to 1. Documents with strength 0 may be absent.
fn strengths(boost: &Boost, entries: &[&DocumentEntry], now_ms: i64) -> HashMap<DocumentId, f32> {
    let field = DocumentField::new(&boost.field);
    if let Some(half_life) = boost.half_life_days {
        let by_age = entries.iter().filter_map(|entry| {
            let age = now_ms.saturating_sub(field.time(entry)?.0).max(0) as f32 / DAY_MS;
            Some((entry.id, 0.5f32.powf(age / half_life)))
        });
        return by_age.collect();
    }
    let by_presence = |is_present: bool| {
        let matching = entries
            .iter()
            .filter(|entry| field.value(entry).is_some() == is_present);
        matching.map(|entry| (entry.id, 1.0)).collect()
    };
    match boost.direction {
        Direction::Exists => by_presence(true),
        Direction::NotExists => by_presence(false),
        Direction::Asc => by_quantile(&field, entries, Ordering::reverse),
        Direction::Desc => by_quantile(&field, entries, |order| order),
    }
}

/// The share of the other distinct values that a document's value beats in the order `direct(compare(..))`.
///
/// Only the order of values counts. On a linear scale, a single outlier would make all other values look alike.
fn by_quantile(
    field: &DocumentField,
    entries: &[&DocumentEntry],
    direct: fn(Ordering) -> Ordering,
) -> HashMap<DocumentId, f32> {
    let mut values: Vec<(Value, DocumentId)> = entries
        .iter()
        .filter_map(|entry| Some((field.value(entry)?, entry.id)))
        .filter(|(value, _)| value.is_number() || value.is_string())
        .collect();
    values.sort_by(|(one, _), (other, _)| direct(compare(one, other)));
    let distinct = values.chunk_by(|(one, _), (other, _)| compare(one, other) == Ordering::Equal);
    let count = distinct.clone().count();
    let last = count.saturating_sub(1).max(1) as f32;
    let strengths = distinct.zip(0u16..).flat_map(|(equals, position)| {
        let strength = if count == 1 {
            1.0
        } else {
            f32::from(position) / last
        };
        equals.iter().map(move |(_, id)| (*id, strength))
    });
    strengths.collect()
}

/// Numbers by value, before strings by code point.
fn compare(one: &Value, other: &Value) -> Ordering {
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
    use crate::fixture::{TestIndex, document, ranking};
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

    fn document_with(key: &str, metadata: Value) -> NewDocument {
        let Value::Object(metadata) = metadata else {
            panic!()
        };
        NewDocument {
            metadata,
            ..document(key, &format!("text of {key}"))
        }
    }

    /// The keys after boosting candidates of equal relevance.
    fn order_by(documents: Vec<NewDocument>, boosts: &[Boost]) -> Vec<String> {
        let index = TestIndex::new(documents);
        let snapshot = index.snapshot();
        let ids = index.passages();
        let documents: HashMap<PassageId, Arc<DocumentEntry>> = snapshot
            .documents_of(&ids)
            .unwrap()
            .into_iter()
            .map(|(passage, document)| (passage, snapshot.document_by_id(document).unwrap()))
            .collect();
        let mut candidates = ranking(&ids);
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
    fn every_direction_orders_equally_relevant_documents() {
        let documents = || {
            vec![
                document_with("a", json!({"stars": 3})),
                document_with("b", json!({})),
                document_with("c", json!({"stars": 5})),
                document_with("d", json!({"stars": 1})),
            ]
        };
        let by = |direction| order_by(documents(), &[boost("stars", direction)]);
        assert_eq!(by(Direction::Desc), ["c", "a", "b", "d"]);
        assert_eq!(by(Direction::Asc), ["d", "a", "b", "c"]);
        assert_eq!(by(Direction::Exists), ["a", "c", "d", "b"]);
        assert_eq!(by(Direction::NotExists), ["b", "a", "c", "d"]);
    }

    #[test]
    fn recent_documents_rank_higher_by_half_life() {
        let recent = Boost {
            half_life_days: Some(10.0),
            ..boost("published", Direction::Desc)
        };
        let documents = vec![
            document_with("old", json!({"published": "1970-01-02"})),
            document_with("undated", json!({})),
            document_with("new", json!({"published": "1970-01-20"})),
            document_with("future", json!({"published": 99 * 86_400_000i64})),
        ];
        assert_eq!(
            order_by(documents, &[recent]),
            ["future", "new", "old", "undated"]
        );
    }

    #[test]
    fn a_boost_does_not_lift_an_irrelevant_passage_over_a_relevant_one() {
        let index = TestIndex::new(vec![
            document_with("good", json!({})),
            document_with("bad", json!({"pinned": true})),
        ]);
        let snapshot = index.snapshot();
        let ids = index.passages();
        let documents = snapshot.documents_of(&ids).unwrap();
        let documents = documents
            .into_iter()
            .map(|(passage, document)| (passage, snapshot.document_by_id(document).unwrap()))
            .collect();
        let mut candidates = ranking(&ids);
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
            AppliedBoosts {
                rank_before: 2,
                effects: vec![BoostEffect {
                    strength: 1.0,
                    odds: 4.0
                }]
            }
        );
    }

    #[test]
    fn invalid_boosts_are_rejected() {
        let valid = boost("stars", Direction::Asc);
        assert!(valid.validate().is_ok());
        let invalid = [
            Boost {
                weight: 0.0,
                ..valid.clone()
            },
            Boost {
                weight: f32::NAN,
                ..valid.clone()
            },
            Boost {
                field: " ".into(),
                ..valid.clone()
            },
            Boost {
                half_life_days: Some(3.0),
                ..valid.clone()
            },
            Boost {
                half_life_days: Some(-3.0),
                direction: Direction::Desc,
                ..valid
            },
        ];
        for boost in invalid {
            assert!(boost.validate().is_err(), "{boost:?}");
        }
    }
}
