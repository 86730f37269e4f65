//! A graph in ONNX Runtime, where `ORT_DYLIB_PATH` says where that is.

use std::path::PathBuf;

use crate::embedder::{Embedder, Patience};
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

/// The tiny graph, opened; nothing where there is no ONNX Runtime.
fn tiny(change: impl FnOnce(&mut FastembedOptions)) -> Option<Embedder> {
    let Some(runtime) = std::env::var_os("ORT_DYLIB_PATH") else {
        eprintln!("not run: ORT_DYLIB_PATH does not say where ONNX Runtime is");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    tiny_graph::write(dir.path());
    let mut options = options(dir.path(), Some(runtime.into()));
    change(&mut options);
    Some(Embedder::fastembed(&options).unwrap())
}

/// What the graph is said to compute.
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
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0, f32::max) < 1e-5, "{found:?} is not {expected:?}");
}

#[test]
fn vectors_are_those_that_the_graph_computes() {
    let Some(embedder) = tiny(|_| {}) else { return };
    assert_eq!(embedder.model().dimensions, DIMENSIONS);
    assert_eq!(embedder.model().max_tokens, MAX_TOKENS);
    // More than one run, of unlike lengths.
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
fn prefixes_are_part_of_what_is_embedded_and_of_the_version() {
    let Some(plain) = tiny(|_| {}) else { return };
    let with_prefixes = tiny(|options| {
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
fn the_name_of_a_special_token_in_a_text_is_text() {
    let Some(embedder) = tiny(|_| {}) else { return };
    // Three unknown words: the brackets, and what is between them.
    let vector = embedder.embed(&["water [PAD]"]).unwrap().swap_remove(0);
    assert_close(&vector, &expected("water ? ? ?"));
}

#[test]
fn a_long_passage_is_refused_and_a_long_question_cut() {
    let Some(embedder) = tiny(|_| {}) else { return };
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
fn a_caller_without_patience_is_not_kept() {
    let Some(embedder) = tiny(|_| {}) else { return };
    let mut delivered = 0;
    let outcome = embedder.embed_each(&["water"], &|| Patience::None, &mut |_, _| delivered += 1);
    assert_eq!((outcome, delivered), (Err(EmbedError::Interrupted), 0));
}

#[test]
fn more_tokens_than_there_are_positions_are_refused() {
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    tiny_graph::write(dir.path());
    let mut options = options(dir.path(), std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from));
    options.max_tokens = Some(MAX_TOKENS + 1);
    let error = Embedder::fastembed(&options).unwrap_err().to_string();
    assert!(error.contains("reads 3 to 32 tokens, not 33"), "{error}");
}

#[test]
fn a_damaged_graph_is_refused_by_name() {
    let Some(runtime) = std::env::var_os("ORT_DYLIB_PATH") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    tiny_graph::write(dir.path());
    fs_err::write(dir.path().join("model.onnx"), "no graph").unwrap();
    let error = Embedder::fastembed(&options(dir.path(), Some(runtime.into()))).unwrap_err();
    assert!(
        error.to_string().contains("model.onnx cannot be opened"),
        "{error}"
    );
}

#[test]
fn a_pair_has_the_score_that_the_graph_computes() {
    let Some(runtime) = std::env::var_os("ORT_DYLIB_PATH") else {
        eprintln!("not run: ORT_DYLIB_PATH does not say where ONNX Runtime is");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    tiny_graph::write_reranker(dir.path(), "backup");
    let options = |dir: &std::path::Path| CrossEncoderOptions {
        model: FastembedModel::Folder(dir.to_owned()),
        runtime: Some(runtime.clone().into()),
    };
    let model = CrossEncoder::open(&options(dir.path())).unwrap();
    let scores = model
        .scores(
            "where",
            &["penguins live", "the backup", "", "water in the backup [PAD]"],
        )
        .unwrap();
    let odds = |logit: f32| 1.0 / (1.0 + (-logit).exp());
    assert_close(&scores, &[odds(-3.0), odds(3.0), odds(-3.0), odds(3.0)]);
    assert_close(&model.scores("the backup", &["water"]).unwrap(), &[odds(3.0)]);
    assert_eq!(model.scores("where", &[]).unwrap_or_default(), [0.0; 0]);

    let other = tempfile::tempdir().unwrap();
    tiny_graph::write(other.path());
    let error = CrossEncoder::open(&options(other.path()))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("cannot be computed"), "{error}");
}
