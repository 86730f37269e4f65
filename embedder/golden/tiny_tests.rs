//! Compares models in directories with PyTorch's vectors for the same weights; see `make_tiny.py`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::tiny_model::{Dtype, TinyModel};
use crate::{DirectoryOptions, EmbedError, Embedder, ModelSource, Pooling};

fn vectors() -> Value {
    serde_json::from_str(include_str!("tiny_vectors.json")).unwrap()
}

fn bert() -> TinyModel {
    TinyModel {
        hidden: 64,
        heads: 2,
        dtype: Dtype::F32,
        pooling: "mean",
        roberta: false,
        vocabulary: 108,
        tensor_prefix: "",
        salt: "",
    }
}

/// A temporary folder with a tiny model: BERT with a `vocab.txt`, or RoBERTa with a `tokenizer.json`.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new(model: &TinyModel) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = Self { dir };
        let vocabulary: Vec<String> = serde_json::from_value(vectors()["vocabulary"].clone()).unwrap();
        assert_eq!(vocabulary.len(), 108);
        let model = TinyModel {
            vocabulary: if model.roberta { 94 } else { 108 },
            ..model.clone()
        };
        model.write(&folder.path());
        if model.roberta {
            folder.write("tokenizer.json", include_bytes!("unigram.json"));
        } else {
            folder.write("vocab.txt", vocabulary.join("\n"));
        }
        folder
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("tiny")
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs_err::write(self.path().join(name), bytes).unwrap();
    }

    fn open(&self, options: DirectoryOptions) -> Result<Embedder, EmbedError> {
        Embedder::open(&ModelSource::Directory {
            path: self.path(),
            options,
        })
    }

    /// The error from opening the model, which names a path in the folder.
    fn error(&self) -> String {
        let error = self.open(DirectoryOptions::default()).unwrap_err().to_string();
        assert!(error.contains(self.dir.path().to_str().unwrap()), "{error}");
        error
    }

    fn set(&self, file: &str, field: &str, value: Value) {
        let path = self.path().join(file);
        let mut json: Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
        json[field] = value;
        fs_err::write(path, json.to_string()).unwrap();
    }
}

#[track_caller]
fn assert_close(embedder: &Embedder, case: &str, as_query: bool) {
    let expected = vectors();
    let texts: Vec<String> = serde_json::from_value(expected["texts"].clone()).unwrap();
    let case = &expected["cases"][case];
    let rows: Vec<Vec<f32>> = serde_json::from_value(case["vectors"].clone()).unwrap();
    let ids: Vec<Vec<u32>> = serde_json::from_value(case["ids"].clone()).unwrap();
    for ((text, row), ids) in texts.iter().zip(&rows).zip(&ids) {
        let (prefix, vector) = if as_query {
            (
                &embedder.model().query_prefix,
                embedder.embed_query(text).unwrap().vector,
            )
        } else {
            let vectors = embedder.embed(&[text.as_str()]).unwrap();
            (&embedder.model().passage_prefix, vectors[0].clone())
        };
        assert_eq!(
            embedder.tokenizer().encode_for_model(&format!("{prefix}{text}")),
            *ids,
            "{text}"
        );
        let cosine: f32 = vector.iter().zip(row).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.998, "{text}: {cosine}");
    }
}

