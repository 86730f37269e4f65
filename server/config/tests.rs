use autorag_embedder::FastembedModel;

use std::time::Duration;

use autorag_store::VectorIndex;

use super::*;

fn load(file: &str, environment: &[(&str, &str)], flags: Vec<Override>) -> Result<Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    fs_err::write(&path, file).unwrap();
    let environment = environment
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    Settings::load(Some(&path), environment, flags).map_err(|error| error.to_string())
}

#[test]
fn later_layers_win() {
    let file = "[index]\nchunk_tokens = 100\nhidden = true\n[server]\ntimeout_ms = 500\n";
    let environment = [
        ("AUTORAG_INDEX_CHUNK_TOKENS", "120"),
        ("AUTORAG_INDEX_EXCLUDE", "a/*, b"),
    ];
    let flags = vec![("server.timeout_ms", Value::Integer(900))];
    let settings = load(file, &environment, flags).unwrap();
    assert_eq!(settings.index.chunk_tokens, 120);
    assert!(settings.index.hidden);
    assert_eq!(settings.server.timeout_ms, 900);
    assert_eq!(settings.index.exclude, ["a/*", "b"]);
}

#[test]
fn errors_name_the_setting() {
    let said = |file: &str, env: &[(&str, &str)]| load(file, env, vec![]).unwrap_err();
    assert!(said("[server]\naddr = \"0.0.0.0:80\"\n", &[]).starts_with("server.addr: "));
    assert!(said("[index]\nchunk_token = 3\n", &[]).contains("chunk_token"));
    assert!(said("", &[("AUTORAG_INDEX_HIDDEN", "maybe")]).starts_with("AUTORAG_INDEX_HIDDEN: "));
    assert!(said("", &[("AUTORAG_SERVER_ADDR", "here")]).starts_with("AUTORAG_SERVER_ADDR: "));
    assert!(said("", &[("AUTORAG_NONSENSE", "1")]).starts_with("AUTORAG_NONSENSE: "));
    assert!(said("", &[("AUTORAG_INDEX_CHUNK_TOKENS", "9")]).starts_with("index.chunk_tokens: "));
    assert!(said("", &[("AUTORAG_VECTORS_INDEX", "tree")]).starts_with("AUTORAG_VECTORS_INDEX: "));
    assert!(said("", &[("AUTORAG_INDEX_WATCH", "sometimes")]).starts_with("AUTORAG_INDEX_WATCH: "));
    assert!(said("[rerank]\napi = \"own\"\n", &[]).starts_with("rerank.api: "));
    assert!(said("[rerank]\nbudget_ms = 0\n", &[]).starts_with("rerank.budget_ms: "));
    assert!(said("[rerank]\ncandidates = 0\n", &[]).starts_with("rerank.candidates: "));
    assert!(said("[search]\nscore_threshold = 2\n", &[]).starts_with("search.score_threshold: "));
    assert!(said("[index]\nreconcile_secs = 9000000\n", &[]).starts_with("index.reconcile_secs: "));
    assert!(said("[index]\nretry_secs = 9000000\n", &[]).starts_with("index.retry_secs: "));
}

#[test]
fn a_model_is_named_once() {
    let said = |file: &str| load(file, &[], vec![]).unwrap_err();
    assert!(said("[model]\nname = \"bert\"\n").contains("model.path"));
    assert!(said("[model]\nname = \"all-MiniLM-L6-v2\"\npath = \"m\"\n").contains("set one of them"));
    assert!(said("[model]\nquery_prefix = \"query: \"\n").contains("built-in"));
    assert!(said("[model]\nname = \"hub:../x\"\n").contains("owner/name"));
    let settings = load(
        "[model]\npath = \"m\"\nmax_tokens = 128\n",
        &[("AUTORAG_MODEL_QUERY_PREFIX", "q: ")],
        vec![],
    );
    let settings = settings.unwrap().model;
    assert_eq!(
        (settings.max_tokens, settings.query_prefix.as_deref()),
        (Some(128), Some("q: "))
    );
}

#[test]
fn every_setting_has_a_variable_and_a_default() {
    for (setting, kind) in SETTINGS {
        let name = format!("{ENV_PREFIX}{}", setting.replace('.', "_").to_uppercase());
        let text = match (kind, *setting) {
            (Kind::Number, "index.chunk_tokens") => "128",
            (Kind::Number, "index.chunk_overlap_percent") => "5",
            (Kind::Number, "rerank.candidates") => "20",
            (Kind::Number, "model.batch_texts") => "32",
            (Kind::Number, "model.timeout_secs") => "90",
            (Kind::Number, _) => "4096",
            (Kind::Decimal, _) => "0.25",
            (Kind::Switch, _) => "true",
            (Kind::List, _) => "a,b",
            (Kind::Text, "server.addr") => "127.0.0.1:0",
            (Kind::Text, "rerank.api") => "cohere",
            (Kind::Text, "log.format") => "json",
            (Kind::Text, "model.name") => "all-MiniLM-L6-v2",
            // Beside a provider it would contradict it.
            (Kind::Text, "model.path") => continue,
            (Kind::Text, "index.watch") => "poll",
            (Kind::Text, "vectors.index") => "hnsw",
            (Kind::Text, "model.provider") => "openai",
            (Kind::Text, "model.base_url") => "https://example.org/v1",
            // There on every machine.
            (Kind::Text, "model.key_env") => "PATH",
            (Kind::Text, _) => "info",
        };
        let others = match setting.starts_with("model.") {
            true => "[model]\nprovider = \"openai\"\nbase_url = \"http://localhost/v1\"\nname = \"m\"\n",
            false => "",
        };
        load(others, &[(&name, text), ("PATH", "/bin")], vec![])
            .unwrap_or_else(|error| panic!("{setting}: {error}"));
    }
}

