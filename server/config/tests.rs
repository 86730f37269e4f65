use std::collections::BTreeMap;

use autorag_embedder::FastembedModel;
use autorag_store::VectorIndex;

use super::setting::Form;
use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let pairs = variables.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn load_all(file: &str, variables: &[(&str, &str)], flags: Vec<Override>) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    fs_err::write(&path, file).unwrap();
    super::load(Some(&path), &environment(variables), flags).map_err(|error| error.to_string())
}

fn load(file: &str, variables: &[(&str, &str)], flags: Vec<Override>) -> Result<Settings, String> {
    load_all(file, variables, flags).map(|loaded| loaded.settings)
}

fn source(settings: &Settings, variables: &[(&str, &str)]) -> Result<ModelSource, String> {
    let source = settings.model.source(None, &environment(variables));
    source.map_err(|error| error.to_string())
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
    let error = |file: &str, env: &[(&str, &str)]| load(file, env, vec![]).unwrap_err();
    assert!(error("[server]\naddr = \"0.0.0.0:80\"\n", &[]).starts_with("server.addr: "));
    assert!(error("[index]\nchunk_token = 3\n", &[]).contains("chunk_token"));
    assert!(error("", &[("AUTORAG_INDEX_HIDDEN", "maybe")]).starts_with("AUTORAG_INDEX_HIDDEN: "));
    assert!(error("", &[("AUTORAG_SERVER_ADDR", "here")]).starts_with("AUTORAG_SERVER_ADDR: "));
    assert!(error("", &[("AUTORAG_INDEX_CHUNK_TOKENS", "9")]).starts_with("index.chunk_tokens: "));
    assert!(error("", &[("AUTORAG_VECTORS_INDEX", "tree")]).starts_with("AUTORAG_VECTORS_INDEX: "));
    assert!(error("", &[("AUTORAG_INDEX_WATCH", "sometimes")]).starts_with("AUTORAG_INDEX_WATCH: "));
    assert!(
        error("[rerank]\napi = \"own\"\n", &[]).contains("unknown variant `own`, expected `tei` or `cohere`")
    );
    assert!(error("[rerank]\nbudget_ms = 0\n", &[]).starts_with("rerank.budget_ms: "));
    assert!(error("[rerank]\ncandidates = 0\n", &[]).starts_with("rerank.candidates: "));
    assert!(error("[search]\nscore_threshold = 2\n", &[]).starts_with("search.score_threshold: "));
    assert!(error("[index]\nreconcile_secs = 9000000\n", &[]).starts_with("index.reconcile_secs: "));
    assert!(error("[index]\nretry_secs = 9000000\n", &[]).starts_with("index.retry_secs: "));
}

#[test]
fn a_model_is_named_once() {
    let error = |file: &str| load(file, &[], vec![]).unwrap_err();
    assert!(error("[model]\nname = \"bert\"\n").contains("model.path"));
    assert!(error("[model]\nname = \"all-MiniLM-L6-v2\"\npath = \"m\"\n").contains("set one of them"));
    assert!(error("[model]\nquery_prefix = \"query: \"\n").contains("built-in"));
    assert!(error("[model]\nname = \"hub:../x\"\n").contains("owner/name"));
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
fn every_setting_can_be_set_by_its_variable() {
    for setting in SETTINGS {
        let text = match (setting.form, setting.name) {
            (Form::Number, "index.chunk_tokens") => "128",
            (Form::Number, "index.chunk_overlap_percent") => "5",
            (Form::Number, "rerank.candidates") => "20",
            (Form::Number, "model.batch_texts") => "32",
            (Form::Number, "model.timeout_secs") => "90",
            (Form::Number, _) => "4096",
            (Form::Decimal, _) => "0.25",
            (Form::Switch, _) => "true",
            (Form::List, _) => "a,b",
            (Form::Text, "server.addr") => "127.0.0.1:0",
            (Form::Text, "rerank.api") => "cohere",
            (Form::Text, "log.format") => "json",
            (Form::Text, "model.name") => "all-MiniLM-L6-v2",
            // Contradicts the provider that the file sets.
            (Form::Text, "model.path") => continue,
            (Form::Text, "index.watch") => "poll",
            (Form::Text, "vectors.index") => "graph",
            (Form::Text, "model.provider") => "openai",
            (Form::Text, "model.base_url") => "https://example.org/v1",
            // A variable that every machine has.
            (Form::Text, "model.key_env") => "PATH",
            (Form::Text, _) => "info",
        };
        let file = if setting.name.starts_with("model.") {
            "[model]\nprovider = \"openai\"\nbase_url = \"http://localhost/v1\"\nname = \"m\"\n"
        } else {
            ""
        };
        let settings = load(file, &[(&setting.variable(), text), ("PATH", "/bin")], vec![])
            .unwrap_or_else(|error| panic!("{}: {error}", setting.name));
        let table = Table::try_from(&settings).unwrap();
        let value = get(&table, setting.name).unwrap_or_else(|| panic!("{} is not set", setting.name));
        let shown = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => items
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(","),
            other => other.to_string(),
        };
        assert_eq!(shown, text, "{}", setting.name);
    }
}

