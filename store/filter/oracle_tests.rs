//! Tests filtered searches against an oracle that evaluates the same JSON independently. For any corpus, filter and limit, a
//! filtered search returns the hits of the unfiltered search whose documents match the filter.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::{
    Candidate, ChangeBatch, ContentHash, DocumentId, DocumentKey, DocumentQuery, FileStat, Filter,
    ItemStatus, Matching, ModelIdentity, NewDocument, NewPassage, PassageId, Snapshot, Span, Store,
    StoreOptions,
};

const DIMENSIONS: usize = 8;
const WORDS: &[&str] = &["harbour", "lantern", "meadow", "orchard"];
/// More than the number of documents and passages of any corpus here.
const ALL: usize = 500;

/// A generated document.
#[derive(Debug, Clone)]
struct TestDocument {
    key: String,
    kind: &'static str,
    size: u64,
    metadata: Map<String, Value>,
    lines: Vec<Vec<&'static str>>,
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-2i64..4).prop_map(Value::from),
        (-4i64..8).prop_map(|half| json!(half as f64 / 2.0)),
        select(vec!["a", "ab", "b", "1", "docs/", ""]).prop_map(Value::from),
    ]
}

fn metadata() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        3 => scalar(),
        1 => Just(Value::Null),
        1 => proptest::collection::vec(scalar(), 0..3).prop_map(Value::from),
    ];
    proptest::collection::btree_map(select(vec!["m".to_owned(), "n".to_owned()]), value, 0..3)
        .prop_map(|map| map.into_iter().collect())
}

fn document() -> impl Strategy<Value = TestDocument> {
    let folder = select(vec!["", "docs/", "docs/sub/", "docs-old/", "docs0/", "src/"]);
    let line = proptest::collection::vec(select(WORDS), 1..5);
    (
        (folder, 0u32..30, select(vec!["md", "txt", "RS"])),
        select(vec!["markdown", "text", "code"]),
        0u64..5,
        metadata(),
        proptest::collection::vec(line, 1..4),
    )
        .prop_map(
            |((folder, number, extension), kind, size, metadata, lines)| TestDocument {
                key: format!("{folder}{number}.{extension}"),
                kind,
                size,
                metadata,
                lines,
            },
        )
}

/// A random test of one field.
fn field_test() -> impl Strategy<Value = Value> {
    let metadata = (select(vec!["m", "n", "metadata.m"]), scalar()).boxed();
    let size = (Just("size"), (0i64..5).prop_map(Value::from)).boxed();
    let texts = select(vec![
        "docs/",
        "docs0",
        "docs/sub/",
        "",
        "md",
        "text",
        "code",
        "1.md",
        "docs/2.md",
    ]);
    let fields = select(vec!["folder", "path", "filename", "extension", "type", "title"]);
    let built_in = (fields, texts.prop_map(Value::from)).boxed();
    let globs = select(vec!["docs/*.md", "**/*.md", "src/**"]);
    let equality = select(vec!["$eq", "$ne"]);
    let order = select(vec!["$lt", "$lte", "$gt", "$gte"]);
    let list = select(vec!["$in", "$nin"]);
    let any_field = prop_oneof![2 => metadata, 1 => size, 2 => built_in].boxed();
    prop_oneof![
        any_field
            .clone()
            .prop_map(|(field, value)| json!({ field: value })),
        (any_field.clone(), equality)
            .prop_map(|((field, value), operator)| json!({ field: { operator: value } })),
        (any_field.clone(), order).prop_map(|((field, value), operator)| match value {
            Value::Bool(_) => json!({ field: { operator: "a" } }),
            value => json!({ field: { operator: value } }),
        }),
        (any_field.clone(), scalar(), list).prop_map(|((field, value), other, operator)| match field {
            "m" | "n" | "metadata.m" => json!({ field: { operator: [value, other] } }),
            field => json!({ field: { operator: [value] } }),
        }),
        (any_field, select(vec!["$contains", "$prefix"])).prop_map(
            |((field, value), operator)| match value {
                Value::String(_) => json!({ field: { operator: value } }),
                _ => json!({ field: { "$contains": value } }),
            }
        ),
        globs.prop_map(|glob| json!({ "path": { "$glob": glob } })),
        Just(json!({ "folder": { "$gte": "docs/", "$lt": "docs0" } })),
        Just(json!({ "m": null })),
    ]
}

fn filter() -> impl Strategy<Value = Value> {
    field_test().prop_recursive(3, 12, 3, |inner| {
        let parts = proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            parts.clone().prop_map(|parts| json!({ "$and": parts })),
            parts.prop_map(|parts| json!({ "$or": parts })),
            inner.clone().prop_map(|part| json!({ "$not": part })),
            (inner.clone(), inner).prop_map(|(one, other)| {
                let (Value::Object(mut all), Value::Object(more)) = (one, other) else {
                    unreachable!("filters are objects")
                };
                // All fields must hold. If a field is in both filters, the later one counts.
                all.extend(more);
                Value::Object(all)
            }),
        ]
    })
}

