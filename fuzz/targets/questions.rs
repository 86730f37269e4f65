//! Any question, filter and boost, asked of a small index.
//!
//! The first two bytes of the input choose how is asked, then come the query, the filter as JSON and the field of a boost, each up to
//! a byte 0xff.

#![no_main]

use std::fs;
use std::sync::{Arc, LazyLock};

use autorag_embedder::Embedder;
use autorag_indexer::{Cancel, IndexOptions, Indexer, Progress, RunContext};
use autorag_query::{Activity, Boost, Direction, Engine, Fusion, Mode, Phase, QueryError, Request};
use autorag_store::{Filter, Matching, ModelIdentity, SourceRoot, Store, StoreOptions};
use libfuzzer_sys::fuzz_target;

/// Texts in several languages and scripts, with titles, headings, metadata, identifiers, and one said twice.
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
    // Kept for as long as the process runs.
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
    if let [how, of_what, parts @ ..] = input {
        let mut parts = parts.split(|byte| *byte == 0xff).map(String::from_utf8_lossy);
        let mut part = || parts.next().unwrap_or_default();
        let (query, filter, field) = (part(), part(), part());
        let mut request = Request::new(query);
        request.filter = serde_json::from_str(&filter)
            .ok()
            .and_then(|json| Filter::parse(&json).ok());
        ask(chosen(request, *how, *of_what, &field));
    }
});

/// The request with what the two bytes choose.
fn chosen(request: Request, how: u8, of_what: u8, field: &str) -> Request {
    let direction = [
        Direction::Asc,
        Direction::Desc,
        Direction::Exists,
        Direction::NotExists,
    ][usize::from(of_what >> 6)];
    let boost = Boost {
        field: field.to_owned(),
        direction,
        weight: 0.5,
        half_life_days: (direction == Direction::Desc && of_what & 32 != 0).then_some(30.0),
    };
    Request {
        // Embedding takes most of the time, and is fuzzed by itself.
        mode: [Mode::Lexical, Mode::Lexical, Mode::Lexical, Mode::Hybrid][usize::from(how % 4)],
        fusion: [Fusion::Weighted, Fusion::Weighted, Fusion::Rrf, Fusion::Max][usize::from(how / 4 % 4)],
        matching: [Matching::Any, Matching::All][usize::from(how / 16 % 2)],
        explain: how & 32 != 0,
        collapse_duplicates: how & 64 != 0,
        context_expansion: u32::from(how >> 7),
        limit: 1 + usize::from(of_what % 8),
        offset: usize::from(of_what / 8 % 4),
        boosts: Some(boost).filter(|_| !field.is_empty()).into_iter().collect(),
        ..request
    }
}

/// Hits are counted on from the offset, with scores from 0 to 1 that do not rise, and show something of their passages.
fn ask(request: Request) {
    let activity = Activity {
        phase: Phase::Ready,
        files_seen: FILES.len() as u64,
        last_run: None,
        failure: None,
    };
    let answer = match ENGINE.search(&request, &activity) {
        Ok(answer) => answer,
        Err(QueryError::Invalid { field, .. }) => {
            assert!(
                matches!(field, "query" | "boost_by" | "filter"),
                "{field} was within its limits"
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
        // What has no neighbours, or none that is not shown elsewhere, has no context.
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
        !request.boosts.is_empty() || scores.into_iter().all(|falls| falls),
        "{:?}",
        request.query
    );
}
