//! Runs tiny graphs in ONNX Runtime. Skipped unless `ORT_DYLIB_PATH` has the path of its shared library.

use std::path::PathBuf;

use crate::embedder::Embedder;
use crate::engine::Patience;
use crate::error::EmbedError;
use crate::fastembed::{CrossEncoder, CrossEncoderOptions, FastembedModel, FastembedOptions};
use crate::tiny_graph::{self, DIMENSIONS, MAX_TOKENS, WORDS};

fn options(dir: &std::path::Path, runtime: Option<PathBuf>) -> FastembedOptions {
    FastembedOptions {
        model: FastembedModel::Folder(dir.to_owned()),
        runtime,
        query_prefix: None,
        passage_prefix: None,
        max_tokens: None,
    }
}

/// Path of ONNX Runtime's shared library.
fn runtime() -> Option<PathBuf> {
    let runtime = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    if runtime.is_none() {
        eprintln!("skipped: ORT_DYLIB_PATH is not set");
    }
    runtime
}

/// Opens the tiny graph. `None` without ONNX Runtime.
fn open_tiny(change: impl FnOnce(&mut FastembedOptions)) -> Option<Embedder> {
    let runtime = runtime()?;
    let dir = tempfile::tempdir().unwrap();
    tiny_graph::write(dir.path());
    let mut options = options(dir.path(), Some(runtime));
    change(&mut options);
    Some(Embedder::fastembed(&options).unwrap())
}

/// The vector that the graph should compute, from its definition.
fn expected(words: &str) -> Vec<f32> {
    let id = |word: &str| WORDS.iter().position(|known| *known == word).unwrap_or(1);
    let tokens: Vec<usize> = std::iter::once(2)
        .chain(words.split_whitespace().map(id))
        .chain([3])
        .collect();
    let sums: Vec<f32> = (0..DIMENSIONS)
        .map(|dimension| {
            tokens
                .iter()
                .map(|token| tiny_graph::row(*token)[dimension])
                .sum()
        })
        .collect();
    let length = sums.iter().map(|sum| sum * sum).sum::<f32>().sqrt();
    sums.iter().map(|sum| sum / length).collect()
}

#[track_caller]
fn assert_close(actual: &[f32], expected: &[f32]) {
    assert_eq!(actual.len(), expected.len());
    let errors = actual.iter().zip(expected).map(|(a, b)| (a - b).abs());
    assert!(
        errors.fold(0.0, f32::max) < 1e-5,
        "{actual:?} is not {expected:?}"
    );
}

#[test]
fn vectors_match_the_definition_of_the_graph() {
    let Some(embedder) = open_tiny(|_| {}) else { return };
    assert_eq!(embedder.model().dimensions, DIMENSIONS);
    assert_eq!(embedder.model().max_tokens, MAX_TOKENS);
    // More than one run, with texts of different lengths.
    let texts = [
        "penguins",
        "penguins live in the southern hemisphere",
        "water",
        "the backup",
        "",
        "where do the penguins live",
    ];
    let vectors = embedder.embed(&texts).unwrap();
    assert_eq!(vectors.len(), texts.len());
    for (text, vector) in texts.iter().zip(&vectors) {
        assert_close(vector, &expected(text));
    }
}

#[test]
fn prefixes_are_part_of_the_embedded_text_and_of_the_version() {
    let Some(plain) = open_tiny(|_| {}) else { return };
    let with_prefixes = open_tiny(|options| {
        options.query_prefix = Some("where ".into());
        options.passage_prefix = Some("the ".into());
    });
    let with_prefixes = with_prefixes.unwrap();
    assert_close(
        &with_prefixes.embed_query("water").unwrap().vector,
        &expected("where water"),
    );
    assert_close(
        &with_prefixes.embed(&["water"]).unwrap()[0],
        &expected("the water"),
    );
    assert_ne!(plain.model().version, with_prefixes.model().version);
}

#[test]
fn a_special_token_spelled_out_in_a_text_is_plain_text() {
    let Some(embedder) = open_tiny(|_| {}) else { return };
    // Three unknown tokens: the two brackets and the word between them.
    let vector = embedder.embed(&["water [PAD]"]).unwrap().swap_remove(0);
    assert_close(&vector, &expected("water ? ? ?"));
}

#[test]
fn a_long_passage_is_refused_and_a_long_query_is_truncated() {
    let Some(embedder) = open_tiny(|_| {}) else { return };
    let longest = vec!["water"; MAX_TOKENS - 2].join(" ");
    let longer = format!("{longest} penguins");
    assert_eq!(
        embedder.embed(&[&longest, &longer]),
        Err(EmbedError::TextTooLong {
            index: 1,
            tokens: MAX_TOKENS + 1,
            limit: MAX_TOKENS
        })
    );
    let query = embedder.embed_query(&longer).unwrap();
    assert!(query.truncated);
    assert_close(&query.vector, &expected(&longest));
}

#[test]
fn embedding_stops_when_patience_ends() {
    let Some(embedder) = open_tiny(|_| {}) else { return };
    let mut delivered = 0;
    let outcome = embedder.embed_each(&["water"], &|| Patience::None, &mut |_, _| delivered += 1);
    assert_eq!((outcome, delivered), (Err(EmbedError::Interrupted), 0));
}

#[test]
fn a_token_limit_over_the_number_of_positions_is_refused() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    tiny_graph::write(dir.path());
    let mut options = options(dir.path(), Some(runtime));
    options.max_tokens = Some(MAX_TOKENS + 1);
    let error = Embedder::fastembed(&options).unwrap_err().to_string();
    assert!(error.contains("reads 3 to 32 tokens, not 33"), "{error}");
}

#[test]
fn the_error_for_a_corrupt_graph_names_the_file() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    tiny_graph::write(dir.path());
    fs_err::write(dir.path().join("model.onnx"), "no graph").unwrap();
    let error = Embedder::fastembed(&options(dir.path(), Some(runtime))).unwrap_err();
    assert!(
        error.to_string().contains("model.onnx cannot be opened"),
        "{error}"
    );
}

#[test]
fn scores_match_the_definition_of_the_graph() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    tiny_graph::write_reranker(dir.path(), "backup");
    let options = |dir: &std::path::Path| CrossEncoderOptions {
        model: FastembedModel::Folder(dir.to_owned()),
        runtime: Some(runtime.clone()),
    };
    let model = CrossEncoder::open(&options(dir.path())).unwrap();
    let scores = model
        .scores(
            "where",
            &["penguins live", "the backup", "", "water in the backup [PAD]"],
        )
        .unwrap();
    let sigmoid = |logit: f32| 1.0 / (1.0 + (-logit).exp());
    assert_close(
        &scores,
        &[sigmoid(-3.0), sigmoid(3.0), sigmoid(-3.0), sigmoid(3.0)],
    );
    assert_close(&model.scores("the backup", &["water"]).unwrap(), &[sigmoid(3.0)]);
    assert_eq!(model.scores("where", &[]).unwrap_or_default(), [0.0; 0]);

    let no_reranker = tempfile::tempdir().unwrap();
    tiny_graph::write(no_reranker.path());
    let error = CrossEncoder::open(&options(no_reranker.path()))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("cannot be computed"), "{error}");
}
