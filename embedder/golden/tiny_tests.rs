//! Models of a directory against what PyTorch makes of the same weights; see `make_tiny.py`.

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

/// A folder with a tiny model whose vocabulary is in `vocab.txt`.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn of(model: &TinyModel) -> Self {
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

    /// Why the model is refused.
    fn refused(&self) -> String {
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
fn assert_near(embedder: &Embedder, case: &str, as_query: bool) {
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
fn vectors_are_those_of_pytorch() {
    let embedder = Folder::of(&bert()).open(DirectoryOptions::default()).unwrap();
    assert_eq!(embedder.model().pooling, Some(Pooling::Mean));
    assert_eq!(
        (embedder.model().dimensions, embedder.model().max_tokens),
        (64, 64)
    );
    assert_near(&embedder, "bert-32-mean", false);

    let folder = Folder::of(&TinyModel {
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
    assert_near(&embedder, "bert-32-cls", false);

    let folder = Folder::of(&TinyModel {
        hidden: 128,
        pooling: "cls",
        dtype: Dtype::Bf16,
        tensor_prefix: "model.",
        ..bert()
    });
    fs_err::remove_file(folder.path().join("vocab.txt")).unwrap();
    folder.write("tokenizer.json", include_bytes!("word_piece.json"));
    assert_near(
        &folder.open(DirectoryOptions::default()).unwrap(),
        "bert-64-cls",
        false,
    );

    let folder = Folder::of(&TinyModel {
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
    assert_near(&embedder, "roberta-64-mean", true);
}

#[test]
fn the_version_names_all_that_vectors_depend_on() {
    let folder = Folder::of(&bert());
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
    let mut of = |model: &TinyModel| {
        let folder = Folder::of(model);
        versions.push(
            folder
                .open(DirectoryOptions::default())
                .unwrap()
                .model()
                .version
                .clone(),
        );
    };
    of(&TinyModel {
        pooling: "cls",
        ..bert()
    });
    of(&TinyModel {
        salt: "other",
        ..bert()
    });
    let count = versions.len();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), count);
}

#[test]
fn a_cached_model_is_the_same_and_a_damaged_one_is_packed_anew() {
    let folder = Folder::of(&bert());
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
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    damaged[500] ^= 1;
    fs_err::write(packed, &damaged).unwrap();
    check();
    fs_err::write(packed, &bytes[..bytes.len() / 2]).unwrap();
    check();
}

#[test]
fn what_cannot_be_computed_is_refused_with_the_reason() {
    for (field, value, said) in [
        ("hidden_act", "gelu_new".into(), "gelu_new"),
        ("model_type", "mpnet".into(), "mpnet"),
        ("position_embedding_type", "relative_key".into(), "relative_key"),
        ("num_attention_heads", 1_000.into(), "32 or 64 wide"),
        ("num_attention_heads", 0.into(), "size is missing"),
        ("hidden_size", 96.into(), "32 or 64 wide"),
        ("vocab_size", 107.into(), "108 tokens and weights for 107"),
        (
            "vocab_size",
            109.into(),
            "[108, 64] where config.json says [109, 64]",
        ),
        ("vocab_size", u64::MAX.into(), "than any known encoder"),
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
        let folder = Folder::of(&bert());
        folder.set("config.json", field, value);
        let error = folder.refused();
        assert!(error.contains(said), "{field}: {error}");
    }
    let folder = Folder::of(&TinyModel {
        pooling: "max",
        ..bert()
    });
    assert!(folder.refused().contains("max in its Pooling settings"));
    folder.set("1_Pooling/config.json", "pooling_mode_mean_tokens", true.into());
    assert!(folder.refused().contains("mean and max"));

    let folder = Folder::of(&bert());
    folder.write(
        "modules.json",
        r#"[{"path": "", "type": "a.Transformer"}, {"path": "../p", "type": "a.Pooling"}]"#,
    );
    assert!(folder.refused().contains("outside"));
    folder.write(
        "modules.json",
        r#"[{"path": "", "type": "a.Transformer"}, {"path": "2_Dense", "type": "a.Dense"}]"#,
    );
    assert!(folder.refused().contains("Dense at place 1"));
    folder.write("modules.json", "[");
    assert!(folder.refused().contains("modules.json"));

    for missing in ["config.json", "vocab.txt", "model.safetensors"] {
        let folder = Folder::of(&bert());
        fs_err::remove_file(folder.path().join(missing)).unwrap();
        assert!(folder.refused().contains(missing));
    }
    let folder = Folder::of(&bert());
    fs_err::rename(
        folder.path().join("model.safetensors"),
        folder.path().join("pytorch_model.bin"),
    )
    .unwrap();
    assert!(folder.refused().contains("pytorch_model.bin"));
    assert!(Embedder::from_directory(Path::new("/nowhere"), &DirectoryOptions::default()).is_err());
}

#[test]
fn an_empty_vocabulary_is_refused() {
    let folder = Folder::of(&bert());
    folder.write("vocab.txt", "");
    assert!(folder.refused().contains("lacks a special token"));
}

#[test]
fn tokens_around_a_text_are_in_the_vocabulary() {
    let folder = Folder::of(&TinyModel {
        hidden: 128,
        roberta: true,
        ..bert()
    });
    for id in [94, u32::MAX] {
        let tokenizer = include_str!("unigram.json").replace("\"ids\":[2]", &format!("\"ids\":[{id}]"));
        folder.write("tokenizer.json", tokenizer);
        let error = folder.refused();
        assert!(
            error.contains(&format!("puts the token {id} around a text")),
            "{error}"
        );
    }
}

/// A table of normalization (`u32` length, then a double array) with nothing in it but a way for `b` that leads out of it, in base64.
fn damaged_normalization() -> String {
    let zeros = |count| "A".repeat(count);
    format!("AAQA{}Yv3/DwAA{}AAA=", zeros(524), zeros(832))
}

#[test]
fn a_text_that_a_damaged_tokenizer_fails_on_is_unknown_word_by_word() {
    let damaged = format!(
        r#"{{"type":"Precompiled","precompiled_charsmap":"{}"}}"#,
        damaged_normalization()
    );
    let json = include_str!("unigram.json").replace(r#"{"type":"NFKC"}"#, &damaged);
    let tokenizer = crate::Tokenizer::read_json(Path::new("tokenizer.json"), json.as_bytes()).unwrap();
    assert_eq!(tokenizer.count("the cat"), 2);
    assert_eq!(tokenizer.encode(" a\u{a0}big\n dog "), [3, 3, 3]);
    assert_eq!(tokenizer.token_spans(" a\u{a0}big\n dog "), [1..2, 4..7, 9..12]);

    let broken = json.replace(&damaged_normalization(), "AAAAAA==");
    let error = crate::Tokenizer::read_json(Path::new("tokenizer.json"), broken.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("corrupt"), "{error}");
}

#[test]
fn special_tokens_in_a_text_are_text_with_a_published_tokenizer_too() {
    let folder = Folder::of(&TinyModel {
        hidden: 128,
        roberta: true,
        ..bert()
    });
    let embedder = folder.open(DirectoryOptions::default()).unwrap();
    let ids = embedder.tokenizer().encode("a </s> b <s>");
    assert!(!ids.contains(&0) && !ids.contains(&2), "{ids:?}");
    let around = embedder.tokenizer().encode_for_model("a");
    assert_eq!((around.first(), around.last()), (Some(&0), Some(&2)));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn published_spans_are_in_order_and_hold_whole_characters(text in "\\PC{0,80}") {
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
fn a_long_text_is_divided_part_by_part() {
    let path = Path::new("tokenizer.json");
    let tokenizer = crate::Tokenizer::read_json(path, include_bytes!("unigram.json")).unwrap();
    let text = "the cat sits ".repeat(20_000);
    let count = tokenizer.count(&text);
    assert!((60_000..60_010).contains(&count), "{count}");
    let spans = tokenizer.token_spans(&text);
    assert_eq!(spans.last().unwrap().end, text.len());
}

/// Changes to the bytes of a file: some are overwritten, and the end may be missing or longer.
fn damage() -> impl proptest::strategy::Strategy<
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
    /// Whatever is in the files, the model opens and gives vectors, or is refused with the folder's name.
    #[test]
    fn damaged_files_are_refused_or_give_vectors(file in 0_usize..7, roberta: bool, (bytes, end, more) in damage()) {
        let folder = Folder::of(&TinyModel { roberta, hidden: 64, ..bert() });
        let tokenizer = if roberta { "tokenizer.json" } else { "vocab.txt" };
        if !roberta && file == 5 {
            folder.write("tokenizer.json", include_bytes!("word_piece.json"));
        }
        let names = ["config.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", tokenizer, "tokenizer.json", "model.safetensors"];
        let path = folder.path().join(names[file]);
        let mut content = fs_err::read(&path).unwrap_or_default();
        // Where a checkpoint says what is in it is at its beginning.
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