#[test]
fn vectors_match_pytorch() {
    let embedder = Folder::new(&bert()).open(DirectoryOptions::default()).unwrap();
    assert_eq!(embedder.model().pooling, Some(Pooling::Mean));
    assert_eq!(
        (embedder.model().dimensions, embedder.model().max_tokens),
        (64, 64)
    );
    assert_close(&embedder, "bert-32-mean", false);

    let folder = Folder::new(&TinyModel {
        pooling: "cls",
        dtype: Dtype::F16,
        tensor_prefix: "bert.",
        ..bert()
    });
    folder.write(
        "config_sentence_transformers.json",
        r#"{"prompts": {"query": "", "document": "the: "}, "default_prompt_name": null}"#,
    );
    let embedder = folder.open(DirectoryOptions::default()).unwrap();
    assert_eq!(embedder.model().passage_prefix, "the: ");
    assert_close(&embedder, "bert-32-cls", false);

    let folder = Folder::new(&TinyModel {
        hidden: 128,
        pooling: "cls",
        dtype: Dtype::Bf16,
        tensor_prefix: "model.",
        ..bert()
    });
    fs_err::remove_file(folder.path().join("vocab.txt")).unwrap();
    folder.write("tokenizer.json", include_bytes!("word_piece.json"));
    assert_close(
        &folder.open(DirectoryOptions::default()).unwrap(),
        "bert-64-cls",
        false,
    );

    let folder = Folder::new(&TinyModel {
        hidden: 128,
        roberta: true,
        ..bert()
    });
    let options = DirectoryOptions {
        name: Some("intfloat/multilingual-e5-tiny".into()),
        ..DirectoryOptions::default()
    };
    let embedder = folder.open(options).unwrap();
    assert_eq!(embedder.model().passage_prefix, "passage: ");
    assert_close(&embedder, "roberta-64-mean", true);
}

#[test]
fn the_version_covers_everything_that_vectors_depend_on() {
    let folder = Folder::new(&bert());
    let version = |options| folder.open(options).unwrap().model().version.clone();
    let plain = version(DirectoryOptions::default());
    assert_eq!(version(DirectoryOptions::default()), plain);
    let prefixed = |query: Option<&str>, passage: Option<&str>| DirectoryOptions {
        query_prefix: query.map(str::to_owned),
        passage_prefix: passage.map(str::to_owned),
        ..DirectoryOptions::default()
    };
    let mut versions = vec![
        plain,
        version(prefixed(Some("a"), None)),
        version(prefixed(None, Some("a"))),
        version(DirectoryOptions {
            max_tokens: Some(48),
            ..DirectoryOptions::default()
        }),
    ];
    let mut push_version_of = |model: &TinyModel| {
        let folder = Folder::new(model);
        versions.push(
            folder
                .open(DirectoryOptions::default())
                .unwrap()
                .model()
                .version
                .clone(),
        );
    };
    push_version_of(&TinyModel {
        pooling: "cls",
        ..bert()
    });
    push_version_of(&TinyModel {
        salt: "other",
        ..bert()
    });
    let count = versions.len();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), count);
}

#[test]
fn a_cached_model_is_identical_and_a_corrupt_one_is_packed_again() {
    let folder = Folder::new(&bert());
    let cache = folder.dir.path().join("cache");
    let options = DirectoryOptions {
        cache: Some(cache.clone()),
        ..DirectoryOptions::default()
    };
    let first = folder.open(options.clone()).unwrap();
    let files: Vec<PathBuf> = fs_err::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [packed] = files.as_slice() else {
        panic!("{files:?}")
    };
    let bytes = fs_err::read(packed).unwrap();
    let vector = |embedder: &Embedder| embedder.embed(&["a cat"]).unwrap();
    let check = || {
        let again = folder.open(options.clone()).unwrap();
        assert_eq!(again.model(), first.model());
        assert_eq!(vector(&again), vector(&first));
        assert_eq!(fs_err::read(packed).unwrap(), bytes);
    };
    check();
    let mut corrupt = bytes.clone();
    *corrupt.last_mut().unwrap() ^= 1;
    corrupt[500] ^= 1;
    fs_err::write(packed, &corrupt).unwrap();
    check();
    fs_err::write(packed, &bytes[..bytes.len() / 2]).unwrap();
    check();
}

