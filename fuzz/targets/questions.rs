//! Searches a small index with arbitrary queries, filters and boosts.
//!
//! The first two bytes of the input encode the options of the request. The query, the filter as JSON and the field of a boost
//! follow, separated by 0xff bytes.

#![no_main]

use std::fs;
use std::sync::{Arc, LazyLock};

use autorag_embedder::Embedder;
use autorag_indexer::{Cancel, IndexOptions, Indexer, Progress, RunContext};
use autorag_query::{Activity, Boost, Direction, Engine, Fusion, Mode, Phase, QueryError, Request};
use autorag_store::{Filter, Matching, ModelIdentity, SourceRoot, Store, StoreOptions};
use libfuzzer_sys::fuzz_target;

/// Path and text of each file: several languages and scripts, titles, headings, metadata, identifiers, and one duplicate.
const FILES: [(&str, &str); 8] = [
    (
        "guide/install.md",
        "---\ntitle: Install\nteam: docs\nedition: 3\n---\n# Install\n\nCopy the binary.\n\n## On Debian\n\nUse `apt_get` for it.\n",
    ),
    (
        "guide/limits.md",
        "---\ntitle: Limits\nteam: ops\ndate: 2026-01-02\n---\n# Limits\n\nmax_file_size is 10 MB; HTTPServer reads readFile.\n",
    ),
    ("notes/copy.md", "# Install\n\nCopy the binary.\n"),
    (
        "notes/straße.txt",
        "Die Straße war naß, die Häuser standen leer und niemand öffnete die Türen.\n",
    ),
    ("notes/東京.txt", "東京は日本の首都です。人口が多い都市です。\n"),
    (
        "notes/café.txt",
        "Les chevaux mangeaient, e\u{301}te\u{301} comme hiver, dans les prés.\n",
    ),
    (
        "src/index.rs",
        "/// Opens an index.\nfn open_index(path: &Path) -> Index {\n    Index::new(path)\n}\n",
    ),
    ("long.txt", include_str!("questions.rs")),
];

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    // Keep the folder: the process uses the index until it ends.
    let folder = tempfile::tempdir().unwrap().keep();
    for (path, text) in FILES {
        let file = folder.join("corpus").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let embedder = Arc::new(Embedder::built_in().unwrap());
    let model = ModelIdentity {
        id: embedder.model().id.clone(),
        version: embedder.model().version.clone(),
        dimensions: embedder.model().dimensions,
        ..ModelIdentity::default()
    };
    let path = folder.join("corpus");
    let sources = vec![SourceRoot { name: None, path }];
    let store = Arc::new(Store::open(&folder.join("index"), StoreOptions { model, sources }).unwrap());
    let options = IndexOptions {
        chunk_tokens: 60,
        ..IndexOptions::default()
    };
    let indexer = Indexer::new(Arc::clone(&store), Arc::clone(&embedder), options).unwrap();
    let report = indexer.run(&RunContext::new(&Progress::routine(), &Cancel::default()));
    assert!(report.unwrap().embedded > FILES.len() as u64);
    Engine::new(store, embedder)
});

fuzz_target!(|input: &[u8]| {
    if let [options, more_options, parts @ ..] = input {
        let mut parts = parts.split(|byte| *byte == 0xff).map(String::from_utf8_lossy);
        let mut part = || parts.next().unwrap_or_default();
        let (query, filter, field) = (part(), part(), part());
        let mut request = Request::new(query);
        request.filter = serde_json::from_str(&filter)
            .ok()
            .and_then(|json| Filter::parse(&json).ok());
        check_answer(&with_options(request, *options, *more_options, &field));
    }
});

/// The request with the options that the two bytes encode, and with a boost unless `field` is empty.
fn with_options(request: Request, options: u8, more_options: u8, field: &str) -> Request {
    let direction = Direction::ALL[usize::from(more_options >> 6)];
    let boost = Boost {
        field: field.to_owned(),
        direction,
        weight: 0.5,
        half_life_days: (direction == Direction::Desc && more_options & 32 != 0).then_some(30.0),
    };
    Request {
        // Mostly lexical: embedding takes most of the time and has its own fuzz target.
        mode: [Mode::Lexical, Mode::Lexical, Mode::Lexical, Mode::Hybrid][usize::from(options % 4)],
        fusion: [Fusion::Weighted, Fusion::Weighted, Fusion::Rrf, Fusion::Max][usize::from(options / 4 % 4)],
        matching: [Matching::Any, Matching::All][usize::from(options / 16 % 2)],
        explain: options & 32 != 0,
        collapse_duplicates: options & 64 != 0,
        context_expansion: u32::from(options >> 7),
        limit: 1 + usize::from(more_options % 8),
        offset: usize::from(more_options / 8 % 4),
        boosts: Some(boost).filter(|_| !field.is_empty()).into_iter().collect(),
        ..request
    }
}

/// Checks the invariants of an answer: ranks continue from the offset, scores are from 0 to 1 and do not rise without boosts, and
/// no snippet is empty.
fn check_answer(request: &Request) {
    let activity = Activity {
        phase: Phase::Ready,
        files_seen: FILES.len() as u64,
        last_run: None,
        failure: None,
    };
    let answer = match ENGINE.search(request, &activity) {
        Ok(answer) => answer,
        Err(QueryError::Invalid { field, .. }) => {
            assert!(
                matches!(field, "query" | "boost_by" | "filter"),
                "{field} is within its limits"
            );
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(answer.hits.len() <= request.limit);
    for (hit, rank) in answer.hits.iter().zip(request.offset as u32 + 1..) {
        assert_eq!(hit.rank, rank);
        assert!((0.0..=1.0).contains(&hit.score), "{}", hit.score);
        let span = hit.passage.span;
        assert_eq!(hit.passage.text.len(), span.end_byte - span.start_byte);
        assert!(hit.snippet.iter().any(|part| !part.text.trim().is_empty()));
        // A hit has no context if it has no neighbours, or if other hits already show all of them.
        assert!(hit.context.is_none() || request.context_expansion > 0);
        assert!(
            hit.context
                .as_ref()
                .is_none_or(|context| context.text.contains(&hit.passage.text))
        );
        assert_eq!(hit.explanation.is_some(), request.explain);
    }
    let scores = answer.hits.windows(2).map(|pair| pair[0].score >= pair[1].score);
    assert!(
        !request.boosts.is_empty() || scores.into_iter().all(|sorted| sorted),
        "{:?}",
        request.query
    );
}