#[test]
fn the_origin_of_a_value_is_known() {
    let flags = vec![("server.timeout_ms", Value::Integer(900))];
    let variables = [
        ("AUTORAG_INDEX_HIDDEN", "1"),
        ("AUTORAG_SERVER_TIMEOUT_MS", "800"),
    ];
    let loaded = load_all("[index]\nexclude = [\"a\"]\n", &variables, flags).unwrap();
    assert_eq!(loaded.origin("server.timeout_ms"), "flag");
    assert_eq!(loaded.value("server.timeout_ms"), Some(Value::Integer(900)));
    assert_eq!(loaded.origin("index.hidden"), "AUTORAG_INDEX_HIDDEN");
    assert!(loaded.origin("index.exclude").ends_with(FILE_NAME));
    assert_eq!(loaded.origin("server.addr"), "default");
    assert_eq!(loaded.value("model.path"), None);
}

#[test]
fn unknown_variables_are_ignored_with_a_warning() {
    let warning = |name: &str| load_all("", &[(name, "1")], vec![]).unwrap().warnings.remove(0);
    assert!(warning("AUTORAG_CHUNK_TOKENS").ends_with("did you mean AUTORAG_INDEX_CHUNK_TOKENS?"));
    assert!(warning("AUTORAG_SERVER_ADR").ends_with("did you mean AUTORAG_SERVER_ADDR?"));
    assert!(warning("AUTORAG_SERVICE_HOST").ends_with("is ignored"));
    assert!(
        load_all("", &[("PATH", "1")], vec![])
            .unwrap()
            .warnings
            .is_empty()
    );
}

/// The table of settings in the handbook: default and allowed values by name.
fn handbook() -> BTreeMap<String, (String, String)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo/guide/configuration.md");
    let page = fs_err::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
        let name = cells.first()?.strip_suffix('`')?;
        // Strip the URL of a link: it is not part of the value.
        let bare = |cell: &str| {
            let mut parts = cell.split("](");
            let text = parts.next().unwrap_or_default().to_owned();
            let text = parts.fold(text, |text, part| {
                text + part.split_once(')').map_or("", |(_, rest)| rest)
            });
            let text = if cell.contains("](") {
                text.replace('[', "")
            } else {
                text
            };
            text.replace('`', "")
        };
        Some((name.to_owned(), (bare(cells.get(1)?), bare(cells.get(2)?))))
    });
    rows.collect()
}

#[test]
fn the_handbook_lists_every_setting_with_its_default() {
    let handbook = handbook();
    let defaults = Table::try_from(Settings::default()).unwrap();
    let mut wrong = Vec::new();
    for setting in SETTINGS {
        let default = match get(&defaults, setting.name) {
            None => setting.unset.unwrap_or("not set").to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        let expected = (default, setting.values.replace('`', ""));
        match handbook.get(setting.name) {
            Some(row) if *row == expected => {}
            row => wrong.push(format!("{}: {row:?}, not {expected:?}", setting.name)),
        }
    }
    let known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name);
    wrong.extend(handbook.keys().filter(|name| !known(name)).cloned());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_complete_file_of_the_handbook_holds_the_defaults() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo/guide/configuration.md");
    let page = fs_err::read_to_string(page).unwrap();
    let file = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .max_by_key(|block| block.len());
    let mut settings = load(file.unwrap(), &[], vec![]).unwrap();
    assert_eq!(settings.model.name.take().as_deref(), Some(ModelSource::BUILT_IN));
    assert_eq!(settings, Settings::default());
}