/// The oracle: whether `document` matches `filter`.
fn is_match(filter: &Value, document: &TestDocument) -> bool {
    let Value::Object(parts) = filter else {
        panic!("filters are objects")
    };
    parts.iter().all(|(name, value)| match name.as_str() {
        "$and" => value
            .as_array()
            .unwrap()
            .iter()
            .all(|part| is_match(part, document)),
        "$or" => value
            .as_array()
            .unwrap()
            .iter()
            .any(|part| is_match(part, document)),
        "$not" => !is_match(value, document),
        field => match value {
            Value::Object(tests) => tests
                .iter()
                .all(|(operator, wanted)| passes(field, operator, wanted, document)),
            wanted => passes(field, "$eq", wanted, document),
        },
    })
}

/// The values of a field: the elements of a list, or none if the field is missing.
fn values(field: &str, document: &TestDocument) -> Vec<Value> {
    let folder_end = document.key.rfind('/').map_or(0, |slash| slash + 1);
    let found = match field {
        "path" => json!(document.key),
        "folder" => json!(document.key[..folder_end]),
        "filename" => json!(document.key[folder_end..]),
        "extension" => json!(document.key.rsplit('.').next().unwrap().to_lowercase()),
        "type" => json!(document.kind),
        "size" => json!(document.size),
        "title" => Value::Null,
        name => {
            let name = name.trim_start_matches("metadata.");
            document.metadata.get(name).cloned().unwrap_or(Value::Null)
        }
    };
    match found {
        Value::Null => Vec::new(),
        Value::Array(values) => values,
        one => vec![one],
    }
}

fn is_missing(field: &str, document: &TestDocument) -> bool {
    let name = field.trim_start_matches("metadata.");
    match field {
        "title" => true,
        "m" | "n" | "metadata.m" => document.metadata.get(name).is_none_or(Value::is_null),
        _ => false,
    }
}

fn passes(field: &str, operator: &str, wanted: &Value, document: &TestDocument) -> bool {
    let same = |one: &Value, other: &Value| match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    };
    let values = values(field, document);
    let has = |wanted: &Value| match wanted {
        Value::Null => is_missing(field, document),
        wanted => values.iter().any(|value| same(value, wanted)),
    };
    let ordered = |holds: fn(f64, f64) -> bool, texts: fn(&str, &str) -> bool| {
        values.iter().any(|value| match (value, wanted) {
            (Value::String(one), Value::String(other)) => texts(one, other),
            (Value::Number(one), Value::Number(other)) => {
                holds(one.as_f64().unwrap(), other.as_f64().unwrap())
            }
            _ => false,
        })
    };
    let texts = || values.iter().filter_map(Value::as_str);
    match operator {
        "$eq" => has(wanted),
        "$ne" => !has(wanted),
        "$in" => wanted.as_array().unwrap().iter().any(has),
        "$nin" => !wanted.as_array().unwrap().iter().any(has),
        "$lt" => ordered(|a, b| a < b, |a, b| a < b),
        "$lte" => ordered(|a, b| a <= b, |a, b| a <= b),
        "$gt" => ordered(|a, b| a > b, |a, b| a > b),
        "$gte" => ordered(|a, b| a >= b, |a, b| a >= b),
        "$prefix" => texts().any(|text| text.starts_with(wanted.as_str().unwrap())),
        "$contains" => {
            let name = field.trim_start_matches("metadata.");
            match (
                document
                    .metadata
                    .get(name)
                    .filter(|_| field.len() == 1 || field.starts_with("metadata")),
                wanted,
            ) {
                (Some(Value::Array(_)), _) => has(wanted),
                (_, Value::String(part)) => texts().any(|text| text.contains(part.as_str())),
                _ => has(wanted),
            }
        }
        "$glob" => texts().any(|path| match wanted.as_str().unwrap() {
            "docs/*.md" => {
                path.starts_with("docs/") && path.ends_with(".md") && path.matches('/').count() == 1
            }
            "**/*.md" => path.ends_with(".md"),
            "src/**" => path.starts_with("src/"),
            other => panic!("{other}"),
        }),
        other => panic!("{other}"),
    }
}

/// A random vector of length 1.
fn unit_vector(seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let vector: Vec<f32> = (0..DIMENSIONS).map(|_| random.f32() * 2.0 - 1.0).collect();
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    vector.iter().map(|v| v / length).collect()
}