#[test]
fn unsupported_models_are_refused_with_the_reason() {
    for (field, value, reason) in [
        ("hidden_act", "gelu_new".into(), "gelu_new"),
        ("model_type", "mpnet".into(), "mpnet"),
        ("position_embedding_type", "relative_key".into(), "relative_key"),
        ("num_attention_heads", 1_000.into(), "32 or 64 wide"),
        ("num_attention_heads", 0.into(), "size is zero"),
        ("hidden_size", 96.into(), "32 or 64 wide"),
        ("vocab_size", 107.into(), "108 tokens and weights for 107"),
        (
            "vocab_size",
            109.into(),
            "[108, 64] where config.json says [109, 64]",
        ),
        ("vocab_size", u64::MAX.into(), "than in any known encoder"),
        (
            "intermediate_size",
            128.into(),
            "[192, 64] where config.json says [128, 64]",
        ),
        ("num_hidden_layers", 3.into(), "encoder.layer.2"),
        ("num_hidden_layers", 64.into(), "too short for the sizes"),
        (
            "max_position_embeddings",
            97.into(),
            "96 positions where config.json says 97",
        ),
        ("layer_norm_eps", 0.into(), "epsilon"),
    ] {
        let folder = Folder::new(&bert());
        folder.set("config.json", field, value);
        let error = folder.error();
        assert!(error.contains(reason), "{field}: {error}");
    }
    let folder = Folder::new(&TinyModel {
        pooling: "max",
        ..bert()
    });
    assert!(folder.error().contains("max in its Pooling settings"));
    folder.set("1_Pooling/config.json", "pooling_mode_mean_tokens", true.into());
    assert!(folder.error().contains("mean and max"));

    let folder = Folder::new(&bert());
    folder.write(
        "modules.json",
        r#"[{"path": "", "type": "a.Transformer"}, {"path": "../p", "type": "a.Pooling"}]"#,
    );
    assert!(folder.error().contains("outside"));
    folder.write(
        "modules.json",
        r#"[{"path": "", "type": "a.Transformer"}, {"path": "2_Dense", "type": "a.Dense"}]"#,
    );
    assert!(folder.error().contains("Dense at place 1"));
    folder.write("modules.json", "[");
    assert!(folder.error().contains("modules.json"));

    for missing in ["config.json", "vocab.txt", "model.safetensors"] {
        let folder = Folder::new(&bert());
        fs_err::remove_file(folder.path().join(missing)).unwrap();
        assert!(folder.error().contains(missing));
    }
    let folder = Folder::new(&bert());
    fs_err::rename(
        folder.path().join("model.safetensors"),
        folder.path().join("pytorch_model.bin"),
    )
    .unwrap();
    assert!(folder.error().contains("pytorch_model.bin"));
    assert!(Embedder::from_directory(Path::new("/nowhere"), &DirectoryOptions::default()).is_err());
}

#[test]
fn an_empty_vocabulary_is_refused() {
    let folder = Folder::new(&bert());
    folder.write("vocab.txt", "");
    assert!(folder.error().contains("lacks a special token"));
}

#[test]
fn special_tokens_outside_the_vocabulary_are_refused() {
    let folder = Folder::new(&TinyModel {
        hidden: 128,
        roberta: true,
        ..bert()
    });
    for id in [94, u32::MAX] {
        let tokenizer = include_str!("unigram.json").replace("\"ids\":[2]", &format!("\"ids\":[{id}]"));
        folder.write("tokenizer.json", tokenizer);
        let error = folder.error();
        assert!(
            error.contains(&format!("puts the token {id} around a text")),
            "{error}"
        );
    }
}

/// A corrupt normalization table in base64: a `u32` length and a double-array trie whose only transition, for `b`, is out of bounds.
fn corrupt_normalization() -> String {
    let zeros = |count| "A".repeat(count);
    format!("AAQA{}Yv3/DwAA{}AAA=", zeros(524), zeros(832))
}