const REMOTE: &str = "[model]\nprovider = \"openai\"\nbase_url = \"http://localhost:1/v1\"\nname = \"m\"\n";

#[test]
fn a_remote_model_is_read_whole() {
    let file = format!(
        "{REMOTE}dimensions = 8\nquery_prefix = \"q: \"\ntimeout_secs = 9\nmax_tokens = 1000\n[index]\nchunk_tokens = 900\n"
    );
    let variables = [
        ("AUTORAG_MODEL_CONCURRENCY", "7"),
        ("AUTORAG_EMBEDDING_KEY", "sk-1"),
    ];
    let settings = load(&file, &variables, vec![]).unwrap();
    let ModelSource::Remote(options) = source(&settings, &variables).unwrap() else {
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
    let shown = format!("{settings:?} {options:?} {:?}", environment(&variables));
    assert!(!shown.contains("sk-1"));
    assert_eq!(source(&Settings::default(), &[]).unwrap(), ModelSource::BuiltIn);
}

#[test]
fn contradictory_model_settings_are_named() {
    let error = |file: &str, env: &[(&str, &str)]| load(file, env, vec![]).unwrap_err();
    assert!(error("[model]\nname = \"gpt\"\n", &[]).starts_with("model.name: "));
    assert!(error("[model]\nmax_tokens = 512\n", &[]).starts_with("model.max_tokens: "));
    assert!(error("[model]\nprovider = \"openai\"\n", &[]).starts_with("model.base_url: "));
    assert!(error("[model]\nprovider = \"other\"\n", &[]).contains("provider"));
    assert!(
        error(
            "[model]\nprovider = \"openai\"\nbase_url = \"http://h/v1\"\n",
            &[]
        )
        .starts_with("model.name: ")
    );
    assert!(error(&format!("{REMOTE}key = \"sk-1\"\n"), &[]).contains("unknown field `key`"));
    assert!(error(&format!("{REMOTE}concurrency = 0\n"), &[]).starts_with("model.concurrency: "));
    assert!(
        error(&format!("{REMOTE}[index]\nchunk_tokens = 511\n"), &[]).starts_with("index.chunk_tokens: ")
    );
}

#[test]
fn an_onnx_model_is_named_by_its_folder_or_its_catalogue_name() {
    let home = [("HOME", "/home/me")];
    let source = |file: &str| source(&load(file, &home, vec![]).unwrap(), &home).unwrap();
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

    let error = |more: &str| load(&format!("{graph}{more}"), &[], vec![]).unwrap_err();
    assert!(error("").starts_with("model.path: "));
    assert!(error("path = \"/m\"\nname = \"m\"\n").starts_with("model.name: "));
    assert!(error("path = \"/m\"\ndimensions = 8\n").starts_with("model.dimensions: "));
}

#[test]
fn the_key_comes_from_the_variable_that_is_named() {
    let key_of = |file: &str, env: &[(&str, &str)]| -> Result<_, String> {
        match source(&load(file, env, vec![])?, env) {
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
    let chosen = |file: &str| load(file, &[], vec![]).unwrap().vectors.index;
    assert_eq!(chosen(""), VectorIndex::Auto);
    assert_eq!(chosen("[vectors]\nindex = \"flat\"\n"), VectorIndex::Flat);
    assert_eq!(chosen("[vectors]\nindex = \"graph\"\n"), VectorIndex::Graph);
    let old_name = load_all("[vectors]\nindex = \"hnsw\"\n", &[], vec![]).unwrap();
    assert_eq!(old_name.settings.vectors.index, VectorIndex::Graph);
    assert!(old_name.warnings[0].starts_with("vectors.index: "));
}