fn new_document(source: &TestDocument, salt: u64) -> (NewDocument, Vec<(ContentHash, Vec<f32>)>) {
    let (mut text, mut passages, mut vectors) = (String::new(), Vec::new(), Vec::new());
    for (line, number) in source.lines.iter().zip(1u32..) {
        let start = text.len();
        text += &line.join(" ");
        let name = format!("{salt} {} {number}", source.key);
        let embed_hash = ContentHash::of(name.as_bytes());
        let seed = u64::from_le_bytes(embed_hash.0[..8].try_into().unwrap());
        vectors.push((embed_hash, unit_vector(seed)));
        passages.push(NewPassage {
            span: Span {
                start_byte: start,
                end_byte: text.len(),
                start_line: number,
                end_line: number,
                page: None,
            },
            heading_path: Vec::new(),
            embed_hash,
        });
        text.push('\n');
    }
    let document = NewDocument {
        key: source.key.as_str().into(),
        stat: FileStat {
            size: source.size,
            modified_ns: 0,
            inode: 0,
        },
        source_hash: ContentHash::of(text.as_bytes()),
        status: ItemStatus::Completed,
        reason: None,
        kind: source.kind.into(),
        language: None,
        title: None,
        metadata: source.metadata.clone(),
        text,
        passages,
    };
    (document, vectors)
}

/// A store of `documents`. The documents `removed` were added and removed before.
fn filled_store(dir: &std::path::Path, documents: &[TestDocument], removed: &[TestDocument]) -> Store {
    let model = ModelIdentity {
        id: "test".into(),
        version: "1".into(),
        dimensions: DIMENSIONS,
        ..ModelIdentity::default()
    };
    let store = Store::open(
        dir,
        StoreOptions {
            model,
            sources: Vec::new(),
        },
    )
    .unwrap();
    for (batch, salt) in [removed, documents].into_iter().zip(0..) {
        let mut change = ChangeBatch::default();
        if salt == 1 {
            change.removals = removed
                .iter()
                .map(|document| document.key.as_str().into())
                .collect();
            store.apply(&std::mem::take(&mut change)).unwrap();
        }
        let mut vectors = Vec::new();
        for document in batch {
            let (document, embeddings) = new_document(document, salt);
            change.upserts.push(document);
            vectors.extend(embeddings);
        }
        store.apply(&change).unwrap();
        store.refresh_lexical().unwrap();
        store.put_embeddings(&vectors).unwrap();
        store.refresh_vectors().unwrap();
    }
    store
}

fn documents_of(snapshot: &Snapshot, candidates: &[Candidate]) -> HashMap<PassageId, DocumentId> {
    let ids: Vec<PassageId> = candidates.iter().map(|candidate| candidate.passage).collect();
    let passages = snapshot.passages(&ids).unwrap();
    passages
        .into_iter()
        .map(|passage| (passage.id, passage.document))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_filtered_search_returns_the_matching_hits_of_the_unfiltered_one(
        documents in proptest::collection::vec(document(), 1..14),
        removed in proptest::collection::vec(document(), 0..4),
        filters in proptest::collection::vec(filter(), 12),
        words in proptest::collection::vec(select(WORDS), 1..3),
        k in 1usize..12, seed in any::<u64>(),
    ) {
        // The last document of each key counts.
        let by_key: HashMap<String, TestDocument> =
            documents.into_iter().map(|document| (document.key.clone(), document)).collect();
        let documents: Vec<TestDocument> = by_key.into_values().collect();
        let dir = tempfile::tempdir().unwrap();
        let store = filled_store(dir.path(), &documents, &removed);
        let snapshot = store.snapshot().unwrap();
        let everything = DocumentQuery { prefix: None, status: None, after_key: None, limit: ALL };
        let keys: HashMap<DocumentId, DocumentKey> =
            snapshot.documents(&everything).iter().map(|entry| (entry.id, entry.key.clone())).collect();
        prop_assert_eq!(keys.len(), documents.len());

        let (text, query) = (words.join(" "), unit_vector(seed));
        let lexical = snapshot.lexical(&text, Matching::Any, None, ALL).unwrap();
        let dense = snapshot.nearest(&query, None, ALL);
        prop_assert_eq!(dense.len(), documents.iter().map(|document| document.lines.len()).sum::<usize>());
        for filter in filters {
            let set = snapshot.select(&Filter::parse(&filter).unwrap());
            let selected: BTreeSet<&str> = set.iter().map(|id| keys[&id].as_str()).collect();
            let expected: BTreeSet<&str> =
                documents.iter().filter(|document| is_match(&filter, document)).map(|document| document.key.as_str()).collect();
            prop_assert_eq!(&selected, &expected, "{}", filter);

            let inside = |candidates: &[Candidate]| -> Vec<Candidate> {
                let documents = documents_of(&snapshot, candidates);
                candidates.iter().filter(|c| set.contains(documents[&c.passage])).copied().collect()
            };
            let (lexical, mut dense) = (inside(&lexical), inside(&dense));
            prop_assert_eq!(&snapshot.lexical(&text, Matching::Any, Some(&set), ALL).unwrap(), &lexical, "{}", filter);
            let few = snapshot.lexical(&text, Matching::Any, Some(&set), k).unwrap();
            prop_assert_eq!(few.len(), lexical.len().min(k));
            prop_assert_eq!(inside(&few).len(), few.len(), "outside of {}", filter);
            dense.truncate(k);
            prop_assert_eq!(snapshot.nearest(&query, Some(&set), k), dense, "{}", filter);
        }
    }
}
