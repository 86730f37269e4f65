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
    assert!(said("", &[("AUTORAG_INDEX_WATCH", "sometimes")]).starts_with("AUTORAG_INDEX_WATCH: "));
    assert!(said("[rerank]\napi = \"own\"\n", &[]).starts_with("rerank.api: "));
    assert!(said("[rerank]\nbudget_ms = 0\n", &[]).starts_with("rerank.budget_ms: "));
    assert!(said("[rerank]\ncandidates = 0\n", &[]).starts_with("rerank.candidates: "));
    assert!(said("[search]\nscore_threshold = 2\n", &[]).starts_with("search.score_threshold: "));
    assert!(said("[index]\nreconcile_secs = 9000000\n", &[]).starts_with("index.reconcile_secs: "));
}

#[test]
fn every_setting_has_a_variable_and_a_default() {
    for (setting, kind) in SETTINGS {
        let name = format!("{ENV_PREFIX}{}", setting.replace('.', "_").to_uppercase());
        let text = match (kind, *setting) {
            (Kind::Number, "index.chunk_tokens") => "128",
            (Kind::Number, "index.chunk_overlap_percent") => "5",
            (Kind::Number, "rerank.candidates") => "20",
            (Kind::Number, _) => "4096",
            (Kind::Decimal, _) => "0.25",
            (Kind::Switch, _) => "true",
            (Kind::List, _) => "a,b",
            (Kind::Text, "server.addr") => "127.0.0.1:0",
            (Kind::Text, "rerank.api") => "cohere",
            (Kind::Text, "log.format") => "json",
            (Kind::Text, "index.watch") => "poll",
            (Kind::Text, _) => "info",
        };
        load("", &[(&name, text)], vec![]).unwrap_or_else(|error| panic!("{setting}: {error}"));
    }
}