#[test]
fn words_that_a_corrupt_tokenizer_fails_on_become_unknown_tokens() {
    let corrupt = format!(
        r#"{{"type":"Precompiled","precompiled_charsmap":"{}"}}"#,
        corrupt_normalization()
    );
    let json = include_str!("unigram.json").replace(r#"{"type":"NFKC"}"#, &corrupt);
    let tokenizer = crate::Tokenizer::read_json(Path::new("tokenizer.json"), json.as_bytes()).unwrap();
    assert_eq!(tokenizer.count("the cat"), 2);
    assert_eq!(tokenizer.encode(" a\u{a0}big\n dog "), [3, 3, 3]);
    assert_eq!(tokenizer.token_spans(" a\u{a0}big\n dog "), [1..2, 4..7, 9..12]);

    let broken = json.replace(&corrupt_normalization(), "AAAAAA==");
    let error = crate::Tokenizer::read_json(Path::new("tokenizer.json"), broken.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("corrupt"), "{error}");
}

#[test]
fn special_tokens_spelled_out_in_a_text_are_plain_text_for_json_tokenizers_too() {
    let folder = Folder::new(&TinyModel {
        hidden: 128,
        roberta: true,
        ..bert()
    });
    let embedder = folder.open(DirectoryOptions::default()).unwrap();
    let ids = embedder.tokenizer().encode("a </s> b <s>");
    assert!(!ids.contains(&0) && !ids.contains(&2), "{ids:?}");
    let for_model = embedder.tokenizer().encode_for_model("a");
    assert_eq!((for_model.first(), for_model.last()), (Some(&0), Some(&2)));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn spans_of_json_tokenizers_are_ordered_and_contain_whole_characters(text in "\\PC{0,80}") {
        let path = Path::new("tokenizer.json");
        let tokenizer = crate::Tokenizer::read_json(path, include_bytes!("unigram.json")).unwrap();
        let spans = tokenizer.token_spans(&text);
        proptest::prop_assert_eq!(spans.len(), tokenizer.count(&text));
        for pair in spans.windows(2) {
            proptest::prop_assert!(pair[0].start <= pair[1].start);
        }
        for span in spans {
            proptest::prop_assert!(text.get(span).is_some());
        }
    }
}

#[test]
fn a_text_longer_than_one_part_is_tokenized_completely() {
    let path = Path::new("tokenizer.json");
    let tokenizer = crate::Tokenizer::read_json(path, include_bytes!("unigram.json")).unwrap();
    let text = "the cat sits ".repeat(20_000);
    let count = tokenizer.count(&text);
    assert!((60_000..60_010).contains(&count), "{count}");
    let spans = tokenizer.token_spans(&text);
    assert_eq!(spans.last().unwrap().end, text.len());
}

/// Corruption of a file: bytes to overwrite, where to truncate it, and bytes to append.
fn corruption() -> impl proptest::strategy::Strategy<
    Value = (
        Vec<(proptest::sample::Index, u8)>,
        Option<proptest::sample::Index>,
        Vec<u8>,
    ),
> {
    use proptest::prelude::*;
    (
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        proptest::option::weighted(0.2, any::<prop::sample::Index>()),
        prop::collection::vec(any::<u8>(), 0..4),
    )
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(300))]
    /// A model with a corrupt file either opens and returns finite vectors, or is refused with a path in its folder.
    #[test]
    fn corrupt_files_are_refused_or_return_finite_vectors(file in 0_usize..7, roberta: bool, (bytes, end, more) in corruption()) {
        let folder = Folder::new(&TinyModel { roberta, hidden: 64, ..bert() });
        let tokenizer = if roberta { "tokenizer.json" } else { "vocab.txt" };
        if !roberta && file == 5 {
            folder.write("tokenizer.json", include_bytes!("word_piece.json"));
        }
        let names = ["config.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", tokenizer, "tokenizer.json", "model.safetensors"];
        let path = folder.path().join(names[file]);
        let mut content = fs_err::read(&path).unwrap_or_default();
        // A checkpoint's header is at its start.
        let reach = content.len().min(3000);
        if reach > 0 {
            for (place, byte) in bytes {
                content[place.index(reach)] = byte;
            }
            if let Some(end) = end {
                content.truncate(end.index(content.len()));
            }
        }
        content.extend(more);
        fs_err::write(&path, content).unwrap();
        match folder.open(DirectoryOptions::default()) {
            Ok(embedder) => {
                let vector = embedder.embed_query("the cat sits in the garden").unwrap().vector;
                proptest::prop_assert!(vector.iter().all(|value| value.is_finite()));
            }
            Err(EmbedError::UnusableModel { path, .. }) => proptest::prop_assert!(path.starts_with(folder.dir.path())),
            Err(other) => proptest::prop_assert!(false, "{}", other),
        }
    }
}