const REMOTE: &str = "[model]\nprovider = \"openai\"\nbase_url = \"http://localhost:1/v1\"\nname = \"m\"\n";

#[test]
fn a_remote_model_is_read_whole() {
    let file = format!(
        "{REMOTE}dimensions = 8\nquery_prefix = \"q: \"\ntimeout_secs = 9\nmax_tokens = 1000\n[index]\nchunk_tokens = 900\n"
    );
    let environment = [
        ("AUTORAG_MODEL_CONCURRENCY", "7"),
        ("AUTORAG_EMBEDDING_KEY", "sk-1"),
    ];
    let settings = load(&file, &environment, vec![]).unwrap();
    let ModelSource::Remote(options) = settings.model.source(None).unwrap() else {
        panic!("not remote");
    };
    assert_eq!(
        (options.name.as_str(), options.dimensions, options.concurrency),
        ("m", Some(8), 7)
    );
    assert_eq!(
        (options.query_prefix.as_str(), options.timeout),
        ("q: ", Duration::from_secs(9))
    );
    assert!(options.key.is_some());
    assert!(!format!("{settings:?}").contains("sk-1"));
    assert_eq!(
        load("", &[], vec![]).unwrap().model.source(None).unwrap(),
        ModelSource::BuiltIn
    );
}

#[test]
fn settings_of_a_model_that_do_not_go_together_are_named() {
    let said = |file: &str, env: &[(&str, &str)]| load(file, env, vec![]).unwrap_err();
    assert!(said("[model]\nname = \"gpt\"\n", &[]).starts_with("model.name: "));
    assert!(said("[model]\nmax_tokens = 512\n", &[]).starts_with("model.max_tokens: "));
    assert!(said("[model]\nprovider = \"openai\"\n", &[]).starts_with("model.base_url: "));
    assert!(said("[model]\nprovider = \"other\"\n", &[]).contains("provider"));
    assert!(
        said(
            "[model]\nprovider = \"openai\"\nbase_url = \"http://h/v1\"\n",
            &[]
        )
        .starts_with("model.name: ")
    );
    assert!(said(&format!("{REMOTE}key = \"sk-1\"\n"), &[]).contains("unknown field `key`"));
    assert!(said(&format!("{REMOTE}concurrency = 0\n"), &[]).starts_with("model.concurrency: "));
    assert!(said(&format!("{REMOTE}[index]\nchunk_tokens = 511\n"), &[]).starts_with("index.chunk_tokens: "));
}

#[test]
fn a_graph_is_named_by_its_folder_or_from_the_catalogue() {
    let source = |file: &str| load(file, &[], vec![]).unwrap().model.source(None).unwrap();
    let graph = "[model]\nprovider = \"fastembed\"\n";
    let ModelSource::Fastembed(options) = source(&format!("{graph}path = \"/m\"\nmax_tokens = 300\n")) else {
        panic!("not fastembed");
    };
    assert_eq!(options.model, FastembedModel::Folder("/m".into()));
    assert_eq!(options.max_tokens, Some(300));
    let ModelSource::Fastembed(options) = source("[model]\nname = \"fastembed:BGEM3\"\n") else {
        panic!("not fastembed");
    };
    assert!(matches!(options.model, FastembedModel::Catalogue { name, .. } if name == "BGEM3"));

    let said = |more: &str| load(&format!("{graph}{more}"), &[], vec![]).unwrap_err();
    assert!(said("").starts_with("model.path: "));
    assert!(said("path = \"/m\"\nname = \"m\"\n").starts_with("model.name: "));
    assert!(said("path = \"/m\"\ndimensions = 8\n").starts_with("model.dimensions: "));
}

#[test]
fn the_key_comes_from_the_variable_that_is_named() {
    let key_of = |file: &str, env: &[(&str, &str)]| -> Result<_, String> {
        match load(file, env, vec![])?.model.source(None) {
            Ok(ModelSource::Remote(options)) => Ok(options.key),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(key_of(REMOTE, &[]), Ok(None));
    assert_eq!(key_of(REMOTE, &[("AUTORAG_EMBEDDING_KEY", " ")]), Ok(None));
    let named = format!("{REMOTE}key_env = \"AUTORAG_MY_KEY\"\n");
    let found = key_of(&named, &[("AUTORAG_MY_KEY", "sk-2")]);
    assert_eq!(found, key_of(REMOTE, &[("AUTORAG_EMBEDDING_KEY", "sk-2")]));
    assert!(key_of(&named, &[]).unwrap_err().starts_with("model.key_env: "));
    let unsendable = key_of(REMOTE, &[("AUTORAG_EMBEDDING_KEY", "sk-\u{1}3")]).unwrap_err();
    assert!(
        unsendable.starts_with("model.key_env: ") && !unsendable.contains("sk-"),
        "{unsendable}"
    );
    // Harmless where nothing needs it.
    load("", &[("AUTORAG_EMBEDDING_KEY", "sk-1")], vec![]).unwrap();
}

#[test]
fn the_vector_index_is_chosen_by_its_name() {
    let chosen = |file: &str| load(file, &[], vec![]).unwrap().vectors.index();
    assert_eq!(chosen(""), VectorIndex::Auto);
    assert_eq!(chosen("[vectors]\nindex = \"flat\"\n"), VectorIndex::Flat);
    assert_eq!(chosen("[vectors]\nindex = \"hnsw\"\n"), VectorIndex::Graph);
}
